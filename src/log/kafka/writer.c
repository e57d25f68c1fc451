/*
 * writer.c - the writer: an idempotent producer whose delivery reports come as events, many at
 * once, through one eventfd on the caller's loop. Each record that waits for its answer has a slot
 * in a pool taken at start; the slots form a list for each partition in the order of appending, so
 * that its oldest one is known at no cost; and a partition has only its share of the client's
 * memory (shares.h), so that one whose broker hangs leaves room for the others.
 *
 * A fatal error of the idempotent producer ends its client, and so does a topic that is not the
 * right one (topic_watch.c): nothing more is accepted, everything that waits is answered, then a
 * new client takes its place. A record is never carried over: whoever sent it hears that it failed
 * or is unknown, so a key's order is the senders' to keep.
 *
 * The brokers judge a batch as they judge a record: one over the topic's max.message.bytes is
 * refused with all that is in it. So that limit is asked for, at start and when something was
 * refused as too large; if the client's batches may exceed it, another client with smaller ones
 * takes its place.
 */
#include "log/kafka/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WAITING_MAX = 1000 * 1000,
    TICK_MS = 500,
    RENEW_WAIT_US = 2 * 1000 * 1000,
    LAST_ANSWERS_MS = 500,
    FREE_MS = 2000,
    VALUE_MAX = 9,   /* of one rd_kafka_produceva */
    FRAME_MAX = 512, /* what a batch of one record is larger than its key and value, headers
                        included */
};

/* ---- the configuration ---- */

/* Takes the constness off memory that librdkafka only reads. */
static void *unconst(const void *memory)
{
    return (void *)(uintptr_t)memory;
}

/* For the next client; wins over the user's. */
static void config_batch_size(leat_kafka_writer *writer, long size)
{
    snprintf(writer->batch_size, sizeof writer->batch_size, "%ld", size);
    leat_log_property *properties = unconst(writer->config.properties); /* the copy's own */
    properties[writer->user_properties] = (leat_log_property){"batch.size", writer->batch_size};
    writer->config.property_count = writer->user_properties + 1;
}

/* A number of the client's configuration; -1: there is none. */
static long config_number(const leat_kafka_writer *writer, const char *name)
{
    char text[LEAT_WRITER_NUMBER_SIZE];
    size_t size = sizeof text;
    const rd_kafka_conf_t *conf = rd_kafka_conf(writer->client->rk);
    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK ? strtol(text, NULL, 10)
                                                                          : -1;
}

/* ---- slots ---- */

/* Of a log of which only the name is known the partitions come as they are written to. */
static leat_writer_partition *partition_at(leat_kafka_writer *writer, uint32_t p)
{
    if (p >= writer->partition_count) {
        leat_writer_partition *grown = leat_must_calloc(p + 1, sizeof *grown);
        if (writer->partition_count > 0)
            memcpy(grown, writer->partitions, writer->partition_count * sizeof *grown);
        free(writer->partitions);
        writer->partitions = grown;
        writer->partition_count = p + 1;
    }
    return &writer->partitions[p];
}

/* NULL: the partition has as many as it may have for now, or all have. */
static leat_writer_slot *slot_take(leat_kafka_writer *writer, const leat_record *record, void *tag)
{
    leat_writer_partition *partition = partition_at(writer, record->partition);
    size_t size = record->key.size + record->value.size;
    leat_writer_slot *slot = writer->free_slots;
    if (!slot || !leat_shares_take(&writer->bytes, &partition->bytes, size))
        return NULL;
    writer->free_slots = slot->newer;
    *slot = (leat_writer_slot){.tag = tag,
                               .since_us = leat_mono_us(),
                               .partition = record->partition,
                               .size = size,
                               .older = partition->newest};
    if (partition->newest)
        partition->newest->newer = slot;
    else
        partition->oldest = slot;
    partition->newest = slot;
    writer->waiting++;
    return slot;
}

static void slot_give(leat_kafka_writer *writer, leat_writer_slot *slot)
{
    leat_writer_partition *partition = &writer->partitions[slot->partition];
    LEAT_ASSERT(writer->waiting > 0);
    leat_shares_give(&writer->bytes, &partition->bytes, slot->size);
    if (slot->older)
        slot->older->newer = slot->newer;
    else
        partition->oldest = slot->newer;
    if (slot->newer)
        slot->newer->older = slot->older;
    else
        partition->newest = slot->older;
    slot->newer = writer->free_slots;
    writer->free_slots = slot;
    writer->waiting--;
}

