/*
 * retry.h - what a subpartition does after a batch of it has failed: try again at once, alone, in
 * smaller pieces, or later.
 *
 * Contention (another session is in the way): again at once, the second time alone, then with
 * back-off and half as many records each time; one that a time limit ended has half as many at
 * once. A batch whose rows wait for a lock in vain is split at once: each subpartition alone, and
 * *blocked* from then on (contention.h says how often and how long those wait). A blocked one is
 * bisected as a refusal is, so that the records before the locked row are applied, and those after
 * it share no batch before it has passed. The record that is found waits with short pauses, and is
 * reported once it has been blocked for the lock timeout. Where the lock is the partition's, a
 * claim waits for it: only that partition's subpartitions wait, and nothing is held against them.
 *
 * An outage waits. When it comes a second time, from a statement with the data of records, one
 * record may be the cause: it is bisected as a refusal is, at once while other batches of the shard
 * get through, else with back-off. The record that is found waits alone, as long as the outage
 * lasts.
 *
 * A refusal (the data, the schema) is bisected: each subpartition of the batch alone, then prefixes
 * of half the length, until one record stands alone. No record ever runs before an earlier one.
 * Then it depends on the reason of the refusal:
 *   - bad data is dead at once when the refusal relies on no catalog read, else when it relies on
 *     one that began after the record was first refused alone. Until then it is tried again after
 *     the shortest back-off, and reported only if no catalog read comes for a minute;
 *   - not yet is dead when it is refused `patience_us` after it was *read*. The time runs while the
 *     record queues behind another one that waits: were they served in turn, a few bad records a
 *     second would stop all subpartitions. But the row it waits for may be before it in the log and
 *     be as late. So it dies only by a try that began when no record read earlier was left
 *     undecided; and it is tried at once, and once more after that, when a record that has waited
 *     at least as long is applied after all, because the rows may come one by one. No row can come
 *     while the table drifts or the database is unwell: then the time counts from the end of that;
 *   - a record error is the record's own if others of its table were applied since it was first
 *     refused alone. Then it is dead when it is refused `patience_us` after it was read. As long as
 *     no record of its table gets through, the error is the table's, and the record is held as
 *     with drift;
 *   - drift is tried again once, then held.
 * A not yet that may be a race with an insert beside ours counts as contention for two tries.
 *
 * Where a refused record's key can be held, nothing waits: patience costs the key, not its
 * subpartition. Then not yet is dead at once, and so is a record error once it is the record's own;
 * "dead" means that the key is held from then on.
 * An error that leat does not understand is not bisected: see LEAT_RETRY_HALT.
 *
 * A verdict is carried out at once or not at all. When the dead letter cannot be written, for
 * whatever reason, or the shard has been in trouble since, the record is first tried again as it
 * is, and only a new verdict makes it dead.
 */
#ifndef LEAT_ENGINE_RETRY_H
#define LEAT_ENGINE_RETRY_H

#include "engine/batch.h"

typedef struct leat_retry {
    uint32_t limit;      /* most records of the next batch; 0: no limit */
    uint32_t suspects;   /* one of the first this many records is refused; 0: not known */
    bool last_is_it;     /* the refused one is the last of the suspects */
    bool alone;          /* only in a batch of its own */
    bool blocked;        /* a wait for a lock by its records was too long, and the suspects have not
                            passed since */
    uint8_t timeouts;    /* of the head alone by a time limit, in a row */
    uint8_t contentions; /* in a row */
    uint8_t delays;      /* in a row, for the back-off */
    bool waiting;        /* the head was last refused alone with not yet */
    bool overdue;   /* and patience was over; this and the next are meaningful while `waiting` */
    bool last_call; /* and no record that was read before it was left undecided then */
    bool own;     /* the head was last refused alone with a record error; `table_applied` is of the
                     first of these */
    bool refused; /* the head was refused alone, at `refused_us` for the first time */
    bool dead;  /* the head was refused for good, with `dead_by`: its next batch keeps it as a dead
                   letter */
    bool holds; /* its next batch makes its key held instead; meaningful while `dead` */
    uint32_t trouble; /* leat_shard.trouble at that verdict; meaningful while `dead` */
    bool held;        /* by a single record that is refused, or by a lock that stays: reported */
    bool guarded;     /* held by the guard of its table (guard.c), which has set this */
    leat_engine_outcome dead_by;
    int64_t refused_us;
    uint64_t shard_applied; /* leat_retry_attempt's at the last outage of a statement with records
                             */
    uint64_t table_applied; /* leat_retry_attempt's; meaningful while `own` */
    int64_t unwell_us;   /* when drift or trouble of the shard last occurred: patience with the head
                            began no earlier. It outlives the record; a claim forgets it */
    int64_t blocked_us;  /* since when; this and the next are meaningful while `blocked` */
    int64_t waited_us;   /* when it last waited in vain */
    int64_t notified_us; /* when that was last reported; meaningful while `held` */
} leat_retry;

