/*
 * The blocking half of the sink seam. An address tells which kind of database a shard is; each call
 * goes to that backend's table of operations, so that start-up and commands need not know of kinds.
 * Where a backend has no operation, there is nothing to refuse or to show.
 */
#include "sink/shard_ops.h"

#include <stdlib.h>

typedef struct shard_backend {
    const leat_shard_address_ops *address; /* NULL: any will do */
    const leat_shard_tables_ops *tables;
    const leat_shard_source_ops *source;
    const leat_shard_privileges_ops *privileges; /* NULL: there are none */
    const leat_shard_inspect_ops *inspect;
    const leat_shard_dead_letters_ops *dead_letters;
    const leat_shard_held_ops *held;
    const leat_shard_controls_ops *controls;
    const leat_shard_reporter_ops *reporter;
    const leat_shard_audit_ops *audit;
} shard_backend;

static const shard_backend postgres = {
    .address = &leat_pg_address,
    .tables = &leat_pg_tables,
    .source = &leat_pg_source,
    .privileges = &leat_pg_privileges,
    .inspect = &leat_pg_inspect,
    .dead_letters = &leat_pg_dead_letters,
    .held = &leat_pg_held,
    .controls = &leat_pg_controls,
    .reporter = &leat_pg_reporter,
    .audit = &leat_pg_audit,
};

static const shard_backend sqlite = {
    .tables = &leat_sqlite_tables,
    .source = &leat_sqlite_source,
    .inspect = &leat_sqlite_inspect,
    .dead_letters = &leat_sqlite_dead_letters,
    .held = &leat_sqlite_held,
    .controls = &leat_sqlite_controls,
    .reporter = &leat_sqlite_reporter,
    .audit = &leat_sqlite_audit,
};

static const shard_backend *backend_of(leat_shard_address at)
{
    LEAT_ASSERT((at.sqlite != NULL) != (at.dsn != NULL));
    return at.sqlite ? &sqlite : &postgres;
}

static const char *text_of(leat_shard_address at)
{
    return at.sqlite ? at.sqlite : at.dsn;
}

int leat_shard_check_address(leat_shard_address at, leat_error *error)
{
    const leat_shard_address_ops *ops = backend_of(at)->address;
    return ops ? ops->check(text_of(at), error) : 0;
}

int leat_shard_read_tables(leat_shard_address at, const char *const *labels, uint32_t count,
                           leat_table *ret, leat_error *error)
{
    return backend_of(at)->tables->read(text_of(at), labels, count, ret, error);
}

/* ---- source ---- */

int leat_shard_read_source(leat_shard_address at, const char *topic, leat_source *ret_source,
                           leat_layout *ret_layout, leat_error *error)
{
    return backend_of(at)->source->read(text_of(at), topic, ret_source, ret_layout, error);
}

static int check_tenants(const leat_layout *layout, const leat_tenant_map *map, leat_error *error)
{
    if (leat_tenant_map_count(map) == layout->tenant_count &&
        leat_tenant_map_digest(map) == layout->tenant_digest)
        return 0;
    return leat_fail(error, "the tenants that have a shard of their own are not those that it was "
                            "set up with: leat never changes them. Restore them from a backup");
}

int leat_shard_read_tenants(leat_shard_address at, const char *topic, leat_layout *layout,
                            leat_tenant_map **ret, leat_error *error)
{
    *ret = NULL;
    if (layout->tenant_count <= 0)
        return 0;
    leat_tenant_map *map = leat_tenant_map_new();
    int status = backend_of(at)->source->read_tenants(text_of(at), topic, map, error);
    if (status == 0)
        status = check_tenants(layout, map, error);
    if (status != 0) {
        leat_tenant_map_free(map);
        return status;
    }
    *ret = map;
    leat_layout_take_tenants(layout, map);
    return 0;
}

int leat_shard_read_placement(leat_shard_address at, const char *topic, leat_placement *ret,
                              leat_error *error)
{
    return backend_of(at)->source->read_placement(text_of(at), topic, ret, error);
}

int leat_shard_read_self(leat_shard_address at, const char *topic, leat_shard_self *ret,
                         leat_error *error)
{
    return backend_of(at)->source->read_self(text_of(at), topic, ret, error);
}

int leat_shard_init(leat_shard_address at, leat_source *source, const leat_layout *layout,
                    uint32_t shard, const int64_t *starts, leat_error *error)
{
    LEAT_ASSERT(shard < layout->shard_count);
    return backend_of(at)->source->init(text_of(at), source, layout, shard, starts, error);
}

