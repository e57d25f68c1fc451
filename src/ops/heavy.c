/*
 * heavy.c - a table small enough to be walked: the names stand together, so a search reads four
 * cache lines.
 */
#include "ops/heavy.h"

#include <string.h>

#define NOTHING 1e-9 /* what fades below this is over: halves of halves never are */

uint32_t leat_heavy_find(const leat_heavy *heavy, uint64_t name)
{
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX; i++)
        if (heavy->names[i] == name && heavy->weights[i] > 0)
            return i;
    return LEAT_HEAVY_MAX;
}

static uint32_t lightest(const leat_heavy *heavy)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < LEAT_HEAVY_MAX; i++)
        if (heavy->weights[i] < heavy->weights[least])
            least = i;
    return least;
}

void leat_heavy_add(leat_heavy *heavy, uint64_t name, leat_slice text, double weight)
{
    LEAT_ASSERT(weight >= 0);
    if (weight <= 0)
        return;
    heavy->total += weight;
    uint32_t at = leat_heavy_find(heavy, name);
    if (at < LEAT_HEAVY_MAX) {
        heavy->weights[at] += weight;
        return;
    }
    at = lightest(heavy);
    leat_heavy_entry *entry = &heavy->entries[at];
    size_t size = text.size < LEAT_HEAVY_TEXT_MAX ? text.size : LEAT_HEAVY_TEXT_MAX;
    heavy->names[at] = name;
    entry->error = heavy->weights[at];
    heavy->weights[at] += weight;
    if (size > 0)
        memcpy(entry->text, text.data, size);
    entry->text[size] = '\0';
}

void leat_heavy_add_other(leat_heavy *heavy, double weight)
{
    LEAT_ASSERT(weight >= 0);
    heavy->total += weight;
}

void leat_heavy_take_other(leat_heavy *heavy, double weight)
{
    LEAT_ASSERT(weight >= 0);
    heavy->total = weight < heavy->total ? heavy->total - weight : 0;
}

static uint32_t least_certain(const leat_heavy *heavy)
{
    uint32_t most = 0;
    for (uint32_t i = 1; i < LEAT_HEAVY_MAX; i++)
        if (heavy->entries[i].error > heavy->entries[most].error)
            most = i;
    return most;
}

/* Whoever was forgotten has left its weight to others, as their error. */
static void take_error(leat_heavy *heavy, double weight)
{
    while (weight > 0) {
        uint32_t at = least_certain(heavy);
        double *error = &heavy->entries[at].error;
        double part = *error < weight ? *error : weight;
        if (part <= 0)
            return;
        *error -= part;
        heavy->weights[at] -= part;
        weight -= part;
    }
}

void leat_heavy_take(leat_heavy *heavy, uint64_t name, double weight)
{
    leat_heavy_take_other(heavy, weight);
    uint32_t at = leat_heavy_find(heavy, name);
    if (at == LEAT_HEAVY_MAX) {
        take_error(heavy, weight);
        return;
    }
    double left = heavy->weights[at] - weight;
    heavy->weights[at] = left > 0 ? left : 0;
    if (heavy->entries[at].error > heavy->weights[at])
        heavy->entries[at].error = heavy->weights[at];
}

void leat_heavy_fade(leat_heavy *heavy, double factor)
{
    LEAT_ASSERT(factor >= 0 && factor <= 1);
    heavy->total *= factor;
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX; i++) {
        leat_heavy_entry *entry = &heavy->entries[i];
        bool is_over = heavy->weights[i] * factor < NOTHING;
        heavy->weights[i] = is_over ? 0 : heavy->weights[i] * factor;
        entry->error = is_over ? 0 : entry->error * factor;
    }
}

uint32_t leat_heavy_largest(const leat_heavy *heavy, double share, uint32_t *ret, uint32_t max)
{
    LEAT_ASSERT(max > 0 && max <= LEAT_HEAVY_MAX);
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX; i++) {
        double certain = leat_heavy_certain(heavy, i);
        if (certain <= 0 || certain < share * heavy->total)
            continue;
        uint32_t at = count < max ? count++ : max;
        if (at == max && leat_heavy_certain(heavy, ret[--at]) >= certain)
            continue;
        for (; at > 0 && leat_heavy_certain(heavy, ret[at - 1]) < certain; at--)
            ret[at] = ret[at - 1];
        ret[at] = i;
    }
    return count;
}
