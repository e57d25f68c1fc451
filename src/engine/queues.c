/*
 * queues.c - slots move in whole runs: the records that a batch applied are cut off the front of
 * their queue and appended to the released ones as they are, so a batch costs only one walk over
 * its records. A slot is free only after its payload was handed back, since the payload's owner may
 * still read it until then.
 */
#include "engine/queues.h"

void leat_pool_init(leat_pool *pool, leat_record_slot *slots, uint32_t count)
{
    LEAT_ASSERT(count > 0 && count < LEAT_INDEX_NONE);
    *pool = (leat_pool){.slots = slots,
                        .count = count,
                        .free_count = count,
                        .released_head = LEAT_INDEX_NONE,
                        .released_tail = LEAT_INDEX_NONE};
}

/* Slots that were never taken are in no list yet, so that their memory is not touched: they follow
 * one another behind all that came back. */
static uint32_t next_free(leat_pool *pool, uint32_t slot)
{
    if (slot < pool->untouched)
        return pool->slots[slot].next;
    LEAT_ASSERT(slot == pool->untouched);
    pool->untouched++;
    return pool->untouched < pool->count ? pool->untouched : LEAT_INDEX_NONE;
}

uint32_t leat_pool_take(leat_pool *pool)
{
    LEAT_ASSERT(pool->free_count > 0);
    uint32_t slot = pool->free_head;
    pool->free_head = next_free(pool, slot);
    pool->free_count--;
    pool->slots[slot].next = LEAT_INDEX_NONE;
    if (pool->free_count > 0)
        __builtin_prefetch(&pool->slots[pool->free_head], 1);
    return slot;
}

size_t leat_pool_released(leat_pool *pool, void **ret, size_t max)
{
    size_t count = 0;
    while (count < max && pool->released_count > 0) {
        uint32_t slot = pool->released_head;
        ret[count++] = pool->slots[slot].payload;
        pool->released_head = pool->slots[slot].next;
        pool->released_count--;
        pool->slots[slot].next = pool->free_head;
        pool->free_head = slot;
        pool->free_count++;
    }
    if (pool->released_count == 0)
        pool->released_tail = LEAT_INDEX_NONE;
    return count;
}

void leat_queue_init(leat_queue *queue)
{
    *queue = (leat_queue){.head = LEAT_INDEX_NONE,
                          .tail = LEAT_INDEX_NONE,
                          .behind = {LEAT_INDEX_NONE, LEAT_INDEX_NONE, 0, 0},
                          .next = LEAT_INDEX_NONE,
                          .prev = LEAT_INDEX_NONE};
}

void leat_queue_push(leat_queue *queue, leat_pool *pool, uint32_t slot)
{
    LEAT_ASSERT(pool->slots[slot].next == LEAT_INDEX_NONE);
    if (queue->count == 0)
        queue->head = slot;
    else
        pool->slots[queue->tail].next = slot;
    queue->tail = slot;
    queue->count++;
    queue->bytes += pool->slots[slot].bytes;
}

static void set_run(leat_queue *queue, leat_run run)
{
    queue->head = run.head;
    queue->tail = run.tail;
    queue->count = run.count;
    queue->bytes = run.bytes;
}

static const leat_run no_run = {LEAT_INDEX_NONE, LEAT_INDEX_NONE, 0, 0};

void leat_queue_push_behind(leat_queue *queue, leat_pool *pool, uint32_t slot)
{
    LEAT_ASSERT(queue->parked && pool->slots[slot].next == LEAT_INDEX_NONE);
    leat_run *run = &queue->behind;
    if (run->count == 0)
        run->head = slot;
    else
        pool->slots[run->tail].next = slot;
    run->tail = slot;
    run->count++;
    run->bytes += pool->slots[slot].bytes;
}

void leat_queue_park(leat_queue *queue)
{
    LEAT_ASSERT(!queue->parked && queue->behind.count == 0 && queue->in_flight == 0);
    queue->behind = leat_queue_memory(queue);
    queue->parked = true;
    set_run(queue, no_run);
}

void leat_queue_unpark(leat_queue *queue)
{
    LEAT_ASSERT(queue->parked && queue->count == 0 && queue->in_flight == 0);
    set_run(queue, queue->behind);
    queue->behind = no_run;
    queue->parked = false;
}

uint64_t leat_queue_release_behind(leat_queue *queue, leat_pool *pool, uint32_t records)
{
    leat_run loaded = {queue->head, queue->tail, queue->count, queue->bytes};
    LEAT_ASSERT(queue->parked);
    set_run(queue, queue->behind);
    uint64_t bytes = leat_queue_release(queue, pool, records);
    queue->behind = (leat_run){queue->head, queue->tail, queue->count, queue->bytes};
    set_run(queue, loaded);
    return bytes;
}

uint64_t leat_queue_release(leat_queue *queue, leat_pool *pool, uint32_t records)
{
    LEAT_ASSERT(records > 0 && records <= queue->count);
    uint32_t first = queue->head;
    uint32_t last = first;
    uint64_t bytes = pool->slots[first].bytes;
    for (uint32_t i = 1; i < records; i++) {
        last = pool->slots[last].next;
        bytes += pool->slots[last].bytes;
    }
    queue->head = pool->slots[last].next;
    queue->count -= records;
    LEAT_ASSERT(queue->bytes >= bytes);
    queue->bytes -= bytes;
    if (queue->count == 0)
        queue->tail = LEAT_INDEX_NONE;
    /* The whole run of slots joins the list as it is threaded already. */
    pool->slots[last].next = LEAT_INDEX_NONE;
    if (pool->released_count == 0)
        pool->released_head = first;
    else
        pool->slots[pool->released_tail].next = first;
    pool->released_tail = last;
    pool->released_count += records;
    return bytes;
}

uint32_t leat_queue_fit(const leat_queue *queue, const leat_pool *pool, uint32_t records_max,
                        uint64_t bytes_max, bool at_least_one, uint64_t *ret_bytes)
{
    LEAT_ASSERT(records_max > 0 && queue->count > 0 && queue->in_flight == 0);
    if (queue->count <= records_max && queue->bytes <= bytes_max) {
        *ret_bytes = queue->bytes;
        return queue->count;
    }
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (uint32_t slot = queue->head; slot != LEAT_INDEX_NONE && count < records_max;
         slot = pool->slots[slot].next) {
        if (bytes + pool->slots[slot].bytes > bytes_max && (count > 0 || !at_least_one))
            break;
        bytes += pool->slots[slot].bytes;
        count++;
    }
    *ret_bytes = bytes;
    return count;
}

uint32_t leat_queue_limited(const leat_queue *queue, uint32_t records)
{
    if (queue->retry.limit > 0 && queue->retry.limit < records)
        records = queue->retry.limit;
    if (leat_narrow_on_trial(&queue->narrow) && queue->narrow.limit < records)
        records = queue->narrow.limit;
    return records;
}
