/*
 * parked_shares.c - a subpartition takes what is parked in the order of the log, so its last record
 * that a claim has found tells those that it found from those that came later.
 */
#include "apply/parked_shares.h"

leat_parked_shares *leat_parked_shares_new(uint32_t subpartitions)
{
    leat_parked_shares *shares =
        leat_must_calloc(1, sizeof *shares + subpartitions * sizeof *shares->found_to);
    shares->subpartitions = subpartitions;
    leat_parked_shares_claimed(shares, NULL, 0);
    return shares;
}

void leat_parked_shares_claimed(leat_parked_shares *shares, const leat_engine_parked *found,
                                uint32_t count)
{
    uint64_t stored = 0;
    shares->own = (leat_flood){0};
    shares->found = 0;
    for (uint32_t i = 0; i < shares->subpartitions; i++)
        shares->found_to[i] = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (found[i].subpartition >= shares->subpartitions) /* the partition is about to stop */
            continue;
        shares->found_to[found[i].subpartition] = found[i].last_offset;
        shares->found += found[i].records;
        stored += found[i].bytes;
    }
    shares->found_size = shares->found > 0 ? (double)stored / (double)shares->found : 0;
}

void leat_parked_shares_add(leat_parked_shares *shares, leat_slice tenant, uint64_t bytes)
{
    leat_flood_add(&shares->own, tenant, bytes);
}

void leat_parked_shares_take(leat_parked_shares *shares, uint32_t subpartition, int64_t offset,
                             leat_slice tenant, uint64_t bytes)
{
    LEAT_ASSERT(subpartition < shares->subpartitions);
    if (offset > shares->found_to[subpartition])
        leat_flood_take(&shares->own, tenant, bytes);
    else if (shares->found > 0)
        shares->found--;
}

void leat_parked_shares_sum(const leat_parked_shares *shares, double ratio, leat_flood *to)
{
    leat_flood_join(to, &shares->own, (double)shares->found * shares->found_size * ratio);
}
