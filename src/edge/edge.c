/*
 * edge.c - what a request means. The edge first answers everything that it can know by itself:
 * route, key, types, and that the log is overloaded or in trouble. It does not keep what it
 * accepts: the request is the tag of its record, waits in the HTTP server without its body, and is
 * answered when the log has answered. So the edge's memory is bounded by the number of writes in
 * flight, and there is no state that a crash could lose after a 202.
 *
 * Routes and keys are those of shard 0, because the path has to be read before the shard is known;
 * the body is checked against the table of the shard that the write is for.
 */
#include "edge/internal.h"

#include <stdlib.h>

#include "base/states.h"

enum {
    TICK_MS = 250,
    TROUBLE_AFTER_US = 1000 * 1000,
    FREE_TIMEOUT_MS = 1000, /* for records that still wait for the log after their clients went away
                             */
};

/* A write on its way from the request to the log. The key is in the edge: it is large. */
typedef struct edge_write {
    leat_http_request *request;
    const leat_route *route; /* of shard 0 */
    leat_route_op op;
    uint32_t partition;
    bool names_route; /* there are several: its record says which one */
} edge_write;

/* ---- health ---- */

/* Load balancers ask for "OPTIONS /" (HAProxy) or "GET /" unless configured otherwise; no route has
 * that path. True: it was a health path and is answered. */
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

/* NULL: by its headers the body is plain JSON; else the reason why it is not. */
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

/* The route as it is in the write's own shard: tables are altered shard by shard. */
static const leat_route *route_in_shard(const leat_edge *edge, const edge_write *write)
{
    uint32_t shard = leat_layout_shard_of_partition(edge->config.layout, write->partition);
    const leat_routes *routes =
        &leat_schema_versions_newest(edge->config.schema_versions, shard)->routes;
    LEAT_ASSERT(write->route->index < routes->count);
    return &routes->routes[write->route->index];
}

/* Answers and returns false when the body is not a JSON object that the shard's table takes. */
static bool check_json(leat_edge *edge, const edge_write *write, leat_slice json)
{
    static const leat_http_code answers[] = {[LEAT_BODY_SYNTAX] = LEAT_HTTP_BAD_JSON,
                                             [LEAT_BODY_REFUSED] = LEAT_HTTP_INVALID,
                                             [LEAT_BODY_MEMORY] = LEAT_HTTP_OVERLOADED};
    leat_body_error error = {0};
    leat_body_parser_reset(edge->parser);
    leat_body_fault fault = leat_body_parse(edge->parser, route_in_shard(edge, write), write->op,
                                            json, edge->key.values, &edge->body, &error);
    if (fault == LEAT_BODY_REFUSED) /* the client may know of a column that leat has not seen yet */
        leat_schema_versions_request_read(edge->config.schema_versions);
    if (fault != LEAT_BODY_OK)
        edge_answer_error(edge, write->request, answers[fault], error.field, error.message);
    return fault == LEAT_BODY_OK;
}

/* Answers and returns false when the body is not one that this operation takes. */
static bool check_body(leat_edge *edge, const edge_write *write)
{
    const char *fault = content_fault(write->request, write->op);
    if (fault) {
        edge_answer_error(edge, write->request, LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE, NULL, fault);
        return false;
    }
    leat_slice json = leat_http_request_body(write->request);
    if (write->op == LEAT_DELETE) {
        if (json.size > 0)
            edge_answer_error(edge, write->request, LEAT_HTTP_BAD_REQUEST, NULL,
                              "DELETE takes no body");
        return json.size == 0;
    }
    if (json.size == 0) { /* a client that lost its body must not reset a row */
        edge_answer_error(edge, write->request, LEAT_HTTP_BAD_JSON, NULL,
                          "a JSON object is needed; {} names no column");
        return false;
    }
    return check_json(edge, write, json);
}

