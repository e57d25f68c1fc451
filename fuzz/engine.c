/*
 * engine.c - a stream of events for the engine: three bytes each, what happens and to whom. After
 * each one the engine's own invariants hold, and what it asks for is allowed: one batch in flight a
 * subpartition under one claim, nothing for a partition that is not held, no commit that goes back
 * within a claim.
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "../tests/lib/engine_limits.h"
#include "target.h"

enum { PARTITIONS = 3, SHARDS = 2, JOBS = 4, RECORDS = 64, CHUNKS = 64, CHUNK_RECORDS = 4 };

/* What was parked. */
typedef struct parked_chunk {
    uint32_t partition, subpartition;
    uint32_t count; /* 0: not there */
    int64_t offsets[CHUNK_RECORDS];
    int64_t done;
} parked_chunk;

typedef struct pipeline {
    leat_engine *engine;
    int64_t now_us;
    uint64_t claims;
    uint32_t slots[SHARDS];
    bool held[PARTITIONS];
    bool revoking[PARTITIONS];
    bool sought[PARTITIONS];
    bool paused[PARTITIONS];
    int64_t next[PARTITIONS]; /* offset */
    const leat_engine_job *open[JOBS];
    leat_engine_progress progress[PARTITIONS];
    int64_t progress_memory[PARTITIONS][2 * TEST_SUBPARTITIONS];
    char payloads[RECORDS];
    bool taken[RECORDS];
    parked_chunk chunks[CHUNKS];
} pipeline;

static uint32_t shard_of(uint32_t partition)
{
    return partition % SHARDS;
}

static bool is_batch(const leat_engine_job *job)
{
    return job->kind == LEAT_ENGINE_JOB_BATCH || job->kind == LEAT_ENGINE_JOB_PARK;
}

/* One that takes parked records names its subpartition, and moves none. */
static uint32_t touched(const leat_engine_job *job, const leat_engine_batch_part *part)
{
    return job->batch.chunk_count > 0 ? 1 : part->count;
}

static bool moves(const leat_engine_job *job, const leat_engine_batch_part *part,
                  int16_t subpartition)
{
    for (uint32_t i = 0; job && is_batch(job) && i < job->batch.part_count; i++) {
        const leat_engine_batch_part *other = &job->batch.parts[i];
        bool same = other->partition == part->partition &&
                    memcmp(&other->claim, &part->claim, sizeof part->claim) == 0;
        for (uint32_t k = 0; same && k < touched(job, other); k++)
            if (other->subpartitions[k] == subpartition)
                return true;
    }
    return false;
}

static void check_part(const pipeline *p, const leat_engine_job *of,
                       const leat_engine_batch_part *part)
{
    LEAT_ASSERT(p->held[part->partition] && !p->revoking[part->partition]);
    for (uint32_t i = 0; i < touched(of, part); i++)
        for (uint32_t job = 0; job < JOBS; job++)
            LEAT_ASSERT(!moves(p->open[job], part, part->subpartitions[i]));
}

static void take_job(pipeline *p, const leat_engine_job *job)
{
    LEAT_ASSERT(job->id < JOBS && !p->open[job->id]);
    if (is_batch(job))
        for (uint32_t i = 0; i < job->batch.part_count; i++)
            check_part(p, job, &job->batch.parts[i]);
    else
        LEAT_ASSERT(p->held[job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                                 : job->partition]);
    p->open[job->id] = job;
}

static void take_effect(pipeline *p, const leat_engine_effect *effect)
{
    uint32_t at = effect->partition;
    switch (effect->kind) {
    case LEAT_ENGINE_RUN:
        take_job(p, effect->job);
        break;
    case LEAT_ENGINE_SEEK:
        LEAT_ASSERT(p->held[at]);
        p->sought[at] = true;
        p->paused[at] = false;
        p->next[at] = effect->offset < 0 ? 0 : effect->offset;
        break;
    case LEAT_ENGINE_PAUSE:
        p->paused[at] = true;
        break;
    case LEAT_ENGINE_RESUME:
        p->paused[at] = false;
        break;
    case LEAT_ENGINE_REVOKED:
        p->held[at] = p->revoking[at] = p->sought[at] = false;
        break;
    default:
        break;
    }
}

static void settle(pipeline *p)
{
    leat_engine_effect effect;
    void *released[8];
    while (leat_engine_next(p->engine, &effect))
        take_effect(p, &effect);
    for (size_t count; (count = leat_engine_released(p->engine, released, 8)) > 0;)
        for (size_t i = 0; i < count; i++)
            p->taken[(char *)released[i] - p->payloads] = false;
    leat_engine_validate(p->engine);
}

/* ---- events ---- */

static void group(pipeline *p, uint8_t what, uint8_t whom)
{
    uint32_t at = whom % PARTITIONS;
    if (what % 3 == 0) {
        p->held[at] = true;
        p->revoking[at] = p->sought[at] = false;
        leat_engine_assigned(p->engine, p->now_us, at);
    } else if (what % 3 == 1 && p->held[at]) {
        p->revoking[at] = true;
        leat_engine_revoked(p->engine, p->now_us, at);
    } else {
        p->held[at] = p->revoking[at] = p->sought[at] = false;
        leat_engine_lost(p->engine, p->now_us, at);
    }
}

