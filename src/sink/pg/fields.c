/*
 * fields.c - the fields of a blocking query's result, which come as texts: the query guarantees
 * their form, so reading one cannot fail.
 */
#include "sink/pg/blocking.h"

#include <stdio.h>
#include <stdlib.h>

int64_t leat_pg_integer(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

bool leat_pg_boolean(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}

void leat_pg_text(char *ret, size_t size, const PGresult *result, int row, int column)
{
    snprintf(ret, size, "%s", PQgetvalue(result, row, column));
}
