/*
 * parked.c - chunks on their way to and from leat.parked. Their bytes are not copied into the
 * parameters: each may be a mebibyte.
 */
#include "sink/pg/parked.h"

#include <stdlib.h>
#include <string.h>

#include "record/chunk.h"
#include "sink/pg/server.h"

const char leat_pg_park_sql[] =
    "SELECT leat.park($1::int4, $2::int4, $3::int4::int2, $4::int8, $5::int8, $6::int4, $7::int8, $8::int4, $9::bytea)";

const char leat_pg_unpark_sql[] =
    "SELECT leat.unpark($1::int4, $2::int4, $3::int4::int2, $4::int8[], $5::int8[], $6::int8[], $7::int8, $8::int4)";

const char leat_pg_parked_sql[] =
    "SELECT subpartition::int4, first_offset, done, last_offset, chunks, records, bytes, oldest_ms"
    " FROM leat.parked_totals($1::int4, $2::int4)";

/* One row, also where there is no chunk: it shows the server. */
const char *const leat_pg_load_sql[] =
    LEAT_PG_WITH_SERVER("SELECT c.first_offset, c.last_offset, c.done, c.records, c.codec, c.chunk",
                        " FROM (SELECT) AS one LEFT JOIN"
                        " leat.load($1::int4, $2::int4, $3::uuid, $4::int4::int2, $5::int8) AS c"
                        " ON true");

/* ---- out ---- */

void leat_pg_park_params(leat_pg_params *params, int32_t source_id, const leat_engine_batch *batch,
                         const leat_sink_chunks *chunks, uint32_t cut)
{
    LEAT_ASSERT(batch->part_count == 1 && cut < batch->cut_count);
    const leat_engine_chunk_cut *of = &batch->cuts[cut];
    const leat_engine_batch_record *records = &batch->records[of->first_record];
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, source_id);
    leat_pg_params_int4(params, (int32_t)batch->parts[0].partition);
    leat_pg_params_int4(params, of->subpartition);
    leat_pg_params_int8(params, records[0].offset);
    leat_pg_params_int8(params, records[of->record_count - 1].offset);
    leat_pg_params_int4(params, (int32_t)of->record_count);
    leat_pg_params_int8(params, chunks->oldest_ms[cut]);
    leat_pg_params_int4(params, LEAT_CHUNK_FORMAT);
    leat_pg_params_borrowed(params, leat_sink_chunks_at(chunks, cut));
}

void leat_pg_unpark_params(leat_pg_params *params, int32_t source_id,
                           const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->part_count == 1 && batch->parts[0].count == 0);
    LEAT_ASSERT(batch->chunk_count > 0 && batch->chunk_count <= LEAT_BATCH_CHUNKS_MAX);
    int64_t first[LEAT_BATCH_CHUNKS_MAX], last[LEAT_BATCH_CHUNKS_MAX], done[LEAT_BATCH_CHUNKS_MAX];
    const leat_engine_chunk_step *end = &batch->chunks[batch->chunk_count - 1];
    for (uint32_t i = 0; i < batch->chunk_count; i++) {
        const leat_engine_chunk_step *step = &batch->chunks[i];
        LEAT_ASSERT(step == end || step->done_after == step->last_offset);
        first[i] = step->first_offset;
        last[i] = step->last_offset;
        done[i] = leat_sink_chunk_done(step);
    }
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, source_id);
    leat_pg_params_int4(params, (int32_t)batch->parts[0].partition);
    leat_pg_params_int4(params, batch->chunks_of);
    leat_pg_params_int8s(params, first, batch->chunk_count);
    leat_pg_params_int8s(params, last, batch->chunk_count);
    leat_pg_params_int8s(params, done, batch->chunk_count);
    leat_pg_params_int8(params, end->done_after);
    leat_pg_params_int4(params, (int32_t)end->records_after);
}

void leat_pg_load_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                         const leat_engine_load *load)
{
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, source_id);
    leat_pg_params_int4(params, (int32_t)partition);
    leat_pg_params_uuid(params, load->claim.token);
    leat_pg_params_int4(params, load->subpartition);
    leat_pg_params_int8(params, load->above);
}

