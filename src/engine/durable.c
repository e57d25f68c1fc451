/*
 * durable.c - keeps what is durable apart from what is applied.
 */
#include "engine/durable.h"

#include "engine/compact.h"
#include "engine/low_water.h"
#include "engine/timers.h"

int64_t leat_durable_low(const leat_engine *engine, const leat_partition *partition)
{
    bool is_async = engine->shards[partition->shard].commits_async;
    return is_async ? partition->durable_low : leat_partition_low(engine, partition);
}

void leat_durable_compacted(leat_engine *engine, leat_partition *partition,
                            const leat_engine_compaction *compaction)
{
    LEAT_ASSERT(compaction->base_seq >= partition->progress.base_seq);
    bool has_written = compaction->base_seq > partition->progress.base_seq;
    if (!engine->shards[partition->shard].commits_async || !has_written ||
        compaction->low <= partition->durable_low)
        return;
    partition->durable_low = compaction->low;
    leat_partition_commit(engine, partition, false);
}

void leat_engine_doubted(leat_engine *engine, int64_t now_us, uint32_t shard)
{
    leat_timers_advance(engine, now_us);
    LEAT_ASSERT(shard < engine->config.shard_count);
    const leat_shard *at = &engine->shards[shard];
    for (uint32_t i = 0; i < at->partition_count; i++) {
        leat_partition *partition = &engine->partitions[at->partitions[i]];
        if (partition->state == LEAT_ENGINE_READING)
            leat_compaction_hurry(engine, partition);
    }
}

void leat_engine_pooled(leat_engine *engine, int64_t now_us, uint32_t shard, bool is_pooled)
{
    leat_timers_advance(engine, now_us);
    LEAT_ASSERT(shard < engine->config.shard_count);
    leat_shard *at = &engine->shards[shard];
    at->is_veiled = at->commits_async && is_pooled;
    for (uint32_t i = 0; i < at->partition_count; i++)
        leat_compaction_plan(engine, &engine->partitions[at->partitions[i]]);
}

void leat_engine_make_durable(leat_engine *engine, uint32_t job_id)
{
    LEAT_ASSERT(job_id < engine->config.jobs_max);
    leat_job_slot *slot = &engine->jobs[job_id];
    LEAT_ASSERT(slot->state == LEAT_JOB_RUNNING && slot->job.kind == LEAT_ENGINE_JOB_BATCH);
    slot->job.batch.is_durable = true;
}
