/*
 * chunks.h - what the engine knows of the chunks that one subpartition has parked in its shard, and
 * the chunks that are loaded. Pure data.
 *
 * There may be tens of thousands of chunks, so the engine keeps no list of them: how many there
 * are, from where to where they reach, and those that are loaded, which are the first ones and in
 * order. The next one is asked for as the first chunk above the last one that is known. Whether the
 * count and the chunks that come fit together is checked with each of them.
 *
 * Loaded chunks have records in the subpartition's queue, some or all of those that are still
 * parked: as many as there was room for. Only the last loaded one can lack some.
 */
#ifndef LEAT_ENGINE_CHUNKS_H
#define LEAT_ENGINE_CHUNKS_H

#include "engine/batch.h"

/* A loaded chunk. */
typedef struct leat_chunk_slot {
    int64_t first_offset, last_offset;
    int64_t done;
    uint64_t size; /* as stored */
    uint32_t open; /* records still parked */
    uint32_t held; /* those of them that are in the queue */
    uint32_t next;
} leat_chunk_slot;

/* All loaded chunks of an engine are slots of one pool, named by index. */
typedef struct leat_chunk_pool {
    leat_chunk_slot *slots;
    uint32_t count;
    uint32_t free_head;
    uint32_t free_count;
} leat_chunk_pool;

typedef struct leat_chunks {
    uint32_t count; /* 0: nothing is parked, and all else but the times has no meaning */
    int64_t to;     /* up to here the subpartition's records are in the tables */
    int64_t last_offset;
    int64_t above;    /* the last offset of the last chunk that was emptied; -1: none was */
    uint64_t records; /* still parked, as are the next two; bytes as stored */
    uint64_t bytes;
    int64_t oldest_ms;
    uint32_t loaded; /* chunks */
    uint32_t loaded_head, loaded_tail;
    /* A parked record does not remember when it was read. Those after `read_from` up to `read_to`
     * were read by `read_us`, later ones by `parked_us`, when something was parked last. Those
     * before were applied by then, maybe by another worker: a database that goes back may have them
     * again.
     */
    int64_t read_from, read_to, read_us;
    int64_t parked_us;
    int64_t since_us; /* something has been parked since */
} leat_chunks;

void leat_chunk_pool_init(leat_chunk_pool *pool, leat_chunk_slot *slots, uint32_t count);
void leat_chunks_init(leat_chunks *chunks);

/* A claim has found these (`parked`), or none (NULL). Nothing may be loaded. */
void leat_chunks_claimed(leat_chunks *chunks, const leat_engine_parked *parked, int64_t now_us);
/* Do these fit together, in a partition of which the subpartition has come to `offset`? */
bool leat_chunks_make_sense(const leat_engine_parked *parked, int64_t offset);
/* A chunk was parked, after all others. */
void leat_chunks_parked(leat_chunks *chunks, const leat_engine_parked *parked, int64_t now_us);

/* Is there a chunk that could be loaded now? Not while a loaded one lacks records. There may be no
 * free slot for it. */
bool leat_chunks_may_load(const leat_chunks *chunks, const leat_chunk_pool *pool);
/* What to ask for: leat_engine_load.above. */
int64_t leat_chunks_load_above(const leat_chunks *chunks, const leat_chunk_pool *pool);
/* Can the chunk be the next one? If not the database has others than the engine believes. */
bool leat_chunks_expect(const leat_chunks *chunks, const leat_chunk_pool *pool,
                        const leat_engine_chunk *chunk);
/* `held` of its records (> 0) came into the queue. There must be a free slot. */
void leat_chunks_loaded(leat_chunks *chunks, leat_chunk_pool *pool, const leat_engine_chunk *chunk,
                        uint32_t held);
/* Its records have left the queue untried. */
void leat_chunks_unload(leat_chunks *chunks, leat_chunk_pool *pool);
/* By when the parked record at `offset` was read. */
int64_t leat_chunks_read_us(leat_chunks *chunks, int64_t offset);

/* How many of the first `records` (> 0) loaded ones one batch can take: it has so many chunks. */
uint32_t leat_chunks_fit(const leat_chunks *chunks, const leat_chunk_pool *pool, uint32_t records);
/* The steps of a batch that takes the first `records` loaded ones, as leat_chunks_fit allows;
 * `last` is the offset of the last of them. Returns how many steps. */
uint32_t leat_chunks_steps(const leat_chunks *chunks, const leat_chunk_pool *pool, uint32_t records,
                           int64_t last, leat_engine_chunk_step *ret);
/* The batch with these steps was applied, and its `records` have left the queue. False: the chunks
 * that are left cannot be those that the engine believes in. */
bool leat_chunks_applied(leat_chunks *chunks, leat_chunk_pool *pool,
                         const leat_engine_chunk_step *steps, uint32_t step_count,
                         uint32_t records);

/* Loaded records, counted up from the chunks: for invariants. */
uint32_t leat_chunks_held(const leat_chunks *chunks, const leat_chunk_pool *pool);

#endif
