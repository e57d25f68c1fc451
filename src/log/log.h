/*
 * log.h - the log seam: where accepted writes are kept, in partitions, until they are applied. Its
 * backends are Kafka (kafka/, librdkafka) and the built-in log, a file of this machine (file/,
 * SQLite). Everything else in leat sees only this.
 *
 * Both halves live on a libuv loop and call back on its thread only, never from inside a call made
 * to them.
 */
#ifndef LEAT_LOG_H
#define LEAT_LOG_H

#include <uv.h>

#include "record/item.h"

/* One property handed to the log's client library as it is: { "compression.type", "lz4" }. */
typedef struct leat_log_property {
    const char *name;
    const char *value;
} leat_log_property;

/* Beside its value a record has a key, which came in a request's target, headers and the frame of a
 * batch. */
enum { LEAT_LOG_RECORD_ROOM = 16 * 1024 };
/* Records that Kafka's client takes before the first is answered, unless its property
 * queue.buffering.max.messages says otherwise. A literal: it is part of a property's text. */
#define LEAT_LOG_QUEUE_DEFAULT 100000

typedef struct leat_local_log leat_local_log;

typedef struct leat_log_config {
    const char *file; /* the built-in log's; NULL: Kafka */
    const char *brokers;
    const char *topic;                   /* of the built-in log: the name of its source */
    const char *group;                   /* consumer group; readers only */
    const leat_log_property *properties; /* win over leat's defaults; those that leat depends on are
                                            refused */
    uint32_t property_count;
    int64_t renew_after_ms; /* a Kafka client that gets no answer for this long is replaced; above 0
                               for readers and writers */
    int64_t give_up_after_ms; /* and after this long the reader or writer has failed; 0: never */
    size_t value_max; /* of the largest record's value; 0: not known. The client's own limit is made
                         to fit */
    uint32_t reader;  /* readers of the built-in log: this is number `reader` of `reader_count`,
                         which share its */
    uint32_t reader_count; /* partitions by p % reader_count. 0: one */
    leat_local_log *local; /* by leat_log_open */
} leat_log_config;

/* The log's identity: offsets mean something only together with it. */
typedef struct leat_log_identity {
    char cluster[128]; /* Kafka: the cluster id; the built-in log: "built-in" */
    char topic_id[64];
    uint32_t partition_count;
} leat_log_identity;

/* ---- administration: blocking, for `leat init` and start-up; any thread ---- */

typedef struct leat_topic_spec {
    uint32_t partition_count;
    int32_t replication; /* -1: the brokers' default */
} leat_topic_spec;

/*
 * Takes hold of the log for a process that writes and reads it: sets config->local for its writer
 * and readers, until leat_log_close, which comes after they are freed. Of the built-in log only one
 * process can have it, and the file is made with `spec` when it does not exist. With Kafka there is
 * nothing to hold.
 */
int leat_log_open(leat_log_config *config, const leat_topic_spec *spec,
                  leat_error *error) LEAT_MUST_CHECK;
void leat_log_close(leat_log_config *config);

/* Are the properties known, is none of them one that leat's promises depend on, and does the client
 * library accept them together? Asks nobody. */
int leat_log_check(const leat_log_config *config, leat_error *error) LEAT_MUST_CHECK;
/* Reads the identity; 1: the topic does not exist; -1: error. */
int leat_log_identify(const leat_log_config *config, int timeout_ms, leat_log_identity *ret,
                      leat_error *error) LEAT_MUST_CHECK;
/* Creates the topic (no compaction; records carry the brokers' time), or the built-in log's file. 0
 * created, 1 it existed, -1 error. */
int leat_log_create_topic(const leat_log_config *config, const leat_topic_spec *spec,
                          int timeout_ms, leat_error *error) LEAT_MUST_CHECK;
/* The value of a topic-level setting ("cleanup.policy", "max.message.bytes",
 * "min.insync.replicas"). The built-in log has none: an error. */
int leat_log_topic_setting(const leat_log_config *config, const char *name, int timeout_ms,
                           char *ret, size_t size, leat_error *error) LEAT_MUST_CHECK;

