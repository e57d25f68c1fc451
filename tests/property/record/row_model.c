#include "row_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "record/timestamp.h"

__extension__ typedef __int128 wide;

static char *text_of_slice(leat_slice slice)
{
    char *text = malloc(slice.size + 1);
    LEAT_ASSERT(text);
    memcpy(text, slice.data, slice.size);
    text[slice.size] = 0;
    return text;
}

/* ---- numeric ---- */

typedef struct number {
    wide units; /* the value times 10^scale */
    int scale;
} number;

static number read_number(const char *text)
{
    number read = {0};
    bool negative = *text == '-';
    bool in_fraction = false;
    for (text += negative; *text && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            in_fraction = true;
            continue;
        }
        LEAT_ASSERT(*text >= '0' && *text <= '9');
        read.units = read.units * 10 + (*text - '0');
        read.scale += in_fraction;
    }
    read.scale -= *text ? atoi(text + 1) : 0;
    for (; read.scale < 0; read.scale++)
        read.units *= 10;
    if (negative)
        read.units = -read.units;
    return read;
}

static char *write_number(number from)
{
    char text[64] = "";
    size_t at = sizeof text - 1;
    wide rest = from.units < 0 ? -from.units : from.units;
    for (int i = 0; rest > 0 || i <= from.scale; i++, rest /= 10) {
        if (i == from.scale && i > 0)
            text[--at] = '.';
        text[--at] = (char)('0' + (int)(rest % 10));
    }
    if (from.units < 0)
        text[--at] = '-';
    return strdup(text + at);
}

static number rescaled(number from, int scale)
{
    for (; from.scale < scale; from.scale++)
        from.units *= 10;
    if (from.scale == scale)
        return from;
    wide divisor = 1;
    for (; from.scale > scale; from.scale--)
        divisor *= 10;
    wide half = from.units < 0 ? -(divisor / 2) : divisor / 2;
    return (number){(from.units + half) / divisor, scale};
}

static int numeric_scale(const leat_column *column)
{
    return (column->type_modifier - 4) & 0x7ff;
}

static number as_column_has_it(const leat_column *column, number from)
{
    return column->type_modifier < 0 ? from : rescaled(from, numeric_scale(column));
}

/* NULL when the column does not hold it. */
static char *numeric_text(const leat_column *column, number from)
{
    number kept = as_column_has_it(column, from);
    wide limit = 1;
    for (int i = (column->type_modifier - 4) >> 16; column->type_modifier >= 0 && i > 0; i--)
        limit *= 10;
    if (column->type_modifier >= 0 && (kept.units >= limit || kept.units <= -limit))
        return NULL;
    return write_number(kept);
}

static int compare_numbers(number a, number b)
{
    int scale = a.scale > b.scale ? a.scale : b.scale;
    wide left = rescaled(a, scale).units;
    wide right = rescaled(b, scale).units;
    return (left > right) - (left < right);
}

/* ---- other types ---- */

static char *integer_text(const leat_column *column, wide integer)
{
    wide max = column->type == LEAT_TYPE_INT2   ? INT16_MAX
               : column->type == LEAT_TYPE_INT4 ? INT32_MAX
                                                : INT64_MAX;
    return integer > max || integer < -max - 1 ? NULL : write_number((number){integer, 0});
}

/* The shortest digits that lead back to it, with an exponent where PostgreSQL has one. */
static char *real_text(double real)
{
    char text[400];
    if (isnan(real) || isinf(real))
        return strdup(isnan(real) ? "NaN" : real > 0 ? "Infinity" : "-Infinity");
    bool plain = real == 0 || (fabs(real) >= 1e-4 && fabs(real) < 1e15);
    int digits = 0;
    do
        snprintf(text, sizeof text, plain ? "%.*f" : "%.*e", digits++, real);
    while (strtod(text, NULL) != real);
    return strdup(text);
}

static char *timestamp_text(int64_t us)
{
    char text[LEAT_TIMESTAMP_MAX + 4];
    size_t size = leat_timestamp_format(us, text);
    text[10] = ' ';
    snprintf(text + size - 1, 4, "+00"); /* in place of the Z */
    return strdup(text);
}

static char *json_text(leat_slice json)
{
    char *copy = text_of_slice(json);
    char *text = row_model_json(copy);
    free(copy);
    return text;
}

