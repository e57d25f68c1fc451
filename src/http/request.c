/*
 * request.c - requests and their pool. A request outlives its connection when its owner still holds
 * it, and its owner's answer may come after the server was closed; so it belongs to the server, not
 * to the connection, and knows by its state whose it is. It carries three buffers and its table of
 * headers, some kilobytes: allocating and freeing those for every request would be most of a small
 * request's cost, hence the pool. Buffers that one large request made grow are not kept.
 *
 * A request may wait for long, and thousands may, so what it needs no longer is given back before
 * its end: the body once its owner has it elsewhere, the head too once it is answered behind
 * another. That is a matter of microseconds for most bodies, so a few such buffers are kept, and
 * the next requests take them.
 */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"

#include "base/states.h"

enum {
    POOL_MAX = 4096,
    /* A larger buffer is freed. Of most requests and answers none is; and since what is counted is
     * what a buffer holds, one that waits must not sit on much more. */
    KEEP_BYTES = 2 * 1024,
};

/* ---- states ---- */

/* READING is ANSWERED or POOLED where the server itself refuses a request, or its client leaves. */
static const unsigned may_follow[] = {
    [HTTP_POOLED] = LEAT_TO(HTTP_READING),
    [HTTP_READING] = LEAT_TO(HTTP_HANDED) | LEAT_TO(HTTP_ANSWERED) | LEAT_TO(HTTP_POOLED),
    [HTTP_HANDED] = LEAT_TO(HTTP_ANSWERED) | LEAT_TO(HTTP_POOLED),
    [HTTP_ANSWERED] = LEAT_TO(HTTP_POOLED),
};

void http_request_enter(leat_http_request *request, http_request_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, request->state, state));
    request->state = state;
}

/* ---- the pool ---- */

static void reset_buffer(leat_buf *buf)
{
    if (buf->capacity > KEEP_BYTES)
        leat_buf_free(buf);
    else
        leat_buf_clear(buf);
}

/* For other requests: its content counts no longer. */
static void give_memory(leat_http_server *server, leat_buf *buf)
{
    if (buf->capacity == 0 || buf->capacity > KEEP_BYTES ||
        server->spare_count == HTTP_SPARES_MAX) {
        leat_buf_free(buf);
        return;
    }
    leat_buf_clear(buf);
    server->spares[server->spare_count++] = *buf;
    *buf = (leat_buf){0};
}

void http_request_find_memory(leat_http_server *server, leat_buf *buf)
{
    if (!buf->data && server->spare_count > 0)
        *buf = server->spares[--server->spare_count];
}

static leat_http_request *take(leat_http_server *server)
{
    leat_http_request *request = server->pool;
    if (!request)
        return calloc(1, sizeof *request);
    LEAT_ASSERT(server->pool_count > 0 && request->state == HTTP_POOLED);
    server->pool = request->next;
    server->pool_count--;
    leat_buf head = request->head;
    leat_buf body = request->body;
    leat_buf answer = request->answer;
    memset(request, 0, offsetof(leat_http_request, head));
    request->head = head;
    request->body = body;
    request->answer = answer;
    return request;
}

leat_http_request *http_request_take(http_conn *conn)
{
    leat_http_request *request = take(conn->server);
    if (!request)
        return NULL;
    http_request_enter(request, HTTP_READING);
    request->server = conn->server;
    request->conn = conn;
    http_request_find_memory(conn->server, &request->head);
    return request;
}

leat_http_request *http_request_begin(http_conn *conn)
{
    LEAT_ASSERT(!conn->current && !conn->first == !conn->last);
    leat_http_request *request = http_request_take(conn);
    if (!request)
        return NULL;
    if (conn->last)
        conn->last->next = request;
    else
        conn->first = request;
    conn->last = request;
    conn->current = request;
    return request;
}

static void free_request(leat_http_request *request)
{
    leat_buf_free(&request->head);
    leat_buf_free(&request->body);
    leat_buf_free(&request->answer);
    free(request);
}

