/*
 * parse.c - decides which bytes are a request. llhttp, strict by default, refuses malformed ones by
 * itself. This file adds the rules of HTTP/1.1 that llhttp does not have (no Transfer-Encoding in
 * HTTP/1.0, no coding but chunked, no RTSP): two servers in a row that read one request differently
 * can be made to swap the answers of their clients. Rules of every protocol are in check.c. It also
 * has the limits, and the answer to each refusal. After a refusal nothing more of the connection is
 * parsed: where the next request begins is no longer known.
 */
#include <string.h>

#include "http/internal.h"

static int refuse(http_conn *conn, leat_http_code code, const char *message)
{
    conn->fault = code;
    conn->fault_message = message;
    return HPE_USER;
}

static http_conn *conn_of(const llhttp_t *parser)
{
    return parser->data;
}

static int on_message_begin(llhttp_t *parser)
{
    http_conn *conn = conn_of(parser);
    conn->header_since = http_now_ms(conn->server);
    conn->protocol_size = 0;
    conn->trailer_bytes = 0;
    conn->extension_bytes = 0;
    if (!http_request_begin(conn))
        return refuse(conn, LEAT_HTTP_OVERLOADED, "out of memory");
    return 0;
}

static int append_head(http_conn *conn, const char *data, size_t size)
{
    leat_buf_append(&conn->current->head, data, size);
    return conn->current->head.failed ? refuse(conn, LEAT_HTTP_OVERLOADED, "out of memory") : 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    http_conn *conn = conn_of(parser);
    leat_http_request *request = conn->current;
    LEAT_ASSERT(request->head.size == request->target_size &&
                request->target_size <= HTTP_TARGET_MAX);
    if (length > HTTP_TARGET_MAX - request->head.size)
        return refuse(conn, LEAT_HTTP_TARGET_TOO_LONG, "the request target is too long");
    request->target_size += (uint32_t)length;
    return append_head(conn, at, length);
}

/* The parser also knows RTSP and ICE. */
static int on_protocol(llhttp_t *parser, const char *at, size_t length)
{
    static const char http[] = "HTTP";
    http_conn *conn = conn_of(parser);
    for (size_t i = 0; i < length; i++)
        if (conn->protocol_size >= sizeof http - 1 || at[i] != http[conn->protocol_size++])
            return refuse(conn, LEAT_HTTP_BAD_REQUEST, "the protocol is not HTTP");
    return 0;
}

static int count_trailer(http_conn *conn, size_t length)
{
    conn->trailer_bytes += length;
    return conn->trailer_bytes > conn->server->config.header_max
               ? refuse(conn, LEAT_HTTP_HEADERS_TOO_LARGE, "the trailers are too large")
               : 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
    http_conn *conn = conn_of(parser);
    if (conn->headers_done)
        return count_trailer(conn, length);
    leat_http_request *request = conn->current;
    LEAT_ASSERT(request && request->state == HTTP_READING);
    char *to = leat_buf_reserve(&request->head, length);
    if (!to)
        return refuse(conn, LEAT_HTTP_OVERLOADED, "out of memory");
    for (size_t i = 0; i < length; i++)
        to[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + ('a' - 'A')) : at[i];
    request->head.size += length;
    return 0;
}

/* The name ends here: it began where the part before it ended. The value may follow in several
 * pieces or not at all. */
static int on_header_field_complete(llhttp_t *parser)
{
    http_conn *conn = conn_of(parser);
    if (conn->headers_done)
        return 0;
    leat_http_request *request = conn->current;
    if (request->header_count == HTTP_HEADERS_MAX)
        return refuse(conn, LEAT_HTTP_HEADERS_TOO_LARGE, "there are too many headers");
    uint32_t name_at = request->target_size;
    if (request->header_count > 0) {
        const http_header *before = &request->headers[request->header_count - 1];
        name_at = before->value_at + before->value_size;
    }
    LEAT_ASSERT(name_at <= request->head.size);
    request->headers[request->header_count++] = (http_header){
        .name_at = name_at,
        .name_size = (uint32_t)request->head.size - name_at,
        .value_at = (uint32_t)request->head.size,
    };
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
    http_conn *conn = conn_of(parser);
    if (conn->headers_done)
        return count_trailer(conn, length);
    LEAT_ASSERT(conn->current->header_count > 0);
    conn->current->headers[conn->current->header_count - 1].value_size += (uint32_t)length;
    return append_head(conn, at, length);
}

static int on_header_value_complete(llhttp_t *parser)
{
    http_conn *conn = conn_of(parser);
    if (conn->headers_done)
        return 0;
    leat_http_request *request = conn->current;
    LEAT_ASSERT(request->header_count > 0);
    http_header *header = &request->headers[request->header_count - 1];
    LEAT_ASSERT((size_t)header->value_at + header->value_size == request->head.size);
    const char *value = request->head.data + header->value_at;
    while (header->value_size > 0 &&
           (value[header->value_size - 1] == ' ' || value[header->value_size - 1] == '\t'))
        header->value_size--;
    request->head.size = header->value_at + header->value_size;
    return 0;
}

