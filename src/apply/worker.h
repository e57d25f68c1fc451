/*
 * worker.h - one worker: a thread with its own event loop, log reader, engine and one sink per
 * shard. It carries out what the engine decides and reports to the engine what happened; it decides
 * nothing itself. Workers share nothing.
 */
#ifndef LEAT_APPLY_WORKER_H
#define LEAT_APPLY_WORKER_H

#include "apply/culprits.h"
#include "apply/facts.h"
#include "apply/late.h"
#include "engine/engine.h"
#include "log/log.h"
#include "ops/metrics.h"
#include "record/catalog.h"
#include "record/controls.h"
#include "record/write_waits.h"
#include "sink/sink.h"
#include "trace/tracer.h"

typedef struct leat_worker leat_worker;

typedef struct leat_worker_shard {
    const char *name;
    leat_shard_address at;
    uint32_t connections;       /* of this worker: the process's cap divided among its workers */
    uint32_t connections_total; /* of all processes together; 0: no limit */
    uint64_t parked_max;        /* bytes, of all workers together; 0: nothing is parked */
    uint64_t held_max;          /* likewise, of what is kept of held keys; 0: no bound */
    bool commits_async;         /* leat_sink_config.commits_async */
} leat_worker_shard;

enum { LEAT_HEAT_PARTITIONS = 128, LEAT_HEAT_CELLS = 64 };

/* Everything pointed at outlives the worker. */
typedef struct leat_worker_config {
    uint32_t index; /* of the worker in this process; a label of its metrics */
    leat_log_config log;
    leat_log_identity identity;
    const leat_catalog *catalog;
    leat_schema_versions *schema_versions; /* a version of each shard is published already */
    leat_controls *controls;               /* of operators; NULL: there are none */
    leat_write_waits *writes;              /* told of what is applied; NULL: nobody waits */
    const leat_worker_shard *shards;       /* [catalog->layout.shard_count] */
    const char *owner;                     /* of the shards' sessions: leat_shard_owner */
    leat_engine_config engine; /* limits; partitions, shards and jobs_max are filled in from the
                                  rest */
    int64_t lock_timeout_ms;
    int64_t idempotency_ms; /* lifetime of idempotency keys */
    int64_t lag_limit_ms;   /* of a shard, estimated: then its loudest tenants are told; 0: none */
    leat_tracer *tracer;    /* NULL: there are no spans */
    leat_metrics *metrics;
} leat_worker_config;

/* Makes everything that can fail and registers metrics; any thread, before leat_worker_start. NULL,
 * and a message, when it fails. */
leat_worker *leat_worker_new(const leat_worker_config *config, leat_error *error);
/* Runs the worker on a thread of its own. `on_exit` is called on that thread as its last act. */
int leat_worker_start(leat_worker *worker, void (*on_exit)(void *context), void *context,
                      leat_error *error) LEAT_MUST_CHECK;
/* Asks the worker to finish batches in flight, write progress, commit, leave the group and end its
 * thread. Any thread; may be called again. */
void leat_worker_drain(leat_worker *worker);
/* True: it can no longer read the log, so it ends by itself. Any thread. */
bool leat_worker_failed(const leat_worker *worker);
/* Does each shard have a connection? Any thread; for readiness. `ret_shard` gets the name of one
 * that has none. */
bool leat_worker_ready(const leat_worker *worker, const char **ret_shard);
/* The state of the log by the worker's reader, at most half a second old. Any thread; for readiness
 * and `leat status`. */
void leat_worker_log(leat_worker *worker, leat_log_health *ret);
/* Has one of its partitions stopped? Appends its number and the reason. Any thread; at most half a
 * second old. */
bool leat_worker_stopped(leat_worker *worker, leat_buf *why);
/* Whether work of a shard may be waiting for another session. */
typedef enum leat_worker_waits {
    LEAT_WAITS_NOT,
    LEAT_WAITS_BETWEEN, /* some of it met a lock, and will be tried again */
    LEAT_WAITS_NOW,     /* some of it has not been answered for a second */
} leat_worker_waits;

/* Appends the worker's report about a shard: its partitions ("0,2"), after a comma unless the
 * buffer is empty, and its facts, as many of the first ones as have room in `most` bytes. Any
 * thread; at most half a second old. */
leat_worker_waits leat_worker_append_report(leat_worker *worker, uint32_t shard,
                                            leat_buf *partitions, leat_facts *facts, size_t most);
/* Adds the worker's. Any thread; some seconds old at most. */
void leat_worker_add_drain(leat_worker *worker, uint32_t shard, leat_drain *to);
/* Adds who is to blame for a shard's lag, as far as this worker knows. Any thread; at most half a
 * second old. */
void leat_worker_add_culprits(leat_worker *worker, uint32_t shard, leat_culprits *to);
/* Appends, each after a comma unless the buffer is empty, what the subpartitions of the worker's
 * partitions hold, as JSON objects; at most LEAT_HEAT_PARTITIONS of them:
 *
 *   {"shard":"a","partition":0,"subpartitions":256,"records":[0,3,...],"stalled":[5]}
 *
 * Neighbours are added up to LEAT_HEAT_CELLS numbers; `stalled` has the positions of those that are
 * tried in vain. Any thread. It is counted only while somebody asks, so the first one gets nothing,
 * and later ones what is half a second old. */
void leat_worker_append_heat(leat_worker *worker, leat_buf *out);
/* What parked records take up on the disk of the shard, as it was measured. Any thread. */
void leat_worker_parked_size(leat_worker *worker, uint32_t shard, uint64_t bytes);
/* What noted idempotency keys take up there, likewise. */
void leat_worker_idempotency_size(leat_worker *worker, uint32_t shard, uint64_t bytes);
/* What of each partition is held in the shard, as it was counted there: [partition], of which those
 * of other shards do not count. Any thread, as is the next. */
void leat_worker_held_keys(leat_worker *worker, uint32_t shard,
                           const leat_shard_held_count *counts);
/* What is to be noted with held keys of the shard; how many, and they are taken. */
enum { LEAT_KEY_NOTES_MAX = 32 };
uint32_t leat_worker_take_notes(leat_worker *worker, uint32_t shard,
                                leat_shard_key_note ret[LEAT_KEY_NOTES_MAX]);
/* Waits for the thread and frees. */
void leat_worker_free(leat_worker *worker);

#endif
