/* Buckets grow with the value, as in HdrHistogram: 64 between a power of two and the next. So one
 * array takes microseconds and hours with the same relative error, adding is a few instructions in
 * the path that is measured, and no sample is dropped or kept. */
#include "lib/hist.h"

enum { SUB = 1 << HIST_SUB_BITS };

/* Values below 64 have a bucket each; above, the 6 bits after the leading one choose among the 64
 * of its power. */
static size_t bucket_of(uint64_t us)
{
    if (us < SUB)
        return (size_t)us;
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    unsigned shift = power - HIST_SUB_BITS;
    size_t bucket = ((size_t)(shift + 1) << HIST_SUB_BITS) + ((size_t)(us >> shift) & (SUB - 1));
    return bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1;
}

/* The middle of a bucket. */
static double value_of(size_t bucket)
{
    if (bucket < SUB)
        return (double)bucket;
    unsigned shift = (unsigned)(bucket >> HIST_SUB_BITS) - 1;
    uint64_t low = (uint64_t)(SUB + (bucket & (SUB - 1))) << shift;
    return (double)low + (double)((uint64_t)1 << shift) / 2;
}

void hist_add(hist *h, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->max_us)
        h->max_us = value;
}

double hist_ms(const hist *h, double share)
{
    if (h->count == 0)
        return 0;
    uint64_t wanted = (uint64_t)(share * (double)h->count), seen = 0;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > wanted || seen == h->count) {
            double us = value_of(i);
            return (us < (double)h->max_us ? us : (double)h->max_us) / 1000;
        }
    }
    return hist_max_ms(h);
}

double hist_max_ms(const hist *h)
{
    return (double)h->max_us / 1000;
}
