#include "daemon/assemble.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/diag.h"
#include "sink/shard.h"

enum {
    BROKER_TIMEOUT_MS = 5000,
    WAIT_S = 2,
};

/* ---- configuration ---- */

static int make_data_dir(leat_assembly *assembly, leat_error *error)
{
    const char *dir = assembly->config.data_dir;
    if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
        leat_fail(error, "cannot make %s: %s", dir, strerror(errno));
        return leat_config_blame(&assembly->config, error, "data_dir");
    }
    leat_buf path = {0};
    leat_buf_printf(&path, "%s/%s.catalog.json", dir, leat_config_topic(&assembly->config));
    assembly->catalog_file = leat_must_strdup(leat_buf_cstr(&path));
    leat_buf_free(&path);
    return 0;
}

static void take_log_settings(leat_assembly *assembly)
{
    const leat_config *config = &assembly->config;
    assembly->properties =
        leat_must_calloc(config->kafka_property_count, sizeof *assembly->properties);
    for (uint32_t i = 0; i < config->kafka_property_count; i++)
        assembly->properties[i] = (leat_log_property){config->kafka_properties[i].name,
                                                      config->kafka_properties[i].value};
    assembly->log = (leat_log_config){
        .file = config->local_path,
        .brokers = config->kafka_brokers,
        .topic = leat_config_topic(config),
        .group = config->kafka_group,
        .properties = assembly->properties,
        .property_count = config->kafka_property_count,
        .renew_after_ms = config->kafka_renew_after_ms,
        .give_up_after_ms = config->kafka_give_up_after_ms,
        .value_max = (size_t)config->body_max,
    };
}

int leat_assembly_check_addresses(const leat_config *config, leat_error *error)
{
    for (uint32_t i = 0; i < config->shard_count; i++) {
        const leat_config_shard *shard = &config->shards[i];
        if (leat_shard_check_address(leat_assembly_address(shard), error) == 0)
            continue;
        leat_fail_prefix(error, "shard %s", shard->name);
        return leat_config_blame(config, error, "shards[%u].%s", i, shard->dsn ? "dsn" : "sqlite");
    }
    return 0;
}

static int blame_property(const leat_assembly *assembly, const char *name, leat_error *error)
{
    return leat_config_blame(&assembly->config, error, "log.kafka.properties.%s", name);
}

/* The property that the text names first; NULL: none. */
static const char *first_named(const leat_assembly *assembly, const char *text)
{
    const char *ret = NULL, *first = NULL;
    for (uint32_t i = 0; i < assembly->config.kafka_property_count; i++) {
        const char *at = strstr(text, assembly->properties[i].name);
        if (!at || (first && first <= at))
            continue;
        first = at;
        ret = assembly->properties[i].name;
    }
    return ret;
}

/* The first property that is refused alone too, else the first that the error names: two may be
 * refused together. */
static int blame_log(const leat_assembly *assembly, leat_error *error)
{
    leat_log_config one = assembly->log;
    leat_error alone;
    one.property_count = 1;
    for (uint32_t i = 0; i < assembly->config.kafka_property_count; i++) {
        one.properties = &assembly->properties[i];
        if (leat_log_check(&one, &alone) == 0)
            continue;
        *error = alone;
        return blame_property(assembly, one.properties->name, error);
    }
    const char *named = first_named(assembly, error->text);
    if (named)
        return blame_property(assembly, named, error);
    return leat_config_blame(&assembly->config, error,
                             assembly->log.file ? "log.local" : "log.kafka");
}

/* Of whole numbers; -1: it is not set. */
static int64_t property_number(const leat_config *config, const char *name)
{
    const leat_config_pair *property = leat_config_property(config, name);
    return property ? strtoll(property->value, NULL, 10) : -1;
}

