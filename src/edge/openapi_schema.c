/*
 * openapi_schema.c - the columns of a table as JSON Schema. A schema says what the edge takes at
 * most as exactly as JSON Schema can: keywords such as minimum or pattern apply only to values of
 * their kind, so a column that takes a number or a string needs no alternatives. What only the
 * database knows (an enum's words, a check constraint) is not in it.
 */
#include <stdio.h>

#include "edge/openapi.h"

enum { KINDS_MAX = 5, EXAMPLE_COLUMNS = 3 };

/* Of a value in a body. */
typedef struct value_shape {
    const char *kinds[KINDS_MAX]; /* JSON's */
    const char *format;
    const char *encoding;
    const char *pattern; /* of strings */
    const char *example; /* of a string; NULL: a number, true or an object */
} value_shape;

#define NUMBER_TEXT "-?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?"
#define DAY         "[0-9]{4}-[0-9]{2}-[0-9]{2}"
#define TIME_OF_DAY "[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?"

static const value_shape shapes[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = {.kinds = {"boolean"}},
    [LEAT_TYPE_INT2] = {.kinds = {"integer", "string"}, .pattern = "^-?[0-9]+$"},
    [LEAT_TYPE_INT4] = {.kinds = {"integer", "string"}, .pattern = "^-?[0-9]+$"},
    [LEAT_TYPE_INT8] = {.kinds = {"integer", "string"}, .pattern = "^-?[0-9]+$"},
    [LEAT_TYPE_FLOAT4] = {.kinds = {"number", "string"}, .pattern = "^(NaN|-?Infinity)$"},
    [LEAT_TYPE_FLOAT8] = {.kinds = {"number", "string"}, .pattern = "^(NaN|-?Infinity)$"},
    [LEAT_TYPE_NUMERIC] = {.kinds = {"number", "string"}, .pattern = "^(NaN|" NUMBER_TEXT ")$"},
    [LEAT_TYPE_TEXT] = {.kinds = {"string"}, .example = "a"},
    [LEAT_TYPE_UUID] = {.kinds = {"string"},
                        .format = "uuid",
                        .example = "0193b8f0-0000-7000-8000-000000000001"},
    [LEAT_TYPE_DATE] = {.kinds = {"string"},
                        .format = "date",
                        .pattern = "^" DAY "$",
                        .example = "2026-01-02"},
    [LEAT_TYPE_TIME] = {.kinds = {"string"}, .pattern = "^" TIME_OF_DAY "$", .example = "03:04:05"},
    [LEAT_TYPE_TIMESTAMP] = {.kinds = {"string"},
                             .pattern = "^" DAY "[Tt]" TIME_OF_DAY "$",
                             .example = "2026-01-02T03:04:05"},
    [LEAT_TYPE_TIMESTAMPTZ] = {.kinds = {"string"},
                               .format = "date-time",
                               .example = "2026-01-02T03:04:05Z"},
    [LEAT_TYPE_BYTEA] = {.kinds = {"string"}, .encoding = "base64", .example = "aGVsbG8="},
    [LEAT_TYPE_JSONB] = {.kinds = {"object", "array", "string", "number", "boolean"}},
    [LEAT_TYPE_JSON] = {.kinds = {"object", "array", "string", "number", "boolean"}},
    [LEAT_TYPE_OTHER] = {.kinds = {"string", "number", "boolean"}, .example = "a"},
};
static const value_shape array_shape = {.kinds = {"array", "string"}, .example = "{}"};

static const value_shape *shape_of(const leat_column *column)
{
    LEAT_ASSERT(column->type < LEAT_TYPE_COUNT);
    return column->is_array ? &array_shape : &shapes[column->type];
}

static bool is_json(const leat_column *column)
{
    return column->type == LEAT_TYPE_JSONB || column->type == LEAT_TYPE_JSON;
}

static bool may_be_null(const leat_column *column)
{
    return !column->not_null && column->key_position < 0;
}

/* ---- one value ---- */

