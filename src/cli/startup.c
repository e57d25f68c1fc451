#include "cli/startup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/diag.h"
#include "sink/postgres.h"

enum {
    BROKER_TIMEOUT_MS = 5000,
    WAIT_S = 2,
};

/* ---- configuration ---- */

static int make_data_dir(leat_startup *startup, leat_error *error)
{
    const char *dir = startup->config.data_dir;
    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return leat_fail(error, "%s: data_dir: cannot make %s: %s", startup->config.file, dir, strerror(errno));
    leat_buf path = {0};
    leat_buf_printf(&path, "%s/%s.catalog.json", dir, startup->config.kafka_topic);
    startup->catalog_file = leat_must_strdup(leat_buf_cstr(&path));
    leat_buf_free(&path);
    return 0;
}

static void take_log_settings(leat_startup *startup)
{
    const leat_config *config = &startup->config;
    startup->properties = leat_must_calloc(config->kafka_property_count, sizeof *startup->properties);
    for (uint32_t i = 0; i < config->kafka_property_count; i++)
        startup->properties[i] =
            (leat_log_property){config->kafka_properties[i].name, config->kafka_properties[i].value};
    startup->log = (leat_log_config){
        .brokers = config->kafka_brokers,
        .topic = config->kafka_topic,
        .group = config->kafka_group,
        .properties = startup->properties,
        .property_count = config->kafka_property_count,
    };
}

int leat_startup_config(leat_startup *startup, const char *file, leat_error *error)
{
    *startup = (leat_startup){0};
    if (leat_config_load(file, &startup->config, error) != 0)
        return -1;
    leat_level level;
    if (leat_diag_parse_level(startup->config.log_level, &level))
        leat_diag_level(level);
    take_log_settings(startup);
    if (leat_log_check(&startup->log, error) != 0)
        return leat_fail_prefix(error, "%s: log.kafka", file);
    return make_data_dir(startup, error);
}

const leat_config_shard *leat_startup_shard(const leat_startup *startup, const char *name)
{
    for (uint32_t i = 0; i < startup->config.shard_count; i++)
        if (strcmp(startup->config.shards[i].name, name) == 0)
            return &startup->config.shards[i];
    return NULL;
}

/* ---- the log ---- */

int leat_startup_identify(leat_startup *startup, bool wait, leat_error *error)
{
    for (;;) {
        int answer = leat_log_identify(&startup->log, BROKER_TIMEOUT_MS, &startup->identity, error);
        if (answer == 1)
            return leat_fail(error, "topic %s does not exist: run `leat init` first", startup->log.topic);
        if (answer == 0 || !wait)
            return answer;
        leat_warn("waiting for Kafka at %s: %s", startup->log.brokers, error->text);
        sleep(WAIT_S);
    }
}

int leat_startup_refuse_compaction(const leat_startup *startup, leat_error *error)
{
    char policy[128];
    if (leat_log_topic_setting(&startup->log, "cleanup.policy", BROKER_TIMEOUT_MS, policy, sizeof policy, error) != 0)
        return -1;
    if (strstr(policy, "compact"))
        return leat_fail(error,
                         "topic %s has cleanup.policy=%s: compaction drops older PATCHes of a key before they are applied; "
                         "set cleanup.policy=delete",
                         startup->log.topic, policy);
    return 0;
}

int leat_startup_source(const leat_startup *startup, leat_source *ret_source, leat_layout *ret_layout, leat_error *error)
{
    uint32_t partitions = startup->identity.partition_count, shards = startup->config.shard_count;
    if (partitions < shards)
        return leat_fail(error, "topic %s has too few partitions, %u, for %u shards: each shard needs one of its own",
                         startup->log.topic, partitions, shards);
    *ret_source = (leat_source){.subpartitions = LEAT_SUBPARTITIONS};
    snprintf(ret_source->log_identity, sizeof ret_source->log_identity, "%s", startup->identity.cluster);
    snprintf(ret_source->topic, sizeof ret_source->topic, "%s", startup->log.topic);
    snprintf(ret_source->topic_id, sizeof ret_source->topic_id, "%s", startup->identity.topic_id);
    snprintf(ret_source->hash, sizeof ret_source->hash, "xxh3-64");
    const char *names[64];
    for (uint32_t i = 0; i < startup->config.shard_count; i++)
        names[i] = startup->config.shards[i].name;
    leat_layout_even(ret_layout, partitions, shards, names);
    return 0;
}

