/*
 * outcome.c - the outcome of a batch, for one of its queues. The rules of trying again (retry.h),
 * of dead letters (guard.h), of a halted shard (halt.h) and of records that end their session
 * (narrow.h) know nothing of each other: this file calls each in a fixed order. Decisions about the
 * record at the head come before the queue leaves its batch. The queue goes on last, when
 * everything about its head is settled.
 */
#include "engine/outcome.h"

#include <string.h>

#include "base/rate_limit.h"
#include "engine/effects.h"
#include "engine/guard.h"
#include "engine/halt.h"
#include "engine/keys.h"
#include "engine/loads.h"
#include "engine/backlog.h"
#include "engine/partition.h"
#include "engine/subpartition.h"
#include "engine/trouble.h"

/* ---- applied ---- */

void leat_queue_landed(leat_partition *partition, leat_queue *queue)
{
    LEAT_ASSERT(queue->place == LEAT_QUEUE_IN_FLIGHT && queue->in_flight > 0 &&
                partition->in_flight >= queue->in_flight);
    partition->in_flight -= queue->in_flight;
    queue->in_flight = 0;
    queue->place = LEAT_QUEUE_QUIET;
}

static leat_shard *shard_of_queue(leat_engine *engine, uint32_t id)
{
    return leat_shard_of(engine, &engine->partitions[leat_queue_partition(engine, id)]);
}

/* When the head of the queue was read, or its shard resumed after a halt, if that is later. */
static int64_t head_read_us(leat_engine *engine, uint32_t id)
{
    int64_t read_us = leat_queue_head(engine, id).read_us;
    int64_t resumed_us = shard_of_queue(engine, id)->resumed_us;
    return read_us > resumed_us ? read_us : resumed_us;
}

static void notify_dead(leat_engine *engine, leat_job_slot *slot, uint32_t queue, uint8_t notice)
{
    leat_engine_job_result result = {.outcome = engine->queues[queue].retry.dead_by,
                                     .bad_record = -1,
                                     .partition = -1,
                                     .catalog_read_us = INT64_MAX};
    memcpy(result.sqlstate, slot->reason.sqlstate, sizeof result.sqlstate);
    memcpy(result.message, slot->reason.message, sizeof result.message);
    leat_notice_add(engine, slot, queue, notice, &result);
}

/* The queue's records in the batch, where some of it are not written; NULL: all are. */
static const leat_engine_batch_record *not_written(const leat_engine *engine,
                                                   const leat_engine_batch *batch, uint32_t id)
{
    if (batch->skipped == 0 && batch->kept == 0)
        return NULL;
    uint32_t at = 0;
    while (batch->records[at].partition != leat_queue_partition(engine, id) ||
           batch->records[at].subpartition != leat_queue_subpartition(engine, id))
        at++;
    LEAT_ASSERT(at < batch->record_count);
    return &batch->records[at];
}

/* The records at the head are done: applied, left out, or kept. One that is not written says
 * nothing about its table: neither that it takes records again, nor that it refuses few. */
static void count_applied(leat_engine *engine, leat_job_slot *slot, uint32_t id, uint32_t records)
{
    leat_queue *queue = &engine->queues[id];
    const leat_engine_batch_record *in_batch = not_written(engine, &slot->job.batch, id);
    uint32_t skipped = 0, repeated = 0, conflicts = 0, kept = 0;
    for (uint32_t i = 0; in_batch && i < records; i++) {
        skipped += in_batch[i].skip;
        repeated += in_batch[i].repeat;
        conflicts += in_batch[i].conflict;
        kept += in_batch[i].keep;
    }
    LEAT_ASSERT(queue->retry.dead == (slot->job.batch.dead || slot->job.batch.hold));
    engine->shards[slot->job.shard].done += records;
    if (queue->retry.dead && queue->retry.holds) {
        leat_keys_hold(engine, id);
        notify_dead(engine, slot, id, LEAT_NOTICE_KEY_HELD);
    } else if (queue->retry.dead) {
        engine->counters.dead_letters++;
        notify_dead(engine, slot, id, LEAT_NOTICE_DEAD);
    } else {
        engine->counters.records_applied += records - skipped - kept;
        engine->counters.records_left_out += skipped - repeated;
        engine->counters.records_repeated += repeated;
        engine->counters.records_conflicting += conflicts;
        engine->counters.dead_letters += conflicts;
        engine->counters.records_kept += kept;
        leat_guard_applied(engine, id, records, in_batch);
    }
    leat_guard_release(engine, id, !in_batch || (!in_batch[0].skip && !in_batch[0].keep));
    leat_trouble_clear(engine, id);
    leat_halt_queue_passed(engine, id);
}

