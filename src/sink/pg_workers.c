/*
 * leat.workers, and which sessions of leat's wait for whom: what a process says of itself, and what is read of it from
 * outside. The name of a session is its application_name, which PgBouncer passes on, so a wait is found behind a pooler too.
 */
#include "sink/pg_workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/pg_blocking.h"
#include "sink/postgres.h"
#include "sink/teller_ops.h"

/* ---- waits ---- */

/* Who waits for a row waits for the transaction that has it; which table that is, the lock on the row's place says. A
 * session of leat's that waits itself is not the one to blame, so others come first. */
static const char waits_sql[] =
    "SELECT a.wait_event = 'SyncRep', a.pid, w.ms, coalesce(w.relation, ''), coalesce(b.pid, 0), coalesce(b.application_name, ''),"
    "       coalesce(b.usename, ''), coalesce(b.state, ''),"
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
    " WHERE a.datname = current_database() AND (a.application_name = $1 OR starts_with(a.application_name, $1 || ' '))"
    "   AND (a.wait_event_type = 'Lock' OR a.wait_event = 'SyncRep') AND w.ms >= 1000"
    " ORDER BY coalesce(starts_with(b.application_name, $1), false), w.ms DESC LIMIT 1000";

/* What a role may not see of pg_stat_replication is NULL there. */
static const char standbys_sql[] =
    "SELECT 'synchronous_standby_names is \"' || current_setting('synchronous_standby_names') || '\"; connected standbys: '"
    "       || coalesce((SELECT string_agg(r.application_name || coalesce(' (' || r.state || ', ' || r.sync_state || ')', ''), ', ')"
    "                      FROM pg_catalog.pg_stat_replication AS r), 'none')";

static void copy(char *ret, size_t size, const PGresult *result, int row, int column)
{
    snprintf(ret, size, "%s", PQgetvalue(result, row, column));
}

static void take_wait(const PGresult *result, int row, leat_shard_wait *ret)
{
    enum { IS_COMMIT, PID, MS, RELATION, HOLDER, APPLICATION, USER, STATE, SINCE, QUERY };
    *ret = (leat_shard_wait){.count = 1,
                             .is_commit = leat_pg_boolean(result, row, IS_COMMIT),
                             .pid = leat_pg_integer(result, row, PID),
                             .waited_ms = leat_pg_integer(result, row, MS),
                             .holder_pid = leat_pg_integer(result, row, HOLDER)};
    copy(ret->relation, sizeof ret->relation, result, row, RELATION);
    copy(ret->holder_application, sizeof ret->holder_application, result, row, APPLICATION);
    copy(ret->holder_user, sizeof ret->holder_user, result, row, USER);
    copy(ret->holder_state, sizeof ret->holder_state, result, row, STATE);
    copy(ret->holder_since, sizeof ret->holder_since, result, row, SINCE);
    copy(ret->holder_query, sizeof ret->holder_query, result, row, QUERY);
}

/* A lock that nobody is known to have is not taken for that of another such one. */
static void add_wait(leat_shard_waits *waits, const leat_shard_wait *wait)
{
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
            copy(waits->waits[i].standbys, sizeof waits->waits[i].standbys, result, 0, 0);
    PQclear(result);
    return 0;
}

