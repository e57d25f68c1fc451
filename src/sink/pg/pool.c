/*
 * The PostgreSQL sink: a few connections that are opened one after another and again for ever, and
 * jobs handed to whichever is free.
 *
 * All usable connections are of one server. A failover may lose commits that had been acknowledged,
 * and who counts on them finds out by claiming anew, which it does when there are connections again
 * after there were none. Behind a proxy that need never be: connections move to the promoted server
 * one by one, and a pooler even keeps ours and changes its own. So each new connection, each job,
 * and after SERVER_SILENT_MS without either a question of its own says which server answers; when
 * it is another, all open connections are ended, and 0 is reported, before anything else counts.
 *
 * A server that takes what it is sent and says nothing (its processes are stopped, a network
 * swallows) looks like one with slow statements. A question on another connection tells them apart:
 * on an idle one, else on one made for it. When that is not answered either, somebody is told, and
 * then all connections are made anew, with what is due on them unknown. Behind a pooler the
 * question may wait for a session like all else, so there somebody is only told.
 *
 * Limit: a server that loses commits and goes on under the same postmaster (a machine set back to a
 * snapshot of its memory) is not seen to be another.
 */
#include "sink/sink_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/diag.h"
#include "base/rate_limit.h"
#include "sink/pg/conn.h"
#include "sink/pg/session.h"

enum {
    TICK_MS = 1000,
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 5000,
    LASTS_MS = 1000,
    LOCK_ANSWER_MS = 30000, /* a job's time limit is that much longer than its wait for a lock: else
                               no wait would end by itself */
    SERVER_SILENT_MS = 5000,
    NAMELESS_MS = 600000,   /* a pooler may have been set up otherwise meanwhile */
    HANDLE_COUNT = 3,       /* tick, retry, turn */
    ASK_SILENT_MS = 2000,   /* nothing has come for so long, though it is due: a question tells slow
                               from dead */
    PROBE_SILENT_MS = 4000, /* it costs a connection when none is idle: slow statements are no
                               reason to hurry */
    TELL_UNANSWERED_MS = 2000, /* so long it had no answer either */
    LEAVE_UNANSWERED_MS = 8000,
    TELL_AGAIN_MS = 60000,
    /* without a connection for so long: said, however often it was said before */
    TELL_NONE_MS = 2000,
};

/* What was last said of the connections, so that each change is said once. */
typedef enum said { SAID_NOTHING, SAID_ALL, SAID_SOME, SAID_NONE } said;

typedef struct pg_sink pg_sink;

typedef struct pool_member {
    pg_sink *sink;
    leat_pg_conn *conn;
    leat_pg_session *session;
    bool has_served; /* a job was answered on this connection */
    int64_t opened_us;
    leat_engine_job_kind job_kind; /* of the last job */
    uint32_t job_partition;
} pool_member;

struct pg_sink {
    leat_sink base;
    uv_loop_t *loop;
    leat_standstill *standstill;
    int64_t silence_ms; /* a job's time limit */
    leat_sink_events events;
    leat_pg_shared shared;
    leat_pg_dsn *dsn;
    char *shard_name;
    uint32_t shard;
    leat_prng prng;

    uint32_t member_count;
    pool_member *members;
    uint32_t usable;
    pool_member *connecting; /* one at a time: a database that comes back is not stormed */
    uint32_t failures;       /* in a row */
    said said;
    char trouble[512];     /* of the connections, last */
    int64_t none_since_us; /* no usable connection; 0: there is one */
    leat_rate_limit rate_limit;

    leat_pg_conn *probe; /* opened when a question is needed and no connection is idle; for nothing
                            else */
    bool is_pooled;
    int64_t silent_since_us; /* 0: it answers, or owes no answer */
    int64_t questioned_us;   /* since when a question has been waiting too; 0: none has */
    int64_t told_silent_us;  /* 0: not told */

    bool knows_server;
    leat_pg_server server; /* of the connections that are usable or were so last */
    uint64_t heard_ms;     /* when it said so last, or was asked */
    uint64_t nameless_ms;  /* since when no names are used; 0: they are */
    bool has_said_nameless;
    bool is_leaving; /* the connections of another server are being ended: that is reported once, as
                        a whole */

