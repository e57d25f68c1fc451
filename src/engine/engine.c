/*
 * engine.c - the events. Each first takes over the time, which runs everything that was due, then
 * makes its own change, and leaves the consequences to the files that own them (state.h has the
 * map): effects come out of leat_engine_next and are never emitted from here. Until a batch takes
 * it a record passes only through here, so all work that is done for each record is in this file.
 */
#include "base/leader_epoch.h"
#include "engine/state.h"
#include "engine/breaker.h"
#include "engine/deep.h"
#include "engine/low_water.h"
#include "engine/partition.h"
#include "engine/pause.h"
#include "engine/revoke.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/suspects.h"
#include "engine/timers.h"

static leat_partition *partition_at(leat_engine *engine, uint32_t partition)
{
    LEAT_ASSERT(partition < engine->config.partition_count);
    return &engine->partitions[partition];
}

/* ---- the group ---- */

static void forget(leat_engine *engine, leat_partition *partition)
{
    if (partition->state != LEAT_ENGINE_UNASSIGNED) {
        leat_partition_drop(engine, partition);
        leat_partition_enter(engine, partition, LEAT_ENGINE_UNASSIGNED);
    }
    partition->emits = 0;
}

void leat_engine_assigned(leat_engine *engine, int64_t now_us, uint32_t partition)
{
    leat_timers_advance(engine, now_us);
    leat_partition *p = partition_at(engine, partition);
    if (engine->draining)
        return;
    if (p->state != LEAT_ENGINE_UNASSIGNED)
        forget(engine, p);
    /* Nothing from an earlier assignment counts: others have read and committed the log since. */
    p->committed = -1;
    p->committed_us = now_us - engine->config.commit_every_us;
    p->low = -1;
    p->seek_emitted = false;
    p->emitted_paused = false;
    p->setbacks = 0;
    leat_suspects_forget(engine, p);
    leat_held_clear(&p->held);
    p->claim_failures = 0;
    p->reason[0] = 0;
    leat_partition_claim(engine, p, 0);
}

void leat_engine_revoked(leat_engine *engine, int64_t now_us, uint32_t partition)
{
    leat_timers_advance(engine, now_us);
    leat_revoke_begin(engine, partition_at(engine, partition));
}

void leat_engine_lost(leat_engine *engine, int64_t now_us, uint32_t partition)
{
    leat_timers_advance(engine, now_us);
    forget(engine, partition_at(engine, partition));
}

void leat_engine_commit_failed(leat_engine *engine, int64_t now_us)
{
    leat_timers_advance(engine, now_us);
    for (uint32_t i = 0; i < engine->config.partition_count; i++) {
        leat_partition *partition = &engine->partitions[i];
        partition->committed = -1; /* another claim may be under way: its result is committed then
                                    */
        if (partition->state == LEAT_ENGINE_READING)
            leat_partition_commit(engine, partition, false);
    }
}

void leat_engine_confirmed(leat_engine *engine, int64_t now_us, int64_t since_us)
{
    leat_timers_advance(engine, now_us);
    for (uint32_t i = 0; i < engine->config.partition_count; i++) {
        leat_partition *partition = &engine->partitions[i];
        if (partition->state != LEAT_ENGINE_FENCED_OFF || since_us < partition->fenced_us)
            continue;
        partition->confirmed = true;
        leat_partition_unfence(engine, partition, false);
    }
}

void leat_engine_drain(leat_engine *engine, int64_t now_us)
{
    leat_timers_advance(engine, now_us);
    engine->draining = true;
    for (uint32_t i = 0; i < engine->config.partition_count; i++) {
        if (engine->partitions[i].state != LEAT_ENGINE_UNASSIGNED)
            leat_revoke_begin(engine, &engine->partitions[i]);
    }
}

/* ---- the log ---- */

/* Does the record's leader epoch fit its place before or after the newest applied record? */
static bool epoch_fits(const leat_engine_newest *newest, const leat_engine_record *record)
{
    return leat_leader_epoch_fits(newest->offset, newest->epoch, record->offset, record->epoch);
}

static bool timestamp_fits(const leat_engine_newest *newest, const leat_engine_record *record)
{
    return record->offset != newest->offset || newest->at_ms == 0 ||
           newest->at_ms == record->accepted_ms;
}

/* Up to the claimed low water there was no record after the newest. */
static bool place_fits(const leat_engine_progress *progress, const leat_engine_record *record)
{
    return record->offset <= progress->newest.offset || record->offset > progress->low;
}

/* Is this the log that the progress was written for, and was it never cut off below an applied
 * record? */
static bool same_log(const leat_partition *partition, const leat_engine_record *record)
{
    const leat_engine_progress *progress = &partition->progress;
    return record->offset >= partition->position && place_fits(progress, record) &&
           epoch_fits(&progress->newest, record) && timestamp_fits(&progress->newest, record);
}

