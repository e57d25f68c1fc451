#include "record/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "record/base64.h"
#include "record/chars.h"
#include "record/decimal.h"
#include "record/timestamp.h"

enum {
    REAL_LITERAL_MAX = 2000,
    UUID_TEXT_SIZE = 36,
    VARHDRSZ = 4, /* what PostgreSQL adds to the n of varchar(n) in a type modifier */
    JSONB_VERSION = 1,
};

typedef int scan_function(const leat_column *column, leat_slice text, leat_value *ret,
                          leat_error *error);
typedef leat_slice canonical_function(const leat_value *value, char *arena);
typedef void binary_function(const leat_value *value, leat_buf *out);

/* ---- bool and integers ---- */

static int scan_bool(const leat_column *column, leat_slice text, leat_value *ret, leat_error *error)
{
    (void)column;
    bool is_true = leat_slice_equal(text, LEAT_SLICE("true"));
    if (!is_true && !leat_slice_equal(text, LEAT_SLICE("false")))
        return leat_fail(error, "must be true or false");
    ret->boolean = is_true;
    return 0;
}

static leat_slice canonical_bool(const leat_value *value, char *arena)
{
    (void)arena;
    return value->boolean ? LEAT_SLICE("true") : LEAT_SLICE("false");
}

static void binary_bool(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, 1);
    leat_buf_byte(out, value->boolean ? 1 : 0);
}

static int64_t integer_max(leat_type type)
{
    return type == LEAT_TYPE_INT2 ? INT16_MAX : type == LEAT_TYPE_INT4 ? INT32_MAX : INT64_MAX;
}

