/*
 * Routes are built from the configuration and the shard's table, and every mismatch is an error now
 * rather than a dead letter later: parameters that are not exactly the primary key, key types whose
 * equality is not that of bytes, operations that the column's type does not have. Two routes on one
 * table must agree on the tenant, or one row's writes would go to two partitions.
 */
#include "record/route.h"

#include <stdio.h>
#include <string.h>

static const char *const op_names[LEAT_ROUTE_OP_COUNT] = {
    [LEAT_PUT] = "put", [LEAT_PATCH] = "patch", [LEAT_DELETE] = "delete"};

bool leat_on_refused_by_name(const char *name, leat_on_refused *ret)
{
    static const char *const names[LEAT_ON_REFUSED_COUNT] = {[LEAT_ON_REFUSED_SKIP] = "skip",
                                                             [LEAT_ON_REFUSED_HOLD] = "hold",
                                                             [LEAT_ON_REFUSED_STOP] = "stop"};
    for (unsigned i = 0; i < LEAT_ON_REFUSED_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (leat_on_refused)i;
            return true;
        }
    }
    return false;
}

const char *leat_route_op_name(leat_route_op op)
{
    LEAT_ASSERT((unsigned)op < LEAT_ROUTE_OP_COUNT);
    return op_names[op];
}

bool leat_route_op_by_name(leat_slice name, leat_route_op *ret_op)
{
    for (unsigned i = 0; i < LEAT_ROUTE_OP_COUNT; i++) {
        if (leat_slice_is(name, op_names[i])) {
            *ret_op = (leat_route_op)i;
            return true;
        }
    }
    return false;
}

const leat_route *leat_routes_by_name(const leat_routes *routes, leat_slice name)
{
    for (uint32_t i = 0; i < routes->count; i++)
        if (leat_slice_is(name, routes->routes[i].name))
            return &routes->routes[i];
    return NULL;
}

/* ---- Building one ---- */

static bool is_literal_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=:@", c));
}

static int check_literal(leat_slice text, leat_error *error)
{
    if (text.size == 0)
        return leat_fail(error, "a segment is empty");
    for (size_t i = 0; i < text.size; i++)
        if (!is_literal_char(text.data[i]))
            return leat_fail(error,
                             "\"%.*s\" has a character that must be percent-encoded in paths",
                             (int)text.size, text.data);
    return 0;
}

/* The text between the braces becomes the segment's key position. */
static int bind_parameter(const leat_table *table, leat_slice name, leat_segment *segment,
                          leat_error *error)
{
    int column = leat_table_column(table, name);
    if (column < 0)
        return leat_fail(error, "{%.*s} is not a column of %s", (int)name.size, name.data,
                         table->label);
    if (table->columns[column].key_position < 0)
        return leat_fail(error, "{%.*s} is not part of the primary key of %s", (int)name.size,
                         name.data, table->label);
    segment->key_position = table->columns[column].key_position;
    return 0;
}

static int parse_segment(const leat_table *table, leat_slice text, leat_segment *ret,
                         leat_error *error)
{
    bool is_parameter = text.size >= 2 && text.data[0] == '{' && text.data[text.size - 1] == '}';
    leat_slice name = is_parameter ? (leat_slice){text.data + 1, text.size - 2} : text;
    if (name.size > LEAT_NAME_MAX)
        return leat_fail(error, "a segment is longer than %d bytes", LEAT_NAME_MAX);
    *ret = (leat_segment){.key_position = -1};
    memcpy(ret->text, name.data, name.size);
    return is_parameter ? bind_parameter(table, name, ret, error) : check_literal(name, error);
}

static int check_parameters(const leat_route *route, leat_error *error)
{
    const leat_table *table = route->table;
    for (uint32_t position = 0; position < table->key_count; position++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < route->segment_count; i++)
            count += route->segments[i].key_position == (int)position;
        const char *name = table->columns[table->key_columns[position]].name;
        if (count != 1)
            return leat_fail(error,
                             "{%s} %s: parameters are the primary key of %s, each column once",
                             name, count == 0 ? "is missing" : "is there twice", table->label);
    }
    return 0;
}

