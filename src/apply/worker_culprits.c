/*
 * worker_culprits.c - collects, twice a second, who is to blame for each shard's lag (culprits.h),
 * and notices the signature of a shard that is kept from working (signature.h), and clocks that
 * differ (skew.h). Partitions that are a moment behind cost nothing here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apply/worker_state.h"
#include "base/diag.h"

enum { BEHIND_MS = 1000, TROUBLES_MAX = 8 };

/* ---- the record that holds a low water ---- */

static void set_item(leat_culprit_record *record, const leat_item *item, leat_slice *ret_tenant)
{
    bool is_decoded = item->route && !item->fault;
    if (is_decoded)
        *ret_tenant = leat_item_tenant(item);
    leat_culprit_text(record->tenant, *ret_tenant);
    leat_culprit_text(record->key, is_decoded ? item->canonical_key : item->record.key);
}

static void set_failure(leat_culprit_record *record, leat_engine_outcome outcome,
                        const char *sqlstate, const char *message)
{
    snprintf(record->reason, sizeof record->reason, "%s%s%s", leat_engine_outcome_name(outcome),
             *message ? ": " : "", message);
    snprintf(record->sqlstate, sizeof record->sqlstate, "%s", sqlstate);
}

static void set_reason(leat_culprit_record *record, const leat_engine_holder_view *holder)
{
    if (holder->attempts > 0)
        set_failure(record, holder->outcome, holder->sqlstate, holder->message);
    else
        snprintf(record->reason, sizeof record->reason, "%s",
                 holder->is_behind_parked ? "earlier records of its subpartition are parked"
                 : holder->is_in_flight   ? "in a batch that the database has not answered"
                                          : "waits for its turn");
}

static void set_unread(leat_culprit_record *record, const leat_engine_partition_view *view,
                       int64_t since_ms)
{
    record->offset = view->low + 1;
    record->since_ms = since_ms;
    snprintf(record->reason, sizeof record->reason, "%s",
             view->state == LEAT_ENGINE_STOPPED   ? view->reason
             : view->state == LEAT_ENGINE_READING ? "not read from the log yet"
                                                  : leat_worker_partition_state(view));
}

static void add_partition(leat_worker *worker, uint32_t partition, int64_t now_ms,
                          leat_culprits *culprits)
{
    leat_engine_partition_view view;
    leat_engine_holder_view holder;
    leat_slice tenant = {0};
    leat_engine_partition(worker->engine, partition, &view);
    leat_culprit_record record = {.partition = partition, .low = view.low};
    if (leat_engine_holder(worker->engine, partition, &holder)) {
        int64_t now_us = leat_worker_now_us(worker);
        record.offset = holder.offset;
        record.accepted_ms = holder.accepted_ms;
        record.since_ms = now_ms - (now_us - holder.since_us) / 1000;
        record.attempts = holder.attempts;
        set_reason(&record, &holder);
        set_item(&record, holder.payload, &tenant);
        if (!holder.is_behind_parked) /* it waits for others, whose tenant add_parked names */
            leat_culprits_add_holder(culprits, tenant, holder.accepted_ms);
    } else {
        set_unread(&record, &view, worker->behind_since_ms[partition]);
    }
    leat_culprits_add_record(culprits, &record);
}

static bool is_there(const leat_culprits *culprits, uint32_t partition, int64_t offset)
{
    for (uint32_t i = 0; i < culprits->partition_count; i++)
        if (culprits->partitions[i].partition == partition &&
            culprits->partitions[i].offset == offset)
            return true;
    return false;
}

/* Parked, it holds no low water, but it is what its subpartition waits for. Where others with the
 * same cause are parked and it is not, it may hold one too. */
static void add_parked(leat_worker *worker, const leat_engine_trouble *trouble, int64_t now_ms,
                       leat_culprits *culprits)
{
    leat_engine_partition_view view;
    leat_slice tenant = {0};
    leat_engine_partition(worker->engine, trouble->partition, &view);
    leat_culprit_record record = {
        .partition = trouble->partition,
        .low = view.low,
        .offset = trouble->offset,
        .accepted_ms = trouble->accepted_ms,
        .since_ms = now_ms - (leat_worker_now_us(worker) - trouble->since_us) / 1000,
        .attempts = trouble->attempts};
    const leat_known_head *head =
        leat_heads_find(&worker->heads, trouble->partition, trouble->subpartition, trouble->offset);
    set_failure(&record, trouble->outcome, trouble->sqlstate, trouble->message);
    if (trouble->payload) {
        set_item(&record, trouble->payload, &tenant);
    } else if (head) {
        tenant = (leat_slice){head->tenant, head->tenant_size};
        leat_culprit_text(record.tenant, tenant);
        leat_culprit_text(record.key, (leat_slice){head->key, head->key_size});
    }
    leat_culprits_add_holder(culprits, tenant, record.accepted_ms);
    leat_culprits_add_record(culprits, &record);
}

