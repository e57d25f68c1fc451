/*
 * openapi.c - the document. Paths come from the routes; answers come from the table of all answers,
 * one response for each status, so that neither can be forgotten here. A response has the body that
 * the edge itself would write as its example.
 *
 * What does not depend on routes and tables (batches, questions about writes, health, the bodies of
 * all answers) is a document of its own, openapi_fixed.json, which is copied in. What is said there
 * of waiting and asking is taken out again where the edge has none of it.
 */
#include "edge/openapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/status.h"

/* ---- building ---- */

yyjson_mut_val *edge_openapi_object(edge_openapi *api, yyjson_mut_val *object, const char *name)
{
    yyjson_mut_val *value = yyjson_mut_obj_add_obj(api->doc, object, name);
    api->failed |= !value;
    return value;
}

yyjson_mut_val *edge_openapi_array(edge_openapi *api, yyjson_mut_val *object, const char *name)
{
    yyjson_mut_val *value = yyjson_mut_obj_add_arr(api->doc, object, name);
    api->failed |= !value;
    return value;
}

void edge_openapi_member(edge_openapi *api, yyjson_mut_val *object, const char *name,
                         yyjson_mut_val *value)
{
    api->failed |= !yyjson_mut_obj_add_val(api->doc, object, name, value);
}

void edge_openapi_text(edge_openapi *api, yyjson_mut_val *object, const char *name,
                       const char *text)
{
    api->failed |= !yyjson_mut_obj_add_str(api->doc, object, name, text);
}

void edge_openapi_copy(edge_openapi *api, yyjson_mut_val *object, const char *name,
                       const char *format, ...)
{
    leat_buf text = {0};
    va_list args;
    va_start(args, format);
    leat_buf_vprintf(&text, format, args);
    va_end(args);
    api->failed |=
        text.failed ||
        !yyjson_mut_obj_add_strncpy(api->doc, object, name, text.data ? text.data : "", text.size);
    leat_buf_free(&text);
}

/* A member whose name is made here. */
static yyjson_mut_val *object_named(edge_openapi *api, yyjson_mut_val *object, leat_slice name)
{
    yyjson_mut_val *value = yyjson_mut_obj(api->doc);
    api->failed |=
        !yyjson_mut_obj_add(object, yyjson_mut_strncpy(api->doc, name.data, name.size), value);
    return value;
}

static yyjson_mut_val *status_named(edge_openapi *api, yyjson_mut_val *object, int status)
{
    char text[16];
    snprintf(text, sizeof text, "%d", status);
    return object_named(api, object, leat_slice_of(text));
}

/* Of a response or a request; returns the media type object. */
static yyjson_mut_val *add_content(edge_openapi *api, yyjson_mut_val *object, const char *type)
{
    return edge_openapi_object(api, edge_openapi_object(api, object, "content"), type);
}

/* ---- answers ---- */

static bool is_first_of_status(leat_http_code code)
{
    for (leat_http_code before = 0; before < code; before++)
        if (leat_http_codes[before].error &&
            leat_http_codes[before].status == leat_http_codes[code].status)
            return false;
    return leat_http_codes[code].error != NULL;
}

static void add_example_of_error(edge_openapi *api, yyjson_mut_val *media, leat_http_code code)
{
    leat_buf body = {0};
    leat_http_error_body(&body, code, NULL, "what is wrong, in words");
    yyjson_doc *read = body.failed ? NULL : yyjson_read(body.data, body.size, 0);
    yyjson_mut_val *copy = read ? yyjson_val_mut_copy(api->doc, yyjson_doc_get_root(read)) : NULL;
    edge_openapi_member(api, media, "example", copy);
    yyjson_doc_free(read);
    leat_buf_free(&body);
}

