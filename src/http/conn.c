/*
 * conn.c - the bytes of one connection, in and out. Answers are not sent where they are given: they
 * gather in `out`, the connection is marked dirty, and the server sends once before its loop
 * sleeps, so a pipeline of a hundred small answers costs one send. The poll handle's events give
 * backpressure: while the socket takes no more, or the client has too many requests waiting,
 * nothing is read, and the client's own TCP slows it down. Any callback of the owner may close the
 * connection, so its state is checked again after each.
 *
 * The first bytes tell which protocol it is: HTTP/2 begins with a preface that no request of
 * HTTP/1.1 begins with. It may come in pieces, and until it differs nothing is parsed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
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
    return conn->state == HTTP_CONN_OPEN && !conn->first && http_conn_unsent(conn) == 0 &&
           conn->pending.size == 0 && (!conn->h2 || http_h2_is_idle(conn));
}

size_t http_conn_unsent(const http_conn *conn)
{
    return conn->out.size + conn->wire.size - conn->sent;
}

/* What goes to the socket. */
static leat_buf *wire_of(http_conn *conn)
{
    return conn->tls ? &conn->wire : &conn->out;
}

void http_conn_drop_sent(http_conn *conn)
{
    leat_buf *wire = wire_of(conn);
    if (conn->sent < KEEP_OUT_BYTES)
        return;
    memmove(wire->data, wire->data + conn->sent, wire->size - conn->sent);
    wire->size -= conn->sent;
    conn->sent = 0;
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
    http_h2_free(conn);
    http_tls_free(conn);
    leat_buf_free(&conn->pending);
    leat_buf_free(&conn->out);
    leat_buf_free(&conn->wire);
    free(conn);
    http_server_closed_one(server);
}

/* Requests that their owner still holds lose their connection; the others go back to the pool.
 * Owners that are told of it may do anything, so nothing of the connection is used afterwards. */
static void release_requests(http_conn *conn)
{
    while (conn->first) {
        leat_http_request *request = conn->first;
        LEAT_ASSERT(request->conn == conn);
        conn->first = request->next;
        if (request->state == HTTP_HANDED)
            http_lose_client(request);
        else
            http_request_recycle(request);
    }
    conn->last = NULL;
    conn->current = NULL;
    conn->waiting = 0;
    if (conn->h2)
        http_h2_release(conn);
    http_tell_gone(conn->server);
}

void http_conn_close(http_conn *conn)
{
    if (conn->state == HTTP_CONN_CLOSING)
        return;
    enter(conn, HTTP_CONN_CLOSING);
    unmark_dirty(conn);
    LIST_REMOVE(conn, all);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->fd);
    conn->fd = -1;
    http_server_conn_gone(conn->server);
    release_requests(conn);
}

