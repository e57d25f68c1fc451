#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "world.h"

enum { QUEUE_MAX = 256, NOBODY = -1 };

/* An advisory lock of one partition. */
typedef struct advisory {
    uint32_t shared;
    sim_session *exclusive;
    sim_session *queue[QUEUE_MAX];
    uint32_t queue_count;
} advisory;

struct sim_session {
    sim_server *server;
    sim_session *next;
    sim_process *process;
    void *client;
    uint64_t life;
    const sim_client_events *events;
    int64_t in_us, out_us; /* messages of one direction keep their order */
    bool is_alive;
    bool is_cut;           /* the client has gone */
    bool is_unseen;        /* and the server will not notice */
    bool is_noticing;
    uint32_t cut_at;       /* commands from here on never arrive */

    sim_pipeline *pipeline;
    uint32_t received;
    uint32_t at;           /* the command to execute */
    uint32_t phase;        /* its next statement */
    bool is_busy;          /* a statement is planned */
    bool is_waiting;       /* for a lock */
    bool wants_exclusive;
    uint32_t wanted;       /* partition */
    uint64_t wait;         /* number of the wait */
    int64_t row_wait_us;   /* since when it waits for a row; 0: it does not */

    sim_commit *tx;
    sim_answer answer;
    uint64_t shared_mask;
    int32_t exclusive;     /* partition held alone; NOBODY: none */
};

struct sim_server {
    sim_world *world;
    uint32_t shard;
    uint64_t id;
    bool is_up;
    bool is_read_only;
    uint32_t slowness;
    int64_t paused_until_us;
    char fail_state[6];
    int64_t fail_until_us;
    sim_state state;
    sim_list commits;
    advisory locks[SIM_PARTITIONS_MAX];
    sim_session *compacting[SIM_PARTITIONS_MAX]; /* holds the row of leat.partitions */
    int64_t *row_locked_until_us;
    sim_session *sessions;
};

typedef enum ran { RAN_DONE, RAN_MORE, RAN_WAITS, RAN_FAILED } ran;

static void go_on(sim_session *session);

/* --- to the client ------------------------------------------------------------------------------------------------ */

typedef enum message_kind { SAY_STATEMENT, SAY_ANSWER, SAY_LOST } message_kind;

typedef struct message {
    sim_session *session;
    message_kind kind;
    sim_answer answer;
} message;

static void deliver(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    message *said = object;
    sim_session *session = said->session;
    if (session->is_cut)
        return; /* the client knows, or is gone */
    if (said->kind == SAY_STATEMENT)
        session->events->statement(world, session->client, session->life);
    else if (said->kind == SAY_ANSWER)
        session->events->answered(world, session->client, session->life, &said->answer);
    else
        session->events->lost(world, session->client, session->life);
}

static void say(sim_session *session, message_kind kind)
{
    sim_world *world = session->server->world;
    message *said = leat_must_calloc(1, sizeof *said);
    *said = (message){session, kind, session->answer};
    sim_list_add(&world->garbage, said);
    int64_t at = world->clock.now_us + sim_latency_us(world);
    session->out_us = at > session->out_us ? at : session->out_us;
    sim_process_plan(world, session->process, session->out_us, deliver, said, 0);
}

/* --- locks -------------------------------------------------------------------------------------------------------- */

static bool can_have(const advisory *lock, bool exclusive)
{
    return !lock->exclusive && (!exclusive || lock->shared == 0);
}

static void have(sim_session *session, uint32_t partition, bool exclusive)
{
    advisory *lock = &session->server->locks[partition];
    if (exclusive) {
        lock->exclusive = session;
        session->exclusive = (int32_t)partition;
    } else {
        lock->shared++;
        session->shared_mask |= (uint64_t)1 << partition;
    }
}

static void leave_queue(sim_session *session)
{
    advisory *lock = &session->server->locks[session->wanted];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < lock->queue_count; i++)
        if (lock->queue[i] != session)
            lock->queue[kept++] = lock->queue[i];
    lock->queue_count = kept;
    session->is_waiting = false;
}

static void serve_queue(sim_server *server, uint32_t partition)
{
    advisory *lock = &server->locks[partition];
    while (lock->queue_count > 0 && can_have(lock, lock->queue[0]->wants_exclusive)) {
        sim_session *session = lock->queue[0];
        leave_queue(session);
        have(session, partition, session->wants_exclusive);
        go_on(session);
    }
}

