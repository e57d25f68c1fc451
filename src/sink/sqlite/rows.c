/*
 * Rows are written one by one, read and then upserted: SQLite is in the process, so a statement
 * costs microseconds, and the fold, which knows PostgreSQL's semantics, computes the results of
 * PATCH instead of SQL. The upsert has a WHERE that is false when nothing changes; then no page is
 * written and no UPDATE trigger fires. A write that should have changed a row and did not is an
 * error, since a trigger may have dropped it (RAISE(IGNORE)).
 */
#include "sink/sqlite/rows.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/fold.h"
#include "sink/sqlite/sql.h"
#include "sink/sqlite/value.h"
#include "sink/sqlstate.h"

enum { TEXT_MAX = 64 * 1024 * 1024 }; /* of a value that an operation makes */

typedef struct route_statements {
    sqlite3_stmt *at[LEAT_SQLITE_STATEMENT_COUNT]; /* NULL: not prepared yet */
} route_statements;

struct leat_sqlite_rows {
    leat_body_parser *parser;
    leat_fold *fold;
    leat_arena texts;     /* of the stored row */
    leat_body body;       /* of the current record */
    leat_row_write write; /* its effect, with these values */
    leat_value values[LEAT_COLUMNS_MAX];
    leat_value stored[LEAT_COLUMNS_MAX];
    uint64_t held_back; /* columns that have not advanced by their step: bound as they are stored */
    const leat_routes *routes; /* the version that the statements belong to */
    route_statements statements[LEAT_ROUTES_MAX];
};

/* A record on its way to its row. */
typedef struct writing {
    leat_sqlite_rows *rows;
    leat_sqlite *sqlite;
    const leat_route *route;
    const leat_item *item;
    leat_sqlite_counts *counts;
    leat_sqlite_fault *fault;
} writing;

/* ---- memory ---- */

leat_sqlite_rows *leat_sqlite_rows_new(void)
{
    leat_sqlite_rows *rows = leat_must_calloc(1, sizeof *rows);
    rows->parser = leat_body_parser_new();
    rows->fold = leat_fold_new();
    if (rows->parser && rows->fold) {
        leat_fold_limit(rows->fold, TEXT_MAX);
        return rows;
    }
    leat_sqlite_rows_free(rows);
    return NULL;
}

void leat_sqlite_rows_forget(leat_sqlite_rows *rows)
{
    for (uint32_t r = 0; r < LEAT_ROUTES_MAX; r++)
        for (int s = 0; s < LEAT_SQLITE_STATEMENT_COUNT; s++)
            sqlite3_finalize(rows->statements[r].at[s]);
    memset(rows->statements, 0, sizeof rows->statements);
}

void leat_sqlite_rows_free(leat_sqlite_rows *rows)
{
    if (!rows)
        return;
    leat_sqlite_rows_forget(rows);
    leat_body_parser_free(rows->parser);
    leat_fold_free(rows->fold);
    leat_arena_fini(&rows->texts);
    free(rows);
}

/* ---- faults ---- */

LEAT_PRINTF(4, 5)
static int refuse(const writing *w, leat_engine_outcome outcome, const char *sqlstate,
                  const char *format, ...)
{
    LEAT_ASSERT(outcome != LEAT_ENGINE_APPLIED && strlen(sqlstate) < sizeof w->fault->sqlstate);
    va_list arguments;
    va_start(arguments, format);
    *w->fault = (leat_sqlite_fault){.outcome = outcome};
    snprintf(w->fault->sqlstate, sizeof w->fault->sqlstate, "%s", sqlstate);
    vsnprintf(w->fault->error.text, sizeof w->fault->error.text, format, arguments);
    va_end(arguments);
    return -1;
}

static int fail_memory(const writing *w)
{
    return refuse(w, LEAT_ENGINE_OUTAGE, "53200", "out of memory");
}

/* With the message of SQLite. */
static int fail_sqlite(const writing *w, const char *sqlstate)
{
    leat_sql_error error = {.sqlstate = sqlstate, .severity = "ERROR"};
    return refuse(w, leat_sqlstate_outcome(&error, LEAT_SQL_ROWS), sqlstate, "%s",
                  sqlite3_errmsg(w->sqlite->db));
}

/* ---- statements ---- */

