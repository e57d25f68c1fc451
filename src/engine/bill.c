/*
 * bill.c - a tenant knows where its charge is in the bill that is being written, so that adding a
 * record needs no search. A tenant may have lost its place by the time a batch is done; then there
 * is nobody to correct.
 *
 * Several batches are under way at once. What one of them teaches is measured by what is known when
 * it is done: by its old estimate, all of them would correct the same error.
 */
#include "engine/bill.h"

/* The tenants of a batch that took too long run in so many groups, those of a group that takes too
 * long again, until one runs alone. */
enum { GROUPS = 8, CROWD = 16 };

#define DOUBT_US INT64_C(5000000)

void leat_bill_begin(leat_bill *bill, leat_tenants *tenants)
{
    bill->count = 0;
    bill->records = 0;
    bill->rows_us = 0;
    bill->estimate_us = 0;
    bill->number = ++tenants->bills;
}

static bool has_charge(const leat_bill *bill, const leat_tenant *tenant, uint32_t at)
{
    return tenant->bill == bill->number && tenant->charge < bill->count &&
           bill->charges[tenant->charge].at == at;
}

uint32_t leat_bill_records(const leat_bill *bill, const leat_tenants *tenants, uint32_t at)
{
    const leat_tenant *tenant = &tenants->at[at];
    return has_charge(bill, tenant, at) ? bill->charges[tenant->charge].records : 0;
}

static leat_charge *charge_of(leat_bill *bill, leat_tenants *tenants, uint32_t at)
{
    leat_tenant *tenant = &tenants->at[at];
    if (has_charge(bill, tenant, at))
        return &bill->charges[tenant->charge];
    if (bill->count == bill->max)
        return &bill->charges[0];
    tenant->bill = bill->number;
    tenant->charge = bill->count++;
    leat_charge *charge = &bill->charges[tenant->charge];
    *charge = (leat_charge){.tenant = tenant->tenant, .at = at};
    return charge;
}

void leat_bill_add(leat_bill *bill, leat_tenants *tenants, uint32_t at, uint32_t records)
{
    LEAT_ASSERT(at < tenants->used && records > 0 && bill->max > 0);
    leat_charge *charge = charge_of(bill, tenants, at);
    double rows_us = records * tenants->at[at].row_us;
    charge->records += records;
    charge->rows_us += rows_us;
    bill->records += records;
    bill->rows_us += rows_us;
}

static bool is_there(const leat_tenants *tenants, const leat_charge *charge)
{
    return tenants->at[charge->at].tenant == charge->tenant;
}

static void serve_up_to(leat_tenants *tenants, leat_charge *charge, double us)
{
    if (is_there(tenants, charge))
        leat_tenants_serve(tenants, charge->at, us - charge->served_us);
    charge->served_us = us;
}

void leat_bill_serve(leat_bill *bill, leat_tenants *tenants, uint32_t at)
{
    leat_charge *charge = charge_of(bill, tenants, at);
    serve_up_to(tenants, charge, charge->rows_us);
}

static void share_out(leat_bill *bill, leat_tenants *tenants, double us)
{
    LEAT_ASSERT(bill->count > 0 && bill->rows_us > 0);
    for (uint32_t i = 0; i < bill->count; i++)
        serve_up_to(tenants, &bill->charges[i], us * bill->charges[i].rows_us / bill->rows_us);
}

void leat_bill_close(leat_bill *bill, leat_tenants *tenants)
{
    bill->estimate_us = tenants->cost.fixed_us + bill->rows_us;
    share_out(bill, tenants, bill->estimate_us);
}

void leat_bill_settle(leat_bill *bill, leat_tenants *tenants, int64_t took_us)
{
    double most_us = leat_cost_expected_us(bill->estimate_us);
    share_out(bill, tenants, (double)took_us < most_us ? (double)took_us : most_us);
}

/* The records of a tenant cannot have taken longer than the whole batch. */
static void set_cost(const leat_charge *charge, leat_tenants *tenants, double row_us,
                     int64_t took_us)
{
    leat_tenants_set_cost(tenants, charge->at, leat_cost_most(row_us, took_us, charge->records));
}

/* A tenant of which nothing was known costs what is usual, and what that is may just have been
 * learned. */
static void learn_one(const leat_charge *charge, leat_tenants *tenants, double error_us,
                      const leat_cost_batch *batch)
{
    leat_tenant *tenant = &tenants->at[charge->at];
    tenant->suspected = false;
    double row_us = leat_cost_learn_record(
        &tenants->cost, tenant->is_known ? tenant->row_us : tenants->cost.usual_us, charge->rows_us,
        error_us, batch);
    set_cost(charge, tenants, row_us, batch->took_us);
}

