/*
 * One job of the engine as one transaction, with the statements of schema.sql's protocol in the
 * order that PostgreSQL's functions have: first the claim is checked and the progress moved, then
 * the rows are written, so that a fenced job has written nothing. The job is copied before it goes
 * to the thread pool, because the engine lends its arrays and payloads for the call only. Records
 * are written in the log's order, across subpartitions too: a unique value may pass from row to
 * row.
 */
#include "sink/sqlite/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/arena.h"
#include "record/chunk.h"
#include "sink/sqlite/controls.h"
#include "sink/sqlite/dead_letter.h"
#include "sink/sqlite/parked.h"
#include "sink/sqlstate.h"

/* A record of the batch, copied. */
typedef struct job_record {
    leat_engine_batch_record at;
    leat_item item;
    uint32_t index;        /* in the engine's batch */
    leat_kept_letter kept; /* of one that is left out */
} job_record;

struct leat_sqlite_job {
    uint32_t id;
    leat_engine_job_kind kind;
    uint32_t partition;
    leat_engine_compaction compaction; /* its arrays are the job's, for all subpartitions */
    leat_engine_batch_part *parts;
    uint32_t part_count;
    job_record *records;
    uint32_t record_count;
    bool is_dead; /* the only record is kept as a dead letter */
    leat_engine_reason reason;
    uint16_t chunks_of;
    uint32_t chunk_count;
    leat_engine_chunk_step steps[LEAT_BATCH_CHUNKS_MAX];
    uint32_t cut_count;
    leat_engine_parked cuts[LEAT_BATCH_CUTS_MAX]; /* one chunk each, in `chunks` */
    leat_sink_chunks chunks;
    leat_engine_load load;
    leat_arena texts;

    leat_engine_job_result result;
    leat_engine_progress progress;
    leat_sqlite_parked parked;
    int64_t *numbers; /* of the arrays of compaction and progress */
    leat_sqlite_counts counts;
};

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
    leat_sink_chunks_free(&job->chunks);
    leat_sqlite_parked_free(&job->parked);
    leat_arena_fini(&job->texts);
    free(job);
}

/* ---- taking ---- */

/* An absent slice stays absent: a record without a key differs from one with an empty key. */
static int copy_slice(leat_sqlite_job *job, leat_slice *slice)
{
    if (!slice->data)
        return 0;
    char *copy = leat_arena_take(&job->texts, slice->size + 1);
    if (!copy)
        return -1;
    memcpy(copy, slice->data, slice->size);
    copy[slice->size] = '\0';
    slice->data = copy;
    return 0;
}

static int copy_key(leat_sqlite_job *job, leat_item *item)
{
    const leat_table *table = item->route ? item->route->table : NULL;
    for (uint32_t i = 0; table && i < table->key_count; i++)
        if (leat_value_is_text(table->columns[table->key_columns[i]].type) &&
            copy_slice(job, &item->key[i].text) != 0)
            return -1;
    return 0;
}

static int copy_record(leat_sqlite_job *job, const leat_engine_batch_record *from, uint32_t index)
{
    LEAT_ASSERT(index < job->record_count && from->payload);
    job_record *record = &job->records[index];
    leat_slice fault = leat_slice_of("");
    *record = (job_record){.at = *from, .item = *(const leat_item *)from->payload, .index = index};
    leat_item *item = &record->item;
    if (from->skip && item->control) {
        record->kept = (leat_kept_letter){item->control->id, item->control->keep, {.sqlstate = ""}};
        leat_control_describe(item->control, record->kept.reason.message,
                              sizeof record->kept.reason.message);
    }
    item->control = NULL;
    item->log_handle = NULL;
    item->owned = NULL;
    item->owned_headers = NULL;
    item->owned_record = NULL;
    item->canonical_key = (leat_slice){NULL, 0};
    if (item->fault)
        fault = leat_slice_of(item->fault);
    leat_slice *const slices[] = {&item->record.key, &item->record.value, &item->record.route,
                                  &item->record.op,  &item->headers,      &fault};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        if (copy_slice(job, slices[i]) != 0)
            return -1;
    if (item->fault)
        item->fault = (char *)(uintptr_t)fault.data;
    return copy_key(job, item);
}

/* In the order of the log, whatever the order of subpartitions: a value may pass from row to
 * row. */
static int compare_in_log(const void *a, const void *b)
{
    const leat_engine_batch_record *left = &((const job_record *)a)->at,
                                   *right = &((const job_record *)b)->at;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static int take_parts(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->part_count > 0 && batch->record_count > 0);
    free(job->parts);
    job->part_count = batch->part_count;
    job->parts = malloc(batch->part_count * sizeof *job->parts);
    if (!job->parts)
        return -1;
    memcpy(job->parts, batch->parts, batch->part_count * sizeof *job->parts);
    return 0;
}

