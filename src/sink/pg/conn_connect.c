/*
 * conn_connect.c - one attempt to connect: tries the places of the DSN in turn, until a server has
 * identified itself. libpq could go through several hosts by itself, but it resolves names by a
 * blocking call and has one time limit for all, so here each place is a PQconnectStart of its own
 * (hosts.h). The message of a failed attempt has a part for each place: with several hosts the last
 * one's reason alone would hide what is wrong with the first.
 */
#include "sink/pg/conn_state.h"

#include <stdio.h>
#include <string.h>

#include <sys/socket.h>

#include "base/diag.h"
#include "sink/sqlstate.h"

enum { SERVER_VERSION_MIN = 150000 }; /* MERGE */

/* When the server ends an idle connection, libpq delivers its reason as a notice. */
static void on_notice(void *context, const PGresult *notice)
{
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    leat_debug("notice from PostgreSQL server=\"%s\" reason=\"%s\"",
               ((leat_pg_conn *)context)->where, text ? text : "");
    if (leat_sqlstate_is_last_word(PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED),
                                   PQresultErrorField(notice, PG_DIAG_SQLSTATE)))
        leat_pg_conn_keep_error(context, notice);
}

/* PQERRORS_VERBOSE puts the SQLSTATE into libpq's text, and also a line with the place in the
 * server's source, which is of no use here. */
void leat_pg_conn_place_failed(leat_pg_conn *conn, const char *message)
{
    LEAT_ASSERT(leat_pg_conn_is_attempt(conn));
    char text[sizeof conn->where + sizeof conn->server_error + 2];
    if (conn->server_error[0])
        snprintf(text, sizeof text, "%s: %s", conn->where, conn->server_error);
    else
        snprintf(text, sizeof text, "%s", message);
    char *location = strstr(text, "\nLOCATION:");
    if (location)
        *location = '\0';
    leat_pg_hosts_append(conn->message, sizeof conn->message, text);
    leat_pg_conn_drop_server(conn);
    leat_pg_conn_try_next(conn);
}

void leat_pg_conn_place_silent(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_CONNECTING || conn->state == CONN_ASKING);
    char text[sizeof conn->where + 64];
    snprintf(text, sizeof text, "%s: no answer to the attempt to connect within %lld s",
             conn->where, (long long)(leat_pg_hosts_limit_ms(conn->hosts) / 1000));
    leat_pg_conn_place_failed(conn, text);
}

static void ask_first(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_CONNECTING);
    leat_pg_conn_enter(conn, CONN_ASKING);
    if (!leat_pg_conn_send_question(conn))
        leat_pg_conn_place_failed(conn, PQerrorMessage(conn->pg));
}

static void open_attempt(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_CONNECTING && conn->pg);
    int version = PQserverVersion(conn->pg);
    if (version < SERVER_VERSION_MIN) {
        char message[128];
        snprintf(message, sizeof message, "PostgreSQL 15 or later is needed, the server is %d",
                 version / 10000);
        leat_pg_conn_place_failed(conn, message);
        return;
    }
    if (PQsetnonblocking(conn->pg, 1) != 0 || !PQenterPipelineMode(conn->pg) ||
        leat_pg_conn_watch(conn, UV_READABLE) < 0) {
        leat_pg_conn_place_failed(conn, "the connection does not take pipeline mode");
        return;
    }
    PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);
    ask_first(conn);
}

/* A refusal is an answer too, unless it comes from another host of the DSN: that one tells nothing
 * about the server in use. */
static void refuse_attempt(leat_pg_conn *conn, bool has_bytes)
{
    LEAT_ASSERT(conn->state == CONN_CONNECTING);
    if (has_bytes && leat_pg_hosts_is_at_good(conn->hosts))
        conn->heard_us = leat_pg_conn_now_us(conn);
    leat_pg_conn_place_failed(conn, PQerrorMessage(conn->pg));
}

