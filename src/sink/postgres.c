#include "sink/pg_blocking.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "sink/pg_dsn.h"
#include "sink/postgres.h"
#include "sink/sqlstate.h"

enum { SERVER_VERSION_MIN = 150000 };

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

static const char primary_only[] = " (leat reads and writes at the primary only)";

static const struct {
    const char *words;
    const char *advice;
} pooler_says[] = {
    {"statement pooling mode", " (leat needs pool_mode=transaction or session)"},
    {"unsupported startup parameter", " (the pooler passes no such parameter on: set it by ALTER ROLE or ALTER DATABASE)"},
};

static const char *advice_on(const char *message)
{
    for (size_t i = 0; i < sizeof pooler_says / sizeof *pooler_says; i++)
        if (strstr(message, pooler_says[i].words))
            return pooler_says[i].advice;
    return "";
}

/* What a server or pooler said before it hung up is worth more than what libpq guesses behind it. */
static void last_words(char *out, size_t size, const char *message)
{
    one_line(out, size, message);
    char *guess = strstr(out, " server closed the connection unexpectedly");
    if (guess)
        *guess = '\0';
}

static int fail_connection(leat_pg *pg, leat_error *error)
{
    pg->is_away = true;
    char message[768];
    last_words(message, sizeof message, PQerrorMessage(pg->connection));
    pg->is_not_primary = strstr(message, "session is read-only") || strstr(message, "server is in hot standby mode");
    return leat_fail(error, "%s: %s%s", pg->where, message, pg->is_not_primary ? primary_only : advice_on(message));
}

static bool is_away(const PGresult *result)
{
    leat_sql_error said = {.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
                           .severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
                           .function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION)};
    leat_outcome outcome = leat_sqlstate_outcome(&said, LEAT_SQL_OWN);
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
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%s", sqlstate ? sqlstate : "");
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

/* ---- the connection ---- */

static void name_database(leat_pg *pg)
{
    const char *database = PQdb(pg->connection);
    const char *host = PQhost(pg->connection), *port = PQport(pg->connection);
    snprintf(pg->where, sizeof pg->where, "database %.80s on %.140s:%.8s", database ? database : "?",
             host && host[0] ? host : "the local socket", port ? port : "");
}

static PGconn *connect_by(const char *text, bool any_server, int64_t *ret_timeout_us, leat_error *error)
{
    leat_pg_dsn *dsn = leat_pg_dsn_new(text, NULL, error);
    if (!dsn)
        return NULL;
    if (any_server)
        leat_pg_dsn_take_any_server(dsn);
    *ret_timeout_us = leat_pg_dsn_connect_timeout_ms(dsn) * 1000;
    PGconn *connection = PQconnectdbParams(leat_pg_dsn_keywords(dsn), leat_pg_dsn_values(dsn), 0);
    leat_pg_dsn_free(dsn);
    if (!connection)
        leat_fail(error, "out of memory");
    return connection;
}

static int connect_to(leat_pg *pg, const char *dsn, bool any_server, leat_error *error)
{
    memset(pg, 0, sizeof *pg);
    pg->connection = connect_by(dsn, any_server, &pg->timeout_us, error);
    if (!pg->connection)
        return -1;
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

/* READ WRITE is what a standby refuses before it shows anything (0A000, "during recovery"). The connection was to the
 * primary, but behind a pooler or proxy each transaction may be led elsewhere. */
static int begin_at_primary(leat_pg *pg, const char *sql, leat_error *error)
{
    if (leat_pg_run(pg, sql, error) == 0)
        return 0;
    if (strcmp(pg->sqlstate, "0A000") != 0)
        return -1;
    pg->is_away = pg->is_not_primary = true;
    return leat_fail(error, "%s: a standby answers%s", pg->where, primary_only);
}

int leat_pg_open(leat_pg *pg, const char *dsn, leat_error *error)
{
    if (connect_to(pg, dsn, false, error) != 0)
        return -1;
    return begin_at_primary(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET TRANSACTION READ ONLY", error);
}

int leat_pg_open_any(leat_pg *pg, const char *dsn, leat_error *error)
{
    if (connect_to(pg, dsn, true, error) != 0)
        return -1;
    return leat_pg_run(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", error);
}

int leat_pg_open_to_change(leat_pg *pg, const char *dsn, leat_error *error)
{
    if (connect_to(pg, dsn, false, error) != 0)
        return -1;
    return begin_at_primary(pg, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", error);
}

static const char report_sql[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit TO off;"
                                 " SET LOCAL lock_timeout TO '2s'";

int leat_pg_open_to_report(leat_pg *pg, const char *dsn, leat_error *error)
{
    if (connect_to(pg, dsn, false, error) != 0)
        return -1;
    return begin_at_primary(pg, report_sql, error);
}

int leat_pg_report_again(leat_pg *pg, leat_error *error)
{
    pg->deadline_us = leat_mono_us() + pg->timeout_us;
    return begin_at_primary(pg, report_sql, error);
}

int leat_postgres_check_dsn(const char *text, leat_error *error)
{
    leat_pg_dsn *dsn = leat_pg_dsn_new(text, NULL, error);
    leat_pg_dsn_free(dsn);
    return dsn ? 0 : -1;
}

/* ---- the end ---- */

/* A pooler takes back a server session only outside of a transaction: one whose client leaves within it is closed. */
static void end_transaction(leat_pg *pg)
{
    PGTransactionStatusType status = PQtransactionStatus(pg->connection);
    if (status != PQTRANS_INTRANS && status != PQTRANS_INERROR)
        return;
    pg->deadline_us = leat_mono_us() + pg->timeout_us;
    if (leat_pg_run(pg, "ROLLBACK", NULL) != 0)
        leat_debug("%s: ROLLBACK: no answer", pg->where);
}

void leat_pg_close(leat_pg *pg)
{
    bool was_away = pg->is_away;
    end_transaction(pg);
    pg->is_away = was_away;
    PQfinish(pg->connection);
    pg->connection = NULL;
}

/* A pooler makes up the process id it tells its client, which is for cancel requests only. */
int leat_pg_look_for_pooler(leat_pg *pg, bool *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, "SELECT pg_backend_pid()", 0, NULL, error);
    if (!result)
        return -1;
    *ret = leat_pg_integer(result, 0, 0) != PQbackendPID(pg->connection);
    PQclear(result);
    return 0;
}

/* ---- fields ---- */

int64_t leat_pg_integer(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

bool leat_pg_boolean(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}
