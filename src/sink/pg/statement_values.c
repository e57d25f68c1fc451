/*
 * statement_values.c - the new value of a column, and whether that is a change. Both are written
 * from the same expression, so that the comparison and the written value cannot disagree. A
 * statement for rows that name different columns asks each row's masks; a uniform one needs no
 * CASE, which is why shapes distinguish them.
 */
#include "sink/pg/sql_writer.h"

#include <string.h>

/* ---- values ---- */

static void put_default(const leat_sql_writer *writer, uint32_t column)
{
    LEAT_ASSERT(column < writer->table->column_count);
    const leat_column *of = &writer->table->columns[column];
    if (!of->default_expression)
        leat_buf_text(writer->out, "NULL");
    else /* a cast with a modifier might cut the text */
        leat_buf_printf(writer->out, "(%s)::%s", of->default_expression,
                        of->type == LEAT_TYPE_OTHER ? of->cast_name : of->type_name);
}

static void put_base(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    if (base == LEAT_FROM_STORED)
        leat_sql_put_stored(writer, column);
    else
        put_default(writer, column);
}

static bool is_base_null(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    return base == LEAT_FROM_DEFAULTS && !writer->table->columns[column].default_expression;
}

/* The value that an operation starts from, `zero` where it is NULL. */
static void put_base_or(const leat_sql_writer *writer, uint32_t column, leat_row_base base,
                        const char *zero)
{
    if (is_base_null(writer, column, base)) {
        leat_buf_text(writer->out, zero);
        return;
    }
    leat_buf_text(writer->out, "coalesce(");
    put_base(writer, column, base);
    leat_buf_printf(writer->out, ", %s)", zero);
}

static void put_add(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    put_base_or(writer, column, base, "0");
    leat_buf_printf(writer->out, " + s.c%u", column);
}

static void put_append(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    put_base_or(writer, column, base, "'[]'::jsonb");
    leat_buf_printf(writer->out, " || s.c%u", column);
}

/* greatest and least ignore NULLs. Text is compared by bytes only with this collation; a default
 * expression brings its own. */
static void put_extreme(const leat_sql_writer *writer, const char *function, uint32_t column,
                        leat_row_base base)
{
    bool is_text = writer->table->columns[column].type == LEAT_TYPE_TEXT;
    leat_buf_printf(writer->out, "%s(", function);
    put_base(writer, column, base);
    leat_buf_printf(writer->out, ", s.c%u%s)", column, is_text ? " COLLATE \"C\"" : "");
}

static void put_max(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    put_extreme(writer, "greatest", column, base);
}

static void put_min(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    put_extreme(writer, "least", column, base);
}

static void put_object(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    if (is_base_null(writer, column, base)) {
        leat_buf_text(writer->out, "'{}'::jsonb");
        return;
    }
    leat_buf_text(writer->out, "CASE jsonb_typeof(");
    put_base(writer, column, base);
    leat_buf_text(writer->out, ") WHEN 'object' THEN ");
    put_base(writer, column, base);
    leat_buf_text(writer->out, " ELSE '{}'::jsonb END");
}

static void put_merged(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    LEAT_ASSERT(writer->shape->route->ops[column] == LEAT_OP_MERGE);
    if (writer->shape->merge == LEAT_MERGE_DEEP) {
        leat_buf_text(writer->out, "leat.merge(");
        put_base(writer, column, base);
        leat_buf_printf(writer->out, ", s.c%u)", column);
        return;
    }
    bool is_stripped = writer->shape->merge == LEAT_MERGE_STRIP;
    leat_buf_text(writer->out, is_stripped ? "((" : "(");
    put_object(writer, column, base);
    leat_buf_printf(writer->out, ") || s.c%u", column);
    if (is_stripped)
        leat_buf_printf(writer->out,
                        ") - ARRAY(SELECT key FROM jsonb_each(s.c%u) WHERE value = 'null'::jsonb)",
                        column);
}

