/*
 * tenants.c - a table of fixed size with chained buckets, and a heap for each class of cost. Places
 * are handed out in order, so memory for tenants that never come is never touched. Nothing else
 * keeps a place across an event but queues that are ready, and those keep their tenant from going.
 */
#include "engine/tenants.h"

enum { LOOKED_AT = 8 };

#define DECAY_US   INT64_C(1000000)
#define DECAYS_MAX 30

static uint16_t *bucket_of(const leat_tenants *tenants, uint64_t tenant)
{
    return &tenants->buckets[tenant % LEAT_TENANT_BUCKETS];
}

static void begin(leat_tenants *tenants, uint32_t at, uint64_t tenant)
{
    leat_tenant *of = &tenants->at[at];
    double row_us = tenants->cost.usual_us;
    *of = (leat_tenant){.tenant = tenant,
                        .row_us = row_us,
                        .served_us = tenants->served_us,
                        .class = leat_cost_class(row_us, tenants->at[LEAT_TENANT_OTHERS].class),
                        .oldest = LEAT_PAIRING_NONE};
    for (uint32_t i = 0; i < LEAT_TENANT_DEPTHS; i++)
        of->head[i] = of->tail[i] = LEAT_PAIRING_NONE;
}

void leat_tenants_init(leat_tenants *tenants, leat_tenant *at, leat_pairing_node *nodes,
                       uint16_t *buckets)
{
    *tenants = (leat_tenants){.at = at, .nodes = nodes, .buckets = buckets, .used = 1};
    for (uint32_t i = 0; i < LEAT_COST_CLASSES; i++)
        tenants->first[i] = LEAT_PAIRING_NONE;
    leat_cost_init(&tenants->cost);
    begin(tenants, LEAT_TENANT_OTHERS, 0);
}

uint32_t leat_tenants_find(const leat_tenants *tenants, uint64_t tenant)
{
    if (tenant == 0)
        return LEAT_TENANT_OTHERS;
    for (uint16_t link = *bucket_of(tenants, tenant); link != 0; link = tenants->at[link - 1].next)
        if (tenants->at[link - 1].tenant == tenant)
            return link - 1u;
    return LEAT_TENANT_OTHERS;
}

static void unlink_tenant(leat_tenants *tenants, uint32_t at)
{
    uint16_t *link = bucket_of(tenants, tenants->at[at].tenant);
    while (*link != at + 1)
        link = &tenants->at[*link - 1].next;
    *link = tenants->at[at].next;
}

static int64_t debt_of(const leat_tenants *tenants, const leat_tenant *tenant)
{
    int64_t debt_us = tenant->served_us - tenants->served_us;
    return debt_us > 0 ? debt_us : 0;
}

/* A place for one more; LEAT_TENANT_OTHERS: all that were looked at have work. */
static uint32_t make_room(leat_tenants *tenants)
{
    if (tenants->used <= LEAT_TENANTS_MAX)
        return tenants->used++;
    uint32_t found = LEAT_TENANT_OTHERS;
    for (uint32_t i = 0; i < LOOKED_AT; i++) {
        tenants->hand = tenants->hand % LEAT_TENANTS_MAX + 1;
        const leat_tenant *tenant = &tenants->at[tenants->hand];
        if (tenant->ready == 0 &&
            (found == LEAT_TENANT_OTHERS ||
             debt_of(tenants, tenant) < debt_of(tenants, &tenants->at[found])))
            found = tenants->hand;
    }
    if (found != LEAT_TENANT_OTHERS)
        unlink_tenant(tenants, found);
    return found;
}

uint32_t leat_tenants_take(leat_tenants *tenants, uint64_t tenant)
{
    uint32_t at = leat_tenants_find(tenants, tenant);
    if (at != LEAT_TENANT_OTHERS || tenant == 0)
        return at;
    at = make_room(tenants);
    if (at == LEAT_TENANT_OTHERS)
        return at;
    begin(tenants, at, tenant);
    tenants->at[at].next = *bucket_of(tenants, tenant);
    *bucket_of(tenants, tenant) = (uint16_t)(at + 1);
    return at;
}

static void enter_heap(leat_tenants *tenants, uint32_t at, int64_t oldest_us)
{
    const leat_tenant *tenant = &tenants->at[at];
    uint32_t *first = &tenants->first[tenant->class];
    *first = leat_pairing_insert(tenants->nodes, *first, at, leat_tenants_step(tenant->served_us),
                                 oldest_us);
}

static void leave_heap(leat_tenants *tenants, uint32_t at)
{
    uint32_t *first = &tenants->first[tenants->at[at].class];
    *first = leat_pairing_remove(tenants->nodes, *first, at);
}

