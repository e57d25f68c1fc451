/*
 * budgets.h - how much each shard and partition may hold: backpressure's arithmetic.
 *
 * Records and bytes are bounded in all; one shard gets half of each at most when there are several,
 * so a dead one never takes more. When there are several partitions, one gets at most as much as is
 * left free (a dynamic threshold, as in network switches): k partitions that are stuck leave
 * 1/(k+1) of the room to the others, so nobody starves, and a partition that is alone still gets
 * half.
 *
 * A record is always admitted when nothing at all is held, however big: otherwise it could never
 * pass.
 */
#ifndef LEAT_ENGINE_BUDGETS_H
#define LEAT_ENGINE_BUDGETS_H

#include "base/base.h"

typedef struct leat_holding {
    uint64_t bytes;
    uint32_t records;
} leat_holding;

typedef struct leat_budgets {
    leat_holding max;
    leat_holding shard_max;
    bool shared; /* among several partitions */
    leat_holding total;
} leat_budgets;

void leat_budgets_init(leat_budgets *budgets, leat_holding max, uint32_t shard_count,
                       uint32_t partition_count);
/* How many records of `bytes` may come in for this shard and partition, one after the other,
 * counted up to two: 1 means that this one fits and the next would not. */
uint32_t leat_budgets_admit(const leat_budgets *budgets, const leat_holding *shard,
                            const leat_holding *partition, uint32_t bytes);
/* Does one fit, and is the partition down to half of its share? For resuming without flutter. */
bool leat_budgets_roomy(const leat_budgets *budgets, const leat_holding *shard,
                        const leat_holding *partition, uint32_t bytes);
/* What may come in for this shard and partition. */
leat_holding leat_budgets_room(const leat_budgets *budgets, const leat_holding *shard,
                               const leat_holding *partition);
/* What one partition may hold while no other holds anything. */
leat_holding leat_budgets_alone(const leat_budgets *budgets);
void leat_budgets_add(leat_budgets *budgets, leat_holding *shard, leat_holding *partition,
                      uint32_t bytes);
void leat_budgets_remove(leat_budgets *budgets, leat_holding *shard, leat_holding *partition,
                         uint32_t records, uint64_t bytes);

#endif
