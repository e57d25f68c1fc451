/*
 * schedule.c - what runs next. A free connection takes the next work of its shard: a claim first,
 * then a park or a load, whose time is limited, then a batch, then a compaction, which goes before
 * all of these once it is overdue. Shards take turns.
 *
 * A batch is chosen queue by queue (fair.h), so its cost depends on the queues and records in it,
 * not on those that wait.
 */
#include "engine/schedule.h"

#include "engine/backlog.h"
#include "engine/breaker.h"
#include "engine/compact.h"
#include "engine/fair.h"
#include "engine/guard.h"
#include "engine/key_retry.h"
#include "engine/keys.h"
#include "engine/lists.h"
#include "engine/loads.h"
#include "engine/park.h"
#include "engine/subpartition.h"
#include "engine/suspects.h"

void leat_schedule_shard(leat_engine *engine, leat_shard *shard)
{
    if (shard->candidate || shard->running >= shard->slots)
        return;
    shard->candidate = true;
    leat_list_push(engine, &engine->candidates, leat_link_candidate,
                   (uint32_t)(shard - engine->shards));
}

void leat_schedule_claim(leat_engine *engine, leat_partition *partition)
{
    LEAT_ASSERT(partition->state == LEAT_ENGINE_CLAIMING &&
                partition->claim_at_us <= engine->now_us);
    if (partition->claim_running || partition->claim_queued)
        return;
    leat_shard *shard = leat_shard_of(engine, partition);
    partition->claim_queued = true;
    leat_list_push(engine, &shard->claims, leat_link_claim, leat_partition_id(engine, partition));
    leat_schedule_shard(engine, shard);
}

void leat_schedule_compaction(leat_engine *engine, leat_partition *partition, bool first)
{
    LEAT_ASSERT(partition->state == LEAT_ENGINE_READING ||
                partition->state == LEAT_ENGINE_REVOKING);
    LEAT_ASSERT(!partition->compact_queued && !partition->compact_running);
    leat_shard *shard = leat_shard_of(engine, partition);
    partition->compact_queued = true;
    if (first)
        leat_list_insert(engine, &shard->compactions, leat_link_compaction, LEAT_INDEX_NONE,
                         leat_partition_id(engine, partition));
    else
        leat_list_push(engine, &shard->compactions, leat_link_compaction,
                       leat_partition_id(engine, partition));
    leat_schedule_shard(engine, shard);
}

void leat_schedule_forget(leat_engine *engine, leat_partition *partition)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    uint32_t id = leat_partition_id(engine, partition);
    if (partition->claim_queued)
        leat_list_remove(engine, &shard->claims, leat_link_claim, id);
    if (partition->compact_queued)
        leat_list_remove(engine, &shard->compactions, leat_link_compaction, id);
    partition->claim_queued = false;
    partition->compact_queued = false;
}

static void limit_time(leat_job_slot *slot, int64_t lock_us, int64_t statement_us)
{
    slot->job.batch.lock_timeout_ms = (lock_us + 999) / 1000;
    slot->job.batch.statement_timeout_ms = (statement_us + 999) / 1000;
}

leat_job_slot *leat_schedule_take(leat_engine *engine, leat_shard *shard, leat_engine_job_kind kind)
{
    uint32_t id = leat_list_pop(engine, &engine->jobs_free, leat_link_job);
    LEAT_ASSERT(id != LEAT_INDEX_NONE && shard->running < shard->slots);
    leat_job_slot *slot = &engine->jobs[id];
    LEAT_ASSERT(slot->state == LEAT_JOB_FREE);
    slot->state = LEAT_JOB_RUNNING;
    slot->since_us = engine->now_us;
    slot->queues = 0;
    slot->trial = false;
    slot->shared = slot->slow = slot->alone = false;
    slot->blocked = false;
    slot->suspected = false;
    slot->delay_us = 0;
    slot->notice.pending = 0;
    slot->job.kind = kind;
    slot->job.shard = (uint32_t)(shard - engine->shards);
    slot->job.partition = 0;
    slot->job.incarnation = 0;
    slot->job.batch.skipped = slot->job.batch.repeated = slot->job.batch.conflicts = 0;
    slot->job.batch.record_count = 0;
    slot->job.batch.part_count = 0;
    slot->job.batch.dead = slot->job.batch.hold = NULL;
    slot->job.batch.kept = 0;
    slot->job.batch.retry_key = 0;
    slot->job.batch.is_look = false;
    slot->job.batch.is_durable = false;
    slot->job.batch.chunk_count = 0;
    slot->job.batch.cut_count = 0;
    limit_time(slot, leat_contention_wait_us(&shard->contention, engine->config.lock_timeout_us),
               0);
    shard->running++;
    return slot;
}

