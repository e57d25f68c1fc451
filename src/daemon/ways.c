/*
 * ways.c - which way writes go: what an edge needs where those of a route may go to the database
 * instead of the log.
 */
#include <string.h>
#include <unistd.h>

#include "daemon/daemon_state.h"
#include "sink/direct.h"

static bool may_write_directly(const leat_config *config)
{
    for (uint32_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].mode, "async") != 0)
            return true;
    return false;
}

int leat_daemon_start_mode_watch(leat_daemon *daemon, leat_error *error)
{
    const leat_config *from = &daemon->assembly.config;
    leat_shard_address addresses[LEAT_SHARDS_MAX];
    const char *routes[LEAT_ROUTES_MAX];
    uint32_t count = daemon->assembly.catalog.layout.shard_count;
    if (!daemon->with_edge || !may_write_directly(from))
        return 0;
    for (uint32_t i = 0; i < count; i++)
        addresses[i] = daemon->shards[i].at;
    for (uint32_t i = 0; i < from->route_count; i++)
        routes[i] = from->routes[i].name;
    if (leat_config_has_live_route(from))
        daemon->modes = leat_modes_new(count, from->route_count);
    leat_mode_watch_config config = {
        .modes = daemon->modes,
        .idempotency_ms = from->idempotency_ms,
        .noted_ms = daemon->noted_ms,
        .shard_count = count,
        .shard_names = daemon->shard_names,
        .addresses = addresses,
        .source_id = daemon->assembly.catalog.source.id,
        .route_count = from->route_count,
        .routes = routes,
    };
    daemon->mode_watch = leat_mode_watch_new(&config, error);
    return daemon->mode_watch ? 0 : -1;
}

/* Called by the edge, before its thread runs. */
static leat_direct *open_direct(void *context, uv_loop_t *loop, leat_standstill *standstill,
                                const leat_direct_events *events, leat_error *error)
{
    leat_daemon *daemon = context;
    const leat_config *from = &daemon->assembly.config;
    const leat_catalog *catalog = &daemon->assembly.catalog;
    leat_direct_shard shards[LEAT_SHARDS_MAX];
    for (uint32_t i = 0; i < catalog->layout.shard_count; i++)
        shards[i] = (leat_direct_shard){.name = daemon->shards[i].name,
                                        .at = daemon->shards[i].at,
                                        .commits_async = daemon->shards[i].commits_async};
    leat_shard_owner(&catalog->source, daemon->assembly.log.group, daemon->owner);
    const leat_direct_config config = {.layout = &catalog->layout,
                                       .shards = shards,
                                       .owner = daemon->owner,
                                       .source_id = catalog->source.id,
                                       .placement = &catalog->source.placement,
                                       .schema_versions = daemon->schema_versions,
                                       .connections = (uint32_t)from->sync_connections,
                                       .queue_max = (uint32_t)from->sync_queue,
                                       .timeout_ms = from->sync_timeout_ms,
                                       .noted_ms = daemon->noted_ms,
                                       .seed = (uint64_t)leat_wall_ms() + (uint64_t)getpid()};
    return leat_direct_new(loop, &config, standstill, events, error);
}

leat_direct_source leat_daemon_direct_source(leat_daemon *daemon)
{
    const leat_config *from = &daemon->assembly.config;
    if (!may_write_directly(from))
        return (leat_direct_source){.open = NULL};
    return (leat_direct_source){.open = open_direct,
                                .context = daemon,
                                .batch_items = leat_direct_part((uint32_t)from->sync_queue)};
}
