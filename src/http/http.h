/*
 * http.h - a server for HTTP/1.1 and HTTP/2 on a libuv loop: connections, keep-alive, pipelining,
 * streams, limits and deadlines; llhttp parses HTTP/1.1, nghttp2 frames HTTP/2. A cleartext client
 * chooses HTTP/2 by its first bytes ("prior knowledge"). The owner gives requests their meaning:
 * the edge and, on a listener of its own, the admin pages.
 *
 * Everything happens on the loop's thread. Deadlines are absolute: a client that drips bytes is cut
 * off like a silent one.
 */
#ifndef LEAT_HTTP_H
#define LEAT_HTTP_H

#include <uv.h>

#include "base/buf.h"
#include "http/status.h"

/* Connections over the limit that still get a 503; others are closed without an answer. */
enum { LEAT_HTTP_REFUSED_MAX = 16 };

typedef struct leat_http_server leat_http_server;
typedef struct leat_http_request leat_http_request;

typedef enum leat_http_method {
    LEAT_HTTP_GET,
    LEAT_HTTP_HEAD,
    LEAT_HTTP_PUT,
    LEAT_HTTP_PATCH,
    LEAT_HTTP_DELETE,
    LEAT_HTTP_POST,
    LEAT_HTTP_OPTIONS,
    LEAT_HTTP_OTHER,
} leat_http_method;

/* What becomes of a request's body; the owner decides once the headers are there. */
typedef enum leat_http_body_mode {
    LEAT_HTTP_BODY_WHOLE,    /* the handler gets the request with its whole body */
    LEAT_HTTP_BODY_STREAM,   /* on_body gets it in pieces; body_max does not limit it */
    LEAT_HTTP_BODY_ANSWERED, /* the request was answered; its body is discarded, or its connection
                                is closed, as HTTP wants it */
} leat_http_body_mode;

/*
 * What an owner of streams and of early answers provides; each may be NULL. The context is that of
 * leat_http_listen.
 *
 * A request is streamed from LEAT_HTTP_BODY_STREAM on: it is its owner's, who ends it exactly once,
 * by leat_http_answer, leat_http_answer_end or leat_http_abandon, before or after its body is
 * whole. It never gets to the handler. Every callback may end it, or another request, or close the
 * server.
 */
typedef struct leat_http_hooks {
    /* The headers are complete and legal; there is no body yet, and a client that expects a
     * 100-continue gets it only if this lets it pass. For ANSWERED the answer was given by
     * leat_http_answer inside the call. NULL: every body is WHOLE. */
    leat_http_body_mode (*on_headers)(void *context, leat_http_request *request);
    /* The next bytes of a streamed body, valid during the call; the last call has `is_last`, and
     * perhaps no bytes. The owner gives their number back by leat_http_body_taken when it has no
     * more use for them; until then they count against stream_window and bodies_max. At most
     * LEAT_HTTP_PIECE_MAX bytes. */
    void (*on_body)(void *context, leat_http_request *request, leat_slice piece, bool is_last);
    /* All that was written of a begun answer is on its way: it may go on. */
    void (*on_room)(void *context, leat_http_request *request);
    /* Once, for a streamed request, a begun answer, or a request that may wait
     * (leat_http_request_may_wait): its body broke off, or its client has gone. Of one that waits
     * also when its client has only shut its side of the connection, as clients do that go; it may
     * still read (leat_http_request_client). No other callback follows. The owner still ends the
     * request, now or later; who is gone gets no answer. */
    void (*on_gone)(void *context, leat_http_request *request);
} leat_http_hooks;

/* Bytes in one call of on_body; also what a window can be exceeded by. */
enum { LEAT_HTTP_PIECE_MAX = 64 * 1024 };
/* A streamed body that is being read brings at least this many bytes, or its end, within each
 * body_timeout_ms; else it is broken off with 408. */
enum { LEAT_HTTP_STREAM_PROGRESS = 1024 };

/* PEM files; leat_http_reload reads them again. */
typedef struct leat_http_tls_config {
    const char *certificate; /* the server's own, then those between it and a root; NULL: cleartext
                              */
    const char *key;         /* without a passphrase */
    const char *client_ca;   /* clients show a certificate of one of these; NULL: they are not asked
                              */
    bool needs_client_certificate; /* false: a client may have none */
    bool is_1_3_only;              /* else TLS 1.2 too */
} leat_http_tls_config;

