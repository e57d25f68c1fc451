/*
 * From a JSON value to one of a column's type: one reader for each kind of JSON that a type takes.
 * Only json, jsonb and arrays need a new text, because parsing has overwritten the original; and
 * jsonb not even that where the body's own bytes may be borrowed.
 */
#include "record/body_state.h"

#include <string.h>

#include "record/array_text.h"
#include "record/decimal.h"

typedef leat_body_fault read_function(leat_body_reading *reading, const leat_column *column,
                                      yyjson_val *json, leat_value *ret);

static leat_body_fault read_text(leat_body_reading *reading, const leat_column *column,
                                 leat_slice text, leat_value *ret)
{
    leat_error error;
    if (leat_value_from_text(column, text, ret, &error) != 0)
        return leat_body_refuse_column(reading, column, error.text);
    return LEAT_BODY_OK;
}

static leat_body_fault read_bool(leat_body_reading *reading, const leat_column *column,
                                 yyjson_val *json, leat_value *ret)
{
    if (!yyjson_is_bool(json))
        return leat_body_refuse_column(reading, column, "must be true or false");
    *ret = (leat_value){.presence = LEAT_PRESENT, .boolean = unsafe_yyjson_get_bool(json)};
    return LEAT_BODY_OK;
}

static leat_body_fault read_string(leat_body_reading *reading, const leat_column *column,
                                   yyjson_val *json, leat_value *ret)
{
    if (!yyjson_is_str(json))
        return leat_body_refuse_column(reading, column, "must be a string");
    return read_text(reading, column, leat_body_text(json), ret);
}

static leat_body_fault read_number(leat_body_reading *reading, const leat_column *column,
                                   yyjson_val *json, leat_value *ret)
{
    if (!yyjson_is_raw(json) && !yyjson_is_str(json))
        return leat_body_refuse_column(reading, column,
                                       "must be a number or a string that holds one");
    return read_text(reading, column, leat_body_text(json), ret);
}

/* A float's string is one of three names: numbers have a JSON form already, so clients must send
 * that. */
static leat_body_fault read_real(leat_body_reading *reading, const leat_column *column,
                                 yyjson_val *json, leat_value *ret)
{
    bool is_name = false;
    if (yyjson_is_str(json)) {
        leat_slice text = leat_body_text(json);
        is_name = leat_slice_is(text, "NaN") || leat_slice_is(text, "Infinity") ||
                  leat_slice_is(text, "-Infinity");
    }
    if (!yyjson_is_raw(json) && !is_name)
        return leat_body_refuse_column(reading, column,
                                       "must be a number or \"NaN\", \"Infinity\", \"-Infinity\"");
    return read_text(reading, column, leat_body_text(json), ret);
}

/* Has a number few digits and no exponent? Then jsonb holds it, whatever they are. */
static bool is_short(leat_slice number)
{
    const size_t few = 32;
    size_t at = 0;
    while (at < number.size && number.size <= few && number.data[at] <= '9')
        at++;
    return at == number.size;
}

/* Why jsonb would reject the value, or NULL. json has to pass too, so that its text can be worked
 * with. U+0000 can only come out of an escape, since JSON has no control characters. */
static const char *json_scalar_problem(const leat_body_reading *reading, yyjson_val *json)
{
    if (yyjson_is_str(json) && !reading->is_plain &&
        memchr(unsafe_yyjson_get_str(json), '\0', unsafe_yyjson_get_len(json)))
        return "must not hold U+0000";
    leat_decimal decimal;
    if (yyjson_is_raw(json) && !is_short(leat_body_text(json)) &&
        !(leat_decimal_scan(leat_body_text(json), &decimal) && leat_decimal_storable(&decimal)))
        return "holds a number with more digits than jsonb holds (131072 before and 16383 after the point)";
    return NULL;
}

/* yyjson keeps the names and values of a container, and of all containers in it, one after the
 * other in memory: a loop sees them all, and the ends of the containers give the depth. `ends` are
 * those of the enclosing containers. */
const char *leat_body_json_problem(const leat_body_reading *reading, yyjson_val *json,
                                   size_t outside)
{
    const yyjson_val *ends[LEAT_BODY_DEPTH_MAX];
    size_t depth = 0;
    const yyjson_val *end = unsafe_yyjson_get_next(json);
    for (yyjson_val *at = json; at < end; at++) {
        while (depth > 0 && at >= ends[depth - 1])
            depth--;
        const char *problem = json_scalar_problem(reading, at);
        if (problem)
            return problem;
        if (!unsafe_yyjson_is_ctn(at))
            continue;
        if (depth + outside == LEAT_BODY_DEPTH_MAX)
            return "is nested too deep";
        ends[depth++] = unsafe_yyjson_get_next(at);
    }
    return NULL;
}

leat_body_fault leat_body_keep_text(leat_body_reading *reading, leat_slice text, leat_value *ret)
{
    char *copy = text.data ? leat_arena_take(&reading->parser->arena, text.size) : NULL;
    if (!copy)
        return leat_body_out_of_memory(reading->error);
    memcpy(copy, text.data, text.size);
    *ret = (leat_value){.presence = LEAT_PRESENT, .text = {copy, text.size}};
    return LEAT_BODY_OK;
}

