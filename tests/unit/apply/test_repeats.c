/* What a worker knows of repeats: by record, and within a batch; against a naive list. */
#include "../record/fixture.h"

#include "apply/repeats.h"
#include "apply/worker_state.h"

enum { PARTITIONS = 4, OFFSETS = 200, STEPS = 4000 };

START_TEST(what_a_shard_has_said)
{
    leat_repeats repeats = {0};
    leat_prng prng = {(uint64_t)_i + 1};
    leat_repeat_kind naive[PARTITIONS][OFFSETS] = {0};
    for (int step = 0; step < STEPS; step++) {
        uint32_t partition = (uint32_t)leat_prng_below(&prng, PARTITIONS);
        int64_t offset = (int64_t)leat_prng_below(&prng, OFFSETS);
        uint64_t what = leat_prng_below(&prng, 100);
        bool is_conflict = leat_prng_below(&prng, 2) == 0;
        if (what < 60) {
            leat_repeats_add(&repeats, partition, offset, is_conflict);
            naive[partition][offset] = is_conflict ? LEAT_REPEAT_OTHER : LEAT_REPEAT_SAME;
        } else if (what < 98) {
            leat_repeats_remove(&repeats, partition, offset);
            naive[partition][offset] = LEAT_REPEAT_NOT;
        } else {
            leat_repeats_drop(&repeats, partition);
            memset(naive[partition], 0, sizeof naive[partition]);
        }
        partition = (uint32_t)leat_prng_below(&prng, PARTITIONS);
        for (offset = 0; offset < OFFSETS; offset++)
            ck_assert_int_eq(leat_repeats_find(&repeats, partition, offset),
                             naive[partition][offset]);
    }
    for (uint32_t partition = 0; partition < PARTITIONS; partition++)
        leat_repeats_drop(&repeats, partition);
    ck_assert_uint_eq(repeats.count, 0);
    leat_repeats_fini(&repeats);
}
END_TEST

START_TEST(what_is_in_a_batch)
{
    leat_repeats repeats = {0};
    for (uint32_t size = 1; size < 3000; size = 3 * size + 1) {
        leat_repeats_begin(&repeats, size);
        for (uint32_t i = 0; i < size; i++) {
            /* all of them meet in one place of the table */
            const leat_write_id id = {.a = (uint64_t)(i % 50) << 40, .b = i, .fingerprint = i};
            const leat_write_id other = {.a = id.a, .b = id.b, .fingerprint = i + 1};
            ck_assert_int_eq(leat_repeats_see(&repeats, &id), LEAT_REPEAT_NOT);
            ck_assert_int_eq(leat_repeats_see(&repeats, &id), LEAT_REPEAT_SAME);
            ck_assert_int_eq(leat_repeats_see(&repeats, &other), LEAT_REPEAT_OTHER);
        }
    }
    leat_repeats_fini(&repeats);
}
END_TEST

/* It was told that a record is a repeat, and is told that what it repeats is gone. */
START_TEST(what_a_shard_takes_back_is_known_no_more)
{
    leat_engine_batch_record record = {.partition = 2, .offset = 7};
    leat_engine_job job = {.kind = LEAT_ENGINE_JOB_BATCH,
                           .batch = {.records = &record, .record_count = 1}};
    const leat_engine_job *running[] = {&job};
    leat_worker worker = {.running = running};
    leat_repeats_add(&worker.repeats, 2, 7, false);
    leat_repeats_add(&worker.repeats, 2, 8, false);
    const leat_engine_known known = {.record = 0, .is_lost = true};
    const leat_engine_job_result result = {
        .outcome = LEAT_ENGINE_REPEATED, .known = &known, .known_count = 1};
    leat_worker_take_repeats(&worker, 0, &result);
    ck_assert_int_eq(leat_repeats_find(&worker.repeats, 2, 7), LEAT_REPEAT_NOT);
    ck_assert_int_eq(leat_repeats_find(&worker.repeats, 2, 8), LEAT_REPEAT_SAME);
    leat_repeats_drop(&worker.repeats, 2);
    leat_repeats_fini(&worker.repeats);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repeats");
    TCase *tests = tcase_create("repeats");
    tcase_add_loop_test(tests, what_a_shard_has_said, 0, 3);
    tcase_add_test(tests, what_is_in_a_batch);
    tcase_add_test(tests, what_a_shard_takes_back_is_known_no_more);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
