/*
 * session.h - one connection and the one job at a time that it runs: the commands of the job, and
 * the meaning of their results.
 *
 * A job ends with the answer to its Sync or with its connection, never earlier: before that nothing
 * is known. Three kinds of failure ask the database a further question first, in a transaction of
 * its own: a claim that waited in vain ends the sessions that keep it waiting, a unique violation
 * asks whether it was the primary key, and a write of no log that repeats another one asks whether
 * that one stays.
 *
 * Each batch is built with the newest version of the tables. Statements belong to a version: a
 * connection forgets those of the one before with its first batch of the new one, and a job in
 * flight keeps its own until it is over.
 *
 * Behind a pooler the server session may be another with each transaction, lent to others in
 * between: so nothing relies on its state. A statement prepared there has a name that is never used
 * again, by this connection or another; when a name turns out to be gone, jobs are sent without
 * names. And each job reports which server it ran on.
 */
#ifndef LEAT_SINK_PG_SESSION_H
#define LEAT_SINK_PG_SESSION_H

#include "sink/pg/conn.h"
#include "sink/pg/keys.h"
#include "sink/pg/notes.h"
#include "sink/pg/rows.h"
#include "sink/pg/shapes.h"
#include "sink/sink.h"

/* Shared by all sessions of a pool; outlives them. */
typedef struct leat_pg_shared {
    uv_loop_t *loop;
    leat_standstill *standstill; /* the loop's clock */
    leat_pg_dsn *dsn;
    int64_t silence_ms;     /* a job's time limit */
    const char *shard_name; /* for messages */
    uint32_t shard;
    int32_t source_id;
    leat_placement placement;
    int64_t lock_timeout_ms;
    leat_schema_versions *schema_versions;
    leat_controls *controls; /* NULL: claims read none */
    leat_rows *rows;
    leat_pg_keys keys;         /* of the batch that is being sent */
    leat_pg_notes notes;       /* likewise */
    leat_shapes *shapes;       /* of the routes below */
    const leat_routes *routes; /* the newest that a batch was built with; NULL: none yet */
    bool commits_async;        /* as leat_sink_config */
    bool is_nameless; /* a name was gone: here prepared statements do not last from one transaction
                         to the next */
    bool needs_isolation; /* READ COMMITTED is not the default of sessions here: every transaction
                            sets it */
    leat_sink_counters counters;
} leat_pg_shared;

typedef struct leat_pg_session leat_pg_session;

/* Called from the loop and from leat_pg_conn_settle only, except `wake`. */
typedef struct leat_pg_session_events {
    void *context;
    /* Its connection is open; leat_pg_conn_server is the server. */
    void (*opened)(void *context);
    /* The attempt to connect has failed, or the connection is lost: a job that was open is over. */
    void (*closed)(void *context, const char *sqlstate, const char *message);
    /* The server has identified itself. */
    void (*server_checked)(void *context);
    /* The job is over, and the connection is still there. */
    void (*over)(void *context);
    /* leat_pg_conn_settle is wanted on a later turn of the loop. Comes at any time. */
    void (*wake)(void *context);
    /* After leat_pg_session_free: the loop no longer knows the connection. */
    void (*freed)(void *context);
} leat_pg_session_events;

/* Its connection is closed at first. */
leat_pg_session *leat_pg_session_new(leat_pg_shared *shared, const leat_pg_session_events *events);
/* Closes the connection without `closed`; an open job is not reported. Then `freed` comes. */
void leat_pg_session_free(leat_pg_session *session);

/* The session's own; to open, to ask and to end it. */
leat_pg_conn *leat_pg_session_conn(const leat_pg_session *session);

/* Sends the job; no other may be open. A batch that cannot be built is over at once, without
 * `over`, and nothing was sent. */
void leat_pg_session_start(leat_pg_session *session, const leat_engine_job *job);

/* The same for a batch without parts, of the one record of such a write. */
void leat_pg_session_write(leat_pg_session *session, const leat_engine_job *job,
                           const leat_sink_direct *direct);

bool leat_pg_session_is_open(const leat_pg_session *session);
bool leat_pg_session_is_over(const leat_pg_session *session);
/* The connection should not be used again: the server is not the one to write to, or a pooler
 * answered for it. */
bool leat_pg_session_is_unusable(const leat_pg_session *session);
/* The connection has prepared so much that another should take its place, between two jobs. */
bool leat_pg_session_is_worn(const leat_pg_session *session);
/* The server on which the finished job ran; NULL: not known, because the job failed. */
const leat_pg_server *leat_pg_session_server(const leat_pg_session *session);
/* Of the last job. */
leat_engine_job_kind leat_pg_session_job_kind(const leat_pg_session *session);
uint32_t leat_pg_session_job_partition(const leat_pg_session *session);
/* Takes the result of a job that is over; the session is free for the next. The targets of
 * `ret->progress`, `ret->parked`, `ret->held` and `ret->known` live until a later job is over.
 * `ret_chunk`: NULL, or the memory of `ret->chunk` or `ret->kept`, which the caller frees. */
uint32_t leat_pg_session_take(leat_pg_session *session, leat_engine_job_result *ret,
                              leat_engine_chunk **ret_chunk);

#endif
