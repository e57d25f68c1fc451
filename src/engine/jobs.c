/*
 * jobs.c - what came of a job. An answer counts for a partition only if nothing was dropped there
 * since the job was made.
 */
#include <string.h>

#include "base/backoff.h"
#include "engine/state.h"
#include "engine/compact.h"
#include "engine/guard.h"
#include "engine/halt.h"
#include "engine/lists.h"
#include "engine/low_water.h"
#include "engine/partition.h"
#include "engine/revoke.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/suspects.h"
#include "engine/timers.h"
#include "engine/trouble.h"

static int64_t backoff_us(leat_engine *engine, uint32_t n)
{
    return leat_backoff(&engine->prng, n, engine->config.retry_min_us, engine->config.retry_max_us);
}

/* ---- batches ---- */

static void queue_landed(leat_partition *partition, leat_queue *queue)
{
    LEAT_ASSERT(queue->place == LEAT_QUEUE_FLYING && queue->flying > 0 &&
                partition->flying >= queue->flying);
    partition->flying -= queue->flying;
    queue->flying = 0;
    queue->place = LEAT_QUEUE_QUIET;
}

/* About the record at the head of the queue. */
static void say(leat_engine *engine, leat_job_slot *slot, uint32_t queue, uint8_t what,
                const leat_engine_job_result *result)
{
    const leat_slot *head = &engine->pool.slots[engine->queues[queue].head];
    slot->say |= what;
    slot->said = *result;
    slot->said.progress = NULL;
    slot->said_partition = queue / LEAT_SUBPARTITIONS;
    slot->said_subpartition = queue % LEAT_SUBPARTITIONS;
    slot->said_table = head->table;
    slot->said_offset = head->offset;
    slot->said_payload = head->payload;
    slot->said_guarded = engine->queues[queue].retry.guarded;
    slot->said_share = leat_guard_share(leat_guard_table(engine, queue));
}

static void say_dead(leat_engine *engine, leat_job_slot *slot, uint32_t queue)
{
    leat_engine_job_result result = {.outcome = engine->queues[queue].retry.dead_by,
                                     .bad_record = -1,
                                     .partition = -1,
                                     .catalog_read_us = INT64_MAX};
    memcpy(result.sqlstate, slot->reason.sqlstate, sizeof result.sqlstate);
    memcpy(result.message, slot->reason.message, sizeof result.message);
    say(engine, slot, queue, LEAT_NOTICE_DEAD, &result);
}

/* What is at the head is done: as it was meant, or as a dead letter. */
static void count_applied(leat_engine *engine, leat_job_slot *slot, uint32_t id, uint32_t records)
{
    leat_queue *queue = &engine->queues[id];
    LEAT_ASSERT(queue->retry.dead == (slot->job.batch.dead != NULL));
    if (queue->retry.dead) {
        engine->counters.dead_letters++;
        say_dead(engine, slot, id);
    } else {
        engine->counters.records_applied += records;
        leat_guard_applied(engine, id, records);
    }
    leat_guard_release(engine, id, true);
    leat_trouble_over(engine, id);
    leat_halt_passed(engine, id);
}

/* When the head of the queue was read; while its shard was halted nothing could come. */
static int64_t read_us_of(leat_engine *engine, uint32_t id)
{
    int64_t read_us = engine->pool.slots[engine->queues[id].head].read_us;
    int64_t went_on_us =
        leat_shard_of(engine, &engine->partitions[id / LEAT_SUBPARTITIONS])->went_on_us;
    return read_us > went_on_us ? read_us : went_on_us;
}

/* One row's value goes to the next row, and from there to another: each of those writes waits for
 * the one before. */
