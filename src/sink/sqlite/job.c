/*
 * One job of the engine as one transaction, with the statements of schema.sql's protocol in the
 * order that PostgreSQL's functions have: first the claim is checked and the progress moved, then
 * the rows are written, so that a fenced job has written nothing. Records are written in the log's
 * order, across subpartitions too: a unique value may pass from row to row.
 */
#include "sink/sqlite/job_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/chunk.h"
#include "record/idempotency.h"
#include "sink/sqlite/controls.h"
#include "sink/sqlstate.h"

leat_sqlite_job *leat_sqlite_job_new(uint32_t subpartitions)
{
    leat_sqlite_job *job = leat_must_calloc(1, sizeof *job);
    job->numbers = leat_must_calloc(4 * (size_t)subpartitions, sizeof *job->numbers);
    leat_engine_progress_init(&job->progress, job->numbers, subpartitions);
    job->compaction.base_offsets = job->numbers + 2 * (size_t)subpartitions;
    job->compaction.needs = job->numbers + 3 * (size_t)subpartitions;
    return job;
}

void leat_sqlite_job_free(leat_sqlite_job *job)
{
    if (!job)
        return;
    free(job->parts);
    free(job->numbers);
    free(job->records);
    free(job->offsets);
    leat_buf_free(&job->kept_bytes);
    leat_sqlite_keys_free(&job->keys);
    leat_sink_chunks_free(&job->chunks);
    leat_sqlite_parked_free(&job->parked);
    leat_arena_fini(&job->texts);
    free(job);
}

/* ---- running ---- */

static void fail(leat_sqlite_job *job, leat_engine_outcome outcome, const char *sqlstate,
                 const char *message)
{
    LEAT_ASSERT(outcome != LEAT_ENGINE_APPLIED);
    job->result.outcome = outcome;
    snprintf(job->result.sqlstate, sizeof job->result.sqlstate, "%s", sqlstate);
    snprintf(job->result.message, sizeof job->result.message, "%s", message);
}

static int fail_sqlite(leat_sqlite_job *job, const leat_sqlite_runner *runner, leat_sql_part part)
{
    const char *sqlstate = leat_sqlite_sqlstate(sqlite3_extended_errcode(runner->sqlite.db));
    leat_sql_error error = {.sqlstate = sqlstate, .severity = "ERROR"};
    fail(job, leat_sqlstate_outcome(&error, part), sqlstate, sqlite3_errmsg(runner->sqlite.db));
    return -1;
}

/* The codes that the functions of schema leat raise in PostgreSQL. */
static int check_standing(leat_sqlite_job *job, const leat_sqlite_runner *runner,
                          leat_sqlite_standing standing, uint32_t partition)
{
    static const struct {
        leat_engine_outcome outcome;
        const char *sqlstate;
        bool names_partition;
    } meanings[] = {
        [LEAT_SQLITE_FENCED] = {LEAT_ENGINE_FENCED, "LT001", true},
        [LEAT_SQLITE_WENT_BACK] = {LEAT_ENGINE_WENT_BACK, "LT002", true},
        [LEAT_SQLITE_GONE] = {LEAT_ENGINE_CHUNK_GONE, "LT009", true},
        [LEAT_SQLITE_TURNED] = {LEAT_ENGINE_KEY_TURNED, "LT007", true},
        [LEAT_SQLITE_ABSENT] = {LEAT_ENGINE_NOT_UNDERSTOOD, "LT004", false},
    };
    char message[128];
    if (standing == LEAT_SQLITE_STANDS)
        return 0;
    if (standing == LEAT_SQLITE_FAILED)
        return fail_sqlite(job, runner, LEAT_SQL_OWN);
    snprintf(message, sizeof message, "partition %u %s", partition,
             leat_sqlite_standing_text(standing));
    fail(job, meanings[standing].outcome, meanings[standing].sqlstate, message);
    job->result.partition = meanings[standing].names_partition ? (int32_t)partition : -1;
    return -1;
}