/* Are the files fit for use? 0: `*ret_expires_s` is when the certificate ends, in Unix time, or the
 * first of those that are sent with it; a reload takes one that has ended too. -1: `*ret_member` is
 * the member that names the bad file. */
int leat_http_tls_check(const leat_http_tls_config *config, int64_t *ret_expires_s,
                        const char **ret_member, leat_error *error) LEAT_MUST_CHECK;

typedef struct leat_http_config {
    const char *host;
    int port;                  /* 0: any; see leat_http_port */
    size_t header_max;         /* bytes of request line and headers, default 16 KiB; 431 */
    size_t body_max;           /* 413 */
    int64_t header_timeout_ms; /* from the first byte to the end of the headers; 408 */
    int64_t body_timeout_ms;   /* from the end of the headers to the end of the body; 408 */
    int64_t idle_timeout_ms;   /* between requests; closed without an answer */
    uint32_t connections_max;  /* beyond: answered 503 and closed */
    uint32_t pipeline_max;     /* requests of one connection without an answer yet; at this many,
                                  reading stops; default 64 */
    leat_http_tls_config tls;  /* HTTP/2 is then chosen by ALPN */
    size_t bodies_max; /* bytes of all bodies and headers held at once, 256 MiB; beyond: 503 and
                          closed */
    /* Bytes of one streamed body that its owner has not taken; at this many, reading stops; default
     * 256 KiB. Over HTTP/2 perhaps at half of it: a window is opened again by halves. So an owner
     * that takes nothing before it has N bytes needs twice as many. */
    size_t stream_window;
    leat_http_hooks hooks;  /* default: none */
    uint32_t streams_max;   /* HTTP/2: streams of one connection at once, and requests of it
                               without an answer; default 128. 0: no HTTP/2 */
    uint32_t frames_budget; /* HTTP/2: frames without effect that one connection may send (h2.h) */
    uint32_t resets_budget; /* of these, resets of streams, whatever the streams did */
} leat_http_config;
void leat_http_config_defaults(leat_http_config *config);

/* A whole request has arrived. Its owner answers it with leat_http_answer, now or later, on the
 * loop's thread, exactly once. That holds for a client that went away too: the answer is dropped.
 * Answers leave in the order of requests; those of HTTP/2 at once. */
typedef void (*leat_http_handler)(void *context, leat_http_request *request);

leat_http_server *leat_http_listen(uv_loop_t *loop, const leat_http_config *config,
                                   leat_http_handler handler, void *context, leat_error *error);
int leat_http_port(const leat_http_server *server);
/* Reads the files of TLS again; what is bad is logged and changes nothing. Connections keep what
 * they began with. */
void leat_http_reload(leat_http_server *server);
/* The first step of an end: connections are still accepted and requests served, but each answer
 * closes its connection ("connection: close"), so that clients move elsewhere without losing a
 * request. HTTP/2 needs no such step, and goes on. leat_http_drain follows. */
void leat_http_leave(leat_http_server *server);
/* Stops accepting, in a way that loses no connection that a client believes to have; idle
 * connections are closed, others after their answers. HTTP/2: a notice (GOAWAY), new streams for
 * the round trip that it takes, the final GOAWAY, and a close when no stream is left. `on_drained`
 * is called once, when no connection is left. */
void leat_http_drain(leat_http_server *server, void (*on_drained)(void *context));
/* Closes everything at once; its memory is freed when the loop has run the closes and the owner has
 * answered (or abandoned) every request that it holds. */
void leat_http_close(leat_http_server *server);

/* Who would get the answer. */
typedef enum leat_http_client {
    LEAT_HTTP_CLIENT_HERE,
    LEAT_HTTP_CLIENT_LEFT, /* it has shut its side of the connection: it is gone, or only reads */
    LEAT_HTTP_CLIENT_GONE, /* nobody */
} leat_http_client;
/* Of a request that is with its owner. That a client has left is known while the connection reads,
 * or a request of it waits. */
