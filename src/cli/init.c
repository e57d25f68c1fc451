/*
 * init.c - leat init: the topic, and in every shard schema leat with source, layout and tenant
 * slots. The steps go from those that are easily undone to those that are not: tables, databases
 * and where tenants stand in keys are checked first, then the topic is created, then every shard is
 * tried in a transaction that is rolled back, and only then is one changed. Each step may be
 * repeated.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/with_assembly.h"
#include "daemon/log_identity.h"
#include "daemon/place_source.h"
#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"
#include "daemon/tenant_file.h"
#include "sink/shard.h"

enum { INIT_TIMEOUT_MS = 30000 };

/* Records of an existing topic may carry the writers' time: with one wrong clock, retention deletes
 * writes that were just acknowledged. Without the right to change that, there is a warning. */
static int take_brokers_time(const leat_assembly *assembly, leat_error *error)
{
    static const char name[] = "message.timestamp.type", wanted[] = "LogAppendTime";
    char type[64];
    if (assembly->log.file)
        return 0;
    if (leat_log_topic_setting(&assembly->log, name, INIT_TIMEOUT_MS, type, sizeof type, error) !=
        0)
        return -1;
    if (strcmp(type, wanted) == 0)
        return 0;
    if (leat_log_set_topic_setting(&assembly->log, name, wanted, INIT_TIMEOUT_MS, error) == 0)
        printf("topic %s: %s was %s, is %s now\n", assembly->log.topic, name, type, wanted);
    else
        printf("topic %s: warning: %s stays %s (%s); `leat check` says what to do\n",
               assembly->log.topic, name, type, error->text);
    return 0;
}

static int find_or_make(leat_assembly *assembly, bool *ret_made, leat_error *error)
{
    const leat_config *config = &assembly->config;
    leat_topic_spec spec = {
        .partition_count = leat_config_partitions(config),
        .replication = config->kafka_replication ? (int32_t)config->kafka_replication : -1,
    };
    /* A file may exist and be incomplete: creating it reports that. */
    int missing = assembly->log.file ? 1
                                     : leat_log_identify(&assembly->log, INIT_TIMEOUT_MS,
                                                         &assembly->identity, error);
    if (missing == 0)
        leat_assembly_limit_partitions(assembly);
    if (missing <= 0)
        return missing;
    if (!assembly->log.file && leat_assembly_check_not_deleted(assembly, error) != 0)
        return -1;
    int made = leat_log_create_topic(&assembly->log, &spec, INIT_TIMEOUT_MS, error);
    *ret_made = made == 0;
    return made < 0 ? -1 : leat_assembly_identify(assembly, false, error);
}

static int make_topic(leat_assembly *assembly, leat_error *error)
{
    bool made = false;
    if (find_or_make(assembly, &made, error) != 0)
        return -1;
    printf("%s %s: %s, %u partitions, id %s\n", assembly->log.file ? "log" : "topic",
           assembly->log.topic, made ? "created" : "exists", assembly->found_partitions,
           assembly->identity.topic_id);
    if (leat_assembly_check_partitions(assembly, error) != 0)
        return -1;
    if (made) /* it has the right settings; some brokers do not know of it yet and could not confirm
                 that */
        return 0;
    return leat_assembly_check_compaction(assembly, error) != 0
               ? -1
               : take_brokers_time(assembly, error);
}

/* A trial first, so that no shard is changed if another one refuses. */
static int rehearse(leat_assembly *assembly, const int64_t *starts, leat_error *error)
{
    const leat_layout *layout = &assembly->catalog.layout;
    for (uint32_t shard = 0; shard < layout->shard_count; shard++) {
        const leat_config_shard *from = &assembly->config.shards[shard];
        if (leat_shard_rehearse_init(leat_assembly_address(from), &assembly->catalog.source, layout,
                                     shard, starts, error) != 0)
            return leat_fail_prefix(error, "no shard was changed: shard %s", from->name);
    }
    return 0;
}

static int set_up(leat_assembly *assembly, const int64_t *starts, leat_error *error)
{
    const leat_layout *layout = &assembly->catalog.layout;
    for (uint32_t shard = 0; shard < layout->shard_count; shard++) {
        const leat_config_shard *from = &assembly->config.shards[shard];
        if (leat_shard_init(leat_assembly_address(from), &assembly->catalog.source, layout, shard,
                            starts, error) != 0)
            return leat_fail_prefix(
                error, "%u of %u shards are set up, run it again for the others: shard %s", shard,
                layout->shard_count, from->name);
        printf("shard %s: ready, partitions %u to %u\n", from->name, layout->shards[shard].first,
               layout->shards[shard].first + layout->shards[shard].count - 1);
    }
    return 0;
}

