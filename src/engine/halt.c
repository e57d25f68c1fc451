/*
 * halt.c - a shard that says what is not understood runs nothing but the probe: one queue of the
 * batch that met it, alone and as it is, with back-off. Whatever it was, more work would only
 * spread it.
 */
#include "engine/halt.h"

#include "engine/schedule.h"

static void go_on(leat_engine *engine, leat_shard *shard)
{
    /* What it was held by has been said as a halt: what holds it next is news. */
    engine->queues[shard->probe].retry.held = false;
    shard->probe = LEAT_NONE;
    shard->trouble++;
    shard->went_on_us = engine->now_us;
    LEAT_ASSERT(engine->counters.shards_halted > 0);
    engine->counters.shards_halted--;
    leat_schedule_shard(engine, shard);
}

bool leat_halt_begin(leat_engine *engine, uint32_t queue, bool *ret_news)
{
    *ret_news = false;
    leat_partition *partition = &engine->partitions[queue / LEAT_SUBPARTITIONS];
    leat_shard *shard = leat_shard_of(engine, partition);
    /* One that is being given back is not tried again. */
    if (partition->state != LEAT_ENGINE_READING)
        return false;
    if (shard->probe != LEAT_NONE)
        return shard->probe == queue;
    shard->probe = queue;
    engine->counters.shards_halted++;
    *ret_news = true;
    return true;
}

void leat_halt_passed(leat_engine *engine, uint32_t queue)
{
    leat_shard *shard = leat_shard_of(engine, &engine->partitions[queue / LEAT_SUBPARTITIONS]);
    if (shard->probe == queue)
        go_on(engine, shard);
}

void leat_halt_partition_left(leat_engine *engine, leat_partition *partition)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    if (shard->probe != LEAT_NONE &&
        shard->probe / LEAT_SUBPARTITIONS == leat_partition_id(engine, partition))
        go_on(engine, shard);
}
