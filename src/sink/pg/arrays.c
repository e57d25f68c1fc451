/*
 * arrays.c - the parameters of a row statement in PostgreSQL's binary form: one array per column,
 * and masks of the columns that each row names. Binary, because the server would have to parse
 * text, and its meaning depends on the session's settings. All arrays go into one buffer that is
 * kept from statement to statement; it may move while it grows, so the addresses are filled in at
 * the end.
 */
#include "sink/pg/params.h"
#include "sink/pg/rows_state.h"

static const row_write *write_at(const leat_rows *rows, const row_group *statement, uint32_t row)
{
    return &rows->writes[rows->order[statement->first + row]];
}

static void put_key_array(leat_rows *rows, const row_group *statement, uint32_t position)
{
    const leat_table *table = statement->shape.route->table;
    const leat_column *column = &table->columns[table->key_columns[position]];
    leat_pg_put_array_head(&rows->params, leat_statement_element_oid(column->type),
                           statement->count);
    for (uint32_t i = 0; i < statement->count; i++)
        leat_value_binary(column, &write_at(rows, statement, i)->item->key[position],
                          &rows->params);
}

static void put_column_array(leat_rows *rows, const row_group *statement, uint32_t index)
{
    static const leat_value null = {.presence = LEAT_NULL};
    const leat_column *column = &statement->shape.route->table->columns[index];
    uint64_t bit = (uint64_t)1 << index;
    leat_pg_put_array_head(&rows->params, leat_statement_element_oid(column->type),
                           statement->count);
    for (uint32_t i = 0; i < statement->count; i++) {
        const leat_row_write *write = &write_at(rows, statement, i)->write;
        leat_value_binary(column, write->present & bit ? &write->values[index] : &null,
                          &rows->params);
    }
}

static void put_mask(leat_buf *out, uint64_t mask)
{
    leat_buf_be32(out, sizeof mask);
    leat_buf_be64(out, mask);
}

static void put_named_array(leat_rows *rows, const row_group *statement)
{
    leat_pg_put_array_head(&rows->params, leat_statement_element_oid(LEAT_TYPE_INT8),
                           statement->count);
    for (uint32_t i = 0; i < statement->count; i++)
        put_mask(&rows->params, write_at(rows, statement, i)->write.present);
}

static void put_operated_array(leat_rows *rows, const row_group *statement)
{
    leat_pg_put_array_head(&rows->params, leat_statement_element_oid(LEAT_TYPE_INT8),
                           statement->count);
    for (uint32_t i = 0; i < statement->count; i++)
        put_mask(&rows->params, write_at(rows, statement, i)->write.operated);
}

static void put_record_counts(leat_rows *rows, const row_group *statement)
{
    leat_pg_put_array_head(&rows->params, leat_statement_element_oid(LEAT_TYPE_INT4),
                           statement->count);
    for (uint32_t i = 0; i < statement->count; i++) {
        leat_buf_be32(&rows->params, sizeof(uint32_t));
        leat_buf_be32(&rows->params, write_at(rows, statement, i)->record_count);
    }
}

static void begin_params(leat_rows *rows, const row_group *statement, leat_shape shape,
                         leat_row_statement *ret)
{
    ret->shape = shape;
    ret->row_count = statement->count;
    ret->param_count = 0;
    leat_buf_clear(&rows->params);
}

/* Ends a parameter. The buffer may still move, so only its offset is kept, and `values` is filled
 * at the end. */
static void end_param(leat_rows *rows, leat_row_statement *statement, size_t *from)
{
    statement->sizes[statement->param_count++] = (int)(rows->params.size - *from);
    *from = rows->params.size;
}

static void put_keys(leat_rows *rows, const row_group *statement, leat_row_statement *ret,
                     size_t *from)
{
    for (uint32_t i = 0; i < statement->shape.route->table->key_count; i++) {
        put_key_array(rows, statement, i);
        end_param(rows, ret, from);
    }
}

static int end_params(const leat_rows *rows, leat_row_statement *ret)
{
    if (rows->params.failed || rows->params.size > INT32_MAX)
        return -1;
    const char *value = rows->params.data;
    for (uint32_t i = 0; i < ret->param_count; value += ret->sizes[i++])
        ret->values[i] = value;
    return 0;
}

int leat_rows_statement(leat_rows *rows, uint32_t at, leat_shape shape, leat_row_statement *ret)
{
    LEAT_ASSERT(at < rows->statement_count);
    const row_group *statement = &rows->statements[at];
    LEAT_ASSERT(leat_shape_equal(&shape, &statement->shape) || !shape.uniform);
    LEAT_ASSERT((statement->shape.columns & ~shape.columns) == 0);
    LEAT_ASSERT((statement->shape.operated & ~shape.operated) == 0);
    size_t from = 0;
    begin_params(rows, statement, shape, ret);
    put_keys(rows, statement, ret, &from);
    for (uint64_t rest = shape.columns; rest; rest &= rest - 1) {
        put_column_array(rows, statement, (uint32_t)__builtin_ctzll(rest));
        end_param(rows, ret, &from);
    }
    if (!shape.uniform) {
        put_named_array(rows, statement);
        end_param(rows, ret, &from);
    }
    if (!shape.uniform && shape.operated != 0) {
        put_operated_array(rows, statement);
        end_param(rows, ret, &from);
    }
    return end_params(rows, ret);
}

int leat_rows_missing(leat_rows *rows, uint32_t at, leat_row_statement *ret)
{
    LEAT_ASSERT(at < rows->statement_count);
    const row_group *statement = &rows->statements[at];
    LEAT_ASSERT(leat_shape_counts_missing(&statement->shape));
    size_t from = 0;
    begin_params(rows, statement, statement->shape, ret);
    put_keys(rows, statement, ret, &from);
    put_record_counts(rows, statement);
    end_param(rows, ret, &from);
    return end_params(rows, ret);
}
