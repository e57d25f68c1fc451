/*
 * measure.h - what batches cost in a shard, measured there: a short benchmark on a copy of a
 * table's shape and of some of its rows, in a schema of its own, LEAT_MEASURE_SCHEMA, which is
 * dropped again whatever happens but the end of the process. PostgreSQL only.
 *
 * Harmless means: the user's tables are only read, LEAT_MEASURE_ROWS_MAX rows at most; nothing
 * waits for a lock for longer than a second; no statement runs for longer than ten; all of it is
 * over after LEAT_MEASURE_SECONDS of writing, over LEAT_MEASURE_CONNECTIONS connections at most.
 *
 * A batch is what leat sends: one row of progress and one MERGE of rows that come as arrays, in one
 * pipeline with one commit, which waits for the disk as those of the shard do. Foreign keys and
 * triggers are not copied, so what they cost is not in the figures.
 */
#ifndef LEAT_SINK_MEASURE_H
#define LEAT_SINK_MEASURE_H

#include <stdatomic.h>

#include "record/table.h"
#include "sink/shard.h"

#define LEAT_MEASURE_SCHEMA "leat_plan_scratch"

enum {
    LEAT_MEASURE_ROWS_MIN = 100,
    LEAT_MEASURE_ROWS_MAX = 20000,
    LEAT_MEASURE_CONNECTIONS = 4,
    LEAT_MEASURE_SECONDS = 5,
    LEAT_MEASURE_SIZES = 4,
};

typedef struct leat_measurement {
    uint32_t copied; /* rows */
    /* One connection: the sizes of batches, and what one takes: the mean over batches of different
     * rows, each the median of its runs. */
    uint32_t size_count;
    uint32_t sizes[LEAT_MEASURE_SIZES];
    double batch_us[LEAT_MEASURE_SIZES];
    /* Several, each with rows of its own, in batches of the largest size: how many times as much as
     * one of them alone they write. */
    double speed_up;
} leat_measurement;

/* `commits_async`: as leat_sink_config. Stops soon, with an error, once `*stop` is set; a signal
 * handler may do that. 0, 2 the database does not answer, -1 error: too few rows, no right to
 * create a schema, ... */
int leat_measure(leat_shard_address at, const leat_table *table, bool commits_async,
                 const atomic_bool *stop, leat_measurement *ret, leat_error *error) LEAT_MUST_CHECK;

#endif
