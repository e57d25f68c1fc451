/*
 * key_left.c - what is told of held keys besides that they are held. A retry has no queue whose
 * head could speak for it, so a notice names the key.
 */
#include "engine/key_left.h"

#include "base/rate_limit.h"
#include "engine/effects.h"

enum { FAILURES_UNREPORTED = 3 };

/* Of the job's partition. */
static void notify(leat_engine *engine, leat_job_slot *slot, uint8_t notice, uint32_t partition,
                   const leat_held_place *place, int64_t offset, void *payload,
                   const leat_engine_job_result *result)
{
    const leat_notice_key about = {.partition = partition,
                                   .subpartition = place->subpartition,
                                   .key = place->key,
                                   .offset = offset,
                                   .payload = payload};
    leat_notice_add_key(engine, slot, notice, &about, result);
}

static uint32_t partition_of(const leat_job_slot *slot)
{
    return slot->job.kind == LEAT_ENGINE_JOB_LOAD ? slot->job.partition
                                                  : slot->job.batch.parts[0].partition;
}

/* Where the records came but could not be read. */
static int64_t first_offset(const leat_engine_job_result *result)
{
    return result->kept_count > 0 ? result->kept[0].first_offset : -1;
}

void leat_key_left(leat_engine *engine, leat_job_slot *slot, leat_held_place *place,
                   const leat_engine_batch_record *first, const leat_engine_job_result *result)
{
    uint32_t partition = partition_of(slot);
    leat_held_set_due(&engine->partitions[partition].held, place, INT64_MAX);
    notify(engine, slot, LEAT_NOTICE_KEY_LEFT, partition, place,
           first ? first->offset : first_offset(result), first ? first->payload : NULL, result);
}

void leat_key_unread(leat_engine *engine, leat_job_slot *slot, const leat_held_place *place,
                     const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[partition_of(slot)];
    bool is_loud = result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD ||
                   place->failures > FAILURES_UNREPORTED;
    if (!is_loud || !leat_rate_limit_is_due(partition->unread_us, engine->now_us))
        return;
    partition->unread_us = engine->now_us;
    notify(engine, slot, LEAT_NOTICE_NOT_PARKED, partition_of(slot), place, first_offset(result),
           NULL, result);
}

leat_engine_job_result leat_key_mixed(const leat_engine_job_result *loaded)
{
    return (leat_engine_job_result){
        .outcome = LEAT_ENGINE_NOT_UNDERSTOOD,
        .bad_record = -1,
        .partition = -1,
        .catalog_read_us = INT64_MAX,
        .kept = loaded->kept,
        .kept_count = loaded->kept_count,
        .message = "what is kept of a held key is not its records, in the order of the log",
    };
}
