/*
 * h2.c - the session of a connection. What came is given to nghttp2, which calls h2_stream.c; what
 * nghttp2 wants to send is taken once, before the loop sleeps, so that the answers of a whole turn
 * are one write: at 32 streams that is the difference between one and seven microseconds a request.
 *
 * A connection ends in one of two ways. In peace (drain, idle): GOAWAY with the last stream that is
 * served, and a close when no stream is left. A drain sends a notice first, because requests that
 * are on their way when the final GOAWAY is sent would have to be sent again elsewhere. On a new
 * connection it comes behind the first request, because there is a client (HAProxy) that waits for
 * the SETTINGS before it sends one, and gives up what it has not sent at any GOAWAY. For a fault of
 * the client's: a GOAWAY written by hand, because after an error nghttp2 queues nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "http/h2.h"

enum {
    CONNECTION_WINDOW = 1024 * 1024,
    STREAM_WINDOW_MIN = 65535, /* what a client may use before it has read the settings */
    STREAM_WINDOW_MAX = 1024 * 1024,
    ACKS_MAX = 100, /* that wait to be sent */
    RESETS_BACK_S = 10,
};

/* ---- what all sessions share ---- */

bool http_h2_set_up(leat_http_server *server)
{
    if (server->config.streams_max == 0)
        return true;
    if (nghttp2_session_callbacks_new(&server->h2_callbacks) != 0 ||
        nghttp2_option_new(&server->h2_option) != 0)
        return false;
    http_h2_set_callbacks(server->h2_callbacks);
    nghttp2_option_set_no_auto_window_update(server->h2_option, 1);
    nghttp2_option_set_no_closed_streams(server->h2_option, 1);
    nghttp2_option_set_max_outbound_ack(server->h2_option, ACKS_MAX);
    uint32_t resets = server->config.resets_budget;
    nghttp2_option_set_stream_reset_rate_limit(server->h2_option, resets,
                                               (resets + RESETS_BACK_S - 1) / RESETS_BACK_S);
    return true;
}

void http_h2_take_down(leat_http_server *server)
{
    nghttp2_session_callbacks_del(server->h2_callbacks);
    nghttp2_option_del(server->h2_option);
}

/* ---- a session's beginning and end ---- */

static uint32_t stream_window(const leat_http_config *config)
{
    if (config->body_max < STREAM_WINDOW_MIN)
        return STREAM_WINDOW_MIN;
    return config->body_max > STREAM_WINDOW_MAX ? STREAM_WINDOW_MAX : (uint32_t)config->body_max;
}

static bool send_settings(http_conn *conn, nghttp2_session *session)
{
    const leat_http_config *config = &conn->server->config;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, config->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window(config)},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)config->header_max},
    };
    return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof *settings) == 0 &&
           nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_WINDOW) == 0;
}

bool http_h2_begin(http_conn *conn)
{
    leat_http_server *server = conn->server;
    LEAT_ASSERT(!conn->h2 && server->h2_option);
    http_h2 *h2 = calloc(1, sizeof *h2);
    if (!h2)
        return false;
    conn->h2 = h2;
    LIST_INIT(&h2->requests);
    h2->budget = (int64_t)server->config.frames_budget * 1000;
    h2->begun_at = h2->budget_at = http_now_ms(server);
    if (nghttp2_session_server_new2(&h2->session, server->h2_callbacks, conn, server->h2_option) !=
        0)
        return false;
    if (!send_settings(conn, h2->session))
        return false;
    server->counters.http_2++;
    http_conn_mark_dirty(conn);
    return true;
}

void http_h2_free(http_conn *conn)
{
    if (!conn->h2)
        return;
    LEAT_ASSERT(LIST_EMPTY(&conn->h2->requests));
    nghttp2_session_del(conn->h2->session);
    free(conn->h2);
    conn->h2 = NULL;
}

/* Requests that their owner still holds lose their connection; the others go back to the pool. */
void http_h2_release(http_conn *conn)
{
    leat_http_request *request;
    while ((request = LIST_FIRST(&conn->h2->requests)) != NULL) {
        bool is_owners = request->state == HTTP_HANDED;
        http_h2_forget(request);
        if (is_owners)
            http_lose_client(request);
        else
            http_request_recycle(request);
    }
    conn->h2->in_flight = 0;
}

