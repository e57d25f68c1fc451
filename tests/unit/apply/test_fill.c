/* When something will be full. */
#include <check.h>

#include "apply/fill.h"

static const int64_t second = 1000000;

START_TEST(a_steady_flow_is_foreseen)
{
    leat_fill fill = {0};
    for (int64_t at = 1; at <= 300; at++) {
        int64_t left_us = leat_fill_left_us(&fill, at * second, (uint64_t)(10 * at), 10000);
        int64_t true_us = (1000 - at) * second;
        if (at < 6)
            ck_assert_int_eq(left_us, INT64_MAX);
        else
            ck_assert(left_us > true_us - second && left_us < true_us + second);
    }
}
END_TEST

START_TEST(what_stands_still_or_shrinks_is_never_full)
{
    leat_fill fill = {0};
    for (int64_t at = 1; at <= 100; at++)
        ck_assert_int_eq(leat_fill_left_us(&fill, at * second, 500, 1000), INT64_MAX);
    for (int64_t at = 101; at <= 200; at++)
        ck_assert_int_eq(leat_fill_left_us(&fill, at * second, (uint64_t)(600 - at), 1000),
                         INT64_MAX);
}
END_TEST

START_TEST(the_end_of_a_flood_is_seen_within_a_minute)
{
    leat_fill fill = {0};
    int64_t at = 1, left_us = 0;
    for (; at <= 100; at++)
        leat_fill_left_us(&fill, at * second, (uint64_t)at, 1000);
    for (; at <= 170; at++)
        left_us = leat_fill_left_us(&fill, at * second, 100, 1000);
    ck_assert_int_eq(left_us, INT64_MAX);
}
END_TEST

START_TEST(what_is_full_is_full_now)
{
    leat_fill fill = {0};
    ck_assert_int_eq(leat_fill_left_us(&fill, second, 10, 10), 0);
    ck_assert_int_eq(leat_fill_left_us(&fill, 2 * second, 11, 10), 0);
    ck_assert_int_eq(leat_fill_left_us(&fill, 3 * second, 0, 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fill");
    TCase *tests = tcase_create("fill");
    tcase_add_test(tests, a_steady_flow_is_foreseen);
    tcase_add_test(tests, what_stands_still_or_shrinks_is_never_full);
    tcase_add_test(tests, the_end_of_a_flood_is_seen_within_a_minute);
    tcase_add_test(tests, what_is_full_is_full_now);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