static sqlite3_stmt *statement(const writing *w, leat_sqlite_statement which)
{
    LEAT_ASSERT(which < LEAT_SQLITE_STATEMENT_COUNT && w->route->index < LEAT_ROUTES_MAX);
    sqlite3_stmt **kept = &w->rows->statements[w->route->index].at[which];
    if (*kept) {
        sqlite3_reset(*kept);
        return *kept;
    }
    leat_buf sql = {0};
    leat_sqlite_sql(which, w->route->table, &sql);
    const char *text = leat_buf_cstr(&sql);
    if (!text)
        fail_memory(w);
    else if (sqlite3_prepare_v3(w->sqlite->db, text, -1, SQLITE_PREPARE_PERSISTENT, kept, NULL) !=
             SQLITE_OK)
        fail_sqlite(w, leat_sqlite_sqlstate(sqlite3_extended_errcode(w->sqlite->db)));
    leat_buf_free(&sql);
    return *kept;
}

/* SQLITE_ERROR is the code for a table that was altered and for an expression that fails on the
 * data: in the first case the statement can no longer be prepared. */
static bool is_about_data(const writing *w, sqlite3_stmt *of)
{
    sqlite3_stmt *again = NULL;
    bool can_be = sqlite3_prepare_v2(w->sqlite->db, sqlite3_sql(of), -1, &again, NULL) == SQLITE_OK;
    sqlite3_finalize(again);
    return can_be;
}

/* 1 a row, 0 done, -1 a fault. */
static int step(const writing *w, sqlite3_stmt *of)
{
    int code = sqlite3_step(of);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return code == SQLITE_ROW;
    int extended = sqlite3_extended_errcode(w->sqlite->db);
    int status = fail_sqlite(w, leat_sqlite_sqlstate(extended));
    if ((extended & 0xff) == SQLITE_ERROR && is_about_data(w, of)) {
        w->fault->outcome = LEAT_ENGINE_BAD_DATA;
        memcpy(w->fault->sqlstate, "P0001", sizeof "P0001");
    }
    sqlite3_reset(of);
    return status;
}

static int bind(const writing *w, sqlite3_stmt *to, int at, const leat_column *column,
                const leat_value *value)
{
    leat_error error;
    if (leat_sqlite_bind(to, at, column, value, &error) == 0)
        return 0;
    return refuse(w, LEAT_ENGINE_BAD_DATA, "22003", "%s", error.text);
}

static int bind_key(const writing *w, sqlite3_stmt *to)
{
    LEAT_ASSERT(sqlite3_bind_parameter_count(to) >= (int)w->route->table->key_count);
    const leat_table *table = w->route->table;
    for (uint32_t i = 0; i < table->key_count; i++)
        if (bind(w, to, (int)i + 1, &table->columns[table->key_columns[i]], &w->item->key[i]) != 0)
            return -1;
    return 0;
}

/* ---- the record ---- */

static int read_body(const writing *w)
{
    leat_sqlite_rows *rows = w->rows;
    leat_body_error error;
    leat_body_fault fault = w->item->op == LEAT_DELETE
                                ? LEAT_BODY_OK
                                : leat_body_parse(rows->parser, w->route, w->item->op,
                                                  w->item->record.value, w->item->key, &rows->body,
                                                  &error);
    if (fault == LEAT_BODY_MEMORY)
        return fail_memory(w);
    if (fault != LEAT_BODY_OK) {
        refuse(w, LEAT_ENGINE_BAD_DATA, "", "%s%s%s", error.field, *error.field ? ": " : "",
               error.message);
        w->fault->relies_on_table = fault == LEAT_BODY_REFUSED;
        return -1;
    }
    rows->write.values = rows->values;
    LEAT_ASSERT(w->route->table->column_count <= LEAT_COLUMNS_MAX);
    return leat_fold_start(rows->fold, w->route, w->item->op, &rows->body, &rows->write) < 0
               ? fail_memory(w)
               : 0;
}

/* ---- operations ---- */

/* The operation on its own, where the fold keeps the two apart. */
static int apply_apart(const writing *w, uint32_t column, leat_value *base,
                       const leat_value *operand)
{
    const leat_column *of = &w->route->table->columns[column];
    if (w->route->ops[column] != LEAT_OP_ADD)
        return refuse(w, LEAT_ENGINE_BAD_DATA, "54000", "%s: the value becomes too large",
                      of->name);
    if (!leat_type_is_float(of->type))
        return refuse(w, LEAT_ENGINE_BAD_DATA, "22003", "%s: %s out of range", of->name,
                      of->type_name);
    base->real += operand->real;
    return isfinite(base->real) ? 0
                                : refuse(w, LEAT_ENGINE_BAD_DATA, "22003", "%s: %s out of range",
                                         of->name, of->type_name);
}

