/*
 * park.c - records that cannot be applied for now go to their shard, in order and with their
 * progress: so the low water moves on, memory stays free, and a restart reads nothing again.
 *
 * A subpartition that has been stalled for some time is parked: all of it that is in memory, the
 * failing head included. What comes after that is parked when it fills a chunk or is old; else a
 * stalled subpartition with one record a second would make one commit a second.
 *
 * When a partition is paused because it holds all that it may, the deep ones of its subpartitions
 * are parked (deep.h).
 *
 * Nothing is parked where nothing else gets through: then it would protect nobody, and copy the log
 * into a database that has enough to do. A partition that is paused, and holds nothing but what
 * fails, has nothing else that could: there it counts who was offered records lately. If most of
 * them hold none that fail, theirs got through. Otherwise what fails would keep the partition
 * paused, the pause would keep away what shows that others get through, and all would wait for it.
 *
 * Parks share the connections with what they are to protect. They get a quarter of the time of a
 * shard's slots at most, and a partition has one in flight.
 */
#include "engine/park.h"

#include "base/rate_limit.h"
#include "engine/compact.h"
#include "engine/effects.h"
#include "engine/lists.h"
#include "engine/low_water.h"
#include "engine/outcome.h"
#include "engine/backlog.h"
#include "engine/deep.h"
#include "engine/partition.h"
#include "engine/revoke.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/timers.h"

#define LOOK_US (100 * INT64_C(1000))
/* Others of the partition get through: a batch was applied within this time. */
#define OTHERS_US (1000 * INT64_C(1000))

enum {
    STALL_PARTS = 100, /* a tail may be as old as this part of the stall */
};

/* ---- when ---- */

static int64_t look_us(const leat_engine *engine)
{
    int64_t often_us = engine->config.park_after_us / 4 + 1;
    return often_us < LOOK_US ? often_us : LOOK_US;
}

static bool is_worth_a_look(const leat_engine *engine, const leat_partition *partition)
{
    return partition->state == LEAT_ENGINE_READING &&
           engine->shards[partition->shard].parked_share > 0 &&
           (partition->troubled > 0 || partition->parked > 0 || partition->paused_for_room);
}

void leat_park_plan(leat_engine *engine, leat_partition *partition)
{
    if (is_worth_a_look(engine, partition) &&
        !leat_timer_is_set(engine, partition, LEAT_TIMER_PARK))
        leat_timer_set(engine, partition, LEAT_TIMER_PARK, engine->now_us + look_us(engine));
}

void leat_park_full(leat_engine *engine, leat_partition *partition)
{
    partition->room = partition->holding;
    if (partition->state == LEAT_ENGINE_READING &&
        engine->shards[partition->shard].parked_share > 0)
        leat_timer_set(engine, partition, LEAT_TIMER_PARK, engine->now_us + 1);
}

/* Is there nothing in memory that could still show whether others get through? */
static bool holds_only_what_fails(const leat_engine *engine, const leat_partition *partition)
{
    uint32_t first = leat_queue_id(engine, leat_partition_id(engine, partition), 0);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++)
        if (leat_queue_has_head(&engine->queues[first + i]) && !engine->marks[first + i].is_set)
            return false;
    return true;
}

static bool others_get_through(const leat_engine *engine, const leat_partition *partition)
{
    if (engine->now_us - partition->rows_us < OTHERS_US)
        return true;
    return partition->paused_for_room && 2 * partition->troubled <= leat_deep_active(partition) &&
           holds_only_what_fails(engine, partition);
}

/* May anything of the partition be parked now? */
static bool may_park(const leat_engine *engine, const leat_partition *partition)
{
    const leat_shard *shard = &engine->shards[partition->shard];
    return partition->state == LEAT_ENGINE_READING && !partition->parking && shard->slots > 0 &&
           shard->probe == LEAT_INDEX_NONE && !shard->breaker.is_open &&
           shard->parks_what != LEAT_ENGINE_PARKS_NOTHING &&
           partition->parked_bytes < shard->parked_share &&
           engine->now_us >= partition->park_at_us && others_get_through(engine, partition);
}

