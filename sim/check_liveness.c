/* check_liveness.c - liveness: once nothing goes wrong any longer, everything is applied, committed
 * and released. */
#include <stdio.h>

#include "check.h"
#include "engine/state.h"
#include "faults.h"
#include "world.h"

static bool is_left(const sim_state *state, const sim_record *record)
{
    sim_fate fate = sim_state_fate(state, record);
    return !sim_record_is_lost(record) &&
           (fate == FATE_NONE || fate == FATE_PARKED || fate == FATE_KEPT);
}

static const sim_record *first_unapplied(const sim_world *world, uint32_t partition)
{
    uint32_t shard = sim_world_shard_of(world, partition);
    const sim_state *state = sim_server_view_of(world->shards[shard].primary).state;
    const sim_partition *log = &world->broker.partitions[partition];
    for (uint32_t i = 0; i < log->count; i++)
        if (is_left(state, log->records[i]))
            return log->records[i];
    return NULL;
}

static bool view_of(const sim_world *world, uint32_t partition, leat_engine_partition_view *ret)
{
    int32_t owner = world->group.owner[partition];
    if (owner == SIM_NOBODY || !world->processes[owner].is_alive)
        return false;
    leat_engine_partition(world->processes[owner].worker->engine, partition, ret);
    return true;
}

/* The remaining work; "": none. */
static void describe_unfinished(const sim_world *world, uint32_t p, char *ret, size_t size)
{
    leat_engine_partition_view view;
    int64_t last = world->broker.partitions[p].end - 1; /* whether or not it has a record */
    const sim_record *left = first_unapplied(world, p);
    *ret = '\0';
    if (!view_of(world, p, &view))
        snprintf(ret, size, "partition %u has no owner", p);
    else if (world->broker.partitions[p].is_damaged && view.state == LEAT_ENGINE_STOPPED)
        return; /* a person is needed, which it reports */
    else if (left)
        snprintf(ret, size, "partition %u offset %lld is not applied; its state is %d%s", p,
                 (long long)left->record.offset, (int)view.state, view.reason);
    else if (view.records > 0 || view.in_flight > 0)
        snprintf(ret, size,
                 "partition %u: all is applied, and %u records are held, %u of them in flight", p,
                 view.records, view.in_flight);
    else if (view.parked_records > 0 || view.loaded > 0)
        snprintf(ret, size, "partition %u: all is applied, and %llu records count as parked", p,
                 (unsigned long long)view.parked_records);
    else if (view.state != LEAT_ENGINE_READING)
        snprintf(ret, size, "partition %u is not read; its state is %d %s", p, (int)view.state,
                 view.reason);
    else if (view.low < last)
        snprintf(ret, size, "partition %u: all is applied, and its low water is %lld, not %lld", p,
                 (long long)view.low, (long long)last);
    else if (world->group.committed[p] < last)
        snprintf(ret, size, "partition %u is committed up to %lld, not %lld", p,
                 (long long)world->group.committed[p], (long long)last);
}

/* It ends its session, or its row stays locked. */
static bool is_stuck(const sim_server *server, const sim_record *record)
{
    return sim_poison_kills(&record->poison) ||
           (record->row >= 0 && sim_server_holds_row(server, (uint32_t)record->row));
}

/* The first record that is not applied and is not after a stuck one; `ret_stuck`: some of those are
 * left. */
static const sim_record *first_of_others(const sim_world *world, uint32_t partition,
                                         bool *ret_stuck)
{
    uint32_t shard = sim_world_shard_of(world, partition);
    const sim_server *server = world->shards[shard].primary;
    const sim_state *state = sim_server_view_of(server).state;
    const sim_partition *log = &world->broker.partitions[partition];
    bool behind[LEAT_SUBPARTITIONS_MAX] = {false};
    for (uint32_t i = 0; i < log->count; i++) {
        const sim_record *record = log->records[i];
        if (!is_left(state, record) || behind[record->subpartition] ||
            sim_state_fate(state, record) == FATE_KEPT)
            continue;
        if (!is_stuck(server, record))
            return record;
        behind[record->subpartition] = true;
        *ret_stuck = true;
    }
    return NULL;
}

/* What is to be held finds no room, because of what waits for a person. */
static bool lacks_room(const sim_world *world, uint32_t partition)
{
    const leat_engine *engine = world->processes[world->group.owner[partition]].worker->engine;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        const leat_queue_mark *mark = &engine->marks[leat_queue_id(engine, partition, i)];
        if (mark->is_set && mark->no_room)
            return true;
    }
    return false;
}

/* It needs a person; or the records after one that is not applied fill the memory that it may
 * have. */
static bool is_excused(const sim_world *world, uint32_t partition)
{
    leat_engine_partition_view view;
    if (!view_of(world, partition, &view))
        return false;
    return view.full || view.parked_full || lacks_room(world, partition) ||
           (world->broker.partitions[partition].is_damaged && view.state == LEAT_ENGINE_STOPPED);
}

/* What is stuck is repaired, once all others have gone on. */
static bool may_mend(sim_world *world)
{
    bool stuck = false;
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        if (!is_excused(world, p) && first_of_others(world, p, &stuck))
            return false;
    world->sometimes->count[SOMETIMES_OTHERS_WENT_ON] += stuck;
    return true;
}

static void check_others(sim_world *world)
{
    bool stuck = false;
    const sim_record *first = NULL;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        const sim_record *left = first_of_others(world, p, &stuck);
        first = first || is_excused(world, p) ? first : left;
    }
    if (first && stuck)
        sim_fail(world, "others",
                 "partition %u offset %lld stands behind no stuck record, and is not applied",
                 first->record.partition, (long long)first->record.offset);
}

bool sim_check_is_quiet(sim_world *world)
{
    char left[160];
    if (!sim_clients_are_done(world))
        return false;
    if (!world->is_mended && may_mend(world))
        sim_faults_mend(world);
    if (!world->is_mended)
        return false;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        describe_unfinished(world, p, left, sizeof left);
        if (left[0])
            return false;
    }
    return sim_floods_are_over(world);
}

void sim_check_not_quiet(sim_world *world)
{
    char left[160] = "clients wait for answers";
    if (!world->is_mended && sim_clients_are_done(world))
        check_others(world);
    for (uint32_t p = 0; p < world->broker.partition_count && sim_clients_are_done(world); p++) {
        describe_unfinished(world, p, left, sizeof left);
        if (left[0])
            break;
    }
    if (!left[0])
        snprintf(left, sizeof left, "nothing waits, and a tenant is refused");
    sim_fail(world, "liveness", "%lld s after the last fault: %s",
             (long long)world->options.values[OPT_HEAL_MS] / 1000, left);
}
