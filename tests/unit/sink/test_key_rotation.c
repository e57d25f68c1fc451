/* When a process has idempotency keys forgotten, by a made-up clock. */
#include "sink/key_rotation.h"

#include <check.h>

START_TEST(it_is_due_at_once_and_every_ten_seconds)
{
    leat_key_rotation rotation;
    leat_key_rotation_init(&rotation, (uint64_t)_i);
    ck_assert(leat_key_rotation_is_due(&rotation, 0));
    leat_key_rotation_tried(&rotation, 1000, false);
    ck_assert(!leat_key_rotation_is_due(&rotation, 1000 + LEAT_KEY_ROTATION_EVERY_MS - 1));
    ck_assert(leat_key_rotation_is_due(&rotation, 1000 + LEAT_KEY_ROTATION_EVERY_MS * 5 / 4));
}
END_TEST

START_TEST(batches_in_the_way_are_left_alone_for_a_minute)
{
    leat_key_rotation rotation;
    leat_key_rotation_init(&rotation, (uint64_t)_i);
    leat_key_rotation_tried(&rotation, 1000, true);
    ck_assert(!leat_key_rotation_is_due(&rotation, 1000 + LEAT_KEY_ROTATION_AGAIN_MS - 1));
    ck_assert(leat_key_rotation_is_due(&rotation, 1000 + LEAT_KEY_ROTATION_AGAIN_MS * 5 / 4));
    leat_key_rotation_tried(&rotation, 80000, false);
    ck_assert(leat_key_rotation_is_due(&rotation, 80000 + LEAT_KEY_ROTATION_EVERY_MS * 5 / 4));
}
END_TEST

START_TEST(processes_that_fail_together_do_not_ask_again_together)
{
    leat_key_rotation rotations[8];
    int64_t first_ms = INT64_MAX, last_ms = 0;
    for (int i = 0; i < 8; i++) {
        leat_key_rotation_init(&rotations[i], (uint64_t)i);
        leat_key_rotation_tried(&rotations[i], 0, true);
        first_ms = rotations[i].due_ms < first_ms ? rotations[i].due_ms : first_ms;
        last_ms = rotations[i].due_ms > last_ms ? rotations[i].due_ms : last_ms;
    }
    ck_assert_int_gt(last_ms - first_ms, 1000);
}
END_TEST

START_TEST(only_failures_in_a_row_are_counted)
{
    leat_key_rotation rotation;
    leat_key_rotation_init(&rotation, 1);
    leat_key_rotation_tried(&rotation, 0, true);
    leat_key_rotation_tried(&rotation, 0, true);
    ck_assert_uint_eq(rotation.failures, 2);
    leat_key_rotation_tried(&rotation, 0, false);
    ck_assert_uint_eq(rotation.failures, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key_rotation");
    TCase *tests = tcase_create("key_rotation");
    tcase_add_loop_test(tests, it_is_due_at_once_and_every_ten_seconds, 0, 100);
    tcase_add_loop_test(tests, batches_in_the_way_are_left_alone_for_a_minute, 0, 100);
    tcase_add_test(tests, processes_that_fail_together_do_not_ask_again_together);
    tcase_add_test(tests, only_failures_in_a_row_are_counted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
