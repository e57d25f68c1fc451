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

bool leat_mode_by_name(const char *name, leat_mode *ret)
{
    static const char *const names[LEAT_MODE_COUNT] = {[LEAT_MODE_ASYNC] = "async",
                                                       [LEAT_MODE_SYNC] = "sync",
                                                       [LEAT_MODE_SHADOW] = "shadow",
                                                       [LEAT_MODE_LIVE] = "live"};
    for (unsigned i = 0; i < LEAT_MODE_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (leat_mode)i;
            return true;
        }
    }
    return false;
}

uint64_t leat_route_held_hash(const leat_route *route, leat_slice canonical)
{
    uint64_t hash = leat_hash_seeded(canonical, route->table_hash);
    return hash ? hash : 1;
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

static uint32_t count_in_path(const leat_route *route, uint32_t position)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < route->segment_count; i++)
        count += route->segments[i].key_position == (int)position;
    return count;
}

/* Is this column of the primary key the tenant, and not in the path? */
static bool comes_from_elsewhere(const leat_route *route, uint32_t position)
{
    return route->tenant_from != LEAT_TENANT_IN_PATH && !route->tenant_leads &&
           route->tenant_key_position == (int)position;
}

static int check_parameters(const leat_route *route, leat_error *error)
{
    const leat_table *table = route->table;
    for (uint32_t position = 0; position < table->key_count; position++) {
        uint32_t count = count_in_path(route, position);
        const char *name = table->columns[table->key_columns[position]].name;
        if (count != 1 && !comes_from_elsewhere(route, position))
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
    return 0;
}

enum { TIMESTAMP_DIGITS = 6 };

static int check_key_column(const leat_table *table, const leat_column *column, leat_error *error)
{
    if (column->generated || !leat_type_is_key(column->type))
        return leat_fail(error, "table %s: key column %s is %s%s, which cannot be part of a key",
                         table->label, column->name, column->generated ? "generated " : "",
                         column->type_name);
    /* The column would round, and two keys could be one row. */
    if (column->type == LEAT_TYPE_TIMESTAMPTZ && column->type_modifier >= 0 &&
        column->type_modifier < TIMESTAMP_DIGITS)
        return leat_fail(
            error,
            "table %s: key column %s is %s: only timestamps of full precision can be part of a key",
            table->label, column->name, column->type_name);
    return 0;
}

static int check_table(const leat_table *table, leat_error *error)
{
    if (table->key_count == 0)
        return leat_fail(error, "table %s has no primary key", table->label);
    for (uint32_t i = 0; i < table->key_count; i++)
        if (check_key_column(table, &table->columns[table->key_columns[i]], error) != 0)
            return -1;
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

/* ---- The tenant ---- */

static bool is_in_path(leat_route *route, const char *tenant)
{
    for (uint32_t i = 0; i < route->segment_count; i++) {
        const leat_segment *segment = &route->segments[i];
        if (segment->key_position < 0 || strcmp(segment->text, tenant) != 0)
            continue;
        route->tenant_key_position = segment->key_position;
        return true;
    }
    return false;
}

/* A member with the name of a column of the primary key is that column; any other leads. */
static int set_tenant_of_body(leat_route *route, leat_error *error)
{
    const leat_table *table = route->table;
    int column = leat_table_column(table, leat_slice_of(route->tenant_name));
    int position = column < 0 ? -1 : table->columns[column].key_position;
    if (position >= 0 && count_in_path(route, (uint32_t)position) > 0)
        return leat_fail(error, "tenant body.%s: {%s} is in the path, so the tenant is %s",
                         route->tenant_name, route->tenant_name, route->tenant_name);
    if (column >= 0 && check_key_column(table, &table->columns[column], error) != 0)
        return leat_fail_prefix(error, "tenant body.%s", route->tenant_name);
    route->tenant_leads = position < 0;
    route->tenant_key_position = (int8_t)(position < 0 ? 0 : position);
    route->tenant_column = (int8_t)(position < 0 ? column : -1);
    return 0;
}

/* It is the one column of the primary key that the path leaves out; where it leaves out none, the
 * tenant leads and has no column. */
static int set_tenant_of_request(leat_route *route, leat_error *error)
{
    int left_out = -1;
    for (uint32_t i = 0; i < route->table->key_count; i++) {
        if (count_in_path(route, i) > 0)
            continue;
        if (left_out >= 0)
            return leat_fail(error,
                             "tenant %s: the path leaves out more than one column of the primary "
                             "key of %s",
                             route->tenant_name, route->table->label);
        left_out = (int)i;
    }
    if (left_out < 0 && route->tenant_from == LEAT_TENANT_IN_TOKEN)
        return leat_fail(error,
                         "tenant token: it must be a column of the primary key of %s that the path "
                         "leaves out, or a token for one tenant would write any tenant's rows",
                         route->table->label);
    route->tenant_leads = left_out < 0;
    route->tenant_key_position = (int8_t)(left_out < 0 ? 0 : left_out);
    route->tenant_column = -1;
    return 0;
}

static const struct {
    const char *prefix;
    leat_tenant_from from;
    int (*set)(leat_route *route, leat_error *error);
} tenant_places[] = {
    {"body.", LEAT_TENANT_IN_BODY, set_tenant_of_body},
    {"header.", LEAT_TENANT_IN_HEADER, set_tenant_of_request},
};

static int name_tenant(leat_route *route, const char *name, leat_error *error)
{
    if (*name == '\0' || strlen(name) > LEAT_NAME_MAX)
        return leat_fail(error, "tenant: a name has 1 to %d bytes", LEAT_NAME_MAX);
    for (size_t i = 0; name[i]; i++) {
        bool is_capital = route->tenant_from == LEAT_TENANT_IN_HEADER && name[i] >= 'A' &&
                          name[i] <= 'Z';
        route->tenant_name[i] = is_capital ? (char)(name[i] - 'A' + 'a') : name[i];
    }
    return 0;
}

static int set_tenant(leat_route *route, const char *tenant, leat_error *error)
{
    route->tenant_key_position = -1;
    route->tenant_column = -1;
    if (!tenant || is_in_path(route, tenant))
        return 0;
    if (strcmp(tenant, "token") == 0) {
        route->tenant_from = LEAT_TENANT_IN_TOKEN;
        return name_tenant(route, tenant, error) != 0 ? -1 : set_tenant_of_request(route, error);
    }
    for (size_t i = 0; i < sizeof tenant_places / sizeof *tenant_places; i++) {
        size_t size = strlen(tenant_places[i].prefix);
        if (strncmp(tenant, tenant_places[i].prefix, size) != 0)
            continue;
        route->tenant_from = tenant_places[i].from;
        return name_tenant(route, tenant + size, error) != 0 ? -1
                                                             : tenant_places[i].set(route, error);
    }
    return leat_fail(
        error, "tenant %s is not a parameter of the path (nor body.NAME, header.NAME or token)",
        tenant);
}

/* ---- Members that are no column ---- */

static int set_other(leat_route *route, const char *other, leat_error *error)
{
    const leat_table *table = route->table;
    route->other_column = -1;
    if (!other || strcmp(other, "refuse") == 0)
        return 0;
    route->other = strcmp(other, "drop") == 0 ? LEAT_OTHER_DROP : LEAT_OTHER_COLLECT;
    if (route->other == LEAT_OTHER_DROP)
        return 0;
    int index = leat_table_column(table, leat_slice_of(other));
    if (index < 0)
        return leat_fail(error, "other: table %s has no column %s (refuse, drop, or a column)",
                         table->label, other);
    const leat_column *column = &table->columns[index];
    if (column->generated || (column->type != LEAT_TYPE_JSONB && column->type != LEAT_TYPE_JSON))
        return leat_fail(error, "other: column %s is %s%s, and only jsonb or json collects members",
                         other, column->generated ? "generated " : "", column->type_name);
    if (route->ops[index] != LEAT_OP_SET && route->ops[index] != LEAT_OP_MERGE)
        return leat_fail(error,
                         "other: column %s has the operation %s, and collects with set or merge",
                         other, leat_op_name(route->ops[index]));
    route->other_column = (int8_t)index;
    return 0;
}

/* ---- The whole ---- */

static int check_tenant_column(const leat_route *route, leat_error *error)
{
    if (!route->tenant_leads || route->tenant_column < 0 ||
        route->ops[route->tenant_column] == LEAT_OP_SET)
        return 0;
    return leat_fail(error, "column %s: the tenant's column cannot have the operation %s",
                     route->tenant_name, leat_op_name(route->ops[route->tenant_column]));
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
    if (check_parameters(route, error) != 0)
        return leat_fail_prefix(error, "path");
    for (uint32_t i = 0; i < spec->column_count; i++)
        if (set_op(route, spec->column_names[i], spec->column_ops[i],
                   spec->column_steps ? &spec->column_steps[i] : NULL, error) != 0)
            return -1;
    if (check_tenant_column(route, error) != 0)
        return -1;
    return set_other(route, spec->other, error);
}

int leat_route_build(const leat_route_spec *spec, const leat_table *table, uint32_t table_index,
                     leat_route *ret, leat_error *error)
{
    const char *name = spec->name ? spec->name : table->name;
    LEAT_ASSERT(!(spec->put_merge && spec->patch_existing));
    if (name[0] == '\0' || strlen(name) > LEAT_NAME_MAX)
        return leat_fail(error, "route name: must have 1 to %d bytes", LEAT_NAME_MAX);
    leat_route route = {.table = table,
                        .table_index = table_index,
                        .index = ret->index,
                        .patch_existing = spec->patch_existing,
                        .put_merge = spec->put_merge,
                        .fold = !spec->no_fold,
                        .accept_row_security = spec->accept_row_security,
                        .accept_untouched = spec->accept_untouched,
                        .on_refused = spec->on_refused,
                        .mode = spec->mode,
                        .shadow = -1};
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

/* Have their keys the same parts, and the tenant among them? */
static bool same_tenants(const leat_route *a, const leat_route *b)
{
    if (a->tenant_key_position != b->tenant_key_position || a->tenant_leads != b->tenant_leads)
        return false;
    return !a->tenant_leads || a->tenant_column == b->tenant_column;
}

static int check_pair(const leat_route *a, const leat_route *b, leat_error *error)
{
    if (strcmp(a->name, b->name) == 0)
        return leat_fail(error, "two routes have the name %s", a->name);
    if (a->is_shadow || b->is_shadow)
        return a->table_index != b->table_index
                   ? 0
                   : leat_fail(error, "routes %s and %s write one table, %s, which is a shadow",
                               a->name, b->name, a->table->label);
    if (same_paths(a, b))
        return leat_fail(error, "routes %s and %s match the same paths", a->name, b->name);
    /* All writes of a row must go to one partition, whatever route they come by. */
    if (a->table_index == b->table_index && !same_tenants(a, b))
        return leat_fail(error, "routes %s and %s write one table, %s, but have different tenants",
                         a->name, b->name, a->table->label);
    if (a->table_index == b->table_index && a->mode != b->mode)
        return leat_fail(error, "routes %s and %s write one table, %s, but have different modes",
                         a->name, b->name, a->table->label);
    /* Each route has shares of its own, so one row would go both ways. */
    if (a->table_index == b->table_index && a->mode == LEAT_MODE_LIVE)
        return leat_fail(error,
                         "routes %s and %s write one table, %s, and both are live: only one route "
                         "of a table can be",
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
