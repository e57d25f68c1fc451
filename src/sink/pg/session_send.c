/*
 * session_send.c - the commands of a job, sent as one pipeline with one Sync: one round trip, and
 * one transaction without BEGIN and COMMIT. A batch is leat.advance for each of its partitions,
 * which checks the claim, and then its row statements; any error rolls all of it back. Statements
 * are prepared in the pipeline that first uses them, so a new one costs no round trip either. A
 * message that cannot be queued (out of memory) breaks the connection: half a pipeline must never
 * be committed.
 */
#include "sink/pg/session_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/pg/calls.h"
#include "sink/pg/controls.h"
#include "sink/pg/parked.h"

static int reserve_commands(leat_pg_session *session, size_t count)
{
    if (count <= session->command_capacity)
        return 0;
    job_command *grown = realloc(session->commands, 2 * count * sizeof *grown);
    if (!grown)
        return -1;
    session->commands = grown;
    session->command_capacity = (uint32_t)(2 * count);
    return 0;
}

static void note_command(leat_pg_session *session, command_kind kind, uint32_t statement)
{
    LEAT_ASSERT(session->command_count < session->command_capacity);
    session->commands[session->command_count++] =
        (job_command){.kind = kind, .statement = statement};
}

void leat_pg_session_query(leat_pg_session *session, command_kind kind, const char *sql)
{
    leat_pg_params *params = &session->params;
    if (leat_pg_params_end(params) < 0) {
        leat_pg_conn_break(session->conn, "out of memory");
        return;
    }
    note_command(session, kind, 0);
    leat_pg_conn_query(session->conn, sql, params->count, params->values, params->sizes);
}

static void send_sync(leat_pg_session *session)
{
    note_command(session, COMMAND_SYNC, 0);
    leat_pg_session_enter(session, SESSION_SENT);
    leat_pg_conn_sync(session->conn);
}

/* BEGIN ISOLATION LEVEL will not do: an error would leave the block open after the Sync. Nor will
 * SET TRANSACTION: outside a block the server writes a warning to its log each time. Setting the
 * variable itself works silently until the first snapshot is taken, and ends with the
 * transaction. */
static void send_isolation(leat_pg_session *session)
{
    session->sets_isolation = session->shared->needs_isolation;
    if (!session->sets_isolation)
        return;
    leat_pg_params_begin(&session->params);
    leat_pg_session_query(session, COMMAND_ISOLATION,
                          "SET transaction_isolation = 'read committed'");
}

static void begin_pipeline(leat_pg_session *session)
{
    LEAT_ASSERT(session->state == SESSION_IDLE);
    session->command_count = 0;
    session->answered = 0;
    session->is_nameless = session->shared->is_nameless;
    send_isolation(session);
    if (session->forget)
        memset(session->prepared, UNPREPARED, sizeof session->prepared);
    session->forget = false;
}

/* Prepares the statement where the connection does not have it yet, in the pipeline that uses
 * it. */
static void prepare(leat_pg_session *session, uint32_t statement, const char *sql,
                    char ret_name[NAME_SIZE])
{
    LEAT_ASSERT(statement < STATEMENTS_MAX);
    bool is_new = session->prepared[statement] == UNPREPARED;
    if (is_new)
        session->names[statement] = ++session->parses;
    snprintf(ret_name, NAME_SIZE, "leat_%016" PRIx64 "_%" PRIu32, session->name_key,
             session->names[statement]);
    if (!is_new)
        return;
    session->prepared[statement] = PREPARE_SENT;
    note_command(session, COMMAND_PREPARE, statement);
    leat_pg_conn_prepare(session->conn, ret_name, sql);
}

/* Sends a statement by its name, or with its text where names do not last. */
static void send_statement(leat_pg_session *session, job_command command, const char *sql,
                           uint32_t count, const char *const *values, const int *sizes)
{
    char name[NAME_SIZE];
    if (!session->is_nameless)
        prepare(session, command.statement, sql, name);
    note_command(session, command.kind, command.statement);
    session->commands[session->command_count - 1].partition = command.partition;
    if (session->is_nameless)
        leat_pg_conn_query(session->conn, sql, count, values, sizes);
    else
        leat_pg_conn_execute(session->conn, name, count, values, sizes);
}