    uint32_t orphan_count;
    uint32_t *orphans; /* jobs that found their connection gone: the loss was not reported yet */

    uv_timer_t tick;
    uv_timer_t retry;
    uv_idle_t turn; /* runs once when something is to be reported outside of a call */
    bool freed;
    uint32_t open_handles; /* of the sink and of its connections */
};

/* ---- telling ---- */

static void say_trouble_now(pg_sink *sink)
{
    sink->said = sink->usable > 0 ? SAID_SOME : SAID_NONE;
    if (sink->said == SAID_NONE)
        leat_warn("shard %s: no connection, trying until there is one: %s", sink->shard_name,
                  sink->trouble);
    else
        leat_warn("shard %s: only %u of %u connections: %s", sink->shard_name, sink->usable,
                  sink->member_count, sink->trouble);
}

/* When it is another trouble than was said last, or about others. What comes and goes (a session
 * time limit of the server's) says the same again and again: once a minute. */
static void say_trouble(pg_sink *sink, const char *message)
{
    char what[sizeof sink->trouble + 8];
    said now = sink->usable > 0 ? SAID_SOME : SAID_NONE;
    leat_debug("shard %s: %u of %u connections: %s", sink->shard_name, sink->usable,
               sink->member_count, message);
    bool is_same = now == sink->said &&
                   strncmp(sink->trouble, message, sizeof sink->trouble - 1) == 0;
    snprintf(sink->trouble, sizeof sink->trouble, "%s", message);
    snprintf(what, sizeof what, "%d %s", now, sink->trouble);
    if (!is_same && leat_rate_limit_allows(&sink->rate_limit, uv_now(sink->loop), what))
        say_trouble_now(sink);
}

/* That none is left is said in any case, once it is no blink. */
static void say_none(pg_sink *sink, int64_t now_us)
{
    if (sink->usable > 0)
        sink->none_since_us = 0;
    else if (sink->none_since_us == 0)
        sink->none_since_us = now_us;
    else if (sink->said != SAID_NONE && sink->trouble[0] &&
             now_us - sink->none_since_us >= TELL_NONE_MS * 1000)
        say_trouble_now(sink);
}

static void say_connected(pg_sink *sink)
{
    if (sink->usable < sink->member_count || sink->said == SAID_ALL)
        return;
    sink->said = SAID_ALL;
    leat_info("shard %s: %u connection(s)", sink->shard_name, sink->usable);
}

static bool is_worth_saying(leat_engine_job_kind kind, leat_engine_outcome outcome)
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
static void say_failure(pg_sink *sink, const pool_member *member,
                        const leat_engine_job_result *result)
{
    leat_engine_job_kind kind = member->job_kind;
    bool is_isolation = result->outcome == LEAT_ENGINE_CONTENTION &&
                        strcmp(result->sqlstate, "LT003") == 0; /* said already */
    if (kind == LEAT_ENGINE_JOB_BATCH || is_isolation || !is_worth_saying(kind, result->outcome) ||
        !leat_rate_limit_allows(&sink->rate_limit, uv_now(sink->loop), result->message))
        return;
    leat_err(
        "shard %s: partition %u: the %s fails and is tried again with back-off: %s sqlstate=%s: %s",
        sink->shard_name, member->job_partition,
        kind == LEAT_ENGINE_JOB_CLAIM ? "claim" : "compaction",
        leat_engine_outcome_name(result->outcome), result->sqlstate[0] ? result->sqlstate : "none",
        result->message);
}

static void say_other_server(pg_sink *sink)
{
    static const char message[] =
        "another server answers, or this one was started again: its partitions are claimed anew";
    sink->said = SAID_NONE;
    if (leat_rate_limit_allows(&sink->rate_limit, uv_now(sink->loop), message))
        leat_warn("shard %s: %s", sink->shard_name, message);
}

