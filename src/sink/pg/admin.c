/*
 * admin.c - the blocking side's one connection. libpq's own blocking calls wait without a limit for
 * a server that is stopped or a commit whose standby is gone, so here everything is sent
 * asynchronously and waited for by poll with a deadline. During a long wait a second connection
 * asks for its cause. Every transaction proves that it is at the primary, because behind a pooler
 * or proxy the next one may be led elsewhere, and a standby shows the past.
 */
#include "sink/pg/blocking.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "sink/pg/commit_sql.h"
#include "sink/pg/hosts.h"
#include "sink/shard.h"
#include "sink/sqlstate.h"

enum { SERVER_VERSION_MIN = 150000, LOG_AFTER_US = 2000000, COMMIT_US = 60000000 };

/* ---- messages ---- */

/* libpq ends its messages with a newline and may put several into one. */
static void one_line(char *out, size_t size, const char *message)
{
    LEAT_ASSERT(size > 0);
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
    const char *text;
    const char *advice;
} pooler_messages[] = {
    {"statement pooling mode", " (leat needs pool_mode=transaction or session)"},
    {"unsupported startup parameter",
     " (the pooler passes no such parameter on: set it by ALTER ROLE or ALTER DATABASE)"},
};

static const char *advice_on(const char *message)
{
    for (size_t i = 0; i < sizeof pooler_messages / sizeof *pooler_messages; i++)
        if (strstr(message, pooler_messages[i].text))
            return pooler_messages[i].advice;
    return "";
}

/* The server's or pooler's own reason, without the guess that libpq appends when it hangs up. */
static void copy_server_message(char *out, size_t size, const char *message)
{
    LEAT_ASSERT(message);
    one_line(out, size, message);
    char *guess = strstr(out, " server closed the connection unexpectedly");
    if (guess)
        *guess = '\0';
}

/* `where` is empty when there was no place to try. */
static int fail_away(leat_pg *pg, const char *text, leat_error *error)
{
    pg->is_away = true;
    char message[768];
    copy_server_message(message, sizeof message, text);
    pg->is_not_primary = strstr(message, "session is read-only") ||
                         strstr(message, "server is in hot standby mode");
    return leat_fail(error, "%s%s%s%s", pg->where, pg->where[0] ? ": " : "", message,
                     pg->is_not_primary ? primary_only : advice_on(message));
}

static int fail_connection(leat_pg *pg, leat_error *error)
{
    return fail_away(pg, PQerrorMessage(pg->connection), error);
}

static leat_engine_outcome outcome_of(const PGresult *result, leat_sql_part part)
{
    leat_sql_error fields = {.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
                             .severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
                             .function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION)};
    return leat_sqlstate_outcome(&fields, part);
}

