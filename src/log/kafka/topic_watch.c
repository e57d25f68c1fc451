/*
 * topic_watch.c - the writer: is it still the right topic?
 *
 * Once a second a broker is asked for the topic's id and partitions, and at once when something
 * suggests another topic, or when an acknowledgement needs it (topic_guard.h). While what is found
 * is not the topic that was set up nothing is accepted, and the client is replaced: it would carry
 * what it has over to a topic recreated under the same name. It goes on by itself when the right
 * topic is found again (a broker may not have known it yet).
 */
#include "log/kafka/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECK_EVERY_US = 1000 * 1000,
    ACKED_MAX_US = 5 * 1000 * 1000,
};

static const char unseen_why[] =
    "the brokers acknowledged the write but do not tell whether the topic is still the same";

void leat_writer_watch_init(leat_kafka_writer *writer, const leat_log_identity *identity)
{
    writer->identity = identity ? *identity : (leat_log_identity){.partition_count = 0};
    leat_topic_guard_init(&writer->guard, writer->identity.partition_count);
    writer->acked_end = &writer->acked;
}

void leat_writer_watch_fini(leat_kafka_writer *writer)
{
    leat_topic_guard_fini(&writer->guard);
}

/* ---- checks ---- */

static void begin_check(leat_kafka_writer *writer, leat_writer_check *check, int32_t broker)
{
    LEAT_ASSERT(writer->client && !check->is_out);
    *check = (leat_writer_check){.broker = broker, .is_out = true, .begun_us = leat_mono_us()};
    leat_kafka_ask_topic_at(writer->client->rk, broker, writer->config.topic, LEAT_WRITER_ASK_MS,
                            check, writer->answers);
}

void leat_writer_watch_begin(leat_kafka_writer *writer)
{
    memset(writer->checks, 0, sizeof writer->checks);
    begin_check(writer, &writer->checks[0], LEAT_GUARD_ANY);
}

/* The question of that broker, else the one used longest ago; NULL: that broker, or every question,
 * awaits an answer. */
static leat_writer_check *find_check(leat_kafka_writer *writer, int32_t broker)
{
    leat_writer_check *ret = NULL;
    for (size_t i = 1; i < sizeof writer->checks / sizeof *writer->checks; i++) {
        leat_writer_check *check = &writer->checks[i];
        if (check->begun_us != 0 && check->broker == broker)
            return check->is_out ? NULL : check;
        if (!check->is_out && (!ret || check->begun_us < ret->begun_us))
            ret = check;
    }
    return ret;
}

static void check_at_broker(leat_kafka_writer *writer, int32_t broker)
{
    leat_writer_check *check = writer->client && broker >= 0 ? find_check(writer, broker) : NULL;
    if (check)
        begin_check(writer, check, broker);
}

static void check_now(leat_kafka_writer *writer)
{
    if (writer->client && !writer->checks[0].is_out)
        begin_check(writer, &writer->checks[0], LEAT_GUARD_ANY);
}

/* ---- acknowledged ---- */

static void answer_acked(leat_kafka_writer *writer, leat_writer_slot *slot, const char *why)
{
    LEAT_ASSERT(slot->ack.at_us > 0);
    leat_topic_ack ack = slot->ack;
    leat_append_result result = why ? LEAT_APPEND_UNKNOWN : LEAT_APPENDED;
    leat_writer_answer(writer, slot, result, ack.partition, why ? -1 : ack.offset, why);
}

/* Answers those that have been shown to be stored, and asks again for the others. */
static void judge_acked(leat_kafka_writer *writer)
{
    LEAT_ASSERT(!*writer->acked_end);
    leat_writer_slot *slot = writer->acked;
    writer->acked = NULL;
    writer->acked_end = &writer->acked;
    while (slot) {
        leat_writer_slot *next = slot->next;
        if (leat_topic_guard_is_shown(&writer->guard, &slot->ack)) {
            answer_acked(writer, slot, NULL);
        } else {
            slot->next = NULL;
            *writer->acked_end = slot;
            writer->acked_end = &slot->next;
            check_at_broker(writer, slot->ack.broker);
        }
        slot = next;
    }
}

/* Those that came before; the first are the oldest. */
static void give_up_before(leat_kafka_writer *writer, int64_t before_us, const char *why)
{
    while (writer->acked && writer->acked->ack.at_us < before_us) {
        leat_writer_slot *slot = writer->acked;
        writer->acked = slot->next;
        if (!writer->acked)
            writer->acked_end = &writer->acked;
        answer_acked(writer, slot, why);
    }
}

void leat_writer_give_up_acked(leat_kafka_writer *writer, const char *why)
{
    give_up_before(writer, INT64_MAX, why);
}

static bool is_wrong(const leat_kafka_writer *writer)
{
    return writer->wrong[0] != '\0';
}

