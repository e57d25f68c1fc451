#include "sink/pg/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/diag.h"
#include "sink/pg/hosts.h"
#include "sink/pg/params.h"
#include "sink/pg/statement.h"

enum {
    SERVER_VERSION_MIN = 150000, /* MERGE */
    ANSWER_MS = 10000,           /* which server it is: no statement is quicker */
    NETWORK_SILENCE_MS = 10000,  /* the server's machine acknowledges what is sent, or it is not
                                    there */
    NETWORK_TICKS = 3, /* so often in a row: what has just arrived behind a pause is still to be
                          read */
};

typedef enum conn_state {
    CONN_CLOSED,
    CONN_LOOKING, /* names are being looked up */
    CONN_CONNECTING,
    CONN_ASKING, /* connected; the server has not said yet which one it is */
    CONN_READY,
    CONN_BROKEN, /* closed as soon as leat_pg_conn_settle comes by */
} conn_state;

struct leat_pg_conn {
    uv_loop_t *loop;
    leat_standstill *standstill;
    int64_t silence_us;
    leat_pg_hosts *hosts;
    leat_pg_conn_events events;
    conn_state state;
    PGconn *pg;
    uv_poll_t *poll; /* NULL: no socket is watched. Freed by its close callback */
    int poll_fd;
    int poll_events;     /* watched now; 0: stopped */
    uint32_t open_polls; /* handles the loop still knows */
    uint32_t open_syncs; /* sent, not answered */
    int64_t since_us;    /* of the attempt at one place; of the last answer or the first question */
    int64_t heard_us;    /* see leat_pg_conn_heard_us */
    uint32_t unacknowledged_ticks;
    bool is_pooled;
    leat_pg_server server; /* see leat_pg_conn_server */
    bool is_asking; /* what comes up to the next Sync is the server's answer to which one it is */
    bool is_wrong;  /* it was no answer that serves: the connection is to be ended */
    bool is_told;   /* it has come, and `told` has not been called */
    uint32_t told_count; /* statements of the question that are answered */
    bool freed;
    char where[256];
    char said[512];    /* the error the server has sent last, when nothing good came after it */
    char message[512]; /* why it broke; of an attempt: a part for each place */
};

/* Any role may ask on a primary. The timeline is a statement of its own, and the last one: not
 * every service that is PostgreSQL tells it, and without it one loses little, since a standby
 * acknowledges nothing before it is promoted, and then is another postmaster. While one lives an
 * acknowledged commit stays. (With synchronous_commit off the crash of a backend may lose some, but
 * it ends all connections at once.) */
static const char *const which_server_sql[] = {
    "SELECT pg_catalog.pg_backend_pid(), " LEAT_PG_STARTED_SQL, "SELECT " LEAT_PG_TIMELINE_SQL};

enum { ASK_STARTED, ASK_TIMELINE, ASK_COUNT };

bool leat_pg_server_equal(const leat_pg_server *a, const leat_pg_server *b)
{
    return a->started_us == b->started_us && strcmp(a->timeline, b->timeline) == 0;
}

