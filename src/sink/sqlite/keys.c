/*
 * keys.c - the rows of leat_held and leat_parked_keys. A retry may have taken a key away between
 * two batches of its owner, who learns of it here.
 */
#include "sink/sqlite/keys.h"

#include <stdlib.h>

#include "record/chunk.h"
#include "sink/kept.h"

void leat_sqlite_keys_free(leat_sqlite_keys *keys)
{
    free(keys->held);
    free(keys->kept);
    leat_buf_free(&keys->bytes);
    *keys = (leat_sqlite_keys){0};
}

/* Of what is about one key: the first three parameters name it. */
static sqlite3_stmt *prepare(leat_sqlite *sqlite, const char *sql, int32_t source_id,
                             uint32_t partition, uint64_t key)
{
    sqlite3_stmt *statement = leat_sqlite_prepare(sqlite, sql, NULL);
    if (statement) {
        sqlite3_bind_int(statement, 1, source_id);
        sqlite3_bind_int64(statement, 2, partition);
        sqlite3_bind_int64(statement, 3, (int64_t)key);
    }
    return statement;
}

/* Runs a change to the end, and finalizes it. Returns how many rows it changed, -1: it failed. */
static int change(leat_sqlite *sqlite, sqlite3_stmt *statement)
{
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? sqlite3_changes(sqlite->db) : -1;
}

static leat_sqlite_standing stands_if(int changed)
{
    return changed < 0 ? LEAT_SQLITE_FAILED : changed > 0 ? LEAT_SQLITE_STANDS : LEAT_SQLITE_TURNED;
}

/* ---- claims ---- */

leat_sqlite_standing leat_sqlite_read_held(leat_sqlite *sqlite, int32_t source_id,
                                           const leat_placement *placement, uint32_t partition,
                                           leat_sqlite_keys *ret)
{
    int64_t now_ms = leat_wall_ms();
    sqlite3_stmt *query = leat_sqlite_prepare(
        sqlite,
        "SELECT hash, since_ms, sqlstate, key FROM leat_held WHERE source = ?1 AND partition = ?2"
        " LIMIT ?3",
        NULL);
    leat_sqlite_keys_free(ret);
    int code = query ? SQLITE_ROW : SQLITE_ERROR;
    if (query) {
        sqlite3_bind_int(query, 1, source_id);
        sqlite3_bind_int64(query, 2, partition);
        sqlite3_bind_int(query, 3, LEAT_HELD_KEYS_MAX + 1);
    }
    while (code == SQLITE_ROW && (code = sqlite3_step(query)) == SQLITE_ROW) {
        void *grown = realloc(ret->held, (ret->held_count + 1) * sizeof *ret->held);
        if (!grown) {
            code = SQLITE_NOMEM;
            break;
        }
        ret->held = grown;
        int64_t since_ms = now_ms - sqlite3_column_int64(query, 1);
        leat_slice key = {sqlite3_column_blob(query, 3), (size_t)sqlite3_column_bytes(query, 3)};
        ret->held[ret->held_count++] = (leat_engine_held){
            .key = (uint64_t)sqlite3_column_int64(query, 0),
            .subpartition = leat_kept_subpartition(placement, key),
            .since_ms = since_ms > 0 ? since_ms : 0,
            .is_final = leat_kept_is_final((const char *)sqlite3_column_text(query, 2))};
    }
    sqlite3_finalize(query);
    leat_kept_sort(ret->held, ret->held_count);
    return code == SQLITE_DONE ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
}

/* ---- the owner adds ---- */

static const char keep_sql[] =
    "INSERT INTO leat_parked_keys (source, partition, hash, \"offset\", accepted_ms, codec, record)"
    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS"
    " (SELECT 1 FROM leat_held WHERE source = ?1 AND partition = ?2 AND hash = ?3)";

leat_sqlite_standing leat_sqlite_keep(leat_sqlite *sqlite, int32_t source_id,
                                      const leat_sqlite_kept *record)
{
    sqlite3_stmt *insert = prepare(sqlite, keep_sql, source_id, record->partition, record->key);
    if (insert) {
        sqlite3_bind_int64(insert, 4, record->offset);
        sqlite3_bind_int64(insert, 5, record->accepted_ms);
        sqlite3_bind_int(insert, 6, LEAT_CHUNK_FORMAT);
        sqlite3_bind_blob64(insert, 7, record->chunk.data, record->chunk.size, SQLITE_STATIC);
    }
    return stands_if(change(sqlite, insert));
}

static const char hold_sql[] =
    "INSERT INTO leat_held (source, partition, hash, \"table\", key, since_ms, at_ms, sqlstate, message)"
    " VALUES (?1, ?2, ?3, ?4 || '.' || ?5, ?6, ?7, ?7, nullif(?8, ''), ?9) ON CONFLICT DO NOTHING";

leat_sqlite_standing leat_sqlite_hold(leat_sqlite *sqlite, int32_t source_id,
                                      const leat_sqlite_held_key *held,
                                      const leat_engine_reason *reason,
                                      const leat_sqlite_kept *record)
{
    sqlite3_stmt *insert = prepare(sqlite, hold_sql, source_id, record->partition, record->key);
    if (insert) {
        sqlite3_bind_text(insert, 4, held->table->schema, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 5, held->table->name, -1, SQLITE_STATIC);
        sqlite3_bind_blob64(insert, 6, held->key.data, held->key.size, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 7, leat_wall_ms());
        sqlite3_bind_text(insert, 8, reason->sqlstate, -1, SQLITE_STATIC);
        leat_sqlite_bind_message(insert, 9, reason->message);
    }
    leat_sqlite_standing standing = stands_if(change(sqlite, insert));
    return standing == LEAT_SQLITE_STANDS ? leat_sqlite_keep(sqlite, source_id, record) : standing;
}

