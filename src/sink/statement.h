/*
 * statement.h - the SQL of a row statement: what a route does to many rows at once, as text. Pure.
 *
 * The rows come as one array a column, unnested side by side. Parameters, in this order: the key columns in primary-key
 * order, the columns of the shape ascending, and, unless the shape is uniform, an int8[] that says of each row which of
 * these columns it names (bit i: column i); a column a row does not name has NULL in its array.
 *
 *   PUT     named columns set, all others to their defaults; column operations do not apply.
 *   PATCH   named columns change by the route's operation; a missing row starts from the defaults.
 *   DELETE  by key.
 *
 * A row that would not change is neither written nor locked, where "change" is what PostgreSQL calls distinct: 1.0 over
 * 1 inside a jsonb is none. Text is compared by bytes, whatever its collation; a numeric without a fixed scale by its
 * text. `append` to a stored value that is no array makes it the first element of one. Keys must differ within one
 * statement.
 */
#ifndef LEAT_STATEMENT_H
#define LEAT_STATEMENT_H

#include "base/buf.h"
#include "record/write.h"

enum { LEAT_STATEMENT_PARAMS_MAX = LEAT_KEY_COLUMNS_MAX + LEAT_COLUMNS_MAX + 1 };

typedef struct leat_shape {
    const leat_route *route;
    leat_route_op op;
    bool uniform;      /* every row names all of `columns` and has an operation for all of `operated` */
    leat_merge merge;  /* the least that fits every patch of the rows */
    uint64_t columns;  /* named by some row; never key columns, 0 for DELETE */
    uint64_t operated; /* of these, those where some row has an operand of the route's operation instead of a value */
} leat_shape;

/* Two routes on one table have one key space; each has statements of its own, since operations belong to the route. */
bool leat_shape_equal(const leat_shape *a, const leat_shape *b);
/* Every column a body of this route can name, not uniform: fits any row of the route and operation. */
leat_shape leat_shape_of_any(const leat_route *route, leat_route_op op);
uint32_t leat_shape_param_count(const leat_shape *shape);
/* Type of the elements of a column's array, an OID of PostgreSQL's; asserts a type that leat can send. */
uint32_t leat_statement_element_oid(leat_type type);
/* Appends the statement's text. */
void leat_statement_build(const leat_shape *shape, leat_buf *out);

#endif