int leat_shard_rehearse_init(leat_shard_address at, leat_source *source, const leat_layout *layout,
                             uint32_t shard, const int64_t *starts, leat_error *error)
{
    LEAT_ASSERT(shard < layout->shard_count);
    return backend_of(at)->source->rehearse_init(text_of(at), source, layout, shard, starts, error);
}

int leat_shard_refuse_others(leat_shard_address at, const leat_source *source, const char *group,
                             leat_error *error)
{
    const leat_shard_source_ops *ops = backend_of(at)->source;
    return ops->refuse_others ? ops->refuse_others(text_of(at), source, group, error) : 0;
}

/* ---- inspection ---- */

int leat_shard_read_server(leat_shard_address at, leat_shard_server *ret, leat_error *error)
{
    return backend_of(at)->inspect->read_server(text_of(at), ret, error);
}

int leat_shard_missing_privileges(leat_shard_address at, const leat_table *tables, uint32_t count,
                                  bool commits_async, leat_buf *ret_missing, leat_buf *ret_grants,
                                  leat_error *error)
{
    const leat_shard_privileges_ops *ops = backend_of(at)->privileges;
    return ops ? ops->read_missing(text_of(at), tables, count, commits_async, ret_missing,
                                   ret_grants, error)
               : 0;
}

int leat_shard_read_progress(leat_shard_address at, const char *topic, leat_shard_partition **ret,
                             uint32_t *ret_count, leat_error *error)
{
    return backend_of(at)->inspect->read_progress(text_of(at), topic, ret, ret_count, error);
}

int leat_shard_read_work(leat_shard_address at, const char *topic, leat_shard_work *ret,
                         leat_error *error)
{
    return backend_of(at)->inspect->read_work(text_of(at), topic, ret, error);
}

int leat_shard_dead_letters(leat_shard_address at, const leat_dead_query *query,
                            leat_dead_letters *ret, leat_error *error)
{
    return backend_of(at)->dead_letters->read(text_of(at), query, ret, error);
}

/* ---- held keys ---- */

int leat_shard_held_keys(leat_shard_address at, const leat_held_query *query, leat_held_keys *ret,
                         leat_error *error)
{
    *ret = (leat_held_keys){0};
    return backend_of(at)->held->read(text_of(at), query, ret, error);
}

int leat_shard_end_hold(leat_shard_address at, const leat_held_work *work, leat_held_result *ret,
                        leat_error *error)
{
    *ret = (leat_held_result){.is_held = true};
    return backend_of(at)->held->end(text_of(at), work, ret, error);
}

void leat_held_keys_fini(leat_held_keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        leat_shard_held_key *key = &keys->keys[i];
        char *const owned[] = {key->table, key->key,      key->since,
                               key->at,    key->sqlstate, key->message};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
            free(owned[k]);
    }
    free(keys->keys);
    *keys = (leat_held_keys){0};
}

/* ---- controls ---- */

int leat_shard_read_controls(leat_shard_address at, int32_t source_id, leat_control_set **ret,
                             leat_error *error)
{
    return backend_of(at)->controls->read(text_of(at), source_id, ret, error);
}

int leat_shard_read_ended_controls(leat_shard_address at, int32_t source_id, leat_control_set **ret,
                                   leat_error *error)
{
    return backend_of(at)->controls->read_ended(text_of(at), source_id, ret, error);
}

int leat_shard_read_floods(leat_shard_address at, int32_t source_id, leat_control_set **ret,
                           leat_error *error)
{
    return backend_of(at)->controls->read_floods(text_of(at), source_id, ret, error);
}

int leat_shard_put_control(leat_shard_address at, int32_t source_id, const leat_control_wish *wish,
                           leat_control_put *ret, leat_error *error)
{
    LEAT_ASSERT(wish->what && wish->reason && wish->for_ms > 0);
    return backend_of(at)->controls->put(text_of(at), source_id, wish, ret, error);
}

int leat_shard_remove_control(leat_shard_address at, int32_t source_id, const char *table,
                              const char *what, bool *ret_was_there, leat_error *error)
{
    return backend_of(at)->controls->remove(text_of(at), source_id, table, what, ret_was_there,
                                            error);
}

/* ---- reporter ---- */

leat_shard_reporter *leat_shard_reporter_new(leat_shard_address at, int32_t source_id)
{
    return backend_of(at)->reporter->open(text_of(at), source_id);
}

int leat_shard_reporter_send(leat_shard_reporter *reporter, const leat_shard_report *report,
                             leat_error *error)
{
    LEAT_ASSERT(report->instance && report->json);
    return reporter->ops->send(reporter, report, error);
}

