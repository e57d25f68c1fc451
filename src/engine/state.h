/*
 * state.h - the inside of the engine: its structures. Each file has a header for its functions;
 * nobody outside the engine includes any of them.
 *
 *   engine.c        the events
 *   partition.c     a partition's states: claim, drop, fence, stop
 *   subpartition.c  where a queue is: wake, delay, deactivate, drop
 *   timers.c        what is due when
 *   low_water.c     how far a partition has come: low water, commits
 *   compact.c       compactions: when, which base, what is in one
 *   park.c          what is parked, and when
 *   durable.c       what a crash of the database may take back
 *   deep.c          which subpartitions are why a partition is paused
 *   keys.c          what becomes of a record that is refused: a dead letter, or its key is held
 *   key_retry.c     the owner's retries of held keys
 *   key_jobs.c      their jobs
 *   key_left.c      held keys that are left to people, or cannot be read
 *   backlog.c       what is parked already: claims, chunks that come and go
 *   loads.c         chunks that are loaded
 *   revoke.c        a partition's end: drain, last compaction, giving back
 *   pause.c         which partitions are paused for want of room
 *   schedule.c      what runs next: claims, batches, compactions
 *   fair.c          which records share a batch, and how many
 *   jobs.c          the outcome of a job
 *   outcome.c       the outcome of a batch, for one of its queues
 *   guard.c         what share of a table's records may become dead letters
 *   halt.c          a shard that answers with an error that leat does not understand
 *   breaker.c       a shard that answers everything with an outage
 *   suspects.c      records that end their session
 *   effects.c       what is reported to the caller
 *   lists.c         the intrusive lists between them
 *   trouble.c       which heads fail, since when and why
 *   leave_out.c     records that the caller wants left out
 *   holder.c        which record holds a partition's low water, and why
 *   view.c          views and counters
 *   memory.c        limits, new, free
 *   validate.c      every invariant
 *
 * Parts that know nothing of the engine, each with its contract in its header:
 *
 *   queues.c        the records held: one FIFO for each subpartition
 *   ready.c         which queue of a tenant runs next
 *   tenants.c       the tenants of a shard: how far each is served, who is next
 *   bill.c          what a batch is charged to whom
 *   cost.c          what a batch and a record take
 *   concurrency.c   how many batches a shard is given at once
 *   retry.c         what a queue does after a failure: again, alone, halved, later, dead letter
 *   narrow.c        which record ends its session, from batches with unknown outcomes
 *   batch_size.c    how many records a shared batch of a shard may have
 *   contention.c    how long a batch waits for locks, and what share of the slots waits for them
 *   budgets.c       how much may be held, and by whom
 *   chunks.c        the chunks of a subpartition
 *   held.c          the held keys of a partition
 *   progress.c      the applied part of a partition
 *   needs.c         the seqs that a batch or compaction needs, each once
 *   batch.c         names of outcomes
 *   heap.c          a binary heap by time
 *   pairing.c       many small heaps in one array
 *   median.c        the median of the last numbers
 *
 * Anything that may be answered late carries the partition's incarnation: it changes whenever what
 * the partition holds is dropped, and an answer for an older one is counted and ignored.
 */
#ifndef LEAT_ENGINE_STATE_H
#define LEAT_ENGINE_STATE_H

#include "engine/budgets.h"
#include "engine/chunks.h"
#include "engine/engine.h"
#include "engine/held.h"
#include "engine/needs.h"
#include "engine/ready.h"
#include "engine/bill.h"
#include "engine/concurrency.h"
#include "engine/heap.h"
#include "engine/batch_size.h"
#include "engine/contention.h"

typedef enum leat_timer {
    LEAT_TIMER_CLAIM,
    LEAT_TIMER_COMPACT,
    LEAT_TIMER_COMMIT,
    LEAT_TIMER_DRAIN,
    LEAT_TIMER_CONFIRM,
    LEAT_TIMER_PARK,
    LEAT_TIMER_KEYS,
    LEAT_TIMER_COUNT,
} leat_timer;

/* The effects a partition has for the caller, in this order: REVOKED before those of a new
 * assignment. PAUSE and RESUME come after SEEK and follow from `emitted_paused`. */
enum {
    LEAT_EMIT_COMMIT = 1,
    LEAT_EMIT_REVOKED = 2,
    LEAT_EMIT_SEEK = 4,
    LEAT_EMIT_CONFIRM = 8,
};

