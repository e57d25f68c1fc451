/*
 * server.c - a server from outside: started, stopped, paused, made slow or read-only. Its sessions
 * and their commands are session.c and commands.c. A paused server keeps its sessions, a stopped
 * one loses them, and commits stay in both cases.
 */
#include <stdlib.h>
#include <stdio.h>

#include "server_state.h"

sim_server *sim_server_new(sim_world *world, uint32_t shard, const sim_server *from,
                           uint32_t commit_count)
{
    sim_server *server = leat_must_calloc(1, sizeof *server);
    *server = (sim_server){
        .world = world, .shard = shard, .id = ++world->serial, .is_up = true, .slowness = 1};
    sim_state_begin(&server->state, &world->schema, &world->broker);
    server->row_locked_until_us =
        leat_must_calloc(world->schema.row_count, sizeof *server->row_locked_until_us);
    for (uint32_t i = 0; i < commit_count; i++) {
        sim_list_add(&server->commits, from->commits.items[i]);
        sim_state_apply(&server->state, from->commits.items[i]);
    }
    sim_server_flush(server);
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

sim_server_view sim_server_view_of(const sim_server *server)
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
    server->run++;
    for (sim_session *session = server->sessions; session; session = session->next)
        sim_session_end(session, true);
}

void sim_server_start(sim_world *world, sim_server *server)
{
    (void)world;
    server->is_up = true;
}

/* No log has forgotten what comes after these. */
static uint32_t commits_that_stay(const sim_world *world, const sim_server *server)
{
    uint32_t kept = world->shards[server->shard].kept;
    return kept > server->flushed ? kept : server->flushed;
}

static void lose_commits(sim_world *world, sim_server *server)
{
    uint32_t least = commits_that_stay(world, server), count = server->commits.count;
    uint32_t kept = least < count ? least + sim_below(world, count - least + 1) : count;
    sim_trace(world, "shard %u: the server crashes, %u commits of %u are lost", server->shard,
              count - kept, count);
    world->sometimes->count[SOMETIMES_UNFLUSHED_LOST] += kept < count;
    if (kept == count)
        return;
    server->commits.count = kept;
    sim_state_end(&server->state);
    sim_state_begin(&server->state, &world->schema, &world->broker);
    for (uint32_t i = 0; i < kept; i++)
        sim_state_apply(&server->state, server->commits.items[i]);
}

void sim_server_crash(sim_world *world, sim_server *server, bool hidden)
{
    for (sim_session *session = server->sessions; session; session = session->next)
        if (!hidden || session->pipeline || session->is_cut)
            sim_session_end(session, true);
    server->run++;
    lose_commits(world, server);
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

void sim_server_refuse(sim_server *server, const char *sqlstate, int64_t until_us)
{
    snprintf(server->refuse_state, sizeof server->refuse_state, "%s", sqlstate);
    server->refuse_until_us = until_us;
}

void sim_server_lock_row(sim_server *server, uint32_t row, int64_t until_us)
{
    if (until_us > server->row_locked_until_us[row])
        server->row_locked_until_us[row] = until_us;
}

bool sim_server_holds_row(const sim_server *server, uint32_t row)
{
    return server->row_locked_until_us[row] > server->world->clock.now_us;
}

void sim_server_unlock_rows(sim_server *server)
{
    for (uint32_t i = 0; i < server->world->schema.row_count; i++)
        server->row_locked_until_us[i] = 0;
}
