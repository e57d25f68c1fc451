/*
 * parked.h - parked records in a SQLite file: leat.parked_totals, leat.park, leat.load and
 * leat.unpark of sink/pg/schema.sql, under the terms of progress.h.
 */
#ifndef LEAT_SINK_SQLITE_PARKED_H
#define LEAT_SINK_SQLITE_PARKED_H

#include "sink/chunks.h"
#include "sink/sqlite/progress.h"

/* Read from the file, and the caller's. */
typedef struct leat_sqlite_parked {
    leat_engine_parked *totals; /* by subpartition, ascending; NULL: nothing is parked */
    uint32_t count;
    leat_engine_chunk chunk; /* its bytes are in `bytes` */
    leat_buf bytes;
} leat_sqlite_parked;

void leat_sqlite_parked_free(leat_sqlite_parked *parked);

/* What is parked of a partition, all in all. */
leat_sqlite_standing leat_sqlite_read_totals(leat_sqlite *sqlite, int32_t source_id,
                                             uint32_t partition,
                                             leat_sqlite_parked *ret) LEAT_MUST_CHECK;
/* Keeps one chunk, which must be the last of its subpartition (else GONE). */
leat_sqlite_standing leat_sqlite_park(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                      const leat_engine_parked *what, uint32_t codec,
                                      leat_slice bytes) LEAT_MUST_CHECK;
/* Reads the chunk with the smallest first offset above `load->above`. GONE: there is none. */
leat_sqlite_standing leat_sqlite_load(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                      const leat_engine_load *load,
                                      leat_sqlite_parked *ret) LEAT_MUST_CHECK;
/* Takes what a batch applies out of one chunk. GONE: it is not as the worker has read it. */
leat_sqlite_standing leat_sqlite_unpark(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                        uint16_t subpartition,
                                        const leat_engine_chunk_step *step) LEAT_MUST_CHECK;

#endif
