/*
 * world_jobs.c - the sink: jobs are executed at some time, answered at some later time, or neither,
 * or only the first.
 */
#include <stdlib.h>

#include "world.h"

void world_job_own(world_job *job)
{
    leat_engine_progress_init(&job->progress, job->progress_memory, TEST_SUBPARTITIONS);
    job->compaction.base_offsets = job->base_offsets;
    job->compaction.needs = job->needs;
}

static void run(test_world *world, world_job *job)
{
    job->result = (leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .catalog_read_us = INT64_MAX};
    const db_terms terms = {.dead = job->dead,
                            .hold = job->hold,
                            .is_look = job->is_look,
                            .catalog_read_us = world->catalog_read_us,
                            .now_us = world->now_us};
    if (job->kind == LEAT_ENGINE_JOB_PARK) {
        database_park(&world->db, &job->parts[0], job->cuts, job->cut_count, job->records,
                      job->record_count, &job->result);
    } else if (job->kind == LEAT_ENGINE_JOB_LOAD) {
        database_load(&world->db, job->partition, &job->load, &job->chunk, job->loaded,
                      &job->result);
        job->result.chunk = &job->chunk;
    } else if (job->kind == LEAT_ENGINE_JOB_BATCH && job->chunk_count > 0) {
        database_unpark(&world->db, &job->parts[0], job->chunks_of, job->chunks, job->chunk_count,
                        job->records, job->record_count, &terms, &job->result);
    } else if (job->kind == LEAT_ENGINE_JOB_BATCH && job->retry_key != 0) {
        database_retry(&world->db, &job->parts[0], job->retry_key, job->records, job->record_count,
                       &terms, &job->result);
    } else if (job->kind == LEAT_ENGINE_JOB_BATCH) {
        database_batch(&world->db, job->parts, job->part_count, job->records, job->record_count,
                       &terms, &job->result);
        /* A database need not name the partition. */
        if (job->result.outcome == LEAT_ENGINE_FENCED && world_chance(world, 5))
            job->result.partition = -1;
    } else if (job->kind == LEAT_ENGINE_JOB_CLAIM) {
        database_claim(&world->db, job->partition, job->claim, &job->progress);
        job->result.progress = &job->progress;
        job->result.parked_count = database_parked(&world->db, job->partition, job->parked);
        job->result.parked = job->parked;
        job->result.held_count =
            database_held(&world->db, job->partition, world->now_us, job->held_keys);
        job->result.held = job->held_keys;
    } else {
        database_compact(&world->db, &job->compaction, &job->result);
    }
    if (job->result.outcome == LEAT_ENGINE_APPLIED && world_chance(world, 4))
        database_snapshot(&world->db, job->shard, &world->prng);
}

void world_execute(test_world *world, uint32_t worker, world_job *job)
{
    (void)worker;
    LEAT_ASSERT(job->state == WORLD_JOB_SENT);
    run(world, job);
    job->state = WORLD_JOB_EXECUTED;
}

static void note_parked(world_sometimes *s, const world_job *job,
                        const leat_engine_job_result *result)
{
    bool applied = result->outcome == LEAT_ENGINE_APPLIED;
    bool unknown = result->outcome == LEAT_ENGINE_UNKNOWN;
    bool unparks = job->kind == LEAT_ENGINE_JOB_BATCH && job->chunk_count > 0;
    s->park_unknown += unknown && job->kind == LEAT_ENGINE_JOB_PARK;
    s->load_unknown += unknown && job->kind == LEAT_ENGINE_JOB_LOAD;
    s->unpark_unknown += unknown && unparks;
    s->parked += applied && job->kind == LEAT_ENGINE_JOB_PARK;
    s->unparked += applied && unparks;
    s->unparked_part += applied && unparks && job->chunks[job->chunk_count - 1].records_after > 0;
    s->unparked_many += applied && unparks && job->chunk_count > 1;
    s->unparked_dead += applied && unparks && job->dead;
    s->unparked_bad += !applied && !unknown && unparks;
}

