/*
 * Controls in a SQLite file. It is on this machine, so its times are of the same wall clock as the
 * process's; what counts for a worker is all the same the time that is left when it reads.
 */
#include "sink/sqlite/controls.h"

#include <inttypes.h>
#include <stdio.h>

#include "sink/shard_ops.h"

enum { BUSY_MS = 5000 };

#define TIME_SQL(column) "strftime('%Y-%m-%dT%H:%M:%fZ', " column " / 1000.0, 'unixepoch')"

static const char controls_sql[] =
    "SELECT id, \"table\", what, until_ms, " TIME_SQL("until_ms") ", " TIME_SQL(
        "since_ms") ", keep,"
                    " reason, action = 'hold' FROM leat_controls WHERE source = ?1 AND until_ms > ?2 ORDER BY id LIMIT ?3";

static const char *text_at(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? text : "";
}

static void take_control(sqlite3_stmt *row, int64_t wall_ms, leat_control_set *set)
{
    enum { ID, TABLE, WHAT, UNTIL_MS, UNTIL, SINCE, KEEP, REASON, HOLDS };
    const char *table = text_at(row, TABLE);
    leat_control control = {.id = sqlite3_column_int64(row, ID),
                            .table = *table ? table : NULL,
                            .what = text_at(row, WHAT),
                            .until_us = leat_mono_us() +
                                        (sqlite3_column_int64(row, UNTIL_MS) - wall_ms) * 1000,
                            .keep = (uint32_t)sqlite3_column_int(row, KEEP),
                            .holds = sqlite3_column_int(row, HOLDS) != 0,
                            .reason = text_at(row, REASON)};
    snprintf(control.until, sizeof control.until, "%s", text_at(row, UNTIL));
    snprintf(control.since, sizeof control.since, "%s", text_at(row, SINCE));
    int added = leat_control_set_add(set, &control);
    LEAT_ASSERT(added == 0);
}

/* Makes a control of a row; `wall_ms`: when it was asked for. */
typedef void (*take_row)(sqlite3_stmt *row, int64_t wall_ms, leat_control_set *set);

/* The query's parameters: the source, the time (`age_ms` ago), the most rows. */
static leat_control_set *ask(leat_sqlite *sqlite, const char *sql, int32_t source_id,
                             int64_t age_ms, take_row take, leat_error *error)
{
    int64_t wall_ms = leat_wall_ms();
    sqlite3_stmt *query = leat_sqlite_prepare(sqlite, sql, error);
    if (!query)
        return NULL;
    leat_control_set *set = leat_control_set_new();
    sqlite3_bind_int(query, 1, source_id);
    sqlite3_bind_int64(query, 2, wall_ms - age_ms);
    sqlite3_bind_int(query, 3, LEAT_CONTROLS_MAX);
    int status;
    while ((status = leat_sqlite_step(sqlite, query, error)) == 1)
        take(query, wall_ms, set);
    sqlite3_finalize(query);
    if (status == 0)
        return set;
    leat_control_set_drop(set);
    return NULL;
}

leat_control_set *leat_sqlite_read_controls(leat_sqlite *sqlite, int32_t source_id,
                                            leat_error *error)
{
    return ask(sqlite, controls_sql, source_id, 0, take_control, error);
}

/* ---- for `leat control` and edges ---- */

static int read_set(const char *file, const char *sql, int32_t source_id, int64_t age_ms,
                    take_row take, leat_control_set **ret, leat_error *error)
{
    leat_sqlite sqlite;
    *ret = NULL;
    if (leat_sqlite_open(&sqlite, file, BUSY_MS, error) == 0)
        *ret = ask(&sqlite, sql, source_id, age_ms, take, error);
    leat_sqlite_close(&sqlite);
    return *ret ? 0 : -1;
}

static int read_controls(const char *file, int32_t source_id, leat_control_set **ret,
                         leat_error *error)
{
    return read_set(file, controls_sql, source_id, 0, take_control, ret, error);
}

