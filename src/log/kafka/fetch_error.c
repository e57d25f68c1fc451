/*
 * fetch_error.c - errors that come instead of a record, and records that do not belong to the log
 * that was read so far. librdkafka would go on after an error: its position is then past the offset
 * that the error names, and records that it could not read would be lost. So every error ends the
 * reading of its partition here. A check of the range (range.c) and a new seek follow, or the end
 * of the partition when the log was cut off or cannot be read.
 */
#include "base/leader_epoch.h"
#include "log/kafka/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASON_SIZE = 600, UNREADABLE_MAX = 3 };

typedef enum fetch_fault {
    FAULT_PASSES,
    FAULT_CUT,        /* the log was cut off and rewritten */
    FAULT_RANGE,      /* the fetcher has stopped: the offset is not there */
    FAULT_UNREADABLE, /* librdkafka would go on after records that it could not read: they would be
                         lost */
    FAULT_TOPIC,
} fetch_fault;

/* With auto.offset.reset=error librdkafka (2.12.1, rd_kafka_offset_reset) has one code for both;
 * only the text tells them apart. */
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
    LEAT_ASSERT(reader->parts[partition].state == LEAT_PART_READING);
    leat_part *part = &reader->parts[partition];
    part->unreadable++;
    if (part->unreadable < UNREADABLE_MAX) {
        leat_part_drop_kept(part);
        leat_reader_check_range(reader, partition);
        return;
    }
    char reason[REASON_SIZE];
    snprintf(reason, sizeof reason, "the log cannot be read at offset %lld: %s",
             (long long)part->next, text);
    leat_reader_break(reader, partition, reason);
}

/* The offset where the epoch that was read now ends, from librdkafka's text; -1: not in it. */
static int64_t cut_at(const char *text)
{
    static const char before[] = "broker end offset is ";
    const char *at = strstr(text, before);
    return at ? strtoll(at + sizeof before - 1, NULL, 10) : -1;
}

/* From `first` on the log has other records than those that were read. */
static void break_cut(leat_kafka_reader *reader, uint32_t partition, int64_t first,
                      const char *proof)
{
    LEAT_ASSERT(first >= 0);
    leat_log_range range = leat_part_range(&reader->parts[partition]);
    range.epoch_end = first;
    leat_reader_break_range(reader, partition, &range, LEAT_RANGE_REWRITTEN, proof);
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
    if (leat_leader_epoch_fits(part->seen, part->seen_epoch, offset, epoch))
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
    LEAT_ASSERT(message->err);
    LEAT_ASSERT(reader->parts[partition].state == LEAT_PART_READING);
    char text[REASON_SIZE / 2];
    snprintf(text, sizeof text, "partition %u: %s", partition, rd_kafka_message_errstr(message));
    leat_kafka_log_error(reader->client, message->err, text);
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
    /* The fetcher has stopped, or librdkafka's position has moved past the offset that the error
     * names. */
    part->restart = fault == FAULT_RANGE;
    leat_part_drop_kept(part); /* the message too */
    leat_reader_check_range(reader, partition);
}