static int read_timeline(const PGresult *result, int column, leat_pg_server *ret)
{
    if (PQgetisnull(result, 0, column) ||
        PQgetlength(result, 0, column) >= (int)sizeof ret->timeline)
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

/* ---- the socket ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void release_if_done(leat_pg_conn *conn)
{
    if (!conn->freed || conn->open_polls > 0)
        return;
    leat_pg_conn_events events = conn->events;
    leat_pg_hosts_free(conn->hosts);
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
static int watch_fd(leat_pg_conn *conn, int fd, int events)
{
    if (conn->poll && conn->poll_fd != fd)
        unwatch(conn);
    if (!conn->poll && (fd < 0 || watch_socket(conn, fd) < 0))
        return -1;
    if (conn->poll_events == events)
        return 0;
    conn->poll_events = events;
    return uv_poll_start(conn->poll, events, on_poll) < 0 ? -1 : 0;
}

static int watch(leat_pg_conn *conn, int events)
{
    return watch_fd(conn, PQsocket(conn->pg), events);
}

static int64_t now_us(const leat_pg_conn *conn)
{
    return leat_standstill_now_us(conn->standstill);
}

/* ---- ends ---- */

static bool is_attempt(const leat_pg_conn *conn)
{
    return conn->state == CONN_LOOKING || conn->state == CONN_CONNECTING ||
           conn->state == CONN_ASKING;
}

static void drop_server(leat_pg_conn *conn)
{
    unwatch(conn);
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->open_syncs = 0;
    conn->is_asking = false;
    conn->is_told = false;
    conn->is_wrong = false;
    conn->unacknowledged_ticks = 0;
}

static void drop(leat_pg_conn *conn)
{
    drop_server(conn);
    leat_pg_hosts_end(conn->hosts, false);
    conn->state = CONN_CLOSED;
}

/* Of a lost connection libpq guesses at length: the first line says it, and what the server said
 * before it hung up says more. */
static void keep_message(leat_pg_conn *conn, const char *message)
{
    const char *text = conn->said[0] ? conn->said : message;
    snprintf(conn->message, sizeof conn->message, "%.*s", (int)strcspn(text, "\n"), text);
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

/* ---- connecting ---- */

static void note_said(leat_pg_conn *conn, const PGresult *error)
{
    const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate && text)
        snprintf(conn->said, sizeof conn->said, "%s: %s", sqlstate, text);
}

/* To an idle connection the server says why it ends it: libpq takes that for a notice. */
static void on_notice(void *context, const PGresult *notice)
{
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    leat_debug("PostgreSQL says: %s", text ? text : "");
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        note_said(context, notice);
}

static void try_next(leat_pg_conn *conn);

/* Of several places each has its part of the message. libpq's own text gets the SQLSTATE by
 * PQERRORS_VERBOSE, and a line with the place in the server's source, which says nothing here. */
static void place_failed(leat_pg_conn *conn, const char *message)
{
    char text[sizeof conn->where + sizeof conn->said + 2];
    if (conn->said[0])
        snprintf(text, sizeof text, "%s: %s", conn->where, conn->said);
    else
        snprintf(text, sizeof text, "%s", message);
    char *location = strstr(text, "\nLOCATION:");
    if (location)
        *location = '\0';
    leat_pg_hosts_append(conn->message, sizeof conn->message, text);
    drop_server(conn);
    try_next(conn);
}

static void place_is_silent(leat_pg_conn *conn)
{
    char text[sizeof conn->where + 64];
    snprintf(text, sizeof text, "%s: no answer to the attempt to connect within %lld s",
             conn->where, (long long)(leat_pg_hosts_limit_ms(conn->hosts) / 1000));
    place_failed(conn, text);
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
        place_failed(conn, PQerrorMessage(conn->pg));
}

static void open_attempt(leat_pg_conn *conn)
{
    int version = PQserverVersion(conn->pg);
    if (version < SERVER_VERSION_MIN) {
        char message[128];
        snprintf(message, sizeof message, "PostgreSQL 15 or later is needed, the server is %d",
                 version / 10000);
        place_failed(conn, message);
        return;
    }
    if (PQsetnonblocking(conn->pg, 1) != 0 || !PQenterPipelineMode(conn->pg) ||
        watch(conn, UV_READABLE) < 0) {
        place_failed(conn, "the connection does not take pipeline mode");
        return;
    }
    PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);
    ask_first(conn);
}

/* A refusal is an answer too, but not that of another host of the DSN: it says nothing of the
 * server that is used. */
static void refuse_attempt(leat_pg_conn *conn, bool has_bytes)
{
    if (has_bytes && leat_pg_hosts_is_at_good(conn->hosts))
        conn->heard_us = now_us(conn);
    place_failed(conn, PQerrorMessage(conn->pg));
}

