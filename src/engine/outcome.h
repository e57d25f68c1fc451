/*
 * outcome.h - what came of a batch, for one of its queues.
 */
#ifndef LEAT_ENGINE_OUTCOME_H
#define LEAT_ENGINE_OUTCOME_H

#include "base/backoff.h"
#include "engine/state.h"

/* Jittered, for the n-th failure in a row. */
static inline int64_t leat_jobs_backoff_us(leat_engine *engine, uint32_t n)
{
    return leat_backoff(&engine->prng, n, engine->config.retry_min_us, engine->config.retry_max_us);
}

/* What helps others has one part of a shard's time: parks, and an owner's retries. */
enum { LEAT_JOBS_TIME_PARTS = 4 };
/* Such a job is over. With fewer connections than parts it is followed by a rest: the next one may
 * begin then. */
static inline void leat_jobs_rest(const leat_engine *engine, const leat_shard *shard,
                                  const leat_job_slot *slot, int64_t *after_us)
{
    if (shard->slots > 0 && shard->slots < LEAT_JOBS_TIME_PARTS)
        *after_us = engine->now_us + (engine->now_us - slot->since_us) *
                                         (LEAT_JOBS_TIME_PARTS - shard->slots) / shard->slots;
}

/* The queue is no longer in flight; it is quiet, and its records are held. */
void leat_queue_landed(leat_partition *partition, leat_queue *queue);
/* The subpartition at `index` of the part was applied, or its record kept as a dead letter. */
void leat_queue_applied(leat_engine *engine, leat_partition *partition, leat_job_slot *slot,
                        const leat_engine_batch_part *part, uint32_t index);
/* The batch failed with an ERROR (contention, outage or a refusal). */
void leat_queue_failed(leat_engine *engine, leat_job_slot *slot, const leat_engine_batch_part *part,
                       uint32_t index, const leat_engine_job_result *result);

#endif