static void read(pipeline *p, uint8_t what, uint8_t whom)
{
    uint32_t at = whom % PARTITIONS, payload = 0;
    while (payload < RECORDS && p->taken[payload])
        payload++;
    if (payload == RECORDS || !p->held[at] || !p->sought[at] || p->paused[at])
        return;
    leat_engine_record record = {.partition = at,
                                 .offset = p->next[at] + (what & 3),
                                 .accepted_ms = 1000 + p->next[at],
                                 .epoch = -1,
                                 .subpartition = (what >> 2) % TEST_SUBPARTITIONS,
                                 .table = what % 2,
                                 .bytes = 1 + (uint32_t)whom * 8,
                                 .payload = &p->payloads[payload]};
    leat_engine_taken taken = leat_engine_record_read(p->engine, p->now_us, &record);
    p->taken[payload] = taken == LEAT_ENGINE_TAKEN;
    if (taken == LEAT_ENGINE_FULL)
        p->paused[at] = true;
    else
        p->next[at] = record.offset + 1;
}

static void claimed(pipeline *p, uint32_t partition, leat_engine_job_result *result)
{
    int64_t offsets[TEST_SUBPARTITIONS];
    leat_engine_claim claim = {{0}};
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        offsets[i] = -1;
    p->claims++;
    memcpy(claim.token, &p->claims, sizeof p->claims);
    leat_engine_progress_init(&p->progress[partition], p->progress_memory[partition],
                              TEST_SUBPARTITIONS);
    leat_engine_progress_begin(&p->progress[partition], claim, (int64_t)p->claims, 0, offsets, -1,
                               (leat_engine_newest){-1, 0, -1});
    result->progress = &p->progress[partition];
    for (uint32_t i = 0; i < CHUNKS; i++)
        if (p->chunks[i].partition == partition)
            p->chunks[i].count = 0;
}

static void parked(pipeline *p, const leat_engine_batch *batch)
{
    for (uint32_t i = 0, at = 0; i < batch->cut_count; i++) {
        const leat_engine_chunk_cut *cut = &batch->cuts[i];
        const leat_engine_batch_record *records = &batch->records[cut->first_record];
        while (at < CHUNKS && p->chunks[at].count > 0)
            at++;
        if (at == CHUNKS)
            return; /* it will be gone */
        parked_chunk *chunk = &p->chunks[at];
        *chunk = (parked_chunk){.partition = batch->parts[0].partition,
                                .subpartition = cut->subpartition,
                                .count = cut->record_count,
                                .done = records[0].offset - 1};
        LEAT_ASSERT(cut->record_count <= CHUNK_RECORDS);
        for (uint32_t k = 0; k < cut->record_count; k++)
            chunk->offsets[k] = records[k].offset;
    }
}

static void unparked(pipeline *p, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->chunk_count; i++)
        for (uint32_t at = 0; at < CHUNKS; at++) {
            parked_chunk *chunk = &p->chunks[at];
            if (chunk->count == 0 || chunk->partition != batch->parts[0].partition ||
                chunk->subpartition != batch->chunks_of ||
                chunk->offsets[0] != batch->chunks[i].first_offset)
                continue;
            chunk->done = batch->chunks[i].done_after;
            chunk->count = chunk->done == chunk->offsets[chunk->count - 1] ? 0 : chunk->count;
        }
}

static const parked_chunk *find_chunk(const pipeline *p, const leat_engine_job *job)
{
    const parked_chunk *found = NULL;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        const parked_chunk *chunk = &p->chunks[i];
        if (chunk->count > 0 && chunk->partition == job->partition &&
            chunk->subpartition == job->load.subpartition && chunk->offsets[0] > job->load.above &&
            (!found || chunk->offsets[0] < found->offsets[0]))
            found = chunk;
    }
    return found;
}

/* Sometimes it does not say what it holds. */
static void load(pipeline *p, const leat_engine_job *job, leat_engine_job_result *result,
                 uint8_t what)
{
    leat_engine_record records[CHUNK_RECORDS];
    leat_engine_chunk chunk;
    const parked_chunk *from = find_chunk(p, job);
    if (!from)
        result->outcome = LEAT_ENGINE_CHUNK_GONE;
    uint32_t payload = 0;
    for (uint32_t i = 0; from && i < from->count; i++) {
        if (from->offsets[i] <= from->done)
            continue;
        while (payload < RECORDS && p->taken[payload])
            payload++;
        if (payload == RECORDS) {
            result->outcome = LEAT_ENGINE_CONTENTION;
            break;
        }
        records[result->loaded_count++] =
            (leat_engine_record){.partition = job->partition,
                                 .offset = from->offsets[i],
                                 .accepted_ms = 1000,
                                 .epoch = -1,
                                 .subpartition = job->load.subpartition,
                                 .bytes = 1 + (uint32_t)what * 8,
                                 .payload = &p->payloads[payload++]};
    }
    if (from)
        chunk =
            (leat_engine_chunk){.first_offset = from->offsets[0],
                                .last_offset = from->offsets[from->count - 1] + (what % 16 == 15),
                                .done = from->done,
                                .records = result->loaded_count + (what % 16 == 14),
                                .size = 10};
    result->chunk = from ? &chunk : NULL;
    result->loaded = records;
    uint32_t taken = leat_engine_job_done(p->engine, p->now_us, job->id, result);
    for (uint32_t i = 0; i < taken; i++)
        p->taken[(char *)records[i].payload - p->payloads] = true;
}

