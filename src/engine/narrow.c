/*
 * narrow.c - the bisection of batches that ended their session. A record that ended two batches in
 * a row is in both, so the suspects are their intersection; when a batch of other records ends the
 * same way, the search starts again. Nothing here decides when a trial runs: suspects.c knows the
 * partition and its shard.
 */
#include "engine/narrow.h"

static void count_up(uint8_t *counter)
{
    if (*counter < UINT8_MAX)
        (*counter)++;
}

static uint32_t half(uint32_t records)
{
    return records > 1 ? records / 2 : 1;
}

void leat_narrow_unknown(leat_narrow *narrow, uint32_t queues, uint32_t records, uint32_t suspected,
                         int64_t last, int64_t now_us)
{
    LEAT_ASSERT(queues > 0 && suspected > 0 && suspected <= records);
    /* A record that ended two batches is in both. */
    if (narrow->unknowns == 0 || last < narrow->to)
        narrow->to = last;
    narrow->records = suspected;
    count_up(&narrow->unknowns);
    if (narrow->unknowns == 1)
        narrow->since_us = now_us;
    narrow->due_us = -1;
    bool is_single = queues == 1 && records == 1;
    if (is_single)
        count_up(&narrow->alone);
    else
        narrow->alone = 0;
    narrow->limit = queues == 1 ? half(narrow->records) : narrow->records;
}

void leat_narrow_passed(leat_narrow *narrow, int64_t offset, uint32_t records)
{
    if (narrow->unknowns == 0)
        return;
    if (offset >= narrow->to) {
        *narrow = (leat_narrow){0};
        return;
    }
    if (records == 0)
        return;
    narrow->records = narrow->records > records ? narrow->records - records : 1;
    narrow->limit = half(narrow->records);
    leat_narrow_answered(narrow);
}

void leat_narrow_answered(leat_narrow *narrow)
{
    narrow->alone = 0;
    narrow->due_us = 0;
    narrow->notified_us = 0;
}

void leat_narrow_put_off(leat_narrow *narrow)
{
    if (leat_narrow_on_trial(narrow))
        count_up(&narrow->put_off);
}

void leat_narrow_refused(leat_narrow *narrow)
{
    leat_narrow_answered(narrow);
    if (narrow->unknowns > 1)
        narrow->unknowns = 1;
}
