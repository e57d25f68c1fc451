/*
 * difference.c - one full join over the primary key. Rows are compared as jsonb, which has one
 * equality for all types and calls 1.0 and 1.00 equal; a column of a type that says more in its
 * text than in its value differs where the text does.
 */
#include "sink/difference.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/identifier.h"
#include "sink/pg/blocking.h"

#define HOURS_US (INT64_C(6) * 3600 * 1000000)

static void put_column(leat_buf *sql, const char *of, const leat_column *column)
{
    leat_buf_printf(sql, "%s.", of);
    leat_put_identifier(sql, column->name);
}

static const leat_column *key_column(const leat_table *table, uint32_t at)
{
    return &table->columns[table->key_columns[at]];
}

/* The table, or a part of its rows: the same keys of both. */
static void put_rows(leat_buf *sql, const leat_table *table, const char *as, bool is_sample)
{
    leat_buf_text(sql, "(SELECT * FROM ");
    leat_put_identifier(sql, table->schema);
    leat_buf_byte(sql, '.');
    leat_put_identifier(sql, table->name);
    leat_buf_text(sql, " AS t");
    if (is_sample) {
        leat_buf_text(sql, " WHERE (pg_catalog.hashtextextended(pg_catalog.concat_ws('/'");
        for (uint32_t i = 0; i < table->key_count; i++) {
            leat_buf_text(sql, ", ");
            put_column(sql, "t", key_column(table, i));
        }
        leat_buf_text(sql, "), 0) & 2147483647) % " LEAT_STRINGIZE(10000) " < $2::int8");
    }
    leat_buf_printf(sql, ") AS %s", as);
}
_Static_assert(LEAT_DIFFERENCE_POINTS == 10000, "as many as the statement has");

static void put_key(leat_buf *sql, const leat_table *table)
{
    leat_buf_text(sql, "pg_catalog.jsonb_build_object(");
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_printf(sql, "%s$%u::text, coalesce(", i > 0 ? ", " : "", 3 + i);
        put_column(sql, "a", key_column(table, i));
        leat_buf_text(sql, ", ");
        put_column(sql, "b", key_column(table, i));
        leat_buf_byte(sql, ')');
    }
    leat_buf_byte(sql, ')');
}

static void put_sql(leat_buf *sql, const leat_difference_query *query)
{
    const leat_table *table = query->table;
    bool is_sample = query->points < LEAT_DIFFERENCE_POINTS;
    leat_buf_text(
        sql, "SELECT d.k::text, d.r::text, d.s::text, pg_catalog.count(*) OVER () FROM (SELECT ");
    put_key(sql, table);
    leat_buf_text(sql, " AS k, CASE WHEN ");
    put_column(sql, "a", key_column(table, 0));
    leat_buf_text(sql, " IS NOT NULL THEN pg_catalog.to_jsonb(a.*) END AS r, CASE WHEN ");
    put_column(sql, "b", key_column(table, 0));
    leat_buf_text(sql, " IS NOT NULL THEN pg_catalog.to_jsonb(b.*) END AS s FROM ");
    put_rows(sql, table, "a", is_sample);
    leat_buf_text(sql, " FULL JOIN ");
    put_rows(sql, query->shadow, "b", is_sample);
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_text(sql, i == 0 ? " ON " : " AND ");
        put_column(sql, "a", key_column(table, i));
        leat_buf_text(sql, " = ");
        put_column(sql, "b", key_column(table, i));
    }
    leat_buf_text(
        sql, ") AS d WHERE d.r IS DISTINCT FROM d.s AND $2::int8 > 0 ORDER BY 1 LIMIT $1::int8");
}

static char *text_at(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL
                                            : leat_must_strdup(PQgetvalue(result, row, column));
}

static void take(const PGresult *result, leat_differences *ret)
{
    int count = PQntuples(result);
    ret->count = (uint32_t)count;
    ret->rows = leat_must_calloc((size_t)count + 1, sizeof *ret->rows);
    ret->total = count > 0 ? (uint64_t)leat_pg_integer(result, 0, 3) : 0;
    for (int row = 0; row < count; row++)
        ret->rows[row] = (leat_difference){.key = text_at(result, row, 0),
                                           .row = text_at(result, row, 1),
                                           .shadow = text_at(result, row, 2)};
}

static int read_rows(leat_pg *pg, const leat_difference_query *query, leat_differences *ret,
                     leat_error *error)
{
    char limit[16], points[16];
    const char *values[2 + LEAT_KEY_COLUMNS_MAX] = {limit, points};
    const leat_table *table = query->table;
    leat_buf sql = {0};
    snprintf(limit, sizeof limit, "%" PRIu32, query->limit);
    snprintf(points, sizeof points, "%" PRIu32, query->points);
    for (uint32_t i = 0; i < table->key_count; i++)
        values[2 + i] = key_column(table, i)->name;
    put_sql(&sql, query);
    const char *text = leat_buf_cstr(&sql);
    PGresult *result = text ? leat_pg_query(pg, text, 2 + (int)table->key_count, values, error)
                            : NULL;
    if (!text)
        leat_fail(error, "out of memory");
    if (result)
        take(result, ret);
    PQclear(result);
    leat_buf_free(&sql);
    return result ? 0 : -1;
}

int leat_shard_read_differences(leat_shard_address at, const leat_difference_query *query,
                                leat_differences *ret, leat_error *error)
{
    leat_pg pg;
    LEAT_ASSERT(query->table->key_count == query->shadow->key_count && query->points > 0);
    *ret = (leat_differences){0};
    if (!at.dsn)
        return leat_fail(error, "a SQLite file has no shadow tables");
    int status = leat_pg_open(&pg, at.dsn, error);
    pg.timeout_us = HOURS_US;
    pg.deadline_us = leat_mono_us() + HOURS_US;
    if (status == 0)
        status = read_rows(&pg, query, ret, error);
    leat_pg_close(&pg);
    return status;
}

void leat_differences_fini(leat_differences *differences)
{
    for (uint32_t i = 0; i < differences->count; i++) {
        free(differences->rows[i].key);
        free(differences->rows[i].row);
        free(differences->rows[i].shadow);
    }
    free(differences->rows);
    *differences = (leat_differences){0};
}
