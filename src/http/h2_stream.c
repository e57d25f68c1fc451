/*
 * h2_stream.c - how a stream becomes a request. nghttp2 calls back for the beginning of a header
 * block, each field, each piece of a body, each whole frame and the end of a stream. It calls for
 * fields before it knows whether the request is valid, so nothing begins before the frame is
 * whole; and a stream ends with exactly one call, however it ends, so a request is given back
 * there.
 *
 * A request that breaks a limit is noted and read on (the compression of later ones depends on its
 * bytes), and answered when its headers are complete.
 */
#include <string.h>

#include "http/h2.h"

enum {
    FRAME_COST = 1000,
    REQUEST_GAIN = 2 * FRAME_COST,
    BUDGET_BACK_S = 10,
    ANSWER_GAIN_BYTES = 2048
};

/* ---- frames without effect ---- */

int http_h2_spend(http_conn *conn)
{
    http_h2 *h2 = conn->h2;
    int64_t most = (int64_t)conn->server->config.frames_budget * FRAME_COST;
    int64_t now = http_now_ms(conn->server);
    h2->budget += (now - h2->budget_at) * (most / FRAME_COST) / BUDGET_BACK_S;
    h2->budget_at = now;
    if (h2->budget > most)
        h2->budget = most;
    h2->budget -= FRAME_COST;
    if (h2->budget >= 0)
        return 0;
    http_h2_give_up(conn, NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- headers ---- */

void http_h2_forget(leat_http_request *request)
{
    http_conn *conn = request->conn;
    LEAT_ASSERT(conn && conn->h2);
    if (request->stream_id != 0 && !conn->h2->is_over && conn->state == HTTP_CONN_OPEN)
        nghttp2_session_set_stream_user_data(conn->h2->session, request->stream_id, NULL);
    LEAT_ASSERT(conn->h2->bodies >= http_request_counted(request));
    conn->h2->bodies -= http_request_counted(request);
    LIST_REMOVE(request, of_conn);
    request->is_h2 = false;
}

void http_h2_lose(leat_http_request *request)
{
    LEAT_ASSERT(request->state == HTTP_HANDED && request->stream_id != 0);
    nghttp2_session_set_stream_user_data(request->conn->h2->session, request->stream_id, NULL);
    request->stream_id = 0;
    request->is_room_due = false; /* no other callback follows on_gone */
    http_note_gone(request);
}

static void give_stream(leat_http_request *request, int32_t stream_id)
{
    http_h2 *h2 = request->conn->h2;
    request->is_h2 = true;
    request->stream_id = stream_id;
    request->keep_alive = true;
    LIST_INSERT_HEAD(&h2->requests, request, of_conn);
    nghttp2_session_set_stream_user_data(h2->session, stream_id, request);
}

/* The request is its owner's, so the answer is another one's, which takes its place in the stream.
 */
void http_h2_break_off(leat_http_request *request, leat_http_code code, const char *message)
{
    http_conn *conn = request->conn;
    int32_t stream_id = request->stream_id;
    leat_http_request *other = request->answer_begun ? NULL : http_request_take(conn);
    if (!other) {
        http_h2_reset(request, NGHTTP2_CANCEL);
        http_h2_lose(request);
        return;
    }
    other->method = request->method;
    http_h2_lose(request);
    give_stream(other, stream_id);
    http_h2_refuse(other, code, message);
}

/* Work is bounded by requests that wait for their owner, not by open streams: those of streams that
 * were cancelled cost as much. REFUSED_STREAM says that nothing was done, so it may be sent again.
 * It would not be true of a stream behind the final GOAWAY, which nghttp2 resets so when it sends
 * that frame: until then it goes on to take new ones.
 */
static int begin_request(http_conn *conn, int32_t stream_id)
{
    http_h2 *h2 = conn->h2;
    bool has_place = !h2->is_last && h2->in_flight < conn->server->config.streams_max;
    leat_http_request *request = has_place ? http_request_take(conn) : NULL;
    if (request) {
        give_stream(request, stream_id);
        if (conn->server->draining)
            http_h2_drain(conn);
        return 0;
    }
    nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM);
    return http_h2_spend(conn);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    http_conn *conn = context;
    (void)session;
    if (!http_h2_is_live(conn))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    conn->h2->headers_since = http_now_ms(conn->server);
    return frame->headers.cat == NGHTTP2_HCAT_REQUEST ? begin_request(conn, frame->hd.stream_id)
                                                      : 0; /* trailers */
}

static void add_header(leat_http_request *request, leat_slice name, leat_slice value)
{
    if (request->header_count == HTTP_HEADERS_MAX) {
        http_h2_note(request, LEAT_HTTP_HEADERS_TOO_LARGE, "there are too many headers");
        return;
    }
    request->headers[request->header_count++] = (http_header){
        .name_at = (uint32_t)request->head.size,
        .name_size = (uint32_t)name.size,
        .value_at = (uint32_t)(request->head.size + name.size),
        .value_size = (uint32_t)value.size,
    };
    leat_buf_slice(&request->head, name);
    leat_buf_slice(&request->head, value);
}

/* One host only, by whichever of the two names. */
static void add_host(leat_http_request *request, leat_slice value)
{
    static const leat_slice name = {"host", 4};
    leat_slice known = leat_http_request_header(request, "host");
    if (known.size == 0)
        add_header(request, name, value);
    else if (!leat_slice_equal(known, value))
        http_h2_note(request, LEAT_HTTP_BAD_REQUEST, "more than one Host header");
}

static void add_target(leat_http_request *request, leat_slice value)
{
    if (value.size > HTTP_TARGET_MAX) {
        http_h2_note(request, LEAT_HTTP_TARGET_TOO_LONG, "the request target is too long");
        return;
    }
    request->target_at = (uint32_t)request->head.size;
    request->target_size = (uint32_t)value.size;
    leat_buf_slice(&request->head, value);
}

/* Streams cost a client nothing, so their heads are bounded as bodies are. */
static void count_head(leat_http_request *request)
{
    http_conn *conn = request->conn;
    size_t added = request->head.size - request->head_counted;
    if (!http_h2_has_room(conn, added)) {
        http_h2_note(request, LEAT_HTTP_OVERLOADED, HTTP_TOO_MANY_BYTES);
        return;
    }
    request->head_counted += added;
    conn->h2->bodies += added;
    conn->server->bodies += added;
}

static void add_field(leat_http_request *request, leat_slice name, leat_slice value)
{
    http_fault fault;
    if (leat_slice_is(name, ":method")) {
        if (!http_check_method(value, &request->method, &fault))
            http_h2_note(request, fault.code, fault.message);
    } else if (leat_slice_is(name, ":scheme")) {
        if (!leat_slice_is_nocase(value, "http") && !leat_slice_is_nocase(value, "https"))
            http_h2_note(request, LEAT_HTTP_BAD_REQUEST, "the scheme is neither http nor https");
    } else if (leat_slice_is(name, ":path")) {
        add_target(request, value);
    } else if (leat_slice_is(name, ":authority") || leat_slice_is(name, "host")) {
        add_host(request, value);
    } else if (name.data[0] != ':') {
        add_header(request, name, value);
    }
    if (request->head.failed)
        http_h2_note(request, LEAT_HTTP_OVERLOADED, "out of memory");
    else
        count_head(request);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *context)
{
    enum { FIELD_EXTRA = 32 }; /* RFC 9113 6.5.2 */
    http_conn *conn = context;
    (void)flags;
    if (!http_h2_is_live(conn))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    leat_http_request *request = http_h2_request(session, frame->hd.stream_id);
    if (!request || request->state != HTTP_READING)
        return 0;
    bool is_trailer = frame->headers.cat != NGHTTP2_HCAT_REQUEST;
    size_t *bytes = is_trailer ? &request->trailer_bytes : &request->header_bytes;
    *bytes += name_size + value_size + FIELD_EXTRA;
    if (*bytes > conn->server->config.header_max)
        http_h2_note(request, LEAT_HTTP_HEADERS_TOO_LARGE,
                     is_trailer ? "the trailers are too large" : "the headers are too large");
    if (!request->fault.message && !is_trailer && name_size > 0)
        add_field(request, (leat_slice){(const char *)name, name_size},
                  (leat_slice){(const char *)value, value_size});
    return 0;
}

/* ---- the whole request ---- */

static void hand(http_conn *conn, leat_http_request *request)
{
    conn->h2->in_flight++;
    conn->h2->budget += REQUEST_GAIN;
    conn->server->handed++;
    http_request_enter(request, HTTP_HANDED);
    request->arrived_us = leat_mono_us();
}

static int hand_over(http_conn *conn, leat_http_request *request)
{
    leat_http_server *server = conn->server;
    request->since = 0;
    request->wants_continue = false;
    hand(conn, request);
    server->handler(server->context, request);
    return http_h2_go_on(conn);
}

static int end_of_stream(http_conn *conn, leat_http_request *request)
{
    leat_http_server *server = conn->server;
    request->since = 0;
    server->config.hooks.on_body(server->context, request, (leat_slice){"", 0}, true);
    return http_h2_go_on(conn);
}

static int end_of_body(http_conn *conn, leat_http_request *request)
{
    bool is_streamed = request->state == HTTP_HANDED && request->streamed;
    request->is_input_over = true;
    if (request->state != HTTP_READING && !is_streamed)
        return 0; /* answered before */
    if (!request->fault.message)
        return is_streamed ? end_of_stream(conn, request) : hand_over(conn, request);
    if (!is_streamed) {
        http_h2_refuse(request, request->fault.code, request->fault.message);
        return 0;
    }
    http_h2_break_off(request, request->fault.code, request->fault.message);
    http_tell_gone(conn->server);
    return http_h2_go_on(conn);
}

/* What does the owner want of the body? False: it has answered, or nothing is to be done any more.
 */
static bool ask_owner(http_conn *conn, leat_http_request *request)
{
    leat_http_server *server = conn->server;
    if (!server->config.hooks.on_headers)
        return true;
    request->in_hook = true;
    leat_http_body_mode mode = server->config.hooks.on_headers(server->context, request);
    if (!http_h2_is_live(conn))
        return false;
    LEAT_ASSERT((mode == LEAT_HTTP_BODY_ANSWERED) == (request->state != HTTP_READING));
    if (mode == LEAT_HTTP_BODY_ANSWERED)
        return false;
    request->in_hook = false;
    if (mode == LEAT_HTTP_BODY_STREAM) {
        LEAT_ASSERT(server->config.hooks.on_body);
        request->streamed = true;
        hand(conn, request);
        nghttp2_session_set_local_window_size(conn->h2->session, NGHTTP2_FLAG_NONE,
                                              request->stream_id,
                                              (int32_t)server->config.stream_window);
    }
    return true;
}

/* nghttp2 has seen that it is a number. */
static uint64_t content_length(const leat_http_request *request, const http_known *known)
{
    if (known->content_length < 0)
        return 0;
    leat_slice text = http_header_value(request, known->content_length);
    uint64_t length = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (length > (UINT64_MAX - digit) / 10)
            return UINT64_MAX;
        length = length * 10 + digit;
    }
    return length;
}

