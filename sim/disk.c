/*
 * disk.c - the table of parked records grows and shrinks, mostly to sizes beside a bound. A shard
 * that is down is not measured: then what was measured last counts.
 */
#include "disk.h"

#include "world.h"

enum { MEASURE_EVERY_US = 700000 };

static uint32_t partitions_of(const sim_world *world, uint32_t shard)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        count += sim_world_shard_of(world, p) == shard;
    return count;
}

uint64_t sim_disk_share(const sim_world *world, uint32_t shard)
{
    return 1024 * (uint64_t)world->options.values[OPT_PARKED_MAX_KB] / partitions_of(world, shard);
}

/* As docs/contention.md says; a small table is not worth a rule. */
uint64_t sim_disk_most(const sim_world *world, uint32_t shard)
{
    uint64_t least = UINT64_C(64) << 20;
    uint64_t most = 4 * sim_disk_share(world, shard) * partitions_of(world, shard);
    return most > least ? most : least;
}

static void on_shrunk(sim_world *world, void *object, uint64_t size)
{
    sim_shard *shard = object;
    (void)world;
    if (shard->parked_size == size)
        shard->parked_size = 0;
}

void sim_disk_swell(sim_world *world)
{
    uint32_t at = sim_below(world, world->schema.catalog.layout.shard_count);
    sim_shard *shard = &world->shards[at];
    uint64_t most = sim_disk_most(world, at);
    const uint64_t sizes[] = {most - 1, most, 2 * most - 1, 2 * most};
    shard->parked_size = sizes[sim_below(world, sizeof sizes / sizeof *sizes)];
    sim_trace(world, "shard %u: parked records take up %llu bytes", at,
              (unsigned long long)shard->parked_size);
    sim_clock_plan(&world->clock, world->clock.now_us + 1000 * sim_around(world, 3000), on_shrunk,
                   shard, shard->parked_size);
}

static void on_measure(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_process *process = object;
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++) {
        if (!sim_server_view_of(world->shards[shard].primary).is_up)
            continue;
        process->parked_size[shard] = world->shards[shard].parked_size;
        leat_worker_parked_size(process->worker, shard, process->parked_size[shard]);
        world->sometimes->count[SOMETIMES_SWOLLEN] += process->parked_size[shard] >=
                                                      2 * sim_disk_most(world, shard);
    }
    leat_worker_follow_parked_size(process->worker);
    sim_disk_follow(world, process);
}

void sim_disk_follow(sim_world *world, sim_process *process)
{
    if (world->options.values[OPT_SWOLLEN] > 0)
        sim_process_plan(world, process, world->clock.now_us + sim_around(world, MEASURE_EVERY_US),
                         on_measure, process, 0);
}
