/*
 * The low water, and the effect of a restart on it, against a naive list of records that are
 * applied or not: random holes, batches that end in any order or fail, compactions, restarts at any
 * moment. A record is skipped after a restart exactly when it is applied, and the low water is what
 * the list says.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/engine_limits.h"
#include "engine/engine.h"

enum { RECORDS = 300, STEPS = 500, SEEDS = 400, JOBS = 4, ROWS = STEPS };

typedef struct naive_record {
    int64_t offset;
    uint32_t subpartition;
    bool applied;
    bool stuck; /* a batch with it fails */
} naive_record;

typedef struct naive_row {
    int64_t seq;
    uint32_t count;
    int16_t subpartitions[TEST_SUBPARTITIONS];
    int64_t offsets[TEST_SUBPARTITIONS];
    int64_t at_ms;
} naive_row;

typedef struct naive {
    leat_prng prng;
    leat_engine *engine;
    int64_t now_us;
    naive_record records[RECORDS];
    uint32_t next;    /* of them is offered next */
    int64_t position; /* below it all was offered; -1: nothing since the claim */
    bool paused;
    /* the shard */
    uint8_t claims;
    int64_t base_seq, low;
    int64_t base_offsets[TEST_SUBPARTITIONS];
    leat_engine_newest newest;
    naive_row rows[ROWS];
    uint32_t row_count;
    const leat_engine_job *open[JOBS];
    int64_t claimed_low; /* by this life */
    int64_t progress_memory[2 * TEST_SUBPARTITIONS];
} naive;

static uint32_t below(naive *n, uint32_t bound)
{
    return (uint32_t)leat_prng_below(&n->prng, bound);
}

static int64_t at_ms(int64_t offset)
{
    return 5 + 3 * offset;
}

static void make_log(naive *n)
{
    uint32_t subpartitions = 1 + below(n, 8);
    int64_t offset = below(n, 3);
    for (uint32_t i = 0; i < RECORDS; i++) {
        n->records[i] = (naive_record){.offset = offset,
                                       .subpartition = 7 * below(n, subpartitions),
                                       .stuck = below(n, 20) == 0};
        offset += 1 + (below(n, 4) ? 0 : below(n, 3));
    }
}

/* ---- the shard ---- */

static naive_record *record_at(naive *n, int64_t offset)
{
    uint32_t i = 0;
    while (n->records[i].offset != offset)
        i++;
    return &n->records[i];
}

static leat_engine_progress claim(naive *n)
{
    leat_engine_progress progress;
    leat_engine_progress_init(&progress, n->progress_memory, TEST_SUBPARTITIONS);
    leat_engine_progress_begin(&progress, (leat_engine_claim){{++n->claims}}, n->claims,
                               n->base_seq, n->base_offsets, n->low, n->newest);
    for (uint32_t i = 0; i < n->row_count; i++) {
        const naive_row *row = &n->rows[i];
        ck_assert_int_eq(leat_engine_progress_row(&progress, row->seq, row->subpartitions,
                                                  row->offsets, row->count, row->at_ms, 1),
                         0);
    }
    n->claimed_low = progress.low;
    return progress;
}

static void commit(naive *n, const leat_engine_batch *batch)
{
    const leat_engine_batch_part *part = &batch->parts[0];
    naive_row *row = &n->rows[n->row_count++];
    *row = (naive_row){.seq = part->seq, .count = part->count, .at_ms = part->newest.at_ms};
    memcpy(row->subpartitions, part->subpartitions, sizeof row->subpartitions);
    memcpy(row->offsets, part->offsets, sizeof row->offsets);
    for (uint32_t i = 0; i < batch->record_count; i++)
        record_at(n, batch->records[i].offset)->applied = true;
}

/* The last offset of a subpartition below which all of it is applied, and no further than what
 * is. */
static int64_t applied_to(const naive *n, uint32_t subpartition)
{
    int64_t offset = -1;
    for (uint32_t i = 0; i < RECORDS; i++)
        if (n->records[i].subpartition == subpartition && n->records[i].applied)
            offset = n->records[i].offset;
    return offset;
}

static void compact(naive *n, const leat_engine_compaction *compaction)
{
    if (compaction->base_seq <= n->base_seq) {
        ck_assert_int_eq(compaction->low,
                         n->low > n->claimed_low ? n->low : n->claimed_low); /* then
                                                                                it
                                                                                had
                                                                                nothing
                                                                                to
                                                                                say
                                                                              */
        return;
    }
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        ck_assert_int_ge(applied_to(n, i) > compaction->low ? applied_to(n, i) : compaction->low,
                         compaction->base_offsets[i]);
    n->base_seq = compaction->base_seq;
    n->low = compaction->low;
    n->newest = compaction->newest;
    memcpy(n->base_offsets, compaction->base_offsets, sizeof n->base_offsets);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->row_count; i++)
        if (n->rows[i].seq > n->base_seq)
            n->rows[kept++] = n->rows[i];
    n->row_count = kept;
}

/* ---- the worker ---- */

static void settle(naive *n)
{
    leat_engine_effect effect;
    void *payloads[8];
    while (leat_engine_next(n->engine, &effect)) {
        if (effect.kind == LEAT_ENGINE_RUN)
            n->open[effect.job->id] = effect.job;
        if (effect.kind == LEAT_ENGINE_PAUSE || effect.kind == LEAT_ENGINE_RESUME)
            n->paused = effect.kind == LEAT_ENGINE_PAUSE;
        if (effect.kind != LEAT_ENGINE_SEEK)
            continue;
        n->paused = false;
        n->position = -1;
        n->next = 0;
        while (n->next < RECORDS && n->records[n->next].offset < effect.offset)
            n->next++;
    }
    while (leat_engine_released(n->engine, payloads, 8) > 0)
        continue;
}

