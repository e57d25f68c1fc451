/*
 * admin.c - blocking questions to the brokers, and the changes that `leat init` makes. Each call
 * makes a client of its own and ends it: the calls are for start-up and commands, once in a
 * process's life, and a long-lived client would have to be watched like the reader's and the
 * writer's.
 */
#include "log/kafka/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ERROR_TEXT_SIZE = 512,
    FREE_MS = 2000,
    ASK_AGAIN_US = 50 * 1000,
};

/* The answer, which the caller destroys; librdkafka keeps the time, and is given a second more.
 * NULL: the message is written. */
static rd_kafka_event_t *await_answer(rd_kafka_queue_t *queue, int timeout_ms, leat_error *error)
{
    LEAT_ASSERT(timeout_ms >= 0);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    if (!event)
        leat_fail(error, "no answer within %d ms", timeout_ms);
    return event;
}

static int describe(leat_kafka_client *client, rd_kafka_queue_t *queue, const char *topic,
                    int timeout_ms, leat_kafka_topic *ret, leat_error *error)
{
    LEAT_ASSERT(timeout_ms >= 0);
    leat_kafka_ask_topic(client->rk, topic, timeout_ms, NULL, queue);
    rd_kafka_event_t *event = await_answer(queue, timeout_ms, error);
    if (!event)
        return -1;
    int result = leat_kafka_read_topic(event, ret, error);
    rd_kafka_event_destroy(event);
    return result;
}

static int read_cluster(leat_kafka_client *client, int timeout_ms, leat_log_identity *ret,
                        leat_error *error)
{
    char *cluster = rd_kafka_clusterid(client->rk, timeout_ms);
    if (!cluster)
        return leat_fail(error, "the brokers do not tell their cluster's id");
    int used = snprintf(ret->cluster, sizeof ret->cluster, "%s", cluster);
    rd_kafka_mem_free(client->rk, cluster);
    return used < (int)sizeof ret->cluster ? 0 : leat_fail(error, "the cluster's id is too long");
}

static int identify(const leat_log_config *config, int timeout_ms, leat_log_identity *ret,
                    leat_error *error)
{
    leat_kafka_client *client = leat_kafka_client_new(LEAT_KAFKA_ADMIN, config, 0, error);
    if (!client)
        return -1;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    leat_log_identity identity = {.partition_count = 0};
    leat_kafka_topic topic = {.partition_count = 0};
    int result = describe(client, queue, config->topic, timeout_ms, &topic, error);
    if (result == 0)
        result = read_cluster(client, timeout_ms, &identity, error);
    if (result == 0) {
        memcpy(identity.topic_id, topic.topic_id, sizeof identity.topic_id);
        identity.partition_count = topic.partition_count;
        *ret = identity;
    }
    rd_kafka_queue_destroy(queue);
    leat_kafka_client_free(client, FREE_MS);
    return result >= 0
               ? result
               : leat_fail_prefix(error, "Kafka topic %s at %s", config->topic, config->brokers);
}

/* 0 created, 1 it existed, -1 error. */
static int read_created(rd_kafka_event_t *event, leat_error *error)
{
    if (rd_kafka_event_error(event))
        return leat_fail(error, "%s", rd_kafka_event_error_string(event));
    size_t count = 0;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count != 1)
        return leat_fail(error, "the answer does not hold the topic");
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(topics[0]);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 1;
    if (!code)
        return 0;
    const char *text = rd_kafka_topic_result_error_string(topics[0]);
    return leat_fail(
        error, "%s%s", text ? text : rd_kafka_err2str(code),
        leat_kafka_grant(code, " Grant CREATE on the topic (or make it: docs/install.md)"));
}

/* A broker may not yet know the new topic that another one has created. */
static int await_topic(leat_kafka_client *client, rd_kafka_queue_t *queue, const char *topic,
                       int timeout_ms, leat_error *error)
{
    LEAT_ASSERT(timeout_ms >= 0);
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    while (leat_mono_us() < until_us) {
        leat_kafka_topic found;
        int result = describe(client, queue, topic, timeout_ms, &found, error);
        if (result < 0)
            return -1;
        if (result == 0 && found.leaderless == 0)
            return 0;
        usleep(ASK_AGAIN_US);
    }
    return leat_fail(error, "it was created but has no leader after %d ms", timeout_ms);
}

