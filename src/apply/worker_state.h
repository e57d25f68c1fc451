/* worker_state.h - the inside of a worker, for src/apply only. */
#ifndef LEAT_APPLY_WORKER_STATE_H
#define LEAT_APPLY_WORKER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "apply/culprits.h"
#include "apply/facts.h"
#include "apply/fill.h"
#include "apply/flood.h"
#include "apply/heads.h"
#include "apply/items.h"
#include "apply/kept_room.h"
#include "apply/late.h"
#include "apply/parked_shares.h"
#include "apply/repeats.h"
#include "apply/signature.h"
#include "apply/skew.h"
#include "apply/worker.h"
#include "base/rate_limit.h"
#include "base/sample.h"
#include "base/standstill.h"
#include "engine/budget_view.h"

/* What a worker reports about a shard: see worker_facts.c. */
typedef struct leat_worker_report {
    leat_facts facts;
    leat_buf partitions; /* "0,2": assigned to it */
    leat_worker_waits waits;
    leat_drain drain;
    char stopped[LEAT_FACT_TEXT_SIZE]; /* its first partition that has stopped; "": none */
} leat_worker_report;

/* What is parked in a shard, of the partitions that are held. */
typedef struct leat_parked_sum {
    uint32_t partitions; /* with parked records */
    uint32_t full;       /* paused because their share is used up */
    uint32_t spent;      /* with a subpartition that has used up its part of that */
    uint32_t half;       /* that have used half of their share, or more */
    uint64_t subpartitions, chunks, records, bytes;
    uint64_t max_bytes; /* the shares of all of them, with parked records or not */
    int64_t oldest_ms;  /* 0: nothing is parked */
    int64_t left_us; /* until the first of them has used up its share; INT64_MAX: not foreseeable */
    uint32_t first;  /* that one */
    leat_engine_partition_view first_view;
} leat_parked_sum;

typedef struct leat_worker_parked {
    leat_gauge *records;
    leat_gauge *bytes;
    leat_gauge *max_bytes;
    leat_gauge *chunks;
    leat_gauge *subpartitions;
    leat_gauge *oldest_ms;
    leat_gauge *left_ms;
    leat_gauge *full;
    leat_gauge *size;
    bool is_logged; /* that there is something */
    leat_parked_sum sum;
    _Atomic uint64_t measured; /* on disk; UINT64_MAX: not yet, or not known of such a shard */
    uint64_t told;             /* to the engine */
    int64_t swollen_since_ms;  /* 0: it is not */
} leat_worker_parked;

/* What is held in a shard, of the partitions that are held, as it was counted last. */
typedef struct leat_held_sum {
    uint64_t keys, keys_limit;
    uint64_t records, bytes, limit_bytes; /* kept of them */
    uint32_t half; /* partitions in which half of what may be kept is, or more */
} leat_held_sum;

typedef struct leat_worker_held {
    leat_gauge *keys;
    leat_gauge *keys_limit;
    leat_gauge *full;
    leat_gauge *records;
    leat_gauge *bytes;
    leat_gauge *limit_bytes;
    leat_held_sum sum;
    leat_flood flood;       /* whose records are kept */
    int64_t flood_since_ms; /* since when somebody is told to be loud; 0: nobody is */
    uint32_t counts;        /* in the shard, ever; this and the next three under report_lock */
    uint32_t counts_seen;
    uint32_t note_count;
    leat_shard_key_note notes[LEAT_KEY_NOTES_MAX];
} leat_worker_held;

/* By the class of their SQLSTATE: account.c. */
enum { LEAT_ERROR_CLASSES = 15 };

