#include "engine/concurrency.h"
#include "story.h"

enum { SLOTS = 16 };

static void windows(leat_concurrency *c, uint32_t count, double slowness, uint32_t running)
{
    for (uint32_t i = 0; i < 16 * count; i++)
        leat_concurrency_sample(c, slowness, running, SLOTS);
}

START_TEST(a_calm_shard_is_not_limited)
{
    leat_concurrency c = {0};
    ck_assert_uint_eq(leat_concurrency_limit(&c, SLOTS), SLOTS);
    windows(&c, 50, 1.5, SLOTS - 1);
    ck_assert_uint_eq(leat_concurrency_limit(&c, SLOTS), SLOTS);
    ck_assert_uint_eq(leat_concurrency_limit(&c, 1), 1);
}
END_TEST

START_TEST(a_shard_that_slows_down_gets_less_but_never_less_than_two)
{
    leat_concurrency c = {0};
    windows(&c, 4, 6, SLOTS - 1);
    uint32_t limit = leat_concurrency_limit(&c, SLOTS);
    ck_assert_uint_lt(limit, SLOTS);
    windows(&c, 100, 1000, SLOTS - 1);
    ck_assert_uint_eq(leat_concurrency_limit(&c, SLOTS), LEAT_CONCURRENCY_MIN);
    ck_assert_uint_eq(leat_concurrency_limit(&c, 1), 1);
}
END_TEST

START_TEST(it_grows_again_only_when_it_is_reached)
{
    leat_concurrency c = {0};
    windows(&c, 100, 1000, SLOTS - 1);
    windows(&c, 100, 1, 0);
    ck_assert_uint_eq(leat_concurrency_limit(&c, SLOTS), LEAT_CONCURRENCY_MIN);
    windows(&c, 200, 1, SLOTS);
    ck_assert_uint_eq(leat_concurrency_limit(&c, SLOTS), SLOTS);
}
END_TEST

START_TEST(few_slots_are_no_limit_for_when_there_are_more)
{
    leat_concurrency c = {0};
    for (int i = 0; i < 100; i++)
        leat_concurrency_sample(&c, 1, 0, 1);
    ck_assert_uint_eq(leat_concurrency_limit(&c, SLOTS), SLOTS);
}
END_TEST

START_TEST(one_batch_that_is_far_off_changes_nothing)
{
    leat_concurrency c = {0};
    for (int i = 0; i < 400; i++)
        leat_concurrency_sample(&c, i % 5 == 0 ? 500 : 1, SLOTS - 1, SLOTS);
    ck_assert_uint_eq(leat_concurrency_limit(&c, SLOTS), SLOTS);
}
END_TEST

STORY_MAIN("concurrency", a_calm_shard_is_not_limited,
           a_shard_that_slows_down_gets_less_but_never_less_than_two,
           it_grows_again_only_when_it_is_reached, few_slots_are_no_limit_for_when_there_are_more,
           one_batch_that_is_far_off_changes_nothing)