static void finish(pipeline *p, uint8_t what, uint8_t whom)
{
    const leat_engine_job *job = p->open[whom % JOBS];
    if (!job)
        return;
    leat_engine_job_result result = {
        .outcome = (leat_engine_outcome)(what % LEAT_ENGINE_OUTCOME_COUNT),
        .bad_record = (what >> 4) - 1,
        .partition = -1,
        .catalog_read_us = what & 8 ? INT64_MAX : p->now_us,
        .sqlstate = "22000"};
    result.is_lock_wait = result.outcome == LEAT_ENGINE_CONTENTION && what & 32;
    result.from_rows = what & 64;
    if (job->kind == LEAT_ENGINE_JOB_CLAIM && result.outcome == LEAT_ENGINE_APPLIED)
        claimed(p, job->partition, &result);
    p->open[whom % JOBS] = NULL;
    bool applied = result.outcome == LEAT_ENGINE_APPLIED;
    if (applied && job->kind == LEAT_ENGINE_JOB_LOAD) {
        load(p, job, &result, what);
        return;
    }
    if (applied && job->kind == LEAT_ENGINE_JOB_PARK)
        parked(p, &job->batch);
    if (applied && is_batch(job) && job->batch.chunk_count > 0)
        unparked(p, &job->batch);
    result.parked_bytes = what;
    leat_engine_job_done(p->engine, p->now_us, job->id, &result);
}

static void others(pipeline *p, uint8_t what, uint8_t whom)
{
    switch (what % 4) {
    case 0:
        leat_engine_confirmed(p->engine, p->now_us, p->now_us - whom);
        break;
    case 1:
        leat_engine_commit_failed(p->engine, p->now_us);
        break;
    case 2:
        leat_engine_stopped(p->engine, p->now_us, whom % PARTITIONS, "fuzz");
        break;
    default:
        p->slots[what / 4 % SHARDS] = whom % JOBS;
        leat_engine_slots(p->engine, p->now_us, what / 4 % SHARDS, whom % JOBS);
    }
}

static void happen(pipeline *p, uint8_t kind, uint8_t what, uint8_t whom)
{
    switch (kind % 6) {
    case 0:
        group(p, what, whom);
        break;
    case 1:
    case 2:
        read(p, what, whom);
        break;
    case 3:
        finish(p, what, whom);
        break;
    case 4:
        others(p, what, whom);
        break;
    default:
        p->now_us += (int64_t)what * what * (whom + 1);
        leat_engine_tick(p->engine, p->now_us);
    }
}

static leat_engine *make_engine(void)
{
    uint32_t shards[PARTITIONS];
    for (uint32_t i = 0; i < PARTITIONS; i++)
        shards[i] = shard_of(i);
    leat_engine_config config;
    leat_error error;
    leat_engine_config_defaults(&config);
    engine_limits(&config);
    config.partition_count = PARTITIONS;
    config.shard_count = SHARDS;
    config.shard_of = shards;
    config.jobs_max = JOBS;
    config.records_max = 48;
    config.bytes_max = 16384;
    config.batch_records_max = 8;
    config.table_count = 2;
    config.dead_letters_per_minute = 2;
    const uint64_t parked_max[SHARDS] = {2000, 300};
    config.parked_max_bytes = parked_max;
    config.park_after_us = 10000;
    config.park_tail_us = 10000;
    config.chunk_records_max = CHUNK_RECORDS;
    leat_engine *engine = leat_engine_new(&config, &error);
    LEAT_ASSERT(engine);
    return engine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pipeline *p = leat_must_calloc(1, sizeof *p);
    p->engine = make_engine();
    p->now_us = 1000000;
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        leat_engine_slots(p->engine, p->now_us, shard, p->slots[shard] = 2);
    fuzz_bytes bytes = {data, size < 3000 ? size : 3000};
    while (bytes.size >= 3) {
        uint8_t kind = fuzz_byte(&bytes), what = fuzz_byte(&bytes), whom = fuzz_byte(&bytes);
        happen(p, kind, what, whom);
        settle(p);
    }
    leat_engine_drain(p->engine, p->now_us);
    settle(p);
    leat_engine_free(p->engine);
    free(p);
    return 0;
}
