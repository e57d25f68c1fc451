#include "sink/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sink/pg_blocking.h"
#include "sink/pg_workers.h"

/* ---- the server ---- */

/* -1 is "no limit" in the catalog. Reserved connections are for superusers, and so is freedom from the limits. */
static const char server_sql[] =
    "SELECT current_setting('fsync')::boolean, pg_catalog.pg_is_in_recovery(),"
    "       (SELECT min(n) FROM unnest(ARRAY["
    "          current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0"
    "               ELSE current_setting('superuser_reserved_connections')::int END,"
    "          CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit END,"
    "          CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN d.datconnlimit END]) AS n),"
    "       current_setting('server_version'), current_setting('synchronous_commit'), r.rolname,"
    "       current_setting('session_replication_role') = 'replica'"
    "  FROM pg_catalog.pg_roles AS r, pg_catalog.pg_database AS d"
    " WHERE r.rolname = current_user AND d.datname = current_database()";

static int read_server(leat_pg *pg, leat_shard_server *ret, leat_error *error)
{
    enum { FSYNC, STANDBY, CONNECTIONS, VERSION, SYNCHRONOUS_COMMIT, ROLE, REPLICA };
    PGresult *result = leat_pg_query(pg, server_sql, 0, NULL, error);
    if (!result)
        return -1;
    ret->fsync = leat_pg_boolean(result, 0, FSYNC);
    ret->is_standby = leat_pg_boolean(result, 0, STANDBY);
    ret->connections_max = leat_pg_integer(result, 0, CONNECTIONS);
    snprintf(ret->version, sizeof ret->version, "%s", PQgetvalue(result, 0, VERSION));
    snprintf(ret->synchronous_commit, sizeof ret->synchronous_commit, "%s", PQgetvalue(result, 0, SYNCHRONOUS_COMMIT));
    snprintf(ret->role, sizeof ret->role, "%s", PQgetvalue(result, 0, ROLE));
    ret->is_replica = leat_pg_boolean(result, 0, REPLICA);
    PQclear(result);
    return 0;
}

int leat_postgres_read_server(const char *dsn, leat_shard_server *ret, leat_error *error)
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
        status = read_server(&pg, ret, error);
    leat_pg_close(&pg);
    return status;
}

/* ---- privileges ---- */

/* By OID and not by name: a name cannot even be looked up in a schema that may not be used. What a write runs besides
 * counts too: sequences and functions of defaults, checks, domains and indexes, also those of partitions. A domain's
 * default hangs on its type. leat writes out types and defaults (`is_text`), so it must find them in their schemas too; the
 * sequence of an identity "by default" is such a default to it. */
