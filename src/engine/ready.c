/*
 * ready.c - which queue of a tenant runs next, in O(1) but for the age. Deep queues go first,
 * because a batch that takes many records of one queue folds and updates progress once for all of
 * them. A queue whose head is overdue goes before deeper ones of its tenant, or a shallow one would
 * wait as long as the load lasts. (Between tenants age does not count: the oldest records are those
 * of the one that floods; it decides between those that have been served about as much, tenants.h.)
 * Queues are sorted by powers of two only: the exact depth would move one with each record.
 */
#include "engine/ready.h"

static uint32_t depth_of(uint32_t records)
{
    LEAT_ASSERT(records > 0);
    uint32_t depth = 31u - (uint32_t)__builtin_clz(records);
    return depth < LEAT_TENANT_DEPTHS ? depth : LEAT_TENANT_DEPTHS - 1;
}

/* Which of the lists that are apart; LEAT_TENANT_DEPTHS + LEAT_READY_APART: none, it may share a
 * batch. */
static uint32_t apart_of(const leat_queue *queue)
{
    if (leat_narrow_on_trial(&queue->narrow))
        return LEAT_READY_TRIAL;
    if (queue->retry.blocked)
        return LEAT_READY_BLOCKED;
    if (queue->retry.alone)
        return LEAT_READY_ALONE;
    return queue->parked ? LEAT_READY_UNPARK : LEAT_TENANT_DEPTHS + LEAT_READY_APART;
}

static bool is_apart(uint32_t list)
{
    return list >= LEAT_TENANT_DEPTHS;
}

static uint32_t *head_of(leat_ready *ready, const leat_queue *queue)
{
    return is_apart(queue->list) ? &ready->head[queue->list - LEAT_TENANT_DEPTHS]
                                 : &ready->tenants.at[queue->tenant].head[queue->list];
}

static uint32_t *tail_of(leat_ready *ready, const leat_queue *queue)
{
    return is_apart(queue->list) ? &ready->tail[queue->list - LEAT_TENANT_DEPTHS]
                                 : &ready->tenants.at[queue->tenant].tail[queue->list];
}

static void link_in(leat_ready *ready, leat_queue *queues, uint32_t id, uint32_t list)
{
    leat_queue *queue = &queues[id];
    queue->list = list;
    uint32_t *head = head_of(ready, queue);
    uint32_t *tail = tail_of(ready, queue);
    queue->next = LEAT_INDEX_NONE;
    queue->prev = *tail;
    if (queue->prev == LEAT_INDEX_NONE)
        *head = id;
    else
        queues[queue->prev].next = id;
    *tail = id;
    if (!is_apart(list))
        ready->tenants.at[queue->tenant].depths |= 1u << list;
}

static void link_out(leat_ready *ready, leat_queue *queues, uint32_t id)
{
    leat_queue *queue = &queues[id];
    uint32_t *head = head_of(ready, queue);
    if (queue->prev == LEAT_INDEX_NONE)
        *head = queue->next;
    else
        queues[queue->prev].next = queue->next;
    if (queue->next == LEAT_INDEX_NONE)
        *tail_of(ready, queue) = queue->prev;
    else
        queues[queue->next].prev = queue->prev;
    if (!is_apart(queue->list) && *head == LEAT_INDEX_NONE)
        ready->tenants.at[queue->tenant].depths &= ~(1u << queue->list);
    queue->next = LEAT_INDEX_NONE;
    queue->prev = LEAT_INDEX_NONE;
}

void leat_ready_init(leat_ready *ready, leat_pairing_node *ages)
{
    for (uint32_t i = 0; i < LEAT_READY_APART; i++)
        ready->head[i] = ready->tail[i] = LEAT_INDEX_NONE;
    ready->count = 0;
    ready->ages = ages;
}

/* When the head that has waited longest was read; 0: there is none. */
static int64_t oldest_us(const leat_ready *ready, const leat_tenant *tenant)
{
    return tenant->oldest != LEAT_PAIRING_NONE ? ready->ages[tenant->oldest].key : 0;
}

void leat_ready_add(leat_ready *ready, leat_queue *queues, uint32_t id,
                    const leat_record_slot *head, int64_t now_us)
{
    leat_queue *queue = &queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_QUIET && queue->count > 0 && queue->in_flight == 0);
    queue->place = LEAT_QUEUE_READY;
    ready->count++;
    uint32_t apart = apart_of(queue);
    if (apart < LEAT_TENANT_DEPTHS + LEAT_READY_APART) {
        link_in(ready, queues, id, apart);
        return;
    }
    queue->tenant = leat_tenants_take(&ready->tenants, head->tenant);
    leat_tenant *tenant = &ready->tenants.at[queue->tenant];
    link_in(ready, queues, id, depth_of(queue->count));
    tenant->oldest = leat_pairing_insert(ready->ages, tenant->oldest, id, head->read_us, 0);
    leat_tenants_ready(&ready->tenants, queue->tenant, oldest_us(ready, tenant), now_us);
}

