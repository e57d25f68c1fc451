/*
 * send_lane.h - the lanes of `leat send`. Items of one path, whatever their query, take the same
 * lane, and a lane sends one batch after the other, so the order of a row's writes is the file's
 * while several batches are on their way at once. What was not taken goes to the front of its lane
 * again: the edge takes no later item of a row in a batch in which it has refused one for now.
 */
#ifndef LEAT_CLI_SEND_LANE_H
#define LEAT_CLI_SEND_LANE_H

#include "cli/send_kept.h"
#include "cli/send_target.h"

enum {
    LEAT_SEND_LANES_MAX = 64,
    LEAT_SEND_BATCH = 500, /* items, usually */
    LEAT_SEND_BATCH_MAX = 1000,
    LEAT_SEND_GIVE_UP_S = 10 * 60, /* usually */
};

/* What became of items. */
typedef struct leat_send_counts {
    uint64_t accepted;
    uint64_t refused; /* for good */
    uint64_t unknown; /* perhaps applied, not repeated */
} leat_send_counts;

typedef struct leat_send_lanes leat_send_lanes;

typedef struct leat_send_config {
    leat_send_target target;
    uint32_t lanes;
    uint32_t batch;       /* items, at most; LEAT_SEND_BATCH_MAX at most */
    uint32_t give_up_s;   /* it ends when nothing was accepted or refused for this long, beside
                             what the edge asks to wait (send_patience.h) */
    bool repeats_unknown; /* sends again what may have been applied */
    leat_send_kept *kept; /* gets the items that were not accepted */
} leat_send_config;

leat_send_lanes *leat_send_lanes_new(const leat_send_config *config, leat_error *error);
void leat_send_lanes_free(leat_send_lanes *lanes);
/* False: the lane of this row is full for now. */
bool leat_send_lanes_have_room(const leat_send_lanes *lanes, uint64_t row);
/* Takes the item's text. */
void leat_send_lanes_add(leat_send_lanes *lanes, const leat_send_item *item);
/* Sends and receives what it can, then waits until something happens, on `fd` too (-1: none), for
 * at most `wait_ms`. 0; -1: it cannot go on. */
int leat_send_lanes_turn(leat_send_lanes *lanes, int fd, int wait_ms,
                         leat_error *error) LEAT_MUST_CHECK;
/* No batch is begun any longer. */
void leat_send_lanes_stop(leat_send_lanes *lanes);
/* Items that wait or are on their way; batches on their way. */
uint64_t leat_send_lanes_left(const leat_send_lanes *lanes);
uint32_t leat_send_lanes_busy(const leat_send_lanes *lanes);
/* The first line of those that are left; 0: none is. */
uint64_t leat_send_lanes_first_line(const leat_send_lanes *lanes);
const leat_send_counts *leat_send_lanes_counts(const leat_send_lanes *lanes);
/* Why items are being sent again, for a person; NULL: all goes well. */
const char *leat_send_lanes_trouble(const leat_send_lanes *lanes);

#endif
