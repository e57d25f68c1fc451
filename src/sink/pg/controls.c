/*
 * controls.c - leat.controls: read by workers in the transaction of each claim, and again and again
 * by reporters; changed by `leat control`. An end travels as the time that is left by the
 * database's clock, which all workers share.
 */
#include "sink/pg/controls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/shard_ops.h"

#define TIME_SQL(column)                                                                           \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

_Static_assert(LEAT_CONTROLS_MAX == 1000, "as many as a query reads");
#define LIMIT_SQL " LIMIT " LEAT_STRINGIZE(1000)

const char leat_pg_controls_sql[] =
    "SELECT c.id::text, c.\"table\", c.what,"
    " (greatest(0, extract(epoch FROM c.until - clock_timestamp())) * 1000)::bigint::text,"
    " " TIME_SQL("c.until") ", " TIME_SQL(
        "c.since") ", c.keep::text, c.reason, c.action"
                   " FROM leat.controls AS c WHERE c.source = $1::int4 AND c.until > clock_timestamp()"
                   " ORDER BY c.id" LIMIT_SQL;

enum { ID, TABLE, WHAT, LEFT_MS, UNTIL, SINCE, KEEP, REASON, ACTION, COLUMNS };

leat_control_set *leat_pg_controls_take(const PGresult *answer, int64_t read_us)
{
    LEAT_ASSERT(PQnfields(answer) == COLUMNS);
    leat_control_set *set = leat_control_set_new();
    for (int row = 0; row < PQntuples(answer); row++) {
        leat_control control = {
            .id = strtoll(PQgetvalue(answer, row, ID), NULL, 10),
            .table = PQgetisnull(answer, row, TABLE) ? NULL : PQgetvalue(answer, row, TABLE),
            .what = PQgetvalue(answer, row, WHAT),
            .until_us = read_us + strtoll(PQgetvalue(answer, row, LEFT_MS), NULL, 10) * 1000,
            .keep = (uint32_t)strtoul(PQgetvalue(answer, row, KEEP), NULL, 10),
            .holds = strcmp(PQgetvalue(answer, row, ACTION), "hold") == 0,
            .reason = PQgetvalue(answer, row, REASON)};
        leat_pg_text(control.until, sizeof control.until, answer, row, UNTIL);
        leat_pg_text(control.since, sizeof control.since, answer, row, SINCE);
        int added = leat_control_set_add(set, &control);
        LEAT_ASSERT(added == 0);
    }
    return set;
}

leat_control_set *leat_pg_controls_read(leat_pg *pg, const char *source_id, leat_error *error)
{
    int64_t read_us = leat_mono_us();
    PGresult *result = leat_pg_query(pg, leat_pg_controls_sql, 1, &source_id, error);
    leat_control_set *set = result ? leat_pg_controls_take(result, read_us) : NULL;
    PQclear(result);
    return set;
}

/* ---- for `leat control` and edges ---- */

/* Makes a set of an answer; `read_us`: when it was asked for. */
typedef leat_control_set *(*take_set)(const PGresult *answer, int64_t read_us);

static int read_set(const char *dsn, const char *sql, int count, const char *const *values,
                    take_set take, leat_control_set **ret, leat_error *error)
{
    leat_pg pg;
    *ret = NULL;
    if (leat_pg_open(&pg, dsn, error) == 0) {
        int64_t read_us = leat_mono_us();
        PGresult *result = leat_pg_query(&pg, sql, count, values, error);
        *ret = result ? take(result, read_us) : NULL;
        PQclear(result);
    }
    leat_pg_close(&pg);
    return *ret ? 0 : -1;
}

static int read_controls(const char *dsn, int32_t source_id, leat_control_set **ret,
                         leat_error *error)
{
    char id[16];
    snprintf(id, sizeof id, "%" PRId32, source_id);
    const char *const values[] = {id};
    return read_set(dsn, leat_pg_controls_sql, 1, values, leat_pg_controls_take, ret, error);
}