static int create(leat_kafka_client *client, rd_kafka_queue_t *queue, rd_kafka_NewTopic_t *wanted,
                  int timeout_ms, leat_error *error)
{
    rd_kafka_AdminOptions_t *options =
        leat_kafka_options_new(client->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms, NULL);
    char text[ERROR_TEXT_SIZE];
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, text, sizeof text);
    rd_kafka_CreateTopics(client->rk, &wanted, 1, options, queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = await_answer(queue, timeout_ms, error);
    if (!event)
        return -1;
    int result = read_created(event, error);
    rd_kafka_event_destroy(event);
    return result;
}

static int create_topic(const leat_log_config *config, const leat_topic_spec *spec, int timeout_ms,
                        leat_error *error)
{
    LEAT_ASSERT(spec->partition_count > 0);
    char text[ERROR_TEXT_SIZE];
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(config->topic, (int)spec->partition_count,
                                                        spec->replication, text, sizeof text);
    if (!wanted)
        return leat_fail(error, "Kafka topic %s: %s", config->topic, text);
    rd_kafka_NewTopic_set_config(wanted, "cleanup.policy", "delete");
    rd_kafka_NewTopic_set_config(wanted, "message.timestamp.type", "LogAppendTime");
    leat_kafka_client *client = leat_kafka_client_new(LEAT_KAFKA_ADMIN, config, 0, error);
    int result = -1;
    if (client) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
        result = create(client, queue, wanted, timeout_ms, error);
        if (result == 0)
            result = await_topic(client, queue, config->topic, timeout_ms, error);
        rd_kafka_queue_destroy(queue);
        leat_kafka_client_free(client, FREE_MS);
    }
    rd_kafka_NewTopic_destroy(wanted);
    return result >= 0 ? result : leat_fail_prefix(error, "creating Kafka topic %s", config->topic);
}

static int topic_setting(const leat_log_config *config, const char *name, int timeout_ms, char *ret,
                         size_t size, leat_error *error)
{
    leat_kafka_client *client = leat_kafka_client_new(LEAT_KAFKA_ADMIN, config, 0, error);
    if (!client)
        return -1;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    leat_kafka_ask_settings(client->rk, config->topic, timeout_ms, NULL, queue);
    rd_kafka_event_t *event = await_answer(queue, timeout_ms, error);
    int result = event ? leat_kafka_read_setting(event, name, ret, size, error) : -1;
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    leat_kafka_client_free(client, FREE_MS);
    return result == 0
               ? 0
               : leat_fail_prefix(error, "setting %s of Kafka topic %s", name, config->topic);
}

static int read_altered(rd_kafka_event_t *event, leat_error *error)
{
    if (rd_kafka_event_error(event))
        return leat_fail(error, "%s", rd_kafka_event_error_string(event));
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_IncrementalAlterConfigs_result_resources(
        rd_kafka_event_IncrementalAlterConfigs_result(event), &count);
    if (count != 1)
        return leat_fail(error, "the answer does not hold the topic");
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[0]);
    const char *text = rd_kafka_ConfigResource_error_string(resources[0]);
    return code ? leat_fail(error, "%s%s", text ? text : rd_kafka_err2str(code),
                            leat_kafka_grant(code, " Grant ALTER_CONFIGS on the topic"))
                : 0;
}

static int alter(leat_kafka_client *client, rd_kafka_ConfigResource_t *resource, int timeout_ms,
                 leat_error *error)
{
    LEAT_ASSERT(timeout_ms >= 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    rd_kafka_AdminOptions_t *options = leat_kafka_options_new(
        client->rk, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, timeout_ms, NULL);
    rd_kafka_IncrementalAlterConfigs(client->rk, &resource, 1, options, queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = await_answer(queue, timeout_ms, error);
    int result = event ? read_altered(event, error) : -1;
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return result;
}

static int set_topic_setting(const leat_log_config *config, const char *name, const char *value,
                             int timeout_ms, leat_error *error)
{
    leat_kafka_client *client = leat_kafka_client_new(LEAT_KAFKA_ADMIN, config, 0, error);
    if (!client)
        return -1;
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, config->topic);
    rd_kafka_error_t *fault = rd_kafka_ConfigResource_add_incremental_config(
        resource, name, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, value);
    LEAT_ASSERT(!fault);
    int result = alter(client, resource, timeout_ms, error);
    rd_kafka_ConfigResource_destroy(resource);
    leat_kafka_client_free(client, FREE_MS);
    return result == 0
               ? 0
               : leat_fail_prefix(error, "setting %s of Kafka topic %s", name, config->topic);
}

/* A broker may not yet, or no longer, know that it leads a partition, above all of a topic that was
 * just created. */
static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_OR_FOLLOWER ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH || leat_kafka_is_unknown_topic(code);
}

