/*
 * writer_slots.c - the writer: a slot for each record that waits for its answer. The pool is as
 * large as the client's queue and taken at start, so that appending never allocates; the kernel
 * gives its pages when they are first used (base/pages.h). The slots of a partition form a list in
 * the order of appending: the age of its oldest record, which readiness depends on, is known
 * without a search. A partition has only its share of the client's memory (base/shares.h), so that
 * one whose broker hangs leaves room for the others.
 */
#include "log/kafka/writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

enum { WAITING_MAX = 1000 * 1000 };

/* When only the log's name is known, partitions are added as they are written to. */
static leat_writer_partition *partition_at(leat_kafka_writer *writer, uint32_t p)
{
    if (p >= writer->partition_count) {
        leat_writer_partition *grown = leat_must_calloc(p + 1, sizeof *grown);
        if (writer->partition_count > 0)
            memcpy(grown, writer->partitions, writer->partition_count * sizeof *grown);
        free(writer->partitions);
        writer->partitions = grown;
        uint32_t *holding = leat_must_calloc(p + 1, sizeof *holding);
        if (writer->holding_count > 0)
            memcpy(holding, writer->holding, writer->holding_count * sizeof *holding);
        free(writer->holding);
        writer->holding = holding;
        writer->partition_count = p + 1;
    }
    return &writer->partitions[p];
}

/* NULL: none is left. Those that were never used come last: untouched memory. */
static leat_writer_slot *next_slot(const leat_kafka_writer *writer)
{
    LEAT_ASSERT(writer->slots_used <= writer->slot_count);
    if (writer->free_slots || writer->slots_used == writer->slot_count)
        return writer->free_slots;
    return &writer->slots[writer->slots_used];
}

static void leave_free(leat_kafka_writer *writer, const leat_writer_slot *slot)
{
    if (slot == writer->free_slots)
        writer->free_slots = slot->newer;
    else
        writer->slots_used++;
}

/* NULL: no slot is left for the partition, or for anyone, for now. */
leat_writer_slot *leat_writer_take_slot(leat_kafka_writer *writer, const leat_record *record,
                                        void *tag)
{
    leat_writer_partition *partition = partition_at(writer, record->partition);
    size_t size = record->key.size + record->value.size;
    leat_writer_slot *slot = next_slot(writer);
    if (!slot || !leat_shares_take(&writer->bytes, &partition->bytes, size))
        return NULL;
    leave_free(writer, slot);
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

void leat_writer_give_slot(leat_kafka_writer *writer, leat_writer_slot *slot)
{
    leat_writer_partition *partition = &writer->partitions[slot->partition];
    LEAT_ASSERT(writer->waiting > 0);
    leat_writer_note_end(writer, slot);
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

int leat_writer_make_slots(leat_kafka_writer *writer, leat_error *error)
{
    LEAT_ASSERT(!writer->slots && writer->waiting == 0);
    long wanted = leat_writer_config_number(writer, "queue.buffering.max.messages");
    if (wanted <= 0 || wanted > WAITING_MAX)
        return leat_fail(error,
                         "Kafka property queue.buffering.max.messages must be between 1 and %d",
                         WAITING_MAX);
    writer->slot_count = (size_t)wanted;
    writer->slots = leat_must_pages(writer->slot_count, sizeof *writer->slots);
    uint64_t bytes = (uint64_t)leat_writer_config_number(writer, "queue.buffering.max.kbytes") *
                     1024;
    uint32_t count_known = writer->identity.partition_count;
    leat_shares_init(&writer->bytes, bytes, count_known > 0 ? count_known : 1);
    if (writer->identity.partition_count > 0)
        partition_at(writer, writer->identity.partition_count - 1);
    return 0;
}

void leat_writer_free_slots(leat_kafka_writer *writer)
{
    leat_pages_free(writer->slots, writer->slot_count * sizeof *writer->slots);
    writer->slots = NULL;
}
