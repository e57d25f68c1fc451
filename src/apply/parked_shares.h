/*
 * parked_shares.h - whose records are parked in one partition, by bytes, from a claim on: counted
 * up when a park is applied, and down when what was parked is applied, or kept in another way. So
 * it tells of what is parked now, however long ago that was. Pure; one owner.
 *
 * Bytes are those of keys and values. What a claim finds is of nobody known: its tenants are known
 * only when it is loaded, but as part of all it keeps the first tenant of which something is parked
 * from having all. It is known by its size as stored, and so counts for as many bytes as were
 * stored in that size lately.
 */
#ifndef LEAT_APPLY_PARKED_SHARES_H
#define LEAT_APPLY_PARKED_SHARES_H

#include "apply/flood.h"
#include "engine/batch.h"

typedef struct leat_parked_shares {
    leat_flood own;         /* parked under this claim */
    uint64_t found;         /* records that the claim has found and that are parked still */
    double found_size;      /* of one of them as stored, on average */
    uint32_t subpartitions; /* of the partition */
    int64_t found_to[];     /* [subpartitions]: records after that one were parked under this claim;
                               -1: all */
} leat_parked_shares;

/* Nothing is parked. By malloc. */
leat_parked_shares *leat_parked_shares_new(uint32_t subpartitions);
/* A claim has found these, and nothing else counts any longer. */
void leat_parked_shares_claimed(leat_parked_shares *shares, const leat_engine_parked *found,
                                uint32_t count);
/* A record was parked; `tenant` as in flood.h. */
void leat_parked_shares_add(leat_parked_shares *shares, leat_slice tenant, uint64_t bytes);
/* The record at this place, with the same tenant and bytes, is parked no longer. */
void leat_parked_shares_take(leat_parked_shares *shares, uint32_t subpartition, int64_t offset,
                             leat_slice tenant, uint64_t bytes);
/* Adds them to those of other partitions. `ratio`: bytes for each one that is stored. */
void leat_parked_shares_sum(const leat_parked_shares *shares, double ratio, leat_flood *to);

#endif
