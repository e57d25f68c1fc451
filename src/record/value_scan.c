/*
 * Values from their text form. One function for each kind of type, by a table: the edge, the
 * decoding of keys and the batch all go through here, so a text means the same everywhere, and a
 * bad one is refused before it is in the log.
 */
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
    VARHDRSZ = 4, /* PostgreSQL adds this to the n of varchar(n) in a type modifier */
};

typedef int scan_function(const leat_column *column, leat_slice text, leat_value *ret,
                          leat_error *error);

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
    int64_t max = leat_integer_max(column->type);
    if (!parse_integer(text, max, &ret->integer))
        return leat_fail(error, "must be an integer from %lld to %lld", (long long)(-max - 1),
                         (long long)max);
    return 0;
}

/* ---- floats and numeric ---- */

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

/* Rounded once, to the type itself: rounded to a double first, it could be off by one. */
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
    char literal[REAL_LITERAL_MAX + 1]; /* strtod needs a NUL */
    memcpy(literal, text.data, text.size);
    literal[text.size] = '\0';
    double real = real_of(column->type, literal);
    if (isinf(real) || (real == 0 && !is_zero(&decimal)))
        return leat_fail(error, "is out of range for %s",
                         column->type == LEAT_TYPE_FLOAT4 ? "real" : "double precision");
    ret->real = real;
    return 0;
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

/* ---- text and bytea ---- */

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

/* ---- uuid ---- */

static bool parse_uuid(leat_slice text, uint8_t *ret)
{
    if (text.size != LEAT_UUID_TEXT)
        return false;
    for (size_t i = 0; i < LEAT_UUID_DASHES; i++)
        if (text.data[leat_uuid_dashes[i]] != '-')
            return false;
    uint8_t all = LEAT_CHAR_HEX; /* no branch for each digit: they are seldom wrong */
    for (size_t i = 0; i < LEAT_UUID_BYTES; i++) {
        uint8_t high = leat_chars[(unsigned char)text.data[leat_uuid_digits[i]]];
        uint8_t low = leat_chars[(unsigned char)text.data[leat_uuid_digits[i] + 1]];
        all &= high & low;
        ret[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return all != 0;
}

static int scan_uuid(const leat_column *column, leat_slice text, leat_value *ret, leat_error *error)
{
    (void)column;
    if (!parse_uuid(text, ret->uuid))
        return leat_fail(error, "must be a UUID: 8-4-4-4-12 hexadecimal digits");
    return 0;
}

/* ---- dates and times ---- */

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

/* ---- by type ---- */

static int scan_nothing(const leat_column *column, leat_slice text, leat_value *ret,
                        leat_error *error)
{
    (void)text;
    (void)ret;
    return leat_fail(error, "type %s cannot be read from text", leat_type_name(column->type));
}

static scan_function *const scan_by_type[LEAT_TYPE_COUNT] = {
    [LEAT_TYPE_BOOL] = scan_bool,
    [LEAT_TYPE_INT2] = scan_integer,
    [LEAT_TYPE_INT4] = scan_integer,
    [LEAT_TYPE_INT8] = scan_integer,
    [LEAT_TYPE_FLOAT4] = scan_real,
    [LEAT_TYPE_FLOAT8] = scan_real,
    [LEAT_TYPE_NUMERIC] = scan_numeric,
    [LEAT_TYPE_TEXT] = scan_text,
    [LEAT_TYPE_UUID] = scan_uuid,
    [LEAT_TYPE_DATE] = scan_date,
    [LEAT_TYPE_TIME] = scan_time,
    [LEAT_TYPE_TIMESTAMP] = scan_timestamp,
    [LEAT_TYPE_TIMESTAMPTZ] = scan_timestamptz,
    [LEAT_TYPE_BYTEA] = scan_bytea,
    [LEAT_TYPE_JSONB] = scan_nothing,
    [LEAT_TYPE_JSON] = scan_nothing,
    [LEAT_TYPE_OTHER] = scan_other,
};

int leat_value_from_text(const leat_column *column, leat_slice text, leat_value *ret,
                         leat_error *error)
{
    leat_value value;
    if (scan_by_type[column->type](column, text, &value, error) != 0)
        return -1;
    value.presence = LEAT_PRESENT;
    *ret = value;
    return 0;
}
