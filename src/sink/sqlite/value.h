/*
 * value.h - a typed value as SQLite keeps it, and back. How each type is kept: docs/http.md, "Of a
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

/* What is stored, as a value of the column's type; its text lives in `texts`. -1: it is none, as
 * after another program has written it; `error` names the column and shows it. */
int leat_sqlite_value(sqlite3_stmt *row, int at, const leat_column *column, leat_arena *texts,
                      leat_value *ret, leat_error *error) LEAT_MUST_CHECK;

#endif
