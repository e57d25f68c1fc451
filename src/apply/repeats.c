/*
 * repeats.c - few records are repeats, so what shards have said is a sorted array. The set of a
 * batch is an array with open addressing that is kept: a number of the batch in each place makes
 * those of earlier batches count as empty.
 */
#include "apply/repeats.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64 };

void leat_repeats_fini(leat_repeats *repeats)
{
    free(repeats->all);
    free(repeats->seen);
    leat_buf_free(&repeats->scratch);
    *repeats = (leat_repeats){0};
}

/* ---- what a shard has said ---- */

/* The first place that is not below. */
static uint32_t place_of(const leat_repeats *repeats, uint32_t partition, int64_t offset)
{
    uint32_t from = 0, to = repeats->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        const leat_repeat *at = &repeats->all[middle];
        bool is_below = at->partition < partition ||
                        (at->partition == partition && at->offset < offset);
        from = is_below ? middle + 1 : from;
        to = is_below ? to : middle;
    }
    return from;
}

static bool is_at(const leat_repeats *repeats, uint32_t at, uint32_t partition, int64_t offset)
{
    return at < repeats->count && repeats->all[at].partition == partition &&
           repeats->all[at].offset == offset;
}

void leat_repeats_add(leat_repeats *repeats, uint32_t partition, int64_t offset, bool is_conflict)
{
    uint32_t at = place_of(repeats, partition, offset);
    if (!is_at(repeats, at, partition, offset)) {
        if (repeats->count == repeats->capacity) {
            uint32_t capacity = repeats->capacity > 0 ? 2 * repeats->capacity : CAPACITY_MIN;
            repeats->all = realloc(repeats->all, capacity * sizeof *repeats->all);
            LEAT_ASSERT(repeats->all); /* out of memory: ending here loses nothing */
            repeats->capacity = capacity;
        }
        memmove(repeats->all + at + 1, repeats->all + at,
                (repeats->count - at) * sizeof *repeats->all);
        repeats->count++;
    }
    repeats->all[at] =
        (leat_repeat){partition, offset, is_conflict ? LEAT_REPEAT_OTHER : LEAT_REPEAT_SAME};
}

static void cut(leat_repeats *repeats, uint32_t from, uint32_t to)
{
    LEAT_ASSERT(from <= to && to <= repeats->count);
    if (from == to)
        return;
    memmove(repeats->all + from, repeats->all + to, (repeats->count - to) * sizeof *repeats->all);
    repeats->count -= to - from;
}

void leat_repeats_remove(leat_repeats *repeats, uint32_t partition, int64_t offset)
{
    uint32_t at = place_of(repeats, partition, offset);
    cut(repeats, at, at + is_at(repeats, at, partition, offset));
}

void leat_repeats_drop(leat_repeats *repeats, uint32_t partition)
{
    cut(repeats, place_of(repeats, partition, INT64_MIN),
        place_of(repeats, partition + 1, INT64_MIN));
}

leat_repeat_kind leat_repeats_find(const leat_repeats *repeats, uint32_t partition, int64_t offset)
{
    uint32_t at = place_of(repeats, partition, offset);
    return is_at(repeats, at, partition, offset) ? repeats->all[at].kind : LEAT_REPEAT_NOT;
}

/* ---- within a batch ---- */

void leat_repeats_begin(leat_repeats *repeats, uint32_t record_count)
{
    size_t size = CAPACITY_MIN;
    while (size < 2 * (size_t)record_count)
        size *= 2;
    repeats->batch++;
    if (repeats->seen && size <= (size_t)repeats->seen_mask + 1)
        return;
    free(repeats->seen);
    repeats->seen = leat_must_calloc(size, sizeof *repeats->seen);
    repeats->seen_mask = (uint32_t)(size - 1);
}

leat_repeat_kind leat_repeats_see(leat_repeats *repeats, const leat_write_id *id)
{
    LEAT_ASSERT(repeats->seen);
    uint32_t at = (uint32_t)id->a & repeats->seen_mask;
    for (;; at = (at + 1) & repeats->seen_mask) {
        leat_repeats_seen *seen = &repeats->seen[at];
        if (seen->batch != repeats->batch) {
            *seen = (leat_repeats_seen){repeats->batch, *id};
            return LEAT_REPEAT_NOT;
        }
        if (seen->id.a == id->a && seen->id.b == id->b)
            return seen->id.fingerprint == id->fingerprint ? LEAT_REPEAT_SAME : LEAT_REPEAT_OTHER;
    }
}
