/*
 * The state of a SQLite file: its version, its progress, the number of dead letters, the processes
 * that work on it and the one that keeps its lock. Progress is computed from the base and the rows
 * since the last compaction, as a claim computes it.
 */
#include "sink/shard_ops.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sink/sqlite/controls.h"
#include "sink/sqlite/db.h"
#include "sink/sqlite/lock.h"
#include "sink/sqlite/progress.h"
#include "sink/sqlite/workers.h"

enum { BUSY_MS = 5000 };

static int read_server(const char *file, leat_shard_server *ret, leat_error *error)
{
    leat_sqlite sqlite;
    *ret = (leat_shard_server){.fsync = true, .connections_max = INT32_MAX};
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    snprintf(ret->version, sizeof ret->version, "%s", sqlite3_libversion());
    ret->read_only = access(file, W_OK) != 0;
    leat_sqlite_close(&sqlite);
    return status;
}

/* ---- progress ---- */

static int64_t highest(sqlite3_stmt *row, int column, int64_t least)
{
    int64_t offsets[LEAT_SUBPARTITIONS_MAX];
    int count = leat_sqlite_read_offsets(row, column, offsets, LEAT_SUBPARTITIONS_MAX);
    for (int i = 0; i < count; i++)
        least = offsets[i] > least ? offsets[i] : least;
    return least;
}

/* Each partition comes once with its base and once for each of its rows of progress. */
static const char progress_sql[] =
    "SELECT p.partition, p.claims, p.low, p.base_offsets, coalesce(sum(c.records), 0),"
    "       coalesce(sum(length(c.chunk)), 0),"
    "       coalesce(sum(min(c.records, max(0, p.low - max(c.done, c.first_offset - 1)))), 0),"
    "       max(coalesce(min(c.oldest_ms), 0), 0)"
    "  FROM leat_partitions AS p JOIN leat_sources AS s ON s.id = p.source"
    "  LEFT JOIN leat_parked AS c ON c.source = p.source AND c.partition = p.partition"
    " WHERE s.topic = ?1 GROUP BY p.source, p.partition"
    " UNION ALL "
    "SELECT g.partition, 0, -1, g.offsets, 0, 0, 0, 0 FROM leat_progress AS g"
    "  JOIN leat_sources AS s ON s.id = g.source WHERE s.topic = ?1"
    " ORDER BY 1, 2 DESC, 3 DESC";

static void take_progress(sqlite3_stmt *row, leat_shard_partition **parts, uint32_t *count)
{
    enum { PARTITION, EPOCH, LOW, OFFSETS, PARKED, PARKED_BYTES, PARKED_BELOW, PARKED_OLDEST_MS };
    uint32_t partition = (uint32_t)sqlite3_column_int(row, PARTITION);
    int64_t low = sqlite3_column_int64(row, LOW);
    if (*count == 0 || (*parts)[*count - 1].partition != partition) {
        *parts = realloc(*parts, (*count + 1) * sizeof **parts);
        LEAT_ASSERT(*parts);
        (*parts)[(*count)++] =
            (leat_shard_partition){.partition = partition,
                                   .epoch = sqlite3_column_int64(row, EPOCH),
                                   .low = low,
                                   .applied = low,
                                   .parked = sqlite3_column_int64(row, PARKED),
                                   .parked_bytes = sqlite3_column_int64(row, PARKED_BYTES),
                                   .parked_below = sqlite3_column_int64(row, PARKED_BELOW),
                                   .parked_oldest_ms = sqlite3_column_int64(row, PARKED_OLDEST_MS)};
    }
    leat_shard_partition *part = &(*parts)[*count - 1];
    part->applied = highest(row, OFFSETS, part->applied);
}

static int query_progress(leat_sqlite *sqlite, const char *topic, leat_shard_partition **ret,
                          uint32_t *ret_count, leat_error *error)
{
    sqlite3_stmt *query = leat_sqlite_prepare(sqlite, progress_sql, error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, topic, -1, SQLITE_STATIC);
    int status;
    while ((status = leat_sqlite_step(sqlite, query, error)) == 1)
        take_progress(query, ret, ret_count);
    sqlite3_finalize(query);
    return status;
}

