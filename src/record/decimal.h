/*
 * decimal.h - a decimal literal taken apart where it stands: what an exact numeric needs without ever becoming a float.
 */
#ifndef LEAT_DECIMAL_H
#define LEAT_DECIMAL_H

#include "base/buf.h"

typedef struct leat_decimal {
    leat_slice whole;    /* digits before the point, at least one; leading zeros allowed */
    leat_slice fraction; /* digits after it, may be none */
    int32_t exponent;    /* of ten; at most 1e9 either way, PostgreSQL's text form takes no more */
    bool negative;
} leat_decimal;

/* -?digits[.digits][e[+-]digits], the whole text. False when it is anything else or the exponent is absurd. */
bool leat_decimal_scan(leat_slice text, leat_decimal *ret);

/* Can PostgreSQL's numeric hold it? At most 131072 digits before the point and 16383 after it. */
bool leat_decimal_storable(const leat_decimal *decimal);

/* Does it fit numeric(p,s) of this type modifier (-1: any) once rounded to s places, half away from zero? */
bool leat_decimal_fits(const leat_decimal *decimal, int32_t type_modifier);

/* Precision and scale in a type modifier other than -1. The scale may be negative. */
int32_t leat_decimal_precision(int32_t type_modifier);
int32_t leat_decimal_scale(int32_t type_modifier);

/* Appends numeric's binary form (without a length): base-10000 digits, weight, sign, display scale. Storable ones. */
void leat_decimal_binary(const leat_decimal *decimal, leat_buf *out);
void leat_decimal_binary_nan(leat_buf *out);

#endif
