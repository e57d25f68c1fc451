/*
 * config.c - questions about a configuration that is loaded. Some settings turn out to be wrong
 * only when Kafka or a database is asked; leat_config_blame gives such an error the file and line
 * of its setting, so that it reads like those of the loader. The tree of the file is kept for that.
 */
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/tree.h"

enum { PARTITIONS_PER_SHARD = 2, SUBPARTITIONS = 256 };

const char *leat_config_topic(const leat_config *config)
{
    if (!config->local_path)
        return config->kafka_topic;
    const char *slash = strrchr(config->local_path, '/');
    return slash ? slash + 1 : config->local_path;
}

bool leat_config_has_live_route(const leat_config *config)
{
    for (uint32_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].mode, "live") == 0)
            return true;
    return false;
}

const leat_config_pair *leat_config_property(const leat_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->kafka_property_count; i++)
        if (strcmp(config->kafka_properties[i].name, name) == 0)
            return &config->kafka_properties[i];
    return NULL;
}

/* A property of librdkafka has dots in its name. */
static bool begins_with(const char *path, const char *key)
{
    size_t size = key ? strlen(key) : 0;
    return size > 0 && strncmp(path, key, size) == 0 &&
           (path[size] == '\0' || path[size] == '.' || path[size] == '[');
}

/* The entry whose key the path begins with, the longest of several; NULL: there is none. */
static const leat_node *named(const leat_node *node, const char *path)
{
    const leat_node *ret = NULL;
    for (const leat_node *child = node->first; child; child = child->next)
        if (begins_with(path, child->key) && (!ret || strlen(child->key) > strlen(ret->key)))
            ret = child;
    return ret;
}

/* The entry that the path begins with; the path is moved past it. NULL: there is none. */
static const leat_node *step(const leat_node *node, const char **path)
{
    const char *at = *path;
    const leat_node *child = node->first;
    if (*at == '[') {
        char *end;
        unsigned long index = strtoul(at + 1, &end, 10);
        while (child && child->index != index)
            child = child->next;
        at = *end == ']' ? end + 1 : end;
    } else {
        child = named(node, at);
        at += child ? strlen(child->key) : strcspn(at, ".[");
    }
    *path = *at == '.' ? at + 1 : at;
    return child;
}

int leat_config_blame(const leat_config *config, leat_error *error, const char *path, ...)
{
    char text[LEAT_TREE_PATH_MAX];
    va_list arguments;
    va_start(arguments, path);
    vsnprintf(text, sizeof text, path, arguments);
    va_end(arguments);
    if (!config->tree)
        return leat_fail_prefix(error, "%s: %s", config->file ? config->file : "?", text);
    const char *rest = text;
    const leat_node *at = config->tree;
    for (const leat_node *next = at; next && *rest;)
        if ((next = step(at, &rest)) != NULL)
            at = next;
    return leat_fail_prefix(error, "%s:%d: %s", config->file, at->line, text);
}

bool leat_config_commits_async(const leat_config_shard *shard)
{
    return strcmp(shard->commit, "async") == 0;
}

const leat_config_shard *leat_config_find_shard(const leat_config *config, leat_slice name)
{
    for (uint32_t i = 0; i < config->shard_count; i++)
        if (leat_slice_is(name, config->shards[i].name))
            return &config->shards[i];
    return NULL;
}

uint32_t leat_config_subpartitions(const leat_config *config)
{
    return config->subpartitions ? (uint32_t)config->subpartitions : SUBPARTITIONS;
}

uint32_t leat_config_partitions(const leat_config *config)
{
    int64_t given = config->local_path ? config->local_partitions : config->kafka_partitions;
    return given ? (uint32_t)given : PARTITIONS_PER_SHARD * config->shard_count;
}
