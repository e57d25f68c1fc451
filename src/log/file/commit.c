/*
 * commit.c - the thread that writes to the file. The records that wait are committed together: one
 * transaction, one sync of the disk, however many they are. If a transaction fails, its records are
 * treated like this:
 *
 *   The error may pass (a full disk, a lock, memory) and came before COMMIT: they are not appended,
 *   and the thread goes on.
 *
 *   The disk is full at COMMIT: the same, because the frame that commits was not written whole.
 *
 *   Anything else: unknown. Their frames may be found after a crash, so the log is broken for this
 *   process; the next process reads what the file really has.
 *
 * Between transactions the thread deletes old records (trim.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "log/file/committer.h"
#include "record/headers.h"

enum {
    BATCH_RECORDS = 4096,
    BATCH_BYTES = 8 * 1024 * 1024,
    PROBE_US = 1000 * 1000,
    CHECKPOINT_PAGES = 1000,
    LAST_ANSWERS_US = 2 * 1000 * 1000,
    PAGES_MAX = 1073741823,
};

/* ---- lists ---- */

void leat_local_push(leat_local_appends *list, leat_local_append *append)
{
    LEAT_ASSERT(!list->tail == !list->head);
    append->next = NULL;
    if (list->tail)
        list->tail->next = append;
    else
        list->head = append;
    list->tail = append;
}

leat_local_append *leat_local_pop(leat_local_appends *list)
{
    LEAT_ASSERT(!list->tail == !list->head);
    leat_local_append *ret = list->head;
    if (!ret)
        return NULL;
    list->head = ret->next;
    if (!list->head)
        list->tail = NULL;
    return ret;
}

static void take_batch(leat_local_commits *commits)
{
    size_t count = 0;
    size_t bytes = 0;
    while (commits->todo.head && count < BATCH_RECORDS &&
           (count == 0 || bytes + commits->todo.head->size <= BATCH_BYTES)) {
        leat_local_append *append = leat_local_pop(&commits->todo);
        bytes += append->size;
        count++;
        leat_local_push(&commits->batch, append);
    }
}

/* Under the lock. When nobody waits for answers any longer, the lists are no longer ours to change.
 */
static void answer_all(leat_local_commits *commits, leat_local_appends *list,
                       leat_append_result result, const char *why)
{
    leat_local_append *append;
    if (!commits->wake)
        return;
    while ((append = leat_local_pop(list))) {
        append->result = result;
        append->why = why;
        leat_local_push(&commits->done, append);
    }
    uv_async_send(commits->wake);
}

/* ---- faults ---- */

void leat_committer_log_passing(leat_committer *c, const char *doing, int code)
{
    LEAT_ASSERT(leat_local_passes(code));
    if (!leat_rate_limit_allows(&c->errors, (uint64_t)leat_mono_us() / 1000, doing))
        return;
    leat_warn("%s for now: tried again file=%s reason=\"%s\"", doing, c->log->file,
              sqlite3_errstr(code));
}

void leat_committer_give_up(leat_committer *c, const char *doing, int code)
{
    LEAT_ASSERT(code != SQLITE_OK);
    leat_error error;
    leat_fail(&error, "log.local.path: %s: %s: %s (SQLite's code %d)", c->log->file, doing,
              sqlite3_errstr(code), code);
    leat_local_break(c->log, error.text);
}

void leat_committer_roll_back(leat_committer *c)
{
    if (sqlite3_get_autocommit(c->db))
        return;
    int code = sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    if (!sqlite3_get_autocommit(c->db))
        leat_committer_give_up(c, "a transaction cannot be rolled back", code);
}

/* ---- one transaction ---- */

int leat_committer_finish(sqlite3_stmt *statement)
{
    LEAT_ASSERT(statement);
    int code = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    sqlite3_clear_bindings(statement); /* the bound memory is not ours to keep */
    return code == SQLITE_DONE ? SQLITE_OK : reset;
}

static int set_number(sqlite3_stmt *statement, uint32_t partition, int64_t value)
{
    LEAT_ASSERT(partition < LEAT_LOCAL_PARTITIONS_MAX && value >= 0);
    sqlite3_bind_int64(statement, 1, value);
    sqlite3_bind_int64(statement, 2, partition);
    return leat_committer_finish(statement);
}

