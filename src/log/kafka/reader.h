/*
 * reader.h - the reader's state, shared by reader.c, fetched.c, part.c, rebalance.c, range.c,
 * fetch_error.c, ends.c, commit.c and renew.c.
 *
 * A partition's states:
 *
 *   FREE --assigned--> HELD --seek--> CHECKING --range fits--> SEEKING --done--> READING
 *                                       |  ^                      ^               |  |
 *                                       |  |                      +- seek again --+  |
 *                                       |  +---------- an error while reading -------+
 *                                       +--range does not fit--> BROKEN
 *
 *   any but FREE and REVOKING --seek--> CHECKING, --topic gone--> BROKEN, --revoked--> REVOKING
 *   REVOKING --given back--> FREE    any but FREE --lost--> FREE
 *
 * The table in part.c has the same, edge by edge.
 *
 * Every partition has its own queue of fetched records. Those of READING partitions that are not
 * paused are routed into one that they share (fetched.c), and only that is read; no route is the
 * pause. librdkafka bounds each: the shared one, and that of a paused partition. librdkafka's own
 * pause throws away what was fetched (it does so by itself while a rebalance waits for partitions
 * to be given back; the fetch then goes on where reading was), so it serves only to park a
 * partition: from its assignment to its first seek, and when a pause has lasted long, until it
 * ends with another seek.
 *
 * librdkafka's position of a partition is after everything that was taken from a queue, markers
 * of transactions included: while nothing taken waits here, every record below it was offered. Two
 * things would make it claim more than that, and are never relied upon: an error in the queue moves
 * it past the offset that the error names, so after each the partition is sought again; and so
 * would the end-of-partition event (2.12.1, rd_kafka_q_serve_rkmessages), so that is never enabled.
 *
 * librdkafka is given absolute offsets only, never "the end" or "the start". For those it asks the
 * broker, and when the answer comes after a seek it does not drop it but asks again and goes where
 * the answer says: in 2.12.1 rd_kafka_toppar_handle_Offset retries a query that is outdated, which
 * moves a partition that is being read to the end.
 */
#ifndef LEAT_LOG_KAFKA_READER_H
#define LEAT_LOG_KAFKA_READER_H

#include "log/kafka/kafka.h"
#include "log/range.h"

enum {
    LEAT_READER_WHY_SIZE = 128,
    LEAT_READ_BATCH = 512, /* records taken from the shared queue, and offered of one partition, in
                              a turn */
    LEAT_KEPT_BLOCK = 127,
    LEAT_ASK_TIMEOUT_MS = 5000,
    LEAT_ENDS_EVERY_US = 5 * 1000 * 1000,
};

typedef enum leat_part_state {
    LEAT_PART_FREE,
    LEAT_PART_HELD,     /* assigned; not sought, not read */
    LEAT_PART_CHECKING, /* sought: the brokers are being asked for the log's range */
    LEAT_PART_SEEKING,  /* the range is good; librdkafka has not taken the seek yet */
    LEAT_PART_READING,
    LEAT_PART_BROKEN,
    LEAT_PART_REVOKING,
} leat_part_state;

/* Records taken from the shared queue and not yet offered. */
typedef struct leat_kept {
    struct leat_kept *next;
    uint32_t at; /* the first one */
    uint32_t count;
    rd_kafka_message_t *messages[LEAT_KEPT_BLOCK];
} leat_kept;

typedef struct leat_part {
    leat_part_state state;
    bool paused;
    int64_t paused_us;       /* since when, as the ticks saw it; 0: no tick has */
    bool routed;             /* its queue leads into the shared one */
    bool parked;             /* librdkafka fetches nothing */
    bool restart;            /* an error stopped librdkafka's fetcher: a seek is not enough */
    rd_kafka_queue_t *queue; /* not FREE: its fetched records that were not routed */
    uint32_t generation;     /* of the seek or check: answers to an older one are dropped */
    int64_t low;             /* as the seek gave it */
    int64_t high;
    int64_t next; /* after the last record offered, or the offset that was sought; -1: the log's
                     start */
    int32_t next_epoch; /* leader epoch of the record before `next`, or a later one that the log
                           has; -1: not known */
    int64_t read_to; /* every record below was offered: offsets without one may lie between `next`
                        and it; -1: not known */
    int64_t seen;    /* the highest offset offered since the partition was assigned, and its leader
                        epoch; -1: none */
    int32_t seen_epoch;
    rd_kafka_topic_partition_list_t *position; /* not FREE: for asking librdkafka */
    int64_t committed;                         /* the offset last committed; -1: none */
    int64_t range_start;                       /* answers of the check; -1: not yet */
    int64_t range_end;
    bool topic_checked;
    int64_t retry_us;      /* CHECKING, SEEKING: when to try again; 0: an answer is awaited */
    uint32_t tries;        /* of the seek */
    uint32_t short_ends;   /* checks in a row that found the log too short */
    uint32_t unreadable;   /* times in a row that the record at `next` could not be read */
    int64_t end;           /* the log's end at the last answer; -1: not known */
    int64_t stable;        /* the offset up to which no transaction is open, likewise */
    int64_t held_since_us; /* since when that has stood still below the end; 0: it does not */
    int64_t held_logged_us;
    leat_kept *kept; /* READING: its records that are offered next; NULL: none */
    leat_kept *kept_last;
} leat_part;

