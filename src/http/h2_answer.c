/*
 * h2_answer.c - how an answer becomes frames. The header lines are those of HTTP/1.1, with names in
 * lower case, so that an owner writes an answer once for both. The length that is announced and the
 * body come from one place: nghttp2 would send any length, and clients refuse a wrong one.
 *
 * The body stays in the request until nghttp2 has framed it, as far as the client's windows let it;
 * the request goes back to the pool when its stream is closed.
 */
#include <string.h>

#include "http/h2.h"

enum { FIELDS_MAX = 24, TEXT_MAX = 1024, DIGITS_MAX = 20 };

/* Its texts stay where they are until nghttp2 has copied them. */
typedef struct fields {
    nghttp2_nv list[FIELDS_MAX];
    size_t count;
    char text[TEXT_MAX]; /* numbers, and names in lower case */
    size_t used;
} fields;

static char *room(fields *to, size_t size)
{
    LEAT_ASSERT(size <= TEXT_MAX - to->used);
    char *at = to->text + to->used;
    to->used += size;
    return at;
}

/* nghttp2 does not write to them. */
static uint8_t *bytes_of(leat_slice text)
{
    return (uint8_t *)(uintptr_t)text.data;
}

/* `name` in lower case. */
static void add(fields *to, leat_slice name, leat_slice value)
{
    LEAT_ASSERT(to->count < FIELDS_MAX);
    to->list[to->count++] = (nghttp2_nv){.name = bytes_of(name),
                                         .namelen = name.size,
                                         .value = bytes_of(value),
                                         .valuelen = value.size};
}

static void add_number(fields *to, leat_slice name, uint64_t number)
{
    char *text = room(to, DIGITS_MAX);
    size_t at = DIGITS_MAX;
    do
        text[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    add(to, name, (leat_slice){text + at, DIGITS_MAX - at});
}

static leat_slice lower(fields *to, leat_slice name)
{
    char *text = room(to, name.size);
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        text[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return (leat_slice){text, name.size};
}

/* "Name: value\r\n", any number of them. */
static void add_lines(fields *to, const char *lines)
{
    while (lines && *lines) {
        size_t name = strcspn(lines, ":");
        size_t size = strcspn(lines, "\r");
        LEAT_ASSERT(name + 1 < size && lines[size] == '\r' && lines[size + 1] == '\n');
        size_t value = name + 1 + strspn(lines + name + 1, " ");
        add(to, lower(to, (leat_slice){lines, name}), (leat_slice){lines + value, size - value});
        lines += size + 2;
    }
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    leat_http_request *request = source->ptr;
    (void)session;
    (void)context;
    LEAT_ASSERT(request->stream_id == stream_id && request->answer_at <= request->answer.size);
    size_t left = request->answer.size - request->answer_at;
    size_t given = left < size ? left : size;
    if (given > 0)
        memcpy(to, request->answer.data + request->answer_at, given);
    request->answer_at += given;
    request->answer_progress += given;
    if (request->answer_progress >= LEAT_HTTP_STREAM_PROGRESS && request->is_in_pieces) {
        request->answer_progress = 0;
        request->answer_since = http_now_ms(request->server);
    }
    if (request->answer_at < request->answer.size)
        return (ssize_t)given;
    if (!request->answer_begun) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)given;
    }
    if (given == 0)
        return NGHTTP2_ERR_DEFERRED;
    leat_buf_clear(&request->answer);
    request->answer_at = 0;
    request->answer_since = 0;
    request->is_room_due = request->conn->h2->has_room_due = true;
    return (ssize_t)given;
}

void http_h2_reset(leat_http_request *request, uint32_t error_code)
{
    nghttp2_submit_rst_stream(request->conn->h2->session, NGHTTP2_FLAG_NONE, request->stream_id,
                              error_code);
    http_conn_mark_dirty(request->conn);
}

/* `has_length`: the body is there as a whole. */
static void submit(leat_http_request *request, const http_answer_parts *parts, bool has_length)
{
    const leat_http_code_row *row = &leat_http_codes[parts->code];
    fields to;
    to.count = to.used = 0;
    add_number(&to, LEAT_SLICE(":status"), (uint64_t)row->status);
    add(&to, LEAT_SLICE("date"), leat_slice_of(http_date(request->server)));
    if (parts->content_type)
        add(&to, LEAT_SLICE("content-type"), leat_slice_of(parts->content_type));
    if (has_length && parts->code != LEAT_HTTP_NOT_MODIFIED)
        add_number(&to, LEAT_SLICE("content-length"), parts->body.size);
    add_lines(&to, row->headers);
    add_lines(&to, parts->extra_headers);
    bool has_body = (parts->body.size > 0 || !has_length) && request->method != LEAT_HTTP_HEAD;
    nghttp2_data_provider body = {.source.ptr = request, .read_callback = read_body};
    if (has_body)
        leat_buf_slice(&request->answer, parts->body);
    if (request->answer.failed ||
        nghttp2_submit_response(request->conn->h2->session, request->stream_id, to.list, to.count,
                                has_body ? &body : NULL) != 0)
        http_h2_reset(request, NGHTTP2_INTERNAL_ERROR);
    http_conn_mark_dirty(request->conn);
}

