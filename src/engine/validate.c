/*
 * validate.c - every invariant of the engine, by walking all of it: O(everything), so for tests and
 * the simulator only. Each counter is summed up again from the smallest parts, never from another
 * counter, so that two counters with the same mistake cannot confirm each other.
 */
#include "engine/state.h"
#include "engine/low_water.h"
#include "engine/timers.h"

/* Counted up from the smallest parts, to be compared with what the engine keeps. */
typedef struct counted {
    leat_holding holding;
    uint32_t in_flight;
    uint32_t ready;
    uint32_t waiting;
    uint32_t troubled;
} counted;

/* Knowledge about the record at the head exists only while that record is there, and only if it
 * runs alone. */
static void check_retry(const leat_queue *queue)
{
    const leat_retry *retry = &queue->retry;
    if (retry->refused)
        LEAT_ASSERT(queue->count > 0 && retry->alone && retry->limit == 1 && queue->in_flight <= 1);
    LEAT_ASSERT(!retry->dead || (retry->refused && !retry->guarded));
    LEAT_ASSERT(!retry->guarded || retry->refused);
}

static void check_records(const leat_engine *engine, const leat_partition *partition,
                          const leat_queue *queue)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    int64_t offset = -1;
    uint32_t last = LEAT_INDEX_NONE;
    for (uint32_t at = queue->head; at != LEAT_INDEX_NONE && queue->count > 0;
         at = engine->pool.slots[at].next) {
        const leat_record_slot *slot = &engine->pool.slots[at];
        LEAT_ASSERT(slot->offset > offset && slot->offset < partition->position);
        offset = slot->offset;
        bytes += slot->bytes;
        last = at;
        count++;
        LEAT_ASSERT(count <= queue->count);
    }
    LEAT_ASSERT(count == queue->count && bytes == queue->bytes);
    LEAT_ASSERT(count == 0 || last == queue->tail);
    /* A record that is held is not applied. */
    uint32_t subpartition = (uint32_t)(queue - engine->queues) % LEAT_SUBPARTITIONS;
    LEAT_ASSERT(count == 0 ||
                engine->pool.slots[queue->head].offset > partition->progress.offsets[subpartition]);
}

/* The low water by its definition: the least of what each subpartition has applied. */
static int64_t least_low(const leat_engine *engine, uint32_t id)
{
    const leat_partition *partition = &engine->partitions[id];
    int64_t front = partition->position - 1 > partition->progress.low ? partition->position - 1
                                                                      : partition->progress.low;
    int64_t low = INT64_MAX;
    for (uint32_t i = 0; i < LEAT_SUBPARTITIONS; i++) {
        const leat_queue *queue = &engine->queues[id * LEAT_SUBPARTITIONS + i];
        int64_t applied = partition->progress.offsets[i];
        int64_t done = queue->count > 0  ? engine->pool.slots[queue->head].offset - 1
                       : applied > front ? applied
                                         : front;
        low = done < low ? done : low;
    }
    return low;
}

/* Of a partition that is claimed. */
static void check_low(const leat_engine *engine, uint32_t id)
{
    const leat_partition *partition = &engine->partitions[id];
    int64_t low = leat_partition_low(engine, partition);
    LEAT_ASSERT(low >= partition->progress.low && low <= least_low(engine, id));
    /* With none held, all of them may be ahead of the position, because of the claimed progress:
     * those records are skipped when they are read. */
    LEAT_ASSERT(low == least_low(engine, id) || partition->holding.records == 0);
    LEAT_ASSERT(partition->state != LEAT_ENGINE_READING || low < 0 || low == partition->committed ||
                leat_timer_is_set(engine, partition, LEAT_TIMER_COMMIT));
    LEAT_ASSERT(partition->progress.base_seq < partition->progress.next_seq);
}

static void check_queue(const leat_engine *engine, uint32_t id, counted *tally)
{
    const leat_queue *queue = &engine->queues[id];
    const leat_partition *partition = &engine->partitions[id / LEAT_SUBPARTITIONS];
    check_records(engine, partition, queue);
    check_retry(queue);
    LEAT_ASSERT((queue->place == LEAT_QUEUE_IN_FLIGHT) == (queue->in_flight > 0));
    LEAT_ASSERT(queue->in_flight <= queue->count);
    LEAT_ASSERT((queue->place == LEAT_QUEUE_WAITING) == leat_heap_has(&engine->timers, id));
    /* Nothing that could run is forgotten, and nothing runs that must not. */
    if (partition->state == LEAT_ENGINE_READING)
        LEAT_ASSERT(queue->place != LEAT_QUEUE_QUIET || queue->count == 0);
    else
        LEAT_ASSERT(queue->place == LEAT_QUEUE_QUIET || queue->place == LEAT_QUEUE_IN_FLIGHT);
    tally->holding.records += queue->count;
    tally->holding.bytes += queue->bytes;
    tally->in_flight += queue->in_flight;
    tally->ready += queue->place == LEAT_QUEUE_READY;
    tally->waiting += queue->place == LEAT_QUEUE_WAITING;
    tally->troubled += engine->marks[id].is_set;
    LEAT_ASSERT(!engine->marks[id].is_set || queue->count > 0);
}

