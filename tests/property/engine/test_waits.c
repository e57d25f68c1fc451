/*
 * Bad writes among good ones, at a steady rate and for minutes of virtual time: records whose
 * parent never comes, against a naive model of the fate of each: a bad one is given up when its
 * patience is over since it was read, a good one is applied when what stands before it in its
 * subpartition is decided. The engine may be late by a bound, whatever the rate; and a table is
 * stopped by the share of its bad records, not by their number.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/engine_limits.h"
#include "engine/engine.h"

#define SECOND_US INT64_C(1000000)

enum { JOBS = 8, PARTITIONS = 3, TABLES = 2 };

typedef struct written {
    int64_t read_us;
    int64_t wanted_us; /* decided then, by the model */
    uint32_t table;
    bool is_bad;
} written;

typedef struct running {
    const leat_engine_job *job;
    int64_t done_us;
} running;

typedef struct scene {
    leat_engine_config config;
    uint32_t shard_of[PARTITIONS];
    leat_engine *engine;
    leat_prng prng;
    int64_t now_us;
    running jobs[JOBS];
    written *records;
    uint32_t read, decided, stopped;
    int64_t offsets[PARTITIONS];
    int64_t last_us[PARTITIONS][TEST_SUBPARTITIONS]; /* of the model: when the subpartition is done
                                                   with what was read */
    int64_t late_us;   /* the most that anything was decided after the model's time */
    int64_t oldest_us; /* the greatest age at which a good one was applied */
    uint8_t claims;
} scene;

/* Bad ones in a thousand; of table 1 of two all records may be bad. */
typedef struct traffic {
    uint32_t per_second, bad_permille, seconds;
    bool other_table_drifts;
    bool expect_stopped;
} traffic;

static const written *written_of(const leat_engine_batch_record *record)
{
    return record->payload;
}

/* ---- the shard ---- */

static void decide(scene *s, const written *record, bool dead)
{
    ck_assert(dead == record->is_bad);
    ck_assert(!dead || s->now_us >= record->read_us + s->config.patience_us);
    int64_t late_us = s->now_us - record->wanted_us;
    int64_t age_us = s->now_us - record->read_us;
    s->late_us = late_us > s->late_us ? late_us : s->late_us;
    if (!dead && age_us > s->oldest_us)
        s->oldest_us = age_us;
    s->decided++;
}

static leat_engine_outcome run_batch(scene *s, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count && !batch->dead; i++)
        if (written_of(&batch->records[i])->is_bad)
            return LEAT_ENGINE_NOT_YET;
    for (uint32_t i = 0; i < batch->record_count; i++)
        decide(s, written_of(&batch->records[i]), batch->dead != NULL);
    return LEAT_ENGINE_APPLIED;
}

static void finish(scene *s, running *slot)
{
    const leat_engine_job *job = slot->job;
    leat_engine_job_result result = {.outcome = LEAT_ENGINE_APPLIED,
                                     .bad_record = -1,
                                     .partition = -1,
                                     .catalog_read_us = INT64_MAX};
    TEST_PROGRESS(progress);
    int64_t none[TEST_SUBPARTITIONS];
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        none[i] = -1;
    if (job->kind == LEAT_ENGINE_JOB_CLAIM) {
        leat_engine_progress_begin(&progress, (leat_engine_claim){{++s->claims}}, 1, 0, none, -1,
                                   (leat_engine_newest){-1, 0, -1});
        result.progress = &progress;
    } else if (job->kind == LEAT_ENGINE_JOB_BATCH) {
        result.outcome = run_batch(s, &job->batch);
    }
    slot->job = NULL;
    leat_engine_job_done(s->engine, s->now_us, job->id, &result);
}

static void start(scene *s, const leat_engine_job *job)
{
    running *slot = s->jobs;
    while (slot->job)
        slot++;
    *slot = (running){job, s->now_us + 1000 + 5 * (int64_t)job->batch.record_count};
}

static void settle(scene *s)
{
    leat_engine_effect effect;
    while (leat_engine_next(s->engine, &effect)) {
        if (effect.kind == LEAT_ENGINE_RUN)
            start(s, effect.job);
        if (effect.kind == LEAT_ENGINE_TABLE_STOPPED) {
            s->stopped++;
            ck_assert_uint_gt(100 * effect.refused, 10 * effect.decided);
        }
        ck_assert_int_ne(effect.kind, LEAT_ENGINE_PAUSE);
    }
    void *payloads[64];
    while (leat_engine_released(s->engine, payloads, 64) > 0)
        ;
}

/* ---- the log ---- */