leat_http_client leat_http_request_client(const leat_http_request *request);

/* Valid until the answer. */
leat_http_method leat_http_request_method(const leat_http_request *request);
/* Not decoded, without query. */
leat_slice leat_http_request_path(const leat_http_request *request);
/* What follows the first '?', not decoded; empty when there is none. */
leat_slice leat_http_request_query(const leat_http_request *request);
leat_slice leat_http_request_body(const leat_http_request *request);
/* By lower-case name; empty when absent. */
leat_slice leat_http_request_header(const leat_http_request *request, const char *name);
/* The same for a header that may come in several lines, from index 0 on; `data` is NULL where there
 * is no such line. */
leat_slice leat_http_request_header_line(const leat_http_request *request, const char *name,
                                         uint32_t index);
/* When its last byte came (of a streamed one: its headers), by leat_mono_us. */
int64_t leat_http_request_arrived_us(const leat_http_request *request);

/* Pointers of the owner's, kept with the request until it is ended; NULL at its beginning. */
enum { LEAT_HTTP_SLOTS = 4 };
void leat_http_request_keep(leat_http_request *request, uint32_t slot, void *value);
void *leat_http_request_kept(const leat_http_request *request, uint32_t slot);

/* Streamed requests of its connection that are with their owner; this one too, once it is. 0: its
 * client has gone. */
uint32_t leat_http_streamed_beside(const leat_http_request *request);
/* The answer will take long, seconds perhaps: is there somebody to wait, and room for that? False:
 * the client is gone; or half of the requests that its connection may have at once do so already
 * (HTTP/2), and the others need the rest. At most once for a request. From then on the owner is
 * told when the client goes (on_gone). */
bool leat_http_request_may_wait(leat_http_request *request);
/* Frees the body before the answer, so that a request that waits for a long time costs little. */
void leat_http_request_drop_body(leat_http_request *request);

/* `extra_headers`: NULL or whole lines ending in CRLF, besides those of the code. The body is
 * copied. Content-Length and Date are added, and Connection where HTTP wants it. */
void leat_http_answer(leat_http_request *request, leat_http_code code, const char *content_type,
                      leat_slice body, const char *extra_headers);
/* Bytes of answers that are given and that no client has taken yet: an owner with large answers
 * refuses to give more of them beyond a bound. Looks at every connection. */
size_t leat_http_unsent(const leat_http_server *server);
/* Instead of an answer: the client's connection is closed; of HTTP/2, its stream. */
void leat_http_abandon(leat_http_request *request);

/* The owner of a streamed body needs `size` of its bytes no longer: reading may go on. */
void leat_http_body_taken(leat_http_request *request, size_t size);

/*
 * An answer in pieces instead of leat_http_answer: begun once, ended once. A request whose body is
 * still being read may be answered too. In HTTP/1.1 it is chunked, in HTTP/1.0 the connection's
 * end is its end. Nothing is refused: the owner stops producing while leat_http_answer_waiting is
 * above a bound of its own, and goes on in on_room. `extra_headers` as for leat_http_answer.
 */
void leat_http_answer_begin(leat_http_request *request, leat_http_code code,
                            const char *content_type, const char *extra_headers);
void leat_http_answer_piece(leat_http_request *request, leat_slice piece);
void leat_http_answer_end(leat_http_request *request);
/* Bytes that the client's socket has not taken; 0 for one that has gone. */
size_t leat_http_answer_waiting(const leat_http_request *request);

typedef struct leat_http_counters {
    uint64_t connections; /* accepted */
    uint64_t open;        /* now */
    uint64_t refused;     /* over connections_max */
    uint64_t malformed;   /* answered 400/408/413/414/431/... by the server itself */
    uint64_t timeouts;
    uint64_t http_1; /* connections by protocol, once it is known */
    uint64_t http_2;
    uint64_t streams;        /* requests that came over HTTP/2 */
    uint64_t tls_handshakes; /* completed */
    uint64_t tls_resumed;    /* of these, by a ticket */
    uint64_t tls_failures;   /* handshakes and connections that TLS ended */
} leat_http_counters;
const leat_http_counters *leat_http_count(const leat_http_server *server);

#endif
