/*
 * session.c - a session's states, the events of its connection and the end of a job. A job is over
 * only with the answer to its Sync or with its connection: a commit whose answer is lost may have
 * happened, so such a job is reported as unknown even when an error came before it. The pool is
 * called once for each job, when it is over.
 */
#include "sink/pg/session_state.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/states.h"

/* Which states may follow which. A batch that cannot be built is OVER before anything was sent, and
 * so is a job whose connection is lost. */
static const unsigned may_follow[] = {
    [SESSION_IDLE] = LEAT_TO(SESSION_SENT) | LEAT_TO(SESSION_OVER),
    [SESSION_SENT] = LEAT_TO(SESSION_ANSWERED) | LEAT_TO(SESSION_OVER),
    [SESSION_ANSWERED] = LEAT_TO(SESSION_SENT) | LEAT_TO(SESSION_OVER),
    [SESSION_OVER] = LEAT_TO(SESSION_IDLE),
};

void leat_pg_session_enter(leat_pg_session *session, session_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, session->state, state));
    session->state = state;
}

/* ---- the end of a job ---- */

/* Statements whose PREPARE was not reached, because of an error before it, are sent again. */
static void settle_prepared(leat_pg_session *session)
{
    for (uint32_t i = 0; i < session->command_count; i++) {
        const job_command *command = &session->commands[i];
        LEAT_ASSERT(command->statement < STATEMENTS_MAX);
        if (command->kind == COMMAND_PREPARE &&
            session->prepared[command->statement] == PREPARE_SENT)
            session->prepared[command->statement] = UNPREPARED;
    }
}

/* What the claim read is as true as the claim. */
static void publish_controls(leat_pg_session *session)
{
    const leat_pg_shared *shared = session->shared;
    if (session->controls && !session->failed)
        leat_controls_publish(shared->controls, shared->shard, session->controls,
                              session->controls_us);
    else
        leat_control_set_drop(session->controls);
    session->controls = NULL;
}

static void end_job(leat_pg_session *session)
{
    leat_pg_session_enter(session, SESSION_OVER);
    publish_controls(session);
    if (session->failed)
        return;
    session->shared->counters.rows += session->row_count;
    session->shared->counters.patches_dropped += session->dropped_count;
    if (session->kept_count == 0)
        session->result.chunk = session->chunk;
    else
        session->result.kept = session->chunk;
    session->result.kept_count = session->kept_count;
    if (session->kind != LEAT_ENGINE_JOB_CLAIM)
        return;
    if (!session->claim_read || !session->parked_read || !session->held_read) {
        leat_pg_session_fail(session, LEAT_ENGINE_NOT_UNDERSTOOD, "",
                             "leat.take, leat.parked_totals or leat.held_keys has not answered");
        return;
    }
    session->result.progress = &session->progress;
    session->result.parked = session->parked;
    session->result.parked_count = session->parked_count;
    session->result.held = session->held;
    session->result.held_count = session->held_count;
}

/* Ends the open job; its outcome is unknown unless it was known already. */
static void lose_job(leat_pg_session *session, const char *message)
{
    if (session->state == SESSION_IDLE || session->state == SESSION_OVER)
        return;
    bool is_known = session->state == SESSION_ANSWERED || session->is_asking;
    if (is_known && session->question != ASK_CONFIRM) {
        end_job(session);
        return;
    }
    if (!session->failed || is_known)
        leat_pg_session_fail(session, LEAT_ENGINE_UNKNOWN, "", message);
    session->result.outcome = LEAT_ENGINE_UNKNOWN;
    session->result.partition = -1;
    leat_pg_session_enter(session, SESSION_OVER);
    publish_controls(session);
}

uint32_t leat_pg_session_take(leat_pg_session *session, leat_engine_job_result *ret,
                              leat_engine_chunk **ret_chunk)
{
    LEAT_ASSERT(session->state == SESSION_OVER);
    *ret = session->result;
    *ret_chunk = session->chunk;
    session->chunk = NULL;
    leat_pg_session_enter(session, SESSION_IDLE);
    session->is_asking = false;
    return session->job_id;
}

