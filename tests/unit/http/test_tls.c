/* TLS: which protocol is spoken, who is let in, and how certificates are replaced; and that a
 * request gets the same answer over HTTP/1.1, HTTP/2 and HTTP/2 over TLS. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "pem.h"
#include "stream_client.h"
#include "world.h"

/* ---- a client that speaks HTTP/1.1 over TLS ---- */

typedef struct tls_client {
    http_world *world;
    int fd;
    SSL *ssl;
    bool eof;
    bool is_connected;
    char text[8192]; /* what came */
    size_t size;
} tls_client;

static void tls_turn(tls_client *client)
{
    char block[16384];
    int size = 0;
    while ((size = BIO_read(SSL_get_wbio(client->ssl), block, (int)sizeof block)) > 0)
        test_send(&client->world->loop, client->fd, block, (size_t)size);
    test_turn(&client->world->loop);
    ssize_t got = recv(client->fd, block, sizeof block, MSG_DONTWAIT);
    if (got > 0)
        BIO_write(SSL_get_rbio(client->ssl), block, (int)got);
    else if (got == 0 || errno != EAGAIN)
        client->eof = true;
    usleep(100);
}

static tls_client *tls_open(http_world *world, SSL_CTX *ctx, SSL_SESSION *session)
{
    tls_client *client = leat_must_calloc(1, sizeof *client);
    client->world = world;
    client->fd = test_connect(leat_http_port(world->server));
    client->ssl = SSL_new(ctx);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client->ssl);
    if (session)
        SSL_set_session(client->ssl, session);
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (!client->is_connected && !client->eof) {
        ERR_clear_error();
        int result = SSL_do_handshake(client->ssl);
        client->is_connected = result == 1;
        bool failed = !client->is_connected &&
                      SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ;
        tls_turn(client);
        if (failed)
            break;
        ck_assert_msg(leat_mono_us() < until, "the handshake did not end");
    }
    return client;
}

static void tls_free(tls_client *client)
{
    SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its session is
                                                                                 lost */
    SSL_free(client->ssl);
    close(client->fd);
    free(client);
}

/* True: what came ends with `text`; false: the connection ended before. */
static bool tls_read_until(tls_client *client, const char *text)
{
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(client->ssl, client->text + client->size,
                           (int)(sizeof client->text - 1 - client->size));
        if (got > 0) {
            client->size += (size_t)got;
            client->text[client->size] = '\0';
        } else if (SSL_get_error(client->ssl, got) != SSL_ERROR_WANT_READ) {
            return false;
        }
        if (strstr(client->text, text))
            return true;
        if (client->eof && got <= 0)
            return false;
        tls_turn(client);
        ck_assert_msg(leat_mono_us() < until, "no answer came");
    }
}

static bool tls_ask(tls_client *client, const char *request, const char *end)
{
    client->size = 0;
    client->text[0] = '\0';
    ERR_clear_error();
    if (!client->is_connected ||
        SSL_write(client->ssl, request, (int)strlen(request)) != (int)strlen(request))
        return false;
    return tls_read_until(client, end);
}

/* ---- the server's side ---- */

static SSL_CTX *client_ctx(const char *alpn)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (alpn)
        SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)alpn, (unsigned int)strlen(alpn));
    return ctx;
}

static SSL_CTX *client_ctx_with(const test_pem *shown)
{
    SSL_CTX *ctx = client_ctx(NULL);
    ck_assert_int_eq(SSL_CTX_use_certificate_file(ctx, shown->certificate, SSL_FILETYPE_PEM), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(ctx, shown->key, SSL_FILETYPE_PEM), 1);
    return ctx;
}

static http_world *open_tls(test_pem *pem)
{
    http_world *world = world_new();
    pem_make(pem, "first");
    world->config.tls = (leat_http_tls_config){.certificate = pem->certificate, .key = pem->key};
    return world;
}

/* The name in the certificate that a new connection sees. */
static void expect_certificate(http_world *world, SSL_CTX *ctx, const char *name)
{
    char subject[64] = "";
    tls_client *client = tls_open(world, ctx, NULL);
    ck_assert(tls_ask(client, GET("/a"), "GET /a "));
    X509 *certificate = SSL_get1_peer_certificate(client->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, subject,
                              (int)sizeof subject);
    X509_free(certificate);
    ck_assert_str_eq(subject, name);
    tls_free(client);
}

