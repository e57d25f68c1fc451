/*
 * buckets.c - rows of eight places, as in a cache: a name has its place in one row, which is a few
 * cache lines apart from all others. Inside, time is in nanoseconds, so that an interval is exact
 * enough at any rate.
 */
#include "edge/buckets.h"

#include "base/pages.h"

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
        leat_must_pages((size_t)buckets->rows * LEAT_BUCKETS_WAYS, sizeof *buckets->buckets);
}

void leat_buckets_fini(leat_buckets *buckets)
{
    leat_pages_free(buckets->buckets,
                    (size_t)buckets->rows * LEAT_BUCKETS_WAYS * sizeof *buckets->buckets);
    *buckets = (leat_buckets){0};
}

static leat_bucket *row_of(const leat_buckets *buckets, uint64_t name)
{
    return &buckets->buckets[(name & (buckets->rows - 1)) * LEAT_BUCKETS_WAYS];
}

/* The place of the name: its own, else that of the name that is least ahead. */
static leat_bucket *place_of(leat_buckets *buckets, uint64_t name)
{
    leat_bucket *row = row_of(buckets, name);
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

/* One use, as time: rounded up, so that in the long run it is not more than the rate. */
static int64_t interval_ns(const leat_buckets *buckets)
{
    return (int64_t)(((uint64_t)SECOND_NS + buckets->rate - 1) / buckets->rate);
}

/* As many rounded intervals: otherwise the last use of a burst would be some nanoseconds early. */
static int64_t burst_ns(const leat_buckets *buckets)
{
    return (int64_t)buckets->burst * interval_ns(buckets);
}

int64_t leat_buckets_take(leat_buckets *buckets, uint64_t name, int64_t now_us)
{
    if (buckets->rate == 0)
        return 0;
    leat_bucket *bucket = place_of(buckets, name);
    int64_t now_ns = now_us * 1000;
    int64_t from_ns = bucket->paid_ns > now_ns ? bucket->paid_ns : now_ns;
    int64_t until_ns = from_ns + interval_ns(buckets);
    int64_t over_ns = until_ns - now_ns - burst_ns(buckets);
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
    bucket->paid_ns -= interval_ns(buckets);
}

uint64_t leat_buckets_left(const leat_buckets *buckets, uint64_t name, int64_t now_us,
                           int64_t *ret_full_us)
{
    LEAT_ASSERT(buckets->rate > 0);
    const leat_bucket *row = row_of(buckets, name);
    int64_t now_ns = now_us * 1000, ahead_ns = 0;
    for (uint32_t i = 0; i < LEAT_BUCKETS_WAYS; i++)
        if (row[i].name == name && row[i].paid_ns > now_ns)
            ahead_ns = row[i].paid_ns - now_ns;
    int64_t free_ns = burst_ns(buckets) - ahead_ns;
    *ret_full_us = (ahead_ns + 999) / 1000;
    return free_ns > 0 ? (uint64_t)(free_ns / interval_ns(buckets)) : 0;
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
