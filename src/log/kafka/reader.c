/*
 * reader.c - the reader: one consumer of the group on the caller's loop. All of librdkafka's queues
 * wake the same eventfd; a turn serves the group, then the answers, then reads each partition once,
 * so that none waits for another. The group is served at least every TICK_MS, whatever the
 * partitions do, so that only a loop that hangs can exceed max.poll.interval.ms.
 */
#include "log/kafka/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    CLOSE_POLL_MS = 50,
    LONG_PAUSE_US = 10 * 1000 * 1000,
    FREE_MIN_MS = 200,
};

/* ---- the loop ---- */

/* After a fatal error librdkafka's client does nothing any longer. */
static void on_error(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    if (!rd_kafka_event_error_is_fatal(event)) {
        leat_kafka_log_error(reader->client, rd_kafka_event_error(event),
                             rd_kafka_event_error_string(event));
        return;
    }
    if (reader->has_failed)
        return;
    reader->has_failed = true;
    char text[512], reason[640];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(reader->rk, text, sizeof text);
    snprintf(reason, sizeof reason, "%s%s", code ? text : rd_kafka_event_error_string(event),
             leat_kafka_missing_right(reader->client, code));
    reader->events.failed(reader->events.context, reason);
}

static void on_group_event(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_REBALANCE:
        leat_reader_on_rebalance(reader, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        on_error(reader, event);
        break;
    default:
        break; /* records of a partition that is not ours to read: dropped with the event */
    }
}

static void on_answer(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        leat_reader_on_commit(reader, event);
        break;
    case RD_KAFKA_EVENT_LISTOFFSETS_RESULT:
        leat_reader_on_offsets(reader, event);
        break;
    case RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT:
        leat_kafka_pulse_event(&reader->pulse, event);
        leat_reader_on_topic(reader, event);
        break;
    default:
        break;
    }
}

static void serve_queue(leat_kafka_reader *reader, rd_kafka_queue_t *queue,
                        void (*on_event)(leat_kafka_reader *, rd_kafka_event_t *))
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(queue, 0))) {
        on_event(reader, event);
        rd_kafka_event_destroy(event);
    }
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    leat_kafka_reader *reader = poll->data;
    leat_kafka_wake_clear(reader->wake_fd);
    if (reader->renewing)
        return;
    serve_queue(reader, reader->group, on_group_event);
    serve_queue(reader, reader->answers, on_answer);
    reader->more = true; /* one eventfd for all: this queue may have woken us */
    if (leat_reader_read(reader))
        leat_kafka_wake(reader->wake_fd);
}

static void on_tick(uv_timer_t *timer)
{
    leat_kafka_reader *reader = timer->data;
    if (!reader->renewing) {
        serve_queue(reader, reader->group, on_group_event);
        leat_reader_check_lost(reader);
        for (uint32_t p = 0; p < reader->identity.partition_count; p++)
            leat_reader_tick_part(reader, p, leat_mono_us());
        leat_reader_range_tick(reader, leat_mono_us());
    }
    leat_reader_renew_tick(reader, leat_mono_us());
}

/* ---- public: life ---- */

static int subscribe(leat_kafka_reader *reader, leat_error *error)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, reader->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(reader->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code ? leat_fail(error, "Kafka reader: subscribe: %s", rd_kafka_err2str(code)) : 0;
}

static int attach_to_loop(leat_kafka_reader *reader, uv_loop_t *loop, leat_error *error)
{
    int result = uv_poll_init(loop, &reader->poll, reader->wake_fd);
    if (result != 0)
        return leat_fail(error, "uv_poll_init: %s", uv_strerror(result));
    uv_timer_init(loop, &reader->timer);
    reader->open_handles = 2;
    reader->poll.data = reader;
    reader->timer.data = reader;
    uv_poll_start(&reader->poll, UV_READABLE, on_wake);
    uv_timer_start(&reader->timer, on_tick, TICK_MS, TICK_MS);
    return 0;
}

