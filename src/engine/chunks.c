/*
 * chunks.c - the chunks of a subpartition as a count and a range, and the loaded ones as a list.
 * Every number that the shard gives is compared with what was known before; what does not fit is
 * never repaired here, because a claim reads the truth.
 */
#include "engine/chunks.h"

#define NO_SLOT UINT32_MAX

void leat_chunk_pool_init(leat_chunk_pool *pool, leat_chunk_slot *slots, uint32_t count)
{
    LEAT_ASSERT(count > 0 && count < NO_SLOT);
    *pool = (leat_chunk_pool){.slots = slots, .count = count, .free_count = count};
    for (uint32_t i = 0; i < count; i++)
        slots[i].next = i + 1 < count ? i + 1 : NO_SLOT;
}

void leat_chunks_init(leat_chunks *chunks)
{
    *chunks = (leat_chunks){
        .to = -1, .above = -1, .loaded_head = NO_SLOT, .loaded_tail = NO_SLOT, .read_to = -1};
}

/* ---- what is parked ---- */

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool leat_chunks_make_sense(const leat_engine_parked *parked, int64_t offset)
{
    return parked->chunks > 0 && parked->records >= parked->chunks && parked->first_offset >= 0 &&
           parked->first_offset <= parked->last_offset && parked->done < parked->last_offset &&
           parked->last_offset <= offset;
}

void leat_chunks_claimed(leat_chunks *chunks, const leat_engine_parked *parked, int64_t now_us)
{
    LEAT_ASSERT(chunks->loaded == 0);
    /* Patience with what this worker has had before goes on. */
    leat_chunks before = *chunks;
    leat_chunks_init(chunks);
    if (!parked)
        return;
    chunks->count = parked->chunks;
    chunks->to = greater(parked->first_offset - 1, parked->done);
    chunks->last_offset = parked->last_offset;
    chunks->records = parked->records;
    chunks->bytes = parked->bytes;
    chunks->oldest_ms = parked->oldest_ms;
    chunks->parked_us = chunks->since_us = now_us;
    bool goes_on = before.read_us > 0 && chunks->to >= before.read_from &&
                   chunks->to < before.read_to;
    chunks->read_from = goes_on ? before.read_from : chunks->to;
    chunks->read_to = goes_on ? before.read_to : parked->last_offset;
    chunks->read_us = goes_on ? before.read_us : now_us;
}

void leat_chunks_parked(leat_chunks *chunks, const leat_engine_parked *parked, int64_t now_us)
{
    LEAT_ASSERT(parked->chunks == 1 && parked->records > 0);
    if (chunks->count == 0) {
        leat_chunks_init(chunks);
        chunks->to = parked->first_offset - 1;
        chunks->oldest_ms = parked->oldest_ms;
        chunks->since_us = now_us;
        chunks->read_from = chunks->to;
        chunks->read_to = parked->last_offset;
        chunks->read_us = now_us;
    }
    LEAT_ASSERT(chunks->count == 0 || parked->first_offset > chunks->last_offset);
    chunks->count++;
    chunks->last_offset = parked->last_offset;
    chunks->records += parked->records;
    chunks->bytes += parked->bytes;
    chunks->oldest_ms = parked->oldest_ms < chunks->oldest_ms ? parked->oldest_ms
                                                              : chunks->oldest_ms;
    chunks->parked_us = now_us;
}

/* Records that were parked one after the other and are tried in turn must not each get patience of
 * their own, or a few bad ones would hold the subpartition for ever. So all that is parked when the
 * tries come there counts from one time. */
int64_t leat_chunks_read_us(leat_chunks *chunks, int64_t offset)
{
    if (offset > chunks->read_to) {
        chunks->read_to = chunks->last_offset;
        chunks->read_us = chunks->parked_us;
    }
    return chunks->read_us;
}

/* ---- what is loaded ---- */

static const leat_chunk_slot *last_loaded(const leat_chunks *chunks, const leat_chunk_pool *pool)
{
    return chunks->loaded > 0 ? &pool->slots[chunks->loaded_tail] : NULL;
}

bool leat_chunks_may_load(const leat_chunks *chunks, const leat_chunk_pool *pool)
{
    const leat_chunk_slot *last = last_loaded(chunks, pool);
    return chunks->loaded < chunks->count && (!last || last->held == last->open);
}

int64_t leat_chunks_load_above(const leat_chunks *chunks, const leat_chunk_pool *pool)
{
    const leat_chunk_slot *last = last_loaded(chunks, pool);
    return last ? last->last_offset : chunks->above;
}

bool leat_chunks_expect(const leat_chunks *chunks, const leat_chunk_pool *pool,
                        const leat_engine_chunk *chunk)
{
    if (!leat_chunks_may_load(chunks, pool) || chunk->records == 0 ||
        chunk->first_offset > chunk->last_offset || chunk->done >= chunk->last_offset)
        return false;
    bool is_first = chunks->loaded == 0;
    if (chunk->first_offset <= leat_chunks_load_above(chunks, pool) ||
        (is_first && greater(chunk->first_offset - 1, chunk->done) < chunks->to) ||
        (!is_first && chunk->done >= chunk->first_offset))
        return false;
    bool is_last = chunks->loaded + 1 == chunks->count;
    return is_last ? chunk->last_offset == chunks->last_offset
                   : chunk->last_offset < chunks->last_offset;
}

