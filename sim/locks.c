/*
 * locks.c - advisory locks of partitions with the queue that PostgreSQL has: a session that waits
 * for the exclusive lock holds up later ones that want to share it. A claim takes it exclusively,
 * each batch shares it; with an unfair queue claims would starve or never wait, and neither is
 * realistic.
 */
#include "server_state.h"

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

void sim_locks_stop_waiting(sim_session *session)
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
        sim_locks_stop_waiting(session);
        have(session, partition, session->wants_exclusive);
        sim_session_go_on(session);
    }
}

void sim_locks_release(sim_session *session)
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

static void on_lock_timeout(sim_world *world, void *object, uint64_t wait)
{
    sim_session *session = object;
    if (!session->is_alive || !session->is_waiting || session->wait != wait)
        return;
    sim_locks_stop_waiting(session);
    sim_session_fail(session, "55P03", (int32_t)session->wanted);
    session->answer.is_lock_timeout = session->pipeline->commands[session->at].kind == CMD_CLAIM;
    world->sometimes->count[SOMETIMES_LOCK_TIMEOUT]++;
    serve_queue(session->server, session->wanted);
    sim_session_go_on(session);
}

/* False: it waits for it. */
bool sim_lock_partition(sim_session *session, uint32_t partition, bool exclusive)
{
    advisory *lock = &session->server->locks[partition];
    if (exclusive ? session->exclusive == (int32_t)partition
                  : (session->shared_mask >> partition & 1) != 0)
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
    sim_clock_plan(&world->clock, world->clock.now_us + session->pipeline->lock_timeout_us,
                   on_lock_timeout, session, session->wait);
    world->sometimes->count[exclusive ? SOMETIMES_CLAIM_WAITED : SOMETIMES_BATCH_WAITED]++;
    return false;
}

bool sim_sessions_have_row(const sim_server *server, uint32_t row)
{
    for (const sim_session *session = server->sessions; session; session = session->next) {
        const sim_commit *tx = session->is_alive ? session->tx : NULL;
        for (uint32_t i = 0; tx && i < tx->image_count; i++)
            if (tx->images[i].row == row)
                return true;
    }
    return false;
}

bool sim_sessions_have_noted(const sim_server *server, const leat_write_id *id)
{
    for (const sim_session *session = server->sessions; session; session = session->next)
        if (session->is_alive && session->tx && sim_notes_find(&session->tx->notes, id))
            return true;
    return false;
}
