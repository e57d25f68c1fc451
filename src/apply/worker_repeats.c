/*
 * worker_repeats.c - repeats of writes that are applied (repeats.h), as a worker meets them: what
 * is known of a batch is marked when it is about to run, and the sink tells what is not known yet.
 * So a repeat moves its subpartition's progress as if it were applied, and its row is left alone.
 *
 * What a shard has said may be lost since: a failover takes back a write that is in no log, and
 * neither a claim nor the needs of a batch show that. So PostgreSQL looks again, in the transaction
 * of each batch that leaves a record out, and tells (`is_lost`); then the record is applied. A
 * SQLite file takes nothing back from a process that has it open.
 */
#include "apply/worker_state.h"
#include "record/idempotency.h"

static leat_repeat_kind kind_of(leat_worker *worker, const leat_engine_batch_record *record)
{
    leat_item *item = record->payload;
    leat_repeats *repeats = &worker->repeats;
    bool is_identified = leat_idempotency_identify(worker->config.catalog->source.id, item,
                                                   &repeats->scratch, &item->write_id);
    LEAT_ASSERT(is_identified); /* out of memory: ending here loses nothing */
    leat_repeat_kind kind = leat_repeats_find(repeats, record->partition, record->offset);
    if (kind == LEAT_REPEAT_OTHER) /* what it says is not what is noted: no measure for others */
        return kind;
    leat_repeat_kind beside = leat_repeats_see(repeats, &item->write_id);
    return kind != LEAT_REPEAT_NOT ? kind : beside;
}

void leat_worker_mark_repeats(leat_worker *worker, const leat_engine_job *job)
{
    const leat_engine_batch *batch = &job->batch;
    if (!worker->repeats.has_keys || batch->dead || batch->hold)
        return;
    leat_repeats_begin(&worker->repeats, batch->record_count);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_engine_batch_record *record = &batch->records[i];
        if (record->skip || record->keep || !leat_idempotency_has_key(record->payload))
            continue;
        leat_repeat_kind kind = kind_of(worker, record);
        if (kind == LEAT_REPEAT_NOT)
            continue;
        leat_engine_repeat(worker->engine, job->id, i, kind == LEAT_REPEAT_OTHER);
        if (kind == LEAT_REPEAT_OTHER) {
            int status = leat_worker_fill_headers(worker, record->payload);
            LEAT_ASSERT(status == 0);
        }
    }
}

/* A gauge may be set by any thread. */
void leat_worker_idempotency_size(leat_worker *worker, uint32_t shard, uint64_t bytes)
{
    LEAT_ASSERT(shard < worker->shard_count);
    leat_gauge_set(worker->shards[shard].idempotency_bytes, (int64_t)bytes);
}

static const leat_engine_batch_part *part_of(const leat_engine_batch *batch, uint32_t partition)
{
    uint32_t i = 0;
    while (batch->parts[i].partition != partition)
        i++;
    LEAT_ASSERT(i < batch->part_count);
    return &batch->parts[i];
}

/* What is said of records that are not held any more would be kept until the next claim. */
static void learn(leat_worker *worker, const leat_engine_batch *batch,
                  const leat_engine_job_result *result)
{
    LEAT_ASSERT(result->known_count > 0);
    for (uint32_t i = 0; i < result->known_count; i++) {
        const leat_engine_known *known = &result->known[i];
        LEAT_ASSERT(known->record < batch->record_count);
        const leat_engine_batch_record *record = &batch->records[known->record];
        if (known->is_lost)
            leat_repeats_remove(&worker->repeats, record->partition, record->offset);
        else if (leat_engine_part_is_current(worker->engine, part_of(batch, record->partition)))
            leat_repeats_add(&worker->repeats, record->partition, record->offset,
                             known->is_conflict);
    }
}

static void forget(leat_worker *worker, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; batch->repeated > 0 && i < batch->record_count; i++)
        if (batch->records[i].repeat)
            leat_repeats_remove(&worker->repeats, batch->records[i].partition,
                                batch->records[i].offset);
}

void leat_worker_take_repeats(leat_worker *worker, uint32_t job_id,
                              const leat_engine_job_result *result)
{
    const leat_engine_job *job = worker->running[job_id];
    LEAT_ASSERT(job && job->id == job_id);
    if (job->kind == LEAT_ENGINE_JOB_CLAIM)
        leat_repeats_drop(&worker->repeats, job->partition);
    if (job->kind != LEAT_ENGINE_JOB_BATCH)
        return;
    if (result->outcome == LEAT_ENGINE_REPEATED)
        learn(worker, &job->batch, result);
    else if (result->outcome == LEAT_ENGINE_APPLIED)
        forget(worker, &job->batch);
}
