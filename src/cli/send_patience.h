/*
 * send_patience.h - for how long `leat send` goes on while nothing is taken. With most refusals an
 * edge asks for a wait of a second, whatever is wrong. A longer one says when another try is worth
 * it, so it is waited for, and its time does not count: the limit begins when it is over. Pure.
 */
#ifndef LEAT_CLI_SEND_PATIENCE_H
#define LEAT_CLI_SEND_PATIENCE_H

#include "base/base.h"

enum {
    LEAT_SEND_RETRY_S = 1,           /* usually */
    LEAT_SEND_ASKED_MAX_S = 60 * 60, /* of a longer wait that is asked for; then it is tried */
};

typedef struct leat_send_patience {
    int64_t since_us; /* the limit begins; ahead where a wait was asked for. Monotonic */
} leat_send_patience;

/* Something was taken, or there is something to send again. */
void leat_send_patience_moved(leat_send_patience *patience, int64_t now_us);
/* An answer refuses for now, and asks for a wait of `seconds` (0 or less: for none). Returns how
 * long to wait, in ms. */
int64_t leat_send_patience_asked(leat_send_patience *patience, int64_t now_us, int64_t seconds);
bool leat_send_patience_is_over(const leat_send_patience *patience, int64_t now_us,
                                int64_t limit_s);

#endif
