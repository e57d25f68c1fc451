/*
 * key_retry.c - what is kept of a held key is tried again by the owner, for as long as there is
 * patience with the first of it: the row that it waits for may come. After that it is people's.
 *
 * A retry is a load and a batch, as with chunks. The batch has a number that what is written
 * afterwards needs, and no other batch of its subpartition flies beside it: so when the key is let
 * go, nothing of it can be written that a failover leaves without what was kept before it. The load
 * proves nothing; the batch fails if its records are no longer the first ones.
 *
 * A look (leave_out.c) is the same for records that are not to be written: only as many of them as
 * the caller leaves out are taken, whatever has become of the key's own retries.
 *
 * Retries share the connections with records that nothing is wrong with. A partition has one, a
 * shard has one in flight, and they get a quarter of the time of its slots at most. A key whose
 * records end their session is not tried a third time.
 */
#include "engine/key_retry.h"

#include "engine/backlog.h"
#include "engine/compact.h"
#include "engine/effects.h"
#include "engine/fair.h"
#include "engine/key_jobs.h"
#include "engine/key_left.h"
#include "engine/lists.h"
#include "engine/low_water.h"
#include "engine/outcome.h"
#include "engine/partition.h"
#include "engine/revoke.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"
#include "engine/timers.h"

enum { ENDED_MAX = 2 }; /* sessions */

static leat_held_place *place_of(const leat_partition *partition)
{
    return leat_held_find(&partition->held, partition->retry.key);
}

/* ---- when ---- */

static bool is_queued(const leat_partition *partition)
{
    return partition->retry.step == LEAT_KEY_RETRY_WANTED ||
           partition->retry.step == LEAT_KEY_RETRY_LOADED;
}

/* It waits for its turn, and is not to be had any longer: the look was called off, or the key was
 * left to people. */
static bool is_called_off(const leat_engine *engine, const leat_partition *partition)
{
    if (!is_queued(partition))
        return false;
    const leat_held_place *place = place_of(partition);
    int64_t due_us = partition->retry.step == LEAT_KEY_RETRY_WANTED ? place->due_us
                     : partition->retry.is_look                     ? place->look_us
                                                                    : place->retry_us;
    return due_us > engine->now_us;
}

void leat_key_retry_plan(leat_engine *engine, leat_partition *partition)
{
    if (is_called_off(engine, partition))
        leat_key_retry_dropped(engine, partition);
    if (partition->state != LEAT_ENGINE_READING || partition->retry.step != LEAT_KEY_RETRY_NONE)
        return;
    const leat_held_place *first = leat_held_first_due(&partition->held);
    if (!first)
        leat_timer_clear(engine, partition, LEAT_TIMER_KEYS);
    else
        leat_timer_set(engine, partition, LEAT_TIMER_KEYS,
                       first->due_us > engine->now_us ? first->due_us : engine->now_us);
}

static void queue_up(leat_engine *engine, leat_partition *partition, leat_key_retry_step step)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    partition->retry.step = step;
    leat_list_push(engine, &shard->key_retries, leat_link_key_retry,
                   leat_partition_id(engine, partition));
    leat_schedule_shard(engine, shard);
}

void leat_key_retry_due(leat_engine *engine, leat_partition *partition)
{
    const leat_held_place *first = leat_held_first_due(&partition->held);
    if (partition->retry.step != LEAT_KEY_RETRY_NONE) { /* its turn may have come */
        leat_schedule_shard(engine, leat_shard_of(engine, partition));
        return;
    }
    if (!first || first->due_us > engine->now_us) {
        leat_key_retry_plan(engine, partition);
        return;
    }
    partition->retry.key = first->key;
    queue_up(engine, partition, LEAT_KEY_RETRY_WANTED);
}

/* ---- the jobs ---- */

static bool may_run(const leat_engine *engine, const leat_partition *partition)
{
    const leat_key_retry *retry = &partition->retry;
    return retry->step == LEAT_KEY_RETRY_WANTED ||
           engine->queues[leat_key_job_queue(engine, partition)].place != LEAT_QUEUE_IN_FLIGHT;
}

/* One whose subpartition is in flight lets others go first. */
static uint32_t first_that_may(const leat_engine *engine, const leat_shard *shard)
{
    uint32_t id = shard->key_retries.head;
    while (id != LEAT_INDEX_NONE && !may_run(engine, &engine->partitions[id]))
        id = engine->partitions[id].retry.next;
    return id;
}

bool leat_key_retry_may(const leat_engine *engine, const leat_shard *shard)
{
    return shard->key_retries.head != LEAT_INDEX_NONE && shard->retrying_keys == 0 &&
           engine->now_us >= shard->key_retries_after_us &&
           first_that_may(engine, shard) != LEAT_INDEX_NONE;
}

