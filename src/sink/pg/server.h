/*
 * server.h - which PostgreSQL server has answered.
 */
#ifndef LEAT_SINK_PG_SERVER_H
#define LEAT_SINK_PG_SERVER_H

#include <libpq-fe.h>

#include "base/base.h"

/* The identity of a server: one that was promoted, restored or restarted is another one. */
typedef struct leat_pg_server {
    int64_t started_us; /* its postmaster, by its own clock, since 2000 */
    char timeline[12];  /* "" where the server does not show it to this role */
} leat_pg_server;

/* The same as columns of a query on that server: SQL for leat_pg_field_server. */
#define LEAT_PG_STARTED_SQL "pg_catalog.pg_postmaster_start_time()"
#define LEAT_PG_TIMELINE_SQL                                                                       \
    "pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)"

/* A query in two forms: without and with the timeline. */
#define LEAT_PG_WITH_SERVER(what, from)                                                            \
    {what ", " LEAT_PG_STARTED_SQL from,                                                           \
     what ", " LEAT_PG_STARTED_SQL ", " LEAT_PG_TIMELINE_SQL from}

bool leat_pg_server_equal(const leat_pg_server *a, const leat_pg_server *b);
/* Reads row 0 from `column` on, which is the first or both of the above. -1, with `ret` as it was:
 * they are not there. */
int leat_pg_field_server(const PGresult *result, int column, leat_pg_server *ret) LEAT_MUST_CHECK;
/* The timeline alone, into ret->timeline, under the same terms. */
int leat_pg_field_timeline(const PGresult *result, int column, leat_pg_server *ret) LEAT_MUST_CHECK;

#endif
