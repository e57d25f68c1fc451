#include "sink/pg/statement.h"

#include <string.h>

#include "sink/identifier.h"
#include "sink/pg/sql_writer.h"

/* ---- MERGE ---- */

static leat_row_base update_base(const leat_sql_writer *writer)
{
    return writer->shape->op == LEAT_PUT ? LEAT_FROM_DEFAULTS : LEAT_FROM_STORED;
}

static void put_assignments(const leat_sql_writer *writer, uint32_t first)
{
    uint32_t count = writer->table->column_count;
    leat_buf_text(writer->out, " SET ");
    for (uint32_t i = first; i < count; i = leat_sql_next_written(writer, i + 1)) {
        leat_buf_text(writer->out, i == first ? "" : ", ");
        leat_put_identifier(writer->out, writer->table->columns[i].name);
        leat_buf_text(writer->out, " = ");
        if (leat_sql_is_named(writer, i))
            leat_sql_put_new(writer, i, update_base(writer));
        else
            leat_buf_text(writer->out, "DEFAULT"); /* the table's own of now */
    }
}

static void put_update(const leat_sql_writer *writer)
{
    uint32_t first = leat_sql_next_written(writer, 0);
    if (first == writer->table->column_count)
        return;
    leat_buf_text(writer->out, " WHEN MATCHED AND ");
    leat_sql_put_any_differs(writer, first, update_base(writer));
    leat_buf_text(writer->out, " THEN UPDATE");
    put_assignments(writer, first);
}

/* Columns that no row names are left out: the table knows their defaults. */
static void put_insert_columns(const leat_sql_writer *writer)
{
    const leat_table *table = writer->table;
    leat_buf_text(writer->out, " (");
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_text(writer->out, i > 0 ? ", " : "");
        leat_put_identifier(writer->out, table->columns[table->key_columns[i]].name);
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sql_is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        leat_put_identifier(writer->out, table->columns[i].name);
    }
    leat_buf_byte(writer->out, ')');
}

static void put_insert_values(const leat_sql_writer *writer)
{
    const leat_table *table = writer->table;
    for (uint32_t i = 0; i < table->key_count; i++)
        leat_buf_printf(writer->out, "%ss.k%u", i > 0 ? ", " : "", i);
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sql_is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        leat_sql_put_new(writer, i, LEAT_FROM_DEFAULTS);
    }
}

static void put_not_matched(const leat_sql_writer *writer)
{
    leat_buf_text(writer->out, " WHEN NOT MATCHED THEN ");
    if (leat_shape_counts_missing(writer->shape)) {
        leat_buf_text(writer->out, "DO NOTHING");
        return;
    }
    leat_buf_text(writer->out, "INSERT");
    put_insert_columns(writer);
    leat_buf_text(writer->out, " VALUES (");
    put_insert_values(writer);
    leat_buf_byte(writer->out, ')');
}

/* Of a table with rules MERGE is refused, where DELETE would be rewritten without a word. */
static void put_merge(const leat_sql_writer *writer)
{
    leat_buf_text(writer->out, "MERGE INTO ");
    leat_sql_put_table(writer);
    leat_buf_text(writer->out, " USING ");
    leat_sql_put_rows(writer);
    leat_buf_text(writer->out, " AS s ON ");
    leat_sql_put_key_match(writer);
    if (writer->shape->op == LEAT_DELETE) {
        leat_buf_text(writer->out, " WHEN MATCHED THEN DELETE");
        return;
    }
    put_update(writer);
    put_not_matched(writer);
}

/* ---- where a BEFORE trigger may drop a row ---- */

/* MERGE does not tell how many rows it has touched but to the client, which knows it after the
 * commit. So the same is done by its parts, which do, against what is to be done by the same
 * snapshot. */
typedef struct parts {
    uint32_t first_updated; /* column; `column_count`: nothing is updated */
    bool updates;
    bool inserts;
    bool deletes;
} parts;

static parts parts_of(const leat_sql_writer *writer)
{
    bool is_delete = writer->shape->op == LEAT_DELETE;
    uint32_t first = leat_sql_next_written(writer, 0);
    return (parts){.first_updated = first,
                   .updates = !is_delete && first < writer->table->column_count,
                   .inserts = !is_delete && !leat_shape_counts_missing(writer->shape),
                   .deletes = is_delete};
}

/* Of constants it is the same whenever it is asked for; a function is called, and may say something
 * else each time. */
static bool is_default_called(const leat_column *column)
{
    return column->default_expression && strchr(column->default_expression, '(');
}

/* What the rows touched are compared with must not depend on a default that is another the next
 * time: such a PUT writes its row in any case. Nor is there then a condition on the row for which
 * the planner would call the function, under leat's settings. */
static void put_touches(const leat_sql_writer *writer, uint32_t first)
{
    bool is_called = false;
    for (uint32_t i = first; i < writer->table->column_count;
         i = leat_sql_next_written(writer, i + 1))
        is_called = is_called || is_default_called(&writer->table->columns[i]);
    if (is_called && update_base(writer) == LEAT_FROM_DEFAULTS)
        leat_buf_text(writer->out, "true");
    else
        leat_sql_put_any_differs(writer, first, update_base(writer));
}

