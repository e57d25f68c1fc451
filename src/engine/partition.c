/*
 * partition.c - a partition's life from its assignment until it is given back: which state may
 * follow which, and what else each change does. When the memory of a partition is in doubt it is
 * dropped and claimed again, never repaired: a claim reads the truth from the shard.
 */
#include "engine/partition.h"

#include <string.h>

#include "base/backoff.h"
#include "base/states.h"
#include "engine/compact.h"
#include "engine/effects.h"
#include "engine/halt.h"
#include "engine/key_retry.h"
#include "engine/keys.h"
#include "engine/low_water.h"
#include "engine/park.h"
#include "engine/backlog.h"
#include "engine/pause.h"
#include "engine/revoke.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/suspects.h"
#include "engine/timers.h"

/* Which states may follow which. */
static const unsigned may_follow[] = {
    [LEAT_ENGINE_UNASSIGNED] = LEAT_TO(LEAT_ENGINE_WAITING) | LEAT_TO(LEAT_ENGINE_CLAIMING),
    [LEAT_ENGINE_WAITING] = LEAT_TO(LEAT_ENGINE_CLAIMING) | LEAT_TO(LEAT_ENGINE_STOPPED) |
                            LEAT_TO(LEAT_ENGINE_UNASSIGNED),
    [LEAT_ENGINE_CLAIMING] = LEAT_TO(LEAT_ENGINE_CLAIMING) | LEAT_TO(LEAT_ENGINE_WAITING) |
                             LEAT_TO(LEAT_ENGINE_READING) | LEAT_TO(LEAT_ENGINE_REVOKING) |
                             LEAT_TO(LEAT_ENGINE_STOPPED) | LEAT_TO(LEAT_ENGINE_UNASSIGNED),
    [LEAT_ENGINE_READING] = LEAT_TO(LEAT_ENGINE_CLAIMING) | LEAT_TO(LEAT_ENGINE_WAITING) |
                            LEAT_TO(LEAT_ENGINE_FENCED_OFF) | LEAT_TO(LEAT_ENGINE_REVOKING) |
                            LEAT_TO(LEAT_ENGINE_STOPPED) | LEAT_TO(LEAT_ENGINE_UNASSIGNED),
    [LEAT_ENGINE_FENCED_OFF] = LEAT_TO(LEAT_ENGINE_CLAIMING) | LEAT_TO(LEAT_ENGINE_WAITING) |
                               LEAT_TO(LEAT_ENGINE_STOPPED) | LEAT_TO(LEAT_ENGINE_UNASSIGNED),
    [LEAT_ENGINE_REVOKING] = LEAT_TO(LEAT_ENGINE_UNASSIGNED),
    [LEAT_ENGINE_STOPPED] = LEAT_TO(LEAT_ENGINE_UNASSIGNED),
};

void leat_partition_enter(leat_engine *engine, leat_partition *partition,
                          leat_engine_partition_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, partition->state, state));
    if (partition->state == LEAT_ENGINE_UNASSIGNED)
        engine->assigned++;
    partition->state = state;
    if (state == LEAT_ENGINE_UNASSIGNED) {
        LEAT_ASSERT(engine->assigned > 0);
        engine->assigned--;
    }
    leat_emit(engine, partition, 0);
}

void leat_partition_drop(leat_engine *engine, leat_partition *partition)
{
    /* Each file forgets what is its own. Position and low water are read from the records that are
     * still held. */
    leat_suspects_dropped(engine, partition);
    leat_low_water_dropped(engine, partition);
    leat_halt_partition_left(engine, partition);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++)
        leat_subpartition_drop(engine, partition, i);
    leat_key_retry_dropped(engine, partition);
    LEAT_ASSERT(partition->holding.records == 0 && partition->holding.bytes == 0);
    LEAT_ASSERT(partition->loaded.records == 0 && partition->parked == 0);
    LEAT_ASSERT(partition->ready == 0 && partition->waiting == 0);
    leat_timers_dropped(engine, partition);
    leat_schedule_forget(engine, partition);
    leat_park_dropped(engine, partition);
    leat_compaction_dropped(partition);
    partition->holding_keys = 0;
    leat_pause_dropped(engine, partition);
    leat_effects_dropped(engine, partition);
    partition->incarnation++;
    partition->in_flight = 0;
    partition->batches = 0;
}

void leat_partition_claim(leat_engine *engine, leat_partition *partition, int64_t delay_us)
{
    LEAT_ASSERT(partition->holding.records == 0 && !partition->claim_queued);
    if (leat_shard_of(engine, partition)->slots == 0) {
        leat_partition_enter(engine, partition, LEAT_ENGINE_WAITING);
        return;
    }
    leat_partition_enter(engine, partition, LEAT_ENGINE_CLAIMING);
    partition->claim_at_us = engine->now_us + delay_us;
    if (delay_us > 0)
        leat_timer_set(engine, partition, LEAT_TIMER_CLAIM, partition->claim_at_us);
    else
        leat_schedule_claim(engine, partition);
}