/* What librdkafka takes, but not together with leat's own settings. */
static int check_properties(const leat_assembly *assembly, leat_error *error)
{
    const leat_config *config = &assembly->config;
    if (config->workers > 1 && leat_config_property(config, "group.instance.id")) {
        leat_fail(
            error,
            "there are %lld workers, each is a member of the group, and two members of one id fence each other; set "
            "workers to 1, and another id for each process",
            (long long)config->workers);
        return blame_property(assembly, "group.instance.id", error);
    }
    int64_t bytes = property_number(config, "message.max.bytes"),
            need = config->body_max + LEAT_LOG_RECORD_ROOM;
    if (bytes >= 0 && bytes < need) {
        leat_fail(
            error,
            "%lld is less than a body of limits.body_max needs (at least %lld, or leave it out)",
            (long long)bytes, (long long)need);
        return blame_property(assembly, "message.max.bytes", error);
    }
    int64_t count = property_number(config, "queue.buffering.max.messages");
    if (count >= 0 && count < config->in_flight_max) {
        leat_fail(error, "%lld is less than limits.in_flight, %lld", (long long)count,
                  (long long)config->in_flight_max);
        return blame_property(assembly, "queue.buffering.max.messages", error);
    }
    return 0;
}

int leat_assembly_load_config(leat_assembly *assembly, const char *file, leat_error *error)
{
    *assembly = (leat_assembly){0};
    if (leat_config_load(file, &assembly->config, error) != 0)
        return -1;
    leat_level level;
    if (leat_diag_parse_level(assembly->config.log_level, &level))
        leat_diag_level(level);
    take_log_settings(assembly);
    if (leat_log_check(&assembly->log, error) != 0)
        return blame_log(assembly, error);
    if (check_properties(assembly, error) != 0)
        return -1;
    if (leat_assembly_check_addresses(&assembly->config, error) != 0)
        return -1;
    return make_data_dir(assembly, error);
}

leat_shard_address leat_assembly_address(const leat_config_shard *shard)
{
    return (leat_shard_address){.dsn = shard->dsn, .sqlite = shard->sqlite};
}

const leat_config_shard *leat_assembly_find_shard(const leat_assembly *assembly, const char *name)
{
    for (uint32_t i = 0; i < assembly->config.shard_count; i++)
        if (strcmp(assembly->config.shards[i].name, name) == 0)
            return &assembly->config.shards[i];
    return NULL;
}

/* ---- the databases ---- */

void leat_assembly_shard_names(const leat_assembly *assembly, const char *ret[LEAT_SHARDS_MAX])
{
    for (uint32_t i = 0; i < assembly->config.shard_count; i++)
        ret[i] = assembly->config.shards[i].name;
}

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

/* ---- the log ---- */

/* The setting that says which log it is. */
static const char *log_setting(const leat_assembly *assembly)
{
    return assembly->log.file ? "log.local.path" : "log.kafka.topic";
}

int leat_assembly_check_not_deleted(const leat_assembly *assembly, leat_error *error)
{
    for (uint32_t i = 0; i < assembly->config.shard_count; i++) {
        leat_source stored;
        leat_layout layout;
        const leat_config_shard *shard = &assembly->config.shards[i];
        if (leat_shard_read_source(leat_assembly_address(shard), assembly->log.topic, &stored,
                                   &layout, error) != 0)
            continue;
        leat_fail(
            error,
            "topic %s does not exist any more: shard %s was set up for the one with id %s, whose writes are gone "
            "with it where they were not applied. See \"A topic was deleted and made anew\" in docs/operations.md",
            assembly->log.topic, shard->name, stored.topic_id);
        return leat_config_blame(&assembly->config, error, "%s", log_setting(assembly));
    }
    return 0;
}

static int fail_missing(const leat_assembly *assembly, leat_error *error)
{
    if (assembly->log.file)
        leat_fail(error, "%s does not exist: `leat run` makes it", assembly->log.file);
    else if (leat_assembly_check_not_deleted(assembly, error) != 0)
        return -1;
    else
        leat_fail(error, "topic %s does not exist: run `leat init` first", assembly->log.topic);
    return leat_config_blame(&assembly->config, error, "%s", log_setting(assembly));
}

/* That number of partitions, if it was set up for this very log. */
static bool is_set_up(leat_assembly *assembly, const leat_source *stored, const leat_layout *layout)
{
    leat_log_identity *found = &assembly->identity;
    if (strcmp(stored->topic_id, found->topic_id) != 0 ||
        strcmp(stored->log_identity, found->cluster) != 0)
        return false;
    if (layout->partition_count < found->partition_count)
        found->partition_count = layout->partition_count;
    return true;
}

