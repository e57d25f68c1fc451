/*
 * session_receive.c - turns results into the outcome of a job. Results come in the order of the
 * commands, so counting the commands that have ended shows which one a result belongs to. The first
 * error of a pipeline is the job's outcome; commands after it were not done. Three errors need a
 * second question before their meaning is known: a claim that waited in vain, a unique violation
 * that may be the primary key's, and a repeat whose first write a crash may take back.
 */
#include "sink/pg/session_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "sink/pg/controls.h"
#include "sink/pg/parked.h"
#include "sink/sqlstate.h"

static void set_message(leat_engine_job_result *result, const char *message)
{
    size_t size = strnlen(message, sizeof result->message - 1);
    memcpy(result->message, message, size);
    result->message[size] = '\0';
}

void leat_pg_session_fail(leat_pg_session *session, leat_engine_outcome outcome,
                          const char *sqlstate, const char *message)
{
    LEAT_ASSERT(outcome != LEAT_ENGINE_APPLIED);
    leat_engine_job_result *result = &session->result;
    session->failed = true;
    result->outcome = outcome;
    snprintf(result->sqlstate, sizeof result->sqlstate, "%s", sqlstate);
    set_message(result, message);
}

static void set_answer_fault(leat_pg_session *session, const char *message)
{
    if (!session->failed)
        leat_pg_session_fail(session, LEAT_ENGINE_NOT_UNDERSTOOD, "", message);
}

static const char *error_field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);
    return text ? text : "";
}

static bool is_state(const PGresult *result, const char *sqlstate)
{
    return strcmp(error_field(result, PG_DIAG_SQLSTATE), sqlstate) == 0;
}

/* The detail of LT001, LT002, LT007 and LT009 begins with the partition's number. */
static int32_t read_partition(const PGresult *error)
{
    const char *detail = error_field(error, PG_DIAG_MESSAGE_DETAIL);
    char *end;
    long partition = strtol(detail, &end, 10);
    return end == detail || partition < 0 || partition > INT32_MAX ? -1 : (int32_t)partition;
}

static void set_part(leat_pg_session *session, uint32_t part, const char *name)
{
    LEAT_ASSERT(part < CONSTRAINT_PARTS);
    snprintf(session->constraint[part], sizeof session->constraint[part], "%s", name);
}

/* The constraint must be one of the table that was written, because a trigger may have written
 * another table, whose primary key means nothing here. An error at commit (a deferred constraint)
 * does not show its statement: there any table counts. */
static void take_unique_violation(leat_pg_session *session, const job_command *command,
                                  const PGresult *error)
{
    LEAT_ASSERT(session->question == ASK_NOTHING);
    if (command->kind != COMMAND_ROWS && command->kind != COMMAND_SYNC)
        return;
    const leat_table *table = NULL;
    if (command->kind == COMMAND_ROWS)
        table = leat_shapes_shape(session->shapes, command->statement)->route->table;
    set_part(session, CONSTRAINT_SCHEMA, error_field(error, PG_DIAG_SCHEMA_NAME));
    set_part(session, CONSTRAINT_TABLE, error_field(error, PG_DIAG_TABLE_NAME));
    set_part(session, CONSTRAINT_NAME, error_field(error, PG_DIAG_CONSTRAINT_NAME));
    set_part(session, WRITTEN_SCHEMA, table ? table->schema : "");
    set_part(session, WRITTEN_TABLE, table ? table->name : "");
    session->question = ASK_PRIMARY_KEY;
}

/* The name is unknown (26000) or known already (42P05): this is another server session than the one
 * that prepared it, or a pooler has lost track. A name is used for one statement only, so nothing
 * else can have run under it. */
static bool is_lost_name(const leat_pg_session *session, const PGresult *error)
{
    return !session->is_nameless && (is_state(error, "26000") || is_state(error, "42P05"));
}

/* A plan that no longer fits the table. 0A000 has many meanings; the name of the server's function,
 * unlike its text, does not depend on its language. */
