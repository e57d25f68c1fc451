/*
 * keys.c - a record of a held key is kept by itself, in the form of a chunk with one record: it is
 * applied by itself, or refused.
 */
#include "sink/pg/keys.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "record/chunk.h"
#include "record/item.h"

const char leat_pg_hold_sql[] =
    "SELECT leat.hold($1::int4, $2::int4, $3::int8, $4::text, $5::bytea, $6::text, $7::text, $8::int8, $9::int8, $10::int4,"
    " $11::bytea)";

const char leat_pg_keep_held_sql[] =
    "SELECT leat.keep_held($1::int4, $2::int4, $3::int8[], $4::int8[], $5::int8[], $6::int4, $7::bytea[])";

const char leat_pg_check_not_held_sql[] =
    "SELECT leat.check_not_held($1::int4, $2::int4, $3::int8[])";

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
        if (!record->keep || record->partition != partition)
            continue;
        status = write_record(record, &keys->bytes, error);
        if (status == 0)
            add(keys, record);
    }
    return status;
}

int leat_pg_keys_take_guarded(leat_pg_keys *keys, const leat_engine_batch *batch,
                              uint32_t partition, leat_error *error)
{
    int status = begin(keys, batch, error);
    for (uint32_t i = 0; status == 0 && i < batch->record_count; i++)
        if (batch->records[i].guard && batch->records[i].partition == partition)
            add(keys, &batch->records[i]);
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

void leat_pg_check_not_held_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                                   const leat_pg_keys *keys)
{
    begin_params(params, source_id, partition);
    leat_pg_params_int8s(params, keys->keys, keys->count);
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

int32_t leat_pg_keys_find(const leat_engine_batch *batch, const char *detail)
{
    char *end;
    unsigned long partition = strtoul(detail, &end, 10);
    uint64_t key = (uint64_t)strtoll(end, NULL, 10);
    for (uint32_t i = 0; *end == ' ' && i < batch->record_count; i++) {
        const leat_engine_batch_record *record = &batch->records[i];
        bool is_asked = record->keep || record->guard || batch->hold;
        if (is_asked && record->partition == partition && record->key == key)
            return (int32_t)i;
    }
    return -1;
}