/* A claim reads the controls in its own transaction. */
static int read_controls(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    leat_error error;
    int64_t read_us = leat_mono_us();
    leat_control_set *set = leat_sqlite_read_controls(&runner->sqlite, runner->source_id, &error);
    if (!set)
        return fail_sqlite(job, runner, LEAT_SQL_OWN);
    leat_controls_publish(runner->controls, runner->shard, set, read_us);
    return 0;
}

static int run_claim(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    LEAT_ASSERT(job->kind == LEAT_ENGINE_JOB_CLAIM);
    leat_sqlite_standing standing =
        leat_sqlite_claim(&runner->sqlite, runner->source_id, job->partition, &job->progress);
    if (standing == LEAT_SQLITE_STANDS)
        standing = leat_sqlite_read_totals(&runner->sqlite, runner->source_id, job->partition,
                                           &job->parked);
    if (standing == LEAT_SQLITE_STANDS)
        standing = leat_sqlite_read_held(&runner->sqlite, runner->source_id, &runner->placement,
                                         job->partition, &job->keys);
    if (check_standing(job, runner, standing, job->partition) != 0)
        return -1;
    if (leat_sqlite_keep_lifetime(&runner->sqlite, runner->source_id, runner->idempotency_ms) != 0)
        return fail_sqlite(job, runner, LEAT_SQL_OWN);
    job->result.progress = &job->progress;
    job->result.parked = job->parked.totals;
    job->result.parked_count = job->parked.count;
    job->result.held = job->keys.held;
    job->result.held_count = job->keys.held_count;
    return runner->controls ? read_controls(job, runner) : 0;
}

static int run_compaction(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    LEAT_ASSERT(job->kind == LEAT_ENGINE_JOB_COMPACT);
    leat_sqlite_standing standing =
        leat_sqlite_compact(&runner->sqlite, runner->source_id, &job->compaction);
    return check_standing(job, runner, standing, job->partition);
}

static int advance_parts(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    LEAT_ASSERT(job->part_count > 0);
    for (uint32_t i = 0; i < job->part_count; i++) {
        leat_sqlite_standing standing =
            leat_sqlite_advance(&runner->sqlite, runner->source_id, &job->parts[i]);
        if (check_standing(job, runner, standing, job->parts[i].partition) != 0)
            return -1;
    }
    return 0;
}

static int refuse_record(leat_sqlite_job *job, leat_sqlite_runner *runner, const job_record *record,
                         const leat_sqlite_fault *fault, int64_t catalog_read_us)
{
    fail(job, fault->outcome, fault->sqlstate, fault->error.text);
    job->result.bad_record = (int32_t)record->index;
    if (fault->relies_on_table)
        job->result.catalog_read_us = catalog_read_us;
    if (fault->relies_on_table || fault->outcome == LEAT_ENGINE_DRIFT)
        leat_schema_versions_request_read(runner->schema_versions);
    return -1;
}

/* Notes the idempotency keys of what is written. Those that are known are told, and then the batch
 * is sent again without them. That still holds then: a file takes nothing back from a process that
 * has it open. */
static int note_keys(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    job->result.known = job->known;
    for (uint32_t i = 0; i < job->record_count; i++) {
        const job_record *record = &job->records[i];
        if (record->at.skip || record->at.keep || !leat_idempotency_has_key(&record->item))
            continue;
        leat_sqlite_noted noted = leat_sqlite_note(&runner->sqlite, &record->item);
        if (noted == LEAT_SQLITE_NOTE_FAILED)
            return fail_sqlite(job, runner, LEAT_SQL_OWN);
        if (noted != LEAT_SQLITE_NOTED && job->result.known_count < LEAT_SQLITE_KNOWN_MAX)
            job->known[job->result.known_count++] =
                (leat_engine_known){record->index, noted == LEAT_SQLITE_CONFLICT};
    }
    if (job->result.known_count == 0)
        return 0;
    fail(job, LEAT_ENGINE_REPEATED, "LT010", "writes with these idempotency keys are applied");
    return -1;
}

