/*
 * The tables that the fuzz targets write to, made without a database.
 */
#include "tables.h"

#include <stdio.h>

static void add_column(leat_table *table, const fuzz_column *from, bool is_key)
{
    leat_column *column = &table->columns[table->column_count];
    *column = (leat_column){.type = from->type,
                            .type_modifier = from->type_modifier,
                            .key_position = -1,
                            .by_bytes = true,
                            .not_null = from->not_null || is_key};
    snprintf(column->name, sizeof column->name, "%s", from->name);
    snprintf(column->type_name, sizeof column->type_name, "%s", leat_type_name(from->type));
    snprintf(column->cast_name, sizeof column->cast_name, "%s", leat_type_name(from->type));
    column->default_expression = from->default_text ? leat_must_strdup(from->default_text) : NULL;
    if (is_key) {
        column->key_position = (int8_t)table->key_count;
        table->key_columns[table->key_count++] = table->column_count;
    }
    table->column_count++;
}

void fuzz_route(const char *path, const fuzz_column *columns, uint32_t count, uint32_t key_count,
                leat_route *ret)
{
    leat_table *table = leat_must_calloc(1, sizeof *table);
    leat_error error;
    snprintf(table->schema, sizeof table->schema, "public");
    snprintf(table->name, sizeof table->name, "t");
    snprintf(table->label, sizeof table->label, "t");
    for (uint32_t i = 0; i < count; i++)
        add_column(table, &columns[i], i < key_count);
    leat_route_spec spec = {.name = "t", .path = path};
    LEAT_ASSERT(leat_route_build(&spec, table, 0, ret, &error) == 0);
    for (uint32_t i = 0; i < count; i++)
        ret->ops[i] = columns[i].op;
}
