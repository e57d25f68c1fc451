/*
 * notes.h - idempotency keys in the batches of a worker: leat.note_keys for what is written,
 * leat.check_repeats for what is left out as a repeat, with their parameters, and what they say of
 * repeats; and leat.note_keys_now, for a write that is not in the log. schema.sql has the terms.
 */
#ifndef LEAT_SINK_PG_NOTES_H
#define LEAT_SINK_PG_NOTES_H

#include "engine/batch.h"
#include "record/item.h"
#include "sink/pg/params.h"

extern const char leat_pg_note_sql[], leat_pg_note_now_sql[], leat_pg_repeats_sql[];
/* A row: the key is noted, and no crash takes that back once this transaction is committed. */
extern const char leat_pg_confirm_sql[];

enum { LEAT_PG_KNOWN_MAX = 256 }; /* 200 are named at most */

/* The keys of a batch, each with the index of its record. Zeroed at first; its memory is kept. */
typedef struct leat_pg_notes {
    uint32_t count;
    uint32_t capacity;
    int64_t *records;
    int64_t *a, *b, *fingerprints;
    bool *conflicts; /* meaningful for repeats */
} leat_pg_notes;

/* Has a record of the batch that is written a key? */
bool leat_pg_notes_any(const leat_engine_batch *batch);
/* Takes those of the records that are written, in place of what was there. -1: out of memory. */
int leat_pg_notes_take(leat_pg_notes *notes, const leat_engine_batch *batch) LEAT_MUST_CHECK;
/* The same of those that are left out as repeats. */
int leat_pg_notes_take_repeats(leat_pg_notes *notes,
                               const leat_engine_batch *batch) LEAT_MUST_CHECK;
void leat_pg_notes_fini(leat_pg_notes *notes);
/* The parameters of leat.note_keys and leat.note_keys_now; those of leat.check_repeats. */
void leat_pg_note_params(leat_pg_params *params, const leat_pg_notes *notes);
void leat_pg_repeats_params(leat_pg_params *params, const leat_pg_notes *notes);
void leat_pg_confirm_params(leat_pg_params *params, const leat_write_id *key);
/* Reads the detail of LT010, "3= 17!", or LT012, "3- 17-". Returns how many there are, at most
 * LEAT_PG_KNOWN_MAX; 0: it has another form, or names a record that a batch of `record_count` does
 * not have. */
uint32_t leat_pg_known_read(const char *detail, uint32_t record_count,
                            leat_engine_known ret[LEAT_PG_KNOWN_MAX]);

#endif