static void note_keys(world_sometimes *s, const world_job *job,
                      const leat_engine_job_result *result)
{
    bool applied = result->outcome == LEAT_ENGINE_APPLIED;
    bool unknown = result->outcome == LEAT_ENGINE_UNKNOWN;
    bool retries = job->kind == LEAT_ENGINE_JOB_BATCH && job->retry_key != 0;
    for (uint32_t i = 0; i < job->record_count; i++) {
        s->kept += applied && job->records[i].keep;
        s->kept_parked += applied && job->records[i].keep && job->chunk_count > 0;
    }
    s->claimed_held += result->held_count > 0;
    s->key_turned += result->outcome == LEAT_ENGINE_KEY_TURNED;
    s->left_out += applied && job->is_look;
    s->retried += applied && retries && !job->is_look;
    s->retry_refused += !applied && !unknown && retries;
    s->retry_unknown += unknown && retries;
    s->key_let_go += applied && retries && !result->is_held;
}

static void note(test_world *world, const world_job *job, const leat_engine_job_result *result)
{
    world_sometimes *s = world->sometimes;
    s->fenced += result->outcome == LEAT_ENGINE_FENCED;
    s->went_back += result->outcome == LEAT_ENGINE_WENT_BACK;
    s->contention += result->outcome == LEAT_ENGINE_CONTENTION;
    s->outage += result->outcome == LEAT_ENGINE_OUTAGE;
    s->compacted += job->kind == LEAT_ENGINE_JOB_COMPACT && result->outcome == LEAT_ENGINE_APPLIED;
    s->claims_failed += job->kind == LEAT_ENGINE_JOB_CLAIM &&
                        result->outcome != LEAT_ENGINE_APPLIED;
    s->chunk_gone += result->outcome == LEAT_ENGINE_CHUNK_GONE;
    s->claimed_parked += result->parked_count > 0;
    note_parked(s, job, result);
    note_keys(s, job, result);
    s->alone_isolated += job->record_count == 1 && job->parts[0].count == 1 &&
                         result->outcome == LEAT_ENGINE_BAD_DATA;
}

/* The result for a record that is refused alone, and whether it may be given up for that. */
static void note_refusal(test_world *world, uint32_t worker, const world_job *job,
                         const leat_engine_job_result *result)
{
    bool refused = result->outcome == LEAT_ENGINE_BAD_DATA ||
                   result->outcome == LEAT_ENGINE_NOT_YET || result->outcome == LEAT_ENGINE_DRIFT ||
                   result->outcome == LEAT_ENGINE_RECORD_ERROR;
    if (job->kind != LEAT_ENGINE_JOB_BATCH || job->record_count != 1 || !refused)
        return;
    log_record *record = database_log(&world->db, &job->records[0]);
    if (!record->refused)
        record->refused_us = world->now_us;
    record->refused = true;
    bool looked = result->catalog_read_us == INT64_MAX ||
                  result->catalog_read_us > record->refused_us;
    bool waited = world->now_us - record->read_us[worker] >= world->config.patience_us;
    if (result->outcome != LEAT_ENGINE_DRIFT)
        record->may_die |= result->outcome == LEAT_ENGINE_BAD_DATA ? looked : waited;
    world->sometimes->not_yet += result->outcome == LEAT_ENGINE_NOT_YET && !waited;
    world->sometimes->looked += looked && result->catalog_read_us != INT64_MAX;
}

static void note_read(test_world *world, uint32_t worker, log_record *record)
{
    record->read_us[worker] = record->read_us[worker] > 0 ? record->read_us[worker] : world->now_us;
}

