/*
 * mode_watch.h - what an edge whose writes may go to the database does in each shard again and
 * again: it reads which way the writes of live routes go (record/mode.h), and has idempotency keys
 * forgotten once it has noted some, as there need not be a worker. Each shard has a thread and a
 * connection that stays open, so one that does not answer delays no other.
 */
#ifndef LEAT_WATCH_MODE_WATCH_H
#define LEAT_WATCH_MODE_WATCH_H

#include <stdatomic.h>

#include "record/mode.h"
#include "sink/shard.h"

typedef struct leat_mode_watch leat_mode_watch;

/* Everything pointed at outlives the watch. */
typedef struct leat_mode_watch_config {
    leat_modes *modes; /* NULL: there are no live routes, and none are read */
    int64_t idempotency_ms;
    const _Atomic int64_t *noted_ms; /* [shard_count], as in leat_direct_config */
    uint32_t shard_count;
    const char *const *shard_names;      /* [shard_count], as the next */
    const leat_shard_address *addresses; /* copied */
    int32_t source_id;
    uint32_t route_count;
    const char *const *routes; /* their names, by index; copied */
} leat_mode_watch_config;

/* Starts the threads. NULL and a message when one cannot be started. */
leat_mode_watch *leat_mode_watch_new(const leat_mode_watch_config *config, leat_error *error);
/* Ends them; takes at most as long as one call to a shard. NULL: none. */
void leat_mode_watch_free(leat_mode_watch *watch);

#endif
