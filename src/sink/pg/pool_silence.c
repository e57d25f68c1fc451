/*
 * pool_silence.c - tells a server that is slow from one that no longer answers. Both look the same
 * on a connection that waits, so a question is sent on another one: an idle one, or the probe,
 * which exists for that only. Only a server that does not answer such a question either is logged
 * and, except behind a pooler, given up.
 */
#include "sink/pg/pool_state.h"

#include "base/diag.h"
#include "base/rate_limit.h"

enum {
    SERVER_SILENT_MS = 5000,
    ASK_SILENT_MS = 2000,     /* an answer is due and nothing has come: a question is sent */
    PROBE_SILENT_MS = 4000,   /* later when it costs a connection: statements may just be slow */
    LOG_UNANSWERED_MS = 2000, /* after this long without an answer to the question either */
    LEAVE_UNANSWERED_MS = 8000,
};

/* ---- which server, when nothing else shows it ---- */

/* The idle member whose last answer is the oldest, so that each has its turn. One that is still
 * asking stays free for jobs, but asking on it again is useless. */
static leat_pg_member *find_silent(leat_pg_pool *pool)
{
    leat_pg_member *found = NULL;
    for (uint32_t i = 0; i < pool->member_count; i++) {
        leat_pg_member *member = &pool->members[i];
        if (leat_pg_pool_is_free(member) && !leat_pg_conn_is_asking(member->conn) &&
            (!found || leat_pg_conn_heard_us(member->conn) < leat_pg_conn_heard_us(found->conn)))
            found = member;
    }
    return found;
}

void leat_pg_pool_ask_which_server(leat_pg_pool *pool)
{
    LEAT_ASSERT(!pool->freed);
    uint64_t now_ms = uv_now(pool->shared.loop);
    leat_pg_member *member = now_ms - pool->heard_ms >= SERVER_SILENT_MS ? find_silent(pool) : NULL;
    if (!member)
        return;
    pool->heard_ms = now_ms;
    leat_pg_conn_ask(member->conn);
}

/* ---- the probe ---- */

/* The probe only needs an answer: the server is slow, or another one has taken its place. */
static void on_probe_opened(void *context)
{
    LEAT_ASSERT(!((leat_pg_pool *)context)->freed);
    leat_pg_pool *pool = context;
    leat_pg_conn_break(pool->probe, "it has answered");
    leat_pg_pool_check_server(pool, leat_pg_conn_server(pool->probe));
}

static void on_probe_closed(void *context, const char *sqlstate, const char *message)
{
    (void)sqlstate;
    leat_pg_pool *pool = context;
    leat_debug("probe connection ended shard=%s reason=\"%s\"", pool->shard_name, message);
}

static void on_probe_wake(void *context)
{
    leat_pg_pool_want_turn(context);
}

static void on_probe_freed(void *context)
{
    leat_pg_pool_forget_handle(context);
}

void leat_pg_pool_make_probe(leat_pg_pool *pool)
{
    LEAT_ASSERT(!pool->probe);
    leat_pg_conn_events events = {.context = pool,
                                  .opened = on_probe_opened,
                                  .closed = on_probe_closed,
                                  .wake = on_probe_wake,
                                  .freed = on_probe_freed};
    pool->probe = leat_pg_conn_new(pool->shared.loop, pool->shared.dsn, pool->shared.standstill,
                                   pool->shared.silence_ms, &events);
}

/* ---- silence ---- */

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How many answers are due, and since when the first one is. */
static uint32_t count_due(const leat_pg_pool *pool, int64_t *ret_since_us)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pool->member_count; i++) {
        int64_t since_us = leat_pg_conn_waits_since_us(pool->members[i].conn);
        if (since_us == 0)
            continue;
        *ret_since_us = count == 0 || since_us < *ret_since_us ? since_us : *ret_since_us;
        count++;
    }
    LEAT_ASSERT(count == 0 || *ret_since_us > 0);
    return count;
}

static int64_t last_heard_us(const leat_pg_pool *pool)
{
    int64_t heard_us = leat_pg_conn_heard_us(pool->probe);
    for (uint32_t i = 0; i < pool->member_count; i++)
        heard_us = later_of(heard_us, leat_pg_conn_heard_us(pool->members[i].conn));
    return heard_us;
}

static bool is_questioned(const leat_pg_pool *pool)
{
    bool is_asking = !leat_pg_conn_is_closed(pool->probe);
    for (uint32_t i = 0; i < pool->member_count; i++)
        is_asking = is_asking || leat_pg_conn_is_asking(pool->members[i].conn);
    return is_asking;
}

static void ask_or_probe(leat_pg_pool *pool, int64_t silent_us, int64_t now_us)
{
    LEAT_ASSERT(pool->usable > 0);
    leat_pg_member *member = find_silent(pool);
    if (is_questioned(pool)) {
        pool->questioned_us = pool->questioned_us > 0 ? pool->questioned_us : now_us;
        return;
    }
    if (member)
        leat_pg_conn_ask(member->conn);
    else if (silent_us >= PROBE_SILENT_MS * 1000)
        leat_pg_conn_open(pool->probe);
}

static void end_silence(leat_pg_pool *pool, int64_t now_us)
{
    LEAT_ASSERT(pool->silent_since_us > 0 && now_us >= pool->silent_since_us);
    if (pool->logged_silent_us > 0)
        leat_info("shard answers again shard=%s silent_s=%lld", pool->shard_name,
                  (long long)((now_us - pool->silent_since_us) / 1000000));
    pool->silent_since_us = pool->questioned_us = pool->logged_silent_us = 0;
    pool->shared.counters.silent_ms = 0;
}

/* May free the pool. */
static void act_on_silence(leat_pg_pool *pool, uint32_t due, int64_t now_us)
{
    LEAT_ASSERT(pool->silent_since_us > 0 && now_us >= pool->silent_since_us);
    int64_t silent_us = now_us - pool->silent_since_us;
    if (silent_us >= ASK_SILENT_MS * 1000 && pool->usable > 0)
        ask_or_probe(pool, silent_us, now_us);
    int64_t unanswered_us = pool->questioned_us > 0 ? now_us - pool->questioned_us : 0;
    if (unanswered_us >= LOG_UNANSWERED_MS * 1000 &&
        leat_rate_limit_is_due(pool->logged_silent_us, now_us))
        leat_pg_pool_log_silent(pool, due, silent_us, now_us);
    pool->shared.counters.silent_ms = pool->logged_silent_us > 0 ? (uint64_t)(silent_us / 1000) : 0;
    if (unanswered_us < LEAVE_UNANSWERED_MS * 1000 || pool->is_pooled || pool->usable == 0)
        return;
    leat_pg_pool_leave_server(pool, "the server has stopped answering");
    if (!pool->freed)
        leat_pg_pool_want_connection(pool);
}

/* A logged silence lasts until an answer comes, even while there is no connection on which an
 * answer could be due. */
void leat_pg_pool_watch_silence(leat_pg_pool *pool, int64_t now_us)
{
    LEAT_ASSERT(!pool->freed);
    int64_t since_us = 0, heard_us = last_heard_us(pool);
    uint32_t due = count_due(pool, &since_us);
    if (pool->silent_since_us > 0 &&
        (heard_us > pool->silent_since_us || (due == 0 && pool->logged_silent_us == 0)))
        end_silence(pool, now_us);
    if (due > 0 && pool->silent_since_us == 0)
        pool->silent_since_us = later_of(since_us, heard_us);
    if (pool->silent_since_us > 0)
        act_on_silence(pool, due, now_us);
}
