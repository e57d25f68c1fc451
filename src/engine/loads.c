/*
 * loads.c - which chunk is read next, and what becomes of it. A load is a statement of its own and
 * no batch: it may run beside anything. What it brings counts only if nothing was dropped since it
 * was asked for and the chunk can be the next one.
 *
 * Loaded records have a budget of their own. A subpartition that fails gives its loaded records up
 * while it waits, or some two hundred locked rows would keep what all the others need to come back.
 * For the same reason a subpartition that fails is loaded after those that do not.
 */
#include "engine/loads.h"

#include <string.h>

#include "base/rate_limit.h"
#include "engine/backlog.h"
#include "engine/effects.h"
#include "engine/lists.h"
#include "engine/outcome.h"
#include "engine/partition.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/trouble.h"

enum {
    FAILURES_UNREPORTED = 3,
    ROOM_PARTS = 16, /* a load is made when this part of the budget is free, at most a chunk's */
};

static leat_shard *shard_of(leat_engine *engine, uint32_t queue)
{
    return leat_shard_of(engine, &engine->partitions[leat_queue_partition(engine, queue)]);
}

/* ---- what is wanted ---- */

static bool is_in_trouble(const leat_engine *engine, uint32_t id)
{
    const leat_queue *queue = &engine->queues[id];
    return engine->marks[id].is_set || queue->retry.alone || leat_narrow_on_trial(&queue->narrow);
}

static void begin_for_trial(leat_engine *engine, leat_shard *shard, uint32_t queue)
{
    engine->loads[queue].for_trial = leat_narrow_on_trial(&engine->queues[queue].narrow);
    shard->trial_loads += engine->loads[queue].for_trial;
}

static void end_for_trial(leat_engine *engine, uint32_t queue)
{
    if (!engine->loads[queue].for_trial)
        return;
    leat_shard *shard = shard_of(engine, queue);
    LEAT_ASSERT(shard->trial_loads > 0);
    engine->loads[queue].for_trial = false;
    shard->trial_loads--;
    leat_schedule_shard(engine, shard);
}

void leat_load_want(leat_engine *engine, uint32_t queue)
{
    leat_queue_load *load = &engine->loads[queue];
    if (engine->partitions[leat_queue_partition(engine, queue)].state != LEAT_ENGINE_READING ||
        !engine->queues[queue].parked || load->wanted || load->running ||
        !leat_chunks_may_load(&engine->chunks[queue], &engine->chunk_pool))
        return;
    leat_shard *shard = shard_of(engine, queue);
    load->wanted = true;
    begin_for_trial(engine, shard, queue);
    if (!load->queued)
        leat_list_push(engine, &shard->loads[engine->marks[queue].is_set ? 1 : 0], leat_link_load,
                       queue);
    load->queued = true;
    leat_schedule_shard(engine, shard);
}

void leat_load_ahead(leat_engine *engine, uint32_t queue)
{
    if (!is_in_trouble(engine, queue) && engine->chunks[queue].loaded < LEAT_BATCH_CHUNKS_MAX)
        leat_load_want(engine, queue);
}

void leat_load_unwant(leat_engine *engine, uint32_t queue)
{
    engine->loads[queue].wanted = false;
    end_for_trial(engine, queue);
}

void leat_load_dropped(leat_engine *engine, uint32_t queue)
{
    leat_load_unwant(engine, queue);
    engine->loads[queue].running = false;
}

/* ---- making one ---- */

/* The first of the list that is wanted; LEAT_INDEX_NONE: none. */
static uint32_t first_wanted(leat_engine *engine, leat_list *list)
{
    while (list->head != LEAT_INDEX_NONE && !engine->loads[list->head].wanted) {
        uint32_t id = leat_list_pop(engine, list, leat_link_load);
        engine->loads[id].queued = false;
    }
    return list->head;
}

