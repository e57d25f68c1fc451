/*
 * source.c - leat.sources and its layout as a database has them: set up by `leat init`
 * (source_init.c), read by all others. Each reading is one read-only transaction at the primary.
 */
#include "sink/shard_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sink/pg/source.h"
#include "sink/shard_source.h"

/* ---- reading ---- */

static int copy_text(char *ret, size_t size, const PGresult *result, int column, leat_error *error)
{
    const char *text = PQgetvalue(result, 0, column);
    if (strlen(text) >= size)
        return leat_fail(error, "leat.sources.%s is too long: %s", PQfname(result, column), text);
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static int take_source(const PGresult *result, leat_source *ret, leat_layout *ret_layout,
                       leat_error *error)
{
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
        TENANTS,
        DIGEST
    };
    ret->id = (int32_t)leat_pg_integer(result, 0, ID);
    if (copy_text(ret->log_identity, sizeof ret->log_identity, result, LOG_IDENTITY, error) != 0 ||
        copy_text(ret->topic, sizeof ret->topic, result, TOPIC, error) != 0 ||
        copy_text(ret->topic_id, sizeof ret->topic_id, result, TOPIC_ID, error) != 0 ||
        copy_text(ret->hash, sizeof ret->hash, result, HASH, error) != 0)
        return -1;
    ret->placement =
        (leat_placement){.version = (uint32_t)leat_pg_integer(result, 0, PLACEMENT),
                         .subpartitions = (uint32_t)leat_pg_integer(result, 0, SUBPARTITIONS),
                         .tenant_window = (uint32_t)leat_pg_integer(result, 0, WINDOW),
                         .tenant_position = (int32_t)leat_pg_integer(result, 0, POSITION)};
    if (PQgetisnull(result, 0, PARTITIONS))
        return leat_fail(error, "leat.sources.layout of topic %s has no partitions", ret->topic);
    ret_layout->partition_count = (uint32_t)leat_pg_integer(result, 0, PARTITIONS);
    return leat_layout_read_tenants(ret_layout, leat_pg_integer(result, 0, TENANTS),
                                    PQgetvalue(result, 0, DIGEST), error);
}

static int take_shards(const PGresult *result, leat_layout *ret, leat_error *error)
{
    uint32_t count = (uint32_t)PQntuples(result);
    if (count == 0 || count > sizeof ret->shards / sizeof ret->shards[0])
        return leat_fail(error, "leat.sources.layout has %" PRIu32 " shards", count);
    ret->shard_count = count;
    for (int row = 0; row < (int)count; row++) {
        snprintf(ret->shards[row].name, sizeof ret->shards[row].name, "%s",
                 PQgetvalue(result, row, 0));
        ret->shards[row].first = (uint32_t)leat_pg_integer(result, row, 1);
        ret->shards[row].count = (uint32_t)leat_pg_integer(result, row, 2);
    }
    return 0;
}

static int take_slots(const PGresult *result, leat_layout *ret, leat_error *error)
{
    if (PQntuples(result) != LEAT_TENANT_SLOTS)
        return leat_fail(error, "leat.tenant_slots has %d slots, not %d", PQntuples(result),
                         LEAT_TENANT_SLOTS);
    for (int row = 0; row < LEAT_TENANT_SLOTS; row++) {
        int64_t shard = leat_pg_integer(result, row, 1);
        if (leat_pg_integer(result, row, 0) != row || shard < 0 || shard >= ret->shard_count)
            return leat_fail(error, "leat.tenant_slots: slot %d makes no sense", row);
        ret->tenant_slots[row] = (uint8_t)shard;
    }
    return 0;
}

static int read_shards(leat_pg *pg, const char *topic, leat_layout *ret, leat_error *error)
{
    PGresult *result =
        leat_pg_query(pg,
                      "SELECT e.shard->>'name', (e.shard->>'first')::int, (e.shard->>'count')::int"
                      "  FROM leat.sources AS s, jsonb_array_elements(s.layout->'shards')"
                      "       WITH ORDINALITY AS e (shard, n)"
                      " WHERE s.topic = $1 ORDER BY e.n",
                      1, &topic, error);
    if (!result)
        return -1;
    int status = take_shards(result, ret, error);
    PQclear(result);
    return status;
}

static int read_slots(leat_pg *pg, const char *topic, leat_layout *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg,
                                     "SELECT t.slot, t.shard FROM leat.tenant_slots AS t"
                                     "  JOIN leat.sources AS s ON s.id = t.source"
                                     " WHERE s.topic = $1 ORDER BY t.slot",
                                     1, &topic, error);
    if (!result)
        return -1;
    int status = take_slots(result, ret, error);
    PQclear(result);
    return status;
}

