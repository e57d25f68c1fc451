/*
 * Values to and from SQLite, which has five storage classes and no types: leat writes canonical
 * values, so that equal values are equal bytes. Stored values may have been written by others and
 * are checked against the declared type, because an operation on another type would give nonsense.
 */
#include "sink/sqlite/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/base64.h"
#include "record/timestamp.h"

/* ---- to SQLite ---- */

static int bind_text(sqlite3_stmt *statement, int at, leat_slice text)
{
    return sqlite3_bind_text64(statement, at, text.data ? text.data : "", text.size,
                               SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int bind_bytes(sqlite3_stmt *statement, int at, leat_slice base64)
{
    leat_buf bytes = {0};
    leat_base64_decode(base64, &bytes);
    int code = bytes.failed ? SQLITE_NOMEM
                            : sqlite3_bind_blob64(statement, at, bytes.data ? bytes.data : "",
                                                  bytes.size, SQLITE_TRANSIENT);
    leat_buf_free(&bytes);
    return code;
}

/* "2026-01-02T03:04:05.678Z" without its 'Z', or only the part after the 'T'. */
static int bind_moment(sqlite3_stmt *statement, int at, leat_type type, int64_t us)
{
    LEAT_ASSERT(type == LEAT_TYPE_TIME || type == LEAT_TYPE_TIMESTAMP);
    char text[LEAT_TIMESTAMP_MAX];
    size_t size = leat_timestamp_format(us, text) - 1;
    size_t from = type == LEAT_TYPE_TIME ? LEAT_DATE_MAX + 1 : 0;
    return bind_text(statement, at, (leat_slice){text + from, size - from});
}

static int bind_canonical(sqlite3_stmt *statement, int at, leat_type type, const leat_value *value)
{
    LEAT_ASSERT(value->presence == LEAT_PRESENT);
    char room[LEAT_CANONICAL_MAX];
    return bind_text(statement, at, leat_value_canonical(type, value, room));
}

static int bind_present(sqlite3_stmt *statement, int at, leat_type type, const leat_value *value)
{
    switch (type) {
    case LEAT_TYPE_BOOL:
        return sqlite3_bind_int(statement, at, value->boolean);
    case LEAT_TYPE_INT2:
    case LEAT_TYPE_INT4:
    case LEAT_TYPE_INT8:
        return sqlite3_bind_int64(statement, at, value->integer);
    case LEAT_TYPE_FLOAT8:
        return sqlite3_bind_double(statement, at, value->real);
    case LEAT_TYPE_UUID:
    case LEAT_TYPE_DATE:
    case LEAT_TYPE_TIMESTAMPTZ:
        return bind_canonical(statement, at, type, value);
    case LEAT_TYPE_TIME:
    case LEAT_TYPE_TIMESTAMP:
        return bind_moment(statement, at, type, value->integer);
    case LEAT_TYPE_BYTEA:
        return bind_bytes(statement, at, value->text);
    default:
        return bind_text(statement, at, value->text);
    }
}

int leat_sqlite_bind(sqlite3_stmt *statement, int at, const leat_column *column,
                     const leat_value *value, leat_error *error)
{
    LEAT_ASSERT(at > 0 && value->presence != LEAT_ABSENT);
    if (value->presence != LEAT_PRESENT)
        return sqlite3_bind_null(statement, at) == SQLITE_OK ? 0
                                                             : leat_fail(error, "out of memory");
    if (column->type == LEAT_TYPE_FLOAT8 && isnan(value->real))
        return leat_fail(error, "%s: SQLite cannot store NaN", column->name);
    if (bind_present(statement, at, column->type, value) != SQLITE_OK)
        return leat_fail(error, "%s: %s", column->name,
                         sqlite3_errmsg(sqlite3_db_handle(statement)));
    return 0;
}

/* ---- from SQLite ---- */

static leat_slice stored_text(sqlite3_stmt *row, int at)
{
    const char *text = (const char *)sqlite3_column_text(row, at);
    return (leat_slice){text ? text : "", (size_t)sqlite3_column_bytes(row, at)};
}

static bool keep(leat_arena *texts, leat_slice from, leat_slice *ret)
{
    char *copy = leat_arena_take(texts, from.size + 1);
    if (copy)
        *ret = (leat_slice){memcpy(copy, from.data, from.size), from.size};
    return copy != NULL;
}

static bool read_bool(sqlite3_stmt *row, int at, leat_value *ret)
{
    int64_t integer = sqlite3_column_int64(row, at);
    ret->boolean = integer != 0;
    return sqlite3_column_type(row, at) == SQLITE_INTEGER && (integer == 0 || integer == 1);
}

/* A default is read before SQLite converts it to the column's affinity, so '0' may still be a
 * text. */
static bool read_integer(sqlite3_stmt *row, int at, const leat_column *column, leat_value *ret)
{
    LEAT_ASSERT(leat_type_is_integer(column->type));
    if (sqlite3_column_type(row, at) == SQLITE_TEXT)
        return leat_value_from_text(column, stored_text(row, at), ret, NULL) == 0;
    ret->integer = sqlite3_column_int64(row, at);
    return sqlite3_column_type(row, at) == SQLITE_INTEGER &&
           leat_integer_fits(column->type, ret->integer);
}

static bool read_real(sqlite3_stmt *row, int at, const leat_column *column, leat_value *ret)
{
    if (sqlite3_column_type(row, at) == SQLITE_TEXT)
        return leat_value_from_text(column, stored_text(row, at), ret, NULL) == 0;
    ret->real = sqlite3_column_double(row, at);
    return sqlite3_column_type(row, at) != SQLITE_BLOB;
}

static bool read_bytes(sqlite3_stmt *row, int at, leat_arena *texts, leat_value *ret)
{
    leat_buf text = {0};
    leat_base64_encode(
        (leat_slice){sqlite3_column_blob(row, at), (size_t)sqlite3_column_bytes(row, at)}, &text);
    bool kept = !text.failed &&
                keep(texts, (leat_slice){text.data ? text.data : "", text.size}, &ret->text);
    leat_buf_free(&text);
    return kept;
}

/* In the form that leat writes: without spaces, numbers as they are. */
static bool read_json(sqlite3_stmt *row, int at, leat_arena *texts, leat_value *ret)
{
    leat_slice text = stored_text(row, at);
    yyjson_doc *doc = yyjson_read(text.data, text.size, YYJSON_READ_NUMBER_AS_RAW);
    size_t size = 0;
    char *made = doc ? yyjson_write(doc, YYJSON_WRITE_NOFLAG, &size) : NULL;
    bool kept = made && keep(texts, (leat_slice){made, size}, &ret->text);
    free(made);
    yyjson_doc_free(doc);
    return kept;
}

/* CURRENT_TIMESTAMP is "2026-01-02 03:04:05", in UTC. */
static bool read_moment(sqlite3_stmt *row, int at, const leat_column *column, leat_value *ret)
{
    char spelt[LEAT_TIMESTAMP_MAX + 1];
    leat_slice text = stored_text(row, at);
    if (sqlite3_column_type(row, at) != SQLITE_TEXT)
        return false;
    if (leat_value_from_text(column, text, ret, NULL) == 0)
        return true;
    if (text.size <= LEAT_DATE_MAX || text.size >= sizeof spelt || text.data[LEAT_DATE_MAX] != ' ')
        return false;
    memcpy(spelt, text.data, text.size);
    spelt[LEAT_DATE_MAX] = 'T';
    if (column->type == LEAT_TYPE_TIMESTAMPTZ)
        spelt[text.size++] = 'Z';
    return leat_value_from_text(column, (leat_slice){spelt, text.size}, ret, NULL) == 0;
}

static bool read_present(sqlite3_stmt *row, int at, const leat_column *column, leat_arena *texts,
                         leat_value *ret)
{
    switch (column->type) {
    case LEAT_TYPE_BOOL:
        return read_bool(row, at, ret);
    case LEAT_TYPE_INT2:
    case LEAT_TYPE_INT4:
    case LEAT_TYPE_INT8:
        return read_integer(row, at, column, ret);
    case LEAT_TYPE_FLOAT8:
        return read_real(row, at, column, ret);
    case LEAT_TYPE_UUID:
    case LEAT_TYPE_DATE:
    case LEAT_TYPE_TIME:
    case LEAT_TYPE_TIMESTAMP:
    case LEAT_TYPE_TIMESTAMPTZ:
        return read_moment(row, at, column, ret);
    case LEAT_TYPE_BYTEA:
        return read_bytes(row, at, texts, ret);
    case LEAT_TYPE_JSONB:
        return read_json(row, at, texts, ret);
    default:
        return keep(texts, stored_text(row, at), &ret->text);
    }
}

int leat_sqlite_value(sqlite3_stmt *row, int at, const leat_column *column, leat_arena *texts,
                      leat_value *ret, leat_error *error)
{
    LEAT_ASSERT(at >= 0 && at < sqlite3_column_count(row));
    *ret = (leat_value){.presence = LEAT_NULL};
    if (sqlite3_column_type(row, at) == SQLITE_NULL)
        return 0;
    bool is_of_type = read_present(row, at, column, texts, ret);
    ret->presence = LEAT_PRESENT;
    if (is_of_type)
        return 0;
    return leat_fail(error, "%s: the stored value %.64s is not a %s", column->name,
                     stored_text(row, at).data, column->type_name);
}
