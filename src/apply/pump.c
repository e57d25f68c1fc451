/*
 * pump.c - carries out the engine's effects, one function each, and turns the reports of log and
 * sinks into the engine's events. An event carries out nothing itself: it may come from inside a
 * callback of the log or of a sink, and neither may be entered again. It wakes the pump. The pump
 * runs once per turn of the loop, after the sockets were read, and then has all effects of the
 * turn.
 */
#include "apply/parked.h"
#include "apply/worker_state.h"
#include "base/diag.h"

enum {
    RELEASE_AT_ONCE = 256,
    FETCH_AHEAD = 4,
    READS_A_LOOK = 16, /* records that are read, for each look at the clock */
};

static void stay_awake(uv_idle_t *idle)
{
    (void)idle; /* while it is active the loop polls without waiting; it does nothing else */
}

int64_t leat_worker_event_us(leat_worker *worker)
{
    if (!uv_is_active((uv_handle_t *)&worker->awake))
        uv_idle_start(&worker->awake, stay_awake);
    worker->reads_left = 0;
    return leat_worker_now_us(worker);
}

/* Of a record that is read. They come by the hundred, each in a microsecond: the next few of the
 * turn have the time of one, unless there is another event in between. */
static int64_t read_event_us(leat_worker *worker)
{
    if (worker->reads_left == 0) {
        worker->read_us = leat_worker_event_us(worker);
        worker->reads_left = READS_A_LOOK;
    }
    worker->reads_left--;
    return worker->read_us;
}

/* ---- effects ---- */

static const char *shard_name(const leat_worker *worker, uint32_t partition)
{
    return worker->config.shards[worker->shard_of[partition]].name;
}

/* The tables are the configured ones, the same in every shard and version. */
uint32_t leat_worker_table_count(const leat_worker *worker)
{
    return leat_schema_versions_newest(worker->config.schema_versions, 0)->table_count;
}

const char *leat_worker_table_name(const leat_worker *worker, uint32_t table)
{
    const leat_schema_version *version =
        leat_schema_versions_newest(worker->config.schema_versions, 0);
    return table < version->table_count ? version->tables[table].label : "(none)";
}

static leat_slice slice_of(const leat_buf *headers)
{
    return (leat_slice){headers->data ? headers->data : "", headers->size};
}

int leat_worker_fill_headers(leat_worker *worker, leat_item *item)
{
    leat_buf headers = {0};
    if (item->headers.data)
        return 0;
    if (leat_log_headers(worker->reader, item->log_handle, &headers) != 0)
        return -1;
    item->headers = slice_of(&headers);
    item->owned_headers = headers.data;
    return 0;
}

/* A record may wait for a long time, and so do the next ones of its subpartition. A held record
 * keeps its whole fetch buffer alive, including records of other subpartitions that were applied
 * long ago: many times the bytes that count as held. */
static void own_record(leat_worker *worker, leat_item *item)
{
    LEAT_ASSERT(!item->headers.data);
    leat_buf_clear(&worker->headers);
    if (leat_log_headers(worker->reader, item->log_handle, &worker->headers) != 0)
        return; /* out of memory: then it stays where it is; so below */
    item->headers = slice_of(&worker->headers);
    if (leat_item_own(item) != 0) {
        item->headers = (leat_slice){NULL, 0};
        return;
    }
    leat_log_release(worker->reader, item->log_handle);
    item->log_handle = NULL;
}

static bool needs_headers(const leat_engine_job *job, uint32_t index)
{
    const leat_engine_batch *batch = &job->batch;
    return job->kind == LEAT_ENGINE_JOB_PARK ||
           (job->kind == LEAT_ENGINE_JOB_BATCH &&
            (batch->dead || batch->hold || batch->records[index].keep));
}

/* Only a record that is kept, in whatever way, needs its headers. They are read here, when it is
 * about to be, unless they were already because it was copied (own_record): reading them for every
 * record would cost memory and time. The engine has the item as a pointer and never looks inside:
 * apply may change it, and the sink reads it after that. */
