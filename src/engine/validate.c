/*
 * validate.c - every invariant of the engine, by walking all of it: O(everything), so for tests and
 * the simulator only. Each counter is summed up again from the smallest parts, never from another
 * counter, so that two counters with the same mistake cannot confirm each other.
 */
#include "engine/state.h"
#include "engine/breaker.h"
#include "engine/durable.h"
#include "engine/fair.h"
#include "engine/key_retry.h"
#include "engine/loads.h"
#include "engine/low_water.h"
#include "engine/suspects.h"
#include "engine/timers.h"

/* Counted up from the smallest parts, to be compared with what the engine keeps. */
typedef struct counted {
    leat_holding holding;
    leat_holding loaded;
    uint32_t parked;
    uint64_t parked_bytes;
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
        LEAT_ASSERT(leat_queue_has_head(queue) && retry->alone && retry->limit == 1 &&
                    queue->in_flight <= 1);
    LEAT_ASSERT(!retry->dead || (retry->refused && !retry->guarded));
    LEAT_ASSERT(!retry->guarded || retry->refused);
    LEAT_ASSERT(!retry->blocked || retry->alone);
}

/* Returns the offset of the first one, -1: none. */
static int64_t check_run(const leat_engine *engine, const leat_run *run)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    int64_t offset = -1;
    uint32_t last = LEAT_INDEX_NONE;
    for (uint32_t at = run->head; at != LEAT_INDEX_NONE && run->count > 0;
         at = engine->pool.slots[at].next) {
        const leat_record_slot *slot = &engine->pool.slots[at];
        LEAT_ASSERT(slot->offset > offset);
        offset = slot->offset;
        bytes += slot->bytes;
        last = at;
        count++;
        LEAT_ASSERT(count <= run->count);
    }
    LEAT_ASSERT(count == run->count && bytes == run->bytes);
    LEAT_ASSERT(count == 0 || last == run->tail);
    return count > 0 ? engine->pool.slots[run->head].offset : -1;
}

static void check_records(const leat_engine *engine, const leat_partition *partition, uint32_t id)
{
    const leat_queue *queue = &engine->queues[id];
    leat_run memory = leat_queue_memory(queue);
    int64_t first = check_run(engine, &memory);
    /* A record that was read from the log and is held is neither applied nor parked. */
    LEAT_ASSERT(first < 0 ||
                first > partition->progress.offsets[leat_queue_subpartition(engine, id)]);
    LEAT_ASSERT(first < 0 || engine->pool.slots[memory.tail].offset < partition->position);
    LEAT_ASSERT(queue->parking <= memory.count);
    LEAT_ASSERT(queue->parked || queue->behind.count == 0);
}

/* What is parked comes before what was read and is held, and what is loaded is of it. */
static void check_parked(const leat_engine *engine, uint32_t id, counted *tally)
{
    const leat_queue *queue = &engine->queues[id];
    const leat_chunks *chunks = &engine->chunks[id];
    const leat_queue_load *load = &engine->loads[id];
    LEAT_ASSERT(!load->wanted || load->queued);
    LEAT_ASSERT(chunks->loaded <= chunks->count);
    LEAT_ASSERT(queue->parked == (chunks->count > 0));
    if (!queue->parked) {
        LEAT_ASSERT(!load->wanted && chunks->loaded == 0);
        return;
    }
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    leat_run run = {queue->head, queue->tail, queue->count, queue->bytes};
    int64_t first = check_run(engine, &run);
    LEAT_ASSERT(queue->count == leat_chunks_held(chunks, &engine->chunk_pool));
    LEAT_ASSERT(chunks->last_offset <=
                partition->progress.offsets[leat_queue_subpartition(engine, id)]);
    LEAT_ASSERT(chunks->to < chunks->last_offset);
    LEAT_ASSERT(first < 0 || first > chunks->to);
    LEAT_ASSERT(first < 0 || engine->pool.slots[queue->tail].offset <= chunks->last_offset);
    /* Nothing waits for a record that nobody brings. */
    if (partition->state == LEAT_ENGINE_READING && queue->place == LEAT_QUEUE_QUIET)
        LEAT_ASSERT(load->wanted || load->running);
    tally->loaded.records += queue->count;
    tally->loaded.bytes += queue->bytes;
    tally->parked++;
    tally->parked_bytes += chunks->bytes;
}

