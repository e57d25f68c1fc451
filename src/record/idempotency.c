/*
 * idempotency.c - the hash is of the row and not of the path: two routes to one table, or two
 * spellings of one key, are the same row. XXH3 is no cryptographic hash. Who makes two keys of one
 * hash on purpose makes them of rows that they may write, and loses a write of their own.
 */
#include "record/idempotency.h"

#include <string.h>

/* The seeds of the two halves, and of the fingerprint. */
enum { SEED_A = 1, SEED_B = 2, SEED_FINGERPRINT = 3 };

const char leat_idempotency_conflict[] =
    "its idempotency key is that of another write to this row, which says something else";
const char leat_idempotency_repeat[] =
    "a write with this idempotency key was applied before, and this one repeats it";

const char *leat_idempotency_key_read(leat_slice text, leat_slice *ret)
{
    if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
        text = (leat_slice){text.data + 1, text.size - 2};
    if (text.size == 0)
        return "an idempotency key is not empty";
    if (text.size > LEAT_IDEMPOTENCY_KEY_MAX)
        return "an idempotency key has at most 255 characters";
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
            return "an idempotency key has visible ASCII characters only, and neither quotes nor "
                   "backslashes";
    }
    *ret = text;
    return NULL;
}

bool leat_idempotency_has_key(const leat_item *item)
{
    leat_slice key;
    return item->record.idempotency.size > 0 && item->route && !item->fault &&
           !leat_idempotency_key_read(item->record.idempotency, &key);
}

static void put_part(leat_buf *out, leat_slice part)
{
    leat_buf_be32(out, (uint32_t)part.size);
    leat_buf_slice(out, part);
}

bool leat_idempotency_identify(int32_t source_id, const leat_item *item, leat_buf *scratch,
                               leat_write_id *ret)
{
    leat_slice key;
    const char *fault = leat_idempotency_key_read(item->record.idempotency, &key);
    LEAT_ASSERT(!fault && item->route);
    leat_buf_clear(scratch);
    leat_buf_be32(scratch, (uint32_t)source_id);
    leat_buf_be64(scratch, item->route->table_hash);
    put_part(scratch, item->canonical_key);
    put_part(scratch, key);
    leat_slice who = {scratch->data, scratch->size};
    if (scratch->failed)
        return false;
    ret->a = leat_hash_seeded(who, SEED_A);
    ret->b = leat_hash_seeded(who, SEED_B);
    leat_slice name = leat_slice_of(item->route->name);
    uint64_t says = leat_hash_seeded(name, SEED_FINGERPRINT + (uint64_t)item->op);
    ret->fingerprint = leat_hash_seeded(item->record.value, says);
    return true;
}