/* NULL when the column does not hold it. */
static char *value_text(const leat_column *column, const leat_value *value)
{
    if (column->type == LEAT_TYPE_BOOL)
        return strdup(value->boolean ? "t" : "f");
    if (column->type == LEAT_TYPE_FLOAT8)
        return real_text(value->real);
    if (column->type == LEAT_TYPE_TIMESTAMPTZ)
        return timestamp_text(value->integer);
    if (column->type == LEAT_TYPE_JSONB)
        return json_text(value->text);
    if (column->type == LEAT_TYPE_TEXT)
        return text_of_slice(value->text);
    if (column->type != LEAT_TYPE_NUMERIC)
        return integer_text(column, value->integer);
    char *literal = text_of_slice(value->text);
    char *text = numeric_text(column, read_number(literal));
    free(literal);
    return text;
}

/* ---- jsonb ---- */

static yyjson_mut_doc *read_json(const char *text)
{
    yyjson_doc *read = yyjson_read(text, strlen(text), YYJSON_READ_NUMBER_AS_RAW);
    LEAT_ASSERT(read);
    yyjson_mut_doc *doc = yyjson_doc_mut_copy(read, NULL);
    yyjson_doc_free(read);
    LEAT_ASSERT(doc);
    return doc;
}

static yyjson_mut_val *sorted(yyjson_mut_doc *doc, yyjson_mut_val *json);

/* The smallest name after `last`, and its last value. */
static yyjson_mut_val *next_member(yyjson_mut_val *object, const char *last,
                                   yyjson_mut_val **ret_value)
{
    yyjson_mut_val *found = NULL;
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    for (yyjson_mut_val *name = yyjson_mut_obj_iter_next(&iter); name;
         name = yyjson_mut_obj_iter_next(&iter)) {
        const char *text = yyjson_mut_get_str(name);
        if ((last && strcmp(text, last) <= 0) ||
            (found && strcmp(text, yyjson_mut_get_str(found)) > 0))
            continue;
        found = name;
        *ret_value = yyjson_mut_obj_iter_get_val(name);
    }
    return found;
}

static yyjson_mut_val *sorted_object(yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    yyjson_mut_val *made = yyjson_mut_obj(doc);
    yyjson_mut_val *value = NULL;
    yyjson_mut_val *name = next_member(object, NULL, &value);
    for (; name; name = next_member(object, yyjson_mut_get_str(name), &value))
        yyjson_mut_obj_add(made, yyjson_mut_str(doc, yyjson_mut_get_str(name)), sorted(doc, value));
    return made;
}

static yyjson_mut_val *sorted(yyjson_mut_doc *doc, yyjson_mut_val *json)
{
    if (yyjson_mut_is_obj(json))
        return sorted_object(doc, json);
    if (!yyjson_mut_is_arr(json))
        return yyjson_mut_val_mut_copy(doc, json);
    yyjson_mut_val *made = yyjson_mut_arr(doc);
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(json);
    for (yyjson_mut_val *value = yyjson_mut_arr_iter_next(&iter); value;
         value = yyjson_mut_arr_iter_next(&iter))
        yyjson_mut_arr_append(made, sorted(doc, value));
    return made;
}

static char *write_json(yyjson_mut_doc *doc, yyjson_mut_val *json)
{
    char *text = yyjson_mut_val_write(sorted(doc, json), YYJSON_WRITE_NOFLAG, NULL);
    LEAT_ASSERT(text);
    return text;
}

char *row_model_json(const char *text)
{
    yyjson_mut_doc *doc = read_json(text);
    char *made = write_json(doc, yyjson_mut_doc_get_root(doc));
    yyjson_mut_doc_free(doc);
    return made;
}

/* RFC 7396's own pseudo-code, by yyjson. Both texts are sorted, so that each name is there once. */
static char *merged(const char *stored, const char *patch)
{
    yyjson_mut_doc *value = read_json(stored ? stored : "{}");
    yyjson_mut_doc *change = read_json(patch);
    yyjson_mut_val *made = yyjson_mut_merge_patch(value, yyjson_mut_doc_get_root(value),
                                                  yyjson_mut_doc_get_root(change));
    char *text = write_json(value, made);
    yyjson_mut_doc_free(value);
    yyjson_mut_doc_free(change);
    return text;
}

