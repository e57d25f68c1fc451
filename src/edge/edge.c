/*
 * edge.c - what a request is, a question about health or a write, and the edge's life.
 */
#include "edge/waiting.h"

#include <stdlib.h>

#include "base/states.h"
#include "edge/trace.h"

enum {
    TICK_MS = 250,
    FREE_TIMEOUT_MS = 1000, /* for records that still wait for the log after their clients went away
                             */
};

/* ---- health ---- */

static bool asks(const leat_http_request *request)
{
    leat_http_method method = leat_http_request_method(request);
    return method == LEAT_HTTP_GET || method == LEAT_HTTP_HEAD || method == LEAT_HTTP_OPTIONS;
}

/* Load balancers ask for "OPTIONS /" (HAProxy) or "GET /" unless configured otherwise; no route has
 * that path. */
static bool is_about_health(const leat_http_request *request)
{
    leat_slice path = leat_http_request_path(request);
    return leat_slice_is(path, "/healthz") || leat_slice_is(path, "/readyz") ||
           (asks(request) && (leat_slice_is(path, "/") || leat_slice_is(path, "*")));
}

static void answer_health(leat_edge *edge, leat_http_request *request)
{
    leat_health health = {0};
    if (!asks(request)) {
        edge_answer_method(edge, request, EDGE_HEALTH_METHODS);
        return;
    }
    if (!leat_slice_is(leat_http_request_path(request), "/healthz"))
        edge_health_check(edge, &health);
    edge_answer_health(edge, request, &health);
    leat_health_free(&health);
}

/* ---- one request ---- */

static void on_request(void *context, leat_http_request *request)
{
    leat_edge *edge = context;
    LEAT_ASSERT(edge->state != EDGE_FREED);
    if (edge_docs_is_asked(edge, request)) {
        edge_docs_answer(edge, request);
        return;
    }
    if (is_about_health(request)) {
        answer_health(edge, request);
        return;
    }
    if (!edge_auth_check(edge, request))
        return;
    if (edge_waiting_ask(edge, request))
        return;
    edge_trace_begin(edge, request, leat_http_request_arrived_us(request));
    edge_write write = {
        .asker.request = request,
        .method = leat_http_request_method(request),
        .path = leat_http_request_path(request),
        .query = leat_http_request_query(request),
        .body = leat_http_request_body(request),
        .idempotency = leat_http_request_header_line(request, "idempotency-key", 0),
        .arrived_us = leat_http_request_arrived_us(request),
    };
    edge_write_take(edge, &write);
}

static leat_http_body_mode on_headers(void *context, leat_http_request *request)
{
    leat_edge *edge = context;
    if (is_about_health(request) || edge_docs_is_asked(edge, request))
        return LEAT_HTTP_BODY_WHOLE;
    if (!edge_auth_check(edge, request)) /* before its body is read */
        return LEAT_HTTP_BODY_ANSWERED;
    return edge_batch_is_one(request) ? edge_batch_begin(edge, request) : LEAT_HTTP_BODY_WHOLE;
}

static void on_gone(void *context, leat_http_request *request)
{
    if (!edge_waiting_gone(context, request))
        edge_batch_gone(context, request);
}

/* Writes of clients that went away still wait for their answers. */
static bool is_owing(const leat_edge *edge)
{
    return edge->in_flight > 0 || edge->direct.count > 0;
}

/* Never from inside a callback of the log: the owner may free the edge. */
void edge_drain_soon(leat_edge *edge)
{
    if (edge->state == EDGE_ANSWERING && !is_owing(edge))
        uv_timer_start(&edge->tick, edge->tick.timer_cb, 0, TICK_MS);
}

/* ---- the edge's life ---- */

static const unsigned may_follow[] = {
    [EDGE_OPEN] = LEAT_TO(EDGE_LEAVING) | LEAT_TO(EDGE_DRAINING) | LEAT_TO(EDGE_FREED),
    [EDGE_LEAVING] = LEAT_TO(EDGE_DRAINING) | LEAT_TO(EDGE_FREED),
    [EDGE_DRAINING] = LEAT_TO(EDGE_ANSWERING) | LEAT_TO(EDGE_FREED),
    [EDGE_ANSWERING] = LEAT_TO(EDGE_DRAINED) | LEAT_TO(EDGE_FREED),
    [EDGE_DRAINED] = LEAT_TO(EDGE_FREED),
    [EDGE_FREED] = 0,
};

static void enter(leat_edge *edge, edge_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, edge->state, state));
    edge->state = state;
}