/* Sets one; an error of the built-in log likewise. */
int leat_log_set_topic_setting(const leat_log_config *config, const char *name, const char *value,
                               int timeout_ms, leat_error *error) LEAT_MUST_CHECK;

/* The offset of the first record each partition still has, or would get: `ret` has room for
 * `partition_count`. */
int leat_log_starts(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                    int64_t *ret, leat_error *error) LEAT_MUST_CHECK;
/* The part of a partition ahead of an offset. */
typedef struct leat_log_ahead {
    int64_t end;    /* the offset after the last record */
    int64_t stable; /* up to here no transaction is open; `end`: none is. Records after it cannot be
                       read yet */
    int64_t first;  /* of the first readable record at or after the offset; `stable` or more: there
                       is none, and the offsets between have no record. -1: not read in time, or the
                       offset is not in the log */
    int64_t accepted_ms; /* of that record or, where there is none, of the open transaction's first
                            one, milliseconds since 1970; 0: not known */
} leat_log_ahead;

/* Reads each partition from `offsets[p]` on; a negative offset asks only for its ends. `ret` has
 * room for `partition_count`. Reads one record a partition and joins no group. */
int leat_log_read_ahead(const leat_log_config *config, uint32_t partition_count,
                        const int64_t *offsets, int timeout_ms, leat_log_ahead *ret,
                        leat_error *error) LEAT_MUST_CHECK;

/* ---- a walk: records read again, blocking, for commands; any thread ---- */

typedef struct leat_log_walk leat_log_walk;

/* Of one partition: the records at the offsets from `from` on and below `to`. */
typedef struct leat_log_span {
    int64_t from;
    int64_t to; /* not above `from`: nothing is read */
} leat_log_span;

/* Begins to read the spans, one for each partition, and joins no group. NULL: `error` has why. */
leat_log_walk *leat_log_walk_new(const leat_log_config *config, uint32_t partition_count,
                                 const leat_log_span *spans, leat_error *error);
/* The next record, those of a partition in their order; valid until the next call. 1: there it is,
 * 0: all spans are read, 2: nothing came within `timeout_ms`, 3: the next records of a partition
 * (`ret->partition`, from `ret->offset` on) are no longer in the log, `error` says so, and the walk
 * is over: only free it; -1: a span cannot be read. */
int leat_log_walk_next(leat_log_walk *walk, int timeout_ms, leat_record *ret,
                       leat_error *error) LEAT_MUST_CHECK;
void leat_log_walk_free(leat_log_walk *walk);

/* ---- health: of a writer or reader, on its loop's thread ---- */

enum { LEAT_LOG_WHY_SIZE = 512 };

typedef struct leat_log_health {
    int64_t since_ms;  /* the trouble began then, ms since 1970; 0: there is none */
    int64_t silent_ms; /* no broker has answered for this long; 0: they answer */
    bool topic_gone;   /* deleted or recreated: only a person can help */
    uint32_t renewals; /* clients of the log that were replaced, since the start */
    uint64_t fetched;  /* a reader's records that are fetched and not offered yet, about */
    char why[LEAT_LOG_WHY_SIZE]; /* for a person to read; "": there is none */
} leat_log_health;

/* ---- writer: the edge's side ---- */

typedef struct leat_log_writer leat_log_writer;

typedef enum leat_append_result {
    LEAT_APPENDED, /* durable by the log's own rule (Kafka: all in-sync replicas; built-in: on the
                      disk) */
    LEAT_NOT_APPENDED,   /* certainly not in the log, and never will be */
    LEAT_APPEND_UNKNOWN, /* perhaps */
    LEAT_APPEND_TOO_LARGE,
} leat_append_result;

/* The reason why a record was not appended, as far as it is known. */
typedef enum leat_log_refusal {
    LEAT_REFUSED_AUTHORIZATION,
    LEAT_REFUSED_TIMESTAMP,
    LEAT_REFUSED_POLICY, /* the brokers' own rules about records */
    LEAT_REFUSED_TOO_LARGE,
    LEAT_REFUSED_TOO_FEW_REPLICAS,
    LEAT_REFUSED_NO_LEADER,
    LEAT_REFUSED_TIMEOUT, /* no answer in time, and no cause known */
    LEAT_REFUSED_OTHER,
    LEAT_REFUSAL_COUNT,
} leat_log_refusal;