typedef enum leat_revoke_step {
    LEAT_REVOKE_CLAIM,      /* a claim was in flight: its end is all there is to wait for */
    LEAT_REVOKE_BATCHES,    /* batches are in flight */
    LEAT_REVOKE_COMPACT,    /* the last compaction waits for a connection */
    LEAT_REVOKE_COMPACTING, /* it is in flight */
} leat_revoke_step;

/* A singly linked FIFO through the `..._next` member that belongs to it: see lists.c. */
typedef struct leat_list {
    uint32_t head;
    uint32_t tail;
} leat_list;

typedef enum leat_key_retry_step {
    LEAT_KEY_RETRY_NONE,
    LEAT_KEY_RETRY_WANTED, /* in its shard's list, as with LOADED */
    LEAT_KEY_RETRY_LOADING,
    LEAT_KEY_RETRY_LOADED,
    LEAT_KEY_RETRY_FLYING, /* its batch is in flight */
} leat_key_retry_step;

/* The retry of a held key. */
typedef struct leat_key_retry {
    leat_key_retry_step step;
    uint32_t next;
    uint64_t key;
    bool is_look;          /* LOADING, LOADED, FLYING: what is loaded is left out */
    uint32_t subpartition; /* LOADED, FLYING */
    leat_queue records;    /* likewise */
} leat_key_retry;

typedef struct leat_partition {
    leat_engine_partition_state state;
    uint32_t shard;
    uint32_t incarnation;
    leat_engine_progress progress; /* since the claim; `low` stays as claimed: leat_partition_low
                                      has the newer */
    int64_t position; /* every record below it was disposed of since the claim: taken, or skipped as
                         applied. Moves while READING only; -1 before the first */
    int64_t away_us;  /* since when it is not read, though it is ours; 0: it is */
    int64_t reread_to;    /* read up to here before it was dropped; 0: `position` is there again */
    int64_t reread_us;    /* when it was last claimed: since when it is read again */
    bool reread_by_trial; /* a trial has ended a session before that claim, and after the last */
    bool waits_dropped;   /* a record that may be accepted later was dropped, since the claim */
    bool low_known;       /* claimed and not dropped since */
    int64_t low;          /* while it is not: what it was last */

    leat_holding holding; /* read from the log; what came from chunks is in `loaded` */
    leat_holding loaded;  /* the records of a retry too */
    uint32_t in_flight;   /* records in batches of this incarnation */
    uint32_t batches;     /* those batches, parks among them */
    uint32_t ready;       /* subpartitions that could run now */
    uint32_t waiting;     /* subpartitions backing off */
    uint32_t troubled;    /* subpartitions with a mark */
    uint64_t *picked;     /* bitmap of the subpartitions of the batch being built */
    uint32_t picked_count;

    bool paused_for_room; /* paused by a budget; in the engine's list of those */
    uint32_t room_bytes;  /* of the record that did not fit; 0: none was refused */
    /* since when (a count): the one that waits longest resumes first. 0: does not wait */
    uint64_t room_stamp;
    uint32_t paused_next;

    bool claim_running; /* one of any incarnation: two at once could fence each other */
    bool claim_queued;  /* in the shard's list */
    int64_t claim_at_us;
    uint32_t claim_next;
    uint8_t claim_failures, look_failures; /* in a row */
    /* unknown outcomes and databases gone back in a row, nothing applied between */
    uint8_t setbacks;

    bool uncompacted;     /* something is applied, or low is new, since the last was made */
    bool in_doubt;        /* durable.h */
    int64_t durable_low;  /* likewise */
    int64_t written_us;   /* when a compaction that moves the base was last made, or a claim */
    bool compact_running; /* of this incarnation */
    bool compact_queued;  /* in the shard's list */
    int64_t compact_at_us;
    uint32_t compact_next;

    leat_held held; /* as of its last claim */
    leat_key_retry retry;
    int64_t held_us;       /* when that was read */
    uint32_t holding_keys; /* batches of this incarnation that make a key held */
    int64_t unread_us; /* when it was last reported that kept records cannot be read; 0: never */

    leat_holding room;      /* what it held when it was paused: as much as it may */
    uint32_t span;          /* records that it is offered are counted in spans of `records_max` */
    uint32_t span_left;     /* of the current one */
    uint32_t active;        /* subpartitions that were offered one in it */
    uint32_t active_before; /* the same of the span before */
    bool parks_deep;        /* at the last look: the deep ones are to be parked (deep.h) */
    bool park_wanted;       /* some that hold much are parked when their batch is over */
    uint32_t parked;        /* subpartitions with chunks */
    uint64_t parked_bytes;  /* all chunks together */
    bool parked_full;       /* paused until that is less */
    bool parking;           /* a park of this incarnation is in flight */
    bool park_queued;       /* in the shard's list */
    uint32_t park_next;
    uint8_t park_failures;    /* in a row */
    int64_t park_at_us;       /* none before */
    int64_t park_notified_us; /* when a failure was last reported; 0: never */
    int64_t rows_us;          /* when a batch of rows was last applied */

    int64_t committed; /* emitted last; -1: nothing */
    int64_t committed_us;

    int64_t fenced_us;
    int64_t reclaim_us;
    bool confirmed;

    leat_revoke_step revoke_step;
    int64_t revoke_until_us;

    bool seek_emitted; /* since it was assigned: before that nothing is read */
    bool emitted_paused;
    uint8_t emits;
    bool emitting; /* in the engine's list of those with effects */
    uint32_t emit_next;
    char reason[512];
} leat_partition;

