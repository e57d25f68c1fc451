/*
 * range.c - where a partition is read from, and whether the log still holds what is needed.
 *
 * Before each seek, and after each error that stopped the fetching, the brokers are asked for the
 * log's first offset, the offset after its last and the topic's id; log/range.h states what the
 * answers mean. Two things are Kafka's own:
 *
 *   A log that is too short must be seen SHORT_ENDS_MAX times in a row, because a new leader may
 *   know an older end for a moment.
 *
 *   Where a leader epoch ends only the brokers know. librdkafka asks them, at each seek that knows
 *   the epoch of the last record read and whenever the leader's epoch rises, and reports
 *   LOG_TRUNCATION. What a reader has not seen itself, the newest record that is applied tells
 *   (engine/progress.h). Each record's epoch is held against those seen since the assignment, too.
 *
 * librdkafka never chooses an offset: it is given absolute ones only (see reader.h) and
 * auto.offset.reset is `error`, so any doubt comes back here as an error.
 */
#include "log/kafka/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/range.h"

enum {
    REASON_SIZE = 600,
    SEEK_WAIT_MS = 500,
    SEEK_RETRY_US = 100 * 1000,
    SEEK_TRIES_MAX = 20, /* then the fetcher has stopped for good and is started anew */
    CHECK_RETRY_US = 1000 * 1000,
    SHORT_ENDS_MAX = 3,
    UNREADABLE_MAX = 3,
    GONE_MAX = 3,
    HELD_US = 10 * 1000 * 1000,       /* a transaction that is open for longer is said, */
    HELD_AGAIN_US = 60 * 1000 * 1000, /* and again */
};

/* ---- asking ---- */

static void *pack(leat_ask ask, uint32_t partition, uint32_t generation)
{
    _Static_assert(sizeof(uintptr_t) == 8, "a question is packed into a pointer");
    LEAT_ASSERT(partition < 1u << 28 && ask < 1u << 4);
    return (void *)((uintptr_t)ask << 60 | (uintptr_t)partition << 32 | generation);
}

static leat_ask unpack(void *opaque, uint32_t *ret_partition, uint32_t *ret_generation)
{
    uintptr_t packed = (uintptr_t)opaque;
    *ret_partition = (uint32_t)(packed >> 32) & ((1u << 28) - 1);
    *ret_generation = (uint32_t)packed;
    return (leat_ask)(packed >> 60);
}

static void ask_offset(leat_kafka_reader *reader, uint32_t partition, leat_ask ask)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reader->topic, (int32_t)partition);
    rd_kafka_OffsetSpec_t spec = ask == LEAT_ASK_START ? RD_KAFKA_OFFSET_SPEC_EARLIEST
                                                       : RD_KAFKA_OFFSET_SPEC_LATEST;
    void *opaque = pack(ask, partition, reader->parts[partition].generation);
    leat_kafka_ask_offsets(reader->rk, list, spec, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
                           LEAT_ASK_TIMEOUT_MS, opaque, reader->answers);
    rd_kafka_topic_partition_list_destroy(list);
}

/* `ask`: LEAT_ASK_ENDS or LEAT_ASK_STABLE. */
static void ask_all(leat_kafka_reader *reader, leat_ask ask)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        if (leat_part_is_mine(&reader->parts[p]))
            rd_kafka_topic_partition_list_add(list, reader->topic, (int32_t)p);
    rd_kafka_IsolationLevel_t isolation = ask == LEAT_ASK_STABLE
                                              ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                              : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED;
    if (list->cnt > 0)
        leat_kafka_ask_offsets(reader->rk, list, RD_KAFKA_OFFSET_SPEC_LATEST, isolation,
                               LEAT_ASK_TIMEOUT_MS, pack(ask, 0, 0), reader->answers);
    rd_kafka_topic_partition_list_destroy(list);
}

