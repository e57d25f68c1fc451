#include <stdio.h>

#include "sink/pg_blocking.h"

enum { ASK_US = 2000000 };

/* A holder of a lock may wait for a standby itself: then that is what to mend. */
static const char reason_sql[] =
    "WITH waits AS (SELECT a.pid, a.wait_event_type, a.wait_event FROM pg_catalog.pg_stat_activity AS a"
    "                WHERE a.pid = $1::int AND a.datname = current_database() AND a.usename = current_user),"
    "     holders AS (SELECT b.pid, b.application_name, b.usename, b.state, b.wait_event FROM waits AS w"
    "                   CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(w.pid)) AS h (pid)"
    "                   JOIN pg_catalog.pg_stat_activity AS b ON b.pid = h.pid)"
    "SELECT CASE WHEN w.wait_event = 'SyncRep' THEN"
    "                 format('its commit waits for a synchronous standby (synchronous_standby_names is %L)',"
    "                        current_setting('synchronous_standby_names'))"
    "            WHEN EXISTS (SELECT FROM holders) THEN"
    "                 (SELECT 'it waits for a lock that is held by ' || string_agg("
    "                             format('session %s (%s, role %s, %s)', h.pid, coalesce(nullif(h.application_name, ''), '?'),"
    "                                    h.usename, CASE WHEN h.wait_event = 'SyncRep' THEN"
    "                                        format('whose commit waits for a synchronous standby: synchronous_standby_names is %L',"
    "                                               current_setting('synchronous_standby_names'))"
    "                                        ELSE coalesce(h.state, 'in what state is not shown to us') END), ', ' ORDER BY h.pid)"
    "                    FROM holders AS h)"
    "            WHEN w.wait_event IS NOT NULL THEN format('it waits for %s (%s)', w.wait_event, w.wait_event_type)"
    "            ELSE 'it works' END"
    "  FROM waits AS w";

bool leat_pg_reason(const char *dsn, int backend, char *ret, size_t size)
{
    leat_pg pg;
    char pid[16];
    const char *values[] = {pid};
    bool found = false;
    snprintf(pid, sizeof pid, "%d", backend);
    if (leat_pg_open_any(&pg, dsn, NULL) == 0) {
        pg.deadline_us = leat_mono_us() + ASK_US;
        PGresult *result = leat_pg_query(&pg, reason_sql, 1, values, NULL);
        found = result && PQntuples(result) == 1;
        if (found)
            snprintf(ret, size, "%s", PQgetvalue(result, 0, 0));
        PQclear(result);
    }
    leat_pg_close(&pg);
    return found;
}