int leat_pg_read_waits(leat_pg *pg, const char *name, leat_shard_waits *ret, leat_error *error)
{
    ret->count = 0;
    PGresult *result = leat_pg_query(pg, waits_sql, 1, &name, error);
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

/* ---- reading the table ---- */

static const char workers_sql[] =
    "SELECT w.instance, w.host, w.pid, greatest(0, extract(epoch FROM clock_timestamp() - w.at) * 1000)::bigint, w.clock_ms, w.said"
    "  FROM leat.workers AS w JOIN leat.sources AS s ON s.id = w.source WHERE s.topic = $1 ORDER BY w.at DESC LIMIT 100";

int leat_pg_read_workers(leat_pg *pg, const char *topic, leat_shard_work *ret, leat_error *error)
{
    enum { INSTANCE, HOST, PID, HEARD, CLOCK, SAID };
    PGresult *result = leat_pg_query(pg, workers_sql, 1, &topic, error);
    if (!result)
        return -1;
    ret->worker_count = (uint32_t)PQntuples(result);
    ret->workers = leat_must_calloc(ret->worker_count + 1, sizeof *ret->workers);
    for (int row = 0; row < (int)ret->worker_count; row++) {
        leat_shard_worker *worker = &ret->workers[row];
        copy(worker->instance, sizeof worker->instance, result, row, INSTANCE);
        copy(worker->host, sizeof worker->host, result, row, HOST);
        worker->pid = leat_pg_integer(result, row, PID);
        worker->heard_ms = leat_pg_integer(result, row, HEARD);
        worker->clock_ms = leat_pg_integer(result, row, CLOCK);
        worker->said = leat_must_strdup(PQgetvalue(result, row, SAID));
    }
    PQclear(result);
    return 0;
}

/* ---- telling ---- */

typedef struct pg_teller {
    leat_shard_teller base;
    char *dsn;
    char source_id[16];
    bool is_open;
    leat_pg pg;
} pg_teller;

static void hang_up(pg_teller *teller)
{
    if (teller->is_open)
        leat_pg_close(&teller->pg);
    teller->is_open = false;
}

/* Begins a transaction, on the connection there is or on a new one: the old one may have ended while nobody looked. */
static int begin(pg_teller *teller, leat_error *error)
{
    if (teller->is_open && leat_pg_report_again(&teller->pg, error) == 0)
        return 0;
    hang_up(teller);
    teller->is_open = true;
    if (leat_pg_open_to_report(&teller->pg, teller->dsn, error) == 0)
        return 0;
    hang_up(teller);
    return -1;
}

static int end(pg_teller *teller, PGresult *result, leat_error *error)
{
    PQclear(result);
    if (result && leat_pg_run(&teller->pg, "COMMIT", error) == 0)
        return 0;
    hang_up(teller);
    return -1;
}

/* Rows of whoever is gone are taken away on the way, of any source; two that sweep at once do not wait for each other. */
static const char tell_sql[] =
    "WITH swept AS (DELETE FROM leat.workers WHERE (source, instance) IN"
    "                 (SELECT source, instance FROM leat.workers WHERE at < clock_timestamp() - interval '10 minutes'"
    "                     AND instance <> $2::uuid LIMIT 1000 FOR UPDATE SKIP LOCKED))"
    "INSERT INTO leat.workers AS w (source, instance, host, pid, started_at, at, clock_ms, said)"
    " VALUES ($1::int, $2::uuid, $3, $4::int, to_timestamp($5::bigint / 1000.0), clock_timestamp(), $6::bigint, $7::json)"
    " ON CONFLICT (source, instance) DO UPDATE SET at = excluded.at, clock_ms = excluded.clock_ms, said = excluded.said";

static int tell(leat_shard_teller *base, const leat_shard_report *report, leat_error *error)
{
    pg_teller *teller = (pg_teller *)base;
    char pid[24], started[24], clock[24];
    snprintf(pid, sizeof pid, "%" PRId64, report->pid);
    snprintf(started, sizeof started, "%" PRId64, report->started_ms);
    snprintf(clock, sizeof clock, "%" PRId64, report->clock_ms);
    const char *const values[] = {teller->source_id, report->instance, report->host, pid, started, clock, report->said};
    if (begin(teller, error) != 0)
        return -1;
    return end(teller, leat_pg_query(&teller->pg, tell_sql, 7, values, error), error);
}

static int untell(leat_shard_teller *base, const char *instance, leat_error *error)
{
    pg_teller *teller = (pg_teller *)base;
    const char *const values[] = {teller->source_id, instance};
    if (begin(teller, error) != 0)
        return -1;
    return end(teller,
               leat_pg_query(&teller->pg, "DELETE FROM leat.workers WHERE source = $1::int AND instance = $2::uuid", 2, values,
                             error),
               error);
}

static int ask_waits(leat_shard_teller *base, const char *name, leat_shard_waits *ret, leat_error *error)
{
    pg_teller *teller = (pg_teller *)base;
    if (begin(teller, error) != 0)
        return -1;
    int status = leat_pg_read_waits(&teller->pg, name, ret, error);
    if (status == 0)
        status = leat_pg_run(&teller->pg, "COMMIT", error);
    if (status != 0)
        hang_up(teller);
    return status;
}

static void free_teller(leat_shard_teller *base)
{
    pg_teller *teller = (pg_teller *)base;
    hang_up(teller);
    free(teller->dsn);
    free(teller);
}

static const leat_teller_ops ops = {.tell = tell, .untell = untell, .ask_waits = ask_waits, .free = free_teller};

leat_shard_teller *leat_postgres_teller_new(const char *dsn, int32_t source_id)
{
    pg_teller *teller = leat_must_calloc(1, sizeof *teller);
    teller->base.ops = &ops;
    teller->dsn = leat_must_strdup(dsn);
    snprintf(teller->source_id, sizeof teller->source_id, "%" PRId32, source_id);
    return &teller->base;
}