/* What records take in a chunk, of what they count here. */
static uint64_t parked_bytes(const leat_engine *engine, uint32_t records, uint64_t bytes)
{
    uint64_t overhead = (uint64_t)records * engine->config.overhead_bytes;
    LEAT_ASSERT(bytes >= overhead);
    return bytes - overhead;
}

static bool fills_chunk(const leat_engine *engine, const leat_run *run)
{
    return run->count >= engine->chunk_max.records || run->bytes >= engine->chunk_max.bytes ||
           parked_bytes(engine, run->count, run->bytes) >= engine->config.chunk_bytes_max;
}

static bool fits_chunk(const leat_engine *engine, uint32_t records, uint64_t bytes)
{
    return records <= engine->chunk_max.records && bytes <= engine->chunk_max.bytes &&
           parked_bytes(engine, records, bytes) <= engine->config.chunk_bytes_max;
}

/* What comes after chunks. */
static bool is_tail_due(const leat_engine *engine, uint32_t id, const leat_run *tail, bool stalled)
{
    const leat_queue_mark *mark = &engine->marks[id];
    int64_t since_us = stalled ? mark->since_us : engine->chunks[id].since_us;
    int64_t age_us = (engine->now_us - since_us) / STALL_PARTS;
    if (age_us < engine->config.park_tail_us)
        age_us = engine->config.park_tail_us;
    return (stalled && fills_chunk(engine, tail)) ||
           engine->now_us - engine->pool.slots[tail->head].read_us > age_us;
}

/* Is the queue to be parked once it is in no batch? A record that is about to be a dead letter is
 * not. One that has chunks and goes on takes some of them first. */
static bool is_wanted(const leat_engine *engine, uint32_t id, bool parks_deep)
{
    const leat_queue *queue = &engine->queues[id];
    const leat_queue_mark *mark = &engine->marks[id];
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    const leat_shard *shard = &engine->shards[partition->shard];
    uint64_t share = shard->parked_share;
    leat_run memory = leat_queue_memory(queue);
    if (memory.count == 0 || queue->retry.dead || queue->parking > 0)
        return false;
    bool stalled = mark->is_set && engine->now_us - mark->since_us >= engine->config.park_after_us;
    bool deep = parks_deep && shard->parks_what == LEAT_ENGINE_PARKS &&
                leat_deep_is(engine, partition, id);
    if (!queue->parked)
        return stalled || deep;
    bool may_tail = stalled || shard->parks_what == LEAT_ENGINE_PARKS;
    bool goes_on = queue->place == LEAT_QUEUE_READY && !mark->is_set;
    return engine->chunks[id].bytes <= share / LEAT_BACKLOG_PARTS &&
           ((deep && !(goes_on && queue->parked_last)) ||
            (may_tail && is_tail_due(engine, id, &memory, stalled)));
}

static bool is_due(const leat_engine *engine, uint32_t id, bool parks_deep)
{
    return engine->queues[id].place != LEAT_QUEUE_IN_FLIGHT && is_wanted(engine, id, parks_deep);
}

/* As of the last look: when a deep queue has just come out of its batch, the shard has something
 * that could run, which is this queue. */
static bool parks_deep(const leat_partition *partition)
{
    return partition->paused_for_room && partition->parks_deep;
}

/* `flying`: those in a batch count too. */
static bool is_any_due(const leat_engine *engine, const leat_partition *partition, bool flying)
{
    uint32_t first = leat_queue_id(engine, leat_partition_id(engine, partition), 0);
    bool deep = parks_deep(partition);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++)
        if (flying ? is_wanted(engine, first + i, deep) : is_due(engine, first + i, deep))
            return true;
    return false;
}

static void queue_up(leat_engine *engine, leat_partition *partition)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    if (!partition->park_queued)
        leat_list_push(engine, &shard->parks, leat_link_park, leat_partition_id(engine, partition));
    partition->park_queued = true;
    leat_schedule_shard(engine, shard);
}

/* One that is slow is in a batch nearly always: it is parked in between, or never. */
void leat_park_landed(leat_engine *engine, leat_partition *partition)
{
    if (partition->park_wanted && partition->state == LEAT_ENGINE_READING)
        queue_up(engine, partition);
}

