/*
 * row_model.h - the effect of records on one row, one by one, as plainly as possible: the judge of
 * everything that is cleverer. Types: bool, int2/4/8, float8, numeric (28 digits, no NaN, no
 * negative scale), text, timestamptz, jsonb.
 *
 * Values are in PostgreSQL's text form (TimeZone UTC), NULL for NULL; jsonb as row_model_json
 * writes it. The key is not part of the row here: its columns stay NULL.
 */
#ifndef ROW_MODEL_H
#define ROW_MODEL_H

#include "record/fold.h"

typedef struct model_row {
    bool exists;
    char *values[LEAT_COLUMNS_MAX]; /* by column index; owned */
} model_row;

/* Applies the record to the row. False, with the row as it was, when the record would fail: a
 * number that its column does not hold, NULL where NOT NULL. `defaults`: by column index, values in
 * text form, NULL: none; there must be one exactly where the table has a default expression. */
bool row_model_apply(model_row *row, const leat_route *route, const char *const *defaults,
                     leat_route_op op, const leat_body *body);

/* The same with a row write, with its meaning in record/fold.h. It also keeps to the steps of
 * integer columns: where nothing but them changes, and less than that, the row stays.
 * row_model_apply does not: it has the true maximum. */
bool row_model_apply_write(model_row *row, const leat_route *route, const char *const *defaults,
                           const leat_row_write *write);

/* The JSON text minified, members sorted by their bytes, of one name the last; numbers as written.
 * The caller frees it. */
char *row_model_json(const char *text);

/* Is `stored` at most `truth`, and less than the column's step below it? Equal where one is NULL,
 * or where the column has no step. */
bool row_model_within_step(const leat_route *route, uint32_t column, const char *truth,
                           const char *stored);

/* Without a row: nothing owned. */
void model_row_clear(model_row *row);
model_row model_row_copy(const model_row *row);
/* Index of the first column that differs, LEAT_COLUMNS_MAX when one row exists and the other does
 * not, -1: equal. */
int model_row_difference(const model_row *a, const model_row *b);

#endif
