/*
 * batch_size.h - how many records a batch of a shard may have when several subpartitions share it.
 *
 * As many as configured, unless they take too long: after a time limit cut one short, or one took
 * LEAT_BATCH_SLOW_US, batches are smaller. They grow back while full batches are quick. The more
 * often a size was cut short, the more rarely it is tried again. (Additive steps adapt too slowly
 * from a thousand to ten and back. This is the doubling of a back-off, by time and not by count
 * alone.)
 */
#ifndef LEAT_ENGINE_BATCH_SIZE_H
#define LEAT_ENGINE_BATCH_SIZE_H

#include "base/base.h"

/* A batch that takes this long is too large: others wait for its locks, and leat itself gives up a
 * batch after 60 s. */
#define LEAT_BATCH_SLOW_US (10 * INT64_C(1000000))

typedef struct leat_batch_size {
    uint32_t limit;    /* 0: as configured */
    uint32_t passes;   /* full and quick ones in a row */
    uint32_t patience; /* after this many it doubles; 0: the minimum */
} leat_batch_size;

/* Most records of the next batch. */
uint32_t leat_batch_size_max(const leat_batch_size *size, uint32_t records_max);
/* A batch of `records` was applied in `took_us`. */
void leat_batch_size_applied(leat_batch_size *size, uint32_t records, int64_t took_us,
                             uint32_t records_max);
/* A batch was cut short after `took_us`; fewer records might have passed. */
void leat_batch_size_timed_out(leat_batch_size *size, uint32_t records, int64_t took_us);

#endif