/* What is kept of a record that is not written. */
static int write_letter(leat_sqlite_job *job, leat_sqlite_runner *runner, const job_record *record)
{
    leat_engine_reason reason = {.sqlstate = ""};
    int status;
    if (record->at.repeat && !record->at.conflict)
        return 0;
    snprintf(reason.message, sizeof reason.message, "%s", leat_idempotency_conflict);
    if (record->at.conflict)
        status = leat_sqlite_store_dead_letter(&runner->sqlite, runner->source_id, &record->at,
                                               &record->item, &reason);
    else
        status = leat_sqlite_keep_letter(&runner->sqlite, runner->source_id, &record->at,
                                         &record->item, &record->kept);
    return status == 0 ? 0 : fail_sqlite(job, runner, LEAT_SQL_LETTER);
}

static int write_rows(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    LEAT_ASSERT(!job->is_dead);
    int64_t catalog_read_us = leat_schema_versions_read_us(runner->schema_versions, runner->shard);
    const leat_routes *routes =
        &leat_schema_versions_newest(runner->schema_versions, runner->shard)->routes;
    leat_sqlite_fault fault;
    for (uint32_t i = 0; i < job->record_count; i++) {
        const job_record *record = &job->records[i];
        if (leat_engine_batch_keeps(&record->at))
            continue;
        if (record->at.skip) {
            if (write_letter(job, runner, record) != 0)
                return -1;
            continue;
        }
        if (leat_sqlite_rows_write(runner->rows, &runner->sqlite, routes, &record->item,
                                   &job->counts, &fault) != 0)
            return refuse_record(job, runner, record, &fault, catalog_read_us);
    }
    return 0;
}

/* Before any row is written. */
static int empty_chunks(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        leat_sqlite_standing standing = leat_sqlite_unpark(&runner->sqlite, runner->source_id,
                                                           job->parts[0].partition, job->chunks_of,
                                                           &job->steps[i]);
        if (check_standing(job, runner, standing, job->parts[0].partition) != 0)
            return -1;
    }
    return 0;
}

static int run_park(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    uint32_t partition = job->parts[0].partition;
    if (advance_parts(job, runner) != 0)
        return -1;
    for (uint32_t i = 0; i < job->cut_count; i++) {
        leat_engine_parked what = job->cuts[i];
        what.oldest_ms = job->chunks.oldest_ms[i];
        leat_sqlite_standing standing = leat_sqlite_park(&runner->sqlite, runner->source_id,
                                                         partition, &what, LEAT_CHUNK_FORMAT,
                                                         leat_sink_chunks_at(&job->chunks, i));
        if (check_standing(job, runner, standing, partition) != 0)
            return -1;
    }
    job->result.parked_bytes = job->chunks.bytes.size;
    return 0;
}

/* What a batch does about held keys, before any row is written. */
static int run_keys(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    leat_sqlite *sqlite = &runner->sqlite;
    for (uint32_t i = 0; i < job->record_count; i++) {
        const job_record *record = &job->records[i];
        leat_sqlite_standing standing = LEAT_SQLITE_STANDS;
        if (job->is_hold)
            standing = leat_sqlite_hold(sqlite, runner->source_id, &record->held, &job->reason,
                                        &record->kept_record);
        else if (leat_engine_batch_keeps(&record->at))
            standing = leat_sqlite_keep(sqlite, runner->source_id, &record->kept_record);
        if (check_standing(job, runner, standing, record->at.partition) != 0)
            return -1;
    }
    return 0;
}

/* After them. */
static int end_retry(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    uint32_t partition = job->parts[0].partition;
    leat_sqlite_standing standing = leat_sqlite_retried(&runner->sqlite, runner->source_id,
                                                        partition, job->retry_key, job->offsets,
                                                        job->record_count, &job->result.is_held);
    return check_standing(job, runner, standing, partition);
}

