/*
 * ends.c - where the log ends, asked regularly for all partitions at once: for the lag that metrics
 * show, and to notice an open transaction. Consumers read only committed records, so a foreign
 * producer that hangs in a transaction holds back everything after its beginning, writes of the
 * edge too, and nothing fails. Only the stable offset shows it: it stands still below the end.
 */
#include "base/rate_limit.h"
#include "log/kafka/reader.h"

enum { HELD_US = 10 * 1000 * 1000 }; /* a transaction that is open for longer is logged */

/* `ask`: LEAT_ASK_ENDS or LEAT_ASK_STABLE. */
void leat_reader_ask_ends(leat_kafka_reader *reader, leat_ask ask)
{
    LEAT_ASSERT(ask == LEAT_ASK_ENDS || ask == LEAT_ASK_STABLE);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    for (uint32_t p = 0; p < reader->identity.partition_count; p++)
        if (leat_part_is_mine(&reader->parts[p]))
            rd_kafka_topic_partition_list_add(list, reader->topic, (int32_t)p);
    rd_kafka_IsolationLevel_t isolation = ask == LEAT_ASK_STABLE
                                              ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                              : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED;
    if (list->cnt > 0)
        leat_kafka_ask_offsets(reader->rk, list, RD_KAFKA_OFFSET_SPEC_LATEST, isolation,
                               LEAT_ASK_TIMEOUT_MS, leat_ask_pack(ask, 0, 0), reader->answers);
    rd_kafka_topic_partition_list_destroy(list);
}

static void log_held(const leat_part *part, uint32_t partition)
{
    LEAT_ASSERT(part->stable < part->end);
    leat_warn("open transaction of a foreign producer holds records back: they are read once it "
              "ends, or once its producer's transaction.timeout.ms is over partition=%u "
              "offset=%lld held_offsets=%lld",
              partition, (long long)part->stable, (long long)(part->end - part->stable));
}

/* End and stable offset are asked for separately: a single answer that differs means nothing,
 * because transactions come and go. */
static void note_stable(leat_part *part, uint32_t partition, int64_t stable)
{
    int64_t now_us = leat_mono_us();
    if (stable >= part->end)
        part->held_since_us = part->held_logged_us = 0;
    else if (part->held_since_us == 0 || stable != part->stable)
        part->held_since_us = now_us;
    part->stable = stable;
    if (part->held_since_us == 0 || now_us - part->held_since_us < HELD_US ||
        !leat_rate_limit_is_due(part->held_logged_us, now_us))
        return;
    part->held_logged_us = now_us;
    log_held(part, partition);
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

void leat_reader_on_ends(leat_kafka_reader *reader, leat_ask ask, rd_kafka_event_t *event)
{
    LEAT_ASSERT(ask == LEAT_ASK_ENDS || ask == LEAT_ASK_STABLE);
    if (rd_kafka_event_error(event))
        return;
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    for (size_t i = 0; i < count; i++)
        note_offset(reader, ask, rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]));
}