/* The low water by its definition: the least of what each subpartition has applied. */
static int64_t least_low(const leat_engine *engine, uint32_t id)
{
    const leat_partition *partition = &engine->partitions[id];
    int64_t front = partition->position - 1 > partition->progress.low ? partition->position - 1
                                                                      : partition->progress.low;
    int64_t low = INT64_MAX;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        const leat_queue *queue = &engine->queues[leat_queue_id(engine, id, i)];
        int64_t applied = partition->progress.offsets[i];
        leat_run memory = leat_queue_memory(queue);
        int64_t done = memory.count > 0  ? engine->pool.slots[memory.head].offset - 1
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
    int64_t told = leat_durable_low(engine, partition);
    LEAT_ASSERT(told <= low);
    LEAT_ASSERT(partition->state != LEAT_ENGINE_READING || told < 0 ||
                told == partition->committed ||
                leat_timer_is_set(engine, partition, LEAT_TIMER_COMMIT));
    LEAT_ASSERT(partition->progress.base_seq < partition->progress.next_seq);
}

static void check_queue(const leat_engine *engine, uint32_t id, counted *tally)
{
    const leat_queue *queue = &engine->queues[id];
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    leat_run memory = leat_queue_memory(queue);
    check_records(engine, partition, id);
    check_parked(engine, id, tally);
    check_retry(queue);
    LEAT_ASSERT((queue->place == LEAT_QUEUE_IN_FLIGHT) ==
                (queue->in_flight > 0 || queue->parking > 0 || queue->retrying > 0));
    LEAT_ASSERT((queue->in_flight > 0) + (queue->parking > 0) + (queue->retrying > 0) <= 1);
    LEAT_ASSERT(queue->in_flight <= queue->count);
    LEAT_ASSERT((queue->place == LEAT_QUEUE_WAITING) == leat_heap_has(&engine->timers, id));
    /* Nothing that could run is forgotten, and nothing runs that must not. */
    if (partition->state == LEAT_ENGINE_READING)
        LEAT_ASSERT(queue->place != LEAT_QUEUE_QUIET || queue->count == 0); /* see check_parked */
    else
        LEAT_ASSERT(queue->place == LEAT_QUEUE_QUIET || queue->place == LEAT_QUEUE_IN_FLIGHT);
    tally->holding.records += memory.count;
    tally->holding.bytes += memory.bytes;
    tally->in_flight += queue->in_flight + queue->parking + queue->retrying;
    tally->ready += queue->place == LEAT_QUEUE_READY;
    tally->waiting += queue->place == LEAT_QUEUE_WAITING;
    tally->troubled += engine->marks[id].is_set;
    LEAT_ASSERT(!engine->marks[id].is_set || leat_queue_has_head(queue));
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
    if (state == LEAT_ENGINE_READING && (partition->uncompacted || partition->in_doubt))
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

/* Each subpartition has as many as are counted of it. */
static void check_held(const leat_engine *engine, const leat_held *held)
{
    uint32_t count = 0;
    leat_held_validate(held);
    for (uint32_t i = 0; held->count > 0 && i < engine->config.subpartitions; i++)
        count += held->of[i];
    LEAT_ASSERT(count == held->count);
}

static void check_key_retry(const leat_engine *engine, const leat_partition *partition,
                            counted *tally)
{
    const leat_key_retry *retry = &partition->retry;
    const leat_queue *loaded = &retry->records;
    leat_run run = {loaded->head, loaded->tail, loaded->count, loaded->bytes};
    bool has_records = retry->step == LEAT_KEY_RETRY_LOADED || retry->step == LEAT_KEY_RETRY_FLYING;
    check_run(engine, &run);
    check_held(engine, &partition->held);
    LEAT_ASSERT((loaded->count > 0) == has_records);
    LEAT_ASSERT(retry->step == LEAT_KEY_RETRY_NONE || leat_held_has(&partition->held, retry->key));
    tally->loaded.records += loaded->count;
    tally->loaded.bytes += loaded->bytes;
}

static void check_partition(const leat_engine *engine, uint32_t id, counted *shard)
{
    const leat_partition *partition = &engine->partitions[id];
    counted tally = {0};
    for (uint32_t i = 0; i < engine->config.subpartitions; i++)
        check_queue(engine, leat_queue_id(engine, id, i), &tally);
    check_key_retry(engine, partition, &tally);
    LEAT_ASSERT(tally.holding.records == partition->holding.records);
    LEAT_ASSERT(tally.holding.bytes == partition->holding.bytes);
    LEAT_ASSERT(tally.loaded.records == partition->loaded.records);
    LEAT_ASSERT(tally.loaded.bytes == partition->loaded.bytes);
    LEAT_ASSERT(tally.parked == partition->parked);
    LEAT_ASSERT(tally.parked_bytes == partition->parked_bytes);
    LEAT_ASSERT(tally.in_flight == partition->in_flight);
    LEAT_ASSERT(tally.ready == partition->ready && tally.waiting == partition->waiting);
    LEAT_ASSERT(tally.troubled == partition->troubled);
    LEAT_ASSERT(partition->picked_count == 0);
    bool may_hold = partition->state == LEAT_ENGINE_READING ||
                    partition->state == LEAT_ENGINE_REVOKING;
    LEAT_ASSERT(may_hold || (partition->holding.records == 0 && partition->parked == 0));
    LEAT_ASSERT(!partition->paused_for_room || partition->state == LEAT_ENGINE_READING);
    if (partition->low_known)
        check_low(engine, id);
    check_waits(engine, id);
    shard->holding.records += tally.holding.records;
    shard->holding.bytes += tally.holding.bytes;
    shard->loaded.records += tally.loaded.records;
    shard->loaded.bytes += tally.loaded.bytes;
    shard->ready += tally.ready;
}

/* One that runs, or is moved to the timers. */
static bool has_blocked_work(const leat_engine *engine, const leat_shard *shard)
{
    const leat_contention *contention = &shard->contention;
    return leat_ready_first_blocked(&shard->ready) != LEAT_INDEX_NONE &&
           (contention->rest_us > engine->now_us ||
            leat_contention_has_room(contention, shard->slots, engine->now_us));
}

static void check_shard(const leat_engine *engine, uint32_t id, leat_holding *total,
                        leat_holding *loaded)
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
    LEAT_ASSERT(tally.loaded.records == shard->loaded.records &&
                tally.loaded.bytes == shard->loaded.bytes);
    LEAT_ASSERT(shard->loaded.records <= engine->loaded.shard_max.records);
    LEAT_ASSERT(shard->loaded.bytes <= engine->loaded.shard_max.bytes ||
                shard->loaded.records == 1);
    bool work = leat_fair_lead(shard) != LEAT_PAIRING_NONE ||
                leat_ready_first_alone(&shard->ready) != LEAT_INDEX_NONE ||
                leat_fair_unpark(engine, shard) != LEAT_INDEX_NONE ||
                (!engine->load_starved && leat_load_may(engine, shard)) ||
                leat_key_retry_may(engine, shard) || has_blocked_work(engine, shard) ||
                leat_suspects_may_try(engine, shard) || shard->compactions.head != LEAT_INDEX_NONE;
    if (shard->probe != LEAT_INDEX_NONE) {
        const leat_queue *probe = &engine->queues[shard->probe];
        const leat_partition *partition =
            &engine->partitions[leat_queue_partition(engine, shard->probe)];
        LEAT_ASSERT(partition->shard == id && partition->state == LEAT_ENGINE_READING);
        LEAT_ASSERT(probe->count > 0 && probe->retry.alone);
        work = probe->place == LEAT_QUEUE_READY;
    }
    work = work || shard->claims.head != LEAT_INDEX_NONE;
    LEAT_ASSERT(!work || shard->candidate || shard->running >= shard->slots ||
                leat_breaker_blocks(engine, shard));
    total->records += tally.holding.records;
    total->bytes += tally.holding.bytes;
    loaded->records += tally.loaded.records;
    loaded->bytes += tally.loaded.bytes;
}