static void put_operation(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    static void (*const put_by_op[LEAT_OP_COUNT])(const leat_sql_writer *, uint32_t,
                                                  leat_row_base) = {
        [LEAT_OP_ADD] = put_add, [LEAT_OP_APPEND] = put_append, [LEAT_OP_MAX] = put_max,
        [LEAT_OP_MIN] = put_min, [LEAT_OP_MERGE] = put_merged,
    };
    leat_column_op op = writer->shape->route->ops[column];
    LEAT_ASSERT(op < LEAT_OP_COUNT && put_by_op[op]);
    put_by_op[op](writer, column, base);
}

static void put_given(const leat_sql_writer *writer, uint32_t column)
{
    leat_buf_printf(writer->out, "s.c%u", column);
}

static void put_value_or_operation(const leat_sql_writer *writer, uint32_t column,
                                   leat_row_base base)
{
    LEAT_ASSERT(leat_sql_is_named(writer, column));
    if (!leat_sql_is_operated(writer, column)) {
        put_given(writer, column);
    } else if (writer->shape->uniform) {
        put_operation(writer, column, base);
    } else {
        leat_buf_text(writer->out, "CASE WHEN ");
        leat_sql_put_row_has(writer, 'o', column);
        leat_buf_text(writer->out, " THEN ");
        put_operation(writer, column, base);
        leat_buf_text(writer->out, " ELSE ");
        put_given(writer, column);
        leat_buf_text(writer->out, " END");
    }
}

/* The new value in a row that names the column. */
static void put_named(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    LEAT_ASSERT(leat_sql_is_named(writer, column));
    const leat_column *of = &writer->table->columns[column];
    bool rounded = leat_sql_is_rounded(of);
    if (rounded)
        leat_buf_byte(writer->out, '(');
    put_value_or_operation(writer, column, base);
    if (rounded)
        leat_buf_printf(writer->out, ")::%s", of->type_name);
}

void leat_sql_put_new(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    LEAT_ASSERT(column < writer->table->column_count);
    if (!leat_sql_is_named(writer, column)) {
        put_base(writer, column, base);
        return;
    }
    if (writer->shape->uniform) {
        put_named(writer, column, base);
        return;
    }
    leat_buf_text(writer->out, "CASE WHEN ");
    leat_sql_put_row_has(writer, 'p', column);
    leat_buf_text(writer->out, " THEN ");
    put_named(writer, column, base);
    leat_buf_text(writer->out, " ELSE ");
    put_base(writer, column, base);
    leat_buf_text(writer->out, " END");
}

/* ---- what changes ---- */

/* char(n): stored with blanks that have no meaning. */
static bool is_padded(const leat_column *column)
{
    return column->type == LEAT_TYPE_OTHER && strcmp(column->cast_name, "bpchar") == 0;
}

/* The cast of both sides of a comparison: a difference that a reader can see counts as one. */
static const char *compared_as(const leat_column *column)
{
    if (is_padded(column))
        return "::text";
    if (column->type == LEAT_TYPE_TEXT)
        return " COLLATE \"C\"";
    if (column->type == LEAT_TYPE_JSON ||
        (column->type == LEAT_TYPE_NUMERIC && column->type_modifier < 0))
        return "::text";
    return "";
}

/* The comparison is preceded by "does this row name the column?". */
static bool is_masked(const leat_sql_writer *writer, leat_row_base base)
{
    return base == LEAT_FROM_STORED && !writer->shape->uniform;
}

static void put_compared(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    if (is_masked(writer, base))
        put_named(writer, column, base);
    else
        leat_sql_put_new(writer, column, base);
}

/* Values of types that leat does not know are compared as they are stored: their "=" may be missing
 * or may take "a" for "A", and their text depends on settings. */