static const char ended_sql[] =
    "SELECT e.\"table\", e.what, (extract(epoch FROM max(e.until)) * 1000000)::bigint"
    "  FROM (SELECT \"table\", what, until FROM leat.ended_controls WHERE source = $1::int4"
    "        UNION ALL SELECT \"table\", what, until FROM leat.controls"
    "         WHERE source = $1::int4 AND action = 'skip' AND until <= clock_timestamp()) AS e"
    " GROUP BY 1, 2 ORDER BY 3 DESC" LIMIT_SQL;

/* Its times are the shard's. */
static leat_control_set *take_ended(const PGresult *answer, int64_t read_us)
{
    (void)read_us;
    leat_control_set *set = leat_control_set_new();
    for (int row = 0; row < PQntuples(answer); row++) {
        leat_control ended = {.table = PQgetisnull(answer, row, 0) ? NULL
                                                                   : PQgetvalue(answer, row, 0),
                              .what = PQgetvalue(answer, row, 1),
                              .until_us = leat_pg_integer(answer, row, 2),
                              .reason = ""};
        int added = leat_control_set_add(set, &ended);
        LEAT_ASSERT(added == 0);
    }
    return set;
}

static int read_ended(const char *dsn, int32_t source_id, leat_control_set **ret, leat_error *error)
{
    char id[16];
    snprintf(id, sizeof id, "%" PRId32, source_id);
    const char *const values[] = {id};
    return read_set(dsn, ended_sql, 1, values, take_ended, ret, error);
}

static const char floods_sql[] =
    "SELECT f ->> 'tenant', max((f ->> 'wait_s')::int),"
    "       (extract(epoch FROM max(w.at) - clock_timestamp()) * 1000)::bigint + $2::bigint,"
    "       min(f ->> 'kind' COLLATE \"C\")"
    "  FROM leat.workers AS w, json_array_elements(w.said -> 'facts') AS f"
    " WHERE w.source = $1::int4 AND w.at > clock_timestamp() - $2::bigint * interval '1 millisecond'"
    "   AND f ->> 'kind' IN ('" LEAT_FLOOD_KIND "', '" LEAT_LATE_KIND "')"
    "   AND f ->> 'tenant' IS NOT NULL GROUP BY 1" LIMIT_SQL;

static leat_control_set *take_floods(const PGresult *answer, int64_t read_us)
{
    leat_control_set *set = leat_control_set_new();
    for (int row = 0; row < PQntuples(answer); row++) {
        leat_control flood = {.what = PQgetvalue(answer, row, 0),
                              .keep = (uint32_t)strtoul(PQgetvalue(answer, row, 1), NULL, 10),
                              .until_us = read_us + leat_pg_integer(answer, row, 2) * 1000,
                              .reason = PQgetvalue(answer, row, 3)};
        snprintf(flood.until, sizeof flood.until, "%" PRId64, flood.until_us);
        int added = leat_control_set_add(set, &flood);
        LEAT_ASSERT(added == 0);
    }
    return set;
}

static int read_floods(const char *dsn, int32_t source_id, leat_control_set **ret,
                       leat_error *error)
{
    char id[16], stale[16];
    snprintf(id, sizeof id, "%" PRId32, source_id);
    snprintf(stale, sizeof stale, "%d", LEAT_REPORT_STALE_MS);
    const char *const values[] = {id, stale};
    return read_set(dsn, floods_sql, 2, values, take_floods, ret, error);
}

/* Why nothing was stored. One with the other action is left as it is. */
static int take_other(leat_pg *pg, const char *const *values, leat_control_put *ret,
                      leat_error *error)
{
    const char *const which[] = {values[0], values[1], values[2], values[7]};
    PGresult *result = leat_pg_query(
        pg,
        "SELECT id, " TIME_SQL(
            "until") " FROM leat.controls WHERE source = $1::int4"
                     "   AND \"table\" IS NOT DISTINCT FROM $2 AND what = $3 AND action <> $4",
        4, which, error);
    if (!result)
        return -1;
    int status = 0;
    ret->is_other = PQntuples(result) == 1;
    if (ret->is_other) {
        ret->id = leat_pg_integer(result, 0, 0);
        leat_pg_text(ret->until, sizeof ret->until, result, 0, 1);
    } else {
        status =
            leat_fail(error, "%s: there are %d controls already", pg->where, LEAT_CONTROLS_MAX);
    }
    PQclear(result);
    return status;
}

