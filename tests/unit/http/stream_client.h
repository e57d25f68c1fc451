/* stream_client.h - an HTTP/2 client on nghttp2, cleartext or over TLS, on the loop of the server
 * that it asks. Whoever waits turns the loop. */
#ifndef TESTS_HTTP_STREAM_CLIENT_H
#define TESTS_HTTP_STREAM_CLIENT_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <check.h>

#include "client.h"

enum { STREAMS_MAX = 512 };

typedef struct test_stream {
    int32_t id;
    int status;    /* 0: none has come */
    bool is_ended; /* its answer is whole */
    bool is_closed;
    uint32_t error_code; /* of its end */
    size_t size;
    char body[1024]; /* its beginning */
    char content_type[64];
    char allow[64];
    bool got_continue;
} test_stream;

typedef struct stream_client {
    uv_loop_t *loop;
    int fd;
    SSL *ssl; /* NULL: cleartext */
    nghttp2_session *session;
    bool eof;
    bool reads; /* false: it takes nothing from its socket */
    uint32_t goaways;
    uint32_t goaway_code; /* of the last one */
    int32_t goaway_last;
    uint32_t pings; /* acknowledged */
    uint32_t count;
    test_stream streams[STREAMS_MAX];
} stream_client;

typedef struct test_field {
    const char *name;
    const char *value;
} test_field;

/* To any server of the loop, cleartext. */
stream_client *stream_client_connect(uv_loop_t *loop, int port);
typedef struct http_world http_world; /* world.h */
/* `ctx` NULL: cleartext; else over TLS with ALPN h2. */
stream_client *stream_client_new(http_world *world, SSL_CTX *ctx);
/* Its streams have this window, and it gives no more credit. */
stream_client *stream_client_new_with_window(http_world *world, uint32_t window);
void stream_client_free(stream_client *client);
/* Sends what waits, reads what is there, turns the loop once. */
void stream_turn(stream_client *client);
/* Until `condition` holds for `client`. */
#define STREAM_UNTIL(client, condition)                                                            \
    do {                                                                                           \
        int64_t stream_until = leat_mono_us() + TEST_WAIT_MS * 1000;                               \
        while (!(condition)) {                                                                     \
            stream_turn(client);                                                                   \
            ck_assert_msg(leat_mono_us() < stream_until, "did not happen: " #condition);           \
        }                                                                                          \
    } while (0)

/* A request with Host "a". `body` NULL: none. */
test_stream *stream_send(stream_client *client, const char *method, const char *path,
                         const char *body);
/* With a Content-Type, unless `type` is NULL. */
test_stream *stream_send_typed(stream_client *client, const char *method, const char *path,
                               const char *type, const char *body);
/* As many fields as there are; pseudo-headers too. `is_end`: no body follows. */
test_stream *stream_send_fields(stream_client *client, const test_field *fields, size_t count,
                                bool is_end);
/* The frame's payload as it is; the session is flushed before. */
void stream_send_frame(stream_client *client, uint8_t type, uint8_t flags, int32_t stream_id,
                       const void *payload, size_t size);
void stream_expect(stream_client *client, test_stream *stream, int status, const char *body);
void stream_expect_reset(stream_client *client, test_stream *stream, uint32_t error_code);
/* GOAWAY with this code, then the end of the connection. */
void stream_expect_goaway(stream_client *client, uint32_t error_code);

#endif
