/*
 * committer.h - the committing thread's own state, shared by commit.c and trim.c; nothing else
 * includes it. All of it is used on that thread only, except for the fields that leat_local_commits
 * locks.
 */
#ifndef LEAT_LOG_FILE_COMMITTER_H
#define LEAT_LOG_FILE_COMMITTER_H

#include "base/rate_limit.h"
#include "log/file/file_log.h"

enum { LEAT_COMMITTER_TRIM_US = 1000 * 1000 /* between two searches for old records */ };

typedef struct leat_committer_part {
    sqlite3_stmt *insert;
    sqlite3_stmt *delete;
} leat_committer_part;

typedef struct leat_committer {
    leat_local_commits commits; /* first: others see only this */
    leat_local_log *log;
    sqlite3 *db;
    sqlite3_stmt *set_next;
    sqlite3_stmt *set_part;
    leat_committer_part *parts;
    leat_local_aging *aging; /* of each partition */
    int64_t *next;           /* of each partition, as this transaction has it */
    uint32_t trim_turn;
    int64_t trim_us;  /* when to search for old records */
    int64_t probe_us; /* when to try again whether the file takes anything */
    int wal_pages;
    uint32_t max_pages;     /* as set on the connection */
    leat_buf headers;       /* of the record that is being inserted */
    leat_rate_limit errors; /* errors that may pass, logged by the action that failed */
} leat_committer;

/* ---- commit.c: results are SQLite's codes ---- */

int leat_committer_begin(leat_committer *c);
int leat_committer_commit(leat_committer *c);
/* Unless it was committed. */
void leat_committer_roll_back(leat_committer *c);
/* Prepares `sql`, in which %u is the partition, when it is first needed. */
int leat_committer_prepare(leat_committer *c, sqlite3_stmt **statement, const char *sql,
                           uint32_t partition);
/* Runs a statement that has no rows, and clears its bindings. */
int leat_committer_finish(sqlite3_stmt *statement);
/* Logs an error that may pass, at most once a minute. */
void leat_committer_log_passing(leat_committer *c, const char *doing, int code);
/* After an error that does not: the log is broken for this process. */
void leat_committer_give_up(leat_committer *c, const char *doing, int code);

/* ---- trim.c ---- */

/* Deletes some old records. One partition at a time, so that records to commit do not wait; when
 * all have had their turn, it rests. */
void leat_committer_trim(leat_committer *c);

#endif
