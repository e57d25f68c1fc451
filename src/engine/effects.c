/*
 * effects.c - what is reported to the caller. A partition has flags for its effects and not a queue
 * of them: they need no memory, two of one kind are one, and an effect that has become wrong is
 * withdrawn before it is emitted. Whether a partition is paused is compared with what was emitted
 * last, so that a pause that ended in between is never seen.
 */
#include "engine/effects.h"

#include "engine/guard.h"
#include "engine/lists.h"
#include "engine/backlog.h"
#include "engine/pause.h"
#include "engine/schedule.h"

void leat_emit(leat_engine *engine, leat_partition *partition, uint8_t effects)
{
    partition->emits |= effects;
    if (partition->emitting)
        return;
    partition->emitting = true;
    leat_list_push(engine, &engine->emitting, leat_link_emitting,
                   leat_partition_id(engine, partition));
}

void leat_effects_dropped(leat_engine *engine, leat_partition *partition)
{
    partition->emits &= (uint8_t)~(LEAT_EMIT_SEEK | LEAT_EMIT_CONFIRM);
    leat_emit(engine, partition, 0);
}

static void forget_borrowed(leat_engine_job_result *result)
{
    result->progress = NULL;
    result->parked = NULL;
    result->chunk = NULL;
    result->loaded = NULL;
    result->held = NULL;
    result->kept = NULL;
    result->known = NULL;
}

void leat_notice_add(leat_engine *engine, leat_job_slot *slot, uint32_t queue, uint8_t notice,
                     const leat_engine_job_result *result)
{
    const leat_head_record head = leat_queue_head(engine, queue);
    slot->notice = (leat_notice){.pending = slot->notice.pending | notice,
                                 .result = *result,
                                 .partition = leat_queue_partition(engine, queue),
                                 .subpartition = leat_queue_subpartition(engine, queue),
                                 .table = head.table,
                                 .guarded = engine->queues[queue].retry.guarded,
                                 .share = leat_guard_share(leat_guard_table(engine, queue)),
                                 .offset = head.offset,
                                 .payload = head.payload};
    forget_borrowed(&slot->notice.result);
}

void leat_notice_add_key(leat_engine *engine, leat_job_slot *slot, uint8_t notice,
                         const leat_notice_key *about, const leat_engine_job_result *result)
{
    slot->notice = (leat_notice){.pending = slot->notice.pending | notice,
                                 .result = *result,
                                 .partition = about->partition,
                                 .subpartition = about->subpartition,
                                 .table = engine->config.table_count - 1,
                                 .key = about->key,
                                 .offset = about->offset,
                                 .payload = about->payload};
    forget_borrowed(&slot->notice.result);
}

/* ---- emitting ---- */

static bool emit_pause(leat_partition *partition, leat_engine_effect *ret_effect)
{
    bool pause = partition->state != LEAT_ENGINE_READING || partition->paused_for_room ||
                 partition->parked_full;
    if (partition->state == LEAT_ENGINE_UNASSIGNED || !partition->seek_emitted ||
        pause == partition->emitted_paused)
        return false;
    partition->emitted_paused = pause;
    ret_effect->kind = pause ? LEAT_ENGINE_PAUSE : LEAT_ENGINE_RESUME;
    return true;
}

static bool emit_partition(leat_partition *partition, leat_engine_effect *ret_effect)
{
    const leat_engine_newest *newest = &partition->progress.newest;
    if (partition->emits & LEAT_EMIT_COMMIT) {
        partition->emits &= (uint8_t)~LEAT_EMIT_COMMIT;
        ret_effect->kind = LEAT_ENGINE_COMMIT;
        ret_effect->offset = partition->committed;
        return true;
    }
    if (partition->emits & LEAT_EMIT_REVOKED) {
        partition->emits &= (uint8_t)~LEAT_EMIT_REVOKED;
        ret_effect->kind = LEAT_ENGINE_REVOKED;
        return true;
    }
    if (partition->emits & LEAT_EMIT_SEEK) {
        partition->emits &= (uint8_t)~LEAT_EMIT_SEEK;
        partition->seek_emitted = true;
        ret_effect->kind = LEAT_ENGINE_SEEK;
        ret_effect->offset = leat_engine_progress_read_from(&partition->progress);
        ret_effect->low = partition->progress.low;
        ret_effect->high = leat_engine_progress_high(&partition->progress);
        ret_effect->high_ms = newest->offset == ret_effect->high ? newest->at_ms : 0;
        ret_effect->epoch = newest->epoch;
        return true;
    }
    if (emit_pause(partition, ret_effect))
        return true;
    if (partition->emits & LEAT_EMIT_CONFIRM) {
        partition->emits &= (uint8_t)~LEAT_EMIT_CONFIRM;
        ret_effect->kind = LEAT_ENGINE_CONFIRM;
        return true;
    }
    return false;
}