/* The batch, as one of its subpartitions sees it. */
typedef struct leat_retry_attempt {
    uint32_t queues;  /* subpartitions in it */
    uint32_t records; /* of this subpartition */
    int32_t culprit;  /* the refused record's index among them; -1: not known; see `elsewhere` */
    bool elsewhere;   /* the refused record is known and of another subpartition */
    bool preceded;    /* a record of its shard that was read before its head may still bring the row
                         that the head waits for */
    bool from_rows;   /* this and the next three as in leat_engine_job_result */
    bool is_lock_wait;
    bool timed_out;
    bool may_be_race;
    bool is_claimed;        /* a claim waits for its partition, which has ended the batch */
    bool holds;             /* its only record need not wait for anything: its key can be held */
    uint64_t shard_applied; /* batches that were applied in its shard so far */
    uint64_t table_applied; /* records of its head's table that were applied there so far */
    int64_t now_us;
    /* when its head was read, or its shard went on after a halt, if that is later */
    int64_t read_us;
    int64_t catalog_read_us; /* leat_engine_job_result */
    int64_t patience_us;
    int64_t lock_timeout_us; /* leat_engine_config */
} leat_retry_attempt;

typedef enum leat_retry_verdict {
    LEAT_RETRY_AT_ONCE,
    LEAT_RETRY_LATER, /* after a back-off */
    LEAT_RETRY_HELD,  /* after a back-off; a single record holds the queue, which is reported */
    LEAT_RETRY_DEAD, /* one record, alone in its batch, is refused for good: leat_retry_mark_dead or
                        leat_retry_hold follows */
    LEAT_RETRY_HALT, /* not understood: the shard halts. leat_retry_hold for its probe; all other
                        queues at once, alone */
} leat_retry_verdict;

/* A batch with `records` of this subpartition was applied. A limit that grows to
 * `batch_records_max` ends. */
void leat_retry_applied(leat_retry *retry, uint32_t records, uint32_t batch_records_max);
/* Since when there is patience with the head, which was read at `read_us` (as in
 * leat_retry_attempt). */
int64_t leat_retry_since_us(const leat_retry *retry, int64_t read_us);
/* A record with which there was patience since `since_us` was applied. Returns true if this one,
 * of `mine_us`, waits too and may be tried at once. */
bool leat_retry_hurry(leat_retry *retry, int64_t mine_us, int64_t since_us);
/* May the head, read at `read_us`, still bring the row that a record waits for with which there is
 * patience since `since_us`? Yes if the head is on its way, or waits itself, since earlier, and is
 * not overdue. A head that is held up for another reason may stay so and does not count.
 *
 * A head that is overdue may still be applied by its next try, and then hurries the other one.
 * This is why the delay before the last call is longer than all others at that point. An overdue
 * record does not wait for one that is overdue for longer: in a row they would die one by one, each
 * a delay after the other. */
bool leat_retry_precedes(const leat_retry *retry, int64_t read_us, int64_t since_us);
/* `delay_us`, or less for a record with which there is patience: it is tried when that ends. */
int64_t leat_retry_delay_us(const leat_retry *retry, const leat_retry_attempt *attempt,
                            int64_t delay_us);
/* A batch failed with an ERROR (contention, outage or a refusal). */
leat_retry_verdict leat_retry_failed(leat_retry *retry, leat_engine_outcome outcome,
                                     const leat_retry_attempt *attempt);
/* A batch was not run, because its record `culprit` was to be kept and there is no room: those
 * before it go on, and it waits alone. A lock that they wait for, and what else is known of them,
 * stays. */
leat_retry_verdict leat_retry_no_room(leat_retry *retry, const leat_retry_attempt *attempt);
/* What follows LEAT_RETRY_DEAD or LEAT_RETRY_HALT: the record is tried again as it is (HELD), or
 * kept as a dead letter, or as the first one of a held key (`holds`; AT_ONCE). */
leat_retry_verdict leat_retry_hold(leat_retry *retry);
leat_retry_verdict leat_retry_mark_dead(leat_retry *retry, leat_engine_outcome refused_with,
                                        bool holds);
/* The verdict no longer counts. A dead letter that fails does this by itself. */
void leat_retry_unmark_dead(leat_retry *retry);

/* How long a record that waits may be left alone before its last try, with these back-offs. */
int64_t leat_retry_last_call_us(int64_t retry_min_us, int64_t retry_max_us);

/* Its records were dropped, to be read again. How far the bisection has come stays known, as long
 * as the head is the same, and that it is blocked. */
void leat_retry_dropped(leat_retry *retry);

#endif