void http_h2_drop_body(leat_http_request *request)
{
    http_h2 *h2 = request->conn->h2;
    LEAT_ASSERT(h2->bodies >= request->body.size);
    h2->bodies -= request->body.size;
}

void http_h2_give_up(http_conn *conn, uint32_t error_code)
{
    enum { GOAWAY_SIZE = 8, GOAWAY_TYPE = 7 };
    http_h2 *h2 = conn->h2;
    LEAT_ASSERT(conn->state == HTTP_CONN_OPEN && !h2->is_over);
    h2->is_over = true;
    h2->has_more = false;
    conn->no_more = true;
    conn->server->counters.malformed++;
    leat_buf_be32(&conn->out, GOAWAY_SIZE << 8 | GOAWAY_TYPE);
    leat_buf_byte(&conn->out, 0);
    leat_buf_be32(&conn->out, 0);
    leat_buf_be32(&conn->out, (uint32_t)nghttp2_session_get_last_proc_stream_id(h2->session));
    leat_buf_be32(&conn->out, error_code);
    http_h2_release(conn);
    http_conn_mark_dirty(conn);
    http_tell_gone(conn->server);
}

/* ---- bytes ---- */

/* What a fault that nghttp2 has found is to the client. */
static uint32_t error_code_of(ssize_t code)
{
    switch (code) {
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        return NGHTTP2_ENHANCE_YOUR_CALM;
    case NGHTTP2_ERR_NOMEM:
    case NGHTTP2_ERR_CALLBACK_FAILURE:
        return NGHTTP2_INTERNAL_ERROR;
    default:
        return NGHTTP2_PROTOCOL_ERROR;
    }
}

void http_h2_receive(http_conn *conn, const char *data, size_t size)
{
    http_h2 *h2 = conn->h2;
    if (conn->state != HTTP_CONN_OPEN || h2->is_over)
        return;
    ssize_t used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)data, size);
    if (conn->state != HTTP_CONN_OPEN || h2->is_over)
        return;
    if (used < 0)
        http_h2_give_up(conn, error_code_of(used));
    else
        http_conn_mark_dirty(conn); /* windows, acknowledgements; or the end, if it wants no more */
}

void http_h2_produce(http_conn *conn)
{
    http_h2 *h2 = conn->h2;
    LEAT_ASSERT(conn->state == HTTP_CONN_OPEN);
    h2->has_more = false;
    while (!h2->is_over) {
        if (http_conn_unsent(conn) >= HTTP_H2_OUT_MAX) {
            h2->has_more = true;
            return;
        }
        const uint8_t *data = NULL;
        ssize_t size = nghttp2_session_mem_send(h2->session, &data);
        if (size == 0 || conn->state != HTTP_CONN_OPEN || h2->is_over)
            return;
        if (size < 0)
            http_h2_give_up(conn, NGHTTP2_INTERNAL_ERROR);
        else
            leat_buf_append(&conn->out, data, (size_t)size);
    }
}

bool http_h2_has_more(const http_conn *conn)
{
    return conn->h2->has_more;
}

bool http_h2_takes(const http_conn *conn)
{
    return !conn->h2->is_over;
}

bool http_h2_is_idle(const http_conn *conn)
{
    return LIST_EMPTY(&conn->h2->requests);
}

/* Those whose stream was cancelled too: they are as much work. */
uint32_t http_h2_streamed(const http_conn *conn)
{
    uint32_t count = 0;
    const leat_http_request *request;
    LIST_FOREACH(request, &conn->h2->requests, of_conn)
    {
        count += request->state == HTTP_HANDED && request->streamed;
    }
    return count;
}

bool http_h2_is_done(const http_conn *conn)
{
    const http_h2 *h2 = conn->h2;
    if (h2->is_over || (h2->is_last && LIST_EMPTY(&h2->requests)))
        return true;
    return !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session);
}

/* ---- its end in peace ---- */

void http_h2_leave(http_conn *conn)
{
    http_h2 *h2 = conn->h2;
    if (h2->is_last || h2->is_over)
        return;
    h2->is_last = true;
    nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    http_conn_mark_dirty(conn);
}

void http_h2_drain(http_conn *conn)
{
    http_h2 *h2 = conn->h2;
    if (h2->is_last || h2->is_over || h2->notice_since != 0)
        return;
    nghttp2_submit_shutdown_notice(h2->session);
    nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
    h2->notice_since = http_now_ms(conn->server);
    http_conn_mark_dirty(conn);
}

