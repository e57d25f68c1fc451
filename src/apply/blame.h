/*
 * blame.h - who takes most of a shard: tenants and keys by records applied, by the time that the
 * database had for their batches, and by the time that their records have waited. Pure, of fixed
 * size (heavy.h), and faded, so that it tells of the last minutes.
 *
 * It is fed by batch. Of a large one it looks at one record in LEAT_BLAME_SAMPLE, which stands for
 * its neighbours, and at LEAT_BLAME_WHOLE of each batch at least (all of a smaller one): a batch of
 * one record that takes long is never overlooked, and a large one costs little. So what it counts
 * is exact for small batches, and else an estimate, too high or too low.
 */
#ifndef LEAT_APPLY_BLAME_H
#define LEAT_APPLY_BLAME_H

#include "base/sample.h"
#include "engine/batch.h"
#include "ops/heavy.h"

enum { LEAT_BLAME_SAMPLE = 64, LEAT_BLAME_WHOLE = 8 };

typedef enum leat_blame_by {
    LEAT_BLAME_RECORDS,  /* applied */
    LEAT_BLAME_DATABASE, /* microseconds from giving a batch to the shard until its answer, divided
                            among its records; whatever the answer was */
    LEAT_BLAME_WAITED,   /* milliseconds from accepted to applied, of all records together */
    LEAT_BLAME_BY_COUNT
} leat_blame_by;

typedef struct leat_blame {
    leat_heavy tenants[LEAT_BLAME_BY_COUNT];
    leat_heavy keys[LEAT_BLAME_BY_COUNT];
    double span_us; /* the time that the weights are of, faded as they are */
    int64_t faded_us;
    int64_t seen_us;
    leat_sample sample; /* which records of the next batch are looked at */
} leat_blame;

/* Its job was answered at `wall_ms` after `took_us`. The payloads are leat_items. */
void leat_blame_batch(leat_blame *blame, const leat_engine_batch *batch, bool is_applied,
                      int64_t took_us, int64_t wall_ms);
/* Time passes: a few times a second, by a monotonic clock. */
void leat_blame_pass(leat_blame *blame, int64_t now_us);

#endif
