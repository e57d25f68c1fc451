/*
 * start_catalog.c - the state that a process that serves starts with: source, layout and a version
 * of the tables for each shard. The shards that answer are authoritative; a shard that is down must
 * not keep the others waiting, so it starts with the tables of one that answers, and the catalog
 * watch corrects that later. When none answers, an edge can still accept writes by the catalog
 * file.
 *
 * A SQLite file that is new is set up here: it is on this machine and has one writer, so nobody
 * needs to run `leat init` for it.
 */
#include "daemon/tenant_file.h"
#include "daemon/start_catalog.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "config/text.h"
#include "daemon/log_identity.h"
#include "daemon/place_source.h"
#include "daemon/shard_tables.h"

/* ---- versions ---- */

static leat_step_spec step_of(const leat_config_pair *column)
{
    leat_step_spec step = {0};
    if (column->detail && leat_text_step(column->detail, &step.milliseconds) &&
        step.milliseconds == 0)
        step.number = column->detail;
    return step;
}

static leat_on_refused on_refused_of(const leat_config_route *route)
{
    leat_on_refused ret;
    bool is_known = leat_on_refused_by_name(route->on_refused, &ret);
    LEAT_ASSERT(is_known); /* one of the setting's choices */
    return ret;
}

static leat_mode mode_of(const leat_config_route *route)
{
    leat_mode ret;
    bool is_known = leat_mode_by_name(route->mode, &ret);
    LEAT_ASSERT(is_known);
    return ret;
}

static int build_route(const leat_assembly *assembly, uint32_t index, const leat_catalog *over,
                       leat_routes *ret, leat_error *error)
{
    const leat_config *config = &assembly->config;
    const leat_config_route *from = &config->routes[index];
    int table = leat_catalog_table(over, from->table);
    if (table < 0) {
        leat_fail(error, "%s is not known; run `leat init`", from->table);
        return leat_config_blame(config, error, "routes[%u].table", index);
    }
    const char *names[LEAT_COLUMNS_MAX];
    leat_column_op ops[LEAT_COLUMNS_MAX];
    leat_step_spec steps[LEAT_COLUMNS_MAX];
    for (uint32_t c = 0; c < from->column_count; c++) {
        names[c] = from->columns[c].name;
        steps[c] = step_of(&from->columns[c]);
        if (leat_op_by_name(from->columns[c].value, &ops[c]))
            continue;
        leat_fail(error, "operation %s does not exist (set, add, max, min, merge, append)",
                  from->columns[c].value);
        return leat_config_blame(config, error, "routes[%u].columns.%s", index, names[c]);
    }
    leat_route_spec spec = {.name = from->name,
                            .path = from->path,
                            .tenant = from->tenant,
                            .put_merge = strcmp(from->put, "merge") == 0,
                            .other = from->other,
                            .patch_existing = strcmp(from->patch, "existing") == 0,
                            .no_fold = strcmp(from->fold, "off") == 0,
                            .accept_row_security = strcmp(from->row_security, "accept") == 0,
                            .accept_untouched = strcmp(from->untouched, "accept") == 0,
                            .on_refused = on_refused_of(from),
                            .mode = mode_of(from),
                            .column_count = from->column_count,
                            .column_names = names,
                            .column_ops = ops,
                            .column_steps = steps};
    leat_route *route = &ret->routes[ret->count];
    if (leat_route_build(&spec, &over->tables[table], (uint32_t)table, route, error) != 0)
        return leat_config_blame(config, error, "routes[%u]", index);
    route->index = ret->count++;
    return leat_assembly_check_tenant(assembly, &assembly->catalog.source.placement, route, error);
}

