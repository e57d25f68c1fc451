/*
 * batch_split.h - where the items of a batch begin and end, while its bytes come in pieces: lines
 * (NDJSON), or the elements of one JSON array. It knows as little of JSON as that takes, strings
 * and brackets; whether an item is JSON is for its reader to say, so a broken item harms no other.
 * Pure.
 *
 * The caller keeps the bytes. It gives those that are not used yet, from the first on, and drops as
 * many as were used; nothing is looked at twice.
 */
#ifndef LEAT_EDGE_BATCH_SPLIT_H
#define LEAT_EDGE_BATCH_SPLIT_H

#include "base/base.h"

typedef enum leat_split_state {
    LEAT_SPLIT_OPENING, /* of an array: '[' must follow */
    LEAT_SPLIT_FIRST,   /* an element or ']' */
    LEAT_SPLIT_ITEM,    /* inside an item; lines: always */
    LEAT_SPLIT_AFTER,   /* ',' or ']' */
    LEAT_SPLIT_NEXT,    /* an element */
    LEAT_SPLIT_CLOSED,  /* nothing but whitespace */
} leat_split_state;

typedef struct leat_split {
    size_t item_max; /* bytes; above 0 */
    bool is_array;
    leat_split_state state;
    size_t scanned; /* of the bytes not used yet */
    bool skips;     /* the item is too large: its bytes are used as they come */
    /* within an element */
    bool in_string, escaped, is_bare; /* bare: a number or a word, without brackets or quotes */
    uint32_t depth;
    uint64_t used; /* bytes of all calls */
} leat_split;

typedef enum leat_split_result {
    LEAT_SPLIT_MORE,      /* none is complete: more bytes are needed */
    LEAT_SPLIT_FOUND,     /* an item */
    LEAT_SPLIT_TOO_LARGE, /* an item that is larger than item_max ended */
    LEAT_SPLIT_END,       /* no item follows */
    LEAT_SPLIT_FAULT,     /* an array that is none from here on: split->used bytes were good */
} leat_split_result;

void leat_split_init(leat_split *split, bool is_array, size_t item_max);
/* `bytes`: all that were not used yet, or more of them; `is_last`: no more will come. `ret_item`,
 * without whitespace around it, points into them. `ret_used`: drop as many, after the item was
 * read. Empty lines are no items. */
leat_split_result leat_split_next(leat_split *split, leat_slice bytes, bool is_last,
                                  leat_slice *ret_item, size_t *ret_used);
/* What was expected where an array broke, for a person. */
const char *leat_split_expected(const leat_split *split);

#endif
