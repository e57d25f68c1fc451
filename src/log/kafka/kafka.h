/*
 * kafka.h - declarations that the files of Kafka's side share; nothing outside src/log/kafka
 * includes it.
 *
 *   conf.c         leat's settings for librdkafka, and which of them a user may not change
 *   client.c       one rd_kafka_t: its log lines and errors, wake-ups, a destroy that never hangs
 *   liveness.c     do the brokers answer a client? What is logged when they do not
 *   ask.c          questions to the brokers (topic, offsets, settings) and their answers
 *   admin.c        the same, blocking; ends with the table of the role, as writer.c and reader.c do
 *   ahead.c        the records ahead of an offset, blocking
 *   walk.c         records read again, blocking
 *   writer.c       the writer: life, records, answers
 *   writer_send.c  the writer: a record on its way into its client
 *   hold.c         the writer: when records of a partition go, and which go together
 *   flight.c       the writer: whether the client is given more of a partition
 *   writer_slots.c   the writer: a slot for each record that waits
 *   writer_client.c  the writer: its client, and the next one
 *   writer_limit.c   the writer: how large a record may be
 *   topic_watch.c  the writer: is it still the right topic?
 *   topic_guard.c  the writer: is an acknowledged record really stored?
 *   refusals.c     the writer: which partitions take nothing, which records are refused and why
 *   reader.c       the reader: life, loop turn, records
 *   part.c         the reader: the life of one partition
 *   renew.c        the reader: no answers, or no partitions: another client takes its place
 *   rebalance.c    the reader: partitions given, wanted back, lost
 *   range.c        the reader: seek; is the log lost or cut off?
 *   fetch_error.c  the reader: errors of a partition
 *   ends.c         the reader: how far the log goes, and open transactions
 *   commit.c       the reader: commits, and what they show of our membership
 *   headers.c      the reader: a record's headers in JSON
 *   watchdog.c     a trouble that should pass, and the action when it does not
 */
#ifndef LEAT_LOG_KAFKA_KAFKA_H
#define LEAT_LOG_KAFKA_KAFKA_H

#include <pthread.h>

#include <librdkafka/rdkafka.h>

#include "base/diag.h"
#include "base/rate_limit.h"
#include "log/log_ops.h"
#include "log/kafka/watchdog.h"

/* ---- conf.c ---- */

typedef enum leat_kafka_kind {
    LEAT_KAFKA_ADMIN = 1,
    LEAT_KAFKA_WRITER = 2,
    LEAT_KAFKA_READER = 4,
    /* joins no group, and reports the end of a partition */
    LEAT_KAFKA_PROBE = LEAT_KAFKA_READER | 8,
    LEAT_KAFKA_PROBE_UNCOMMITTED = LEAT_KAFKA_PROBE | 16,
} leat_kafka_kind;

/* leat's settings, then the user's. NULL and a message that names the property when one is refused
 * or unknown. */
rd_kafka_conf_t *leat_kafka_conf(leat_kafka_kind kind, const leat_log_config *config,
                                 leat_error *error);
/* group.protocol=consumer: the brokers divide the partitions, not a member. */
bool leat_kafka_wants_consumer_protocol(const leat_log_config *config);

int leat_kafka_check(const leat_log_config *config, leat_error *error) LEAT_MUST_CHECK;

/* Takes the constness off memory that is the caller's own, or that librdkafka only reads. */
static inline void *leat_kafka_unconst(const void *memory)
{
    return (void *)(uintptr_t)memory;
}

/* A copy that owns all it points at, with room for one property after the user's. */
leat_log_config leat_kafka_config_copy(const leat_log_config *from);
void leat_kafka_config_free(leat_log_config *config, uint32_t user_properties);

/* ---- client.c ---- */

typedef struct leat_kafka_client {
    rd_kafka_t *rk;
    const char *label;      /* "writer", "reader", "admin" */
    leat_rate_limit errors; /* logged, by their code */
    pthread_mutex_t lock;   /* of the fields below: librdkafka logs from its own threads */
    int64_t log_window_us;
    uint32_t log_lines;
    uint32_t log_dropped;
} leat_kafka_client;

/* `events`: RD_KAFKA_EVENT_* to have as events. */
leat_kafka_client *leat_kafka_client_new(leat_kafka_kind kind, const leat_log_config *config,
                                         int events, leat_error *error);
/* Destroys in a thread of its own and waits for it up to `timeout_ms`; after that the thread goes
 * on alone. Every queue and message must have been given back. */
void leat_kafka_client_free(leat_kafka_client *client, int timeout_ms);
/* Clients of this process that are being destroyed still, bounded by LEAT_KAFKA_LEAVING_MAX by
 * the part that replaces one: one that never ends keeps its threads. */
uint32_t leat_kafka_clients_leaving(void);
/* Text to append to the error: the right that a reader or writer lacks; "" when it is another
 * error. */
const char *leat_kafka_missing_right(const leat_kafka_client *client, rd_kafka_resp_err_t code);
/* Logs an error, at most once a minute for each code; names the right when one is missing. */
void leat_kafka_log_error(leat_kafka_client *client, rd_kafka_resp_err_t code, const char *text);

/* An eventfd for wake-ups, or -1. */
int leat_kafka_wake_new(leat_error *error);
/* The queue writes to the eventfd when it stops being empty. */
void leat_kafka_wake_by(rd_kafka_queue_t *queue, int fd);
/* Wakes the loop ourselves: more is waiting than one turn took. */
void leat_kafka_wake(int fd);
void leat_kafka_wake_clear(int fd);