/* ---- protocols ---- */

START_TEST(test_protocol)
{
    static const struct {
        const char *alpn;
        bool connects;
    } cases[] = {{NULL, true},
                 {"\x08http/1.1", true},
                 {"\x03foo\x08http/1.1", true},
                 {"\x03"
                  "foo",
                  false}};
    test_pem pem;
    http_world *world = open_tls(&pem);
    world_open(world);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SSL_CTX *ctx = client_ctx(cases[i].alpn);
        tls_client *client = tls_open(world, ctx, NULL);
        ck_assert_int_eq(tls_ask(client, GET("/a"), "GET /a "), cases[i].connects);
        if (cases[i].connects)
            ck_assert(tls_ask(client, GET("/b") GET("/c"), "GET /c "));
        tls_free(client);
        SSL_CTX_free(ctx);
    }
    SSL_CTX *ctx = client_ctx("\x02h2\x08http/1.1");
    stream_client *streams = stream_client_new(world, ctx);
    stream_expect(streams, stream_send(streams, "PUT", "/a", "hello"), 200, "PUT /a hello");
    stream_client_free(streams);
    SSL_CTX_free(ctx);
    ck_assert_uint_eq(leat_http_count(world->server)->tls_handshakes, 4);
    ck_assert_uint_eq(leat_http_count(world->server)->tls_failures, 1);
    ck_assert_uint_eq(leat_http_count(world->server)->http_1, 3);
    ck_assert_uint_eq(leat_http_count(world->server)->http_2, 1);
    world_free(world);
    pem_remove(&pem);
}
END_TEST

