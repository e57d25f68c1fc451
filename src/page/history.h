/*
 * history.h - what a process has seen of itself in the last 15 minutes: a row of numbers every two
 * seconds, so that whoever looks after something has begun sees how it came. The numbers are sums
 * of metrics (ops/metrics.h): of the whole process and of each shard. One thread.
 */
#ifndef LEAT_PAGE_HISTORY_H
#define LEAT_PAGE_HISTORY_H

#include "ops/metrics.h"

enum { LEAT_HISTORY_EVERY_MS = 2000, LEAT_HISTORY_ROWS = 450 };

typedef struct leat_history leat_history;

/* `shards`: the names, in the order in which they are shown; borrowed. All metrics are registered
 * before the first row is taken. */
leat_history *leat_history_new(const leat_metrics *metrics, const char *const *shards,
                               uint32_t shard_count);
void leat_history_free(leat_history *history); /* NULL: none */

/* Adds a row. Rates are those since the row before, by `now_us` (leat_mono_us). */
void leat_history_take(leat_history *history, int64_t now_us, int64_t now_ms);

/* Appends, as members of a JSON object and without braces, what the last row has and the rows from
 * number `from` on, of those that are kept:
 *
 *   "process":{"accepted_s":12.5,...},"shards":[{"name":"a","time_lag_s":0.2,...},...],
 *   "history":{"next":451,"at_ms":[...],"process":{"accepted_s":[...],...},
 *              "shards":[{"time_lag_s":[...],...},...]}
 *
 * Rows are numbered from 0 in the life of the process; a `from` that is not yet there gives all.
 * What is not known is null. */
void leat_history_write(const leat_history *history, uint64_t from, leat_buf *out);

/* The name of each metric that is read, from index 0 on; NULL after the last. */
const char *leat_history_metric(size_t index);

#endif