static int add_shadow(const leat_assembly *assembly, uint32_t index, const leat_catalog *over,
                      leat_routes *ret, leat_error *error)
{
    const char *label = assembly->config.routes[index].shadow_table;
    int table = label ? leat_catalog_table(over, label) : 0;
    if (!label)
        return 0;
    if (table < 0)
        leat_fail(error, "%s is not known; run `leat init`", label);
    if (table >= 0 &&
        leat_routes_add_shadow(ret, index, &over->tables[table], (uint32_t)table, error) == 0)
        return 0;
    return leat_config_blame(&assembly->config, error, "routes[%u].shadow_table", index);
}

leat_schema_version *leat_assembly_build_version(const leat_assembly *assembly, leat_table *tables,
                                                 uint32_t count, leat_error *error)
{
    leat_schema_version *version = leat_schema_version_new();
    version->tables = tables;
    version->table_count = count;
    const leat_catalog over = {.table_count = count, .tables = tables};
    int status = 0;
    for (uint32_t r = 0; status == 0 && r < assembly->config.route_count; r++)
        status = build_route(assembly, r, &over, &version->routes, error);
    for (uint32_t r = 0; status == 0 && r < assembly->config.route_count; r++)
        status = add_shadow(assembly, r, &over, &version->routes, error);
    if (status == 0)
        status = leat_routes_check(&version->routes, error) == 0
                     ? 0
                     : leat_config_blame(&assembly->config, error, "routes");
    if (status == 0)
        return version;
    leat_schema_version_free(version);
    return NULL;
}

static leat_table *copy_tables(const leat_table *from, uint32_t count)
{
    leat_table *tables = leat_must_calloc(count, sizeof *tables);
    for (uint32_t t = 0; t < count; t++) {
        tables[t] = from[t];
        for (uint32_t c = 0; c < from[t].column_count; c++) {
            const char *expression = from[t].columns[c].default_expression;
            tables[t].columns[c].default_expression = expression ? leat_must_strdup(expression)
                                                                 : NULL;
        }
    }
    return tables;
}

static const leat_schema_version *first_version(const leat_assembly *assembly)
{
    for (uint32_t shard = 0; shard < assembly->config.shard_count; shard++)
        if (assembly->versions[shard])
            return assembly->versions[shard];
    return NULL;
}

/* In the middle of a migration shards differ: each has its own tables, when they fit the
 * configuration and have the key that the others have. -1: it starts with those of another. 1: with
 * none, one of its tables is UNLOGGED. */
static int read_version(leat_assembly *assembly, uint32_t shard, leat_error *error)
{
    leat_table *tables = NULL;
    uint32_t count = 0;
    int64_t catalog_read_us = leat_mono_us();
    int status = leat_assembly_read_tables(
        assembly, leat_assembly_address(&assembly->config.shards[shard]), &tables, &count, error);
    if (status != 0)
        return status;
    leat_schema_version *version = leat_assembly_build_version(assembly, tables, count, error);
    const leat_schema_version *first = first_version(assembly);
    if (!version)
        return -1;
    if (first && leat_schema_version_follows(first, version, error) != 0) {
        leat_schema_version_free(version);
        return -1;
    }
    assembly->versions[shard] = version;
    assembly->catalog_read_us[shard] = catalog_read_us;
    return 0;
}

/* For the shards that did not give one. */
static int fill_versions(leat_assembly *assembly, leat_error *error)
{
    const leat_schema_version *first = first_version(assembly);
    const leat_table *known = first ? first->tables : assembly->catalog.tables;
    uint32_t count = first ? first->table_count : assembly->catalog.table_count;
    for (uint32_t shard = 0; shard < assembly->config.shard_count; shard++) {
        if (assembly->versions[shard])
            continue;
        assembly->versions[shard] =
            leat_assembly_build_version(assembly, copy_tables(known, count), count, error);
        if (!assembly->versions[shard])
            return -1;
    }
    return 0;
}

/* ---- the shards ---- */

/* By the tables that the file has: a place for each route's tenant follows from their keys, and the
 * form of the tenants in their map. */
