/* tracer_state.h - the inside of a tracer, for src/trace only. */
#ifndef LEAT_TRACE_TRACER_STATE_H
#define LEAT_TRACE_TRACER_STATE_H

#include <curl/curl.h>

#include "base/rate_limit.h"
#include "base/thread.h"
#include "trace/tracer.h"

enum { LEAT_TRACE_BATCH = 256 /* spans of one request, at most */ };

/* Why spans are dropped. */
typedef enum leat_trace_drop {
    LEAT_TRACE_QUEUE_FULL,
    LEAT_TRACE_UNREACHABLE, /* the receiver did not take them for a minute */
    LEAT_TRACE_REFUSED,     /* it did not take them, and never would */
    LEAT_TRACE_REJECTED,    /* it took the request, but not all of its spans */
    LEAT_TRACE_ENDED,       /* the process ended first */
    LEAT_TRACE_DROP_COUNT
} leat_trace_drop;

struct leat_tracer {
    /* never changed */
    char *endpoint;
    char *service;
    char instance[33]; /* at random */
    char host[64];
    uint64_t threshold; /* a trace is sampled whose random part is this or more */
    uint32_t forced_per_second;
    uint32_t queue_max;
    struct curl_slist *headers;

    pthread_mutex_t lock;   /* of all that follows, and of the counters */
    pthread_cond_t changed; /* on the monotonic clock */
    leat_span *first, *last;
    uint32_t count;
    int64_t second_us; /* when the second of `forced` began */
    uint32_t forced;
    bool is_ending;
    int64_t end_us; /* then: give up by this time */
    leat_counter *exported;
    leat_counter *dropped[LEAT_TRACE_DROP_COUNT];
    leat_counter *cut;

    /* the thread's own */
    pthread_t thread;
    bool is_started;
    CURL *curl;
    char problem[CURL_ERROR_SIZE];
    leat_buf answer; /* the beginning of it */
    leat_prng jitter;
    leat_rate_limit rate_limit;
};

/* export.c: the thread. */
void *leat_trace_export(void *tracer);

#endif
