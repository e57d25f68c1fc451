/*
 * keys.c - a record of a held key is kept by itself, in the form of a chunk with one record: it is
 * applied by itself, or refused. What is kept of a key comes back as those chunks.
 */
#include "sink/pg/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "record/chunk.h"
#include "record/item.h"
#include "sink/kept.h"
#include "sink/pg/server.h"

const char leat_pg_hold_sql[] =
    "SELECT leat.hold($1::int4, $2::int4, $3::int8, $4::text, $5::bytea, $6::text, $7::text, $8::int8, $9::int8, $10::int4,"
    " $11::bytea)";

const char leat_pg_keep_held_sql[] =
    "SELECT leat.keep_held($1::int4, $2::int4, $3::int8[], $4::int8[], $5::int8[], $6::int4, $7::bytea[])";

const char leat_pg_retry_sql[] = "SELECT leat.retry($1::int4, $2::int4, $3::int8, true, $4::int4)";

const char leat_pg_retried_sql[] =
    "SELECT leat.retried($1::int4, $2::int4, $3::int8, $4::int8[], true)::int4";

const char leat_pg_held_sql[] =
    "SELECT k.hash, k.since_ms, k.sqlstate, h.key FROM leat.held_keys($1::int4, $2::int4, $3::int4) AS k"
    "  LEFT JOIN leat.held AS h ON h.source = $1::int4 AND h.partition = $2::int4 AND h.hash = k.hash";

/* One row, also where nothing is kept: it shows the server. */
const char *const leat_pg_kept_sql[] = LEAT_PG_WITH_SERVER(
    "SELECT k.\"offset\", k.codec, k.record",
    " FROM (SELECT) AS one LEFT JOIN"
    " leat.held_records($1::int4, $2::int4, $3::int8, $4::int4, $5::int8) AS k ON true ORDER BY 1");

static int reserve(leat_pg_keys *keys, uint32_t capacity)
{
    if (capacity <= keys->capacity)
        return 0;
    int64_t *numbers[] = {realloc(keys->keys, capacity * sizeof *keys->keys),
                          realloc(keys->offsets, capacity * sizeof *keys->offsets),
                          realloc(keys->accepted_ms, capacity * sizeof *keys->accepted_ms)};
    size_t *ends = realloc(keys->ends, capacity * sizeof *ends);
    keys->keys = numbers[0] ? numbers[0] : keys->keys;
    keys->offsets = numbers[1] ? numbers[1] : keys->offsets;
    keys->accepted_ms = numbers[2] ? numbers[2] : keys->accepted_ms;
    keys->ends = ends ? ends : keys->ends;
    if (!numbers[0] || !numbers[1] || !numbers[2] || !ends)
        return -1;
    keys->capacity = capacity;
    return 0;
}

static int begin(leat_pg_keys *keys, const leat_engine_batch *batch, leat_error *error)
{
    keys->count = 0;
    keys->bytes.size = 0;
    return reserve(keys, batch->record_count) == 0 ? 0 : leat_fail(error, "out of memory");
}

static void add(leat_pg_keys *keys, const leat_engine_batch_record *record)
{
    const leat_item *item = record->payload;
    keys->keys[keys->count] = (int64_t)record->key;
    keys->offsets[keys->count] = record->offset;
    keys->accepted_ms[keys->count] = item->record.accepted_ms;
    keys->ends[keys->count++] = keys->bytes.size;
}

static int write_record(const leat_engine_batch_record *record, leat_buf *out, leat_error *error)
{
    leat_chunk_writer writer = {0};
    leat_chunk_add(&writer, record->payload);
    int status = leat_chunk_end(&writer, out, error);
    leat_chunk_writer_fini(&writer);
    return status;
}

int leat_pg_keys_take_kept(leat_pg_keys *keys, const leat_engine_batch *batch, uint32_t partition,
                           leat_error *error)
{
    int status = begin(keys, batch, error);
    for (uint32_t i = 0; status == 0 && i < batch->record_count; i++) {
        const leat_engine_batch_record *record = &batch->records[i];
        if (!leat_engine_batch_keeps(record) || record->partition != partition)
            continue;
        status = write_record(record, &keys->bytes, error);
        if (status == 0)
            add(keys, record);
    }
    return status;
}

