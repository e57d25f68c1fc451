#include "sink/pg/pool_state.h"

#include <stdio.h>
#include <string.h>

#include "base/diag.h"

/* without a connection for so long: said, however often it was said before */
enum { TELL_NONE_MS = 2000 };

static void log_trouble_now(leat_pg_pool *pool)
{
    pool->said = pool->usable > 0 ? SAID_SOME : SAID_NONE;
    if (pool->said == SAID_NONE)
        leat_warn("shard %s: no connection, trying until there is one: %s", pool->shard_name,
                  pool->trouble);
    else
        leat_warn("shard %s: only %u of %u connections: %s", pool->shard_name, pool->usable,
                  pool->member_count, pool->trouble);
}

/* When it is another trouble than was said last, or about others. What comes and goes (a session
 * time limit of the server's) says the same again and again: once a minute. */
void leat_pg_pool_log_trouble(leat_pg_pool *pool, const char *message)
{
    char what[sizeof pool->trouble + 8];
    said now = pool->usable > 0 ? SAID_SOME : SAID_NONE;
    leat_debug("shard %s: %u of %u connections: %s", pool->shard_name, pool->usable,
               pool->member_count, message);
    bool is_same = now == pool->said &&
                   strncmp(pool->trouble, message, sizeof pool->trouble - 1) == 0;
    snprintf(pool->trouble, sizeof pool->trouble, "%s", message);
    snprintf(what, sizeof what, "%d %s", now, pool->trouble);
    if (!is_same && leat_rate_limit_allows(&pool->rate_limit, uv_now(pool->shared.loop), what))
        log_trouble_now(pool);
}

/* That none is left is said in any case, once it is no blink. */
void leat_pg_pool_log_none(leat_pg_pool *pool, int64_t now_us)
{
    if (pool->usable > 0)
        pool->none_since_us = 0;
    else if (pool->none_since_us == 0)
        pool->none_since_us = now_us;
    else if (pool->said != SAID_NONE && pool->trouble[0] &&
             now_us - pool->none_since_us >= TELL_NONE_MS * 1000)
        log_trouble_now(pool);
}

void leat_pg_pool_log_connected(leat_pg_pool *pool)
{
    if (pool->usable < pool->member_count || pool->said == SAID_ALL)
        return;
    pool->said = SAID_ALL;
    leat_info("shard %s: %u connection(s)", pool->shard_name, pool->usable);
}

static bool is_worth_logging(leat_engine_job_kind kind, leat_engine_outcome outcome)
{
    switch (outcome) {
    case LEAT_ENGINE_OUTAGE:
    case LEAT_ENGINE_BAD_DATA:
    case LEAT_ENGINE_NOT_YET:
    case LEAT_ENGINE_DRIFT:
    case LEAT_ENGINE_RECORD_ERROR:
    case LEAT_ENGINE_NOT_UNDERSTOOD:
        return true;
    case LEAT_ENGINE_CONTENTION: /* a claim has waited for long; a compaction comes again in any
                                    case */
        return kind == LEAT_ENGINE_JOB_CLAIM;
    default:
        return false;
    }
}

/* Of batches the engine tells. A claim or a compaction that fails is tried again without a word,
 * for ever: here is where somebody hears that a partition stands still. */
void leat_pg_pool_log_failure(leat_pg_pool *pool, const leat_pg_member *member,
                              const leat_engine_job_result *result)
{
    leat_engine_job_kind kind = leat_pg_session_job_kind(member->session);
    bool is_isolation = result->outcome == LEAT_ENGINE_CONTENTION &&
                        strcmp(result->sqlstate, "LT003") == 0; /* said already */
    if (kind == LEAT_ENGINE_JOB_BATCH || is_isolation || !is_worth_logging(kind, result->outcome) ||
        !leat_rate_limit_allows(&pool->rate_limit, uv_now(pool->shared.loop), result->message))
        return;
    leat_err(
        "shard %s: partition %u: the %s fails and is tried again with back-off: %s sqlstate=%s: %s",
        pool->shard_name, leat_pg_session_job_partition(member->session),
        kind == LEAT_ENGINE_JOB_CLAIM ? "claim" : "compaction",
        leat_engine_outcome_name(result->outcome), result->sqlstate[0] ? result->sqlstate : "none",
        result->message);
}

void leat_pg_pool_log_other_server(leat_pg_pool *pool)
{
    static const char message[] =
        "another server answers, or this one was started again: its partitions are claimed anew";
    pool->said = SAID_NONE;
    if (leat_rate_limit_allows(&pool->rate_limit, uv_now(pool->shared.loop), message))
        leat_warn("shard %s: %s", pool->shard_name, message);
}

void leat_pg_pool_log_nameless(leat_pg_pool *pool)
{
    if (pool->has_said_nameless)
        return;
    pool->has_said_nameless = true;
    leat_warn(
        "shard %s: prepared statements do not last from one transaction to the next here, so leat works without them,"
        " slower: a pooler lends its server sessions. Use PgBouncer 1.21 or later with max_prepared_statements above"
        " 0, or pool_mode=session",
        pool->shard_name);
}

void leat_pg_pool_log_silent(leat_pg_pool *pool, uint32_t due, int64_t silent_us, int64_t now_us)
{
    const char *where = leat_pg_conn_where(pool->members[0].conn);
    pool->told_silent_us = now_us;
    if (pool->is_pooled)
        leat_warn(
            "shard %s: %s has answered nothing for %lld s, neither the %u statement(s) under way nor a question: the pooler "
            "has no session free, or the server behind it is stopped",
            pool->shard_name, where, (long long)(silent_us / 1000000), due);
    else
        leat_warn(
            "shard %s: %s has answered nothing for %lld s, neither the %u statement(s) under way nor a question: the server "
            "is stopped, or the network loses what is sent. If that lasts, all connections are made anew",
            pool->shard_name, where, (long long)(silent_us / 1000000), due);
}