/* ---- whether it is ---- */

static leat_sqlite_standing is_there(leat_sqlite *sqlite, const char *sql, int32_t source_id,
                                     uint32_t partition, uint64_t key, bool *ret)
{
    sqlite3_stmt *query = prepare(sqlite, sql, source_id, partition, key);
    int code = query ? sqlite3_step(query) : SQLITE_ERROR;
    *ret = code == SQLITE_ROW;
    sqlite3_finalize(query);
    return code == SQLITE_ROW || code == SQLITE_DONE ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
}

/* ---- retries take away ---- */

static bool take_kept(sqlite3_stmt *row, leat_sqlite_keys *ret)
{
    enum { OFFSET, CODEC, RECORD };
    const void *bytes = sqlite3_column_blob(row, RECORD);
    size_t size = (size_t)sqlite3_column_bytes(row, RECORD);
    void *grown = realloc(ret->kept, (ret->kept_count + 1) * sizeof *ret->kept);
    if (!grown)
        return false;
    ret->kept = grown;
    int64_t offset = sqlite3_column_int64(row, OFFSET);
    ret->kept[ret->kept_count++] = (leat_engine_chunk){.first_offset = offset,
                                                       .last_offset = offset,
                                                       .done = offset - 1,
                                                       .records = 1,
                                                       .codec = sqlite3_column_int(row, CODEC),
                                                       .size = size};
    leat_buf_append(&ret->bytes, bytes ? bytes : "", size);
    return !ret->bytes.failed;
}

/* The buffer has moved while it grew. */
static void place_bytes(leat_sqlite_keys *keys)
{
    const char *at = keys->bytes.data;
    for (uint32_t i = 0; i < keys->kept_count; at += keys->kept[i++].size)
        keys->kept[i].bytes = at;
}

leat_sqlite_standing leat_sqlite_load_kept(leat_sqlite *sqlite, int32_t source_id,
                                           uint32_t partition, const leat_engine_load *load,
                                           leat_sqlite_keys *ret)
{
    leat_sqlite_keys_free(ret);
    sqlite3_stmt *query =
        prepare(sqlite,
                "SELECT \"offset\", codec, record FROM leat_parked_keys"
                " WHERE source = ?1 AND partition = ?2 AND hash = ?3 ORDER BY \"offset\" LIMIT ?4",
                source_id, partition, load->key);
    int code = query ? SQLITE_ROW : SQLITE_ERROR;
    if (query)
        sqlite3_bind_int64(query, 4, load->most);
    while (code == SQLITE_ROW && ret->bytes.size < LEAT_HELD_STEP_BYTES &&
           (code = sqlite3_step(query)) == SQLITE_ROW)
        if (!take_kept(query, ret))
            code = SQLITE_NOMEM;
    sqlite3_finalize(query);
    place_bytes(ret);
    return code == SQLITE_DONE || code == SQLITE_ROW ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
}

static leat_sqlite_standing remove_record(leat_sqlite *sqlite, int32_t source_id,
                                          uint32_t partition, uint64_t key, int64_t offset)
{
    sqlite3_stmt *remove =
        prepare(sqlite,
                "DELETE FROM leat_parked_keys WHERE source = ?1 AND partition = ?2 AND hash = ?3"
                " AND \"offset\" = ?4 AND ?4 = (SELECT min(\"offset\") FROM leat_parked_keys"
                " WHERE source = ?1 AND partition = ?2 AND hash = ?3)",
                source_id, partition, key);
    if (remove)
        sqlite3_bind_int64(remove, 4, offset);
    return stands_if(change(sqlite, remove));
}

/* What was said of a key that stays was said of a record that is gone. */
static leat_sqlite_standing forget_reason(leat_sqlite *sqlite, int32_t source_id,
                                          uint32_t partition, uint64_t key)
{
    sqlite3_stmt *update =
        prepare(sqlite,
                "UPDATE leat_held SET sqlstate = '', message = ''"
                " WHERE source = ?1 AND partition = ?2 AND hash = ?3 AND message <> ''",
                source_id, partition, key);
    return change(sqlite, update) < 0 ? LEAT_SQLITE_FAILED : LEAT_SQLITE_STANDS;
}

leat_sqlite_standing leat_sqlite_retried(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                         uint64_t key, const int64_t *offsets, uint32_t count,
                                         bool *ret_is_held)
{
    leat_sqlite_standing standing = LEAT_SQLITE_STANDS;
    *ret_is_held = true;
    for (uint32_t i = 0; standing == LEAT_SQLITE_STANDS && i < count; i++)
        standing = remove_record(sqlite, source_id, partition, key, offsets[i]);
    if (standing == LEAT_SQLITE_STANDS)
        standing = is_there(
            sqlite,
            "SELECT 1 FROM leat_parked_keys WHERE source = ?1 AND partition = ?2 AND hash = ?3"
            " LIMIT 1",
            source_id, partition, key, ret_is_held);
    if (standing == LEAT_SQLITE_STANDS && *ret_is_held && count > 0)
        return forget_reason(sqlite, source_id, partition, key);
    if (standing != LEAT_SQLITE_STANDS || *ret_is_held)
        return standing;
    sqlite3_stmt *let_go =
        prepare(sqlite, "DELETE FROM leat_held WHERE source = ?1 AND partition = ?2 AND hash = ?3",
                source_id, partition, key);
    return stands_if(change(sqlite, let_go));
}
