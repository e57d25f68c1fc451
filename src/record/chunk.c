/*
 * chunk.c - many small records compress well together and badly apart, so they are written one
 * after the other and compressed once. Offsets and times are differences, which are small. What is
 * read back has been in somebody else's database: its size is looked at before memory is taken for
 * it, the checksum finds bytes that were changed, and each size inside is checked all the same.
 */
#include "record/chunk.h"

#include <stdlib.h>

#include <zstd.h>

#include "base/varint.h"
#include "record/headers.h"

enum { LEVEL = 1 }; /* whoever parks has little time, and the next levels save little */

/* ---- writing ---- */

static void put_bytes(leat_buf *raw, leat_slice bytes, bool is_missing)
{
    leat_varint_put(raw, is_missing ? 0 : bytes.size + 1);
    if (!is_missing)
        leat_buf_slice(raw, bytes);
}

/* Any two times have a difference that comes back, because it wraps. */
static uint64_t difference(int64_t to, int64_t from)
{
    return leat_varint_fold((int64_t)((uint64_t)to - (uint64_t)from));
}

void leat_chunk_add(leat_chunk_writer *writer, const leat_item *item)
{
    const leat_record *record = &item->record;
    LEAT_ASSERT(item->headers.data);
    LEAT_ASSERT(record->offset >= 0 && (writer->count == 0 || record->offset > writer->offset));
    leat_varint_put(&writer->raw, (uint64_t)(record->offset - writer->offset));
    leat_varint_put(&writer->raw, difference(record->accepted_ms, writer->accepted_ms));
    leat_varint_put(&writer->raw, difference(record->epoch, writer->epoch));
    put_bytes(&writer->raw, record->key, !record->key.data);
    put_bytes(&writer->raw, record->value, record->value_is_null);
    leat_varint_put(&writer->raw, item->headers.size);
    leat_buf_slice(&writer->raw, item->headers);
    writer->count++;
    writer->offset = record->offset;
    writer->accepted_ms = record->accepted_ms;
    writer->epoch = record->epoch;
}

static int compress(leat_slice raw, leat_buf *out)
{
    size_t most = ZSTD_compressBound(raw.size);
    char *to = leat_buf_reserve(out, most);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (!to || !zstd) {
        ZSTD_freeCCtx(zstd);
        return -1;
    }
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    size_t size = ZSTD_compress2(zstd, to, most, raw.data, raw.size);
    ZSTD_freeCCtx(zstd);
    if (ZSTD_isError(size))
        return -1;
    out->size += size;
    return 0;
}

static int write_chunk(const leat_chunk_writer *writer, leat_buf *out, leat_error *error)
{
    leat_slice raw = {writer->raw.data, writer->raw.size};
    if (!writer->raw.failed && raw.size > LEAT_CHUNK_RAW_MAX)
        return leat_fail(error, "a chunk of %u records has %zu bytes, more than %d", writer->count,
                         raw.size, LEAT_CHUNK_RAW_MAX);
    leat_buf_byte(out, LEAT_CHUNK_FORMAT);
    leat_varint_put(out, writer->count);
    leat_varint_put(out, raw.size);
    if (writer->raw.failed || compress(raw, out) != 0 || out->failed)
        return leat_fail(error, "out of memory for a chunk of %u records", writer->count);
    return 0;
}

int leat_chunk_end(leat_chunk_writer *writer, leat_buf *out, leat_error *error)
{
    LEAT_ASSERT(writer->count > 0 && writer->count <= LEAT_CHUNK_RECORDS_MAX);
    size_t before = out->size;
    int status = write_chunk(writer, out, error);
    if (status != 0)
        out->size = before;
    leat_buf raw = writer->raw;
    leat_buf_clear(&raw);
    *writer = (leat_chunk_writer){.raw = raw};
    return status;
}

void leat_chunk_writer_fini(leat_chunk_writer *writer)
{
    leat_buf_free(&writer->raw);
    *writer = (leat_chunk_writer){0};
}

/* ---- reading ---- */