const leat_engine_job *leat_key_retry_next(leat_engine *engine, leat_shard *shard)
{
    uint32_t id = shard->key_retries.head;
    if (id != LEAT_INDEX_NONE && engine->now_us < shard->key_retries_after_us)
        leat_timer_set(engine, &engine->partitions[id], LEAT_TIMER_KEYS,
                       shard->key_retries_after_us);
    if (!leat_key_retry_may(engine, shard))
        return NULL;
    id = first_that_may(engine, shard);
    leat_list_remove(engine, &shard->key_retries, leat_link_key_retry, id);
    leat_partition *partition = &engine->partitions[id];
    LEAT_ASSERT(partition->state == LEAT_ENGINE_READING);
    shard->retrying_keys++;
    return partition->retry.step == LEAT_KEY_RETRY_WANTED
               ? leat_key_job_load(engine, shard, partition)
               : leat_key_job_apply(engine, shard, partition);
}

/* ---- what comes of them ---- */

static void release(leat_engine *engine, leat_partition *partition)
{
    leat_queue *loaded = &partition->retry.records;
    if (loaded->count > 0)
        leat_backlog_release(engine, partition, loaded, loaded->count);
}

/* The retry is over; the next one may be another key's. */
static void end(leat_engine *engine, leat_partition *partition)
{
    release(engine, partition);
    partition->retry.step = LEAT_KEY_RETRY_NONE;
    leat_key_retry_plan(engine, partition);
}

/* Of what has just been done with it: a look, or a retry. */
static void set_next(leat_partition *partition, leat_held_place *place, bool is_look,
                     int64_t next_us)
{
    if (is_look)
        leat_held_set_look(&partition->held, place, next_us);
    else
        leat_held_set_due(&partition->held, place, next_us);
}

static void try_later(leat_engine *engine, leat_partition *partition, leat_held_place *place)
{
    if (place->failures < UINT8_MAX)
        place->failures++;
    set_next(partition, place, partition->retry.is_look,
             engine->now_us + leat_jobs_backoff_us(engine, place->failures));
    end(engine, partition);
}

/* Patience with the key. */
static bool is_over(const leat_engine *engine, const leat_held_place *place)
{
    return engine->now_us - place->since_us >= engine->config.patience_us;
}

/* For as long as there is patience, or as the error is not about the record. */
static void refused(leat_engine *engine, leat_job_slot *slot, leat_partition *partition,
                    leat_held_place *place, const leat_engine_job_result *result)
{
    const leat_engine_batch *batch = &slot->job.batch;
    if (batch->is_look) { /* none of them was written */
        try_later(engine, partition, place);
        return;
    }
    if (batch->record_count > 1) {
        uint32_t before = result->bad_record > 0 ? (uint32_t)result->bad_record
                                                 : batch->record_count / 2;
        place->limit = result->bad_record == 0 || before == 0 ? 1 : before;
        leat_held_set_due(&partition->held, place, engine->now_us);
        end(engine, partition);
        return;
    }
    try_later(engine, partition, place);
    if (is_over(engine, place) || result->outcome == LEAT_ENGINE_BAD_DATA)
        leat_key_left(engine, slot, place, &batch->records[0], result);
    leat_key_retry_plan(engine, partition);
}

static void rest(leat_engine *engine, leat_shard *shard, const leat_job_slot *slot)
{
    LEAT_ASSERT(shard->retrying_keys > 0);
    shard->retrying_keys--;
    leat_jobs_rest(engine, shard, slot, &shard->key_retries_after_us);
}

/* Do they belong together, as records of one key do? */
static bool make_sense(const leat_key_retry *retry, const leat_engine_job_result *result)
{
    for (uint32_t i = 0; i < result->loaded_count; i++) {
        const leat_engine_record *record = &result->loaded[i];
        if (record->key != retry->key || record->subpartition != result->loaded[0].subpartition ||
            (i > 0 && record->offset <= result->loaded[i - 1].offset))
            return false;
    }
    return result->loaded_count > 0;
}

static uint32_t take(leat_engine *engine, leat_partition *partition,
                     const leat_engine_job_result *result, uint32_t most)
{
    uint32_t taken = 0;
    while (taken < most && leat_backlog_has_room(engine, partition, &result->loaded[taken]))
        leat_backlog_take(engine, partition, &partition->retry.records, &result->loaded[taken++],
                          engine->now_us);
    return taken;
}

/* Somebody has let it go, and a record of it will tell; or its records make no sense, and people
 * decide. */
