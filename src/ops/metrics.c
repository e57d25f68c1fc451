/*
 * metrics.c - every series has cells that one thread each writes: a counter is a relaxed load and
 * store, not a locked add, and cells lie on cache lines of their own, so counting costs a thread
 * next to nothing and never waits for another. The price is paid by a scrape, which adds up the
 * cells of each series; it comes every few seconds, a count a million times a second.
 *
 * Names and labels are checked when they are registered, because a wrong one would be noticed only
 * when somebody needs the graph.
 */
#include "ops/metrics.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    CACHE_LINE = 64, /* cells of different threads never share one */
    BLOCK_SIZE = 16 * 1024,
    FIRST_SLOTS = 256,
};

/* What one thread has counted of a series. `next` is written before threads start. */
typedef struct cell {
    struct cell *next; /* of another thread */
    union {
        leat_counter counter;
        leat_gauge gauge;
        leat_histogram histogram;
    };
} cell;

typedef struct series {
    const leat_metric *metric;
    uint64_t hash;
    cell *cells;
    struct series *next; /* of the same metric */
    char labels[];       /* "" when there are none */
} series;

/* Series and cells are never given back one by one. */
typedef struct block {
    struct block *next;
    size_t used;
} block;

struct leat_metrics {
    const leat_metric *table;
    size_t table_count;
    series **first, **last; /* [table_count] */
    series **slots;         /* [slot_count] open addressing, by hash: is it registered already? */
    size_t slot_count;      /* a power of two, at most half of them used */
    size_t series_count;
    block *blocks;
};

leat_metrics *leat_metrics_new(void)
{
    size_t count;
    const leat_metric *table = leat_metric_table(&count);
    return leat_metrics_new_of(table, count);
}

leat_metrics *leat_metrics_new_of(const leat_metric *table, size_t count)
{
    leat_metrics *metrics = leat_must_calloc(1, sizeof *metrics);
    for (size_t i = 0; i < count; i++)
        LEAT_ASSERT(leat_metric_is_valid(&table[i]));
    metrics->table = table;
    metrics->table_count = count;
    metrics->first = leat_must_calloc(count, sizeof(series *));
    metrics->last = leat_must_calloc(count, sizeof(series *));
    metrics->slot_count = FIRST_SLOTS;
    metrics->slots = leat_must_calloc(metrics->slot_count, sizeof(series *));
    return metrics;
}

void leat_metrics_free(leat_metrics *metrics)
{
    if (!metrics)
        return;
    for (block *next, *at = metrics->blocks; at; at = next) {
        next = at->next;
        free(at);
    }
    free(metrics->slots);
    free(metrics->first);
    free(metrics->last);
    free(metrics);
}

/* ---- registration ---- */

/* Zeroed, on a cache line of its own. */
static void *take(leat_metrics *metrics, size_t size)
{
    size_t lines = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    LEAT_ASSERT(lines <= BLOCK_SIZE - CACHE_LINE);
    if (!metrics->blocks || metrics->blocks->used + lines > BLOCK_SIZE) {
        block *added = aligned_alloc(CACHE_LINE, BLOCK_SIZE);
        LEAT_ASSERT(added);
        memset(added, 0, BLOCK_SIZE);
        *added = (block){.next = metrics->blocks, .used = CACHE_LINE};
        metrics->blocks = added;
    }
    char *taken = (char *)metrics->blocks + metrics->blocks->used;
    metrics->blocks->used += lines;
    return taken;
}

static size_t slot_of(const leat_metrics *metrics, const leat_metric *metric, const char *labels,
                      uint64_t hash)
{
    size_t at = (size_t)hash & (metrics->slot_count - 1);
    while (metrics->slots[at] && (metrics->slots[at]->metric != metric ||
                                  strcmp(metrics->slots[at]->labels, labels) != 0))
        at = (at + 1) & (metrics->slot_count - 1);
    return at;
}

static void grow(leat_metrics *metrics)
{
    series **old = metrics->slots;
    size_t old_count = metrics->slot_count;
    metrics->slot_count *= 2;
    metrics->slots = leat_must_calloc(metrics->slot_count, sizeof(series *));
    for (size_t i = 0; i < old_count; i++)
        if (old[i])
            metrics->slots[slot_of(metrics, old[i]->metric, old[i]->labels, old[i]->hash)] = old[i];
    free(old);
}

