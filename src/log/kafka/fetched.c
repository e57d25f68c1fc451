/*
 * fetched.c - records on their way from librdkafka's queues to the caller. All partitions that are
 * read share one queue, so its limit is a budget that goes to those which have a backlog. It also
 * decides who is fetched: a partition whose queue is full is left out, and a fetch for idle
 * partitions alone waits at the broker, with the busy one's next records behind it. With one queue
 * all are left out together, and a fetch is never without the busy one.
 *
 * A paused partition must not stand in the way of others, so its further records stay in its own
 * queue (its route ends), and those of it that the shared queue still has are kept here, in order,
 * to be offered first when it goes on. Routing a queue moves what is in it to the end of the shared
 * one, so the order is: kept, shared, own. After a long pause all of it is dropped and nothing is
 * fetched: it is read again from the log when the partition goes on.
 */
#include "log/kafka/reader.h"

#include <stdlib.h>

#include "record/headers.h"

/* ---- records that were taken and not yet offered ---- */

static void keep(leat_part *part, rd_kafka_message_t *message)
{
    LEAT_ASSERT(part->state == LEAT_PART_READING);
    if (!part->kept_last || part->kept_last->count == LEAT_KEPT_BLOCK) {
        leat_kept *block = leat_must_calloc(1, sizeof *block);
        if (part->kept_last)
            part->kept_last->next = block;
        else
            part->kept = block;
        part->kept_last = block;
    }
    part->kept_last->messages[part->kept_last->count++] = message;
}

/* NULL: nothing is kept. A block is freed here and not when its last record is taken: that one may
 * have to be put back. */
static rd_kafka_message_t *first_kept(leat_part *part)
{
    leat_kept *block = part->kept;
    if (block && block->at == block->count) {
        part->kept = block->next;
        if (!part->kept)
            part->kept_last = NULL;
        free(block);
        block = part->kept;
    }
    LEAT_ASSERT(!block || block->at < block->count);
    return block ? block->messages[block->at] : NULL;
}

void leat_part_drop_kept(leat_part *part)
{
    rd_kafka_message_t *message;
    while ((message = first_kept(part))) {
        part->kept->at++;
        rd_kafka_message_destroy(message);
    }
    LEAT_ASSERT(!part->kept && !part->kept_last);
}

/* ---- routes ---- */

static void set_route(leat_kafka_reader *reader, leat_part *part, bool routed)
{
    LEAT_ASSERT(part->queue && part->routed != routed && (routed || reader->routed_count > 0));
    rd_kafka_queue_forward(part->queue, routed ? reader->fetched : NULL);
    part->routed = routed;
    if (routed)
        reader->routed_count++;
    else
        reader->routed_count--;
}

static bool may_read(const leat_part *part)
{
    return part->state == LEAT_PART_READING && !part->paused;
}

void leat_part_route(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(partition < reader->identity.partition_count);
    leat_part *part = &reader->parts[partition];
    if (part->routed && !may_read(part))
        set_route(reader, part, false);
    else if (!part->routed && may_read(part) && !first_kept(part))
        set_route(reader, part, true);
}

void leat_part_unroute(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(partition < reader->identity.partition_count);
    if (reader->parts[partition].routed)
        set_route(reader, &reader->parts[partition], false);
}

/* ---- records ---- */

static void read_headers(const rd_kafka_message_t *message, leat_record *record)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        leat_slice header = leat_slice_of(name), *field = leat_header_find(record, header);
        record->header_bytes += (uint32_t)(header.size + (value ? size : 0));
        if (field)
            *field = (leat_slice){value, value ? size : 0};
    }
}

leat_record leat_kafka_record(uint32_t partition, const rd_kafka_message_t *message)
{
    leat_record record = {.partition = partition,
                          .offset = message->offset,
                          .accepted_ms = rd_kafka_message_timestamp(message, NULL),
                          .epoch = rd_kafka_message_leader_epoch(message),
                          .key = {message->key, message->key ? message->key_len : 0},
                          .value = {message->payload, message->payload ? message->len : 0},
                          .value_is_null = message->payload == NULL};
    read_headers(message, &record);
    return record;
}

static void note_offered(leat_part *part, int64_t offset, int32_t epoch)
{
    LEAT_ASSERT(offset >= part->next);
    part->next = offset + 1;
    part->next_epoch = epoch;
    if (offset > part->seen)
        part->seen = offset;
    if (epoch > part->seen_epoch)
        part->seen_epoch = epoch;
}