/* jsonb's || with an array on the right. */
static char *appended(const char *stored, const char *array)
{
    yyjson_mut_doc *doc = read_json(stored ? stored : "[]");
    yyjson_mut_doc *more = read_json(array);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_mut_val *made = root;
    if (!yyjson_mut_is_arr(root)) {
        made = yyjson_mut_arr(doc);
        yyjson_mut_arr_append(made, root);
    }
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(yyjson_mut_doc_get_root(more));
    for (yyjson_mut_val *value = yyjson_mut_arr_iter_next(&iter); value;
         value = yyjson_mut_arr_iter_next(&iter))
        yyjson_mut_arr_append(made, yyjson_mut_val_mut_copy(doc, value));
    char *text = write_json(doc, made);
    yyjson_mut_doc_free(doc);
    yyjson_mut_doc_free(more);
    return text;
}

/* ---- Operations ---- */

static char *sum(const leat_column *column, const char *stored, const char *operand)
{
    if (column->type == LEAT_TYPE_FLOAT8) {
        double real = (stored ? strtod(stored, NULL) : 0.0) + strtod(operand, NULL);
        return isinf(real) ? NULL : real_text(real);
    }
    number base = read_number(stored ? stored : "0");
    number more = read_number(operand);
    int scale = base.scale > more.scale ? base.scale : more.scale;
    wide units = rescaled(base, scale).units + rescaled(more, scale).units;
    if (column->type == LEAT_TYPE_NUMERIC)
        return numeric_text(column, (number){units, scale});
    return integer_text(column, units);
}

static int compare(const leat_column *column, const char *a, const char *b)
{
    if (column->type == LEAT_TYPE_TEXT || column->type == LEAT_TYPE_TIMESTAMPTZ)
        return strcmp(a, b);
    if (column->type != LEAT_TYPE_FLOAT8)
        return compare_numbers(read_number(a), read_number(b));
    double left = strtod(a, NULL);
    double right = strtod(b, NULL);
    if (isnan(left) || isnan(right))
        return (isnan(left) ? 1 : 0) - (isnan(right) ? 1 : 0);
    return (left > right) - (left < right);
}

/* `operand` in text form, as its column would store it; for append an array. NULL when the column
 * does not hold the result. */
static char *operated(const leat_column *column, leat_column_op op, const char *stored,
                      const char *operand)
{
    if (op == LEAT_OP_ADD)
        return sum(column, stored, operand);
    if (op == LEAT_OP_APPEND)
        return appended(stored, operand);
    if (op == LEAT_OP_MERGE)
        return merged(stored, operand);
    if (op == LEAT_OP_SET || !stored)
        return strdup(operand);
    int order = compare(column, operand, stored);
    return strdup((op == LEAT_OP_MAX ? order > 0 : order < 0) ? operand : stored);
}

/* ---- Rows ---- */

void model_row_clear(model_row *row)
{
    for (uint32_t i = 0; i < LEAT_COLUMNS_MAX; i++)
        free(row->values[i]);
    *row = (model_row){0};
}

model_row model_row_copy(const model_row *row)
{
    model_row copy = {.exists = row->exists};
    for (uint32_t i = 0; i < LEAT_COLUMNS_MAX; i++)
        copy.values[i] = row->values[i] ? strdup(row->values[i]) : NULL;
    return copy;
}

int model_row_difference(const model_row *a, const model_row *b)
{
    if (a->exists != b->exists)
        return LEAT_COLUMNS_MAX;
    for (int i = 0; i < LEAT_COLUMNS_MAX; i++) {
        bool both = a->values[i] && b->values[i];
        if (both ? strcmp(a->values[i], b->values[i]) != 0 : a->values[i] != b->values[i])
            return i;
    }
    return -1;
}

static void put_value(model_row *row, uint32_t column, char *text)
{
    free(row->values[column]);
    row->values[column] = text;
}

static model_row new_row(const leat_route *route, const char *const *defaults)
{
    model_row row = {.exists = true};
    for (uint32_t i = 0; i < route->table->column_count; i++) {
        LEAT_ASSERT(!defaults[i] == !route->table->columns[i].default_expression);
        row.values[i] = defaults[i] ? strdup(defaults[i]) : NULL;
    }
    return row;
}

