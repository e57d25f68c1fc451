/*
 * guard.h - how many records of a table may become dead letters. Counted by the table of a queue's
 * head.
 */
#ifndef LEAT_ENGINE_GUARD_H
#define LEAT_ENGINE_GUARD_H

#include "engine/state.h"

typedef enum leat_guard_verdict {
    LEAT_GUARD_ALLOW,
    LEAT_GUARD_HOLD,
    LEAT_GUARD_STOP_TABLE, /* holds it, and is the one that stops the table */
} leat_guard_verdict;

leat_table_state *leat_guard_table(leat_engine *engine, uint32_t queue);
/* The queue's head is refused for good: may it be a dead letter? Counts it if so; else the queue is
 * guarded. */
leat_guard_verdict leat_guard_decide(leat_engine *engine, uint32_t queue);
/* The queue's head is no longer to be a dead letter, if it was, and not counted as one. */
void leat_guard_retract(leat_engine *engine, uint32_t queue);
/* The queue's head is no longer held by its table: it was applied, or dropped. Does nothing if it
 * was not held. */
void leat_guard_release(leat_engine *engine, uint32_t queue, bool applied);
/* The first `records` of the queue were applied; each counts for its own table, except those that
 * are `skip` or `keep` in the batch. `in_batch`: the same records there; NULL: all of them count.
 */
void leat_guard_applied(leat_engine *engine, uint32_t queue, uint32_t records,
                        const leat_engine_batch_record *in_batch);
/* The share that is compared with the configured one. */
leat_refused_share leat_guard_share(const leat_table_state *table);

#endif