static const leat_engine_job *next_claim(leat_engine *engine, leat_shard *shard)
{
    uint32_t id = leat_list_pop(engine, &shard->claims, leat_link_claim);
    if (id == LEAT_INDEX_NONE)
        return NULL;
    leat_partition *partition = &engine->partitions[id];
    LEAT_ASSERT(partition->state == LEAT_ENGINE_CLAIMING && !partition->claim_running);
    leat_job_slot *slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_CLAIM);
    slot->job.partition = id;
    slot->job.incarnation = partition->incarnation;
    partition->claim_queued = false;
    partition->claim_running = true;
    return &slot->job;
}

/* ---- compactions ---- */

/* The first one in line; NULL: there is nothing to write yet, because an old batch is open. */
static const leat_engine_job *compact_first(leat_engine *engine, leat_shard *shard)
{
    uint32_t id = leat_list_pop(engine, &shard->compactions, leat_link_compaction);
    leat_partition *partition = &engine->partitions[id];
    LEAT_ASSERT(partition->compact_queued && !partition->compact_running);
    partition->compact_queued = false;
    int64_t base_seq = leat_compaction_take_base(engine, partition);
    if (partition->uncompacted && base_seq <= partition->progress.base_seq &&
        !leat_compaction_looks(engine, partition)) {
        leat_compaction_plan(engine, partition);
        return NULL;
    }
    leat_job_slot *slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_COMPACT);
    slot->job.partition = id;
    slot->job.incarnation = partition->incarnation;
    leat_compaction_fill(engine, &slot->job.compaction, partition, base_seq);
    leat_compaction_made(engine, partition, &slot->job.compaction);
    return &slot->job;
}

static const leat_engine_job *next_compaction(leat_engine *engine, leat_shard *shard, bool overdue)
{
    const leat_engine_job *job = NULL;
    while (!job && shard->compactions.head != LEAT_INDEX_NONE &&
           (!overdue || leat_compaction_overdue(engine, shard)))
        job = compact_first(engine, shard);
    return job;
}

/* ---- batches ---- */

void leat_schedule_pick(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t id,
                        uint32_t records)
{
    leat_queue *queue = &engine->queues[id];
    uint32_t at = leat_queue_partition(engine, id);
    leat_partition *partition = &engine->partitions[at];
    LEAT_ASSERT(partition->state == LEAT_ENGINE_READING && records > 0 && records <= queue->count);
    leat_ready_remove(&shard->ready, engine->queues, id, engine->now_us);
    queue->place = LEAT_QUEUE_IN_FLIGHT;
    queue->in_flight = records;
    slot->trial = slot->trial || leat_narrow_on_trial(&queue->narrow);
    partition->ready--;
    partition->in_flight += records;
    uint32_t subpartition = leat_queue_subpartition(engine, id);
    partition->picked[subpartition / 64] |= UINT64_C(1) << (subpartition % 64);
    partition->picked_count++;
    engine->picked[at / 64] |= UINT64_C(1) << (at % 64);
    slot->queues++;
}

/* Parked records that are taken back without trouble come in large batches: it is often one hot key
 * that has to catch up with its own writes, and they fold. */
static uint32_t most_alone(const leat_engine *engine, const leat_shard *shard, uint32_t id)
{
    bool is_easy = engine->queues[id].parked && !engine->marks[id].is_set &&
                   shard->batch_size.limit == 0;
    return is_easy ? engine->job_records_max : engine->config.batch_records_max;
}

bool leat_schedule_is_part_full(const leat_engine *engine, uint32_t queue)
{
    return engine->partitions[leat_queue_partition(engine, queue)].picked_count ==
           LEAT_PART_SUBPARTITIONS_MAX;
}

/* A queue that fails, or that has parked records, has limits of its own: its records gather while
 * it is in flight. */
