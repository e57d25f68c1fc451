/* The signature of a shard that is kept from working, sample by sample, twice a second. */
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

START_TEST(test_a_shard_at_work_is_slow_and_nothing_else)
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

/* Each second for a minute: how many records get done, every how many seconds, in so many jobs of
 * four at most, while the loop is busy for such a share. */
static const struct {
    const char *what;
    uint64_t done;
    int every_s;
    uint32_t jobs;
    double loop;
    bool is_on;
} loads[] = {
    {"an overloaded database: all connections busy, records flow", 50, 1, 4, 0.05, false},
    {"the same with batches of seconds", 200, 4, 4, 0.01, false},
    {"a locked table: all connections wait", 0, 1, 4, 0.01, true},
    {"one locked row: connections are free", 50, 1, 1, 0.1, true},
    {"one of many shards is locked; the worker is at work for the others", 0, 1, 4, 0.9, true},
    {"a worker that has no time for more", 50, 1, 1, 0.95, false},
    {"a shard that does not answer any more", 0, 1, 0, 0.01, true},
};

START_TEST(test_what_counts_as_work)
{
    world w = fresh;
    leat_signature_work work = {0};
    leat_signature_load load = {.most = 4, .jobs = loads[_i].jobs, .loop = loads[_i].loop};
    for (int tick = 0; tick < 120; tick++) {
        load.done += tick % (2 * loads[_i].every_s) == 0 ? loads[_i].done : 0;
        w.now_us += TICK_US;
        double share = leat_signature_work_sample(&work, w.now_us, &load);
        leat_signature_sample(&w.signature, w.now_us, 500 * tick, share);
    }
    ck_assert_msg(w.signature.is_on == loads[_i].is_on, "%s", loads[_i].what);
}
END_TEST

/* A table that becomes locked while its shard is at work is noticed within a minute. */
START_TEST(test_work_that_stops)
{
    world w = fresh;
    leat_signature_work work = {0};
    leat_signature_load load = {.most = 4, .jobs = 4};
    for (int tick = 0; tick < 220; tick++) {
        load.done += tick < 100 ? 50 : 0;
        w.now_us += TICK_US;
        double share = leat_signature_work_sample(&work, w.now_us, &load);
        int64_t lag_ms = tick < 100 ? 20 : 500 * (tick - 100);
        leat_signature_sample(&w.signature, w.now_us, lag_ms, share);
        ck_assert(tick > 130 || !w.signature.is_on);
    }
    ck_assert(w.signature.is_on);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signature");
    TCase *tests = tcase_create("signature");
    tcase_add_test(tests, test_begins_after_thirty_seconds_and_ends_when_the_lag_falls);
    tcase_add_test(tests, test_a_shard_at_work_is_slow_and_nothing_else);
    tcase_add_loop_test(tests, test_what_counts_as_work, 0, (int)(sizeof loads / sizeof *loads));
    tcase_add_loop_test(tests, test_slope, 0, (int)(sizeof slopes / sizeof *slopes));
    tcase_add_test(tests, test_no_straight_line);
    tcase_add_test(tests, test_work_that_stops);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