static bool emit_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    while (engine->emitting.head != LEAT_INDEX_NONE) {
        uint32_t id = engine->emitting.head;
        ret_effect->partition = id;
        if (emit_partition(&engine->partitions[id], ret_effect))
            return true;
        leat_list_pop(engine, &engine->emitting, leat_link_emitting);
        engine->partitions[id].emitting = false;
    }
    return false;
}

/* Takes the first one that is pending. */
static leat_engine_effect_kind take_notice(leat_notice *notice)
{
    static const struct {
        uint8_t notice;
        leat_engine_effect_kind effect;
    } order[] = {
        {LEAT_NOTICE_TABLE_STOPPED, LEAT_ENGINE_TABLE_STOPPED},
        {LEAT_NOTICE_STALLED, LEAT_ENGINE_STALLED},
        {LEAT_NOTICE_HALTED, LEAT_ENGINE_SHARD_HALTED},
        {LEAT_NOTICE_DEAD, LEAT_ENGINE_DEAD_LETTERED},
        {LEAT_NOTICE_KEY_HELD, LEAT_ENGINE_KEY_HELD},
        {LEAT_NOTICE_KEY_LEFT, LEAT_ENGINE_KEY_LEFT},
        {LEAT_NOTICE_NOT_PARKED, LEAT_ENGINE_PARK_FAILED},
    };
    uint32_t i = 0;
    LEAT_ASSERT(notice->pending != 0);
    while (!(notice->pending & order[i].notice))
        i++;
    notice->pending &= (uint8_t)~order[i].notice;
    return order[i].effect;
}

static bool notify_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    uint32_t id = engine->jobs_notifying.head;
    if (id == LEAT_INDEX_NONE)
        return false;
    leat_job_slot *slot = &engine->jobs[id];
    leat_notice *notice = &slot->notice;
    LEAT_ASSERT(slot->state == LEAT_JOB_NOTIFYING);
    ret_effect->kind = take_notice(notice);
    ret_effect->partition = notice->partition;
    ret_effect->subpartition = notice->subpartition;
    ret_effect->table = notice->table;
    ret_effect->offset = notice->offset;
    ret_effect->payload = notice->payload;
    ret_effect->key = notice->key;
    ret_effect->result = &notice->result;
    ret_effect->guarded = notice->guarded;
    ret_effect->refused = notice->share.given_up;
    ret_effect->decided = notice->share.of;
    if (notice->pending != 0)
        return true;
    /* Free from here on. The notice stays until the job is used again: not before the next call. */
    leat_list_pop(engine, &engine->jobs_notifying, leat_link_job);
    slot->state = LEAT_JOB_FREE;
    leat_list_push(engine, &engine->jobs_free, leat_link_job, id);
    return true;
}

static bool run_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    const leat_engine_job *job = leat_schedule_next(engine);
    if (!job)
        return false;
    ret_effect->kind = LEAT_ENGINE_RUN;
    ret_effect->partition = job->partition;
    ret_effect->job = job;
    return true;
}

/* Called after every record: must cost next to nothing when there are no effects. */
static bool has_effects(const leat_engine *engine)
{
    return engine->room_grew || engine->emitting.head != LEAT_INDEX_NONE ||
           engine->jobs_notifying.head != LEAT_INDEX_NONE ||
           engine->candidates.head != LEAT_INDEX_NONE || engine->draining;
}

bool leat_engine_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    if (!has_effects(engine))
        return false;
    *ret_effect = (leat_engine_effect){.kind = LEAT_ENGINE_DRAINED};
    if (engine->room_grew)
        leat_pause_check_room(engine);
    if (emit_next(engine, ret_effect) || notify_next(engine, ret_effect) ||
        run_next(engine, ret_effect))
        return true;
    ret_effect->partition = 0;
    if (engine->draining && !engine->drained_emitted && engine->assigned == 0) {
        engine->drained_emitted = true;
        return true;
    }
    return false;
}

size_t leat_engine_released_early(leat_engine *engine, void **ret, size_t max)
{
    LEAT_ASSERT(engine->jobs_notifying.head == LEAT_INDEX_NONE);
    size_t count = leat_pool_released(&engine->pool, ret, max);
    engine->feed_due = engine->feed_due || count > 0;
    return count;
}

size_t leat_engine_released(leat_engine *engine, void **ret, size_t max)
{
    size_t count = leat_pool_released(&engine->pool, ret, max);
    if (count > 0 || engine->feed_due)
        leat_backlog_feed(engine);
    engine->feed_due = false;
    return count;
}