static void do_run(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job *job = effect->job;
    const leat_engine_batch *batch = &job->batch;
    int64_t now_us = leat_mono_us();
    if (job->kind == LEAT_ENGINE_JOB_BATCH && leat_worker_holds_back(worker, job, now_us))
        return;
    bool is_park = job->kind == LEAT_ENGINE_JOB_PARK,
         may_keep = is_park || batch->dead || batch->hold || batch->kept > 0;
    for (uint32_t i = 0; may_keep && i < batch->record_count; i++) {
        if (!needs_headers(job, i))
            continue;
        int status = leat_worker_fill_headers(worker, batch->records[i].payload);
        LEAT_ASSERT(status == 0); /* out of memory: ending here loses nothing */
    }
    if (job->kind == LEAT_ENGINE_JOB_BATCH) {
        leat_worker_leave_out(worker, job, now_us);
        leat_worker_mark_repeats(worker, job);
        leat_worker_make_durable(worker, job);
        leat_worker_note_kept(worker, job);
    }
    if (job->kind == LEAT_ENGINE_JOB_LOAD)
        leat_worker_note_load(worker, job);
    leat_worker_note_run(worker, job, now_us);
    leat_worker_trace_run(worker, job);
    leat_sink_submit(worker->shards[job->shard].sink, job);
}

static void do_seek(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_log_applied applied = {effect->low, effect->high, effect->high_ms, effect->epoch};
    leat_log_reader_seek(worker->reader, effect->partition, effect->offset, &applied);
}

static void do_commit(leat_worker *worker, const leat_engine_effect *effect)
{
    leat_log_reader_commit(worker->reader, effect->partition, effect->offset);
}

static void do_pause(leat_worker *worker, const leat_engine_effect *effect)
{
    leat_log_reader_pause(worker->reader, effect->partition);
}

static void do_resume(leat_worker *worker, const leat_engine_effect *effect)
{
    leat_log_reader_resume(worker->reader, effect->partition);
}

static void do_confirm(leat_worker *worker, const leat_engine_effect *effect)
{
    (void)effect;
    leat_log_reader_confirm(worker->reader);
}

static void do_revoked(leat_worker *worker, const leat_engine_effect *effect)
{
    leat_log_reader_give_back(worker->reader, effect->partition);
}

/* A line for each subpartition would be a flood: worker_facts.c logs one line for each cause. */
static void do_stalled(leat_worker *worker, const leat_engine_effect *effect)
{
    (void)worker;
    (void)effect;
}

static void do_table_stopped(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    const char *table = leat_worker_table_name(worker, effect->table);
    leat_err(
        "table stopped: more of its records are refused than apply.dead_letters_percent allows, so they wait from now on "
        "and are tried again; others are applied shard=%s partition=%u offset=%lld table=%s sqlstate=%s records=%u "
        "refused=%u reason=\"%s\" advice=\"the table has probably changed: mend it or its writers, and the records that "
        "wait are applied; or raise apply.dead_letters_percent and restart, and they become dead letters. `leat dead "
        "list --table %s` shows what was refused before\"",
        shard_name(worker, effect->partition), effect->partition, (long long)effect->offset, table,
        result->sqlstate[0] ? result->sqlstate : "none", effect->decided, effect->refused,
        result->message, table);
}

static void do_shard_halted(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    const char *shard = shard_name(worker, effect->partition);
    char record[LEAT_RECORD_TEXT_SIZE];
    leat_err(
        "shard halted by an error that leat does not understand: only the batch that met it is tried again, with "
        "back-off; once it is applied the shard goes on shard=%s partition=%u offset=%lld %s sqlstate=%s reason=\"%s\" "
        "advice=\"look at the log of this database server: it shows corruption and full disks\"",
        shard, effect->partition, (long long)effect->offset,
        leat_worker_describe_record(worker, effect->table, effect->payload, record),
        result->sqlstate[0] ? result->sqlstate : "none", result->message);
}