static int check_version(http_conn *conn, const llhttp_t *parser)
{
    if (parser->http_major != 1 || parser->http_minor > 1)
        return refuse(conn, LEAT_HTTP_VERSION_NOT_SUPPORTED,
                      "only HTTP/1.1 and HTTP/1.0 are supported");
    return conn->protocol_size == 4
               ? 0
               : refuse(conn, LEAT_HTTP_BAD_REQUEST, "the protocol is not HTTP");
}

static int check_framing(http_conn *conn, const http_known *known)
{
    const leat_http_request *request = conn->current;
    if (known->transfer_encoding == -1)
        return 0;
    if (request->http_1_0)
        return refuse(conn, LEAT_HTTP_BAD_REQUEST, "Transfer-Encoding is not part of HTTP/1.0");
    if (known->content_length != -1)
        return refuse(conn, LEAT_HTTP_BAD_REQUEST, "Content-Length and Transfer-Encoding together");
    if (known->transfer_encoding == -2)
        return refuse(conn, LEAT_HTTP_BAD_REQUEST, "more than one Transfer-Encoding header");
    if (!leat_slice_is_nocase(http_header_value(request, known->transfer_encoding), "chunked"))
        return refuse(conn, LEAT_HTTP_NOT_IMPLEMENTED,
                      "the only supported transfer coding is chunked");
    return 0;
}

/* The rules of every protocol. */
static int check_request(http_conn *conn, const llhttp_t *parser, const http_known *known)
{
    http_fault fault;
    bool has_body = parser->content_length > 0 || known->transfer_encoding >= 0;
    if (!http_check(conn->current, known, has_body, &fault))
        return refuse(conn, fault.code, fault.message);
    return 0;
}

/* What has come of the head: pipelined requests cost a client nothing. Blanks behind a value may be
 * counted and then dropped. */
static int count_head(http_conn *conn)
{
    leat_http_request *request = conn->current;
    size_t size = request->head.size, counted = request->head_counted;
    size_t added = size > counted ? size - counted : 0;
    if (!http_has_room(conn->server, added))
        return refuse(conn, LEAT_HTTP_OVERLOADED, HTTP_TOO_MANY_BYTES);
    request->head_counted += added;
    conn->server->bodies += added;
    return 0;
}

static int check_method(http_conn *conn, const llhttp_t *parser)
{
    http_fault fault;
    leat_slice name = leat_slice_of(llhttp_method_name((llhttp_method_t)parser->method));
    return http_check_method(name, &conn->current->method, &fault)
               ? 0
               : refuse(conn, fault.code, fault.message);
}

/* A refusal here is -1: the parser takes 1 and 2 as "there is no body". */
static int on_headers_complete(llhttp_t *parser)
{
    http_conn *conn = conn_of(parser);
    leat_http_request *request = conn->current;
    LEAT_ASSERT(request && !conn->headers_done);
    conn->headers_done = true;
    conn->body_since = http_now_ms(conn->server);
    request->http_1_0 = parser->http_minor == 0;
    http_known known;
    http_find_known(request, &known);
    if (check_version(conn, parser) != 0 || check_method(conn, parser) != 0 ||
        check_framing(conn, &known) != 0 || check_request(conn, parser, &known) != 0 ||
        count_head(conn) != 0)
        return -1;
    parser->upgrade = 0; /* an offer of another protocol: going on in HTTP/1.1 declines it */
    request->keep_alive = llhttp_should_keep_alive(parser) != 0;
    if (http_ask_owner(conn) != 0)
        return -1;
    if (conn->discarding)
        return 0;
    if (!request->streamed && known.content_length >= 0 &&
        parser->content_length > conn->server->config.body_max) {
        refuse(conn, LEAT_HTTP_TOO_LARGE, "the body is too large");
        return -1;
    }
    if (request->wants_continue)
        http_answers_advance(conn);
    return 0;
}

static int on_chunk_header(llhttp_t *parser)
{
    http_conn *conn = conn_of(parser);
    if (conn->discarding || conn->current->streamed)
        return 0;
    LEAT_ASSERT(conn->current->body.size <= conn->server->config.body_max);
    size_t room = conn->server->config.body_max - conn->current->body.size;
    return parser->content_length > room
               ? refuse(conn, LEAT_HTTP_TOO_LARGE, "the body is too large")
               : 0;
}

static int on_chunk_extension(llhttp_t *parser, const char *at, size_t length)
{
    (void)at;
    http_conn *conn = conn_of(parser);
    conn->extension_bytes += length;
    return conn->extension_bytes > HTTP_EXTENSION_MAX
               ? refuse(conn, LEAT_HTTP_BAD_REQUEST, "the chunk extensions are too large")
               : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    http_conn *conn = conn_of(parser);
    leat_http_server *server = conn->server;
    if (conn->discarding)
        return 0;
    if (!http_has_room(server, length))
        return refuse(conn, LEAT_HTTP_OVERLOADED, HTTP_TOO_MANY_BYTES);
    if (conn->current->streamed)
        return http_stream_piece(conn, at, length) == 0 ? 0 : HPE_USER;
    leat_buf *body = &conn->current->body;
    LEAT_ASSERT(conn->headers_done && body->size <= server->config.body_max);
    if (length > server->config.body_max - body->size)
        return refuse(conn, LEAT_HTTP_TOO_LARGE, "the body is too large");
    http_request_find_memory(server, body);
    leat_buf_append(body, at, length);
    if (body->failed)
        return refuse(conn, LEAT_HTTP_OVERLOADED, "out of memory");
    server->bodies += length;
    return 0;
}

