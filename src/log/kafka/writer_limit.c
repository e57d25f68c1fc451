/*
 * writer_limit.c - the writer: how large a record may be.
 *
 * The brokers apply the limit to whole batches: one over the topic's max.message.bytes is refused
 * with all its records, which may be small. So leat asks for the limit at start and when something
 * was refused as too large; if the client's batches may exceed it, another client with smaller ones
 * takes its place.
 */
#include "log/kafka/writer.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- asking ---- */

void leat_writer_ask_limit_again(leat_kafka_writer *writer)
{
    if (writer->limit_asked || writer->limit_refused || writer->state != LEAT_WRITER_OPEN)
        return;
    writer->limit_asked = true;
    leat_kafka_ask_settings(writer->client->rk, writer->config.topic, LEAT_WRITER_ASK_MS, NULL,
                            writer->answers);
}

void leat_writer_ask_limit(leat_kafka_writer *writer)
{
    if (writer->limit == 0)
        leat_writer_ask_limit_again(writer);
}

/* ---- batches that fit ---- */

/* For the next client; wins over the user's. */
static void set_batch_size(leat_kafka_writer *writer, long size)
{
    LEAT_ASSERT(size > 0);
    snprintf(writer->batch_size, sizeof writer->batch_size, "%ld", size);
    leat_log_property *properties = leat_kafka_unconst(writer->config.properties); /* the copy's own
                                                                                    */
    properties[writer->user_properties] = (leat_log_property){"batch.size", writer->batch_size};
    writer->config.property_count = writer->user_properties + 1;
}

/* The old client still answers the records that wait. */
static void fit_batches(leat_kafka_writer *writer)
{
    if (writer->limit <= 0 || leat_writer_config_number(writer, "batch.size") <= writer->limit)
        return;
    set_batch_size(writer, writer->limit);
    if (writer->state != LEAT_WRITER_OPEN)
        return;
    leat_info("topic takes smaller batches than the client makes: another client takes its place "
              "client=writer topic=%s max_message_bytes=%ld",
              writer->config.topic, writer->limit);
    leat_writer_begin_renewal(writer);
}

/* ---- the answer ---- */

static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE ||
           code == RD_KAFKA_RESP_ERR__TRANSPORT;
}

static void take_limit(leat_kafka_writer *writer, long limit)
{
    bool is_news = limit != writer->limit;
    writer->limit = limit;
    if (is_news && limit > 0 && (size_t)limit < writer->config.value_max)
        leat_warn("topic takes smaller records than limits.body_max: larger writes are answered "
                  "413 topic=%s max_message_bytes=%ld body_max_bytes=%zu",
                  writer->config.topic, limit, writer->config.value_max);
}

void leat_writer_on_settings(leat_kafka_writer *writer, rd_kafka_event_t *event)
{
    LEAT_ASSERT(writer->client);
    leat_error error;
    char text[LEAT_WRITER_NUMBER_SIZE];
    writer->limit_asked = false;
    if (leat_kafka_read_setting(event, "max.message.bytes", text, sizeof text, &error) == 0) {
        take_limit(writer, strtol(text, NULL, 10));
        if (leat_kafka_read_setting(event, "min.insync.replicas", text, sizeof text, &error) == 0)
            writer->min_in_sync = strtol(text, NULL, 10);
        fit_batches(writer);
        return;
    }
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    writer->limit_refused = !is_passing(code);
    leat_fail_prefix(&error,
                     "max.message.bytes of the topic is not known, batch.size must not exceed it");
    leat_kafka_log_error(writer->client, code, error.text);
}
