/*
 * effects.c - what the caller is told. Nothing is queued but flags, so it needs no room and says
 * only what still holds.
 */
#include "engine/effects.h"

#include "engine/lists.h"
#include "engine/pause.h"
#include "engine/schedule.h"

void leat_emit(leat_engine *engine, leat_partition *partition, uint8_t what)
{
    partition->tell |= what;
    if (partition->emitting)
        return;
    partition->emitting = true;
    leat_list_push(engine, &engine->emitting, leat_link_emitting,
                   leat_partition_id(engine, partition));
}

/* ---- emitting ---- */

static bool emit_pause(leat_partition *partition, leat_engine_effect *ret_effect)
{
    bool pause = partition->state != LEAT_ENGINE_READING || partition->full;
    if (partition->state == LEAT_ENGINE_UNASSIGNED || !partition->sought ||
        pause == partition->emitted_paused)
        return false;
    partition->emitted_paused = pause;
    ret_effect->kind = pause ? LEAT_ENGINE_PAUSE : LEAT_ENGINE_RESUME;
    return true;
}

static bool emit_partition(leat_partition *partition, leat_engine_effect *ret_effect)
{
    const leat_engine_newest *newest = &partition->progress.newest;
    if (partition->tell & LEAT_EMIT_COMMIT) {
        partition->tell &= (uint8_t)~LEAT_EMIT_COMMIT;
        ret_effect->kind = LEAT_ENGINE_COMMIT;
        ret_effect->offset = partition->committed;
        return true;
    }
    if (partition->tell & LEAT_EMIT_REVOKED) {
        partition->tell &= (uint8_t)~LEAT_EMIT_REVOKED;
        ret_effect->kind = LEAT_ENGINE_REVOKED;
        return true;
    }
    if (partition->tell & LEAT_EMIT_SEEK) {
        partition->tell &= (uint8_t)~LEAT_EMIT_SEEK;
        partition->sought = true;
        ret_effect->kind = LEAT_ENGINE_SEEK;
        ret_effect->offset = leat_engine_progress_read_from(&partition->progress);
        ret_effect->low = partition->progress.low;
        ret_effect->high = leat_engine_progress_high(&partition->progress);
        ret_effect->high_ms = newest->offset == ret_effect->high ? newest->at_ms : 0;
        ret_effect->epoch = newest->epoch;
        return true;
    }
    if (emit_pause(partition, ret_effect))
        return true;
    if (partition->tell & LEAT_EMIT_CONFIRM) {
        partition->tell &= (uint8_t)~LEAT_EMIT_CONFIRM;
        ret_effect->kind = LEAT_ENGINE_CONFIRM;
        return true;
    }
    return false;
}

static bool emit_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    while (engine->emitting.head != LEAT_NONE) {
        uint32_t id = engine->emitting.head;
        ret_effect->partition = id;
        if (emit_partition(&engine->partitions[id], ret_effect))
            return true;
        leat_list_pop(engine, &engine->emitting, leat_link_emitting);
        engine->partitions[id].emitting = false;
    }
    return false;
}

/* The first of what it has to say. */
static leat_engine_effect_kind say(leat_job_slot *slot)
{
    static const struct {
        uint8_t say;
        leat_engine_effect_kind kind;
    } words[] = {
        {LEAT_NOTICE_TABLE_STOPPED, LEAT_ENGINE_TABLE_STOPPED},
        {LEAT_NOTICE_STALLED, LEAT_ENGINE_STALLED},
        {LEAT_NOTICE_HALTED, LEAT_ENGINE_SHARD_HALTED},
        {LEAT_NOTICE_DEAD, LEAT_ENGINE_DEAD_LETTERED},
    };
    uint32_t i = 0;
    while (!(slot->say & words[i].say))
        i++;
    slot->say &= (uint8_t)~words[i].say;
    return words[i].kind;
}

static bool say_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    uint32_t id = engine->jobs_saying.head;
    if (id == LEAT_NONE)
        return false;
    leat_job_slot *slot = &engine->jobs[id];
    LEAT_ASSERT(slot->state == LEAT_JOB_NOTIFYING && slot->say != 0);
    ret_effect->kind = say(slot);
    ret_effect->partition = slot->said_partition;
    ret_effect->subpartition = slot->said_subpartition;
    ret_effect->table = slot->said_table;
    ret_effect->offset = slot->said_offset;
    ret_effect->payload = slot->said_payload;
    ret_effect->result = &slot->said;
    ret_effect->guarded = slot->said_guarded;
    ret_effect->refused = slot->said_share.given_up;
    ret_effect->decided = slot->said_share.of;
    if (slot->say != 0)
        return true;
    /* Free from here on; what it says stays until it is used again, at the next call at the
     * earliest. */
    leat_list_pop(engine, &engine->jobs_saying, leat_link_job);
    slot->state = LEAT_JOB_FREE;
    leat_list_push(engine, &engine->jobs_free, leat_link_job, id);
    return true;
}

static bool run_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    const leat_engine_job *job = leat_schedule_next(engine);
    if (!job)
        return false;
    ret_effect->kind = LEAT_ENGINE_RUN;
    ret_effect->partition = job->partition;
    ret_effect->job = job;
    return true;
}

/* Looked at after every record: must cost next to nothing when there is nothing to say. */
static bool has_something(const leat_engine *engine)
{
    return engine->room_grew || engine->emitting.head != LEAT_NONE ||
           engine->jobs_saying.head != LEAT_NONE || engine->candidates.head != LEAT_NONE ||
           engine->draining;
}

bool leat_engine_next(leat_engine *engine, leat_engine_effect *ret_effect)
{
    if (!has_something(engine))
        return false;
    *ret_effect = (leat_engine_effect){.kind = LEAT_ENGINE_DRAINED};
    if (engine->room_grew)
        leat_full_check(engine);
    if (emit_next(engine, ret_effect) || say_next(engine, ret_effect) ||
        run_next(engine, ret_effect))
        return true;
    ret_effect->partition = 0;
    if (engine->draining && !engine->told_drained && engine->assigned == 0) {
        engine->told_drained = true;
        return true;
    }
    return false;
}

size_t leat_engine_released(leat_engine *engine, void **ret, size_t max)
{
    return leat_pool_released(&engine->pool, ret, max);
}