static void do_park_failed(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    leat_warn("%s: leat tries again shard=%s partition=%u offset=%lld sqlstate=%s reason=\"%s\"",
              effect->key != 0 ? "what is kept of a held row cannot be read"
                               : "records cannot be parked, or parked ones not be read",
              shard_name(worker, effect->partition), effect->partition, (long long)effect->offset,
              result->sqlstate[0] ? result->sqlstate : "none", result->message);
}

static void do_drained(leat_worker *worker, const leat_engine_effect *effect)
{
    (void)effect;
    worker->drained = true;
    uv_stop(&worker->loop);
}

typedef void (*effect_fn)(leat_worker *worker, const leat_engine_effect *effect);

static const effect_fn carry_out[] = {
    [LEAT_ENGINE_RUN] = do_run,
    [LEAT_ENGINE_SEEK] = do_seek,
    [LEAT_ENGINE_COMMIT] = do_commit,
    [LEAT_ENGINE_PAUSE] = do_pause,
    [LEAT_ENGINE_RESUME] = do_resume,
    [LEAT_ENGINE_CONFIRM] = do_confirm,
    [LEAT_ENGINE_REVOKED] = do_revoked,
    [LEAT_ENGINE_STALLED] = do_stalled,
    [LEAT_ENGINE_DRAINED] = do_drained,
    [LEAT_ENGINE_DEAD_LETTERED] = leat_worker_log_dead_letter,
    [LEAT_ENGINE_KEY_HELD] = leat_worker_log_held_key,
    [LEAT_ENGINE_KEY_LEFT] = leat_worker_log_left_key,
    [LEAT_ENGINE_TABLE_STOPPED] = do_table_stopped,
    [LEAT_ENGINE_SHARD_HALTED] = do_shard_halted,
    [LEAT_ENGINE_PARK_FAILED] = do_park_failed,
};

static void give_item_back(leat_worker *worker, leat_item *item)
{
    if (item->trace)
        leat_worker_trace_given_back(worker, item);
    if (item->log_handle)
        leat_log_release(worker->reader, item->log_handle);
    if (item->chunk)
        leat_worker_release_parked(item);
    else
        leat_items_give(&worker->items, item);
}

typedef size_t released_fn(leat_engine *engine, void **ret, size_t max);

static void release_payloads(leat_worker *worker, released_fn *released)
{
    void *payloads[RELEASE_AT_ONCE];
    size_t count;
    while ((count = released(worker->engine, payloads, RELEASE_AT_ONCE)) > 0)
        for (size_t i = 0; i < count; i++) {
            leat_item_fetch(payloads[i + FETCH_AHEAD < count ? i + FETCH_AHEAD : i]);
            give_item_back(worker, payloads[i]);
        }
}

static void on_deadline(uv_timer_t *timer)
{
    leat_worker *worker = timer->data;
    leat_engine_tick(worker->engine, leat_worker_event_us(worker));
}

static void arm_deadline(leat_worker *worker)
{
    int64_t deadline = leat_engine_deadline(worker->engine);
    if (deadline == INT64_MAX) {
        uv_timer_stop(&worker->deadline);
        return;
    }
    int64_t wait_us = deadline - leat_worker_now_us(worker);
    uint64_t wait_ms = wait_us > 0 ? (uint64_t)(wait_us + 999) / 1000 : 0;
    uv_timer_start(&worker->deadline, on_deadline, wait_ms, 0);
}

void leat_worker_pump(leat_worker *worker)
{
    leat_engine_effect effect;
    worker->reads_left = 0;
    do {
        while (leat_engine_next(worker->engine, &effect)) {
            if (effect.kind == LEAT_ENGINE_RUN)
                release_payloads(worker, leat_engine_released_early);
            carry_out[effect.kind](worker, &effect);
        }
    } while (leat_worker_answer_held_back(worker));
    release_payloads(worker, leat_engine_released);
    arm_deadline(worker);
}

