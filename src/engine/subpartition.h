/*
 * subpartition.h - where the queue of a subpartition is: quiet, ready, waiting.
 */
#ifndef LEAT_ENGINE_SUBPARTITION_H
#define LEAT_ENGINE_SUBPARTITION_H

#include "engine/state.h"

/* A record takes its place. */
static inline void leat_record_slot_fill(leat_record_slot *slot, const leat_engine_record *record,
                                         int64_t read_us)
{
    slot->payload = record->payload;
    slot->offset = record->offset;
    slot->read_us = read_us;
    slot->at_ms = record->accepted_ms;
    slot->tenant = record->tenant;
    slot->table = (uint16_t)record->table;
    slot->bytes = record->bytes;
    slot->epoch = record->epoch;
    slot->key = record->key;
    slot->on_refused = (uint8_t)record->on_refused;
}

/* Puts a quiet queue of a READING partition among the ready ones if it has a record that may run;
 * else it stays quiet. If that record is parked, it is asked for. */
void leat_subpartition_wake(leat_engine *engine, leat_partition *partition, uint32_t subpartition);
/* It is woken again after a time. One that has failed gives up its loaded records. */
void leat_subpartition_delay(leat_engine *engine, leat_partition *partition, uint32_t subpartition,
                             int64_t delay_us);
/* The same, and it keeps them: it is next. */
void leat_subpartition_rest(leat_engine *engine, leat_partition *partition, uint32_t subpartition,
                            int64_t delay_us);
/* Takes the queue out of the ready ones and the timers. */
void leat_subpartition_deactivate(leat_engine *engine, leat_partition *partition,
                                  uint32_t subpartition);
/* Its delay is over: the timer was taken out. `id` is the queue's index. */
void leat_subpartition_delay_over(leat_engine *engine, uint32_t id);
/* Releases all it holds, in flight or not, and forgets everything that queues.h does not list as
 * kept. */
void leat_subpartition_drop(leat_engine *engine, leat_partition *partition, uint32_t subpartition);

#endif
