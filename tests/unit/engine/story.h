/*
 * story.h - for the engine's tests: an engine whose effects are written down as words, so that a
 * test reads as a story.
 *
 *     claim 0           a claim of partition 0 is to run
 *     batch 0/5:10,12   a batch: partition/subpartition:offsets, ...
 *     compact 0 to 3    a compaction whose new base_seq is 3
 *     batch 0/5:10,~12  of which the second one is kept, as a record of a held key
 *     load 0 key 7      the first records that are kept of a held key are to be read
 *     retry 0/5:10,12   a batch of such records
 *     hold 0/5:10       a batch that makes the key of its only record held
 *     bury 0/5:10       a batch that keeps its only record as a dead letter
 *     park 0/5:10,12 0/5:14   chunks that are to be parked
 *     load 0/5 above 12       the next chunk is to be read
 *     unpark 0/5:10,12        a batch of parked records
 *     seek 0 from 7, commit 0 at 9, pause 0, resume 0, confirm, revoked 0, stalled 0/5 at 10
 *     held 0/5 at 10, left 0 key 7 at 10, unread 0 key 7 at 10
 *     drained, dead 0/5 at 10, table 1 stopped, halted 0/5 at 10
 */
#ifndef LEAT_TEST_STORY_H
#define LEAT_TEST_STORY_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/engine_limits.h"
#include "engine/engine.h"

enum { STORY_JOBS = 32, STORY_PARTITIONS = 8, STORY_PROGRESSES = 16 };

typedef struct story {
    leat_engine_config config;
    uint32_t shard_of[STORY_PARTITIONS];
    leat_engine *engine;
    int64_t now_us;
    char told[1 << 17]; /* the offsets of a large park, too */
    size_t size;
    const leat_engine_job *open[STORY_JOBS]; /* in flight, oldest first */
    uint32_t open_count;
    uint32_t released;
    uint8_t claims; /* number of tokens given out */
    /* of the answers to claims; used in turn */
    int64_t progress_memory[STORY_PROGRESSES][2 * TEST_SUBPARTITIONS];
    uint32_t progresses;
    uint32_t table;  /* of what is read */
    uint64_t tenant; /* likewise, as are the next two; key 0: of no key */
    uint64_t key;
    leat_engine_on_refused on_refused;
    const leat_engine_held *held; /* of answers to claims */
    uint32_t held_count;
    leat_engine_job_result said; /* the last result an effect came with */
} story;

__attribute__((format(printf, 2, 3))) static inline void story_tell(story *s, const char *format,
                                                                    ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(s->told + s->size, sizeof s->told - s->size, format, args);
    va_end(args);
    s->size += (size_t)size;
    ck_assert_uint_lt(s->size, sizeof s->told);
}

static inline void story_tell_job(story *s, const leat_engine_job *job)
{
    if (job->kind == LEAT_ENGINE_JOB_CLAIM) {
        story_tell(s, "claim %u\n", job->partition);
        return;
    }
    if (job->kind == LEAT_ENGINE_JOB_COMPACT) {
        story_tell(s, "compact %u to %lld\n", job->partition, (long long)job->compaction.base_seq);
        return;
    }
    if (job->kind == LEAT_ENGINE_JOB_LOAD && job->load.key != 0) {
        story_tell(s, "load %u key %llu\n", job->partition, (unsigned long long)job->load.key);
        return;
    }
    if (job->kind == LEAT_ENGINE_JOB_LOAD) {
        story_tell(s, "load %u/%u above %lld\n", job->partition, job->load.subpartition,
                   (long long)job->load.above);
        return;
    }
    story_tell(s, job->kind == LEAT_ENGINE_JOB_PARK ? "park"
                  : job->batch.dead                 ? "bury"
                  : job->batch.hold                 ? "hold"
                  : job->batch.retry_key != 0       ? "retry"
                  : job->batch.chunk_count > 0      ? "unpark"
                                                    : "batch");
    const leat_engine_batch_record *before = NULL;
    for (uint32_t i = 0, cut = 0; i < job->batch.record_count; i++) {
        const leat_engine_batch_record *record = &job->batch.records[i];
        bool cuts = cut < job->batch.cut_count && job->batch.cuts[cut].first_record == i;
        cut += cuts;
        if (before && !cuts && before->partition == record->partition &&
            before->subpartition == record->subpartition)
            story_tell(s, ",%s%lld", record->keep ? "~" : "", (long long)record->offset);
        else
            story_tell(s, " %u/%u:%s%lld", record->partition, record->subpartition,
                       record->keep ? "~" : "", (long long)record->offset);
        before = record;
    }
    story_tell(s, "\n");
}

