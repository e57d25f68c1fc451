/* The formulae of leat plan: cases worked by hand, and that more of anything never helps where it
 * should not. */
#include <check.h>
#include <math.h>

#include "plan/plan.h"

/* A batch of 1000 rows takes 2 ms + 8 ms, so one connection applies 100,000 a second. */
static leat_plan_input simple(void)
{
    return (leat_plan_input){.fixed_us = 2000,
                             .row_us = 8,
                             .serial = 0,
                             .reader_us = 5,
                             .writes_s = 80000,
                             .spike = 1,
                             .spike_s = 600,
                             .lag_s = 30,
                             .record_bytes = 100,
                             .shards = 2,
                             .batch_records = 1000,
                             .records_max = 196608,
                             .memory_max = 196608 * 600,
                             .overhead_bytes = 500};
}

static leat_plan plan_of(leat_plan_input input)
{
    leat_plan plan;
    leat_error error;
    ck_assert_msg(leat_plan_check(&input, &error) == 0, "%s", error.text);
    leat_plan_make(&input, &plan);
    return plan;
}

#define NEAR(a, b) ck_assert_double_eq_tol(a, b, 1e-6 * fmax(1.0, fabs((double)(b))))

START_TEST(a_steady_load_by_hand)
{
    leat_plan plan = plan_of(simple());
    NEAR(plan.shard_writes_s, 40000);
    NEAR(plan.needed_s, 50000);
    NEAR(plan.batch_us, 10000);
    ck_assert_uint_eq(plan.connections, 1);
    NEAR(plan.capacity_s, 100000);
    NEAR(plan.busy, 0.4);
    /* 40,000/s * 8 us = 0.32 of the time is rows: a batch takes 2 ms / 0.68 + 8 us */
    NEAR(plan.lag_s, 1.5 * (2000 / 0.68 + 8) / 1e6);
    ck_assert_uint_eq(plan.partitions, 4);
    ck_assert_uint_eq(plan.workers, 1);
    ck_assert_int_eq(plan.shortage, LEAT_PLAN_ENOUGH);
}
END_TEST

START_TEST(a_spike_by_hand)
{
    /* 120,000/s for 60 s may wait 30 s: 120,000 * 60 / 90 = 80,000/s are needed, one connection has
     * 100,000; 20,000/s * 60 s are left */
    leat_plan_input input = simple();
    input.spike = 3;
    input.spike_s = 60;
    leat_plan plan = plan_of(input);
    NEAR(plan.needed_s, 80000);
    ck_assert_uint_eq(plan.connections, 1);
    NEAR(plan.spike_backlog, 1200000);
    NEAR(plan.spike_lag_s - plan.lag_s, 12);
    NEAR(plan.spike_catch_up_s, 20);
}
END_TEST

START_TEST(an_outage_by_hand)
{
    leat_plan_input input = simple();
    input.outage_s = 600;
    leat_plan plan = plan_of(input);
    NEAR(plan.outage_backlog, 24000000);
    NEAR(plan.outage_catch_up_s, 24000000.0 / 60000);
    NEAR(plan.outage_lag_s - plan.lag_s, 600 + 0.65536); /* what is in memory may be in its way */
    NEAR(leat_plan_catch_up(1000, 300, 100), 5);
    NEAR(leat_plan_catch_up(0, 100, 100), 0);
    ck_assert(isinf(leat_plan_catch_up(1, 100, 100)));
}
END_TEST

START_TEST(what_is_held_is_limited_by_records_or_bytes)
{
    leat_plan_input input = simple();
    input.outage_s = 600;
    NEAR(plan_of(input).held, 65536);
    input.records_max = 3000;
    NEAR(plan_of(input).held, 1000);
    input.partitions_max = 8; /* four of each shard */
    NEAR(plan_of(input).held, 1200);
    input.shards = 1;
    NEAR(plan_of(input).held, 2666);
    /* 24 MiB / (100 + 500) / 2 * 2/3 */
    input = simple();
    input.outage_s = 600;
    input.memory_max = 24 << 20;
    leat_plan plan = plan_of(input);
    NEAR(plan.held, 13981);
    NEAR(plan.outage_lag_s - plan.lag_s, 600 + 0.13981);
    /* Fewer in memory, fewer of one row among them. */
    input.keys = 2 * 65536;
    double few = plan_of(input).row_writes;
    input.memory_max *= 2;
    ck_assert_double_lt(plan_of(input).row_writes, few);
}
END_TEST

