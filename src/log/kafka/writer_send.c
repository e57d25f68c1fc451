/*
 * writer_send.c - the writer: a record on its way into its client. Records are held here by
 * partition until the client is to have them (hold.h, flight.h). Whether some are due is asked once
 * in each turn of the loop, when all that the turn brought is held, and by an alarm for those that
 * stay. The alarm is a timerfd because libuv's timers count milliseconds.
 *
 * A client whose queue is full takes what is held a little later: it stays, and what comes for the
 * partition gets behind it. What the client does not take at all was promised an answer already. It
 * gets it in the next turn: appending must not call back.
 */
#include "log/kafka/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "record/headers.h"

enum { HELD_US = 1000 }; /* where the client does not wait */

enum {
    VALUE_MAX = 7 + LEAT_HEADER_COUNT, /* of one rd_kafka_produceva */
    FRAME_MAX = 128,                   /* more than librdkafka adds to a record, in its own sum of
                                          bytes */
    FULL_WAIT_US = 10 * 1000,          /* a full queue is tried again then, or when it has answered
                                          something */
};

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
    values[n].u.mem.ptr = leat_kafka_unconst(record->key.data);
    values[n++].u.mem.size = record->key.size;
    values[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
    values[n++].u.ptr = opaque;
    if (!record->value_is_null) {
        values[n].vtype = RD_KAFKA_VTYPE_VALUE;
        values[n].u.mem.ptr = leat_kafka_unconst(record->value.data ? record->value.data : "");
        values[n++].u.mem.size = record->value.size;
    }
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++) {
        leat_slice value = leat_header_value(record, header);
        if (value.size == 0)
            continue;
        values[n].vtype = RD_KAFKA_VTYPE_HEADER;
        values[n].u.header.name = leat_header_name(header);
        values[n].u.header.val = value.data;
        values[n++].u.header.size = (ssize_t)value.size;
    }
    LEAT_ASSERT(n <= VALUE_MAX);
    return n;
}

/* 1: later perhaps; -1: never. */
static int refused(leat_kafka_writer *writer, const leat_writer_slot *slot, rd_kafka_error_t *fault,
                   leat_error *error)
{
    LEAT_ASSERT(fault);
    rd_kafka_resp_err_t code = rd_kafka_error_code(fault);
    bool is_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    leat_fail(error, "%s", is_full ? LEAT_WRITER_FULL : rd_kafka_error_string(fault));
    rd_kafka_error_destroy(fault);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        writer->refusals[LEAT_REFUSED_TOO_LARGE].count++;
        return leat_fail(
            error,
            "the record has %zu bytes, librdkafka takes %ld (message.max.bytes in log.kafka.properties)",
            slot->size, leat_writer_config_number(writer, "message.max.bytes"));
    }
    if (code == RD_KAFKA_RESP_ERR__INVALID_ARG)
        return -1;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        leat_writer_on_fatal(writer, "found while appending");
    else if (!is_full)
        leat_fail(error, "%s", leat_writer_on_refused(writer, slot, code));
    return 1;
}

static rd_kafka_error_t *produce(leat_kafka_writer *writer, const leat_record *record,
                                 leat_writer_slot *slot, int64_t now_us)
{
    rd_kafka_vu_t values[VALUE_MAX];
    size_t count = fill_values(values, writer, record, slot);
    rd_kafka_error_t *fault = rd_kafka_produceva(writer->client->rk, values, count);
    slot->is_given = !fault;
    if (slot->is_given)
        leat_flight_give(&writer->partitions[record->partition].flight, writer->linger_us, now_us);
    return fault;
}

void leat_writer_note_end(leat_kafka_writer *writer, leat_writer_slot *slot)
{
    LEAT_ASSERT(slot->partition < writer->partition_count);
    if (slot->is_given)
        leat_flight_end(&writer->partitions[slot->partition].flight);
    slot->is_given = false;
}

/* ---- records that the client has not taken ---- */

static void on_turn(uv_idle_t *turn);

static void run_soon(leat_kafka_writer *writer)
{
    uv_idle_start(&writer->turn, on_turn);
}

static void leave_unsent(leat_kafka_writer *writer, leat_writer_slot *slot,
                         rd_kafka_resp_err_t code)
{
    LEAT_ASSERT(code && !*writer->unsent_end);
    slot->unsent_for = code;
    slot->next = NULL;
    *writer->unsent_end = slot;
    writer->unsent_end = &slot->next;
    run_soon(writer);
}