void leat_park_look(leat_engine *engine, leat_partition *partition)
{
    leat_park_plan(engine, partition);
    bool may = may_park(engine, partition);
    partition->parks_deep = leat_deep_hold_up(engine, partition);
    partition->park_wanted = may && is_any_due(engine, partition, true);
    if (may && is_any_due(engine, partition, false))
        queue_up(engine, partition);
}

/* ---- making one ---- */

typedef struct draft {
    leat_engine *engine;
    leat_job_slot *slot;
    leat_engine_batch_part *part;
    uint64_t bytes; /* as parked */
} draft;

/* Is there no room for a record of so many bytes? */
static bool is_full(const draft *made, uint32_t bytes)
{
    const leat_engine *engine = made->engine;
    uint32_t count = made->slot->job.batch.record_count;
    uint64_t all = made->bytes + parked_bytes(engine, 1, bytes);
    return count == engine->job_records_max || (count > 0 && all > engine->config.park_bytes_max);
}

/* The next records of the run become a chunk. Returns the slot after them. */
static uint32_t cut(draft *made, uint32_t subpartition, uint32_t at)
{
    leat_engine *engine = made->engine;
    leat_engine_batch *batch = &made->slot->job.batch;
    leat_engine_chunk_cut *chunk = &batch->cuts[batch->cut_count++];
    uint64_t bytes = 0;
    *chunk = (leat_engine_chunk_cut){.subpartition = (uint16_t)subpartition,
                                     .first_record = batch->record_count};
    while (at != LEAT_INDEX_NONE) {
        const leat_record_slot *slot = &engine->pool.slots[at];
        bool fits = fits_chunk(engine, chunk->record_count + 1, bytes + slot->bytes);
        if (is_full(made, slot->bytes) || (!fits && chunk->record_count > 0))
            break;
        batch->records[batch->record_count++] =
            (leat_engine_batch_record){.payload = slot->payload,
                                       .offset = slot->offset,
                                       .partition = made->part->partition,
                                       .subpartition = (uint16_t)subpartition};
        leat_part_reached(made->part, slot);
        chunk->record_count++;
        bytes += slot->bytes;
        made->bytes += parked_bytes(engine, 1, slot->bytes);
        at = slot->next;
    }
    return at;
}

/* As many chunks of the queue as there is room for. */
static void cut_queue(draft *made, uint32_t id)
{
    leat_engine *engine = made->engine;
    leat_queue *queue = &engine->queues[id];
    leat_engine_batch *batch = &made->slot->job.batch;
    leat_partition *partition = &engine->partitions[made->part->partition];
    uint32_t before = batch->record_count;
    uint32_t subpartition = leat_queue_subpartition(engine, id);
    uint32_t at = leat_queue_memory(queue).head;
    if (is_full(made, engine->pool.slots[at].bytes))
        return;
    leat_schedule_part_moves(engine, made->part, subpartition);
    while (at != LEAT_INDEX_NONE && batch->cut_count < LEAT_BATCH_CUTS_MAX &&
           !is_full(made, engine->pool.slots[at].bytes))
        at = cut(made, subpartition, at);
    leat_subpartition_deactivate(engine, partition, subpartition);
    queue->place = LEAT_QUEUE_IN_FLIGHT;
    queue->parking = batch->record_count - before;
    partition->in_flight += queue->parking;
    made->slot->queues++;
}

static const leat_engine_job *make(leat_engine *engine, leat_shard *shard,
                                   leat_partition *partition)
{
    uint32_t id = leat_partition_id(engine, partition);
    draft made = {.engine = engine,
                  .slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_PARK)};
    made.part = leat_schedule_begin_part(engine, &made.slot->job.batch, id);
    bool deep = parks_deep(partition);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        uint32_t queue = leat_queue_id(engine, id, i);
        if (made.slot->job.batch.cut_count < LEAT_BATCH_CUTS_MAX && is_due(engine, queue, deep))
            cut_queue(&made, queue);
    }
    LEAT_ASSERT(made.part->count > 0);
    partition->parking = true;
    shard->parking++;
    return &made.slot->job;
}

