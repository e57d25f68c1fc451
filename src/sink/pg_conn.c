#include "sink/pg_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "sink/pg_params.h"
#include "sink/statement.h"

enum {
    SERVER_VERSION_MIN = 150000, /* MERGE */
    SILENCE_MAX_MS = 60000,      /* a server that owes an answer for longer is given up */
};

typedef enum conn_state {
    CONN_CLOSED,
    CONN_CONNECTING,
    CONN_ASKING, /* connected; the server has not said yet which one it is */
    CONN_READY,
    CONN_BROKEN, /* closed as soon as leat_pg_conn_settle comes by */
} conn_state;

struct leat_pg_conn {
    uv_loop_t *loop;
    const leat_pg_dsn *dsn;
    leat_pg_conn_events events;
    conn_state state;
    PGconn *pg;
    uv_poll_t *poll; /* NULL: no socket is watched. Freed by its close callback */
    int poll_fd;
    int poll_events;       /* watched now; 0: stopped */
    uint32_t open_polls;   /* handles the loop still knows */
    uint32_t open_syncs;   /* sent, not answered */
    uint64_t since_ms;     /* of the attempt; of the last answer or the first question */
    leat_pg_server server; /* see leat_pg_conn_server */
    bool is_asking;        /* what comes up to the next Sync is the server's answer to which one it is */
    bool is_told;          /* it has come, and `told` has not been called */
    uint32_t told_count;   /* statements of the question that are answered */
    bool freed;
    char message[512];     /* why it broke */
};

/* Any role may ask on a primary. The timeline is a statement of its own, and the last one: not every service that is
 * PostgreSQL tells it, and without it one loses little, since a standby acknowledges nothing before it is promoted, and
 * then is another postmaster. While one lives an acknowledged commit stays. (With synchronous_commit off the crash of a
 * backend may lose some, but it ends all connections at once.) */
static const char *const which_server_sql[] = {"SELECT " LEAT_PG_STARTED_SQL, "SELECT " LEAT_PG_TIMELINE_SQL};

enum { ASK_STARTED, ASK_TIMELINE, ASK_COUNT };

bool leat_pg_server_equal(const leat_pg_server *a, const leat_pg_server *b)
{
    return a->started_us == b->started_us && strcmp(a->timeline, b->timeline) == 0;
}

static int read_timeline(const PGresult *result, int column, leat_pg_server *ret)
{
    if (PQgetisnull(result, 0, column) || PQgetlength(result, 0, column) >= (int)sizeof ret->timeline)
        return -1;
    snprintf(ret->timeline, sizeof ret->timeline, "%s", PQgetvalue(result, 0, column));
    return 0;
}

int leat_pg_field_server(const PGresult *result, int column, leat_pg_server *ret)
{
    leat_pg_server server = {0};
    if (leat_pg_field_int8(result, 0, column, &server.started_us) < 0 ||
        (PQnfields(result) > column + 1 && read_timeline(result, column + 1, &server) < 0))
        return -1;
    *ret = server;
    return 0;
}

/* --- the socket -------------------------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void release_if_done(leat_pg_conn *conn)
{
    if (!conn->freed || conn->open_polls > 0)
        return;
    leat_pg_conn_events events = conn->events;
    free(conn);
    events.freed(events.context);
}

static void on_poll_closed(uv_handle_t *handle)
{
    leat_pg_conn *conn = handle->data;
    free(handle);
    conn->open_polls--;
    release_if_done(conn);
}

static void unwatch(leat_pg_conn *conn)
{
    if (!conn->poll)
        return;
    uv_close((uv_handle_t *)conn->poll, on_poll_closed);
    conn->poll = NULL;
    conn->poll_events = 0;
}

static int watch_socket(leat_pg_conn *conn, int fd)
{
    uv_poll_t *poll = malloc(sizeof *poll);
    if (!poll)
        return -1;
    if (uv_poll_init(conn->loop, poll, fd) < 0) {
        free(poll);
        return -1;
    }
    poll->data = conn;
    conn->open_polls++;
    conn->poll = poll;
    conn->poll_fd = fd;
    return 0;
}

/* While it connects, libpq may change sockets. */
static int watch(leat_pg_conn *conn, int events)
{
    int fd = PQsocket(conn->pg);
    if (conn->poll && conn->poll_fd != fd)
        unwatch(conn);
    if (!conn->poll && (fd < 0 || watch_socket(conn, fd) < 0))
        return -1;
    if (conn->poll_events == events)
        return 0;
    conn->poll_events = events;
    return uv_poll_start(conn->poll, events, on_poll) < 0 ? -1 : 0;
}

