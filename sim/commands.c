/* commands.c - the functions of schema leat, and row statements, one statement at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "direct.h"
#include "faults.h"
#include "server_state.h"

enum { BESIDE_US = 1000 }; /* until it looks again */

void sim_session_fail(sim_session *session, const char *sqlstate, int32_t partition)
{
    session->answer.failed = true;
    session->answer.partition = partition;
    session->answer.at = session->pipeline ? session->pipeline->commands[session->at].kind
                                           : CMD_SYNC;
    snprintf(session->answer.sqlstate, sizeof session->answer.sqlstate, "%s", sqlstate);
}

static sim_commit *transaction(sim_session *session, sim_commit_kind kind)
{
    if (!session->tx)
        session->tx = sim_commit_new(kind);
    return session->tx;
}

static const sim_partition_state *stored(const sim_session *session, uint32_t partition)
{
    return &session->server->state.partitions[partition];
}

static bool is_claim(const leat_engine_claim *a, const leat_engine_claim *b)
{
    return memcmp(a->token, b->token, sizeof a->token) == 0;
}

static ran failed(sim_session *session, const char *sqlstate, uint32_t partition)
{
    sim_session_fail(session, sqlstate, (int32_t)partition);
    return RAN_FAILED;
}

static bool has_all(const sim_session *session, uint32_t partition, const int64_t *needs,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!sim_state_has_seq(&session->server->state, partition, needs[i]))
            return false;
    return true;
}

/* An error out of nowhere, of a class that passes. */
static const char *random_error(sim_world *world)
{
    static const char *const states[] = {"40001", "40P01", "55P03", "57014", "53200", "53300",
                                         "58030", "26000", "42P01", "42501", "57P05", "08006",
                                         "40003", "28000", "3D000", "0A000", "25006", "XX001"};
    if (!sim_chance(world, world->options.values[OPT_ERRORS]))
        return NULL;
    return states[sim_below(world, sizeof states / sizeof *states)];
}

/* The error for a session that tries to write; NULL: none. */
static const char *refusal(const sim_session *session, bool is_first)
{
    const sim_server *server = session->server;
    if (server->is_read_only && is_first)
        return "25006";
    bool refuses = server->refuse_until_us > server->world->clock.now_us;
    return refuses && (is_first || strcmp(server->refuse_state, "54000") != 0)
               ? server->refuse_state
               : NULL;
}

static ran run_advance(sim_session *session, const sim_command *command)
{
    const leat_engine_batch_part *part = &command->part;
    if (session->phase == 0) {
        const char *error = random_error(session->server->world);
        error = error ? error : refusal(session, true);
        if (error)
            return failed(session, error, part->partition);
        return sim_lock_partition(session, part->partition, false) ? RAN_MORE : RAN_WAITS;
    }
    if (session->phase == 1) {
        if (!is_claim(&stored(session, part->partition)->claim, &part->claim))
            return failed(session, "LT001", part->partition);
        sim_commit_put_progress(transaction(session, COMMIT_BATCH), part);
        return RAN_MORE;
    }
    if (!has_all(session, part->partition, part->needs, part->needs_count))
        return failed(session, "LT002", part->partition);
    return RAN_DONE;
}

/* How long the statement has to wait for rows that another session holds; -1: longer than it
 * may. */
static int64_t row_wait(sim_session *session, const sim_command *command)
{
    sim_world *world = session->server->world;
    int64_t until = 0;
    for (uint32_t i = 0; i < command->write_count; i++) {
        int64_t locked = session->server->row_locked_until_us[command->writes[i].row];
        until = locked > until ? locked : until;
    }
    int64_t wait = until - world->clock.now_us;
    return wait > session->pipeline->lock_timeout_us ? -1 : wait > 0 ? wait : 0;
}

