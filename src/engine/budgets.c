/*
 * budgets.c - three sums (all, shard, partition) and the room below their limits. A partition is
 * compared with the free room, which shrinks as others fill up, so nobody needs to know how many of
 * them are stuck. Admission counts to two, because the caller pauses a partition before a record is
 * refused: a record that was refused must be kept and offered again.
 */
#include "engine/budgets.h"

void leat_budgets_init(leat_budgets *budgets, leat_holding max, uint32_t shard_count,
                       uint32_t partition_count)
{
    LEAT_ASSERT(max.records > 0 && max.bytes > 0);
    *budgets = (leat_budgets){.max = max, .shard_max = max, .shared = partition_count > 1};
    if (shard_count > 1)
        budgets->shard_max = (leat_holding){(max.bytes + 1) / 2, (max.records + 1) / 2};
}

static uint64_t left(uint64_t max, uint64_t used)
{
    return used < max ? max - used : 0;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t records_left(const leat_budgets *budgets, const leat_holding *shard)
{
    return lesser(left(budgets->max.records, budgets->total.records),
                  left(budgets->shard_max.records, shard->records));
}

static uint64_t bytes_left(const leat_budgets *budgets, const leat_holding *shard)
{
    return lesser(left(budgets->max.bytes, budgets->total.bytes),
                  left(budgets->shard_max.bytes, shard->bytes));
}

leat_holding leat_budgets_room(const leat_budgets *budgets, const leat_holding *shard,
                               const leat_holding *partition)
{
    leat_holding held = budgets->shared ? *partition : (leat_holding){0};
    return (leat_holding){.bytes = left(bytes_left(budgets, shard), held.bytes),
                          .records = (uint32_t)left(records_left(budgets, shard), held.records)};
}

leat_holding leat_budgets_alone(const leat_budgets *budgets)
{
    leat_holding all = budgets->shard_max;
    return budgets->shared ? (leat_holding){all.bytes / 2, all.records / 2} : all;
}

uint32_t leat_budgets_admit(const leat_budgets *budgets, const leat_holding *shard,
                            const leat_holding *partition, uint32_t bytes)
{
    uint64_t records = records_left(budgets, shard);
    uint64_t room = bytes_left(budgets, shard);
    uint64_t held = budgets->shared ? partition->records : 0;
    uint64_t held_bytes = budgets->shared ? partition->bytes : 0;
    bool fits = held + 1 <= records && held_bytes + bytes <= room;
    if (!fits && budgets->total.records > 0)
        return 0;
    uint32_t grown = budgets->shared ? 1 : 0;
    bool next_fits = held + grown + 2 <= records &&
                     held_bytes + (grown + UINT64_C(2)) * bytes <= room;
    return next_fits ? 2 : 1;
}

bool leat_budgets_roomy(const leat_budgets *budgets, const leat_holding *shard,
                        const leat_holding *partition, uint32_t bytes)
{
    if (leat_budgets_admit(budgets, shard, partition, bytes) == 0)
        return false;
    uint64_t records = records_left(budgets, shard);
    uint64_t room = bytes_left(budgets, shard);
    if (budgets->shared)
        return 2 * (uint64_t)partition->records <= records && 2 * partition->bytes <= room;
    return partition->records <= records && partition->bytes <= room;
}

void leat_budgets_add(leat_budgets *budgets, leat_holding *shard, leat_holding *partition,
                      uint32_t bytes)
{
    budgets->total.records++;
    budgets->total.bytes += bytes;
    shard->records++;
    shard->bytes += bytes;
    partition->records++;
    partition->bytes += bytes;
}

void leat_budgets_remove(leat_budgets *budgets, leat_holding *shard, leat_holding *partition,
                         uint32_t records, uint64_t bytes)
{
    leat_holding *all[] = {&budgets->total, shard, partition};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        LEAT_ASSERT(all[i]->records >= records && all[i]->bytes >= bytes);
        all[i]->records -= records;
        all[i]->bytes -= bytes;
    }
}
