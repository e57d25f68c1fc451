/*
 * tenant_map.h - tenants that have their shard by an explicit entry, instead of by their hash: so
 * that shards that exist already can be adopted as they are. Up to a million of them, in memory of
 * about 32 bytes each besides their texts.
 *
 * Tenants are in the form of a key: canonical, percent-encoded (docs/record-format.md). Filled by
 * one thread; from then on any thread may read.
 */
#ifndef LEAT_RECORD_TENANT_MAP_H
#define LEAT_RECORD_TENANT_MAP_H

#include "base/base.h"

enum { LEAT_TENANT_MAP_MAX = 1024 * 1024 };

typedef struct leat_tenant_map leat_tenant_map;

leat_tenant_map *leat_tenant_map_new(void);
void leat_tenant_map_free(leat_tenant_map *map);

/* Copies the tenant, which is not empty. 1: it is there already, and stays as it was. -1: there
 * would be more than LEAT_TENANT_MAP_MAX. */
int leat_tenant_map_add(leat_tenant_map *map, leat_slice tenant, uint32_t shard,
                        leat_error *error) LEAT_MUST_CHECK;
/* The tenant's shard; -1: it has no entry. */
int leat_tenant_map_find(const leat_tenant_map *map, leat_slice tenant);

uint32_t leat_tenant_map_count(const leat_tenant_map *map);
/* One of them, in the order in which they were added; its text is borrowed. */
leat_slice leat_tenant_map_at(const leat_tenant_map *map, uint32_t index, uint32_t *ret_shard);
/* Of all entries, in whatever order they were added: equal maps have equal digests. 0: empty. */
uint64_t leat_tenant_map_digest(const leat_tenant_map *map);

#endif
