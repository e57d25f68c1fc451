/*
 * store.c - connections to the log's file, the tables in it, and the lock that says whose it is.
 * The lock is a file beside it, because SQLite's own locks end with each transaction: two
 * processes would take turns writing, each with offsets that it believes to be its own. A file of
 * something else, or of another version, is refused before anything is written to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "log/file/file_log.h"

enum { WAL_KEPT_BYTES = 64 * 1024 * 1024 };

/* ---- connections ---- */

int leat_local_fail(sqlite3 *db, leat_error *error, const char *words)
{
    LEAT_ASSERT(db);
    const char *file = sqlite3_db_filename(db, NULL);
    return leat_fail(error, "log.local.path: %s: %s: %s", file ? file : "?", words,
                     sqlite3_errmsg(db));
}

int leat_local_run(sqlite3 *db, const char *sql, leat_error *error)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : leat_local_fail(db, error, "it cannot be used");
}

/* The committing thread makes the checkpoints, because it sees their errors. */
static int prepare_to_write(sqlite3 *db, leat_error *error)
{
    char sql[LEAT_LOCAL_SQL_SIZE];
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; "
             "PRAGMA journal_size_limit = %d",
             WAL_KEPT_BYTES);
    return leat_local_run(db, sql, error);
}

int leat_local_connect(const char *file, leat_local_mode mode, int busy_ms, sqlite3 **ret,
                       leat_error *error)
{
    LEAT_ASSERT(file && busy_ms >= 0);
    static const int flags[] = {
        [LEAT_LOCAL_READ] = SQLITE_OPEN_READONLY,
        [LEAT_LOCAL_WRITE] = SQLITE_OPEN_READWRITE,
        [LEAT_LOCAL_MAKE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
    };
    sqlite3 *db = NULL;
    int code =
        sqlite3_open_v2(file, &db, flags[mode] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK) { /* there is a handle even then, unless out of memory */
        leat_fail(error, "log.local.path: %s: %s", file, db ? sqlite3_errmsg(db) : "out of memory");
        sqlite3_close_v2(db);
        return -1;
    }
    sqlite3_busy_timeout(db, busy_ms);
    if (mode != LEAT_LOCAL_READ && prepare_to_write(db, error) != 0) {
        sqlite3_close_v2(db);
        return -1;
    }
    *ret = db;
    return 0;
}

sqlite3_stmt *leat_local_prepare(sqlite3 *db, leat_error *error, const char *format, ...)
{
    char sql[LEAT_LOCAL_SQL_SIZE];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof sql);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        leat_local_fail(db, error, "it cannot be asked");
    return statement;
}

/* ---- what the file is ---- */

/* One number; -1: error. */
static int64_t number_of(sqlite3 *db, const char *sql, leat_error *error)
{
    sqlite3_stmt *statement = leat_local_prepare(db, error, "%s", sql);
    if (!statement)
        return -1;
    int64_t ret = -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        ret = sqlite3_column_int64(statement, 0);
    else
        leat_local_fail(db, error, "it cannot be read");
    sqlite3_finalize(statement);
    return ret;
}

static int check_head(sqlite3 *db, sqlite3_stmt *row, leat_local_head *ret, leat_error *error)
{
    const char *file = sqlite3_db_filename(db, NULL);
    int64_t version = sqlite3_column_int64(row, 0);
    if (version < 1 || version > LEAT_LOCAL_VERSION)
        return leat_fail(error,
                         "log.local.path: %s is a log of version %lld, this leat knows version %d",
                         file, (long long)version, LEAT_LOCAL_VERSION);
    int64_t count = sqlite3_column_int64(row, 2);
    const unsigned char *identity = sqlite3_column_text(row, 1);
    if (!identity || count <= 0 || count > LEAT_LOCAL_PARTITIONS_MAX)
        return leat_fail(error, "log.local.path: %s: table leat_log makes no sense", file);
    snprintf(ret->identity, sizeof ret->identity, "%s", (const char *)identity);
    ret->partition_count = (uint32_t)count;
    ret->version = version;
    return 0;
}

