/*
 * keys.h - what becomes of a refused record by its `on_refused`, and which keys are held.
 */
#ifndef LEAT_ENGINE_KEYS_H
#define LEAT_ENGINE_KEYS_H

#include "engine/state.h"

/* What becomes of the head of a queue that is refused for good. */
typedef enum leat_keys_fate {
    LEAT_KEYS_LETTER, /* a dead letter, if the guard of its table lets it */
    LEAT_KEYS_HELD,
    LEAT_KEYS_WAITS, /* it is tried again for as long as it is refused */
} leat_keys_fate;

/* The claim has found these. False: more than the engine can know. */
bool leat_keys_claimed(leat_engine *engine, leat_partition *partition, const leat_engine_held *held,
                       uint32_t count);
/* Could the key of the queue's head be held now, after this refusal? The head must be in memory,
 * for the next ones too. */
bool leat_keys_may_hold(const leat_engine *engine, uint32_t queue,
                        const leat_engine_job_result *result);
/* The head is refused: does it wait only because no more keys can be held, or no more be kept? */
bool leat_keys_lacks_room(const leat_engine *engine, uint32_t queue,
                          const leat_engine_job_result *result);
leat_keys_fate leat_keys_fate_of(const leat_engine *engine, uint32_t queue,
                                 const leat_engine_batch *batch,
                                 const leat_engine_job_result *result);
/* The head waits because no more keys can be held, or no more be kept: is it time for a claim,
 * which shows whether that is still so? */
bool leat_keys_may_look(const leat_engine *engine, uint32_t queue,
                        const leat_engine_job_result *result);
/* The head is dead: is its key held meanwhile, or can no more keys be held? */
bool leat_keys_is_outdated(const leat_engine *engine, uint32_t queue);
/* A batch that makes the key of its head held is made; one of this incarnation has ended. */
void leat_keys_begin(leat_engine *engine, uint32_t queue);
void leat_keys_ended(leat_partition *partition, const leat_engine_batch *batch);
/* It is applied. */
void leat_keys_hold(leat_engine *engine, uint32_t queue);

#endif
