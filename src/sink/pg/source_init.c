/*
 * source_init.c - what `leat init` does in a database: one transaction, under the lock that
 * schema.sql takes, so a shard is set up entirely or not at all, and two processes that set it up
 * at once agree. An existing source must be equal: its partitions, hash and placement decide where
 * every key is, and never change.
 */
#include "sink/pg/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "sink/shard_source.h"

static void slots_array(const leat_layout *layout, leat_buf *out)
{
    LEAT_ASSERT(layout->shard_count > 0);
    for (uint32_t slot = 0; slot < LEAT_TENANT_SLOTS; slot++)
        leat_buf_printf(out, "%c%u", slot ? ',' : '{', layout->tenant_slots[slot]);
    leat_buf_byte(out, '}');
}

static int change(leat_pg *pg, const char *sql, int count, const char *const *values,
                  leat_error *error)
{
    PGresult *result = leat_pg_query(pg, sql, count, values, error);
    PQclear(result);
    return result ? 0 : -1;
}

static int store_slots(leat_pg *pg, const char *id, const leat_layout *layout, leat_error *error)
{
    leat_buf slots = {0};
    slots_array(layout, &slots);
    const char *text = leat_buf_cstr(&slots);
    int status = text ? change(pg,
                               "INSERT INTO leat.tenant_slots (source, slot, shard)"
                               " SELECT $1::int, u.n - 1, u.shard"
                               "   FROM unnest($2::int[]) WITH ORDINALITY AS u (shard, n)",
                               2, (const char *const[]){id, text}, error)
                      : leat_fail(error, "out of memory");
    leat_buf_free(&slots);
    return status;
}

