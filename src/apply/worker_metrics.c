/*
 * worker_metrics.c - the worker's metrics, published by its own thread twice a second. A scrape
 * runs on another thread and may not look into the engine, which is not thread-safe, so it reads
 * these cells only: its values are at most half a second old and cost the worker nothing.
 */
#include <stdio.h>

#include "apply/worker_state.h"
#include "base/buf.h"
#include "base/limits.h"

static const char *labels(leat_buf *buf, const leat_worker *worker, const char *shard)
{
    char index[16];
    snprintf(index, sizeof index, "%u", worker->config.index);
    leat_buf_clear(buf);
    leat_metrics_label(buf, "worker", index);
    if (shard) {
        leat_buf_byte(buf, ',');
        leat_metrics_label(buf, "shard", shard);
    }
    return leat_buf_cstr(buf);
}

static void register_engine(leat_worker *worker, const char *own)
{
    const leat_engine_counters *count = leat_engine_count(worker->engine);
    const struct {
        const char *name;
        const uint64_t *value;
    } table[] = {
        {"leat_records_applied_total", &count->records_applied},
        {"leat_records_taken_total", &count->records_taken},
        {"leat_records_dropped_total", &count->records_dropped},
        {"leat_records_skipped_total", &count->records_skipped},
        {"leat_records_skipped_by_control_total", &count->records_left_out},
        {"leat_records_repeated_total", &count->records_repeated},
        {"leat_records_conflicting_total", &count->records_conflicting},
        {"leat_batches_repeated_total", &count->batches_repeated},
        {"leat_batches_total", &count->batches_applied},
        {"leat_batches_fenced_total", &count->batches_fenced},
        {"leat_batches_unknown_total", &count->batches_unknown},
        {"leat_batches_failed_total", &count->batches_failed},
        {"leat_batches_stale_total", &count->batches_stale},
        {"leat_database_went_back_total", &count->went_back},
        {"leat_dead_letters_total", &count->dead_letters},
        {"leat_keys_held_total", &count->keys_held},
        {"leat_records_kept_total", &count->records_kept},
        {"leat_records_retried_total", &count->records_retried},
        {"leat_keys_let_go_total", &count->keys_let_go},
        {"leat_claims_total", &count->claims},
        {"leat_compactions_total", &count->compactions},
        {"leat_records_parked_total", &count->records_parked},
        {"leat_records_unparked_total", &count->records_unparked},
        {"leat_parks_total", &count->parks},
        {"leat_unparks_total", &count->unparks},
        {"leat_parked_loads_total", &count->loads},
        {"leat_park_failures_total", &count->park_failures},
    };
    _Static_assert(sizeof table / sizeof *table <= ENGINE_METRICS_MAX, "room for each");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        worker->engine_metrics[worker->engine_metric_count++] = (leat_engine_metric){
            table[i].value, leat_metrics_counter(worker->config.metrics, table[i].name, own)};
}

