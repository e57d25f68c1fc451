/*
 * tracer.c - decisions and the queue. Edge and workers give a span away with one short lock; what
 * it costs to encode and to send it is the exporting thread's. All counters are written under the
 * lock, because a counter has one writer at a time.
 */
#include "trace/tracer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "trace/tracer_state.h"

enum { FLUSH_US = 2 * 1000 * 1000, SECOND_US = 1000 * 1000 };

/* The part of a trace's id that is random by the standard, of 56 bits. */
#define RANDOM_BITS 56

/* ---- ids ---- */

/* Each thread has a generator of its own: processes must not agree, and nobody need be surprised.
 */
static uint64_t random_64(void)
{
    static _Thread_local leat_prng prng;
    static _Thread_local bool is_seeded;
    if (!is_seeded) {
        ssize_t size = getrandom(&prng.state, sizeof prng.state, 0);
        LEAT_ASSERT(size == sizeof prng.state);
        is_seeded = true;
    }
    return leat_prng_next(&prng);
}

static void fill_id(uint8_t *ret, size_t size)
{
    LEAT_ASSERT(size % sizeof(uint64_t) == 0);
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t bits = random_64();
        bits = bits ? bits : 1; /* an id of zeros is none */
        memcpy(ret + at, &bits, sizeof bits);
    }
}

leat_trace_context leat_trace_child(const leat_trace_context *parent)
{
    leat_trace_context ret = *parent;
    fill_id(ret.span_id, sizeof ret.span_id);
    return ret;
}

leat_trace_context leat_trace_root(void)
{
    leat_trace_context ret = {.flags = LEAT_TRACE_SAMPLED | LEAT_TRACE_RANDOM};
    fill_id(ret.trace_id, sizeof ret.trace_id);
    fill_id(ret.span_id, sizeof ret.span_id);
    return ret;
}

/* Between the two clocks the thread may have to wait: then they are read again. */
int64_t leat_trace_clock_ns(void)
{
    enum { NEAR_US = 20, TRIES = 4 };
    struct timespec wall;
    int64_t before_us, after_us;
    int tries = 0;
    do {
        before_us = leat_mono_us();
        clock_gettime(CLOCK_REALTIME, &wall);
        after_us = leat_mono_us();
    } while (after_us - before_us > NEAR_US && ++tries < TRIES);
    return (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - after_us * 1000;
}

/* ---- sampling ---- */

static bool is_in_share(const leat_tracer *tracer, const leat_trace_context *context)
{
    uint64_t random = 0;
    for (size_t i = sizeof context->trace_id - RANDOM_BITS / 8; i < sizeof context->trace_id; i++)
        random = random << 8 | context->trace_id[i];
    return random >= tracer->threshold;
}

/* Of a trace that its caller samples. */
static bool follows(leat_tracer *tracer, const leat_trace_context *caller)
{
    int64_t now_us = leat_mono_us();
    bool is_in = is_in_share(tracer, caller);
    pthread_mutex_lock(&tracer->lock);
    if (now_us - tracer->second_us >= SECOND_US) {
        tracer->second_us = now_us;
        tracer->forced = 0;
    }
    bool is_forced = tracer->forced < tracer->forced_per_second;
    tracer->forced += is_forced;
    if (!is_forced && !is_in)
        leat_count(tracer->cut, 1);
    pthread_mutex_unlock(&tracer->lock);
    return is_forced || is_in;
}

bool leat_tracer_decide(leat_tracer *tracer, const leat_trace_context *caller,
                        leat_trace_context *ret)
{
    bool is_sampled;
    if (caller) {
        *ret = *caller;
        is_sampled = leat_trace_is_sampled(caller) && follows(tracer, caller);
    } else {
        *ret = leat_trace_root();
        is_sampled = is_in_share(tracer, ret);
    }
    ret->flags &= (uint8_t)~LEAT_TRACE_SAMPLED;
    if (is_sampled) {
        ret->flags |= LEAT_TRACE_SAMPLED;
        fill_id(ret->span_id, sizeof ret->span_id);
    }
    return is_sampled;
}

/* ---- the queue ---- */

void leat_tracer_add(leat_tracer *tracer, leat_span *span)
{
    leat_span *surplus = span;
    if (!span)
        return;
    pthread_mutex_lock(&tracer->lock);
    if (tracer->count < tracer->queue_max) {
        span->next = NULL;
        if (tracer->last)
            tracer->last->next = span;
        else
            tracer->first = span;
        tracer->last = span;
        surplus = NULL;
        if (++tracer->count == 1 || tracer->count == LEAT_TRACE_BATCH)
            pthread_cond_signal(&tracer->changed);
    } else {
        leat_count(tracer->dropped[LEAT_TRACE_QUEUE_FULL], 1);
    }
    pthread_mutex_unlock(&tracer->lock);
    leat_span_free(surplus);
}

/* ---- its life ---- */

static void register_metrics(leat_tracer *tracer, leat_metrics *metrics)
{
    static const char *const reasons[LEAT_TRACE_DROP_COUNT] = {
        [LEAT_TRACE_QUEUE_FULL] = "queue_full", [LEAT_TRACE_UNREACHABLE] = "unreachable",
        [LEAT_TRACE_REFUSED] = "refused",       [LEAT_TRACE_REJECTED] = "rejected",
        [LEAT_TRACE_ENDED] = "ended",
    };
    tracer->exported = leat_metrics_counter(metrics, "leat_trace_spans_exported_total", NULL);
    tracer->cut = leat_metrics_counter(metrics, "leat_trace_forced_cut_total", NULL);
    for (leat_trace_drop reason = 0; reason < LEAT_TRACE_DROP_COUNT; reason++) {
        char label[32];
        snprintf(label, sizeof label, "reason=\"%s\"", reasons[reason]);
        tracer->dropped[reason] =
            leat_metrics_counter(metrics, "leat_trace_spans_dropped_total", label);
    }
}

static void name_instance(leat_tracer *tracer)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t id[16];
    fill_id(id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++) {
        tracer->instance[2 * i] = digits[id[i] >> 4];
        tracer->instance[2 * i + 1] = digits[id[i] & 15];
    }
    if (gethostname(tracer->host, sizeof tracer->host - 1) != 0)
        tracer->host[0] = '\0';
}

