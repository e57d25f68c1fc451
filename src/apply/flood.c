/*
 * flood.c - a table of the largest: whoever is not in it takes the place of the smallest.
 */
#include "apply/flood.h"

#include <string.h>

static leat_flood_tenant *place_of(leat_flood *flood, uint64_t name, leat_slice text)
{
    leat_flood_tenant *least = &flood->tenants[0];
    for (uint32_t i = 0; i < LEAT_FLOOD_TENANTS; i++) {
        leat_flood_tenant *at = &flood->tenants[i];
        if (at->name == name && leat_slice_is(text, at->text))
            return at;
        if (at->bytes < least->bytes)
            least = at;
    }
    least->name = name;
    least->is_late = false;
    memcpy(least->text, text.data, text.size);
    least->text[text.size] = '\0';
    return least;
}

void leat_flood_add(leat_flood *flood, leat_slice tenant, uint64_t bytes)
{
    flood->has_grown = true;
    flood->bytes += bytes;
    if (tenant.size > 0 && tenant.size <= LEAT_FLOOD_TEXT_MAX)
        place_of(flood, leat_hash(tenant), tenant)->bytes += bytes;
}

void leat_flood_fade(leat_flood *flood)
{
    if (!flood->has_grown)
        return;
    flood->has_grown = false;
    flood->bytes /= 2;
    for (uint32_t i = 0; i < LEAT_FLOOD_TENANTS; i++)
        flood->tenants[i].bytes /= 2;
}

uint32_t leat_flood_loud(const leat_flood *flood, const leat_flood_tenant **ret)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAT_FLOOD_TENANTS && count < LEAT_FLOOD_LOUD_MAX; i++)
        if (flood->tenants[i].bytes > flood->bytes / 4)
            ret[count++] = &flood->tenants[i];
    return count;
}

/* Keeps the largest, in front the largest of all. */
static uint32_t put_largest(const leat_flood_tenant **ret, uint32_t count,
                            const leat_flood_tenant *tenant)
{
    uint32_t at = count < LEAT_FLOOD_LATE_MAX ? count++ : LEAT_FLOOD_LATE_MAX - 1;
    if (at == LEAT_FLOOD_LATE_MAX - 1 && ret[at] && ret[at]->bytes >= tenant->bytes)
        return count;
    for (; at > 0 && ret[at - 1]->bytes < tenant->bytes; at--)
        ret[at] = ret[at - 1];
    ret[at] = tenant;
    return count;
}

uint32_t leat_flood_late(leat_flood *flood, uint32_t parts, const leat_flood_tenant **ret)
{
    LEAT_ASSERT(parts >= 4 && parts <= 8);
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAT_FLOOD_LATE_MAX; i++)
        ret[i] = NULL;
    for (uint32_t i = 0; i < LEAT_FLOOD_TENANTS; i++) {
        leat_flood_tenant *at = &flood->tenants[i];
        uint64_t least = flood->bytes / (at->is_late ? 2 * parts : parts);
        at->is_late = at->bytes > least;
        if (at->is_late)
            count = put_largest(ret, count, at);
    }
    return count;
}

void leat_flood_not_late(leat_flood *flood)
{
    for (uint32_t i = 0; i < LEAT_FLOOD_TENANTS; i++)
        flood->tenants[i].is_late = false;
}

int64_t leat_flood_wait_s(uint64_t records, double drained_per_s)
{
    enum { LEAST = 1, MOST = 600, UNKNOWN = 60 };
    if (drained_per_s <= 0)
        return UNKNOWN;
    double wait_s = (double)records / drained_per_s;
    return wait_s >= MOST ? MOST : wait_s < LEAST ? LEAST : (int64_t)(wait_s + 0.5);
}
