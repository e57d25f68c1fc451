/*
 * source.h - the source stored in a PostgreSQL database, shared by its reading (source.c) and its
 * set-up (source_init.c). In the caller's transaction. Not for use elsewhere.
 */
#ifndef LEAT_SINK_PG_SOURCE_H
#define LEAT_SINK_PG_SOURCE_H

#include "record/catalog.h"
#include "sink/pg/blocking.h"

/* 0 found, 1 not found, -1 error. */
int leat_pg_source_query(leat_pg *pg, const char *topic, leat_source *ret_source,
                         leat_layout *ret_layout, leat_error *error);
/* The version of schema leat. 0 it is there, 1 it is not, -1 error. */
int leat_pg_source_version(leat_pg *pg, int64_t *ret, leat_error *error);
/* -1: the schema is of a newer version than this program. */
int leat_pg_source_refuse_newer(const leat_pg *pg, int64_t version, leat_error *error);

/* The tenants of the map, for a source that was just stored; NULL is none. */
int leat_pg_tenants_store(leat_pg *pg, const char *id, const leat_tenant_map *map,
                          leat_error *error);

/* The operations of sink/shard_ops.h. */
int leat_pg_tenants_read(const char *dsn, const char *topic, leat_tenant_map *map,
                         leat_error *error);
int leat_pg_source_init(const char *dsn, leat_source *source, const leat_layout *layout,
                        uint32_t shard, const int64_t *starts, leat_error *error);
int leat_pg_source_rehearse(const char *dsn, leat_source *source, const leat_layout *layout,
                            uint32_t shard, const int64_t *starts, leat_error *error);

#endif
