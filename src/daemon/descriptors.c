/*
 * descriptors.c - the arithmetic of open files. The edge would take a descriptor for each client
 * until none is left for the shards and the log, and then every reconnect would fail at once. So
 * the process's own need is added up generously, and clients get the rest.
 */
#include "daemon/descriptors.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "base/diag.h"
#include "daemon/admin.h"
#include "http/http.h"

enum {
    OWN = 48, /* standard streams, loops and their wake-ups, timers of libraries, files while they
                 are read */
    KAFKA_OF_A_CLIENT = 16, /* brokers and wake-ups of a writer or reader */
    OF_A_FILE = 8, /* the built-in log's or a shard's SQLite file, with the files beside it */
    CLIENTS_MIN = 16,
};

uint64_t leat_descriptors_kept(const leat_config *config)
{
    uint64_t clients = 1 + (uint64_t)config->workers;
    uint64_t kept = OWN + LEAT_ADMIN_CONNECTIONS + 2 * LEAT_HTTP_REFUSED_MAX;
    kept += clients * (config->local_path ? OF_A_FILE : KAFKA_OF_A_CLIENT);
    for (uint32_t i = 0; i < config->shard_count; i++) /* two more: reading the tables, asking for
                                                          writes */
        kept += config->shards[i].sqlite ? (clients + 1) * OF_A_FILE
                                         : (uint64_t)config->shards[i].connections + 2;
    return kept;
}

uint64_t leat_descriptors_for_clients(uint64_t limit, uint64_t kept, uint64_t wanted)
{
    if (limit < kept + CLIENTS_MIN)
        return 0;
    return wanted < limit - kept ? wanted : limit - kept;
}

uint64_t leat_descriptors_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT64_MAX; /* it cannot be read: treated as no limit */
    struct rlimit wanted = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &wanted) == 0)
        limit = wanted;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
}

int leat_descriptors_prepare(leat_config *config, bool with_edge, leat_error *error)
{
    uint64_t limit = leat_descriptors_raise_limit(), kept = leat_descriptors_kept(config);
    if (!with_edge) {
        if (limit < kept)
            leat_warn("limit of open files may be too low limit_files=%" PRIu64
                      " wanted_files=%" PRIu64 " advice=\"raise it (ulimit -n, LimitNOFILE=)\"",
                      limit, kept);
        return 0;
    }
    uint64_t wanted = (uint64_t)config->edge_connections,
             clients = leat_descriptors_for_clients(limit, kept, wanted);
    if (clients == 0)
        return leat_fail(error,
                         "this process may open %" PRIu64 " files, too few: it keeps %" PRIu64
                         " for Kafka, the shards and the "
                         "admin listener; raise the limit (ulimit -n, LimitNOFILE=) to %" PRIu64
                         " for limits.connections",
                         limit, kept, kept + wanted);
    if (clients < wanted)
        leat_warn("limit of open files allows fewer clients than limits.connections wanted=%" PRIu64
                  " allowed=%" PRIu64 " limit_files=%" PRIu64 " kept_files=%" PRIu64
                  " advice=\"raise it (ulimit -n, LimitNOFILE=); Kafka, the shards and the admin "
                  "listener need what is kept\"",
                  wanted, clients, limit, kept);
    config->edge_connections = (int64_t)clients;
    return 0;
}
