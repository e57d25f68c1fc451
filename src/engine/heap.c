/*
 * heap.c - a binary heap. `where` follows each entry, so that moving or removing one that is not
 * first takes no search: queues enter and leave the middle of the heap with almost every batch. It
 * never allocates: both arrays are the caller's and large enough for every id.
 */
#include "engine/heap.h"

static void place(leat_heap *heap, uint32_t at, leat_heap_entry entry)
{
    heap->entries[at] = entry;
    heap->where[entry.id] = at;
}

static void rise(leat_heap *heap, uint32_t at, leat_heap_entry entry)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (heap->entries[parent].key <= entry.key)
            break;
        place(heap, at, heap->entries[parent]);
        at = parent;
    }
    place(heap, at, entry);
}

static void sink(leat_heap *heap, uint32_t at, leat_heap_entry entry)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->entries[child + 1].key < heap->entries[child].key)
            child++;
        if (entry.key <= heap->entries[child].key)
            break;
        place(heap, at, heap->entries[child]);
        at = child;
    }
    place(heap, at, entry);
}

static void settle(leat_heap *heap, uint32_t at, leat_heap_entry entry)
{
    if (at > 0 && entry.key < heap->entries[(at - 1) / 2].key)
        rise(heap, at, entry);
    else
        sink(heap, at, entry);
}

void leat_heap_init(leat_heap *heap, leat_heap_entry *entries, uint32_t *where)
{
    *heap = (leat_heap){.entries = entries, .where = where};
}

bool leat_heap_has(const leat_heap *heap, uint32_t id)
{
    return heap->where[id] != LEAT_HEAP_NOWHERE;
}

void leat_heap_set(leat_heap *heap, uint32_t id, int64_t key)
{
    leat_heap_entry entry = {key, id};
    if (leat_heap_has(heap, id))
        settle(heap, heap->where[id], entry);
    else
        rise(heap, heap->count++, entry);
}

void leat_heap_remove(leat_heap *heap, uint32_t id)
{
    if (!leat_heap_has(heap, id))
        return;
    uint32_t at = heap->where[id];
    LEAT_ASSERT(at < heap->count && heap->entries[at].id == id);
    heap->where[id] = LEAT_HEAP_NOWHERE;
    heap->count--;
    if (at < heap->count)
        settle(heap, at, heap->entries[heap->count]);
}

const leat_heap_entry *leat_heap_first(const leat_heap *heap)
{
    return heap->count > 0 ? &heap->entries[0] : NULL;
}

void leat_heap_validate(const leat_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        LEAT_ASSERT(heap->where[heap->entries[i].id] == i);
        LEAT_ASSERT(i == 0 || heap->entries[(i - 1) / 2].key <= heap->entries[i].key);
    }
}
