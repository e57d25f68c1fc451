/* leat status: log, shards, lag, dead letters, who works and what stands still, on one screen. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/assembly_lag.h"
#include "base/printable.h"
#include "cli/with_assembly.h"
#include "watch/troubles.h"

typedef struct overview {
    leat_assembly *assembly;
    leat_lag lag;
    leat_error log_error; /* empty: the log answers */
    leat_troubles shards[LEAT_SHARDS_MAX];
    uint32_t unwell; /* shards in trouble */
} overview;

static bool log_answers(const overview *about)
{
    return !*about->log_error.text;
}

static void look(overview *about, uint32_t max_seconds)
{
    if (leat_assembly_read_lag(about->assembly, true, &about->lag, &about->log_error) == 0)
        about->log_error.text[0] = '\0';
    for (uint32_t shard = 0; shard < about->assembly->config.shard_count; shard++) {
        leat_troubles_find(leat_assembly_address(&about->assembly->config.shards[shard]),
                           &about->lag, shard, max_seconds, &about->shards[shard]);
        about->unwell += about->shards[shard].count > 0;
    }
}

/* Partitions of the shard that are known, and how often they were claimed. */
static uint32_t count_partitions(const overview *about, uint32_t shard, int64_t *ret_claims)
{
    uint32_t count = 0;
    *ret_claims = 0;
    for (uint32_t i = 0; i < about->lag.count; i++) {
        const leat_lag_partition *at = &about->lag.partitions[i];
        if (at->shard != shard || !at->is_known)
            continue;
        count++;
        *ret_claims += at->epoch;
    }
    return count;
}

/* Of its partitions the first that an open transaction holds back, in words; NULL: none. */
static const char *held_of(const overview *about, uint32_t shard, char text[LEAT_LAG_HELD_SIZE])
{
    const leat_lag_partition *at = leat_lag_first_held(&about->lag, shard);
    return at ? leat_lag_held(at, text) : NULL;
}

/* ---- text ---- */

static void print_words(const char *before, const char *words)
{
    leat_buf text = {0};
    leat_buf_printable(&text, leat_slice_of(words), SIZE_MAX, false);
    const char *line = leat_buf_cstr(&text);
    printf("%s%s\n", before, line ? line : "");
    leat_buf_free(&text);
}

static void print_process(const leat_troubles *troubles, const leat_status_process *process)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "%s: ", process->name);
    if (process->sessions > 0 || !troubles->is_pooled)
        leat_buf_printf(&text, "%" PRIu32 " sessions, %" PRIu32 " busy, ", process->sessions,
                        process->busy);
    leat_buf_printf(&text, "%" PRIu32 " partitions", process->partition_count);
    if (process->heard_ms >= 0)
        leat_buf_printf(&text, ", heard %" PRId64 " s ago%s", process->heard_ms / 1000,
                        process->works ? "" : ": it does not work");
    const char *line = leat_buf_cstr(&text);
    print_words("    ", line ? line : "");
    leat_buf_free(&text);
}

static void print_trouble(const leat_trouble_line *trouble)
{
    char before[64];
    if (trouble->age_ms < 0)
        snprintf(before, sizeof before, "    UNWELL, ");
    else
        snprintf(before, sizeof before, "    UNWELL for %" PRId64 " s, ", trouble->age_ms / 1000);
    print_words(before, trouble->words);
}

static void print_shard(const overview *about, uint32_t shard)
{
    char seconds[LEAT_LAG_SECONDS_SIZE], held[LEAT_LAG_HELD_SIZE];
    int64_t claims;
    uint32_t partitions = count_partitions(about, shard, &claims);
    const leat_troubles *troubles = &about->shards[shard];
    const leat_lag_sum *lag = &about->lag.shards[shard];
    printf("shard %s: ", about->assembly->config.shards[shard].name);
    if (*about->lag.errors[shard].text) {
        print_words("UNWELL, ", about->lag.errors[shard].text);
        return;
    }
    if (log_answers(about))
        printf("%" PRIu32 " partitions claimed %" PRId64 " times, %" PRId64
               " records behind at most, the oldest %s s, ",
               partitions, claims, lag->records, leat_lag_seconds(lag->age_ms, seconds));
    printf("%" PRId64 " dead letters\n", about->lag.works[shard].dead_letters);
    for (uint32_t i = 0; i < troubles->process_count; i++)
        print_process(troubles, &troubles->processes[i]);
    if (troubles->is_pooled)
        printf("    behind a pooler: its sessions have the name of who used them last\n");
    for (uint32_t i = 0; i < troubles->count; i++)
        print_trouble(&troubles->lines[i]);
    if (troubles->left_out > 0)
        printf("    and %" PRIu32 " more\n", troubles->left_out);
    if (!troubles->is_held && held_of(about, shard, held))
        printf("    %s\n", held);
}

