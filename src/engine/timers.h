/*
 * timers.h - what is due when: one heap, in which every queue and every timer of every partition
 * has one place.
 */
#ifndef LEAT_ENGINE_TIMERS_H
#define LEAT_ENGINE_TIMERS_H

#include "engine/state.h"

/* Runs what is due. */
void leat_timers_run(leat_engine *engine);

/* Takes over the event's time. First thing in every event. */
static inline void leat_timers_advance(leat_engine *engine, int64_t now_us)
{
    LEAT_ASSERT(now_us >= engine->now_us);
    engine->now_us = now_us;
    if (engine->timers.count > 0 && engine->timers.entries[0].key <= now_us)
        leat_timers_run(engine);
}

void leat_timer_set(leat_engine *engine, leat_partition *partition, leat_timer timer,
                    int64_t at_us);
bool leat_timer_is_set(const leat_engine *engine, const leat_partition *partition,
                       leat_timer timer);
void leat_timer_clear(leat_engine *engine, leat_partition *partition, leat_timer timer);
/* The shard's only one: its breaker may let a job pass. */
void leat_timer_set_shard(leat_engine *engine, const leat_shard *shard, int64_t at_us);
void leat_timer_clear_shard(leat_engine *engine, const leat_shard *shard);
/* Clears all of the partition's own. */
void leat_timers_dropped(leat_engine *engine, leat_partition *partition);

#endif
