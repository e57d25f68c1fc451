/*
 * writer.h - the writer's state, shared by writer.c, writer_*.c, topic_watch.c and refusals.c.
 */
#ifndef LEAT_LOG_KAFKA_WRITER_H
#define LEAT_LOG_KAFKA_WRITER_H

#include "base/shares.h"
#include "log/kafka/flight.h"
#include "log/kafka/hold.h"
#include "log/kafka/kafka.h"
#include "log/kafka/topic_guard.h"

enum {
    LEAT_WRITER_ASK_MS = 3000,
    LEAT_WRITER_NUMBER_SIZE = 32,
    LEAT_WRITER_WHY_SIZE = 320,
};

typedef struct leat_writer_slot {
    void *tag;
    int64_t since_us;
    uint32_t partition;
    size_t size;                    /* of the record, as the client counts it */
    struct leat_writer_slot *older; /* of the same partition */
    struct leat_writer_slot *newer; /* or the next free one */
    leat_topic_ack ack;             /* acknowledged, waits for a check of the topic */
    bool is_given;                  /* the client has it */
    rd_kafka_resp_err_t unsent_for; /* the client has not taken it, and it is not answered yet */
    struct leat_writer_slot *next;  /* of those acknowledged, or not taken */
} leat_writer_slot;

typedef enum leat_writer_fault {
    LEAT_WRITER_NO_FAULT,
    LEAT_WRITER_NO_LEADER,
    LEAT_WRITER_TOO_FEW_REPLICAS
} leat_writer_fault;

typedef struct leat_writer_partition {
    leat_writer_slot *oldest;
    leat_writer_slot *newest;
    uint64_t bytes;          /* of those that wait */
    leat_writer_fault fault; /* by the last check */
    int64_t fault_us;        /* since when */
    int64_t fault_ms;        /* the same by the wall clock */
    uint32_t in_sync;        /* replicas, by the last check */
    leat_hold hold;
    leat_flight flight; /* of those that the client has */
    bool is_holding;    /* it is in writer->holding */
} leat_writer_partition;

/*
 * The states of a client:
 *
 *   GIVEN_UP --another client is made--> OPEN --it must end--> RENEWING
 *      ^                                                          |
 *      +--------------------- all is answered --------------------+
 *
 * A topic that is not the right one (`wrong`) is not a state: it ends the client that may have
 * records for the other topic, but the next client waits for the right one in OPEN.
 */
typedef enum leat_writer_state {
    LEAT_WRITER_GIVEN_UP, /* no client, or one whose answers no longer count: all its records have
                             been answered */
    LEAT_WRITER_OPEN,
    LEAT_WRITER_RENEWING, /* nothing is taken; waiting records still get their answers, for a while
                           */
} leat_writer_state;

/* The refusals for one cause. */
typedef struct leat_writer_refusals {
    uint64_t count;
    uint64_t logged;   /* of them, with a log line */
    int64_t logged_us; /* 0: never */
    int64_t last_us;
    char reason[LEAT_WRITER_WHY_SIZE]; /* of the last one */
} leat_writer_refusals;

/* A question for the topic that is out, or was. */
typedef struct leat_writer_check {
    int32_t broker; /* LEAT_GUARD_ANY: any */
    bool is_out;
    int64_t begun_us; /* 0: never */
} leat_writer_check;