static const char ended_sql[] =
    "SELECT e.\"table\", e.what, max(e.until_ms)"
    "  FROM (SELECT \"table\", what, until_ms FROM leat_ended_controls WHERE source = ?1"
    "        UNION ALL SELECT \"table\", what, until_ms FROM leat_controls"
    "         WHERE source = ?1 AND action = 'skip' AND until_ms <= ?2) AS e"
    " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ?3";

/* Its times are the shard's. */
static void take_ended(sqlite3_stmt *row, int64_t wall_ms, leat_control_set *set)
{
    (void)wall_ms;
    const char *table = text_at(row, 0);
    leat_control ended = {.table = *table ? table : NULL,
                          .what = text_at(row, 1),
                          .until_us = sqlite3_column_int64(row, 2) * 1000,
                          .reason = ""};
    int added = leat_control_set_add(set, &ended);
    LEAT_ASSERT(added == 0);
}

static int read_ended(const char *file, int32_t source_id, leat_control_set **ret,
                      leat_error *error)
{
    return read_set(file, ended_sql, source_id, 0, take_ended, ret, error);
}

static const char floods_sql[] =
    "SELECT f.value ->> 'tenant', max(f.value ->> 'wait_s'), max(w.at), min(f.value ->> 'kind')"
    "  FROM leat_workers AS w, json_each(w.said, '$.facts') AS f"
    " WHERE w.source = ?1 AND w.at > ?2 AND f.value ->> 'kind' IN"
    "  ('" LEAT_FLOOD_KIND "', '" LEAT_LATE_KIND "')"
    "   AND f.value ->> 'tenant' IS NOT NULL GROUP BY 1 LIMIT ?3";

static void take_flood(sqlite3_stmt *row, int64_t wall_ms, leat_control_set *set)
{
    int64_t left_ms = sqlite3_column_int64(row, 2) + LEAT_REPORT_STALE_MS - wall_ms;
    leat_control flood = {.what = text_at(row, 0),
                          .keep = (uint32_t)sqlite3_column_int(row, 1),
                          .until_us = leat_mono_us() + left_ms * 1000,
                          .reason = text_at(row, 3)};
    snprintf(flood.until, sizeof flood.until, "%" PRId64, flood.until_us);
    int added = leat_control_set_add(set, &flood);
    LEAT_ASSERT(added == 0);
}

static int read_floods(const char *file, int32_t source_id, leat_control_set **ret,
                       leat_error *error)
{
    return read_set(file, floods_sql, source_id, LEAT_REPORT_STALE_MS, take_flood, ret, error);
}

static int remove_ended(leat_sqlite *sqlite, int32_t source_id, leat_error *error)
{
    sqlite3_stmt *remove = leat_sqlite_prepare(
        sqlite, "DELETE FROM leat_controls WHERE source = ? AND until_ms <= ?", error);
    if (!remove)
        return -1;
    sqlite3_bind_int(remove, 1, source_id);
    sqlite3_bind_int64(remove, 2, leat_wall_ms());
    int status = leat_sqlite_step(sqlite, remove, error);
    sqlite3_finalize(remove);
    return status;
}

static const char put_sql[] =
    "INSERT INTO leat_controls AS c (source, \"table\", what, keep, since_ms, until_ms, reason, action)"
    " SELECT ?1, ?2, ?3, ?4, ?5, ?5 + ?6, ?7, ?9"
    "  WHERE (SELECT count(*) FROM leat_controls WHERE source = ?1) < ?8"
    " ON CONFLICT (source, \"table\", what) DO UPDATE SET keep = excluded.keep,"
    " until_ms = excluded.until_ms, reason = excluded.reason WHERE c.action = excluded.action"
    " RETURNING id, since_ms <> ?5, " TIME_SQL("until_ms");

