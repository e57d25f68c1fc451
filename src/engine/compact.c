/*
 * compact.c - when a partition's rows in the shard are folded into a new base, which base, and what
 * the compaction carries. One runs soon after something was applied, and rarely while nothing
 * moves: then it only verifies that the shard has not lost progress, which an idle partition would
 * not notice otherwise. Where a crash may be hidden (durable.h) that is not rare: a base that stays
 * as it is writes nothing, so nothing waits for the disk. The base must stay below every seq that
 * is still open: it replaces every row up to it, so the row of a batch that commits later would be
 * deleted, and its records applied again.
 */
#include "engine/compact.h"

#include "engine/lists.h"
#include "engine/low_water.h"
#include "engine/outcome.h"
#include "engine/schedule.h"
#include "engine/timers.h"

/* How long after the last one, or after the first batch since, the next one is made. */
static int64_t every_us(const leat_engine *engine, const leat_partition *partition)
{
    bool is_veiled = engine->shards[partition->shard].is_veiled;
    int64_t look_us = is_veiled ? engine->config.look_every_us : engine->config.verify_every_us;
    int64_t write_us = engine->config.compact_every_us;
    return !partition->uncompacted || (is_veiled && look_us < write_us) ? look_us : write_us;
}

void leat_compaction_plan(leat_engine *engine, leat_partition *partition)
{
    if (partition->state != LEAT_ENGINE_READING || partition->compact_running ||
        partition->compact_queued)
        return;
    if (partition->in_doubt && partition->look_failures == 0) {
        leat_timer_clear(engine, partition, LEAT_TIMER_COMPACT);
        leat_schedule_compaction(engine, partition, true);
        return;
    }
    if (partition->in_doubt)
        return; /* the timer is set: see leat_compaction_failed */
    int64_t at_us = engine->now_us + every_us(engine, partition);
    if (leat_timer_is_set(engine, partition, LEAT_TIMER_COMPACT) &&
        partition->compact_at_us <= at_us)
        return;
    partition->compact_at_us = at_us;
    leat_timer_set(engine, partition, LEAT_TIMER_COMPACT, partition->compact_at_us);
}

void leat_compaction_hurry(leat_engine *engine, leat_partition *partition)
{
    LEAT_ASSERT(partition->state == LEAT_ENGINE_READING);
    partition->in_doubt = true;
    partition->look_failures = 0;
    if (partition->compact_queued)
        leat_list_remove(engine, &leat_shard_of(engine, partition)->compactions,
                         leat_link_compaction, leat_partition_id(engine, partition));
    partition->compact_queued = false;
    leat_compaction_plan(engine, partition);
}

void leat_compaction_dropped(leat_partition *partition)
{
    partition->uncompacted = false;
    partition->in_doubt = false;
    partition->look_failures = 0;
    partition->compact_running = false;
}

void leat_compaction_claimed(leat_engine *engine, leat_partition *partition)
{
    partition->written_us = engine->now_us;
    leat_compaction_plan(engine, partition);
}

bool leat_compaction_looks(const leat_engine *engine, const leat_partition *partition)
{
    return partition->in_doubt || engine->shards[partition->shard].is_veiled;
}

void leat_compaction_made(leat_engine *engine, leat_partition *partition,
                          leat_engine_compaction *compaction)
{
    if (compaction->base_seq > partition->progress.base_seq) {
        partition->uncompacted = false;
        partition->written_us = engine->now_us;
    }
    compaction->is_look = partition->in_doubt;
    partition->in_doubt = false;
    partition->compact_running = true;
    if (partition->state == LEAT_ENGINE_REVOKING)
        partition->revoke_step = LEAT_REVOKE_COMPACTING;
}

void leat_compaction_failed(leat_engine *engine, leat_partition *partition,
                            const leat_engine_compaction *compaction)
{
    partition->uncompacted = true;
    if (!compaction->is_look || partition->in_doubt || partition->state != LEAT_ENGINE_READING)
        return;
    partition->in_doubt = true;
    if (partition->look_failures < UINT8_MAX)
        partition->look_failures++;
    partition->compact_at_us = engine->now_us +
                               leat_jobs_backoff_us(engine, partition->look_failures);
    leat_timer_set(engine, partition, LEAT_TIMER_COMPACT, partition->compact_at_us);
}

bool leat_compaction_overdue(const leat_engine *engine, const leat_shard *shard)
{
    uint32_t id = shard->compactions.head;
    if (id == LEAT_INDEX_NONE)
        return false;
    const leat_partition *partition = &engine->partitions[id];
    /* One that only verifies is not urgent: it must not take a slow shard's connection from
     * batches. */
    return partition->state == LEAT_ENGINE_REVOKING || partition->in_doubt ||
           engine->now_us - partition->compact_at_us >= every_us(engine, partition);
}

int64_t leat_compaction_base(const leat_engine *engine, const leat_partition *partition)
{
    int64_t lowest = partition->progress.next_seq;
    uint32_t id = leat_partition_id(engine, partition);
    for (uint32_t i = 0; i < engine->config.jobs_max && partition->batches > 0; i++) {
        const leat_job_slot *slot = &engine->jobs[i];
        if (slot->state != LEAT_JOB_RUNNING || slot->job.shard != partition->shard)
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

bool leat_compaction_moves_base(const leat_engine *engine, const leat_partition *partition)
{
    return is_idle_at_base(partition) ||
           leat_compaction_base(engine, partition) > partition->progress.base_seq;
}

/* Where looks come more often than there is to be written, most of them only read. */
static bool may_write(const leat_engine *engine, const leat_partition *partition)
{
    return !engine->shards[partition->shard].is_veiled ||
           partition->state == LEAT_ENGINE_REVOKING ||
           engine->now_us - partition->written_us >= engine->config.compact_every_us;
}

int64_t leat_compaction_take_base(leat_engine *engine, leat_partition *partition)
{
    if (!may_write(engine, partition))
        return partition->progress.base_seq;
    if (partition->uncompacted && is_idle_at_base(partition))
        partition->progress.next_seq++;
    return leat_compaction_base(engine, partition);
}

void leat_compaction_fill(leat_engine *engine, leat_engine_compaction *compaction,
                          const leat_partition *partition, int64_t base_seq)
{
    const leat_engine_progress *progress = &partition->progress;
    compaction->partition = leat_partition_id(engine, partition);
    compaction->claim = progress->claim;
    compaction->subpartitions = progress->subpartitions;
    compaction->base_seq = base_seq;
    compaction->low = leat_partition_low(engine, partition);
    compaction->newest = progress->newest;
    compaction->needs_count = 0;
    leat_needs_begin(&engine->needs);
    for (uint32_t i = 0; i < progress->subpartitions; i++) {
        int64_t offset = progress->offsets[i];
        compaction->base_offsets[i] = offset > compaction->low ? offset : compaction->low;
        if (leat_needs_add(&engine->needs, progress->last_seq[i]))
            compaction->needs[compaction->needs_count++] = progress->last_seq[i];
    }
}