/* ---- tables ---- */

static uint32_t table_labels(const leat_startup *startup, const char **labels)
{
    uint32_t count = 0;
    for (uint32_t r = 0; r < startup->config.route_count; r++) {
        const char *label = startup->config.routes[r].table;
        uint32_t i = 0;
        while (i < count && strcmp(labels[i], label) != 0)
            i++;
        if (i == count)
            labels[count++] = label;
    }
    return count;
}

static void free_tables(leat_table *tables, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        leat_table_fini(&tables[i]);
    free(tables);
}

static leat_table *read_tables_of(const leat_startup *startup, uint32_t shard, uint32_t *ret_count, leat_error *error)
{
    const char *labels[LEAT_ROUTES_MAX];
    uint32_t count = table_labels(startup, labels);
    leat_table *tables = leat_must_calloc(count, sizeof *tables);
    if (leat_postgres_read_tables(startup->config.shards[shard].dsn, labels, count, tables, error) != 0) {
        leat_fail_prefix(error, "shard %s", startup->config.shards[shard].name);
        free(tables);
        return NULL;
    }
    *ret_count = count;
    return tables;
}

static const char *column_difference(const leat_table *a, const leat_table *b)
{
    if (strcmp(a->schema, b->schema) != 0 || strcmp(a->name, b->name) != 0)
        return "its schema";
    if (a->column_count != b->column_count || a->key_count != b->key_count)
        return "the number of columns";
    for (uint32_t i = 0; i < a->column_count; i++) {
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 || a->columns[i].key_position != b->columns[i].key_position ||
            strcmp(a->columns[i].type_name, b->columns[i].type_name) != 0)
            return a->columns[i].name;
    }
    return NULL;
}

static int compare_tables(const leat_startup *startup, uint32_t shard, const leat_table *tables, leat_error *error)
{
    for (uint32_t i = 0; i < startup->catalog.table_count; i++) {
        const char *difference = column_difference(&startup->catalog.tables[i], &tables[i]);
        if (difference)
            return leat_fail(error, "table %s is not the same in shard %s as in shard %s: %s differs", tables[i].label,
                             startup->config.shards[shard].name, startup->config.shards[0].name, difference);
    }
    return 0;
}

static int read_all_tables(leat_startup *startup, leat_error *error)
{
    for (uint32_t shard = 0; shard < startup->config.shard_count; shard++) {
        uint32_t count = 0;
        leat_table *tables = read_tables_of(startup, shard, &count, error);
        if (!tables)
            return -1;
        if (shard == 0) {
            startup->catalog.tables = tables;
            startup->catalog.table_count = count;
            continue;
        }
        int same = compare_tables(startup, shard, tables, error);
        free_tables(tables, count);
        if (same != 0)
            return -1;
    }
    return 0;
}

static int read_any_tables(leat_startup *startup, leat_error *error)
{
    for (uint32_t shard = 0; shard < startup->config.shard_count; shard++) {
        uint32_t count = 0;
        leat_table *tables = read_tables_of(startup, shard, &count, error);
        if (!tables)
            continue;
        startup->catalog.tables = tables;
        startup->catalog.table_count = count;
        return 0;
    }
    return -1;
}

int leat_startup_read_tables(leat_startup *startup, bool any, leat_error *error)
{
    return any ? read_any_tables(startup, error) : read_all_tables(startup, error);
}

