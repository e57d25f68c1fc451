/*
 * tls.h - TLS, for the files of the HTTP server only: tls_context.c has the certificates, tls.c one
 * connection. Loop's thread.
 */
#ifndef LEAT_HTTP_TLS_H
#define LEAT_HTTP_TLS_H

#include <openssl/ssl.h>

#include "http/internal.h"

/* NULL: a file is bad; `*ret_member` is then the member of the config that names it. */
http_tls_context *http_tls_context_new(const leat_http_tls_config *config, bool offers_h2,
                                       const char **ret_member, leat_error *error);
void http_tls_context_free(http_tls_context *context);
/* One connection's; NULL: out of memory. */
SSL *http_tls_context_open(http_tls_context *context);
/* Reads the files again. -1: one is bad, and nothing has changed. */
int http_tls_context_reload(http_tls_context *context, leat_error *error) LEAT_MUST_CHECK;
/* Called now and then: replaces ticket keys that are old. `now_ms`: of any clock that does not go
 * back. */
void http_tls_context_sweep(http_tls_context *context, int64_t now_ms);

#endif