void leat_assembly_limit_partitions(leat_assembly *assembly)
{
    leat_error error;
    leat_catalog catalog = {0};
    assembly->found_partitions = assembly->identity.partition_count;
    if (assembly->log.file)
        return;
    bool known = leat_catalog_load(&catalog, assembly->catalog_file, &error) == 0 &&
                 is_set_up(assembly, &catalog.source, &catalog.layout);
    leat_catalog_fini(&catalog);
    for (uint32_t i = 0; i < assembly->config.shard_count && !known; i++) {
        leat_source stored;
        leat_layout layout;
        leat_shard_address at = leat_assembly_address(&assembly->config.shards[i]);
        known = leat_shard_read_source(at, assembly->log.topic, &stored, &layout, &error) == 0;
        if (known)
            is_set_up(assembly, &stored, &layout);
    }
}

int leat_assembly_identify(leat_assembly *assembly, bool wait, leat_error *error)
{
    for (;;) {
        int answer =
            leat_log_identify(&assembly->log, BROKER_TIMEOUT_MS, &assembly->identity, error);
        if (answer == 1)
            return fail_missing(assembly, error);
        if (answer == 0)
            leat_assembly_limit_partitions(assembly);
        if (answer == 0 || assembly->log.file)
            return answer;
        if (!wait)
            return 1;
        leat_warn("waiting for Kafka at %s: %s", assembly->log.brokers, error->text);
        sleep(WAIT_S);
    }
}

leat_log_identity leat_assembly_stored_identity(const leat_assembly *assembly)
{
    leat_log_identity ret = {.partition_count = assembly->catalog.layout.partition_count};
    snprintf(ret.cluster, sizeof ret.cluster, "%s", assembly->catalog.source.log_identity);
    snprintf(ret.topic_id, sizeof ret.topic_id, "%s", assembly->catalog.source.topic_id);
    return ret;
}

int leat_assembly_check_partitions(const leat_assembly *assembly, leat_error *error)
{
    const leat_config *config = &assembly->config;
    bool is_local = assembly->log.file != NULL;
    int64_t wanted = is_local ? config->local_partitions : config->kafka_partitions;
    uint32_t found = assembly->identity.partition_count;
    if (wanted == 0 || wanted == found)
        return 0;
    leat_fail(error, "is %lld, but %s %s %s %u: set it to %u or use another %s", (long long)wanted,
              is_local ? "file" : "topic", assembly->log.topic,
              found < assembly->found_partitions ? "was set up with" : "has", found, found,
              is_local ? "file" : "topic");
    return leat_config_blame(config, error,
                             is_local ? "log.local.partitions" : "log.kafka.partitions");
}

int leat_assembly_check_compaction(const leat_assembly *assembly, leat_error *error)
{
    char policy[128];
    if (assembly->log.file)
        return 0;
    if (leat_log_topic_setting(&assembly->log, "cleanup.policy", BROKER_TIMEOUT_MS, policy,
                               sizeof policy, error) != 0)
        return 1;
    if (!strstr(policy, "compact"))
        return 0;
    leat_fail(
        error,
        "topic %s has cleanup.policy=%s: compaction drops older PATCHes of a key before they are applied; "
        "set cleanup.policy=delete",
        assembly->log.topic, policy);
    return leat_config_blame(&assembly->config, error, "%s", log_setting(assembly));
}

int leat_assembly_running_source(const leat_assembly *assembly, leat_source *ret_source,
                                 leat_layout *ret_layout, leat_error *error)
{
    uint32_t partitions = assembly->identity.partition_count, shards = assembly->config.shard_count;
    if (partitions < shards) {
        leat_fail(
            error,
            "topic %s has too few partitions, %u, for %u shards: each shard needs one of its own",
            assembly->log.topic, partitions, shards);
        return leat_config_blame(&assembly->config, error, "%s", log_setting(assembly));
    }
    *ret_source = (leat_source){.subpartitions = LEAT_SUBPARTITIONS};
    snprintf(ret_source->log_identity, sizeof ret_source->log_identity, "%s",
             assembly->identity.cluster);
    snprintf(ret_source->topic, sizeof ret_source->topic, "%s", assembly->log.topic);
    snprintf(ret_source->topic_id, sizeof ret_source->topic_id, "%s", assembly->identity.topic_id);
    snprintf(ret_source->hash, sizeof ret_source->hash, "xxh3-64");
    const char *names[LEAT_SHARDS_MAX];
    leat_assembly_shard_names(assembly, names);
    leat_layout_even(ret_layout, partitions, shards, names);
    return 0;
}

