/* How often the same text is logged. */
#include <check.h>
#include <stdio.h>

#include "base/rate_limit.h"

START_TEST(a_text_is_allowed_once_a_minute)
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

START_TEST(different_texts_of_a_minute_are_bounded)
{
    leat_rate_limit rate_limit = {0};
    char text[16];
    uint32_t allowed = 0;
    for (uint64_t now_ms = 0; now_ms < 1000; now_ms++) {
        snprintf(text, sizeof text, "%u", (unsigned)now_ms);
        allowed += leat_rate_limit_allows(&rate_limit, now_ms, text);
    }
    ck_assert_uint_eq(allowed, LEAT_RATE_LIMIT_TEXTS);
    ck_assert(leat_rate_limit_allows(&rate_limit, LEAT_RATE_LIMIT_MS, "another"));
}
END_TEST

START_TEST(suppressed_ones_are_counted)
{
    leat_rate_limit rate_limit = {0};
    uint32_t suppressed = 99;
    ck_assert(leat_rate_limit_allows_again(&rate_limit, 5, "a", &suppressed));
    ck_assert_uint_eq(suppressed, 0);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert(!leat_rate_limit_allows_again(&rate_limit, 5 + i, "a", &suppressed));
    ck_assert_uint_eq(suppressed, 0);
    ck_assert(leat_rate_limit_allows_again(&rate_limit, 5, "b", &suppressed));
    ck_assert_uint_eq(suppressed, 0);
    ck_assert(
        leat_rate_limit_allows_again(&rate_limit, 5 + 3 * LEAT_RATE_LIMIT_MS, "a", &suppressed));
    ck_assert_uint_eq(suppressed, 3);
    ck_assert(
        leat_rate_limit_allows_again(&rate_limit, 5 + 4 * LEAT_RATE_LIMIT_MS, "a", &suppressed));
    ck_assert_uint_eq(suppressed, 0);
}
END_TEST

/* A place is not given away while there is an unused one. */
START_TEST(a_text_keeps_its_count_while_there_is_room)
{
    leat_rate_limit rate_limit = {0};
    uint32_t suppressed;
    ck_assert(leat_rate_limit_allows(&rate_limit, 0, "a"));
    ck_assert(!leat_rate_limit_allows(&rate_limit, 1, "a"));
    for (uint32_t i = 1; i < LEAT_RATE_LIMIT_TEXTS; i++) {
        char text[2] = {(char)('a' + i), 0};
        ck_assert(leat_rate_limit_allows(&rate_limit, LEAT_RATE_LIMIT_MS + i, text));
    }
    ck_assert(leat_rate_limit_allows_again(&rate_limit, 2 * LEAT_RATE_LIMIT_MS, "a", &suppressed));
    ck_assert_uint_eq(suppressed, 1);
    ck_assert(!leat_rate_limit_allows(&rate_limit, 2 * LEAT_RATE_LIMIT_MS, "z"));
}
END_TEST

START_TEST(a_line_without_variants_is_due_once_a_minute)
{
    ck_assert(leat_rate_limit_is_due(0, 1));
    ck_assert(!leat_rate_limit_is_due(1, 1));
    ck_assert(!leat_rate_limit_is_due(1, LEAT_RATE_LIMIT_US));
    ck_assert(leat_rate_limit_is_due(1, LEAT_RATE_LIMIT_US + 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rate_limit");
    TCase *tests = tcase_create("rate_limit");
    tcase_add_test(tests, a_text_is_allowed_once_a_minute);
    tcase_add_test(tests, different_texts_of_a_minute_are_bounded);
    tcase_add_test(tests, suppressed_ones_are_counted);
    tcase_add_test(tests, a_text_keeps_its_count_while_there_is_room);
    tcase_add_test(tests, a_line_without_variants_is_due_once_a_minute);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
