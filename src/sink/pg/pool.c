/*
 * pool.c - the PostgreSQL sink: a few connections, opened one after another and reopened
 * indefinitely; each job goes to one that is free.
 *
 * All usable connections lead to one server. A failover may lose commits that were acknowledged;
 * the engine finds that out by claiming its partitions again, which it does when there are
 * connections after there were none. Behind a proxy that moment need not come: connections move to
 * the promoted server one by one, and a pooler even keeps ours and changes its own. So each new
 * connection, each job, and after SERVER_SILENT_MS without either a question of its own, shows
 * which server answers. When it is another one, all open connections are ended and 0 is reported
 * before anything else counts.
 *
 * A server that accepts data and does not answer (its processes are stopped, the network loses
 * packets) looks like one with slow statements. A question on another connection tells them apart:
 * on an idle one, or else on one opened for it. When that is not answered either, it is logged, and
 * then all connections are recreated, with the outcome of their jobs unknown. Behind a pooler the
 * question may wait for a session like every command, so there it is only logged.
 *
 * Limit: a server that loses commits and continues under the same postmaster (a machine restored
 * from a snapshot of its memory) is not recognized as another.
 */
#include "sink/pg/pool_state.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 1000,
    LOCK_ANSWER_MS = 30000, /* a job's time limit exceeds its wait for a lock by this much, so that
                               the wait ends by itself */
    NAMELESS_MS = 600000,   /* then names are tried again: the pooler's settings may have changed */
    HANDLE_COUNT = 3,       /* tick, retry, turn */
};

/* ---- jobs ---- */

static void on_turn(uv_idle_t *turn);

void leat_pg_pool_want_turn(leat_pg_pool *pool)
{
    if (!pool->freed)
        uv_idle_start(&pool->turn, on_turn);
}

static void note_nameless(leat_pg_pool *pool)
{
    if (!pool->shared.is_nameless || pool->nameless_ms > 0)
        return;
    pool->nameless_ms = uv_now(pool->shared.loop);
    leat_pg_pool_log_nameless(pool);
}

/* The session is free before `done` is called, which may submit the next job. */
void leat_pg_pool_report(leat_pg_member *member)
{
    LEAT_ASSERT(!member->pool->freed && leat_pg_session_is_over(member->session));
    leat_pg_pool *pool = member->pool;
    leat_engine_job_result result;
    leat_engine_chunk *chunk;
    note_nameless(pool);
    if (leat_pg_session_is_unusable(member->session))
        leat_pg_conn_break(member->conn, "the server does not take writes");
    else if (leat_pg_session_is_worn(member->session))
        leat_pg_conn_break(member->conn,
                           "it has prepared many statements: another takes its place");
    uint32_t job_id = leat_pg_session_take(member->session, &result, &chunk);
    member->has_served = member->has_served || result.outcome != LEAT_ENGINE_UNKNOWN;
    leat_pg_pool_log_failure(pool, member, &result);
    pool->events.done(pool->events.context, job_id, &result);
    free(chunk);
}

static void on_over(void *context)
{
    leat_pg_member *member = context;
    LEAT_ASSERT(member->state == LEAT_MEMBER_USABLE);
    LEAT_ASSERT(leat_pg_session_is_over(member->session));
    member->pool->failures = 0;
    const leat_pg_server *server = leat_pg_session_server(member->session);
    if (server)
        leat_pg_pool_check_server(member->pool, server);
    if (!member->pool->freed && leat_pg_session_is_over(member->session))
        leat_pg_pool_report(member);
    leat_pg_pool_keep_limit(member->pool);
}

static void on_server_checked(void *context)
{
    leat_pg_member *member = context;
    LEAT_ASSERT(member->state == LEAT_MEMBER_USABLE);
    leat_pg_pool_check_server(member->pool, leat_pg_conn_server(member->conn));
}

static void on_wake(void *context)
{
    leat_pg_member *member = context;
    leat_pg_pool_want_turn(member->pool);
}

bool leat_pg_pool_is_free(const leat_pg_member *member)
{
    return member->state == LEAT_MEMBER_USABLE && leat_pg_conn_is_ready(member->conn) &&
           !leat_pg_session_is_open(member->session);
}

static leat_pg_member *find_free(leat_pg_pool *pool)
{
    for (uint32_t i = 0; i < pool->member_count; i++)
        if (leat_pg_pool_is_free(&pool->members[i]))
            return &pool->members[i];
    return NULL;
}