/* A large body, which comes in many records, and the end of the connection as TLS has it. */
START_TEST(test_large_and_close)
{
    test_pem pem;
    http_world *world = open_tls(&pem);
    world_open(world);
    SSL_CTX *ctx = client_ctx(NULL);
    tls_client *client = tls_open(world, ctx, NULL);
    leat_buf text = {0};
    leat_buf_text(&text, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    for (int i = 0; i < 60000; i++)
        leat_buf_byte(&text, 'x');
    world->holds = true;
    ck_assert_int_eq(SSL_write(client->ssl, text.data, (int)text.size), (int)text.size);
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (world->held_count == 0) {
        tls_turn(client);
        ck_assert(leat_mono_us() < until);
    }
    ck_assert_uint_eq(leat_http_request_body(world->held[0]).size, 60000);
    leat_http_answer(world->held[0], LEAT_HTTP_OK, NULL, LEAT_SLICE("done"), NULL);
    ck_assert(tls_read_until(client, "done"));
    world->holds = false;
    ck_assert(
        tls_ask(client, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /a "));
    ck_assert(!tls_read_until(client, "never"));
    ck_assert_int_eq(SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    leat_buf_free(&text);
    tls_free(client);
    SSL_CTX_free(ctx);
    world_free(world);
    pem_remove(&pem);
}
END_TEST

/* An answer in pieces, larger than all buffers on its way. */
enum { PIECES = 40, PIECE_SIZE = 10000 };
static int pieces_left = PIECES;

static void write_pieces(leat_http_request *request)
{
    static char piece[PIECE_SIZE];
    memset(piece, 'z', sizeof piece);
    while (pieces_left > 0 && leat_http_answer_waiting(request) < 4 * sizeof piece) {
        leat_http_answer_piece(request, (leat_slice){piece, sizeof piece});
        pieces_left--;
    }
    if (pieces_left > 0)
        return;
    leat_http_answer_piece(request, LEAT_SLICE("the end"));
    leat_http_answer_end(request);
    pieces_left = -1;
}

static void on_room(void *context, leat_http_request *request)
{
    (void)context;
    if (pieces_left >= 0)
        write_pieces(request);
}

static void answer_in_pieces(void *context, leat_http_request *request)
{
    (void)context;
    leat_http_answer_begin(request, LEAT_HTTP_OK, "text/plain", NULL);
    write_pieces(request);
}

START_TEST(test_an_answer_in_pieces)
{
    test_pem pem;
    http_world *world = open_tls(&pem);
    world->config.hooks.on_room = on_room;
    leat_error error = {""};
    world->server = leat_http_listen(&world->loop, &world->config, answer_in_pieces, world, &error);
    ck_assert_msg(world->server, "%s", error.text);
    SSL_CTX *ctx = client_ctx(_i ? "\x02h2" : NULL);
    if (_i) {
        stream_client *client = stream_client_new(world, ctx);
        test_stream *stream = stream_send(client, "GET", "/a", NULL);
        stream_expect(client, stream, 200, NULL);
        ck_assert_uint_eq(stream->size, PIECES * PIECE_SIZE + sizeof "the end" - 1);
        stream_client_free(client);
    } else {
        tls_client *client = tls_open(world, ctx, NULL);
        ck_assert(SSL_write(client->ssl, GET("/a"), sizeof GET("/a") - 1) > 0);
        size_t size = 0;
        int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
        while (!(client->size >= 5 && strcmp(client->text + client->size - 5, "0\r\n\r\n") == 0)) {
            ERR_clear_error();
            int got = SSL_read(client->ssl, client->text, (int)sizeof client->text - 1);
            client->size = got > 0 ? (size_t)got : 0;
            client->text[client->size] = '\0';
            size += client->size;
            tls_turn(client);
            ck_assert_msg(leat_mono_us() < until, "the answer did not end");
        }
        ck_assert_uint_gt(size, PIECES * PIECE_SIZE);
        tls_free(client);
    }
    SSL_CTX_free(ctx);
    world_free(world);
    pem_remove(&pem);
}
END_TEST

/* A hello that is never finished, and bytes that are none. */
START_TEST(test_no_handshake)
{
    test_pem pem;
    http_world *world = open_tls(&pem);
    world->config.header_timeout_ms = 100;
    world_open(world);
    world_connect(world);
    test_send(&world->loop, world->reader.fd, "\x16\x03\x01\x02", 4);
    world_expect_eof(world);
    ck_assert_uint_eq(leat_http_count(world->server)->timeouts, 1);
    world_connect(world);
    world_send(world, GET("/a"));
    while (leat_http_count(world->server)->tls_failures == 0)
        test_turn(&world->loop);
    SSL_CTX *ctx = client_ctx(NULL);
    expect_certificate(world, ctx, "first");
    SSL_CTX_free(ctx);
    world_free(world);
    pem_remove(&pem);
}
END_TEST

/* An error that something else on this thread has left behind is nothing to a connection. */
START_TEST(test_stale_errors)
{
    test_pem pem;
    http_world *world = open_tls(&pem);
    world->holds = true;
    world_open(world);
    SSL_CTX *ctx = client_ctx(NULL);
    tls_client *client = tls_open(world, ctx, NULL);
    ck_assert_int_eq(SSL_write(client->ssl, GET("/a"), sizeof GET("/a") - 1), sizeof GET("/a") - 1);
    while (world->held_count == 0)
        tls_turn(client);
    world_echo(world->held[0]);
    ck_assert(tls_read_until(client, "GET /a "));
    ck_assert_int_eq(SSL_write(client->ssl, GET("/b"), sizeof GET("/b") - 1), sizeof GET("/b") - 1);
    ERR_raise(ERR_LIB_PEM, ERR_R_INTERNAL_ERROR);
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (world->held_count == 1) {
        tls_turn(client); /* the server's calls; none of the client's that would empty the queue */
        ck_assert_msg(leat_mono_us() < until, "the connection did not go on");
    }
    world_echo(world->held[1]);
    ck_assert(tls_read_until(client, "GET /b "));
    tls_free(client);
    SSL_CTX_free(ctx);
    world_free(world);
    pem_remove(&pem);
}
END_TEST

START_TEST(test_versions)
{
    for (int only_new = 0; only_new < 2; only_new++) {
        test_pem pem;
        http_world *world = open_tls(&pem);
        world->config.tls.is_1_3_only = only_new;
        world_open(world);
        SSL_CTX *ctx = client_ctx(NULL);
        SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
        tls_client *client = tls_open(world, ctx, NULL);
        ck_assert_int_eq(tls_ask(client, GET("/a"), "GET /a "), !only_new);
        tls_free(client);
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
        client = tls_open(world, ctx, NULL);
        ck_assert(!client->is_connected);
        tls_free(client);
        SSL_CTX_free(ctx);
        world_free(world);
        pem_remove(&pem);
    }
}
END_TEST

/* ---- certificates ---- */

/* Clients check all that they are sent. */
START_TEST(test_the_first_that_ends_counts)
{
    static const long lasts_s[] = {2 * 3600, 60, 1800}; /* beside an hour */
    int64_t ends_s[4];
    test_pem pem;
    pem_make(&pem, "first");
    const leat_http_tls_config config = {.certificate = pem.certificate, .key = pem.key};
    for (size_t i = 0; i < 4; i++) {
        const char *member = NULL;
        leat_error error = {""};
        if (i > 0)
            pem_add(&pem, "between", lasts_s[i - 1]);
        ck_assert_msg(leat_http_tls_check(&config, &ends_s[i], &member, &error) == 0, "%s",
                      error.text);
    }
    ck_assert_int_eq(ends_s[1], ends_s[0]);
    ck_assert_int_lt(ends_s[2], ends_s[0] - 1800);
    ck_assert_int_eq(ends_s[3], ends_s[2]);
    pem_remove(&pem);
}
END_TEST

START_TEST(test_bad_files)
{
    test_pem pem, other;
    pem_make(&pem, "first");
    pem_make(&other, "second");
    const struct {
        leat_http_tls_config config;
        const char *member;
        const char *words;
    } cases[] = {
        {{.certificate = "/no/such", .key = pem.key}, "certificate", "/no/such"},
        {{.certificate = pem.key, .key = pem.key}, "certificate", pem.key},
        {{.certificate = pem.certificate, .key = "/no/such"}, "key", "/no/such"},
        {{.certificate = pem.certificate, .key = other.key},
         "key",
         "is not that of the certificate"},
        {{.certificate = pem.certificate, .key = pem.key, .client_ca = "/no/such"},
         "client_ca",
         "/no/such"},
        {{.certificate = pem.certificate, .key = pem.key, .client_ca = pem.key},
         "client_ca",
         pem.key},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *member = NULL;
        leat_error error = {""};
        int64_t expires_s;
        ck_assert_int_eq(leat_http_tls_check(&cases[i].config, &expires_s, &member, &error), -1);
        ck_assert_str_eq(member, cases[i].member);
        ck_assert_msg(strstr(error.text, cases[i].words) != NULL, "%s", error.text);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        http_world *world = world_new();
        world->config.tls = cases[i].config;
        ck_assert_ptr_null(
            leat_http_listen(&world->loop, &world->config, (leat_http_handler)abort, NULL, &error));
        world_free(world);
    }
    pem_remove(&pem);
    pem_remove(&other);
}
END_TEST

/* New connections get the new certificate. A bad file changes nothing; connections go on. */
START_TEST(test_reload)
{
    test_pem pem;
    http_world *world = open_tls(&pem);
    world_open(world);
    SSL_CTX *ctx = client_ctx(NULL);
    tls_client *old = tls_open(world, ctx, NULL);
    ck_assert(tls_ask(old, GET("/a"), "GET /a "));
    pem_write(&pem, "second");
    leat_http_reload(world->server);
    expect_certificate(world, ctx, "second");
    FILE *file = fopen(pem.key, "we");
    fputs("not a key", file);
    fclose(file);
    leat_http_reload(world->server);
    expect_certificate(world, ctx, "second");
    ck_assert(tls_ask(old, GET("/b"), "GET /b "));
    tls_free(old);
    SSL_CTX_free(ctx);
    world_free(world);
    pem_remove(&pem);
}
END_TEST

/* A session goes on over a reload, with client certificates too; not over a change of trust. */
START_TEST(test_resumption)
{
    test_pem pem, authority;
    http_world *world = open_tls(&pem);
    pem_make(&authority, "client");
    world->config.tls.client_ca = authority.certificate;
    world->config.tls.needs_client_certificate = true;
    world_open(world);
    SSL_CTX *ctx = client_ctx(NULL);
    tls_client *client = tls_open(world, ctx, NULL);
    ck_assert(!tls_ask(client, GET("/a"), "GET /a ")); /* without a certificate */
    tls_free(client);
    SSL_CTX_free(ctx);
    ctx = client_ctx_with(&authority);
    client = tls_open(world, ctx, NULL);
    ck_assert(tls_ask(client, GET("/a"), "GET /a "));
    SSL_SESSION *session = SSL_get1_session(client->ssl);
    tls_free(client);
    pem_write(&pem, "second");
    leat_http_reload(world->server);
    client = tls_open(world, ctx, session);
    ck_assert(tls_ask(client, GET("/b"), "GET /b "));
    ck_assert(SSL_session_reused(client->ssl));
    ck_assert_uint_eq(leat_http_count(world->server)->tls_resumed, 1);
    tls_free(client);
    pem_write(&authority, "another"); /* another key: this client is not trusted any more */
    leat_http_reload(world->server);
    client = tls_open(world, ctx, session);
    ck_assert(!tls_ask(client, GET("/c"), "GET /c "));
    tls_free(client);
    SSL_SESSION_free(session);
    SSL_CTX_free(ctx);
    world_free(world);
    pem_remove(&pem);
    pem_remove(&authority);
}
END_TEST

/* Returns its session. */
static SSL_SESSION *expect_served(http_world *world, SSL_CTX *ctx, SSL_SESSION *session)
{
    tls_client *client = tls_open(world, ctx, session);
    ck_assert(tls_ask(client, GET("/a"), "GET /a "));
    SSL_SESSION *ret = SSL_get1_session(client->ssl);
    tls_free(client);
    return ret;
}

static void expect_refused(http_world *world, SSL_CTX *ctx, SSL_SESSION *session)
{
    tls_client *client = tls_open(world, ctx, session);
    ck_assert(!tls_ask(client, GET("/a"), "GET /a "));
    tls_free(client);
}

/* Whoever shows a certificate must show a good one, also where it resumes a session from before a
 * change of trust; whoever shows none is served. */
START_TEST(test_client_certificate_optional)
{
    test_pem pem, authority, stranger;
    http_world *world = open_tls(&pem);
    pem_make(&authority, "client");
    pem_make(&stranger, "stranger");
    world->config.tls.client_ca = authority.certificate;
    world->config.tls.needs_client_certificate = false;
    world_open(world);
    SSL_CTX *none = client_ctx(NULL), *valid = client_ctx_with(&authority),
            *other = client_ctx_with(&stranger);
    SSL_SESSION *of_none = expect_served(world, none, NULL);
    SSL_SESSION *of_valid = expect_served(world, valid, NULL);
    expect_refused(world, other, NULL);
    ck_assert_uint_eq(leat_http_count(world->server)->tls_resumed, 0);
    SSL_SESSION_free(expect_served(world, none, of_none));
    SSL_SESSION_free(expect_served(world, valid, of_valid));
    ck_assert_uint_eq(leat_http_count(world->server)->tls_resumed, 2);
    pem_write(&authority, "another");
    leat_http_reload(world->server);
    expect_refused(world, valid, of_valid);
    SSL_SESSION_free(expect_served(world, none, of_none));
    ck_assert_uint_eq(leat_http_count(world->server)->tls_resumed, 2);
    SSL_SESSION_free(of_none);
    SSL_SESSION_free(of_valid);
    SSL_CTX_free(none);
    SSL_CTX_free(valid);
    SSL_CTX_free(other);
    world_free(world);
    pem_remove(&pem);
    pem_remove(&authority);
    pem_remove(&stranger);
}
END_TEST

/* ---- one answer for all protocols ---- */

static const struct {
    int status;
    const char *method, *path, *host;
} sames[] = {
    {200, "GET", "/a", "a"},     {200, "GET", "/", "a:80"},
    {200, "GET", "/a?b?c", "a"}, {200, "GET", "/a%2Fb", "[::1]:80"},
    {200, "PURGE", "/a", "a"},   {200, "OPTIONS", "*", "a"},
    {400, "GET", "*", "a"},      {400, "GET", "a", "a"},
    {400, "GET", "/a#b", "a"},   {400, "GET", "/\xc3\xa4", "a"},
    {400, "GET", "/a\x7f", "a"}, {400, "GET", "/a\x01", "a"},
    {400, "GET", "/a b", "a"},   {400, "get", "/a", "a"},
    {400, "GETX", "/a", "a"},    {400, "DESCRIBE", "/a", "a"},
    {200, "SOURCE", "/a", "a"},  {400, "G T", "/a", "a"},
    {400, "GET", "/a", "a/b"},   {400, "GET", "/a", "a\\b"},
    {400, "GET", "/a", "a b"},   {400, "GET", "/a", "a, b"},
    {400, "GET", "/a", "u@a"},   {400, "GET", "/a", "a?b"},
    {400, "GET", "/a", "\xff"},  {400, "GET", "/a", "a#b"},
    {400, "GET", "/a", NULL},
};

/* A request that is refused may be refused by nghttp2 already, which resets the stream. */
static void expect_same_stream(stream_client *client, int i)
{
    test_field fields[] = {{":method", sames[i].method},
                           {":scheme", "http"},
                           {":path", sames[i].path},
                           {":authority", sames[i].host}};
    test_stream *stream = stream_send_fields(client, fields, sames[i].host ? 4 : 3, true);
    STREAM_UNTIL(client, stream->is_closed || client->eof);
    bool was_reset = stream->status == 0 && stream->error_code == NGHTTP2_PROTOCOL_ERROR;
    ck_assert_msg(stream->status == sames[i].status || (sames[i].status == 400 && was_reset),
                  "%s %s %s: %d", sames[i].method, sames[i].path, sames[i].host, stream->status);
}

START_TEST(test_same)
{
    test_pem pem;
    http_world *clear = world_new(), *sealed = open_tls(&pem);
    world_open(clear);
    world_open(sealed);
    SSL_CTX *ctx = client_ctx("\x02h2");
    stream_client *h2c = stream_client_new(clear, NULL), *h2 = stream_client_new(sealed, ctx);
    for (int i = 0; i < (int)(sizeof sames / sizeof *sames); i++) {
        char text[256];
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n%s%s%s\r\n", sames[i].method, sames[i].path,
                 sames[i].host ? "Host: " : "", sames[i].host ? sames[i].host : "",
                 sames[i].host ? "\r\n" : "");
        world_connect(clear);
        world_send(clear, text);
        world_expect(clear, sames[i].status);
        expect_same_stream(h2c, i);
        expect_same_stream(h2, i);
    }
    ck_assert_uint_eq(clear->seen, 14);
    ck_assert_uint_eq(sealed->seen, 7);
    static const test_field tunnel[] = {{":method", "CONNECT"}, {":authority", "a:80"}};
    stream_expect(h2c, stream_send_fields(h2c, tunnel, 2, true), 501, NULL);
    stream_client_free(h2c);
    stream_client_free(h2);
    SSL_CTX_free(ctx);
    world_free(clear);
    world_free(sealed);
    pem_remove(&pem);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http_tls");
    TCase *tls = tcase_create("tls");
    tcase_set_timeout(tls, 60);
    tcase_add_test(tls, test_protocol);
    tcase_add_test(tls, test_large_and_close);
    tcase_add_loop_test(tls, test_an_answer_in_pieces, 0, 2);
    tcase_add_test(tls, test_no_handshake);
    tcase_add_test(tls, test_stale_errors);
    tcase_add_test(tls, test_versions);
    tcase_add_test(tls, test_bad_files);
    tcase_add_test(tls, test_reload);
    tcase_add_test(tls, test_the_first_that_ends_counts);
    tcase_add_test(tls, test_resumption);
    tcase_add_test(tls, test_client_certificate_optional);
    tcase_add_test(tls, test_same);
    suite_add_tcase(s, tls);
    return s;
}

int main(void)
{
    return world_run(suite());
}
