/*
 * blocking.h - shared by the files of the blocking side: one connection with one transaction at the
 * primary, queries that end in time, and messages that name the database but never the DSN, which
 * may contain a password. Not for use outside src/sink.
 */
#ifndef LEAT_SINK_PG_BLOCKING_H
#define LEAT_SINK_PG_BLOCKING_H

#include <libpq-fe.h>

#include "engine/batch.h"

enum { LEAT_SCHEMA_VERSION = 9 }; /* of schema.sql */

/* schema.sql, made into C by embed.py. */
extern const char leat_schema_sql[];

typedef struct leat_pg {
    PGconn *connection;
    int64_t timeout_us;
    int64_t deadline_us; /* of everything after connecting */
    int64_t log_us;      /* when the cause of a wait is logged; 0: not before the deadline */
    const char *dsn;     /* kept until it is closed by the one who opened it */
    char where[256];     /* database and host, for messages */
    bool is_away; /* the last failure was that of the connection or the server as a whole: it may be
                     well later. A standby counts as away too: its data may be the past */
    bool is_not_primary;         /* away because the server that answered does not take writes */
    char sqlstate[6];            /* of the statement that failed last */
    leat_engine_outcome as_rows; /* what that would mean to records whose row statement it was */
} leat_pg;

/* Connects to the primary and begins a transaction to read: read-only, with one snapshot, and never
 * on a standby, wherever a pooler may lead. Close it in either case. */
int leat_pg_open(leat_pg *pg, const char *dsn, leat_error *error) LEAT_MUST_CHECK;
/* The next such transaction on the same connection, with a time limit of its own. */
int leat_pg_read_again(leat_pg *pg, leat_error *error) LEAT_MUST_CHECK;
/* The time limit counts from now, for what comes. */
void leat_pg_extend(leat_pg *pg);
/* The same for changes: READ COMMITTED; nothing is changed before a COMMIT by leat_pg_run. */
int leat_pg_open_to_change(leat_pg *pg, const char *dsn, leat_error *error) LEAT_MUST_CHECK;
/* The same for a process's report about itself: its commit waits neither for disk nor for a
 * standby, and it never waits long for a lock. */
int leat_pg_open_to_report(leat_pg *pg, const char *dsn, leat_error *error) LEAT_MUST_CHECK;
/* The next such transaction on the same connection, with a time limit of its own. */
int leat_pg_report_again(leat_pg *pg, leat_error *error) LEAT_MUST_CHECK;
/* Reads at any server that answers, perhaps a standby: to name it, not to decide anything. */
int leat_pg_open_any(leat_pg *pg, const char *dsn, leat_error *error) LEAT_MUST_CHECK;
/* Ends the transaction, so that a pooler can lend its session again, and the connection. Changes
 * that were not committed are lost. */
void leat_pg_close(leat_pg *pg);

/* Runs one statement with text parameters. NULL: it failed or was not answered in time, and `error`
 * says which. */
PGresult *leat_pg_query(leat_pg *pg, const char *sql, int count, const char *const *values,
                        leat_error *error);
/* The same with parameters, and the result, in binary (`formats`: all 1) or as texts (NULL). */
PGresult *leat_pg_execute(leat_pg *pg, const char *sql, int count, const char *const *values,
                          const int *sizes, const int *formats, leat_error *error);
/* Runs statements without parameters or result. */
int leat_pg_run(leat_pg *pg, const char *sql, leat_error *error) LEAT_MUST_CHECK;

/* Is there a pooler in between? Then the session is lent, as is every other one of this DSN. 0 or
 * -1. */
int leat_pg_find_pooler(leat_pg *pg, bool *ret, leat_error *error) LEAT_MUST_CHECK;

/* Commits. This may wait indefinitely for others, as for a synchronous standby that is gone, so it
 * has a minute. A commit that was given up may still happen; the error says so. */
int leat_pg_commit(leat_pg *pg, leat_error *error) LEAT_MUST_CHECK;

/* The cause for which the session of that process id waits, asked over another connection: a
 * standby, a lock and its holder, ... false: not known. Behind a pooler it never is, because
 * process ids are made up there. */
bool leat_pg_reason(const char *dsn, int backend, char *ret, size_t size);

/* A field as a number or a boolean; the query guarantees that it is there and valid. Or as a text,
 * cut to `size` with its NUL. */
int64_t leat_pg_integer(const PGresult *result, int row, int column);
bool leat_pg_boolean(const PGresult *result, int row, int column);
void leat_pg_text(char *ret, size_t size, const PGresult *result, int row, int column);
/* Or as bytes, which have come as two hexadecimal digits each, followed by a NUL; owned by the
 * caller. NULL: the field is. */
char *leat_pg_bytes(const PGresult *result, int row, int column, size_t *ret_size);

/* Does the database have this table of leat's and know the topic? -1: no, or it did not say. */
int leat_pg_check_source(leat_pg *pg, const char *topic, const char *table,
                         leat_error *error) LEAT_MUST_CHECK;

#endif