/* One transaction: those that have ended make room first. */
static int put(leat_pg *pg, const char *const *values, leat_control_put *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(
        pg, "DELETE FROM leat.controls WHERE source = $1::int4 AND until <= clock_timestamp()", 1,
        values, error);
    PQclear(result);
    if (!result)
        return -1;
    result = leat_pg_query(
        pg,
        "INSERT INTO leat.controls AS c (source, \"table\", what, keep, until, reason, action)"
        " SELECT $1::int4, $2, $3, $4::int4, clock_timestamp() + $5::bigint * interval"
        " '1 millisecond', $6, $8"
        "  WHERE (SELECT count(*) FROM leat.controls WHERE source = $1::int4) < $7::int4"
        " ON CONFLICT ON CONSTRAINT controls_once DO UPDATE SET keep = excluded.keep,"
        " until = excluded.until, reason = excluded.reason WHERE c.action = excluded.action"
        " RETURNING c.id, (c.xmax <> 0), " TIME_SQL("c.until"),
        8, values, error);
    if (!result)
        return -1;
    *ret = (leat_control_put){0};
    bool is_stored = PQntuples(result) == 1;
    if (is_stored) {
        ret->id = leat_pg_integer(result, 0, 0);
        ret->was_there = leat_pg_boolean(result, 0, 1);
        leat_pg_text(ret->until, sizeof ret->until, result, 0, 2);
    }
    PQclear(result);
    return is_stored ? 0 : take_other(pg, values, ret, error);
}

static int put_control(const char *dsn, int32_t source_id, const leat_control_wish *wish,
                       leat_control_put *ret, leat_error *error)
{
    leat_pg pg;
    char id[16], keep[16], for_ms[24], most[16];
    snprintf(id, sizeof id, "%" PRId32, source_id);
    snprintf(keep, sizeof keep, "%" PRIu32, wish->keep);
    snprintf(for_ms, sizeof for_ms, "%" PRId64, wish->for_ms);
    snprintf(most, sizeof most, "%d", LEAT_CONTROLS_MAX);
    const char *const values[] = {id,     wish->table,  wish->what, keep,
                                  for_ms, wish->reason, most,       wish->holds ? "hold" : "skip"};
    int status = leat_pg_open_to_change(&pg, dsn, error);
    if (status == 0)
        status = put(&pg, values, ret, error);
    if (status == 0)
        status = leat_pg_commit(&pg, error);
    leat_pg_close(&pg);
    return status;
}

static int remove_control(const char *dsn, int32_t source_id, const char *table, const char *what,
                          bool *ret_was_there, leat_error *error)
{
    leat_pg pg;
    char id[16];
    snprintf(id, sizeof id, "%" PRId32, source_id);
    const char *const values[] = {id, table, what};
    int status = leat_pg_open_to_change(&pg, dsn, error);
    if (status == 0) {
        PGresult *result = leat_pg_query(
            &pg,
            "DELETE FROM leat.controls WHERE source = $1::int4 AND \"table\" IS NOT DISTINCT FROM $2"
            "   AND what = $3 RETURNING until > clock_timestamp()",
            3, values, error);
        *ret_was_there = result && PQntuples(result) > 0 && leat_pg_boolean(result, 0, 0);
        status = result ? leat_pg_commit(&pg, error) : -1;
        PQclear(result);
    }
    leat_pg_close(&pg);
    return status;
}

const leat_shard_controls_ops leat_pg_controls = {.read = read_controls,
                                                  .read_ended = read_ended,
                                                  .read_floods = read_floods,
                                                  .put = put_control,
                                                  .remove = remove_control};
