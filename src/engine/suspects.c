/*
 * suspects.c - the consequences of an unknown outcome for the subpartitions that were in the batch
 * (narrow.h), and when those are tried again.
 *
 * A shard has one trial in flight: a record that may end its session, or all sessions of its
 * server, must not do so several times at once. Other batches run beside it. The subpartition that
 * has ended the fewest sessions is tried first, so that one that takes a minute each time holds up
 * innocent ones only once. After a partition was away the shard has no trial for as long again: the
 * others get half of the time even where such a record takes the whole server down.
 *
 * After a claim the partition is also read again from its low water, which is before the suspect:
 * the longer it stalls, the more is read. And where the session was the shard's only one, all its
 * partitions are read again. So there is no trial until they are where they were before, and then
 * none for several times as long. Parked records are not read again, but tried over some time, and
 * the others get as long again. That holds for what trials of this worker cost, not for those of
 * others: one whose record takes the server down, but has nothing to read again, because it is
 * parked, would otherwise come first for ever.
 */
#include "engine/suspects.h"

#include "base/backoff.h"
#include "engine/backlog.h"
#include "engine/subpartition.h"
#include "engine/trouble.h"

enum {
    SPREAD_PAUSES = 2, /* no trial for so many times as long as parked records have for their first
                          tries */
    PAUSE_BACKOFFS_MAX = 60, /* no pause is longer than this many of the longest back-offs */
    REREAD_PAUSES = 4, /* reading again takes at most one part of the time, others get this many
                          parts */
};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static uint32_t records_up_to(const leat_engine_batch *batch, uint32_t partition,
                              uint32_t subpartition, int64_t offset)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_engine_batch_record *record = &batch->records[i];
        count += record->partition == partition && record->subpartition == subpartition &&
                 record->offset <= offset;
    }
    return count;
}

/* A claim that was made since shows that the batch was committed. */
static bool is_in(const leat_engine *engine, const leat_partition *partition, uint32_t subpartition,
                  int64_t offset)
{
    uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), subpartition);
    return partition->low_known && leat_backlog_applied_to(engine, id) >= offset;
}

/* Its place among the ready ones may have changed. */
static void requeue(leat_engine *engine, leat_partition *partition, uint32_t subpartition)
{
    leat_queue *queue = leat_queue_at(engine, leat_partition_id(engine, partition), subpartition);
    if (queue->place != LEAT_QUEUE_READY)
        return;
    leat_subpartition_deactivate(engine, partition, subpartition);
    leat_subpartition_wake(engine, partition, subpartition);
}

static bool suspect(leat_engine *engine, const leat_job_slot *slot,
                    const leat_engine_batch_part *part, uint32_t index)
{
    leat_partition *partition = &engine->partitions[part->partition];
    uint32_t subpartition = (uint32_t)part->subpartitions[index];
    leat_narrow *narrow = &leat_queue_at(engine, part->partition, subpartition)->narrow;
    int64_t last = part->offsets[index];
    if (is_in(engine, partition, subpartition, last) && part->incarnation != partition->incarnation)
        return false;
    int64_t to = narrow->unknowns > 0 ? narrow->to : last;
    uint32_t records = records_up_to(&slot->job.batch, part->partition, subpartition, last);
    uint32_t suspected = records_up_to(&slot->job.batch, part->partition, subpartition, to);
    /* No suspected record was in it: they have passed, or are no longer in the log. */
    if (suspected == 0)
        *narrow = (leat_narrow){0};
    leat_narrow_unknown(narrow, slot->queues, records, suspected > 0 ? suspected : records, last,
                        engine->now_us);
    requeue(engine, partition, subpartition);
    return leat_narrow_on_trial(narrow);
}

bool leat_suspects_batch_unknown(leat_engine *engine, const leat_job_slot *slot,
                                 const leat_engine_batch_part *part,
                                 const leat_engine_job_result *result)
{
    bool on_trial = false;
    for (uint32_t i = 0; i < leat_batch_touches(&slot->job.batch, part) &&
                         engine->partitions[part->partition].state != LEAT_ENGINE_UNASSIGNED;
         i++) {
        if (!suspect(engine, slot, part, i))
            continue;
        uint32_t subpartition = (uint32_t)part->subpartitions[i];
        on_trial = true;
        leat_trouble_reason(engine, leat_queue_id(engine, part->partition, subpartition), result);
    }
    return on_trial;
}

static int64_t pause_us(leat_engine *engine, const leat_narrow *narrow)
{
    const leat_engine_config *config = &engine->config;
    uint32_t n = narrow->alone > 0 ? narrow->alone : 1;
    return leat_backoff(&engine->prng, n, config->retry_min_us, config->retry_max_us);
}

static int64_t bounded(const leat_engine *engine, int64_t pause)
{
    int64_t max_us = PAUSE_BACKOFFS_MAX * engine->config.retry_max_us;
    return pause < max_us ? pause : max_us;
}

/* The partition was away, perhaps with all others: trials wait for as long, so that others get half
 * of the time. */
static void delay_trials(leat_engine *engine, leat_partition *partition)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    int64_t down_us =
        bounded(engine, partition->away_us > 0 ? engine->now_us - partition->away_us : 0);
    partition->away_us = 0;
    if (engine->now_us + down_us <= shard->trials_after_us)
        return;
    shard->trials_after_us = engine->now_us + down_us;
    uint32_t id;
    while (down_us > 0 && (id = leat_ready_any_trial(&shard->ready)) != LEAT_INDEX_NONE)
        requeue(engine, &engine->partitions[leat_queue_partition(engine, id)],
                leat_queue_subpartition(engine, id));
}