START_TEST(a_backlog_is_folded_by_hand)
{
    /* 65,536 records in memory, and as many rows in the shard: 1 - 1/e of the records are the first
     * of their row. A batch of 1000 takes 2 ms + 632 * 8 us. */
    leat_plan_input input = simple();
    input.outage_s = 600;
    input.keys = 2 * 65536;
    leat_plan plan = plan_of(input);
    double first = 1 - exp(-1);
    ck_assert_double_eq_tol(plan.row_writes, first, 1e-5);
    ck_assert_double_eq_tol(plan.behind_s, 1000e6 / (2000 + 1000 * first * 8), 10);
    NEAR(plan.outage_catch_up_s, plan.outage_backlog / (plan.behind_s - plan.shard_writes_s));
    /* The mean over one that goes: the integral of (1 - e^-x) / x from 0 to 1 is 0.7966. */
    ck_assert_double_eq_tol(leat_plan_row_writes(&input, 65536), 0.7966, 0.001);
    NEAR(leat_plan_row_writes(&input, 10), leat_plan_distinct(1000, 65536, 0) / 1000);
    /* Cheaper records fit a batch that is limited by time: 400 rows of 620 us in 250 ms - 2 ms. */
    input.row_us = 620;
    input.writes_s = 1000;
    plan = plan_of(input);
    NEAR(plan.batch, 400);
    ck_assert_double_eq_tol(plan.behind_s, 1e6 / (620 * plan.row_writes + 2000 / 500.0), 30);
}
END_TEST

START_TEST(a_backlog_is_read_no_faster_by_hand)
{
    /* Each of two shards gets 40,000/s; the one worker reads 125,000/s, and 40,000/s are of the
     * other shard. 24,000,000 records and 40,000/s more take 85,000/s that long. */
    leat_plan_input input = simple();
    input.reader_us = 8;
    input.connections = 3;
    input.outage_s = 600;
    leat_plan plan = plan_of(input);
    ck_assert_uint_eq(plan.workers, 1);
    NEAR(plan.reading_s, 85000);
    NEAR(plan.behind_s, 85000);
    NEAR(plan.outage_catch_up_s, 24000000 / 45000.0);
    NEAR(leat_plan_reading(&input, 2, 4, 40000), 2 * (125000 - 10000));
}
END_TEST

START_TEST(connections_that_are_given)
{
    leat_plan_input input = simple();
    input.connections = 3;
    leat_plan plan = plan_of(input);
    ck_assert_uint_eq(plan.connections, 3);
    NEAR(plan.capacity_s, 300000);
    input.connections = 1;
    input.writes_s = 400000; /* 250,000 are needed */
    ck_assert_int_eq(plan_of(input).shortage, LEAT_PLAN_CONNECTIONS);
}
END_TEST

START_TEST(several_connections)
{
    NEAR(leat_plan_speed_up(1, 0.5), 1);
    NEAR(leat_plan_speed_up(4, 0), 4);
    NEAR(leat_plan_speed_up(3, 0.5), 1.5);
    NEAR(leat_plan_speed_up(9, 1), 1);
    leat_plan_input input = simple();
    input.serial = 0.5;
    input.writes_s = 200000; /* 125,000 are needed: 1.25 times one; two connections are 1.33 */
    leat_plan plan = plan_of(input);
    ck_assert_uint_eq(plan.connections, 2);
    NEAR(plan.capacity_s, 100000 * 4 / 3.0);
}
END_TEST

