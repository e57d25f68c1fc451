/*
 * retry.h - what a subpartition does after a batch of it has failed: at once again, alone, in smaller pieces, later.
 *
 * Contention (somebody else is in the way) is tried again at once, the second time alone, then with back-off and half
 * as many records each time. An outage waits. A refusal (the data, the schema) is hunted down: first each subpartition
 * of the batch alone, then prefixes of halved length, until one record stands alone; nothing ever runs before what
 * stands before it. Then, by what it was refused with:
 *   - bad data is dead, at once when the refusal relies on no look at the tables, else when it relies on a look that
 *     began after the record was first refused alone: until then it is tried again after the shortest back-off, without
 *     a word unless no look comes for a minute;
 *   - not yet is dead when it is refused after `patience_us` in which it was refused with nothing else: what it lacks
 *     cannot come while the table drifts or the database is unwell. Nor does patience begin while something that was
 *     read before it has not been tried yet, which may bring what it lacks; and it begins anew, and the record is tried
 *     at once, when one that has waited for at least as long is applied after all: what it lacks may come one by one;
 *   - drift is tried again once, then held.
 * What is not understood is not hunted down: see LEAT_HALT.
 *
 * A verdict is carried out at once or not at all: when the dead letter cannot be written, for whatever reason, or the
 * shard has been in trouble since, the record is first tried again as it is, and only a fresh verdict makes it dead.
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
    bool waiting;        /* the head was last refused alone with not yet, and patience with it began at `waiting_us` */
    bool refused;        /* the head was refused alone, at `refused_us` for the first time */
    bool dead;           /* the head was refused for good, with `dead_by`: its next batch keeps it as a dead letter */
    uint32_t trouble;    /* leat_shard.trouble when that was found; meaningful while `dead` */
    bool held;           /* by a single record that is refused, or by a lock that does not go away: said */
    bool guarded;        /* held by the guard of its table (guard.c), which has set this */
    leat_outcome dead_by;
    int64_t refused_us;
    int64_t waiting_us;
    int64_t said_us;     /* when that was last said; meaningful while `held` */
} leat_retry;

/* What the batch was, from one subpartition's point of view. */
typedef struct leat_attempt {
    uint32_t queues;   /* subpartitions in it */
    uint32_t records;  /* of this subpartition */
    int32_t culprit;   /* the refused record's index among them; -1: not known; see `elsewhere` */
    bool elsewhere;    /* the refused record is known and of another subpartition */
    bool preceded;     /* something of its shard was read before it and has not been tried yet */
    int64_t now_us;
    int64_t looked_us; /* leat_job_result */
    int64_t patience_us;
} leat_attempt;

typedef enum leat_verdict {
    LEAT_AGAIN, /* at once */
    LEAT_LATER, /* after a back-off */
    LEAT_HELD,  /* after a back-off, and a single record holds it: to be said loudly */
    LEAT_DEAD,  /* one record, alone in its batch, is refused for good: leat_retry_bury it or leat_retry_hold it */
    LEAT_HALT,  /* not understood: the shard halts. Whoever is its probe: leat_retry_hold; all others: at once, alone */
} leat_verdict;

/* A batch was applied that had `records` of this subpartition. `batch_records_max`: where a limit ends to be one. */
void leat_retry_applied(leat_retry *retry, uint32_t records, uint32_t batch_records_max);
/* A record that has waited since `since_us` was applied. True: this one waits too and may be tried at once. */
bool leat_retry_spur(leat_retry *retry, int64_t since_us, int64_t now_us);
/* A batch failed with an ERROR (contention, outage or a refusal). */
leat_verdict leat_retry_failed(leat_retry *retry, leat_outcome outcome, const leat_attempt *attempt);
/* What a verdict may come to: it is tried again as it is (LEAT_HELD), or as a dead letter (LEAT_AGAIN). */
leat_verdict leat_retry_hold(leat_retry *retry);
leat_verdict leat_retry_bury(leat_retry *retry, leat_outcome refused_with);
/* The verdict does not count any more: nothing is known of the record. A dead letter that fails does this by itself. */
void leat_retry_revive(leat_retry *retry);

/* The n-th delay in a row (n >= 1): min, 2 min, 4 min ... max, of which a random half is taken off. */
int64_t leat_backoff_us(leat_prng *prng, uint32_t n, int64_t min_us, int64_t max_us);

#endif
