/*
 * fold.h - the fold: the effect on a row of one record, or of several of one key in sequence, as
 * one row write.
 *
 *   PUT     the row starts from the columns' defaults, stored or not
 *   PATCH   the row starts from what is stored, from the defaults when it is missing
 *           (patch_existing: it stays missing)
 *   DELETE  there is no row
 *
 * Where the route's PUT merges (put_merge), the row write of a PUT is a PATCH that sets its
 * columns, but for the operation merge, which it has as well: all of that may be repeated.
 *
 * A column that is named is then *set* to its value, or, where its bit is in `operated`, changed by
 * the route's operation with the value as operand. So a PUT followed by an `add` to a column it
 * left to its default is a PUT with an operand.
 *
 * Promise: for records that would each succeed, the folded write leaves the row as the records one
 * by one would; where this cannot be guaranteed, writes stay apart and go one after another. Apart
 * stay: writes by different routes, `add` on floats (rounding depends on the order), sums and
 * products of folding that would not fit the column's type or LEAT_FOLD_TEXT_MAX, numerics beyond
 * 38 digits or NaN, an RFC 7396 patch that must replace an object that an earlier one has deleted
 * or made a scalar (patches do not compose there), what follows a DELETE of a table where deletes
 * matter, and with patch_existing a PATCH before a PUT or DELETE or after a DELETE, so that it is
 * counted where the row is missing. "As one by one" is by PostgreSQL's equality: of 0 and -0, or
 * 1.0 and 1.00 inside jsonb, either may be left. Triggers are not covered: they see the one write
 * (`fold: off` on the route keeps records apart).
 *
 * Pure; one thread.
 */
#ifndef LEAT_RECORD_FOLD_H
#define LEAT_RECORD_FOLD_H

#include "record/body.h"

enum {
    LEAT_FOLD_TEXT_MAX = 8192
}; /* bytes of a jsonb value made by folding: keeps hot keys linear */

/* The SQL that the patches of a write need; each includes those before it. */
typedef enum leat_merge {
    LEAT_MERGE_CONCAT, /* no patch has a null or an object in it: stored || patch */
    LEAT_MERGE_STRIP,  /* nulls at the top: then those names are removed */
    LEAT_MERGE_DEEP,   /* objects in it: leat.merge */
} leat_merge;

typedef struct leat_row_write {
    leat_route_op op;
    leat_merge merge;
    uint64_t present;   /* columns named */
    uint64_t operated;  /* of these, those with an operand; never NULL, and never of a column whose
                           operation is set */
    leat_value *values; /* by column index, the caller's memory for the table's column_count; only
                           those present count. Operands: add, max, min: a value of the column's
                           type (numeric(p,s): rounded to s places); merge: a JSON object; append: a
                           JSON array of the elements to append */
} leat_row_write;

/* Memory for the results of folding: texts live until the reset. */
typedef struct leat_fold leat_fold;
leat_fold *leat_fold_new(void); /* NULL: out of memory */
/* Another limit than LEAT_FOLD_TEXT_MAX: for folding onto what is stored. */
void leat_fold_limit(leat_fold *fold, size_t bytes);
void leat_fold_free(leat_fold *fold);
void leat_fold_reset(leat_fold *fold);

/* The write of one record with this body (not read for DELETE). `ret->values` is set by the caller.
 * Returns -1 when out of memory. */
int leat_fold_start(leat_fold *fold, const leat_route *route, leat_route_op op,
                    const leat_body *body, leat_row_write *ret) LEAT_MUST_CHECK;

typedef enum leat_fold_outcome {
    LEAT_FOLD_DONE,   /* `write` is both */
    LEAT_FOLD_APART,  /* they cannot be one; `write` is as it was */
    LEAT_FOLD_MEMORY, /* out of memory; neither may be used */
} leat_fold_outcome;

/* `next` follows `write` on the same key by the same route. */
leat_fold_outcome leat_fold_next(leat_fold *fold, const leat_route *route, leat_row_write *write,
                                 const leat_row_write *next) LEAT_MUST_CHECK;

#endif
