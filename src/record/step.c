/*
 * step.c - steps read by the type of their column, and compared. The difference of two values may
 * overflow where the values do not, so it is never computed as it stands: integers subtract without
 * a sign, and floats compare from the side of zero that leaves room. The SQL of a statement does
 * the same (sink/pg/statement_step.c).
 */
#include "record/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/decimal.h"

enum { US_PER_MS = 1000, MS_PER_DAY = 24 * 3600 * 1000, DAYS_MAX = 365250 };

static bool is_moment(leat_type type)
{
    return type == LEAT_TYPE_TIME || type == LEAT_TYPE_TIMESTAMP || type == LEAT_TYPE_TIMESTAMPTZ;
}

static bool is_number(leat_type type)
{
    return leat_type_is_integer(type) || leat_type_is_float(type) || type == LEAT_TYPE_NUMERIC;
}

/* ---- reading ---- */

static int make_duration(int64_t ms, const leat_column *column, leat_step *ret, leat_error *error)
{
    bool is_date = column->type == LEAT_TYPE_DATE;
    int64_t max = column->type == LEAT_TYPE_TIME ? MS_PER_DAY : (int64_t)DAYS_MAX * MS_PER_DAY;
    if (ms <= 0 || ms > max)
        return leat_fail(error, "must be greater than 0 and at most %s",
                         column->type == LEAT_TYPE_TIME ? "24h" : "8766000h, 1,000 years");
    if (is_date && ms % MS_PER_DAY != 0)
        return leat_fail(error, "must be whole days on a column of type date: 24h, 48h, ...");
    ret->integer = is_date ? ms / MS_PER_DAY : ms * US_PER_MS;
    return 0;
}

/* Digits only, and no more than the type holds. */
static int make_integer(const char *number, const leat_column *column, leat_step *ret,
                        leat_error *error)
{
    int64_t value = 0;
    for (const char *at = number; *at; at++)
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
            return leat_fail(error, "%s is not a whole number that %s holds", number,
                             column->type_name);
    if (value == 0 || !leat_integer_fits(column->type, value))
        return leat_fail(error, "must be a whole number from 1 to %lld, the largest of %s",
                         (long long)leat_integer_max(column->type), column->type_name);
    ret->integer = value;
    return 0;
}

static bool is_real_step(double value, leat_type type)
{
    double kept = type == LEAT_TYPE_FLOAT4 ? (double)(float)value : value;
    return isfinite(kept) && kept > 0;
}

static int make_number(const char *number, const leat_column *column, leat_step *ret,
                       leat_error *error)
{
    leat_decimal decimal, zero;
    size_t size = strlen(number);
    if (size > LEAT_STEP_DIGITS_MAX)
        return leat_fail(error, "has more than %d characters", LEAT_STEP_DIGITS_MAX);
    LEAT_ASSERT(leat_decimal_scan(LEAT_SLICE("0"), &zero));
    if (!leat_decimal_scan((leat_slice){number, size}, &decimal))
        return leat_fail(error, "%s is not a number", number);
    ret->real = strtod(number, NULL);
    bool fits = leat_type_is_float(column->type) ? is_real_step(ret->real, column->type)
                                                 : leat_decimal_storable(&decimal);
    if (leat_decimal_compare(&decimal, &zero) <= 0 || !fits)
        return leat_fail(error, "must be greater than 0, and a number that %s holds",
                         column->type_name);
    memcpy(ret->number, number, size + 1);
    return 0;
}

int leat_step_make(const leat_step_spec *spec, const leat_column *column, leat_step *ret,
                   leat_error *error)
{
    LEAT_ASSERT((unsigned)column->type < LEAT_TYPE_COUNT);
    *ret = (leat_step){0};
    if (!spec->number && spec->milliseconds == 0)
        return 0;
    bool takes_time = is_moment(column->type) || column->type == LEAT_TYPE_DATE;
    if (!takes_time && !is_number(column->type))
        return leat_fail(error, "does not work on %s: only on numbers, dates and times",
                         column->type_name);
    if (takes_time != !spec->number)
        return leat_fail(error, "must be a %s on a column of type %s",
                         takes_time ? "duration, such as 60s," : "number, without a unit,",
                         column->type_name);
    ret->is_set = true;
    if (takes_time)
        return make_duration(spec->milliseconds, column, ret, error);
    if (leat_type_is_integer(column->type))
        return make_integer(spec->number, column, ret, error);
    return make_number(spec->number, column, ret, error);
}

/* ---- comparing ---- */

/* NaN is the greatest and equal to itself, as in PostgreSQL. */
static bool is_real_reached(double step, double stored, double later)
{
    if (isnan(later) || isnan(stored))
        return isnan(later) && !isnan(stored);
    if (later <= stored)
        return false;
    return later >= 0 ? stored <= later - step : stored + step <= later;
}

bool leat_step_reached(leat_type type, const leat_step *step, const leat_value *stored,
                       const leat_value *later)
{
    LEAT_ASSERT(step->is_set && type != LEAT_TYPE_NUMERIC);
    LEAT_ASSERT(stored->presence == LEAT_PRESENT && later->presence == LEAT_PRESENT);
    if (leat_type_is_float(type))
        return is_real_reached(step->real, stored->real, later->real);
    return later->integer > stored->integer &&
           (uint64_t)later->integer - (uint64_t)stored->integer >= (uint64_t)step->integer;
}