static void print_text(const overview *about)
{
    const leat_assembly *assembly = about->assembly;
    if (log_answers(about))
        printf("log: %s %s, %" PRIu32 " partitions\n", assembly->log.file ? "file" : "topic",
               assembly->log.file ? assembly->log.file : assembly->log.topic,
               assembly->identity.partition_count);
    else
        print_words("log: UNWELL, ", about->log_error.text);
    for (uint32_t shard = 0; shard < assembly->config.shard_count; shard++)
        print_shard(about, shard);
    printf("%s\n", about->unwell == 0 && log_answers(about) ? "all is well" : "not all is well");
}

/* ---- JSON ---- */

static void put_text(leat_buf *out, const char *name, const char *value)
{
    leat_buf_printf(out, "\"%s\":", name);
    if (value && *value)
        leat_buf_json_string(out, leat_slice_of(value));
    else
        leat_buf_text(out, "null");
}

static void put_processes(leat_buf *out, const leat_troubles *troubles)
{
    leat_buf_text(out, ",\"processes\":[");
    for (uint32_t i = 0; i < troubles->process_count; i++) {
        const leat_status_process *process = &troubles->processes[i];
        leat_buf_text(out, i == 0 ? "{" : ",{");
        put_text(out, "name", process->name);
        leat_buf_printf(out,
                        ",\"works\":%s,\"sessions\":%" PRIu32 ",\"busy\":%" PRIu32
                        ",\"partitions\":%" PRIu32 ",\"heard\":",
                        process->works ? "true" : "false", process->sessions, process->busy,
                        process->partition_count);
        if (process->heard_ms >= 0)
            leat_buf_printf(out, "%" PRId64 ".%03d}", process->heard_ms / 1000,
                            (int)(process->heard_ms % 1000));
        else
            leat_buf_text(out, "null}");
    }
    leat_buf_printf(out, "],\"pooled\":%s", troubles->is_pooled ? "true" : "false");
}

static void put_shard(leat_buf *out, const overview *about, uint32_t shard)
{
    char held[LEAT_LAG_HELD_SIZE];
    int64_t claims;
    uint32_t partitions = count_partitions(about, shard, &claims);
    const leat_troubles *troubles = &about->shards[shard];
    const char *error = about->lag.errors[shard].text;
    leat_buf_byte(out, '{');
    put_text(out, "shard", about->assembly->config.shards[shard].name);
    leat_buf_byte(out, ',');
    put_text(out, "error", error);
    leat_buf_byte(out, ',');
    put_text(out, "trouble", troubles->count > 0 ? troubles->lines[0].words : NULL);
    leat_buf_byte(out, ',');
    put_text(out, "held", held_of(about, shard, held));
    leat_buf_text(out, ",\"troubles\":[");
    for (uint32_t i = 0; i < troubles->count; i++)
        leat_buf_printf(out, "%s%s", i == 0 ? "" : ",", troubles->lines[i].json);
    leat_buf_byte(out, ']');
    if (!*error) {
        leat_buf_printf(out, ",\"dead_letters\":%" PRId64, about->lag.works[shard].dead_letters);
        put_processes(out, troubles);
    }
    if (!*error && log_answers(about)) {
        leat_buf_printf(out, ",\"partitions\":%" PRIu32 ",\"claims\":%" PRId64 ",", partitions,
                        claims);
        leat_lag_put_json(out, about->lag.shards[shard].records, about->lag.shards[shard].age_ms);
    }
    leat_buf_byte(out, '}');
}

static void print_json(const overview *about)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "{\"well\":%s,",
                    about->unwell == 0 && log_answers(about) ? "true" : "false");
    put_text(&text, "topic", about->assembly->log.topic);
    leat_buf_byte(&text, ',');
    put_text(&text, "log_error", about->log_error.text);
    for (uint32_t shard = 0; shard < about->assembly->config.shard_count; shard++) {
        leat_buf_text(&text, shard == 0 ? ",\"shards\":[" : ",");
        put_shard(&text, about, shard);
    }
    leat_buf_text(&text, "]}");
    const char *line = leat_buf_cstr(&text);
    printf("%s\n", line ? line : "{}");
    leat_buf_free(&text);
}

/* ---- the command ---- */

/* When nothing answers, it may be this machine that is cut off. */
static int judge(const overview *about)
{
    bool all_silent = about->lag.log_is_silent;
    for (uint32_t shard = 0; shard < about->assembly->config.shard_count; shard++)
        all_silent = all_silent && about->lag.silent[shard];
    if (all_silent)
        return LEAT_EXIT_FAILED;
    return about->unwell > 0 || !log_answers(about) ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

static int show_status(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    (void)error; /* a log or shard that does not answer is what is shown */
    overview *about = leat_must_calloc(1, sizeof *about);
    about->assembly = assembly;
    look(about, options->max_seconds);
    (options->json ? print_json : print_text)(about);
    int code = judge(about);
    for (uint32_t shard = 0; shard < LEAT_SHARDS_MAX; shard++)
        leat_troubles_fini(&about->shards[shard]);
    leat_lag_fini(&about->lag);
    free(about);
    return code;
}

int leat_command_status(const leat_options *options)
{
    return leat_with_assembly("status", options, show_status);
}
