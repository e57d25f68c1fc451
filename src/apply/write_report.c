/*
 * write_report.c - what a committed batch did to each of its records, for requests of this process
 * that wait for one (record/write_waits.h). A sink answers APPLIED only when the batch's Sync has
 * arrived, so each record is then in the tables, or whatever else the batch says of it; that holds
 * for an answer that has become stale for the engine, too. Of every other outcome nothing is told:
 * a record that is parked, or tried again, is told of when it is decided, and what another process
 * decides is asked in the shard.
 *
 * Where commits do not wait for the disk, a batch in which somebody waits for a record does.
 */
#include "apply/worker_state.h"
#include "record/idempotency.h"

enum { TELL_AT_ONCE = 256 }; /* under the lock that requests of the edge wait for */

void leat_worker_note_run(leat_worker *worker, const leat_engine_job *job, int64_t now_us)
{
    LEAT_ASSERT(job->id < worker->jobs_max);
    worker->began_us[job->id] = now_us;
    worker->running[job->id] = job;
}

static bool is_wanted(const leat_worker *worker, const leat_engine_batch *batch)
{
    bool is = false;
    for (uint32_t i = 0; i < batch->part_count; i++)
        is = is || leat_write_waits_is_wanted(worker->config.writes, batch->parts[i].partition);
    return is;
}

static bool is_awaited(leat_write_waits *waits, const leat_engine_batch *batch)
{
    bool is = false;
    for (uint32_t i = 0; !is && i < batch->record_count;) {
        leat_write_waits_begin(waits);
        for (uint32_t left = TELL_AT_ONCE; !is && left > 0 && i < batch->record_count; left--, i++)
            is = leat_write_waits_wants(waits, batch->records[i].partition,
                                        batch->records[i].offset);
        leat_write_waits_end(waits);
    }
    return is;
}

void leat_worker_make_durable(leat_worker *worker, const leat_engine_job *job)
{
    leat_write_waits *waits = worker->config.writes;
    if (waits && worker->config.shards[job->shard].commits_async &&
        is_wanted(worker, &job->batch) && is_awaited(waits, &job->batch))
        leat_engine_make_durable(worker->engine, job->id);
}

/* Of a commit that is not durable nothing is told: who began to wait after it was sent asks
 * the shard (leat_shard_reporter_read_writes). */
static bool is_durable(const leat_worker *worker, const leat_engine_job *job)
{
    return !worker->config.shards[job->shard].commits_async || job->batch.is_durable;
}

static void tell(leat_write_waits *waits, const leat_engine_batch *batch,
                 const leat_engine_batch_record *record)
{
    const leat_engine_reason *reason = batch->dead ? batch->dead : batch->hold;
    leat_write_state state = batch->dead || record->conflict   ? LEAT_WRITE_DEAD_LETTER
                             : batch->hold                     ? LEAT_WRITE_HELD
                             : record->repeat                  ? LEAT_WRITE_APPLIED
                             : record->skip                    ? LEAT_WRITE_SKIPPED
                             : leat_engine_batch_keeps(record) ? LEAT_WRITE_HELD
                                                               : LEAT_WRITE_APPLIED;
    leat_write_waits_tell(waits, record->partition, record->offset, state,
                          reason ? reason->sqlstate : NULL,
                          reason                     ? reason->message
                          : record->conflict         ? leat_idempotency_conflict
                          : record->repeat           ? leat_idempotency_repeat
                          : state == LEAT_WRITE_HELD ? "an earlier write to this row is held"
                                                     : NULL);
}

void leat_worker_tell_writes(leat_worker *worker, uint32_t job_id,
                             const leat_engine_job_result *result)
{
    leat_write_waits *waits = worker->config.writes;
    const leat_engine_job *job = worker->running[job_id];
    LEAT_ASSERT(job && job->id == job_id);
    worker->running[job_id] = NULL;
    if (!waits || job->kind != LEAT_ENGINE_JOB_BATCH || result->outcome != LEAT_ENGINE_APPLIED ||
        !is_durable(worker, job) || !is_wanted(worker, &job->batch))
        return;
    for (uint32_t i = 0; i < job->batch.record_count;) {
        leat_write_waits_begin(waits);
        for (uint32_t left = TELL_AT_ONCE; left > 0 && i < job->batch.record_count; left--)
            tell(waits, &job->batch, &job->batch.records[i++]);
        leat_write_waits_end(waits);
    }
}
