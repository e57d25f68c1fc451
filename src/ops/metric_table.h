/*
 * metric_table.h - every metric that the program has, one row each. The page /metrics, `leat
 * metrics` and docs/metrics.md are written from it, and a metric that is not in it cannot be
 * counted, so none is undocumented.
 */
#ifndef LEAT_OPS_METRIC_TABLE_H
#define LEAT_OPS_METRIC_TABLE_H

#include <stdio.h>

#include "base/base.h"

/* What it is, and in which unit its cells are; seconds are shown in any case. */
typedef enum leat_metric_kind {
    LEAT_METRIC_COUNTER,
    LEAT_METRIC_COUNTER_US,
    LEAT_METRIC_GAUGE,
    LEAT_METRIC_GAUGE_MS,
    LEAT_METRIC_GAUGE_US,
    LEAT_METRIC_LATENCY, /* a histogram of microseconds, from 100 us to a minute */
    LEAT_METRIC_LAG,     /* a histogram of milliseconds, from 5 ms to an hour */
    LEAT_METRIC_SIZE,    /* a histogram of numbers, from 1 to 16384 */
    LEAT_METRIC_KIND_COUNT
} leat_metric_kind;

/* Who has it: a section of the reference. */
typedef enum leat_metric_group {
    LEAT_METRIC_OF_PROCESS,
    LEAT_METRIC_OF_EDGE,
    LEAT_METRIC_OF_SHARD,
    LEAT_METRIC_OF_WORKER,
    LEAT_METRIC_GROUP_COUNT
} leat_metric_group;

typedef struct leat_metric {
    const char *name;
    leat_metric_group group;
    leat_metric_kind kind;
    const char *labels; /* their names, with a comma between them; "": none */
    const char *help;   /* one line of plain text, in the page and the reference */
    const char *more;   /* in the reference only; NULL: nothing */
} leat_metric;

enum { LEAT_HISTOGRAM_BUCKETS = 20 };

typedef struct leat_metric_shape {
    const char *type;      /* "counter", "gauge" or "histogram" */
    int64_t scale;         /* a cell's value / scale is shown; a power of ten */
    const int64_t *bounds; /* [bound_count], ascending, inclusive, in the unit of the cells */
    uint32_t bound_count;  /* at most LEAT_HISTOGRAM_BUCKETS; 0: no histogram */
} leat_metric_shape;
const leat_metric_shape *leat_metric_shape_of(leat_metric_kind kind);

/* In the order of the page. */
const leat_metric *leat_metric_table(size_t *ret_count);

/* By the rules that `promtool check metrics` has: counters and nothing else end in _total, units
 * are base units, no name pretends to be a part of a histogram. */
bool leat_metric_is_valid(const leat_metric *metric);

/* docs/metrics.md. */
void leat_metrics_print_reference(FILE *out);

#endif