static void done(naive *n, uint32_t id, leat_engine_outcome outcome,
                 const leat_engine_progress *progress)
{
    n->open[id] = NULL;
    leat_engine_job_done(
        n->engine, n->now_us, id,
        &(leat_engine_job_result){
            .outcome = outcome, .bad_record = -1, .partition = -1, .progress = progress});
    settle(n);
}

static void end_life(naive *n)
{
    leat_engine_lost(n->engine, n->now_us, 0);
    settle(n);
    leat_engine_free(n->engine);
    memset(n->open, 0, sizeof n->open);
}

static void begin_life(naive *n)
{
    static const uint32_t shard_of[1] = {0};
    leat_engine_config config;
    leat_error error;
    leat_engine_config_defaults(&config);
    engine_limits(&config);
    config.partition_count = config.shard_count = 1;
    config.shard_of = shard_of;
    config.jobs_max = JOBS;
    config.records_max = 1 + below(n, 60);
    config.batch_records_max = 1 + below(n, 8);
    config.compact_every_us = 1 + below(n, 2000);
    config.verify_every_us = 1 + below(n, 20000);
    n->engine = leat_engine_new(&config, &error);
    ck_assert(n->engine);
    leat_engine_slots(n->engine, n->now_us, 0, 1 + below(n, JOBS));
    leat_engine_assigned(n->engine, n->now_us, 0);
    settle(n);
    uint32_t id = 0;
    while (!n->open[id])
        id++;
    leat_engine_progress progress = claim(n);
    done(n, id, LEAT_ENGINE_APPLIED, &progress);
}

static void offer(naive *n)
{
    if (n->paused || n->next == RECORDS)
        return;
    const naive_record *from = &n->records[n->next];
    leat_engine_record record = {.offset = from->offset,
                                 .accepted_ms = at_ms(from->offset),
                                 .epoch = 1,
                                 .subpartition = from->subpartition,
                                 .bytes = 1,
                                 .payload = n};
    leat_engine_taken taken = leat_engine_record_read(n->engine, n->now_us, &record);
    settle(n);
    if (taken == LEAT_ENGINE_FULL)
        return;
    ck_assert_int_eq(taken, from->applied ? LEAT_ENGINE_SKIPPED : LEAT_ENGINE_TAKEN);
    n->position = from->offset + 1;
    n->next++;
    if (below(n, 4) > 0)
        return;
    n->position = n->next < RECORDS ? n->records[n->next].offset : from->offset + 3;
    leat_engine_read_to(n->engine, n->now_us, 0, n->position);
    settle(n);
}

static bool holds_stuck(naive *n, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (record_at(n, batch->records[i].offset)->stuck)
            return true;
    return false;
}

static void finish(naive *n)
{
    uint32_t id = below(n, JOBS);
    const leat_engine_job *job = n->open[id];
    if (!job)
        return;
    if (job->kind == LEAT_ENGINE_JOB_COMPACT) {
        compact(n, &job->compaction);
        done(n, id, LEAT_ENGINE_APPLIED, NULL);
        return;
    }
    bool fails = holds_stuck(n, &job->batch) || below(n, 8) == 0;
    if (!fails)
        commit(n, &job->batch);
    done(n, id, fails ? LEAT_ENGINE_CONTENTION : LEAT_ENGINE_APPLIED, NULL);
}

/* What stands before the first record that was offered and is not applied; else before all that was
 * not offered. */
static void check_low(naive *n)
{
    leat_engine_partition_view view;
    leat_engine_partition(n->engine, 0, &view);
    int64_t low = n->position - 1 > n->claimed_low ? n->position - 1 : n->claimed_low;
    int64_t oldest_ms = 0;
    for (uint32_t i = n->next; i > 0; i--) {
        if (n->records[i - 1].applied || n->records[i - 1].offset <= n->claimed_low)
            continue;
        low = n->records[i - 1].offset - 1;
        oldest_ms = at_ms(low + 1);
    }
    ck_assert_int_eq(view.low, low);
    ck_assert_int_eq(view.oldest_ms, oldest_ms);
    leat_engine_validate(n->engine);
}

static void step(naive *n)
{
    uint32_t dice = below(n, 100);
    if (dice < 55) {
        offer(n);
    } else if (dice < 85) {
        finish(n);
    } else if (dice < 96) {
        n->now_us += 1 + below(n, 20000);
        leat_engine_tick(n->engine, n->now_us);
        settle(n);
    } else if (dice < 98) {
        n->records[below(n, RECORDS)].stuck = false;
    } else {
        end_life(n);
        begin_life(n);
    }
}

static void run(uint64_t seed)
{
    naive *n = leat_must_calloc(1, sizeof *n);
    n->prng.state = seed;
    n->low = -1;
    n->newest = (leat_engine_newest){-1, 0, -1};
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        n->base_offsets[i] = -1;
    make_log(n);
    begin_life(n);
    for (uint32_t i = 0; i < STEPS; i++) {
        step(n);
        check_low(n);
    }
    end_life(n);
    free(n);
}

START_TEST(low_and_restarts_agree_with_a_naive_list)
{
    const char *one = getenv("TEST_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t last = one ? first : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++) {
        printf("# again with TEST_SEED=%llu\n", (unsigned long long)seed);
        run(seed);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("low");
    tcase_set_timeout(cases, 240);
    tcase_add_test(cases, low_and_restarts_agree_with_a_naive_list);
    Suite *suite = suite_create("low water property");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
