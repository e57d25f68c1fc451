/* check_parked.c - parked: what a database holds in chunks is what is parked there. */
#include <stdlib.h>

#include "check.h"
#include "parked.h"
#include "world.h"

static bool is_open(const sim_chunk *chunk, const sim_record *record)
{
    int64_t offset = record->record.offset;
    return chunk->subpartition == record->subpartition && offset >= chunk->first_offset &&
           offset <= chunk->last_offset && offset > chunk->done;
}

void sim_check_parked(sim_world *world, const sim_state *state, uint32_t at)
{
    const sim_partition_state *partition = &state->partitions[at];
    const sim_partition *log = &world->broker.partitions[at];
    uint32_t *counts = leat_must_calloc(partition->chunk_count + 1, sizeof *counts);
    for (uint32_t i = 0; i < log->count; i++) {
        const sim_record *record = log->records[i];
        uint32_t in = 0;
        if (sim_state_fate(state, record) != FATE_PARKED)
            continue;
        for (uint32_t k = 0; k < partition->chunk_count; k++) {
            bool holds = is_open(&partition->chunks[k], record);
            counts[k] += holds;
            in += holds;
        }
        if (in != 1)
            sim_fail(world, "parked", "partition %u offset %lld is parked, and in %u chunks", at,
                     (long long)record->record.offset, in);
    }
    for (uint32_t k = 0; k < partition->chunk_count; k++)
        if (counts[k] != partition->chunks[k].records)
            sim_fail(world, "parked",
                     "partition %u: the chunk from offset %lld holds %u parked records, not %u", at,
                     (long long)partition->chunks[k].first_offset, counts[k],
                     partition->chunks[k].records);
    free(counts);
}