/* Turns an operand into its result, starting from field `at` of `row`. */
static int apply_operation(const writing *w, uint32_t column, sqlite3_stmt *row, int at)
{
    LEAT_ASSERT(w->rows->values[column].presence == LEAT_PRESENT);
    leat_sqlite_rows *rows = w->rows;
    uint64_t bit = (uint64_t)1 << column;
    leat_error error;
    leat_value *base = &rows->stored[column];
    if (leat_sqlite_value(row, at, &w->route->table->columns[column], &rows->texts, base, &error) !=
        0)
        return refuse(w, LEAT_ENGINE_DRIFT, "42804", "%s", error.text);
    leat_row_write from = {.op = LEAT_PUT, .present = bit, .values = rows->stored};
    leat_row_write next = {.op = LEAT_PATCH,
                           .merge = rows->write.merge,
                           .present = bit,
                           .operated = bit,
                           .values = rows->values};
    leat_fold_outcome folded = leat_fold_next(rows->fold, w->route, &from, &next);
    if (folded == LEAT_FOLD_MEMORY)
        return fail_memory(w);
    if (folded == LEAT_FOLD_APART && apply_apart(w, column, base, &rows->values[column]) != 0)
        return -1;
    rows->values[column] = *base;
    return 0;
}

/* The same for a `max` whose step has a say: where it is not reached, the stored value stays for
 * now. */
static int apply_step(const writing *w, uint32_t column, sqlite3_stmt *row, int at)
{
    LEAT_ASSERT(w->route->ops[column] == LEAT_OP_MAX);
    leat_sqlite_rows *rows = w->rows;
    const leat_value operand = rows->values[column];
    const leat_column *of = &w->route->table->columns[column];
    leat_value stored;
    leat_error error;
    if (apply_operation(w, column, row, at) != 0)
        return -1;
    if (leat_sqlite_value(row, at, of, &rows->texts, &stored, &error) != 0)
        return refuse(w, LEAT_ENGINE_DRIFT, "42804", "%s", error.text);
    if (stored.presence != LEAT_PRESENT ||
        leat_step_reached(of->type, &w->route->steps[column], &stored, &operand))
        return 0;
    rows->held_back |= (uint64_t)1 << column;
    return 0;
}

/* ---- rows ---- */

/* The starting point of the row: 1 there is one, 0 none (the route wants rows to exist), -1 a
 * fault. */
static int read_base(const writing *w, sqlite3_stmt **ret, bool *ret_stored)
{
    *ret_stored = false;
    LEAT_ASSERT(w->rows->write.op != LEAT_DELETE);
    if (w->rows->write.op == LEAT_PATCH) {
        *ret = statement(w, LEAT_SQLITE_SELECT);
        if (!*ret || bind_key(w, *ret) != 0)
            return -1;
        int found = step(w, *ret);
        *ret_stored = found > 0;
        if (found != 0 || w->route->patch_existing)
            return found;
    }
    *ret = statement(w, LEAT_SQLITE_DEFAULTS);
    return *ret ? step(w, *ret) : -1;
}

/* The results of the operations instead of their operands. `base`: the row they start from;
 * `stored`: it is the stored one. */
static int apply_operations(const writing *w, sqlite3_stmt *base, bool stored)
{
    const leat_table *table = w->route->table;
    leat_row_write *write = &w->rows->write;
    int at = 0;
    w->rows->held_back = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sqlite_is_written(&table->columns[i]))
            continue;
        bool is_stepped = stored && w->route->steps[i].is_set;
        if (write->operated >> i & 1 &&
            (is_stepped ? apply_step(w, i, base, at) : apply_operation(w, i, base, at)) != 0)
            return -1;
        at++;
    }
    write->operated = 0;
    return 0;
}

/* `base`: the row from which columns that are not named are taken. */
static int bind_columns(const writing *w, sqlite3_stmt *upsert, sqlite3_stmt *base)
{
    LEAT_ASSERT(w->rows->write.operated == 0);
    const leat_table *table = w->route->table;
    const leat_row_write *write = &w->rows->write;
    int at = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        int parameter = (int)table->key_count + at + 1;
        if (!leat_sqlite_is_written(&table->columns[i]))
            continue;
        if (!(write->present >> i & 1) || w->rows->held_back >> i & 1)
            sqlite3_bind_value(upsert, parameter, sqlite3_column_value(base, at));
        else if (bind(w, upsert, parameter, &table->columns[i], &write->values[i]) != 0)
            return -1;
        at++;
    }
    LEAT_ASSERT(sqlite3_bind_parameter_count(upsert) == (int)table->key_count + at);
    return 0;
}

