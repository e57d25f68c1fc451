/*
 * server_state.h - the inside of a simulated server, for its own files:
 *
 *   locks.c     which session waits for which, and what a transaction has taken
 *   commands.c  the effect of each command
 *   session.c   messages in and out, and the order of execution
 *   server.c    events of the server as a whole
 */
#ifndef SIM_SERVER_STATE_H
#define SIM_SERVER_STATE_H

#include "server.h"
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
    bool is_cut;    /* the client has gone */
    bool is_unseen; /* and the server will not notice */
    bool is_noticing;
    uint32_t cut_at; /* commands from here on never arrive */

    sim_pipeline *pipeline;
    uint32_t received;
    uint32_t at;     /* the command to execute */
    uint32_t phase;  /* its next statement */
    bool is_busy;    /* a statement is planned */
    bool is_waiting; /* for a lock */
    bool wants_exclusive;
    uint32_t wanted;     /* partition */
    uint64_t wait;       /* number of the wait */
    int64_t row_wait_us; /* since when it waits for a row; 0: it does not */
    int64_t beside_us;   /* the same for a row or a key of a write that is in no log */

    sim_commit *tx;
    bool is_async; /* the transaction's setting: its commit does not wait for the disk */
    sim_answer answer;
    uint64_t shared_mask;
    int32_t exclusive; /* partition held alone; NOBODY: none */
};

struct sim_server {
    sim_world *world;
    uint32_t shard;
    uint64_t id;
    uint64_t run; /* another with each start, and after each crash */
    bool is_up;
    bool is_read_only;
    uint32_t slowness;
    int64_t paused_until_us;
    char fail_state[6];
    int64_t fail_until_us;
    char refuse_state[6];
    int64_t refuse_until_us;
    sim_state state;
    sim_list commits;
    uint32_t flushed; /* of these: no crash takes them back */
    bool is_flush_planned;
    advisory locks[SIM_PARTITIONS_MAX];
    sim_session *compacting[SIM_PARTITIONS_MAX]; /* holds the row of leat.partitions */
    int64_t *row_locked_until_us;
    sim_session *sessions;
};

/* ---- locks.c: advisory locks of partitions, held to the end of the transaction ---- */

/* False: the session waits; it goes on (sim_session_go_on) when it has the lock or the lock timeout
 * has failed it. */
bool sim_lock_partition(sim_session *session, uint32_t partition, bool exclusive);
void sim_locks_stop_waiting(sim_session *session);
void sim_locks_release(sim_session *session);
/* Of the server's transactions that are not over: one has written the row, one has noted the key.
 */
bool sim_sessions_have_row(const sim_server *server, uint32_t row);
bool sim_sessions_have_noted(const sim_server *server, const leat_write_id *id);

/* ---- commands.c ---- */

typedef enum ran {
    RAN_DONE,
    RAN_MORE,    /* the command has a further statement */
    RAN_WAITS,   /* for a lock */
    RAN_FAILED,  /* session->answer has the reason */
    RAN_KILLED,  /* its session ends */
    RAN_CRASHED, /* all do */
} ran;

/* Does the next statement of a command; of CMD_SYNC the commit, without its answer. */
ran sim_command_run(sim_session *session, const sim_command *command);
/* Commits the transaction, which is the server's from then on. */
void sim_server_commit(sim_server *server, sim_commit *tx);
/* All commits are on the disk. */
void sim_server_flush(sim_server *server);
void sim_session_fail(sim_session *session, const char *sqlstate, int32_t partition);

/* ---- session.c ---- */

void sim_session_go_on(sim_session *session);
void sim_session_roll_back(sim_session *session);
/* Rolls its transaction back. `notify`: its client gets a message. */
void sim_session_end(sim_session *session, bool notify);

#endif
