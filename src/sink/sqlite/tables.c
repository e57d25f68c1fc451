/*
 * Tables of a SQLite file, as leat sees them. The file and its tables are the user's; leat adds
 * tables named leat_*. SQLite lets any value into any column, so leat takes a column's type from
 * its declaration: the first word counts, in any case (docs/http.md lists them).
 *
 * Anything else, and a column without a type, cannot be written by leat: it must be nullable or
 * have a default. Keys must be compared by BINARY, as leat compares them.
 */
#include "sink/shard_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/sqlite/db.h"

enum { BUSY_MS = 5000, WORD_MAX = 32 };

/* ---- declared types ---- */

typedef struct declared_type {
    const char *word;
    leat_type type;
} declared_type;

static const declared_type declared_types[] = {
    {"bool", LEAT_TYPE_BOOL},
    {"boolean", LEAT_TYPE_BOOL},
    {"smallint", LEAT_TYPE_INT2},
    {"int2", LEAT_TYPE_INT2},
    {"int4", LEAT_TYPE_INT4},
    {"int", LEAT_TYPE_INT8},
    {"integer", LEAT_TYPE_INT8},
    {"bigint", LEAT_TYPE_INT8},
    {"int8", LEAT_TYPE_INT8},
    {"real", LEAT_TYPE_FLOAT8},
    {"double", LEAT_TYPE_FLOAT8},
    {"float", LEAT_TYPE_FLOAT8},
    {"float8", LEAT_TYPE_FLOAT8},
    {"numeric", LEAT_TYPE_FLOAT8},
    {"decimal", LEAT_TYPE_FLOAT8},
    {"text", LEAT_TYPE_TEXT},
    {"varchar", LEAT_TYPE_TEXT},
    {"character", LEAT_TYPE_TEXT},
    {"char", LEAT_TYPE_TEXT},
    {"uuid", LEAT_TYPE_UUID},
    {"date", LEAT_TYPE_DATE},
    {"time", LEAT_TYPE_TIME},
    {"timestamp", LEAT_TYPE_TIMESTAMP},
    {"timestamptz", LEAT_TYPE_TIMESTAMPTZ},
    {"datetime", LEAT_TYPE_TIMESTAMPTZ},
    {"blob", LEAT_TYPE_BYTEA},
    {"bytea", LEAT_TYPE_BYTEA},
    {"json", LEAT_TYPE_JSONB},
    {"jsonb", LEAT_TYPE_JSONB},
};

/* By the first word; LEAT_TYPE_OTHER when leat does not know it. */
static leat_type type_of(const char *declared)
{
    char word[WORD_MAX];
    size_t size = strcspn(declared, " (\t");
    if (size >= sizeof word)
        return LEAT_TYPE_OTHER;
    memcpy(word, declared, size);
    word[size] = '\0';
    for (size_t i = 0; i < sizeof declared_types / sizeof *declared_types; i++)
        if (strcasecmp(declared_types[i].word, word) == 0)
            return declared_types[i].type;
    return LEAT_TYPE_OTHER;
}

/* As PostgreSQL's modifier of varchar(n): n + 4. */
static int32_t modifier_of(leat_type type, const char *declared)
{
    LEAT_ASSERT(type != LEAT_TYPE_OTHER);
    const char *open = strchr(declared, '(');
    long length = type == LEAT_TYPE_TEXT && open ? strtol(open + 1, NULL, 10) : 0;
    return length > 0 && length < 1000000000 ? (int32_t)length + 4 : -1;
}

/* ---- columns ---- */

/* A generated column is hidden = 2 or 3; 1 is of virtual tables. SQLite shows the collations
 * of indexes only: of a key that is the rowid there is none. */
static const char columns_sql[] =
    "SELECT c.name, c.type, c.\"notnull\" OR (c.pk > 0 AND lower(c.type) = 'integer'), c.dflt_value, c.pk, c.hidden,"
    "       (SELECT x.coll FROM pragma_index_list(?1) AS l, pragma_index_xinfo(l.name) AS x"
    "         WHERE l.origin = 'pk' AND x.key AND x.name = c.name)"
    "  FROM pragma_table_xinfo(?1) AS c ORDER BY c.cid";

enum { NAME, TYPE, NOT_NULL, DEFAULT, KEY, HIDDEN, COLLATION };

typedef struct table_reader {
    leat_sqlite *sqlite;
    leat_table *table;
    leat_error *error;
} table_reader;

static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? text : "";
}

static int fail_column(const table_reader *reader, sqlite3_stmt *row, const char *why)
{
    return leat_fail(reader->error, "table %s in %s: column %s %s", reader->table->label,
                     reader->sqlite->file, text_of(row, NAME), why);
}

static int place_key(const table_reader *reader, sqlite3_stmt *row, uint32_t index)
{
    LEAT_ASSERT(index < reader->table->column_count);
    leat_table *table = reader->table;
    int position = sqlite3_column_int(row, KEY) - 1;
    const char *collation = text_of(row, COLLATION);
    if (position < 0)
        return 0;
    if (position >= LEAT_KEY_COLUMNS_MAX)
        return leat_fail(reader->error, "table %s in %s: its primary key has more than %d columns",
                         table->label, reader->sqlite->file, LEAT_KEY_COLUMNS_MAX);
    if (!leat_type_is_key(table->columns[index].type))
        return fail_column(reader, row, "is of a type that cannot be in a key");
    if (*collation && strcasecmp(collation, "BINARY") != 0)
        return fail_column(
            reader, row,
            "is in the key and has another collation than BINARY: equal keys must be equal bytes");
    table->columns[index].key_position = (int8_t)position;
    table->key_columns[position] = index;
    table->key_count++;
    return 0;
}

