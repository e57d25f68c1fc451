/*
 * statement_rows.c - the rows of a statement: arrays, unnested side by side, after the checks of
 * leat.enter. The checks are in the rows' subquery as a condition without columns, which PostgreSQL
 * evaluates once, after planning and before the first row: the one moment at which leat's planner
 * settings are no longer needed and no trigger has run yet.
 */
#include "sink/pg/sql_writer.h"
#include "sink/pg/statement.h"

#include <string.h>

typedef struct type_info {
    const char *array; /* the parameter is cast to this */
    uint32_t oid;      /* of the element */
} type_info;

static const type_info types[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = {"bool[]", 16},
    [LEAT_TYPE_INT2] = {"int2[]", 21},
    [LEAT_TYPE_INT4] = {"int4[]", 23},
    [LEAT_TYPE_INT8] = {"int8[]", 20},
    [LEAT_TYPE_FLOAT4] = {"float4[]", 700},
    [LEAT_TYPE_FLOAT8] = {"float8[]", 701},
    [LEAT_TYPE_NUMERIC] = {"numeric[]", 1700},
    [LEAT_TYPE_TEXT] = {"text[]", 25},
    [LEAT_TYPE_UUID] = {"uuid[]", 2950},
    [LEAT_TYPE_DATE] = {"date[]", 1082},
    [LEAT_TYPE_TIME] = {"time[]", 1083},
    [LEAT_TYPE_TIMESTAMP] = {"timestamp[]", 1114},
    [LEAT_TYPE_TIMESTAMPTZ] = {"timestamptz[]", 1184},
    [LEAT_TYPE_BYTEA] = {"bytea[]", 17},
    [LEAT_TYPE_JSONB] = {"jsonb[]", 3802},
    [LEAT_TYPE_JSON] = {"json[]", 114},
    [LEAT_TYPE_OTHER] = {"text[]", 25},
};

uint32_t leat_statement_element_oid(leat_type type)
{
    LEAT_ASSERT(type < LEAT_TYPE_COUNT && types[type].oid != 0);
    return types[type].oid;
}

/* The number of int8[] masks that follow the columns' arrays. */
static uint32_t mask_count(const leat_shape *shape)
{
    if (shape->uniform)
        return 0;
    return shape->operated != 0 ? 2 : 1;
}

static void put_rounded_list(const leat_sql_writer *writer, bool names)
{
    bool first = true;
    for (uint32_t i = 0; i < writer->table->column_count; i++) {
        const leat_column *column = &writer->table->columns[i];
        if (!leat_sql_is_named(writer, i) || !leat_sql_is_rounded(column))
            continue;
        leat_buf_text(writer->out, first ? "" : ", ");
        first = false;
        if (names)
            leat_sql_put_literal(writer->out, column->name);
        else
            leat_buf_printf(writer->out, "%d", column->type_modifier);
    }
}

static bool is_any_rounded(const leat_sql_writer *writer)
{
    for (uint32_t i = 0; i < writer->table->column_count; i++)
        if (leat_sql_is_named(writer, i) && leat_sql_is_rounded(&writer->table->columns[i]))
            return true;
    return false;
}

/* Evaluated once for the statement, because the subquery refers to no row. By then the statement
 * has locked the table, and its snapshot is younger than the lock. */
static void put_modifier_check(const leat_sql_writer *writer)
{
    if (!is_any_rounded(writer))
        return;
    leat_buf_text(writer->out, "(SELECT leat.check_modifiers(");
    leat_sql_put_literal(writer->out, writer->table->schema);
    leat_buf_text(writer->out, ", ");
    leat_sql_put_literal(writer->out, writer->table->name);
    leat_buf_text(writer->out, ", ARRAY[");
    put_rounded_list(writer, true);
    leat_buf_text(writer->out, "], ARRAY[");
    put_rounded_list(writer, false);
    leat_buf_text(writer->out, "])) AND ");
}

/* The condition before the first row: see leat.enter. Where texts are read first, it counts the
 * rows of `read`, so that all of them are read before. */
static void put_entrance(const leat_sql_writer *writer, const char *read)
{
    const leat_route *route = writer->shape->route;
    leat_buf_text(writer->out, " WHERE ");
    put_modifier_check(writer);
    leat_buf_text(writer->out, "(SELECT leat.enter(");
    leat_sql_put_target(writer);
    leat_buf_printf(writer->out, ", %d, %d, %s",
                    route->accept_untouched ? LEAT_ON_ANY : writer->table->row_triggers,
                    writer->table->statement_triggers,
                    route->accept_row_security ? "true" : "false");
    if (read)
        leat_buf_printf(writer->out, ", pg_catalog.count(*)) FROM %s)", read);
    else
        leat_buf_text(writer->out, "))");
}

static void put_array(const leat_sql_writer *writer, uint32_t *number, leat_type type,
                      const char *prefix, uint32_t name)
{
    LEAT_ASSERT(type < LEAT_TYPE_COUNT);
    leat_buf_printf(writer->out, "%sunnest($%u::%s) AS %s%u", *number > 1 ? ", " : "", *number,
                    types[type].array, prefix, name);
    ++*number;
}