static bool has_turn(const leat_engine *engine, const leat_shard *shard)
{
    uint32_t most = shard->slots > LEAT_JOBS_TIME_PARTS ? shard->slots / LEAT_JOBS_TIME_PARTS : 1;
    return shard->parking < most && engine->now_us >= shard->parks_after_us;
}

const leat_engine_job *leat_park_next(leat_engine *engine, leat_shard *shard)
{
    while (has_turn(engine, shard)) {
        uint32_t id = leat_list_pop(engine, &shard->parks, leat_link_park);
        if (id == LEAT_INDEX_NONE)
            return NULL;
        leat_partition *partition = &engine->partitions[id];
        partition->park_queued = false;
        if (may_park(engine, partition) && is_any_due(engine, partition, false))
            return make(engine, shard, partition);
    }
    return NULL;
}

/* ---- what came of it ---- */

/* The queue goes on where it was: it waits, or is tried. */
static void land(leat_engine *engine, leat_partition *partition, uint32_t subpartition)
{
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), subpartition);
    leat_queue *queue = &engine->queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_IN_FLIGHT && queue->parking > 0 &&
                partition->in_flight >= queue->parking);
    partition->in_flight -= queue->parking;
    queue->parking = 0;
    queue->place = LEAT_QUEUE_QUIET;
    if (queue->due_us > engine->now_us && leat_queue_has_head(queue))
        leat_subpartition_delay(engine, partition, subpartition, queue->due_us - engine->now_us);
    else
        leat_subpartition_wake(engine, partition, subpartition);
}

/* The chunk that a cut has become. Its share of what all of them take is an estimate. */
static leat_engine_parked chunk_of(const leat_engine *engine, const leat_engine_batch *batch,
                                   const leat_engine_chunk_cut *cut, uint64_t stored)
{
    const leat_engine_batch_record *records = &batch->records[cut->first_record];
    uint32_t id = leat_queue_id(engine, records[0].partition, cut->subpartition);
    leat_engine_parked chunk = {.subpartition = cut->subpartition,
                                .chunks = 1,
                                .first_offset = records[0].offset,
                                .done = records[0].offset - 1,
                                .last_offset = records[cut->record_count - 1].offset,
                                .records = cut->record_count,
                                .bytes = stored * cut->record_count / batch->record_count,
                                .oldest_ms = INT64_MAX};
    uint32_t at = leat_queue_memory(&engine->queues[id]).head;
    for (uint32_t i = 0; i < cut->record_count; i++) {
        const leat_record_slot *slot = &engine->pool.slots[at];
        LEAT_ASSERT(slot->offset == records[i].offset);
        chunk.oldest_ms = slot->at_ms < chunk.oldest_ms ? slot->at_ms : chunk.oldest_ms;
        at = slot->next;
    }
    return chunk;
}

static void cut_applied(leat_engine *engine, leat_partition *partition,
                        const leat_engine_chunk_cut *cut, const leat_engine_parked *chunk)
{
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), cut->subpartition);
    leat_backlog_add(engine, id, chunk);
    uint64_t bytes =
        leat_queue_release_behind(&engine->queues[id], &engine->pool, cut->record_count);
    leat_budgets_remove(&engine->budgets, &leat_shard_of(engine, partition)->holding,
                        &partition->holding, cut->record_count, bytes);
    engine->queues[id].parked_last = true;
    engine->counters.records_parked += cut->record_count;
}

static void applied(leat_engine *engine, leat_partition *partition, const leat_engine_batch *batch,
                    const leat_engine_job_result *result)
{
    const leat_engine_batch_part *part = &batch->parts[0];
    for (uint32_t i = 0; i < batch->cut_count; i++) {
        leat_engine_parked chunk = chunk_of(engine, batch, &batch->cuts[i], result->parked_bytes);
        cut_applied(engine, partition, &batch->cuts[i], &chunk);
    }
    for (uint32_t i = 0; i < part->count; i++) {
        uint32_t subpartition = (uint32_t)part->subpartitions[i];
        LEAT_ASSERT(part->offsets[i] > partition->progress.offsets[subpartition]);
        partition->progress.offsets[subpartition] = part->offsets[i];
        partition->progress.last_seq[subpartition] = part->seq;
        land(engine, partition, subpartition);
    }
    leat_engine_progress_applied(&partition->progress, part->newest);
    engine->counters.parks++;
    partition->park_failures = 0;
    partition->setbacks = 0;
    partition->uncompacted = true;
    leat_compaction_plan(engine, partition);
    leat_partition_commit(engine, partition, false);
}