static void release_locks(sim_session *session)
{
    sim_server *server = session->server;
    uint64_t shared = session->shared_mask;
    int32_t exclusive = session->exclusive;
    session->shared_mask = 0;
    session->exclusive = NOBODY;
    if (exclusive != NOBODY)
        server->locks[exclusive].exclusive = NULL;
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++) {
        if (server->compacting[p] == session)
            server->compacting[p] = NULL;
        if (shared >> p & 1)
            server->locks[p].shared--;
        if ((shared >> p & 1) || exclusive == (int32_t)p)
            serve_queue(server, p);
    }
}

static void fail(sim_session *session, const char *sqlstate, int32_t partition)
{
    session->answer.failed = true;
    session->answer.partition = partition;
    snprintf(session->answer.sqlstate, sizeof session->answer.sqlstate, "%s", sqlstate);
}

static void on_lock_timeout(sim_world *world, void *object, uint64_t wait)
{
    sim_session *session = object;
    if (!session->is_alive || !session->is_waiting || session->wait != wait)
        return;
    leave_queue(session);
    fail(session, "55P03", NOBODY);
    session->answer.is_lock_timeout = session->pipeline->commands[session->at].kind == CMD_CLAIM;
    world->sometimes->count[SOMETIMES_LOCK_TIMEOUT]++;
    serve_queue(session->server, session->wanted);
    go_on(session);
}

/* False: it waits for it. */
static bool lock_partition(sim_session *session, uint32_t partition, bool exclusive)
{
    advisory *lock = &session->server->locks[partition];
    if (exclusive ? session->exclusive == (int32_t)partition : (session->shared_mask >> partition & 1) != 0)
        return true;
    if (lock->queue_count == 0 && can_have(lock, exclusive)) {
        have(session, partition, exclusive);
        return true;
    }
    sim_world *world = session->server->world;
    LEAT_ASSERT(lock->queue_count < QUEUE_MAX);
    lock->queue[lock->queue_count++] = session;
    session->is_waiting = true;
    session->wants_exclusive = exclusive;
    session->wanted = partition;
    session->wait = ++world->serial;
    sim_clock_plan(&world->clock, world->clock.now_us + session->pipeline->lock_timeout_us, on_lock_timeout, session,
                   session->wait);
    world->sometimes->count[exclusive ? SOMETIMES_CLAIM_WAITED : SOMETIMES_BATCH_WAITED]++;
    return false;
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

static void roll_back(sim_session *session)
{
    sim_commit_free(session->tx);
    session->tx = NULL;
    release_locks(session);
}

static void end_session(sim_session *session, bool tell)
{
    if (!session->is_alive)
        return;
    if (session->is_waiting)
        leave_queue(session);
    session->is_alive = false;
    if (session->is_cut && session->tx && session->tx->kind == COMMIT_BATCH)
        session->server->world->sometimes->count[SOMETIMES_COMMIT_LOST]++;
    roll_back(session);
    if (tell)
        say(session, SAY_LOST);
}

static void end_fatally(sim_session *session)
{
    session->server->world->sometimes->count[SOMETIMES_FATAL]++;
    fail(session, "57P01", NOBODY);
    session->answer.is_fatal = true;
    say(session, SAY_ANSWER);
    end_session(session, true);
}

static void on_noticed(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    end_session(object, false);
}

/* A server notices that its client has gone when there is nothing left to execute. */
static void notice_later(sim_session *session)
{
    sim_world *world = session->server->world;
    if (session->is_unseen || session->is_noticing)
        return;
    session->is_noticing = true;
    sim_clock_plan(&world->clock, world->clock.now_us + 1000 * sim_around(world, world->options.values[OPT_NOTICE_MS]),
                   on_noticed, session, 0);
}

/* --- the commands ------------------------------------------------------------------------------------------------- */

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

static bool is_claim(const leat_claim *a, const leat_claim *b)
{
    return memcmp(a->token, b->token, sizeof a->token) == 0;
}

static ran failed(sim_session *session, const char *sqlstate, uint32_t partition)
{
    fail(session, sqlstate, (int32_t)partition);
    return RAN_FAILED;
}

static bool has_all(const sim_session *session, uint32_t partition, const int64_t *needs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!sim_state_has_seq(&session->server->state, partition, needs[i]))
            return false;
    return true;
}

/* An error out of nowhere, of a class that passes. */
static const char *random_error(sim_world *world)
{
    static const char *const states[] = {"40001", "40P01", "55P03", "57014", "53200", "53300", "58030", "26000", "42P01",
                                         "42501", "57P05", "08006", "40003", "28000", "3D000", "0A000", "25006", "XX001"};
    if (!sim_chance(world, world->options.values[OPT_ERRORS]))
        return NULL;
    return states[sim_below(world, sizeof states / sizeof *states)];
}

