/*
 * export.c - the thread that sends spans: it gathers them for a moment, sends them as one request,
 * and tries again what the receiver may take later (429, 502, 503, 504, no connection), with
 * back-off, for a minute. Anything else that it answers is final: other requests would fare no
 * better. Meanwhile the queue fills up, and what does not fit is dropped there.
 *
 * At the end of the process there is a moment in which nothing may take longer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "base/backoff.h"
#include "base/diag.h"
#include "trace/tracer_state.h"

enum {
    GATHER_US = 1000 * 1000,
    TRY_FOR_US = 60 * 1000 * 1000,
    BACKOFF_MIN_US = 1000 * 1000,
    BACKOFF_MAX_US = 15 * 1000 * 1000,
    CONNECT_MS = 5000,
    REQUEST_MS = 10000,
    ANSWER_MAX = 4096,
    REASON_MAX = 200,
    LINKS_MAX = 8192, /* of all spans of a request: then it has less than 4 MiB */
};

typedef enum verdict { TAKEN, AGAIN, FINAL } verdict;

/* ---- waiting ---- */

static void wait_until(leat_tracer *tracer, int64_t until_us)
{
    leat_cond_wait_until(&tracer->changed, &tracer->lock, until_us);
}

/* Under the lock. The process's end cuts it short. */
static void rest(leat_tracer *tracer, int64_t until_us)
{
    while (!tracer->is_ending && leat_mono_us() < until_us)
        wait_until(tracer, until_us);
}

static bool is_over(leat_tracer *tracer)
{
    pthread_mutex_lock(&tracer->lock);
    bool is = tracer->is_ending && leat_mono_us() >= tracer->end_us;
    pthread_mutex_unlock(&tracer->lock);
    return is;
}

static bool is_ending(leat_tracer *tracer)
{
    pthread_mutex_lock(&tracer->lock);
    bool is = tracer->is_ending;
    pthread_mutex_unlock(&tracer->lock);
    return is;
}

static void count(leat_tracer *tracer, leat_counter *counter, uint64_t spans)
{
    pthread_mutex_lock(&tracer->lock);
    leat_count(counter, spans);
    pthread_mutex_unlock(&tracer->lock);
}

/* ---- one request ---- */

static size_t on_answer(char *data, size_t size, size_t times, void *context)
{
    leat_tracer *tracer = context;
    size_t all = size * times, room = ANSWER_MAX - tracer->answer.size;
    leat_buf_append(&tracer->answer, data, all < room ? all : room);
    return all;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return is_over(context);
}

static void prepare(leat_tracer *tracer)
{
    CURL *curl = tracer->curl;
    curl_easy_setopt(curl, CURLOPT_URL, tracer->endpoint);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, tracer->headers);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "leat/" LEAT_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, tracer->problem);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* no wait for a resolver that hangs */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)REQUEST_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, tracer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, tracer);
}

/* The first line of what was answered, as long as a log line can bear. */
static const char *first_line(leat_tracer *tracer, char ret[REASON_MAX])
{
    size_t size = 0;
    while (size < tracer->answer.size && size < REASON_MAX - 1 &&
           tracer->answer.data[size] != '\n' && tracer->answer.data[size] != '\r')
        size++;
    snprintf(ret, REASON_MAX, "%.*s", (int)size, tracer->answer.data ? tracer->answer.data : "");
    return ret;
}

static void report(leat_tracer *tracer, long status, const char *reason)
{
    char cause[32];
    snprintf(cause, sizeof cause, "%ld", status);
    if (leat_rate_limit_allows(&tracer->rate_limit, (uint64_t)leat_mono_us() / 1000, cause))
        leat_warn("spans are not taken by the receiver of traces url=%s code=%ld reason=\"%s\"",
                  tracer->endpoint, status, reason);
}

/* How many spans a receiver has not taken although it answered 200. */
static uint64_t count_rejected(leat_tracer *tracer)
{
    const leat_buf *answer = &tracer->answer;
    yyjson_doc *doc = answer->size > 0 ? yyjson_read(answer->data, answer->size, 0) : NULL;
    yyjson_val *partial = yyjson_obj_get(yyjson_doc_get_root(doc), "partialSuccess");
    yyjson_val *spans = yyjson_obj_get(partial, "rejectedSpans");
    uint64_t ret = yyjson_is_str(spans) ? strtoull(yyjson_get_str(spans), NULL, 10)
                                        : yyjson_get_uint(spans);
    const char *message = yyjson_get_str(yyjson_obj_get(partial, "errorMessage"));
    if (ret > 0 || (message && *message))
        report(tracer, 200, message ? message : "it took some of them only");
    yyjson_doc_free(doc);
    return ret;
}