/* Its claim is not good any longer. True: it was being given back, and that has ended with it. */
static bool drop_or_end(leat_engine *engine, leat_partition *partition)
{
    leat_partition_drop(engine, partition);
    if (partition->state != LEAT_ENGINE_REVOKING)
        return false;
    leat_revoke_end(engine, partition);
    return true;
}

void leat_partition_reclaim(leat_engine *engine, leat_partition *partition, bool trial)
{
    if (drop_or_end(engine, partition))
        return;
    /* The first time at once: a lost connection is common. With back-off when it happens repeatedly
     * and nothing was applied in between: otherwise, on a server in trouble, claims and batches
     * would follow each other without a pause. */
    uint32_t before = trial ? 1 : partition->setbacks;
    if (!trial && partition->setbacks < UINT8_MAX)
        partition->setbacks++;
    const leat_engine_config *config = &engine->config;
    int64_t delay_us = before == 0 ? 0
                                   : leat_backoff(&engine->prng, before, config->retry_min_us,
                                                  config->retry_max_us);
    leat_partition_claim(engine, partition, delay_us);
}

void leat_partition_fence(leat_engine *engine, leat_partition *partition)
{
    if (drop_or_end(engine, partition))
        return;
    leat_partition_enter(engine, partition, LEAT_ENGINE_FENCED_OFF);
    int64_t min_us = engine->config.reclaim_min_us;
    partition->fenced_us = engine->now_us;
    partition->reclaim_us = engine->now_us + min_us +
                            (int64_t)leat_prng_below(&engine->prng, (uint64_t)min_us);
    partition->confirmed = false;
    leat_emit(engine, partition, LEAT_EMIT_CONFIRM);
    leat_timer_set(engine, partition, LEAT_TIMER_CONFIRM, engine->now_us + min_us);
}

void leat_partition_unfence(leat_engine *engine, leat_partition *partition, bool ask)
{
    LEAT_ASSERT(partition->state == LEAT_ENGINE_FENCED_OFF);
    if (!partition->confirmed) {
        if (!ask)
            return;
        leat_emit(engine, partition, LEAT_EMIT_CONFIRM);
        leat_timer_set(engine, partition, LEAT_TIMER_CONFIRM,
                       engine->now_us + engine->config.reclaim_min_us);
        return;
    }
    if (engine->now_us < partition->reclaim_us) {
        leat_timer_set(engine, partition, LEAT_TIMER_CONFIRM, partition->reclaim_us);
        return;
    }
    leat_timer_clear(engine, partition, LEAT_TIMER_CONFIRM);
    partition->emits &= (uint8_t)~LEAT_EMIT_CONFIRM;
    leat_partition_claim(engine, partition, 0);
}

void leat_partition_stop(leat_engine *engine, leat_partition *partition, const char *reason)
{
    leat_partition_drop(engine, partition);
    leat_partition_enter(engine, partition, LEAT_ENGINE_STOPPED);
    size_t at = 0;
    for (; reason[at] && at + 1 < sizeof partition->reason; at++)
        partition->reason[at] = reason[at];
    partition->reason[at] = 0;
}

void leat_partition_claimed(leat_engine *engine, leat_partition *partition,
                            const leat_engine_job_result *result)
{
    const leat_engine_progress *progress = result->progress;
    LEAT_ASSERT(partition->holding.records == 0 && partition->batches == 0);
    LEAT_ASSERT(progress->next_seq > progress->base_seq);
    leat_partition_enter(engine, partition, LEAT_ENGINE_READING);
    leat_engine_progress_copy(&partition->progress, progress);
    partition->low_known = true;
    partition->durable_low = progress->low;
    partition->position = -1;
    partition->claim_failures = 0;
    partition->rows_us = INT64_MIN / 2;
    partition->park_at_us = 0;
    if (!leat_backlog_claimed(engine, partition, result->parked, result->parked_count)) {
        leat_partition_stop(engine, partition,
                            "what is parked in the shard does not fit its progress there");
        return;
    }
    if (!leat_keys_claimed(engine, partition, result->held, result->held_count)) {
        leat_partition_stop(
            engine, partition,
            "more of its keys are held in the shard than a worker can know: let some go, by "
            "leat dead retry or leat dead discard, then restart this process");
        return;
    }
    leat_suspects_claimed(engine, partition);
    /* Rows that others have left are worth a compaction too: else an idle partition would read them
     * at each claim. */
    partition->uncompacted = progress->next_seq - 1 > progress->base_seq;
    leat_emit(engine, partition, LEAT_EMIT_SEEK);
    leat_partition_commit(engine, partition, false);
    leat_compaction_claimed(engine, partition);
    leat_suspects_spread(engine, partition, leat_backlog_spread(engine, partition));
    leat_park_plan(engine, partition);
    leat_key_retry_plan(engine, partition);
}
