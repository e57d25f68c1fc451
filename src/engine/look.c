#include "engine/engine_state.h"

void leat_engine_partition(const leat_engine *engine, uint32_t partition, leat_partition_view *ret)
{
    LEAT_ASSERT(partition < engine->config.partition_count);
    const leat_partition *p = &engine->partitions[partition];
    *ret = (leat_partition_view){
        .state = p->state,
        .paused = p->told_paused,
        .records = p->holding.records,
        .bytes = p->holding.bytes,
        .in_flight = p->flying,
        .stalled = p->waiting,
        .low = p->state == LEAT_UNASSIGNED ? -1 : p->offsets.low,
        .oldest_ms = leat_offsets_oldest_ms(&p->offsets),
        .position = p->position,
        .reason = p->reason,
    };
}

const leat_engine_counters *leat_engine_count(const leat_engine *engine)
{
    return &engine->counters;
}