/* Why nothing was stored. One with the other action is left as it is. */
static int take_other(leat_sqlite *sqlite, int32_t source_id, const leat_control_wish *wish,
                      leat_control_put *ret, leat_error *error)
{
    sqlite3_stmt *query = leat_sqlite_prepare(
        sqlite,
        "SELECT id, " TIME_SQL(
            "until_ms") " FROM leat_controls"
                        "  WHERE source = ? AND \"table\" = ? AND what = ? AND action <> ?",
        error);
    if (!query)
        return -1;
    sqlite3_bind_int(query, 1, source_id);
    sqlite3_bind_text(query, 2, wish->table ? wish->table : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(query, 3, wish->what, -1, SQLITE_STATIC);
    sqlite3_bind_text(query, 4, wish->holds ? "hold" : "skip", -1, SQLITE_STATIC);
    int status = leat_sqlite_step(sqlite, query, error);
    ret->is_other = status == 1;
    if (ret->is_other) {
        ret->id = sqlite3_column_int64(query, 0);
        snprintf(ret->until, sizeof ret->until, "%s", text_at(query, 1));
    }
    sqlite3_finalize(query);
    return status == 0 ? leat_fail(error, "%s: there are %d controls already", sqlite->file,
                                   LEAT_CONTROLS_MAX)
                       : status - 1;
}

/* In a transaction that has the write lock. */
static int put(leat_sqlite *sqlite, int32_t source_id, const leat_control_wish *wish,
               leat_control_put *ret, leat_error *error)
{
    if (remove_ended(sqlite, source_id, error) != 0)
        return -1;
    sqlite3_stmt *insert = leat_sqlite_prepare(sqlite, put_sql, error);
    if (!insert)
        return -1;
    sqlite3_bind_int(insert, 1, source_id);
    sqlite3_bind_text(insert, 2, wish->table ? wish->table : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, wish->what, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 4, wish->keep);
    sqlite3_bind_int64(insert, 5, leat_wall_ms());
    sqlite3_bind_int64(insert, 6, wish->for_ms);
    sqlite3_bind_text(insert, 7, wish->reason, -1, SQLITE_STATIC);
    sqlite3_bind_int(insert, 8, LEAT_CONTROLS_MAX);
    sqlite3_bind_text(insert, 9, wish->holds ? "hold" : "skip", -1, SQLITE_STATIC);
    int status = leat_sqlite_step(sqlite, insert, error);
    *ret = (leat_control_put){0};
    if (status == 1) {
        ret->id = sqlite3_column_int64(insert, 0);
        ret->was_there = sqlite3_column_int(insert, 1) != 0;
        snprintf(ret->until, sizeof ret->until, "%s", text_at(insert, 2));
    }
    sqlite3_finalize(insert);
    return status == 0 ? take_other(sqlite, source_id, wish, ret, error) : status - 1;
}

static int put_control(const char *file, int32_t source_id, const leat_control_wish *wish,
                       leat_control_put *ret, leat_error *error)
{
    leat_sqlite sqlite;
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = leat_sqlite_run(&sqlite, "BEGIN IMMEDIATE", error);
    if (status == 0)
        status = put(&sqlite, source_id, wish, ret, error);
    if (status == 0)
        status = leat_sqlite_run(&sqlite, "COMMIT", error);
    leat_sqlite_close(&sqlite);
    return status;
}

static int remove_control(const char *file, int32_t source_id, const char *table, const char *what,
                          bool *ret_was_there, leat_error *error)
{
    leat_sqlite sqlite;
    *ret_was_there = false;
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    sqlite3_stmt *remove = NULL;
    if (status == 0)
        remove = leat_sqlite_prepare(&sqlite,
                                     "DELETE FROM leat_controls WHERE source = ? AND \"table\" = ?"
                                     " AND what = ? RETURNING until_ms > ?",
                                     error);
    if (remove) {
        sqlite3_bind_int(remove, 1, source_id);
        sqlite3_bind_text(remove, 2, table ? table : "", -1, SQLITE_STATIC);
        sqlite3_bind_text(remove, 3, what, -1, SQLITE_STATIC);
        sqlite3_bind_int64(remove, 4, leat_wall_ms());
        while ((status = leat_sqlite_step(&sqlite, remove, error)) == 1)
            *ret_was_there = sqlite3_column_int(remove, 0) != 0;
    }
    sqlite3_finalize(remove);
    leat_sqlite_close(&sqlite);
    return remove ? status : -1;
}

const leat_shard_controls_ops leat_sqlite_controls = {.read = read_controls,
                                                      .read_ended = read_ended,
                                                      .read_floods = read_floods,
                                                      .put = put_control,
                                                      .remove = remove_control};
