/*
 * range.c - where a partition is read from, and whether the log still has the records that are
 * needed.
 *
 * Before each seek, and after each error that stopped the fetching, the brokers are asked for the
 * log's first offset, the offset after its last and the topic's id; log/range.h states what the
 * answers mean. Two things are Kafka's own:
 *
 *   A log that is too short must be seen SHORT_ENDS_MAX times in a row, because a new leader may
 *   know an older end for a moment.
 *
 *   Only the brokers know where a leader epoch ends. librdkafka asks them, at each seek that knows
 *   the epoch of the last record read and whenever the leader's epoch rises, and reports
 *   LOG_TRUNCATION. For records that the reader has not seen itself, the newest applied record is
 *   compared (engine/progress.h). Each record's epoch is also checked against those seen since the
 *   assignment.
 *
 * librdkafka never chooses an offset: it is given absolute ones only (see reader.h) and
 * auto.offset.reset is `error`, so any doubt comes back here as an error.
 */
#include "log/kafka/reader.h"

#include <stdio.h>

enum {
    REASON_SIZE = 600,
    SEEK_WAIT_MS = 500,
    SEEK_RETRY_US = 100 * 1000,
    SEEK_TRIES_MAX = 20, /* then the fetcher has stopped for good and is restarted */
    CHECK_RETRY_US = 1000 * 1000,
    SHORT_ENDS_MAX = 3,
    GONE_MAX = 3,
};

/* ---- asking ---- */

void *leat_ask_pack(leat_ask ask, uint32_t partition, uint32_t generation)
{
    _Static_assert(sizeof(uintptr_t) == 8, "a question is packed into a pointer");
    LEAT_ASSERT(partition < 1u << 28 && ask < 1u << 4);
    return (void *)((uintptr_t)ask << 60 | (uintptr_t)partition << 32 | generation);
}

leat_ask leat_ask_unpack(void *opaque, uint32_t *ret_partition, uint32_t *ret_generation)
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
    void *opaque = leat_ask_pack(ask, partition, reader->parts[partition].generation);
    leat_kafka_ask_offsets(reader->rk, list, spec, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
                           LEAT_ASK_TIMEOUT_MS, opaque, reader->answers);
    rd_kafka_topic_partition_list_destroy(list);
}

void leat_reader_check_range(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(partition < reader->identity.partition_count);
    leat_part *part = &reader->parts[partition];
    leat_part_enter(part, LEAT_PART_CHECKING);
    part->generation++;
    part->retry_us = 0;
    part->range_start = -1;
    part->range_end = -1;
    part->topic_checked = false;
    ask_offset(reader, partition, LEAT_ASK_START);
    ask_offset(reader, partition, LEAT_ASK_END);
    leat_kafka_ask_topic(reader->rk, reader->topic, LEAT_ASK_TIMEOUT_MS,
                         leat_ask_pack(LEAT_ASK_TOPIC_CHECK, partition, part->generation),
                         reader->answers);
}

static void check_later(leat_part *part)
{
    LEAT_ASSERT(part->state == LEAT_PART_CHECKING);
    part->generation++; /* other answers of this check no longer count */
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
    leat_part_drop_kept(part);
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
    leat_reader_check_range(reader, partition);
}

/* ---- seeking ---- */

static void begin_reading(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    leat_part_enter(part, LEAT_PART_READING);
    part->retry_us = 0;
    part->tries = 0;
    LEAT_ASSERT(!part->kept);
    leat_part_unroute(reader, partition); /* librdkafka ends a route when it restarts the fetcher */
    leat_part_route(reader, partition);
    leat_kafka_wake(reader->wake_fd); /* records fetched before the seek have used up the queue's
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

static void try_seek(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    LEAT_ASSERT(part->next >= 0);
    leat_part_enter(part, LEAT_PART_SEEKING);
    part->retry_us = leat_mono_us() + SEEK_RETRY_US;
    if (part->restart || part->tries >= SEEK_TRIES_MAX) {
        part->restart = leat_reader_restart(reader, partition) != 0;
        part->tries = 0;
        return; /* then it is sought: only a seek has the leader epoch checked */
    }
    part->tries++;
    if (seek(reader, partition) != 0)
        return;
    leat_reader_unpark(reader, partition);
    begin_reading(reader, partition);
    leat_reader_ask_ends(reader, LEAT_ASK_ENDS); /* nothing else wakes librdkafka's thread for that
                                       broker: it may sleep for a second */
}

void leat_reader_seek_again(leat_part *part)
{
    LEAT_ASSERT(part->state == LEAT_PART_READING);
    leat_part_enter(part, LEAT_PART_SEEKING);
    part->retry_us = leat_mono_us() + SEEK_RETRY_US;
}

void leat_reader_seek_next(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(!reader->parts[partition].kept);
    leat_reader_seek_again(&reader->parts[partition]);
    try_seek(reader, partition);
}

/* ---- deciding ---- */

leat_log_range leat_part_range(const leat_part *part)
{
    return (leat_log_range){.low = part->low,
                            .high = part->high,
                            .next = part->next,
                            .read_to = part->read_to,
                            .start = part->range_start,
                            .end = part->range_end,
                            .epoch_end = -1};
}

