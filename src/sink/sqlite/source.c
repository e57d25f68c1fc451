/*
 * The source stored in a SQLite file: read, compared, set up and upgraded. All of an init is one
 * transaction that holds the write lock, so two processes that start at once do not both set the
 * file up, and a rehearsal is the same transaction rolled back.
 */
#include "sink/shard_ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sink/sqlite/db.h"
#include "sink/sqlite/tenants.h"
#include "sink/shard_source.h"

enum { BUSY_MS = 5000 };

/* ---- reading ---- */

static int copy_text(char *ret, size_t size, sqlite3_stmt *row, int column, leat_error *error)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    if (!text || strlen(text) >= size)
        return leat_fail(error, "leat_sources.%s is not valid", sqlite3_column_name(row, column));
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

typedef struct found_source {
    leat_source *source;
    leat_layout *layout;
    bool is_there;
} found_source;

static int take_source(void *context, sqlite3_stmt *row, leat_error *error)
{
    found_source *found = context;
    leat_source *ret = found->source;
    leat_layout *ret_layout = found->layout;
    enum {
        ID,
        LOG_IDENTITY,
        TOPIC,
        TOPIC_ID,
        HASH,
        PLACEMENT,
        SUBPARTITIONS,
        WINDOW,
        POSITION,
        PARTITIONS,
        SLOTS,
        TENANTS,
        DIGEST
    };
    found->is_there = true;
    ret->id = sqlite3_column_int(row, ID);
    ret->placement =
        (leat_placement){.version = (uint32_t)sqlite3_column_int(row, PLACEMENT),
                         .subpartitions = (uint32_t)sqlite3_column_int(row, SUBPARTITIONS),
                         .tenant_window = (uint32_t)sqlite3_column_int(row, WINDOW),
                         .tenant_position = sqlite3_column_int(row, POSITION)};
    ret_layout->partition_count = (uint32_t)sqlite3_column_int(row, PARTITIONS);
    if (sqlite3_column_bytes(row, SLOTS) != LEAT_TENANT_SLOTS)
        return leat_fail(error, "leat_sources.tenant_slots does not have %d slots",
                         LEAT_TENANT_SLOTS);
    memcpy(ret_layout->tenant_slots, sqlite3_column_blob(row, SLOTS), LEAT_TENANT_SLOTS);
    if (leat_layout_read_tenants(ret_layout, sqlite3_column_int64(row, TENANTS),
                                 (const char *)sqlite3_column_text(row, DIGEST), error) != 0)
        return -1;
    if (copy_text(ret->log_identity, sizeof ret->log_identity, row, LOG_IDENTITY, error) != 0 ||
        copy_text(ret->topic, sizeof ret->topic, row, TOPIC, error) != 0 ||
        copy_text(ret->topic_id, sizeof ret->topic_id, row, TOPIC_ID, error) != 0)
        return -1;
    return copy_text(ret->hash, sizeof ret->hash, row, HASH, error);
}

static int take_shard(void *context, sqlite3_stmt *row, leat_error *error)
{
    leat_layout *ret = context;
    LEAT_ASSERT(sqlite3_column_count(row) == 3);
    if (ret->shard_count == LEAT_SHARDS_MAX)
        return leat_fail(error, "leat_sources.layout has more than %d shards", LEAT_SHARDS_MAX);
    uint32_t at = ret->shard_count++;
    ret->shards[at].first = (uint32_t)sqlite3_column_int(row, 1);
    ret->shards[at].count = (uint32_t)sqlite3_column_int(row, 2);
    return copy_text(ret->shards[at].name, sizeof ret->shards[at].name, row, 0, error);
}

static int read_shards(leat_sqlite *sqlite, const char *topic, leat_layout *ret, leat_error *error)
{
    return leat_sqlite_each(
        sqlite,
        "SELECT e.value ->> 'name', e.value ->> 'first', e.value ->> 'count'"
        "  FROM leat_sources AS s, json_each(s.layout, '$.shards') AS e WHERE s.topic = ? ORDER BY e.key",
        topic, take_shard, ret, error);
}

