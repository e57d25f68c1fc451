/*
 * pairing.h - many small heaps of numbers by a key, in one array of nodes: each number is in at
 * most one of them. Of equal keys a second one decides. A heap is the number of its first one, so
 * thousands of heaps cost nothing while they are empty. Memory is the caller's. (A pairing heap,
 * Fredman, Sedgewick, Sleator and Tarjan 1986: insertion in O(1), removal in O(log n) amortized.)
 */
#ifndef LEAT_ENGINE_PAIRING_H
#define LEAT_ENGINE_PAIRING_H

#include "base/base.h"

#define LEAT_PAIRING_NONE UINT32_MAX

typedef struct leat_pairing_node {
    int64_t key;
    int64_t then;   /* of equal keys the lowest of these is first */
    uint32_t child; /* the first one */
    uint32_t next;  /* sibling */
    uint32_t prev;  /* sibling, or the parent of a first child; LEAT_PAIRING_NONE: the first of its
                       heap */
} leat_pairing_node;

/* Each takes the heap's first one, LEAT_PAIRING_NONE when it is empty, and returns its new first
 * one: of those with the lowest key. `id` must be in no heap, then it must be in this one. */
uint32_t leat_pairing_insert(leat_pairing_node *nodes, uint32_t first, uint32_t id, int64_t key,
                             int64_t then);
uint32_t leat_pairing_remove(leat_pairing_node *nodes, uint32_t first, uint32_t id);
/* Is `a` in turn before `b`? LEAT_PAIRING_NONE is after all others. */
static inline bool leat_pairing_is_before(const leat_pairing_node *nodes, uint32_t a, uint32_t b)
{
    if (a == LEAT_PAIRING_NONE || b == LEAT_PAIRING_NONE)
        return a != b && b == LEAT_PAIRING_NONE;
    return nodes[a].key != nodes[b].key ? nodes[a].key < nodes[b].key
                                        : nodes[a].then < nodes[b].then;
}
/* Asserts the order of the heap; returns how many are in it. Recursive: for tests. */
uint32_t leat_pairing_validate(const leat_pairing_node *nodes, uint32_t first);

#endif
