/*
 * inspect.c - the server, its sessions and the progress of a shard, read for `leat check` and `leat
 * status`. Each is one query in one read-only transaction at the primary, so that its figures
 * belong together.
 */
#include "sink/shard_ops.h"

#include <stdio.h>

#include "sink/pg/controls.h"
#include "sink/pg/workers.h"

/* ---- the server ---- */

/* -1 is "no limit" in the catalog. Reserved connections are for superusers and, from PostgreSQL 16
 * on, for a role of their own; freedom from the limits is for superusers. Of the time limits, each
 * in ms with 0 for none, servers before 17 do not know all. */
static const char server_sql[] =
    "SELECT current_setting('fsync')::boolean, pg_catalog.pg_is_in_recovery(),"
    "       (SELECT min(n) FROM unnest(ARRAY["
    "          current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0"
    "               ELSE current_setting('superuser_reserved_connections')::int END"
    "             - CASE WHEN r.rolsuper OR coalesce(pg_has_role(r.oid, to_regrole('pg_use_reserved_connections'), 'USAGE'), false) THEN 0"
    "               ELSE coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int END,"
    "          CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit END,"
    "          CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN d.datconnlimit END]) AS n),"
    "       current_setting('server_version'), r.rolname,"
    "       current_setting('session_replication_role') = 'replica',"
    "       (SELECT coalesce(string_agg(t.name || ' = ' || current_setting(t.name), ', ' ORDER BY t.name), '')"
    "          FROM pg_catalog.pg_settings AS t"
    "         WHERE t.setting <> '0' AND (t.name = 'idle_session_timeout'"
    "                 OR (t.name IN ('statement_timeout', 'transaction_timeout') AND t.setting::bigint < 60000))),"
    "       (SELECT coalesce(string_agg(DISTINCT b.pubname, ', ' ORDER BY b.pubname), '') FROM pg_catalog.pg_publication_tables AS b"
    "         WHERE b.schemaname = 'leat' AND b.tablename IN ('parked', 'parked_keys'))"
    "  FROM pg_catalog.pg_roles AS r, pg_catalog.pg_database AS d"
    " WHERE r.rolname = current_user AND d.datname = current_database()";

static int query_server(leat_pg *pg, leat_shard_server *ret, leat_error *error)
{
    enum { FSYNC, STANDBY, CONNECTIONS, VERSION, ROLE, REPLICA, TIME_LIMITS, PUBLICATIONS };
    PGresult *result = leat_pg_query(pg, server_sql, 0, NULL, error);
    if (!result)
        return -1;
    ret->fsync = leat_pg_boolean(result, 0, FSYNC);
    ret->is_standby = leat_pg_boolean(result, 0, STANDBY);
    ret->connections_max = leat_pg_integer(result, 0, CONNECTIONS);
    snprintf(ret->version, sizeof ret->version, "%s", PQgetvalue(result, 0, VERSION));
    snprintf(ret->role, sizeof ret->role, "%s", PQgetvalue(result, 0, ROLE));
    ret->is_replica = leat_pg_boolean(result, 0, REPLICA);
    snprintf(ret->time_limits, sizeof ret->time_limits, "%s", PQgetvalue(result, 0, TIME_LIMITS));
    snprintf(ret->publications, sizeof ret->publications, "%s",
             PQgetvalue(result, 0, PUBLICATIONS));
    PQclear(result);
    return 0;
}

static int read_server(const char *dsn, leat_shard_server *ret, leat_error *error)
{
    leat_pg pg;
    *ret = (leat_shard_server){0};
    int status = leat_pg_open(&pg, dsn, error);
    if (status != 0 && pg.is_not_primary) {
        leat_pg_close(&pg);
        status = leat_pg_open_any(&pg, dsn, error);
        ret->read_only = true;
    }
    if (status == 0)
        status = query_server(&pg, ret, error);
    leat_pg_close(&pg);
    return status;
}

/* ---- progress ---- */

