/*
 * write.c - one write, from its bytes to where it goes. Every write goes this way, a request of its
 * own or an item of a batch: it is refused by whatever the edge knows itself (route, key, limits,
 * types, a log in trouble), or handed to the database (direct.c), or to the log (append.c).
 *
 * Routes and keys are those of shard 0, because the path has to be read before the shard is known;
 * the body is checked against the table of the shard that the write is for.
 */
#include "edge/internal.h"

#include <stdlib.h>

#include "edge/batch_item.h"
#include "edge/trace.h"

enum { TROUBLE_AFTER_US = 1000 * 1000 };

/* ---- its life ---- */

void edge_writes_init(leat_edge *edge)
{
    edge_tickets_init(edge);
    edge->parser = leat_body_parser_new();
    LEAT_ASSERT(edge->parser);
    leat_body_parser_only_check(edge->parser);
    edge->item_reader = leat_must_calloc(1, sizeof *edge->item_reader);
}

void edge_writes_fini(leat_edge *edge)
{
    LEAT_ASSERT(LIST_EMPTY(&edge->batches));
    leat_body_parser_free(edge->parser);
    edge_item_reader_fini(edge->item_reader);
    free(edge->item_reader);
    leat_buf_free(&edge->tenant);
    edge_idempotency_fini(edge);
    edge_tickets_fini(edge);
}

/* ---- answers ---- */

void edge_refuse(leat_edge *edge, const edge_asker *asker, leat_http_code code, const char *field,
                 const char *message)
{
    if (asker->batch)
        edge_batch_refused(asker, code, field, message, 0);
    else
        edge_answer_error(edge, asker->request, code, field, message);
}

void edge_refuse_limited(leat_edge *edge, const edge_asker *asker, const char *message,
                         int64_t after_s, const edge_policy *policy)
{
    if (asker->batch)
        edge_batch_refused(asker, LEAT_HTTP_LIMITED, NULL, message, after_s);
    else
        edge_answer_limited(edge, asker->request, message, after_s, policy);
}

static void refuse_method(leat_edge *edge, const edge_asker *asker)
{
    if (asker->batch)
        edge_batch_refused(asker, LEAT_HTTP_METHOD_NOT_ALLOWED, "method",
                           "a write is a DELETE, PATCH or PUT", 0);
    else
        edge_answer_method(edge, asker->request, "DELETE, PATCH, PUT");
}

static void refuse_path(leat_edge *edge, const edge_asker *asker)
{
    if (!asker->batch && leat_slice_is(leat_http_request_path(asker->request), EDGE_BATCH_PATH))
        edge_answer_method(edge, asker->request, "POST");
    else
        edge_refuse(edge, asker, LEAT_HTTP_NO_ROUTE, NULL, "no route has this path");
}

/* ---- its body ---- */

/* The route as it is in the write's own shard: tables are altered shard by shard. */
static const leat_route *route_in_shard(const leat_edge *edge, const edge_write *write)
{
    uint32_t shard = leat_layout_shard_of_partition(edge->config.layout, write->partition);
    const leat_routes *routes =
        &leat_schema_versions_newest(edge->config.schema_versions, shard)->routes;
    LEAT_ASSERT(write->route->index < routes->count);
    return &routes->routes[write->route->index];
}

static void refuse_body(leat_edge *edge, const edge_write *write, leat_body_fault fault,
                        const leat_body_error *error)
{
    static const leat_http_code answers[] = {[LEAT_BODY_SYNTAX] = LEAT_HTTP_BAD_JSON,
                                             [LEAT_BODY_REFUSED] = LEAT_HTTP_INVALID,
                                             [LEAT_BODY_MEMORY] = LEAT_HTTP_OVERLOADED};
    LEAT_ASSERT(fault != LEAT_BODY_OK);
    edge_refuse(edge, &write->asker, answers[fault], error->field, error->message);
}

/* Answers and returns false when the body is not a JSON object that the shard's table takes. */
static bool check_json(leat_edge *edge, const edge_write *write)
{
    leat_body_error error;
    leat_body_fault fault = leat_body_parse(edge->parser, route_in_shard(edge, write), write->op,
                                            write->body, edge->key.values, &edge->body, &error);
    if (fault == LEAT_BODY_REFUSED) /* the client may know of a column that leat has not seen yet */
        leat_schema_versions_request_read(edge->config.schema_versions);
    if (fault != LEAT_BODY_OK)
        refuse_body(edge, write, fault, &error);
    return fault == LEAT_BODY_OK;
}

/* Answers and returns false when this operation takes no such body, whatever is in it. A batch has
 * one content type, which was looked at when it began. */
static bool check_content(leat_edge *edge, const edge_write *write)
{
    const char *fault = write->asker.batch ? NULL
                                           : edge_content_fault(write->asker.request, write->op);
    if (fault) {
        edge_refuse(edge, &write->asker, LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE, NULL, fault);
        return false;
    }
    if (write->op == LEAT_DELETE) {
        if (write->body.size > 0)
            edge_refuse(edge, &write->asker, LEAT_HTTP_BAD_REQUEST, NULL, "DELETE takes no body");
        return write->body.size == 0;
    }
    if (write->body.size == 0) { /* a client that lost its body must not reset a row */
        edge_refuse(edge, &write->asker, LEAT_HTTP_BAD_JSON, NULL,
                    "a JSON object is needed; {} names no column");
        return false;
    }
    return true;
}