void leat_pg_keys_fini(leat_pg_keys *keys)
{
    leat_buf_free(&keys->bytes);
    free(keys->keys);
    free(keys->offsets);
    free(keys->accepted_ms);
    free(keys->ends);
    *keys = (leat_pg_keys){0};
}

static void begin_params(leat_pg_params *params, int32_t source_id, uint32_t partition)
{
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, source_id);
    leat_pg_params_int4(params, (int32_t)partition);
}

void leat_pg_keep_held_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                              const leat_pg_keys *keys)
{
    begin_params(params, source_id, partition);
    leat_pg_params_int8s(params, keys->keys, keys->count);
    leat_pg_params_int8s(params, keys->offsets, keys->count);
    leat_pg_params_int8s(params, keys->accepted_ms, keys->count);
    leat_pg_params_int4(params, LEAT_CHUNK_FORMAT);
    leat_pg_params_pieces(params, keys->bytes.data, keys->ends, keys->count);
}

static void put_message(leat_pg_params *params, const char *message)
{
    leat_buf text = {0};
    leat_utf8_append(&text, leat_slice_of(message));
    leat_pg_params_bytes(params, (leat_slice){text.data, text.size});
    params->bytes.failed = params->bytes.failed || text.failed;
    leat_buf_free(&text);
}

int leat_pg_hold_params(leat_pg_params *params, int32_t source_id, const leat_engine_batch *batch,
                        leat_error *error)
{
    LEAT_ASSERT(batch->record_count == 1 && batch->hold);
    const leat_engine_batch_record *record = &batch->records[0];
    const leat_item *item = record->payload;
    leat_buf chunk = {0}, table = {0};
    int status = write_record(record, &chunk, error);
    if (status == 0) {
        LEAT_ASSERT(item->route); /* one that cannot be decoded has no table, and is never held */
        leat_buf_printf(&table, "%s.%s", item->route->table->schema, item->route->table->name);
        begin_params(params, source_id, record->partition);
        leat_pg_params_int8(params, (int64_t)record->key);
        leat_pg_params_bytes(params, (leat_slice){table.data, table.size});
        leat_pg_params_bytes(params, item->canonical_key);
        if (batch->hold->sqlstate[0])
            leat_pg_params_text(params, batch->hold->sqlstate);
        else
            leat_pg_params_null(params);
        put_message(params, batch->hold->message);
        leat_pg_params_int8(params, record->offset);
        leat_pg_params_int8(params, item->record.accepted_ms);
        leat_pg_params_int4(params, LEAT_CHUNK_FORMAT);
        leat_pg_params_bytes(params, (leat_slice){chunk.data, chunk.size});
        params->bytes.failed = params->bytes.failed || table.failed;
    }
    leat_buf_free(&table);
    leat_buf_free(&chunk);
    return status;
}

void leat_pg_retry_params(leat_pg_params *params, int32_t source_id, const leat_engine_batch *batch,
                          int64_t lock_timeout_ms)
{
    LEAT_ASSERT(batch->retry_key && batch->part_count == 1);
    begin_params(params, source_id, batch->parts[0].partition);
    leat_pg_params_int8(params, (int64_t)batch->retry_key);
    leat_pg_params_int4(params, (int32_t)lock_timeout_ms);
}

int leat_pg_retried_params(leat_pg_params *params, int32_t source_id,
                           const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->retry_key && batch->part_count == 1 && batch->record_count > 0);
    int64_t *offsets = malloc(batch->record_count * sizeof *offsets);
    if (!offsets)
        return -1;
    for (uint32_t i = 0; i < batch->record_count; i++)
        offsets[i] = batch->records[i].offset;
    begin_params(params, source_id, batch->parts[0].partition);
    leat_pg_params_int8(params, (int64_t)batch->retry_key);
    leat_pg_params_int8s(params, offsets, batch->record_count);
    free(offsets);
    return 0;
}

