/* When an acknowledgement may be believed, and when a check of the topic must come first. */
#include <check.h>

#include "base/base.h"
#include "log/kafka/topic_guard.h"

enum { PARTITIONS = 3, BROKER = 7, OTHER = 8 };

static leat_topic_ack ack_of(int64_t offset, int64_t at_us)
{
    return (leat_topic_ack){.partition = 0, .broker = BROKER, .offset = offset, .at_us = at_us};
}

static leat_topic_guard_verdict judge(leat_topic_guard *guard, int64_t offset, int64_t at_us)
{
    leat_topic_ack ack = ack_of(offset, at_us);
    return leat_topic_guard_check_ack(guard, &ack);
}

static bool is_shown(const leat_topic_guard *guard, int64_t offset, int64_t at_us)
{
    leat_topic_ack ack = ack_of(offset, at_us);
    return leat_topic_guard_is_shown(guard, &ack);
}

static leat_topic_guard begin(void)
{
    leat_topic_guard guard;
    leat_topic_guard_init(&guard, PARTITIONS);
    return guard;
}

START_TEST(before_any_look_all_wait)
{
    leat_topic_guard guard = begin();
    ck_assert_int_eq(judge(&guard, 1000 * 1000 * 1000, 5), LEAT_GUARD_WAIT);
    leat_topic_guard_fini(&guard);
}
END_TEST

START_TEST(a_look_begun_after_the_acknowledgement_shows_it)
{
    leat_topic_guard guard = begin();
    ck_assert_int_eq(judge(&guard, 0, 100), LEAT_GUARD_WAIT);
    leat_topic_guard_checked(&guard, BROKER, 100); /* at the same moment: perhaps before */
    ck_assert(!is_shown(&guard, 0, 100));
    leat_topic_guard_checked(&guard, BROKER, 101);
    ck_assert(is_shown(&guard, 0, 100));
    leat_topic_guard_fini(&guard);
}
END_TEST

START_TEST(a_look_at_another_broker_counts_less)
{
    leat_topic_guard guard = begin();
    leat_topic_guard_checked(&guard, OTHER, 2 * LEAT_GUARD_SPREAD_US);
    ck_assert(is_shown(&guard, 0, LEAT_GUARD_SPREAD_US - 1));
    ck_assert(!is_shown(&guard, 0, LEAT_GUARD_SPREAD_US));
    leat_topic_guard_fini(&guard);
}
END_TEST

START_TEST(a_large_offset_needs_no_new_look)
{
    leat_topic_guard guard = begin();
    leat_topic_guard_checked(&guard, BROKER, 100);
    ck_assert_int_eq(judge(&guard, 1000, 100 + 1000), LEAT_GUARD_WAIT);
    ck_assert_int_eq(judge(&guard, 1001, 100 + 1000), LEAT_GUARD_STORED);
    leat_topic_ack young = ack_of(1001, 100 + 1000), old = ack_of(100 * 1000, 100 + 1000);
    ck_assert(leat_topic_guard_wants_check(&guard, &young));
    ck_assert(!leat_topic_guard_wants_check(&guard, &old));
    leat_topic_guard_fini(&guard);
}
END_TEST

START_TEST(an_offset_that_was_given_before_is_never_believed)
{
    leat_topic_guard guard = begin();
    leat_topic_guard_checked(&guard, BROKER, 100);
    ck_assert_int_eq(judge(&guard, 5000, 100), LEAT_GUARD_STORED);
    leat_topic_guard_checked(&guard, BROKER, 200);
    ck_assert_int_eq(judge(&guard, 5000, 199), LEAT_GUARD_RECREATED);
    ck_assert_int_eq(judge(&guard, 0, 199), LEAT_GUARD_RECREATED);
    ck_assert_int_eq(judge(&guard, 5001, 199), LEAT_GUARD_STORED);
    leat_topic_ack elsewhere = {.partition = 1, .broker = BROKER, .offset = 0, .at_us = 199};
    ck_assert_int_eq(leat_topic_guard_check_ack(&guard, &elsewhere), LEAT_GUARD_STORED);
    leat_topic_guard_fini(&guard);
}
END_TEST

