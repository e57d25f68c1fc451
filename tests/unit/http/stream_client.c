#include "stream_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "world.h"

/* ---- what comes ---- */

static test_stream *find(stream_client *client, int32_t id)
{
    for (uint32_t i = 0; i < client->count; i++)
        if (client->streams[i].id == id)
            return &client->streams[i];
    return NULL;
}

static void copy(char *to, size_t room, const uint8_t *from, size_t size)
{
    ck_assert_uint_lt(size, room);
    memcpy(to, from, size);
    to[size] = '\0';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *context)
{
    (void)session;
    (void)flags;
    test_stream *stream = find(context, frame->hd.stream_id);
    leat_slice field = {(const char *)name, name_size};
    char text[64];
    if (!stream)
        return 0;
    if (leat_slice_is(field, ":status")) {
        copy(text, sizeof text, value, value_size);
        if (strcmp(text, "100") == 0)
            stream->got_continue = true;
        else
            stream->status = atoi(text);
    } else if (leat_slice_is(field, "content-type")) {
        copy(stream->content_type, sizeof stream->content_type, value, value_size);
    } else if (leat_slice_is(field, "allow")) {
        copy(stream->allow, sizeof stream->allow, value, value_size);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t size, void *context)
{
    (void)session;
    (void)flags;
    test_stream *stream = find(context, id);
    if (!stream)
        return 0;
    for (size_t i = 0; i < size && stream->size + i < sizeof stream->body - 1; i++)
        stream->body[stream->size + i] = (char)data[i];
    stream->size += size;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *context)
{
    (void)session;
    test_stream *stream = find(context, id);
    if (stream) {
        stream->is_closed = true;
        stream->error_code = error_code;
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    stream_client *client = context;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->goaways++;
        client->goaway_code = frame->goaway.error_code;
        client->goaway_last = frame->goaway.last_stream_id;
    }
    test_stream *stream = find(client, frame->hd.stream_id);
    bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (stream && may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        stream->is_ended = true;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        client->pings++;
    return 0;
}

/* ---- bytes ---- */

static void send_plain(stream_client *client, const void *data, size_t size)
{
    if (!client->ssl) {
        test_send(client->loop, client->fd, data, size);
        return;
    }
    size_t written = 0;
    ERR_clear_error();
    ck_assert_int_eq(SSL_write_ex(client->ssl, data, size, &written), 1);
    ck_assert_uint_eq(written, size);
}

/* Records that OpenSSL has written. */
static void send_records(stream_client *client)
{
    char block[16384];
    int size = 0;
    while (client->ssl &&
           (size = BIO_read(SSL_get_wbio(client->ssl), block, (int)sizeof block)) > 0)
        test_send(client->loop, client->fd, block, (size_t)size);
}

static void take(stream_client *client, const void *data, size_t size)
{
    ssize_t used = nghttp2_session_mem_recv(client->session, data, size);
    ck_assert_msg(used == (ssize_t)size, "the server broke HTTP/2: %s",
                  nghttp2_strerror((int)used));
}

static void take_records(stream_client *client, const void *data, size_t size)
{
    char plain[16384];
    size_t got = 0;
    ck_assert_int_eq(BIO_write(SSL_get_rbio(client->ssl), data, (int)size), (int)size);
    for (;;) {
        ERR_clear_error();
        if (SSL_read_ex(client->ssl, plain, sizeof plain, &got) != 1)
            break;
        take(client, plain, got);
    }
}

static void receive(stream_client *client)
{
    static char block[65536];
    if (!client->reads || client->eof)
        return;
    ssize_t got = recv(client->fd, block, sizeof block, MSG_DONTWAIT);
    if (got > 0 && client->ssl)
        take_records(client, block, (size_t)got);
    else if (got > 0)
        take(client, block, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        client->eof = true;
}

static void flush(stream_client *client)
{
    const uint8_t *data = NULL;
    ssize_t size = 0;
    while (!client->eof && (size = nghttp2_session_mem_send(client->session, &data)) > 0)
        send_plain(client, data, (size_t)size);
    send_records(client);
}

void stream_turn(stream_client *client)
{
    flush(client);
    test_turn(client->loop);
    receive(client);
    usleep(100);
}

/* ---- a client's life ---- */

static void shake_hands(stream_client *client, SSL_CTX *ctx)
{
    char block[16384];
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    client->ssl = SSL_new(ctx);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client->ssl);
    while (SSL_do_handshake(client->ssl) != 1) {
        send_records(client);
        test_turn(client->loop);
        ssize_t got = recv(client->fd, block, sizeof block, MSG_DONTWAIT);
        if (got > 0)
            BIO_write(SSL_get_rbio(client->ssl), block, (int)got);
        ck_assert_msg(got != 0 && leat_mono_us() < until, "the handshake did not end");
    }
    const unsigned char *chosen = NULL;
    unsigned int size = 0;
    SSL_get0_alpn_selected(client->ssl, &chosen, &size);
    ck_assert(size == 2 && memcmp(chosen, "h2", 2) == 0);
}

static void begin_session(stream_client *client, const nghttp2_settings_entry *settings,
                          size_t count)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    ck_assert_int_eq(nghttp2_session_callbacks_new(&callbacks), 0);
    ck_assert_int_eq(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, count > 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    ck_assert_int_eq(nghttp2_session_client_new2(&client->session, callbacks, client, option), 0);
    ck_assert_int_eq(nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, settings, count),
                     0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
}

static stream_client *connect_client(uv_loop_t *loop, int port)
{
    stream_client *client = leat_must_calloc(1, sizeof *client);
    client->loop = loop;
    client->reads = true;
    client->fd = test_connect(port);
    return client;
}

stream_client *stream_client_connect(uv_loop_t *loop, int port)
{
    stream_client *client = connect_client(loop, port);
    begin_session(client, NULL, 0);
    return client;
}

stream_client *stream_client_new(http_world *world, SSL_CTX *ctx)
{
    stream_client *client = connect_client(&world->loop, leat_http_port(world->server));
    if (ctx)
        shake_hands(client, ctx);
    begin_session(client, NULL, 0);
    return client;
}

stream_client *stream_client_new_with_window(http_world *world, uint32_t window)
{
    stream_client *client = connect_client(&world->loop, leat_http_port(world->server));
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    begin_session(client, settings, 1);
    return client;
}

void stream_client_free(stream_client *client)
{
    nghttp2_session_del(client->session);
    SSL_free(client->ssl);
    close(client->fd);
    free(client);
}

/* ---- what goes ---- */

static ssize_t read_upload(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                           uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)session;
    (void)id;
    (void)context;
    leat_slice *left = source->ptr;
    size_t given = left->size < size ? left->size : size;
    memcpy(to, left->data, given);
    left->data += given;
    left->size -= given;
    if (left->size == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        free(left);
    }
    return (ssize_t)given;
}

static ssize_t read_never(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                          uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)session;
    (void)id;
    (void)to;
    (void)size;
    (void)flags;
    (void)source;
    (void)context;
    return NGHTTP2_ERR_DEFERRED;
}