static ran run_advance(sim_session *session, const sim_command *command)
{
    const leat_batch_part *part = &command->part;
    if (session->phase == 0) {
        const char *error = random_error(session->server->world);
        if (session->server->is_read_only || error)
            return failed(session, error ? error : "25006", part->partition);
        return lock_partition(session, part->partition, false) ? RAN_MORE : RAN_WAITS;
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

/* How long the statement has to wait for rows that somebody else holds; -1: longer than it may. */
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
    if (!(write->write.present >> COLUMN_GUARD & 1) || write->write.values[COLUMN_GUARD].presence != LEAT_PRESENT)
        return NULL;
    return sim_clients_poison(world, write->write.values[COLUMN_GUARD].text);
}

static void write_row(sim_session *session, const sim_command *command, const sim_write *write)
{
    sim_commit *tx = transaction(session, COMMIT_BATCH);
    model_row row = model_row_copy(sim_commit_row(tx, &session->server->state, write->row));
    bool good = row_model_apply_write(&row, command->route, session->server->world->schema.defaults, &write->write);
    LEAT_ASSERT(good);
    sim_commit_put_row(tx, write->row, row);
}

static ran run_rows(sim_session *session, const sim_command *command)
{
    sim_server *server = session->server;
    if (session->phase == 0) {
        int64_t wait = row_wait(session, command);
        if (wait < 0)
            server->world->sometimes->count[SOMETIMES_ROW_LOCK_TIMEOUT]++;
        session->row_wait_us = wait < 0 ? session->pipeline->lock_timeout_us : wait;
        return wait < 0 ? failed(session, "55P03", 0) : RAN_MORE;
    }
    if (server->fail_until_us > server->world->clock.now_us)
        return failed(session, server->fail_state, 0);
    for (uint32_t i = 0; i < command->write_count; i++) {
        const char *poison = poison_of(session, &command->writes[i]);
        if (poison)
            return failed(session, poison, 0);
        write_row(session, command, &command->writes[i]);
    }
    return RAN_DONE;
}

static ran run_dead_letter(sim_session *session, const sim_command *command)
{
    (void)command;
    transaction(session, COMMIT_BATCH);
    return RAN_DONE;
}

static ran run_claim(sim_session *session, const sim_command *command)
{
    sim_world *world = session->server->world;
    if (session->phase == 0) {
        const char *error = random_error(world);
        if (session->server->is_read_only || error)
            return failed(session, error ? error : "25006", command->partition);
        return lock_partition(session, command->partition, true) ? RAN_MORE : RAN_WAITS;
    }
    const sim_partition_state *partition = stored(session, command->partition);
    sim_commit *tx = transaction(session, COMMIT_CLAIM);
    tx->partition = command->partition;
    for (size_t i = 0; i < sizeof tx->claim.token; i++)
        tx->claim.token[i] = (uint8_t)leat_prng_next(&world->prng);
    session->answer.progress = leat_must_calloc(1, sizeof *session->answer.progress);
    sim_list_add(&world->garbage, session->answer.progress);
    leat_progress_begin(session->answer.progress, tx->claim, partition->epoch + 1, partition->base_seq,
                        partition->base_offsets, partition->low, partition->low_at_ms);
    return RAN_DONE;
}

static ran run_read_progress(sim_session *session, const sim_command *command)
{
    const sim_partition_state *partition = stored(session, command->partition);
    for (uint32_t i = 0; i < partition->row_count; i++) {
        const sim_progress_row *row = &partition->rows[i];
        LEAT_ASSERT(leat_progress_row(session->answer.progress, row->seq, row->subpartitions, row->offsets,
                                      row->count) == 0);
    }
    return RAN_DONE;
}

static ran run_compact(sim_session *session, const sim_command *command)
{
    const leat_compaction *compaction = &command->compaction;
    uint32_t p = compaction->partition;
    if (session->phase == 0) {
        if (session->server->is_read_only)
            return failed(session, "25006", p);
        return lock_partition(session, p, false) ? RAN_MORE : RAN_WAITS;
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

static void commit(sim_session *session)
{
    sim_server *server = session->server;
    sim_world *world = server->world;
    sim_commit *tx = session->tx;
    session->tx = NULL;
    for (uint32_t i = 0; i < session->pipeline->record_count; i++)
        sim_commit_put_fate(tx, session->pipeline->records[i],
                            session->pipeline->is_dead_letter ? FATE_DEAD : FATE_APPLIED);
    sim_check_before_commit(world, &server->state, tx);
    sim_state_apply(&server->state, tx);
    sim_list_add(&server->commits, tx);
    sim_list_add(&world->commits, tx);
    for (uint32_t i = 0; i < tx->fate_count; i++)
        tx->fates[i].record->ever_applied = true;
    if (session->is_cut)
        world->sometimes->count[SOMETIMES_COMMIT_UNHEARD]++;
    sim_check_after_commit(world, &server->state, tx);
}

static ran run_sync(sim_session *session, const sim_command *command)
{
    (void)command;
    sim_world *world = session->server->world;
    bool is_batch = session->tx && session->tx->kind == COMMIT_BATCH;
    if (!session->answer.failed && is_batch && sim_chance(world, world->options.values[OPT_DEFERRED])) {
        world->sometimes->count[SOMETIMES_COMMIT_FAILED]++;
        fail(session, "40001", NOBODY);
        session->answer.is_commit = true;
    }
    if (!session->answer.failed && session->tx)
        commit(session);
    roll_back(session);
    say(session, SAY_ANSWER);
    session->pipeline = NULL;
    session->answer = (sim_answer){.partition = NOBODY};
    return RAN_DONE;
}

/* --- executing ---------------------------------------------------------------------------------------------------- */

static ran (*const run[])(sim_session *session, const sim_command *command) = {
    [CMD_ADVANCE] = run_advance, [CMD_ROWS] = run_rows,
    [CMD_DEAD_LETTER] = run_dead_letter, [CMD_CLAIM] = run_claim,
    [CMD_READ_PROGRESS] = run_read_progress, [CMD_COMPACT] = run_compact,
    [CMD_SYNC] = run_sync,
};

static void next_command(sim_session *session)
{
    session->at++;
    session->phase = 0;
}

static void execute_one(sim_session *session)
{
    const sim_command *command = &session->pipeline->commands[session->at];
    if (session->answer.failed && command->kind != CMD_SYNC) {
        next_command(session);
        return;
    }
    ran result = run[command->kind](session, command);
    if (result == RAN_MORE)
        session->phase++;
    else if (result != RAN_WAITS)
        next_command(session);
    bool is_last = session->pipeline && session->at + 1 == session->pipeline->command_count;
    if (result == RAN_DONE && is_last)
        say(session, SAY_STATEMENT);
}

static void on_execute(sim_world *world, void *object, uint64_t argument)
{
    sim_session *session = object;
    if (!session->is_alive)
        return;
    if (session->server->paused_until_us > world->clock.now_us) {
        sim_clock_plan(&world->clock, session->server->paused_until_us, on_execute, session, argument);
        return;
    }
    session->is_busy = false;
    if (sim_chance(world, world->options.values[OPT_FATAL] / 4 * (session->phase == 0))) {
        end_fatally(session);
        return;
    }
    execute_one(session);
    go_on(session);
}

static void go_on(sim_session *session)
{
    sim_world *world = session->server->world;
    if (!session->is_alive || session->is_busy || session->is_waiting)
        return;
    if (!session->pipeline || session->at == session->received) {
        if (session->is_cut)
            notice_later(session);
        return;
    }
    int64_t takes = sim_around(world, world->options.values[OPT_STATEMENT_US]) * session->server->slowness;
    takes += session->row_wait_us;
    session->row_wait_us = 0;
    session->is_busy = true;
    sim_clock_plan(&world->clock, world->clock.now_us + takes, on_execute, session, 0);
}

/* --- from the client ---------------------------------------------------------------------------------------------- */

sim_session *sim_session_open(sim_server *server, void *client, uint64_t life, const sim_client_events *events,
                              sim_process *process)
{
    if (!server->is_up || sim_chance(server->world, server->world->options.values[OPT_ERRORS]))
        return NULL;
    sim_session *session = leat_must_calloc(1, sizeof *session);
    *session = (sim_session){.server = server, .next = server->sessions, .process = process, .client = client,
                             .life = life, .events = events, .is_alive = true, .cut_at = UINT32_MAX,
                             .exclusive = NOBODY, .answer = {.partition = NOBODY}};
    server->sessions = session;
    return session;
}

static void on_arrival(sim_world *world, void *object, uint64_t index)
{
    sim_session *session = object;
    (void)world;
    if (!session->is_alive || index >= session->cut_at)
        return;
    session->received = (uint32_t)index + 1;
    go_on(session);
}

void sim_session_send(sim_world *world, sim_session *session, sim_pipeline *pipeline)
{
    LEAT_ASSERT(!session->pipeline);
    session->pipeline = pipeline;
    session->received = 0;
    session->at = 0;
    session->phase = 0;
    for (uint32_t i = 0; i < pipeline->command_count; i++) {
        int64_t at = world->clock.now_us + sim_latency_us(world) / (i ? 8 : 1);
        session->in_us = at > session->in_us ? at : session->in_us;
        sim_clock_plan(&world->clock, session->in_us, on_arrival, session, i);
    }
}

void sim_session_cut(sim_world *world, sim_session *session, bool unseen)
{
    if (session->is_cut || !session->is_alive)
        return;
    session->is_cut = true;
    session->is_unseen = unseen;
    if (session->pipeline) {
        uint32_t left = session->pipeline->command_count - session->received;
        session->cut_at = session->received + sim_below(world, left + 1);
    }
    go_on(session);
}

uint32_t sim_server_terminate_holders(sim_world *world, sim_server *server, uint32_t partition)
{
    uint32_t count = 0;
    for (sim_session *session = server->sessions; session; session = session->next) {
        bool holds = (session->shared_mask >> partition & 1) || session->exclusive == (int32_t)partition;
        if (!session->is_alive || !holds)
            continue;
        count++;
        end_session(session, true);
    }
    world->sometimes->count[SOMETIMES_HOLDER_TERMINATED] += count;
    return count;
}

/* --- the server --------------------------------------------------------------------------------------------------- */

sim_server *sim_server_new(sim_world *world, uint32_t shard, const sim_server *from, uint32_t commit_count)
{
    sim_server *server = leat_must_calloc(1, sizeof *server);
    *server = (sim_server){.world = world, .shard = shard, .id = ++world->serial, .is_up = true, .slowness = 1};
    sim_state_begin(&server->state, &world->schema, &world->broker);
    server->row_locked_until_us = leat_must_calloc(world->schema.row_count, sizeof *server->row_locked_until_us);
    for (uint32_t i = 0; i < commit_count; i++) {
        sim_list_add(&server->commits, from->commits.items[i]);
        sim_state_apply(&server->state, from->commits.items[i]);
    }
    return server;
}

void sim_server_free(sim_server *server)
{
    while (server->sessions) {
        sim_session *session = server->sessions;
        server->sessions = session->next;
        sim_commit_free(session->tx);
        free(session);
    }
    sim_state_end(&server->state);
    free(server->commits.items);
    free(server->row_locked_until_us);
    free(server);
}

void sim_server_hand_over(sim_server *from, sim_server *to)
{
    to->id = from->id;
    sim_session **at = &from->sessions;
    while (*at) {
        sim_session *session = *at;
        if (!session->is_alive || session->is_cut || session->pipeline) {
            at = &session->next;
            continue;
        }
        *at = session->next;
        session->next = to->sessions;
        session->server = to;
        to->sessions = session;
    }
}

sim_server_view sim_server_look(const sim_server *server)
{
    return (sim_server_view){server->id, server->is_up, server->commits.count, &server->state};
}

int64_t sim_server_safe_low(const sim_server *server, uint32_t partition, uint32_t lag)
{
    int64_t low = -1;
    for (uint32_t i = 0; i + lag < server->commits.count; i++) {
        const sim_commit *commit = server->commits.items[i];
        if (commit->compaction && commit->partition == partition)
            low = commit->compaction->low;
    }
    return low;
}

void sim_server_stop(sim_world *world, sim_server *server)
{
    (void)world;
    server->is_up = false;
    for (sim_session *session = server->sessions; session; session = session->next)
        end_session(session, true);
}

void sim_server_start(sim_world *world, sim_server *server)
{
    (void)world;
    server->is_up = true;
}

void sim_server_pause(sim_world *world, sim_server *server, int64_t until_us)
{
    (void)world;
    server->paused_until_us = until_us;
}

void sim_server_read_only(sim_server *server, bool on)
{
    server->is_read_only = on;
}

void sim_server_slow(sim_server *server, uint32_t factor)
{
    server->slowness = factor;
}

void sim_server_fail_all(sim_server *server, const char *sqlstate, int64_t until_us)
{
    snprintf(server->fail_state, sizeof server->fail_state, "%s", sqlstate);
    server->fail_until_us = until_us;
}

void sim_server_lock_row(sim_server *server, uint32_t row, int64_t until_us)
{
    if (until_us > server->row_locked_until_us[row])
        server->row_locked_until_us[row] = until_us;
}

sim_server *sim_session_server(const sim_session *session)
{
    return session->server;
}
