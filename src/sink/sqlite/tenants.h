/*
 * tenants.h - the explicit shards of tenants in a SQLite file. Not for use outside
 * src/sink/sqlite.
 */
#ifndef LEAT_SINK_SQLITE_TENANTS_H
#define LEAT_SINK_SQLITE_TENANTS_H

#include "record/tenant_map.h"
#include "sink/sqlite/db.h"

/* In the caller's transaction; NULL is none. */
int leat_sqlite_tenants_store(leat_sqlite *sqlite, int64_t id, const leat_tenant_map *map,
                              leat_error *error) LEAT_MUST_CHECK;
/* As of shard_ops.h. */
int leat_sqlite_tenants_read(const char *file, const char *topic, leat_tenant_map *map,
                             leat_error *error) LEAT_MUST_CHECK;

#endif
