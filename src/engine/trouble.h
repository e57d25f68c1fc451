/*
 * trouble.h - the marks on queues whose head fails.
 */
#ifndef LEAT_ENGINE_TROUBLE_H
#define LEAT_ENGINE_TROUBLE_H

#include "engine/state.h"

/* The queue's head fails, since `since_us` unless it has a mark already. */
void leat_trouble_mark(leat_engine *engine, uint32_t queue, int64_t since_us,
                       leat_engine_outcome outcome);
/* Why its head fails, or is to be a dead letter. The reason of a verdict that is not carried out
 * yet stays. */
void leat_trouble_reason(leat_engine *engine, uint32_t queue, const leat_engine_job_result *result);
/* Both: a batch with the queue, begun at `since_us`, has failed with a result that is about this
 * queue, too. */
void leat_trouble_record(leat_engine *engine, uint32_t queue, int64_t since_us,
                         const leat_engine_job_result *result);
/* A record of it was applied, or it was dropped. Does nothing if it has no mark. */
void leat_trouble_clear(leat_engine *engine, uint32_t queue);

#endif
