/*
 * direct.c - queues of writes in front of sinks. A write is copied when it is taken, because its
 * client's bytes do not stay, and goes to a connection of its shard once one is free and no earlier
 * write of its row is under way. The sink's answer becomes the client's: what a worker would try
 * again for minutes is told as it is, because a client that waits can decide for itself.
 *
 * A connection whose server is silent is the pool's to give up (sink/pg/pool_silence.c), which
 * takes long; here its write is answered when its time is over, and while all connections are like
 * that nothing more is taken.
 */
#include "sink/direct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/diag.h"
#include "base/rate_limit.h"
#include "record/idempotency.h"
#include "sink/direct_answer.h"
#include "sink/sink.h"

enum {
    LOOK_EVERY_MS = 100,
    TRIES_MAX = 8,
    GRACE_US = 500 * 1000,       /* for the server's own end of a write to arrive */
    NONE_AFTER_US = 1000 * 1000, /* without a connection for this long, nothing is taken */
};

typedef struct direct_job {
    TAILQ_ENTRY(direct_job) link; /* while it waits */
    leat_item item;
    void *tag;
    uint64_t row;
    bool is_live;
    uint32_t point;
    int64_t until_us;
    uint32_t tries;
    bool is_answered; /* its time was over before the server's answer came */
} direct_job;

typedef struct direct_pool direct_pool;

typedef struct shard {
    direct_pool *pool;
    uint32_t index;
    leat_sink *sink;
    char *name;
    uint32_t usable;
    int64_t none_since_us; /* 0: there is a connection */
    TAILQ_HEAD(direct_jobs, direct_job) waiting;
    uint32_t waiting_count;
    direct_job **running; /* [connections]; the index is the job's number, NULL: free */
    uint32_t running_count;
    uint32_t overdue; /* of them, answered */
    leat_rate_limit rate_limit;
} shard;

struct direct_pool {
    leat_direct base;
    leat_direct_config config;
    leat_direct_events events;
    uint32_t shard_count;
    shard shards[LEAT_SHARDS_MAX];
    uv_timer_t look;
    leat_buf scratch; /* for the hash of an idempotency key */
    bool freed;
};

static const leat_direct_ops pool_ops;

/* ---- answers ---- */

static void free_job(direct_job *job)
{
    leat_item_clear(&job->item);
    free(job);
}

static void answer(direct_pool *pool, direct_job *job, leat_direct_outcome outcome,
                   const char *sqlstate, const char *message)
{
    leat_direct_answer told = {.outcome = outcome};
    LEAT_ASSERT(!job->is_answered);
    job->is_answered = true;
    snprintf(told.sqlstate, sizeof told.sqlstate, "%s", sqlstate);
    snprintf(told.message, sizeof told.message, "%s", message);
    pool->events.done(pool->events.context, job->tag, &told, &job->item.record);
}

/* The write itself is not at fault, and the next try may be an instant away. */
static bool is_worth_a_try(const direct_job *job, const leat_engine_job_result *result,
                           int64_t now_us)
{
    bool is_passing = (result->outcome == LEAT_ENGINE_CONTENTION && !result->is_lock_wait &&
                       !result->timed_out) ||
                      (result->outcome == LEAT_ENGINE_NOT_YET && result->may_be_race);
    return is_passing && job->tries < TRIES_MAX && now_us < job->until_us;
}

/* A shard's trouble, which no worker may be there to report. */
static void log_trouble(shard *at, const leat_engine_job_result *result)
{
    bool is_shards = result->outcome == LEAT_ENGINE_OUTAGE ||
                     result->outcome == LEAT_ENGINE_DRIFT ||
                     result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD;
    if (is_shards &&
        leat_rate_limit_allows(&at->rate_limit, (uint64_t)(leat_mono_us() / 1000), result->message))
        leat_warn("a write was not applied in its request shard=%s sqlstate=%s reason=\"%s\"",
                  at->name, result->sqlstate, result->message);
}

/* ---- going on ---- */

static bool is_row_busy(const direct_pool *pool, const shard *at, uint64_t row)
{
    for (uint32_t i = 0; i < pool->config.connections; i++)
        if (at->running[i] && at->running[i]->row == row)
            return true;
    return false;
}

