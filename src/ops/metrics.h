/*
 * metrics.h - counters, gauges and histograms, and their text in Prometheus' exposition format
 * 0.0.4. Our own because there is no maintained C client to link (prometheus-cpp is C++) and the
 * need is small.
 *
 * A cell is written by one thread and read by any, with relaxed loads, so a scrape never stops a
 * worker. All metrics are registered before threads start.
 */
#ifndef LEAT_OPS_METRICS_H
#define LEAT_OPS_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"

typedef struct leat_metrics leat_metrics;

typedef _Atomic uint64_t leat_counter;
typedef _Atomic int64_t leat_gauge; /* INT64_MIN: not known, and left out */

enum { LEAT_HISTOGRAM_BUCKETS = 26 };
/* Powers of two of microseconds from 64 us up to about 33 min; the sum in microseconds. */
typedef struct leat_histogram {
    _Atomic uint64_t buckets[LEAT_HISTOGRAM_BUCKETS + 1];
    _Atomic uint64_t sum_us;
} leat_histogram;

leat_metrics *leat_metrics_new(void);
void leat_metrics_free(leat_metrics *metrics);

/* `labels`: text without braces (`shard="a"`), NULL: none; leat_metrics_label escapes a value.
 * `name` and `help` are literals. Metrics of one name stand together in the output; help and type
 * are those of the first. The same name and labels may be registered again, for another thread:
 * their cells add up to one series. A gauge is shown as value / scale (1, 1000 for ms -> s, 1000000
 * for us -> s). A name that breaks Prometheus' rules (`_total` for counters and for nothing else,
 * base units) ends the process. */
leat_counter *leat_metrics_counter(leat_metrics *metrics, const char *name, const char *help,
                                   const char *labels);
leat_gauge *leat_metrics_gauge(leat_metrics *metrics, const char *name, const char *help,
                               const char *labels, int64_t scale);
leat_histogram *leat_metrics_histogram(leat_metrics *metrics, const char *name, const char *help,
                                       const char *labels);
/* name="value" with backslash, quote and newline escaped. */
void leat_metrics_label(leat_buf *out, const char *name, const char *value);

static inline void leat_count(leat_counter *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}
static inline void leat_count_to(leat_counter *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}
static inline void leat_gauge_set(leat_gauge *gauge, int64_t value)
{
    atomic_store_explicit(gauge, value, memory_order_relaxed);
}
void leat_observe_us(leat_histogram *histogram, int64_t us);

/* The whole exposition. Any thread. */
void leat_metrics_write(const leat_metrics *metrics, leat_buf *out);

#endif
