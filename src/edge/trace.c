/*
 * trace.c - what is kept of a trace is kept with its request, from the moment that the request is
 * known to be allowed until its answer. So a stranger can force no spans, and tickets stay small. A
 * trace that the caller does not sample, or that was cut, has no spans here, but its headers go
 * into the record all the same: whoever reads it later must not decide anew.
 */
#include "edge/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEMPLATE_MAX = 256,
    LINES_MAX = 8,         /* of tracestate, in one request */
    SAMPLED_ITEMS_MAX = 32 /* of a batch: one request must not force spans without bounds */
};

typedef struct edge_trace {
    bool is_sampled;
    bool has_caller;
    uint8_t caller[8]; /* its span */
    leat_trace_context own;
    leat_trace_context send; /* of records: a span of its own, or where there is none, `own` */
    char traceparent[LEAT_TRACEPARENT_SIZE];
    char unsampled[LEAT_TRACEPARENT_SIZE]; /* the same with the flag off */
    uint32_t given;                        /* records that got one of the two */
    char route[TEMPLATE_MAX];              /* "": none is known */
    int64_t since_us;
    int64_t sent_us;     /* the first append; 0: there was none */
    int64_t answered_us; /* the log's last answer */
    uint32_t sent;       /* records */
    const char *fault;   /* of the last one that was not appended; NULL: none */
    int64_t partition;   /* of the last record; -1: it is not known */
    int64_t offset;
    uint16_t state_size;
    char state[];
} edge_trace;

/* NULL: it has none. */
static edge_trace *trace_of(const leat_edge *edge, const leat_http_request *request)
{
    return edge->config.tracer ? leat_http_request_kept(request, EDGE_SLOT_TRACE) : NULL;
}

/* ---- its beginning ---- */

/* Two callers cannot both be the parent. */
static bool read_caller(const leat_http_request *request, leat_trace_context *ret)
{
    leat_slice line = leat_http_request_header_line(request, "traceparent", 0);
    return line.data && leat_traceparent_read(line, ret) &&
           !leat_http_request_header_line(request, "traceparent", 1).data;
}

static size_t read_state(const leat_http_request *request, char ret[LEAT_TRACESTATE_MAX])
{
    leat_slice lines[LINES_MAX];
    uint32_t count = 0;
    leat_slice line;
    while ((line = leat_http_request_header_line(request, "tracestate", count)).data) {
        if (count == LINES_MAX)
            return 0;
        lines[count++] = line;
    }
    return leat_tracestate_join(lines, count, ret);
}

void edge_trace_begin(leat_edge *edge, leat_http_request *request, int64_t since_us)
{
    leat_tracer *tracer = edge->config.tracer;
    leat_trace_context caller = {.flags = 0}, own;
    char state[LEAT_TRACESTATE_MAX];
    if (!tracer)
        return;
    bool has_caller = read_caller(request, &caller);
    bool is_sampled = leat_tracer_decide(tracer, has_caller ? &caller : NULL, &own);
    if (!is_sampled && !has_caller)
        return;
    size_t state_size = has_caller ? read_state(request, state) : 0;
    edge_trace *trace = malloc(sizeof *trace + state_size);
    if (!trace)
        return;
    *trace = (edge_trace){.is_sampled = is_sampled,
                          .has_caller = has_caller,
                          .own = own,
                          .send = is_sampled ? leat_trace_child(&own) : own,
                          .since_us = since_us,
                          .partition = -1,
                          .state_size = (uint16_t)state_size};
    memcpy(trace->caller, caller.span_id, sizeof trace->caller);
    memcpy(trace->state, state, state_size);
    leat_traceparent_write(&trace->send, trace->traceparent);
    leat_trace_context unsampled = trace->send;
    unsampled.flags &= (uint8_t)~LEAT_TRACE_SAMPLED;
    leat_traceparent_write(&unsampled, trace->unsampled);
    leat_http_request_keep(request, EDGE_SLOT_TRACE, trace);
}

/* "/apps/{app_id}/devices/{device_id}"; one that is too long is cut. */
static void write_template(const leat_route *route, char ret[TEMPLATE_MAX])
{
    size_t used = 0;
    for (uint32_t i = 0; i < route->segment_count && used < TEMPLATE_MAX; i++) {
        const leat_segment *segment = &route->segments[i];
        int size = snprintf(ret + used, TEMPLATE_MAX - used,
                            segment->key_position >= 0 ? "/{%s}" : "/%s", segment->text);
        used += size > 0 ? (size_t)size : 0;
    }
}

void edge_trace_route(leat_edge *edge, const edge_write *write)
{
    edge_trace *trace = write->asker.batch ? NULL : trace_of(edge, write->asker.request);
    if (trace && trace->is_sampled)
        write_template(write->route, trace->route);
}

/* ---- records ---- */

void edge_trace_append(leat_edge *edge, const edge_asker *asker, leat_record *record)
{
    edge_trace *trace = trace_of(edge, asker->request);
    if (!trace)
        return;
    const char *traceparent = trace->given < SAMPLED_ITEMS_MAX ? trace->traceparent
                                                               : trace->unsampled;
    trace->given++;
    record->traceparent = (leat_slice){traceparent, LEAT_TRACEPARENT_SIZE};
    record->tracestate = (leat_slice){trace->state, trace->state_size};
    if (trace->sent_us == 0)
        trace->sent_us = leat_mono_us();
}