static void say_nameless(pg_sink *sink)
{
    if (sink->has_said_nameless)
        return;
    sink->has_said_nameless = true;
    leat_warn(
        "shard %s: prepared statements do not last from one transaction to the next here, so leat works without them,"
        " slower: a pooler lends its server sessions. Use PgBouncer 1.21 or later with max_prepared_statements above"
        " 0, or pool_mode=session",
        sink->shard_name);
}

static void on_turn(uv_idle_t *turn);
static void forget_handle(pg_sink *sink);

static void want_turn(pg_sink *sink)
{
    if (!sink->freed)
        uv_idle_start(&sink->turn, on_turn);
}

/* Names are tried again now and then, and when the pooler may be another. */
static void use_names(pg_sink *sink)
{
    sink->shared.is_nameless = false;
    sink->nameless_ms = 0;
}

static void note_nameless(pg_sink *sink)
{
    if (!sink->shared.is_nameless || sink->nameless_ms > 0)
        return;
    sink->nameless_ms = uv_now(sink->loop);
    say_nameless(sink);
}

/* Hands the result over. The session is free before, since the answer may be the next job. */
static void report(pool_member *member)
{
    pg_sink *sink = member->sink;
    leat_engine_job_result result;
    note_nameless(sink);
    if (leat_pg_session_is_unusable(member->session))
        leat_pg_conn_break(member->conn, "the server does not take writes");
    else if (leat_pg_session_is_worn(member->session))
        leat_pg_conn_break(member->conn,
                           "it has prepared many statements: another takes its place");
    uint32_t job_id = leat_pg_session_take(member->session, &result);
    member->has_served = member->has_served || result.outcome != LEAT_ENGINE_UNKNOWN;
    say_failure(sink, member, &result);
    sink->events.done(sink->events.context, job_id, &result);
}

/* ---- connecting ---- */

static void on_retry(uv_timer_t *timer)
{
    pg_sink *sink = timer->data;
    for (uint32_t i = 0; i < sink->member_count && !sink->connecting; i++) {
        if (!leat_pg_conn_is_closed(sink->members[i].conn))
            continue;
        sink->connecting = &sink->members[i];
        leat_pg_conn_open(sink->connecting->conn);
    }
}

static uint64_t retry_delay_ms(pg_sink *sink)
{
    if (sink->failures == 0)
        return 0;
    return (uint64_t)leat_backoff(&sink->prng, sink->failures, RETRY_MIN_MS, RETRY_MAX_MS);
}

static void want_connection(pg_sink *sink)
{
    if (sink->freed || sink->connecting || uv_is_active((uv_handle_t *)&sink->retry))
        return;
    if (sink->usable < sink->member_count)
        uv_timer_start(&sink->retry, on_retry, retry_delay_ms(sink), 0);
}

static void end_open_connections(pg_sink *sink, const char *message)
{
    sink->is_leaving = true;
    /* None of them is ready any more when the first job is reported: its answer may be the next
     * job. */
    for (uint32_t i = 0; i < sink->member_count; i++)
        if (&sink->members[i] != sink->connecting)
            leat_pg_conn_break(sink->members[i].conn, message);
    for (uint32_t i = 0; i < sink->member_count && !sink->freed; i++)
        if (&sink->members[i] != sink->connecting)
            leat_pg_conn_settle(sink->members[i].conn);
    sink->is_leaving = false;
}

/* Reports that there is no connection, though one waits to be reported. May free the sink. */
static void leave_server(pg_sink *sink, const char *message)
{
    if (sink->usable == 0)
        return;
    end_open_connections(sink, message);
    if (sink->freed)
        return;
    LEAT_ASSERT(sink->usable == 0);
    sink->failures++; /* a proxy that leads to several servers in turn is not tried without pause */
    sink->events.slots(sink->events.context, sink->shard, 0);
}

/* A server has said that it is `server`. When it is another than before, the connections that are
 * open are ended. May free the sink. */
static void note_server(pg_sink *sink, const leat_pg_server *server)
{
    bool is_other = sink->knows_server && !leat_pg_server_equal(&sink->server, server);
    sink->knows_server = true;
    sink->server = *server;
    sink->heard_ms = uv_now(sink->loop);
    if (!is_other)
        return;
    say_other_server(sink);
    leave_server(sink, "another server answers");
}

