#include "sink/statement.h"

typedef enum value_kind {
    PATCH_OF_ROW,     /* a PATCH of a stored row: what is not named stays */
    PATCH_OF_MISSING, /* a PATCH that inserts: what is not named is the default, and operations start from it */
    PUT_OF_ANY,       /* what is not named is the default, operations do not apply */
} value_kind;

typedef struct type_info {
    const char *array; /* what the parameter is cast to */
    uint32_t oid;      /* of the element */
} type_info;

static const type_info types[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = {"bool[]", 16},
    [LEAT_TYPE_INT2] = {"int2[]", 21},
    [LEAT_TYPE_INT4] = {"int4[]", 23},
    [LEAT_TYPE_INT8] = {"int8[]", 20},
    [LEAT_TYPE_FLOAT8] = {"float8[]", 701},
    [LEAT_TYPE_NUMERIC] = {"numeric[]", 1700},
    [LEAT_TYPE_TEXT] = {"text[]", 25},
    [LEAT_TYPE_UUID] = {"uuid[]", 2950},
    [LEAT_TYPE_TIMESTAMPTZ] = {"timestamptz[]", 1184},
    [LEAT_TYPE_JSONB] = {"jsonb[]", 3802},
};

/* One statement being written. */
typedef struct sql_writer {
    const leat_shape *shape;
    const leat_table *table;
    leat_buf *out;
} sql_writer;

bool leat_shape_equal(const leat_shape *a, const leat_shape *b)
{
    return a->route == b->route && a->op == b->op && a->columns == b->columns && a->uniform == b->uniform;
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
        if (column->key_position < 0 && !column->generated && column->type != LEAT_TYPE_OTHER)
            shape.columns |= bit(i);
    }
    return shape;
}

uint32_t leat_shape_param_count(const leat_shape *shape)
{
    uint32_t columns = (uint32_t)__builtin_popcountll(shape->columns);
    return shape->route->table->key_count + columns + (shape->uniform ? 0 : 1);
}

