#include "sink/pg/statement.h"

#include <string.h>

#include "sink/identifier.h"

/* What a row starts from: what is not named stays so, and operations change it. */
typedef enum row_base { FROM_STORED, FROM_DEFAULTS } row_base;

typedef struct type_info {
    const char *array; /* what the parameter is cast to */
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

/* One statement being written. */
typedef struct sql_writer {
    const leat_shape *shape;
    const leat_table *table;
    leat_buf *out;
} sql_writer;

bool leat_shape_equal(const leat_shape *a, const leat_shape *b)
{
    return a->route == b->route && a->op == b->op && a->uniform == b->uniform &&
           a->merge == b->merge && a->columns == b->columns && a->operated == b->operated;
}

static uint64_t bit(uint32_t column)
{
    return (uint64_t)1 << column;
}

leat_shape leat_shape_of_any(const leat_route *route, leat_route_op op)
{
    leat_shape shape = {.route = route, .op = op, .uniform = op == LEAT_DELETE};
    for (uint32_t i = 0; i < route->table->column_count && op != LEAT_DELETE; i++) {
        const leat_column *column = &route->table->columns[i];
        if (column->key_position >= 0 || column->generated)
            continue;
        shape.columns |= bit(i);
        if (route->ops[i] == LEAT_OP_SET)
            continue;
        shape.operated |= bit(i);
        if (route->ops[i] == LEAT_OP_MERGE)
            shape.merge = LEAT_MERGE_DEEP;
    }
    return shape;
}

static uint32_t mask_count(const leat_shape *shape)
{
    if (shape->uniform)
        return 0;
    return shape->operated != 0 ? 2 : 1;
}

uint32_t leat_shape_param_count(const leat_shape *shape)
{
    uint32_t columns = (uint32_t)__builtin_popcountll(shape->columns);
    return shape->route->table->key_count + columns + mask_count(shape);
}

bool leat_shape_counts_missing(const leat_shape *shape)
{
    return shape->op == LEAT_PATCH && shape->route->patch_existing;
}

int leat_shape_events(const leat_shape *shape)
{
    return shape->op == LEAT_DELETE ? LEAT_ON_DELETE : LEAT_ON_INSERT | LEAT_ON_UPDATE;
}

uint32_t leat_statement_element_oid(leat_type type)
{
    LEAT_ASSERT(type < LEAT_TYPE_COUNT && types[type].oid != 0);
    return types[type].oid;
}

/* ---- names ---- */

static void put_table(const sql_writer *writer)
{
    leat_put_identifier(writer->out, writer->table->schema);
    leat_buf_byte(writer->out, '.');
    leat_put_identifier(writer->out, writer->table->name);
    leat_buf_text(writer->out, " AS t");
}

static void put_stored(const sql_writer *writer, uint32_t column)
{
    leat_buf_text(writer->out, "t.");
    leat_put_identifier(writer->out, writer->table->columns[column].name);
}

static bool is_named(const sql_writer *writer, uint32_t column)
{
    return (writer->shape->columns & bit(column)) != 0;
}

static bool is_operated(const sql_writer *writer, uint32_t column)
{
    return (writer->shape->operated & bit(column)) != 0;
}

/* "Does this row name the column?" by mask p, "has it an operand?" by mask o. Quoted, because a
 * bare 9223372036854775808 would be a numeric. */
static void put_row_has(const sql_writer *writer, char mask, uint32_t column)
{
    leat_buf_printf(writer->out, "(s.%c & '%lld'::int8) <> 0", mask, (long long)bit(column));
}

static void put_literal(leat_buf *out, const char *text)
{
    leat_buf_text(out, "E'");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            leat_buf_byte(out, *text);
        leat_buf_byte(out, *text);
    }
    leat_buf_byte(out, '\'');
}

/* ---- the rows ---- */

/* Types whose modifier rounds. varchar(n) is not one of them: a cast would cut the text without a
 * word. */
static bool is_rounded(const leat_column *column)
{
    bool can_round = column->type == LEAT_TYPE_NUMERIC || column->type == LEAT_TYPE_TIME ||
                     column->type == LEAT_TYPE_TIMESTAMP || column->type == LEAT_TYPE_TIMESTAMPTZ;
    return can_round && column->type_modifier >= 0;
}

