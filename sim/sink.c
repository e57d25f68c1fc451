/*
 * sink.c - the simulated side of sink.h for a worker: a few connections to a shard, opened one
 * after another, all of one server, as in src/sink/pg/pool.c. Batches are built by the production
 * fold; their parameters are read as PostgreSQL would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "check.h"
#include "engine/state.h"
#include "params.h"
#include "sink/sqlstate.h"
#include "world.h"

enum {
    CONNECTIONS_MAX = 8,
    RETRY_MIN_US = 100000,
    RETRY_MAX_US = 5000000,
    SERVER_SILENT_US = 5000000
};

typedef struct pool_member {
    leat_sink *sink;
    bool is_open;
    uint64_t life; /* another with each opening */
    sim_session *session;
    bool has_job;
    uint32_t job;
    leat_engine_job_kind kind;
    uint32_t partition;  /* of a claim or compaction */
    uint32_t part_count; /* of a batch */
    leat_engine_batch_part parts[SIM_PARTITIONS_MAX];
    uint32_t record_count;
    sim_record *only; /* the batch's single record, else NULL */
    bool unparks;     /* a batch of parked records, or of a held key's */
    bool is_retry;    /* the latter */
    sim_retry retry;  /* that, or the load before it; key 0: neither */
    bool is_letter;   /* and the batch keeps it as a dead letter, or as the first of a held key */
    uint64_t verdict; /* the refusal that it is kept for */
    bool is_sample;   /* its time may say how much the shard can do */
    sim_served served;
    leat_engine_job_result result; /* of a batch that could not be built */
} pool_member;

struct leat_sink {
    sim_world *world;
    sim_process *process;
    uint32_t shard;
    leat_sink_config config;
    leat_sink_events events;
    leat_rows *rows;
    pool_member connections[CONNECTIONS_MAX];
    uint32_t allowed; /* connections, of those there could be */
    uint32_t usable;
    bool is_trying;
    uint32_t failures;
    uint64_t server;  /* of the connections */
    int64_t heard_us; /* when one of them last showed that, or was asked */
    uint64_t trouble; /* world.serial when the worker last got an outage, or an error that is not
                         understood */
    bool is_pooled;   /* the worker was told so */
    leat_sink_counters counters;
};

static const leat_engine_job_result no_result = {.outcome = LEAT_ENGINE_APPLIED,
                                                 .bad_record = -1,
                                                 .partition = -1,
                                                 .catalog_read_us = INT64_MAX};

/* ---- connecting ---- */

static void on_attempt(sim_world *world, void *object, uint64_t argument);

static int64_t retry_delay_us(leat_sink *sink)
{
    if (sink->failures == 0)
        return sim_latency_us(sink->world);
    return leat_backoff(&sink->world->prng, sink->failures, RETRY_MIN_US, RETRY_MAX_US);
}

static void want_connection(leat_sink *sink)
{
    if (sink->is_trying || sink->usable >= sink->allowed)
        return;
    sink->is_trying = true;
    sim_process_plan(sink->world, sink->process, sink->world->clock.now_us + retry_delay_us(sink),
                     on_attempt, sink, 0);
}

static bool is_refusal(leat_engine_outcome outcome)
{
    return outcome == LEAT_ENGINE_BAD_DATA || outcome == LEAT_ENGINE_NOT_YET ||
           outcome == LEAT_ENGINE_RECORD_ERROR;
}

/* The worker's knowledge from here on of the record it tried alone, and of the shard. */
static void note(pool_member *connection, const leat_engine_job_result *result)
{
    leat_sink *sink = connection->sink;
    sim_world *world = sink->world;
    bool is_verdict = is_refusal(result->outcome);
    if (result->outcome == LEAT_ENGINE_OUTAGE || result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD)
        sink->trouble = ++world->serial;
    if (!connection->only)
        return;
    uint64_t *refused = &connection->only->read[sink->process->index].refused;
    if (!connection->is_letter && is_verdict)
        *refused = ++world->serial;
    if (connection->is_letter && result->outcome != LEAT_ENGINE_APPLIED) {
        world->sometimes->count[SOMETIMES_LETTER_FAILED]++;
        if (*refused == connection->verdict)
            *refused = 0;
    }
}

