#include "edge/internal.h"

#include <stdlib.h>

enum {
    TICK_MS = 250,
    AWAY_AFTER_US = 1000 * 1000,
    IN_FLIGHT_DEFAULT = 20000,
    READY_AGE_DEFAULT_MS = 5000,
    FREE_TIMEOUT_MS = 1000, /* what still waits for the log gets this long; its clients have gone */
};

/* ---- health ---- */

/* What load balancers ask when they are not told otherwise: "OPTIONS /" (HAProxy), "GET /". No
 * route has that path. True: it was a health path and is answered. */
static bool answer_health(leat_edge *edge, leat_http_request *request, leat_slice path)
{
    leat_http_method method = leat_http_request_method(request);
    bool asks = method == LEAT_HTTP_GET || method == LEAT_HTTP_HEAD || method == LEAT_HTTP_OPTIONS;
    bool is_alive = leat_slice_is(path, "/healthz");
    bool is_default = asks && (leat_slice_is(path, "/") || leat_slice_is(path, "*"));
    if (!is_alive && !is_default && !leat_slice_is(path, "/readyz"))
        return false;
    if (!asks) {
        edge_answer_method(edge, request, EDGE_HEALTH_METHODS);
        return true;
    }
    leat_health health = {0};
    if (!is_alive)
        edge_health_check(edge, &health);
    edge_answer_health(edge, request, &health);
    leat_health_free(&health);
    return true;
}

/* ---- one request ---- */

static bool method_to_op(leat_http_method method, leat_route_op *ret_op)
{
    static const struct {
        leat_http_method method;
        leat_route_op op;
    } table[] = {
        {LEAT_HTTP_PUT, LEAT_PUT}, {LEAT_HTTP_PATCH, LEAT_PATCH}, {LEAT_HTTP_DELETE, LEAT_DELETE}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].method == method) {
            *ret_op = table[i].op;
            return true;
        }
    }
    return false;
}

/* "Application/JSON; charset=utf-8" without its parameters. */
static leat_slice media_type(leat_slice value)
{
    size_t size = 0;
    while (size < value.size && value.data[size] != ';')
        size++;
    while (size > 0 && (value.data[size - 1] == ' ' || value.data[size - 1] == '\t'))
        size--;
    return (leat_slice){value.data, size};
}

/* NULL: the body is said to be JSON as it is; else why not. */
static const char *content_fault(const leat_http_request *request, leat_route_op op)
{
    leat_slice coding = leat_http_request_header(request, "content-encoding");
    if (coding.size > 0 && !leat_slice_is_nocase(coding, "identity"))
        return "the body must come without a Content-Encoding";
    leat_slice type = media_type(leat_http_request_header(request, "content-type"));
    if (op == LEAT_DELETE || type.size == 0 || leat_slice_is_nocase(type, "application/json"))
        return NULL;
    if (op == LEAT_PATCH && leat_slice_is_nocase(type, "application/merge-patch+json"))
        return NULL;
    return op == LEAT_PATCH
               ? "Content-Type must be application/json or application/merge-patch+json"
               : "Content-Type must be application/json";
}

/* The same route as the shard knows it that the write is for: tables are altered shard by shard. */
static const leat_route *route_in_shard(const leat_edge *edge, const leat_route *route)
{
    uint32_t shard = leat_layout_shard_of_key(edge->config.layout, route, &edge->key);
    return &leat_schema_versions_newest(edge->config.schema_versions, shard)
                ->routes.routes[route->index];
}

/* Answers and returns false when the body is not one this operation takes. */
static bool check_body(leat_edge *edge, leat_http_request *request, const leat_route *route,
                       leat_route_op op)
{
    const char *fault = content_fault(request, op);
    if (fault) {
        edge_answer_error(edge, request, LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE, NULL, fault);
        return false;
    }
    leat_slice json = leat_http_request_body(request);
    if (op == LEAT_DELETE) {
        if (json.size > 0)
            edge_answer_error(edge, request, LEAT_HTTP_BAD_REQUEST, NULL, "DELETE takes no body");
        return json.size == 0;
    }
    if (json.size == 0) { /* a client that lost its body must not reset a row */
        edge_answer_error(edge, request, LEAT_HTTP_BAD_JSON, NULL,
                          "a JSON object is needed; {} names no column");
        return false;
    }
    leat_body_error error = {0};
    leat_body_parser_reset(edge->parser);
    const leat_route *there = route_in_shard(edge, route);
    leat_body_fault found =
        leat_body_parse(edge->parser, there, op, json, edge->key.values, &edge->body, &error);
    static const leat_http_code answers[] = {[LEAT_BODY_SYNTAX] = LEAT_HTTP_BAD_JSON,
                                             [LEAT_BODY_REFUSED] = LEAT_HTTP_INVALID,
                                             [LEAT_BODY_MEMORY] = LEAT_HTTP_OVERLOADED};
    if (found == LEAT_BODY_REFUSED)
        leat_schema_versions_request_read(edge->config.schema_versions); /* the client may know of a
                                                                            column that we do not
                                                                            know yet */
    if (found != LEAT_BODY_OK)
        edge_answer_error(edge, request, answers[found], error.field, error.message);
    return found == LEAT_BODY_OK;
}

