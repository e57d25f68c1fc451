/*
 * compact.h - compactions: when one is due, which base it writes, and what is in it.
 */
#ifndef LEAT_ENGINE_COMPACT_H
#define LEAT_ENGINE_COMPACT_H

#include "engine/state.h"

/* Sets its timer, unless one is on its way; sooner when there is something to write. */
void leat_compaction_plan(leat_engine *engine, leat_partition *partition);
/* It is made before anything else, also if there is nothing to write; after the one that runs. */
void leat_compaction_hurry(leat_engine *engine, leat_partition *partition);
/* The partition is claimed: all that is in the shard was just read. */
void leat_compaction_claimed(leat_engine *engine, leat_partition *partition);
/* Is one made even if it can write nothing now? */
bool leat_compaction_looks(const leat_engine *engine, const leat_partition *partition);
/* It is filled and made now, so what is in doubt is looked at. */
void leat_compaction_made(leat_engine *engine, leat_partition *partition,
                          leat_engine_compaction *compaction);
/* The shard has refused it, or was out of order, and nothing is written: a look is made again after
 * a pause, for it has seen nothing. */
void leat_compaction_failed(leat_engine *engine, leat_partition *partition,
                            const leat_engine_compaction *compaction);
/* The state to compact is no longer known; the next claim reads it again. */
void leat_compaction_dropped(leat_partition *partition);
/* Has the first one in the shard's line waited so long that it goes before batches? */
bool leat_compaction_overdue(const leat_engine *engine, const leat_shard *shard);
/* The base_seq a compaction could write now. */
int64_t leat_compaction_base(const leat_engine *engine, const leat_partition *partition);
/* The same for a compaction that is made now: a base that brings nothing but a new low water uses
 * up a seq, and one that is only to look stays as it is. */
int64_t leat_compaction_take_base(leat_engine *engine, leat_partition *partition);
/* Could a compaction write something? Not while the batch after the base is open. */
bool leat_compaction_moves_base(const leat_engine *engine, const leat_partition *partition);
/* All of one moment: offsets, low, needs, and a base that no open seq is at or below. */
void leat_compaction_fill(leat_engine *engine, leat_engine_compaction *compaction,
                          const leat_partition *partition, int64_t base_seq);

#endif
