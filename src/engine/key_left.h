/*
 * key_left.h - held keys that their owner does not try any more, and those of which what is kept
 * cannot be read. Either is told to the caller: nothing else says that the key waits for a person.
 */
#ifndef LEAT_ENGINE_KEY_LEFT_H
#define LEAT_ENGINE_KEY_LEFT_H

#include "engine/state.h"

/* No retry of the key comes after this one, for the reason in `result`; a look may still come.
 * `first`: its first record; NULL: it cannot be read. */
void leat_key_left(leat_engine *engine, leat_job_slot *slot, leat_held_place *place,
                   const leat_engine_batch_record *first, const leat_engine_job_result *result);
/* A load of what is kept of the key has failed. Told once a minute for each partition, where it is
 * not an outage that passes. */
void leat_key_unread(leat_engine *engine, leat_job_slot *slot, const leat_held_place *place,
                     const leat_engine_job_result *result);
/* What came of a load is not one key's, in order: a result that says so. */
leat_engine_job_result leat_key_mixed(const leat_engine_job_result *loaded);

#endif