int leat_pg_source_query(leat_pg *pg, const char *topic, leat_source *ret_source,
                         leat_layout *ret_layout, leat_error *error)
{
    memset(ret_source, 0, sizeof *ret_source);
    memset(ret_layout, 0, sizeof *ret_layout);
    PGresult *result =
        leat_pg_query(pg,
                      "SELECT id, log_identity, topic, topic_id, hash, placement, subpartitions,"
                      "       tenant_window, tenant_position,"
                      "       (layout->>'partitions')::int,"
                      "       coalesce((layout->'tenants'->>'count')::int, 0),"
                      "       coalesce(layout->'tenants'->>'digest', '')"
                      "  FROM leat.sources WHERE topic = $1",
                      1, &topic, error);
    if (!result)
        return -1;
    int status = PQntuples(result) == 0 ? 1 : take_source(result, ret_source, ret_layout, error);
    PQclear(result);
    if (status == 0)
        status = read_shards(pg, topic, ret_layout, error);
    if (status == 0)
        status = read_slots(pg, topic, ret_layout, error);
    return status;
}

int leat_pg_source_version(leat_pg *pg, int64_t *ret, leat_error *error)
{
    PGresult *result =
        leat_pg_query(pg, "SELECT to_regclass('leat.schema_version') IS NULL", 0, NULL, error);
    if (!result)
        return -1;
    bool missing = leat_pg_boolean(result, 0, 0);
    PQclear(result);
    if (missing)
        return 1;
    result = leat_pg_query(pg, "SELECT version FROM leat.schema_version", 0, NULL, error);
    if (!result)
        return -1;
    *ret = PQntuples(result) == 1 ? leat_pg_integer(result, 0, 0) : 0;
    PQclear(result);
    return 0;
}

int leat_pg_source_refuse_newer(const leat_pg *pg, int64_t version, leat_error *error)
{
    if (version <= LEAT_SCHEMA_VERSION)
        return 0;
    return leat_fail(error,
                     "%s: schema leat has version %" PRId64
                     ", this program knows version %d: use a newer leat",
                     pg->where, version, LEAT_SCHEMA_VERSION);
}

/* 0 the schema is there and this program's, 1 it is not there, -1 error. */
static int check_schema(leat_pg *pg, leat_error *error)
{
    int64_t version = 0;
    int status = leat_pg_source_version(pg, &version, error);
    if (status != 0)
        return status;
    if (leat_pg_source_refuse_newer(pg, version, error) != 0)
        return -1;
    if (version < LEAT_SCHEMA_VERSION)
        return leat_fail(error,
                         "%s: schema leat has version %" PRId64
                         ", this program needs version %d: run `leat init`",
                         pg->where, version, LEAT_SCHEMA_VERSION);
    return 0;
}

static int read_source(const char *dsn, const char *topic, leat_source *ret_source,
                       leat_layout *ret_layout, leat_error *error)
{
    leat_pg pg;
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = check_schema(&pg, error);
    if (status == 0)
        status = leat_pg_source_query(&pg, topic, ret_source, ret_layout, error);
    leat_pg_close(&pg);
    return status < 0 && pg.is_away ? 2 : status;
}

/* From any version of the schema, before and after columns were added: as a row's JSON. */
static const char placement_sql[] =
    "SELECT coalesce((to_jsonb(s)->>'placement')::int, 1), s.subpartitions,"
    "       coalesce((to_jsonb(s)->>'tenant_window')::int, 0),"
    "       coalesce((to_jsonb(s)->>'tenant_position')::int, -1)"
    "  FROM leat.sources AS s WHERE s.topic = $1";

static int query_placement(leat_pg *pg, const char *topic, leat_placement *ret, leat_error *error)
{
    enum { PLACEMENT, SUBPARTITIONS, WINDOW, POSITION };
    int64_t version = 0;
    int missing = leat_pg_source_version(pg, &version, error);
    if (missing != 0)
        return missing;
    if (leat_pg_source_refuse_newer(pg, version, error) != 0)
        return -1;
    PGresult *result = leat_pg_query(pg, placement_sql, 1, &topic, error);
    if (!result)
        return -1;
    missing = PQntuples(result) == 0;
    if (!missing)
        *ret = (leat_placement){(uint32_t)leat_pg_integer(result, 0, PLACEMENT),
                                (uint32_t)leat_pg_integer(result, 0, SUBPARTITIONS),
                                (uint32_t)leat_pg_integer(result, 0, WINDOW),
                                (int32_t)leat_pg_integer(result, 0, POSITION)};
    PQclear(result);
    return missing;
}

