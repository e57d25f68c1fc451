/*
 * h2_body.c - the bytes of a body: kept with the request until it is whole, or given to an owner
 * that takes them in pieces. Windows are opened here and nowhere else.
 */
#include "http/h2.h"

/* Of all bodies and heads a connection gets at most a quarter: one client must not take the room of
 * all. */
bool http_h2_has_room(const http_conn *conn, size_t size)
{
    const leat_http_config *config = &conn->server->config;
    size_t share = config->bodies_max / 4 > config->body_max ? config->bodies_max / 4
                                                             : config->body_max;
    return http_has_room(conn->server, size) && conn->h2->bodies + size <= share;
}

static int take_piece(http_conn *conn, leat_http_request *request, leat_slice piece)
{
    leat_http_server *server = conn->server;
    if (!http_h2_has_room(conn, piece.size)) {
        http_h2_break_off(request, LEAT_HTTP_OVERLOADED, HTTP_TOO_MANY_BYTES);
        http_tell_gone(server);
        return http_h2_go_on(conn);
    }
    server->bodies += piece.size;
    conn->h2->bodies += piece.size;
    request->held += piece.size;
    request->progress += piece.size;
    if (request->progress >= LEAT_HTTP_STREAM_PROGRESS) {
        request->progress = 0;
        request->since = http_now_ms(server);
    }
    server->config.hooks.on_body(server->context, request, piece, false);
    return http_h2_go_on(conn);
}

bool http_h2_is_held_up(const leat_http_request *request)
{
    return request->held >= request->server->config.stream_window / 2;
}

void http_h2_body_taken(leat_http_request *request, size_t size)
{
    http_conn *conn = request->conn;
    LEAT_ASSERT(conn->h2->bodies >= size);
    bool was_held_up = http_h2_is_held_up(request);
    conn->h2->bodies -= size;
    conn->server->bodies -= size;
    request->held -= size;
    if (request->stream_id == 0 || !http_h2_is_live(conn))
        return;
    if (request->since != 0 && was_held_up && !http_h2_is_held_up(request)) {
        request->since = http_now_ms(conn->server); /* the client could not send meanwhile */
        request->progress = 0;
    }
    nghttp2_session_consume_stream(conn->h2->session, request->stream_id, size);
    http_conn_mark_dirty(conn);
}

/* It is the server that holds the bytes from here on, within bounds of its own, so the connection's
 * window is opened again at once: if it were shared by held bodies, it could be used up by bodies
 * that all wait for more of it. A stream's window is its own. */
int http_h2_on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                    size_t size, void *context)
{
    http_conn *conn = context;
    (void)flags;
    if (!http_h2_is_live(conn))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    leat_http_request *request = http_h2_request(session, stream_id);
    bool is_streamed = request && request->state == HTTP_HANDED && request->streamed;
    if ((is_streamed ? nghttp2_session_consume_connection(session, size)
                     : nghttp2_session_consume(session, stream_id, size)) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (is_streamed)
        return take_piece(conn, request, (leat_slice){(const char *)data, size});
    if (!request || request->state != HTTP_READING)
        return 0;
    if (size > conn->server->config.body_max - request->body.size) {
        http_h2_refuse(request, LEAT_HTTP_TOO_LARGE, "the body is too large");
        return 0;
    }
    http_request_find_memory(conn->server, &request->body);
    if (http_h2_has_room(conn, size))
        leat_buf_append(&request->body, data, size);
    else
        http_h2_note(request, LEAT_HTTP_OVERLOADED, HTTP_TOO_MANY_BYTES);
    if (request->body.failed)
        http_h2_note(request, LEAT_HTTP_OVERLOADED, "out of memory");
    if (request->fault.message) {
        http_h2_refuse(request, request->fault.code, request->fault.message);
        return 0;
    }
    conn->server->bodies += size;
    conn->h2->bodies += size;
    return 0;
}
