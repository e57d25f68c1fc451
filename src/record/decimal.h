/*
 * decimal.h - a decimal literal taken apart in place, so that an exact numeric never becomes a
 * float.
 */
#ifndef LEAT_RECORD_DECIMAL_H
#define LEAT_RECORD_DECIMAL_H

#include "base/buf.h"

typedef struct leat_decimal {
    leat_slice whole;    /* digits before the point, at least one; leading zeros allowed */
    leat_slice fraction; /* digits after it, may be none */
    int32_t exponent;    /* of ten; at most 1e9 either way, PostgreSQL's text form takes no more */
    bool negative;
} leat_decimal;

/* -?digits[.digits][e[+-]digits], the whole text. False for anything else or an absurd exponent. */
bool leat_decimal_scan(leat_slice text, leat_decimal *ret);

/* Can PostgreSQL's numeric hold it? At most 131072 digits before the point and 16383 after it. */
bool leat_decimal_storable(const leat_decimal *decimal);

/* Does it fit numeric(p,s) of this type modifier (-1: any) once rounded to s places, half away from
 * zero? */
bool leat_decimal_fits(const leat_decimal *decimal, int32_t type_modifier);

/* Order of the values, whatever their length: negative, 0, positive. */
int leat_decimal_compare(const leat_decimal *a, const leat_decimal *b);

enum {
    LEAT_DECIMAL_SUM_MAX = 41,
    LEAT_DECIMAL_DIGITS_MAX = 38
}; /* "-0." and the digits that are computed with */

/* The sum of two literals, exactly, in plain digits (no exponent, no NUL) and at the larger of
 * their display scales, as PostgreSQL adds. False, with nothing to rely on in `ret`, when one of
 * them or the sum needs more than LEAT_DECIMAL_DIGITS_MAX digits at that scale, or is not a decimal
 * literal (NaN). */
bool leat_decimal_sum(leat_slice a, leat_slice b, char ret[LEAT_DECIMAL_SUM_MAX],
                      size_t *ret_size) LEAT_MUST_CHECK;

/* The literal as numeric of this type modifier keeps it (-1: as it is): rounded to the scale, half
 * away from zero. In the same form and with the same limits; leat_decimal_fits checks the
 * precision. */
bool leat_decimal_round(leat_slice literal, int32_t type_modifier, char ret[LEAT_DECIMAL_SUM_MAX],
                        size_t *ret_size) LEAT_MUST_CHECK;

/* Precision and scale in a type modifier other than -1. The scale may be negative. */
int32_t leat_decimal_precision(int32_t type_modifier);
int32_t leat_decimal_scale(int32_t type_modifier);

/* Appends numeric's binary form (without a length): base-10000 digits, weight, sign, display scale.
 * Storable ones. */
void leat_decimal_binary(const leat_decimal *decimal, leat_buf *out);
void leat_decimal_binary_nan(leat_buf *out);

#endif
