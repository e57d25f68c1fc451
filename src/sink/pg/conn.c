/*
 * conn.c - a connection's states, its end and its time limits. libpq never waits here: its socket
 * is watched by the loop, and each step goes on where the socket allows it. A failure inside a call
 * that the owner makes is only kept (BROKEN) and reported by leat_pg_conn_settle on a later turn,
 * so that no owner is called back from inside its own call. leat's own limits give up a silent
 * server, because TCP's take minutes and do not notice a server whose processes are stopped.
 */
#include "sink/pg/conn_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/states.h"

enum {
    ANSWER_MS = 10000, /* for the answer to which server it is, the quickest question there is */
    NETWORK_SILENCE_MS = 10000, /* a running machine acknowledges data sooner */
    NETWORK_TICKS = 3, /* in a row: data that arrived during a pause may not have been read yet */
};

/* Which states may follow which. An attempt goes from place to place, and back to names that are
 * still being looked up; it ends at READY or, when all places failed, at BROKEN. Any state can be
 * closed by leat_pg_conn_free. */
static const unsigned may_follow[] = {
    [CONN_CLOSED] = LEAT_TO(CONN_LOOKUP) | LEAT_TO(CONN_CONNECTING) | LEAT_TO(CONN_BROKEN),
    [CONN_LOOKUP] = LEAT_TO(CONN_LOOKUP) | LEAT_TO(CONN_CONNECTING) | LEAT_TO(CONN_BROKEN) |
                    LEAT_TO(CONN_CLOSED),
    [CONN_CONNECTING] = LEAT_TO(CONN_CONNECTING) | LEAT_TO(CONN_LOOKUP) | LEAT_TO(CONN_ASKING) |
                        LEAT_TO(CONN_BROKEN) | LEAT_TO(CONN_CLOSED),
    [CONN_ASKING] = LEAT_TO(CONN_CONNECTING) | LEAT_TO(CONN_LOOKUP) | LEAT_TO(CONN_READY) |
                    LEAT_TO(CONN_BROKEN) | LEAT_TO(CONN_CLOSED),
    [CONN_READY] = LEAT_TO(CONN_BROKEN) | LEAT_TO(CONN_CLOSED),
    [CONN_BROKEN] = LEAT_TO(CONN_CLOSED),
};

void leat_pg_conn_enter(leat_pg_conn *conn, conn_state state)
{
    LEAT_ASSERT(!conn->freed);
    LEAT_ASSERT(leat_may_follow(may_follow, conn->state, state));
    conn->state = state;
}

/* ---- the socket ---- */

static void release_if_done(leat_pg_conn *conn)
{
    if (!conn->freed || conn->open_polls > 0)
        return;
    LEAT_ASSERT(!conn->pg && !conn->poll);
    leat_pg_conn_events events = conn->events;
    leat_pg_hosts_free(conn->hosts);
    free(conn);
    events.freed(events.context);
}

static void on_poll_closed(uv_handle_t *handle)
{
    LEAT_ASSERT(((leat_pg_conn *)handle->data)->open_polls > 0);
    leat_pg_conn *conn = handle->data;
    free(handle);
    conn->open_polls--;
    release_if_done(conn);
}

void leat_pg_conn_unwatch(leat_pg_conn *conn)
{
    if (!conn->poll)
        return;
    uv_close((uv_handle_t *)conn->poll, on_poll_closed);
    conn->poll = NULL;
    conn->poll_events = 0;
}

static int watch_socket(leat_pg_conn *conn, int fd)
{
    LEAT_ASSERT(fd >= 0 && !conn->poll);
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
int leat_pg_conn_watch_fd(leat_pg_conn *conn, int fd, int events)
{
    LEAT_ASSERT(events != 0);
    if (conn->poll && conn->poll_fd != fd)
        leat_pg_conn_unwatch(conn);
    if (!conn->poll && (fd < 0 || watch_socket(conn, fd) < 0))
        return -1;
    if (conn->poll_events == events)
        return 0;
    conn->poll_events = events;
    return uv_poll_start(conn->poll, events, leat_pg_conn_on_poll) < 0 ? -1 : 0;
}

int leat_pg_conn_watch(leat_pg_conn *conn, int events)
{
    LEAT_ASSERT(conn->pg);
    return leat_pg_conn_watch_fd(conn, PQsocket(conn->pg), events);
}

/* ---- ends ---- */

void leat_pg_conn_drop_server(leat_pg_conn *conn)
{
    leat_pg_conn_unwatch(conn);
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->open_syncs = 0;
    conn->is_asking = false;
    conn->has_server_answer = false;
    conn->is_unfit = false;
    conn->unacknowledged_ticks = 0;
}

static void drop(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state != CONN_CLOSED);
    leat_pg_conn_drop_server(conn);
    leat_pg_hosts_end(conn->hosts, false);
    leat_pg_conn_enter(conn, CONN_CLOSED);
}