leat_slice leat_body_written(leat_body_reading *reading, yyjson_val *json)
{
    yyjson_alc allocator = leat_block_allocator(&reading->parser->writer);
    size_t size = 0;
    const char *text = yyjson_val_write_opts(json, YYJSON_WRITE_NOFLAG, &allocator, &size, NULL);
    return (leat_slice){text, size};
}

/* ---- a value's own text ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Steps over spaces and one `c`. */
static bool skip(leat_slice text, size_t *at, char c)
{
    while (*at < text.size && is_space(text.data[*at]))
        ++*at;
    if (*at == text.size || text.data[*at] != c)
        return false;
    do
        ++*at;
    while (*at < text.size && is_space(text.data[*at]));
    return true;
}

/* The same backwards: `at` is one past what comes first. */
static bool skip_back(leat_slice text, size_t *at, char c)
{
    while (*at > 0 && is_space(text.data[*at - 1]))
        --*at;
    if (*at == 0 || text.data[*at - 1] != c)
        return false;
    do
        --*at;
    while (*at > 0 && is_space(text.data[*at - 1]));
    return true;
}

/* The text of a member's value as it came: between the member's name and the next one, or the end
 * of the body. yyjson says only where strings and numbers are, but a name is a string, and its
 * place in the copy is that in the source. Where it ends there is certain only without escapes,
 * which are shorter in the copy. A value with escapes is written anew, because a database whose
 * encoding is not UTF8 may refuse \u00fc where it takes the character itself. False: the text
 * cannot be told, or is not fit. */
static bool find_source(const leat_body_reading *reading, yyjson_val *value, leat_slice *ret)
{
    leat_slice source = reading->source, name = leat_body_text(value - 1);
    size_t from = (size_t)(name.data - reading->copy), to = source.size;
    const yyjson_val *end = unsafe_yyjson_get_next(reading->parser->object);
    yyjson_val *next = unsafe_yyjson_get_next(value);
    LEAT_ASSERT(from + name.size < source.size);
    if (!reading->is_plain && memchr(source.data + from, '\\', name.size))
        return false;
    from += name.size;
    if (!skip(source, &from, '"') || !skip(source, &from, ':'))
        return false;
    if (next < end)
        to = (size_t)(leat_body_text(next).data - 1 - reading->copy);
    if (!skip_back(source, &to, next < end ? ',' : '}') || to <= from)
        return false;
    *ret = (leat_slice){source.data + from, to - from};
    return reading->is_plain || !memchr(ret->data, '\\', ret->size);
}

static bool may_borrow(const leat_body_reading *reading, const leat_column *column)
{
    size_t index = (size_t)(column - reading->route->table->columns);
    return reading->source.data && column->type == LEAT_TYPE_JSONB &&
           reading->route->ops[index] != LEAT_OP_APPEND;
}

static leat_body_fault read_json(leat_body_reading *reading, const leat_column *column,
                                 yyjson_val *json, leat_value *ret)
{
    const char *problem = leat_body_json_problem(reading, json, 0);
    if (problem)
        return leat_body_refuse_column(reading, column, problem);
    *ret = (leat_value){.presence = LEAT_PRESENT};
    if (reading->parser->only_checks ||
        (may_borrow(reading, column) && find_source(reading, json, &ret->text)))
        return LEAT_BODY_OK;
    return leat_body_keep_text(reading, leat_body_written(reading, json), ret);
}

static leat_body_fault read_array(leat_body_reading *reading, const leat_column *column,
                                  yyjson_val *json, leat_value *ret)
{
    leat_buf *array = &reading->parser->array;
    leat_buf_clear(array);
    const char *problem = leat_array_text(json, array);
    if (problem)
        return leat_body_refuse_column(reading, column, problem);
    leat_value value;
    leat_body_fault fault =
        array->failed ? leat_body_out_of_memory(reading->error)
                      : read_text(reading, column, (leat_slice){array->data, array->size}, &value);
    return fault == LEAT_BODY_OK ? leat_body_keep_text(reading, value.text, ret) : fault;
}

static leat_body_fault read_other(leat_body_reading *reading, const leat_column *column,
                                  yyjson_val *json, leat_value *ret)
{
    if (yyjson_is_arr(json) && column->is_array)
        return read_array(reading, column, json, ret);
    if (column->is_array && !yyjson_is_str(json))
        return leat_body_refuse_column(reading, column,
                                       "must be an array, or a string that holds its text form");
    if (yyjson_is_bool(json))
        return read_text(reading, column,
                         unsafe_yyjson_get_bool(json) ? LEAT_SLICE("true") : LEAT_SLICE("false"),
                         ret);
    if (yyjson_is_ctn(json))
        return leat_body_refuse_column(reading, column,
                                       "must be a string that holds the type's text form");
    return read_text(reading, column, leat_body_text(json), ret);
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

leat_body_fault leat_body_read_value(leat_body_reading *reading, const leat_column *column,
                                     yyjson_val *json, leat_value *ret)
{
    return readers[column->type](reading, column, json, ret);
}
