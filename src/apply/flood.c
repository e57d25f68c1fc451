/*
 * flood.c - tenants are told apart by a hash of their whole text, and shown by the name that edges
 * know them by.
 */
#include "apply/flood.h"

#include <string.h>

#include "record/controls.h"

_Static_assert((int)LEAT_FLOOD_NAME_SIZE <= (int)LEAT_HEAVY_TEXT_MAX + 1, "a name is kept whole");

void leat_flood_add(leat_flood *flood, leat_slice tenant, uint64_t bytes)
{
    char room[LEAT_FLOOD_NAME_SIZE];
    leat_heavy *heavy = &flood->bytes;
    flood->has_grown = true;
    if (tenant.size == 0) {
        leat_heavy_add_other(heavy, (double)bytes);
        return;
    }
    uint64_t hash = leat_hash(tenant);
    bool was_known = leat_heavy_find(heavy, hash) < LEAT_HEAVY_MAX;
    leat_heavy_add(heavy, hash, leat_flood_name(tenant, room), (double)bytes);
    uint32_t at = leat_heavy_find(heavy, hash);
    if (!was_known && at < LEAT_HEAVY_MAX)
        flood->is_late[at] = false;
}

void leat_flood_take(leat_flood *flood, leat_slice tenant, uint64_t bytes)
{
    if (tenant.size == 0)
        leat_heavy_take_other(&flood->bytes, (double)bytes);
    else
        leat_heavy_take(&flood->bytes, leat_hash(tenant), (double)bytes);
}

void leat_flood_join(leat_flood *flood, const leat_flood *more, double other)
{
    const leat_heavy *from = &more->bytes;
    double known = 0;
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX; i++) {
        double certain = leat_heavy_certain(from, i);
        if (certain <= 0)
            continue;
        leat_heavy_add(&flood->bytes, from->names[i], leat_slice_of(from->entries[i].text),
                       certain);
        known += certain;
    }
    leat_heavy_add_other(&flood->bytes, other + (from->total > known ? from->total - known : 0));
}

void leat_flood_fade(leat_flood *flood)
{
    if (!flood->has_grown)
        return;
    flood->has_grown = false;
    leat_heavy_fade(&flood->bytes, 0.5);
}

/* Keeps the largest, in front the largest of all. */
static uint32_t put_largest(leat_flood_tenant *ret, uint32_t count, uint32_t max,
                            const leat_flood_tenant *tenant)
{
    if (count == max && ret[max - 1].bytes >= tenant->bytes)
        return count;
    uint32_t at = count < max ? count++ : max - 1;
    for (; at > 0 && ret[at - 1].bytes < tenant->bytes; at--)
        ret[at] = ret[at - 1];
    ret[at] = *tenant;
    return count;
}

static leat_flood_tenant tenant_at(const leat_flood *flood, uint32_t at)
{
    return (leat_flood_tenant){.name = flood->bytes.entries[at].text,
                               .bytes = leat_heavy_certain(&flood->bytes, at)};
}

uint32_t leat_flood_loud(const leat_flood *flood, leat_flood_tenant *ret)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX; i++) {
        leat_flood_tenant tenant = tenant_at(flood, i);
        if (tenant.bytes > flood->bytes.total / 4)
            count = put_largest(ret, count, LEAT_FLOOD_LOUD_MAX, &tenant);
    }
    return count;
}

uint32_t leat_flood_late(leat_flood *flood, uint32_t parts, leat_flood_tenant *ret)
{
    LEAT_ASSERT(parts >= 4 && parts <= 8);
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX; i++) {
        leat_flood_tenant tenant = tenant_at(flood, i);
        double least = flood->bytes.total / (flood->is_late[i] ? 2 * parts : parts);
        flood->is_late[i] = tenant.bytes > least;
        if (flood->is_late[i])
            count = put_largest(ret, count, LEAT_FLOOD_LATE_MAX, &tenant);
    }
    return count;
}

void leat_flood_not_late(leat_flood *flood)
{
    memset(flood->is_late, 0, sizeof flood->is_late);
}

int64_t leat_flood_wait_s(uint64_t records, double drained_per_s)
{
    enum { LEAST = 1, MOST = 600, UNKNOWN = 60 };
    if (drained_per_s <= 0)
        return UNKNOWN;
    double wait_s = (double)records / drained_per_s;
    return wait_s >= MOST ? MOST : wait_s < LEAST ? LEAST : (int64_t)(wait_s + 0.5);
}