static bool parse_integer(leat_slice text, int64_t max, int64_t *ret)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t limit = (uint64_t)max + (negative ? 1 : 0);
    uint64_t number = 0;
    size_t at = negative ? 1 : 0;
    if (at == text.size)
        return false;
    for (; at < text.size; at++) {
        unsigned digit = (unsigned)(unsigned char)text.data[at] - '0';
        if (digit > 9 || number > (limit - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret = (int64_t)(negative ? 0 - number : number);
    return true;
}

static int scan_integer(const leat_column *column, leat_slice text, leat_value *ret,
                        leat_error *error)
{
    int64_t max = integer_max(column->type);
    if (!parse_integer(text, max, &ret->integer))
        return leat_fail(error, "must be an integer from %lld to %lld", (long long)(-max - 1),
                         (long long)max);
    return 0;
}

static leat_slice canonical_integer(const leat_value *value, char *arena)
{
    bool negative = value->integer < 0;
    uint64_t rest = negative ? 0 - (uint64_t)value->integer : (uint64_t)value->integer;
    size_t at = LEAT_CANONICAL_MAX;
    do {
        arena[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (negative)
        arena[--at] = '-';
    return (leat_slice){arena + at, LEAT_CANONICAL_MAX - at};
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

/* ---- Floats and numeric ---- */

static bool real_by_name(leat_slice text, double *ret)
{
    if (leat_slice_equal(text, LEAT_SLICE("NaN")))
        *ret = (double)NAN;
    else if (leat_slice_equal(text, LEAT_SLICE("Infinity")))
        *ret = (double)INFINITY;
    else if (leat_slice_equal(text, LEAT_SLICE("-Infinity")))
        *ret = -(double)INFINITY;
    else
        return false;
    return true;
}

static bool is_zero(const leat_decimal *decimal)
{
    for (size_t i = 0; i < decimal->whole.size; i++)
        if (decimal->whole.data[i] != '0')
            return false;
    for (size_t i = 0; i < decimal->fraction.size; i++)
        if (decimal->fraction.data[i] != '0')
            return false;
    return true;
}

/* Rounded once, to the type itself: by way of a double it could come out one off. */
static double real_of(leat_type type, const char *literal)
{
    return type == LEAT_TYPE_FLOAT4 ? (double)strtof(literal, NULL) : strtod(literal, NULL);
}

static int scan_real(const leat_column *column, leat_slice text, leat_value *ret, leat_error *error)
{
    if (real_by_name(text, &ret->real))
        return 0;
    leat_decimal decimal;
    if (text.size > REAL_LITERAL_MAX || !leat_decimal_scan(text, &decimal))
        return leat_fail(error, "must be a number or \"NaN\", \"Infinity\", \"-Infinity\"");
    char literal[REAL_LITERAL_MAX + 1]; /* strtod wants a NUL */
    memcpy(literal, text.data, text.size);
    literal[text.size] = '\0';
    double real = real_of(column->type, literal);
    if (isinf(real) || (real == 0 && !is_zero(&decimal)))
        return leat_fail(error, "is out of range for %s",
                         column->type == LEAT_TYPE_FLOAT4 ? "real" : "double precision");
    ret->real = real;
    return 0;
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

static int scan_numeric(const leat_column *column, leat_slice text, leat_value *ret,
                        leat_error *error)
{
    leat_decimal decimal;
    ret->text = text;
    if (leat_slice_equal(text, LEAT_SLICE("NaN")))
        return 0;
    if (!leat_decimal_scan(text, &decimal))
        return leat_fail(error, "must be a number or \"NaN\"");
    if (!leat_decimal_storable(&decimal))
        return leat_fail(
            error, "has more digits than numeric holds (131072 before and 16383 after the point)");
    if (!leat_decimal_fits(&decimal, column->type_modifier))
        return leat_fail(error, "is out of range for numeric(%d,%d)",
                         leat_decimal_precision(column->type_modifier),
                         leat_decimal_scale(column->type_modifier));
    return 0;
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

/* ---- text ---- */

/* Eight characters of ASCII, none of them NUL: nearly all there is to check in most texts. */
static bool eight_plain(const char *at)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return ((word | (word - ones)) & (ones << 7)) == 0;
}

/* Counts characters; false: not UTF-8, or a NUL in it. */
static bool count_characters(leat_slice text, size_t *ret_count)
{
    size_t count = 0;
    size_t at = 0;
    while (at < text.size) {
        if (text.size - at >= 8 && eight_plain(text.data + at)) {
            at += 8;
            count += 8;
            continue;
        }
        size_t size = leat_utf8_size(text.data + at, text.size - at);
        if (size == 0 || text.data[at] == '\0')
            return false;
        at += size;
        count++;
    }
    *ret_count = count;
    return true;
}

static int scan_other(const leat_column *column, leat_slice text, leat_value *ret,
                      leat_error *error)
{
    (void)column;
    size_t count;
    if (!count_characters(text, &count))
        return leat_fail(error, "must be UTF-8 text without U+0000");
    ret->text = text;
    return 0;
}

static int scan_text(const leat_column *column, leat_slice text, leat_value *ret, leat_error *error)
{
    size_t count;
    if (!count_characters(text, &count))
        return leat_fail(error, "must be UTF-8 text without U+0000");
    if (column->type_modifier >= VARHDRSZ && count > (size_t)(column->type_modifier - VARHDRSZ))
        return leat_fail(error, "must have at most %d characters",
                         column->type_modifier - VARHDRSZ);
    ret->text = text;
    return 0;
}

static leat_slice canonical_text(const leat_value *value, char *arena)
{
    (void)arena;
    return value->text;
}

static void binary_text(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, (uint32_t)value->text.size);
    leat_buf_slice(out, value->text);
}

/* ---- bytea and jsonb ---- */

static int scan_bytea(const leat_column *column, leat_slice text, leat_value *ret,
                      leat_error *error)
{
    (void)column;
    if (!leat_base64_check(text))
        return leat_fail(error,
                         "must be base64: the standard alphabet, padded, without line breaks");
    ret->text = text;
    return 0;
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

/* ---- uuid ---- */

static bool is_uuid_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

static bool parse_uuid(leat_slice text, uint8_t *ret)
{
    if (text.size != UUID_TEXT_SIZE)
        return false;
    size_t byte = 0;
    for (size_t at = 0; at < UUID_TEXT_SIZE; at += 2) {
        if (is_uuid_dash(at) && text.data[at++] != '-')
            return false;
        int high = leat_hex_digit(text.data[at]);
        int low = leat_hex_digit(text.data[at + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[byte++] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int scan_uuid(const leat_column *column, leat_slice text, leat_value *ret, leat_error *error)
{
    (void)column;
    if (!parse_uuid(text, ret->uuid))
        return leat_fail(error, "must be a UUID: 8-4-4-4-12 hexadecimal digits");
    return 0;
}

static leat_slice canonical_uuid(const leat_value *value, char *arena)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < sizeof value->uuid; i++) {
        if (is_uuid_dash(at))
            arena[at++] = '-';
        arena[at++] = digits[value->uuid[i] >> 4];
        arena[at++] = digits[value->uuid[i] & 15];
    }
    return (leat_slice){arena, at};
}

static void binary_uuid(const leat_value *value, leat_buf *out)
{
    leat_buf_be32(out, sizeof value->uuid);
    leat_buf_append(out, value->uuid, sizeof value->uuid);
}

/* ---- Dates and times ---- */

static int scan_date(const leat_column *column, leat_slice text, leat_value *ret, leat_error *error)
{
    (void)column;
    if (!leat_date_scan(text, &ret->integer))
        return leat_fail(error, "must be a date like 2026-01-02");
    return 0;
}

static int scan_time(const leat_column *column, leat_slice text, leat_value *ret, leat_error *error)
{
    (void)column;
    if (!leat_time_scan(text, &ret->integer))
        return leat_fail(
            error, "must be a time of day with at most 6 fractional digits, like 03:04:05.678");
    return 0;
}

static int scan_timestamp(const leat_column *column, leat_slice text, leat_value *ret,
                          leat_error *error)
{
    (void)column;
    int64_t with_offset;
    if (leat_timestamp_scan_local(text, &ret->integer))
        return 0;
    if (leat_timestamp_scan(text, &with_offset))
        return leat_fail(error, "must have no offset: the column is a timestamp without time zone");
    return leat_fail(
        error, "must be an RFC 3339 time without an offset and with at most 6 fractional digits, "
               "like 2026-01-02T03:04:05.678");
}

static int scan_timestamptz(const leat_column *column, leat_slice text, leat_value *ret,
                            leat_error *error)
{
    (void)column;
    if (!leat_timestamp_scan(text, &ret->integer))
        return leat_fail(error,
                         "must be an RFC 3339 time with an offset and at most 6 fractional digits, "
                         "like 2026-01-02T03:04:05.678Z");
    return 0;
}

static leat_slice canonical_date(const leat_value *value, char *arena)
{
    return (leat_slice){arena, leat_date_format(value->integer, arena)};
}

static leat_slice canonical_timestamptz(const leat_value *value, char *arena)
{
    return (leat_slice){arena, leat_timestamp_format(value->integer, arena)};
}

/* ---- By type ---- */

static int scan_nothing(const leat_column *column, leat_slice text, leat_value *ret,
                        leat_error *error)
{
    (void)text;
    (void)ret;
    return leat_fail(error, "type %s cannot be read from text", leat_type_name(column->type));
}

static const struct {
    scan_function *scan;
    canonical_function *canonical; /* key types only */
    binary_function *binary;
    bool is_text;
} forms_by_type[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = {scan_bool, canonical_bool, binary_bool, false},
    [LEAT_TYPE_INT2] = {scan_integer, canonical_integer, binary_int2, false},
    [LEAT_TYPE_INT4] = {scan_integer, canonical_integer, binary_int4, false},
    [LEAT_TYPE_INT8] = {scan_integer, canonical_integer, binary_int8, false},
    [LEAT_TYPE_FLOAT4] = {scan_real, NULL, binary_float4, false},
    [LEAT_TYPE_FLOAT8] = {scan_real, NULL, binary_float8, false},
    [LEAT_TYPE_NUMERIC] = {scan_numeric, NULL, binary_numeric, true},
    [LEAT_TYPE_TEXT] = {scan_text, canonical_text, binary_text, true},
    [LEAT_TYPE_UUID] = {scan_uuid, canonical_uuid, binary_uuid, false},
    [LEAT_TYPE_DATE] = {scan_date, canonical_date, binary_int4, false},
    [LEAT_TYPE_TIME] = {scan_time, NULL, binary_int8, false},
    [LEAT_TYPE_TIMESTAMP] = {scan_timestamp, NULL, binary_int8, false},
    [LEAT_TYPE_TIMESTAMPTZ] = {scan_timestamptz, canonical_timestamptz, binary_int8, false},
    [LEAT_TYPE_BYTEA] = {scan_bytea, canonical_text, binary_bytea, true},
    [LEAT_TYPE_JSONB] = {scan_nothing, NULL, binary_jsonb, true},
    [LEAT_TYPE_JSON] = {scan_nothing, NULL, binary_text, true},
    [LEAT_TYPE_OTHER] = {scan_other, NULL, binary_text, true},
};

bool leat_value_is_text(leat_type type)
{
    LEAT_ASSERT((unsigned)type < LEAT_TYPE_COUNT);
    return forms_by_type[type].is_text;
}

int leat_value_from_text(const leat_column *column, leat_slice text, leat_value *ret,
                         leat_error *error)
{
    leat_value value;
    if (forms_by_type[column->type].scan(column, text, &value, error) != 0)
        return -1;
    value.presence = LEAT_PRESENT;
    *ret = value;
    return 0;
}

leat_slice leat_value_canonical_slice(leat_type type, const leat_value *value,
                                      char arena[LEAT_CANONICAL_MAX])
{
    LEAT_ASSERT(leat_type_is_key(type) && value->presence == LEAT_PRESENT);
    return forms_by_type[type].canonical(value, arena);
}

void leat_value_canonical(const leat_column *column, const leat_value *value, leat_buf *out)
{
    char arena[LEAT_CANONICAL_MAX];
    leat_buf_slice(out, leat_value_canonical_slice(column->type, value, arena));
}

void leat_value_binary(const leat_column *column, const leat_value *value, leat_buf *out)
{
    LEAT_ASSERT(value->presence != LEAT_ABSENT);
    if (value->presence == LEAT_NULL) {
        leat_buf_be32(out, UINT32_MAX);
        return;
    }
    forms_by_type[column->type].binary(value, out);
}

bool leat_value_equal(leat_type type, const leat_value *a, const leat_value *b)
{
    LEAT_ASSERT(leat_type_is_key(type) && a->presence == LEAT_PRESENT &&
                b->presence == LEAT_PRESENT);
    if (type == LEAT_TYPE_BOOL)
        return a->boolean == b->boolean;
    if (leat_value_is_text(type))
        return leat_slice_equal(a->text, b->text);
    if (type == LEAT_TYPE_UUID)
        return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
    return a->integer == b->integer;
}