static int wanted_events(const http_conn *conn)
{
    LEAT_ASSERT(conn->state != HTTP_CONN_CLOSING);
    if (conn->state == HTTP_CONN_LINGER)
        return UV_READABLE;
    int events = conn->blocked ? UV_WRITABLE : 0;
    if (conn->slow > 0 && !conn->left)
        events |= UV_DISCONNECT; /* for when nothing is read */
    bool takes = !conn->eof && !conn->blocked;
    if (conn->h2)
        takes = takes && http_h2_takes(conn);
    else
        takes = takes && !conn->no_more && conn->pending.size == 0 &&
                conn->waiting < conn->server->config.pipeline_max && http_window_is_open(conn);
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
    LEAT_ASSERT(!conn->first && http_conn_unsent(conn) == 0);
    if (conn->tls && http_tls_end(conn)) { /* comes back here when it is sent */
        http_conn_mark_dirty(conn);
        return;
    }
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

/* An answer in pieces is on its way. */
static bool is_streaming(const http_conn *conn)
{
    return conn->first && conn->first->answer_begun;
}

/* False: not all was sent, or the connection is closed. */
static bool send_out(http_conn *conn)
{
    const leat_buf *wire = wire_of(conn);
    LEAT_ASSERT(conn->fd >= 0 && conn->sent <= wire->size);
    while (conn->sent < wire->size) {
        ssize_t sent =
            send(conn->fd, wire->data + conn->sent, wire->size - conn->sent, MSG_NOSIGNAL);
        if (sent >= 0) {
            conn->sent += (size_t)sent;
            if (sent >= LEAT_HTTP_STREAM_PROGRESS && conn->blocked_since != 0 && is_streaming(conn))
                conn->blocked_since = http_now_ms(conn->server);
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

static void after_send_1(http_conn *conn)
{
    if (is_streaming(conn) && conn->server->config.hooks.on_room)
        conn->server->config.hooks.on_room(conn->server->context, conn->first);
    if (conn->state == HTTP_CONN_OPEN)
        parse_pending(conn);
    if (conn->state != HTTP_CONN_OPEN || conn->out.size > 0 || conn->first)
        return;
    conn->idle_since = http_now_ms(conn->server);
    if (conn->no_more || conn->server->draining)
        begin_linger(conn);
}

static void after_send_h2(http_conn *conn)
{
    http_h2_tell_room(conn);
    if (conn->state != HTTP_CONN_OPEN)
        return;
    if (http_h2_has_more(conn))
        http_conn_mark_dirty(conn);
    else if (http_h2_is_done(conn))
        begin_linger(conn);
}

static void after_send(http_conn *conn)
{
    leat_buf *wire = wire_of(conn);
    LEAT_ASSERT(conn->sent == wire->size && !conn->blocked);
    conn->sent = 0;
    conn->blocked_since = 0;
    if (wire->capacity > KEEP_OUT_BYTES)
        leat_buf_free(wire);
    else
        leat_buf_clear(wire);
    if (conn->h2)
        after_send_h2(conn);
    else
        after_send_1(conn);
    update_events(conn);
}

void http_conn_flush(http_conn *conn)
{
    unmark_dirty(conn);
    if (conn->state != HTTP_CONN_OPEN || conn->blocked)
        return;
    if (conn->h2)
        http_h2_produce(conn);
    if (conn->state != HTTP_CONN_OPEN)
        return; /* closed by an owner that was told of a lost stream */
    if (conn->tls)
        http_tls_write(conn);
    if (conn->out.failed || conn->wire.failed) {
        http_conn_close(conn);
        return;
    }
    if (send_out(conn))
        after_send(conn);
    else if (conn->blocked && conn->blocked_since == 0)
        conn->blocked_since = http_now_ms(conn->server);
}

/* The client has shut its side: whole requests are still answered, a piece of one is dropped. */
void http_conn_end_input(http_conn *conn)
{
    conn->eof = true;
    conn->no_more = true;
    if (conn->h2)
        http_h2_on_eof(conn);
    if (conn->current)
        http_break_off(conn);
    if (conn->state == HTTP_CONN_OPEN)
        http_client_left(conn);
    if (conn->state != HTTP_CONN_OPEN)
        return;
    bool is_empty = !conn->first && (!conn->h2 || http_h2_is_idle(conn));
    if (is_empty && http_conn_unsent(conn) == 0)
        http_conn_close(conn);
    else
        update_events(conn);
}

/* ---- bytes in ---- */

static void take_1(http_conn *conn, const char *data, size_t size)
{
    if (conn->no_more || size == 0)
        return;
    size_t used = conn->pending.size > 0 ? 0 : http_parse(conn, data, size);
    if (conn->state != HTTP_CONN_OPEN || used == size || conn->no_more)
        return;
    leat_buf_append(&conn->pending, data + used, size - used);
    if (conn->pending.failed)
        http_conn_close(conn);
}

static const leat_slice preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};

/* What was taken for a part of the preface is given to whoever it turns out to be for. */
void http_conn_begin(http_conn *conn, http_protocol protocol)
{
    LEAT_ASSERT(conn->protocol == HTTP_UNKNOWN && protocol != HTTP_UNKNOWN);
    conn->protocol = protocol;
    if (protocol == HTTP_1) {
        conn->server->counters.http_1++;
        take_1(conn, preface.data, conn->preface_size);
    } else if (!http_h2_begin(conn)) {
        http_conn_close(conn);
    } else if (conn->preface_size > 0) {
        http_h2_receive(conn, preface.data, conn->preface_size);
    }
}

/* Returns how many bytes belong to the preface. */
static size_t find_protocol(http_conn *conn, const char *data, size_t size)
{
    size_t used = 0;
    if (conn->preface_size == 0)
        conn->header_since = http_now_ms(conn->server);
    while (used < size && conn->preface_size < preface.size &&
           data[used] == preface.data[conn->preface_size]) {
        used++;
        conn->preface_size++;
    }
    if (conn->preface_size == preface.size)
        http_conn_begin(conn, HTTP_2);
    else if (used < size)
        http_conn_begin(conn, HTTP_1);
    return used;
}

void http_conn_take(http_conn *conn, const char *data, size_t size)
{
    LEAT_ASSERT(size > 0);
    size_t used = 0;
    if (conn->state == HTTP_CONN_OPEN && conn->protocol == HTTP_UNKNOWN)
        used = find_protocol(conn, data, size);
    if (conn->state != HTTP_CONN_OPEN || used == size)
        return;
    if (conn->h2)
        http_h2_receive(conn, data + used, size - used);
    else
        take_1(conn, data + used, size - used);
}

static void take_bytes(http_conn *conn, const char *data, size_t size)
{
    LEAT_ASSERT(conn->state != HTTP_CONN_CLOSING);
    if (conn->state == HTTP_CONN_LINGER)
        return;
    if (conn->tls)
        http_tls_receive(conn, data, size);
    else
        http_conn_take(conn, data, size);
    update_events(conn);
}

static void on_readable(http_conn *conn)
{
    leat_http_server *server = conn->server;
    if (conn->tls && !http_tls_may_read(conn))
        return; /* they wait in the socket for the next turn */
    ssize_t got = recv(conn->fd, server->read_buffer, sizeof server->read_buffer, 0);
    if (got > 0)
        take_bytes(conn, server->read_buffer, (size_t)got);
    else if (got == 0 && conn->state == HTTP_CONN_OPEN)
        http_conn_end_input(conn);
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
    if (events & UV_READABLE) { /* the end of what is read tells that it has left, too */
        http_conn_read(conn);
    } else if ((events & UV_DISCONNECT) && conn->state == HTTP_CONN_OPEN) {
        http_client_left(conn);
        update_events(conn);
    }
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
    conn->protocol = server->config.streams_max > 0 || server->tls_context ? HTTP_UNKNOWN : HTTP_1;
    llhttp_init(&conn->parser, HTTP_REQUEST, &server->settings);
    conn->parser.data = conn;
    bool has_tls = !server->tls_context || http_tls_begin(conn);
    LIST_INSERT_HEAD(&server->conns, conn, all);
    server->conn_count++;
    server->handles++;
    if (!has_tls) {
        http_conn_close(conn);
        return NULL;
    }
    update_events(conn);
    return conn;
}
