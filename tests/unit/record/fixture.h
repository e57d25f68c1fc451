/* What the tests of src/record share: columns and tables made by hand, and the main of a TAP test
 * program. */
#ifndef RECORD_FIXTURE_H
#define RECORD_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/route.h"
#include "record/table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static inline leat_column fixture_column(const char *name, leat_type type, int32_t type_modifier)
{
    leat_column column = {.type = type, .type_modifier = type_modifier, .key_position = -1};
    snprintf(column.name, sizeof column.name, "%.*s", LEAT_NAME_MAX, name);
    snprintf(column.type_name, sizeof column.type_name, "%s", leat_type_name(type));
    snprintf(column.cast_name, sizeof column.cast_name, "%s", leat_type_name(type));
    return column;
}

static inline leat_column *fixture_add(leat_table *table, const char *name, leat_type type,
                                       int32_t type_modifier)
{
    leat_column *column = &table->columns[table->column_count++];
    *column = fixture_column(name, type, type_modifier);
    return column;
}

static inline void fixture_add_key(leat_table *table, const char *name, leat_type type,
                                   int32_t type_modifier)
{
    leat_column *column = fixture_add(table, name, type, type_modifier);
    column->not_null = true;
    column->key_position = (int8_t)table->key_count;
    table->key_columns[table->key_count++] = table->column_count - 1;
}

static inline leat_table fixture_empty_table(const char *name)
{
    leat_table table = {.schema = "public"};
    snprintf(table.name, sizeof table.name, "%s", name);
    snprintf(table.label, sizeof table.label, "%s", name);
    return table;
}

/* Key (app_id int4, device text), and a column of each type. */
static inline leat_table fixture_table(void)
{
    leat_table table = fixture_empty_table("subscriptions");
    fixture_add(&table, "note", LEAT_TYPE_TEXT, -1);
    fixture_add_key(&table, "app_id", LEAT_TYPE_INT4, -1);
    fixture_add_key(&table, "device", LEAT_TYPE_TEXT, 20 + 4);
    fixture_add(&table, "active", LEAT_TYPE_BOOL, -1);
    fixture_add(&table, "small", LEAT_TYPE_INT2, -1);
    fixture_add(&table, "sessions", LEAT_TYPE_INT8, -1)->not_null = true;
    fixture_add(&table, "score", LEAT_TYPE_FLOAT8, -1);
    fixture_add(&table, "price", LEAT_TYPE_NUMERIC, ((5 << 16) | 2) + 4);
    fixture_add(&table, "ref", LEAT_TYPE_UUID, -1);
    fixture_add(&table, "seen", LEAT_TYPE_TIMESTAMPTZ, -1);
    fixture_add(&table, "tags", LEAT_TYPE_JSONB, -1);
    fixture_add(&table, "made", LEAT_TYPE_INT8, -1)->generated = true;
    fixture_add(&table, "ratio", LEAT_TYPE_FLOAT4, -1);
    fixture_add(&table, "born", LEAT_TYPE_DATE, -1);
    fixture_add(&table, "opens", LEAT_TYPE_TIME, -1);
    fixture_add(&table, "local", LEAT_TYPE_TIMESTAMP, -1);
    fixture_add(&table, "raw", LEAT_TYPE_BYTEA, -1);
    fixture_add(&table, "doc", LEAT_TYPE_JSON, -1);
    fixture_add(&table, "mood", LEAT_TYPE_OTHER, -1);
    fixture_add(&table, "list", LEAT_TYPE_OTHER, -1)->is_array = true;
    leat_column *level = fixture_add(&table, "level", LEAT_TYPE_INT4, -1);
    level->not_null = true;
    level->default_expression = leat_must_strdup("5");
    return table;
}

static inline leat_route fixture_route(const leat_table *table, const char *path)
{
    leat_route route = {0};
    leat_error error = {""};
    leat_route_spec spec = {.path = path};
    ck_assert_msg(leat_route_build(&spec, table, 0, &route, &error) == 0, "%s", error.text);
    return route;
}

/* Meson counts the failures in the TAP output; another exit code would say that the program itself
 * broke. */
static inline int fixture_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}

#endif
