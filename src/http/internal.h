/*
 * internal.h - declarations that the files of the HTTP server share; nobody else includes it.
 *
 * A connection is a socket with a uv_poll handle: recv and send are called directly, so a request
 * costs one of each, and a full socket only changes the events waited for. Requests are linked to
 * their connection in the order they began; an answer leaves when everything before it has left.
 * Answers of a loop turn are gathered in the connection's output and sent once, before the loop
 * sleeps.
 *
 * listen.c the listening socket; server.c accepting, deadlines, drain, close; conn.c one
 * connection's bytes in and out; parse.c which bytes are a request; check.c what a request must be
 * in any protocol; h2.h HTTP/2; tls.h TLS; request.c requests and their pool; answer.c answers and
 * their order; stream.c bodies and answers in pieces; status.c the table of all answers.
 */
#ifndef LEAT_HTTP_INTERNAL_H
#define LEAT_HTTP_INTERNAL_H

#include <sys/queue.h>
#include <time.h>

#include <llhttp.h>
#include <nghttp2/nghttp2.h>

#include "base/rate_limit.h"
#include "base/standstill.h"
#include "http/http.h"

enum {
    HTTP_HEADERS_MAX = 100,
    HTTP_TARGET_MAX = 8192,
    HTTP_READ_SIZE = 64 * 1024,
    HTTP_LINGER_MS = 1000,     /* after the last answer, bytes of the client are discarded for this
                                  long: a reset could destroy the answer */
    HTTP_EXTENSION_MAX = 4096, /* bytes of chunk extensions in one body */
    HTTP_SPARES_MAX = 256,     /* buffers that are kept for the next requests */
};

#define HTTP_TOO_MANY_BYTES "too many bytes are being received at once"

typedef struct http_conn http_conn;
typedef struct http_h2 http_h2;                   /* h2.h */
typedef struct http_tls http_tls;                 /* tls.c */
typedef struct http_tls_context http_tls_context; /* tls.h */

/* Why a request is refused. */
typedef struct http_fault {
    leat_http_code code;
    const char *message; /* NULL: it is not */
} http_fault;

/* Offsets, because the buffer they point into grows. */
typedef struct http_header {
    uint32_t name_at;
    uint32_t name_size;
    uint32_t value_at;
    uint32_t value_size;
} http_header;

/* The life of a request; request.c has the legal edges. */
typedef enum http_request_state {
    HTTP_POOLED,   /* nobody's */
    HTTP_READING,  /* its connection's, which reads it */
    HTTP_HANDED,   /* its owner's; it keeps its place in the connection while that exists */
    HTTP_ANSWERED, /* its connection's again, until the answers before it have left */
} http_request_state;

struct leat_http_request {
    http_request_state state;
    leat_http_server *server;
    http_conn *conn;         /* NULL: the client has gone */
    leat_http_request *next; /* in the connection's order (HTTP/1.1), or in the pool */

    /* HTTP/2 */
    bool is_h2;         /* in its connection's list */
    bool is_input_over; /* its END_STREAM has come */
    bool is_in_pieces;  /* its answer was begun */
    bool is_room_due;   /* all of its begun answer is framed, and on_room not yet called */
    int32_t stream_id;  /* 0: the stream was cancelled */
    LIST_ENTRY(leat_http_request) of_conn;
    size_t header_bytes;
    size_t trailer_bytes;
    size_t answer_at;     /* framed up to here */
    int64_t since;        /* it waits for the body; 0: it does not */
    int64_t answer_since; /* the client is to take the answer; 0: there is none */
    size_t progress;      /* of the body since `since`, if it is streamed */
    size_t answer_progress;
    http_fault fault; /* the answer when its headers are complete */

    int64_t arrived_us;
    leat_http_method method;
    bool http_1_0;
    bool keep_alive;
    bool wants_continue;
    bool in_hook;                   /* on_headers is being asked */
    bool is_slow;                   /* its answer takes long */
    bool untold;                    /* in the server's list of those whose owner is to be told */
    bool is_told;                   /* its owner knows that its client has gone */
    leat_http_request *next_untold; /* in that list */
    bool streamed;                  /* its body goes to on_body; HANDED from its headers on */
    bool answer_begun;              /* in pieces, and not ended yet */
    size_t held;                    /* bytes of a streamed body that its owner has not taken */
    size_t head_counted;            /* bytes of `head` among those of all bodies */
    void *slots[LEAT_HTTP_SLOTS];
    uint32_t target_at; /* in `head`, as all offsets */
    uint32_t target_size;
    uint32_t path_at;
    uint32_t path_size;
    uint32_t header_count;
    leat_buf head; /* target, then names (lower case) and values */
    leat_buf body;
    leat_buf answer; /* an answer written before its turn */
    http_header headers[HTTP_HEADERS_MAX];
};