static void report_failed(leat_edge *edge)
{
    const char *why = leat_log_writer_failed(edge->writer);
    if (!why || edge->is_failure_reported || !edge_way_needs(edge).log)
        return;
    edge->is_failure_reported = true;
    if (edge->config.on_failed)
        edge->config.on_failed(edge->config.failed_context, why);
}

static void on_tick(uv_timer_t *timer)
{
    leat_edge *edge = timer->data;
    LEAT_ASSERT(edge->state != EDGE_FREED);
    edge_metrics_show(edge);
    edge_admission_report(edge);
    report_failed(edge);
    if (edge->state != EDGE_ANSWERING || is_owing(edge))
        return;
    enter(edge, EDGE_DRAINED);
    if (edge->on_drained)
        edge->on_drained(edge->drained_context);
}

static void on_http_drained(void *context)
{
    leat_edge *edge = context;
    enter(edge, EDGE_ANSWERING);
    edge_drain_soon(edge);
}

static void free_edge(leat_edge *edge)
{
    LEAT_ASSERT(edge->in_flight == 0);
    edge_admission_fini(edge);
    edge_auth_fini(edge);
    edge_docs_fini(edge);
    leat_buf_free(&edge->text);
    leat_buf_free(&edge->accepted_head);
    edge_writes_fini(edge);
    free(edge);
}

leat_edge *leat_edge_new(uv_loop_t *loop, const leat_edge_config *config, leat_error *error)
{
    LEAT_ASSERT(config->layout->partition_count > 0);
    LEAT_ASSERT(config->in_flight_max > 0 && config->ready_age_ms > 0);
    LEAT_ASSERT(config->batches_max > 0 && config->idempotency_ms > 0);
    leat_edge *edge = leat_must_calloc(1, sizeof *edge);
    edge->config = *config;
    edge->partition_count = config->layout->partition_count;
    edge_writes_init(edge);
    edge->begun_us = leat_mono_us();
    edge_admission_init(edge);
    edge_auth_init(edge);
    leat_http_config http = config->http;
    http.hooks = (leat_http_hooks){
        .on_headers = on_headers,
        .on_body = edge_batch_bytes,
        .on_room = edge_batch_room,
        .on_gone = on_gone,
    };
    size_t window = edge_batch_window(&http);
    http.stream_window = http.stream_window > window ? http.stream_window : window;
    edge->http = leat_http_listen(loop, &http, on_request, edge, error);
    if (!edge->http) {
        free_edge(edge);
        return NULL;
    }
    edge->writer =
        leat_log_writer_new(loop, &config->log, config->identity, edge_on_appended, edge, error);
    if (!edge->writer || edge_direct_init(edge, loop, error) != 0) {
        if (edge->writer)
            leat_log_writer_free(edge->writer, 0);
        leat_http_close(edge->http);
        free_edge(edge);
        return NULL;
    }
    edge_waiting_init(edge, loop);
    edge_answer_prepare(edge);
    edge_metrics_register(&edge->metrics, config,
                          &leat_schema_versions_newest(config->schema_versions, 0)->routes);
    uv_timer_init(loop, &edge->tick);
    edge->tick.data = edge;
    uv_timer_start(&edge->tick, on_tick, TICK_MS, TICK_MS);
    return edge;
}

int leat_edge_port(const leat_edge *edge)
{
    return leat_http_port(edge->http);
}

void leat_edge_reload(leat_edge *edge)
{
    LEAT_ASSERT(edge->state != EDGE_FREED);
    leat_http_reload(edge->http);
}

void leat_edge_leave(leat_edge *edge)
{
    if (edge->state != EDGE_OPEN)
        return;
    enter(edge, EDGE_LEAVING);
    leat_http_leave(edge->http);
}

void leat_edge_drain(leat_edge *edge, void (*on_drained)(void *context), void *context)
{
    if (!edge_takes_long_ones(edge))
        return;
    enter(edge, EDGE_DRAINING);
    edge->on_drained = on_drained;
    edge->drained_context = context;
    edge_batches_drain(edge);
    leat_http_drain(edge->http, on_http_drained);
    edge_waiting_hurry(edge);
}

static void on_tick_closed(uv_handle_t *handle)
{
    edge_waiting_close(handle->data, free_edge);
}

void leat_edge_free(leat_edge *edge)
{
    if (!edge)
        return;
    enter(edge, EDGE_FREED);
    edge_metrics_show(edge);
    leat_gauge_set(edge->metrics.connections, 0);
    leat_http_close(edge->http);
    leat_log_writer_free(edge->writer, FREE_TIMEOUT_MS);
    LEAT_ASSERT(edge->in_flight == 0 && edge->shares.used == 0);
    edge_direct_free(edge);
    edge_waiting_answer_all(edge);
    uv_close((uv_handle_t *)&edge->tick, on_tick_closed);
}
