/* leat status: log, shards, lag, dead letters and who works, on one screen. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/commands.h"
#include "cli/lag.h"
#include "sink/shard.h"

/* A transaction is open for moments as a matter of course. */
enum { HELD_TROUBLE_MS = 10 * 1000 };

typedef struct shard_status {
    leat_error error; /* empty: everything below is known */
    leat_shard_work work;
    uint32_t partitions;
    int64_t claims;
    const char *trouble; /* NULL: none */
    char held[LEAT_LAG_HELD_SIZE]; /* of its partitions the first that an open transaction holds back; "": none */
} shard_status;

typedef struct overview {
    leat_startup startup;
    leat_lag lag;
    leat_error log_error; /* empty: the log answers */
    shard_status shards[LEAT_SHARDS_MAX];
    uint32_t unwell; /* shards in trouble */
    uint32_t silent; /* those that could not be read */
} overview;

/* ---- looking ---- */

static bool log_answers(const overview *about)
{
    return !*about->log_error.text;
}

static const char *trouble_of(const overview *about, uint32_t shard)
{
    const shard_status *status = &about->shards[shard];
    const leat_lag_sum *lag = &about->lag.shards[shard];
    if (*status->error.text)
        return "it cannot be read";
    if (*status->held && lag->age_ms > HELD_TROUBLE_MS)
        return status->held;
    if (lag->age_ms < 0)
        return "the record above a low water could not be read: perhaps it is not in the log any more";
    /* SQLite knows nothing of who has its file open, and behind a pooler sessions have the name of who used them last. */
    bool is_told = about->startup.config.shards[shard].dsn != NULL && !status->work.is_pooled;
    if (is_told && lag->records > 0 && status->work.process_count == 0)
        return "records wait and nobody applies them";
    return NULL;
}

static void look_at_shard(overview *about, uint32_t shard)
{
    const leat_startup *startup = &about->startup;
    shard_status *status = &about->shards[shard];
    status->error = about->lag.errors[shard];
    if (!*status->error.text)
        about->silent += leat_shard_read_work(leat_startup_address(&startup->config.shards[shard]),
                                              startup->log.topic, &status->work, &status->error) != 0;
    else
        about->silent++;
    for (uint32_t i = 0; i < about->lag.count; i++) {
        if (about->lag.partitions[i].shard != shard)
            continue;
        if (about->lag.partitions[i].held > 0 && !*status->held)
            leat_lag_held(&about->lag.partitions[i], status->held);
        status->partitions++;
        status->claims += about->lag.partitions[i].epoch;
    }
    status->trouble = trouble_of(about, shard);
    about->unwell += status->trouble != NULL;
}

static void look(overview *about)
{
    if (leat_lag_read(&about->startup, &about->lag, &about->log_error) != 0) {
        leat_lag_fini(&about->lag);
        memset(&about->lag, 0, sizeof about->lag);
    }
    for (uint32_t shard = 0; shard < about->startup.config.shard_count; shard++)
        look_at_shard(about, shard);
}

/* ---- text ---- */

static void print_shard(const overview *about, uint32_t shard)
{
    char seconds[LEAT_LAG_SECONDS_SIZE];
    const shard_status *status = &about->shards[shard];
    const leat_lag_sum *lag = &about->lag.shards[shard];
    printf("shard %s: ", about->startup.config.shards[shard].name);
    if (*status->error.text) {
        printf("UNWELL, %s\n", status->error.text);
        return;
    }
    if (log_answers(about))
        printf("%" PRIu32 " partitions claimed %" PRId64 " times, %" PRId64 " records behind at most, the oldest %s s, ",
               status->partitions, status->claims, lag->records, leat_lag_seconds(lag->age_ms, seconds));
    printf("%" PRId64 " dead letters\n", status->work.dead_letters);
    for (uint32_t i = 0; i < status->work.process_count; i++)
        printf("    %s: %" PRIu32 " sessions, %" PRIu32 " busy\n", status->work.processes[i].name,
               status->work.processes[i].sessions, status->work.processes[i].busy);
    if (status->work.is_pooled)
        printf("    behind a pooler: these are who used its sessions last\n");
    if (status->trouble)
        printf("    UNWELL, %s\n", status->trouble);
    if (*status->held && status->trouble != status->held)
        printf("    %s\n", status->held);
}

static void print_text(const overview *about)
{
    const leat_startup *startup = &about->startup;
    if (log_answers(about))
        printf("log: %s %s, %" PRIu32 " partitions\n", startup->log.file ? "file" : "topic",
               startup->log.file ? startup->log.file : startup->log.topic, startup->identity.partition_count);
    else
        printf("log: UNWELL, %s\n", about->log_error.text);
    for (uint32_t shard = 0; shard < startup->config.shard_count; shard++)
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

static void put_work(leat_buf *out, const leat_shard_work *work)
{
    leat_buf_printf(out, ",\"dead_letters\":%" PRId64 ",\"processes\":[", work->dead_letters);
    for (uint32_t i = 0; i < work->process_count; i++) {
        leat_buf_text(out, i == 0 ? "{" : ",{");
        put_text(out, "name", work->processes[i].name);
        leat_buf_printf(out, ",\"sessions\":%" PRIu32 ",\"busy\":%" PRIu32 "}", work->processes[i].sessions,
                        work->processes[i].busy);
    }
    leat_buf_printf(out, "],\"pooled\":%s", work->is_pooled ? "true" : "false");
}

static void put_shard(leat_buf *out, const overview *about, uint32_t shard)
{
    const shard_status *status = &about->shards[shard];
    const leat_lag_sum *lag = &about->lag.shards[shard];
    leat_buf_byte(out, '{');
    put_text(out, "shard", about->startup.config.shards[shard].name);
    leat_buf_byte(out, ',');
    put_text(out, "error", status->error.text);
    leat_buf_byte(out, ',');
    put_text(out, "trouble", status->trouble);
    leat_buf_byte(out, ',');
    put_text(out, "held", status->held);
    if (!*status->error.text)
        put_work(out, &status->work);
    if (!*status->error.text && log_answers(about)) {
        leat_buf_printf(out, ",\"partitions\":%" PRIu32 ",\"claims\":%" PRId64 ",", status->partitions, status->claims);
        leat_lag_put_json(out, lag->records, lag->age_ms);
    }
    leat_buf_byte(out, '}');
}

static void print_json(const overview *about)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "{\"well\":%s,", about->unwell == 0 && log_answers(about) ? "true" : "false");
    put_text(&text, "topic", about->startup.log.topic);
    leat_buf_byte(&text, ',');
    put_text(&text, "log_error", about->log_error.text);
    for (uint32_t shard = 0; shard < about->startup.config.shard_count; shard++) {
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
    if (!log_answers(about) && about->silent == about->startup.config.shard_count)
        return LEAT_EXIT_FAILED;
    return about->unwell > 0 || !log_answers(about) ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

int leat_command_status(const leat_options *options)
{
    overview *about = leat_must_calloc(1, sizeof *about);
    leat_error error = {0};
    int code = LEAT_EXIT_USAGE;
    if (leat_startup_config(&about->startup, options->config_file, &error) != 0) {
        fprintf(stderr, "leat status: %s\n", error.text);
    } else {
        look(about);
        (options->json ? print_json : print_text)(about);
        code = judge(about);
    }
    for (uint32_t shard = 0; shard < LEAT_SHARDS_MAX; shard++)
        leat_shard_work_fini(&about->shards[shard].work);
    leat_lag_fini(&about->lag);
    leat_startup_fini(&about->startup);
    free(about);
    return code;
}