/* Answers and returns false when it is not a write to a route. Fills in where it goes. */
static bool find_route(leat_edge *edge, edge_write *write)
{
    const leat_routes *routes =
        &leat_schema_versions_newest(edge->config.schema_versions, 0)->routes;
    char field[LEAT_NAME_MAX + 1] = "";
    leat_error error = {0};
    leat_match match = leat_routes_match(routes, leat_http_request_path(write->request),
                                         &write->route, &edge->key, field, &error);
    if (match == LEAT_MATCH_NO_ROUTE) {
        edge_answer_error(edge, write->request, LEAT_HTTP_NO_ROUTE, NULL, "no route has this path");
    } else if (!method_to_op(leat_http_request_method(write->request), &write->op)) {
        edge_answer_method(edge, write->request, "DELETE, PATCH, PUT");
    } else if (match == LEAT_MATCH_BAD_KEY) {
        edge_answer_error(edge, write->request, LEAT_HTTP_INVALID, field, error.text);
    } else {
        write->names_route = routes->count > 1;
        write->partition =
            leat_layout_partition_of_key(edge->config.layout, write->route, &edge->key);
        LEAT_ASSERT(write->partition < edge->partition_count);
        return true;
    }
    return false;
}

/* The log has not answered a record of this partition for a while, and is known to be in trouble:
 * the next one need not wait to learn the same. NULL: it may be tried. */
static const char *known_trouble(const leat_edge *edge, uint32_t partition)
{
    const char *trouble = leat_log_writer_partition_trouble(edge->writer, partition);
    if (trouble || edge->in_flight_of[partition] == 0)
        return trouble;
    bool has_waited = leat_log_writer_oldest_us(edge->writer, partition, leat_mono_us()) >
                      TROUBLE_AFTER_US;
    return has_waited ? leat_log_writer_trouble(edge->writer) : NULL;
}

/* Answers and returns false when the log is not to be asked for one more record. */
static bool admit(leat_edge *edge, const edge_write *write)
{
    LEAT_ASSERT(edge->in_flight_of[write->partition] <= edge->in_flight);
    if (edge->in_flight >= edge->config.in_flight_max) {
        edge_answer_error(edge, write->request, LEAT_HTTP_OVERLOADED, NULL,
                          "too many writes wait for the log");
        return false;
    }
    const char *trouble = known_trouble(edge, write->partition);
    if (trouble)
        edge_answer_error(edge, write->request, LEAT_HTTP_UNAVAILABLE, NULL, trouble);
    return !trouble;
}

/* The log has not taken the record: `result` as of leat_log_append. */
static void answer_not_taken(leat_edge *edge, const edge_write *write, int result,
                             const char *reason)
{
    LEAT_ASSERT(result != 0);
    const char *trouble = result > 0 ? leat_log_writer_trouble(edge->writer) : NULL;
    leat_http_code code = result < 0 ? LEAT_HTTP_TOO_LARGE
                          : trouble  ? LEAT_HTTP_UNAVAILABLE
                                     : LEAT_HTTP_OVERLOADED;
    edge_answer_error(edge, write->request, code, NULL, trouble ? trouble : reason);
}

static void append(leat_edge *edge, const edge_write *write)
{
    leat_slice none = {"", 0};
    leat_record record = {
        .partition = write->partition,
        .offset = -1,
        .accepted_ms = leat_wall_ms(),
        .key = {edge->key.canonical, edge->key.canonical_size},
        .value = leat_http_request_body(write->request),
        .route = write->names_route ? leat_slice_of(write->route->name) : none,
        .op = write->op == LEAT_PUT ? none : leat_slice_of(leat_route_op_name(write->op)),
    };
    leat_error error = {0};
    uint64_t *in_flight = &edge->in_flight_of[write->partition];
    if (!leat_shares_take(&edge->shares, in_flight, 1)) {
        edge_answer_error(edge, write->request, LEAT_HTTP_OVERLOADED, NULL,
                          "too many writes of this partition wait for the log");
        return;
    }
    int result = leat_log_append(edge->writer, &record, write->request, &error);
    if (result != 0) {
        leat_shares_give(&edge->shares, in_flight, 1);
        answer_not_taken(edge, write, result, error.text);
        return;
    }
    edge->in_flight++;
    leat_gauge_set(edge->metrics.in_flight, edge->in_flight);
    leat_http_request_drop_body(write->request);
}

static void on_request(void *context, leat_http_request *request)
{
    leat_edge *edge = context;
    LEAT_ASSERT(edge->state != EDGE_FREED);
    if (answer_health(edge, request, leat_http_request_path(request)))
        return;
    edge_write write = {.request = request};
    if (find_route(edge, &write) && admit(edge, &write) &&
        edge_admission_admit(edge, request, write.route, write.partition) &&
        check_body(edge, &write))
        append(edge, &write);
}

/* ---- the log's answers ---- */