/* How many queues of the partition are worth a look: one that has no records is passed over. */
static uint32_t queues_of(const leat_engine *engine, uint32_t partition)
{
    const leat_partition *of = &engine->partitions[partition];
    return of->holding.records > 0 || of->parked > 0 ? engine->config.subpartitions : 0;
}

static void hurry(leat_engine *engine, uint32_t id, int64_t since_us)
{
    leat_queue *queue = &engine->queues[id];
    if (!queue->retry.waiting)
        return;
    int64_t mine_us = leat_retry_since_us(&queue->retry, head_read_us(engine, id));
    if (leat_retry_hurry(&queue->retry, mine_us, since_us) && queue->place == LEAT_QUEUE_WAITING)
        leat_heap_set(&engine->timers, id, engine->now_us);
}

/* A unique value may move from row to row, and each of those writes waits for the one before: all
 * that wait are tried at once. */
static void hurry_waiting(leat_engine *engine, const leat_shard *shard, int64_t since_us)
{
    for (uint32_t i = 0; i < shard->partition_count; i++) {
        uint32_t partition = shard->partitions[i];
        for (uint32_t j = 0; j < queues_of(engine, partition); j++)
            hurry(engine, leat_queue_id(engine, partition, j), since_us);
    }
}

/* Records that were read from the log leave memory, and their progress moves. */
static void rows_applied(leat_engine *engine, leat_partition *partition,
                         const leat_engine_batch_part *part, uint32_t index, uint32_t records)
{
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    leat_queue *queue = leat_queue_at(engine, part->partition, subpartition);
    LEAT_ASSERT(part->offsets[index] > partition->progress.offsets[subpartition]);
    partition->progress.offsets[subpartition] = part->offsets[index];
    uint64_t bytes = leat_queue_release(queue, &engine->pool, records);
    leat_budgets_remove(&engine->budgets, &leat_shard_of(engine, partition)->holding,
                        &partition->holding, records, bytes);
}

void leat_queue_applied(leat_engine *engine, leat_partition *partition, leat_job_slot *slot,
                        const leat_engine_batch_part *part, uint32_t index)
{
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    leat_queue *queue = leat_queue_at(engine, part->partition, subpartition);
    uint32_t records = queue->in_flight;
    uint32_t id = leat_queue_id(engine, part->partition, subpartition);
    bool unparks = slot->job.batch.chunk_count > 0;
    bool fits = true;
    LEAT_ASSERT(unparks == queue->parked);
    bool waited = queue->retry.waiting && !queue->retry.dead;
    int64_t since_us = leat_retry_since_us(&queue->retry, head_read_us(engine, id));
    count_applied(engine, slot, id, records);
    LEAT_ASSERT(part->seq > partition->progress.last_seq[subpartition]);
    partition->progress.last_seq[subpartition] = part->seq;
    leat_queue_landed(partition, queue);
    if (unparks) {
        leat_backlog_release(engine, partition, queue, records);
        fits = leat_backlog_applied(engine, id, &slot->job.batch, records);
    } else {
        rows_applied(engine, partition, part, index, records);
    }
    queue->kept_read_us = 0;
    leat_retry_applied(&queue->retry, records, engine->config.batch_records_max);
    leat_narrow_passed(&queue->narrow, part->offsets[index], records);
    if (waited)
        hurry_waiting(engine, leat_shard_of(engine, partition), since_us);
    if (!fits) {
        leat_partition_reclaim(engine, partition, false);
        return;
    }
    leat_subpartition_wake(engine, partition, subpartition);
    leat_load_ahead(engine, id);
}

/* ---- failed ---- */

