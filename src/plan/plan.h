/*
 * plan.h - how large leat has to be: from what a batch costs and what is wanted, to connections,
 * partitions, workers and the lag to be expected. Pure arithmetic; each figure is one formula,
 * which docs/scaling.md explains under the same name.
 *
 * Times are in microseconds where the name ends in _us, else in seconds (_s after a rate: a
 * second). All rates are of records. The shard that gets most decides.
 *
 * (Speed-up of several connections after Amdahl; Zipf's law for tenants and keys.)
 */
#ifndef LEAT_PLAN_PLAN_H
#define LEAT_PLAN_PLAN_H

#include "base/base.h"

enum {
    LEAT_PLAN_CONNECTIONS_MAX = 256, /* more to one shard are never proposed */
    LEAT_PLAN_PARTITIONS_MAX = 1024, /* log.kafka.partitions */
    LEAT_PLAN_SHARDS_MAX = 4096,     /* as far as more shards are looked for */
    LEAT_PLAN_BATCH_US = 250000,     /* a batch is filled up to this (engine/fair.h) */
};

typedef struct leat_plan_input {
    double fixed_us;  /* of a batch: round trip, progress, commit */
    double row_us;    /* of a row in it */
    double serial;    /* the part of the work that connections do one after another, 0 to 1 */
    double reader_us; /* of a record in the thread of a worker */
    double writes_s;
    double spike;                 /* factor, at least 1 */
    double spike_s;               /* how long */
    double lag_s;                 /* the most that is allowed, steady and in the spike */
    double outage_s;              /* of one shard */
    double tenants;               /* 0: writes are spread evenly */
    double keys;                  /* 0: no row is written twice in a batch */
    double tenant_skew, key_skew; /* Zipf's exponents; 0: all are alike */
    double record_bytes;
    uint32_t shards;
    uint32_t connections;           /* to each shard, of all processes; 0: as few as are enough */
    uint32_t partitions_max;        /* of the topic; 0: as many as are needed */
    uint32_t batch_records;         /* apply.batch_records */
    double records_max, memory_max; /* apply.records, apply.memory */
    double overhead_bytes;          /* what a record takes in a worker beside its own bytes */
} leat_plan_input;

/* What is short. */
typedef enum leat_plan_shortage {
    LEAT_PLAN_ENOUGH,
    LEAT_PLAN_CONNECTIONS, /* a shard cannot apply what it gets over those that are given */
    LEAT_PLAN_ROWS,        /* a shard cannot apply what it gets, however many connections */
    LEAT_PLAN_PARTITIONS,  /* too few of them can be read at once */
    LEAT_PLAN_HOT_ROW,     /* one row gets more than can be applied one after another */
} leat_plan_shortage;

typedef struct leat_plan {
    leat_plan_shortage shortage; /* the figures hold as far as they can */
    double share;                /* of all writes, in the shard that gets most */
    double shard_writes_s;
    double needed_s;      /* what the shard must be able to apply */
    double batch;         /* records of a full one */
    double rows;          /* different ones among them */
    double batch_us;      /* of a full one */
    double most_s;        /* with LEAT_PLAN_CONNECTIONS_MAX */
    uint32_t connections; /* to each shard, of all processes */
    double capacity_s;    /* of the shard with them */
    double held;          /* records of the shard that a worker has in memory at most */
    double row_writes;    /* a record, when there is the outage's backlog: the rest is folded */
    double behind_s;      /* the capacity then, or what is read */
    double reading_s;     /* what the workers of the shard read at most */
    uint32_t partitions;
    uint32_t workers;
    double busy; /* part of the capacity that is used when steady */
    double lag_s;
    double spike_lag_s, spike_backlog, spike_catch_up_s;
    double outage_lag_s, outage_backlog, outage_catch_up_s;
    double hot_row_s, hot_row_most_s;
    double parked_bytes;    /* parked_max of each shard */
    double log_bytes;       /* what the log must keep, of all partitions */
    uint32_t shards_needed; /* LEAT_PLAN_ROWS: so many would do; 0: no number does */
} leat_plan;

/* How many times faster than one connection `connections` are. */
double leat_plan_speed_up(double connections, double serial);
/* The share of the heaviest of `count`, and the part of the writes that the heaviest of `shards`
 * gets. */
double leat_plan_top_share(double count, double skew);
double leat_plan_shard_share(double tenants, double skew, uint32_t shards);
/* How many different ones of `keys` are among `records`. */
double leat_plan_distinct(double records, double keys, double skew);
/* What a shard applies, a second, in full batches. */
double leat_plan_capacity(const leat_plan_input *input, double connections);
/* How many records of a shard a worker may have in memory if it has all its partitions: what is
 * left of a shard's part of the room by engine/budgets.h; records or bytes fill it first. */
double leat_plan_held(const leat_plan_input *input);
/* The row writes a record while a backlog of so many records is worked off, and what the shard
 * applies then. */
double leat_plan_row_writes(const leat_plan_input *input, double backlog);
double leat_plan_behind(const leat_plan_input *input, double connections, double backlog);
/* Until a backlog is gone; INFINITY: never. */
/* What the workers that have a shard's `partitions` read of it a second at most, while the other
 * shards get their writes. */
double leat_plan_reading(const leat_plan_input *input, double partitions, double workers,
                         double shard_writes_s);
double leat_plan_catch_up(double backlog, double capacity_s, double writes_s);

/* The line through measured batches, `sizes` of them: relative errors count, and neither part is
 * below a hundredth of what the smallest or largest batch allows. */
void leat_plan_fit(const uint32_t *sizes, const double *batch_us, uint32_t count,
                   double *ret_fixed_us, double *ret_row_us);
/* The serial part, if so many connections are so many times as fast as one. */
double leat_plan_serial(double connections, double speed_up);

/* 0, or -1 and which number makes no sense. */
int leat_plan_check(const leat_plan_input *input, leat_error *error) LEAT_MUST_CHECK;
/* `input` has been checked. */
void leat_plan_make(const leat_plan_input *input, leat_plan *ret);

#endif