/* One for each cause. */
static void add_troubles(leat_worker *worker, uint32_t shard, int64_t now_ms,
                         leat_culprits *culprits)
{
    leat_engine_trouble troubles[TROUBLES_MAX];
    uint32_t count = leat_engine_troubles(worker->engine, shard, troubles, TROUBLES_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (troubles[i].parked > 0 &&
            !is_there(culprits, troubles[i].partition, troubles[i].offset))
            add_parked(worker, &troubles[i], now_ms, culprits);
}

/* ---- the signature ---- */

/* Since the last time: what the loop did not spend waiting for something to do. */
static void measure_busy(leat_worker *worker)
{
    int64_t now_us = leat_mono_us();
    int64_t idle_us = (int64_t)(uv_metrics_idle_time(&worker->loop) / 1000);
    int64_t passed_us = now_us - worker->busy.at_us, idled_us = idle_us - worker->busy.idle_us;
    if (worker->busy.at_us > 0 && passed_us > 0) {
        int64_t busy_us = passed_us > idled_us ? passed_us - idled_us : 0;
        double share = (double)busy_us / (double)passed_us;
        double weight = 0.1 * (double)passed_us / 500000; /* over about the last five seconds */
        worker->busy.share += (weight < 1 ? weight : 1) * (share - worker->busy.share);
        leat_count(worker->busy_total, (uint64_t)busy_us);
        leat_count(worker->idle_total, (uint64_t)(passed_us - busy_us));
    }
    worker->busy.at_us = now_us;
    worker->busy.idle_us = idle_us;
}

static void follow_clocks(leat_worker *worker, int64_t now_ms)
{
    bool has_changed = leat_skew_look(&worker->skew, leat_worker_now_us(worker), now_ms);
    leat_gauge_set(worker->clock_ahead_ms, worker->skew.ahead_ms);
    if (has_changed && worker->skew.is_on)
        leat_warn("records come from the future, so time lags are shown too small worker=%u "
                  "reason=\"a record was accepted %" PRId64
                  " ms from now\" advice=\"set the clocks "
                  "of this machine, the edges and the brokers\"",
                  worker->config.index, worker->skew.ahead_ms);
    else if (has_changed)
        leat_info("records no longer come from the future worker=%u", worker->config.index);
}

static double work_of(leat_worker *worker, uint32_t shard)
{
    leat_engine_shard_view view;
    leat_engine_flight_view flight;
    leat_worker_shard_state *state = &worker->shards[shard];
    uint32_t usable = atomic_load_explicit(&state->usable, memory_order_relaxed);
    leat_engine_shard(worker->engine, shard, &view);
    leat_engine_flight(worker->engine, shard, &flight);
    leat_signature_load load = {.done = view.done,
                                .jobs = flight.jobs,
                                .most = view.limit < usable ? view.limit : usable,
                                .loop = worker->busy.share};
    return leat_signature_work_sample(&state->work, leat_worker_now_us(worker), &load);
}

static void follow_signature(leat_worker *worker, uint32_t shard, int64_t lag_ms,
                             leat_culprits *culprits)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    const char *name = worker->config.shards[shard].name;
    int64_t now_ms = leat_wall_ms();
    bool has_changed = leat_signature_sample(&state->signature, leat_worker_now_us(worker), lag_ms,
                                             work_of(worker, shard));
    leat_gauge_set(state->signature_shown, state->signature.is_on);
    if (state->signature.is_on) {
        char who[LEAT_CULPRIT_ALERT_SIZE - 64];
        leat_culprits_describe(culprits, now_ms, who, sizeof who);
        culprits->is_alert = true;
        if (has_changed)
            state->signature_since_ms = now_ms;
        culprits->alert_since_ms = state->signature_since_ms;
        snprintf(culprits->alert, sizeof culprits->alert,
                 "the lag grows while the shard is kept from working%s%s", *who ? ": " : "", who);
        if (has_changed)
            leat_warn("the lag grows while the shard is kept from working shard=%s reason=\"%s\"",
                      name, who);
    } else if (has_changed) {
        leat_info("the lag no longer grows while the shard is kept from working shard=%s", name);
    }
}

/* ---- all of it ---- */

static void update_shard(leat_worker *worker, uint32_t shard, int64_t now_ms)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_culprits *culprits = &worker->culprits;
    int64_t lag_ms = atomic_load_explicit(state->time_lag_ms, memory_order_relaxed);
    memset(culprits, 0, sizeof *culprits);
    leat_blame_pass(&state->blame, leat_worker_now_us(worker));
    leat_culprits_add_blame(culprits, &state->blame);
    for (uint32_t partition = 0; partition < worker->partition_count; partition++) {
        int64_t since_ms = worker->behind_since_ms[partition];
        if (worker->shard_of[partition] != shard || since_ms == 0)
            continue;
        if (now_ms - since_ms >= BEHIND_MS)
            add_partition(worker, partition, now_ms, culprits);
    }
    add_troubles(worker, shard, now_ms, culprits);
    follow_signature(worker, shard, lag_ms > 0 ? lag_ms : 0, culprits); /* it may not be known */
    pthread_mutex_lock(&worker->report_lock);
    state->culprits = *culprits;
    pthread_mutex_unlock(&worker->report_lock);
}

void leat_worker_update_culprits(leat_worker *worker)
{
    int64_t now_ms = leat_wall_ms();
    measure_busy(worker);
    follow_clocks(worker, now_ms);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        update_shard(worker, shard, now_ms);
}

void leat_worker_add_culprits(leat_worker *worker, uint32_t shard, leat_culprits *to)
{
    LEAT_ASSERT(shard < worker->shard_count);
    pthread_mutex_lock(&worker->report_lock);
    leat_culprits_add(to, &worker->shards[shard].culprits);
    pthread_mutex_unlock(&worker->report_lock);
}
