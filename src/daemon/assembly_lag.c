/*
 * assembly_lag.c - the lag is measured against the log as it answers now, not as the catalog file
 * has it. If the log is silent, or is not the one that the shards were set up for, the shards are
 * read all the same, because the caller then needs their errors and troubles. The log's error is
 * returned after that.
 */
#include "daemon/assembly_lag.h"

#include "daemon/log_identity.h"

int leat_assembly_read_lag(leat_assembly *assembly, leat_lag_work work, leat_lag *ret,
                           leat_error *error)
{
    leat_source running;
    leat_layout layout;
    leat_shard_address shards[LEAT_SHARDS_MAX];
    for (uint32_t i = 0; i < assembly->config.shard_count; i++)
        shards[i] = leat_assembly_address(&assembly->config.shards[i]);
    int answer = leat_assembly_identify(assembly, false, error);
    bool is_known = answer == 0 &&
                    leat_assembly_running_source(assembly, &running, &layout, error) == 0;
    leat_lag_query query = {.log = &assembly->log,
                            .shards = shards,
                            .shard_count = assembly->config.shard_count,
                            .work = work,
                            .source = is_known ? &running : NULL,
                            .layout = is_known ? &layout : NULL};
    int status = leat_lag_read(&query, ret, error);
    ret->log_is_silent = ret->log_is_silent || answer == 1;
    return is_known ? status : -1;
}
