/*
 * The SQLite sink: one connection to a file, one job at a time, because a file has one writer. All
 * access to the file runs on libuv's thread pool, so that a slow disk, or another program's lock,
 * stops only this shard. Opening is retried indefinitely. After the disk has failed the file is
 * opened again even though the connection still answers: its cache may contain data that was never
 * stored, and only a new claim on a new connection reads the real content of the file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/diag.h"
#include "base/rate_limit.h"
#include "base/states.h"
#include "sink/sink_ops.h"
#include "sink/sqlite/job.h"

typedef enum sink_state {
    STATE_CLOSED,  /* waits for the next attempt to open */
    STATE_OPENING, /* on the thread pool */
    STATE_READY,   /* `slots` has reported 1 */
    STATE_RUNNING, /* a job is on the thread pool */
    STATE_FREED,   /* nothing is reported any longer; work under way is awaited */
    STATE_COUNT,
} sink_state;

static const unsigned may_follow[STATE_COUNT] = {
    [STATE_CLOSED] = LEAT_TO(STATE_OPENING) | LEAT_TO(STATE_FREED),
    [STATE_OPENING] = LEAT_TO(STATE_READY) | LEAT_TO(STATE_CLOSED) | LEAT_TO(STATE_FREED),
    [STATE_READY] = LEAT_TO(STATE_RUNNING) | LEAT_TO(STATE_FREED),
    [STATE_RUNNING] = LEAT_TO(STATE_READY) | LEAT_TO(STATE_CLOSED) | LEAT_TO(STATE_FREED),
};

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

    sink_state state;

    /* The thread pool's while OPENING or RUNNING, and until work under way has ended. */
    leat_sqlite_runner runner;
    leat_sqlite_job *job;
    int open_status;
    leat_error open_error;

    bool is_down;      /* has been logged */
    uint32_t failures; /* to open, in a row */
    leat_engine_job_kind job_kind;
    uint32_t job_partition;
    bool has_orphan; /* a job that found the file closed, or no memory */
    uint32_t orphan;

    uv_work_t work;
    uv_timer_t retry;
    uv_idle_t turn; /* runs once, to report the orphan */
    uint32_t held;  /* handles, and work under way, that still point here */
} sqlite_sink;

static void enter(sqlite_sink *sink, sink_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, sink->state, state));
    sink->state = state;
}

static void destroy(sqlite_sink *sink)
{
    LEAT_ASSERT(sink->state == STATE_FREED);
    leat_sqlite_rows_free(sink->runner.rows);
    leat_sqlite_close(&sink->runner.sqlite);
    leat_sqlite_job_free(sink->job);
    free(sink->shard_name);
    free(sink->file);
    free(sink);
}