static void register_shard(leat_worker *worker, uint32_t shard, const char *own)
{
    leat_metrics *metrics = worker->config.metrics;
    leat_worker_shard_state *state = &worker->shards[shard];
    const struct {
        const char *name;
        leat_gauge **gauge;
    } gauges[] = {
        {"leat_time_lag_seconds", &state->time_lag_ms},
        {"leat_message_lag", &state->message_lag},
        {"leat_subpartitions_stalled", &state->stalled},
        {"leat_shard_connections", &state->connections},
        {"leat_shard_limit", &state->limit},
        {"leat_shard_breaker_open", &state->breaker},
        {"leat_shard_batch_seconds", &state->batch_us},
        {"leat_shard_connections_busy", &state->connections_busy},
        {"leat_shard_connections_idle", &state->connections_idle},
        {"leat_shard_silent_seconds", &state->silent_ms},
        {"leat_lag_estimate_seconds", &state->estimate_ms},
        {"leat_catch_up_seconds", &state->catch_up_ms},
        {"leat_drain_records_per_second", &state->drain_rate},
        {"leat_arrival_records_per_second", &state->arrival_rate},
        {"leat_controls_active", &state->controls_active},
        {"leat_idempotency_bytes", &state->idempotency_bytes},
        {"leat_partitions_paused", &state->paused},
        {"leat_shard_held_records", &state->held_records},
        {"leat_shard_held_bytes", &state->held_bytes},
        {"leat_shard_held_limit_bytes", &state->held_limit},
        {"leat_incident_signature", &state->signature_shown},
    };
    const struct {
        const char *name;
        leat_counter **counter;
    } counters[] = {
        {"leat_rows_total", &state->rows},
        {"leat_shard_connects_total", &state->connects},
        {"leat_shard_connect_failures_total", &state->connect_failures},
        {"leat_patches_dropped_total", &state->patches_dropped},
        {"leat_holders_terminated_total", &state->holders_terminated},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        *gauges[i].gauge = leat_metrics_gauge(metrics, gauges[i].name, own);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        *counters[i].counter = leat_metrics_counter(metrics, counters[i].name, own);
    leat_worker_late_show(worker, shard);
    leat_gauge_set(state->idempotency_bytes, INT64_MIN);
    leat_worker_parked_register(worker, shard, own);
    leat_worker_held_register(worker, shard, own);
    leat_worker_account_register(worker, shard, own);
    leat_worker_budgets_register_shard(worker, shard);
}

static void register_partition(leat_worker *worker, uint32_t partition)
{
    char number[16];
    leat_buf buf = {0};
    snprintf(number, sizeof number, "%u", partition);
    labels(&buf, worker, worker->config.shards[worker->shard_of[partition]].name);
    leat_buf_byte(&buf, ',');
    leat_metrics_label(&buf, "partition", number);
    worker->stalled_ms[partition] =
        leat_metrics_gauge(worker->config.metrics, "leat_stalled_seconds", leat_buf_cstr(&buf));
    /* INT64_MIN is left out of a scrape: most partitions never stall. */
    leat_gauge_set(worker->stalled_ms[partition], INT64_MIN);
    leat_buf_free(&buf);
}

static void keep_clock(leat_worker *worker)
{
    uv_update_time(&worker->loop);
    worker->wall_ahead_ms = leat_wall_ms() - (int64_t)uv_now(&worker->loop);
}

void leat_worker_metrics_register(leat_worker *worker)
{
    keep_clock(worker);
    leat_metrics *metrics = worker->config.metrics;
    leat_buf buf = {0};
    const char *own = labels(&buf, worker, NULL);
    register_engine(worker, own);
    worker->commit_failures = leat_metrics_counter(metrics, "leat_commit_failures_total", own);
    worker->log_renewals = leat_metrics_counter(metrics, "leat_log_clients_renewed_total", own);
    worker->partitions_held = leat_metrics_gauge(metrics, "leat_partitions_held", own);
    worker->partitions_stopped = leat_metrics_gauge(metrics, "leat_partitions_stopped", own);
    worker->tables_stopped = leat_metrics_gauge(metrics, "leat_tables_stopped", own);
    worker->shards_halted = leat_metrics_gauge(metrics, "leat_shards_halted", own);
    worker->log_fetched = leat_metrics_gauge(metrics, "leat_log_fetched_records", own);
    worker->log_silent_ms = leat_metrics_gauge(metrics, "leat_log_silent_seconds", own);
    worker->clock_ahead_ms = leat_metrics_gauge(metrics, "leat_clock_ahead_seconds", own);
    worker->busy_total = leat_metrics_counter(metrics, "leat_worker_busy_seconds_total", own);
    worker->idle_total = leat_metrics_counter(metrics, "leat_worker_idle_seconds_total", own);
    worker->unaccounted = leat_metrics_gauge(metrics, "leat_records_unaccounted", own);
    leat_worker_budgets_register(worker);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        register_shard(worker, shard, labels(&buf, worker, worker->config.shards[shard].name));
    for (uint32_t partition = 0; partition < worker->partition_count; partition++)
        register_partition(worker, partition);
    leat_buf_free(&buf);
}

/* The sum of the partitions of one shard. */
typedef struct shard_sum {
    bool known; /* some partition of it is held */
    int64_t time_lag_ms;
    int64_t message_lag;
    leat_late_sample sample; /* but for what is done */
    int64_t stalled;
    leat_held_sum held;
    int64_t paused;
    int64_t records, bytes; /* in memory */
    leat_parked_sum parked;
} shard_sum;

/* A partition whose shard is down holds nothing, but its oldest record keeps getting older: that is
 * the one seen last or, if none was seen, one at least as old as the lag itself. */
static int64_t behind_since(leat_worker *worker, uint32_t partition,
                            const leat_engine_partition_view *view, bool behind)
{
    int64_t *since = &worker->behind_since_ms[partition];
    if (!behind)
        *since = 0;
    else if (view->oldest_ms)
        *since = view->oldest_ms;
    else if (*since == 0)
        *since = leat_wall_ms();
    return *since;
}

/* The backlog is of records that the shard could be given: above the low water some are applied
 * already, and with one that holds it back most may be. What waits for a row or a person is no work
 * that takes time, and nobody else waits for it. */
static void add_backlog(const leat_worker *worker, uint32_t partition,
                        const leat_engine_partition_view *view, leat_late_sample *sample)
{
    if (view->state == LEAT_ENGINE_STOPPED) {
        sample->is_stopped = true;
        return;
    }
    int64_t next = view->position >= 0 ? view->position : view->low + 1;
    int64_t unread = leat_log_reader_end(worker->reader, partition) - next;
    sample->backlog += view->records + view->parked_records - view->stalled_records +
                       (unread > 0 ? (uint64_t)unread : 0);
    sample->held_up += view->stalled_records;
}

/* Each partition has a number of its own here, so that it is seen when others count. */
static void add_end(const leat_worker *worker, uint32_t partition, leat_late_sample *sample)
{
    int64_t end = leat_log_reader_end(worker->reader, partition);
    if (end < 0)
        return;
    sample->end += (uint64_t)end;
    sample->counted += leat_hash_seeded(LEAT_SLICE("end"), partition);
}

static void add_partition(leat_worker *worker, uint32_t partition,
                          const leat_engine_partition_view *view, shard_sum *sum)
{
    sum->known = true;
    add_backlog(worker, partition, view, &sum->sample);
    add_end(worker, partition, &sum->sample);
    sum->stalled += view->stalled;
    leat_worker_held_add(worker, partition, &sum->held);
    sum->paused += view->full;
    sum->records += view->records;
    sum->bytes += (int64_t)view->bytes;
    int64_t lag = leat_log_reader_end(worker->reader, partition) - (view->low + 1);
    int64_t since = behind_since(worker, partition, view, lag > 0 || view->oldest_ms > 0);
    leat_worker_parked_add(worker, partition, view, &sum->parked);
    if (view->parked_oldest_ms > 0 && (since == 0 || view->parked_oldest_ms < since))
        since = view->parked_oldest_ms;
    if (lag > 0)
        sum->message_lag += lag;
    sum->message_lag += (int64_t)view->parked_below;
    if (since > 0 && leat_wall_ms() - since > sum->time_lag_ms)
        sum->time_lag_ms = leat_wall_ms() - since;
}

static void show_shards(leat_worker *worker, const shard_sum *sums)
{
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        leat_worker_shard_state *state = &worker->shards[shard];
        const leat_sink_counters *count = leat_sink_count(state->sink);
        leat_gauge_set(state->time_lag_ms, sums[shard].known ? sums[shard].time_lag_ms : INT64_MIN);
        leat_gauge_set(state->message_lag, sums[shard].known ? sums[shard].message_lag : INT64_MIN);
        state->sample = sums[shard].sample;
        state->is_held = sums[shard].known;
        leat_gauge_set(state->stalled, sums[shard].stalled);
        leat_worker_held_show(worker, shard, &sums[shard].held);
        leat_worker_parked_show(worker, shard, &sums[shard].parked);
        leat_engine_flight_view flight;
        leat_engine_flight(worker->engine, shard, &flight);
        int64_t usable = atomic_load_explicit(&state->usable, memory_order_relaxed),
                idle = usable - (int64_t)flight.jobs;
        leat_gauge_set(state->paused, sums[shard].paused);
        leat_gauge_set(state->held_records, sums[shard].records);
        leat_gauge_set(state->held_bytes, sums[shard].bytes);
        leat_engine_shard_view view;
        leat_engine_shard(worker->engine, shard, &view);
        leat_gauge_set(state->limit, view.limit);
        leat_gauge_set(state->breaker, view.is_open);
        leat_gauge_set(state->batch_us, view.batch_us > 0 ? (int64_t)view.batch_us : INT64_MIN);
        leat_gauge_set(state->connections, usable);
        leat_gauge_set(state->connections_busy, flight.jobs);
        leat_gauge_set(state->connections_idle, idle > 0 ? idle : 0);
        leat_gauge_set(state->silent_ms, (int64_t)count->silent_ms);
        leat_count_to(state->rows, count->rows);
        leat_count_to(state->connects, count->connects);
        leat_count_to(state->connect_failures, count->connect_failures);
        leat_count_to(state->holders_terminated, count->holders_terminated);
        leat_count_to(state->patches_dropped, count->patches_dropped);
    }
}