void leat_reader_break_range(leat_kafka_reader *reader, uint32_t partition,
                             const leat_log_range *range, leat_range_verdict verdict,
                             const char *cause)
{
    LEAT_ASSERT(verdict != LEAT_RANGE_FITS);
    char reason[REASON_SIZE];
    leat_range_reason(range, verdict, cause, reason, sizeof reason);
    leat_reader_break(reader, partition, reason);
}

static void seek_checked(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(reader->parts[partition].state == LEAT_PART_CHECKING);
    leat_part *part = &reader->parts[partition];
    if (part->next < part->range_start) { /* -1: from the log's first */
        part->next = part->range_start;
        part->next_epoch = -1;
    }
    part->end = part->range_end;
    part->tries = 0;
    try_seek(reader, partition);
}

static void decide(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(reader->parts[partition].state == LEAT_PART_CHECKING);
    leat_part *part = &reader->parts[partition];
    leat_log_range range = leat_part_range(part);
    leat_range_verdict verdict = leat_range_check(&range);
    part->short_ends = verdict == LEAT_RANGE_SHORT ? part->short_ends + 1 : 0;
    if (verdict == LEAT_RANGE_FITS)
        seek_checked(reader, partition);
    else if (verdict == LEAT_RANGE_LOST)
        leat_reader_break_range(reader, partition, &range, verdict,
                                "they were deleted (retention)");
    else if (part->short_ends < SHORT_ENDS_MAX)
        check_later(part);
    else
        leat_reader_break_range(reader, partition, &range, verdict, "it was cut off or recreated");
}

static void decide_when_complete(leat_kafka_reader *reader, uint32_t partition)
{
    const leat_part *part = &reader->parts[partition];
    if (part->range_start >= 0 && part->range_end >= 0 && part->topic_checked)
        decide(reader, partition);
}

/* ---- answers: offsets ---- */

static leat_part *awaiting(leat_kafka_reader *reader, uint32_t partition, uint32_t generation)
{
    if (partition >= reader->identity.partition_count)
        return NULL;
    leat_part *part = &reader->parts[partition];
    return part->state == LEAT_PART_CHECKING && part->generation == generation ? part : NULL;
}

/* The offset of the only partition asked for; -1, and it is logged, when there is none. */
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
    leat_kafka_log_error(reader->client, code,
                         "the log's range cannot be asked for; it is tried again");
    return -1;
}

void leat_reader_on_offsets(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    uint32_t partition;
    uint32_t generation;
    leat_ask ask = leat_ask_unpack(rd_kafka_event_opaque(event), &partition, &generation);
    if (ask == LEAT_ASK_ENDS || ask == LEAT_ASK_STABLE) {
        leat_reader_on_ends(reader, ask, event);
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
    decide_when_complete(reader, partition);
}

/* ---- answers: topic ---- */

static void break_all(leat_kafka_reader *reader, const char *reason)
{
    LEAT_ASSERT(reason[0]);
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
    leat_ask ask = leat_ask_unpack(rd_kafka_event_opaque(event), &partition, &generation);
    leat_part *part = ask == LEAT_ASK_TOPIC_CHECK ? awaiting(reader, partition, generation) : NULL;
    leat_error error;
    leat_kafka_topic topic;
    int result = leat_kafka_read_topic(event, &topic, &error);
    if (result < 0)
        leat_kafka_log_error(reader->client, rd_kafka_event_error(event), error.text);
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
        leat_reader_log_growth(reader);
    if (part) {
        part->topic_checked = true;
        decide_when_complete(reader, partition);
    }
}

/* ---- time ---- */

static void tick_part(leat_kafka_reader *reader, uint32_t partition, int64_t now_us)
{
    leat_part *part = &reader->parts[partition];
    if (part->state == LEAT_PART_CHECKING && reader->topic_gone)
        leat_reader_break(reader, partition, "the topic was deleted or recreated");
    if (part->retry_us == 0 || now_us < part->retry_us)
        return;
    part->retry_us = 0;
    if (part->state == LEAT_PART_CHECKING)
        leat_reader_check_range(reader, partition);
    else if (part->state == LEAT_PART_SEEKING)
        try_seek(reader, partition);
}

void leat_reader_range_tick(leat_kafka_reader *reader, int64_t now_us)
{
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        tick_part(reader, p, now_us);
    if (reader->topic_asked_us == 0 || now_us - reader->topic_asked_us >= reader->topic_every_us) {
        reader->topic_asked_us = now_us;
        leat_kafka_ask_topic(reader->rk, reader->topic, LEAT_ASK_TIMEOUT_MS,
                             leat_ask_pack(LEAT_ASK_TOPIC, 0, 0), reader->answers);
    }
    if (now_us - reader->ends_asked_us >= LEAT_ENDS_EVERY_US) {
        reader->ends_asked_us = now_us;
        leat_reader_ask_ends(reader, LEAT_ASK_ENDS);
        leat_reader_ask_ends(reader, LEAT_ASK_STABLE);
    }
}
