/*
 * tenants.c - leat.tenants: the shards of tenants that have an entry of their own. There may be a
 * million, so they are written and read some thousands at a time; a page is found by the last
 * tenant of the one before it.
 */
#include "sink/pg/source.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"

enum { PAGE = 10000 };

/* ---- writing ---- */

/* Quoted, or a tenant NULL would be none. A canonical key has no character that needs more. */
static void put_page(const leat_tenant_map *map, uint32_t first, uint32_t end, leat_buf *ret_names,
                     leat_buf *ret_shards)
{
    for (uint32_t i = first; i < end; i++) {
        uint32_t shard;
        leat_slice tenant = leat_tenant_map_at(map, i, &shard);
        leat_buf_text(ret_names, i == first ? "{\"" : ",\"");
        leat_buf_slice(ret_names, tenant);
        leat_buf_byte(ret_names, '"');
        leat_buf_printf(ret_shards, "%c%" PRIu32, i == first ? '{' : ',', shard);
    }
    leat_buf_byte(ret_names, '}');
    leat_buf_byte(ret_shards, '}');
}

static int store_page(leat_pg *pg, const char *id, const leat_tenant_map *map, uint32_t first,
                      uint32_t end, leat_error *error)
{
    leat_buf names = {0}, shards = {0};
    put_page(map, first, end, &names, &shards);
    const char *const values[] = {id, leat_buf_cstr(&names), leat_buf_cstr(&shards)};
    PGresult *result = NULL;
    if (!values[1] || !values[2])
        leat_fail(error, "out of memory");
    else
        result = leat_pg_query(pg,
                               "INSERT INTO leat.tenants (source, tenant, shard)"
                               " SELECT $1::int, u.tenant, u.shard"
                               "   FROM unnest($2::text[], $3::int[]) AS u (tenant, shard)",
                               3, values, error);
    leat_buf_free(&names);
    leat_buf_free(&shards);
    PQclear(result);
    return result ? 0 : -1;
}

int leat_pg_tenants_store(leat_pg *pg, const char *id, const leat_tenant_map *map,
                          leat_error *error)
{
    uint32_t count = map ? leat_tenant_map_count(map) : 0;
    for (uint32_t first = 0; first < count; first += PAGE) {
        uint32_t end = count - first < PAGE ? count : first + PAGE;
        if (store_page(pg, id, map, first, end, error) != 0)
            return -1;
    }
    return 0;
}

/* ---- reading ---- */

static int take_page(const PGresult *result, leat_tenant_map *map, leat_error *error)
{
    for (int row = 0; row < PQntuples(result); row++) {
        leat_slice tenant = leat_slice_of(PQgetvalue(result, row, 0));
        int64_t shard = leat_pg_integer(result, row, 1);
        if (tenant.size == 0 || shard < 0 || shard >= LEAT_SHARDS_MAX)
            return leat_fail(error, "leat.tenants: a row makes no sense");
        if (leat_tenant_map_add(map, tenant, (uint32_t)shard, error) != 0)
            return -1;
    }
    return 0;
}

/* The number of rows, or -1. `ret_last`: the last tenant. */
static int read_page(leat_pg *pg, const char *topic, leat_buf *last, leat_tenant_map *map,
                     leat_error *error)
{
    char limit[16];
    snprintf(limit, sizeof limit, "%d", PAGE);
    const char *const values[] = {topic, leat_buf_cstr(last), limit};
    PGresult *result = leat_pg_query(pg,
                                     "SELECT t.tenant, t.shard FROM leat.tenants AS t"
                                     "  JOIN leat.sources AS s ON s.id = t.source"
                                     " WHERE s.topic = $1 AND t.tenant > $2"
                                     " ORDER BY t.tenant LIMIT $3::int",
                                     3, values, error);
    if (!result)
        return -1;
    int count = PQntuples(result);
    int status = take_page(result, map, error);
    leat_buf_clear(last);
    if (count > 0)
        leat_buf_text(last, PQgetvalue(result, count - 1, 0));
    PQclear(result);
    return status == 0 ? count : -1;
}

static int read_all(leat_pg *pg, const char *topic, leat_tenant_map *map, leat_error *error)
{
    leat_buf last = {0};
    int count;
    do
        count = read_page(pg, topic, &last, map, error);
    while (count == PAGE);
    leat_buf_free(&last);
    return count < 0 ? -1 : 0;
}

int leat_pg_tenants_read(const char *dsn, const char *topic, leat_tenant_map *map,
                         leat_error *error)
{
    leat_pg pg;
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = read_all(&pg, topic, map, error);
    leat_pg_close(&pg);
    return status < 0 && pg.is_away ? 2 : status;
}