/* The client has shut its side: whole requests are still answered. */
void http_h2_on_eof(http_conn *conn)
{
    http_h2 *h2 = conn->h2;
    h2->is_last = true;
    leat_http_request *next = NULL;
    for (leat_http_request *request = LIST_FIRST(&h2->requests); request; request = next) {
        next = LIST_NEXT(request, of_conn);
        bool is_streamed = request->state == HTTP_HANDED && request->streamed;
        if (request->state == HTTP_READING) {
            http_h2_forget(request);
            http_request_recycle(request);
        } else if (is_streamed && !request->is_input_over && request->stream_id != 0) {
            http_h2_reset(request, NGHTTP2_CANCEL);
            http_h2_lose(request);
        }
    }
    http_tell_gone(conn->server);
}

void http_h2_note_left(http_conn *conn)
{
    leat_http_request *request;
    LIST_FOREACH(request, &conn->h2->requests, of_conn)
    {
        if (request->state == HTTP_HANDED && request->is_slow)
            http_note_gone(request);
    }
}

/* Owners may end requests, so the list is begun anew after each. */
static leat_http_request *next_with_room(const http_h2 *h2)
{
    leat_http_request *request;
    LIST_FOREACH(request, &h2->requests, of_conn)
    {
        if (request->is_room_due)
            return request;
    }
    return NULL;
}

void http_h2_tell_room(http_conn *conn)
{
    leat_http_request *request;
    while (conn->h2->has_room_due && conn->state == HTTP_CONN_OPEN &&
           (request = next_with_room(conn->h2)) != NULL) {
        request->is_room_due = false;
        if (request->answer_begun && conn->server->config.hooks.on_room)
            conn->server->config.hooks.on_room(conn->server->context, request);
    }
    conn->h2->has_room_due = false;
}

/* ---- deadlines ---- */

/* A streamed body whose owner holds it up is not late. */
static bool is_body_late(const leat_http_request *request, int64_t now)
{
    const leat_http_config *config = &request->server->config;
    bool is_read = request->state == HTTP_READING ||
                   (request->state == HTTP_HANDED && request->streamed);
    return is_read && request->stream_id != 0 && request->since != 0 &&
           !http_h2_is_held_up(request) && now - request->since >= config->body_timeout_ms;
}

static bool is_answer_late(const leat_http_request *request, int64_t now)
{
    bool waits = request->state == HTTP_ANSWERED || request->answer_at < request->answer.size;
    return waits && request->stream_id != 0 && request->answer_since != 0 &&
           now - request->answer_since >= request->server->config.body_timeout_ms;
}

static void end_late(leat_http_request *request, bool is_body)
{
    static const char message[] = "the body did not arrive in time";
    request->server->counters.timeouts++;
    if (is_body && request->state == HTTP_READING) {
        http_h2_refuse(request, LEAT_HTTP_TIMEOUT, message);
        return;
    }
    if (is_body) {
        http_h2_break_off(request, LEAT_HTTP_TIMEOUT, message);
        return;
    }
    request->answer_since = 0;
    http_h2_reset(request, NGHTTP2_CANCEL);
    if (request->state == HTTP_HANDED)
        http_h2_lose(request);
}

bool http_h2_sweep(http_conn *conn, int64_t now, bool acts)
{
    http_h2 *h2 = conn->h2;
    const leat_http_config *config = &conn->server->config;
    bool missed = false;
    if (h2->is_over)
        return false;
    if (conn->server->draining && now - h2->begun_at >= HTTP_H2_NOTICE_MS)
        http_h2_drain(conn);
    if (h2->notice_since != 0 && now - h2->notice_since >= HTTP_H2_NOTICE_MS)
        http_h2_leave(conn);
    if (h2->headers_since != 0 && now - h2->headers_since >= config->header_timeout_ms) {
        if (acts) {
            conn->server->counters.timeouts++;
            http_h2_give_up(conn, NGHTTP2_ENHANCE_YOUR_CALM);
        }
        return true;
    }
    leat_http_request *next = NULL;
    for (leat_http_request *request = LIST_FIRST(&h2->requests); request; request = next) {
        next = LIST_NEXT(request, of_conn);
        bool is_body = is_body_late(request, now);
        if (!is_body && !is_answer_late(request, now))
            continue;
        missed = true;
        if (acts)
            end_late(request, is_body);
    }
    http_tell_gone(conn->server);
    return missed;
}
