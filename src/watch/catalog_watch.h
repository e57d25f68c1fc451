/*
 * catalog_watch.h - keeps schema_versions current: reads every shard's tables at an interval, and
 * soon after a request. A read blocks, so each runs on libuv's thread pool; its result is compared
 * and published on the loop's thread. A shard has one read under way at a time, and a shard that
 * does not answer delays no other, as long as the pool has a thread for each.
 */
#ifndef LEAT_WATCH_CATALOG_WATCH_H
#define LEAT_WATCH_CATALOG_WATCH_H

#include <uv.h>

#include "record/schema_versions.h"

typedef struct leat_catalog_watch leat_catalog_watch;

/* Everything pointed at outlives the watch. */
typedef struct leat_catalog_watch_config {
    leat_schema_versions *schema_versions;
    uint32_t shard_count;
    const char *const *shard_names; /* [shard_count] */
    int64_t every_ms;
    void *context;
    /* Reads the shard's tables; takes a bounded time. A thread of the pool, of several shards at
     * once. */
    int (*read)(void *context, uint32_t shard, leat_table **ret_tables, uint32_t *ret_count,
                leat_error *error);
    /* Makes a version of these tables, which it takes, also when it fails (NULL). Loop's thread. */
    leat_schema_version *(*build)(void *context, leat_table *tables, uint32_t count,
                                  leat_error *error);
    /* A new version was published. Loop's thread. */
    void (*published)(void *context, uint32_t shard, const leat_schema_version *version);
} leat_catalog_watch_config;

/* The first reads begin as soon as the loop runs. A version of each shard must have been published
 * before. */
leat_catalog_watch *leat_catalog_watch_new(uv_loop_t *loop,
                                           const leat_catalog_watch_config *config);
/* Requests a read of every shard that begins after this call: one that is under way does not count.
 * It begins soon; two reads of a shard begin at least 250 ms apart. Any thread, until
 * leat_catalog_watch_stop. */
void leat_catalog_watch_request_read(leat_catalog_watch *watch);
/* Begins no further read. Loop's thread; may be called again. */
void leat_catalog_watch_stop(leat_catalog_watch *watch);
/* Stops, and frees when the loop has run, which takes as long as the reads under way. NULL: none.
 */
void leat_catalog_watch_free(leat_catalog_watch *watch);

#endif