static void append(leat_edge *edge, leat_http_request *request, const leat_route *route,
                   leat_route_op op, uint32_t partition)
{
    leat_record record = {
        .partition = partition,
        .offset = -1,
        .accepted_ms = leat_wall_ms(),
        .key = {edge->key.canonical, edge->key.canonical_size},
        .value = leat_http_request_body(request),
        .route = leat_schema_versions_newest(edge->config.schema_versions, 0)->routes.count > 1
                     ? leat_slice_of(route->name)
                     : (leat_slice){"", 0},
        .op = op == LEAT_PUT ? (leat_slice){"", 0} : leat_slice_of(leat_route_op_name(op)),
    };
    leat_error error = {0};
    if (!leat_shares_take(&edge->shares, &edge->in_flight_of[partition], 1)) {
        edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL,
                          "too many writes of this partition wait for the log");
        return;
    }
    int result = leat_log_append(edge->writer, &record, request, &error);
    if (result != 0)
        leat_shares_give(&edge->shares, &edge->in_flight_of[partition], 1);
    if (result < 0) {
        edge_answer_error(edge, request, LEAT_HTTP_TOO_LARGE, NULL, error.text);
    } else if (result > 0) {
        const char *trouble = leat_log_writer_trouble(edge->writer);
        edge_answer_error(edge, request, trouble ? LEAT_HTTP_UNAVAILABLE : LEAT_HTTP_OVERLOADED,
                          NULL, trouble ? trouble : error.text);
    } else {
        edge->in_flight++;
        leat_gauge_set(edge->metrics.in_flight, edge->in_flight);
        leat_http_request_drop_body(request);
    }
}

/* Somebody has waited long enough to know: the next need not wait for the same answer. NULL: it is
 * not. */
static const char *why_log_is_away(const leat_edge *edge, uint32_t partition)
{
    const char *trouble = leat_log_writer_partition_trouble(edge->writer, partition);
    if (trouble || edge->in_flight_of[partition] == 0)
        return trouble;
    bool has_waited = leat_log_writer_oldest_us(edge->writer, partition, leat_mono_us()) >
                      AWAY_AFTER_US;
    return has_waited ? leat_log_writer_trouble(edge->writer) : NULL;
}

static void on_request(void *context, leat_http_request *request)
{
    leat_edge *edge = context;
    leat_slice path = leat_http_request_path(request);
    if (answer_health(edge, request, path))
        return;
    const leat_routes *routes =
        &leat_schema_versions_newest(edge->config.schema_versions, 0)->routes;
    const leat_route *route = NULL;
    char field[LEAT_NAME_MAX + 1] = "";
    leat_error error = {0};
    leat_match match = leat_routes_match(routes, path, &route, &edge->key, field, &error);
    leat_route_op op = LEAT_PUT;
    const char *away = NULL;
    uint32_t partition = match == LEAT_MATCH_OK
                             ? leat_layout_partition_of_key(edge->config.layout, route, &edge->key)
                             : 0;
    if (match == LEAT_MATCH_NO_ROUTE) {
        edge_answer_error(edge, request, LEAT_HTTP_NO_ROUTE, NULL, "no route has this path");
    } else if (!method_to_op(leat_http_request_method(request), &op)) {
        edge_answer_method(edge, request, "DELETE, PATCH, PUT");
    } else if (match == LEAT_MATCH_BAD_KEY) {
        edge_answer_error(edge, request, LEAT_HTTP_INVALID, field, error.text);
    } else if (edge->in_flight >= edge->config.in_flight_max) {
        edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL,
                          "too many writes wait for the log");
    } else if ((away = why_log_is_away(edge, partition))) {
        edge_answer_error(edge, request, LEAT_HTTP_UNAVAILABLE, NULL, away);
    } else if (check_body(edge, request, route, op)) {
        append(edge, request, route, op, partition);
    }
}

/* ---- the log's answers ---- */

static void maybe_drained(leat_edge *edge)
{
    if (edge->http_drained && edge->in_flight == 0 && !edge->said_drained && !edge->freeing)
        uv_timer_start(&edge->tick, edge->tick.timer_cb, 0, TICK_MS); /* never said from inside a
                                                                         callback of the log */
}

