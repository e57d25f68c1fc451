/*
 * The order of values, type by type, as in PostgreSQL's operators: max and min that are folded here
 * must pick the value that GREATEST and LEAST would pick there. Numerics are compared as decimal
 * literals, since no C type can hold them. Among floats NaN is the greatest and equal to itself.
 */
#include <math.h>
#include <string.h>

#include "record/base64.h"
#include "record/decimal.h"
#include "record/value.h"

typedef int compare_function(const leat_value *a, const leat_value *b);

static int compare_integer(const leat_value *a, const leat_value *b)
{
    return (a->integer > b->integer) - (a->integer < b->integer);
}

static int compare_real(const leat_value *a, const leat_value *b)
{
    if (isnan(a->real) || isnan(b->real))
        return (isnan(a->real) ? 1 : 0) - (isnan(b->real) ? 1 : 0);
    return (a->real > b->real) - (a->real < b->real);
}

/* A numeric's text is a literal or NaN. */
static int compare_numeric(const leat_value *a, const leat_value *b)
{
    leat_decimal first, second;
    bool is_nan_a = !leat_decimal_scan(a->text, &first);
    bool is_nan_b = !leat_decimal_scan(b->text, &second);
    if (is_nan_a || is_nan_b)
        return (is_nan_a ? 1 : 0) - (is_nan_b ? 1 : 0);
    return leat_decimal_compare(&first, &second);
}

static int compare_text(const leat_value *a, const leat_value *b)
{
    size_t size = a->text.size < b->text.size ? a->text.size : b->text.size;
    int order = size > 0 ? memcmp(a->text.data, b->text.data, size) : 0;
    return order != 0 ? order : (a->text.size > b->text.size) - (a->text.size < b->text.size);
}

static int compare_uuid(const leat_value *a, const leat_value *b)
{
    return memcmp(a->uuid, b->uuid, sizeof a->uuid);
}

static int compare_bytea(const leat_value *a, const leat_value *b)
{
    return leat_base64_compare(a->text, b->text);
}

static compare_function *const orders[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_INT2] = compare_integer,      [LEAT_TYPE_INT4] = compare_integer,
    [LEAT_TYPE_INT8] = compare_integer,      [LEAT_TYPE_FLOAT4] = compare_real,
    [LEAT_TYPE_FLOAT8] = compare_real,       [LEAT_TYPE_NUMERIC] = compare_numeric,
    [LEAT_TYPE_TEXT] = compare_text,         [LEAT_TYPE_UUID] = compare_uuid,
    [LEAT_TYPE_DATE] = compare_integer,      [LEAT_TYPE_TIME] = compare_integer,
    [LEAT_TYPE_TIMESTAMP] = compare_integer, [LEAT_TYPE_TIMESTAMPTZ] = compare_integer,
    [LEAT_TYPE_BYTEA] = compare_bytea,
};

int leat_value_compare(leat_type type, const leat_value *a, const leat_value *b)
{
    LEAT_ASSERT((unsigned)type < LEAT_TYPE_COUNT && orders[type]);
    LEAT_ASSERT(a->presence == LEAT_PRESENT && b->presence == LEAT_PRESENT);
    return orders[type](a, b);
}
