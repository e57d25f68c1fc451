/*
 * measure.c - the scratch schema: a copy of the table's shape with some of its rows, and a table
 * like leat.progress. It has one name, so that two measurements do not run at once, and what a
 * killed one has left is found by the next, which says how to drop it and does not do so itself: it
 * might be somebody's own.
 */
#include "sink/pg/measure.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"

/* Rows in memory, as text. */
#define COPIED_BYTES_MAX (32.0 * 1024 * 1024)
#define COPY_US          5e6

/* ---- statements ---- */

static int failed(PGconn *pg, const PGresult *result, leat_error *error)
{
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    leat_fail(error, "%s", text ? text : PQerrorMessage(pg));
    for (char *at = error->text; *at; at++)
        if (*at == '\n')
            *at = ' ';
    return -1;
}

static PGresult *query(PGconn *pg, const char *sql, leat_error *error)
{
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    failed(pg, result, error);
    PQclear(result);
    return NULL;
}

int leat_measure_exec(PGconn *pg, const char *sql, leat_error *error)
{
    PGresult *result = query(pg, sql, error);
    PQclear(result);
    return result ? 0 : -1;
}

/* Executes what was built and frees it. */
static PGresult *query_buf(PGconn *pg, leat_buf *sql, leat_error *error)
{
    leat_buf_byte(sql, '\0');
    PGresult *result = NULL;
    if (sql->failed)
        leat_fail(error, "out of memory");
    else
        result = query(pg, sql->data, error);
    leat_buf_free(sql);
    return result;
}

static void put_name(leat_buf *sql, const char *name)
{
    leat_buf_byte(sql, '"');
    for (; *name; name++) {
        if (*name == '"')
            leat_buf_byte(sql, '"');
        leat_buf_byte(sql, *name);
    }
    leat_buf_byte(sql, '"');
}

static void put_table(leat_buf *sql, const leat_table *table)
{
    put_name(sql, table->schema);
    leat_buf_byte(sql, '.');
    put_name(sql, table->name);
}

static void put_columns(leat_buf *sql, const leat_measure_world *world, const char *suffix)
{
    for (uint32_t i = 0; i < world->columns.count; i++) {
        leat_buf_text(sql, i ? ", " : "");
        put_name(sql, world->table->columns[world->columns.of[i]].name);
        leat_buf_text(sql, suffix);
    }
}

PGconn *leat_measure_connect(const char *dsn, leat_error *error)
{
    /* What stands after the DSN overrides it, what stands before is for a DSN that says nothing. */
    const char *const names[] = {"connect_timeout",      "dbname",
                                 "application_name",     "tcp_user_timeout",
                                 "target_session_attrs", NULL};
    const char *const values[] = {"10", dsn, "leat plan", "15000", "primary", NULL};
    PGconn *pg = PQconnectdbParams(names, values, 1);
    if (PQstatus(pg) == CONNECTION_OK &&
        leat_measure_exec(pg,
                          "set statement_timeout = '10s'; set lock_timeout = '1s'; set "
                          "idle_in_transaction_session_timeout = '10s'; set client_min_messages = "
                          "error; set jit = off; set plan_cache_mode = force_generic_plan",
                          error) == 0)
        return pg;
    if (PQstatus(pg) != CONNECTION_OK)
        failed(pg, NULL, error);
    PQfinish(pg);
    return NULL;
}

/* ---- which columns ---- */

/* Rows get the values of other rows, which must not be those of a unique index. */
static int read_unique(const leat_measure_world *world, bool ret[LEAT_COLUMNS_MAX],
                       leat_error *error)
{
    leat_buf sql = {0};
    leat_buf_text(
        &sql, "select distinct a.attname from pg_catalog.pg_index i join "
              "pg_catalog.pg_attribute a on a.attrelid = i.indrelid where (i.indisunique "
              "or i.indisexclusion) and (a.attnum = any (i.indkey) or i.indkey::int2[] @> "
              "'{0}') and a.attnum > 0 and i.indrelid = '" LEAT_MEASURE_SCHEMA ".rows'::regclass");
    PGresult *result = query_buf(world->pg, &sql, error);
    if (!result)
        return -1;
    for (int i = 0; i < PQntuples(result); i++) {
        const char *name = PQgetvalue(result, i, 0);
        int column = leat_table_column(world->table, (leat_slice){name, strlen(name)});
        if (column >= 0)
            ret[column] = true;
    }
    PQclear(result);
    return 0;
}

