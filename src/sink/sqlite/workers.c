/*
 * leat_workers of a SQLite file: the reports that processes write about themselves, and how they
 * are read from outside. Reports use a connection of their own with synchronous=NORMAL: losing one
 * in a power cut costs nothing, and each would otherwise cost a sync of the disk.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sink/kept.h"
#include "sink/shard_ops.h"
#include "sink/sqlite/controls.h"
#include "sink/sqlite/db.h"
#include "sink/sqlite/workers.h"
#include "sink/sqlite/writes.h"

enum { BUSY_MS = 2000, SWEEP_EVERY_MS = 60000 };

/* ---- reading the table ---- */

static void take_worker(sqlite3_stmt *row, leat_shard_worker *ret)
{
    enum { HOST, PID, AT, CLOCK, SAID };
    int64_t heard_ms = leat_wall_ms() - sqlite3_column_int64(row, AT);
    *ret = (leat_shard_worker){
        .pid = sqlite3_column_int64(row, PID),
        .heard_ms = heard_ms > 0 ? heard_ms : 0,
        .clock_ms = sqlite3_column_int64(row, CLOCK),
        .report = leat_must_strdup((const char *)sqlite3_column_text(row, SAID))};
    snprintf(ret->host, sizeof ret->host, "%s", (const char *)sqlite3_column_text(row, HOST));
}

int leat_sqlite_read_workers(leat_sqlite *sqlite, const char *topic, leat_shard_work *ret,
                             leat_error *error)
{
    enum { WORKERS_MAX = 100 };
    sqlite3_stmt *query =
        leat_sqlite_prepare(sqlite,
                            "SELECT w.host, w.pid, w.at, w.clock_ms, w.said FROM leat_workers AS w"
                            "  JOIN leat_sources AS s ON s.id = w.source WHERE s.topic = ?"
                            " ORDER BY w.at DESC LIMIT 100",
                            error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, topic, -1, SQLITE_STATIC);
    ret->workers = leat_must_calloc(WORKERS_MAX, sizeof *ret->workers);
    int status;
    while ((status = leat_sqlite_step(sqlite, query, error)) == 1)
        take_worker(query, &ret->workers[ret->worker_count++]);
    LEAT_ASSERT(ret->worker_count <= WORKERS_MAX);
    sqlite3_finalize(query);
    return status;
}

/* ---- reporting ---- */

typedef struct sqlite_reporter {
    leat_shard_reporter base;
    char *file;
    int32_t source_id;
    leat_sqlite sqlite; /* open while it has a db */
    int64_t swept_ms;
} sqlite_reporter;

static void close_file(sqlite_reporter *reporter)
{
    leat_sqlite_close(&reporter->sqlite);
    reporter->sqlite.db = NULL;
}

/* In a write-ahead log a commit without a sync does no harm to others' commits: theirs sync it
 * too. */
static int open_file(sqlite_reporter *reporter, leat_error *error)
{
    if (reporter->sqlite.db)
        return 0;
    if (leat_sqlite_open(&reporter->sqlite, reporter->file, BUSY_MS, error) == 0 &&
        leat_sqlite_run(&reporter->sqlite, "PRAGMA synchronous = NORMAL", error) == 0)
        return 0;
    close_file(reporter);
    return -1;
}

/* Runs the only step of the statement. */
static int run(sqlite_reporter *reporter, sqlite3_stmt *statement, leat_error *error)
{
    LEAT_ASSERT(reporter->sqlite.db);
    int status = leat_sqlite_step(&reporter->sqlite, statement, error);
    sqlite3_finalize(statement);
    if (status != 0)
        close_file(reporter);
    return status;
}

static int sweep(sqlite_reporter *reporter, leat_error *error)
{
    int64_t now_ms = leat_wall_ms();
    if (now_ms - reporter->swept_ms < SWEEP_EVERY_MS)
        return 0;
    reporter->swept_ms = now_ms;
    sqlite3_stmt *statement =
        leat_sqlite_prepare(&reporter->sqlite, "DELETE FROM leat_workers WHERE at < ?", error);
    if (!statement)
        return -1;
    sqlite3_bind_int64(statement, 1, now_ms - LEAT_REPORT_KEPT_MS);
    return run(reporter, statement, error);
}

static int send(leat_shard_reporter *base, const leat_shard_report *report, leat_error *error)
{
    LEAT_ASSERT(report->instance && report->host && report->json);
    sqlite_reporter *reporter = (sqlite_reporter *)base;
    if (open_file(reporter, error) != 0 || sweep(reporter, error) != 0)
        return -1;
    sqlite3_stmt *insert = leat_sqlite_prepare(
        &reporter->sqlite,
        "INSERT INTO leat_workers (source, instance, host, pid, started_ms, at, clock_ms, said)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (source, instance)"
        " DO UPDATE SET at = excluded.at, clock_ms = excluded.clock_ms, said = excluded.said",
        error);
    if (!insert)
        return -1;
    sqlite3_bind_int(insert, 1, reporter->source_id);
    sqlite3_bind_text(insert, 2, report->instance, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, report->host, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 4, report->pid);
    sqlite3_bind_int64(insert, 5, report->started_ms);
    sqlite3_bind_int64(insert, 6, leat_wall_ms());
    sqlite3_bind_int64(insert, 7, report->clock_ms);
    sqlite3_bind_text(insert, 8, report->json, -1, SQLITE_STATIC);
    return run(reporter, insert, error);
}