static void on_opened(void *context)
{
    pool_member *member = context;
    pg_sink *sink = member->sink;
    LEAT_ASSERT(sink->connecting == member);
    note_server(sink, leat_pg_conn_server(member->conn));
    if (sink->freed)
        return;
    if (sink->usable == 0)
        use_names(sink);
    sink->connecting = NULL;
    sink->is_pooled = leat_pg_conn_is_pooled(member->conn);
    sink->usable++;
    sink->shared.counters.connects++;
    member->has_served = false;
    member->opened_us = leat_standstill_now_us(sink->standstill);
    leat_pg_session_begin(member->session);
    say_connected(sink);
    want_connection(sink);
    sink->events.slots(sink->events.context, sink->shard, sink->usable);
}

/* What open connections say. Their jobs are reported as they went: they were checked on the server
 * that did them. */
static void note_server_of_open(pg_sink *sink, const leat_pg_server *server)
{
    note_server(sink, server);
    if (!sink->freed)
        want_connection(sink);
}

static void attempt_failed(pg_sink *sink, const char *message)
{
    sink->connecting = NULL;
    sink->shared.counters.connect_failures++;
    sink->failures++;
    say_trouble(sink, message);
    want_connection(sink);
}

/* A connection that never served, nor lasted, counts as a failed attempt: else a server that takes
 * connections only to drop them would be tried without pause. */
static void connection_lost(pool_member *member, const char *message)
{
    pg_sink *sink = member->sink;
    bool has_lasted = leat_standstill_now_us(sink->standstill) - member->opened_us >=
                      LASTS_MS * 1000;
    sink->usable--;
    if (!sink->is_leaving) {
        sink->failures = member->has_served || has_lasted ? 0 : sink->failures + 1;
        if (!leat_pg_session_is_worn(member->session))
            say_trouble(sink, message);
    }
    leat_pg_session_lost(member->session, message);
    if (leat_pg_session_is_over(member->session))
        report(member);
    if (sink->freed || sink->is_leaving)
        return;
    want_connection(sink);
    sink->events.slots(sink->events.context, sink->shard, sink->usable);
}

static void on_closed(void *context, const char *message)
{
    pool_member *member = context;
    if (member->sink->connecting == member)
        attempt_failed(member->sink, message);
    else
        connection_lost(member, message);
}

/* ---- jobs ---- */

static void on_result(void *context, const PGresult *result)
{
    pool_member *member = context;
    leat_pg_session_result(member->session, result);
}

static void on_drained(void *context)
{
    pool_member *member = context;
    leat_pg_session_drained(member->session, member->conn);
    if (!leat_pg_session_is_over(member->session))
        return;
    member->sink->failures = 0;
    const leat_pg_server *server = leat_pg_session_server(member->session);
    if (server)
        note_server_of_open(member->sink, server);
    if (!member->sink->freed && leat_pg_session_is_over(member->session))
        report(member);
}

static void on_told(void *context)
{
    pool_member *member = context;
    note_server_of_open(member->sink, leat_pg_conn_server(member->conn));
}

/* It has answered, and that is all it is for: the server is slow, or it is another one that has
 * taken its place. */
static void on_probe_opened(void *context)
{
    pg_sink *sink = context;
    leat_pg_conn_break(sink->probe, "it has answered");
    note_server_of_open(sink, leat_pg_conn_server(sink->probe));
}

static void on_probe_closed(void *context, const char *message)
{
    pg_sink *sink = context;
    leat_debug("shard %s: the question: %s", sink->shard_name, message);
}

static void on_probe_wake(void *context)
{
    want_turn(context);
}

static void on_probe_freed(void *context)
{
    forget_handle(context);
}

static void on_wake(void *context)
{
    pool_member *member = context;
    want_turn(member->sink);
}

static bool is_free(const pool_member *member)
{
    return member != member->sink->connecting && leat_pg_conn_is_ready(member->conn) &&
           !leat_pg_session_is_open(member->session);
}