int leat_committer_begin(leat_committer *c)
{
    uint32_t wanted = atomic_load(&c->log->max_pages);
    if (wanted != c->max_pages) {
        char sql[LEAT_LOCAL_SQL_SIZE];
        snprintf(sql, sizeof sql, "PRAGMA max_page_count = %u", wanted ? wanted : PAGES_MAX);
        sqlite3_exec(c->db, sql, NULL, NULL, NULL);
        c->max_pages = wanted;
    }
    return sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

int leat_committer_commit(leat_committer *c)
{
    return sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
}

/* Prepared when first needed. 0, or SQLite's code. */
int leat_committer_prepare(leat_committer *c, sqlite3_stmt **statement, const char *sql,
                           uint32_t partition)
{
    LEAT_ASSERT(partition < c->log->head.partition_count);
    if (*statement)
        return SQLITE_OK;
    char text[LEAT_LOCAL_SQL_SIZE];
    sqlite3_snprintf(sizeof text, text, sql, partition);
    return sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

static void bind_bytes(sqlite3_stmt *statement, int at, leat_slice bytes, bool is_null)
{
    LEAT_ASSERT(bytes.data || bytes.size == 0);
    if (is_null)
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_blob64(statement, at, bytes.data ? bytes.data : "", bytes.size, SQLITE_STATIC);
}

static void bind_header(sqlite3_stmt *statement, int at, leat_slice text)
{
    LEAT_ASSERT(text.data || text.size == 0);
    if (text.size == 0)
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_text64(statement, at, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
}

static int insert(leat_committer *c, leat_local_append *append)
{
    leat_record *record = &append->record;
    LEAT_ASSERT(record->partition < c->log->head.partition_count);
    leat_committer_part *part = &c->parts[record->partition];
    int code = leat_committer_prepare(c, &part->insert,
                                      "INSERT INTO leat_records_%u (" LEAT_LOCAL_COLUMNS
                                      ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                                      record->partition);
    if (code != SQLITE_OK)
        return code;
    record->offset = c->next[record->partition];
    sqlite3_bind_int64(part->insert, 1, record->offset);
    sqlite3_bind_int64(part->insert, 2, record->accepted_ms);
    leat_buf_clear(&c->headers);
    leat_local_headers_pack(record, &c->headers);
    if (c->headers.failed)
        return SQLITE_NOMEM;
    bind_header(part->insert, 3, record->route);
    bind_header(part->insert, 4, record->op);
    bind_header(part->insert, 5, record->idempotency);
    bind_bytes(part->insert, 6, record->key, record->key.data == NULL);
    bind_bytes(part->insert, 7, record->value, record->value_is_null);
    bind_bytes(part->insert, 8, (leat_slice){c->headers.data, c->headers.size},
               c->headers.size == 0);
    code = leat_committer_finish(part->insert);
    c->next[record->partition] += code == SQLITE_OK;
    return code;
}

/* The records of the batch and where the next ones go. */
static int write_batch(leat_committer *c)
{
    LEAT_ASSERT(c->commits.batch.head);
    LEAT_ASSERT(!sqlite3_get_autocommit(c->db));
    uint32_t count = c->log->head.partition_count;
    for (uint32_t p = 0; p < count; p++)
        c->next[p] = atomic_load(&c->log->parts[p].next);
    int code = SQLITE_OK;
    for (leat_local_append *append = c->commits.batch.head; append && code == SQLITE_OK;
         append = append->next)
        code = insert(c, append);
    for (uint32_t p = 0; p < count && code == SQLITE_OK; p++)
        if (c->next[p] != atomic_load(&c->log->parts[p].next))
            code = set_number(c->set_next, p, c->next[p]);
    return code;
}

static void answer_batch(leat_committer *c, leat_append_result result, const char *why)
{
    pthread_mutex_lock(&c->commits.lock);
    c->commits.ready = result == LEAT_APPENDED;
    answer_all(&c->commits, &c->commits.batch, result, why);
    pthread_mutex_unlock(&c->commits.lock);
}

static void on_committed(leat_committer *c)
{
    for (uint32_t p = 0; p < c->log->head.partition_count; p++) {
        LEAT_ASSERT(c->next[p] >= atomic_load(&c->log->parts[p].next));
        atomic_store(&c->log->parts[p].next, c->next[p]);
    }
    leat_local_wake_all(c->log);
    answer_batch(c, LEAT_APPENDED, NULL);
}

static void on_failed(leat_committer *c, int code, bool at_commit)
{
    LEAT_ASSERT(code != SQLITE_OK);
    bool is_out = leat_local_passes(code) && (!at_commit || (code & 0xff) == SQLITE_FULL);
    leat_committer_roll_back(c);
    if (is_out)
        leat_committer_log_passing(c, "records cannot be written", code);
    else
        leat_committer_give_up(c, "records cannot be written", code);
    c->probe_us = leat_mono_us() + PROBE_US;
    answer_batch(c, is_out ? LEAT_NOT_APPENDED : LEAT_APPEND_UNKNOWN, sqlite3_errstr(code));
}

static void commit_batch(leat_committer *c)
{
    LEAT_ASSERT(c->commits.batch.head);
    int code = leat_committer_begin(c);
    if (code == SQLITE_OK)
        code = write_batch(c);
    if (code != SQLITE_OK) {
        on_failed(c, code, false);
        return;
    }
    code = leat_committer_commit(c);
    if (code == SQLITE_OK)
        on_committed(c);
    else
        on_failed(c, code, true);
}

/* After a failure, while nothing is accepted: would the file take something? */
static void probe(leat_committer *c)
{
    LEAT_ASSERT(!c->commits.ready);
    int code = leat_committer_begin(c);
    if (code == SQLITE_OK)
        code = set_number(c->set_next, 0, atomic_load(&c->log->parts[0].next));
    if (code == SQLITE_OK)
        code = leat_committer_commit(c);
    leat_committer_roll_back(c);
    c->probe_us = leat_mono_us() + PROBE_US;
    if (code != SQLITE_OK && !leat_local_passes(code))
        leat_committer_give_up(c, "it cannot be written", code);
    if (code != SQLITE_OK)
        return;
    leat_info("log can be written again file=%s", c->log->file);
    pthread_mutex_lock(&c->commits.lock);
    c->commits.ready = true;
    pthread_mutex_unlock(&c->commits.lock);
}

/* ---- the write-ahead log ---- */

static int on_wal(void *context, sqlite3 *db, const char *name, int pages)
{
    LEAT_ASSERT(pages >= 0);
    (void)db;
    (void)name;
    ((leat_committer *)context)->wal_pages = pages;
    return SQLITE_OK;
}

static void checkpoint(leat_committer *c)
{
    if (c->wal_pages < CHECKPOINT_PAGES)
        return;
    c->wal_pages = 0;
    int code = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code != SQLITE_OK && !leat_local_passes(code))
        leat_committer_give_up(c, "its write-ahead log cannot be taken over", code);
}

/* ---- the thread ---- */

/* Under the lock: waits until something has changed or the time has come. */
static void wait_until(leat_local_commits *commits, int64_t until_us)
{
    leat_cond_wait_until(&commits->changed, &commits->lock, until_us);
}

static int64_t due_us(const leat_committer *c)
{
    return !c->commits.ready && c->probe_us < c->trim_us ? c->probe_us : c->trim_us;
}

/* Waits until there is something to do, and takes the next batch; false: it is time to end. */
static bool await_work(leat_committer *c)
{
    leat_local_commits *commits = &c->commits;
    bool is_broken = leat_local_broken(c->log) != NULL;
    pthread_mutex_lock(&commits->lock);
    if (is_broken) {
        commits->ready = false;
        answer_all(commits, &commits->todo, LEAT_NOT_APPENDED, "the log is broken");
    }
    while (!commits->todo.head && !commits->stopping && leat_mono_us() < due_us(c))
        wait_until(commits, due_us(c));
    bool goes_on = commits->todo.head || !commits->stopping;
    if (!is_broken)
        take_batch(commits);
    pthread_mutex_unlock(&commits->lock);
    return goes_on;
}

static void work(leat_committer *c)
{
    if (c->commits.batch.head)
        commit_batch(c);
    else if (!c->commits.ready && leat_mono_us() >= c->probe_us)
        probe(c);
    if (leat_mono_us() >= c->trim_us)
        leat_committer_trim(c);
    checkpoint(c);
}

/* The log is broken: the batch that was taken was not begun. */
static void rest(leat_committer *c)
{
    pthread_mutex_lock(&c->commits.lock);
    answer_all(&c->commits, &c->commits.batch, LEAT_NOT_APPENDED, "the log is broken");
    pthread_mutex_unlock(&c->commits.lock);
    c->trim_us = leat_mono_us() + LEAT_COMMITTER_TRIM_US;
    c->probe_us = c->trim_us;
}

static void close_db(leat_committer *c)
{
    sqlite3_finalize(c->set_next);
    sqlite3_finalize(c->set_part);
    for (uint32_t p = 0; p < c->log->head.partition_count; p++) {
        sqlite3_finalize(c->parts[p].insert);
        sqlite3_finalize(c->parts[p].delete);
    }
    leat_buf_free(&c->headers);
    sqlite3_close_v2(c->db);
}

static void *run(void *argument)
{
    leat_committer *c = argument;
    while (await_work(c))
        if (leat_local_broken(c->log))
            rest(c);
        else
            work(c);
    close_db(c);
    pthread_mutex_lock(&c->commits.lock);
    c->commits.ended = true;
    pthread_cond_broadcast(&c->commits.changed);
    pthread_mutex_unlock(&c->commits.lock);
    return NULL;
}

/* ---- for the writer ---- */

static int open_db(leat_committer *c, leat_error *error)
{
    if (leat_local_connect(c->log->file, LEAT_LOCAL_WRITE, atomic_load(&c->log->busy_ms), &c->db,
                           error) != 0)
        return -1;
    sqlite3_wal_hook(c->db, on_wal, c);
    c->set_next =
        leat_local_prepare(c->db, error, "UPDATE leat_partitions SET next = ? WHERE partition = ?");
    c->set_part = leat_local_prepare(
        c->db, error,
        "UPDATE leat_partitions SET first = ?, aging_low = ?, aging_since_ms = ?, "
        "old_low = ? WHERE partition = ?");
    return c->set_next && c->set_part
               ? leat_local_agings(c->db, c->log->head.partition_count, c->aging, error)
               : -1;
}

leat_local_commits *leat_local_commits_new(leat_local_log *log, uv_async_t *wake, leat_error *error)
{
    LEAT_ASSERT(log->head.partition_count > 0);
    leat_committer *c = leat_must_calloc(1, sizeof *c);
    c->log = log;
    c->commits.wake = wake;
    c->commits.ready = true;
    c->parts = leat_must_calloc(log->head.partition_count, sizeof *c->parts);
    c->next = leat_must_calloc(log->head.partition_count, sizeof *c->next);
    c->aging = leat_must_calloc(log->head.partition_count, sizeof *c->aging);
    leat_cond_init(&c->commits.changed);
    pthread_mutex_init(&c->commits.lock, NULL);
    int result = open_db(c, error);
    if (result == 0 && pthread_create(&c->commits.thread, NULL, run, c) != 0)
        result = leat_fail(error, "log.local.path: no thread can be made");
    if (result == 0)
        return &c->commits;
    close_db(c);
    leat_local_commits_free(&c->commits);
    return NULL;
}

static void await_end(leat_local_commits *commits, int64_t until_us)
{
    LEAT_ASSERT(commits->stopping);
    while (!commits->ended && leat_mono_us() < until_us)
        wait_until(commits, until_us);
}

bool leat_local_commits_stop(leat_local_commits *commits, int timeout_ms)
{
    pthread_mutex_lock(&commits->lock);
    commits->stopping = true;
    pthread_cond_broadcast(&commits->changed);
    await_end(commits, leat_mono_us() + (int64_t)timeout_ms * 1000);
    answer_all(commits, &commits->todo, LEAT_NOT_APPENDED, "the writer ended");
    await_end(commits, leat_mono_us() + LAST_ANSWERS_US);
    bool ended = commits->ended;
    commits->wake = NULL;
    pthread_mutex_unlock(&commits->lock);
    if (ended)
        pthread_join(commits->thread, NULL);
    else
        pthread_detach(commits->thread);
    return ended;
}

void leat_local_commits_free(leat_local_commits *commits)
{
    leat_committer *c = (leat_committer *)commits;
    pthread_cond_destroy(&commits->changed);
    pthread_mutex_destroy(&commits->lock);
    free(c->parts);
    free(c->next);
    free(c->aging);
    free(c);
}