static void forget(leat_kafka_reader *reader)
{
    if (reader->wake_fd >= 0)
        close(reader->wake_fd);
    leat_kafka_config_free(&reader->config, reader->user_properties);
    free(reader->parts);
    free(reader);
}

static int open_queues(leat_kafka_reader *reader, leat_error *error)
{
    LEAT_ASSERT(!reader->group && !reader->answers && !reader->fetched);
    rd_kafka_poll_set_consumer(reader->rk);
    reader->group = rd_kafka_queue_get_consumer(reader->rk);
    if (!reader->group)
        return leat_fail(error, "Kafka reader: no consumer queue");
    reader->answers = rd_kafka_queue_new(reader->rk);
    reader->fetched = rd_kafka_queue_new(reader->rk);
    leat_kafka_wake_by(reader->group, reader->wake_fd);
    leat_kafka_wake_by(reader->answers, reader->wake_fd);
    leat_kafka_wake_by(reader->fetched, reader->wake_fd);
    return 0;
}

static void close_queues(leat_kafka_reader *reader)
{
    rd_kafka_queue_t *queues[] = {reader->group, reader->answers, reader->fetched};
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        if (!queues[i])
            continue;
        rd_kafka_queue_io_event_enable(queues[i], -1, NULL, 0);
        rd_kafka_queue_destroy(queues[i]);
    }
    reader->group = reader->answers = reader->fetched = NULL;
}

int leat_reader_client_open(leat_kafka_reader *reader, leat_error *error)
{
    LEAT_ASSERT(!reader->client);
    int wanted = RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OFFSET_COMMIT;
    reader->client = leat_kafka_client_new(LEAT_KAFKA_READER, &reader->config, wanted, error);
    if (!reader->client)
        return -1;
    reader->rk = reader->client->rk;
    if (open_queues(reader, error) == 0 && subscribe(reader, error) == 0)
        return 0;
    leat_reader_client_close(reader, FREE_MIN_MS);
    return -1;
}

void leat_reader_client_close(leat_kafka_reader *reader, int timeout_ms)
{
    if (!reader->client)
        return;
    close_queues(reader);
    leat_reader_forget_commits(reader);
    leat_kafka_client_free(reader->client, timeout_ms);
    reader->client = NULL;
    reader->rk = NULL;
}

static leat_log_reader *create(uv_loop_t *loop, const leat_log_config *config,
                               const leat_log_identity *identity, const leat_reader_events *events,
                               leat_error *error)
{
    LEAT_ASSERT(identity->partition_count > 0);
    rd_kafka_conf_t *conf = leat_kafka_conf(LEAT_KAFKA_READER, config, error); /* before anything is
                                                                                  taken */
    if (!conf)
        return NULL;
    rd_kafka_conf_destroy(conf);
    leat_kafka_reader *reader = leat_must_calloc(1, sizeof *reader);
    reader->base.ops = &leat_kafka_reader_ops;
    reader->events = *events;
    reader->identity = *identity;
    reader->config = leat_kafka_config_copy(config);
    reader->user_properties = config->property_count;
    reader->topic = reader->config.topic;
    reader->parts = leat_must_calloc(identity->partition_count, sizeof *reader->parts);
    reader->long_pause_us = LONG_PAUSE_US;
    reader->wake_fd = leat_kafka_wake_new(error);
    if (reader->wake_fd < 0 || leat_reader_client_open(reader, error) != 0 ||
        attach_to_loop(reader, loop, error) != 0) {
        leat_reader_client_close(reader, FREE_MIN_MS);
        forget(reader);
        return NULL;
    }
    leat_reader_renew_init(reader);
    return &reader->base;
}

static void on_closed(uv_handle_t *handle)
{
    leat_kafka_reader *reader = handle->data;
    LEAT_ASSERT(reader->open_handles > 0);
    if (--reader->open_handles == 0)
        forget(reader);
}

