/*
 * conn_io.c - sends and reads in pipeline mode, and asks which server this is. Results are read as
 * soon as they arrive, even while a large batch is still being written: libpq and server would
 * otherwise block each other with full buffers. The question goes the same way as every command, in
 * a pipeline of its own, so it can be asked between two jobs without waiting.
 */
#include "sink/pg/conn_state.h"

#include <stdio.h>
#include <string.h>

#include "sink/pg/params.h"
#include "sink/pg/statement.h"

/* ---- which server it is ---- */

/* Any role may ask these on a primary. The timeline is the last statement, by itself, because some
 * hosted services refuse it. Little is lost without it: a standby acknowledges nothing before it is
 * promoted, and its postmaster is not that of the server that did. As long as one postmaster lives,
 * everything it acknowledged stays, with one exception: a crash takes back the last of those
 * commits that did not wait for the disk (`commits_async`). See pool_connect.c. */
static const char *const which_server_sql[] = {
    "SELECT pg_catalog.pg_backend_pid(), " LEAT_PG_STARTED_SQL, "SELECT " LEAT_PG_TIMELINE_SQL};

enum { ASK_STARTED, ASK_TIMELINE, ASK_COUNT };

bool leat_pg_conn_send_question(leat_pg_conn *conn)
{
    LEAT_ASSERT(!conn->is_asking && conn->open_syncs == 0);
    for (uint32_t i = 0; i < ASK_COUNT; i++)
        if (!PQsendQueryParams(conn->pg, which_server_sql[i], 0, NULL, NULL, NULL, NULL, 1))
            return false;
    if (!PQpipelineSync(conn->pg))
        return false;
    conn->open_syncs++;
    conn->is_asking = true;
    conn->question_at = 0;
    return true;
}

static void mark_unfit(leat_pg_conn *conn, const char *message)
{
    if (!conn->server_error[0])
        snprintf(conn->server_error, sizeof conn->server_error, "%s", message);
    conn->is_unfit = true;
}

/* A pooler invents the process id that it sends at the end of connecting, since that serves cancel
 * requests only: an id other than the backend's own shows it. */
static void take_server_answer(leat_pg_conn *conn, const PGresult *result)
{
    LEAT_ASSERT(conn->is_asking);
    int32_t pid = 0;
    if (conn->question_at == ASK_TIMELINE)
        (void)!leat_pg_field_timeline(result, 0, &conn->server);
    else if (leat_pg_field_int4(result, 0, 0, &pid) < 0 ||
             leat_pg_field_server(result, 1, &conn->server) < 0)
        mark_unfit(conn, "the server does not say when it was started");
    else
        conn->is_pooled = pid != PQbackendPID(conn->pg);
}

/* The server does not show it to this role (42501) or to any role (0A000), or it is a standby
 * (55000). */
static bool is_refusal(const PGresult *error)
{
    const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    return sqlstate && (strncmp(sqlstate, "42", 2) == 0 || strcmp(sqlstate, "0A000") == 0 ||
                        strcmp(sqlstate, "55000") == 0);
}

static void take_question_result(leat_pg_conn *conn, const PGresult *result)
{
    LEAT_ASSERT(conn->is_asking);
    if (!result) {
        conn->question_at++;
        return;
    }
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK) {
        take_server_answer(conn, result);
    } else if (status == PGRES_FATAL_ERROR &&
               !(conn->question_at == ASK_TIMELINE && is_refusal(result))) {
        mark_unfit(conn, PQresultErrorMessage(result));
    } else if (status == PGRES_PIPELINE_SYNC) {
        conn->is_asking = false;
        conn->has_server_answer = conn->state == CONN_READY;
        if (conn->state == CONN_ASKING && !conn->is_unfit)
            leat_pg_conn_enter(conn, CONN_READY);
    }
}

/* ---- reading ---- */

void leat_pg_conn_keep_error(leat_pg_conn *conn, const PGresult *error)
{
    const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
    if (!sqlstate || !text)
        return;
    snprintf(conn->sqlstate, sizeof conn->sqlstate, "%s", sqlstate);
    snprintf(conn->server_error, sizeof conn->server_error, "%s: %s", sqlstate, text);
}

void leat_pg_conn_forget_error(leat_pg_conn *conn)
{
    conn->sqlstate[0] = conn->server_error[0] = '\0';
}

static void note_result(leat_pg_conn *conn, const PGresult *result)
{
    ExecStatusType status = result ? PQresultStatus(result) : PGRES_COMMAND_OK;
    if (status == PGRES_FATAL_ERROR)
        leat_pg_conn_keep_error(conn, result);
    if (status != PGRES_PIPELINE_SYNC)
        return;
    if (!conn->is_unfit) /* else it gives the reason why the connection is about to end */
        leat_pg_conn_forget_error(conn);
    if (conn->open_syncs > 0)
        conn->open_syncs--;
}

/* Hands over what has arrived. On a dead connection libpq returns errors without end: the first one
 * is enough. */
static void drain(leat_pg_conn *conn)
{
    LEAT_ASSERT(leat_pg_conn_is_connected(conn));
    bool was_end = false;
    while (leat_pg_conn_is_connected(conn) && conn->open_syncs > 0 && !PQisBusy(conn->pg)) {
        PGresult *result = PQgetResult(conn->pg);
        bool is_dead = PQstatus(conn->pg) == CONNECTION_BAD;
        if (!result && (was_end || is_dead))
            return;
        was_end = !result;
        note_result(conn, result);
        if (conn->is_asking)
            take_question_result(conn, result);
        else
            conn->events.result(conn->events.context, result);
        PQclear(result);
        if (is_dead)
            return;
    }
}

