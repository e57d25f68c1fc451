/*
 * low_water.h - how far a partition has come, and commits of it to the group.
 */
#ifndef LEAT_ENGINE_LOW_WATER_H
#define LEAT_ENGINE_LOW_WATER_H

#include "engine/state.h"

/* The first record it holds, in flight included; NULL: it holds none. O(subpartitions). */
const leat_record_slot *leat_partition_first(const leat_engine *engine,
                                             const leat_partition *partition);
/* Everything up to this offset is applied, -1: nothing is known to be. O(subpartitions): not for
 * every record. */
int64_t leat_partition_low(const leat_engine *engine, const leat_partition *partition);
/* The position has moved over records that were skipped, or offsets without one: the low water
 * moves too if nothing is held. */
void leat_partition_passed(leat_engine *engine, leat_partition *partition);
/* The low water may have moved: commits it, now or when it is time. */
void leat_partition_commit(leat_engine *engine, leat_partition *partition, bool now);
/* The partition is about to drop everything it holds: keeps the low water it had, for people. */
void leat_low_water_dropped(const leat_engine *engine, leat_partition *partition);

#endif
