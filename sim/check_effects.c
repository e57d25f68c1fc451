/* check_effects.c - effects, order, dead_letters: the changes that one transaction may make. */
#include "check.h"

#include <string.h>

#include "notes.h"
#include "world.h"

void sim_check_effects(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    /* It would bring back, after a failover, that they were parked. */
    if (commit->step_count > 0 && commit->progress[0].count > 0)
        sim_fail(world, "effects", "a batch of parked records moves the progress of partition %u",
                 commit->progress[0].partition);
    for (uint32_t i = 0; i < commit->fate_count; i++) {
        const sim_record *record = commit->fates[i].record;
        sim_fate now = sim_state_fate(state, record);
        sim_fate wanted = commit->retry_key != 0   ? FATE_KEPT
                          : commit->step_count > 0 ? FATE_PARKED
                                                   : FATE_NONE;
        if (now != FATE_NONE && now != FATE_PARKED && now != wanted)
            sim_fail(world, "effects", "partition %u offset %lld is applied twice",
                     record->record.partition, (long long)record->record.offset);
        if (now != wanted)
            sim_fail(world, "effects", "partition %u offset %lld is %s, and comes %s",
                     record->record.partition, (long long)record->record.offset,
                     now == FATE_PARKED ? "parked" : "not parked",
                     commit->retry_key != 0   ? "from a held key"
                     : commit->step_count > 0 ? "from a chunk"
                                              : "from the log");
    }
}

static bool is_in(const sim_commit *commit, uint32_t before, const sim_record *record)
{
    for (uint32_t i = 0; i < before; i++)
        if (commit->fates[i].record == record)
            return true;
    return false;
}

/* The record before it in its subpartition that is not lost; NULL: it is the first. */
static const sim_record *previous(const sim_world *world, const sim_record *record)
{
    const sim_partition *partition = &world->broker.partitions[record->record.partition];
    for (uint32_t i = record->index; i-- > 0;)
        if (partition->records[i]->subpartition == record->subpartition &&
            !sim_record_is_lost(partition->records[i]))
            return partition->records[i];
    return NULL;
}

void sim_check_order(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    for (uint32_t i = 0; i < commit->fate_count; i++) {
        const sim_record *record = commit->fates[i].record;
        const sim_record *before = previous(world, record);
        sim_fate was = before ? sim_state_fate(state, before) : FATE_APPLIED;
        bool is_ahead = was == FATE_NONE ||
                        (was == FATE_PARKED && commit->fates[i].fate != FATE_PARKED);
        if (is_ahead && !is_in(commit, i, before))
            sim_fail(world, "order",
                     "partition %u offset %lld is applied before offset %lld of its subpartition",
                     record->record.partition, (long long)record->record.offset,
                     (long long)before->record.offset);
    }
}

static void check_patience(sim_world *world, const sim_process *process, const sim_record *record,
                           const leat_engine_reason *reason)
{
    bool may_pass = strcmp(reason->sqlstate, "23503") == 0 ||
                    strcmp(reason->sqlstate, "23505") == 0;
    int64_t at_it_us = world->clock.now_us - process->stood_still_us -
                       record->read[process->index].at_us;
    if (may_pass && at_it_us < 1000 * world->options.values[OPT_PATIENCE_MS])
        sim_fail(world, "patience", "partition %u offset %lld is to be a dead letter after %.3f s",
                 record->record.partition, (long long)record->record.offset,
                 (double)at_it_us / 1e6);
}

void sim_check_verdict(sim_world *world, const sim_process *process, const sim_record *record,
                       const leat_engine_batch *batch, uint64_t trouble)
{
    const leat_item *item = batch->records[0].payload;
    leat_on_refused policy = item->route ? item->route->on_refused : LEAT_ON_REFUSED_SKIP;
    uint64_t refused = record->read[process->index].refused;
    bool is_held_back = refused != 0 && record->read[process->index].held_back == refused;
    bool may_hold = (policy == LEAT_ON_REFUSED_HOLD || is_held_back) &&
                    leat_item_held_hash(item) != 0;
    bool may_give_up = policy != LEAT_ON_REFUSED_STOP && !may_hold && !is_held_back;
    world->sometimes->count[SOMETIMES_HELD_BY_CONTROL] += batch->hold && is_held_back;
    if (batch->dead)
        check_patience(world, process, record, batch->dead);
    if (batch->dead ? !may_give_up : !may_hold)
        sim_fail(world, "dead_letters",
                 "partition %u offset %lld is %s, against its route or control",
                 record->record.partition, (long long)record->record.offset,
                 batch->dead ? "given up" : "to be kept");
    if (refused == 0 || refused < trouble)
        sim_fail(
            world, "dead_letters",
            "partition %u offset %lld is to be a dead letter, and was not asked again since %s",
            record->record.partition, (long long)record->record.offset,
            refused == 0 ? "one of it failed" : "the shard was in trouble");
}

void sim_check_dead_letters(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    for (uint32_t i = 0; i < commit->fate_count; i++) {
        const sim_record *record = commit->fates[i].record;
        bool is_refused = record->poison.sqlstate[0] && !sim_poison_kills(&record->poison);
        bool is_bad = is_refused || record->row < 0;
        if (commit->fates[i].fate == FATE_DEAD && sim_check_is_conflict(world, state, commit, i)) {
            world->sometimes->count[SOMETIMES_CONFLICTING]++;
            continue;
        }
        if (commit->fates[i].fate == FATE_DEAD && !is_bad)
            sim_fail(
                world, "dead_letters",
                "partition %u offset %lld is kept as a dead letter, and nothing is wrong with it",
                record->record.partition, (long long)record->record.offset);
    }
}
