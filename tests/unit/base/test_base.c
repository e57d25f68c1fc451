#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/diag.h"

START_TEST(slices_compare_by_bytes)
{
    ck_assert(leat_slice_is(LEAT_SLICE("abc"), "abc"));
    ck_assert(!leat_slice_is(LEAT_SLICE("abc"), "abcd"));
    ck_assert(leat_slice_equal((leat_slice){NULL, 0}, LEAT_SLICE("")));
    ck_assert(leat_slice_is_nocase(LEAT_SLICE("Chunked"), "chunked"));
    ck_assert(!leat_slice_is_nocase(LEAT_SLICE("chunk"), "chunked"));
    ck_assert(leat_slice_is_nocase((leat_slice){NULL, 0}, ""));
    leat_slice rest = LEAT_SLICE("-7");
    ck_assert(leat_slice_take(&rest, '-') && !leat_slice_take(&rest, '-'));
    ck_assert(leat_slice_is(rest, "7"));
    rest = (leat_slice){"x", 0};
    ck_assert(!leat_slice_take(&rest, 'x'));
}
END_TEST

START_TEST(errors_gain_prefixes_as_they_rise)
{
    leat_error error;
    ck_assert_int_eq(leat_fail(&error, "no %s", "room"), -1);
    ck_assert_int_eq(leat_fail_prefix(&error, "shard %d", 3), -1);
    ck_assert_str_eq(error.text, "shard 3: no room");
    ck_assert_int_eq(leat_fail(NULL, "nobody listens"), -1);
    ck_assert_int_eq(leat_fail_prefix(NULL, "nobody listens"), -1);
}
END_TEST

START_TEST(long_errors_are_cut_never_overrun)
{
    leat_error error;
    char *words = malloc(5000);
    memset(words, 'x', 4999);
    words[4999] = '\0';
    leat_fail(&error, "%s", words);
    ck_assert_uint_eq(strlen(error.text), sizeof error.text - 1);
    leat_fail_prefix(&error, "%s", words);
    ck_assert_uint_eq(strlen(error.text), sizeof error.text - 1);
    free(words);
}
END_TEST

/* Records are placed by it: another hash would tear keys apart. */
START_TEST(the_hash_never_changes)
{
    ck_assert_uint_eq(leat_hash(LEAT_SLICE("")), UINT64_C(0x2d06800538d394c2));
    ck_assert_uint_eq(leat_hash(LEAT_SLICE("app/7")), leat_hash(leat_slice_of("app/7")));
    ck_assert_uint_ne(leat_hash(LEAT_SLICE("app/7")), leat_hash(LEAT_SLICE("app/8")));
}
END_TEST

START_TEST(the_generator_repeats_and_stays_below)
{
    leat_prng a = {42}, b = {42};
    for (int i = 0; i < 10000; i++) {
        uint64_t bound = 1 + leat_prng_next(&a) % 100;
        ck_assert_uint_lt(leat_prng_below(&a, bound), bound);
    }
    a = b;
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(leat_prng_next(&a), leat_prng_next(&b));
}
END_TEST

START_TEST(clocks_move_forward)
{
    int64_t before = leat_mono_us();
    ck_assert_int_ge(leat_mono_us(), before);
    ck_assert_int_gt(leat_wall_ms(), INT64_C(1700000000000));
}
END_TEST

START_TEST(levels_have_names)
{
    leat_level level = LEAT_INFO;
    ck_assert(leat_diag_parse_level("warn", &level) && level == LEAT_WARN);
    ck_assert(!leat_diag_parse_level("loud", &level) && level == LEAT_WARN);
}
END_TEST

/* A log collector that has stopped must not stop a loop. */
START_TEST(a_line_that_nobody_reads_is_lost)
{
    int ends[2], standard_error = dup(STDERR_FILENO);
    char text[65536] = {0};
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], text, sizeof text) > 0)
        ;
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
    dup2(ends[1], STDERR_FILENO);
    leat_warn("one");
    leat_warn("two");
    while (read(ends[0], text, sizeof text) > 0)
        ;
    leat_warn("three");
    dup2(standard_error, STDERR_FILENO);
    ssize_t size = read(ends[0], text, sizeof text - 1);
    ck_assert_int_gt(size, 0);
    text[size] = '\0';
    ck_assert_msg(strstr(text, "warn log lines were dropped count=2") && strstr(text, "three") &&
                      !strstr(text, "two"),
                  "%s", text);
    close(ends[0]);
    close(ends[1]);
    close(standard_error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_add_test(tests, slices_compare_by_bytes);
    tcase_add_test(tests, errors_gain_prefixes_as_they_rise);
    tcase_add_test(tests, long_errors_are_cut_never_overrun);
    tcase_add_test(tests, the_hash_never_changes);
    tcase_add_test(tests, the_generator_repeats_and_stays_below);
    tcase_add_test(tests, a_line_that_nobody_reads_is_lost);
    tcase_add_test(tests, clocks_move_forward);
    tcase_add_test(tests, levels_have_names);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
