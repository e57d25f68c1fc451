/*
 * job_take.c - a job is copied before it goes to the thread pool, because the engine lends its
 * arrays and payloads for the call only. What becomes a chunk is made into one at once.
 */
#include "sink/sqlite/job_state.h"

#include <stdlib.h>
#include <string.h>

#include "record/chunk.h"

/* An absent slice stays absent: a record without a key differs from one with an empty key. */
static int copy_slice(leat_sqlite_job *job, leat_slice *slice)
{
    if (!slice->data)
        return 0;
    char *copy = leat_arena_take(&job->texts, slice->size + 1);
    if (!copy)
        return -1;
    memcpy(copy, slice->data, slice->size);
    copy[slice->size] = '\0';
    slice->data = copy;
    return 0;
}

static int copy_key(leat_sqlite_job *job, leat_item *item)
{
    uint32_t count = item->route ? leat_route_value_count(item->route) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (leat_value_is_text(leat_route_value_column(item->route, i)->type) &&
            copy_slice(job, &item->key[i].text) != 0)
            return -1;
    return 0;
}

static int copy_record(leat_sqlite_job *job, const leat_engine_batch_record *from, uint32_t index)
{
    LEAT_ASSERT(index < job->record_count && from->payload);
    job_record *record = &job->records[index];
    leat_slice fault = leat_slice_of("");
    *record = (job_record){.at = *from, .item = *(const leat_item *)from->payload, .index = index};
    leat_item *item = &record->item;
    if (from->skip && !from->repeat && item->control) {
        record->kept = (leat_kept_letter){item->control->id, item->control->keep, {.sqlstate = ""}};
        leat_control_describe(item->control, record->kept.reason.message,
                              sizeof record->kept.reason.message);
    }
    item->control = NULL;
    item->log_handle = NULL;
    item->owned = NULL;
    item->owned_headers = NULL;
    item->owned_record = NULL;
    item->canonical_key = (leat_slice){NULL, 0};
    if (item->fault)
        fault = leat_slice_of(item->fault);
    leat_slice *const slices[] = {&item->record.key,
                                  &item->record.value,
                                  &item->record.route,
                                  &item->record.op,
                                  &item->headers,
                                  &item->record.idempotency,
                                  &fault};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        if (copy_slice(job, slices[i]) != 0)
            return -1;
    if (item->fault)
        item->fault = (char *)(uintptr_t)fault.data;
    return copy_key(job, item);
}

/* In the order of the log, whatever the order of subpartitions: a value may pass from row to
 * row. */
static int compare_in_log(const void *a, const void *b)
{
    const leat_engine_batch_record *left = &((const job_record *)a)->at,
                                   *right = &((const job_record *)b)->at;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static int take_parts(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->part_count > 0 && batch->record_count > 0);
    free(job->parts);
    job->part_count = batch->part_count;
    job->parts = malloc(batch->part_count * sizeof *job->parts);
    if (!job->parts)
        return -1;
    memcpy(job->parts, batch->parts, batch->part_count * sizeof *job->parts);
    return 0;
}

/* Its chunk is made here, from the engine's own item; `ends` is where it ends in kept_bytes, which
 * may still move. */
static int take_kept(leat_sqlite_job *job, const leat_engine_batch_record *from, uint32_t index,
                     size_t *ret_end)
{
    leat_error error;
    leat_chunk_writer writer = {0};
    const leat_item *item = from->payload;
    job->records[index].kept_record = (leat_sqlite_kept){.partition = from->partition,
                                                         .key = from->key,
                                                         .offset = from->offset,
                                                         .accepted_ms = item->record.accepted_ms};
    leat_chunk_add(&writer, item);
    int status = leat_chunk_end(&writer, &job->kept_bytes, &error);
    leat_chunk_writer_fini(&writer);
    *ret_end = job->kept_bytes.size;
    return status;
}

static int take_held_key(leat_sqlite_job *job, const leat_engine_batch_record *from)
{
    const leat_item *item = from->payload;
    LEAT_ASSERT(item->route); /* what cannot be decoded has no table, and is never held */
    leat_sqlite_held_key *held = &job->records[0].held;
    *held = (leat_sqlite_held_key){.table = item->route->table, .key = item->canonical_key};
    return copy_slice(job, &held->key);
}