void leat_pg_session_call(leat_pg_session *session, job_command command, const char *sql)
{
    leat_pg_params *params = &session->params;
    if (leat_pg_params_end(params) < 0)
        leat_pg_conn_break(session->conn, "out of memory");
    else
        send_statement(session, command, sql, params->count, params->values, params->sizes);
}

/* Index into the statements with columns about the server. */
static bool has_timeline(const leat_pg_session *session)
{
    return leat_pg_conn_server(session->conn)->timeline[0] != '\0';
}

static void send_advance(leat_pg_session *session, const leat_engine_batch_part *part,
                         int64_t lock_timeout_ms, bool is_async)
{
    LEAT_ASSERT(part->count <= LEAT_PART_SUBPARTITIONS_MAX);
    leat_pg_params *params = &session->params;
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, session->shared->source_id);
    leat_pg_params_int4(params, (int32_t)part->partition);
    leat_pg_params_uuid(params, part->claim.token);
    leat_pg_params_int8(params, part->seq);
    leat_pg_params_int2s(params, part->subpartitions, part->count);
    leat_pg_params_int8s(params, part->offsets, part->count);
    leat_pg_params_int8(params, part->newest.at_ms);
    leat_pg_params_int4(params, part->newest.epoch);
    leat_pg_params_int8s(params, part->needs, part->needs_count);
    leat_pg_params_int4(params, (int32_t)lock_timeout_ms);
    uint32_t number = is_async ? ADVANCE_ASYNC_NUMBER : ADVANCE_NUMBER;
    leat_pg_session_call(session, (job_command){COMMAND_ADVANCE, number, part->partition},
                         (is_async ? advance_async_sql : advance_sql)[has_timeline(session)]);
}

/* For the statements after it; leat.advance needs none, since it waits for nothing but a lock. */
static void send_statement_timeout(leat_pg_session *session, int64_t timeout_ms)
{
    leat_pg_params *params = &session->params;
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, (int32_t)timeout_ms);
    leat_pg_session_query(session, COMMAND_SETTINGS, statement_timeout_sql);
}

/* Counts the rows that the row statement will drop; it must come first, because that statement does
 * not show them. */
static void send_missing(leat_pg_session *session, uint32_t at, uint32_t statement)
{
    const char *sql = leat_shapes_missing_sql(session->shapes, statement);
    if (!sql)
        return;
    leat_row_statement rows;
    if (leat_rows_missing(session->shared->rows, at, &rows) < 0) {
        leat_pg_conn_break(session->conn, "out of memory");
        return;
    }
    uint32_t number = MISSING_NUMBERS + rows.shape.route->index;
    send_statement(session, (job_command){.kind = COMMAND_MISSING, .statement = number}, sql,
                   rows.param_count, rows.values, rows.sizes);
}

/* leat.advance has set the planner's settings for the first row statement, and each row statement
 * restores the session's own before it writes. */
static void send_settings(leat_pg_session *session, uint32_t at, const leat_shape *shape)
{
    LEAT_ASSERT(at < leat_rows_statement_count(session->shared->rows));
    bool is_plain = leat_shape_is_planned_plainly(shape);
    if (at == 0 && !is_plain)
        return;
    job_command command = {.kind = COMMAND_SETTINGS,
                           .statement = is_plain ? PLAN_PLAINLY_NUMBER : PLAN_ROWS_NUMBER};
    send_statement(session, command, is_plain ? plan_plainly_sql : plan_rows_sql, 0, NULL, NULL);
}