static leat_list *next_list(leat_engine *engine, leat_shard *shard)
{
    for (uint32_t i = 0; i < 2; i++)
        if (first_wanted(engine, &shard->loads[i]) != LEAT_INDEX_NONE)
            return &shard->loads[i];
    return NULL;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool has_room(const leat_engine *engine, uint32_t queue)
{
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
    const leat_budgets *budgets = &engine->loaded;
    if (engine->chunk_pool.free_count == 0 || engine->pool.free_count == 0)
        return false;
    if (budgets->total.records == 0)
        return true;
    leat_holding room =
        leat_budgets_room(budgets, &engine->shards[partition->shard].loaded, &partition->loaded);
    uint64_t records = least(engine->chunk_max.records, budgets->max.records / ROOM_PARTS);
    uint64_t bytes = least(engine->chunk_max.bytes, budgets->max.bytes / ROOM_PARTS);
    return room.records > records && room.bytes > bytes && room.bytes >= engine->loads[queue].bytes;
}

/* Loads are quick, but a shard must not be busy with nothing else. */
static bool has_turn(const leat_shard *shard)
{
    uint32_t most = shard->slots > 2 ? shard->slots / 2 : 1;
    return shard->loading < most && shard->running < shard->slots;
}

bool leat_load_may(const leat_engine *engine, const leat_shard *shard)
{
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t id = shard->loads[i].head; id != LEAT_INDEX_NONE; id = engine->loads[id].next)
            if (engine->loads[id].wanted)
                return has_turn(shard) && has_room(engine, id);
    return false;
}

/* Trials, whose records may have to leave first, no longer wait for loads (suspects.c). */
static void starve(leat_engine *engine)
{
    if (engine->load_starved)
        return;
    engine->load_starved = true;
    for (uint32_t i = 0; i < engine->config.shard_count; i++)
        if (engine->shards[i].trial_loads > 0)
            leat_schedule_shard(engine, &engine->shards[i]);
}

const leat_engine_job *leat_load_next(leat_engine *engine, leat_shard *shard)
{
    leat_list *list = has_turn(shard) ? next_list(engine, shard) : NULL;
    if (!list)
        return NULL;
    uint32_t id = list->head;
    if (!has_room(engine, id)) {
        starve(engine);
        return NULL;
    }
    leat_list_pop(engine, list, leat_link_load);
    engine->loads[id].queued = false;
    engine->loads[id].wanted = false;
    engine->loads[id].running = true;
    shard->loading++;
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    LEAT_ASSERT(partition->state == LEAT_ENGINE_READING);
    leat_job_slot *slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_LOAD);
    slot->job.partition = leat_queue_partition(engine, id);
    slot->job.incarnation = partition->incarnation;
    slot->job.load = (leat_engine_load){
        .subpartition = (uint16_t)(leat_queue_subpartition(engine, id)),
        .above = leat_chunks_load_above(&engine->chunks[id], &engine->chunk_pool),
        .claim = partition->progress.claim};
    return &slot->job;
}

/* ---- what it brings ---- */

/* Do the records fit the chunk that they are said to be of? */
static bool is_whole(const leat_engine_load *load, const leat_engine_chunk *chunk,
                     const leat_engine_job_result *result)
{
    int64_t after = chunk->first_offset - 1 > chunk->done ? chunk->first_offset - 1 : chunk->done;
    for (uint32_t i = 0; i < result->loaded_count; i++) {
        const leat_engine_record *record = &result->loaded[i];
        if (record->offset <= after || record->subpartition != load->subpartition)
            return false;
        after = record->offset;
    }
    return result->loaded_count == chunk->records && after == chunk->last_offset;
}

static void take_record(leat_engine *engine, uint32_t id, const leat_engine_record *record)
{
    leat_queue *queue = &engine->queues[id];
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    int64_t read_us = leat_chunks_read_us(&engine->chunks[id], record->offset);
    bool is_head = queue->count == 0;
    if (is_head && queue->kept_read_us > 0 && queue->kept_offset == record->offset)
        read_us = queue->kept_read_us;
    else if (is_head && queue->kept_read_us > 0)
        queue->retry = (leat_retry){0}; /* of a head that is applied */
    queue->kept_read_us = is_head ? 0 : queue->kept_read_us;
    leat_backlog_take(engine, partition, queue, record, read_us);
}

/* As many as there is room for. */
static uint32_t take_records(leat_engine *engine, uint32_t id, const leat_engine_job_result *result)
{
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    uint32_t taken = 0;
    if (engine->chunk_pool.free_count == 0)
        return 0;
    while (taken < result->loaded_count &&
           leat_backlog_has_room(engine, partition, &result->loaded[taken])) {
        engine->loads[id].bytes = 0;
        take_record(engine, id, &result->loaded[taken++]);
    }
    return taken;
}

