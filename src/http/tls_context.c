/*
 * tls_context.c - the certificate, its key and the trust in clients, as OpenSSL wants them, and how
 * they are replaced while the server runs. A new context is built and checked as a whole and then
 * takes the place of the old one; a file that is bad changes nothing. Connections, and handshakes
 * that have begun, keep the context that they have.
 *
 * Tickets: the keys that they are sealed with are carried over to the new context, else every
 * client would pay a full handshake after each renewal of a certificate. They are replaced once a
 * day, so that a stolen key opens a day's traffic at most. The session id context holds what
 * clients are trusted by, so that a ticket from before a change of trust does not pass as a login.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/diag.h"
#include "http/tls.h"

enum {
    FILES = 3,
    TICKET_KEYS_MS = 24 * 60 * 60 * 1000,
};

struct http_tls_context {
    char *files[FILES]; /* certificate, key, client_ca or NULL */
    leat_http_tls_config config;
    bool offers_h2;
    SSL_CTX *current;
    int64_t keys_ms; /* since when the ticket keys are used; 0: not known yet */
};

/* ---- loading ---- */

/* Takes OpenSSL's first error, which is the cause of the others. */
static int fail(leat_error *error, const char *what, const char *file)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
                                                : ERR_reason_error_string(code);
    ERR_clear_error();
    return leat_fail(error, "cannot load the %s from %s: %s", what, file,
                     reason ? reason : "OpenSSL gives no reason");
}

/* Asked where a key is encrypted. OpenSSL's own way is to ask at the terminal. */
static int no_password(char *to, int size, int is_writing, void *context)
{
    (void)to;
    (void)size;
    (void)is_writing;
    *(bool *)context = true;
    return 0;
}

static int load_key(SSL_CTX *ctx, const leat_http_tls_config *config, leat_error *error)
{
    bool is_encrypted = false;
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &is_encrypted);
    int loaded = SSL_CTX_use_PrivateKey_file(ctx, config->key, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (is_encrypted) {
        ERR_clear_error();
        return leat_fail(error,
                         "cannot load the key from %s: it is encrypted (store it without a "
                         "passphrase, readable by leat's user only)",
                         config->key);
    }
    bool is_other = loaded != 1 && ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH;
    if (loaded != 1 && !is_other)
        return fail(error, "key", config->key);
    if (loaded == 1 && SSL_CTX_check_private_key(ctx) == 1)
        return 0;
    ERR_clear_error();
    return leat_fail(error, "the key in %s is not that of the certificate in %s", config->key,
                     config->certificate);
}

/* The hash of what clients are trusted by. */
static int set_session_context(SSL_CTX *ctx, const leat_http_tls_config *config, leat_error *error)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    char block[4096];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    FILE *file = ok && config->client_ca ? fopen(config->client_ca, "re") : NULL;
    size_t got = 0;
    while (file && (got = fread(block, 1, sizeof block, file)) > 0)
        ok = ok && EVP_DigestUpdate(md, block, got) == 1;
    if (file)
        fclose(file);
    ok = ok &&
         EVP_DigestUpdate(md, config->needs_client_certificate ? "required" : "optional", 8) == 1 &&
         EVP_DigestFinal_ex(md, hash, &size) == 1 && size <= SSL_MAX_SID_CTX_LENGTH &&
         SSL_CTX_set_session_id_context(ctx, hash, size) == 1;
    EVP_MD_CTX_free(md);
    return ok ? 0 : leat_fail(error, "cannot prepare TLS sessions");
}

static int load_trust(SSL_CTX *ctx, const leat_http_tls_config *config, leat_error *error)
{
    if (!config->client_ca)
        return 0;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->client_ca);
    if (!names || SSL_CTX_load_verify_locations(ctx, config->client_ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(error, "certificates of client authorities", config->client_ca);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    int mode = SSL_VERIFY_PEER;
    if (config->needs_client_certificate)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, NULL);
    return 0;
}

/* RFC 7301: without a protocol in common the handshake ends. A client that names none is not asked,
 * and gets HTTP/1.1. */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                           const unsigned char *offered, unsigned int size, void *context)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    static const unsigned char one[] = "\x08http/1.1";
    const http_tls_context *ours = context;
    (void)ssl;
    unsigned char *chosen = NULL;
    int result = SSL_select_next_proto(&chosen, ret_size, ours->offers_h2 ? both : one,
                                       ours->offers_h2 ? sizeof both - 1 : sizeof one - 1, offered,
                                       size);
    *ret = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void set_options(SSL_CTX *ctx, http_tls_context *context)
{
    SSL_CTX_set_min_proto_version(ctx,
                                  context->config.is_1_3_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets hold the sessions */
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, context);
}