static void put_update_part(const leat_sql_writer *writer, uint32_t first)
{
    leat_buf_text(writer->out, ", u AS (UPDATE ");
    leat_sql_put_table(writer);
    put_assignments(writer, first);
    leat_buf_text(writer->out, " FROM s WHERE ");
    leat_sql_put_key_match(writer);
    leat_buf_text(writer->out, " AND ");
    put_touches(writer, first);
    leat_buf_text(writer->out, " RETURNING 1)");
}

static void put_insert_part(const leat_sql_writer *writer)
{
    leat_buf_text(writer->out, ", i AS (INSERT INTO ");
    leat_sql_put_table(writer);
    put_insert_columns(writer);
    leat_buf_text(writer->out, " SELECT ");
    put_insert_values(writer);
    leat_buf_text(writer->out, " FROM s WHERE NOT EXISTS (SELECT FROM ");
    leat_sql_put_table(writer);
    leat_buf_text(writer->out, " WHERE ");
    leat_sql_put_key_match(writer);
    leat_buf_text(writer->out, ") RETURNING 1)");
}

static void put_delete_part(const leat_sql_writer *writer)
{
    leat_buf_text(writer->out, ", d AS (DELETE FROM ");
    leat_sql_put_table(writer);
    leat_buf_text(writer->out, " USING s WHERE ");
    leat_sql_put_key_match(writer);
    leat_buf_text(writer->out, " RETURNING 1)");
}

static void put_wanted(const leat_sql_writer *writer, const parts *of)
{
    leat_buf_printf(writer->out, "(SELECT pg_catalog.count(*) FROM s %sJOIN ",
                    of->inserts ? "LEFT " : "");
    leat_sql_put_table(writer);
    leat_buf_text(writer->out, " ON ");
    leat_sql_put_key_match(writer);
    leat_buf_text(writer->out, of->inserts || of->updates ? " WHERE " : "");
    if (of->inserts) {
        leat_sql_put_stored(writer, writer->table->key_columns[0]);
        leat_buf_printf(writer->out, " IS NULL%s", of->updates ? " OR " : "");
    }
    if (of->updates)
        put_touches(writer, of->first_updated);
    leat_buf_byte(writer->out, ')');
}

static void put_parts(const leat_sql_writer *writer, const parts *of)
{
    leat_buf_text(writer->out, "s AS MATERIALIZED ");
    leat_sql_put_rows(writer);
    if (of->updates)
        put_update_part(writer, of->first_updated);
    if (of->inserts)
        put_insert_part(writer);
    if (of->deletes)
        put_delete_part(writer);
    leat_buf_text(writer->out, " SELECT leat.must_touch(");
    leat_sql_put_target(writer);
    leat_buf_text(writer->out, ", ");
    put_wanted(writer, of);
    leat_buf_printf(writer->out, ", %s%s%s%s)",
                    of->updates ? "(SELECT pg_catalog.count(*) FROM u)" : "",
                    of->updates && of->inserts ? " + " : "",
                    of->inserts ? "(SELECT pg_catalog.count(*) FROM i)" : "",
                    of->deletes ? "(SELECT pg_catalog.count(*) FROM d)" : "");
}

/* ---- the statement ---- */

static bool is_counted(const leat_sql_writer *writer, const parts *of)
{
    bool touches = of->updates || of->inserts || of->deletes;
    bool may_be_dropped = writer->table->row_triggers & leat_shape_events(writer->shape);
    return touches && may_be_dropped && !writer->shape->route->accept_untouched;
}

void leat_statement_build(const leat_shape *shape, leat_buf *out)
{
    leat_sql_writer writer = {shape, shape->route->table, out};
    LEAT_ASSERT(shape->op != LEAT_DELETE || (shape->columns == 0 && shape->uniform));
    LEAT_ASSERT((shape->operated & ~shape->columns) == 0);
    parts of = parts_of(&writer);
    bool counted = is_counted(&writer, &of), is_read = leat_sql_is_any_text_read(&writer);
    leat_buf_text(out, counted || is_read ? "WITH " : "");
    if (is_read) {
        leat_sql_put_read_rows(&writer);
        leat_buf_text(out, counted ? ", " : " ");
    }
    if (counted)
        put_parts(&writer, &of);
    else
        put_merge(&writer);
}

void leat_statement_build_missing(const leat_shape *shape, leat_buf *out)
{
    leat_sql_writer writer = {shape, shape->route->table, out};
    LEAT_ASSERT(leat_shape_counts_missing(shape));
    leat_buf_text(out, "SELECT coalesce(sum(s.n), 0)::int8 FROM (");
    uint32_t number = leat_sql_put_keys(&writer);
    leat_buf_printf(out, ", unnest($%u::int4[]) AS n) AS s WHERE NOT EXISTS (SELECT FROM ", number);
    leat_sql_put_table(&writer);
    leat_buf_text(out, " WHERE ");
    leat_sql_put_key_match(&writer);
    leat_buf_byte(out, ')');
}