int leat_chunk_open(int format, leat_slice bytes, leat_chunk_reader *ret, leat_error *error)
{
    uint64_t count, size;
    if (format != LEAT_CHUNK_FORMAT)
        return leat_fail(error, "parked records of format %d: this leat knows only %d", format,
                         LEAT_CHUNK_FORMAT);
    if (!leat_slice_take(&bytes, LEAT_CHUNK_FORMAT) || !leat_varint_take(&bytes, &count) ||
        !leat_varint_take(&bytes, &size) || count == 0 || count > LEAT_CHUNK_RECORDS_MAX ||
        size == 0 || size > LEAT_CHUNK_RAW_MAX ||
        ZSTD_getFrameContentSize(bytes.data, bytes.size) != size)
        return leat_fail(error, "parked records are damaged: their head makes no sense");
    char *raw = malloc((size_t)size);
    if (!raw)
        return leat_fail(error, "out of memory for parked records of %llu bytes",
                         (unsigned long long)size);
    size_t got = ZSTD_decompress(raw, (size_t)size, bytes.data, bytes.size);
    if (got != size) {
        free(raw);
        return leat_fail(error, "parked records are damaged: %s",
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "their size is another one");
    }
    *ret = (leat_chunk_reader){.raw = raw, .rest = {raw, (size_t)size}, .count = (uint32_t)count};
    return 0;
}

static bool take_sized(leat_slice *rest, uint64_t size, leat_slice *ret)
{
    if (size > rest->size)
        return false;
    *ret = (leat_slice){rest->data, (size_t)size};
    *rest = (leat_slice){rest->data + size, rest->size - (size_t)size};
    return true;
}

static bool take_bytes(leat_slice *rest, leat_slice *ret, bool *ret_is_missing)
{
    uint64_t size;
    if (!leat_varint_take(rest, &size))
        return false;
    *ret_is_missing = size == 0;
    return size == 0 || take_sized(rest, size - 1, ret);
}

static bool take_place(leat_chunk_reader *chunk, leat_record *ret)
{
    uint64_t offset, accepted, epoch;
    if (!leat_varint_take(&chunk->rest, &offset) || !leat_varint_take(&chunk->rest, &accepted) ||
        !leat_varint_take(&chunk->rest, &epoch))
        return false;
    int64_t change = leat_varint_unfold(epoch);
    if (offset > (uint64_t)(INT64_MAX - chunk->offset) || (offset == 0 && chunk->taken > 0) ||
        change < INT32_MIN - (int64_t)chunk->epoch || change > INT32_MAX - (int64_t)chunk->epoch)
        return false;
    ret->offset = chunk->offset += (int64_t)offset;
    ret->accepted_ms = chunk->accepted_ms =
        (int64_t)((uint64_t)chunk->accepted_ms + (uint64_t)leat_varint_unfold(accepted));
    ret->epoch = chunk->epoch = (int32_t)(chunk->epoch + change);
    return true;
}

static bool take_headers(leat_chunk_reader *chunk, leat_record *record, leat_slice *ret)
{
    uint64_t size;
    if (!leat_varint_take(&chunk->rest, &size) || !take_sized(&chunk->rest, size, ret))
        return false;
    leat_slice rest = *ret, name, value;
    int taken;
    while ((taken = leat_headers_take(&rest, &name, &value)) > 0) {
        record->header_bytes += (uint32_t)(name.size + value.size);
        leat_slice *field = leat_header_find(record, name);
        if (field)
            *field = value;
    }
    return taken == 0;
}

int leat_chunk_next(leat_chunk_reader *chunk, leat_record *ret, leat_slice *ret_headers,
                    leat_error *error)
{
    leat_record record = {0};
    bool key_is_missing;
    if (chunk->taken == chunk->count)
        return chunk->rest.size == 0
                   ? 0
                   : leat_fail(error, "parked records are damaged: %zu bytes follow the last one",
                               chunk->rest.size);
    if (!take_place(chunk, &record) || !take_bytes(&chunk->rest, &record.key, &key_is_missing) ||
        !take_bytes(&chunk->rest, &record.value, &record.value_is_null) ||
        !take_headers(chunk, &record, ret_headers))
        return leat_fail(error, "parked records are damaged: record %u of %u makes no sense",
                         chunk->taken + 1, chunk->count);
    chunk->taken++;
    *ret = record;
    return 1;
}
