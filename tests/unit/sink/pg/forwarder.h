/*
 * A proxy on the test's own loop: each connection it takes goes to the port it leads to at that
 * moment and stays there.
 */
#ifndef FORWARDER_H
#define FORWARDER_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/base.h"

typedef struct forwarder {
    uv_tcp_t listener;
    int port;      /* its own */
    int to_port;   /* where the next connection leads */
    bool swallows; /* what it takes goes nowhere */
    /* The next client that a server sends something gets these bytes instead, and is left; NULL:
     * none does. */
    const char *last_words;
    size_t last_words_size;
} forwarder;

typedef struct forwarded {
    uv_tcp_t ends[2]; /* the client, the server */
    uv_connect_t connect;
    forwarder *by;
    uint32_t open;
    bool is_closing;
} forwarded;

typedef struct forwarded_write {
    uv_write_t write;
    char *bytes;
} forwarded_write;

static inline void on_end_closed(uv_handle_t *handle)
{
    forwarded *link = handle->data;
    if (--link->open == 0)
        free(link);
}

static inline void forwarded_close(forwarded *link)
{
    if (link->is_closing)
        return;
    link->is_closing = true;
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&link->ends[i], on_end_closed);
}

static inline void on_forwarded(uv_write_t *write, int status)
{
    (void)status;
    forwarded_write *done = (forwarded_write *)write;
    free(done->bytes);
    free(done);
}

static inline void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    (void)handle;
    *ret = uv_buf_init(leat_must_calloc(1, size), (unsigned)size);
}

/* Takes the bytes. */
static inline void forward(forwarded *link, uv_tcp_t *to, char *bytes, size_t size)
{
    forwarded_write *write = leat_must_calloc(1, sizeof *write);
    uv_buf_t out = uv_buf_init(bytes, (unsigned)size);
    write->bytes = bytes;
    if (uv_write(&write->write, (uv_stream_t *)to, &out, 1, on_forwarded) < 0) {
        on_forwarded(&write->write, 0);
        forwarded_close(link);
    }
}

static inline void say_last_words(forwarded *link)
{
    forwarder *by = link->by;
    char *words = leat_must_calloc(1, by->last_words_size);
    memcpy(words, by->last_words, by->last_words_size);
    by->last_words = NULL;
    forward(link, &link->ends[0], words, by->last_words_size);
    forwarded_close(link);
}

static inline void on_bytes(uv_stream_t *from, ssize_t size, const uv_buf_t *bytes)
{
    forwarded *link = from->data;
    bool is_client = from == (uv_stream_t *)&link->ends[0];
    bool is_last = size > 0 && !is_client && link->by->last_words;
    if (size > 0 && link->by->swallows)
        size = 0;
    if (size > 0 && !is_last) {
        forward(link, is_client ? &link->ends[1] : &link->ends[0], bytes->base, (size_t)size);
        return;
    }
    free(bytes->base);
    if (is_last)
        say_last_words(link);
    else if (size < 0)
        forwarded_close(link);
}

static inline void on_server_connected(uv_connect_t *connect, int status)
{
    forwarded *link = connect->data;
    if (link->is_closing)
        return;
    ck_assert_int_eq(status, 0);
    for (size_t i = 0; i < 2; i++)
        uv_read_start((uv_stream_t *)&link->ends[i], on_alloc, on_bytes);
}

static inline struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    return address;
}

static inline void on_client(uv_stream_t *listener, int status)
{
    forwarder *f = listener->data;
    forwarded *link = leat_must_calloc(1, sizeof *link);
    ck_assert_int_eq(status, 0);
    link->open = 2;
    link->by = f;
    for (size_t i = 0; i < 2; i++) {
        uv_tcp_init(listener->loop, &link->ends[i]);
        link->ends[i].data = link;
    }
    link->connect.data = link;
    struct sockaddr_in server = loopback(f->to_port);
    ck_assert_int_eq(uv_accept(listener, (uv_stream_t *)&link->ends[0]), 0);
    ck_assert_int_eq(uv_tcp_connect(&link->connect, &link->ends[1], (struct sockaddr *)&server,
                                    on_server_connected),
                     0);
}

static inline void forwarder_start(forwarder *f, uv_loop_t *loop, int to_port)
{
    struct sockaddr_in address = loopback(0);
    int size = sizeof address;
    f->to_port = to_port;
    uv_tcp_init(loop, &f->listener);
    f->listener.data = f;
    ck_assert_int_eq(uv_tcp_bind(&f->listener, (struct sockaddr *)&address, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&f->listener, 16, on_client), 0);
    ck_assert_int_eq(uv_tcp_getsockname(&f->listener, (struct sockaddr *)&address, &size), 0);
    f->port = ntohs(address.sin_port);
}

/* Forwarded connections end with their clients; the loop has to run the closes. */
static inline void forwarder_stop(forwarder *f)
{
    uv_close((uv_handle_t *)&f->listener, NULL);
}

#endif
