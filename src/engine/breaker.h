/*
 * breaker.h - a shard that answers everything with an outage is asked by one job at a time.
 *
 * A subpartition that met an outage waits by itself (retry.h), but there may be hundreds of them,
 * and claims, loads and compactions besides. After a few answers in a row that are an outage the
 * breaker *opens*: nothing runs until a jittered back-off is over, then one job, whichever is next.
 * Another outage, or no answer: longer. Any other answer shows that the database works, and closes
 * it.
 *
 * The other two ways in which a shard is unwell have a probe of their own: one without a connection
 * is asked by the sink, which connects once at a time, and one that answers with what leat does not
 * understand by a batch (halt.h).
 */
#ifndef LEAT_ENGINE_BREAKER_H
#define LEAT_ENGINE_BREAKER_H

#include "engine/state.h"

/* A job has ended that was sent. */
void leat_breaker_done(leat_engine *engine, leat_shard *shard, leat_engine_outcome outcome);
/* The shard has no connection: what is known is forgotten. */
void leat_breaker_reset(leat_engine *engine, leat_shard *shard);
/* May nothing run now? */
static inline bool leat_breaker_blocks(const leat_engine *engine, const leat_shard *shard)
{
    return shard->breaker.is_open &&
           (engine->now_us < shard->breaker.until_us || shard->running > 0);
}

#endif
