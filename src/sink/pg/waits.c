/*
 * waits.c - which of leat's sessions wait, and for which others. Sessions are found by
 * application_name, which PgBouncer passes on, so a wait is found behind a pooler too. When leat
 * waits for another client's lock no SQLSTATE is ever reported, so only this query shows the cause.
 */
#include "sink/pg/workers.h"

#include <stdio.h>

#include "sink/pg/blocking.h"

enum { ASK_US = 2000000 };

/* A session that waits for a row waits for the transaction that has it; the lock on the row's place
 * shows the table. A holder that is one of leat's and waits itself is not to blame, so others come
 * first. A holder whose own commit waits for a standby is shown as such, because that is the fault
 * to repair. A process id counts only with this role: behind a pooler it may be anybody's. */
static const char waits_sql[] =
    "SELECT a.wait_event = 'SyncRep', a.pid, w.ms, coalesce(w.relation, ''), coalesce(b.pid, 0), coalesce(b.application_name, ''),"
    "       coalesce(b.usename, ''), "
    "       CASE WHEN b.wait_event = 'SyncRep' THEN 'waiting for a synchronous standby' ELSE coalesce(b.state, '') END,"
    "       coalesce(to_char(b.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''),"
    "       coalesce(to_char(b.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '')"
    "  FROM pg_catalog.pg_stat_activity AS a"
    "  LEFT JOIN LATERAL (SELECT l.waitstart, l.relation FROM pg_catalog.pg_locks AS l"
    "                      WHERE l.pid = a.pid AND NOT l.granted LIMIT 1) AS l ON true"
    " CROSS JOIN LATERAL (SELECT (extract(epoch FROM clock_timestamp() - coalesce(l.waitstart, a.query_start)) * 1000)::bigint"
    "                                AS ms,"
    "                            coalesce(l.relation, (SELECT t.relation FROM pg_catalog.pg_locks AS t"
    "                                                   WHERE t.pid = a.pid AND t.locktype = 'tuple' LIMIT 1)"
    "                                    )::regclass::text AS relation) AS w"
    "  LEFT JOIN LATERAL (SELECT s.* FROM pg_catalog.pg_stat_activity AS s"
    "                      WHERE a.wait_event_type = 'Lock' AND s.pid = ANY (pg_catalog.pg_blocking_pids(a.pid))"
    "                      ORDER BY coalesce(s.wait_event_type = 'Lock', false), s.xact_start LIMIT 1) AS b ON true"
    " WHERE a.datname = current_database() AND (a.application_name = $1 OR starts_with(a.application_name, $1 || ' ')"
    "                                           OR (a.pid = $2::int AND a.usename = current_user))"
    "   AND (a.wait_event_type = 'Lock' OR a.wait_event = 'SyncRep') AND w.ms >= $3::int"
    " ORDER BY coalesce(starts_with(b.application_name, $1), false), w.ms DESC LIMIT 1000";

/* Columns of pg_stat_replication that a role may not see are NULL there. */
static const char standbys_sql[] =
    "SELECT 'synchronous_standby_names is \"' || current_setting('synchronous_standby_names') || '\"; connected standbys: '"
    "       || coalesce((SELECT string_agg(r.application_name || coalesce(' (' || r.state || ', ' || r.sync_state || ')', ''), ', ')"
    "                      FROM pg_catalog.pg_stat_replication AS r), 'none')";

static void take_wait(const PGresult *result, int row, leat_shard_wait *ret)
{
    LEAT_ASSERT(row < PQntuples(result));
    enum { IS_COMMIT, PID, MS, RELATION, HOLDER, APPLICATION, USER, STATE, SINCE, QUERY };
    *ret = (leat_shard_wait){.count = 1,
                             .is_commit = leat_pg_boolean(result, row, IS_COMMIT),
                             .pid = leat_pg_integer(result, row, PID),
                             .waited_ms = leat_pg_integer(result, row, MS),
                             .holder_pid = leat_pg_integer(result, row, HOLDER)};
    leat_pg_text(ret->relation, sizeof ret->relation, result, row, RELATION);
    leat_pg_text(ret->holder_application, sizeof ret->holder_application, result, row, APPLICATION);
    leat_pg_text(ret->holder_user, sizeof ret->holder_user, result, row, USER);
    leat_pg_text(ret->holder_state, sizeof ret->holder_state, result, row, STATE);
    leat_pg_text(ret->holder_since, sizeof ret->holder_since, result, row, SINCE);
    leat_pg_text(ret->holder_query, sizeof ret->holder_query, result, row, QUERY);
}

