/*
 * arena.h - memory that parsing uses again and again: an arena of texts that live until its reset,
 * and a yyjson allocator of one block for data that lives no longer than one body. Neither calls
 * malloc once it has grown enough.
 */
#ifndef LEAT_RECORD_ARENA_H
#define LEAT_RECORD_ARENA_H

#include <yyjson.h>

#include "base/base.h"

typedef struct leat_chunk leat_chunk;

typedef struct leat_arena {
    leat_chunk *first;
    leat_chunk *current;
} leat_arena;

/* NULL: out of memory. Not aligned: for texts. */
char *leat_arena_take(leat_arena *arena, size_t size);
void leat_arena_reset(leat_arena *arena);
void leat_arena_fini(leat_arena *arena);

/* Holds one allocation at a time, which is all that yyjson's reader (in situ) and its writer ask
 * for. */
typedef struct leat_block {
    void *data;
    size_t capacity;
} leat_block;

yyjson_alc leat_block_allocator(leat_block *block);
void leat_block_fini(leat_block *block);

#endif
