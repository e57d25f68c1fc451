/*
 * schedule.h - what runs next.
 */
#ifndef LEAT_ENGINE_SCHEDULE_H
#define LEAT_ENGINE_SCHEDULE_H

#include "engine/state.h"

/* The shard may have something to run. */
void leat_schedule_shard(leat_engine *engine, leat_shard *shard);
void leat_schedule_claim(leat_engine *engine, leat_partition *partition);
/* `first`: before all others, for a partition that is to be given back. */
void leat_schedule_compaction(leat_engine *engine, leat_partition *partition, bool first);
/* Takes the partition's claim and compaction out of their lists. */
void leat_schedule_forget(leat_engine *engine, leat_partition *partition);
/* A job for the shard, which has a slot: counted as running, and empty. */
leat_job_slot *leat_schedule_take(leat_engine *engine, leat_shard *shard,
                                  leat_engine_job_kind kind);
/* The partition's part of the batch, with the next seq of its own, and counted as open. */
leat_engine_batch_part *leat_schedule_begin_part(leat_engine *engine, leat_engine_batch *batch,
                                                 uint32_t partition);
/* The part moves this subpartition too, and needs the batch that has moved it last. The partition's
 * parts are begun and filled one after the other. */
void leat_schedule_part_moves(leat_engine *engine, leat_engine_batch_part *part,
                              uint32_t subpartition);
/* Does the batch being built have as many of this queue's partition as a part may have? */
bool leat_schedule_is_part_full(const leat_engine *engine, uint32_t queue);
/* The last subpartition of the part comes to this record. */
static inline void leat_part_reached(leat_engine_batch_part *part, const leat_record_slot *slot)
{
    LEAT_ASSERT(slot->offset > part->offsets[part->count - 1]);
    part->offsets[part->count - 1] = slot->offset;
    if (slot->offset > part->newest.offset)
        part->newest = (leat_engine_newest){slot->offset, slot->at_ms, slot->epoch};
}
/* Makes the next job and counts it as running; NULL: nothing can run. */
const leat_engine_job *leat_schedule_next(leat_engine *engine);

/* The first records of a queue that is ready are in the batch that is being made. */
void leat_schedule_pick(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t id,
                        uint32_t records);

#endif
