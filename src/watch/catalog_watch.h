/*
 * catalog_watch.h - keeps a schema_versions true: looks at every shard's tables now and then, and
 * soon after somebody asks. A look blocks, so each runs on libuv's thread pool; what it found is
 * judged and published on the loop's thread. One look a shard is under way at a time and a shard
 * that does not answer delays no other, as long as the pool has a thread for each.
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

/* The first looks begin as soon as the loop runs. A version of each shard must be published
 * before. */
leat_catalog_watch *leat_catalog_watch_new(uv_loop_t *loop,
                                           const leat_catalog_watch_config *config);
/* A look at every shard that begins after this call, soon: one that is under way does not count,
 * and between two begins of a shard's looks there are 250 ms. Any thread, until
 * leat_catalog_watch_stop. */
void leat_catalog_watch_ask(leat_catalog_watch *watch);
/* Begins no further look. Loop's thread, more than once. */
void leat_catalog_watch_stop(leat_catalog_watch *watch);
/* Stops. What it has is freed when the loop has run, which takes as long as the looks under way. */
void leat_catalog_watch_free(leat_catalog_watch *watch);

#endif