static int add_header(leat_tracer *tracer, const char *name, const char *value, leat_error *error)
{
    leat_buf line = {0};
    leat_buf_printf(&line, "%s:%s%s", name, *value ? " " : "", value);
    struct curl_slist *longer =
        line.failed ? NULL : curl_slist_append(tracer->headers, leat_buf_cstr(&line));
    leat_buf_free(&line);
    if (!longer)
        return leat_fail(error, "out of memory");
    tracer->headers = longer;
    return 0;
}

static int add_headers(leat_tracer *tracer, const leat_tracer_config *config, leat_error *error)
{
    if (add_header(tracer, "Content-Type", "application/json", error) != 0 ||
        add_header(tracer, "Expect", "", error) != 0)
        return -1;
    for (uint32_t i = 0; i < config->header_count; i++)
        if (add_header(tracer, config->headers[i].name, config->headers[i].value, error) != 0)
            return -1;
    return 0;
}

/* A share of 1 is all of them, one of 0 none. */
static uint64_t threshold_of(double share)
{
    LEAT_ASSERT(share >= 0 && share <= 1);
    return (uint64_t)((1 - share) * (double)(UINT64_C(1) << RANDOM_BITS));
}

leat_tracer *leat_tracer_new(const leat_tracer_config *config, leat_error *error)
{
    LEAT_ASSERT(config->endpoint && config->service && config->queue > 0);
    leat_tracer *tracer = leat_must_calloc(1, sizeof *tracer);
    tracer->endpoint = leat_must_strdup(config->endpoint);
    tracer->service = leat_must_strdup(config->service);
    tracer->threshold = threshold_of(config->sample);
    tracer->forced_per_second = config->forced_per_second;
    tracer->queue_max = config->queue;
    tracer->jitter.state = random_64();
    name_instance(tracer);
    leat_cond_init(&tracer->changed);
    pthread_mutex_init(&tracer->lock, NULL);
    register_metrics(tracer, config->metrics);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        leat_fail(error, "libcurl cannot be used");
    } else {
        tracer->curl = curl_easy_init();
        if (tracer->curl && add_headers(tracer, config, error) == 0)
            return tracer;
        if (!tracer->curl)
            leat_fail(error, "out of memory");
    }
    leat_tracer_free(tracer);
    return NULL;
}

int leat_tracer_start(leat_tracer *tracer, leat_error *error)
{
    LEAT_ASSERT(!tracer->is_started);
    if (pthread_create(&tracer->thread, NULL, leat_trace_export, tracer) != 0)
        return leat_fail(error, "cannot start the thread that exports spans");
    tracer->is_started = true;
    return 0;
}

static void end_thread(leat_tracer *tracer)
{
    pthread_mutex_lock(&tracer->lock);
    tracer->is_ending = true;
    tracer->end_us = leat_mono_us() + FLUSH_US;
    pthread_cond_signal(&tracer->changed);
    pthread_mutex_unlock(&tracer->lock);
    pthread_join(tracer->thread, NULL);
}

void leat_tracer_free(leat_tracer *tracer)
{
    if (!tracer)
        return;
    if (tracer->is_started)
        end_thread(tracer);
    while (tracer->first) {
        leat_span *next = tracer->first->next;
        leat_span_free(tracer->first);
        tracer->first = next;
    }
    curl_easy_cleanup(tracer->curl);
    curl_slist_free_all(tracer->headers);
    pthread_cond_destroy(&tracer->changed);
    pthread_mutex_destroy(&tracer->lock);
    leat_buf_free(&tracer->answer);
    free(tracer->endpoint);
    free(tracer->service);
    free(tracer);
}
