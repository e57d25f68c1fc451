/*
 * value.h - one typed value: parsed from a JSON body or a path parameter, written as canonical text
 * (keys) or as PostgreSQL's binary form (batches).
 */
#ifndef LEAT_RECORD_VALUE_H
#define LEAT_RECORD_VALUE_H

#include "base/buf.h"
#include "record/table.h"

enum {
    LEAT_CANONICAL_MAX = 40
}; /* most bytes of a canonical text, except those of text and bytea */

typedef enum leat_presence { LEAT_ABSENT, LEAT_NULL, LEAT_PRESENT } leat_presence;

typedef struct leat_value {
    leat_presence presence;
    union {
        bool boolean;
        int64_t integer; /* int2, int4, int8; date: days since 2000-01-01; time: microseconds of the
                            day; timestamp, timestamptz (UTC): microseconds since 2000-01-01 */
        double real;     /* float8; float4, exactly */
        uint8_t uuid[16];
        leat_slice text; /* text; numeric: its literal, checked, or NaN; bytea: its base64,
                            canonical; json, jsonb: its JSON text; other: its text form. Borrowed */
    };
} leat_value;

/* The range of int2, int4 and int8 is from -max - 1 to max; any other type has that of int8, so
 * that every value kept as an integer fits. */
int64_t leat_integer_max(leat_type type);
bool leat_integer_fits(leat_type type, int64_t value);

/* Is a value of this type kept as `text`, so that it borrows memory? */
bool leat_value_is_text(leat_type type);

/*
 * From text (a path parameter or a key part, already percent-decoded). The text must outlive the
 * value. bool: true|false. int: decimal, optional '-', no '+', leading zeros allowed and dropped,
 * in range of the type. uuid: 8-4-4-4-12 hex, any case. timestamptz: RFC 3339 with an offset
 * ("2026-01-02T03:04:05.678Z"), years 0001-9999 also in UTC, up to 6 fractional digits (more are
 * refused, never silently cut), no second 60; timestamp: the same without an offset; date:
 * "2026-01-02"; time: "03:04:05.678". text: valid UTF-8 without NUL, at most varchar(n) characters;
 * other: the same without a limit, and the database decides what it means. bytea: base64
 * (base64.h). numeric: a decimal literal, exponent allowed, or "NaN"; one that PostgreSQL would
 * round is accepted, one too large for it is not. float4, float8: a decimal literal of at most 2000
 * bytes that is neither too large nor rounds to 0, or "NaN", "Infinity", "-Infinity". json and
 * jsonb have no such form and are refused. Returns 0, or -1 with a message that names what is
 * allowed (not the column: the caller does).
 */
int leat_value_from_text(const leat_column *column, leat_slice text, leat_value *ret,
                         leat_error *error) LEAT_MUST_CHECK;

/* The canonical text: uuid lower case, 7 not 007, timestamptz in UTC
 * "2026-01-02T03:04:05.678Z" with the fraction's trailing zeros dropped, bytea its base64. In
 * `room`, or for text and bytea the value's own bytes. Key types only. */
leat_slice leat_value_canonical(leat_type type, const leat_value *value,
                                char room[LEAT_CANONICAL_MAX]);

/* Appends length (4 bytes, -1 for NULL) and the binary form, as in an element of a binary array or
 * a row. The value is NULL or present, and of the column's type. A numeric is sent as written:
 * PostgreSQL rounds it. One of an other type is sent as its text form. */
void leat_value_binary(const leat_column *column, const leat_value *value, leat_buf *out);

/* Canonical equality of two present values of a key column. */
bool leat_value_equal(leat_type type, const leat_value *a, const leat_value *b);

/* Order of two present values as PostgreSQL's operators have it: negative, 0, positive. For the
 * types that max and min fit: int2/4/8, float4/8 and numeric (NaN equals itself and is the
 * greatest), date, time, timestamp, timestamptz, uuid, bytea and text by their bytes (COLLATE "C").
 */
int leat_value_compare(leat_type type, const leat_value *a, const leat_value *b);

#endif