/* ---- liveness.c ---- */

enum { LEAT_KAFKA_LEAVING_MAX = 16 };

/* Whether the brokers answer one client. */
typedef struct leat_kafka_pulse {
    leat_watchdog dog;
    const char *label; /* of the client */
    const char *brokers;
    const char *topic;
    int64_t offered_us; /* the brokers' addresses, to a client that gets no answers */
    uint32_t renewals;  /* clients that were replaced, for whatever reason */
} leat_kafka_pulse;

/* The configuration outlives it; `silent_us`: no answer for up to this long is not yet a
 * trouble. */
void leat_kafka_pulse_init(leat_kafka_pulse *pulse, const char *label,
                           const leat_log_config *config, int64_t silent_us);
/* Call it with each answer to a question. If it comes from a broker and not from the client's own
 * clock, the brokers answer. */
void leat_kafka_pulse_event(leat_kafka_pulse *pulse, rd_kafka_event_t *event);
void leat_kafka_pulse_answered(leat_kafka_pulse *pulse);
/* Logs silence, and while it lasts has the client `rk` (NULL: none) begin
 * again from the configured brokers. Returns leat_watchdog_action without LEAT_WATCHDOG_LOG. */
unsigned leat_kafka_pulse_check(leat_kafka_pulse *pulse, rd_kafka_t *rk, int64_t now_us);
/* Fills `ret` when they do not answer; otherwise sets only its count. */
void leat_kafka_pulse_health(const leat_kafka_pulse *pulse, leat_log_health *ret);

/* ---- fetched.c ---- */

/* A message without an error; its bytes are borrowed. */
leat_record leat_kafka_record(uint32_t partition, const rd_kafka_message_t *message);

/* ---- headers.c ---- */

int leat_kafka_headers(leat_log_reader *reader, void *log_handle, leat_buf *out) LEAT_MUST_CHECK;
/* leat_log_headers of these; NULL: there are none. */
int leat_kafka_pack_headers(const rd_kafka_headers_t *headers, leat_buf *out) LEAT_MUST_CHECK;

/* ---- ask.c: the answer comes as an event on `queue` with `opaque` ---- */

typedef struct leat_kafka_topic {
    char topic_id[64];
    uint32_t partition_count;
    uint32_t leaderless; /* partitions without a leader now */
} leat_kafka_topic;

typedef struct leat_kafka_partition {
    bool has_leader;
    uint32_t in_sync; /* replicas */
} leat_kafka_partition;

/* Of a question; to be destroyed. */
rd_kafka_AdminOptions_t *leat_kafka_options_new(rd_kafka_t *rk, rd_kafka_admin_op_t op,
                                                int timeout_ms, void *opaque);
void leat_kafka_ask_topic(rd_kafka_t *rk, const char *topic, int timeout_ms, void *opaque,
                          rd_kafka_queue_t *queue);
/* Asks that broker; -1: any. */
void leat_kafka_ask_topic_at(rd_kafka_t *rk, int32_t broker, const char *topic, int timeout_ms,
                             void *opaque, rd_kafka_queue_t *queue);
/* Does the error mean that there is no such topic? */
bool leat_kafka_is_unknown_topic(rd_kafka_resp_err_t code);
/* By their ids; a broker without topic ids gives none, or zeros. */
bool leat_kafka_is_other_topic(const char *wanted_id, const char *found_id);
/* The topic's settings. */
void leat_kafka_ask_settings(rd_kafka_t *rk, const char *topic, int timeout_ms, void *opaque,
                             rd_kafka_queue_t *queue);
/* `spec`: earliest or latest, of the listed partitions (their offsets are overwritten). Read
 * committed, the latest is where the first open transaction begins. */
void leat_kafka_ask_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions,
                            rd_kafka_OffsetSpec_t spec, rd_kafka_IsolationLevel_t isolation,
                            int timeout_ms, void *opaque, rd_kafka_queue_t *queue);
/* The operation that is to be granted, as text to follow the error; "" when no right is
 * missing. */
const char *leat_kafka_grant(rd_kafka_resp_err_t code, const char *words);
/* 0 read, 1 there is no such topic, -1 error. */
int leat_kafka_read_topic(rd_kafka_event_t *event, leat_kafka_topic *ret,
                          leat_error *error) LEAT_MUST_CHECK;
/* Of an answer that leat_kafka_read_topic has read: the partitions from 0 to `count` - 1. One that
 * is not listed has no leader. */
void leat_kafka_read_partitions(rd_kafka_event_t *event, leat_kafka_partition *ret, uint32_t count);
int leat_kafka_read_setting(rd_kafka_event_t *event, const char *name, char *ret, size_t size,
                            leat_error *error) LEAT_MUST_CHECK;

/* ---- admin.c ---- */

/* The offset after the last record of each partition. */
int leat_kafka_ends(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                    int64_t *ret, leat_error *error) LEAT_MUST_CHECK;
/* Up to where no transaction is open. */
int leat_kafka_stables(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                       int64_t *ret, leat_error *error) LEAT_MUST_CHECK;

/* ---- ahead.c ---- */

int leat_kafka_read_ahead(const leat_log_config *config, uint32_t partition_count,
                          const int64_t *offsets, int timeout_ms, leat_log_ahead *ret,
                          leat_error *error) LEAT_MUST_CHECK;

#endif