static void flush(leat_pg_conn *conn)
{
    LEAT_ASSERT(leat_pg_conn_is_connected(conn));
    int left = PQflush(conn->pg);
    const char *fault = NULL;
    if (left < 0)
        fault = PQerrorMessage(conn->pg);
    else if (leat_pg_conn_watch(conn, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE) < 0)
        fault = "the socket cannot be watched";
    if (fault && leat_pg_conn_is_attempt(conn))
        leat_pg_conn_place_failed(conn, fault);
    else if (fault)
        leat_pg_conn_break(conn, fault);
}

static void hand_over(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_READY);
    bool has_server_answer = conn->has_server_answer;
    conn->has_server_answer = false;
    if (has_server_answer)
        conn->events.server_checked(conn->events.context);
    if (conn->state == CONN_READY)
        conn->events.drained(conn->events.context);
}

static void lose(leat_pg_conn *conn, const char *message)
{
    LEAT_ASSERT(leat_pg_conn_is_connected(conn));
    if (leat_pg_conn_is_attempt(conn))
        leat_pg_conn_place_failed(conn, message);
    else
        leat_pg_conn_close(conn, message);
}

static void read_answers(leat_pg_conn *conn)
{
    LEAT_ASSERT(leat_pg_conn_is_connected(conn));
    bool was_ready = conn->state == CONN_READY;
    if (was_ready || leat_pg_hosts_is_at_good(conn->hosts))
        conn->heard_us = leat_pg_conn_now_us(conn);
    if (was_ready)
        conn->since_us = conn->heard_us;
    PQconsumeInput(conn->pg); /* a failure shows in PQstatus; results before it still count */
    drain(conn);
    if (!leat_pg_conn_is_connected(conn))
        return;
    (void)PQisBusy(conn->pg); /* makes libpq deliver unsolicited notices */
    if (conn->is_unfit || PQstatus(conn->pg) == CONNECTION_BAD) {
        lose(conn, PQerrorMessage(conn->pg));
    } else if (conn->state == CONN_READY && !was_ready) {
        conn->heard_us = leat_pg_conn_now_us(conn);
        leat_pg_hosts_end(conn->hosts, true);
        conn->events.opened(conn->events.context);
    } else if (was_ready) {
        hand_over(conn);
    }
}

void leat_pg_conn_on_poll(uv_poll_t *poll, int status, int events)
{
    LEAT_ASSERT(!((leat_pg_conn *)poll->data)->freed);
    leat_pg_conn *conn = poll->data;
    if (conn->state == CONN_LOOKUP)
        leat_pg_conn_try_next(conn);
    else if (conn->state == CONN_CONNECTING)
        leat_pg_conn_advance(conn);
    else if (leat_pg_conn_is_connected(conn) && status < 0)
        lose(conn, uv_strerror(status));
    else if (leat_pg_conn_is_connected(conn) && (events & UV_READABLE))
        read_answers(conn);
    if (leat_pg_conn_is_connected(conn))
        flush(conn);
}

/* ---- writing ---- */

static bool can_send(const leat_pg_conn *conn)
{
    return conn->state == CONN_READY;
}

/* Binary, one for each parameter a statement can have. */
static const int formats[LEAT_STATEMENT_PARAMS_MAX] = {[0 ... LEAT_STATEMENT_PARAMS_MAX - 1] = 1};

void leat_pg_conn_prepare(leat_pg_conn *conn, const char *name, const char *sql)
{
    if (can_send(conn) && !PQsendPrepare(conn->pg, name, sql, 0, NULL))
        leat_pg_conn_break(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_execute(leat_pg_conn *conn, const char *name, uint32_t count,
                          const char *const *values, const int *sizes)
{
    LEAT_ASSERT(count <= LEAT_STATEMENT_PARAMS_MAX);
    if (can_send(conn) &&
        !PQsendQueryPrepared(conn->pg, name, (int)count, values, sizes, formats, 1))
        leat_pg_conn_break(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_query(leat_pg_conn *conn, const char *sql, uint32_t count,
                        const char *const *values, const int *sizes)
{
    LEAT_ASSERT(count <= LEAT_STATEMENT_PARAMS_MAX);
    if (can_send(conn) &&
        !PQsendQueryParams(conn->pg, sql, (int)count, NULL, values, sizes, formats, 1))
        leat_pg_conn_break(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_sync(leat_pg_conn *conn)
{
    if (!can_send(conn))
        return;
    if (!PQpipelineSync(conn->pg)) {
        leat_pg_conn_break(conn, PQerrorMessage(conn->pg));
        return;
    }
    if (conn->open_syncs++ == 0)
        conn->since_us = leat_pg_conn_now_us(conn);
    flush(conn);
}

void leat_pg_conn_ask(leat_pg_conn *conn)
{
    if (!can_send(conn))
        return;
    LEAT_ASSERT(conn->open_syncs == 0);
    conn->since_us = leat_pg_conn_now_us(conn);
    if (leat_pg_conn_send_question(conn))
        flush(conn);
    else
        leat_pg_conn_break(conn, PQerrorMessage(conn->pg));
}
