/*
 * backlog.h - what the subpartitions of a partition have parked: the engine's side of chunks.h.
 */
#ifndef LEAT_ENGINE_BACKLOG_H
#define LEAT_ENGINE_BACKLOG_H

#include "engine/state.h"

/* Of what a partition may park, one subpartition gets one part. */
enum { LEAT_BACKLOG_PARTS = 2 };

/* A claim is in, and has found these. False: they cannot be; nothing was changed. */
bool leat_backlog_claimed(leat_engine *engine, leat_partition *partition,
                          const leat_engine_parked *parked, uint32_t count);
/* The first tries of what a claim has found: spread over a time, which is returned; 0: there are
 * none. */
int64_t leat_backlog_spread(leat_engine *engine, leat_partition *partition);
/* A chunk of the queue was parked, after its others: of its first records in memory, which are
 * still there. */
void leat_backlog_add(leat_engine *engine, uint32_t queue, const leat_engine_parked *parked);
/* The first `records` of the queue, which came from the chunks of the batch, were applied, and have
 * left it. False: what is left cannot be. */
bool leat_backlog_applied(leat_engine *engine, uint32_t queue, const leat_engine_batch *batch,
                          uint32_t records);
/* The loaded records of a queue that is in no batch leave memory; its head is remembered. */
void leat_backlog_unload(leat_engine *engine, uint32_t queue);
/* Is there room for this loaded record? The first of all has some, however large it is. */
bool leat_backlog_has_room(const leat_engine *engine, const leat_partition *partition,
                           const leat_engine_record *record);
/* Takes it into a queue of the partition, as one that was read then. There must be room. */
void leat_backlog_take(leat_engine *engine, leat_partition *partition, leat_queue *queue,
                       const leat_engine_record *record, int64_t read_us);
/* Releases the first `records` of such a queue, which were loaded. */
void leat_backlog_release(leat_engine *engine, leat_partition *partition, leat_queue *queue,
                          uint32_t records);
/* There is more room for loads than there was. */
void leat_backlog_feed(leat_engine *engine);
/* All that is known of the queue's chunks is forgotten; its loaded records have left. */
void leat_backlog_dropped(leat_engine *engine, uint32_t queue);

/* Up to which offset are the records of the queue in the tables, and not merely parked? */
int64_t leat_backlog_applied_to(const leat_engine *engine, uint32_t queue);

#endif
