/*
 * part.c - the life of one partition at the reader: its states, its queue of fetched records, its
 * end. The queue is taken from librdkafka before the partition is assigned and is never forwarded
 * to the consumer's: only then can leat pause one partition by ending its queue's route.
 */
#include "log/kafka/reader.h"

#include "base/states.h"

/* Which states may follow which: the picture in reader.h. */
static const unsigned may_follow[] = {
    [LEAT_PART_FREE] = LEAT_TO(LEAT_PART_HELD),
    [LEAT_PART_HELD] = LEAT_TO(LEAT_PART_CHECKING) | LEAT_TO(LEAT_PART_BROKEN) |
                       LEAT_TO(LEAT_PART_REVOKING) | LEAT_TO(LEAT_PART_FREE),
    [LEAT_PART_CHECKING] = LEAT_TO(LEAT_PART_CHECKING) | LEAT_TO(LEAT_PART_SEEKING) |
                           LEAT_TO(LEAT_PART_BROKEN) | LEAT_TO(LEAT_PART_REVOKING) |
                           LEAT_TO(LEAT_PART_FREE),
    [LEAT_PART_SEEKING] = LEAT_TO(LEAT_PART_CHECKING) | LEAT_TO(LEAT_PART_SEEKING) |
                          LEAT_TO(LEAT_PART_READING) | LEAT_TO(LEAT_PART_BROKEN) |
                          LEAT_TO(LEAT_PART_REVOKING) | LEAT_TO(LEAT_PART_FREE),
    [LEAT_PART_READING] = LEAT_TO(LEAT_PART_CHECKING) | LEAT_TO(LEAT_PART_SEEKING) |
                          LEAT_TO(LEAT_PART_BROKEN) | LEAT_TO(LEAT_PART_REVOKING) |
                          LEAT_TO(LEAT_PART_FREE),
    [LEAT_PART_BROKEN] = LEAT_TO(LEAT_PART_CHECKING) | LEAT_TO(LEAT_PART_REVOKING) |
                         LEAT_TO(LEAT_PART_FREE),
    [LEAT_PART_REVOKING] = LEAT_TO(LEAT_PART_FREE),
};

void leat_part_enter(leat_part *part, leat_part_state state)
{
    LEAT_ASSERT(leat_may_follow(may_follow, part->state, state));
    part->state = state;
}

void leat_reader_break(leat_kafka_reader *reader, uint32_t partition, const char *reason)
{
    LEAT_ASSERT(partition < reader->identity.partition_count && reason);
    leat_part *part = &reader->parts[partition];
    if (!leat_part_is_mine(part) || part->state == LEAT_PART_REVOKING ||
        part->state == LEAT_PART_BROKEN)
        return;
    leat_part_enter(part, LEAT_PART_BROKEN);
    part->generation++;
    leat_part_drop_kept(part);
    reader->events.broken(reader->events.context, partition, reason);
}

void leat_part_open(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    LEAT_ASSERT(!leat_part_is_mine(part) && !part->kept);
    uint32_t generation = part->generation + 1;
    *part = (leat_part){.state = LEAT_PART_FREE,
                        .generation = generation,
                        .low = -1,
                        .high = -1,
                        .next = -1,
                        .next_epoch = -1,
                        .read_to = -1,
                        .seen = -1,
                        .seen_epoch = -1,
                        .committed = -1,
                        .range_start = -1,
                        .range_end = -1,
                        .end = -1,
                        .stable = -1};
    part->position = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(part->position, reader->topic, (int32_t)partition);
    part->queue = rd_kafka_queue_get_partition(reader->rk, reader->topic, (int32_t)partition);
    LEAT_ASSERT(part->queue);
    leat_part_enter(part, LEAT_PART_HELD);
    /* Not into the consumer's queue: when the queue is marked as ours before the partition is
     * assigned, librdkafka leaves it so. */
    rd_kafka_queue_forward(part->queue, NULL);
}

void leat_part_close(leat_kafka_reader *reader, uint32_t partition)
{
    leat_part *part = &reader->parts[partition];
    if (!leat_part_is_mine(part))
        return;
    leat_part_drop_kept(part);
    leat_part_unroute(reader, partition);
    rd_kafka_queue_destroy(part->queue);
    rd_kafka_topic_partition_list_destroy(part->position);
    part->queue = NULL;
    part->position = NULL;
    leat_part_enter(part, LEAT_PART_FREE);
    part->generation++;
}