/* `direct` NULL: a job of an engine. */
static void start(leat_pg_pool *pool, const leat_engine_job *job, const leat_sink_direct *direct)
{
    LEAT_ASSERT(!pool->freed && job->kind != LEAT_ENGINE_JOB_NONE);
    leat_pg_member *member = find_free(pool);
    if (!member) {
        LEAT_ASSERT(pool->orphan_count < pool->member_count); /* otherwise more jobs are open than
                                                                 `usable` allowed */
        pool->orphans[pool->orphan_count++] = job->id;
        leat_pg_pool_want_turn(pool);
        return;
    }
    if (direct)
        leat_pg_session_write(member->session, job, direct);
    else
        leat_pg_session_start(member->session, job);
    if (leat_pg_session_is_over(member->session))
        leat_pg_pool_want_turn(pool);
}

static void submit(leat_sink *base, const leat_engine_job *job)
{
    start((leat_pg_pool *)base, job, NULL);
}

static void write_direct(leat_sink *base, uint32_t job_id, leat_item *item,
                         const leat_sink_direct *direct)
{
    leat_pg_pool *pool = (leat_pg_pool *)base;
    leat_engine_batch_record record = {
        .payload = item, .offset = -1, .partition = direct->partition, .key = direct->key};
    const leat_engine_job job = {.id = job_id,
                                 .kind = LEAT_ENGINE_JOB_BATCH,
                                 .shard = pool->shared.shard,
                                 .batch = {.record_count = 1,
                                           .records = &record,
                                           .lock_timeout_ms = direct->timeout_ms,
                                           .statement_timeout_ms = direct->timeout_ms}};
    start(pool, &job, direct);
}

/* Nothing was sent for them, so they have certainly failed. */
static void report_orphans(leat_pg_pool *pool)
{
    LEAT_ASSERT(pool->orphan_count <= pool->member_count);
    while (pool->orphan_count > 0 && !pool->freed) {
        leat_engine_job_result result = {
            .outcome = LEAT_ENGINE_OUTAGE,
            .bad_record = -1,
            .partition = -1,
            .catalog_read_us = INT64_MAX,
            .message = "the connection was lost before the job was sent"};
        pool->events.done(pool->events.context, pool->orphans[--pool->orphan_count], &result);
    }
}

static void on_turn(uv_idle_t *turn)
{
    leat_pg_pool *pool = turn->data;
    LEAT_ASSERT(!pool->freed);
    uv_idle_stop(turn);
    for (uint32_t i = 0; i < pool->member_count && !pool->freed; i++) {
        leat_pg_member *member = &pool->members[i];
        leat_pg_conn_settle(member->conn);
        if (!pool->freed && leat_pg_session_is_over(member->session))
            leat_pg_pool_report(member);
    }
    if (!pool->freed)
        leat_pg_conn_settle(pool->probe);
    report_orphans(pool);
    if (!pool->freed)
        leat_pg_pool_meet_limit(pool);
}

static void on_tick(uv_timer_t *timer)
{
    leat_pg_pool *pool = timer->data;
    LEAT_ASSERT(!pool->freed);
    int64_t now_us = leat_standstill_now_us(pool->shared.standstill);
    for (uint32_t i = 0; i < pool->member_count && !pool->freed; i++)
        leat_pg_conn_tick(pool->members[i].conn);
    if (!pool->freed)
        leat_pg_conn_tick(pool->probe);
    if (!pool->freed)
        leat_pg_pool_watch_silence(pool, now_us);
    if (pool->freed)
        return;
    leat_pg_pool_log_none(pool, now_us);
    if (pool->nameless_ms > 0 && uv_now(pool->shared.loop) - pool->nameless_ms >= NAMELESS_MS)
        leat_pg_pool_use_names(pool);
    leat_pg_pool_ask_which_server(pool);
}

static void allow(leat_sink *base, uint32_t connections)
{
    leat_pg_pool *pool = (leat_pg_pool *)base;
    LEAT_ASSERT(!pool->freed && connections > 0 && connections <= pool->member_count);
    if (connections == pool->allowed)
        return;
    pool->allowed = connections;
    pool->limit_changed = true;
    leat_pg_pool_want_turn(pool);
}

static const leat_sink_counters *count(const leat_sink *base)
{
    const leat_pg_pool *pool = (const leat_pg_pool *)base;
    return &pool->shared.counters;
}

/* ---- life ---- */

static void release(leat_pg_pool *pool)
{
    LEAT_ASSERT(pool->freed && pool->open_handles == 0);
    leat_shapes_drop(pool->shared.shapes);
    leat_rows_free(pool->shared.rows);
    leat_pg_keys_fini(&pool->shared.keys);
    leat_pg_notes_fini(&pool->shared.notes);
    leat_pg_dsn_free(pool->shared.dsn);
    free(pool->shard_name);
    free(pool->members);
    free(pool->orphans);
    free(pool);
}

