/*
 * loads.h - chunks that are read from the shard, one after the other, when their turn comes.
 */
#ifndef LEAT_ENGINE_LOADS_H
#define LEAT_ENGINE_LOADS_H

#include "engine/state.h"

/* The queue's next chunk is wanted, if there is one that is not loaded. */
void leat_load_want(leat_engine *engine, uint32_t queue);
/* The same for a chunk after those that are loaded: only while nothing goes wrong with these. */
void leat_load_ahead(leat_engine *engine, uint32_t queue);
/* None is wanted any longer. One in flight goes on. */
void leat_load_unwant(leat_engine *engine, uint32_t queue);
/* None is wanted any longer, and one in flight is stale. */
void leat_load_dropped(leat_engine *engine, uint32_t queue);
/* Is there room for what the shard's first load brings? */
bool leat_load_may(const leat_engine *engine, const leat_shard *shard);
/* Makes the shard's next load; NULL: there is none, or no room. */
const leat_engine_job *leat_load_next(leat_engine *engine, leat_shard *shard);
/* Returns how many of the loaded records were taken. */
uint32_t leat_load_done(leat_engine *engine, leat_job_slot *slot,
                        const leat_engine_job_result *result);

#endif
