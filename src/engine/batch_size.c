/*
 * batch_size.c - the limit halves or quarters when a batch is cut short, and doubles after a number
 * of full, quick batches. That number doubles with each cut, so that a size that does not work is
 * tried less and less often. It is forgotten only when the limit is back at the configured size.
 */
#include "engine/batch_size.h"

enum { PATIENCE_MIN = 4, PATIENCE_MAX = 256 };

static void shrink_to(leat_batch_size *size, uint32_t records)
{
    uint32_t limit = records > 0 ? records : 1;
    /* Several batches of one size may fail together, for the same reason. */
    if (size->limit == 0 || limit < size->limit)
        size->limit = limit;
    size->passes = 0;
}

static uint32_t patience_of(const leat_batch_size *size)
{
    return size->patience > PATIENCE_MIN ? size->patience : PATIENCE_MIN;
}

uint32_t leat_batch_size_max(const leat_batch_size *size, uint32_t records_max)
{
    return size->limit > 0 && size->limit < records_max ? size->limit : records_max;
}

void leat_batch_size_applied(leat_batch_size *size, uint32_t records, int64_t took_us,
                             uint32_t records_max)
{
    if (took_us >= LEAT_BATCH_SLOW_US) {
        shrink_to(size, (uint32_t)((int64_t)records * (LEAT_BATCH_SLOW_US / 2) / took_us));
        return;
    }
    if (size->limit == 0 || records < size->limit || took_us >= LEAT_BATCH_SLOW_US / 4)
        return;
    if (++size->passes < patience_of(size))
        return;
    size->passes = 0;
    size->limit *= 2;
    if (size->limit >= records_max)
        *size = (leat_batch_size){0};
}

void leat_batch_size_timed_out(leat_batch_size *size, uint32_t records, int64_t took_us)
{
    if (size->limit > 0 && records > size->limit)
        return; /* as large as before the last one */
    shrink_to(size, took_us >= LEAT_BATCH_SLOW_US ? records / 4 : records / 2);
    uint32_t patience = 2 * patience_of(size);
    size->patience = patience < PATIENCE_MAX ? patience : PATIENCE_MAX;
}