/* A worker has what is parked from its claim on, loaded or not. */
static void note_claimed(test_world *world, uint32_t worker, const world_job *job,
                         const leat_engine_job_result *result)
{
    log_partition *log = &world->log[job->partition];
    for (uint32_t i = 0; i < result->parked_count; i++)
        for (uint32_t k = 0; k < log->count; k++)
            if (log->records[k].subpartition == result->parked[i].subpartition &&
                log->records[k].offset > result->parked[i].done &&
                log->records[k].offset <= result->parked[i].last_offset)
                note_read(world, worker, &log->records[k]);
}

/* Tells the engine; of a load with its records. */
static void tell(test_world *world, uint32_t worker, const world_job *job,
                 const leat_engine_job_result *result)
{
    world_worker *w = &world->workers[worker];
    leat_engine_record records[DB_RECORDS];
    leat_engine_job_result with_records = *result;
    bool brings = job->kind == LEAT_ENGINE_JOB_LOAD && result->outcome == LEAT_ENGINE_APPLIED;
    with_records.loaded = records;
    with_records.left_out = world_chance(world, 2) ? result->loaded_count
                                                   : world_below(world, result->loaded_count + 1);
    for (uint32_t i = 0; brings && i < result->loaded_count; i++) {
        log_record *from = &world->log[job->partition].records[job->loaded[i]];
        records[i] = world_record(from, job->partition);
        note_read(world, worker, from);
    }
    uint32_t taken = leat_engine_job_done(w->engine, world->now_us, job->id, &with_records);
    w->payloads += taken;
    world->sometimes->loads += taken > 0;
    world->sometimes->loads_stale += brings && taken == 0;
    for (uint32_t i = taken; brings && i < result->loaded_count; i++)
        free(records[i].payload);
}

void world_answer(test_world *world, uint32_t worker, world_job *job,
                  const leat_engine_job_result *result)
{
    world_worker *w = &world->workers[worker];
    note(world, job, result);
    note_refusal(world, worker, job, result);
    note_claimed(world, worker, job, result);
    if (job->kind == LEAT_ENGINE_JOB_BATCH && result->outcome == LEAT_ENGINE_UNKNOWN) {
        for (uint32_t i = 0; i < job->part_count; i++) {
            uint32_t id = job->parts[i].partition;
            const leat_engine_claim *sent = &world->sent_claim[worker][id];
            bool same = true;
            for (size_t j = 0; j < sizeof sent->token; j++)
                same = same && sent->token[j] == job->parts[i].claim.token[j];
            world->dead_claim[worker][id] |= same;
        }
    }
    uint64_t stale = leat_engine_count(w->engine)->batches_stale;
    job->state = WORLD_JOB_NONE;
    tell(world, worker, job, result);
    world->sometimes->stale += leat_engine_count(w->engine)->batches_stale > stale;
    world_settle(world, worker);
}

void world_break(test_world *world, uint32_t worker, world_job *job)
{
    world_sometimes *s = world->sometimes;
    bool applied = job->state == WORLD_JOB_EXECUTED && job->result.outcome == LEAT_ENGINE_APPLIED;
    bool late = job->state == WORLD_JOB_SENT && !world->calm && world_chance(world, 2);
    for (uint32_t i = 0; i < GHOSTS && late; i++) {
        if (world->ghosts[i].state == WORLD_JOB_NONE) {
            world->ghosts[i] = *job;
            world_job_own(&world->ghosts[i]);
            s->unknown_late++;
            break;
        }
    }
    s->unknown_applied += applied;
    s->unknown_never += !applied && !late;
    leat_engine_job_result result = {
        .outcome = LEAT_ENGINE_UNKNOWN, .bad_record = -1, .partition = -1};
    world_answer(world, worker, job, &result);
}

void world_ghost(test_world *world, world_job *ghost)
{
    run(world, ghost);
    world->sometimes->late_done += ghost->result.outcome == LEAT_ENGINE_APPLIED &&
                                   ghost->kind == LEAT_ENGINE_JOB_BATCH;
    world->sometimes->late_refused += ghost->result.outcome == LEAT_ENGINE_FENCED;
    ghost->state = WORLD_JOB_NONE;
}
