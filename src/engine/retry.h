/*
 * retry.h - what a subpartition does after a batch of it has failed: at once again, alone, in smaller pieces, later.
 *
 * Contention (somebody else is in the way) is tried again at once, the second time alone, then with back-off. An
 * outage waits. A refusal (the data, the schema, something not understood) is hunted down: first each subpartition of
 * the batch alone, then prefixes of halved length, until one record stands alone; nothing ever runs before what stands
 * before it.
 */
#ifndef LEAT_ENGINE_RETRY_H
#define LEAT_ENGINE_RETRY_H

#include "engine/batch.h"

typedef struct leat_retry {
    uint32_t limit;      /* most records of the next batch; 0: no limit */
    uint32_t suspects;   /* so many records at the head hold one that is refused; 0: not known */
    bool last_is_it;     /* the refused one is the last of the suspects */
    bool alone;          /* only in a batch of its own */
    uint8_t contentions; /* in a row */
    uint8_t delays;      /* in a row, for the back-off */
    bool held;           /* by a single record that is refused, or by a lock that does not go away: said */
    int64_t said_us;     /* when that was last said; meaningful while `held` */
} leat_retry;

/* What the batch was, from one subpartition's point of view. */
typedef struct leat_attempt {
    uint32_t queues;   /* subpartitions in it */
    uint32_t records;  /* of this subpartition */
    int32_t culprit;   /* the refused record's index among them; -1: not known; see `elsewhere` */
    bool elsewhere;    /* the refused record is known and of another subpartition */
} leat_attempt;

typedef enum leat_verdict {
    LEAT_AGAIN, /* at once */
    LEAT_LATER, /* after a back-off */
    LEAT_HELD,  /* after a back-off, and a single record holds it: to be said loudly */
} leat_verdict;

/* A batch was applied that had `records` of this subpartition. `batch_records_max`: where a limit ends to be one. */
void leat_retry_applied(leat_retry *retry, uint32_t records, uint32_t batch_records_max);
/* A batch failed with an ERROR (contention, outage or a refusal). */
leat_verdict leat_retry_failed(leat_retry *retry, leat_outcome outcome, const leat_attempt *attempt);

/* The n-th delay in a row (n >= 1): min, 2 min, 4 min ... max, of which a random half is taken off. */
int64_t leat_backoff_us(leat_prng *prng, uint32_t n, int64_t min_us, int64_t max_us);

#endif
