/*
 * Tenants that share a shard, for a minute of virtual time, against what a fair server would do:
 * each tenant that always has work gets the same database time, however much it has waiting and
 * whatever its rows cost; and one that asks for less than that gets all of it, soon. Costs, numbers
 * of tenants and slots are drawn from a seed.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/engine_limits.h"
#include "engine/engine.h"

#define SECOND_US   INT64_C(1000000)
#define SLOW_ROW_US 50000

enum { JOBS = 8, TENANTS_MAX = 8, WINDOW = 8, DELAYS_MAX = 200000 };

typedef struct written {
    uint32_t tenant;
    int64_t read_us;
} written;

typedef struct tenant {
    double row_us;
    int64_t every_us; /* 0: it always has so much waiting: */
    uint32_t backlog;
    int64_t next_us;
    uint32_t waiting;
    double time_us; /* of the database, so far */
    uint32_t applied;
} tenant;

typedef struct running {
    const leat_engine_job *job;
    int64_t done_us;
} running;

typedef struct scene {
    leat_engine_config config;
    uint32_t shard_of[1];
    leat_engine *engine;
    leat_prng prng;
    int64_t now_us;
    running jobs[JOBS];
    uint32_t tenant_count;
    tenant tenants[TENANTS_MAX];
    int64_t offset;
    int64_t longest_us; /* of the batches */
    int64_t *delays;    /* of tenants that do not always have work */
    uint32_t delay_count;
} scene;

/* ---- the database: a fixed part for each batch, and its rows ---- */

static int64_t batch_us(const scene *s, const leat_engine_job *job)
{
    double us = 1000;
    for (uint32_t i = 0; i < job->batch.record_count; i++) {
        const written *record = job->batch.records[i].payload;
        us += s->tenants[record->tenant].row_us;
    }
    return (int64_t)us;
}

static void apply(scene *s, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const written *record = batch->records[i].payload;
        tenant *of = &s->tenants[record->tenant];
        of->time_us += of->row_us;
        of->applied++;
        of->waiting--;
        if (of->every_us > 0 && s->now_us > 5 * SECOND_US && s->delay_count < DELAYS_MAX)
            s->delays[s->delay_count++] = s->now_us - record->read_us;
    }
}

static void finish(scene *s, running *slot)
{
    const leat_engine_job *job = slot->job;
    leat_engine_job_result result = {.outcome = LEAT_ENGINE_APPLIED,
                                     .bad_record = -1,
                                     .partition = -1,
                                     .catalog_read_us = INT64_MAX};
    int64_t none[TEST_SUBPARTITIONS];
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        none[i] = -1;
    TEST_PROGRESS(progress);
    if (job->kind == LEAT_ENGINE_JOB_CLAIM) {
        leat_engine_progress_begin(&progress, (leat_engine_claim){{1}}, 1, 0, none, -1,
                                   (leat_engine_newest){-1, 0, -1});
        result.progress = &progress;
    } else if (job->kind == LEAT_ENGINE_JOB_BATCH) {
        apply(s, &job->batch);
    }
    slot->job = NULL;
    leat_engine_job_done(s->engine, s->now_us, job->id, &result);
}

static void settle(scene *s)
{
    leat_engine_effect effect;
    while (leat_engine_next(s->engine, &effect)) {
        if (effect.kind != LEAT_ENGINE_RUN)
            continue;
        running *slot = s->jobs;
        while (slot->job)
            slot++;
        int64_t us = effect.job->kind == LEAT_ENGINE_JOB_BATCH ? batch_us(s, effect.job) : 1000;
        *slot = (running){effect.job, s->now_us + us};
        s->longest_us = us > s->longest_us ? us : s->longest_us;
    }
    void *payloads[64];
    size_t count;
    while ((count = leat_engine_released(s->engine, payloads, 64)) > 0)
        for (size_t i = 0; i < count; i++)
            free(payloads[i]);
}

