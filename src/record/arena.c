/*
 * A body or a folded value lives until its batch is sent, and the next batch needs about as much
 * again. So chunks are kept and filled from the first one on, and a worker that has seen its
 * largest batch no longer calls malloc. A text that is larger than a chunk gets one of its own,
 * which is kept too. yyjson frees in an order that suits a block of one allocation, hence the
 * second allocator.
 */
#include "record/arena.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 64 * 1024 };

struct leat_chunk {
    leat_chunk *next;
    size_t used;
    size_t capacity;
    char data[];
};

static bool has_room(const leat_chunk *chunk, size_t size)
{
    return chunk && chunk->capacity - chunk->used >= size;
}

/* After the current chunk, so that smaller ones after it are kept for later. */
static leat_chunk *add_chunk(leat_arena *arena, size_t size)
{
    size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
    leat_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (!chunk)
        return NULL;
    *chunk = (leat_chunk){.capacity = capacity};
    leat_chunk **link = arena->current ? &arena->current->next : &arena->first;
    chunk->next = *link;
    *link = chunk;
    return chunk;
}

char *leat_arena_take(leat_arena *arena, size_t size)
{
    leat_chunk *chunk = arena->current;
    if (!has_room(chunk, size)) {
        chunk = chunk ? chunk->next : arena->first;
        if (chunk)
            chunk->used = 0;
        if (!has_room(chunk, size))
            chunk = add_chunk(arena, size);
        if (!chunk)
            return NULL;
        arena->current = chunk;
    }
    char *text = chunk->data + chunk->used;
    chunk->used += size;
    return text;
}

void leat_arena_reset(leat_arena *arena)
{
    arena->current = NULL; /* the next take starts over with the first chunk */
}

void leat_arena_fini(leat_arena *arena)
{
    while (arena->first) {
        leat_chunk *next = arena->first->next;
        free(arena->first);
        arena->first = next;
    }
    arena->current = NULL;
}

static void *block_realloc(void *context, void *old, size_t old_size, size_t size)
{
    leat_block *block = context;
    (void)old;
    (void)old_size;
    if (size > block->capacity) {
        void *grown = realloc(block->data, size);
        if (!grown)
            return NULL;
        block->data = grown;
        block->capacity = size;
    }
    return block->data;
}

static void *block_malloc(void *context, size_t size)
{
    return block_realloc(context, NULL, 0, size);
}

static void block_free(void *context, void *data)
{
    (void)context;
    (void)data;
}

yyjson_alc leat_block_allocator(leat_block *block)
{
    return (yyjson_alc){
        .malloc = block_malloc, .realloc = block_realloc, .free = block_free, .ctx = block};
}

void leat_block_fini(leat_block *block)
{
    free(block->data);
    *block = (leat_block){0};
}
