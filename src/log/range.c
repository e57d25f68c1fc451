/*
 * The rule of range.h, as arithmetic on plain numbers: its verdict can stop a partition for good,
 * so it must be possible to try every case without a log. In doubt the answer is a fault. A
 * partition that stops without need costs a person's time; a record that is skipped, or that counts
 * as applied because another one had its offset, is lost silently.
 */
#include "log/range.h"

#include <stdio.h>

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t reach_of(const leat_log_range *range)
{
    return max64(range->low, max64(range->next, range->read_to) - 1);
}

/* The greatest offset that the log must have had. */
static int64_t needed_of(const leat_log_range *range)
{
    return max64(reach_of(range), range->high);
}

bool leat_range_is_rewritten(const leat_log_range *range)
{
    bool is_epoch_short = range->epoch_end >= 0 && range->epoch_end < range->next;
    bool is_other_time = range->high_ms > 0 && range->found_ms > 0 &&
                         range->found_ms != range->high_ms;
    return is_epoch_short || is_other_time;
}

leat_range_verdict leat_range_check(const leat_log_range *range)
{
    LEAT_ASSERT(range->low >= -1 && range->next >= -1);
    if (range->is_recreated)
        return LEAT_RANGE_OTHER;
    if (range->end <= needed_of(range))
        return LEAT_RANGE_SHORT;
    if (range->start > reach_of(range) + 1)
        return LEAT_RANGE_LOST;
    return leat_range_is_rewritten(range) ? LEAT_RANGE_REWRITTEN : LEAT_RANGE_FITS;
}

/* ---- reasons ---- */

static void rewritten_reason(const leat_log_range *range, const char *cause, char *ret, size_t size)
{
    LEAT_ASSERT(range);
    if (range->found_ms > 0)
        snprintf(ret, size,
                 "the log's record at offset %lld has timestamp %lld, but the one that was applied "
                 "had %lld: %s. New records up to that offset would count as applied",
                 (long long)range->high, (long long)range->found_ms, (long long)range->high_ms,
                 cause);
    else
        snprintf(ret, size,
                 "the log was cut off and rewritten from offset %lld on (an unclean leader "
                 "election?), but was read up to offset %lld before: the records it lost there may "
                 "or may not be applied, and the new ones may count as applied. %s",
                 (long long)range->epoch_end, (long long)range->next - 1, cause);
}

void leat_range_reason(const leat_log_range *range, leat_range_verdict verdict, const char *cause,
                       char *ret, size_t size)
{
    LEAT_ASSERT(verdict != LEAT_RANGE_FITS && size > 0);
    if (verdict == LEAT_RANGE_OTHER)
        snprintf(ret, size, "%s: its offsets mean something else now", cause);
    else if (verdict == LEAT_RANGE_SHORT)
        snprintf(ret, size,
                 "the log ends at offset %lld, but offset %lld was read from it before: %s",
                 (long long)range->end, (long long)needed_of(range), cause);
    else if (verdict == LEAT_RANGE_LOST)
        snprintf(ret, size,
                 "the log starts at offset %lld, but offsets from %lld on are not applied: %s",
                 (long long)range->start, (long long)reach_of(range) + 1, cause);
    else
        rewritten_reason(range, cause, ret, size);
}
