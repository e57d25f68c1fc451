/*
 * buckets.c - rows of eight places, as in a cache: a name has its place in one row, which is a few
 * cache lines apart from all others. Inside, time is in nanoseconds, so that an interval is exact
 * enough at any rate.
 */
#include "edge/buckets.h"

#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)

void leat_buckets_init(leat_buckets *buckets, uint64_t rate, uint64_t burst, uint32_t names)
{
    *buckets = (leat_buckets){.rate = rate, .burst = burst};
    if (rate == 0)
        return;
    LEAT_ASSERT(burst > 0 && names > 0);
    buckets->rows = 1;
    while ((uint64_t)buckets->rows * LEAT_BUCKETS_WAYS < names)
        buckets->rows *= 2;
    buckets->buckets =
        leat_must_calloc((size_t)buckets->rows * LEAT_BUCKETS_WAYS, sizeof *buckets->buckets);
}

void leat_buckets_fini(leat_buckets *buckets)
{
    free(buckets->buckets);
    *buckets = (leat_buckets){0};
}

/* The place of the name: its own, else that of the name that is least ahead. */
static leat_bucket *place_of(leat_buckets *buckets, uint64_t name)
{
    leat_bucket *row = &buckets->buckets[(name & (buckets->rows - 1)) * LEAT_BUCKETS_WAYS];
    leat_bucket *best = row;
    for (uint32_t i = 0; i < LEAT_BUCKETS_WAYS; i++) {
        if (row[i].name == name)
            return &row[i];
        if (row[i].paid_ns < best->paid_ns)
            best = &row[i];
    }
    *best = (leat_bucket){.name = name};
    return best;
}

/* So many uses, as time. */
static int64_t cost_ns(const leat_buckets *buckets, uint64_t uses)
{
    return (int64_t)((uses * (uint64_t)SECOND_NS + buckets->rate - 1) / buckets->rate);
}

int64_t leat_buckets_take(leat_buckets *buckets, uint64_t name, int64_t now_us)
{
    if (buckets->rate == 0)
        return 0;
    leat_bucket *bucket = place_of(buckets, name);
    int64_t now_ns = now_us * 1000;
    int64_t from_ns = bucket->paid_ns > now_ns ? bucket->paid_ns : now_ns;
    int64_t until_ns = from_ns + cost_ns(buckets, 1);
    int64_t over_ns = until_ns - now_ns - cost_ns(buckets, buckets->burst);
    if (over_ns > 0) {
        bucket->refused += bucket->refused < UINT32_MAX;
        return (over_ns + 999) / 1000;
    }
    bucket->paid_ns = until_ns;
    return 0;
}

void leat_buckets_give(leat_buckets *buckets, uint64_t name)
{
    leat_bucket *bucket = place_of(buckets, name);
    bucket->paid_ns -= cost_ns(buckets, 1);
}

uint32_t leat_buckets_worst(leat_buckets *buckets, uint64_t *ret_name)
{
    uint32_t most = 0;
    for (size_t i = 0; i < (size_t)buckets->rows * LEAT_BUCKETS_WAYS; i++) {
        leat_bucket *bucket = &buckets->buckets[i];
        if (bucket->refused > most) {
            most = bucket->refused;
            *ret_name = bucket->name;
        }
        bucket->refused = 0;
    }
    return most;
}
