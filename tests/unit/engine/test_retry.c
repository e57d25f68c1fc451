#include "engine/retry.h"
#include "story.h"

static leat_verdict failed(leat_retry *retry, leat_outcome outcome, uint32_t queues, uint32_t records, int32_t culprit)
{
    return leat_retry_failed(retry, outcome, &(leat_attempt){.queues = queues, .records = records, .culprit = culprit});
}

START_TEST(contention_goes_from_together_to_alone_to_later)
{
    leat_retry retry = {0};
    ck_assert_int_eq(failed(&retry, LEAT_CONTENTION, 3, 5, -1), LEAT_AGAIN);
    ck_assert(!retry.alone);
    ck_assert_int_eq(failed(&retry, LEAT_CONTENTION, 3, 5, -1), LEAT_AGAIN);
    ck_assert(retry.alone);
    ck_assert_int_eq(failed(&retry, LEAT_CONTENTION, 1, 5, -1), LEAT_LATER);
    ck_assert_int_eq(failed(&retry, LEAT_CONTENTION, 1, 5, -1), LEAT_HELD); /* by then it is worth a word */
    ck_assert_uint_eq(retry.delays, 2);
    leat_retry_applied(&retry, 5, 100);
    ck_assert(!retry.held && !retry.alone && retry.delays == 0 && retry.contentions == 0);
}
END_TEST

/* Works through `records` of which `bad` is refused; returns how many attempts it took to have it alone. */
static uint32_t hunt(uint32_t records, uint32_t bad)
{
    leat_retry retry = {0};
    uint32_t attempts = 1;
    uint32_t done = 0;
    ck_assert_int_eq(failed(&retry, LEAT_BAD_DATA, 4, records, -1), LEAT_AGAIN);
    for (;; attempts++) {
        ck_assert(retry.alone);
        uint32_t count = retry.limit > 0 && retry.limit < records - done ? retry.limit : records - done;
        if (done + count <= bad) {
            leat_retry_applied(&retry, count, 1000);
            done += count;
            continue;
        }
        leat_verdict verdict = failed(&retry, LEAT_BAD_DATA, 1, count, -1);
        if (verdict == LEAT_HELD) {
            ck_assert_uint_eq(done, bad);
            return attempts;
        }
    }
}

START_TEST(halving_finds_it_wherever_it_is)
{
    for (uint32_t records = 1; records < 70; records++) {
        for (uint32_t bad = 0; bad < records; bad++)
            ck_assert_uint_le(hunt(records, bad), 16);
    }
}
END_TEST

START_TEST(a_named_one_goes_after_its_prefix_and_alone)
{
    leat_retry retry = {0};
    ck_assert_int_eq(failed(&retry, LEAT_DRIFT, 2, 10, 7), LEAT_AGAIN);
    ck_assert_uint_eq(retry.limit, 7);
    leat_retry_applied(&retry, 4, 100); /* bytes cut it short */
    ck_assert_uint_eq(retry.limit, 3);
    leat_retry_applied(&retry, 3, 100);
    ck_assert_uint_eq(retry.limit, 1);
    ck_assert(retry.alone);
    ck_assert_int_eq(failed(&retry, LEAT_DRIFT, 1, 1, 0), LEAT_HELD);
}
END_TEST

START_TEST(the_limit_grows_back)
{
    leat_retry retry = {0};
    failed(&retry, LEAT_BAD_DATA, 1, 1, -1);
    uint32_t limits[] = {2, 4, 8, 0};
    for (size_t i = 0; i < 4; i++) {
        leat_retry_applied(&retry, 1, 16);
        ck_assert_uint_eq(retry.limit, limits[i]);
        ck_assert(!retry.alone && !retry.held);
    }
}
END_TEST

START_TEST(others_are_not_blamed_for_a_named_one)
{
    leat_retry retry = {0};
    leat_attempt attempt = {.queues = 2, .records = 3, .culprit = -1, .elsewhere = true};
    ck_assert_int_eq(leat_retry_failed(&retry, LEAT_BAD_DATA, &attempt), LEAT_AGAIN);
    ck_assert(!retry.alone && retry.limit == 0);
}
END_TEST

START_TEST(back_off_doubles_up_to_a_bound_and_is_jittered)
{
    leat_prng prng = {1};
    bool differs = false;
    for (uint32_t n = 1; n < 300; n++) {
        int64_t full = n < 8 ? INT64_C(10) << (n - 1) : 1000;
        full = full > 1000 ? 1000 : full;
        int64_t delay = leat_backoff_us(&prng, n, 10, 1000);
        ck_assert_int_ge(delay, full / 2);
        ck_assert_int_le(delay, full);
        differs = differs || delay != full;
    }
    ck_assert(differs);
}
END_TEST

STORY_MAIN("retry", contention_goes_from_together_to_alone_to_later, halving_finds_it_wherever_it_is,
           a_named_one_goes_after_its_prefix_and_alone, the_limit_grows_back, others_are_not_blamed_for_a_named_one,
           back_off_doubles_up_to_a_bound_and_is_jittered)
