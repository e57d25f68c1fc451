/*
 * effects.h - marks partitions that have something for the caller.
 */
#ifndef LEAT_ENGINE_EFFECTS_H
#define LEAT_ENGINE_EFFECTS_H

#include "engine/state.h"

/* `effects`: LEAT_EMIT_..., 0: only whether it is paused may have changed. */
void leat_emit(leat_engine *engine, leat_partition *partition, uint8_t effects);
/* The same for a job that is done: it gets a notice, LEAT_NOTICE_..., about the record at the head
 * of the queue. */
void leat_notice_add(leat_engine *engine, leat_job_slot *slot, uint32_t queue, uint8_t notice,
                     const leat_engine_job_result *result);
/* What a notice about a held key is about, whose records have no queue. */
typedef struct leat_notice_key {
    uint32_t partition, subpartition;
    uint64_t key;
    int64_t offset; /* of its first record; -1: not known */
    void *payload;  /* likewise; NULL: it is not there */
} leat_notice_key;
void leat_notice_add_key(leat_engine *engine, leat_job_slot *slot, uint8_t notice,
                         const leat_notice_key *about, const leat_engine_job_result *result);
/* A seek or a question to the group that was not emitted yet is no longer wanted. */
void leat_effects_dropped(leat_engine *engine, leat_partition *partition);

#endif
