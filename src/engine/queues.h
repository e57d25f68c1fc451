/*
 * queues.h - the records held: a pool of slots, one FIFO a subpartition threaded through it, and
 * the list of payloads to give back. Slots are named by index; nothing is allocated.
 */
#ifndef LEAT_ENGINE_QUEUES_H
#define LEAT_ENGINE_QUEUES_H

#include "engine/narrow.h"
#include "engine/retry.h"

#define LEAT_INDEX_NONE UINT32_MAX

typedef struct leat_record_slot {
    void *payload;
    int64_t offset;
    int64_t read_us;
    uint64_t tenant;
    uint32_t next;
    uint32_t bytes;
    int32_t epoch; /* leader epoch; -1: not known */
    uint16_t table;
    uint8_t on_refused;
    int64_t at_ms; /* its timestamp */
    uint64_t key;  /* 0: it has none */
} leat_record_slot;

/* A cache line: what a record costs here is mostly the reading of its slot. */
static_assert(sizeof(leat_record_slot) == 64, "a slot has the size of a cache line");

typedef struct leat_pool {
    leat_record_slot *slots;
    uint32_t count;
    uint32_t free_head;
    uint32_t free_count;
    uint32_t untouched;     /* the first slot that was never taken */
    uint32_t released_head; /* payloads to give back, oldest first */
    uint32_t released_tail;
    uint32_t released_count;
} leat_pool;

/* Where a queue is. Exactly one of these at any time; ready.c and subpartition.c move it. */
typedef enum leat_queue_place {
    LEAT_QUEUE_QUIET,     /* empty, or its partition runs nothing */
    LEAT_QUEUE_READY,     /* in its shard's ready set */
    LEAT_QUEUE_IN_FLIGHT, /* a batch of it is in flight */
    LEAT_QUEUE_WAITING,   /* backing off: in the timers */
} leat_queue_place;

/* Records in offset order, threaded through the pool. */
typedef struct leat_run {
    uint32_t head;
    uint32_t tail;
    uint32_t count;
    uint64_t bytes;
} leat_run;

/* A subpartition: the records that may run now, in offset order, of which the first `in_flight` are
 * in a batch. As long as it has chunks in its shard (`parked`) these are the loaded ones, of which
 * there may be none, and what was read from the log stands `behind`. */
typedef struct leat_queue {
    uint32_t head;
    uint32_t tail;
    uint32_t count;
    uint32_t in_flight;
    uint64_t bytes;
    bool parked;
    leat_run behind;
    bool parked_last;  /* nothing of its chunks was tried since it was last parked */
    uint32_t span;     /* it was offered a record in this span of its partition */
    uint32_t retrying; /* records in a retry of a held key (key_retry.c); none of these */
    uint32_t parking;  /* the first records read from the log are being parked: so many */
    int64_t due_us;    /* WAITING, or being parked meanwhile: when it is tried again */
    leat_queue_place place;
    uint32_t list;       /* READY: which list of the ready set */
    uint32_t tenant;     /* READY, in a list of one: its place in tenants.h */
    uint32_t next, prev; /* in it */
    leat_retry retry;
    /* These stay when the held records are dropped: */
    leat_narrow narrow;
    int64_t kept_offset;  /* of the head that was dropped last, or parked and is not loaded */
    int64_t kept_read_us; /* when it was first read; 0: nothing is kept */
    uint32_t kept_table;
} leat_queue;

void leat_pool_init(leat_pool *pool, leat_record_slot *slots, uint32_t count);
/* A slot with `next` at LEAT_INDEX_NONE; there must be a free one. */
uint32_t leat_pool_take(leat_pool *pool);
/* Moves up to `max` released payloads to `ret` and frees their slots. */
size_t leat_pool_released(leat_pool *pool, void **ret, size_t max);

void leat_queue_init(leat_queue *queue);
void leat_queue_push(leat_queue *queue, leat_pool *pool, uint32_t slot);
/* Releases the first `records` of the queue. Returns their bytes. */
uint64_t leat_queue_release(leat_queue *queue, leat_pool *pool, uint32_t records);
/* The records read from the log, in flight included. */
static inline leat_run leat_queue_memory(const leat_queue *queue)
{
    return queue->parked ? queue->behind
                         : (leat_run){queue->head, queue->tail, queue->count, queue->bytes};
}
void leat_queue_push_behind(leat_queue *queue, leat_pool *pool, uint32_t slot);
/* It has chunks from now on: all its records stand behind them. */
void leat_queue_park(leat_queue *queue);
/* It has none any longer, and no loaded record: it goes on with what stands behind. */
void leat_queue_unpark(leat_queue *queue);
/* Releases the first `records` of those behind. Returns their bytes. */
uint64_t leat_queue_release_behind(leat_queue *queue, leat_pool *pool, uint32_t records);
/* At most so many records of the queue may be in its next batch: `records`, or fewer after a
 * failure. */
uint32_t leat_queue_limited(const leat_queue *queue, uint32_t records);
/* How many records from the head fit into `records_max` (> 0) and `bytes_max`; `at_least_one` takes
 * the first however large. `ret_bytes` gets their size. */
uint32_t leat_queue_fit(const leat_queue *queue, const leat_pool *pool, uint32_t records_max,
                        uint64_t bytes_max, bool at_least_one, uint64_t *ret_bytes);

#endif
