#include "sink/pg/session_state.h"

#include <stdlib.h>
#include <sys/random.h>

#define TO(state) (1u << (state))

/* Which states may follow which. A batch that cannot be built is OVER before anything was sent, and
 * so is a job whose connection is lost. */
static const unsigned may_follow[] = {
    [SESSION_IDLE] = TO(SESSION_SENT) | TO(SESSION_OVER),
    [SESSION_SENT] = TO(SESSION_ANSWERED) | TO(SESSION_OVER),
    [SESSION_ANSWERED] = TO(SESSION_SENT) | TO(SESSION_OVER),
    [SESSION_OVER] = TO(SESSION_IDLE),
};

void leat_pg_session_enter(leat_pg_session *session, session_state state)
{
    LEAT_ASSERT(may_follow[session->state] & TO(state));
    session->state = state;
}

/* ---- life ---- */

leat_pg_session *leat_pg_session_new(leat_pg_shared *shared)
{
    leat_pg_session *session = leat_must_calloc(1, sizeof *session);
    session->shared = shared;
    return session;
}

void leat_pg_session_free(leat_pg_session *session)
{
    if (!session)
        return;
    leat_shapes_drop(session->shapes);
    leat_pg_params_free(&session->params);
    free(session->commands);
    free(session);
}

void leat_pg_session_begin(leat_pg_session *session)
{
    LEAT_ASSERT(session->state == SESSION_IDLE);
    ssize_t size = getrandom(&session->name_key, sizeof session->name_key, 0);
    LEAT_ASSERT(size == sizeof session->name_key);
    session->parses = 0;
    session->forget = true;
    session->is_unusable = false;
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
    return session->is_told ? &session->server : NULL;
}

/* ---- the end of a job ---- */

/* Statements whose PREPARE did not come to its turn are to be sent again. */
static void settle_prepared(leat_pg_session *session)
{
    for (uint32_t i = 0; i < session->command_count; i++) {
        const job_command *command = &session->commands[i];
        if (command->kind == COMMAND_PREPARE &&
            session->prepared[command->statement] == PREPARE_SENT)
            session->prepared[command->statement] = UNPREPARED;
    }
}

static void end_job(leat_pg_session *session)
{
    leat_pg_session_enter(session, SESSION_OVER);
    if (session->failed)
        return;
    session->shared->counters.rows += session->row_count;
    session->shared->counters.patches_dropped += session->dropped_count;
    if (session->kind != LEAT_ENGINE_JOB_CLAIM)
        return;
    if (session->claim_read)
        session->result.progress = &session->progress;
    else
        leat_pg_session_fail(session, LEAT_ENGINE_NOT_UNDERSTOOD, "",
                             "leat.claim has not answered");
}

void leat_pg_session_drained(leat_pg_session *session, leat_pg_conn *conn)
{
    if (session->state != SESSION_ANSWERED)
        return;
    settle_prepared(session);
    if (session->question != ASK_NOTHING && !session->is_asking && !session->is_unusable)
        leat_pg_session_ask(session, conn);
    else
        end_job(session);
}

void leat_pg_session_lost(leat_pg_session *session, const char *message)
{
    if (session->state == SESSION_IDLE || session->state == SESSION_OVER)
        return;
    if (session->state == SESSION_ANSWERED || session->is_asking) {
        end_job(session);
        return;
    }
    if (!session->failed)
        leat_pg_session_fail(session, LEAT_ENGINE_UNKNOWN, "", message);
    session->result.outcome = LEAT_ENGINE_UNKNOWN;
    session->result.partition = -1;
    leat_pg_session_enter(session, SESSION_OVER);
}

uint32_t leat_pg_session_take(leat_pg_session *session, leat_engine_job_result *ret)
{
    LEAT_ASSERT(session->state == SESSION_OVER);
    *ret = session->result;
    leat_pg_session_enter(session, SESSION_IDLE);
    session->is_asking = false;
    return session->job_id;
}