static bool is_stale_plan(const PGresult *error)
{
    return is_state(error, "0A000") &&
           strcmp(error_field(error, PG_DIAG_SOURCE_FUNCTION), "RevalidateCachedQuery") == 0;
}

static void take_stale_plan(leat_pg_session *session)
{
    session->result.outcome = LEAT_ENGINE_CONTENTION;
    session->forget = true;
    leat_schema_versions_request_read(session->shared->schema_versions);
}

static void take_lost_name(leat_pg_session *session, const PGresult *error)
{
    LEAT_ASSERT(!session->is_nameless);
    session->result.outcome = LEAT_ENGINE_CONTENTION;
    session->forget = true;
    session->shared->is_nameless = session->shared->is_nameless || is_state(error, "26000");
}

static bool has_command(const leat_pg_session *session, command_kind kind)
{
    for (uint32_t i = 0; i < session->command_count; i++) {
        if (session->commands[i].kind == kind)
            return true;
    }
    return false;
}

/* An error at commit belongs to what was written. */
static leat_sql_part part_of_commit(const leat_pg_session *session)
{
    if (session->kind != LEAT_ENGINE_JOB_BATCH)
        return LEAT_SQL_OWN;
    if (has_command(session, COMMAND_DEAD_LETTER) && !has_command(session, COMMAND_ROWS))
        return LEAT_SQL_LETTER;
    bool is_kept = has_command(session, COMMAND_KEYS) && !has_command(session, COMMAND_ROWS);
    return is_kept ? LEAT_SQL_OWN : LEAT_SQL_ROWS;
}

static bool is_own_number(uint32_t statement)
{
    return statement >= ADVANCE_NUMBER && statement < MISSING_NUMBERS;
}

static leat_sql_part part_of(const leat_pg_session *session, const job_command *command)
{
    switch (command->kind) {
    case COMMAND_ROWS:
    case COMMAND_MISSING:
        return LEAT_SQL_ROWS;
    case COMMAND_PREPARE:
        return is_own_number(command->statement) ? LEAT_SQL_OWN : LEAT_SQL_PREPARE;
    case COMMAND_DEAD_LETTER:
        return LEAT_SQL_LETTER;
    case COMMAND_SYNC:
        return part_of_commit(session);
    default:
        return LEAT_SQL_OWN;
    }
}

static leat_engine_outcome outcome_of(const PGresult *error, leat_sql_part part)
{
    leat_sql_error fields = {.sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE),
                             .severity = PQresultErrorField(error, PG_DIAG_SEVERITY_NONLOCALIZED),
                             .table = PQresultErrorField(error, PG_DIAG_TABLE_NAME),
                             .constraint = PQresultErrorField(error, PG_DIAG_CONSTRAINT_NAME),
                             .function = PQresultErrorField(error, PG_DIAG_SOURCE_FUNCTION)};
    return leat_sqlstate_outcome(&fields, part);
}

/* A standby, or a session in the middle of another client's transaction: another connection may
 * lead to a better one. */
static bool is_misled(const PGresult *error)
{
    return is_state(error, "25006") || strncmp(error_field(error, PG_DIAG_SQLSTATE), "25P", 3) == 0;
}

/* LT003: READ COMMITTED is not the default of this session. From now on every transaction sets it.
 * If a job did set it and still gets LT003, leat does not understand the error. */
static void take_isolation(leat_pg_session *session, const PGresult *error)
{
    leat_pg_shared *shared = session->shared;
    if (!is_state(error, "LT003") || session->sets_isolation)
        return;
    session->result.outcome = LEAT_ENGINE_CONTENTION;
    if (!shared->needs_isolation)
        leat_info("default_transaction_isolation is not read committed for leat's role: every "
                  "transaction sets it by one more command shard=%s",
                  shared->shard_name);
    shared->needs_isolation = true;
}

/* What is prepared for rows takes locks on their table. A retry beside this one locks a held key,
 * which is as much one record's matter as a row that is locked. */
