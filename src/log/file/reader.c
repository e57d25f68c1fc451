/*
 * reader.c - the reader: a connection of its own that reads in the loop's turn, a bounded batch of
 * each partition at a time. A transaction is open only while a batch is taken, so that it never
 * holds up the write-ahead log. The committing thread wakes it; what is new it sees in
 * leat_local_part, so that a partition without news costs nothing.
 *
 * The range is checked by the rule of log/range.h, and again when a record that should be
 * there is not. Offsets have no holes here: one that is missing between the first and the next is a
 * fault of the file. Nor are there leader epochs: that the file is an older copy, and has grown
 * past what was applied since, the time of the newest applied record tells, before anything is
 * offered. (Found only on the way to it, what is new before it would be applied or skipped by
 * then.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/file/file_log.h"
#include "log/range.h"

enum {
    BATCH_RECORDS = 256,
    BATCH_BYTES = 1024 * 1024,
    BUSY_MS = 100,
    RETRY_MS = 100,
    REASON_SIZE = 400,
};

typedef enum part_state {
    PART_FOREIGN, /* another reader's */
    PART_NEW,     /* ours; that was not said yet */
    PART_HELD,    /* not sought, not read */
    PART_SOUGHT,  /* its range is to be judged in the next turn */
    PART_READING,
    PART_BROKEN,
} part_state;

typedef struct reader_part {
    part_state state;
    bool paused;
    uint32_t generation; /* of the seek */
    int64_t low;         /* as told by the seek */
    int64_t high;
    int64_t high_ms;      /* 0: not known */
    int64_t next;         /* the offset to read; -1: the log's first */
    int64_t committed;    /* the offset last committed; -1: none */
    sqlite3_stmt *select; /* NULL: not needed yet */
    uint32_t batch_at;    /* records read, not yet taken by the caller */
    uint32_t batch_count;
    leat_local_record *batch[BATCH_RECORDS];
} reader_part;

typedef struct leat_local_reader {
    leat_log_reader base;
    uv_async_t wake;
    uv_timer_t retry;
    uint32_t open_handles;
    leat_reader_events events;
    leat_local_log *log;
    leat_local_listener listener;
    sqlite3 *db;
    reader_part *parts;   /* [log->head.partition_count] */
    uint32_t turn;        /* the partition whose turn is next */
    size_t handed;        /* records with the caller */
    int64_t committed_us; /* when the last commit without an answer was begun; 0: none */
    bool other_log;       /* the identity it was made for is another file's */
    bool has_failed;
} leat_local_reader;

/* ---- partitions ---- */

static reader_part *part_at(leat_local_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(partition < reader->log->head.partition_count);
    return &reader->parts[partition];
}

static void drop_batch(reader_part *part)
{
    while (part->batch_at < part->batch_count)
        free(part->batch[part->batch_at++]);
    part->batch_at = 0;
    part->batch_count = 0;
}

static void break_part(leat_local_reader *reader, uint32_t partition, const char *reason)
{
    reader_part *part = &reader->parts[partition];
    part->state = PART_BROKEN;
    part->generation++;
    drop_batch(part);
    reader->events.broken(reader->events.context, partition, reason);
}

/* ---- range ---- */

static void fail(leat_local_reader *reader, int code);