typedef enum http_protocol {
    HTTP_UNKNOWN, /* the first bytes tell */
    HTTP_1,
    HTTP_2,
} http_protocol;

/* The life of a connection; conn.c has the legal edges. */
typedef enum http_conn_state {
    HTTP_CONN_OPEN,
    HTTP_CONN_LINGER,  /* all is sent, our side is shut */
    HTTP_CONN_CLOSING, /* freed when the loop has run the close */
} http_conn_state;

struct http_conn {
    uv_poll_t poll;
    leat_http_server *server;
    LIST_ENTRY(http_conn) all;
    TAILQ_ENTRY(http_conn) dirty_link;
    int fd;
    int events; /* what the poll handle waits for */
    http_conn_state state;
    bool dirty;
    bool blocked; /* the socket takes no more for now */
    bool eof;
    bool left;       /* the client has shut its side, whatever of it was read so far */
    bool no_more;    /* no request is read after those that are here */
    bool refused;    /* over the limit of connections: it gets that answer and no other */
    bool discarding; /* the rest of a body whose request was answered by its headers */

    http_protocol protocol;
    uint32_t preface_size; /* bytes of HTTP/2's preface that have come while it is not known */
    http_tls *tls;         /* NULL: cleartext */
    http_h2 *h2;           /* NULL: not HTTP/2; else what is below up to `pending` is unused */

    llhttp_t parser;
    bool headers_done;
    size_t header_bytes;  /* of the request being read */
    size_t protocol_size; /* bytes of "HTTP" seen */
    size_t trailer_bytes;
    size_t extension_bytes;
    size_t progress;           /* bytes of a streamed body since body_since */
    leat_http_code fault;      /* the answer when a parser callback refuses; */
    const char *fault_message; /* NULL: none has */

    leat_http_request *first; /* oldest not yet in `out` */
    leat_http_request *last;
    leat_http_request *current; /* being read; always the last */
    uint32_t waiting;           /* handed or answered, not yet in `out` */
    uint32_t slow;              /* with their owner, those whose answers take long; of HTTP/2 too */

    leat_buf pending; /* read, but not parsed yet: too many requests wait */
    size_t pending_at;
    leat_buf out;  /* in clear */
    leat_buf wire; /* what TLS has made of it */
    size_t sent;   /* of that of the two that goes to the socket */

    /* When each of these began; the state tells which one counts. By http_now_ms. */
    int64_t header_since;
    int64_t body_since;
    int64_t blocked_since;
    int64_t idle_since;
    int64_t linger_since;
};

struct leat_http_server {
    uv_loop_t *loop;
    leat_http_config config;
    leat_http_handler handler;
    void *context;
    void (*on_drained)(void *context);
    uv_poll_t listener;
    uv_timer_t sweep;
    leat_standstill standstill;
    char name[32];            /* for messages */
    uv_prepare_t before_poll; /* answers given by timers leave before the loop sleeps */
    uv_check_t after_poll;
    int listen_fd;
    int port;
    uint32_t handles; /* not yet closed by the loop, connections included */
    uint32_t conn_count;
    uint32_t handed; /* requests their owner has not answered */
    bool accepting;
    leat_rate_limit starved; /* of the line that no connection can be accepted */
    bool leaving;            /* answers close their connections, but for HTTP/2 */
    bool draining;
    bool drained;
    bool closing;
    size_t bodies; /* bytes, those of heads too */
    llhttp_settings_t settings;
    http_tls_context *tls_context; /* NULL: cleartext */
    struct bio_method_st *tls_method;
    uint32_t handshakes_this_turn;
    nghttp2_session_callbacks *h2_callbacks;
    nghttp2_option *h2_option;
    leat_http_counters counters;
    LIST_HEAD(http_conns, http_conn) conns;
    TAILQ_HEAD(http_dirty, http_conn) dirty;
    leat_http_request *untold; /* they have lost their client */
    leat_http_request *pool;
    uint32_t pool_count;
    leat_buf spares[HTTP_SPARES_MAX]; /* empty buffers */
    uint32_t spare_count;
    time_t date_second;
    char date[32]; /* "Fri, 02 Jan 2026 03:04:05 GMT" */
    char read_buffer[HTTP_READ_SIZE];
};

/* When something begins now, by the clock of all deadlines, which stands still while the loop does.
 */
static inline int64_t http_now_ms(leat_http_server *server)
{
    return leat_standstill_turn_us(&server->standstill) / 1000;
}

/* May so many more bytes of bodies or heads be held? */
static inline bool http_has_room(const leat_http_server *server, size_t size)
{
    size_t max = server->config.bodies_max;
    return size <= max && server->bodies <= max - size;
}

