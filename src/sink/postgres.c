#include "sink/pg_blocking.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/sqlstate.h"

enum { DEFAULT_TIMEOUT_S = 10, SERVER_VERSION_MIN = 150000 };

/* ---- the DSN ---- */

static const PQconninfoOption *find_option(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options;
    }
    return NULL;
}

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    const PQconninfoOption *option = find_option(options, keyword);
    return option && option->val && option->val[0] ? option->val : NULL;
}

/* libpq's own words about a DSN it cannot read quote parts of it, so they are not passed on. An '@' inside the host is
 * what is left of a password that held one and was not percent-encoded. */
static int read_dsn(leat_pg *pg, const char *dsn, leat_error *error)
{
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    if (!options)
        return leat_fail(error, "the dsn cannot be read: key=value pairs or postgresql://... are expected");
    const char *host = option_value(options, "host");
    bool torn = host && strchr(host + 1, '@');
    const char *seconds = option_value(options, "connect_timeout");
    long timeout_s = seconds ? strtol(seconds, NULL, 10) : 0;
    if (timeout_s <= 0 || timeout_s > 3600)
        timeout_s = DEFAULT_TIMEOUT_S;
    pg->timeout_us = timeout_s * 1000000;
    PQconninfoFree(options);
    if (torn)
        return leat_fail(error, "the dsn cannot be read: an '@' in the user or the password must be written %%40");
    return 0;
}

/* ---- messages ---- */

/* libpq ends its messages with a newline and may put several into one. */
static void one_line(char *out, size_t size, const char *message)
{
    snprintf(out, size, "%s", message ? message : "");
    size_t end = strlen(out);
    while (end > 0 && out[end - 1] == '\n')
        out[--end] = '\0';
    for (char *at = out; *at; at++) {
        if (*at == '\n' || *at == '\t')
            *at = ' ';
    }
}

static int fail_connection(leat_pg *pg, leat_error *error)
{
    pg->is_away = true;
    char message[768];
    one_line(message, sizeof message, PQerrorMessage(pg->connection));
    return leat_fail(error, "%s: %s", pg->where, message);
}

static bool is_away(const PGresult *result)
{
    leat_outcome outcome = leat_sqlstate_outcome(PQresultErrorField(result, PG_DIAG_SQLSTATE),
                                                 PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED), false);
    return outcome == LEAT_UNKNOWN || outcome == LEAT_OUTAGE || outcome == LEAT_CONTENTION;
}

static int fail_result(leat_pg *pg, const PGresult *result, leat_error *error)
{
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!primary)
        return fail_connection(pg, error);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    char message[768];
    pg->is_away = is_away(result);
    one_line(message, sizeof message, primary);
    leat_fail(error, "%s: %s (%s)", pg->where, message, sqlstate ? sqlstate : "no SQLSTATE");
    if (error && detail) {
        one_line(message, sizeof message, detail);
        size_t end = strlen(error->text);
        snprintf(error->text + end, sizeof error->text - end, ". %s", message);
    }
    if (error && hint) {
        one_line(message, sizeof message, hint);
        size_t end = strlen(error->text);
        snprintf(error->text + end, sizeof error->text - end, ". %s", message);
    }
    return -1;
}

/* Notices ("already exists, skipping") say nothing a person needs. */
static void drop_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/* ---- the connection ---- */

static void name_database(leat_pg *pg)
{
    const char *database = PQdb(pg->connection);
    const char *host = PQhost(pg->connection);
    snprintf(pg->where, sizeof pg->where, "database %.80s on %.150s", database ? database : "?",
             host && host[0] ? host : "the local socket");
}

int leat_pg_open(leat_pg *pg, const char *dsn, leat_error *error)
{
    memset(pg, 0, sizeof *pg);
    if (read_dsn(pg, dsn, error) != 0)
        return -1;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(pg->timeout_us / 1000000));
    const char *keywords[] = {"dbname", "connect_timeout", "client_encoding", "fallback_application_name", NULL};
    const char *values[] = {dsn, seconds, "UTF8", "leat", NULL};
    pg->connection = PQconnectdbParams(keywords, values, 1);
    if (!pg->connection)
        return leat_fail(error, "out of memory");
    name_database(pg);
    if (PQstatus(pg->connection) != CONNECTION_OK)
        return fail_connection(pg, error);
    PQsetNoticeReceiver(pg->connection, drop_notice, NULL);
    if (PQserverVersion(pg->connection) < SERVER_VERSION_MIN)
        return leat_fail(error, "%s: PostgreSQL 15 or later is needed, this is %d", pg->where,
                         PQserverVersion(pg->connection) / 10000);
    pg->deadline_us = leat_mono_us() + pg->timeout_us;
    return 0;
}

void leat_pg_close(leat_pg *pg)
{
    PQfinish(pg->connection);
    pg->connection = NULL;
}

/* ---- queries ---- */

static int fail_silence(leat_pg *pg, leat_error *error)
{
    pg->is_away = true;
    return leat_fail(error, "%s: no answer within %lld s", pg->where, (long long)(pg->timeout_us / 1000000));
}

/* Waits until a result can be taken without blocking, or the time is up. */
static int wait_result(leat_pg *pg, leat_error *error)
{
    while (PQisBusy(pg->connection)) {
        int64_t left_us = pg->deadline_us - leat_mono_us();
        if (left_us <= 0)
            return fail_silence(pg, error);
        struct pollfd socket = {.fd = PQsocket(pg->connection), .events = POLLIN};
        if (poll(&socket, 1, (int)(left_us / 1000) + 1) < 0 && errno != EINTR)
            return leat_fail(error, "%s: poll: %s", pg->where, strerror(errno));
        if (!PQconsumeInput(pg->connection))
            return fail_connection(pg, error);
    }
    return 0;
}

static bool result_is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* Takes all results of what was sent; returns the last good one, NULL when there was an error. */
static PGresult *take_results(leat_pg *pg, leat_error *error)
{
    PGresult *last = NULL;
    bool failed = false;
    for (;;) {
        if (wait_result(pg, error) != 0) {
            failed = true;
            break;
        }
        PGresult *result = PQgetResult(pg->connection);
        if (!result)
            break;
        if (!failed && !result_is_good(result)) {
            fail_result(pg, result, error);
            failed = true;
        }
        PQclear(last);
        last = result;
    }
    if (!failed && last)
        return last;
    PQclear(last);
    if (!failed)
        leat_fail(error, "%s: no result", pg->where);
    return NULL;
}

PGresult *leat_pg_query(leat_pg *pg, const char *sql, int count, const char *const *values, leat_error *error)
{
    if (!PQsendQueryParams(pg->connection, sql, count, NULL, values, NULL, NULL, 0)) {
        fail_connection(pg, error);
        return NULL;
    }
    return take_results(pg, error);
}

int leat_pg_run(leat_pg *pg, const char *sql, leat_error *error)
{
    if (!PQsendQuery(pg->connection, sql))
        return fail_connection(pg, error);
    PGresult *result = take_results(pg, error);
    PQclear(result);
    return result ? 0 : -1;
}

int64_t leat_pg_integer(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

bool leat_pg_boolean(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}
