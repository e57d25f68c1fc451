/*
 * value.h - a typed value in SQLite's form, and back. The form of each type: docs/http.md, "Of a
 * SQLite shard". Not for use outside src/sink. One thread.
 */
#ifndef LEAT_SINK_SQLITE_VALUE_H
#define LEAT_SINK_SQLITE_VALUE_H

#include <sqlite3.h>

#include "record/arena.h"
#include "record/value.h"

/* Binds a value, NULL or present, to parameter `at`. -1: SQLite cannot keep it (NaN), or memory is
 * out; see `error`. */
int leat_sqlite_bind(sqlite3_stmt *statement, int at, const leat_column *column,
                     const leat_value *value, leat_error *error) LEAT_MUST_CHECK;

/* The stored value as one of the column's type; its text lives in `texts`. -1: it is not of that
 * type, because another program has written it; `error` names the column and shows it. */
int leat_sqlite_value(sqlite3_stmt *row, int at, const leat_column *column, leat_arena *texts,
                      leat_value *ret, leat_error *error) LEAT_MUST_CHECK;

#endif
