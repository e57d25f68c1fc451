/*
 * lag_command.c - leat lag: how far the shards are behind the log. Shards that answer are printed
 * even if others do not. A monitor that gets half the truth must know which half, so the errors and
 * the exit code come with it. What processes have told of a shard is only added: its lag is the
 * same without them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "cli/told.h"
#include "cli/with_assembly.h"
#include "daemon/assembly_lag.h"
#include "daemon/json.h"

/* ---- text ---- */

static void print_held(const leat_lag *lag)
{
    char held[LEAT_LAG_HELD_SIZE];
    for (uint32_t i = 0; i < lag->count; i++)
        if (lag->partitions[i].held > 0)
            printf("%s\n", leat_lag_held(&lag->partitions[i], held));
}

static void print_partition(const leat_config *config, const leat_lag_partition *at)
{
    char seconds[LEAT_LAG_SECONDS_SIZE];
    if (at->is_known)
        printf("%-9" PRIu32 "  %-16s  %12" PRId64 "  %12" PRId64 "  %12" PRId64 "  %10" PRId64
               "  %10" PRId64 "  %8s\n",
               at->partition, config->shards[at->shard].name, at->end, at->low, at->applied,
               at->records, at->parked, leat_lag_seconds(at->age_ms, seconds));
    else
        printf("%-9" PRIu32 "  %-16s  %12" PRId64 "  %12s  %12s  %10s  %10s  %8s\n", at->partition,
               config->shards[at->shard].name, at->end, "unknown", "unknown", "unknown", "unknown",
               "unknown");
}

static void print_sum(const char *of, const leat_lag_sum *sum)
{
    char seconds[LEAT_LAG_SECONDS_SIZE], parked[LEAT_LAG_SECONDS_SIZE];
    if (sum->partitions == 0)
        printf("%s: unknown\n", of);
    else
        printf("%s: %" PRId64 " record%s at most%s, the oldest %s s\n", of, sum->records,
               sum->records == 1 ? "" : "s", leat_lag_parked(sum->parked, parked),
               leat_lag_seconds(sum->age_ms, seconds));
}

/* When the last of its processes reported; below 0: there is none whose report is kept. */
static int64_t heard_ms(const leat_shard_work *work)
{
    int64_t ret = -1;
    for (uint32_t i = 0; i < work->worker_count; i++)
        if (ret < 0 || work->workers[i].heard_ms < ret)
            ret = work->workers[i].heard_ms;
    return ret;
}

/* Without it, nothing said of a shard would look like nothing to say. */
static void print_heard(const leat_shard_work *work)
{
    int64_t last_ms = heard_ms(work);
    if (last_ms >= LEAT_REPORT_LATE_MS)
        printf("    no process reports: the last was heard %" PRId64 " s ago\n", last_ms / 1000);
}

static void print_shard(const leat_config *config, const leat_lag *lag, uint32_t shard)
{
    char of[LEAT_NAME_MAX + 16];
    leat_told told = {0};
    snprintf(of, sizeof of, "shard %s", config->shards[shard].name);
    print_sum(of, &lag->shards[shard]);
    leat_told_read(&lag->works[shard], &told);
    leat_told_print(&told);
    leat_told_fini(&told);
    print_heard(&lag->works[shard]);
}

static void print_text(const leat_config *config, const leat_lag *lag)
{
    printf("%-9s  %-16s  %12s  %12s  %12s  %10s  %10s  %8s\n", "partition", "shard", "log end",
           "low water", "applied", "records", "parked", "seconds");
    for (uint32_t i = 0; i < lag->count; i++)
        print_partition(config, &lag->partitions[i]);
    printf("\n");
    for (uint32_t shard = 0; shard < config->shard_count; shard++)
        print_shard(config, lag, shard);
    print_held(lag);
    print_sum(lag->failed > 0 ? "what could be read" : "all", &lag->total);
}

/* ---- JSON ---- */

static void add_lag(yyjson_mut_doc *doc, yyjson_mut_val *object, int64_t records, int64_t parked,
                    int64_t age_ms)
{
    yyjson_mut_obj_add_int(doc, object, "records", records);
    yyjson_mut_obj_add_int(doc, object, "parked", parked);
    leat_json_add_seconds(doc, object, "seconds", age_ms);
}