void leat_pg_pool_forget_handle(leat_pg_pool *pool)
{
    LEAT_ASSERT(pool->freed && pool->open_handles > 0);
    if (--pool->open_handles == 0)
        release(pool);
}

static void on_freed(void *context)
{
    leat_pg_member *member = context;
    leat_pg_pool_forget_handle(member->pool);
}

static void on_handle_closed(uv_handle_t *handle)
{
    leat_pg_pool_forget_handle(handle->data);
}

static void free_sink(leat_sink *base)
{
    leat_pg_pool *pool = (leat_pg_pool *)base;
    LEAT_ASSERT(!pool->freed);
    pool->freed = true;
    uv_close((uv_handle_t *)&pool->tick, on_handle_closed);
    uv_close((uv_handle_t *)&pool->retry, on_handle_closed);
    uv_close((uv_handle_t *)&pool->turn, on_handle_closed);
    for (uint32_t i = 0; i < pool->member_count; i++)
        leat_pg_session_free(pool->members[i].session);
    leat_pg_conn_free(pool->probe);
}

static void make_members(leat_pg_pool *pool)
{
    LEAT_ASSERT(pool->member_count > 0);
    pool->members = leat_must_calloc(pool->member_count, sizeof *pool->members);
    pool->orphans = leat_must_calloc(pool->member_count, sizeof *pool->orphans);
    for (uint32_t i = 0; i < pool->member_count; i++) {
        leat_pg_member *member = &pool->members[i];
        leat_pg_session_events events = {member,
                                         leat_pg_pool_on_opened,
                                         leat_pg_pool_on_closed,
                                         on_server_checked,
                                         on_over,
                                         on_wake,
                                         on_freed};
        member->pool = pool;
        member->session = leat_pg_session_new(&pool->shared, &events);
        member->conn = leat_pg_session_conn(member->session);
    }
    leat_pg_pool_make_probe(pool);
}

static void start_handles(leat_pg_pool *pool)
{
    LEAT_ASSERT(pool->open_handles == 0);
    uv_timer_init(pool->shared.loop, &pool->tick);
    uv_timer_init(pool->shared.loop, &pool->retry);
    uv_idle_init(pool->shared.loop, &pool->turn);
    pool->tick.data = pool;
    pool->retry.data = pool;
    pool->turn.data = pool;
    pool->open_handles = HANDLE_COUNT + pool->member_count + 1;
    uv_timer_start(&pool->tick, on_tick, TICK_MS, TICK_MS);
    leat_pg_pool_want_connection(pool);
}

static int64_t silence_ms(const leat_sink_config *config)
{
    int64_t least_ms = config->lock_timeout_ms + LOCK_ANSWER_MS;
    return least_ms > LEAT_PG_SILENCE_MS ? least_ms : LEAT_PG_SILENCE_MS;
}

static leat_sink *open_sink(uv_loop_t *loop, const leat_sink_config *config,
                            const leat_sink_events *events, leat_error *error)
{
    LEAT_ASSERT(config->connections > 0);
    leat_pg_dsn *dsn = leat_pg_dsn_new(config->at.dsn, config->owner, error);
    if (!dsn) {
        leat_fail_prefix(error, "shard %s", config->shard_name);
        return NULL;
    }
    leat_rows *rows = leat_rows_new();
    if (!rows) {
        leat_pg_dsn_free(dsn);
        leat_fail(error, "shard %s: out of memory", config->shard_name);
        return NULL;
    }
    LEAT_ASSERT(config->standstill && config->schema_versions);
    leat_pg_pool *pool = leat_must_calloc(1, sizeof *pool);
    pool->base.ops = &leat_pg_sink;
    pool->events = *events;
    pool->shard_name = leat_must_strdup(config->shard_name);
    pool->prng.state = config->seed;
    pool->member_count = pool->allowed = config->connections;
    pool->shared = (leat_pg_shared){.loop = loop,
                                    .standstill = config->standstill,
                                    .dsn = dsn,
                                    .silence_ms = silence_ms(config),
                                    .shard_name = pool->shard_name,
                                    .shard = config->shard,
                                    .source_id = config->source_id,
                                    .placement = config->placement,
                                    .lock_timeout_ms = config->lock_timeout_ms,
                                    .schema_versions = config->schema_versions,
                                    .controls = config->controls,
                                    .commits_async = config->commits_async,
                                    .rows = rows};
    make_members(pool);
    start_handles(pool);
    return &pool->base;
}

const leat_sink_ops leat_pg_sink = {.open = open_sink,
                                    .submit = submit,
                                    .write = write_direct,
                                    .allow = allow,
                                    .count = count,
                                    .free = free_sink};