/* ---- tables ---- */

static uint32_t table_labels(const leat_assembly *assembly, const char **labels)
{
    uint32_t count = 0;
    for (uint32_t r = 0; r < assembly->config.route_count; r++) {
        const char *label = assembly->config.routes[r].table;
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
    for (uint32_t i = 0; tables && i < count; i++)
        leat_table_fini(&tables[i]);
    free(tables);
}

int leat_assembly_blame_table(const leat_assembly *assembly, const char *label, leat_error *error)
{
    uint32_t r = 0;
    while (r < assembly->config.route_count && strcmp(assembly->config.routes[r].table, label) != 0)
        r++;
    return leat_config_blame(&assembly->config, error, "routes[%u].table", r);
}

int leat_assembly_read_tables(const leat_assembly *assembly, leat_shard_address at,
                              leat_table **ret_tables, uint32_t *ret_count, leat_error *error)
{
    const char *labels[LEAT_ROUTES_MAX];
    uint32_t count = table_labels(assembly, labels);
    leat_table *tables = leat_must_calloc(count, sizeof *tables);
    if (leat_shard_read_tables(at, labels, count, tables, error) != 0) {
        if (*tables[0].label)
            leat_assembly_blame_table(assembly, tables[0].label, error);
        free(tables);
        return -1;
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
    free_tables(tables, count);
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
        free_tables(*ret_tables, *ret_count);
        return -1;
    }
    return 0;
}

/* ---- routes ---- */

static int build_route(const leat_config *config, uint32_t index, const leat_catalog *over,
                       leat_routes *ret, leat_error *error)
{
    const leat_config_route *from = &config->routes[index];
    int table = leat_catalog_table(over, from->table);
    if (table < 0) {
        leat_fail(error, "%s is not known; run `leat init`", from->table);
        return leat_config_blame(config, error, "routes[%u].table", index);
    }
    const char *names[LEAT_COLUMNS_MAX];
    leat_column_op ops[LEAT_COLUMNS_MAX];
    for (uint32_t c = 0; c < from->column_count; c++) {
        names[c] = from->columns[c].name;
        if (leat_op_by_name(from->columns[c].value, &ops[c]))
            continue;
        leat_fail(error, "there is no operation %s (set, add, max, min, merge, append)",
                  from->columns[c].value);
        return leat_config_blame(config, error, "routes[%u].columns.%s", index, names[c]);
    }
    leat_route_spec spec = {.name = from->name,
                            .path = from->path,
                            .tenant = from->tenant,
                            .patch_existing = strcmp(from->patch, "existing") == 0,
                            .no_fold = strcmp(from->fold, "off") == 0,
                            .accept_row_security = strcmp(from->row_security, "accept") == 0,
                            .accept_untouched = strcmp(from->untouched, "accept") == 0,
                            .column_count = from->column_count,
                            .column_names = names,
                            .column_ops = ops};
    leat_route *route = &ret->routes[ret->count];
    if (leat_route_build(&spec, &over->tables[table], (uint32_t)table, route, error) != 0)
        return leat_config_blame(config, error, "routes[%u]", index);
    route->index = ret->count++;
    return 0;
}

leat_schema_version *leat_assembly_build_version(const leat_assembly *assembly, leat_table *tables,
                                                 uint32_t count, leat_error *error)
{
    leat_schema_version *version = leat_must_calloc(1, sizeof *version);
    version->tables = tables;
    version->table_count = count;
    const leat_catalog over = {.table_count = count, .tables = tables};
    int status = 0;
    for (uint32_t r = 0; status == 0 && r < assembly->config.route_count; r++)
        status = build_route(&assembly->config, r, &over, &version->routes, error);
    if (status == 0)
        status = leat_routes_check(&version->routes, error) == 0
                     ? 0
                     : leat_config_blame(&assembly->config, error, "routes");
    if (status == 0)
        return version;
    leat_schema_version_free(version);
    return NULL;
}

int leat_assembly_save_catalog(const leat_assembly *assembly, const leat_schema_version *version,
                               leat_error *error)
{
    leat_catalog catalog = assembly->catalog;
    catalog.tables = version->tables;
    catalog.table_count = version->table_count;
    return leat_catalog_save(&catalog, assembly->catalog_file, error);
}

/* ---- catalog of a serving process ---- */

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
 * configuration and have the key that the others have. -1: it starts with those of another. */
static int look_at_shard(leat_assembly *assembly, uint32_t shard, leat_error *error)
{
    leat_table *tables = NULL;
    uint32_t count = 0;
    int64_t catalog_read_us = leat_mono_us();
    if (leat_assembly_read_tables(assembly, leat_assembly_address(&assembly->config.shards[shard]),
                                  &tables, &count, error) != 0)
        return -1;
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

/* A SQLite file needs nobody to run `leat init`: it is this machine's and has one writer. */
static int init_file(leat_assembly *assembly, uint32_t shard, leat_source *source,
                     const leat_layout *layout, leat_error *error)
{
    const leat_config_shard *at = &assembly->config.shards[shard];
    int64_t *starts = leat_must_calloc(layout->partition_count, sizeof *starts);
    int status =
        leat_log_starts(&assembly->log, layout->partition_count, BROKER_TIMEOUT_MS, starts, error);
    if (status == 0)
        status = leat_shard_init(leat_assembly_address(at), source, layout, shard, starts, error);
    if (status == 0)
        leat_info("shard=%s its tables leat_* are made in %s", at->name, at->sqlite);
    free(starts);
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
            leat_warn("shard=%s does not answer yet: %s", from->name, error->text);
            continue;
        }
        if (found == 1)
            return leat_fail(error, "shard %s knows nothing of topic %s: run `leat init` first",
                             from->name, assembly->log.topic);
        if (leat_shard_check_source(&stored, &layout, &running, &even, error) != 0)
            return leat_fail_prefix(error, "shard %s", from->name);
        assembly->catalog.source = stored;
        assembly->catalog.layout = layout;
        answered++;
        if (look_at_shard(assembly, shard, error) != 0)
            leat_err("shard=%s its tables cannot be used: %s", from->name, error->text);
    }
    return answered == 0;
}

