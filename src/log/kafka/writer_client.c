/*
 * writer_client.c - the writer: its client, and the next one.
 *
 * A fatal error of the idempotent producer ends its client, and so does a topic that is not the
 * right one (topic_watch.c): nothing more is accepted, everything that waits is answered, then a
 * new client takes its place. A record is never carried over: its sender learns that it failed or
 * is unknown, so keeping a key's order is up to the senders.
 */
#include "log/kafka/writer.h"

#include <stdlib.h>

#include "base/states.h"

enum { RENEW_WAIT_US = 2 * 1000 * 1000 };

/* ---- its state ---- */

/* Which states may follow which: writer.h. */
static const unsigned may_follow[] = {
    [LEAT_WRITER_GIVEN_UP] = LEAT_TO(LEAT_WRITER_OPEN),
    [LEAT_WRITER_OPEN] = LEAT_TO(LEAT_WRITER_RENEWING),
    [LEAT_WRITER_RENEWING] = LEAT_TO(LEAT_WRITER_GIVEN_UP),
};

static void enter(leat_kafka_writer *writer, leat_writer_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, writer->state, state));
    writer->state = state;
    writer->state_us = leat_mono_us();
}

/* ---- the client ---- */

/* A number of the client's configuration; -1: there is none. */
long leat_writer_config_number(const leat_kafka_writer *writer, const char *name)
{
    LEAT_ASSERT(writer->client);
    char text[LEAT_WRITER_NUMBER_SIZE];
    size_t size = sizeof text;
    const rd_kafka_conf_t *conf = rd_kafka_conf(writer->client->rk);
    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK ? strtol(text, NULL, 10)
                                                                          : -1;
}

int leat_writer_open_client(leat_kafka_writer *writer, leat_error *error)
{
    LEAT_ASSERT(!writer->client);
    int wanted = RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR;
    writer->client = leat_kafka_client_new(LEAT_KAFKA_WRITER, &writer->config, wanted, error);
    if (!writer->client)
        return -1;
    rd_kafka_t *rk = writer->client->rk;
    writer->record_max = leat_writer_config_number(writer, "message.max.bytes");
    writer->topic = rd_kafka_topic_new(rk, writer->config.topic, NULL);
    writer->reports = rd_kafka_queue_get_main(rk);
    writer->answers = rd_kafka_queue_new(rk);
    leat_kafka_wake_by(writer->reports, writer->wake_fd);
    leat_kafka_wake_by(writer->answers, writer->wake_fd);
    leat_writer_watch_begin(writer);
    enter(writer, LEAT_WRITER_OPEN);
    return 0;
}

/* `timeout_ms` 0: does not wait until the client is gone. */
void leat_writer_close_client(leat_kafka_writer *writer, int timeout_ms)
{
    if (!writer->client)
        return;
    rd_kafka_queue_io_event_enable(writer->reports, -1, NULL, 0);
    rd_kafka_queue_io_event_enable(writer->answers, -1, NULL, 0);
    rd_kafka_queue_destroy(writer->reports);
    rd_kafka_queue_destroy(writer->answers);
    rd_kafka_topic_destroy(writer->topic);
    leat_kafka_client_free(writer->client, timeout_ms);
    writer->client = NULL;
    writer->limit_asked = false;
}

void leat_writer_purge(leat_kafka_writer *writer)
{
    LEAT_ASSERT(writer->client);
    int flags = RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING;
    rd_kafka_purge(writer->client->rk, flags);
}

/* ---- its renewal ---- */

void leat_writer_begin_renewal(leat_kafka_writer *writer)
{
    enter(writer, LEAT_WRITER_RENEWING);
    writer->sign_us = 0;
    writer->pulse.renewals++;
    leat_writer_hand_over_all(writer);
}

void leat_writer_renew(leat_kafka_writer *writer)
{
    leat_writer_give_up_held(writer);
    if (writer->state == LEAT_WRITER_OPEN)
        leat_writer_begin_renewal(writer);
    leat_writer_purge(writer);
}

void leat_writer_on_fatal(leat_kafka_writer *writer, const char *text)
{
    if (writer->state != LEAT_WRITER_OPEN)
        return;
    leat_err("Kafka client has a fatal error: the records that wait are given up, then another "
             "client takes its place client=writer topic=%s waiting=%zu reason=\"%s\"",
             writer->config.topic, writer->waiting, text);
    leat_writer_renew(writer);
}

/* The waiting records were purged, or have timed out. */
static void give_up_client(leat_kafka_writer *writer)
{
    LEAT_ASSERT(writer->state == LEAT_WRITER_RENEWING);
    bool is_over = writer->waiting == 0 || leat_mono_us() - writer->state_us >= RENEW_WAIT_US;
    if (!is_over)
        return;
    leat_writer_answer_rest(writer);
    enter(writer, LEAT_WRITER_GIVEN_UP);
}

void leat_writer_continue_renewal(leat_kafka_writer *writer)
{
    if (writer->state == LEAT_WRITER_RENEWING)
        give_up_client(writer);
    if (writer->state != LEAT_WRITER_GIVEN_UP ||
        leat_kafka_clients_leaving() >= LEAT_KAFKA_LEAVING_MAX)
        return;
    LEAT_ASSERT(writer->waiting == 0);
    leat_writer_close_client(writer, 0);
    leat_error error;
    if (leat_writer_open_client(writer, &error) != 0) {
        leat_err("no other Kafka client can be made client=writer reason=\"%s\"", error.text);
        return;
    }
    leat_info("another Kafka client is in place client=writer topic=%s renewals=%u",
              writer->config.topic, writer->pulse.renewals);
}
