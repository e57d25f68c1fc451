/*
 * deep.c - see deep.h for the rule. A look at a partition costs its subpartitions, so it is made
 * only when the partition is paused.
 */
#include "engine/deep.h"

/* The deep ones hold more than so many shares, and fill this much of what the partition may hold.
 * Of queues that are served at random, so that their turns come as they may, those hold 0.09 of it.
 * Where a thousand tenants are served in turn it is 0.3, and by chance 0.54: one that writes a
 * little more than the others has its records in memory, and they have none left. A tenant that
 * floods has nearly all, since what others have is applied at once while nothing is read. */
enum { DEEP_SHARES = 4, DEEP_PERCENT = 75 };

/* They have waited so many times as long as others, and so much more: */
enum { LONGER = 2, LONGER_US = 250 * 1000 };

void leat_deep_offered(leat_engine *engine, leat_partition *partition, leat_queue *queue)
{
    if (partition->span_left == 0) {
        partition->span++;
        partition->span_left = engine->config.records_max;
        partition->active_before = partition->active;
        partition->active = 0;
    }
    partition->span_left--;
    partition->active += queue->span != partition->span;
    queue->span = partition->span;
}

uint32_t leat_deep_active(const leat_partition *partition)
{
    return partition->active > partition->active_before ? partition->active
                                                        : partition->active_before;
}

bool leat_deep_is(const leat_engine *engine, const leat_partition *partition, uint32_t id)
{
    leat_run memory = leat_queue_memory(&engine->queues[id]);
    uint64_t active = leat_deep_active(partition);
    return memory.count * active > DEEP_SHARES * (uint64_t)partition->room.records ||
           memory.bytes * active > DEEP_SHARES * partition->room.bytes;
}

/* How long the first record in memory has waited; 0: there is none. */
static int64_t waited_us(const leat_engine *engine, const leat_queue *queue)
{
    leat_run memory = leat_queue_memory(queue);
    return memory.count > 0 ? engine->now_us - engine->pool.slots[memory.head].read_us : 0;
}

static bool hold_others_up(const leat_engine *engine, const leat_partition *partition)
{
    uint32_t first = leat_queue_id(engine, leat_partition_id(engine, partition), 0);
    int64_t deep_us = 0, others_us = 0;
    if (engine->shards[partition->shard].ready.tenants.ready == 0)
        return true;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        uint32_t id = first + i;
        int64_t us = waited_us(engine, &engine->queues[id]);
        bool is_deep = leat_deep_is(engine, partition, id);
        if (!is_deep && (engine->marks[id].is_set || engine->queues[id].parked))
            continue; /* it waits for reasons of its own */
        int64_t *longest = is_deep ? &deep_us : &others_us;
        *longest = us > *longest ? us : *longest;
    }
    return deep_us > LONGER * others_us + LONGER_US;
}

/* Do the deep queues fill the partition, all together? */
static bool fill_up(const leat_engine *engine, const leat_partition *partition)
{
    uint32_t first = leat_queue_id(engine, leat_partition_id(engine, partition), 0);
    leat_run deep = {.count = 0};
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        if (!leat_deep_is(engine, partition, first + i))
            continue;
        leat_run memory = leat_queue_memory(&engine->queues[first + i]);
        deep.count += memory.count;
        deep.bytes += memory.bytes;
    }
    return 100 * (uint64_t)deep.count >= DEEP_PERCENT * (uint64_t)partition->room.records ||
           100 * deep.bytes >= DEEP_PERCENT * partition->room.bytes;
}

bool leat_deep_hold_up(const leat_engine *engine, const leat_partition *partition)
{
    return partition->paused_for_room && fill_up(engine, partition) &&
           hold_others_up(engine, partition);
}
