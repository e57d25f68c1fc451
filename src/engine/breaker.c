/*
 * breaker.c - it counts answers, whatever was asked: that a claim fails says as much about the
 * database as that a batch does.
 */
#include "engine/breaker.h"

#include "engine/outcome.h"
#include "engine/schedule.h"
#include "engine/timers.h"

enum { OUTAGES = 5 };

static void open_for(leat_engine *engine, leat_shard *shard)
{
    leat_breaker *breaker = &shard->breaker;
    if (!breaker->is_open)
        breaker->since_us = engine->now_us;
    breaker->is_open = true;
    if (breaker->delays < UINT8_MAX)
        breaker->delays++;
    breaker->until_us = engine->now_us + leat_jobs_backoff_us(engine, breaker->delays);
    leat_timer_set_shard(engine, shard, breaker->until_us);
}

void leat_breaker_reset(leat_engine *engine, leat_shard *shard)
{
    shard->breaker = (leat_breaker){0};
    leat_timer_clear_shard(engine, shard);
}

void leat_breaker_done(leat_engine *engine, leat_shard *shard, leat_engine_outcome outcome)
{
    leat_breaker *breaker = &shard->breaker;
    bool is_outage = outcome == LEAT_ENGINE_OUTAGE;
    bool is_answer = outcome != LEAT_ENGINE_UNKNOWN;
    if (is_answer && !is_outage) {
        leat_breaker_reset(engine, shard);
        return;
    }
    if (breaker->is_open) {
        /* Those that were under way when it opened say nothing new. */
        if (engine->now_us >= breaker->until_us)
            open_for(engine, shard);
        return;
    }
    if (is_outage && ++breaker->outages >= OUTAGES)
        open_for(engine, shard);
}
