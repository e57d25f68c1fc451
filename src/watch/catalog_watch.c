/*
 * catalog_watch.c - reads the tables of each shard again and again. A read may block for as long as
 * the shard's time limits allow, so it runs on libuv's pool; its result is compared and published
 * on the loop's thread, so that versions have one writer. Requests come from workers that met an
 * error the newest version does not explain, possibly many at once: they are merged into one read
 * that begins after the last of them, because one that began before may have seen the old tables.
 */
#include "watch/catalog_watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/rate_limit.h"

enum { PACE_MS = 250 };

typedef struct watch_shard {
    leat_catalog_watch *watch;
    uint32_t shard;
    bool is_wanted;    /* a read that begins from now on */
    bool is_under_way; /* one at a time */
    int64_t begun_us;  /* 0: never */
    uv_work_t work;
    /* Written by the pool's thread while the read is under way, used by the loop's afterwards. */
    int status;
    leat_table *tables;
    uint32_t table_count;
    leat_error error;
} watch_shard;

struct leat_catalog_watch {
    leat_catalog_watch_config config;
    uv_loop_t *loop;
    uv_timer_t every;
    uv_timer_t pace; /* when a read that was requested too soon may begin */
    uv_async_t requested;
    bool is_stopped;
    bool is_freeing;
    uint32_t open; /* handles and reads that the loop still knows */
    leat_rate_limit rate_limit;
    watch_shard *shards;
};

static void begin_wanted_reads(leat_catalog_watch *watch);

/* ---- its end ---- */

static void close_one(leat_catalog_watch *watch)
{
    LEAT_ASSERT(watch->open > 0);
    if (--watch->open > 0 || !watch->is_freeing)
        return;
    free(watch->shards);
    free(watch);
}

static void on_closed(uv_handle_t *handle)
{
    close_one(handle->data);
}

/* ---- the result of a read ---- */

static bool is_same(const leat_schema_version *version, const leat_table *tables, uint32_t count)
{
    bool same = version->table_count == count;
    for (uint32_t i = 0; same && i < count; i++)
        same = leat_table_equal(&version->tables[i], &tables[i]);
    return same;
}

static void log_changes(const char *shard, const leat_schema_version *from,
                        const leat_schema_version *to)
{
    leat_buf change = {0};
    for (uint32_t i = 0; i < to->table_count; i++) {
        leat_buf_clear(&change);
        leat_table_describe_change(&from->tables[i], &to->tables[i], &change);
        const char *text = leat_buf_cstr(&change);
        if (text && change.size > 0)
            leat_info("table altered shard=%s table=%s change=\"%s\"", shard, to->tables[i].label,
                      text);
    }
    leat_buf_free(&change);
}

/* Tables that do not fit are read again and again until they do; logged once a minute. */
static void log_refused(leat_catalog_watch *watch, uint32_t shard, const char *reason)
{
    char text[sizeof(leat_error) + LEAT_NAME_MAX + 1];
    const char *name = watch->config.shard_names[shard];
    snprintf(text, sizeof text, "%s %s", name, reason);
    if (leat_rate_limit_allows(&watch->rate_limit, uv_now(watch->loop), text))
        leat_err(
            "altered tables do not fit: leat goes on with the tables it knew before, and writes that the altered ones "
            "refuse wait shard=%s reason=\"%s\" advice=\"alter them back, or change the configuration and restart\"",
            name, reason);
}

/* Takes the tables. */
static void take_change(leat_catalog_watch *watch, uint32_t shard, leat_table *tables,
                        uint32_t count, int64_t catalog_read_us)
{
    const leat_catalog_watch_config *config = &watch->config;
    const leat_schema_version *from = leat_schema_versions_newest(config->schema_versions, shard);
    leat_error error;
    leat_schema_version *version = config->build(config->context, tables, count, &error);
    if (!version || leat_schema_version_follows(from, version, &error) != 0) {
        leat_schema_version_free(version);
        log_refused(watch, shard, error.text);
        return;
    }
    log_changes(config->shard_names[shard], from, version);
    leat_schema_versions_publish(config->schema_versions, shard, version, catalog_read_us);
    config->published(config->context, shard, version);
}

static void take_result(leat_catalog_watch *watch, watch_shard *at)
{
    const leat_catalog_watch_config *config = &watch->config;
    if (at->status != 0) {
        leat_debug("tables not read shard=%s reason=\"%s\"", config->shard_names[at->shard],
                   at->error.text);
    } else if (is_same(leat_schema_versions_newest(config->schema_versions, at->shard), at->tables,
                       at->table_count)) {
        leat_schema_versions_confirm(config->schema_versions, at->shard, at->begun_us);
        leat_tables_free(at->tables, at->table_count);
    } else {
        take_change(watch, at->shard, at->tables, at->table_count, at->begun_us);
    }
    at->tables = NULL;
}

