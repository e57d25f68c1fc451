/*
 * audit_rows.c - rows held against what their writes say, by one statement for some hundred keys.
 * The database compares, with the types' own equality, so that nothing of a type has to be known
 * here a second time: the values travel as those of a batch do, and an operand meets the column's
 * default in the expression of a PUT. Two equal values may look different (1.0 and 1.00); that is
 * no difference here.
 */
#include "sink/pg/audit.h"

#include <stdlib.h>
#include <string.h>

#include "sink/pg/params.h"
#include "sink/pg/sql_writer.h"
#include "sink/pg/statement.h"

struct leat_pg_audit_rows {
    leat_buf sql;
    leat_buf params;
    uint32_t param_count;
    size_t ends[LEAT_STATEMENT_PARAMS_MAX];
};

leat_pg_audit_rows *leat_pg_audit_rows_new(void)
{
    return leat_must_calloc(1, sizeof(leat_pg_audit_rows));
}

void leat_pg_audit_rows_free(leat_pg_audit_rows *rows)
{
    leat_buf_free(&rows->sql);
    leat_buf_free(&rows->params);
    free(rows);
}

/* ---- the statement ---- */

/* The rows s, with the texts of types that leat does not know read as their type. It has its
 * modifier, because they are held against what is stored (1.50 of numeric(10,2)[]): what a cast
 * cuts was refused when it was written. */
static void put_rows(const leat_sql_writer *writer)
{
    const leat_table *table = writer->table;
    leat_buf_text(writer->out, "(SELECT s.at, s.p");
    leat_buf_text(writer->out, writer->shape->operated ? ", s.o" : "");
    for (uint32_t i = 0; i < table->key_count; i++)
        leat_buf_printf(writer->out, ", s.k%u", i);
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sql_is_named(writer, i))
            continue;
        leat_buf_text(writer->out, ", ");
        if (table->columns[i].type == LEAT_TYPE_OTHER)
            leat_sql_put_read_text(writer, i, table->columns[i].type_name);
        else
            leat_buf_printf(writer->out, "s.c%u", i);
        leat_buf_printf(writer->out, " AS c%u", i);
    }
    leat_buf_text(writer->out, " FROM (");
    leat_sql_put_arrays(writer);
    leat_buf_text(writer->out, ", generate_subscripts($1, 1) AS at) AS s) AS s");
}

/* Types that leat does not know are compared as they are stored: their "=" may be missing. */
static void put_differs(const leat_sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    bool is_padded = of->type == LEAT_TYPE_OTHER && strcmp(of->cast_name, "bpchar") == 0;
    bool is_image = of->type == LEAT_TYPE_OTHER && !is_padded;
    const char *as = is_padded || of->type == LEAT_TYPE_JSON ? "::text"
                     : of->type == LEAT_TYPE_TEXT            ? " COLLATE \"C\""
                                                             : "";
    leat_buf_text(writer->out, is_image ? "pg_catalog.record_image_ne(ROW(" : "");
    leat_sql_put_stored(writer, column);
    leat_buf_printf(writer->out, is_image ? "), ROW((" : "%s IS DISTINCT FROM (", as);
    leat_sql_put_new(writer, column, LEAT_FROM_DEFAULTS);
    if (is_image)
        leat_buf_printf(writer->out, ")::%s))", of->type_name);
    else
        leat_buf_printf(writer->out, ")%s", as);
}

/* Is it there, and the mask of the columns that differ: both int8, in the order of the rows. */
static void build(const leat_sql_writer *writer)
{
    leat_buf_text(writer->out, "SELECT (CASE WHEN ");
    leat_sql_put_stored(writer, writer->table->key_columns[0]);
    leat_buf_text(writer->out, " IS NULL THEN 0 ELSE 1 END)::int8, 0::int8");
    for (uint32_t i = 0; i < writer->table->column_count; i++) {
        if (!leat_sql_is_named(writer, i))
            continue;
        leat_buf_text(writer->out, " | CASE WHEN ");
        leat_sql_put_row_has(writer, 'p', i);
        leat_buf_text(writer->out, " AND ");
        put_differs(writer, i);
        leat_buf_printf(writer->out, " THEN '%lld'::int8 ELSE 0::int8 END",
                        (long long)leat_shape_bit(i));
    }
    leat_buf_text(writer->out, " FROM ");
    put_rows(writer);
    leat_buf_text(writer->out, " LEFT JOIN ");
    leat_sql_put_table(writer);
    leat_buf_text(writer->out, " ON ");
    leat_sql_put_key_match(writer);
    leat_buf_text(writer->out, " ORDER BY s.at");
}

/* ---- its parameters ---- */

static void begin_array(leat_pg_audit_rows *scratch, leat_type type, uint32_t count)
{
    leat_pg_put_array_head(&scratch->params, leat_statement_element_oid(type), count);
}

static void end_array(leat_pg_audit_rows *scratch)
{
    LEAT_ASSERT(scratch->param_count < LEAT_STATEMENT_PARAMS_MAX);
    scratch->ends[scratch->param_count++] = scratch->params.size;
}

