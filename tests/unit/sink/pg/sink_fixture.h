/*
 * What the tests of the sink share: a database of their own, a table and a route on it, records
 * made from text, and a blocking way to run row statements. PG_DSN_1 names a database (key=value
 * form) from which others may be made.
 */
#ifndef SINK_FIXTURE_H
#define SINK_FIXTURE_H

#include <check.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../lib/test_placement.h"
#include "record/item.h"
#include "sink/pg/blocking.h"
#include "sink/shard.h"
#include "sink/pg/rows.h"
#include "sink/pg/shapes.h"

enum { FIXTURE_RECORDS_MAX = 2000, FIXTURE_PARTITIONS = 4 };

typedef struct fixture {
    const char *server; /* DSN of the server the database is made on */
    char name[64];
    char dsn[1024];
    PGconn *pg;
    leat_catalog catalog;
    leat_routes routes;
    leat_item items[FIXTURE_RECORDS_MAX];
    leat_engine_batch_record records[FIXTURE_RECORDS_MAX];
    leat_engine_batch batch;
    char answer[4096];
} fixture;

static inline const char *fixture_server(void)
{
    return getenv("PG_DSN_1");
}

static inline void fixture_run_on(PGconn *pg, const char *sql)
{
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    ck_assert_msg(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s",
                  PQerrorMessage(pg), sql);
    PQclear(result);
}

static inline void fixture_sql(fixture *f, const char *sql)
{
    fixture_run_on(f->pg, sql);
}

/* The first field of the first row; "(none)" without a row, "(null)" for NULL. */
static inline const char *fixture_ask(fixture *f, const char *sql)
{
    PGresult *result = PQexec(f->pg, sql);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", PQerrorMessage(f->pg), sql);
    const char *value = PQntuples(result) == 0 ? "(none)" : PQgetvalue(result, 0, 0);
    bool is_null = PQntuples(result) > 0 && PQgetisnull(result, 0, 0);
    snprintf(f->answer, sizeof f->answer, "%s", is_null ? "(null)" : value);
    PQclear(result);
    return f->answer;
}

static inline leat_shard_address pg_address(const fixture *f)
{
    return (leat_shard_address){.dsn = f->dsn};
}

static inline void fixture_open_database_with(fixture *f, const char *options)
{
    PGconn *server = PQconnectdb(f->server);
    char sql[256];
    snprintf(f->name, sizeof f->name, "leat_sink_%d", (int)getpid());
    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s WITH (FORCE)", f->name);
    fixture_run_on(server, "SET client_min_messages = error");
    fixture_run_on(server, sql);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s %s", f->name, options);
    fixture_run_on(server, sql);
    PQfinish(server);
    snprintf(f->dsn, sizeof f->dsn, "%s dbname=%s", f->server, f->name);
    f->pg = PQconnectdb(f->dsn);
    ck_assert_msg(PQstatus(f->pg) == CONNECTION_OK, "%s", PQerrorMessage(f->pg));
}

static inline void fixture_open_database(fixture *f)
{
    fixture_open_database_with(f, "");
}

/* For one that takes bytes as they come: it has no characters. */
#define IN_SQL_ASCII "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"

/* Schema leat: statements call its functions. */
static inline void fixture_schema(fixture *f)
{
    fixture_sql(f, "SET client_min_messages = warning");
    fixture_sql(f, leat_schema_sql);
}

/* Reads the table as leat does and puts a route on it. */
static inline const leat_route *fixture_route(fixture *f, const char *table, const char *path,
                                              uint32_t op_count, const char *const *names,
                                              const leat_column_op *ops)
{
    leat_error error = {""};
    f->catalog.tables = f->catalog.tables ? f->catalog.tables
                                          : leat_must_calloc(LEAT_ROUTES_MAX, sizeof(leat_table));
    uint32_t at = f->routes.count;
    ck_assert_msg(
        leat_shard_read_tables(pg_address(f), &table, 1, &f->catalog.tables[at], &error) == 0, "%s",
        error.text);
    f->catalog.table_count = at + 1;
    leat_route_spec spec = {
        .path = path, .column_count = op_count, .column_names = names, .column_ops = ops};
    int built = leat_route_build(&spec, &f->catalog.tables[at], at, &f->routes.routes[at], &error);
    ck_assert_msg(built == 0, "%s", error.text);
    f->routes.routes[at].index = at;
    f->routes.count++;
    return &f->routes.routes[at];
}

static inline fixture *fixture_new(void)
{
    fixture *f = leat_must_calloc(1, sizeof *f);
    f->batch.records = f->records;
    f->server = fixture_server();
    return f;
}

static inline void fixture_clear(fixture *f)
{
    for (uint32_t i = 0; i < f->batch.record_count; i++)
        leat_item_clear(&f->items[i]);
    f->batch.record_count = 0;
}