void http_request_drop_input(leat_http_request *request)
{
    leat_http_server *server = request->server;
    size_t counted = request->head_counted + request->body.size;
    LEAT_ASSERT(!request->is_h2 && server->bodies >= counted);
    server->bodies -= counted;
    request->head_counted = 0;
    request->header_count = request->target_size = request->path_size = 0;
    give_memory(server, &request->head);
    give_memory(server, &request->body);
}

void http_request_recycle(leat_http_request *request)
{
    leat_http_server *server = request->server;
    http_request_enter(request, HTTP_POOLED);
    LEAT_ASSERT(server->bodies >= http_request_counted(request));
    server->bodies -= http_request_counted(request);
    if (server->pool_count >= POOL_MAX) {
        free_request(request);
        return;
    }
    reset_buffer(&request->head);
    give_memory(server, &request->body);
    reset_buffer(&request->answer);
    request->next = server->pool;
    server->pool = request;
    server->pool_count++;
}

void http_request_pool_free(leat_http_server *server)
{
    while (server->pool) {
        leat_http_request *request = server->pool;
        server->pool = request->next;
        LEAT_ASSERT(request->state == HTTP_POOLED);
        free_request(request);
    }
    server->pool_count = 0;
    while (server->spare_count > 0)
        leat_buf_free(&server->spares[--server->spare_count]);
}

/* ---- for the owner ---- */

static leat_slice part(const leat_http_request *request, uint32_t at, uint32_t size)
{
    LEAT_ASSERT((size_t)at + size <= request->head.size);
    return (leat_slice){size > 0 ? request->head.data + at : "", size};
}

leat_http_method leat_http_request_method(const leat_http_request *request)
{
    return request->method;
}

leat_slice leat_http_request_path(const leat_http_request *request)
{
    if (request->path_size == 0) /* "http://host" and "http://host?query" mean the root */
        return LEAT_SLICE("/");
    return part(request, request->path_at, request->path_size);
}

leat_slice leat_http_request_query(const leat_http_request *request)
{
    uint32_t at = request->path_at + request->path_size;
    uint32_t end = request->target_at + request->target_size;
    if (at >= end)
        return (leat_slice){"", 0};
    LEAT_ASSERT(request->head.data[at] == '?');
    return part(request, at + 1, end - at - 1);
}

leat_slice leat_http_request_body(const leat_http_request *request)
{
    return (leat_slice){request->body.size > 0 ? request->body.data : "", request->body.size};
}

leat_slice leat_http_request_header_line(const leat_http_request *request, const char *name,
                                         uint32_t index)
{
    size_t size = strlen(name);
    for (uint32_t i = 0; i < request->header_count; i++) {
        const http_header *header = &request->headers[i];
        if (header->name_size == size &&
            memcmp(request->head.data + header->name_at, name, size) == 0 && index-- == 0)
            return part(request, header->value_at, header->value_size);
    }
    return (leat_slice){NULL, 0};
}

leat_slice leat_http_request_header(const leat_http_request *request, const char *name)
{
    leat_slice line = leat_http_request_header_line(request, name, 0);
    return line.data ? line : (leat_slice){"", 0};
}

int64_t leat_http_request_arrived_us(const leat_http_request *request)
{
    return request->arrived_us;
}

void leat_http_request_keep(leat_http_request *request, uint32_t slot, void *value)
{
    LEAT_ASSERT(slot < LEAT_HTTP_SLOTS);
    request->slots[slot] = value;
}

void *leat_http_request_kept(const leat_http_request *request, uint32_t slot)
{
    LEAT_ASSERT(slot < LEAT_HTTP_SLOTS);
    return request->slots[slot];
}

void leat_http_request_drop_body(leat_http_request *request)
{
    LEAT_ASSERT(request->state == HTTP_HANDED && request->server->bodies >= request->body.size);
    request->server->bodies -= request->body.size;
    if (request->is_h2)
        http_h2_drop_body(request);
    give_memory(request->server, &request->body);
}
