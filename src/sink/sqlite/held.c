/*
 * Held keys of a SQLite file for `leat dead`: the list, and an end to one of them, some records in
 * a transaction. The file has one writer at a time, so each step sees all that its owner has added,
 * and may let the key go. What the file refuses is left for the step after the one that writes
 * everything before it.
 */
#include "sink/shard_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/idempotency.h"
#include "sink/kept.h"
#include "sink/sqlite/dead_letter.h"
#include "sink/sqlite/keys.h"
#include "sink/sqlite/notes.h"
#include "sink/sqlite/rows.h"
#include "sink/sqlstate.h"

enum { BUSY_MS = 5000 };

#define TIME_SQL(column) "strftime('%Y-%m-%dT%H:%M:%fZ', " column " / 1000.0, 'unixepoch')"

/* ---- the list ---- */

enum {
    SOURCE,
    PARTITION,
    HASH,
    TABLE,
    KEY,
    SINCE_MS,
    SINCE,
    AT,
    TRIES,
    SQLSTATE,
    MESSAGE,
    RECORDS,
    FIRST_OFFSET,
    BYTES,
    COLUMNS
};

static const char held_sql[] =
    "SELECT h.source, h.partition, h.hash, h.\"table\", h.key, h.since_ms, " TIME_SQL(
        "h.since_ms") ","
                      " " TIME_SQL(
                          "h.at_ms") ", h.tries, h.sqlstate, h.message, count(k.\"offset\"),"
                                     " coalesce(min(k.\"offset\"), -1), coalesce(sum(length(k.record)), 0)"
                                     "  FROM leat_held AS h LEFT JOIN leat_parked_keys AS k USING (source, partition, hash)"
                                     " WHERE h.source = (SELECT s.id FROM leat_sources AS s WHERE s.topic = ?1)"
                                     "   AND (?2 IS NULL OR (h.\"table\" = ?2 AND h.key = ?3))"
                                     " GROUP BY h.source, h.partition, h.hash ORDER BY h.since_ms, h.partition, h.hash LIMIT ?4";

static char *copy_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? leat_must_strdup(text) : NULL;
}

static void take_key(sqlite3_stmt *row, leat_held_keys *ret)
{
    LEAT_ASSERT(sqlite3_column_count(row) == COLUMNS);
    ret->keys = realloc(ret->keys, (ret->count + 1) * sizeof *ret->keys);
    LEAT_ASSERT(ret->keys);
    leat_shard_held_key *key = &ret->keys[ret->count++];
    *key = (leat_shard_held_key){.source = sqlite3_column_int(row, SOURCE),
                                 .partition = (uint32_t)sqlite3_column_int(row, PARTITION),
                                 .hash = sqlite3_column_int64(row, HASH),
                                 .table = copy_text(row, TABLE),
                                 .since_us = 1000 * sqlite3_column_int64(row, SINCE_MS),
                                 .since = copy_text(row, SINCE),
                                 .at = copy_text(row, AT),
                                 .tries = (uint32_t)sqlite3_column_int64(row, TRIES),
                                 .sqlstate = copy_text(row, SQLSTATE),
                                 .message = copy_text(row, MESSAGE),
                                 .records = sqlite3_column_int64(row, RECORDS),
                                 .first_offset = sqlite3_column_int64(row, FIRST_OFFSET),
                                 .bytes = sqlite3_column_int64(row, BYTES)};
    key->key_size = (size_t)sqlite3_column_bytes(row, KEY);
    key->key = leat_must_calloc(key->key_size + 1, 1);
    if (key->key_size > 0)
        memcpy(key->key, sqlite3_column_blob(row, KEY), key->key_size);
}

static int read_keys(leat_sqlite *sqlite, const leat_held_query *query, leat_held_keys *ret,
                     leat_error *error)
{
    leat_buf table = {0};
    sqlite3_stmt *keys = leat_sqlite_prepare(sqlite, held_sql, error);
    if (!keys)
        return -1;
    sqlite3_bind_text(keys, 1, query->topic, -1, SQLITE_STATIC);
    if (query->table) {
        leat_buf_printf(&table, "%s.%s", query->table->schema, query->table->name);
        sqlite3_bind_text64(keys, 2, table.data, table.size, SQLITE_STATIC, SQLITE_UTF8);
        sqlite3_bind_blob64(keys, 3, query->key.data, query->key.size, SQLITE_STATIC);
    }
    sqlite3_bind_int64(keys, 4, query->limit);
    int status;
    while ((status = leat_sqlite_step(sqlite, keys, error)) == 1)
        take_key(keys, ret);
    sqlite3_finalize(keys);
    leat_buf_free(&table);
    return status;
}

static int read_held(const char *file, const leat_held_query *query, leat_held_keys *ret,
                     leat_error *error)
{
    leat_sqlite sqlite;
    int status = leat_sqlite_open_for(&sqlite, file, query->topic, error);
    if (status == 0)
        status = read_keys(&sqlite, query, ret, error);
    leat_sqlite_close(&sqlite);
    return status;
}