typedef struct leat_kafka_writer {
    leat_log_writer base;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t turn;  /* active: some records are to be looked at before the loop sleeps */
    uv_poll_t alarm; /* of alarm_fd */
    uint32_t open_handles;
    leat_log_config config;   /* a copy: a client may have to be recreated */
    uint32_t user_properties; /* of config; our batch.size may follow them */
    char batch_size[LEAT_WRITER_NUMBER_SIZE];
    leat_appended_cb on_appended;
    void *context;
    leat_kafka_client *client; /* NULL: could not be recreated yet */
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *reports; /* delivery reports and errors */
    rd_kafka_queue_t *answers; /* about the topic and its settings */
    int wake_fd;
    leat_writer_slot *slots; /* [slot_count]; those from slots_used on were never used */
    leat_writer_slot *free_slots;
    size_t slot_count;
    size_t slots_used;
    leat_writer_partition *partitions; /* as many as were seen or set up */
    uint32_t partition_count;
    leat_shares bytes; /* the client's queue.buffering.max.kbytes, divided among the partitions */
    size_t waiting;
    int64_t sign_us; /* when the brokers last showed that they serve the topic; 0: not since they
                        failed */
    leat_writer_state state;
    int64_t state_us; /* when it was entered */
    leat_kafka_pulse pulse;
    char failed[LEAT_LOG_WHY_SIZE]; /* why the writer gave up; "": it has not */
    long record_max;                /* the client's own limit, message.max.bytes */
    long limit;                     /* the topic's max.message.bytes; 0: not known */
    long min_in_sync;               /* the topic's min.insync.replicas; 0: not known */
    bool limit_asked;
    bool limit_refused; /* the brokers do not report it */

    /* ---- writer_send.c ---- */
    int64_t linger_us; /* the client's */
    int64_t hold_us;   /* the longest that a record is held for others: where the client does not */
    int alarm_fd;
    int64_t alarm_us;  /* it is set for then; 0: it is not */
    uint32_t *holding; /* partitions that may hold records; room for partition_count */
    uint32_t holding_count;
    leat_writer_slot *unsent; /* not taken by the client, and not answered yet */
    leat_writer_slot **unsent_end;

    /* ---- topic_watch.c ---- */
    leat_log_identity identity; /* the identity to be found; partition_count 0: the first one found
                                 */
    leat_topic_guard guard;
    leat_writer_check checks[1 + LEAT_GUARD_BROKERS]; /* the first: the regular one, at any broker
                                                       */
    /* those that wait for a check, in the order of their acknowledgements */
    leat_writer_slot *acked;
    leat_writer_slot **acked_end;
    char wrong[LEAT_WRITER_WHY_SIZE]; /* why the last check did not find the right topic; "": it did
                                       */
    int64_t wrong_since_ms;
    bool growth_logged;
    bool clock_logged;

    /* ---- refusals.c ---- */
    leat_writer_refusals refusals[LEAT_REFUSAL_COUNT];
    uint32_t refused; /* in a row, nothing stored in between, of partitions without a known fault */
    leat_log_refusal refused_for; /* the last of them */
    int64_t refused_us;
    char refusal[LEAT_WRITER_WHY_SIZE];
    char fault_reason[LEAT_WRITER_WHY_SIZE];
} leat_kafka_writer;

/* ---- writer.c ---- */

/* Gives the slot back. `why` NULL: it is stored. */
void leat_writer_answer(leat_kafka_writer *writer, leat_writer_slot *slot,
                        leat_append_result result, uint32_t partition, int64_t offset,
                        const char *why);
/* Answers all waiting records as unknown. */
void leat_writer_answer_rest(leat_kafka_writer *writer);

/* ---- writer_slots.c ---- */

int leat_writer_make_slots(leat_kafka_writer *writer, leat_error *error) LEAT_MUST_CHECK;
void leat_writer_free_slots(leat_kafka_writer *writer);
/* NULL: no slot is left for the partition, or for anyone, for now. */
leat_writer_slot *leat_writer_take_slot(leat_kafka_writer *writer, const leat_record *record,
                                        void *tag);
void leat_writer_give_slot(leat_kafka_writer *writer, leat_writer_slot *slot);

/* ---- writer_send.c ---- */

#define LEAT_WRITER_FULL "too many writes wait for the log"

/* `conf`: as configured. */
int leat_writer_send_init(leat_kafka_writer *writer, const rd_kafka_conf_t *conf,
                          leat_error *error) LEAT_MUST_CHECK;
/* Its handles are on the loop. */
void leat_writer_send_start(leat_kafka_writer *writer);
void leat_writer_send_fini(leat_kafka_writer *writer);
/* The client has it no longer, if it had it. */
void leat_writer_note_end(leat_kafka_writer *writer, leat_writer_slot *slot);
/* Takes the record on its way to the client. As of leat_log_append; unless 0, the slot is still the
 * caller's. */
int leat_writer_send(leat_kafka_writer *writer, const leat_record *record, leat_writer_slot *slot,
                     leat_error *error) LEAT_MUST_CHECK;
