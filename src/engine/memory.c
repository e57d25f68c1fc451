/*
 * memory.c - the engine's limits and its memory: one block, taken once. The layout function runs
 * twice, first without a block to add up the size, so that size and layout cannot disagree. After
 * that nothing is allocated: an engine that has started cannot run out of memory.
 */
#include "base/pages.h"
#include "engine/state.h"

enum {
    LOADED_PARTS = 4, /* beside the records that may be held, one part of as many may be loaded */
    LOADED_CHUNKS_MAX = 256,
    CHUNKS_AT_ONCE = 2, /* of a subpartition: one that is applied, and the next */
};

/* Hands out pieces of a block; with no block it only adds up what they need. */
typedef struct arena {
    char *block;
    size_t used;
} arena;

static void *carve(arena *carver, size_t count, size_t size)
{
    size_t at = carver->used;
    size_t align = _Alignof(max_align_t);
    carver->used += (count * size + align - 1) / align * align;
    return carver->block ? carver->block + at : NULL;
}

void leat_engine_config_defaults(leat_engine_config *config)
{
    *config = (leat_engine_config){
        .verify_every_us = 60000000,
        .look_every_us = 5000000,
        .retry_min_us = 20000,
        .retry_max_us = 10000000,
        .table_count = 1,
        .reclaim_min_us = 1000000,
        .park_after_us = 2000000,
        .park_tail_us = 5000000,
        .chunk_records_max = 10000,
        .chunk_bytes_max = 1 << 20,
        .park_bytes_max = 8 << 20,
        .held_keys_max = LEAT_HELD_KEYS_MAX,
        .held_keys_each_max = LEAT_HELD_KEYS_EACH_MAX,
        .seed = 1,
    };
}

static int check_counts(const leat_engine_config *config, leat_error *error)
{
    const uint32_t many = UINT32_C(1) << 24;
    if (config->partition_count == 0 || config->partition_count > 65536)
        return leat_fail(error, "partition_count must be 1 to 65536");
    if (config->subpartitions == 0 || config->subpartitions > LEAT_SUBPARTITIONS_MAX)
        return leat_fail(error, "subpartitions must be 1 to %d", LEAT_SUBPARTITIONS_MAX);
    if ((uint64_t)config->partition_count * config->subpartitions > many)
        return leat_fail(error, "partition_count times subpartitions must be at most %u", many);
    if (config->shard_count == 0 || config->shard_count > 65536 || !config->shard_of)
        return leat_fail(error, "shard_count must be 1 to 65536, and shard_of given");
    if (config->jobs_max == 0 || config->jobs_max > 4096)
        return leat_fail(error, "jobs_max must be 1 to 4096");
    if (config->records_max == 0 || config->records_max > many)
        return leat_fail(error, "records_max must be 1 to %u", many);
    if (config->batch_records_max == 0 || config->batch_records_max > 65536)
        return leat_fail(error, "batch_records_max must be 1 to 65536");
    if (config->deep_records_max > 65536)
        return leat_fail(error, "deep_records_max must be at most 65536");
    if (config->table_count == 0 || config->table_count > 65536)
        return leat_fail(error, "table_count must be 1 to 65536");
    if ((uint64_t)config->shard_count * config->table_count > many)
        return leat_fail(error, "shard_count times table_count must be at most %u", many);
    if (config->dead_letters_percent > 100)
        return leat_fail(error, "dead_letters_percent must be 0 to 100");
    if (config->bytes_max == 0 || config->batch_bytes_max == 0)
        return leat_fail(error, "bytes_max and batch_bytes_max must be above 0");
    if (config->chunk_records_max == 0 || config->chunk_records_max > 65536)
        return leat_fail(error, "chunk_records_max must be 1 to 65536");
    if (config->held_keys_max == 0 || config->held_keys_max > LEAT_HELD_KEYS_MAX)
        return leat_fail(error, "held_keys_max must be 1 to %d", LEAT_HELD_KEYS_MAX);
    if (config->held_keys_each_max == 0)
        return leat_fail(error, "held_keys_each_max must be above 0");
    if (config->chunk_bytes_max == 0 || config->park_bytes_max < config->chunk_bytes_max)
        return leat_fail(error, "chunk_bytes_max must be 1 to park_bytes_max");
    for (uint32_t i = 0; i < config->partition_count; i++) {
        if (config->shard_of[i] >= config->shard_count)
            return leat_fail(error, "shard_of[%u] is out of range", i);
    }
    return 0;
}