/* Pauses, so that the request is handed on outside the parser and the next one is not begun before
 * there is room. */
static int on_message_complete(llhttp_t *parser)
{
    leat_http_request *request = conn_of(parser)->current;
    if (request) /* else it was answered by its headers */
        request->keep_alive = request->keep_alive && llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
}

void http_parse_settings(llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_message_begin = on_message_begin;
    settings->on_url = on_url;
    settings->on_protocol = on_protocol;
    settings->on_header_field = on_header_field;
    settings->on_header_field_complete = on_header_field_complete;
    settings->on_header_value = on_header_value;
    settings->on_header_value_complete = on_header_value_complete;
    settings->on_headers_complete = on_headers_complete;
    settings->on_chunk_header = on_chunk_header;
    settings->on_chunk_extension_name = on_chunk_extension;
    settings->on_chunk_extension_value = on_chunk_extension;
    settings->on_body = on_body;
    settings->on_message_complete = on_message_complete;
}

static void fail_by_parser(http_conn *conn, llhttp_errno_t code)
{
    const char *reason = llhttp_get_error_reason(&conn->parser);
    bool other_version = code == HPE_INVALID_VERSION && strcmp(reason, "Invalid HTTP version") == 0;
    if (conn->fault_message)
        http_fail(conn, conn->fault, conn->fault_message);
    else if (code == HPE_PAUSED_H2_UPGRADE || other_version)
        http_fail(conn, LEAT_HTTP_VERSION_NOT_SUPPORTED,
                  "only HTTP/1.1 and HTTP/1.0 are supported");
    else
        http_fail(conn, LEAT_HTTP_BAD_REQUEST,
                  reason && *reason ? reason : "the request is malformed");
}

/* The request is whole. Its owner may answer at once, and may even close the server. */
static void hand_over(http_conn *conn)
{
    leat_http_server *server = conn->server;
    leat_http_request *request = conn->current;
    LEAT_ASSERT(conn->headers_done);
    conn->headers_done = false;
    conn->header_bytes = 0;
    if (conn->discarding) {
        conn->discarding = false;
        return;
    }
    LEAT_ASSERT(request == conn->last);
    if (request->streamed) {
        http_stream_done(conn);
        return;
    }
    conn->current = NULL;
    conn->waiting++;
    conn->no_more = conn->no_more || !request->keep_alive;
    server->handed++;
    http_request_enter(request, HTTP_HANDED);
    request->arrived_us = leat_mono_us();
    request->wants_continue = false;
    server->handler(server->context, request);
}

static bool takes_requests(const http_conn *conn)
{
    return conn->state == HTTP_CONN_OPEN && !conn->no_more &&
           conn->waiting < conn->server->config.pipeline_max && http_window_is_open(conn);
}

/* The parser is never given more bytes than the headers may still have, so their limit is exact to
 * the byte. */
static size_t parse_some(http_conn *conn, const char *data, size_t size)
{
    LEAT_ASSERT(size > 0 && conn->header_bytes < conn->server->config.header_max);
    size_t room = conn->server->config.header_max - conn->header_bytes;
    size_t given = conn->headers_done || size < room ? size : room;
    llhttp_errno_t code = llhttp_execute(&conn->parser, data, given);
    if (code == HPE_PAUSED) {
        size_t used = (size_t)(llhttp_get_error_pos(&conn->parser) - data);
        llhttp_resume(&conn->parser);
        hand_over(conn);
        return used;
    }
    if (conn->state != HTTP_CONN_OPEN || conn->no_more) /* an owner's answer ended it */
        return given;
    if (code != HPE_OK) {
        fail_by_parser(conn, code);
        return given;
    }
    if (conn->headers_done)
        return given;
    conn->header_bytes += given;
    if (conn->current && count_head(conn) != 0) {
        http_fail(conn, conn->fault, conn->fault_message);
        return given;
    }
    if (conn->header_bytes < conn->server->config.header_max)
        return given;
    bool in_target = conn->current && conn->current->header_count == 0 && conn->protocol_size == 0;
    http_fail(conn, in_target ? LEAT_HTTP_TARGET_TOO_LONG : LEAT_HTTP_HEADERS_TOO_LARGE,
              in_target ? "the request target is too long" : "the headers are too large");
    return given;
}

size_t http_parse(http_conn *conn, const char *data, size_t size)
{
    size_t used = 0;
    while (used < size && takes_requests(conn))
        used += parse_some(conn, data + used, size - used);
    return used;
}
