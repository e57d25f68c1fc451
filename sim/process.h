/*
 * process.h - a process with the production worker in it, stepped here in place of its thread and
 * event loop: after each event that reaches it the worker's pump runs once. It can crash, freeze,
 * be cut off from the log, and drain.
 *
 * reader.c and sink.c implement log.h and sink.h for it.
 */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "apply/worker_state.h"
#include "floods.h"
#include "group.h"
#include "server.h"

/* check_breaker.c: what a shard has answered. */
typedef struct sim_breaker_seen {
    uint32_t outages; /* in a row, before it was open */
    bool is_open;
    bool is_asked;    /* since then, without an answer */
    int64_t since_us; /* the last answer that was an outage, or none; the worker's clock */
    int64_t pause_us; /* the last one */
    uint32_t same;    /* as long as the one before, in a row */
} sim_breaker_seen;

/* check_fair.c: a batch in flight, and what tenants were served. */
typedef struct sim_served {
    bool shared;
    int64_t sent_us;
    double parts[SIM_APPS_MAX]; /* that they have in what it takes; all 0: it is no batch */
} sim_served;

typedef struct sim_service {
    double served_us[SIM_APPS_MAX]; /* by all batches with records of it, ever */
    double shared_us[SIM_APPS_MAX]; /* its part of the shared ones of them */
    bool waits[SIM_APPS_MAX]; /* has had something that could run, at each batch since then: */
    double then_us[SIM_APPS_MAX][SIM_APPS_MAX]; /* `shared_us` when that began */
    int64_t longest_us;                         /* of all batches */
    uint32_t passed;                            /* batches in a row, while a shared one could run */
} sim_service;

/* check_looks.c: the partitions of shards whose batches do not wait for the disk; by the worker's
 * clock. */
typedef struct sim_looks {
    bool is_pooled[SIM_SHARDS_MAX];         /* its worker knows that a pooler may hide a crash */
    bool is_due[SIM_PARTITIONS_MAX];        /* a look is, since the last doubt */
    int64_t look_by_us[SIM_PARTITIONS_MAX]; /* one that failed is made again by then; 0: none */
    int64_t looked_us[SIM_PARTITIONS_MAX];  /* when a compaction or a claim was last answered; 0:
                                               none was */
} sim_looks;

/* check_retries.c: a load or a batch of what is kept of a held key; what has come of them. */
enum { SIM_RETRIED_MAX = 32 };

typedef struct sim_retry {
    uint32_t partition;
    uint64_t key;
    leat_engine_claim claim;
    bool is_batch;
    bool is_written; /* the batch is, and not left out */
} sim_retry;

typedef struct sim_retried {
    uint32_t partition;
    uint64_t key;      /* 0: none */
    uint32_t sessions; /* that have ended while it was written, since it was assigned */
} sim_retried;

typedef struct sim_retries {
    int64_t rest_us[SIM_SHARDS_MAX]; /* none before; the worker's clock */
    sim_retried ended[SIM_RETRIED_MAX];
} sim_retries;

