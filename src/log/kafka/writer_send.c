/*
 * writer_send.c - the writer: a record on its way into its client. Records are gathered here
 * (hold.h). Whether they are due is asked once in each turn of the loop, when all that the turn
 * brought is held, and by an alarm for those that stay. The alarm is a timerfd because libuv's
 * timers count milliseconds.
 *
 * The client sends as soon as it has something to send, so of many records that it is given one
 * after the other its thread would take the first few, and the rest would follow in a second
 * request. A short linger (conf.c) keeps them together. But the thread that has seen one record
 * sleeps for a whole millisecond then, so it is kicked awake when the linger is over. The only call
 * that wakes it is rd_kafka_flush.
 *
 * While it has five records of a partition on their way, an idempotent client sends none that
 * follow, and its thread asks for the time in a circle until the answer comes. So those that follow
 * are held until then, but not for as long as the client may need.
 *
 * A client whose queue is full takes what is held a little later: it stays, and what comes gets
 * behind it. What the client does not take at all was promised an answer already. It gets it in the
 * next turn: appending must not call back.
 */
#include "log/kafka/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "record/headers.h"

enum {
    HELD_US = 500, /* records that come within so long share requests */
    HELD_MAX_US = 10 * 1000,
    ROUND_SHARE = 2, /* longer where the log takes so many times as long to answer */
    KICK_SHARE = 20, /* and where a kick is so large a part of that time */
    KICK_AFTER_US = LEAT_KAFKA_LINGER_US + 10,
};

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
                                 leat_writer_slot *slot)
{
    rd_kafka_vu_t values[VALUE_MAX];
    size_t count = fill_values(values, writer, record, slot);
    rd_kafka_error_t *fault = rd_kafka_produceva(writer->client->rk, values, count);
    slot->is_flying = !fault;
    writer->partitions[slot->partition].flying += slot->is_flying;
    return fault;
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

/* Its threads look at what they have: what has waited for its linger goes now. A cluster has a
 * thread for each broker, so what this costs says how often it may be. */
static void kick(leat_kafka_writer *writer)
{
    int64_t begun_us = leat_mono_us();
    writer->kick_us = 0;
    if (!writer->client)
        return;
    rd_kafka_flush(writer->client->rk, 0); /* waits for nothing; that not all is sent is no error */
    int64_t cost_us = leat_mono_us() - begun_us;
    writer->kick_least_us = cost_us < writer->kick_us_before ? cost_us : writer->kick_us_before;
    writer->kick_us_before = cost_us; /* one may be long by chance */
}

/* ---- how long ---- */

/* The more a request costs, wherever, the more records share one. */
static void choose_held(leat_kafka_writer *writer)
{
    int64_t held_us = writer->round_us / ROUND_SHARE;
    if (held_us < writer->kick_least_us * KICK_SHARE)
        held_us = writer->kick_least_us * KICK_SHARE;
    if (writer->gathers)
        writer->held_us = held_us < HELD_US       ? HELD_US
                          : held_us > HELD_MAX_US ? HELD_MAX_US
                                                  : held_us;
}

/* One at a time is timed, from the client to its answer. */
static void begin_round(leat_kafka_writer *writer, const leat_writer_slot *slot, int64_t now_us)
{
    if (writer->timed)
        return;
    writer->timed = slot;
    writer->timed_us = now_us;
}

void leat_writer_end_round(leat_kafka_writer *writer, const leat_writer_slot *slot, int64_t now_us)
{
    enum { OLD = 3, NEW = 1 };
    if (slot != writer->timed)
        return;
    writer->timed = NULL;
    writer->round_us = (OLD * writer->round_us + NEW * (now_us - writer->timed_us)) / (OLD + NEW);
    choose_held(writer);
}

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
        rd_kafka_error_t *fault = produce(writer, &record, slot);
        rd_kafka_resp_err_t code = fault ? rd_kafka_error_code(fault) : RD_KAFKA_RESP_ERR_NO_ERROR;
        is_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
        if (!is_full)
            leat_hold_advance(hold);
        if (!fault) {
            begin_round(writer, slot, now_us);
            continue;
        }
        rd_kafka_error_destroy(fault);
        is_fatal = is_fatal || code == RD_KAFKA_RESP_ERR__FATAL;
        if (!is_full)
            leave_unsent(writer, slot, code);
    }
    if (writer->gathers)
        writer->kick_us = now_us + KICK_AFTER_US;
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
        if (writer->partitions[p].hold.count > 0 && !hand_over(writer, p, leat_mono_us()))
            give_up(writer, p, RD_KAFKA_RESP_ERR__QUEUE_FULL);
}

void leat_writer_give_up_held(leat_kafka_writer *writer)
{
    for (uint32_t p = 0; p < writer->partition_count; p++)
        give_up(writer, p, RD_KAFKA_RESP_ERR__PURGE_QUEUE);
}

