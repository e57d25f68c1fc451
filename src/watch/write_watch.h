/*
 * write_watch.h - asks the shards what became of writes that somebody waits for
 * (record/write_waits.h): one question for all that wait in a shard, over a connection of its own.
 * Each shard has a thread, so one that does not answer delays no other. While nobody waits for
 * long, there is no connection.
 *
 * A shard is asked at most every 20 ms, and so seldom that its answers take at most a tenth of the
 * time, whatever an answer costs it.
 */
#ifndef LEAT_WATCH_WRITE_WATCH_H
#define LEAT_WATCH_WRITE_WATCH_H

#include "record/write_waits.h"
#include "sink/shard.h"

typedef struct leat_write_watch leat_write_watch;

/* Everything pointed at outlives the watch. */
typedef struct leat_write_watch_config {
    leat_write_waits *waits;
    uint32_t shard_count;
    const char *const *shard_names;      /* [shard_count], as the next */
    const leat_shard_address *addresses; /* copied */
    const bool *commits_async;           /* copied: batches there do not wait for the disk */
    int32_t source_id;
} leat_write_watch_config;

/* Starts the threads. NULL and a message when one cannot be started. */
leat_write_watch *leat_write_watch_new(const leat_write_watch_config *config, leat_error *error);
/* Ends them; takes at most as long as one call to a shard. NULL: none. */
void leat_write_watch_free(leat_write_watch *watch);

#endif
