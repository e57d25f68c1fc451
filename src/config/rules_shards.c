/*
 * rules_shards.c - the rules about a shard: where it is, its name, its connections.
 */
#include "config/rules_state.h"

#include <string.h>

static int check_shard_name(const rules_checker *c, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(c->config->shards[i].name, c->config->shards[index].name) == 0)
            return leat_node_fail(
                c->config->file, leat_node_get(rules_entry(c, "shards", index), "name"), NULL,
                c->error, "\"%s\" is already the name of shards[%u] (each name once)",
                c->config->shards[i].name, i);
    return 0;
}

/* Two shards in one file would write each other's partitions. */
static int check_file_unique(const rules_checker *c, uint32_t index)
{
    const char *file = c->config->shards[index].sqlite;
    for (uint32_t i = 0; file && i < index; i++)
        if (c->config->shards[i].sqlite && strcmp(c->config->shards[i].sqlite, file) == 0)
            return leat_node_fail(
                c->config->file, leat_node_get(rules_entry(c, "shards", index), "sqlite"), NULL,
                c->error, "\"%.128s\" is already the file of shards[%u] (each file once)", file, i);
    const char *log = c->config->local_path;
    if (file && log && strcmp(file, log) == 0)
        return leat_node_fail(
            c->config->file, leat_node_get(rules_entry(c, "shards", index), "sqlite"), NULL,
            c->error,
            "\"%.128s\" is the file of the log (give another one: each must survive the other)",
            file);
    return 0;
}

int rules_check_shard(const rules_checker *c, uint32_t index)
{
    const leat_config_shard *shard = &c->config->shards[index];
    const leat_node *node = rules_entry(c, "shards", index);
    if (!shard->dsn && !shard->sqlite)
        return leat_node_fail(
            c->config->file, node, "dsn", c->error,
            "missing (a connection string or URI of libpq, or `sqlite` with a file instead)");
    if (shard->dsn && shard->sqlite)
        return leat_node_fail(c->config->file, leat_node_get(node, "sqlite"), NULL, c->error,
                              "a dsn is given too (give one of the two)");
    if (check_file_unique(c, index) < 0)
        return -1;
    if (shard->sqlite && leat_config_commits_async(shard))
        return leat_node_fail(c->config->file, leat_node_get(node, "commit"), NULL, c->error,
                              "async needs PostgreSQL, and this shard is a SQLite file (sync)");
    const leat_node *connections = leat_node_get(node, "connections");
    if (shard->connections < c->config->workers)
        return leat_node_fail(c->config->file, connections ? connections : node,
                              connections ? NULL : "connections", c->error,
                              "%lld cannot be divided among %lld workers (at least one for each)",
                              (long long)shard->connections, (long long)c->config->workers);
    return check_shard_name(c, index);
}
