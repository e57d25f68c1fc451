/*
 * trouble.h - the marks on queues whose head is tried in vain.
 */
#ifndef LEAT_ENGINE_TROUBLE_H
#define LEAT_ENGINE_TROUBLE_H

#include "engine/state.h"

/* The queue's head is tried in vain, since `since_us` unless that is known already. */
void leat_trouble_mark(leat_engine *engine, uint32_t queue, int64_t since_us,
                       leat_engine_outcome outcome);
/* Why its head is in trouble, or is to be a dead letter. Where a verdict waits to be carried out,
 * that one's reason stays. */
void leat_trouble_reason(leat_engine *engine, uint32_t queue, const leat_engine_job_result *result);
/* Both: a batch with the queue, begun at `since_us`, has failed with a result that is about this
 * queue, too. */
void leat_trouble_record(leat_engine *engine, uint32_t queue, int64_t since_us,
                         const leat_engine_job_result *result);
/* Something of it was applied, or it is no longer known. Harmless when it had no mark. */
void leat_trouble_clear(leat_engine *engine, uint32_t queue);

#endif
