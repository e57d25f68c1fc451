/*
 * statement.h - the SQL of a row statement: the effect of a route on many rows at once, as text.
 * Pure.
 *
 * The rows come as one array per column, unnested side by side. Parameters, in this order: the key
 * columns in primary-key order, the columns of the shape ascending, and, unless the shape is
 * uniform, an int8[] with each row's mask of the columns that it names (bit i: column i) and, where
 * the shape has operated columns, another with the mask of those that come with an operand. A
 * column that a row does not name has NULL in its array. Types that leat does not send in binary
 * travel as text[] and are cast where they are used.
 *
 *   PUT     named columns set, all others to their defaults; an operand changes the default.
 *   PATCH   named columns set, or changed from what is stored by an operand; a missing row starts
 *           from the defaults (patch_existing: it is left out).
 *   DELETE  by key.
 *
 * With NULL, `add` starts from 0, `max` and `min` from the operand, `append` from [], and `merge`
 * from {}; so does `merge` with a value that is not an object. `append` to a value that is not an
 * array makes it the first element of one.
 *
 * A `max` with a step (record/step.h) changes a stored value on its own account only by a step or
 * more, and goes along where the row changes anyway.
 *
 * A row that would not change is neither written nor locked, where "change" is what PostgreSQL
 * calls distinct: 1.0 over 1 inside a jsonb is not one. Text is compared by bytes, whatever its
 * collation; a numeric without a fixed scale and json by their text; types that travel as text by
 * their stored form. Keys must differ within one statement.
 *
 * A statement that rounds as a column does (numeric(p,s), time(p) and the like) fails with 42804
 * once the column's type modifier is another: what it would call "no change" may be one by then.
 *
 * It is planned under the settings of leat.plan_rows, and gives them back by leat.enter before it
 * writes the first row. That also fails (42501, LT006) where row security applies, or a BEFORE
 * trigger is there, that leat does not know of. On a table with BEFORE triggers for each row,
 * unless the route accepts it, the statement returns a row and fails with LT008 when it touches
 * fewer rows than it must.
 */
#ifndef LEAT_SINK_PG_STATEMENT_H
#define LEAT_SINK_PG_STATEMENT_H

#include "base/buf.h"
#include "sink/pg/shape.h"

enum { LEAT_STATEMENT_PARAMS_MAX = LEAT_KEY_COLUMNS_MAX + LEAT_COLUMNS_MAX + 2 };

/* Type of the elements of a column's array, an OID of PostgreSQL's; asserts a type that leat can
 * send. */
uint32_t leat_statement_element_oid(leat_type type);
/* Appends the statement's text. */
void leat_statement_build(const leat_shape *shape, leat_buf *out);

/* Appends the statement that counts them, one int8. Parameters: the key columns as above, and an
 * int4[]: how many records each row stands for. One text a route. */
void leat_statement_build_missing(const leat_shape *shape, leat_buf *out);

#endif