static void on_recreated(leat_kafka_writer *writer, leat_writer_slot *slot)
{
    LEAT_ASSERT(slot->ack.partition < writer->partition_count);
    leat_err("partition acknowledged an offset that it had given before: the topic was recreated "
             "or the partition cut off, and the write is answered 504 partition=%u offset=%lld "
             "topic=%s",
             slot->ack.partition, (long long)slot->ack.offset, writer->config.topic);
    leat_topic_guard_doubt(&writer->guard);
    answer_acked(
        writer, slot,
        "the log gave the write an offset that it had given before: its topic was recreated or cut off");
    check_now(writer);
}

static void wait_for_check(leat_kafka_writer *writer, leat_writer_slot *slot)
{
    LEAT_ASSERT(!*writer->acked_end);
    slot->next = NULL;
    *writer->acked_end = slot;
    writer->acked_end = &slot->next;
}

static void note_stored(leat_kafka_writer *writer, const rd_kafka_message_t *report)
{
    leat_writer_note_taken(writer);
    if (writer->clock_logged)
        return;
    rd_kafka_timestamp_type_t type;
    rd_kafka_message_timestamp(report, &type);
    if (type != RD_KAFKA_TIMESTAMP_CREATE_TIME)
        return;
    writer->clock_logged = true;
    leat_warn("topic has message.timestamp.type=CreateTime: if this machine's clock is wrong, "
              "retention deletes writes too early topic=%s advice=\"run `leat init`, or set "
              "LogAppendTime on the topic\"",
              writer->config.topic);
}

void leat_writer_on_stored(leat_kafka_writer *writer, const rd_kafka_message_t *report,
                           int64_t now_us)
{
    leat_writer_slot *slot = report->_private;
    slot->ack = (leat_topic_ack){.partition = (uint32_t)report->partition,
                                 .broker = rd_kafka_message_broker_id(report),
                                 .offset = report->offset >= 0 ? report->offset : -1,
                                 .at_us = now_us};
    note_stored(writer, report);
    leat_topic_guard_verdict verdict = leat_topic_guard_check_ack(&writer->guard, &slot->ack);
    if (is_wrong(writer))
        answer_acked(writer, slot, writer->wrong);
    else if (slot->ack.offset < 0)
        answer_acked(writer, slot, "the log has the write but does not tell its offset");
    else if (verdict == LEAT_GUARD_RECREATED)
        on_recreated(writer, slot);
    else if (verdict == LEAT_GUARD_WAIT)
        wait_for_check(writer, slot);
    else
        answer_acked(writer, slot, NULL);
    leat_topic_ack ack = {
        .broker = rd_kafka_message_broker_id(report), .offset = report->offset, .at_us = now_us};
    if (leat_topic_guard_wants_check(&writer->guard, &ack))
        check_at_broker(writer, ack.broker);
}

/* ---- refused, because the topic is another? ---- */

bool leat_writer_is_suspicious(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           code == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID;
}

void leat_writer_note_suspicion(leat_kafka_writer *writer, rd_kafka_resp_err_t code)
{
    if (!leat_writer_is_suspicious(code))
        return;
    leat_topic_guard_doubt(&writer->guard);
    check_now(writer);
}

/* ---- what a check found ---- */

static bool is_other_cluster(leat_kafka_writer *writer, char *ret, size_t size)
{
    LEAT_ASSERT(size > 0);
    char *cluster = rd_kafka_clusterid(writer->client->rk, 0);
    bool is_other = cluster && writer->identity.cluster[0] &&
                    strcmp(cluster, writer->identity.cluster) != 0;
    snprintf(ret, size, "%s", cluster ? cluster : "");
    if (cluster)
        rd_kafka_mem_free(writer->client->rk, cluster);
    return is_other;
}

/* Is it the right one? Else writes why not. */
static bool is_right(leat_kafka_writer *writer, const leat_kafka_topic *topic, char *why,
                     size_t size)
{
    LEAT_ASSERT(size > 0);
    const leat_log_identity *wanted = &writer->identity;
    const char *name = writer->config.topic;
    char cluster[sizeof wanted->cluster];
    if (is_other_cluster(writer, cluster, sizeof cluster)) {
        snprintf(why, size,
                 "the brokers are of Kafka cluster %s, topic %s was set up in cluster %s", cluster,
                 name, wanted->cluster);
        return false;
    }
    if (leat_kafka_is_other_topic(wanted->topic_id, topic->topic_id)) {
        snprintf(why, size,
                 "topic %s was deleted and recreated: its id is %s, it was set up with %s", name,
                 topic->topic_id, wanted->topic_id);
        return false;
    }
    if (topic->partition_count < wanted->partition_count) {
        snprintf(why, size, "topic %s has %u partitions, it was set up with %u", name,
                 topic->partition_count, wanted->partition_count);
        return false;
    }
    return true;
}