void edge_trace_appended(leat_edge *edge, const edge_asker *asker, leat_append_result result,
                         uint32_t partition, int64_t offset, leat_histogram *durable)
{
    static const char *const faults[] = {[LEAT_NOT_APPENDED] = "not_appended",
                                         [LEAT_APPEND_UNKNOWN] = "unknown",
                                         [LEAT_APPEND_TOO_LARGE] = "too_large"};
    edge_trace *trace = trace_of(edge, asker->request);
    if (!trace || !trace->is_sampled)
        return;
    trace->answered_us = leat_mono_us();
    trace->sent++;
    trace->partition = partition;
    trace->offset = offset;
    if (result != LEAT_APPENDED)
        trace->fault = faults[result];
    else if (!asker->batch)
        leat_observe_trace(durable, trace->answered_us - trace->since_us, trace->own.trace_id);
}

/* ---- spans ---- */

static void add_send_span(leat_edge *edge, const edge_trace *trace, bool is_batch, int64_t clock_ns)
{
    const char *topic = edge->config.log.topic;
    leat_span *span = leat_span_new(LEAT_SPAN_PRODUCER, &trace->send, "send", leat_slice_of(topic));
    if (!span)
        return;
    leat_span_parent(span, trace->own.span_id, false);
    leat_span_state(span, (leat_slice){trace->state, trace->state_size});
    leat_span_times(span, clock_ns, trace->sent_us, trace->answered_us);
    leat_span_text(span, "messaging.system",
                   edge->config.log.file ? LEAT_SLICE("leat") : LEAT_SLICE("kafka"));
    leat_span_text(span, "messaging.operation.name", LEAT_SLICE("send"));
    leat_span_text(span, "messaging.operation.type", LEAT_SLICE("send"));
    leat_span_text(span, "messaging.destination.name", leat_slice_of(topic));
    if (is_batch) {
        leat_span_integer(span, "messaging.batch.message_count", trace->sent);
    } else {
        char partition[16];
        int size = snprintf(partition, sizeof partition, "%lld", (long long)trace->partition);
        leat_span_text(span, "messaging.destination.partition.id",
                       (leat_slice){partition, (size_t)size});
        if (trace->offset >= 0)
            leat_span_integer(span, "messaging.kafka.offset", trace->offset);
    }
    if (trace->fault)
        leat_span_fail(span, trace->fault);
    leat_tracer_add(edge->config.tracer, span);
}

static const char *method_name(leat_http_method method)
{
    static const char *const names[] = {
        [LEAT_HTTP_GET] = "GET",         [LEAT_HTTP_HEAD] = "HEAD",     [LEAT_HTTP_PUT] = "PUT",
        [LEAT_HTTP_PATCH] = "PATCH",     [LEAT_HTTP_DELETE] = "DELETE", [LEAT_HTTP_POST] = "POST",
        [LEAT_HTTP_OPTIONS] = "OPTIONS", [LEAT_HTTP_OTHER] = "_OTHER",
    };
    return names[method];
}

/* By the conventions 4xx is the caller's fault, and no error of this span. */
static void put_status(leat_span *span, leat_http_code code)
{
    char text[16];
    if (code == LEAT_HTTP_CODE_COUNT) {
        leat_span_fail(span, "abandoned");
        return;
    }
    int status = leat_http_codes[code].status;
    leat_span_integer(span, "http.response.status_code", status);
    snprintf(text, sizeof text, "%d", status);
    if (status >= 500)
        leat_span_fail(span, text);
}

static void add_accept_span(leat_edge *edge, const edge_trace *trace,
                            const leat_http_request *request, leat_http_code code, int64_t clock_ns)
{
    leat_http_method asked = leat_http_request_method(request);
    const char *method = method_name(asked);
    bool is_known = asked != LEAT_HTTP_OTHER;
    leat_span *span = leat_span_new(LEAT_SPAN_SERVER, &trace->own, is_known ? method : "HTTP",
                                    leat_slice_of(trace->route));
    if (!span)
        return;
    if (trace->has_caller)
        leat_span_parent(span, trace->caller, true);
    leat_span_state(span, (leat_slice){trace->state, trace->state_size});
    leat_span_times(span, clock_ns, trace->since_us, leat_mono_us());
    leat_span_text(span, "http.request.method", leat_slice_of(method));
    leat_span_text(span, "url.scheme",
                   edge->config.http.tls.certificate ? LEAT_SLICE("https") : LEAT_SLICE("http"));
    if (trace->route[0])
        leat_span_text(span, "http.route", leat_slice_of(trace->route));
    put_status(span, code);
    leat_tracer_add(edge->config.tracer, span);
}

void edge_trace_answered(leat_edge *edge, leat_http_request *request, leat_http_code code)
{
    edge_trace *trace = trace_of(edge, request);
    if (!trace)
        return;
    bool is_batch = edge_batch_is_one(request);
    if (is_batch)
        snprintf(trace->route, sizeof trace->route, "/batch");
    if (trace->is_sampled) {
        int64_t clock_ns = leat_trace_clock_ns();
        if (trace->sent > 0)
            add_send_span(edge, trace, is_batch, clock_ns);
        add_accept_span(edge, trace, request, code, clock_ns);
    }
    leat_http_request_keep(request, EDGE_SLOT_TRACE, NULL);
    free(trace);
}