/* ---- an end to one ---- */

typedef struct held_step {
    leat_sqlite sqlite;
    leat_sqlite_rows *rows;
    const leat_held_work *work;
    leat_held_result *ret;
    leat_sqlite_keys keys;
    uint32_t count; /* of the records that were read */
    int64_t offsets[LEAT_HELD_STEP_RECORDS];
    leat_item items[LEAT_HELD_STEP_RECORDS];
} held_step;

/* A step ends in one of these ways. */
typedef enum held_end { STEP_FAILED = -1, STEP_DONE, STEP_REFUSED } held_end;

static void drop_records(held_step *step)
{
    for (uint32_t i = 0; i < step->count; i++)
        leat_item_clear(&step->items[i]);
    step->count = 0;
}

static int fail_sqlite(held_step *step, leat_error *error)
{
    return leat_fail(error, "%s: %s", step->sqlite.file, sqlite3_errmsg(step->sqlite.db));
}

static int read_records(held_step *step, uint32_t limit, leat_error *error)
{
    const leat_shard_held_key *key = step->work->key;
    leat_engine_load load = {.key = (uint64_t)key->hash, .most = limit};
    if (leat_sqlite_load_kept(&step->sqlite, key->source, key->partition, &load, &step->keys) !=
        LEAT_SQLITE_STANDS)
        return fail_sqlite(step, error);
    for (uint32_t i = 0; i < step->keys.kept_count; i++) {
        const leat_engine_chunk *kept = &step->keys.kept[i];
        if (leat_kept_read(step->work, kept->first_offset, kept->codec,
                           (leat_slice){kept->bytes, kept->size}, &step->items[i], error) != 0)
            return -1;
        step->offsets[step->count++] = kept->first_offset;
    }
    return 0;
}

static void note_reason(held_step *step, const char *sqlstate, const char *message)
{
    snprintf(step->ret->reason.sqlstate, sizeof step->ret->reason.sqlstate, "%s", sqlstate);
    snprintf(step->ret->reason.message, sizeof step->ret->reason.message, "%s", message);
}

static int write_letter(held_step *step, uint32_t index, const leat_engine_reason *reason,
                        leat_error *error)
{
    const leat_shard_held_key *key = step->work->key;
    leat_engine_batch_record at = {.offset = step->offsets[index], .partition = key->partition};
    return leat_sqlite_store_dead_letter(&step->sqlite, key->source, &at, &step->items[index],
                                         reason) == 0
               ? 0
               : fail_sqlite(step, error);
}

/* Notes its idempotency key, where it has one. 1: it is the repeat of a write that is applied, and
 * there is nothing to write; a conflict is a dead letter now. */
static int note_key(held_step *step, uint32_t index, leat_error *error)
{
    leat_item *item = &step->items[index];
    leat_buf scratch = {0};
    if (!leat_idempotency_has_key(item))
        return 0;
    bool is_identified =
        leat_idempotency_identify(step->work->key->source, item, &scratch, &item->write_id);
    leat_buf_free(&scratch);
    if (!is_identified)
        return leat_fail(error, "out of memory");
    leat_sqlite_noted noted = leat_sqlite_note(&step->sqlite, item);
    if (noted == LEAT_SQLITE_NOTE_FAILED)
        return fail_sqlite(step, error);
    leat_engine_reason reason = {.sqlstate = ""};
    snprintf(reason.message, sizeof reason.message, "%s", leat_idempotency_conflict);
    if (noted == LEAT_SQLITE_CONFLICT && write_letter(step, index, &reason, error) != 0)
        return -1;
    return noted != LEAT_SQLITE_NOTED;
}

/* `ret_refused`: the index of the record that is refused. */
static held_end write_rows(held_step *step, uint32_t *ret_refused, leat_error *error)
{
    leat_sqlite_counts counts = {0};
    for (uint32_t i = 0; i < step->count; i++) {
        leat_sqlite_fault fault;
        int noted = note_key(step, i, error);
        if (noted < 0)
            return STEP_FAILED;
        if (noted > 0)
            continue;
        if (leat_sqlite_rows_write(step->rows, &step->sqlite, step->work->routes, &step->items[i],
                                   &counts, &fault) == 0)
            continue;
        *error = fault.error;
        *ret_refused = i;
        note_reason(step, fault.sqlstate, fault.error.text);
        return leat_kept_is_refusal(fault.outcome) ? STEP_REFUSED : STEP_FAILED;
    }
    return STEP_DONE;
}

static held_end write_letters(held_step *step, leat_error *error)
{
    const leat_shard_held_key *key = step->work->key;
    for (uint32_t i = 0; i < step->count; i++) {
        leat_engine_reason reason = leat_kept_letter_reason(key, step->offsets[i]);
        if (write_letter(step, i, &reason, error) != 0)
            return STEP_FAILED;
    }
    return STEP_DONE;
}

