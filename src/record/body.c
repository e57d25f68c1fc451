/*
 * A body is copied into the arena and parsed there in situ, so that strings and number literals are
 * already where the values may borrow them. Only json, jsonb and arrays need a new text, because
 * parsing has overwritten the original. Numbers stay raw literals: a double would round what a
 * numeric column can hold. Edge and worker run the same code, so the worker refuses a write that
 * was answered 202 only if the table has changed meanwhile.
 */
#include "record/body.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/array_text.h"
#include "record/decimal.h"
#include "record/arena.h"

struct leat_body_parser {
    leat_arena arena;
    leat_block reader;
    leat_block writer;
    leat_buf array; /* the text of one, until it is copied into the arena */
};

/* One body being read. */
typedef struct body_parse {
    leat_body_parser *parser;
    const leat_route *route;
    leat_route_op op;
    const leat_value *key;
    leat_body *body;
    leat_body_error *error;
} body_parse;

typedef leat_body_fault read_function(body_parse *parse, const leat_column *column,
                                      yyjson_val *json, leat_value *ret);

leat_body_parser *leat_body_parser_new(void)
{
    return calloc(1, sizeof(leat_body_parser));
}

void leat_body_parser_free(leat_body_parser *parser)
{
    if (!parser)
        return;
    leat_arena_fini(&parser->arena);
    leat_block_fini(&parser->reader);
    leat_block_fini(&parser->writer);
    leat_buf_free(&parser->array);
    free(parser);
}

void leat_body_parser_reset(leat_body_parser *parser)
{
    leat_arena_reset(&parser->arena);
}

/* ---- Faults ---- */

/* Cut to what fits, between two characters. */
static void name_field(leat_body_error *error, leat_slice name)
{
    size_t size = name.size;
    if (size > LEAT_NAME_MAX) {
        size = LEAT_NAME_MAX;
        while (size > 0 && ((unsigned char)name.data[size] & 0xc0) == 0x80)
            size--;
    }
    memcpy(error->field, name.data, size);
    error->field[size] = '\0';
}

static leat_body_fault whole_fault(leat_body_error *error, leat_body_fault fault,
                                   const char *message)
{
    error->field[0] = '\0';
    snprintf(error->message, sizeof error->message, "%s", message);
    return fault;
}

static leat_body_fault refuse(body_parse *parse, leat_slice field, const char *message)
{
    name_field(parse->error, field);
    snprintf(parse->error->message, sizeof parse->error->message, "%s", message);
    return LEAT_BODY_REFUSED;
}

static leat_body_fault refuse_column(body_parse *parse, const leat_column *column,
                                     const char *message)
{
    return refuse(parse, leat_slice_of(column->name), message);
}

static leat_body_fault out_of_memory(leat_body_error *error)
{
    return whole_fault(error, LEAT_BODY_MEMORY, "out of memory");
}

/* ---- Values ---- */

static leat_slice json_text(yyjson_val *json)
{
    return (leat_slice){unsafe_yyjson_get_str(json), unsafe_yyjson_get_len(json)};
}

static leat_body_fault read_text(body_parse *parse, const leat_column *column, leat_slice text,
                                 leat_value *ret)
{
    leat_error error;
    if (leat_value_from_text(column, text, ret, &error) != 0)
        return refuse_column(parse, column, error.text);
    return LEAT_BODY_OK;
}

static leat_body_fault read_bool(body_parse *parse, const leat_column *column, yyjson_val *json,
                                 leat_value *ret)
{
    if (!yyjson_is_bool(json))
        return refuse_column(parse, column, "must be true or false");
    *ret = (leat_value){.presence = LEAT_PRESENT, .boolean = unsafe_yyjson_get_bool(json)};
    return LEAT_BODY_OK;
}

static leat_body_fault read_string(body_parse *parse, const leat_column *column, yyjson_val *json,
                                   leat_value *ret)
{
    if (!yyjson_is_str(json))
        return refuse_column(parse, column, "must be a string");
    return read_text(parse, column, json_text(json), ret);
}

