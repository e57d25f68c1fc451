/* leat lag: how far the shards are behind the log. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/diag.h"
#include "cli/with_assembly.h"
#include "daemon/assembly_lag.h"

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
               "  %8s\n",
               at->partition, config->shards[at->shard].name, at->end, at->low, at->applied,
               at->records, leat_lag_seconds(at->age_ms, seconds));
    else
        printf("%-9" PRIu32 "  %-16s  %12" PRId64 "  %12s  %12s  %10s  %8s\n", at->partition,
               config->shards[at->shard].name, at->end, "unknown", "unknown", "unknown", "unknown");
}

static void print_sum(const char *of, const leat_lag_sum *sum)
{
    char seconds[LEAT_LAG_SECONDS_SIZE];
    if (sum->partitions == 0)
        printf("%s: unknown\n", of);
    else
        printf("%s: %" PRId64 " records at most, the oldest %s s\n", of, sum->records,
               leat_lag_seconds(sum->age_ms, seconds));
}

static void print_text(const leat_config *config, const leat_lag *lag)
{
    printf("%-9s  %-16s  %12s  %12s  %12s  %10s  %8s\n", "partition", "shard", "log end",
           "low water", "applied", "records", "seconds");
    for (uint32_t i = 0; i < lag->count; i++)
        print_partition(config, &lag->partitions[i]);
    printf("\n");
    for (uint32_t shard = 0; shard < config->shard_count; shard++) {
        char of[LEAT_NAME_MAX + 16];
        snprintf(of, sizeof of, "shard %s", config->shards[shard].name);
        print_sum(of, &lag->shards[shard]);
    }
    print_held(lag);
    print_sum(lag->failed > 0 ? "what could be read" : "all", &lag->total);
}

/* ---- JSON ---- */

static void put_partition(leat_buf *out, const leat_config *config, const leat_lag_partition *at)
{
    leat_buf_printf(out, "{\"partition\":%" PRIu32 ",\"shard\":", at->partition);
    leat_buf_json_string(out, leat_slice_of(config->shards[at->shard].name));
    leat_buf_printf(out, ",\"end\":%" PRId64, at->end);
    if (at->is_known) {
        leat_buf_printf(out, ",\"low\":%" PRId64 ",\"applied\":%" PRId64 ",", at->low, at->applied);
        leat_lag_put_json(out, at->records, at->age_ms);
    } else {
        leat_buf_text(out, ",\"low\":null,\"applied\":null,\"records\":null,\"seconds\":null");
    }
    if (at->held > 0)
        leat_buf_printf(out, ",\"held_from\":%" PRId64 ",\"held\":%" PRId64, at->held_from,
                        at->held);
    leat_buf_byte(out, '}');
}

/* A shard that could not be read has its error instead of a lag. */
static void put_shard(leat_buf *out, const leat_config *config, const leat_lag *lag, uint32_t shard)
{
    leat_buf_text(out, "{\"shard\":");
    leat_buf_json_string(out, leat_slice_of(config->shards[shard].name));
    leat_buf_byte(out, ',');
    if (*lag->errors[shard].text) {
        leat_buf_text(out, "\"error\":");
        leat_buf_json_string(out, leat_slice_of(lag->errors[shard].text));
    } else {
        leat_lag_put_json(out, lag->shards[shard].records, lag->shards[shard].age_ms);
    }
    leat_buf_byte(out, '}');
}

static void print_json(const leat_config *config, const leat_lag *lag)
{
    leat_buf text = {0};
    leat_buf_text(&text, "{\"topic\":");
    leat_buf_json_string(&text, leat_slice_of(leat_config_topic(config)));
    leat_buf_printf(&text, ",\"complete\":%s,", lag->failed > 0 ? "false" : "true");
    if (lag->total.partitions > 0)
        leat_lag_put_json(&text, lag->total.records, lag->total.age_ms);
    else
        leat_buf_text(&text, "\"records\":null,\"seconds\":null");
    for (uint32_t shard = 0; shard < config->shard_count; shard++) {
        leat_buf_text(&text, shard == 0 ? ",\"shards\":[" : ",");
        put_shard(&text, config, lag, shard);
    }
    leat_buf_text(&text, "],\"partitions\":[");
    for (uint32_t i = 0; i < lag->count; i++) {
        leat_buf_text(&text, i == 0 ? "" : ",");
        put_partition(&text, config, &lag->partitions[i]);
    }
    leat_buf_text(&text, "]}");
    const char *line = leat_buf_cstr(&text);
    printf("%s\n", line ? line : "{}");
    leat_buf_free(&text);
}

/* ---- the command ---- */

static bool is_over(const leat_lag *lag, uint32_t max_seconds)
{
    for (uint32_t i = 0; i < lag->count; i++)
        if (lag->partitions[i].age_ms > (int64_t)max_seconds * 1000)
            return true;
    return false;
}

static int judge(const leat_config *config, const leat_lag *lag, const leat_options *options)
{
    for (uint32_t shard = 0; shard < config->shard_count; shard++)
        if (*lag->errors[shard].text)
            leat_complain("leat lag: shard %s: %s", config->shards[shard].name,
                          lag->errors[shard].text);
    if (options->max_seconds > 0 && is_over(lag, options->max_seconds))
        return LEAT_EXIT_CHECK;
    return lag->failed > 0 || lag->total.age_ms < 0 ? LEAT_EXIT_FAILED : LEAT_EXIT_OK;
}

static int show_lag(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    leat_lag *lag = leat_must_calloc(1, sizeof *lag);
    int code = leat_assembly_read_lag(assembly, false, lag, error);
    if (code == 0) {
        (options->json ? print_json : print_text)(&assembly->config, lag);
        code = judge(&assembly->config, lag, options);
    }
    leat_lag_fini(lag);
    free(lag);
    return code;
}

int leat_command_lag(const leat_options *options)
{
    return leat_with_assembly("lag", options, show_lag);
}
