/*
 * pool_log.c - the pool's log lines. Trouble with connections comes in bursts from each of them,
 * and a claim that fails is tried again indefinitely: each line is logged when it is news, and the
 * same text at most once a minute (rate_limit.h). That a shard has no connection at all is always
 * logged.
 */
#include "sink/pg/pool_state.h"

#include <stdio.h>
#include <string.h>

#include "base/diag.h"

/* Without a connection for this long: logged, however often it was logged before. */
enum { LOG_NONE_MS = 2000 };

static void log_trouble_now(leat_pg_pool *pool)
{
    LEAT_ASSERT(pool->usable <= pool->member_count);
    pool->logged = pool->usable > 0 ? LOGGED_SOME : LOGGED_NONE;
    if (pool->logged == LOGGED_NONE)
        leat_warn("shard has no connection, tried until there is one shard=%s reason=\"%s\"",
                  pool->shard_name, pool->trouble);
    else
        leat_warn("shard has too few connections shard=%s open=%u wanted=%u reason=\"%s\"",
                  pool->shard_name, pool->usable, pool->allowed, pool->trouble);
}

/* Logs a trouble other than the last one, or the same one when the count of connections has changed
 * between some and none. A trouble that comes and goes (a session time limit of the server's) has
 * the same text each time, so it is logged once a minute. */
void leat_pg_pool_log_trouble(leat_pg_pool *pool, const char *message)
{
    char text[sizeof pool->trouble + 8];
    logged now = pool->usable > 0 ? LOGGED_SOME : LOGGED_NONE;
    leat_debug("connection not available shard=%s open=%u wanted=%u reason=\"%s\"",
               pool->shard_name, pool->usable, pool->allowed, message);
    bool is_same = now == pool->logged &&
                   strncmp(pool->trouble, message, sizeof pool->trouble - 1) == 0;
    snprintf(pool->trouble, sizeof pool->trouble, "%s", message);
    snprintf(text, sizeof text, "%d %s", now, pool->trouble);
    if (!is_same && leat_rate_limit_allows(&pool->rate_limit, uv_now(pool->shared.loop), text))
        log_trouble_now(pool);
}

/* That none is left is always logged, unless one comes back at once. */
void leat_pg_pool_log_none(leat_pg_pool *pool, int64_t now_us)
{
    LEAT_ASSERT(now_us >= pool->none_since_us);
    if (pool->usable > 0)
        pool->none_since_us = 0;
    else if (pool->none_since_us == 0)
        pool->none_since_us = now_us;
    else if (pool->logged != LOGGED_NONE && pool->trouble[0] &&
             now_us - pool->none_since_us >= LOG_NONE_MS * 1000)
        log_trouble_now(pool);
}

void leat_pg_pool_log_connected(leat_pg_pool *pool)
{
    LEAT_ASSERT(pool->usable > 0);
    if (pool->usable < pool->allowed || pool->logged == LOGGED_ALL)
        return;
    pool->logged = LOGGED_ALL;
    leat_info("shard is connected shard=%s open=%u", pool->shard_name, pool->usable);
}

void leat_pg_pool_log_failure(leat_pg_pool *pool, const leat_pg_member *member,
                              const leat_engine_job_result *result)
{
    leat_engine_job_kind kind = leat_pg_session_job_kind(member->session);
    bool is_isolation = result->outcome == LEAT_ENGINE_CONTENTION &&
                        strcmp(result->sqlstate, "LT003") == 0; /* logged already */
    if (is_isolation || !leat_sink_logs_failure(kind, result->outcome) ||
        !leat_rate_limit_allows(&pool->rate_limit, uv_now(pool->shared.loop), result->message))
        return;
    leat_err("%s fails and is tried again with back-off shard=%s partition=%u sqlstate=%s "
             "outcome=\"%s\" reason=\"%s\"",
             kind == LEAT_ENGINE_JOB_CLAIM ? "claim" : "compaction", pool->shard_name,
             leat_pg_session_job_partition(member->session),
             result->sqlstate[0] ? result->sqlstate : "none",
             leat_engine_outcome_name(result->outcome), result->message);
}

void leat_pg_pool_log_other_server(leat_pg_pool *pool)
{
    static const char message[] = "another server answers, or the server was restarted: its "
                                  "partitions are claimed again";
    pool->logged = LOGGED_NONE;
    if (leat_rate_limit_allows(&pool->rate_limit, uv_now(pool->shared.loop), message))
        leat_warn("%s shard=%s", message, pool->shard_name);
}

void leat_pg_pool_log_nameless(leat_pg_pool *pool)
{
    if (pool->has_logged_nameless)
        return;
    pool->has_logged_nameless = true;
    leat_warn("prepared statements do not last from one transaction to the next, so leat works "
              "without them, slower shard=%s advice=\"a pooler lends its server sessions: use "
              "PgBouncer 1.21 or later with max_prepared_statements above 0, or "
              "pool_mode=session\"",
              pool->shard_name);
}

void leat_pg_pool_log_silent(leat_pg_pool *pool, uint32_t due, int64_t silent_us, int64_t now_us)
{
    LEAT_ASSERT(silent_us >= 0);
    const char *where = leat_pg_conn_where(pool->members[0].conn);
    pool->logged_silent_us = now_us;
    const char *advice = pool->is_pooled
                             ? "check the pooler: it has no session free, or the server behind it "
                               "is stopped"
                             : "check server and network: the server is stopped, or the network "
                               "loses what is sent. If this lasts, all connections are recreated";
    leat_warn("shard answers neither statements nor a question shard=%s server=\"%s\" "
              "statements=%u silent_s=%lld advice=\"%s\"",
              pool->shard_name, where, due, (long long)(silent_us / 1000000), advice);
}
