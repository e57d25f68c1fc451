/*
 * What the tests of the SQLite shard share: a file of their own in a temporary directory, a route
 * on a table in it, and records made from text that are written as a batch would write them.
 */
#ifndef LEAT_TEST_SQLITE_FIXTURE_H
#define LEAT_TEST_SQLITE_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../lib/test_placement.h"
#include "sink/shard.h"
#include "sink/sqlite/db.h"
#include "sink/sqlite/rows.h"

typedef struct sqlite_fixture {
    char directory[64];
    char file[128];
    sqlite3 *db; /* the test's own connection */
    leat_table table;
    leat_routes routes;
    leat_error error;
    char answer[4096];
} sqlite_fixture;

static inline void sqlite_sql(sqlite_fixture *f, const char *sql)
{
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(f->db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", sql,
                  message);
}

/* The first field of the first row as text; "(none)" without a row, "(null)" for NULL. */
static inline const char *sqlite_ask(sqlite_fixture *f, const char *sql)
{
    sqlite3_stmt *query;
    ck_assert_msg(sqlite3_prepare_v2(f->db, sql, -1, &query, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(f->db));
    const char *text =
        sqlite3_step(query) == SQLITE_ROW ? (const char *)sqlite3_column_text(query, 0) : "(none)";
    snprintf(f->answer, sizeof f->answer, "%s", text ? text : "(null)");
    sqlite3_finalize(query);
    return f->answer;
}

static inline leat_shard_address sqlite_address(const sqlite_fixture *f)
{
    return (leat_shard_address){.sqlite = f->file};
}

static inline void sqlite_begin(sqlite_fixture *f)
{
    *f = (sqlite_fixture){.directory = "/tmp/leat-sqlite-XXXXXX"};
    ck_assert(mkdtemp(f->directory));
    snprintf(f->file, sizeof f->file, "%s/rows.db", f->directory);
    ck_assert_int_eq(sqlite3_open(f->file, &f->db), SQLITE_OK);
    sqlite_sql(f, "PRAGMA journal_mode = WAL");
}

static inline void sqlite_end(sqlite_fixture *f)
{
    char command[128];
    leat_table_fini(&f->table);
    sqlite3_close(f->db);
    snprintf(command, sizeof command, "rm -rf %s", f->directory);
    ck_assert_int_eq(system(command), 0);
}

static inline int sqlite_read(sqlite_fixture *f, const char *label)
{
    leat_table_fini(&f->table);
    return leat_shard_read_tables(sqlite_address(f), &label, 1, &f->table, &f->error);
}

/* Makes the table and the route /t/{id}, whose PATCH does `op` to column `column`. */
static inline leat_route *sqlite_route(sqlite_fixture *f, const char *create, const char *column,
                                       leat_column_op op)
{
    sqlite_sql(f, create);
    ck_assert_msg(sqlite_read(f, "t") == 0, "%s", f->error.text);
    const char *names[] = {column};
    leat_route_spec spec = {.name = "t",
                            .path = "/t/{id}",
                            .column_count = column ? 1 : 0,
                            .column_names = names,
                            .column_ops = &op};
    leat_route *route = &f->routes.routes[0];
    f->routes.count = 1;
    ck_assert_msg(leat_route_build(&spec, &f->table, 0, route, &f->error) == 0, "%s",
                  f->error.text);
    return route;
}

/* Writes "put KEY {...}", "patch KEY {...}" or "delete KEY" in a transaction of its own. */
static inline int sqlite_write(sqlite_fixture *f, leat_sqlite_rows *rows, leat_sqlite *sqlite,
                               const char *text, leat_sqlite_counts *counts,
                               leat_sqlite_fault *fault)
{
    size_t op = strcspn(text, " "), key = strcspn(text + op + 1, " ");
    const char *body = text + op + 1 + key;
    leat_item item = {
        .record = {.op = {text, op}, .key = {text + op + 1, key}, .value = leat_slice_of(body)}};
    ck_assert_int_eq(leat_item_decode(&f->routes, &test_placement, &item), 0);
    ck_assert_int_eq(leat_sqlite_run(sqlite, "BEGIN IMMEDIATE", &f->error), 0);
    int status = leat_sqlite_rows_write(rows, sqlite, &f->routes, &item, counts, fault);
    ck_assert_int_eq(leat_sqlite_run(sqlite, status == 0 ? "COMMIT" : "ROLLBACK", &f->error), 0);
    leat_item_clear(&item);
    return status;
}

#endif
