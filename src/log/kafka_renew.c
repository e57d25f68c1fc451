/*
 * kafka_renew.c - the reader: is it alive? Two troubles are watched: no broker answers (kafka_pulse.c), and the group gives
 * it nothing although partitions have no owner. When one of them lasts, all partitions are counted as lost, and once the
 * caller has given back what it holds, another client joins the group in place of this one. When nothing helps, the reader
 * has failed: the process is to be started again.
 */
#include "log/kafka_reader.h"

#include <stdio.h>
#include <string.h>

enum {
    SILENT_US = 10 * 1000 * 1000,
    TOPIC_EVERY_US = 3 * 1000 * 1000,
    GROUP_EVERY_US = 3 * 1000 * 1000,
    QUESTIONS = 4, /* at least, before it counts as silence */
    TRY_AGAIN_US = 1000 * 1000,
    MS_US = 1000,
    S_US = 1000 * 1000,
};

void leat_reader_renew_init(leat_kafka_reader *reader)
{
    leat_kafka_pulse_init(&reader->pulse, reader->client->label, &reader->config, SILENT_US);
    leat_watchdog_limits limits = reader->pulse.dog.limits;
    reader->topic_every_us = limits.bad_us / QUESTIONS < TOPIC_EVERY_US ? limits.bad_us / QUESTIONS : TOPIC_EVERY_US;
    limits.bad_us = limits.renew_us; /* a group takes its time to share its partitions out */
    limits.renew_us *= 2;
    leat_watchdog_init(&reader->without, &limits, leat_mono_us());
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

static void renew_begin(leat_kafka_reader *reader)
{
    if (reader->renewing)
        return;
    reader->renewing = true;
    reader->renew_us = 0;
    reader->pulse.renewals++;
    lose_all(reader);
}

static void renew_step(leat_kafka_reader *reader, int64_t now_us)
{
    bool must_wait = reader->handed > 0 || leat_kafka_clients_leaving() >= LEAT_KAFKA_LEAVING_MAX;
    if (!reader->renewing || must_wait || now_us < reader->renew_us)
        return;
    leat_error error;
    leat_reader_client_close(reader, 0);
    if (leat_reader_client_open(reader, &error) != 0) {
        leat_err("Kafka reader: no new client: %s", error.text);
        reader->renew_us = now_us + TRY_AGAIN_US;
        return;
    }
    reader->renewing = false;
    reader->topic_asked_us = reader->group_asked_us = 0;
    leat_info("Kafka reader: a new client is in place (%u so far)", reader->pulse.renewals);
}

/* ---- without partitions ---- */

static bool holds_any(const leat_kafka_reader *reader)
{
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        if (leat_part_is_mine(&reader->parts[p]))
            return true;
    return false;
}

static void has_its_share(leat_kafka_reader *reader)
{
    reader->unowned = 0;
    if (leat_watchdog_good(&reader->without, leat_mono_us()) > 0)
        leat_info("Kafka reader: the group %s is in good order again", reader->config.group);
}

void leat_reader_on_group(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    reader->unowned = leat_kafka_read_unowned(event, reader->topic, reader->identity.partition_count);
    if (reader->unowned == 0)
        has_its_share(reader);
}

static void say_without(char *ret, size_t size, const leat_kafka_reader *reader)
{
    snprintf(ret, size, "group %s has given no partition to this member for %lld s, and %u of the %u of topic %s have no owner",
             reader->config.group, (long long)(leat_watchdog_bad_us(&reader->without) / S_US), reader->unowned,
             reader->identity.partition_count, reader->topic);
}

static unsigned look_at_share(leat_kafka_reader *reader, int64_t now_us)
{
    bool is_silent = leat_watchdog_bad_us(&reader->pulse.dog) > 0;
    if (reader->revoking || reader->topic_gone || is_silent || reader->renewing || holds_any(reader)) {
        has_its_share(reader);
    } else if (now_us - reader->group_asked_us >= GROUP_EVERY_US) {
        reader->group_asked_us = now_us;
        leat_kafka_ask_group(reader->rk, reader->config.group, LEAT_ASK_TIMEOUT_MS, reader->answers);
    }
    unsigned wishes = leat_watchdog_look(&reader->without, now_us);
    if (reader->unowned == 0) /* not known */
        return 0;
    char text[LEAT_LOG_WHY_SIZE];
    say_without(text, sizeof text, reader);
    if (wishes & LEAT_WATCHDOG_SAY)
        leat_warn("Kafka reader: %s", text);
    if (wishes & LEAT_WATCHDOG_RENEW)
        leat_warn("Kafka reader: %s: another client takes this one's place", text);
    return wishes;
}

/* ---- public ---- */

static void give_up(leat_kafka_reader *reader)
{
    leat_log_health health;
    leat_log_reader_health(&reader->base, &health);
    reader->has_failed = true;
    reader->events.failed(reader->events.context, health.why);
}

void leat_reader_renew_tick(leat_kafka_reader *reader, int64_t now_us)
{
    unsigned wishes = leat_kafka_pulse_look(&reader->pulse, reader->renewing ? NULL : reader->rk, now_us);
    wishes |= look_at_share(reader, now_us);
    if (reader->has_failed)
        return;
    if (wishes & LEAT_WATCHDOG_GIVE_UP)
        give_up(reader);
    else if (wishes & LEAT_WATCHDOG_RENEW)
        renew_begin(reader);
    renew_step(reader, now_us);
}

void leat_kafka_reader_health(const leat_log_reader *base, leat_log_health *ret)
{
    const leat_kafka_reader *reader = (const leat_kafka_reader *)base;
    leat_kafka_pulse_health(&reader->pulse, ret);
    ret->topic_gone = reader->topic_gone;
    int64_t without_us = reader->unowned > 0 ? leat_watchdog_bad_us(&reader->without) : 0;
    if (reader->topic_gone) {
        ret->since_ms = reader->gone_since_ms;
        snprintf(ret->why, sizeof ret->why, "topic %s: %s", reader->topic, reader->gone_why);
    } else if (ret->since_ms == 0 && without_us > 0) {
        ret->since_ms = leat_wall_ms() - without_us / MS_US;
        say_without(ret->why, sizeof ret->why, reader);
    }
}