/* Records that are kept, each with its chunk. */
static int take_keys(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    size_t *ends = calloc(batch->record_count, sizeof *ends);
    leat_buf_clear(&job->kept_bytes);
    int status = ends ? 0 : -1;
    for (uint32_t i = 0; status == 0 && i < batch->record_count; i++)
        if (batch->hold || batch->records[i].keep)
            status = take_kept(job, &batch->records[i], i, &ends[i]);
    size_t at = 0;
    for (uint32_t i = 0; status == 0 && i < batch->record_count; i++) {
        if (ends[i] == 0)
            continue;
        job->records[i].kept_record.chunk = (leat_slice){job->kept_bytes.data + at, ends[i] - at};
        at = ends[i];
    }
    free(ends);
    return status == 0 && batch->hold ? take_held_key(job, &batch->records[0]) : status;
}

/* In the order of the log, as the records are then. */
static int take_retry(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    free(job->offsets);
    job->offsets = malloc(batch->record_count * sizeof *job->offsets);
    for (uint32_t i = 0; job->offsets && i < batch->record_count; i++)
        job->offsets[i] = batch->records[i].offset;
    return job->offsets ? 0 : -1;
}

static int take_batch(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    LEAT_ASSERT(!batch->dead || batch->record_count == 1);
    LEAT_ASSERT(batch->chunk_count <= LEAT_BATCH_CHUNKS_MAX);
    free(job->records);
    job->record_count = batch->record_count;
    job->records = calloc(batch->record_count, sizeof *job->records);
    if (!job->records || take_parts(job, batch) != 0)
        return -1;
    job->chunks_of = batch->chunks_of;
    job->chunk_count = batch->chunk_count;
    memcpy(job->steps, batch->chunks, batch->chunk_count * sizeof *job->steps);
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (copy_record(job, &batch->records[i], i) != 0)
            return -1;
    job->is_hold = batch->hold != NULL;
    job->retry_key = batch->retry_key;
    if ((batch->hold || batch->kept > 0) && take_keys(job, batch) != 0)
        return -1;
    if (batch->retry_key && take_retry(job, batch) != 0)
        return -1;
    qsort(job->records, job->record_count, sizeof *job->records, compare_in_log);
    job->is_dead = batch->dead != NULL;
    if (job->is_dead)
        job->reason = *batch->dead;
    if (job->is_hold)
        job->reason = *batch->hold;
    return 0;
}

/* The records become chunks at once, so nothing else of them is copied. */
static int take_park(leat_sqlite_job *job, const leat_engine_batch *batch)
{
    leat_error error;
    LEAT_ASSERT(batch->part_count == 1);
    job->cut_count = batch->cut_count;
    for (uint32_t i = 0; i < batch->cut_count; i++) {
        const leat_engine_chunk_cut *cut = &batch->cuts[i];
        const leat_engine_batch_record *records = &batch->records[cut->first_record];
        job->cuts[i] = (leat_engine_parked){.subpartition = cut->subpartition,
                                            .chunks = 1,
                                            .first_offset = records[0].offset,
                                            .last_offset = records[cut->record_count - 1].offset,
                                            .records = cut->record_count};
    }
    return take_parts(job, batch) == 0 && leat_sink_chunks_write(&job->chunks, batch, &error) == 0
               ? 0
               : -1;
}

static void take_compaction(leat_sqlite_job *job, const leat_engine_compaction *from)
{
    LEAT_ASSERT(from->subpartitions == job->progress.subpartitions &&
                from->needs_count <= from->subpartitions);
    leat_engine_compaction copy = *from;
    copy.base_offsets = job->compaction.base_offsets;
    copy.needs = job->compaction.needs;
    memcpy(copy.base_offsets, from->base_offsets, from->subpartitions * sizeof *from->needs);
    memcpy(copy.needs, from->needs, from->needs_count * sizeof *from->needs);
    job->compaction = copy;
}

int leat_sqlite_job_take(leat_sqlite_job *job, const leat_engine_job *from)
{
    leat_arena_reset(&job->texts);
    job->id = from->id;
    job->kind = from->kind;
    job->partition = from->kind == LEAT_ENGINE_JOB_COMPACT ? from->compaction.partition
                                                           : from->partition;
    job->counts = (leat_sqlite_counts){0};
    job->result =
        (leat_engine_job_result){.bad_record = -1, .partition = -1, .catalog_read_us = INT64_MAX};
    if (from->kind == LEAT_ENGINE_JOB_COMPACT)
        take_compaction(job, &from->compaction);
    if (from->kind == LEAT_ENGINE_JOB_LOAD)
        job->load = from->load;
    return from->kind == LEAT_ENGINE_JOB_BATCH  ? take_batch(job, &from->batch)
           : from->kind == LEAT_ENGINE_JOB_PARK ? take_park(job, &from->batch)
                                                : 0;
}
