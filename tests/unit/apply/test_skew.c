/* Records from the future: noticed, kept for a minute, and over. */
#include <check.h>
#include <stdlib.h>

#include "apply/skew.h"

#define S INT64_C(1000000)

START_TEST(test_ahead)
{
    leat_skew skew = {0};
    ck_assert(!leat_skew_look(&skew, S, 5000) && skew.ahead_ms == 0);
    leat_skew_read(&skew, 4000);
    ck_assert(!leat_skew_look(&skew, 2 * S, 5000) && skew.ahead_ms == 0);
    leat_skew_read(&skew, 5999);
    ck_assert(!leat_skew_look(&skew, 3 * S, 5000) && skew.ahead_ms == 999);
    leat_skew_read(&skew, 6500);
    leat_skew_read(&skew, 100);
    ck_assert(leat_skew_look(&skew, 4 * S, 5000) && skew.is_on && skew.ahead_ms == 1500);
    /* Nothing of the kind for a minute. */
    leat_skew_read(&skew, 100);
    ck_assert(!leat_skew_look(&skew, 5 * S, 5000) && skew.ahead_ms == 1500);
    ck_assert(!leat_skew_look(&skew, 63 * S, 5000) && skew.is_on);
    ck_assert(leat_skew_look(&skew, 64 * S, 5000) && !skew.is_on && skew.ahead_ms == 0);
}
END_TEST

/* Around the bound it does not come and go. */
START_TEST(test_around_the_bound)
{
    leat_skew skew = {0};
    leat_skew_read(&skew, 6000);
    ck_assert(leat_skew_look(&skew, S, 5000));
    for (int minute = 1; minute < 10; minute++) {
        leat_skew_read(&skew, 5600);
        ck_assert(!leat_skew_look(&skew, (1 + 60 * minute) * S, 5000) && skew.is_on);
    }
    leat_skew_read(&skew, 5400);
    ck_assert(leat_skew_look(&skew, 1000 * S, 5000) && !skew.is_on);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("skew");
    TCase *tests = tcase_create("skew");
    tcase_add_test(tests, test_ahead);
    tcase_add_test(tests, test_around_the_bound);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