static uint32_t loaded(leat_engine *engine, uint32_t id, const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    leat_queue *queue = &engine->queues[id];
    uint32_t taken = take_records(engine, id, result);
    engine->counters.loads++;
    engine->loads[id].failures = 0;
    if (taken > 0)
        leat_chunks_loaded(&engine->chunks[id], &engine->chunk_pool, result->chunk, taken);
    else
        engine->loads[id].bytes = result->loaded[0].bytes;
    if (queue->place == LEAT_QUEUE_QUIET)
        leat_subpartition_wake(engine, partition, leat_queue_subpartition(engine, id));
    leat_load_ahead(engine, id);
    return taken;
}

static void failed(leat_engine *engine, leat_job_slot *slot, uint32_t id,
                   const leat_engine_job_result *result)
{
    leat_queue_load *load = &engine->loads[id];
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    engine->counters.park_failures++;
    if (load->failures < UINT8_MAX)
        load->failures++;
    bool is_loud = result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD ||
                   load->failures > FAILURES_UNREPORTED;
    if (is_loud && engine->queues[id].count == 0)
        leat_trouble_record(engine, id, slot->since_us, result);
    if (is_loud && leat_rate_limit_is_due(load->notified_us, engine->now_us)) {
        load->notified_us = engine->now_us;
        leat_notice_add(engine, slot, id, LEAT_NOTICE_NOT_PARKED, result);
    }
    if (engine->queues[id].place == LEAT_QUEUE_QUIET)
        leat_subpartition_delay(engine, partition, leat_queue_subpartition(engine, id),
                                leat_jobs_backoff_us(engine, load->failures));
}

static uint32_t applied(leat_engine *engine, leat_job_slot *slot, uint32_t id,
                        const leat_engine_job_result *result)
{
    LEAT_ASSERT(result->chunk && (result->loaded || result->loaded_count == 0));
    if (!leat_chunks_expect(&engine->chunks[id], &engine->chunk_pool, result->chunk)) {
        leat_partition_reclaim(engine, &engine->partitions[leat_queue_partition(engine, id)],
                               false);
        return 0;
    }
    if (is_whole(&slot->job.load, result->chunk, result))
        return loaded(engine, id, result);
    leat_engine_job_result damaged = {.outcome = LEAT_ENGINE_NOT_UNDERSTOOD,
                                      .bad_record = -1,
                                      .partition = -1,
                                      .catalog_read_us = INT64_MAX};
    leat_error error;
    leat_fail(&error,
              "a parked chunk does not hold the records that it should: offsets %lld to %lld",
              (long long)result->chunk->first_offset, (long long)result->chunk->last_offset);
    static_assert(sizeof error.text >= sizeof damaged.message, "a message is copied whole");
    memcpy(damaged.message, error.text, sizeof damaged.message - 1);
    failed(engine, slot, id, &damaged);
    return 0;
}

/* The chunks before it may have been released while it was under way: then it is not the next, and
 * its records would go before theirs. */
static bool is_next(const leat_engine *engine, uint32_t id, const leat_engine_load *load)
{
    return load->above == leat_chunks_load_above(&engine->chunks[id], &engine->chunk_pool);
}

uint32_t leat_load_done(leat_engine *engine, leat_job_slot *slot,
                        const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[slot->job.partition];
    uint32_t id = leat_queue_id(engine, slot->job.partition, slot->job.load.subpartition);
    leat_shard *shard = leat_shard_of(engine, partition);
    LEAT_ASSERT(shard->loading > 0);
    shard->loading--;
    if (partition->incarnation != slot->job.incarnation) {
        engine->counters.batches_stale++;
        return 0;
    }
    engine->loads[id].running = false;
    end_for_trial(engine, id);
    if (partition->state != LEAT_ENGINE_READING)
        return 0;
    switch (result->outcome) {
    case LEAT_ENGINE_APPLIED:
        if (is_next(engine, id, &slot->job.load))
            return applied(engine, slot, id, result);
        if (engine->queues[id].place == LEAT_QUEUE_QUIET)
            leat_subpartition_wake(engine, partition, leat_queue_subpartition(engine, id));
        return 0;
    case LEAT_ENGINE_FENCED:
        leat_partition_fence(engine, partition);
        return 0;
    case LEAT_ENGINE_WENT_BACK:
    case LEAT_ENGINE_CHUNK_GONE:
        engine->counters.went_back++;
        leat_partition_reclaim(engine, partition, false);
        return 0;
    default:
        failed(engine, slot, id, result);
        return 0;
    }
}
