/* session.c - messages in and out of a session, and the order in which it executes. */
#include <stdlib.h>

#include "server_state.h"

/* ---- to the client ---- */

typedef enum message_kind { MESSAGE_STATEMENT, MESSAGE_ANSWER, MESSAGE_LOST } message_kind;

typedef struct message {
    sim_session *session;
    message_kind kind;
    sim_answer answer;
} message;

static void deliver(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    message *sent = object;
    sim_session *session = sent->session;
    if (session->is_cut)
        return; /* the client knows, or has gone */
    if (sent->kind == MESSAGE_STATEMENT)
        session->events->statement(world, session->client, session->life);
    else if (sent->kind == MESSAGE_ANSWER)
        session->events->answered(world, session->client, session->life, &sent->answer);
    else
        session->events->lost(world, session->client, session->life);
}

static void send_message(sim_session *session, message_kind kind)
{
    sim_world *world = session->server->world;
    message *sent = leat_must_calloc(1, sizeof *sent);
    *sent = (message){session, kind, session->answer};
    sim_list_add(&world->garbage, sent);
    int64_t at = world->clock.now_us + sim_latency_us(world);
    session->out_us = at > session->out_us ? at : session->out_us;
    sim_process_plan(world, session->process, session->out_us, deliver, sent, 0);
}

/* ---- ends ---- */

void sim_session_roll_back(sim_session *session)
{
    sim_commit_free(session->tx);
    session->tx = NULL;
    session->is_async = false;
    sim_locks_release(session);
}

void sim_session_end(sim_session *session, bool notify)
{
    if (!session->is_alive)
        return;
    if (session->is_waiting)
        sim_locks_stop_waiting(session);
    session->is_alive = false;
    if (session->is_cut && session->tx && session->tx->kind == COMMIT_BATCH)
        session->server->world->sometimes->count[SOMETIMES_COMMIT_LOST]++;
    sim_session_roll_back(session);
    if (notify)
        send_message(session, MESSAGE_LOST);
}

static void end_fatally(sim_session *session)
{
    session->server->world->sometimes->count[SOMETIMES_FATAL]++;
    sim_session_fail(session, "57P01", NOBODY);
    session->answer.is_fatal = true;
    send_message(session, MESSAGE_ANSWER);
    sim_session_end(session, true);
}

static void on_noticed(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    sim_session_end(object, false);
}

/* A server notices that its client has gone when there is nothing left to execute. */
static void notice_later(sim_session *session)
{
    sim_world *world = session->server->world;
    if (session->is_unseen || session->is_noticing)
        return;
    session->is_noticing = true;
    sim_clock_plan(&world->clock,
                   world->clock.now_us +
                       1000 * sim_around(world, world->options.values[OPT_NOTICE_MS]),
                   on_noticed, session, 0);
}

/* ---- executing ---- */

static void next_command(sim_session *session)
{
    session->at++;
    session->phase = 0;
}

/* The transaction is over, and so is the pipeline. */
static void answer_sync(sim_session *session)
{
    sim_session_roll_back(session);
    session->answer.server = session->server->id;
    send_message(session, MESSAGE_ANSWER);
    session->pipeline = NULL;
    session->answer = (sim_answer){.partition = NOBODY};
}

/* After a crash the server is up again at once: the same one, as after the crash of a backend. */
static void end_by_record(sim_session *session, bool crashes)
{
    sim_server *server = session->server;
    sim_world *world = server->world;
    world->sometimes->count[crashes ? SOMETIMES_CRASHED_BY_RECORD : SOMETIMES_KILLED_BY_RECORD]++;
    sim_trace(world, "shard %u: a record ends %s", server->shard,
              crashes ? "all sessions" : "its session");
    if (!crashes) {
        end_fatally(session);
        return;
    }
    sim_server_crash(world, server, false);
}

static void execute_one(sim_session *session)
{
    const sim_command *command = &session->pipeline->commands[session->at];
    if (session->answer.failed && command->kind != CMD_SYNC) {
        next_command(session);
        return;
    }
    ran result = sim_command_run(session, command);
    if (result == RAN_KILLED || result == RAN_CRASHED) {
        end_by_record(session, result == RAN_CRASHED);
        return;
    }
    if (result == RAN_MORE)
        session->phase++;
    else if (result != RAN_WAITS)
        next_command(session);
    if (command->kind == CMD_SYNC)
        answer_sync(session);
    else if (result == RAN_DONE && session->at + 1 == session->pipeline->command_count)
        send_message(session, MESSAGE_STATEMENT);
}

static void on_execute(sim_world *world, void *object, uint64_t argument)
{
    sim_session *session = object;
    if (!session->is_alive)
        return;
    if (session->server->paused_until_us > world->clock.now_us) {
        sim_clock_plan(&world->clock, session->server->paused_until_us, on_execute, session,
                       argument);
        return;
    }
    session->is_busy = false;
    if (sim_chance(world, world->options.values[OPT_FATAL] / 4 * (session->phase == 0))) {
        end_fatally(session);
        return;
    }
    execute_one(session);
    sim_session_go_on(session);
}

void sim_session_go_on(sim_session *session)
{
    sim_world *world = session->server->world;
    if (!session->is_alive || session->is_busy || session->is_waiting)
        return;
    if (!session->pipeline || session->at == session->received) {
        if (session->is_cut)
            notice_later(session);
        return;
    }
    int64_t takes = sim_around(world, world->options.values[OPT_STATEMENT_US]) *
                    session->server->slowness;
    takes += session->row_wait_us;
    session->row_wait_us = 0;
    session->is_busy = true;
    sim_clock_plan(&world->clock, world->clock.now_us + takes, on_execute, session, 0);
}

/* ---- from the client ---- */

sim_session *sim_session_open(sim_server *server, void *client, uint64_t life,
                              const sim_client_events *events, sim_process *process)
{
    if (!server->is_up || sim_chance(server->world, server->world->options.values[OPT_ERRORS]))
        return NULL;
    sim_session *session = leat_must_calloc(1, sizeof *session);
    *session = (sim_session){.server = server,
                             .next = server->sessions,
                             .process = process,
                             .client = client,
                             .life = life,
                             .events = events,
                             .is_alive = true,
                             .cut_at = UINT32_MAX,
                             .exclusive = NOBODY,
                             .answer = {.partition = NOBODY}};
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
    sim_session_go_on(session);
}

void sim_session_send(sim_world *world, sim_session *session, sim_pipeline *pipeline)
{
    LEAT_ASSERT(!session->pipeline);
    session->pipeline = pipeline;
    session->is_async = session->is_async || pipeline->is_async;
    session->received = 0;
    session->at = 0;
    session->phase = 0;
    session->beside_us = 0;
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
    sim_session_go_on(session);
}

uint32_t sim_server_terminate_holders(sim_world *world, sim_server *server, uint32_t partition)
{
    uint32_t count = 0;
    for (sim_session *session = server->sessions; session; session = session->next) {
        bool holds = (session->shared_mask >> partition & 1) ||
                     session->exclusive == (int32_t)partition;
        if (!session->is_alive || !holds)
            continue;
        count++;
        sim_session_end(session, true);
    }
    world->sometimes->count[SOMETIMES_HOLDER_TERMINATED] += count;
    return count;
}

sim_server *sim_session_server(const sim_session *session)
{
    return session->server;
}

bool sim_session_answers(const sim_session *session)
{
    const sim_server *server = session->server;
    return session->is_alive && !session->is_cut &&
           server->paused_until_us <= server->world->clock.now_us;
}
