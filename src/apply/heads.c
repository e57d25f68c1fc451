/*
 * heads.c - a few fixed places: what is reported of stalled records are some examples of each
 * cause, so the same few are asked for again and again.
 */
#include "apply/heads.h"

#include <string.h>

static leat_known_head *find(leat_heads *heads, uint32_t partition, uint32_t subpartition,
                             int64_t offset)
{
    for (size_t i = 0; i < LEAT_HEADS_MAX; i++) {
        leat_known_head *head = &heads->heads[i];
        if (head->used > 0 && head->partition == partition && head->subpartition == subpartition &&
            head->offset == offset)
            return head;
    }
    return NULL;
}

static leat_known_head *least_used(leat_heads *heads)
{
    leat_known_head *found = &heads->heads[0];
    for (size_t i = 1; i < LEAT_HEADS_MAX; i++)
        if (heads->heads[i].used < found->used)
            found = &heads->heads[i];
    return found;
}

static size_t cut(leat_slice text, char ret[LEAT_HEAD_TEXT_MAX])
{
    size_t size = text.size < LEAT_HEAD_TEXT_MAX ? text.size : LEAT_HEAD_TEXT_MAX;
    if (size > 0)
        memcpy(ret, text.data, size);
    return size;
}

void leat_heads_note(leat_heads *heads, uint32_t partition, uint32_t subpartition, int64_t offset,
                     leat_slice key, leat_slice tenant)
{
    leat_known_head *head = find(heads, partition, subpartition, offset);
    if (!head)
        head = least_used(heads);
    head->partition = partition;
    head->subpartition = subpartition;
    head->offset = offset;
    head->used = ++heads->clock;
    head->key_size = cut(key, head->key);
    head->tenant_size = cut(tenant, head->tenant);
}

const leat_known_head *leat_heads_find(leat_heads *heads, uint32_t partition, uint32_t subpartition,
                                       int64_t offset)
{
    leat_known_head *head = find(heads, partition, subpartition, offset);
    if (head)
        head->used = ++heads->clock;
    return head;
}
