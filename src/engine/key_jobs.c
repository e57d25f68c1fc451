/*
 * key_jobs.c - the two jobs of a retry (key_retry.c): a load, and a batch of what it has brought.
 */
#include "engine/key_jobs.h"

#include "engine/fair.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"

uint32_t leat_key_job_queue(const leat_engine *engine, const leat_partition *partition)
{
    return leat_queue_id(engine, leat_partition_id(engine, partition),
                         partition->retry.subpartition);
}

static uint32_t most_records(const leat_engine *engine, const leat_held_place *place)
{
    uint32_t most = engine->config.batch_records_max < LEAT_KEY_JOB_RECORDS_MAX
                        ? engine->config.batch_records_max
                        : LEAT_KEY_JOB_RECORDS_MAX;
    return place->limit > 0 && place->limit < most ? place->limit : most;
}

const leat_engine_job *leat_key_job_load(leat_engine *engine, leat_shard *shard,
                                         leat_partition *partition)
{
    const leat_held_place *place = leat_held_find(&partition->held, partition->retry.key);
    leat_job_slot *slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_LOAD);
    slot->job.partition = leat_partition_id(engine, partition);
    slot->job.incarnation = partition->incarnation;
    slot->job.load = (leat_engine_load){.claim = partition->progress.claim,
                                        .key = partition->retry.key,
                                        .most = most_records(engine, place)};
    partition->retry.step = LEAT_KEY_RETRY_LOADING;
    partition->retry.is_look = place->look_us <= engine->now_us;
    return &slot->job;
}

static void add_records(const leat_engine *engine, leat_engine_batch *batch,
                        const leat_partition *partition)
{
    const leat_queue *loaded = &partition->retry.records;
    uint32_t at = loaded->head;
    for (uint32_t i = 0; i < loaded->count; i++) {
        const leat_record_slot *slot = &engine->pool.slots[at];
        batch->records[batch->record_count++] =
            (leat_engine_batch_record){.payload = slot->payload,
                                       .offset = slot->offset,
                                       .partition = leat_partition_id(engine, partition),
                                       .subpartition = (uint16_t)partition->retry.subpartition,
                                       .key = slot->key};
        at = slot->next;
    }
}

const leat_engine_job *leat_key_job_apply(leat_engine *engine, leat_shard *shard,
                                          leat_partition *partition)
{
    uint32_t id = leat_key_job_queue(engine, partition);
    leat_queue *queue = &engine->queues[id];
    leat_queue *loaded = &partition->retry.records;
    leat_job_slot *slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_BATCH);
    leat_engine_batch *batch = &slot->job.batch;
    leat_engine_batch_part *part =
        leat_schedule_begin_part(engine, batch, leat_partition_id(engine, partition));
    leat_schedule_part_moves(engine, part, partition->retry.subpartition);
    part->count = 0; /* what is kept was done with when it was read */
    batch->retry_key = partition->retry.key;
    batch->is_look = partition->retry.is_look;
    add_records(engine, batch, partition);
    leat_fair_charge(engine, slot, shard, loaded->head, loaded->count);
    leat_subpartition_deactivate(engine, partition, partition->retry.subpartition);
    queue->place = LEAT_QUEUE_IN_FLIGHT;
    queue->retrying = loaded->count;
    partition->in_flight += loaded->count;
    partition->retry.step = LEAT_KEY_RETRY_FLYING;
    slot->queues = 1;
    return &slot->job;
}