/* The time of the record at `high`; 0: it is not in the file any more. Returns SQLite's code. */
static int read_time(leat_local_reader *reader, uint32_t partition, int64_t *ret_ms)
{
    char sql[LEAT_LOCAL_SQL_SIZE];
    sqlite3_stmt *row;
    snprintf(sql, sizeof sql, "SELECT accepted_ms FROM leat_records_%u WHERE offset = ?",
             partition);
    int code = sqlite3_prepare_v2(reader->db, sql, -1, &row, NULL);
    if (code != SQLITE_OK)
        return code;
    sqlite3_bind_int64(row, 1, reader->parts[partition].high);
    code = sqlite3_step(row);
    *ret_ms = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static const char *const causes[] = {
    [LEAT_RANGE_OTHER] = "the log's file was recreated",
    [LEAT_RANGE_SHORT] = "the file is an older copy or was recreated",
    [LEAT_RANGE_LOST] = "they are no longer in the log",
    [LEAT_RANGE_REWRITTEN] = "the file is an older copy that was written to since",
};

static void judge(leat_local_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    leat_log_range range = {.low = part->low,
                            .high = part->high,
                            .high_ms = part->high_ms,
                            .next = part->next,
                            .read_to = -1,
                            .is_recreated = reader->other_log,
                            .start = atomic_load(&reader->log->parts[partition].first),
                            .end = atomic_load(&reader->log->parts[partition].next),
                            .epoch_end = -1};
    int code = part->high_ms > 0 ? read_time(reader, partition, &range.found_ms) : SQLITE_OK;
    if (code != SQLITE_OK) {
        fail(reader, code);
        return;
    }
    leat_range_verdict verdict = leat_range_check(&range);
    if (verdict == LEAT_RANGE_FITS) {
        if (part->next < range.start) /* -1: from the log's first */
            part->next = range.start;
        part->state = PART_READING;
        return;
    }
    char reason[REASON_SIZE];
    leat_range_reason(&range, verdict, causes[verdict], reason, sizeof reason);
    break_part(reader, partition, reason);
}

/* The record at `next` is not there: was it deleted meanwhile, as one that is applied? */
static void on_hole(leat_local_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    if (atomic_load(&reader->log->parts[partition].first) > part->next) {
        part->state = PART_SOUGHT;
        return;
    }
    char reason[REASON_SIZE];
    snprintf(reason, sizeof reason, "the record at offset %lld is missing in the log's file",
             (long long)part->next);
    break_part(reader, partition, reason);
}

/* ---- reading ---- */

static void retry_later(leat_local_reader *reader);

static void fail(leat_local_reader *reader, int code)
{
    leat_error error;
    leat_fail(&error, "log.local.path: %s: it cannot be read: %s (SQLite's code %d)",
              reader->log->file, sqlite3_errstr(code), code);
    if (leat_local_passes(code)) {
        retry_later(reader);
        return;
    }
    leat_local_break(reader->log, error.text);
}

static int prepare(leat_local_reader *reader, uint32_t partition)
{
    sqlite3_stmt **select = &reader->parts[partition].select;
    if (*select)
        return SQLITE_OK;
    char sql[LEAT_LOCAL_SQL_SIZE];
    snprintf(sql, sizeof sql,
             "SELECT " LEAT_LOCAL_COLUMNS
             " FROM leat_records_%u WHERE offset >= ? ORDER BY offset LIMIT %d",
             partition, BATCH_RECORDS);
    return sqlite3_prepare_v3(reader->db, sql, -1, SQLITE_PREPARE_PERSISTENT, select, NULL);
}

/* Takes the records that follow `next` without a hole. Returns SQLite's code. */
static int take_rows(reader_part *part, uint32_t partition)
{
    size_t bytes = 0;
    int code = SQLITE_DONE;
    sqlite3_bind_int64(part->select, 1, part->next);
    while (part->batch_count < BATCH_RECORDS && bytes < BATCH_BYTES &&
           (code = sqlite3_step(part->select)) == SQLITE_ROW) {
        if (sqlite3_column_int64(part->select, 0) != part->next + part->batch_count)
            break;
        leat_local_record *held = leat_local_record_read(part->select, partition);
        if (!held) {
            code = SQLITE_NOMEM;
            break;
        }
        part->batch[part->batch_count++] = held;
        bytes += leat_local_record_size(&held->record);
    }
    sqlite3_reset(part->select);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void read_batch(leat_local_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    part->batch_at = 0;
    part->batch_count = 0;
    int code = prepare(reader, partition);
    if (code == SQLITE_OK)
        code = take_rows(part, partition);
    if (part->batch_count > 0)
        return;
    if (code == SQLITE_OK)
        on_hole(reader, partition);
    else
        fail(reader, code);
}

static bool may_read(const reader_part *part)
{
    return part->state == PART_READING && !part->paused;
}

/* Offers what was read. Callbacks may pause, seek or release: the state is looked at after each. */
static void offer_batch(leat_local_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    while (may_read(part) && part->batch_at < part->batch_count) {
        leat_local_record *held = part->batch[part->batch_at++]; /* before the call: it may seek,
                                                                    which drops the rest */
        leat_record record = held->record;
        uint32_t generation = part->generation;
        reader->handed++;
        bool taken = reader->events.record(reader->events.context, &record, held);
        bool same = part->generation == generation;
        if (taken) {
            if (same)
                part->next = record.offset + 1;
            continue;
        }
        reader->handed--;
        if (same) {
            part->batch_at--; /* kept, to be offered again after resume */
            part->paused = true;
        } else {
            free(held);
        }
    }
}

static bool has_more(const leat_local_reader *reader, uint32_t partition)
{
    const reader_part *part = &reader->parts[partition];
    return part->batch_at < part->batch_count ||
           part->next < atomic_load(&reader->log->parts[partition].next);
}

/* Returns whether there is more for the next turn. */
static bool read_partition(leat_local_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    if (part->state == PART_SOUGHT)
        judge(reader, partition);
    if (!may_read(part) || !has_more(reader, partition))
        return part->state == PART_SOUGHT;
    if (part->batch_at == part->batch_count)
        read_batch(reader, partition);
    offer_batch(reader, partition);
    return part->state == PART_SOUGHT || (may_read(part) && has_more(reader, partition));
}

/* ---- the loop ---- */

static void say_assigned(leat_local_reader *reader)
{
    for (uint32_t p = 0; p < reader->log->head.partition_count; p++) {
        if (reader->parts[p].state != PART_NEW)
            continue;
        reader->parts[p].state = PART_HELD;
        reader->events.assigned(reader->events.context, p);
    }
}

static void say_committed(leat_local_reader *reader)
{
    int64_t since_us = reader->committed_us;
    reader->committed_us = 0;
    if (since_us != 0)
        reader->events.committed(reader->events.context, since_us, true);
}

/* Returns whether reading is over for good; that is said once. */
static bool has_ended(leat_local_reader *reader)
{
    const char *reason = reader->has_failed ? NULL : leat_local_broken(reader->log);
    if (!reason)
        return reader->has_failed;
    reader->has_failed = true;
    for (uint32_t p = 0; p < reader->log->head.partition_count; p++)
        drop_batch(&reader->parts[p]);
    reader->events.failed(reader->events.context, reason);
    return true;
}

static void take_turn(leat_local_reader *reader)
{
    if (has_ended(reader))
        return;
    say_assigned(reader);
    say_committed(reader);
    uint32_t count = reader->log->head.partition_count;
    bool more = false;
    for (uint32_t i = 0; i < count; i++)
        more = read_partition(reader, (reader->turn + i) % count) || more;
    reader->turn = (reader->turn + 1) % count;
    if (more && !uv_is_active((uv_handle_t *)&reader->retry))
        uv_async_send(&reader->wake);
}

static void on_wake(uv_async_t *async)
{
    take_turn(async->data);
}

static void on_retry(uv_timer_t *timer)
{
    take_turn(timer->data);
}

static void retry_later(leat_local_reader *reader)
{
    uv_timer_start(&reader->retry, on_retry, RETRY_MS, 0);
}

/* ---- public: life ---- */

static int loop_attach(leat_local_reader *reader, uv_loop_t *loop, leat_error *error)
{
    int result = uv_async_init(loop, &reader->wake, on_wake);
    if (result != 0)
        return leat_fail(error, "uv_async_init: %s", uv_strerror(result));
    uv_timer_init(loop, &reader->retry);
    reader->open_handles = 2;
    reader->wake.data = reader;
    reader->retry.data = reader;
    reader->listener.wake = &reader->wake;
    leat_local_listen(reader->log, &reader->listener);
    uv_async_send(&reader->wake); /* to say what it has been given */
    return 0;
}

static void share_out(leat_local_reader *reader, const leat_log_config *config)
{
    uint32_t readers = config->reader_count > 0 ? config->reader_count : 1;
    for (uint32_t p = 0; p < reader->log->head.partition_count; p++) {
        bool is_mine = p % readers == config->reader;
        reader->parts[p] = (reader_part){.state = is_mine ? PART_NEW : PART_FOREIGN,
                                         .next = -1,
                                         .low = -1,
                                         .high = -1,
                                         .committed = -1};
    }
}

static leat_log_reader *create(uv_loop_t *loop, const leat_log_config *config,
                               const leat_log_identity *identity, const leat_reader_events *events,
                               leat_error *error)
{
    LEAT_ASSERT(config->local != NULL);
    leat_local_reader *reader = leat_must_calloc(1, sizeof *reader);
    reader->base.ops = &leat_local_reader_ops;
    reader->events = *events;
    reader->log = config->local;
    reader->other_log = strcmp(identity->topic_id, reader->log->head.identity) != 0;
    reader->parts = leat_must_calloc(reader->log->head.partition_count, sizeof *reader->parts);
    share_out(reader, config);
    if (leat_local_connect(reader->log->file, LEAT_LOCAL_READ, BUSY_MS, &reader->db, error) != 0 ||
        loop_attach(reader, loop, error) != 0) {
        sqlite3_close_v2(reader->db);
        free(reader->parts);
        free(reader);
        return NULL;
    }
    return &reader->base;
}

static void on_closed(uv_handle_t *handle)
{
    leat_local_reader *reader = handle->data;
    if (--reader->open_handles > 0)
        return;
    free(reader->parts);
    free(reader);
}

static void free_reader(leat_log_reader *base, int timeout_ms)
{
    (void)timeout_ms;
    leat_local_reader *reader = (leat_local_reader *)base;
    leat_local_unlisten(reader->log, &reader->listener);
    for (uint32_t p = 0; p < reader->log->head.partition_count; p++) {
        drop_batch(&reader->parts[p]);
        sqlite3_finalize(reader->parts[p].select);
    }
    LEAT_ASSERT(reader->handed == 0);
    sqlite3_close_v2(reader->db);
    uv_close((uv_handle_t *)&reader->wake, on_closed);
    uv_close((uv_handle_t *)&reader->retry, on_closed);
}

/* ---- public: reading ---- */

static bool is_mine(const reader_part *part)
{
    return part->state != PART_FOREIGN && part->state != PART_NEW;
}

static void seek(leat_log_reader *base, uint32_t partition, int64_t offset,
                 const leat_log_applied *applied)
{
    leat_local_reader *reader = (leat_local_reader *)base;
    reader_part *part = part_at(reader, partition);
    if (!is_mine(part))
        return;
    drop_batch(part);
    part->state = PART_SOUGHT;
    part->generation++;
    part->next = offset;
    part->low = applied->low;
    part->high = applied->high;
    part->high_ms = applied->high_ms;
    part->paused = false;
    uv_async_send(&reader->wake);
}

static void pause_reading(leat_log_reader *base, uint32_t partition)
{
    part_at((leat_local_reader *)base, partition)->paused = true;
}

static void resume_reading(leat_log_reader *base, uint32_t partition)
{
    leat_local_reader *reader = (leat_local_reader *)base;
    part_at(reader, partition)->paused = false;
    uv_async_send(&reader->wake);
}

static void release(leat_log_reader *base, void *log_handle)
{
    leat_local_reader *reader = (leat_local_reader *)base;
    LEAT_ASSERT(reader->handed > 0);
    reader->handed--;
    free(log_handle);
}

static int64_t end_of(const leat_log_reader *base, uint32_t partition)
{
    const leat_local_reader *reader = (const leat_local_reader *)base;
    LEAT_ASSERT(partition < reader->log->head.partition_count);
    return is_mine(&reader->parts[partition]) ? atomic_load(&reader->log->parts[partition].next)
                                              : -1;
}

/* ---- public: commits ---- */

/* Nobody can take a partition away, so whoever asks is a member. Records that are applied may go
 * when they are old; but what counts as applied in a range that is not judged, or judged broken,
 * may be another log's. */
static void commit_to(leat_local_reader *reader, uint32_t partition, int64_t offset)
{
    bool is_known = reader->parts[partition].state == PART_READING;
    if (is_known && offset > atomic_load(&reader->log->parts[partition].low))
        atomic_store(&reader->log->parts[partition].low, offset);
    reader->committed_us = leat_mono_us();
    uv_async_send(&reader->wake);
}

static void commit(leat_log_reader *base, uint32_t partition, int64_t offset)
{
    leat_local_reader *reader = (leat_local_reader *)base;
    reader_part *part = part_at(reader, partition);
    if (!is_mine(part))
        return;
    part->committed = offset;
    if (offset > part->low)
        part->low = offset;
    commit_to(reader, partition, offset);
}

static void confirm(leat_log_reader *base)
{
    leat_local_reader *reader = (leat_local_reader *)base;
    for (uint32_t p = 0; p < reader->log->head.partition_count; p++) {
        const reader_part *part = &reader->parts[p];
        if (is_mine(part))
            commit_to(reader, p, part->committed >= 0 ? part->committed : part->low);
    }
}

static void give_back(leat_log_reader *base, uint32_t partition)
{
    (void)base;
    (void)partition; /* nothing is ever wanted back */
}

static uint64_t commit_failures(const leat_log_reader *base)
{
    (void)base;
    return 0;
}

const leat_log_reader_ops leat_local_reader_ops = {
    .create = create,
    .seek = seek,
    .pause = pause_reading,
    .resume = resume_reading,
    .commit = commit,
    .confirm = confirm,
    .give_back = give_back,
    .end = end_of,
    .commit_failures = commit_failures,
    .headers = leat_local_headers,
    .release = release,
    .free = free_reader,
};
