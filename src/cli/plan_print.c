/*
 * plan_print.c - a plan as a table of figures with their formulae, or as JSON. One table of figures
 * serves both; its names are those of docs/scaling.md.
 */
#include <math.h>
#include <stdio.h>

#include "cli/plan.h"
#include "daemon/json.h"

typedef struct figure {
    const char *name;
    double value;
    const char *unit;
    const char *formula;
} figure;

enum { FIGURES_MAX = 32 };

/* Returns how many. */
static uint32_t list_figures(const leat_plan *plan, figure *ret)
{
    const figure figures[] = {
        {"share", plan->share, "",
         "of all writes, in the shard that gets most: heaviest tenant + an even part of the rest + chance"},
        {"shard_writes", plan->shard_writes_s, "/s", "writes * share"},
        {"needed", plan->needed_s, "/s",
         "max(shard_writes / 0.8, shard_writes * spike * spike_for / (spike_for + lag))"},
        {"batch", plan->batch, "records", "min(batch_records, (250 ms - fixed) / row)"},
        {"rows", plan->rows, "rows", "different keys among `batch` records"},
        {"batch_time", plan->batch_us / 1e6, "s", "fixed + rows * row"},
        {"connections", plan->connections, "a shard",
         "the fewest with capacity >= needed, or --connections"},
        {"capacity", plan->capacity_s, "/s",
         "speed_up * batch / batch_time; speed_up = n / (1 + serial * (n - 1)), n = connections"},
        {"capacity_most", plan->most_s, "/s", "the same with 256 connections"},
        {"busy", plan->busy, "", "shard_writes / capacity"},
        {"partitions", plan->partitions, "", "shards * max(2, ceil(2 * needed * reader))"},
        {"workers", plan->workers, "threads",
         "ceil(writes * needed / shard_writes * reader), at most partitions"},
        {"reading", plan->reading_s, "/s",
         "min(workers, partitions / shards) * (1 / reader - (writes - shard_writes) / workers)"},
        {"lag", plan->lag_s, "s",
         "1.5 * min(fixed / (1 - shard_writes * row / speed_up) + row, batch_time)"},
        {"spike_backlog", plan->spike_backlog, "records",
         "max(0, shard_writes * spike - least) * spike_for; least = min(capacity, reading)"},
        {"spike_lag", plan->spike_lag_s, "s", "lag + spike_backlog / least"},
        {"spike_catch_up", plan->spike_catch_up_s, "s", "spike_backlog / (least - shard_writes)"},
        {"outage_backlog", plan->outage_backlog, "records", "shard_writes * outage"},
        {"held", plan->held, "records",
         "min(apply.records, apply.memory / (record_bytes + overhead)) * p / (p + 1), half with several shards"},
        {"row_writes", plan->row_writes, "a record",
         "different keys among min(left, held) records, a record: the mean while outage_backlog goes"},
        {"capacity_behind", plan->behind_s, "/s",
         "min(reading, speed_up * batch / (fixed + batch * row_writes * row)), a batch being what fits then"},
        {"outage_lag", plan->outage_lag_s, "s",
         "lag + outage + min(outage_backlog, held) / capacity_behind"},
        {"outage_catch_up", plan->outage_catch_up_s, "s",
         "outage_backlog / (capacity_behind - shard_writes)"},
        {"hot_row", plan->hot_row_s, "/s", "writes * spike * the heaviest key's part"},
        {"hot_row_most", plan->hot_row_most_s, "/s",
         "deep / (fixed + row + deep * reader), deep = min(10 * batch_records, 10000)"},
        {"parked_max", plan->parked_bytes, "bytes",
         "2 * partitions of a shard * stuck rate * max(10 min, outage) * record_bytes"},
        {"log", plan->log_bytes, "bytes",
         "writes * spike * the longest time until caught up * record_bytes"},
    };
    uint32_t count = sizeof figures / sizeof *figures;
    for (uint32_t i = 0; i < count; i++)
        ret[i] = figures[i];
    return count;
}

static void print_value(const figure *one, char *ret, size_t size)
{
    if (!isfinite(one->value))
        snprintf(ret, size, "never");
    else if (one->value >= 1000 || one->value <= floor(one->value))
        snprintf(ret, size, "%.0f", one->value);
    else
        snprintf(ret, size, "%.3g", one->value);
}

