/*
 * keys.h - held keys in a SQLite file, under the terms of sink/pg/schema.sql, inside a transaction
 * of the caller's that holds the write lock. So nobody else changes a key meanwhile, and there is
 * no row to lock. One thread.
 */
#ifndef LEAT_SINK_SQLITE_KEYS_H
#define LEAT_SINK_SQLITE_KEYS_H

#include "base/buf.h"
#include "base/placement.h"
#include "record/table.h"
#include "sink/sqlite/progress.h"

/* A record that is kept. */
typedef struct leat_sqlite_kept {
    uint32_t partition;
    uint64_t key;
    int64_t offset, accepted_ms;
    leat_slice chunk; /* of format LEAT_CHUNK_FORMAT */
} leat_sqlite_kept;

/* A key on its way into leat_held. */
typedef struct leat_sqlite_held_key {
    const leat_table *table;
    leat_slice key; /* canonical */
} leat_sqlite_held_key;

/* Read from the file, and the caller's. */
typedef struct leat_sqlite_keys {
    leat_engine_held *held;
    uint32_t held_count;
    leat_engine_chunk *kept; /* their bytes are in `bytes` */
    uint32_t kept_count;
    leat_buf bytes;
} leat_sqlite_keys;

void leat_sqlite_keys_free(leat_sqlite_keys *keys);

/* The held keys of a partition, at most one more than LEAT_HELD_KEYS_MAX. */
leat_sqlite_standing leat_sqlite_read_held(leat_sqlite *sqlite, int32_t source_id,
                                           const leat_placement *placement, uint32_t partition,
                                           leat_sqlite_keys *ret) LEAT_MUST_CHECK;
/* Makes a key held, beginning with this record. TURNED: it is. */
leat_sqlite_standing leat_sqlite_hold(leat_sqlite *sqlite, int32_t source_id,
                                      const leat_sqlite_held_key *held,
                                      const leat_engine_reason *reason,
                                      const leat_sqlite_kept *record) LEAT_MUST_CHECK;
/* Keeps a record of a held key. TURNED: it is not held. */
leat_sqlite_standing leat_sqlite_keep(leat_sqlite *sqlite, int32_t source_id,
                                      const leat_sqlite_kept *record) LEAT_MUST_CHECK;
/* The first records that are kept of load->key, at most load->most. */
leat_sqlite_standing leat_sqlite_load_kept(leat_sqlite *sqlite, int32_t source_id,
                                           uint32_t partition, const leat_engine_load *load,
                                           leat_sqlite_keys *ret) LEAT_MUST_CHECK;
/* These records, ascending, are done and kept no longer; if none is left then the key is not held
 * any more. TURNED: they are not the first that are kept of it. */
leat_sqlite_standing leat_sqlite_retried(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                         uint64_t key, const int64_t *offsets, uint32_t count,
                                         bool *ret_is_held) LEAT_MUST_CHECK;

#endif