static inline void story_tell_effect(story *s, const leat_engine_effect *effect)
{
    if (effect->result)
        s->said = *effect->result;
    switch (effect->kind) {
    case LEAT_ENGINE_RUN:
        ck_assert_uint_lt(s->open_count, STORY_JOBS);
        s->open[s->open_count++] = effect->job;
        story_tell_job(s, effect->job);
        break;
    case LEAT_ENGINE_SEEK:
        story_tell(s, "seek %u from %lld\n", effect->partition, (long long)effect->offset);
        break;
    case LEAT_ENGINE_COMMIT:
        story_tell(s, "commit %u at %lld\n", effect->partition, (long long)effect->offset);
        break;
    case LEAT_ENGINE_PAUSE:
        story_tell(s, "pause %u\n", effect->partition);
        break;
    case LEAT_ENGINE_RESUME:
        story_tell(s, "resume %u\n", effect->partition);
        break;
    case LEAT_ENGINE_CONFIRM:
        story_tell(s, "confirm\n");
        break;
    case LEAT_ENGINE_REVOKED:
        story_tell(s, "revoked %u\n", effect->partition);
        break;
    case LEAT_ENGINE_STALLED:
        story_tell(s, "stalled %u/%u at %lld\n", effect->partition, effect->subpartition,
                   (long long)effect->offset);
        break;
    case LEAT_ENGINE_DEAD_LETTERED:
        story_tell(s, "dead %u/%u at %lld\n", effect->partition, effect->subpartition,
                   (long long)effect->offset);
        break;
    case LEAT_ENGINE_KEY_HELD:
        story_tell(s, "held %u/%u at %lld\n", effect->partition, effect->subpartition,
                   (long long)effect->offset);
        break;
    case LEAT_ENGINE_KEY_LEFT:
        story_tell(s, "left %u key %llu at %lld\n", effect->partition,
                   (unsigned long long)effect->key, (long long)effect->offset);
        break;
    case LEAT_ENGINE_TABLE_STOPPED:
        story_tell(s, "table %u stopped\n", effect->table);
        break;
    case LEAT_ENGINE_SHARD_HALTED:
        story_tell(s, "halted %u/%u at %lld\n", effect->partition, effect->subpartition,
                   (long long)effect->offset);
        break;
    case LEAT_ENGINE_PARK_FAILED:
        if (effect->key != 0) {
            story_tell(s, "unread %u key %llu at %lld\n", effect->partition,
                       (unsigned long long)effect->key, (long long)effect->offset);
            break;
        }
        story_tell(s, "not parked %u/%u at %lld\n", effect->partition, effect->subpartition,
                   (long long)effect->offset);
        break;
    case LEAT_ENGINE_DRAINED:
        story_tell(s, "drained\n");
        break;
    }
}

static inline void story_release(story *s, size_t (*released)(leat_engine *, void **, size_t))
{
    void *payloads[16];
    size_t count;
    while ((count = released(s->engine, payloads, 16)) > 0)
        s->released += (uint32_t)count;
}

/* After every event: writes down the effects, takes what is released, as early as a worker does. */
static inline void story_settle(story *s)
{
    leat_engine_effect effect;
    while (leat_engine_next(s->engine, &effect)) {
        if (effect.kind == LEAT_ENGINE_RUN)
            story_release(s, leat_engine_released_early);
        story_tell_effect(s, &effect);
    }
    story_release(s, leat_engine_released);
    leat_engine_validate(s->engine);
}

/* `config` may be changed before story_start. All partitions are shard 0's. */
static inline void story_begin(story *s, uint32_t partitions)
{
    memset(s, 0, sizeof *s);
    leat_engine_config_defaults(&s->config);
    engine_limits(&s->config);
    s->config.partition_count = partitions;
    s->config.shard_count = 1;
    s->config.shard_of = s->shard_of;
    s->config.jobs_max = 8;
    s->config.records_max = 131072;
    s->config.commit_every_us = 1; /* reported at once, unless a test is about that */
    s->config.verify_every_us = INT64_C(300) * 86400 * 1000000; /* never, likewise */
}

