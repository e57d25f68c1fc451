/* check_held.c - keys: what is kept of held keys is what a database has of them, and nothing of a
 * key goes before it. */
#include "check.h"
#include "held.h"
#include "world.h"

static bool is_in(const sim_commit *commit, uint32_t before, const sim_record *record)
{
    for (uint32_t i = 0; i < before; i++)
        if (commit->fates[i].record == record)
            return true;
    return false;
}

/* An earlier record of its row that is kept, and that this commit does not take before it. */
static const sim_record *kept_before(const sim_world *world, const sim_state *state,
                                     const sim_commit *commit, uint32_t at)
{
    const sim_record *record = commit->fates[at].record;
    const sim_partition *partition = &world->broker.partitions[record->record.partition];
    for (uint32_t i = 0; i < record->index; i++) {
        const sim_record *before = partition->records[i];
        if (before->row == record->row && sim_state_fate(state, before) == FATE_KEPT &&
            !is_in(commit, at, before))
            return before;
    }
    return NULL;
}

void sim_check_keys(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    for (uint32_t i = 0; i < commit->fate_count; i++) {
        const sim_record_fate *now = &commit->fates[i];
        if (now->record->row < 0 || (now->fate != FATE_APPLIED && now->fate != FATE_DEAD))
            continue;
        const sim_record *before = kept_before(world, state, commit, i);
        if (before)
            sim_fail(world, "keys",
                     "partition %u offset %lld is applied before offset %lld, which is kept for "
                     "the same row",
                     now->record->record.partition, (long long)now->record->record.offset,
                     (long long)before->record.offset);
    }
}

static uint32_t count_kept(const sim_partition_state *partition, const sim_record *record)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < partition->kept_count; i++)
        count += partition->kept[i].record == record;
    return count;
}

void sim_check_held(sim_world *world, const sim_state *state, uint32_t at)
{
    const sim_partition_state *partition = &state->partitions[at];
    const sim_partition *log = &world->broker.partitions[at];
    for (uint32_t i = 0; i < log->count; i++) {
        bool is_kept = sim_state_fate(state, log->records[i]) == FATE_KEPT;
        uint32_t count = count_kept(partition, log->records[i]);
        if (count != is_kept)
            sim_fail(world, "keys", "partition %u offset %lld is %s, and in %u rows", at,
                     (long long)log->records[i]->record.offset, is_kept ? "kept" : "not kept",
                     count);
    }
    for (uint32_t i = 0; i < partition->kept_count; i++)
        if (!sim_held_has(partition, partition->kept[i].key))
            sim_fail(world, "keys", "partition %u offset %lld is kept, and its key is not held", at,
                     (long long)partition->kept[i].record->record.offset);
}