/* It is no longer kept; refused, it is put back, to be offered again after resume. */
static void offer(leat_kafka_reader *reader, uint32_t partition, rd_kafka_message_t *message)
{
    leat_part *part = &reader->parts[partition];
    leat_record record = leat_kafka_record(partition, message);
    uint32_t generation = part->generation;
    reader->handed++;
    if (reader->events.record(reader->events.context, &record, message)) {
        if (part->generation == generation)
            note_offered(part, record.offset, record.epoch);
        part->unreadable = 0;
        return;
    }
    LEAT_ASSERT(reader->handed > 0);
    reader->handed--;
    if (part->generation != generation || !part->kept) {
        rd_kafka_message_destroy(message);
        return;
    }
    LEAT_ASSERT(part->kept->at > 0 && part->kept->messages[part->kept->at - 1] == message);
    part->kept->at--;
    part->paused = true;
}

/* Callbacks may pause, seek or give back: the state is checked after each. */
static void offer_kept(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    for (uint32_t i = 0; i < LEAT_READ_BATCH && may_read(part); i++) {
        rd_kafka_message_t *message = first_kept(part);
        if (!message)
            return;
        if (message->err) {
            leat_reader_on_fetch_error(reader, partition, message);
            return;
        }
        if (!leat_reader_epoch_fits(reader, partition, message->offset,
                                    rd_kafka_message_leader_epoch(message)))
            return;
        part->kept->at++; /* before the call: it may seek, which drops the others */
        if (message->offset < part->next) { /* fetched twice around a rebalance */
            rd_kafka_message_destroy(message);
            continue;
        }
        offer(reader, partition, message);
    }
}

/* Librdkafka's queue has them until a partition that is read wants more; then also those of others
 * are taken. */
static void take_fetched(leat_kafka_reader *reader)
{
    if (reader->routed_count == 0 || !reader->more)
        return;
    rd_kafka_message_t *messages[LEAT_READ_BATCH];
    ssize_t taken = rd_kafka_consume_batch_queue(reader->fetched, 0, messages, LEAT_READ_BATCH);
    for (ssize_t i = 0; i < taken; i++) {
        uint32_t partition = (uint32_t)messages[i]->partition;
        if (partition < reader->identity.partition_count &&
            reader->parts[partition].state == LEAT_PART_READING)
            keep(&reader->parts[partition], messages[i]);
        else /* on its way when reading ended: a seek comes before any other */
            rd_kafka_message_destroy(messages[i]);
    }
    /* An empty queue wakes us when it fills; one that was left with records does not. */
    reader->more = taken == LEAT_READ_BATCH;
}

bool leat_reader_read(leat_kafka_reader *reader)
{
    LEAT_ASSERT(reader->turn < reader->identity.partition_count);
    uint32_t count = reader->identity.partition_count;
    bool more = false;
    for (uint32_t p = 0; p < count; p++)
        leat_part_route(reader, p);
    take_fetched(reader);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t partition = (reader->turn + i) % count;
        offer_kept(reader, partition);
        leat_part_route(reader, partition);
        more = more ||
               (may_read(&reader->parts[partition]) && first_kept(&reader->parts[partition]));
    }
    reader->turn = (reader->turn + 1) % count;
    return more || (reader->more && reader->routed_count > 0);
}

/* When all that was taken has been offered, librdkafka's position is also past offsets without a
 * record. */
static void report_position(leat_kafka_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(partition < reader->identity.partition_count);
    leat_part *part = &reader->parts[partition];
    if (!may_read(part) || first_kept(part) || rd_kafka_position(reader->rk, part->position))
        return;
    int64_t position = part->position->elems[0].offset;
    if (position <= part->next || position <= part->read_to)
        return;
    part->read_to = position;
    reader->events.read_to(reader->events.context, partition, position);
}

/* Of one that is parked: they are outdated. In 2.12.1 rd_kafka_q_purge_toppar_version, with which
 * librdkafka's pause would drop them, stops at the pause's own mark at the head of the queue. */
static void drop_own(leat_part *part)
{
    rd_kafka_message_t *messages[LEAT_READ_BATCH];
    ssize_t count = rd_kafka_consume_batch_queue(part->queue, 0, messages, LEAT_READ_BATCH);
    for (ssize_t i = 0; i < count; i++)
        rd_kafka_message_destroy(messages[i]);
}

static void drop_after_long_pause(leat_kafka_reader *reader, uint32_t partition, int64_t now_us)
{
    leat_part *part = &reader->parts[partition];
    if (part->state != LEAT_PART_READING || !part->paused)
        return;
    LEAT_ASSERT(!part->routed);
    if (part->paused_us == 0)
        part->paused_us = now_us;
    if (now_us - part->paused_us < reader->long_pause_us)
        return;
    leat_part_drop_kept(part);
    if (!part->parked)
        leat_reader_park(reader, partition);
    drop_own(part);
}

void leat_reader_tick_part(leat_kafka_reader *reader, uint32_t partition, int64_t now_us)
{
    report_position(reader, partition);
    drop_after_long_pause(reader, partition, now_us);
}