static leat_engine_taken refuse(leat_engine *engine, leat_partition *partition,
                                const leat_engine_record *record)
{
    leat_error error;
    const leat_engine_newest *newest = &partition->progress.newest;
    if (record->offset < partition->position)
        leat_fail(&error, "the log went backwards: offset %lld after %lld",
                  (long long)record->offset, (long long)(partition->position - 1));
    else if (!place_fits(&partition->progress, record))
        leat_fail(
            &error,
            "the log was cut off and rewritten from offset %lld on, or from before it: there was no record there when the "
            "log was read up to offset %lld. New records up to that offset would count as applied",
            (long long)record->offset, (long long)partition->progress.low);
    else if (!epoch_fits(newest, record))
        leat_fail(
            &error,
            "the log was cut off and rewritten from offset %lld on, or from before it: the record there has leader epoch %d, "
            "but records up to offset %lld with epoch %d were applied. New records up to that offset would count as applied",
            (long long)record->offset, (int)record->epoch, (long long)newest->offset,
            (int)newest->epoch);
    else
        leat_fail(
            &error,
            "the log is not the one its progress was written for, or was cut off and rewritten: the record at offset %lld "
            "has timestamp %lld, but the one that was applied had %lld. New records up to that offset would count as applied",
            (long long)record->offset, (long long)record->accepted_ms, (long long)newest->at_ms);
    leat_partition_stop(engine, partition, error.text);
    return LEAT_ENGINE_REFUSED;
}

static leat_engine_taken no_room(leat_engine *engine, leat_partition *partition, uint32_t bytes)
{
    leat_partition_pause_for_room(engine, partition, bytes > 0 ? bytes : 1);
    /* The caller has stopped at this record by itself: it must get RESUME even if room comes before
     * PAUSE is emitted. */
    partition->emitted_paused = true;
    /* Only payloads that were not fetched yet are missing: room comes without another event. */
    if (engine->pool.released_count > 0)
        engine->room_grew = true;
    return LEAT_ENGINE_FULL;
}

static leat_engine_taken skip(leat_engine *engine, leat_partition *partition,
                              const leat_engine_record *record)
{
    leat_partition_set_position(engine, partition, record->offset + 1);
    partition->room_stamp = 0;
    engine->counters.records_skipped++;
    leat_partition_passed(engine, partition);
    return LEAT_ENGINE_SKIPPED;
}

static void enqueue(leat_engine *engine, leat_partition *partition,
                    const leat_engine_record *record)
{
    leat_pool *pool = &engine->pool;
    uint32_t id = leat_pool_take(pool);
    leat_record_slot *slot = &pool->slots[id];
    leat_record_slot_fill(slot, record, engine->now_us);
    uint32_t at = leat_queue_id(engine, record->partition, record->subpartition);
    leat_queue *queue = &engine->queues[at];
    leat_deep_offered(engine, partition, queue);
    leat_tenants_saw(&leat_shard_of(engine, partition)->ready.tenants, record->tenant);
    if (queue->parked) {
        leat_queue_push_behind(queue, pool, id);
        return;
    }
    /* Read again after a claim: patience with it has begun before that. */
    if (queue->kept_read_us > 0 && queue->kept_offset == record->offset)
        slot->read_us = queue->kept_read_us;
    else if (queue->count == 0 && queue->kept_read_us > 0)
        queue->retry = (leat_retry){0};
    queue->kept_read_us = queue->count == 0 ? 0 : queue->kept_read_us;
    leat_queue_push(queue, pool, id);
    if (queue->place == LEAT_QUEUE_READY)
        leat_ready_deepened(&leat_shard_of(engine, partition)->ready, engine->queues, at);
    else if (queue->place == LEAT_QUEUE_QUIET)
        leat_subpartition_wake(engine, partition, record->subpartition);
}

leat_engine_taken leat_engine_record_read(leat_engine *engine, int64_t now_us,
                                          const leat_engine_record *record)
{
    leat_timers_advance(engine, now_us);
    leat_partition *partition = partition_at(engine, record->partition);
    LEAT_ASSERT(record->offset >= 0 && record->table < engine->config.table_count &&
                record->subpartition < engine->config.subpartitions);
    LEAT_ASSERT((unsigned)record->on_refused < LEAT_ENGINE_ON_REFUSED_COUNT);
    if (partition->state != LEAT_ENGINE_READING)
        return LEAT_ENGINE_SKIPPED;
    if (!same_log(partition, record))
        return refuse(engine, partition, record);
    if (record->offset <= partition->progress.offsets[record->subpartition])
        return skip(engine, partition, record);
    leat_holding *shard = &leat_shard_of(engine, partition)->holding;
    leat_budgets *budgets = &engine->budgets;
    uint32_t admitted = leat_budgets_admit(budgets, shard, &partition->holding, record->bytes);
    if (admitted == 0 || engine->pool.free_count == 0)
        return no_room(engine, partition, record->bytes);
    /* The offsets between the last record and this one have no record. */
    leat_engine_read_to(engine, now_us, record->partition, record->offset);
    leat_budgets_add(budgets, shard, &partition->holding, record->bytes);
    enqueue(engine, partition, record);
    engine->counters.records_taken++;
    leat_partition_set_position(engine, partition, record->offset + 1);
    partition->room_stamp = 0;
    /* Would the next one of its size still fit? Better paused now than refused then. */
    if (admitted == 1)
        leat_partition_pause_for_room(engine, partition, 0);
    return LEAT_ENGINE_TAKEN;
}