static void put_keys(leat_pg_audit_rows *scratch, const leat_table *table,
                     const leat_audit_row *rows, uint32_t count)
{
    for (uint32_t k = 0; k < table->key_count; k++) {
        const leat_column *column = &table->columns[table->key_columns[k]];
        begin_array(scratch, column->type, count);
        for (uint32_t i = 0; i < count; i++)
            leat_value_binary(column, &rows[i].key[k], &scratch->params);
        end_array(scratch);
    }
}

static void put_column(leat_pg_audit_rows *scratch, const leat_table *table, uint32_t index,
                       const leat_audit_row *rows, const uint64_t *compared, uint32_t count)
{
    static const leat_value null = {.presence = LEAT_NULL};
    const leat_column *column = &table->columns[index];
    begin_array(scratch, column->type, count);
    for (uint32_t i = 0; i < count; i++)
        leat_value_binary(column, compared[i] >> index & 1 ? &rows[i].state->values[index] : &null,
                          &scratch->params);
    end_array(scratch);
}

static void put_masks(leat_pg_audit_rows *scratch, const uint64_t *masks, uint32_t count)
{
    begin_array(scratch, LEAT_TYPE_INT8, count);
    for (uint32_t i = 0; i < count; i++) {
        leat_buf_be32(&scratch->params, sizeof(uint64_t));
        leat_buf_be64(&scratch->params, masks[i]);
    }
    end_array(scratch);
}

/* ---- the question ---- */

static int take_answers(const PGresult *result, uint32_t count, leat_audit_answer *ret,
                        leat_error *error)
{
    LEAT_ASSERT((uint32_t)PQntuples(result) == count);
    for (uint32_t i = 0; i < count; i++) {
        int64_t is_there, differs;
        if (leat_pg_field_int8(result, (int)i, 0, &is_there) != 0 ||
            leat_pg_field_int8(result, (int)i, 1, &differs) != 0)
            return leat_fail(error, "the answer has another form");
        ret[i].is_there = is_there != 0;
        ret[i].differs = is_there != 0 ? (uint64_t)differs : 0;
    }
    return 0;
}

static int ask(leat_pg_audit_rows *scratch, leat_pg *pg, uint32_t count, leat_audit_answer *ret,
               leat_error *error)
{
    const char *values[LEAT_STATEMENT_PARAMS_MAX];
    int sizes[LEAT_STATEMENT_PARAMS_MAX], formats[LEAT_STATEMENT_PARAMS_MAX];
    const char *sql = leat_buf_cstr(&scratch->sql);
    if (!sql || scratch->params.failed || scratch->params.size > INT32_MAX)
        return leat_fail(error, "out of memory");
    for (uint32_t i = 0; i < scratch->param_count; i++) {
        size_t from = i > 0 ? scratch->ends[i - 1] : 0;
        values[i] = scratch->params.data + from;
        sizes[i] = (int)(scratch->ends[i] - from);
        formats[i] = 1;
    }
    PGresult *result =
        leat_pg_execute(pg, sql, (int)scratch->param_count, values, sizes, formats, error);
    int status = result ? take_answers(result, count, ret, error) : -1;
    PQclear(result);
    return status;
}

int leat_pg_audit_compare(leat_pg_audit_rows *scratch, leat_pg *pg, const leat_route *route,
                          uint64_t columns, const leat_audit_row *rows, uint32_t count,
                          leat_audit_answer *ret, leat_error *error)
{
    LEAT_ASSERT(count > 0 && count <= LEAT_AUDIT_ROWS_MAX);
    uint64_t compared[LEAT_AUDIT_ROWS_MAX], operated[LEAT_AUDIT_ROWS_MAX];
    leat_shape shape = {.route = route, .op = LEAT_PUT};
    for (uint32_t i = 0; i < count; i++) {
        const leat_key_state *state = rows[i].state;
        compared[i] = leat_key_state_comparable(state, route->table) & columns;
        operated[i] = state->operated & compared[i];
        ret[i] = (leat_audit_answer){.undecided = state->known & columns & ~compared[i]};
        shape.columns |= compared[i];
        shape.operated |= operated[i];
        shape.merge = state->merge > shape.merge ? state->merge : shape.merge;
    }
    leat_buf_clear(&scratch->sql);
    leat_buf_clear(&scratch->params);
    scratch->param_count = 0;
    leat_sql_writer writer = {.shape = &shape, .table = route->table, .out = &scratch->sql};
    build(&writer);
    put_keys(scratch, route->table, rows, count);
    for (uint64_t rest = shape.columns; rest; rest &= rest - 1)
        put_column(scratch, route->table, (uint32_t)__builtin_ctzll(rest), rows, compared, count);
    put_masks(scratch, compared, count);
    if (shape.operated)
        put_masks(scratch, operated, count);
    return ask(scratch, pg, count, ret, error);
}
