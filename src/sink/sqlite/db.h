/*
 * db.h - one connection to a SQLite file, for all that the files of src/sink/sqlite do: opened in
 * the one way that keeps commits, and errors as PostgreSQL's SQLSTATEs, so that the rest of leat
 * knows one kind. Not for use outside src/sink. A connection is used by one thread at a time.
 *
 * synchronous=FULL with a write-ahead log: a commit that returned is on the disk, power cuts
 * included.
 */
#ifndef LEAT_SINK_SQLITE_DB_H
#define LEAT_SINK_SQLITE_DB_H

#include <sqlite3.h>

#include "base/base.h"

enum { LEAT_SQLITE_VERSION = 7 }; /* of schema.sql */

/* schema.sql, made into C by embed.py. */
extern const char leat_sqlite_schema_sql[];

typedef struct leat_sqlite {
    sqlite3 *db;
    char file[256]; /* for messages; cut */
} leat_sqlite;

/* Opens an existing file (never creates one): WAL, synchronous=FULL, foreign keys on; waits up to
 * `busy_ms` for another process's lock. Close in either case. */
int leat_sqlite_open(leat_sqlite *sqlite, const char *file, int64_t busy_ms,
                     leat_error *error) LEAT_MUST_CHECK;
void leat_sqlite_close(leat_sqlite *sqlite);
/* The same for a person who asks about a topic: also fails where the file was not set up for it
 * (source.c). Close in either case. */
int leat_sqlite_open_for(leat_sqlite *sqlite, const char *file, const char *topic,
                         leat_error *error) LEAT_MUST_CHECK;

/* Runs statements without parameters or rows. */
int leat_sqlite_run(leat_sqlite *sqlite, const char *sql, leat_error *error) LEAT_MUST_CHECK;
/* One statement, to be finalized by the caller. NULL: `error` has the reason. */
sqlite3_stmt *leat_sqlite_prepare(leat_sqlite *sqlite, const char *sql, leat_error *error);
/* A text that may not be valid: SQLite would store it as it is, and hand it to readers. */
void leat_sqlite_bind_message(sqlite3_stmt *to, int at, const char *message);
/* Runs a step: 1 there is a row, 0 done, -1 error. */
int leat_sqlite_step(leat_sqlite *sqlite, sqlite3_stmt *statement,
                     leat_error *error) LEAT_MUST_CHECK;

/* One row of a query; other than 0 ends it: 1, or -1 with a message. */
typedef int (*leat_sqlite_take)(void *context, sqlite3_stmt *row, leat_error *error);
/* Runs a query whose only parameter is a topic, and hands on each row. 0, or what ended it. */
int leat_sqlite_each(leat_sqlite *sqlite, const char *sql, const char *topic, leat_sqlite_take take,
                     void *context, leat_error *error) LEAT_MUST_CHECK;

/* Did the last call fail because another process held the lock for longer than `busy_ms`? */
bool leat_sqlite_is_busy(const leat_sqlite *sqlite);

/* The one integer that a query without parameters gives. */
int leat_sqlite_integer(leat_sqlite *sqlite, const char *sql, int64_t *ret,
                        leat_error *error) LEAT_MUST_CHECK;

/* The SQLSTATE that PostgreSQL would give for an extended result code of SQLite
 * (sqlite3_extended_errcode), five characters; "XX000" where there is none. leat_sqlstate_outcome
 * decides what it means for a job. */
const char *leat_sqlite_sqlstate(int extended_code);

#endif
