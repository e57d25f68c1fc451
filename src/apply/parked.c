/*
 * parked.c - a chunk has been in somebody's database: it is compared with what its row says of it,
 * and each record with the place that it was loaded for, before the engine sees any. What does not
 * fit is never a dead letter: the records may be good, and there is no other copy of them. So it is
 * with what is kept of a held key.
 */
#include "apply/parked.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "record/chunk.h"

struct leat_worker_chunk {
    uint32_t held; /* of its items, by the engine; until leat_worker_keep_chunk: how many there are
                    */
    char *raw;     /* what they borrow */
    leat_engine_record *records; /* [held]; until leat_worker_keep_chunk */
    leat_item items[];
};

void leat_worker_note_load(leat_worker *worker, const leat_engine_job *job)
{
    LEAT_ASSERT(job->kind == LEAT_ENGINE_JOB_LOAD && job->id < worker->jobs_max);
    worker->loads[job->id] = (leat_worker_load){job->partition, job->load.subpartition};
}

static void destroy(leat_worker_chunk *chunk)
{
    free(chunk->records);
    free(chunk->raw);
    free(chunk);
}

/* ---- reading ---- */

static leat_worker_chunk *new_chunk(uint32_t count, char *raw)
{
    leat_worker_chunk *chunk = leat_must_calloc(1, sizeof *chunk + count * sizeof(leat_item));
    chunk->records = leat_must_calloc(count, sizeof *chunk->records);
    chunk->raw = raw;
    return chunk;
}

/* In the chunk there is one item more than before. */
static leat_item *add_record(leat_worker *worker, uint32_t partition, leat_worker_chunk *chunk,
                             const leat_record *record, leat_slice headers)
{
    leat_item *item = &chunk->items[chunk->held];
    *item = (leat_item){.record = *record, .headers = headers, .chunk = chunk};
    item->record.partition = partition;
    leat_worker_decode_item(worker, item);
    chunk->records[chunk->held++] = leat_worker_record_of(worker, item);
    return item;
}

static int check_place(const leat_item *item, uint32_t subpartition, leat_error *error)
{
    if (item->subpartition == subpartition)
        return 0;
    return leat_fail(error, "its record at offset %" PRId64 " belongs to subpartition %" PRIu32,
                     item->record.offset, item->subpartition);
}

/* Compares with the row as it goes. */
static int read_records(leat_worker *worker, const leat_worker_load *load,
                        const leat_engine_chunk *row, leat_chunk_reader *from,
                        leat_worker_chunk *chunk, leat_error *error)
{
    leat_record record;
    leat_slice headers;
    int taken;
    while ((taken = leat_chunk_next(from, &record, &headers, error)) > 0) {
        if (from->taken == 1 && record.offset != row->first_offset)
            return leat_fail(error, "its first record is at offset %" PRId64, record.offset);
        if (record.offset <= row->done)
            continue;
        const leat_item *item = add_record(worker, load->partition, chunk, &record, headers);
        if (check_place(item, load->subpartition, error) != 0)
            return -1;
    }
    if (taken == 0 && from->offset != row->last_offset)
        return leat_fail(error, "its last record is at offset %" PRId64 ", its row says %" PRId64,
                         from->offset, row->last_offset);
    if (taken == 0 && chunk->held != row->records)
        return leat_fail(error, "%" PRIu32 " of its records are parked, its row says %" PRIu32,
                         chunk->held, row->records);
    return taken;
}

static leat_worker_chunk *read_chunk(leat_worker *worker, const leat_worker_load *load,
                                     const leat_engine_chunk *row, leat_error *error)
{
    leat_chunk_reader from;
    leat_slice bytes = {row->bytes, row->size};
    if (leat_chunk_open(row->codec, bytes, &from, error) != 0)
        return NULL;
    leat_worker_chunk *chunk = new_chunk(from.count, from.raw);
    if (read_records(worker, load, row, &from, chunk, error) == 0)
        return chunk;
    leat_worker_keep_chunk(chunk, 0);
    return NULL;
}

