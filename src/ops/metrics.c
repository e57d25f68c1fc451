/*
 * metrics.c - every metric has cells that one thread writes: a counter is a relaxed load and store,
 * not a locked add, and cells lie on cache lines of their own, so counting costs a thread next to
 * nothing and never waits for another. The price is paid by a scrape, which walks all metrics and
 * adds up the cells of one series; it comes every few seconds, a count a million times a second.
 *
 * Names are checked when they are registered, because a wrong one would be noticed only when
 * somebody needs the graph.
 */
#include "ops/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_BUCKET_US = 64,
    FIRST_BUCKET_BITS = 6,
    CACHE_LINE = 64, /* cells of different threads never share one */
};

typedef enum metric_kind { COUNTER, GAUGE, HISTOGRAM } metric_kind;

static const char *const kind_names[] = {
    [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

typedef struct metric {
    metric_kind kind;
    const char *name; /* borrowed literals */
    const char *help;
    char *labels; /* "" when there are none */
    int64_t scale;
    union {
        void *cell; /* owned */
        leat_counter *counter;
        leat_gauge *gauge;
        leat_histogram *histogram;
    };
} metric;

struct leat_metrics {
    metric *metrics;
    size_t count;
    size_t capacity;
};

leat_metrics *leat_metrics_new(void)
{
    return leat_must_calloc(1, sizeof(leat_metrics));
}

void leat_metrics_free(leat_metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->count; i++) {
        free(metrics->metrics[i].labels);
        free(metrics->metrics[i].cell);
    }
    free(metrics->metrics);
    free(metrics);
}

/* ---- registration ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* The rules of `promtool check metrics`. */
static bool is_valid_name(const char *name, metric_kind kind)
{
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) || *name == '_' ||
        (*name >= '0' && *name <= '9'))
        return false;
    if (ends_with(name, "_total") != (kind == COUNTER))
        return false;
    return !ends_with(name, "_count") && !ends_with(name, "_sum") && !ends_with(name, "_bucket") &&
           !ends_with(name, "_ms") && !ends_with(name, "_us") && !ends_with(name, "_milliseconds");
}

static metric *add(leat_metrics *metrics, metric_kind kind, const char *name, const char *labels,
                   size_t cell_size)
{
    LEAT_ASSERT(is_valid_name(name, kind));
    for (size_t i = 0; i < metrics->count; i++)
        LEAT_ASSERT(strcmp(metrics->metrics[i].name, name) != 0 ||
                    metrics->metrics[i].kind == kind);
    if (metrics->count == metrics->capacity) {
        size_t capacity = metrics->capacity ? metrics->capacity * 2 : 64;
        metric *grown = leat_must_calloc(capacity, sizeof *grown);
        if (metrics->count > 0)
            memcpy(grown, metrics->metrics, metrics->count * sizeof *grown);
        free(metrics->metrics);
        metrics->metrics = grown;
        metrics->capacity = capacity;
    }
    size_t size = (cell_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *cell = aligned_alloc(CACHE_LINE, size);
    LEAT_ASSERT(cell);
    memset(cell, 0, size);
    metric *added = &metrics->metrics[metrics->count++];
    *added = (metric){
        .kind = kind,
        .name = name,
        .labels = leat_must_strdup(labels ? labels : ""),
        .scale = 1,
        .cell = cell,
    };
    return added;
}

leat_counter *leat_metrics_counter(leat_metrics *metrics, const char *name, const char *help,
                                   const char *labels)
{
    metric *added = add(metrics, COUNTER, name, labels, sizeof(leat_counter));
    added->help = help;
    return added->counter;
}

leat_gauge *leat_metrics_gauge(leat_metrics *metrics, const char *name, const char *help,
                               const char *labels, int64_t scale)
{
    LEAT_ASSERT(scale > 0);
    metric *added = add(metrics, GAUGE, name, labels, sizeof(leat_gauge));
    added->help = help;
    added->scale = scale;
    return added->gauge;
}

leat_histogram *leat_metrics_histogram(leat_metrics *metrics, const char *name, const char *help,
                                       const char *labels)
{
    LEAT_ASSERT(ends_with(name, "_seconds"));
    metric *added = add(metrics, HISTOGRAM, name, labels, sizeof(leat_histogram));
    added->help = help;
    return added->histogram;
}

void leat_metrics_label(leat_buf *out, const char *name, const char *value)
{
    leat_buf_text(out, name);
    leat_buf_text(out, "=\"");
    for (const char *at = value; *at; at++) {
        if (*at == '\n')
            leat_buf_text(out, "\\n");
        else if (*at == '"' || *at == '\\')
            leat_buf_append(out, (const char[]){'\\', *at}, 2);
        else
            leat_buf_byte(out, *at);
    }
    leat_buf_byte(out, '"');
}

/* ---- observing ---- */

/* By the smallest power of two at or above the value: bounds are inclusive. */
static size_t bucket_of(uint64_t us)
{
    if (us <= FIRST_BUCKET_US)
        return 0;
    size_t bits = 64 - (size_t)__builtin_clzll(us - 1);
    size_t bucket = bits - FIRST_BUCKET_BITS;
    LEAT_ASSERT(bits > FIRST_BUCKET_BITS);
    return bucket < LEAT_HISTOGRAM_BUCKETS ? bucket : LEAT_HISTOGRAM_BUCKETS;
}

/* Only the thread that owns the cell adds to it, so no addition is lost. */
static void add_to(_Atomic uint64_t *cell, uint64_t more)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

void leat_observe_us(leat_histogram *histogram, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;
    add_to(&histogram->buckets[bucket_of(value)], 1);
    add_to(&histogram->sum_us, value);
}

/* ---- writing ---- */

/* value / scale as a decimal number without rounding; scale is 1 or a power of ten. */
static void put_scaled(leat_buf *out, uint64_t value, uint64_t scale)
{
    LEAT_ASSERT(scale > 0);
    leat_buf_printf(out, "%" PRIu64, value / scale);
    uint64_t rest = value % scale;
    if (rest == 0)
        return;
    leat_buf_byte(out, '.');
    while (rest > 0 && scale > 1) {
        scale /= 10;
        leat_buf_byte(out, (char)('0' + (int)(rest / scale)));
        rest %= scale;
    }
}

static void put_series(leat_buf *out, const metric *series, const char *suffix, const char *le)
{
    leat_buf_text(out, series->name);
    leat_buf_text(out, suffix);
    bool labelled = *series->labels != '\0';
    if (labelled || le) {
        leat_buf_byte(out, '{');
        leat_buf_text(out, series->labels);
        if (le)
            leat_buf_printf(out, "%sle=\"%s\"", labelled ? "," : "", le);
        leat_buf_byte(out, '}');
    }
    leat_buf_byte(out, ' ');
}

static bool same_series(const metric *a, const metric *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->labels, b->labels) == 0;
}

