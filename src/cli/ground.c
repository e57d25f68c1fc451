/*
 * Which shard a key belongs to and how it is spelled, any shard that answers can say: they have the
 * same layout and, but for changes under way, the same tables.
 */
#include "cli/ground.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"

static int read_version(leat_ground *on, leat_shard_address at, leat_error *error)
{
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_read_tables(&on->assembly, at, &tables, &count, error) != 0)
        return -1;
    on->version = leat_assembly_build_version(&on->assembly, tables, count, error);
    return on->version ? 0 : -1;
}

/* From the first shard that answers. */
int leat_ground_read(leat_ground *on, leat_error *error)
{
    const leat_config *config = &on->assembly.config;
    const char *topic = leat_config_topic(config);
    for (uint32_t i = 0; i < config->shard_count; i++) {
        leat_shard_address at = leat_assembly_address(&config->shards[i]);
        int found = leat_shard_read_source(at, topic, &on->source, &on->layout, error);
        if (found == 1)
            leat_fail(error, "it was not set up for topic %s: run `leat init` first", topic);
        if (found == 0 &&
            leat_shard_read_tenants(at, topic, &on->layout, &on->tenants, error) == 0 &&
            read_version(on, at, error) == 0)
            return 0;
        leat_tenant_map_free(on->tenants);
        on->tenants = NULL;
        leat_fail_prefix(error, "shard %s", config->shards[i].name);
    }
    return -1;
}

void leat_ground_free(leat_ground *on)
{
    leat_schema_version_free(on->version);
    on->version = NULL;
    leat_tenant_map_free(on->tenants);
    on->tenants = NULL;
    leat_assembly_fini(&on->assembly);
}

int leat_ground_load(leat_ground *on, const leat_options *options, leat_error *error)
{
    if (leat_config_load(options->config_file, &on->assembly.config, error) != 0)
        return -1;
    return leat_assembly_check_addresses(&on->assembly.config, error);
}

const leat_route *leat_ground_find_route(const leat_ground *on, const leat_options *options,
                                         leat_error *error)
{
    const leat_routes *routes = &on->version->routes;
    const char *file = on->assembly.config.file;
    if (options->route) {
        const leat_route *route = leat_routes_by_name(routes, leat_slice_of(options->route));
        if (!route)
            leat_fail(error, "--route: %s has no route %s", file, options->route);
        return route;
    }
    if (!options->table && on->version->table_count > 1) {
        leat_fail(error, "--key needs --table: %s writes %" PRIu32 " tables", file,
                  on->version->table_count);
        return NULL;
    }
    for (uint32_t i = 0; i < routes->count; i++)
        if (!options->table || strcmp(on->assembly.config.routes[i].table, options->table) == 0)
            return &routes->routes[i];
    leat_fail(error, "--table: no route of %s writes %s", file, options->table);
    return NULL;
}
