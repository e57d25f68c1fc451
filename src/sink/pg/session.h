/*
 * session.h - one job at a time on one connection: which commands it is made of, and what
 * their results say of it.
 *
 * A job ends with the answer to its Sync or with its connection, never earlier: before that nothing
 * is known. Two kinds of failure ask the database a further question first, in a transaction of its
 * own: a claim that waited in vain ends whoever keeps it waiting, and a unique violation asks
 * whether it was the primary key.
 *
 * Each batch is built with the newest version of the tables. Statements belong to a version: a
 * connection forgets those of the one before with its first batch of the new one, and a job in
 * flight keeps its own until it is over.
 *
 * Behind a pooler the server session may be another with each transaction, lent to others in
 * between: nothing of it is relied upon. What is prepared there has a name that is never used
 * again, by this connection or another; when a name turns out to be gone, jobs are sent without
 * names. And each job says which server it ran on.
 */
#ifndef LEAT_SINK_PG_SESSION_H
#define LEAT_SINK_PG_SESSION_H

#include "sink/pg/conn.h"
#include "sink/pg/rows.h"
#include "sink/pg/shapes.h"
#include "sink/sink.h"

/* What all connections of a sink share; outlives them. */
typedef struct leat_pg_shared {
    const char *shard_name; /* for messages */
    int32_t source_id;
    int64_t lock_timeout_ms;
    leat_schema_versions *schema_versions;
    uint32_t shard;
    leat_rows *rows;
    leat_shapes *shapes;       /* of the routes below */
    const leat_routes *routes; /* the newest that a batch was built with; NULL: none yet */
    bool is_nameless; /* a name was gone: what is prepared does not last from one transaction to the
                         next here */
    bool says_isolation; /* every transaction says that it is READ COMMITTED: it is no session's
                            default here */
    leat_sink_counters counters;
} leat_pg_shared;

typedef struct leat_pg_session leat_pg_session;

leat_pg_session *leat_pg_session_new(leat_pg_shared *shared);
void leat_pg_session_free(leat_pg_session *session);

/* A new connection: nothing is prepared on it. */
void leat_pg_session_begin(leat_pg_session *session);

/* Sends the job; no other may be open. A batch that cannot be built is over at once, and nothing
 * was sent. */
void leat_pg_session_start(leat_pg_session *session, leat_pg_conn *conn,
                           const leat_engine_job *job);
/* One result of the connection, NULL at the end of each command. */
void leat_pg_session_result(leat_pg_session *session, const PGresult *result);
/* All results that have arrived are in: asks what is to be asked, or lets the job be over. */
void leat_pg_session_drained(leat_pg_session *session, leat_pg_conn *conn);
/* The connection is gone: an open job is over, its outcome unknown unless it was known already. */
void leat_pg_session_lost(leat_pg_session *session, const char *message);

bool leat_pg_session_is_open(const leat_pg_session *session);
bool leat_pg_session_is_over(const leat_pg_session *session);
/* The connection should not be used again: the server is not the one to write to, or a pooler
 * answered for it. */
bool leat_pg_session_is_unusable(const leat_pg_session *session);
/* The connection has prepared so much that another should take its place, between two jobs. */
bool leat_pg_session_is_worn(const leat_pg_session *session);
/* Which server the job ran on that is over; NULL: it did not say, because it failed. */
const leat_pg_server *leat_pg_session_server(const leat_pg_session *session);
/* Takes the result of a job that is over; the session is free for the next. What `ret->progress`
 * points at lives until then. */
uint32_t leat_pg_session_take(leat_pg_session *session, leat_engine_job_result *ret);

#endif
