/*
 * sink_ops.h - the backends' side of sink.h, as a table; each function under the terms that sink.h
 * states for its namesake. Not for use outside src/sink.
 */
#ifndef LEAT_SINK_SINK_OPS_H
#define LEAT_SINK_SINK_OPS_H

#include "sink/sink.h"

typedef struct leat_sink_ops {
    leat_sink *(*open)(uv_loop_t *loop, const leat_sink_config *config,
                       const leat_sink_events *events, leat_error *error);
    void (*submit)(leat_sink *sink, const leat_engine_job *job);
    /* NULL: not for this backend. */
    void (*write)(leat_sink *sink, uint32_t job_id, leat_item *item,
                  const leat_sink_direct *direct);
    void (*allow)(leat_sink *sink, uint32_t connections); /* NULL: it has no use for it */
    const leat_sink_counters *(*count)(const leat_sink *sink);
    void (*free)(leat_sink *sink);
} leat_sink_ops;

/* Between attempts to reach the database, growing with each that fails: short enough that a restart
 * of the server is hardly noticed, long enough that an outage is not filled with attempts. */
enum { LEAT_SINK_RETRY_MIN_MS = 100, LEAT_SINK_RETRY_MAX_MS = 5000 };

/* What every sink begins with. */
struct leat_sink {
    const leat_sink_ops *ops;
};

/* Whether a sink logs a job that failed. The engine reports failures of batches, parks and loads;
 * it tries a claim or a compaction again indefinitely and reports nothing, so that only the sink's
 * line shows that a partition stands still. */
bool leat_sink_logs_failure(leat_engine_job_kind kind, leat_engine_outcome outcome);

extern const leat_sink_ops leat_pg_sink;     /* sink/pg/pool.c */
extern const leat_sink_ops leat_sqlite_sink; /* sink/sqlite/sink.c */

#endif
