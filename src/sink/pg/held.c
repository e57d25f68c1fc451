/*
 * Held keys as `leat dead list --held` shows them, in one statement: what is held may change beside
 * it. Bytes travel as hexadecimal text and times as text in UTC, as those of dead letters do.
 */
#include "sink/pg/held.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/pg/blocking.h"
#include "sink/shard_ops.h"

#define TIME_SQL(column)                                                                           \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

enum {
    SOURCE,
    PARTITION,
    HASH,
    TABLE,
    KEY,
    SINCE_US,
    SINCE,
    AT,
    TRIES,
    SQLSTATE,
    MESSAGE,
    RECORDS,
    FIRST_OFFSET,
    BYTES,
    COLUMNS
};

static const char held_sql[] =
    "SELECT h.source, h.partition, h.hash, h.\"table\", encode(h.key, 'hex'),"
    "       (extract(epoch FROM h.since) * 1000000)::bigint, " TIME_SQL("h.since") ", " TIME_SQL(
        "h.at") ","
                "       h.tries, h.sqlstate, h.message, k.records, k.first_offset, k.bytes"
                "  FROM (SELECT * FROM leat.held AS a"
                "         WHERE a.source = (SELECT s.id FROM leat.sources AS s WHERE s.topic = $1)"
                "           AND ($2::text IS NULL OR (a.\"table\" = $2::text AND a.key = decode($3::text, 'hex')))"
                "         ORDER BY a.since, a.partition, a.hash LIMIT $4::bigint) AS h"
                " CROSS JOIN LATERAL (SELECT count(*) AS records, coalesce(min(p.\"offset\"), -1) AS first_offset,"
                "                            coalesce(sum(octet_length(p.record)), 0) AS bytes"
                "                       FROM leat.parked_keys AS p"
                "                      WHERE p.source = h.source AND p.partition = h.partition AND p.hash = h.hash) AS k"
                " ORDER BY h.since, h.partition, h.hash";

static char *copy_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL
                                            : leat_must_strdup(PQgetvalue(result, row, column));
}

static void take_key(const PGresult *result, int row, leat_shard_held_key *ret)
{
    *ret = (leat_shard_held_key){.source = (int32_t)leat_pg_integer(result, row, SOURCE),
                                 .partition = (uint32_t)leat_pg_integer(result, row, PARTITION),
                                 .hash = leat_pg_integer(result, row, HASH),
                                 .table = copy_text(result, row, TABLE),
                                 .since_us = leat_pg_integer(result, row, SINCE_US),
                                 .since = copy_text(result, row, SINCE),
                                 .at = copy_text(result, row, AT),
                                 .tries = (uint32_t)leat_pg_integer(result, row, TRIES),
                                 .sqlstate = copy_text(result, row, SQLSTATE),
                                 .message = copy_text(result, row, MESSAGE),
                                 .records = leat_pg_integer(result, row, RECORDS),
                                 .first_offset = leat_pg_integer(result, row, FIRST_OFFSET),
                                 .bytes = leat_pg_integer(result, row, BYTES)};
    ret->key = leat_pg_bytes(result, row, KEY, &ret->key_size);
}

static int read_keys(leat_pg *pg, const leat_held_query *query, leat_held_keys *ret,
                     leat_error *error)
{
    char limit[24];
    leat_buf table = {0}, key = {0};
    snprintf(limit, sizeof limit, "%" PRIu32, query->limit);
    if (query->table)
        leat_buf_printf(&table, "%s.%s", query->table->schema, query->table->name);
    for (size_t i = 0; i < query->key.size; i++)
        leat_buf_printf(&key, "%02x", (unsigned char)query->key.data[i]);
    const char *const values[] = {query->topic, query->table ? leat_buf_cstr(&table) : NULL,
                                  leat_buf_cstr(&key), limit};
    PGresult *result = leat_pg_query(pg, held_sql, 4, values, error);
    leat_buf_free(&table);
    leat_buf_free(&key);
    if (!result)
        return -1;
    LEAT_ASSERT(PQnfields(result) == COLUMNS);
    ret->count = (uint32_t)PQntuples(result);
    ret->keys = leat_must_calloc(ret->count + 1, sizeof *ret->keys);
    for (uint32_t i = 0; i < ret->count; i++)
        take_key(result, (int)i, &ret->keys[i]);
    PQclear(result);
    return 0;
}

static int read_held(const char *dsn, const leat_held_query *query, leat_held_keys *ret,
                     leat_error *error)
{
    leat_pg pg;
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = leat_pg_check_source(&pg, query->topic, "leat.held", error);
    if (status == 0)
        status = read_keys(&pg, query, ret, error);
    leat_pg_close(&pg);
    return status;
}

const leat_shard_held_ops leat_pg_held = {.read = read_held, .end = leat_pg_end_hold};
