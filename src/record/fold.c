/*
 * The effect of a write on one column is a value it is set to, or an operand. Folding makes the
 * effects of two writes into one, column by column, and takes them over only when all columns could
 * be folded; otherwise the earlier write stays as it was. The table `operations` has, for each
 * operation, how two operands combine and the result of an operand on NULL. Where the result could
 * differ from the server's, the writes stay apart: two statements are always right.
 */
#include "record/fold.h"

#include <stdlib.h>
#include <string.h>

#include "record/decimal.h"
#include "record/json_merge.h"
#include "record/arena.h"

typedef struct column_effect {
    leat_value value;
    bool operated;
    leat_merge merge; /* LEAT_MERGE_CONCAT unless it is a patch */
} column_effect;

struct leat_fold {
    leat_arena texts;
    leat_json_merger merger;
    column_effect effects[LEAT_COLUMNS_MAX]; /* of the current fold */
};

/* One column that two writes change. */
typedef struct column_pair {
    leat_fold *fold;
    const leat_column *column;
    const column_effect *later; /* has an operand */
} column_pair;

/* `earlier` is the value that the column is set to, never NULL, or an operand; so is the result. */
typedef leat_fold_outcome combine_function(const column_pair *pair, const column_effect *earlier,
                                           column_effect *ret);
/* The result of the operand on NULL: a value to set. */
typedef leat_fold_outcome start_function(const column_pair *pair, column_effect *ret);

leat_fold *leat_fold_new(void)
{
    leat_fold *fold = calloc(1, sizeof *fold);
    yyjson_alc *memory = fold ? yyjson_alc_dyn_new() : NULL;
    if (!memory) {
        free(fold);
        return NULL;
    }
    fold->merger = (leat_json_merger){&fold->texts, memory, LEAT_FOLD_TEXT_MAX};
    return fold;
}

void leat_fold_limit(leat_fold *fold, size_t bytes)
{
    fold->merger.limit = bytes;
}

void leat_fold_free(leat_fold *fold)
{
    if (!fold)
        return;
    yyjson_alc_dyn_free(fold->merger.memory);
    leat_arena_fini(&fold->texts);
    free(fold);
}

void leat_fold_reset(leat_fold *fold)
{
    leat_arena_reset(&fold->texts);
}

static bool has(uint64_t columns, uint32_t column)
{
    LEAT_ASSERT(column < LEAT_COLUMNS_MAX);
    return columns >> column & 1;
}

/* Removes the lowest column from the mask, which must not be empty. */
static uint32_t take_column(uint64_t *columns)
{
    LEAT_ASSERT(*columns != 0);
    uint32_t column = (uint32_t)__builtin_ctzll(*columns);
    *columns &= *columns - 1;
    return column;
}

static leat_value text_value(const char *text, size_t size)
{
    return (leat_value){.presence = LEAT_PRESENT, .text = {text, size}};
}

/* ---- add ---- */

static leat_fold_outcome add_integers(const column_pair *pair, const leat_value *earlier,
                                      leat_value *ret)
{
    int64_t sum;
    if (__builtin_add_overflow(earlier->integer, pair->later->value.integer, &sum) ||
        !leat_integer_fits(pair->column->type, sum))
        return LEAT_FOLD_APART;
    *ret = (leat_value){.presence = LEAT_PRESENT, .integer = sum};
    return LEAT_FOLD_DONE;
}

/* Rounded as in the column. False: more digits than are added here. */
static bool rounded(const leat_column *column, leat_slice literal, char *room, leat_slice *ret)
{
    *ret = (leat_slice){room, 0};
    return leat_decimal_round(literal, column->type_modifier, room, &ret->size);
}

static bool fits_column(const leat_column *column, leat_slice literal)
{
    leat_decimal decimal;
    return leat_decimal_scan(literal, &decimal) &&
           leat_decimal_fits(&decimal, column->type_modifier);
}

/* Rounding an operand twice changes nothing, so it does not matter which of the two `earlier`
 * is. */
static leat_fold_outcome add_numerics(const column_pair *pair, const column_effect *earlier,
                                      leat_value *ret)
{
    char room[LEAT_DECIMAL_SUM_MAX];
    char sum[LEAT_DECIMAL_SUM_MAX];
    leat_slice stored;
    size_t size;
    if (!rounded(pair->column, earlier->value.text, room, &stored) ||
        !leat_decimal_sum(stored, pair->later->value.text, sum, &size))
        return LEAT_FOLD_APART;
    if (!earlier->operated && !fits_column(pair->column, (leat_slice){sum, size}))
        return LEAT_FOLD_APART;
    char *copy = leat_arena_take(&pair->fold->texts, size);
    if (!copy)
        return LEAT_FOLD_MEMORY;
    *ret = text_value(memcpy(copy, sum, size), size);
    return LEAT_FOLD_DONE;
}