static void take_lock_wait(leat_pg_session *session, const job_command *command, leat_sql_part part)
{
    session->result.is_lock_wait = true;
    session->result.from_rows = part == LEAT_SQL_ROWS || part == LEAT_SQL_PREPARE ||
                                command->kind == COMMAND_KEYS || command->kind == COMMAND_RETRY;
    if (command->kind == COMMAND_ADVANCE)
        session->result.partition = (int32_t)command->partition;
}

/* The first error counts: nothing after it, up to the Sync, was done. */
static void take_error(leat_pg_session *session, const job_command *command, const PGresult *error)
{
    LEAT_ASSERT(!session->is_asking);
    if (session->failed)
        return;
    const char *message = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
    leat_sql_part part = part_of(session, command);
    leat_engine_outcome outcome = outcome_of(error, part);
    leat_pg_session_fail(session, outcome, error_field(error, PG_DIAG_SQLSTATE),
                         message ? message : PQresultErrorMessage(error));
    session->result.timed_out = is_state(error, "57014") ||
                                is_state(error, "25P04"); /* statement_timeout,
                                                             transaction_timeout
                                                           */
    session->result.from_rows = part == LEAT_SQL_ROWS;
    if (outcome == LEAT_ENGINE_CONTENTION && is_state(error, "55P03"))
        take_lock_wait(session, command, part);
    if (outcome == LEAT_ENGINE_FENCED || outcome == LEAT_ENGINE_WENT_BACK ||
        outcome == LEAT_ENGINE_CHUNK_GONE || outcome == LEAT_ENGINE_KEY_TURNED)
        session->result.partition = read_partition(error);
    if (outcome == LEAT_ENGINE_REPEATED)
        leat_pg_session_take_known(session, error);
    if (is_state(error, "23505") && outcome == LEAT_ENGINE_NOT_YET)
        take_unique_violation(session, command, error);
    if (command->kind == COMMAND_CLAIM && is_state(error, "55P03"))
        session->question = ASK_TERMINATE;
    take_isolation(session, error);
    if (is_state(error, "42501")) /* a change of privileges makes no plan stale, and this one may
                                     hide rows */
        session->forget = true;
    if (is_lost_name(session, error))
        take_lost_name(session, error);
    else if (is_stale_plan(error))
        take_stale_plan(session);
    else if (outcome == LEAT_ENGINE_DRIFT)
        leat_schema_versions_request_read(session->shared->schema_versions);
    session->is_unusable = outcome == LEAT_ENGINE_UNKNOWN ||
                           (outcome == LEAT_ENGINE_OUTAGE && is_misled(error));
}

/* A question that fails does not change the outcome of the job; but a repeat that is not confirmed
 * is none. */
static void take_question_error(leat_pg_session *session, const PGresult *error)
{
    LEAT_ASSERT(session->is_asking);
    session->is_unusable = outcome_of(error, LEAT_SQL_OWN) == LEAT_ENGINE_UNKNOWN;
    if (session->question == ASK_CONFIRM) { /* that is the job's outcome, which is logged */
        leat_pg_session_fail(session, outcome_of(error, LEAT_SQL_OWN),
                             error_field(error, PG_DIAG_SQLSTATE),
                             error_field(error, PG_DIAG_MESSAGE_PRIMARY));
        return;
    }
    leat_warn("question about a failed job has failed shard=%s partition=%u sqlstate=%s "
              "reason=\"%s\"",
              session->shared->shard_name, session->partition, error_field(error, PG_DIAG_SQLSTATE),
              error_field(error, PG_DIAG_MESSAGE_PRIMARY));
}

static void take_server(leat_pg_session *session, const PGresult *answer, int column)
{
    LEAT_ASSERT(column > 0);
    if (leat_pg_field_server(answer, column, &session->server) == 0)
        session->knows_server = true;
    else
        set_answer_fault(session, "the server has not said which one it is");
}

