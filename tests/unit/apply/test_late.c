/* How long what waits will take, when a shard will have caught up, and from when to when it is
 * late.
 */
#include "../record/fixture.h"

#include "apply/late.h"
#include "sink/shard.h"

enum { SECOND = 1000000, LIMIT_MS = 10000 };

typedef struct shard {
    leat_late late;
    leat_late_sample sample;
} shard;

/* A second in which so many were applied, and so many wait at its end. */
static void pass(shard *at, uint64_t done, uint64_t backlog)
{
    at->sample.done += done;
    at->sample.backlog = backlog;
    leat_late_measure(&at->late, &at->sample, SECOND, LIMIT_MS);
}

/* The same, with arrivals, which are what the backlog follows from. */
static void flow(shard *at, uint64_t done, uint64_t arrived)
{
    at->sample.end += arrived;
    pass(at, done, at->sample.backlog + arrived - done);
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
    leat_late_sample sample = {.backlog = 1000000};
    for (int i = 1; i < 10; i++) {
        sample.done++;
        leat_late_measure(&late, &sample, SECOND, 0);
    }
    ck_assert(!late.is_late);
    ck_assert_int_eq(leat_late_estimate_ms(&late), 1000000000);
}
END_TEST

START_TEST(catching_up_takes_longer_because_more_comes)
{
    shard at = {0};
    flow(&at, 0, 10000);
    at.late = (leat_late){.backlog = at.sample.backlog, .end = at.sample.end};
    flow(&at, 500, 100);
    flow(&at, 500, 100);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), -1); /* what comes is not known yet */
    flow(&at, 500, 100);
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 8800 * 1000 / 500);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 8800 * 1000 / 400);
    for (int i = 0; i < 22; i++)
        flow(&at, 500, 100);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 0); /* as it said */
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 0);
}
END_TEST

START_TEST(a_shard_that_is_given_more_than_it_does_never_catches_up)
{
    shard at = {0};
    flow(&at, 0, 5000);
    for (int i = 0; i < 20; i++)
        flow(&at, 500, 600);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), LEAT_CATCH_UP_NEVER_MS);
    for (int i = 0; i < 40 && at.sample.backlog > 500; i++)
        flow(&at, 500, 0); /* the spike is over */
    ck_assert_int_le(leat_late_catch_up_ms(&at.late), 2000);
}
END_TEST

/* What is on its way is no backlog, however large the part of the rate is that comes. */
START_TEST(a_shard_that_keeps_up_has_caught_up)
{
    shard at = {0};
    flow(&at, 0, 600);
    for (int i = 0; i < 20; i++)
        flow(&at, 500, 500);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 1200);
}
END_TEST

/* Arrivals fade from their mean, so with the old rate it would count down while nothing moves. */
START_TEST(a_shard_that_applies_nothing_does_not_catch_up)
{
    shard at = {0};
    flow(&at, 0, 10000);
    at.late = (leat_late){.backlog = at.sample.backlog, .end = at.sample.end};
    for (int i = 0; i < 5; i++)
        flow(&at, 500, 300);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 9000 * 1000 / 200);
    ck_assert_double_eq(leat_late_drain_per_s(&at.late), 500);
    for (int i = 0; i < 20; i++) {
        flow(&at, 0, i < 10 ? 300 : 0);
        bool is_over = i + 1 >= LEAT_LATE_IDLE;
        ck_assert_double_eq(leat_late_drain_per_s(&at.late), is_over ? 0 : 500);
        ck_assert(!is_over || leat_late_catch_up_ms(&at.late) == LEAT_CATCH_UP_NEVER_MS);
    }
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 24000); /* of 12000, at the old rate */
    flow(&at, 500, 0);
    ck_assert_int_ge(leat_late_catch_up_ms(&at.late), 23000); /* of 11500 */
    ck_assert_int_lt(leat_late_catch_up_ms(&at.late), 27000);
    ck_assert_double_eq(leat_late_drain_per_s(&at.late), 500);
}
END_TEST

/* All that waits waits for a locked table: none of it is the shard's backlog. */
START_TEST(nor_does_one_where_all_are_held_up)
{
    shard at = {.sample.held_up = 70};
    for (int i = 0; i < LEAT_LATE_IDLE; i++)
        pass(&at, 0, 0);
    ck_assert_int_eq(leat_late_estimate_ms(&at.late), 0);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), LEAT_CATCH_UP_NEVER_MS);
    pass(&at, 5, 0); /* others get on */
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 0);
    for (int i = 0; i < 10; i++)
        pass(&at, i % 3 == 0, 0); /* seldom something comes, and is applied */
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 0);
    at.sample.held_up = 0;
    for (int i = 0; i < 10; i++)
        pass(&at, 0, 0); /* quiet */
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 0);
}
END_TEST

START_TEST(a_partition_that_is_stopped_never_catches_up)
{
    shard at = {.sample.is_stopped = true};
    pass(&at, 100, 0);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), LEAT_CATCH_UP_NEVER_MS);
    at.sample.is_stopped = false;
    pass(&at, 100, 0);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), 0);
}
END_TEST

/* Partitions that are assigned bring a log that did not arrive just now. */
START_TEST(arrivals_are_of_the_same_partitions)
{
    shard at = {0};
    at.sample.counted = 1;
    flow(&at, 0, 10000);
    for (int i = 0; i < 5; i++)
        flow(&at, 100, 10);
    int64_t before_ms = leat_late_catch_up_ms(&at.late);
    ck_assert_int_gt(before_ms, 0);
    at.sample.counted = 2;
    at.sample.end += 1000000;
    flow(&at, 100, 10);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), -1);
    for (int i = 0; i < 3; i++)
        flow(&at, 100, 10);
    ck_assert_int_lt(leat_late_catch_up_ms(&at.late), before_ms);
    ck_assert_int_gt(leat_late_catch_up_ms(&at.late), 0);
    at.sample.end -= 500; /* a log that was cut off */
    flow(&at, 100, 10);
    ck_assert_int_eq(leat_late_catch_up_ms(&at.late), -1);
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
    tcase_add_test(tests, catching_up_takes_longer_because_more_comes);
    tcase_add_test(tests, a_shard_that_is_given_more_than_it_does_never_catches_up);
    tcase_add_test(tests, a_shard_that_keeps_up_has_caught_up);
    tcase_add_test(tests, a_shard_that_applies_nothing_does_not_catch_up);
    tcase_add_test(tests, nor_does_one_where_all_are_held_up);
    tcase_add_test(tests, a_partition_that_is_stopped_never_catches_up);
    tcase_add_test(tests, arrivals_are_of_the_same_partitions);
    return fixture_run(suite);
}