/* --- ends -------------------------------------------------------------------------------------------------------- */

static void drop(leat_pg_conn *conn)
{
    unwatch(conn);
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->state = CONN_CLOSED;
    conn->open_syncs = 0;
    conn->is_asking = false;
    conn->is_told = false;
}

/* Of a lost connection libpq guesses at length: the first line says it. A failed attempt has a line a host. */
static void keep_message(leat_pg_conn *conn, const char *message)
{
    snprintf(conn->message, sizeof conn->message, "%s", message);
    size_t size = conn->state == CONN_CONNECTING ? strlen(conn->message) : strcspn(conn->message, "\n");
    while (size > 0 && conn->message[size - 1] == '\n')
        size--;
    conn->message[size] = '\0';
}

static void close_with(leat_pg_conn *conn, const char *message)
{
    keep_message(conn, message);
    drop(conn);
    conn->events.closed(conn->events.context, conn->message);
}

static void break_later(leat_pg_conn *conn, const char *message)
{
    if (conn->state == CONN_BROKEN || conn->state == CONN_CLOSED)
        return;
    keep_message(conn, message);
    conn->state = CONN_BROKEN;
    conn->events.wake(conn->events.context);
}

void leat_pg_conn_break(leat_pg_conn *conn, const char *message)
{
    break_later(conn, message);
}

void leat_pg_conn_settle(leat_pg_conn *conn)
{
    if (conn->state != CONN_BROKEN)
        return;
    drop(conn);
    conn->events.closed(conn->events.context, conn->message);
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

static void on_notice(void *context, const PGresult *notice)
{
    (void)context;
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    leat_debug("PostgreSQL says: %s", text ? text : "");
}

static bool send_which_server(leat_pg_conn *conn)
{
    for (uint32_t i = 0; i < ASK_COUNT; i++)
        if (!PQsendQueryParams(conn->pg, which_server_sql[i], 0, NULL, NULL, NULL, NULL, 1))
            return false;
    if (!PQpipelineSync(conn->pg))
        return false;
    conn->open_syncs++;
    conn->is_asking = true;
    conn->told_count = 0;
    return true;
}

static void ask_first(leat_pg_conn *conn)
{
    conn->state = CONN_ASKING;
    if (!send_which_server(conn))
        close_with(conn, PQerrorMessage(conn->pg));
}

static void open_attempt(leat_pg_conn *conn)
{
    int version = PQserverVersion(conn->pg);
    if (version < SERVER_VERSION_MIN) {
        char message[128];
        snprintf(message, sizeof message, "PostgreSQL 15 or later is needed, the server is %d", version / 10000);
        close_with(conn, message);
        return;
    }
    if (PQsetnonblocking(conn->pg, 1) != 0 || !PQenterPipelineMode(conn->pg) || watch(conn, UV_READABLE) < 0) {
        close_with(conn, "the connection does not take pipeline mode");
        return;
    }
    ask_first(conn);
}

static void advance_attempt(leat_pg_conn *conn)
{
    /* libpq may close this very socket: the loop must not watch it meanwhile. */
    uv_poll_stop(conn->poll);
    conn->poll_events = 0;
    PostgresPollingStatusType status = PQconnectPoll(conn->pg);
    if (status == PGRES_POLLING_OK)
        open_attempt(conn);
    else if (status == PGRES_POLLING_FAILED)
        close_with(conn, PQerrorMessage(conn->pg));
    else if (watch(conn, status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE) < 0)
        close_with(conn, "the socket cannot be watched");
}

void leat_pg_conn_open(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_CLOSED && !conn->pg && !conn->freed);
    conn->state = CONN_CONNECTING;
    conn->since_ms = uv_now(conn->loop);
    conn->pg = PQconnectStartParams(leat_pg_dsn_keywords(conn->dsn), leat_pg_dsn_values(conn->dsn), 0);
    if (!conn->pg) {
        break_later(conn, "out of memory");
        return;
    }
    PQsetNoticeReceiver(conn->pg, on_notice, NULL);
    if (PQstatus(conn->pg) == CONNECTION_BAD)
        break_later(conn, PQerrorMessage(conn->pg));
    else if (watch(conn, UV_WRITABLE) < 0)
        break_later(conn, "the socket cannot be watched");
}