static void take_claim(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_CLAIM);
    leat_engine_claim claim;
    int64_t epoch, base_seq, low;
    leat_engine_newest newest;
    int64_t *base = session->base_offsets;
    uint32_t count = session->shared->placement.subpartitions;
    if (leat_pg_field_uuid(answer, 0, 0, claim.token) < 0 ||
        leat_pg_field_int8(answer, 0, 1, &epoch) < 0 ||
        leat_pg_field_int8(answer, 0, 2, &base_seq) < 0 ||
        leat_pg_field_ints(answer, 0, 3, base, count) != (int)count ||
        leat_pg_field_int8(answer, 0, 4, &low) < 0 ||
        leat_pg_field_int8(answer, 0, 5, &newest.offset) < 0 ||
        leat_pg_field_int8(answer, 0, 6, &newest.at_ms) < 0 ||
        leat_pg_field_int4(answer, 0, 7, &newest.epoch) < 0) {
        set_answer_fault(session, "leat.take has answered in a form this program does not know");
        return;
    }
    leat_engine_progress_begin(&session->progress, claim, epoch, base_seq, base, low, newest);
    session->claim_read = true;
}

static int take_progress_row(leat_pg_session *session, const PGresult *answer, int row)
{
    int64_t seq, at_ms;
    int32_t leader_epoch;
    int64_t wide[LEAT_PART_SUBPARTITIONS_MAX];
    int64_t offsets[LEAT_PART_SUBPARTITIONS_MAX];
    int16_t subpartitions[LEAT_PART_SUBPARTITIONS_MAX];
    int count = leat_pg_field_ints(answer, row, 1, wide, LEAT_PART_SUBPARTITIONS_MAX);
    if (leat_pg_field_int8(answer, row, 0, &seq) < 0 || count < 0 ||
        leat_pg_field_ints(answer, row, 2, offsets, LEAT_PART_SUBPARTITIONS_MAX) != count ||
        leat_pg_field_int8(answer, row, 3, &at_ms) < 0 ||
        leat_pg_field_int4(answer, row, 4, &leader_epoch) < 0)
        return -1;
    for (int i = 0; i < count; i++)
        subpartitions[i] = (int16_t)wide[i];
    return leat_engine_progress_row(&session->progress, seq, subpartitions, offsets,
                                    (uint32_t)count, at_ms, leader_epoch);
}

static void take_progress(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_CLAIM);
    if (!session->claim_read) {
        set_answer_fault(session, "leat.rows has answered before leat.take");
        return;
    }
    for (int row = 0; row < PQntuples(answer); row++) {
        if (take_progress_row(session, answer, row) < 0) {
            set_answer_fault(session, "leat.progress has a row that makes no sense");
            return;
        }
    }
}

static void take_parked(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_CLAIM);
    free(session->parked);
    session->parked_read = leat_pg_read_parked(answer, session->shared->placement.subpartitions,
                                               &session->parked, &session->parked_count) == 0;
    if (!session->parked_read)
        set_answer_fault(session, "leat.parked has rows that make no sense");
}

static void take_chunk(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_LOAD && !session->chunk);
    if (leat_pg_read_chunk(answer, &session->chunk) != 0) {
        set_answer_fault(session, "leat.parked has a row that makes no sense");
        return;
    }
    if (session->chunk)
        return;
    leat_pg_session_fail(session, LEAT_ENGINE_CHUNK_GONE, "", "the chunk is not there");
    session->result.partition = (int32_t)session->partition;
}

static void take_held(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_CLAIM);
    free(session->held);
    session->held_read = leat_pg_read_held(answer, &session->shared->placement, &session->held,
                                           &session->held_count) == 0;
    if (!session->held_read)
        set_answer_fault(session, "leat.held has rows that make no sense");
}

static void take_kept(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_LOAD && !session->chunk);
    if (leat_pg_read_kept(answer, &session->chunk, &session->kept_count) != 0)
        set_answer_fault(session, "leat.parked_keys has rows that make no sense");
}

static void take_retried(leat_pg_session *session, const PGresult *answer)
{
    int32_t is_held;
    if (leat_pg_field_int4(answer, 0, 0, &is_held) < 0)
        set_answer_fault(session, "leat.retried has answered in a form this program does not know");
    else
        session->result.is_held = is_held != 0;
}

