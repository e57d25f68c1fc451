/*
 * jobs.c - what came of a job. An answer counts for a partition only if nothing was dropped there since the job was
 * made.
 */
#include "engine/engine_state.h"

static int64_t backoff_us(leat_engine *engine, uint32_t n)
{
    return leat_backoff_us(&engine->prng, n, engine->config.retry_min_us, engine->config.retry_max_us);
}

/* ---- batches ---- */

static void queue_landed(leat_partition *partition, leat_queue *queue)
{
    LEAT_ASSERT(queue->place == LEAT_QUEUE_FLYING && queue->flying > 0 && partition->flying >= queue->flying);
    partition->flying -= queue->flying;
    queue->flying = 0;
    queue->place = LEAT_QUEUE_QUIET;
}

static void queue_applied(leat_engine *engine, leat_partition *partition, const leat_batch_part *part, uint32_t index)
{
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    leat_queue *queue = leat_queue_at(engine, part->partition, subpartition);
    uint32_t records = queue->flying;
    uint32_t at = queue->head;
    for (uint32_t i = 0; i < records; i++) {
        leat_offsets_complete(&partition->offsets, engine->pool.slots[at].position);
        at = engine->pool.slots[at].next;
    }
    LEAT_ASSERT(part->offsets[index] > partition->progress.offsets[subpartition]);
    LEAT_ASSERT(part->seq > partition->progress.last_seq[subpartition]);
    partition->progress.offsets[subpartition] = part->offsets[index];
    partition->progress.last_seq[subpartition] = part->seq;
    queue_landed(partition, queue);
    uint64_t bytes = leat_queue_release(queue, &engine->pool, records);
    leat_budgets_remove(&engine->budgets, &leat_shard_of(engine, partition)->holding, &partition->holding, records,
                        bytes);
    engine->counters.records_applied += records;
    leat_retry_applied(&queue->retry, records, engine->config.batch_records_max);
    leat_queue_wake(engine, partition, subpartition);
}

static void part_applied(leat_engine *engine, leat_partition *partition, const leat_batch_part *part)
{
    for (uint32_t i = 0; i < part->count; i++)
        queue_applied(engine, partition, part, i);
    partition->mishaps = 0;
    partition->moved = true;
    leat_partition_compact_later(engine, partition);
    leat_partition_commit(engine, partition, false);
}

static void say_held(leat_engine *engine, leat_job_slot *slot, const leat_batch_part *part, uint32_t subpartition,
                     const leat_job_result *result)
{
    leat_queue *queue = leat_queue_at(engine, part->partition, subpartition);
    queue->retry.said_us = engine->now_us;
    slot->state = LEAT_JOB_SAYING;
    slot->said = *result;
    slot->said.progress = NULL;
    slot->said_partition = part->partition;
    slot->said_subpartition = subpartition;
    slot->said_offset = engine->pool.slots[queue->head].offset;
}

/* The batch as one of its queues sees it. */
static leat_attempt attempt_of(const leat_job_slot *slot, const leat_queue *queue, uint32_t partition,
                               uint32_t subpartition, const leat_job_result *result)
{
    leat_attempt attempt = {.queues = slot->queues, .records = queue->flying, .culprit = -1};
    const leat_batch *batch = &slot->job.batch;
    if (result->bad_record < 0 || (uint32_t)result->bad_record >= batch->record_count)
        return attempt;
    uint32_t at = (uint32_t)result->bad_record;
    const leat_batch_record *bad = &batch->records[at];
    if (bad->partition != partition || bad->subpartition != subpartition) {
        attempt.elsewhere = true;
        return attempt;
    }
    attempt.culprit = 0;
    for (; at > 0; at--) {
        const leat_batch_record *before = &batch->records[at - 1];
        if (before->partition != partition || before->subpartition != subpartition)
            break;
        attempt.culprit++;
    }
    return attempt;
}

static void queue_failed(leat_engine *engine, leat_job_slot *slot, const leat_batch_part *part, uint32_t index,
                         const leat_job_result *result)
{
    leat_partition *partition = &engine->partitions[part->partition];
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    leat_queue *queue = leat_queue_at(engine, part->partition, subpartition);
    leat_attempt attempt = attempt_of(slot, queue, part->partition, subpartition, result);
    bool said = queue->retry.held && engine->now_us - queue->retry.said_us < LEAT_SAY_EVERY_US;
    queue_landed(partition, queue);
    leat_verdict verdict = leat_retry_failed(&queue->retry, result->outcome, &attempt);
    if (verdict == LEAT_AGAIN) {
        leat_queue_wake(engine, partition, subpartition);
        return;
    }
    /* After an outage all of the batch wake together, so that they can share one again. */
    bool together = result->outcome == LEAT_OUTAGE;
    if (!together || slot->delay_us == 0)
        slot->delay_us = backoff_us(engine, queue->retry.delays);
    leat_queue_delay(engine, partition, subpartition, slot->delay_us);
    if (verdict == LEAT_HELD && !said)
        say_held(engine, slot, part, subpartition, result);
}

/* The batch failed as a whole through no fault of this part. */
static void part_again(leat_engine *engine, leat_partition *partition, const leat_batch_part *part)
{
    for (uint32_t i = 0; i < part->count; i++) {
        uint32_t subpartition = (uint32_t)part->subpartitions[i];
        queue_landed(partition, leat_queue_at(engine, part->partition, subpartition));
        leat_queue_wake(engine, partition, subpartition);
    }
}

static bool has_part(const leat_batch *batch, int32_t partition)
{
    for (uint32_t i = 0; i < batch->part_count; i++) {
        if (partition >= 0 && batch->parts[i].partition == (uint32_t)partition)
            return true;
    }
    return false;
}