static int store_source(leat_pg *pg, const leat_source *source, const leat_layout *layout,
                        leat_error *error)
{
    const leat_placement *placement = &source->placement;
    char id[16], version[16], subpartitions[16], window[16], position[16];
    snprintf(id, sizeof id, "%" PRId32, source->id);
    snprintf(version, sizeof version, "%" PRIu32, placement->version);
    snprintf(subpartitions, sizeof subpartitions, "%" PRIu32, placement->subpartitions);
    snprintf(window, sizeof window, "%" PRIu32, placement->tenant_window);
    snprintf(position, sizeof position, "%" PRId32, placement->tenant_position);
    LEAT_ASSERT(leat_placement_is_valid(placement));
    char *json = leat_layout_to_json(layout);
    const char *const values[] = {id,
                                  source->log_identity,
                                  source->topic,
                                  source->topic_id,
                                  json,
                                  subpartitions,
                                  source->hash,
                                  version,
                                  window,
                                  position};
    int status = json ? change(pg,
                               "INSERT INTO leat.sources"
                               " (id, log_identity, topic, topic_id, layout, subpartitions, hash,"
                               "  placement, tenant_window, tenant_position)"
                               " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                               10, values, error)
                      : leat_fail(error, "out of memory");
    free(json);
    if (status != 0 || store_slots(pg, id, layout, error) != 0)
        return -1;
    return leat_pg_tenants_store(pg, id, layout->tenants, error);
}

/* One database for two shards would give a partition two owners' rows; most likely a dsn was
 * copied. */
static int check_strangers(leat_pg *pg, const leat_layout *layout, uint32_t shard,
                           const char *const *range, leat_error *error)
{
    LEAT_ASSERT(shard < layout->shard_count);
    PGresult *result =
        leat_pg_query(pg,
                      "SELECT min(partition) FROM leat.partitions WHERE source = $1::int"
                      "   AND (partition < $2::int OR partition >= $2::int + $3::int)",
                      3, range, error);
    if (!result)
        return -1;
    int status = 0;
    if (!PQgetisnull(result, 0, 0))
        status = leat_fail(
            error,
            "%s: it holds partition %s, which does not belong to shard %s. Do two shards have one dsn?",
            pg->where, PQgetvalue(result, 0, 0), layout->shards[shard].name);
    PQclear(result);
    return status;
}

/* {low,low,...}: everything before the log's first record counts as applied. */
static void lows_array(const leat_layout *layout, uint32_t shard, const int64_t *starts,
                       leat_buf *out)
{
    LEAT_ASSERT(shard < layout->shard_count);
    for (uint32_t i = 0; i < layout->shards[shard].count; i++)
        leat_buf_printf(out, "%c%" PRId64, i == 0 ? '{' : ',',
                        starts[layout->shards[shard].first + i] - 1);
    leat_buf_byte(out, '}');
}

static int store_partitions(leat_pg *pg, const leat_source *source, const leat_layout *layout,
                            uint32_t shard, const int64_t *starts, leat_error *error)
{
    LEAT_ASSERT(shard < layout->shard_count);
    char id[16], first[16], count[16], subpartitions[16];
    snprintf(id, sizeof id, "%" PRId32, source->id);
    snprintf(first, sizeof first, "%" PRIu32, layout->shards[shard].first);
    snprintf(count, sizeof count, "%" PRIu32, layout->shards[shard].count);
    snprintf(subpartitions, sizeof subpartitions, "%" PRIu32, source->placement.subpartitions);
    leat_buf lows = {0};
    lows_array(layout, shard, starts, &lows);
    const char *const values[] = {id, first, count, subpartitions, leat_buf_cstr(&lows)};
    int status = values[4] ? check_strangers(pg, layout, shard, values, error)
                           : leat_fail(error, "out of memory");
    if (status == 0)
        status =
            change(pg,
                   "INSERT INTO leat.partitions (source, partition, base_offsets, low)"
                   " SELECT $1::int, $2::int + at - 1, array_fill(-1::bigint, ARRAY[$4::int]), low"
                   "   FROM unnest($5::bigint[]) WITH ORDINALITY AS l (low, at)"
                   "  WHERE at <= $3::int ON CONFLICT DO NOTHING",
                   5, values, error);
    leat_buf_free(&lows);
    return status;
}

static int init_in_transaction(leat_pg *pg, leat_source *source, const leat_layout *layout,
                               uint32_t shard, const int64_t *starts, leat_error *error)
{
    int64_t version = 0;
    if (leat_pg_source_version(pg, &version, error) < 0 ||
        leat_pg_source_refuse_newer(pg, version, error) != 0 ||
        leat_pg_run(pg, leat_schema_sql, error) != 0)
        return -1;
    leat_source stored;
    leat_layout stored_layout;
    int status = leat_pg_source_query(pg, source->topic, &stored, &stored_layout, error);
    if (status < 0)
        return leat_fail_prefix(error, "%s", pg->where);
    if (status == 0) {
        if (leat_shard_check_source(&stored, &stored_layout, source, layout, error) != 0)
            return leat_fail_prefix(error, "%s", pg->where);
        source->id = stored.id;
    } else {
        source->id = leat_source_id(source);
        if (store_source(pg, source, layout, error) != 0)
            return -1;
    }
    return store_partitions(pg, source, layout, shard, starts, error);
}

static int set_up(const char *dsn, leat_source *source, const leat_layout *layout, uint32_t shard,
                  const int64_t *starts, int (*end)(leat_pg *pg, leat_error *error),
                  leat_error *error)
{
    LEAT_ASSERT(shard < layout->shard_count);
    leat_pg pg;
    int status = leat_pg_open_to_change(&pg, dsn, error);
    if (status == 0)
        status = init_in_transaction(&pg, source, layout, shard, starts, error);
    if (status == 0)
        status = end(&pg, error);
    leat_pg_close(&pg);
    return status;
}

int leat_pg_source_init(const char *dsn, leat_source *source, const leat_layout *layout,
                        uint32_t shard, const int64_t *starts, leat_error *error)
{
    return set_up(dsn, source, layout, shard, starts, leat_pg_commit, error);
}

static int take_back(leat_pg *pg, leat_error *error)
{
    return leat_pg_run(pg, "ROLLBACK", error);
}

int leat_pg_source_rehearse(const char *dsn, leat_source *source, const leat_layout *layout,
                            uint32_t shard, const int64_t *starts, leat_error *error)
{
    return set_up(dsn, source, layout, shard, starts, take_back, error);
}
