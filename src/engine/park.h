/*
 * park.h - what is parked, and when.
 */
#ifndef LEAT_ENGINE_PARK_H
#define LEAT_ENGINE_PARK_H

#include "engine/state.h"

/* Something of the partition may have to be parked: it is looked at soon, and as long as that is
 * so. */
void leat_park_plan(leat_engine *engine, leat_partition *partition);
/* The partition is paused for want of room: it is looked at at once. */
void leat_park_full(leat_engine *engine, leat_partition *partition);
/* A queue of the partition has come out of a batch. */
void leat_park_landed(leat_engine *engine, leat_partition *partition);
/* It is time to look. */
void leat_park_look(leat_engine *engine, leat_partition *partition);
/* Makes the shard's next park; NULL: there is none, or parks have had their part of the time. */
const leat_engine_job *leat_park_next(leat_engine *engine, leat_shard *shard);
void leat_park_done(leat_engine *engine, leat_job_slot *slot, const leat_engine_job_result *result);
/* The partition drops everything that it holds. */
void leat_park_dropped(leat_engine *engine, leat_partition *partition);

#endif
