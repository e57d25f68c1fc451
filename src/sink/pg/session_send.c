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

#include "sink/pg/dead_letter.h"

/* Each in two forms: the columns that show its server without and with the timeline. */
#define WITH_SERVER(what, from)                                                                    \
    {what ", " LEAT_PG_STARTED_SQL from,                                                           \
     what ", " LEAT_PG_STARTED_SQL ", " LEAT_PG_TIMELINE_SQL from}

static const char *const advance_sql[] = WITH_SERVER(
    "SELECT leat.advance($1::int4, $2::int4, $3::uuid, $4::int8, $5::int2[], $6::int8[], $7::int8, $8::int4,"
    " $9::int8[], $10::int4)",
    "");

static const char plan_rows_sql[] = "SELECT leat.plan_rows()";

static const char plan_plainly_sql[] = "SELECT leat.plan_plainly()";

/* The wait for the lock must end by itself, with 55P03, because only then leat ends the holder's
 * session. So where the server has a shorter time limit, which would end the statement or the
 * session first, the wait is half of that. */
#define CLAIM_WAIT_SQL                                                                              \
    "least($3::int4, (SELECT greatest(min(setting::int8) / 2, 1)::int4 FROM pg_catalog.pg_settings" \
    " WHERE name IN ('statement_timeout', 'transaction_timeout') AND setting::int8 > 0 HAVING count(*) > 0))"

static const char *const claim_sql[] =
    WITH_SERVER("SELECT claim, epoch, base_seq, base_offsets, low, newest, newest_at_ms,"
                " newest_epoch",
                " FROM leat.take($1::int4, $2::int4, " CLAIM_WAIT_SQL ")");

/* This applies however long a statement may wait for a row: the holder of a partition that is being
 * claimed runs a batch that the claim makes worthless, or is frozen. */
enum { CLAIM_WAIT_MS = 10000 };

static const char progress_sql[] =
    "SELECT seq, subpartitions, offsets, newest_at_ms, newest_epoch FROM leat.rows($1::int4, $2::int4)";

static const char *const compact_sql[] = WITH_SERVER(
    "SELECT leat.compact($1::int4, $2::int4, $3::uuid, $4::int8, $5::int8[], $6::int8, $7::int8, $8::int8, $9::int4,"
    " $10::int8[], $11::int4)",
    "");

static const char terminate_sql[] = "SELECT leat.terminate_holders($1::int4, $2::int4)";

/* A row of a partitioned table lies in a partition, and the error names the partition's own copy of
 * the constraint. A standby, to which a pooler may have led, does not know the newest state: there
 * the answer is the one after which the batch is tried again. */
static const char is_primary_key_sql[] =
    "SELECT 1 WHERE pg_catalog.pg_is_in_recovery() OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS c"
    " JOIN pg_catalog.pg_class AS r ON r.oid = c.conrelid"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace"
    " WHERE c.contype = 'p' AND n.nspname = $1::text AND r.relname = $2::text AND c.conname = $3::text"
    "   AND ($5::text = '' OR EXISTS ("
    "       SELECT FROM pg_catalog.pg_class AS w"
    "         JOIN pg_catalog.pg_namespace AS m ON m.oid = w.relnamespace"
    "        WHERE m.nspname = $4::text AND w.relname = $5::text"
    "          AND (w.oid = r.oid"
    "               OR w.oid IN (SELECT a.relid FROM pg_catalog.pg_partition_ancestors(r.oid) AS a (relid))))))";

/* ---- sending ---- */

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
    session->commands[session->command_count++] = (job_command){kind, statement};
}

static void send_query(leat_pg_session *session, command_kind kind, const char *sql)
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
    send_query(session, COMMAND_ISOLATION, "SET transaction_isolation = 'read committed'");
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
    if (session->is_nameless)
        leat_pg_conn_query(session->conn, sql, count, values, sizes);
    else
        leat_pg_conn_execute(session->conn, name, count, values, sizes);
}

/* Index into the statements with columns about the server. */
static bool has_timeline(const leat_pg_session *session)
{
    return leat_pg_conn_server(session->conn)->timeline[0] != '\0';
}

static void send_advance(leat_pg_session *session, const leat_engine_batch_part *part)
{
    LEAT_ASSERT(part->count <= LEAT_SUBPARTITIONS);
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
    leat_pg_params_int4(params, (int32_t)session->shared->lock_timeout_ms);
    if (leat_pg_params_end(params) < 0) {
        leat_pg_conn_break(session->conn, "out of memory");
        return;
    }
    send_statement(session, (job_command){COMMAND_ADVANCE, ADVANCE_NUMBER},
                   advance_sql[has_timeline(session)], params->count, params->values,
                   params->sizes);
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
    send_statement(session, (job_command){COMMAND_MISSING, number}, sql, rows.param_count,
                   rows.values, rows.sizes);
}