void leat_writer_answer_unsent(leat_kafka_writer *writer)
{
    leat_writer_slot *slot;
    while ((slot = writer->unsent)) {
        writer->unsent = slot->next;
        if (!writer->unsent)
            writer->unsent_end = &writer->unsent;
        bool is_full = slot->unsent_for == RD_KAFKA_RESP_ERR__QUEUE_FULL;
        bool is_large = slot->unsent_for == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        const char *why = leat_writer_on_refused(writer, slot, slot->unsent_for);
        leat_writer_answer(writer, slot, is_large ? LEAT_APPEND_TOO_LARGE : LEAT_NOT_APPENDED,
                           slot->partition, -1, is_full ? LEAT_WRITER_FULL : why);
    }
}

/* ---- handing over ---- */

/* False: the client's queue is full, and the rest is still held. */
static bool hand_over(leat_kafka_writer *writer, uint32_t p, int64_t now_us)
{
    leat_hold *hold = &writer->partitions[p].hold;
    leat_record record;
    void *slot;
    bool is_full = false, is_fatal = false;
    leat_hold_begin(hold, now_us);
    while (!is_full && leat_hold_first(hold, &record, &slot)) {
        record.partition = p;
        rd_kafka_error_t *fault = produce(writer, &record, slot, now_us);
        rd_kafka_resp_err_t code = fault ? rd_kafka_error_code(fault) : RD_KAFKA_RESP_ERR_NO_ERROR;
        is_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
        if (!is_full)
            leat_hold_advance(hold);
        if (!fault)
            continue;
        rd_kafka_error_destroy(fault);
        is_fatal = is_fatal || code == RD_KAFKA_RESP_ERR__FATAL;
        if (!is_full)
            leave_unsent(writer, slot, code);
    }
    if (is_fatal)
        leat_writer_on_fatal(writer, "found while appending");
    return !is_full;
}

static void give_up(leat_kafka_writer *writer, uint32_t p, rd_kafka_resp_err_t code)
{
    leat_hold *hold = &writer->partitions[p].hold;
    leat_record record;
    void *slot;
    while (leat_hold_first(hold, &record, &slot)) {
        leat_hold_advance(hold);
        leave_unsent(writer, slot, code);
    }
}

void leat_writer_hand_over_all(leat_kafka_writer *writer)
{
    for (uint32_t p = 0; p < writer->partition_count; p++)
        if (!hand_over(writer, p, leat_mono_us()))
            give_up(writer, p, RD_KAFKA_RESP_ERR__QUEUE_FULL);
}

void leat_writer_give_up_held(leat_kafka_writer *writer)
{
    for (uint32_t p = 0; p < writer->partition_count; p++)
        give_up(writer, p, RD_KAFKA_RESP_ERR__PURGE_QUEUE);
}

static void set_alarm(leat_kafka_writer *writer, int64_t at_us)
{
    LEAT_ASSERT(at_us > 0);
    if (writer->alarm_us != 0 && writer->alarm_us <= at_us)
        return;
    struct itimerspec at = {
        .it_value = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000}};
    int result = timerfd_settime(writer->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
    LEAT_ASSERT(result == 0);
    writer->alarm_us = at_us;
}

static int64_t due_us(const leat_kafka_writer *writer, const leat_writer_partition *partition)
{
    int64_t held_us = leat_hold_due_us(&partition->hold, writer->hold_us);
    int64_t takes_us = leat_flight_takes_us(&partition->flight);
    return takes_us > held_us ? takes_us : held_us;
}

static bool is_due(const leat_kafka_writer *writer, const leat_writer_partition *partition,
                   int64_t now_us)
{
    return leat_hold_is_full(&partition->hold) ||
           (leat_hold_is_due(&partition->hold, writer->hold_us, now_us) &&
            leat_flight_takes(&partition->flight, writer->linger_us, now_us));
}

/* Those that are not due stay, and the alarm is set for the first of them. */
static void hand_over_due(leat_kafka_writer *writer)
{
    int64_t now_us = leat_mono_us();
    int64_t next_us = INT64_MAX;
    uint32_t still = 0;
    for (uint32_t i = 0; i < writer->holding_count; i++) {
        uint32_t p = writer->holding[i];
        leat_writer_partition *partition = &writer->partitions[p];
        bool is_full = is_due(writer, partition, now_us) && !hand_over(writer, p, now_us);
        if (partition->hold.count == 0) {
            partition->is_holding = false;
            continue;
        }
        int64_t at_us = is_full ? now_us + FULL_WAIT_US : due_us(writer, partition);
        next_us = at_us < next_us ? at_us : next_us;
        writer->holding[still++] = p;
    }
    writer->holding_count = still;
    if (still > 0)
        set_alarm(writer, next_us);
}