struct sim_process {
    uint32_t index;
    bool is_alive;
    uint64_t life; /* another with each start */
    int64_t frozen_until_us;
    int64_t frozen_us;        /* for how long, until it wakes */
    int64_t stood_still_us;   /* in this life, all in all */
    int64_t log_cut_until_us; /* the log cannot be reached */
    leat_worker *worker;
    leat_metrics *metrics;
    leat_log_reader *reader;
    leat_sink *sinks[SIM_SHARDS_MAX];
    leat_worker_shard shards[SIM_SHARDS_MAX];
    int64_t tick_us;   /* when the next tick is planned */
    int64_t log_in_us; /* messages from the log keep their order */
    bool is_draining;
    leat_engine_claim claims[SIM_PARTITIONS_MAX]; /* the last ones */
    /* check_locks.c */
    uint8_t lock_marks[SIM_PARTITIONS_MAX][LEAT_SUBPARTITIONS_MAX];
    int64_t lost_to[SIM_PARTITIONS_MAX][LEAT_SUBPARTITIONS_MAX];
    int64_t lane_rest_us[SIM_SHARDS_MAX]; /* no attempt for a locked row before; the worker's clock
                                           */
    /* check_park.c */
    bool held_up[SIM_PARTITIONS_MAX];          /* at the end of the last step: by what is deep */
    int64_t held_up_to_us[SIM_PARTITIONS_MAX]; /* until then, before that; the engine's clock */
    bool is_claimed[SIM_PARTITIONS_MAX];       /* in this step */
    int64_t park_rest_us[SIM_SHARDS_MAX];      /* no park before; the worker's clock */
    sim_looks looks;
    sim_retries retries;
    sim_breaker_seen breakers[SIM_SHARDS_MAX];
    sim_service services[SIM_SHARDS_MAX];
    int64_t rows_us[SIM_PARTITIONS_MAX]; /* when a batch of records from the log was last applied;
                                            the worker's clock */
    sim_heard heard[SIM_SHARDS_MAX];
    sim_lateness lateness[SIM_SHARDS_MAX];
    uint64_t parked_size[SIM_SHARDS_MAX]; /* that its worker was told last, as is the next */
    leat_shard_held_count kept[SIM_PARTITIONS_MAX];
};

void sim_process_start(sim_world *world, sim_process *process);
/* Everything in memory is gone. */
void sim_process_crash(sim_world *world, sim_process *process);
void sim_process_drain(sim_world *world, sim_process *process);
void sim_process_freeze(sim_world *world, sim_process *process, int64_t until_us);
/* Frees its memory when the world ends; nobody is notified. */
void sim_process_forget(sim_process *process);

/* Frees events that were planned for processes and will no longer come. */
void sim_processes_drop_planned(sim_clock *clock);

/* Plans something that reaches this life of the process: not before it wakes when it is frozen,
 * never when it has ended. Then the worker's pump runs. */
void sim_process_plan(sim_world *world, sim_process *process, int64_t at_us, sim_event_fn fn,
                      void *object, uint64_t argument);
/* The same for messages from the log. */
void sim_process_plan_log(sim_world *world, sim_process *process, int64_t at_us, sim_event_fn fn,
                          void *object, uint64_t argument);

/* ---- reader.c ---- */

typedef enum sim_reader_message { READER_ASSIGNED, READER_REVOKED } sim_reader_message;
/* Messages of the group to a member. */
void sim_reader_tell(sim_world *world, uint32_t process, uint64_t member,
                     sim_reader_message message, uint32_t partition);
/* The partition has new records. */
void sim_readers_wake(sim_world *world, uint32_t partition);
/* The log's start (else its end) has moved: a process that reads there is notified. */
void sim_readers_recheck(sim_world *world, uint32_t partition, bool start);
/* The process has the record, now or since it was read: its patience begins. */
void sim_reader_note(const sim_world *world, const sim_process *process, sim_record *record);
/* Does the process believe that the partition is its own? `fully`: and that nobody wants it
 * back. */
bool sim_reader_holds(const leat_log_reader *reader, uint32_t partition, bool fully);
/* Records that were taken and not released. */
uint64_t sim_reader_held(const leat_log_reader *reader);

/* ---- sink.c ---- */

/* Cuts one of the sink's connections, chosen at random. */
void sim_sink_cut(sim_world *world, leat_sink *sink, bool unseen);
/* The process has ended: every server finds out by itself. */
void sim_sink_cut_all(sim_world *world, leat_sink *sink);
/* Is a batch or a park open at the sink, under this claim, with one of the subpartitions that
 * `part` of `batch` has? */
bool sim_sink_is_moving(const leat_sink *sink, const leat_engine_batch *batch,
                        const leat_engine_batch_part *part);

#endif