/* --- reading and writing ----------------------------------------------------------------------------------------- */

static bool is_connected(const leat_pg_conn *conn)
{
    return conn->state == CONN_ASKING || conn->state == CONN_READY;
}

static void count_sync(leat_pg_conn *conn, const PGresult *result)
{
    if (result && PQresultStatus(result) == PGRES_PIPELINE_SYNC && conn->open_syncs > 0)
        conn->open_syncs--;
}

static void take_told(leat_pg_conn *conn, const PGresult *result)
{
    if (conn->told_count == ASK_TIMELINE)
        (void)!read_timeline(result, 0, &conn->server);
    else if (leat_pg_field_server(result, 0, &conn->server) < 0)
        break_later(conn, "the server does not say when it was started");
}

/* The server does not tell this role, or anybody, or (55000) it is a standby. */
static bool is_refusal(const PGresult *error)
{
    const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    return sqlstate && (strncmp(sqlstate, "42", 2) == 0 || strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "55000") == 0);
}

static void take_which_server(leat_pg_conn *conn, const PGresult *result)
{
    if (!result) {
        conn->told_count++;
        return;
    }
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK) {
        take_told(conn, result);
    } else if (status == PGRES_FATAL_ERROR && !(conn->told_count == ASK_TIMELINE && is_refusal(result))) {
        const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        break_later(conn, primary ? primary : PQresultErrorMessage(result));
    } else if (status == PGRES_PIPELINE_SYNC) {
        conn->is_asking = false;
        conn->is_told = conn->state == CONN_READY;
        conn->state = CONN_READY;
    }
}

/* Hands over what has arrived. On a dead connection libpq makes up errors without end: one is enough. */
static void drain(leat_pg_conn *conn)
{
    bool was_end = false;
    while (is_connected(conn) && conn->open_syncs > 0 && !PQisBusy(conn->pg)) {
        PGresult *result = PQgetResult(conn->pg);
        bool is_dead = PQstatus(conn->pg) == CONNECTION_BAD;
        if (!result && (was_end || is_dead))
            return;
        was_end = !result;
        count_sync(conn, result);
        if (conn->is_asking)
            take_which_server(conn, result);
        else
            conn->events.result(conn->events.context, result);
        PQclear(result);
        if (is_dead)
            return;
    }
}

static void flush(leat_pg_conn *conn)
{
    int left = PQflush(conn->pg);
    if (left < 0)
        break_later(conn, PQerrorMessage(conn->pg));
    else if (watch(conn, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE) < 0)
        break_later(conn, "the socket cannot be watched");
}

static void hand_over(leat_pg_conn *conn)
{
    bool is_told = conn->is_told;
    conn->is_told = false;
    if (is_told)
        conn->events.told(conn->events.context);
    if (conn->state == CONN_READY)
        conn->events.drained(conn->events.context);
}

