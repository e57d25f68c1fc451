/*
 * repeats.h - which records repeat a write that is applied (record/idempotency.h), as a worker
 * knows it: what shards have said of records that are tried again, by partition and offset, and
 * what is in the batch that is being made. One thread. Bounded by the records that the worker
 * holds: what it has forgotten the shard says again.
 */
#ifndef LEAT_APPLY_REPEATS_H
#define LEAT_APPLY_REPEATS_H

#include "base/buf.h"
#include "record/item.h"

typedef enum leat_repeat_kind {
    LEAT_REPEAT_NOT,
    LEAT_REPEAT_SAME,
    LEAT_REPEAT_OTHER, /* it has the key of a write that says something else */
} leat_repeat_kind;

typedef struct leat_repeat {
    uint32_t partition;
    int64_t offset;
    leat_repeat_kind kind;
} leat_repeat;

typedef struct leat_repeats_seen {
    uint64_t batch; /* meaningful in that one */
    leat_write_id id;
} leat_repeats_seen;

/* Zeroed at first. */
typedef struct leat_repeats {
    bool has_keys;    /* a record with a key was read: before that nothing here is asked */
    leat_repeat *all; /* ascending by partition and offset */
    uint32_t count, capacity;
    uint64_t batch; /* number of the one that is being made */
    leat_repeats_seen *seen;
    uint32_t seen_mask; /* of its size */
    leat_buf scratch;
} leat_repeats;

void leat_repeats_fini(leat_repeats *repeats);

/* ---- what a shard has said ---- */

void leat_repeats_add(leat_repeats *repeats, uint32_t partition, int64_t offset, bool is_conflict);
void leat_repeats_remove(leat_repeats *repeats, uint32_t partition, int64_t offset);
/* All of a partition: its records are read again, perhaps by another worker. */
void leat_repeats_drop(leat_repeats *repeats, uint32_t partition);
leat_repeat_kind leat_repeats_find(const leat_repeats *repeats, uint32_t partition, int64_t offset);

/* ---- within a batch ---- */

/* Of so many records at most. */
void leat_repeats_begin(leat_repeats *repeats, uint32_t record_count);
/* Does the batch have one of that key already? It has from now on. */
leat_repeat_kind leat_repeats_see(leat_repeats *repeats, const leat_write_id *id);

#endif
