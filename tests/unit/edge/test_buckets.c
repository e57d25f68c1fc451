/* Rates: how often a name may come, and what a table of fixed size forgets. */
#include "../record/fixture.h"

#include "edge/buckets.h"

#define S INT64_C(1000000)

START_TEST(a_burst_at_once_and_then_as_the_rate_allows)
{
    leat_buckets buckets;
    leat_buckets_init(&buckets, 10, 5, 100);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(leat_buckets_take(&buckets, 7, S), 0);
    ck_assert_int_eq(leat_buckets_take(&buckets, 7, S), S / 10);
    ck_assert_int_eq(leat_buckets_take(&buckets, 7, S + S / 20), S / 20); /* a refusal costs nothing
                                                                           */
    ck_assert_int_eq(leat_buckets_take(&buckets, 8, S), 0);               /* another one */
    ck_assert_int_eq(leat_buckets_take(&buckets, 7, S + S / 10), 0);
    ck_assert_int_gt(leat_buckets_take(&buckets, 7, S + S / 10), 0);
    for (int i = 0; i < 5; i++) /* after a rest: a burst, and not more */
        ck_assert_int_eq(leat_buckets_take(&buckets, 7, 100 * S), 0);
    ck_assert_int_gt(leat_buckets_take(&buckets, 7, 100 * S), 0);
    leat_buckets_fini(&buckets);
}
END_TEST

/* Also where a second does not divide into the rate's intervals. */
START_TEST(what_is_left_is_what_may_still_come)
{
    static const uint64_t rates[] = {1, 3, 7, 10, 1000, 999983};
    for (size_t r = 0; r < COUNT_OF(rates); r++) {
        leat_buckets buckets;
        int64_t full_us;
        leat_buckets_init(&buckets, rates[r], 5, 100);
        for (uint64_t used = 0; used < 5; used++) {
            ck_assert_uint_eq(leat_buckets_left(&buckets, 7, S, &full_us), 5 - used);
            ck_assert_int_le(full_us, (int64_t)used * S / (int64_t)rates[r] + 1);
            ck_assert_int_eq(leat_buckets_take(&buckets, 7, S), 0);
        }
        ck_assert_uint_eq(leat_buckets_left(&buckets, 7, S, &full_us), 0);
        ck_assert_int_gt(leat_buckets_take(&buckets, 7, S), 0);
        ck_assert_uint_eq(leat_buckets_left(&buckets, 7, S + full_us, &full_us), 5);
        ck_assert_int_eq(full_us, 0);
        ck_assert_uint_eq(leat_buckets_left(&buckets, 8, S, &full_us), 5);
        leat_buckets_fini(&buckets);
    }
}
END_TEST

START_TEST(in_the_long_run_it_is_the_rate)
{
    static const uint64_t rates[] = {1, 3, 7, 1000, 999983};
    for (size_t r = 0; r < COUNT_OF(rates); r++) {
        leat_buckets buckets;
        leat_buckets_init(&buckets, rates[r], rates[r], 8);
        uint64_t taken = 0;
        int64_t end_us = 10 * S, step_us = S / (int64_t)(2 * rates[r]) + 1;
        for (int64_t now_us = 1; now_us < end_us; now_us += step_us)
            taken += leat_buckets_take(&buckets, 1, now_us) == 0;
        /* Ten seconds of it, and a burst; asked at most twice as often as that. */
        ck_assert_uint_le(taken, 11 * rates[r] + 1);
        ck_assert_uint_ge(taken, 9 * rates[r]);
        leat_buckets_fini(&buckets);
    }
}
END_TEST

START_TEST(without_a_rate_all_may)
{
    leat_buckets buckets;
    leat_buckets_init(&buckets, 0, 0, 100);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(leat_buckets_take(&buckets, 7, 0), 0);
    uint64_t name;
    ck_assert_uint_eq(leat_buckets_worst(&buckets, &name), 0);
    leat_buckets_fini(&buckets);
}
END_TEST

/* The one at its limit stays known, however many others come once. */
START_TEST(a_flood_of_names_does_not_free_the_one_at_its_limit)
{
    leat_buckets buckets;
    leat_buckets_init(&buckets, 10, 100, 8);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(leat_buckets_take(&buckets, 7, S), 0);
    for (uint64_t name = 1000; name < 100000; name++)
        ck_assert_int_eq(leat_buckets_take(&buckets, name, S), 0);
    ck_assert_int_gt(leat_buckets_take(&buckets, 7, S), 0);
    leat_buckets_fini(&buckets);
}
END_TEST

START_TEST(the_worst_is_named_once)
{
    leat_buckets buckets;
    uint64_t name = 0;
    leat_buckets_init(&buckets, 1, 1, 1000);
    for (uint64_t i = 1; i < 50; i++)
        for (uint64_t k = 0; k <= i; k++)
            (void)leat_buckets_take(&buckets, i * 0x9e3779b97f4a7c15u, S);
    ck_assert_uint_eq(leat_buckets_worst(&buckets, &name), 49);
    ck_assert_uint_eq(name, 49 * 0x9e3779b97f4a7c15u);
    ck_assert_uint_eq(leat_buckets_worst(&buckets, &name), 0);
    leat_buckets_fini(&buckets);
}
END_TEST

START_TEST(a_use_that_is_given_back_can_be_made)
{
    leat_buckets buckets;
    leat_buckets_init(&buckets, 1, 3, 100);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(leat_buckets_take(&buckets, 7, S), 0);
    ck_assert_int_gt(leat_buckets_take(&buckets, 7, S), 0);
    leat_buckets_give(&buckets, 7);
    ck_assert_int_eq(leat_buckets_take(&buckets, 7, S), 0);
    ck_assert_int_gt(leat_buckets_take(&buckets, 7, S), 0);
    leat_buckets_fini(&buckets);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buckets");
    TCase *tests = tcase_create("buckets");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, a_burst_at_once_and_then_as_the_rate_allows);
    tcase_add_test(tests, what_is_left_is_what_may_still_come);
    tcase_add_test(tests, in_the_long_run_it_is_the_rate);
    tcase_add_test(tests, without_a_rate_all_may);
    tcase_add_test(tests, a_flood_of_names_does_not_free_the_one_at_its_limit);
    tcase_add_test(tests, the_worst_is_named_once);
    tcase_add_test(tests, a_use_that_is_given_back_can_be_made);
    return fixture_run(suite);
}
