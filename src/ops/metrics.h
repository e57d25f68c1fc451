/*
 * metrics.h - counters, gauges and histograms, and the page that shows them, in OpenMetrics 1.0 or
 * in Prometheus' exposition format 0.0.4. Our own because there is no maintained C client to link
 * (prometheus-cpp is C++) and the need is small.
 *
 * A cell is written by one thread and read by any, with relaxed loads, so a scrape never stops a
 * worker. All metrics are registered before threads start.
 */
#ifndef LEAT_OPS_METRICS_H
#define LEAT_OPS_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "ops/exemplar.h"
#include "ops/metric_table.h"

typedef struct leat_metrics leat_metrics;

typedef _Atomic uint64_t leat_counter;
typedef _Atomic int64_t leat_gauge; /* INT64_MIN: not known, and left out */

typedef struct leat_histogram {
    const leat_metric_shape *shape;
    uint32_t last; /* the bucket that was counted last: the next value is often like it */
    _Atomic uint64_t buckets[LEAT_HISTOGRAM_BUCKETS + 1];
    _Atomic uint64_t sum;
    leat_exemplar exemplars[LEAT_HISTOGRAM_BUCKETS + 1]; /* of each bucket, the newest */
} leat_histogram;

/* Of leat_metric_table. */
leat_metrics *leat_metrics_new(void);
/* Of another table, which is borrowed. A row that is not valid ends the process. */
leat_metrics *leat_metrics_new_of(const leat_metric *table, size_t count);
void leat_metrics_free(leat_metrics *metrics);

/* `name` is one of the table, of that kind, and `labels` has its labels in their order: text
 * without braces (`worker="0",shard="a"`; leat_metrics_label escapes a value), NULL: none. Anything
 * else ends the process. A counter begins with 0, and so does a gauge. The same name and may be
 * registered again, for another thread: their cells add up to one series. */
leat_counter *leat_metrics_counter(leat_metrics *metrics, const char *name, const char *labels);
leat_gauge *leat_metrics_gauge(leat_metrics *metrics, const char *name, const char *labels);
leat_histogram *leat_metrics_histogram(leat_metrics *metrics, const char *name, const char *labels);
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
/* `times` values, in the unit of the histogram's kind; less than 0 counts as 0. */
void leat_observe(leat_histogram *histogram, int64_t value, uint64_t times);

/* A cell of a counter or of a gauge; the cells of one series stand for themselves. */
typedef struct leat_metric_cell {
    const char *name;
    const char *labels;          /* "": none */
    const leat_counter *counter; /* one of the two */
    const leat_gauge *gauge;
    int64_t scale; /* value / scale is shown */
} leat_metric_cell;
/* Calls `see` for each; what it is given stays valid. Any thread. */
void leat_metrics_each(const leat_metrics *metrics,
                       void (*see)(void *context, const leat_metric_cell *cell), void *context);
/* The trace that a value belongs to, which was observed or will be: in OpenMetrics it is shown with
 * the value's bucket, until another one is. For one in the older format Prometheus refuses the
 * page. */
void leat_observe_trace(leat_histogram *histogram, int64_t value, const uint8_t trace_id[16]);

typedef enum leat_metrics_format {
    LEAT_METRICS_TEXT, /* Prometheus' text 0.0.4 */
    LEAT_METRICS_OPEN, /* OpenMetrics 1.0.0 */
    LEAT_METRICS_FORMATS
} leat_metrics_format;

/* What a client that sends this Accept gets. Only one that names OpenMetrics can be sure to read
 * it: whoever accepts everything gets the older text. */
leat_metrics_format leat_metrics_accepted(leat_slice accept);
const char *leat_metrics_content_type(leat_metrics_format format);
/* The whole page, in the order of the table, and of what was registered. Any thread. */
void leat_metrics_write(const leat_metrics *metrics, leat_metrics_format format, leat_buf *out);

#endif
