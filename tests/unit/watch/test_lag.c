/* test_lag.c - how many records of a partition are not applied, by its shard and its log. */
#include "../record/fixture.h"
#include "watch/lag.h"

enum { NOW_MS = 10000 };

static int64_t records_of(leat_lag_partition partition, leat_log_ahead ahead)
{
    partition.is_known = true;
    leat_lag_take_ahead(&partition, &ahead, NOW_MS);
    return partition.records;
}

START_TEST(records_are_those_above_the_low_water_and_parked_ones_below_it)
{
    leat_log_ahead ahead = {.end = 20, .stable = 20, .first = 12, .accepted_ms = 9000};
    ck_assert_int_eq(records_of((leat_lag_partition){.low = 9}, ahead), 8);
    ck_assert_int_eq(
        records_of((leat_lag_partition){.low = 9, .parked = 5, .parked_below = 3}, ahead), 11);
    ahead.first = -1; /* not read: each offset counts */
    ck_assert_int_eq(records_of((leat_lag_partition){.low = 9}, ahead), 10);
    ahead.first = 20;
    ck_assert_int_eq(records_of((leat_lag_partition){.low = 9}, ahead), 0);
}
END_TEST

/* Only compactions record the low water, so what is parked may be above it; and the log may have
 * nothing there any longer. */
START_TEST(parked_records_that_the_log_no_longer_has_count)
{
    const leat_log_ahead ahead = {.end = 20, .stable = 20, .first = 20};
    ck_assert_int_eq(
        records_of((leat_lag_partition){.low = 9, .parked = 5, .parked_below = 3}, ahead), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lag");
    TCase *tests = tcase_create("lag");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, records_are_those_above_the_low_water_and_parked_ones_below_it);
    tcase_add_test(tests, parked_records_that_the_log_no_longer_has_count);
    return fixture_run(suite);
}
