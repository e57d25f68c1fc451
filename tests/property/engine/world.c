/*
 * world.c - how a world is drawn, and the loop that lets things happen to it. Limits are drawn
 * small, because every rule about fullness, age and back-off then meets every other within a few
 * hundred events.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

uint32_t world_below(test_world *world, uint32_t bound)
{
    return (uint32_t)leat_prng_below(&world->prng, bound);
}

bool world_chance(test_world *world, uint32_t one_in)
{
    return world_below(world, one_in) == 0;
}

static uint32_t between(test_world *world, uint32_t low, uint32_t high)
{
    return low + world_below(world, high - low + 1);
}

static leat_engine_outcome any_poison(test_world *world)
{
    static const leat_engine_outcome kinds[] = {
        LEAT_ENGINE_BAD_DATA,     LEAT_ENGINE_BAD_DATA,
        LEAT_ENGINE_NOT_YET,      LEAT_ENGINE_DRIFT,
        LEAT_ENGINE_OUTAGE,       LEAT_ENGINE_RECORD_ERROR,
        LEAT_ENGINE_RECORD_ERROR, LEAT_ENGINE_NOT_UNDERSTOOD,
        LEAT_ENGINE_CONTENTION, /* a row that another session has locked */
        LEAT_ENGINE_CONTENTION};
    return kinds[world_below(world, sizeof kinds / sizeof kinds[0])];
}

/* A route whose records are to wait has none that are refused for good. */
static leat_engine_on_refused any_fate(test_world *world, bool holds)
{
    if (!holds)
        return LEAT_ENGINE_REFUSED_SKIP;
    uint32_t dice = world_below(world, 10);
    return dice < 7                           ? LEAT_ENGINE_REFUSED_HOLD
           : dice < 9 || world->bad_stays_bad ? LEAT_ENGINE_REFUSED_SKIP
                                              : LEAT_ENGINE_REFUSED_STOP;
}

static void make_log(test_world *world, log_partition *log)
{
    log->count = between(world, 4, DB_RECORDS);
    log->readable = world_below(world, log->count + 1);
    /* In one subpartition everything waits for everything. */
    bool is_one = world_chance(world, 10);
    uint32_t subpartitions = is_one ? 1 : between(world, 1, DB_ROW_SUBS);
    uint32_t groups = is_one ? 1 : 5;
    uint32_t keys = between(world, 1, 4); /* of a subpartition */
    bool holds = world_chance(world, 2);
    /* Where few are given up a minute, enough are refused for a table to stop. */
    bool is_guarded = world->config.dead_letters_per_minute - 1 < 2;
    uint32_t poison_one_in = is_guarded || world_chance(world, 3) ? between(world, 3, 14) : 0;
    int64_t offset = world_below(world, 3);
    for (uint32_t i = 0; i < log->count; i++) {
        log_record *record = &log->records[i];
        *record = (log_record){.offset = offset,
                               .at_ms = 1000 + offset * 7,
                               .subpartition = (world_below(world, subpartitions) * 9 +
                                                64 * world_below(world, groups)) %
                                               TEST_SUBPARTITIONS,
                               .bytes = between(world, 1, 60),
                               .poison = LEAT_ENGINE_APPLIED,
                               .on_refused = any_fate(world, holds)};
        record->key = 1 + 4 * (uint64_t)record->subpartition + world_below(world, keys);
        record->table = (uint32_t)(record->key % world->config.table_count);
        if (poison_one_in && world_chance(world, poison_one_in)) {
            record->poison = any_poison(world);
            record->poison_known = world_chance(world, 2);
            record->poison_looks = record->poison == LEAT_ENGINE_BAD_DATA && world_chance(world, 2);
        }
        offset += world_chance(world, 3) ? between(world, 2, 4) : 1;
    }
}

static void make_config(test_world *world)
{
    leat_engine_config *config = &world->config;
    leat_engine_config_defaults(config);
    config->partition_count = between(world, 1, DB_PARTITIONS);
    config->subpartitions = TEST_SUBPARTITIONS;
    config->shard_count = between(world, 1, WORLD_SHARDS);
    for (uint32_t i = 0; i < config->partition_count; i++)
        world->shard_of[i] = world_below(world, config->shard_count);
    config->shard_of = world->shard_of;
    config->jobs_max = between(world, 1, WORLD_JOBS);
    config->records_max = between(world, 2, 100);
    config->bytes_max = between(world, 80, 3000);
    config->batch_records_max = between(world, 1, BATCH_MAX);
    config->deep_records_max = world_below(world, BATCH_MAX + 1);
    config->batch_bytes_max = between(world, 30, 400);
    config->age_bound_us = between(world, 10, 5000);
    config->compact_every_us = between(world, 500, 20000);
    config->verify_every_us = between(world, 20000, 60000);
    config->commit_every_us = between(world, 100, 5000);
    config->drain_us = between(world, 100, 10000);
    config->retry_min_us = 100;
    config->retry_max_us = 5000;
    config->lock_timeout_us = between(world, 100, 200000);
    config->patience_us = world_below(world, 3000);
    config->table_count = between(world, 1, 3);
    world->bad_stays_bad = world_chance(world, 2);
    config->dead_letters_per_minute = world->bad_stays_bad ? 100000 : world_below(world, 3);
    uint32_t percent_end = world_chance(world, 2) ? 5 : 101; /* low ones are what stops a table */
    config->dead_letters_percent = world_chance(world, 2) ? world_below(world, percent_end) : 0;
    config->reclaim_min_us = between(world, 100, 3000);
    for (uint32_t i = 0; i < config->shard_count; i++)
        world->parked_max_bytes[i] = world_chance(world, 3) ? world_below(world, 500) : 1000000;
    config->parked_max_bytes = world->parked_max_bytes;
    bool parks_often = world_chance(world, 2);
    config->park_after_us = between(world, 1, parks_often ? 100 : 3000);
    config->park_tail_us = between(world, 1, parks_often ? 100 : 5000);
    config->chunk_records_max = between(world, 1, BATCH_MAX);
    config->chunk_bytes_max = between(world, 30, 400);
    config->park_bytes_max = config->chunk_bytes_max + world_below(world, 400);
    config->held_keys_max = between(world, 1, world_chance(world, 2) ? 3 : DB_KEYS);
    config->held_keys_each_max = 1 + config->held_keys_max % 4;
}

void world_begin(test_world *world, uint64_t seed, world_sometimes *sometimes)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->prng.state = seed;
    world->sometimes = sometimes;
    make_config(world);
    for (uint32_t i = 0; i < world->config.partition_count; i++) {
        make_log(world, &world->log[i]);
        world->owner[i] = -1;
    }
    database_init(&world->db, world->log, world->shard_of, world->config.partition_count,
                  world->config.held_keys_max);
    for (uint32_t i = 0; i < WORKERS; i++) {
        world->config.seed = seed + i;
        leat_error error;
        world->workers[i].engine = leat_engine_new(&world->config, &error);
        LEAT_ASSERT(world->workers[i].engine);
        world->workers[i].confirm_since = -1;
    }
}

void world_end(test_world *world)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        leat_engine_free(world->workers[i].engine);
        LEAT_ASSERT(world->workers[i].payloads == 0);
    }
}