/* NULL: `*ret_member` is the setting that is at fault. */
static SSL_CTX *load(http_tls_context *context, const char **ret_member, leat_error *error)
{
    const leat_http_tls_config *config = &context->config;
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    *ret_member = "certificate";
    if (!ctx) {
        fail(error, "certificate", config->certificate);
        return NULL;
    }
    set_options(ctx, context);
    int result = SSL_CTX_use_certificate_chain_file(ctx, config->certificate) == 1
                     ? 0
                     : fail(error, "certificate", config->certificate);
    if (result == 0) {
        *ret_member = "key";
        result = load_key(ctx, config, error);
    }
    if (result == 0) {
        *ret_member = "client_ca";
        result = load_trust(ctx, config, error);
    }
    if (result == 0)
        result = set_session_context(ctx, config, error);
    if (result == 0)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* ---- tickets ---- */

enum { TICKET_KEYS_SIZE = 80 };

static void carry_keys_over(SSL_CTX *from, SSL_CTX *to)
{
    unsigned char keys[TICKET_KEYS_SIZE];
    if (SSL_CTX_get_tlsext_ticket_keys(from, keys, sizeof keys) == 1)
        SSL_CTX_set_tlsext_ticket_keys(to, keys, sizeof keys);
    OPENSSL_cleanse(keys, sizeof keys);
}

static void replace_keys(http_tls_context *context)
{
    unsigned char keys[TICKET_KEYS_SIZE];
    if (RAND_bytes(keys, sizeof keys) == 1)
        SSL_CTX_set_tlsext_ticket_keys(context->current, keys, sizeof keys);
    OPENSSL_cleanse(keys, sizeof keys);
}

/* ---- a context's life ---- */

http_tls_context *http_tls_context_new(const leat_http_tls_config *config, bool offers_h2,
                                       const char **ret_member, leat_error *error)
{
    const char *files[FILES] = {config->certificate, config->key, config->client_ca};
    LEAT_ASSERT(config->certificate && config->key);
    http_tls_context *context = leat_must_calloc(1, sizeof *context);
    for (int i = 0; i < FILES; i++)
        context->files[i] = files[i] ? leat_must_strdup(files[i]) : NULL;
    context->config = *config;
    context->config.certificate = context->files[0];
    context->config.key = context->files[1];
    context->config.client_ca = context->files[2];
    context->offers_h2 = offers_h2;
    context->current = load(context, ret_member, error);
    if (context->current)
        return context;
    http_tls_context_free(context);
    return NULL;
}

void http_tls_context_free(http_tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->current);
    for (int i = 0; i < FILES; i++)
        free(context->files[i]);
    free(context);
}

SSL *http_tls_context_open(http_tls_context *context)
{
    ERR_clear_error();
    return SSL_new(context->current);
}

int http_tls_context_reload(http_tls_context *context, leat_error *error)
{
    const char *member = NULL;
    SSL_CTX *next = load(context, &member, error);
    if (!next)
        return -1;
    carry_keys_over(context->current, next);
    SSL_CTX_free(context->current); /* connections hold references of their own */
    context->current = next;
    return 0;
}

void http_tls_context_sweep(http_tls_context *context, int64_t now_ms)
{
    if (context->keys_ms == 0)
        context->keys_ms = now_ms;
    if (now_ms - context->keys_ms < TICKET_KEYS_MS)
        return;
    context->keys_ms = now_ms;
    replace_keys(context);
}

/* 0: it says so in a way that nobody reads. */
static int64_t end_of(const X509 *certificate)
{
    struct tm utc = {0};
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) == 1 ? timegm(&utc) : 0;
}

/* Clients refuse the chain once one of it has ended. */
static int64_t expires_s(SSL_CTX *ctx)
{
    STACK_OF(X509) *others = NULL;
    int64_t first = end_of(SSL_CTX_get0_certificate(ctx));
    SSL_CTX_get0_chain_certs(ctx, &others);
    for (int i = 0; i < sk_X509_num(others); i++) {
        int64_t end = end_of(sk_X509_value(others, i));
        first = end < first ? end : first;
    }
    return first;
}

int leat_http_tls_check(const leat_http_tls_config *config, int64_t *ret_expires_s,
                        const char **ret_member, leat_error *error)
{
    http_tls_context *context = http_tls_context_new(config, true, ret_member, error);
    if (!context)
        return -1;
    *ret_expires_s = expires_s(context->current);
    http_tls_context_free(context);
    return 0;
}