static const char missing_sql[] =
    "WITH wanted AS (SELECT t.schema, t.name FROM jsonb_to_recordset($1::jsonb) AS t (schema text, name text)),"
    "     roots AS (SELECT c.oid FROM wanted AS w JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema"
    "                 JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name),"
    "     tables AS (SELECT oid FROM roots UNION"
    "                SELECT p.relid::oid FROM roots CROSS JOIN LATERAL pg_catalog.pg_partition_tree(roots.oid) AS p),"
    "     types AS (SELECT t.oid, t.typnamespace, t.typelem FROM pg_catalog.pg_attribute AS a"
    "                 JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid"
    "                WHERE a.attrelid IN (SELECT oid FROM tables) AND a.attnum > 0 AND NOT a.attisdropped),"
    "     expressions AS (SELECT 'pg_attrdef'::regclass AS class, e.oid, true AS is_text FROM pg_catalog.pg_attrdef AS e"
    "                      WHERE e.adrelid IN (SELECT oid FROM tables)"
    "                     UNION ALL"
    "                     SELECT 'pg_constraint'::regclass, k.oid, false FROM pg_catalog.pg_constraint AS k"
    "                      WHERE k.conrelid IN (SELECT oid FROM tables) OR k.contypid IN (SELECT oid FROM types)"
    "                     UNION ALL"
    "                     SELECT 'pg_type'::regclass, t.oid, true FROM types AS t"
    "                     UNION ALL"
    "                     SELECT 'pg_class'::regclass, i.indexrelid, false FROM pg_catalog.pg_index AS i"
    "                      WHERE i.indrelid IN (SELECT oid FROM tables)),"
    "     used AS (SELECT d.refclassid, d.refobjid, e.is_text FROM pg_catalog.pg_depend AS d JOIN expressions AS e"
    "                  ON e.class = d.classid AND e.oid = d.objid),"
    "     sequences AS (SELECT q.oid, q.relnamespace FROM pg_catalog.pg_class AS q WHERE q.relkind = 'S'"
    "                      AND (EXISTS (SELECT FROM used AS u WHERE u.refclassid = 'pg_class'::regclass AND u.refobjid = q.oid)"
    "                           OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_attribute AS a"
    "                                          ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
    "                                       WHERE d.classid = 'pg_class'::regclass AND d.objid = q.oid AND d.deptype = 'i'"
    "                                         AND a.attrelid IN (SELECT oid FROM tables) AND a.attidentity = 'd'))),"
    "     functions AS (SELECT f.oid FROM pg_catalog.pg_proc AS f WHERE f.oid IN ("
    "                       SELECT u.refobjid FROM used AS u WHERE u.refclassid = 'pg_proc'::regclass"
    "                       UNION ALL"
    "                       SELECT o.oprcode FROM used AS u JOIN pg_catalog.pg_operator AS o ON o.oid = u.refobjid"
    "                        WHERE u.refclassid = 'pg_operator'::regclass)),"
    "     named AS (SELECT typnamespace AS oid FROM types UNION SELECT relnamespace FROM sequences"
    "               UNION SELECT f.pronamespace FROM pg_catalog.pg_proc AS f JOIN used AS u ON u.refobjid = f.oid"
    "                      WHERE u.refclassid = 'pg_proc'::regclass AND u.is_text"
    "               UNION SELECT e.typnamespace FROM types AS t JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem)"
    "SELECT p.privilege || ' on ' || format('%I.%I', n.nspname, c.relname)"
    "  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,"
    "       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)"
    " WHERE (n.nspname = 'leat' AND c.relkind = 'r'"
    "        OR EXISTS (SELECT FROM wanted AS w WHERE w.schema = n.nspname AND w.name = c.relname))"
    "   AND NOT has_table_privilege(c.oid, p.privilege)"
    " UNION ALL "
    "SELECT 'USAGE on schema ' || format('%I', n.nspname) FROM pg_catalog.pg_namespace AS n"
    " WHERE (n.nspname = 'leat' OR n.nspname IN (SELECT w.schema FROM wanted AS w) OR n.oid IN (SELECT oid FROM named))"
    "   AND NOT has_schema_privilege(n.oid, 'USAGE')"
    " UNION ALL "
    "SELECT 'EXECUTE on ' || format('%I.%I', n.nspname, f.proname)"
    "  FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace"
    " WHERE n.nspname = 'leat' AND NOT has_function_privilege(f.oid, 'EXECUTE')"
    " UNION ALL "
    "SELECT 'USAGE on sequence ' || format('%I.%I', n.nspname, q.relname)"
    "  FROM sequences AS s JOIN pg_catalog.pg_class AS q ON q.oid = s.oid"
    "  JOIN pg_catalog.pg_namespace AS n ON n.oid = q.relnamespace"
    " WHERE NOT has_sequence_privilege(q.oid, 'USAGE') AND NOT has_sequence_privilege(q.oid, 'UPDATE')"
    " UNION ALL "
    "SELECT 'EXECUTE on ' || format('%I.%I', n.nspname, f.proname)"
    "  FROM functions AS u JOIN pg_catalog.pg_proc AS f ON f.oid = u.oid"
    "  JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace"
    " WHERE n.nspname <> 'leat' AND NOT has_function_privilege(f.oid, 'EXECUTE')"
    " ORDER BY 1";