static int check_times(const leat_engine_config *config, leat_error *error)
{
    const struct {
        const char *name;
        int64_t us;
    } times[] = {
        {"age_bound_us", config->age_bound_us},
        {"compact_every_us", config->compact_every_us},
        {"verify_every_us", config->verify_every_us},
        {"look_every_us", config->look_every_us},
        {"commit_every_us", config->commit_every_us},
        {"drain_us", config->drain_us},
        {"retry_min_us", config->retry_min_us},
        {"retry_max_us", config->retry_max_us},
        {"lock_timeout_us", config->lock_timeout_us},
        {"reclaim_min_us", config->reclaim_min_us},
        {"park_after_us", config->park_after_us},
        {"park_tail_us", config->park_tail_us},
    };
    const int64_t year = INT64_C(365) * 86400 * 1000000;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (times[i].us <= 0 || times[i].us > year)
            return leat_fail(error, "%s must be above 0 and at most a year", times[i].name);
    }
    if (config->patience_us < 0 || config->patience_us > year)
        return leat_fail(error, "patience_us must be 0 to a year");
    if (config->retry_max_us < config->retry_min_us)
        return leat_fail(error, "retry_max_us must not be below retry_min_us");
    return 0;
}

/* The most parts a batch can have: partitions of one shard, but no more than records. */
static uint32_t parts_max(const leat_engine_config *config)
{
    uint32_t most = 0;
    for (uint32_t shard = 0; shard < config->shard_count; shard++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < config->partition_count; i++)
            count += config->shard_of[i] == shard;
        most = count > most ? count : most;
    }
    return most < config->batch_records_max ? most : config->batch_records_max;
}

/* A batch of a deep queue, or one that takes parked records, or parks some, may have more than
 * others. The memory is not
 * touched as long as none does. */
static uint32_t job_records_max(const leat_engine_config *config)
{
    uint32_t most = config->batch_records_max > config->chunk_records_max
                        ? config->batch_records_max
                        : config->chunk_records_max;
    return most > config->deep_records_max ? most : config->deep_records_max;
}

uint32_t leat_engine_loaded_max(const leat_engine_config *config)
{
    return config->records_max / LOADED_PARTS > 0 ? config->records_max / LOADED_PARTS : 1;
}

static leat_holding chunk_max(const leat_engine *engine)
{
    leat_holding alone = leat_budgets_alone(&engine->loaded);
    uint32_t records = alone.records / CHUNKS_AT_ONCE > 0 ? alone.records / CHUNKS_AT_ONCE : 1;
    if (records > engine->config.chunk_records_max)
        records = engine->config.chunk_records_max;
    return (leat_holding){.bytes = alone.bytes / CHUNKS_AT_ONCE, .records = records};
}

static void carve_jobs(leat_engine *engine, arena *carver, const leat_engine_config *config,
                       uint32_t parts)
{
    leat_job_slot *jobs = carve(carver, config->jobs_max, sizeof *jobs);
    if (engine)
        engine->jobs = jobs;
    for (uint32_t i = 0; i < config->jobs_max; i++) {
        leat_engine_batch_record *records = carve(carver, job_records_max(config), sizeof *records);
        leat_engine_batch_part *batch_parts = carve(carver, parts, sizeof *batch_parts);
        uint32_t charges_max = job_records_max(config) < LEAT_TENANTS_MAX + 1
                                   ? job_records_max(config)
                                   : LEAT_TENANTS_MAX + 1;
        leat_charge *charges = carve(carver, charges_max, sizeof *charges);
        int64_t *base_offsets = carve(carver, config->subpartitions, sizeof *base_offsets);
        int64_t *needs = carve(carver, config->subpartitions, sizeof *needs);
        if (!engine)
            continue;
        jobs[i].job.id = i;
        jobs[i].bill = (leat_bill){.charges = charges, .max = charges_max};
        jobs[i].job.batch.records = records;
        jobs[i].job.batch.parts = batch_parts;
        jobs[i].job.compaction.base_offsets = base_offsets;
        jobs[i].job.compaction.needs = needs;
        jobs[i].next = i + 1 < config->jobs_max ? i + 1 : LEAT_INDEX_NONE;
    }
    if (engine) {
        engine->jobs_free = (leat_list){0, config->jobs_max - 1};
        engine->jobs_notifying = (leat_list){LEAT_INDEX_NONE, LEAT_INDEX_NONE};
    }
}

