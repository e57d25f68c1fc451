/*
 * tls.c - TLS between a connection's socket and its protocol. OpenSSL reads from the bytes that
 * have just come and writes to a buffer of the connection, by a BIO of our own: a socket BIO would
 * write once for each record, and a memory BIO would keep the largest buffer that it ever had for
 * each idle connection. The answers of a loop turn are encrypted together, so they share records.
 *
 * OpenSSL's queue of errors belongs to the thread, and an old entry makes a healthy connection look
 * broken. It is emptied before each call.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/diag.h"
#include "http/tls.h"

enum {
    HANDSHAKES_A_TURN = 16, /* each takes a tenth of a millisecond or more of everybody's time */
    PLAIN_SIZE = 16 * 1024, /* a record's */
    KEEP_OUT_BYTES = 16 * 1024,
};

struct http_tls {
    SSL *ssl;
    leat_buf *wire;
    const char *in; /* came and was not read by OpenSSL */
    size_t in_size;
    int64_t since; /* the handshake began */
    bool is_established;
    bool is_ended; /* our close_notify is written, or there is none to write */
};

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *to, int size)
{
    http_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (tls->in_size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t given = tls->in_size < (size_t)size ? tls->in_size : (size_t)size;
    memcpy(to, tls->in, given);
    tls->in += given;
    tls->in_size -= given;
    return (int)given;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    http_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    leat_buf_append(tls->wire, data, (size_t)size);
    return tls->wire->failed ? -1 : size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "leat");
    if (method && BIO_meth_set_read(method, bio_read) == 1 &&
        BIO_meth_set_write(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_control) == 1 &&
        BIO_meth_set_create(method, bio_create) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* ---- the server's part ---- */

int http_tls_set_up(leat_http_server *server, leat_error *error)
{
    const leat_http_tls_config *config = &server->config.tls;
    const char *member = NULL;
    if (!config->certificate)
        return 0;
    server->tls_method = make_method();
    LEAT_ASSERT(server->tls_method);
    server->tls_context =
        http_tls_context_new(config, server->config.streams_max > 0, &member, error);
    return server->tls_context ? 0 : -1;
}

void http_tls_take_down(leat_http_server *server)
{
    http_tls_context_free(server->tls_context);
    BIO_meth_free(server->tls_method);
}

/* ---- a connection's beginning and end ---- */

bool http_tls_begin(http_conn *conn)
{
    leat_http_server *server = conn->server;
    http_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return false;
    conn->tls = tls;
    tls->wire = &conn->wire;
    tls->since = http_now_ms(server);
    tls->ssl = http_tls_context_open(server->tls_context);
    BIO *bio = tls->ssl ? BIO_new(server->tls_method) : NULL;
    if (!bio)
        return false;
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
    return true;
}

void http_tls_free(http_conn *conn)
{
    if (!conn->tls)
        return;
    SSL_free(conn->tls->ssl);
    free(conn->tls);
    conn->tls = NULL;
}

bool http_tls_is_late(const http_conn *conn, int64_t now)
{
    const http_tls *tls = conn->tls;
    return !tls->is_established && now - tls->since >= conn->server->config.header_timeout_ms;
}

/* A failed handshake leaves an alert, which is sent before the end. Later nothing can be sent that
 * the client would take. */
static void end_for_fault(http_conn *conn)
{
    http_tls *tls = conn->tls;
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    leat_debug("TLS connection ended port=%d reason=\"%s\"", conn->server->port,
               reason ? reason : "not known");
    ERR_clear_error();
    tls->is_ended = true;
    conn->server->counters.tls_failures++;
    if (tls->is_established) {
        http_conn_close(conn);
        return;
    }
    conn->no_more = true;
    http_conn_mark_dirty(conn);
}

bool http_tls_end(http_conn *conn)
{
    http_tls *tls = conn->tls;
    if (tls->is_ended)
        return false;
    tls->is_ended = true;
    if (!tls->is_established)
        return false;
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    return conn->wire.size > 0;
}

/* ---- bytes in ---- */

bool http_tls_may_read(http_conn *conn)
{
    leat_http_server *server = conn->server;
    if (conn->state != HTTP_CONN_OPEN || conn->tls->is_established)
        return true;
    if (server->handshakes_this_turn >= HANDSHAKES_A_TURN)
        return false;
    server->handshakes_this_turn++;
    return true;
}

static void on_established(http_conn *conn)
{
    http_tls *tls = conn->tls;
    const unsigned char *chosen = NULL;
    unsigned int size = 0;
    tls->is_established = true;
    conn->idle_since = http_now_ms(conn->server);
    conn->server->counters.tls_handshakes++;
    if (SSL_session_reused(tls->ssl))
        conn->server->counters.tls_resumed++;
    SSL_get0_alpn_selected(tls->ssl, &chosen, &size);
    leat_slice protocol = {(const char *)chosen, size};
    http_conn_begin(conn, leat_slice_is(protocol, "h2") ? HTTP_2 : HTTP_1);
}

/* False: more bytes are needed, or it has failed. */
static bool shake_hands(http_conn *conn)
{
    http_tls *tls = conn->tls;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    http_conn_mark_dirty(conn);
    if (result == 1) {
        on_established(conn);
        return conn->state == HTTP_CONN_OPEN;
    }
    if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ)
        end_for_fault(conn);
    return false;
}

static void read_plain(http_conn *conn)
{
    http_tls *tls = conn->tls;
    char plain[PLAIN_SIZE];
    while (conn->state == HTTP_CONN_OPEN && !conn->eof) {
        size_t got = 0;
        ERR_clear_error();
        int result = SSL_read_ex(tls->ssl, plain, sizeof plain, &got);
        if (result == 1) {
            http_conn_take(conn, plain, got);
            continue;
        }
        int code = SSL_get_error(tls->ssl, result);
        if (code == SSL_ERROR_ZERO_RETURN)
            http_conn_end_input(conn);
        else if (code != SSL_ERROR_WANT_READ)
            end_for_fault(conn);
        break;
    }
    if (conn->state == HTTP_CONN_OPEN && conn->wire.size > conn->sent)
        http_conn_mark_dirty(conn);
}

void http_tls_receive(http_conn *conn, const char *data, size_t size)
{
    http_tls *tls = conn->tls;
    tls->in = data;
    tls->in_size = size;
    if (!tls->is_ended && (tls->is_established || shake_hands(conn)))
        read_plain(conn);
    tls->in = NULL; /* the rest is of a connection that has ended */
    tls->in_size = 0;
}

/* ---- bytes out ---- */

void http_tls_write(http_conn *conn)
{
    http_tls *tls = conn->tls;
    if (conn->out.size == 0 || !tls->is_established || tls->is_ended)
        return;
    size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, conn->out.data, conn->out.size, &written) != 1 ||
        written != conn->out.size)
        conn->wire.failed = true;
    if (conn->out.capacity > KEEP_OUT_BYTES)
        leat_buf_free(&conn->out);
    else
        leat_buf_clear(&conn->out);
}
