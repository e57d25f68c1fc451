/*
 * heads.h - the keys of records that hold up their subpartitions, remembered for when such a record
 * is parked: then it is no longer in memory, and a person still wants to know whose it is. One
 * thread.
 */
#ifndef LEAT_APPLY_HEADS_H
#define LEAT_APPLY_HEADS_H

#include "base/base.h"

enum { LEAT_HEADS_MAX = 64, LEAT_HEAD_TEXT_MAX = 96 };

typedef struct leat_known_head {
    uint32_t partition;
    uint32_t subpartition;
    int64_t offset;
    uint64_t used; /* when it was last asked for; 0: the place is free */
    size_t key_size;
    size_t tenant_size;
    char key[LEAT_HEAD_TEXT_MAX]; /* cut */
    char tenant[LEAT_HEAD_TEXT_MAX];
} leat_known_head;

/* Zeroed at first. */
typedef struct leat_heads {
    uint64_t clock;
    leat_known_head heads[LEAT_HEADS_MAX];
} leat_heads;

/* Remembers it, in place of the one that was not asked for for longest. */
void leat_heads_note(leat_heads *heads, uint32_t partition, uint32_t subpartition, int64_t offset,
                     leat_slice key, leat_slice tenant);
/* NULL: not known. */
const leat_known_head *leat_heads_find(leat_heads *heads, uint32_t partition, uint32_t subpartition,
                                       int64_t offset);

#endif
