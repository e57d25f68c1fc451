/*
 * lag.h - how far the shards are behind the log, from outside: the log's ends against the progress
 * that the shards have recorded. It does not ask any worker, so it works while none runs. All
 * shards are read at once; one that does not answer costs only its time limit.
 *
 * Records are those above a partition's low water, and those below it that are parked in its shard.
 * The first are an upper bound, since subpartitions overtake each other, only compactions record
 * the low water, and not every offset holds a record. It never leaves out an unapplied record:
 * parked ones above the recorded low water that the log no longer has are counted as well. The log
 * is asked for a record after the low water: where there is none, and nothing is parked, the
 * number is 0.
 */
#ifndef LEAT_WATCH_LAG_H
#define LEAT_WATCH_LAG_H

#include "log/log.h"
#include "sink/shard.h"

/* What the processes that work in the shards have reported, and what they do there. */
typedef enum leat_lag_work {
    LEAT_LAG_WORK_NOT,
    LEAT_LAG_WORK_IF_READ, /* a shard where only that cannot be read counts as read */
    LEAT_LAG_WORK_NEEDED,
} leat_lag_work;

/* What to read. Everything pointed at outlives the call. */
typedef struct leat_lag_query {
    const leat_log_config *log;
    const leat_shard_address *shards; /* [shard_count], as configured */
    uint32_t shard_count;
    leat_lag_work work;        /* `works` too */
    const leat_source *source; /* the running source; NULL: the log did not answer, so no shard is
                                  compared with it and no partition is known */
    const leat_layout *layout; /* its layout; NULL likewise */
} leat_lag_query;

typedef struct leat_lag_partition {
    uint32_t partition;
    uint32_t shard; /* as configured */
    bool is_known;  /* its shard could be read. Else only `end`, `held_from` and `held` are known */
    int64_t end;    /* offset after the last record */
    int64_t low;
    int64_t applied;
    int64_t epoch;
    int64_t records;
    int64_t parked; /* of these */
    int64_t parked_bytes;
    int64_t parked_below;     /* of the low water; the others are among the records above it */
    int64_t parked_oldest_ms; /* 0: nothing is parked */
    int64_t age_ms;    /* since the record above the low water was accepted, or an older one that is
                          parked; 0: there is none; -1: it could not be read */
    int64_t held_from; /* an open transaction of a foreign producer begins there: nothing from there
                          on can be read yet */
    int64_t held;      /* how many offsets it holds back; 0: there is no such transaction */
} leat_lag_partition;

typedef struct leat_lag_sum {
    uint32_t partitions; /* how many are summed: those that are known */
    int64_t records;
    int64_t parked;
    int64_t parked_bytes;
    int64_t age_ms; /* of the oldest; -1: that of some partition is not known */
} leat_lag_sum;

typedef struct leat_lag {
    uint32_t count;
    leat_lag_partition *partitions; /* all of the topic, in order */
    leat_lag_sum shards[LEAT_SHARDS_MAX];
    leat_lag_sum total;
    leat_error errors[LEAT_SHARDS_MAX]; /* of the shards that could not be read; empty: it was read
                                         */
    uint32_t failed;                    /* how many */
    bool silent[LEAT_SHARDS_MAX];       /* did not answer at all */
    bool log_is_silent;
    leat_shard_work works[LEAT_SHARDS_MAX]; /* of the shards that could be read, when requested;
                                               else nothing is in it */
} leat_lag;

/* -1: the log cannot be read. Then, and without a source, there are no partitions and sums; the
 * shards are read in any case. `ret` is large: keep it off the stack. leat_lag_fini in any case. */
int leat_lag_read(const leat_lag_query *query, leat_lag *ret, leat_error *error) LEAT_MUST_CHECK;
void leat_lag_fini(leat_lag *lag);

/* What the log has ahead of the low water of the partition. Pure; leat_lag_read does it for each.
 */
void leat_lag_take_ahead(leat_lag_partition *partition, const leat_log_ahead *ahead,
                         int64_t now_ms);

/* The shard's first partition that an open transaction holds back; borrowed. NULL: none. */
const leat_lag_partition *leat_lag_first_held(const leat_lag *lag, uint32_t shard);

enum { LEAT_LAG_SECONDS_SIZE = 48, LEAT_LAG_HELD_SIZE = 160 };
/* A sentence about the partition's open transaction; `held` is not 0. Returns `ret`. */
const char *leat_lag_held(const leat_lag_partition *partition, char ret[LEAT_LAG_HELD_SIZE]);
/* ", 5 of them parked", or "". Returns `ret`. */
const char *leat_lag_parked(int64_t parked, char ret[LEAT_LAG_SECONDS_SIZE]);
/* "12.3", or "unknown". Returns `ret`. */
const char *leat_lag_seconds(int64_t age_ms, char ret[LEAT_LAG_SECONDS_SIZE]);

#endif