void leat_suspects_dropped(const leat_engine *engine, leat_partition *partition)
{
    if (partition->state == LEAT_ENGINE_READING)
        partition->away_us = engine->now_us;
    if (partition->position > partition->reread_to)
        partition->reread_to = partition->position;
}

void leat_suspects_claimed(leat_engine *engine, leat_partition *partition)
{
    delay_trials(engine, partition);
    partition->reread_by_trial = leat_shard_of(engine, partition)->trial_ended_us >
                                 partition->reread_us;
    partition->reread_us = engine->now_us;
    if (partition->progress.low + 1 >= partition->reread_to)
        partition->reread_to = 0;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        uint32_t id = leat_queue_id(engine, leat_partition_id(engine, partition), i);
        leat_narrow *narrow = &engine->queues[id].narrow;
        leat_narrow_passed(narrow, leat_backlog_applied_to(engine, id), 0);
        if (leat_narrow_on_trial(narrow) && narrow->due_us < 0)
            narrow->due_us = engine->now_us + pause_us(engine, narrow);
    }
}

/* Each claim forgets what was learned of a record that is refused, and it takes more than one try
 * to make a dead letter of it. */
void leat_suspects_spread(leat_engine *engine, leat_partition *partition, int64_t over_us)
{
    const leat_engine_config *config = &engine->config;
    leat_shard *shard = leat_shard_of(engine, partition);
    int64_t pause_us = bounded(engine, SPREAD_PAUSES * over_us);
    if (partition->waits_dropped)
        pause_us += leat_retry_last_call_us(config->retry_min_us, config->retry_max_us);
    partition->waits_dropped = false;
    if (partition->reread_by_trial)
        shard->trials_after_us = later(shard->trials_after_us, engine->now_us + pause_us);
}

void leat_suspects_reread(leat_engine *engine, leat_partition *partition)
{
    int64_t took_us = engine->now_us - partition->reread_us;
    leat_shard *shard = leat_shard_of(engine, partition);
    partition->reread_to = 0;
    if (partition->reread_by_trial)
        shard->trials_after_us = later(shard->trials_after_us,
                                       engine->now_us + bounded(engine, REREAD_PAUSES * took_us));
}

void leat_suspects_forget(leat_engine *engine, leat_partition *partition)
{
    partition->away_us = 0;
    partition->reread_to = 0;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        leat_queue *queue = leat_queue_at(engine, leat_partition_id(engine, partition), i);
        queue->narrow = (leat_narrow){0};
        queue->kept_read_us = 0;
        queue->retry = (leat_retry){0};
        engine->chunks[leat_queue_id(engine, leat_partition_id(engine, partition), i)].read_us = 0;
    }
}

/* Is a partition of the shard being read again? Only for a limited time: one that is paused, or
 * whose log cannot be read, must not hold up trials. */
static bool is_read_again(const leat_engine *engine, const leat_shard *shard)
{
    int64_t longest_us = PAUSE_BACKOFFS_MAX * engine->config.retry_max_us;
    for (uint32_t i = 0; i < shard->partition_count; i++) {
        const leat_partition *partition = &engine->partitions[shard->partitions[i]];
        if (partition->state == LEAT_ENGINE_READING && partition->reread_to > 0 &&
            !partition->paused_for_room && !partition->parked_full &&
            engine->now_us - partition->reread_us < longest_us)
            return true;
    }
    return false;
}

/* Not before a parked one is loaded, if there is any: where each trial ends in a claim, after which
 * those have to be loaded again, the ones in memory would always go first. One is enough, or many
 * would be loaded for each trial. */
bool leat_suspects_may_try(const leat_engine *engine, const leat_shard *shard)
{
    return shard->trials == 0 && leat_ready_any_trial(&shard->ready) != LEAT_INDEX_NONE &&
           (shard->trial_loads == 0 || engine->load_starved ||
            leat_ready_is_trial_parked(&shard->ready, engine->queues));
}

int64_t leat_suspects_wait_us(leat_engine *engine, uint32_t id)
{
    leat_narrow *narrow = &engine->queues[id].narrow;
    if (narrow->unknowns > 0 && leat_queue_head(engine, id).offset > narrow->to)
        *narrow = (leat_narrow){0};
    /* A claim has cleared its mark: it is the same trouble, for the same reason. */
    if (leat_narrow_is_found(narrow) && !engine->marks[id].is_set)
        leat_trouble_mark(engine, id, narrow->since_us, LEAT_ENGINE_UNKNOWN);
    if (!leat_narrow_on_trial(narrow))
        return 0;
    const leat_shard *shard =
        leat_shard_of(engine, &engine->partitions[leat_queue_partition(engine, id)]);
    if (is_read_again(engine, shard))
        return engine->config.retry_min_us;
    /* Those that have ended fewer sessions are ready first, and loaded first if they are parked. */
    int64_t due_us = later(narrow->due_us, shard->trials_after_us + leat_narrow_trials(narrow));
    return due_us > engine->now_us ? due_us - engine->now_us : 0;
}
