/*
 * A table of hashes with open addressing, beside an array of the entries in their order and one
 * buffer of all texts. It is filled once, at the start, so it only grows. The digest is a sum,
 * since a database gives its rows in another order than a file has its lines.
 */
#include "record/tenant_map.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 64, NO_ENTRY = UINT32_MAX };

typedef struct map_entry {
    uint64_t hash;
    uint64_t at; /* its text, in `texts` */
    uint32_t size;
    uint32_t shard;
} map_entry;

struct leat_tenant_map {
    map_entry *entries;
    uint32_t count;
    uint32_t *slots; /* of entries; at most half are in use */
    uint32_t slot_mask;
    char *texts;
    size_t texts_size, texts_capacity;
    uint64_t digest;
};

static void *must_realloc(void *memory, size_t size)
{
    void *ret = realloc(memory, size);
    LEAT_ASSERT(ret);
    return ret;
}

static uint32_t *new_slots(uint32_t count)
{
    uint32_t *slots = leat_must_calloc(count, sizeof *slots);
    memset(slots, 0xff, count * sizeof *slots);
    return slots;
}

leat_tenant_map *leat_tenant_map_new(void)
{
    leat_tenant_map *map = leat_must_calloc(1, sizeof *map);
    map->entries = leat_must_calloc(SLOTS_MIN / 2, sizeof *map->entries);
    map->slots = new_slots(SLOTS_MIN);
    map->slot_mask = SLOTS_MIN - 1;
    return map;
}

void leat_tenant_map_free(leat_tenant_map *map)
{
    if (!map)
        return;
    free(map->entries);
    free(map->slots);
    free(map->texts);
    free(map);
}

static leat_slice text_of(const leat_tenant_map *map, const map_entry *entry)
{
    return (leat_slice){map->texts + entry->at, entry->size};
}

/* The slot of the tenant, or the empty one where it would be. */
static uint32_t find_slot(const leat_tenant_map *map, leat_slice tenant, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & map->slot_mask;
    for (;; at = (at + 1) & map->slot_mask) {
        if (map->slots[at] == NO_ENTRY)
            return at;
        const map_entry *entry = &map->entries[map->slots[at]];
        if (entry->hash == hash && leat_slice_equal(text_of(map, entry), tenant))
            return at;
    }
}

static void grow_slots(leat_tenant_map *map)
{
    uint32_t count = 2 * (map->slot_mask + 1);
    map->entries = must_realloc(map->entries, (size_t)(count / 2) * sizeof *map->entries);
    free(map->slots);
    map->slots = new_slots(count);
    map->slot_mask = count - 1;
    for (uint32_t i = 0; i < map->count; i++) {
        uint32_t at = (uint32_t)map->entries[i].hash & map->slot_mask;
        while (map->slots[at] != NO_ENTRY)
            at = (at + 1) & map->slot_mask;
        map->slots[at] = i;
    }
}

static size_t keep_text(leat_tenant_map *map, leat_slice tenant)
{
    size_t at = map->texts_size;
    if (map->texts_capacity - at < tenant.size) {
        map->texts_capacity = 2 * map->texts_capacity + tenant.size + 4096;
        map->texts = must_realloc(map->texts, map->texts_capacity);
    }
    memcpy(map->texts + at, tenant.data, tenant.size);
    map->texts_size += tenant.size;
    return at;
}

int leat_tenant_map_add(leat_tenant_map *map, leat_slice tenant, uint32_t shard, leat_error *error)
{
    LEAT_ASSERT(tenant.size > 0 && map->count <= LEAT_TENANT_MAP_MAX);
    uint64_t hash = leat_hash(tenant);
    if (map->slots[find_slot(map, tenant, hash)] != NO_ENTRY)
        return 1;
    if (map->count == LEAT_TENANT_MAP_MAX)
        return leat_fail(error, "more than %d tenants", LEAT_TENANT_MAP_MAX);
    if (map->count == (map->slot_mask + 1) / 2)
        grow_slots(map);
    map->slots[find_slot(map, tenant, hash)] = map->count;
    map->entries[map->count++] =
        (map_entry){hash, keep_text(map, tenant), (uint32_t)tenant.size, shard};
    map->digest += leat_hash_seeded(tenant, shard + 1);
    return 0;
}

int leat_tenant_map_find(const leat_tenant_map *map, leat_slice tenant)
{
    uint32_t entry = map->slots[find_slot(map, tenant, leat_hash(tenant))];
    return entry == NO_ENTRY ? -1 : (int)map->entries[entry].shard;
}

uint32_t leat_tenant_map_count(const leat_tenant_map *map)
{
    return map->count;
}

leat_slice leat_tenant_map_at(const leat_tenant_map *map, uint32_t index, uint32_t *ret_shard)
{
    LEAT_ASSERT(index < map->count);
    *ret_shard = map->entries[index].shard;
    return text_of(map, &map->entries[index]);
}

uint64_t leat_tenant_map_digest(const leat_tenant_map *map)
{
    return map->digest;
}
