/*
 * view.c - the numbers for metrics and status pages. They are read from the engine's own state and
 * not kept separately: a view has its cost when it is requested, a few times a second, and none for
 * each record.
 */
#include "engine/budget_view.h"
#include "engine/state.h"

#include <string.h>

#include "engine/backlog.h"
#include "engine/guard.h"
#include "engine/low_water.h"

static void add_stalled(const leat_engine *engine, uint32_t partition,
                        leat_engine_partition_view *to)
{
    uint32_t left = engine->partitions[partition].troubled;
    for (uint32_t id = leat_queue_id(engine, partition, 0); left > 0; id++) {
        const leat_queue_mark *mark = &engine->marks[id];
        const leat_queue *queue = &engine->queues[id];
        if (!mark->is_set)
            continue;
        left--;
        to->stalled_records += leat_queue_memory(queue).count;
        to->stalled_records += queue->parked ? engine->chunks[id].records : 0;
        if (mark->since_us < to->stalled_us)
            to->stalled_us = mark->since_us;
    }
}

/* At most so many: chunks are known by their number and ends only. */
static uint64_t count_below(const leat_chunks *chunks, int64_t low)
{
    if (chunks->last_offset <= low)
        return chunks->records;
    uint64_t offsets = low > chunks->to ? (uint64_t)(low - chunks->to) : 0;
    return offsets < chunks->records ? offsets : chunks->records;
}

static void add_parked(const leat_engine *engine, uint32_t id, leat_engine_partition_view *to)
{
    const leat_chunks *chunks = &engine->chunks[id];
    if (!engine->queues[id].parked)
        return;
    to->parked_chunks += chunks->count;
    to->parked_records += chunks->records;
    to->parked_below += count_below(chunks, to->low);
    if (chunks->to < to->applied)
        to->applied = chunks->to;
    if (to->parked_oldest_ms == 0 || chunks->oldest_ms < to->parked_oldest_ms)
        to->parked_oldest_ms = chunks->oldest_ms;
    if (chunks->bytes > to->parked_most_bytes)
        to->parked_most_bytes = chunks->bytes;
    if (chunks->since_us < to->parked_us)
        to->parked_us = chunks->since_us;
}

void leat_engine_partition(const leat_engine *engine, uint32_t partition,
                           leat_engine_partition_view *ret)
{
    LEAT_ASSERT(partition < engine->config.partition_count);
    const leat_partition *p = &engine->partitions[partition];
    const leat_record_slot *first = leat_partition_first(engine, p);
    int64_t low = p->state == LEAT_ENGINE_UNASSIGNED ? -1 : leat_partition_low(engine, p);
    *ret = (leat_engine_partition_view){
        .state = p->state,
        .paused = p->emitted_paused,
        .records = p->holding.records,
        .bytes = p->holding.bytes,
        .in_flight = p->in_flight,
        .stalled = p->troubled,
        .stalled_us = INT64_MAX,
        .full = p->paused_for_room,
        .low = low,
        .oldest_ms = first ? first->at_ms : 0,
        .position = p->position,
        .reason = p->reason,
        .held_keys = p->low_known ? p->held.count : 0,
        .applied = low,
        .parked_us = INT64_MAX,
        .parked_bytes = p->parked_bytes,
        .parked_subpartitions = p->parked,
        .parked_max_bytes = engine->shards[p->shard].parked_share,
        .parked_most_max_bytes = engine->shards[p->shard].parked_share / LEAT_BACKLOG_PARTS,
        .parked_full = p->parked_full,
        .loaded = p->loaded.records,
    };
    add_stalled(engine, partition, ret);
    for (uint32_t i = 0; p->parked > 0 && i < engine->config.subpartitions; i++)
        add_parked(engine, leat_queue_id(engine, partition, i), ret);
    uint64_t offsets = (uint64_t)(ret->low - ret->applied);
    if (ret->parked_below > offsets)
        ret->parked_below = offsets;
    LEAT_ASSERT(ret->stalled_records <= ret->records + ret->parked_records);
}

bool leat_engine_is_current(const leat_engine *engine, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->part_count; i++)
        if (engine->partitions[batch->parts[i].partition].incarnation !=
            batch->parts[i].incarnation)
            return false;
    return true;
}

void leat_engine_occupancy(const leat_engine *engine, uint32_t partition, leat_engine_cell *ret,
                           uint32_t count)
{
    LEAT_ASSERT(partition < engine->config.partition_count && count > 0);
    memset(ret, 0, count * sizeof *ret);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        uint32_t id = leat_queue_id(engine, partition, i);
        const leat_queue *queue = &engine->queues[id];
        leat_engine_cell *cell = &ret[(uint64_t)i * count / engine->config.subpartitions];
        cell->records += leat_queue_memory(queue).count;
        cell->records += queue->parked ? engine->chunks[id].records : 0;
        cell->stalled = cell->stalled || engine->marks[id].is_set;
    }
}

/* What came out of chunks, and what was kept before, was counted when it was parked or kept. A
 * conflict counts as repeated and as a dead letter. */
