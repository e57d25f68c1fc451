/*
 * jobs.c - the outcome of a job. An answer counts for a partition only if nothing was dropped there
 * since the job was made (its incarnation): otherwise it is about records that have been read
 * again. The job is freed first: its outcome may start a compaction, for which its seqs must no
 * longer count as open.
 */
#include "engine/state.h"

#include "base/rate_limit.h"
#include "engine/breaker.h"
#include "engine/compact.h"
#include "engine/durable.h"
#include "engine/effects.h"
#include "engine/fair.h"
#include "engine/key_retry.h"
#include "engine/keys.h"
#include "engine/lists.h"
#include "engine/loads.h"
#include "engine/low_water.h"
#include "engine/outcome.h"
#include "engine/park.h"
#include "engine/partition.h"
#include "engine/revoke.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/suspects.h"
#include "engine/timers.h"

/* ---- batches ---- */

static void part_applied(leat_engine *engine, leat_partition *partition, leat_job_slot *slot,
                         const leat_engine_batch_part *part)
{
    for (uint32_t i = 0; i < leat_batch_touches(&slot->job.batch, part); i++)
        leat_queue_applied(engine, partition, slot, part, i);
    /* What is parked was not what the engine believed: it is claimed again, or is given back. */
    if (partition->incarnation != part->incarnation)
        return;
    leat_engine_progress_applied(&partition->progress, part->newest);
    const leat_engine_batch *batch = &slot->job.batch;
    if (batch->chunk_count == 0)
        partition->rows_us = engine->now_us;
    engine->counters.unparks += batch->chunk_count > 0;
    leat_shard_of(engine, partition)->applied += !batch->dead && !batch->hold &&
                                                 batch->skipped + batch->kept < batch->record_count;
    partition->setbacks = 0;
    partition->uncompacted = true;
    leat_compaction_plan(engine, partition);
    leat_partition_commit(engine, partition, false);
}

/* The batch failed as a whole through no fault of this part. */
static void part_again(leat_engine *engine, leat_partition *partition, const leat_job_slot *slot,
                       const leat_engine_batch_part *part)
{
    for (uint32_t i = 0; i < leat_batch_touches(&slot->job.batch, part); i++) {
        uint32_t subpartition = (uint32_t)part->subpartitions[i];
        leat_queue_landed(partition, leat_queue_at(engine, part->partition, subpartition));
        leat_subpartition_wake(engine, partition, subpartition);
    }
}

/* Its only record has ended its session again: the caller is told before the record is dropped. */
static void notify_suspect(leat_engine *engine, leat_job_slot *slot,
                           const leat_engine_batch_part *part, const leat_engine_job_result *result)
{
    uint32_t subpartition = (uint32_t)part->subpartitions[0];
    uint32_t id = leat_queue_id(engine, part->partition, subpartition);
    leat_narrow *narrow = &engine->queues[id].narrow;
    bool lately = !leat_rate_limit_is_due(narrow->notified_us, engine->now_us);
    if (!leat_narrow_is_found(narrow) || lately)
        return;
    narrow->notified_us = engine->now_us;
    leat_notice_add(engine, slot, id, LEAT_NOTICE_STALLED, result);
}

static void part_unknown(leat_engine *engine, leat_job_slot *slot,
                         const leat_engine_batch_part *part, const leat_engine_job_result *result)
{
    slot->suspected = leat_suspects_batch_unknown(engine, slot, part, result) || slot->suspected;
    if (slot->queues == 1)
        notify_suspect(engine, slot, part, result);
    leat_partition_reclaim(engine, &engine->partitions[part->partition], slot->trial);
}

/* Is the answer about another partition of the batch? Then this part has only come along. */
static bool is_of_another(const leat_job_slot *slot, const leat_engine_batch_part *part,
                          const leat_engine_job_result *result)
{
    const leat_engine_batch *batch = &slot->job.batch;
    for (uint32_t i = 0; i < batch->part_count; i++)
        if (result->partition >= 0 && batch->parts[i].partition == (uint32_t)result->partition)
            return part->partition != (uint32_t)result->partition;
    return false;
}

static void part_failed(leat_engine *engine, leat_job_slot *slot,
                        const leat_engine_batch_part *part, const leat_engine_job_result *result)
{
    for (uint32_t i = 0; i < leat_batch_touches(&slot->job.batch, part); i++)
        leat_queue_failed(engine, slot, part, i, result);
}

