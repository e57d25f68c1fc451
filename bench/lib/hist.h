/*
 * hist.h - a histogram of durations in microseconds: buckets within 1.6 % of the value, constant
 * memory, no allocation.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include "base/base.h"

enum {
    HIST_SUB_BITS = 6,                  /* 64 buckets between a power of two and the next */
    HIST_BUCKETS = 36 << HIST_SUB_BITS, /* up to 2^41 us, 25 days; longer counts as that */
};

typedef struct hist {
    uint64_t count;
    uint64_t max_us;
    uint64_t buckets[HIST_BUCKETS];
} hist;

void hist_add(hist *h, int64_t us);
/* The value that `share` (0 to 1) of all are at or below, in milliseconds; 0 when there are
 * none. */
double hist_ms(const hist *h, double share);
double hist_max_ms(const hist *h);

#endif
