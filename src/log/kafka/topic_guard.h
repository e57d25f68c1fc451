/*
 * topic_guard.h - is a record that the log acknowledged really stored?
 *
 * A topic can be deleted and recreated under a running edge. Writes go by its name, so the new one
 * takes and acknowledges them too, and nothing in the acknowledgement distinguishes it from the old
 * one but its offset, which begins at 0 again. What does show it is a check: the topic's id, asked
 * of a broker. The guard decides when an acknowledgement needs one:
 *
 *   - An offset at or below one that the partition acknowledged before: never stored. The topic was
 *     recreated, or the partition was cut off, and then the offset counts as applied already.
 *   - A check that found the right topic, begun after the acknowledgement came, and asked of the
 *     broker that gave it: stored. A broker's view of the topics changes before it opens the new
 *     topic's partitions. Other brokers' views may be older by LEAT_GUARD_SPREAD_US.
 *   - A check begun before it: stored if the offset is larger than the number of microseconds
 *     since. A topic created since then cannot have taken one record per microsecond in that
 *     partition.
 *   - Else it waits for the next check.
 *
 * So only young partitions wait, for as long as a question and its answer take. No clock and no
 * I/O: the writer of Kafka and the simulator's use it.
 */
#ifndef LEAT_LOG_KAFKA_TOPIC_GUARD_H
#define LEAT_LOG_KAFKA_TOPIC_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LEAT_GUARD_BROKERS = 32, /* remembered apart; of one more a check counts as another broker's */
    LEAT_GUARD_SPREAD_US = 1000 * 1000,
    LEAT_GUARD_ANY = -1, /* a broker that is not known */
};

typedef struct leat_topic_guard {
    uint32_t partition_count;
    int64_t *greatest;  /* offset acknowledged, by partition; -1: none */
    int64_t checked_us; /* when the last check that found the right topic began, whichever broker
                           was asked; 0: none */
    uint32_t broker_count;
    struct {
        int32_t id;
        int64_t checked_us;
    } brokers[LEAT_GUARD_BROKERS];
} leat_topic_guard;

/* An acknowledgement; `at_us`: when it came (leat_mono_us). */
typedef struct leat_topic_ack {
    uint32_t partition;
    int32_t broker;
    int64_t offset; /* -1: not known */
    int64_t at_us;
} leat_topic_ack;

typedef enum leat_topic_guard_verdict {
    LEAT_GUARD_STORED,
    LEAT_GUARD_WAIT,
    LEAT_GUARD_RECREATED, /* the topic was recreated, or the partition cut off */
} leat_topic_guard_verdict;

void leat_topic_guard_init(leat_topic_guard *guard, uint32_t partition_count);
void leat_topic_guard_fini(leat_topic_guard *guard);
/* Of each acknowledgement once, as they come. After LEAT_GUARD_RECREATED, leat_topic_guard_doubt.
 */
leat_topic_guard_verdict leat_topic_guard_check_ack(leat_topic_guard *guard,
                                                    const leat_topic_ack *ack);
/* Of one that waits: has a check shown since that it is stored? */
bool leat_topic_guard_is_shown(const leat_topic_guard *guard, const leat_topic_ack *ack);
/* Should that broker be asked soon, so that the next ones need not wait? */
bool leat_topic_guard_wants_check(const leat_topic_guard *guard, const leat_topic_ack *ack);
/* A check begun then found the right topic. */
void leat_topic_guard_checked(leat_topic_guard *guard, int32_t broker, int64_t begun_us);
/* Something suggests another topic: everything seen before no longer counts. */
void leat_topic_guard_doubt(leat_topic_guard *guard);

#endif