static int slots_new(leat_kafka_writer *writer, leat_error *error)
{
    long wanted = config_number(writer, "queue.buffering.max.messages");
    if (wanted <= 0 || wanted > WAITING_MAX)
        return leat_fail(error,
                         "Kafka property queue.buffering.max.messages must be between 1 and %d",
                         WAITING_MAX);
    size_t count = (size_t)wanted;
    writer->slots = leat_must_calloc(count, sizeof *writer->slots);
    for (size_t i = count; i > 0; i--) {
        writer->slots[i - 1].newer = writer->free_slots;
        writer->free_slots = &writer->slots[i - 1];
    }
    uint64_t bytes = (uint64_t)config_number(writer, "queue.buffering.max.kbytes") * 1024;
    leat_shares_init(&writer->bytes, bytes, writer->identity.partition_count);
    if (writer->identity.partition_count > 0)
        partition_at(writer, writer->identity.partition_count - 1);
    return 0;
}

/* ---- answers ---- */

void leat_writer_answer(leat_kafka_writer *writer, leat_writer_slot *slot,
                        leat_append_result result, uint32_t partition, int64_t offset,
                        const char *why)
{
    void *tag = slot->tag;
    slot_give(writer, slot);
    writer->on_appended(writer->context, tag, result, partition, offset, why);
}

void leat_writer_ask_limit_again(leat_kafka_writer *writer)
{
    if (writer->limit_asked || writer->limit_refused || writer->renewing_since_us)
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

/* Was only its batch too large? Before the limit is known: perhaps. */
static bool may_fit(const leat_kafka_writer *writer, const rd_kafka_message_t *report)
{
    if (writer->limit == 0)
        return !writer->limit_refused;
    return report->len + report->key_len + FRAME_MAX <= (size_t)writer->limit;
}

/* Of one that the brokers did not take. */
static leat_append_result result_of(leat_kafka_writer *writer, const rd_kafka_message_t *report)
{
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
        if (report->err)
            on_refused(writer, report);
        else
            leat_writer_on_stored(writer, report, now_us);
    }
    if (stored)
        leat_kafka_pulse_answered(&writer->pulse);
    if (stored && !writer->renewing_since_us)
        writer->sign_us = now_us;
}

static void answer_rest(leat_kafka_writer *writer)
{
    leat_writer_give_up_acked(
        writer, "the writer ended before it was known whether the topic is still the same");
    for (uint32_t p = 0; p < writer->partition_count; p++)
        while (writer->partitions[p].oldest)
            leat_writer_answer(writer, writer->partitions[p].oldest, LEAT_APPEND_UNKNOWN, p, -1,
                               "the writer ended before an answer came");
}

/* ---- the client and its renewal ---- */

static int client_open(leat_kafka_writer *writer, leat_error *error)
{
    int wanted = RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR;
    writer->client = leat_kafka_client_new(LEAT_KAFKA_WRITER, &writer->config, wanted, error);
    if (!writer->client)
        return -1;
    rd_kafka_t *rk = writer->client->rk;
    writer->is_given_up = false;
    writer->topic = rd_kafka_topic_new(rk, writer->config.topic, NULL);
    writer->reports = rd_kafka_queue_get_main(rk);
    writer->answers = rd_kafka_queue_new(rk);
    leat_kafka_wake_by(writer->reports, writer->wake_fd);
    leat_kafka_wake_by(writer->answers, writer->wake_fd);
    leat_writer_watch_begin(writer);
    return 0;
}

/* `timeout_ms` 0: does not wait until the client is gone. */
static void client_close(leat_kafka_writer *writer, int timeout_ms)
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

static void purge(leat_kafka_writer *writer)
{
    int flags = RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING;
    rd_kafka_purge(writer->client->rk, flags);
}

static void renewal_begin(leat_kafka_writer *writer)
{
    writer->renewing_since_us = leat_mono_us();
    writer->sign_us = 0;
    writer->pulse.renewals++;
}

void leat_writer_renew(leat_kafka_writer *writer)
{
    if (!writer->renewing_since_us)
        renewal_begin(writer);
    purge(writer);
}

static void on_fatal(leat_kafka_writer *writer, const char *text)
{
    if (writer->renewing_since_us)
        return;
    leat_err(
        "Kafka writer: fatal error: %s; %zu records that wait are given up, then a new client is made",
        text, writer->waiting);
    leat_writer_renew(writer);
}

/* What waits is still answered by the old client. */
static void fit_batches(leat_kafka_writer *writer)
{
    if (writer->limit <= 0 || config_number(writer, "batch.size") <= writer->limit)
        return;
    config_batch_size(writer, writer->limit);
    if (writer->renewing_since_us)
        return;
    leat_info(
        "Kafka writer: topic %s has max.message.bytes=%ld: a client with batches of that size is made",
        writer->config.topic, writer->limit);
    renewal_begin(writer);
}