static int remove_report(leat_shard_reporter *base, const char *instance, leat_error *error)
{
    sqlite_reporter *reporter = (sqlite_reporter *)base;
    if (open_file(reporter, error) != 0)
        return -1;
    sqlite3_stmt *statement = leat_sqlite_prepare(
        &reporter->sqlite,
        "DELETE FROM leat_workers WHERE source = ?1 AND (instance = ?2 OR at < ?3)", error);
    if (!statement)
        return -1;
    sqlite3_bind_int(statement, 1, reporter->source_id);
    sqlite3_bind_text(statement, 2, instance, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, leat_wall_ms() - LEAT_REPORT_STALE_MS);
    return run(reporter, statement, error);
}

static int read_controls(leat_shard_reporter *base, leat_control_set **ret, leat_error *error)
{
    sqlite_reporter *reporter = (sqlite_reporter *)base;
    if (open_file(reporter, error) != 0)
        return -1;
    *ret = leat_sqlite_read_controls(&reporter->sqlite, reporter->source_id, error);
    return *ret ? 0 : -1;
}

static int note_key(leat_shard_reporter *base, const leat_shard_key_note *note, leat_error *error)
{
    sqlite_reporter *reporter = (sqlite_reporter *)base;
    if (open_file(reporter, error) != 0)
        return -1;
    sqlite3_stmt *update = leat_sqlite_prepare(
        &reporter->sqlite,
        "UPDATE leat_held SET at_ms = ?5, tries = tries + 1, sqlstate = nullif(?6, ''), message = ?7"
        " WHERE source = ?1 AND partition = ?2 AND hash = ?3"
        "   AND ?4 = (SELECT min(\"offset\") FROM leat_parked_keys WHERE source = ?1 AND partition = ?2 AND hash = ?3)",
        error);
    if (!update)
        return -1;
    sqlite3_bind_int(update, 1, reporter->source_id);
    sqlite3_bind_int64(update, 2, note->partition);
    sqlite3_bind_int64(update, 3, note->hash);
    sqlite3_bind_int64(update, 4, note->offset);
    sqlite3_bind_int64(update, 5, leat_wall_ms());
    sqlite3_bind_text(update, 6, note->sqlstate, -1, SQLITE_STATIC);
    leat_sqlite_bind_message(update, 7, note->message);
    return run(reporter, update, error);
}

static int count_held(leat_shard_reporter *base, const leat_placement *placement,
                      uint32_t partition_count, leat_shard_held_count *ret, leat_error *error)
{
    sqlite_reporter *reporter = (sqlite_reporter *)base;
    leat_kept_tally tally;
    if (open_file(reporter, error) != 0)
        return -1;
    sqlite3_stmt *query = leat_sqlite_prepare(
        &reporter->sqlite,
        "SELECT h.partition, h.key, count(k.\"offset\"), coalesce(sum(length(k.record)), 0)"
        "  FROM leat_held AS h LEFT JOIN leat_parked_keys AS k USING (source, partition, hash)"
        " WHERE h.source = ?1 GROUP BY h.partition, h.hash ORDER BY h.partition",
        error);
    if (!query)
        return -1;
    sqlite3_bind_int(query, 1, reporter->source_id);
    leat_kept_tally_begin(&tally, placement, partition_count, ret);
    int status;
    while ((status = leat_sqlite_step(&reporter->sqlite, query, error)) == 1) {
        leat_slice key = {sqlite3_column_blob(query, 1), (size_t)sqlite3_column_bytes(query, 1)};
        leat_kept_tally_add(&tally, sqlite3_column_int64(query, 0), key,
                            (uint64_t)sqlite3_column_int64(query, 2),
                            (uint64_t)sqlite3_column_int64(query, 3));
    }
    sqlite3_finalize(query);
    if (status != 0)
        close_file(reporter);
    return status;
}

/* Every commit waits for the disk. */
static int read_writes(leat_shard_reporter *base, bool durably,
                       const leat_write_question *questions, uint32_t count, leat_write_answer *ret,
                       leat_error *error)
{
    (void)durably;
    sqlite_reporter *reporter = (sqlite_reporter *)base;
    if (open_file(reporter, error) != 0)
        return -1;
    if (leat_sqlite_read_writes(&reporter->sqlite, reporter->source_id, questions, count, ret,
                                error) == 0)
        return 0;
    close_file(reporter);
    return -1;
}

static void rest(leat_shard_reporter *base)
{
    close_file((sqlite_reporter *)base);
}

static void free_reporter(leat_shard_reporter *base)
{
    sqlite_reporter *reporter = (sqlite_reporter *)base;
    close_file(reporter);
    free(reporter->file);
    free(reporter);
}

static leat_shard_reporter *open_reporter(const char *file, int32_t source_id)
{
    LEAT_ASSERT(source_id > 0);
    sqlite_reporter *reporter = leat_must_calloc(1, sizeof *reporter);
    reporter->base.ops = &leat_sqlite_reporter;
    reporter->file = leat_must_strdup(file);
    reporter->source_id = source_id;
    return &reporter->base;
}

const leat_shard_reporter_ops leat_sqlite_reporter = {.open = open_reporter,
                                                      .send = send,
                                                      .remove = remove_report,
                                                      .read_controls = read_controls,
                                                      .read_writes = read_writes,
                                                      .note_key = note_key,
                                                      .count_held = count_held,
                                                      .rest = rest,
                                                      .free = free_reporter};
