/*
 * worker.c - the life of a worker. All of it but start, drain and the readers of its state runs on
 * its own thread: engine, log reader and sinks are not thread-safe, and need not be. State that
 * other threads read is atomic or under report_lock. The parts are made in the order of dependence
 * (engine, sinks, reader), and each ends before the part that it reports to: the reader gives its
 * records back and leaves the group, then the sinks close, then the memory is freed.
 */
#include "apply/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "apply/worker_state.h"
#include "base/diag.h"
#include "base/limits.h"
#include "base/loop.h"

enum {
    SHOW_EVERY_MS = 500,
    LEAVE_GROUP_MS = 5000,
    SPARE_ITEMS = 64, /* in hand while a record is offered */
};

/* ---- the thread ---- */

static void on_after_poll(uv_check_t *check)
{
    leat_worker *worker = check->data;
    uv_idle_stop(&worker->awake);
    leat_worker_pump(worker);
}

static void on_show(uv_timer_t *timer)
{
    leat_worker_follow_controls(timer->data);
    leat_worker_follow_drain(timer->data);
    leat_worker_follow_parked_size(timer->data);
    leat_worker_follow_held(timer->data);
    leat_worker_metrics_show(timer->data);
    leat_worker_update_culprits(timer->data);
    leat_worker_update_reports(timer->data);
    leat_worker_update_heat(timer->data);
}

static void on_drain_wish(uv_async_t *async)
{
    leat_worker *worker = async->data;
    leat_engine_drain(worker->engine, leat_worker_event_us(worker));
}

/* Records that are still held go back to the log before it is closed. The loop no longer runs, so
 * the pump is called here. */
static void drop_all_records(leat_worker *worker)
{
    for (uint32_t partition = 0; partition < worker->partition_count; partition++)
        leat_engine_lost(worker->engine, leat_worker_now_us(worker), partition);
    leat_worker_pump(worker);
}

static void take_down(leat_worker *worker)
{
    drop_all_records(worker);
    leat_worker_metrics_show(worker);
    leat_worker_update_reports(worker);
    leat_log_reader_free(worker->reader, LEAVE_GROUP_MS);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        leat_sink_free(worker->shards[shard].sink);
    uv_close((uv_handle_t *)&worker->drain_wish, NULL);
    uv_close((uv_handle_t *)&worker->deadline, NULL);
    uv_close((uv_handle_t *)&worker->show, NULL);
    uv_close((uv_handle_t *)&worker->awake, NULL);
    uv_close((uv_handle_t *)&worker->after_poll, NULL);
    leat_standstill_close(&worker->standstill);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

static void *run_thread(void *argument)
{
    leat_worker *worker = argument;
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    take_down(worker);
    if (worker->on_exit)
        worker->on_exit(worker->on_exit_context);
    return NULL;
}

/* ---- making one ---- */

static int make_engine(leat_worker *worker, leat_error *error)
{
    leat_engine_config config = worker->config.engine;
    config.partition_count = worker->partition_count;
    config.subpartitions = worker->config.catalog->source.placement.subpartitions;
    config.shard_count = worker->shard_count;
    config.shard_of = worker->shard_of;
    config.table_count = leat_worker_table_count(worker) + 1; /* the last one: records that do not
                                                                 name a table */
    uint64_t parked_max[LEAT_SHARDS_MAX];
    bool commits_async[LEAT_SHARDS_MAX];
    config.jobs_max = 0;
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        config.jobs_max += worker->config.shards[shard].connections;
        parked_max[shard] = worker->config.shards[shard].parked_max;
        commits_async[shard] = worker->config.shards[shard].commits_async;
    }
    config.overhead_bytes = sizeof(leat_item); /* leat_worker_record_of counts it */
    config.parked_max_bytes = parked_max;
    config.commits_async = commits_async;
    worker->jobs_max = config.jobs_max;
    worker->running = leat_must_calloc(worker->jobs_max, sizeof(leat_engine_job *));
    worker->began_us = leat_must_calloc(worker->jobs_max, sizeof *worker->began_us);
    worker->loads = leat_must_calloc(worker->jobs_max, sizeof *worker->loads);
    worker->held_back = leat_must_calloc(worker->jobs_max, sizeof *worker->held_back);
    worker->traces = leat_must_calloc(worker->jobs_max, sizeof *worker->traces);
    worker->engine = leat_engine_new(&config, error);
    if (!worker->engine)
        return -1;
    return leat_items_init(&worker->items, config.records_max + SPARE_ITEMS, error);
}