static void add_unknown(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *const *names)
{
    for (; *names; names++)
        yyjson_mut_obj_add_null(doc, object, *names);
}

static void add_partition(yyjson_mut_doc *doc, yyjson_mut_val *list, const leat_config *config,
                          const leat_lag_partition *at)
{
    static const char *const progress[] = {"low", "applied", "records", "parked", "seconds", NULL};
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
    yyjson_mut_obj_add_uint(doc, object, "partition", at->partition);
    leat_json_add_text(doc, object, "shard", config->shards[at->shard].name);
    yyjson_mut_obj_add_int(doc, object, "end", at->end);
    if (at->is_known) {
        yyjson_mut_obj_add_int(doc, object, "low", at->low);
        yyjson_mut_obj_add_int(doc, object, "applied", at->applied);
        add_lag(doc, object, at->records, at->parked, at->age_ms);
    } else {
        add_unknown(doc, object, progress);
    }
    if (at->held > 0) {
        yyjson_mut_obj_add_int(doc, object, "held_from", at->held_from);
        yyjson_mut_obj_add_int(doc, object, "held", at->held);
    }
}

/* A shard that could not be read has its error instead of a lag. */
static void add_shard(yyjson_mut_doc *doc, yyjson_mut_val *list, const leat_config *config,
                      const leat_lag *lag, uint32_t shard)
{
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
    leat_json_add_text(doc, object, "shard", config->shards[shard].name);
    if (*lag->errors[shard].text) {
        leat_json_add_text(doc, object, "error", lag->errors[shard].text);
        return;
    }
    leat_told told = {0};
    add_lag(doc, object, lag->shards[shard].records, lag->shards[shard].parked,
            lag->shards[shard].age_ms);
    leat_told_read(&lag->works[shard], &told);
    leat_told_add(doc, object, &told);
    leat_told_fini(&told);
    leat_json_add_seconds(doc, object, "heard", heard_ms(&lag->works[shard]));
}

static void print_json(const leat_config *config, const leat_lag *lag)
{
    static const char *const sum[] = {"records", "parked", "seconds", NULL};
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = leat_json_new(&root);
    leat_json_add_text(doc, root, "topic", leat_config_topic(config));
    yyjson_mut_obj_add_bool(doc, root, "complete", lag->failed == 0);
    if (lag->total.partitions > 0)
        add_lag(doc, root, lag->total.records, lag->total.parked, lag->total.age_ms);
    else
        add_unknown(doc, root, sum);
    yyjson_mut_val *shards = yyjson_mut_obj_add_arr(doc, root, "shards");
    for (uint32_t shard = 0; shard < config->shard_count; shard++)
        add_shard(doc, shards, config, lag, shard);
    yyjson_mut_val *partitions = yyjson_mut_obj_add_arr(doc, root, "partitions");
    for (uint32_t i = 0; i < lag->count; i++)
        add_partition(doc, partitions, config, &lag->partitions[i]);
    leat_json_print(stdout, doc);
}

/* ---- the command ---- */

static bool is_older(const leat_lag *lag, uint32_t max_seconds)
{
    for (uint32_t i = 0; i < lag->count; i++)
        if (lag->partitions[i].age_ms > (int64_t)max_seconds * 1000)
            return true;
    return false;
}

static int exit_code(const leat_config *config, const leat_lag *lag, const leat_options *options)
{
    for (uint32_t shard = 0; shard < config->shard_count; shard++)
        if (*lag->errors[shard].text)
            leat_print_error("leat lag: shard %s: %s", config->shards[shard].name,
                             lag->errors[shard].text);
    if (options->max_seconds > 0 && is_older(lag, options->max_seconds))
        return LEAT_EXIT_CHECK;
    return lag->failed > 0 || lag->total.age_ms < 0 ? LEAT_EXIT_FAILED : LEAT_EXIT_OK;
}

static int show_lag(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    leat_lag *lag = leat_must_calloc(1, sizeof *lag);
    int code = leat_assembly_read_lag(assembly, LEAT_LAG_WORK_IF_READ, lag, error);
    if (code == 0) {
        (options->json ? print_json : print_text)(&assembly->config, lag);
        code = exit_code(&assembly->config, lag, options);
    }
    leat_lag_fini(lag);
    free(lag);
    return code;
}

int leat_command_lag(const leat_options *options)
{
    return leat_with_assembly("lag", options, show_lag);
}