static void check_dead(const leat_engine *engine, const leat_job_slot *slot)
{
    const leat_engine_batch *batch = &slot->job.batch;
    LEAT_ASSERT(!batch->dead != !batch->hold && batch->kept == 0);
    LEAT_ASSERT(!batch->dead || batch->dead == &slot->reason);
    LEAT_ASSERT(!batch->hold || batch->hold == &slot->reason);
    LEAT_ASSERT(batch->record_count == 1 && slot->queues == 1);
    const leat_engine_batch_part *part = &batch->parts[0];
    uint32_t subpartition = (uint32_t)part->subpartitions[0];
    const leat_queue *queue = &engine->queues[leat_queue_id(engine, part->partition, subpartition)];
    if (engine->partitions[part->partition].incarnation == part->incarnation)
        LEAT_ASSERT(queue->retry.dead && queue->retry.holds == (batch->hold != NULL));
}

static void check_trial_loads(const leat_engine *engine)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < leat_queue_count(engine); i++) {
        const leat_queue_load *load = &engine->loads[i];
        LEAT_ASSERT(!load->for_trial || load->wanted || load->running);
        count += load->for_trial;
    }
    for (uint32_t i = 0; i < engine->config.shard_count; i++)
        count -= engine->shards[i].trial_loads;
    LEAT_ASSERT(count == 0);
}

