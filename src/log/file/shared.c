/*
 * shared.c - the log as one process has it. The committing thread and the readers' loops run on
 * threads of their own and share only what is here: of each partition three numbers, each with one
 * writer, so that a reader without news needs neither a lock nor a query. A file that fails is
 * broken for all of them at once: a writer that goes on beside a reader that has stopped, or the
 * reverse, would answer 202 to what nobody applies.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log/file/file_log.h"

enum { OPEN_BUSY_MS = 5000 };

/* ---- life ---- */

static int check_count(const leat_local_log *log, const leat_topic_spec *spec, leat_error *error)
{
    if (spec->partition_count == 0 || spec->partition_count == log->head.partition_count)
        return 0;
    return leat_fail(
        error,
        "log.local.partitions is %u, but the log in %s was made with %u, and a log keeps its partitions: set "
        "log.local.partitions to %u",
        spec->partition_count, log->file, log->head.partition_count, log->head.partition_count);
}

static int read_state(leat_local_log *log, sqlite3 *db, leat_error *error)
{
    LEAT_ASSERT(!log->parts);
    uint32_t count = log->head.partition_count;
    int64_t *first = leat_must_calloc(count, sizeof *first);
    int64_t *next = leat_must_calloc(count, sizeof *next);
    int result = leat_local_ranges(db, count, first, next, error);
    log->parts = leat_must_calloc(count, sizeof *log->parts);
    for (uint32_t p = 0; p < count; p++) {
        atomic_init(&log->parts[p].first, first[p]);
        atomic_init(&log->parts[p].next, next[p]);
        atomic_init(&log->parts[p].low, -1);
    }
    free(first);
    free(next);
    return result;
}

static int upgrade(leat_local_log *log, sqlite3 *db, leat_error *error)
{
    if (log->head.version == LEAT_LOCAL_VERSION)
        return 0;
    if (leat_local_upgrade(db, &log->head, error) != 0)
        return -1;
    log->head.version = LEAT_LOCAL_VERSION;
    leat_info("log was of an older version of leat, which cannot open it any longer file=%s",
              log->file);
    return 0;
}

static int read_file(leat_local_log *log, const leat_topic_spec *spec, leat_error *error)
{
    sqlite3 *db;
    if (leat_local_connect(log->file, LEAT_LOCAL_WRITE, OPEN_BUSY_MS, &db, error) != 0)
        return -1;
    int result = leat_local_head_read(db, &log->head, error);
    if (result == 1)
        leat_fail(error, "log.local.path: there is no log in %s", log->file);
    if (result == 0 && (check_count(log, spec, error) != 0 || upgrade(log, db, error) != 0 ||
                        read_state(log, db, error) != 0))
        result = -1;
    sqlite3_close_v2(db);
    return result == 0 ? 0 : -1;
}

static void forget(leat_local_log *log)
{
    if (log->lock_fd >= 0)
        close(log->lock_fd);
    pthread_mutex_destroy(&log->lock);
    free(log->parts);
    free(log->file);
    free(log);
}

int leat_local_open(leat_log_config *config, const leat_topic_spec *spec, leat_error *error)
{
    LEAT_ASSERT(config->file);
    leat_local_log *log = leat_must_calloc(1, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
    log->file = leat_must_strdup(config->file);
    atomic_init(&log->margin_ms, LEAT_LOCAL_MARGIN_MS);
    atomic_init(&log->busy_ms, LEAT_LOCAL_BUSY_MS);
    log->lock_fd = leat_local_lock(config->file, error);
    bool make = spec->partition_count > 0;
    if (log->lock_fd < 0 ||
        (make && leat_local_make(config->file, spec->partition_count, OPEN_BUSY_MS, error) < 0) ||
        read_file(log, spec, error) != 0) {
        forget(log);
        return -1;
    }
    config->local = log;
    return 0;
}

/* A reader may have been the last to close the file, and cannot fold the write-ahead log into it:
 * then part of the log would be in another file, which a person who copies the log could forget. */
static void tidy(leat_local_log *log)
{
    LEAT_ASSERT(!log->abandoned);
    sqlite3 *db;
    if (leat_local_broken(log) ||
        leat_local_connect(log->file, LEAT_LOCAL_WRITE, 0, &db, NULL) != 0)
        return;
    if (leat_local_run(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL) != 0)
        leat_debug("write-ahead log stays beside the log file=%s", log->file);
    sqlite3_close_v2(db);
}

void leat_local_close(leat_log_config *config)
{
    leat_local_log *log = config->local;
    config->local = NULL;
    LEAT_ASSERT(!log->listeners);
    if (!log->abandoned)
        tidy(log);
    if (!log->abandoned)
        forget(log);
}

/* ---- listeners ---- */

void leat_local_listen(leat_local_log *log, leat_local_listener *listener)
{
    LEAT_ASSERT(listener->wake);
    pthread_mutex_lock(&log->lock);
    listener->next = log->listeners;
    log->listeners = listener;
    pthread_mutex_unlock(&log->lock);
}

void leat_local_unlisten(leat_local_log *log, leat_local_listener *listener)
{
    pthread_mutex_lock(&log->lock);
    leat_local_listener **at = &log->listeners;
    while (*at != listener) {
        LEAT_ASSERT(*at);
        at = &(*at)->next;
    }
    *at = listener->next;
    pthread_mutex_unlock(&log->lock);
}

static void wake_listeners(leat_local_log *log)
{
    for (leat_local_listener *listener = log->listeners; listener; listener = listener->next)
        uv_async_send(listener->wake);
}

void leat_local_wake_all(leat_local_log *log)
{
    pthread_mutex_lock(&log->lock);
    wake_listeners(log);
    pthread_mutex_unlock(&log->lock);
}

/* ---- faults ---- */

void leat_local_break(leat_local_log *log, const char *reason)
{
    LEAT_ASSERT(reason[0]);
    pthread_mutex_lock(&log->lock);
    if (!log->is_broken) {
        snprintf(log->broken, sizeof log->broken, "%s", reason);
        log->is_broken = true;
        leat_err("log is broken: nothing is accepted any longer file=%s reason=\"%s\"", log->file,
                 log->broken);
    }
    wake_listeners(log);
    pthread_mutex_unlock(&log->lock);
}

const char *leat_local_broken(leat_local_log *log)
{
    pthread_mutex_lock(&log->lock);
    const char *ret = log->is_broken ? log->broken : NULL;
    pthread_mutex_unlock(&log->lock);
    return ret;
}

bool leat_local_passes(int code)
{
    int primary = code & 0xff;
    return primary == SQLITE_FULL || primary == SQLITE_BUSY || primary == SQLITE_LOCKED ||
           primary == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM;
}