/* One of a status, with the names of all its errors. */
static void add_error(edge_openapi *api, yyjson_mut_val *responses, leat_http_code first)
{
    int status = leat_http_codes[first].status;
    yyjson_mut_val *response = status_named(api, responses, status);
    leat_buf names = {0};
    yyjson_mut_val *media = yyjson_mut_obj(api->doc);
    yyjson_mut_val *parts =
        edge_openapi_array(api, edge_openapi_object(api, media, "schema"), "allOf");
    edge_openapi_text(api, yyjson_mut_arr_add_obj(api->doc, parts), "$ref",
                      "#/components/schemas/Problem");
    yyjson_mut_val *of_status =
        edge_openapi_object(api, yyjson_mut_arr_add_obj(api->doc, parts), "properties");
    yyjson_mut_val *error =
        edge_openapi_array(api, edge_openapi_object(api, of_status, "error"), "enum");
    edge_openapi_member(api, edge_openapi_object(api, of_status, "status"), "const",
                        yyjson_mut_int(api->doc, status));
    for (leat_http_code code = first; code < LEAT_HTTP_CODE_COUNT; code++) {
        const leat_http_code_row *row = &leat_http_codes[code];
        if (!row->error || row->status != status)
            continue;
        leat_buf_printf(&names, "%s`%s`", names.size > 0 ? ", " : "", row->error);
        api->failed |= !yyjson_mut_arr_add_str(api->doc, error, row->error);
    }
    edge_openapi_copy(api, response, "description", "Error %s.", leat_buf_cstr(&names));
    add_example_of_error(api, media, first);
    edge_openapi_member(api, edge_openapi_object(api, response, "content"), LEAT_HTTP_PROBLEM,
                        media);
    leat_buf_free(&names);
}

static void add_errors(edge_openapi *api, yyjson_mut_val *responses)
{
    for (leat_http_code code = 0; code < LEAT_HTTP_CODE_COUNT; code++)
        if (is_first_of_status(code))
            add_error(api, responses, code);
}

static void refer_to_response(edge_openapi *api, yyjson_mut_val *responses, int status)
{
    edge_openapi_copy(api, status_named(api, responses, status), "$ref",
                      "#/components/responses/%d", status);
}

/* The ways that a route's writes may go decide. Out of the log a write is known to be applied only
 * by who waits for it. */
static void refer_to_success(edge_openapi *api, yyjson_mut_val *responses, leat_mode mode)
{
    static const char at_once[] = "#/components/responses/Applied";
    static const struct {
        const char *applied, *without_waits; /* NULL: never */
        bool may_be_accepted;
    } successes[LEAT_MODE_COUNT] = {
        [LEAT_MODE_ASYNC] = {"#/components/responses/200", NULL, true},
        [LEAT_MODE_SYNC] = {at_once, at_once, false},
        [LEAT_MODE_SHADOW] = {at_once, at_once, false},
        [LEAT_MODE_LIVE] = {"#/components/responses/AppliedEitherWay", at_once, true},
    };
    LEAT_ASSERT(mode < LEAT_MODE_COUNT);
    const char *applied = api->options.has_waits ? successes[mode].applied
                                                 : successes[mode].without_waits;
    if (applied)
        edge_openapi_text(api, edge_openapi_object(api, responses, "200"), "$ref", applied);
    if (successes[mode].may_be_accepted)
        refer_to_response(api, responses, leat_http_codes[LEAT_HTTP_ACCEPTED].status);
}

static void refer_to_responses(edge_openapi *api, yyjson_mut_val *operation, leat_mode mode)
{
    yyjson_mut_val *responses = edge_openapi_object(api, operation, "responses");
    refer_to_success(api, responses, mode);
    for (leat_http_code code = 0; code < LEAT_HTTP_CODE_COUNT; code++)
        if (is_first_of_status(code))
            refer_to_response(api, responses, leat_http_codes[code].status);
}

/* ---- routes ---- */

static const leat_column *key_column(const leat_route *route, int8_t position)
{
    LEAT_ASSERT(position >= 0 && (uint32_t)position < route->table->key_count);
    return &route->table->columns[route->table->key_columns[position]];
}

/* Of a tenant that is not in the path. */
static void add_tenant(edge_openapi *api, yyjson_mut_val *parameters, const leat_route *route,
                       const char *where)
{
    yyjson_mut_val *parameter = yyjson_mut_arr_add_obj(api->doc, parameters);
    edge_openapi_text(api, parameter, "name", route->tenant_name);
    edge_openapi_text(api, parameter, "in", where);
    edge_openapi_member(api, parameter, "required", yyjson_mut_true(api->doc));
    edge_openapi_text(api, parameter, "description", "The tenant.");
    edge_openapi_tenant_schema(api, edge_openapi_object(api, parameter, "schema"), route);
    edge_openapi_member(api, parameter, "example", edge_openapi_tenant_example(api, route));
}

