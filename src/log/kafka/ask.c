/*
 * ask.c - questions to the brokers that do not wait: the answer comes as an event on the caller's
 * queue and is read here, too. The reader and the writer live on loops that may not block. Start-up
 * may block and asks the same things (admin.c), so it sends these questions and then waits.
 */
#include "log/kafka/kafka.h"

#include <stdio.h>
#include <string.h>

enum { ERROR_TEXT_SIZE = 512 };

/* ---- asking ---- */

rd_kafka_AdminOptions_t *leat_kafka_options_new(rd_kafka_t *rk, rd_kafka_admin_op_t op,
                                                int timeout_ms, void *opaque)
{
    char text[ERROR_TEXT_SIZE];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, op);
    LEAT_ASSERT(options);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text);
    rd_kafka_AdminOptions_set_opaque(options, opaque);
    return options;
}

void leat_kafka_ask_topic_at(rd_kafka_t *rk, int32_t broker, const char *topic, int timeout_ms,
                             void *opaque, rd_kafka_queue_t *queue)
{
    LEAT_ASSERT(topic && queue);
    char text[ERROR_TEXT_SIZE];
    const char *names[] = {topic};
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, 1);
    rd_kafka_AdminOptions_t *options =
        leat_kafka_options_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout_ms, opaque);
    if (broker >= 0)
        rd_kafka_AdminOptions_set_broker(options, broker, text, sizeof text);
    rd_kafka_DescribeTopics(rk, topics, options, queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(topics);
}

void leat_kafka_ask_topic(rd_kafka_t *rk, const char *topic, int timeout_ms, void *opaque,
                          rd_kafka_queue_t *queue)
{
    leat_kafka_ask_topic_at(rk, -1, topic, timeout_ms, opaque, queue);
}

void leat_kafka_ask_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions,
                            rd_kafka_OffsetSpec_t spec, rd_kafka_IsolationLevel_t isolation,
                            int timeout_ms, void *opaque, rd_kafka_queue_t *queue)
{
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = spec;
    rd_kafka_AdminOptions_t *options =
        leat_kafka_options_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout_ms, opaque);
    rd_kafka_error_t *fault = rd_kafka_AdminOptions_set_isolation_level(options, isolation);
    LEAT_ASSERT(!fault);
    rd_kafka_ListOffsets(rk, partitions, options, queue);
    rd_kafka_AdminOptions_destroy(options);
}

void leat_kafka_ask_settings(rd_kafka_t *rk, const char *topic, int timeout_ms, void *opaque,
                             rd_kafka_queue_t *queue)
{
    LEAT_ASSERT(topic && queue);
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_AdminOptions_t *options =
        leat_kafka_options_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms, opaque);
    rd_kafka_DescribeConfigs(rk, &resource, 1, options, queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
}

/* ---- reading the answers ---- */

bool leat_kafka_is_unknown_topic(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID;
}

const char *leat_kafka_grant(rd_kafka_resp_err_t code, const char *words)
{
    LEAT_ASSERT(words);
    bool is_missing = code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                      code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    return is_missing ? words : "";
}

static bool is_known_id(const char *topic_id)
{
    LEAT_ASSERT(topic_id);
    return topic_id[0] && strcmp(topic_id, "AAAAAAAAAAAAAAAAAAAAAA") != 0;
}

bool leat_kafka_is_other_topic(const char *wanted_id, const char *found_id)
{
    return is_known_id(wanted_id) && is_known_id(found_id) && strcmp(wanted_id, found_id) != 0;
}

static void read_description(const rd_kafka_TopicDescription_t *topic, leat_kafka_topic *ret)
{
    size_t partition_count;
    const rd_kafka_TopicPartitionInfo_t **partitions =
        rd_kafka_TopicDescription_partitions(topic, &partition_count);
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(topic);
    *ret = (leat_kafka_topic){.partition_count = (uint32_t)partition_count};
    snprintf(ret->topic_id, sizeof ret->topic_id, "%s", id ? rd_kafka_Uuid_base64str(id) : "");
    for (size_t i = 0; i < partition_count; i++) {
        const rd_kafka_Node_t *leader = rd_kafka_TopicPartitionInfo_leader(partitions[i]);
        if (!leader || rd_kafka_Node_id(leader) < 0)
            ret->leaderless++;
    }
}

int leat_kafka_read_topic(rd_kafka_event_t *event, leat_kafka_topic *ret, leat_error *error)
{
    if (rd_kafka_event_error(event))
        return leat_fail(error, "%s", rd_kafka_event_error_string(event));
    size_t count = 0;
    const rd_kafka_DescribeTopics_result_t *result = rd_kafka_event_DescribeTopics_result(event);
    const rd_kafka_TopicDescription_t **topics =
        result ? rd_kafka_DescribeTopics_result_topics(result, &count) : NULL;
    if (count != 1)
        return leat_fail(error, "the answer does not hold the topic");
    const rd_kafka_error_t *fault = rd_kafka_TopicDescription_error(topics[0]);
    if (fault && leat_kafka_is_unknown_topic(rd_kafka_error_code(fault)))
        return 1;
    if (fault && rd_kafka_error_code(fault))
        return leat_fail(
            error, "%s%s", rd_kafka_error_string(fault),
            leat_kafka_grant(rd_kafka_error_code(fault), ": grant DESCRIBE on the topic"));
    read_description(topics[0], ret);
    return 0;
}

void leat_kafka_read_partitions(rd_kafka_event_t *event, leat_kafka_partition *ret, uint32_t count)
{
    size_t topic_count = 0, listed = 0;
    const rd_kafka_TopicDescription_t **topics = rd_kafka_DescribeTopics_result_topics(
        rd_kafka_event_DescribeTopics_result(event), &topic_count);
    LEAT_ASSERT(topic_count == 1);
    const rd_kafka_TopicPartitionInfo_t **partitions =
        rd_kafka_TopicDescription_partitions(topics[0], &listed);
    memset(ret, 0, count * sizeof *ret);
    for (size_t i = 0; i < listed; i++) {
        int p = rd_kafka_TopicPartitionInfo_partition(partitions[i]);
        if (p < 0 || (uint32_t)p >= count)
            continue;
        size_t in_sync = 0;
        const rd_kafka_Node_t *leader = rd_kafka_TopicPartitionInfo_leader(partitions[i]);
        rd_kafka_TopicPartitionInfo_isr(partitions[i], &in_sync);
        ret[p] = (leat_kafka_partition){.has_leader = leader && rd_kafka_Node_id(leader) >= 0,
                                        .in_sync = (uint32_t)in_sync};
    }
}

int leat_kafka_read_setting(rd_kafka_event_t *event, const char *name, char *ret, size_t size,
                            leat_error *error)
{
    LEAT_ASSERT(name && size > 0);
    if (rd_kafka_event_error(event))
        return leat_fail(error, "%s", rd_kafka_event_error_string(event));
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    if (count != 1)
        return leat_fail(error, "the answer does not hold the topic");
    if (rd_kafka_ConfigResource_error(resources[0])) {
        rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[0]);
        const char *text = rd_kafka_ConfigResource_error_string(resources[0]);
        return leat_fail(error, "%s%s", text ? text : rd_kafka_err2str(code),
                         leat_kafka_grant(code, ": grant DESCRIBE_CONFIGS on the topic"));
    }
    size_t entry_count = 0;
    const rd_kafka_ConfigEntry_t **entries =
        rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) != 0 || !value)
            continue;
        return snprintf(ret, size, "%s", value) < (int)size
                   ? 0
                   : leat_fail(error, "its value is too long");
    }
    return leat_fail(error, "the topic has no such setting");
}
