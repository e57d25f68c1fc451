/*
 * holder.c - which record holds a partition's low water, and why it is not applied. For people, a
 * few times a second: it walks the heads of the partition's queues, as the low water itself does.
 */
#include "engine/low_water.h"

static uint32_t find_queue(const leat_engine *engine, uint32_t partition,
                           const leat_record_slot *first)
{
    uint32_t id = leat_queue_id(engine, partition, 0);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++, id++) {
        leat_run memory = leat_queue_memory(&engine->queues[id]);
        if (memory.count > 0 && &engine->pool.slots[memory.head] == first)
            return id;
    }
    LEAT_ASSERT(!"the first record of a partition is the first of one of its queues");
    return LEAT_INDEX_NONE;
}

bool leat_engine_holder(const leat_engine *engine, uint32_t partition, leat_engine_holder_view *ret)
{
    LEAT_ASSERT(partition < engine->config.partition_count);
    const leat_record_slot *first = leat_partition_first(engine, &engine->partitions[partition]);
    if (!first)
        return false;
    uint32_t id = find_queue(engine, partition, first);
    const leat_queue *queue = &engine->queues[id];
    const leat_queue_mark *mark = &engine->marks[id];
    bool is_own = mark->is_set && !queue->parked; /* else it is of the head, which is parked */
    *ret = (leat_engine_holder_view){
        .offset = first->offset,
        .subpartition = leat_queue_subpartition(engine, id),
        .accepted_ms = first->at_ms,
        .payload = first->payload,
        .since_us = is_own ? mark->since_us : first->read_us,
        .is_in_flight = !queue->parked && queue->in_flight > 0,
        .is_behind_parked = queue->parked,
        .attempts = is_own ? mark->attempts : 0,
        .outcome = is_own ? mark->outcome : LEAT_ENGINE_APPLIED,
        .sqlstate = is_own ? engine->reasons[id].sqlstate : "",
        .message = is_own ? engine->reasons[id].message : "",
    };
    return true;
}
