/*
 * server.c - accepting, deadlines, draining, the end. Deadlines are checked by one sweep over all
 * connections, at most four times a second, instead of a timer for each: they are seconds long, a
 * sweep of ten thousand connections costs well under a millisecond, and a request that is on time
 * then touches no timer at all. All are measured by a clock that stands still with the loop
 * (standstill.h), so that nobody is cut off because this process was stopped.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/diag.h"
#include "http/tls.h"

enum {
    ACCEPTS_A_TURN = 64,
    ACCEPTS_AT_LAST = 4096, /* as many as the kernel keeps: listen.c */
    LAST_CALL_MS = 50,      /* for handshakes that have begun, and the first request after them */
    SWEEP_MIN_MS = 10,
    SWEEP_MAX_MS = 250,
};

void leat_http_config_defaults(leat_http_config *config)
{
    *config = (leat_http_config){
        .host = "127.0.0.1",
        .port = 8080,
        .header_max = 16 * 1024,
        .body_max = 64 * 1024,
        .header_timeout_ms = 5000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 90000,
        .connections_max = 4096,
        .pipeline_max = 64,
        .bodies_max = (size_t)256 * 1024 * 1024,
        .stream_window = (size_t)256 * 1024,
        .streams_max = 128,
        .frames_budget = 1000,
        .resets_budget = 1000,
    };
}

/* ---- the end ---- */

/* Not before every handle is closed and every request has come back from its owner. */
void http_server_maybe_free(leat_http_server *server)
{
    if (!server->closing || server->handles > 0 || server->handed > 0)
        return;
    LEAT_ASSERT(server->conn_count == 0 && server->bodies == 0);
    http_request_pool_free(server);
    http_h2_take_down(server);
    http_tls_take_down(server);
    free(server);
}

static void maybe_drained(leat_http_server *server)
{
    if (!server->draining || server->drained || server->conn_count > 0 || server->listen_fd >= 0)
        return;
    LEAT_ASSERT(LIST_EMPTY(&server->conns));
    server->drained = true;
    if (server->on_drained && !server->closing)
        server->on_drained(server->context);
}

void http_server_closed_one(leat_http_server *server)
{
    LEAT_ASSERT(server->handles > 0);
    server->handles--;
    maybe_drained(server);
    http_server_maybe_free(server);
}

void http_server_conn_gone(leat_http_server *server)
{
    LEAT_ASSERT(server->conn_count > 0);
    server->conn_count--;
    server->counters.open = server->conn_count;
}

static void on_handle_closed(uv_handle_t *handle)
{
    http_server_closed_one(handle->data);
}

static void close_listener(leat_http_server *server)
{
    if (server->listen_fd < 0)
        return;
    uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    close(server->listen_fd);
    server->listen_fd = -1;
    server->accepting = false;
}

/* ---- accepting ---- */

/* Over the limit a few connections still get an answer; the others are closed without one, because
 * an answer costs a connection too. */
