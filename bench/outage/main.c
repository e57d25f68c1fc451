/*
 * leat-outage - a plan (src/plan) played through with the engine that leat has, on virtual time:
 * all shards at their rates, with tenants of very different size, and an outage of the shard that
 * gets most. What surrounds the engine is a model:
 *
 *   log       each partition gets records at an even rate; each is read in order, and again after a
 *             claim. A record is nothing but its offset, so a backlog of millions takes no memory.
 *   database  a batch takes `fixed` and `row` for each row, and the longer the more run beside it
 *             (Amdahl, as in the plan). With --keys, which are alike, records of one row are
 * folded. In the outage connections break, and there are none. worker    one engine, one thread
 * that reads a record in `reader`. A shard belongs to one worker, so workers know nothing of each
 * other and are played one after another.
 *
 *   leat-outage --writes 150000 --shards 40 --fixed-us 1500 --row-us 12 --serial 0.3 --outage 600
 *               [--tenants 100000] [--tenant-skew 1] [--before 60] [--spike 5 --spike-for 600]
 *               [--lag 30] [--keys 0] [--connections N]
 *
 * Times in seconds. Prints one JSON object: the plan, the lag of each shard over time (at most the
 * first 16384 samples), and the catch-up beside that of the formula.
 */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "outage/world.h"

/* ---- output ---- */

static void print_lags(const world *s)
{
    printf("\"sample_s\": %g, \"lags\": [", (double)s->sample_us / 1e6);
    for (uint32_t i = 0; i < s->input.shards; i++) {
        printf("%s{\"shard\": %u, \"writes_s\": %.0f, \"lag_s\": [", i ? ",\n" : "", i,
               s->shards[i].writes_s);
        for (uint32_t k = 0; k < s->samples; k++)
            printf("%s%.2f", k ? "," : "", (double)s->shards[i].lags[k]);
        printf("]}");
    }
    printf("]");
}

static void print(const world *s)
{
    double writes = s->shards[s->worst].writes_s;
    double backlog = writes * s->input.outage_s;
    /* Here a shard has one worker. */
    double workers = fmin(s->plan.workers, s->input.shards);
    double behind_s = fmin(leat_plan_behind(&s->input, s->plan.connections, backlog),
                           leat_plan_reading(&s->input, 1, workers, writes));
    double formula = leat_plan_catch_up(backlog, behind_s, writes);
    printf("{\"shards\": %u, \"partitions\": %u, \"workers\": %u, \"connections\": %u, "
           "\"capacity_s\": %.0f, \"records\": %" PRIu64
           ", \"worst\": %u, \"worst_writes_s\": %.0f, "
           "\"planned_writes_s\": %.0f, \"outage_from_s\": %g, \"outage_to_s\": %g, "
           "\"peak_lag_s\": %.2f, \"formula_peak_lag_s\": %.2f, \"catch_up_s\": %.2f, "
           "\"formula_catch_up_s\": %.2f, ",
           s->input.shards, s->plan.partitions, s->plan.workers, s->plan.connections,
           s->plan.capacity_s, s->records, s->worst, writes, s->plan.shard_writes_s,
           (double)s->outage_from_us / 1e6, (double)s->outage_to_us / 1e6, s->peak_s,
           s->plan.outage_lag_s, (double)(s->caught_up_us - s->outage_to_us) / 1e6, formula);
    print_lags(s);
    printf("}\n");
}

/* ---- the command line ---- */

static const struct option long_options[] = {
    {"writes", required_argument, NULL, 0},      {"shards", required_argument, NULL, 0},
    {"fixed-us", required_argument, NULL, 0},    {"row-us", required_argument, NULL, 0},
    {"serial", required_argument, NULL, 0},      {"outage", required_argument, NULL, 0},
    {"tenants", required_argument, NULL, 0},     {"tenant-skew", required_argument, NULL, 0},
    {"before", required_argument, NULL, 0},      {"reader-us", required_argument, NULL, 0},
    {"spike", required_argument, NULL, 0},       {"spike-for", required_argument, NULL, 0},
    {"lag", required_argument, NULL, 0},         {"keys", required_argument, NULL, 0},
    {"connections", required_argument, NULL, 0}, {0},
};

static uint32_t whole(double number, double most)
{
    return number >= 1 && number <= most ? (uint32_t)number : 0;
}

static void parse(world *s, int argc, char **argv)
{
    double shards = 0, connections = 0;
    double *const numbers[] = {&s->input.writes_s, &shards,
                               &s->input.fixed_us, &s->input.row_us,
                               &s->input.serial,   &s->input.outage_s,
                               &s->input.tenants,  &s->input.tenant_skew,
                               &s->before_s,       &s->input.reader_us,
                               &s->input.spike,    &s->input.spike_s,
                               &s->input.lag_s,    &s->input.keys,
                               &connections};
    for (int at, option; (option = getopt_long(argc, argv, "", long_options, &at)) != -1;) {
        if (option != 0)
            exit(2);
        *numbers[at] = strtod(optarg, NULL);
    }
    s->input.shards = whole(shards, LEAT_PLAN_SHARDS_MAX);
    s->input.connections = whole(connections, LEAT_PLAN_CONNECTIONS_MAX);
}

int main(int argc, char **argv)
{
    static world s;
    leat_error error;
    s = (world){.input = {.serial = 0.1,
                          .reader_us = 6,
                          .spike = 1,
                          .lag_s = 30,
                          .outage_s = 600,
                          .tenant_skew = 1,
                          .record_bytes = 300,
                          .batch_records = 1000,
                          .records_max = 131072,
                          .memory_max = 24 << 20,
                          .overhead_bytes = 528},
                .before_s = 60};
    parse(&s, argc, argv);
    if (leat_plan_check(&s.input, &error) != 0)
        die(error.text);
    if (s.input.tenants > 1e7 || s.input.outage_s < 1 || s.before_s < 1)
        die("at most ten million tenants; --outage and --before of a second at least");
    if (s.before_s + s.input.outage_s >= (double)VIRTUAL_MAX / 1e6)
        die("--before and --outage are below four hours together");
    leat_plan_make(&s.input, &s.plan);
    if (s.plan.shortage != LEAT_PLAN_ENOUGH)
        die("the plan cannot be met: ask leat plan");
    make_load(&s);
    run(&s);
    print(&s);
    return 0;
}
