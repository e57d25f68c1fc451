/*
 * halt.h - a shard that is halted runs nothing but its probe.
 */
#ifndef LEAT_ENGINE_HALT_H
#define LEAT_ENGINE_HALT_H

#include "engine/state.h"

/* A batch with this queue got an error that leat does not understand. Is the queue the probe now?
 * `ret_is_new`: the shard was not halted. */
bool leat_halt_begin(leat_engine *engine, uint32_t queue, bool *ret_is_new);
/* The queue's batch was applied, failed with an error that leat understands, or was held up by
 * rows: if the queue is the probe its shard goes on. Should the error still be there, another one
 * meets it. */
void leat_halt_queue_passed(leat_engine *engine, uint32_t queue);
/* The partition runs nothing from now on: if the probe is one of its queues the shard goes on. */
void leat_halt_partition_left(leat_engine *engine, leat_partition *partition);

#endif