static void on_appended(void *context, void *tag, leat_append_result result, uint32_t partition,
                        int64_t offset, const char *why)
{
    leat_edge *edge = context;
    leat_http_request *request = tag;
    LEAT_ASSERT(edge->in_flight > 0);
    edge->in_flight--;
    leat_shares_give(&edge->shares, &edge->in_flight_of[partition], 1);
    leat_gauge_set(edge->metrics.in_flight, edge->in_flight);
    if (result == LEAT_APPENDED) {
        edge->taken_us = leat_mono_us();
        leat_observe_us(edge->metrics.durable,
                        edge->taken_us - leat_http_request_arrived_us(request));
        edge_answer_accepted(edge, request, partition, offset);
    } else {
        static const leat_http_code answers[] = {
            [LEAT_NOT_APPENDED] = LEAT_HTTP_UNAVAILABLE,
            [LEAT_APPEND_UNKNOWN] = LEAT_HTTP_UNKNOWN,
            [LEAT_APPEND_TOO_LARGE] = LEAT_HTTP_TOO_LARGE,
        };
        edge_answer_error(edge, request, answers[result], NULL,
                          why ? why : "the log gave no reason");
    }
    maybe_drained(edge);
}

/* ---- the edge's life ---- */

static void say_failed(leat_edge *edge)
{
    const char *why = leat_log_writer_failed(edge->writer);
    if (!why || edge->said_failed)
        return;
    edge->said_failed = true;
    if (edge->config.on_failed)
        edge->config.on_failed(edge->config.failed_context, why);
}

static void on_tick(uv_timer_t *timer)
{
    leat_edge *edge = timer->data;
    edge_metrics_show(edge);
    say_failed(edge);
    if (!edge->http_drained || edge->in_flight > 0 || edge->said_drained)
        return;
    edge->said_drained = true;
    if (edge->on_drained)
        edge->on_drained(edge->drained_context);
}

static void on_http_drained(void *context)
{
    leat_edge *edge = context;
    edge->http_drained = true;
    maybe_drained(edge);
}

static void forget(leat_edge *edge)
{
    leat_body_parser_free(edge->parser);
    leat_buf_free(&edge->text);
    leat_buf_free(&edge->accepted_head);
    free(edge->in_flight_of);
    free(edge);
}

leat_edge *leat_edge_new(uv_loop_t *loop, const leat_edge_config *config, leat_error *error)
{
    leat_edge *edge = leat_must_calloc(1, sizeof *edge);
    edge->config = *config;
    if (edge->config.in_flight_max == 0)
        edge->config.in_flight_max = IN_FLIGHT_DEFAULT;
    if (edge->config.ready_age_ms <= 0)
        edge->config.ready_age_ms = READY_AGE_DEFAULT_MS;
    edge->partition_count = config->layout->partition_count;
    edge->in_flight_of = leat_must_calloc(edge->partition_count, sizeof *edge->in_flight_of);
    leat_shares_init(&edge->shares, edge->config.in_flight_max, edge->partition_count);
    edge->begun_us = leat_mono_us();
    edge->parser = leat_body_parser_new();
    LEAT_ASSERT(edge->parser);
    edge->http = leat_http_listen(loop, &config->http, on_request, edge, error);
    if (!edge->http) {
        forget(edge);
        return NULL;
    }
    edge->writer =
        leat_log_writer_new(loop, &config->log, config->identity, on_appended, edge, error);
    if (!edge->writer) {
        leat_http_close(edge->http);
        forget(edge);
        return NULL;
    }
    edge_answer_prepare(edge);
    edge_metrics_register(&edge->metrics, config->metrics);
    uv_timer_init(loop, &edge->tick);
    edge->tick.data = edge;
    uv_timer_start(&edge->tick, on_tick, TICK_MS, TICK_MS);
    return edge;
}

int leat_edge_port(const leat_edge *edge)
{
    return leat_http_port(edge->http);
}

void leat_edge_drain(leat_edge *edge, void (*on_drained)(void *context), void *context)
{
    if (edge->draining)
        return;
    edge->draining = true;
    edge->on_drained = on_drained;
    edge->drained_context = context;
    leat_http_drain(edge->http, on_http_drained);
}

static void on_tick_closed(uv_handle_t *handle)
{
    forget(handle->data);
}

void leat_edge_free(leat_edge *edge)
{
    if (!edge)
        return;
    edge->freeing = true;
    edge_metrics_show(edge);
    leat_gauge_set(edge->metrics.connections, 0);
    leat_http_close(edge->http);
    leat_log_writer_free(edge->writer, FREE_TIMEOUT_MS);
    LEAT_ASSERT(edge->in_flight == 0);
    uv_close((uv_handle_t *)&edge->tick, on_tick_closed);
}
