/*
 * The asynchronous half of the sink seam. The address decides once, when a sink is opened, which
 * backend's table of operations it carries; every later call goes through that table, so that apply
 * never asks which kind of database a shard is.
 */
#include "sink/sink_ops.h"

leat_sink *leat_sink_new(uv_loop_t *loop, const leat_sink_config *config,
                         const leat_sink_events *events, leat_error *error)
{
    LEAT_ASSERT((config->at.sqlite != NULL) != (config->at.dsn != NULL));
    const leat_sink_ops *ops = config->at.sqlite ? &leat_sqlite_sink : &leat_pg_sink;
    return ops->open(loop, config, events, error);
}

void leat_sink_submit(leat_sink *sink, const leat_engine_job *job)
{
    sink->ops->submit(sink, job);
}

void leat_sink_write(leat_sink *sink, uint32_t job_id, leat_item *item,
                     const leat_sink_direct *direct)
{
    LEAT_ASSERT(sink->ops->write && direct->timeout_ms > 0);
    sink->ops->write(sink, job_id, item, direct);
}

void leat_sink_allow(leat_sink *sink, uint32_t connections)
{
    LEAT_ASSERT(connections > 0);
    if (sink->ops->allow)
        sink->ops->allow(sink, connections);
}

const leat_sink_counters *leat_sink_count(const leat_sink *sink)
{
    return sink->ops->count(sink);
}

void leat_sink_free(leat_sink *sink)
{
    if (sink)
        sink->ops->free(sink);
}

bool leat_sink_logs_failure(leat_engine_job_kind kind, leat_engine_outcome outcome)
{
    LEAT_ASSERT(kind != LEAT_ENGINE_JOB_NONE);
    if (kind == LEAT_ENGINE_JOB_BATCH || kind == LEAT_ENGINE_JOB_PARK ||
        kind == LEAT_ENGINE_JOB_LOAD)
        return false;
    switch (outcome) {
    case LEAT_ENGINE_OUTAGE:
    case LEAT_ENGINE_BAD_DATA:
    case LEAT_ENGINE_NOT_YET:
    case LEAT_ENGINE_DRIFT:
    case LEAT_ENGINE_RECORD_ERROR:
    case LEAT_ENGINE_NOT_UNDERSTOOD:
        return true;
    case LEAT_ENGINE_CONTENTION: /* a claim has waited long; a compaction, a look too, is made again
                                  */
        return kind == LEAT_ENGINE_JOB_CLAIM;
    default:
        return false;
    }
}
