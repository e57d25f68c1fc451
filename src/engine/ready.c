/*
 * ready.c - which queue runs next, in O(1) but for the age. Deep queues go first, because a batch
 * that takes many records of one queue folds and updates progress once for all of them. A queue
 * whose head is overdue goes before deeper ones, or a shallow one would wait as long as the load
 * lasts. Queues are sorted by powers of two only: the exact depth would move one with each record.
 */
#include "engine/ready.h"

static uint32_t depth_of(uint32_t records)
{
    LEAT_ASSERT(records > 0);
    return 31u - (uint32_t)__builtin_clz(records);
}

/* Which of the lists that are apart; LEAT_READY_LISTS: none, it may share a batch. */
static uint32_t apart_of(const leat_queue *queue)
{
    if (leat_narrow_on_trial(&queue->narrow))
        return LEAT_READY_TRIAL;
    if (queue->retry.alone)
        return LEAT_READY_ALONE;
    return queue->parked ? LEAT_READY_UNPARK : LEAT_READY_LISTS;
}

static void link_in(leat_ready *ready, leat_queue *queues, uint32_t id, uint32_t list)
{
    leat_queue *queue = &queues[id];
    queue->list = list;
    queue->next = LEAT_INDEX_NONE;
    queue->prev = ready->tail[list];
    if (queue->prev == LEAT_INDEX_NONE)
        ready->head[list] = id;
    else
        queues[queue->prev].next = id;
    ready->tail[list] = id;
    if (list < LEAT_READY_DEPTHS)
        ready->depths |= 1u << list;
}

static void link_out(leat_ready *ready, leat_queue *queues, uint32_t id)
{
    leat_queue *queue = &queues[id];
    uint32_t list = queue->list;
    if (queue->prev == LEAT_INDEX_NONE)
        ready->head[list] = queue->next;
    else
        queues[queue->prev].next = queue->next;
    if (queue->next == LEAT_INDEX_NONE)
        ready->tail[list] = queue->prev;
    else
        queues[queue->next].prev = queue->prev;
    if (list < LEAT_READY_DEPTHS && ready->head[list] == LEAT_INDEX_NONE)
        ready->depths &= ~(1u << list);
    queue->next = LEAT_INDEX_NONE;
    queue->prev = LEAT_INDEX_NONE;
}

void leat_ready_init(leat_ready *ready, leat_heap_entry *entries, uint32_t *where)
{
    for (uint32_t i = 0; i < LEAT_READY_LISTS; i++) {
        ready->head[i] = LEAT_INDEX_NONE;
        ready->tail[i] = LEAT_INDEX_NONE;
    }
    ready->depths = 0;
    ready->count = 0;
    leat_heap_init(&ready->age, entries, where);
}

void leat_ready_add(leat_ready *ready, leat_queue *queues, uint32_t id, int64_t head_us)
{
    leat_queue *queue = &queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_QUIET && queue->count > 0 && queue->in_flight == 0);
    queue->place = LEAT_QUEUE_READY;
    ready->count++;
    uint32_t apart = apart_of(queue);
    if (apart != LEAT_READY_LISTS) {
        link_in(ready, queues, id, apart);
        return;
    }
    link_in(ready, queues, id, depth_of(queue->count));
    leat_heap_set(&ready->age, id, head_us);
}

void leat_ready_remove(leat_ready *ready, leat_queue *queues, uint32_t id)
{
    LEAT_ASSERT(queues[id].place == LEAT_QUEUE_READY && ready->count > 0);
    link_out(ready, queues, id);
    leat_heap_remove(&ready->age, id);
    queues[id].place = LEAT_QUEUE_QUIET;
    ready->count--;
}

void leat_ready_deepened(leat_ready *ready, leat_queue *queues, uint32_t id)
{
    leat_queue *queue = &queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_READY);
    bool power_of_two = (queue->count & (queue->count - 1)) == 0;
    if (!power_of_two || queue->list >= LEAT_READY_DEPTHS)
        return;
    link_out(ready, queues, id);
    link_in(ready, queues, id, depth_of(queue->count));
}

uint32_t leat_ready_first(const leat_ready *ready, int64_t overdue_us)
{
    if (ready->depths == 0)
        return LEAT_INDEX_NONE;
    const leat_heap_entry *oldest = leat_heap_first(&ready->age);
    if (oldest->key < overdue_us)
        return oldest->id;
    return ready->head[depth_of(ready->depths)];
}

uint32_t leat_ready_first_alone(const leat_ready *ready)
{
    return ready->head[LEAT_READY_ALONE];
}

uint32_t leat_ready_first_trial(const leat_ready *ready, const leat_queue *queues)
{
    uint32_t first = ready->head[LEAT_READY_TRIAL];
    for (uint32_t id = first; id != LEAT_INDEX_NONE; id = queues[id].next)
        if (queues[id].narrow.unknowns < queues[first].narrow.unknowns)
            first = id;
    return first;
}

void leat_ready_validate(const leat_ready *ready, const leat_queue *queues)
{
    uint32_t count = 0;
    uint32_t apart_count = 0;
    for (uint32_t list = 0; list < LEAT_READY_LISTS; list++) {
        uint32_t before = LEAT_INDEX_NONE;
        for (uint32_t id = ready->head[list]; id != LEAT_INDEX_NONE; id = queues[id].next) {
            LEAT_ASSERT(queues[id].place == LEAT_QUEUE_READY && queues[id].list == list);
            LEAT_ASSERT(queues[id].prev == before && queues[id].count > 0 &&
                        queues[id].in_flight == 0);
            uint32_t apart = apart_of(&queues[id]);
            LEAT_ASSERT(list == (apart == LEAT_READY_LISTS ? depth_of(queues[id].count) : apart));
            before = id;
            count++;
            apart_count += list >= LEAT_READY_DEPTHS;
        }
        LEAT_ASSERT(ready->tail[list] == before);
        if (list < LEAT_READY_DEPTHS)
            LEAT_ASSERT((ready->head[list] != LEAT_INDEX_NONE) == ((ready->depths >> list) & 1u));
    }
    LEAT_ASSERT(count == ready->count);
    LEAT_ASSERT(ready->age.count + apart_count == count);
    leat_heap_validate(&ready->age);
}
