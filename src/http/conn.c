#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"

enum { KEEP_OUT_BYTES = 64 * 1024 };

bool http_conn_is_idle(const http_conn *conn)
{
    return conn->stage == HTTP_CONN_OPEN && !conn->first && conn->out.size == 0 &&
           conn->pending.size == 0;
}

void http_conn_mark_dirty(http_conn *conn)
{
    if (conn->dirty || conn->stage == HTTP_CONN_CLOSING)
        return;
    conn->dirty = true;
    TAILQ_INSERT_TAIL(&conn->server->dirty, conn, dirty_link);
}

static void unmark_dirty(http_conn *conn)
{
    if (!conn->dirty)
        return;
    conn->dirty = false;
    TAILQ_REMOVE(&conn->server->dirty, conn, dirty_link);
}

static void on_closed(uv_handle_t *handle)
{
    http_conn *conn = handle->data;
    leat_http_server *server = conn->server;
    leat_buf_free(&conn->pending);
    leat_buf_free(&conn->out);
    free(conn);
    http_server_closed_one(server);
}

/* Requests their owner still holds lose their connection; the others go back. */
static void let_requests_go(http_conn *conn)
{
    while (conn->first) {
        leat_http_request *request = conn->first;
        conn->first = request->next;
        request->next = NULL;
        request->conn = NULL;
        if (request->stage != HTTP_HANDED)
            http_request_recycle(request);
    }
    conn->last = NULL;
    conn->current = NULL;
    conn->waiting = 0;
}

void http_conn_close(http_conn *conn)
{
    if (conn->stage == HTTP_CONN_CLOSING)
        return;
    conn->stage = HTTP_CONN_CLOSING;
    let_requests_go(conn);
    unmark_dirty(conn);
    LIST_REMOVE(conn, all);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->fd);
    conn->fd = -1;
    http_server_conn_gone(conn->server);
}

static int wanted_events(const http_conn *conn)
{
    if (conn->stage == HTTP_CONN_LINGER)
        return UV_READABLE;
    int events = conn->blocked ? UV_WRITABLE : 0;
    bool takes = !conn->eof && !conn->no_more && !conn->blocked && conn->pending.size == 0 &&
                 conn->waiting < conn->server->config.pipeline_max;
    return takes ? events | UV_READABLE : events;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void update_events(http_conn *conn)
{
    if (conn->stage == HTTP_CONN_CLOSING)
        return;
    int events = wanted_events(conn);
    if (events == conn->events)
        return;
    conn->events = events;
    int code = events ? uv_poll_start(&conn->poll, events, on_poll) : uv_poll_stop(&conn->poll);
    LEAT_ASSERT(code == 0);
}

/* Everything is sent and nothing is to come. A close now would answer bytes still on their way with
 * a reset, which can take the last answer from the client's hands: our side is shut, and theirs is
 * read away until it ends too. */
static void begin_linger(http_conn *conn)
{
    if (conn->eof || shutdown(conn->fd, SHUT_WR) != 0) {
        http_conn_close(conn);
        return;
    }
    conn->stage = HTTP_CONN_LINGER;
    conn->linger_since = http_now_ms(conn->server);
}

/* What came while too many requests waited. */
static void parse_pending(http_conn *conn)
{
    if (conn->pending.size == 0)
        return;
    size_t left = conn->pending.size - conn->pending_at;
    conn->pending_at += http_parse(conn, conn->pending.data + conn->pending_at, left);
    if (conn->pending_at == conn->pending.size || conn->no_more) {
        leat_buf_clear(&conn->pending);
        conn->pending_at = 0;
    }
}

/* False: not all went, or the connection is gone. */
static bool send_out(http_conn *conn)
{
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
    conn->sent = 0;
    conn->blocked_since = 0;
    if (conn->out.capacity > KEEP_OUT_BYTES)
        leat_buf_free(&conn->out);
    else
        leat_buf_clear(&conn->out);
    parse_pending(conn);
    if (conn->stage != HTTP_CONN_OPEN || conn->out.size > 0 || conn->first) {
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
    if (conn->stage != HTTP_CONN_OPEN || conn->blocked)
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

/* The client has shut its side: what is whole is still answered, a piece of a request is
 * dropped. */
static void on_eof(http_conn *conn)
{
    conn->eof = true;
    conn->no_more = true;
    leat_http_request *piece = conn->current;
    if (piece) {
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
    if (conn->stage == HTTP_CONN_LINGER || conn->no_more)
        return;
    size_t used = http_parse(conn, data, size);
    if (conn->stage != HTTP_CONN_OPEN)
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
    else if (got == 0 && conn->stage == HTTP_CONN_OPEN)
        on_eof(conn);
    else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        http_conn_close(conn);
}

void http_conn_read(http_conn *conn)
{
    if (conn->stage != HTTP_CONN_CLOSING && (conn->events & UV_READABLE))
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