static int make_sinks(leat_worker *worker, leat_error *error)
{
    leat_sink_events events = leat_worker_sink_events(worker);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        leat_sink_config config = {
            .shard_name = worker->config.shards[shard].name,
            .shard = shard,
            .at = worker->config.shards[shard].at,
            .owner = worker->config.owner,
            .connections = worker->config.shards[shard].connections,
            .source_id = worker->config.catalog->source.id,
            .placement = worker->config.catalog->source.placement,
            .schema_versions = worker->config.schema_versions,
            .controls = worker->config.controls,
            .lock_timeout_ms = worker->config.lock_timeout_ms,
            .idempotency_ms = worker->config.idempotency_ms,
            .commits_async = worker->config.shards[shard].commits_async,
            .seed = worker->config.engine.seed + shard,
            .standstill = &worker->standstill,
        };
        worker->shards[shard].sink = leat_sink_new(&worker->loop, &config, &events, error);
        if (!worker->shards[shard].sink)
            return -1;
        if (worker->config.shards[shard].connections_total > 0)
            leat_sink_allow(worker->shards[shard].sink, 1); /* it owns no partition yet */
    }
    return 0;
}

static int make_reader(leat_worker *worker, leat_error *error)
{
    leat_reader_events events = leat_worker_reader_events(worker);
    worker->reader = leat_log_reader_new(&worker->loop, &worker->config.log,
                                         &worker->config.identity, &events, error);
    return worker->reader ? 0 : -1;
}

static void start_handles(leat_worker *worker)
{
    uv_async_init(&worker->loop, &worker->drain_wish, on_drain_wish);
    uv_timer_init(&worker->loop, &worker->deadline);
    uv_timer_init(&worker->loop, &worker->show);
    uv_idle_init(&worker->loop, &worker->awake);
    uv_check_init(&worker->loop, &worker->after_poll);
    worker->drain_wish.data = worker;
    worker->deadline.data = worker;
    worker->show.data = worker;
    worker->awake.data = worker;
    worker->after_poll.data = worker;
    uv_check_start(&worker->after_poll, on_after_poll);
    uv_timer_start(&worker->show, on_show, SHOW_EVERY_MS, SHOW_EVERY_MS);
    snprintf(worker->name, sizeof worker->name, "worker %u", worker->config.index);
    leat_standstill_watch(&worker->standstill, &worker->loop, worker->name);
}

static void release_memory(leat_worker *worker)
{
    leat_worker_trace_fini(worker);
    leat_items_fini(&worker->items);
    leat_repeats_fini(&worker->repeats);
    leat_engine_free(worker->engine);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        leat_facts_free(&worker->shards[shard].report.facts);
        leat_buf_free(&worker->shards[shard].report.partitions);
        leat_control_set_drop(worker->shards[shard].controls);
    }
    leat_buf_free(&worker->heat);
    leat_buf_free(&worker->headers);
    pthread_mutex_destroy(&worker->report_lock);
    free(worker->running);
    free(worker->began_us);
    free(worker->loads);
    free(worker->held_back);
    free(worker->held_counts);
    free(worker->held_keys);
    free(worker->kept_rooms);
    free(worker->fills);
    for (uint32_t partition = 0; partition < worker->partition_count; partition++)
        leat_worker_forget_parked(worker, partition);
    free(worker->parked_shares);
    free(worker->low_seen);
    free(worker->low_since_ms);
    free(worker->stalled_ms);
    free(worker->shards);
    free(worker->shard_of);
    free(worker->is_mine);
    free(worker->behind_since_ms);
    free(worker);
}

/* For a worker that was made only in part, or never started. */
static void discard(leat_worker *worker)
{
    if (worker->reader)
        leat_log_reader_free(worker->reader, LEAVE_GROUP_MS);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        if (worker->shards[shard].sink)
            leat_sink_free(worker->shards[shard].sink);
    leat_loop_end(&worker->loop);
    release_memory(worker);
}