static void report(pool_member *connection, leat_engine_job_result *result)
{
    leat_sink *sink = connection->sink;
    connection->has_job = false;
    note(connection, result);
    /* A park waits for no row of a table. There is one retry at a time, whatever else waits. */
    if (connection->kind != LEAT_ENGINE_JOB_PARK && !connection->is_retry)
        sim_check_batch_done(sink->process, sink->shard, connection->parts, connection->part_count,
                             connection->served.sent_us, result);
    if (connection->kind == LEAT_ENGINE_JOB_PARK)
        sim_check_park_done(sink->process, sink->shard, connection->served.sent_us);
    if (connection->retry.key != 0)
        sim_check_retry_done(sink->process, sink->shard, &connection->retry,
                             connection->served.sent_us, result->outcome);
    if (result->progress) {
        sim_check_claim_done(sink->process, connection->partition, result->progress);
        sim_check_retries_claimed(sink->process, connection->partition, result->held,
                                  result->held_count);
    }
    bool is_rows = connection->kind == LEAT_ENGINE_JOB_BATCH && !connection->unparks;
    for (uint32_t i = 0; is_rows && i < connection->part_count; i++)
        if (result->outcome == LEAT_ENGINE_APPLIED)
            sink->process->rows_us[connection->parts[i].partition] =
                leat_worker_now_us(sink->process->worker);
    sim_trace(sink->world, "process %u: job %u %s %s", sink->process->index, connection->job,
              leat_engine_outcome_name(result->outcome), result->sqlstate);
    if (!result->is_unsent)
        sim_check_answered(sink->process, sink->shard, result->outcome);
    sim_check_fair_done(sink->world, sink->process, sink->shard, &connection->served);
    const leat_concurrency before =
        sink->process->worker->engine->shards[sink->shard].fair.concurrency;
    bool is_sample = connection->is_sample && result->outcome == LEAT_ENGINE_APPLIED;
    sim_check_looked(sink->process, connection->job, result->outcome);
    sink->events.done(sink->events.context, connection->job, result);
    sim_check_sampled(sink->world, sink->process, sink->shard, &before, is_sample);
}

static void report_slots(const leat_sink *sink)
{
    uint32_t slots = sink->usable < sink->allowed ? sink->usable : sink->allowed;
    sim_check_slots(sink->process, sink->shard, slots);
    sink->events.slots(sink->events.context, sink->shard, slots);
}

/* Those above the limit that have no job are closed. */
static void on_limit(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    leat_sink *sink = object;
    for (uint32_t i = 0; i < sink->config.connections && sink->usable > sink->allowed; i++) {
        pool_member *connection = &sink->connections[i];
        if (!connection->is_open || connection->has_job)
            continue;
        sim_session_cut(world, connection->session, false);
        connection->is_open = false;
        sink->usable--;
    }
    want_connection(sink);
    report_slots(sink);
}

static void keep_limit(leat_sink *sink)
{
    sim_process_plan(sink->world, sink->process, sink->world->clock.now_us, on_limit, sink, 0);
}

static bool moves(const leat_engine_job *job)
{
    return job->kind == LEAT_ENGINE_JOB_BATCH || job->kind == LEAT_ENGINE_JOB_PARK;
}

/* Some connection is usable, and yet the server may have crashed. */
static void doubt(leat_sink *sink)
{
    if (!sink->config.commits_async || sink->usable == 0)
        return;
    sink->world->sometimes->count[SOMETIMES_DOUBTED]++;
    sim_check_doubted(sink->world, sink->process, sink->shard);
    sink->events.doubted(sink->events.context, sink->shard);
}

/* A pooler may hide a crash, now and then. */
static void say_pooled(leat_sink *sink)
{
    if (sink->is_pooled || !sink->config.commits_async ||
        sink->world->options.values[OPT_POOLER] == 0)
        return;
    sink->is_pooled = true;
    sim_check_pooled(sink->process, sink->shard);
    sink->events.pooled(sink->events.context, sink->shard, true);
}

/* The connection is lost. `notify`: otherwise the caller reports slots. */
static void drop(pool_member *connection, bool notify)
{
    leat_sink *sink = connection->sink;
    if (!connection->is_open)
        return;
    connection->is_open = false;
    sink->usable--;
    if (connection->has_job) {
        leat_engine_job_result result = no_result;
        result.outcome = LEAT_ENGINE_UNKNOWN;
        report(connection, &result);
    }
    if (!notify)
        return;
    want_connection(sink);
    doubt(sink);
    report_slots(sink);
}

/* Ends all connections; `result` is that of the job of `answered`, which has come before. */
static void leave_server(leat_sink *sink, const pool_member *answered,
                         leat_engine_job_result *result)
{
    for (uint32_t i = 0; i < sink->config.connections; i++) {
        if (sink->connections[i].is_open)
            sim_session_cut(sink->world, sink->connections[i].session, false);
        sink->connections[i].is_open = false;
    }
    sink->usable = 0;
    for (uint32_t i = 0; i < sink->config.connections; i++) {
        leat_engine_job_result unknown = no_result;
        unknown.outcome = LEAT_ENGINE_UNKNOWN;
        if (sink->connections[i].has_job)
            report(&sink->connections[i], &sink->connections[i] == answered ? result : &unknown);
    }
    sink->failures++;
    report_slots(sink);
}

