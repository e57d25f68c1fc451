#include "config/config.h"

#include <string.h>

enum { PARTITIONS_PER_SHARD = 2 };

const char *leat_config_topic(const leat_config *config)
{
    if (!config->local_path)
        return config->kafka_topic;
    const char *slash = strrchr(config->local_path, '/');
    return slash ? slash + 1 : config->local_path;
}

uint32_t leat_config_partitions(const leat_config *config)
{
    int64_t given = config->local_path ? config->local_partitions : config->kafka_partitions;
    return given ? (uint32_t)given : PARTITIONS_PER_SHARD * config->shard_count;
}