/* ---- listen.c ---- */
/* A listening, non-blocking socket, or -1. */
int http_listen_socket(const leat_http_config *config, leat_error *error) LEAT_MUST_CHECK;
/* From now on nobody new begins to connect; whoever has begun gets through. */
void http_listen_last(int fd);
int http_socket_port(int fd);

/* ---- server.c ---- */
void http_server_closed_one(leat_http_server *server);
/* Frees a closed server when nothing of it is left. */
void http_server_maybe_free(leat_http_server *server);
void http_server_conn_gone(leat_http_server *server);

/* ---- conn.c ---- */
/* Takes the socket. NULL: it was closed. */
http_conn *http_conn_new(leat_http_server *server, int fd);
void http_conn_close(http_conn *conn);
void http_conn_flush(http_conn *conn);
void http_conn_mark_dirty(http_conn *conn);
/* Reads the bytes that have come, unless it reads nothing at the moment. */
void http_conn_read(http_conn *conn);
/* No byte is on its way in either direction. */
bool http_conn_is_idle(const http_conn *conn);
/* Bytes to send that the socket has not taken. */
size_t http_conn_unsent(const http_conn *conn);
/* Output that never runs empty would keep all that was ever sent. */
void http_conn_drop_sent(http_conn *conn);
/* Which protocol it is has become known. */
void http_conn_begin(http_conn *conn, http_protocol protocol);
/* Bytes of the protocol have come, in clear. */
void http_conn_take(http_conn *conn, const char *data, size_t size);
/* No more of them will come. */
void http_conn_end_input(http_conn *conn);

/* ---- parse.c ---- */
void http_parse_settings(llhttp_settings_t *settings);
/* Parses as far as the connection takes requests, and gives each to the handler. Returns how many
 * bytes were used; the caller keeps the others, unless no_more is set. */
size_t http_parse(http_conn *conn, const char *data, size_t size);

/* ---- check.c ---- */
/* The positions of the headers that the server itself must understand; -1: absent, -2: more than
 * one. */
typedef struct http_known {
    int host;
    int transfer_encoding;
    int content_length;
    int expect;
    int content_type;
    int content_encoding;
} http_known;

void http_find_known(const leat_http_request *request, http_known *ret);
leat_slice http_header_value(const leat_http_request *request, int at);
/* By the name as it was sent. False: refused. */
bool http_check_method(leat_slice name, leat_http_method *ret_method,
                       http_fault *ret_fault) LEAT_MUST_CHECK;
/* All headers are here: host, content, target and expectation. Finds the path. False: refused. */
bool http_check(leat_http_request *request, const http_known *known, bool has_body,
                http_fault *ret_fault) LEAT_MUST_CHECK;

/* ---- request.c ---- */
/* Bytes of it that count against bodies_max. */
static inline size_t http_request_counted(const leat_http_request *request)
{
    return request->head_counted + request->body.size + request->held;
}
/* NULL: out of memory. Of this connection, but in no order. */
leat_http_request *http_request_take(http_conn *conn);
/* NULL: out of memory. Appended to the connection's requests as the one being read. */
leat_http_request *http_request_begin(http_conn *conn);
/* The only way to change a state: asserts that the edge is legal. */
void http_request_enter(leat_http_request *request, http_request_state state);
/* Its head and its body are needed no longer (HTTP/1.1). */
void http_request_drop_input(leat_http_request *request);
/* A buffer without memory gets some that was used before, if there is any. */
void http_request_find_memory(leat_http_server *server, leat_buf *buf);
/* Back to the pool; it is no longer linked to a connection. */
void http_request_recycle(leat_http_request *request);
void http_request_pool_free(leat_http_server *server);

/* ---- answer.c ---- */
typedef struct http_answer_parts {
    leat_http_code code;
    const char *content_type;
    leat_slice body;
    const char *extra_headers;
    bool closes; /* HTTP/1.1 */
} http_answer_parts;

/* Now, as the header Date has it. */
const char *http_date(leat_http_server *server);
/* Answers with an error of the server's own; the request is no longer being read, or a stream. */
void http_answer_fault(leat_http_request *request, leat_http_code code, const char *message);
/* Answers the request that is being read (or one made for this purpose) with an error; nothing is
 * read after it. Of a streamed one its owner is told that it broke off. */
void http_fail(http_conn *conn, leat_http_code code, const char *message);
/* Moves finished answers, in order, into the output. */
void http_answers_advance(http_conn *conn);
/* Its owner has given it back and its answer is written: it leaves as soon as it is its turn. */
void http_answer_complete(leat_http_request *request);
/* The status line and the headers. `size` -1: the body's length is not known. */
void http_write_head(leat_http_request *request, leat_http_code code, const char *content_type,
                     int64_t size, bool closes, const char *extra_headers, leat_buf *out);
/* The connection ends after this answer. */
bool http_answer_closes(const leat_http_request *request);

