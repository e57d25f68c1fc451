/*
 * revoke.c - giving a partition back: nothing new is sent, batches in flight may end, then one last
 * compaction and commit, so that the next owner has little to read. All of it is a courtesy and
 * limited in time: the next owner's claim makes it safe.
 */
#include "engine/revoke.h"

#include "engine/compact.h"
#include "engine/effects.h"
#include "engine/halt.h"
#include "engine/key_retry.h"
#include "engine/loads.h"
#include "engine/low_water.h"
#include "engine/partition.h"
#include "engine/pause.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/timers.h"

static void wait_at_most(leat_engine *engine, leat_partition *partition, leat_revoke_step step)
{
    partition->revoke_step = step;
    partition->revoke_until_us = engine->now_us + engine->config.drain_us;
    leat_timer_set(engine, partition, LEAT_TIMER_DRAIN, partition->revoke_until_us);
}

static void begin_reading(leat_engine *engine, leat_partition *partition)
{
    leat_partition_enter(engine, partition, LEAT_ENGINE_REVOKING);
    leat_halt_partition_left(engine, partition);
    uint32_t first = leat_queue_id(engine, leat_partition_id(engine, partition), 0);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        leat_subpartition_deactivate(engine, partition, i);
        leat_load_unwant(engine, first + i);
    }
    leat_timer_clear(engine, partition, LEAT_TIMER_COMPACT);
    leat_timer_clear(engine, partition, LEAT_TIMER_PARK);
    leat_timer_clear(engine, partition, LEAT_TIMER_KEYS);
    leat_key_retry_revoked(engine, partition);
    leat_schedule_forget(engine, partition);
    leat_partition_end_pause(engine, partition);
    /* A seek that was not emitted yet is no longer wanted. */
    partition->emits &= (uint8_t)~LEAT_EMIT_SEEK;
    wait_at_most(engine, partition, LEAT_REVOKE_BATCHES);
    leat_revoke_advance(engine, partition);
}

void leat_revoke_begin(leat_engine *engine, leat_partition *partition)
{
    switch (partition->state) {
    case LEAT_ENGINE_UNASSIGNED:
        leat_emit(engine, partition, LEAT_EMIT_REVOKED);
        break;
    case LEAT_ENGINE_REVOKING:
        break;
    case LEAT_ENGINE_READING:
        begin_reading(engine, partition);
        break;
    case LEAT_ENGINE_CLAIMING:
        if (partition->claim_running) {
            leat_timer_clear(engine, partition, LEAT_TIMER_CLAIM);
            leat_partition_enter(engine, partition, LEAT_ENGINE_REVOKING);
            wait_at_most(engine, partition, LEAT_REVOKE_CLAIM);
            break;
        }
        leat_revoke_end(engine, partition);
        break;
    case LEAT_ENGINE_WAITING:
    case LEAT_ENGINE_FENCED_OFF:
    case LEAT_ENGINE_STOPPED:
        leat_revoke_end(engine, partition);
        break;
    }
}

static void last_compaction(leat_engine *engine, leat_partition *partition)
{
    bool worth = partition->uncompacted && leat_compaction_moves_base(engine, partition);
    const leat_shard *shard = leat_shard_of(engine, partition);
    bool possible = shard->slots > 0 && shard->probe == LEAT_INDEX_NONE &&
                    !shard->breaker.is_open && !partition->compact_running;
    if (!worth || !possible) {
        leat_revoke_end(engine, partition);
        return;
    }
    wait_at_most(engine, partition, LEAT_REVOKE_COMPACT);
    leat_schedule_compaction(engine, partition, true);
}

void leat_revoke_advance(leat_engine *engine, leat_partition *partition)
{
    if (partition->state != LEAT_ENGINE_REVOKING)
        return;
    bool over = engine->now_us >= partition->revoke_until_us;
    switch (partition->revoke_step) {
    case LEAT_REVOKE_CLAIM:
        if (!partition->claim_running || over)
            leat_revoke_end(engine, partition);
        break;
    case LEAT_REVOKE_BATCHES:
        if ((partition->batches == 0 && !partition->compact_running) || over)
            last_compaction(engine, partition);
        break;
    case LEAT_REVOKE_COMPACT:
        if (over)
            leat_revoke_end(engine, partition);
        break;
    case LEAT_REVOKE_COMPACTING:
        if (!partition->compact_running || over)
            leat_revoke_end(engine, partition);
        break;
    }
}

void leat_revoke_end(leat_engine *engine, leat_partition *partition)
{
    leat_partition_commit(engine, partition, true);
    leat_partition_drop(engine, partition);
    leat_partition_enter(engine, partition, LEAT_ENGINE_UNASSIGNED);
    leat_emit(engine, partition, LEAT_EMIT_REVOKED);
}