/* Batches and subpartitions in flight, counted from the jobs' side. */
static void check_jobs(const leat_engine *engine)
{
    uint32_t running = 0;
    uint32_t trials = 0;
    uint32_t blocked = 0;
    uint32_t in_flight = 0;
    for (uint32_t i = 0; i < engine->config.jobs_max; i++) {
        const leat_job_slot *slot = &engine->jobs[i];
        if (slot->state != LEAT_JOB_RUNNING)
            continue;
        running++;
        trials += slot->trial;
        blocked += slot->blocked;
        if (slot->job.kind == LEAT_ENGINE_JOB_BATCH &&
            (slot->job.batch.dead || slot->job.batch.hold))
            check_dead(engine, slot);
        for (uint32_t j = 0; j < slot->job.batch.part_count; j++) {
            const leat_engine_batch_part *part = &slot->job.batch.parts[j];
            const leat_partition *partition = &engine->partitions[part->partition];
            if (part->incarnation != partition->incarnation)
                continue;
            LEAT_ASSERT(part->seq < partition->progress.next_seq &&
                        part->seq > partition->progress.base_seq);
            uint32_t touched = leat_batch_touches(&slot->job.batch, part);
            LEAT_ASSERT(part->count == touched || part->count == 0);
            for (uint32_t k = 0; k < touched; k++) {
                uint32_t subpartition = (uint32_t)part->subpartitions[k];
                LEAT_ASSERT(
                    engine->queues[leat_queue_id(engine, part->partition, subpartition)].place ==
                    LEAT_QUEUE_IN_FLIGHT);
            }
            in_flight += touched;
        }
    }
    for (uint32_t i = 0; i < engine->config.shard_count; i++) {
        running -= engine->shards[i].running;
        trials -= engine->shards[i].trials;
        blocked -= engine->shards[i].contention.running;
    }
    LEAT_ASSERT(running == 0 && trials == 0 && blocked == 0);
    check_trial_loads(engine);
    /* At most one batch in flight a subpartition: were one in two, there would be more places in
     * jobs than queues. */
    for (uint32_t i = 0; i < leat_queue_count(engine); i++)
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
    for (uint32_t i = 0; i < leat_queue_count(engine); i++)
        held -= engine->queues[i].retry.guarded;
    for (uint32_t i = 0; i < engine->config.shard_count; i++)
        halted += engine->shards[i].probe != LEAT_INDEX_NONE;
    LEAT_ASSERT(held == 0);
    LEAT_ASSERT(stopped == engine->counters.tables_stopped &&
                halted == engine->counters.shards_halted);
}

void leat_engine_validate(const leat_engine *engine)
{
    leat_holding total = {0}, loaded = {0};
    for (uint32_t i = 0; i < engine->config.shard_count; i++)
        check_shard(engine, i, &total, &loaded);
    const leat_budgets *budgets = &engine->budgets;
    LEAT_ASSERT(total.records == budgets->total.records && total.bytes == budgets->total.bytes);
    LEAT_ASSERT(total.records <= budgets->max.records);
    LEAT_ASSERT(total.bytes <= budgets->max.bytes || total.records == 1);
    LEAT_ASSERT(loaded.records == engine->loaded.total.records &&
                loaded.bytes == engine->loaded.total.bytes);
    LEAT_ASSERT(loaded.records <= engine->loaded.max.records);
    LEAT_ASSERT(loaded.bytes <= engine->loaded.max.bytes || loaded.records == 1);
    LEAT_ASSERT(total.records + loaded.records + engine->pool.released_count +
                    engine->pool.free_count ==
                engine->pool.count);
    leat_heap_validate(&engine->timers);
    check_jobs(engine);
    check_stops(engine);
    uint32_t assigned = 0;
    for (uint32_t i = 0; i < engine->config.partition_count; i++)
        assigned += engine->partitions[i].state != LEAT_ENGINE_UNASSIGNED;
    LEAT_ASSERT(assigned == engine->assigned);
    LEAT_ASSERT(leat_engine_unaccounted(engine) == 0);
}
