/*
 * retry.h - what a subpartition does after a batch of it has failed: at once again, alone, in
 * smaller pieces, later.
 *
 * Contention (somebody else is in the way) is tried again at once, the second time alone, then with
 * back-off and half as many records each time. An outage waits. When it comes again, from a
 * statement that carries records, it may be one record's: it is hunted down as a refusal is, at
 * once while others of the shard get through, else with back-off; the record then waits alone, for
 * as long as it lasts. A refusal (the data, the schema) is hunted down: first each subpartition of
 * the batch alone, then prefixes of halved length, until one record stands alone; nothing ever runs
 * before what stands before it. Then, by what it was refused with:
 *   - bad data is dead, at once when the refusal relies on no look at the tables, else when it
 * relies on a look that began after the record was first refused alone: until then it is tried
 * again after the shortest back-off, without a word unless no look comes for a minute;
 *   - not yet is dead when it is refused `patience_us` after it was *read*, so that what has queued
 * behind another wait has used up its own: were waits served in turn, a few bad records a second
 * would stop all subpartitions. What it lacks may stand before it in the log, though, and be as
 * late: so it dies only by a try that began when nothing read earlier was left to be decided; and
 * it is tried at once, and once more after that, when one that has waited for at least as long is
 * applied after all: what it lacks may come one by one. And nothing can come while the table drifts
 *     or the database is unwell: the time counts from the end of that, if it is later;
 *   - a record error is the record's own when others of its table were applied since it was first
 * refused alone: then it is dead when it is refused `patience_us` after it was read. While nothing
 * of its table gets through it is the table's, and is held as drift is;
 *   - drift is tried again once, then held.
 * Not yet that may be a race with an insert beside ours is contention for two tries.
 * What is not understood is not hunted down: see LEAT_RETRY_HALT.
 *
 * A verdict is carried out at once or not at all: when the dead letter cannot be written, for
 * whatever reason, or the shard has been in trouble since, the record is first tried again as it
 * is, and only a fresh verdict makes it dead.
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
    bool waiting;        /* the head was last refused alone with not yet */
    bool overdue;        /* and patience was over; these two are meaningful while `waiting` */
    bool last_call;      /* and nothing that was read before it was left to be decided then */
    bool own;     /* the head was last refused alone with a record error; `table_applied` is of the
                     first of these */
    bool refused; /* the head was refused alone, at `refused_us` for the first time */
    bool dead; /* the head was refused for good, with `dead_by`: its next batch keeps it as a dead
                  letter */
    uint32_t trouble; /* leat_shard.trouble when that was found; meaningful while `dead` */
    bool held;    /* by a single record that is refused, or by a lock that does not go away: said */
    bool guarded; /* held by the guard of its table (guard.c), which has set this */
    leat_engine_outcome dead_by;
    int64_t refused_us;
    uint64_t shard_applied; /* leat_retry_attempt's at the last outage of a statement with records
                             */
    uint64_t table_applied; /* leat_retry_attempt's; meaningful while `own` */
    int64_t unwell_us; /* drift or trouble of the shard was last met then: patience with whatever is
                          the head began later. It outlives the record; a claim forgets it */
    int64_t notified_us; /* when that was last said; meaningful while `held` */
} leat_retry;

/* What the batch was, from one subpartition's point of view. */
typedef struct leat_retry_attempt {
    uint32_t queues;  /* subpartitions in it */
    uint32_t records; /* of this subpartition */
    int32_t culprit;  /* the refused record's index among them; -1: not known; see `elsewhere` */
    bool elsewhere;   /* the refused record is known and of another subpartition */
    bool preceded; /* something of its shard was read before its head and may still bring what that
                      lacks */
    bool of_rows;  /* as in leat_engine_job_result */
    bool races;
    uint64_t shard_applied; /* batches that were applied in its shard so far */
    uint64_t table_applied; /* records of its head's table that were applied there so far */
    int64_t now_us;
    /* when its head was read, or its shard went on after a halt, if that is later */
    int64_t read_us;
    int64_t catalog_read_us; /* leat_engine_job_result */
    int64_t patience_us;
} leat_retry_attempt;

typedef enum leat_retry_verdict {
    LEAT_RETRY_AT_ONCE, /* at once */
    LEAT_RETRY_LATER,   /* after a back-off */
    LEAT_RETRY_HELD,    /* after a back-off, and a single record holds it: to be said loudly */
    LEAT_RETRY_DEAD, /* one record, alone in its batch, is refused for good: leat_retry_mark_dead it
                  or leat_retry_hold it */
    LEAT_RETRY_HALT, /* not understood: the shard halts. Whoever is its probe: leat_retry_hold; all
                  others: at once, alone */
} leat_retry_verdict;

/* A batch was applied that had `records` of this subpartition. `batch_records_max`: where a limit
 * ends to be one. */
void leat_retry_applied(leat_retry *retry, uint32_t records, uint32_t batch_records_max);
/* Since when there is patience with the head, which was read at `read_us` (as in
 * leat_retry_attempt). */
int64_t leat_retry_since_us(const leat_retry *retry, int64_t read_us);
/* A record with which there was patience since `since_us` was applied. True: this one, of
 * `mine_us`, waits too and may be tried at once. */
bool leat_retry_hurry(leat_retry *retry, int64_t mine_us, int64_t since_us);
/* May the head, read at `read_us`, still bring what another one lacks with which there is patience
 * since `since_us`? It is on its way, or is itself waited for, since longer, and that is not over.
 * (Once it is over, it may be applied all the same, by its next try, and then spurs the other;
 * which is why the last call comes after a longer delay than any other try then. Who is overdue
 * does not wait for who is overdue longer: in a row they would die one by one, a delay after each
 * other.) What is held up by anything else may stay so and counts for nothing. */
bool leat_retry_precedes(const leat_retry *retry, int64_t read_us, int64_t since_us);
/* How long the delay `delay_us` may be for a record with which there is patience: it is tried when
 * that ends. */
int64_t leat_retry_delay_us(const leat_retry *retry, const leat_retry_attempt *attempt,
                            int64_t delay_us);
/* A batch failed with an ERROR (contention, outage or a refusal). */
leat_retry_verdict leat_retry_failed(leat_retry *retry, leat_engine_outcome outcome,
                                     const leat_retry_attempt *attempt);
/* What a verdict may come to: it is tried again as it is (LEAT_RETRY_HELD), or as a dead letter
 * (LEAT_RETRY_AT_ONCE). */
leat_retry_verdict leat_retry_hold(leat_retry *retry);
leat_retry_verdict leat_retry_mark_dead(leat_retry *retry, leat_engine_outcome refused_with);
/* The verdict does not count any more: nothing is known of the record. A dead letter that fails
 * does this by itself. */
void leat_retry_unmark_dead(leat_retry *retry);

/* Its records were dropped, to be read again: how far the hunt has come stays known, as long as the
 * head is the same. */
void leat_retry_dropped(leat_retry *retry);

#endif
