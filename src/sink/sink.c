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

const leat_sink_counters *leat_sink_count(const leat_sink *sink)
{
    return sink->ops->count(sink);
}

void leat_sink_free(leat_sink *sink)
{
    if (sink)
        sink->ops->free(sink);
}
