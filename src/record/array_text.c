/*
 * A JSON array becomes the text that PostgreSQL's array_in reads, because leat does not know the
 * element's type and lets the server parse it. array_in accepts one size for each dimension and
 * values in the innermost only; leat checks both itself, so that the client is told at once
 * instead of finding a dead letter later. Every string is quoted: then no element can be taken for
 * NULL.
 */
#include "record/array_text.h"

/* One array being written. Every dimension has one size, and values are in the innermost only. */
typedef struct shape {
    size_t sizes[LEAT_ARRAY_DIMENSIONS_MAX];
    size_t dimensions; /* seen so far */
    bool has_values;   /* then no further dimension may follow */
} shape;

static const char *const ragged = "must have arrays of one size in each dimension";

static const char *enter(shape *found, size_t depth, size_t size)
{
    if (depth < found->dimensions)
        return found->sizes[depth] == size ? NULL : ragged;
    if (found->has_values)
        return ragged;
    if (depth == LEAT_ARRAY_DIMENSIONS_MAX)
        return "has more than 6 dimensions";
    found->sizes[found->dimensions++] = size;
    return NULL;
}

static void put_string(leat_slice text, leat_buf *out)
{
    leat_buf_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            leat_buf_byte(out, '\\');
        leat_buf_byte(out, text.data[i]);
    }
    leat_buf_byte(out, '"');
}

static const char *put_value(shape *found, yyjson_val *value, size_t depth, leat_buf *out)
{
    if (yyjson_is_obj(value))
        return "must not hold an object; an element can be a string that holds its text form";
    if (depth != found->dimensions)
        return ragged;
    found->has_values = true;
    if (yyjson_is_str(value))
        put_string((leat_slice){unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value)}, out);
    else if (yyjson_is_raw(value))
        leat_buf_append(out, unsafe_yyjson_get_raw(value), unsafe_yyjson_get_len(value));
    else
        leat_buf_text(out, yyjson_is_null(value)           ? "NULL"
                           : unsafe_yyjson_get_bool(value) ? "true"
                                                           : "false");
    return NULL;
}

/* At most as deep as there are dimensions. */
static const char *put_array(shape *found, yyjson_val *array, size_t depth, leat_buf *out)
{
    const char *problem = enter(found, depth, yyjson_arr_size(array));
    leat_buf_byte(out, '{');
    size_t i, count;
    yyjson_val *value;
    yyjson_arr_foreach(array, i, count, value)
    {
        if (problem)
            break;
        if (i > 0)
            leat_buf_byte(out, ',');
        problem = yyjson_is_arr(value) ? put_array(found, value, depth + 1, out)
                                       : put_value(found, value, depth + 1, out);
    }
    leat_buf_byte(out, '}');
    return problem;
}

const char *leat_array_text(yyjson_val *array, leat_buf *out)
{
    shape found = {.dimensions = 0};
    size_t start = out->size;
    const char *problem = put_array(&found, array, 0, out);
    if (problem || found.has_values)
        return problem;
    out->size = start; /* PostgreSQL has one empty array, without dimensions, and does not read
                          others */
    leat_buf_text(out, "{}");
    return NULL;
}
