/*
 * place_source.c - a placement is chosen once, by `leat init`, and from then on the stored one
 * counts: settings that want another are refused, since a source cannot be placed anew. A new
 * source has windows where its routes' tenants all stand at one place in the key. Where they do
 * not, the keys are placed by their hash alone, which is what version 1 did for all.
 */
#include "daemon/place_source.h"

#include <inttypes.h>
#include <stdio.h>

enum { WINDOW = 8 }; /* where the settings do not say it */

/* ---- stored ---- */

int leat_assembly_check_placement(const leat_assembly *assembly, const leat_placement *stored,
                                  leat_error *error)
{
    const leat_config *config = &assembly->config;
    if (config->subpartitions && config->subpartitions != stored->subpartitions) {
        leat_fail(error,
                  "the source was set up with %" PRIu32 " subpartitions, and that never changes "
                  "(remove the setting, or use a new topic)",
                  stored->subpartitions);
        return leat_config_blame(config, error, "log.subpartitions");
    }
    if (config->tenant_window < 0 || config->tenant_window == stored->tenant_window)
        return 0;
    if (stored->version == 1)
        leat_fail(error,
                  "the source was set up by an older leat, whose tenants have no windows, and "
                  "that never changes (remove the setting, or use a new topic)");
    else
        leat_fail(error,
                  "the source was set up with a tenant window of %" PRIu32
                  ", and that never changes (remove the setting, or use a new topic)",
                  stored->tenant_window);
    return leat_config_blame(config, error, "log.tenant_window");
}

int leat_assembly_check_tenant(const leat_assembly *assembly, const leat_placement *stored,
                               const leat_route *route, leat_error *error)
{
    int32_t position = route->tenant_key_position;
    if (stored->tenant_window == 0 || position < 0 || position == stored->tenant_position)
        return 0;
    leat_fail(error,
              "it is part %" PRId32 " of the key, but the source was set up for tenants in part "
              "%" PRId32 ", and that never changes (put it there in the primary key, or use a new "
              "topic)",
              position + 1, stored->tenant_position + 1);
    return leat_config_blame(&assembly->config, error, "routes[%u].tenant", route->index);
}

/* 1: no shard that answers has the source. */
static int find_stored(const leat_assembly *assembly, leat_placement *ret, leat_error *error)
{
    for (uint32_t i = 0; i < assembly->config.shard_count; i++) {
        const leat_config_shard *shard = &assembly->config.shards[i];
        int found = leat_shard_read_placement(leat_assembly_address(shard), assembly->log.topic,
                                              ret, error);
        if (found < 0)
            return leat_fail_prefix(error, "shard %s", shard->name);
        if (found == 0)
            return 0;
    }
    return 1;
}

/* ---- new ---- */

/* The place of all routes' tenants in their keys; -1: none has one, or they differ, and then
 * `ret_other` has a route that is not like the one before. */
static int32_t common_position(const leat_routes *routes, const leat_route **ret_other)
{
    int32_t position = -1;
    *ret_other = NULL;
    for (uint32_t i = 0; i < routes->count; i++) {
        int32_t here = routes->routes[i].tenant_key_position;
        if (here >= 0 && position >= 0 && here != position) {
            *ret_other = &routes->routes[i];
            return -1;
        }
        position = here >= 0 ? here : position;
    }
    return position;
}

static int choose(const leat_assembly *assembly, const leat_routes *routes, leat_placement *ret,
                  leat_error *error)
{
    const leat_config *config = &assembly->config;
    const leat_route *other;
    *ret = (leat_placement){.version = 2,
                            .subpartitions = leat_config_subpartitions(config),
                            .tenant_position = common_position(routes, &other)};
    if (other && config->tenant_window > 0) {
        leat_fail(error, "its tenant stands at another place in the key than that of the routes "
                         "before it, so tenants cannot have windows (put it there in the primary "
                         "key, or set log.tenant_window to 0)");
        return leat_config_blame(config, error, "routes[%u].tenant", other->index);
    }
    uint32_t most = ret->subpartitions / LEAT_TENANT_WINDOW_PART;
    if (ret->tenant_position >= 0)
        ret->tenant_window = config->tenant_window >= 0 ? (uint32_t)config->tenant_window
                             : most < WINDOW            ? most
                                                        : WINDOW;
    if (ret->tenant_window == 0)
        ret->tenant_position = -1;
    LEAT_ASSERT(leat_placement_is_valid(ret));
    return 0;
}

/* ---- both ---- */

int leat_assembly_place_source(const leat_assembly *assembly, const leat_routes *routes,
                               leat_source *source, leat_error *error)
{
    int found = find_stored(assembly, &source->placement, error);
    if (found != 0)
        return found < 0 ? -1 : choose(assembly, routes, &source->placement, error);
    if (leat_assembly_check_placement(assembly, &source->placement, error) != 0)
        return -1;
    for (uint32_t i = 0; i < routes->count; i++)
        if (leat_assembly_check_tenant(assembly, &source->placement, &routes->routes[i], error) !=
            0)
            return -1;
    return 0;
}

const char *leat_placement_describe(const leat_placement *placement, char ret[128])
{
    if (placement->tenant_window == 0)
        snprintf(ret, 128, "%" PRIu32 " subpartitions, by the key's hash alone",
                 placement->subpartitions);
    else
        snprintf(ret, 128,
                 "%" PRIu32 " subpartitions, of which each tenant has %" PRIu32 " (part %" PRId32
                 " of the key)",
                 placement->subpartitions, placement->tenant_window,
                 placement->tenant_position + 1);
    return ret;
}