static void spur_on(leat_engine *engine, const leat_shard *shard, int64_t since_us)
{
    for (uint32_t i = 0; i < shard->partition_count * LEAT_SUBPARTITIONS; i++) {
        uint32_t id = leat_shard_queue(shard, i);
        leat_queue *queue = &engine->queues[id];
        if (!queue->retry.waiting)
            continue;
        int64_t mine_us = leat_retry_since_us(&queue->retry, read_us_of(engine, id));
        if (leat_retry_spur(&queue->retry, mine_us, since_us) && queue->place == LEAT_QUEUE_WAITING)
            leat_heap_set(&engine->timers, id, engine->now_us);
    }
}

static void queue_applied(leat_engine *engine, leat_partition *partition, leat_job_slot *slot,
                          const leat_engine_batch_part *part, uint32_t index)
{
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    leat_queue *queue = leat_queue_at(engine, part->partition, subpartition);
    uint32_t records = queue->flying;
    uint32_t id = part->partition * LEAT_SUBPARTITIONS + subpartition;
    bool waited = queue->retry.waiting && !queue->retry.dead;
    int64_t since_us = leat_retry_since_us(&queue->retry, read_us_of(engine, id));
    count_applied(engine, slot, id, records);
    LEAT_ASSERT(part->offsets[index] > partition->progress.offsets[subpartition]);
    LEAT_ASSERT(part->seq > partition->progress.last_seq[subpartition]);
    partition->progress.offsets[subpartition] = part->offsets[index];
    partition->progress.last_seq[subpartition] = part->seq;
    queue_landed(partition, queue);
    uint64_t bytes = leat_queue_release(queue, &engine->pool, records);
    leat_budgets_remove(&engine->budgets, &leat_shard_of(engine, partition)->holding,
                        &partition->holding, records, bytes);
    leat_retry_applied(&queue->retry, records, engine->config.batch_records_max);
    leat_narrow_passed(&queue->narrow, part->offsets[index], records);
    if (waited)
        spur_on(engine, leat_shard_of(engine, partition), since_us);
    leat_queue_wake(engine, partition, subpartition);
}

static void part_applied(leat_engine *engine, leat_partition *partition, leat_job_slot *slot,
                         const leat_engine_batch_part *part)
{
    for (uint32_t i = 0; i < part->count; i++)
        queue_applied(engine, partition, slot, part, i);
    leat_engine_progress_applied(&partition->progress, part->newest);
    leat_shard_of(engine, partition)->applied += slot->job.batch.dead == NULL;
    partition->setbacks = 0;
    partition->moved = true;
    leat_partition_compact_later(engine, partition);
    leat_partition_commit(engine, partition, false);
}

/* Heads are enough: what stands behind one was read later. */
static bool is_preceded(leat_engine *engine, uint32_t id)
{
    const leat_shard *shard = leat_shard_of(engine, &engine->partitions[id / LEAT_SUBPARTITIONS]);
    int64_t since_us = leat_retry_since_us(&engine->queues[id].retry, read_us_of(engine, id));
    for (uint32_t i = 0; i < shard->partition_count * LEAT_SUBPARTITIONS; i++) {
        uint32_t other = leat_shard_queue(shard, i);
        const leat_queue *queue = &engine->queues[other];
        const leat_partition *partition = &engine->partitions[other / LEAT_SUBPARTITIONS];
        if (other != id && queue->count > 0 && partition->state == LEAT_ENGINE_READING &&
            !leat_narrow_on_trial(&queue->narrow) &&
            leat_retry_precedes(&queue->retry, read_us_of(engine, other), since_us))
            return true;
    }
    return false;
}