/* The shared batches of a shard: see fair.h. */
typedef struct leat_fair {
    uint32_t shared;       /* in flight */
    uint32_t slow;         /* those of them that are slow */
    leat_median estimates; /* of the last ones that were made, us */
    leat_median times;     /* of the last ones that were applied, us */
    leat_concurrency concurrency;
} leat_fair;

/* See breaker.h. */
typedef struct leat_breaker {
    uint8_t outages; /* answers in a row, while it is closed */
    bool is_open;
    uint8_t delays; /* in a row */
    int64_t since_us;
    int64_t until_us; /* before that nothing runs, then one job */
} leat_breaker;

typedef struct leat_shard {
    uint32_t slots;
    uint32_t running;     /* jobs in flight, stale ones too: each has a connection */
    leat_holding holding; /* as those of its partitions */
    leat_holding loaded;
    leat_ready ready;
    leat_fair fair;
    leat_breaker breaker;
    leat_list claims; /* partitions */
    leat_list compactions;
    leat_list parks;
    leat_list key_retries;        /* partitions */
    uint32_t retrying_keys;       /* in flight, stale ones too */
    int64_t key_retries_after_us; /* none before */
    bool looks;                   /* at each held key (leave_out.c) */
    bool commits_async;           /* durable.h */
    bool is_veiled;               /* likewise: a pooler may hide a crash */
    leat_list loads[2]; /* queues whose next chunk is wanted; the second one: of those that stall */
    uint32_t parking;   /* in flight, stale ones too, as is the next */
    uint32_t loading;
    bool load_was_last;             /* of loads and batches */
    int64_t parks_after_us;         /* no park before */
    uint64_t parked_share;          /* of each partition: bytes that may be parked; 0: nothing is */
    leat_engine_parking parks_what; /* for what that takes up on its disk */
    uint32_t *partitions;
    uint32_t partition_count;
    uint8_t lane;               /* of the last batch (schedule.c) */
    uint32_t trials;            /* in flight, stale ones too */
    int64_t trials_after_us;    /* no trial before */
    uint32_t trial_loads;       /* loads that are `for_trial` */
    int64_t trial_ended_us;     /* when one last ended its session; 0: never */
    leat_batch_size batch_size; /* of shared batches */
    leat_contention contention;
    int64_t resumed_us;      /* after its last halt: no patience began before that */
    int64_t rechecked_us;    /* the caller has another mind about records (leave_out.c); 0: never */
    int64_t down_us;         /* since when it has no slots; meaningful while it has none */
    uint64_t applied;        /* batches, ever */
    uint64_t unparked;       /* records, ever: applied, or dead letters, out of chunks */
    uint64_t done;           /* records, ever: applied, dead letters, kept or left out */
    uint64_t split_by_locks; /* shared ones that met a locked row, ever */
    uint32_t trouble;        /* counted up whenever it is unwell, not understood, or goes on: older
                                verdicts are asked again */
    /* the queue that all else waits for while the shard is halted; else LEAT_INDEX_NONE */
    uint32_t probe;
    bool candidate; /* in the engine's list of shards that may have something to run */
    uint32_t candidate_next;
} leat_shard;