static void tables_json(const leat_table *tables, uint32_t count, leat_buf *out)
{
    leat_buf_byte(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        leat_buf_text(out, i ? ", {\"schema\": " : "{\"schema\": ");
        leat_buf_json_string(out, leat_slice_of(tables[i].schema));
        leat_buf_text(out, ", \"name\": ");
        leat_buf_json_string(out, leat_slice_of(tables[i].name));
        leat_buf_byte(out, '}');
    }
    leat_buf_byte(out, ']');
}

static int read_missing(leat_pg *pg, const char *tables, leat_buf *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, missing_sql, 1, &tables, error);
    if (!result)
        return -1;
    for (int row = 0; row < PQntuples(result); row++)
        leat_buf_printf(ret, "%s%s", row ? ", " : "", PQgetvalue(result, row, 0));
    PQclear(result);
    return 0;
}

int leat_postgres_missing_privileges(const char *dsn, const leat_table *tables, uint32_t count, leat_buf *ret,
                                     leat_error *error)
{
    leat_pg pg;
    leat_buf json = {0};
    tables_json(tables, count, &json);
    const char *text = leat_buf_cstr(&json);
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = text ? read_missing(&pg, text, ret, error) : leat_fail(error, "out of memory");
    leat_pg_close(&pg);
    leat_buf_free(&json);
    return status;
}

/* ---- progress ---- */

static const char progress_sql[] =
    "SELECT p.partition, p.epoch, p.low,"
    "       greatest(p.low, (SELECT max(o) FROM unnest(p.base_offsets) AS o),"
    "                (SELECT max(o) FROM leat.progress AS g, unnest(g.offsets) AS o"
    "                  WHERE g.source = p.source AND g.partition = p.partition))"
    "  FROM leat.partitions AS p JOIN leat.sources AS s ON s.id = p.source WHERE s.topic = $1 ORDER BY p.partition";

int leat_postgres_read_progress(const char *dsn, const char *topic, leat_shard_partition **ret, uint32_t *ret_count,
                                leat_error *error)
{
    enum { PARTITION, EPOCH, LOW, APPLIED };
    leat_pg pg;
    PGresult *result = leat_pg_open(&pg, dsn, error) == 0 ? leat_pg_query(&pg, progress_sql, 1, &topic, error) : NULL;
    if (result) {
        *ret_count = (uint32_t)PQntuples(result);
        *ret = leat_must_calloc(*ret_count + 1, sizeof **ret);
    }
    for (int row = 0; result && row < PQntuples(result); row++)
        (*ret)[row] = (leat_shard_partition){.partition = (uint32_t)leat_pg_integer(result, row, PARTITION),
                                                .epoch = leat_pg_integer(result, row, EPOCH),
                                                .low = leat_pg_integer(result, row, LOW),
                                                .applied = leat_pg_integer(result, row, APPLIED)};
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
    PGresult *result = leat_pg_query(pg, "SELECT 'leat ' || id FROM leat.sources WHERE topic = $1", 1, &topic, error);
    if (!result)
        return -1;
    int status = PQntuples(result) == 0 ? 0 : leat_pg_read_waits(pg, PQgetvalue(result, 0, 0), &ret->waits, error);
    PQclear(result);
    return status;
}

int leat_postgres_read_work(const char *dsn, const char *topic, leat_shard_work *ret, leat_error *error)
{
    leat_pg pg;
    *ret = (leat_shard_work){0};
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = count_dead(&pg, topic, ret, error);
    if (status == 0)
        status = read_processes(&pg, topic, ret, error);
    if (status == 0)
        status = leat_pg_look_for_pooler(&pg, &ret->is_pooled, error);
    if (status == 0)
        status = leat_pg_read_workers(&pg, topic, ret, error);
    if (status == 0)
        status = read_waits(&pg, topic, ret, error);
    leat_pg_close(&pg);
    return status;
}