/* A record of a held key is a chunk of its own, whose memory becomes the item's. The engine may not
 * know the key's subpartition and learns it here: all are of one. */
static int add_kept(leat_worker *worker, uint32_t partition, const leat_engine_chunk *row,
                    leat_worker_chunk *chunk, leat_error *error)
{
    leat_chunk_reader from;
    leat_record record;
    leat_slice headers;
    if (leat_chunk_open(row->codec, (leat_slice){row->bytes, row->size}, &from, error) != 0)
        return -1;
    if (leat_chunk_next(&from, &record, &headers, error) != 1 || from.taken != from.count ||
        record.offset != row->first_offset) {
        free(from.raw);
        return leat_fail(error, "what is kept is not one record of that offset");
    }
    leat_item *item = add_record(worker, partition, chunk, &record, headers);
    item->owned_record = from.raw;
    return check_place(item, chunk->items[0].subpartition, error);
}

/* The records from this one on. */
static void drop_from(leat_worker_chunk *chunk, uint32_t first)
{
    for (uint32_t i = first; i < chunk->held; i++)
        leat_item_clear(&chunk->items[i]);
    chunk->held = chunk->held < first ? chunk->held : first;
}

static leat_worker_chunk *read_kept(leat_worker *worker, uint32_t partition,
                                    leat_engine_job_result *result)
{
    leat_error error;
    leat_worker_chunk *chunk = new_chunk(result->kept_count, NULL);
    for (uint32_t i = 0; i < result->kept_count; i++) {
        const leat_engine_chunk *row = &result->kept[i];
        if (add_kept(worker, partition, row, chunk, &error) == 0)
            continue;
        drop_from(chunk, i);
        if (i > 0) /* those before it can be applied, and then it is the first */
            break;
        leat_worker_keep_chunk(chunk, 0);
        result->outcome = LEAT_ENGINE_NOT_UNDERSTOOD;
        snprintf(result->message, sizeof result->message,
                 "the record of a held key at offset %" PRId64 " cannot be read: %s",
                 row->first_offset, error.text);
        return NULL;
    }
    result->loaded = chunk->records;
    result->loaded_count = chunk->held;
    result->left_out = leat_worker_count_left_out(worker, worker->shard_of[partition],
                                                  chunk->records, chunk->held);
    return chunk;
}

leat_worker_chunk *leat_worker_read_chunk(leat_worker *worker, uint32_t job_id,
                                          leat_engine_job_result *result)
{
    LEAT_ASSERT(job_id < worker->jobs_max);
    const leat_worker_load *load = &worker->loads[job_id];
    const leat_engine_chunk *row = result->chunk;
    leat_error error;
    if (result->outcome != LEAT_ENGINE_APPLIED)
        return NULL;
    if (result->kept_count > 0)
        return read_kept(worker, load->partition, result);
    if (!row)
        return NULL;
    leat_worker_chunk *chunk = read_chunk(worker, load, row, &error);
    if (!chunk) {
        result->outcome = LEAT_ENGINE_NOT_UNDERSTOOD;
        snprintf(result->message, sizeof result->message,
                 "the chunk of subpartition %u at offset %" PRId64 " cannot be read: %s",
                 load->subpartition, row->first_offset, error.text);
        return NULL;
    }
    result->loaded = chunk->records;
    result->loaded_count = chunk->held;
    return chunk;
}

/* ---- giving back ---- */

void leat_worker_keep_chunk(leat_worker_chunk *chunk, uint32_t taken)
{
    if (!chunk)
        return;
    LEAT_ASSERT(taken <= chunk->held);
    for (uint32_t i = taken; i < chunk->held; i++)
        leat_item_clear(&chunk->items[i]);
    chunk->held = taken;
    free(chunk->records);
    chunk->records = NULL;
    if (taken == 0)
        destroy(chunk);
}

void leat_worker_release_parked(leat_item *item)
{
    leat_worker_chunk *chunk = item->chunk;
    LEAT_ASSERT(chunk && chunk->held > 0);
    leat_item_clear(item);
    if (--chunk->held == 0)
        destroy(chunk);
}
