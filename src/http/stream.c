/*
 * stream.c - what an owner takes part in before a request is whole, and answers that are not whole
 * when they begin. A streamed request keeps its place in the order of its connection; only its
 * bytes go past the buffers of the server. A piece is given out where it was read, so the owner
 * copies what it keeps; what it has not taken counts against a window, and beyond it nothing is
 * read from the socket, so the client's own TCP slows it down.
 *
 * An owner may do anything in a callback. So whoever calls one looks at the connection again
 * afterwards, and owners are told of a lost client only when the connection is out of all lists.
 */
#include <stdio.h>

#include "http/internal.h"

bool http_window_is_open(const http_conn *conn)
{
    const leat_http_request *request = conn->current;
    return !request || !request->streamed || request->held < conn->server->config.stream_window;
}

/* ---- before the body ---- */

int http_ask_owner(http_conn *conn)
{
    leat_http_server *server = conn->server;
    leat_http_request *request = conn->current;
    if (!server->config.hooks.on_headers)
        return 0;
    request->in_hook = true;
    leat_http_body_mode mode = server->config.hooks.on_headers(server->context, request);
    if (conn->state != HTTP_CONN_OPEN || conn->no_more)
        return -1;
    LEAT_ASSERT((mode == LEAT_HTTP_BODY_ANSWERED) == (conn->current != request));
    if (mode == LEAT_HTTP_BODY_ANSWERED)
        return 0;
    request->in_hook = false;
    if (mode == LEAT_HTTP_BODY_STREAM) {
        LEAT_ASSERT(server->config.hooks.on_body);
        request->streamed = true;
        request->arrived_us = leat_mono_us();
        conn->progress = 0;
        server->handed++;
        http_request_enter(request, HTTP_HANDED);
    }
    return 0;
}

/* Its answer comes before its body is read. A body that the client has announced, and is sending
 * anyway, is read and dropped if it is small enough: that keeps the connection. Else the connection
 * ends. */
static void answer_early(leat_http_request *request)
{
    http_conn *conn = request->conn;
    const llhttp_t *parser = &conn->parser;
    bool is_short = !(parser->flags & F_CHUNKED) &&
                    parser->content_length <= conn->server->config.body_max;
    LEAT_ASSERT(request == conn->current && request->state == HTTP_READING);
    conn->current = NULL;
    conn->waiting++;
    conn->discarding = is_short && !request->wants_continue;
    request->keep_alive = request->keep_alive && conn->discarding;
    request->in_hook = false;
}

/* ---- its client has gone ---- */

/* An owner that is told may end other requests of the list, so they leave it one by one. */
void http_tell_gone(leat_http_server *server)
{
    while (server->untold) {
        leat_http_request *request = server->untold;
        server->untold = request->next_untold;
        request->untold = false;
        request->is_told = true;
        if (server->config.hooks.on_gone)
            server->config.hooks.on_gone(server->context, request);
    }
}

void http_note_gone(leat_http_request *request)
{
    LEAT_ASSERT(request->state == HTTP_HANDED);
    bool has_part = request->streamed || request->answer_begun || request->is_slow;
    if (request->untold || request->is_told || !has_part)
        return;
    request->untold = true;
    request->next_untold = request->server->untold;
    request->server->untold = request;
}

void http_lose_client(leat_http_request *request)
{
    LEAT_ASSERT(request->conn->slow >= request->is_slow);
    request->conn->slow -= request->is_slow;
    request->conn = NULL;
    request->next = NULL;
    http_note_gone(request);
}

/* The end of the client's bytes may be that of the client, or all that it has to say: nobody can
 * know before the answer is sent. A request whose answer comes soon is answered as ever. */
void http_client_left(http_conn *conn)
{
    conn->left = true;
    if (conn->h2)
        http_h2_note_left(conn);
    for (leat_http_request *request = conn->first; request; request = request->next)
        if (request->state == HTTP_HANDED && request->is_slow)
            http_note_gone(request);
    http_tell_gone(conn->server);
}

