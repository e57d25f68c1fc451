/*
 * file_log.h - declarations that the files of the built-in log share; nothing outside src/log/file
 * and their tests includes it.
 *
 *   admin.c     questions to the file, blocking; ends with the table of the role, as writer.c and
 *               reader.c do
 *   walk.c      records read again, blocking
 *   store.c     connections to the file, its tables, its lock
 *   shared.c    the log as one process has it: what its writer and its readers share
 *   commit.c    the thread that commits what is appended
 *   trim.c      deletes old records, on that thread
 *   writer.c    the writer: that thread, as seen from a loop
 *   reader.c    the reader: life, loop turn, records, commits
 *   range.c     the reader: is the file still the log that progress was written for?
 *   record.c    one record read from the file, and its headers
 *
 * The file is SQLite's, with a write-ahead log and synchronous=FULL: a commit that returned is on
 * the disk. Each partition has a table of its own, so that records come at the right end of a
 * B-tree and go at the left. The next offset of a partition is stored, never derived from the
 * remaining records, so that no offset is given twice.
 */
#ifndef LEAT_LOG_FILE_FILE_LOG_H
#define LEAT_LOG_FILE_FILE_LOG_H

#include <pthread.h>
#include <stdatomic.h>

#include <sqlite3.h>

#include "base/diag.h"
#include "log/log_ops.h"

enum {
    LEAT_LOCAL_VERSION = 2, /* of the tables */
    LEAT_LOCAL_PARTITIONS_MAX = 4096,
    LEAT_LOCAL_RECORD_MAX = 16 * 1024 * 1024 + 64 * 1024, /* key, value and headers of one record */
    LEAT_LOCAL_WAITING_MAX = 100 * 1000, /* records and bytes appended, not yet answered */
    LEAT_LOCAL_WAITING_BYTES = 64 * 1024 * 1024,
    LEAT_LOCAL_BUSY_MS = 1000, /* the writer waits this long for the file's lock; then waiting
                                  records are answered as not appended */
    LEAT_LOCAL_MARGIN_MS = 3600 * 1000, /* the time from a record's application to its deletion:
                                           this to twice this */
    LEAT_LOCAL_SQL_SIZE = 256,
};

/* ---- store.c: blocking, any thread; a connection is used by one thread at a time ---- */

typedef enum leat_local_mode { LEAT_LOCAL_READ, LEAT_LOCAL_WRITE, LEAT_LOCAL_MAKE } leat_local_mode;

/* What the file records about itself. */
typedef struct leat_local_head {
    char identity[40]; /* 32 hex digits, made at random with the file */
    uint32_t partition_count;
    int64_t version; /* of its tables; LEAT_LOCAL_VERSION or older */
} leat_local_head;

/* Opens a connection; READ and WRITE never create a file. Waits up to `busy_ms` for another
 * connection's lock. */
int leat_local_connect(const char *file, leat_local_mode mode, int busy_ms, sqlite3 **ret,
                       leat_error *error) LEAT_MUST_CHECK;
/* Runs statements without parameters or rows. */
int leat_local_run(sqlite3 *db, const char *sql, leat_error *error) LEAT_MUST_CHECK;
/* One statement, to be finalized by the caller; NULL and a message when it cannot be. */
sqlite3_stmt *leat_local_prepare(sqlite3 *db, leat_error *error, const char *format, ...)
    LEAT_PRINTF(3, 4);
/* Puts the connection's last error after "words: ", with the file's name; returns -1. */
int leat_local_fail(sqlite3 *db, leat_error *error, const char *words);
/* 0 read, 1 there is no log in the file yet, -1 error: another kind of file, or a newer version. */
int leat_local_head_read(sqlite3 *db, leat_local_head *ret, leat_error *error) LEAT_MUST_CHECK;
/* Makes the tables those of LEAT_LOCAL_VERSION; by the process that has the lock, before it reads
 * or writes records. */
int leat_local_upgrade(sqlite3 *db, const leat_local_head *head, leat_error *error) LEAT_MUST_CHECK;
/* 0 made, 1 there is a log already, -1 error. */
int leat_local_make(const char *file, uint32_t partition_count, int busy_ms,
                    leat_error *error) LEAT_MUST_CHECK;
/* The first existing offset of each partition and the one its next record gets; NULL: not
 * wanted. */
int leat_local_ranges(sqlite3 *db, uint32_t partition_count, int64_t *ret_first, int64_t *ret_next,
                      leat_error *error) LEAT_MUST_CHECK;
/* How one partition's applied records grow old. */
typedef struct leat_local_aging {
    int64_t low;      /* its low water at `since_ms`; -1: none yet */
    int64_t since_ms; /* wall clock */
    int64_t old_low;  /* the one before: up to here all was applied at least the margin ago, and may
                         be deleted */
} leat_local_aging;

int leat_local_agings(sqlite3 *db, uint32_t partition_count, leat_local_aging *ret,
                      leat_error *error) LEAT_MUST_CHECK;
/* Takes the lock that makes the file this process's ("FILE.lock"). Returns the descriptor to close,
 * or -1. */
int leat_local_lock(const char *file, leat_error *error) LEAT_MUST_CHECK;

