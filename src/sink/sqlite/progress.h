/*
 * progress.h - the progress protocol on a SQLite file: leat.take, leat.advance and leat.compact of
 * sink/pg/schema.sql, inside a transaction of the caller's that holds the write lock (BEGIN
 * IMMEDIATE). One thread.
 */
#ifndef LEAT_SINK_SQLITE_PROGRESS_H
#define LEAT_SINK_SQLITE_PROGRESS_H

#include "engine/batch.h"
#include "sink/sqlite/db.h"

typedef enum leat_sqlite_standing {
    LEAT_SQLITE_STANDS,
    LEAT_SQLITE_FENCED,    /* claimed by another worker since */
    LEAT_SQLITE_WENT_BACK, /* a batch that this one builds upon is missing: an older copy of the
                              file was restored */
    LEAT_SQLITE_GONE,      /* a chunk is not there, or is not as the worker has read it */
    LEAT_SQLITE_TURNED,    /* a key is not held, or it is, and the worker believes the opposite */
    LEAT_SQLITE_ABSENT,    /* a claim: the partition is not in this file */
    LEAT_SQLITE_FAILED,    /* see sqlite3_errmsg */
} leat_sqlite_standing;

/* A blob of at most `max` offsets in the schema's form: their number; -1: not in the form that this
 * program writes. */
int leat_sqlite_read_offsets(sqlite3_stmt *row, int column, int64_t *ret,
                             uint32_t max) LEAT_MUST_CHECK;

/* How far each subpartition is, in the batches that are committed; -1: nothing yet. STANDS, ABSENT
 * or FAILED. */
leat_sqlite_standing leat_sqlite_read_reached(leat_sqlite *sqlite, int32_t source_id,
                                              uint32_t partition,
                                              int64_t ret[LEAT_SUBPARTITIONS_MAX]) LEAT_MUST_CHECK;

/* `ret` has its arrays: leat_engine_progress_init. */
leat_sqlite_standing leat_sqlite_claim(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                       leat_engine_progress *ret) LEAT_MUST_CHECK;
leat_sqlite_standing leat_sqlite_advance(leat_sqlite *sqlite, int32_t source_id,
                                         const leat_engine_batch_part *part) LEAT_MUST_CHECK;
leat_sqlite_standing leat_sqlite_compact(leat_sqlite *sqlite, int32_t source_id,
                                         const leat_engine_compaction *compaction) LEAT_MUST_CHECK;

/* Is it still the partition's claim? */
leat_sqlite_standing leat_sqlite_check_claim(leat_sqlite *sqlite, int32_t source_id,
                                             uint32_t partition,
                                             const leat_engine_claim *claim) LEAT_MUST_CHECK;

/* "has been claimed by another worker"; for verdicts other than STANDS and FAILED. */
const char *leat_sqlite_standing_text(leat_sqlite_standing standing);

#endif