/* ---- the log: a tenant has WINDOW subpartitions of its own ---- */

static void read_one(scene *s, uint32_t index)
{
    written *record = calloc(1, sizeof *record);
    *record = (written){index, s->now_us};
    leat_engine_record offered = {
        .partition = 0,
        .offset = s->offset++,
        .accepted_ms = 1,
        .epoch = -1,
        .subpartition = index * WINDOW + (uint32_t)leat_prng_below(&s->prng, WINDOW),
        .tenant = 1000 + index,
        .bytes = 10,
        .payload = record,
    };
    ck_assert_int_eq(leat_engine_record_read(s->engine, s->now_us, &offered), LEAT_ENGINE_TAKEN);
    s->tenants[index].waiting++;
}

static int64_t read_due(scene *s)
{
    int64_t next_us = INT64_MAX;
    for (uint32_t i = 0; i < s->tenant_count; i++) {
        tenant *of = &s->tenants[i];
        while (of->every_us == 0 && of->waiting < of->backlog)
            read_one(s, i);
        for (; of->every_us > 0 && of->next_us <= s->now_us; of->next_us += of->every_us)
            read_one(s, i);
        if (of->every_us > 0 && of->next_us < next_us)
            next_us = of->next_us;
    }
    return next_us;
}

/* ---- a run ---- */

static void begin(scene *s, uint64_t seed, uint32_t slots)
{
    leat_error error;
    *s = (scene){.prng = {seed}, .delays = calloc(DELAYS_MAX, sizeof *s->delays)};
    leat_engine_config_defaults(&s->config);
    engine_limits(&s->config);
    s->config.partition_count = 1;
    s->config.shard_count = 1;
    s->config.shard_of = s->shard_of;
    s->config.jobs_max = JOBS;
    s->config.records_max = 131072;
    s->config.batch_records_max = 1000;
    s->config.seed = seed;
    s->engine = leat_engine_new(&s->config, &error);
    ck_assert_msg(s->engine != NULL, "%s", error.text);
    leat_engine_slots(s->engine, 0, 0, slots);
    leat_engine_assigned(s->engine, 0, 0);
    settle(s);
    s->now_us = 1000;
    finish(s, &s->jobs[0]);
    settle(s);
}

static void run(scene *s, int64_t until_us)
{
    while (s->now_us < until_us) {
        int64_t next_us = read_due(s);
        settle(s);
        int64_t deadline_us = leat_engine_deadline(s->engine);
        next_us = deadline_us < next_us ? deadline_us : next_us;
        for (uint32_t i = 0; i < JOBS; i++)
            if (s->jobs[i].job && s->jobs[i].done_us < next_us)
                next_us = s->jobs[i].done_us;
        s->now_us = next_us > s->now_us ? next_us : s->now_us;
        for (uint32_t i = 0; i < JOBS; i++)
            if (s->jobs[i].job && s->jobs[i].done_us <= s->now_us)
                finish(s, &s->jobs[i]);
        leat_engine_tick(s->engine, s->now_us);
    }
}

