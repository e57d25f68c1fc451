/*
 * needs.h - the seqs that a batch or a compaction needs, each named once however many of its
 * subpartitions were moved by it: a set that is emptied in no time. It stands in memory of the
 * caller's and knows nothing of the engine.
 */
#ifndef LEAT_ENGINE_NEEDS_H
#define LEAT_ENGINE_NEEDS_H

#include "base/base.h"

typedef struct leat_needs_place {
    int64_t seq;
    uint64_t round; /* in which it was taken; an older one: free */
} leat_needs_place;

typedef struct leat_needs {
    leat_needs_place *places;
    uint32_t mask;
    uint64_t round;
} leat_needs;

/* The number of places, a power of two, for a set of up to `seqs`. */
uint32_t leat_needs_places(uint32_t seqs);
/* `places` are zeroed. */
void leat_needs_init(leat_needs *needs, leat_needs_place *places, uint32_t count);
/* Empties it. */
void leat_needs_begin(leat_needs *needs);
/* True: `seq` was not in it, and is now. 0 is no seq: false. */
bool leat_needs_add(leat_needs *needs, int64_t seq);

#endif
