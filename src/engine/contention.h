/*
 * contention.h - how long batches of a shard wait for locks, and how much of the shard's slots goes
 * to queues that are known to wait for one.
 *
 * A batch that several subpartitions share waits for a short time only: as long as four usual
 * batches, at least LEAT_LOCK_WAIT_MIN_US. Then each of its subpartitions goes alone. Those that
 * wait for a lock then are *blocked* (retry.h), and share a lane of the shard: a quarter of its
 * slots, at least one; where one slot is more than a quarter, the lane rests between two attempts.
 * So ten locked rows in ten subpartitions take from the others no more than one does.
 *
 * When attempts of the lane pass, it widens with each, since whatever held all of them is gone (a
 * lock on the table). The next one that waits in vain narrows it again. (The slow start of TCP:
 * S. Floyd et al., RFC 5681.)
 *
 * A blocked queue waits longer each time, for a row that is never free for long; but only while no
 * other one waits for the lane, so that one that is released is noticed soon.
 */
#ifndef LEAT_ENGINE_CONTENTION_H
#define LEAT_ENGINE_CONTENTION_H

#include "base/base.h"

/* All that others' short transactions need; what holds a lock for longer may hold it for hours. */
#define LEAT_LOCK_WAIT_MIN_US (50 * INT64_C(1000))
/* A blocked queue waits no longer at a time: until its attempt ends it cannot be parked, and its
 * records cannot be left out. */
#define LEAT_LOCK_WAIT_MAX_US (2000 * INT64_C(1000))
/* What one statement of a queue that fails may take. No good one takes as long. */
#define LEAT_STATEMENT_MIN_US (1000 * INT64_C(1000))
/* A sink gives a job up after 60 s: the server ends its statements long before that. */
#define LEAT_STATEMENT_MAX_US (25 * INT64_C(1000000))

/* Of a shard. */
typedef struct leat_contention {
    int64_t usual_us; /* the median of batches that several subpartitions share; 0: not known */
    int64_t rest_us;  /* the lane rests until then */
    uint32_t kept;    /* of the queues that were told to wait until then, the one that keeps its
                         loaded records (schedule.c); meaningful as long as it waits so long */
    uint32_t running; /* attempts of blocked queues in flight, stale ones too */
    uint32_t widened; /* as many more than a quarter may be */
} leat_contention;

/* A batch that several subpartitions share was applied in `took_us`. */
void leat_contention_sample(leat_contention *contention, int64_t took_us);
/* May an attempt of a blocked queue start, in a shard with `slots`? */
bool leat_contention_has_room(const leat_contention *contention, uint32_t slots, int64_t now_us);
void leat_contention_started(leat_contention *contention);
/* One that started has ended, after `took_us`. `waited`: in vain, for a lock. `passed`: it was
 * applied. */
void leat_contention_ended(leat_contention *contention, uint32_t slots, bool waited, bool passed,
                           int64_t took_us, int64_t now_us);

/* The lane rests, and a queue has come that is ready for it: how long does it wait? The one that
 * last waited in vain (`waited_us`) is the last one again, a little later than others, even if a
 * claim was between and it was the first one to be read. */
int64_t leat_contention_rest_us(const leat_contention *contention, int64_t now_us,
                                int64_t waited_us);

/* How long a batch may wait for a lock that several subpartitions share, or that has not waited in
 * vain yet. At most `most_us`, as all of these. */
int64_t leat_contention_wait_us(const leat_contention *contention, int64_t most_us);
/* The same for a blocked queue that has waited in vain `failures` times in a row: at most
 * LEAT_LOCK_WAIT_MAX_US. `has_rivals`: another one waits for the lane. */
int64_t leat_contention_blocked_wait_us(const leat_contention *contention, uint32_t failures,
                                        bool has_rivals, uint32_t slots, int64_t most_us);
/* How long a statement may take of a queue that fails, after `timeouts` of a single record in a
 * row. It is well above `wait_us`, so that a wait for a lock ends as such. */
int64_t leat_contention_statement_us(const leat_contention *contention, uint32_t timeouts,
                                     int64_t wait_us);

#endif