typedef struct leat_worker_shard_state {
    leat_sink *sink;
    uint32_t partitions;       /* of the shard */
    uint32_t owned;            /* of them, by this worker: assigned and not revoked since */
    leat_worker_report report; /* under leat_worker.report_lock */
    _Atomic uint32_t usable;
    leat_control_set *controls; /* held; NULL: none yet */
    uint32_t controls_version;  /* theirs */
    bool is_recheck_due;        /* what waits has not been looked at since they changed */
    leat_gauge *controls_active;
    int64_t slow_since_ms;   /* 0: it is not slow */
    uint64_t split_by_locks; /* batches, when that was last looked at */
    leat_counter *rows;
    leat_counter *connects;
    leat_counter *connect_failures;
    leat_counter *holders_terminated;
    leat_counter *patches_dropped;
    leat_gauge *connections;
    leat_gauge *limit;
    leat_gauge *breaker;
    leat_gauge *batch_us;
    leat_gauge *silent_ms;
    leat_gauge *connections_busy;
    leat_gauge *connections_idle;
    leat_gauge *paused;
    leat_gauge *time_lag_ms;
    leat_gauge *message_lag;
    leat_gauge *stalled;
    leat_gauge *idempotency_bytes;
    leat_worker_parked parked;
    leat_worker_held held;
    struct {
        uint64_t unparked;              /* records, then */
        double per_s;                   /* in the seconds before */
    } unparking;                        /* how fast what is parked is applied */
    double parked_bytes, parked_stored; /* of records that were parked, ever; as stored */
    int64_t flood_since_ms;             /* since when somebody is told to be loud; 0: nobody is */
    leat_flood read;         /* whose records were read; where there is a limit of the lag */
    leat_late_sample sample; /* as of the last metrics */
    bool is_held;            /* then: the worker has a partition of it */
    leat_late late;
    int64_t late_since_ms; /* 0: it is not */
    leat_gauge *estimate_ms;
    leat_gauge *catch_up_ms;
    leat_gauge *drain_rate; /* records a second */
    leat_gauge *arrival_rate;
    leat_blame blame;
    leat_counter *database_us;
    leat_counter *errors[LEAT_ERROR_CLASSES];
    leat_histogram *batch_records;
    leat_histogram *apply_lag;
    leat_histogram *fetch_latency;
    leat_gauge *held_records;
    leat_gauge *held_bytes;
    leat_gauge *held_limit; /* of bytes */
    leat_signature_work work;
    leat_signature signature;
    int64_t signature_since_ms;
    leat_gauge *signature_shown;
    leat_culprits culprits; /* under leat_worker.report_lock */
} leat_worker_shard_state;

/* The place that a chunk is loaded for. */
typedef struct leat_worker_load {
    uint32_t partition;
    uint16_t subpartition;
} leat_worker_load;

/* A batch that is answered without a sink: because of a control, or for want of room. */
typedef struct leat_worker_held_back {
    uint32_t job_id;
    uint32_t index; /* of the record that it is about */
    leat_engine_outcome outcome;
    bool is_hold; /* as in leat_engine_job_result, as are the next two */
    bool no_room;
    bool keys_gone;
    char message[256];
} leat_worker_held_back;

/* The span of a job that a sink has: see trace.c. */
typedef struct leat_worker_job_trace {
    leat_trace_context own;
    int64_t since_us;
    uint32_t count; /* of its records, those that are sampled; 0: it has no span */
    struct traced_record *records;
} leat_worker_job_trace;

/* A counter of the engine and the metric it is shown as. */
typedef struct leat_engine_metric {
    const uint64_t *value;
    leat_counter *shown;
} leat_engine_metric;

enum { ENGINE_METRICS_MAX = 32 };

struct leat_worker {
    leat_worker_config config;
    uint32_t shard_count;
    uint32_t partition_count;

    uv_loop_t loop;
    uv_async_t drain_wish;
    uv_timer_t deadline; /* the engine's next tick */
    uv_timer_t show;     /* publishes metrics */
    uv_idle_t awake;     /* active while there is something to pump: keeps the loop from sleeping */
    uv_check_t after_poll;      /* pumps once a turn, whatever woke the loop */
    leat_standstill standstill; /* the clock of all time limits here */
    char name[24];

