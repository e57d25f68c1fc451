/*
 * pg_blocking.h - what the files of the blocking side share: one connection, queries that end in time, and messages
 * that name the database but never the DSN, which may hold a password. Not for use outside src/sink.
 */
#ifndef LEAT_PG_BLOCKING_H
#define LEAT_PG_BLOCKING_H

#include <libpq-fe.h>

#include "base/base.h"

enum { LEAT_SCHEMA_VERSION = 2 }; /* of schema.sql */

/* schema.sql, made into C by embed.py. */
extern const char leat_schema_sql[];

typedef struct leat_pg {
    PGconn *connection;
    int64_t timeout_us;
    int64_t deadline_us; /* of everything after connecting */
    char where[256];     /* database and host, for messages */
    bool is_away;        /* what failed last was the connection or the server as a whole: it may be well later */
} leat_pg;

/* Connects, or says why not. Close in either case. */
int leat_pg_open(leat_pg *pg, const char *dsn, leat_error *error) LEAT_MUST_CHECK;
void leat_pg_close(leat_pg *pg);

/* Runs one statement with text parameters. NULL: it failed or was not answered in time, and `error` says so. */
PGresult *leat_pg_query(leat_pg *pg, const char *sql, int count, const char *const *values, leat_error *error);
/* Runs statements without parameters or result, as one transaction unless they say otherwise. */
int leat_pg_run(leat_pg *pg, const char *sql, leat_error *error) LEAT_MUST_CHECK;

/* A field as a number or a boolean; it is there and valid because the query says so. */
int64_t leat_pg_integer(const PGresult *result, int row, int column);
bool leat_pg_boolean(const PGresult *result, int row, int column);

#endif