static test_stream *submit(stream_client *client, const test_field *fields, size_t count,
                           const nghttp2_data_provider *body)
{
    nghttp2_nv list[256];
    ck_assert_uint_le(count, sizeof list / sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)fields[i].name,
                               .namelen = strlen(fields[i].name),
                               .value = (uint8_t *)(uintptr_t)fields[i].value,
                               .valuelen = strlen(fields[i].value)};
    int32_t id = nghttp2_submit_request(client->session, NULL, list, count, body, NULL);
    ck_assert_int_gt(id, 0);
    ck_assert_uint_lt(client->count, STREAMS_MAX);
    test_stream *stream = &client->streams[client->count++];
    stream->id = id;
    return stream;
}

test_stream *stream_send_fields(stream_client *client, const test_field *fields, size_t count,
                                bool is_end)
{
    nghttp2_data_provider body = {.read_callback = read_never};
    return submit(client, fields, count, is_end ? NULL : &body);
}

test_stream *stream_send_typed(stream_client *client, const char *method, const char *path,
                               const char *type, const char *body)
{
    test_field fields[] = {{":method", method},
                           {":scheme", "http"},
                           {":authority", "a"},
                           {":path", path},
                           {"content-type", type}};
    size_t count = type ? 5 : 4;
    if (!body)
        return submit(client, fields, count, NULL);
    leat_slice *left = leat_must_calloc(1, sizeof *left);
    *left = leat_slice_of(body);
    nghttp2_data_provider provider = {.source.ptr = left, .read_callback = read_upload};
    return submit(client, fields, count, &provider);
}

test_stream *stream_send(stream_client *client, const char *method, const char *path,
                         const char *body)
{
    return stream_send_typed(client, method, path, NULL, body);
}

void stream_send_frame(stream_client *client, uint8_t type, uint8_t flags, int32_t stream_id,
                       const void *payload, size_t size)
{
    leat_buf frame = {0};
    flush(client);
    leat_buf_be32(&frame, (uint32_t)(size << 8 | type));
    leat_buf_byte(&frame, (char)flags);
    leat_buf_be32(&frame, (uint32_t)stream_id);
    leat_buf_append(&frame, payload, size);
    send_plain(client, frame.data, frame.size);
    send_records(client);
    leat_buf_free(&frame);
}

/* ---- what is expected ---- */

void stream_expect(stream_client *client, test_stream *stream, int status, const char *body)
{
    STREAM_UNTIL(client, stream->is_ended || stream->is_closed || client->eof);
    ck_assert_msg(stream->status == status, "status %d, not %d: %s", stream->status, status,
                  stream->body);
    ck_assert(stream->is_ended);
    if (body)
        ck_assert_str_eq(stream->body, body);
}

void stream_expect_reset(stream_client *client, test_stream *stream, uint32_t error_code)
{
    STREAM_UNTIL(client, stream->is_closed || client->eof);
    ck_assert_int_eq(stream->status, 0);
    ck_assert_uint_eq(stream->error_code, error_code);
}

void stream_expect_goaway(stream_client *client, uint32_t error_code)
{
    STREAM_UNTIL(client, client->eof);
    ck_assert_uint_gt(client->goaways, 0);
    ck_assert_uint_eq(client->goaway_code, error_code);
}
