/*
 * parameters.c - forms that take the rows of a batch in other parameters than leat's: the server
 * makes these beforehand, so that a form is two texts of SQL and no code.
 */
#include "ceiling/ceiling.h"

#include <string.h>

#include <libpq-fe.h>

static frozen_statement *keep(const PGresult *row)
{
    frozen_statement *ret = leat_must_calloc(1, sizeof *ret);
    size_t size = 0, used = 0;
    ret->count = PQnfields(row);
    if (ret->count > LEAT_STATEMENT_PARAMS_MAX)
        ceiling_die("--parameters", "too many columns");
    for (int i = 0; i < ret->count; i++)
        size += (size_t)PQgetlength(row, 0, i);
    ret->memory = leat_must_calloc(1, size);
    for (int i = 0; i < ret->count; i++) {
        ret->sizes[i] = PQgetlength(row, 0, i);
        ret->values[i] = memcpy(ret->memory + used, PQgetvalue(row, 0, i), (size_t)ret->sizes[i]);
        used += (size_t)ret->sizes[i];
    }
    return ret;
}

static frozen_statement *ask(PGconn *pg, const char *query, const frozen_statement *of)
{
    int formats[LEAT_STATEMENT_PARAMS_MAX];
    for (int i = 0; i < of->count; i++)
        formats[i] = 1;
    PGresult *result = PQexecParams(pg, query, of->count, NULL, of->values, of->sizes, formats, 1);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
        ceiling_die("--parameters", PQresultErrorMessage(result));
    frozen_statement *ret = keep(result);
    PQclear(result);
    return ret;
}

void ceiling_make_parameters(ceiling *c)
{
    PGconn *pg = PQconnectdb(c->dsn);
    if (PQstatus(pg) != CONNECTION_OK)
        ceiling_die("connect", PQerrorMessage(pg));
    for (uint32_t form = 0; form < c->form_count; form++)
        for (uint32_t i = 0; c->forms[form].parameters && i < c->batches; i++)
            c->frozen[i].of_form[form] =
                ask(pg, c->forms[form].parameters, &c->frozen[i].statements[0]);
    PQfinish(pg);
}