void leat_plan_print(const leat_plan_input *input, const leat_plan *plan)
{
    figure figures[FIGURES_MAX];
    uint32_t count = list_figures(plan, figures);
    printf("%.0f writes/s to %u shards; a batch %.0f us + %.3g us a row, serial part %.2g\n\n",
           input->writes_s, input->shards, input->fixed_us, input->row_us, input->serial);
    for (uint32_t i = 0; i < count; i++) {
        char value[32];
        print_value(&figures[i], value, sizeof value);
        printf("  %-16s %14s %-8s %s\n", figures[i].name, value, figures[i].unit,
               figures[i].formula);
    }
}

static const char *shortage_name(leat_plan_shortage shortage)
{
    static const char *const names[] = {[LEAT_PLAN_ENOUGH] = NULL,
                                        [LEAT_PLAN_CONNECTIONS] = "connections",
                                        [LEAT_PLAN_ROWS] = "rows",
                                        [LEAT_PLAN_PARTITIONS] = "partitions",
                                        [LEAT_PLAN_HOT_ROW] = "hot_row"};
    return names[shortage];
}

void leat_plan_print_json(const leat_plan_input *input, const leat_plan *plan)
{
    figure figures[FIGURES_MAX];
    uint32_t count = list_figures(plan, figures);
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = leat_json_new(&root);
    leat_json_add_text(doc, root, "short", shortage_name(plan->shortage));
    yyjson_mut_obj_add_real(doc, root, "fixed_us", input->fixed_us);
    yyjson_mut_obj_add_real(doc, root, "row_us", input->row_us);
    yyjson_mut_obj_add_real(doc, root, "serial", input->serial);
    yyjson_mut_val *all = yyjson_mut_obj_add_obj(doc, root, "figures");
    for (uint32_t i = 0; i < count; i++) {
        yyjson_mut_val *one = yyjson_mut_obj_add_obj(doc, all, figures[i].name);
        if (isfinite(figures[i].value))
            yyjson_mut_obj_add_real(doc, one, "value", figures[i].value);
        else
            yyjson_mut_obj_add_null(doc, one, "value");
        yyjson_mut_obj_add_str(doc, one, "unit", figures[i].unit);
        yyjson_mut_obj_add_str(doc, one, "formula", figures[i].formula);
    }
    leat_json_print(stdout, doc);
}

void leat_plan_print_shortage(const leat_plan_input *input, const leat_plan *plan, leat_error *ret)
{
    switch (plan->shortage) {
    case LEAT_PLAN_CONNECTIONS:
        leat_fail(ret, "connections are short: a shard applies %.0f/s over %u and one needs %.0f/s",
                  plan->capacity_s, plan->connections, plan->needed_s);
        return;
    case LEAT_PLAN_ROWS:
        if (plan->shards_needed)
            leat_fail(ret,
                      "row time is short: a shard applies at most %.0f/s and one needs %.0f/s: %u "
                      "shards would do, or cheaper rows",
                      plan->most_s, plan->needed_s, plan->shards_needed);
        else
            leat_fail(ret,
                      "row time is short: a shard applies at most %.0f/s and one needs %.0f/s, "
                      "and more shards do not help: its heaviest tenant is too much for one",
                      plan->most_s, plan->needed_s);
        return;
    case LEAT_PLAN_PARTITIONS:
        leat_fail(
            ret,
            "partitions are short: a worker reads a partition at %.0f/s at most, and a shard "
            "that needs %.0f/s has %.3g of %u",
            1e6 / input->reader_us, plan->needed_s,
            (double)(input->partitions_max ? input->partitions_max : LEAT_PLAN_PARTITIONS_MAX) /
                input->shards,
            input->partitions_max ? input->partitions_max : LEAT_PLAN_PARTITIONS_MAX);
        return;
    case LEAT_PLAN_HOT_ROW:
        leat_fail(ret,
                  "one row is too hot: it gets %.0f/s, and what is written to one row goes one "
                  "batch after another, %.0f/s at most",
                  plan->hot_row_s, plan->hot_row_most_s);
        return;
    case LEAT_PLAN_ENOUGH:
        ret->text[0] = '\0';
        return;
    }
}
