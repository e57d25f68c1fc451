/*
 * deep.h - which subpartitions of a partition hold so much that they are why it is paused.
 *
 * A share is what the partition may hold divided by the subpartitions that are active. Deep is one
 * that holds several. It is never compared with what others hold, because in a pause those that are
 * quick empty themselves and only the deep ones are left.
 *
 * Only deep ones that fill most of the partition, all together, are why it is paused. Else the
 * others fill it: it is slow as a whole, and some are always deeper than others because they wait
 * for their turn. To park those would do their work twice when there is too much of it already.
 *
 * And only deep ones that hold others up: the shard has nothing else that could run, so what is not
 * read for their sake would be applied at once; or they have waited for much longer than others of
 * the partition, so it is they that get too little done. Where the shard is busy with a backlog of
 * keys of which one is hot, that one is deep all the time, and its writes fold: it waits no longer
 * than others do.
 */
#ifndef LEAT_ENGINE_DEEP_H
#define LEAT_ENGINE_DEEP_H

#include "engine/state.h"

/* A record of the queue was read and taken: it counts as active. */
void leat_deep_offered(leat_engine *engine, leat_partition *partition, leat_queue *queue);
/* How many subpartitions were offered a record lately. */
uint32_t leat_deep_active(const leat_partition *partition);
/* Is the queue deep? */
bool leat_deep_is(const leat_engine *engine, const leat_partition *partition, uint32_t id);
/* Is the partition paused for want of room, are the deep ones why, and do they hold others up? */
bool leat_deep_hold_up(const leat_engine *engine, const leat_partition *partition);

#endif
