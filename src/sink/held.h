/*
 * held.h - held keys of a shard, for people: what is held, and an end to it. A held key's records
 * are kept apart, in the order of the log, until the first of them can be applied (docs/design/
 * progress.md). Blocking, like shard.h, and under its terms; what is done here needs no claim, may
 * be done beside workers, and may be stopped at any point: each step is a transaction.
 */
#ifndef LEAT_SINK_HELD_H
#define LEAT_SINK_HELD_H

#include "engine/batch.h"
#include "record/item.h"
#include "sink/shard.h"

enum { LEAT_HELD_STEP_RECORDS = 1000, LEAT_HELD_STEP_BYTES = 1024 * 1024 };

/* A row of leat.held, and the sum of its records. Texts are owned. */
typedef struct leat_shard_held_key {
    int32_t source; /* leat.sources.id */
    uint32_t partition;
    int64_t hash;
    char *table; /* with its schema */
    char *key;   /* bytes in the form of the log's keys, followed by a NUL */
    size_t key_size;
    int64_t since_us; /* since 1970; as `since`, RFC 3339, UTC */
    char *since;
    char *at;       /* of the last refusal */
    uint32_t tries; /* again, since it is held */
    char *sqlstate; /* of the last refusal; NULL: leat itself could not make sense of the record */
    char *message;  /* "", as then `sqlstate` is: its first record has not been refused yet, but one
                       before it that is done with */
    int64_t records;
    int64_t first_offset; /* of them; -1: there are none */
    int64_t bytes;        /* as stored */
} leat_shard_held_key;

typedef struct leat_held_keys {
    uint32_t count;
    leat_shard_held_key *keys;
} leat_held_keys;

/* Which of them. */
typedef struct leat_held_query {
    const char *topic;
    const leat_table *table; /* NULL: any, and any key */
    leat_slice key;          /* canonical */
    uint32_t limit;          /* the oldest */
} leat_held_query;

/* The oldest first. */
int leat_shard_held_keys(leat_shard_address at, const leat_held_query *query, leat_held_keys *ret,
                         leat_error *error) LEAT_MUST_CHECK;
void leat_held_keys_fini(leat_held_keys *keys);

typedef struct leat_held_work {
    const leat_shard_held_key *key;
    const leat_routes *routes; /* of this shard's tables, as they are now */
    const leat_placement *placement;
    bool discard;  /* its records become dead letters instead of being applied */
    uint32_t most; /* of its records, the first ones; 0: all, and then the key is let go */
} leat_held_work;

/* What has become of it, also after an error. */
typedef struct leat_held_result {
    uint64_t done; /* records that were applied, or are dead letters now */
    bool is_held;  /* still */
    bool refused;  /* its first record is not taken; the rest is about that, and is kept with it */
    int64_t refused_offset;
    leat_engine_reason reason;
} leat_held_result;

/* Takes records from the first on, as far as the database takes them. 0: also when one was refused;
 * -1: it could not be tried. */
int leat_shard_end_hold(leat_shard_address at, const leat_held_work *work, leat_held_result *ret,
                        leat_error *error) LEAT_MUST_CHECK;

#endif