/* 0: of the first shard that was set up; `ret` NULL: it has none. 1: none was. */
static int stored_tenants(leat_assembly *assembly, leat_tenant_map **ret, leat_error *error)
{
    for (uint32_t shard = 0; shard < assembly->config.shard_count; shard++) {
        leat_source source;
        leat_layout layout;
        leat_error unread; /* of an older version, which has no such map */
        leat_shard_address at = leat_assembly_address(&assembly->config.shards[shard]);
        if (leat_shard_read_source(at, assembly->log.topic, &source, &layout, &unread) == 0)
            return leat_shard_read_tenants(at, assembly->log.topic, &layout, ret, error) == 0 ? 0
                                                                                              : -1;
    }
    return 1;
}

/* The stored map, to which a configured one must be equal; of a new source the configured one. */
static int take_tenants(leat_assembly *assembly, const leat_routes *routes, leat_error *error)
{
    leat_tenant_map *configured = NULL, *stored = NULL;
    int is_new = stored_tenants(assembly, &stored, error);
    if (is_new < 0 || leat_assembly_read_tenant_file(assembly, routes, &configured, error) != 0) {
        leat_tenant_map_free(stored);
        return -1;
    }
    int status = is_new ? 0 : leat_assembly_check_tenants(assembly, stored, configured, error);
    assembly->catalog.tenants = is_new ? configured : stored;
    leat_tenant_map_free(is_new ? stored : configured);
    return status;
}

static int init_shards(leat_assembly *assembly, const leat_placement *placement, leat_error *error)
{
    leat_source *source = &assembly->catalog.source;
    if (leat_assembly_running_source(assembly, source, &assembly->catalog.layout, error) != 0)
        return -1;
    source->placement = *placement;
    leat_layout_take_tenants(&assembly->catalog.layout, assembly->catalog.tenants);
    const leat_layout *layout = &assembly->catalog.layout;
    int64_t *starts = leat_must_calloc(layout->partition_count, sizeof *starts);
    int status =
        leat_log_starts(&assembly->log, layout->partition_count, INIT_TIMEOUT_MS, starts, error);
    if (status == 0 &&
        (rehearse(assembly, starts, error) != 0 || set_up(assembly, starts, error) != 0))
        status = -1;
    free(starts);
    return status;
}

static const char *map_name(const leat_assembly *assembly)
{
    return assembly->config.tenants_map ? assembly->config.tenants_map : "the stored map";
}

static int init_with(leat_assembly *assembly, const leat_schema_version *version, leat_error *error)
{
    leat_source placed = {0};
    if (leat_assembly_place_source(assembly, &version->routes, &placed, error) != 0 ||
        take_tenants(assembly, &version->routes, error) != 0)
        return leat_fail_prefix(error, "nothing was created or changed");
    if (make_topic(assembly, error) != 0 || init_shards(assembly, &placed.placement, error) != 0)
        return -1;
    char placement[128];
    printf("source: %s\n", leat_placement_describe(&assembly->catalog.source.placement, placement));
    if (assembly->catalog.tenants)
        printf("tenants: %" PRIu32 " have their shard by %s, all others by their hash\n",
               leat_tenant_map_count(assembly->catalog.tenants), map_name(assembly));
    for (uint32_t r = 0; r < assembly->config.route_count; r++)
        printf("route %s: %s -> table %s\n", version->routes.routes[r].name,
               assembly->config.routes[r].path, version->routes.routes[r].table->label);
    return leat_assembly_save_catalog(assembly, version, error);
}

/* Typing errors are found before something is created that stays. */
static int init_all(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    (void)options;
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_check_databases(assembly, true, error) != 0 ||
        leat_assembly_read_common_tables(assembly, &tables, &count, error) != 0)
        return -1;
    leat_schema_version *version = leat_assembly_build_version(assembly, tables, count, error);
    int status = version ? init_with(assembly, version, error) : -1;
    leat_schema_version_free(version);
    return status;
}

int leat_command_init(const leat_options *options)
{
    return leat_with_assembly("init", options, init_all);
}