static uint32_t count_row(const shard *at, uint64_t row)
{
    const direct_job *job;
    uint32_t count = 0;
    TAILQ_FOREACH(job, &at->waiting, link)
    count += job->row == row;
    return count;
}

static direct_job *first_free(const direct_pool *pool, shard *at)
{
    direct_job *job;
    TAILQ_FOREACH(job, &at->waiting, link)
    if (!is_row_busy(pool, at, job->row))
        return job;
    return NULL;
}

static void leave_queue(shard *at, direct_job *job)
{
    LEAT_ASSERT(at->waiting_count > 0);
    TAILQ_REMOVE(&at->waiting, job, link);
    at->waiting_count--;
}

static uint32_t free_number(const direct_pool *pool, const shard *at)
{
    uint32_t number = 0;
    while (at->running[number])
        number++;
    LEAT_ASSERT(number < pool->config.connections);
    return number;
}

static void send_job(direct_pool *pool, shard *at, direct_job *job, int64_t now_us)
{
    int64_t left_ms = (job->until_us - now_us) / 1000;
    const leat_route *route = job->item.route; /* NULL: the write is refused as it is */
    leat_sink_direct direct = {.partition = job->item.record.partition,
                               .key = leat_item_held_hash(&job->item),
                               .route = job->is_live && route ? route->name : NULL,
                               .point = job->point,
                               .table = route ? route->table->label : "",
                               .row_key = job->item.canonical_key,
                               .timeout_ms = left_ms > 0 ? left_ms : 1};
    if (route && route->tenant_key_position >= 0)
        direct.tenant = leat_route_tenant(route, job->item.canonical_key);
    uint32_t number = free_number(pool, at);
    at->running[number] = job;
    at->running_count++;
    job->tries++;
    leat_sink_write(at->sink, number, &job->item, &direct);
}

static void go_on(direct_pool *pool, shard *at)
{
    int64_t now_us = leat_mono_us();
    while (!pool->freed && at->running_count < at->usable) {
        direct_job *job = first_free(pool, at);
        if (!job)
            return;
        leave_queue(at, job);
        if (job->tries == 0 && !pool->events.starts(pool->events.context, job->tag))
            free_job(job);
        else
            send_job(pool, at, job, now_us);
    }
}

/* Their time is that of what is applied (leat.rotate_keys). */
static void note_time(const shard *at, const direct_job *job)
{
    _Atomic int64_t *noted_ms = &at->pool->config.noted_ms[at->index];
    if (leat_idempotency_has_key(&job->item) && job->item.record.accepted_ms > *noted_ms)
        *noted_ms = job->item.record.accepted_ms;
}

static void on_done(void *context, uint32_t number, const leat_engine_job_result *result)
{
    shard *at = context;
    direct_pool *pool = at->pool;
    direct_job *job = at->running[number];
    LEAT_ASSERT(job && at->running_count > 0);
    at->running[number] = NULL;
    at->running_count--;
    log_trouble(at, result);
    if (result->outcome == LEAT_ENGINE_APPLIED)
        note_time(at, job);
    if (job->is_answered) {
        at->overdue--;
        free_job(job);
    } else if (is_worth_a_try(job, result, leat_mono_us())) {
        TAILQ_INSERT_HEAD(&at->waiting, job, link);
        at->waiting_count++;
    } else {
        answer(pool, job, leat_direct_outcome_of(result), result->sqlstate,
               leat_direct_message_of(result));
        free_job(job);
    }
    go_on(pool, at);
}

static void on_slots(void *context, uint32_t shard_index, uint32_t usable)
{
    shard *at = context;
    LEAT_ASSERT(shard_index < at->pool->shard_count);
    at->usable = usable;
    if (usable > 0)
        at->none_since_us = 0;
    else if (at->none_since_us == 0)
        at->none_since_us = leat_mono_us();
    go_on(at->pool, at);
}

/* ---- time ---- */

static void look_at_waiting(direct_pool *pool, shard *at, int64_t now_us)
{
    direct_job *next;
    for (direct_job *job = TAILQ_FIRST(&at->waiting); job; job = next) {
        next = TAILQ_NEXT(job, link);
        if (now_us < job->until_us)
            continue;
        leave_queue(at, job);
        answer(pool, job, LEAT_DIRECT_NOT_NOW, "",
               at->usable > 0 ? "the write waited for a connection until its time was over"
                              : "the shard of this write has no connection");
        free_job(job);
    }
}