/* ---- shared.c: any thread ---- */

typedef struct leat_local_listener {
    uv_async_t *wake; /* sent to when there is something new: records, or the end of the log */
    struct leat_local_listener *next;
} leat_local_listener;

/* Of one partition; each field has one writer, as noted. */
typedef struct leat_local_part {
    _Atomic int64_t first; /* the committing thread: the first offset in the file */
    _Atomic int64_t next;  /* the committing thread: after the last one committed */
    /* its reader: everything up to here is applied; -1: nothing is known to be */
    _Atomic int64_t low;
} leat_local_part;

struct leat_local_log {
    char *file;
    int lock_fd;
    leat_local_head head;
    leat_local_part *parts;
    _Atomic int64_t margin_ms;  /* LEAT_LOCAL_MARGIN_MS; tests change it */
    _Atomic int busy_ms;        /* LEAT_LOCAL_BUSY_MS, of a writer that is made; tests change it */
    _Atomic uint32_t max_pages; /* 0: as large as the disk allows; tests change it */
    pthread_mutex_t lock;       /* of the fields below */
    leat_local_listener *listeners;
    bool abandoned; /* a thread still works on it, and hangs: it can never be freed */
    bool is_broken;
    char broken[400]; /* why; written once, before is_broken */
};

int leat_local_open(leat_log_config *config, const leat_topic_spec *spec,
                    leat_error *error) LEAT_MUST_CHECK;
void leat_local_close(leat_log_config *config);
void leat_local_listen(leat_local_log *log, leat_local_listener *listener);
void leat_local_unlisten(leat_local_log *log, leat_local_listener *listener);
void leat_local_wake_all(leat_local_log *log);
/* This process can no longer use the file. The first reason counts; it is logged here. */
void leat_local_break(leat_local_log *log, const char *reason);
/* NULL, or why it cannot. */
const char *leat_local_broken(leat_local_log *log);
/* May it pass (a full disk, a lock, memory), so that trying again makes sense? */
bool leat_local_passes(int code);

/* ---- commit.c ---- */

/* One record on its way into the file. */
typedef struct leat_local_append {
    struct leat_local_append *next;
    void *tag;
    int64_t since_us;
    leat_record record; /* its slices are in `bytes`; the offset is set when it is committed */
    size_t size;
    leat_append_result result;
    const char *why; /* NULL, or a static text */
    char bytes[];
} leat_local_append;

typedef struct leat_local_appends {
    leat_local_append *head;
    leat_local_append *tail;
} leat_local_appends;

void leat_local_push(leat_local_appends *list, leat_local_append *append);
leat_local_append *leat_local_pop(leat_local_appends *list);

/* The committing thread, and what it shares with the writer. */
typedef struct leat_local_commits {
    pthread_t thread;
    pthread_mutex_t lock;   /* of the fields below */
    pthread_cond_t changed; /* on the monotonic clock */
    uv_async_t *wake; /* sent to when something was answered; NULL: nobody waits for answers any
                         longer */
    leat_local_appends todo;
    leat_local_appends batch; /* the transaction that runs */
    leat_local_appends done;  /* answered, not fetched yet */
    bool ready;               /* the last transaction was committed */
    bool stopping;            /* ends when there is nothing left to do */
    bool ended;
} leat_local_commits;

leat_local_commits *leat_local_commits_new(leat_local_log *log, uv_async_t *wake,
                                           leat_error *error);
/* Waits up to `timeout_ms` until all is answered and the thread has ended, then answers the records
 * that it has not begun, and waits a little for the rest. Returns whether the thread has ended; if
 * not, it is left alone: nothing of it may be freed. */
bool leat_local_commits_stop(leat_local_commits *commits, int timeout_ms);
void leat_local_commits_free(leat_local_commits *commits);

/* ---- writer.c ---- */

typedef struct leat_local_writer {
    leat_log_writer base;
    uv_async_t answered;
    leat_local_log *log;
    leat_local_commits *commits;
    leat_appended_cb on_appended;
    void *context;
    size_t waiting; /* appended, not answered */
    size_t waiting_bytes;
} leat_local_writer;

/* ---- record.c ---- */

/* The target of a record's handle. */
typedef struct leat_local_record {
    leat_record record; /* its slices are in `bytes` */
    char bytes[];
} leat_local_record;

/* The columns for leat_local_record_read. */
#define LEAT_LOCAL_COLUMNS "offset, accepted_ms, route, op, idempotency, key, value, headers"
/* The headers that have no column of their own, packed (record/headers.h): those after
 * `idempotency`. */
void leat_local_headers_pack(const leat_record *record, leat_buf *out);
/* The record of the statement's current row; NULL: out of memory. To be freed. */
leat_local_record *leat_local_record_read(sqlite3_stmt *row, uint32_t partition);
size_t leat_local_record_size(const leat_record *record);
/* Copies the record with its bytes, which go to `bytes` (leat_local_record_size of them). */
leat_record leat_local_record_copy(const leat_record *record, char *bytes);
int leat_local_headers(leat_log_reader *reader, void *log_handle, leat_buf *out) LEAT_MUST_CHECK;

#endif