/* The records did nothing wrong, whatever the error says: they are only kept. */
static void failed(leat_engine *engine, leat_partition *partition, leat_job_slot *slot,
                   const leat_engine_job_result *result)
{
    const leat_engine_batch_part *part = &slot->job.batch.parts[0];
    engine->counters.park_failures++;
    if (partition->park_failures < UINT8_MAX)
        partition->park_failures++;
    partition->park_at_us = engine->now_us + leat_jobs_backoff_us(engine, partition->park_failures);
    if (result->outcome != LEAT_ENGINE_CONTENTION &&
        leat_rate_limit_is_due(partition->park_notified_us, engine->now_us)) {
        partition->park_notified_us = engine->now_us;
        uint32_t subpartition = (uint32_t)part->subpartitions[0];
        leat_notice_add(engine, slot, leat_queue_id(engine, part->partition, subpartition),
                        LEAT_NOTICE_NOT_PARKED, result);
    }
    for (uint32_t i = 0; i < part->count; i++)
        land(engine, partition, (uint32_t)part->subpartitions[i]);
}

static void outcome(leat_engine *engine, leat_partition *partition, leat_job_slot *slot,
                    const leat_engine_job_result *result)
{
    switch (result->outcome) {
    case LEAT_ENGINE_APPLIED:
        applied(engine, partition, &slot->job.batch, result);
        break;
    case LEAT_ENGINE_FENCED:
        leat_partition_fence(engine, partition);
        break;
    case LEAT_ENGINE_WENT_BACK:
    case LEAT_ENGINE_CHUNK_GONE:
        engine->counters.went_back++;
        leat_partition_reclaim(engine, partition, false);
        break;
    case LEAT_ENGINE_UNKNOWN:
        engine->counters.batches_unknown++;
        leat_partition_reclaim(engine, partition, false);
        break;
    default:
        failed(engine, partition, slot, result);
        break;
    }
}

void leat_park_done(leat_engine *engine, leat_job_slot *slot, const leat_engine_job_result *result)
{
    const leat_engine_batch_part *part = &slot->job.batch.parts[0];
    leat_partition *partition = &engine->partitions[part->partition];
    leat_shard *shard = leat_shard_of(engine, partition);
    LEAT_ASSERT(shard->parking > 0);
    shard->parking--;
    leat_jobs_rest(engine, shard, slot, &shard->parks_after_us);
    if (partition->incarnation != part->incarnation) {
        engine->counters.batches_stale++;
        return;
    }
    LEAT_ASSERT(partition->parking && partition->batches > 0);
    partition->parking = false;
    partition->batches--;
    outcome(engine, partition, slot, result);
    leat_park_plan(engine, partition);
    leat_revoke_advance(engine, partition);
}

void leat_park_dropped(leat_engine *engine, leat_partition *partition)
{
    if (partition->park_queued)
        leat_list_remove(engine, &leat_shard_of(engine, partition)->parks, leat_link_park,
                         leat_partition_id(engine, partition));
    partition->park_queued = false;
    partition->park_wanted = false;
    partition->parks_deep = false;
    partition->parking = false;
    partition->park_failures = 0;
}

/* ---- the disk ---- */

void leat_engine_parked_size(leat_engine *engine, int64_t now_us, uint32_t shard, uint64_t bytes)
{
    leat_timers_advance(engine, now_us);
    LEAT_ASSERT(shard < engine->config.shard_count);
    leat_shard *at = &engine->shards[shard];
    uint64_t room = at->parked_share * at->partition_count;
    uint64_t most = 4 * room > LEAT_ENGINE_PARKED_SIZE_LEAST ? 4 * room
                                                             : LEAT_ENGINE_PARKED_SIZE_LEAST;
    at->parks_what = room == 0 || bytes < most ? LEAT_ENGINE_PARKS
                     : bytes < 2 * most        ? LEAT_ENGINE_PARKS_STALLED
                                               : LEAT_ENGINE_PARKS_NOTHING;
}
