/*
 * items.h - a fixed pool of leat_item: as many as the engine may hold, and a few more. Memory is
 * allocated once; the kernel gives a page when it is first used, so a small backlog costs little.
 * One thread.
 */
#ifndef LEAT_APPLY_ITEMS_H
#define LEAT_APPLY_ITEMS_H

#include "record/item.h"

typedef struct leat_items {
    leat_item *slots;
    uint32_t capacity;
    uint32_t used; /* slots handed out at least once */
    leat_item *free_list;
} leat_items;

int leat_items_init(leat_items *items, uint32_t capacity, leat_error *error) LEAT_MUST_CHECK;
void leat_items_fini(leat_items *items);
/* NULL: all are in use. */
leat_item *leat_items_take(leat_items *items);
/* Clears the item and takes it back. */
void leat_items_give(leat_items *items, leat_item *item);

#endif
