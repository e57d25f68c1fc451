/*
 * world.h - what is played: shards, their partitions and the records in them (load.c), and the
 * workers that apply them (play.c).
 */
#ifndef OUTAGE_WORLD_H
#define OUTAGE_WORLD_H

#include "base/limits.h"
#include "engine/engine.h"
#include "plan/plan.h"

#define SECOND_US   INT64_C(1000000)
#define SLICE_US    INT64_C(10000) /* between two reads of a worker */
#define EPOCH_MS    INT64_C(1000000000000)
#define VIRTUAL_MAX (INT64_C(4) * 3600 * SECOND_US)

enum {
    SUBPARTITIONS = 256,
    WINDOW = 8,
    GUIDE = 16384, /* entries that tell the tenant of a record */
    JOBS_MAX = 1024,
    SAMPLES_MAX = 16384, /* what comes later is judged, but not kept */
    SEEN_MAX = 32768,    /* a power of two, well above the records of a batch */
};

/* A partition: its log, and what its shard has stored of its progress. */
typedef struct partition {
    uint32_t shard;
    double rate_us;   /* records in a microsecond */
    int64_t position; /* next to read */
    bool is_read;     /* it was told where from */
    bool is_paused;
    int64_t offsets[SUBPARTITIONS];
    int64_t low, newest, seq;
    uint8_t claim;
    int64_t seen_low; /* of the engine, the last that it said */
} partition;

typedef struct shard {
    double writes_s;
    uint32_t *guide; /* [GUIDE], or NULL */
    uint32_t running;
    float lags[SAMPLES_MAX];
} shard;

typedef struct running {
    const leat_engine_job *job;
    int64_t done_us;
} running;

typedef struct world {
    leat_plan_input input;
    leat_plan plan;
    double before_s;
    uint32_t of_shard; /* partitions */
    shard *shards;
    partition *partitions; /* of all shards, one shard's after the other's */
    uint32_t worst;        /* the shard with the outage */
    int64_t outage_from_us, outage_to_us, sample_us;
    int64_t end_us;   /* 0: when the worst shard has caught up */
    uint32_t samples; /* at most SAMPLES_MAX */
    double peak_s;    /* the worst shard's highest lag */
    int64_t caught_up_us;
    uint64_t records;
} world;

/* The rows of a batch. */
typedef struct seen {
    uint64_t row;
    uint64_t batch; /* that had it last */
} seen;

/* A worker while it is played. Its engine knows its own shards and partitions by numbers of its
 * own. */
typedef struct worker {
    world *world;
    leat_engine *engine;
    uint32_t shards[LEAT_SHARDS_MAX];
    uint32_t shard_count, partition_count;
    partition **partitions;
    running jobs[JOBS_MAX];
    uint32_t job_count;
    uint32_t next; /* partition that is read first */
    int64_t now_us;
    double room; /* records that its thread may still read */
    seen *seen;  /* [SEEN_MAX], by hash */
    uint64_t batches;
} worker;

/* A record is what follows from its place. */
typedef struct origin {
    uint64_t row; /* without --keys: each has its own */
    uint64_t tenant;
    uint32_t subpartition;
} origin;

/* Ends the program. */
_Noreturn void die(const char *what);

/* Makes shards and partitions for the input and the plan. */
void make_load(world *s);
/* When the record came, and where the log ends. */
int64_t arrival_us(const partition *p, int64_t offset);
int64_t log_end(const partition *p, int64_t now_us);
/* `number`: the partition's, as the worker's engine knows it. */
origin origin_of(const worker *w, uint32_t number, int64_t offset);
/* Row writes of a batch: what is left after folding. */
uint32_t rows_of(worker *w, const leat_engine_batch *batch);

/* Plays all workers. */
void run(world *s);

#endif
