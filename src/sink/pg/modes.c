/*
 * modes.c - changes of leat.modes. A version of a row is also an advisory lock: each write that
 * goes to the database by it has the lock in shared mode until its transaction ends
 * (leat.write_now). So whoever gets the lock of the version before alone knows that its writes are
 * over, and no write of the new version was in the way.
 */
#include "sink/modes.h"

#include <inttypes.h>
#include <stdio.h>

#include "sink/pg/modes.h"

#define ROW_SQL                                                                                    \
    " m.route, m.version, m.before, m.async, m.async_before, m.shadow, "                           \
    "to_char(m.since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

enum { ROUTE, VERSION, BEFORE, ASYNC, ASYNC_BEFORE, SHADOW, SINCE, UNDER_WAY };

static void take_row(const PGresult *result, int at, leat_mode_row *ret)
{
    *ret = (leat_mode_row){
        .setting = {.version = (uint32_t)leat_pg_integer(result, at, VERSION),
                    .async = (uint32_t)leat_pg_integer(result, at, ASYNC),
                    .async_before = (uint32_t)leat_pg_integer(result, at, ASYNC_BEFORE),
                    .shadow = (uint32_t)leat_pg_integer(result, at, SHADOW)},
        .before = (uint32_t)leat_pg_integer(result, at, BEFORE)};
    leat_pg_text(ret->route, sizeof ret->route, result, at, ROUTE);
    leat_pg_text(ret->since, sizeof ret->since, result, at, SINCE);
}

int leat_pg_read_modes(leat_pg *pg, const char *source_id, leat_mode_rows *ret, leat_error *error)
{
    PGresult *result =
        leat_pg_query(pg,
                      "SELECT" ROW_SQL
                      " FROM leat.modes AS m WHERE m.source = $1::int4 ORDER BY m.route LIMIT 64",
                      1, &source_id, error);
    _Static_assert(LEAT_ROUTES_MAX == 64, "as many as it reads");
    if (!result)
        return -1;
    ret->count = (uint32_t)PQntuples(result);
    for (uint32_t i = 0; i < ret->count; i++)
        take_row(result, (int)i, &ret->rows[i]);
    PQclear(result);
    return 0;
}

static void write_id(int64_t id, char ret[24])
{
    snprintf(ret, 24, "%" PRId64, id);
}

int leat_shard_read_modes(leat_shard_address at, int32_t source_id, leat_mode_rows *ret,
                          leat_error *error)
{
    leat_pg pg;
    char id[24];
    write_id(source_id, id);
    ret->count = 0;
    LEAT_ASSERT(at.dsn);
    int status = leat_pg_open(&pg, at.dsn, error);
    if (status == 0)
        status = leat_pg_read_modes(&pg, id, ret, error);
    leat_pg_close(&pg);
    return status;
}

/* ---- changes ---- */

/* One row, which is the row as it is then; `begin_mode` says whether it is the wanted one. */
static const char begin_sql[] = "SELECT" ROW_SQL ", NOT m.is_wanted"
                                " FROM leat.begin_mode($1::int4, $2, $3::int4, $4::int4) AS m";

static int begin(leat_pg *pg, const char *const *values, leat_mode_row *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, begin_sql, 4, values, error);
    if (!result)
        return -1;
    take_row(result, 0, ret);
    bool is_other = leat_pg_boolean(result, 0, UNDER_WAY);
    PQclear(result);
    if (is_other)
        return 1;
    return leat_pg_commit(pg, error);
}

int leat_shard_begin_mode(leat_shard_address at, int32_t source_id, const char *route,
                          uint32_t async, uint32_t shadow, leat_mode_row *ret, leat_error *error)
{
    leat_pg pg;
    char id[24], async_text[24], shadow_text[24];
    write_id(source_id, id);
    write_id(async, async_text);
    write_id(shadow, shadow_text);
    const char *const values[] = {id, route, async_text, shadow_text};
    LEAT_ASSERT(at.dsn && async <= LEAT_MODE_POINTS && shadow <= LEAT_MODE_POINTS);
    int status = leat_pg_open_to_change(&pg, at.dsn, error);
    if (status == 0)
        status = begin(&pg, values, ret, error);
    leat_pg_close(&pg);
    return status;
}

/* Runs one call in a transaction of its own; its one value goes to `ret`, which may be NULL. */
static int call(leat_shard_address at, const char *sql, int count, const char *const *values,
                int64_t *ret, leat_error *error)
{
    leat_pg pg;
    LEAT_ASSERT(at.dsn);
    int status = leat_pg_open_to_change(&pg, at.dsn, error);
    if (status == 0) {
        PGresult *result = leat_pg_query(&pg, sql, count, values, error);
        if (result && ret)
            *ret = leat_pg_integer(result, 0, 0);
        status = result ? leat_pg_commit(&pg, error) : -1;
        PQclear(result);
    }
    leat_pg_close(&pg);
    return status;
}

int leat_shard_await_writes(leat_shard_address at, int32_t source_id, const leat_mode_row *row,
                            leat_error *error)
{
    char id[24], before[24];
    write_id(source_id, id);
    write_id(row->before, before);
    const char *const values[] = {id, before};
    return row->before == 0 ? 0
                            : call(at,
                                   "SELECT pg_catalog.pg_advisory_xact_lock(1818583412 # $1::int4,"
                                   " -1 - $2::int4)",
                                   2, values, NULL, error);
}

int leat_shard_count_held(leat_shard_address at, int32_t source_id, const char *table, int64_t *ret,
                          leat_error *error)
{
    char id[24];
    write_id(source_id, id);
    const char *const values[] = {id, table};
    return call(at, "SELECT count(*) FROM leat.held WHERE source = $1::int4 AND \"table\" = $2", 2,
                values, ret, error);
}

static int settle(leat_pg *pg, int32_t source_id, const leat_mode_row *row, leat_error *error)
{
    static const char sql[] =
        "UPDATE leat.modes SET async_before = async WHERE source = $1::int4 AND route = $2"
        " AND version = $3::int4 AND async = $4::int4 RETURNING 1";
    char id[24], version[24], async[24];
    write_id(source_id, id);
    write_id(row->setting.version, version);
    write_id(row->setting.async, async);
    const char *const values[] = {id, row->route, version, async};
    PGresult *result = leat_pg_query(pg, sql, 4, values, error);
    if (!result)
        return -1;
    bool is_ours = PQntuples(result) > 0;
    PQclear(result);
    if (!is_ours)
        return leat_fail(error, "somebody else has changed the mode of route %s meanwhile",
                         row->route);
    return leat_pg_commit(pg, error);
}

int leat_shard_settle_mode(leat_shard_address at, int32_t source_id, const leat_mode_row *row,
                           int (*look)(void *context, leat_error *error), void *context,
                           leat_error *error)
{
    leat_pg pg;
    LEAT_ASSERT(at.dsn);
    int status = leat_pg_open_to_change(&pg, at.dsn, error);
    if (status == 0 && look)
        status = look(context, error);
    leat_pg_extend(&pg); /* it may have taken long */
    if (status == 0)
        status = settle(&pg, source_id, row, error);
    leat_pg_close(&pg);
    return status;
}
