/*
 * fair.c - a batch is put together queue by queue. Of each tenant that is furthest behind the next
 * queue is taken; what it takes is charged at once, so that the next one is another's turn. A queue
 * belongs to the tenant of its head, but the records behind it may be others': they are charged to
 * those, and a record of another class of cost ends what is taken of the queue.
 *
 * With one tenant the walk over the records is left out: how many fit is a division.
 */
#include "engine/fair.h"

#include <math.h>

#include "engine/schedule.h"

#define TARGET_US     250000.0
#define TARGET_ONE_US 50000.0
/* A batch is slow when it takes 4 times as long as the middle one, but not when it is as short as
 * this: a queue that was quiet may be full suddenly. */
enum {
    UNPARKS_LOOKED_AT = 16,
    UNKNOWN_RECORDS = 32, /* in a batch, of a tenant whose cost is only guessed */
};

#define SLOW_FACTOR 4
/* Two costs are alike that differ by no more than this factor, or that are no more than the other
 * one times what is usual: so small they are known only roughly. */
#define ALIKE       4.0
#define ALIKE_USUAL 8.0
#define SLOW_MIN_US 20000

/* What is left of a batch's bounds. */
typedef struct room {
    double least_us, most_us; /* of a record: of the tenants of its queues, and of all */
    double usual_us;          /* costs up to this are alike */
    uint32_t company;         /* most tenants, by those that are in it */
    bool any_cost;            /* all costs are alike */
    double us;
    uint32_t records;
    uint64_t bytes;
} room;

static uint32_t at_most(uint32_t number, uint32_t most)
{
    return number < most ? number : most;
}

static int64_t slow_us(const leat_shard *shard)
{
    if (leat_tenants_is_one(&shard->ready.tenants))
        return INT64_MAX;
    int64_t us = SLOW_FACTOR * shard->fair.estimates.median;
    return us > SLOW_MIN_US ? us : SLOW_MIN_US;
}

static uint32_t slow_max(const leat_shard *shard)
{
    return shard->slots >= 2 ? shard->slots / 2 : 1;
}

static bool may_be_slow(const leat_shard *shard)
{
    return shard->fair.slow < slow_max(shard);
}

static double target_us(const leat_shard *shard)
{
    return shard->slots == 1 ? TARGET_ONE_US : TARGET_US;
}

/* How long the records of a batch may take that must not be slow. */
static double quick_us(const leat_shard *shard)
{
    double slow = (double)slow_us(shard), target = target_us(shard);
    return (slow < target ? slow : target) - shard->ready.tenants.cost.fixed_us;
}

/* How long the records of the next batch may take, if its first ones take `row_us` each. */
static double rows_us(const leat_shard *shard, double row_us)
{
    const leat_cost *cost = &shard->ready.tenants.cost;
    if (!may_be_slow(shard))
        return quick_us(shard);
    double usual_us = leat_cost_rows_us(cost, target_us(shard));
    double try_us = leat_cost_try_us(cost, row_us);
    return usual_us > try_us ? usual_us : try_us;
}

uint32_t leat_fair_lead(const leat_shard *shard)
{
    const leat_tenants *tenants = &shard->ready.tenants;
    uint32_t lead = LEAT_PAIRING_NONE;
    if (tenants->ready == 0 ||
        shard->fair.shared >= leat_concurrency_limit(&shard->fair.concurrency, shard->slots))
        return lead;
    double most_us = may_be_slow(shard) ? INFINITY : quick_us(shard);
    for (uint32_t class = 0; class < LEAT_COST_CLASSES; class ++) {
        uint32_t first = tenants->first[class];
        if (first == LEAT_PAIRING_NONE || tenants->at[first].row_us > most_us)
            continue;
        if (leat_pairing_is_before(tenants->nodes, first, lead))
            lead = first;
    }
    return lead;
}

/* ---- a batch of one queue ---- */

static uint32_t tenant_of_head(const leat_engine *engine, const leat_shard *shard,
                               const leat_queue *queue)
{
    return leat_tenants_find(&shard->ready.tenants, engine->pool.slots[queue->head].tenant);
}

static uint32_t fit_time(const leat_engine *engine, const leat_shard *shard,
                         const leat_queue *queue)
{
    const leat_tenants *tenants = &shard->ready.tenants;
    double row_us = tenants->at[tenant_of_head(engine, shard, queue)].row_us;
    double records = rows_us(shard, row_us) / row_us;
    uint32_t most = leat_cost_records_max(&tenants->cost);
    return records < 1 ? 0 : records < most ? (uint32_t)records : most;
}

