/*
 * parked.h - parked records as rows of leat.parked: the calls that write, read and empty chunks,
 * with their parameters, and their answers. schema.sql has the terms of each call.
 */
#ifndef LEAT_SINK_PG_PARKED_H
#define LEAT_SINK_PG_PARKED_H

#include <libpq-fe.h>

#include "sink/chunks.h"
#include "sink/pg/params.h"

extern const char leat_pg_park_sql[];
extern const char leat_pg_unpark_sql[];
extern const char leat_pg_parked_sql[];
/* Without and with the timeline, as columns from LEAT_PG_LOAD_COLUMNS on (server.h). */
extern const char *const leat_pg_load_sql[];

enum { LEAT_PG_LOAD_COLUMNS = 6 };

/* The parameters of leat_pg_park_sql for one cut. They borrow the chunks. */
void leat_pg_park_params(leat_pg_params *params, int32_t source_id, const leat_engine_batch *batch,
                         const leat_sink_chunks *chunks, uint32_t cut);
/* Of leat_pg_unpark_sql, for all chunks of a batch. */
void leat_pg_unpark_params(leat_pg_params *params, int32_t source_id,
                           const leat_engine_batch *batch);
void leat_pg_load_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                         const leat_engine_load *load);
void leat_pg_parked_params(leat_pg_params *params, int32_t source_id, uint32_t partition);

/* What a claim finds, ascending; the caller frees it. NULL: none. -1: it has another form, or a
 * subpartition that is not below `subpartitions`. */
int leat_pg_read_parked(const PGresult *result, uint32_t subpartitions, leat_engine_parked **ret,
                        uint32_t *ret_count) LEAT_MUST_CHECK;
/* The chunk of a load with its bytes behind it in one piece; the caller frees it. NULL: none. -1:
 * out of memory, or it has another form. */
int leat_pg_read_chunk(const PGresult *result, leat_engine_chunk **ret) LEAT_MUST_CHECK;

#endif
