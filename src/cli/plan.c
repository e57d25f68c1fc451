/*
 * plan.c - leat plan: the numbers of the command line become the input of the formulae
 * (plan/plan.h). It needs neither a configuration nor a server.
 */
#include "cli/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "cli/commands.h"
#include "config/text.h"
#include "record/item.h"

const char leat_plan_usage[] =
    "--writes N/s (--measure [--shard NAME] [--route NAME] | --shards N --fixed-us F --row-us R [--serial S]) [--spike Nx] [--spike-for TIME] [--lag TIME] [--outage TIME] "
    "[--tenants N] [--tenant-skew Z] [--keys N] [--key-skew Z] [--connections N] [--partitions N] [--reader-us U] [--record-bytes B] [--json] [--config FILE]";

const char leat_plan_help[] =
    "Says how many connections, partitions and workers a load needs, and which lag to expect: steady, after a spike, and after an\n"
    "outage of one shard. Each figure comes with its formula; docs/scaling.md explains them under the same names.\n\n"
    "  --writes N/s      records a second, of all shards: 150000/s\n"
    "  --measure         measure the cost in a shard of the configuration: some rows of a route's table are copied into schema\n"
    "                    leat_plan_scratch and written there for about five seconds, over at most four connections. Then the\n"
    "                    schema is dropped. The role needs CREATE on the database. Ctrl-C ends it early\n"
    "  --shard NAME      in this shard; default the first\n"
    "  --route NAME      the table of this route; default the first\n"
    "  --shards N        databases; with --measure, those of the configuration unless given\n"
    "  --fixed-us F      what a batch costs a connection, whatever its size: round trip, progress, commit\n"
    "  --row-us R        what each row in it costs\n"
    "  --serial S        the part of the work that several connections do one after another, 0 to 1; default 0.1. 0.5 where\n"
    "                    the disk or two processors are the limit\n"
    "  --spike Nx        so many times the writes; default 1x\n"
    "  --spike-for TIME  for so long; default 10m\n"
    "  --lag TIME        the most that a write may wait, steady and in the spike; default 30s\n"
    "  --outage TIME     one shard is away for so long; default 0s\n"
    "  --tenants N       tenants are spread over the shards, each is in one; without it, writes are spread evenly\n"
    "  --tenant-skew Z   Zipf's exponent of their writes; default 1. 0: all are alike\n"
    "  --keys N          rows that are written; without it, none twice in a batch\n"
    "  --key-skew Z      Zipf's exponent of their writes; default 0\n"
    "  --connections N   there are so many to each shard; without it, as few as are enough\n"
    "  --partitions N    the topic is there and has so many\n"
    "  --reader-us U     what a record costs a worker's thread; default 6\n"
    "  --record-bytes B  of a record; default 300\n"
    "  --json            one JSON object\n\n"
    "Exit status: 0 it can be done, 3 it cannot, and the last line says what is short.\n";

/* Numbers may have k or M behind them, and their unit. */
static bool read_number(const char *text, const char *unit, double *ret)
{
    char *end;
    double value = strtod(text, &end);
    if (*text < '0' || *text > '9' || end == text || !isfinite(value))
        return false;
    if (*end == 'k' || *end == 'M')
        value *= *end++ == 'k' ? 1e3 : 1e6;
    if (*end && strcmp(end, unit) != 0)
        return false;
    *ret = value;
    return true;
}

static bool read_time(const char *text, double *ret)
{
    int64_t ms;
    if (!leat_text_number(text, LEAT_UNIT_MS, &ms))
        return false;
    *ret = (double)ms / 1e3;
    return true;
}

