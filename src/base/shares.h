/*
 * shares.h - one limit that many users draw from, and that none of them can use up: requests in
 * flight by partition, and their bytes. Half of the limit is divided among the users as fixed
 * parts. From the other half a user may borrow as much as it leaves free. So a user that never
 * gives anything back (a partition whose broker hangs) holds at most its own part and a quarter of
 * the limit, and each further one half of what is left. A user that holds nothing may take one
 * amount of any size that is free: a part can be smaller than a record.
 *
 * Our own, because it is twenty lines. The rule for the borrowed half is the one by which switches
 * share memory among their ports ("dynamic threshold"); alone it would leave later users less and
 * less, hence the fixed part.
 *
 * No locks: one thread.
 */
#ifndef LEAT_BASE_SHARES_H
#define LEAT_BASE_SHARES_H

#include "base/base.h"

typedef struct leat_shares {
    uint64_t limit; /* of the sum */
    uint64_t own;   /* each user's part */
    uint64_t pool;  /* may be borrowed */
    uint64_t used;
    uint64_t lent;
} leat_shares;

/* One user has the whole limit. */
void leat_shares_init(leat_shares *shares, uint64_t limit, uint64_t users);
/* `mine` is the amount that the user holds, 0 at first, kept by the caller. False: not now; nothing
 * has changed. */
bool leat_shares_take(leat_shares *shares, uint64_t *mine, uint64_t amount) LEAT_MUST_CHECK;
void leat_shares_give(leat_shares *shares, uint64_t *mine, uint64_t amount);

#endif