static const char *poison_of(sim_session *session, const sim_write *write)
{
    sim_world *world = session->server->world;
    if (!(write->write.present >> COLUMN_GUARD & 1) ||
        write->write.values[COLUMN_GUARD].presence != LEAT_PRESENT)
        return NULL;
    return sim_clients_poison(world, write->write.values[COLUMN_GUARD].text);
}

static void write_row(sim_session *session, const sim_command *command, const sim_write *write)
{
    sim_commit *tx = transaction(session, COMMIT_BATCH);
    model_row row = model_row_copy(sim_commit_row(tx, &session->server->state, write->row));
    bool good = row_model_apply_write(&row, command->route, session->server->world->schema.defaults,
                                      &write->write);
    LEAT_ASSERT(good);
    sim_commit_put_row(tx, write->row, row);
}

/* No statement takes longer. */
#define ROWS_MAX_US (3 * INT64_C(1000000))

static int64_t rows_take(const sim_session *session, const sim_command *command)
{
    const sim_world *world = session->server->world;
    const sim_schema *schema = &world->schema;
    int64_t sum_us = 0;
    for (uint32_t i = 0; i < command->write_count; i++)
        sum_us += sim_row_us(world, command->writes[i].row / schema->ids % schema->apps);
    sum_us *= session->server->slowness;
    return sum_us < ROWS_MAX_US ? sum_us : ROWS_MAX_US;
}

/* For a row or a key that a write has which is in no log. -1: longer than it may. */
static int wait_beside(sim_session *session, bool is_taken)
{
    int64_t now_us = session->server->world->clock.now_us;
    if (!is_taken) {
        session->beside_us = 0;
        return 0;
    }
    if (session->beside_us == 0)
        session->beside_us = now_us;
    if (now_us - session->beside_us >= session->pipeline->lock_timeout_us) {
        session->beside_us = 0;
        return -1;
    }
    session->row_wait_us = BESIDE_US;
    return 1;
}

/* The same statement again. */
static ran again(sim_session *session)
{
    session->phase--;
    return RAN_MORE;
}

static bool is_any_taken(const sim_session *session, const sim_command *command)
{
    for (uint32_t i = 0; i < command->write_count; i++)
        if (sim_directs_have_row(session->server, command->writes[i].row))
            return true;
    return false;
}

static ran run_rows(sim_session *session, const sim_command *command)
{
    sim_server *server = session->server;
    if (session->phase == 0) {
        int64_t wait = row_wait(session, command);
        if (wait < 0)
            server->world->sometimes->count[SOMETIMES_ROW_LOCK_TIMEOUT]++;
        session->row_wait_us = wait < 0 ? session->pipeline->lock_timeout_us
                                        : wait + rows_take(session, command);
        return wait < 0 ? failed(session, "55P03", 0) : RAN_MORE;
    }
    int waits = wait_beside(session, is_any_taken(session, command));
    if (waits != 0)
        return waits < 0 ? failed(session, "55P03", 0) : again(session);
    if (refusal(session, false))
        return failed(session, refusal(session, false), 0);
    if (server->fail_until_us > server->world->clock.now_us)
        return failed(session, server->fail_state, 0);
    for (uint32_t i = 0; i < command->write_count; i++) {
        const char *poison = poison_of(session, &command->writes[i]);
        if (poison && strcmp(poison, SIM_KILLS) == 0)
            return RAN_KILLED;
        if (poison && strcmp(poison, SIM_CRASHES) == 0)
            return RAN_CRASHED;
        if (poison) {
            session->answer.is_raised = true;
            return failed(session, poison, 0);
        }
        write_row(session, command, &command->writes[i]);
    }
    return RAN_DONE;
}

static ran run_dead_letter(sim_session *session, const sim_command *command)
{
    (void)command;
    if (refusal(session, false))
        return failed(session, refusal(session, false), 0);
    transaction(session, COMMIT_BATCH);
    return RAN_DONE;
}