static const char progress_sql[] =
    "SELECT p.partition, p.epoch, p.low,"
    "       greatest(p.low, (SELECT max(o) FROM unnest(p.base_offsets) AS o),"
    "                (SELECT max(o) FROM leat.progress AS g, unnest(g.offsets) AS o"
    "                  WHERE g.source = p.source AND g.partition = p.partition)),"
    "       coalesce(k.records, 0), coalesce(k.bytes, 0), coalesce(k.below, 0), greatest(coalesce(k.oldest_ms, 0), 0)"
    "  FROM leat.partitions AS p JOIN leat.sources AS s ON s.id = p.source"
    " CROSS JOIN LATERAL (SELECT sum(c.records) AS records, sum(octet_length(c.chunk)) AS bytes,"
    "                            sum(least(c.records, greatest(0, p.low - greatest(c.done, c.first_offset - 1)))) AS below,"
    "                            min(c.oldest_ms) AS oldest_ms FROM leat.parked AS c"
    "                      WHERE c.source = p.source AND c.partition = p.partition) AS k"
    " WHERE s.topic = $1 ORDER BY p.partition";

static int read_progress(const char *dsn, const char *topic, leat_shard_partition **ret,
                         uint32_t *ret_count, leat_error *error)
{
    enum { PARTITION, EPOCH, LOW, APPLIED, PARKED, PARKED_BYTES, PARKED_BELOW, PARKED_OLDEST_MS };
    leat_pg pg;
    PGresult *result = leat_pg_open(&pg, dsn, error) == 0
                           ? leat_pg_query(&pg, progress_sql, 1, &topic, error)
                           : NULL;
    if (result) {
        *ret_count = (uint32_t)PQntuples(result);
        *ret = leat_must_calloc(*ret_count + 1, sizeof **ret);
    }
    for (int row = 0; result && row < PQntuples(result); row++)
        (*ret)[row] = (leat_shard_partition){
            .partition = (uint32_t)leat_pg_integer(result, row, PARTITION),
            .epoch = leat_pg_integer(result, row, EPOCH),
            .low = leat_pg_integer(result, row, LOW),
            .applied = leat_pg_integer(result, row, APPLIED),
            .parked = leat_pg_integer(result, row, PARKED),
            .parked_bytes = leat_pg_integer(result, row, PARKED_BYTES),
            .parked_below = leat_pg_integer(result, row, PARKED_BELOW),
            .parked_oldest_ms = leat_pg_integer(result, row, PARKED_OLDEST_MS)};
    PQclear(result);
    leat_pg_close(&pg);
    return result ? 0 : -1;
}

/* ---- work ---- */

static const char dead_count_sql[] =
    "SELECT count(*) FROM leat.dead_letters AS d JOIN leat.sources AS s ON s.id = d.source WHERE s.topic = $1";

/* An application_name is "leat SOURCE GROUP HOST PID". */
static const char processes_sql[] =
    "SELECT split_part(a.application_name, ' ', 4) || ' ' || split_part(a.application_name, ' ', 5),"
    "       count(*), count(*) FILTER (WHERE a.state = 'active')"
    "  FROM pg_catalog.pg_stat_activity AS a, leat.sources AS s"
    " WHERE s.topic = $1 AND a.datname = current_database()"
    "   AND starts_with(a.application_name, 'leat ' || s.id || ' ')"
    " GROUP BY 1 ORDER BY 1";

static int count_dead(leat_pg *pg, const char *topic, leat_shard_work *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, dead_count_sql, 1, &topic, error);
    if (!result)
        return -1;
    ret->dead_letters = leat_pg_integer(result, 0, 0);
    PQclear(result);
    return 0;
}