START_TEST(shares_by_hand)
{
    NEAR(leat_plan_top_share(3, 1), 6 / 11.0);
    NEAR(leat_plan_top_share(1e6, 0), 1e-6);
    NEAR(leat_plan_shard_share(0, 1, 4), 0.25);
    NEAR(leat_plan_shard_share(1, 1, 4), 1);
    NEAR(leat_plan_shard_share(5, 1, 1), 1);
    /* the harmonic number of ten million */
    ck_assert_double_eq_tol(1 / leat_plan_top_share(1e7, 1), 16.695311, 0.001);
    NEAR(leat_plan_distinct(100, 0, 0), 100);
    NEAR(leat_plan_distinct(2, 2, 0), 1.5);
    NEAR(leat_plan_distinct(1, 1000, 1.1), 1);
    /* All alike is a formula, nearly alike a sum over the keys. */
    for (double keys = 1; keys < 1e6; keys *= 7)
        NEAR(leat_plan_distinct(1000, keys, 0), leat_plan_distinct(1000, keys, 1e-12));
    ck_assert_double_eq_tol(leat_plan_distinct(1000, 1e8, 0), 1000, 0.01);
    ck_assert_double_lt(leat_plan_distinct(1000, 1e6, 1.1), 550);
}
END_TEST

START_TEST(what_was_measured_becomes_a_line)
{
    const uint32_t sizes[] = {1, 10, 100, 1000};
    double fixed, row;
    leat_plan_fit(sizes, (const double[]){508, 580, 1300, 8500}, 4, &fixed, &row);
    NEAR(fixed, 500);
    NEAR(row, 8);
    /* A tenth off in one size is a tenth off at most. */
    leat_plan_fit(sizes, (const double[]){508, 580, 1300, 9350}, 4, &fixed, &row);
    ck_assert_double_eq_tol(fixed, 500, 50);
    ck_assert_double_eq_tol(row, 8, 0.9);
    /* Larger ones that are quicker: still a line that makes sense. */
    leat_plan_fit(sizes, (const double[]){900, 800, 700, 600}, 4, &fixed, &row);
    ck_assert_double_gt(fixed, 0);
    ck_assert_double_gt(row, 0);
    NEAR(leat_plan_serial(4, 4), 0);
    NEAR(leat_plan_serial(4, 1), 1);
    NEAR(leat_plan_serial(4, 0.5), 1);
    NEAR(leat_plan_speed_up(4, leat_plan_serial(4, 2.5)), 2.5);
}
END_TEST

START_TEST(what_is_short_is_said)
{
    leat_plan_input input = simple();
    input.serial = 0.5; /* 200,000/s at most, 0.8 of them when steady: three shards for 400,000 */
    input.writes_s = 400000;
    leat_plan plan = plan_of(input);
    ck_assert_int_eq(plan.shortage, LEAT_PLAN_ROWS);
    ck_assert_uint_eq(plan.shards_needed, 3);
    input.tenants = 1;
    ck_assert_uint_eq(plan_of(input).shards_needed, 0);

    input = simple();
    input.partitions_max = 2;
    ck_assert_int_eq(plan_of(input).shortage, LEAT_PLAN_ENOUGH);
    input.reader_us = 25;
    ck_assert_int_eq(plan_of(input).shortage, LEAT_PLAN_PARTITIONS);

    input = simple();
    input.writes_s = 1e6;
    input.shards = 64;
    input.keys = 1;
    ck_assert_int_eq(plan_of(input).shortage, LEAT_PLAN_HOT_ROW);
}
END_TEST

START_TEST(numbers_that_make_no_sense_are_refused)
{
    leat_error error;
    leat_plan_input input = simple();
    input.serial = 1.1;
    ck_assert_int_ne(leat_plan_check(&input, &error), 0);
    ck_assert_str_eq(error.text, "the serial part must be from 0 to 1, not 1.1");
    input = simple();
    input.row_us = (double)NAN;
    ck_assert_int_ne(leat_plan_check(&input, &error), 0);
}
END_TEST

/* ---- more of one thing ---- */

typedef struct more {
    const char *name;
    size_t at;
    double values[5];
    int direction; /* of what is needed */
} more;

