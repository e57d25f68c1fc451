/* check_progress.c - progress, commits: only applied records are shown as applied. */
#include <stdlib.h>

#include "check.h"
#include "world.h"

void sim_check_progress(sim_world *world, const sim_state *state, uint32_t at)
{
    const sim_partition *partition = &world->broker.partitions[at];
    int64_t *offsets = sim_state_offsets(state, at);
    for (uint32_t i = 0; i < partition->count; i++) {
        const sim_record *record = partition->records[i];
        if (record->is_cut_off || record->is_reused)
            continue; /* its offset counts, or counted, as applied because of another record */
        bool is_said = record->record.offset <= offsets[record->subpartition];
        bool is_done = sim_state_fate(state, record) != FATE_NONE;
        if (is_said != is_done)
            sim_fail(world, "progress",
                     "partition %u offset %lld is %s, but progress says it is %s", at,
                     (long long)record->record.offset, is_done ? "applied" : "not applied",
                     is_said ? "applied" : "not");
    }
    free(offsets);
}

void sim_check_commit(sim_world *world, uint32_t at, int64_t offset)
{
    const sim_partition *partition = &world->broker.partitions[at];
    for (uint32_t i = 0; i < partition->live_count && partition->live[i]->record.offset <= offset;
         i++)
        if (!partition->live[i]->ever_applied && !partition->live[i]->is_reused)
            sim_fail(world, "commits",
                     "partition %u is committed up to offset %lld, but %lld was never applied", at,
                     (long long)offset, (long long)partition->live[i]->record.offset);
}
