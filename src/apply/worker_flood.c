/*
 * worker_flood.c - who is refused by the edges, because only an edge can end a flood that does not
 * end by itself. Told as facts in the shard, which the edges read:
 *
 *   - who fills a shard with parked records, from the moment on at which a partition has used half
 *     of what it may park. Never because somebody's records are parked: a quiet tenant behind a
 *     locked row has done nothing. That goes by what is parked now, whenever it was parked;
 *   - likewise who fills it with what is kept of held rows, by what was kept lately;
 *   - where there is a limit for it: to whom most of what waits for a shard belongs, once that will
 *     take longer than the limit. What waits in the log is not known by tenant; what was read of it
 *     lately is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply/worker_state.h"

enum {
    RATE_EVERY_US = 5000000,
    LATE_EVERY_US = 2000000,
    FADE_EVERY_US = 60000000,
    READ_SAMPLE = 17, /* one of so many records that are read is counted */
};

static uint64_t bytes_of(const leat_item *item)
{
    return item->record.key.size + item->record.value.size;
}

void leat_worker_note_read(leat_worker *worker, const leat_item *item)
{
    if (worker->config.lag_limit_ms > 0 && leat_sample_takes(&worker->reads, READ_SAMPLE))
        leat_flood_add(&worker->shards[worker->shard_of[item->record.partition]].read,
                       leat_item_tenant(item), bytes_of(item));
}

/* ---- what is parked ---- */

static leat_parked_shares *shares_of(leat_worker *worker, uint32_t partition)
{
    leat_parked_shares **shares = &worker->parked_shares[partition];
    if (!*shares)
        *shares = leat_parked_shares_new(worker->config.catalog->source.placement.subpartitions);
    return *shares;
}

void leat_worker_forget_parked(leat_worker *worker, uint32_t partition)
{
    free(worker->parked_shares[partition]);
    worker->parked_shares[partition] = NULL;
}

static void follow_claim(leat_worker *worker, const leat_engine_job *job,
                         const leat_engine_job_result *result)
{
    leat_worker_forget_parked(worker, job->partition);
    if (result->parked_count > 0)
        leat_parked_shares_claimed(shares_of(worker, job->partition), result->parked,
                                   result->parked_count);
}

static void follow_park(leat_worker *worker, const leat_engine_job *job,
                        const leat_engine_job_result *result)
{
    leat_worker_shard_state *state = &worker->shards[job->shard];
    leat_parked_shares *shares = shares_of(worker, job->batch.parts[0].partition);
    for (uint32_t i = 0; i < job->batch.record_count; i++) {
        const leat_item *item = job->batch.records[i].payload;
        leat_parked_shares_add(shares, leat_item_tenant(item), bytes_of(item));
        state->parked_bytes += (double)bytes_of(item);
    }
    state->parked_stored += (double)result->parked_bytes;
}

static void follow_unpark(leat_worker *worker, const leat_engine_job *job)
{
    leat_parked_shares *shares = shares_of(worker, job->batch.parts[0].partition);
    for (uint32_t i = 0; i < job->batch.record_count; i++) {
        const leat_engine_batch_record *record = &job->batch.records[i];
        leat_parked_shares_take(shares, record->subpartition, record->offset,
                                leat_item_tenant(record->payload), bytes_of(record->payload));
    }
}

/* What was done under an older claim the next one finds. */
void leat_worker_follow_parks(leat_worker *worker, uint32_t job_id,
                              const leat_engine_job_result *result)
{
    const leat_engine_job *job = worker->running[job_id];
    LEAT_ASSERT(job && job->id == job_id);
    bool is_park = job->kind == LEAT_ENGINE_JOB_PARK,
         is_unpark = job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.chunk_count > 0;
    if (result->outcome != LEAT_ENGINE_APPLIED)
        return;
    if (job->kind == LEAT_ENGINE_JOB_CLAIM)
        follow_claim(worker, job, result);
    if ((!is_park && !is_unpark) || !leat_engine_is_current(worker->engine, &job->batch))
        return;
    if (is_park)
        follow_park(worker, job, result);
    else
        follow_unpark(worker, job);
}

