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

/* ---- headers ---- */

/* Of a field's name, by RFC 9110. */
static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* Why a batch cannot have this header from outside; NULL: it can. */
static const char *own_header_fault(leat_slice name)
{
    static const struct {
        const char *name, *fault;
    } own[] = {
        {"authorization", "--token gives it"},
        {"idempotency-key", "each item has its own: --idempotency gives them"},
        {"content-type", "leat send says how a batch travels"},
        {"content-length", "leat send says how a batch travels"},
        {"content-encoding", "leat send says how a batch travels"},
        {"transfer-encoding", "leat send says how a batch travels"},
        {"connection", "leat send says how a batch travels"},
        {"expect", "leat send says how a batch travels"},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (leat_slice_is_nocase(name, own[i].name))
            return own[i].fault;
    return NULL;
}

/* libcurl takes a header without a value as a wish to leave it out. */
int leat_send_target_check_header(const char *text, leat_error *error)
{
    leat_slice name = {text, 0};
    while (is_token_char(text[name.size]))
        name.size++;
    if (name.size == 0 || text[name.size] != ':')
        return leat_fail(error, "NAME: VALUE is expected, not %s", text);
    const char *value = text + name.size + 1;
    if (value[strspn(value, " \t")] == '\0')
        return leat_fail(error, "it has no value: %s", text);
    for (const char *at = value; *at; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return leat_fail(error, "the value of %.*s has a control character", (int)name.size,
                             name.data);
    const char *fault = own_header_fault(name);
    return fault ? leat_fail(error, "%.*s: %s", (int)name.size, name.data, fault) : 0;
}

/* ---- its life ---- */

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
    for (uint32_t i = 0; i < target->header_count; i++)
        target->headers = curl_slist_append(target->headers, target->header[i]);
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