static pool_member *find_closed(leat_sink *sink)
{
    for (uint32_t i = 0; i < sink->config.connections; i++)
        if (!sink->connections[i].is_open)
            return &sink->connections[i];
    return NULL;
}

static void on_statement(sim_world *world, void *client, uint64_t life);
static void on_answered(sim_world *world, void *client, uint64_t life, const sim_answer *answer);
static void on_lost(sim_world *world, void *client, uint64_t life);

static const sim_client_events client_events = {on_statement, on_answered, on_lost};

/* While an old primary lives beside the new one, connections may lead to either. */
static sim_server *lead_to(sim_world *world, uint32_t shard)
{
    sim_shard *there = &world->shards[shard];
    return there->old && sim_below(world, 2) ? there->old : there->primary;
}

static void opened(leat_sink *sink, pool_member *connection, sim_session *session, uint64_t server)
{
    if (sink->usable > 0 && sink->server != server)
        leave_server(sink, NULL, NULL);
    sink->server = server;
    sink->heard_us = sink->world->clock.now_us;
    connection->is_open = true;
    connection->session = session;
    sink->usable++;
    sink->failures = 0;
    want_connection(sink);
    say_pooled(sink);
    if (sink->usable > sink->allowed) /* it has changed since the attempt began */
        keep_limit(sink);
    report_slots(sink);
}

static void on_attempt(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    leat_sink *sink = object;
    pool_member *connection = find_closed(sink);
    sim_server *server = lead_to(world, sink->shard);
    sink->is_trying = false;
    connection->life = ++world->serial;
    sim_session *session =
        sim_session_open(server, connection, connection->life, &client_events, sink->process);
    if (!session) {
        sink->failures++;
        want_connection(sink);
        return;
    }
    opened(sink, connection, session, sim_server_view_of(server).id);
}

/* ---- answers ---- */

/* Statements that succeed prove nothing: the Sync does. */
static void on_statement(sim_world *world, void *client, uint64_t life)
{
    (void)world;
    (void)client;
    (void)life;
}

static leat_sql_part part_of(const pool_member *connection, sim_command_kind at)
{
    if (at == CMD_ROWS)
        return LEAT_SQL_ROWS;
    if (connection->kind != LEAT_ENGINE_JOB_BATCH || at == CMD_ADVANCE || at == CMD_UNPARK ||
        at == CMD_HOLD || at == CMD_KEEP || at == CMD_NOTE || at == CMD_REPEATS ||
        at == CMD_RETRY || at == CMD_RETRIED)
        return LEAT_SQL_OWN;
    return connection->is_letter ? LEAT_SQL_LETTER : LEAT_SQL_ROWS;
}

static leat_engine_job_result result_of(const pool_member *connection, const sim_answer *answer)
{
    leat_engine_job_result result = no_result;
    if (answer->failed) {
        leat_sql_error said = {.sqlstate = answer->sqlstate,
                               .severity = answer->is_fatal ? "FATAL" : "ERROR"};
        leat_sql_part part = part_of(connection, answer->at);
        if (answer->is_raised)
            said.function = "exec_stmt_raise";
        if (answer->at == CMD_NOTE && strcmp(answer->sqlstate, "23505") == 0)
            said.table = "idempotency_0";
        result.outcome = leat_sqlstate_outcome(&said, part);
        result.from_rows = part == LEAT_SQL_ROWS;
        result.is_lock_wait = strcmp(answer->sqlstate, "55P03") == 0;
        if (result.is_lock_wait && answer->at == CMD_ADVANCE)
            result.partition = answer->partition;
        snprintf(result.sqlstate, sizeof result.sqlstate, "%s", answer->sqlstate);
        snprintf(result.message, sizeof result.message, "simulated");
        if (result.outcome == LEAT_ENGINE_FENCED || result.outcome == LEAT_ENGINE_WENT_BACK ||
            result.outcome == LEAT_ENGINE_CHUNK_GONE || result.outcome == LEAT_ENGINE_KEY_TURNED)
            result.partition = answer->partition;
    } else if (connection->kind == LEAT_ENGINE_JOB_CLAIM) {
        result.progress = answer->progress;
        result.parked = answer->parked;
        result.parked_count = answer->parked_count;
        result.held = answer->held;
        result.held_count = answer->held_count;
    } else if (connection->kind == LEAT_ENGINE_JOB_LOAD) {
        result.chunk = answer->kept ? NULL : &answer->chunk;
        result.kept = answer->kept;
        result.kept_count = answer->kept_count;
    }
    result.parked_bytes = answer->parked_bytes;
    result.is_held = answer->is_held;
    result.known = answer->known;
    result.known_count = answer->known_count;
    return result;
}

