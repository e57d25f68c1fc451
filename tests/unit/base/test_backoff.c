/* How long to wait before the next try. */
#include <check.h>

#include "base/backoff.h"

START_TEST(it_doubles_up_to_a_bound_and_is_jittered)
{
    leat_prng prng = {1};
    bool differs = false;
    for (uint32_t n = 1; n < 300; n++) {
        int64_t full = n < 8 ? INT64_C(10) << (n - 1) : 1000;
        full = full > 1000 ? 1000 : full;
        int64_t delay = leat_backoff(&prng, n, 10, 1000);
        ck_assert_int_ge(delay, full - full / 2);
        ck_assert_int_le(delay, full);
        differs = differs || delay != full;
    }
    ck_assert(differs);
}
END_TEST

START_TEST(neither_a_large_count_nor_a_large_bound_overflows)
{
    leat_prng prng = {2};
    for (uint32_t i = 0; i < 100; i++) {
        int64_t delay = leat_backoff(&prng, UINT32_MAX - i, 1, INT64_MAX);
        ck_assert_int_ge(delay, INT64_MAX / 2);
    }
    ck_assert_int_eq(leat_backoff(&prng, 1, 1, 1), 1);
    ck_assert_int_eq(leat_backoff(&prng, 9, 1, 1), 1);
}
END_TEST

START_TEST(one_seed_gives_the_same_delays)
{
    leat_prng a = {3}, b = {3};
    for (uint32_t n = 1; n < 20; n++)
        ck_assert_int_eq(leat_backoff(&a, n, 100, 5000), leat_backoff(&b, n, 100, 5000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backoff");
    TCase *tests = tcase_create("backoff");
    tcase_add_test(tests, it_doubles_up_to_a_bound_and_is_jittered);
    tcase_add_test(tests, neither_a_large_count_nor_a_large_bound_overflows);
    tcase_add_test(tests, one_seed_gives_the_same_delays);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
