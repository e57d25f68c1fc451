/* The signature of a worker that is kept from working, sample by sample, twice a second. */
#include <check.h>
#include <stdlib.h>

#include "apply/signature.h"

#define TICK_US INT64_C(500000)

typedef struct world {
    leat_signature signature;
    int64_t now_us;
    uint32_t changes;
} world;

/* For `seconds` the lag changes by `per_s` milliseconds a second. Returns the last lag. */
static int64_t run(world *w, int seconds, int64_t lag_ms, int64_t per_s, double busy)
{
    for (int i = 0; i < 2 * seconds; i++) {
        w->now_us += TICK_US;
        lag_ms += per_s / 2;
        w->changes += leat_signature_sample(&w->signature, w->now_us, lag_ms, busy);
    }
    return lag_ms;
}

static const world fresh = {.now_us = 1000};

START_TEST(test_begins_after_thirty_seconds_and_ends_when_the_lag_falls)
{
    world w = fresh;
    run(&w, 100, 0, 0, 0.01);
    ck_assert(!w.signature.is_on);
    int64_t lag_ms = run(&w, 30, 0, 1000, 0.01);
    ck_assert(!w.signature.is_on);
    lag_ms = run(&w, 1, lag_ms, 1000, 0.01);
    ck_assert(w.signature.is_on && w.changes == 1);
    lag_ms = run(&w, 300, lag_ms, 1000, 0.3); /* a little busier: still idle */
    ck_assert(w.signature.is_on && w.changes == 1);
    run(&w, 1, lag_ms / 2, 0, 0.01);
    ck_assert(!w.signature.is_on && w.changes == 2);
}
END_TEST

START_TEST(test_a_busy_worker_is_slow_and_nothing_else)
{
    world w = fresh;
    int64_t lag_ms = run(&w, 100, 0, 1000, 0.2);
    ck_assert(!w.signature.is_on);
    lag_ms = run(&w, 31, lag_ms, 1000, 0.1);
    ck_assert(w.signature.is_on);
    run(&w, 1, lag_ms, 1000, 0.4);
    ck_assert(!w.signature.is_on && w.changes == 2);
}
END_TEST

static const struct {
    int64_t per_s;
    bool is_on;
} slopes[] = {{1000, true}, {500, true}, {340, true}, {320, false}, {100, false}, {0, false}};

START_TEST(test_slope)
{
    world w = fresh;
    run(&w, 100, 10, slopes[_i].per_s, 0.01);
    ck_assert_int_eq(w.signature.is_on, slopes[_i].is_on);
}
END_TEST

/* Up and down, or up and then for seconds no further: work. */
START_TEST(test_no_straight_line)
{
    world w = fresh;
    int64_t lag_ms = 0;
    for (int i = 0; i < 20; i++) {
        lag_ms = run(&w, 20, lag_ms, 1000, 0.01);
        lag_ms = run(&w, 5, lag_ms, -2000, 0.01);
    }
    for (int i = 0; i < 20; i++) {
        lag_ms = run(&w, 20, lag_ms, 1000, 0.01);
        lag_ms = run(&w, 8, lag_ms, 0, 0.01);
    }
    ck_assert_uint_eq(w.changes, 0);
    /* A short rest is none. */
    lag_ms = run(&w, 20, lag_ms, 1000, 0.01);
    lag_ms = run(&w, 3, lag_ms, 0, 0.01);
    run(&w, 10, lag_ms, 1000, 0.01);
    ck_assert(w.signature.is_on);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signature");
    TCase *tests = tcase_create("signature");
    tcase_add_test(tests, test_begins_after_thirty_seconds_and_ends_when_the_lag_falls);
    tcase_add_test(tests, test_a_busy_worker_is_slow_and_nothing_else);
    tcase_add_loop_test(tests, test_slope, 0, (int)(sizeof slopes / sizeof *slopes));
    tcase_add_test(tests, test_no_straight_line);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