void leat_pg_parked_params(leat_pg_params *params, int32_t source_id, uint32_t partition)
{
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, source_id);
    leat_pg_params_int4(params, (int32_t)partition);
}

/* ---- in ---- */

/* Both rely on this: what a CHECK of the table or the protocol excludes is a form not known. */
static bool makes_sense(int64_t first_offset, int64_t done, int64_t last_offset, int64_t records)
{
    return first_offset >= 0 && done >= first_offset - 1 && done < last_offset && records > 0;
}

static int read_total(const PGresult *result, int row, uint32_t subpartitions,
                      leat_engine_parked *ret)
{
    int32_t subpartition;
    int64_t chunks, records, bytes;
    if (leat_pg_field_int4(result, row, 0, &subpartition) < 0 ||
        leat_pg_field_int8(result, row, 1, &ret->first_offset) < 0 ||
        leat_pg_field_int8(result, row, 2, &ret->done) < 0 ||
        leat_pg_field_int8(result, row, 3, &ret->last_offset) < 0 ||
        leat_pg_field_int8(result, row, 4, &chunks) < 0 ||
        leat_pg_field_int8(result, row, 5, &records) < 0 ||
        leat_pg_field_int8(result, row, 6, &bytes) < 0 ||
        leat_pg_field_int8(result, row, 7, &ret->oldest_ms) < 0)
        return -1;
    if (subpartition < 0 || (uint32_t)subpartition >= subpartitions || chunks <= 0 ||
        chunks > UINT32_MAX || bytes < 0 ||
        !makes_sense(ret->first_offset, ret->done, ret->last_offset, records))
        return -1;
    ret->subpartition = (uint16_t)subpartition;
    ret->chunks = (uint32_t)chunks;
    ret->records = (uint64_t)records;
    ret->bytes = (uint64_t)bytes;
    return 0;
}

int leat_pg_read_parked(const PGresult *result, uint32_t subpartitions, leat_engine_parked **ret,
                        uint32_t *ret_count)
{
    int count = PQntuples(result);
    *ret = NULL;
    *ret_count = 0;
    if (count == 0)
        return 0;
    leat_engine_parked *parked = leat_must_calloc((size_t)count, sizeof *parked);
    for (int row = 0; row < count; row++) {
        if (read_total(result, row, subpartitions, &parked[row]) != 0) {
            free(parked);
            return -1;
        }
    }
    *ret = parked;
    *ret_count = (uint32_t)count;
    return 0;
}

static int read_head(const PGresult *result, leat_engine_chunk *ret)
{
    int32_t records, codec;
    if (leat_pg_field_int8(result, 0, 0, &ret->first_offset) < 0 ||
        leat_pg_field_int8(result, 0, 1, &ret->last_offset) < 0 ||
        leat_pg_field_int8(result, 0, 2, &ret->done) < 0 ||
        leat_pg_field_int4(result, 0, 3, &records) < 0 ||
        leat_pg_field_int4(result, 0, 4, &codec) < 0 || PQnfields(result) <= 5 ||
        PQgetisnull(result, 0, 5) ||
        !makes_sense(ret->first_offset, ret->done, ret->last_offset, records))
        return -1;
    ret->records = (uint32_t)records;
    ret->codec = codec;
    ret->size = (size_t)PQgetlength(result, 0, 5);
    return 0;
}

int leat_pg_read_chunk(const PGresult *result, leat_engine_chunk **ret)
{
    *ret = NULL;
    if (PQntuples(result) != 1)
        return -1;
    if (PQgetisnull(result, 0, 0))
        return 0;
    leat_engine_chunk head;
    if (read_head(result, &head) != 0)
        return -1;
    leat_engine_chunk *chunk = malloc(sizeof *chunk + head.size);
    if (!chunk)
        return -1;
    *chunk = head;
    chunk->bytes = memcpy(chunk + 1, PQgetvalue(result, 0, 5), head.size);
    *ret = chunk;
    return 0;
}