/* The name in metrics and log lines. */
static inline const char *leat_log_refusal_name(leat_log_refusal cause)
{
    static const char *const names[LEAT_REFUSAL_COUNT] = {
        [LEAT_REFUSED_AUTHORIZATION] = "authorization",
        [LEAT_REFUSED_TIMESTAMP] = "timestamp",
        [LEAT_REFUSED_POLICY] = "policy",
        [LEAT_REFUSED_TOO_LARGE] = "too_large",
        [LEAT_REFUSED_TOO_FEW_REPLICAS] = "too_few_replicas",
        [LEAT_REFUSED_NO_LEADER] = "no_leader",
        [LEAT_REFUSED_TIMEOUT] = "timeout",
        [LEAT_REFUSED_OTHER] = "other",
    };
    return names[cause];
}

/* One call a record, in batches as they come and in any order; `tag` is the caller's. `why` is a
 * text for a person (may be NULL). */
typedef void (*leat_appended_cb)(void *context, void *tag, leat_append_result result,
                                 uint32_t partition, int64_t offset, const char *why);

/*
 * `identity`: the log that was set up. While what is found under its name is another one (the topic
 * was deleted, recreated, has fewer partitions, or is another cluster's) nothing is taken, and
 * records that it took are never reported as appended (log/kafka/topic_guard.h). NULL, and of the
 * built-in log: whatever is found. The writer never makes a topic.
 */
leat_log_writer *leat_log_writer_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     leat_appended_cb on_appended, void *context,
                                     leat_error *error);
/* Copies the record's bytes. 0: the answer comes by callback, exactly once. 1: not now (full, not
 * the right topic, the writer recovers), nothing was taken: answer 503. -1: refused for good (too
 * large), nothing was taken. Never blocks. */
int leat_log_append(leat_log_writer *writer, const leat_record *record, void *tag,
                    leat_error *error) LEAT_MUST_CHECK;
/* Age of the oldest record of a partition without an answer, microseconds; 0: none waits. Readiness
 * depends on it. The built-in log has no partitions here: its file is one. */
int64_t leat_log_writer_oldest_us(const leat_log_writer *writer, uint32_t partition,
                                  int64_t now_us);
/* Does the log answer, and if not, since when and why? It names the brokers: for logs and the admin
 * port, not for clients. */
void leat_log_writer_health(const leat_log_writer *writer, leat_log_health *ret);
/* NULL, or why the process should be restarted: nothing has helped for log_config.give_up_after_ms.
 * It goes on trying meanwhile. */
const char *leat_log_writer_failed(const leat_log_writer *writer);
/* NULL: the log takes writes, as far as is known. Else the reason, for a person: it cannot be
 * reached, it is not the one that was set up, or it has refused every write lately. Valid until the
 * loop runs on. */
const char *leat_log_writer_trouble(leat_log_writer *writer);
/* NULL: that partition takes writes, as far as is known. Else what it lacks (a leader, replicas)
 * and since when: for at least a second, because a change of leaders is not a trouble. Valid until
 * the next call. */
const char *leat_log_writer_partition_trouble(leat_log_writer *writer, uint32_t partition);
/* Records not appended for that cause since the start, unknown ones included. 0 with the built-in
 * log. */
uint64_t leat_log_writer_refusals(const leat_log_writer *writer, leat_log_refusal cause);
/* The reason of the last refusal for a cause, if there was one within the last minute; NULL: there
 * was none. Valid until the next call. */
const char *leat_log_writer_refusal_reason(const leat_log_writer *writer, leat_log_refusal cause);
/* Answers all waiting records (flushes up to `timeout_ms`, the rest as unknown), then frees.
 * Blocking. Handles on the loop are closed: run the loop once more before closing it. */
void leat_log_writer_free(leat_log_writer *writer, int timeout_ms);

/* ---- reader: a worker's side ---- */

typedef struct leat_log_reader leat_log_reader;