static void limit_alone(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t id)
{
    const leat_queue *queue = &engine->queues[id];
    const leat_contention *contention = &shard->contention;
    int64_t most_us = engine->config.lock_timeout_us;
    if (!engine->marks[id].is_set && !queue->retry.blocked && queue->narrow.unknowns == 0 &&
        !queue->parked)
        return;
    bool has_rivals = leat_ready_first_blocked(&shard->ready) != LEAT_INDEX_NONE;
    int64_t wait_us = queue->retry.blocked
                          ? leat_contention_blocked_wait_us(contention, queue->retry.delays,
                                                            has_rivals, shard->slots, most_us)
                          : leat_contention_wait_us(contention, most_us);
    limit_time(slot, wait_us,
               leat_contention_statement_us(contention, queue->retry.timeouts, wait_us));
}

static void choose_alone(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t id)
{
    leat_queue *queue = &engine->queues[id];
    uint64_t bytes;
    bool is_outdated = queue->retry.trouble != shard->trouble || leat_keys_is_outdated(engine, id);
    if (queue->retry.dead && is_outdated) {
        leat_guard_retract(engine, id);
        leat_retry_unmark_dead(&queue->retry);
    }
    uint32_t most = leat_queue_limited(queue, most_alone(engine, shard, id));
    most = leat_fair_most(engine, shard, queue, most);
    uint32_t records =
        leat_queue_fit(queue, &engine->pool, most, engine->config.batch_bytes_max, true, &bytes);
    if (queue->parked)
        records = leat_chunks_fit(&engine->chunks[id], &engine->chunk_pool, records);
    leat_fair_charge(engine, slot, shard, queue->head, records);
    leat_schedule_pick(engine, slot, shard, id, records);
    limit_alone(engine, slot, shard, id);
    shard->trials += slot->trial;
    if (!queue->retry.dead)
        return;
    LEAT_ASSERT(records == 1);
    slot->reason = engine->reasons[id];
    *(queue->retry.holds ? &slot->job.batch.hold : &slot->job.batch.dead) = &slot->reason;
    if (queue->retry.holds)
        leat_keys_begin(engine, id);
}

static void fill_queue(leat_engine *engine, leat_engine_batch *batch, leat_engine_batch_part *part,
                       uint32_t subpartition)
{
    leat_queue *queue = leat_queue_at(engine, part->partition, subpartition);
    leat_engine_batch_record *record = &batch->records[batch->record_count];
    const leat_held *held = &engine->partitions[part->partition].held;
    uint32_t at = queue->head;
    leat_schedule_part_moves(engine, part, subpartition);
    for (uint32_t i = 0; i < queue->in_flight; i++) {
        const leat_record_slot *slot = &engine->pool.slots[at];
        leat_part_reached(part, slot);
        record[i] =
            (leat_engine_batch_record){.payload = slot->payload,
                                       .offset = slot->offset,
                                       .partition = part->partition,
                                       .subpartition = (uint16_t)subpartition,
                                       .key = slot->key,
                                       .keep = !batch->hold && leat_held_has(held, slot->key)};
        batch->kept += record[i].keep;
        at = slot->next;
    }
    batch->record_count += queue->in_flight;
}

leat_engine_batch_part *leat_schedule_begin_part(leat_engine *engine, leat_engine_batch *batch,
                                                 uint32_t id)
{
    leat_partition *partition = &engine->partitions[id];
    leat_engine_batch_part *part = &batch->parts[batch->part_count++];
    part->partition = id;
    part->incarnation = partition->incarnation;
    part->claim = partition->progress.claim;
    part->seq = partition->progress.next_seq++;
    part->count = 0;
    part->newest = (leat_engine_newest){.offset = -1};
    part->needs_count = 0;
    leat_needs_begin(&engine->needs);
    partition->batches++;
    return part;
}

void leat_schedule_part_moves(leat_engine *engine, leat_engine_batch_part *part,
                              uint32_t subpartition)
{
    int64_t last_seq = engine->partitions[part->partition].progress.last_seq[subpartition];
    LEAT_ASSERT(part->count < LEAT_PART_SUBPARTITIONS_MAX);
    part->subpartitions[part->count] = (int16_t)subpartition;
    part->offsets[part->count] = -1;
    part->count++;
    if (leat_needs_add(&engine->needs, last_seq))
        part->needs[part->needs_count++] = last_seq;
}