static void check_begin(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    part->state = LEAT_PART_CHECKING;
    part->generation++;
    part->retry_us = 0;
    part->range_start = -1;
    part->range_end = -1;
    part->topic_checked = false;
    ask_offset(reader, partition, LEAT_ASK_START);
    ask_offset(reader, partition, LEAT_ASK_END);
    leat_kafka_ask_topic(reader->rk, reader->topic, LEAT_ASK_TIMEOUT_MS,
                         pack(LEAT_ASK_TOPIC_CHECK, partition, part->generation), reader->answers);
}

static void check_later(leat_part *part)
{
    part->generation++; /* the other answers of this check no longer count */
    part->retry_us = leat_mono_us() + CHECK_RETRY_US;
}

void leat_kafka_reader_seek(leat_log_reader *base, uint32_t partition, int64_t offset,
                            const leat_log_applied *applied)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    LEAT_ASSERT(partition < reader->identity.partition_count);
    leat_part *part = &reader->parts[partition];
    if (!leat_part_is_mine(part) || part->state == LEAT_PART_REVOKING)
        return;
    leat_part_drop_batch(part);
    part->low = applied->low;
    part->high = applied->high;
    part->next = offset;
    part->next_epoch = applied->epoch >= 0 || offset != part->seen + 1 ? applied->epoch
                                                                       : part->seen_epoch;
    part->read_to = -1;
    part->tries = 0;
    part->short_ends = 0;
    part->unreadable = 0;
    part->paused = false;
    check_begin(reader, partition);
}

/* ---- seeking ---- */

static void reading_begin(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    part->state = LEAT_PART_READING;
    part->retry_us = 0;
    part->tries = 0;
    part->more = true;
    leat_kafka_wake(reader->wake_fd); /* what was fetched before the seek has used up the queue's
                                         own wake-up */
}

static int seek(leat_kafka_reader *reader, uint32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *wanted =
        rd_kafka_topic_partition_list_add(list, reader->topic, (int32_t)partition);
    wanted->offset = reader->parts[partition].next;
    rd_kafka_topic_partition_set_leader_epoch(wanted, reader->parts[partition].next_epoch);
    rd_kafka_error_t *fault = rd_kafka_seek_partitions(reader->rk, list, SEEK_WAIT_MS);
    int result = fault || wanted->err ? -1 : 0;
    if (fault)
        rd_kafka_error_destroy(fault);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

static void seek_step(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    LEAT_ASSERT(part->next >= 0);
    part->state = LEAT_PART_SEEKING;
    part->retry_us = leat_mono_us() + SEEK_RETRY_US;
    if (part->restart || part->tries >= SEEK_TRIES_MAX) {
        part->restart = leat_reader_restart(reader, partition) != 0;
        part->tries = 0;
        return; /* then it is sought: only that has the leader epoch looked at */
    }
    part->tries++;
    if (seek(reader, partition) != 0)
        return;
    leat_reader_unpark(reader, partition);
    reading_begin(reader, partition);
    ask_all(reader, LEAT_ASK_ENDS); /* nothing else wakes librdkafka's thread for that broker: it
                                       may sleep for a second */
}

void leat_reader_seek_again(leat_part *part)
{
    LEAT_ASSERT(part->state == LEAT_PART_READING);
    part->state = LEAT_PART_SEEKING;
    part->retry_us = leat_mono_us() + SEEK_RETRY_US;
}

/* ---- judging ---- */

static leat_log_range range_of(const leat_part *part)
{
    return (leat_log_range){.low = part->low,
                            .high = part->high,
                            .next = part->next,
                            .read_to = part->read_to,
                            .start = part->range_start,
                            .end = part->range_end,
                            .epoch_end = -1};
}

static void break_range(leat_kafka_reader *reader, uint32_t partition, const leat_log_range *range,
                        leat_range_verdict verdict, const char *cause)
{
    char reason[REASON_SIZE];
    leat_range_reason(range, verdict, cause, reason, sizeof reason);
    leat_reader_break(reader, partition, reason);
}

static void seek_checked(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    if (part->next < part->range_start) { /* -1: from the log's first */
        part->next = part->range_start;
        part->next_epoch = -1;
    }
    part->end = part->range_end;
    part->tries = 0;
    seek_step(reader, partition);
}

static void judge(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    leat_log_range range = range_of(part);
    leat_range_verdict verdict = leat_range_check(&range);
    part->short_ends = verdict == LEAT_RANGE_SHORT ? part->short_ends + 1 : 0;
    if (verdict == LEAT_RANGE_FITS)
        seek_checked(reader, partition);
    else if (verdict == LEAT_RANGE_LOST)
        break_range(reader, partition, &range, verdict, "they were deleted (retention)");
    else if (part->short_ends < SHORT_ENDS_MAX)
        check_later(part);
    else
        break_range(reader, partition, &range, verdict, "it was cut off or recreated");
}

static void judge_when_complete(leat_kafka_reader *reader, uint32_t partition)
{
    const leat_part *part = &reader->parts[partition];
    if (part->range_start >= 0 && part->range_end >= 0 && part->topic_checked)
        judge(reader, partition);
}

/* ---- answers: offsets ---- */

static leat_part *awaiting(leat_kafka_reader *reader, uint32_t partition, uint32_t generation)
{
    if (partition >= reader->identity.partition_count)
        return NULL;
    leat_part *part = &reader->parts[partition];
    return part->state == LEAT_PART_CHECKING && part->generation == generation ? part : NULL;
}

/* The offset of the only partition asked for; -1 and it is said when there is none. */
static int64_t only_offset(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos = NULL;
    if (!code)
        infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    const rd_kafka_topic_partition_t *found =
        count == 1 ? rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]) : NULL;
    if (found && !found->err && found->offset >= 0)
        return found->offset;
    if (found && found->err)
        code = found->err;
    leat_kafka_say(reader->client, code, "the log's range cannot be asked for; it is tried again");
    return -1;
}