/* The caller logs these; the reader does not. */
typedef struct leat_reader_events {
    void *context;
    /* The group gave / wants back / has taken away a partition. After `revoked` the reader waits
     * for leat_log_reader_give_back of each named partition before it goes on with the rebalance.
     */
    void (*assigned)(void *context, uint32_t partition);
    void (*revoked)(void *context, uint32_t partition);
    void (*lost)(void *context, uint32_t partition);
    /* A record of a partition that was sought and is not paused. Returns true: the caller gives
     * `log_handle` back by leat_log_release. Returns false: not taken; the partition is paused, the
     * reader keeps the record, offers it again first after resume (or drops it at a seek), and
     * offers nothing else of that partition before. */
    bool (*record)(void *context, const leat_record *record, void *log_handle);
    /* Every record below `position` was offered and taken: the offsets between the last one and
     * `position` have no record (transaction markers, aborted records, compacted holes). Called
     * when it is news, at most a few times a second. */
    void (*read_to)(void *context, uint32_t partition, int64_t position);
    /* The partition cannot be read further: a range is lost, the log was cut off and rewritten, the
     * topic was recreated, ... It is no longer read. */
    void (*broken)(void *context, uint32_t partition, const char *reason);
    /* A commit begun at `since_us` (leat_mono_us) came back; `ok`: the group accepted it, so we are
     * a member. */
    void (*committed)(void *context, int64_t since_us, bool ok);
    /* The reader cannot go on at all, for good: a fatal error, or nothing has helped for
     * give_up_after_ms; nothing is offered any longer. At most once. */
    void (*failed)(void *context, const char *reason);
} leat_reader_events;

/* The applied part of a partition, from its progress. */
typedef struct leat_log_applied {
    int64_t low;     /* everything up to here; -1: nothing */
    int64_t high;    /* something up to here; -1: nothing */
    int64_t high_ms; /* the timestamp of the record at `high`; 0: not known, or there was none */
    int32_t epoch;   /* the greatest leader epoch of what is applied; -1: not known */
} leat_log_applied;

leat_log_reader *leat_log_reader_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     const leat_reader_events *events, leat_error *error);
/*
 * Reads the partition from `offset` (-1: from its start) once its range is checked, without
 * blocking: nothing of an earlier read is offered after this returns, and a pause is over.
 * Everything below `offset` is applied, too. A log that is no longer the one those records came
 * from is reported as `broken`: log/range.h has the rule. Errors are retried inside and logged.
 */
void leat_log_reader_seek(leat_log_reader *reader, uint32_t partition, int64_t offset,
                          const leat_log_applied *applied);
void leat_log_reader_pause(leat_log_reader *reader, uint32_t partition);
void leat_log_reader_resume(leat_log_reader *reader, uint32_t partition);
/* Commits that everything up to and including `offset` is applied; asynchronous, failures are
 * logged and counted only. */
void leat_log_reader_commit(leat_log_reader *reader, uint32_t partition, int64_t offset);
/* Repeats the last commit, or else the `low` of the last seek: the answer shows whether we are a
 * member. */
void leat_log_reader_confirm(leat_log_reader *reader);
void leat_log_reader_give_back(leat_log_reader *reader, uint32_t partition);
/* The offset after the last record in the log, as the broker last reported; -1: not known. */
int64_t leat_log_reader_end(const leat_log_reader *reader, uint32_t partition);
uint64_t leat_log_reader_commit_failures(const leat_log_reader *reader);
/* Does the log answer, and are we a member of the group? */
void leat_log_reader_health(const leat_log_reader *reader, leat_log_health *ret);
/* Appends all headers of a record that is held, packed (record/headers.h). -1: out of memory. */
int leat_log_headers(leat_log_reader *reader, void *log_handle, leat_buf *out) LEAT_MUST_CHECK;
/* The bytes of a record may go. Any order, from the reader's thread. */
void leat_log_release(leat_log_reader *reader, void *log_handle);
/* Leaves the group without further events and frees; every handle must have been released
 * (asserted). Blocking, bounded by `timeout_ms`. Handles on the loop are closed: run the loop once
 * more before closing it. */
void leat_log_reader_free(leat_log_reader *reader, int timeout_ms);

#endif