static void take_terminated(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->is_asking);
    int32_t count;
    if (leat_pg_field_int4(answer, 0, 0, &count) < 0 || count == 0)
        return;
    if (count < 0) {
        set_message(
            &session->result,
            "a session of leat holds the partition, and its commit waits for a synchronous standby: see "
            "synchronous_standby_names");
        return;
    }
    session->shared->counters.holders_terminated += (uint64_t)count;
    leat_warn("ended sessions of leat that kept a partition from being claimed shard=%s "
              "partition=%u sessions=%d",
              session->shared->shard_name, session->partition, count);
}

static void take_missing(leat_pg_session *session, const PGresult *answer)
{
    LEAT_ASSERT(session->kind == LEAT_ENGINE_JOB_BATCH);
    int64_t count;
    if (leat_pg_field_int8(answer, 0, 0, &count) < 0 || count < 0)
        set_answer_fault(
            session, "the count of dropped records has come in a form this program does not know");
    else
        session->dropped_count += (uint64_t)count;
}

static void take_controls(leat_pg_session *session, const PGresult *answer)
{
    session->controls = leat_pg_controls_take(answer, session->controls_us);
}

static void take_is_primary_key(leat_pg_session *session, const PGresult *answer)
{
    session->result.may_be_race = PQntuples(answer) > 0;
}

static void take_confirmed(leat_pg_session *session, const PGresult *answer)
{
    if (PQntuples(answer) == 0)
        leat_pg_session_fail(session, LEAT_ENGINE_CONTENTION, "",
                             "the write with this idempotency key was taken back by a crash");
}

/* What is made of an answer, and in which of its columns the server says which one it is; 0: in
 * none. Of the others nothing but that they have come. */
static const struct {
    void (*take)(leat_pg_session *session, const PGresult *answer);
    int server_column;
} answers[COMMAND_COUNT] = {
    [COMMAND_CLAIM] = {take_claim, 8},
    [COMMAND_PROGRESS] = {take_progress, 0},
    [COMMAND_PARKED] = {take_parked, 0},
    [COMMAND_LOAD] = {take_chunk, LEAT_PG_LOAD_COLUMNS},
    [COMMAND_KEPT] = {take_kept, LEAT_PG_KEPT_COLUMNS},
    [COMMAND_HELD] = {take_held, 0},
    [COMMAND_RETRIED] = {take_retried, 0},
    [COMMAND_CONTROLS] = {take_controls, 0},
    [COMMAND_MISSING] = {take_missing, 0},
    [COMMAND_TERMINATE] = {take_terminated, 0},
    [COMMAND_IS_PRIMARY_KEY] = {take_is_primary_key, 0},
    [COMMAND_CONFIRM] = {take_confirmed, 0},
    [COMMAND_ADVANCE] = {NULL, 1},
    [COMMAND_ENTER] = {NULL, 1},
    [COMMAND_COMPACT] = {NULL, 1},
};

static void take_answer(leat_pg_session *session, const job_command *command,
                        const PGresult *answer)
{
    LEAT_ASSERT(command->statement < STATEMENTS_MAX && command->kind < COMMAND_COUNT);
    if (command->kind == COMMAND_PREPARE)
        session->prepared[command->statement] = PREPARED;
    if (answers[command->kind].take)
        answers[command->kind].take(session, answer);
    if (answers[command->kind].server_column > 0)
        take_server(session, answer, answers[command->kind].server_column);
}

void leat_pg_session_on_result(void *context, const PGresult *result)
{
    leat_pg_session *session = context;
    if (session->state != SESSION_SENT)
        return;
    LEAT_ASSERT(session->command_count > 0);
    if (!result) {
        session->answered++;
        return;
    }
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) {
        leat_pg_session_enter(session, SESSION_ANSWERED);
        return;
    }
    /* An error of the commit itself (a deferred constraint) comes in the place of the Sync. */
    uint32_t at = session->answered < session->command_count ? session->answered
                                                             : session->command_count - 1;
    const job_command *command = &session->commands[at];
    if (status == PGRES_FATAL_ERROR && session->is_asking)
        take_question_error(session, result);
    else if (status == PGRES_FATAL_ERROR)
        take_error(session, command, result);
    else if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        take_answer(session, command, result);
}
