/*
 * PostgreSQL's binary form of a value: the input of its receive functions. Binary costs the server
 * no parsing, and no setting (DateStyle, bytea_output, extra_float_digits) can change its meaning.
 * A type that leat does not know goes in its text form, which the statement casts.
 */
#include "record/value.h"

#include <string.h>

#include "record/base64.h"
#include "record/decimal.h"

enum { JSONB_VERSION = 1 };

typedef void binary_function(const leat_value *value, leat_buf *out);

static void binary_bool(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, 1);
    leat_buf_byte(out, value->boolean ? 1 : 0);
}

static void binary_int2(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, 2);
    leat_buf_be16(out, (uint16_t)value->integer);
}

static void binary_int4(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, 4);
    leat_buf_be32(out, (uint32_t)value->integer);
}

static void binary_int8(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, 8);
    leat_buf_be64(out, (uint64_t)value->integer);
}

static void binary_float4(const leat_value *value, leat_buf *out)
{
    float real = (float)value->real;
    uint32_t bits;
    memcpy(&bits, &real, sizeof bits);
    leat_buf_be32(out, 4);
    leat_buf_be32(out, bits);
}

static void binary_float8(const leat_value *value, leat_buf *out)
{
    uint64_t bits;
    memcpy(&bits, &value->real, sizeof bits);
    leat_buf_be32(out, 8);
    leat_buf_be64(out, bits);
}

static void binary_numeric(const leat_value *value, leat_buf *out)
{
    size_t length_at = out->size;
    leat_decimal decimal;
    leat_buf_be32(out, 0);
    if (leat_decimal_scan(value->text, &decimal))
        leat_decimal_binary(&decimal, out);
    else
        leat_decimal_binary_nan(out);
    if (!out->failed)
        leat_buf_patch_be32(out, length_at, (uint32_t)(out->size - length_at - 4));
}

static void binary_text(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, (uint32_t)value->text.size);
    leat_buf_slice(out, value->text);
}

static void binary_bytea(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, (uint32_t)leat_base64_size(value->text));
    leat_base64_decode(value->text, out);
}

static void binary_jsonb(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, (uint32_t)(value->text.size + 1));
    leat_buf_byte(out, JSONB_VERSION);
    leat_buf_slice(out, value->text);
}

static void binary_uuid(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, sizeof value->uuid);
    leat_buf_append(out, value->uuid, sizeof value->uuid);
}

static binary_function *const binary_by_type[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = binary_bool,        [LEAT_TYPE_INT2] = binary_int2,
    [LEAT_TYPE_INT4] = binary_int4,        [LEAT_TYPE_INT8] = binary_int8,
    [LEAT_TYPE_FLOAT4] = binary_float4,    [LEAT_TYPE_FLOAT8] = binary_float8,
    [LEAT_TYPE_NUMERIC] = binary_numeric,  [LEAT_TYPE_TEXT] = binary_text,
    [LEAT_TYPE_UUID] = binary_uuid,        [LEAT_TYPE_DATE] = binary_int4,
    [LEAT_TYPE_TIME] = binary_int8,        [LEAT_TYPE_TIMESTAMP] = binary_int8,
    [LEAT_TYPE_TIMESTAMPTZ] = binary_int8, [LEAT_TYPE_BYTEA] = binary_bytea,
    [LEAT_TYPE_JSONB] = binary_jsonb,      [LEAT_TYPE_JSON] = binary_text,
    [LEAT_TYPE_OTHER] = binary_text,
};

void leat_value_binary(const leat_column *column, const leat_value *value, leat_buf *out)
{
    LEAT_ASSERT(value->presence != LEAT_ABSENT);
    if (value->presence == LEAT_NULL) {
        leat_buf_be32(out, UINT32_MAX);
        return;
    }
    binary_by_type[column->type](value, out);
}