/* Records that were decided, and those of them that were given up. */
typedef struct leat_refused_share {
    uint32_t given_up;
    uint32_t of;
} leat_refused_share;

/* What the guard counts of a table in one shard. */
typedef struct leat_table_state {
    int64_t minute_us;         /* the minute that is counted began then */
    uint32_t in_minute;        /* records given up in it */
    uint64_t applied;          /* records, ever */
    uint32_t held;             /* queues that are `guarded` by it */
    int64_t share_us;          /* `now` began then */
    leat_refused_share now;    /* the latest decisions */
    leat_refused_share before; /* those before that */
    bool stopped; /* it gives up no more until one of those is applied, or none is left */
} leat_table_state;

/* Of a queue whose head fails. */
typedef struct leat_queue_mark {
    bool is_set;
    leat_engine_outcome outcome; /* of the last attempt; leat_engine.reasons has the rest */
    int64_t since_us;            /* when the first attempt began */
    uint32_t attempts;           /* that failed */
    bool no_room;                /* its key, or a record of it, would be held if there were room */
} leat_queue_mark;

/* The next chunk of a queue. */
typedef struct leat_queue_load {
    bool wanted;
    bool queued;         /* in a list of its shard; stays there when it is no longer wanted */
    bool running;        /* of this incarnation */
    bool for_trial;      /* wanted or running, and a queue on trial waits for it */
    uint8_t failures;    /* in a row */
    int64_t notified_us; /* when one was last reported; 0: never */
    uint32_t bytes;      /* of the next record, which had no room; 0: not known */
    uint32_t next;
} leat_queue_load;

/* The notices for the caller about a finished job, in this order. */
enum {
    LEAT_NOTICE_TABLE_STOPPED = 1,
    LEAT_NOTICE_STALLED = 2,
    LEAT_NOTICE_HALTED = 4,
    LEAT_NOTICE_DEAD = 8,
    LEAT_NOTICE_NOT_PARKED = 16,
    LEAT_NOTICE_KEY_HELD = 32,
    LEAT_NOTICE_KEY_LEFT = 64,
};

typedef struct leat_notice {
    uint8_t pending; /* LEAT_NOTICE_..., all about the same record */
    leat_engine_job_result result;
    uint32_t partition, subpartition, table;
    bool guarded;
    leat_refused_share share; /* TABLE_STOPPED */
    int64_t offset;
    uint64_t key; /* of a held key's; else 0 */
    void *payload;
} leat_notice;

typedef enum leat_slot_state {
    LEAT_JOB_FREE,
    LEAT_JOB_RUNNING,
    LEAT_JOB_NOTIFYING
} leat_slot_state;

typedef struct leat_job_slot {
    leat_engine_job job;
    leat_slot_state state;
    uint32_t next;             /* free, or with a notice for the caller */
    int64_t since_us;          /* RUNNING: when it was made */
    uint32_t queues;           /* BATCH: subpartitions in it */
    bool trial;                /* BATCH, of a subpartition that may end its session */
    bool shared;               /* BATCH, of queues that may share one */
    bool slow;                 /* and it is slow, by its estimate */
    bool alone;                /* and its tenant runs alone: its cost is in doubt */
    leat_bill bill;            /* BATCH */
    bool blocked;              /* BATCH, of a blocked subpartition, in their lane */
    bool suspected;            /* BATCH, unknown: a subpartition of it is under trial for that */
    int64_t delay_us;          /* BATCH, failed: back-off of all of it; 0: not chosen yet */
    leat_engine_reason reason; /* BATCH, `dead` or `hold` points here: the queue's own may change
                                  before the job is done */
    leat_notice notice;
} leat_job_slot;

