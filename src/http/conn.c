/*
 * conn.c - the bytes of one connection, in and out. Answers are not sent where they are given: they
 * gather in `out`, the connection is marked dirty, and the server sends once before its loop
 * sleeps, so a pipeline of a hundred small answers costs one send. The poll handle's events give
 * backpressure: while the socket takes no more, or the client has too many requests waiting,
 * nothing is read, and the client's own TCP slows it down. Any callback of the owner may close the
 * connection, so its state is checked again after each.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"

#include "base/states.h"

enum { KEEP_OUT_BYTES = 64 * 1024 };

/* ---- states ---- */

static const unsigned may_follow[] = {
    [HTTP_CONN_OPEN] = LEAT_TO(HTTP_CONN_LINGER) | LEAT_TO(HTTP_CONN_CLOSING),
    [HTTP_CONN_LINGER] = LEAT_TO(HTTP_CONN_CLOSING),
    [HTTP_CONN_CLOSING] = 0,
};

static void enter(http_conn *conn, http_conn_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, conn->state, state));
    conn->state = state;
}

bool http_conn_is_idle(const http_conn *conn)
{
    return conn->state == HTTP_CONN_OPEN && !conn->first && conn->out.size == 0 &&
           conn->pending.size == 0;
}

void http_conn_mark_dirty(http_conn *conn)
{
    if (conn->dirty || conn->state == HTTP_CONN_CLOSING)
        return;
    conn->dirty = true;
    TAILQ_INSERT_TAIL(&conn->server->dirty, conn, dirty_link);
}

static void unmark_dirty(http_conn *conn)
{
    if (!conn->dirty)
        return;
    LEAT_ASSERT(!TAILQ_EMPTY(&conn->server->dirty));
    conn->dirty = false;
    TAILQ_REMOVE(&conn->server->dirty, conn, dirty_link);
}

static void on_closed(uv_handle_t *handle)
{
    http_conn *conn = handle->data;
    leat_http_server *server = conn->server;
    LEAT_ASSERT(conn->state == HTTP_CONN_CLOSING && !conn->first && !conn->dirty);
    leat_buf_free(&conn->pending);
    leat_buf_free(&conn->out);
    free(conn);
    http_server_closed_one(server);
}

/* Requests that their owner still holds lose their connection; the others go back to the pool. */
static void release_requests(http_conn *conn)
{
    while (conn->first) {
        leat_http_request *request = conn->first;
        LEAT_ASSERT(request->conn == conn);
        conn->first = request->next;
        request->next = NULL;
        request->conn = NULL;
        if (request->state != HTTP_HANDED)
            http_request_recycle(request);
    }
    conn->last = NULL;
    conn->current = NULL;
    conn->waiting = 0;
}

void http_conn_close(http_conn *conn)
{
    if (conn->state == HTTP_CONN_CLOSING)
        return;
    enter(conn, HTTP_CONN_CLOSING);
    release_requests(conn);
    unmark_dirty(conn);
    LIST_REMOVE(conn, all);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->fd);
    conn->fd = -1;
    http_server_conn_gone(conn->server);
}

