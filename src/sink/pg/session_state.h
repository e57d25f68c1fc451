/*
 * session_state.h - the inside of a session, shared by its life and the end of a job (session.c),
 * the sending of a job (session_send.c, session_kept.c) and the reading of answers
 * (session_receive.c). Not for use elsewhere.
 */
#ifndef LEAT_SINK_PG_SESSION_STATE_H
#define LEAT_SINK_PG_SESSION_STATE_H

#include "sink/pg/params.h"
#include "sink/pg/session.h"

typedef enum command_kind {
    COMMAND_PREPARE, /* a row statement, or advance */
    COMMAND_ADVANCE,
    COMMAND_ENTER, /* in place of the above: a write that is in no log */
    COMMAND_UNPARK,
    COMMAND_PARK,
    COMMAND_KEYS,    /* holds a key, keeps records of held ones, or checks that they are not */
    COMMAND_NOTE,    /* notes idempotency keys, or checks those of repeats */
    COMMAND_RETRY,   /* takes a held key */
    COMMAND_RETRIED, /* and says whether it still is */
    COMMAND_LOAD,
    COMMAND_KEPT,     /* loads what is kept of a held key */
    COMMAND_SETTINGS, /* for the row statement after it */
    COMMAND_ROWS,     /* a row statement */
    COMMAND_MISSING,  /* counts the rows that the row statement after it drops */
    COMMAND_DEAD_LETTER,
    COMMAND_CLAIM,
    COMMAND_PROGRESS,
    COMMAND_PARKED,
    COMMAND_HELD,
    COMMAND_CONTROLS,
    COMMAND_KEEP, /* of a record that is left out */
    COMMAND_COMPACT,
    COMMAND_TERMINATE,
    COMMAND_IS_PRIMARY_KEY,
    COMMAND_CONFIRM, /* that a key is noted, and that is durable */
    COMMAND_ISOLATION,
    COMMAND_SYNC,
    COMMAND_COUNT,
} command_kind;

typedef struct job_command {
    command_kind kind;
    /* PREPARE, ROWS, MISSING: its number; ADVANCE_NUMBER for advance, and so on */
    uint32_t statement;
    uint32_t partition; /* ADVANCE */
} job_command;

enum {
    ADVANCE_NUMBER = LEAT_SHAPES_LIMIT, /* after the row statements */
    ADVANCE_ASYNC_NUMBER,
    ENTER_NUMBER,
    PLAN_ROWS_NUMBER,
    PLAN_PLAINLY_NUMBER,
    PARK_NUMBER,
    UNPARK_NUMBER,
    LOAD_NUMBER,
    KEEP_NUMBER,
    NOTE_NUMBER,
    NOTE_NOW_NUMBER,
    REPEATS_NUMBER,
    MISSING_NUMBERS, /* one a route */
    STATEMENTS_MAX = MISSING_NUMBERS + LEAT_ROUTES_MAX,
    NAME_SIZE = 40,
    PARSES_MAX = 1000, /* each costs the backend a plan: a connection that has had this many is
                          replaced */
    COMMANDS_FEW = 7,  /* of a claim, a compaction, a question; of a batch without its parts and
                          rows */
};

/* A job goes down this list, and from ANSWERED once back to SENT when it asks a question. */
typedef enum session_state {
    SESSION_IDLE,
    SESSION_SENT,     /* its Sync is not answered yet */
    SESSION_ANSWERED, /* it is */
    SESSION_OVER,     /* the result can be taken */
} session_state;

typedef enum question { ASK_NOTHING, ASK_TERMINATE, ASK_PRIMARY_KEY, ASK_CONFIRM } question;

/* The parameters of the question after the primary key. */
enum {
    CONSTRAINT_SCHEMA,
    CONSTRAINT_TABLE, /* of a partitioned table: the partition */
    CONSTRAINT_NAME,
    WRITTEN_SCHEMA, /* "" with the next: any table will do */
    WRITTEN_TABLE,
    CONSTRAINT_PARTS,
};

typedef enum preparation { UNPREPARED, PREPARE_SENT, PREPARED } preparation;

struct leat_pg_session {
    leat_pg_shared *shared;
    leat_pg_session_events events;
    leat_pg_conn *conn;
    session_state state;
    bool is_unusable;

