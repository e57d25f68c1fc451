/*
 * offsets.h - which records of a partition are applied, and up to where all of them are.
 *
 * Offsets are pushed in ascending order, with holes, and completed in any order. `low` is a position: everything up to it is
 * complete. It is the offset of the last record before the first one that is not complete, and, once all that was pushed is
 * complete, the last offset of which it is known that no record follows below it (leat_offsets_read_to).
 *
 * A ring in the caller's memory; every call is O(1) amortised.
 */
#ifndef LEAT_ENGINE_OFFSETS_H
#define LEAT_ENGINE_OFFSETS_H

#include "base/base.h"

typedef struct leat_offsets_entry {
    int64_t offset; /* complete: ~offset, which is negative */
    int64_t at_ms;
} leat_offsets_entry;

typedef struct leat_offsets {
    leat_offsets_entry *entries;
    uint32_t capacity;
    uint32_t head;
    uint32_t count; /* from the first record that is not complete to the last one pushed */
    int64_t low;    /* -1: nothing yet */
    int64_t end;    /* nothing below it will be pushed any more */
} leat_offsets;

/* `entries` holds `capacity` (> 0) of them and stays the caller's. */
void leat_offsets_init(leat_offsets *offsets, leat_offsets_entry *entries, uint32_t capacity);
/* Forgets everything outstanding and starts after `low`. */
void leat_offsets_begin(leat_offsets *offsets, int64_t low);

/* Is there room for one more leat_offsets_push? */
bool leat_offsets_room(const leat_offsets *offsets);
/* Takes in a record to be applied; `offset` is above all before it. Returns its position, valid until it is completed
 * and stable meanwhile. There must be room. */
uint32_t leat_offsets_push(leat_offsets *offsets, int64_t offset, int64_t at_ms);

/* Is there room for one more leat_offsets_push_done? (More often than for a push: neighbours share an entry.) */
bool leat_offsets_room_done(const leat_offsets *offsets);
/* Takes in a record that is applied already. One at or below `low` changes nothing. */
void leat_offsets_push_done(leat_offsets *offsets, int64_t offset, int64_t at_ms);

/* Every record below `end` was pushed: what lies between the last one and `end` are offsets without a record. */
void leat_offsets_read_to(leat_offsets *offsets, int64_t end);

/* The record at `position` is applied. */
void leat_offsets_complete(leat_offsets *offsets, uint32_t position);

/* The last offset pushed; `low` if nothing is outstanding. */
int64_t leat_offsets_last(const leat_offsets *offsets);
/* The time of the record at `position`, which is not complete. */
int64_t leat_offsets_at_ms(const leat_offsets *offsets, uint32_t position);
/* The time of the first record that is not complete; 0: none. */
int64_t leat_offsets_oldest_ms(const leat_offsets *offsets);

void leat_offsets_validate(const leat_offsets *offsets);

#endif
