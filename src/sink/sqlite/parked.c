/*
 * parked.c - the rows of leat_parked. Only the owner of a partition changes them, under its claim,
 * so a row that differs from what it has read means that this is another copy of the file: then
 * the batch fails, and the worker claims again.
 */
#include "sink/sqlite/parked.h"

#include <stdio.h>
#include <stdlib.h>

void leat_sqlite_parked_free(leat_sqlite_parked *parked)
{
    free(parked->totals);
    leat_buf_free(&parked->bytes);
    *parked = (leat_sqlite_parked){0};
}

static sqlite3_stmt *prepare(leat_sqlite *sqlite, const char *sql, int32_t source_id,
                             uint32_t partition)
{
    sqlite3_stmt *statement = leat_sqlite_prepare(sqlite, sql, NULL);
    if (statement) {
        sqlite3_bind_int(statement, 1, source_id);
        sqlite3_bind_int64(statement, 2, partition);
    }
    return statement;
}

/* Runs a statement that must change one row, and finalizes it. */
static leat_sqlite_standing change_one(leat_sqlite *sqlite, sqlite3_stmt *statement)
{
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE)
        return LEAT_SQLITE_FAILED;
    return sqlite3_changes(sqlite->db) == 1 ? LEAT_SQLITE_STANDS : LEAT_SQLITE_GONE;
}

/* ---- claims ---- */

static void take_total(sqlite3_stmt *row, leat_engine_parked *ret)
{
    enum { SUBPARTITION, FIRST, DONE, LAST, CHUNKS, RECORDS, BYTES, OLDEST_MS };
    LEAT_ASSERT(sqlite3_column_count(row) == OLDEST_MS + 1);
    *ret = (leat_engine_parked){.subpartition = (uint16_t)sqlite3_column_int(row, SUBPARTITION),
                                .chunks = (uint32_t)sqlite3_column_int64(row, CHUNKS),
                                .first_offset = sqlite3_column_int64(row, FIRST),
                                .done = sqlite3_column_int64(row, DONE),
                                .last_offset = sqlite3_column_int64(row, LAST),
                                .records = (uint64_t)sqlite3_column_int64(row, RECORDS),
                                .bytes = (uint64_t)sqlite3_column_int64(row, BYTES),
                                .oldest_ms = sqlite3_column_int64(row, OLDEST_MS)};
}

/* Only the lowest chunk may be emptied in part, so the lowest `done` is its own. A chunk's length
 * is known without reading it. */
leat_sqlite_standing leat_sqlite_read_totals(leat_sqlite *sqlite, int32_t source_id,
                                             uint32_t partition, leat_sqlite_parked *ret)
{
    leat_sqlite_parked_free(ret);
    sqlite3_stmt *query =
        prepare(sqlite,
                "SELECT subpartition, min(first_offset), min(done), max(last_offset), count(*),"
                " sum(records), sum(length(chunk)), min(oldest_ms) FROM leat_parked"
                " WHERE source = ?1 AND partition = ?2 GROUP BY subpartition ORDER BY subpartition",
                source_id, partition);
    int code = query ? SQLITE_ROW : SQLITE_ERROR;
    while (code == SQLITE_ROW && (code = sqlite3_step(query)) == SQLITE_ROW) {
        void *grown = realloc(ret->totals, (ret->count + 1) * sizeof *ret->totals);
        if (grown) {
            ret->totals = grown;
            take_total(query, &ret->totals[ret->count++]);
        } else {
            code = SQLITE_NOMEM;
        }
    }
    sqlite3_finalize(query);
    return code == SQLITE_DONE ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
}

/* ---- parking ---- */