/* Are these the labels that the table says, each with a value? */
static bool has_labels(const leat_metric *metric, const char *labels)
{
    const char *name = metric->labels, *at = labels;
    while (*name) {
        size_t size = strcspn(name, ",");
        if (strncmp(at, name, size) != 0 || at[size] != '=' || at[size + 1] != '"')
            return false;
        for (at += size + 2; *at && *at != '"'; at++)
            if (*at == '\\' && at[1])
                at++;
        name += size + (name[size] == ',');
        if (*at != '"' || (*name && at[1] != ','))
            return false;
        at += *name ? 2 : 1;
    }
    return *at == '\0';
}

static size_t find_metric(const leat_metrics *metrics, const char *name)
{
    for (size_t i = 0; i < metrics->table_count; i++)
        if (strcmp(metrics->table[i].name, name) == 0)
            return i;
    LEAT_ASSERT(!"the metric is in the table");
    return 0;
}

static series *find_series(leat_metrics *metrics, size_t index, const char *labels)
{
    const leat_metric *metric = &metrics->table[index];
    uint64_t hash = leat_hash_seeded(leat_slice_of(labels), index);
    size_t slot = slot_of(metrics, metric, labels, hash);
    if (metrics->slots[slot])
        return metrics->slots[slot];
    series *added = take(metrics, sizeof *added + strlen(labels) + 1);
    added->metric = metric;
    added->hash = hash;
    memcpy(added->labels, labels, strlen(labels) + 1);
    metrics->slots[slot] = added;
    if (metrics->last[index])
        metrics->last[index]->next = added;
    else
        metrics->first[index] = added;
    metrics->last[index] = added;
    if (2 * ++metrics->series_count > metrics->slot_count)
        grow(metrics);
    return added;
}

static cell *add_cell(leat_metrics *metrics, const char *name, const char *type, const char *labels,
                      size_t size)
{
    size_t index = find_metric(metrics, name);
    const leat_metric *metric = &metrics->table[index];
    LEAT_ASSERT(strcmp(leat_metric_shape_of(metric->kind)->type, type) == 0);
    LEAT_ASSERT(has_labels(metric, labels ? labels : ""));
    series *of = find_series(metrics, index, labels ? labels : "");
    cell *added = take(metrics, offsetof(cell, counter) + size);
    added->next = of->cells;
    of->cells = added;
    return added;
}

leat_counter *leat_metrics_counter(leat_metrics *metrics, const char *name, const char *labels)
{
    return &add_cell(metrics, name, "counter", labels, sizeof(leat_counter))->counter;
}

leat_gauge *leat_metrics_gauge(leat_metrics *metrics, const char *name, const char *labels)
{
    return &add_cell(metrics, name, "gauge", labels, sizeof(leat_gauge))->gauge;
}

