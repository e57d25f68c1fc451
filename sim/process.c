/*
 * process.c - the production worker without its thread. An event that is planned for a process
 * carries the life that it was planned for: it is dropped after a crash, and put off while the
 * process is frozen or cut off from the log. The pump runs once after each event that arrives.
 */
#include "process.h"

#include <stdlib.h>

#include "check.h"
#include "disk.h"
#include "world.h"

/* ---- what reaches a process ---- */

typedef struct planned {
    sim_process *process;
    uint64_t life;
    bool by_log;
    sim_event_fn fn;
    void *object;
    uint64_t argument;
} planned;

static void pump(sim_world *world, sim_process *process);

/* Its loop has stood still, and the worker's clock with it. */
static void wake(sim_process *process)
{
    process->worker->standstill.counted_us -= process->frozen_us;
    process->stood_still_us += process->frozen_us;
    process->frozen_us = 0;
}

static int64_t away_until(const planned *event)
{
    int64_t frozen = event->process->frozen_until_us;
    int64_t cut = event->by_log ? event->process->log_cut_until_us : 0;
    return frozen > cut ? frozen : cut;
}

static void on_planned(sim_world *world, void *object, uint64_t argument)
{
    planned *event = object;
    sim_process *process = event->process;
    if (!process->is_alive || process->life != event->life) {
        free(event);
        return;
    }
    if (away_until(event) > world->clock.now_us) {
        sim_clock_plan(&world->clock, away_until(event), on_planned, event, argument);
        return;
    }
    planned now = *event;
    free(event);
    wake(process);
    now.fn(world, now.object, now.argument);
    pump(world, process);
}

static void plan(sim_world *world, int64_t at_us, const planned *event)
{
    planned *kept = leat_must_calloc(1, sizeof *kept);
    *kept = *event;
    sim_clock_plan(&world->clock, at_us, on_planned, kept, 0);
}

void sim_process_plan(sim_world *world, sim_process *process, int64_t at_us, sim_event_fn fn,
                      void *object, uint64_t argument)
{
    plan(world, at_us, &(planned){process, process->life, false, fn, object, argument});
}

void sim_process_plan_log(sim_world *world, sim_process *process, int64_t at_us, sim_event_fn fn,
                          void *object, uint64_t argument)
{
    process->log_in_us = at_us > process->log_in_us ? at_us : process->log_in_us;
    plan(world, process->log_in_us, &(planned){process, process->life, true, fn, object, argument});
}

void sim_processes_drop_planned(sim_clock *clock)
{
    for (uint32_t i = 0; i < clock->count; i++)
        if (clock->heap[i].fn == on_planned)
            free(clock->heap[i].object);
}

/* ---- stepping the worker ---- */

static void on_tick(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_process *process = object;
    if (process->tick_us <= world->clock.now_us)
        process->tick_us = INT64_MAX;
    int64_t now_us = leat_worker_now_us(process->worker);
    if (leat_engine_deadline(process->worker->engine) <= now_us)
        leat_engine_tick(process->worker->engine, now_us);
}

static void plan_tick(sim_world *world, sim_process *process)
{
    int64_t deadline = leat_engine_deadline(process->worker->engine);
    if (deadline != INT64_MAX)
        deadline += world->clock.now_us - leat_worker_now_us(process->worker);
    if (deadline == INT64_MAX || deadline >= process->tick_us)
        return;
    process->tick_us = deadline > world->clock.now_us ? deadline : world->clock.now_us + 1;
    sim_process_plan(world, process, process->tick_us, on_tick, process, 0);
}