/* Travels with a commit. */
typedef struct leat_commit_note {
    struct leat_commit_note *next;
    struct leat_commit_note **back;
    int64_t since_us;
    int32_t group_generation; /* -1: not a member when it began */
} leat_commit_note;

typedef struct leat_kafka_reader {
    leat_log_reader base;
    uv_poll_t poll;
    uv_timer_t timer;
    uint32_t open_handles;
    leat_reader_events events;
    leat_log_identity identity;
    leat_log_config config; /* a copy: a client may have to be recreated */
    uint32_t user_properties;
    const char *topic;         /* of config */
    leat_kafka_client *client; /* NULL: could not be recreated yet; then nothing is held */
    rd_kafka_t *rk;            /* the client's */
    rd_kafka_queue_t *group;   /* rebalances and errors */
    rd_kafka_queue_t *answers; /* commits, offsets, topic */
    rd_kafka_queue_t *fetched; /* records of all partitions that are routed */
    uint32_t routed_count;
    int64_t long_pause_us; /* after it a paused partition is parked */
    bool more;             /* `fetched` may hold records */
    int wake_fd;
    leat_part *parts; /* [identity.partition_count] */
    uint32_t turn;    /* the partition whose turn to be read is next */
    size_t handed;    /* records with the caller */
    uint64_t commit_failures;
    leat_commit_note *commits;                 /* begun, not answered */
    bool has_failed;                           /* the failure was reported */
    bool leaving;                              /* being freed: no events any longer */
    rd_kafka_topic_partition_list_t *revoking; /* NULL, or what the group wants back */
    uint32_t revoking_left;
    int64_t topic_asked_us;
    int64_t topic_every_us; /* the answer also shows that the brokers do answer */
    int64_t ends_asked_us;
    bool topic_gone; /* deleted or recreated: nothing is read any longer */
    int64_t gone_since_ms;
    char gone_why[LEAT_READER_WHY_SIZE];
    bool growth_logged;
    uint32_t gone_seen; /* answers in a row that there is no such topic */

    /* ---- renew.c ---- */
    leat_kafka_pulse pulse;
    leat_watchdog outside; /* the brokers answer, but we are not a member of the group */
    int64_t member_asked_us;
    bool renewing;    /* nothing is held; the next client comes once the caller has given back all
                         records */
    int64_t renew_us; /* not before */
} leat_kafka_reader;

/* The subject of a question, packed into its opaque pointer. */
typedef enum leat_ask {
    LEAT_ASK_START = 1, /* of one partition's check */
    LEAT_ASK_END,
    LEAT_ASK_TOPIC_CHECK,
    LEAT_ASK_TOPIC,  /* regularly */
    LEAT_ASK_ENDS,   /* of all our partitions */
    LEAT_ASK_STABLE, /* likewise: up to where no transaction is open */
} leat_ask;

static inline bool leat_part_is_mine(const leat_part *part)
{
    return part->state != LEAT_PART_FREE;
}

/* ---- part.c ---- */

/* Changes the state; asserts that the new one may follow. */
void leat_part_enter(leat_part *part, leat_part_state state);
void leat_reader_break(leat_kafka_reader *reader, uint32_t partition, const char *reason);
/* Takes over one that was assigned. */
void leat_part_open(leat_kafka_reader *reader, uint32_t partition);
/* Ends its queue and the records in it; the group gets no message. */
void leat_part_close(leat_kafka_reader *reader, uint32_t partition);

/* ---- reader.c ---- */

/* Joins the group. */
int leat_reader_client_open(leat_kafka_reader *reader, leat_error *error) LEAT_MUST_CHECK;
/* Without leaving the group; nothing may be held. Answers that are out never come. */
void leat_reader_client_close(leat_kafka_reader *reader, int timeout_ms);

/* ---- fetched.c ---- */

/* Takes fetched records and offers what is kept, some of each partition; returns whether there may
 * be more for the next turn. */
