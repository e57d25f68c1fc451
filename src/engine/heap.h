/*
 * heap.h - a binary heap of small numbers by time, with the position of each: any of them can be
 * moved or removed in O(log n). Memory is the caller's.
 */
#ifndef LEAT_ENGINE_HEAP_H
#define LEAT_ENGINE_HEAP_H

#include "base/base.h"

#define LEAT_HEAP_NOWHERE UINT32_MAX

typedef struct leat_heap_entry {
    int64_t key;
    uint32_t id;
} leat_heap_entry;

typedef struct leat_heap {
    leat_heap_entry *entries; /* as many as ids may be in at once */
    uint32_t *where; /* by id; heaps may share it as long as an id is in at most one of them */
    uint32_t count;
} leat_heap;

/* Every `where` must be LEAT_HEAP_NOWHERE at first. */
void leat_heap_init(leat_heap *heap, leat_heap_entry *entries, uint32_t *where);
bool leat_heap_has(const leat_heap *heap, uint32_t id);
/* Puts `id` in, or moves it when it is in. */
void leat_heap_set(leat_heap *heap, uint32_t id, int64_t key);
/* Removes `id`; does nothing when it is not in. */
void leat_heap_remove(leat_heap *heap, uint32_t id);
/* The entry with the lowest key; NULL when empty. Valid until the heap changes. */
const leat_heap_entry *leat_heap_first(const leat_heap *heap);
void leat_heap_validate(const leat_heap *heap);

#endif