static void fill_part(leat_engine *engine, leat_engine_batch *batch, uint32_t id)
{
    leat_partition *partition = &engine->partitions[id];
    leat_engine_batch_part *part = leat_schedule_begin_part(engine, batch, id);
    for (uint32_t word = 0; part->count < partition->picked_count; word++) {
        uint64_t left = partition->picked[word];
        for (; left != 0; left &= left - 1)
            fill_queue(engine, batch, part, word * 64 + (uint32_t)__builtin_ctzll(left));
        partition->picked[word] = 0;
    }
    partition->picked_count = 0;
}

/* The batch takes parked records: their progress has moved already (batch.h). */
static void fill_chunks(leat_engine *engine, leat_job_slot *slot)
{
    leat_engine_batch *batch = &slot->job.batch;
    leat_engine_batch_part *part = &batch->parts[0];
    uint32_t subpartition = (uint32_t)part->subpartitions[0];
    uint32_t id = leat_queue_id(engine, part->partition, subpartition);
    LEAT_ASSERT(batch->part_count == 1 && part->count == 1);
    batch->chunks_of = (uint16_t)subpartition;
    batch->chunk_count = leat_chunks_steps(&engine->chunks[id], &engine->chunk_pool,
                                           batch->record_count, part->offsets[0], batch->chunks);
    part->count = 0;
    part->newest = (leat_engine_newest){.offset = -1};
    leat_load_ahead(engine, id);
}

static const leat_engine_job *fill_batch(leat_engine *engine, leat_job_slot *slot)
{
    LEAT_ASSERT(slot->queues > 0);
    uint32_t words = (engine->config.partition_count + 63) / 64;
    for (uint32_t word = 0; word < words; word++) {
        for (uint64_t left = engine->picked[word]; left != 0; left &= left - 1)
            fill_part(engine, &slot->job.batch, word * 64 + (uint32_t)__builtin_ctzll(left));
        engine->picked[word] = 0;
    }
    const leat_engine_batch_record *first = &slot->job.batch.records[0];
    if (engine->queues[leat_queue_id(engine, first->partition, first->subpartition)].parked)
        fill_chunks(engine, slot);
    return &slot->job;
}

/* Batches that several share, those that must be alone, blocked ones (contention.h), those that
 * take parked records, and trials (suspects.c) take turns, so that none holds up the others. */
typedef enum lane { LANE_TRIAL, LANE_SHARED, LANE_BLOCKED, LANE_ALONE, LANE_UNPARK, LANES } lane;

/* Does the queue keep its loaded records while the lane rests? One does, which has waited longest,
 * or it would be loaded again while the lane is taken by one that need not be, each time. */
static bool keeps_loaded(leat_engine *engine, leat_shard *shard, uint32_t id)
{
    const leat_queue *queue = &engine->queues[id];
    if (!queue->parked)
        return false;
    uint32_t before = shard->contention.kept;
    const leat_queue *kept = before == LEAT_INDEX_NONE ? NULL : &engine->queues[before];
    if (kept && before != id && kept->place == LEAT_QUEUE_WAITING && kept->parked &&
        kept->due_us >= shard->contention.rest_us) {
        if (kept->retry.waited_us <= queue->retry.waited_us || shard->probe == before)
            return false;
        leat_backlog_unload(engine, before);
    }
    shard->contention.kept = id;
    return true;
}

/* While the lane rests, its queues wait in the timers, which end with the rest. */
static void let_rest(leat_engine *engine, leat_shard *shard)
{
    uint32_t id;
    while (shard->contention.rest_us > engine->now_us &&
           (id = leat_ready_first_blocked(&shard->ready)) != LEAT_INDEX_NONE) {
        leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
        int64_t rest_us = leat_contention_rest_us(&shard->contention, engine->now_us,
                                                  engine->queues[id].retry.waited_us);
        leat_subpartition_deactivate(engine, partition, leat_queue_subpartition(engine, id));
        if (keeps_loaded(engine, shard, id))
            leat_subpartition_rest(engine, partition, leat_queue_subpartition(engine, id), rest_us);
        else
            leat_subpartition_delay(engine, partition, leat_queue_subpartition(engine, id),
                                    rest_us);
    }
}

