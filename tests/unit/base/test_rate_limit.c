/* How often the same thing is said. */
#include <check.h>
#include <stdio.h>

#include "base/rate_limit.h"

START_TEST(once_a_minute)
{
    leat_rate_limit rate_limit = {0};
    ck_assert(leat_rate_limit_allows(&rate_limit, 0, "a"));
    ck_assert(!leat_rate_limit_allows(&rate_limit, LEAT_RATE_LIMIT_MS - 1, "a"));
    ck_assert(leat_rate_limit_allows(&rate_limit, LEAT_RATE_LIMIT_MS - 1, "b"));
    ck_assert(leat_rate_limit_allows(&rate_limit, LEAT_RATE_LIMIT_MS, "a"));
    ck_assert(!leat_rate_limit_allows(&rate_limit, LEAT_RATE_LIMIT_MS + 1, "a"));
    ck_assert(!leat_rate_limit_allows(&rate_limit, 2 * LEAT_RATE_LIMIT_MS - 2, "b"));
}
END_TEST

START_TEST(so_many_different_ones_a_minute)
{
    leat_rate_limit rate_limit = {0};
    char text[16];
    uint32_t said = 0;
    for (uint64_t now_ms = 0; now_ms < 1000; now_ms++) {
        snprintf(text, sizeof text, "%u", (unsigned)now_ms);
        said += leat_rate_limit_allows(&rate_limit, now_ms, text);
    }
    ck_assert_uint_eq(said, LEAT_RATE_LIMIT_TEXTS);
    ck_assert(leat_rate_limit_allows(&rate_limit, LEAT_RATE_LIMIT_MS, "another"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seldom");
    TCase *tests = tcase_create("seldom");
    tcase_add_test(tests, once_a_minute);
    tcase_add_test(tests, so_many_different_ones_a_minute);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
