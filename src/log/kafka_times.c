/* kafka_times.c - when single records were accepted: a consumer that joins no group reads one record a partition. */
#include "log/kafka.h"

#include <stdlib.h>

enum { FREE_MS = 2000, POLL_MS = 100 };

typedef struct time_read {
    leat_kafka_client *client;
    const char *topic;
    uint32_t partition_count;
    uint32_t open; /* partitions without an answer yet */
    bool *is_open;
    int64_t *ret_ms;
} time_read;

static rd_kafka_topic_partition_list_t *list_open(time_read *reads, const int64_t *offsets)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reads->partition_count);
    for (uint32_t p = 0; p < reads->partition_count; p++) {
        reads->ret_ms[p] = 0;
        if (offsets[p] < 0)
            continue;
        rd_kafka_topic_partition_list_add(list, reads->topic, (int32_t)p)->offset = offsets[p];
        reads->is_open[p] = true;
        reads->open++;
    }
    return list;
}

/* So that a busy partition does not keep the others from their turn. */
static void stop_reading(time_read *reads, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reads->topic, partition);
    rd_kafka_pause_partitions(reads->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* An error of the client as a whole names no partition: it may pass until the time is up. */
static void take_message(time_read *reads, const rd_kafka_message_t *message)
{
    int32_t partition = message->partition;
    if (partition < 0 || (uint32_t)partition >= reads->partition_count || !reads->is_open[partition])
        return;
    if (!message->err)
        reads->ret_ms[partition] = rd_kafka_message_timestamp(message, NULL);
    reads->is_open[partition] = false;
    reads->open--;
    stop_reading(reads, partition);
}

static int read_times(time_read *reads, const int64_t *offsets, int timeout_ms, leat_error *error)
{
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    rd_kafka_topic_partition_list_t *list = list_open(reads, offsets);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_poll_set_consumer(reads->client->rk);
    if (reads->open > 0)
        code = rd_kafka_assign(reads->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    while (!code && reads->open > 0 && leat_mono_us() < until_us) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reads->client->rk, POLL_MS);
        if (!message)
            continue;
        take_message(reads, message);
        rd_kafka_message_destroy(message);
    }
    return code ? leat_fail(error, "Kafka topic %s: %s", reads->topic, rd_kafka_err2str(code)) : 0;
}

int leat_kafka_accept_times(const leat_log_config *config, uint32_t partition_count, const int64_t *offsets,
                          int timeout_ms, int64_t *ret_ms, leat_error *error)
{
    leat_kafka_client *client = leat_kafka_client_new(LEAT_KAFKA_READER, config, 0, error);
    if (!client)
        return -1;
    time_read reads = {.client = client,
                       .topic = config->topic,
                       .partition_count = partition_count,
                       .is_open = leat_must_calloc(partition_count, sizeof(bool)),
                       .ret_ms = ret_ms};
    int status = read_times(&reads, offsets, timeout_ms, error);
    free(reads.is_open);
    leat_kafka_client_free(client, FREE_MS);
    return status;
}