static void count_up(sim_world *world, const sim_process *process)
{
    const leat_engine_counters *count = leat_engine_count(process->worker->engine);
    sim_sometimes *sometimes = world->sometimes;
    sometimes->count[SOMETIMES_ZOMBIE_FENCED] += count->batches_fenced;
    sometimes->count[SOMETIMES_STALE_BATCH] += count->batches_stale;
    sometimes->count[SOMETIMES_WENT_BACK] += count->went_back;
    sometimes->count[SOMETIMES_SKIPPED] += count->records_skipped;
    sometimes->count[SOMETIMES_COMPACTED] += count->compactions;
    sometimes->count[SOMETIMES_DEAD_LETTER] += count->dead_letters;
    sometimes->count[SOMETIMES_PARKED] += count->parks;
    sometimes->count[SOMETIMES_UNPARKED] += count->unparks;
    sometimes->count[SOMETIMES_KEY_HELD] += count->keys_held;
    sometimes->count[SOMETIMES_OWNER_RETRIED] += count->records_retried;
    sometimes->count[SOMETIMES_OWNER_LET_GO] += count->keys_let_go;
    sometimes->count[SOMETIMES_KEPT] += count->records_kept - count->keys_held;
}

static void on_restart(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_process *process = object;
    if (!process->is_alive && !world->is_ending)
        sim_process_start(world, process);
}

static void end_life(sim_world *world, sim_process *process)
{
    count_up(world, process);
    process->is_alive = false;
    leat_worker_free(process->worker);
    leat_metrics_free(process->metrics);
    process->worker = NULL;
    process->reader = NULL;
    if (world->is_ending)
        return;
    int64_t pause_us = 1000 * sim_around(world, world->is_healing ? 100 : 1500);
    sim_clock_plan(&world->clock, world->clock.now_us + pause_us, on_restart, process, 0);
}

static void finish_drain(sim_world *world, sim_process *process)
{
    sim_trace(world, "process %u has drained", process->index);
    world->sometimes->count[SOMETIMES_DRAINED]++;
    sim_check_drained(world, process);
    uv_run(&process->worker->loop, UV_RUN_NOWAIT); /* notes that it was stopped, and does nothing
                                                      else */
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++)
        sim_sink_cut_all(world, process->sinks[shard]);
    sim_group_leave(world, process->index);
    end_life(world, process);
}

static void pump(sim_world *world, sim_process *process)
{
    leat_worker_pump(process->worker);
    sim_check_process(world, process);
    if (process->worker->drained)
        finish_drain(world, process);
    else
        plan_tick(world, process);
}

/* ---- a life ---- */

static leat_engine_config engine_config(sim_world *world)
{
    const int64_t *option = world->options.values;
    leat_engine_config config;
    leat_engine_config_defaults(&config);
    config.records_max = (uint32_t)option[OPT_RECORDS_MAX];
    config.bytes_max = (uint64_t)option[OPT_BYTES_MAX];
    config.batch_records_max = (uint32_t)option[OPT_BATCH_RECORDS_MAX];
    config.deep_records_max = 4 * config.batch_records_max;
    config.batch_bytes_max = (uint64_t)option[OPT_BATCH_BYTES_MAX];
    config.age_bound_us = 1000 * option[OPT_AGE_BOUND_MS];
    config.compact_every_us = 1000 * option[OPT_COMPACT_EVERY_MS];
    config.verify_every_us = 1000 * option[OPT_VERIFY_EVERY_MS];
    config.look_every_us = 1000 * option[OPT_LOOK_EVERY_MS];
    config.commit_every_us = 1000 * option[OPT_COMMIT_EVERY_MS];
    config.drain_us = 1000 * option[OPT_DRAIN_MS];
    config.retry_min_us = 1000 * option[OPT_RETRY_MIN_MS];
    config.retry_max_us = 1000 * option[OPT_RETRY_MAX_MS];
    config.lock_timeout_us = 1000 * option[OPT_LOCK_TIMEOUT_MS];
    config.patience_us = 1000 * option[OPT_PATIENCE_MS];
    config.reclaim_min_us = 1000 * option[OPT_RECLAIM_MIN_MS];
    /* Where refused records are never accepted, a table that stops would wait indefinitely. */
    bool all_heals = option[OPT_POISON_HEALS] && option[OPT_FOREIGN] == 0;
    config.dead_letters_per_minute = (uint32_t)option[OPT_DEAD_LETTERS_PER_MINUTE];
    config.dead_letters_percent = all_heals ? 20 : 100;
    config.park_after_us = 1000 * option[OPT_PARK_AFTER_MS];
    config.park_tail_us = 1000 * option[OPT_PARK_TAIL_MS];
    config.chunk_records_max = (uint32_t)option[OPT_CHUNK_RECORDS_MAX];
    config.chunk_bytes_max = config.batch_bytes_max;
    config.held_keys_max = (uint32_t)option[OPT_HELD_KEYS_MAX];
    config.held_keys_each_max = (config.held_keys_max + 3) / 4;
    config.seed = leat_prng_next(&world->prng);
    return config;
}