uint32_t leat_fair_most(const leat_engine *engine, const leat_shard *shard, const leat_queue *queue,
                        uint32_t most)
{
    uint32_t by_time = fit_time(engine, shard, queue);
    return at_most(by_time > 0 ? by_time : 1, most);
}

/* In steps of what they were served. */
static int64_t behind_of(const leat_tenants *tenants, uint32_t at)
{
    int64_t served_us = tenants->at[at].served_us;
    return leat_tenants_step(served_us > tenants->served_us ? served_us : tenants->served_us);
}

uint32_t leat_fair_unpark(const leat_engine *engine, const leat_shard *shard)
{
    const leat_tenants *tenants = &shard->ready.tenants;
    uint32_t lead = leat_fair_lead(shard);
    int64_t least = lead == LEAT_PAIRING_NONE ? INT64_MAX : behind_of(tenants, lead);
    bool any_may_run = may_be_slow(shard);
    uint32_t found = LEAT_INDEX_NONE;
    uint32_t id = leat_ready_first_unpark(&shard->ready);
    for (int i = 0; i < UNPARKS_LOOKED_AT && id != LEAT_INDEX_NONE; i++) {
        const leat_queue *queue = &engine->queues[id];
        int64_t served = behind_of(tenants, tenant_of_head(engine, shard, queue));
        bool may_run = any_may_run || fit_time(engine, shard, queue) > 0;
        if (may_run && served <= least && (found == LEAT_INDEX_NONE || served < least)) {
            found = id;
            least = served;
        }
        id = queue->next;
    }
    return found;
}

/* ---- one queue of a shared batch ---- */

static uint32_t fit_one(const leat_engine *engine, leat_job_slot *slot, leat_tenants *tenants,
                        const room *left, const leat_queue *queue, uint32_t records_max,
                        uint64_t *ret_bytes)
{
    double row_us = tenants->at[queue->tenant].row_us;
    bool is_first = slot->queues == 0;
    double by_time = left->us / row_us;
    uint32_t records = by_time < records_max ? (uint32_t)(by_time > 0 ? by_time : 0) : records_max;
    if (records == 0 && !is_first)
        return 0;
    records = leat_queue_fit(queue, &engine->pool, records > 0 ? records : 1, left->bytes, is_first,
                             ret_bytes);
    if (records > 0)
        leat_bill_add(&slot->bill, tenants, queue->tenant, records);
    return records;
}

static bool is_not_dearer(const room *left, double row_us)
{
    return left->any_cost || row_us <= left->usual_us || row_us <= ALIKE * left->least_us;
}

static bool is_not_cheaper(const room *left, double row_us)
{
    return left->any_cost || left->most_us <= left->usual_us || row_us >= left->most_us / ALIKE;
}

static uint32_t company_of(const leat_tenant *tenant)
{
    return tenant->company > 0 ? tenant->company : UINT32_MAX;
}

/* May records of the tenant be among those that the batch has? */
static bool may_join(const leat_bill *bill, const leat_tenants *tenants, const room *left,
                     uint32_t at)
{
    return leat_bill_records(bill, tenants, at) > 0 ||
           (bill->count < left->company && bill->count < company_of(&tenants->at[at]));
}

static void join(leat_bill *bill, leat_tenants *tenants, room *left, uint32_t at)
{
    const leat_tenant *tenant = &tenants->at[at];
    uint32_t company = company_of(tenant);
    left->company = company < left->company ? company : left->company;
    left->most_us = tenant->row_us > left->most_us ? tenant->row_us : left->most_us;
    leat_bill_add(bill, tenants, at, 1);
}

/* Records behind the head that are cheaper go with it: they have to wait for it in any case. */
static uint32_t fit_many(const leat_engine *engine, leat_job_slot *slot, leat_tenants *tenants,
                         room *left, const leat_queue *queue, uint32_t records_max,
                         uint64_t *ret_bytes)
{
    uint32_t count = 0;
    double us = 0;
    *ret_bytes = 0;
    for (uint32_t i = queue->head; i != LEAT_INDEX_NONE && count < records_max;
         i = engine->pool.slots[i].next) {
        const leat_record_slot *record = &engine->pool.slots[i];
        uint32_t at = leat_tenants_take(tenants, record->tenant);
        const leat_tenant *tenant = &tenants->at[at];
        bool fits = *ret_bytes + record->bytes <= left->bytes && us + tenant->row_us <= left->us;
        bool mixes = is_not_dearer(left, tenant->row_us) &&
                     may_join(&slot->bill, tenants, left, at);
        bool is_head = count == 0;
        if (!tenant->is_known && leat_bill_records(&slot->bill, tenants, at) >= UNKNOWN_RECORDS)
            break;
        if ((!fits && !(is_head && slot->queues == 0)) ||
            (!is_head && !mixes && at != queue->tenant))
            break;
        join(&slot->bill, tenants, left, at);
        us += tenant->row_us;
        *ret_bytes += record->bytes;
        count++;
    }
    return count;
}

