/*
 * statement.c - one row statement as text. Many rows go by one MERGE with an array for each column,
 * because a statement for each row would cost a parse, a plan and an execution each. A row that
 * would not change is neither written nor locked, so that a PUT of a row that is already stored
 * costs no write. Where a trigger may drop rows silently the MERGE is taken apart, since it cannot
 * report how many rows it has touched and its parts can.
 *
 * The examples below are for a table counters (id int PRIMARY KEY, n int, note text) whose route
 * adds to n, broken into lines; a test compares them with what is built.
 */
#include "sink/pg/statement.h"

#include <string.h>

#include "sink/identifier.h"
#include "sink/pg/sql_writer.h"

/* ---- MERGE ----
 *
 * PATCH {"n": 1}, where every row gives n an operand:
 *
 *   MERGE INTO "public"."counters" AS t
 *   USING (SELECT unnest($1::int4[]) AS k0, unnest($2::int4[]) AS c1
 *          WHERE (SELECT leat.enter(E'"public"."counters"'::pg_catalog.regclass, 20, 0, 0, false)))
 *         AS s ON t."id" = s.k0
 *   WHEN MATCHED AND (t."n" IS DISTINCT FROM (coalesce(t."n", 0) + s.c1))
 *        THEN UPDATE SET "n" = coalesce(t."n", 0) + s.c1
 *   WHEN NOT MATCHED THEN INSERT ("id", "n") VALUES (s.k0, 0 + s.c1)
 *
 * PATCHes that set n, note or both: mask p of a row holds bit 1 for n and bit 2 for note.
 *
 *   MERGE INTO "public"."counters" AS t
 *   USING (SELECT unnest($1::int4[]) AS k0, unnest($2::int4[]) AS c1, unnest($3::text[]) AS c2,
 *                 unnest($4::int8[]) AS p
 *          WHERE (SELECT leat.enter(E'"public"."counters"'::pg_catalog.regclass, 20, 0, 0, false)))
 *         AS s ON t."id" = s.k0
 *   WHEN MATCHED AND ((s.p & '2'::int8) <> 0 AND t."n" IS DISTINCT FROM (s.c1)
 *        OR (s.p & '4'::int8) <> 0 AND t."note" COLLATE "C" IS DISTINCT FROM (s.c2) COLLATE "C")
 *        THEN UPDATE SET "n" = CASE WHEN (s.p & '2'::int8) <> 0 THEN s.c1 ELSE t."n" END,
 *                        "note" = CASE WHEN (s.p & '4'::int8) <> 0 THEN s.c2 ELSE t."note" END
 *   WHEN NOT MATCHED THEN INSERT ("id", "n", "note")
 *        VALUES (s.k0, CASE WHEN (s.p & '2'::int8) <> 0 THEN s.c1 ELSE NULL END,
 *                CASE WHEN (s.p & '4'::int8) <> 0 THEN s.c2 ELSE NULL END)
 *
 * PUT {"note": "x"}, which sets n back to its default:
 *
 *   MERGE INTO "public"."counters" AS t
 *   USING (SELECT unnest($1::int4[]) AS k0, unnest($2::text[]) AS c2
 *          WHERE (SELECT leat.enter(E'"public"."counters"'::pg_catalog.regclass, 20, 0, 0, false)))
 *         AS s ON t."id" = s.k0
 *   WHEN MATCHED AND (t."n" IS DISTINCT FROM NULL
 *        OR t."note" COLLATE "C" IS DISTINCT FROM (s.c2) COLLATE "C")
 *        THEN UPDATE SET "n" = DEFAULT, "note" = s.c2
 *   WHEN NOT MATCHED THEN INSERT ("id", "note") VALUES (s.k0, s.c2)
 *
 * DELETE:
 *
 *   MERGE INTO "public"."counters" AS t
 *   USING (SELECT unnest($1::int4[]) AS k0
 *          WHERE (SELECT leat.enter(E'"public"."counters"'::pg_catalog.regclass, 8, 0, 0, false)))
 *         AS s ON t."id" = s.k0
 *   WHEN MATCHED THEN DELETE
 */

static leat_row_base update_base(const leat_sql_writer *writer)
{
    return writer->shape->op == LEAT_PUT ? LEAT_FROM_DEFAULTS : LEAT_FROM_STORED;
}

static void put_assignments(const leat_sql_writer *writer, uint32_t first)
{
    LEAT_ASSERT(first < writer->table->column_count);
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
    LEAT_ASSERT(writer->shape->op != LEAT_DELETE);
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

/* MERGE refuses a table with rules, where a plain DELETE would be rewritten in silence. */
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

/* ---- where a BEFORE trigger may drop a row ----
 *
 * Only the client learns how many rows a MERGE has touched, and it learns that after the commit. So
 * the parts of the MERGE are statements of their own, which can be counted, and leat.must_touch
 * compares their count with the rows to touch by the same snapshot. The PATCH {"n": 1} of above, on
 * a table with a BEFORE UPDATE trigger for each row:
 *
 *   WITH s AS MATERIALIZED (SELECT unnest($1::int4[]) AS k0, unnest($2::int4[]) AS c1
 *          WHERE (SELECT leat.enter(E'"public"."counters"'::pg_catalog.regclass, 20, 16, 0,
 * false))), u AS (UPDATE "public"."counters" AS t SET "n" = coalesce(t."n", 0) + s.c1 FROM s WHERE
 * t."id" = s.k0 AND (t."n" IS DISTINCT FROM (coalesce(t."n", 0) + s.c1)) RETURNING 1), i AS (INSERT
 * INTO "public"."counters" AS t ("id", "n") SELECT s.k0, 0 + s.c1 FROM s WHERE NOT EXISTS (SELECT
 * FROM "public"."counters" AS t WHERE t."id" = s.k0) RETURNING 1) SELECT
 * leat.must_touch(E'"public"."counters"'::pg_catalog.regclass, 20, (SELECT pg_catalog.count(*) FROM
 * s LEFT JOIN "public"."counters" AS t ON t."id" = s.k0 WHERE t."id" IS NULL OR (t."n" IS DISTINCT
 * FROM (coalesce(t."n", 0) + s.c1))), (SELECT pg_catalog.count(*) FROM u) + (SELECT
 * pg_catalog.count(*) FROM i)) */

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

/* A constant is always the same; a function may return another value with each call. */
static bool is_default_called(const leat_column *column)
{
    return column->default_expression && strchr(column->default_expression, '(');
}

/* The count of rows to touch must not depend on a default that differs from call to call: such a
 * PUT always writes its row. That also leaves no condition for which the planner would call the
 * function under leat's settings. */
static void put_touches(const leat_sql_writer *writer, uint32_t first)
{
    LEAT_ASSERT(first < writer->table->column_count);
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
    LEAT_ASSERT(writer->shape->op != LEAT_DELETE);
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
    LEAT_ASSERT(writer->shape->op != LEAT_DELETE);
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
    LEAT_ASSERT(writer->shape->op == LEAT_DELETE);
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

/*   SELECT coalesce(sum(s.n), 0)::int8
 *     FROM (SELECT unnest($1::int4[]) AS k0, unnest($2::int4[]) AS n) AS s
 *    WHERE NOT EXISTS (SELECT FROM "public"."counters" AS t WHERE t."id" = s.k0)
 */
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