static void drop(leat_engine *engine, leat_job_slot *slot, leat_held_place *place,
                 const leat_engine_job_result *result)
{
    leat_engine_job_result mixed = leat_key_mixed(result);
    if (result->loaded_count > 0)
        leat_key_left(engine, slot, place, NULL, &mixed);
    else
        leat_held_set_due(&engine->partitions[slot->job.partition].held, place, INT64_MAX);
}

static uint32_t loaded(leat_engine *engine, leat_job_slot *slot, leat_partition *partition,
                       leat_held_place *place, const leat_engine_job_result *result)
{
    bool is_look = partition->retry.is_look, makes_sense = make_sense(&partition->retry, result);
    uint32_t most = is_look ? result->left_out : result->loaded_count;
    LEAT_ASSERT(most <= result->loaded_count);
    if (!makes_sense)
        drop(engine, slot, place, result);
    if (!makes_sense || most == 0) {
        leat_held_set_look(&partition->held, place, INT64_MAX);
        end(engine, partition);
        return 0;
    }
    uint32_t taken = take(engine, partition, result, most);
    if (taken == 0) {
        try_later(engine, partition, place);
        return 0;
    }
    partition->retry.subpartition = result->loaded[0].subpartition;
    queue_up(engine, partition, LEAT_KEY_RETRY_LOADED);
    return taken;
}

/* What cannot be read may be mended, or be read by another version: for that there is the same
 * patience as with a refusal. */
static void not_loaded(leat_engine *engine, leat_job_slot *slot, leat_partition *partition,
                       leat_held_place *place, const leat_engine_job_result *result)
{
    bool is_look = partition->retry.is_look;
    try_later(engine, partition, place);
    if (result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD && !is_look && is_over(engine, place))
        leat_key_left(engine, slot, place, NULL, result);
    else
        leat_key_unread(engine, slot, place, result);
    leat_key_retry_plan(engine, partition);
}

uint32_t leat_key_retry_loaded(leat_engine *engine, leat_job_slot *slot,
                               const leat_engine_job_result *result)
{
    leat_partition *partition = &engine->partitions[slot->job.partition];
    leat_shard *shard = leat_shard_of(engine, partition);
    uint32_t taken = 0;
    rest(engine, shard, slot);
    if (partition->incarnation != slot->job.incarnation) {
        engine->counters.batches_stale++;
    } else if (partition->state == LEAT_ENGINE_READING) {
        leat_held_place *place = place_of(partition);
        LEAT_ASSERT(partition->retry.step == LEAT_KEY_RETRY_LOADING && place);
        if (result->outcome == LEAT_ENGINE_APPLIED)
            taken = loaded(engine, slot, partition, place, result);
        else if (result->outcome == LEAT_ENGINE_FENCED)
            leat_partition_fence(engine, partition);
        else
            not_loaded(engine, slot, partition, place, result);
    }
    return taken;
}

/* Its subpartition goes on where it was. */
static void land(leat_engine *engine, leat_partition *partition)
{
    uint32_t subpartition = partition->retry.subpartition;
    leat_queue *queue = &engine->queues[leat_key_job_queue(engine, partition)];
    LEAT_ASSERT(queue->place == LEAT_QUEUE_IN_FLIGHT && queue->retrying > 0 &&
                partition->in_flight >= queue->retrying);
    partition->in_flight -= queue->retrying;
    queue->retrying = 0;
    queue->place = LEAT_QUEUE_QUIET;
    if (queue->due_us > engine->now_us && leat_queue_has_head(queue))
        leat_subpartition_delay(engine, partition, subpartition, queue->due_us - engine->now_us);
    else
        leat_subpartition_wake(engine, partition, subpartition);
}

static void applied(leat_engine *engine, leat_partition *partition, leat_held_place *place,
                    const leat_engine_batch *batch, const leat_engine_job_result *result)
{
    const leat_engine_batch_part *part = &batch->parts[0];
    LEAT_ASSERT(part->seq > partition->progress.last_seq[partition->retry.subpartition]);
    LEAT_ASSERT(!batch->is_look || batch->skipped == batch->record_count);
    partition->progress.last_seq[partition->retry.subpartition] = part->seq;
    engine->counters.records_applied += batch->record_count - batch->skipped;
    engine->counters.records_left_out += batch->skipped - batch->repeated;
    engine->counters.records_repeated += batch->repeated;
    engine->counters.records_conflicting += batch->conflicts;
    engine->counters.dead_letters += batch->conflicts;
    engine->counters.records_retried += batch->record_count;
    if (result->is_held) {
        place->failures = place->ended = 0;
        place->limit = place->limit > LEAT_KEY_JOB_RECORDS_MAX / 2 ? 0 : 2 * place->limit;
        set_next(partition, place, batch->is_look, engine->now_us);
    } else {
        leat_held_remove(&partition->held, partition->retry.key);
        engine->counters.keys_let_go++;
    }
    partition->setbacks = 0;
    partition->uncompacted = true;
    leat_compaction_plan(engine, partition);
    end(engine, partition);
}

