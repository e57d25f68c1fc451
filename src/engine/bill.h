/*
 * bill.h - what a batch is charged to whom: by its estimate when it is made, and by what it took
 * once it is done. What is between the two is given back, or charged too.
 *
 * Each tenant pays for its records, and its part of the fixed cost by what its records cost.
 *
 * For a batch that took much longer than estimated its tenants pay no more than what does not
 * surprise. Nobody knows whose doing it was, and it is often the disk's; whoever costs more is
 * found by running alone, and is estimated by that from then on (cost.h). The estimate alone would
 * be too little: a shard that has just become slow would serve one of them for seconds.
 */
#ifndef LEAT_ENGINE_BILL_H
#define LEAT_ENGINE_BILL_H

#include "engine/tenants.h"

typedef struct leat_charge {
    uint64_t tenant;
    uint32_t at; /* its place, as long as it has it */
    uint32_t records;
    double rows_us;   /* of its records */
    double served_us; /* what it was served for this batch so far */
} leat_charge;

typedef struct leat_bill {
    leat_charge *charges; /* memory is the caller's */
    uint32_t max;
    uint32_t count;
    uint32_t number; /* tells a shard's bills apart */
    uint32_t records;
    double rows_us; /* the sum of theirs */
    double estimate_us;
} leat_bill;

void leat_bill_begin(leat_bill *bill, leat_tenants *tenants);
/* So many records of the tenant, whose place is `at`. Tenants that there is no room for are charged
 * together with the first. */
void leat_bill_add(leat_bill *bill, leat_tenants *tenants, uint32_t at, uint32_t records);
/* How many records of the tenant it has. */
uint32_t leat_bill_records(const leat_bill *bill, const leat_tenants *tenants, uint32_t at);
/* The tenant is served what it was charged so far. */
void leat_bill_serve(leat_bill *bill, leat_tenants *tenants, uint32_t at);
/* There is at least one record, and there are no more. Everybody is served by the estimate. */
void leat_bill_close(leat_bill *bill, leat_tenants *tenants);
/* Everybody is served by what the batch took, or by the estimate: see above. */
void leat_bill_settle(leat_bill *bill, leat_tenants *tenants, int64_t took_us);
/* The batch was applied: everybody's costs are learned from it. `is_alone`: its only tenant was to
 * run alone. */
void leat_bill_learn(leat_bill *bill, leat_tenants *tenants, int64_t took_us, int64_t now_us,
                     bool is_alone);
/* The same of a batch that may have waited for a lock: its records take no longer than all of it
 * did. */
void leat_bill_learn_most(const leat_bill *bill, leat_tenants *tenants, int64_t took_us);

#endif
