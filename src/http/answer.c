/*
 * answer.c - answers, and their order. An owner may answer requests in any order, but HTTP/1.1
 * sends answers in the order of the requests. So an answer whose turn has come is written straight
 * into the connection's output, and one that is early into a buffer of its own request, which moves
 * when everything before it has left. Nearly all answers take the first way: no copy.
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

static void write_answer(leat_http_request *request, const http_answer_parts *parts, leat_buf *out)
{
    const leat_http_code_row *row = &leat_http_codes[parts->code];
    LEAT_ASSERT(row->line.size > 0);
    leat_buf_slice(out, row->line);
    leat_buf_slice(out, LEAT_SLICE("Date: "));
    leat_buf_text(out, http_date(request->server));
    if (parts->content_type) {
        leat_buf_slice(out, LEAT_SLICE("\r\nContent-Type: "));
        leat_buf_text(out, parts->content_type);
    }
    leat_buf_slice(out, LEAT_SLICE("\r\nContent-Length: "));
    leat_buf_uint(out, parts->body.size);
    if (parts->closes)
        leat_buf_slice(out, LEAT_SLICE("\r\nConnection: close"));
    else if (request->http_1_0)
        leat_buf_slice(out, LEAT_SLICE("\r\nConnection: keep-alive"));
    leat_buf_slice(out, LEAT_SLICE("\r\n"));
    if (row->headers)
        leat_buf_text(out, row->headers);
    if (parts->extra_headers)
        leat_buf_text(out, parts->extra_headers);
    leat_buf_slice(out, LEAT_SLICE("\r\n"));
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

void http_answers_advance(http_conn *conn)
{
    while (conn->first && conn->first->state == HTTP_ANSWERED) {
        leat_http_request *request = pop_first(conn);
        leat_buf_append(&conn->out, request->answer.data, request->answer.size);
        conn->out.failed = conn->out.failed || request->answer.failed;
        http_request_recycle(request);
    }
    maybe_continue(conn);
}

static void give_answer(leat_http_request *request, http_answer_parts *parts)
{
    http_conn *conn = request->conn;
    LEAT_ASSERT(conn->state != HTTP_CONN_CLOSING && request != conn->current);
    parts->closes = !request->keep_alive || (request->server->draining && request == conn->last);
    if (parts->closes)
        conn->no_more = true;
    if (request == conn->first) {
        pop_first(conn);
        write_answer(request, parts, &conn->out);
        http_request_recycle(request);
        http_answers_advance(conn);
    } else {
        http_request_enter(request, HTTP_ANSWERED);
        write_answer(request, parts, &request->answer);
    }
    http_conn_mark_dirty(conn);
}

void leat_http_answer(leat_http_request *request, leat_http_code code, const char *content_type,
                      leat_slice body, const char *extra_headers)
{
    LEAT_ASSERT(request->state == HTTP_HANDED && code < LEAT_HTTP_CODE_COUNT);
    leat_http_server *server = request->server;
    LEAT_ASSERT(server->handed > 0);
    server->handed--;
    if (!request->conn) {
        http_request_recycle(request);
        http_server_maybe_free(server);
        return;
    }
    http_answer_parts parts = {
        .code = code, .content_type = content_type, .body = body, .extra_headers = extra_headers};
    if (request->is_h2)
        http_h2_answer(request, &parts);
    else
        give_answer(request, &parts);
}

void leat_http_abandon(leat_http_request *request)
{
    LEAT_ASSERT(request->state == HTTP_HANDED);
    leat_http_server *server = request->server;
    bool is_stream = request->conn && request->is_h2;
    if (request->conn && !is_stream)
        http_conn_close(request->conn);
    LEAT_ASSERT(server->handed > 0);
    server->handed--;
    if (is_stream)
        http_h2_abandon(request);
    else
        http_request_recycle(request);
    http_server_maybe_free(server);
}

void http_answer_fault(leat_http_request *request, leat_http_code code, const char *message)
{
    leat_buf body = {0};
    leat_http_error_body(&body, code, NULL, message);
    if (body.failed) /* the status still tells the truth */
        leat_buf_free(&body);
    http_answer_parts parts = {
        .code = code,
        .content_type = LEAT_HTTP_JSON,
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
