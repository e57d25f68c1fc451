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

#endif
