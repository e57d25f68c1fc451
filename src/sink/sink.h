/*
 * sink.h - the sink seam: a shard's database as something that runs an engine's jobs. One sink per
 * worker and shard; it lives on the worker's libuv loop and calls back on that thread only, never
 * from inside a call made to it. Its backends are PostgreSQL (sink/pg/pool.c) and a SQLite file
 * (sink/sqlite/sink.c).
 */
#ifndef LEAT_SINK_H
#define LEAT_SINK_H

#include <uv.h>

#include "base/standstill.h"
#include "engine/batch.h"
#include "record/controls.h"
#include "record/schema_versions.h"
#include "record/item.h"
#include "sink/shard.h"

typedef struct leat_sink leat_sink;

typedef struct leat_sink_config {
    const char *shard_name; /* for messages: a DSN may contain a password */
    uint32_t shard;         /* index */
    leat_shard_address at;
    const char *owner;    /* source and consumer group, for the sessions' name: leat_shard_owner */
    uint32_t connections; /* hard cap for this sink; a SQLite file has one writer, so one */
    int32_t source_id;    /* leat.sources.id */
    leat_placement placement;              /* as stored with the source */
    leat_schema_versions *schema_versions; /* outlives the sink; its newest version is used from the
                                              next batch on */
    leat_controls *controls;               /* outlives the sink; a claim publishes those it has
                                              read. NULL: it reads none */
    int64_t lock_timeout_ms; /* the most of any batch; a claim waits for 10 s at most. A SQLite file
                                has one lock: there every batch waits as long */
    int64_t idempotency_ms;  /* the lifetime of idempotency keys, for a SQLite file; in PostgreSQL
                                the  reporter sees to that */
    bool commits_async; /* batches and parks do not wait for the disk, but for those that say so
                           (leat_engine_batch.is_durable). A crash of the server may take the last
                           of them back, in the order of their commits; `doubted` tells when to
                           look. Claims and compactions do wait: what they have read or written is
                           durable when they are answered. Not for a SQLite file */
    uint64_t seed;      /* of reconnect jitter */
    leat_standstill *standstill; /* the loop's; outlives the sink. A SQLite file needs none */
} leat_sink_config;

typedef struct leat_sink_events {
    void *context;
    /* Usable connections have changed; a job may be submitted whenever fewer than `usable` run.
     * They all belong to one start of one server: before those of another one, 0 is reported. */
    void (*slots)(void *context, uint32_t shard, uint32_t usable);
    /* Where commits do not wait for the disk: what was acknowledged may be gone, though some
     * connections are usable, because one was lost. Comes before the `slots` of that loss. NULL:
     * nothing that was acknowledged can be gone, since all jobs wait for the disk. */
    void (*doubted)(void *context, uint32_t shard);
    /* A pooler is between us and the shard, or no longer is; before any of that, it is not. It may
     * keep a connection whose server has crashed, so `doubted` need not come. Before the `slots` of
     * the connection that has shown it. NULL: as `doubted`. */
    void (*pooled)(void *context, uint32_t shard, bool is_pooled);
    /* Exactly once for each submitted job. A job on a connection that dies is reported
     * (LEAT_ENGINE_UNKNOWN) before `slots`. */
    void (*done)(void *context, uint32_t job_id, const leat_engine_job_result *result);
} leat_sink_events;

/* One write outside of the log's order, in a transaction of its own that moves no progress. It
 * fails with KEY_TURNED where its key is held, since what is kept of it would be overtaken, and
 * where a control leaves it out. The texts are read during the call only. */
typedef struct leat_sink_direct {
    uint32_t partition;
    uint64_t key;      /* leat_item_held_hash */
    const char *route; /* live: fails with FENCED unless leat.modes lets this point through; NULL:
                          it is not asked */
    uint32_t point;
    const char *table;  /* its label; with `row_key` and `tenant` what controls are found by */
    leat_slice row_key; /* canonical */
    leat_slice tenant;  /* without data: it has none */
    int64_t timeout_ms; /* of its statements, and of their waits for a lock; above 0 */
} leat_sink_direct;

typedef struct leat_sink_counters {
    uint64_t rows;       /* row writes in applied batches */
    uint64_t statements; /* row statements sent */
    uint64_t connects;
    uint64_t connect_failures;
    uint64_t holders_terminated;
    uint64_t patches_dropped; /* records: PATCHes of missing rows where the route wants rows to
                                 exist */
    uint64_t silent_ms; /* not a counter: how long the shard has owed an answer; 0: it answers */
} leat_sink_counters;

/* Starts connecting at once and retries indefinitely (jittered back-off). NULL and a message only
 * for what can never work. */
leat_sink *leat_sink_new(uv_loop_t *loop, const leat_sink_config *config,
                         const leat_sink_events *events, leat_error *error);
/* Hands the job to a free connection. Payloads (leat_item) and the job's arrays are read during
 * this call only; a batch that cannot be built is reported by `done` on a later turn of the loop.
 * At most `usable` jobs may be open. A job that finds its connection gone, before `slots` has
 * reported it, was not sent: LEAT_ENGINE_OUTAGE. */
void leat_sink_submit(leat_sink *sink, const leat_engine_job *job);
/* The same for such a write; `item` is read during this call only. Not for a SQLite file. */
void leat_sink_write(leat_sink *sink, uint32_t job_id, leat_item *item,
                     const leat_sink_direct *direct);
/* From now on it has at most so many connections, which is at least 1 and at most
 * config->connections. Those above it are closed, each once its job is over; the next `slots` tells
 * of that, on a later turn of the loop. A sink without a server has no use for it. */
void leat_sink_allow(leat_sink *sink, uint32_t connections);
const leat_sink_counters *leat_sink_count(const leat_sink *sink);
/* Closes every connection (open jobs are no longer reported) and frees once the loop has run the
 * closes. */
void leat_sink_free(leat_sink *sink);

#endif