static void add_parameters(edge_openapi *api, yyjson_mut_val *path, const leat_route *route)
{
    yyjson_mut_val *parameters = edge_openapi_array(api, path, "parameters");
    for (uint32_t i = 0; i < route->segment_count; i++) {
        const leat_segment *segment = &route->segments[i];
        if (segment->key_position < 0)
            continue;
        const leat_column *column = key_column(route, segment->key_position);
        yyjson_mut_val *parameter = yyjson_mut_arr_add_obj(api->doc, parameters);
        edge_openapi_text(api, parameter, "name", segment->text);
        edge_openapi_text(api, parameter, "in", "path");
        edge_openapi_member(api, parameter, "required", yyjson_mut_true(api->doc));
        edge_openapi_copy(api, parameter, "description", "%s. Part of the row's primary key.%s",
                          column->type_name,
                          route->tenant_from == LEAT_TENANT_IN_PATH &&
                                  segment->key_position == route->tenant_key_position
                              ? " The tenant."
                              : "");
        edge_openapi_parameter_schema(api, edge_openapi_object(api, parameter, "schema"), column);
        edge_openapi_member(api, parameter, "example", edge_openapi_example(api, column));
    }
    if (route->tenant_from == LEAT_TENANT_IN_HEADER)
        add_tenant(api, parameters, route, "header");
}

static void add_body(edge_openapi *api, yyjson_mut_val *operation, const leat_route *route,
                     leat_route_op op)
{
    yyjson_mut_val *body = edge_openapi_object(api, operation, "requestBody");
    edge_openapi_member(api, body, "required", yyjson_mut_true(api->doc));
    yyjson_mut_val *media = add_content(api, body, LEAT_HTTP_JSON);
    edge_openapi_body_schema(api, edge_openapi_object(api, media, "schema"), route, op);
    edge_openapi_body_example(api, edge_openapi_object(api, media, "example"), route, op);
}

static void add_operation(edge_openapi *api, yyjson_mut_val *path, const leat_route *route,
                          leat_route_op op)
{
    static const char *const effects[LEAT_ROUTE_OP_COUNT] = {
        [LEAT_PUT] = "The named columns are set, the others get their defaults.",
        [LEAT_PATCH] = "The named columns change by their operation, the others stay. A missing "
                       "row is inserted with the defaults first.",
        [LEAT_DELETE] = "The row is deleted, if it is there.",
    };
    static const char merge[] = "The named columns are set, the others stay. A missing row is "
                                "inserted with the defaults.";
    static const char existing[] = "The named columns change by their operation, the others stay. "
                                   "With a missing row nothing happens.";
    static const char *const verbs[LEAT_ROUTE_OP_COUNT] = {
        [LEAT_PUT] = "Replace", [LEAT_PATCH] = "Change", [LEAT_DELETE] = "Delete"};
    const char *name = leat_route_op_name(op);
    yyjson_mut_val *operation = edge_openapi_object(api, path, name);
    edge_openapi_copy(api, operation, "operationId", "%s_%s", name, route->name);
    edge_openapi_copy(api, operation, "summary", "%s a row of %s", verbs[op], route->table->label);
    edge_openapi_text(api, operation, "description",
                      op == LEAT_PATCH && route->patch_existing ? existing
                      : op == LEAT_PUT && route->put_merge      ? merge
                                                                : effects[op]);
    api->failed |=
        !yyjson_mut_arr_add_str(api->doc, edge_openapi_array(api, operation, "tags"), route->name);
    yyjson_mut_val *parameters = edge_openapi_array(api, operation, "parameters");
    if (api->options.has_waits)
        edge_openapi_text(api, yyjson_mut_arr_add_obj(api->doc, parameters), "$ref",
                          "#/components/parameters/Prefer");
    if (op != LEAT_DELETE)
        add_body(api, operation, route, op);
    else if (route->tenant_from == LEAT_TENANT_IN_BODY)
        add_tenant(api, parameters, route, "query");
    edge_openapi_text(api, yyjson_mut_arr_add_obj(api->doc, parameters), "$ref",
                      "#/components/parameters/Idempotency-Key");
    refer_to_responses(api, operation, route->mode);
}

