/*
 * ready.h - a shard's subpartitions that could run now, kept so that the next one to run is found
 * at once: by depth (lists by floor(log2(records))), by the age of the head (a heap), and, apart
 * from both, those that must run alone, and those that run alone because they may end their session
 * (narrow.h).
 */
#ifndef LEAT_ENGINE_READY_H
#define LEAT_ENGINE_READY_H

#include "engine/heap.h"
#include "engine/queues.h"

enum {
    LEAT_READY_DEPTHS = 32,
    LEAT_READY_ALONE = LEAT_READY_DEPTHS,
    LEAT_READY_TRIAL,
    LEAT_READY_UNPARK, /* runs loaded records, which no other queue may share a batch with */
    LEAT_READY_LISTS
};

typedef struct leat_ready {
    uint32_t head[LEAT_READY_LISTS];
    uint32_t tail[LEAT_READY_LISTS];
    uint32_t depths; /* bit set: that list has something */
    leat_heap age;   /* by read_us of the head; without those of the lists below */
    uint32_t count;
} leat_ready;

/* `entries` and `where`: see heap.h. */
void leat_ready_init(leat_ready *ready, leat_heap_entry *entries, uint32_t *where);
/* `queues` is the engine's array, `id` an index into it; `head_us`: when the queue's head was
 * read. */
void leat_ready_add(leat_ready *ready, leat_queue *queues, uint32_t id, int64_t head_us);
void leat_ready_remove(leat_ready *ready, leat_queue *queues, uint32_t id);
/* A record was pushed to a queue that is in. */
void leat_ready_deepened(leat_ready *ready, leat_queue *queues, uint32_t id);
/* The next to run that may share a batch: one whose head was read before `overdue_us`, oldest
 * first, else one of the deepest. LEAT_INDEX_NONE: none. It stays in. */
uint32_t leat_ready_first(const leat_ready *ready, int64_t overdue_us);
/* The one that has waited longest for a batch of its own. LEAT_INDEX_NONE: none. It stays in. */
uint32_t leat_ready_first_alone(const leat_ready *ready);
/* The one to try next of those under trial: the one that has ended the fewest sessions in a row, so
 * that innocent ones pass before those that have failed again; of several the one that has waited
 * longest. LEAT_INDEX_NONE: none. It stays in. Linear in how many there are. */
uint32_t leat_ready_first_trial(const leat_ready *ready, const leat_queue *queues);
void leat_ready_validate(const leat_ready *ready, const leat_queue *queues);

#endif