static void send_rows(leat_pg_session *session, uint32_t at)
{
    LEAT_ASSERT(at < leat_rows_statement_count(session->shared->rows));
    leat_pg_shared *shared = session->shared;
    leat_shape shape;
    leat_row_statement rows;
    int statement = leat_shapes_find(session->shapes, leat_rows_shape(shared->rows, at), &shape);
    if (statement >= 0) {
        send_settings(session, at, &shape);
        send_missing(session, at, (uint32_t)statement);
    }
    if (statement < 0 || leat_rows_statement(shared->rows, at, shape, &rows) < 0) {
        leat_pg_conn_break(session->conn, "out of memory");
        return;
    }
    send_statement(session, (job_command){.kind = COMMAND_ROWS, .statement = (uint32_t)statement},
                   leat_shapes_sql(session->shapes, (uint32_t)statement), rows.param_count,
                   rows.values, rows.sizes);
    shared->counters.statements++;
}

/* The job is over before anything was sent. */
static void end_unsent(leat_pg_session *session, leat_engine_outcome outcome, const char *message)
{
    LEAT_ASSERT(session->state == SESSION_IDLE);
    leat_pg_session_fail(session, outcome, "", message);
    session->result.is_unsent = true;
    leat_pg_session_enter(session, SESSION_OVER);
}

/* What a batch begins with, whatever it does to rows: its progress, the check of the chunks that
 * its records come from, and what it does about held keys. `statements`: the most commands that
 * follow it, without the Sync. False: out of memory, and the job is over. */
static bool begin_batch(leat_pg_session *session, const leat_engine_batch *batch, size_t statements)
{
    enum { UNPARK_COMMANDS = 2 };
    if (reserve_commands(session, batch->part_count + UNPARK_COMMANDS +
                                      leat_pg_session_keys_most(batch) + statements +
                                      COMMANDS_FEW) < 0) {
        end_unsent(session, LEAT_ENGINE_OUTAGE, "out of memory");
        return false;
    }
    int64_t lock_timeout_ms = batch->lock_timeout_ms > 0 ? batch->lock_timeout_ms
                                                         : session->shared->lock_timeout_ms;
    bool is_async = session->shared->commits_async && !batch->is_durable;
    begin_pipeline(session);
    for (uint32_t i = 0; i < batch->part_count; i++)
        send_advance(session, &batch->parts[i], lock_timeout_ms, is_async);
    if (session->direct)
        leat_pg_session_send_enter(session, lock_timeout_ms);
    if (batch->chunk_count > 0) {
        leat_pg_unpark_params(&session->params, session->shared->source_id, batch);
        leat_pg_session_call(session,
                             (job_command){.kind = COMMAND_UNPARK, .statement = UNPARK_NUMBER},
                             leat_pg_unpark_sql);
    }
    if (batch->statement_timeout_ms > 0)
        send_statement_timeout(session, batch->statement_timeout_ms);
    leat_pg_session_send_keys(session, batch, lock_timeout_ms);
    return true;
}

static void start_dead_letter(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->dead);
    if (!begin_batch(session, batch, 0))
        return;
    leat_pg_session_send_letter(session, batch);
    send_sync(session);
}

/* Its only record is kept already. */
static void start_hold(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->hold && !batch->dead && batch->record_count == 1);
    if (begin_batch(session, batch, 0))
        send_sync(session);
}

/* Every table version has shapes of its own, since a shape points into it. */
static void take_newest_routes(leat_pg_shared *shared)
{
    const leat_routes *newest =
        &leat_schema_versions_newest(shared->schema_versions, shared->shard)->routes;
    LEAT_ASSERT(newest);
    if (newest == shared->routes)
        return;
    leat_shapes_drop(shared->shapes);
    shared->shapes = leat_shapes_new();
    shared->routes = newest;
}

static void use_shapes(leat_pg_session *session, leat_shapes *shapes)
{
    LEAT_ASSERT(shapes);
    if (session->shapes == shapes)
        return;
    session->forget = session->forget || session->shapes;
    leat_shapes_drop(session->shapes);
    session->shapes = leat_shapes_hold(shapes);
}

/* Another version of the table might have taken the record, so the catalog is read first; the
 * engine decides about the record only when that read is newer than this one. */
static void end_unbuilt(leat_pg_session *session, const leat_rows_fault *fault,
                        int64_t catalog_read_us)
{
    LEAT_ASSERT(fault->outcome != LEAT_ENGINE_APPLIED);
    end_unsent(session, fault->outcome, fault->error.text);
    session->result.bad_record = fault->bad_record;
    if (!fault->relies_on_table)
        return;
    session->result.catalog_read_us = catalog_read_us;
    leat_schema_versions_request_read(session->shared->schema_versions);
}