uint32_t leat_statement_element_oid(leat_type type)
{
    LEAT_ASSERT(type < LEAT_TYPE_COUNT && types[type].oid != 0);
    return types[type].oid;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static void put_identifier(leat_buf *out, const char *name)
{
    leat_buf_byte(out, '"');
    for (; *name; name++) {
        if (*name == '"')
            leat_buf_byte(out, '"');
        leat_buf_byte(out, *name);
    }
    leat_buf_byte(out, '"');
}

static void put_table(const sql_writer *writer)
{
    put_identifier(writer->out, writer->table->schema);
    leat_buf_byte(writer->out, '.');
    put_identifier(writer->out, writer->table->name);
    leat_buf_text(writer->out, " AS t");
}

static void put_stored(const sql_writer *writer, uint32_t column)
{
    leat_buf_text(writer->out, "t.");
    put_identifier(writer->out, writer->table->columns[column].name);
}

static bool is_named(const sql_writer *writer, uint32_t column)
{
    return (writer->shape->columns & bit(column)) != 0;
}

/* "Does this row name the column?" Quoted, because a bare 9223372036854775808 would be a numeric. */
static void put_row_names(const sql_writer *writer, uint32_t column)
{
    leat_buf_printf(writer->out, "(s.p & '%lld'::int8) <> 0", (long long)bit(column));
}

/* --- the rows ---------------------------------------------------------------------------------------------------- */

static void put_array(const sql_writer *writer, uint32_t *number, leat_type type, const char *prefix, uint32_t name)
{
    LEAT_ASSERT(type < LEAT_TYPE_COUNT && types[type].array);
    leat_buf_printf(writer->out, "%sunnest($%u::%s) AS %s%u", *number > 1 ? ", " : "", *number, types[type].array,
                    prefix, name);
    ++*number;
}

/* Set-returning functions in a select list run side by side, without a tuple store for each as in FROM. */
static void put_rows(const sql_writer *writer)
{
    const leat_table *table = writer->table;
    uint32_t number = 1;
    leat_buf_text(writer->out, "(SELECT ");
    for (uint32_t i = 0; i < table->key_count; i++)
        put_array(writer, &number, table->columns[table->key_columns[i]].type, "k", i);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (is_named(writer, i))
            put_array(writer, &number, table->columns[i].type, "c", i);
    if (!writer->shape->uniform)
        leat_buf_printf(writer->out, ", unnest($%u::int8[]) AS p", number);
    leat_buf_text(writer->out, ") AS s");
}

static void put_key_match(const sql_writer *writer)
{
    for (uint32_t i = 0; i < writer->table->key_count; i++) {
        leat_buf_text(writer->out, i > 0 ? " AND " : "");
        put_stored(writer, writer->table->key_columns[i]);
        leat_buf_printf(writer->out, " = s.k%u", i);
    }
}

/* --- values ------------------------------------------------------------------------------------------------------ */

/* Types whose modifier rounds. varchar(n) is not one of them: a cast would cut the text without a word. */
static bool is_rounded(const leat_column *column)
{
    return column->type_modifier >= 0 && (column->type == LEAT_TYPE_NUMERIC || column->type == LEAT_TYPE_TIMESTAMPTZ);
}

static void put_default(const sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    if (!of->default_expression)
        leat_buf_text(writer->out, "NULL");
    else if (of->type == LEAT_TYPE_OTHER)
        leat_buf_printf(writer->out, "(%s)", of->default_expression);
    else
        leat_buf_printf(writer->out, "(%s)::%s", of->default_expression, of->type_name);
}

/* What a numeric(p,s) column would make of the operand. round() and not a cast: -100 may be added to a numeric(4,2). */
static void put_operand(const sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    if (of->type != LEAT_TYPE_NUMERIC || of->type_modifier < 0) {
        leat_buf_printf(writer->out, "s.c%u", column);
        return;
    }
    int scale = (((of->type_modifier - 4) & 0x7ff) ^ 1024) - 1024; /* 11 bits with a sign */
    leat_buf_printf(writer->out, "round(s.c%u, %d)", column, scale);
}

/* The value that an operation starts from, `zero` where it is NULL. */
static void put_base(const sql_writer *writer, uint32_t column, value_kind kind, const char *zero)
{
    if (kind == PATCH_OF_MISSING && !writer->table->columns[column].default_expression) {
        leat_buf_text(writer->out, zero);
        return;
    }
    leat_buf_text(writer->out, "coalesce(");
    if (kind == PATCH_OF_MISSING)
        put_default(writer, column);
    else
        put_stored(writer, column);
    leat_buf_printf(writer->out, ", %s)", zero);
}

static void put_added(const sql_writer *writer, uint32_t column, value_kind kind)
{
    put_base(writer, column, kind, "0");
    leat_buf_text(writer->out, " + ");
    put_operand(writer, column);
}

/* jsonb_build_array() makes whatever comes one element, an array too. SQL NULL is NULL, not an element. */
static void put_appended(const sql_writer *writer, uint32_t column, value_kind kind)
{
    leat_buf_printf(writer->out, "CASE WHEN s.c%u IS NULL THEN NULL ELSE ", column);
    put_base(writer, column, kind, "'[]'::jsonb");
    leat_buf_printf(writer->out, " || jsonb_build_array(s.c%u) END", column);
}

static leat_column_op op_of(const sql_writer *writer, uint32_t column, value_kind kind)
{
    return kind == PUT_OF_ANY ? LEAT_OP_SET : writer->shape->route->ops[column];
}

/* What a row that names the column makes of it. */
static void put_named(const sql_writer *writer, uint32_t column, value_kind kind)
{
    const leat_column *of = &writer->table->columns[column];
    leat_column_op op = op_of(writer, column, kind);
    LEAT_ASSERT(op == LEAT_OP_SET || op == LEAT_OP_ADD || op == LEAT_OP_APPEND);
    bool rounded = is_rounded(of);
    if (rounded)
        leat_buf_byte(writer->out, '(');
    if (op == LEAT_OP_ADD)
        put_added(writer, column, kind);
    else if (op == LEAT_OP_APPEND)
        put_appended(writer, column, kind);
    else
        leat_buf_printf(writer->out, "s.c%u", column);
    if (rounded)
        leat_buf_printf(writer->out, ")::%s", of->type_name);
}

static void put_new(const sql_writer *writer, uint32_t column, value_kind kind)
{
    if (!is_named(writer, column)) {
        put_default(writer, column);
        return;
    }
    if (writer->shape->uniform) {
        put_named(writer, column, kind);
        return;
    }
    leat_buf_text(writer->out, "CASE WHEN ");
    put_row_names(writer, column);
    leat_buf_text(writer->out, " THEN ");
    put_named(writer, column, kind);
    leat_buf_text(writer->out, " ELSE ");
    if (kind == PATCH_OF_ROW)
        put_stored(writer, column);
    else
        put_default(writer, column);
    leat_buf_text(writer->out, " END");
}

/* --- what changes ------------------------------------------------------------------------------------------------ */

/* How both sides are read before they are compared, so that a difference that can be seen is one. */
static const char *compared_as(const leat_column *column)
{
    if (column->type == LEAT_TYPE_TEXT)
        return " COLLATE \"C\"";
    if (column->type == LEAT_TYPE_OTHER || (column->type == LEAT_TYPE_NUMERIC && column->type_modifier < 0))
        return "::text";
    return "";
}

static void put_distinct(const sql_writer *writer, uint32_t column, value_kind kind, bool masked)
{
    const leat_column *of = &writer->table->columns[column];
    bool is_null = !is_named(writer, column) && !of->default_expression;
    const char *as = is_null ? "" : compared_as(of);
    put_stored(writer, column);
    leat_buf_printf(writer->out, "%s IS DISTINCT FROM ", as);
    if (is_null) { /* needs no equality operator, which json and others do not have */
        leat_buf_text(writer->out, "NULL");
        return;
    }
    leat_buf_byte(writer->out, '(');
    if (masked)
        put_named(writer, column, kind);
    else
        put_new(writer, column, kind);
    leat_buf_printf(writer->out, ")%s", as);
}

/* An element more is always a difference: only NULL over NULL is none. */
static void put_append_differs(const sql_writer *writer, uint32_t column)
{
    leat_buf_printf(writer->out, "(s.c%u IS NOT NULL OR ", column);
    put_stored(writer, column);
    leat_buf_text(writer->out, " IS NOT NULL)");
}

static void put_differs(const sql_writer *writer, uint32_t column, value_kind kind)
{
    bool masked = kind == PATCH_OF_ROW && !writer->shape->uniform;
    if (masked) {
        put_row_names(writer, column);
        leat_buf_text(writer->out, " AND ");
    }
    if (is_named(writer, column) && op_of(writer, column, kind) == LEAT_OP_APPEND)
        put_append_differs(writer, column);
    else
        put_distinct(writer, column, kind, masked);
}

/* --- the statement ----------------------------------------------------------------------------------------------- */

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

static void put_update(const sql_writer *writer)
{
    value_kind kind = writer->shape->op == LEAT_PUT ? PUT_OF_ANY : PATCH_OF_ROW;
    uint32_t count = writer->table->column_count;
    uint32_t first = next_written(writer, 0);
    if (first == count)
        return;
    leat_buf_text(writer->out, " WHEN MATCHED AND (");
    for (uint32_t i = first; i < count; i = next_written(writer, i + 1)) {
        leat_buf_text(writer->out, i == first ? "" : " OR ");
        put_differs(writer, i, kind);
    }
    leat_buf_text(writer->out, ") THEN UPDATE SET ");
    for (uint32_t i = first; i < count; i = next_written(writer, i + 1)) {
        leat_buf_text(writer->out, i == first ? "" : ", ");
        put_identifier(writer->out, writer->table->columns[i].name);
        leat_buf_text(writer->out, " = ");
        put_new(writer, i, kind);
    }
}

/* Columns that no row names are left out: the table knows their defaults. */
static void put_insert(const sql_writer *writer)
{
    const leat_table *table = writer->table;
    value_kind kind = writer->shape->op == LEAT_PUT ? PUT_OF_ANY : PATCH_OF_MISSING;
    leat_buf_text(writer->out, " WHEN NOT MATCHED THEN INSERT (");
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_text(writer->out, i > 0 ? ", " : "");
        put_identifier(writer->out, table->columns[table->key_columns[i]].name);
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        put_identifier(writer->out, table->columns[i].name);
    }
    leat_buf_text(writer->out, ") VALUES (");
    for (uint32_t i = 0; i < table->key_count; i++)
        leat_buf_printf(writer->out, "%ss.k%u", i > 0 ? ", " : "", i);
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        put_new(writer, i, kind);
    }
    leat_buf_byte(writer->out, ')');
}

void leat_statement_build(const leat_shape *shape, leat_buf *out)
{
    sql_writer writer = {shape, shape->route->table, out};
    bool is_delete = shape->op == LEAT_DELETE;
    LEAT_ASSERT(!is_delete || (shape->columns == 0 && shape->uniform));
    leat_buf_text(out, is_delete ? "DELETE FROM " : "MERGE INTO ");
    put_table(&writer);
    leat_buf_text(out, " USING ");
    put_rows(&writer);
    leat_buf_text(out, is_delete ? " WHERE " : " ON ");
    put_key_match(&writer);
    if (is_delete)
        return;
    put_update(&writer);
    put_insert(&writer);
}