    leat_engine *engine;
    leat_log_reader *reader;
    leat_items items;
    leat_repeats repeats;
    uint32_t jobs_max;
    const leat_engine_job **running;  /* [jobs_max]: that the sinks have, by id */
    int64_t *began_us;                /* [jobs_max]: since when, by leat_mono_us */
    leat_worker_load *loads;          /* [jobs_max]: of the load with that job's id */
    leat_worker_held_back *held_back; /* [jobs_max]: to be answered in this turn of the loop */
    uint32_t held_back_count;
    leat_worker_job_trace *traces; /* [jobs_max] */
    int64_t *newest_read;          /* [partition_count]: offset; where there is a tracer */
    leat_worker_shard_state *shards;
    uint32_t *shard_of;    /* [partition_count] */
    bool *is_mine;         /* [partition_count] assigned, and not revoked since */
    int64_t *low_seen;     /* [partition_count]: at the last report */
    int64_t *low_since_ms; /* [partition_count]: since when it has not moved although it should; 0:
                              it moves, or has no reason to */
    leat_gauge **stalled_ms;            /* [partition_count] */
    leat_shard_held_count *held_counts; /* [partition_count]: in the shard, when they were counted
                                           last; under report_lock */
    leat_shard_held_count *held_keys;   /* [partition_count]: of these, the worker's copy */
    leat_kept_room *kept_rooms;         /* [partition_count] */
    leat_fill *fills; /* [2 * partition_count]: of what is parked in each, then of what is parked in
                         the fullest subpartition of each */
    int64_t drain_us; /* when `unparking` of all shards was last taken */
    int64_t late_us;  /* when `late` of all shards was last measured */
    int64_t fade_us;  /* when `read` of all shards was last faded */
    leat_sample reads;                  /* which records are counted for `read` */
    leat_parked_shares **parked_shares; /* [partition_count]; owned. NULL: nothing is parked there
                                         */
    int64_t read_us;                    /* when a record was read: pump.c */
    uint32_t reads_left;                /* so many more were read then */
    leat_heads heads;
    leat_buf headers;           /* of the record that is being copied */
    leat_rate_limit rate_limit; /* of the lines of worker_facts.c and worker_parked.c */
    struct {
        int64_t since_us; /* when the minute began */
        uint32_t logged, suppressed;
    } dead_letters;              /* of that minute, held keys among them */
    pthread_mutex_t report_lock; /* protects what other threads read: each shard's `report`, and
                                    log_health */
    int64_t *behind_since_ms; /* [partition_count]: accept time of the oldest record not applied, as
                                 far as known; 0: none */

    struct {
        int64_t at_us, idle_us; /* when and what was measured last; 0: never */
        double share;           /* of its time that the loop was busy lately */
    } busy;
    leat_culprits culprits; /* while they are collected: large for a stack frame */
    leat_skew skew;

    leat_engine_metric engine_metrics[ENGINE_METRICS_MAX];
    uint32_t engine_metric_count;
    leat_counter *commit_failures;
    leat_gauge *partitions_held;
    leat_gauge *partitions_stopped;
    leat_gauge *unaccounted;
    leat_gauge *log_silent_ms;
    leat_gauge *log_fetched;
    leat_counter *log_renewals;
    leat_gauge *tables_stopped;
    leat_gauge *shards_halted;
    leat_gauge *clock_ahead_ms;
    leat_counter *busy_total;
    leat_counter *idle_total;
    struct {
        leat_gauge *bytes;
        leat_gauge *records;
    } budgets[LEAT_ENGINE_BUDGET_COUNT];
    int64_t wall_ahead_ms; /* leat_wall_ms minus uv_now, twice a second */

    leat_log_health log_health;     /* under report_lock */
    leat_buf heat;                  /* likewise: worker_heat.c */
    _Atomic int64_t heat_wanted_us; /* when somebody asked for it last, by leat_mono_us; 0: never */

    pthread_t thread;
    bool started;
    bool drained;
    _Atomic bool failed; /* the log can no longer be read */
    void (*on_exit)(void *context);
    void *on_exit_context;
};

/* The engine's clock, and that of all time limits here: leat_mono_us without the time in which the
 * loop stood still. So time that only this process has missed does not count against a record, a
 * shard or the group. */
static inline int64_t leat_worker_now_us(leat_worker *worker)
{
    return leat_standstill_now_us(&worker->standstill);
}

/* pump.c: carries out every effect of the engine, then gives released records back. */
void leat_worker_pump(leat_worker *worker);
/* The time of an event that is given to the engine now: leat_worker_now_us, and the pump runs in
 * this turn of the loop. Every event takes its time from here, because every event may have
 * effects. */
int64_t leat_worker_event_us(leat_worker *worker);
/* The callbacks through which log and sinks reach the engine. */
leat_reader_events leat_worker_reader_events(leat_worker *worker);
leat_sink_events leat_worker_sink_events(leat_worker *worker);

/* Fills the item's headers, once. -1: out of memory. */
int leat_worker_fill_headers(leat_worker *worker, leat_item *item) LEAT_MUST_CHECK;

/* controls.c */
/* Does a control of the shard hold the key of a record in this batch, or is the batch a look whose
 * control has ended? Then the batch does not go to the sink; the next one answers it. `now_us`
 * (leat_mono_us) is the moment by which controls have ended, one for all that is decided about a
 * batch: one that ends between two looks at the clock would have a look write what is kept. */