int leat_shard_reporter_remove(leat_shard_reporter *reporter, const char *instance,
                               leat_error *error)
{
    return reporter->ops->remove(reporter, instance, error);
}

int leat_shard_reporter_read_waits(leat_shard_reporter *reporter, const char *name,
                                   leat_shard_waits *ret, leat_error *error)
{
    ret->count = 0;
    return reporter->ops->read_waits ? reporter->ops->read_waits(reporter, name, ret, error) : 0;
}

int leat_shard_reporter_read_controls(leat_shard_reporter *reporter, leat_control_set **ret,
                                      leat_error *error)
{
    return reporter->ops->read_controls(reporter, ret, error);
}

int leat_shard_reporter_read_modes(leat_shard_reporter *reporter, leat_mode_rows *ret,
                                   leat_error *error)
{
    LEAT_ASSERT(reporter->ops->read_modes); /* not of a SQLite file */
    return reporter->ops->read_modes(reporter, ret, error);
}

int leat_shard_reporter_read_writes(leat_shard_reporter *reporter, bool durably,
                                    const leat_write_question *questions, uint32_t count,
                                    leat_write_answer *ret, leat_error *error)
{
    LEAT_ASSERT(count > 0);
    return reporter->ops->read_writes(reporter, durably, questions, count, ret, error);
}

void leat_shard_reporter_rest(leat_shard_reporter *reporter)
{
    reporter->ops->rest(reporter);
}

int leat_shard_reporter_read_parked_size(leat_shard_reporter *reporter, uint64_t *ret_bytes,
                                         leat_error *error)
{
    *ret_bytes = 0;
    return reporter->ops->read_parked_size
               ? reporter->ops->read_parked_size(reporter, ret_bytes, error)
               : 1;
}

int leat_shard_reporter_note_key(leat_shard_reporter *reporter, const leat_shard_key_note *note,
                                 leat_error *error)
{
    return reporter->ops->note_key(reporter, note, error);
}

int leat_shard_reporter_count_held(leat_shard_reporter *reporter, const leat_placement *placement,
                                   uint32_t partition_count, leat_shard_held_count *ret,
                                   leat_error *error)
{
    LEAT_ASSERT(partition_count > 0);
    memset(ret, 0, partition_count * sizeof *ret);
    return reporter->ops->count_held(reporter, placement, partition_count, ret, error);
}

int leat_shard_reporter_rotate_keys(leat_shard_reporter *reporter, int64_t lifetime_ms,
                                    int64_t newest_ms, leat_shard_rotated *ret, leat_error *error)
{
    LEAT_ASSERT(lifetime_ms > 0 && newest_ms >= 0);
    *ret = (leat_shard_rotated){0};
    return reporter->ops->rotate_keys
               ? reporter->ops->rotate_keys(reporter, lifetime_ms, newest_ms, ret, error)
               : 1;
}

void leat_shard_reporter_free(leat_shard_reporter *reporter)
{
    if (reporter)
        reporter->ops->free(reporter);
}

/* ---- audit ---- */

leat_shard_audit *leat_shard_audit_new(leat_shard_address at, int32_t source_id,
                                       uint32_t subpartitions)
{
    LEAT_ASSERT(subpartitions > 0 && subpartitions <= LEAT_SUBPARTITIONS_MAX);
    return backend_of(at)->audit->open(text_of(at), source_id, subpartitions);
}

int leat_shard_audit_begin(leat_shard_audit *audit, leat_error *error)
{
    return audit->ops->begin(audit, error);
}

void leat_shard_audit_end(leat_shard_audit *audit)
{
    audit->ops->end(audit);
}

int leat_shard_audit_reached(leat_shard_audit *audit, uint32_t partition, int64_t *ret,
                             leat_error *error)
{
    return audit->ops->reached(audit, partition, ret, error);
}

int leat_shard_audit_writes(leat_shard_audit *audit, const leat_write_question *questions,
                            uint32_t count, leat_write_answer *ret, leat_error *error)
{
    LEAT_ASSERT(count > 0 && count <= LEAT_AUDIT_WRITES_MAX);
    return audit->ops->writes(audit, questions, count, ret, error);
}

int leat_shard_audit_rows(leat_shard_audit *audit, const leat_route *route, uint64_t columns,
                          const leat_audit_row *rows, uint32_t count, leat_audit_answer *ret,
                          leat_error *error)
{
    LEAT_ASSERT(count > 0 && count <= LEAT_AUDIT_ROWS_MAX);
    return audit->ops->rows(audit, route, columns, rows, count, ret, error);
}

void leat_shard_audit_free(leat_shard_audit *audit)
{
    if (audit)
        audit->ops->free(audit);
}
