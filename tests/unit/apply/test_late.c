/* How long what waits will take, and from when to when that is too long. */
#include "../record/fixture.h"

#include "apply/late.h"

enum { SECOND = 1000000, LIMIT_MS = 10000 };

typedef struct shard {
    leat_late late;
    uint64_t done;
} shard;

/* A second in which so many were applied, and so many wait at its end. */
static void pass(shard *at, uint64_t done, uint64_t backlog)
{
    at->done += done;
    leat_late_measure(&at->late, at->done, backlog, SECOND, LIMIT_MS);
}

START_TEST(the_estimate_is_what_waits_over_the_rate)
{
    shard at = {0};
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 0);
    pass(&at, 0, 500);
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), -1); /* nothing was applied yet */
    pass(&at, 100, 400);
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 4000);
    pass(&at, 0, 900); /* the shard is down: the rate stays, what waits grows */
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 9000);
    pass(&at, 300, 600);
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 3000); /* 200 a second on average */
}
END_TEST

START_TEST(a_shard_that_is_given_little_has_no_low_rate)
{
    shard at = {0};
    for (int i = 0; i < 11; i++)
        pass(&at, 10, (uint64_t)(i % 4)); /* a few wait, often over several measures */
    ck_assert(at.late.per_s == 0);
    pass(&at, 10, 50000);
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), -1);
    pass(&at, 20000, 30000);
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 1500);
}
END_TEST

START_TEST(late_begins_after_some_measures_above_the_limit_and_ends_below_half)
{
    shard at = {0};
    pass(&at, 0, 1200);
    pass(&at, 100, 1200); /* 12 s */
    pass(&at, 100, 1200);
    ck_assert(!at.late.is_late);
    pass(&at, 100, 900); /* 9 s: from the start again */
    pass(&at, 100, 1200);
    pass(&at, 100, 1200);
    ck_assert(!at.late.is_late);
    pass(&at, 100, 1200);
    ck_assert(at.late.is_late);
    pass(&at, 100, 600);
    ck_assert(at.late.is_late); /* 6 s: below the limit, not below half of it */
    pass(&at, 100, 500);
    ck_assert(!at.late.is_late);
}
END_TEST

START_TEST(without_a_limit_nothing_is_late)
{
    leat_late late = {0};
    for (int i = 1; i < 10; i++)
        leat_late_measure(&late, (uint64_t)i, 1000000, SECOND, 0);
    ck_assert(!late.is_late);
    ck_assert_int_eq(leat_late_estimate_ms(&late), 1000000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("late");
    TCase *tests = tcase_create("late");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, the_estimate_is_what_waits_over_the_rate);
    tcase_add_test(tests, a_shard_that_is_given_little_has_no_low_rate);
    tcase_add_test(tests, late_begins_after_some_measures_above_the_limit_and_ends_below_half);
    tcase_add_test(tests, without_a_limit_nothing_is_late);
    return fixture_run(suite);
}