static void forget_untold(leat_http_request *request)
{
    if (!request->untold)
        return;
    leat_http_request **link = &request->server->untold;
    while (*link != request)
        link = &(*link)->next_untold;
    *link = request->next_untold;
    request->untold = false;
}

void http_break_off(http_conn *conn)
{
    leat_http_request *request = conn->current;
    LEAT_ASSERT(request && request == conn->last);
    leat_http_request **link = &conn->first;
    leat_http_request *before = NULL;
    while (*link != request) {
        before = *link;
        link = &before->next;
    }
    *link = NULL;
    conn->last = before;
    conn->current = NULL;
    if (request->state == HTTP_HANDED)
        http_lose_client(request);
    else
        http_request_recycle(request);
    http_tell_gone(conn->server);
}

leat_http_client leat_http_request_client(const leat_http_request *request)
{
    const http_conn *conn = request->conn;
    if (!conn || (request->is_h2 && request->stream_id == 0))
        return LEAT_HTTP_CLIENT_GONE;
    return conn->left ? LEAT_HTTP_CLIENT_LEFT : LEAT_HTTP_CLIENT_HERE;
}

bool leat_http_request_may_wait(leat_http_request *request)
{
    http_conn *conn = request->conn;
    LEAT_ASSERT(request->state == HTTP_HANDED && !request->is_slow);
    if (leat_http_request_client(request) == LEAT_HTTP_CLIENT_GONE)
        return false;
    if (request->is_h2 && conn->slow >= request->server->config.streams_max / 2)
        return false;
    conn->slow++;
    request->is_slow = true;
    http_conn_mark_dirty(conn); /* it looks from now on whether its client leaves */
    return true;
}

/* ---- the request comes back ---- */

void http_give_up(leat_http_request *request)
{
    leat_http_server *server = request->server;
    LEAT_ASSERT(server->handed > 0 && !request->conn);
    server->handed--;
    forget_untold(request);
    http_request_recycle(request);
    http_server_maybe_free(server);
}

bool http_take_back(leat_http_request *request)
{
    if (request->in_hook && request->is_h2) {
        request->in_hook = false;
        return true;
    }
    if (request->in_hook) {
        answer_early(request);
        return true;
    }
    LEAT_ASSERT(request->state == HTTP_HANDED && request->server->handed > 0);
    http_conn *conn = request->conn;
    if (!conn) {
        http_give_up(request);
        return false;
    }
    LEAT_ASSERT(conn->slow >= request->is_slow);
    conn->slow -= request->is_slow;
    request->server->handed--;
    forget_untold(request);
    if (request == conn->current) { /* the rest of its body has no reader: the connection ends */
        conn->current = NULL;
        conn->waiting++;
        request->keep_alive = false;
    }
    return true;
}

/* ---- the body ---- */

int http_stream_piece(http_conn *conn, const char *data, size_t size)
{
    leat_http_server *server = conn->server;
    leat_http_request *request = conn->current;
    LEAT_ASSERT(size <= LEAT_HTTP_PIECE_MAX && request->streamed);
    server->bodies += size;
    request->held += size;
    conn->progress += size;
    if (conn->progress >= LEAT_HTTP_STREAM_PROGRESS) {
        conn->progress = 0;
        conn->body_since = http_now_ms(server);
    }
    server->config.hooks.on_body(server->context, request, (leat_slice){data, size}, false);
    return conn->state == HTTP_CONN_OPEN && !conn->no_more ? 0 : -1;
}

void http_stream_done(http_conn *conn)
{
    leat_http_server *server = conn->server;
    leat_http_request *request = conn->current;
    conn->current = NULL;
    conn->waiting++;
    conn->no_more = conn->no_more || !request->keep_alive;
    request->wants_continue = false;
    server->config.hooks.on_body(server->context, request, (leat_slice){"", 0}, true);
}