int leat_startup_routes(leat_startup *startup, leat_error *error)
{
    const leat_config *config = &startup->config;
    startup->routes.count = 0;
    for (uint32_t r = 0; r < config->route_count; r++) {
        const leat_config_route *from = &config->routes[r];
        int table = leat_catalog_table(&startup->catalog, from->table);
        if (table < 0)
            return leat_fail(error, "%s:%d: routes[%u].table: %s is not known; run `leat init`", config->file, from->line, r,
                             from->table);
        const char *names[LEAT_COLUMNS_MAX];
        leat_column_op ops[LEAT_COLUMNS_MAX];
        for (uint32_t c = 0; c < from->column_count; c++) {
            names[c] = from->columns[c].name;
            if (!leat_op_by_name(from->columns[c].value, &ops[c]))
                return leat_fail(error, "%s:%d: routes[%u].columns.%s: there is no operation %s (set, add, max, min, merge, append)",
                                 config->file, from->columns[c].line, r, names[c], from->columns[c].value);
        }
        leat_route_spec spec = {.name = from->name,
                                .path = from->path,
                                .tenant = from->tenant,
                                .patch_existing = strcmp(from->patch, "existing") == 0,
                                .no_fold = strcmp(from->fold, "off") == 0,
                                .column_count = from->column_count,
                                .column_names = names,
                                .column_ops = ops};
        leat_route *route = &startup->routes.routes[startup->routes.count];
        if (leat_route_build(&spec, &startup->catalog.tables[table], (uint32_t)table, route, error) != 0)
            return leat_fail_prefix(error, "%s:%d: routes[%u]", config->file, from->line, r);
        route->index = startup->routes.count++;
    }
    return leat_routes_check(&startup->routes, error);
}

/* ---- catalog of a serving process ---- */

/* 1: no shard answered. */
static int check_shards(leat_startup *startup, leat_error *error)
{
    leat_source running;
    leat_layout even;
    if (leat_startup_source(startup, &running, &even, error) != 0)
        return -1;
    int answered = 0;
    for (uint32_t shard = 0; shard < startup->config.shard_count; shard++) {
        const leat_config_shard *from = &startup->config.shards[shard];
        leat_source stored;
        leat_layout layout;
        int found = leat_postgres_read_source(from->dsn, startup->log.topic, &stored, &layout, error);
        if (found < 0)
            return leat_fail_prefix(error, "shard %s", from->name);
        if (found == 2) {
            leat_warn("shard=%s does not answer yet: %s", from->name, error->text);
            continue;
        }
        if (found == 1)
            return leat_fail(error, "shard %s knows nothing of topic %s: run `leat init` first", from->name,
                             startup->log.topic);
        if (leat_postgres_check_source(&stored, &layout, &running, &even, error) != 0)
            return leat_fail_prefix(error, "shard %s", from->name);
        startup->catalog.source = stored;
        startup->catalog.layout = layout;
        answered++;
    }
    return answered == 0;
}

static int catalog_from_shards(leat_startup *startup, leat_error *error)
{
    int answer = check_shards(startup, error);
    if (answer != 0)
        return answer;
    if (leat_startup_read_tables(startup, true, error) != 0)
        return -1;
    if (leat_catalog_save(&startup->catalog, startup->catalog_file, error) != 0)
        leat_warn("the catalog file was not written: %s", error->text);
    return 0;
}

static int catalog_from_file(leat_startup *startup, leat_error *error)
{
    int found = leat_catalog_load(&startup->catalog, startup->catalog_file, error);
    if (found != 0)
        return found;
    leat_source running;
    leat_layout even;
    bool log_is_known = startup->identity.partition_count > 0;
    if (log_is_known && (leat_startup_source(startup, &running, &even, error) != 0 ||
                         leat_postgres_check_source(&startup->catalog.source, &startup->catalog.layout, &running, &even,
                                                    error) != 0))
        return leat_fail_prefix(error, "%s", startup->catalog_file);
    leat_info("tables and layout are from %s", startup->catalog_file);
    return 0;
}

static int read_catalog(leat_startup *startup, leat_error *error)
{
    /* Without the log's identity (an edge whose broker is down) a shard's source cannot be checked: the file can do. */
    int answer = startup->identity.partition_count > 0 ? catalog_from_shards(startup, error) : 1;
    return answer == 1 ? catalog_from_file(startup, error) : answer;
}

int leat_startup_catalog(leat_startup *startup, bool wait, leat_error *error)
{
    int answer;
    while ((answer = read_catalog(startup, error)) == 1) {
        if (!wait)
            return leat_fail_prefix(error, "no shard answers");
        leat_warn("waiting for a shard: none answers; %s", error->text);
        sleep(WAIT_S);
    }
    return answer == 0 ? leat_startup_routes(startup, error) : -1;
}

void leat_startup_fini(leat_startup *startup)
{
    leat_catalog_fini(&startup->catalog);
    leat_config_fini(&startup->config);
    free(startup->properties);
    free(startup->catalog_file);
}