/* 0 found, 1 not found, -1 error. */
static int query_source(leat_sqlite *sqlite, const char *topic, leat_source *ret_source,
                        leat_layout *ret_layout, leat_error *error)
{
    memset(ret_source, 0, sizeof *ret_source);
    memset(ret_layout, 0, sizeof *ret_layout);
    found_source found = {.source = ret_source, .layout = ret_layout};
    int status = leat_sqlite_each(
        sqlite,
        "SELECT id, log_identity, topic, topic_id, hash, placement, subpartitions, tenant_window,"
        "       tenant_position, layout ->> 'partitions', tenant_slots,"
        "       coalesce(layout ->> '$.tenants.count', 0), coalesce(layout ->> '$.tenants.digest', '')"
        "  FROM leat_sources WHERE topic = ?",
        topic, take_source, &found, error);
    if (status != 0)
        return status;
    return found.is_there ? read_shards(sqlite, topic, ret_layout, error) : 1;
}

/* 0: there are no tables of leat's. */
static int read_version(leat_sqlite *sqlite, int64_t *ret, leat_error *error)
{
    int64_t is_there = 0;
    *ret = 0;
    if (leat_sqlite_integer(sqlite,
                            "SELECT count(*) FROM sqlite_schema WHERE name = 'leat_schema_version'",
                            &is_there, error) != 0)
        return -1;
    return is_there
               ? leat_sqlite_integer(sqlite, "SELECT version FROM leat_schema_version", ret, error)
               : 0;
}

/* 0 leat's tables exist in this program's version, 1 they do not exist, -1 error. */
static int check_version(leat_sqlite *sqlite, leat_error *error)
{
    int64_t version;
    if (read_version(sqlite, &version, error) != 0)
        return -1;
    if (version == LEAT_SQLITE_VERSION || version == 0)
        return version == 0;
    return leat_fail(
        error, "%s: leat's tables have version %" PRId64 ", this program knows version %d: %s",
        sqlite->file, version, LEAT_SQLITE_VERSION,
        version > LEAT_SQLITE_VERSION ? "use a newer leat" : "run `leat init`");
}

static int read_source(const char *file, const char *topic, leat_source *ret_source,
                       leat_layout *ret_layout, leat_error *error)
{
    leat_sqlite sqlite;
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = leat_sqlite_run(&sqlite, "BEGIN", error);
    if (status == 0)
        status = check_version(&sqlite, error);
    if (status == 0)
        status = query_source(&sqlite, topic, ret_source, ret_layout, error);
    bool is_busy = status < 0 && leat_sqlite_is_busy(&sqlite);
    leat_sqlite_close(&sqlite);
    return is_busy ? 2 : status;
}

static int take_placement(void *context, sqlite3_stmt *row, leat_error *error)
{
    enum { PLACEMENT, SUBPARTITIONS, WINDOW, POSITION };
    leat_placement *ret = context;
    (void)error;
    *ret = (leat_placement){(uint32_t)sqlite3_column_int(row, PLACEMENT),
                            (uint32_t)sqlite3_column_int(row, SUBPARTITIONS),
                            (uint32_t)sqlite3_column_int(row, WINDOW),
                            sqlite3_column_int(row, POSITION)};
    return 0;
}

/* From any version of the tables, before and after columns were added. */
static int query_placement(leat_sqlite *sqlite, const char *topic, leat_placement *ret,
                           leat_error *error)
{
    leat_placement found = {0};
    int64_t version = 0, has_columns = 0;
    if (read_version(sqlite, &version, error) != 0)
        return -1;
    if (version == 0)
        return 1;
    if (version > LEAT_SQLITE_VERSION)
        return check_version(sqlite, error);
    if (leat_sqlite_integer(sqlite,
                            "SELECT count(*) FROM pragma_table_info('leat_sources')"
                            " WHERE name = 'placement'",
                            &has_columns, error) != 0)
        return -1;
    int status = leat_sqlite_each(
        sqlite,
        has_columns ? "SELECT placement, subpartitions, tenant_window, tenant_position"
                      "  FROM leat_sources WHERE topic = ?"
                    : "SELECT 1, subpartitions, 0, -1 FROM leat_sources WHERE topic = ?",
        topic, take_placement, &found, error);
    if (status != 0)
        return status;
    if (found.version == 0)
        return 1;
    *ret = found;
    return 0;
}

static int read_placement(const char *file, const char *topic, leat_placement *ret,
                          leat_error *error)
{
    leat_sqlite sqlite;
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = query_placement(&sqlite, topic, ret, error);
    bool is_busy = status < 0 && leat_sqlite_is_busy(&sqlite);
    leat_sqlite_close(&sqlite);
    return is_busy ? 2 : status;
}