static int parse_path(leat_route *route, const char *path, leat_error *error)
{
    if (!path || path[0] != '/')
        return leat_fail(error, "must start with '/'");
    for (const char *at = path; *at == '/';) {
        at++;
        leat_slice text = {at, strcspn(at, "/")};
        if (route->segment_count == LEAT_SEGMENTS_MAX)
            return leat_fail(error, "has more than %d segments", LEAT_SEGMENTS_MAX);
        if (parse_segment(route->table, text, &route->segments[route->segment_count], error) != 0)
            return -1;
        route->segment_count++;
        at += text.size;
    }
    return check_parameters(route, error);
}

enum { TIMESTAMP_DIGITS = 6 };

static int check_table(const leat_table *table, leat_error *error)
{
    if (table->key_count == 0)
        return leat_fail(error, "table %s has no primary key", table->label);
    for (uint32_t i = 0; i < table->column_count; i++) {
        const leat_column *column = &table->columns[i];
        if (column->key_position >= 0 && (column->generated || !leat_type_is_key(column->type)))
            return leat_fail(error,
                             "table %s: key column %s is %s%s, which cannot be part of a key",
                             table->label, column->name, column->generated ? "generated " : "",
                             column->type_name);
        /* The column would round, and two keys could be one row. */
        if (column->key_position >= 0 && column->type == LEAT_TYPE_TIMESTAMPTZ &&
            column->type_modifier >= 0 && column->type_modifier < TIMESTAMP_DIGITS)
            return leat_fail(
                error,
                "table %s: key column %s is %s: only timestamps of full precision can be part of a key",
                table->label, column->name, column->type_name);
    }
    return 0;
}

static int set_step(leat_route *route, uint32_t column, const leat_step_spec *spec,
                    leat_error *error)
{
    const leat_column *of = &route->table->columns[column];
    if (leat_step_make(spec, of, &route->steps[column], error) != 0)
        return leat_fail_prefix(error, "column %s: step", of->name);
    if (route->steps[column].is_set && route->ops[column] != LEAT_OP_MAX)
        return leat_fail(error, "column %s: step: only the operation max has one, not %s", of->name,
                         leat_op_name(route->ops[column]));
    return 0;
}

static int set_op(leat_route *route, const char *name, leat_column_op op,
                  const leat_step_spec *step, leat_error *error)
{
    const leat_table *table = route->table;
    int column = leat_table_column(table, leat_slice_of(name));
    if (column < 0)
        return leat_fail(error, "column %s: table %s has none of that name", name, table->label);
    if (table->columns[column].key_position >= 0 && op != LEAT_OP_SET)
        return leat_fail(error, "column %s: a key column cannot have the operation %s", name,
                         leat_op_name(op));
    if (table->columns[column].generated)
        return leat_fail(error, "column %s: is generated, never written", name);
    if ((op == LEAT_OP_MAX || op == LEAT_OP_MIN) && table->columns[column].type == LEAT_TYPE_TEXT &&
        !table->columns[column].by_bytes)
        return leat_fail(error,
                         "column %s: the operation %s on %s needs COLLATE \"C\": an order by bytes",
                         name, leat_op_name(op), table->columns[column].type_name);
    if (!leat_op_fits(op, &table->columns[column]))
        return leat_fail(error, "column %s: the operation %s does not work on %s", name,
                         leat_op_name(op), table->columns[column].type_name);
    route->ops[column] = op;
    return step ? set_step(route, (uint32_t)column, step, error) : 0;
}