#define OF(field) offsetof(leat_plan_input, field)
static const more mores[] = {
    {"writes", OF(writes_s), {1000, 10000, 50000, 100000, 300000}, 1},
    {"fixed", OF(fixed_us), {100, 1000, 3000, 10000, 30000}, 1},
    {"row", OF(row_us), {1, 5, 8, 20, 60}, 1},
    {"serial", OF(serial), {0, 0.05, 0.1, 0.3, 0.9}, 1},
    {"reader", OF(reader_us), {1, 2, 5, 8, 20}, 1},
    {"spike", OF(spike), {1, 1.5, 2, 4, 8}, 1},
    {"spike_for", OF(spike_s), {0, 10, 60, 600, 6000}, 1},
    {"lag", OF(lag_s), {0.1, 1, 10, 60, 600}, -1},
    {"outage", OF(outage_s), {0, 1, 20, 600, 6000}, 1},
    {"tenant_skew", OF(tenant_skew), {0, 0.5, 0.8, 1, 1.4}, 1},
    {"keys", OF(keys), {1e3, 1e4, 1e5, 1e6, 1e9}, 1},
    {"key_skew", OF(key_skew), {0, 0.5, 0.8, 1, 1.4}, -1},
};

START_TEST(each_input_moves_what_is_needed_one_way)
{
    const more *one = &mores[_i];
    leat_plan before = {0};
    for (uint32_t i = 0; i < 5; i++) {
        leat_plan_input input = simple();
        input.tenants = 1000;
        input.tenant_skew = 0.9;
        input.keys = 1e6;
        input.spike = 2;
        input.outage_s = 60;
        *(double *)((char *)&input + one->at) = one->values[one->direction > 0 ? i : 4 - i];
        leat_plan plan = plan_of(input);
        ck_assert_msg(i == 0 ||
                          (plan.needed_s >= before.needed_s * (1 - 1e-9) &&
                           plan.connections >= before.connections &&
                           plan.partitions >= before.partitions && plan.workers >= before.workers &&
                           plan.outage_backlog >= before.outage_backlog * (1 - 1e-9)),
                      "%s, step %u: %u connections, before %u", one->name, i, plan.connections,
                      before.connections);
        before = plan;
    }
}
END_TEST

START_TEST(more_shards_never_need_more_each)
{
    for (double skew = 0; skew < 1.6; skew += 0.3)
        for (double tenants = 1; tenants < 1e6; tenants *= 7)
            for (uint32_t shards = 1; shards < 64; shards++)
                ck_assert(leat_plan_shard_share(tenants, skew, shards + 1) <=
                          leat_plan_shard_share(tenants, skew, shards) + 1e-12);
}
END_TEST

START_TEST(a_faster_shard_catches_up_sooner)
{
    double before = INFINITY;
    for (double capacity = 101; capacity < 1000; capacity += 10) {
        double now = leat_plan_catch_up(500, capacity, 100);
        ck_assert(now < before);
        before = now;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("plan");
    tcase_add_test(tests, a_steady_load_by_hand);
    tcase_add_test(tests, a_spike_by_hand);
    tcase_add_test(tests, an_outage_by_hand);
    tcase_add_test(tests, what_is_held_is_limited_by_records_or_bytes);
    tcase_add_test(tests, a_backlog_is_folded_by_hand);
    tcase_add_test(tests, a_backlog_is_read_no_faster_by_hand);
    tcase_add_test(tests, connections_that_are_given);
    tcase_add_test(tests, several_connections);
    tcase_add_test(tests, shares_by_hand);
    tcase_add_test(tests, what_was_measured_becomes_a_line);
    tcase_add_test(tests, what_is_short_is_said);
    tcase_add_test(tests, numbers_that_make_no_sense_are_refused);
    tcase_add_loop_test(tests, each_input_moves_what_is_needed_one_way, 0,
                        (int)(sizeof mores / sizeof *mores));
    tcase_add_test(tests, more_shards_never_need_more_each);
    tcase_add_test(tests, a_faster_shard_catches_up_sooner);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
