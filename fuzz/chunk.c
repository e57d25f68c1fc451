/*
 * chunk.c - parked records, as a database may have them. The first byte chooses: the bytes are the
 * chunk, or what a good frame holds, because nobody guesses a checksum. Records that are taken go
 * into a chunk again and come back the same.
 */
#include <stdlib.h>

#include <zstd.h>

#include "base/varint.h"
#include "record/chunk.h"
#include "target.h"

/* Is it good to its end? Its records go into `writer`. */
static bool read_all(leat_slice bytes, leat_chunk_writer *writer)
{
    leat_chunk_reader chunk;
    leat_item item = {0};
    int taken;
    if (leat_chunk_open(LEAT_CHUNK_FORMAT, bytes, &chunk, NULL) != 0)
        return false;
    while ((taken = leat_chunk_next(&chunk, &item.record, &item.headers, NULL)) > 0)
        leat_chunk_add(writer, &item);
    free(chunk.raw);
    return taken == 0;
}

static void same_again(leat_chunk_writer *writer)
{
    leat_buf first = {0}, second = {0};
    LEAT_ASSERT(leat_chunk_end(writer, &first, NULL) == 0);
    leat_slice bytes = {first.data, first.size};
    LEAT_ASSERT(read_all(bytes, writer));
    LEAT_ASSERT(leat_chunk_end(writer, &second, NULL) == 0);
    LEAT_ASSERT(leat_slice_equal(bytes, (leat_slice){second.data, second.size}));
    leat_buf_free(&first);
    leat_buf_free(&second);
}

static void wrap(const fuzz_bytes *bytes, uint64_t count, leat_buf *ret)
{
    leat_buf_byte(ret, LEAT_CHUNK_FORMAT);
    leat_varint_put(ret, count);
    leat_varint_put(ret, bytes->size);
    size_t most = ZSTD_compressBound(bytes->size);
    char *to = leat_buf_reserve(ret, most);
    LEAT_ASSERT(to);
    ret->size += ZSTD_compress(to, most, bytes->data, bytes->size, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes bytes = {data, size};
    leat_buf wrapped = {0};
    leat_chunk_writer writer = {0};
    uint8_t count = fuzz_byte(&bytes);
    leat_slice chunk = {(const char *)bytes.data, bytes.size};
    if (count > 0) {
        wrap(&bytes, count, &wrapped);
        chunk = (leat_slice){wrapped.data, wrapped.size};
    }
    if (read_all(chunk, &writer))
        same_again(&writer);
    leat_chunk_writer_fini(&writer);
    leat_buf_free(&wrapped);
    return 0;
}