/* The server's own reason, if it gave one; else the first line of libpq's, whose further lines are
 * guesses. */
static void keep_message(leat_pg_conn *conn, const char *message)
{
    const char *text = conn->server_error[0] ? conn->server_error : message;
    snprintf(conn->message, sizeof conn->message, "%.*s", (int)strcspn(text, "\n"), text);
}

void leat_pg_conn_close(leat_pg_conn *conn, const char *message)
{
    LEAT_ASSERT(conn->state == CONN_READY);
    keep_message(conn, message);
    drop(conn);
    conn->events.closed(conn->events.context, conn->sqlstate, conn->message);
}

void leat_pg_conn_break(leat_pg_conn *conn, const char *message)
{
    if (conn->state == CONN_BROKEN || conn->state == CONN_CLOSED)
        return;
    keep_message(conn, message);
    leat_pg_conn_enter(conn, CONN_BROKEN);
    conn->events.wake(conn->events.context);
}

void leat_pg_conn_settle(leat_pg_conn *conn)
{
    LEAT_ASSERT(!conn->freed);
    if (conn->state != CONN_BROKEN)
        return;
    drop(conn);
    conn->events.closed(conn->events.context, conn->sqlstate, conn->message);
}

/* ---- life ---- */

leat_pg_conn *leat_pg_conn_new(uv_loop_t *loop, leat_pg_dsn *dsn, leat_standstill *standstill,
                               int64_t silence_ms, const leat_pg_conn_events *events)
{
    LEAT_ASSERT(silence_ms > 0);
    LEAT_ASSERT(events->opened && events->closed && events->wake && events->freed);
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
    if (conn->state != CONN_CLOSED)
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

/* ---- time limits ---- */

/* Does the server's machine leave sent data unacknowledged? The machine of a slow or stopped server
 * still acknowledges, even when it has no room for more. A Unix socket has no such information:
 * false. */
static bool is_unacknowledged(const leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->pg);
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(PQsocket(conn->pg), IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    return info.tcpi_unacked > 0 && info.tcpi_last_ack_recv > NETWORK_SILENCE_MS;
}

static void tick_attempt(leat_pg_conn *conn, int64_t waited_us)
{
    LEAT_ASSERT(leat_pg_conn_is_attempt(conn));
    if (waited_us <= leat_pg_hosts_limit_ms(conn->hosts) * 1000)
        return;
    if (conn->state == CONN_LOOKUP) {
        leat_pg_hosts_give_up(conn->hosts);
        leat_pg_conn_try_next(conn);
    } else {
        leat_pg_conn_place_silent(conn);
    }
}

static void tick_wait(leat_pg_conn *conn, int64_t waited_us)
{
    LEAT_ASSERT(conn->state == CONN_READY && conn->open_syncs > 0);
    char message[128];
    /* Behind a pooler a question waits for a free session like every other command. */
    bool is_late = waited_us > conn->silence_us ||
                   (conn->is_asking && !conn->is_pooled && waited_us > ANSWER_MS * 1000);
    conn->unacknowledged_ticks = is_unacknowledged(conn) ? conn->unacknowledged_ticks + 1 : 0;
    if (is_late) {
        snprintf(message, sizeof message, "no answer from the server for %lld s",
                 (long long)(waited_us / 1000000));
        leat_pg_conn_close(conn, message);
    } else if (conn->unacknowledged_ticks >= NETWORK_TICKS) {
        snprintf(message, sizeof message, "the network has acknowledged nothing for %d s",
                 NETWORK_SILENCE_MS / 1000);
        leat_pg_conn_close(conn, message);
    }
}

void leat_pg_conn_tick(leat_pg_conn *conn)
{
    LEAT_ASSERT(!conn->freed);
    int64_t waited_us = leat_pg_conn_now_us(conn) - conn->since_us;
    if (leat_pg_conn_is_attempt(conn))
        tick_attempt(conn, waited_us);
    else if (owes_answer(conn))
        tick_wait(conn, waited_us);
}