static void read_one(scene *s, const traffic *of)
{
    uint32_t partition = (uint32_t)leat_prng_below(&s->prng, PARTITIONS);
    uint32_t subpartition = (uint32_t)leat_prng_below(&s->prng, TEST_SUBPARTITIONS);
    written *record = &s->records[s->read++];
    record->table = leat_prng_below(&s->prng, 10) == 0;
    record->read_us = s->now_us;
    record->is_bad = leat_prng_below(&s->prng, 1000) < of->bad_permille;
    record->is_bad |= record->table == 1 && of->other_table_drifts;
    int64_t *last_us = &s->last_us[partition][subpartition];
    int64_t ready_us = record->is_bad ? s->now_us + s->config.patience_us : s->now_us;
    record->wanted_us = *last_us = ready_us > *last_us ? ready_us : *last_us;
    leat_engine_record offered = {.partition = partition,
                                  .offset = s->offsets[partition]++,
                                  .accepted_ms = 1,
                                  .epoch = -1,
                                  .subpartition = subpartition,
                                  .table = record->table,
                                  .bytes = 100,
                                  .payload = record};
    ck_assert_int_eq(leat_engine_record_read(s->engine, s->now_us, &offered), LEAT_ENGINE_TAKEN);
}

/* To the next thing that happens: a job's end, a deadline, or `until_us`. */
static void pass(scene *s, int64_t until_us)
{
    running *first = NULL;
    for (uint32_t i = 0; i < JOBS; i++)
        if (s->jobs[i].job && (!first || s->jobs[i].done_us < first->done_us))
            first = &s->jobs[i];
    int64_t deadline_us = leat_engine_deadline(s->engine);
    int64_t next_us = deadline_us < until_us ? deadline_us : until_us;
    if (first && first->done_us <= next_us) {
        s->now_us = first->done_us;
        finish(s, first);
    } else {
        s->now_us = next_us > s->now_us ? next_us : s->now_us;
        leat_engine_tick(s->engine, s->now_us);
    }
    settle(s);
}

static void begin(scene *s, const traffic *of)
{
    leat_engine_config_defaults(&s->config);
    engine_limits(&s->config);
    s->prng.state = of->per_second;
    s->config.partition_count = PARTITIONS;
    s->config.shard_count = 1;
    s->config.shard_of = s->shard_of;
    s->config.jobs_max = JOBS;
    s->config.table_count = TABLES;
    s->config.records_max = 262144;
    s->records = calloc((size_t)(of->per_second + 1) * of->seconds * 11 / 10, sizeof *s->records);
    leat_error error;
    s->engine = leat_engine_new(&s->config, &error);
    ck_assert(s->records && s->engine);
    leat_engine_slots(s->engine, 0, 0, 4);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        leat_engine_assigned(s->engine, 0, i);
    settle(s);
    while (s->now_us < SECOND_US)
        pass(s, SECOND_US);
}

static void run(const traffic *of)
{
    scene *s = calloc(1, sizeof *s);
    begin(s, of);
    int64_t gap_us = SECOND_US / of->per_second;
    int64_t end_us = s->now_us + of->seconds * SECOND_US;
    while (s->now_us < end_us) {
        read_one(s, of);
        settle(s);
        for (int64_t next_us = s->now_us + gap_us; s->now_us < next_us;)
            pass(s, next_us);
    }
    if (of->expect_stopped) {
        ck_assert_uint_gt(s->stopped, 0);
    } else {
        while (s->decided < s->read && s->now_us < end_us + 60 * SECOND_US)
            pass(s, end_us + 60 * SECOND_US);
        ck_assert_uint_eq(s->stopped, 0);
        ck_assert_uint_eq(s->decided, s->read);
        ck_assert_int_le(s->late_us, 3 * SECOND_US);
        ck_assert_int_le(s->oldest_us, s->config.patience_us + 3 * SECOND_US);
    }
    fprintf(
        stderr,
        "# %u/s, %u of 1000 bad: late by %lld ms, oldest good one %lld ms, %u decided of %u, stopped %u\n",
        of->per_second, of->bad_permille, (long long)s->late_us / 1000,
        (long long)s->oldest_us / 1000, s->decided, s->read, s->stopped);
    leat_engine_free(s->engine);
    free(s->records);
    free(s);
}

static const traffic traffics[] = {
    {.per_second = 20, .bad_permille = 50, .seconds = 200}, /* one a second */
    {.per_second = 150, .bad_permille = 20, .seconds = 200},
    {.per_second = 2000, .bad_permille = 20, .seconds = 70},
    {.per_second = 150, .bad_permille = 600, .seconds = 90, .expect_stopped = true},
    {.per_second = 2000, .bad_permille = 600, .seconds = 60, .expect_stopped = true},
    {.per_second = 2000,
     .bad_permille = 0,
     .seconds = 60,
     .other_table_drifts = true,
     .expect_stopped = true},
};

START_TEST(bad_writes_delay_good_ones_by_their_patience_and_no_more)
{
    run(&traffics[_i]);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("waits");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, bad_writes_delay_good_ones_by_their_patience_and_no_more, 0,
                        sizeof traffics / sizeof *traffics);
    Suite *suite = suite_create("waits");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