/* leat leaves a column alone that it cannot write, if the row can do without it. */
static int leave_out(const table_reader *reader, sqlite3_stmt *row)
{
    LEAT_ASSERT(type_of(text_of(row, TYPE)) == LEAT_TYPE_OTHER);
    if (sqlite3_column_int(row, KEY) > 0)
        return fail_column(
            reader, row,
            "is in the key and of a type that leat does not know (docs/http.md lists them)");
    if (sqlite3_column_int(row, NOT_NULL) && sqlite3_column_type(row, DEFAULT) == SQLITE_NULL)
        return fail_column(
            reader, row,
            "is NOT NULL without a default, of a type that leat does not know (docs/http.md lists "
            "them)");
    return 0;
}

static int take_column(const table_reader *reader, sqlite3_stmt *row)
{
    LEAT_ASSERT(reader->table->column_count <= LEAT_COLUMNS_MAX);
    leat_table *table = reader->table;
    const char *declared = text_of(row, TYPE);
    leat_type type = type_of(declared);
    if (type == LEAT_TYPE_OTHER)
        return leave_out(reader, row);
    if (table->column_count == LEAT_COLUMNS_MAX)
        return leat_fail(reader->error, "table %s in %s: it has more than %d columns", table->label,
                         reader->sqlite->file, LEAT_COLUMNS_MAX);
    if (strlen(text_of(row, NAME)) > LEAT_NAME_MAX)
        return fail_column(reader, row, "has a name of more than 63 bytes");
    uint32_t index = table->column_count++;
    leat_column *column = &table->columns[index];
    *column = (leat_column){.type = type,
                            .type_modifier = modifier_of(type, declared),
                            .not_null = sqlite3_column_int(row, NOT_NULL) != 0,
                            .generated = sqlite3_column_int(row, HIDDEN) >= 2,
                            .by_bytes = type == LEAT_TYPE_TEXT,
                            .key_position = -1};
    snprintf(column->name, sizeof column->name, "%s", text_of(row, NAME));
    snprintf(column->type_name, sizeof column->type_name, "%s", declared);
    snprintf(column->cast_name, sizeof column->cast_name, "%s", declared);
    if (sqlite3_column_type(row, DEFAULT) != SQLITE_NULL && !column->generated)
        column->default_expression = leat_must_strdup(text_of(row, DEFAULT));
    return place_key(reader, row, index);
}

static int read_columns(const table_reader *reader)
{
    sqlite3_stmt *query = leat_sqlite_prepare(reader->sqlite, columns_sql, reader->error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, reader->table->name, -1, SQLITE_STATIC);
    int status;
    while ((status = leat_sqlite_step(reader->sqlite, query, reader->error)) == 1)
        if ((status = take_column(reader, query)) != 0)
            break;
    sqlite3_finalize(query);
    return status;
}

/* ---- tables ---- */

static bool is_own(const char *name)
{
    return strncasecmp(name, "leat_", 5) == 0 || strncasecmp(name, "sqlite_", 7) == 0;
}

/* The table's name as the file has it: names have no case in SQLite. */
static int find_table(const table_reader *reader, const char *name)
{
    leat_table *table = reader->table;
    sqlite3_stmt *query = leat_sqlite_prepare(
        reader->sqlite,
        "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE",
        reader->error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
    int status = leat_sqlite_step(reader->sqlite, query, reader->error);
    if (status == 1)
        snprintf(table->name, sizeof table->name, "%s", text_of(query, 0));
    if (status == 1 && strcmp(text_of(query, 1), "table") != 0)
        status = leat_fail(reader->error, "table %s in %s: it is a %s, a table is needed",
                           table->label, reader->sqlite->file, text_of(query, 1));
    else if (status == 0)
        status = leat_fail(reader->error, "table %s: not found in %s", table->label,
                           reader->sqlite->file);
    sqlite3_finalize(query);
    return status == 1 ? 0 : -1;
}

static int read_table(leat_sqlite *sqlite, const char *label, leat_table *ret, leat_error *error)
{
    table_reader reader = {sqlite, ret, error};
    const char *dot = strchr(label, '.');
    const char *name = dot ? dot + 1 : label;
    if (strlen(label) >= sizeof ret->label || strlen(name) > LEAT_NAME_MAX)
        return leat_fail(error, "table %s: the name is too long", label);
    snprintf(ret->label, sizeof ret->label, "%s", label);
    snprintf(ret->schema, sizeof ret->schema, "main");
    if (dot && (dot - label != 4 || strncasecmp(label, "main", 4) != 0))
        return leat_fail(error, "table %s: a SQLite file has no other schema than main", label);
    if (is_own(name))
        return leat_fail(error, "table %s: such names are leat's and SQLite's own", label);
    if (find_table(&reader, name) != 0 || read_columns(&reader) != 0)
        return -1;
    if (ret->key_count == 0)
        return leat_fail(error, "table %s in %s: it has no primary key", label, sqlite->file);
    return 0;
}

static int query_tables(leat_sqlite *sqlite, const char *const *labels, uint32_t count,
                        leat_table *ret, uint32_t *ret_at, leat_error *error)
{
    int status = leat_sqlite_run(sqlite, "BEGIN", error);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = read_table(sqlite, labels[ *ret_at = i], &ret[i], error);
    return status;
}

static int read_tables(const char *file, const char *const *labels, uint32_t count, leat_table *ret,
                       leat_error *error)
{
    leat_sqlite sqlite;
    uint32_t at = count;
    memset(ret, 0, count * sizeof *ret);
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = query_tables(&sqlite, labels, count, ret, &at, error);
    leat_sqlite_close(&sqlite);
    if (status != 0)
        leat_tables_give_up(labels, count, at, ret);
    return status;
}

const leat_shard_tables_ops leat_sqlite_tables = {.read = read_tables};
