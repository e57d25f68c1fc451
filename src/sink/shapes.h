/*
 * shapes.h - the row statements a sink has met, numbered from 0 in the order they came. A number names a statement for
 * as long as the sink lives, so connections remember what they have prepared by number. Bounded: every prepared
 * statement costs each backend a plan.
 */
#ifndef LEAT_SHAPES_H
#define LEAT_SHAPES_H

#include "sink/statement.h"

enum {
    LEAT_SHAPES_MAX = 200, /* kept as they come; beyond these one a route and operation */
    LEAT_SHAPES_LIMIT = LEAT_SHAPES_MAX + LEAT_ROUTES_MAX * LEAT_ROUTE_OP_COUNT,
};

typedef struct leat_shapes leat_shapes;

/* Held once, by the caller. */
leat_shapes *leat_shapes_new(void);
void leat_shapes_hold(leat_shapes *shapes);
/* Frees them when nobody holds them any more. NULL does nothing. */
void leat_shapes_drop(leat_shapes *shapes);
/* The statement to use for rows of shape `wanted`: its own or, when there are too many, the one that fits any row of
 * its route and operation. Returns its number and its shape, or -1 when memory is out. */
int leat_shapes_find(leat_shapes *shapes, leat_shape wanted, leat_shape *ret_shape) LEAT_MUST_CHECK;
const leat_shape *leat_shapes_shape(const leat_shapes *shapes, uint32_t number);
const char *leat_shapes_sql(const leat_shapes *shapes, uint32_t number);

#endif
