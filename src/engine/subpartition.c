/*
 * subpartition.c - where the queue of a subpartition is. A queue is in exactly one place: quiet,
 * among its shard's ready ones, in a batch, or in the timers; each move updates the counters of its
 * partition. It is woken whenever it could run, and only the wake decides whether it may: that is
 * why the wake asks for the wait of a suspect, and not the code that suspects it.
 */
#include "engine/subpartition.h"

#include "engine/guard.h"
#include "engine/loads.h"
#include "engine/backlog.h"
#include "engine/park.h"
#include "engine/schedule.h"
#include "engine/suspects.h"
#include "engine/trouble.h"

/* One that waits for longer gives its loaded records up, and so does one that waits at all while
 * others have no room: they may come before it. */
#define UNLOADED_AFTER_US (100 * INT64_C(1000))

void leat_subpartition_wake(leat_engine *engine, leat_partition *partition, uint32_t subpartition)
{
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), subpartition);
    leat_queue *queue = &engine->queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_QUIET && queue->in_flight == 0);
    if (partition->state != LEAT_ENGINE_READING || !leat_queue_has_head(queue))
        return;
    leat_park_landed(engine, partition);
    int64_t wait_us = leat_suspects_wait_us(engine, id);
    if (wait_us > 0) {
        leat_subpartition_delay(engine, partition, subpartition, wait_us);
        return;
    }
    if (queue->count == 0) {
        leat_load_want(engine, id);
        return;
    }
    leat_shard *shard = leat_shard_of(engine, partition);
    leat_ready_add(&shard->ready, engine->queues, id, &engine->pool.slots[queue->head],
                   engine->now_us);
    partition->ready++;
    leat_schedule_shard(engine, shard);
}

void leat_subpartition_delay(leat_engine *engine, leat_partition *partition, uint32_t subpartition,
                             int64_t delay_us)
{
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), subpartition);
    leat_queue *queue = &engine->queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_QUIET && leat_queue_has_head(queue));
    if (queue->parked && (delay_us > UNLOADED_AFTER_US || engine->load_starved) &&
        partition->state == LEAT_ENGINE_READING && leat_shard_of(engine, partition)->probe != id)
        leat_backlog_unload(engine, id);
    leat_subpartition_rest(engine, partition, subpartition, delay_us);
}

void leat_subpartition_rest(leat_engine *engine, leat_partition *partition, uint32_t subpartition,
                            int64_t delay_us)
{
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), subpartition);
    leat_queue *queue = &engine->queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_QUIET && leat_queue_has_head(queue));
    if (partition->state != LEAT_ENGINE_READING)
        return;
    queue->place = LEAT_QUEUE_WAITING;
    queue->due_us = engine->now_us + delay_us;
    partition->waiting++;
    leat_heap_set(&engine->timers, id, queue->due_us);
}

void leat_subpartition_deactivate(leat_engine *engine, leat_partition *partition,
                                  uint32_t subpartition)
{
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), subpartition);
    leat_queue *queue = &engine->queues[id];
    if (queue->place != LEAT_QUEUE_WAITING)
        queue->due_us = engine->now_us;
    if (queue->place == LEAT_QUEUE_READY) {
        leat_ready_remove(&leat_shard_of(engine, partition)->ready, engine->queues, id,
                          engine->now_us);
        partition->ready--;
    } else if (queue->place == LEAT_QUEUE_WAITING) {
        leat_heap_remove(&engine->timers, id);
        queue->place = LEAT_QUEUE_QUIET;
        partition->waiting--;
    }
}

void leat_subpartition_delay_over(leat_engine *engine, uint32_t id)
{
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    LEAT_ASSERT(engine->queues[id].place == LEAT_QUEUE_WAITING && partition->waiting > 0);
    engine->queues[id].place = LEAT_QUEUE_QUIET;
    partition->waiting--;
    leat_subpartition_wake(engine, partition, leat_queue_subpartition(engine, id));
}

void leat_subpartition_drop(leat_engine *engine, leat_partition *partition, uint32_t subpartition)
{
    leat_subpartition_deactivate(engine, partition, subpartition);
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), subpartition);
    leat_queue *queue = &engine->queues[id];
    leat_guard_retract(engine, id);
    leat_guard_release(engine, id, false);
    leat_trouble_clear(engine, id);
    if (queue->count > 0)
        leat_queue_keep_head(engine, id);
    if (queue->parked && queue->count > 0)
        leat_backlog_release(engine, partition, queue, queue->count);
    queue->in_flight = 0;
    queue->parking = queue->retrying = 0;
    if (queue->parked)
        leat_backlog_dropped(engine, id);
    leat_load_dropped(engine, id);
    uint32_t records = queue->count;
    if (records > 0) {
        engine->counters.records_dropped += records;
        uint64_t bytes = leat_queue_release(queue, &engine->pool, records);
        leat_budgets_remove(&engine->budgets, &leat_shard_of(engine, partition)->holding,
                            &partition->holding, records, bytes);
    }
    queue->place = LEAT_QUEUE_QUIET;
    partition->waits_dropped = partition->waits_dropped || queue->retry.waiting;
    leat_retry_dropped(&queue->retry);
}
