/*
 * server.c - reads which server has answered from two columns of a result. The start of the
 * postmaster tells servers apart for any role; the timeline, where the role may read it, also tells
 * a server that was promoted without a restart.
 */
#include "sink/pg/server.h"

#include <stdio.h>
#include <string.h>

#include "sink/pg/params.h"

bool leat_pg_server_equal(const leat_pg_server *a, const leat_pg_server *b)
{
    return a->started_us == b->started_us && strcmp(a->timeline, b->timeline) == 0;
}

int leat_pg_field_timeline(const PGresult *result, int column, leat_pg_server *ret)
{
    LEAT_ASSERT(column >= 0);
    if (PQgetisnull(result, 0, column) ||
        PQgetlength(result, 0, column) >= (int)sizeof ret->timeline)
        return -1;
    snprintf(ret->timeline, sizeof ret->timeline, "%s", PQgetvalue(result, 0, column));
    return 0;
}

int leat_pg_field_server(const PGresult *result, int column, leat_pg_server *ret)
{
    LEAT_ASSERT(column >= 0);
    leat_pg_server server = {0};
    if (leat_pg_field_int8(result, 0, column, &server.started_us) < 0 ||
        (PQnfields(result) > column + 1 && leat_pg_field_timeline(result, column + 1, &server) < 0))
        return -1;
    *ret = server;
    return 0;
}