/* A constraint that is deferred is refused here, and shows no record. */
static held_end commit(held_step *step, uint32_t *ret_refused, leat_error *error)
{
    if (leat_sqlite_run(&step->sqlite, "COMMIT", error) == 0)
        return STEP_DONE;
    const char *sqlstate = leat_sqlite_sqlstate(sqlite3_extended_errcode(step->sqlite.db));
    leat_sql_error fields = {.sqlstate = sqlstate, .severity = "ERROR"};
    note_reason(step, sqlstate, sqlite3_errmsg(step->sqlite.db));
    *ret_refused = step->count / 2;
    return leat_kept_is_refusal(leat_sqlstate_outcome(&fields, LEAT_SQL_ROWS)) ? STEP_REFUSED
                                                                               : STEP_FAILED;
}

/* In a transaction, which the caller takes back unless it is done. */
static held_end run_step(held_step *step, uint32_t limit, uint32_t *ret_refused, leat_error *error)
{
    const leat_shard_held_key *key = step->work->key;
    if (leat_sqlite_run(&step->sqlite, "BEGIN IMMEDIATE", error) != 0 ||
        read_records(step, limit, error) != 0)
        return STEP_FAILED;
    held_end end = step->work->discard ? write_letters(step, error)
                                       : write_rows(step, ret_refused, error);
    if (end != STEP_DONE)
        return end;
    bool is_held;
    leat_sqlite_standing standing = leat_sqlite_retried(&step->sqlite, key->source, key->partition,
                                                        (uint64_t)key->hash, step->offsets,
                                                        step->count, &is_held);
    if (standing == LEAT_SQLITE_FAILED) {
        fail_sqlite(step, error);
        return STEP_FAILED;
    }
    end = commit(step, ret_refused, error);
    if (end == STEP_DONE)
        step->ret->is_held = is_held && standing == LEAT_SQLITE_STANDS;
    return end;
}

/* Of the first record; kept with its key. */
static int note_refusal(held_step *step, leat_error *error)
{
    const leat_shard_held_key *key = step->work->key;
    const leat_engine_reason *reason = &step->ret->reason;
    step->ret->refused = true;
    step->ret->refused_offset = step->offsets[0];
    sqlite3_stmt *note = leat_sqlite_prepare(
        &step->sqlite,
        "UPDATE leat_held SET at_ms = ?4, tries = tries + 1, sqlstate = nullif(?5, ''), message = ?6"
        " WHERE source = ?1 AND partition = ?2 AND hash = ?3",
        error);
    if (!note)
        return -1;
    sqlite3_bind_int(note, 1, key->source);
    sqlite3_bind_int64(note, 2, key->partition);
    sqlite3_bind_int64(note, 3, key->hash);
    sqlite3_bind_int64(note, 4, leat_wall_ms());
    sqlite3_bind_text(note, 5, reason->sqlstate, -1, SQLITE_STATIC);
    leat_sqlite_bind_message(note, 6, reason->message);
    int status = leat_sqlite_step(&step->sqlite, note, error);
    sqlite3_finalize(note);
    return status;
}

static int run_steps(held_step *step, leat_error *error)
{
    const leat_held_work *work = step->work;
    uint32_t most = LEAT_HELD_STEP_RECORDS;
    while (step->ret->is_held) {
        uint64_t left = work->most > 0 ? work->most - step->ret->done : most;
        if (left == 0)
            return 0;
        uint32_t refused = 0;
        held_end end = run_step(step, left < most ? (uint32_t)left : most, &refused, error);
        uint32_t count = step->count;
        if (!sqlite3_get_autocommit(step->sqlite.db))
            sqlite3_exec(step->sqlite.db, "ROLLBACK", NULL, NULL, NULL);
        if (end == STEP_REFUSED && refused == 0)
            return note_refusal(step, error);
        drop_records(step);
        if (end == STEP_FAILED)
            return -1;
        step->ret->done += end == STEP_DONE ? count : 0;
        most = end == STEP_DONE ? LEAT_HELD_STEP_RECORDS : refused;
    }
    return 0;
}

static int end_hold(const char *file, const leat_held_work *work, leat_held_result *ret,
                    leat_error *error)
{
    held_step *step = leat_must_calloc(1, sizeof *step);
    step->work = work;
    step->ret = ret;
    step->rows = leat_sqlite_rows_new();
    int status = step->rows ? leat_sqlite_open(&step->sqlite, file, BUSY_MS, error)
                            : leat_fail(error, "out of memory");
    if (status == 0)
        status = run_steps(step, error);
    drop_records(step);
    if (step->rows) {
        leat_sqlite_rows_forget(step->rows);
        leat_sqlite_close(&step->sqlite);
    }
    leat_sqlite_rows_free(step->rows);
    leat_sqlite_keys_free(&step->keys);
    free(step);
    return status;
}

const leat_shard_held_ops leat_sqlite_held = {.read = read_held, .end = end_hold};