int64_t leat_engine_unaccounted(const leat_engine *engine)
{
    const leat_engine_counters *of = &engine->counters;
    uint64_t done = of->records_applied + of->records_left_out + of->records_repeated +
                    of->records_kept + of->dead_letters - of->records_conflicting;
    uint64_t again = of->records_unparked + of->records_retried;
    uint64_t left = engine->budgets.total.records + of->records_dropped + of->records_parked;
    return (int64_t)(of->records_taken + again - done - left);
}

const leat_budgets *leat_engine_budget_of(const leat_engine *engine, leat_engine_budget budget)
{
    LEAT_ASSERT(budget < LEAT_ENGINE_BUDGET_COUNT);
    return budget == LEAT_ENGINE_BUDGET_RECORDS ? &engine->budgets : &engine->loaded;
}

void leat_engine_flight(const leat_engine *engine, uint32_t shard, leat_engine_flight_view *ret)
{
    *ret = (leat_engine_flight_view){
        .jobs = engine->shards[shard].running, .kind = LEAT_ENGINE_JOB_NONE, .offset = -1};
    const leat_job_slot *oldest = NULL;
    for (uint32_t i = 0; ret->jobs > 0 && i < engine->config.jobs_max; i++) {
        const leat_job_slot *slot = &engine->jobs[i];
        if (slot->state == LEAT_JOB_RUNNING && slot->job.shard == shard &&
            (!oldest || slot->since_us < oldest->since_us))
            oldest = slot;
    }
    if (!oldest)
        return;
    const leat_engine_job *job = &oldest->job;
    ret->kind = job->kind;
    ret->since_us = oldest->since_us;
    ret->partition = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                          : job->partition;
    if (job->kind != LEAT_ENGINE_JOB_BATCH && job->kind != LEAT_ENGINE_JOB_PARK)
        return;
    /* A partition in it may have been given back since: then its part is stale. */
    const leat_engine_batch_part *part = &job->batch.parts[0];
    ret->partition = part->partition;
    ret->offset = job->batch.records[0].offset;
    if (engine->partitions[part->partition].incarnation == part->incarnation)
        ret->payload = job->batch.records[0].payload;
}

void leat_engine_shard(const leat_engine *engine, uint32_t shard, leat_engine_shard_view *ret)
{
    LEAT_ASSERT(shard < engine->config.shard_count);
    const leat_shard *of = &engine->shards[shard];
    const leat_cost *cost = &of->ready.tenants.cost;
    double level_us = leat_cost_level_us(cost);
    *ret = (leat_engine_shard_view){
        .slots = of->slots,
        .limit = leat_concurrency_limit(&of->fair.concurrency, of->slots),
        .batch_us = (double)of->fair.times.median,
        .level_us = level_us,
        .normal_us = cost->normal_us,
        .slowness = cost->normal_us > 0 ? level_us / cost->normal_us : 1,
        .is_open = of->breaker.is_open,
        .open_us = of->breaker.since_us,
        .tenants = of->ready.tenants.ready,
        .done = of->done,
        .unparked = of->unparked,
        .parking = of->parks_what,
        .split_by_locks = of->split_by_locks,
    };
}

/* A few batches of the usual size, but not more than a quarter of the room. */
static uint64_t few_batches(uint64_t batch, uint64_t room)
{
    const uint64_t few = 4, parts = 4;
    return few * batch < room / parts ? few * batch : room / parts;
}

/* It holds more than a quarter of what it held when it was paused last; or all together hold more
 * than a few batches, as they do before any was paused. Large records are few: of them the bytes
 * tell. */
static bool has_backlog(const leat_engine *engine, const leat_partition *partition)
{
    const leat_engine_config *config = &engine->config;
    const leat_holding *all = &engine->budgets.total;
    return (partition->room.records > 0 &&
            4 * (uint64_t)partition->holding.records > partition->room.records) ||
           all->records > few_batches(config->batch_records_max, config->records_max) ||
           all->bytes > few_batches(config->batch_bytes_max, config->bytes_max);
}

bool leat_engine_waits(const leat_engine *engine, uint32_t partition, uint32_t subpartition)
{
    LEAT_ASSERT(partition < engine->config.partition_count &&
                subpartition < engine->config.subpartitions);
    const leat_queue *queue = &engine->queues[leat_queue_id(engine, partition, subpartition)];
    return queue->parked || has_backlog(engine, &engine->partitions[partition]) ||
           (queue->count > 0 &&
            engine->now_us - engine->pool.slots[queue->head].read_us > LEAT_ENGINE_LONG_WAIT_US);
}

void leat_engine_table(const leat_engine *engine, uint32_t shard, uint32_t table,
                       leat_engine_table_view *ret)
{
    LEAT_ASSERT(shard < engine->config.shard_count && table < engine->config.table_count);
    const leat_table_state *of =
        &engine->tables[(size_t)shard * engine->config.table_count + table];
    leat_refused_share share = leat_guard_share(of);
    *ret = (leat_engine_table_view){
        .stopped = of->stopped, .held = of->held, .refused = share.given_up, .decided = share.of};
}

const leat_engine_counters *leat_engine_count(const leat_engine *engine)
{
    return &engine->counters;
}