static int catalog_from_shards(leat_assembly *assembly, leat_error *error)
{
    int answer = check_shards(assembly, error);
    if (answer != 0)
        return answer;
    const leat_schema_version *first = first_version(assembly);
    if (!first)
        /* all that answered have tables that cannot be used: `error` is about the last */
        return -1;
    leat_error unsaved;
    if (leat_assembly_save_catalog(assembly, first, &unsaved) != 0)
        leat_warn("the catalog file was not written: %s", unsaved.text);
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
    leat_info("tables and layout are from %s", assembly->catalog_file);
    return 0;
}

static int read_catalog(leat_assembly *assembly, leat_error *error)
{
    /* Without the log's identity (an edge whose broker is down) a shard's source cannot be checked:
     * the file can do. */
    int answer = assembly->identity.partition_count > 0 ? catalog_from_shards(assembly, error) : 1;
    return answer == 1 ? catalog_from_file(assembly, error) : answer;
}

/* Shards of which nothing is known yet. */
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

int leat_assembly_load_catalog(leat_assembly *assembly, bool wait, leat_error *error)
{
    int answer;
    while ((answer = read_catalog(assembly, error)) == 1) {
        if (!wait)
            return leat_fail_prefix(error, "no shard answers");
        leat_warn("waiting for a shard: none answers; %s", error->text);
        sleep(WAIT_S);
    }
    return answer == 0 ? fill_versions(assembly, error) : -1;
}

void leat_assembly_fini(leat_assembly *assembly)
{
    for (uint32_t shard = 0; shard < LEAT_SHARDS_MAX; shard++)
        leat_schema_version_free(assembly->versions[shard]);
    leat_catalog_fini(&assembly->catalog);
    leat_config_fini(&assembly->config);
    free(assembly->properties);
    free(assembly->catalog_file);
}