/* Everything that waits, waits for something that will come. */
static void check_waits(const leat_engine *engine, uint32_t id)
{
    const leat_partition *partition = &engine->partitions[id];
    const leat_shard *shard = &engine->shards[partition->shard];
    leat_engine_partition_state state = partition->state;
    LEAT_ASSERT(state != LEAT_ENGINE_WAITING || shard->slots == 0);
    LEAT_ASSERT((state != LEAT_ENGINE_CLAIMING && state != LEAT_ENGINE_READING) ||
                shard->slots > 0);
    if (state == LEAT_ENGINE_CLAIMING)
        LEAT_ASSERT(partition->claim_running || partition->claim_queued ||
                    leat_timer_is_set(engine, partition, LEAT_TIMER_CLAIM));
    if (state == LEAT_ENGINE_READING && partition->uncompacted)
        LEAT_ASSERT(partition->compact_running || partition->compact_queued ||
                    leat_timer_is_set(engine, partition, LEAT_TIMER_COMPACT));
    LEAT_ASSERT((state == LEAT_ENGINE_FENCED_OFF) ==
                leat_timer_is_set(engine, partition, LEAT_TIMER_CONFIRM));
    LEAT_ASSERT((state == LEAT_ENGINE_REVOKING) ==
                leat_timer_is_set(engine, partition, LEAT_TIMER_DRAIN));
    LEAT_ASSERT(!partition->claim_queued || state == LEAT_ENGINE_CLAIMING);
    LEAT_ASSERT(!partition->compact_queued || state == LEAT_ENGINE_READING ||
                state == LEAT_ENGINE_REVOKING);
}

static void check_partition(const leat_engine *engine, uint32_t id, counted *shard)
{
    const leat_partition *partition = &engine->partitions[id];
    counted tally = {0};
    for (uint32_t i = 0; i < LEAT_SUBPARTITIONS; i++)
        check_queue(engine, id * LEAT_SUBPARTITIONS + i, &tally);
    LEAT_ASSERT(tally.holding.records == partition->holding.records);
    LEAT_ASSERT(tally.holding.bytes == partition->holding.bytes);
    LEAT_ASSERT(tally.in_flight == partition->in_flight);
    LEAT_ASSERT(tally.ready == partition->ready && tally.waiting == partition->waiting);
    LEAT_ASSERT(tally.troubled == partition->troubled);
    LEAT_ASSERT(partition->picked == 0);
    bool may_hold = partition->state == LEAT_ENGINE_READING ||
                    partition->state == LEAT_ENGINE_REVOKING;
    LEAT_ASSERT(may_hold || partition->holding.records == 0);
    LEAT_ASSERT(!partition->paused_for_room || partition->state == LEAT_ENGINE_READING);
    if (partition->low_known)
        check_low(engine, id);
    check_waits(engine, id);
    shard->holding.records += tally.holding.records;
    shard->holding.bytes += tally.holding.bytes;
    shard->ready += tally.ready;
}

static void check_shard(const leat_engine *engine, uint32_t id, leat_holding *total)
{
    const leat_shard *shard = &engine->shards[id];
    counted tally = {0};
    for (uint32_t i = 0; i < shard->partition_count; i++)
        check_partition(engine, shard->partitions[i], &tally);
    LEAT_ASSERT(tally.holding.records == shard->holding.records &&
                tally.holding.bytes == shard->holding.bytes);
    LEAT_ASSERT(tally.ready == shard->ready.count);
    leat_ready_validate(&shard->ready, engine->queues);
    const leat_budgets *budgets = &engine->budgets;
    LEAT_ASSERT(shard->holding.records <= budgets->shard_max.records);
    LEAT_ASSERT(shard->holding.bytes <= budgets->shard_max.bytes || shard->holding.records == 1);
    bool work = shard->ready.depths != 0 ||
                leat_ready_first_alone(&shard->ready) != LEAT_INDEX_NONE ||
                (shard->trials == 0 && shard->ready.head[LEAT_READY_TRIAL] != LEAT_INDEX_NONE) ||
                shard->compactions.head != LEAT_INDEX_NONE;
    if (shard->probe != LEAT_INDEX_NONE) {
        const leat_queue *probe = &engine->queues[shard->probe];
        const leat_partition *partition = &engine->partitions[shard->probe / LEAT_SUBPARTITIONS];
        LEAT_ASSERT(partition->shard == id && partition->state == LEAT_ENGINE_READING);
        LEAT_ASSERT(probe->count > 0 && probe->retry.alone);
        work = probe->place == LEAT_QUEUE_READY;
    }
    work = work || shard->claims.head != LEAT_INDEX_NONE;
    LEAT_ASSERT(!work || shard->candidate || shard->running >= shard->slots);
    total->records += tally.holding.records;
    total->bytes += tally.holding.bytes;
}