/* The batch as one of its queues sees it. */
static leat_attempt attempt_of(leat_engine *engine, const leat_job_slot *slot, uint32_t id,
                               const leat_engine_job_result *result)
{
    uint32_t partition = id / LEAT_SUBPARTITIONS;
    uint32_t subpartition = id % LEAT_SUBPARTITIONS;
    leat_attempt attempt = {.queues = slot->queues,
                            .records = engine->queues[id].flying,
                            .culprit = -1,
                            .now_us = engine->now_us,
                            .read_us = read_us_of(engine, id),
                            .catalog_read_us = result->catalog_read_us,
                            .patience_us = engine->config.patience_us,
                            .of_rows = result->of_rows,
                            .races = result->outcome == LEAT_ENGINE_NOT_YET && result->races,
                            .shard_applied = engine->shards[slot->job.shard].applied,
                            .table_applied = leat_guard_table(engine, id)->applied};
    bool waits = result->outcome == LEAT_ENGINE_NOT_YET ||
                 result->outcome == LEAT_ENGINE_RECORD_ERROR;
    if (waits && attempt.queues == 1 && attempt.records == 1)
        attempt.preceded = is_preceded(engine, id);
    const leat_engine_batch *batch = &slot->job.batch;
    if (result->bad_record < 0 || (uint32_t)result->bad_record >= batch->record_count)
        return attempt;
    uint32_t at = (uint32_t)result->bad_record;
    const leat_engine_batch_record *bad = &batch->records[at];
    if (bad->partition != partition || bad->subpartition != subpartition) {
        attempt.elsewhere = true;
        return attempt;
    }
    attempt.culprit = 0;
    for (; at > 0; at--) {
        const leat_engine_batch_record *before = &batch->records[at - 1];
        if (before->partition != partition || before->subpartition != subpartition)
            break;
        attempt.culprit++;
    }
    return attempt;
}

/* Its only record is refused for good, and its table has the last word. */
static leat_retry_verdict give_up(leat_engine *engine, leat_job_slot *slot, uint32_t id,
                                  const leat_engine_job_result *result)
{
    leat_queue *queue = &engine->queues[id];
    leat_guard_decision word = leat_guard_decide(engine, id);
    if (word == LEAT_GUARD_STOPS)
        say(engine, slot, id, LEAT_NOTICE_TABLE_STOPPED, result);
    if (word != LEAT_GUARD_GIVES_UP)
        return leat_retry_hold(&queue->retry);
    queue->retry.trouble =
        leat_shard_of(engine, &engine->partitions[id / LEAT_SUBPARTITIONS])->trouble;
    leat_trouble_reason(engine, id, result);
    return leat_retry_bury(&queue->retry, result->outcome);
}

static bool is_understood(leat_engine_outcome outcome)
{
    return outcome == LEAT_ENGINE_BAD_DATA || outcome == LEAT_ENGINE_NOT_YET ||
           outcome == LEAT_ENGINE_DRIFT || outcome == LEAT_ENGINE_RECORD_ERROR;
}

/* What the queue does next; `ret_say`: what there is to be said of it, 0 when it was said
 * lately. */
static leat_retry_verdict judge(leat_engine *engine, leat_job_slot *slot, uint32_t id,
                                const leat_attempt *attempt, const leat_engine_job_result *result,
                                uint8_t *ret_say)
{
    leat_retry *retry = &engine->queues[id].retry;
    if (is_understood(result->outcome))
        leat_halt_passed(engine, id);
    bool said = retry->held && engine->now_us - retry->said_us < LEAT_NOTICE_EVERY_US;
    if (retry->dead)
        leat_guard_retract(engine, id);
    leat_retry_verdict verdict = leat_retry_failed(retry, result->outcome, attempt);
    *ret_say = said ? 0 : LEAT_NOTICE_STALLED;
    if (verdict == LEAT_DEAD)
        return give_up(engine, slot, id, result);
    if (verdict != LEAT_HALT)
        return verdict;
    bool news;
    if (!leat_halt_begin(engine, id, &news))
        return LEAT_AGAIN;
    *ret_say = said && !news ? 0 : LEAT_NOTICE_HALTED;
    return leat_retry_hold(retry);
}