static void add_route(edge_openapi *api, yyjson_mut_val *paths, const leat_route *route)
{
    leat_buf template = {0};
    for (uint32_t i = 0; i < route->segment_count; i++)
        leat_buf_printf(&template, route->segments[i].key_position < 0 ? "/%s" : "/{%s}",
                        route->segments[i].text);
    api->failed |= template.failed;
    yyjson_mut_val *path = object_named(api, paths, (leat_slice){template.data, template.size});
    leat_buf_free(&template);
    add_parameters(api, path, route);
    for (leat_route_op op = 0; op < LEAT_ROUTE_OP_COUNT; op++)
        add_operation(api, path, route, op);
}

/* ---- what is not a route ---- */

/* A copy of that member of `fixed`, which is an object. */
static yyjson_mut_val *add_fixed(edge_openapi *api, yyjson_mut_val *object, const char *name,
                                 yyjson_val *fixed)
{
    yyjson_mut_val *copy = yyjson_val_mut_copy(api->doc, yyjson_obj_get(fixed, name));
    edge_openapi_member(api, object, name, copy);
    return copy;
}

/* ---- the document ---- */

static void add_info(edge_openapi *api, yyjson_mut_val *root)
{
    edge_openapi_text(api, root, "openapi", "3.1.0");
    yyjson_mut_val *info = edge_openapi_object(api, root, "info");
    edge_openapi_text(api, info, "title", "Writes by leat");
    edge_openapi_text(api, info, "version", LEAT_VERSION);
    edge_openapi_text(api, info, "description",
                      "Each write is answered 202 once it is durable in the log, or 200 once it is "
                      "applied. It is applied to its row once, in the order of the writes to that "
                      "row.");
    yyjson_mut_val *servers = edge_openapi_array(api, root, "servers");
    edge_openapi_text(api, yyjson_mut_arr_add_obj(api->doc, servers), "url", "./");
}

static void add_components(edge_openapi *api, yyjson_mut_val *root, yyjson_val *fixed)
{
    yyjson_mut_val *components = edge_openapi_object(api, root, "components");
    add_fixed(api, components, "schemas", fixed);
    add_fixed(api, components, "parameters", fixed);
    add_errors(api, add_fixed(api, components, "responses", fixed));
    if (!api->options.needs_token)
        return;
    add_fixed(api, components, "securitySchemes", fixed);
    yyjson_mut_val *security = edge_openapi_array(api, root, "security");
    edge_openapi_array(api, yyjson_mut_arr_add_obj(api->doc, security), "token");
}

/* What openapi_fixed.json says of waiting for a write and of asking about it. */
static void remove_waits(edge_openapi *api)
{
    static const char *const pointers[] = {
        "/paths/~1writes~1{token}",
        "/components/parameters/Prefer",
        "/components/responses/200",
        "/components/responses/AppliedEitherWay",
        "/components/responses/202/content/application~1json/example/token",
        "/components/schemas/Accepted/required/3",
        "/components/schemas/Accepted/properties/token",
        "/components/schemas/Accepted/properties/state",
        "/components/schemas/Accepted/properties/sqlstate",
        "/components/schemas/Accepted/properties/message",
        "/components/schemas/BatchAnswer/properties/token",
    };
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        api->failed |= !yyjson_mut_doc_ptr_remove(api->doc, pointers[i]);
}

static void build(edge_openapi *api, const leat_routes *routes)
{
    yyjson_doc *read = yyjson_read(edge_openapi_fixed, strlen(edge_openapi_fixed), 0);
    api->failed |= !read;
    yyjson_val *fixed = yyjson_doc_get_root(read);
    yyjson_mut_val *root = yyjson_mut_obj(api->doc);
    yyjson_mut_doc_set_root(api->doc, root);
    add_info(api, root);
    yyjson_mut_val *paths = add_fixed(api, root, "paths", fixed);
    for (uint32_t i = 0; i < routes->count - routes->shadow_count; i++)
        add_route(api, paths, &routes->routes[i]);
    add_components(api, root, fixed);
    yyjson_doc_free(read);
    if (!api->options.has_waits)
        remove_waits(api);
}

int edge_openapi_write(const leat_routes *routes, const edge_openapi_options *options,
                       leat_buf *out)
{
    edge_openapi api = {.doc = yyjson_mut_doc_new(NULL), .options = *options};
    if (!api.doc)
        return -1;
    build(&api, routes);
    size_t size = 0;
    char *text = api.failed ? NULL : yyjson_mut_write(api.doc, 0, &size);
    if (text)
        leat_buf_append(out, text, size);
    free(text);
    yyjson_mut_doc_free(api.doc);
    return text && !out->failed ? 0 : -1;
}