static int choose_columns(leat_measure_world *world, leat_error *error)
{
    leat_measure_columns *columns = &world->columns;
    bool unique[LEAT_COLUMNS_MAX] = {false};
    if (read_unique(world, unique, error) != 0)
        return -1;
    columns->key_count = world->table->key_count;
    for (uint32_t i = 0; i < columns->key_count; i++)
        columns->of[columns->count++] = world->table->key_columns[i];
    for (uint32_t i = 0; i < world->table->column_count; i++) {
        const leat_column *column = &world->table->columns[i];
        if (column->key_position < 0 && !column->generated && !unique[i])
            columns->of[columns->count++] = i;
    }
    if (columns->count == columns->key_count)
        return leat_fail(error, "table %s has no column that could be written",
                         world->table->label);
    return 0;
}

/* ---- the copy ---- */

static int exec_buf(PGconn *pg, leat_buf *sql, leat_error *error)
{
    PGresult *result = query_buf(pg, sql, error);
    PQclear(result);
    return result ? 0 : -1;
}

static int make_schema(const leat_measure_world *world, leat_error *error)
{
    PGresult *result = query(world->pg,
                             "select 1 from pg_catalog.pg_namespace where nspname = "
                             "'" LEAT_MEASURE_SCHEMA "'",
                             error);
    if (!result)
        return -1;
    bool is_there = PQntuples(result) > 0;
    PQclear(result);
    if (is_there)
        return leat_fail(
            error,
            "schema " LEAT_MEASURE_SCHEMA
            " is there: another measurement runs, or one was killed; then DROP SCHEMA " LEAT_MEASURE_SCHEMA
            " CASCADE");
    return leat_measure_exec(world->pg, "create schema " LEAT_MEASURE_SCHEMA, error);
}

static int make_tables(const leat_measure_world *world, leat_error *error)
{
    leat_buf sql = {0};
    leat_buf_text(&sql, "create table " LEAT_MEASURE_SCHEMA ".rows (like ");
    put_table(&sql, world->table);
    leat_buf_text(&sql, " including all); create table " LEAT_MEASURE_SCHEMA
                        ".progress (source int, partition int, seq bigint, subpartitions "
                        "smallint[], offsets bigint[], at_ms bigint, primary key (source, "
                        "partition, seq))");
    return exec_buf(world->pg, &sql, error);
}

/* As many rows as fit, if all are as large as the first ones. */
static int rows_to_copy(const leat_measure_world *world, int *ret, leat_error *error)
{
    leat_buf sql = {0};
    leat_buf_text(&sql,
                  "select pg_catalog.avg(pg_catalog.octet_length(r::text)) from (select * from ");
    put_table(&sql, world->table);
    leat_buf_printf(&sql, " limit %d) as r", LEAT_MEASURE_ROWS_MIN);
    PGresult *result = query_buf(world->pg, &sql, error);
    if (!result)
        return -1;
    double bytes = PQntuples(result) ? strtod(PQgetvalue(result, 0, 0), NULL) : 0;
    PQclear(result);
    double rows = bytes > 1 ? COPIED_BYTES_MAX / bytes : LEAT_MEASURE_ROWS_MAX;
    *ret = rows < LEAT_MEASURE_ROWS_MIN   ? LEAT_MEASURE_ROWS_MIN
           : rows > LEAT_MEASURE_ROWS_MAX ? LEAT_MEASURE_ROWS_MAX
                                          : (int)rows;
    return 0;
}

/* All columns but generated ones, those of unique indexes and identities among them. */
static void put_copied(leat_buf *sql, const leat_table *table)
{
    bool is_first = true;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].generated)
            continue;
        leat_buf_text(sql, is_first ? "" : ", ");
        put_name(sql, table->columns[i].name);
        is_first = false;
    }
}

static int copy_some(const leat_measure_world *world, int count, int offset, leat_error *error)
{
    leat_buf sql = {0};
    leat_buf_text(&sql, "insert into " LEAT_MEASURE_SCHEMA ".rows (");
    put_copied(&sql, world->table);
    leat_buf_text(&sql, ") overriding system value select ");
    put_copied(&sql, world->table);
    leat_buf_text(&sql, " from ");
    put_table(&sql, world->table);
    leat_buf_printf(&sql, " limit %d offset %d", count, offset);
    return exec_buf(world->pg, &sql, error);
}

/* Fewer where a row takes long to write (a CHECK): the first ones show how long. */
static int copy_in_time(const leat_measure_world *world, int limit, leat_error *error)
{
    int64_t from_us = leat_mono_us();
    if (copy_some(world, LEAT_MEASURE_ROWS_MIN, 0, error) != 0)
        return -1;
    double took_us = (double)(leat_mono_us() - from_us + 1);
    double fits = LEAT_MEASURE_ROWS_MIN * COPY_US / took_us;
    int rest = limit - LEAT_MEASURE_ROWS_MIN;
    return copy_some(world, fits < rest ? (int)fits : rest, LEAT_MEASURE_ROWS_MIN, error);
}

/* The table may be in use. Two scans of one snapshot that both begin at the first page return the
 * same rows in the same order, so that the second part has none of the first. */
