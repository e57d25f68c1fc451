/*
 * log_identity.c - identifies the log, and checks that it is the one the shards were set up for. A
 * log that was deleted and created again, or that has another number of partitions, would put a
 * key's records out of order without a single error; so a process checks before it reads or writes
 * anything, and its message names the setting at fault.
 *
 * A topic may have got more partitions since it was set up. Their keys would move, so leat goes on
 * with as many as the catalog file or a shard has recorded.
 */
#include "daemon/log_identity.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"

/* The setting that names the log. */
static const char *log_setting(const leat_assembly *assembly)
{
    return assembly->log.file ? "log.local.path" : "log.kafka.topic";
}

/* ---- a topic that is missing ---- */

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
            "topic %s no longer exists: shard %s was set up for the one with id %s, and the writes in it that were "
            "not applied are lost. See \"A topic was deleted and recreated\" in docs/operations.md",
            assembly->log.topic, shard->name, stored.topic_id);
        return leat_config_blame(&assembly->config, error, "%s", log_setting(assembly));
    }
    return 0;
}

static int fail_missing(const leat_assembly *assembly, leat_error *error)
{
    if (assembly->log.file)
        leat_fail(error, "%s does not exist: `leat run` creates it", assembly->log.file);
    else if (leat_assembly_check_not_deleted(assembly, error) != 0)
        return -1;
    else
        leat_fail(error, "topic %s does not exist: run `leat init` first", assembly->log.topic);
    return leat_config_blame(&assembly->config, error, "%s", log_setting(assembly));
}

/* ---- the identity ---- */

/* Takes the number of partitions that was set up; false: it was set up for another log. */
static bool take_partitions(leat_assembly *assembly, const leat_source *stored,
                            const leat_layout *layout)
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
                 take_partitions(assembly, &catalog.source, &catalog.layout);
    leat_catalog_fini(&catalog);
    for (uint32_t i = 0; i < assembly->config.shard_count && !known; i++) {
        leat_source stored;
        leat_layout layout;
        leat_shard_address at = leat_assembly_address(&assembly->config.shards[i]);
        known = leat_shard_read_source(at, assembly->log.topic, &stored, &layout, &error) == 0;
        if (known)
            take_partitions(assembly, &stored, &layout);
    }
}

int leat_assembly_identify(leat_assembly *assembly, bool wait, leat_error *error)
{
    for (;;) {
        int answer =
            leat_log_identify(&assembly->log, LEAT_START_BROKER_MS, &assembly->identity, error);
        if (answer == 1)
            return fail_missing(assembly, error);
        if (answer == 0)
            leat_assembly_limit_partitions(assembly);
        if (answer == 0 || assembly->log.file)
            return answer;
        if (!wait)
            return 1;
        leat_warn("waiting for Kafka brokers=%s reason=\"%s\"", assembly->log.brokers, error->text);
        sleep(LEAT_START_WAIT_S);
    }
}

leat_log_identity leat_assembly_stored_identity(const leat_assembly *assembly)
{
    leat_log_identity ret = {.partition_count = assembly->catalog.layout.partition_count};
    snprintf(ret.cluster, sizeof ret.cluster, "%s", assembly->catalog.source.log_identity);
    snprintf(ret.topic_id, sizeof ret.topic_id, "%s", assembly->catalog.source.topic_id);
    return ret;
}

/* ---- checks ---- */

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
    if (leat_log_topic_setting(&assembly->log, "cleanup.policy", LEAT_START_BROKER_MS, policy,
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

/* ---- the running source ---- */

int leat_assembly_running_source(const leat_assembly *assembly, leat_source *ret_source,
                                 leat_layout *ret_layout, leat_error *error)
{
    uint32_t partitions = assembly->identity.partition_count, shards = assembly->config.shard_count;
    if (partitions < shards) {
        leat_fail(
            error,
            "topic %s has too few partitions, %u, for %u shards: each shard needs at least one",
            assembly->log.topic, partitions, shards);
        return leat_config_blame(&assembly->config, error, "%s", log_setting(assembly));
    }
    *ret_source = (leat_source){0};
    snprintf(ret_source->log_identity, sizeof ret_source->log_identity, "%s",
             assembly->identity.cluster);
    snprintf(ret_source->topic, sizeof ret_source->topic, "%s", assembly->log.topic);
    snprintf(ret_source->topic_id, sizeof ret_source->topic_id, "%s", assembly->identity.topic_id);
    snprintf(ret_source->hash, sizeof ret_source->hash, "xxh3-64");
    const char *names[LEAT_SHARDS_MAX];
    leat_assembly_shard_names(assembly, names);
    leat_layout_even(ret_layout, partitions, shards, names);
    ret_layout->tenant_count = -1; /* read with the tables: daemon/tenant_file.h */
    return 0;
}