static void count_up(const pool_member *connection, const leat_engine_job_result *result)
{
    sim_sometimes *sometimes = connection->sink->world->sometimes;
    bool is_refused = is_refusal(result->outcome);
    if (connection->kind == LEAT_ENGINE_JOB_BATCH && is_refused && connection->record_count > 1)
        sometimes->count[SOMETIMES_BISECTED]++;
    if (result->outcome == LEAT_ENGINE_DRIFT)
        sometimes->count[SOMETIMES_DRIFT]++;
    bool is_applied = result->outcome == LEAT_ENGINE_APPLIED;
    sometimes->count[SOMETIMES_LOADED] += is_applied && connection->kind == LEAT_ENGINE_JOB_LOAD;
    sometimes->count[SOMETIMES_CLAIMED_PARKED] += result->parked_count > 0;
    sometimes->count[SOMETIMES_CLAIMED_HELD] += result->held_count > 0;
    sometimes->count[SOMETIMES_TOLD_REPEATS] += result->outcome == LEAT_ENGINE_REPEATED;
    sometimes->count[SOMETIMES_KEY_TURNED] += result->outcome == LEAT_ENGINE_KEY_TURNED;
}

/* An open connection has shown which server it is on. */
static bool is_another(leat_sink *sink, uint64_t server)
{
    bool is_other = sink->server != server;
    sink->server = server;
    sink->heard_us = sink->world->clock.now_us;
    return is_other;
}

/* The worker has what is parked from its claim on. */
static void note_parked(const pool_member *connection)
{
    const leat_sink *sink = connection->sink;
    const sim_state *state = sim_server_view_of(sim_session_server(connection->session)).state;
    const sim_partition *log = &sink->world->broker.partitions[connection->partition];
    for (uint32_t i = 0; i < log->count; i++)
        if (sim_state_fate(state, log->records[i]) == FATE_PARKED)
            sim_reader_note(sink->world, sink->process, log->records[i]);
}

static void on_answered(sim_world *world, void *client, uint64_t life, const sim_answer *answer)
{
    pool_member *connection = client;
    if (connection->life != life || !connection->is_open || !connection->has_job)
        return;
    if (answer->is_fatal)
        return; /* the end of the connection follows: nothing is known */
    leat_engine_job_result result = result_of(connection, answer);
    count_up(connection, &result);
    if (answer->is_lock_timeout)
        sim_server_terminate_holders(world, sim_session_server(connection->session),
                                     connection->partition);
    bool is_unusable = result.outcome == LEAT_ENGINE_UNKNOWN ||
                       strcmp(answer->sqlstate, "25006") == 0;
    if (result.progress) {
        sim_check_claim(world, connection->partition, result.progress);
        note_parked(connection);
    }
    if (!answer->failed && is_another(connection->sink, answer->server)) {
        world->sometimes->count[SOMETIMES_JOB_TOLD]++;
        leave_server(connection->sink, connection, &result);
        want_connection(connection->sink);
        return;
    }
    report(connection, &result);
    if (is_unusable) {
        sim_session_cut(world, connection->session, false);
        drop(connection, true);
    }
}

static void on_lost(sim_world *world, void *client, uint64_t life)
{
    (void)world;
    pool_member *connection = client;
    if (connection->life == life)
        drop(connection, true);
}

/* ---- jobs ---- */

static sim_pipeline *new_pipeline(leat_sink *sink, size_t command_count)
{
    sim_pipeline *pipeline = leat_must_calloc(1, sizeof *pipeline);
    pipeline->commands = leat_must_calloc(command_count, sizeof *pipeline->commands);
    pipeline->lock_timeout_us = 1000 * sink->config.lock_timeout_ms;
    sim_list_add(&sink->world->pipelines, pipeline);
    return pipeline;
}

static sim_command *add(sim_pipeline *pipeline, sim_command_kind kind)
{
    sim_command *command = &pipeline->commands[pipeline->command_count++];
    command->kind = kind;
    return command;
}

static void add_rows(leat_sink *sink, sim_pipeline *pipeline, uint32_t at)
{
    leat_row_statement statement;
    leat_shape shape = leat_rows_shape(sink->rows, at);
    if (sim_below(sink->world, 4) == 0) /* as when a sink has seen too many shapes */
        shape = leat_shape_of_any(shape.route, shape.op);
    LEAT_ASSERT(leat_rows_statement(sink->rows, at, shape, &statement) == 0);
    sim_params_read(&sink->world->schema, &statement, add(pipeline, CMD_ROWS));
}

static sim_record *record_of(const leat_sink *sink, const leat_engine_batch_record *record)
{
    return sim_broker_read(&sink->world->broker, record->payload);
}