void leat_ready_remove(leat_ready *ready, leat_queue *queues, uint32_t id, int64_t now_us)
{
    leat_queue *queue = &queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_READY && ready->count > 0);
    link_out(ready, queues, id);
    queue->place = LEAT_QUEUE_QUIET;
    ready->count--;
    if (is_apart(queue->list))
        return;
    leat_tenant *tenant = &ready->tenants.at[queue->tenant];
    tenant->oldest = leat_pairing_remove(ready->ages, tenant->oldest, id);
    leat_tenants_quiet(&ready->tenants, queue->tenant, oldest_us(ready, tenant), now_us);
}

void leat_ready_deepened(leat_ready *ready, leat_queue *queues, uint32_t id)
{
    leat_queue *queue = &queues[id];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_READY);
    bool power_of_two = (queue->count & (queue->count - 1)) == 0;
    if (!power_of_two || is_apart(queue->list))
        return;
    link_out(ready, queues, id);
    link_in(ready, queues, id, depth_of(queue->count));
}

uint32_t leat_ready_first(const leat_ready *ready, uint32_t at, int64_t overdue_us)
{
    const leat_tenant *tenant = &ready->tenants.at[at];
    LEAT_ASSERT(tenant->ready > 0);
    if (oldest_us(ready, tenant) < overdue_us)
        return tenant->oldest;
    return tenant->head[depth_of(tenant->depths)];
}

uint32_t leat_ready_first_alone(const leat_ready *ready)
{
    return ready->head[LEAT_READY_ALONE - LEAT_TENANT_DEPTHS];
}

uint32_t leat_ready_first_unpark(const leat_ready *ready)
{
    return ready->head[LEAT_READY_UNPARK - LEAT_TENANT_DEPTHS];
}

uint32_t leat_ready_any_trial(const leat_ready *ready)
{
    return ready->head[LEAT_READY_TRIAL - LEAT_TENANT_DEPTHS];
}

uint32_t leat_ready_first_blocked(const leat_ready *ready)
{
    return ready->head[LEAT_READY_BLOCKED - LEAT_TENANT_DEPTHS];
}

bool leat_ready_is_trial_parked(const leat_ready *ready, const leat_queue *queues)
{
    uint32_t id = leat_ready_any_trial(ready);
    while (id != LEAT_INDEX_NONE && !queues[id].parked)
        id = queues[id].next;
    return id != LEAT_INDEX_NONE;
}

uint32_t leat_ready_first_trial(const leat_ready *ready, const leat_queue *queues)
{
    uint32_t first = leat_ready_any_trial(ready);
    for (uint32_t id = first; id != LEAT_INDEX_NONE; id = queues[id].next)
        if (leat_narrow_trials(&queues[id].narrow) < leat_narrow_trials(&queues[first].narrow))
            first = id;
    return first;
}

/* ---- every invariant ---- */

static uint32_t check_list(const leat_queue *queues, uint32_t list, uint32_t head, uint32_t tail)
{
    uint32_t count = 0;
    uint32_t before = LEAT_INDEX_NONE;
    for (uint32_t id = head; id != LEAT_INDEX_NONE; id = queues[id].next) {
        const leat_queue *queue = &queues[id];
        LEAT_ASSERT(queue->place == LEAT_QUEUE_READY && queue->list == list);
        LEAT_ASSERT(queue->prev == before && queue->count > 0 && queue->in_flight == 0);
        LEAT_ASSERT(is_apart(list) ? list == apart_of(queue)
                                   : apart_of(queue) == LEAT_TENANT_DEPTHS + LEAT_READY_APART &&
                                         list == depth_of(queue->count));
        before = id;
        count++;
    }
    LEAT_ASSERT(tail == before);
    return count;
}

static uint32_t check_tenant(const leat_ready *ready, const leat_queue *queues, uint32_t at)
{
    const leat_tenant *tenant = &ready->tenants.at[at];
    uint32_t count = 0;
    for (uint32_t list = 0; list < LEAT_TENANT_DEPTHS; list++) {
        LEAT_ASSERT((tenant->head[list] != LEAT_INDEX_NONE) == ((tenant->depths >> list) & 1u));
        count += check_list(queues, list, tenant->head[list], tenant->tail[list]);
        for (uint32_t id = tenant->head[list]; id != LEAT_INDEX_NONE; id = queues[id].next)
            LEAT_ASSERT(queues[id].tenant == at);
    }
    LEAT_ASSERT(count == tenant->ready);
    LEAT_ASSERT(count == 0 || ready->tenants.nodes[at].then == oldest_us(ready, tenant));
    LEAT_ASSERT(leat_pairing_validate(ready->ages, tenant->oldest) == count);
    return count;
}

void leat_ready_validate(const leat_ready *ready, const leat_queue *queues)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAT_READY_APART; i++)
        count += check_list(queues, LEAT_TENANT_DEPTHS + i, ready->head[i], ready->tail[i]);
    for (uint32_t at = 0; at < ready->tenants.used; at++)
        count += check_tenant(ready, queues, at);
    LEAT_ASSERT(count == ready->count);
    leat_tenants_validate(&ready->tenants);
}