static void look_at_running(direct_pool *pool, shard *at, int64_t now_us)
{
    for (uint32_t i = 0; i < pool->config.connections; i++) {
        direct_job *job = at->running[i];
        if (!job || job->is_answered || now_us < job->until_us + GRACE_US)
            continue;
        at->overdue++;
        answer(pool, job, LEAT_DIRECT_UNKNOWN, "", "the database has not answered in time");
    }
}

static void on_look(uv_timer_t *timer)
{
    direct_pool *pool = timer->data;
    int64_t now_us = leat_mono_us();
    for (uint32_t i = 0; i < pool->shard_count && !pool->freed; i++) {
        look_at_waiting(pool, &pool->shards[i], now_us);
        look_at_running(pool, &pool->shards[i], now_us);
    }
}

/* ---- taking ---- */

/* As it follows the shard's name, and as the client of a write is told. */
typedef struct trouble {
    const char *of_shard, *of_write;
} trouble;

static const trouble *trouble_of(const shard *at)
{
    static const trouble none = {"has no connection", "the shard of this write has no connection"};
    static const trouble silent = {"does not answer", "the shard of this write does not answer"};
    if (at->none_since_us && leat_mono_us() - at->none_since_us > NONE_AFTER_US)
        return &none;
    return at->usable > 0 && at->overdue >= at->usable ? &silent : NULL;
}

static const char *trouble_of_shard(const leat_direct *base, uint32_t index)
{
    const direct_pool *pool = (const direct_pool *)base;
    LEAT_ASSERT(index < pool->shard_count);
    const trouble *found = trouble_of(&pool->shards[index]);
    return found ? found->of_shard : NULL;
}

/* Of a write that has to wait, behind so many to its row: a row that is locked must not take the
 * whole queue. */
static const char *no_room(const direct_pool *pool, const shard *at, uint32_t of_row)
{
    if (at->waiting_count >= pool->config.queue_max)
        return "too many writes wait for the database";
    return of_row >= leat_direct_part(pool->config.queue_max)
               ? "too many writes to this row wait for the database"
               : NULL;
}

static bool identify(direct_pool *pool, leat_item *item)
{
    return !leat_idempotency_has_key(item) ||
           leat_idempotency_identify(pool->config.source_id, item, &pool->scratch, &item->write_id);
}

/* NULL: out of memory. */
static direct_job *make_job(direct_pool *pool, uint32_t shard_index, const leat_direct_write *write)
{
    const leat_routes *routes =
        &leat_schema_versions_newest(pool->config.schema_versions, shard_index)->routes;
    direct_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->item.record = (leat_record){.partition = write->partition,
                                     .offset = -1,
                                     .accepted_ms = leat_wall_ms(),
                                     .key = write->key,
                                     .value = write->body,
                                     .route = leat_slice_of(write->route->name),
                                     .op = leat_slice_of(leat_route_op_name(write->op)),
                                     .idempotency = write->idempotency};
    job->tag = write->tag;
    job->row = write->row;
    job->is_live = write->live != NULL;
    job->point = write->point;
    job->until_us = leat_mono_us() + pool->config.timeout_ms * 1000;
    if (leat_item_decode(routes, pool->config.placement, &job->item) == 0 &&
        leat_item_own(&job->item) == 0 && identify(pool, &job->item))
        return job;
    free_job(job);
    return NULL;
}

static bool take(leat_direct *base, const leat_direct_write *write, const char **ret_why)
{
    direct_pool *pool = (direct_pool *)base;
    LEAT_ASSERT(!pool->freed);
    uint32_t index = leat_layout_shard_of_partition(pool->config.layout, write->partition);
    shard *at = &pool->shards[index];
    uint32_t of_row = count_row(at, write->row);
    bool at_once = of_row == 0 && at->running_count < at->usable &&
                   !is_row_busy(pool, at, write->row);
    const trouble *found = trouble_of(at);
    *ret_why = found ? found->of_write : NULL;
    if (!*ret_why && !at_once)
        *ret_why = no_room(pool, at, of_row);
    if (*ret_why)
        return false;
    direct_job *job = make_job(pool, index, write);
    if (!job) {
        *ret_why = "out of memory";
        return false;
    }
    if (at_once) {
        send_job(pool, at, job, leat_mono_us());
        return true;
    }
    TAILQ_INSERT_TAIL(&at->waiting, job, link);
    at->waiting_count++;
    return true;
}