static leat_fold_outcome add(const column_pair *pair, const column_effect *earlier,
                             column_effect *ret)
{
    if (leat_type_is_float(pair->column->type))
        return LEAT_FOLD_APART;
    if (pair->column->type == LEAT_TYPE_NUMERIC)
        return add_numerics(pair, earlier, &ret->value);
    return add_integers(pair, &earlier->value, &ret->value);
}

static leat_fold_outcome add_to_null(const column_pair *pair, column_effect *ret)
{
    ret->value = pair->later->value;
    if (leat_type_is_float(pair->column->type))
        ret->value.real += 0.0; /* 0 + -0 is 0 */
    return LEAT_FOLD_DONE;
}

/* ---- max, min ---- */

static leat_fold_outcome take_later(const column_pair *pair, column_effect *ret)
{
    ret->value = pair->later->value;
    return LEAT_FOLD_DONE;
}

/* Of two equal values the earlier stays, as in GREATEST and LEAST: 1.0 and 1.00 differ in text. */
static leat_fold_outcome greatest(const column_pair *pair, const column_effect *earlier,
                                  column_effect *ret)
{
    const leat_value *later = &pair->later->value;
    ret->value = leat_value_compare(pair->column->type, later, &earlier->value) > 0
                     ? *later
                     : earlier->value;
    return LEAT_FOLD_DONE;
}

static leat_fold_outcome least(const column_pair *pair, const column_effect *earlier,
                               column_effect *ret)
{
    const leat_value *later = &pair->later->value;
    ret->value = leat_value_compare(pair->column->type, later, &earlier->value) < 0
                     ? *later
                     : earlier->value;
    return LEAT_FOLD_DONE;
}

/* ---- merge ---- */

static leat_fold_outcome apply_patch(const column_pair *pair, leat_slice value, column_effect *ret)
{
    ret->value = text_value(NULL, 0);
    return leat_json_apply(&pair->fold->merger, value, pair->later->value.text, &ret->value.text);
}

static leat_fold_outcome merge(const column_pair *pair, const column_effect *earlier,
                               column_effect *ret)
{
    LEAT_ASSERT(pair->later->value.text.data[0] == '{');
    if (!earlier->operated)
        return apply_patch(pair, earlier->value.text, ret);
    ret->value = text_value(NULL, 0);
    return leat_json_compose(&pair->fold->merger, earlier->value.text, pair->later->value.text,
                             &ret->value.text, &ret->merge);
}

static leat_fold_outcome merge_into_null(const column_pair *pair, column_effect *ret)
{
    if (pair->later->merge == LEAT_MERGE_CONCAT)
        return take_later(pair, ret);
    return apply_patch(pair, (leat_slice){0}, ret);
}

/* ---- append ---- */

/* The text between an array's brackets; anything else is one element. Texts are minified. */
static leat_slice elements(leat_slice json)
{
    if (json.data[0] != '[')
        return json;
    return (leat_slice){json.data + 1, json.size - 2};
}

/* The array of both. */
static leat_fold_outcome append(const column_pair *pair, const column_effect *earlier,
                                column_effect *ret)
{
    LEAT_ASSERT(pair->later->value.text.size >= 2 && pair->later->value.text.data[0] == '[');
    leat_slice before = elements(earlier->value.text);
    leat_slice after = elements(pair->later->value.text);
    bool comma = before.size > 0 && after.size > 0;
    size_t size = before.size + after.size + (comma ? 3 : 2);
    if (size > pair->fold->merger.limit)
        return LEAT_FOLD_APART;
    char *text = leat_arena_take(&pair->fold->texts, size);
    if (!text)
        return LEAT_FOLD_MEMORY;
    text[0] = '[';
    memcpy(text + 1, before.data, before.size);
    if (comma)
        text[1 + before.size] = ',';
    memcpy(text + size - 1 - after.size, after.data, after.size);
    text[size - 1] = ']';
    ret->value = text_value(text, size);
    return LEAT_FOLD_DONE;
}

/* ---- One column ---- */

