/*
 * Many tenants whose records lie mixed in all subpartitions, for some seconds of virtual time, in a
 * database whose speed nobody knows at first and which stands still now and then: no tenant is to
 * blame, so batches stay as full as with one tenant, and no record waits much longer than others.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/engine_limits.h"
#include "engine/engine.h"

#define SECOND_US INT64_C(1000000)

/* With sanitizers a seed takes many times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 1 };
#else
enum { SEEDS = 3 };
#endif
enum { SLOTS = 2, TENANTS = 600, BATCH = 1000, BACKLOG = 20000, OFFSETS = 1 << 20 };

typedef struct speed {
    int64_t fixed_us, row_us;
    uint32_t stall_percent; /* of the batches */
    int64_t stall_us;
} speed;

typedef struct scene {
    leat_engine_config config;
    uint32_t shard_of[1];
    leat_engine *engine;
    leat_prng prng;
    speed database;
    int64_t now_us;
    const leat_engine_job *jobs[SLOTS];
    int64_t done_us[SLOTS];
    uint32_t held;
    int64_t offset;
    uint64_t batches, records;
    int64_t waited_us, longest_us; /* of these records: all together, and the one */
} scene;

static int64_t read_us[OFFSETS]; /* of the record at an offset, by its remainder */

static int64_t time_of(scene *s, const leat_engine_job *job)
{
    int64_t us = s->database.fixed_us + s->database.row_us * job->batch.record_count;
    us += us * (int64_t)leat_prng_below(&s->prng, 100) / 100;
    return us +
           (leat_prng_below(&s->prng, 100) < s->database.stall_percent ? s->database.stall_us : 0);
}

static void settle(scene *s)
{
    leat_engine_effect effect;
    while (leat_engine_next(s->engine, &effect)) {
        if (effect.kind != LEAT_ENGINE_RUN)
            continue;
        uint32_t i = s->jobs[0] ? 1 : 0;
        ck_assert_ptr_null(s->jobs[i]);
        s->jobs[i] = effect.job;
        s->done_us[i] = s->now_us + time_of(s, effect.job);
    }
    void *payloads[64];
    while (leat_engine_released(s->engine, payloads, 64) > 0)
        ;
}

static void count_waits(scene *s, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        int64_t us = s->now_us - read_us[batch->records[i].offset % OFFSETS];
        s->waited_us += us;
        s->longest_us = us > s->longest_us ? us : s->longest_us;
    }
}

static void finish(scene *s, uint32_t i)
{
    const leat_engine_job *job = s->jobs[i];
    leat_engine_job_result result = {.outcome = LEAT_ENGINE_APPLIED,
                                     .bad_record = -1,
                                     .partition = -1,
                                     .catalog_read_us = INT64_MAX};
    int64_t none[TEST_SUBPARTITIONS];
    for (uint32_t k = 0; k < TEST_SUBPARTITIONS; k++)
        none[k] = -1;
    TEST_PROGRESS(progress);
    if (job->kind == LEAT_ENGINE_JOB_CLAIM) {
        leat_engine_progress_begin(&progress, (leat_engine_claim){{1}}, 1, 0, none, -1,
                                   (leat_engine_newest){-1, 0, -1});
        result.progress = &progress;
    } else if (job->kind == LEAT_ENGINE_JOB_BATCH) {
        s->batches++;
        s->records += job->batch.record_count;
        count_waits(s, &job->batch);
        s->held -= job->batch.record_count;
    }
    s->jobs[i] = NULL;
    leat_engine_job_done(s->engine, s->now_us, job->id, &result);
    settle(s);
}

static void read_all(scene *s)
{
    for (; s->held < BACKLOG; s->held++) {
        static int payload;
        read_us[s->offset % OFFSETS] = s->now_us;
        leat_engine_record offered = {
            .partition = 0,
            .offset = s->offset++,
            .accepted_ms = 1,
            .epoch = -1,
            .subpartition = (uint32_t)leat_prng_below(&s->prng, TEST_SUBPARTITIONS),
            .tenant = 1000 + leat_prng_below(&s->prng, TENANTS),
            .bytes = 10,
            .payload = &payload,
        };
        leat_engine_taken taken = leat_engine_record_read(s->engine, s->now_us, &offered);
        LEAT_ASSERT(taken == LEAT_ENGINE_TAKEN);
    }
    settle(s);
}