static void renewal_step(leat_kafka_writer *writer)
{
    if (!writer->renewing_since_us)
        return;
    if (writer->waiting > 0 && leat_mono_us() - writer->renewing_since_us < RENEW_WAIT_US)
        return;
    answer_rest(writer);
    writer->is_given_up = true;
    if (leat_kafka_clients_leaving() >= LEAT_KAFKA_LEAVING_MAX)
        return;
    client_close(writer, 0);
    leat_error error;
    if (client_open(writer, &error) != 0) {
        leat_err("Kafka writer: no new client: %s", error.text);
        return;
    }
    leat_info("Kafka writer: a new client is in place (%u so far)", writer->pulse.renewals);
    writer->renewing_since_us = 0;
}

/* ---- events ---- */

static void on_error(leat_kafka_writer *writer, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (rd_kafka_event_error_is_fatal(event)) {
        on_fatal(writer, rd_kafka_event_error_string(event));
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        writer->sign_us = 0;
    leat_kafka_say(writer->client, code, rd_kafka_event_error_string(event));
}

static void serve_reports(leat_kafka_writer *writer, int timeout_ms)
{
    rd_kafka_event_t *event;
    while (writer->client && (event = rd_kafka_queue_poll(writer->reports, timeout_ms))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR && !writer->is_given_up)
            on_reports(writer, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
            on_error(writer, event);
        rd_kafka_event_destroy(event);
        timeout_ms = 0;
    }
}

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
        leat_warn(
            "Kafka writer: topic %s takes records of max.message.bytes=%ld, limits.body_max is %zu: larger writes are "
            "answered 413",
            writer->config.topic, limit, writer->config.value_max);
}

static void on_settings(leat_kafka_writer *writer, rd_kafka_event_t *event)
{
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
    leat_kafka_say(writer->client, code, error.text);
}