static void answered(leat_engine *engine, leat_job_slot *slot, leat_partition *partition,
                     const leat_engine_job_result *result)
{
    leat_held_place *place = place_of(partition);
    LEAT_ASSERT(partition->retry.step == LEAT_KEY_RETRY_FLYING && place);
    land(engine, partition);
    switch (result->outcome) {
    case LEAT_ENGINE_APPLIED:
        applied(engine, partition, place, &slot->job.batch, result);
        break;
    case LEAT_ENGINE_BAD_DATA:
    case LEAT_ENGINE_NOT_YET:
    case LEAT_ENGINE_RECORD_ERROR:
        refused(engine, slot, partition, place, result);
        break;
    case LEAT_ENGINE_REPEATED: /* it is loaded again, and the caller knows them by then */
        engine->counters.batches_repeated++;
        leat_held_set_due(&partition->held, place, engine->now_us);
        end(engine, partition);
        break;
    default:
        try_later(engine, partition, place);
        break;
    }
}

/* Also one whose partition was claimed again meanwhile: a session rarely ends alone. */
static void ended_session(leat_engine *engine, leat_job_slot *slot, leat_partition *partition,
                          const leat_engine_job_result *result)
{
    const leat_engine_batch *batch = &slot->job.batch;
    leat_held_place *place = leat_held_find(&partition->held, batch->retry_key);
    if (!place)
        return;
    place->ended++;
    place->limit = 1;
    set_next(partition, place, batch->is_look,
             place->ended < ENDED_MAX ? engine->now_us + leat_jobs_backoff_us(engine, place->ended)
                                      : INT64_MAX);
    leat_engine_batch_record first = batch->records[0];
    if (partition->incarnation != batch->parts[0].incarnation)
        first.payload = NULL; /* it is given back already */
    if (place->ended >= ENDED_MAX && !batch->is_look)
        leat_key_left(engine, slot, place, &first, result);
    leat_key_retry_plan(engine, partition);
}

static void outcome(leat_engine *engine, leat_job_slot *slot, leat_partition *partition,
                    const leat_engine_job_result *result)
{
    switch (result->outcome) {
    case LEAT_ENGINE_FENCED:
        leat_partition_fence(engine, partition);
        break;
    case LEAT_ENGINE_WENT_BACK:
    case LEAT_ENGINE_CHUNK_GONE:
        engine->counters.went_back++;
        leat_partition_reclaim(engine, partition, false);
        break;
    case LEAT_ENGINE_KEY_TURNED:
        leat_partition_reclaim(engine, partition, false);
        break;
    case LEAT_ENGINE_UNKNOWN:
        engine->counters.batches_unknown++;
        leat_partition_reclaim(engine, partition, false);
        break;
    default:
        answered(engine, slot, partition, result);
        break;
    }
}

void leat_key_retry_done(leat_engine *engine, leat_job_slot *slot,
                         const leat_engine_job_result *result)
{
    const leat_engine_batch_part *part = &slot->job.batch.parts[0];
    leat_partition *partition = &engine->partitions[part->partition];
    leat_shard *shard = leat_shard_of(engine, partition);
    rest(engine, shard, slot);
    if (result->outcome == LEAT_ENGINE_UNKNOWN)
        ended_session(engine, slot, partition, result);
    if (partition->incarnation != part->incarnation) {
        engine->counters.batches_stale++;
    } else {
        LEAT_ASSERT(partition->batches > 0);
        partition->batches--;
        outcome(engine, slot, partition, result);
        leat_revoke_advance(engine, partition);
    }
    leat_fair_done(engine, slot, result);
}

/* The one that was behind it may have to wait for the rest's end, and has no timer for that yet. */
void leat_key_retry_dropped(leat_engine *engine, leat_partition *partition)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    if (is_queued(partition)) {
        leat_list_remove(engine, &shard->key_retries, leat_link_key_retry,
                         leat_partition_id(engine, partition));
        leat_schedule_shard(engine, shard);
    }
    release(engine, partition);
    partition->retry.step = LEAT_KEY_RETRY_NONE;
}

void leat_key_retry_revoked(leat_engine *engine, leat_partition *partition)
{
    if (is_queued(partition))
        leat_key_retry_dropped(engine, partition);
}
