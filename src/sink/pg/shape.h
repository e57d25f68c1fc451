/*
 * shape.h - the common traits of the rows of one statement: everything that its text depends on.
 * Pure.
 */
#ifndef LEAT_SINK_PG_SHAPE_H
#define LEAT_SINK_PG_SHAPE_H

#include "base/buf.h"
#include "record/fold.h"

typedef struct leat_shape {
    const leat_route *route;
    leat_route_op op;
    bool uniform; /* every row names all of `columns` and has an operation for all of `operated` */
    leat_merge merge;  /* the simplest that fits every patch of the rows */
    uint64_t columns;  /* named by some row; never key columns, 0 for DELETE */
    uint64_t operated; /* of these, those where some row has an operand of the route's operation
                          instead of a value */
} leat_shape;

/* Two routes on one table have one key space; each has statements of its own, since operations
 * belong to the route. */
bool leat_shape_equal(const leat_shape *a, const leat_shape *b);
/* Every column a body of this route can name, not uniform: fits any row of the route and
 * operation. */
leat_shape leat_shape_of_any(const leat_route *route, leat_route_op op);
/* The triggers it may fire: LEAT_ON_... */
int leat_shape_events(const leat_shape *shape);
/* Are records of such rows dropped when the row is missing, and to be counted first? */
bool leat_shape_counts_missing(const leat_shape *shape);
/* Is its statement planned without leat's settings, as any other session would? Where triggers FOR
 * EACH STATEMENT fire before leat.enter, and where the route accepts that row security hides rows.
 */
bool leat_shape_is_planned_plainly(const leat_shape *shape);

static inline uint64_t leat_shape_bit(uint32_t column)
{
    return (uint64_t)1 << column;
}

#endif
