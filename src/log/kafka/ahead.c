/*
 * ahead.c - the part of each partition that lies ahead of an offset: the ends, then the first
 * record that can be read, by a consumer that joins no group. Only reading tells records from
 * offsets without one: the end of the partition that librdkafka reports is exact, and this consumer
 * is thrown away after it (reader.h says why the reader's has none).
 */
#include "log/kafka/kafka.h"

#include <stdlib.h>

enum { FREE_MS = 2000, POLL_MS = 100 };

typedef struct probe {
    leat_kafka_client *client;
    const char *topic;
    uint32_t partition_count;
    uint32_t open; /* partitions without an answer yet */
    bool *is_open;
    leat_log_ahead *ret;
    rd_kafka_resp_err_t refused; /* a right is missing */
} probe;

/* So that a busy partition does not keep the others from their turn. */
static void stop_reading(probe *p, int32_t partition)
{
    LEAT_ASSERT(partition >= 0 && (uint32_t)partition < p->partition_count);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, partition);
    rd_kafka_pause_partitions(p->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* An error of the client as a whole has no topic (its partition reads 0): it may pass before the
 * time is up, or not concern us, such as a missing right to find the group's coordinator. */
static void take_message(probe *p, const rd_kafka_message_t *message)
{
    int32_t partition = message->partition;
    if (!message->rkt || partition < 0 || (uint32_t)partition >= p->partition_count ||
        !p->is_open[partition])
        return;
    if (!message->err) {
        p->ret[partition].first = message->offset;
        p->ret[partition].accepted_ms = rd_kafka_message_timestamp(message, NULL);
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        p->ret[partition].first = message->offset; /* where the next record would be */
    } else if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        p->refused = message->err;
    } else if (message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) { /* that: the offset is not in
                                                                          the log any longer */
        leat_warn("partition cannot be read partition=%d topic=%s reason=\"%s\"", (int)partition,
                  p->topic, rd_kafka_message_errstr(message));
    }
    p->is_open[partition] = false;
    LEAT_ASSERT(p->open > 0);
    p->open--;
    stop_reading(p, partition);
}

static int read_firsts(probe *p, const rd_kafka_topic_partition_list_t *list, int64_t until_us,
                       leat_error *error)
{
    LEAT_ASSERT(list->cnt > 0 && (uint32_t)list->cnt <= p->partition_count);
    for (int i = 0; i < list->cnt; i++)
        p->is_open[list->elems[i].partition] = true;
    p->open = (uint32_t)list->cnt;
    rd_kafka_poll_set_consumer(p->client->rk);
    rd_kafka_resp_err_t code = rd_kafka_assign(p->client->rk, list);
    while (!code && p->open > 0 && leat_mono_us() < until_us) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(p->client->rk, POLL_MS);
        if (!message)
            continue;
        take_message(p, message);
        rd_kafka_message_destroy(message);
    }
    if (!code)
        code = p->refused;
    return code ? leat_fail(error, "Kafka topic %s: %s%s", p->topic, rd_kafka_err2str(code),
                            leat_kafka_grant(code, ": grant READ on the topic"))
                : 0;
}

/* For each listed partition the first record at or after the listed offset, as the kind of client
 * sees it. */
static int run_probe(leat_kafka_kind kind, const leat_log_config *config,
                     const rd_kafka_topic_partition_list_t *list, uint32_t partition_count,
                     int64_t until_us, leat_log_ahead *ret, leat_error *error)
{
    LEAT_ASSERT(kind == LEAT_KAFKA_PROBE || kind == LEAT_KAFKA_PROBE_UNCOMMITTED);
    if (list->cnt == 0)
        return 0;
    leat_kafka_client *client = leat_kafka_client_new(kind, config, 0, error);
    if (!client)
        return -1;
    probe p = {.client = client,
               .topic = config->topic,
               .partition_count = partition_count,
               .is_open = leat_must_calloc(partition_count, sizeof(bool)),
               .ret = ret};
    int status = read_firsts(&p, list, until_us, error);
    free(p.is_open);
    leat_kafka_client_free(client, FREE_MS);
    return status;
}

/* Reads the first records from the offsets on. */
static int probe_records(const leat_log_config *config, uint32_t partition_count,
                         const int64_t *offsets, int64_t until_us, leat_log_ahead *ret,
                         leat_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partition_count);
    for (uint32_t p = 0; p < partition_count; p++) {
        if (offsets[p] < 0)
            continue;
        if (offsets[p] >= ret[p].stable)
            ret[p].first = ret[p].stable;
        else
            rd_kafka_topic_partition_list_add(list, config->topic, (int32_t)p)->offset = offsets[p];
    }
    int status = run_probe(LEAT_KAFKA_PROBE, config, list, partition_count, until_us, ret, error);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

/* Where nothing else waits: since when the open transaction does. */
static int probe_transactions(const leat_log_config *config, uint32_t partition_count,
                              const int64_t *offsets, int64_t until_us, leat_log_ahead *ret,
                              leat_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partition_count);
    leat_log_ahead *found = leat_must_calloc(partition_count, sizeof *found);
    for (uint32_t p = 0; p < partition_count; p++)
        if (offsets[p] >= 0 && ret[p].stable < ret[p].end && ret[p].first >= ret[p].stable)
            rd_kafka_topic_partition_list_add(list, config->topic, (int32_t)p)->offset =
                ret[p].stable;
    int status = run_probe(LEAT_KAFKA_PROBE_UNCOMMITTED, config, list, partition_count, until_us,
                           found, error);
    for (int i = 0; i < list->cnt; i++)
        ret[list->elems[i].partition].accepted_ms = found[list->elems[i].partition].accepted_ms;
    free(found);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

/* The end first: records written between the two questions must not look like an open
 * transaction. */
static int read_ends(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                     leat_log_ahead *ret, leat_error *error)
{
    int64_t *ends = leat_must_calloc(2 * (size_t)partition_count, sizeof *ends);
    int64_t *stables = ends + partition_count;
    int status = leat_kafka_ends(config, partition_count, timeout_ms, ends, error);
    if (status == 0)
        status = leat_kafka_stables(config, partition_count, timeout_ms, stables, error);
    for (uint32_t p = 0; p < partition_count; p++)
        ret[p] = (leat_log_ahead){
            .end = ends[p], .stable = stables[p] < ends[p] ? stables[p] : ends[p], .first = -1};
    free(ends);
    return status;
}

int leat_kafka_read_ahead(const leat_log_config *config, uint32_t partition_count,
                          const int64_t *offsets, int timeout_ms, leat_log_ahead *ret,
                          leat_error *error)
{
    if (read_ends(config, partition_count, timeout_ms, ret, error) != 0)
        return -1;
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    if (probe_records(config, partition_count, offsets, until_us, ret, error) != 0)
        return -1;
    return probe_transactions(config, partition_count, offsets, until_us, ret, error);
}
