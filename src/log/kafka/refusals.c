/*
 * refusals.c - the writer: which partitions take nothing, which records are refused and why, and
 * whether anything gets through.
 *
 * A partition without a leader, or with fewer in-sync replicas than the topic wants, is known by
 * the checks of the topic (topic_watch.c). librdkafka tries its records again until they time out
 * and then reports only that; the cause comes from the last check. In all other cases the record's
 * error is the cause.
 *
 * Each cause is counted, and logged with its count: at once, then once a minute while there is more
 * of it.
 */
#include "log/kafka/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rate_limit.h"

enum {
    FAULT_VALID_US = 1000 * 1000, /* a younger one may be just a change of leaders */
    REFUSED_MANY = 3,
    REFUSED_VALID_US = 10 * 1000 * 1000, /* then it is worth a try again */
    REASON_VALID_US = 60 * 1000 * 1000,
    TIME_TEXT_SIZE = 32,
};

/* ---- partitions ---- */

static leat_writer_fault fault_of(const leat_kafka_writer *writer,
                                  const leat_kafka_partition *found)
{
    if (!found->has_leader)
        return LEAT_WRITER_NO_LEADER;
    return writer->min_in_sync > (long)found->in_sync ? LEAT_WRITER_TOO_FEW_REPLICAS
                                                      : LEAT_WRITER_NO_FAULT;
}

static void log_fault(const leat_kafka_writer *writer, uint32_t p)
{
    LEAT_ASSERT(p < writer->partition_count);
    const leat_writer_partition *partition = &writer->partitions[p];
    if (partition->fault == LEAT_WRITER_NO_FAULT)
        leat_info("partition takes writes again partition=%u topic=%s", p, writer->config.topic);
    else if (partition->fault == LEAT_WRITER_NO_LEADER)
        leat_warn("partition has no leader: its writes are answered 503 partition=%u topic=%s", p,
                  writer->config.topic);
    else
        leat_warn("partition has fewer in-sync replicas than min.insync.replicas: its writes are "
                  "answered 503 partition=%u topic=%s in_sync=%u wanted=%ld",
                  p, writer->config.topic, partition->in_sync, writer->min_in_sync);
}

void leat_writer_check_partitions(leat_kafka_writer *writer, rd_kafka_event_t *event)
{
    bool some_lack_replicas = false;
    leat_kafka_partition *found = leat_must_calloc(writer->partition_count, sizeof *found);
    leat_kafka_read_partitions(event, found, writer->partition_count);
    for (uint32_t p = 0; p < writer->partition_count; p++) {
        leat_writer_partition *partition = &writer->partitions[p];
        leat_writer_fault fault = fault_of(writer, &found[p]);
        partition->in_sync = found[p].in_sync;
        some_lack_replicas = some_lack_replicas || fault == LEAT_WRITER_TOO_FEW_REPLICAS;
        if (fault == partition->fault)
            continue;
        partition->fault = fault;
        partition->fault_us = leat_mono_us();
        partition->fault_ms = leat_wall_ms();
        log_fault(writer, p);
    }
    free(found);
    if (some_lack_replicas) /* min.insync.replicas may have changed */
        leat_writer_ask_limit_again(writer);
}

static bool is_at_fault(const leat_writer_partition *partition)
{
    return partition->fault != LEAT_WRITER_NO_FAULT &&
           leat_mono_us() - partition->fault_us >= FAULT_VALID_US;
}

static const char *describe_fault(leat_kafka_writer *writer, uint32_t p)
{
    LEAT_ASSERT(p < writer->partition_count);
    LEAT_ASSERT(writer->partitions[p].fault != LEAT_WRITER_NO_FAULT);
    const leat_writer_partition *partition = &writer->partitions[p];
    char since[TIME_TEXT_SIZE];
    struct tm utc;
    time_t second = (time_t)(partition->fault_ms / 1000);
    gmtime_r(&second, &utc);
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (partition->fault == LEAT_WRITER_NO_LEADER)
        snprintf(writer->fault_reason, sizeof writer->fault_reason,
                 "partition %u has no leader since %s", p, since);
    else
        snprintf(writer->fault_reason, sizeof writer->fault_reason,
                 "partition %u has %u in-sync replicas since %s, min.insync.replicas is %ld", p,
                 partition->in_sync, since, writer->min_in_sync);
    return writer->fault_reason;
}

const char *leat_kafka_writer_partition_trouble(leat_log_writer *base, uint32_t partition)
{
    leat_kafka_writer *writer = (leat_kafka_writer *)base;
    bool is_known = partition < writer->partition_count;
    return is_known && is_at_fault(&writer->partitions[partition])
               ? describe_fault(writer, partition)
               : NULL;
}

