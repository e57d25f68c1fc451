/*
 * pg_conn.h - one connection to PostgreSQL on a libuv loop: non-blocking libpq in pipeline mode. It connects, sends,
 * reads while it writes and gives up on a server that says nothing. What is sent and what comes back means nothing
 * here. A connection object is opened again and again; who owns it decides when. It is not open before the server has
 * said which one it is: behind one address there may be another each time.
 *
 * Limit: libpq resolves a host's name by a blocking call.
 */
#ifndef LEAT_PG_CONN_H
#define LEAT_PG_CONN_H

#include <libpq-fe.h>
#include <uv.h>

#include "sink/pg_dsn.h"

typedef struct leat_pg_conn leat_pg_conn;

/* Called from the loop and from leat_pg_conn_settle only, except `wake`. */
typedef struct leat_pg_conn_events {
    void *context;
    void (*opened)(void *context);
    /* The attempt failed or the connection is lost; it is closed already. */
    void (*closed)(void *context, const char *message);
    /* What libpq gave, in the order of the commands; NULL ends a command's results. Not owned. */
    void (*result)(void *context, const PGresult *result);
    /* All that had arrived was given to `result`. */
    void (*drained)(void *context);
    /* Something failed inside a call: leat_pg_conn_settle is wanted on a later turn of the loop. Comes at any time. */
    void (*wake)(void *context);
    /* After leat_pg_conn_free: the loop no longer knows the connection, its memory is gone. */
    void (*freed)(void *context);
} leat_pg_conn_events;

/* `dsn` outlives the connection. */
leat_pg_conn *leat_pg_conn_new(uv_loop_t *loop, const leat_pg_dsn *dsn, const leat_pg_conn_events *events);
/* Closes it without `closed`, then `freed` comes from the loop. */
void leat_pg_conn_free(leat_pg_conn *conn);

/* Starts an attempt to connect; only while it is closed. */
void leat_pg_conn_open(leat_pg_conn *conn);
bool leat_pg_conn_is_closed(const leat_pg_conn *conn);
bool leat_pg_conn_is_ready(const leat_pg_conn *conn);
/* Which server this is, of a connection that was opened: when its postmaster was started, in microseconds. */
int64_t leat_pg_conn_server(const leat_pg_conn *conn);
/* Reports a failure that happened inside a call. */
void leat_pg_conn_settle(leat_pg_conn *conn);
/* Gives up what takes too long: called about once a second. */
void leat_pg_conn_tick(leat_pg_conn *conn);
/* Ends the connection with this message, on a later turn. */
void leat_pg_conn_break(leat_pg_conn *conn, const char *message);

/* Sends. Failures are reported later by `closed`; what is sent to a connection that is not ready is dropped. All
 * values are binary, all results too; they are copied. */
void leat_pg_conn_prepare(leat_pg_conn *conn, const char *name, const char *sql);
void leat_pg_conn_execute(leat_pg_conn *conn, const char *name, uint32_t count, const char *const *values,
                          const int *sizes);
void leat_pg_conn_query(leat_pg_conn *conn, const char *sql, uint32_t count, const char *const *values,
                        const int *sizes);
/* Ends a pipeline: commits what came before. From here on the server has to answer. */
void leat_pg_conn_sync(leat_pg_conn *conn);

#endif