/* Planned without leat's settings, as any other session would: where triggers FOR EACH STATEMENT
 * fire before leat.enter, and where the route accepts that row security hides rows. */
static bool is_planned_plainly(const leat_shape *shape)
{
    const leat_table *table = shape->route->table;
    return table->statement_triggers & leat_shape_events(shape) ||
           (table->row_security && shape->route->accept_row_security);
}

/* leat.advance has set the planner's settings for the first row statement, and each row statement
 * restores the session's own before it writes. */
static void send_settings(leat_pg_session *session, uint32_t at, const leat_shape *shape)
{
    LEAT_ASSERT(at < leat_rows_statement_count(session->shared->rows));
    bool is_plain = is_planned_plainly(shape);
    if (at == 0 && !is_plain)
        return;
    job_command command = {COMMAND_SETTINGS, is_plain ? PLAN_PLAINLY_NUMBER : PLAN_ROWS_NUMBER};
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
    send_statement(session, (job_command){COMMAND_ROWS, (uint32_t)statement},
                   leat_shapes_sql(session->shapes, (uint32_t)statement), rows.param_count,
                   rows.values, rows.sizes);
    shared->counters.statements++;
}

/* The job is over before anything was sent. */
static void end_unsent(leat_pg_session *session, leat_engine_outcome outcome, const char *message)
{
    LEAT_ASSERT(session->state == SESSION_IDLE);
    leat_pg_session_fail(session, outcome, "", message);
    leat_pg_session_enter(session, SESSION_OVER);
}

static void send_dead_letter(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->record_count == 1);
    leat_dead_letter_params(&session->params, session->shared->source_id, &batch->records[0],
                            batch->dead);
    send_query(session, COMMAND_DEAD_LETTER, leat_dead_letter_sql);
}

/* What a batch begins with, whatever it does to rows: its progress. `statements`: the most commands
 * that follow it, without the Sync. False: out of memory, and the job is over. */
static bool begin_batch(leat_pg_session *session, const leat_engine_batch *batch, size_t statements)
{
    if (reserve_commands(session, batch->part_count + statements + COMMANDS_FEW) < 0) {
        end_unsent(session, LEAT_ENGINE_OUTAGE, "out of memory");
        return false;
    }
    begin_pipeline(session);
    for (uint32_t i = 0; i < batch->part_count; i++)
        send_advance(session, &batch->parts[i]);
    return true;
}

static void start_dead_letter(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->dead);
    if (!begin_batch(session, batch, 0))
        return;
    send_dead_letter(session, batch);
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
    if (!begin_batch(session, batch, 6 * (size_t)statement_count))
        return;
    for (uint32_t i = 0; i < statement_count; i++)
        send_rows(session, i);
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
    send_query(session, COMMAND_CLAIM, claim_sql[has_timeline(session)]);
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, session->shared->source_id);
    leat_pg_params_int4(params, (int32_t)session->partition);
    send_query(session, COMMAND_PROGRESS, progress_sql);
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
    leat_pg_params_int8s(params, compaction->base_offsets, LEAT_SUBPARTITIONS);
    leat_pg_params_int8(params, compaction->low);
    leat_pg_params_int8(params, compaction->newest.offset);
    leat_pg_params_int8(params, compaction->newest.at_ms);
    leat_pg_params_int4(params, compaction->newest.epoch);
    leat_pg_params_int8s(params, compaction->needs, compaction->needs_count);
    leat_pg_params_int4(params, (int32_t)session->shared->lock_timeout_ms);
    send_query(session, COMMAND_COMPACT, compact_sql[has_timeline(session)]);
    send_sync(session);
}

void leat_pg_session_start(leat_pg_session *session, const leat_engine_job *job)
{
    LEAT_ASSERT(session->state == SESSION_IDLE);
    session->job_id = job->id;
    session->kind = job->kind;
    session->partition = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                              : job->partition;
    session->row_count = 0;
    session->dropped_count = 0;
    session->failed = false;
    session->knows_server = false;
    session->claim_read = false;
    session->question = ASK_NOTHING;
    session->is_asking = false;
    session->result = (leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                               .bad_record = -1,
                                               .partition = -1,
                                               .catalog_read_us = INT64_MAX};
    if (reserve_commands(session, COMMANDS_FEW) < 0)
        end_unsent(session, LEAT_ENGINE_OUTAGE, "out of memory");
    else if (job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.dead)
        start_dead_letter(session, &job->batch);
    else if (job->kind == LEAT_ENGINE_JOB_BATCH)
        start_rows(session, &job->batch);
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
        send_query(session, COMMAND_TERMINATE, terminate_sql);
    } else {
        for (size_t i = 0; i < CONSTRAINT_PARTS; i++)
            leat_pg_params_text(params, session->constraint[i]);
        send_query(session, COMMAND_IS_PRIMARY_KEY, is_primary_key_sql);
    }
    send_sync(session);
}
