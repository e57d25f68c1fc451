/*
 * reporter.h - writes what a process's workers know to each shard's leat.workers, where others can
 * read it. Each shard has its own connection and thread, so a shard that does not answer delays
 * neither workers nor other shards. It writes every LEAT_REPORT_EVERY_MS, sooner (two seconds) when
 * something has changed, and removes its row at the end.
 *
 * It also reads the shard's controls every second, and what parked records take up there every few
 * seconds, and publishes both for the workers.
 *
 * While a worker has waited for an answer for a second or more, it asks the shard which sessions
 * leat's sessions wait for, and logs them.
 */
#ifndef LEAT_APPLY_REPORTER_H
#define LEAT_APPLY_REPORTER_H

#include "apply/worker.h"

typedef struct leat_reporter leat_reporter;

/* Everything pointed at outlives the reporter. */
typedef struct leat_reporter_config {
    const leat_worker_shard *shards;
    uint32_t shard_count;
    int32_t source_id;
    const leat_placement *placement;
    const char *owner; /* of the sessions: leat_shard_owner */
    leat_worker *const *workers;
    uint32_t worker_count;
    leat_controls *controls; /* NULL: none are read */
    uint32_t partition_count;
    int64_t idempotency_ms; /* the lifetime of idempotency keys */
} leat_reporter_config;

/* Starts the threads. NULL and a message when one cannot be started. */
leat_reporter *leat_reporter_new(const leat_reporter_config *config, leat_error *error);
/* Removes the rows of the shards that answer, and ends; takes at most as long as one call to a
 * shard. NULL: none. */
void leat_reporter_free(leat_reporter *reporter);

#endif
