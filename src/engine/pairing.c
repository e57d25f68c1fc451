/*
 * pairing.c - a heap is a tree in which no child has a lower key than its parent. Two trees are
 * melded by making one the first child of the other. A removed one leaves its children behind as
 * many trees: they are melded in pairs from the front, and the pairs into one from the back, which
 * is what keeps the trees shallow.
 */
#include "engine/pairing.h"

/* Both are first ones, without siblings. Of equal ones `a` stays in front. */
static uint32_t meld(leat_pairing_node *nodes, uint32_t a, uint32_t b)
{
    if (a == LEAT_PAIRING_NONE)
        return b;
    if (b == LEAT_PAIRING_NONE)
        return a;
    uint32_t parent = leat_pairing_is_before(nodes, b, a) ? b : a;
    uint32_t child = parent == a ? b : a;
    nodes[child].next = nodes[parent].child;
    nodes[child].prev = parent;
    if (nodes[child].next != LEAT_PAIRING_NONE)
        nodes[nodes[child].next].prev = child;
    nodes[parent].child = child;
    return parent;
}

/* Takes it out of its siblings, with all that is below it. */
static void cut(leat_pairing_node *nodes, uint32_t id)
{
    leat_pairing_node *node = &nodes[id];
    LEAT_ASSERT(node->prev != LEAT_PAIRING_NONE);
    if (nodes[node->prev].child == id)
        nodes[node->prev].child = node->next;
    else
        nodes[node->prev].next = node->next;
    if (node->next != LEAT_PAIRING_NONE)
        nodes[node->next].prev = node->prev;
    node->next = node->prev = LEAT_PAIRING_NONE;
}

static uint32_t alone(leat_pairing_node *nodes, uint32_t id)
{
    nodes[id].next = nodes[id].prev = LEAT_PAIRING_NONE;
    return id;
}

/* The children of `id` as one tree. The pairs are kept in a list through `next`, last first. */
static uint32_t meld_children(leat_pairing_node *nodes, uint32_t id)
{
    uint32_t pairs = LEAT_PAIRING_NONE;
    uint32_t left = nodes[id].child;
    while (left != LEAT_PAIRING_NONE) {
        uint32_t a = left;
        uint32_t b = nodes[a].next;
        left = b == LEAT_PAIRING_NONE ? b : nodes[b].next;
        alone(nodes, a);
        uint32_t pair = b == LEAT_PAIRING_NONE ? a : meld(nodes, a, alone(nodes, b));
        nodes[pair].next = pairs;
        pairs = pair;
    }
    uint32_t all = LEAT_PAIRING_NONE;
    while (pairs != LEAT_PAIRING_NONE) {
        uint32_t pair = pairs;
        pairs = nodes[pair].next;
        all = meld(nodes, alone(nodes, pair), all);
    }
    nodes[id].child = LEAT_PAIRING_NONE;
    return all;
}

uint32_t leat_pairing_insert(leat_pairing_node *nodes, uint32_t first, uint32_t id, int64_t key,
                             int64_t then)
{
    LEAT_ASSERT(id != first);
    nodes[id] =
        (leat_pairing_node){key, then, LEAT_PAIRING_NONE, LEAT_PAIRING_NONE, LEAT_PAIRING_NONE};
    return meld(nodes, first, id);
}

uint32_t leat_pairing_remove(leat_pairing_node *nodes, uint32_t first, uint32_t id)
{
    LEAT_ASSERT(first != LEAT_PAIRING_NONE && nodes[first].prev == LEAT_PAIRING_NONE);
    if (id == first)
        return meld_children(nodes, id);
    cut(nodes, id);
    return meld(nodes, first, meld_children(nodes, id));
}

uint32_t leat_pairing_validate(const leat_pairing_node *nodes, uint32_t first)
{
    if (first == LEAT_PAIRING_NONE)
        return 0;
    uint32_t count = 1;
    uint32_t before = first;
    for (uint32_t id = nodes[first].child; id != LEAT_PAIRING_NONE; id = nodes[id].next) {
        LEAT_ASSERT(nodes[id].prev == before && !leat_pairing_is_before(nodes, id, first));
        count += leat_pairing_validate(nodes, id);
        before = id;
    }
    return count;
}