leat_worker *leat_worker_new(const leat_worker_config *config, leat_error *error)
{
    const leat_layout *layout = &config->catalog->layout;
    leat_worker *worker = leat_must_calloc(1, sizeof *worker);
    worker->config = *config;
    worker->shard_count = layout->shard_count;
    worker->partition_count = layout->partition_count;
    worker->shards = leat_must_calloc(worker->shard_count, sizeof *worker->shards);
    worker->shard_of = leat_must_calloc(worker->partition_count, sizeof *worker->shard_of);
    worker->is_mine = leat_must_calloc(worker->partition_count, sizeof *worker->is_mine);
    worker->newest_read = leat_must_calloc(worker->partition_count, sizeof *worker->newest_read);
    for (uint32_t partition = 0; partition < worker->partition_count; partition++)
        worker->newest_read[partition] = -1;
    worker->low_seen = leat_must_calloc(worker->partition_count, sizeof *worker->low_seen);
    worker->low_since_ms = leat_must_calloc(worker->partition_count, sizeof *worker->low_since_ms);
    worker->stalled_ms = leat_must_calloc(worker->partition_count, sizeof *worker->stalled_ms);
    worker->held_counts = leat_must_calloc(worker->partition_count, sizeof *worker->held_counts);
    worker->held_keys = leat_must_calloc(worker->partition_count, sizeof *worker->held_keys);
    worker->parked_shares = leat_must_calloc(worker->partition_count, sizeof(leat_parked_shares *));
    worker->kept_rooms = leat_must_calloc(worker->partition_count, sizeof *worker->kept_rooms);
    worker->fills = leat_must_calloc((size_t)2 * worker->partition_count, sizeof *worker->fills);
    int locked = pthread_mutex_init(&worker->report_lock, NULL);
    LEAT_ASSERT(locked == 0);
    worker->behind_since_ms =
        leat_must_calloc(worker->partition_count, sizeof *worker->behind_since_ms);
    for (uint32_t partition = 0; partition < worker->partition_count; partition++) {
        worker->shard_of[partition] = leat_layout_shard_of_partition(layout, partition);
        worker->shards[worker->shard_of[partition]].partitions++;
    }
    uv_loop_init(&worker->loop);
    uv_loop_configure(&worker->loop, UV_METRICS_IDLE_TIME);
    start_handles(worker);
    if (make_engine(worker, error) != 0 || make_sinks(worker, error) != 0 ||
        make_reader(worker, error) != 0) {
        discard(worker);
        return NULL;
    }
    leat_worker_metrics_register(worker);
    return worker;
}

int leat_worker_start(leat_worker *worker, void (*on_exit)(void *context), void *context,
                      leat_error *error)
{
    LEAT_ASSERT(!worker->started);
    worker->on_exit = on_exit;
    worker->on_exit_context = context;
    if (pthread_create(&worker->thread, NULL, run_thread, worker) != 0)
        return leat_fail(error, "cannot start the thread of worker %u", worker->config.index);
    worker->started = true;
    return 0;
}

void leat_worker_drain(leat_worker *worker)
{
    uv_async_send(&worker->drain_wish);
}

bool leat_worker_failed(const leat_worker *worker)
{
    return atomic_load(&worker->failed);
}

bool leat_worker_ready(const leat_worker *worker, const char **ret_shard)
{
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        if (atomic_load_explicit(&worker->shards[shard].usable, memory_order_relaxed) == 0) {
            *ret_shard = worker->config.shards[shard].name;
            return false;
        }
    }
    return true;
}

void leat_worker_log(leat_worker *worker, leat_log_health *ret)
{
    pthread_mutex_lock(&worker->report_lock);
    *ret = worker->log_health;
    pthread_mutex_unlock(&worker->report_lock);
}

void leat_worker_free(leat_worker *worker)
{
    if (!worker->started) {
        discard(worker);
        return;
    }
    pthread_join(worker->thread, NULL);
    uv_loop_close(&worker->loop);
    release_memory(worker);
}