static int read_placement(const char *dsn, const char *topic, leat_placement *ret,
                          leat_error *error)
{
    leat_pg pg;
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = query_placement(&pg, topic, ret, error);
    leat_pg_close(&pg);
    return status < 0 && pg.is_away ? 2 : status;
}

/* ---- which database this is ---- */

/* No role can be denied these. A copy on this server has another oid, one on another server another
 * time. */
static const char which_database_sql[] =
    "SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint || ':' || d.oid,"
    "       to_regclass('leat.partitions') IS NOT NULL"
    "  FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()";

static const char held_sql[] =
    "SELECT min(p.partition), max(p.partition) FROM leat.partitions AS p JOIN leat.sources AS s ON s.id = p.source"
    " WHERE s.topic = $1";

static int name_shard(leat_pg *pg, const char *topic, leat_shard_self *ret, leat_error *error)
{
    leat_layout layout = {0};
    PGresult *held = leat_pg_query(pg, held_sql, 1, &topic, error);
    if (!held)
        return -1;
    bool is_none = PQgetisnull(held, 0, 0);
    uint32_t first = is_none ? 0 : (uint32_t)leat_pg_integer(held, 0, 0),
             last = is_none ? 0 : (uint32_t)leat_pg_integer(held, 0, 1);
    PQclear(held);
    if (is_none)
        return 0;
    if (read_shards(pg, topic, &layout, error) != 0)
        return -1;
    return leat_layout_name_shard(&layout, first, last, ret->where, ret->shard, error);
}

static int query_self(leat_pg *pg, const char *topic, leat_shard_self *ret, leat_error *error)
{
    PGresult *result = leat_pg_query(pg, which_database_sql, 0, NULL, error);
    if (!result)
        return -1;
    snprintf(ret->database, sizeof ret->database, "%s", PQgetvalue(result, 0, 0));
    snprintf(ret->where, sizeof ret->where, "%s", pg->where);
    bool is_set_up = leat_pg_boolean(result, 0, 1);
    PQclear(result);
    return is_set_up ? name_shard(pg, topic, ret, error) : 0;
}

static int read_self(const char *dsn, const char *topic, leat_shard_self *ret, leat_error *error)
{
    leat_pg pg;
    *ret = (leat_shard_self){0};
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = query_self(&pg, topic, ret, error);
    leat_pg_close(&pg);
    if (status == 0)
        return 0;
    *ret = (leat_shard_self){0};
    return pg.is_away ? 2 : -1;
}

/* ---- others ---- */

/* In a pool a session keeps the name of its last user, who may be gone; an applier uses one every
 * few seconds. */
static int query_others(leat_pg *pg, const leat_source *source, const char *group,
                        leat_error *error)
{
    char id[16], owner[LEAT_OWNER_SIZE];
    bool is_pooled;
    if (leat_pg_find_pooler(pg, &is_pooled, error) != 0)
        return -1;
    snprintf(id, sizeof id, "%" PRId32, source->id);
    leat_shard_owner(source, group, owner);
    const char *const values[] = {id, owner, is_pooled ? "t" : "f"};
    PGresult *result =
        leat_pg_query(pg,
                      "SELECT pid, application_name FROM pg_catalog.pg_stat_activity"
                      " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                      "   AND starts_with(application_name, 'leat ' || $1 || ' ')"
                      "   AND NOT starts_with(application_name, 'leat ' || $2 || ' ')"
                      "   AND (NOT $3::boolean OR state <> 'idle'"
                      "        OR state_change > now() - interval '15 seconds') LIMIT 1",
                      3, values, error);
    if (!result)
        return -1;
    int status = PQntuples(result) > 0;
    if (status == 1)
        leat_fail(
            error,
            "%s: another consumer group applies topic %s already (session %s, \"%s\"): two groups would fence each "
            "other. Use its log.kafka.group, or end its processes first",
            pg->where, source->topic, PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1));
    PQclear(result);
    return status;
}

static int refuse_others(const char *dsn, const leat_source *source, const char *group,
                         leat_error *error)
{
    leat_pg pg;
    int status = leat_pg_open(&pg, dsn, error);
    if (status == 0)
        status = query_others(&pg, source, group, error);
    leat_pg_close(&pg);
    return status;
}

const leat_shard_source_ops leat_pg_source = {.read = read_source,
                                              .read_placement = read_placement,
                                              .read_tenants = leat_pg_tenants_read,
                                              .read_self = read_self,
                                              .init = leat_pg_source_init,
                                              .rehearse_init = leat_pg_source_rehearse,
                                              .refuse_others = refuse_others};