static const struct {
    combine_function *combine;
    start_function *start;
} operations[LEAT_OP_COUNT] = {
    [LEAT_OP_ADD] = {add, add_to_null},         [LEAT_OP_APPEND] = {append, take_later},
    [LEAT_OP_MAX] = {greatest, take_later},     [LEAT_OP_MIN] = {least, take_later},
    [LEAT_OP_MERGE] = {merge, merge_into_null},
};

static bool is_patched(const leat_route *route, const leat_row_write *write, uint32_t column)
{
    return has(write->operated, column) && route->ops[column] == LEAT_OP_MERGE;
}

static column_effect effect_of(const leat_route *route, const leat_row_write *write,
                               uint32_t column)
{
    return (column_effect){write->values[column], has(write->operated, column),
                           is_patched(route, write, column) ? write->merge : LEAT_MERGE_CONCAT};
}

/* Does the column start as NULL where `write` does not name it? */
static bool starts_null(const leat_route *route, const leat_row_write *write, uint32_t column)
{
    return write->op != LEAT_PATCH && !route->table->columns[column].default_expression;
}

/* A column that `next` has an operand for. */
static leat_fold_outcome fold_column(leat_fold *fold, const leat_route *route,
                                     const leat_row_write *write, const leat_row_write *next,
                                     uint32_t column)
{
    LEAT_ASSERT(column < route->table->column_count && has(next->operated, column));
    column_effect later = effect_of(route, next, column);
    column_effect *ret = &fold->effects[column];
    column_pair pair = {fold, &route->table->columns[column], &later};
    bool named = has(write->present, column);
    bool is_null = named ? write->values[column].presence == LEAT_NULL
                         : starts_null(route, write, column);
    if (!named && !is_null) {
        *ret = later;
        return LEAT_FOLD_DONE;
    }
    LEAT_ASSERT(route->ops[column] != LEAT_OP_SET && later.value.presence == LEAT_PRESENT);
    *ret = (column_effect){.operated = has(write->operated, column)};
    if (is_null)
        return operations[route->ops[column]].start(&pair, ret);
    column_effect earlier = effect_of(route, write, column);
    return operations[route->ops[column]].combine(&pair, &earlier, ret);
}

/* ---- The whole write ---- */

/* The needs of the patches in columns that only the earlier write names; with several such columns
 * this may be more than the remaining ones need. */
static leat_merge merge_left(const leat_route *route, const leat_row_write *write, uint64_t columns)
{
    while (columns)
        if (is_patched(route, write, take_column(&columns)))
            return write->merge;
    return LEAT_MERGE_CONCAT;
}

static void set_values(leat_row_write *write, const leat_row_write *next, uint64_t columns)
{
    while (columns) {
        uint32_t column = take_column(&columns);
        write->values[column] = next->values[column];
    }
}

static void take_over(const leat_fold *fold, const leat_route *route, leat_row_write *write,
                      const leat_row_write *next)
{
    LEAT_ASSERT(write->op != LEAT_DELETE);
    write->merge = merge_left(route, write, write->present & ~next->present);
    write->present |= next->present;
    write->operated &= ~next->present;
    set_values(write, next, next->present & ~next->operated);
    for (uint64_t columns = next->operated; columns;) {
        uint32_t column = take_column(&columns);
        const column_effect *effect = &fold->effects[column];
        write->values[column] = effect->value;
        write->operated |= (uint64_t)effect->operated << column;
        if (effect->merge > write->merge)
            write->merge = effect->merge;
    }
}

static void replace(leat_row_write *write, const leat_row_write *next)
{
    write->op = next->op;
    write->merge = next->merge;
    write->present = next->present;
    write->operated = next->operated;
    set_values(write, next, next->present);
}

/* A DELETE names no column, and the PATCH after it finds the defaults, as after a PUT that names
 * none. */
static leat_fold_outcome fold_patch(leat_fold *fold, const leat_route *route, leat_row_write *write,
                                    const leat_row_write *next)
{
    for (uint64_t columns = next->operated; columns;) {
        leat_fold_outcome folded = fold_column(fold, route, write, next, take_column(&columns));
        if (folded != LEAT_FOLD_DONE)
            return folded;
    }
    if (write->op == LEAT_DELETE)
        write->op = LEAT_PUT;
    take_over(fold, route, write, next);
    return LEAT_FOLD_DONE;
}

/* Where PATCHes of missing rows are counted, one must not vanish in a PUT or DELETE that follows,
 * nor in a DELETE before. */