static void check_dead(const leat_engine *engine, const leat_job_slot *slot)
{
    const leat_engine_batch *batch = &slot->job.batch;
    LEAT_ASSERT(batch->dead == &slot->reason && batch->record_count == 1 && slot->queues == 1);
    const leat_engine_batch_part *part = &batch->parts[0];
    uint32_t subpartition = (uint32_t)part->subpartitions[0];
    const leat_queue *queue = &engine->queues[part->partition * LEAT_SUBPARTITIONS + subpartition];
    if (engine->partitions[part->partition].incarnation == part->incarnation)
        LEAT_ASSERT(queue->retry.dead);
}

/* Batches and subpartitions in flight, counted from the jobs' side. */
static void check_jobs(const leat_engine *engine)
{
    uint32_t running = 0;
    uint32_t trials = 0;
    uint32_t in_flight = 0;
    for (uint32_t i = 0; i < engine->config.jobs_max; i++) {
        const leat_job_slot *slot = &engine->jobs[i];
        if (slot->state != LEAT_JOB_RUNNING)
            continue;
        running++;
        trials += slot->trial;
        if (slot->job.kind == LEAT_ENGINE_JOB_BATCH && slot->job.batch.dead)
            check_dead(engine, slot);
        for (uint32_t j = 0; j < slot->job.batch.part_count; j++) {
            const leat_engine_batch_part *part = &slot->job.batch.parts[j];
            const leat_partition *partition = &engine->partitions[part->partition];
            if (part->incarnation != partition->incarnation)
                continue;
            LEAT_ASSERT(part->seq < partition->progress.next_seq &&
                        part->seq > partition->progress.base_seq);
            for (uint32_t k = 0; k < part->count; k++) {
                uint32_t subpartition = (uint32_t)part->subpartitions[k];
                LEAT_ASSERT(
                    engine->queues[part->partition * LEAT_SUBPARTITIONS + subpartition].place ==
                    LEAT_QUEUE_IN_FLIGHT);
            }
            in_flight += part->count;
        }
    }
    for (uint32_t i = 0; i < engine->config.shard_count; i++) {
        running -= engine->shards[i].running;
        trials -= engine->shards[i].trials;
    }
    LEAT_ASSERT(running == 0 && trials == 0);
    /* At most one batch in flight a subpartition: were one in two, there would be more places in
     * jobs than queues. */
    for (uint32_t i = 0; i < engine->config.partition_count * LEAT_SUBPARTITIONS; i++)
        in_flight -= engine->queues[i].place == LEAT_QUEUE_IN_FLIGHT;
    LEAT_ASSERT(in_flight == 0);
}

/* A stopped table or a halted shard waits for some queue: that queue exists, and all are
 * counted. */
static void check_stops(const leat_engine *engine)
{
    uint64_t stopped = 0;
    uint64_t halted = 0;
    uint32_t held = 0;
    for (size_t i = 0; i < (size_t)engine->config.shard_count * engine->config.table_count; i++) {
        const leat_table_state *table = &engine->tables[i];
        LEAT_ASSERT(table->now.given_up <= table->now.of &&
                    table->before.given_up <= table->before.of);
        LEAT_ASSERT(!table->stopped || table->held > 0);
        stopped += table->stopped;
        held += table->held;
    }
    for (uint32_t i = 0; i < engine->config.partition_count * LEAT_SUBPARTITIONS; i++)
        held -= engine->queues[i].retry.guarded;
    for (uint32_t i = 0; i < engine->config.shard_count; i++)
        halted += engine->shards[i].probe != LEAT_INDEX_NONE;
    LEAT_ASSERT(held == 0);
    LEAT_ASSERT(stopped == engine->counters.tables_stopped &&
                halted == engine->counters.shards_halted);
}

void leat_engine_validate(const leat_engine *engine)
{
    leat_holding total = {0};
    for (uint32_t i = 0; i < engine->config.shard_count; i++)
        check_shard(engine, i, &total);
    const leat_budgets *budgets = &engine->budgets;
    LEAT_ASSERT(total.records == budgets->total.records && total.bytes == budgets->total.bytes);
    LEAT_ASSERT(total.records <= budgets->max.records);
    LEAT_ASSERT(total.bytes <= budgets->max.bytes || total.records == 1);
    LEAT_ASSERT(total.records + engine->pool.released_count + engine->pool.free_count ==
                engine->pool.count);
    leat_heap_validate(&engine->timers);
    check_jobs(engine);
    check_stops(engine);
    uint32_t assigned = 0;
    for (uint32_t i = 0; i < engine->config.partition_count; i++)
        assigned += engine->partitions[i].state != LEAT_ENGINE_UNASSIGNED;
    LEAT_ASSERT(assigned == engine->assigned);
}