static void say_held(const leat_part *part, uint32_t partition)
{
    leat_warn(
        "partition=%u: an open transaction of a foreign producer holds back %lld offsets from offset %lld on: they are "
        "read once it ends, or once its producer's transaction.timeout.ms is over",
        partition, (long long)(part->end - part->stable), (long long)part->stable);
}

/* End and stable offset are asked for separately: one answer alone that differs says nothing,
 * transactions come and go. */
static void note_stable(leat_part *part, uint32_t partition, int64_t stable)
{
    int64_t now_us = leat_mono_us();
    if (stable >= part->end)
        part->held_since_us = part->held_said_us = 0;
    else if (part->held_since_us == 0 || stable != part->stable)
        part->held_since_us = now_us;
    part->stable = stable;
    if (part->held_since_us == 0 || now_us - part->held_since_us < HELD_US ||
        (part->held_said_us != 0 && now_us - part->held_said_us < HELD_AGAIN_US))
        return;
    part->held_said_us = now_us;
    say_held(part, partition);
}

static void note_offset(leat_kafka_reader *reader, leat_ask ask,
                        const rd_kafka_topic_partition_t *found)
{
    if (found->err || found->partition < 0 ||
        (uint32_t)found->partition >= reader->identity.partition_count)
        return;
    leat_part *part = &reader->parts[found->partition];
    if (ask == LEAT_ASK_ENDS)
        part->end = found->offset;
    else if (leat_part_is_mine(part))
        note_stable(part, (uint32_t)found->partition, found->offset);
}

static void on_all(leat_kafka_reader *reader, leat_ask ask, rd_kafka_event_t *event)
{
    if (rd_kafka_event_error(event))
        return;
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    for (size_t i = 0; i < count; i++)
        note_offset(reader, ask, rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]));
}

void leat_reader_on_offsets(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    uint32_t partition;
    uint32_t generation;
    leat_ask ask = unpack(rd_kafka_event_opaque(event), &partition, &generation);
    if (ask == LEAT_ASK_ENDS || ask == LEAT_ASK_STABLE) {
        on_all(reader, ask, event);
        return;
    }
    leat_part *part = awaiting(reader, partition, generation);
    if (!part)
        return;
    int64_t offset = only_offset(reader, event);
    if (offset < 0) {
        check_later(part);
        return;
    }
    if (ask == LEAT_ASK_START)
        part->range_start = offset;
    else
        part->range_end = offset;
    judge_when_complete(reader, partition);
}

