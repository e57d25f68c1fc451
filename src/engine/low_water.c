/*
 * low_water.c - how far a partition has come: its low water, and the part of it that is committed
 * to the group.
 *
 * low = the offset before the first record held, in flight included; with none held, the last one
 * disposed of. Records applied after one that is held cost nothing: the offset of their
 * subpartition covers them, and a claim skips by it. Records of chunks, loaded or in flight, are
 * never among those held: progress has passed them, and if the low water did not, the row that says
 * that they were parked would be compacted away and they were read again.
 *
 * The low water is not stored. It is computed from the heads of the queues when it is needed (a
 * compaction, a commit that is due after a batch, a metric), never for a record. That is cheaper
 * than a structure that every record passes through, and cannot be wrong.
 *
 * A record is disposed of when it was offered in order and taken, or skipped as applied. The
 * reader's own position, a record refused for want of room, and the end of the log do not count.
 * And an idle subpartition is not raised to the low water in the base: a claim must skip only what
 * was applied, or the newest record (progress.h) could not show that a log was cut off and
 * rewritten.
 */
#include "engine/low_water.h"

#include "engine/compact.h"
#include "engine/durable.h"
#include "engine/effects.h"
#include "engine/timers.h"

const leat_record_slot *leat_partition_first(const leat_engine *engine,
                                             const leat_partition *partition)
{
    const leat_record_slot *first = NULL;
    if (partition->holding.records == 0)
        return NULL;
    const leat_queue *queues =
        &engine->queues[leat_queue_id(engine, leat_partition_id(engine, partition), 0)];
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        leat_run memory = leat_queue_memory(&queues[i]);
        if (memory.count == 0)
            continue;
        const leat_record_slot *head = &engine->pool.slots[memory.head];
        if (!first || head->offset < first->offset)
            first = head;
    }
    return first;
}

/* The newest record is read again after a claim, and may be below the low water. */
static bool passed_low(const leat_partition *partition)
{
    return partition->position - 1 > partition->progress.low;
}

int64_t leat_partition_low(const leat_engine *engine, const leat_partition *partition)
{
    if (!partition->low_known)
        return partition->low;
    const leat_record_slot *first = leat_partition_first(engine, partition);
    if (first)
        return first->offset - 1;
    return passed_low(partition) ? partition->position - 1 : partition->progress.low;
}

void leat_low_water_dropped(const leat_engine *engine, leat_partition *partition)
{
    partition->low = leat_partition_low(engine, partition);
    partition->low_known = false;
    partition->position = -1;
}

void leat_partition_passed(leat_engine *engine, leat_partition *partition)
{
    if (partition->holding.records > 0 || !passed_low(partition))
        return;
    partition->uncompacted = true;
    leat_compaction_plan(engine, partition);
    leat_partition_commit(engine, partition, false);
}

void leat_partition_commit(leat_engine *engine, leat_partition *partition, bool now)
{
    if (!partition->low_known)
        return;
    int64_t at_us = partition->committed_us + engine->config.commit_every_us;
    if (!now && at_us > engine->now_us) {
        if (!leat_timer_is_set(engine, partition, LEAT_TIMER_COMMIT))
            leat_timer_set(engine, partition, LEAT_TIMER_COMMIT, at_us);
        return;
    }
    leat_timer_clear(engine, partition, LEAT_TIMER_COMMIT);
    int64_t low = leat_durable_low(engine, partition);
    if (low < 0 || low == partition->committed)
        return;
    partition->committed = low;
    partition->committed_us = engine->now_us;
    leat_emit(engine, partition, LEAT_EMIT_COMMIT);
}