static leat_body_fault read_number(body_parse *parse, const leat_column *column, yyjson_val *json,
                                   leat_value *ret)
{
    if (!yyjson_is_raw(json) && !yyjson_is_str(json))
        return refuse_column(parse, column, "must be a number or a string that holds one");
    return read_text(parse, column, json_text(json), ret);
}

/* A float's string is one of three names: numbers have a JSON form already, so clients must send
 * that. */
static leat_body_fault read_real(body_parse *parse, const leat_column *column, yyjson_val *json,
                                 leat_value *ret)
{
    bool is_name = false;
    if (yyjson_is_str(json)) {
        leat_slice text = json_text(json);
        is_name = leat_slice_is(text, "NaN") || leat_slice_is(text, "Infinity") ||
                  leat_slice_is(text, "-Infinity");
    }
    if (!yyjson_is_raw(json) && !is_name)
        return refuse_column(parse, column,
                             "must be a number or \"NaN\", \"Infinity\", \"-Infinity\"");
    return read_text(parse, column, json_text(json), ret);
}

/* Why jsonb would reject the value, or NULL. json has to pass too, so that its text can be worked
 * with. */
static const char *json_scalar_problem(yyjson_val *json)
{
    if (yyjson_is_str(json) &&
        memchr(unsafe_yyjson_get_str(json), '\0', unsafe_yyjson_get_len(json)))
        return "must not hold U+0000";
    leat_decimal decimal;
    if (yyjson_is_raw(json) &&
        !(leat_decimal_scan(json_text(json), &decimal) && leat_decimal_storable(&decimal)))
        return "holds a number with more digits than jsonb holds (131072 before and 16383 after the point)";
    return NULL;
}

/* yyjson keeps the names and values of a container, and of all containers in it, one after the
 * other in memory: a loop sees them all, and the ends of the containers give the depth. `ends` are
 * those of the enclosing containers. */
static const char *json_problem(yyjson_val *json)
{
    const yyjson_val *ends[LEAT_BODY_DEPTH_MAX];
    size_t depth = 0;
    const yyjson_val *end = unsafe_yyjson_get_next(json);
    for (yyjson_val *at = json; at < end; at++) {
        while (depth > 0 && at >= ends[depth - 1])
            depth--;
        const char *problem = json_scalar_problem(at);
        if (problem)
            return problem;
        if (!unsafe_yyjson_is_ctn(at))
            continue;
        if (depth == LEAT_BODY_DEPTH_MAX)
            return "is nested too deep";
        ends[depth++] = unsafe_yyjson_get_next(at);
    }
    return NULL;
}

static leat_body_fault keep_text(body_parse *parse, leat_slice text, leat_value *ret)
{
    char *copy = text.data ? leat_arena_take(&parse->parser->arena, text.size) : NULL;
    if (!copy)
        return out_of_memory(parse->error);
    memcpy(copy, text.data, text.size);
    *ret = (leat_value){.presence = LEAT_PRESENT, .text = {copy, text.size}};
    return LEAT_BODY_OK;
}

static leat_body_fault read_json(body_parse *parse, const leat_column *column, yyjson_val *json,
                                 leat_value *ret)
{
    const char *problem = json_problem(json);
    if (problem)
        return refuse_column(parse, column, problem);
    yyjson_alc allocator = leat_block_allocator(&parse->parser->writer);
    size_t size;
    const char *text = yyjson_val_write_opts(json, YYJSON_WRITE_NOFLAG, &allocator, &size, NULL);
    return keep_text(parse, (leat_slice){text, size}, ret);
}

static leat_body_fault read_array(body_parse *parse, const leat_column *column, yyjson_val *json,
                                  leat_value *ret)
{
    leat_buf *array = &parse->parser->array;
    leat_buf_clear(array);
    const char *problem = leat_array_text(json, array);
    if (problem)
        return refuse_column(parse, column, problem);
    leat_value value;
    leat_body_fault fault =
        array->failed ? out_of_memory(parse->error)
                      : read_text(parse, column, (leat_slice){array->data, array->size}, &value);
    return fault == LEAT_BODY_OK ? keep_text(parse, value.text, ret) : fault;
}