static int on_headers_whole(http_conn *conn, leat_http_request *request, bool is_end)
{
    http_known known;
    conn->server->counters.streams++;
    request->since = http_now_ms(conn->server);
    request->is_input_over = is_end;
    http_find_known(request, &known);
    if (!request->fault.message && http_check(request, &known, !is_end, &request->fault)) {
        if (!ask_owner(conn, request))
            return http_h2_go_on(conn);
        if (!request->streamed && content_length(request, &known) > conn->server->config.body_max)
            http_h2_note(request, LEAT_HTTP_TOO_LARGE, "the body is too large");
    }
    if (request->fault.message) {
        http_h2_refuse(request, request->fault.code, request->fault.message);
        return 0;
    }
    if (is_end)
        return end_of_body(conn, request);
    if (request->wants_continue)
        http_h2_continue(request);
    return 0;
}

static int on_headers_frame(http_conn *conn, const nghttp2_frame *frame, leat_http_request *request)
{
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    conn->h2->headers_since = 0;
    if (!request)
        return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        return on_headers_whole(conn, request, is_end);
    return is_end ? end_of_body(conn, request) : 0;
}

static int on_data_frame(http_conn *conn, const nghttp2_frame *frame, leat_http_request *request)
{
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        return request ? end_of_body(conn, request) : 0;
    return frame->hd.length == 0 ? http_h2_spend(conn) : 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    http_conn *conn = context;
    if (!http_h2_is_live(conn))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return on_headers_frame(conn, frame, http_h2_request(session, frame->hd.stream_id));
    case NGHTTP2_DATA:
        return on_data_frame(conn, frame, http_h2_request(session, frame->hd.stream_id));
    case NGHTTP2_PING:
        if (is_ack && conn->h2->notice_since != 0)
            http_h2_leave(conn); /* it has read the notice */
        return is_ack ? 0 : http_h2_spend(conn);
    case NGHTTP2_SETTINGS:
        return is_ack ? 0 : http_h2_spend(conn);
    case NGHTTP2_PRIORITY:
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_WINDOW_UPDATE:
        return http_h2_spend(conn);
    default:
        return 0;
    }
}