static void add_kinds(edge_openapi *api, yyjson_mut_val *schema, const value_shape *shape,
                      bool only_first, bool nullable)
{
    yyjson_mut_val *kinds = edge_openapi_array(api, schema, "type");
    for (int i = 0; i < KINDS_MAX && shape->kinds[i] && !(only_first && i > 0); i++)
        api->failed |= !yyjson_mut_arr_add_str(api->doc, kinds, shape->kinds[i]);
    if (nullable)
        api->failed |= !yyjson_mut_arr_add_str(api->doc, kinds, "null");
}

static void add_bounds(edge_openapi *api, yyjson_mut_val *schema, const leat_column *column)
{
    if (leat_type_is_integer(column->type)) {
        int64_t max = leat_integer_max(column->type);
        api->failed |= !yyjson_mut_obj_add_int(api->doc, schema, "minimum", -max - 1);
        api->failed |= !yyjson_mut_obj_add_int(api->doc, schema, "maximum", max);
    }
    if (column->type == LEAT_TYPE_TEXT && column->type_modifier > 4)
        api->failed |=
            !yyjson_mut_obj_add_int(api->doc, schema, "maxLength", column->type_modifier - 4);
}

static void add_form(edge_openapi *api, yyjson_mut_val *schema, const value_shape *shape)
{
    if (shape->format)
        edge_openapi_text(api, schema, "format", shape->format);
    if (shape->encoding)
        edge_openapi_text(api, schema, "contentEncoding", shape->encoding);
    if (shape->pattern)
        edge_openapi_text(api, schema, "pattern", shape->pattern);
}

void edge_openapi_parameter_schema(edge_openapi *api, yyjson_mut_val *schema,
                                   const leat_column *column)
{
    LEAT_ASSERT(leat_type_is_key(column->type));
    const value_shape *shape = shape_of(column);
    edge_openapi_text(api, schema, "type", shape->kinds[0]);
    add_bounds(api, schema, column);
    if (!leat_type_is_integer(column->type)) /* that pattern is of a number in a string */
        add_form(api, schema, shape);
    if (column->type == LEAT_TYPE_TEXT)
        api->failed |= !yyjson_mut_obj_add_int(api->doc, schema, "minLength", 1);
}

yyjson_mut_val *edge_openapi_example(edge_openapi *api, const leat_column *column)
{
    const char *text = shape_of(column)->example;
    if (text)
        return yyjson_mut_str(api->doc, text);
    if (column->type == LEAT_TYPE_BOOL)
        return yyjson_mut_true(api->doc);
    if (!is_json(column))
        return yyjson_mut_int(api->doc, 1);
    yyjson_mut_val *object = yyjson_mut_obj(api->doc);
    api->failed |= !yyjson_mut_obj_add_int(api->doc, object, "a", 1);
    return object;
}

/* ---- a body ---- */

static const char *const effects[LEAT_OP_COUNT] = {
    [LEAT_OP_SET] = "PATCH sets it",
    [LEAT_OP_ADD] = "PATCH adds the value to the stored one",
    [LEAT_OP_APPEND] = "PATCH appends the value to the stored array",
    [LEAT_OP_MAX] = "PATCH keeps the larger of this and the stored value",
    [LEAT_OP_MIN] = "PATCH keeps the smaller of this and the stored value",
    [LEAT_OP_MERGE] = "PATCH merges the value into the stored object (RFC 7396)",
};

/* What an operation does to the column. PUT sets it, except a merge where the route's PUT merges.
 */
static const char *effect_of(const leat_route *route, leat_column_op does, leat_route_op op)
{
    if (op == LEAT_PATCH)
        return effects[does];
    return route->put_merge && does == LEAT_OP_MERGE
               ? "PUT merges the value into the stored object (RFC 7396)"
               : "PUT sets it";
}

