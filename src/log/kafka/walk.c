/*
 * walk.c - a range of the log read again, by a consumer that joins no group and commits nothing. It
 * is of the kind that reports the end of a partition (ahead.c), because a span may end with offsets
 * that have no record. Each partition is left out once its span is read, so that a log that goes on
 * does not fill the client with what nobody wants.
 */
#include "log/kafka/kafka.h"

#include <stdlib.h>

enum { FREE_MS = 2000 };

typedef struct kafka_walk {
    leat_log_walk base;
    leat_kafka_client *client;
    char *topic;
    uint32_t partition_count;
    leat_log_span *spans;        /* of a partition that is read: not above `from` */
    uint32_t open;               /* partitions that are not read yet */
    rd_kafka_message_t *message; /* the record that was given last */
} kafka_walk;

static void end_partition(kafka_walk *walk, uint32_t partition)
{
    LEAT_ASSERT(walk->open > 0 && walk->spans[partition].from < walk->spans[partition].to);
    walk->spans[partition].from = walk->spans[partition].to;
    walk->open--;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, walk->topic, (int32_t)partition);
    rd_kafka_pause_partitions(walk->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* An error of the client as a whole has no topic, and may pass. `span`: NULL: it is about no
 * partition. 3: as of leat_log_walk_next. */
static int take_error(const kafka_walk *walk, const rd_kafka_message_t *message,
                      const leat_log_span *span, leat_error *error)
{
    rd_kafka_resp_err_t code = message->err;
    if (!message->rkt)
        return 0;
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && span) {
        leat_fail(error, "partition %d: the records from offset %lld on are no longer in the log",
                  (int)message->partition, (long long)span->from);
        return 3;
    }
    return leat_fail(error, "partition %d of Kafka topic %s: %s%s", (int)message->partition,
                     walk->topic, rd_kafka_message_errstr(message),
                     leat_kafka_grant(code, ": grant READ on the topic"));
}

/* 1: it is the next record, 0: it is none; 3 and -1 as of leat_log_walk_next. */
static int take(kafka_walk *walk, const rd_kafka_message_t *message, leat_error *error)
{
    int32_t partition = message->partition;
    bool is_known = message->rkt && partition >= 0 && (uint32_t)partition < walk->partition_count;
    leat_log_span *span = is_known ? &walk->spans[partition] : NULL;
    if (span && span->from >= span->to)
        return 0; /* came before it was left out */
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return take_error(walk, message, span, error);
    if (!span)
        return 0;
    bool is_record = !message->err && message->offset < span->to;
    if (message->offset >= span->to - (is_record ? 1 : 0))
        end_partition(walk, (uint32_t)partition);
    else if (is_record)
        span->from = message->offset + 1;
    return is_record;
}

static void drop_message(kafka_walk *walk)
{
    if (walk->message)
        rd_kafka_message_destroy(walk->message);
    walk->message = NULL;
}

static int next(leat_log_walk *base, int timeout_ms, leat_record *ret, leat_error *error)
{
    kafka_walk *walk = (kafka_walk *)base;
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    while (walk->open > 0) {
        drop_message(walk);
        int64_t left_us = until_us - leat_mono_us();
        walk->message =
            rd_kafka_consumer_poll(walk->client->rk, left_us > 0 ? (int)(left_us / 1000) : 0);
        if (!walk->message && left_us <= 0)
            return 2;
        int taken = walk->message ? take(walk, walk->message, error) : 0;
        if (taken == 1)
            *ret = leat_kafka_record((uint32_t)walk->message->partition, walk->message);
        else if (taken == 3)
            *ret = (leat_record){.partition = (uint32_t)walk->message->partition,
                                 .offset = walk->spans[walk->message->partition].from};
        if (taken != 0)
            return taken;
    }
    return 0;
}

static void free_walk(leat_log_walk *base)
{
    kafka_walk *walk = (kafka_walk *)base;
    drop_message(walk);
    if (walk->client)
        leat_kafka_client_free(walk->client, FREE_MS);
    free(walk->topic);
    free(walk->spans);
    free(walk);
}

static int assign(kafka_walk *walk, leat_error *error)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)walk->partition_count);
    for (uint32_t p = 0; p < walk->partition_count; p++) {
        if (walk->spans[p].from >= walk->spans[p].to)
            continue;
        rd_kafka_topic_partition_list_add(list, walk->topic, (int32_t)p)->offset =
            walk->spans[p].from;
        walk->open++;
    }
    rd_kafka_poll_set_consumer(walk->client->rk);
    rd_kafka_resp_err_t code = list->cnt > 0 ? rd_kafka_assign(walk->client->rk, list)
                                             : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? leat_fail(error, "Kafka topic %s: %s", walk->topic, rd_kafka_err2str(code)) : 0;
}

static leat_log_walk *create(const leat_log_config *config, uint32_t partition_count,
                             const leat_log_span *spans, leat_error *error)
{
    kafka_walk *walk = leat_must_calloc(1, sizeof *walk);
    walk->base.ops = &leat_kafka_walk_ops;
    walk->topic = leat_must_strdup(config->topic);
    walk->partition_count = partition_count;
    walk->spans = leat_must_calloc(partition_count, sizeof *walk->spans);
    for (uint32_t p = 0; p < partition_count; p++)
        walk->spans[p] = spans[p];
    walk->client = leat_kafka_client_new(LEAT_KAFKA_PROBE, config, 0, error);
    if (walk->client && assign(walk, error) == 0)
        return &walk->base;
    free_walk(&walk->base);
    return NULL;
}

const leat_log_walk_ops leat_kafka_walk_ops = {.create = create, .next = next, .free = free_walk};