/* ---- stream.c ---- */
/* The headers are complete: what does the owner want of the body? 0: it is read; -1: nothing more
 * is parsed for now. */
int http_ask_owner(http_conn *conn);
/* Bytes of a streamed body: 0, or -1 when nothing more is parsed. */
int http_stream_piece(http_conn *conn, const char *data, size_t size);
/* The streamed body is whole. */
void http_stream_done(http_conn *conn);
/* Takes the request that is being read out of the connection: pooled, or its owner's alone. */
void http_break_off(http_conn *conn);
/* The owner's request has no connection any longer; http_tell_gone tells it, when the connection is
 * out of all lists: the owner may do anything. */
void http_lose_client(leat_http_request *request);
/* The same for one that stays with its connection. */
void http_note_gone(leat_http_request *request);
/* The client has shut its side of the connection: owners of requests that wait are told. They may
 * do anything. */
void http_client_left(http_conn *conn);
void http_tell_gone(leat_http_server *server);
/* The owner is ending its request (also inside on_headers). False: nobody waits for the answer, and
 * the request is gone. */
bool http_take_back(leat_http_request *request);
/* The same for one that has no connection. */
void http_give_up(leat_http_request *request);
/* False: the owner of the body that is being read has not taken enough of it. */
bool http_window_is_open(const http_conn *conn);

/* ---- h2.c: the server's side of HTTP/2; h2.h has the rest ---- */
/* What all sessions share. False: out of memory. */
bool http_h2_set_up(leat_http_server *server) LEAT_MUST_CHECK;
void http_h2_take_down(leat_http_server *server);
/* The connection is HTTP/2 from its preface on, which is still to be given. False: out of memory.
 */
bool http_h2_begin(http_conn *conn) LEAT_MUST_CHECK;
void http_h2_free(http_conn *conn);
/* Requests that their owner holds lose their connection. */
void http_h2_release(http_conn *conn);
void http_h2_receive(http_conn *conn, const char *data, size_t size);
/* Moves what is to be sent into the output, up to its bound. */
void http_h2_produce(http_conn *conn);
bool http_h2_has_more(const http_conn *conn);
/* Bytes may come. */
bool http_h2_takes(const http_conn *conn);
/* No request is here. */
bool http_h2_is_idle(const http_conn *conn);
/* Streamed requests that their owner has. */
uint32_t http_h2_streamed(const http_conn *conn);
/* Nothing more will be sent or served. */
bool http_h2_is_done(const http_conn *conn);
/* Notice, then the final GOAWAY; it is closed when no stream is left. */
void http_h2_drain(http_conn *conn);
/* The final GOAWAY at once. */
void http_h2_leave(http_conn *conn);
void http_h2_on_eof(http_conn *conn);
/* Notes that the client has left those that wait. */
void http_h2_note_left(http_conn *conn);
/* True: a deadline has passed; it acts on it only if it `acts`. */
bool http_h2_sweep(http_conn *conn, int64_t now, bool acts);
void http_h2_drop_body(leat_http_request *request);
/* Owners of begun answers that are all sent may go on. */
void http_h2_tell_room(http_conn *conn);

/* ---- tls.c ---- */
/* What all connections share; without a certificate nothing. -1: a file is bad. */
int http_tls_set_up(leat_http_server *server, leat_error *error) LEAT_MUST_CHECK;
void http_tls_take_down(leat_http_server *server);
/* False: out of memory. */
bool http_tls_begin(http_conn *conn) LEAT_MUST_CHECK;
void http_tls_free(http_conn *conn);
/* The handshake takes too long. */
bool http_tls_is_late(const http_conn *conn, int64_t now);
/* False: too many handshakes in this turn of the loop; its bytes wait in the socket. */
bool http_tls_may_read(http_conn *conn);
/* Bytes of the socket; gives what they hold to http_conn_take. */
void http_tls_receive(http_conn *conn, const char *data, size_t size);
/* Turns the output into bytes for the socket. */
void http_tls_write(http_conn *conn);
/* Says that nothing more follows. True: that is still to be sent. */
bool http_tls_end(http_conn *conn);

/* ---- h2_answer.c ---- */
/* Bytes of bodies of answers that are not framed yet. */
size_t http_h2_unsent(const http_conn *conn);
/* The owner's answer, and its way out of a request. */
void http_h2_answer(leat_http_request *request, const http_answer_parts *parts);
void http_h2_abandon(leat_http_request *request);
/* The owner's part in bodies and answers that come in pieces. */
void http_h2_body_taken(leat_http_request *request, size_t size);
void http_h2_answer_begin(leat_http_request *request, const http_answer_parts *head);
void http_h2_answer_piece(leat_http_request *request, leat_slice piece);
void http_h2_answer_end(leat_http_request *request);
/* Answers; the request is the server's. */
void http_h2_put(leat_http_request *request, const http_answer_parts *parts);

#endif
