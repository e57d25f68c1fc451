/*
 * shard_tables.c - the databases of the shards: a separate one for each shard, and the same tables
 * in all. Two shards on one database would apply a record twice, and tables that differ would make
 * a write's effect depend on its key, so `leat init` refuses both. A process that serves reads the
 * same tables but takes each shard's as they are: in the middle of a migration they differ for a
 * while.
 */
#include "daemon/shard_tables.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* ---- databases ---- */

static int read_selves(const leat_assembly *assembly, bool all, leat_shard_self *selves,
                       leat_error *error)
{
    for (uint32_t i = 0; i < assembly->config.shard_count; i++) {
        const leat_config_shard *shard = &assembly->config.shards[i];
        int found = leat_shard_read_self(leat_assembly_address(shard),
                                         leat_config_topic(&assembly->config), &selves[i], error);
        if (found < 0 || (found == 2 && all))
            return leat_fail_prefix(error, "shard %s", shard->name);
    }
    return 0;
}

int leat_assembly_check_databases(const leat_assembly *assembly, bool all, leat_error *error)
{
    uint32_t count = assembly->config.shard_count;
    const char *names[LEAT_SHARDS_MAX];
    leat_shard_self *selves = leat_must_calloc(count, sizeof *selves);
    leat_assembly_shard_names(assembly, names);
    int status = read_selves(assembly, all, selves, error);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = leat_shard_check_self(names, selves, count, i, error);
    free(selves);
    return status;
}

/* ---- tables ---- */

static uint32_t add_label(const char *label, const char **labels, uint32_t count)
{
    uint32_t i = 0;
    while (i < count && strcmp(labels[i], label) != 0)
        i++;
    labels[i] = label;
    return i == count ? count + 1 : count;
}

/* Shadows come last, so that a table has the same number with and without them. */
static uint32_t list_labels(const leat_assembly *assembly, const char **labels)
{
    uint32_t count = 0;
    const leat_config *config = &assembly->config;
    for (uint32_t r = 0; r < config->route_count; r++)
        count = add_label(config->routes[r].table, labels, count);
    for (uint32_t r = 0; r < config->route_count; r++)
        if (config->routes[r].shadow_table)
            count = add_label(config->routes[r].shadow_table, labels, count);
    LEAT_ASSERT(count <= LEAT_ROUTES_MAX);
    return count;
}

int leat_assembly_blame_table(const leat_assembly *assembly, const char *label, leat_error *error)
{
    const leat_config *config = &assembly->config;
    for (uint32_t i = 0; i < config->route_count; i++)
        if (config->routes[i].shadow_table && strcmp(config->routes[i].shadow_table, label) == 0)
            return leat_config_blame(config, error, "routes[%u].shadow_table", i);
    uint32_t r = 0;
    while (r < config->route_count && strcmp(config->routes[r].table, label) != 0)
        r++;
    return leat_config_blame(&assembly->config, error, "routes[%u].table", r);
}

int leat_assembly_read_tables(const leat_assembly *assembly, leat_shard_address at,
                              leat_table **ret_tables, uint32_t *ret_count, leat_error *error)
{
    const char *labels[LEAT_ROUTES_MAX];
    uint32_t count = list_labels(assembly, labels);
    leat_table *tables = leat_must_calloc(count, sizeof *tables);
    int status = leat_shard_read_tables(at, labels, count, tables, error);
    if (status != 0) {
        if (*tables[0].label)
            leat_assembly_blame_table(assembly, tables[0].label, error);
        free(tables);
        return status;
    }
    *ret_tables = tables;
    *ret_count = count;
    return 0;
}

int leat_assembly_compare_tables(const leat_assembly *assembly, const char *shard,
                                 const leat_table *tables, const char *first_shard,
                                 const leat_table *first, uint32_t count, leat_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        if (leat_table_alike(&first[i], &tables[i]))
            continue;
        leat_buf change = {0};
        leat_table_describe_change(&first[i], &tables[i], &change);
        const char *text = leat_buf_cstr(&change);
        leat_fail(error, "table %s is not the same in shard %s as in shard %s: %s", tables[i].label,
                  shard, first_shard, text ? text : "");
        leat_buf_free(&change);
        return leat_assembly_blame_table(assembly, tables[i].label, error);
    }
    return 0;
}

static int compare_shard(const leat_assembly *assembly, uint32_t shard, const leat_table *first,
                         leat_error *error)
{
    uint32_t count = 0;
    leat_table *tables = NULL;
    const leat_config_shard *from = &assembly->config.shards[shard];
    if (leat_assembly_read_tables(assembly, leat_assembly_address(from), &tables, &count, error) !=
        0)
        return leat_fail_prefix(error, "shard %s", from->name);
    int same = leat_assembly_compare_tables(assembly, from->name, tables,
                                            assembly->config.shards[0].name, first, count, error);
    leat_tables_free(tables, count);
    return same;
}

int leat_assembly_read_common_tables(const leat_assembly *assembly, leat_table **ret_tables,
                                     uint32_t *ret_count, leat_error *error)
{
    const leat_config_shard *first = &assembly->config.shards[0];
    if (leat_assembly_read_tables(assembly, leat_assembly_address(first), ret_tables, ret_count,
                                  error) != 0)
        return leat_fail_prefix(error, "shard %s", first->name);
    for (uint32_t shard = 1; shard < assembly->config.shard_count; shard++) {
        if (compare_shard(assembly, shard, *ret_tables, error) == 0)
            continue;
        leat_tables_free(*ret_tables, *ret_count);
        return -1;
    }
    return 0;
}
