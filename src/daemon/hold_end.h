/*
 * hold_end.h - an end to held rows (sink/held.h), for `leat dead retry` and `discard` and for the
 * same on the admin listener: what is kept of them is applied, or becomes dead letters. A row that
 * cannot be tried does not keep the others from it. Blocking; one thread.
 */
#ifndef LEAT_DAEMON_HOLD_END_H
#define LEAT_DAEMON_HOLD_END_H

#include "daemon/ground.h"
#include "sink/held.h"

typedef struct leat_hold_end leat_hold_end;

typedef struct leat_hold_end_hooks {
    /* What has become of a row, as a sentence that a terminal may show: "key 7 of public.things: 2
     * records applied, no longer held". */
    void (*say)(leat_hold_end *end, const char *sentence);
    /* A row, or the rest of the shard, could not be tried. */
    void (*fail)(leat_hold_end *end, const char *shard, const leat_error *error);
    /* Asked before each row; true: the rest is left as it is. NULL: it never is. */
    bool (*is_over)(const leat_hold_end *end);
} leat_hold_end_hooks;

struct leat_hold_end {
    leat_ground *on; /* has been read */
    bool discard;
    uint32_t most;           /* records of a row that are discarded, the first ones; 0: all */
    const leat_table *table; /* with `key`; NULL: all rows */
    leat_key key;
    leat_hold_end_hooks hooks;
    void *context;    /* the owner's */
    uint32_t seen;    /* held rows */
    uint32_t refused; /* of which a record is not taken, or that are under a control */
    uint32_t failed;  /* calls of `fail` */
};

/* Sets `table` and `key` to the row that is named; without a `wish->key` there is none. 0, or -1
 * with a message. */
int leat_hold_end_find(leat_hold_end *end, const leat_wish *wish,
                       leat_error *error) LEAT_MUST_CHECK;
void leat_hold_end_shard(leat_hold_end *end, const leat_config_shard *shard);

#endif