static void carve_partitions(leat_engine *engine, arena *carver, const leat_engine_config *config)
{
    uint32_t count = config->partition_count;
    size_t queue_count = (size_t)count * config->subpartitions;
    leat_partition *partitions = carve(carver, count, sizeof *partitions);
    leat_queue *queues = carve(carver, queue_count, sizeof *queues);
    leat_engine_reason *reasons = carve(carver, queue_count, sizeof *reasons);
    leat_queue_mark *marks = carve(carver, queue_count, sizeof *marks);
    leat_chunks *chunks = carve(carver, queue_count, sizeof *chunks);
    leat_queue_load *loads = carve(carver, queue_count, sizeof *loads);
    uint64_t *picked = carve(carver, (count + 63) / 64, sizeof *picked);
    if (engine) {
        engine->marks = marks;
        engine->chunks = chunks;
        engine->loads = loads;
        engine->reasons = reasons;
        engine->partitions = partitions;
        engine->queues = queues;
        engine->picked = picked;
    }
    uint32_t words = (config->subpartitions + 63) / 64;
    for (uint32_t i = 0; i < count; i++) {
        int64_t *progress = carve(carver, 2 * (size_t)config->subpartitions, sizeof *progress);
        uint64_t *subpartitions_picked = carve(carver, words, sizeof *subpartitions_picked);
        uint32_t places = leat_held_places(config->held_keys_max);
        leat_held_place *held = carve(carver, places, sizeof *held);
        leat_pairing_node *dues = carve(carver, places, sizeof *dues);
        uint16_t *of = carve(carver, config->subpartitions, sizeof *of);
        if (!engine)
            continue;
        leat_engine_progress_init(&partitions[i].progress, progress, config->subpartitions);
        partitions[i].picked = subpartitions_picked;
        leat_held_init(&partitions[i].held, held, dues, of, config->held_keys_max,
                       config->held_keys_each_max);
        leat_queue_init(&partitions[i].retry.records);
        partitions[i].low = -1;
        partitions[i].shard = config->shard_of[i];
        partitions[i].position = -1;
        partitions[i].committed = -1;
    }
    for (size_t i = 0; engine && i < queue_count; i++) {
        leat_queue_init(&queues[i]);
        leat_chunks_init(&chunks[i]);
        loads[i].next = LEAT_INDEX_NONE;
    }
}

static void carve_tenants(leat_tenants *tenants, arena *carver)
{
    leat_tenant *at = carve(carver, LEAT_TENANTS_MAX + 1, sizeof *at);
    leat_pairing_node *nodes = carve(carver, LEAT_TENANTS_MAX + 1, sizeof *nodes);
    uint16_t *buckets = carve(carver, LEAT_TENANT_BUCKETS, sizeof *buckets);
    if (tenants)
        leat_tenants_init(tenants, at, nodes, buckets);
}

static void carve_shard(leat_engine *engine, arena *carver, const leat_engine_config *config,
                        uint32_t index, leat_pairing_node *ages)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->partition_count; i++)
        count += config->shard_of[i] == index;
    uint32_t *partitions = carve(carver, count, sizeof *partitions);
    carve_tenants(engine ? &engine->shards[index].ready.tenants : NULL, carver);
    if (!engine)
        return;
    leat_shard *shard = &engine->shards[index];
    shard->partitions = partitions;
    for (uint32_t i = 0; i < config->partition_count; i++) {
        if (config->shard_of[i] == index)
            partitions[shard->partition_count++] = i;
    }
    leat_ready_init(&shard->ready, ages);
    shard->probe = shard->contention.kept = LEAT_INDEX_NONE;
    leat_list *lists[] = {&shard->claims,   &shard->compactions, &shard->parks,
                          &shard->loads[0], &shard->loads[1],    &shard->key_retries};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        *lists[i] = (leat_list){LEAT_INDEX_NONE, LEAT_INDEX_NONE};
    if (config->parked_max_bytes && count > 0)
        shard->parked_share = config->parked_max_bytes[index] / count;
    shard->commits_async = config->commits_async && config->commits_async[index];
}