leat_sqlite_standing leat_sqlite_park(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                      const leat_engine_parked *what, uint32_t codec,
                                      leat_slice bytes)
{
    LEAT_ASSERT(what->records > 0 && what->first_offset <= what->last_offset);
    sqlite3_stmt *insert =
        prepare(sqlite,
                "INSERT INTO leat_parked (source, partition, subpartition, first_offset,"
                " last_offset, done, records, oldest_ms, codec, chunk)"
                " SELECT ?1, ?2, ?3, ?4, ?5, ?4 - 1, ?6, ?7, ?8, ?9 WHERE NOT EXISTS"
                " (SELECT 1 FROM leat_parked WHERE source = ?1 AND partition = ?2"
                "  AND subpartition = ?3 AND first_offset >= ?4)",
                source_id, partition);
    if (insert) {
        sqlite3_bind_int(insert, 3, what->subpartition);
        sqlite3_bind_int64(insert, 4, what->first_offset);
        sqlite3_bind_int64(insert, 5, what->last_offset);
        sqlite3_bind_int64(insert, 6, (int64_t)what->records);
        sqlite3_bind_int64(insert, 7, what->oldest_ms);
        sqlite3_bind_int64(insert, 8, codec);
        sqlite3_bind_blob64(insert, 9, bytes.data, bytes.size, SQLITE_STATIC);
    }
    return change_one(sqlite, insert);
}

/* ---- loading ---- */

static bool take_chunk(sqlite3_stmt *row, leat_sqlite_parked *ret)
{
    enum { FIRST, LAST, DONE, RECORDS, CODEC, CHUNK };
    LEAT_ASSERT(sqlite3_column_count(row) == CHUNK + 1);
    const void *bytes = sqlite3_column_blob(row, CHUNK);
    leat_buf_clear(&ret->bytes);
    leat_buf_append(&ret->bytes, bytes ? bytes : "", (size_t)sqlite3_column_bytes(row, CHUNK));
    ret->chunk = (leat_engine_chunk){.first_offset = sqlite3_column_int64(row, FIRST),
                                     .last_offset = sqlite3_column_int64(row, LAST),
                                     .done = sqlite3_column_int64(row, DONE),
                                     .records = (uint32_t)sqlite3_column_int64(row, RECORDS),
                                     .codec = sqlite3_column_int(row, CODEC),
                                     .bytes = ret->bytes.data,
                                     .size = ret->bytes.size};
    return !ret->bytes.failed;
}

leat_sqlite_standing leat_sqlite_load(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                      const leat_engine_load *load, leat_sqlite_parked *ret)
{
    leat_sqlite_standing standing =
        leat_sqlite_check_claim(sqlite, source_id, partition, &load->claim);
    if (standing != LEAT_SQLITE_STANDS)
        return standing;
    sqlite3_stmt *query =
        prepare(sqlite,
                "SELECT first_offset, last_offset, done, records, codec, chunk FROM leat_parked"
                " WHERE source = ?1 AND partition = ?2 AND subpartition = ?3 AND first_offset > ?4"
                " ORDER BY first_offset LIMIT 1",
                source_id, partition);
    if (!query)
        return LEAT_SQLITE_FAILED;
    sqlite3_bind_int(query, 3, load->subpartition);
    sqlite3_bind_int64(query, 4, load->above);
    int code = sqlite3_step(query);
    bool is_taken = code == SQLITE_ROW && take_chunk(query, ret);
    sqlite3_finalize(query);
    return is_taken              ? LEAT_SQLITE_STANDS
           : code == SQLITE_DONE ? LEAT_SQLITE_GONE
                                 : LEAT_SQLITE_FAILED;
}

/* ---- emptying ---- */

static const char chunk_sql[] =
    " WHERE source = ?1 AND partition = ?2 AND subpartition = ?3 AND first_offset = ?4"
    " AND last_offset = ?5 AND done = ?6";

leat_sqlite_standing leat_sqlite_unpark(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                        uint16_t subpartition, const leat_engine_chunk_step *step)
{
    bool is_whole = step->done_after == step->last_offset;
    char sql[256];
    snprintf(sql, sizeof sql, "%s%s",
             is_whole ? "DELETE FROM leat_parked"
                      : "UPDATE leat_parked SET done = ?7, records = ?8",
             chunk_sql);
    sqlite3_stmt *change = prepare(sqlite, sql, source_id, partition);
    if (change) {
        sqlite3_bind_int(change, 3, subpartition);
        sqlite3_bind_int64(change, 4, step->first_offset);
        sqlite3_bind_int64(change, 5, step->last_offset);
        sqlite3_bind_int64(change, 6, leat_sink_chunk_done(step));
        if (!is_whole) {
            sqlite3_bind_int64(change, 7, step->done_after);
            sqlite3_bind_int64(change, 8, step->records_after);
        }
    }
    return change_one(sqlite, change);
}