static sim_fate fate_of(const leat_engine_batch *batch, const leat_engine_batch_record *record)
{
    if (batch->cut_count > 0)
        return FATE_PARKED;
    if (batch->dead)
        return FATE_DEAD;
    if (batch->hold || record->keep)
        return FATE_KEPT;
    if (record->repeat)
        return record->conflict ? FATE_DEAD : FATE_REPEAT;
    return record->skip ? FATE_LEFT_OUT : FATE_APPLIED;
}

static void add_records(leat_sink *sink, sim_pipeline *pipeline, const leat_engine_batch *batch)
{
    pipeline->record_count = batch->record_count;
    pipeline->records = leat_must_calloc(batch->record_count, sizeof *pipeline->records);
    pipeline->fates = leat_must_calloc(batch->record_count, sizeof *pipeline->fates);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        pipeline->records[i] = record_of(sink, &batch->records[i]);
        pipeline->fates[i] = fate_of(batch, &batch->records[i]);
        if (!batch->dead && !batch->hold && batch->cut_count == 0)
            sim_check_left_out(sink->world, pipeline->records[i],
                               batch->records[i].skip && !batch->records[i].repeat,
                               batch->records[i].keep);
        if (batch->is_look && !batch->records[i].skip)
            sim_fail(sink->world, "controls", "partition %u offset %lld is written by a look",
                     batch->records[i].partition, (long long)batch->records[i].offset);
        sink->world->sometimes->count[SOMETIMES_KEPT_LEFT_OUT] += batch->is_look;
        if (pipeline->records[i]->record.offset != batch->records[i].offset)
            sim_fail(sink->world, "effects", "a batch has a record with the offset of another");
    }
}

static void count_folds(leat_sink *sink, const leat_engine_batch *batch)
{
    sim_sometimes *sometimes = sink->world->sometimes;
    sometimes->count[SOMETIMES_FOLDED] += leat_rows_count(sink->rows) < batch->record_count;
    sometimes->count[SOMETIMES_ROUNDS] += leat_rows_statement_count(sink->rows) >
                                          LEAT_ROUTE_OP_COUNT;
}

static void add_steps(sim_command *command, const leat_engine_batch *batch)
{
    command->partition = batch->parts[0].partition;
    command->steps_of = batch->chunks_of;
    command->step_count = batch->chunk_count;
    memcpy(command->steps, batch->chunks, sizeof command->steps);
}

static sim_pipeline *build_park(leat_sink *sink, const leat_engine_batch *batch)
{
    sim_pipeline *pipeline = new_pipeline(sink, 3);
    add(pipeline, CMD_ADVANCE)->part = batch->parts[0];
    sim_parked_build(sink->world, pipeline, batch);
    add_records(sink, pipeline, batch);
    add(pipeline, CMD_SYNC);
    return pipeline;
}

static sim_pipeline *build_load(leat_sink *sink, const leat_engine_job *job)
{
    sim_pipeline *pipeline = new_pipeline(sink, 2);
    sim_command *command = add(pipeline, CMD_LOAD);
    command->partition = job->partition;
    command->load = job->load;
    add(pipeline, CMD_SYNC);
    return pipeline;
}

/* NULL: it cannot be built; then `ret` has the reason. */
static sim_pipeline *build_batch(leat_sink *sink, const leat_engine_batch *batch,
                                 leat_engine_job_result *ret)
{
    leat_rows_fault fault = {0};
    uint32_t statements = 0;
    bool has_rows = !batch->dead && !batch->hold;
    if (has_rows &&
        leat_rows_build(
            sink->rows, batch,
            &leat_schema_versions_newest(sink->config.schema_versions, sink->shard)->routes,
            &fault) < 0) {
        *ret = no_result;
        ret->outcome = fault.outcome;
        ret->is_unsent = true;
        ret->bad_record = fault.bad_record;
        if (fault.relies_on_table)
            ret->catalog_read_us = sink->world->clock.now_us; /* it was just read */
        return NULL;
    }
    statements = has_rows ? leat_rows_statement_count(sink->rows) : 1;
    sim_pipeline *pipeline = new_pipeline(sink, 2 * batch->part_count + statements + 6);
    pipeline->lock_timeout_us = 1000 * batch->lock_timeout_ms;
    for (uint32_t i = 0; i < batch->part_count; i++)
        add(pipeline, CMD_ADVANCE)->part = batch->parts[i];
    if (batch->chunk_count > 0)
        add_steps(add(pipeline, CMD_UNPARK), batch);
    add_records(sink, pipeline, batch);
    for (uint32_t i = 0; i < batch->part_count; i++)
        sim_held_build(sink->world, pipeline, batch, batch->parts[i].partition);
    if (batch->retry_key != 0)
        sim_held_build_retry(sink->world, pipeline, batch, CMD_RETRY);
    if (has_rows)
        sim_notes_build(sink->world, pipeline, batch);
    if (has_rows)
        sim_notes_build_repeats(sink->world, pipeline, batch);
    for (uint32_t i = 0; i < statements && has_rows; i++)
        add_rows(sink, pipeline, i);
    if (batch->retry_key != 0)
        sim_held_build_retry(sink->world, pipeline, batch, CMD_RETRIED);
    if (batch->dead)
        add(pipeline, CMD_DEAD_LETTER);
    if (has_rows)
        count_folds(sink, batch);
    add(pipeline, CMD_SYNC);
    return pipeline;
}