static void finish_statement(sqlite3_stmt *used)
{
    if (!used)
        return;
    sqlite3_reset(used);
    sqlite3_clear_bindings(used);
}

static int refuse_untouched(const writing *w)
{
    return refuse(
        w, LEAT_ENGINE_BAD_DATA, "LT008",
        "SQLite took the write to %s without an error but touched no row: a trigger uses RAISE(IGNORE)",
        w->route->table->label);
}

/* A statement has changed no row: because there is nothing to change, or because a trigger has
 * dropped the write. Nobody else writes meanwhile. */
static bool may_be_dropped(const writing *w)
{
    return sqlite3_changes(w->sqlite->db) == 0 && !w->route->accept_untouched;
}

/* Is just this row there? 1 yes, 0 no, -1 a fault. `base`: as for the write. */
static int is_there(const writing *w, sqlite3_stmt *base)
{
    sqlite3_stmt *there = statement(w, LEAT_SQLITE_IS_THERE);
    int found =
        there && bind_key(w, there) == 0 && bind_columns(w, there, base) == 0 ? step(w, there) : -1;
    finish_statement(there);
    return found;
}

/* 1: the row changes even if the columns below their step keep what is stored; then they go along.
 * 0: it does not, -1: a fault. */
static int is_worth_writing(const writing *w, sqlite3_stmt *base)
{
    if (w->rows->held_back == 0)
        return 1;
    int same = is_there(w, base);
    w->rows->held_back = 0;
    return same < 0 ? -1 : !same;
}

static int write_row(const writing *w, sqlite3_stmt *base)
{
    sqlite3_stmt *upsert = statement(w, LEAT_SQLITE_UPSERT);
    int status = upsert && bind_key(w, upsert) == 0 && bind_columns(w, upsert, base) == 0
                     ? step(w, upsert)
                     : -1;
    if (status == 0 && may_be_dropped(w)) {
        int found = is_there(w, base);
        status = found == 0 ? refuse_untouched(w) : found < 0 ? -1 : 0;
    }
    finish_statement(upsert);
    return status;
}

static int upsert_row(const writing *w)
{
    sqlite3_stmt *base;
    bool stored;
    int found = read_base(w, &base, &stored);
    if (found == 0)
        w->counts->dropped++;
    if (found <= 0)
        return found;
    int status = apply_operations(w, base, stored);
    if (status == 0)
        status = is_worth_writing(w, base);
    if (status > 0)
        status = write_row(w, base);
    sqlite3_reset(base);
    return status;
}

static int delete_row(const writing *w)
{
    LEAT_ASSERT(w->rows->write.present == 0 && w->rows->write.operated == 0);
    sqlite3_stmt *delete = statement(w, LEAT_SQLITE_DELETE);
    if (!delete || bind_key(w, delete) != 0)
        return -1;
    int status = step(w, delete);
    sqlite3_reset(delete);
    if (status != 0 || !may_be_dropped(w))
        return status;
    sqlite3_stmt *left = statement(w, LEAT_SQLITE_SELECT);
    int found = left && bind_key(w, left) == 0 ? step(w, left) : -1;
    finish_statement(left);
    return found > 0 ? refuse_untouched(w) : found;
}

int leat_sqlite_rows_write(leat_sqlite_rows *rows, leat_sqlite *sqlite, const leat_routes *routes,
                           const leat_item *item, leat_sqlite_counts *counts,
                           leat_sqlite_fault *ret_fault)
{
    writing w = {rows, sqlite, NULL, item, counts, ret_fault};
    if (item->fault || !item->route)
        return refuse(&w, LEAT_ENGINE_BAD_DATA, "", "%s",
                      item->fault ? item->fault : "the record makes no sense");
    if (routes != rows->routes)
        leat_sqlite_rows_forget(rows);
    rows->routes = routes;
    LEAT_ASSERT(item->route->index < routes->count);
    w.route = &routes->routes[item->route->index];
    leat_body_parser_reset(rows->parser);
    leat_fold_reset(rows->fold);
    leat_arena_reset(&rows->texts);
    if (read_body(&w) != 0)
        return -1;
    counts->rows++;
    counts->statements++;
    return rows->write.op == LEAT_DELETE ? delete_row(&w) : upsert_row(&w);
}