static void sum_parked(const leat_worker *worker, uint32_t shard, leat_flood *ret)
{
    const leat_worker_shard_state *state = &worker->shards[shard];
    double ratio = state->parked_stored > 0 ? state->parked_bytes / state->parked_stored : 1;
    for (uint32_t i = 0; i < worker->partition_count; i++)
        if (worker->shard_of[i] == shard && worker->parked_shares[i])
            leat_parked_shares_sum(worker->parked_shares[i], ratio, ret);
}

/* ---- how fast it is drained, and how late a shard is ---- */

static void follow_unparking(leat_worker *worker, uint32_t shard, int64_t passed_us)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_engine_shard_view view;
    leat_engine_shard(worker->engine, shard, &view);
    state->unparking.per_s = (double)(view.unparked - state->unparking.unparked) * 1e6 /
                             (double)passed_us;
    state->unparking.unparked = view.unparked;
}

/* Rounded; `value` below 0: not known. */
static int64_t gauge_of(double value)
{
    return value < 0 ? INT64_MIN : (int64_t)(value + 0.5);
}

/* A worker without a partition of the shard is not part of when it will have caught up. */
static void show_not_held(leat_worker_shard_state *state)
{
    leat_gauge_set(state->estimate_ms, INT64_MIN);
    leat_gauge_set(state->catch_up_ms, INT64_MIN);
    leat_gauge_set(state->drain_rate, INT64_MIN);
    leat_gauge_set(state->arrival_rate, INT64_MIN);
}

static void show_held(leat_worker_shard_state *state)
{
    leat_drain drain = leat_drain_of(&state->late);
    leat_gauge_set(state->estimate_ms, gauge_of((double)leat_late_estimate_ms(&state->late)));
    leat_gauge_set(state->catch_up_ms, gauge_of((double)drain.catch_up_ms));
    leat_gauge_set(state->drain_rate, gauge_of(leat_late_drain_per_s(&state->late)));
    leat_gauge_set(state->arrival_rate, gauge_of(drain.arrivals_per_s));
}

void leat_worker_late_show(leat_worker *worker, uint32_t shard)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    if (state->is_held)
        show_held(state);
    else
        show_not_held(state);
}

static void follow_late(leat_worker *worker, uint32_t shard, int64_t passed_us)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_engine_shard_view view;
    leat_engine_shard(worker->engine, shard, &view);
    state->sample.done = view.done;
    leat_late_measure(&state->late, &state->sample, passed_us, worker->config.lag_limit_ms);
    leat_worker_late_show(worker, shard);
}

static bool is_due(int64_t now_us, int64_t *last_us, int64_t every_us, int64_t *ret_passed_us)
{
    *ret_passed_us = now_us - *last_us;
    if (*ret_passed_us < every_us)
        return false;
    *last_us = now_us;
    return true;
}

void leat_worker_follow_drain(leat_worker *worker)
{
    int64_t now_us = leat_worker_now_us(worker), drain_us, late_us, fade_us;
    bool drains = is_due(now_us, &worker->drain_us, RATE_EVERY_US, &drain_us);
    bool measures = is_due(now_us, &worker->late_us, LATE_EVERY_US, &late_us);
    bool fades = is_due(now_us, &worker->fade_us, FADE_EVERY_US, &fade_us);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        if (drains)
            follow_unparking(worker, shard, drain_us);
        if (measures)
            follow_late(worker, shard, late_us);
        if (fades) {
            leat_flood_fade(&worker->shards[shard].read);
            leat_flood_fade(&worker->shards[shard].held.flood);
        }
    }
}

/* ---- facts ---- */

static void add_fact(leat_facts *facts, const char *kind, const char *text, int64_t since_ms,
                     int64_t wait_s, const leat_flood_tenant *tenant)
{
    leat_fact fact = {.kind = kind,
                      .text = text,
                      .since_ms = since_ms,
                      .partition = -1,
                      .subpartition = -1,
                      .offset = -1,
                      .wait_s = wait_s,
                      .tenant = leat_slice_of(tenant->name)};
    leat_facts_add(facts, &fact);
}