static void put_rounded_list(const sql_writer *writer, bool names)
{
    bool first = true;
    for (uint32_t i = 0; i < writer->table->column_count; i++) {
        const leat_column *column = &writer->table->columns[i];
        if (!is_named(writer, i) || !is_rounded(column))
            continue;
        leat_buf_text(writer->out, first ? "" : ", ");
        first = false;
        if (names)
            put_literal(writer->out, column->name);
        else
            leat_buf_printf(writer->out, "%d", column->type_modifier);
    }
}

static bool is_any_rounded(const sql_writer *writer)
{
    for (uint32_t i = 0; i < writer->table->column_count; i++)
        if (is_named(writer, i) && is_rounded(&writer->table->columns[i]))
            return true;
    return false;
}

/* Asked once a statement, not once a row, because the subquery looks at none. By then the statement
 * has its lock on the table, and its snapshot is younger than the lock. */
static void put_modifier_check(const sql_writer *writer)
{
    if (!is_any_rounded(writer))
        return;
    leat_buf_text(writer->out, "(SELECT leat.check_modifiers(");
    put_literal(writer->out, writer->table->schema);
    leat_buf_text(writer->out, ", ");
    put_literal(writer->out, writer->table->name);
    leat_buf_text(writer->out, ", ARRAY[");
    put_rounded_list(writer, true);
    leat_buf_text(writer->out, "], ARRAY[");
    put_rounded_list(writer, false);
    leat_buf_text(writer->out, "])) AND ");
}

/* The table as a value, and what the statement may do to it. */
static void put_target(const sql_writer *writer)
{
    leat_buf name = {0};
    leat_put_identifier(&name, writer->table->schema);
    leat_buf_byte(&name, '.');
    leat_put_identifier(&name, writer->table->name);
    const char *text = leat_buf_cstr(&name);
    put_literal(writer->out, text ? text : "");
    writer->out->failed = writer->out->failed || !text;
    leat_buf_free(&name);
    leat_buf_printf(writer->out, "::pg_catalog.regclass, %d", leat_shape_events(writer->shape));
}

/* What stands before the first row: see leat.enter. It counts the rows of `read`, where they are
 * read as texts before. */
static void put_entrance(const sql_writer *writer, const char *read)
{
    const leat_route *route = writer->shape->route;
    leat_buf_text(writer->out, " WHERE ");
    put_modifier_check(writer);
    leat_buf_text(writer->out, "(SELECT leat.enter(");
    put_target(writer);
    leat_buf_printf(writer->out, ", %d, %d, %s",
                    route->accept_untouched ? LEAT_ON_ANY : writer->table->row_triggers,
                    writer->table->statement_triggers,
                    route->accept_row_security ? "true" : "false");
    if (read)
        leat_buf_printf(writer->out, ", pg_catalog.count(*)) FROM %s)", read);
    else
        leat_buf_text(writer->out, "))");
}

static void put_array(const sql_writer *writer, uint32_t *number, leat_type type,
                      const char *prefix, uint32_t name)
{
    LEAT_ASSERT(type < LEAT_TYPE_COUNT);
    leat_buf_printf(writer->out, "%sunnest($%u::%s) AS %s%u", *number > 1 ? ", " : "", *number,
                    types[type].array, prefix, name);
    ++*number;
}

/* Set-returning functions in a select list run side by side, without a tuple store for each as in
 * FROM. */
static uint32_t put_keys(const sql_writer *writer)
{
    const leat_table *table = writer->table;
    uint32_t number = 1;
    leat_buf_text(writer->out, "SELECT ");
    for (uint32_t i = 0; i < table->key_count; i++)
        put_array(writer, &number, table->columns[table->key_columns[i]].type, "k", i);
    return number;
}

static void put_arrays(const sql_writer *writer)
{
    uint32_t number = put_keys(writer);
    for (uint32_t i = 0; i < writer->table->column_count; i++)
        if (is_named(writer, i))
            put_array(writer, &number, writer->table->columns[i].type, "c", i);
    if (mask_count(writer->shape) > 0)
        leat_buf_printf(writer->out, ", unnest($%u::int8[]) AS p", number);
    if (mask_count(writer->shape) > 1)
        leat_buf_printf(writer->out, ", unnest($%u::int8[]) AS o", number + 1);
}

static bool is_text_read(const sql_writer *writer, uint32_t column)
{
    return is_named(writer, column) && writer->table->columns[column].type == LEAT_TYPE_OTHER;
}

static bool is_any_text_read(const sql_writer *writer)
{
    for (uint32_t i = 0; i < writer->table->column_count; i++)
        if (is_text_read(writer, i))
            return true;
    return false;
}

