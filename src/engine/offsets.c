#include "engine/offsets.h"

static bool is_done(const leat_offsets_entry *entry)
{
    return entry->offset < 0;
}

static uint32_t wrap(const leat_offsets *offsets, uint32_t index)
{
    return index >= offsets->capacity ? index - offsets->capacity : index;
}

static uint32_t tail(const leat_offsets *offsets)
{
    LEAT_ASSERT(offsets->count > 0);
    return wrap(offsets, offsets->head + offsets->count - 1);
}

void leat_offsets_init(leat_offsets *offsets, leat_offsets_entry *entries, uint32_t capacity)
{
    LEAT_ASSERT(capacity > 0 && capacity <= UINT32_MAX / 2);
    *offsets = (leat_offsets){.entries = entries, .capacity = capacity, .low = -1};
}

void leat_offsets_begin(leat_offsets *offsets, int64_t low, int64_t low_at_ms)
{
    LEAT_ASSERT(low >= -1);
    offsets->head = 0;
    offsets->count = 0;
    offsets->low = low;
    offsets->low_at_ms = low_at_ms;
}

bool leat_offsets_room(const leat_offsets *offsets)
{
    return offsets->count < offsets->capacity;
}

static uint32_t append(leat_offsets *offsets, int64_t offset, int64_t at_ms)
{
    LEAT_ASSERT(leat_offsets_room(offsets));
    uint32_t at = wrap(offsets, offsets->head + offsets->count);
    offsets->entries[at] = (leat_offsets_entry){offset, at_ms};
    offsets->count++;
    return at;
}

uint32_t leat_offsets_push(leat_offsets *offsets, int64_t offset, int64_t at_ms)
{
    LEAT_ASSERT(offset > leat_offsets_last(offsets));
    return append(offsets, offset, at_ms);
}

bool leat_offsets_room_done(const leat_offsets *offsets)
{
    return leat_offsets_room(offsets) || is_done(&offsets->entries[tail(offsets)]);
}

void leat_offsets_push_done(leat_offsets *offsets, int64_t offset, int64_t at_ms)
{
    /* The record at `low` is read again after every claim: it is not above the last one. */
    LEAT_ASSERT(offset >= leat_offsets_last(offsets));
    if (offsets->count == 0) {
        offsets->low = offset;
        offsets->low_at_ms = at_ms;
        return;
    }
    leat_offsets_entry *last = &offsets->entries[tail(offsets)];
    /* Of a run of complete records only the last can ever be `low`. */
    if (is_done(last))
        *last = (leat_offsets_entry){~offset, at_ms};
    else
        append(offsets, ~offset, at_ms);
}

void leat_offsets_complete(leat_offsets *offsets, uint32_t position)
{
    LEAT_ASSERT(position < offsets->capacity);
    leat_offsets_entry *entry = &offsets->entries[position];
    LEAT_ASSERT(!is_done(entry));
    entry->offset = ~entry->offset;
    while (offsets->count > 0 && is_done(&offsets->entries[offsets->head])) {
        offsets->low = ~offsets->entries[offsets->head].offset;
        offsets->low_at_ms = offsets->entries[offsets->head].at_ms;
        offsets->head = wrap(offsets, offsets->head + 1);
        offsets->count--;
    }
}

int64_t leat_offsets_last(const leat_offsets *offsets)
{
    if (offsets->count == 0)
        return offsets->low;
    const leat_offsets_entry *last = &offsets->entries[tail(offsets)];
    return is_done(last) ? ~last->offset : last->offset;
}

int64_t leat_offsets_oldest_ms(const leat_offsets *offsets)
{
    return offsets->count > 0 ? offsets->entries[offsets->head].at_ms : 0;
}

void leat_offsets_validate(const leat_offsets *offsets)
{
    LEAT_ASSERT(offsets->count <= offsets->capacity && offsets->head < offsets->capacity);
    int64_t last = offsets->low;
    for (uint32_t i = 0; i < offsets->count; i++) {
        const leat_offsets_entry *entry = &offsets->entries[wrap(offsets, offsets->head + i)];
        int64_t offset = is_done(entry) ? ~entry->offset : entry->offset;
        LEAT_ASSERT(offset > last);
        LEAT_ASSERT(i > 0 || !is_done(entry));
        last = offset;
    }
}