/* Does the head of the queue precede one that waits since then? */
static bool precedes(leat_engine *engine, uint32_t id, int64_t since_us)
{
    const leat_queue *queue = &engine->queues[id];
    return leat_queue_has_head(queue) && !leat_narrow_on_trial(&queue->narrow) &&
           leat_retry_precedes(&queue->retry, head_read_us(engine, id), since_us);
}

/* Heads are enough: records after one were read later. */
static bool is_preceded(leat_engine *engine, uint32_t id)
{
    const leat_shard *shard = shard_of_queue(engine, id);
    int64_t since_us = leat_retry_since_us(&engine->queues[id].retry, head_read_us(engine, id));
    for (uint32_t i = 0; i < shard->partition_count; i++) {
        uint32_t partition = shard->partitions[i];
        if (engine->partitions[partition].state != LEAT_ENGINE_READING)
            continue;
        for (uint32_t j = 0; j < queues_of(engine, partition); j++) {
            uint32_t other = leat_queue_id(engine, partition, j);
            if (other != id && precedes(engine, other, since_us))
                return true;
        }
    }
    return false;
}

/* The batch as one of its queues sees it. */
static leat_retry_attempt attempt_of(leat_engine *engine, const leat_job_slot *slot, uint32_t id,
                                     const leat_engine_job_result *result)
{
    uint32_t partition = leat_queue_partition(engine, id);
    uint32_t subpartition = leat_queue_subpartition(engine, id);
    leat_retry_attempt attempt = {.queues = slot->queues,
                                  .records = engine->queues[id].in_flight,
                                  .culprit = -1,
                                  .now_us = engine->now_us,
                                  .read_us = head_read_us(engine, id),
                                  .catalog_read_us = result->catalog_read_us,
                                  .patience_us = engine->config.patience_us,
                                  .lock_timeout_us = engine->config.lock_timeout_us,
                                  .from_rows = result->from_rows,
                                  .is_lock_wait = result->is_lock_wait,
                                  .timed_out = result->timed_out,
                                  .is_claimed = result->outcome == LEAT_ENGINE_CONTENTION &&
                                                result->partition == (int32_t)partition,
                                  .may_be_race = result->outcome == LEAT_ENGINE_NOT_YET &&
                                                 result->may_be_race,
                                  .holds = leat_keys_may_hold(engine, id, result),
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

/* Its only record is refused for good, or for now and its key can be held. Where it may be a dead
 * letter the guard of its table decides whether it is. */
static leat_retry_verdict dead_or_held(leat_engine *engine, leat_job_slot *slot, uint32_t id,
                                       const leat_engine_job_result *result)
{
    leat_queue *queue = &engine->queues[id];
    leat_keys_fate fate = leat_keys_fate_of(engine, id, &slot->job.batch, result);
    leat_guard_verdict guard = fate == LEAT_KEYS_LETTER ? leat_guard_decide(engine, id)
                               : fate == LEAT_KEYS_HELD ? LEAT_GUARD_ALLOW
                                                        : LEAT_GUARD_HOLD;
    if (guard == LEAT_GUARD_STOP_TABLE)
        leat_notice_add(engine, slot, id, LEAT_NOTICE_TABLE_STOPPED, result);
    if (guard != LEAT_GUARD_ALLOW)
        return leat_retry_hold(&queue->retry);
    leat_guard_release(engine, id, false);
    queue->retry.trouble = shard_of_queue(engine, id)->trouble;
    leat_trouble_reason(engine, id, result);
    return leat_retry_mark_dead(&queue->retry, result->outcome, fate == LEAT_KEYS_HELD);
}

static bool is_understood(leat_engine_outcome outcome)
{
    return outcome == LEAT_ENGINE_BAD_DATA || outcome == LEAT_ENGINE_NOT_YET ||
           outcome == LEAT_ENGINE_DRIFT || outcome == LEAT_ENGINE_RECORD_ERROR;
}

/* It waited in vain for a row, or took too long: either may go on for hours, and the shard is not
 * why. */
static bool is_held_up_by_rows(const leat_engine_job_result *result)
{
    return result->outcome == LEAT_ENGINE_CONTENTION && result->from_rows &&
           (result->is_lock_wait || result->timed_out);
}

/* Decides what the queue does next; `ret_notice`: the notice for the caller if the queue is held, 0
 * when one was given lately. */
static leat_retry_verdict verdict_of(leat_engine *engine, leat_job_slot *slot, uint32_t id,
                                     const leat_retry_attempt *attempt,
                                     const leat_engine_job_result *result, uint8_t *ret_notice)
{
    leat_retry *retry = &engine->queues[id].retry;
    if (is_understood(result->outcome) || is_held_up_by_rows(result))
        leat_halt_queue_passed(engine, id);
    /* `held` says whether there was a notice: a time of 0 is one like any other here. */
    bool lately = retry->held && engine->now_us - retry->notified_us < LEAT_RATE_LIMIT_US;
    *ret_notice = lately ? 0 : LEAT_NOTICE_STALLED;
    leat_guard_retract(engine, id);
    leat_retry_verdict verdict = result->no_room
                                     ? leat_retry_no_room(retry, attempt)
                                     : leat_retry_failed(retry, result->outcome, attempt);
    if (verdict == LEAT_RETRY_DEAD)
        return dead_or_held(engine, slot, id, result);
    if (verdict != LEAT_RETRY_HALT)
        return verdict;
    bool is_new;
    if (!leat_halt_begin(engine, id, &is_new))
        return LEAT_RETRY_AT_ONCE;
    *ret_notice = lately && !is_new ? 0 : LEAT_NOTICE_HALTED;
    return leat_retry_hold(retry);
}

/* The caller has changed its mind about records since the batch was made: some of it may be left
 * out now. (An outage has nothing to do with records.) */
static bool is_outdated(const leat_engine *engine, const leat_job_slot *slot,
                        const leat_engine_job_result *result)
{
    return slot->since_us < engine->shards[slot->job.shard].rechecked_us &&
           result->outcome != LEAT_ENGINE_OUTAGE;
}

static bool is_refused_alone(const leat_job_slot *slot, const leat_engine_job_result *result)
{
    return slot->job.batch.record_count == 1 && result->from_rows && is_understood(result->outcome);
}

void leat_queue_failed(leat_engine *engine, leat_job_slot *slot, const leat_engine_batch_part *part,
                       uint32_t index, const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[part->partition];
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    uint32_t id = leat_queue_id(engine, part->partition, subpartition);
    leat_queue *queue = &engine->queues[id];
    uint8_t notice;
    leat_retry_attempt attempt = attempt_of(engine, slot, id, result);
    leat_retry_verdict verdict = verdict_of(engine, slot, id, &attempt, result, &notice);
    if (is_refused_alone(slot, result))
        leat_narrow_refused(&queue->narrow);
    else if (is_understood(result->outcome) && !result->is_unsent)
        leat_narrow_answered(&queue->narrow);
    else
        leat_narrow_put_off(&queue->narrow);
    leat_queue_landed(partition, queue);
    bool is_refused = slot->job.batch.record_count == 1 && result->outcome != LEAT_ENGINE_DRIFT &&
                      is_understood(result->outcome);
    if (verdict != LEAT_RETRY_AT_ONCE || result->outcome == LEAT_ENGINE_CONTENTION) {
        leat_trouble_record(engine, id, slot->since_us, result);
        engine->marks[id].no_room = is_refused && leat_keys_lacks_room(engine, id, result);
    }
    if (verdict == LEAT_RETRY_AT_ONCE) {
        leat_subpartition_wake(engine, partition, subpartition);
        return;
    }
    if (verdict == LEAT_RETRY_HELD && is_refused && leat_keys_may_look(engine, id, result)) {
        leat_partition_reclaim(engine, partition, false);
        return;
    }
    if (verdict == LEAT_RETRY_HELD && notice != 0) {
        queue->retry.notified_us = engine->now_us;
        leat_notice_add(engine, slot, id, notice, result);
    }
    /* After an outage all of the batch wake together, so that they can share one again. */
    bool together = result->outcome == LEAT_ENGINE_OUTAGE;
    if (!together || slot->delay_us == 0)
        slot->delay_us = leat_jobs_backoff_us(engine, queue->retry.delays);
    int64_t delay_us = leat_retry_delay_us(&queue->retry, &attempt, slot->delay_us);
    leat_subpartition_delay(engine, partition, subpartition,
                            is_outdated(engine, slot, result) ? 0 : delay_us);
}
