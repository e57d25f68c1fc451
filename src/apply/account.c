/*
 * account.c - what a job's answer says about its shard: how long it took, how late its records are
 * applied, what went wrong, and whose records they were. Once a job; of each record only its accept
 * time is read, from memory that is needed a moment later to give it back.
 */
#include <string.h>

#include "apply/worker_state.h"

/* Classes of SQLSTATEs that are counted by name; the others count as "other". */
static const char *const classes[] = {"08", "22", "23", "25", "40", "42", "53",
                                      "54", "55", "57", "58", "XX", "LT"};

_Static_assert(sizeof classes / sizeof *classes + 2 == LEAT_ERROR_CLASSES, "each has a counter");

enum { CLASS_OTHER = LEAT_ERROR_CLASSES - 2, CLASS_NONE };

static const char *name_of_class(uint32_t index)
{
    LEAT_ASSERT(index < LEAT_ERROR_CLASSES);
    return index == CLASS_NONE ? "none" : index == CLASS_OTHER ? "other" : classes[index];
}

static uint32_t class_of(const char *sqlstate)
{
    if (!*sqlstate)
        return CLASS_NONE;
    uint32_t i = 0;
    while (i < CLASS_OTHER && strncmp(classes[i], sqlstate, 2) != 0)
        i++;
    return i;
}

/* Records of one batch are of about the same age, and many of the same millisecond. */
static void observe_lag(leat_histogram *lag, const leat_engine_batch *batch, int64_t wall_ms)
{
    int64_t at_ms = -1;
    uint64_t times = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_engine_batch_record *record = &batch->records[i];
        const leat_item *item = record->payload;
        if (record->skip || record->keep)
            continue;
        if (times > 0 && item->record.accepted_ms != at_ms) {
            leat_observe(lag, wall_ms - at_ms, times);
            times = 0;
        }
        at_ms = item->record.accepted_ms;
        times++;
    }
    if (times > 0)
        leat_observe(lag, wall_ms - at_ms, times);
}

void leat_worker_account(leat_worker *worker, uint32_t job_id, const leat_engine_job_result *result)
{
    const leat_engine_job *job = worker->running[job_id];
    LEAT_ASSERT(job && job->id == job_id);
    leat_worker_shard_state *state = &worker->shards[job->shard];
    bool is_applied = result->outcome == LEAT_ENGINE_APPLIED;
    int64_t took_us = leat_mono_us() - worker->began_us[job_id];
    leat_count(state->database_us, took_us > 0 ? (uint64_t)took_us : 0);
    if (!is_applied && result->outcome != LEAT_ENGINE_REPEATED) /* which is no fault of the shard */
        leat_count(state->errors[class_of(result->sqlstate)], 1);
    if (job->kind != LEAT_ENGINE_JOB_BATCH || !leat_engine_is_current(worker->engine, &job->batch))
        return;
    int64_t wall_ms = leat_wall_ms();
    if (is_applied && !job->batch.dead && !job->batch.hold) {
        leat_observe(state->batch_records, job->batch.record_count, 1);
        observe_lag(state->apply_lag, &job->batch, wall_ms);
    }
    leat_blame_batch(&state->blame, &job->batch, is_applied, took_us, wall_ms);
}

/* By the loop's clock, which is read once a turn: this is called for each record. */
void leat_worker_account_read(leat_worker *worker, const leat_item *item)
{
    int64_t now_ms = (int64_t)uv_now(&worker->loop) + worker->wall_ahead_ms;
    leat_observe(worker->shards[worker->shard_of[item->record.partition]].fetch_latency,
                 now_ms - item->record.accepted_ms, 1);
}

void leat_worker_account_register(leat_worker *worker, uint32_t shard, const char *labels)
{
    leat_metrics *metrics = worker->config.metrics;
    leat_worker_shard_state *state = &worker->shards[shard];
    state->database_us = leat_metrics_counter(metrics, "leat_shard_database_seconds_total", labels);
    state->batch_records = leat_metrics_histogram(metrics, "leat_batch_records", labels);
    state->apply_lag = leat_metrics_histogram(metrics, "leat_apply_lag_seconds", labels);
    state->fetch_latency = leat_metrics_histogram(metrics, "leat_fetch_latency_seconds", labels);
    leat_buf with_class = {0};
    for (uint32_t i = 0; i < LEAT_ERROR_CLASSES; i++) {
        leat_buf_clear(&with_class);
        leat_buf_text(&with_class, labels);
        leat_buf_byte(&with_class, ',');
        leat_metrics_label(&with_class, "class", name_of_class(i));
        state->errors[i] =
            leat_metrics_counter(metrics, "leat_shard_errors_total", leat_buf_cstr(&with_class));
    }
    leat_buf_free(&with_class);
}