static int read_progress(const char *file, const char *topic, leat_shard_partition **ret,
                         uint32_t *ret_count, leat_error *error)
{
    leat_sqlite sqlite;
    *ret = NULL;
    *ret_count = 0;
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = query_progress(&sqlite, topic, ret, ret_count, error);
    leat_sqlite_close(&sqlite);
    if (status != 0) {
        free(*ret);
        *ret = NULL;
    }
    return status;
}

/* ---- work ---- */

static int count_dead_letters(leat_sqlite *sqlite, const char *topic, int64_t *ret,
                              leat_error *error)
{
    LEAT_ASSERT(sqlite->db);
    sqlite3_stmt *query =
        leat_sqlite_prepare(sqlite,
                            "SELECT count(*) FROM leat_dead_letters AS d"
                            "  JOIN leat_sources AS s ON s.id = d.source WHERE s.topic = ?",
                            error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, topic, -1, SQLITE_STATIC);
    int status = leat_sqlite_step(sqlite, query, error);
    LEAT_ASSERT(status != 0); /* a count is always there */
    if (status == 1)
        *ret = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return status == 1 ? 0 : -1;
}

static const char held_sql[] =
    "SELECT count(*), coalesce(min(h.since_ms), 0), coalesce((SELECT CASE WHEN a.message = '' THEN '' ELSE coalesce(a.sqlstate, 'by leat') || ': ' || a.message END"
    "         FROM leat_held AS a WHERE a.source = s.id ORDER BY a.since_ms, a.hash LIMIT 1), ''),"
    "       (SELECT count(*) FROM leat_parked_keys AS k WHERE k.source = s.id),"
    "       (SELECT coalesce(sum(length(k.record)), 0) FROM leat_parked_keys AS k WHERE k.source = s.id)"
    "  FROM leat_sources AS s JOIN leat_held AS h ON h.source = s.id WHERE s.topic = ? GROUP BY s.id";

static int sum_held(leat_sqlite *sqlite, const char *topic, leat_shard_held *ret, leat_error *error)
{
    enum { KEYS, SINCE_MS, REASON, RECORDS, BYTES };
    sqlite3_stmt *query = leat_sqlite_prepare(sqlite, held_sql, error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, topic, -1, SQLITE_STATIC);
    int status = leat_sqlite_step(sqlite, query, error);
    if (status == 1) {
        const char *reason = (const char *)sqlite3_column_text(query, REASON);
        ret->keys = sqlite3_column_int64(query, KEYS);
        ret->records = sqlite3_column_int64(query, RECORDS);
        ret->bytes = sqlite3_column_int64(query, BYTES);
        ret->since_ms = leat_wall_ms() - sqlite3_column_int64(query, SINCE_MS);
        snprintf(ret->reason, sizeof ret->reason, "%s", reason ? reason : "");
    }
    sqlite3_finalize(query);
    return status < 0 ? -1 : 0;
}

static int read_controls(leat_sqlite *sqlite, const char *topic, leat_shard_work *ret,
                         leat_error *error)
{
    sqlite3_stmt *query =
        leat_sqlite_prepare(sqlite, "SELECT id FROM leat_sources WHERE topic = ?", error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, topic, -1, SQLITE_STATIC);
    int status = leat_sqlite_step(sqlite, query, error);
    int32_t source_id = status == 1 ? sqlite3_column_int(query, 0) : 0;
    sqlite3_finalize(query);
    if (status == 1)
        ret->controls = leat_sqlite_read_controls(sqlite, source_id, error);
    return status < 0 || (status == 1 && !ret->controls) ? -1 : 0;
}

static int read_work(const char *file, const char *topic, leat_shard_work *ret, leat_error *error)
{
    leat_sqlite sqlite;
    *ret = (leat_shard_work){0};
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = count_dead_letters(&sqlite, topic, &ret->dead_letters, error);
    if (status == 0)
        status = sum_held(&sqlite, topic, &ret->held, error);
    if (status == 0)
        status = read_controls(&sqlite, topic, ret, error);
    if (status == 0)
        status = leat_sqlite_read_workers(&sqlite, topic, ret, error);
    char path[PATH_MAX] = "";
    if (status == 0)
        snprintf(path, sizeof path, "%s", sqlite3_db_filename(sqlite.db, "main"));
    leat_sqlite_close(&sqlite);
    if (status == 0)
        leat_sqlite_find_lock(path, ret);
    return status;
}

const leat_shard_inspect_ops leat_sqlite_inspect = {
    .read_server = read_server, .read_progress = read_progress, .read_work = read_work};