struct leat_engine {
    leat_engine_config config; /* shard_of points to a copy */
    size_t memory_bytes;       /* of the one block that all of it is in */
    int64_t now_us;
    leat_prng prng;
    leat_budgets budgets;
    leat_pool pool;
    leat_partition *partitions;
    leat_queue *queues;          /* by leat_queue_id */
    leat_engine_reason *reasons; /* [queues]: what its head was refused with, while it is dead or
                                    marked */
    leat_queue_mark *marks;      /* [queues] */
    leat_chunks *chunks;         /* [queues] */
    leat_queue_load *loads;      /* [queues] */
    leat_chunk_pool chunk_pool;
    leat_budgets loaded;      /* what may be loaded from chunks, beside `budgets` */
    leat_holding chunk_max;   /* what the records of a chunk may take when they are loaded */
    bool load_starved;        /* a load waits for room */
    leat_table_state *tables; /* shard * table_count + table */
    leat_shard *shards;
    leat_job_slot *jobs;
    uint32_t job_records_max; /* of a job's batch */
    leat_list jobs_free;
    leat_list jobs_notifying;
    leat_heap timers;     /* ids: queues, then LEAT_TIMER_COUNT a partition, then shards */
    leat_list emitting;   /* partitions with effects */
    leat_list candidates; /* shards */
    leat_list paused;     /* partitions paused by a budget, longest waiting first */
    uint64_t room_stamps;
    bool room_grew;    /* something was released since the paused ones were last checked */
    bool feed_due;     /* payloads were handed back, and loads have not been told of the room */
    uint64_t *picked;  /* bitmap of the partitions of the batch being built */
    leat_needs needs;  /* of the batch or compaction being built */
    uint32_t assigned; /* partitions that are not UNASSIGNED */
    bool draining, drained_emitted;
    leat_engine_counters counters;
};

/* Queues are numbered partition by partition. */
static inline uint32_t leat_queue_id(const leat_engine *engine, uint32_t partition,
                                     uint32_t subpartition)
{
    return partition * engine->config.subpartitions + subpartition;
}

static inline uint32_t leat_queue_partition(const leat_engine *engine, uint32_t queue)
{
    return queue / engine->config.subpartitions;
}

static inline uint32_t leat_queue_subpartition(const leat_engine *engine, uint32_t queue)
{
    return queue % engine->config.subpartitions;
}

static inline uint32_t leat_queue_count(const leat_engine *engine)
{
    return leat_queue_id(engine, engine->config.partition_count, 0);
}

static inline leat_queue *leat_queue_at(leat_engine *engine, uint32_t partition,
                                        uint32_t subpartition)
{
    return &engine->queues[leat_queue_id(engine, partition, subpartition)];
}

static inline uint32_t leat_partition_id(const leat_engine *engine, const leat_partition *partition)
{
    return (uint32_t)(partition - engine->partitions);
}

static inline leat_shard *leat_shard_of(leat_engine *engine, const leat_partition *partition)
{
    return &engine->shards[partition->shard];
}

/* What a batch touches in a part: the subpartitions that it moves, or the one that it takes parked
 * or kept records of, which stands in the first entry. */
static inline uint32_t leat_batch_touches(const leat_engine_batch *batch,
                                          const leat_engine_batch_part *part)
{
    return batch->chunk_count > 0 || batch->retry_key != 0 ? 1 : part->count;
}

/* The record that a queue must try next. */
typedef struct leat_head_record {
    int64_t offset;
    int64_t read_us;
    uint32_t table;
    void *payload; /* NULL: it is parked and not loaded */
} leat_head_record;

static inline bool leat_queue_has_head(const leat_queue *queue)
{
    return queue->count > 0 || queue->parked;
}

static inline leat_head_record leat_queue_head(const leat_engine *engine, uint32_t id)
{
    const leat_queue *queue = &engine->queues[id];
    const leat_chunks *chunks = &engine->chunks[id];
    LEAT_ASSERT(leat_queue_has_head(queue));
    if (queue->count == 0 && queue->kept_read_us > 0)
        return (leat_head_record){queue->kept_offset, queue->kept_read_us, queue->kept_table, NULL};
    if (queue->count == 0)
        return (leat_head_record){chunks->to + 1, chunks->read_us, 0, NULL};
    const leat_record_slot *slot = &engine->pool.slots[queue->head];
    return (leat_head_record){slot->offset, slot->read_us, slot->table, slot->payload};
}

/* Its head leaves memory, and is remembered. */
static inline void leat_queue_keep_head(leat_engine *engine, uint32_t id)
{
    leat_queue *queue = &engine->queues[id];
    leat_head_record head = leat_queue_head(engine, id);
    queue->kept_offset = head.offset;
    queue->kept_read_us = head.read_us;
    queue->kept_table = head.table;
}

#endif