bool leat_reader_read(leat_kafka_reader *reader);
/* Routes the partition's queue into the shared one, or no longer, as its state wants it. */
void leat_part_route(leat_kafka_reader *reader, uint32_t partition);
/* No longer, whatever its state is. */
void leat_part_unroute(leat_kafka_reader *reader, uint32_t partition);
void leat_part_drop_kept(leat_part *part);
/* Reports the position; parks a partition that has been paused for long. */
void leat_reader_tick_part(leat_kafka_reader *reader, uint32_t partition, int64_t now_us);

/* ---- rebalance.c ---- */

void leat_reader_on_rebalance(leat_kafka_reader *reader, rd_kafka_event_t *event);
/* The topic has more partitions than it was set up with: once. */
void leat_reader_log_growth(leat_kafka_reader *reader);
/* A revoke that waits for its partitions may be lost meanwhile. */
void leat_reader_check_lost(leat_kafka_reader *reader);
/* Gives all to the group at once; no events. */
void leat_reader_unassign_all(leat_kafka_reader *reader);
/* Restarts a partition's fetcher at part->next after librdkafka has stopped it. 0, or -1: try
 * again later. */
int leat_reader_restart(leat_kafka_reader *reader, uint32_t partition) LEAT_MUST_CHECK;
/* Fetches nothing for it, and drops what librdkafka has fetched. */
void leat_reader_park(leat_kafka_reader *reader, uint32_t partition);
void leat_reader_unpark(leat_kafka_reader *reader, uint32_t partition);
void leat_kafka_reader_give_back(leat_log_reader *reader, uint32_t partition);

/* ---- range.c ---- */

void leat_kafka_reader_seek(leat_log_reader *reader, uint32_t partition, int64_t offset,
                            const leat_log_applied *applied);
void leat_reader_on_offsets(leat_kafka_reader *reader, rd_kafka_event_t *event);
void leat_reader_on_topic(leat_kafka_reader *reader, rd_kafka_event_t *event);
/* A partition that is being read is soon sought again at its position. */
void leat_reader_seek_again(leat_part *part);
/* Likewise, at once; it may be parked, and is fetched again. */
void leat_reader_seek_next(leat_kafka_reader *reader, uint32_t partition);
/* Asks for the log's range; the answers decide how it goes on. */
void leat_reader_check_range(leat_kafka_reader *reader, uint32_t partition);
/* The known facts about the partition, for leat_range_check. */
leat_log_range leat_part_range(const leat_part *part);
void leat_reader_break_range(leat_kafka_reader *reader, uint32_t partition,
                             const leat_log_range *range, leat_range_verdict verdict,
                             const char *cause);
/* Retries and the regular questions; every tick. */
void leat_reader_range_tick(leat_kafka_reader *reader, int64_t now_us);
void *leat_ask_pack(leat_ask ask, uint32_t partition, uint32_t generation);
leat_ask leat_ask_unpack(void *opaque, uint32_t *ret_partition, uint32_t *ret_generation);

/* ---- fetch_error.c ---- */

/* An error that came instead of a record: reading has stopped, and records taken from the queue are
 * dropped. */
void leat_reader_on_fetch_error(leat_kafka_reader *reader, uint32_t partition,
                                const rd_kafka_message_t *message);
/* Was the record written to the log that was read so far? If not, the partition is broken. */
bool leat_reader_epoch_fits(leat_kafka_reader *reader, uint32_t partition, int64_t offset,
                            int32_t epoch);

/* ---- ends.c ---- */

/* Of all partitions that are ours; LEAT_ASK_ENDS or LEAT_ASK_STABLE. */
void leat_reader_ask_ends(leat_kafka_reader *reader, leat_ask ask);
void leat_reader_on_ends(leat_kafka_reader *reader, leat_ask ask, rd_kafka_event_t *event);

/* ---- commit.c ---- */

void leat_kafka_reader_commit(leat_log_reader *reader, uint32_t partition, int64_t offset);
void leat_kafka_reader_confirm(leat_log_reader *reader);
uint64_t leat_kafka_reader_commit_failures(const leat_log_reader *reader);
void leat_reader_on_commit(leat_kafka_reader *reader, rd_kafka_event_t *event);
/* Waits for the answers to commits; other answers are dropped. */
void leat_reader_await_commits(leat_kafka_reader *reader, int64_t until_us);
/* Of the group; -1: we are not a member. Asks nobody. */
int32_t leat_reader_generation(const leat_kafka_reader *reader);
/* Those that were never answered; once no answer can come any more. */
void leat_reader_forget_commits(leat_kafka_reader *reader);

/* ---- renew.c ---- */

/* Once the first client is there. */
void leat_reader_renew_init(leat_kafka_reader *reader);
/* Every tick, last: afterwards there may be another client, or none. */
void leat_reader_renew_tick(leat_kafka_reader *reader, int64_t now_us);
void leat_kafka_reader_health(const leat_log_reader *reader, leat_log_health *ret);

#endif