static pool_member *find_free(pg_sink *sink)
{
    for (uint32_t i = 0; i < sink->member_count; i++)
        if (is_free(&sink->members[i]))
            return &sink->members[i];
    return NULL;
}

static void submit(leat_sink *base, const leat_engine_job *job)
{
    pg_sink *sink = (pg_sink *)base;
    LEAT_ASSERT(!sink->freed && job->kind != LEAT_ENGINE_JOB_NONE);
    pool_member *member = find_free(sink);
    if (!member) {
        LEAT_ASSERT(sink->orphan_count < sink->member_count); /* else more jobs are open than
                                                                 `usable` allowed */
        sink->orphans[sink->orphan_count++] = job->id;
        want_turn(sink);
        return;
    }
    member->job_kind = job->kind;
    member->job_partition = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                                 : job->partition;
    leat_pg_session_start(member->session, member->conn, job);
    if (leat_pg_session_is_over(member->session))
        want_turn(sink);
}

/* Nothing of them was sent, so they have failed for certain. */
static void report_orphans(pg_sink *sink)
{
    while (sink->orphan_count > 0 && !sink->freed) {
        leat_engine_job_result result = {
            .outcome = LEAT_ENGINE_OUTAGE,
            .bad_record = -1,
            .partition = -1,
            .catalog_read_us = INT64_MAX,
            .message = "the connection was lost before the job was sent"};
        sink->events.done(sink->events.context, sink->orphans[--sink->orphan_count], &result);
    }
}

static void on_turn(uv_idle_t *turn)
{
    pg_sink *sink = turn->data;
    uv_idle_stop(turn);
    for (uint32_t i = 0; i < sink->member_count && !sink->freed; i++) {
        pool_member *member = &sink->members[i];
        leat_pg_conn_settle(member->conn);
        if (!sink->freed && leat_pg_session_is_over(member->session))
            report(member);
    }
    if (!sink->freed)
        leat_pg_conn_settle(sink->probe);
    report_orphans(sink);
}

/* The idle one that was heard longest ago, so that each has its turn. One that is still asking
 * stays free for jobs, but it is no use to ask it once more. */
static pool_member *find_silent(pg_sink *sink)
{
    pool_member *found = NULL;
    for (uint32_t i = 0; i < sink->member_count; i++) {
        pool_member *member = &sink->members[i];
        if (is_free(member) && !leat_pg_conn_is_asking(member->conn) &&
            (!found || leat_pg_conn_heard_us(member->conn) < leat_pg_conn_heard_us(found->conn)))
            found = member;
    }
    return found;
}

static void ask_which_server(pg_sink *sink)
{
    uint64_t now_ms = uv_now(sink->loop);
    pool_member *member = now_ms - sink->heard_ms >= SERVER_SILENT_MS ? find_silent(sink) : NULL;
    if (!member)
        return;
    sink->heard_ms = now_ms;
    leat_pg_conn_ask(member->conn);
}

/* ---- silence ---- */

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Answers that are due; since when the first of them is. */
static uint32_t count_due(const pg_sink *sink, int64_t *ret_since_us)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sink->member_count; i++) {
        int64_t since_us = leat_pg_conn_waits_since_us(sink->members[i].conn);
        if (since_us == 0)
            continue;
        *ret_since_us = count == 0 || since_us < *ret_since_us ? since_us : *ret_since_us;
        count++;
    }
    return count;
}

static int64_t last_heard_us(const pg_sink *sink)
{
    int64_t heard_us = leat_pg_conn_heard_us(sink->probe);
    for (uint32_t i = 0; i < sink->member_count; i++)
        heard_us = later_of(heard_us, leat_pg_conn_heard_us(sink->members[i].conn));
    return heard_us;
}

static bool is_questioned(const pg_sink *sink)
{
    bool is_asking = !leat_pg_conn_is_closed(sink->probe);
    for (uint32_t i = 0; i < sink->member_count; i++)
        is_asking = is_asking || leat_pg_conn_is_asking(sink->members[i].conn);
    return is_asking;
}

