/*
 * median.c - a ring, sorted into a copy when a number comes: 31 numbers are sorted faster than a
 * cleverer structure is kept.
 */
#include "engine/median.h"

#include <string.h>

static int64_t middle_of(const leat_median *median)
{
    int64_t sorted[LEAT_MEDIAN_OF];
    for (uint32_t i = 0; i < median->count; i++) {
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1] > median->values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = median->values[i];
    }
    return sorted[median->count / 2];
}

void leat_median_add(leat_median *median, int64_t value)
{
    LEAT_ASSERT(median->next < LEAT_MEDIAN_OF && median->count <= LEAT_MEDIAN_OF);
    median->values[median->next] = value;
    median->next = (median->next + 1) % LEAT_MEDIAN_OF;
    median->count += median->count < LEAT_MEDIAN_OF;
    median->median = middle_of(median);
}

void leat_median_clear(leat_median *median)
{
    memset(median, 0, sizeof *median);
}
