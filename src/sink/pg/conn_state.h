/*
 * conn_state.h - the inside of a connection, shared by its life (conn.c), an attempt to connect
 * (conn_connect.c), and reading and writing (conn_io.c). Not for use elsewhere.
 */
#ifndef LEAT_SINK_PG_CONN_STATE_H
#define LEAT_SINK_PG_CONN_STATE_H

#include "sink/pg/conn.h"
#include "sink/pg/hosts.h"

typedef enum conn_state {
    CONN_CLOSED,
    CONN_LOOKUP,     /* host names are being looked up */
    CONN_CONNECTING, /* at one place */
    CONN_ASKING,     /* connected; the server has not identified itself yet */
    CONN_READY,
    CONN_BROKEN, /* failed inside a call; leat_pg_conn_settle closes it and reports it */
} conn_state;

struct leat_pg_conn {
    uv_loop_t *loop;
    leat_standstill *standstill;
    int64_t silence_us;
    leat_pg_hosts *hosts;
    leat_pg_conn_events events;
    conn_state state;
    PGconn *pg;
    uv_poll_t *poll; /* NULL: no socket is watched. Freed by its close callback */
    int poll_fd;
    int poll_events;     /* watched now; 0: stopped */
    uint32_t open_polls; /* handles the loop still knows */
    uint32_t open_syncs; /* sent, not answered */
    int64_t since_us;    /* of the attempt at one place; of the last answer or the first question */
    int64_t heard_us;    /* see leat_pg_conn_heard_us */
    uint32_t unacknowledged_ticks;
    bool is_pooled;
    leat_pg_server server;  /* see leat_pg_conn_server */
    bool is_asking;         /* results up to the next Sync identify the server */
    bool is_unfit;          /* its answer is of no use: the connection must end */
    bool has_server_answer; /* it has come, and `server_checked` has not been called */
    uint32_t question_at;   /* statements of the question that are answered */
    bool freed;
    char where[256];
    char server_error[512]; /* the last error of the server, unless a good result came after it */
    char sqlstate[6];       /* its code; "": none */
    char message[512];      /* the reason why it broke; of an attempt: a part for each place */
};

static inline int64_t leat_pg_conn_now_us(const leat_pg_conn *conn)
{
    return leat_standstill_now_us(conn->standstill);
}

static inline bool leat_pg_conn_is_attempt(const leat_pg_conn *conn)
{
    return conn->state == CONN_LOOKUP || conn->state == CONN_CONNECTING ||
           conn->state == CONN_ASKING;
}

static inline bool leat_pg_conn_is_connected(const leat_pg_conn *conn)
{
    return conn->state == CONN_ASKING || conn->state == CONN_READY;
}

/* ---- conn.c ---- */

/* The only way to change the state; asserts that the new one may follow. */
void leat_pg_conn_enter(leat_pg_conn *conn, conn_state state);

/* Watches libpq's socket, or another descriptor, for these events of libuv's. -1: it cannot. */
int leat_pg_conn_watch(leat_pg_conn *conn, int events);
int leat_pg_conn_watch_fd(leat_pg_conn *conn, int fd, int events);
void leat_pg_conn_unwatch(leat_pg_conn *conn);
/* Ends the connection to one place, however far it got; the state stays. */
void leat_pg_conn_drop_server(leat_pg_conn *conn);
/* Ends the connection and reports it now: only where a callback may free the connection. */
void leat_pg_conn_close(leat_pg_conn *conn, const char *message);

/* ---- conn_connect.c ---- */

/* One step of libpq's at the place that is being tried. */
void leat_pg_conn_advance(leat_pg_conn *conn);
/* Tries the next place, or ends the attempt where there is none. */
void leat_pg_conn_try_next(leat_pg_conn *conn);
/* The attempt at one place has failed, or has taken too long: the next one is tried. */
void leat_pg_conn_place_failed(leat_pg_conn *conn, const char *message);
void leat_pg_conn_place_silent(leat_pg_conn *conn);

/* ---- conn_io.c ---- */

/* The callback of the watched descriptor, in every state. */
void leat_pg_conn_on_poll(uv_poll_t *poll, int status, int events);
/* Keeps the server's reason for an error. */
void leat_pg_conn_keep_error(leat_pg_conn *conn, const PGresult *error);
void leat_pg_conn_forget_error(leat_pg_conn *conn);
/* Sends the question which server this is, and its Sync. */
bool leat_pg_conn_send_question(leat_pg_conn *conn);

#endif