static bool hides_missing(const leat_route *route, const leat_row_write *write,
                          const leat_row_write *next)
{
    bool one_is_patch = (write->op == LEAT_PATCH) != (next->op == LEAT_PATCH);
    return route->patch_existing && one_is_patch && write->op != LEAT_PUT;
}

leat_fold_outcome leat_fold_next(leat_fold *fold, const leat_route *route, leat_row_write *write,
                                 const leat_row_write *next)
{
    LEAT_ASSERT((write->operated & ~write->present) == 0 && (next->operated & ~next->present) == 0);
    LEAT_ASSERT(next->op != LEAT_DELETE || next->present == 0);
    if (hides_missing(route, write, next))
        return LEAT_FOLD_APART;
    if (write->op == LEAT_DELETE && next->op == LEAT_DELETE)
        return LEAT_FOLD_DONE;
    if (write->op == LEAT_DELETE && route->table->deletes_matter)
        return LEAT_FOLD_APART;
    if (next->op == LEAT_PATCH)
        return fold_patch(fold, route, write, next);
    replace(write, next);
    return LEAT_FOLD_DONE;
}

/* ---- The write of one record ---- */

static int numeric_operand(leat_fold *fold, const leat_column *column, leat_value *value)
{
    char room[LEAT_DECIMAL_SUM_MAX];
    leat_slice literal;
    if (column->type != LEAT_TYPE_NUMERIC || column->type_modifier < 0)
        return 0;
    if (!rounded(column, value->text, room, &literal))
        return 0; /* too many digits for folding: sent as it is */
    char *copy = leat_arena_take(&fold->texts, literal.size);
    if (!copy)
        return -1;
    *value = text_value(memcpy(copy, literal.data, literal.size), literal.size);
    return 0;
}

static int array_operand(leat_fold *fold, leat_value *value)
{
    size_t size = value->text.size + 2;
    char *text = leat_arena_take(&fold->texts, size);
    if (!text)
        return -1;
    text[0] = '[';
    memcpy(text + 1, value->text.data, value->text.size);
    text[size - 1] = ']';
    *value = text_value(text, size);
    return 0;
}

static int patch_operand(leat_fold *fold, const leat_value *value, leat_merge *merge)
{
    leat_merge asked;
    if (leat_json_classify(&fold->merger, value->text, &asked) != 0)
        return -1;
    if (asked > *merge)
        *merge = asked;
    return 0;
}

/* A patch that is not an object replaces the value. A PUT has an operand only where it merges. */
static bool is_operand(const leat_route *route, leat_route_op record_op, uint32_t column,
                       const leat_value *value)
{
    leat_column_op op = route->ops[column];
    if (op == LEAT_OP_SET || value->presence == LEAT_NULL)
        return false;
    if (record_op == LEAT_PUT && !(route->put_merge && op == LEAT_OP_MERGE))
        return false;
    return op != LEAT_OP_MERGE || value->text.data[0] == '{';
}

static int make_operand(leat_fold *fold, const leat_route *route, leat_row_write *write,
                        uint32_t column)
{
    leat_value *value = &write->values[column];
    LEAT_ASSERT(value->presence == LEAT_PRESENT && route->ops[column] != LEAT_OP_SET);
    if (route->ops[column] == LEAT_OP_MERGE)
        return patch_operand(fold, value, &write->merge);
    if (route->ops[column] == LEAT_OP_APPEND)
        return array_operand(fold, value);
    return numeric_operand(fold, &route->table->columns[column], value);
}

int leat_fold_start(leat_fold *fold, const leat_route *route, leat_route_op op,
                    const leat_body *body, leat_row_write *ret)
{
    LEAT_ASSERT(op < LEAT_ROUTE_OP_COUNT && ret->values && (body || op == LEAT_DELETE));
    ret->op = op == LEAT_PUT && route->put_merge ? LEAT_PATCH : op;
    ret->merge = LEAT_MERGE_CONCAT;
    ret->present = op == LEAT_DELETE ? 0 : body->present;
    ret->operated = 0;
    for (uint64_t columns = ret->present; columns;) {
        uint32_t column = take_column(&columns);
        ret->values[column] = body->values[column];
        if (!is_operand(route, op, column, &body->values[column]))
            continue;
        ret->operated |= (uint64_t)1 << column;
        if (make_operand(fold, route, ret, column) != 0)
            return -1;
    }
    return 0;
}
