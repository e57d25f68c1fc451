/*
 * partition.h - a partition's life from its assignment until it is given back: its states.
 */
#ifndef LEAT_ENGINE_PARTITION_H
#define LEAT_ENGINE_PARTITION_H

#include "engine/state.h"

/* The only place where a state changes; asserts that the new one may follow. */
void leat_partition_enter(leat_engine *engine, leat_partition *partition,
                          leat_engine_partition_state state);
/* Releases all it holds; a new incarnation begins: work in flight for the old one is stale. The
 * state stays. */
void leat_partition_drop(leat_engine *engine, leat_partition *partition);
/* To CLAIMING, `delay_us` from now, or to WAITING when its shard has no connection. Must hold
 * nothing. */
void leat_partition_claim(leat_engine *engine, leat_partition *partition, int64_t delay_us);
/* What it holds can no longer be trusted: it is dropped and claimed again. `trial`: after a batch
 * of one subpartition, which has a pause of its own. */
void leat_partition_reclaim(leat_engine *engine, leat_partition *partition, bool trial);
void leat_partition_fence(leat_engine *engine, leat_partition *partition);
/* The group may have confirmed our membership. `ask`: if not, it is asked again. */
void leat_partition_unfence(leat_engine *engine, leat_partition *partition, bool ask);
void leat_partition_stop(leat_engine *engine, leat_partition *partition, const char *reason);
/* The claim is in: READING from the progress that it read. */
void leat_partition_claimed(leat_engine *engine, leat_partition *partition,
                            const leat_engine_job_result *result);

#endif
