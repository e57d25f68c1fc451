/*
 * http.h - an HTTP/1.1 server on a libuv loop: connections, keep-alive, pipelining, limits and
 * deadlines; llhttp parses the bytes. The owner gives requests their meaning: the edge and, on a
 * listener of its own, the admin pages.
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
    size_t bodies_max; /* bytes of all bodies held at once, 256 MiB; beyond: 503 and closed */
} leat_http_config;
void leat_http_config_defaults(leat_http_config *config);

/* A whole request has arrived. Its owner answers it with leat_http_answer, now or later, on the
 * loop's thread, exactly once. That holds for a client that went away too: the answer is dropped.
 * Answers leave in the order of requests. */
typedef void (*leat_http_handler)(void *context, leat_http_request *request);

leat_http_server *leat_http_listen(uv_loop_t *loop, const leat_http_config *config,
                                   leat_http_handler handler, void *context, leat_error *error);
int leat_http_port(const leat_http_server *server);
/* Stops accepting; idle connections are closed, others after their answers ("connection: close").
 * `on_drained` is called once, when no connection is left. */
void leat_http_drain(leat_http_server *server, void (*on_drained)(void *context));
/* Closes everything at once; its memory is freed when the loop has run the closes and the owner has
 * answered (or abandoned) every request that it holds. */
void leat_http_close(leat_http_server *server);

/* Valid until the answer. */
leat_http_method leat_http_request_method(const leat_http_request *request);
/* Not decoded, without query. */
leat_slice leat_http_request_path(const leat_http_request *request);
leat_slice leat_http_request_body(const leat_http_request *request);
/* By lower-case name; empty when absent. */
leat_slice leat_http_request_header(const leat_http_request *request, const char *name);
/* When its last byte came, by leat_mono_us. */
int64_t leat_http_request_arrived_us(const leat_http_request *request);

/* Frees the body before the answer, so that a request that waits for a long time costs little. */
void leat_http_request_drop_body(leat_http_request *request);

/* `extra_headers`: NULL or whole lines ending in CRLF, besides those of the code. The body is
 * copied. Content-Length and Date are added, and Connection where HTTP wants it. */
void leat_http_answer(leat_http_request *request, leat_http_code code, const char *content_type,
                      leat_slice body, const char *extra_headers);
/* Instead of an answer: the client's connection is closed. */
void leat_http_abandon(leat_http_request *request);

typedef struct leat_http_counters {
    uint64_t connections; /* accepted */
    uint64_t open;        /* now */
    uint64_t refused;     /* over connections_max */
    uint64_t malformed;   /* answered 400/408/413/414/431/... by the server itself */
    uint64_t timeouts;
} leat_http_counters;
const leat_http_counters *leat_http_count(const leat_http_server *server);

#endif