static void release(sqlite_sink *sink)
{
    LEAT_ASSERT(sink->held > 0);
    if (--sink->held == 0)
        destroy(sink);
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

static void begin_work(sqlite_sink *sink, sink_state state, uv_work_cb run, uv_after_work_cb done)
{
    enter(sink, state);
    sink->held++;
    int status = uv_queue_work(sink->loop, &sink->work, run, done);
    LEAT_ASSERT(status == 0);
}

/* False: the sink was freed meanwhile, and may be gone now. */
static bool end_work(sqlite_sink *sink)
{
    bool is_wanted = sink->state != STATE_FREED; /* before the release, which may be the last */
    release(sink);
    return is_wanted;
}

static void on_opened(uv_work_t *work, int status);

static void on_retry(uv_timer_t *timer)
{
    sqlite_sink *sink = timer->data;
    begin_work(sink, STATE_OPENING, open_file, on_opened);
}

static void open_later(sqlite_sink *sink)
{
    LEAT_ASSERT(sink->state == STATE_CLOSED);
    int64_t delay_ms = 0;
    if (sink->failures > 0)
        delay_ms = leat_backoff(&sink->prng, sink->failures, LEAT_SINK_RETRY_MIN_MS,
                                LEAT_SINK_RETRY_MAX_MS);
    uv_timer_start(&sink->retry, on_retry, (uint64_t)delay_ms, 0);
}

static void log_down(sqlite_sink *sink, const char *reason)
{
    if (!sink->is_down)
        leat_warn("SQLite file cannot be used, trying until it can shard=%s file=%s reason=\"%s\"",
                  sink->shard_name, sink->file, reason);
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
        enter(sink, STATE_CLOSED);
        log_down(sink, sink->open_error.text);
        open_later(sink);
        return;
    }
    leat_info("SQLite file is open shard=%s file=%s", sink->shard_name, sink->file);
    enter(sink, STATE_READY);
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

static void log_failure(sqlite_sink *sink, const leat_engine_job_result *result)
{
    if (!leat_sink_logs_failure(sink->job_kind, result->outcome) ||
        !leat_rate_limit_allows(&sink->rate_limit, uv_now(sink->loop), result->message))
        return;
    leat_err("%s fails and is tried again with back-off shard=%s partition=%u sqlstate=%s "
             "outcome=\"%s\" reason=\"%s\"",
             sink->job_kind == LEAT_ENGINE_JOB_CLAIM ? "claim" : "compaction", sink->shard_name,
             sink->job_partition, result->sqlstate[0] ? result->sqlstate : "none",
             leat_engine_outcome_name(result->outcome), result->message);
}

/* The disk has failed. A full disk is not such a failure: its content is known. */
static bool must_reopen(const leat_engine_job_result *result)
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
    log_failure(sink, result);
    bool reopens = must_reopen(result);
    enter(sink, reopens ? STATE_CLOSED : STATE_READY); /* `done` may submit the next job */
    char reason[sizeof result->message];
    memcpy(reason, result->message, sizeof reason); /* the next job overwrites it */
    sink->held++;
    sink->events.done(sink->events.context, leat_sqlite_job_id(sink->job), result);
    if (reopens && sink->state != STATE_FREED) {
        log_down(sink, reason);
        sink->events.slots(sink->events.context, sink->shard, 0);
        if (sink->state != STATE_FREED)
            open_later(sink);
    }
    release(sink);
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
        .message = "the job was not started: out of memory, or the file is being opened again"};
    sink->has_orphan = false;
    sink->events.done(sink->events.context, sink->orphan, &result);
}

static void submit(leat_sink *base, const leat_engine_job *job)
{
    sqlite_sink *sink = (sqlite_sink *)base;
    LEAT_ASSERT(sink->state == STATE_READY || sink->state == STATE_CLOSED);
    LEAT_ASSERT(!sink->has_orphan);
    if (sink->state == STATE_CLOSED || leat_sqlite_job_take(sink->job, job) != 0) {
        sink->has_orphan = true;
        sink->orphan = job->id;
        uv_idle_start(&sink->turn, on_turn);
        return;
    }
    sink->job_kind = job->kind;
    sink->job_partition = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                               : job->partition;
    begin_work(sink, STATE_RUNNING, run_job, on_job_done);
}

static const leat_sink_counters *count(const leat_sink *base)
{
    return &((const sqlite_sink *)base)->counters;
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void free_sink(leat_sink *base)
{
    sqlite_sink *sink = (sqlite_sink *)base;
    enter(sink, STATE_FREED);
    uv_close((uv_handle_t *)&sink->retry, on_closed);
    uv_close((uv_handle_t *)&sink->turn, on_closed);
}

static leat_sink *open_sink(uv_loop_t *loop, const leat_sink_config *config,
                            const leat_sink_events *events, leat_error *error)
{
    LEAT_ASSERT(config->at.sqlite && config->connections > 0);
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
    sink->job = leat_sqlite_job_new(config->placement.subpartitions);
    sink->runner = (leat_sqlite_runner){.rows = rows,
                                        .schema_versions = config->schema_versions,
                                        .controls = config->controls,
                                        .shard = config->shard,
                                        .source_id = config->source_id,
                                        .placement = config->placement,
                                        .idempotency_ms = config->idempotency_ms};
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