static void follow_since(int64_t *since_ms, bool is_so)
{
    *since_ms = !is_so ? 0 : *since_ms > 0 ? *since_ms : leat_wall_ms();
}

static void add_parking(leat_worker *worker, uint32_t shard, leat_facts *facts)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    const leat_parked_sum *sum = &state->parked.sum;
    leat_flood parked = {0}; /* has the names of those that are loud */
    leat_flood_tenant loud[LEAT_FLOOD_LOUD_MAX];
    char text[LEAT_FACT_TEXT_SIZE];
    if (sum->half > 0)
        sum_parked(worker, shard, &parked);
    uint32_t count = leat_flood_loud(&parked, loud);
    follow_since(&state->flood_since_ms, count > 0);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(
            text, sizeof text,
            "more than a quarter of what is parked is of one tenant, and half of parked_max is "
            "used: its writes are answered 429 until that is less tenant=%s parked=%" PRIu64,
            loud[i].name, sum->records);
        add_fact(facts, LEAT_FLOOD_KIND, text, state->flood_since_ms,
                 leat_flood_wait_s(sum->records, state->unparking.per_s), &loud[i]);
    }
}

/* What was kept before this worker came is nobody's. */
static void sum_kept(const leat_worker_held *held, leat_flood *ret)
{
    double others = (double)held->sum.bytes - held->flood.bytes.total;
    leat_flood_join(ret, &held->flood, others > 0 ? others : 0);
}

static void add_keeping(leat_worker *worker, uint32_t shard, leat_facts *facts)
{
    leat_worker_held *held = &worker->shards[shard].held;
    leat_flood kept = {0};
    leat_flood_tenant loud[LEAT_FLOOD_LOUD_MAX];
    char text[LEAT_FACT_TEXT_SIZE];
    if (held->sum.records == 0)
        held->flood = (leat_flood){0};
    if (held->sum.half > 0)
        sum_kept(held, &kept);
    uint32_t count = leat_flood_loud(&kept, loud);
    follow_since(&held->flood_since_ms, count > 0);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof text,
                 "more than a quarter of what is kept of held rows is of one tenant, and half of "
                 "held_max is used: its writes are answered 429 until that is less tenant=%s "
                 "kept=%" PRIu64,
                 loud[i].name, held->sum.records);
        add_fact(facts, LEAT_FLOOD_KIND, text, held->flood_since_ms,
                 leat_flood_wait_s(held->sum.records, 0), &loud[i]);
    }
}

/* The loudest first: those with more than an eighth only once it is twice as late. */
static uint32_t find_late(leat_worker *worker, leat_worker_shard_state *state,
                          leat_flood_tenant *ret)
{
    if (!state->late.is_late) {
        leat_flood_not_late(&state->read);
        return 0;
    }
    bool is_twice = leat_late_estimate_ms(&state->late) > 2 * worker->config.lag_limit_ms;
    return leat_flood_late(&state->read, is_twice ? 8 : 4, ret);
}

static void add_late(leat_worker *worker, uint32_t shard, leat_facts *facts)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_flood_tenant loud[LEAT_FLOOD_LATE_MAX];
    char text[LEAT_FACT_TEXT_SIZE];
    uint32_t count = find_late(worker, state, loud);
    follow_since(&state->late_since_ms, state->late.is_late);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(
            text, sizeof text,
            "what waits will take longer than limits.lag, and much of it is of one tenant: its "
            "writes are answered 429 until that is less tenant=%s records=%" PRIu64
            " left_s=%" PRId64,
            loud[i].name, state->late.backlog, leat_late_estimate_ms(&state->late) / 1000);
        add_fact(facts, LEAT_LATE_KIND, text, state->late_since_ms,
                 leat_flood_wait_s(state->late.backlog, state->late.per_s), &loud[i]);
    }
}

void leat_worker_flood_facts(leat_worker *worker, uint32_t shard, leat_facts *facts)
{
    add_parking(worker, shard, facts);
    add_keeping(worker, shard, facts);
    add_late(worker, shard, facts);
}