static verdict judge(leat_tracer *tracer, CURLcode code, int64_t *ret_after_us)
{
    long status = 0;
    curl_off_t after_s = 0;
    char reason[REASON_MAX];
    if (code != CURLE_OK) {
        report(tracer, 0, *tracer->problem ? tracer->problem : curl_easy_strerror(code));
        return AGAIN;
    }
    curl_easy_getinfo(tracer->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(tracer->curl, CURLINFO_RETRY_AFTER, &after_s);
    if (status >= 200 && status < 300)
        return TAKEN;
    report(tracer, status, first_line(tracer, reason));
    *ret_after_us = after_s > 0 && after_s < TRY_FOR_US / 1000000 ? after_s * 1000000 : 0;
    return status == 429 || (status >= 502 && status <= 504) ? AGAIN : FINAL;
}

static verdict post(leat_tracer *tracer, const leat_buf *body, int64_t *ret_after_us)
{
    leat_buf_clear(&tracer->answer);
    tracer->problem[0] = '\0';
    *ret_after_us = 0;
    curl_easy_setopt(tracer->curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(tracer->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
    return judge(tracer, curl_easy_perform(tracer->curl), ret_after_us);
}

/* ---- spans ---- */

static verdict post_until_taken(leat_tracer *tracer, const leat_buf *body)
{
    int64_t until_us = leat_mono_us() + TRY_FOR_US, after_us;
    verdict result;
    for (uint32_t n = 1; (result = post(tracer, body, &after_us)) == AGAIN; n++) {
        int64_t wait_us = leat_backoff(&tracer->jitter, n, BACKOFF_MIN_US, BACKOFF_MAX_US);
        int64_t next_us = leat_mono_us() + (wait_us > after_us ? wait_us : after_us);
        if (next_us > until_us)
            break;
        pthread_mutex_lock(&tracer->lock);
        bool was_ending = tracer->is_ending;
        rest(tracer, next_us);
        pthread_mutex_unlock(&tracer->lock);
        if (was_ending) /* a last attempt has been made */
            break;
    }
    return result;
}

static void send_spans(leat_tracer *tracer, leat_span *const *spans, uint32_t span_count)
{
    const leat_span_source source = {.service = tracer->service,
                                     .version = LEAT_VERSION,
                                     .instance = tracer->instance,
                                     .host = tracer->host};
    leat_buf body = {0};
    leat_spans_write((const leat_span *const *)spans, span_count, &source, &body);
    verdict result = body.failed ? FINAL : post_until_taken(tracer, &body);
    leat_buf_free(&body);
    if (result == TAKEN) {
        uint64_t rejected = count_rejected(tracer);
        rejected = rejected < span_count ? rejected : span_count;
        count(tracer, tracer->exported, span_count - rejected);
        count(tracer, tracer->dropped[LEAT_TRACE_REJECTED], rejected);
        return;
    }
    leat_trace_drop reason = result == FINAL     ? LEAT_TRACE_REFUSED
                             : is_ending(tracer) ? LEAT_TRACE_ENDED
                                                 : LEAT_TRACE_UNREACHABLE;
    count(tracer, tracer->dropped[reason], span_count);
}

/* ---- the thread ---- */

static uint32_t take_spans(leat_tracer *tracer, leat_span *ret[LEAT_TRACE_BATCH])
{
    uint32_t taken = 0, links = 0;
    while (tracer->first && taken < LEAT_TRACE_BATCH &&
           (taken == 0 || links + tracer->first->link_count <= LINKS_MAX)) {
        ret[taken] = tracer->first;
        links += tracer->first->link_count;
        tracer->first = tracer->first->next;
        taken++;
    }
    if (!tracer->first)
        tracer->last = NULL;
    tracer->count -= taken;
    return taken;
}

/* 0: the process ends, and nothing is left. */
static uint32_t await_spans(leat_tracer *tracer, leat_span *ret[LEAT_TRACE_BATCH])
{
    pthread_mutex_lock(&tracer->lock);
    while (tracer->count == 0 && !tracer->is_ending)
        pthread_cond_wait(&tracer->changed, &tracer->lock);
    int64_t until_us = leat_mono_us() + GATHER_US;
    while (tracer->count < LEAT_TRACE_BATCH && !tracer->is_ending && leat_mono_us() < until_us)
        wait_until(tracer, until_us);
    uint32_t taken = take_spans(tracer, ret);
    pthread_mutex_unlock(&tracer->lock);
    return taken;
}

void *leat_trace_export(void *argument)
{
    leat_tracer *tracer = argument;
    leat_span *spans[LEAT_TRACE_BATCH];
    uint32_t taken;
    prepare(tracer);
    while ((taken = await_spans(tracer, spans)) > 0) {
        if (is_over(tracer))
            count(tracer, tracer->dropped[LEAT_TRACE_ENDED], taken);
        else
            send_spans(tracer, spans, taken);
        for (uint32_t i = 0; i < taken; i++)
            leat_span_free(spans[i]);
    }
    return NULL;
}
