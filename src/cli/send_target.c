/*
 * send_target.c - each batch has a connection of its own: on one that is used again, libcurl sends
 * a request a second time by itself when the connection turns out to be dead, and nobody could tell
 * that from a write applied twice. A batch is large enough for that to cost nothing.
 */
#include "cli/send_target.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { CONNECT_TIMEOUT_S = 10, SILENCE_S = 60 };

void leat_send_target_init(leat_send_target *target)
{
    leat_buf text = {0};
    size_t size = strlen(target->url);
    while (size > 0 && target->url[size - 1] == '/')
        size--;
    leat_buf_printf(&text, "%.*s/batch", (int)size, target->url);
    target->batch_url = leat_must_strdup(leat_buf_cstr(&text));
    target->headers = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    target->headers = curl_slist_append(target->headers, "Expect:");
    if (target->token) {
        leat_buf_clear(&text);
        leat_buf_printf(&text, "Authorization: Bearer %s", target->token);
        target->headers = curl_slist_append(target->headers, leat_buf_cstr(&text));
    }
    leat_buf_free(&text);
}

void leat_send_target_fini(leat_send_target *target)
{
    curl_slist_free_all(target->headers);
    free(target->batch_url);
}

CURL *leat_send_target_handle(const leat_send_target *target, char *problem)
{
    CURL *curl = curl_easy_init();
    LEAT_ASSERT(curl);
    curl_easy_setopt(curl, CURLOPT_URL, target->batch_url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, target->headers);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "leat/" LEAT_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    if (target->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, target->ca);
    if (target->cert) /* and what is in it is the key, too */
        curl_easy_setopt(curl, CURLOPT_SSLCERT, target->cert);
    return curl;
}

bool leat_send_target_is_hopeless(const leat_send_target *target, CURLcode code,
                                  const char *problem, bool has_answered, leat_error *ret)
{
    const char *remedy = "";
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        remedy =
            ": --url needs a name that the certificate has, and if its authority is not one of "
            "this machine's, --ca FILE is needed";
    else if (code == CURLE_SSL_CONNECT_ERROR && has_answered) /* it restarts */
        return false;
    else if (code == CURLE_COULDNT_RESOLVE_HOST && !has_answered)
        remedy = ": is the host of --url right?";
    else if (code != CURLE_SSL_CONNECT_ERROR && code != CURLE_SSL_CACERT_BADFILE &&
             code != CURLE_SSL_CERTPROBLEM && code != CURLE_UNSUPPORTED_PROTOCOL &&
             code != CURLE_URL_MALFORMAT)
        return false;
    leat_fail(ret, "%s: %s%s%s%s", target->batch_url, curl_easy_strerror(code),
              *problem ? ": " : "", problem, remedy);
    return true;
}
