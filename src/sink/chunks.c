/*
 * chunks.c - all chunks of a park are made before its transaction begins: then no lock is held
 * meanwhile and nothing fails in the middle. A pipeline that has begun can only end with its commit
 * or with its connection.
 */
#include "sink/chunks.h"

#include "record/chunk.h"

static int64_t add_records(leat_chunk_writer *writer, const leat_engine_batch_record *records,
                           uint32_t count)
{
    int64_t oldest_ms = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const leat_item *item = records[i].payload;
        leat_chunk_add(writer, item);
        if (item->record.accepted_ms < oldest_ms)
            oldest_ms = item->record.accepted_ms;
    }
    return oldest_ms;
}

int leat_sink_chunks_write(leat_sink_chunks *ret, const leat_engine_batch *batch, leat_error *error)
{
    LEAT_ASSERT(batch->cut_count > 0 && batch->cut_count <= LEAT_BATCH_CUTS_MAX);
    leat_chunk_writer writer = {0};
    int status = 0;
    leat_buf_clear(&ret->bytes);
    for (uint32_t i = 0; i < batch->cut_count && status == 0; i++) {
        const leat_engine_chunk_cut *cut = &batch->cuts[i];
        LEAT_ASSERT(cut->first_record + cut->record_count <= batch->record_count);
        ret->oldest_ms[i] =
            add_records(&writer, &batch->records[cut->first_record], cut->record_count);
        status = leat_chunk_end(&writer, &ret->bytes, error);
        ret->ends[i] = ret->bytes.size;
    }
    leat_chunk_writer_fini(&writer);
    return status;
}

leat_slice leat_sink_chunks_at(const leat_sink_chunks *chunks, uint32_t cut)
{
    LEAT_ASSERT(cut < LEAT_BATCH_CUTS_MAX);
    size_t from = cut == 0 ? 0 : chunks->ends[cut - 1];
    return (leat_slice){chunks->bytes.data + from, chunks->ends[cut] - from};
}

void leat_sink_chunks_free(leat_sink_chunks *chunks)
{
    leat_buf_free(&chunks->bytes);
    *chunks = (leat_sink_chunks){0};
}

int64_t leat_sink_chunk_done(const leat_engine_chunk_step *step)
{
    LEAT_ASSERT(step->done < step->done_after && step->done_after <= step->last_offset);
    return step->done < step->first_offset ? step->first_offset - 1 : step->done;
}