static uint32_t fit(const leat_engine *engine, leat_job_slot *slot, leat_shard *shard, room *left,
                    const leat_queue *queue, uint64_t *ret_bytes)
{
    leat_tenants *tenants = &shard->ready.tenants;
    uint32_t records = leat_queue_limited(queue, left->records);
    if (leat_tenants_is_one(tenants))
        return fit_one(engine, slot, tenants, left, queue, records, ret_bytes);
    return fit_many(engine, slot, tenants, left, queue, records, ret_bytes);
}

/* ---- the batch ---- */

static void close_bill(leat_job_slot *slot, leat_shard *shard)
{
    leat_bill_close(&slot->bill, &shard->ready.tenants);
    shard->fair.shared += slot->shared;
    slot->slow = slot->bill.estimate_us > (double)slow_us(shard);
    shard->fair.slow += slot->slow;
    if (slot->shared)
        leat_median_add(&shard->fair.estimates, (int64_t)slot->bill.estimate_us);
}

/* The tenant whose queue is next: of those that cost about the same. LEAT_PAIRING_NONE: there is
 * none. */
static uint32_t next_tenant(const leat_bill *bill, const leat_tenants *tenants, const room *left)
{
    uint32_t next = LEAT_PAIRING_NONE;
    for (uint32_t class = 0; class < LEAT_COST_CLASSES; class ++) {
        uint32_t at = tenants->first[class];
        if (at == LEAT_PAIRING_NONE || !is_not_dearer(left, tenants->at[at].row_us) ||
            !is_not_cheaper(left, tenants->at[at].row_us) || !may_join(bill, tenants, left, at) ||
            (left->any_cost && tenants->at[at].row_us > left->us))
            continue;
        if (leat_pairing_is_before(tenants->nodes, at, next))
            next = at;
    }
    return next;
}

/* Nobody is left who costs about the same. Others may join a short batch, as long as all records
 * together take no longer than its fixed part: they cost those that are in it little, and a batch
 * of their own costs the shard more. */
static void let_others_join(const leat_bill *bill, const leat_tenants *tenants, room *left)
{
    double short_us = tenants->cost.fixed_us - bill->rows_us;
    left->any_cost = true;
    left->us = short_us < left->us ? short_us : left->us;
}

/* LEAT_PAIRING_NONE: the batch is whole. */
static uint32_t next_or_other(const leat_bill *bill, const leat_tenants *tenants, room *left)
{
    uint32_t next = next_tenant(bill, tenants, left);
    if (next != LEAT_PAIRING_NONE || left->any_cost)
        return next;
    let_others_join(bill, tenants, left);
    return next_tenant(bill, tenants, left);
}

/* Its tenants have run in a group that is small enough. */
static void forget_company(const leat_bill *bill, leat_tenants *tenants)
{
    for (uint32_t i = 0; i < bill->count; i++)
        tenants->at[bill->charges[i].at].company = 0;
}

/* A queue that alone has more than a batch may give more, since it is often one hot row that all of
 * them are writes to, and they fold; the time of a batch bounds them as ever. */
static uint32_t most_of_first(const leat_engine *engine, const leat_shard *shard,
                              const leat_queue *queue, uint32_t usual)
{
    uint32_t deep =
        at_most(engine->config.deep_records_max, leat_cost_records_max(&shard->ready.tenants.cost));
    bool is_deep = queue->count > usual && shard->batch_size.limit == 0 && queue->retry.limit == 0;
    return is_deep && deep > usual ? deep : usual;
}