static sim_pipeline *build_claim(leat_sink *sink, uint32_t partition)
{
    sim_pipeline *pipeline = new_pipeline(sink, 4);
    add(pipeline, CMD_CLAIM)->partition = partition;
    add(pipeline, CMD_READ_PROGRESS)->partition = partition;
    add(pipeline, CMD_READ_PARKED)->partition = partition;
    add(pipeline, CMD_SYNC);
    return pipeline;
}

/* A copy that lives as long as the world. */
static int64_t *keep(leat_sink *sink, const int64_t *numbers, uint32_t count)
{
    int64_t *copy = leat_must_calloc(count + 1, sizeof *copy);
    memcpy(copy, numbers, count * sizeof *copy);
    sim_list_add(&sink->world->garbage, copy);
    return copy;
}

static sim_pipeline *build_compaction(leat_sink *sink, const leat_engine_compaction *compaction)
{
    sim_pipeline *pipeline = new_pipeline(sink, 2);
    sim_command *command = add(pipeline, CMD_COMPACT);
    command->partition = compaction->partition;
    command->compaction = *compaction;
    command->compaction.base_offsets =
        keep(sink, compaction->base_offsets, compaction->subpartitions);
    command->compaction.needs = keep(sink, compaction->needs, compaction->needs_count);
    add(pipeline, CMD_SYNC);
    return pipeline;
}

static void on_turn(sim_world *world, void *object, uint64_t life)
{
    (void)world;
    pool_member *connection = object;
    if (connection->life == life && connection->has_job)
        report(connection, &connection->result);
}

typedef struct orphan {
    leat_sink *sink;
    uint32_t job;
} orphan;

static void on_orphan(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    orphan *left = object;
    leat_engine_job_result result = no_result;
    result.outcome = LEAT_ENGINE_OUTAGE;
    sim_check_answered(left->sink->process, left->sink->shard, result.outcome);
    left->sink->events.done(left->sink->events.context, left->job, &result);
}

/* Its connection went before `slots` could tell: it was not sent. */
static void leave_orphan(leat_sink *sink, uint32_t job)
{
    orphan *left = leat_must_calloc(1, sizeof *left);
    *left = (orphan){sink, job};
    sim_list_add(&sink->world->garbage, left);
    sim_process_plan(sink->world, sink->process, sink->world->clock.now_us, on_orphan, left, 0);
}

static pool_member *find_free(leat_sink *sink)
{
    for (uint32_t i = 0; i < sink->config.connections; i++)
        if (sink->connections[i].is_open && !sink->connections[i].has_job)
            return &sink->connections[i];
    return NULL;
}

static uint32_t in_flight(const leat_sink *sink)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sink->config.connections; i++)
        count += sink->connections[i].has_job;
    return count;
}

static uint32_t parks_in_flight(const leat_sink *sink)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sink->config.connections; i++)
        count += sink->connections[i].has_job && sink->connections[i].kind == LEAT_ENGINE_JOB_PARK;
    return count;
}

static uint32_t retries_in_flight(const leat_sink *sink)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sink->config.connections; i++)
        count += sink->connections[i].has_job && sink->connections[i].retry.key != 0;
    return count;
}

static sim_retry retry_of(const leat_engine_job *job)
{
    if (job->kind == LEAT_ENGINE_JOB_LOAD)
        return (sim_retry){
            .partition = job->partition, .key = job->load.key, .claim = job->load.claim};
    if (job->kind != LEAT_ENGINE_JOB_BATCH || job->batch.retry_key == 0)
        return (sim_retry){0};
    return (sim_retry){.partition = job->batch.parts[0].partition,
                       .key = job->batch.retry_key,
                       .claim = job->batch.parts[0].claim,
                       .is_batch = true,
                       .is_written = !job->batch.is_look};
}

/* ---- which server it is, when no job shows it ---- */

static void on_told(sim_world *world, void *object, uint64_t life)
{
    pool_member *connection = object;
    if (connection->life != life || !connection->is_open ||
        !sim_session_answers(connection->session))
        return;
    if (!is_another(connection->sink,
                    sim_server_view_of(sim_session_server(connection->session)).id))
        return;
    world->sometimes->count[SOMETIMES_SERVER_TOLD]++;
    leave_server(connection->sink, NULL, NULL);
    want_connection(connection->sink);
}