static int place_source(leat_assembly *assembly, uint32_t shard, leat_source *source,
                        leat_tenant_map **ret_tenants, leat_error *error)
{
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_read_tables(assembly, leat_assembly_address(&assembly->config.shards[shard]),
                                  &tables, &count, error) != 0)
        return -1;
    leat_schema_version *version = leat_assembly_build_version(assembly, tables, count, error);
    int status = version ? leat_assembly_place_source(assembly, &version->routes, source, error)
                         : -1;
    if (status == 0)
        status = leat_assembly_read_tenant_file(assembly, &version->routes, ret_tenants, error);
    leat_schema_version_free(version);
    return status;
}

static int init_file(leat_assembly *assembly, uint32_t shard, leat_source *source,
                     const leat_layout *even, leat_error *error)
{
    const leat_config_shard *at = &assembly->config.shards[shard];
    leat_layout with_tenants = *even;
    const leat_layout *layout = &with_tenants;
    leat_tenant_map *tenants = NULL;
    if (place_source(assembly, shard, source, &tenants, error) != 0)
        return -1;
    leat_layout_take_tenants(&with_tenants, tenants);
    int64_t *starts = leat_must_calloc(layout->partition_count, sizeof *starts);
    int status = leat_log_starts(&assembly->log, layout->partition_count, LEAT_START_BROKER_MS,
                                 starts, error);
    if (status == 0)
        status = leat_shard_init(leat_assembly_address(at), source, layout, shard, starts, error);
    if (status == 0)
        leat_info("tables leat_* created shard=%s file=%s", at->name, at->sqlite);
    free(starts);
    leat_tenant_map_free(tenants);
    return status;
}

static int read_source(leat_assembly *assembly, uint32_t shard, leat_source *running,
                       const leat_layout *even, leat_layout *ret_layout, leat_source *ret_stored,
                       leat_error *error)
{
    const leat_config_shard *at = &assembly->config.shards[shard];
    leat_shard_address address = leat_assembly_address(at);
    int found = leat_shard_read_source(address, assembly->log.topic, ret_stored, ret_layout, error);
    if (found != 1 || !at->sqlite)
        return found;
    if (init_file(assembly, shard, running, even, error) != 0)
        return -1;
    return leat_shard_read_source(address, assembly->log.topic, ret_stored, ret_layout, error);
}

/* Those of the first shard that answers: the others must have the same. */
static int take_tenants(leat_assembly *assembly, uint32_t shard, leat_layout *layout,
                        leat_error *error)
{
    leat_tenant_map_free(assembly->catalog.tenants);
    return leat_shard_read_tenants(leat_assembly_address(&assembly->config.shards[shard]),
                                   assembly->log.topic, layout, &assembly->catalog.tenants, error);
}

/* Against the configured map, which is read with the routes. */
static int check_tenants(const leat_assembly *assembly, leat_error *error)
{
    leat_tenant_map *configured;
    if (leat_assembly_read_tenant_file(assembly, &first_version(assembly)->routes, &configured,
                                       error) != 0)
        return -1;
    int status =
        leat_assembly_check_tenants(assembly, assembly->catalog.tenants, configured, error);
    leat_tenant_map_free(configured);
    return status;
}