static void add_column(edge_openapi *api, yyjson_mut_val *properties, const leat_route *route,
                       uint32_t index, leat_route_op op)
{
    const leat_column *column = &route->table->columns[index];
    leat_column_op does = route->ops[index];
    LEAT_ASSERT(does < LEAT_OP_COUNT && !column->generated);
    yyjson_mut_val *schema = edge_openapi_object(api, properties, column->name);
    bool adds_float = op == LEAT_PATCH && does == LEAT_OP_ADD && leat_type_is_float(column->type);
    add_kinds(api, schema, shape_of(column), adds_float, may_be_null(column));
    add_bounds(api, schema, column);
    if (!adds_float)
        add_form(api, schema, shape_of(column));
    if (column->key_position >= 0)
        edge_openapi_copy(api, schema, "description", "%s. Part of the key: as in the path.",
                          column->type_name);
    else
        edge_openapi_copy(api, schema, "description", "%s. %s.", column->type_name,
                          effect_of(route, does, op));
    if (column->key_position < 0)
        edge_openapi_text(api, schema, "x-leat-operation", leat_op_name(does));
}

/* The column that a member of the body names as the tenant; -1: none has that name. */
static int tenant_column(const leat_route *route)
{
    return leat_table_column(route->table, leat_slice_of(route->tenant_name));
}

static bool is_tenant(const leat_route *route, uint32_t index)
{
    return (route->tenant_from == LEAT_TENANT_IN_BODY && tenant_column(route) == (int)index) ||
           (route->tenant_leads && route->tenant_column == (int)index);
}

static bool is_needed(const leat_route *route, uint32_t index, leat_route_op op)
{
    const leat_column *column = &route->table->columns[index];
    return op == LEAT_PUT && !route->put_merge && column->not_null && !column->default_expression &&
           !column->generated && column->key_position < 0 && !is_tenant(route, index);
}

void edge_openapi_tenant_schema(edge_openapi *api, yyjson_mut_val *schema, const leat_route *route)
{
    int index = tenant_column(route);
    if (index >= 0 && leat_type_is_key(route->table->columns[index].type))
        edge_openapi_parameter_schema(api, schema, &route->table->columns[index]);
    else
        edge_openapi_text(api, schema, "type", "string");
}

yyjson_mut_val *edge_openapi_tenant_example(edge_openapi *api, const leat_route *route)
{
    int index = tenant_column(route);
    return index >= 0 ? edge_openapi_example(api, &route->table->columns[index])
                      : yyjson_mut_str(api->doc, "a");
}

void edge_openapi_body_schema(edge_openapi *api, yyjson_mut_val *schema, const leat_route *route,
                              leat_route_op op)
{
    const leat_table *table = route->table;
    LEAT_ASSERT(op == LEAT_PUT || op == LEAT_PATCH);
    bool has_tenant = route->tenant_from == LEAT_TENANT_IN_BODY;
    edge_openapi_text(api, schema, "type", "object");
    yyjson_mut_val *properties = edge_openapi_object(api, schema, "properties");
    yyjson_mut_val *required = edge_openapi_array(api, schema, "required");
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].generated)
            add_column(api, properties, route, i, op);
        if (is_needed(route, i, op))
            api->failed |= !yyjson_mut_arr_add_str(api->doc, required, table->columns[i].name);
    }
    if (has_tenant && tenant_column(route) < 0)
        edge_openapi_tenant_schema(api, edge_openapi_object(api, properties, route->tenant_name),
                                   route);
    if (has_tenant)
        api->failed |= !yyjson_mut_arr_add_str(api->doc, required, route->tenant_name);
    edge_openapi_member(api, schema, "additionalProperties",
                        yyjson_mut_bool(api->doc, route->other != LEAT_OTHER_REFUSE));
}

/* What must be there, and the first few others whose values are known to mean something. */
void edge_openapi_body_example(edge_openapi *api, yyjson_mut_val *example, const leat_route *route,
                               leat_route_op op)
{
    const leat_table *table = route->table;
    for (uint32_t i = 0, chosen = 0; i < table->column_count; i++) {
        const leat_column *column = &table->columns[i];
        bool is_known = column->type != LEAT_TYPE_OTHER && column->key_position < 0 &&
                        !is_tenant(route, i);
        bool is_chosen = !column->generated && is_known && chosen < EXAMPLE_COLUMNS;
        if (is_chosen || is_needed(route, i, op))
            edge_openapi_member(api, example, column->name, edge_openapi_example(api, column));
        chosen += is_chosen;
    }
    if (route->tenant_from == LEAT_TENANT_IN_BODY)
        edge_openapi_member(api, example, route->tenant_name,
                            edge_openapi_tenant_example(api, route));
}