static void queue_failed(leat_engine *engine, leat_job_slot *slot,
                         const leat_engine_batch_part *part, uint32_t index,
                         const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[part->partition];
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    uint32_t id = part->partition * LEAT_SUBPARTITIONS + subpartition;
    leat_queue *queue = &engine->queues[id];
    uint8_t what;
    leat_attempt attempt = attempt_of(engine, slot, id, result);
    leat_retry_verdict verdict = judge(engine, slot, id, &attempt, result, &what);
    if (is_understood(result->outcome))
        leat_narrow_answered(&queue->narrow);
    queue_landed(partition, queue);
    if (verdict != LEAT_AGAIN || result->outcome == LEAT_ENGINE_CONTENTION)
        leat_trouble_met(engine, id, slot->since_us, result);
    if (verdict == LEAT_AGAIN) {
        leat_queue_wake(engine, partition, subpartition);
        return;
    }
    /* After an outage all of the batch wake together, so that they can share one again. */
    bool together = result->outcome == LEAT_ENGINE_OUTAGE;
    if (!together || slot->delay_us == 0)
        slot->delay_us = backoff_us(engine, queue->retry.delays);
    leat_queue_delay(engine, partition, subpartition,
                     leat_retry_cut_us(&queue->retry, &attempt, slot->delay_us));
    if (verdict != LEAT_HELD || what == 0)
        return;
    queue->retry.said_us = engine->now_us;
    say(engine, slot, id, what, result);
}

/* The batch failed as a whole through no fault of this part. */
static void part_again(leat_engine *engine, leat_partition *partition,
                       const leat_engine_batch_part *part)
{
    for (uint32_t i = 0; i < part->count; i++) {
        uint32_t subpartition = (uint32_t)part->subpartitions[i];
        queue_landed(partition, leat_queue_at(engine, part->partition, subpartition));
        leat_queue_wake(engine, partition, subpartition);
    }
}

/* Its one record has ended its session again: it is named, before it is dropped. */
static void say_suspect(leat_engine *engine, leat_job_slot *slot,
                        const leat_engine_batch_part *part, const leat_engine_job_result *result)
{
    uint32_t subpartition = (uint32_t)part->subpartitions[0];
    uint32_t id = part->partition * LEAT_SUBPARTITIONS + subpartition;
    leat_narrow *narrow = &engine->queues[id].narrow;
    bool said = narrow->said_us > 0 && engine->now_us - narrow->said_us < LEAT_NOTICE_EVERY_US;
    if (!leat_narrow_is_found(narrow) || said)
        return;
    narrow->said_us = engine->now_us;
    say(engine, slot, id, LEAT_NOTICE_STALLED, result);
}

static void part_unknown(leat_engine *engine, leat_job_slot *slot,
                         const leat_engine_batch_part *part, const leat_engine_job_result *result)
{
    slot->suspected = leat_suspects_met(engine, slot, part, result) || slot->suspected;
    if (slot->queues == 1)
        say_suspect(engine, slot, part, result);
    leat_partition_reclaim(engine, &engine->partitions[part->partition], slot->trial);
}

static bool has_part(const leat_engine_batch *batch, int32_t partition)
{
    for (uint32_t i = 0; i < batch->part_count; i++) {
        if (partition >= 0 && batch->parts[i].partition == (uint32_t)partition)
            return true;
    }
    return false;
}

static void part_done(leat_engine *engine, leat_job_slot *slot, const leat_engine_batch_part *part,
                      const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[part->partition];
    LEAT_ASSERT(partition->batches > 0);
    partition->batches--;
    switch (result->outcome) {
    case LEAT_ENGINE_APPLIED:
        part_applied(engine, partition, slot, part);
        break;
    case LEAT_ENGINE_FENCED:
        /* Not told which one, or one that is not in it: all of them, to be safe. */
        if (has_part(&slot->job.batch, result->partition) &&
            part->partition != (uint32_t)result->partition)
            part_again(engine, partition, part);
        else
            leat_partition_fence(engine, partition);
        break;
    case LEAT_ENGINE_WENT_BACK:
        leat_partition_reclaim(engine, partition, false);
        break;
    case LEAT_ENGINE_UNKNOWN:
        part_unknown(engine, slot, part, result);
        break;
    case LEAT_ENGINE_CONTENTION:
    case LEAT_ENGINE_OUTAGE:
    case LEAT_ENGINE_BAD_DATA:
    case LEAT_ENGINE_NOT_YET:
    case LEAT_ENGINE_DRIFT:
    case LEAT_ENGINE_RECORD_ERROR:
    case LEAT_ENGINE_NOT_UNDERSTOOD:
        for (uint32_t i = 0; i < part->count; i++)
            queue_failed(engine, slot, part, i, result);
        break;
    case LEAT_ENGINE_OUTCOME_COUNT:
        LEAT_ASSERT(false);
    }
    leat_revoke_go_on(engine, partition);
}