static void make_worker(sim_world *world, sim_process *process)
{
    const leat_layout *layout = &world->schema.catalog.layout;
    for (uint32_t shard = 0; shard < layout->shard_count; shard++)
        process->shards[shard] = (leat_worker_shard){
            .name = layout->shards[shard].name,
            .connections = (uint32_t)world->options.values[OPT_CONNECTIONS],
            .connections_total = (uint32_t)world->options.values[OPT_CONNECTIONS_TOTAL],
            .parked_max = 1024 * (uint64_t)world->options.values[OPT_PARKED_MAX_KB],
            .held_max = 1024 * (uint64_t)world->options.values[OPT_PARKED_MAX_KB],
            .commits_async = world->options.values[OPT_ASYNC] >> shard & 1};
    process->metrics = leat_metrics_new();
    leat_worker_config config = {
        .index = process->index,
        .identity = {.cluster = "sim",
                     .topic_id = "one",
                     .partition_count = layout->partition_count},
        .catalog = &world->schema.catalog,
        .schema_versions = world->schema.schema_versions,
        .controls = world->schema.controls,
        .writes = sim_told(world),
        .shards = process->shards,
        .owner = "sim",
        .engine = engine_config(world),
        .lock_timeout_ms = world->options.values[OPT_LOCK_TIMEOUT_MS],
        .lag_limit_ms = world->options.values[OPT_LAG_LIMIT_MS],
        .metrics = process->metrics,
    };
    leat_error error;
    world->starting = process;
    process->worker = leat_worker_new(&config, &error);
    world->starting = NULL;
    if (!process->worker)
        sim_fail(world, "simulator", "no worker: %s", error.text);
}

void sim_process_start(sim_world *world, sim_process *process)
{
    sim_trace(world, "process %u starts", process->index);
    uint32_t index = process->index;
    *process = (sim_process){
        .index = index, .is_alive = true, .life = ++world->serial, .tick_us = INT64_MAX};
    make_worker(world, process);
    sim_floods_follow(world, process);
    sim_disk_follow(world, process);
    pump(world, process);
}

void sim_process_crash(sim_world *world, sim_process *process)
{
    if (!process->is_alive)
        return;
    sim_trace(world, "process %u crashes", process->index);
    world->sometimes->count[SOMETIMES_CRASH]++;
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++)
        sim_sink_cut_all(world, process->sinks[shard]);
    end_life(world, process);
}

static void on_drain_wish(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    sim_process *process = object;
    leat_engine_drain(process->worker->engine, leat_worker_now_us(process->worker));
}

void sim_process_drain(sim_world *world, sim_process *process)
{
    if (!process->is_alive || process->is_draining)
        return;
    sim_trace(world, "process %u drains", process->index);
    process->is_draining = true;
    sim_process_plan(world, process, world->clock.now_us, on_drain_wish, process, 0);
}

void sim_process_freeze(sim_world *world, sim_process *process, int64_t until_us)
{
    if (!process->is_alive || process->frozen_until_us > world->clock.now_us)
        return;
    sim_trace(world, "process %u is frozen for %.3f s", process->index,
              (double)(until_us - world->clock.now_us) / 1e6);
    world->sometimes->count[SOMETIMES_FROZEN]++;
    process->frozen_until_us = until_us;
    process->frozen_us = until_us - world->clock.now_us;
}

void sim_process_forget(sim_process *process)
{
    if (!process->is_alive)
        return;
    leat_worker_free(process->worker);
    leat_metrics_free(process->metrics);
    process->is_alive = false;
}
