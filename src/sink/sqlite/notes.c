/*
 * notes.c - with each key that is noted two of the oldest may go: the table shrinks as fast as it
 * can grow, and no statement takes long. Two lifetimes are kept, so that a partition which is
 * behind the others by less than one loses nothing.
 */
#include "sink/sqlite/notes.h"

enum { KEPT_LIFETIMES = 2 };

static const char find_sql[] = "SELECT fingerprint FROM leat_idempotency WHERE a = ?1 AND b = ?2";

static const char note_sql[] =
    "INSERT INTO leat_idempotency (a, b, fingerprint, noted_ms) VALUES (?1, ?2, ?3, ?4)";

/* While nothing is known of a lifetime, nothing is forgotten. */
static const char forget_sql[] =
    "DELETE FROM leat_idempotency WHERE noted_ms <"
    " ?1 - ?2 * (SELECT nullif(max(s.idempotency_ms), 0) FROM leat_sources AS s)"
    " AND id IN (SELECT i.id FROM leat_idempotency AS i ORDER BY i.id LIMIT 2)";

static leat_sqlite_noted find(leat_sqlite *sqlite, const leat_write_id *id)
{
    leat_sqlite_noted noted = LEAT_SQLITE_NOTE_FAILED;
    sqlite3_stmt *find = leat_sqlite_prepare(sqlite, find_sql, NULL);
    if (!find)
        return noted;
    sqlite3_bind_int64(find, 1, (int64_t)id->a);
    sqlite3_bind_int64(find, 2, (int64_t)id->b);
    int code = sqlite3_step(find);
    if (code == SQLITE_DONE)
        noted = LEAT_SQLITE_NOTED;
    else if (code == SQLITE_ROW)
        noted = sqlite3_column_int64(find, 0) == (int64_t)id->fingerprint ? LEAT_SQLITE_REPEAT
                                                                          : LEAT_SQLITE_CONFLICT;
    sqlite3_finalize(find);
    return noted;
}

static int run(sqlite3_stmt *statement)
{
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : -1;
}

static int note(leat_sqlite *sqlite, const leat_write_id *id, int64_t noted_ms)
{
    sqlite3_stmt *note = leat_sqlite_prepare(sqlite, note_sql, NULL);
    if (!note)
        return -1;
    sqlite3_bind_int64(note, 1, (int64_t)id->a);
    sqlite3_bind_int64(note, 2, (int64_t)id->b);
    sqlite3_bind_int64(note, 3, (int64_t)id->fingerprint);
    sqlite3_bind_int64(note, 4, noted_ms);
    return run(note);
}

static int forget(leat_sqlite *sqlite, int64_t newest_ms)
{
    sqlite3_stmt *forget = leat_sqlite_prepare(sqlite, forget_sql, NULL);
    if (!forget)
        return -1;
    sqlite3_bind_int64(forget, 1, newest_ms);
    sqlite3_bind_int64(forget, 2, KEPT_LIFETIMES);
    return run(forget);
}

int leat_sqlite_keep_lifetime(leat_sqlite *sqlite, int32_t source_id, int64_t lifetime_ms)
{
    sqlite3_stmt *keep = leat_sqlite_prepare(
        sqlite,
        "UPDATE leat_sources SET idempotency_ms = ?2 WHERE id = ?1 AND idempotency_ms <> ?2", NULL);
    if (!keep)
        return -1;
    sqlite3_bind_int(keep, 1, source_id);
    sqlite3_bind_int64(keep, 2, lifetime_ms);
    return run(keep);
}

leat_sqlite_noted leat_sqlite_note(leat_sqlite *sqlite, const leat_item *item)
{
    int64_t now_ms = leat_wall_ms(), accepted_ms = item->record.accepted_ms;
    int64_t noted_ms = accepted_ms < now_ms ? accepted_ms : now_ms;
    leat_sqlite_noted noted = find(sqlite, &item->write_id);
    LEAT_ASSERT(!sqlite3_get_autocommit(sqlite->db));
    if (noted != LEAT_SQLITE_NOTED)
        return noted;
    if (note(sqlite, &item->write_id, noted_ms) != 0 || forget(sqlite, noted_ms) != 0)
        return LEAT_SQLITE_NOTE_FAILED;
    return noted;
}