bool leat_worker_holds_back(leat_worker *worker, const leat_engine_job *job, int64_t now_us);
/* Does a control that skips leave out the item? By the controls of the last look. */
bool leat_worker_is_left_out(const leat_worker *worker, uint32_t shard, const leat_item *item,
                             int64_t now_us);
/* Answers those batches, each an event of the engine. False: there was none. */
bool leat_worker_answer_held_back(leat_worker *worker);
/* Marks the records of a batch that the shard's controls leave out; before it goes to the sink, and
 * after leat_worker_holds_back with the same moment. */
void leat_worker_leave_out(leat_worker *worker, const leat_engine_job *job, int64_t now_us);
/* How many of these records, the first ones, would it leave out now? */
uint32_t leat_worker_count_left_out(leat_worker *worker, uint32_t shard,
                                    const leat_engine_record *records, uint32_t count);
/* Has the controls of any shard changed? Then records that wait are tried at once where they come
 * under one. An event of the engine. */
void leat_worker_follow_controls(leat_worker *worker);

uint32_t leat_worker_table_count(const leat_worker *worker);
const char *leat_worker_table_name(const leat_worker *worker, uint32_t table);

/* worker_record.c: decodes an item whose record is there. Out of memory it ends the process, which
 * loses nothing; going on without the key would lose the order. */
void leat_worker_decode_item(leat_worker *worker, leat_item *item);
/* A decoded item as the engine takes it. */
leat_engine_record leat_worker_record_of(const leat_worker *worker, leat_item *item);

enum { LEAT_RECORD_TEXT_SIZE = 512 };

/* worker_facts.c: finds what does not move, logs it, and puts it into each shard's report. */
void leat_worker_update_reports(leat_worker *worker);

/* worker_heat.c: publishes what leat_worker_append_heat gives, if somebody asks for it. */
void leat_worker_update_heat(leat_worker *worker);
/* dead_letters.c: logs that the record of the effect is a dead letter, or that its key is held; a
 * bounded number in a minute, then how many more there were. */
void leat_worker_log_dead_letter(leat_worker *worker, const leat_engine_effect *effect);
void leat_worker_log_held_key(leat_worker *worker, const leat_engine_effect *effect);
/* The same of one that is left to people; it is noted with the key, too. */
void leat_worker_log_left_key(leat_worker *worker, const leat_engine_effect *effect);
/* Says how many more there were, if the minute is over at `now_us`. */
void leat_worker_end_minute(leat_worker *worker, int64_t now_us);
/* worker_facts.c, as the first. */
/* "table=t key=\"1/2\" tenant=1" of a record of this table, for a log line; returns `ret`. `item`
 * may be NULL. */
const char *leat_worker_describe_record(const leat_worker *worker, uint32_t table,
                                        const leat_item *item, char ret[LEAT_RECORD_TEXT_SIZE]);

/* In words, for people. */
const char *leat_worker_partition_state(const leat_engine_partition_view *view);
/* worker_culprits.c: after leat_worker_metrics_show, as often. */
void leat_worker_update_culprits(leat_worker *worker);

/* worker_parked.c: adds up what is parked, shows it and logs it; then the fact about a shard where
 * it needs a person. False: it does not. */
void leat_worker_parked_register(leat_worker *worker, uint32_t shard, const char *labels);
void leat_worker_parked_add(leat_worker *worker, uint32_t partition,
                            const leat_engine_partition_view *view, leat_parked_sum *sum);
void leat_worker_parked_show(leat_worker *worker, uint32_t shard, const leat_parked_sum *sum);
bool leat_worker_parked_fact(leat_worker *worker, uint32_t shard, leat_fact *ret,
                             char text[LEAT_FACT_TEXT_SIZE]);
/* Tells the engine what they take up on the disk, where that was measured anew: its event. */
void leat_worker_follow_parked_size(leat_worker *worker);
/* The fact about a shard where that is too much. */
bool leat_worker_parked_size_fact(leat_worker *worker, uint32_t shard, leat_fact *ret,
                                  char text[LEAT_FACT_TEXT_SIZE]);

/* worker_held.c: takes over the last count, a few times a second; */
void leat_worker_follow_held(leat_worker *worker);
/* the index of the batch's first record that is to be kept and for which there is no room, with a
 * message that says so; UINT32_MAX: there is none; */
uint32_t leat_worker_no_room_for(leat_worker *worker, const leat_engine_job *job, int64_t now_us,
                                 char *message, size_t size);
