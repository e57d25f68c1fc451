/*
 * timers.c - one heap for everything that happens later. An id below the number of queues is the
 * end of that queue's delay; after those come LEAT_TIMER_COUNT ids for each partition, then one for
 * each shard. Every id has
 * its place, so that a timer is set, moved and cleared without an allocation, and the engine's next
 * deadline is the heap's first entry. The effect of a timer is not known here: the file that has
 * its rule carries it out.
 */
#include "engine/timers.h"

#include "engine/key_retry.h"
#include "engine/low_water.h"
#include "engine/park.h"
#include "engine/partition.h"
#include "engine/revoke.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"

static uint32_t timer_id(const leat_engine *engine, const leat_partition *partition,
                         leat_timer timer)
{
    uint32_t queues = leat_queue_count(engine);
    return queues + leat_partition_id(engine, partition) * LEAT_TIMER_COUNT + (uint32_t)timer;
}

void leat_timer_set(leat_engine *engine, leat_partition *partition, leat_timer timer, int64_t at_us)
{
    leat_heap_set(&engine->timers, timer_id(engine, partition, timer), at_us);
}

void leat_timer_clear(leat_engine *engine, leat_partition *partition, leat_timer timer)
{
    leat_heap_remove(&engine->timers, timer_id(engine, partition, timer));
}

static uint32_t first_shard_id(const leat_engine *engine)
{
    return timer_id(engine, engine->partitions, 0) +
           engine->config.partition_count * LEAT_TIMER_COUNT;
}

void leat_timer_set_shard(leat_engine *engine, const leat_shard *shard, int64_t at_us)
{
    uint32_t id = first_shard_id(engine) + (uint32_t)(shard - engine->shards);
    leat_heap_set(&engine->timers, id, at_us);
}

void leat_timer_clear_shard(leat_engine *engine, const leat_shard *shard)
{
    leat_heap_remove(&engine->timers, first_shard_id(engine) + (uint32_t)(shard - engine->shards));
}

void leat_timers_dropped(leat_engine *engine, leat_partition *partition)
{
    for (leat_timer timer = 0; timer < LEAT_TIMER_COUNT; timer++)
        leat_timer_clear(engine, partition, timer);
}

bool leat_timer_is_set(const leat_engine *engine, const leat_partition *partition, leat_timer timer)
{
    return leat_heap_has(&engine->timers, timer_id(engine, partition, timer));
}

static void partition_timer_over(leat_engine *engine, leat_partition *partition, leat_timer timer)
{
    switch (timer) {
    case LEAT_TIMER_CLAIM:
        leat_schedule_claim(engine, partition);
        break;
    case LEAT_TIMER_COMPACT:
        leat_schedule_compaction(engine, partition, partition->in_doubt);
        break;
    case LEAT_TIMER_COMMIT:
        leat_partition_commit(engine, partition, true);
        break;
    case LEAT_TIMER_DRAIN:
        leat_revoke_advance(engine, partition);
        break;
    case LEAT_TIMER_CONFIRM:
        leat_partition_unfence(engine, partition, true);
        break;
    case LEAT_TIMER_PARK:
        leat_park_look(engine, partition);
        break;
    case LEAT_TIMER_KEYS:
        leat_key_retry_due(engine, partition);
        break;
    case LEAT_TIMER_COUNT:
        LEAT_ASSERT(false);
    }
}

void leat_timers_run(leat_engine *engine)
{
    int64_t now_us = engine->now_us;
    uint32_t queues = leat_queue_count(engine);
    const leat_heap_entry *first = leat_heap_first(&engine->timers);
    while (first && first->key <= now_us) {
        uint32_t id = first->id;
        leat_heap_remove(&engine->timers, id);
        if (id < queues)
            leat_subpartition_delay_over(engine, id);
        else if (id >= first_shard_id(engine))
            leat_schedule_shard(engine, &engine->shards[id - first_shard_id(engine)]);
        else
            partition_timer_over(engine, &engine->partitions[(id - queues) / LEAT_TIMER_COUNT],
                                 (leat_timer)((id - queues) % LEAT_TIMER_COUNT));
        first = leat_heap_first(&engine->timers);
    }
}
