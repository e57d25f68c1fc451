/*
 * fair.h - whose records a shard's next shared batch has, and how many. tenants.h says who is next,
 * cost.h what it costs, bill.h who pays; here are the rules that put a batch together:
 *
 *   - it is filled up to an estimated time, not to a number of records: 250 ms, or 50 ms where the
 *     shard has one connection, on which everybody waits for it;
 *   - it holds only tenants whose records cost about the same. Else the batches of all would take
 *     as long as those of the most expensive one. When there are no more of these, others fill it
 *     up as long as it is short: its records take no longer than its fixed part;
 *   - batches that are slow, by their estimate, have at most half of the shard's slots, so that
 *     others always find one;
 *   - there are at most so many at once as the database can do (concurrency.h).
 *
 * Where there is only one tenant, or none, there is nobody to be fair to: then batches are as large
 * as they may be and are not limited in number but by the last rule.
 *
 * Fairness begins with what is held in memory: records are read in the order of the log, whoever
 * sent them.
 */
#ifndef LEAT_ENGINE_FAIR_H
#define LEAT_ENGINE_FAIR_H

#include "engine/state.h"

/* The tenant that the shard's next shared batch begins with. LEAT_PAIRING_NONE: none may run
 * now. */
uint32_t leat_fair_lead(const leat_shard *shard);
/* Puts a shared batch together; leat_fair_lead has named its first tenant. */
void leat_fair_choose(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t lead);
/* The queue whose loaded records run next: of those that have waited longest the one whose tenant
 * is furthest behind, unless a shared batch has one that is further behind. LEAT_INDEX_NONE: none
 * may run now. */
uint32_t leat_fair_unpark(const leat_engine *engine, const leat_shard *shard);
/* At most so many of the queue's records, up to `most`, in a batch of its own. */
uint32_t leat_fair_most(const leat_engine *engine, const leat_shard *shard, const leat_queue *queue,
                        uint32_t most);
/* A batch that is not shared: so many records from slot `at` of the pool on are charged. */
void leat_fair_charge(leat_engine *engine, leat_job_slot *slot, leat_shard *shard, uint32_t at,
                      uint32_t records);
/* The batch is done. */
void leat_fair_done(leat_engine *engine, leat_job_slot *slot, const leat_engine_job_result *result);

#endif