void leat_http_body_taken(leat_http_request *request, size_t size)
{
    LEAT_ASSERT(request->held >= size && request->server->bodies >= size);
    http_conn *conn = request->conn;
    if (conn && request->is_h2) {
        http_h2_body_taken(request, size);
        return;
    }
    bool was_open = !conn || http_window_is_open(conn);
    request->held -= size;
    request->server->bodies -= size;
    if (was_open || !http_window_is_open(conn))
        return;
    conn->body_since = http_now_ms(conn->server); /* the client could not send meanwhile */
    conn->progress = 0;
    http_conn_mark_dirty(conn);
}

/* ---- the answer ---- */

static leat_buf *output_of(leat_http_request *request)
{
    return request == request->conn->first ? &request->conn->out : &request->answer;
}

static bool has_chunks(const leat_http_request *request)
{
    return !request->http_1_0 && request->method != LEAT_HTTP_HEAD;
}

void leat_http_answer_begin(leat_http_request *request, leat_http_code code,
                            const char *content_type, const char *extra_headers)
{
    LEAT_ASSERT(request->state == HTTP_HANDED && !request->answer_begun);
    http_conn *conn = request->conn;
    request->answer_begun = true;
    if (!conn)
        return;
    if (request->is_h2) {
        http_answer_parts head = {
            .code = code, .content_type = content_type, .extra_headers = extra_headers};
        http_h2_answer_begin(request, &head);
        return;
    }
    request->wants_continue = false; /* it would come after the status */
    bool closes = request->http_1_0 || http_answer_closes(request);
    request->keep_alive = !closes;
    conn->no_more = conn->no_more || (closes && request != conn->current);
    http_write_head(request, code, content_type, -1, closes, extra_headers, output_of(request));
    http_conn_mark_dirty(conn);
}

static void append_chunk(leat_buf *out, leat_slice piece)
{
    char size[24];
    int length = snprintf(size, sizeof size, "%zx\r\n", piece.size);
    leat_buf_append(out, size, (size_t)length);
    leat_buf_slice(out, piece);
    leat_buf_slice(out, LEAT_SLICE("\r\n"));
}

void leat_http_answer_piece(leat_http_request *request, leat_slice piece)
{
    LEAT_ASSERT(request->state == HTTP_HANDED && request->answer_begun);
    http_conn *conn = request->conn;
    if (!conn || piece.size == 0 || request->method == LEAT_HTTP_HEAD)
        return;
    if (request->is_h2) {
        http_h2_answer_piece(request, piece);
        return;
    }
    http_conn_drop_sent(conn);
    if (has_chunks(request))
        append_chunk(output_of(request), piece);
    else
        leat_buf_slice(output_of(request), piece);
    http_conn_mark_dirty(conn);
}

void leat_http_answer_end(leat_http_request *request)
{
    LEAT_ASSERT(request->answer_begun);
    if (!http_take_back(request))
        return;
    request->answer_begun = false;
    if (request->is_h2) {
        http_h2_answer_end(request);
        return;
    }
    if (has_chunks(request))
        leat_buf_slice(output_of(request), LEAT_SLICE("0\r\n\r\n"));
    request->conn->no_more = request->conn->no_more || !request->keep_alive;
    http_answer_complete(request);
}

uint32_t leat_http_streamed_beside(const leat_http_request *request)
{
    uint32_t count = 0;
    const leat_http_request *other;
    if (!request->conn)
        return 0;
    if (request->is_h2)
        return http_h2_streamed(request->conn);
    for (other = request->conn->first; other; other = other->next)
        count += other->state == HTTP_HANDED && other->streamed;
    return count;
}

size_t leat_http_answer_waiting(const leat_http_request *request)
{
    const http_conn *conn = request->conn;
    if (!conn)
        return 0;
    if (request->is_h2)
        return request->answer.size - request->answer_at;
    return request == conn->first ? http_conn_unsent(conn) : request->answer.size;
}