void leat_fair_choose(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t lead)
{
    leat_tenants *tenants = &shard->ready.tenants;
    int64_t overdue_us = engine->now_us - engine->config.age_bound_us;
    room left = {.company = company_of(&tenants->at[lead]),
                 .least_us = tenants->at[lead].row_us,
                 .most_us = tenants->at[lead].row_us,
                 .usual_us = ALIKE_USUAL * tenants->cost.usual_us,
                 .us = rows_us(shard, tenants->at[lead].row_us),
                 .records = at_most(
                     leat_batch_size_max(&shard->batch_size, engine->config.batch_records_max),
                     leat_cost_records_max(&tenants->cost)),
                 .bytes = engine->config.batch_bytes_max};
    slot->shared = true;
    leat_tenants_lead(tenants, lead);
    leat_bill_begin(&slot->bill, tenants);
    uint32_t usual = left.records;
    while (left.records > 0) {
        uint32_t at = slot->queues == 0 ? lead : next_or_other(&slot->bill, tenants, &left);
        if (at == LEAT_PAIRING_NONE)
            break;
        if (tenants->at[at].row_us < left.least_us)
            left.least_us = tenants->at[at].row_us;
        uint32_t id = leat_ready_first(&shard->ready, at, overdue_us);
        /* Then the batch is full too: this queue and those after it are in turn later. */
        if (leat_schedule_is_part_full(engine, id))
            break;
        if (slot->queues == 0)
            left.records = most_of_first(engine, shard, &engine->queues[id], usual);
        double before_us = slot->bill.rows_us;
        uint64_t bytes;
        uint32_t records = fit(engine, slot, shard, &left, &engine->queues[id], &bytes);
        if (records == 0)
            break;
        leat_schedule_pick(engine, slot, shard, id, records);
        leat_bill_serve(&slot->bill, tenants, at);
        left.records = slot->queues > 1  ? left.records - records
                       : records < usual ? usual - records
                                         : 0;
        left.bytes -= bytes < left.bytes ? bytes : left.bytes;
        left.us -= slot->bill.rows_us - before_us;
    }
    slot->alone = left.company == 1;
    forget_company(&slot->bill, tenants);
    close_bill(slot, shard);
}

void leat_fair_charge(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t at,
                      uint32_t records)
{
    leat_tenants *tenants = &shard->ready.tenants;
    leat_bill_begin(&slot->bill, tenants);
    for (uint32_t i = 0; i < records; i++) {
        uint64_t tenant = engine->pool.slots[at].tenant;
        leat_bill_add(&slot->bill, tenants, leat_tenants_take(tenants, tenant), 1);
        at = engine->pool.slots[at].next;
    }
    close_bill(slot, shard);
}

/* ---- done ---- */

static void learn(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, int64_t took_us)
{
    const leat_cost *cost = &shard->ready.tenants.cost;
    leat_bill *bill = &slot->bill;
    if (bill->records > 1 && !slot->alone)
        leat_concurrency_sample(&shard->fair.concurrency,
                                leat_cost_slowness(cost, bill->estimate_us, took_us),
                                shard->fair.shared, shard->slots);
    leat_bill_learn(bill, &shard->ready.tenants, took_us, engine->now_us, slot->alone);
    leat_median_add(&shard->fair.times, took_us);
}

/* A queue that fails, or has parked records, may have waited for a lock. */
static void learn_of_one(leat_engine *engine, leat_job_slot *slot, leat_shard *shard,
                         int64_t took_us)
{
    leat_bill *bill = &slot->bill;
    bool has_waited = leat_cost_surprises(bill->estimate_us, took_us);
    if (slot->job.batch.chunk_count > 0 && !has_waited)
        leat_bill_learn(bill, &shard->ready.tenants, took_us, engine->now_us, false);
    else
        leat_bill_learn_most(bill, &shard->ready.tenants, took_us);
}

void leat_fair_done(leat_engine *engine, leat_job_slot *slot, const leat_engine_job_result *result)
{
    leat_shard *shard = &engine->shards[slot->job.shard];
    int64_t took_us = engine->now_us - slot->since_us;
    LEAT_ASSERT(shard->fair.shared >= slot->shared && shard->fair.slow >= slot->slow);
    shard->fair.shared -= slot->shared;
    shard->fair.slow -= slot->slow;
    leat_bill_settle(&slot->bill, &shard->ready.tenants, took_us);
    bool is_applied = result->outcome == LEAT_ENGINE_APPLIED && !slot->job.batch.dead &&
                      !slot->job.batch.hold;
    if (slot->shared && is_applied)
        learn(engine, slot, shard, took_us);
    else if (is_applied)
        learn_of_one(engine, slot, shard, took_us);
}
