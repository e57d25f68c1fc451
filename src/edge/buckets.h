/*
 * buckets.h - how often each of very many may come: a rate and a burst for each name, in a table of
 * fixed size. Pure; time comes with the call.
 *
 * A name is a 64-bit hash. What it has used is one number, the time until which its uses are paid
 * for (the generic cell rate algorithm, as in ATM's traffic contracts): each use moves it on by one
 * interval, and it may be ahead of now by a burst of them. A name that is not ahead has nothing to
 * remember, so its place may be given away; where all places of a row are in use, the name that is
 * least ahead is forgotten. So a flood of different names makes the table forget, never grow, and
 * forgets those first that are furthest from their limit.
 */
#ifndef LEAT_EDGE_BUCKETS_H
#define LEAT_EDGE_BUCKETS_H

#include "base/base.h"

enum { LEAT_BUCKETS_WAYS = 8 };

typedef struct leat_bucket {
    uint64_t name;
    int64_t paid_ns;  /* its uses are paid for until then */
    uint32_t refused; /* since leat_buckets_worst last began anew */
} leat_bucket;

typedef struct leat_buckets {
    uint64_t rate;        /* uses a second; 0: no limit, and no table */
    uint64_t burst;       /* uses at once; above 0 */
    uint32_t rows;        /* a power of two */
    leat_bucket *buckets; /* [rows * LEAT_BUCKETS_WAYS] */
} leat_buckets;

/* `names`: how many can be limited at a time, at least. */
void leat_buckets_init(leat_buckets *buckets, uint64_t rate, uint64_t burst, uint32_t names);
void leat_buckets_fini(leat_buckets *buckets);
/* One use of the name, now. 0: it may; else it may not and has not been counted: after how many
 * microseconds it may. */
int64_t leat_buckets_take(leat_buckets *buckets, uint64_t name, int64_t now_us);
/* Takes back the last use of the name that was let through: it was not made after all. */
void leat_buckets_give(leat_buckets *buckets, uint64_t name);
/* How many uses of the name would be let through now, one after another, and after how many
 * microseconds without any it has its whole burst again. Changes nothing. */
uint64_t leat_buckets_left(const leat_buckets *buckets, uint64_t name, int64_t now_us,
                           int64_t *ret_full_us);
/* The name that was refused most often since this was last called, and how often (0: none was).
 * Walks the table. */
uint32_t leat_buckets_worst(leat_buckets *buckets, uint64_t *ret_name);

#endif
