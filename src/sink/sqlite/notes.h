/*
 * notes.h - idempotency keys in a SQLite file: like leat.note_keys in PostgreSQL, one key at a
 * time. Inside the transaction that writes the row.
 */
#ifndef LEAT_SINK_SQLITE_NOTES_H
#define LEAT_SINK_SQLITE_NOTES_H

#include "record/item.h"
#include "sink/sqlite/db.h"

typedef enum leat_sqlite_noted {
    LEAT_SQLITE_NOTE_FAILED = -1, /* see sqlite3_errmsg */
    LEAT_SQLITE_NOTED,
    LEAT_SQLITE_REPEAT,   /* it is known, and says the same */
    LEAT_SQLITE_CONFLICT, /* or something else */
} leat_sqlite_noted;

/* Stores the lifetime that a source's processes have for keys; in a claim's transaction, so that no
 * key is noted before. The longest of any source counts, as the keys of all are in one table. -1:
 * see sqlite3_errmsg. */
int leat_sqlite_keep_lifetime(leat_sqlite *sqlite, int32_t source_id,
                              int64_t lifetime_ms) LEAT_MUST_CHECK;
/* Notes the key of an identified item, unless it is known; and forgets some that are older than two
 * lifetimes. */
leat_sqlite_noted leat_sqlite_note(leat_sqlite *sqlite, const leat_item *item) LEAT_MUST_CHECK;

#endif