static void part_done(leat_engine *engine, leat_job_slot *slot, const leat_batch_part *part,
                      const leat_job_result *result)
{
    leat_partition *partition = &engine->partitions[part->partition];
    LEAT_ASSERT(partition->batches > 0);
    partition->batches--;
    switch (result->outcome) {
    case LEAT_APPLIED:
        part_applied(engine, partition, part);
        break;
    case LEAT_FENCED:
        /* Not told which one, or one that is not in it: all of them, to be safe. */
        if (has_part(&slot->job.batch, result->partition) && part->partition != (uint32_t)result->partition)
            part_again(engine, partition, part);
        else
            leat_partition_fence(engine, partition);
        break;
    case LEAT_WENT_BACK:
    case LEAT_UNKNOWN:
        leat_partition_mishap(engine, partition);
        break;
    case LEAT_CONTENTION:
    case LEAT_OUTAGE:
    case LEAT_BAD_DATA:
    case LEAT_NOT_YET:
    case LEAT_DRIFT:
    case LEAT_NOT_UNDERSTOOD:
        for (uint32_t i = 0; i < part->count; i++)
            queue_failed(engine, slot, part, i, result);
        break;
    case LEAT_OUTCOME_COUNT:
        LEAT_ASSERT(false);
    }
    leat_revoke_go_on(engine, partition);
}

static uint64_t *counter_of(leat_engine_counters *counters, leat_outcome outcome)
{
    switch (outcome) {
    case LEAT_APPLIED:
        return &counters->batches_applied;
    case LEAT_FENCED:
        return &counters->batches_fenced;
    case LEAT_WENT_BACK:
        return &counters->went_back;
    case LEAT_UNKNOWN:
        return &counters->batches_unknown;
    default:
        return &counters->batches_failed;
    }
}

static void batch_done(leat_engine *engine, leat_job_slot *slot, const leat_job_result *result)
{
    const leat_batch *batch = &slot->job.batch;
    bool stale = false;
    bool live = false;
    for (uint32_t i = 0; i < batch->part_count; i++) {
        const leat_batch_part *part = &batch->parts[i];
        if (engine->partitions[part->partition].incarnation != part->incarnation) {
            stale = true;
            continue;
        }
        live = true;
        part_done(engine, slot, part, result);
    }
    if (live)
        ++*counter_of(&engine->counters, result->outcome);
    if (stale)
        engine->counters.batches_stale++;
}

/* ---- claims and compactions ---- */

static void claim_done(leat_engine *engine, leat_partition *partition, const leat_job *job,
                       const leat_job_result *result)
{
    LEAT_ASSERT(partition->claim_running);
    partition->claim_running = false;
    if (partition->incarnation != job->incarnation) {
        engine->counters.batches_stale++;
        /* The next claim may have waited for this one. */
        if (partition->state == LEAT_CLAIMING && partition->claim_at_us <= engine->now_us)
            leat_schedule_claim(engine, partition);
    } else if (partition->state == LEAT_CLAIMING) {
        if (result->outcome == LEAT_APPLIED) {
            LEAT_ASSERT(result->progress);
            engine->counters.claims++;
            leat_partition_read(engine, partition, result->progress);
        } else {
            if (partition->claim_failures < UINT8_MAX)
                partition->claim_failures++;
            leat_partition_claim(engine, partition, backoff_us(engine, partition->claim_failures));
        }
    }
    leat_revoke_go_on(engine, partition);
}

static void compaction_done(leat_engine *engine, leat_partition *partition, const leat_job *job,
                            const leat_job_result *result)
{
    if (partition->incarnation != job->incarnation) {
        engine->counters.batches_stale++;
        return;
    }
    LEAT_ASSERT(partition->compact_running);
    partition->compact_running = false;
    switch (result->outcome) {
    case LEAT_APPLIED:
        LEAT_ASSERT(job->compaction.base_seq > partition->progress.base_seq);
        partition->progress.base_seq = job->compaction.base_seq;
        engine->counters.compactions++;
        break;
    case LEAT_FENCED:
        leat_partition_fence(engine, partition);
        break;
    case LEAT_WENT_BACK:
        engine->counters.went_back++;
        leat_partition_mishap(engine, partition);
        break;
    case LEAT_UNKNOWN:
        leat_partition_mishap(engine, partition);
        break;
    default:
        partition->moved = true;
        break;
    }
    leat_partition_compact_later(engine, partition);
    leat_revoke_go_on(engine, partition);
}

void leat_engine_job_done(leat_engine *engine, int64_t now_us, uint32_t job_id, const leat_job_result *result)
{
    leat_clock(engine, now_us);
    LEAT_ASSERT(job_id < engine->config.jobs_max);
    LEAT_ASSERT((unsigned)result->outcome < LEAT_OUTCOME_COUNT);
    leat_job_slot *slot = &engine->jobs[job_id];
    LEAT_ASSERT(slot->state == LEAT_JOB_RUNNING);
    slot->state = LEAT_JOB_FREE; /* its seqs are not open any more */
    leat_shard *shard = &engine->shards[slot->job.shard];
    LEAT_ASSERT(shard->running > 0);
    shard->running--;
    if (slot->job.kind == LEAT_JOB_BATCH)
        batch_done(engine, slot, result);
    else if (slot->job.kind == LEAT_JOB_CLAIM)
        claim_done(engine, &engine->partitions[slot->job.partition], &slot->job, result);
    else
        compaction_done(engine, &engine->partitions[slot->job.partition], &slot->job, result);
    bool saying = slot->state == LEAT_JOB_SAYING;
    leat_list_push(engine, saying ? &engine->jobs_saying : &engine->jobs_free, leat_link_job, job_id);
    engine->room_grew = true;
    leat_schedule_shard(engine, shard);
}