static int wanted_events(const http_conn *conn)
{
    LEAT_ASSERT(conn->state != HTTP_CONN_CLOSING);
    if (conn->state == HTTP_CONN_LINGER)
        return UV_READABLE;
    int events = conn->blocked ? UV_WRITABLE : 0;
    bool takes = !conn->eof && !conn->no_more && !conn->blocked && conn->pending.size == 0 &&
                 conn->waiting < conn->server->config.pipeline_max;
    return takes ? events | UV_READABLE : events;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void update_events(http_conn *conn)
{
    if (conn->state == HTTP_CONN_CLOSING)
        return;
    int events = wanted_events(conn);
    if (events == conn->events)
        return;
    conn->events = events;
    int code = events ? uv_poll_start(&conn->poll, events, on_poll) : uv_poll_stop(&conn->poll);
    LEAT_ASSERT(code == 0);
}

/* Everything is sent and no more answers follow. A close now would answer bytes that are still on
 * their way with a reset, and a reset can make the client's kernel drop the last answer unread. So
 * our side is shut, and the client's bytes are discarded until its side ends too. */
static void begin_linger(http_conn *conn)
{
    LEAT_ASSERT(!conn->first && conn->out.size == 0);
    if (conn->eof || shutdown(conn->fd, SHUT_WR) != 0) {
        http_conn_close(conn);
        return;
    }
    enter(conn, HTTP_CONN_LINGER);
    conn->linger_since = http_now_ms(conn->server);
}

/* The bytes that came while too many requests waited. */
static void parse_pending(http_conn *conn)
{
    if (conn->pending.size == 0)
        return;
    LEAT_ASSERT(conn->pending_at < conn->pending.size);
    size_t left = conn->pending.size - conn->pending_at;
    conn->pending_at += http_parse(conn, conn->pending.data + conn->pending_at, left);
    if (conn->pending_at == conn->pending.size || conn->no_more) {
        leat_buf_clear(&conn->pending);
        conn->pending_at = 0;
    }
}

/* False: not all was sent, or the connection is closed. */
static bool send_out(http_conn *conn)
{
    LEAT_ASSERT(conn->fd >= 0 && conn->sent <= conn->out.size);
    while (conn->sent < conn->out.size) {
        ssize_t sent =
            send(conn->fd, conn->out.data + conn->sent, conn->out.size - conn->sent, MSG_NOSIGNAL);
        if (sent >= 0) {
            conn->sent += (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            http_conn_close(conn);
            return false;
        }
        conn->blocked = true;
        update_events(conn);
        return false;
    }
    return true;
}

static void after_send(http_conn *conn)
{
    LEAT_ASSERT(conn->sent == conn->out.size && !conn->blocked);
    conn->sent = 0;
    conn->blocked_since = 0;
    if (conn->out.capacity > KEEP_OUT_BYTES)
        leat_buf_free(&conn->out);
    else
        leat_buf_clear(&conn->out);
    parse_pending(conn);
    if (conn->state != HTTP_CONN_OPEN || conn->out.size > 0 || conn->first) {
        update_events(conn);
        return;
    }
    conn->idle_since = http_now_ms(conn->server);
    if (conn->no_more || conn->server->draining)
        begin_linger(conn);
    update_events(conn);
}

void http_conn_flush(http_conn *conn)
{
    unmark_dirty(conn);
    if (conn->state != HTTP_CONN_OPEN || conn->blocked)
        return;
    if (conn->out.failed) {
        http_conn_close(conn);
        return;
    }
    if (send_out(conn))
        after_send(conn);
    else if (conn->blocked && conn->blocked_since == 0)
        conn->blocked_since = http_now_ms(conn->server);
}

/* The client has shut its side: whole requests are still answered, a piece of one is dropped. */
static void on_eof(http_conn *conn)
{
    conn->eof = true;
    conn->no_more = true;
    leat_http_request *piece = conn->current;
    if (piece) {
        LEAT_ASSERT(piece == conn->last && piece->state == HTTP_READING);
        leat_http_request **link = &conn->first;
        leat_http_request *before = NULL;
        while (*link != piece) {
            before = *link;
            link = &before->next;
        }
        *link = NULL;
        conn->last = before;
        conn->current = NULL;
        http_request_recycle(piece);
    }
    if (!conn->first && conn->out.size == 0)
        http_conn_close(conn);
    else
        update_events(conn);
}

static void take_bytes(http_conn *conn, const char *data, size_t size)
{
    LEAT_ASSERT(size > 0 && conn->state != HTTP_CONN_CLOSING);
    if (conn->state == HTTP_CONN_LINGER || conn->no_more)
        return;
    size_t used = http_parse(conn, data, size);
    if (conn->state != HTTP_CONN_OPEN)
        return;
    if (used < size && !conn->no_more) {
        leat_buf_append(&conn->pending, data + used, size - used);
        if (conn->pending.failed) {
            http_conn_close(conn);
            return;
        }
    }
    update_events(conn);
}

static void on_readable(http_conn *conn)
{
    leat_http_server *server = conn->server;
    ssize_t got = recv(conn->fd, server->read_buffer, sizeof server->read_buffer, 0);
    if (got > 0)
        take_bytes(conn, server->read_buffer, (size_t)got);
    else if (got == 0 && conn->state == HTTP_CONN_OPEN)
        on_eof(conn);
    else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        http_conn_close(conn);
}

void http_conn_read(http_conn *conn)
{
    if (conn->state != HTTP_CONN_CLOSING && (conn->events & UV_READABLE))
        on_readable(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    http_conn *conn = poll->data;
    if (status < 0) {
        http_conn_close(conn);
        return;
    }
    if (events & UV_WRITABLE) {
        conn->blocked = false;
        http_conn_flush(conn);
    }
    if (events & UV_READABLE)
        http_conn_read(conn);
}

http_conn *http_conn_new(leat_http_server *server, int fd)
{
    LEAT_ASSERT(fd >= 0 && !server->closing);
    http_conn *conn = calloc(1, sizeof *conn);
    if (!conn || uv_poll_init(server->loop, &conn->poll, fd) != 0) {
        free(conn);
        close(fd);
        return NULL;
    }
    conn->poll.data = conn;
    conn->server = server;
    conn->fd = fd;
    conn->idle_since = http_now_ms(server);
    llhttp_init(&conn->parser, HTTP_REQUEST, &server->settings);
    conn->parser.data = conn;
    LIST_INSERT_HEAD(&server->conns, conn, all);
    server->conn_count++;
    server->handles++;
    update_events(conn);
    return conn;
}