static void part_done(leat_engine *engine, leat_job_slot *slot, const leat_engine_batch_part *part,
                      const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[part->partition];
    LEAT_ASSERT(partition->batches > 0);
    partition->batches--;
    leat_keys_ended(partition, &slot->job.batch);
    switch (result->outcome) {
    case LEAT_ENGINE_APPLIED:
        part_applied(engine, partition, slot, part);
        break;
    case LEAT_ENGINE_FENCED:
        /* The partition is unknown, or not in the batch: all of them, to be safe. */
        if (is_of_another(slot, part, result))
            part_again(engine, partition, slot, part);
        else
            leat_partition_fence(engine, partition);
        break;
    case LEAT_ENGINE_WENT_BACK:
    case LEAT_ENGINE_CHUNK_GONE:
        leat_partition_reclaim(engine, partition, false);
        break;
    case LEAT_ENGINE_KEY_TURNED: /* a claim reads which keys are held */
        if (is_of_another(slot, part, result))
            part_again(engine, partition, slot, part);
        else
            leat_partition_reclaim(engine, partition, false);
        break;
    case LEAT_ENGINE_REPEATED:
        part_again(engine, partition, slot, part);
        break;
    case LEAT_ENGINE_UNKNOWN:
        part_unknown(engine, slot, part, result);
        break;
    case LEAT_ENGINE_CONTENTION:
        /* A claim waits for one of its partitions. */
        if (is_of_another(slot, part, result))
            part_again(engine, partition, slot, part);
        else
            part_failed(engine, slot, part, result);
        break;
    case LEAT_ENGINE_OUTAGE:
    case LEAT_ENGINE_BAD_DATA:
    case LEAT_ENGINE_NOT_YET:
    case LEAT_ENGINE_DRIFT:
    case LEAT_ENGINE_RECORD_ERROR:
    case LEAT_ENGINE_NOT_UNDERSTOOD:
        part_failed(engine, slot, part, result);
        break;
    case LEAT_ENGINE_OUTCOME_COUNT:
        LEAT_ASSERT(false);
    }
    leat_revoke_advance(engine, partition);
}

static uint64_t *counter_of(leat_engine_counters *counters, leat_engine_outcome outcome)
{
    switch (outcome) {
    case LEAT_ENGINE_APPLIED:
        return &counters->batches_applied;
    case LEAT_ENGINE_FENCED:
        return &counters->batches_fenced;
    case LEAT_ENGINE_WENT_BACK:
    case LEAT_ENGINE_CHUNK_GONE:
        return &counters->went_back;
    case LEAT_ENGINE_REPEATED:
        return &counters->batches_repeated;
    case LEAT_ENGINE_UNKNOWN:
        return &counters->batches_unknown;
    default:
        return &counters->batches_failed;
    }
}

static void note_size(leat_engine *engine, const leat_job_slot *slot,
                      const leat_engine_job_result *result)
{
    leat_batch_size *size = &engine->shards[slot->job.shard].batch_size;
    uint32_t records = slot->job.batch.record_count;
    int64_t took_us = engine->now_us - slot->since_us;
    /* One of a single queue counts when it is quick: where the limit is one record, there are no
     * others. If it is slow or ends, retry.h and narrow.h see to that. */
    if (slot->queues == 1) {
        if (slot->shared && result->outcome == LEAT_ENGINE_APPLIED && took_us < LEAT_BATCH_SLOW_US)
            leat_batch_size_applied(size, records, took_us, engine->config.batch_records_max);
        return;
    }
    if (result->outcome == LEAT_ENGINE_APPLIED) {
        leat_batch_size_applied(size, records, took_us, engine->config.batch_records_max);
        leat_contention_sample(&engine->shards[slot->job.shard].contention, took_us);
    } else if (result->timed_out || (result->outcome == LEAT_ENGINE_UNKNOWN &&
                                     (slot->suspected || took_us >= LEAT_BATCH_SLOW_US)))
        leat_batch_size_timed_out(size, records, took_us);
}

static void batch_done(leat_engine *engine, leat_job_slot *slot,
                       const leat_engine_job_result *result)
{
    const leat_engine_batch *batch = &slot->job.batch;
    bool stale = false;
    bool live = false;
    for (uint32_t i = 0; i < batch->part_count; i++) {
        const leat_engine_batch_part *part = &batch->parts[i];
        if (engine->partitions[part->partition].incarnation != part->incarnation) {
            stale = true;
            if (result->outcome == LEAT_ENGINE_UNKNOWN)
                slot->suspected = leat_suspects_batch_unknown(engine, slot, part, result) ||
                                  slot->suspected;
            continue;
        }
        live = true;
        part_done(engine, slot, part, result);
    }
    if (live)
        ++*counter_of(&engine->counters, result->outcome);
    if (stale)
        engine->counters.batches_stale++;
    note_size(engine, slot, result);
    leat_fair_done(engine, slot, result);
}

/* ---- claims and compactions ---- */