/* ---- reads ---- */

/* A thread of the pool. */
static void read_tables(uv_work_t *work)
{
    watch_shard *at = work->data;
    const leat_catalog_watch_config *config = &at->watch->config;
    at->status =
        config->read(config->context, at->shard, &at->tables, &at->table_count, &at->error);
}

static void on_read(uv_work_t *work, int cancelled)
{
    watch_shard *at = work->data;
    leat_catalog_watch *watch = at->watch;
    LEAT_ASSERT(at->is_under_way);
    at->is_under_way = false;
    if (!cancelled && !watch->is_stopped)
        take_result(watch, at);
    else if (!cancelled && at->status == 0)
        leat_tables_free(at->tables, at->table_count);
    begin_wanted_reads(watch);
    close_one(watch);
}

static void begin_read(watch_shard *at)
{
    leat_catalog_watch *watch = at->watch;
    LEAT_ASSERT(at->is_wanted && !at->is_under_way && !watch->is_stopped);
    at->is_wanted = false;
    at->is_under_way = true;
    at->begun_us = leat_mono_us();
    at->status = -1;
    watch->open++;
    int status = uv_queue_work(watch->loop, &at->work, read_tables, on_read);
    LEAT_ASSERT(status == 0);
}

static void on_pace(uv_timer_t *timer)
{
    begin_wanted_reads(timer->data);
}

static void begin_wanted_reads(leat_catalog_watch *watch)
{
    if (watch->is_stopped)
        return;
    int64_t now_us = leat_mono_us(), wait_us = INT64_MAX;
    for (uint32_t i = 0; i < watch->config.shard_count; i++) {
        watch_shard *at = &watch->shards[i];
        if (!at->is_wanted || at->is_under_way)
            continue;
        int64_t left_us = at->begun_us ? at->begun_us + PACE_MS * 1000 - now_us : 0;
        if (left_us <= 0)
            begin_read(at);
        else if (left_us < wait_us)
            wait_us = left_us;
    }
    if (wait_us < INT64_MAX)
        uv_timer_start(&watch->pace, on_pace, (uint64_t)(wait_us + 999) / 1000, 0);
}

static void on_every(uv_timer_t *timer)
{
    leat_catalog_watch *watch = timer->data;
    for (uint32_t i = 0; i < watch->config.shard_count; i++)
        if (!watch->shards[i].is_under_way)
            watch->shards[i].is_wanted = true;
    begin_wanted_reads(watch);
}

static void on_requested(uv_async_t *async)
{
    leat_catalog_watch *watch = async->data;
    for (uint32_t i = 0; i < watch->config.shard_count; i++)
        watch->shards[i].is_wanted = true;
    begin_wanted_reads(watch);
}

/* ---- public ---- */

leat_catalog_watch *leat_catalog_watch_new(uv_loop_t *loop, const leat_catalog_watch_config *config)
{
    leat_catalog_watch *watch = leat_must_calloc(1, sizeof *watch);
    watch->config = *config;
    watch->loop = loop;
    watch->open = 3;
    watch->shards = leat_must_calloc(config->shard_count, sizeof *watch->shards);
    for (uint32_t i = 0; i < config->shard_count; i++) {
        watch->shards[i].watch = watch;
        watch->shards[i].shard = i;
        watch->shards[i].work.data = &watch->shards[i];
    }
    uv_timer_init(loop, &watch->every);
    uv_timer_init(loop, &watch->pace);
    uv_async_init(loop, &watch->requested, on_requested);
    watch->every.data = watch;
    watch->pace.data = watch;
    watch->requested.data = watch;
    uv_timer_start(&watch->every, on_every, 0, (uint64_t)config->every_ms);
    return watch;
}

void leat_catalog_watch_request_read(leat_catalog_watch *watch)
{
    uv_async_send(&watch->requested);
}

void leat_catalog_watch_stop(leat_catalog_watch *watch)
{
    if (watch->is_stopped)
        return;
    watch->is_stopped = true;
    uv_timer_stop(&watch->every);
    uv_timer_stop(&watch->pace);
    for (uint32_t i = 0; i < watch->config.shard_count; i++)
        if (watch->shards[i].is_under_way)
            uv_cancel((uv_req_t *)&watch->shards[i].work); /* a read that waits for a thread does
                                                              not begin */
}

void leat_catalog_watch_free(leat_catalog_watch *watch)
{
    if (!watch)
        return;
    leat_catalog_watch_stop(watch);
    watch->is_freeing = true;
    uv_close((uv_handle_t *)&watch->every, on_closed);
    uv_close((uv_handle_t *)&watch->pace, on_closed);
    uv_close((uv_handle_t *)&watch->requested, on_closed);
}