/* by the last count the shard holds fewer keys of the partition than are known here: people have
 * let some go; */
bool leat_worker_keys_gone(const leat_worker *worker, uint32_t partition);
/* counts what a job keeps, when it goes to the sink; and what has come of that, and whose it is,
 * from a batch's answer, before the engine takes it, while the engine has its records; */
void leat_worker_note_kept(leat_worker *worker, const leat_engine_job *job);
void leat_worker_follow_kept(leat_worker *worker, const leat_engine_job *job,
                             leat_engine_outcome outcome);
/* adds up and shows what is held; how many subpartitions wait for room; */
void leat_worker_held_register(leat_worker *worker, uint32_t shard, const char *labels);
void leat_worker_held_add(const leat_worker *worker, uint32_t partition, leat_held_sum *sum);
void leat_worker_held_show(leat_worker *worker, uint32_t shard, const leat_held_sum *sum);
void leat_worker_held_full(leat_worker *worker, uint32_t shard, uint64_t subpartitions);
/* says how many there are and may be, where a record waits for that ("" where not); */
void leat_worker_describe_room(const leat_worker *worker, const leat_engine_trouble *trouble,
                               char *ret, size_t size);
/* and has something noted with a key. */
void leat_worker_note_left(leat_worker *worker, uint32_t shard, const leat_shard_key_note *note);

/* worker_flood.c: counts by tenant what is parked, from a job's answer, before the engine takes it,
 * and what is read; how fast it is drained and how late the shards are (a few times a second); and
 * the facts about who is loud. */
void leat_worker_follow_parks(leat_worker *worker, uint32_t job_id,
                              const leat_engine_job_result *result);
/* Nothing is parked in the partition, as far as this worker is concerned. */
void leat_worker_forget_parked(leat_worker *worker, uint32_t partition);
void leat_worker_note_read(leat_worker *worker, const leat_item *item);
void leat_worker_follow_drain(leat_worker *worker);
void leat_worker_late_show(leat_worker *worker, uint32_t shard);
void leat_worker_flood_facts(leat_worker *worker, uint32_t shard, leat_facts *facts);

/* account.c: counts what a job's answer says; before the engine takes it. */
void leat_worker_account(leat_worker *worker, uint32_t job_id,
                         const leat_engine_job_result *result);
/* A record was taken from the log. */
void leat_worker_account_read(leat_worker *worker, const leat_item *item);
void leat_worker_account_register(leat_worker *worker, uint32_t shard, const char *labels);

/* worker_budgets.c: what is held of each budget of memory; _show like leat_worker_metrics_show. */
void leat_worker_budgets_register(leat_worker *worker);
void leat_worker_budgets_register_shard(leat_worker *worker, uint32_t shard);
void leat_worker_budgets_show(leat_worker *worker);

/* write_report.c: remembers a job that a sink gets, and tells those who wait for one of its records
 * what became of it; before the engine takes the answer. */
void leat_worker_note_run(leat_worker *worker, const leat_engine_job *job, int64_t now_us);
/* The batch is to be durable if somebody waits for one of its records; before it is sent. */
void leat_worker_make_durable(leat_worker *worker, const leat_engine_job *job);
void leat_worker_tell_writes(leat_worker *worker, uint32_t job_id,
                             const leat_engine_job_result *result);

/* worker_repeats.c: marks the records of a batch that repeat writes which are applied, before it
 * goes to the sink and after leat_worker_leave_out; and takes from an answer what is to be known of
 * them, before the engine does. */
void leat_worker_mark_repeats(leat_worker *worker, const leat_engine_job *job);
void leat_worker_take_repeats(leat_worker *worker, uint32_t job_id,
                              const leat_engine_job_result *result);

/* trace.c: a record that was taken from the log is noted; a job that a sink gets, and its answer,
 * before leat_worker_tell_writes; an item with a trace goes back; the end, after the sinks'. */
void leat_worker_trace_read(leat_worker *worker, leat_item *item);
void leat_worker_trace_run(leat_worker *worker, const leat_engine_job *job);
void leat_worker_trace_done(leat_worker *worker, uint32_t job_id,
                            const leat_engine_job_result *result);
void leat_worker_trace_given_back(leat_worker *worker, leat_item *item);
void leat_worker_trace_fini(leat_worker *worker);

/* worker_metrics.c */
void leat_worker_metrics_register(leat_worker *worker);
void leat_worker_metrics_show(leat_worker *worker);

#endif