/* 1: no shard answered. */
static int check_shards(leat_assembly *assembly, leat_error *error)
{
    leat_source running;
    leat_layout even;
    if (leat_assembly_running_source(assembly, &running, &even, error) != 0 ||
        leat_assembly_check_databases(assembly, false, error) != 0)
        return -1;
    int answered = 0;
    for (uint32_t shard = 0; shard < assembly->config.shard_count; shard++) {
        const leat_config_shard *from = &assembly->config.shards[shard];
        leat_source stored;
        leat_layout layout;
        int found = read_source(assembly, shard, &running, &even, &layout, &stored, error);
        if (found < 0)
            return leat_fail_prefix(error, "shard %s", from->name);
        if (found == 2) {
            leat_warn("shard does not answer yet shard=%s reason=\"%s\"", from->name, error->text);
            continue;
        }
        if (found == 1)
            return leat_fail(error, "shard %s was not set up for topic %s: run `leat init` first",
                             from->name, assembly->log.topic);
        if (leat_shard_check_source(&stored, &layout, &running, &even, error) != 0)
            return leat_fail_prefix(error, "shard %s", from->name);
        /* All others must have the same. */
        running.placement = stored.placement;
        even.tenant_count = layout.tenant_count;
        even.tenant_digest = layout.tenant_digest;
        if (answered == 0 && take_tenants(assembly, shard, &layout, error) != 0)
            return leat_fail_prefix(error, "shard %s", from->name);
        layout.tenants = assembly->catalog.tenants;
        if (leat_assembly_check_placement(assembly, &stored.placement, error) != 0)
            return -1;
        assembly->catalog.source = stored;
        assembly->catalog.layout = layout;
        answered++;
        int unusable = read_version(assembly, shard, error);
        if (unusable > 0)
            return leat_fail_prefix(error, "shard %s", from->name);
        if (unusable < 0)
            leat_err("tables cannot be used shard=%s reason=\"%s\"", from->name, error->text);
    }
    return answered == 0;
}

/* ---- the catalog file ---- */

int leat_assembly_save_catalog(const leat_assembly *assembly, const leat_schema_version *version,
                               leat_error *error)
{
    leat_catalog catalog = assembly->catalog;
    catalog.tables = version->tables;
    catalog.table_count = version->table_count;
    return leat_catalog_save(&catalog, assembly->catalog_file, error);
}

static int catalog_from_shards(leat_assembly *assembly, leat_error *error)
{
    int answer = check_shards(assembly, error);
    if (answer != 0)
        return answer;
    const leat_schema_version *first = first_version(assembly);
    if (!first) /* of no shard that answered can the tables be used: `error` is about the last */
        return -1;
    leat_error unsaved;
    if (leat_assembly_save_catalog(assembly, first, &unsaved) != 0)
        leat_warn("catalog file not written file=%s reason=\"%s\"", assembly->catalog_file,
                  unsaved.text);
    return 0;
}

static int catalog_from_file(leat_assembly *assembly, leat_error *error)
{
    int found = leat_catalog_load(&assembly->catalog, assembly->catalog_file, error);
    if (found != 0)
        return found;
    leat_source running;
    leat_layout even;
    bool log_is_known = assembly->identity.partition_count > 0;
    if (log_is_known &&
        (leat_assembly_running_source(assembly, &running, &even, error) != 0 ||
         leat_shard_check_source(&assembly->catalog.source, &assembly->catalog.layout, &running,
                                 &even, error) != 0))
        return leat_fail_prefix(error, "%s", assembly->catalog_file);
    if (leat_assembly_check_placement(assembly, &assembly->catalog.source.placement, error) != 0)
        return -1;
    leat_info("tables and layout come from the catalog file file=%s", assembly->catalog_file);
    return 0;
}

/* ---- both ---- */

static int read_catalog(leat_assembly *assembly, leat_error *error)
{
    /* Without the log's identity (an edge whose broker is down) a shard's source cannot be checked,
     * so the file is used. */
    int answer = assembly->identity.partition_count > 0 ? catalog_from_shards(assembly, error) : 1;
    return answer == 1 ? catalog_from_file(assembly, error) : answer;
}

int leat_assembly_load_catalog(leat_assembly *assembly, bool wait, leat_error *error)
{
    int answer;
    while ((answer = read_catalog(assembly, error)) == 1) {
        if (!wait)
            return leat_fail_prefix(error, "no shard answers");
        leat_warn("waiting for a shard reason=\"%s\"", error->text);
        sleep(LEAT_START_WAIT_S);
    }
    if (answer != 0 || fill_versions(assembly, error) != 0)
        return -1;
    return check_tenants(assembly, error);
}
