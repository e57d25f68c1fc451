/*
 * Which partition a key belongs to. Tenants are hashed onto slots and slots belong to shards,
 * unless a tenant has an entry of its own, so that all of a tenant's rows are in one shard; within
 * the shard the upper half of the key's hash chooses the partition. docs/record-format.md promises
 * this to producers other than leat, so none of it may change for a topic that exists.
 */
#include "record/route.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(LEAT_SHARDS_MAX <= UINT8_MAX + 1, "a tenant slot names its shard in one byte");

void leat_layout_even(leat_layout *layout, uint32_t partition_count, uint32_t shard_count,
                      const char *const *names)
{
    LEAT_ASSERT(shard_count > 0 && shard_count <= LEAT_SHARDS_MAX &&
                partition_count >= shard_count);
    memset(layout, 0, sizeof *layout);
    layout->partition_count = partition_count;
    layout->shard_count = shard_count;
    for (uint32_t i = 0; i < shard_count; i++) {
        uint32_t first = (uint32_t)((uint64_t)i * partition_count / shard_count);
        uint32_t end = (uint32_t)((uint64_t)(i + 1) * partition_count / shard_count);
        LEAT_ASSERT(strlen(names[i]) <= LEAT_NAME_MAX);
        snprintf(layout->shards[i].name, sizeof layout->shards[i].name, "%s", names[i]);
        layout->shards[i].first = first;
        layout->shards[i].count = end - first;
    }
    /* Contiguous ranges, not slot % shards: where the tenant alone is the key, slot and
     * subpartition come from the same low bits of one hash, and a shard would then use only some of
     * its subpartitions. */
    for (uint32_t slot = 0; slot < LEAT_TENANT_SLOTS; slot++)
        layout->tenant_slots[slot] = (uint8_t)((uint64_t)slot * shard_count / LEAT_TENANT_SLOTS);
}

uint32_t leat_layout_shard_of_partition(const leat_layout *layout, uint32_t partition)
{
    LEAT_ASSERT(partition < layout->partition_count);
    uint32_t shard = 0;
    while (shard < layout->shard_count &&
           partition - layout->shards[shard].first >= layout->shards[shard].count)
        shard++;
    LEAT_ASSERT(shard < layout->shard_count);
    return shard;
}

static leat_slice key_part(leat_slice canonical, uint32_t position)
{
    const char *at = canonical.data;
    const char *end = at + canonical.size;
    for (uint32_t i = 0; i < position; i++) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        LEAT_ASSERT(slash);
        at = slash + 1;
    }
    const char *slash = memchr(at, '/', (size_t)(end - at));
    return (leat_slice){at, (size_t)((slash ? slash : end) - at)};
}

leat_slice leat_route_tenant(const leat_route *route, leat_slice canonical)
{
    return route->tenant_key_position < 0
               ? (leat_slice){0}
               : key_part(canonical, (uint32_t)route->tenant_key_position);
}

leat_slice leat_route_row(const leat_route *route, leat_slice canonical)
{
    if (!route->tenant_leads)
        return canonical;
    size_t tenant = key_part(canonical, 0).size;
    LEAT_ASSERT(tenant < canonical.size);
    return (leat_slice){canonical.data + tenant + 1, canonical.size - tenant - 1};
}

void leat_layout_take_tenants(leat_layout *layout, const leat_tenant_map *tenants)
{
    layout->tenants = tenants;
    layout->tenant_count = tenants ? leat_tenant_map_count(tenants) : 0;
    layout->tenant_digest = tenants ? leat_tenant_map_digest(tenants) : 0;
}

uint32_t leat_layout_shard_of_tenant(const leat_layout *layout, leat_slice tenant)
{
    LEAT_ASSERT(layout->tenant_count == 0 || layout->tenants);
    int entry = layout->tenants ? leat_tenant_map_find(layout->tenants, tenant) : -1;
    uint32_t shard = entry >= 0 ? (uint32_t)entry
                                : layout->tenant_slots[leat_hash(tenant) % LEAT_TENANT_SLOTS];
    LEAT_ASSERT(shard < layout->shard_count);
    return shard;
}

uint32_t leat_layout_shard_of_canonical(const leat_layout *layout, const leat_route *route,
                                        leat_slice canonical)
{
    if (route->tenant_key_position < 0)
        return 0;
    return leat_layout_shard_of_tenant(layout, leat_route_tenant(route, canonical));
}

uint32_t leat_layout_shard_of_key(const leat_layout *layout, const leat_route *route,
                                  const leat_key *key)
{
    return leat_layout_shard_of_canonical(layout, route,
                                          (leat_slice){key->canonical, key->canonical_size});
}

uint32_t leat_layout_partition_of_key(const leat_layout *layout, const leat_route *route,
                                      const leat_key *key)
{
    uint32_t shard = leat_layout_shard_of_key(layout, route, key);
    return layout->shards[shard].first + (uint32_t)(key->hash >> 32) % layout->shards[shard].count;
}