static inline void story_start(story *s)
{
    leat_error error;
    s->engine = leat_engine_new(&s->config, &error);
    ck_assert_msg(s->engine != NULL, "%s", error.text);
}

static inline void story_end(story *s)
{
    leat_engine_free(s->engine);
}

static inline void story_slots(story *s, uint32_t shard, uint32_t slots)
{
    leat_engine_slots(s->engine, s->now_us, shard, slots);
    story_settle(s);
}

static inline void story_assigned(story *s, uint32_t partition)
{
    leat_engine_assigned(s->engine, s->now_us, partition);
    story_settle(s);
}

static inline void story_revoked(story *s, uint32_t partition)
{
    leat_engine_revoked(s->engine, s->now_us, partition);
    story_settle(s);
}

static inline void story_lost(story *s, uint32_t partition)
{
    leat_engine_lost(s->engine, s->now_us, partition);
    story_settle(s);
}

static inline void story_pass(story *s, int64_t us)
{
    s->now_us += us;
    leat_engine_tick(s->engine, s->now_us);
    story_settle(s);
}

/* To the next deadline. */
static inline void story_wait(story *s)
{
    int64_t deadline = leat_engine_deadline(s->engine);
    ck_assert(deadline != INT64_MAX && deadline >= s->now_us);
    story_pass(s, deadline - s->now_us);
}

/* From one deadline to the next until a job is in flight. */
static inline void story_wait_for_job(story *s)
{
    while (s->open_count == 0)
        story_wait(s);
}

static inline leat_engine_taken story_read_sized(story *s, uint32_t partition,
                                                 uint32_t subpartition, int64_t offset,
                                                 uint32_t bytes)
{
    leat_engine_record record = {.partition = partition,
                                 .offset = offset,
                                 .accepted_ms = 1000 + offset,
                                 .epoch = -1,
                                 .tenant = s->tenant,
                                 .subpartition = subpartition,
                                 .table = s->table,
                                 .key = s->key,
                                 .on_refused = s->on_refused,
                                 .bytes = bytes,
                                 .payload = s};
    return leat_engine_record_read(s->engine, s->now_us, &record);
}

static inline leat_engine_taken story_read(story *s, uint32_t partition, uint32_t subpartition,
                                           int64_t offset)
{
    leat_engine_taken taken = story_read_sized(s, partition, subpartition, offset, 10);
    story_settle(s);
    return taken;
}

/* Reads without asking for effects, for the effects of several records together. */
static inline void story_load(story *s, uint32_t partition, uint32_t subpartition, int64_t first,
                              int64_t last)
{
    for (int64_t offset = first; offset <= last; offset++)
        ck_assert_int_eq(story_read_sized(s, partition, subpartition, offset, 10),
                         LEAT_ENGINE_TAKEN);
}

/* The n-th job in flight, oldest first. */
static inline const leat_engine_job *story_job(story *s, uint32_t n)
{
    ck_assert_uint_lt(n, s->open_count);
    return s->open[n];
}

static inline void story_result(story *s, uint32_t n, const leat_engine_job_result *result)
{
    uint32_t id = story_job(s, n)->id;
    s->open_count--;
    for (uint32_t i = n; i < s->open_count; i++)
        s->open[i] = s->open[i + 1];
    leat_engine_job_done(s->engine, s->now_us, id, result);
    story_settle(s);
}

static inline void story_done(story *s, uint32_t n, leat_engine_outcome outcome)
{
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = outcome,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .catalog_read_us = INT64_MAX,
                                           .sqlstate = "22003",
                                           .message = "because"});
}

/* A row of it was locked for longer than it may wait. */
static inline void story_locked(story *s, uint32_t n)
{
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_CONTENTION,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .catalog_read_us = INT64_MAX,
                                           .from_rows = true,
                                           .is_lock_wait = true,
                                           .sqlstate = "55P03",
                                           .message = "locked"});
}