/* A whole number up to the largest of its type. */
static bool read_count(const char *text, uint32_t *ret)
{
    double value;
    if (!read_number(text, "", &value) || value < 1 || value > 1e9 || value > floor(value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

static int read_input(const leat_options *options, leat_plan_input *ret, leat_error *error)
{
    bool is_given = !options->measure;
    const struct {
        const char *name, *text, *unit;
        double *number;
        uint32_t *count;
        bool is_needed;
    } fields[] = {
        {"--writes", options->writes, "/s", &ret->writes_s, NULL, true},
        {"--shards", options->shards, "", NULL, &ret->shards, is_given},
        {"--fixed-us", options->fixed_us, "us", &ret->fixed_us, NULL, is_given},
        {"--row-us", options->row_us, "us", &ret->row_us, NULL, is_given},
        {"--serial", options->serial, "", &ret->serial, NULL, false},
        {"--spike", options->spike, "x", &ret->spike, NULL, false},
        {"--spike-for", options->spike_for, NULL, &ret->spike_s, NULL, false},
        {"--lag", options->lag, NULL, &ret->lag_s, NULL, false},
        {"--outage", options->outage, NULL, &ret->outage_s, NULL, false},
        {"--tenants", options->tenants, "", &ret->tenants, NULL, false},
        {"--tenant-skew", options->tenant_skew, "", &ret->tenant_skew, NULL, false},
        {"--keys", options->keys, "", &ret->keys, NULL, false},
        {"--key-skew", options->key_skew, "", &ret->key_skew, NULL, false},
        {"--connections", options->connections, "", NULL, &ret->connections, false},
        {"--partitions", options->partitions, "", NULL, &ret->partitions_max, false},
        {"--reader-us", options->reader_us, "us", &ret->reader_us, NULL, false},
        {"--record-bytes", options->record_bytes, "", &ret->record_bytes, NULL, false},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *text = fields[i].text;
        if (!text && !fields[i].is_needed)
            continue;
        if (!text)
            return leat_fail(error, "%s is needed%s", fields[i].name,
                             fields[i].number == &ret->writes_s ? "" : ", or --measure");
        bool is_good = fields[i].count  ? read_count(text, fields[i].count)
                       : fields[i].unit ? read_number(text, fields[i].unit, fields[i].number)
                                        : read_time(text, fields[i].number);
        if (!is_good)
            return leat_fail(error, "%s must be %s, not %s", fields[i].name,
                             fields[i].count  ? "a whole number from 1"
                             : fields[i].unit ? "a number"
                                              : leat_text_number_form(LEAT_UNIT_MS),
                             text);
    }
    return 0;
}

/* What is given goes before what is measured. */
static int make_input(const leat_options *options, leat_plan_input *ret, leat_error *error)
{
    if (read_input(options, ret, error) != 0)
        return LEAT_EXIT_USAGE;
    if (options->measure) {
        int code = leat_plan_measure(options, ret, error);
        if (code != LEAT_EXIT_OK)
            return code;
        if (read_input(options, ret, error) != 0)
            return LEAT_EXIT_USAGE;
    } else if (options->shard || options->route) {
        leat_fail(error, "--shard and --route say where to measure: --measure");
        return LEAT_EXIT_USAGE;
    }
    return leat_plan_check(ret, error) == 0 ? LEAT_EXIT_OK : LEAT_EXIT_USAGE;
}

static double default_of(const char *group, const char *key)
{
    const leat_setting *setting = leat_setting_find(group, key);
    int64_t value = 0;
    bool is_number = setting && leat_text_number(setting->fallback, setting->unit, &value);
    LEAT_ASSERT(is_number);
    return (double)value;
}

int leat_command_plan(const leat_options *options)
{
    leat_plan_input input = {.serial = 0.1,
                             .reader_us = 6,
                             .spike = 1,
                             .spike_s = 600,
                             .lag_s = 30,
                             .tenant_skew = 1,
                             .record_bytes = 300,
                             .batch_records = (uint32_t)default_of("apply.", "batch_records"),
                             .records_max = default_of("apply.", "records"),
                             .memory_max = default_of("apply.", "memory"),
                             .overhead_bytes = sizeof(leat_item)};
    leat_plan plan;
    leat_error error;
    int code = make_input(options, &input, &error);
    if (code != LEAT_EXIT_OK) {
        leat_print_error("leat plan: %s", error.text);
        return code;
    }
    leat_plan_make(&input, &plan);
    if (options->json)
        leat_plan_print_json(&input, &plan);
    else
        leat_plan_print(&input, &plan);
    if (plan.shortage == LEAT_PLAN_ENOUGH)
        return LEAT_EXIT_OK;
    leat_plan_print_shortage(&input, &plan, &error);
    leat_print_error("leat plan: %s", error.text);
    return LEAT_EXIT_CHECK;
}
