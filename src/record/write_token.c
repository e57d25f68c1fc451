/*
 * write_token.c - a fixed form, because it is written for every accepted write: nine groups of
 * three bytes are four characters each, and nothing is left over. So there are no unused bits
 * either, and no second spelling.
 */
#include "record/write_token.h"

#include "base/base64url.h"

enum {
    VERSION = 1,
    BYTES = 27,
    AT_SOURCE = 1,
    AT_PARTITION = 5,
    AT_SUBPARTITION = 9,
    AT_OFFSET = 11,
    AT_KEY = 19
};

static void put(uint8_t *bytes, int count, uint64_t value)
{
    for (int i = count - 1; i >= 0; i--, value >>= 8)
        bytes[i] = (uint8_t)value;
}

static uint64_t get(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

uint32_t leat_write_token_source(const leat_source *source)
{
    uint64_t hash = leat_hash(leat_slice_of(source->log_identity));
    hash = leat_hash_seeded(leat_slice_of(source->topic), hash);
    return (uint32_t)leat_hash_seeded(leat_slice_of(source->topic_id), hash);
}

void leat_write_token_write(uint32_t source, const leat_write_place *place,
                            char ret[LEAT_WRITE_TOKEN_SIZE])
{
    LEAT_ASSERT(place->offset >= 0 && place->subpartition < LEAT_SUBPARTITIONS_MAX);
    uint8_t bytes[BYTES] = {VERSION};
    put(bytes + AT_SOURCE, 4, source);
    put(bytes + AT_PARTITION, 4, place->partition);
    put(bytes + AT_SUBPARTITION, 2, place->subpartition);
    put(bytes + AT_OFFSET, 8, (uint64_t)place->offset);
    put(bytes + AT_KEY, 8, place->key);
    for (int from = 0, to = 0; from < BYTES; from += 3, to += 4) {
        uint32_t bits = (uint32_t)get(bytes + from, 3);
        for (int i = 0; i < 4; i++)
            ret[to + i] = leat_base64url_digits[bits >> (18 - 6 * i) & 63];
    }
}

int leat_write_token_read(leat_slice text, uint32_t *ret_source, leat_write_place *ret)
{
    uint8_t bytes[BYTES];
    if (text.size != LEAT_WRITE_TOKEN_SIZE)
        return -1;
    for (int from = 0, to = 0; to < BYTES; from += 4, to += 3) {
        uint32_t bits = 0;
        for (int i = 0; i < 4; i++) {
            int value = leat_base64url_value(text.data[from + i]);
            if (value < 0)
                return -1;
            bits = bits << 6 | (uint32_t)value;
        }
        put(bytes + to, 3, bits);
    }
    uint64_t offset = get(bytes + AT_OFFSET, 8);
    uint32_t subpartition = (uint32_t)get(bytes + AT_SUBPARTITION, 2);
    if (bytes[0] != VERSION || offset > INT64_MAX || subpartition >= LEAT_SUBPARTITIONS_MAX)
        return -1;
    *ret_source = (uint32_t)get(bytes + AT_SOURCE, 4);
    *ret = (leat_write_place){.partition = (uint32_t)get(bytes + AT_PARTITION, 4),
                              .subpartition = subpartition,
                              .offset = (int64_t)offset,
                              .key = get(bytes + AT_KEY, 8)};
    return 0;
}