/* ---- refusals ---- */

static const struct {
    rd_kafka_resp_err_t code;
    leat_log_refusal cause;
    const char *remedy; /* NULL: the error needs no addition */
} known_refusals[] = {
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, LEAT_REFUSED_AUTHORIZATION,
     "grant WRITE on the topic"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, LEAT_REFUSED_AUTHORIZATION,
     "before Kafka 2.8 an edge needs IDEMPOTENT_WRITE on the cluster too"},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, LEAT_REFUSED_TIMESTAMP,
     "this machine's clock is wrong; mend it, or set message.timestamp.type=LogAppendTime on the topic"},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, LEAT_REFUSED_POLICY, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, LEAT_REFUSED_POLICY, NULL},
    {RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, LEAT_REFUSED_POLICY, NULL},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, LEAT_REFUSED_POLICY, NULL},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, LEAT_REFUSED_POLICY,
     "see compression.type in log.kafka.properties"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, LEAT_REFUSED_TOO_LARGE, NULL},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, LEAT_REFUSED_TOO_LARGE, NULL},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, LEAT_REFUSED_TOO_FEW_REPLICAS, NULL},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, LEAT_REFUSED_TOO_FEW_REPLICAS, NULL},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, LEAT_REFUSED_NO_LEADER, NULL},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_OR_FOLLOWER, LEAT_REFUSED_NO_LEADER, NULL},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, LEAT_REFUSED_TIMEOUT, NULL},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, LEAT_REFUSED_TIMEOUT, NULL},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, LEAT_REFUSED_TIMEOUT, NULL},
};

static leat_log_refusal cause_of(rd_kafka_resp_err_t code, const char **ret_remedy)
{
    *ret_remedy = NULL;
    for (size_t i = 0; i < sizeof known_refusals / sizeof *known_refusals; i++) {
        if (known_refusals[i].code != code)
            continue;
        *ret_remedy = known_refusals[i].remedy;
        return known_refusals[i].cause;
    }
    return LEAT_REFUSED_OTHER;
}

/* Those of a client that was given up, and those that lead to a check of the topic, have their own
 * lines. A full queue is the writer's own. */
static bool is_counted(rd_kafka_resp_err_t code)
{
    return code != RD_KAFKA_RESP_ERR__PURGE_QUEUE && code != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT &&
           code != RD_KAFKA_RESP_ERR__QUEUE_FULL && !leat_writer_is_suspicious(code);
}

/* A time-out has the cause from the last check. */
static leat_log_refusal cause_by_check(const leat_writer_partition *partition,
                                       leat_log_refusal cause)
{
    LEAT_ASSERT(cause < LEAT_REFUSAL_COUNT);
    if (cause != LEAT_REFUSED_TIMEOUT || partition->fault == LEAT_WRITER_NO_FAULT)
        return cause;
    return partition->fault == LEAT_WRITER_NO_LEADER ? LEAT_REFUSED_NO_LEADER
                                                     : LEAT_REFUSED_TOO_FEW_REPLICAS;
}

/* The setting that it exceeded: it is the topic's, not leat's. */
static void describe_too_large(const leat_kafka_writer *writer, size_t bytes, char *ret,
                               size_t size)
{
    if (writer->limit > 0)
        snprintf(ret, size,
                 "the record has %zu bytes, topic %s takes %ld (its setting max.message.bytes)",
                 bytes, writer->config.topic, writer->limit);
    else
        snprintf(
            ret, size,
            "the record has %zu bytes, more than topic %s takes (its setting max.message.bytes)",
            bytes, writer->config.topic);
}

static void describe(leat_kafka_writer *writer, const leat_writer_slot *slot,
                     rd_kafka_resp_err_t code, leat_log_refusal cause, const char *remedy,
                     char *ret, size_t size)
{
    LEAT_ASSERT(slot->partition < writer->partition_count && size > 0);
    bool has_fault = writer->partitions[slot->partition].fault != LEAT_WRITER_NO_FAULT;
    if (cause == LEAT_REFUSED_TOO_LARGE)
        describe_too_large(writer, slot->size, ret, size);
    else if (has_fault &&
             (cause == LEAT_REFUSED_NO_LEADER || cause == LEAT_REFUSED_TOO_FEW_REPLICAS))
        snprintf(ret, size, "%s", describe_fault(writer, slot->partition));
    else
        snprintf(ret, size, "%s%s%s", rd_kafka_err2str(code), remedy ? ": " : "",
                 remedy ? remedy : "");
}