static void on_wrong(leat_kafka_writer *writer, const char *why)
{
    LEAT_ASSERT(why[0]);
    bool is_news = strcmp(writer->wrong, why) != 0;
    bool was_wrong = is_wrong(writer);
    snprintf(writer->wrong, sizeof writer->wrong, "%s", why);
    leat_topic_guard_doubt(&writer->guard);
    leat_writer_give_up_acked(writer, writer->wrong);
    if (is_news)
        leat_err("writes are answered 503 until the topic that was set up is found again topic=%s "
                 "reason=\"%s\" advice=\"if it is gone for good, see 'A topic was deleted and "
                 "recreated' in docs/operations.md\"",
                 writer->config.topic, why);
    if (was_wrong)
        return;
    writer->wrong_since_ms = leat_wall_ms();
    leat_writer_renew(writer);
}

static void on_right(leat_kafka_writer *writer, const leat_writer_check *check,
                     const leat_kafka_topic *topic)
{
    if (is_wrong(writer))
        leat_info("topic is the one that was set up: writes are accepted again topic=%s",
                  writer->config.topic);
    writer->wrong[0] = '\0';
    if (topic->partition_count > writer->identity.partition_count &&
        writer->identity.partition_count > 0 && !writer->growth_logged) {
        writer->growth_logged = true;
        leat_warn("topic has more partitions than it was set up with: the others are not written "
                  "to client=writer topic=%s found=%u wanted=%u",
                  writer->config.topic, topic->partition_count, writer->identity.partition_count);
    }
    leat_topic_guard_checked(&writer->guard, check->broker, check->begun_us);
    judge_acked(writer);
}

static void on_found(leat_kafka_writer *writer, const leat_writer_check *check,
                     const leat_kafka_topic *topic, rd_kafka_event_t *event)
{
    char why[LEAT_WRITER_WHY_SIZE];
    if (!is_right(writer, topic, why, sizeof why)) {
        on_wrong(writer, why);
        return;
    }
    on_right(writer, check, topic);
    leat_writer_check_partitions(writer, event);
    if (writer->state == LEAT_WRITER_OPEN)
        writer->sign_us = leat_mono_us();
    leat_writer_ask_limit(writer);
}

void leat_writer_on_topic(leat_kafka_writer *writer, rd_kafka_event_t *event)
{
    leat_error error;
    leat_kafka_topic topic;
    leat_writer_check *check = rd_kafka_event_opaque(event);
    LEAT_ASSERT(check && check->is_out);
    check->is_out = false;
    leat_kafka_pulse_event(&writer->pulse, event);
    int result = leat_kafka_read_topic(event, &topic, &error);
    if (result < 0) {
        leat_kafka_log_error(writer->client, RD_KAFKA_RESP_ERR__FAIL, error.text);
        return;
    }
    if (result == 0) {
        on_found(writer, check, &topic, event);
        return;
    }
    char why[LEAT_WRITER_WHY_SIZE];
    snprintf(why, sizeof why, "topic %s does not exist", writer->config.topic);
    on_wrong(writer, why);
}

static void give_up(leat_kafka_writer *writer)
{
    LEAT_ASSERT(!writer->failed[0]);
    leat_log_health health;
    leat_kafka_writer_health(&writer->base, &health);
    snprintf(writer->failed, sizeof writer->failed, "%s", health.why);
}

/* The action that the brokers' silence calls for. */
static void watch_pulse(leat_kafka_writer *writer, int64_t now_us)
{
    rd_kafka_t *rk = writer->client ? writer->client->rk : NULL;
    unsigned actions = leat_kafka_pulse_check(&writer->pulse, rk, now_us);
    if (actions & LEAT_WATCHDOG_GIVE_UP)
        give_up(writer);
    else if ((actions & LEAT_WATCHDOG_RENEW) && writer->client)
        leat_writer_renew(writer);
}

void leat_writer_watch_tick(leat_kafka_writer *writer, int64_t now_us)
{
    watch_pulse(writer, now_us);
    give_up_before(writer, now_us - ACKED_MAX_US, unseen_why);
    leat_writer_refusals_tick(writer, now_us);
    if (now_us - writer->checks[0].begun_us >= CHECK_EVERY_US)
        check_now(writer);
}

/* ---- its health ---- */

void leat_kafka_writer_health(const leat_log_writer *base, leat_log_health *ret)
{
    const leat_kafka_writer *writer = (const leat_kafka_writer *)base;
    leat_kafka_pulse_health(&writer->pulse, ret);
    ret->topic_gone = is_wrong(writer);
    if (!is_wrong(writer))
        return;
    ret->since_ms = writer->wrong_since_ms;
    snprintf(ret->why, sizeof ret->why, "%s", writer->wrong);
}

const char *leat_kafka_writer_failed(const leat_log_writer *base)
{
    const leat_kafka_writer *writer = (const leat_kafka_writer *)base;
    return writer->failed[0] ? writer->failed : NULL;
}