START_TEST(doubt_forgets_what_was_seen_but_no_offset)
{
    leat_topic_guard guard = begin();
    leat_topic_guard_checked(&guard, BROKER, 100);
    ck_assert_int_eq(judge(&guard, 5000, 100), LEAT_GUARD_STORED);
    leat_topic_guard_doubt(&guard);
    ck_assert_int_eq(judge(&guard, 5001, 101), LEAT_GUARD_WAIT);
    ck_assert_int_eq(judge(&guard, 5000, 101), LEAT_GUARD_RECREATED);
    leat_topic_guard_fini(&guard);
}
END_TEST

START_TEST(more_brokers_than_it_remembers_count_as_others)
{
    leat_topic_guard guard = begin();
    for (int32_t broker = 100; broker < 100 + LEAT_GUARD_BROKERS; broker++)
        leat_topic_guard_checked(&guard, broker, 10);
    leat_topic_guard_checked(&guard, BROKER, 2 * LEAT_GUARD_SPREAD_US);
    ck_assert(is_shown(&guard, 0, LEAT_GUARD_SPREAD_US - 1));
    ck_assert(!is_shown(&guard, 0, 2 * LEAT_GUARD_SPREAD_US - 1));
    leat_topic_guard_fini(&guard);
}
END_TEST

/* A world with one or two topics, several writers and brokers: nothing that a topic made anew took
 * is ever believed. */
START_TEST(never_believes_what_another_topic_took)
{
    leat_prng prng = {(uint64_t)_i + 1};
    leat_topic_guard guard = begin();
    int64_t now_us = 1, end = (int64_t)leat_prng_below(&prng, 3) * 5000, anew_end = 0;
    int64_t anew_us = 500 + (int64_t)leat_prng_below(&prng, 20000);
    int believed = 0;
    leat_topic_ack waiting[64];
    bool is_ours[64];
    uint32_t count = 0;
    for (int step = 0; step < 4000; step++) {
        int64_t passed = 1 + (int64_t)leat_prng_below(&prng, 50);
        now_us += passed;
        bool is_old = now_us < anew_us;
        int64_t *log = is_old ? &end : &anew_end;
        *log += (int64_t)leat_prng_below(&prng, (uint64_t)passed); /* others write: less than one a
                                                                      microsecond */
        if (leat_prng_below(&prng, 3) > 0 && count < 64) {
            leat_topic_ack ack = {.broker = BROKER, .offset = (*log)++, .at_us = now_us + 1};
            leat_topic_guard_verdict verdict = leat_topic_guard_check_ack(&guard, &ack);
            if (!is_old && verdict == LEAT_GUARD_STORED) /* an assertion that holds costs a system
                                                            call */
                ck_abort_msg("believed at once: offset %lld", (long long)ack.offset);
            believed += verdict == LEAT_GUARD_STORED;
            if (verdict == LEAT_GUARD_WAIT) {
                is_ours[count] = is_old;
                waiting[count++] = ack;
            }
        }
        if (leat_prng_below(&prng, 10) == 0 && is_old)
            leat_topic_guard_checked(&guard, BROKER, now_us);
        uint32_t left = 0;
        for (uint32_t i = 0; i < count; i++) {
            bool shown = leat_topic_guard_is_shown(&guard, &waiting[i]);
            if (!is_ours[i] && shown)
                ck_abort_msg("believed later: offset %lld", (long long)waiting[i].offset);
            believed += shown;
            is_ours[left] = is_ours[i];
            waiting[left] = waiting[i];
            left += !shown;
        }
        count = left;
    }
    ck_assert(anew_us < 1000 || believed > 0);
    leat_topic_guard_fini(&guard);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("topic_guard");
    TCase *tests = tcase_create("rules");
    tcase_add_test(tests, before_any_look_all_wait);
    tcase_add_test(tests, a_look_begun_after_the_acknowledgement_shows_it);
    tcase_add_test(tests, a_look_at_another_broker_counts_less);
    tcase_add_test(tests, a_large_offset_needs_no_new_look);
    tcase_add_test(tests, an_offset_that_was_given_before_is_never_believed);
    tcase_add_test(tests, doubt_forgets_what_was_seen_but_no_offset);
    tcase_add_test(tests, more_brokers_than_it_remembers_count_as_others);
    tcase_add_loop_test(tests, never_believes_what_another_topic_took, 0, 100);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