void leat_engine_read_to(leat_engine *engine, int64_t now_us, uint32_t partition, int64_t position)
{
    leat_timers_advance(engine, now_us);
    leat_partition *p = partition_at(engine, partition);
    if (p->state != LEAT_ENGINE_READING || position <= p->position)
        return;
    leat_partition_set_position(engine, p, position);
    leat_partition_passed(engine, p);
}

void leat_engine_stopped(leat_engine *engine, int64_t now_us, uint32_t partition,
                         const char *reason)
{
    leat_timers_advance(engine, now_us);
    leat_partition *p = partition_at(engine, partition);
    /* Without an owner there is nothing to stop; one that is being given back is given back. */
    if (p->state == LEAT_ENGINE_UNASSIGNED || p->state == LEAT_ENGINE_REVOKING ||
        p->state == LEAT_ENGINE_STOPPED)
        return;
    leat_partition_stop(engine, p, reason);
}

/* ---- the shards ---- */

static void shard_down(leat_engine *engine, leat_shard *shard)
{
    for (uint32_t i = 0; i < shard->partition_count; i++) {
        leat_partition *partition = &engine->partitions[shard->partitions[i]];
        if (partition->state == LEAT_ENGINE_REVOKING) {
            leat_revoke_end(engine, partition);
        } else if (partition->state == LEAT_ENGINE_READING ||
                   partition->state == LEAT_ENGINE_CLAIMING) {
            /* The next claim discards all of it: better to hold nothing for a shard that is
             * down. */
            leat_partition_drop(engine, partition);
            leat_partition_enter(engine, partition, LEAT_ENGINE_WAITING);
        }
    }
}

/* Patience does not run while the shard is down. It does not start over either: with a server that
 * crashes every few seconds it would never end. */
static void extend_patience(leat_engine *engine, leat_shard *shard)
{
    int64_t down_us = engine->now_us - shard->down_us;
    for (uint32_t i = 0; i < shard->partition_count; i++)
        leat_held_extend(&engine->partitions[shard->partitions[i]].held, down_us);
    for (uint32_t i = 0; i < shard->partition_count * engine->config.subpartitions; i++) {
        uint32_t partition = shard->partitions[i / engine->config.subpartitions];
        uint32_t id = leat_queue_id(engine, partition, i % engine->config.subpartitions);
        leat_queue *queue = &engine->queues[id];
        if (queue->kept_read_us > 0)
            queue->kept_read_us += down_us;
        if (queue->retry.unwell_us > 0)
            queue->retry.unwell_us += down_us;
        leat_chunks *chunks = &engine->chunks[id];
        if (chunks->read_us > 0)
            chunks->read_us += down_us;
    }
}

static void shard_up(leat_engine *engine, leat_shard *shard)
{
    for (uint32_t i = 0; i < shard->partition_count; i++) {
        leat_partition *partition = &engine->partitions[shard->partitions[i]];
        if (partition->state == LEAT_ENGINE_WAITING)
            leat_partition_claim(engine, partition, 0);
    }
}

void leat_engine_slots(leat_engine *engine, int64_t now_us, uint32_t shard, uint32_t slots)
{
    leat_timers_advance(engine, now_us);
    LEAT_ASSERT(shard < engine->config.shard_count);
    leat_shard *s = &engine->shards[shard];
    uint32_t before = s->slots;
    s->slots = slots;
    if (before > 0 && slots == 0) {
        s->down_us = now_us;
        leat_breaker_reset(engine, s);
        shard_down(engine, s);
    }
    if (before == 0 && slots > 0) {
        extend_patience(engine, s);
        shard_up(engine, s);
    }
    leat_schedule_shard(engine, s);
}

/* ---- time ---- */

void leat_engine_tick(leat_engine *engine, int64_t now_us)
{
    leat_timers_advance(engine, now_us);
}

int64_t leat_engine_deadline(const leat_engine *engine)
{
    bool something =
        engine->emitting.head != LEAT_INDEX_NONE ||
        engine->jobs_notifying.head != LEAT_INDEX_NONE ||
        (engine->candidates.head != LEAT_INDEX_NONE && engine->jobs_free.head != LEAT_INDEX_NONE) ||
        (engine->room_grew && engine->paused.head != LEAT_INDEX_NONE) ||
        (engine->draining && !engine->drained_emitted && engine->assigned == 0);
    if (something)
        return engine->now_us;
    const leat_heap_entry *first = leat_heap_first(&engine->timers);
    return first ? first->key : INT64_MAX;
}