/* Answers and returns false when the body is not one that this write takes. */
static bool check_body(leat_edge *edge, const edge_write *write)
{
    return check_content(edge, write) && (write->op == LEAT_DELETE || check_json(edge, write));
}

/* ---- where it goes ---- */

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

/* The key of a write whose tenant is not in the path. Answers it and returns false when it has
 * none. */
static bool find_tenant(leat_edge *edge, const edge_write *write)
{
    leat_slice tenant;
    leat_error error; /* not zeroed: it is large, and filled where it is read */
    leat_body_error body_error = {0};
    char field[LEAT_NAME_MAX + 1];
    if (!check_content(edge, write))
        return false;
    leat_body_fault fault = edge_tenant_find(edge, write, &tenant, &body_error);
    if (fault != LEAT_BODY_OK) {
        refuse_body(edge, write, fault, &body_error);
        return false;
    }
    if (leat_key_from_path(write->route, write->path, tenant, &edge->key, field, &error) ==
        LEAT_MATCH_OK)
        return true;
    edge_refuse(edge, &write->asker, LEAT_HTTP_INVALID, field, error.text);
    return false;
}

/* Answers and returns false when it is not a write to a route. Fills in where it goes. */
static bool find_route(leat_edge *edge, edge_write *write)
{
    const leat_routes *routes =
        &leat_schema_versions_newest(edge->config.schema_versions, 0)->routes;
    char field[LEAT_NAME_MAX + 1] = "";
    leat_error error;
    leat_match match =
        leat_routes_match(routes, write->path, &write->route, &edge->key, field, &error);
    if (match == LEAT_MATCH_NO_ROUTE) {
        refuse_path(edge, &write->asker);
    } else if (!method_to_op(write->method, &write->op)) {
        refuse_method(edge, &write->asker);
    } else if (match == LEAT_MATCH_BAD_KEY) {
        edge_refuse(edge, &write->asker, LEAT_HTTP_INVALID, field, error.text);
    } else if (match == LEAT_MATCH_OK || find_tenant(edge, write)) {
        write->names_route = routes->count - routes->shadow_count > 1;
        write->partition =
            leat_layout_partition_of_key(edge->config.layout, write->route, &edge->key);
        write->asker.row = edge->key.hash ^ (uint64_t)write->route->table_index << 32;
        LEAT_ASSERT(write->partition < edge->partition_count);
        edge_trace_route(edge, write);
        return true;
    }
    return false;
}

/* ---- may it be written, and now? ---- */

/* Answers and returns false when whoever sends it may not do this. */
static bool may_write(leat_edge *edge, const edge_write *write)
{
    const edge_asker *asker = &write->asker;
    leat_slice key = {edge->key.canonical, edge->key.canonical_size};
    edge_refusal refusal;
    if (edge_auth_allows(edge, asker->request, write->route, write->op,
                         leat_route_tenant(write->route, key), &refusal))
        return true;
    if (asker->batch)
        edge_batch_refused(asker, refusal.code, NULL, refusal.message, 0);
    else
        edge_answer_refusal(edge, asker->request, &refusal);
    return false;
}

/* The log has not answered a record of this partition for a while, and is known to be in trouble:
 * the next one need not wait to learn the same. NULL: it may be tried. */
static const char *known_trouble(const leat_edge *edge, const edge_write *write)
{
    uint32_t partition = write->partition;
    const char *trouble = leat_log_writer_partition_trouble(edge->writer, partition);
    if (trouble || edge->in_flight_of[partition] == 0)
        return trouble;
    bool has_waited = leat_log_writer_oldest_us(edge->writer, partition, write->arrived_us) >
                      TROUBLE_AFTER_US;
    return has_waited ? leat_log_writer_trouble(edge->writer) : NULL;
}

static bool is_direct(const edge_write *write)
{
    return write->way != LEAT_WAY_LOG;
}

/* Answers and returns false when the log is not to be asked for one more record. */
static bool admit(leat_edge *edge, const edge_write *write)
{
    if (is_direct(write))
        return true;
    LEAT_ASSERT(edge->in_flight_of[write->partition] <= edge->in_flight);
    if (edge->in_flight >= edge->config.in_flight_max) {
        edge_refuse(edge, &write->asker, LEAT_HTTP_OVERLOADED, NULL,
                    "too many writes wait for the log");
        return false;
    }
    const char *trouble = known_trouble(edge, write);
    if (trouble)
        edge_refuse(edge, &write->asker, LEAT_HTTP_UNAVAILABLE, NULL, trouble);
    return !trouble;
}

void edge_write_take(leat_edge *edge, edge_write *write)
{
    leat_body_parser_reset(edge->parser);
    if (write->read_body)
        leat_body_parser_offer(edge->parser, write->body, write->read_body);
    if (find_route(edge, write) && may_write(edge, write) && edge_idempotency_check(edge, write) &&
        edge_batch_keeps_order(&write->asker) && edge_way_find(edge, write) && admit(edge, write) &&
        edge_admission_admit(edge, write) && check_body(edge, write) &&
        edge_idempotency_admit(edge, write)) {
        if (is_direct(write))
            edge_direct_write(edge, write);
        else
            edge_append(edge, write);
    }
}