static int set_tenant(leat_route *route, const char *tenant, leat_error *error)
{
    route->tenant_key_position = -1;
    if (!tenant)
        return 0;
    for (uint32_t i = 0; i < route->segment_count; i++) {
        const leat_segment *segment = &route->segments[i];
        if (segment->key_position >= 0 && strcmp(segment->text, tenant) == 0) {
            route->tenant_key_position = segment->key_position;
            return 0;
        }
    }
    return leat_fail(error, "tenant %s is not a parameter of the path", tenant);
}

static int build(const leat_route_spec *spec, leat_route *route, leat_error *error)
{
    if (check_table(route->table, error) != 0)
        return -1;
    if (route->table->row_security && !spec->accept_row_security)
        return leat_fail(
            error,
            "table %s: row security applies to leat's role, so writes to rows it hides would be lost: give "
            "the role BYPASSRLS, or set routes[].row_security: accept",
            route->table->label);
    if (parse_path(route, spec->path, error) != 0)
        return leat_fail_prefix(error, "path");
    if (set_tenant(route, spec->tenant, error) != 0)
        return -1;
    for (uint32_t i = 0; i < spec->column_count; i++)
        if (set_op(route, spec->column_names[i], spec->column_ops[i],
                   spec->column_steps ? &spec->column_steps[i] : NULL, error) != 0)
            return -1;
    return 0;
}

int leat_route_build(const leat_route_spec *spec, const leat_table *table, uint32_t table_index,
                     leat_route *ret, leat_error *error)
{
    const char *name = spec->name ? spec->name : table->name;
    if (name[0] == '\0' || strlen(name) > LEAT_NAME_MAX)
        return leat_fail(error, "route name: must have 1 to %d bytes", LEAT_NAME_MAX);
    leat_route route = {.table = table,
                        .table_index = table_index,
                        .index = ret->index,
                        .patch_existing = spec->patch_existing,
                        .fold = !spec->no_fold,
                        .accept_row_security = spec->accept_row_security,
                        .accept_untouched = spec->accept_untouched,
                        .on_refused = spec->on_refused};
    char qualified[sizeof table->schema + sizeof table->name];
    snprintf(qualified, sizeof qualified, "%s.%s", table->schema, table->name);
    route.table_hash = leat_hash(leat_slice_of(qualified));
    snprintf(route.name, sizeof route.name, "%s", name);
    if (build(spec, &route, error) != 0)
        return leat_fail_prefix(error, "route %s", name);
    *ret = route;
    return 0;
}

/* ---- All of them ---- */

/* A parameter and a literal overlap too, but there the literal wins. */
static bool same_paths(const leat_route *a, const leat_route *b)
{
    if (a->segment_count != b->segment_count)
        return false;
    for (uint32_t i = 0; i < a->segment_count; i++) {
        bool is_parameter = a->segments[i].key_position >= 0;
        if (is_parameter != (b->segments[i].key_position >= 0))
            return false;
        if (!is_parameter && strcmp(a->segments[i].text, b->segments[i].text) != 0)
            return false;
    }
    return true;
}

static int check_pair(const leat_route *a, const leat_route *b, leat_error *error)
{
    if (strcmp(a->name, b->name) == 0)
        return leat_fail(error, "two routes have the name %s", a->name);
    if (same_paths(a, b))
        return leat_fail(error, "routes %s and %s match the same paths", a->name, b->name);
    /* All writes of a row must go to one partition, whatever route they come by. */
    if (a->table_index == b->table_index && a->tenant_key_position != b->tenant_key_position)
        return leat_fail(error, "routes %s and %s write one table, %s, but have different tenants",
                         a->name, b->name, a->table->label);
    return 0;
}

int leat_routes_check(const leat_routes *routes, leat_error *error)
{
    for (uint32_t i = 0; i < routes->count; i++)
        for (uint32_t k = i + 1; k < routes->count; k++)
            if (check_pair(&routes->routes[i], &routes->routes[k], error) != 0)
                return -1;
    return 0;
}
