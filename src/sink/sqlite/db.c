/*
 * SQLite's result codes become SQLSTATEs here, and nowhere else: the table of outcomes (sqlstate.c)
 * is then one for both kinds of shard. A file is never created: a mistyped path would otherwise
 * become a new, empty shard.
 */
#include "sink/sqlite/db.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/utf8.h"

typedef struct code_state {
    int code;
    const char *sqlstate;
} code_state;

/* Extended codes first, then their primary codes (the low byte). */
static const code_state extended_codes[] = {
    {SQLITE_CONSTRAINT_NOTNULL, "23502"}, {SQLITE_CONSTRAINT_FOREIGNKEY, "23503"},
    {SQLITE_CONSTRAINT_UNIQUE, "23505"},  {SQLITE_CONSTRAINT_PRIMARYKEY, "23505"},
    {SQLITE_CONSTRAINT_ROWID, "23505"},   {SQLITE_CONSTRAINT_CHECK, "23514"},
    {SQLITE_CONSTRAINT_TRIGGER, "P0001"}, {SQLITE_CONSTRAINT_DATATYPE, "22000"},
};

static const code_state primary_codes[] = {
    {SQLITE_CONSTRAINT, "23000"}, {SQLITE_MISMATCH, "22000"}, {SQLITE_RANGE, "XX000"},
    {SQLITE_TOOBIG, "54000"},     {SQLITE_BUSY, "55P03"},     {SQLITE_LOCKED, "55P03"},
    {SQLITE_INTERRUPT, "57014"},  {SQLITE_FULL, "53100"},     {SQLITE_NOMEM, "53200"},
    {SQLITE_IOERR, "53000"},      {SQLITE_CANTOPEN, "53000"}, {SQLITE_READONLY, "25006"},
    {SQLITE_PERM, "25006"},       {SQLITE_AUTH, "42501"},     {SQLITE_ERROR, "42000"},
    {SQLITE_SCHEMA, "55P03"},     {SQLITE_CORRUPT, "XX001"},  {SQLITE_NOTADB, "XX001"},
};

static const char *find(const code_state *states, size_t count, int code)
{
    LEAT_ASSERT(count > 0);
    for (size_t i = 0; i < count; i++)
        if (states[i].code == code)
            return states[i].sqlstate;
    return NULL;
}

const char *leat_sqlite_sqlstate(int extended_code)
{
    const char *found =
        find(extended_codes, sizeof extended_codes / sizeof *extended_codes, extended_code);
    if (!found)
        found =
            find(primary_codes, sizeof primary_codes / sizeof *primary_codes, extended_code & 0xff);
    return found ? found : "XX000";
}

static int fail(leat_sqlite *sqlite, leat_error *error)
{
    return leat_fail(error, "%s: %s (%s)", sqlite->file, sqlite3_errmsg(sqlite->db),
                     leat_sqlite_sqlstate(sqlite3_extended_errcode(sqlite->db)));
}

int leat_sqlite_open(leat_sqlite *sqlite, const char *file, int64_t busy_ms, leat_error *error)
{
    LEAT_ASSERT(file[0] != '\0' && busy_ms >= 0);
    *sqlite = (leat_sqlite){0};
    snprintf(sqlite->file, sizeof sqlite->file, "%s", file);
    if (access(file, F_OK) != 0 && errno == ENOENT)
        return leat_fail(
            error,
            "%s does not exist: make it with your tables in it first: sqlite3 %s < schema.sql",
            file, file);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(file, &sqlite->db, flags, NULL);
    if (code != SQLITE_OK) /* there is a handle even then, unless out of memory */
        return leat_fail(error, "%s: %s", sqlite->file,
                         sqlite->db ? sqlite3_errmsg(sqlite->db) : "out of memory");
    sqlite3_busy_timeout(sqlite->db, (int)busy_ms);
    return leat_sqlite_run(
        sqlite, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
        error);
}

void leat_sqlite_close(leat_sqlite *sqlite)
{
    sqlite3_close_v2(sqlite->db);
    sqlite->db = NULL;
}

int leat_sqlite_run(leat_sqlite *sqlite, const char *sql, leat_error *error)
{
    LEAT_ASSERT(sqlite->db);
    return sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(sqlite, error);
}

sqlite3_stmt *leat_sqlite_prepare(leat_sqlite *sqlite, const char *sql, leat_error *error)
{
    LEAT_ASSERT(sqlite->db);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(sqlite, error);
    return statement;
}

int leat_sqlite_step(leat_sqlite *sqlite, sqlite3_stmt *statement, leat_error *error)
{
    LEAT_ASSERT(sqlite3_db_handle(statement) == sqlite->db);
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return fail(sqlite, error);
    }
}

int leat_sqlite_each(leat_sqlite *sqlite, const char *sql, const char *topic, leat_sqlite_take take,
                     void *context, leat_error *error)
{
    sqlite3_stmt *query = leat_sqlite_prepare(sqlite, sql, error);
    if (!query)
        return -1;
    sqlite3_bind_text(query, 1, topic, -1, SQLITE_STATIC);
    int status;
    while ((status = leat_sqlite_step(sqlite, query, error)) == 1 &&
           (status = take(context, query, error)) == 0)
        ;
    sqlite3_finalize(query);
    return status;
}

bool leat_sqlite_is_busy(const leat_sqlite *sqlite)
{
    return sqlite->db && (sqlite3_errcode(sqlite->db) & 0xff) == SQLITE_BUSY;
}

int leat_sqlite_integer(leat_sqlite *sqlite, const char *sql, int64_t *ret, leat_error *error)
{
    sqlite3_stmt *query = leat_sqlite_prepare(sqlite, sql, error);
    if (!query)
        return -1;
    int status = leat_sqlite_step(sqlite, query, error);
    if (status == 1)
        *ret = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    if (status == 0)
        return leat_fail(error, "%s: nothing found", sqlite->file);
    return status == 1 ? 0 : -1;
}

void leat_sqlite_bind_message(sqlite3_stmt *to, int at, const char *message)
{
    leat_buf text = {0};
    leat_utf8_append(&text, leat_slice_of(message));
    sqlite3_bind_text64(to, at, text.data ? text.data : "", text.size, SQLITE_TRANSIENT,
                        SQLITE_UTF8);
    leat_buf_free(&text);
}
