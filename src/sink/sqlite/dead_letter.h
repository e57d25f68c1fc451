/*
 * dead_letter.h - a record that is refused for good as a row of leat_dead_letters: like
 * sink/pg/dead_letter.h for PostgreSQL, under the same terms. Inside a transaction of the caller's.
 */
#ifndef LEAT_SINK_SQLITE_DEAD_LETTER_H
#define LEAT_SINK_SQLITE_DEAD_LETTER_H

#include "engine/batch.h"
#include "record/item.h"
#include "sink/sqlite/db.h"

/* -1: see sqlite3_errmsg. */
int leat_sqlite_store_dead_letter(leat_sqlite *sqlite, int32_t source_id,
                                  const leat_engine_batch_record *at, const leat_item *item,
                                  const leat_engine_reason *reason) LEAT_MUST_CHECK;

/* Of a record that a control has skipped. */
typedef struct leat_kept_letter {
    int64_t control; /* its number; 0: no letter is kept */
    uint32_t keep;   /* letters that are kept of it in a partition, the newest */
    leat_engine_reason reason;
} leat_kept_letter;

/* A sample for people: one that cannot be stored is given up. -1: the file has taken the whole
 * transaction back; see sqlite3_errmsg. */
int leat_sqlite_keep_letter(leat_sqlite *sqlite, int32_t source_id,
                            const leat_engine_batch_record *at, const leat_item *item,
                            const leat_kept_letter *kept) LEAT_MUST_CHECK;

#endif
