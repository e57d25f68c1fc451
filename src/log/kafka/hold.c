/*
 * hold.c - the rule of hold.h, and the bytes. A record lies there as a small head and its parts one
 * after the other; the head is copied in and out because the bytes before it have any size.
 */
#include "log/kafka/hold.h"

#include <string.h>

#include "record/headers.h"

typedef struct held_head {
    void *tag;
    int64_t accepted_ms;
    size_t key_size;
    size_t value_size;
    size_t header_sizes[LEAT_HEADER_COUNT];
    bool value_is_null;
} held_head;

void leat_hold_fini(leat_hold *hold)
{
    leat_buf_free(&hold->bytes);
    *hold = (leat_hold){0};
}

/* ---- when they go ---- */

bool leat_hold_is_full(const leat_hold *hold)
{
    return hold->bytes.size - hold->at >= LEAT_HOLD_BYTES;
}

int64_t leat_hold_due_us(const leat_hold *hold, int64_t bound_us)
{
    LEAT_ASSERT(bound_us >= 0);
    return hold->handed_us + bound_us;
}

bool leat_hold_is_due(const leat_hold *hold, int64_t bound_us, int64_t now_us)
{
    if (hold->count == 0)
        return false;
    return leat_hold_is_full(hold) || now_us >= leat_hold_due_us(hold, bound_us);
}

void leat_hold_begin(leat_hold *hold, int64_t now_us)
{
    LEAT_ASSERT(now_us >= hold->handed_us);
    if (hold->count == 0)
        return;
    hold->handed_us = now_us;
}

/* ---- their bytes ---- */

static size_t size_of(const held_head *head)
{
    size_t size = sizeof *head + head->key_size + head->value_size;
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        size += head->header_sizes[header];
    return size;
}

static held_head head_of(const leat_record *record, void *tag)
{
    held_head head = {
        .tag = tag,
        .accepted_ms = record->accepted_ms,
        .key_size = record->key.size,
        .value_size = record->value_is_null ? 0 : record->value.size,
        .value_is_null = record->value_is_null,
    };
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        head.header_sizes[header] = leat_header_value(record, header).size;
    return head;
}

size_t leat_hold_size(const leat_record *record)
{
    held_head head = head_of(record, NULL);
    return size_of(&head);
}

static char *put(char *to, const void *from, size_t size)
{
    if (size > 0)
        memcpy(to, from, size);
    return to + size;
}

/* Records that stay while others come would leave an ever longer gap before them. It is closed when
 * it is as long as they are, so that no byte is moved often. */
static void close_gap(leat_hold *hold)
{
    LEAT_ASSERT(hold->at <= hold->bytes.size);
    size_t held = hold->bytes.size - hold->at;
    if (hold->at == 0 || hold->at < held)
        return;
    memmove(hold->bytes.data, hold->bytes.data + hold->at, held);
    hold->bytes.size = held;
    hold->at = 0;
}

bool leat_hold_add(leat_hold *hold, const leat_record *record, void *tag)
{
    held_head head = head_of(record, tag);
    close_gap(hold);
    char *to = leat_buf_reserve(&hold->bytes, size_of(&head));
    if (!to) {
        hold->bytes.failed = false; /* what is held is whole */
        return false;
    }
    to = put(to, &head, sizeof head);
    to = put(to, record->key.data, head.key_size);
    to = put(to, record->value.data, head.value_size);
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        to = put(to, leat_header_value(record, header).data, head.header_sizes[header]);
    hold->bytes.size = (size_t)(to - hold->bytes.data);
    hold->count++;
    return true;
}

static leat_slice next_part(const char **at, size_t size)
{
    leat_slice ret = {*at, size};
    *at += size;
    return ret;
}

static held_head first_head(const leat_hold *hold)
{
    held_head head;
    LEAT_ASSERT(hold->count > 0 && hold->bytes.size - hold->at >= sizeof head);
    memcpy(&head, hold->bytes.data + hold->at, sizeof head);
    LEAT_ASSERT(size_of(&head) <= hold->bytes.size - hold->at);
    return head;
}

bool leat_hold_first(const leat_hold *hold, leat_record *ret, void **ret_tag)
{
    if (hold->count == 0)
        return false;
    held_head head = first_head(hold);
    const char *at = hold->bytes.data + hold->at + sizeof head;
    *ret = (leat_record){.accepted_ms = head.accepted_ms, .value_is_null = head.value_is_null};
    ret->key = next_part(&at, head.key_size);
    ret->value = next_part(&at, head.value_size);
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        *leat_header_field(ret, header) = next_part(&at, head.header_sizes[header]);
    *ret_tag = head.tag;
    return true;
}

void leat_hold_advance(leat_hold *hold)
{
    held_head head = first_head(hold);
    hold->at += size_of(&head);
    hold->count--;
    if (hold->count > 0)
        return;
    LEAT_ASSERT(hold->at == hold->bytes.size);
    leat_buf_clear(&hold->bytes);
    hold->at = 0;
}