static void end(scene *s)
{
    leat_engine_lost(s->engine, s->now_us, 0);
    settle(s);
    leat_engine_free(s->engine);
    free(s->delays);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int64_t p99_us(scene *s)
{
    ck_assert_uint_gt(s->delay_count, 100);
    qsort(s->delays, s->delay_count, sizeof *s->delays, compare);
    return s->delays[(uint64_t)s->delay_count * 99 / 100];
}

static uint64_t first_seed(void)
{
    const char *seed = getenv("TEST_SEED");
    return seed ? strtoull(seed, NULL, 10) : 1;
}

START_TEST(who_always_has_work_gets_the_same_time)
{
    for (uint64_t seed = first_seed(); seed < first_seed() + 2; seed++) {
        scene s;
        begin(&s, seed, 2 + (uint32_t)leat_prng_below(&(leat_prng){seed}, 5));
        s.tenant_count = 2 + (uint32_t)leat_prng_below(&s.prng, TENANTS_MAX - 1);
        for (uint32_t i = 0; i < s.tenant_count; i++)
            s.tenants[i] = (tenant){.row_us = 5 + (double)leat_prng_below(&s.prng, 200),
                                    .backlog = 4000u << leat_prng_below(&s.prng, 3)};
        run(&s, 5 * SECOND_US);
        double least = 1e18, most = 0;
        for (uint32_t i = 0; i < s.tenant_count; i++) {
            least = s.tenants[i].time_us < least ? s.tenants[i].time_us : least;
            most = s.tenants[i].time_us > most ? s.tenants[i].time_us : most;
        }
        ck_assert_msg(most < 1.5 * least, "seed %llu: %.0f to %.0f ms", (unsigned long long)seed,
                      least / 1000, most / 1000);
        end(&s);
    }
}
END_TEST

/* Those that ask for little, and a last one. */
static void quiet_and(scene *s, uint64_t seed, tenant last)
{
    begin(s, seed, 4);
    s->tenant_count = TENANTS_MAX;
    for (uint32_t i = 0; i < TENANTS_MAX - 1; i++)
        s->tenants[i] = (tenant){.row_us = 20, .every_us = 2000 + 100 * (int64_t)i};
    s->tenants[TENANTS_MAX - 1] = last;
}

START_TEST(others_do_not_notice_one_that_floods)
{
    for (uint64_t seed = first_seed(); seed < first_seed() + 1; seed++) {
        scene s;
        quiet_and(&s, seed, (tenant){.row_us = 20, .backlog = 20000});
        run(&s, 9 * SECOND_US);
        int64_t flooded_us = p99_us(&s);
        ck_assert_uint_gt(s.tenants[TENANTS_MAX - 1].applied, 600000);
        /* A full batch takes 21 ms, and there are four. */
        ck_assert_msg(flooded_us < 50000, "seed %llu: p99 %lld us", (unsigned long long)seed,
                      (long long)flooded_us);
        end(&s);
    }
}
END_TEST

START_TEST(others_do_not_notice_one_with_slow_rows)
{
    for (uint64_t seed = first_seed(); seed < first_seed() + 2; seed++) {
        scene s;
        quiet_and(&s, seed, (tenant){.row_us = 20, .every_us = 4000});
        run(&s, 12 * SECOND_US);
        int64_t usual_us = p99_us(&s);
        end(&s);
        quiet_and(&s, seed, (tenant){.row_us = SLOW_ROW_US, .backlog = 400});
        run(&s, 12 * SECOND_US);
        int64_t slow_us = p99_us(&s);
        ck_assert_uint_gt(s.tenants[TENANTS_MAX - 1].applied, 300);
        ck_assert_msg(slow_us < 2 * usual_us, "seed %llu: p99 %lld us, %lld without it",
                      (unsigned long long)seed, (long long)slow_us, (long long)usual_us);
        end(&s);
    }
}
END_TEST

START_TEST(an_estimate_fills_a_batch_up_to_a_quarter_of_a_second)
{
    scene s;
    quiet_and(&s, 3, (tenant){.row_us = 2000, .backlog = 5000});
    run(&s, 5 * SECOND_US);
    s.longest_us = 0;
    run(&s, 8 * SECOND_US);
    ck_assert_int_gt(s.longest_us, 200000);
    ck_assert_int_lt(s.longest_us, 300000);
    end(&s);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("fair");
    tcase_add_test(cases, who_always_has_work_gets_the_same_time);
    tcase_add_test(cases, others_do_not_notice_one_that_floods);
    tcase_add_test(cases, others_do_not_notice_one_with_slow_rows);
    tcase_add_test(cases, an_estimate_fills_a_batch_up_to_a_quarter_of_a_second);
    Suite *suite = suite_create("engine fair");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
