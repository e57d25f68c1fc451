/*
 * dead.c - dead letters, read from a shard for `leat dead`. Bytes travel as hexadecimal text and
 * times as text in UTC, so that no setting of the session (bytea_output, TimeZone) can change them.
 * Bodies are read only when they are requested: those of a whole list could be large.
 */
#include "sink/shard_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/pg/blocking.h"

/* Columns as leat_dead_column has them. */
static const char dead_letters_sql[] =
    "SELECT d.partition, d.\"offset\", (extract(epoch FROM d.at) * 1000000)::bigint,"
    "       to_char(d.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
    "       to_char(d.accepted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
    "       d.route, d.op, d.headers, d.sqlstate, d.message, encode(d.key, 'hex'),"
    "       CASE WHEN $6::boolean THEN encode(d.body, 'hex') END,"
    "       d.source"
    "  FROM leat.dead_letters AS d"
    " WHERE d.source = (SELECT s.id FROM leat.sources AS s WHERE s.topic = $1)"
    "   AND ($2::jsonb IS NULL OR d.route IN (SELECT jsonb_array_elements_text($2::jsonb)))"
    "   AND ($3::bigint < 0 OR d.partition = $3::bigint)"
    "   AND ($4::bigint < 0 OR d.\"offset\" = $4::bigint)"
    " ORDER BY d.at DESC, d.partition, d.\"offset\" DESC LIMIT $5::bigint";

static char *copy_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL
                                            : leat_must_strdup(PQgetvalue(result, row, column));
}

char *leat_pg_bytes(const PGresult *result, int row, int column, size_t *ret_size)
{
    *ret_size = 0;
    if (PQgetisnull(result, row, column))
        return NULL;
    const char *digits = PQgetvalue(result, row, column);
    size_t size = (size_t)PQgetlength(result, row, column) / 2;
    char *bytes = leat_must_calloc(size + 1, 1);
    for (size_t i = 0; i < size; i++) {
        const char pair[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
        bytes[i] = (char)strtoul(pair, NULL, 16);
    }
    *ret_size = size;
    return bytes;
}

static void take_letter(const PGresult *result, int row, leat_dead_letter *ret)
{
    LEAT_ASSERT(row < PQntuples(result));
    *ret = (leat_dead_letter){
        .partition = (uint32_t)leat_pg_integer(result, row, LEAT_DEAD_COLUMN_PARTITION),
        .offset = leat_pg_integer(result, row, LEAT_DEAD_COLUMN_OFFSET),
        .source = (int32_t)leat_pg_integer(result, row, LEAT_DEAD_COLUMN_SOURCE),
        .at_us = leat_pg_integer(result, row, LEAT_DEAD_COLUMN_AT_US),
        .at = copy_text(result, row, LEAT_DEAD_COLUMN_AT),
        .accepted_at = copy_text(result, row, LEAT_DEAD_COLUMN_ACCEPTED_AT),
        .route = copy_text(result, row, LEAT_DEAD_COLUMN_ROUTE),
        .op = copy_text(result, row, LEAT_DEAD_COLUMN_OP),
        .headers = copy_text(result, row, LEAT_DEAD_COLUMN_HEADERS),
        .sqlstate = copy_text(result, row, LEAT_DEAD_COLUMN_SQLSTATE),
        .message = copy_text(result, row, LEAT_DEAD_COLUMN_MESSAGE),
    };
    ret->key = leat_pg_bytes(result, row, LEAT_DEAD_COLUMN_KEY, &ret->key_size);
    ret->body = leat_pg_bytes(result, row, LEAT_DEAD_COLUMN_BODY, &ret->body_size);
}

static void take_letters(const PGresult *result, leat_dead_letters *ret)
{
    LEAT_ASSERT(PQnfields(result) == LEAT_DEAD_COLUMN_COUNT);
    ret->count = (uint32_t)PQntuples(result);
    ret->letters = leat_must_calloc(ret->count + 1, sizeof *ret->letters);
    for (uint32_t i = 0; i < ret->count; i++)
        take_letter(result, (int)i, &ret->letters[i]);
}

int leat_pg_check_source(leat_pg *pg, const char *topic, const char *table, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, "SELECT to_regclass($1) IS NOT NULL", 1, &table, error);
    bool is_there = result && leat_pg_boolean(result, 0, 0);
    PQclear(result);
    if (!result)
        return -1;
    if (is_there) {
        result = leat_pg_query(pg, "SELECT FROM leat.sources WHERE topic = $1", 1, &topic, error);
        is_there = result && PQntuples(result) > 0;
        PQclear(result);
        if (!result)
            return -1;
    }
    return is_there ? 0
                    : leat_fail(error, "%s knows nothing of topic %s: run `leat init` first",
                                pg->where, topic);
}

static int read_letters(leat_pg *pg, const leat_dead_query *query, leat_dead_letters *ret,
                        leat_error *error)
{
    LEAT_ASSERT(query->topic);
    char partition[24], offset[24], limit[24];
    snprintf(partition, sizeof partition, "%" PRId64, query->partition);
    snprintf(offset, sizeof offset, "%" PRId64, query->offset);
    snprintf(limit, sizeof limit, "%" PRIu32, query->limit);
    const char *bodies = query->with_bodies ? "t" : "f";
    const char *const values[] = {query->topic, query->routes, partition, offset, limit, bodies};
    PGresult *result = leat_pg_query(pg, dead_letters_sql, 6, values, error);
    if (!result)
        return -1;
    take_letters(result, ret);
    PQclear(result);
    return 0;
}

static int read_dead_letters(const char *dsn, const leat_dead_query *query, leat_dead_letters *ret,
                             leat_error *error)
{
    leat_pg pg;
    *ret = (leat_dead_letters){0};
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = leat_pg_check_source(&pg, query->topic, "leat.dead_letters", error);
    if (status == 0)
        status = read_letters(&pg, query, ret, error);
    leat_pg_close(&pg);
    return status;
}

const leat_shard_dead_letters_ops leat_pg_dead_letters = {.read = read_dead_letters};