static ran run_claim(sim_session *session, const sim_command *command)
{
    sim_world *world = session->server->world;
    if (session->phase == 0) {
        const char *error = random_error(world);
        error = error ? error : refusal(session, true);
        if (error)
            return failed(session, error, command->partition);
        return sim_lock_partition(session, command->partition, true) ? RAN_MORE : RAN_WAITS;
    }
    const sim_partition_state *partition = stored(session, command->partition);
    sim_commit *tx = transaction(session, COMMIT_CLAIM);
    tx->partition = command->partition;
    for (size_t i = 0; i < sizeof tx->claim.token; i++)
        tx->claim.token[i] = (uint8_t)leat_prng_next(&world->prng);
    uint32_t subpartitions = world->schema.catalog.source.placement.subpartitions;
    session->answer.progress = leat_must_calloc(1, sizeof *session->answer.progress);
    int64_t *memory = leat_must_calloc(2 * (size_t)subpartitions, sizeof *memory);
    leat_engine_progress_init(session->answer.progress, memory, subpartitions);
    sim_list_add(&world->garbage, session->answer.progress);
    sim_list_add(&world->garbage, memory);
    leat_engine_progress_begin(session->answer.progress, tx->claim, partition->epoch + 1,
                               partition->base_seq, partition->base_offsets, partition->low,
                               partition->newest);
    return RAN_DONE;
}

static ran run_read_progress(sim_session *session, const sim_command *command)
{
    const sim_partition_state *partition = stored(session, command->partition);
    for (uint32_t i = 0; i < partition->row_count; i++) {
        const sim_progress_row *row = &partition->rows[i];
        LEAT_ASSERT(leat_engine_progress_row(session->answer.progress, row->seq, row->subpartitions,
                                             row->offsets, row->count, row->newest.at_ms,
                                             row->newest.epoch) == 0);
    }
    return RAN_DONE;
}

static ran run_read_parked(sim_session *session, const sim_command *command)
{
    sim_parked_read(session->server->world, stored(session, command->partition), &session->answer);
    sim_held_read(session->server->world, stored(session, command->partition), &session->answer);
    return RAN_DONE;
}

static ran run_hold(sim_session *session, const sim_command *command)
{
    sim_commit *tx = transaction(session, COMMIT_BATCH);
    if (refusal(session, false))
        return failed(session, refusal(session, false), command->partition);
    for (uint32_t i = 0; i < command->kept_count; i++) {
        bool by_retry;
        sim_held_is_locked(session->server, session, command->partition, command->kept[i].key,
                           &by_retry);
        if (by_retry)
            return failed(session, "55P03", command->partition);
    }
    const sim_partition_state *partition = stored(session, command->partition);
    const char *error =
        command->kind == CMD_HOLD
            ? sim_held_hold(partition, command, tx, session->server->world->clock.now_us)
            : sim_held_keep(partition, command, tx);
    return error ? failed(session, error, command->partition) : RAN_DONE;
}

static ran run_retry(sim_session *session, const sim_command *command)
{
    sim_server *server = session->server;
    sim_commit *tx = transaction(session, COMMIT_BATCH);
    bool by_retry;
    if (refusal(session, false))
        return failed(session, refusal(session, false), command->partition);
    if (sim_held_is_locked(server, session, command->partition, command->load.key, &by_retry))
        return failed(session, "55P03", command->partition);
    tx->locked_key = command->load.key;
    tx->partition = command->partition;
    return RAN_DONE;
}

static bool is_any_noted(const sim_session *session, const sim_command *command)
{
    for (uint32_t i = 0; i < command->note_count; i++)
        if (sim_directs_have_noted(session->server, &command->notes[i].id))
            return true;
    return false;
}

/* What a worker is told of by this may be a write that is in no log: nothing that it does next
 * needs that one, so this is the worst moment to lose it. */
