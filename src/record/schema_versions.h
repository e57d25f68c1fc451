/*
 * schema_versions.h - what the shards' tables look like now. One thread reads the databases'
 * catalogs and publishes versions; edge and workers read them without waiting. A published version
 * never changes and lives until leat_schema_versions_free, because records in memory point into its
 * routes; a new one is published only when a table was altered, so there are few.
 *
 * Between versions a route keeps its index, name and path, and a key column its kind of value (all
 * integer types are one kind). A table whose key has changed more than that is not published: it
 * needs a restart, and a log line says so.
 */
#ifndef LEAT_RECORD_SCHEMA_VERSIONS_H
#define LEAT_RECORD_SCHEMA_VERSIONS_H

#include "record/route.h"

typedef struct leat_schema_versions leat_schema_versions;

/* The tables of one shard, in catalog order, and the routes over them. */
typedef struct leat_schema_version {
    uint32_t table_count;
    leat_table *tables; /* owned */
    leat_routes routes;
} leat_schema_version;

/* Empty; the places of routes that it does not have take no memory. */
leat_schema_version *leat_schema_version_new(void);
void leat_schema_version_free(leat_schema_version *version);
/* May `to` follow `from`? Not when a key is another: it needs a restart, after which records are
 * decoded again. */
int leat_schema_version_follows(const leat_schema_version *from, const leat_schema_version *to,
                                leat_error *error) LEAT_MUST_CHECK;

/* leat_schema_versions_request_read calls `request_read`, on any thread. */
leat_schema_versions *leat_schema_versions_new(uint32_t shard_count,
                                               void (*request_read)(void *context), void *context);
void leat_schema_versions_free(leat_schema_versions *schema_versions);

/* The newest version of a shard; at least one must have been published. Any thread. */
const leat_schema_version *leat_schema_versions_newest(const leat_schema_versions *schema_versions,
                                                       uint32_t shard);
/* When the read that gave or confirmed the newest version began (leat_mono_us); 0: it came from a
 * file. Any thread. Read it before leat_schema_versions_newest: then the version is at least that
 * new. */
int64_t leat_schema_versions_read_us(const leat_schema_versions *schema_versions, uint32_t shard);
/* Something does not fit the newest version: the catalog should be read soon. Any thread; cheap. */
void leat_schema_versions_request_read(leat_schema_versions *schema_versions);

/* Makes `version` the newest. It is owned from now on. One thread. */
void leat_schema_versions_publish(leat_schema_versions *schema_versions, uint32_t shard,
                                  leat_schema_version *version, int64_t catalog_read_us);
/* A read has found the newest version unchanged. The same thread. */
void leat_schema_versions_confirm(leat_schema_versions *schema_versions, uint32_t shard,
                                  int64_t catalog_read_us);

#endif
