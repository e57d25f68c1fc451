/*
 * leave_out.c - records that are committed without being written, because the caller wants it. The
 * engine knows nothing of the reason: it is told for each batch, when that is about to run, so that
 * the caller's mind of that moment counts, wherever the record has waited until then. Whoever
 * changes it says so by a recheck, because a record that holds up its queue is not tried for up to
 * the longest back-off. One that is in flight then is tried at once when that has failed.
 */
#include "engine/state.h"

#include "engine/key_retry.h"
#include "engine/timers.h"

void leat_engine_skip(leat_engine *engine, uint32_t job_id, uint32_t index)
{
    LEAT_ASSERT(job_id < engine->config.jobs_max);
    leat_job_slot *slot = &engine->jobs[job_id];
    leat_engine_batch *batch = &slot->job.batch;
    LEAT_ASSERT(slot->state == LEAT_JOB_RUNNING && slot->job.kind == LEAT_ENGINE_JOB_BATCH);
    LEAT_ASSERT(!batch->dead && !batch->hold && index < batch->record_count &&
                !batch->records[index].skip);
    leat_engine_batch_record *record = &batch->records[index];
    batch->kept -= record->keep;
    record->keep = false;
    record->skip = true;
    batch->skipped++;
}

void leat_engine_repeat(leat_engine *engine, uint32_t job_id, uint32_t index, bool is_conflict)
{
    leat_engine_skip(engine, job_id, index);
    leat_engine_batch *batch = &engine->jobs[job_id].job.batch;
    batch->records[index].repeat = true;
    batch->records[index].conflict = is_conflict;
    batch->repeated++;
    batch->conflicts += is_conflict;
}

bool leat_engine_part_is_current(const leat_engine *engine, const leat_engine_batch_part *part)
{
    LEAT_ASSERT(part->partition < engine->config.partition_count);
    return engine->partitions[part->partition].incarnation == part->incarnation;
}

void leat_engine_recheck(leat_engine *engine, int64_t now_us, uint32_t shard,
                         bool (*is_wanted)(void *context, void *payload), void *context)
{
    leat_timers_advance(engine, now_us);
    LEAT_ASSERT(shard < engine->config.shard_count);
    leat_shard *at = &engine->shards[shard];
    at->rechecked_us = now_us;
    for (uint32_t i = 0; i < at->partition_count; i++) {
        uint32_t first = leat_queue_id(engine, at->partitions[i], 0);
        uint32_t left = engine->partitions[at->partitions[i]].waiting;
        for (uint32_t id = first; left > 0; id++) {
            const leat_queue *queue = &engine->queues[id];
            if (queue->place != LEAT_QUEUE_WAITING)
                continue;
            left--;
            const leat_head_record head = leat_queue_head(engine, id);
            if (!head.payload || is_wanted(context, head.payload))
                leat_heap_set(&engine->timers, id, now_us);
        }
    }
    leat_timers_advance(engine, now_us);
}

void leat_engine_look(leat_engine *engine, int64_t now_us, uint32_t shard, bool is_wanted)
{
    leat_timers_advance(engine, now_us);
    LEAT_ASSERT(shard < engine->config.shard_count);
    leat_shard *at = &engine->shards[shard];
    at->looks = is_wanted;
    for (uint32_t i = 0; i < at->partition_count; i++) {
        leat_partition *partition = &engine->partitions[at->partitions[i]];
        leat_held_look(&partition->held, is_wanted ? engine->now_us : INT64_MAX);
        leat_key_retry_plan(engine, partition);
    }
    leat_timers_advance(engine, now_us);
}