static void tempt_fate(const sim_session *session, const sim_command *command)
{
    const sim_server *server = session->server;
    const sim_shard *shard = &server->world->shards[server->shard];
    for (uint32_t i = server->commits.count; shard->primary == server && i-- > shard->kept;) {
        const sim_commit *commit = server->commits.items[i];
        for (uint32_t k = 0; commit->kind == COMMIT_DIRECT && k < command->note_count; k++) {
            if (!sim_notes_find(&commit->notes, &command->notes[k].id))
                continue;
            sim_faults_lose_soon(server->world, server->shard, i);
            return;
        }
    }
}

static ran run_note(sim_session *session, const sim_command *command)
{
    sim_world *world = session->server->world;
    const sim_notes *notes = &session->server->state.notes;
    sim_commit *tx = transaction(session, COMMIT_BATCH);
    if (refusal(session, false))
        return failed(session, refusal(session, false), 0);
    if (session->phase == 0) {
        if (!sim_notes_look(world, notes, command, &session->answer))
            return RAN_MORE;
        tempt_fate(session, command);
        return failed(session, "LT010", 0);
    }
    int waits = wait_beside(session, is_any_noted(session, command));
    if (waits != 0)
        return waits < 0 ? failed(session, "55P03", 0) : again(session);
    if (sim_notes_note(notes, command, &tx->notes))
        return RAN_DONE;
    return failed(session, "23505", 0);
}

/* It writes nothing. */
static ran run_repeats(sim_session *session, const sim_command *command)
{
    const sim_commit *tx = transaction(session, COMMIT_BATCH);
    bool is_any_lost = sim_notes_miss(session->server->world, &session->server->state.notes,
                                      &tx->notes, command, &session->answer);
    return is_any_lost ? failed(session, "LT012", 0) : RAN_DONE;
}

static ran run_retried(sim_session *session, const sim_command *command)
{
    const char *error = sim_held_retry(stored(session, command->partition), command,
                                       transaction(session, COMMIT_BATCH), &session->answer);
    return error ? failed(session, error, command->partition) : RAN_DONE;
}

static ran run_park(sim_session *session, const sim_command *command)
{
    sim_commit *tx = transaction(session, COMMIT_BATCH);
    if (refusal(session, false))
        return failed(session, refusal(session, false), command->partition);
    const char *error =
        sim_parked_park(stored(session, command->partition), command, tx, &session->answer);
    return error ? failed(session, error, command->partition) : RAN_DONE;
}

static ran run_unpark(sim_session *session, const sim_command *command)
{
    sim_commit *tx = transaction(session, COMMIT_BATCH);
    const char *error = sim_parked_check(stored(session, command->partition), command, tx);
    return error ? failed(session, error, command->partition) : RAN_DONE;
}

/* It only reads: a server that takes no writes answers it. */
static ran run_load(sim_session *session, const sim_command *command)
{
    const char *error = random_error(session->server->world);
    if (!error && command->load.key != 0)
        sim_held_load(session->server->world, stored(session, command->partition), command,
                      &session->answer);
    else if (!error)
        error = sim_parked_load(stored(session, command->partition), command, &session->answer);
    return error ? failed(session, error, command->partition) : RAN_DONE;
}

static ran run_compact(sim_session *session, const sim_command *command)
{
    const leat_engine_compaction *compaction = &command->compaction;
    uint32_t p = compaction->partition;
    if (session->phase == 0) {
        if (refusal(session, true))
            return failed(session, refusal(session, true), p);
        return sim_lock_partition(session, p, false) ? RAN_MORE : RAN_WAITS;
    }
    if (session->phase == 1) {
        if (!is_claim(&stored(session, p)->claim, &compaction->claim))
            return failed(session, "LT001", p);
        if (!has_all(session, p, compaction->needs, compaction->needs_count))
            return failed(session, "LT002", p);
        return RAN_MORE;
    }
    sim_session **holder = &session->server->compacting[p];
    if (*holder && *holder != session) {
        session->row_wait_us = 1000;
        session->phase--; /* the same statement again */
        return RAN_MORE;
    }
    sim_commit *tx = transaction(session, COMMIT_COMPACTION);
    tx->partition = p;
    *holder = session;
    if (stored(session, p)->base_seq < compaction->base_seq) {
        tx->compaction = leat_must_calloc(1, sizeof *tx->compaction);
        *tx->compaction = *compaction;
    }
    return RAN_DONE;
}

