/*
 * progress.c - base and rows of a partition put together. A row that does not go past the base in a
 * subpartition changes nothing there, whatever the order of rows; its seq is used up all the same,
 * since a seq that was used once under a claim must never stand for another batch.
 */
#include "engine/progress.h"

#include <string.h>

void leat_engine_progress_init(leat_engine_progress *progress, int64_t *memory,
                               uint32_t subpartitions)
{
    LEAT_ASSERT(subpartitions > 0 && subpartitions <= LEAT_SUBPARTITIONS_MAX);
    *progress = (leat_engine_progress){
        .subpartitions = subpartitions, .offsets = memory, .last_seq = memory + subpartitions};
}

void leat_engine_progress_copy(leat_engine_progress *to, const leat_engine_progress *from)
{
    LEAT_ASSERT(to->subpartitions == from->subpartitions);
    leat_engine_progress copy = *from;
    copy.offsets = to->offsets;
    copy.last_seq = to->last_seq;
    memcpy(copy.offsets, from->offsets, from->subpartitions * sizeof *from->offsets);
    memcpy(copy.last_seq, from->last_seq, from->subpartitions * sizeof *from->last_seq);
    *to = copy;
}

void leat_engine_progress_begin(leat_engine_progress *progress, leat_engine_claim claim,
                                int64_t epoch, int64_t base_seq, const int64_t *base_offsets,
                                int64_t low, leat_engine_newest newest)
{
    LEAT_ASSERT(low >= -1);
    LEAT_ASSERT(base_seq >= 0);
    progress->claim = claim;
    progress->epoch = epoch;
    progress->base_seq = base_seq;
    progress->next_seq = base_seq + 1;
    progress->low = low;
    progress->newest = newest;
    for (uint32_t i = 0; i < progress->subpartitions; i++) {
        progress->offsets[i] = base_offsets[i] > low ? base_offsets[i] : low;
        progress->last_seq[i] = 0;
    }
}

int leat_engine_progress_row(leat_engine_progress *progress, int64_t seq,
                             const int16_t *subpartitions, const int64_t *offsets, uint32_t count,
                             int64_t at_ms, int32_t leader_epoch)
{
    leat_engine_newest newest = {-1, at_ms, leader_epoch};
    for (uint32_t i = 0; i < count; i++) {
        if (subpartitions[i] < 0 || (uint32_t)subpartitions[i] >= progress->subpartitions)
            return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)subpartitions[i];
        newest.offset = offsets[i] > newest.offset ? offsets[i] : newest.offset;
        /* An offset the base has already needs no row: it came with the base and stays as long as
         * the base does. */
        if (offsets[i] > progress->offsets[at]) {
            progress->offsets[at] = offsets[i];
            progress->last_seq[at] = seq;
        }
    }
    leat_engine_progress_applied(progress, newest);
    /* Also for a row that moved nothing: its number is used. */
    if (seq >= progress->next_seq)
        progress->next_seq = seq + 1;
    return 0;
}

void leat_engine_progress_applied(leat_engine_progress *progress, leat_engine_newest record)
{
    if (record.offset > progress->newest.offset)
        progress->newest = record;
}

int64_t leat_engine_progress_read_from(const leat_engine_progress *progress)
{
    return progress->newest.offset <= progress->low ? progress->newest.offset : progress->low + 1;
}

int64_t leat_engine_progress_high(const leat_engine_progress *progress)
{
    int64_t high = progress->low;
    for (uint32_t i = 0; i < progress->subpartitions; i++) {
        if (progress->offsets[i] > high)
            high = progress->offsets[i];
    }
    return high;
}