static void log_refusals(leat_kafka_writer *writer, leat_log_refusal cause, int64_t now_us)
{
    LEAT_ASSERT(writer->refusals[cause].count > writer->refusals[cause].logged);
    leat_writer_refusals *of = &writer->refusals[cause];
    leat_warn("log refuses writes topic=%s cause=%s refused=%llu total=%llu reason=\"%s\"",
              writer->config.topic, leat_log_refusal_name(cause),
              (unsigned long long)(of->count - of->logged), (unsigned long long)of->count,
              of->reason);
    of->logged = of->count;
    of->logged_us = now_us;
}

static void log_if_due(leat_kafka_writer *writer, leat_log_refusal cause, int64_t now_us)
{
    LEAT_ASSERT(writer->refusals[cause].logged <= writer->refusals[cause].count);
    const leat_writer_refusals *of = &writer->refusals[cause];
    if (of->count > of->logged && leat_rate_limit_is_due(of->logged_us, now_us))
        log_refusals(writer, cause, now_us);
}

/* Refused neither for the record itself nor for a fault of its partition alone: the next one would
 * be refused too. */
static bool concerns_all(const leat_writer_partition *partition, leat_log_refusal cause)
{
    LEAT_ASSERT(cause < LEAT_REFUSAL_COUNT);
    return cause != LEAT_REFUSED_TOO_LARGE && partition->fault == LEAT_WRITER_NO_FAULT;
}

const char *leat_writer_on_refused(leat_kafka_writer *writer, const leat_writer_slot *slot,
                                   rd_kafka_resp_err_t code)
{
    LEAT_ASSERT(slot->partition < writer->partition_count);
    leat_writer_note_suspicion(writer, code);
    if (!is_counted(code))
        return rd_kafka_err2str(code);
    const leat_writer_partition *partition = &writer->partitions[slot->partition];
    const char *remedy;
    leat_log_refusal cause = cause_by_check(partition, cause_of(code, &remedy));
    leat_writer_refusals *of = &writer->refusals[cause];
    int64_t now_us = leat_mono_us();
    describe(writer, slot, code, cause, remedy, of->reason, sizeof of->reason);
    of->count++;
    of->last_us = now_us;
    log_if_due(writer, cause, now_us);
    if (concerns_all(partition, cause)) {
        writer->refused++;
        writer->refused_us = now_us;
        writer->refused_for = cause;
    }
    return of->reason;
}

void leat_writer_note_taken(leat_kafka_writer *writer)
{
    if (writer->refused >= REFUSED_MANY)
        leat_info("topic takes writes again topic=%s", writer->config.topic);
    writer->refused = 0;
}

void leat_writer_refusals_tick(leat_kafka_writer *writer, int64_t now_us)
{
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++)
        log_if_due(writer, cause, now_us);
}

uint64_t leat_kafka_writer_refusals(const leat_log_writer *base, leat_log_refusal cause)
{
    LEAT_ASSERT(cause < LEAT_REFUSAL_COUNT);
    return ((const leat_kafka_writer *)base)->refusals[cause].count;
}

const char *leat_kafka_writer_refusal_reason(const leat_log_writer *base, leat_log_refusal cause)
{
    LEAT_ASSERT(cause < LEAT_REFUSAL_COUNT);
    const leat_writer_refusals *of = &((const leat_kafka_writer *)base)->refusals[cause];
    bool is_recent = of->count > 0 && leat_mono_us() - of->last_us < REASON_VALID_US;
    return is_recent ? of->reason : NULL;
}

/* ---- does anything get through? ---- */

static const char *no_partition_takes(leat_kafka_writer *writer)
{
    for (uint32_t p = 0; p < writer->partition_count; p++)
        if (!is_at_fault(&writer->partitions[p]))
            return NULL;
    return writer->partition_count > 0 ? describe_fault(writer, 0) : NULL;
}

const char *leat_kafka_writer_trouble(leat_log_writer *base)
{
    leat_kafka_writer *writer = (leat_kafka_writer *)base;
    int64_t now_us = leat_mono_us();
    if (writer->wrong[0])
        return writer->wrong;
    if (writer->state != LEAT_WRITER_OPEN || writer->sign_us == 0 ||
        now_us - writer->sign_us >= LEAT_WRITER_SIGN_US)
        return "the log cannot be reached";
    if (writer->refused >= REFUSED_MANY && now_us - writer->refused_us < REFUSED_VALID_US) {
        snprintf(writer->refusal, sizeof writer->refusal, "the log refuses writes: %s",
                 writer->refusals[writer->refused_for].reason);
        return writer->refusal;
    }
    return no_partition_takes(writer);
}
