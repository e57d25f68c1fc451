/*
 * culprits.c - GET /culprits: what the workers of this process have published, put together. The
 * admin only copies, so a worker never waits for a reader.
 */
#include <string.h>

#include "daemon/daemon_state.h"

void leat_daemon_write_culprits(leat_daemon *daemon, leat_buf *out)
{
    leat_culprits *culprits = &daemon->culprits;
    leat_culprits_text text = {0};
    int64_t now_ms = leat_wall_ms();
    uint32_t shard_count = daemon->worker_count > 0 ? daemon->assembly.catalog.layout.shard_count
                                                    : 0;
    for (uint32_t shard = 0; shard < shard_count; shard++) {
        memset(culprits, 0, sizeof *culprits);
        for (uint32_t i = 0; i < daemon->worker_count; i++)
            leat_worker_add_culprits(daemon->workers[i], shard, culprits);
        leat_culprits_write(culprits, daemon->shards[shard].name, now_ms, LEAT_CULPRITS_PARTITIONS,
                            &text);
    }
    leat_culprits_join(&text, out);
    leat_culprits_text_free(&text);
}
