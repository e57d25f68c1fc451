/*
 * blame.c - a small batch is counted whole; of a larger one a few records are looked at, evenly,
 * and another few of the next one: which ones is no accident of how a batch is ordered (by
 * partition, subpartition and offset), in which one tenant may stand at the same place each time.
 */
#include "apply/blame.h"

#include "record/item.h"

#define FADE_EVERY_US (10 * INT64_C(1000000))
#define FADE          0.875 /* half of it is left after about a minute */

static void add(leat_heavy *of, uint64_t name, leat_slice text, const double *weights)
{
    for (leat_blame_by by = 0; by < LEAT_BLAME_BY_COUNT; by++)
        leat_heavy_add(&of[by], name, text, weights[by]);
}

/* The same key of two tables is two rows. */
static uint64_t name_of_key(const leat_item *item)
{
    return item->hash ^ ((uint64_t)(item->route->table_index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static bool is_written(const leat_engine_batch *batch, const leat_engine_batch_record *record)
{
    return !batch->dead && !batch->hold && !record->skip && !leat_engine_batch_keeps(record);
}

static uint32_t looks_at(uint32_t count)
{
    uint32_t looks = 1 + (count - 1) / LEAT_BLAME_SAMPLE,
             least = count < LEAT_BLAME_WHOLE ? count : LEAT_BLAME_WHOLE;
    return looks > least ? looks : least;
}

void leat_blame_batch(leat_blame *blame, const leat_engine_batch *batch, bool is_applied,
                      int64_t took_us, int64_t wall_ms)
{
    uint32_t count = batch->record_count;
    if (count == 0)
        return;
    uint32_t looks = looks_at(count);
    double stands_for = (double)count / looks;
    uint32_t first = leat_sample_place(&blame->sample, (count + looks - 1) / looks);
    for (uint32_t i = 0; i < looks; i++) {
        uint32_t at = (uint32_t)((uint64_t)i * count / looks) + first;
        const leat_engine_batch_record *record = &batch->records[at < count ? at : count - 1];
        const leat_item *item = record->payload;
        if (!item->route || item->fault)
            continue;
        bool counts = is_applied && is_written(batch, record);
        int64_t waited_ms = wall_ms - item->record.accepted_ms;
        const double weights[LEAT_BLAME_BY_COUNT] = {
            [LEAT_BLAME_RECORDS] = counts ? stands_for : 0,
            [LEAT_BLAME_DATABASE] = took_us > 0 ? (double)took_us / looks : 0,
            [LEAT_BLAME_WAITED] = counts && waited_ms > 0 ? (double)waited_ms * stands_for : 0};
        leat_slice tenant = leat_item_tenant(item);
        if (tenant.size > 0)
            add(blame->tenants, leat_hash(tenant), tenant, weights);
        add(blame->keys, name_of_key(item), item->canonical_key, weights);
    }
}

void leat_blame_pass(leat_blame *blame, int64_t now_us)
{
    if (blame->seen_us == 0)
        blame->seen_us = blame->faded_us = now_us;
    LEAT_ASSERT(now_us >= blame->seen_us);
    blame->span_us += (double)(now_us - blame->seen_us);
    blame->seen_us = now_us;
    for (; now_us - blame->faded_us >= FADE_EVERY_US; blame->faded_us += FADE_EVERY_US) {
        blame->span_us *= FADE;
        for (leat_blame_by by = 0; by < LEAT_BLAME_BY_COUNT; by++) {
            leat_heavy_fade(&blame->tenants[by], FADE);
            leat_heavy_fade(&blame->keys[by], FADE);
        }
    }
}
