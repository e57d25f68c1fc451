#include <stdio.h>
#include <string.h>

#include "http/internal.h"

typedef struct status_line {
    int status;
    const char *line; /* with what every answer of this status begins with */
    const char *code; /* the word in the JSON of an error the server itself reports; NULL: it
                         reports none */
} status_line;

#define STATUS_LINE(status, reason, code) {status, "HTTP/1.1 " #status " " reason "\r\n", code}

static const status_line status_lines[] = {
    STATUS_LINE(202, "Accepted", NULL),
    STATUS_LINE(200, "OK", NULL),
    STATUS_LINE(204, "No Content", NULL),
    STATUS_LINE(400, "Bad Request", "bad_request"),
    STATUS_LINE(404, "Not Found", NULL),
    STATUS_LINE(405, "Method Not Allowed", NULL),
    STATUS_LINE(408, "Request Timeout", "timeout"),
    STATUS_LINE(413, "Content Too Large", "too_large"),
    STATUS_LINE(414, "URI Too Long", "too_large"),
    STATUS_LINE(415, "Unsupported Media Type", NULL),
    STATUS_LINE(417, "Expectation Failed", "bad_request"),
    STATUS_LINE(422, "Unprocessable Content", NULL),
    STATUS_LINE(429, "Too Many Requests", NULL),
    STATUS_LINE(431, "Request Header Fields Too Large", "too_large"),
    STATUS_LINE(500, "Internal Server Error", NULL),
    STATUS_LINE(501, "Not Implemented", "bad_request"),
    STATUS_LINE(503, "Service Unavailable", "overloaded"),
    STATUS_LINE(504, "Gateway Timeout", NULL),
    STATUS_LINE(505, "HTTP Version Not Supported", "bad_request"),
};

static const status_line *find_status(int status)
{
    for (size_t i = 0; i < sizeof status_lines / sizeof *status_lines; i++)
        if (status_lines[i].status == status)
            return &status_lines[i];
    return NULL;
}

static const char *date_of(leat_http_server *server)
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

typedef struct answer_parts {
    int status;
    const char *content_type;
    leat_slice body;
    const char *extra_headers;
    bool closes;
} answer_parts;

static void write_answer(leat_http_request *request, const answer_parts *parts, leat_buf *out)
{
    const status_line *line = find_status(parts->status);
    LEAT_ASSERT(line);
    leat_buf_text(out, line->line);
    leat_buf_slice(out, LEAT_SLICE("Date: "));
    leat_buf_text(out, date_of(request->server));
    if (parts->content_type) {
        leat_buf_slice(out, LEAT_SLICE("\r\nContent-Type: "));
        leat_buf_text(out, parts->content_type);
    }
    if (parts->status != 204) {
        leat_buf_slice(out, LEAT_SLICE("\r\nContent-Length: "));
        leat_buf_uint(out, parts->body.size);
    }
    if (parts->closes)
        leat_buf_slice(out, LEAT_SLICE("\r\nConnection: close"));
    else if (request->http_1_0)
        leat_buf_slice(out, LEAT_SLICE("\r\nConnection: keep-alive"));
    leat_buf_slice(out, LEAT_SLICE("\r\n"));
    if (parts->extra_headers)
        leat_buf_text(out, parts->extra_headers);
    leat_buf_slice(out, LEAT_SLICE("\r\n"));
    if (request->method != LEAT_HTTP_HEAD && parts->status != 204)
        leat_buf_slice(out, parts->body);
}

static leat_http_request *pop_first(http_conn *conn)
{
    leat_http_request *request = conn->first;
    conn->first = request->next;
    if (!conn->first)
        conn->last = NULL;
    request->next = NULL;
    LEAT_ASSERT(conn->waiting > 0);
    conn->waiting--;
    return request;
}

/* An interim answer has its place in the order like any other. */
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
    while (conn->first && conn->first->stage == HTTP_ANSWERED) {
        leat_http_request *request = pop_first(conn);
        leat_buf_append(&conn->out, request->answer.data, request->answer.size);
        conn->out.failed = conn->out.failed || request->answer.failed;
        http_request_recycle(request);
    }
    maybe_continue(conn);
}

static void give_answer(leat_http_request *request, answer_parts *parts)
{
    http_conn *conn = request->conn;
    parts->closes = !request->keep_alive || (request->server->draining && request == conn->last);
    if (parts->closes)
        conn->no_more = true;
    if (request == conn->first) {
        pop_first(conn);
        write_answer(request, parts, &conn->out);
        http_request_recycle(request);
        http_answers_advance(conn);
    } else {
        request->stage = HTTP_ANSWERED;
        write_answer(request, parts, &request->answer);
    }
    http_conn_mark_dirty(conn);
}

void leat_http_answer(leat_http_request *request, int status, const char *content_type,
                      leat_slice body, const char *extra_headers)
{
    http_request_check(request);
    LEAT_ASSERT(request->stage == HTTP_HANDED);
    leat_http_server *server = request->server;
    LEAT_ASSERT(server->handed > 0);
    server->handed--;
    if (!request->conn) {
        http_request_recycle(request);
        http_server_maybe_free(server);
        return;
    }
    answer_parts parts = {.status = status,
                          .content_type = content_type,
                          .body = body,
                          .extra_headers = extra_headers};
    give_answer(request, &parts);
}

void leat_http_abandon(leat_http_request *request)
{
    http_request_check(request);
    LEAT_ASSERT(request->stage == HTTP_HANDED);
    if (request->conn)
        http_conn_close(request->conn);
    leat_http_server *server = request->server;
    server->handed--;
    http_request_recycle(request);
    http_server_maybe_free(server);
}

void http_fail(http_conn *conn, int status, const char *message)
{
    leat_http_server *server = conn->server;
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
    const status_line *line = find_status(status);
    LEAT_ASSERT(line && line->code);
    char body[256];
    int size = snprintf(body, sizeof body, "{\"error\":\"%s\",\"field\":null,\"message\":\"%s\"}",
                        line->code, message);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof body);
    answer_parts parts = {
        .status = status,
        .content_type = "application/json",
        .body = {body, (size_t)size},
        .extra_headers = status == 503 ? "Retry-After: 1\r\n" : NULL,
    };
    give_answer(request, &parts);
}