void leat_chunks_loaded(leat_chunks *chunks, leat_chunk_pool *pool, const leat_engine_chunk *chunk,
                        uint32_t held)
{
    LEAT_ASSERT(held > 0 && held <= chunk->records && leat_chunks_expect(chunks, pool, chunk));
    LEAT_ASSERT(pool->free_count > 0);
    uint32_t id = pool->free_head;
    leat_chunk_slot *slot = &pool->slots[id];
    pool->free_head = slot->next;
    pool->free_count--;
    *slot = (leat_chunk_slot){.first_offset = chunk->first_offset,
                              .last_offset = chunk->last_offset,
                              .done = chunk->done,
                              .size = chunk->size,
                              .open = chunk->records,
                              .held = held,
                              .next = NO_SLOT};
    if (chunks->loaded == 0)
        chunks->loaded_head = id;
    else
        pool->slots[chunks->loaded_tail].next = id;
    chunks->loaded_tail = id;
    chunks->loaded++;
}

static void drop_first(leat_chunks *chunks, leat_chunk_pool *pool)
{
    uint32_t id = chunks->loaded_head;
    LEAT_ASSERT(chunks->loaded > 0);
    chunks->loaded_head = pool->slots[id].next;
    chunks->loaded--;
    if (chunks->loaded == 0)
        chunks->loaded_tail = NO_SLOT;
    pool->slots[id].next = pool->free_head;
    pool->free_head = id;
    pool->free_count++;
}

void leat_chunks_unload(leat_chunks *chunks, leat_chunk_pool *pool)
{
    while (chunks->loaded > 0)
        drop_first(chunks, pool);
}

uint32_t leat_chunks_held(const leat_chunks *chunks, const leat_chunk_pool *pool)
{
    uint32_t held = 0;
    for (uint32_t id = chunks->loaded_head; id != NO_SLOT; id = pool->slots[id].next)
        held += pool->slots[id].held;
    return held;
}

/* ---- batches ---- */

uint32_t leat_chunks_fit(const leat_chunks *chunks, const leat_chunk_pool *pool, uint32_t records)
{
    uint32_t fit = 0;
    uint32_t id = chunks->loaded_head;
    for (uint32_t i = 0; i < LEAT_BATCH_CHUNKS_MAX && id != NO_SLOT && fit < records; i++) {
        fit += pool->slots[id].held;
        id = pool->slots[id].next;
    }
    LEAT_ASSERT(fit > 0);
    return fit < records ? fit : records;
}

uint32_t leat_chunks_steps(const leat_chunks *chunks, const leat_chunk_pool *pool, uint32_t records,
                           int64_t last, leat_engine_chunk_step *ret)
{
    uint32_t count = 0;
    for (uint32_t id = chunks->loaded_head; records > 0; id = pool->slots[id].next) {
        LEAT_ASSERT(id != NO_SLOT && count < LEAT_BATCH_CHUNKS_MAX);
        const leat_chunk_slot *slot = &pool->slots[id];
        uint32_t takes = slot->held < records ? slot->held : records;
        bool is_emptied = takes == slot->open;
        ret[count++] = (leat_engine_chunk_step){.first_offset = slot->first_offset,
                                                .last_offset = slot->last_offset,
                                                .done = slot->done,
                                                .done_after = is_emptied ? slot->last_offset : last,
                                                .records_after = slot->open - takes};
        records -= takes;
        LEAT_ASSERT(is_emptied || records == 0);
    }
    return count;
}

static void subtract(uint64_t *from, uint64_t amount)
{
    *from -= amount < *from ? amount : *from;
}

bool leat_chunks_applied(leat_chunks *chunks, leat_chunk_pool *pool,
                         const leat_engine_chunk_step *steps, uint32_t step_count, uint32_t records)
{
    for (uint32_t i = 0; i < step_count; i++) {
        leat_chunk_slot *slot = &pool->slots[chunks->loaded_head];
        LEAT_ASSERT(chunks->loaded > 0 && slot->first_offset == steps[i].first_offset &&
                    slot->done == steps[i].done);
        uint32_t took = slot->open - steps[i].records_after;
        LEAT_ASSERT(took <= slot->held && took <= records);
        records -= took;
        subtract(&chunks->records, took);
        slot->open -= took;
        slot->held -= took;
        slot->done = chunks->to = steps[i].done_after;
        if (slot->open == 0) {
            chunks->above = slot->last_offset;
            subtract(&chunks->bytes, slot->size);
            chunks->count--;
            if (chunks->count == 0)
                chunks->bytes = 0;
        }
        if (slot->held == 0)
            drop_first(chunks, pool);
    }
    LEAT_ASSERT(records == 0);
    /* The claim counted the chunks and their records in one statement. */
    return chunks->count > 0 ? chunks->records >= chunks->count : chunks->records == 0;
}
