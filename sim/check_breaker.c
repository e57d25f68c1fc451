/*
 * check_breaker.c - breaker: a shard that answers everything with an outage is asked by one job at
 * a time, after pauses that differ. A process is judged by the answers that it was given.
 */
#include "check.h"
#include "engine/state.h"
#include "world.h"

enum {
    OUTAGES = 5,   /* answers in a row that are enough */
    SAME_MAX = 2,  /* pauses of the same length as the one before, in a row */
    SLACK_US = 10, /* of two clocks that are read one after the other */
};

void sim_check_answered(sim_process *process, uint32_t shard, leat_engine_outcome outcome)
{
    sim_breaker_seen *seen = &process->breakers[shard];
    bool is_outage = outcome == LEAT_ENGINE_OUTAGE;
    if (!is_outage && outcome != LEAT_ENGINE_UNKNOWN) {
        *seen = (sim_breaker_seen){0};
        return;
    }
    if (seen->is_open ? seen->is_asked : is_outage && ++seen->outages >= OUTAGES) {
        seen->is_open = true;
        seen->is_asked = false;
        seen->since_us = leat_worker_now_us(process->worker);
    }
}

void sim_check_slots(sim_process *process, uint32_t shard, uint32_t slots)
{
    if (slots == 0)
        process->breakers[shard] = (sim_breaker_seen){0};
}

/* One that ended because its time was over, and not because nothing was to be done. */
static void check_pause(sim_world *world, sim_process *process, uint32_t shard, int64_t pause_us)
{
    sim_breaker_seen *seen = &process->breakers[shard];
    const leat_breaker *breaker = &process->worker->engine->shards[shard].breaker;
    if (breaker->until_us != leat_worker_now_us(process->worker))
        return;
    seen->same = pause_us == seen->pause_us ? seen->same + 1 : 0;
    seen->pause_us = pause_us;
    if (seen->same >= SAME_MAX)
        sim_fail(world, "breaker",
                 "process %u asks shard %u, which is unwell, after %.6f s each time, as others may",
                 process->index, shard, (double)pause_us / 1e6);
}

void sim_check_asked(sim_world *world, sim_process *process, uint32_t shard, uint32_t in_flight)
{
    sim_breaker_seen *seen = &process->breakers[shard];
    int64_t pause_us = leat_worker_now_us(process->worker) - seen->since_us;
    if (!seen->is_open)
        return;
    if (in_flight > 0)
        sim_fail(world, "breaker",
                 "process %u asks shard %u, which answers everything with an outage, by %u jobs at "
                 "once",
                 process->index, shard, in_flight + 1);
    if (pause_us + SLACK_US < process->worker->config.engine.retry_min_us / 2)
        sim_fail(world, "breaker",
                 "process %u asks shard %u, which answers everything with an outage, again after "
                 "%.6f s",
                 process->index, shard, (double)pause_us / 1e6);
    seen->is_asked = true;
    world->sometimes->count[SOMETIMES_BREAKER_ASKED]++;
    check_pause(world, process, shard, pause_us);
}
