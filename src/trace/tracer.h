/*
 * tracer.h - the spans of a process on their way out: which traces are sampled, a bounded queue
 * that any thread adds finished spans to without waiting, and a thread that sends them to a
 * receiver of OTLP over HTTP (an OpenTelemetry Collector, Jaeger, Tempo). Spans are worth less than
 * writes: where the queue is full or the receiver does not take them, they are dropped and counted.
 *
 * Every function that takes a tracer may be called by any thread, unless it says otherwise.
 */
#ifndef LEAT_TRACE_TRACER_H
#define LEAT_TRACE_TRACER_H

#include "ops/metrics.h"
#include "trace/span.h"

typedef struct leat_tracer leat_tracer;

/* A header of every request to the receiver; may be a secret. */
typedef struct leat_tracer_header {
    const char *name;
    const char *value;
} leat_tracer_header;

/* All of it is copied. */
typedef struct leat_tracer_config {
    const char *endpoint; /* "http://host:4318/v1/traces" */
    const char *service;  /* service.name */
    double sample;        /* the share of traces, 0 to 1 */
    uint32_t forced_per_second;
    uint32_t queue; /* spans; above 0 */
    const leat_tracer_header *headers;
    uint32_t header_count;
    leat_metrics *metrics; /* outlives the tracer */
} leat_tracer_config;

/* Main thread, before others start. */
leat_tracer *leat_tracer_new(const leat_tracer_config *config, leat_error *error);
int leat_tracer_start(leat_tracer *tracer, leat_error *error) LEAT_MUST_CHECK;
/* Sends what is queued, for two seconds at most, and drops the rest. Nobody adds spans any longer.
 * NULL: nothing happens. */
void leat_tracer_free(leat_tracer *tracer);

/*
 * The trace of a request, decided once: what follows goes by the flags of `ret`. `caller`: the
 * valid context that came with it, whose trace goes on, or NULL: a new trace begins. A caller that
 * samples is followed up to forced_per_second times a second; beyond, and for new traces, the
 * share decides by the trace's id. A caller that does not sample is followed always. True: it is
 * sampled, and the span in `ret` is a new one; else it is the caller's.
 */
bool leat_tracer_decide(leat_tracer *tracer, const leat_trace_context *caller,
                        leat_trace_context *ret);
/* A span of its own, in the same trace. */
leat_trace_context leat_trace_child(const leat_trace_context *parent);
/* A new trace that is sampled. */
leat_trace_context leat_trace_root(void);

/* Takes the span, NULL too. */
void leat_tracer_add(leat_tracer *tracer, leat_span *span);

/* What is to be added to a time of leat_mono_us, in nanoseconds, for that of the wall clock, as
 * they are now. All times of a request, or of a batch, take the same. */
int64_t leat_trace_clock_ns(void);
static inline void leat_span_times(leat_span *span, int64_t clock_ns, int64_t from_us,
                                   int64_t to_us)
{
    span->start_ns = from_us * 1000 + clock_ns;
    span->end_ns = to_us * 1000 + clock_ns;
}

#endif