static void start_rows(leat_pg_session *session, const leat_engine_batch *batch)
{
    leat_pg_shared *shared = session->shared;
    leat_rows_fault fault = {0};
    int64_t catalog_read_us = leat_schema_versions_read_us(shared->schema_versions, shared->shard);
    take_newest_routes(shared);
    use_shapes(session, shared->shapes);
    if (leat_rows_build(shared->rows, batch, shared->routes, &fault) < 0) {
        end_unbuilt(session, &fault, catalog_read_us);
        return;
    }
    uint32_t statement_count = leat_rows_statement_count(shared->rows);
    session->row_count = leat_rows_count(shared->rows);
    if (!begin_batch(session, batch, 6 * (size_t)statement_count + batch->skipped))
        return;
    leat_pg_session_send_notes(session, batch);
    for (uint32_t i = 0; i < statement_count; i++)
        send_rows(session, i);
    leat_pg_session_send_left_out(session, batch);
    if (batch->retry_key)
        leat_pg_session_send_retried(session, batch);
    send_sync(session);
}

static void start_park(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(!batch->dead && batch->chunk_count == 0);
    leat_sink_chunks chunks = {0};
    leat_error error;
    if (leat_sink_chunks_write(&chunks, batch, &error) != 0) {
        end_unsent(session, LEAT_ENGINE_OUTAGE, error.text);
    } else if (begin_batch(session, batch, 2 * (size_t)batch->cut_count)) {
        session->result.parked_bytes = chunks.bytes.size;
        for (uint32_t i = 0; i < batch->cut_count; i++) {
            leat_pg_park_params(&session->params, session->shared->source_id, batch, &chunks, i);
            leat_pg_session_call(session,
                                 (job_command){.kind = COMMAND_PARK, .statement = PARK_NUMBER},
                                 leat_pg_park_sql);
        }
        send_sync(session);
    }
    leat_sink_chunks_free(&chunks);
}

static void start_load(leat_pg_session *session, const leat_engine_load *load)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_LOAD);
    int32_t source_id = session->shared->source_id;
    begin_pipeline(session);
    if (load->key) {
        leat_pg_kept_params(&session->params, source_id, session->partition, load);
        leat_pg_session_query(session, COMMAND_KEPT, leat_pg_kept_sql[has_timeline(session)]);
    } else {
        leat_pg_load_params(&session->params, source_id, session->partition, load);
        leat_pg_session_call(session, (job_command){.kind = COMMAND_LOAD, .statement = LOAD_NUMBER},
                             leat_pg_load_sql[has_timeline(session)]);
    }
    send_sync(session);
}

static void start_claim(leat_pg_session *session)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_CLAIM);
    leat_pg_params *params = &session->params;
    int64_t wait_ms = session->shared->lock_timeout_ms;
    begin_pipeline(session);
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, session->shared->source_id);
    leat_pg_params_int4(params, (int32_t)session->partition);
    leat_pg_params_int4(params, (int32_t)(wait_ms < CLAIM_WAIT_MS ? wait_ms : CLAIM_WAIT_MS));
    leat_pg_session_query(session, COMMAND_CLAIM, claim_sql[has_timeline(session)]);
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, session->shared->source_id);
    leat_pg_params_int4(params, (int32_t)session->partition);
    leat_pg_session_query(session, COMMAND_PROGRESS, progress_sql);
    leat_pg_parked_params(params, session->shared->source_id, session->partition);
    leat_pg_session_query(session, COMMAND_PARKED, leat_pg_parked_sql);
    leat_pg_held_params(params, session->shared->source_id, session->partition);
    leat_pg_session_query(session, COMMAND_HELD, leat_pg_held_sql);
    if (session->shared->controls) {
        leat_pg_params_begin(params);
        leat_pg_params_int4(params, session->shared->source_id);
        session->controls_us = leat_mono_us();
        leat_pg_session_query(session, COMMAND_CONTROLS, leat_pg_controls_sql);
    }
    send_sync(session);
}