static void add_connection(leat_http_server *server, int fd)
{
    LEAT_ASSERT(fd >= 0 && server->listen_fd >= 0);
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        leat_debug("TCP_NODELAY cannot be set port=%d reason=\"%s\"", server->port,
                   strerror(errno));
    if (server->conn_count >= (uint64_t)server->config.connections_max + LEAT_HTTP_REFUSED_MAX) {
        server->counters.refused++;
        close(fd);
        return;
    }
    bool refused = server->conn_count >= server->config.connections_max;
    if (refused && server->tls_context) { /* a handshake costs more than the answer is worth */
        server->counters.refused++;
        close(fd);
        return;
    }
    http_conn *conn = http_conn_new(server, fd);
    if (!conn)
        return;
    server->counters.open = server->conn_count;
    if (refused) {
        conn->refused = true;
        http_fail(conn, LEAT_HTTP_OVERLOADED, "too many connections");
    } else {
        server->counters.connections++;
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void resume_accepting(leat_http_server *server)
{
    if (server->accepting || server->listen_fd < 0)
        return;
    server->accepting = uv_poll_start(&server->listener, UV_READABLE, on_acceptable) == 0;
}

/* Out of descriptors or memory: the connection stays in the kernel's queue, and would wake the loop
 * again and again. The sweep tries later. */
static void pause_accepting(leat_http_server *server, int code)
{
    LEAT_ASSERT(server->accepting);
    if (leat_rate_limit_allows(&server->starved, (uint64_t)http_now_ms(server), strerror(code)))
        leat_warn("no connection can be accepted for now port=%d open=%u reason=\"%s\"",
                  server->port, server->conn_count, strerror(code));
    uv_poll_stop(&server->listener);
    server->accepting = false;
}

static void accept_waiting(leat_http_server *server, int most)
{
    for (int i = 0; i < most && server->listen_fd >= 0; i++) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            add_connection(server, fd);
            continue;
        }
        int code = errno;
        bool is_short = code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
        if (is_short && server->accepting)
            pause_accepting(server, code);
        if (code != EINTR && code != ECONNABORTED)
            return;
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    leat_http_server *server = poll->data;
    (void)events;
    if (status < 0) {
        server->accepting = false; /* libuv has stopped the handle */
        return;
    }
    accept_waiting(server, ACCEPTS_A_TURN);
}

/* ---- deadlines ---- */

static void time_out(http_conn *conn, const char *message)
{
    conn->server->counters.timeouts++;
    if (message)
        http_fail(conn, LEAT_HTTP_TIMEOUT, message);
    else
        http_conn_close(conn);
}

typedef enum deadline {
    IN_TIME,
    LINGERED,
    NOT_READ,
    NO_HANDSHAKE,
    HEADERS_LATE,
    BODY_LATE,
    DISCARD_LATE,
    IDLE
} deadline;

static deadline missed_deadline(const http_conn *conn, int64_t now)
{
    const leat_http_config *config = &conn->server->config;
    if (conn->state == HTTP_CONN_LINGER)
        return now - conn->linger_since >= HTTP_LINGER_MS ? LINGERED : IN_TIME;
    if (conn->state == HTTP_CONN_CLOSING)
        return IN_TIME;
    if (conn->blocked)
        return now - conn->blocked_since >= config->body_timeout_ms ? NOT_READ : IN_TIME;
    if (conn->tls && http_tls_is_late(conn, now))
        return NO_HANDSHAKE;
    if ((conn->current && !conn->headers_done) ||
        (conn->protocol == HTTP_UNKNOWN && conn->preface_size > 0))
        return now - conn->header_since >= config->header_timeout_ms ? HEADERS_LATE : IN_TIME;
    bool is_late = now - conn->body_since >= config->body_timeout_ms;
    if (conn->current) /* while its owner holds it up, the client is not late */
        return is_late && http_window_is_open(conn) ? BODY_LATE : IN_TIME;
    if (conn->discarding)
        return is_late ? DISCARD_LATE : IN_TIME;
    bool is_over = (conn->server->listen_fd < 0 && !conn->h2) ||
                   now - conn->idle_since >= config->idle_timeout_ms;
    return is_over && http_conn_is_idle(conn) ? IDLE : IN_TIME;
}

/* The sweep can be due while bytes wait to be read. They are read first, or a request that arrived
 * in time would be answered by a reset. */
static void sweep_conn(http_conn *conn, int64_t now)
{
    if (conn->h2 && conn->state == HTTP_CONN_OPEN && http_h2_sweep(conn, now, false)) {
        http_conn_read(conn);
        if (conn->state == HTTP_CONN_OPEN)
            http_h2_sweep(conn, now, true);
    }
    deadline missed = missed_deadline(conn, now);
    if (missed == HEADERS_LATE || missed == BODY_LATE || missed == DISCARD_LATE || missed == IDLE) {
        http_conn_read(conn);
        missed = missed_deadline(conn, now);
    }
    switch (missed) {
    case IN_TIME:
        break;
    case LINGERED:
        http_conn_close(conn);
        break;
    case IDLE:
        if (conn->h2)
            http_h2_leave(conn);
        else
            http_conn_close(conn);
        break;
    case NOT_READ:
    case NO_HANDSHAKE:
    case DISCARD_LATE:
        time_out(conn, NULL);
        break;
    case HEADERS_LATE:
        time_out(conn, "the headers did not arrive in time");
        break;
    case BODY_LATE:
        time_out(conn, "the body did not arrive in time");
        break;
    }
}

static void on_sweep(uv_timer_t *timer)
{
    leat_http_server *server = timer->data;
    int64_t now = leat_standstill_now_us(&server->standstill) / 1000;
    if (server->draining && server->listen_fd >= 0) { /* LAST_CALL_MS have passed */
        accept_waiting(server, ACCEPTS_AT_LAST);
        close_listener(server);
    }
    http_conn *next = NULL;
    for (http_conn *conn = LIST_FIRST(&server->conns); conn; conn = next) {
        next = LIST_NEXT(conn, all);
        sweep_conn(conn, now);
    }
    if (server->tls_context)
        http_tls_context_sweep(server->tls_context, now);
    resume_accepting(server);
}

static uint64_t sweep_period(const leat_http_config *config)
{
    int64_t shortest = config->header_timeout_ms;
    if (config->body_timeout_ms < shortest)
        shortest = config->body_timeout_ms;
    if (config->idle_timeout_ms < shortest)
        shortest = config->idle_timeout_ms;
    int64_t period = shortest / 8;
    if (period < SWEEP_MIN_MS)
        return SWEEP_MIN_MS;
    return (uint64_t)(period > SWEEP_MAX_MS ? SWEEP_MAX_MS : period);
}

/* ---- the loop's turn ---- */

/* Bytes already read may become requests that are answered at once, so a connection can be dirty
 * again; the bytes of one read bound how often. */
static void flush_all(leat_http_server *server)
{
    while (!TAILQ_EMPTY(&server->dirty))
        http_conn_flush(TAILQ_FIRST(&server->dirty));
}

static void on_before_poll(uv_prepare_t *handle)
{
    leat_http_server *server = handle->data;
    server->handshakes_this_turn = 0;
    flush_all(server);
}

static void on_after_poll(uv_check_t *handle)
{
    flush_all(handle->data);
}

static void start_handles(leat_http_server *server)
{
    uint64_t period = sweep_period(&server->config);
    snprintf(server->name, sizeof server->name, "port %d", server->port);
    leat_standstill_watch(&server->standstill, server->loop, server->name);
    uv_timer_init(server->loop, &server->sweep);
    uv_prepare_init(server->loop, &server->before_poll);
    uv_check_init(server->loop, &server->after_poll);
    server->listener.data = server;
    server->sweep.data = server;
    server->before_poll.data = server;
    server->after_poll.data = server;
    server->handles = 6; /* those four, and the two of the clock */
    uv_timer_start(&server->sweep, on_sweep, period, period);
    uv_prepare_start(&server->before_poll, on_before_poll);
    uv_check_start(&server->after_poll, on_after_poll);
    resume_accepting(server);
}

/* ---- public ---- */

leat_http_server *leat_http_listen(uv_loop_t *loop, const leat_http_config *config,
                                   leat_http_handler handler, void *context, leat_error *error)
{
    LEAT_ASSERT(config->header_max > 0 && config->pipeline_max > 0 && handler);
    LEAT_ASSERT(config->stream_window > 0);
    int fd = http_listen_socket(config, error);
    if (fd < 0)
        return NULL;
    leat_http_server *server = leat_must_calloc(1, sizeof *server);
    server->loop = loop;
    server->config = *config;
    server->config.host = NULL; /* the caller's text, no longer needed */
    server->handler = handler;
    server->context = context;
    server->listen_fd = fd;
    server->port = http_socket_port(fd);
    LIST_INIT(&server->conns);
    TAILQ_INIT(&server->dirty);
    http_parse_settings(&server->settings);
    LEAT_ASSERT(http_h2_set_up(server));
    int code = http_tls_set_up(server, error);
    if (code == 0 && (code = uv_poll_init(loop, &server->listener, fd)) != 0)
        leat_fail(error, "cannot watch the listening socket: %s", uv_strerror(code));
    if (code != 0) {
        close(fd);
        http_h2_take_down(server);
        http_tls_take_down(server);
        free(server);
        return NULL;
    }
    server->config.tls = (leat_http_tls_config){0}; /* as `host` */
    start_handles(server);
    return server;
}

int leat_http_port(const leat_http_server *server)
{
    return server->port;
}

void leat_http_reload(leat_http_server *server)
{
    leat_error error = {""};
    if (server->tls_context && http_tls_context_reload(server->tls_context, &error) != 0)
        leat_warn("certificate is not replaced port=%d reason=\"%s\"", server->port, error.text);
}

void leat_http_leave(leat_http_server *server)
{
    server->leaving = true;
}

/* The next sweep closes the listener and what is idle then. */
void leat_http_drain(leat_http_server *server, void (*on_drained)(void *context))
{
    if (server->draining || server->closing)
        return;
    LEAT_ASSERT(!server->drained && server->listen_fd >= 0);
    leat_http_leave(server);
    server->draining = true;
    http_conn *conn;
    LIST_FOREACH(conn, &server->conns, all)
    {
        if (conn->h2 && conn->state == HTTP_CONN_OPEN)
            http_h2_drain(conn);
    }
    server->on_drained = on_drained;
    http_listen_last(server->listen_fd);
    uv_timer_start(&server->sweep, on_sweep, LAST_CALL_MS, sweep_period(&server->config));
}

void leat_http_close(leat_http_server *server)
{
    LEAT_ASSERT(!server->closing);
    server->closing = true;
    close_listener(server);
    while (!LIST_EMPTY(&server->conns))
        http_conn_close(LIST_FIRST(&server->conns));
    uv_close((uv_handle_t *)&server->sweep, on_handle_closed);
    uv_close((uv_handle_t *)&server->before_poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->after_poll, on_handle_closed);
    server->standstill.before_poll.data = server->standstill.after_poll.data = server;
    uv_close((uv_handle_t *)&server->standstill.before_poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->standstill.after_poll, on_handle_closed);
}

const leat_http_counters *leat_http_count(const leat_http_server *server)
{
    return &server->counters;
}
