/*
 * h2.h - HTTP/2 on a connection, for the files of the HTTP server only. nghttp2 frames, unframes
 * and keeps the windows; this is what the server puts around it: a stream becomes a
 * leat_http_request like any other, and what nghttp2 does not bound is bounded here.
 *
 * h2.c the session: bytes in and out, its end; h2_stream.c how a stream becomes a request;
 * h2_body.c its body; h2_answer.c how an answer becomes frames. The bounds:
 *
 *   streams at once           SETTINGS_MAX_CONCURRENT_STREAMS (config.streams_max); nghttp2 refuses
 *   requests without answer   the same number: a cancelled stream whose record is on its way still
 *                             counts, until the owner has answered
 *   a header list             config.header_max by the count of RFC 9113 6.5.2, 100 fields: 431
 *   a header block            header_timeout_ms; at most 8 CONTINUATION frames (nghttp2)
 *   a body                    body_max: 413; body_timeout_ms: 408. In pieces: stream_window is the
 *                             stream's window, and it opens as its owner takes them
 *   all bodies and heads      bodies_max, a connection at most a quarter of it: 503
 *   an answer                 body_timeout_ms for the client to take it, else the stream is reset
 *   bytes to send             HTTP_H2_OUT_MAX, then nothing is framed; a socket that takes none for
 *                             body_timeout_ms is closed
 *   frames without effect     config.frames_budget, a tenth of it back each second, two for each
 *                             request and one for 2 KiB of answers (windows have to be opened):
 * PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, empty DATA, and every frame that nghttp2
 * refuses. Then the connection is ended with GOAWAY ENHANCE_YOUR_CALM
 *   resets of streams         config.resets_budget, a tenth of it back each second: those of whole
 * requests earn the budget above more than they cost. Then nghttp2 ends it with GOAWAY
 * INTERNAL_ERROR
 *
 * Loop's thread. A callback of nghttp2 never closes the session that calls it: http_conn_close only
 * marks the connection, and the session is freed when the loop has run the close.
 */
#ifndef LEAT_HTTP_H2_H
#define LEAT_HTTP_H2_H

#include <nghttp2/nghttp2.h>

#include "http/internal.h"

enum {
    HTTP_H2_OUT_MAX = 256 * 1024,
    HTTP_H2_NOTICE_MS = 1000, /* a drain waits this long for the client to have read its notice */
};

struct http_h2 {
    nghttp2_session *session;
    LIST_HEAD(http_streams, leat_http_request) requests; /* every one of this connection */
    uint32_t in_flight;    /* handed to the owner and not answered, cancelled or not */
    size_t bodies;         /* bytes, of these requests, and of their heads */
    int64_t headers_since; /* a header block is arriving; 0: none is */
    int64_t begun_at;
    int64_t notice_since; /* the drain's notice was sent; 0: it was not */
    int64_t budget;       /* thousandths of frames without effect that may still come */
    int64_t budget_at;    /* when it was counted last */
    bool has_room_due;    /* some request's owner is to hear that it may go on */
    bool has_more;        /* frames wait that did not fit into the output */
    bool is_last;         /* the final GOAWAY is queued: no newer stream is served */
    bool is_over;         /* ended for a fault: the session is not used any more */
};

/* After a close or a fault nghttp2 is told to stop by the next callback. */
static inline bool http_h2_is_live(const http_conn *conn)
{
    return conn->state == HTTP_CONN_OPEN && !conn->h2->is_over;
}

/* A callback's answer after an owner could do anything. */
static inline int http_h2_go_on(const http_conn *conn)
{
    return http_h2_is_live(conn) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static inline leat_http_request *http_h2_request(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

/* The first reason to refuse a request counts. */
static inline void http_h2_note(leat_http_request *request, leat_http_code code,
                                const char *message)
{
    if (!request->fault.message)
        request->fault = (http_fault){code, message};
}

/* ---- h2_body.c ---- */
/* May so many more bytes of bodies or heads be held? */
bool http_h2_has_room(const http_conn *conn, size_t size);
/* nghttp2's callback for a piece of a body. */
int http_h2_on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                    size_t size, void *context);
/* Does the owner hold so much of the body that the client may have no more window to send into? A
 * window is opened again by halves. */
bool http_h2_is_held_up(const leat_http_request *request);

/* ---- h2_stream.c ---- */
void http_h2_set_callbacks(nghttp2_session_callbacks *callbacks);
/* The stream is gone or never to be: its request leaves the connection. */
void http_h2_forget(leat_http_request *request);
/* Its client has no more interest in it: the stream is gone, or its reset is queued. The owner's
 * work still counts; http_tell_gone tells it, at a moment when no list is being walked. */
void http_h2_lose(leat_http_request *request);
/* A streamed body that is being read ends by this fault: it is the answer, unless one is begun. */
void http_h2_break_off(leat_http_request *request, leat_http_code code, const char *message);
/* A frame without effect came: 0, or NGHTTP2_ERR_CALLBACK_FAILURE when it was one too many. */
int http_h2_spend(http_conn *conn);

/* ---- h2.c ---- */
/* Ends the connection after a fault of the client's; what waits to be sent is still sent. */
void http_h2_give_up(http_conn *conn, uint32_t error_code);

/* ---- h2_answer.c ---- */
/* Answers a request that is still being read, and ends its stream; the connection goes on. */
void http_h2_refuse(leat_http_request *request, leat_http_code code, const char *message);
void http_h2_continue(leat_http_request *request);
/* Ends its stream. nghttp2 sends this before any more of an answer, so the request may go. */
void http_h2_reset(leat_http_request *request, uint32_t error_code);

#endif