/* Is the metric at `at` the first of its series, or of its name? Cells of several threads may be
 * one series. */
static bool is_first(const leat_metrics *metrics, size_t at, bool of_name)
{
    const metric *here = &metrics->metrics[at];
    for (size_t i = 0; i < at; i++)
        if (of_name ? strcmp(metrics->metrics[i].name, here->name) == 0
                    : same_series(&metrics->metrics[i], here))
            return false;
    return true;
}

static void write_counter(const leat_metrics *metrics, size_t first, leat_buf *out)
{
    const metric *series = &metrics->metrics[first];
    LEAT_ASSERT(series->kind == COUNTER);
    uint64_t sum = 0;
    for (size_t i = first; i < metrics->count; i++)
        if (same_series(&metrics->metrics[i], series))
            sum += atomic_load_explicit(metrics->metrics[i].counter, memory_order_relaxed);
    put_series(out, series, "", NULL);
    leat_buf_printf(out, "%" PRIu64 "\n", sum);
}

static void write_gauge(const leat_metrics *metrics, size_t first, leat_buf *out)
{
    const metric *series = &metrics->metrics[first];
    LEAT_ASSERT(series->kind == GAUGE);
    int64_t sum = 0;
    bool known = false;
    for (size_t i = first; i < metrics->count; i++) {
        if (!same_series(&metrics->metrics[i], series))
            continue;
        int64_t value = atomic_load_explicit(metrics->metrics[i].gauge, memory_order_relaxed);
        if (value == INT64_MIN)
            continue;
        sum += value;
        known = true;
    }
    if (!known)
        return;
    put_series(out, series, "", NULL);
    if (sum < 0)
        leat_buf_byte(out, '-');
    put_scaled(out, sum < 0 ? 0 - (uint64_t)sum : (uint64_t)sum, (uint64_t)series->scale);
    leat_buf_byte(out, '\n');
}

/* The count is the sum of the buckets as they were read, so the lines agree although other threads
 * go on observing. */
static void write_histogram(const leat_metrics *metrics, size_t first, leat_buf *out)
{
    const metric *series = &metrics->metrics[first];
    LEAT_ASSERT(series->kind == HISTOGRAM);
    uint64_t buckets[LEAT_HISTOGRAM_BUCKETS + 1] = {0};
    uint64_t sum_us = 0;
    for (size_t i = first; i < metrics->count; i++) {
        if (!same_series(&metrics->metrics[i], series))
            continue;
        for (size_t b = 0; b <= LEAT_HISTOGRAM_BUCKETS; b++)
            buckets[b] += atomic_load_explicit(&metrics->metrics[i].histogram->buckets[b],
                                               memory_order_relaxed);
        sum_us +=
            atomic_load_explicit(&metrics->metrics[i].histogram->sum_us, memory_order_relaxed);
    }
    uint64_t count = 0;
    for (size_t b = 0; b <= LEAT_HISTOGRAM_BUCKETS; b++) {
        leat_buf bound = {0};
        if (b < LEAT_HISTOGRAM_BUCKETS)
            put_scaled(&bound, (uint64_t)FIRST_BUCKET_US << b, 1000000);
        else
            leat_buf_text(&bound, "+Inf");
        count += buckets[b];
        const char *le = leat_buf_cstr(&bound);
        put_series(out, series, "_bucket", le ? le : "");
        leat_buf_printf(out, "%" PRIu64 "\n", count);
        leat_buf_free(&bound);
    }
    put_series(out, series, "_sum", NULL);
    put_scaled(out, sum_us, 1000000);
    leat_buf_byte(out, '\n');
    put_series(out, series, "_count", NULL);
    leat_buf_printf(out, "%" PRIu64 "\n", count);
}

static void write_family(const leat_metrics *metrics, size_t first, leat_buf *out)
{
    static void (*const writers[])(const leat_metrics *, size_t, leat_buf *) = {
        [COUNTER] = write_counter, [GAUGE] = write_gauge, [HISTOGRAM] = write_histogram};
    const metric *family = &metrics->metrics[first];
    leat_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                    kind_names[family->kind]);
    for (size_t i = first; i < metrics->count; i++)
        if (strcmp(metrics->metrics[i].name, family->name) == 0 && is_first(metrics, i, false))
            writers[family->kind](metrics, i, out);
}

void leat_metrics_write(const leat_metrics *metrics, leat_buf *out)
{
    for (size_t i = 0; i < metrics->count; i++)
        if (is_first(metrics, i, true))
            write_family(metrics, i, out);
}