/* ---- the end of a stream ---- */

/* A whole answer to half a request: the rest of it is not wanted (RFC 9113 8.1). */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    http_conn *conn = context;
    if (frame->hd.type == NGHTTP2_DATA)
        conn->h2->budget += (int64_t)frame->hd.length * FRAME_COST / ANSWER_GAIN_BYTES;
    bool is_end = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                  (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (!is_end || !http_h2_is_live(conn))
        return 0;
    leat_http_request *request = http_h2_request(session, frame->hd.stream_id);
    if (request && !request->is_input_over)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *context)
{
    http_conn *conn = context;
    (void)error_code;
    if (!http_h2_is_live(conn))
        return 0;
    leat_http_request *request = http_h2_request(session, stream_id);
    conn->idle_since = http_now_ms(conn->server);
    if (!request)
        return 0;
    if (request->state == HTTP_HANDED) { /* cancelled: its work still counts */
        http_h2_lose(request);
        http_tell_gone(conn->server);
        return http_h2_go_on(conn);
    }
    http_h2_forget(request);
    http_request_recycle(request);
    return 0;
}

/* Refused by nghttp2 itself, which has queued the reset. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *context)
{
    http_conn *conn = context;
    (void)session;
    (void)code;
    if (!http_h2_is_live(conn))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_HEADERS)
        conn->h2->headers_since = 0;
    conn->server->counters.malformed++;
    return http_h2_spend(conn);
}

void http_h2_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, http_h2_on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
}
