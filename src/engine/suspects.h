/*
 * suspects.h - records that may end their session: narrow.h for a whole partition and shard.
 */
#ifndef LEAT_ENGINE_SUSPECTS_H
#define LEAT_ENGINE_SUSPECTS_H

#include "engine/state.h"

/* The outcome of the part's batch is unknown; it may be stale. Is one of its subpartitions under
 * trial now? */
bool leat_suspects_batch_unknown(leat_engine *engine, const leat_job_slot *slot,
                                 const leat_engine_batch_part *part,
                                 const leat_engine_job_result *result);
/* The partition is about to drop everything it holds: notes the time, and how far it was read. */
void leat_suspects_dropped(const leat_engine *engine, leat_partition *partition);
/* A claim is in: its progress shows which records were applied. */
void leat_suspects_claimed(leat_engine *engine, leat_partition *partition);
/* A claim is in, and what is parked is tried within `over_us` from now. */
void leat_suspects_spread(leat_engine *engine, leat_partition *partition, int64_t over_us);
/* The partition has been read again as far as it was before the claim. */
void leat_suspects_reread(leat_engine *engine, leat_partition *partition);
/* Another worker may have had the partition: nothing is known about its records. */
void leat_suspects_forget(leat_engine *engine, leat_partition *partition);
/* May a ready queue go on trial now? */
bool leat_suspects_may_try(const leat_engine *engine, const leat_shard *shard);
/* The quiet queue has a head. How long must it wait before it is tried? 0: not at all. */
int64_t leat_suspects_wait_us(leat_engine *engine, uint32_t queue);

static inline void leat_partition_set_position(leat_engine *engine, leat_partition *partition,
                                               int64_t position)
{
    partition->position = position;
    if (partition->reread_to > 0 && position >= partition->reread_to)
        leat_suspects_reread(engine, partition);
}

#endif