/* ---- the file as it describes itself ---- */

/* The first and the last partition of the file; -1: it has none. */
static int take_held(void *context, sqlite3_stmt *row, leat_error *error)
{
    int64_t *ret = context;
    (void)error;
    ret[0] = sqlite3_column_int64(row, 0);
    ret[1] = sqlite3_column_int64(row, 1);
    return 0;
}

static int read_held(leat_sqlite *sqlite, const char *topic, int64_t ret[2], leat_error *error)
{
    ret[0] = ret[1] = -1;
    return leat_sqlite_each(sqlite,
                            "SELECT coalesce(min(p.partition), -1), coalesce(max(p.partition), -1)"
                            "  FROM leat_partitions AS p JOIN leat_sources AS s ON s.id = p.source"
                            " WHERE s.topic = ?",
                            topic, take_held, ret, error);
}

static int query_self(leat_sqlite *sqlite, const char *topic, leat_shard_self *ret,
                      leat_error *error)
{
    int64_t is_there = 0, held[2] = {-1, -1};
    leat_layout layout = {0};
    if (leat_sqlite_run(sqlite, "BEGIN", error) != 0 ||
        leat_sqlite_integer(sqlite,
                            "SELECT count(*) FROM sqlite_schema WHERE name = 'leat_partitions'",
                            &is_there, error) != 0 ||
        (is_there && read_held(sqlite, topic, held, error) != 0))
        return -1;
    if (held[0] < 0)
        return 0;
    if (read_shards(sqlite, topic, &layout, error) != 0)
        return -1;
    return leat_layout_name_shard(&layout, (uint32_t)held[0], (uint32_t)held[1], sqlite->file,
                                  ret->shard, error);
}

/* One file has many names: links, and paths that lead to it. */
static int name_file(const char *file, leat_shard_self *ret, leat_error *error)
{
    struct stat about;
    if (stat(file, &about) != 0)
        return leat_fail(error, "%s: %s", file, strerror(errno));
    snprintf(ret->database, sizeof ret->database, "%ju:%ju", (uintmax_t)about.st_dev,
             (uintmax_t)about.st_ino);
    snprintf(ret->where, sizeof ret->where, "%s", file);
    return 0;
}

static int read_self(const char *file, const char *topic, leat_shard_self *ret, leat_error *error)
{
    leat_sqlite sqlite;
    *ret = (leat_shard_self){0};
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = name_file(file, ret, error);
    if (status == 0)
        status = query_self(&sqlite, topic, ret, error);
    bool is_busy = status < 0 && leat_sqlite_is_busy(&sqlite);
    leat_sqlite_close(&sqlite);
    if (status != 0)
        *ret = (leat_shard_self){0};
    return is_busy ? 2 : status;
}

/* ---- setting up ---- */

/* The steps from a version to the next; the schema makes everything else. Version 1 had the
 * timestamp of the record at the low water, which was the newest. Version 3 has one more table, and
 * so have 4, 5, 6 and 7; before 4, a program that does not know parked records takes them for
 * written, so the claims of one that still runs must fail. They name the column. */
static const char *const upgrade_sql[] = {
    [1] = "ALTER TABLE leat_progress ADD COLUMN newest_at_ms INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE leat_progress ADD COLUMN newest_epoch INTEGER NOT NULL DEFAULT -1;"
          "ALTER TABLE leat_partitions ADD COLUMN newest INTEGER NOT NULL DEFAULT -1;"
          "ALTER TABLE leat_partitions ADD COLUMN newest_at_ms INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE leat_partitions ADD COLUMN newest_epoch INTEGER NOT NULL DEFAULT -1;"
          "UPDATE leat_partitions SET newest = low, newest_at_ms = low_at_ms;"
          "ALTER TABLE leat_partitions DROP COLUMN low_at_ms;"
          "UPDATE leat_schema_version SET version = 2;",
    [2] = "UPDATE leat_schema_version SET version = 3;",
    [3] = "ALTER TABLE leat_partitions RENAME COLUMN epoch TO claims;"
          "ALTER TABLE leat_dead_letters ADD COLUMN control INTEGER;"
          "ALTER TABLE leat_sources ADD COLUMN placement INTEGER NOT NULL DEFAULT 1;"
          "ALTER TABLE leat_sources ADD COLUMN tenant_window INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE leat_sources ADD COLUMN tenant_position INTEGER NOT NULL DEFAULT -1;"
          "UPDATE leat_schema_version SET version = 4;",
    [4] = "UPDATE leat_schema_version SET version = 5;",
    [5] = "ALTER TABLE leat_sources ADD COLUMN idempotency_ms INTEGER NOT NULL DEFAULT 0;"
          "UPDATE leat_schema_version SET version = 6;",
    [6] = "UPDATE leat_schema_version SET version = 7;",
};
_Static_assert(sizeof upgrade_sql / sizeof *upgrade_sql == LEAT_SQLITE_VERSION,
               "each version but the last has a step to the next");

