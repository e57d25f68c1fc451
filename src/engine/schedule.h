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
/* Makes the next job and counts it as running; NULL: nothing can run. */
const leat_engine_job *leat_schedule_next(leat_engine *engine);

#endif