static void advance_attempt(leat_pg_conn *conn)
{
    bool has_bytes = recv(PQsocket(conn->pg), &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    /* libpq may close this very socket: the loop must not watch it meanwhile. */
    uv_poll_stop(conn->poll);
    conn->poll_events = 0;
    PostgresPollingStatusType status = PQconnectPoll(conn->pg);
    if (status == PGRES_POLLING_OK)
        open_attempt(conn);
    else if (status == PGRES_POLLING_FAILED)
        refuse_attempt(conn, has_bytes);
    else if (watch(conn, status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE) < 0)
        place_failed(conn, "the socket cannot be watched");
}

static void name_place(leat_pg_conn *conn, const leat_pg_place *place)
{
    const char *host = place->host ? place->host : place->hostaddr,
               *address = place->host ? place->hostaddr : NULL;
    snprintf(conn->where, sizeof conn->where, "%.140s%s%.63s%s%s%.8s",
             host ? host : "the local socket", address ? " (" : "", address ? address : "",
             address ? ")" : "", place->port ? ", port " : "", place->port ? place->port : "");
}

/* True: it is under way. */
static bool start_at(leat_pg_conn *conn, const leat_pg_place *place)
{
    name_place(conn, place);
    conn->said[0] = '\0';
    conn->state = CONN_CONNECTING;
    conn->since_us = now_us(conn);
    conn->pg = leat_pg_hosts_connect(conn->hosts, place);
    if (conn->pg) {
        PQsetNoticeReceiver(conn->pg, on_notice, conn);
        PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);
    }
    if (conn->pg && PQstatus(conn->pg) != CONNECTION_BAD && watch(conn, UV_WRITABLE) == 0)
        return true;
    const char *message = !conn->pg ? "out of memory" : PQerrorMessage(conn->pg);
    leat_pg_hosts_append(conn->message, sizeof conn->message,
                         *message ? message : "the socket cannot be watched");
    drop_server(conn);
    return false;
}

/* The attempt has failed everywhere; `closed` comes on a later turn. */
static void end_attempt(leat_pg_conn *conn)
{
    leat_pg_hosts_append_failures(conn->hosts, conn->message, sizeof conn->message);
    conn->state = CONN_BROKEN;
    conn->events.wake(conn->events.context);
}

static void wait_for_names(leat_pg_conn *conn)
{
    if (conn->state != CONN_LOOKING)
        conn->since_us = now_us(conn);
    conn->state = CONN_LOOKING;
    if (watch_fd(conn, leat_pg_hosts_fd(conn->hosts), UV_READABLE) == 0)
        return;
    leat_pg_hosts_append(conn->message, sizeof conn->message,
                         "the lookup of the host name cannot be watched");
    end_attempt(conn);
}

static void try_next(leat_pg_conn *conn)
{
    leat_pg_place place;
    leat_pg_hosts_step step;
    while ((step = leat_pg_hosts_next(conn->hosts, &place)) == LEAT_PG_HOSTS_PLACE) {
        unwatch(conn);
        if (start_at(conn, &place))
            return;
    }
    if (step == LEAT_PG_HOSTS_WAIT)
        wait_for_names(conn);
    else
        end_attempt(conn);
}

void leat_pg_conn_open(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_CLOSED && !conn->pg && !conn->freed);
    conn->message[0] = conn->said[0] = '\0';
    leat_pg_hosts_begin(conn->hosts);
    try_next(conn);
}

/* ---- reading and writing ---- */

static bool is_connected(const leat_pg_conn *conn)
{
    return conn->state == CONN_ASKING || conn->state == CONN_READY;
}

static void note_result(leat_pg_conn *conn, const PGresult *result)
{
    ExecStatusType status = result ? PQresultStatus(result) : PGRES_COMMAND_OK;
    if (status == PGRES_FATAL_ERROR)
        note_said(conn, result);
    if (status != PGRES_PIPELINE_SYNC)
        return;
    conn->said[0] = '\0';
    if (conn->open_syncs > 0)
        conn->open_syncs--;
}