/* ---- events of the log ---- */

/* Of the connections that all processes together may have to a shard, a worker takes its part by
 * the partitions that it owns, and at least one. */
static void own(leat_worker *worker, uint32_t partition, bool is_mine)
{
    uint32_t index = worker->shard_of[partition];
    leat_worker_shard_state *shard = &worker->shards[index];
    const leat_worker_shard *config = &worker->config.shards[index];
    if (worker->is_mine[partition] == is_mine)
        return;
    worker->is_mine[partition] = is_mine;
    leat_repeats_drop(&worker->repeats, partition);
    if (worker->config.writes)
        leat_write_waits_own(worker->config.writes, partition, is_mine);
    shard->owned = is_mine ? shard->owned + 1 : shard->owned - 1;
    LEAT_ASSERT(shard->owned <= shard->partitions);
    if (config->connections_total == 0)
        return;
    uint64_t part = (uint64_t)config->connections_total * shard->owned / shard->partitions;
    uint32_t most = part < config->connections ? (uint32_t)part : config->connections;
    leat_sink_allow(shard->sink, most > 0 ? most : 1);
}

static void on_assigned(void *context, uint32_t partition)
{
    leat_worker *worker = context;
    own(worker, partition, true);
    leat_info("partition assigned shard=%s partition=%u", shard_name(worker, partition), partition);
    leat_engine_assigned(worker->engine, leat_worker_event_us(worker), partition);
}

static void on_revoked(void *context, uint32_t partition)
{
    leat_worker *worker = context;
    own(worker, partition, false);
    leat_info("partition revoked shard=%s partition=%u", shard_name(worker, partition), partition);
    leat_engine_revoked(worker->engine, leat_worker_event_us(worker), partition);
}

static void on_lost(void *context, uint32_t partition)
{
    leat_worker *worker = context;
    own(worker, partition, false);
    leat_warn("partition lost: the group has taken it away shard=%s partition=%u",
              shard_name(worker, partition), partition);
    leat_engine_lost(worker->engine, leat_worker_event_us(worker), partition);
}

static void log_stopped(leat_worker *worker, uint32_t partition)
{
    leat_engine_partition_view view;
    leat_engine_partition(worker->engine, partition, &view);
    leat_err("partition stopped shard=%s partition=%u reason=\"%s\"", shard_name(worker, partition),
             partition, view.reason);
}

static bool on_record(void *context, const leat_record *record, void *log_handle)
{
    leat_worker *worker = context;
    leat_item *item = leat_items_take(&worker->items);
    LEAT_ASSERT(item != NULL); /* the pool is larger than the engine's limit */
    item->record = *record;
    item->log_handle = log_handle;
    leat_worker_decode_item(worker, item);
    leat_engine_record offered = leat_worker_record_of(worker, item);
    leat_engine_taken taken =
        leat_engine_record_read(worker->engine, read_event_us(worker), &offered);
    if (taken == LEAT_ENGINE_TAKEN) {
        leat_skew_read(&worker->skew, record->accepted_ms);
        leat_worker_note_read(worker, item);
        leat_worker_account_read(worker, item);
        leat_worker_trace_read(worker, item);
        if (leat_engine_waits(worker->engine, item->record.partition, item->subpartition))
            own_record(worker, item);
        return true;
    }
    if (taken == LEAT_ENGINE_FULL) {
        leat_items_give(&worker->items, item);
        return false;
    }
    if (taken == LEAT_ENGINE_REFUSED)
        log_stopped(worker, item->record.partition);
    give_item_back(worker, item);
    return true;
}

static void on_read_to(void *context, uint32_t partition, int64_t position)
{
    leat_worker *worker = context;
    leat_engine_read_to(worker->engine, leat_worker_event_us(worker), partition, position);
}