static void on_tick(sim_world *world, void *object, uint64_t argument)
{
    leat_sink *sink = object;
    int64_t now_us = world->clock.now_us;
    pool_member *connection = now_us - sink->heard_us >= SERVER_SILENT_US ? find_free(sink) : NULL;
    if (connection) {
        sink->heard_us = now_us;
        sim_process_plan(world, sink->process, now_us + 2 * sim_latency_us(world), on_told,
                         connection, connection->life);
    }
    sim_process_plan(world, sink->process, now_us + SERVER_SILENT_US / 2, on_tick, sink, argument);
}

/* ---- jobs handed over ---- */

/* One that takes parked records names its subpartition, and moves none. */
static uint32_t touches(const leat_engine_batch *batch, const leat_engine_batch_part *part)
{
    return batch->chunk_count > 0 || batch->retry_key != 0 ? 1 : part->count;
}

static void take_job(pool_member *connection, const leat_engine_job *job)
{
    connection->has_job = true;
    connection->job = job->id;
    connection->kind = job->kind;
    connection->partition = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                                 : job->partition;
    connection->part_count = moves(job) ? job->batch.part_count : 0;
    connection->record_count = job->kind == LEAT_ENGINE_JOB_BATCH ? job->batch.record_count : 0;
    connection->unparks = job->kind == LEAT_ENGINE_JOB_BATCH &&
                          (job->batch.chunk_count > 0 || job->batch.retry_key != 0);
    connection->is_retry = job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.retry_key != 0;
    connection->is_letter = job->kind == LEAT_ENGINE_JOB_BATCH &&
                            (job->batch.dead || job->batch.hold);
    connection->only =
        connection->record_count == 1 ? record_of(connection->sink, &job->batch.records[0]) : NULL;
    connection->is_sample = sim_check_is_sample(job);
    connection->retry = retry_of(job);
    connection->verdict =
        connection->only ? connection->only->read[connection->sink->process->index].refused : 0;
    for (uint32_t i = 0; i < connection->part_count; i++) {
        connection->parts[i] = job->batch.parts[i];
        connection->parts[i].count = touches(&job->batch, &job->batch.parts[i]);
    }
}

static void tell_job(const pool_member *connection, const leat_engine_job *job)
{
    static const char *const names[] = {"none", "claim", "batch", "compaction", "park", "load"};
    const leat_sink *sink = connection->sink;
    uint32_t partition = moves(job) ? job->batch.parts[0].partition : connection->partition;
    sim_trace(sink->world, "process %u: job %u, a %s of partition %u%s, %u records%s%s",
              sink->process->index, job->id, names[job->kind], partition,
              connection->part_count > 1 ? " and others" : "",
              moves(job) ? job->batch.record_count : 0,
              moves(job) && job->batch.chunk_count > 0 ? ", from chunks" : "",
              moves(job) && job->batch.retry_key != 0 ? ", a retry"
              : moves(job) && job->batch.dead         ? ", a dead letter"
              : moves(job) && job->batch.hold         ? ", whose key is held"
                                                      : "");
    for (uint32_t i = 0; moves(job) && i < job->batch.record_count; i++)
        sim_trace(sink->world, "  partition %u offset %lld%s", job->batch.records[i].partition,
                  (long long)job->batch.records[i].offset,
                  job->batch.records[i].keep ? ", kept" : "");
}

static sim_pipeline *build(pool_member *connection, const leat_engine_job *job)
{
    leat_sink *sink = connection->sink;
    switch (job->kind) {
    case LEAT_ENGINE_JOB_BATCH:
        return build_batch(sink, &job->batch, &connection->result);
    case LEAT_ENGINE_JOB_PARK:
        return build_park(sink, &job->batch);
    case LEAT_ENGINE_JOB_LOAD:
        return build_load(sink, job);
    case LEAT_ENGINE_JOB_CLAIM:
        return build_claim(sink, job->partition);
    default:
        return build_compaction(sink, &job->compaction);
    }
}