/* Two locks with unknown holders are never treated as the same. */
static void add_wait(leat_shard_waits *waits, const leat_shard_wait *wait)
{
    LEAT_ASSERT(waits->count <= LEAT_SHARD_WAITS_MAX);
    for (uint32_t i = 0; i < waits->count; i++) {
        leat_shard_wait *known = &waits->waits[i];
        bool same = known->is_commit == wait->is_commit && known->holder_pid == wait->holder_pid;
        if (same && (wait->is_commit || wait->holder_pid != 0)) {
            known->count++;
            return;
        }
    }
    if (waits->count < LEAT_SHARD_WAITS_MAX)
        waits->waits[waits->count++] = *wait;
}

static int name_standbys(leat_pg *pg, leat_shard_waits *waits, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, standbys_sql, 0, NULL, error);
    if (!result)
        return -1;
    for (uint32_t i = 0; i < waits->count; i++)
        if (waits->waits[i].is_commit)
            leat_pg_text(waits->waits[i].standbys, sizeof waits->waits[i].standbys, result, 0, 0);
    PQclear(result);
    return 0;
}

/* Of sessions by name or of one by its process id; the other is NULL. */
static int read_waits(leat_pg *pg, const char *name, const char *pid, const char *least_ms,
                      leat_shard_waits *ret, leat_error *error)
{
    LEAT_ASSERT(!name != !pid);
    const char *const values[] = {name, pid, least_ms};
    ret->count = 0;
    PGresult *result = leat_pg_query(pg, waits_sql, 3, values, error);
    if (!result)
        return -1;
    bool any_commit = false;
    for (int row = 0; row < PQntuples(result); row++) {
        leat_shard_wait wait;
        take_wait(result, row, &wait);
        add_wait(ret, &wait);
        any_commit = any_commit || wait.is_commit;
    }
    PQclear(result);
    return any_commit ? name_standbys(pg, ret, error) : 0;
}

int leat_pg_read_waits(leat_pg *pg, const char *name, leat_shard_waits *ret, leat_error *error)
{
    return read_waits(pg, name, NULL, "1000", ret, error);
}

/* ---- one session that is not answered ---- */

static const char works_sql[] =
    "SELECT CASE WHEN a.wait_event IS NULL THEN 'it works' ELSE format('it waits for %s (%s)', a.wait_event, a.wait_event_type) END"
    "  FROM pg_catalog.pg_stat_activity AS a"
    " WHERE a.pid = $1::int AND a.datname = current_database() AND a.usename = current_user";

static bool read_reason(leat_pg *pg, const char *pid, char *ret, size_t size)
{
    leat_shard_waits waits;
    char words[LEAT_WAIT_TEXT_SIZE];
    if (read_waits(pg, NULL, pid, "0", &waits, NULL) != 0)
        return false;
    if (waits.count > 0) {
        snprintf(ret, size, "%s", leat_shard_describe_wait(&waits.waits[0], words));
        return true;
    }
    PGresult *result = leat_pg_query(pg, works_sql, 1, &pid, NULL);
    bool found = result && PQntuples(result) == 1;
    if (found)
        snprintf(ret, size, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return found;
}

bool leat_pg_reason(const char *dsn, int backend, char *ret, size_t size)
{
    leat_pg pg;
    char pid[16];
    bool found = false;
    snprintf(pid, sizeof pid, "%d", backend);
    if (leat_pg_open_any(&pg, dsn, NULL) == 0) {
        pg.deadline_us = leat_mono_us() + ASK_US;
        found = read_reason(&pg, pid, ret, size);
    }
    leat_pg_close(&pg);
    return found;
}