static int run_load_kept(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    leat_sqlite_standing standing = leat_sqlite_load_kept(&runner->sqlite, runner->source_id,
                                                          job->partition, &job->load, &job->keys);
    if (check_standing(job, runner, standing, job->partition) != 0)
        return -1;
    job->result.kept = job->keys.kept;
    job->result.kept_count = job->keys.kept_count;
    return 0;
}

static int run_load(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    if (job->load.key)
        return run_load_kept(job, runner);
    leat_sqlite_standing standing = leat_sqlite_load(&runner->sqlite, runner->source_id,
                                                     job->partition, &job->load, &job->parked);
    if (check_standing(job, runner, standing, job->partition) != 0)
        return -1;
    job->result.chunk = &job->parked.chunk;
    return 0;
}

static int run_batch(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    if (advance_parts(job, runner) != 0 || empty_chunks(job, runner) != 0 ||
        run_keys(job, runner) != 0)
        return -1;
    if (job->is_hold)
        return 0;
    if (!job->is_dead && (note_keys(job, runner) != 0 || write_rows(job, runner) != 0))
        return -1;
    if (!job->is_dead)
        return job->retry_key ? end_retry(job, runner) : 0;
    const job_record *only = &job->records[0];
    return leat_sqlite_store_dead_letter(&runner->sqlite, runner->source_id, &only->at, &only->item,
                                         &job->reason) == 0
               ? 0
               : fail_sqlite(job, runner, LEAT_SQL_LETTER);
}

/* A COMMIT that fails may have happened all the same if the disk failed. */
static void commit(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    LEAT_ASSERT(!sqlite3_get_autocommit(runner->sqlite.db));
    if (sqlite3_exec(runner->sqlite.db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
        job->result.outcome = LEAT_ENGINE_APPLIED;
        return;
    }
    int code = sqlite3_extended_errcode(runner->sqlite.db) & 0xff;
    fail_sqlite(job, runner,
                job->kind != LEAT_ENGINE_JOB_BATCH || job->is_hold ? LEAT_SQL_OWN
                : job->is_dead                                     ? LEAT_SQL_LETTER
                                                                   : LEAT_SQL_ROWS);
    if (code == SQLITE_IOERR || code == SQLITE_CORRUPT)
        job->result.outcome = LEAT_ENGINE_UNKNOWN;
}

static void roll_back(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    if (!sqlite3_get_autocommit(runner->sqlite.db))
        sqlite3_exec(runner->sqlite.db, "ROLLBACK", NULL, NULL, NULL);
    job->counts = (leat_sqlite_counts){0};
    job->result.progress = NULL;
    job->result.parked = NULL;
    job->result.parked_count = 0;
    job->result.parked_bytes = 0;
    job->result.held = NULL;
    job->result.kept = job->result.chunk = NULL;
    job->result.held_count = job->result.kept_count = 0;
    job->result.is_held = false;
}

void leat_sqlite_job_run(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    LEAT_ASSERT(runner->sqlite.db && sqlite3_get_autocommit(runner->sqlite.db));
    static int (*const run[])(leat_sqlite_job *, leat_sqlite_runner *) = {
        [LEAT_ENGINE_JOB_CLAIM] = run_claim,        [LEAT_ENGINE_JOB_BATCH] = run_batch,
        [LEAT_ENGINE_JOB_COMPACT] = run_compaction, [LEAT_ENGINE_JOB_PARK] = run_park,
        [LEAT_ENGINE_JOB_LOAD] = run_load,
    };
    if (sqlite3_exec(runner->sqlite.db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        fail_sqlite(job, runner, LEAT_SQL_OWN);
    else if (run[job->kind](job, runner) == 0)
        commit(job, runner);
    if (job->result.outcome != LEAT_ENGINE_APPLIED)
        roll_back(job, runner);
}

uint32_t leat_sqlite_job_id(const leat_sqlite_job *job)
{
    return job->id;
}

const leat_engine_job_result *leat_sqlite_job_result(const leat_sqlite_job *job)
{
    return &job->result;
}

const leat_sqlite_counts *leat_sqlite_job_counts(const leat_sqlite_job *job)
{
    return &job->counts;
}