static bool show_log(leat_worker *worker)
{
    leat_log_health health;
    leat_log_reader_health(worker->reader, &health);
    pthread_mutex_lock(&worker->report_lock);
    worker->log_health = health;
    pthread_mutex_unlock(&worker->report_lock);
    leat_gauge_set(worker->log_silent_ms, health.silent_ms);
    leat_gauge_set(worker->log_fetched, (int64_t)health.fetched);
    leat_count_to(worker->log_renewals, health.renewals);
    return health.topic_gone;
}

void leat_worker_metrics_show(leat_worker *worker)
{
    shard_sum sums[LEAT_SHARDS_MAX] = {0};
    keep_clock(worker);
    bool topic_gone = show_log(worker);
    int64_t held = 0, stopped = 0;
    for (uint32_t partition = 0; partition < worker->partition_count; partition++) {
        leat_engine_partition_view view;
        leat_engine_partition(worker->engine, partition, &view);
        held += view.state != LEAT_ENGINE_UNASSIGNED;
        stopped += view.state == LEAT_ENGINE_STOPPED;
        leat_gauge_set(worker->stalled_ms[partition],
                       view.stalled > 0 ? (leat_worker_now_us(worker) - view.stalled_us) / 1000
                                        : INT64_MIN);
        if (view.state != LEAT_ENGINE_UNASSIGNED)
            add_partition(worker, partition, &view, &sums[worker->shard_of[partition]]);
        else
            worker->behind_since_ms[partition] = 0;
        if (view.parked_records == 0)
            leat_worker_forget_parked(worker, partition);
    }
    leat_gauge_set(worker->partitions_held, held);
    /* The group takes away the partitions of a topic that no longer exists: nobody holds or
     * reads them. */
    leat_gauge_set(worker->partitions_stopped,
                   topic_gone ? (int64_t)worker->partition_count : stopped);
    leat_gauge_set(worker->unaccounted, leat_engine_unaccounted(worker->engine));
    const leat_engine_counters *count = leat_engine_count(worker->engine);
    leat_gauge_set(worker->tables_stopped, (int64_t)count->tables_stopped);
    leat_gauge_set(worker->shards_halted, (int64_t)count->shards_halted);
    leat_count_to(worker->commit_failures, leat_log_reader_commit_failures(worker->reader));
    for (uint32_t i = 0; i < worker->engine_metric_count; i++)
        leat_count_to(worker->engine_metrics[i].shown, *worker->engine_metrics[i].value);
    show_shards(worker, sums);
    leat_worker_budgets_show(worker);
}
