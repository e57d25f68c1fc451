/*
 * reader.c - the reader: a connection of its own that reads in the loop's turn, a bounded batch of
 * each partition at a time. A transaction is open only while a batch is taken, so that it never
 * holds up the write-ahead log. The committing thread wakes it; leat_local_part shows which
 * partitions have new records, so one without any costs nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/file/reader.h"

#include "base/states.h"

enum {
    BATCH_BYTES = 1024 * 1024,
    BUSY_MS = 100,
    RETRY_MS = 100,
};

/* ---- partitions ---- */

/* Which states may follow which. Nothing takes a partition away from a reader of this process. */
static const unsigned may_follow[] = {
    [LEAT_LOCAL_PART_FOREIGN] = 0,
    [LEAT_LOCAL_PART_NEW] = LEAT_TO(LEAT_LOCAL_PART_HELD),
    [LEAT_LOCAL_PART_HELD] = LEAT_TO(LEAT_LOCAL_PART_SOUGHT),
    [LEAT_LOCAL_PART_SOUGHT] = LEAT_TO(LEAT_LOCAL_PART_SOUGHT) | LEAT_TO(LEAT_LOCAL_PART_READING) |
                               LEAT_TO(LEAT_LOCAL_PART_BROKEN),
    [LEAT_LOCAL_PART_READING] = LEAT_TO(LEAT_LOCAL_PART_SOUGHT) | LEAT_TO(LEAT_LOCAL_PART_BROKEN),
    [LEAT_LOCAL_PART_BROKEN] = LEAT_TO(LEAT_LOCAL_PART_SOUGHT),
};

void leat_local_part_enter(leat_local_reader_part *part, leat_local_part_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, part->state, state));
    part->state = state;
}

static leat_local_reader_part *part_at(leat_local_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(partition < reader->log->head.partition_count);
    return &reader->parts[partition];
}

static void drop_batch(leat_local_reader_part *part)
{
    LEAT_ASSERT(part->batch_at <= part->batch_count &&
                part->batch_count <= LEAT_LOCAL_BATCH_RECORDS);
    while (part->batch_at < part->batch_count)
        free(part->batch[part->batch_at++]);
    part->batch_at = 0;
    part->batch_count = 0;
}

void leat_local_break_part(leat_local_reader *reader, uint32_t partition, const char *reason)
{
    LEAT_ASSERT(reason);
    leat_local_reader_part *part = &reader->parts[partition];
    leat_local_part_enter(part, LEAT_LOCAL_PART_BROKEN);
    part->generation++;
    drop_batch(part);
    reader->events.broken(reader->events.context, partition, reason);
}

/* ---- reading ---- */

static void retry_later(leat_local_reader *reader);

void leat_local_reader_fail(leat_local_reader *reader, int code)
{
    LEAT_ASSERT(code != SQLITE_OK);
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
             partition, LEAT_LOCAL_BATCH_RECORDS);
    return sqlite3_prepare_v3(reader->db, sql, -1, SQLITE_PREPARE_PERSISTENT, select, NULL);
}