void leat_sink_submit(leat_sink *sink, const leat_engine_job *job)
{
    sim_world *world = sink->world;
    pool_member *connection = find_free(sink);
    sim_check_job(world, sink->process, sink->shard, job);
    sim_check_look(world, sink->process, sink->shard, job);
    if (job->kind == LEAT_ENGINE_JOB_PARK)
        sim_check_park(world, sink->process, sink->shard, job, parks_in_flight(sink));
    uint32_t beside = in_flight(sink);
    sim_retry retry = retry_of(job);
    if (retry.key != 0)
        sim_check_retry(world, sink->process, sink->shard, &retry, retries_in_flight(sink));
    if (!connection) {
        sim_check_asked(world, sink->process, sink->shard, beside);
        leave_orphan(sink, job->id);
        return;
    }
    take_job(connection, job);
    tell_job(connection, job);
    sim_check_fair_sent(world, sink->process, sink->shard, job, &connection->served);
    bool is_hold = moves(job) && job->batch.hold; /* its row is not written */
    if (job->kind != LEAT_ENGINE_JOB_PARK && !connection->is_retry && !is_hold)
        sim_check_batch_sent(world, sink->process, sink->shard, connection->parts,
                             connection->part_count, sink->config.connections);
    if (connection->is_letter)
        sim_check_verdict(world, sink->process, connection->only, &job->batch, sink->trouble);
    sim_pipeline *pipeline = build(connection, job);
    world->sometimes->count[SOMETIMES_MADE_DURABLE] += moves(job) && job->batch.is_durable;
    if (!pipeline) {
        sim_process_plan(world, sink->process, world->clock.now_us, on_turn, connection,
                         connection->life);
        return;
    }
    pipeline->is_async = sink->config.commits_async && moves(job) && !job->batch.is_durable;
    sim_check_asked(world, sink->process, sink->shard, beside);
    sim_session_send(world, connection->session, pipeline);
}

bool sim_sink_is_moving(const leat_sink *sink, const leat_engine_batch *batch,
                        const leat_engine_batch_part *part)
{
    bool moved[LEAT_SUBPARTITIONS_MAX] = {false};
    for (uint32_t i = 0; i < touches(batch, part); i++)
        moved[part->subpartitions[i]] = true;
    for (uint32_t i = 0; i < sink->config.connections; i++) {
        const pool_member *connection = &sink->connections[i];
        for (uint32_t k = 0; connection->has_job && k < connection->part_count; k++) {
            const leat_engine_batch_part *other = &connection->parts[k];
            if (other->partition != part->partition ||
                memcmp(&other->claim, &part->claim, sizeof part->claim) != 0)
                continue;
            for (uint32_t m = 0; m < other->count; m++)
                if (moved[other->subpartitions[m]])
                    return true;
        }
    }
    return false;
}

/* ---- life ---- */

leat_sink *leat_sink_new(uv_loop_t *loop, const leat_sink_config *config,
                         const leat_sink_events *events, leat_error *error)
{
    (void)loop;
    (void)error;
    sim_world *world = sim_world_running();
    LEAT_ASSERT(config->connections <= CONNECTIONS_MAX);
    leat_sink *sink = leat_must_calloc(1, sizeof *sink);
    *sink = (leat_sink){.world = world,
                        .process = world->starting,
                        .shard = config->shard,
                        .config = *config,
                        .allowed = config->connections,
                        .events = *events,
                        .rows = leat_rows_new()};
    for (uint32_t i = 0; i < config->connections; i++)
        sink->connections[i].sink = sink;
    world->starting->sinks[config->shard] = sink;
    want_connection(sink);
    sim_process_plan(world, sink->process, world->clock.now_us + SERVER_SILENT_US, on_tick, sink,
                     0);
    return sink;
}

void leat_sink_allow(leat_sink *sink, uint32_t connections)
{
    LEAT_ASSERT(connections > 0 && connections <= sink->config.connections);
    sim_check_allowed(sink->world, sink->process, sink->shard, connections);
    if (connections == sink->allowed)
        return;
    sink->allowed = connections;
    keep_limit(sink);
}

const leat_sink_counters *leat_sink_count(const leat_sink *sink)
{
    return &sink->counters;
}

void leat_sink_free(leat_sink *sink)
{
    leat_rows_free(sink->rows);
    free(sink);
}

static void on_noticed(sim_world *world, void *object, uint64_t life)
{
    on_lost(world, object, life);
}

void sim_sink_cut(sim_world *world, leat_sink *sink, bool unseen)
{
    pool_member *connection = &sink->connections[sim_below(world, sink->config.connections)];
    if (!connection->is_open)
        return;
    sim_trace(world, "process %u: a connection to shard %u is cut%s", sink->process->index,
              sink->shard, unseen ? ", the server does not see it" : "");
    sim_session_cut(world, connection->session, unseen);
    int64_t after_us = sim_below(world, 2) ? sim_latency_us(world) : 1000 * sim_around(world, 300);
    sim_process_plan(world, sink->process, world->clock.now_us + after_us, on_noticed, connection,
                     connection->life);
}

void sim_sink_cut_all(sim_world *world, leat_sink *sink)
{
    for (uint32_t i = 0; i < sink->config.connections; i++) {
        pool_member *connection = &sink->connections[i];
        if (!connection->is_open)
            continue;
        bool unseen = sim_chance(world, world->options.values[OPT_STUCK]);
        sim_session_cut(world, connection->session, unseen);
        connection->is_open = false;
    }
}
