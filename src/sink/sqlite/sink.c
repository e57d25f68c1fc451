/*
 * The SQLite sink: one connection to a file, one job at a time. What touches the file runs on
 * libuv's pool, so that a disk that is slow or a lock that another program holds stops nothing but
 * this shard. The file is opened again and again until it can be, and anew after the disk has
 * failed: what was in doubt is then read from it by a new claim.
 */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/diag.h"
#include "sink/sqlite/job.h"
#include "base/rate_limit.h"
#include "sink/sink_ops.h"

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 5000 };

typedef struct sqlite_sink {
    leat_sink base;
    uv_loop_t *loop;
    leat_sink_events events;
    char *shard_name;
    char *file;
    uint32_t shard;
    int64_t lock_timeout_ms;
    leat_prng prng;
    leat_sink_counters counters;
    leat_rate_limit rate_limit;

    /* The pool's while `is_working`. */
    leat_sqlite_runner runner;
    leat_sqlite_job *job;
    int open_status;
    leat_error open_error;

    bool is_open;      /* slots has said so */
    bool is_working;   /* a job, or opening */
    bool is_down;      /* said */
    uint32_t failures; /* to open, in a row */
    leat_engine_job_kind job_kind;
    uint32_t job_partition;
    bool has_orphan; /* a job that found the file closed, or no memory */
    uint32_t orphan;

    uv_work_t work;
    uv_timer_t retry;
    uv_idle_t turn; /* runs once, to report the orphan */
    bool freed;
    uint32_t held; /* handles, and work under way, that still point here */
} sqlite_sink;

static void release(sqlite_sink *sink)
{
    leat_sqlite_rows_free(sink->runner.rows);
    leat_sqlite_close(&sink->runner.sqlite);
    leat_sqlite_job_free(sink->job);
    free(sink->shard_name);
    free(sink->file);
    free(sink);
}

static void let_go(sqlite_sink *sink)
{
    if (--sink->held == 0)
        release(sink);
}

/* ---- opening ---- */

static void open_file(uv_work_t *work)
{
    sqlite_sink *sink = work->data;
    leat_sqlite_rows_forget(sink->runner.rows);
    leat_sqlite_close(&sink->runner.sqlite);
    sink->open_status = leat_sqlite_open(&sink->runner.sqlite, sink->file, sink->lock_timeout_ms,
                                         &sink->open_error);
}

static void begin_work(sqlite_sink *sink, uv_work_cb run, uv_after_work_cb done)
{
    LEAT_ASSERT(!sink->is_working);
    sink->is_working = true;
    sink->held++;
    LEAT_ASSERT(uv_queue_work(sink->loop, &sink->work, run, done) == 0);
}

/* Is there still somebody to tell? */
static bool end_work(sqlite_sink *sink)
{
    bool is_wanted = !sink->freed; /* before it is let go: that may be the end of it */
    sink->is_working = false;
    let_go(sink);
    return is_wanted;
}

static void on_opened(uv_work_t *work, int status);

static void on_retry(uv_timer_t *timer)
{
    sqlite_sink *sink = timer->data;
    begin_work(sink, open_file, on_opened);
}

static void open_later(sqlite_sink *sink)
{
    int64_t delay_ms = 0;
    if (sink->failures > 0)
        delay_ms = leat_backoff(&sink->prng, sink->failures, RETRY_MIN_MS, RETRY_MAX_MS);
    uv_timer_start(&sink->retry, on_retry, (uint64_t)delay_ms, 0);
}

static void say_down(sqlite_sink *sink, const char *why)
{
    if (!sink->is_down)
        leat_warn("shard %s: its file cannot be used, trying until it can: %s", sink->shard_name,
                  why);
    sink->is_down = true;
}

static void on_opened(uv_work_t *work, int status)
{
    sqlite_sink *sink = work->data;
    (void)status; /* nothing cancels it */
    if (!end_work(sink))
        return;
    if (sink->open_status != 0) {
        sink->counters.connect_failures++;
        sink->failures++;
        say_down(sink, sink->open_error.text);
        open_later(sink);
        return;
    }
    leat_info("shard %s: %s is open", sink->shard_name, sink->file);
    sink->is_open = true;
    sink->is_down = false;
    sink->failures = 0;
    sink->counters.connects++;
    sink->events.slots(sink->events.context, sink->shard, 1);
}

/* ---- jobs ---- */

static void run_job(uv_work_t *work)
{
    sqlite_sink *sink = work->data;
    leat_sqlite_job_run(sink->job, &sink->runner);
}