static int take_batch(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    LEAT_ASSERT(!batch->dead || batch->record_count == 1);
    LEAT_ASSERT(batch->chunk_count <= LEAT_BATCH_CHUNKS_MAX);
    free(job->records);
    job->record_count = batch->record_count;
    job->records = calloc(batch->record_count, sizeof *job->records);
    if (!job->records || take_parts(job, batch) != 0)
        return -1;
    job->chunks_of = batch->chunks_of;
    job->chunk_count = batch->chunk_count;
    memcpy(job->steps, batch->chunks, batch->chunk_count * sizeof *job->steps);
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (copy_record(job, &batch->records[i], i) != 0)
            return -1;
    qsort(job->records, job->record_count, sizeof *job->records, compare_in_log);
    job->is_dead = batch->dead != NULL;
    if (job->is_dead)
        job->reason = *batch->dead;
    return 0;
}

/* The records become chunks at once, so nothing else of them is copied. */
static int take_park(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    leat_error error;
    LEAT_ASSERT(batch->part_count == 1);
    job->cut_count = batch->cut_count;
    for (uint32_t i = 0; i < batch->cut_count; i++) {
        const leat_engine_chunk_cut *cut = &batch->cuts[i];
        const leat_engine_batch_record *records = &batch->records[cut->first_record];
        job->cuts[i] = (leat_engine_parked){.subpartition = cut->subpartition,
                                            .chunks = 1,
                                            .first_offset = records[0].offset,
                                            .last_offset = records[cut->record_count - 1].offset,
                                            .records = cut->record_count};
    }
    return take_parts(job, batch) == 0 && leat_sink_chunks_write(&job->chunks, batch, &error) == 0
               ? 0
               : -1;
}

static void take_compaction(leat_sqlite_job *job, const leat_engine_compaction *from)
{
    LEAT_ASSERT(from->subpartitions == job->progress.subpartitions &&
                from->needs_count <= from->subpartitions);
    leat_engine_compaction copy = *from;
    copy.base_offsets = job->compaction.base_offsets;
    copy.needs = job->compaction.needs;
    memcpy(copy.base_offsets, from->base_offsets, from->subpartitions * sizeof *from->needs);
    memcpy(copy.needs, from->needs, from->needs_count * sizeof *from->needs);
    job->compaction = copy;
}

int leat_sqlite_job_take(leat_sqlite_job *job, const leat_engine_job *from)
{
    leat_arena_reset(&job->texts);
    job->id = from->id;
    job->kind = from->kind;
    job->partition = from->kind == LEAT_ENGINE_JOB_COMPACT ? from->compaction.partition
                                                           : from->partition;
    job->counts = (leat_sqlite_counts){0};
    job->result =
        (leat_engine_job_result){.bad_record = -1, .partition = -1, .catalog_read_us = INT64_MAX};
    if (from->kind == LEAT_ENGINE_JOB_COMPACT)
        take_compaction(job, &from->compaction);
    if (from->kind == LEAT_ENGINE_JOB_LOAD)
        job->load = from->load;
    return from->kind == LEAT_ENGINE_JOB_BATCH  ? take_batch(job, &from->batch)
           : from->kind == LEAT_ENGINE_JOB_PARK ? take_park(job, &from->batch)
                                                : 0;
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

/* The codes that leat.take, leat.advance and leat.unpark raise in PostgreSQL. */
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
    if (check_standing(job, runner, standing, job->partition) != 0)
        return -1;
    job->result.progress = &job->progress;
    job->result.parked = job->parked.totals;
    job->result.parked_count = job->parked.count;
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

static int write_rows(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    LEAT_ASSERT(!job->is_dead);
    int64_t catalog_read_us = leat_schema_versions_read_us(runner->schema_versions, runner->shard);
    const leat_routes *routes =
        &leat_schema_versions_newest(runner->schema_versions, runner->shard)->routes;
    leat_sqlite_fault fault;
    for (uint32_t i = 0; i < job->record_count; i++) {
        const job_record *record = &job->records[i];
        if (record->at.skip) {
            if (leat_sqlite_keep_letter(&runner->sqlite, runner->source_id, &record->at,
                                        &record->item, &record->kept) != 0)
                return fail_sqlite(job, runner, LEAT_SQL_LETTER);
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

static int run_load(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    leat_sqlite_standing standing = leat_sqlite_load(&runner->sqlite, runner->source_id,
                                                     job->partition, &job->load, &job->parked);
    if (check_standing(job, runner, standing, job->partition) != 0)
        return -1;
    job->result.chunk = &job->parked.chunk;
    return 0;
}

static int run_batch(leat_sqlite_job *job, leat_sqlite_runner *runner)
{
    if (advance_parts(job, runner) != 0 || empty_chunks(job, runner) != 0)
        return -1;
    if (!job->is_dead)
        return write_rows(job, runner);
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
                job->kind != LEAT_ENGINE_JOB_BATCH ? LEAT_SQL_OWN
                : job->is_dead                     ? LEAT_SQL_LETTER
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
    job->result.chunk = NULL;
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