static void begin(scene *s, uint64_t seed, speed database)
{
    leat_error error;
    *s = (scene){.prng = {seed}, .database = database};
    leat_engine_config_defaults(&s->config);
    engine_limits(&s->config);
    s->config.partition_count = s->config.shard_count = 1;
    s->config.shard_of = s->shard_of;
    s->config.jobs_max = SLOTS;
    s->config.records_max = 2 * BACKLOG;
    s->config.batch_records_max = BATCH;
    s->config.seed = seed;
    s->engine = leat_engine_new(&s->config, &error);
    ck_assert_msg(s->engine != NULL, "%s", error.text);
    leat_engine_slots(s->engine, 0, 0, SLOTS);
    leat_engine_assigned(s->engine, 0, 0);
    settle(s);
    s->now_us = 1000;
    finish(s, 0);
}

static void run(scene *s, int64_t until_us)
{
    s->batches = s->records = 0;
    s->waited_us = s->longest_us = 0;
    while (s->now_us < until_us) {
        read_all(s);
        int64_t next_us = leat_engine_deadline(s->engine);
        for (uint32_t i = 0; i < SLOTS; i++)
            if (s->jobs[i] && s->done_us[i] < next_us)
                next_us = s->done_us[i];
        s->now_us = next_us > s->now_us ? next_us : s->now_us;
        for (uint32_t i = 0; i < SLOTS; i++)
            if (s->jobs[i] && s->done_us[i] <= s->now_us)
                finish(s, i);
        leat_engine_tick(s->engine, s->now_us);
        settle(s);
    }
}

/* Over so many seconds, after five in which costs are learned. */
static void check_fill(speed database, int64_t seconds, double least)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        scene s;
        begin(&s, seed, database);
        run(&s, 5 * SECOND_US);
        run(&s, (5 + seconds) * SECOND_US);
        double fill = (double)s.records / (double)s.batches;
        ck_assert_msg(fill > least, "seed %llu: %.0f records a batch", (unsigned long long)seed,
                      fill);
        leat_engine_lost(s.engine, s.now_us, 0);
        settle(&s);
        leat_engine_free(s.engine);
    }
}

START_TEST(batches_are_full_in_a_quick_database)
{
    check_fill((speed){.fixed_us = 2000, .row_us = 20}, 5, 0.8 * BATCH);
}
END_TEST

/* 250 ms are 750 to 1,000 records. */
START_TEST(batches_are_full_in_a_database_slower_than_the_first_guess)
{
    check_fill((speed){.fixed_us = 10000, .row_us = 200}, 5, 0.5 * BATCH);
}
END_TEST

START_TEST(a_database_that_stands_still_now_and_then_still_gets_full_batches)
{
    check_fill((speed){.fixed_us = 2000, .row_us = 20, .stall_percent = 3, .stall_us = 300000}, 15,
               0.5 * BATCH);
}
END_TEST

/* A shard that has too much to do: what a tenant was served, and what its records cost, is known
 * only roughly, and a little more of either must not keep its records, and those of others behind
 * them, for many times as long. */
START_TEST(no_record_waits_many_times_as_long_as_others)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        scene s;
        begin(&s, seed,
              (speed){.fixed_us = 2000, .row_us = 15, .stall_percent = 1, .stall_us = 150000});
        run(&s, 5 * SECOND_US);
        run(&s, 15 * SECOND_US);
        double mean_us = (double)s.waited_us / (double)s.records;
        ck_assert_msg((double)s.longest_us < 6 * mean_us, "seed %llu: %.0f ms, and %.0f on average",
                      (unsigned long long)seed, (double)s.longest_us / 1000, mean_us / 1000);
        leat_engine_lost(s.engine, s.now_us, 0);
        settle(&s);
        leat_engine_free(s.engine);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("crowd");
    tcase_add_test(cases, batches_are_full_in_a_quick_database);
    tcase_add_test(cases, batches_are_full_in_a_database_slower_than_the_first_guess);
    tcase_add_test(cases, a_database_that_stands_still_now_and_then_still_gets_full_batches);
    tcase_add_test(cases, no_record_waits_many_times_as_long_as_others);
    Suite *suite = suite_create("engine crowd");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