static const char held_sql[] =
    "SELECT h.keys, h.since_ms, h.reason, k.records, k.bytes"
    "  FROM (SELECT count(*) AS keys,"
    "               coalesce((extract(epoch FROM clock_timestamp() - min(h.since)) * 1000)::bigint, 0) AS since_ms,"
    "               coalesce((array_agg(CASE WHEN h.message = '' THEN '' ELSE coalesce(h.sqlstate, 'by leat') || ': ' || h.message END"
    "                                   ORDER BY h.since, h.hash))[1], '') AS reason"
    "          FROM leat.held AS h JOIN leat.sources AS s ON s.id = h.source WHERE s.topic = $1) AS h,"
    "       (SELECT count(*) AS records, coalesce(sum(octet_length(k.record)), 0) AS bytes"
    "          FROM leat.parked_keys AS k JOIN leat.sources AS s ON s.id = k.source WHERE s.topic = $1) AS k";

static int sum_held(leat_pg *pg, const char *topic, leat_shard_held *ret, leat_error *error)
{
    enum { KEYS, SINCE_MS, REASON, RECORDS, BYTES };
    PGresult *result = leat_pg_query(pg, held_sql, 1, &topic, error);
    if (!result)
        return -1;
    ret->keys = leat_pg_integer(result, 0, KEYS);
    ret->records = leat_pg_integer(result, 0, RECORDS);
    ret->bytes = leat_pg_integer(result, 0, BYTES);
    ret->since_ms = leat_pg_integer(result, 0, SINCE_MS);
    snprintf(ret->reason, sizeof ret->reason, "%s", PQgetvalue(result, 0, REASON));
    PQclear(result);
    return 0;
}

static int read_processes(leat_pg *pg, const char *topic, leat_shard_work *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, processes_sql, 1, &topic, error);
    if (!result)
        return -1;
    ret->process_count = (uint32_t)PQntuples(result);
    ret->processes = leat_must_calloc(ret->process_count + 1, sizeof *ret->processes);
    for (uint32_t i = 0; i < ret->process_count; i++) {
        leat_shard_process *process = &ret->processes[i];
        snprintf(process->name, sizeof process->name, "%s", PQgetvalue(result, (int)i, 0));
        process->sessions = (uint32_t)leat_pg_integer(result, (int)i, 1);
        process->busy = (uint32_t)leat_pg_integer(result, (int)i, 2);
    }
    PQclear(result);
    return 0;
}

static int read_waits(leat_pg *pg, const char *topic, leat_shard_work *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, "SELECT 'leat ' || id FROM leat.sources WHERE topic = $1",
                                     1, &topic, error);
    if (!result)
        return -1;
    int status = PQntuples(result) == 0
                     ? 0
                     : leat_pg_read_waits(pg, PQgetvalue(result, 0, 0), &ret->waits, error);
    PQclear(result);
    return status;
}

static int read_controls(leat_pg *pg, const char *topic, leat_shard_work *ret, leat_error *error)
{
    PGresult *result =
        leat_pg_query(pg, "SELECT id FROM leat.sources WHERE topic = $1", 1, &topic, error);
    int status = result ? 0 : -1;
    if (result && PQntuples(result) > 0) {
        ret->controls = leat_pg_controls_read(pg, PQgetvalue(result, 0, 0), error);
        status = ret->controls ? 0 : -1;
    }
    PQclear(result);
    return status;
}

static int read_work(const char *dsn, const char *topic, leat_shard_work *ret, leat_error *error)
{
    leat_pg pg;
    *ret = (leat_shard_work){0};
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = count_dead(&pg, topic, ret, error);
    if (status == 0)
        status = sum_held(&pg, topic, &ret->held, error);
    if (status == 0)
        status = read_controls(&pg, topic, ret, error);
    if (status == 0)
        status = read_processes(&pg, topic, ret, error);
    if (status == 0)
        status = leat_pg_find_pooler(&pg, &ret->is_pooled, error);
    if (status == 0)
        status = leat_pg_read_workers(&pg, topic, ret, error);
    if (status == 0)
        status = read_waits(&pg, topic, ret, error);
    leat_pg_close(&pg);
    return status;
}

const leat_shard_inspect_ops leat_pg_inspect = {
    .read_server = read_server, .read_progress = read_progress, .read_work = read_work};
