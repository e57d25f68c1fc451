/*
 * server.h - one simulated database server of a shard: sessions that execute commands one by one,
 * READ COMMITTED, advisory locks of partitions with a fair queue, rows that another session holds,
 * commits that a replica may lack. The functions of schema leat run here statement by statement, as
 * in src/sink/pg/schema.sql, because they must withstand others that run between two of their
 * statements.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "state.h"

typedef enum sim_command_kind {
    CMD_ADVANCE,
    CMD_ROWS,
    CMD_DEAD_LETTER,
    CMD_CLAIM,
    CMD_READ_PROGRESS,
    CMD_COMPACT,
    CMD_PARK,
    CMD_UNPARK, /* the check of its chunks; rows or a dead letter follow */
    CMD_LOAD,
    CMD_READ_PARKED, /* and which keys are held */
    CMD_HOLD,
    CMD_KEEP,
    CMD_NOTE,    /* idempotency keys */
    CMD_REPEATS, /* the keys of what is left out */
    CMD_RETRY,   /* locks the key */
    CMD_RETRIED, /* what was written is kept no longer */
    CMD_SYNC,
} sim_command_kind;

/* A row write, as in the statement's parameters. */
typedef struct sim_write {
    uint32_t row;
    leat_row_write write;
} sim_write;

struct sim_command {
    sim_command_kind kind;
    leat_engine_batch_part part;       /* ADVANCE */
    uint32_t partition;                /* of all others but ROWS, DEAD_LETTER and SYNC */
    leat_engine_compaction compaction; /* COMPACT */
    const leat_route *route;           /* ROWS */
    uint32_t write_count;
    sim_write *writes;
    leat_value *values;
    char *bytes; /* borrowed by the values */
    uint32_t park_count;
    sim_chunk *parks; /* PARK; the world's */
    uint32_t step_count;
    uint16_t steps_of;                                   /* subpartition */
    leat_engine_chunk_step steps[LEAT_BATCH_CHUNKS_MAX]; /* UNPARK */
    leat_engine_load load;                               /* LOAD */
    uint32_t kept_count;
    sim_kept *kept; /* HOLD, KEEP, RETRIED; the world's */
    uint32_t note_count;
    sim_note *notes; /* NOTE, REPEATS; the world's */
};

/* A pipeline: all that a client sends for one job. Owned by the world. */
struct sim_pipeline {
    uint32_t command_count;
    sim_command *commands;
    uint32_t record_count;
    sim_record **records; /* the batch's records */
    sim_fate *fates;      /* [record_count]: what becomes of each */
    int64_t lock_timeout_us;
    bool is_async; /* its commit does not wait for the disk */
};

/* Messages to the client. */
struct sim_answer {
    bool failed;
    bool is_commit; /* it is the commit that failed */
    bool is_fatal;  /* and the session is over */
    bool is_raised; /* by a row's trigger */
    char sqlstate[6];
    sim_command_kind at; /* whose error it is */
    int32_t partition;
    bool is_lock_timeout;           /* of a claim */
    uint64_t server;                /* the server that it ran on, by the job's own statements */
    leat_engine_progress *progress; /* a claim; owned by the session's server, as is the next */
    const leat_engine_parked *parked;
    uint32_t parked_count;
    const leat_engine_chunk *kept; /* a load of a key */
    uint32_t kept_count;
    bool is_held; /* a retry */
    const leat_engine_held *held;
    uint32_t held_count;
    const leat_engine_known *known; /* a batch that failed with LT010 or LT012 */
    uint32_t known_count;
    uint64_t parked_bytes;   /* a park */
    leat_engine_chunk chunk; /* a load */
};

void sim_held_build_retry(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch,
                          sim_command_kind kind);

typedef struct sim_process sim_process;
typedef struct sim_server sim_server;
typedef struct sim_session sim_session;

/* The client's side of a session; called as messages arrive there. */
typedef struct sim_client_events {
    void (*statement)(sim_world *world, void *client, uint64_t life); /* the last statement before
                                                                         the Sync has succeeded */
    void (*answered)(sim_world *world, void *client, uint64_t life,
                     const sim_answer *answer); /* the
                                                   Sync,
                                                   or
                                                   FATAL
                                                 */
    void (*lost)(sim_world *world, void *client, uint64_t life);
} sim_client_events;

sim_server *sim_server_new(sim_world *world, uint32_t shard, const sim_server *from,
                           uint32_t commit_count);
void sim_server_free(sim_server *server);

/* The state of a server. */
typedef struct sim_server_view {
    uint64_t id;
    bool is_up;
    uint32_t commit_count;
    const sim_state *state;
} sim_server_view;
sim_server_view sim_server_view_of(const sim_server *server);
/* The lowest `low` of the partition that any replica may still have. */
int64_t sim_server_safe_low(const sim_server *server, uint32_t partition, uint32_t lag);

/* A session for the client; NULL: the server takes none. */
sim_session *sim_session_open(sim_server *server, void *client, uint64_t life,
                              const sim_client_events *events, sim_process *process);
/* Sends a pipeline: its commands arrive one after another. */
void sim_session_send(sim_world *world, sim_session *session, sim_pipeline *pipeline);
/* The client has gone, or the connection to it: messages under way may arrive or not. `unseen`: the
 * server does not notice. */
void sim_session_cut(sim_world *world, sim_session *session, bool unseen);
sim_server *sim_session_server(const sim_session *session);
/* Whether a question would be answered now. */
bool sim_session_answers(const sim_session *session);
/* pg_terminate_backend of leat's own sessions that hold the partition. Returns how many. */
uint32_t sim_server_terminate_holders(sim_world *world, sim_server *server, uint32_t partition);

/* Idle sessions go on with the other server, and their clients do not notice: as behind a
 * pooler. */
void sim_server_hand_over(sim_server *from, sim_server *to);

/* What goes wrong. */
void sim_server_stop(sim_world *world, sim_server *server); /* at once; open transactions are lost
                                                             */
void sim_server_start(sim_world *world, sim_server *server);
/* As when a backend crashes: all sessions end, and some of the last commits that did not wait for
 * the disk are gone. It is up again at once, and is the same one. `hidden`: a pooler gives the
 * clients of idle sessions others. */
void sim_server_crash(sim_world *world, sim_server *server, bool hidden);
void sim_server_pause(sim_world *world, sim_server *server, int64_t until_us);
void sim_server_read_only(sim_server *server, bool on);
void sim_server_slow(sim_server *server, uint32_t factor);
void sim_server_fail_all(sim_server *server, const char *sqlstate, int64_t until_us); /* all row
                                                                                         statements
                                                                                       */
/* Nothing is written any longer, not even claims and dead letters. 54000 as at the stop limit of
 * transaction ids: a transaction that has its id goes on. */
void sim_server_refuse(sim_server *server, const char *sqlstate, int64_t until_us);
void sim_server_lock_row(sim_server *server, uint32_t row, int64_t until_us);
bool sim_server_holds_row(const sim_server *server, uint32_t row);
void sim_server_unlock_rows(sim_server *server);

#endif