static int copy_snapshot(const leat_measure_world *world, int limit, leat_error *error)
{
    if (leat_measure_exec(world->pg,
                          "begin isolation level repeatable read; set local synchronize_seqscans "
                          "= off",
                          error) != 0)
        return -1;
    leat_error ignored;
    int status = copy_in_time(world, limit, error);
    if (leat_measure_exec(world->pg, status == 0 ? "commit" : "rollback",
                          status == 0 ? error : &ignored) != 0)
        status = -1;
    return status;
}

static int copy_rows(leat_measure_world *world, leat_error *error)
{
    int limit;
    if (rows_to_copy(world, &limit, error) != 0 || copy_snapshot(world, limit, error) != 0 ||
        leat_measure_exec(world->pg, "analyze " LEAT_MEASURE_SCHEMA ".rows", error) != 0)
        return -1;
    leat_buf sql = {0};
    leat_buf_text(&sql, "select ");
    put_columns(&sql, world, "::text");
    leat_buf_text(&sql, " from " LEAT_MEASURE_SCHEMA ".rows");
    world->rows = query_buf(world->pg, &sql, error);
    if (!world->rows)
        return -1;
    if (PQntuples(world->rows) < LEAT_MEASURE_ROWS_MIN)
        return leat_fail(error,
                         "table %s has %d rows, and at least %d are needed to measure with: give "
                         "--fixed-us and --row-us",
                         world->table->label, PQntuples(world->rows), LEAT_MEASURE_ROWS_MIN);
    return 0;
}

/* ---- the statement ---- */

static void build_merge(leat_measure_world *world)
{
    const leat_measure_columns *columns = &world->columns;
    leat_buf *sql = &world->sql;
    leat_buf_text(sql, "merge into " LEAT_MEASURE_SCHEMA ".rows as t using (select ");
    for (uint32_t i = 0; i < columns->count; i++)
        leat_buf_printf(sql, "%sv.c%u::%s as c%u", i ? ", " : "", i,
                        world->table->columns[columns->of[i]].cast_name, i);
    leat_buf_text(sql, " from unnest(");
    for (uint32_t i = 0; i < columns->count; i++)
        leat_buf_printf(sql, "%s$%u::text[]", i ? ", " : "", i + 1);
    leat_buf_text(sql, ") as v (");
    for (uint32_t i = 0; i < columns->count; i++)
        leat_buf_printf(sql, "%sc%u", i ? ", " : "", i);
    leat_buf_text(sql, ")) as v on ");
    for (uint32_t i = 0; i < columns->key_count; i++) {
        leat_buf_text(sql, i ? " and t." : "t.");
        put_name(sql, world->table->columns[columns->of[i]].name);
        leat_buf_printf(sql, " = v.c%u", i);
    }
    leat_buf_text(sql, " when matched then update set ");
    for (uint32_t i = columns->key_count; i < columns->count; i++) {
        leat_buf_text(sql, i > columns->key_count ? ", " : "");
        put_name(sql, world->table->columns[columns->of[i]].name);
        leat_buf_printf(sql, " = v.c%u", i);
    }
    leat_buf_byte(sql, '\0');
}

static int measure_in_schema(leat_measure_world *world, leat_measurement *ret, leat_error *error)
{
    if (make_tables(world, error) != 0 || choose_columns(world, error) != 0 ||
        copy_rows(world, error) != 0)
        return -1;
    build_merge(world);
    if (world->sql.failed)
        return leat_fail(error, "out of memory");
    ret->copied = (uint32_t)PQntuples(world->rows);
    return leat_measure_run(world, ret, error);
}

static void drop_schema(const leat_measure_world *world)
{
    leat_error error;
    if (leat_measure_exec(world->pg, "drop schema " LEAT_MEASURE_SCHEMA " cascade", &error) != 0)
        leat_print_error("leat plan: schema " LEAT_MEASURE_SCHEMA " could not be dropped: %s",
                         error.text);
}

int leat_measure(leat_shard_address at, const leat_table *table, bool commits_async,
                 const atomic_bool *stop, leat_measurement *ret, leat_error *error)
{
    memset(ret, 0, sizeof *ret);
    if (!at.dsn)
        return leat_fail(error, "--measure needs a PostgreSQL shard");
    leat_measure_world world = {
        .dsn = at.dsn, .table = table, .commits_async = commits_async, .stop = stop};
    world.pg = leat_measure_connect(at.dsn, error);
    if (!world.pg)
        return 2;
    int status = make_schema(&world, error);
    if (status == 0) {
        status = measure_in_schema(&world, ret, error);
        drop_schema(&world);
    }
    PQclear(world.rows);
    leat_buf_free(&world.sql);
    PQfinish(world.pg);
    return status;
}