/* In the caller's transaction; a file without leat's tables, or with newer ones, is left alone. */
static int upgrade(leat_sqlite *sqlite, leat_error *error)
{
    int64_t version;
    if (read_version(sqlite, &version, error) != 0)
        return -1;
    for (; version >= 1 && version < LEAT_SQLITE_VERSION; version++)
        if (leat_sqlite_run(sqlite, upgrade_sql[version], error) != 0)
            return -1;
    return 0;
}

static int store_source(leat_sqlite *sqlite, const leat_source *source, const leat_layout *layout,
                        leat_error *error)
{
    LEAT_ASSERT(source->id > 0 && leat_placement_is_valid(&source->placement));
    char *json = leat_layout_to_json(layout);
    if (!json)
        return leat_fail(error, "%s: out of memory", sqlite->file);
    sqlite3_stmt *insert = leat_sqlite_prepare(
        sqlite,
        "INSERT INTO leat_sources"
        " (id, log_identity, topic, topic_id, layout, tenant_slots, subpartitions, hash, placement,"
        "  tenant_window, tenant_position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        error);
    int status = -1;
    if (insert) {
        sqlite3_bind_int(insert, 1, source->id);
        sqlite3_bind_text(insert, 2, source->log_identity, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 3, source->topic, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 4, source->topic_id, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 5, json, -1, SQLITE_STATIC);
        sqlite3_bind_blob(insert, 6, layout->tenant_slots, LEAT_TENANT_SLOTS, SQLITE_STATIC);
        sqlite3_bind_int(insert, 7, (int)source->placement.subpartitions);
        sqlite3_bind_text(insert, 8, source->hash, -1, SQLITE_STATIC);
        sqlite3_bind_int(insert, 9, (int)source->placement.version);
        sqlite3_bind_int(insert, 10, (int)source->placement.tenant_window);
        sqlite3_bind_int(insert, 11, source->placement.tenant_position);
        status = leat_sqlite_step(sqlite, insert, error);
    }
    sqlite3_finalize(insert);
    free(json);
    return status == 0 ? leat_sqlite_tenants_store(sqlite, source->id, layout->tenants, error) : -1;
}

static int compare_or_store(leat_sqlite *sqlite, leat_source *source, const leat_layout *layout,
                            leat_error *error)
{
    leat_source stored;
    leat_layout stored_layout;
    int found = query_source(sqlite, source->topic, &stored, &stored_layout, error);
    source->id = leat_source_id(source);
    if (found < 0)
        return -1;
    if (found == 1)
        return store_source(sqlite, source, layout, error);
    return leat_shard_check_source(&stored, &stored_layout, source, layout, error);
}

/* One file for two shards would give a partition two owners' rows. */
static int check_strangers(leat_sqlite *sqlite, const leat_source *source,
                           const leat_layout *layout, uint32_t shard, leat_error *error)
{
    LEAT_ASSERT(shard < layout->shard_count && layout->shards[shard].count > 0);
    char sql[256];
    uint32_t first = layout->shards[shard].first;
    int64_t count = 0;
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM leat_partitions WHERE source = %" PRId32
             " AND partition NOT BETWEEN %" PRIu32 " AND %" PRIu32,
             source->id, first, first + layout->shards[shard].count - 1);
    if (leat_sqlite_integer(sqlite, sql, &count, error) != 0)
        return -1;
    if (count == 0)
        return 0;
    return leat_fail(
        error,
        "%s: it holds partitions that do not belong to shard %s. Do two shards have one file?",
        sqlite->file, layout->shards[shard].name);
}

/* Offsets in the schema's form: 8 bytes each, big-endian. */
static void put_offsets(uint32_t count, int64_t offset, leat_buf *out)
{
    for (uint32_t i = 0; i < count; i++)
        leat_buf_be64(out, (uint64_t)offset);
}

