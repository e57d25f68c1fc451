/*
 * concurrency.h - how many batches a shard is given at once, below its hard cap.
 *
 * A database that gets more at once than it can do makes all of it slower, and does no more in
 * total. So the limit follows from how long batches take compared with the shard's calm level
 * (cost.h): when the median of a window says more than twice as long, the limit shrinks in
 * proportion; else it grows by half its square root, which is what may queue in the database
 * without harm. (The gradient family of Netflix' concurrency-limits, after TCP Vegas.)
 *
 * What a batch took is compared with its own estimate, so large batches and expensive tenants are
 * no sign of trouble. Batches that failed, waited for a lock, were alone for any reason, or have
 * one record say nothing about the database, and neither count below the limit.
 */
#ifndef LEAT_ENGINE_CONCURRENCY_H
#define LEAT_ENGINE_CONCURRENCY_H

#include "engine/median.h"

enum { LEAT_CONCURRENCY_MIN = 2 };

/* All zero is one that knows nothing yet. */
typedef struct leat_concurrency {
    double limit;       /* 0: not limited yet, as many as there are slots */
    leat_median window; /* slowness, in thousandths */
    uint32_t samples;   /* since the limit last changed */
    uint32_t busy;      /* of those, taken when the limit was reached */
} leat_concurrency;

/* How many batches the shard may be given at once, with so many slots. */
uint32_t leat_concurrency_limit(const leat_concurrency *concurrency, uint32_t slots);
/* A batch took `slowness` times as long as it takes when the shard is calm (leat_cost_slowness),
 * while `running` others of its kind were under way. */
void leat_concurrency_sample(leat_concurrency *concurrency, double slowness, uint32_t running,
                             uint32_t slots);

#endif