/* Never from inside a callback of the log: the owner may free the edge. */
static void drain_soon(leat_edge *edge)
{
    if (edge->state == EDGE_ANSWERING && edge->in_flight == 0)
        uv_timer_start(&edge->tick, edge->tick.timer_cb, 0, TICK_MS);
}

static void on_appended(void *context, void *tag, leat_append_result result, uint32_t partition,
                        int64_t offset, const char *why)
{
    static const leat_http_code answers[] = {
        [LEAT_NOT_APPENDED] = LEAT_HTTP_UNAVAILABLE,
        [LEAT_APPEND_UNKNOWN] = LEAT_HTTP_UNKNOWN,
        [LEAT_APPEND_TOO_LARGE] = LEAT_HTTP_TOO_LARGE,
    };
    leat_edge *edge = context;
    leat_http_request *request = tag;
    LEAT_ASSERT(edge->in_flight > 0 && partition < edge->partition_count);
    edge->in_flight--;
    leat_shares_give(&edge->shares, &edge->in_flight_of[partition], 1);
    leat_gauge_set(edge->metrics.in_flight, edge->in_flight);
    if (result == LEAT_APPENDED) {
        edge->taken_us = leat_mono_us();
        leat_observe_us(edge->metrics.durable,
                        edge->taken_us - leat_http_request_arrived_us(request));
        edge_answer_accepted(edge, request, partition, offset);
    } else {
        edge_answer_error(edge, request, answers[result], NULL,
                          why ? why : "the log gave no reason");
    }
    drain_soon(edge);
}

/* ---- the edge's life ---- */

static const unsigned may_follow[] = {
    [EDGE_OPEN] = LEAT_TO(EDGE_DRAINING) | LEAT_TO(EDGE_FREED),
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
    if (!why || edge->is_failure_reported)
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
    if (edge->state != EDGE_ANSWERING || edge->in_flight > 0)
        return;
    enter(edge, EDGE_DRAINED);
    if (edge->on_drained)
        edge->on_drained(edge->drained_context);
}

static void on_http_drained(void *context)
{
    leat_edge *edge = context;
    enter(edge, EDGE_ANSWERING);
    drain_soon(edge);
}

static void free_edge(leat_edge *edge)
{
    LEAT_ASSERT(edge->in_flight == 0);
    leat_body_parser_free(edge->parser);
    edge_admission_fini(edge);
    leat_buf_free(&edge->text);
    leat_buf_free(&edge->accepted_head);
    free(edge->in_flight_of);
    free(edge);
}

leat_edge *leat_edge_new(uv_loop_t *loop, const leat_edge_config *config, leat_error *error)
{
    LEAT_ASSERT(config->layout->partition_count > 0);
    LEAT_ASSERT(config->in_flight_max > 0 && config->ready_age_ms > 0);
    leat_edge *edge = leat_must_calloc(1, sizeof *edge);
    edge->config = *config;
    edge->partition_count = config->layout->partition_count;
    edge->in_flight_of = leat_must_calloc(edge->partition_count, sizeof *edge->in_flight_of);
    leat_shares_init(&edge->shares, edge->config.in_flight_max, edge->partition_count);
    edge->begun_us = leat_mono_us();
    edge->parser = leat_body_parser_new();
    LEAT_ASSERT(edge->parser);
    edge_admission_init(edge);
    edge->http = leat_http_listen(loop, &config->http, on_request, edge, error);
    if (!edge->http) {
        free_edge(edge);
        return NULL;
    }
    edge->writer =
        leat_log_writer_new(loop, &config->log, config->identity, on_appended, edge, error);
    if (!edge->writer) {
        leat_http_close(edge->http);
        free_edge(edge);
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

void leat_edge_reload(leat_edge *edge)
{
    LEAT_ASSERT(edge->state != EDGE_FREED);
    leat_http_reload(edge->http);
}

void leat_edge_drain(leat_edge *edge, void (*on_drained)(void *context), void *context)
{
    if (edge->state != EDGE_OPEN)
        return;
    enter(edge, EDGE_DRAINING);
    edge->on_drained = on_drained;
    edge->drained_context = context;
    leat_http_drain(edge->http, on_http_drained);
}

static void on_tick_closed(uv_handle_t *handle)
{
    free_edge(handle->data);
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
    uv_close((uv_handle_t *)&edge->tick, on_tick_closed);
}
