/*
 * ready.h - a shard's subpartitions that could run now, kept so that the next one to run is found
 * at once. Each belongs to the tenant of its head (tenants.h), where it is sorted by depth (lists
 * by floor(log2(records))) and by the age of its head (a heap). Apart from these are those that
 * must run alone: because they are blocked (retry.h), because they may end their session
 * (narrow.h), or for any other reason.
 */
#ifndef LEAT_ENGINE_READY_H
#define LEAT_ENGINE_READY_H

#include "engine/queues.h"
#include "engine/tenants.h"

enum {
    LEAT_READY_ALONE = LEAT_TENANT_DEPTHS,
    LEAT_READY_BLOCKED,
    LEAT_READY_TRIAL,
    LEAT_READY_UNPARK,    /* runs loaded records, which no other queue may share a batch with */
    LEAT_READY_APART = 4, /* lists, of these four */
};

typedef struct leat_ready {
    leat_tenants tenants;
    uint32_t head[LEAT_READY_APART];
    uint32_t tail[LEAT_READY_APART];
    leat_pairing_node *ages; /* of all queues; keys are the read_us of their heads */
    uint32_t count;
} leat_ready;

/* `tenants` is initialised by the caller; `ages` may be shared with other shards, whose queues are
 * others. */
void leat_ready_init(leat_ready *ready, leat_pairing_node *ages);
/* `queues` is the engine's array, `id` an index into it; `head` is the queue's. */
void leat_ready_add(leat_ready *ready, leat_queue *queues, uint32_t id,
                    const leat_record_slot *head, int64_t now_us);
void leat_ready_remove(leat_ready *ready, leat_queue *queues, uint32_t id, int64_t now_us);
/* A record was pushed to a queue that is in. */
void leat_ready_deepened(leat_ready *ready, leat_queue *queues, uint32_t id);
/* The tenant's next to run, which has one that may share a batch: one whose head was read before
 * `overdue_us`, oldest first, else one of the deepest. It stays in. */
uint32_t leat_ready_first(const leat_ready *ready, uint32_t tenant, int64_t overdue_us);
/* The one that has waited longest for a batch of its own, for no other reason than those below
 * have. LEAT_INDEX_NONE: none. It stays in. */
uint32_t leat_ready_first_alone(const leat_ready *ready);
/* The blocked one that has waited longest. LEAT_INDEX_NONE: none. It stays in. */
uint32_t leat_ready_first_blocked(const leat_ready *ready);
/* One that runs loaded records, the one that has waited longest. LEAT_INDEX_NONE: none. It stays
 * in. */
uint32_t leat_ready_first_unpark(const leat_ready *ready);
/* One under trial. LEAT_INDEX_NONE: none. It stays in. */
uint32_t leat_ready_any_trial(const leat_ready *ready);
/* Is one of them parked? */
bool leat_ready_is_trial_parked(const leat_ready *ready, const leat_queue *queues);
/* The one to try next of those under trial: the one that has ended the fewest sessions in a row, so
 * that innocent ones pass before those that have failed again; of several the one that has waited
 * longest. LEAT_INDEX_NONE: none. It stays in. Linear in how many there are. */
uint32_t leat_ready_first_trial(const leat_ready *ready, const leat_queue *queues);
void leat_ready_validate(const leat_ready *ready, const leat_queue *queues);

#endif