static uint64_t *counter_of(leat_engine_counters *counters, leat_engine_outcome outcome)
{
    switch (outcome) {
    case LEAT_ENGINE_APPLIED:
        return &counters->batches_applied;
    case LEAT_ENGINE_FENCED:
        return &counters->batches_fenced;
    case LEAT_ENGINE_WENT_BACK:
        return &counters->went_back;
    case LEAT_ENGINE_UNKNOWN:
        return &counters->batches_unknown;
    default:
        return &counters->batches_failed;
    }
}

static void note_size(leat_engine *engine, const leat_job_slot *slot,
                      const leat_engine_job_result *result)
{
    leat_size *size = &engine->shards[slot->job.shard].size;
    uint32_t records = slot->job.batch.record_count;
    int64_t took_us = engine->now_us - slot->since_us;
    if (slot->queues == 1)
        return; /* retry.h and narrow.h see to that */
    if (result->outcome == LEAT_ENGINE_APPLIED)
        leat_size_applied(size, records, took_us, engine->config.batch_records_max);
    else if (result->too_long || (result->outcome == LEAT_ENGINE_UNKNOWN &&
                                  (slot->suspected || took_us >= LEAT_SLOW_US)))
        leat_size_cut(size, records, took_us);
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
                slot->suspected = leat_suspects_met(engine, slot, part, result) || slot->suspected;
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
            leat_partition_read(engine, partition, result->progress);
        } else {
            if (partition->claim_failures < UINT8_MAX)
                partition->claim_failures++;
            leat_partition_claim(engine, partition, backoff_us(engine, partition->claim_failures));
        }
    }
    leat_revoke_go_on(engine, partition);
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
        partition->moved = true;
        break;
    }
    leat_partition_compact_later(engine, partition);
    leat_revoke_go_on(engine, partition);
}

void leat_engine_job_done(leat_engine *engine, int64_t now_us, uint32_t job_id,
                          const leat_engine_job_result *result)
{
    leat_clock(engine, now_us);
    LEAT_ASSERT(job_id < engine->config.jobs_max);
    LEAT_ASSERT((unsigned)result->outcome < LEAT_ENGINE_OUTCOME_COUNT);
    leat_job_slot *slot = &engine->jobs[job_id];
    LEAT_ASSERT(slot->state == LEAT_JOB_RUNNING);
    LEAT_ASSERT(slot->say == 0);
    slot->state = LEAT_JOB_FREE; /* its seqs are not open any more */
    leat_shard *shard = &engine->shards[slot->job.shard];
    LEAT_ASSERT(shard->running > 0);
    shard->running--;
    shard->trials -= slot->trial;
    shard->trouble += result->outcome == LEAT_ENGINE_OUTAGE ||
                      result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD;
    if (slot->job.kind == LEAT_ENGINE_JOB_BATCH)
        batch_done(engine, slot, result);
    else if (slot->job.kind == LEAT_ENGINE_JOB_CLAIM)
        claim_done(engine, &engine->partitions[slot->job.partition], &slot->job, result);
    else
        compaction_done(engine, &engine->partitions[slot->job.partition], &slot->job, result);
    bool saying = slot->say != 0;
    if (saying)
        slot->state = LEAT_JOB_NOTIFYING;
    leat_list_push(engine, saying ? &engine->jobs_saying : &engine->jobs_free, leat_link_job,
                   job_id);
    engine->room_grew = true;
    leat_schedule_shard(engine, shard);
}