/* ---- the connection's events ---- */

/* A new connection has nothing prepared. */
static void on_opened(void *context)
{
    leat_pg_session *session = context;
    ssize_t size = getrandom(&session->name_key, sizeof session->name_key, 0);
    LEAT_ASSERT(size == sizeof session->name_key);
    LEAT_ASSERT(session->state == SESSION_IDLE);
    session->parses = 0;
    session->forget = true;
    session->is_unusable = false;
    session->events.opened(session->events.context);
}

static void on_closed(void *context, const char *sqlstate, const char *message)
{
    leat_pg_session *session = context;
    lose_job(session, message);
    LEAT_ASSERT(session->state == SESSION_IDLE || session->state == SESSION_OVER);
    session->events.closed(session->events.context, sqlstate, message);
}

static void on_server_checked(void *context)
{
    leat_pg_session *session = context;
    session->events.server_checked(session->events.context);
}

/* All results are in: sends the question that the job's failure raises, or ends the job. */
static void on_drained(void *context)
{
    leat_pg_session *session = context;
    if (session->state == SESSION_ANSWERED) {
        settle_prepared(session);
        if (session->question != ASK_NOTHING && !session->is_asking && !session->is_unusable)
            leat_pg_session_ask(session);
        else
            end_job(session);
    }
    if (session->state == SESSION_OVER)
        session->events.over(session->events.context);
}

static void on_wake(void *context)
{
    leat_pg_session *session = context;
    session->events.wake(session->events.context);
}

static void on_freed(void *context)
{
    leat_pg_session *session = context;
    leat_pg_session_events events = session->events;
    leat_shapes_drop(session->shapes);
    leat_control_set_drop(session->controls);
    leat_pg_params_free(&session->params);
    free(session->commands);
    free(session->parked);
    free(session->held);
    free(session->chunk);
    free(session->progress_memory);
    free(session->base_offsets);
    free(session);
    events.freed(events.context);
}

/* ---- life ---- */

leat_pg_session *leat_pg_session_new(leat_pg_shared *shared, const leat_pg_session_events *events)
{
    LEAT_ASSERT(shared->rows && shared->dsn && shared->schema_versions);
    leat_pg_session *session = leat_must_calloc(1, sizeof *session);
    leat_pg_conn_events conn_events = {
        session,           on_opened,  on_closed, leat_pg_session_on_result,
        on_server_checked, on_drained, on_wake,   on_freed};
    session->shared = shared;
    session->events = *events;
    session->progress_memory = leat_must_calloc(2 * (size_t)shared->placement.subpartitions,
                                                sizeof *session->progress_memory);
    session->base_offsets =
        leat_must_calloc(shared->placement.subpartitions, sizeof *session->base_offsets);
    leat_engine_progress_init(&session->progress, session->progress_memory,
                              shared->placement.subpartitions);
    session->conn = leat_pg_conn_new(shared->loop, shared->dsn, shared->standstill,
                                     shared->silence_ms, &conn_events);
    return session;
}

void leat_pg_session_free(leat_pg_session *session)
{
    leat_pg_conn_free(session->conn);
}

leat_pg_conn *leat_pg_session_conn(const leat_pg_session *session)
{
    return session->conn;
}

bool leat_pg_session_is_open(const leat_pg_session *session)
{
    return session->state != SESSION_IDLE;
}

bool leat_pg_session_is_over(const leat_pg_session *session)
{
    return session->state == SESSION_OVER;
}

bool leat_pg_session_is_unusable(const leat_pg_session *session)
{
    return session->is_unusable;
}

bool leat_pg_session_is_worn(const leat_pg_session *session)
{
    return session->parses >= PARSES_MAX;
}

const leat_pg_server *leat_pg_session_server(const leat_pg_session *session)
{
    LEAT_ASSERT(session->state != SESSION_SENT);
    return session->knows_server ? &session->server : NULL;
}

leat_engine_job_kind leat_pg_session_job_kind(const leat_pg_session *session)
{
    return session->kind;
}

uint32_t leat_pg_session_job_partition(const leat_pg_session *session)
{
    return session->partition;
}
