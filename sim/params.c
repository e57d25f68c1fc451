/*
 * params.c - reads the binary arrays of a row statement, bounds first: a length that leads past the
 * end is a bug of the sink and ends the world. The statement's text is not parsed; that its
 * parameters are in the promised order and write no row twice is checked here, as PostgreSQL would.
 */
#include "params.h"

#include <stdlib.h>
#include <string.h>

/* One array parameter. */
typedef struct array_reader {
    const char *at;
    const char *end;
} array_reader;

static uint32_t take_be32(array_reader *from)
{
    LEAT_ASSERT(from->end - from->at >= 4);
    const unsigned char *b = (const unsigned char *)from->at;
    from->at += 4;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t be64(leat_slice bytes)
{
    LEAT_ASSERT(bytes.size == 8);
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | (unsigned char)bytes.data[i];
    return value;
}

static array_reader open_array(const char *bytes, int size, uint32_t element_oid, uint32_t count)
{
    array_reader array = {bytes, bytes + size};
    LEAT_ASSERT(take_be32(&array) == 1);
    take_be32(&array); /* may hold NULLs */
    LEAT_ASSERT(take_be32(&array) == element_oid);
    LEAT_ASSERT(take_be32(&array) == count);
    LEAT_ASSERT(take_be32(&array) == 1);
    return array;
}

/* False: NULL. */
static bool take_element(array_reader *array, leat_slice *ret)
{
    uint32_t size = take_be32(array);
    if (size == UINT32_MAX)
        return false;
    LEAT_ASSERT((size_t)(array->end - array->at) >= size);
    *ret = (leat_slice){array->at, size};
    array->at += size;
    return true;
}

static leat_value read_value(leat_type type, array_reader *array)
{
    leat_slice bytes;
    if (!take_element(array, &bytes))
        return (leat_value){.presence = LEAT_NULL};
    leat_value value = {.presence = LEAT_PRESENT};
    if (type == LEAT_TYPE_INT8) {
        value.integer = (int64_t)be64(bytes);
    } else if (type == LEAT_TYPE_JSONB) {
        LEAT_ASSERT(bytes.size > 1 && bytes.data[0] == 1); /* jsonb's version */
        value.text = (leat_slice){bytes.data + 1, bytes.size - 1};
    } else {
        value.text = bytes;
    }
    return value;
}

typedef struct param_reader {
    const leat_row_statement *statement;
    sim_command *command;
    const char *bytes; /* the copy */
    uint32_t next;     /* parameter */
    size_t from;       /* of it, in `bytes` */
} param_reader;

static array_reader next_array(param_reader *params, leat_type type)
{
    int size = params->statement->sizes[params->next++];
    array_reader array = open_array(params->bytes + params->from, size,
                                    leat_statement_element_oid(type), params->statement->row_count);
    params->from += (size_t)size;
    return array;
}

static void copy_bytes(const leat_row_statement *statement, sim_command *ret)
{
    size_t size = 0;
    for (uint32_t i = 0; i < statement->param_count; i++)
        size += (size_t)statement->sizes[i];
    ret->bytes = leat_must_calloc(1, size + 1);
    size = 0;
    for (uint32_t i = 0; i < statement->param_count; i++) {
        memcpy(ret->bytes + size, statement->values[i], (size_t)statement->sizes[i]);
        size += (size_t)statement->sizes[i];
    }
}

static void read_keys(const sim_schema *schema, param_reader *params)
{
    const leat_route *route = params->statement->shape.route;
    array_reader apps = next_array(params, LEAT_TYPE_TEXT);
    array_reader ids = next_array(params, LEAT_TYPE_INT8);
    for (uint32_t i = 0; i < params->statement->row_count; i++) {
        leat_value app = read_value(LEAT_TYPE_TEXT, &apps), id = read_value(LEAT_TYPE_INT8, &ids);
        int32_t row = sim_schema_row(schema, route->table_index, app.text, id.integer);
        LEAT_ASSERT(row >= 0);
        params->command->writes[i].row = (uint32_t)row;
    }
}

static void read_column(param_reader *params, uint32_t column)
{
    leat_type type = params->statement->shape.route->table->columns[column].type;
    array_reader array = next_array(params, type);
    for (uint32_t i = 0; i < params->statement->row_count; i++)
        params->command->writes[i].write.values[column] = read_value(type, &array);
}

static uint64_t read_mask(array_reader *array)
{
    leat_slice bytes;
    LEAT_ASSERT(take_element(array, &bytes));
    return be64(bytes);
}

static void read_masks(param_reader *params)
{
    const leat_shape *shape = &params->statement->shape;
    sim_write *writes = params->command->writes;
    for (uint32_t i = 0; i < params->statement->row_count; i++) {
        writes[i].write.present = shape->columns;
        writes[i].write.operated = shape->operated;
    }
    if (shape->uniform)
        return;
    array_reader named = next_array(params, LEAT_TYPE_INT8);
    for (uint32_t i = 0; i < params->statement->row_count; i++)
        writes[i].write.present = read_mask(&named);
    if (shape->operated == 0)
        return;
    array_reader operated = next_array(params, LEAT_TYPE_INT8);
    for (uint32_t i = 0; i < params->statement->row_count; i++)
        writes[i].write.operated = read_mask(&operated);
}

/* A statement must not write one row twice: PostgreSQL's MERGE refuses that. */
static void check_rows_differ(const sim_command *command)
{
    for (uint32_t i = 0; i < command->write_count; i++)
        for (uint32_t k = 0; k < i; k++)
            LEAT_ASSERT(command->writes[i].row != command->writes[k].row);
}

void sim_params_read(const sim_schema *schema, const leat_row_statement *statement,
                     sim_command *ret)
{
    const leat_shape *shape = &statement->shape;
    *ret =
        (sim_command){.kind = CMD_ROWS, .route = shape->route, .write_count = statement->row_count};
    ret->writes = leat_must_calloc(statement->row_count, sizeof *ret->writes);
    ret->values =
        leat_must_calloc((size_t)statement->row_count * COLUMN_COUNT, sizeof *ret->values);
    for (uint32_t i = 0; i < statement->row_count; i++)
        ret->writes[i].write = (leat_row_write){.op = shape->op,
                                                .merge = shape->merge,
                                                .values = ret->values + (size_t)i * COLUMN_COUNT};
    copy_bytes(statement, ret);
    param_reader params = {statement, ret, ret->bytes, 0, 0};
    read_keys(schema, &params);
    for (uint64_t rest = shape->columns; rest; rest &= rest - 1)
        read_column(&params, (uint32_t)__builtin_ctzll(rest));
    read_masks(&params);
    LEAT_ASSERT(params.next == statement->param_count);
    check_rows_differ(ret);
}

void sim_params_free(sim_command *command)
{
    free(command->writes);
    free(command->values);
    free(command->bytes);
}
