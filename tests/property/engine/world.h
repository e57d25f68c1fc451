/*
 * world.h - a small random world around engines: two workers of one group, shards that fail in
 * every way, a log that is read with pauses, partitions that move, zombies. Everything follows from
 * the seed.
 */
#ifndef LEAT_TEST_WORLD_H
#define LEAT_TEST_WORLD_H

#include "database.h"
#include "engine/engine.h"

enum { WORKERS = 2, WORLD_SHARDS = 2, WORLD_JOBS = 8, GHOSTS = 8, BATCH_MAX = 8 };

/* Events counted over a whole campaign: each must happen sometimes, or the campaign proves
 * little. */
typedef struct world_sometimes {
    uint64_t fenced, unknown_applied, unknown_never, unknown_late, late_done, late_refused,
        went_back, rewound;
    uint64_t paused, refused_for_room, stale, alone, limited, held, alone_isolated, skipped,
        shared_parts, compacted;
    uint64_t claims_failed, confirms, revoked, lost, zombies, failovers, shards_down, drained,
        contention, outage;
    uint64_t last_compaction, waited_claim, buried, dead_lettered, table_stopped, halted, probed,
        not_yet, looked;
    uint64_t parked, loads, loads_stale, unparked, unparked_part, unparked_many, unparked_dead,
        unparked_bad, chunk_gone, claimed_parked, park_unknown, unpark_unknown, load_unknown;
    uint64_t key_held, key_left, kept, kept_parked, claimed_held, key_turned, keys_full, retried,
        retry_refused, retry_unknown, key_let_go, person_retried, person_discarded, person_let_go;
    uint64_t left_out, called_off, parks_stalled;
} world_sometimes;

typedef enum world_job_state { WORLD_JOB_NONE, WORLD_JOB_SENT, WORLD_JOB_EXECUTED } world_job_state;

/* A job as the sink copied it. */
typedef struct world_job {
    world_job_state state;
    leat_engine_job_kind kind;
    uint32_t id, shard, partition;
    leat_engine_batch_part parts[DB_PARTITIONS];
    uint32_t part_count;
    db_batch_record records[BATCH_MAX];
    uint32_t record_count;
    bool dead, hold, is_look;
    uint64_t retry_key;
    leat_engine_compaction compaction;
    uint16_t chunks_of;
    uint32_t chunk_count, cut_count;
    leat_engine_chunk_step chunks[LEAT_BATCH_CHUNKS_MAX];
    leat_engine_chunk_cut cuts[LEAT_BATCH_CUTS_MAX];
    leat_engine_load load;
    leat_engine_chunk chunk; /* of an executed load */
    uint32_t loaded[DB_RECORDS];
    leat_engine_parked parked[DB_ROW_SUBS]; /* of an executed claim, as is the next */
    leat_engine_held held_keys[DB_KEYS];
    leat_engine_claim claim;
    leat_engine_job_result result;
    leat_engine_progress progress;
    int64_t progress_memory[2 * TEST_SUBPARTITIONS];
    int64_t base_offsets[TEST_SUBPARTITIONS]; /* of the compaction */
    int64_t needs[TEST_SUBPARTITIONS];
} world_job;

typedef enum world_held { HELD_NOT, HELD_ASSIGNED, HELD_REVOKING } world_held;

typedef struct world_reader {
    bool sought, paused;

    uint32_t next;
} world_reader;

typedef struct world_worker {
    leat_engine *engine;
    uint32_t slots[WORLD_SHARDS];
    world_job jobs[WORLD_JOBS];
    world_held held[DB_PARTITIONS];
    world_reader readers[DB_PARTITIONS];
    int64_t confirm_since; /* -1: not asked */
    int64_t payloads;      /* given and not released */
    bool draining, drained;
} world_worker;

typedef struct test_world {
    uint64_t seed;
    leat_prng prng;
    int64_t now_us;
    leat_engine_config config;
    uint32_t shard_of[DB_PARTITIONS];
    uint64_t parked_max_bytes[WORLD_SHARDS];
    log_partition log[DB_PARTITIONS];
    database db;
    world_worker workers[WORKERS];
    int owner[DB_PARTITIONS]; /* the member that has it from the group; -1: nobody */
    world_job ghosts[GHOSTS]; /* sent, their connection lost, and still to come */
    int64_t sent_seq[WORKERS][DB_PARTITIONS];
    leat_engine_claim sent_claim[WORKERS][DB_PARTITIONS];
    bool dead_claim[WORKERS][DB_PARTITIONS]; /* an outcome under `sent_claim` is unknown: nothing
                                                more may be sent */
    uint64_t claims;
    bool failed_over[WORLD_SHARDS];
    int64_t catalog_read_us; /* when the last read of the tables began */
    bool bad_stays_bad;      /* records refused for good are not healed in the end */
    bool calm;
    world_sometimes *sometimes;
} test_world;

uint32_t world_below(test_world *world, uint32_t bound);
bool world_chance(test_world *world, uint32_t one_in);

/* Makes everything from the seed. */
void world_begin(test_world *world, uint64_t seed, world_sometimes *sometimes);
void world_end(test_world *world);

/* world_effects.c: carries out all effects of the worker's engine and checks each; after every
 * event. */
void world_settle(test_world *world, uint32_t worker);

/* As the log, or a chunk, has it, with a payload of its own. */
leat_engine_record world_record(const log_record *from, uint32_t partition);

/* world_jobs.c */
/* Lets a copied job have arrays of its own: its claim, its compaction. */
void world_job_own(world_job *job);
void world_execute(test_world *world, uint32_t worker, world_job *job);
void world_answer(test_world *world, uint32_t worker, world_job *job,
                  const leat_engine_job_result *result);
/* The connection is lost: the outcome is unknown. Commands that were not executed may still be,
 * later. */
void world_break(test_world *world, uint32_t worker, world_job *job);
void world_ghost(test_world *world, world_job *ghost);

/* world_faults.c: one thing happens. */
void world_step(test_world *world);
/* No more faults from here on: heals everything, and runs until all is applied or the bound on
 * steps is reached. */
void world_heal_and_finish(test_world *world);

#endif
