/*
 * writer.c - the writer: an idempotent producer whose delivery reports come as events, many at
 * once, through one eventfd on the caller's loop. This file takes records and passes on their
 * answers. refusals.c has the reasons for refusals, topic_watch.c decides whether to believe an
 * acknowledgement, and writer_client.c replaces a client that must end.
 */
#include "log/kafka/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 500,
    LAST_ANSWERS_MS = 500,
    FREE_MS = 2000,
    WITHOUT_POLLS = 2, /* handles */
    FRAME_MAX = 512,   /* the overhead of a batch of one record beyond its key, value and headers */
    SIZES_MAX = 10,    /* of a header: the two sizes in front of its name and value */
};

/* ---- answers ---- */

void leat_writer_answer(leat_kafka_writer *writer, leat_writer_slot *slot,
                        leat_append_result result, uint32_t partition, int64_t offset,
                        const char *why)
{
    LEAT_ASSERT(slot->partition < writer->partition_count);
    void *tag = slot->tag;
    leat_writer_give_slot(writer, slot);
    writer->on_appended(writer->context, tag, result, partition, offset, why);
}

/* On their way to the brokers. */
static size_t headers_size(const rd_kafka_message_t *report)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size, all = 0;
    if (rd_kafka_message_headers(report, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0; /* it has none */
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        all += strlen(name) + size + SIZES_MAX;
    return all;
}

/* Was only its batch too large? Before the limit is known: perhaps. */
static bool may_fit(const leat_kafka_writer *writer, const rd_kafka_message_t *report)
{
    if (writer->limit == 0)
        return !writer->limit_refused;
    return report->len + report->key_len + headers_size(report) + FRAME_MAX <=
           (size_t)writer->limit;
}

/* Of a record that the brokers did not take. */
static leat_append_result result_of(leat_kafka_writer *writer, const rd_kafka_message_t *report)
{
    LEAT_ASSERT(report->err);
    if (rd_kafka_message_status(report) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED)
        return LEAT_APPEND_UNKNOWN;
    if (report->err != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return LEAT_NOT_APPENDED;
    if (!may_fit(writer, report))
        return LEAT_APPEND_TOO_LARGE;
    leat_writer_ask_limit_again(writer);
    return LEAT_NOT_APPENDED;
}

static void on_refused(leat_kafka_writer *writer, const rd_kafka_message_t *report)
{
    LEAT_ASSERT(report->err && report->_private);
    leat_writer_slot *slot = report->_private;
    leat_append_result result = result_of(writer, report);
    const char *why = leat_writer_on_refused(writer, slot, report->err);
    leat_writer_answer(writer, slot, result, slot->partition, -1, why);
}

static void on_reports(leat_kafka_writer *writer, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *report;
    bool stored = false;
    int64_t now_us = leat_mono_us();
    while ((report = rd_kafka_event_message_next(event))) {
        stored = stored || !report->err;
        leat_writer_note_end(writer, report->_private);
        if (report->err)
            on_refused(writer, report);
        else
            leat_writer_on_stored(writer, report, now_us);
    }
    if (stored)
        leat_kafka_pulse_answered(&writer->pulse);
    if (stored && writer->state == LEAT_WRITER_OPEN)
        writer->sign_us = now_us;
}

void leat_writer_answer_rest(leat_kafka_writer *writer)
{
    leat_writer_give_up_held(writer);
    leat_writer_answer_unsent(writer);
    leat_writer_give_up_acked(
        writer, "the writer ended before it was known whether the topic is still the same");
    for (uint32_t p = 0; p < writer->partition_count; p++)
        while (writer->partitions[p].oldest)
            leat_writer_answer(writer, writer->partitions[p].oldest, LEAT_APPEND_UNKNOWN, p, -1,
                               "the writer ended before an answer came");
}

/* ---- events ---- */

static void on_error(leat_kafka_writer *writer, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (rd_kafka_event_error_is_fatal(event)) {
        leat_writer_on_fatal(writer, rd_kafka_event_error_string(event));
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        writer->sign_us = 0;
    leat_kafka_log_error(writer->client, code, rd_kafka_event_error_string(event));
}

static void serve_reports(leat_kafka_writer *writer, int timeout_ms)
{
    rd_kafka_event_t *event;
    while (writer->client && (event = rd_kafka_queue_poll(writer->reports, timeout_ms))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR &&
            writer->state != LEAT_WRITER_GIVEN_UP)
            on_reports(writer, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
            on_error(writer, event);
        rd_kafka_event_destroy(event);
        timeout_ms = 0;
    }
}

static void serve_answers(leat_kafka_writer *writer)
{
    rd_kafka_event_t *event;
    while (writer->client && (event = rd_kafka_queue_poll(writer->answers, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)
            leat_writer_on_topic(writer, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT)
            leat_writer_on_settings(writer, event);
        rd_kafka_event_destroy(event);
    }
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    leat_kafka_writer *writer = poll->data;
    leat_kafka_wake_clear(writer->wake_fd);
    serve_reports(writer, 0);
    serve_answers(writer);
    leat_writer_continue_renewal(writer);
    leat_writer_look_soon(writer);
}

static void on_tick(uv_timer_t *timer)
{
    leat_kafka_writer *writer = timer->data;
    leat_writer_continue_renewal(writer);
    leat_writer_watch_tick(writer, leat_mono_us());
}

/* ---- public ---- */

static int attach_to_loop(leat_kafka_writer *writer, uv_loop_t *loop, leat_error *error)
{
    writer->timer.data = writer->turn.data = writer->poll.data = writer->alarm.data = writer;
    uv_timer_init(loop, &writer->timer);
    uv_idle_init(loop, &writer->turn);
    writer->open_handles = WITHOUT_POLLS;
    uv_poll_t *polls[] = {&writer->poll, &writer->alarm};
    int fds[] = {writer->wake_fd, writer->alarm_fd};
    for (size_t i = 0; i < sizeof polls / sizeof *polls; i++) {
        int result = uv_poll_init(loop, polls[i], fds[i]);
        if (result != 0)
            return leat_fail(error, "uv_poll_init: %s", uv_strerror(result));
        writer->open_handles++;
    }
    uv_poll_start(&writer->poll, UV_READABLE, on_wake);
    uv_timer_start(&writer->timer, on_tick, TICK_MS, TICK_MS);
    leat_writer_send_start(writer);
    return 0;
}

static void forget(leat_kafka_writer *writer)
{
    leat_writer_send_fini(writer);
    if (writer->wake_fd >= 0)
        close(writer->wake_fd);
    leat_kafka_config_free(&writer->config, writer->user_properties);
    leat_writer_watch_fini(writer);
    free(writer->partitions);
    leat_writer_free_slots(writer);
    free(writer);
}

static void on_closed(uv_handle_t *handle)
{
    leat_kafka_writer *writer = handle->data;
    LEAT_ASSERT(writer->open_handles > 0);
    if (--writer->open_handles == 0)
        forget(writer);
}

/* Its memory is freed when the loop has closed those handles that were opened. */
static void leave_loop(leat_kafka_writer *writer)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&writer->timer, (uv_handle_t *)&writer->turn,
                              (uv_handle_t *)&writer->poll, (uv_handle_t *)&writer->alarm};
    uint32_t opened = writer->open_handles;
    for (uint32_t i = 0; i < opened; i++)
        uv_close(handles[i], on_closed);
    if (opened == 0)
        forget(writer);
}

static int prepare(leat_kafka_writer *writer, uv_loop_t *loop, const rd_kafka_conf_t *conf,
                   leat_error *error)
{
    writer->wake_fd = leat_kafka_wake_new(error);
    if (writer->wake_fd < 0 || leat_writer_send_init(writer, conf, error) != 0 ||
        leat_writer_open_client(writer, error) != 0)
        return -1;
    return leat_writer_make_slots(writer, error) == 0 ? attach_to_loop(writer, loop, error) : -1;
}

static leat_log_writer *create(uv_loop_t *loop, const leat_log_config *config,
                               const leat_log_identity *identity, leat_appended_cb on_appended,
                               void *context, leat_error *error)
{
    rd_kafka_conf_t *conf = leat_kafka_conf(LEAT_KAFKA_WRITER, config, error); /* before anything is
                                                                                  taken */
    if (!conf)
        return NULL;
    leat_kafka_writer *writer = leat_must_calloc(1, sizeof *writer);
    writer->base.ops = &leat_kafka_writer_ops;
    writer->on_appended = on_appended;
    writer->context = context;
    writer->config = leat_kafka_config_copy(config);
    writer->user_properties = config->property_count;
    writer->wake_fd = writer->alarm_fd = -1;
    leat_writer_watch_init(writer, identity);
    int result = prepare(writer, loop, conf, error);
    rd_kafka_conf_destroy(conf);
    if (result != 0) {
        leat_writer_close_client(writer, FREE_MS);
        leave_loop(writer);
        return NULL;
    }
    leat_kafka_pulse_init(&writer->pulse, writer->client->label, &writer->config,
                          LEAT_WRITER_SIGN_US);
    return &writer->base;
}

static int append_record(leat_log_writer *base, const leat_record *record, void *tag,
                         leat_error *error)
{
    leat_kafka_writer *writer = (leat_kafka_writer *)base;
    if (writer->state != LEAT_WRITER_OPEN || writer->wrong[0]) {
        leat_fail(error, "%s",
                  writer->wrong[0] ? writer->wrong : "the writer is being given a new client");
        return 1;
    }
    leat_writer_slot *slot = leat_writer_take_slot(writer, record, tag);
    if (!slot) {
        leat_fail(error, LEAT_WRITER_FULL);
        return 1;
    }
    int result = leat_writer_send(writer, record, slot, error);
    if (result != 0)
        leat_writer_give_slot(writer, slot);
    return result;
}

static int64_t oldest_us(const leat_log_writer *base, uint32_t partition, int64_t now_us)
{
    const leat_kafka_writer *writer = (const leat_kafka_writer *)base;
    const leat_writer_slot *oldest =
        partition < writer->partition_count ? writer->partitions[partition].oldest : NULL;
    if (!oldest)
        return 0;
    int64_t age_us = now_us - oldest->since_us;
    return age_us > 0 ? age_us : 1;
}

static void serve_until(leat_kafka_writer *writer, int64_t until_us)
{
    LEAT_ASSERT(writer->wake_fd >= 0);
    while (writer->client && writer->waiting > 0 && leat_mono_us() < until_us) {
        leat_writer_hand_over_all(writer);
        leat_writer_answer_unsent(writer);
        serve_reports(writer, 20);
        serve_answers(writer);
    }
}

static void free_writer(leat_log_writer *base, int timeout_ms)
{
    leat_kafka_writer *writer = (leat_kafka_writer *)base;
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    leat_writer_hand_over_all(writer);
    serve_until(writer, until_us);
    if (writer->client && writer->waiting > 0) {
        leat_writer_purge(writer);
        serve_until(writer, leat_mono_us() + LAST_ANSWERS_MS * 1000);
    }
    leat_writer_answer_rest(writer);
    leat_writer_close_client(writer, FREE_MS);
    leave_loop(writer);
}

const leat_log_writer_ops leat_kafka_writer_ops = {
    .create = create,
    .append = append_record,
    .oldest_us = oldest_us,
    .trouble = leat_kafka_writer_trouble,
    .free = free_writer,
    .health = leat_kafka_writer_health,
    .failed = leat_kafka_writer_failed,
    .partition_trouble = leat_kafka_writer_partition_trouble,
    .refusals = leat_kafka_writer_refusals,
    .refusal_reason = leat_kafka_writer_refusal_reason,
};
