/*
 * tenants.c - leat_tenants: the shards of tenants that have an entry of their own, row by row.
 */
#include "sink/sqlite/tenants.h"

#include "base/limits.h"

enum { BUSY_MS = 5000 };

static int store_one(leat_sqlite *sqlite, sqlite3_stmt *insert, int64_t id, leat_slice tenant,
                     uint32_t shard, leat_error *error)
{
    sqlite3_bind_int64(insert, 1, id);
    sqlite3_bind_text(insert, 2, tenant.data, (int)tenant.size, SQLITE_STATIC);
    sqlite3_bind_int(insert, 3, (int)shard);
    int status = leat_sqlite_step(sqlite, insert, error);
    sqlite3_reset(insert);
    return status;
}

int leat_sqlite_tenants_store(leat_sqlite *sqlite, int64_t id, const leat_tenant_map *map,
                              leat_error *error)
{
    uint32_t count = map ? leat_tenant_map_count(map) : 0;
    if (count == 0)
        return 0;
    sqlite3_stmt *insert = leat_sqlite_prepare(
        sqlite, "INSERT INTO leat_tenants (source, tenant, shard) VALUES (?, ?, ?)", error);
    int status = insert ? 0 : -1;
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        uint32_t shard;
        leat_slice tenant = leat_tenant_map_at(map, i, &shard);
        status = store_one(sqlite, insert, id, tenant, shard, error);
    }
    sqlite3_finalize(insert);
    return status;
}

static int take_row(void *map, sqlite3_stmt *row, leat_error *error)
{
    leat_slice tenant = {(const char *)sqlite3_column_text(row, 0),
                         (size_t)sqlite3_column_bytes(row, 0)};
    int shard = sqlite3_column_int(row, 1);
    if (tenant.size == 0 || shard < 0 || shard >= LEAT_SHARDS_MAX)
        return leat_fail(error, "leat_tenants: a row makes no sense");
    return leat_tenant_map_add(map, tenant, (uint32_t)shard, error);
}

static int read_all(leat_sqlite *sqlite, const char *topic, leat_tenant_map *map, leat_error *error)
{
    return leat_sqlite_each(sqlite,
                            "SELECT t.tenant, t.shard FROM leat_tenants AS t"
                            "  JOIN leat_sources AS s ON s.id = t.source WHERE s.topic = ?",
                            topic, take_row, map, error);
}

int leat_sqlite_tenants_read(const char *file, const char *topic, leat_tenant_map *map,
                             leat_error *error)
{
    leat_sqlite sqlite;
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = read_all(&sqlite, topic, map, error);
    bool is_busy = status < 0 && leat_sqlite_is_busy(&sqlite);
    leat_sqlite_close(&sqlite);
    return is_busy ? 2 : status;
}
