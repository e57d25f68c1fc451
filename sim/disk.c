/*
 * disk.c - the table of parked records grows and shrinks, mostly to sizes beside a bound; what is
 * kept of held keys is counted. A shard that is down is not measured: then what was measured last
 * counts.
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

static void on_measure(sim_world *world, void *object, uint64_t argument);

static void plan_measure(sim_world *world, sim_process *process)
{
    if (world->options.values[OPT_SWOLLEN] > 0)
        sim_process_plan(world, process, world->clock.now_us + sim_around(world, MEASURE_EVERY_US),
                         on_measure, process, 0);
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
    plan_measure(world, process);
}

static void count_shard(const sim_world *world, uint32_t shard,
                        leat_shard_held_count ret[SIM_PARTITIONS_MAX])
{
    const sim_state *state = sim_server_view_of(world->shards[shard].primary).state;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        const sim_partition_state *partition = &state->partitions[p];
        ret[p] = (leat_shard_held_count){.keys = partition->held_count,
                                         .records = partition->kept_count};
        uint64_t bytes[LEAT_SUBPARTITIONS_MAX] = {0};
        for (uint32_t i = 0; i < partition->kept_count; i++) {
            uint32_t at = partition->kept[i].record->subpartition;
            bytes[at] += partition->kept[i].size;
            ret[p].bytes += partition->kept[i].size;
            if (bytes[at] <= ret[p].most_bytes)
                continue;
            ret[p].most_bytes = bytes[at];
            ret[p].most = at;
        }
    }
}

/* Without chance, so that worlds are as they are without it. */
static void on_count(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_process *process = object;
    leat_shard_held_count counts[SIM_PARTITIONS_MAX];
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++) {
        if (!sim_server_view_of(world->shards[shard].primary).is_up)
            continue;
        count_shard(world, shard, counts);
        leat_worker_held_keys(process->worker, shard, counts);
        for (uint32_t p = 0; p < world->broker.partition_count; p++)
            if (sim_world_shard_of(world, p) == shard) {
                process->kept[p] = counts[p];
                world->sometimes->count[SOMETIMES_KEPT_FULL] += counts[p].bytes >=
                                                                sim_disk_share(world, shard);
            }
    }
    leat_worker_follow_held(process->worker);
    sim_process_plan(world, process, world->clock.now_us + MEASURE_EVERY_US, on_count, process, 0);
}

void sim_disk_follow(sim_world *world, sim_process *process)
{
    plan_measure(world, process);
    if (world->options.values[OPT_ON_REFUSED] > 0)
        sim_process_plan(world, process, world->clock.now_us + MEASURE_EVERY_US, on_count, process,
                         0);
}
