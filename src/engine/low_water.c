/*
 * low_water.c - how far a partition has come: its low water, what the group is told of it, what
 * compactions write as the new base.
 *
 * low = the offset before the first record held, in flight included; with none held, the last one
 * disposed of. What is applied behind a record that is held costs nothing: it is in the offset of
 * its subpartition, which a claim skips by.
 *
 * Nothing keeps the low water: it is looked up, in the heads of the queues, when it is told (a
 * compaction, a commit that is due after a batch, a metric), never for a record. That is cheaper
 * than a structure that every record passes through, and has nothing to be wrong.
 *
 * Disposed of is what was offered in order and taken, or skipped as applied; never the reader's own
 * position, a record that was refused for room, or the end of the log. And a subpartition that is
 * idle is not raised to it in the base: what it skips after a claim must be what it has applied, or
 * the newest record (progress.h) would not tell a log that was cut off and written anew.
 */
#include "engine/state.h"

const leat_slot *leat_partition_first(const leat_engine *engine, const leat_partition *partition)
{
    const leat_slot *first = NULL;
    if (partition->holding.records == 0)
        return NULL;
    const leat_queue *queues =
        &engine->queues[leat_partition_id(engine, partition) * LEAT_SUBPARTITIONS];
    for (uint32_t i = 0; i < LEAT_SUBPARTITIONS; i++) {
        if (queues[i].count == 0)
            continue;
        const leat_slot *head = &engine->pool.slots[queues[i].head];
        if (!first || head->offset < first->offset)
            first = head;
    }
    return first;
}

/* The newest record is read again after a claim, and may stand below the low water. */
static bool passed_low(const leat_partition *partition)
{
    return partition->position - 1 > partition->progress.low;
}

int64_t leat_partition_low(const leat_engine *engine, const leat_partition *partition)
{
    if (!partition->low_known)
        return partition->low;
    const leat_slot *first = leat_partition_first(engine, partition);
    if (first)
        return first->offset - 1;
    return passed_low(partition) ? partition->position - 1 : partition->progress.low;
}

void leat_partition_passed(leat_engine *engine, leat_partition *partition)
{
    if (partition->holding.records > 0 || !passed_low(partition))
        return;
    partition->moved = true;
    leat_partition_compact_later(engine, partition);
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
    int64_t low = leat_partition_low(engine, partition);
    if (low < 0 || low == partition->committed)
        return;
    partition->committed = low;
    partition->committed_us = engine->now_us;
    leat_emit(engine, partition, LEAT_EMIT_COMMIT);
}

void leat_partition_compact_later(leat_engine *engine, leat_partition *partition)
{
    if (partition->state != LEAT_ENGINE_READING || partition->compact_running ||
        partition->compact_queued)
        return;
    int64_t at_us = engine->now_us + (partition->moved ? engine->config.compact_every_us
                                                       : engine->config.verify_every_us);
    if (leat_timer_is_set(engine, partition, LEAT_TIMER_COMPACT) &&
        partition->compact_at_us <= at_us)
        return;
    partition->compact_at_us = at_us;
    leat_timer_set(engine, partition, LEAT_TIMER_COMPACT, partition->compact_at_us);
}

int64_t leat_partition_new_base(const leat_engine *engine, const leat_partition *partition)
{
    int64_t lowest = partition->progress.next_seq;
    uint32_t id = leat_partition_id(engine, partition);
    for (uint32_t i = 0; i < engine->config.jobs_max && partition->batches > 0; i++) {
        const leat_job_slot *slot = &engine->jobs[i];
        if (slot->state != LEAT_JOB_RUNNING || slot->job.kind != LEAT_ENGINE_JOB_BATCH ||
            slot->job.shard != partition->shard)
            continue;
        for (uint32_t j = 0; j < slot->job.batch.part_count; j++) {
            const leat_engine_batch_part *part = &slot->job.batch.parts[j];
            if (part->partition == id && part->incarnation == partition->incarnation &&
                part->seq < lowest)
                lowest = part->seq;
        }
    }
    return lowest - 1;
}

/* Nothing was sent since the base, and nothing is open: a low water without batches is written with
 * a seq of its own. */
static bool is_idle_at_base(const leat_partition *partition)
{
    return partition->batches == 0 &&
           partition->progress.next_seq - 1 == partition->progress.base_seq;
}

bool leat_partition_base_moves(const leat_engine *engine, const leat_partition *partition)
{
    return is_idle_at_base(partition) ||
           leat_partition_new_base(engine, partition) > partition->progress.base_seq;
}

int64_t leat_partition_take_base(leat_engine *engine, leat_partition *partition)
{
    if (partition->moved && is_idle_at_base(partition))
        partition->progress.next_seq++;
    return leat_partition_new_base(engine, partition);
}
