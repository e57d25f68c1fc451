/*
 * held.h - the held keys of one partition: a set of hashes, and which of them is tried again first.
 * Pure data; its memory is the caller's, and is touched only where keys are held. Open addressing
 * with linear probing, at most half full; a key that leaves closes its gap, so that there are no
 * marks of removed ones. Those that are to be tried again are in a heap besides (pairing.h).
 */
#ifndef LEAT_ENGINE_HELD_H
#define LEAT_ENGINE_HELD_H

#include "engine/batch.h"
#include "engine/pairing.h"

typedef struct leat_held_place {
    uint64_t key; /* 0: the place is free */
    uint16_t subpartition;
    int64_t since_us;
    /* Of the owner's retries (key_retry.c): */
    int64_t due_us; /* of the next one or look; INT64_MAX: there is none, it is left to people.
                       The less of the next two, which only their functions change */
    int64_t retry_us;
    int64_t look_us;
    uint32_t limit;   /* most records of it; 0: no limit of its own */
    uint8_t failures; /* in a row */
    uint8_t ended;    /* sessions that ended with one, in a row */
} leat_held_place;

typedef struct leat_held {
    leat_held_place *places;
    leat_pairing_node *dues; /* of places whose `due_us` is not INT64_MAX: that is their key */
    uint32_t first_due;      /* of these: the first one's place, LEAT_PAIRING_NONE: there is none */
    uint32_t place_count;    /* a power of two */
    uint32_t count;
    uint32_t max;
    uint16_t *of;      /* by subpartition: how many keys of it */
    uint32_t each_max; /* of a subpartition, to which no more should be added */
} leat_held;

/* How many places a set of at most `max` keys (> 0) needs. */
uint32_t leat_held_places(uint32_t max);
/* `places` are zeroed, leat_held_places(max) of them; of `dues` as many, with anything in them; of
 * `of` one for each subpartition, zeroed. */
void leat_held_init(leat_held *held, leat_held_place *places, leat_pairing_node *dues, uint16_t *of,
                    uint32_t max, uint32_t each_max);
static inline bool leat_held_is_full(const leat_held *held)
{
    return held->count >= held->max;
}
/* Does the subpartition have all that it may have? More, where a claim has found more. */
static inline bool leat_held_is_full_of(const leat_held *held, uint32_t subpartition)
{
    return held->of[subpartition] >= held->each_max;
}
/* NULL: it is not held. Valid until a key is added or removed. */
leat_held_place *leat_held_find(const leat_held *held, uint64_t key);
static inline bool leat_held_has(const leat_held *held, uint64_t key)
{
    return held->count > 0 && key != 0 && leat_held_find(held, key);
}
/* There must be room. One that is there stays as it is. */
leat_held_place *leat_held_add(leat_held *held, uint64_t key, uint16_t subpartition,
                               int64_t since_us);
void leat_held_remove(leat_held *held, uint64_t key);
void leat_held_clear(leat_held *held);
/* When the key is tried again; INT64_MAX: it is not. A new one is not. O(log n), as is a key that
 * leaves. */
void leat_held_set_due(leat_held *held, leat_held_place *place, int64_t retry_us);
/* The same of a look whether what is kept of it is to be left out (leat_engine_look). */
void leat_held_set_look(leat_held *held, leat_held_place *place, int64_t look_us);
/* Of all keys: a look then, or where one is due before, that; INT64_MAX: none. One that is given
 * the present goes after the retries that are overdue, however often looks are wanted. */
void leat_held_look(leat_held *held, int64_t look_us);
/* The one that is due first. NULL: none is ever. */
const leat_held_place *leat_held_first_due(const leat_held *held);
/* All are held since so much later. */
void leat_held_extend(leat_held *held, int64_t by_us);
/* Removes all that are not among these, which ascend by key. */
void leat_held_keep_only(leat_held *held, const leat_engine_held *known, uint32_t count);
void leat_held_validate(const leat_held *held);

#endif
