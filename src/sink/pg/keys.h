/*
 * keys.h - held keys in the jobs of a worker: the calls, with their parameters, and their answers.
 * schema.sql has the terms of each.
 */
#ifndef LEAT_SINK_PG_KEYS_H
#define LEAT_SINK_PG_KEYS_H

#include "base/placement.h"
#include "engine/batch.h"
#include "sink/pg/params.h"

extern const char leat_pg_hold_sql[];
extern const char leat_pg_keep_held_sql[];
extern const char leat_pg_retry_sql[];
extern const char leat_pg_retried_sql[];
extern const char leat_pg_held_sql[];
/* Without and with the timeline, as columns from LEAT_PG_KEPT_COLUMNS on (server.h). */
extern const char *const leat_pg_kept_sql[];

enum { LEAT_PG_KEPT_COLUMNS = 3 };

/* Records of one partition that are kept, each as a chunk of its own. Zeroed at first; its memory
 * is kept. */
typedef struct leat_pg_keys {
    leat_buf bytes;
    uint32_t count;
    uint32_t capacity;
    int64_t *keys;
    int64_t *offsets;
    int64_t *accepted_ms;
    size_t *ends; /* of each one's chunk in `bytes` */
} leat_pg_keys;

/* Takes the records of the batch in this partition that are kept in place of what was there.
 * -1: out of memory, or one does not fit into a chunk. */
int leat_pg_keys_take_kept(leat_pg_keys *keys, const leat_engine_batch *batch, uint32_t partition,
                           leat_error *error) LEAT_MUST_CHECK;
void leat_pg_keys_fini(leat_pg_keys *keys);

/* The parameters of leat_pg_keep_held_sql. */
void leat_pg_keep_held_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                              const leat_pg_keys *keys);
/* Of leat_pg_hold_sql, for the only record of the batch. -1 as above. */
int leat_pg_hold_params(leat_pg_params *params, int32_t source_id, const leat_engine_batch *batch,
                        leat_error *error) LEAT_MUST_CHECK;
/* A retry: of leat_pg_retry_sql, before the rows, and of leat_pg_retried_sql, after them. -1: out
 * of memory. */
void leat_pg_retry_params(leat_pg_params *params, int32_t source_id, const leat_engine_batch *batch,
                          int64_t lock_timeout_ms);
int leat_pg_retried_params(leat_pg_params *params, int32_t source_id,
                           const leat_engine_batch *batch) LEAT_MUST_CHECK;
/* Of leat_pg_held_sql, and of leat_pg_kept_sql. */
void leat_pg_held_params(leat_pg_params *params, int32_t source_id, uint32_t partition);
void leat_pg_kept_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                         const leat_engine_load *load);

/* ---- answers ---- */

/* What a claim finds, ascending by key, of which one more than LEAT_HELD_KEYS_MAX is asked for; the
 * caller frees it. NULL: none. -1: it has another form. */
int leat_pg_read_held(const PGresult *result, const leat_placement *placement,
                      leat_engine_held **ret, uint32_t *ret_count) LEAT_MUST_CHECK;
/* The first records that are kept of a key, as chunks, with their bytes behind them in one piece;
 * the caller frees it. NULL: none. -1: out of memory, or it has another form. */
int leat_pg_read_kept(const PGresult *result, leat_engine_chunk **ret,
                      uint32_t *ret_count) LEAT_MUST_CHECK;

#endif
