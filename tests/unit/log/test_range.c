/* The rule of log/range.h, each line of it at its border. */
#include <check.h>
#include <string.h>

#include "base/leader_epoch.h"
#include "log/range.h"

/* Applied up to offset 9, something up to 14; the log has offsets 4 to 20. */
static leat_log_range fitting(void)
{
    return (leat_log_range){
        .low = 9, .high = 14, .next = 10, .read_to = -1, .start = 4, .end = 20, .epoch_end = -1};
}

static void expect_reason(const leat_log_range *range, leat_range_verdict verdict,
                          const char *expected)
{
    char reason[400];
    ck_assert_int_eq(leat_range_check(range), verdict);
    leat_range_reason(range, verdict, "CAUSE", reason, sizeof reason);
    ck_assert_str_eq(reason, expected);
}

START_TEST(fits_a_log_that_has_what_is_needed_and_what_was_read)
{
    leat_log_range range = fitting();
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
    range.start = 10;
    range.end = 15;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
}
END_TEST

START_TEST(fits_an_empty_log_that_nothing_was_read_from)
{
    leat_log_range range = {.low = -1, .high = -1, .next = -1, .read_to = -1, .epoch_end = -1};
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
    range.next = 0;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
}
END_TEST

START_TEST(is_another_log_whatever_its_offsets)
{
    leat_log_range range = fitting();
    range.is_recreated = true;
    expect_reason(&range, LEAT_RANGE_OTHER, "CAUSE: its offsets mean something else now");
    range.end = 0;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_OTHER);
}
END_TEST

START_TEST(is_short_when_it_ends_at_what_was_applied)
{
    leat_log_range range = fitting();
    range.end = 14;
    expect_reason(&range, LEAT_RANGE_SHORT,
                  "the log ends at offset 14, but offset 14 was read from it before: CAUSE");
    range.high = -1;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
    range.end = 9;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_SHORT);
}
END_TEST

START_TEST(is_short_when_it_ends_at_what_was_offered)
{
    leat_log_range range = fitting();
    range.next = 18;
    range.end = 17;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_SHORT);
    range.end = 18;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
    range.read_to = 19;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_SHORT);
}
END_TEST

START_TEST(has_lost_offsets_that_are_not_applied)
{
    leat_log_range range = fitting();
    range.start = 11;
    expect_reason(&range, LEAT_RANGE_LOST,
                  "the log starts at offset 11, but offsets from 10 on are not applied: CAUSE");
    range.read_to = 11; /* no record was between */
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
}
END_TEST

/* Whether there were any records is not known: `leat init` stores where the log began. */
START_TEST(has_lost_offsets_before_the_first_one_read)
{
    leat_log_range range = {
        .low = -1, .high = -1, .next = -1, .read_to = -1, .start = 1, .end = 1, .epoch_end = -1};
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_LOST);
}
END_TEST

START_TEST(is_rewritten_when_the_epoch_read_ends_before)
{
    leat_log_range range = fitting();
    range.epoch_end = 10;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
    range.epoch_end = 9;
    ck_assert(leat_range_is_rewritten(&range));
    expect_reason(&range, LEAT_RANGE_REWRITTEN,
                  "the log was cut off and rewritten from offset 9 on (an unclean leader "
                  "election?), but was read up to offset 9 before: the records it lost there may "
                  "or may not be applied, and the new ones may count as applied. CAUSE");
}
END_TEST

START_TEST(is_rewritten_when_the_newest_record_has_another_time)
{
    leat_log_range range = fitting();
    range.high_ms = 1000;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS); /* it is not there: retention */
    range.found_ms = 1000;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
    range.found_ms = 999;
    expect_reason(&range, LEAT_RANGE_REWRITTEN,
                  "the log's record at offset 14 has timestamp 999, but the one that was applied "
                  "had 1000: CAUSE. New records up to that offset would count as applied");
    range.high_ms = 0;
    ck_assert_int_eq(leat_range_check(&range), LEAT_RANGE_FITS);
}
END_TEST

START_TEST(an_epoch_neither_falls_nor_changes_where_it_was_seen)
{
    ck_assert(leat_leader_epoch_fits(10, 5, 10, 5));
    ck_assert(leat_leader_epoch_fits(10, 5, 3, 4));
    ck_assert(!leat_leader_epoch_fits(10, 5, 10, 6));
    ck_assert(leat_leader_epoch_fits(10, 5, 11, 5));
    ck_assert(leat_leader_epoch_fits(10, 5, 11, 6));
    ck_assert(!leat_leader_epoch_fits(10, 5, 11, 4));
    ck_assert(leat_leader_epoch_fits(10, -1, 11, 4));
    ck_assert(leat_leader_epoch_fits(10, 5, 10, -1));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("range");
    tcase_add_test(tests, fits_a_log_that_has_what_is_needed_and_what_was_read);
    tcase_add_test(tests, fits_an_empty_log_that_nothing_was_read_from);
    tcase_add_test(tests, is_another_log_whatever_its_offsets);
    tcase_add_test(tests, is_short_when_it_ends_at_what_was_applied);
    tcase_add_test(tests, is_short_when_it_ends_at_what_was_offered);
    tcase_add_test(tests, has_lost_offsets_that_are_not_applied);
    tcase_add_test(tests, has_lost_offsets_before_the_first_one_read);
    tcase_add_test(tests, is_rewritten_when_the_epoch_read_ends_before);
    tcase_add_test(tests, is_rewritten_when_the_newest_record_has_another_time);
    tcase_add_test(tests, an_epoch_neither_falls_nor_changes_where_it_was_seen);
    Suite *suite = suite_create("log range");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
