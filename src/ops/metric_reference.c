/*
 * metric_reference.c - docs/metrics.md, printed from the table that the page is written from, as
 * the reference of the settings is.
 */
#include "ops/metric_table.h"

static const char *const headings[LEAT_METRIC_GROUP_COUNT] = {
    [LEAT_METRIC_OF_PROCESS] = "The process",
    [LEAT_METRIC_OF_EDGE] = "The edge",
    [LEAT_METRIC_OF_SHARD] = "Each shard",
    [LEAT_METRIC_OF_WORKER] = "The worker",
};

static void print_intro(FILE *out)
{
    fputs(
        "# Metrics\n\n"
        "What `/metrics` on the admin listener shows: as OpenMetrics 1.0 where `Accept` asks for it, else in Prometheus' text\n"
        "format 0.0.4. All values are of this process since its start. Counters are there from the start, with the value 0 (those\n"
        "of traces where `tracing` is configured); a gauge that is not known is left out. Appliers update theirs twice a second.\n"
        "Label `worker` is the worker's number in its process, from 0; `shard` is the shard's name.\n"
        "[operations.md](operations.md#metrics) says what to alert on.\n\n"
        "A histogram *name* has the series *name*`_bucket`, with the label `le`, *name*`_sum` and *name*`_count`.\n",
        out);
}

static void print_bounds(FILE *out, const leat_metric_shape *shape)
{
    for (uint32_t i = 0; i < shape->bound_count; i++)
        fprintf(out, "%s%g", i > 0 ? ", " : "", (double)shape->bounds[i] / (double)shape->scale);
}

static void print_histograms(FILE *out)
{
    static const struct {
        leat_metric_kind kind;
        const char *words;
    } kinds[] = {{LEAT_METRIC_LATENCY, "a latency, in seconds"},
                 {LEAT_METRIC_LAG, "a time lag, in seconds"},
                 {LEAT_METRIC_SIZE, "a size"}};
    fputs("\n## Buckets\n\n| histogram of | upper bounds, and `+Inf` |\n|---|---|\n", out);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fprintf(out, "| %s | ", kinds[i].words);
        print_bounds(out, leat_metric_shape_of(kinds[i].kind));
        fputs(" |\n", out);
    }
}

static void print_metric(FILE *out, const leat_metric *metric)
{
    fprintf(out, "| `%s` | %s | %s | %s%s%s |\n", metric->name,
            leat_metric_shape_of(metric->kind)->type, metric->labels, metric->help,
            metric->more ? " " : "", metric->more ? metric->more : "");
}

void leat_metrics_print_reference(FILE *out)
{
    size_t count;
    const leat_metric *metrics = leat_metric_table(&count);
    print_intro(out);
    for (leat_metric_group group = 0; group < LEAT_METRIC_GROUP_COUNT; group++) {
        fprintf(out, "\n## %s\n\n| metric | type | labels | |\n|---|---|---|---|\n",
                headings[group]);
        for (size_t i = 0; i < count; i++)
            if (metrics[i].group == group)
                print_metric(out, &metrics[i]);
    }
    print_histograms(out);
}