leat_histogram *leat_metrics_histogram(leat_metrics *metrics, const char *name, const char *labels)
{
    leat_histogram *histogram =
        &add_cell(metrics, name, "histogram", labels, sizeof(leat_histogram))->histogram;
    histogram->shape = leat_metric_shape_of(metrics->table[find_metric(metrics, name)].kind);
    return histogram;
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

/* Only the thread that owns the cell adds to it, so no addition is lost. */
static void add_to(_Atomic uint64_t *to, uint64_t more)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static uint32_t bucket_of(leat_histogram *histogram, int64_t counted)
{
    const leat_metric_shape *shape = histogram->shape;
    uint32_t at = histogram->last;
    while (at < shape->bound_count && counted > shape->bounds[at])
        at++;
    while (at > 0 && counted <= shape->bounds[at - 1])
        at--;
    return histogram->last = at;
}

void leat_observe(leat_histogram *histogram, int64_t value, uint64_t times)
{
    int64_t counted = value > 0 ? value : 0;
    add_to(&histogram->buckets[bucket_of(histogram, counted)], times);
    add_to(&histogram->sum, (uint64_t)counted * times);
}

void leat_observe_trace(leat_histogram *histogram, int64_t value, const uint8_t trace_id[16])
{
    leat_exemplar_write(&histogram->exemplars[bucket_of(histogram, value)], value, trace_id);
}

/* ---- which format ---- */

static leat_slice trim(leat_slice text)
{
    while (text.size > 0 && (*text.data == ' ' || *text.data == '\t'))
        text = (leat_slice){text.data + 1, text.size - 1};
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Takes what is before the next `end` off the front. */
static leat_slice take_to(leat_slice *from, char end)
{
    const char *at = from->size > 0 ? memchr(from->data, end, from->size) : NULL;
    size_t size = at ? (size_t)(at - from->data) : from->size;
    leat_slice taken = {from->data, size};
    from->data += at ? size + 1 : size;
    from->size -= at ? size + 1 : size;
    return trim(taken);
}

static bool is_word(leat_slice text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

/* q=0, q=0.0, ...: not wanted. */
static bool is_unwanted(leat_slice parameter)
{
    if (parameter.size < 3 || strncasecmp(parameter.data, "q=", 2) != 0)
        return false;
    for (size_t i = 2; i < parameter.size; i++)
        if (parameter.data[i] != '0' && parameter.data[i] != '.')
            return false;
    return true;
}

leat_metrics_format leat_metrics_accepted(leat_slice accept)
{
    while (accept.size > 0) {
        leat_slice range = take_to(&accept, ',');
        bool is_open = is_word(take_to(&range, ';'), "application/openmetrics-text");
        while (is_open && range.size > 0)
            is_open = !is_unwanted(take_to(&range, ';'));
        if (is_open)
            return LEAT_METRICS_OPEN;
    }
    return LEAT_METRICS_TEXT;
}

const char *leat_metrics_content_type(leat_metrics_format format)
{
    static const char *const types[LEAT_METRICS_FORMATS] = {
        [LEAT_METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [LEAT_METRICS_OPEN] = "application/openmetrics-text; version=1.0.0; charset=utf-8"};
    LEAT_ASSERT(format < LEAT_METRICS_FORMATS);
    return types[format];
}

/* ---- writing ---- */

/* value / scale as a decimal number without rounding; scale is a power of ten. */
static void put_scaled(leat_buf *out, uint64_t value, uint64_t scale)
{
    LEAT_ASSERT(scale > 0);
    leat_buf_uint(out, value / scale);
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

/* Prometheus from 3.0 on rewrites `le` to this form, older ones keep what is there: as a decimal
 * that is never an integer. */
static void put_bound(leat_buf *out, const leat_metric_shape *shape, uint32_t bucket)
{
    if (bucket == shape->bound_count) {
        leat_buf_text(out, "+Inf");
        return;
    }
    put_scaled(out, (uint64_t)shape->bounds[bucket], (uint64_t)shape->scale);
    if (shape->bounds[bucket] % shape->scale == 0)
        leat_buf_text(out, ".0");
}

/* One blank before the value, none between labels: OpenMetrics' readers refuse the whole page for
 * any other. */
static void put_series(leat_buf *out, const series *of, const char *suffix)
{
    leat_buf_text(out, of->metric->name);
    leat_buf_text(out, suffix);
    if (*of->labels) {
        leat_buf_byte(out, '{');
        leat_buf_text(out, of->labels);
        leat_buf_byte(out, '}');
    }
    leat_buf_byte(out, ' ');
}

static void write_counter(const series *of, const leat_metric_shape *shape, leat_buf *out)
{
    uint64_t sum = 0;
    for (const cell *at = of->cells; at; at = at->next)
        sum += atomic_load_explicit(&at->counter, memory_order_relaxed);
    put_series(out, of, "");
    put_scaled(out, sum, (uint64_t)shape->scale);
    leat_buf_byte(out, '\n');
}

static void write_gauge(const series *of, const leat_metric_shape *shape, leat_buf *out)
{
    int64_t sum = 0;
    bool known = false;
    for (const cell *at = of->cells; at; at = at->next) {
        int64_t value = atomic_load_explicit(&at->gauge, memory_order_relaxed);
        if (value == INT64_MIN)
            continue;
        sum += value;
        known = true;
    }
    if (!known)
        return;
    put_series(out, of, "");
    if (sum < 0)
        leat_buf_byte(out, '-');
    put_scaled(out, sum < 0 ? 0 - (uint64_t)sum : (uint64_t)sum, (uint64_t)shape->scale);
    leat_buf_byte(out, '\n');
}

static void put_exemplar(leat_buf *out, const cell *at, const leat_metric_shape *shape,
                         uint32_t bucket)
{
    char trace[33];
    int64_t value;
    while (at && !leat_exemplar_read(&at->histogram.exemplars[bucket], &value, trace))
        at = at->next;
    if (at)
        leat_buf_printf(out, " # {trace_id=\"%s\"} %g", trace,
                        (double)value / (double)shape->scale);
}

static void put_bucket(leat_buf *out, const series *of, const leat_metric_shape *shape,
                       uint32_t bucket, uint64_t count, leat_metrics_format format)
{
    leat_buf_text(out, of->metric->name);
    leat_buf_text(out, "_bucket{");
    leat_buf_text(out, of->labels);
    leat_buf_text(out, *of->labels ? ",le=\"" : "le=\"");
    put_bound(out, shape, bucket);
    leat_buf_text(out, "\"} ");
    leat_buf_uint(out, count);
    if (format == LEAT_METRICS_OPEN)
        put_exemplar(out, of->cells, shape, bucket);
    leat_buf_byte(out, '\n');
}

/* The count is the sum of the buckets as they were read, so the lines agree although other threads
 * go on observing. */
static void write_histogram(const series *of, const leat_metric_shape *shape,
                            leat_metrics_format format, leat_buf *out)
{
    uint64_t count = 0, sum = 0;
    for (uint32_t b = 0; b <= shape->bound_count; b++) {
        for (const cell *at = of->cells; at; at = at->next)
            count += atomic_load_explicit(&at->histogram.buckets[b], memory_order_relaxed);
        put_bucket(out, of, shape, b, count, format);
    }
    for (const cell *at = of->cells; at; at = at->next)
        sum += atomic_load_explicit(&at->histogram.sum, memory_order_relaxed);
    put_series(out, of, "_sum");
    put_scaled(out, sum, (uint64_t)shape->scale);
    leat_buf_byte(out, '\n');
    put_series(out, of, "_count");
    leat_buf_uint(out, count);
    leat_buf_byte(out, '\n');
}

/* OpenMetrics names a counter without the _total that its series have. */
static void put_head(leat_buf *out, const leat_metric *metric, const leat_metric_shape *shape,
                     leat_metrics_format format)
{
    static const char total[] = "_total";
    bool is_cut = format == LEAT_METRICS_OPEN && strcmp(shape->type, "counter") == 0;
    int size = (int)(strlen(metric->name) - (is_cut ? sizeof total - 1 : 0));
    leat_buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", size, metric->name, metric->help, size,
                    metric->name, shape->type);
}

static void write_series(const series *of, const leat_metric_shape *shape,
                         leat_metrics_format format, leat_buf *out)
{
    if (shape->bound_count > 0)
        write_histogram(of, shape, format, out);
    else if (strcmp(shape->type, "counter") == 0)
        write_counter(of, shape, out);
    else
        write_gauge(of, shape, out);
}

void leat_metrics_write(const leat_metrics *metrics, leat_metrics_format format, leat_buf *out)
{
    for (size_t i = 0; i < metrics->table_count; i++) {
        const leat_metric *metric = &metrics->table[i];
        const leat_metric_shape *shape = leat_metric_shape_of(metric->kind);
        if (metrics->first[i])
            put_head(out, metric, shape, format);
        for (const series *of = metrics->first[i]; of; of = of->next)
            write_series(of, shape, format, out);
    }
    if (format == LEAT_METRICS_OPEN)
        leat_buf_text(out, "# EOF\n");
}

static void see_cells(const series *of, void (*see)(void *context, const leat_metric_cell *cell),
                      void *context)
{
    const leat_metric_shape *shape = leat_metric_shape_of(of->metric->kind);
    bool counts = strcmp(shape->type, "counter") == 0;
    for (const cell *at = of->cells; at && shape->bound_count == 0; at = at->next)
        see(context, &(leat_metric_cell){.name = of->metric->name,
                                         .labels = of->labels,
                                         .counter = counts ? &at->counter : NULL,
                                         .gauge = counts ? NULL : &at->gauge,
                                         .scale = shape->scale});
}

void leat_metrics_each(const leat_metrics *metrics,
                       void (*see)(void *context, const leat_metric_cell *cell), void *context)
{
    for (size_t i = 0; i < metrics->table_count; i++)
        for (const series *of = metrics->first[i]; of; of = of->next)
            see_cells(of, see, context);
}
