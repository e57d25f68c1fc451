/*
 * A dead letter is stored in the transaction that moves the progress past its record, so that
 * neither can exist without the other. It has the record as in the log: key and body as bytes,
 * names only where they are valid text. SQLite would store invalid UTF-8 and hand it to readers.
 */
#include "sink/sqlite/dead_letter.h"

#include <stdio.h>
#include <time.h>

#include "base/utf8.h"
#include "record/headers.h"

/* 9999-12-31: the log takes any number for a time, SQLite and its readers do not. */
#define ACCEPTED_MAX_MS INT64_C(253402300799999)

/* Again after a commit whose outcome was unknown: the letter is there. */
static const char bury_sql[] =
    "INSERT INTO leat_dead_letters"
    " (source, partition, \"offset\", route, key, op, headers, body, sqlstate, message, accepted_at, control)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

static const char trim_sql[] =
    "DELETE FROM leat_dead_letters WHERE source = ?1 AND partition = ?2 AND control = ?3 AND \"offset\" <="
    " (SELECT d.\"offset\" FROM leat_dead_letters AS d WHERE d.source = ?1 AND d.partition = ?2 AND d.control = ?3"
    "   ORDER BY d.\"offset\" DESC LIMIT 1 OFFSET ?4)";

static void bind_bytes(sqlite3_stmt *to, int at, leat_slice bytes, bool is_null)
{
    if (!is_null) /* a parameter that is not bound is NULL */
        sqlite3_bind_blob64(to, at, bytes.data ? bytes.data : "", bytes.size, SQLITE_TRANSIENT);
}

static void bind_text(sqlite3_stmt *to, int at, leat_slice text)
{
    if (text.size > 0 && leat_utf8_is_text(text))
        sqlite3_bind_text64(to, at, text.data, text.size, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int bind_headers(sqlite3_stmt *to, int at, leat_slice headers)
{
    leat_buf json = {0};
    if (!headers.data)
        return 0;
    leat_headers_write_json(&json, headers);
    int code = json.failed ? SQLITE_NOMEM
                           : sqlite3_bind_text64(to, at, json.data, json.size, SQLITE_TRANSIENT,
                                                 SQLITE_UTF8);
    leat_buf_free(&json);
    return code == SQLITE_OK ? 0 : -1;
}

/* `taken`: the name that leat assumed where the record has none; NULL: not known. */
static void bind_name(sqlite3_stmt *to, int at, leat_slice name, const char *taken)
{
    bind_text(to, at, name.size == 0 && taken ? leat_slice_of(taken) : name);
}

static void bind_accepted(sqlite3_stmt *to, int at, int64_t accepted_ms)
{
    char text[40];
    struct tm parts;
    int64_t ms = accepted_ms < 0                 ? 0
                 : accepted_ms > ACCEPTED_MAX_MS ? ACCEPTED_MAX_MS
                                                 : accepted_ms;
    time_t seconds = ms / 1000;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    LEAT_ASSERT(size > 0);
    snprintf(text + size, sizeof text - size, ".%03dZ", (int)(ms % 1000));
    sqlite3_bind_text(to, at, text, -1, SQLITE_TRANSIENT);
}

/* `control` 0: it was refused. */
static int store(leat_sqlite *sqlite, int32_t source_id, const leat_engine_batch_record *at,
                 const leat_item *item, const leat_engine_reason *reason, int64_t control)
{
    LEAT_ASSERT(reason && source_id > 0);
    LEAT_ASSERT(!sqlite3_get_autocommit(sqlite->db));
    const leat_record *record = &item->record;
    sqlite3_stmt *insert = leat_sqlite_prepare(sqlite, bury_sql, NULL);
    if (!insert)
        return -1;
    sqlite3_bind_int(insert, 1, source_id);
    sqlite3_bind_int64(insert, 2, at->partition);
    sqlite3_bind_int64(insert, 3, at->offset);
    bind_name(insert, 4, record->route, item->route ? item->route->name : NULL);
    bind_bytes(insert, 5, record->key, !record->key.data);
    bind_name(insert, 6, record->op, item->route ? leat_route_op_name(item->op) : NULL);
    int headers = bind_headers(insert, 7, item->headers);
    bind_bytes(insert, 8, record->value, record->value_is_null);
    bind_text(insert, 9, leat_slice_of(reason->sqlstate));
    leat_sqlite_bind_message(insert, 10, reason->message);
    bind_accepted(insert, 11, record->accepted_ms);
    if (control != 0)
        sqlite3_bind_int64(insert, 12, control);
    int code = headers == 0 ? sqlite3_step(insert) : SQLITE_NOMEM;
    sqlite3_finalize(insert);
    return code == SQLITE_DONE ? 0 : -1;
}

int leat_sqlite_store_dead_letter(leat_sqlite *sqlite, int32_t source_id,
                                  const leat_engine_batch_record *at, const leat_item *item,
                                  const leat_engine_reason *reason)
{
    return store(sqlite, source_id, at, item, reason, 0);
}

static void trim(leat_sqlite *sqlite, int32_t source_id, const leat_engine_batch_record *at,
                 const leat_kept_letter *kept)
{
    sqlite3_stmt *trim = leat_sqlite_prepare(sqlite, trim_sql, NULL);
    if (!trim)
        return;
    sqlite3_bind_int(trim, 1, source_id);
    sqlite3_bind_int64(trim, 2, at->partition);
    sqlite3_bind_int64(trim, 3, kept->control);
    sqlite3_bind_int64(trim, 4, kept->keep);
    sqlite3_step(trim);
    sqlite3_finalize(trim);
}

/* A statement that fails is undone by itself, unless the disk has failed or is full. */
int leat_sqlite_keep_letter(leat_sqlite *sqlite, int32_t source_id,
                            const leat_engine_batch_record *at, const leat_item *item,
                            const leat_kept_letter *kept)
{
    if (kept->control != 0 && store(sqlite, source_id, at, item, &kept->reason, kept->control) == 0)
        trim(sqlite, source_id, at, kept);
    return sqlite3_get_autocommit(sqlite->db) ? -1 : 0;
}