static void question(pg_sink *sink, int64_t silent_us, int64_t now_us)
{
    pool_member *member = find_silent(sink);
    if (is_questioned(sink)) {
        sink->questioned_us = sink->questioned_us > 0 ? sink->questioned_us : now_us;
        return;
    }
    if (member)
        leat_pg_conn_ask(member->conn);
    else if (silent_us >= PROBE_SILENT_MS * 1000)
        leat_pg_conn_open(sink->probe);
}

static void tell_silent(pg_sink *sink, uint32_t due, int64_t silent_us, int64_t now_us)
{
    const char *where = leat_pg_conn_where(sink->members[0].conn);
    sink->told_silent_us = now_us;
    if (sink->is_pooled)
        leat_warn(
            "shard %s: %s has answered nothing for %lld s, neither the %u statement(s) under way nor a question: the pooler "
            "has no session free, or the server behind it is stopped",
            sink->shard_name, where, (long long)(silent_us / 1000000), due);
    else
        leat_warn(
            "shard %s: %s has answered nothing for %lld s, neither the %u statement(s) under way nor a question: the server "
            "is stopped, or the network loses what is sent. If that lasts, all connections are made anew",
            sink->shard_name, where, (long long)(silent_us / 1000000), due);
}

static void end_silence(pg_sink *sink, int64_t now_us)
{
    if (sink->told_silent_us > 0)
        leat_info("shard %s: answers again after %lld s", sink->shard_name,
                  (long long)((now_us - sink->silent_since_us) / 1000000));
    sink->silent_since_us = sink->questioned_us = sink->told_silent_us = 0;
    sink->shared.counters.silent_ms = 0;
}

/* May free the sink. */
static void act_on_silence(pg_sink *sink, uint32_t due, int64_t now_us)
{
    int64_t silent_us = now_us - sink->silent_since_us;
    if (silent_us >= ASK_SILENT_MS * 1000 && sink->usable > 0)
        question(sink, silent_us, now_us);
    int64_t unanswered_us = sink->questioned_us > 0 ? now_us - sink->questioned_us : 0;
    if (unanswered_us >= TELL_UNANSWERED_MS * 1000 &&
        (sink->told_silent_us == 0 || now_us - sink->told_silent_us >= TELL_AGAIN_MS * 1000))
        tell_silent(sink, due, silent_us, now_us);
    sink->shared.counters.silent_ms = sink->told_silent_us > 0 ? (uint64_t)(silent_us / 1000) : 0;
    if (unanswered_us < LEAVE_UNANSWERED_MS * 1000 || sink->is_pooled || sink->usable == 0)
        return;
    leave_server(sink, "the server has stopped answering");
    if (!sink->freed)
        want_connection(sink);
}

/* Once told, it lasts until something is heard, also while there is no connection on which an
 * answer could be due. */
static void watch_silence(pg_sink *sink, int64_t now_us)
{
    int64_t since_us = 0, heard_us = last_heard_us(sink);
    uint32_t due = count_due(sink, &since_us);
    if (sink->silent_since_us > 0 &&
        (heard_us > sink->silent_since_us || (due == 0 && sink->told_silent_us == 0)))
        end_silence(sink, now_us);
    if (due > 0 && sink->silent_since_us == 0)
        sink->silent_since_us = later_of(since_us, heard_us);
    if (sink->silent_since_us > 0)
        act_on_silence(sink, due, now_us);
}

static void on_tick(uv_timer_t *timer)
{
    pg_sink *sink = timer->data;
    int64_t now_us = leat_standstill_now_us(sink->standstill);
    for (uint32_t i = 0; i < sink->member_count && !sink->freed; i++)
        leat_pg_conn_tick(sink->members[i].conn);
    if (!sink->freed)
        leat_pg_conn_tick(sink->probe);
    if (!sink->freed)
        watch_silence(sink, now_us);
    if (sink->freed)
        return;
    say_none(sink, now_us);
    if (sink->nameless_ms > 0 && uv_now(sink->loop) - sink->nameless_ms >= NAMELESS_MS)
        use_names(sink);
    ask_which_server(sink);
}

static const leat_sink_counters *count(const leat_sink *base)
{
    const pg_sink *sink = (const pg_sink *)base;
    return &sink->shared.counters;
}