static int add_partition(leat_sqlite *sqlite, sqlite3_stmt *insert, const leat_source *source,
                         uint32_t partition, int64_t start, leat_error *error)
{
    LEAT_ASSERT(source->id > 0 && source->placement.subpartitions > 0);
    leat_buf offsets = {0};
    put_offsets(source->placement.subpartitions, -1, &offsets);
    LEAT_ASSERT(!offsets.failed);
    sqlite3_bind_int(insert, 1, source->id);
    sqlite3_bind_int64(insert, 2, partition);
    sqlite3_bind_blob(insert, 3, offsets.data, (int)offsets.size, SQLITE_TRANSIENT);
    sqlite3_bind_int64(insert, 4, start - 1);
    leat_buf_free(&offsets);
    int status = leat_sqlite_step(sqlite, insert, error);
    sqlite3_reset(insert);
    return status;
}

static int add_partitions(leat_sqlite *sqlite, const leat_source *source, const leat_layout *layout,
                          uint32_t shard, const int64_t *starts, leat_error *error)
{
    sqlite3_stmt *insert = leat_sqlite_prepare(
        sqlite,
        "INSERT INTO leat_partitions (source, partition, claim, claims, base_seq,"
        " base_offsets, low) VALUES (?1, ?2, randomblob(16), 0, 0, ?3, ?4)"
        " ON CONFLICT DO NOTHING",
        error);
    int status = insert ? 0 : -1;
    uint32_t first = layout->shards[shard].first;
    for (uint32_t p = first; status == 0 && p < first + layout->shards[shard].count; p++)
        status = add_partition(sqlite, insert, source, p, starts[p], error);
    sqlite3_finalize(insert);
    return status;
}

static int set_up(leat_sqlite *sqlite, leat_source *source, const leat_layout *layout,
                  uint32_t shard, const int64_t *starts, const char *end, leat_error *error)
{
    if (upgrade(sqlite, error) != 0 || check_version(sqlite, error) < 0 ||
        leat_sqlite_run(sqlite, leat_sqlite_schema_sql, error) != 0 ||
        compare_or_store(sqlite, source, layout, error) != 0 ||
        check_strangers(sqlite, source, layout, shard, error) != 0 ||
        add_partitions(sqlite, source, layout, shard, starts, error) != 0)
        return -1;
    return leat_sqlite_run(sqlite, end, error);
}

static int run_init(const char *file, leat_source *source, const leat_layout *layout,
                    uint32_t shard, const int64_t *starts, const char *end, leat_error *error)
{
    LEAT_ASSERT(shard < layout->shard_count);
    leat_sqlite sqlite;
    int status = leat_sqlite_open(&sqlite, file, BUSY_MS, error);
    if (status == 0)
        status = leat_sqlite_run(&sqlite, "BEGIN IMMEDIATE", error);
    if (status == 0)
        status = set_up(&sqlite, source, layout, shard, starts, end, error);
    leat_sqlite_close(&sqlite); /* rolls back an open transaction */
    return status;
}

static int init(const char *file, leat_source *source, const leat_layout *layout, uint32_t shard,
                const int64_t *starts, leat_error *error)
{
    return run_init(file, source, layout, shard, starts, "COMMIT", error);
}

static int rehearse_init(const char *file, leat_source *source, const leat_layout *layout,
                         uint32_t shard, const int64_t *starts, leat_error *error)
{
    return run_init(file, source, layout, shard, starts, "ROLLBACK", error);
}

int leat_sqlite_open_for(leat_sqlite *sqlite, const char *file, const char *topic,
                         leat_error *error)
{
    leat_source source;
    leat_layout layout;
    *sqlite = (leat_sqlite){.db = NULL};
    int found = leat_sqlite_source.read(file, topic, &source, &layout, error);
    if (found == 1)
        return leat_fail(error, "%s knows nothing of %s yet: `leat run` or `leat init` sets it up",
                         file, topic);
    return found == 0 ? leat_sqlite_open(sqlite, file, BUSY_MS, error) : -1;
}

const leat_shard_source_ops leat_sqlite_source = {.read = read_source,
                                                  .read_placement = read_placement,
                                                  .read_tenants = leat_sqlite_tenants_read,
                                                  .read_self = read_self,
                                                  .init = init,
                                                  .rehearse_init = rehearse_init};
