/*
 * renew.c - the reader: is it alive? Two troubles are watched: no broker answers (liveness.c), and
 * brokers answer but the client is not a member of the group. When one of them lasts, all
 * partitions are counted as lost, and once the caller has given back what it holds, another client
 * joins the group in place of this one. When nothing helps, the reader has failed: the process is
 * to be started again.
 *
 * Membership is read from the client itself. The brokers are not asked for the group's members: a
 * question to the group's coordinator ends librdkafka 2.12.1 with a failed assertion
 * (rd_kafka_enq_once_del_source_return) when the coordinator goes away at the wrong moment, and it
 * is just in such trouble that leat would ask.
 */
#include "log/kafka/reader.h"

#include <stdio.h>
#include <string.h>

enum {
    SILENT_US = 10 * 1000 * 1000,
    TOPIC_EVERY_US = 3 * 1000 * 1000,
    QUESTIONS = 4, /* minimum before it counts as silence */
    MEMBER_EVERY_US = 1000 * 1000,
    TRY_AGAIN_US = 1000 * 1000,
    MS_US = 1000,
    S_US = 1000 * 1000,
};

void leat_reader_renew_init(leat_kafka_reader *reader)
{
    LEAT_ASSERT(reader->client);
    leat_kafka_pulse_init(&reader->pulse, reader->client->label, &reader->config, SILENT_US);
    leat_watchdog_limits limits = reader->pulse.dog.limits;
    reader->topic_every_us = limits.bad_us / QUESTIONS < TOPIC_EVERY_US ? limits.bad_us / QUESTIONS
                                                                        : TOPIC_EVERY_US;
    limits.bad_us = limits.renew_us; /* a group takes its time to let somebody in */
    limits.renew_us *= 2;
    leat_watchdog_init(&reader->outside, &limits, leat_mono_us());
}

/* ---- another client ---- */

static void lose_all(leat_kafka_reader *reader)
{
    if (reader->revoking)
        rd_kafka_topic_partition_list_destroy(reader->revoking);
    reader->revoking = NULL;
    for (uint32_t p = 0; p < reader->identity.partition_count; p++) {
        if (!leat_part_is_mine(&reader->parts[p]))
            continue;
        leat_part_close(reader, p);
        reader->events.lost(reader->events.context, p);
    }
}

static void begin_renewal(leat_kafka_reader *reader)
{
    if (reader->renewing)
        return;
    reader->renewing = true;
    reader->renew_us = 0;
    reader->pulse.renewals++;
    lose_all(reader);
}

static void continue_renewal(leat_kafka_reader *reader, int64_t now_us)
{
    bool must_wait = reader->handed > 0 || leat_kafka_clients_leaving() >= LEAT_KAFKA_LEAVING_MAX;
    if (!reader->renewing || must_wait || now_us < reader->renew_us)
        return;
    leat_error error;
    LEAT_ASSERT(reader->handed == 0 && reader->renewing);
    leat_reader_client_close(reader, 0);
    if (leat_reader_client_open(reader, &error) != 0) {
        leat_err("no other Kafka client can be made client=reader reason=\"%s\"", error.text);
        reader->renew_us = now_us + TRY_AGAIN_US;
        return;
    }
    reader->renewing = false;
    reader->topic_asked_us = 0;
    leat_info("another Kafka client is in place client=reader topic=%s renewals=%u", reader->topic,
              reader->pulse.renewals);
}

/* ---- outside the group ---- */

static void describe_outside(char *ret, size_t size, const leat_kafka_reader *reader)
{
    LEAT_ASSERT(size > 0);
    bool is_new = leat_kafka_wants_consumer_protocol(&reader->config);
    snprintf(
        ret, size,
        "this client has not been a member of group %s for %lld s, although brokers answer (topic %s)%s",
        reader->config.group, (long long)(leat_watchdog_bad_us(&reader->outside) / S_US),
        reader->topic,
        is_new
            ? "; with group.protocol=consumer it joins when no member with cooperative-sticky is left"
            : "");
}

static bool holds_any(const leat_kafka_reader *reader)
{
    bool ret = false;
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        ret = ret || leat_part_is_mine(&reader->parts[p]);
    return ret;
}

/* Whether a member is given partitions is the group's to decide: there may be more members than
 * partitions. The client's own thread is asked, which takes a moment: not at every tick, and not by
 * one that holds something. */
static bool is_in_order(leat_kafka_reader *reader, int64_t now_us)
{
    if (reader->topic_gone || holds_any(reader))
        return true;
    if (reader->renewing || now_us - reader->member_asked_us < MEMBER_EVERY_US)
        return false;
    reader->member_asked_us = now_us;
    return leat_reader_generation(reader) >= 0;
}

static unsigned check_membership(leat_kafka_reader *reader, int64_t now_us)
{
    bool is_silent = leat_watchdog_bad_us(&reader->pulse.dog) > 0;
    bool is_good = is_silent || is_in_order(reader, now_us);
    if (is_good && leat_watchdog_good(&reader->outside, now_us) > 0 && !is_silent)
        leat_info("client is a member of the group again client=reader group=%s",
                  reader->config.group);
    unsigned actions = leat_watchdog_check(&reader->outside, now_us);
    if (!(actions & (LEAT_WATCHDOG_LOG | LEAT_WATCHDOG_RENEW)))
        return actions;
    char text[LEAT_LOG_WHY_SIZE];
    describe_outside(text, sizeof text, reader);
    if (actions & LEAT_WATCHDOG_LOG)
        leat_warn("client is not a member of its group client=reader reason=\"%s\"", text);
    if (actions & LEAT_WATCHDOG_RENEW)
        leat_warn("client is not a member of its group: another client takes this one's place "
                  "client=reader reason=\"%s\"",
                  text);
    return actions;
}

/* ---- public ---- */

static void give_up(leat_kafka_reader *reader)
{
    LEAT_ASSERT(!reader->has_failed);
    leat_log_health health;
    leat_kafka_reader_health(&reader->base, &health);
    reader->has_failed = true;
    reader->events.failed(reader->events.context, health.why);
}

void leat_reader_renew_tick(leat_kafka_reader *reader, int64_t now_us)
{
    unsigned actions =
        leat_kafka_pulse_check(&reader->pulse, reader->renewing ? NULL : reader->rk, now_us);
    actions |= check_membership(reader, now_us);
    if (reader->has_failed)
        return;
    if (actions & LEAT_WATCHDOG_GIVE_UP)
        give_up(reader);
    else if (actions & LEAT_WATCHDOG_RENEW)
        begin_renewal(reader);
    continue_renewal(reader, now_us);
}

void leat_kafka_reader_health(const leat_log_reader *base, leat_log_health *ret)
{
    const leat_kafka_reader *reader = (const leat_kafka_reader *)base;
    leat_kafka_pulse_health(&reader->pulse, ret);
    ret->topic_gone = reader->topic_gone;
    ret->fetched = reader->fetched ? rd_kafka_queue_length(reader->fetched) : 0;
    int64_t outside_us = leat_watchdog_bad_us(&reader->outside);
    if (reader->topic_gone) {
        ret->since_ms = reader->gone_since_ms;
        snprintf(ret->why, sizeof ret->why, "topic %s: %s", reader->topic, reader->gone_why);
    } else if (ret->since_ms == 0 && outside_us > 0) {
        ret->since_ms = leat_wall_ms() - outside_us / MS_US;
        describe_outside(ret->why, sizeof ret->why, reader);
    }
}