static leat_body_fault read_other(body_parse *parse, const leat_column *column, yyjson_val *json,
                                  leat_value *ret)
{
    if (yyjson_is_arr(json) && column->is_array)
        return read_array(parse, column, json, ret);
    if (column->is_array && !yyjson_is_str(json))
        return refuse_column(parse, column,
                             "must be an array, or a string that holds its text form");
    if (yyjson_is_bool(json))
        return read_text(parse, column,
                         unsafe_yyjson_get_bool(json) ? LEAT_SLICE("true") : LEAT_SLICE("false"),
                         ret);
    if (yyjson_is_ctn(json))
        return refuse_column(parse, column, "must be a string that holds the type's text form");
    return read_text(parse, column, json_text(json), ret);
}

static read_function *const readers[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = read_bool,          [LEAT_TYPE_INT2] = read_number,
    [LEAT_TYPE_INT4] = read_number,        [LEAT_TYPE_INT8] = read_number,
    [LEAT_TYPE_FLOAT4] = read_real,        [LEAT_TYPE_FLOAT8] = read_real,
    [LEAT_TYPE_NUMERIC] = read_number,     [LEAT_TYPE_TEXT] = read_string,
    [LEAT_TYPE_UUID] = read_string,        [LEAT_TYPE_DATE] = read_string,
    [LEAT_TYPE_TIME] = read_string,        [LEAT_TYPE_TIMESTAMP] = read_string,
    [LEAT_TYPE_TIMESTAMPTZ] = read_string, [LEAT_TYPE_BYTEA] = read_string,
    [LEAT_TYPE_JSONB] = read_json,         [LEAT_TYPE_JSON] = read_json,
    [LEAT_TYPE_OTHER] = read_other,
};

static bool is_finite(leat_type type, const leat_value *value)
{
    if (leat_type_is_float(type))
        return isfinite(value->real);
    return type != LEAT_TYPE_NUMERIC || !leat_slice_is(value->text, "NaN");
}

/* ---- Members ---- */

/* Clients usually name the columns in the same order: `expected` is the one after the last. */
static int find_column(const leat_table *table, leat_slice name, uint32_t expected)
{
    if (expected < table->column_count && leat_column_is(&table->columns[expected], name))
        return (int)expected;
    return leat_table_column(table, name);
}

/* Operands of `add` must be finite: a sum that is NaN once stays NaN. */
static leat_body_fault read_present(body_parse *parse, uint32_t index, yyjson_val *json,
                                    leat_value *ret)
{
    const leat_column *column = &parse->route->table->columns[index];
    leat_body_fault fault = readers[column->type](parse, column, json, ret);
    bool is_added = parse->op == LEAT_PATCH && parse->route->ops[index] == LEAT_OP_ADD;
    if (fault == LEAT_BODY_OK && is_added && !is_finite(column->type, ret))
        return refuse_column(parse, column, "must be finite: it is added");
    return fault;
}

static leat_body_fault read_value(body_parse *parse, uint32_t index, yyjson_val *json)
{
    const leat_column *column = &parse->route->table->columns[index];
    leat_value *value = &parse->body->values[index];
    uint64_t bit = (uint64_t)1 << index;
    if (parse->body->present & bit)
        return refuse_column(parse, column, "is named twice");
    if (column->generated)
        return refuse_column(parse, column, "is generated by the database and cannot be written");
    parse->body->present |= bit;
    if (!yyjson_is_null(json))
        return read_present(parse, index, json, value);
    if (column->not_null)
        return refuse_column(parse, column, "must not be null");
    value->presence = LEAT_NULL;
    return LEAT_BODY_OK;
}