/* 0 read, 1 it may pass, -1 error. */
static int read_offsets(rd_kafka_event_t *event, uint32_t partition_count, int64_t *ret,
                        leat_error *error)
{
    LEAT_ASSERT(partition_count > 0);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code) {
        leat_fail(error, "%s", rd_kafka_event_error_string(event));
        return is_passing(code) ? 1 : -1;
    }
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    if (count != partition_count)
        return leat_fail(error, "the answer does not hold every partition");
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *found =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (found->err || found->partition < 0 || (uint32_t)found->partition >= partition_count) {
            leat_fail(error, "partition %d: %s", (int)found->partition,
                      rd_kafka_err2str(found->err));
            return is_passing(found->err) ? 1 : -1;
        }
        ret[found->partition] = found->offset;
    }
    return 0;
}

static int list_offsets(leat_kafka_client *client, const char *topic, uint32_t partition_count,
                        rd_kafka_OffsetSpec_t spec, rd_kafka_IsolationLevel_t isolation,
                        int timeout_ms, int64_t *ret, leat_error *error)
{
    LEAT_ASSERT(partition_count > 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partition_count);
    for (uint32_t p = 0; p < partition_count; p++)
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)p);
    leat_kafka_ask_offsets(client->rk, list, spec, isolation, timeout_ms, NULL, queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_event_t *event = await_answer(queue, timeout_ms, error);
    int result = event ? read_offsets(event, partition_count, ret, error) : -1;
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return result;
}

static int offsets_of(const leat_log_config *config, uint32_t partition_count,
                      rd_kafka_OffsetSpec_t spec, rd_kafka_IsolationLevel_t isolation,
                      int timeout_ms, int64_t *ret, leat_error *error)
{
    leat_kafka_client *client = leat_kafka_client_new(LEAT_KAFKA_ADMIN, config, 0, error);
    if (!client)
        return -1;
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    int result;
    while ((result = list_offsets(client, config->topic, partition_count, spec, isolation,
                                  timeout_ms, ret, error)) == 1 &&
           leat_mono_us() < until_us)
        usleep(ASK_AGAIN_US);
    leat_kafka_client_free(client, FREE_MS);
    return result == 0 ? 0 : -1;
}

static int starts(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                  int64_t *ret, leat_error *error)
{
    if (offsets_of(config, partition_count, RD_KAFKA_OFFSET_SPEC_EARLIEST,
                   RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED, timeout_ms, ret, error) == 0)
        return 0;
    return leat_fail_prefix(error, "first offsets of Kafka topic %s", config->topic);
}

int leat_kafka_ends(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                    int64_t *ret, leat_error *error)
{
    if (offsets_of(config, partition_count, RD_KAFKA_OFFSET_SPEC_LATEST,
                   RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED, timeout_ms, ret, error) == 0)
        return 0;
    return leat_fail_prefix(error, "ends of Kafka topic %s", config->topic);
}

int leat_kafka_stables(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                       int64_t *ret, leat_error *error)
{
    if (offsets_of(config, partition_count, RD_KAFKA_OFFSET_SPEC_LATEST,
                   RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED, timeout_ms, ret, error) == 0)
        return 0;
    return leat_fail_prefix(error, "stable ends of Kafka topic %s", config->topic);
}

/* There is nothing to hold: brokers let any number of processes in. */
static int open_log(leat_log_config *config, const leat_topic_spec *spec, leat_error *error)
{
    (void)config;
    (void)spec;
    (void)error;
    return 0;
}

const leat_log_admin_ops leat_kafka_admin_ops = {
    .open = open_log,
    .check = leat_kafka_check,
    .identify = identify,
    .create_topic = create_topic,
    .topic_setting = topic_setting,
    .set_topic_setting = set_topic_setting,
    .starts = starts,
    .read_ahead = leat_kafka_read_ahead,
};
