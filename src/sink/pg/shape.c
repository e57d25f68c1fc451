/*
 * shape.c - which rows can share a statement. The text of a statement depends on its shape alone,
 * so equal shapes share a prepared statement and its plan. leat_shape_of_any is the way out when a
 * route makes too many of them: one slower statement that fits every row.
 */
#include "sink/pg/shape.h"

bool leat_shape_equal(const leat_shape *a, const leat_shape *b)
{
    return a->route == b->route && a->op == b->op && a->uniform == b->uniform &&
           a->merge == b->merge && a->columns == b->columns && a->operated == b->operated;
}

leat_shape leat_shape_of_any(const leat_route *route, leat_route_op op)
{
    LEAT_ASSERT(op < LEAT_ROUTE_OP_COUNT);
    leat_shape shape = {.route = route, .op = op, .uniform = op == LEAT_DELETE};
    for (uint32_t i = 0; i < route->table->column_count && op != LEAT_DELETE; i++) {
        const leat_column *column = &route->table->columns[i];
        if (column->key_position >= 0 || column->generated)
            continue;
        shape.columns |= leat_shape_bit(i);
        if (route->ops[i] == LEAT_OP_SET)
            continue;
        shape.operated |= leat_shape_bit(i);
        if (route->ops[i] == LEAT_OP_MERGE)
            shape.merge = LEAT_MERGE_DEEP;
    }
    return shape;
}

bool leat_shape_counts_missing(const leat_shape *shape)
{
    return shape->op == LEAT_PATCH && shape->route->patch_existing;
}

int leat_shape_events(const leat_shape *shape)
{
    LEAT_ASSERT(shape->op < LEAT_ROUTE_OP_COUNT);
    return shape->op == LEAT_DELETE ? LEAT_ON_DELETE : LEAT_ON_INSERT | LEAT_ON_UPDATE;
}

bool leat_shape_is_planned_plainly(const leat_shape *shape)
{
    const leat_table *table = shape->route->table;
    return table->statement_triggers & leat_shape_events(shape) ||
           (table->row_security && shape->route->accept_row_security);
}