static leat_body_fault read_members(body_parse *parse, yyjson_val *object)
{
    uint32_t expected = 0;
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    for (yyjson_val *name = yyjson_obj_iter_next(&iter); name; name = yyjson_obj_iter_next(&iter)) {
        int index = find_column(parse->route->table, json_text(name), expected);
        if (index < 0)
            return refuse(parse, json_text(name), "is not a column");
        leat_body_fault fault = read_value(parse, (uint32_t)index, yyjson_obj_iter_get_val(name));
        if (fault != LEAT_BODY_OK)
            return fault;
        expected = (uint32_t)index + 1;
    }
    return LEAT_BODY_OK;
}

/* Key columns may be repeated in the body, for clients that send what they have. */
static leat_body_fault drop_key_columns(body_parse *parse)
{
    const leat_table *table = parse->route->table;
    for (uint32_t i = 0; i < table->key_count; i++) {
        const leat_column *column = &table->columns[table->key_columns[i]];
        uint64_t bit = (uint64_t)1 << table->key_columns[i];
        if (!(parse->body->present & bit))
            continue;
        const leat_value *value = &parse->body->values[table->key_columns[i]];
        if (value->presence == LEAT_NULL || !leat_value_equal(column->type, value, &parse->key[i]))
            return refuse_column(parse, column, "differs from the path");
        parse->body->present &= ~bit;
    }
    return LEAT_BODY_OK;
}

static leat_body_fault check_complete(body_parse *parse)
{
    const leat_table *table = parse->route->table;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const leat_column *column = &table->columns[i];
        bool is_needed = column->not_null && !column->default_expression && !column->generated;
        if (is_needed && column->key_position < 0 && !(parse->body->present >> i & 1))
            return refuse_column(parse, column, "must be there: it is NOT NULL and has no default");
    }
    return LEAT_BODY_OK;
}

/* ---- The whole ---- */

static leat_body_fault syntax_fault(leat_body_error *error, const yyjson_read_err *from)
{
    error->field[0] = '\0';
    snprintf(error->message, sizeof error->message, "not JSON: %s at byte %zu", from->msg,
             from->pos);
    return LEAT_BODY_SYNTAX;
}

static leat_body_fault read_object(body_parse *parse, leat_slice json, yyjson_val **ret)
{
    char *copy = leat_arena_take(&parse->parser->arena, json.size + YYJSON_PADDING_SIZE);
    if (!copy)
        return out_of_memory(parse->error);
    memcpy(copy, json.data, json.size);
    memset(copy + json.size, 0, YYJSON_PADDING_SIZE);
    yyjson_alc allocator = leat_block_allocator(&parse->parser->reader);
    yyjson_read_err error;
    yyjson_doc *doc = yyjson_read_opts(
        copy, json.size, YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW, &allocator, &error);
    if (!doc && error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return out_of_memory(parse->error);
    if (!doc)
        return syntax_fault(parse->error, &error);
    *ret = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(*ret))
        return whole_fault(parse->error, LEAT_BODY_SYNTAX, "must be a JSON object");
    return LEAT_BODY_OK;
}

static leat_body_fault parse_members(body_parse *parse, leat_slice json)
{
    yyjson_val *object;
    leat_body_fault fault = read_object(parse, json, &object);
    if (fault == LEAT_BODY_OK)
        fault = read_members(parse, object);
    if (fault == LEAT_BODY_OK)
        fault = drop_key_columns(parse);
    return fault;
}

leat_body_fault leat_body_parse(leat_body_parser *parser, const leat_route *route, leat_route_op op,
                                leat_slice json, const leat_value *key, leat_body *ret,
                                leat_body_error *error)
{
    body_parse parse = {parser, route, op, key, ret, error};
    ret->present = 0;
    if (op == LEAT_DELETE)
        return LEAT_BODY_OK;
    leat_body_fault fault = json.size == 0 ? LEAT_BODY_OK : parse_members(&parse, json);
    if (fault == LEAT_BODY_OK && op == LEAT_PUT)
        fault = check_complete(&parse);
    return fault;
}
