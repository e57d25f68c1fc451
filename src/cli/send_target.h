/*
 * send_target.h - the edge of `leat send`, as libcurl reaches it: handles for its batches, and
 * which failures of one no other attempt can mend. libcurl must be initialized.
 */
#ifndef LEAT_CLI_SEND_TARGET_H
#define LEAT_CLI_SEND_TARGET_H

#include <curl/curl.h>

#include "base/base.h"

typedef struct leat_send_target {
    const char *url;           /* of the edge: "http://127.0.0.1:8080" */
    const char *token;         /* NULL: none */
    const char *ca;            /* a file of authorities, for https; NULL: the system's */
    const char *cert;          /* a file: our certificate and its key, for https; NULL: none */
    const char *const *header; /* "NAME: VALUE", each of which has been checked; borrowed */
    uint32_t header_count;
    /* the target's own */
    char *batch_url;
    struct curl_slist *headers;
} leat_send_target;

/* Is it "NAME: VALUE", with a value, and none of the headers that a batch has of its own? 0, or -1
 * with a message. */
int leat_send_target_check_header(const char *text, leat_error *error) LEAT_MUST_CHECK;
void leat_send_target_init(leat_send_target *target);
void leat_send_target_fini(leat_send_target *target);
/* A handle that posts batches, the caller's. `problem`, of CURL_ERROR_SIZE, gets what is wrong with
 * a transfer. */
CURL *leat_send_target_handle(const leat_send_target *target, char *problem);
/* Whether a transfer that failed makes all others hopeless, with a message in `ret`.
 * `has_answered`: something has spoken HTTP there. */
bool leat_send_target_is_hopeless(const leat_send_target *target, CURLcode code,
                                  const char *problem, bool has_answered, leat_error *ret);

#endif