static void on_turn(uv_idle_t *turn)
{
    leat_kafka_writer *writer = turn->data;
    uv_idle_stop(turn);
    hand_over_due(writer);
    leat_writer_answer_unsent(writer);
}

static void on_alarm(uv_poll_t *alarm, int status, int events)
{
    (void)status;
    (void)events;
    leat_kafka_writer *writer = alarm->data;
    uint64_t count;
    ssize_t got = read(writer->alarm_fd, &count, sizeof count);
    (void)got;
    writer->alarm_us = 0;
    hand_over_due(writer);
}

void leat_writer_look_soon(leat_kafka_writer *writer)
{
    if (writer->holding_count > 0)
        run_soon(writer);
}

/* ---- records come ---- */

static void note_holding(leat_kafka_writer *writer, uint32_t p)
{
    leat_writer_partition *partition = &writer->partitions[p];
    if (!partition->is_holding) {
        LEAT_ASSERT(writer->holding_count < writer->partition_count);
        partition->is_holding = true;
        writer->holding[writer->holding_count++] = p;
    }
    run_soon(writer);
}

/* What the client may refuse for its size is given to it at once, so that its sender hears of it at
 * once; so is what would be copied for nothing. */
static bool may_be_held(const leat_kafka_writer *writer, const leat_record *record)
{
    size_t size = leat_hold_size(record);
    return size < LEAT_HOLD_BYTES && size + FRAME_MAX < (size_t)writer->record_max;
}

int leat_writer_send(leat_kafka_writer *writer, const leat_record *record, leat_writer_slot *slot,
                     leat_error *error)
{
    uint32_t p = record->partition;
    leat_hold *hold = &writer->partitions[p].hold;
    LEAT_ASSERT(p < writer->partition_count);
    if (!may_be_held(writer, record)) {
        int64_t now_us = leat_mono_us();
        if (!hand_over(writer, p, now_us)) { /* it must not get before them */
            leat_fail(error, LEAT_WRITER_FULL);
            return 1;
        }
        rd_kafka_error_t *fault = produce(writer, record, slot, now_us);
        return fault ? refused(writer, slot, fault, error) : 0;
    }
    if (!leat_hold_add(hold, record, slot)) {
        leat_fail(error, "out of memory");
        return 1;
    }
    if (leat_hold_is_full(hold))
        (void)hand_over(writer, p, leat_mono_us()); /* what stays is tried again */
    note_holding(writer, p);
    return 0;
}

/* ---- its life ---- */

/* A client that does not linger has records held here for others. */
static void take_linger(leat_kafka_writer *writer, const rd_kafka_conf_t *conf)
{
    char linger[LEAT_WRITER_NUMBER_SIZE];
    size_t size = sizeof linger;
    rd_kafka_conf_res_t result = rd_kafka_conf_get(conf, "linger.ms", linger, &size);
    LEAT_ASSERT(result == RD_KAFKA_CONF_OK);
    writer->linger_us = (int64_t)(strtod(linger, NULL) * 1000);
    writer->hold_us = writer->linger_us > 0 ? 0 : HELD_US;
}

int leat_writer_send_init(leat_kafka_writer *writer, const rd_kafka_conf_t *conf, leat_error *error)
{
    writer->unsent_end = &writer->unsent;
    take_linger(writer, conf);
    writer->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return writer->alarm_fd >= 0 ? 0 : leat_fail(error, "timerfd_create: %s", strerror(errno));
}

void leat_writer_send_start(leat_kafka_writer *writer)
{
    LEAT_ASSERT(writer->alarm_fd >= 0);
    uv_poll_start(&writer->alarm, UV_READABLE, on_alarm);
}

void leat_writer_send_fini(leat_kafka_writer *writer)
{
    LEAT_ASSERT(!writer->unsent);
    for (uint32_t p = 0; p < writer->partition_count; p++)
        leat_hold_fini(&writer->partitions[p].hold);
    free(writer->holding);
    if (writer->alarm_fd >= 0)
        close(writer->alarm_fd);
}