/* Takes the records that follow `next` without a hole. Returns SQLite's code. */
static int take_rows(leat_local_reader_part *part, uint32_t partition)
{
    LEAT_ASSERT(part->batch_count == 0 && part->next >= 0);
    size_t bytes = 0;
    int code = SQLITE_DONE;
    sqlite3_bind_int64(part->select, 1, part->next);
    while (part->batch_count < LEAT_LOCAL_BATCH_RECORDS && bytes < BATCH_BYTES &&
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
    LEAT_ASSERT(reader->parts[partition].batch_at == reader->parts[partition].batch_count);
    leat_local_reader_part *part = &reader->parts[partition];
    part->batch_at = 0;
    part->batch_count = 0;
    int code = prepare(reader, partition);
    if (code == SQLITE_OK)
        code = take_rows(part, partition);
    if (part->batch_count > 0)
        return;
    if (code == SQLITE_OK)
        leat_local_on_hole(reader, partition);
    else
        leat_local_reader_fail(reader, code);
}

static bool may_read(const leat_local_reader_part *part)
{
    return part->state == LEAT_LOCAL_PART_READING && !part->paused;
}

/* Offers the records that were read. Callbacks may pause, seek or release: the state is checked
 * after each. */
static void offer_batch(leat_local_reader *reader, uint32_t partition)
{
    leat_local_reader_part *part = &reader->parts[partition];
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
        LEAT_ASSERT(reader->handed > 0);
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
    const leat_local_reader_part *part = &reader->parts[partition];
    return part->batch_at < part->batch_count ||
           part->next < atomic_load(&reader->log->parts[partition].next);
}

/* Returns whether there is more for the next turn. */
static bool read_partition(leat_local_reader *reader, uint32_t partition)
{
    leat_local_reader_part *part = &reader->parts[partition];
    if (part->state == LEAT_LOCAL_PART_SOUGHT)
        leat_local_check_range(reader, partition);
    if (!may_read(part) || !has_more(reader, partition))
        return part->state == LEAT_LOCAL_PART_SOUGHT;
    if (part->batch_at == part->batch_count)
        read_batch(reader, partition);
    offer_batch(reader, partition);
    return part->state == LEAT_LOCAL_PART_SOUGHT || (may_read(part) && has_more(reader, partition));
}

/* ---- the loop ---- */

static void report_assigned(leat_local_reader *reader)
{
    for (uint32_t p = 0; p < reader->log->head.partition_count; p++) {
        if (reader->parts[p].state != LEAT_LOCAL_PART_NEW)
            continue;
        leat_local_part_enter(&reader->parts[p], LEAT_LOCAL_PART_HELD);
        reader->events.assigned(reader->events.context, p);
    }
}

static void report_committed(leat_local_reader *reader)
{
    int64_t since_us = reader->committed_us;
    reader->committed_us = 0;
    if (since_us != 0)
        reader->events.committed(reader->events.context, since_us, true);
}

/* Returns whether reading is over for good; that is reported once. */
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
    LEAT_ASSERT(reader->turn < reader->log->head.partition_count);
    if (has_ended(reader))
        return;
    report_assigned(reader);
    report_committed(reader);
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

static int attach_to_loop(leat_local_reader *reader, uv_loop_t *loop, leat_error *error)
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
    uv_async_send(&reader->wake); /* reports the partitions that it has */
    return 0;
}

static void share_out(leat_local_reader *reader, const leat_log_config *config)
{
    uint32_t readers = config->reader_count > 0 ? config->reader_count : 1;
    for (uint32_t p = 0; p < reader->log->head.partition_count; p++) {
        bool is_mine = p % readers == config->reader;
        reader->parts[p] = (leat_local_reader_part){.state = is_mine ? LEAT_LOCAL_PART_NEW
                                                                     : LEAT_LOCAL_PART_FOREIGN,
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
        attach_to_loop(reader, loop, error) != 0) {
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
    LEAT_ASSERT(reader->open_handles > 0);
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

static bool is_mine(const leat_local_reader_part *part)
{
    return part->state != LEAT_LOCAL_PART_FOREIGN && part->state != LEAT_LOCAL_PART_NEW;
}

static void seek(leat_log_reader *base, uint32_t partition, int64_t offset,
                 const leat_log_applied *applied)
{
    LEAT_ASSERT(offset >= -1);
    leat_local_reader *reader = (leat_local_reader *)base;
    leat_local_reader_part *part = part_at(reader, partition);
    if (!is_mine(part))
        return;
    drop_batch(part);
    leat_local_part_enter(part, LEAT_LOCAL_PART_SOUGHT);
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

/* Nobody can take a partition away, so the caller is always a member. Applied records may be
 * deleted when they are old; but in a range that is not checked yet, or is broken, the applied
 * offsets may be another log's. */
static void commit_to(leat_local_reader *reader, uint32_t partition, int64_t offset)
{
    bool is_known = reader->parts[partition].state == LEAT_LOCAL_PART_READING;
    if (is_known && offset > atomic_load(&reader->log->parts[partition].low))
        atomic_store(&reader->log->parts[partition].low, offset);
    reader->committed_us = leat_mono_us();
    uv_async_send(&reader->wake);
}

static void commit(leat_log_reader *base, uint32_t partition, int64_t offset)
{
    LEAT_ASSERT(offset >= -1);
    leat_local_reader *reader = (leat_local_reader *)base;
    leat_local_reader_part *part = part_at(reader, partition);
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
        const leat_local_reader_part *part = &reader->parts[p];
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
