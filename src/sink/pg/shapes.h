/*
 * shapes.h - the row statements that a sink has used on one version of the tables, numbered from 0
 * in the order of their first use. A number names a statement for as long as the set lives, so
 * connections remember what they have prepared by number. Bounded: every prepared statement costs
 * each backend a plan.
 *
 * A new version of the tables brings a new set, while jobs in flight still use numbers of the old
 * one: a set lives until its last holder has dropped it. One thread.
 */
#ifndef LEAT_SINK_PG_SHAPES_H
#define LEAT_SINK_PG_SHAPES_H

#include "sink/pg/statement.h"

enum {
    LEAT_SHAPES_MAX = 200, /* kept as they come; after these, one per route and operation */
    LEAT_SHAPES_LIMIT = LEAT_SHAPES_MAX + LEAT_ROUTES_MAX * LEAT_ROUTE_OP_COUNT,
};

typedef struct leat_shapes leat_shapes;

/* Held once, by the caller. */
leat_shapes *leat_shapes_new(void);
leat_shapes *leat_shapes_hold(leat_shapes *shapes);
/* Drops a hold; the last one frees the set. May be NULL. */
void leat_shapes_drop(leat_shapes *shapes);
/* The statement to use for rows of shape `wanted`: its own or, when there are too many, the one
 * that fits any row of its route and operation. Returns its number and its shape, or -1 when out of
 * memory. */
int leat_shapes_find(leat_shapes *shapes, leat_shape wanted, leat_shape *ret_shape) LEAT_MUST_CHECK;
const leat_shape *leat_shapes_shape(const leat_shapes *shapes, uint32_t number);
const char *leat_shapes_sql(const leat_shapes *shapes, uint32_t number);
/* The statement that counts the records which statement `number` will drop, to be sent before it;
 * NULL: it drops none. It is the same for all statements of a route. */
const char *leat_shapes_missing_sql(const leat_shapes *shapes, uint32_t number);

#endif
