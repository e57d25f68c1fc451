/*
 * answer.c - answers, and their order. An owner may answer requests in any order, but HTTP/1.1
 * sends answers in the order of the requests. So an answer whose turn has come is written straight
 * into the connection's output, and one that is early into a buffer of its own request, which moves
 * when everything before it has left. Nearly all answers take the first way: no copy. Whoever waits
 * for its turn keeps its answer, and nothing of the request.
 *
 * A status line is text from the table, and the date is formatted once a second: both stand in
 * every answer.
 */
#include "http/internal.h"

const char *http_date(leat_http_server *server)
{
    time_t now = time(NULL);
    if (now != server->date_second) {
        struct tm utc;
        gmtime_r(&now, &utc);
        strftime(server->date, sizeof server->date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
        server->date_second = now;
    }
    return server->date;
}

void http_write_head(leat_http_request *request, leat_http_code code, const char *content_type,
                     int64_t size, bool closes, const char *extra_headers, leat_buf *out)
{
    const leat_http_code_row *row = &leat_http_codes[code];
    LEAT_ASSERT(row->line.size > 0);
    leat_buf_slice(out, row->line);
    leat_buf_slice(out, LEAT_SLICE("Date: "));
    leat_buf_text(out, http_date(request->server));
    if (content_type) {
        leat_buf_slice(out, LEAT_SLICE("\r\nContent-Type: "));
        leat_buf_text(out, content_type);
    }
    bool has_body = code != LEAT_HTTP_NOT_MODIFIED; /* its length would be another answer's */
    if (has_body && size >= 0) {
        leat_buf_slice(out, LEAT_SLICE("\r\nContent-Length: "));
        leat_buf_uint(out, (uint64_t)size);
    } else if (has_body && !request->http_1_0) {
        leat_buf_slice(out, LEAT_SLICE("\r\nTransfer-Encoding: chunked"));
    }
    if (closes)
        leat_buf_slice(out, LEAT_SLICE("\r\nConnection: close"));
    else if (request->http_1_0)
        leat_buf_slice(out, LEAT_SLICE("\r\nConnection: keep-alive"));
    leat_buf_slice(out, LEAT_SLICE("\r\n"));
    if (row->headers)
        leat_buf_text(out, row->headers);
    if (extra_headers)
        leat_buf_text(out, extra_headers);
    leat_buf_slice(out, LEAT_SLICE("\r\n"));
}

static void write_answer(leat_http_request *request, const http_answer_parts *parts, leat_buf *out)
{
    http_write_head(request, parts->code, parts->content_type, (int64_t)parts->body.size,
                    parts->closes, parts->extra_headers, out);
    if (request->method != LEAT_HTTP_HEAD)
        leat_buf_slice(out, parts->body);
}

static leat_http_request *pop_first(http_conn *conn)
{
    leat_http_request *request = conn->first;
    LEAT_ASSERT(request && request != conn->current && conn->waiting > 0);
    conn->first = request->next;
    if (!conn->first)
        conn->last = NULL;
    request->next = NULL;
    conn->waiting--;
    return request;
}

/* An interim answer has its place in the order too. */
static void maybe_continue(http_conn *conn)
{
    leat_http_request *request = conn->first;
    if (!request || request != conn->current || !request->wants_continue)
        return;
    request->wants_continue = false;
    leat_buf_slice(&conn->out, LEAT_SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    http_conn_mark_dirty(conn);
}

/* What is there of the answer whose turn has come. */
static void move_answer(http_conn *conn, leat_http_request *request)
{
    leat_buf_append(&conn->out, request->answer.data, request->answer.size);
    conn->out.failed = conn->out.failed || request->answer.failed;
    leat_buf_clear(&request->answer);
}

void http_answers_advance(http_conn *conn)
{
    while (conn->first && conn->first->state == HTTP_ANSWERED) {
        leat_http_request *request = pop_first(conn);
        move_answer(conn, request);
        http_request_recycle(request);
    }
    if (conn->first && conn->first->answer_begun)
        move_answer(conn, conn->first);
    maybe_continue(conn);
}

void http_answer_complete(leat_http_request *request)
{
    http_conn *conn = request->conn;
    LEAT_ASSERT(conn->state != HTTP_CONN_CLOSING && request != conn->current);
    if (request == conn->first) {
        pop_first(conn);
        http_request_recycle(request);
        http_answers_advance(conn);
    } else {
        http_request_enter(request, HTTP_ANSWERED);
        http_request_drop_input(request);
    }
    http_conn_mark_dirty(conn);
}

bool http_answer_closes(const leat_http_request *request)
{
    return !request->keep_alive || (request->server->leaving && request == request->conn->last);
}

static void give_answer(leat_http_request *request, http_answer_parts *parts)
{
    http_conn *conn = request->conn;
    parts->closes = http_answer_closes(request);
    conn->no_more = conn->no_more || parts->closes;
    write_answer(request, parts, request == conn->first ? &conn->out : &request->answer);
    http_answer_complete(request);
}

void leat_http_answer(leat_http_request *request, leat_http_code code, const char *content_type,
                      leat_slice body, const char *extra_headers)
{
    LEAT_ASSERT(code < LEAT_HTTP_CODE_COUNT && !request->answer_begun);
    if (!http_take_back(request))
        return;
    http_answer_parts parts = {
        .code = code, .content_type = content_type, .body = body, .extra_headers = extra_headers};
    if (request->is_h2)
        http_h2_answer(request, &parts);
    else
        give_answer(request, &parts);
}

size_t leat_http_unsent(const leat_http_server *server)
{
    size_t unsent = 0;
    const http_conn *conn;
    LIST_FOREACH(conn, &server->conns, all)
    {
        const leat_http_request *request;
        unsent += http_conn_unsent(conn);
        for (request = conn->first; request; request = request->next)
            unsent += request->answer.size;
        if (conn->h2)
            unsent += http_h2_unsent(conn);
    }
    return unsent;
}

void leat_http_abandon(leat_http_request *request)
{
    LEAT_ASSERT(request->state == HTTP_HANDED);
    request->is_told = true; /* its owner knows */
    if (request->conn && !request->is_h2)
        http_conn_close(request->conn);
    if (!http_take_back(request))
        return;
    leat_http_server *server = request->server;
    http_h2_abandon(request);
    http_server_maybe_free(server);
}

/* False: there is no place for another answer. Where a part of the streamed request's own answer
 * has left, its missing end says all. */
static bool break_stream_off(http_conn *conn)
{
    bool has_left = conn->current->answer_begun && conn->current == conn->first;
    http_break_off(conn);
    if (conn->state != HTTP_CONN_OPEN || !has_left)
        return conn->state == HTTP_CONN_OPEN;
    conn->no_more = true;
    conn->server->counters.malformed++;
    http_conn_mark_dirty(conn);
    return false;
}

void http_answer_fault(leat_http_request *request, leat_http_code code, const char *message)
{
    leat_buf body = {0};
    leat_http_error_body(&body, code, NULL, message);
    if (body.failed) /* the status still tells the truth */
        leat_buf_free(&body);
    http_answer_parts parts = {
        .code = code,
        .content_type = leat_http_body_type(code),
        .body = {body.data, body.size},
    };
    if (request->is_h2)
        http_h2_put(request, &parts);
    else
        give_answer(request, &parts);
    leat_buf_free(&body);
}

void http_fail(http_conn *conn, leat_http_code code, const char *message)
{
    leat_http_server *server = conn->server;
    LEAT_ASSERT(conn->state == HTTP_CONN_OPEN);
    if (conn->current && conn->current->streamed && !break_stream_off(conn))
        return;
    if (!conn->current && !http_request_begin(conn)) {
        http_conn_close(conn);
        return;
    }
    leat_http_request *request = conn->current;
    conn->current = NULL;
    conn->waiting++;
    conn->no_more = true;
    request->keep_alive = false;
    if (conn->refused)
        server->counters.refused++;
    else
        server->counters.malformed++;
    http_answer_fault(request, code, message);
}
