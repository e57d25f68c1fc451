/*
 * placement.c - a window is drawn by hashing the tenant with the seeds 1, 2, 3 and so on, and
 * passing over numbers that were drawn before. Any library of XXH3 can do that, and windows of two
 * tenants share what chance makes them share, instead of long runs. Seed 0 is not used: it places
 * keys and tenants already, and where the tenant is the whole key its window would follow from the
 * same bits as the place in it.
 */
#include "base/placement.h"

#include <string.h>

bool leat_placement_is_valid(const leat_placement *placement)
{
    uint32_t count = placement->subpartitions, window = placement->tenant_window;
    if (count == 0 || count > LEAT_SUBPARTITIONS_MAX || placement->tenant_position < -1)
        return false;
    if (placement->version == 1)
        return window == 0 && placement->tenant_position == -1;
    return placement->version == 2 && window <= count / LEAT_TENANT_WINDOW_PART &&
           (window > 0) == (placement->tenant_position >= 0);
}

/* A key that has too few parts is its own tenant. */
static leat_slice tenant_in(leat_slice key, uint32_t position)
{
    const char *at = key.data;
    const char *end = at + key.size;
    const char *slash = key.size > 0 ? memchr(at, '/', key.size) : NULL;
    for (; position > 0 && slash; position--) {
        at = slash + 1;
        slash = memchr(at, '/', (size_t)(end - at));
    }
    if (position > 0)
        return key;
    return (leat_slice){at, (size_t)((slash ? slash : end) - at)};
}

/* As the remainder; most counts are powers of two, and a division takes as long as the hash. */
static uint32_t below(uint64_t hash, uint32_t count)
{
    return (uint32_t)((count & (count - 1)) == 0 ? hash & (count - 1) : hash % count);
}

static bool has(const uint16_t *drawn, uint32_t count, uint16_t number)
{
    for (uint32_t i = 0; i < count; i++)
        if (drawn[i] == number)
            return true;
    return false;
}

/* The first `count` of the window. */
static void draw(const leat_placement *placement, leat_slice tenant, uint32_t count, uint16_t *ret)
{
    LEAT_ASSERT(count <= placement->tenant_window && leat_placement_is_valid(placement));
    uint32_t drawn = 0;
    for (uint64_t seed = 1; drawn < count; seed++) {
        uint16_t number = (uint16_t)below(leat_hash_seeded(tenant, seed), placement->subpartitions);
        if (!has(ret, drawn, number))
            ret[drawn++] = number;
    }
}

void leat_placement_window(const leat_placement *placement, leat_slice tenant,
                           uint16_t ret[LEAT_TENANT_WINDOW_MAX])
{
    draw(placement, tenant, placement->tenant_window, ret);
}

uint32_t leat_placement_subpartition(const leat_placement *placement, leat_slice key, uint64_t hash)
{
    LEAT_ASSERT(placement->subpartitions > 0);
    if (placement->tenant_window == 0)
        return below(hash, placement->subpartitions);
    uint16_t drawn[LEAT_TENANT_WINDOW_MAX];
    uint32_t number = below(hash, placement->tenant_window);
    draw(placement, tenant_in(key, (uint32_t)placement->tenant_position), number + 1, drawn);
    return drawn[number];
}
