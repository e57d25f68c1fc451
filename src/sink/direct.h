/*
 * direct.h - writes that are applied while their client waits (record/direct.h), by a small pool of
 * connections to each shard. A shard has a bounded queue, of which one row has a part, so that the
 * writes that wait for a locked row leave room. Of one row one write is under way at a
 * time, so that they keep their order. A write ends by its time limit at the latest: one that was
 * not sent by then is not applied; a sent one is ended by the server, and if even that is not heard
 * of, its outcome is unknown.
 *
 * An idempotency key is noted in the transaction of its write, as a worker notes those of the log's
 * records: so a request that is sent again is known as a repeat whichever way either of them went.
 *
 * What is only leat's own trouble (a plan gone stale, two inserts of one row at the same moment, a
 * deadlock) is tried again within that time.
 */
#ifndef LEAT_SINK_DIRECT_H
#define LEAT_SINK_DIRECT_H

#include <stdatomic.h>

#include "record/direct.h"
#include "record/schema_versions.h"
#include "sink/shard.h"

typedef struct leat_direct_shard {
    const char *name;
    leat_shard_address at;
    bool commits_async; /* of its workers: then a repeat is told once what it repeats is durable */
} leat_direct_shard;

typedef struct leat_direct_config {
    const leat_layout *layout;       /* outlives it, as all that is pointed at */
    const leat_direct_shard *shards; /* in its order; copied. PostgreSQL: leat_direct_can */
    const char *owner;               /* leat_shard_owner */
    int32_t source_id;
    const leat_placement *placement;
    leat_schema_versions *schema_versions;
    uint32_t connections;      /* to each shard, above 0 */
    uint32_t queue_max;        /* writes that wait for one, of each shard; above 0 */
    int64_t timeout_ms;        /* of a write, from its call on */
    uint64_t seed;             /* of reconnect jitter */
    _Atomic int64_t *noted_ms; /* [shards], since 1970: when the newest applied write that has an
                                  idempotency key was taken; 0: none yet. Set by the loop's thread,
                                  read by whoever has keys forgotten */
} leat_direct_config;

/* The part of a shard's queue that one row may have, and up to which a batch fills it. */
uint32_t leat_direct_part(uint32_t queue_max);

/* Can this shard take such writes? */
bool leat_direct_can(leat_shard_address at);

/* Connects at once, and again whenever it has to. NULL and a message for what can never work. */
leat_direct *leat_direct_new(uv_loop_t *loop, const leat_direct_config *config,
                             leat_standstill *standstill, const leat_direct_events *events,
                             leat_error *error);

#endif