/* Some records were answered: the client may have room for those that are held. */
void leat_writer_look_soon(leat_kafka_writer *writer);
/* The client gets all that is held now; what it has no room for is answered in the next turn: it is
 * certainly not stored. */
void leat_writer_hand_over_all(leat_kafka_writer *writer);
/* It gets none of it, and all is answered in the next turn: it is certainly not stored. */
void leat_writer_give_up_held(leat_kafka_writer *writer);
/* Answers what the client has not taken. */
void leat_writer_answer_unsent(leat_kafka_writer *writer);

/* ---- writer_client.c ---- */

int leat_writer_open_client(leat_kafka_writer *writer, leat_error *error) LEAT_MUST_CHECK;
/* `timeout_ms` 0: does not wait until the client is gone. */
void leat_writer_close_client(leat_kafka_writer *writer, int timeout_ms);
/* A number of the client's configuration; -1: there is none. */
long leat_writer_config_number(const leat_kafka_writer *writer, const char *name);
/* Makes the client give up its records; the answers come as its reports. */
void leat_writer_purge(leat_kafka_writer *writer);
/* Nothing is accepted until another client is in place; this one still answers the records that
 * wait. */
void leat_writer_begin_renewal(leat_kafka_writer *writer);
/* Also gives up the records that wait in the client. */
void leat_writer_renew(leat_kafka_writer *writer);
void leat_writer_on_fatal(leat_kafka_writer *writer, const char *text);
void leat_writer_continue_renewal(leat_kafka_writer *writer);

/* ---- writer_limit.c ---- */

/* Asks for the topic's settings unless they are known. */
void leat_writer_ask_limit(leat_kafka_writer *writer);
/* Asks for them although they are, as far as the brokers report them. */
void leat_writer_ask_limit_again(leat_kafka_writer *writer);
void leat_writer_on_settings(leat_kafka_writer *writer, rd_kafka_event_t *event);

/* ---- topic_watch.c ---- */

enum { LEAT_WRITER_SIGN_US = 6 * 1000 * 1000 }; /* an older sign of the brokers no longer counts */

void leat_writer_watch_init(leat_kafka_writer *writer, const leat_log_identity *identity);
void leat_writer_watch_fini(leat_kafka_writer *writer);
/* A new client: no question is out. */
void leat_writer_watch_begin(leat_kafka_writer *writer);
/* The brokers acknowledged this one: answers it, or has it wait for a check. */
void leat_writer_on_stored(leat_kafka_writer *writer, const rd_kafka_message_t *report,
                           int64_t now_us);
/* May this error mean that the topic is another? */
bool leat_writer_is_suspicious(rd_kafka_resp_err_t code);
/* If so, the topic is checked. */
void leat_writer_note_suspicion(leat_kafka_writer *writer, rd_kafka_resp_err_t code);
void leat_writer_on_topic(leat_kafka_writer *writer, rd_kafka_event_t *event);
/* Gives up the records that wait for a check. */
void leat_writer_give_up_acked(leat_kafka_writer *writer, const char *why);
void leat_writer_watch_tick(leat_kafka_writer *writer, int64_t now_us);
void leat_kafka_writer_health(const leat_log_writer *writer, leat_log_health *ret);
const char *leat_kafka_writer_failed(const leat_log_writer *writer);

/* ---- refusals.c ---- */

/* The brokers did not take this one, or the client for them; it is answered by the caller, with the
 * reason that this returns. Valid until the next. */
const char *leat_writer_on_refused(leat_kafka_writer *writer, const leat_writer_slot *slot,
                                   rd_kafka_resp_err_t code);
/* One was stored. */
void leat_writer_note_taken(leat_kafka_writer *writer);
/* The partitions as a check found them. */
void leat_writer_check_partitions(leat_kafka_writer *writer, rd_kafka_event_t *event);
void leat_writer_refusals_tick(leat_kafka_writer *writer, int64_t now_us);
const char *leat_kafka_writer_trouble(leat_log_writer *writer);
const char *leat_kafka_writer_partition_trouble(leat_log_writer *writer, uint32_t partition);
uint64_t leat_kafka_writer_refusals(const leat_log_writer *writer, leat_log_refusal cause);
const char *leat_kafka_writer_refusal_reason(const leat_log_writer *writer, leat_log_refusal cause);

#endif
