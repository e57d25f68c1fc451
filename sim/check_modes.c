/* check_modes.c - modes: a key that changes its way never has writes under way on both sides. */
#include "check.h"
#include "modes.h"
#include "world.h"

static uint32_t partition_of(const sim_world *world, uint32_t row, const sim_record **ret_first)
{
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        for (uint32_t i = 0; i < world->broker.partitions[p].count; i++)
            if (world->broker.partitions[p].records[i]->row == (int32_t)row) {
                *ret_first = world->broker.partitions[p].records[i];
                return p;
            }
    *ret_first = NULL;
    return 0;
}

static bool is_open(const sim_state *state, const sim_record *record)
{
    sim_fate fate = sim_state_fate(state, record);
    return fate == FATE_NONE || fate == FATE_PARKED || fate == FATE_KEPT;
}

static bool was_told(const sim_world *world, const sim_record *record)
{
    return record->request != SIM_FOREIGN &&
           world->clients.requests[record->request]->status == 202;
}

void sim_check_let_through(sim_world *world, const sim_server *server, uint32_t row)
{
    const sim_record *first;
    const sim_partition *log = &world->broker.partitions[partition_of(world, row, &first)];
    const sim_state *state = sim_server_view_of(server).state;
    for (uint32_t i = first ? first->index : log->count; i < log->count; i++) {
        const sim_record *record = log->records[i];
        if (record->row == (int32_t)row && is_open(state, record) && was_told(world, record))
            sim_fail(world, "modes",
                     "a write goes to the database, and partition %u offset %lld of its row is in "
                     "the log, not applied and accepted",
                     record->record.partition, (long long)record->record.offset);
    }
}

void sim_check_told_logged(sim_world *world, uint32_t row)
{
    const sim_record *first;
    uint32_t shard = sim_world_shard_of(world, partition_of(world, row, &first));
    if (sim_directs_write(world->shards[shard].primary, row))
        sim_fail(world, "modes",
                 "a write is accepted for the log while one of its row is in the database");
}

uint32_t sim_check_applied_of_row(const sim_world *world, const sim_server *server, uint32_t row)
{
    const sim_record *first;
    const sim_partition *log = &world->broker.partitions[partition_of(world, row, &first)];
    const sim_state *state = sim_server_view_of(server).state;
    uint32_t count = 0;
    for (uint32_t i = first ? first->index : log->count; i < log->count; i++)
        count += log->records[i]->row == (int32_t)row &&
                 sim_state_fate(state, log->records[i]) == FATE_APPLIED;
    return count;
}
