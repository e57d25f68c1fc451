/*
 * pause.h - partitions that are paused because there is no room.
 */
#ifndef LEAT_ENGINE_PAUSE_H
#define LEAT_ENGINE_PAUSE_H

#include "engine/state.h"

/* Pauses the partition for want of room; `bytes` of the record that was refused, 0: none. */
void leat_partition_pause_for_room(leat_engine *engine, leat_partition *partition, uint32_t bytes);
void leat_partition_end_pause(leat_engine *engine, leat_partition *partition);
/* Something was released: resumes those for which there is room again, longest waiting first. */
void leat_pause_check_room(leat_engine *engine);
/* The partition no longer holds anything, which is room for others. */
void leat_pause_dropped(leat_engine *engine, leat_partition *partition);

#endif
