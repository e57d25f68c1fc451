/*
 * keys.h - the records of held keys in a batch: calls of leat.hold, leat.keep_held and
 * leat.check_not_held, with their parameters. schema.sql has the terms of each.
 */
#ifndef LEAT_SINK_PG_KEYS_H
#define LEAT_SINK_PG_KEYS_H

#include "engine/batch.h"
#include "sink/pg/params.h"

extern const char leat_pg_hold_sql[];
extern const char leat_pg_keep_held_sql[];
extern const char leat_pg_check_not_held_sql[];

/* Records of one partition that are kept, each as a chunk of its own; and those that are guarded.
 * Zeroed at first; its memory is kept. */
typedef struct leat_pg_keys {
    leat_buf bytes;
    uint32_t count;
    uint32_t capacity;
    int64_t *keys;
    int64_t *offsets;
    int64_t *accepted_ms;
    size_t *ends; /* of each one's chunk in `bytes` */
} leat_pg_keys;

/* Takes the records of the batch in this partition that are kept, or its guarded ones, in place of
 * what was there. -1: out of memory, or one does not fit into a chunk. */
int leat_pg_keys_take_kept(leat_pg_keys *keys, const leat_engine_batch *batch, uint32_t partition,
                           leat_error *error) LEAT_MUST_CHECK;
int leat_pg_keys_take_guarded(leat_pg_keys *keys, const leat_engine_batch *batch,
                              uint32_t partition, leat_error *error) LEAT_MUST_CHECK;
void leat_pg_keys_fini(leat_pg_keys *keys);

/* The parameters of leat_pg_keep_held_sql and leat_pg_check_not_held_sql. */
void leat_pg_keep_held_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                              const leat_pg_keys *keys);
void leat_pg_check_not_held_params(leat_pg_params *params, int32_t source_id, uint32_t partition,
                                   const leat_pg_keys *keys);
/* Of leat_pg_hold_sql, for the only record of the batch. -1 as above. */
int leat_pg_hold_params(leat_pg_params *params, int32_t source_id, const leat_engine_batch *batch,
                        leat_error *error) LEAT_MUST_CHECK;
/* The record of the batch whose key the detail of LT007 names; -1: none. */
int32_t leat_pg_keys_find(const leat_engine_batch *batch, const char *detail);

#endif