/* ---- its life ---- */

static void free_shard(direct_pool *pool, shard *at)
{
    leat_sink_free(at->sink); /* from here on it calls back no more */
    while (!TAILQ_EMPTY(&at->waiting)) {
        direct_job *job = TAILQ_FIRST(&at->waiting);
        leave_queue(at, job);
        answer(pool, job, LEAT_DIRECT_NOT_NOW, "", "the edge ends");
        free_job(job);
    }
    for (uint32_t i = 0; at->running && i < pool->config.connections; i++) {
        direct_job *job = at->running[i];
        if (job && !job->is_answered)
            answer(pool, job, LEAT_DIRECT_UNKNOWN, "",
                   "the edge ended before the database answered");
        if (job)
            free_job(job);
    }
    free(at->running);
    free(at->name);
}

static void on_look_closed(uv_handle_t *handle)
{
    direct_pool *pool = handle->data;
    leat_buf_free(&pool->scratch);
    free(pool);
}

static void free_pool(leat_direct *base)
{
    direct_pool *pool = (direct_pool *)base;
    LEAT_ASSERT(!pool->freed);
    pool->freed = true;
    for (uint32_t i = 0; i < pool->shard_count; i++)
        free_shard(pool, &pool->shards[i]);
    uv_close((uv_handle_t *)&pool->look, on_look_closed);
}

static const leat_direct_ops pool_ops = {
    .write = take, .trouble = trouble_of_shard, .free = free_pool};

uint32_t leat_direct_part(uint32_t queue_max)
{
    return (queue_max + 3) / 4;
}

bool leat_direct_can(leat_shard_address at)
{
    return at.dsn != NULL;
}

static int open_shard(direct_pool *pool, uv_loop_t *loop, leat_standstill *standstill,
                      uint32_t index, leat_error *error)
{
    const leat_direct_config *config = &pool->config;
    shard *at = &pool->shards[index];
    LEAT_ASSERT(leat_direct_can(config->shards[index].at));
    TAILQ_INIT(&at->waiting);
    at->name = leat_must_strdup(config->shards[index].name);
    at->running = leat_must_calloc(config->connections, sizeof *at->running);
    at->none_since_us = leat_mono_us();
    at->pool = pool;
    at->index = index;
    leat_sink_events events = {.context = at, .slots = on_slots, .done = on_done};
    leat_sink_config sink = {.shard_name = at->name,
                             .shard = index,
                             .at = config->shards[index].at,
                             .owner = config->owner,
                             .connections = config->connections,
                             .source_id = config->source_id,
                             .placement = *config->placement,
                             .schema_versions = config->schema_versions,
                             .lock_timeout_ms = config->timeout_ms,
                             .commits_async = config->shards[index].commits_async,
                             .seed = config->seed + index,
                             .standstill = standstill};
    at->sink = leat_sink_new(loop, &sink, &events, error);
    return at->sink ? 0 : -1;
}

leat_direct *leat_direct_new(uv_loop_t *loop, const leat_direct_config *config,
                             leat_standstill *standstill, const leat_direct_events *events,
                             leat_error *error)
{
    LEAT_ASSERT(config->connections > 0 && config->queue_max > 0 && config->timeout_ms > 0);
    LEAT_ASSERT(config->noted_ms);
    direct_pool *pool = leat_must_calloc(1, sizeof *pool);
    pool->base.ops = &pool_ops;
    pool->config = *config;
    pool->events = *events;
    uv_timer_init(loop, &pool->look);
    pool->look.data = pool;
    uv_timer_start(&pool->look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    for (uint32_t i = 0; i < config->layout->shard_count; i++) {
        pool->shard_count++;
        if (open_shard(pool, loop, standstill, i, error) == 0)
            continue;
        free_pool(&pool->base);
        return NULL;
    }
    return &pool->base;
}