static void learn_each(const leat_bill *bill, leat_tenants *tenants, const leat_cost_batch *batch,
                       leat_cost_lesson lesson)
{
    double error_us = leat_cost_learn(&tenants->cost, batch, lesson);
    for (uint32_t i = 0; i < bill->count; i++)
        if (is_there(tenants, &bill->charges[i]))
            learn_one(&bill->charges[i], tenants, error_us, batch);
}

/* In a crowd it is seldom a tenant that is to blame, so each of them is given a second chance. Two
 * batches that were under way together have seen the same standstill: they are one. */
static void split_up(const leat_bill *bill, leat_tenants *tenants, const leat_cost_batch *batch)
{
    int64_t begun_us = batch->now_us - batch->took_us;
    uint32_t company = bill->count / GROUPS > 0 ? bill->count / GROUPS : 1;
    for (uint32_t i = 0; i < bill->count; i++) {
        leat_tenant *tenant = &tenants->at[bill->charges[i].at];
        if (!is_there(tenants, &bill->charges[i]))
            continue;
        bool again = tenant->suspected && begun_us >= tenant->suspected_us;
        if (bill->count < CROWD || again)
            tenant->company = (uint16_t)company;
        if (!tenant->suspected || again)
            tenant->suspected_us = batch->now_us;
        tenant->suspected = true;
    }
}

static void learn_alone(leat_tenants *tenants, uint32_t at, const leat_cost_batch *batch)
{
    leat_tenant *tenant = &tenants->at[at];
    if (tenant->alone_us <= tenants->cost.as_thought_us)
        tenant->before_us = tenant->row_us;
    tenant->alone_us = batch->now_us;
    leat_tenants_set_cost(tenants, at, leat_cost_learn_alone(&tenants->cost, batch));
}

/* The tenant is thought to be slow since a moment ago. If it is the shard that is, its batches take
 * as long as is thought now, and prove nothing. */
static bool is_in_doubt(const leat_tenants *tenants, const leat_tenant *tenant, int64_t now_us)
{
    return tenant->alone_us > tenants->cost.as_thought_us && now_us - tenant->alone_us < DOUBT_US;
}

/* It was the shard: what was thought of its tenants since batches took too long is forgotten. There
 * are many of them, but a shard seldom turns slow. */
static void acquit(leat_tenants *tenants)
{
    for (uint32_t at = 0; at < tenants->used; at++) {
        leat_tenant *tenant = &tenants->at[at];
        tenant->company = 0;
        tenant->suspected = false;
        if (tenant->alone_us > tenants->cost.as_thought_us)
            leat_tenants_set_cost(tenants, at, tenant->before_us);
    }
}

static leat_cost_batch estimate_again(leat_bill *bill, const leat_tenants *tenants)
{
    leat_cost_batch batch = {.records = bill->records};
    for (uint32_t i = 0; i < bill->count; i++) {
        leat_charge *charge = &bill->charges[i];
        if (is_there(tenants, charge))
            charge->rows_us = charge->records * tenants->at[charge->at].row_us;
        batch.rows_us += charge->rows_us;
        batch.squares += charge->rows_us * charge->rows_us;
    }
    return batch;
}

void leat_bill_learn(leat_bill *bill, leat_tenants *tenants, int64_t took_us, int64_t now_us,
                     bool is_alone)
{
    leat_cost_batch batch = estimate_again(bill, tenants);
    batch.took_us = took_us;
    batch.now_us = now_us;
    double estimate_us = tenants->cost.fixed_us + batch.rows_us;
    const leat_charge *first = &bill->charges[0];
    bool surprises = leat_cost_surprises(estimate_us, took_us);
    if (is_alone && is_there(tenants, first) && surprises && !leat_cost_is_shard(&tenants->cost)) {
        learn_alone(tenants, first->at, &batch);
        return;
    }
    if (bill->count == 1 && !surprises && is_there(tenants, first) &&
        is_in_doubt(tenants, &tenants->at[first->at], now_us)) {
        learn_each(bill, tenants, &batch, LEAT_COST_LEARN);
        return;
    }
    leat_cost_lesson lesson = leat_cost_lesson_of(&tenants->cost, estimate_us, took_us, now_us);
    switch (lesson) {
    case LEAT_COST_LEARN:
    case LEAT_COST_SHARD:
        learn_each(bill, tenants, &batch, lesson);
        break;
    case LEAT_COST_TURN:
        acquit(tenants);
        leat_cost_learn(&tenants->cost, &batch, lesson);
        break;
    case LEAT_COST_SPLIT:
        split_up(bill, tenants, &batch);
        break;
    }
}

void leat_bill_learn_most(const leat_bill *bill, leat_tenants *tenants, int64_t took_us)
{
    for (uint32_t i = 0; i < bill->count; i++) {
        const leat_charge *charge = &bill->charges[i];
        if (is_there(tenants, charge))
            set_cost(charge, tenants, tenants->at[charge->at].row_us, took_us);
    }
}
