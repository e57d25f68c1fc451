/*
 * pool_connect.c - a pool's connections: opened one at a time with back-off, counted by state, and
 * ended all at once when another server answers than before. That comes before anything else,
 * because the engine's state of its partitions was read from the other server. The 0 that is then
 * reported makes it claim them again.
 */
#include "sink/pg/pool_state.h"

#include "base/backoff.h"
#include "base/states.h"
#include "sink/sqlstate.h"

enum { LASTS_MS = 1000 };

/* Names are tried again now and then, and when the pooler may be another. */
void leat_pg_pool_use_names(leat_pg_pool *pool)
{
    pool->shared.is_nameless = false;
    pool->nameless_ms = 0;
}

/* Which states may follow which. */
static const unsigned may_follow[] = {
    [LEAT_MEMBER_CLOSED] = LEAT_TO(LEAT_MEMBER_CONNECTING),
    [LEAT_MEMBER_CONNECTING] = LEAT_TO(LEAT_MEMBER_USABLE) | LEAT_TO(LEAT_MEMBER_CLOSED),
    [LEAT_MEMBER_USABLE] = LEAT_TO(LEAT_MEMBER_LEAVING) | LEAT_TO(LEAT_MEMBER_CLOSED),
    [LEAT_MEMBER_LEAVING] = LEAT_TO(LEAT_MEMBER_CLOSED),
};

/* Keeps the pool's counts of its members' states. */
static void enter(leat_pg_member *member, leat_member_state state)
{
    leat_pg_pool *pool = member->pool;
    LEAT_ASSERT(leat_may_follow(may_follow, member->state, state));
    LEAT_ASSERT(state != LEAT_MEMBER_CONNECTING || !pool->connecting);
    if (member->state == LEAT_MEMBER_USABLE) {
        LEAT_ASSERT(pool->usable > 0);
        pool->usable--;
    }
    if (member->state == LEAT_MEMBER_CONNECTING)
        pool->connecting = NULL;
    member->state = state;
    if (state == LEAT_MEMBER_USABLE)
        pool->usable++;
    if (state == LEAT_MEMBER_CONNECTING)
        pool->connecting = member;
    LEAT_ASSERT(pool->usable + (pool->connecting ? 1 : 0) <= pool->member_count);
}

static void on_retry(uv_timer_t *timer)
{
    leat_pg_pool *pool = timer->data;
    LEAT_ASSERT(!pool->freed);
    for (uint32_t i = 0; i < pool->member_count && !pool->connecting; i++) {
        if (pool->usable >= pool->allowed)
            return;
        if (pool->members[i].state != LEAT_MEMBER_CLOSED)
            continue;
        enter(&pool->members[i], LEAT_MEMBER_CONNECTING);
        leat_pg_conn_open(pool->members[i].conn);
    }
}

static uint64_t retry_delay_ms(leat_pg_pool *pool)
{
    if (pool->failures == 0)
        return 0;
    return (uint64_t)leat_backoff(&pool->prng, pool->failures, LEAT_SINK_RETRY_MIN_MS,
                                  LEAT_SINK_RETRY_MAX_MS);
}

void leat_pg_pool_want_connection(leat_pg_pool *pool)
{
    if (pool->freed || pool->connecting || uv_is_active((uv_handle_t *)&pool->retry))
        return;
    if (pool->usable < pool->allowed)
        uv_timer_start(&pool->retry, on_retry, retry_delay_ms(pool), 0);
}

/* ---- the limit ---- */

uint32_t leat_pg_pool_slots(const leat_pg_pool *pool)
{
    return pool->usable < pool->allowed ? pool->usable : pool->allowed;
}

void leat_pg_pool_keep_limit(leat_pg_pool *pool)
{
    if (pool->freed || pool->usable <= pool->allowed)
        return;
    pool->limit_changed = true;
    leat_pg_pool_want_turn(pool);
}

/* A free one has no job to report, so nothing is called but the event of its end. */
static void close_free(leat_pg_pool *pool)
{
    for (uint32_t i = 0; i < pool->member_count && pool->usable > pool->allowed; i++) {
        leat_pg_member *member = &pool->members[i];
        if (!leat_pg_pool_is_free(member))
            continue;
        enter(member, LEAT_MEMBER_LEAVING);
        leat_pg_conn_break(member->conn, "fewer connections are allowed");
        leat_pg_conn_settle(member->conn);
    }
}

void leat_pg_pool_meet_limit(leat_pg_pool *pool)
{
    LEAT_ASSERT(!pool->freed);
    if (!pool->limit_changed)
        return;
    pool->limit_changed = false;
    close_free(pool);
    leat_pg_pool_want_connection(pool);
    pool->events.slots(pool->events.context, pool->shared.shard, leat_pg_pool_slots(pool));
}

/* None of them is ready any longer when the first job is reported: its answer may be the next
 * job. */
static void end_open_connections(leat_pg_pool *pool, const char *message)
{
    for (uint32_t i = 0; i < pool->member_count; i++) {
        leat_pg_member *member = &pool->members[i];
        if (member->state != LEAT_MEMBER_USABLE)
            continue;
        enter(member, LEAT_MEMBER_LEAVING);
        leat_pg_conn_break(member->conn, message);
    }
    for (uint32_t i = 0; i < pool->member_count && !pool->freed; i++)
        if (pool->members[i].state == LEAT_MEMBER_LEAVING)
            leat_pg_conn_settle(pool->members[i].conn);
}

/* Reports that there is no connection, also while a new one is about to be reported. May free the
 * pool. */