static bool is_away(leat_engine_outcome outcome)
{
    return outcome == LEAT_ENGINE_UNKNOWN || outcome == LEAT_ENGINE_OUTAGE ||
           outcome == LEAT_ENGINE_CONTENTION;
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
    pg->is_away = is_away(outcome_of(result, LEAT_SQL_OWN));
    pg->as_rows = outcome_of(result, LEAT_SQL_ROWS);
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

/* Nobody needs notices ("already exists, skipping"). */
static void drop_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/* ---- queries ---- */

static int fail_silence(leat_pg *pg, leat_error *error)
{
    char reason[LEAT_WAIT_TEXT_SIZE];
    long long waited_s = (long long)(pg->timeout_us / 1000000);
    pg->is_away = true;
    if (pg->dsn && leat_pg_reason(pg->dsn, PQbackendPID(pg->connection), reason, sizeof reason))
        return leat_fail(error, "%s: no answer within %lld s: %s", pg->where, waited_s, reason);
    return leat_fail(error, "%s: no answer within %lld s", pg->where, waited_s);
}

/* Once, for a person who waits. */
static void log_wait(leat_pg *pg)
{
    LEAT_ASSERT(pg->dsn);
    char reason[LEAT_WAIT_TEXT_SIZE];
    pg->log_us = 0;
    if (leat_pg_reason(pg->dsn, PQbackendPID(pg->connection), reason, sizeof reason))
        leat_warn("no answer yet server=\"%s\" left_s=%lld reason=\"%s\"", pg->where,
                  (long long)((pg->deadline_us - leat_mono_us()) / 1000000), reason);
}

/* False: the time is up, and the socket is still not ready. The socket is checked however late it
 * is, because the process may have been stopped meanwhile. */
static bool wait_fd(int fd, short events, int64_t deadline_us)
{
    struct pollfd socket = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_us = deadline_us - leat_mono_us();
        int ready = poll(&socket, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
        if (ready > 0 || (ready == 0 && left_us <= 0) || (ready < 0 && errno != EINTR))
            return ready > 0;
    }
}

/* Waits until a result can be read without blocking, or the time is up. */
static int wait_result(leat_pg *pg, leat_error *error)
{
    LEAT_ASSERT(pg->connection);
    while (PQisBusy(pg->connection)) {
        bool is_log_due = pg->log_us && pg->log_us < pg->deadline_us;
        if (!wait_fd(PQsocket(pg->connection), POLLIN, is_log_due ? pg->log_us : pg->deadline_us)) {
            if (!is_log_due)
                return fail_silence(pg, error);
            log_wait(pg);
            continue;
        }
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

/* Reads all results of the sent statements; returns the last good one, NULL when there was an
 * error. */
static PGresult *take_results(leat_pg *pg, leat_error *error)
{
    LEAT_ASSERT(pg->connection);
    PGresult *last = NULL;
    bool failed = false;
    pg->as_rows = LEAT_ENGINE_UNKNOWN;
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

PGresult *leat_pg_query(leat_pg *pg, const char *sql, int count, const char *const *values,
                        leat_error *error)
{
    return leat_pg_execute(pg, sql, count, values, NULL, NULL, error);
}

PGresult *leat_pg_execute(leat_pg *pg, const char *sql, int count, const char *const *values,
                          const int *sizes, const int *formats, leat_error *error)
{
    if (PQsendQueryParams(pg->connection, sql, count, NULL, values, sizes, formats,
                          formats != NULL))
        return take_results(pg, error);
    fail_connection(pg, error);
    return NULL;
}

int leat_pg_run(leat_pg *pg, const char *sql, leat_error *error)
{
    LEAT_ASSERT(pg->connection);
    if (!PQsendQuery(pg->connection, sql))
        return fail_connection(pg, error);
    PGresult *result = take_results(pg, error);
    PQclear(result);
    return result ? 0 : -1;
}

/* ---- the connection ---- */

static void name_database(leat_pg *pg)
{
    LEAT_ASSERT(pg->connection);
    const char *database = PQdb(pg->connection);
    const char *host = PQhost(pg->connection), *port = PQport(pg->connection);
    snprintf(pg->where, sizeof pg->where, "database %.80s on %.140s:%.8s",
             database ? database : "?", host && host[0] ? host : "the local socket",
             port ? port : "");
}

static PostgresPollingStatusType wait_for_server(PGconn *connection, int64_t deadline_us)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        if (!wait_fd(PQsocket(connection), status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                     deadline_us))
            break;
        status = PQconnectPoll(connection);
    }
    return status;
}

/* 0, or -1 with the reason in `message`. */
static int connect_at(leat_pg *pg, leat_pg_hosts *hosts, const leat_pg_place *place, char *message,
                      size_t size)
{
    PQfinish(pg->connection);
    pg->connection = leat_pg_hosts_connect(hosts, place);
    if (!pg->connection) {
        leat_pg_hosts_append(message, size, "out of memory");
        return -1;
    }
    name_database(pg);
    PQsetNoticeReceiver(pg->connection, drop_notice, NULL);
    if (PQstatus(pg->connection) == CONNECTION_BAD) {
        leat_pg_hosts_append(message, size, PQerrorMessage(pg->connection));
        return -1;
    }
    int64_t limit_us = leat_pg_hosts_limit_ms(hosts) * 1000;
    PostgresPollingStatusType status = wait_for_server(pg->connection, leat_mono_us() + limit_us);
    if (status == PGRES_POLLING_OK)
        return 0;
    char silent[192];
    snprintf(silent, sizeof silent, "%.140s:%.8s: no answer within %lld s", PQhost(pg->connection),
             PQport(pg->connection), (long long)(limit_us / 1000000));
    leat_pg_hosts_append(message, size,
                         status == PGRES_POLLING_FAILED ? PQerrorMessage(pg->connection) : silent);
    return -1;
}

static int connect_anywhere(leat_pg *pg, leat_pg_hosts *hosts, char *message, size_t size)
{
    leat_pg_place place;
    leat_pg_hosts_step step;
    int64_t names_until_us = leat_mono_us() + leat_pg_hosts_limit_ms(hosts) * 1000;
    while ((step = leat_pg_hosts_next(hosts, &place)) != LEAT_PG_HOSTS_END) {
        if (step == LEAT_PG_HOSTS_PLACE && connect_at(pg, hosts, &place, message, size) == 0)
            return 0;
        if (step == LEAT_PG_HOSTS_WAIT && !wait_fd(leat_pg_hosts_fd(hosts), POLLIN, names_until_us))
            leat_pg_hosts_give_up(hosts);
    }
    leat_pg_hosts_append_failures(hosts, message, size);
    return -1;
}

/* The place of each DSN's last connection: a command makes several, and a silent host then costs
 * its time limit only once. Overwritten when there are many. */
static struct {
    uint64_t dsn;
    leat_pg_dsn_place place;
} good_places[LEAT_SHARDS_MAX];
static pthread_mutex_t good_places_lock = PTHREAD_MUTEX_INITIALIZER;

static void recall_place(uint64_t hash, leat_pg_dsn *dsn)
{
    pthread_mutex_lock(&good_places_lock);
    if (good_places[hash % LEAT_SHARDS_MAX].dsn == hash)
        *leat_pg_dsn_good(dsn) = good_places[hash % LEAT_SHARDS_MAX].place;
    pthread_mutex_unlock(&good_places_lock);
}

static void keep_place(uint64_t hash, leat_pg_dsn *dsn)
{
    pthread_mutex_lock(&good_places_lock);
    good_places[hash % LEAT_SHARDS_MAX].dsn = hash;
    good_places[hash % LEAT_SHARDS_MAX].place = *leat_pg_dsn_good(dsn);
    pthread_mutex_unlock(&good_places_lock);
}

static int connect_by(leat_pg *pg, leat_pg_dsn *dsn, uint64_t hash, leat_error *error)
{
    char message[768] = "";
    leat_pg_hosts *hosts = leat_pg_hosts_new(dsn);
    recall_place(hash, dsn);
    leat_pg_hosts_begin(hosts);
    int status = connect_anywhere(pg, hosts, message, sizeof message);
    leat_pg_hosts_end(hosts, status == 0);
    leat_pg_hosts_free(hosts);
    if (status != 0)
        return fail_away(pg, message, error);
    keep_place(hash, dsn);
    return 0;
}

static int connect_to(leat_pg *pg, const char *text, bool any_server, leat_error *error)
{
    LEAT_ASSERT(text);
    memset(pg, 0, sizeof *pg);
    pg->dsn = any_server ? NULL : text; /* the connection that asks about another one's wait is not
                                           asked about itself */
    leat_pg_dsn *dsn = leat_pg_dsn_new(text, NULL, error);
    if (!dsn)
        return -1;
    if (any_server)
        leat_pg_dsn_take_any_server(dsn);
    pg->timeout_us = leat_pg_dsn_connect_timeout_ms(dsn) * 1000;
    int status = connect_by(pg, dsn, leat_hash(leat_slice_of(text)), error);
    leat_pg_dsn_free(dsn);
    if (status != 0)
        return -1;
    if (PQserverVersion(pg->connection) < SERVER_VERSION_MIN)
        return leat_fail(error, "%s: PostgreSQL 15 or later is needed, this is %d", pg->where,
                         PQserverVersion(pg->connection) / 10000);
    pg->deadline_us = leat_mono_us() + pg->timeout_us;
    return 0;
}

/* A standby refuses READ WRITE before it shows anything (0A000, "during recovery"). The connection
 * was to the primary, but behind a pooler or proxy each transaction may be led elsewhere. */
static int begin_at_primary(leat_pg *pg, const char *sql, leat_error *error)
{
    LEAT_ASSERT(pg->connection);
    if (leat_pg_run(pg, sql, error) == 0)
        return 0;
    if (strcmp(pg->sqlstate, "0A000") != 0)
        return -1;
    pg->is_away = pg->is_not_primary = true;
    return leat_fail(error, "%s: a standby answers%s", pg->where, primary_only);
}

static const char read_sql[] =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET TRANSACTION READ ONLY";

int leat_pg_open(leat_pg *pg, const char *dsn, leat_error *error)
{
    if (connect_to(pg, dsn, false, error) != 0)
        return -1;
    return begin_at_primary(pg, read_sql, error);
}

int leat_pg_read_again(leat_pg *pg, leat_error *error)
{
    LEAT_ASSERT(pg->connection && pg->timeout_us > 0);
    leat_pg_extend(pg);
    return begin_at_primary(pg, read_sql, error);
}

void leat_pg_extend(leat_pg *pg)
{
    pg->deadline_us = leat_mono_us() + pg->timeout_us;
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
    pg->log_us = leat_mono_us() + LOG_AFTER_US;
    return begin_at_primary(pg, LEAT_PG_BEGIN_SYNC_SQL, error);
}

static const char report_sql[] =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit TO off;"
    " SET LOCAL lock_timeout TO '2s'";

int leat_pg_open_to_report(leat_pg *pg, const char *dsn, leat_error *error)
{
    if (connect_to(pg, dsn, false, error) != 0)
        return -1;
    pg->dsn = NULL; /* nobody reads the cause of a report's wait */
    return begin_at_primary(pg, report_sql, error);
}

int leat_pg_report_again(leat_pg *pg, leat_error *error)
{
    LEAT_ASSERT(pg->connection && pg->timeout_us > 0);
    pg->deadline_us = leat_mono_us() + pg->timeout_us;
    return begin_at_primary(pg, report_sql, error);
}

int leat_pg_commit(leat_pg *pg, leat_error *error)
{
    LEAT_ASSERT(pg->connection && pg->dsn);
    pg->timeout_us = COMMIT_US;
    pg->deadline_us = leat_mono_us() + COMMIT_US;
    pg->log_us = leat_mono_us() + LOG_AFTER_US;
    if (leat_pg_run(pg, "COMMIT", error) == 0)
        return 0;
    return pg->is_away
               ? leat_fail_prefix(
                     error, "what was written may stand or not, run it again when this is mended")
               : -1;
}

/* ---- the end ---- */

/* A pooler takes back a server session only outside of a transaction: it closes one whose client
 * leaves inside it. */
static void end_transaction(leat_pg *pg)
{
    PGTransactionStatusType status = PQtransactionStatus(pg->connection);
    if (status != PQTRANS_INTRANS && status != PQTRANS_INERROR)
        return;
    pg->deadline_us = leat_mono_us() + pg->timeout_us;
    if (leat_pg_run(pg, "ROLLBACK", NULL) != 0)
        leat_debug("no answer to ROLLBACK server=\"%s\"", pg->where);
}

void leat_pg_close(leat_pg *pg)
{
    bool was_away = pg->is_away;
    end_transaction(pg);
    pg->is_away = was_away;
    PQfinish(pg->connection);
    pg->connection = NULL;
}

/* A pooler makes up the process id that it gives its client; it serves only for cancel requests. */
int leat_pg_find_pooler(leat_pg *pg, bool *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, "SELECT pg_backend_pid()", 0, NULL, error);
    if (!result)
        return -1;
    *ret = leat_pg_integer(result, 0, 0) != PQbackendPID(pg->connection);
    PQclear(result);
    return 0;
}