/* As of PostgreSQL: of batches the engine tells. */
static void say_failure(sqlite_sink *sink, const leat_engine_job_result *result)
{
    bool passes = result->outcome == LEAT_ENGINE_APPLIED || result->outcome == LEAT_ENGINE_FENCED ||
                  result->outcome == LEAT_ENGINE_WENT_BACK ||
                  result->outcome == LEAT_ENGINE_UNKNOWN;
    if (sink->job_kind == LEAT_ENGINE_JOB_BATCH || passes ||
        !leat_rate_limit_allows(&sink->rate_limit, uv_now(sink->loop), result->message))
        return;
    leat_err(
        "shard %s: partition %u: the %s fails and is tried again with back-off: %s sqlstate=%s: %s",
        sink->shard_name, sink->job_partition,
        sink->job_kind == LEAT_ENGINE_JOB_CLAIM ? "claim" : "compaction",
        leat_engine_outcome_name(result->outcome), result->sqlstate[0] ? result->sqlstate : "none",
        result->message);
}

/* The disk has failed: what the connection believes may not be what is stored. A full disk is no
 * such failure. */
static bool wants_anew(const leat_engine_job_result *result)
{
    return result->outcome == LEAT_ENGINE_UNKNOWN ||
           (result->outcome == LEAT_ENGINE_OUTAGE && strcmp(result->sqlstate, "53000") == 0);
}

static void on_job_done(uv_work_t *work, int status)
{
    (void)status; /* nothing cancels it */
    sqlite_sink *sink = work->data;
    const leat_engine_job_result *result = leat_sqlite_job_result(sink->job);
    const leat_sqlite_counts *counts = leat_sqlite_job_counts(sink->job);
    if (!end_work(sink))
        return;
    sink->counters.rows += counts->rows;
    sink->counters.statements += counts->statements;
    sink->counters.patches_dropped += counts->dropped;
    say_failure(sink, result);
    bool anew = wants_anew(result);
    if (anew)
        sink->is_open = false; /* before the answer, which may be the next job */
    char why[sizeof result->message];
    memcpy(why, result->message, sizeof why);
    sink->held++;
    sink->events.done(sink->events.context, leat_sqlite_job_id(sink->job), result);
    if (anew && !sink->freed) {
        say_down(sink, why);
        sink->events.slots(sink->events.context, sink->shard, 0);
        if (!sink->freed)
            open_later(sink);
    }
    let_go(sink);
}

static void on_turn(uv_idle_t *turn)
{
    sqlite_sink *sink = turn->data;
    uv_idle_stop(turn);
    if (!sink->has_orphan)
        return;
    leat_engine_job_result result = {
        .outcome = LEAT_ENGINE_OUTAGE,
        .bad_record = -1,
        .partition = -1,
        .catalog_read_us = INT64_MAX,
        .message = "the job was not begun: the file is being opened anew, or memory is out"};
    sink->has_orphan = false;
    sink->events.done(sink->events.context, sink->orphan, &result);
}

static void submit(leat_sink *base, const leat_engine_job *job)
{
    sqlite_sink *sink = (sqlite_sink *)base;
    LEAT_ASSERT(!sink->freed && !sink->is_working && !sink->has_orphan);
    if (!sink->is_open || leat_sqlite_job_take(sink->job, job) != 0) {
        sink->has_orphan = true;
        sink->orphan = job->id;
        uv_idle_start(&sink->turn, on_turn);
        return;
    }
    sink->job_kind = job->kind;
    sink->job_partition = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                               : job->partition;
    begin_work(sink, run_job, on_job_done);
}

static const leat_sink_counters *count(const leat_sink *base)
{
    return &((const sqlite_sink *)base)->counters;
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

static void free_sink(leat_sink *base)
{
    sqlite_sink *sink = (sqlite_sink *)base;
    LEAT_ASSERT(!sink->freed);
    sink->freed = true;
    uv_close((uv_handle_t *)&sink->retry, on_closed);
    uv_close((uv_handle_t *)&sink->turn, on_closed);
}

static leat_sink *open_sink(uv_loop_t *loop, const leat_sink_config *config,
                            const leat_sink_events *events, leat_error *error)
{
    leat_sqlite_rows *rows = leat_sqlite_rows_new();
    if (!rows) {
        leat_fail(error, "shard %s: out of memory", config->shard_name);
        return NULL;
    }
    sqlite_sink *sink = leat_must_calloc(1, sizeof *sink);
    sink->base.ops = &leat_sqlite_sink;
    sink->loop = loop;
    sink->events = *events;
    sink->shard_name = leat_must_strdup(config->shard_name);
    sink->file = leat_must_strdup(config->at.sqlite);
    sink->shard = config->shard;
    sink->lock_timeout_ms = config->lock_timeout_ms;
    sink->prng.state = config->seed;
    sink->job = leat_sqlite_job_new();
    sink->runner = (leat_sqlite_runner){.rows = rows,
                                        .schema_versions = config->schema_versions,
                                        .shard = config->shard,
                                        .source_id = config->source_id};
    sink->work.data = sink;
    uv_timer_init(loop, &sink->retry);
    uv_idle_init(loop, &sink->turn);
    sink->retry.data = sink;
    sink->turn.data = sink;
    sink->held = 2;
    open_later(sink);
    return &sink->base;
}

const leat_sink_ops leat_sqlite_sink = {
    .open = open_sink, .submit = submit, .count = count, .free = free_sink};