static void on_broken(void *context, uint32_t partition, const char *reason)
{
    leat_worker *worker = context;
    leat_engine_stopped(worker->engine, leat_worker_event_us(worker), partition, reason);
    log_stopped(worker, partition);
}

/* A time of leat_mono_us by the worker's clock: never later than the true one. */
static int64_t by_own_clock(leat_worker *worker, int64_t mono_us)
{
    return mono_us == INT64_MAX ? mono_us : mono_us - leat_standstill_lost_us(&worker->standstill);
}

static void on_committed(void *context, int64_t since_us, bool ok)
{
    leat_worker *worker = context;
    if (ok)
        leat_engine_confirmed(worker->engine, leat_worker_event_us(worker),
                              by_own_clock(worker, since_us));
    else /* the reader logs and counts it */
        leat_engine_commit_failed(worker->engine, leat_worker_event_us(worker));
}

/* The worker ends, and its owner then ends the process. Batches in flight are awaited; the next
 * owner of a partition reads the rest again. */
static void on_failed(void *context, const char *reason)
{
    leat_worker *worker = context;
    leat_err(
        "worker can no longer read the log: the process drains and ends with exit code 1, nothing is lost worker=%u "
        "reason=\"%s\" advice=\"start it again\"",
        worker->config.index, reason);
    atomic_store(&worker->failed, true);
    leat_engine_drain(worker->engine, leat_worker_event_us(worker));
}

leat_reader_events leat_worker_reader_events(leat_worker *worker)
{
    return (leat_reader_events){
        .context = worker,
        .assigned = on_assigned,
        .revoked = on_revoked,
        .lost = on_lost,
        .record = on_record,
        .read_to = on_read_to,
        .broken = on_broken,
        .committed = on_committed,
        .failed = on_failed,
    };
}

/* ---- events of the sinks ---- */

static void on_slots(void *context, uint32_t shard, uint32_t usable)
{
    leat_worker *worker = context;
    atomic_store_explicit(&worker->shards[shard].usable, usable, memory_order_relaxed);
    leat_engine_slots(worker->engine, leat_worker_event_us(worker), shard, usable);
}

static void on_doubted(void *context, uint32_t shard)
{
    leat_worker *worker = context;
    leat_engine_doubted(worker->engine, leat_worker_event_us(worker), shard);
}

static void on_pooled(void *context, uint32_t shard, bool is_pooled)
{
    leat_worker *worker = context;
    leat_engine_pooled(worker->engine, leat_worker_event_us(worker), shard, is_pooled);
}

static void on_done(void *context, uint32_t job_id, const leat_engine_job_result *result)
{
    leat_worker *worker = context;
    leat_engine_job_result own = *result;
    own.catalog_read_us = by_own_clock(worker, result->catalog_read_us);
    leat_worker_take_repeats(worker, job_id, &own);
    leat_worker_account(worker, job_id, &own);
    leat_worker_follow_parks(worker, job_id, &own);
    const leat_engine_job *job = worker->running[job_id];
    if (job->kind == LEAT_ENGINE_JOB_BATCH && leat_engine_is_current(worker->engine, &job->batch))
        leat_worker_follow_kept(worker, job, own.outcome);
    leat_worker_trace_done(worker, job_id, &own);
    leat_worker_tell_writes(worker, job_id, &own);
    leat_worker_chunk *chunk = leat_worker_read_chunk(worker, job_id, &own);
    uint32_t taken =
        leat_engine_job_done(worker->engine, leat_worker_event_us(worker), job_id, &own);
    leat_worker_keep_chunk(chunk, taken);
}

leat_sink_events leat_worker_sink_events(leat_worker *worker)
{
    return (leat_sink_events){.context = worker,
                              .slots = on_slots,
                              .doubted = on_doubted,
                              .pooled = on_pooled,
                              .done = on_done};
}