/* In a select list set-returning functions run side by side; in FROM each would fill a tuple store
 * first. */
uint32_t leat_sql_put_keys(const leat_sql_writer *writer)
{
    LEAT_ASSERT(writer->table->key_count > 0);
    const leat_table *table = writer->table;
    uint32_t number = 1;
    leat_buf_text(writer->out, "SELECT ");
    for (uint32_t i = 0; i < table->key_count; i++)
        put_array(writer, &number, table->columns[table->key_columns[i]].type, "k", i);
    return number;
}

void leat_sql_put_arrays(const leat_sql_writer *writer)
{
    uint32_t number = leat_sql_put_keys(writer);
    for (uint32_t i = 0; i < writer->table->column_count; i++)
        if (leat_sql_is_named(writer, i))
            put_array(writer, &number, writer->table->columns[i].type, "c", i);
    if (mask_count(writer->shape) > 0)
        leat_buf_printf(writer->out, ", unnest($%u::int8[]) AS p", number);
    if (mask_count(writer->shape) > 1)
        leat_buf_printf(writer->out, ", unnest($%u::int8[]) AS o", number + 1);
}

static bool is_text_read(const leat_sql_writer *writer, uint32_t column)
{
    return leat_sql_is_named(writer, column) &&
           writer->table->columns[column].type == LEAT_TYPE_OTHER;
}

bool leat_sql_is_any_text_read(const leat_sql_writer *writer)
{
    for (uint32_t i = 0; i < writer->table->column_count; i++)
        if (is_text_read(writer, i))
            return true;
    return false;
}

/* A decimal number for money is read as numeric first: money's own text depends on the locale. */
static void put_cast(const leat_sql_writer *writer, uint32_t column, const char *type)
{
    LEAT_ASSERT(writer->table->columns[column].type == LEAT_TYPE_OTHER);
    if (strcmp(type, "money") == 0)
        leat_buf_printf(writer->out,
                        "CASE WHEN s.c%u ~ '^-?[0-9]+([.][0-9]+)?$' THEN s.c%u::numeric::money"
                        " ELSE s.c%u::money END",
                        column, column, column);
    else
        leat_buf_printf(writer->out, "s.c%u::%s", column, type);
}

/* A row that does not name the column must not make a domain check NULL. A subquery without a row
 * gives a NULL that was never cast. */
void leat_sql_put_read_text(const leat_sql_writer *writer, uint32_t column, const char *type)
{
    LEAT_ASSERT(is_text_read(writer, column));
    if (writer->shape->uniform) {
        put_cast(writer, column, type);
        return;
    }
    leat_buf_text(writer->out, "(SELECT ");
    put_cast(writer, column, type);
    leat_buf_text(writer->out, " WHERE ");
    leat_sql_put_row_has(writer, 'p', column);
    leat_buf_byte(writer->out, ')');
}

/* The rows with their texts cast to the columns' types: all of them, before leat.enter restores the
 * settings. */
void leat_sql_put_read_rows(const leat_sql_writer *writer)
{
    leat_buf_text(writer->out, "r AS MATERIALIZED (SELECT ");
    for (uint32_t i = 0; i < writer->table->key_count; i++)
        leat_buf_printf(writer->out, "%ss.k%u", i > 0 ? ", " : "", i);
    for (uint32_t i = 0; i < writer->table->column_count; i++) {
        if (!leat_sql_is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        if (is_text_read(writer, i))
            leat_sql_put_read_text(writer, i, writer->table->columns[i].cast_name);
        else
            leat_buf_printf(writer->out, "s.c%u", i);
        leat_buf_printf(writer->out, " AS c%u", i);
    }
    leat_buf_text(writer->out, mask_count(writer->shape) > 0 ? ", s.p" : "");
    leat_buf_text(writer->out, mask_count(writer->shape) > 1 ? ", s.o" : "");
    leat_buf_text(writer->out, " FROM (");
    leat_sql_put_arrays(writer);
    leat_buf_text(writer->out, ") AS s WHERE (SELECT leat.read_texts()))");
}

void leat_sql_put_rows(const leat_sql_writer *writer)
{
    bool is_read = leat_sql_is_any_text_read(writer);
    leat_buf_byte(writer->out, '(');
    if (is_read)
        leat_buf_text(writer->out, "SELECT * FROM r");
    else
        leat_sql_put_arrays(writer);
    put_entrance(writer, is_read ? "r" : NULL);
    leat_buf_byte(writer->out, ')');
}

void leat_sql_put_key_match(const leat_sql_writer *writer)
{
    LEAT_ASSERT(writer->table->key_count > 0);
    for (uint32_t i = 0; i < writer->table->key_count; i++) {
        leat_buf_text(writer->out, i > 0 ? " AND " : "");
        leat_sql_put_stored(writer, writer->table->key_columns[i]);
        leat_buf_printf(writer->out, " = s.k%u", i);
    }
}