/* What was committed is on the disk, as the log of the database is one. */
void sim_server_flush(sim_server *server)
{
    for (; server->flushed < server->commits.count; server->flushed++) {
        const sim_commit *tx = server->commits.items[server->flushed];
        for (uint32_t i = 0; i < tx->fate_count; i++) {
            tx->fates[i].record->ever_applied = true;
            tx->fates[i].record->fates_ever |= (uint8_t)(1u << tx->fates[i].fate);
        }
    }
}

static void on_flush(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    sim_server *server = object;
    server->is_flush_planned = false;
    sim_server_flush(server);
}

static void flush_later(sim_server *server)
{
    sim_world *world = server->world;
    if (server->is_flush_planned)
        return;
    server->is_flush_planned = true;
    sim_clock_plan(&world->clock,
                   world->clock.now_us +
                       1000 * sim_around(world, world->options.values[OPT_FLUSH_MS]),
                   on_flush, server, 0);
}

void sim_server_commit(sim_server *server, sim_commit *tx)
{
    sim_world *world = server->world;
    sim_check_before_commit(world, &server->state, tx);
    sim_state_apply(&server->state, tx);
    sim_list_add(&server->commits, tx);
    sim_list_add(&world->commits, tx);
    if (tx->is_async)
        flush_later(server);
    else if (tx->kind != COMMIT_COMPACTION || tx->compaction) /* one that wrote nothing waits for
                                                                 nothing */
        sim_server_flush(server);
    sim_check_after_commit(world, &server->state, tx);
}

static void commit(sim_session *session)
{
    sim_commit *tx = session->tx;
    session->tx = NULL;
    tx->is_async = session->is_async;
    for (uint32_t i = 0; i < session->pipeline->record_count; i++)
        sim_commit_put_fate(tx, session->pipeline->records[i], session->pipeline->fates[i]);
    if (session->is_cut)
        session->server->world->sometimes->count[SOMETIMES_COMMIT_UNHEARD]++;
    sim_server_commit(session->server, tx);
}

static ran run_sync(sim_session *session, const sim_command *command)
{
    (void)command;
    sim_world *world = session->server->world;
    bool is_batch = session->tx && session->tx->kind == COMMIT_BATCH;
    if (!session->answer.failed && is_batch &&
        sim_chance(world, world->options.values[OPT_DEFERRED])) {
        world->sometimes->count[SOMETIMES_COMMIT_FAILED]++;
        sim_session_fail(session, "40001", NOBODY);
        session->answer.is_commit = true;
    }
    if (!session->answer.failed && session->tx)
        commit(session);
    return RAN_DONE;
}

static ran (*const run[])(sim_session *session, const sim_command *command) = {
    [CMD_ADVANCE] = run_advance,
    [CMD_ROWS] = run_rows,
    [CMD_DEAD_LETTER] = run_dead_letter,
    [CMD_CLAIM] = run_claim,
    [CMD_READ_PROGRESS] = run_read_progress,
    [CMD_COMPACT] = run_compact,
    [CMD_PARK] = run_park,
    [CMD_UNPARK] = run_unpark,
    [CMD_LOAD] = run_load,
    [CMD_READ_PARKED] = run_read_parked,
    [CMD_HOLD] = run_hold,
    [CMD_KEEP] = run_hold,
    [CMD_NOTE] = run_note,
    [CMD_REPEATS] = run_repeats,
    [CMD_RETRY] = run_retry,
    [CMD_RETRIED] = run_retried,
    [CMD_SYNC] = run_sync,
};

ran sim_command_run(sim_session *session, const sim_command *command)
{
    return run[command->kind](session, command);
}