static void place_is_wrong(leat_pg_conn *conn, const char *message)
{
    if (!conn->said[0])
        snprintf(conn->said, sizeof conn->said, "%s", message);
    conn->is_wrong = true;
}

/* A pooler makes up the process id that it tells at the end of connecting, which is for cancel
 * requests only. */
static void take_told(leat_pg_conn *conn, const PGresult *result)
{
    int32_t pid = 0;
    if (conn->told_count == ASK_TIMELINE)
        (void)!read_timeline(result, 0, &conn->server);
    else if (leat_pg_field_int4(result, 0, 0, &pid) < 0 ||
             leat_pg_field_server(result, 1, &conn->server) < 0)
        place_is_wrong(conn, "the server does not say when it was started");
    else
        conn->is_pooled = pid != PQbackendPID(conn->pg);
}

/* The server does not tell this role, or anybody, or (55000) it is a standby. */
static bool is_refusal(const PGresult *error)
{
    const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    return sqlstate && (strncmp(sqlstate, "42", 2) == 0 || strcmp(sqlstate, "0A000") == 0 ||
                        strcmp(sqlstate, "55000") == 0);
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
    } else if (status == PGRES_FATAL_ERROR &&
               !(conn->told_count == ASK_TIMELINE && is_refusal(result))) {
        place_is_wrong(conn, PQresultErrorMessage(result));
    } else if (status == PGRES_PIPELINE_SYNC) {
        conn->is_asking = false;
        conn->is_told = conn->state == CONN_READY;
        conn->state = CONN_READY;
    }
}

/* Hands over what has arrived. On a dead connection libpq makes up errors without end: one is
 * enough. */