static void claim_done(leat_engine *engine, leat_partition *partition, const leat_engine_job *job,
                       const leat_engine_job_result *result)
{
    LEAT_ASSERT(partition->claim_running);
    partition->claim_running = false;
    if (partition->incarnation != job->incarnation) {
        engine->counters.batches_stale++;
        /* The next claim may have waited for this one. */
        if (partition->state == LEAT_ENGINE_CLAIMING && partition->claim_at_us <= engine->now_us)
            leat_schedule_claim(engine, partition);
    } else if (partition->state == LEAT_ENGINE_CLAIMING) {
        if (result->outcome == LEAT_ENGINE_APPLIED) {
            LEAT_ASSERT(result->progress);
            engine->counters.claims++;
            leat_partition_claimed(engine, partition, result);
        } else {
            if (partition->claim_failures < UINT8_MAX)
                partition->claim_failures++;
            leat_partition_claim(engine, partition,
                                 leat_jobs_backoff_us(engine, partition->claim_failures));
        }
    }
    leat_revoke_advance(engine, partition);
}

static void compaction_done(leat_engine *engine, leat_partition *partition,
                            const leat_engine_job *job, const leat_engine_job_result *result)
{
    if (partition->incarnation != job->incarnation) {
        engine->counters.batches_stale++;
        return;
    }
    LEAT_ASSERT(partition->compact_running);
    partition->compact_running = false;
    switch (result->outcome) {
    case LEAT_ENGINE_APPLIED:
        LEAT_ASSERT(job->compaction.base_seq >= partition->progress.base_seq);
        partition->look_failures = 0;
        leat_durable_compacted(engine, partition, &job->compaction);
        engine->counters.compactions += job->compaction.base_seq > partition->progress.base_seq;
        partition->progress.base_seq = job->compaction.base_seq;
        break;
    case LEAT_ENGINE_FENCED:
        leat_partition_fence(engine, partition);
        break;
    case LEAT_ENGINE_WENT_BACK:
        engine->counters.went_back++;
        leat_partition_reclaim(engine, partition, false);
        break;
    case LEAT_ENGINE_UNKNOWN:
        leat_partition_reclaim(engine, partition, false);
        break;
    default:
        leat_compaction_failed(engine, partition, &job->compaction);
        break;
    }
    leat_compaction_plan(engine, partition);
    leat_revoke_advance(engine, partition);
}

uint32_t leat_engine_job_done(leat_engine *engine, int64_t now_us, uint32_t job_id,
                              const leat_engine_job_result *result)
{
    leat_timers_advance(engine, now_us);
    LEAT_ASSERT(job_id < engine->config.jobs_max);
    LEAT_ASSERT((unsigned)result->outcome < LEAT_ENGINE_OUTCOME_COUNT);
    leat_job_slot *slot = &engine->jobs[job_id];
    LEAT_ASSERT(slot->state == LEAT_JOB_RUNNING);
    LEAT_ASSERT(slot->notice.pending == 0);
    slot->state = LEAT_JOB_FREE; /* its seqs are no longer open */
    leat_shard *shard = &engine->shards[slot->job.shard];
    LEAT_ASSERT(shard->running > 0);
    shard->running--;
    shard->trials -= slot->trial;
    if (slot->trial && result->outcome == LEAT_ENGINE_UNKNOWN)
        shard->trial_ended_us = engine->now_us;
    if (slot->blocked)
        leat_contention_ended(&shard->contention, shard->slots, result->is_lock_wait,
                              result->outcome == LEAT_ENGINE_APPLIED,
                              engine->now_us - slot->since_us, engine->now_us);
    shard->split_by_locks += slot->shared && slot->queues > 1 && result->is_lock_wait &&
                             result->from_rows;
    shard->trouble += result->outcome == LEAT_ENGINE_OUTAGE ||
                      result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD;
    if (!result->is_unsent)
        leat_breaker_done(engine, shard, result->outcome);
    uint32_t taken = 0;
    bool is_retry = slot->job.kind == LEAT_ENGINE_JOB_BATCH && slot->job.batch.retry_key != 0;
    if (is_retry)
        leat_key_retry_done(engine, slot, result);
    else if (slot->job.kind == LEAT_ENGINE_JOB_BATCH)
        batch_done(engine, slot, result);
    else if (slot->job.kind == LEAT_ENGINE_JOB_PARK)
        leat_park_done(engine, slot, result);
    else if (slot->job.kind == LEAT_ENGINE_JOB_LOAD)
        taken = slot->job.load.key != 0 ? leat_key_retry_loaded(engine, slot, result)
                                        : leat_load_done(engine, slot, result);
    else if (slot->job.kind == LEAT_ENGINE_JOB_CLAIM)
        claim_done(engine, &engine->partitions[slot->job.partition], &slot->job, result);
    else
        compaction_done(engine, &engine->partitions[slot->job.partition], &slot->job, result);
    bool notifies = slot->notice.pending != 0;
    if (notifies)
        slot->state = LEAT_JOB_NOTIFYING;
    leat_list_push(engine, notifies ? &engine->jobs_notifying : &engine->jobs_free, leat_link_job,
                   job_id);
    engine->room_grew = true;
    leat_schedule_shard(engine, shard);
    leat_timers_advance(engine, now_us); /* of records that no longer wait for one of its */
    return taken;
}