void leat_pg_pool_leave_server(leat_pg_pool *pool, const char *message)
{
    LEAT_ASSERT(!pool->freed);
    if (pool->usable == 0)
        return;
    end_open_connections(pool, message);
    if (pool->freed)
        return;
    LEAT_ASSERT(pool->usable == 0);
    pool->failures++; /* a proxy that leads to several servers in turn is not tried without pause */
    pool->events.slots(pool->events.context, pool->shared.shard, 0);
}

/* `server` has answered. When it is another one than before, all open connections are ended. May
 * free the pool. */
static void check_server(leat_pg_pool *pool, const leat_pg_server *server)
{
    LEAT_ASSERT(!pool->freed);
    bool is_other = pool->knows_server && !leat_pg_server_equal(&pool->server, server);
    pool->knows_server = true;
    pool->server = *server;
    pool->heard_ms = uv_now(pool->shared.loop);
    if (!is_other)
        return;
    leat_pg_pool_log_other_server(pool);
    leat_pg_pool_leave_server(pool, "another server answers");
}

static void note_pooled(leat_pg_pool *pool, bool is_pooled)
{
    bool was_pooled = pool->is_pooled;
    pool->is_pooled = is_pooled;
    if (is_pooled != was_pooled && pool->shared.commits_async && pool->events.pooled)
        pool->events.pooled(pool->events.context, pool->shared.shard, is_pooled);
}

void leat_pg_pool_on_opened(void *context)
{
    leat_pg_member *member = context;
    leat_pg_pool *pool = member->pool;
    LEAT_ASSERT(pool->connecting == member && !leat_pg_session_is_open(member->session));
    check_server(pool, leat_pg_conn_server(member->conn));
    if (pool->freed)
        return;
    if (pool->usable == 0)
        leat_pg_pool_use_names(pool);
    enter(member, LEAT_MEMBER_USABLE);
    note_pooled(pool, leat_pg_conn_is_pooled(member->conn));
    pool->shared.counters.connects++;
    member->has_served = false;
    member->opened_us = leat_standstill_now_us(pool->shared.standstill);
    leat_pg_pool_log_connected(pool);
    leat_pg_pool_want_connection(pool);
    leat_pg_pool_keep_limit(pool); /* it may have changed since the attempt began */
    pool->events.slots(pool->events.context, pool->shared.shard, leat_pg_pool_slots(pool));
}

/* Jobs that are over are still reported with their outcome: the server that ran them has checked
 * their claims. */
void leat_pg_pool_check_server(leat_pg_pool *pool, const leat_pg_server *server)
{
    check_server(pool, server);
    if (!pool->freed)
        leat_pg_pool_want_connection(pool);
}

static void attempt_failed(leat_pg_member *member, const char *message)
{
    leat_pg_pool *pool = member->pool;
    enter(member, LEAT_MEMBER_CLOSED);
    pool->shared.counters.connect_failures++;
    pool->failures++;
    leat_pg_pool_log_trouble(pool, message);
    leat_pg_pool_want_connection(pool);
}

/* A connection that neither served nor lasted counts as a failed attempt: otherwise a server that
 * accepts connections only to drop them would be tried without a pause. */
static void count_loss(leat_pg_member *member, const char *message)
{
    LEAT_ASSERT(member->state == LEAT_MEMBER_CLOSED);
    leat_pg_pool *pool = member->pool;
    bool has_lasted = leat_standstill_now_us(pool->shared.standstill) - member->opened_us >=
                      LASTS_MS * 1000;
    pool->failures = member->has_served || has_lasted ? 0 : pool->failures + 1;
    if (!leat_pg_session_is_worn(member->session))
        leat_pg_pool_log_trouble(pool, message);
}

/* Where commits do not wait for the disk, what was acknowledged may be gone. May free the pool. */
static void doubt(leat_pg_pool *pool)
{
    if (pool->shared.commits_async && pool->usable > 0 && pool->events.doubted)
        pool->events.doubted(pool->events.context, pool->shared.shard);
}

/* After a crash the postmaster stays, so nothing else shows it, and the last commits that did not
 * wait for the disk are gone. A connection that went by itself may be the first sign of a crash.
 * One that has opened since is a session of the time after it, and for it the number of connections
 * need not reach 0. */
static void act_on_loss(leat_pg_member *member, const char *sqlstate)
{
    leat_pg_pool *pool = member->pool;
    if (leat_sqlstate_is_crash(sqlstate))
        leat_pg_pool_leave_server(pool, "the server has crashed and recovers");
    else if (!leat_pg_session_is_worn(member->session))
        doubt(pool);
}

static void connection_lost(leat_pg_member *member, const char *sqlstate, const char *message)
{
    leat_pg_pool *pool = member->pool;
    bool was_leaving = member->state == LEAT_MEMBER_LEAVING;
    enter(member, LEAT_MEMBER_CLOSED);
    if (!was_leaving)
        count_loss(member, message);
    LEAT_ASSERT(!leat_pg_session_is_open(member->session) ||
                leat_pg_session_is_over(member->session));
    if (leat_pg_session_is_over(member->session))
        leat_pg_pool_report(member);
    if (pool->freed || was_leaving)
        return;
    act_on_loss(member, sqlstate);
    if (pool->freed)
        return;
    leat_pg_pool_want_connection(pool);
    pool->events.slots(pool->events.context, pool->shared.shard, leat_pg_pool_slots(pool));
}

void leat_pg_pool_on_closed(void *context, const char *sqlstate, const char *message)
{
    LEAT_ASSERT(!((leat_pg_member *)context)->pool->freed);
    leat_pg_member *member = context;
    if (member->state == LEAT_MEMBER_CONNECTING)
        attempt_failed(member, message);
    else
        connection_lost(member, sqlstate, message);
}
