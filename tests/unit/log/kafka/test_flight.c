/* When the client is given more of a partition. */
#include <check.h>

#include "log/kafka/flight.h"

enum { LINGER_US = 1000, BEGIN_US = 1000000 };

static void give(leat_flight *flight, uint32_t count, int64_t at_us)
{
    for (uint32_t i = 0; i < count; i++)
        leat_flight_give(flight, LINGER_US, at_us);
}

static bool takes(const leat_flight *flight, int64_t at_us)
{
    return leat_flight_takes(flight, LINGER_US, at_us);
}

START_TEST(few_never_wait)
{
    leat_flight flight = {0};
    ck_assert(takes(&flight, BEGIN_US));
    give(&flight, LEAT_FLIGHT_MAX - 1, BEGIN_US);
    for (int64_t us = 0; us < 2 * LEAT_FLIGHT_WAIT_US; us += 100)
        ck_assert(takes(&flight, BEGIN_US + us));
}
END_TEST

START_TEST(more_are_given_while_the_first_lingers)
{
    leat_flight flight = {0};
    give(&flight, 50, BEGIN_US);
    ck_assert(takes(&flight, BEGIN_US + LINGER_US - 1));
    give(&flight, 1, BEGIN_US + LINGER_US - 1); /* goes with the first */
    ck_assert(!takes(&flight, BEGIN_US + LINGER_US));
    ck_assert(!leat_flight_takes(&flight, 0, BEGIN_US)); /* where nothing lingers */
}
END_TEST

START_TEST(an_answer_lets_the_others_go)
{
    leat_flight flight = {0};
    give(&flight, LEAT_FLIGHT_MAX + 1, BEGIN_US);
    leat_flight_end(&flight);
    ck_assert(!takes(&flight, BEGIN_US + 2 * LINGER_US));
    leat_flight_end(&flight);
    ck_assert(takes(&flight, BEGIN_US + 2 * LINGER_US));
    give(&flight, 20, BEGIN_US + 2 * LINGER_US); /* they linger from now on */
    ck_assert(takes(&flight, BEGIN_US + 3 * LINGER_US - 1));
    ck_assert(!takes(&flight, BEGIN_US + 3 * LINGER_US));
}
END_TEST

START_TEST(all_are_answered)
{
    leat_flight flight = {0};
    give(&flight, 50, BEGIN_US);
    for (int i = 0; i < 50; i++)
        leat_flight_end(&flight);
    ck_assert(takes(&flight, BEGIN_US + 1));
    give(&flight, 50, BEGIN_US + 1); /* nothing lingers that they could go with */
    ck_assert(takes(&flight, BEGIN_US + LINGER_US));
    ck_assert(!takes(&flight, BEGIN_US + LINGER_US + 1));
}
END_TEST

START_TEST(no_answer_holds_nobody_up_for_long)
{
    leat_flight flight = {0};
    give(&flight, 50, BEGIN_US);
    int64_t then_us = BEGIN_US + LEAT_FLIGHT_WAIT_US;
    ck_assert_int_eq(leat_flight_takes_us(&flight), then_us);
    ck_assert(!takes(&flight, then_us - 1));
    ck_assert(takes(&flight, then_us));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka_flight");
    TCase *tests = tcase_create("flight");
    tcase_add_test(tests, few_never_wait);
    tcase_add_test(tests, more_are_given_while_the_first_lingers);
    tcase_add_test(tests, an_answer_lets_the_others_go);
    tcase_add_test(tests, all_are_answered);
    tcase_add_test(tests, no_answer_holds_nobody_up_for_long);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
