/*
 * tenants.h - the tenants of a shard: what a record of each costs, how far each has been served,
 * and who is next.
 *
 * `served_us` is a virtual time: what a tenant was served counts forward from there, in database
 * time. The tenant that is furthest behind is next, so all that have work get the same time,
 * however much each has waiting. Those within the same LEAT_TENANT_EVEN_US have been served alike,
 * and the one is next whose record has waited longest: else, where a thousand tenants share a shard
 * that is busy, one that was served a millisecond more would wait for seconds, and with it all who
 * have records behind its own. One that comes back after a pause starts where the others are; one
 * that is ahead of them has a *debt*, and waits until the others have come as far. A debt decays by
 * half each second in which its tenant has nothing to run, and is bounded. (Deficit round robin,
 * Shreedhar and Varghese 1995, with the deficit kept as a position: Goyal's start-time fair
 * queueing, 1996.)
 *
 * There are LEAT_TENANTS_MAX at most, besides the one that stands for records without a tenant and
 * for tenants that have found no room. When a new one needs room, one that has nothing to run goes,
 * of a few that are looked at the one with the lowest debt.
 *
 * Tenants with work are in one heap for each class of cost (cost.h).
 */
#ifndef LEAT_ENGINE_TENANTS_H
#define LEAT_ENGINE_TENANTS_H

#include "engine/cost.h"
#include "engine/pairing.h"

enum {
    LEAT_TENANTS_MAX = 4096,
    LEAT_TENANT_OTHERS = 0, /* the place of records without a tenant */
    LEAT_TENANT_BUCKETS = 4096,
    LEAT_TENANT_DEPTHS = 16,
};

/* The longest debt: so long may a tenant wait for the others after one very long batch. */
#define LEAT_TENANT_DEBT_MAX_US (5 * INT64_C(1000000))
/* A step of what tenants were served: what a batch takes is known no better. */
#define LEAT_TENANT_EVEN_US INT64_C(4096)
/* How far one may fall behind that has work and is not served, because its batches are slow. */
#define LEAT_TENANT_BEHIND_MAX_US (1 * INT64_C(1000000))

typedef struct leat_tenant {
    uint64_t tenant; /* the hash of its text; 0 at LEAT_TENANT_OTHERS */
    double row_us;   /* of one record */
    int64_t served_us;
    int64_t alone_us;  /* when row_us was last learned from a batch of its own that took too long */
    double before_us;  /* what it was before that, when the shard was last as fast as thought */
    int64_t paused_us; /* since when it has nothing to run; meaningful while `ready` is 0 */
    uint32_t ready;    /* its queues that could run (ready.h) */
    uint16_t next;     /* in its bucket, a place + 1; 0: none */
    uint8_t class;     /* of row_us */
    bool is_known;     /* row_us was learned from a batch of its own */
    bool suspected;    /* its last batch surprised, with many others in it, */
    int64_t suspected_us; /* and was done then */
    uint16_t company;     /* its next batch has at most so many tenants; 0: any number */
    uint32_t bill;        /* bill.h: in the one of this number, `charge` is its own */
    uint32_t charge;
    uint32_t head[LEAT_TENANT_DEPTHS]; /* ready.h, like the next three */
    uint32_t tail[LEAT_TENANT_DEPTHS];
    uint32_t depths;
    uint32_t oldest;
} leat_tenant;

typedef struct leat_tenants {
    leat_tenant *at;          /* [LEAT_TENANTS_MAX + 1] */
    leat_pairing_node *nodes; /* likewise: keys are leat_tenants_step, then when the head that has
                                 waited longest was read */
    uint16_t *buckets;        /* [LEAT_TENANT_BUCKETS]: a place + 1; 0: none */
    leat_cost cost;           /* of the shard */
    uint64_t only;            /* the first one that was seen */
    bool has_only;
    bool has_many;                     /* there was another one, ever */
    uint32_t used;                     /* places handed out at least once */
    uint32_t hand;                     /* where the next one to go is looked for */
    uint32_t ready;                    /* tenants with something to run */
    uint32_t bills;                    /* written, ever */
    int64_t served_us;                 /* of the one that was served last: where a new one starts */
    uint32_t first[LEAT_COST_CLASSES]; /* heaps */
} leat_tenants;

/* All three arrays zeroed. */
void leat_tenants_init(leat_tenants *tenants, leat_tenant *at, leat_pairing_node *nodes,
                       uint16_t *buckets);
/* Its place; LEAT_TENANT_OTHERS: it has none. */
uint32_t leat_tenants_find(const leat_tenants *tenants, uint64_t tenant);
/* Its place, one that has just become free if need be. A record of a new one is thought to cost
 * what is usual. */
uint32_t leat_tenants_take(leat_tenants *tenants, uint64_t tenant);
/* One more of its queues can run, or one less. `oldest_us`: when the head that has waited longest
 * was read; not looked at if none is left. */
void leat_tenants_ready(leat_tenants *tenants, uint32_t at, int64_t oldest_us, int64_t now_us);
void leat_tenants_quiet(leat_tenants *tenants, uint32_t at, int64_t oldest_us, int64_t now_us);
/* What it was served, in steps; of a tenant that was served less than nothing, -1 or less. */
static inline int64_t leat_tenants_step(int64_t served_us)
{
    return (served_us - (served_us < 0 ? LEAT_TENANT_EVEN_US - 1 : 0)) / LEAT_TENANT_EVEN_US;
}
/* It was served so much time; negative: so much less than was said before. */
void leat_tenants_serve(leat_tenants *tenants, uint32_t at, double us);
void leat_tenants_set_cost(leat_tenants *tenants, uint32_t at, double row_us);
/* The first of a class is being served: new ones start there. */
void leat_tenants_lead(leat_tenants *tenants, uint32_t at);
/* A record of this tenant has come. */
static inline void leat_tenants_saw(leat_tenants *tenants, uint64_t tenant)
{
    if (tenants->has_only && tenant == tenants->only)
        return;
    tenants->has_many = tenants->has_only;
    tenants->only = tenants->has_only ? tenants->only : tenant;
    tenants->has_only = true;
}
/* Was there only one so far, so that there is nobody to be fair to? */
static inline bool leat_tenants_is_one(const leat_tenants *tenants)
{
    return !tenants->has_many;
}
void leat_tenants_validate(const leat_tenants *tenants);

#endif