static void drain(leat_pg_conn *conn)
{
    bool was_end = false;
    while (is_connected(conn) && conn->open_syncs > 0 && !PQisBusy(conn->pg)) {
        PGresult *result = PQgetResult(conn->pg);
        bool is_dead = PQstatus(conn->pg) == CONNECTION_BAD;
        if (!result && (was_end || is_dead))
            return;
        was_end = !result;
        note_result(conn, result);
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
    const char *fault = NULL;
    if (left < 0)
        fault = PQerrorMessage(conn->pg);
    else if (watch(conn, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE) < 0)
        fault = "the socket cannot be watched";
    if (fault && is_attempt(conn))
        place_failed(conn, fault);
    else if (fault)
        break_later(conn, fault);
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

static void lose(leat_pg_conn *conn, const char *message)
{
    if (is_attempt(conn))
        place_failed(conn, message);
    else
        close_with(conn, message);
}

static void read_answers(leat_pg_conn *conn)
{
    bool was_ready = conn->state == CONN_READY;
    if (was_ready || leat_pg_hosts_is_at_good(conn->hosts))
        conn->heard_us = now_us(conn);
    if (was_ready)
        conn->since_us = conn->heard_us;
    PQconsumeInput(conn->pg); /* a failure shows in the status; what came before it still counts */
    drain(conn);
    if (!is_connected(conn))
        return;
    (void)PQisBusy(conn->pg); /* of what comes unasked, libpq makes notices in here */
    if (conn->is_wrong || PQstatus(conn->pg) == CONNECTION_BAD) {
        lose(conn, PQerrorMessage(conn->pg));
    } else if (conn->state == CONN_READY && !was_ready) {
        conn->heard_us = now_us(conn);
        leat_pg_hosts_end(conn->hosts, true);
        conn->events.opened(conn->events.context);
    } else if (was_ready) {
        hand_over(conn);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    leat_pg_conn *conn = poll->data;
    if (conn->state == CONN_LOOKING)
        try_next(conn);
    else if (conn->state == CONN_CONNECTING)
        advance_attempt(conn);
    else if (is_connected(conn) && status < 0)
        lose(conn, uv_strerror(status));
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

void leat_pg_conn_execute(leat_pg_conn *conn, const char *name, uint32_t count,
                          const char *const *values, const int *sizes)
{
    LEAT_ASSERT(count <= LEAT_STATEMENT_PARAMS_MAX);
    if (can_send(conn) &&
        !PQsendQueryPrepared(conn->pg, name, (int)count, values, sizes, formats, 1))
        break_later(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_query(leat_pg_conn *conn, const char *sql, uint32_t count,
                        const char *const *values, const int *sizes)
{
    LEAT_ASSERT(count <= LEAT_STATEMENT_PARAMS_MAX);
    if (can_send(conn) &&
        !PQsendQueryParams(conn->pg, sql, (int)count, NULL, values, sizes, formats, 1))
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
    if (conn->open_syncs++ == 0)
        conn->since_us = now_us(conn);
    flush(conn);
}

/* ---- life ---- */

leat_pg_conn *leat_pg_conn_new(uv_loop_t *loop, leat_pg_dsn *dsn, leat_standstill *standstill,
                               int64_t silence_ms, const leat_pg_conn_events *events)
{
    leat_pg_conn *conn = leat_must_calloc(1, sizeof *conn);
    conn->loop = loop;
    conn->standstill = standstill;
    conn->silence_us = silence_ms * 1000;
    conn->hosts = leat_pg_hosts_new(dsn);
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
    conn->since_us = now_us(conn);
    if (send_which_server(conn))
        flush(conn);
    else
        break_later(conn, PQerrorMessage(conn->pg));
}

bool leat_pg_conn_is_asking(const leat_pg_conn *conn)
{
    return conn->is_asking;
}

static bool owes_answer(const leat_pg_conn *conn)
{
    return conn->state == CONN_READY && conn->open_syncs > 0;
}

int64_t leat_pg_conn_waits_since_us(const leat_pg_conn *conn)
{
    return owes_answer(conn) ? conn->since_us : 0;
}

int64_t leat_pg_conn_heard_us(const leat_pg_conn *conn)
{
    return conn->heard_us;
}

const char *leat_pg_conn_where(const leat_pg_conn *conn)
{
    return conn->where;
}

bool leat_pg_conn_is_pooled(const leat_pg_conn *conn)
{
    return conn->is_pooled;
}

/* What was sent is not acknowledged, not by the server but by its machine. One that is slow or
 * stopped does acknowledge, and so does one that has no room for more. Where it cannot be told (a
 * Unix socket) it is not so. */
static bool is_unacknowledged(const leat_pg_conn *conn)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(PQsocket(conn->pg), IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    return info.tcpi_unacked > 0 && info.tcpi_last_ack_recv > NETWORK_SILENCE_MS;
}

static void tick_attempt(leat_pg_conn *conn, int64_t waited_us)
{
    if (waited_us <= leat_pg_hosts_limit_ms(conn->hosts) * 1000)
        return;
    if (conn->state == CONN_LOOKING) {
        leat_pg_hosts_give_up(conn->hosts);
        try_next(conn);
    } else {
        place_is_silent(conn);
    }
}

static void tick_wait(leat_pg_conn *conn, int64_t waited_us)
{
    char message[128];
    /* Behind a pooler a question waits for a session as all else does. */
    bool is_late = waited_us > conn->silence_us ||
                   (conn->is_asking && !conn->is_pooled && waited_us > ANSWER_MS * 1000);
    conn->unacknowledged_ticks = is_unacknowledged(conn) ? conn->unacknowledged_ticks + 1 : 0;
    if (is_late) {
        snprintf(message, sizeof message, "no answer from the server for %lld s",
                 (long long)(waited_us / 1000000));
        close_with(conn, message);
    } else if (conn->unacknowledged_ticks >= NETWORK_TICKS) {
        snprintf(message, sizeof message, "the network has acknowledged nothing for %d s",
                 NETWORK_SILENCE_MS / 1000);
        close_with(conn, message);
    }
}

void leat_pg_conn_tick(leat_pg_conn *conn)
{
    int64_t waited_us = now_us(conn) - conn->since_us;
    if (is_attempt(conn))
        tick_attempt(conn, waited_us);
    else if (owes_answer(conn))
        tick_wait(conn, waited_us);
}
