/*
 * items.c - slots of one piece of memory, handed out in order and taken back into a list. The
 * kernel gives a page when it is first written to, so slots that were never used cost nothing. The
 * slots freed last are still in the cache and are used first. With a backlog they are not: then the
 * next one is fetched while the last is filled.
 */
#include "apply/items.h"

#include "base/pages.h"

int leat_items_init(leat_items *items, uint32_t capacity, leat_error *error)
{
    *items =
        (leat_items){.capacity = capacity, .slots = leat_pages_new(capacity * sizeof(leat_item))};
    if (!items->slots)
        return leat_fail(error, "out of memory for %u records", capacity);
    return 0;
}

void leat_items_fini(leat_items *items)
{
    for (uint32_t i = 0; i < items->used; i++)
        leat_item_clear(&items->slots[i]);
    leat_pages_free(items->slots, items->capacity * sizeof(leat_item));
    *items = (leat_items){0};
}

leat_item *leat_items_take(leat_items *items)
{
    leat_item *item = items->free_list;
    if (item)
        leat_item_fetch(items->free_list = item->next_free);
    else if (items->used < items->capacity)
        item = &items->slots[items->used++];
    if (item)
        item->next_free = NULL;
    return item;
}

void leat_items_give(leat_items *items, leat_item *item)
{
    LEAT_ASSERT(item >= items->slots && item < items->slots + items->used);
    leat_item_clear(item);
    item->next_free = items->free_list;
    items->free_list = item;
}
