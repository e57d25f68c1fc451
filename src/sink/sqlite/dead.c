/*
 * Dead letters of a SQLite file, read for `leat dead`. The source is read first, because "no dead
 * letters" and "never set up" are different answers. The columns are those of sink/pg/dead.c: `leat
 * dead` merges the letters of all shards into one list.
 */
#include "sink/shard_ops.h"

#include <stdlib.h>
#include <string.h>

#include "sink/sqlite/db.h"

/* Columns as leat_dead_column has them. */
static const char dead_letters_sql[] =
    "SELECT d.partition, d.\"offset\", CAST(unixepoch(d.at) AS INTEGER) * 1000000"
    "       + CAST(substr(strftime('%f', d.at), 4) AS INTEGER) * 1000,"
    "       d.at, d.accepted_at, d.route, d.op, d.headers, d.sqlstate, d.message, d.key, CASE WHEN ?6 THEN d.body END,"
    "       d.source"
    "  FROM leat_dead_letters AS d"
    " WHERE d.source = (SELECT s.id FROM leat_sources AS s WHERE s.topic = ?1)"
    "   AND (?2 IS NULL OR d.route IN (SELECT r.value FROM json_each(?2) AS r))"
    "   AND (?3 < 0 OR d.partition = ?3) AND (?4 < 0 OR d.\"offset\" = ?4)"
    " ORDER BY d.at DESC, d.partition, d.\"offset\" DESC LIMIT ?5";

static char *copy_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? leat_must_strdup(text) : NULL;
}

static char *copy_bytes(sqlite3_stmt *row, int column, size_t *ret_size)
{
    *ret_size = 0;
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return NULL;
    size_t size = (size_t)sqlite3_column_bytes(row, column);
    char *bytes = leat_must_calloc(size + 1, 1);
    if (size > 0)
        memcpy(bytes, sqlite3_column_blob(row, column), size);
    *ret_size = size;
    return bytes;
}

static void take_letter(sqlite3_stmt *row, leat_dead_letters *ret)
{
    LEAT_ASSERT(sqlite3_column_count(row) == LEAT_DEAD_COLUMN_COUNT);
    ret->letters = realloc(ret->letters, (ret->count + 1) * sizeof *ret->letters);
    LEAT_ASSERT(ret->letters);
    leat_dead_letter *letter = &ret->letters[ret->count++];
    *letter = (leat_dead_letter){
        .partition = (uint32_t)sqlite3_column_int(row, LEAT_DEAD_COLUMN_PARTITION),
        .offset = sqlite3_column_int64(row, LEAT_DEAD_COLUMN_OFFSET),
        .source = sqlite3_column_int(row, LEAT_DEAD_COLUMN_SOURCE),
        .at_us = sqlite3_column_int64(row, LEAT_DEAD_COLUMN_AT_US),
        .at = copy_text(row, LEAT_DEAD_COLUMN_AT),
        .accepted_at = copy_text(row, LEAT_DEAD_COLUMN_ACCEPTED_AT),
        .route = copy_text(row, LEAT_DEAD_COLUMN_ROUTE),
        .op = copy_text(row, LEAT_DEAD_COLUMN_OP),
        .headers = copy_text(row, LEAT_DEAD_COLUMN_HEADERS),
        .sqlstate = copy_text(row, LEAT_DEAD_COLUMN_SQLSTATE),
        .message = copy_text(row, LEAT_DEAD_COLUMN_MESSAGE),
    };
    letter->key = copy_bytes(row, LEAT_DEAD_COLUMN_KEY, &letter->key_size);
    letter->body = copy_bytes(row, LEAT_DEAD_COLUMN_BODY, &letter->body_size);
}

static int read_letters(leat_sqlite *sqlite, const leat_dead_query *query, leat_dead_letters *ret,
                        leat_error *error)
{
    LEAT_ASSERT(query->topic && query->limit > 0);
    sqlite3_stmt *letters = leat_sqlite_prepare(sqlite, dead_letters_sql, error);
    if (!letters)
        return -1;
    sqlite3_bind_text(letters, 1, query->topic, -1, SQLITE_STATIC);
    sqlite3_bind_text(letters, 2, query->routes, -1, SQLITE_STATIC); /* NULL stays NULL */
    sqlite3_bind_int64(letters, 3, query->partition);
    sqlite3_bind_int64(letters, 4, query->offset);
    sqlite3_bind_int64(letters, 5, query->limit);
    sqlite3_bind_int(letters, 6, query->with_bodies);
    int status;
    while ((status = leat_sqlite_step(sqlite, letters, error)) == 1)
        take_letter(letters, ret);
    sqlite3_finalize(letters);
    return status;
}

static int read_dead_letters(const char *file, const leat_dead_query *query, leat_dead_letters *ret,
                             leat_error *error)
{
    leat_sqlite sqlite;
    *ret = (leat_dead_letters){0};
    int status = leat_sqlite_open_for(&sqlite, file, query->topic, error);
    if (status == 0)
        status = read_letters(&sqlite, query, ret, error);
    leat_sqlite_close(&sqlite);
    return status;
}

const leat_shard_dead_letters_ops leat_sqlite_dead_letters = {.read = read_dead_letters};