/* ---- answers: topic ---- */

static void break_all(leat_kafka_reader *reader, const char *reason)
{
    if (!reader->topic_gone)
        reader->gone_since_ms = leat_wall_ms();
    reader->topic_gone = true;
    snprintf(reader->gone_why, sizeof reader->gone_why, "%s", reason);
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        leat_reader_break(reader, p, reason);
}

/* A broker that has just started may not know the topic yet, so once is not enough. */
static void on_no_topic(leat_kafka_reader *reader)
{
    reader->gone_seen++;
    reader->topic_asked_us = leat_mono_us() - reader->topic_every_us + CHECK_RETRY_US;
    if (reader->gone_seen >= GONE_MAX)
        break_all(reader, "the topic was deleted");
}

void leat_reader_on_topic(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    uint32_t partition;
    uint32_t generation;
    leat_ask ask = unpack(rd_kafka_event_opaque(event), &partition, &generation);
    leat_part *part = ask == LEAT_ASK_TOPIC_CHECK ? awaiting(reader, partition, generation) : NULL;
    leat_error error;
    leat_kafka_topic topic;
    int result = leat_kafka_read_topic(event, &topic, &error);
    if (result < 0)
        leat_kafka_say(reader->client, rd_kafka_event_error(event), error.text);
    if (result == 1)
        on_no_topic(reader);
    if (result != 0) {
        if (part && part->state == LEAT_PART_CHECKING)
            check_later(part);
        return;
    }
    reader->gone_seen = 0;
    if (leat_kafka_is_other_topic(reader->identity.topic_id, topic.topic_id)) {
        char reason[LEAT_READER_WHY_SIZE];
        leat_range_reason(NULL, LEAT_RANGE_OTHER, "the topic was deleted and recreated", reason,
                          sizeof reason);
        break_all(reader, reason);
        return;
    }
    if (topic.partition_count > reader->identity.partition_count)
        leat_reader_say_growth(reader);
    if (part) {
        part->topic_checked = true;
        judge_when_complete(reader, partition);
    }
}

/* ---- errors while reading ---- */

typedef enum fetch_fault {
    FAULT_PASSES,
    FAULT_CUT,        /* the log was cut off and written anew */
    FAULT_RANGE,      /* the fetcher has stopped: the offset is not there */
    FAULT_UNREADABLE, /* librdkafka would go on behind what it could not read: that would lose
                         records */
    FAULT_TOPIC,
} fetch_fault;

/* With auto.offset.reset=error librdkafka (2.12.1, rd_kafka_offset_reset) has one code for both,
 * and the other's words in the text. */
static bool says_truncation(const rd_kafka_message_t *message)
{
    return message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET &&
           strstr(rd_kafka_message_errstr(message),
                  rd_kafka_err2str(RD_KAFKA_RESP_ERR__LOG_TRUNCATION)) != NULL;
}

static fetch_fault fault_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__LOG_TRUNCATION:
        return FAULT_CUT;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return FAULT_RANGE;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__UNDERFLOW:
    case RD_KAFKA_RESP_ERR__INCONSISTENT:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        return FAULT_UNREADABLE;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return FAULT_TOPIC;
    default:
        return FAULT_PASSES;
    }
}

static void on_unreadable(leat_kafka_reader *reader, uint32_t partition, const char *text)
{
    leat_part *part = &reader->parts[partition];
    part->unreadable++;
    if (part->unreadable < UNREADABLE_MAX) {
        leat_part_drop_batch(part);
        check_begin(reader, partition);
        return;
    }
    char reason[REASON_SIZE];
    snprintf(reason, sizeof reason, "the log cannot be read at offset %lld: %s",
             (long long)part->next, text);
    leat_reader_break(reader, partition, reason);
}