/* The job, a park, is applied; its chunks take so many bytes. */
static inline void story_parked(story *s, uint32_t n, uint64_t bytes)
{
    ck_assert_int_eq(story_job(s, n)->kind, LEAT_ENGINE_JOB_PARK);
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .parked_bytes = bytes});
}

/* The job, a load, brings a chunk of records of 10 bytes at each offset from `first` to `last`, of
 * which those after `done` are parked. */
static inline void story_loaded(story *s, uint32_t n, int64_t first, int64_t last, int64_t done)
{
    const leat_engine_job *job = story_job(s, n);
    ck_assert_int_eq(job->kind, LEAT_ENGINE_JOB_LOAD);
    static leat_engine_record records[256];
    leat_engine_chunk chunk = {
        .first_offset = first, .last_offset = last, .done = done, .size = 100};
    for (int64_t offset = first > done ? first : done + 1; offset <= last; offset++)
        records[chunk.records++] = (leat_engine_record){.partition = job->partition,
                                                        .offset = offset,
                                                        .accepted_ms = 1000 + offset,
                                                        .epoch = -1,
                                                        .subpartition = job->load.subpartition,
                                                        .table = s->table,
                                                        .key = s->key,
                                                        .on_refused = s->on_refused,
                                                        .bytes = 10,
                                                        .payload = s};
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .chunk = &chunk,
                                           .loaded = records,
                                           .loaded_count = chunk.records});
}

/* A shard's answer to a first claim: nothing is applied. */
static inline leat_engine_progress story_nothing(story *s)
{
    int64_t none[TEST_SUBPARTITIONS];
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        none[i] = -1;
    leat_engine_progress progress;
    leat_engine_progress_init(&progress, s->progress_memory[s->progresses++ % STORY_PROGRESSES],
                              TEST_SUBPARTITIONS);
    leat_engine_progress_begin(&progress, (leat_engine_claim){{++s->claims}}, s->claims, 0, none,
                               -1, (leat_engine_newest){-1, 0, -1});
    return progress;
}

static inline void story_claimed(story *s, uint32_t n, const leat_engine_progress *progress)
{
    ck_assert_int_eq(story_job(s, n)->kind, LEAT_ENGINE_JOB_CLAIM);
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .progress = progress,
                                           .held = s->held,
                                           .held_count = s->held_count});
}

/* Started, with `slots` connections and every partition claimed and reading from the start; told:
 * nothing. */
static inline void story_reading(story *s, uint32_t slots)
{
    story_start(s);
    story_slots(s, 0, slots);
    for (uint32_t i = 0; i < s->config.partition_count; i++) {
        story_assigned(s, i);
        leat_engine_progress progress = story_nothing(s);
        story_claimed(s, s->open_count - 1, &progress);
    }
    s->size = 0;
}

static inline leat_engine_partition_view story_view(story *s, uint32_t partition)
{
    leat_engine_partition_view view;
    leat_engine_partition(s->engine, partition, &view);
    return view;
}

/* The notices since the last time are exactly `words`. */
static inline void story_told(story *s, const char *words)
{
    s->told[s->size] = 0;
    ck_assert_str_eq(s->told, words);
    s->size = 0;
}

#define STORY_MAIN(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *tests[] = {__VA_ARGS__};                                                      \
        TCase *cases = tcase_create(name);                                                         \
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)                                \
            tcase_add_test(cases, tests[i]);                                                       \
        Suite *suite = suite_create(name);                                                         \
        suite_add_tcase(suite, cases);                                                             \
        SRunner *runner = srunner_create(suite);                                                   \
        srunner_set_tap(runner, "-");                                                              \
        srunner_run_all(runner, CK_ENV);                                                           \
        srunner_free(runner);                                                                      \
        return 0;                                                                                  \
    }

/* The only batch ends like that again and again until then: how often the words are told
 * meanwhile? */
static inline uint32_t story_times_told(story *s, leat_engine_outcome outcome, int64_t until_us,
                                        const char *words)
{
    uint32_t times = 0;
    while (s->now_us < until_us) {
        story_wait(s);
        story_done(s, 0, outcome);
        s->told[s->size] = 0;
        times += strstr(s->told, words) != NULL;
        s->size = 0;
    }
    return times;
}

#endif
