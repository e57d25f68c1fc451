/* check_work.c - flight, ownership, memory: the limits of a worker. */
#include "check.h"
#include "engine/state.h"
#include "world.h"

static void check_owned(sim_world *world, const sim_process *process, uint32_t shard,
                        uint32_t partition, bool fully)
{
    if (!sim_reader_holds(process->reader, partition, fully))
        sim_fail(world, "ownership", "process %u works on partition %u, which is no longer its own",
                 process->index, partition);
    if (sim_world_shard_of(world, partition) != shard)
        sim_fail(world, "ownership",
                 "process %u works on partition %u in shard %u, which is another's", process->index,
                 partition, shard);
}

void sim_check_job(sim_world *world, const sim_process *process, uint32_t shard,
                   const leat_engine_job *job)
{
    if (job->kind == LEAT_ENGINE_JOB_CLAIM)
        check_owned(world, process, shard, job->partition, true);
    if (job->kind == LEAT_ENGINE_JOB_COMPACT)
        check_owned(world, process, shard, job->compaction.partition, false);
    if (job->kind == LEAT_ENGINE_JOB_LOAD)
        check_owned(world, process, shard, job->partition, true);
    if (job->kind == LEAT_ENGINE_JOB_PARK)
        sim_check_room(world, process, shard, job);
    if (job->kind != LEAT_ENGINE_JOB_BATCH && job->kind != LEAT_ENGINE_JOB_PARK)
        return;
    sim_check_kept_room(world, process, shard, &job->batch);
    for (uint32_t i = 0; i < job->batch.part_count; i++) {
        const leat_engine_batch_part *part = &job->batch.parts[i];
        check_owned(world, process, shard, part->partition, true);
        if (sim_sink_is_moving(process->sinks[shard], &job->batch, part))
            sim_fail(world, "flight",
                     "process %u has two batches of one subpartition of partition %u in flight",
                     process->index, part->partition);
    }
}

/* Each route holds keys, or stops, and no record is malformed. */
static bool nothing_is_given_up(const sim_world *world)
{
    const leat_routes *routes = sim_schema_routes(&world->schema);
    for (uint32_t i = 0; i < routes->count; i++)
        if (routes->routes[i].on_refused == LEAT_ON_REFUSED_SKIP)
            return false;
    return world->options.values[OPT_FOREIGN] == 0;
}

/* One subpartition has its share of the keys that may be held, and no more. */
static void check_keys(sim_world *world, const sim_process *process, uint32_t partition)
{
    const leat_engine *engine = process->worker->engine;
    const leat_held *held = &engine->partitions[partition].held;
    for (uint32_t i = 0; held->count > 0 && i < engine->config.subpartitions; i++) {
        world->sometimes->count[SOMETIMES_KEYS_FULL_OF_ONE] += leat_held_is_full_of(held, i);
        if (held->of[i] > held->each_max)
            sim_fail(world, "scope", "process %u holds %u keys of subpartition %u/%u, of %u",
                     process->index, held->of[i], partition, i, held->each_max);
    }
}

void sim_check_memory(sim_world *world, const sim_process *process)
{
    const leat_engine_config *limits = &process->worker->config.engine;
    const leat_engine_counters *count = leat_engine_count(process->worker->engine);
    world->sometimes->count[SOMETIMES_TABLE_STOPPED] += count->tables_stopped > 0;
    world->sometimes->count[SOMETIMES_SHARD_HALTED] += count->shards_halted > 0;
    const int64_t *option = world->options.values;
    if (count->shards_halted > 0 && option[OPT_NOT_UNDERSTOOD] == 0 && option[OPT_ERRORS] == 0)
        sim_fail(world, "scope",
                 "process %u: a shard is halted, and nothing but records was refused",
                 process->index);
    if (count->tables_stopped > 0 && nothing_is_given_up(world))
        sim_fail(world, "scope", "process %u: a table is stopped, and no record may be given up",
                 process->index);
    uint64_t records = 0, bytes = 0, loaded = 0;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        leat_engine_partition_view view;
        leat_engine_partition(process->worker->engine, p, &view);
        records += view.records;
        bytes += view.bytes;
        loaded += view.loaded;
        world->sometimes->count[SOMETIMES_PARKED_FULL] += view.parked_full;
        world->sometimes->count[SOMETIMES_KEYS_FULL] += view.held_keys == limits->held_keys_max;
        check_keys(world, process, p);
    }
    if (loaded > leat_engine_loaded_max(limits))
        sim_fail(world, "memory", "process %u holds %llu loaded records, more than it may",
                 process->index, (unsigned long long)loaded);
    if (records > limits->records_max || bytes > limits->bytes_max)
        sim_fail(world, "memory", "process %u holds %llu records and %llu bytes, more than it may",
                 process->index, (unsigned long long)records, (unsigned long long)bytes);
    /* Fewer, because it keeps copies of those that wait for long. */
    if (sim_reader_held(process->reader) > records)
        sim_fail(world, "memory", "process %u holds %llu records, and has not released %llu",
                 process->index, (unsigned long long)records,
                 (unsigned long long)sim_reader_held(process->reader));
}

void sim_check_drained(sim_world *world, const sim_process *process)
{
    if (sim_reader_held(process->reader) > 0)
        sim_fail(world, "memory", "process %u has drained and holds %llu records", process->index,
                 (unsigned long long)sim_reader_held(process->reader));
}
