/*
 * step.h - the step of a column with the operation max, for "last seen" columns: a row is written
 * on its account only where the value advances by at least the step. Many requests then cost no row
 * write at all; what is stored is less than one step behind the true maximum.
 *
 * The step counts where a PATCH meets a stored value. A missing row, a stored NULL and a row that
 * is written for another column take the maximum exactly, as do PUT and a PATCH with null.
 */
#ifndef LEAT_RECORD_STEP_H
#define LEAT_RECORD_STEP_H

#include "record/table.h"
#include "record/value.h"

enum { LEAT_STEP_DIGITS_MAX = 38 }; /* bytes of a number */

/* As the configuration has it. Both are 0: no step. */
typedef struct leat_step_spec {
    const char *number;   /* a decimal literal without a sign; borrowed */
    int64_t milliseconds; /* a duration */
} leat_step_spec;

typedef struct leat_step {
    bool is_set;
    int64_t integer; /* int2, int4, int8: itself; date: days; time, timestamps: microseconds */
    double real;     /* float4, float8 */
    char number[LEAT_STEP_DIGITS_MAX + 1]; /* numeric, float4, float8: the literal */
} leat_step;

/* Numbers take a number that their type can hold and that is not 0; date a duration of whole days;
 * time, timestamp and timestamptz a duration, of at most a day for time. At most 1,000 years, so
 * that a date of the API minus a step is always one that PostgreSQL has. -1: the message says what
 * would fit, and does not name the column. */
int leat_step_make(const leat_step_spec *spec, const leat_column *column, leat_step *ret,
                   leat_error *error) LEAT_MUST_CHECK;

/* Is `later` at least a step greater than `stored`? Both present, of an integer type, float8, date,
 * time or timestamp. Nothing overflows; of floats the difference counts as it is rounded. */
bool leat_step_reached(leat_type type, const leat_step *step, const leat_value *stored,
                       const leat_value *later);

#endif