static bool has_some(const leat_engine *engine, const leat_shard *shard, lane which)
{
    if (which == LANE_SHARED)
        return leat_fair_lead(shard) != LEAT_PAIRING_NONE;
    if (which == LANE_ALONE)
        return leat_ready_first_alone(&shard->ready) != LEAT_INDEX_NONE;
    if (which == LANE_UNPARK)
        return leat_fair_unpark(engine, shard) != LEAT_INDEX_NONE;
    if (which == LANE_BLOCKED)
        return leat_ready_first_blocked(&shard->ready) != LEAT_INDEX_NONE &&
               leat_contention_has_room(&shard->contention, shard->slots, engine->now_us);
    return leat_suspects_may_try(engine, shard);
}

/* LANES: none. */
static lane next_lane(const leat_engine *engine, const leat_shard *shard)
{
    for (uint32_t i = 1; i <= LANES; i++) {
        lane next = (lane)((shard->lane + i) % LANES);
        if (has_some(engine, shard, next))
            return next;
    }
    return LANES;
}

static uint32_t first_of(const leat_engine *engine, const leat_shard *shard, lane which)
{
    LEAT_ASSERT(which != LANE_SHARED && which != LANES);
    if (which == LANE_BLOCKED)
        return leat_ready_first_blocked(&shard->ready);
    if (which == LANE_UNPARK)
        return leat_fair_unpark(engine, shard);
    return which == LANE_ALONE ? leat_ready_first_alone(&shard->ready)
                               : leat_ready_first_trial(&shard->ready, engine->queues);
}

static void begin_blocked(leat_job_slot *slot, leat_shard *shard)
{
    slot->blocked = true;
    leat_contention_started(&shard->contention);
}

static const leat_engine_job *next_batch(leat_engine *engine, leat_shard *shard)
{
    let_rest(engine, shard);
    lane next = next_lane(engine, shard);
    if (next == LANES)
        return NULL;
    shard->lane = (uint8_t)next;
    leat_job_slot *slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_BATCH);
    if (next == LANE_SHARED)
        leat_fair_choose(engine, slot, shard, leat_fair_lead(shard));
    else
        choose_alone(engine, slot, shard, first_of(engine, shard, next));
    if (next == LANE_BLOCKED)
        begin_blocked(slot, shard);
    return fill_batch(engine, slot);
}

/* Everything that a halted shard runs. */
static const leat_engine_job *next_probe(leat_engine *engine, leat_shard *shard)
{
    if (engine->queues[shard->probe].place != LEAT_QUEUE_READY)
        return NULL;
    leat_job_slot *slot = leat_schedule_take(engine, shard, LEAT_ENGINE_JOB_BATCH);
    choose_alone(engine, slot, shard, shard->probe);
    LEAT_ASSERT(!engine->queues[shard->probe].retry.blocked); /* it would have passed */
    return fill_batch(engine, slot);
}

/* They take turns: with one slot, many loads in a row would keep what they bring waiting. */
static const leat_engine_job *next_load_or_batch(leat_engine *engine, leat_shard *shard)
{
    const leat_engine_job *job = shard->load_was_last ? next_batch(engine, shard) : NULL;
    if (!job)
        job = leat_load_next(engine, shard);
    if (!job && !shard->load_was_last)
        job = next_batch(engine, shard);
    shard->load_was_last = job && job->kind == LEAT_ENGINE_JOB_LOAD;
    return job;
}

static const leat_engine_job *next_of_shard(leat_engine *engine, leat_shard *shard)
{
    if (shard->running >= shard->slots || leat_breaker_blocks(engine, shard))
        return NULL;
    const leat_engine_job *job = next_claim(engine, shard);
    if (!job && shard->probe != LEAT_INDEX_NONE)
        return next_probe(engine, shard);
    if (!job)
        job = next_compaction(engine, shard, true);
    if (!job)
        job = leat_park_next(engine, shard);
    if (!job)
        job = leat_key_retry_next(engine, shard);
    if (!job)
        job = next_load_or_batch(engine, shard);
    return job ? job : next_compaction(engine, shard, false);
}

const leat_engine_job *leat_schedule_next(leat_engine *engine)
{
    while (engine->candidates.head != LEAT_INDEX_NONE &&
           engine->jobs_free.head != LEAT_INDEX_NONE) {
        uint32_t id = leat_list_pop(engine, &engine->candidates, leat_link_candidate);
        leat_shard *shard = &engine->shards[id];
        shard->candidate = false;
        const leat_engine_job *job = next_of_shard(engine, shard);
        if (job) {
            /* It may have more; after the others. */
            leat_schedule_shard(engine, shard);
            return job;
        }
    }
    return NULL;
}