/* Where the epoch that was read ends now, as librdkafka's text has it; -1: it does not say. */
static int64_t cut_at(const char *text)
{
    static const char words[] = "broker end offset is ";
    const char *at = strstr(text, words);
    return at ? strtoll(at + sizeof words - 1, NULL, 10) : -1;
}

/* From `first` on other records stand than those that were read. */
static void break_cut(leat_kafka_reader *reader, uint32_t partition, int64_t first,
                      const char *proof)
{
    leat_log_range range = range_of(&reader->parts[partition]);
    range.epoch_end = first;
    break_range(reader, partition, &range, LEAT_RANGE_REWRITTEN, proof);
}

static void on_truncation(leat_kafka_reader *reader, uint32_t partition, const char *text)
{
    int64_t first = cut_at(text);
    break_cut(reader, partition, first >= 0 ? first : reader->parts[partition].next, text);
}

bool leat_reader_epoch_fits(leat_kafka_reader *reader, uint32_t partition, int64_t offset,
                            int32_t epoch)
{
    const leat_part *part = &reader->parts[partition];
    if (leat_range_epoch_fits(part->seen, part->seen_epoch, offset, epoch))
        return true;
    char proof[REASON_SIZE / 3];
    snprintf(proof, sizeof proof,
             "The record at offset %lld has leader epoch %d; up to offset %lld epoch %d was read",
             (long long)offset, (int)epoch, (long long)part->seen, (int)part->seen_epoch);
    break_cut(reader, partition, offset, proof);
    return false;
}

void leat_reader_on_fetch_error(leat_kafka_reader *reader, uint32_t partition,
                                const rd_kafka_message_t *message)
{
    char text[REASON_SIZE / 2];
    snprintf(text, sizeof text, "partition %u: %s", partition, rd_kafka_message_errstr(message));
    leat_kafka_say(reader->client, message->err, text);
    leat_part *part = &reader->parts[partition];
    fetch_fault fault = says_truncation(message) ? FAULT_CUT : fault_of(message->err);
    if (fault == FAULT_CUT) {
        on_truncation(reader, partition, text);
        return;
    }
    if (fault == FAULT_UNREADABLE) {
        on_unreadable(reader, partition, text);
        return;
    }
    if (fault == FAULT_TOPIC)
        reader->topic_asked_us = 0;
    /* The fetcher has stopped, or librdkafka's position has moved past what the error names. */
    part->restart = fault == FAULT_RANGE;
    leat_part_drop_batch(part); /* the message too */
    check_begin(reader, partition);
}

/* ---- time ---- */

static void part_tick(leat_kafka_reader *reader, uint32_t partition, int64_t now_us)
{
    leat_part *part = &reader->parts[partition];
    if (part->state == LEAT_PART_CHECKING && reader->topic_gone)
        leat_reader_break(reader, partition, "the topic was deleted or recreated");
    if (part->retry_us == 0 || now_us < part->retry_us)
        return;
    part->retry_us = 0;
    if (part->state == LEAT_PART_CHECKING)
        check_begin(reader, partition);
    else if (part->state == LEAT_PART_SEEKING)
        seek_step(reader, partition);
}

void leat_reader_range_tick(leat_kafka_reader *reader, int64_t now_us)
{
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        part_tick(reader, p, now_us);
    if (reader->topic_asked_us == 0 || now_us - reader->topic_asked_us >= reader->topic_every_us) {
        reader->topic_asked_us = now_us;
        leat_kafka_ask_topic(reader->rk, reader->topic, LEAT_ASK_TIMEOUT_MS,
                             pack(LEAT_ASK_TOPIC, 0, 0), reader->answers);
    }
    if (now_us - reader->ends_asked_us >= LEAT_ENDS_EVERY_US) {
        reader->ends_asked_us = now_us;
        ask_all(reader, LEAT_ASK_ENDS);
        ask_all(reader, LEAT_ASK_STABLE);
    }
}