/* ---- life ---- */

static void release(pg_sink *sink)
{
    for (uint32_t i = 0; i < sink->member_count; i++)
        leat_pg_session_free(sink->members[i].session);
    leat_shapes_drop(sink->shared.shapes);
    leat_rows_free(sink->shared.rows);
    leat_pg_dsn_free(sink->dsn);
    free(sink->shard_name);
    free(sink->members);
    free(sink->orphans);
    free(sink);
}

static void forget_handle(pg_sink *sink)
{
    if (--sink->open_handles == 0)
        release(sink);
}

static void on_freed(void *context)
{
    pool_member *member = context;
    forget_handle(member->sink);
}

static void on_handle_closed(uv_handle_t *handle)
{
    forget_handle(handle->data);
}

static void free_sink(leat_sink *base)
{
    pg_sink *sink = (pg_sink *)base;
    LEAT_ASSERT(!sink->freed);
    sink->freed = true;
    uv_close((uv_handle_t *)&sink->tick, on_handle_closed);
    uv_close((uv_handle_t *)&sink->retry, on_handle_closed);
    uv_close((uv_handle_t *)&sink->turn, on_handle_closed);
    for (uint32_t i = 0; i < sink->member_count; i++)
        leat_pg_conn_free(sink->members[i].conn);
    leat_pg_conn_free(sink->probe);
}

static void make_members(pg_sink *sink)
{
    sink->members = leat_must_calloc(sink->member_count, sizeof *sink->members);
    sink->orphans = leat_must_calloc(sink->member_count, sizeof *sink->orphans);
    for (uint32_t i = 0; i < sink->member_count; i++) {
        pool_member *member = &sink->members[i];
        leat_pg_conn_events events = {member,  on_opened,  on_closed, on_result,
                                      on_told, on_drained, on_wake,   on_freed};
        member->sink = sink;
        member->conn =
            leat_pg_conn_new(sink->loop, sink->dsn, sink->standstill, sink->silence_ms, &events);
        member->session = leat_pg_session_new(&sink->shared);
    }
    leat_pg_conn_events events = {.context = sink,
                                  .opened = on_probe_opened,
                                  .closed = on_probe_closed,
                                  .wake = on_probe_wake,
                                  .freed = on_probe_freed};
    sink->probe =
        leat_pg_conn_new(sink->loop, sink->dsn, sink->standstill, sink->silence_ms, &events);
}

static void start_handles(pg_sink *sink)
{
    uv_timer_init(sink->loop, &sink->tick);
    uv_timer_init(sink->loop, &sink->retry);
    uv_idle_init(sink->loop, &sink->turn);
    sink->tick.data = sink;
    sink->retry.data = sink;
    sink->turn.data = sink;
    sink->open_handles = HANDLE_COUNT + sink->member_count + 1;
    uv_timer_start(&sink->tick, on_tick, TICK_MS, TICK_MS);
    want_connection(sink);
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
    pg_sink *sink = leat_must_calloc(1, sizeof *sink);
    sink->base.ops = &leat_pg_sink;
    sink->loop = loop;
    sink->standstill = config->standstill;
    sink->silence_ms = LEAT_PG_SILENCE_MS;
    if (sink->silence_ms < config->lock_timeout_ms + LOCK_ANSWER_MS)
        sink->silence_ms = config->lock_timeout_ms + LOCK_ANSWER_MS;
    sink->events = *events;
    sink->dsn = dsn;
    sink->shard_name = leat_must_strdup(config->shard_name);
    sink->shard = config->shard;
    sink->prng.state = config->seed;
    sink->member_count = config->connections;
    sink->shared.shard_name = sink->shard_name;
    sink->shared.source_id = config->source_id;
    sink->shared.lock_timeout_ms = config->lock_timeout_ms;
    sink->shared.schema_versions = config->schema_versions;
    sink->shared.shard = config->shard;
    sink->shared.rows = rows;
    make_members(sink);
    start_handles(sink);
    return &sink->base;
}

const leat_sink_ops leat_pg_sink = {
    .open = open_sink, .submit = submit, .count = count, .free = free_sink};
