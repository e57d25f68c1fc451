/*
 * key_retry.h - the owner's own retries of held keys.
 */
#ifndef LEAT_ENGINE_KEY_RETRY_H
#define LEAT_ENGINE_KEY_RETRY_H

#include "engine/state.h"

/* Something has changed about the partition's held keys, or it is claimed: looks when the next is
 * due. */
void leat_key_retry_plan(leat_engine *engine, leat_partition *partition);
/* LEAT_TIMER_KEYS is over. */
void leat_key_retry_due(leat_engine *engine, leat_partition *partition);
/* A load or a batch of the shard's next retry; NULL: there is none that may run now. */
const leat_engine_job *leat_key_retry_next(leat_engine *engine, leat_shard *shard);
/* Could one run now, if there were a connection? */
bool leat_key_retry_may(const leat_engine *engine, const leat_shard *shard);
/* The answers. How many of the loaded records were taken. */
uint32_t leat_key_retry_loaded(leat_engine *engine, leat_job_slot *slot,
                               const leat_engine_job_result *result);
void leat_key_retry_done(leat_engine *engine, leat_job_slot *slot,
                         const leat_engine_job_result *result);
/* The partition is being given back: what does not fly is given up. */
void leat_key_retry_revoked(leat_engine *engine, leat_partition *partition);
/* What the partition holds is dropped. */
void leat_key_retry_dropped(leat_engine *engine, leat_partition *partition);

#endif