void leat_pg_held_params(leat_pg_params *params, int32_t source_id, uint32_t partition)
{
    begin_params(params, source_id, partition);
    leat_pg_params_int4(params, LEAT_HELD_KEYS_MAX + 1);
}

void leat_pg_kept_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                         const leat_engine_load *load)
{
    LEAT_ASSERT(load->key && load->most > 0);
    begin_params(params, source_id, partition);
    leat_pg_params_int8(params, (int64_t)load->key);
    leat_pg_params_int4(params, (int32_t)load->most);
    leat_pg_params_int8(params, LEAT_HELD_STEP_BYTES);
}

/* ---- answers ---- */

static int read_held(const PGresult *result, int row, const leat_placement *placement,
                     leat_engine_held *ret)
{
    int64_t hash;
    if (leat_pg_field_int8(result, row, 0, &hash) < 0 || hash == 0 ||
        leat_pg_field_int8(result, row, 1, &ret->since_ms) < 0 || PQgetisnull(result, row, 3))
        return -1;
    leat_slice key = {PQgetvalue(result, row, 3), (size_t)PQgetlength(result, row, 3)};
    ret->key = (uint64_t)hash;
    ret->subpartition = leat_kept_subpartition(placement, key);
    ret->is_final =
        leat_kept_is_final(PQgetisnull(result, row, 2) ? NULL : PQgetvalue(result, row, 2));
    return 0;
}

int leat_pg_read_held(const PGresult *result, const leat_placement *placement,
                      leat_engine_held **ret, uint32_t *ret_count)
{
    int count = PQntuples(result);
    *ret = NULL;
    *ret_count = 0;
    if (count > LEAT_HELD_KEYS_MAX + 1)
        return -1;
    if (count == 0)
        return 0;
    leat_engine_held *held = leat_must_calloc((size_t)count, sizeof *held);
    for (int row = 0; row < count; row++) {
        if (read_held(result, row, placement, &held[row]) == 0)
            continue;
        free(held);
        return -1;
    }
    leat_kept_sort(held, (uint32_t)count);
    *ret = held;
    *ret_count = (uint32_t)count;
    return 0;
}

static int read_kept(const PGresult *result, int row, leat_engine_chunk *ret)
{
    int64_t offset;
    int32_t codec;
    if (leat_pg_field_int8(result, row, 0, &offset) < 0 ||
        leat_pg_field_int4(result, row, 1, &codec) < 0 || PQgetisnull(result, row, 2) || offset < 0)
        return -1;
    *ret = (leat_engine_chunk){.first_offset = offset,
                               .last_offset = offset,
                               .done = offset - 1,
                               .records = 1,
                               .size = (size_t)PQgetlength(result, row, 2),
                               .codec = codec};
    return 0;
}

int leat_pg_read_kept(const PGresult *result, leat_engine_chunk **ret, uint32_t *ret_count)
{
    int count = PQntuples(result);
    *ret = NULL;
    *ret_count = 0;
    if (count < 1 || PQnfields(result) < LEAT_PG_KEPT_COLUMNS)
        return -1;
    if (PQgetisnull(result, 0, 0)) /* the row that shows the server */
        return 0;
    size_t size = 0;
    for (int row = 0; row < count; row++)
        size += (size_t)PQgetlength(result, row, 2);
    leat_engine_chunk *kept = malloc((size_t)count * sizeof *kept + size);
    char *at = (char *)(kept + count);
    int status = kept ? 0 : -1;
    for (int row = 0; status == 0 && row < count; row++) {
        status = read_kept(result, row, &kept[row]);
        if (status == 0)
            kept[row].bytes = memcpy(at, PQgetvalue(result, row, 2), kept[row].size);
        at += PQgetlength(result, row, 2);
    }
    if (status != 0) {
        free(kept);
        return -1;
    }
    *ret = kept;
    *ret_count = (uint32_t)count;
    return 0;
}