/* Leaves the group. Rebalances that come up on the way are agreed to at once. */
static void leave(leat_kafka_reader *reader, int64_t until_us)
{
    LEAT_ASSERT(reader->client && reader->leaving);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(reader->rk);
    leat_reader_unassign_all(reader);
    rd_kafka_error_t *fault = rd_kafka_consumer_close_queue(reader->rk, queue);
    if (fault) {
        leat_warn("group cannot be left client=reader group=%s reason=\"%s\"", reader->config.group,
                  rd_kafka_error_string(fault));
        rd_kafka_error_destroy(fault);
    }
    while (!fault && !rd_kafka_consumer_closed(reader->rk) && leat_mono_us() < until_us) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CLOSE_POLL_MS);
        if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            rd_kafka_assign(reader->rk, NULL);
        if (event)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
}

static void free_reader(leat_log_reader *base, int timeout_ms)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    reader->leaving = true;
    if (reader->client) {
        leat_reader_await_commits(reader, until_us - (int64_t)timeout_ms * 1000 / 2);
        leave(reader, until_us);
        /* leaving the group fails those that are still out */
        leat_reader_await_commits(reader, leat_mono_us());
    }
    /* A record still out keeps librdkafka's memory in use: nothing sane can follow. */
    LEAT_ASSERT(reader->handed == 0);
    int64_t left_ms = (until_us - leat_mono_us()) / 1000;
    leat_reader_client_close(reader, left_ms > FREE_MIN_MS ? (int)left_ms : FREE_MIN_MS);
    uv_close((uv_handle_t *)&reader->poll, on_closed);
    uv_close((uv_handle_t *)&reader->timer, on_closed);
}

/* ---- public: reading ---- */

static void pause_reading(leat_log_reader *base, uint32_t partition)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    LEAT_ASSERT(partition < reader->identity.partition_count);
    reader->parts[partition].paused = true;
    leat_part_route(reader, partition);
}

static void resume_reading(leat_log_reader *base, uint32_t partition)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    LEAT_ASSERT(partition < reader->identity.partition_count);
    leat_part *part = &reader->parts[partition];
    part->paused = false;
    part->paused_us = 0;
    if (part->state == LEAT_PART_READING && part->parked)
        leat_reader_seek_next(reader, partition);
    leat_kafka_wake(reader->wake_fd);
}

static int64_t end_of(const leat_log_reader *base, uint32_t partition)
{
    const leat_kafka_reader *reader = (const leat_kafka_reader *)base;
    LEAT_ASSERT(partition < reader->identity.partition_count);
    const leat_part *part = &reader->parts[partition];
    if (!leat_part_is_mine(part))
        return -1;
    int64_t start;
    int64_t end = -1;
    rd_kafka_resp_err_t code =
        rd_kafka_get_watermark_offsets(reader->rk, reader->topic, (int32_t)partition, &start, &end);
    if (code || end < part->end)
        end = part->end; /* librdkafka forgets it now and then */
    int64_t read = part->read_to > part->next ? part->read_to : part->next;
    return end > read ? end : read;
}

static void release(leat_log_reader *base, void *log_handle)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    LEAT_ASSERT(reader->handed > 0);
    reader->handed--;
    rd_kafka_message_destroy(log_handle);
}

const leat_log_reader_ops leat_kafka_reader_ops = {
    .create = create,
    .seek = leat_kafka_reader_seek,
    .pause = pause_reading,
    .resume = resume_reading,
    .commit = leat_kafka_reader_commit,
    .confirm = leat_kafka_reader_confirm,
    .give_back = leat_kafka_reader_give_back,
    .end = end_of,
    .commit_failures = leat_kafka_reader_commit_failures,
    .health = leat_kafka_reader_health,
    .headers = leat_kafka_headers,
    .release = release,
    .free = free_reader,
};