static inline void fixture_free(fixture *f)
{
    fixture_clear(f);
    for (uint32_t i = 0; i < f->catalog.table_count; i++)
        leat_table_fini(&f->catalog.tables[i]);
    free(f->catalog.tables);
    if (f->pg) {
        PQfinish(f->pg);
        PGconn *server = PQconnectdb(f->server);
        char sql[128];
        snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", f->name);
        fixture_run_on(server, sql);
        PQfinish(server);
    }
    free(f);
}

/* Adds a record to the batch. The texts must live as long as the batch. `route` may be NULL when
 * there is only one. */
static inline leat_engine_batch_record *fixture_add(fixture *f, const char *route, const char *op,
                                                    const char *key, const char *body)
{
    uint32_t at = f->batch.record_count++;
    ck_assert_uint_lt(at, FIXTURE_RECORDS_MAX);
    f->items[at] = (leat_item){.record = {.key = leat_slice_of(key), .op = leat_slice_of(op)}};
    if (route)
        f->items[at].record.route = leat_slice_of(route);
    if (body)
        f->items[at].record.value = leat_slice_of(body);
    ck_assert_int_eq(leat_item_decode(&f->routes, &test_placement, &f->items[at]), 0);
    f->records[at] = (leat_engine_batch_record){.payload = &f->items[at], .offset = at};
    return &f->records[at];
}

/* How many parameters a statement of this shape has (statement.h). */
static inline uint32_t fixture_param_count(const leat_shape *shape)
{
    uint32_t columns = (uint32_t)__builtin_popcountll(shape->columns);
    uint32_t masks = shape->uniform ? 0 : shape->operated != 0 ? 2 : 1;
    return shape->route->table->key_count + columns + masks;
}

/* Runs one statement, returns its SQLSTATE ("" when it succeeded) and how many rows it changed. */
static inline const char *fixture_run_statement(fixture *f, leat_rows *rows, uint32_t at,
                                                bool general, int *ret_changed)
{
    static const int formats[LEAT_STATEMENT_PARAMS_MAX] = {
        [0 ... LEAT_STATEMENT_PARAMS_MAX - 1] = 1};
    leat_row_statement statement;
    leat_shape shape = leat_rows_shape(rows, at);
    if (general)
        shape = leat_shape_of_any(shape.route, shape.op);
    leat_buf sql = {0};
    leat_statement_build(&shape, &sql);
    ck_assert_int_eq(leat_rows_statement(rows, at, shape, &statement), 0);
    ck_assert_uint_eq(statement.param_count, fixture_param_count(&shape));
    PGresult *result = PQexecParams(f->pg, leat_buf_cstr(&sql), (int)statement.param_count, NULL,
                                    statement.values, statement.sizes, formats, 1);
    bool is_error = PQresultStatus(result) != PGRES_COMMAND_OK &&
                    PQresultStatus(result) != PGRES_TUPLES_OK;
    snprintf(f->answer, sizeof f->answer, "%s",
             is_error ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : "");
    if (is_error && strncmp(f->answer, "42", 2) == 0)
        ck_abort_msg("%s\n%s", PQerrorMessage(f->pg), leat_buf_cstr(&sql));
    if (PQresultStatus(result) == PGRES_TUPLES_OK) /* it has counted itself */
        *ret_changed += (int)be64toh(*(const uint64_t *)PQgetvalue(result, 0, 0));
    else
        *ret_changed += is_error ? 0 : atoi(PQcmdTuples(result));
    PQclear(result);
    leat_buf_free(&sql);
    return f->answer;
}

/* Applies the batch and empties it: one transaction, as the sink would. `general`: by the
 * statements that fit any row. Returns the SQLSTATE of the first failure, "" without one;
 * `ret_changed` (may be NULL): rows written. */
static inline const char *fixture_apply(fixture *f, bool general, int *ret_changed)
{
    leat_rows *rows = leat_rows_new();
    leat_rows_fault fault;
    int changed = 0;
    const char *state = "";
    ck_assert_msg(leat_rows_build(rows, &f->batch, &f->routes, &fault) == 0, "%s",
                  fault.error.text);
    fixture_sql(f, "BEGIN");
    for (uint32_t i = 0; i < leat_rows_statement_count(rows) && !*state; i++)
        state = fixture_run_statement(f, rows, i, general, &changed);
    fixture_sql(f, *state ? "ROLLBACK" : "COMMIT");
    if (ret_changed)
        *ret_changed = changed;
    leat_rows_free(rows);
    fixture_clear(f);
    return state;
}

/* Meson counts the failures in the TAP output; another exit code would say that the program itself
 * broke. */
static inline int fixture_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}

#endif
