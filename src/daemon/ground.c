/*
 * ground.c - which shard a key belongs to and how it is spelled, any shard that answers can say:
 * they have the same layout and, but for changes under way, the same tables.
 */
#include "daemon/ground.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"

static int read_version(leat_ground *on, leat_shard_address at, leat_error *error)
{
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_read_tables(on->assembly, at, &tables, &count, error) != 0)
        return -1;
    on->version = leat_assembly_build_version(on->assembly, tables, count, error);
    return on->version ? 0 : -1;
}

/* From the first shard that answers. */
int leat_ground_read(leat_ground *on, leat_error *error)
{
    const leat_config *config = &on->assembly->config;
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
}

/* By its name in the configuration, or with its schema, as lists of held rows have it. */
static bool is_table(const leat_ground *on, uint32_t route, const char *name)
{
    const leat_table *table = on->version->routes.routes[route].table;
    size_t size = strlen(table->schema);
    if (strcmp(table->label, name) == 0)
        return true;
    return strncmp(name, table->schema, size) == 0 && name[size] == '.' &&
           strcmp(name + size + 1, table->name) == 0;
}

const leat_route *leat_ground_find_route(const leat_ground *on, const leat_wish *wish,
                                         leat_error *error)
{
    const leat_routes *routes = &on->version->routes;
    const char *file = on->assembly->config.file;
    if (wish->route) {
        const leat_route *route = leat_routes_by_name(routes, leat_slice_of(wish->route));
        if (!route)
            leat_fail(error, "%sroute: %s has no route %s", wish->dashes, file, wish->route);
        return route;
    }
    if (!wish->table && on->version->table_count > 1) {
        leat_fail(error, "%skey needs %stable: %s writes %" PRIu32 " tables", wish->dashes,
                  wish->dashes, file, on->version->table_count);
        return NULL;
    }
    for (uint32_t i = 0; i < routes->count; i++)
        if (!wish->table || is_table(on, i, wish->table))
            return &routes->routes[i];
    leat_fail(error, "%stable: no route of %s writes %s", wish->dashes, file, wish->table);
    return NULL;
}