static uint32_t *carve_where(leat_engine *engine, arena *carver, size_t count)
{
    uint32_t *where = carve(carver, count, sizeof *where);
    for (size_t i = 0; engine && i < count; i++)
        where[i] = LEAT_HEAP_NOWHERE;
    return where;
}

static void carve_shards(leat_engine *engine, arena *carver, const leat_engine_config *config)
{
    leat_shard *shards = carve(carver, config->shard_count, sizeof *shards);
    if (engine)
        engine->shards = shards;
    size_t queue_count = (size_t)config->partition_count * config->subpartitions;
    leat_pairing_node *ages = carve(carver, queue_count, sizeof *ages);
    for (uint32_t i = 0; i < config->shard_count; i++)
        carve_shard(engine, carver, config, i, ages);
    size_t timer_count = queue_count + (size_t)config->partition_count * LEAT_TIMER_COUNT +
                         config->shard_count;
    leat_heap_entry *timers = carve(carver, timer_count, sizeof *timers);
    uint32_t *timers_where = carve_where(engine, carver, timer_count);
    if (engine)
        leat_heap_init(&engine->timers, timers, timers_where);
}

/* Lays everything out; called twice, the first time (no engine) for the size alone. */
static void carve_all(leat_engine *engine, arena *carver, const leat_engine_config *config)
{
    carve(carver, 1, sizeof *engine);
    uint32_t *shard_of = carve(carver, config->partition_count, sizeof *shard_of);
    uint32_t records = config->records_max + leat_engine_loaded_max(config);
    leat_record_slot *slots = carve(carver, records, sizeof *slots);
    leat_chunk_slot *chunks = carve(carver, LOADED_CHUNKS_MAX, sizeof *chunks);
    leat_table_state *tables =
        carve(carver, (size_t)config->shard_count * config->table_count, sizeof *tables);
    carve_partitions(engine, carver, config);
    carve_shards(engine, carver, config);
    carve_jobs(engine, carver, config, parts_max(config));
    uint32_t places_count = leat_needs_places(config->subpartitions);
    leat_needs_place *places = carve(carver, places_count, sizeof *places);
    if (!engine)
        return;
    for (uint32_t i = 0; i < config->partition_count; i++)
        shard_of[i] = config->shard_of[i];
    engine->config = *config;
    engine->config.shard_of = shard_of;
    engine->config.parked_max_bytes = NULL; /* each shard has its own */
    engine->config.commits_async = NULL;    /* likewise */
    engine->tables = tables;
    leat_needs_init(&engine->needs, places, places_count);
    engine->job_records_max = job_records_max(config);
    leat_pool_init(&engine->pool, slots, records);
    leat_chunk_pool_init(&engine->chunk_pool, chunks, LOADED_CHUNKS_MAX);
}

leat_engine *leat_engine_new(const leat_engine_config *config, leat_error *error)
{
    if (check_counts(config, error) || check_times(config, error))
        return NULL;
    arena size = {0};
    carve_all(NULL, &size, config);
    arena carver = {.block = leat_pages_new(size.used)};
    if (!carver.block) {
        leat_fail(error, "out of memory: the engine needs %zu bytes", size.used);
        return NULL;
    }
    leat_engine *engine = (leat_engine *)(void *)carver.block;
    carve_all(engine, &carver, config);
    LEAT_ASSERT(carver.used == size.used);
    engine->memory_bytes = size.used;
    engine->now_us = INT64_MIN;
    engine->prng.state = config->seed;
    engine->emitting = (leat_list){LEAT_INDEX_NONE, LEAT_INDEX_NONE};
    engine->candidates = (leat_list){LEAT_INDEX_NONE, LEAT_INDEX_NONE};
    engine->paused = (leat_list){LEAT_INDEX_NONE, LEAT_INDEX_NONE};
    leat_holding max = {config->bytes_max, config->records_max};
    leat_budgets_init(&engine->budgets, max, config->shard_count, config->partition_count);
    leat_holding loaded = {config->bytes_max / LOADED_PARTS + 1, leat_engine_loaded_max(config)};
    leat_budgets_init(&engine->loaded, loaded, config->shard_count, config->partition_count);
    engine->chunk_max = chunk_max(engine);
    return engine;
}

void leat_engine_free(leat_engine *engine)
{
    if (engine)
        leat_pages_free(engine, engine->memory_bytes);
}