    leat_shapes *shapes; /* the set that the numbers refer to; held, NULL before the first batch */
    uint8_t prepared[STATEMENTS_MAX]; /* preparation, by statement number */
    uint32_t names[STATEMENTS_MAX];   /* the second number of the name it was prepared under last */
    uint64_t name_key; /* the first number of all names: random, another with each opening */
    uint32_t parses;   /* names given on this connection */
    bool forget;       /* everything prepared is to be prepared again */
    bool is_nameless;  /* this job is sent without names */

    job_command *commands;
    uint32_t command_count;
    uint32_t command_capacity;
    uint32_t answered; /* commands whose results have ended */

    const leat_sink_direct *direct; /* of the job that is being sent; NULL: it is an engine's */
    bool is_direct;                 /* the same, until it is over */
    leat_write_id key;              /* its idempotency key, where it has one */
    uint32_t job_id;
    leat_engine_job_kind kind;
    uint32_t partition;
    uint32_t row_count;
    uint64_t dropped_count;
    uint32_t record_count; /* of the batch */
    leat_engine_known known[LEAT_PG_KNOWN_MAX];
    bool failed;
    bool sets_isolation; /* the job's transaction sets READ COMMITTED itself */
    leat_engine_job_result result;
    question question; /* to be asked once the Sync is answered */
    bool is_asking;    /* it has been sent */
    char constraint[CONSTRAINT_PARTS][LEAT_NAME_MAX + 1]; /* the constraint that a unique violation
                                                             named, and the table written */

    bool knows_server; /* `server` is where the job's own transaction ran, by its own result */
    leat_pg_server server;

    bool claim_read; /* the row of leat.take is in `progress` */
    leat_engine_progress progress;
    bool parked_read;           /* the answer of leat.parked_totals is in the next two */
    leat_engine_parked *parked; /* of the last claim, allocated */
    uint32_t parked_count;
    bool held_read; /* that of leat.held_keys, likewise */
    leat_engine_held *held;
    uint32_t held_count;
    leat_engine_chunk *chunk;   /* of the load, allocated; NULL: none */
    uint32_t kept_count;        /* > 0: `chunk` are as many, records of a held key */
    int64_t *progress_memory;   /* of its arrays */
    int64_t *base_offsets;      /* [subpartitions]: as a claim is read */
    leat_control_set *controls; /* what a claim has found; NULL: nothing yet. Owned */
    int64_t controls_us;        /* when it was sent */
    leat_pg_params params;
};

/* The only way to change the state; asserts that the new one may follow. */
void leat_pg_session_enter(leat_pg_session *session, session_state state);
/* The first failure of a job is its result. */
void leat_pg_session_fail(leat_pg_session *session, leat_engine_outcome outcome,
                          const char *sqlstate, const char *message);
/* Sends a call with the parameters of the session: prepared, by the number of the command, or as it
 * is. */
void leat_pg_session_call(leat_pg_session *session, job_command command, const char *sql);
void leat_pg_session_query(leat_pg_session *session, command_kind kind, const char *sql);
/* session_write.c: what such a write begins with. */
void leat_pg_session_send_enter(leat_pg_session *session, int64_t lock_timeout_ms);
/* session_kept.c: a dead letter; the letters of records that are left out. */
void leat_pg_session_send_letter(leat_pg_session *session, const leat_engine_batch *batch);
void leat_pg_session_send_left_out(leat_pg_session *session, const leat_engine_batch *batch);
/* What a batch does about held and idempotency keys before its rows, and after them; and the most
 * commands that these are. */
uint32_t leat_pg_session_keys_most(const leat_engine_batch *batch);
void leat_pg_session_send_keys(leat_pg_session *session, const leat_engine_batch *batch,
                               int64_t lock_timeout_ms);
void leat_pg_session_send_notes(leat_pg_session *session, const leat_engine_batch *batch);
/* After LT010 or LT012: which records of the batch are repeats, or are none. */
void leat_pg_session_take_known(leat_pg_session *session, const PGresult *error);
void leat_pg_session_send_retried(leat_pg_session *session, const leat_engine_batch *batch);
/* Sends the question that a failure asks, in a transaction of its own. */
void leat_pg_session_ask(leat_pg_session *session);
/* One result of the connection, NULL at the end of each command: leat_pg_conn_events.result. */
void leat_pg_session_on_result(void *context, const PGresult *result);

#endif
