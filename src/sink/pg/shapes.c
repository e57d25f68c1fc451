/*
 * shapes.c - the set of row statements, found by open addressing over their shapes. It is bounded
 * by LEAT_SHAPES_MAX because clients choose which columns they name, and each combination would
 * cost every backend a plan. Texts are built once and kept as long as a job may refer to them by
 * number.
 */
#include "sink/pg/shapes.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS = 1024 }; /* a power of two, above twice the limit */

static_assert(SLOTS > 2 * LEAT_SHAPES_LIMIT, "open addressing wants free slots");

struct leat_shapes {
    uint32_t holds;
    uint32_t count;
    leat_shape shapes[LEAT_SHAPES_LIMIT];
    char *sql[LEAT_SHAPES_LIMIT];
    char *missing[LEAT_ROUTES_MAX]; /* by route; NULL: not needed yet */
    uint16_t slots[SLOTS];          /* number + 1; 0: empty */
};

leat_shapes *leat_shapes_new(void)
{
    leat_shapes *shapes = leat_must_calloc(1, sizeof *shapes);
    return leat_shapes_hold(shapes);
}

leat_shapes *leat_shapes_hold(leat_shapes *shapes)
{
    shapes->holds++;
    return shapes;
}

void leat_shapes_drop(leat_shapes *shapes)
{
    if (!shapes)
        return;
    LEAT_ASSERT(shapes->holds > 0);
    if (--shapes->holds > 0)
        return;
    for (uint32_t i = 0; i < shapes->count; i++)
        free(shapes->sql[i]);
    for (uint32_t i = 0; i < LEAT_ROUTES_MAX; i++)
        free(shapes->missing[i]);
    free(shapes);
}

static uint16_t *find_slot(leat_shapes *shapes, const leat_shape *wanted)
{
    LEAT_ASSERT(wanted->route->index < LEAT_ROUTES_MAX);
    uint64_t mixed = wanted->columns * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 32) ^ wanted->operated) * 0xbf58476d1ce4e5b9u;
    mixed += wanted->route->index * 32 + (uint64_t)wanted->merge * 8 + (uint64_t)wanted->op * 2 +
             wanted->uniform;
    mixed *= 0x94d049bb133111ebu;
    uint32_t at = (uint32_t)(mixed >> 40) % SLOTS;
    while (shapes->slots[at] != 0 &&
           !leat_shape_equal(&shapes->shapes[shapes->slots[at] - 1], wanted))
        at = (at + 1) % SLOTS;
    return &shapes->slots[at];
}

static char *build_sql(const leat_shape *shape, void (*build)(const leat_shape *, leat_buf *))
{
    leat_buf sql = {0};
    build(shape, &sql);
    if (leat_buf_cstr(&sql))
        return sql.data;
    leat_buf_free(&sql);
    return NULL;
}

static int add_shape(leat_shapes *shapes, uint16_t *slot, const leat_shape *shape)
{
    LEAT_ASSERT(shapes->count < LEAT_SHAPES_LIMIT);
    char **missing = &shapes->missing[shape->route->index];
    if (leat_shape_counts_missing(shape) && !*missing)
        *missing = build_sql(shape, leat_statement_build_missing);
    if (leat_shape_counts_missing(shape) && !*missing)
        return -1;
    char *sql = build_sql(shape, leat_statement_build);
    if (!sql)
        return -1;
    shapes->shapes[shapes->count] = *shape;
    shapes->sql[shapes->count] = sql;
    *slot = (uint16_t)++shapes->count;
    return 0;
}

int leat_shapes_find(leat_shapes *shapes, leat_shape wanted, leat_shape *ret_shape)
{
    uint16_t *slot = find_slot(shapes, &wanted);
    if (*slot == 0 && shapes->count >= LEAT_SHAPES_MAX) {
        wanted = leat_shape_of_any(wanted.route, wanted.op);
        slot = find_slot(shapes, &wanted);
    }
    if (*slot == 0 && add_shape(shapes, slot, &wanted) < 0)
        return -1;
    LEAT_ASSERT(*slot > 0 && *slot <= shapes->count);
    *ret_shape = wanted;
    return *slot - 1;
}

const leat_shape *leat_shapes_shape(const leat_shapes *shapes, uint32_t number)
{
    LEAT_ASSERT(number < shapes->count);
    return &shapes->shapes[number];
}

const char *leat_shapes_sql(const leat_shapes *shapes, uint32_t number)
{
    LEAT_ASSERT(number < shapes->count);
    return shapes->sql[number];
}

const char *leat_shapes_missing_sql(const leat_shapes *shapes, uint32_t number)
{
    const leat_shape *shape = leat_shapes_shape(shapes, number);
    return leat_shape_counts_missing(shape) ? shapes->missing[shape->route->index] : NULL;
}