int leat_local_head_read(sqlite3 *db, leat_local_head *ret, leat_error *error)
{
    int64_t ours =
        number_of(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'leat_log'", error);
    int64_t all = ours == 0 ? number_of(db, "SELECT count(*) FROM sqlite_schema", error) : 0;
    if (ours < 0 || all < 0)
        return -1;
    if (all > 0)
        return leat_fail(error, "log.local.path: %s is a SQLite file, but not a log of leat's",
                         sqlite3_db_filename(db, NULL));
    if (ours == 0)
        return 1; /* created, but not filled: the process that began it was killed */
    sqlite3_stmt *row =
        leat_local_prepare(db, error, "SELECT version, identity, partition_count FROM leat_log");
    if (!row)
        return -1;
    int result = sqlite3_step(row) == SQLITE_ROW
                     ? check_head(db, row, ret, error)
                     : leat_local_fail(db, error, "table leat_log cannot be read");
    sqlite3_finalize(row);
    return result;
}

static void read_range(sqlite3_stmt *row, uint32_t partition, int64_t *ret_first, int64_t *ret_next)
{
    if (ret_first)
        ret_first[partition] = sqlite3_column_int64(row, 1);
    if (ret_next)
        ret_next[partition] = sqlite3_column_int64(row, 2);
}

int leat_local_ranges(sqlite3 *db, uint32_t partition_count, int64_t *ret_first, int64_t *ret_next,
                      leat_error *error)
{
    LEAT_ASSERT(partition_count > 0 && (ret_first || ret_next));
    sqlite3_stmt *row = leat_local_prepare(
        db, error, "SELECT partition, first, next FROM leat_partitions ORDER BY partition");
    if (!row)
        return -1;
    uint32_t count = 0;
    for (; count < partition_count && sqlite3_step(row) == SQLITE_ROW &&
           sqlite3_column_int64(row, 0) == count;
         count++)
        read_range(row, count, ret_first, ret_next);
    int result = count == partition_count
                     ? 0
                     : leat_local_fail(db, error, "table leat_partitions cannot be read");
    sqlite3_finalize(row);
    return result;
}

int leat_local_agings(sqlite3 *db, uint32_t partition_count, leat_local_aging *ret,
                      leat_error *error)
{
    LEAT_ASSERT(partition_count > 0 && ret);
    sqlite3_stmt *row = leat_local_prepare(
        db, error,
        "SELECT aging_low, aging_since_ms, old_low FROM leat_partitions ORDER BY partition");
    if (!row)
        return -1;
    uint32_t count = 0;
    for (; count < partition_count && sqlite3_step(row) == SQLITE_ROW; count++)
        ret[count] = (leat_local_aging){.low = sqlite3_column_int64(row, 0),
                                        .since_ms = sqlite3_column_int64(row, 1),
                                        .old_low = sqlite3_column_int64(row, 2)};
    int result = count == partition_count
                     ? 0
                     : leat_local_fail(db, error, "table leat_partitions cannot be read");
    sqlite3_finalize(row);
    return result;
}

/* ---- making it ---- */

static const char head_sql[] =
    "CREATE TABLE leat_log (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, identity TEXT NOT NULL,"
    " made_at TEXT NOT NULL, partition_count INTEGER NOT NULL) STRICT;"
    "CREATE TABLE leat_partitions (partition INTEGER PRIMARY KEY, first INTEGER NOT NULL, next INTEGER NOT NULL,"
    " aging_low INTEGER NOT NULL, aging_since_ms INTEGER NOT NULL, old_low INTEGER NOT NULL) STRICT;";

static const char partition_sql[] =
    "CREATE TABLE leat_records_%u (offset INTEGER PRIMARY KEY, accepted_ms INTEGER NOT NULL, route TEXT, op TEXT,"
    " idempotency TEXT, key BLOB, value BLOB, headers BLOB) STRICT;"
    "INSERT INTO leat_partitions VALUES (%u, 0, 0, -1, 0, -1)";

static int make_partition(sqlite3 *db, uint32_t partition, leat_error *error)
{
    LEAT_ASSERT(partition < LEAT_LOCAL_PARTITIONS_MAX);
    char sql[2 * LEAT_LOCAL_SQL_SIZE];
    snprintf(sql, sizeof sql, partition_sql, partition, partition);
    return leat_local_run(db, sql, error);
}

static int make_tables(sqlite3 *db, uint32_t partition_count, leat_error *error)
{
    LEAT_ASSERT(partition_count > 0);
    char sql[LEAT_LOCAL_SQL_SIZE];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO leat_log VALUES (1, %d, lower(hex(randomblob(16))), strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', 'now'), %u)",
        LEAT_LOCAL_VERSION, partition_count);
    if (leat_local_run(db, head_sql, error) != 0 || leat_local_run(db, sql, error) != 0)
        return -1;
    for (uint32_t p = 0; p < partition_count; p++)
        if (make_partition(db, p, error) != 0)
            return -1;
    return 0;
}

/* In one transaction, so that a log exists entirely or not at all. */
static int make_in(sqlite3 *db, uint32_t partition_count, leat_error *error)
{
    if (leat_local_run(db, "BEGIN IMMEDIATE", error) != 0)
        return -1;
    leat_local_head head;
    int there = leat_local_head_read(db, &head, error);
    if (there == 1 && make_tables(db, partition_count, error) == 0 &&
        leat_local_run(db, "COMMIT", error) == 0)
        return 0;
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return there == 0 ? 1 : -1;
}

int leat_local_make(const char *file, uint32_t partition_count, int busy_ms, leat_error *error)
{
    if (partition_count == 0 || partition_count > LEAT_LOCAL_PARTITIONS_MAX)
        return leat_fail(error, "log.local.partitions must be between 1 and %d",
                         LEAT_LOCAL_PARTITIONS_MAX);
    sqlite3 *db;
    if (leat_local_connect(file, LEAT_LOCAL_MAKE, busy_ms, &db, error) != 0)
        return -1;
    int result = make_in(db, partition_count, error);
    sqlite3_close_v2(db);
    return result;
}

/* ---- from an older version ---- */

/* Version 1 knew no headers but `route` and `op`. */
static int upgrade_in(sqlite3 *db, uint32_t partition_count, leat_error *error)
{
    char sql[LEAT_LOCAL_SQL_SIZE];
    if (leat_local_run(db, "BEGIN IMMEDIATE", error) != 0)
        return -1;
    for (uint32_t p = 0; p < partition_count; p++) {
        snprintf(sql, sizeof sql,
                 "ALTER TABLE leat_records_%u ADD COLUMN idempotency TEXT; "
                 "ALTER TABLE leat_records_%u ADD COLUMN headers BLOB",
                 p, p);
        if (leat_local_run(db, sql, error) != 0)
            return -1;
    }
    snprintf(sql, sizeof sql, "UPDATE leat_log SET version = %d; COMMIT", LEAT_LOCAL_VERSION);
    return leat_local_run(db, sql, error);
}

int leat_local_upgrade(sqlite3 *db, const leat_local_head *head, leat_error *error)
{
    LEAT_ASSERT(head->version > 0 && head->version <= LEAT_LOCAL_VERSION);
    if (head->version == LEAT_LOCAL_VERSION || upgrade_in(db, head->partition_count, error) == 0)
        return 0;
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

/* ---- whose it is ---- */

static int is_taken(int fd, const char *file, leat_error *error)
{
    char pid[32] = "";
    ssize_t size = pread(fd, pid, sizeof pid - 1, 0);
    pid[size > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return leat_fail(error, "log.local.path: %s is in use by another process (pid %s)", file,
                     pid[0] ? pid : "unknown");
}

static int write_pid(int fd)
{
    LEAT_ASSERT(fd >= 0);
    char pid[32];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)size, 0) == size ? 0 : -1;
}

/* The lock is the kernel's and ends with the process; the file stays, because removing it would let
 * two processes in. */
int leat_local_lock(const char *file, leat_error *error)
{
    leat_buf name = {0};
    leat_buf_printf(&name, "%s.lock", file);
    const char *path = leat_buf_cstr(&name);
    LEAT_ASSERT(path != NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        leat_fail(error, "log.local.path: %s: %s", path, strerror(errno));
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        is_taken(fd, file, error);
    else if (write_pid(fd) != 0)
        leat_fail(error, "log.local.path: %s: %s", path, strerror(errno));
    else
        goto locked;
    if (fd >= 0)
        close(fd);
    fd = -1;
locked:
    leat_buf_free(&name);
    return fd;
}
