/*
 * world.c - the life of a world in phases: faults happen; everything heals; the world runs until
 * nothing is left to apply; every process drains. Liveness is checked only in the second half,
 * since a world with faults need not make progress.
 */
#include "world.h"

#include <stdlib.h>

#include "check.h"
#include "faults.h"

enum { EVENTS_MAX = 20000000, LOOK_EVERY_MS = 250 };

/* ---- chance ---- */

uint32_t sim_below(sim_world *world, uint32_t bound)
{
    return bound ? (uint32_t)leat_prng_below(&world->prng, bound) : 0;
}

bool sim_chance(sim_world *world, int64_t thousandths)
{
    return thousandths > 0 && !world->is_healing &&
           (int64_t)leat_prng_below(&world->prng, 1000) < thousandths;
}

int64_t sim_around(sim_world *world, int64_t mean)
{
    if (mean < 4)
        return mean;
    int64_t length = mean / 4 + (int64_t)leat_prng_below(&world->prng, (uint64_t)mean * 3 / 2);
    return leat_prng_below(&world->prng, 16) == 0 ? 6 * length : length;
}

int64_t sim_latency_us(sim_world *world)
{
    return sim_around(world, world->options.values[OPT_LATENCY_US]);
}

void sim_list_add(sim_list *list, void *item)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
        LEAT_ASSERT(list->items);
    }
    list->items[list->count++] = item;
}

/* ---- questions ---- */

uint32_t sim_world_shard_of(const sim_world *world, uint32_t partition)
{
    return leat_layout_shard_of_partition(&world->schema.catalog.layout, partition);
}

int64_t sim_row_us(const sim_world *world, uint32_t app)
{
    bool is_dear = app == 0 && !world->is_healing;
    return is_dear ? world->options.values[OPT_DEAR] * world->options.values[OPT_STATEMENT_US] : 0;
}

int64_t sim_world_safe_low(const sim_world *world, uint32_t partition)
{
    const sim_shard *shard = &world->shards[sim_world_shard_of(world, partition)];
    if (shard->old)
        return -1; /* it is not known yet which of them counts */
    return sim_server_safe_low(shard->primary, partition,
                               (uint32_t)world->options.values[OPT_LAG_COMMITS]);
}

/* ---- a life ---- */

static void begin(sim_world *world)
{
    sim_clock_begin(&world->clock);
    sim_schema_begin(&world->schema, &world->options);
    sim_broker_begin(world);
    sim_group_begin(world);
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++) {
        sim_shard *made = &world->shards[shard];
        made->primary = made->all[made->count++] = sim_server_new(world, shard, NULL, 0);
    }
    sim_floods_begin(world);
    sim_modes_begin(world);
    sim_edges_begin(world);
    sim_clients_begin(world);
    world->process_count = (uint32_t)world->options.values[OPT_PROCESSES];
    for (uint32_t i = 0; i < world->process_count; i++)
        world->processes[i].index = i;
    for (uint32_t i = 0; i < world->process_count; i++)
        sim_process_start(world, &world->processes[i]);
    sim_faults_begin(world);
}

static void step(sim_world *world)
{
    sim_event event;
    if (!sim_clock_next(&world->clock, &event))
        sim_fail(world, "simulator", "no event is planned");
    if (++world->events > EVENTS_MAX)
        sim_fail(world, "liveness", "the world does not end");
    event.fn(world, event.object, event.argument);
}

static void run_until(sim_world *world, int64_t at_us)
{
    while (world->clock.count > 0 && world->clock.heap[0].at_us <= at_us)
        step(world);
    world->clock.now_us = at_us;
}

static void run_until_quiet(sim_world *world)
{
    int64_t began_us = world->clock.now_us;
    while (!sim_check_is_quiet(world)) {
        if (world->clock.now_us - began_us >= 1000 * world->options.values[OPT_HEAL_MS])
            sim_check_not_quiet(world);
        run_until(world, world->clock.now_us + 1000 * LOOK_EVERY_MS);
    }
    world->healed_us = world->clock.now_us - began_us;
}

static uint32_t count_alive(const sim_world *world)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < world->process_count; i++)
        alive += world->processes[i].is_alive;
    return alive;
}

/* An orderly end: every process drains. */
static void run_until_drained(sim_world *world)
{
    world->is_ending = true;
    for (uint32_t i = 0; i < world->process_count; i++)
        sim_process_drain(world, &world->processes[i]);
    int64_t end_us = world->clock.now_us + 1000 * world->options.values[OPT_HEAL_MS];
    while (count_alive(world) > 0) {
        if (world->clock.now_us >= end_us)
            sim_fail(world, "liveness", "%u processes do not drain", count_alive(world));
        run_until(world, world->clock.now_us + 1000 * LOOK_EVERY_MS);
    }
}

bool sim_world_run(sim_world *world, uint64_t seed, const sim_options *options,
                   sim_sometimes *sometimes, bool trace)
{
    *world = (sim_world){.seed = seed,
                         .prng = {seed},
                         .options = *options,
                         .sometimes = sometimes,
                         .story = {.trace = trace}};
    sim_world_enter(world);
    if (setjmp(world->story.failed) != 0)
        return false;
    begin(world);
    run_until(world, world->clock.now_us + 1000 * options->values[OPT_DURATION_MS]);
    sim_faults_heal(world);
    run_until_quiet(world);
    run_until_drained(world);
    sim_check_end(world);
    sim_trace(world, "all is applied");
    return true;
}

static void free_pipelines(sim_list *pipelines)
{
    for (uint32_t i = 0; i < pipelines->count; i++) {
        sim_pipeline *pipeline = pipelines->items[i];
        for (uint32_t k = 0; k < pipeline->command_count; k++)
            sim_params_free(&pipeline->commands[k]);
        free(pipeline->commands);
        free(pipeline->records);
        free(pipeline->fates);
        free(pipeline);
    }
    free(pipelines->items);
}

static void free_list(sim_list *list, void (*free_item)(void *item))
{
    for (uint32_t i = 0; i < list->count; i++)
        free_item(list->items[i]);
    free(list->items);
}

static void free_commit(void *item)
{
    sim_commit_free(item);
}

void sim_world_end(sim_world *world)
{
    for (uint32_t i = 0; i < world->process_count; i++)
        sim_process_forget(&world->processes[i]);
    sim_edges_end(world);
    sim_clients_end(world);
    sim_modes_end(world);
    sim_floods_end(world);
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++)
        for (uint32_t i = 0; i < world->shards[shard].count; i++)
            sim_server_free(world->shards[shard].all[i]);
    free_pipelines(&world->pipelines);
    free_list(&world->commits, free_commit);
    sim_processes_drop_planned(&world->clock);
    free_list(&world->garbage, free);
    sim_broker_end(&world->broker);
    sim_schema_end(&world->schema);
    sim_clock_end(&world->clock);
    sim_world_enter(NULL);
}
