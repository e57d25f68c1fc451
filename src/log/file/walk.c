/*
 * walk.c - a range of the log's file read again, beside the process that has it: some records at a
 * time, each time in a transaction of their own, so that the write-ahead log is never held up. A
 * record that is missing where one must be was deleted meanwhile, because it was applied and old.
 */
#include <stdlib.h>

#include "log/file/file_log.h"

enum { BUSY_MS = 5000, BATCH_RECORDS = 500, BATCH_BYTES = 4 * 1024 * 1024 };

typedef struct local_walk {
    leat_log_walk base;
    sqlite3 *db;
    uint32_t partition_count;
    uint32_t partition; /* that is read; those before it are */
    leat_log_span *spans;
    sqlite3_stmt *select; /* of that partition; NULL: not prepared yet */
    leat_local_record *batch[BATCH_RECORDS];
    uint32_t count;
    uint32_t at; /* of the batch, the next one to give */
} local_walk;

static void drop_batch(local_walk *walk)
{
    for (uint32_t i = 0; i < walk->count; i++)
        free(walk->batch[i]);
    walk->count = walk->at = 0;
}

static int prepare(local_walk *walk, leat_error *error)
{
    if (!walk->select)
        walk->select = leat_local_prepare(
            walk->db, error,
            "SELECT " LEAT_LOCAL_COLUMNS
            " FROM leat_records_%u WHERE offset >= ? AND offset < ? ORDER BY offset LIMIT %d",
            walk->partition, BATCH_RECORDS);
    return walk->select ? 0 : -1;
}

/* Returns SQLite's code: of the last step, or that memory is out. */
static int fill(local_walk *walk, const leat_log_span *span)
{
    size_t bytes = 0;
    int code = SQLITE_ROW;
    sqlite3_bind_int64(walk->select, 1, span->from);
    sqlite3_bind_int64(walk->select, 2, span->to);
    while (walk->count < BATCH_RECORDS && bytes < BATCH_BYTES &&
           (code = sqlite3_step(walk->select)) == SQLITE_ROW) {
        leat_local_record *record = leat_local_record_read(walk->select, walk->partition);
        if (!record) {
            code = SQLITE_NOMEM;
            break;
        }
        bytes += leat_local_record_size(&record->record);
        walk->batch[walk->count++] = record;
    }
    sqlite3_reset(walk->select);
    return code;
}

/* The next records of the partition; there must be some. 3: they are gone. */
static int read_batch(local_walk *walk, leat_error *error)
{
    LEAT_ASSERT(walk->at == walk->count);
    const leat_log_span *span = &walk->spans[walk->partition];
    drop_batch(walk);
    if (prepare(walk, error) != 0)
        return -1;
    int code = fill(walk, span);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return leat_local_fail(walk->db, error, "it cannot be read");
    if (walk->count > 0 && walk->batch[0]->record.offset == span->from)
        return 0;
    leat_fail(error, "partition %u: the records from offset %lld on are no longer in the log",
              walk->partition, (long long)span->from);
    return 3;
}

static void end_partition(local_walk *walk)
{
    drop_batch(walk);
    sqlite3_finalize(walk->select);
    walk->select = NULL;
    walk->partition++;
}

static int next(leat_log_walk *base, int timeout_ms, leat_record *ret, leat_error *error)
{
    (void)timeout_ms; /* the file is here */
    local_walk *walk = (local_walk *)base;
    while (walk->partition < walk->partition_count &&
           walk->spans[walk->partition].from >= walk->spans[walk->partition].to)
        end_partition(walk);
    if (walk->partition == walk->partition_count)
        return 0;
    int status = walk->at == walk->count ? read_batch(walk, error) : 0;
    if (status != 0) {
        *ret = (leat_record){.partition = walk->partition,
                             .offset = walk->spans[walk->partition].from};
        return status;
    }
    *ret = walk->batch[walk->at++]->record;
    walk->spans[walk->partition].from = ret->offset + 1;
    return 1;
}

static void free_walk(leat_log_walk *base)
{
    local_walk *walk = (local_walk *)base;
    drop_batch(walk);
    sqlite3_finalize(walk->select);
    sqlite3_close_v2(walk->db);
    free(walk->spans);
    free(walk);
}

/* Only the process that has the log upgrades it. */
static int check_version(const local_walk *walk, leat_error *error)
{
    leat_local_head head;
    const char *file = sqlite3_db_filename(walk->db, NULL);
    int result = leat_local_head_read(walk->db, &head, error);
    if (result == 1)
        return leat_fail(error, "log.local.path: there is no log in %s", file);
    if (result == 0 && head.version < LEAT_LOCAL_VERSION)
        return leat_fail(error,
                         "log.local.path: the log in %s is of version %lld: start this version of "
                         "leat on it first",
                         file, (long long)head.version);
    return result;
}

static leat_log_walk *create(const leat_log_config *config, uint32_t partition_count,
                             const leat_log_span *spans, leat_error *error)
{
    LEAT_ASSERT(config->file);
    local_walk *walk = leat_must_calloc(1, sizeof *walk);
    walk->base.ops = &leat_local_walk_ops;
    walk->partition_count = partition_count;
    walk->spans = leat_must_calloc(partition_count, sizeof *walk->spans);
    for (uint32_t p = 0; p < partition_count; p++)
        walk->spans[p] = spans[p];
    if (leat_local_connect(config->file, LEAT_LOCAL_READ, BUSY_MS, &walk->db, error) == 0 &&
        check_version(walk, error) == 0)
        return &walk->base;
    free_walk(&walk->base);
    return NULL;
}

const leat_log_walk_ops leat_local_walk_ops = {.create = create, .next = next, .free = free_walk};