/* What is left of its debt after the pause. One that is behind starts where the others are. */
static void come_back(leat_tenants *tenants, leat_tenant *tenant, int64_t now_us)
{
    int64_t decays = (now_us - tenant->paused_us) / DECAY_US;
    int64_t debt_us = debt_of(tenants, tenant) >> (decays < DECAYS_MAX ? decays : DECAYS_MAX);
    tenant->served_us = tenants->served_us + debt_us;
}

static void set_oldest(leat_tenants *tenants, uint32_t at, int64_t oldest_us)
{
    if (tenants->nodes[at].then == oldest_us)
        return;
    leave_heap(tenants, at);
    enter_heap(tenants, at, oldest_us);
}

void leat_tenants_ready(leat_tenants *tenants, uint32_t at, int64_t oldest_us, int64_t now_us)
{
    leat_tenant *tenant = &tenants->at[at];
    if (tenant->ready++ > 0) {
        set_oldest(tenants, at, oldest_us);
        return;
    }
    come_back(tenants, tenant, now_us);
    tenants->ready++;
    enter_heap(tenants, at, oldest_us);
}

void leat_tenants_quiet(leat_tenants *tenants, uint32_t at, int64_t oldest_us, int64_t now_us)
{
    leat_tenant *tenant = &tenants->at[at];
    LEAT_ASSERT(tenant->ready > 0 && tenants->ready > 0);
    if (--tenant->ready > 0) {
        set_oldest(tenants, at, oldest_us);
        return;
    }
    tenant->paused_us = now_us;
    tenants->ready--;
    leave_heap(tenants, at);
}

void leat_tenants_serve(leat_tenants *tenants, uint32_t at, double us)
{
    leat_tenant *tenant = &tenants->at[at];
    int64_t served_us = tenant->served_us + (int64_t)us;
    int64_t most_us = tenants->served_us + LEAT_TENANT_DEBT_MAX_US;
    int64_t least_us = tenants->served_us - LEAT_TENANT_BEHIND_MAX_US;
    served_us = served_us > most_us ? most_us : served_us < least_us ? least_us : served_us;
    bool moves = tenant->ready > 0 &&
                 leat_tenants_step(served_us) != leat_tenants_step(tenant->served_us);
    if (moves)
        leave_heap(tenants, at);
    tenant->served_us = served_us;
    if (moves)
        enter_heap(tenants, at, tenants->nodes[at].then);
}

void leat_tenants_set_cost(leat_tenants *tenants, uint32_t at, double row_us)
{
    leat_tenant *tenant = &tenants->at[at];
    uint8_t class = leat_cost_class(row_us, tenant->class);
    tenant->row_us = row_us;
    tenant->is_known = true;
    if (class == tenant->class)
        return;
    if (tenant->ready > 0)
        leave_heap(tenants, at);
    tenant->class = class;
    if (tenant->ready > 0)
        enter_heap(tenants, at, tenants->nodes[at].then);
}

void leat_tenants_lead(leat_tenants *tenants, uint32_t at)
{
    if (tenants->at[at].served_us > tenants->served_us)
        tenants->served_us = tenants->at[at].served_us;
}

void leat_tenants_validate(const leat_tenants *tenants)
{
    uint32_t ready = 0;
    uint32_t in_heaps = 0;
    LEAT_ASSERT(tenants->used >= 1 && tenants->used <= LEAT_TENANTS_MAX + 1);
    for (uint32_t at = 0; at < tenants->used; at++) {
        const leat_tenant *tenant = &tenants->at[at];
        LEAT_ASSERT((tenant->tenant == 0) == (at == LEAT_TENANT_OTHERS));
        LEAT_ASSERT(leat_tenants_find(tenants, tenant->tenant) == at);
        LEAT_ASSERT(tenant->row_us > 0 && tenant->class < LEAT_COST_CLASSES);
        LEAT_ASSERT(leat_cost_class(tenant->row_us, tenant->class) == tenant->class);
        LEAT_ASSERT(debt_of(tenants, tenant) <= LEAT_TENANT_DEBT_MAX_US);
        LEAT_ASSERT(tenant->ready == 0 ||
                    tenants->nodes[at].key == leat_tenants_step(tenant->served_us));
        ready += tenant->ready > 0;
    }
    for (uint32_t class = 0; class < LEAT_COST_CLASSES; class ++)
        in_heaps += leat_pairing_validate(tenants->nodes, tenants->first[class]);
    LEAT_ASSERT(ready == tenants->ready && in_heaps == ready);
}
