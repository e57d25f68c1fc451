/*
 * halt.c - a shard that answers with an error that leat does not understand runs nothing but the
 * probe: one queue of the batch that got the error, alone and unchanged, with back-off. Whatever
 * the error was, more work would only spread it.
 */
#include "engine/halt.h"

#include "engine/schedule.h"

static void resume_shard(leat_engine *engine, leat_shard *shard)
{
    /* It was reported as held by a halt: the next thing that holds it is reported again. */
    engine->queues[shard->probe].retry.held = false;
    shard->probe = LEAT_INDEX_NONE;
    shard->trouble++;
    shard->resumed_us = engine->now_us;
    LEAT_ASSERT(engine->counters.shards_halted > 0);
    engine->counters.shards_halted--;
    leat_schedule_shard(engine, shard);
}

bool leat_halt_begin(leat_engine *engine, uint32_t queue, bool *ret_is_new)
{
    *ret_is_new = false;
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
    leat_shard *shard = leat_shard_of(engine, partition);
    /* One that is being given back is not tried again. */
    if (partition->state != LEAT_ENGINE_READING)
        return false;
    if (shard->probe != LEAT_INDEX_NONE)
        return shard->probe == queue;
    shard->probe = queue;
    engine->counters.shards_halted++;
    *ret_is_new = true;
    return true;
}

void leat_halt_queue_passed(leat_engine *engine, uint32_t queue)
{
    leat_shard *shard =
        leat_shard_of(engine, &engine->partitions[leat_queue_partition(engine, queue)]);
    if (shard->probe == queue)
        resume_shard(engine, shard);
}

void leat_halt_partition_left(leat_engine *engine, leat_partition *partition)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    if (shard->probe != LEAT_INDEX_NONE &&
        leat_queue_partition(engine, shard->probe) == leat_partition_id(engine, partition))
        resume_shard(engine, shard);
}