void leat_pg_conn_advance(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_CONNECTING && conn->pg && conn->poll);
    bool has_bytes = recv(PQsocket(conn->pg), &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    /* libpq may close this very socket: the loop must not watch it meanwhile. */
    uv_poll_stop(conn->poll);
    conn->poll_events = 0;
    PostgresPollingStatusType status = PQconnectPoll(conn->pg);
    if (status == PGRES_POLLING_OK)
        open_attempt(conn);
    else if (status == PGRES_POLLING_FAILED)
        refuse_attempt(conn, has_bytes);
    else if (leat_pg_conn_watch(conn, status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE) <
             0)
        leat_pg_conn_place_failed(conn, "the socket cannot be watched");
}

static void name_place(leat_pg_conn *conn, const leat_pg_place *place)
{
    const char *host = place->host ? place->host : place->hostaddr,
               *address = place->host ? place->hostaddr : NULL;
    snprintf(conn->where, sizeof conn->where, "%.140s%s%.63s%s%s%.8s",
             host ? host : "the local socket", address ? " (" : "", address ? address : "",
             address ? ")" : "", place->port ? ", port " : "", place->port ? place->port : "");
}

/* True: it is under way. */
static bool start_at(leat_pg_conn *conn, const leat_pg_place *place)
{
    LEAT_ASSERT(!conn->pg);
    name_place(conn, place);
    leat_pg_conn_forget_error(conn);
    leat_pg_conn_enter(conn, CONN_CONNECTING);
    conn->since_us = leat_pg_conn_now_us(conn);
    conn->pg = leat_pg_hosts_connect(conn->hosts, place);
    if (conn->pg) {
        PQsetNoticeReceiver(conn->pg, on_notice, conn);
        PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);
    }
    if (conn->pg && PQstatus(conn->pg) != CONNECTION_BAD &&
        leat_pg_conn_watch(conn, UV_WRITABLE) == 0)
        return true;
    const char *message = !conn->pg ? "out of memory" : PQerrorMessage(conn->pg);
    leat_pg_hosts_append(conn->message, sizeof conn->message,
                         *message ? message : "the socket cannot be watched");
    leat_pg_conn_drop_server(conn);
    return false;
}

/* The attempt has failed everywhere; `closed` comes on a later turn. */
static void end_attempt(leat_pg_conn *conn)
{
    LEAT_ASSERT(!conn->pg);
    leat_pg_hosts_append_failures(conn->hosts, conn->message, sizeof conn->message);
    leat_pg_conn_enter(conn, CONN_BROKEN);
    conn->events.wake(conn->events.context);
}

static void wait_for_names(leat_pg_conn *conn)
{
    LEAT_ASSERT(!conn->pg);
    if (conn->state != CONN_LOOKUP)
        conn->since_us = leat_pg_conn_now_us(conn);
    leat_pg_conn_enter(conn, CONN_LOOKUP);
    if (leat_pg_conn_watch_fd(conn, leat_pg_hosts_fd(conn->hosts), UV_READABLE) == 0)
        return;
    leat_pg_hosts_append(conn->message, sizeof conn->message,
                         "the lookup of the host name cannot be watched");
    end_attempt(conn);
}

void leat_pg_conn_try_next(leat_pg_conn *conn)
{
    LEAT_ASSERT(!conn->pg && !conn->freed);
    leat_pg_place place;
    leat_pg_hosts_step step;
    while ((step = leat_pg_hosts_next(conn->hosts, &place)) == LEAT_PG_HOSTS_PLACE) {
        leat_pg_conn_unwatch(conn);
        if (start_at(conn, &place))
            return;
    }
    if (step == LEAT_PG_HOSTS_WAIT)
        wait_for_names(conn);
    else
        end_attempt(conn);
}

void leat_pg_conn_open(leat_pg_conn *conn)
{
    LEAT_ASSERT(conn->state == CONN_CLOSED && !conn->pg && !conn->freed);
    conn->message[0] = '\0';
    leat_pg_conn_forget_error(conn);
    leat_pg_hosts_begin(conn->hosts);
    leat_pg_conn_try_next(conn);
}
