/*
 * pool_state.h - the inside of a pool, shared by its jobs and its life (pool.c), its connections
 * (pool_connect.c), the watch for silence (pool_silence.c) and its log lines (pool_log.c). Not for
 * use elsewhere.
 */
#ifndef LEAT_SINK_PG_POOL_STATE_H
#define LEAT_SINK_PG_POOL_STATE_H

#include "base/rate_limit.h"
#include "sink/pg/conn.h"
#include "sink/pg/session.h"
#include "sink/sink_ops.h"

/* The state of the connections that was last logged, so that each change is logged once. */
typedef enum logged { LOGGED_NOTHING, LOGGED_ALL, LOGGED_SOME, LOGGED_NONE } logged;

typedef struct leat_pg_pool leat_pg_pool;

/* CLOSED -> CONNECTING -> USABLE -> CLOSED; LEAVING is a usable one on its way to CLOSED. */
typedef enum leat_member_state {
    LEAT_MEMBER_CLOSED,
    LEAT_MEMBER_CONNECTING, /* one at a time, so that a database that comes back is not overrun */
    LEAT_MEMBER_USABLE,
    LEAT_MEMBER_LEAVING, /* ended with all others, which is reported once, as a whole */
} leat_member_state;

typedef struct leat_pg_member {
    leat_pg_pool *pool;
    leat_pg_session *session;
    leat_pg_conn *conn; /* the session's */
    leat_member_state state;
    bool has_served; /* a job was answered on this connection */
    int64_t opened_us;
} leat_pg_member;

struct leat_pg_pool {
    leat_sink base;
    leat_sink_events events;
    leat_pg_shared shared;
    char *shard_name;
    leat_prng prng;

    uint32_t member_count;
    leat_pg_member *members;
    uint32_t allowed;           /* of them, at least 1; the others stay or become closed */
    bool limit_changed;         /* and was not acted upon */
    uint32_t usable;            /* members in that state */
    leat_pg_member *connecting; /* the member in that state; NULL: none */
    uint32_t failures;          /* in a row */
    logged logged;
    char trouble[512];     /* of the connections, last */
    int64_t none_since_us; /* no usable connection; 0: there is one */
    leat_rate_limit rate_limit;

    leat_pg_conn *probe; /* opened only for a question when no connection is idle */
    bool is_pooled;
    int64_t silent_since_us;  /* 0: it answers, or does not owe an answer */
    int64_t questioned_us;    /* since when a question has been waiting too; 0: none has */
    int64_t logged_silent_us; /* 0: not logged */

    bool knows_server;
    leat_pg_server server; /* of the connections that are usable or were so last */
    uint64_t heard_ms;     /* when it last showed that, or was asked */
    uint64_t nameless_ms;  /* since when no names are used; 0: they are */
    bool has_logged_nameless;

    uint32_t orphan_count;
    uint32_t *orphans; /* jobs submitted before the loss of their connection was reported */

    uv_timer_t tick;
    uv_timer_t retry;
    uv_idle_t turn; /* runs once when something is to be reported outside of a call */
    bool freed;
    uint32_t open_handles; /* of the pool and of its connections */
};

/* ---- pool.c ---- */

/* There is something to report: that happens on a later turn of the loop. */
void leat_pg_pool_want_turn(leat_pg_pool *pool);
/* Hands over the result of the member's job, which is over. May free the pool. */
void leat_pg_pool_report(leat_pg_member *member);
/* Can it take a job? */
bool leat_pg_pool_is_free(const leat_pg_member *member);
/* One of the pool's handles is closed; the last one frees the pool. */
void leat_pg_pool_forget_handle(leat_pg_pool *pool);

/* ---- pool_connect.c ---- */

/* The events of a member's session. Both may free the pool. */
void leat_pg_pool_on_opened(void *context);
void leat_pg_pool_on_closed(void *context, const char *sqlstate, const char *message);
/* More connections than are allowed may be open: on a later turn of the loop they are closed. */
void leat_pg_pool_keep_limit(leat_pg_pool *pool);
/* Closes those above the limit that are free, opens one where one is missing, and reports how many
 * there are. May free the pool. */
void leat_pg_pool_meet_limit(leat_pg_pool *pool);
/* How many jobs it takes at once. */
uint32_t leat_pg_pool_slots(const leat_pg_pool *pool);
/* Opens a connection where one is missing, with back-off. */
void leat_pg_pool_want_connection(leat_pg_pool *pool);
/* `server` has answered on an open connection: when it is another one than before, all that are
 * open are ended. May free the pool. */
void leat_pg_pool_check_server(leat_pg_pool *pool, const leat_pg_server *server);
/* Ends all open connections and reports that there is none. May free the pool. */
void leat_pg_pool_leave_server(leat_pg_pool *pool, const char *message);
/* Names are tried again now and then, and when the pooler may be another. */
void leat_pg_pool_use_names(leat_pg_pool *pool);

/* ---- pool_silence.c ---- */

void leat_pg_pool_make_probe(leat_pg_pool *pool);
/* Both are called by each tick; the first may free the pool. */
void leat_pg_pool_watch_silence(leat_pg_pool *pool, int64_t now_us);
void leat_pg_pool_ask_which_server(leat_pg_pool *pool);

/* ---- pool_log.c ---- */

void leat_pg_pool_log_trouble(leat_pg_pool *pool, const char *message);
void leat_pg_pool_log_none(leat_pg_pool *pool, int64_t now_us);
void leat_pg_pool_log_connected(leat_pg_pool *pool);
void leat_pg_pool_log_failure(leat_pg_pool *pool, const leat_pg_member *member,
                              const leat_engine_job_result *result);
void leat_pg_pool_log_other_server(leat_pg_pool *pool);
void leat_pg_pool_log_nameless(leat_pg_pool *pool);
void leat_pg_pool_log_silent(leat_pg_pool *pool, uint32_t due, int64_t silent_us, int64_t now_us);

#endif