/* ---- when ---- */

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

static bool is_blocked(const leat_kafka_writer *writer, const leat_writer_partition *partition)
{
    return writer->gathers && partition->flying >= LEAT_WRITER_FLYING_MAX;
}

/* The longest that this partition's records are held. */
static int64_t bound_of(const leat_kafka_writer *writer, const leat_writer_partition *partition)
{
    return is_blocked(writer, partition) ? LEAT_WRITER_BLOCKED_MAX_US : writer->held_us;
}

static bool is_due(const leat_kafka_writer *writer, const leat_writer_partition *partition,
                   int64_t now_us)
{
    return leat_hold_is_due(&partition->hold, bound_of(writer, partition), now_us);
}

/* If those of one partition are due, others may go with them: the client is kicked once. */
static bool is_any_due(const leat_kafka_writer *writer, int64_t now_us)
{
    bool ret = false;
    for (uint32_t i = 0; i < writer->holding_count && !ret; i++)
        ret = is_due(writer, &writer->partitions[writer->holding[i]], now_us);
    return ret;
}

/* Those that are not due stay; returns when the first of them is, INT64_MAX: there are none. */
static int64_t hand_over_due(leat_kafka_writer *writer, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    uint32_t still = 0, count = writer->holding_count;
    bool is_any = is_any_due(writer, now_us);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t p = writer->holding[i];
        leat_writer_partition *partition = &writer->partitions[p];
        bool goes = is_any && (!is_blocked(writer, partition) || is_due(writer, partition, now_us));
        bool is_full = goes && !hand_over(writer, p, now_us);
        if (partition->hold.count == 0) {
            partition->is_holding = false;
            continue;
        }
        int64_t due_us = is_full ? now_us + FULL_WAIT_US
                                 : leat_hold_due_us(&partition->hold, bound_of(writer, partition));
        next_us = due_us < next_us ? due_us : next_us;
        writer->holding[still++] = p;
    }
    writer->holding_count = still;
    return next_us;
}

/* Does what is due, and sets the alarm for what is not. */
static void look(leat_kafka_writer *writer)
{
    int64_t next_us = hand_over_due(writer, leat_mono_us());
    if (writer->kick_us != 0 && leat_mono_us() >= writer->kick_us)
        kick(writer);
    if (writer->kick_us != 0 && writer->kick_us < next_us)
        next_us = writer->kick_us;
    if (next_us < INT64_MAX)
        set_alarm(writer, next_us);
}

static void on_turn(uv_idle_t *turn)
{
    leat_kafka_writer *writer = turn->data;
    uv_idle_stop(turn);
    look(writer);
    leat_writer_answer_unsent(writer);
}

/* Most records come while the loop polls. libuv calls first what was started last, so they go
 * before the HTTP server sends the answers of the same turn: the brokers can work meanwhile. */
static void on_after_poll(uv_check_t *check)
{
    leat_kafka_writer *writer = check->data;
    if (uv_is_active((uv_handle_t *)&writer->turn))
        on_turn(&writer->turn);
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
    look(writer);
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

/* As leat_writer_send. */
static int send_now(leat_kafka_writer *writer, const leat_record *record, leat_writer_slot *slot,
                    leat_error *error)
{
    if (!hand_over(writer, record->partition, leat_mono_us())) { /* it must not get before them */
        leat_fail(error, LEAT_WRITER_FULL);
        return 1;
    }
    rd_kafka_error_t *fault = produce(writer, record, slot);
    run_soon(writer); /* it waits for a kick */
    return fault ? refused(writer, slot, fault, error) : 0;
}

int leat_writer_send(leat_kafka_writer *writer, const leat_record *record, leat_writer_slot *slot,
                     leat_error *error)
{
    uint32_t p = record->partition;
    LEAT_ASSERT(p < writer->partition_count);
    leat_hold *hold = &writer->partitions[p].hold;
    if (!may_be_held(writer, record))
        return send_now(writer, record, slot, error);
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

/* By a linger of the user's own the client gathers. */
static void take_linger(leat_kafka_writer *writer, const rd_kafka_conf_t *conf)
{
    char linger[LEAT_WRITER_NUMBER_SIZE];
    size_t size = sizeof linger;
    rd_kafka_conf_res_t result = rd_kafka_conf_get(conf, "linger.ms", linger, &size);
    LEAT_ASSERT(result == RD_KAFKA_CONF_OK);
    writer->gathers = (int64_t)(strtod(linger, NULL) * 1000 + 0.5) == LEAT_KAFKA_LINGER_US;
    writer->held_us = writer->gathers ? HELD_US : 0;
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
    uv_check_start(&writer->after_poll, on_after_poll);
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
