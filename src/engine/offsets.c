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

void leat_offsets_begin(leat_offsets *offsets, int64_t low)
{
    LEAT_ASSERT(low >= -1);
    offsets->head = 0;
    offsets->count = 0;
    offsets->low = low;
    offsets->end = low + 1;
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
    offsets->end = (offset < 0 ? ~offset : offset) + 1;
    return at;
}

uint32_t leat_offsets_push(leat_offsets *offsets, int64_t offset, int64_t at_ms)
{
    LEAT_ASSERT(offset >= offsets->end);
    return append(offsets, offset, at_ms);
}

bool leat_offsets_room_done(const leat_offsets *offsets)
{
    return leat_offsets_room(offsets) || is_done(&offsets->entries[tail(offsets)]);
}

void leat_offsets_push_done(leat_offsets *offsets, int64_t offset, int64_t at_ms)
{
    /* The newest record is read again after every claim, and may stand below a low water without a record. */
    if (offset <= offsets->low)
        return;
    LEAT_ASSERT(offset >= offsets->end);
    if (offsets->count == 0) {
        offsets->low = offset;
        offsets->end = offset + 1;
        return;
    }
    leat_offsets_entry *last = &offsets->entries[tail(offsets)];
    /* Of a run of complete records only the last can ever be `low`. */
    if (!is_done(last)) {
        append(offsets, ~offset, at_ms);
        return;
    }
    *last = (leat_offsets_entry){~offset, at_ms};
    offsets->end = offset + 1;
}

/* With nothing outstanding all below `end` is complete. */
static void low_to_end(leat_offsets *offsets)
{
    if (offsets->count == 0 && offsets->end - 1 > offsets->low)
        offsets->low = offsets->end - 1;
}

void leat_offsets_read_to(leat_offsets *offsets, int64_t end)
{
    if (end > offsets->end)
        offsets->end = end;
    low_to_end(offsets);
}

void leat_offsets_complete(leat_offsets *offsets, uint32_t position)
{
    LEAT_ASSERT(position < offsets->capacity);
    leat_offsets_entry *entry = &offsets->entries[position];
    LEAT_ASSERT(!is_done(entry));
    entry->offset = ~entry->offset;
    while (offsets->count > 0 && is_done(&offsets->entries[offsets->head])) {
        offsets->low = ~offsets->entries[offsets->head].offset;
        offsets->head = wrap(offsets, offsets->head + 1);
        offsets->count--;
    }
    low_to_end(offsets);
}

int64_t leat_offsets_last(const leat_offsets *offsets)
{
    if (offsets->count == 0)
        return offsets->low;
    const leat_offsets_entry *last = &offsets->entries[tail(offsets)];
    return is_done(last) ? ~last->offset : last->offset;
}

int64_t leat_offsets_at_ms(const leat_offsets *offsets, uint32_t position)
{
    LEAT_ASSERT(position < offsets->capacity && !is_done(&offsets->entries[position]));
    return offsets->entries[position].at_ms;
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
    LEAT_ASSERT(offsets->end > last && (offsets->count > 0 || offsets->end == offsets->low + 1));
}
