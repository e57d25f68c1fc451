/*
 * conn.h - one connection to PostgreSQL on a libuv loop: non-blocking libpq in pipeline mode. It
 * connects, sends, reads while it writes and gives up a server that does not answer. It does not
 * interpret commands or results. A connection object is opened again and again; its owner decides
 * when. It is open once the server has identified itself: behind one address there may be another
 * server each time, and behind a pooler with each transaction.
 *
 * Each place that the DSN leads to is tried with a time limit of its own (hosts.h). No limit counts
 * the time in which the loop stood still (standstill.h).
 *
 * Limit: libpq asks a Kerberos server by blocking calls, if the server demands it (gss) or there is
 * a ticket (gssencmode=prefer, the default of some builds).
 */
#ifndef LEAT_SINK_PG_CONN_H
#define LEAT_SINK_PG_CONN_H

#include <libpq-fe.h>
#include <uv.h>

#include "base/standstill.h"
#include "sink/pg/dsn.h"
#include "sink/pg/server.h"

typedef struct leat_pg_conn leat_pg_conn;

/* Called from the loop and from leat_pg_conn_settle only, except `wake`. */
typedef struct leat_pg_conn_events {
    void *context;
    void (*opened)(void *context);
    /* The attempt failed at every place, or the connection is lost; it is closed already. Where the
     * server or a pooler gave a reason, the message is its SQLSTATE and text: "57P01: terminating
     * connection due to administrator command". `sqlstate`: that code by itself, of an attempt the
     * one of the last place; "": none. */
    void (*closed)(void *context, const char *sqlstate, const char *message);
    /* libpq's results, in the order of the commands; NULL ends a command's results. Not owned. */
    void (*result)(void *context, const PGresult *result);
    /* The server has answered leat_pg_conn_ask; comes before `drained`. */
    void (*server_checked)(void *context);
    /* Everything that had arrived was given to `result`. */
    void (*drained)(void *context);
    /* Something failed inside a call: leat_pg_conn_settle is wanted on a later turn of the loop.
     * Comes at any time. */
    void (*wake)(void *context);
    /* After leat_pg_conn_free: the loop no longer knows the connection, its memory is gone. */
    void (*freed)(void *context);
} leat_pg_conn_events;

/* The smallest sensible `silence_ms`: a server that owes an answer for longer is given up. */
enum { LEAT_PG_SILENCE_MS = 60000 };

/* `dsn` and `standstill`, the clock of the loop, outlive the connection. */
leat_pg_conn *leat_pg_conn_new(uv_loop_t *loop, leat_pg_dsn *dsn, leat_standstill *standstill,
                               int64_t silence_ms, const leat_pg_conn_events *events);
/* Closes it without `closed`, then `freed` comes from the loop. */
void leat_pg_conn_free(leat_pg_conn *conn);

/* Starts an attempt to connect; only while it is closed. */
void leat_pg_conn_open(leat_pg_conn *conn);
bool leat_pg_conn_is_closed(const leat_pg_conn *conn);
bool leat_pg_conn_is_ready(const leat_pg_conn *conn);
/* The server that answered last, of a connection that was opened. */
const leat_pg_server *leat_pg_conn_server(const leat_pg_conn *conn);
/* Asks it again: `server_checked` comes, or the connection ends. Nothing may be under way; the next
 * command need not wait for the answer. */
void leat_pg_conn_ask(leat_pg_conn *conn);
bool leat_pg_conn_is_asking(const leat_pg_conn *conn);
/* Reports a failure that happened inside a call. */
void leat_pg_conn_settle(leat_pg_conn *conn);
/* Gives up a server that takes too long: called about once a second. */
void leat_pg_conn_tick(leat_pg_conn *conn);
/* Since when the server has owed an answer, by the standstill's clock, with no byte come; 0: it
 * owes none, or the connection is not open. */
int64_t leat_pg_conn_waits_since_us(const leat_pg_conn *conn);
/* When the server answered last, by that clock; 0: never yet. Only results and refusals count:
 * neither an accepted connection nor a pooler's messages before it has a session. */
int64_t leat_pg_conn_heard_us(const leat_pg_conn *conn);
/* The server as the last attempt found it, for people: "host (address), port n"; "" before the
 * first. */
const char *leat_pg_conn_where(const leat_pg_conn *conn);
/* Is there a pooler in between? Shown by the process id at the end of connecting, which a pooler
 * invents. */
bool leat_pg_conn_is_pooled(const leat_pg_conn *conn);
/* Ends the connection with this message, on a later turn. */
void leat_pg_conn_break(leat_pg_conn *conn, const char *message);

/* Sends. Failures are reported later by `closed`; anything sent to a connection that is not ready
 * is dropped. All values are binary, all results too; they are copied. */
void leat_pg_conn_prepare(leat_pg_conn *conn, const char *name, const char *sql);
void leat_pg_conn_execute(leat_pg_conn *conn, const char *name, uint32_t count,
                          const char *const *values, const int *sizes);
void leat_pg_conn_query(leat_pg_conn *conn, const char *sql, uint32_t count,
                        const char *const *values, const int *sizes);
/* Ends a pipeline: commits what came before. From here on the server has to answer. */
void leat_pg_conn_sync(leat_pg_conn *conn);

#endif