/* A decimal number of money is no text of some locale's. */
static void put_cast(const sql_writer *writer, uint32_t column)
{
    const char *type = writer->table->columns[column].cast_name;
    if (strcmp(type, "money") == 0)
        leat_buf_printf(writer->out,
                        "CASE WHEN s.c%u ~ '^-?[0-9]+([.][0-9]+)?$' THEN s.c%u::numeric::money"
                        " ELSE s.c%u::money END",
                        column, column, column);
    else
        leat_buf_printf(writer->out, "s.c%u::%s", column, type);
}

/* A row that does not name the column must not ask a domain whether it takes NULL: a subquery
 * without a row is one, but a NULL that was never cast. */
static void put_read_text(const sql_writer *writer, uint32_t column)
{
    if (writer->shape->uniform) {
        put_cast(writer, column);
        return;
    }
    leat_buf_text(writer->out, "(SELECT ");
    put_cast(writer, column);
    leat_buf_text(writer->out, " WHERE ");
    put_row_has(writer, 'p', column);
    leat_buf_byte(writer->out, ')');
}

/* The rows with their texts read as what they are: all of them, before leat.enter gives the
 * settings back. */
static void put_read_rows(const sql_writer *writer)
{
    leat_buf_text(writer->out, "r AS MATERIALIZED (SELECT ");
    for (uint32_t i = 0; i < writer->table->key_count; i++)
        leat_buf_printf(writer->out, "%ss.k%u", i > 0 ? ", " : "", i);
    for (uint32_t i = 0; i < writer->table->column_count; i++) {
        if (!is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        if (is_text_read(writer, i))
            put_read_text(writer, i);
        else
            leat_buf_printf(writer->out, "s.c%u", i);
        leat_buf_printf(writer->out, " AS c%u", i);
    }
    leat_buf_text(writer->out, mask_count(writer->shape) > 0 ? ", s.p" : "");
    leat_buf_text(writer->out, mask_count(writer->shape) > 1 ? ", s.o" : "");
    leat_buf_text(writer->out, " FROM (");
    put_arrays(writer);
    leat_buf_text(writer->out, ") AS s WHERE (SELECT leat.read_texts()))");
}

static void put_rows(const sql_writer *writer)
{
    bool is_read = is_any_text_read(writer);
    leat_buf_byte(writer->out, '(');
    if (is_read)
        leat_buf_text(writer->out, "SELECT * FROM r");
    else
        put_arrays(writer);
    put_entrance(writer, is_read ? "r" : NULL);
    leat_buf_byte(writer->out, ')');
}

static void put_key_match(const sql_writer *writer)
{
    for (uint32_t i = 0; i < writer->table->key_count; i++) {
        leat_buf_text(writer->out, i > 0 ? " AND " : "");
        put_stored(writer, writer->table->key_columns[i]);
        leat_buf_printf(writer->out, " = s.k%u", i);
    }
}

/* ---- values ---- */

static void put_default(const sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    if (!of->default_expression)
        leat_buf_text(writer->out, "NULL");
    else /* a cast with a modifier might cut what has none of ours */
        leat_buf_printf(writer->out, "(%s)::%s", of->default_expression,
                        of->type == LEAT_TYPE_OTHER ? of->cast_name : of->type_name);
}

static void put_base(const sql_writer *writer, uint32_t column, row_base base)
{
    if (base == FROM_STORED)
        put_stored(writer, column);
    else
        put_default(writer, column);
}

static bool is_base_null(const sql_writer *writer, uint32_t column, row_base base)
{
    return base == FROM_DEFAULTS && !writer->table->columns[column].default_expression;
}

/* The value that an operation starts from, `zero` where it is NULL. */
static void put_base_or(const sql_writer *writer, uint32_t column, row_base base, const char *zero)
{
    if (is_base_null(writer, column, base)) {
        leat_buf_text(writer->out, zero);
        return;
    }
    leat_buf_text(writer->out, "coalesce(");
    put_base(writer, column, base);
    leat_buf_printf(writer->out, ", %s)", zero);
}

static void put_add(const sql_writer *writer, uint32_t column, row_base base)
{
    put_base_or(writer, column, base, "0");
    leat_buf_printf(writer->out, " + s.c%u", column);
}

static void put_append(const sql_writer *writer, uint32_t column, row_base base)
{
    put_base_or(writer, column, base, "'[]'::jsonb");
    leat_buf_printf(writer->out, " || s.c%u", column);
}

/* Both leave NULLs out. Text is by bytes only where the collation says so, which a default's own
 * would not. */
static void put_extreme(const sql_writer *writer, const char *function, uint32_t column,
                        row_base base)
{
    bool is_text = writer->table->columns[column].type == LEAT_TYPE_TEXT;
    leat_buf_printf(writer->out, "%s(", function);
    put_base(writer, column, base);
    leat_buf_printf(writer->out, ", s.c%u%s)", column, is_text ? " COLLATE \"C\"" : "");
}

static void put_max(const sql_writer *writer, uint32_t column, row_base base)
{
    put_extreme(writer, "greatest", column, base);
}

static void put_min(const sql_writer *writer, uint32_t column, row_base base)
{
    put_extreme(writer, "least", column, base);
}

static void put_object(const sql_writer *writer, uint32_t column, row_base base)
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

static void put_merged(const sql_writer *writer, uint32_t column, row_base base)
{
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

static void put_operation(const sql_writer *writer, uint32_t column, row_base base)
{
    static void (*const put_by_op[LEAT_OP_COUNT])(const sql_writer *, uint32_t, row_base) = {
        [LEAT_OP_ADD] = put_add, [LEAT_OP_APPEND] = put_append, [LEAT_OP_MAX] = put_max,
        [LEAT_OP_MIN] = put_min, [LEAT_OP_MERGE] = put_merged,
    };
    leat_column_op op = writer->shape->route->ops[column];
    LEAT_ASSERT(op < LEAT_OP_COUNT && put_by_op[op]);
    put_by_op[op](writer, column, base);
}

static void put_given(const sql_writer *writer, uint32_t column)
{
    leat_buf_printf(writer->out, "s.c%u", column);
}

static void put_value_or_operation(const sql_writer *writer, uint32_t column, row_base base)
{
    if (!is_operated(writer, column)) {
        put_given(writer, column);
    } else if (writer->shape->uniform) {
        put_operation(writer, column, base);
    } else {
        leat_buf_text(writer->out, "CASE WHEN ");
        put_row_has(writer, 'o', column);
        leat_buf_text(writer->out, " THEN ");
        put_operation(writer, column, base);
        leat_buf_text(writer->out, " ELSE ");
        put_given(writer, column);
        leat_buf_text(writer->out, " END");
    }
}

/* What a row that names the column makes of it. */
static void put_named(const sql_writer *writer, uint32_t column, row_base base)
{
    const leat_column *of = &writer->table->columns[column];
    bool rounded = is_rounded(of);
    if (rounded)
        leat_buf_byte(writer->out, '(');
    put_value_or_operation(writer, column, base);
    if (rounded)
        leat_buf_printf(writer->out, ")::%s", of->type_name);
}

static void put_new(const sql_writer *writer, uint32_t column, row_base base)
{
    if (!is_named(writer, column)) {
        put_base(writer, column, base);
        return;
    }
    if (writer->shape->uniform) {
        put_named(writer, column, base);
        return;
    }
    leat_buf_text(writer->out, "CASE WHEN ");
    put_row_has(writer, 'p', column);
    leat_buf_text(writer->out, " THEN ");
    put_named(writer, column, base);
    leat_buf_text(writer->out, " ELSE ");
    put_base(writer, column, base);
    leat_buf_text(writer->out, " END");
}

/* ---- what changes ---- */

/* char(n): stored with blanks that mean nothing. */
static bool is_padded(const leat_column *column)
{
    return column->type == LEAT_TYPE_OTHER && strcmp(column->cast_name, "bpchar") == 0;
}

/* How both sides are read before they are compared, so that a difference that can be seen is
 * one. */
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

/* A PATCH looks at what the row names only, and says so before. */
static bool is_masked(const sql_writer *writer, row_base base)
{
    return base == FROM_STORED && !writer->shape->uniform;
}

static void put_compared(const sql_writer *writer, uint32_t column, row_base base)
{
    if (is_masked(writer, base))
        put_named(writer, column, base);
    else
        put_new(writer, column, base);
}

/* Types that leat does not know are compared by what is stored of them: their own "=" may be
 * missing or take an "a" for an "A", and their text depends on settings. */
static void put_differs(const sql_writer *writer, uint32_t column, row_base base)
{
    const leat_column *of = &writer->table->columns[column];
    bool is_null = !is_named(writer, column) && !of->default_expression;
    bool is_image = !is_null && of->type == LEAT_TYPE_OTHER && !is_padded(of);
    const char *as = is_null ? "" : compared_as(of);
    if (is_masked(writer, base)) {
        put_row_has(writer, 'p', column);
        leat_buf_text(writer->out, " AND ");
    }
    leat_buf_text(writer->out, is_image ? "pg_catalog.record_image_ne(ROW(" : "");
    put_stored(writer, column);
    if (is_null) { /* needs no equality operator, which json and others do not have */
        leat_buf_text(writer->out, " IS DISTINCT FROM NULL");
        return;
    }
    /* Beside a NULL a domain's value counts as one of the type below it, and images of two types
     * are not compared. */
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

/* ---- the statement ---- */

/* A PATCH touches what it names, a PUT every column that can be written. */
static bool is_written(const sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    if (of->key_position >= 0 || of->generated)
        return false;
    return writer->shape->op == LEAT_PUT || is_named(writer, column);
}

static uint32_t next_written(const sql_writer *writer, uint32_t column)
{
    while (column < writer->table->column_count && !is_written(writer, column))
        column++;
    return column;
}

static void put_any_differs(const sql_writer *writer, uint32_t first, row_base base)
{
    uint32_t count = writer->table->column_count;
    leat_buf_byte(writer->out, '(');
    for (uint32_t i = first; i < count; i = next_written(writer, i + 1)) {
        leat_buf_text(writer->out, i == first ? "" : " OR ");
        put_differs(writer, i, base);
    }
    leat_buf_byte(writer->out, ')');
}

static row_base update_base(const sql_writer *writer)
{
    return writer->shape->op == LEAT_PUT ? FROM_DEFAULTS : FROM_STORED;
}

static void put_assignments(const sql_writer *writer, uint32_t first)
{
    uint32_t count = writer->table->column_count;
    leat_buf_text(writer->out, " SET ");
    for (uint32_t i = first; i < count; i = next_written(writer, i + 1)) {
        leat_buf_text(writer->out, i == first ? "" : ", ");
        leat_put_identifier(writer->out, writer->table->columns[i].name);
        leat_buf_text(writer->out, " = ");
        if (is_named(writer, i))
            put_new(writer, i, update_base(writer));
        else
            leat_buf_text(writer->out, "DEFAULT"); /* the table's own of now */
    }
}

static void put_update(const sql_writer *writer)
{
    uint32_t first = next_written(writer, 0);
    if (first == writer->table->column_count)
        return;
    leat_buf_text(writer->out, " WHEN MATCHED AND ");
    put_any_differs(writer, first, update_base(writer));
    leat_buf_text(writer->out, " THEN UPDATE");
    put_assignments(writer, first);
}

/* Columns that no row names are left out: the table knows their defaults. */
static void put_insert_columns(const sql_writer *writer)
{
    const leat_table *table = writer->table;
    leat_buf_text(writer->out, " (");
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_text(writer->out, i > 0 ? ", " : "");
        leat_put_identifier(writer->out, table->columns[table->key_columns[i]].name);
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        leat_put_identifier(writer->out, table->columns[i].name);
    }
    leat_buf_byte(writer->out, ')');
}

static void put_insert_values(const sql_writer *writer)
{
    const leat_table *table = writer->table;
    for (uint32_t i = 0; i < table->key_count; i++)
        leat_buf_printf(writer->out, "%ss.k%u", i > 0 ? ", " : "", i);
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        put_new(writer, i, FROM_DEFAULTS);
    }
}

static void put_not_matched(const sql_writer *writer)
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
static void put_merge(const sql_writer *writer)
{
    leat_buf_text(writer->out, "MERGE INTO ");
    put_table(writer);
    leat_buf_text(writer->out, " USING ");
    put_rows(writer);
    leat_buf_text(writer->out, " AS s ON ");
    put_key_match(writer);
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

static parts parts_of(const sql_writer *writer)
{
    bool is_delete = writer->shape->op == LEAT_DELETE;
    uint32_t first = next_written(writer, 0);
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
static void put_touches(const sql_writer *writer, uint32_t first)
{
    bool is_called = false;
    for (uint32_t i = first; i < writer->table->column_count; i = next_written(writer, i + 1))
        is_called = is_called || is_default_called(&writer->table->columns[i]);
    if (is_called && update_base(writer) == FROM_DEFAULTS)
        leat_buf_text(writer->out, "true");
    else
        put_any_differs(writer, first, update_base(writer));
}

static void put_update_part(const sql_writer *writer, uint32_t first)
{
    leat_buf_text(writer->out, ", u AS (UPDATE ");
    put_table(writer);
    put_assignments(writer, first);
    leat_buf_text(writer->out, " FROM s WHERE ");
    put_key_match(writer);
    leat_buf_text(writer->out, " AND ");
    put_touches(writer, first);
    leat_buf_text(writer->out, " RETURNING 1)");
}

static void put_insert_part(const sql_writer *writer)
{
    leat_buf_text(writer->out, ", i AS (INSERT INTO ");
    put_table(writer);
    put_insert_columns(writer);
    leat_buf_text(writer->out, " SELECT ");
    put_insert_values(writer);
    leat_buf_text(writer->out, " FROM s WHERE NOT EXISTS (SELECT FROM ");
    put_table(writer);
    leat_buf_text(writer->out, " WHERE ");
    put_key_match(writer);
    leat_buf_text(writer->out, ") RETURNING 1)");
}

static void put_delete_part(const sql_writer *writer)
{
    leat_buf_text(writer->out, ", d AS (DELETE FROM ");
    put_table(writer);
    leat_buf_text(writer->out, " USING s WHERE ");
    put_key_match(writer);
    leat_buf_text(writer->out, " RETURNING 1)");
}

static void put_wanted(const sql_writer *writer, const parts *of)
{
    leat_buf_printf(writer->out, "(SELECT pg_catalog.count(*) FROM s %sJOIN ",
                    of->inserts ? "LEFT " : "");
    put_table(writer);
    leat_buf_text(writer->out, " ON ");
    put_key_match(writer);
    leat_buf_text(writer->out, of->inserts || of->updates ? " WHERE " : "");
    if (of->inserts) {
        put_stored(writer, writer->table->key_columns[0]);
        leat_buf_printf(writer->out, " IS NULL%s", of->updates ? " OR " : "");
    }
    if (of->updates)
        put_touches(writer, of->first_updated);
    leat_buf_byte(writer->out, ')');
}

static void put_parts(const sql_writer *writer, const parts *of)
{
    leat_buf_text(writer->out, "s AS MATERIALIZED ");
    put_rows(writer);
    if (of->updates)
        put_update_part(writer, of->first_updated);
    if (of->inserts)
        put_insert_part(writer);
    if (of->deletes)
        put_delete_part(writer);
    leat_buf_text(writer->out, " SELECT leat.must_touch(");
    put_target(writer);
    leat_buf_text(writer->out, ", ");
    put_wanted(writer, of);
    leat_buf_printf(writer->out, ", %s%s%s%s)",
                    of->updates ? "(SELECT pg_catalog.count(*) FROM u)" : "",
                    of->updates && of->inserts ? " + " : "",
                    of->inserts ? "(SELECT pg_catalog.count(*) FROM i)" : "",
                    of->deletes ? "(SELECT pg_catalog.count(*) FROM d)" : "");
}

/* ---- the statement ---- */

static bool is_counted(const sql_writer *writer, const parts *of)
{
    bool touches = of->updates || of->inserts || of->deletes;
    bool may_be_dropped = writer->table->row_triggers & leat_shape_events(writer->shape);
    return touches && may_be_dropped && !writer->shape->route->accept_untouched;
}

void leat_statement_build(const leat_shape *shape, leat_buf *out)
{
    sql_writer writer = {shape, shape->route->table, out};
    LEAT_ASSERT(shape->op != LEAT_DELETE || (shape->columns == 0 && shape->uniform));
    LEAT_ASSERT((shape->operated & ~shape->columns) == 0);
    parts of = parts_of(&writer);
    bool counted = is_counted(&writer, &of), is_read = is_any_text_read(&writer);
    leat_buf_text(out, counted || is_read ? "WITH " : "");
    if (is_read) {
        put_read_rows(&writer);
        leat_buf_text(out, counted ? ", " : " ");
    }
    if (counted)
        put_parts(&writer, &of);
    else
        put_merge(&writer);
}

void leat_statement_build_missing(const leat_shape *shape, leat_buf *out)
{
    sql_writer writer = {shape, shape->route->table, out};
    LEAT_ASSERT(leat_shape_counts_missing(shape));
    leat_buf_text(out, "SELECT coalesce(sum(s.n), 0)::int8 FROM (");
    uint32_t number = put_keys(&writer);
    leat_buf_printf(out, ", unnest($%u::int4[]) AS n) AS s WHERE NOT EXISTS (SELECT FROM ", number);
    put_table(&writer);
    leat_buf_text(out, " WHERE ");
    put_key_match(&writer);
    leat_buf_byte(out, ')');
}