static bool has_what_it_needs(const model_row *row, const leat_route *route)
{
    for (uint32_t i = 0; i < route->table->column_count; i++) {
        const leat_column *column = &route->table->columns[i];
        if (column->not_null && column->key_position < 0 && !row->values[i])
            return false;
    }
    return true;
}

/* False when it would fail. `operand`: the value is the operand of the route's operation;
 * `is_array`: of append, as an array already. */
static bool change_column(model_row *row, const leat_route *route, uint32_t i,
                          const leat_value *value, bool operand, bool is_array)
{
    const leat_column *column = &route->table->columns[i];
    if (value->presence == LEAT_NULL) {
        put_value(row, i, NULL);
        return true;
    }
    char *text = value_text(column, value);
    if (text && operand && route->ops[i] == LEAT_OP_APPEND && !is_array) {
        char *element = text;
        if (asprintf(&text, "[%s]", element) < 0)
            text = NULL;
        free(element);
    }
    char *made = text && operand ? operated(column, route->ops[i], row->values[i], text) : text;
    if (made != text)
        free(text);
    if (!made)
        return false;
    put_value(row, i, made);
    return true;
}

static void take_or_drop(model_row *row, model_row *made, bool good)
{
    model_row *loser = good ? row : made;
    model_row_clear(loser);
    if (good)
        *row = *made;
}

/* The row that a PUT or PATCH starts from; one that does not exist: it is dropped. */
static model_row base_row(const model_row *row, const leat_route *route,
                          const char *const *defaults, leat_route_op op)
{
    if (op == LEAT_PATCH && row->exists)
        return model_row_copy(row);
    if (op == LEAT_PATCH && route->patch_existing)
        return (model_row){0};
    return new_row(route, defaults);
}

bool row_model_apply(model_row *row, const leat_route *route, const char *const *defaults,
                     leat_route_op op, const leat_body *body)
{
    bool is_merging_put = op == LEAT_PUT && route->put_merge;
    model_row made = op == LEAT_DELETE
                         ? (model_row){0}
                         : base_row(row, route, defaults, is_merging_put ? LEAT_PATCH : op);
    bool good = true;
    for (uint32_t i = 0; i < route->table->column_count && made.exists; i++)
        if (body->present >> i & 1)
            good = good && change_column(&made, route, i, &body->values[i],
                                         op == LEAT_PATCH ||
                                             (is_merging_put && route->ops[i] == LEAT_OP_MERGE),
                                         false);
    good = good && (!made.exists || has_what_it_needs(&made, route));
    take_or_drop(row, &made, good);
    return good;
}

bool row_model_within_step(const leat_route *route, uint32_t column, const char *truth,
                           const char *stored)
{
    const leat_step *step = &route->steps[column];
    if (!truth || !stored)
        return truth == stored;
    if (!step->is_set)
        return strcmp(truth, stored) == 0;
    LEAT_ASSERT(leat_type_is_integer(route->table->columns[column].type));
    wide behind = read_number(truth).units - read_number(stored).units;
    return behind >= 0 && behind < step->integer;
}

/* Does the write change nothing but columns that have not advanced by their step? */
static bool is_below_steps(const model_row *row, const model_row *made, const leat_route *route,
                           const leat_row_write *write)
{
    if (write->op != LEAT_PATCH || !row->exists || !made->exists)
        return false;
    for (uint32_t i = 0; i < route->table->column_count; i++) {
        bool is_stepped = (write->operated >> i & 1) && route->steps[i].is_set;
        bool both = row->values[i] && made->values[i];
        bool is_same = both ? strcmp(row->values[i], made->values[i]) == 0
                            : row->values[i] == made->values[i];
        if (!is_same &&
            !(is_stepped && row_model_within_step(route, i, made->values[i], row->values[i])))
            return false;
    }
    return true;
}

bool row_model_apply_write(model_row *row, const leat_route *route, const char *const *defaults,
                           const leat_row_write *write)
{
    model_row made = write->op == LEAT_DELETE ? (model_row){0}
                                              : base_row(row, route, defaults, write->op);
    bool good = true;
    for (uint32_t i = 0; i < route->table->column_count && made.exists; i++)
        if (write->present >> i & 1)
            good = good && change_column(&made, route, i, &write->values[i],
                                         write->operated >> i & 1, true);
    good = good && (!made.exists || has_what_it_needs(&made, route));
    take_or_drop(row, &made, good && !is_below_steps(row, &made, route, write));
    return good;
}
