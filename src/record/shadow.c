/*
 * shadow.c - the shadow of a route is a route of its own, so that everything behind the log takes
 * it for one more table. It is the route with another table, and nothing about it is left to be
 * different: a comparison of the two tables would say little otherwise.
 */
#include "record/route.h"

#include <stdio.h>
#include <string.h>

#define SUFFIX ".shadow"

/* NULL, or the first column that is not the same in both. */
static const char *find_difference(const leat_table *table, const leat_table *shadow)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const leat_column *of = &table->columns[i];
        const leat_column *is = i < shadow->column_count ? &shadow->columns[i] : NULL;
        if (!is || strcmp(of->name, is->name) != 0 || of->type != is->type ||
            strcmp(of->type_name, is->type_name) != 0 || of->generated != is->generated ||
            of->key_position != is->key_position)
            return of->name;
    }
    return shadow->column_count > table->column_count ? shadow->columns[table->column_count].name
                                                      : NULL;
}

int leat_routes_add_shadow(leat_routes *routes, uint32_t index, const leat_table *table,
                           uint32_t table_index, leat_error *error)
{
    LEAT_ASSERT(index < routes->count && routes->count < LEAT_ROUTES_MAX);
    leat_route *of = &routes->routes[index], *shadow = &routes->routes[routes->count];
    const char *column = find_difference(of->table, table);
    if (column)
        return leat_fail(error,
                         "table %s cannot be the shadow of %s: column %s is not the same in both "
                         "(make it by: CREATE TABLE %s (LIKE %s INCLUDING ALL))",
                         table->label, of->table->label, column, table->label, of->table->label);
    if (strlen(of->name) + strlen(SUFFIX) > LEAT_NAME_MAX)
        return leat_fail(error, "route %s: its name is too long for one with a shadow (at most %d)",
                         of->name, (int)(LEAT_NAME_MAX - strlen(SUFFIX)));
    *shadow = *of;
    char qualified[sizeof table->schema + sizeof table->name];
    snprintf(qualified, sizeof qualified, "%s.%s", table->schema, table->name);
    memcpy(shadow->name + strlen(of->name), SUFFIX, sizeof SUFFIX);
    shadow->index = routes->count++;
    shadow->table = table;
    shadow->table_index = table_index;
    shadow->table_hash = leat_hash(leat_slice_of(qualified));
    shadow->mode = LEAT_MODE_ASYNC;
    shadow->on_refused = LEAT_ON_REFUSED_SKIP;
    shadow->is_shadow = true;
    of->shadow = (int8_t)shadow->index;
    routes->shadow_count++;
    return 0;
}