static void put_distinct(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    LEAT_ASSERT(writer->table->columns[column].key_position < 0);
    const leat_column *of = &writer->table->columns[column];
    bool is_null = !leat_sql_is_named(writer, column) && !of->default_expression;
    bool is_image = !is_null && of->type == LEAT_TYPE_OTHER && !is_padded(of);
    const char *as = is_null ? "" : compared_as(of);
    if (is_masked(writer, base)) {
        leat_sql_put_row_has(writer, 'p', column);
        leat_buf_text(writer->out, " AND ");
    }
    leat_buf_text(writer->out, is_image ? "pg_catalog.record_image_ne(ROW(" : "");
    leat_sql_put_stored(writer, column);
    if (is_null) { /* needs no equality operator, which json and others do not have */
        leat_buf_text(writer->out, " IS DISTINCT FROM NULL");
        return;
    }
    /* Beside an untyped NULL a domain's value has its base type, and record_image_ne refuses to
     * compare two types. */
    bool is_cast = is_image && is_base_null(writer, column, base);
    leat_buf_printf(writer->out,
                    !is_image ? "%s IS DISTINCT FROM ("
                    : is_cast ? "), ROW(("
                              : "), ROW(",
                    as);
    put_compared(writer, column, base);
    if (is_cast)
        leat_buf_printf(writer->out, ")::%s))", of->cast_name);
    else
        leat_buf_printf(writer->out, is_image ? "))" : ")%s", as);
}

/* An operand that has a step is no reason to write before it has reached it. What is written, for
 * whatever reason, is the maximum. */
static void put_differs(const leat_sql_writer *writer, uint32_t column, leat_row_base base)
{
    put_distinct(writer, column, base);
    if (base != LEAT_FROM_STORED || !leat_sql_is_operated(writer, column) ||
        !writer->shape->route->steps[column].is_set)
        return;
    leat_buf_text(writer->out, " AND (");
    if (!writer->shape->uniform) {
        leat_buf_text(writer->out, "NOT ");
        leat_sql_put_row_has(writer, 'o', column);
        leat_buf_text(writer->out, " OR ");
    }
    leat_sql_put_step_reached(writer, column);
    leat_buf_byte(writer->out, ')');
}

/* A PATCH touches the columns it names, a PUT every column that can be written. */
static bool is_written(const leat_sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    if (of->key_position >= 0 || of->generated)
        return false;
    return writer->shape->op == LEAT_PUT || leat_sql_is_named(writer, column);
}

uint32_t leat_sql_next_written(const leat_sql_writer *writer, uint32_t column)
{
    while (column < writer->table->column_count && !is_written(writer, column))
        column++;
    return column;
}

/* What a comparison costs, roughly: of plain values, of bytes, of documents, and of a document that
 * must be made first. */
typedef enum compare_cost {
    COST_VALUE,
    COST_BYTES,
    COST_DOCUMENT,
    COST_MADE,
    COST_COUNT
} compare_cost;

static compare_cost cost_of(const leat_sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    bool is_null = !leat_sql_is_named(writer, column) && !of->default_expression;
    if (is_null)
        return COST_VALUE;
    switch (of->type) {
    case LEAT_TYPE_NUMERIC:
    case LEAT_TYPE_TEXT:
    case LEAT_TYPE_BYTEA:
        return COST_BYTES;
    case LEAT_TYPE_JSONB:
    case LEAT_TYPE_JSON:
    case LEAT_TYPE_OTHER:
        return leat_sql_is_operated(writer, column) ? COST_MADE : COST_DOCUMENT;
    default:
        return COST_VALUE;
    }
}

/* One difference is enough, and PostgreSQL asks from left to right: so the cheap ones come first. A
 * counter or a time that has changed saves the comparison of a jsonb. */
void leat_sql_put_any_differs(const leat_sql_writer *writer, uint32_t first, leat_row_base base)
{
    LEAT_ASSERT(first < writer->table->column_count);
    uint32_t count = writer->table->column_count;
    const char *separator = "(";
    for (compare_cost cost = COST_VALUE; cost < COST_COUNT; cost++)
        for (uint32_t i = first; i < count; i = leat_sql_next_written(writer, i + 1)) {
            if (cost_of(writer, i) != cost)
                continue;
            leat_buf_text(writer->out, separator);
            put_differs(writer, i, base);
            separator = " OR ";
        }
    leat_buf_byte(writer->out, ')');
}
