#include "engine/engine_state.h"

void leat_engine_partition(const leat_engine *engine, uint32_t partition, leat_partition_view *ret)
{
    LEAT_ASSERT(partition < engine->config.partition_count);
    const leat_partition *p = &engine->partitions[partition];
    const leat_slot *first = leat_partition_first(engine, p);
    *ret = (leat_partition_view){
        .state = p->state,
        .paused = p->told_paused,
        .records = p->holding.records,
        .bytes = p->holding.bytes,
        .in_flight = p->flying,
        .stalled = p->waiting,
        .low = p->state == LEAT_UNASSIGNED ? -1 : leat_partition_low(engine, p),
        .oldest_ms = first ? first->at_ms : 0,
        .position = p->position,
        .reason = p->reason,
    };
}

const leat_engine_counters *leat_engine_count(const leat_engine *engine)
{
    return &engine->counters;
}