static void start_compaction(leat_pg_session *session, const leat_engine_compaction *compaction)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_COMPACT);
    leat_pg_params *params = &session->params;
    begin_pipeline(session);
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, session->shared->source_id);
    leat_pg_params_int4(params, (int32_t)compaction->partition);
    leat_pg_params_uuid(params, compaction->claim.token);
    leat_pg_params_int8(params, compaction->base_seq);
    leat_pg_params_int8s(params, compaction->base_offsets, compaction->subpartitions);
    leat_pg_params_int8(params, compaction->low);
    leat_pg_params_int8(params, compaction->newest.offset);
    leat_pg_params_int8(params, compaction->newest.at_ms);
    leat_pg_params_int4(params, compaction->newest.epoch);
    leat_pg_params_int8s(params, compaction->needs, compaction->needs_count);
    leat_pg_params_int4(params, (int32_t)session->shared->lock_timeout_ms);
    leat_pg_session_query(session, COMMAND_COMPACT, compact_sql[has_timeline(session)]);
    send_sync(session);
}

static void begin_job(leat_pg_session *session, const leat_engine_job *job)
{
    LEAT_ASSERT(session->state == SESSION_IDLE);
    session->is_direct = session->direct != NULL;
    session->job_id = job->id;
    session->kind = job->kind;
    session->partition = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                              : job->partition;
    session->row_count = 0;
    session->dropped_count = 0;
    session->record_count = job->batch.record_count;
    session->failed = false;
    session->knows_server = false;
    session->claim_read = false;
    session->parked_read = false;
    session->held_read = false;
    session->kept_count = 0;
    LEAT_ASSERT(!session->chunk);
    session->question = ASK_NOTHING;
    session->is_asking = false;
    session->result = (leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                               .bad_record = -1,
                                               .partition = -1,
                                               .catalog_read_us = INT64_MAX};
}

static void start_batch(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_BATCH);
    if (batch->dead)
        start_dead_letter(session, batch);
    else if (batch->hold)
        start_hold(session, batch);
    else
        start_rows(session, batch);
}

void leat_pg_session_start(leat_pg_session *session, const leat_engine_job *job)
{
    begin_job(session, job);
    if (reserve_commands(session, COMMANDS_FEW) < 0)
        end_unsent(session, LEAT_ENGINE_OUTAGE, "out of memory");
    else if (job->kind == LEAT_ENGINE_JOB_BATCH)
        start_batch(session, &job->batch);
    else if (job->kind == LEAT_ENGINE_JOB_PARK)
        start_park(session, &job->batch);
    else if (job->kind == LEAT_ENGINE_JOB_LOAD)
        start_load(session, &job->load);
    else if (job->kind == LEAT_ENGINE_JOB_CLAIM)
        start_claim(session);
    else
        start_compaction(session, &job->compaction);
    LEAT_ASSERT(session->state != SESSION_IDLE);
}

void leat_pg_session_ask(leat_pg_session *session)
{
    LEAT_ASSERT(session->question != ASK_NOTHING && !session->is_asking);
    leat_pg_params *params = &session->params;
    session->command_count = 0;
    session->answered = 0;
    session->is_asking = true;
    leat_pg_params_begin(params);
    if (session->question == ASK_TERMINATE) {
        leat_pg_params_int4(params, session->shared->source_id);
        leat_pg_params_int4(params, (int32_t)session->partition);
        leat_pg_session_query(session, COMMAND_TERMINATE, terminate_sql);
    } else if (session->question == ASK_CONFIRM) {
        leat_pg_confirm_params(params, &session->key);
        leat_pg_session_query(session, COMMAND_CONFIRM, leat_pg_confirm_sql);
    } else {
        for (size_t i = 0; i < CONSTRAINT_PARTS; i++)
            leat_pg_params_text(params, session->constraint[i]);
        leat_pg_session_query(session, COMMAND_IS_PRIMARY_KEY, is_primary_key_sql);
    }
    send_sync(session);
}