static void read_answers(leat_pg_conn *conn)
{
    bool was_ready = conn->state == CONN_READY;
    if (was_ready)
        conn->since_ms = uv_now(conn->loop);
    PQconsumeInput(conn->pg); /* a failure shows in the status; what came before it still counts */
    drain(conn);
    if (!is_connected(conn))
        return;
    if (PQstatus(conn->pg) == CONNECTION_BAD)
        close_with(conn, PQerrorMessage(conn->pg));
    else if (conn->state == CONN_READY && !was_ready)
        conn->events.opened(conn->events.context);
    else if (was_ready)
        hand_over(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    leat_pg_conn *conn = poll->data;
    if (conn->state == CONN_CONNECTING)
        advance_attempt(conn);
    else if (is_connected(conn) && status < 0)
        close_with(conn, uv_strerror(status));
    else if (is_connected(conn) && (events & UV_READABLE))
        read_answers(conn);
    if (is_connected(conn))
        flush(conn);
}

static bool can_send(const leat_pg_conn *conn)
{
    return conn->state == CONN_READY;
}

/* Binary, one for each parameter a statement can have. */
static const int formats[LEAT_STATEMENT_PARAMS_MAX] = {[0 ... LEAT_STATEMENT_PARAMS_MAX - 1] = 1};

void leat_pg_conn_prepare(leat_pg_conn *conn, const char *name, const char *sql)
{
    if (can_send(conn) && !PQsendPrepare(conn->pg, name, sql, 0, NULL))
        break_later(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_execute(leat_pg_conn *conn, const char *name, uint32_t count, const char *const *values,
                          const int *sizes)
{
    LEAT_ASSERT(count <= LEAT_STATEMENT_PARAMS_MAX);
    if (can_send(conn) && !PQsendQueryPrepared(conn->pg, name, (int)count, values, sizes, formats, 1))
        break_later(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_query(leat_pg_conn *conn, const char *sql, uint32_t count, const char *const *values,
                        const int *sizes)
{
    LEAT_ASSERT(count <= LEAT_STATEMENT_PARAMS_MAX);
    if (can_send(conn) && !PQsendQueryParams(conn->pg, sql, (int)count, NULL, values, sizes, formats, 1))
        break_later(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_sync(leat_pg_conn *conn)
{
    if (!can_send(conn))
        return;
    if (!PQpipelineSync(conn->pg)) {
        break_later(conn, PQerrorMessage(conn->pg));
        return;
    }
    conn->open_syncs++;
    conn->since_ms = uv_now(conn->loop);
    flush(conn);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

leat_pg_conn *leat_pg_conn_new(uv_loop_t *loop, const leat_pg_dsn *dsn, const leat_pg_conn_events *events)
{
    leat_pg_conn *conn = leat_must_calloc(1, sizeof *conn);
    conn->loop = loop;
    conn->dsn = dsn;
    conn->events = *events;
    return conn;
}

void leat_pg_conn_free(leat_pg_conn *conn)
{
    LEAT_ASSERT(!conn->freed);
    drop(conn);
    conn->freed = true;
    release_if_done(conn);
}

bool leat_pg_conn_is_closed(const leat_pg_conn *conn)
{
    return conn->state == CONN_CLOSED;
}

bool leat_pg_conn_is_ready(const leat_pg_conn *conn)
{
    return conn->state == CONN_READY;
}

const leat_pg_server *leat_pg_conn_server(const leat_pg_conn *conn)
{
    return &conn->server;
}

void leat_pg_conn_ask(leat_pg_conn *conn)
{
    if (!can_send(conn))
        return;
    LEAT_ASSERT(conn->open_syncs == 0);
    conn->since_ms = uv_now(conn->loop);
    if (send_which_server(conn))
        flush(conn);
    else
        break_later(conn, PQerrorMessage(conn->pg));
}

bool leat_pg_conn_is_asking(const leat_pg_conn *conn)
{
    return conn->is_asking;
}

void leat_pg_conn_tick(leat_pg_conn *conn)
{
    uint64_t waited_ms = uv_now(conn->loop) - conn->since_ms;
    bool is_attempt = conn->state == CONN_CONNECTING || conn->state == CONN_ASKING;
    if (is_attempt && waited_ms > (uint64_t)leat_pg_dsn_connect_timeout_ms(conn->dsn))
        close_with(conn, "no answer to the attempt to connect");
    else if (conn->state == CONN_READY && conn->open_syncs > 0 && waited_ms > SILENCE_MAX_MS)
        close_with(conn, "no answer from the server");
}