void http_h2_put(leat_http_request *request, const http_answer_parts *parts)
{
    LEAT_ASSERT(request->stream_id != 0);
    http_request_enter(request, HTTP_ANSWERED);
    request->since = 0;
    request->answer_since = http_now_ms(request->server);
    submit(request, parts, true);
}

size_t http_h2_unsent(const http_conn *conn)
{
    size_t unsent = 0;
    const leat_http_request *request;
    LIST_FOREACH(request, &conn->h2->requests, of_conn)
    {
        LEAT_ASSERT(request->answer_at <= request->answer.size);
        unsent += request->answer.size - request->answer_at;
    }
    return unsent;
}

/* The owner's part is done, whatever becomes of the stream. Inside on_headers it was never its own.
 */
static void take_back(leat_http_request *request)
{
    http_h2 *h2 = request->conn->h2;
    if (request->state == HTTP_READING)
        return;
    LEAT_ASSERT(h2->in_flight > 0);
    h2->in_flight--;
}

/* It was cancelled. The last one of a connection that is leaving lets it go. */
static void drop(leat_http_request *request)
{
    http_conn *conn = request->conn;
    http_h2_forget(request);
    http_request_recycle(request);
    http_conn_mark_dirty(conn);
}

void http_h2_answer(leat_http_request *request, const http_answer_parts *parts)
{
    take_back(request);
    if (request->stream_id != 0)
        http_h2_put(request, parts);
    else
        drop(request);
}

/* ---- in pieces ---- */

void http_h2_answer_begin(leat_http_request *request, const http_answer_parts *head)
{
    request->is_in_pieces = true;
    if (request->stream_id == 0)
        return;
    submit(request, head, false);
}

/* An answer whose owner is never done with a piece before the next one would keep all of it. */
static void drop_framed(leat_http_request *request)
{
    enum { KEEP_FRAMED_BYTES = 64 * 1024 };
    leat_buf *answer = &request->answer;
    if (request->answer_at < KEEP_FRAMED_BYTES)
        return;
    answer->size -= request->answer_at;
    memmove(answer->data, answer->data + request->answer_at, answer->size);
    request->answer_at = 0;
}

static void go_on(leat_http_request *request)
{
    if (request->answer_since == 0)
        request->answer_since = http_now_ms(request->server);
    nghttp2_session_resume_data(request->conn->h2->session, request->stream_id);
    http_conn_mark_dirty(request->conn);
}

void http_h2_answer_piece(leat_http_request *request, leat_slice piece)
{
    if (request->stream_id == 0)
        return;
    drop_framed(request);
    leat_buf_slice(&request->answer, piece);
    if (!request->answer.failed) {
        go_on(request);
        return;
    }
    http_h2_reset(request, NGHTTP2_INTERNAL_ERROR); /* out of memory; its owner hears of it */
}

void http_h2_answer_end(leat_http_request *request)
{
    take_back(request);
    if (request->stream_id == 0) {
        drop(request);
        return;
    }
    http_request_enter(request, HTTP_ANSWERED);
    request->since = 0;
    go_on(request);
}

void http_h2_abandon(leat_http_request *request)
{
    take_back(request);
    if (request->stream_id != 0)
        http_h2_reset(request, NGHTTP2_INTERNAL_ERROR);
    drop(request);
}

void http_h2_refuse(leat_http_request *request, leat_http_code code, const char *message)
{
    LEAT_ASSERT(request->state == HTTP_READING);
    request->fault = (http_fault){code, message};
    request->server->counters.malformed++;
    http_answer_fault(request, code, message);
}

void http_h2_continue(leat_http_request *request)
{
    fields to;
    to.count = to.used = 0;
    add(&to, LEAT_SLICE(":status"), LEAT_SLICE("100"));
    request->wants_continue = false;
    nghttp2_submit_headers(request->conn->h2->session, NGHTTP2_FLAG_NONE, request->stream_id, NULL,
                           to.list, to.count, NULL);
}