static void serve_answers(leat_kafka_writer *writer)
{
    rd_kafka_event_t *event;
    while (writer->client && (event = rd_kafka_queue_poll(writer->answers, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)
            leat_writer_on_topic(writer, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT)
            on_settings(writer, event);
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
    renewal_step(writer);
}

static void on_tick(uv_timer_t *timer)
{
    leat_kafka_writer *writer = timer->data;
    renewal_step(writer);
    leat_writer_watch_tick(writer, leat_mono_us());
}

/* ---- public ---- */

static int loop_attach(leat_kafka_writer *writer, uv_loop_t *loop, leat_error *error)
{
    int result = uv_poll_init(loop, &writer->poll, writer->wake_fd);
    if (result != 0)
        return leat_fail(error, "uv_poll_init: %s", uv_strerror(result));
    uv_timer_init(loop, &writer->timer);
    writer->open_handles = 2;
    writer->poll.data = writer;
    writer->timer.data = writer;
    uv_poll_start(&writer->poll, UV_READABLE, on_wake);
    uv_timer_start(&writer->timer, on_tick, TICK_MS, TICK_MS);
    return 0;
}

static void writer_forget(leat_kafka_writer *writer)
{
    if (writer->wake_fd >= 0)
        close(writer->wake_fd);
    leat_kafka_config_free(&writer->config, writer->user_properties);
    leat_writer_watch_fini(writer);
    free(writer->partitions);
    free(writer->slots);
    free(writer);
}

static leat_log_writer *create(uv_loop_t *loop, const leat_log_config *config,
                               const leat_log_identity *identity, leat_appended_cb on_appended,
                               void *context, leat_error *error)
{
    rd_kafka_conf_t *conf = leat_kafka_conf(LEAT_KAFKA_WRITER, config, error); /* before anything is
                                                                                  taken */
    if (!conf)
        return NULL;
    rd_kafka_conf_destroy(conf);
    leat_kafka_writer *writer = leat_must_calloc(1, sizeof *writer);
    writer->base.ops = &leat_kafka_writer_ops;
    writer->on_appended = on_appended;
    writer->context = context;
    writer->config = leat_kafka_config_copy(config);
    writer->user_properties = config->property_count;
    leat_writer_watch_init(writer, identity);
    writer->wake_fd = leat_kafka_wake_new(error);
    if (writer->wake_fd < 0 || client_open(writer, error) != 0)
        goto failed;
    if (slots_new(writer, error) != 0 || loop_attach(writer, loop, error) != 0)
        goto failed;
    leat_kafka_pulse_init(&writer->pulse, writer->client->label, &writer->config,
                          LEAT_WRITER_SIGN_US);
    return &writer->base;
failed:
    client_close(writer, FREE_MS);
    writer_forget(writer);
    return NULL;
}

/* The values of one rd_kafka_produceva; returns how many. */
static size_t fill_values(rd_kafka_vu_t *values, const leat_kafka_writer *writer,
                          const leat_record *record, void *opaque)
{
    size_t n = 0;
    values[n].vtype = RD_KAFKA_VTYPE_RKT;
    values[n++].u.rkt = writer->topic;
    values[n].vtype = RD_KAFKA_VTYPE_PARTITION;
    values[n++].u.i32 = (int32_t)record->partition;
    values[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    values[n++].u.i = RD_KAFKA_MSG_F_COPY;
    values[n].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    values[n++].u.i64 = record->accepted_ms;
    values[n].vtype = RD_KAFKA_VTYPE_KEY;
    values[n].u.mem.ptr = unconst(record->key.data);
    values[n++].u.mem.size = record->key.size;
    values[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
    values[n++].u.ptr = opaque;
    if (!record->value_is_null) {
        values[n].vtype = RD_KAFKA_VTYPE_VALUE;
        values[n].u.mem.ptr = unconst(record->value.data ? record->value.data : "");
        values[n++].u.mem.size = record->value.size;
    }
    if (record->route.size > 0) {
        values[n].vtype = RD_KAFKA_VTYPE_HEADER;
        values[n].u.header.name = "route";
        values[n].u.header.val = record->route.data;
        values[n++].u.header.size = (ssize_t)record->route.size;
    }
    if (record->op.size > 0) {
        values[n].vtype = RD_KAFKA_VTYPE_HEADER;
        values[n].u.header.name = "op";
        values[n].u.header.val = record->op.data;
        values[n++].u.header.size = (ssize_t)record->op.size;
    }
    return n;
}

static const char too_many[] = "too many writes wait for the log";

/* 1: later perhaps; -1: never. */
static int refused(leat_kafka_writer *writer, const leat_writer_slot *slot, rd_kafka_error_t *fault,
                   leat_error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(fault);
    bool is_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    leat_fail(error, "%s", is_full ? too_many : rd_kafka_error_string(fault));
    rd_kafka_error_destroy(fault);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        writer->refusals[LEAT_REFUSED_TOO_LARGE].count++;
        return leat_fail(
            error,
            "the record has %zu bytes, librdkafka takes %ld (message.max.bytes in log.kafka.properties)",
            slot->size, config_number(writer, "message.max.bytes"));
    }
    if (code == RD_KAFKA_RESP_ERR__INVALID_ARG)
        return -1;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        on_fatal(writer, "found while appending");
    else if (!is_full)
        leat_fail(error, "%s", leat_writer_on_refused(writer, slot, code));
    return 1;
}

static int append_record(leat_log_writer *base, const leat_record *record, void *tag,
                         leat_error *error)
{
    leat_kafka_writer *writer = (leat_kafka_writer *)base;
    if (writer->renewing_since_us || writer->wrong[0]) {
        leat_fail(error, "%s",
                  writer->wrong[0] ? writer->wrong : "the writer is being given a new client");
        return 1;
    }
    leat_writer_slot *slot = slot_take(writer, record, tag);
    if (!slot) {
        leat_fail(error, "%s", too_many);
        return 1;
    }
    rd_kafka_vu_t values[VALUE_MAX];
    size_t count = fill_values(values, writer, record, slot);
    rd_kafka_error_t *fault = rd_kafka_produceva(writer->client->rk, values, count);
    if (!fault)
        return 0;
    int result = refused(writer, slot, fault, error);
    slot_give(writer, slot);
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

static void on_closed(uv_handle_t *handle)
{
    leat_kafka_writer *writer = handle->data;
    if (--writer->open_handles == 0)
        writer_forget(writer);
}

static void serve_until(leat_kafka_writer *writer, int64_t until_us)
{
    while (writer->client && writer->waiting > 0 && leat_mono_us() < until_us) {
        serve_reports(writer, 20);
        serve_answers(writer);
    }
}

static void free_writer(leat_log_writer *base, int timeout_ms)
{
    leat_kafka_writer *writer = (leat_kafka_writer *)base;
    int64_t until_us = leat_mono_us() + (int64_t)timeout_ms * 1000;
    serve_until(writer, until_us);
    if (writer->client && writer->waiting > 0) {
        purge(writer);
        serve_until(writer, leat_mono_us() + LAST_ANSWERS_MS * 1000);
    }
    answer_rest(writer);
    client_close(writer, FREE_MS);
    uv_close((uv_handle_t *)&writer->poll, on_closed);
    uv_close((uv_handle_t *)&writer->timer, on_closed);
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
