/* What is learned about costs. The true costs are the test's. */
#include <math.h>

#include "engine/bill.h"
#include "story.h"

enum { TENANTS = 5 };

typedef struct shop {
    leat_tenant at[LEAT_TENANTS_MAX + 1];
    leat_pairing_node nodes[LEAT_TENANTS_MAX + 1];
    uint16_t buckets[LEAT_TENANT_BUCKETS];
    leat_tenants tenants;
    leat_charge charges[TENANTS];
    leat_bill bill;
    int64_t now_us;
} shop;

static shop *open_shop(void)
{
    static shop s;
    memset(&s, 0, sizeof s);
    leat_tenants_init(&s.tenants, s.at, s.nodes, s.buckets);
    s.bill = (leat_bill){.charges = s.charges, .max = TENANTS};
    return &s;
}

/* A batch of so many records of each; what it takes is learned. */
static void batch(shop *s, const uint32_t records[TENANTS], const double true_us[TENANTS],
                  double fixed_us)
{
    double took_us = fixed_us;
    leat_bill_begin(&s->bill, &s->tenants);
    for (uint32_t i = 0; i < TENANTS; i++) {
        uint32_t at = leat_tenants_take(&s->tenants, 100 + i);
        if (records[i] > 0)
            leat_bill_add(&s->bill, &s->tenants, at, records[i]);
        took_us += records[i] * true_us[i];
    }
    leat_bill_close(&s->bill, &s->tenants);
    leat_bill_settle(&s->bill, &s->tenants, (int64_t)took_us);
    s->now_us += (int64_t)took_us;
    leat_bill_learn(&s->bill, &s->tenants, (int64_t)took_us, s->now_us, false);
}

static double row_us(const shop *s, uint32_t i)
{
    return s->at[leat_tenants_find(&s->tenants, 100 + i)].row_us;
}

START_TEST(the_fixed_part_and_each_tenants_part_separate)
{
    shop *s = open_shop();
    const double true_us[TENANTS] = {10, 20, 40, 10, 15};
    leat_prng prng = {3};
    for (int i = 0; i < 20000; i++) {
        uint32_t records[TENANTS] = {0};
        for (uint32_t k = 0; k < 1 + leat_prng_below(&prng, 200); k++)
            records[leat_prng_below(&prng, TENANTS)]++;
        batch(s, records, true_us, 2000);
    }
    ck_assert_double_gt(s->tenants.cost.fixed_us, 1600);
    ck_assert_double_lt(s->tenants.cost.fixed_us, 2400);
    for (uint32_t i = 0; i < TENANTS; i++) {
        ck_assert_double_gt(row_us(s, i), true_us[i] * 0.7);
        ck_assert_double_lt(row_us(s, i), true_us[i] * 1.4);
    }
}
END_TEST

START_TEST(a_batch_that_surprises_teaches_nothing_but_splits_up_its_tenants)
{
    shop *s = open_shop();
    const double usual_us[TENANTS] = {20, 20, 20, 20, 20};
    const double slow_us[TENANTS] = {20, 50000, 20, 20, 20};
    for (int i = 0; i < 100; i++)
        batch(s, (uint32_t[TENANTS]){10, 10, 10, 10, 10}, usual_us, 1000);
    double before_us = row_us(s, 0);
    batch(s, (uint32_t[TENANTS]){10, 5, 0, 0, 0}, slow_us, 1000);
    ck_assert_double_eq(row_us(s, 0), before_us);
    ck_assert_uint_eq(s->at[leat_tenants_find(&s->tenants, 100)].company, 1);
    ck_assert_uint_eq(s->at[leat_tenants_find(&s->tenants, 101)].company, 1);
    ck_assert_uint_eq(s->at[leat_tenants_find(&s->tenants, 102)].company, 0);
    /* Then its own batch counts, however far it is from the estimate. */
    leat_bill_begin(&s->bill, &s->tenants);
    leat_bill_add(&s->bill, &s->tenants, leat_tenants_find(&s->tenants, 101), 4);
    leat_bill_close(&s->bill, &s->tenants);
    leat_bill_learn(&s->bill, &s->tenants, 201000, s->now_us, true);
    ck_assert_double_gt(row_us(s, 1), 49000);
    ck_assert_double_lt(row_us(s, 1), 51000);
}
END_TEST

START_TEST(several_surprises_in_a_row_are_the_shards)
{
    shop *s = open_shop();
    const double true_us[TENANTS] = {20, 20, 20, 20, 20};
    for (int i = 0; i < 100; i++)
        batch(s, (uint32_t[TENANTS]){10, 10, 0, 0, 0}, true_us, 1000);
    double calm_us = leat_cost_level_us(&s->tenants.cost);
    for (int i = 0; i < 60; i++)
        batch(s, (uint32_t[TENANTS]){10, 10, 0, 0, 0}, true_us, 100000);
    ck_assert_double_gt(s->tenants.cost.fixed_us, 70000);
    ck_assert_double_lt(row_us(s, 0), 40);
    /* A level that rises is believed slowly. */
    ck_assert_double_lt(s->tenants.cost.calm_us, 10 * calm_us);
    ck_assert_double_gt(leat_cost_slowness(&s->tenants.cost, 100000, 100000), 4);
}
END_TEST

/* One record of each tenant in turn, and the shard is calm. */
static shop *calm_shop(const double true_us[TENANTS])
{
    shop *s = open_shop();
    for (int i = 0; i < 200; i++) {
        uint32_t records[TENANTS] = {0};
        records[i % TENANTS] = 1;
        batch(s, records, true_us, 5000);
    }
    return s;
}

static void alone(shop *s, uint32_t i, int64_t took_us)
{
    leat_bill_begin(&s->bill, &s->tenants);
    leat_bill_add(&s->bill, &s->tenants, leat_tenants_find(&s->tenants, 100 + i), 1);
    leat_bill_close(&s->bill, &s->tenants);
    leat_bill_learn(&s->bill, &s->tenants, took_us, s->now_us, true);
}

START_TEST(a_shard_that_turns_slow_has_a_longer_fixed_part_and_the_same_tenants)
{
    const double true_us[TENANTS] = {100, 100, 100, 100, 100};
    shop *s = calm_shop(true_us);
    double before_us = row_us(s, 4);
    for (int i = 0; i < 4; i++)
        batch(s, (uint32_t[TENANTS]){2, 2, 2, 2, 0}, true_us, 105000);
    alone(s, 4, 105000);
    alone(s, 4, 105000);
    ck_assert_double_gt(row_us(s, 4), 50000);
    ck_assert_uint_eq(leat_cost_records_max(&s->tenants.cost), UINT32_MAX);
    batch(s, (uint32_t[TENANTS]){2, 2, 2, 2, 0}, true_us, 105000);
    ck_assert_double_eq_tol(s->tenants.cost.fixed_us, 105000, 1000);
    ck_assert_double_eq(row_us(s, 4), before_us);
    for (uint32_t i = 0; i < TENANTS; i++)
        ck_assert_uint_eq(s->at[leat_tenants_find(&s->tenants, 100 + i)].company, 0);
    /* What a tenant takes now is compared with the others, not taken for its own. */
    alone(s, 4, 505000);
    ck_assert_double_le(row_us(s, 4), 2 * before_us);
}
END_TEST

START_TEST(a_tenant_that_was_slow_before_the_shard_stays_so)
{
    const double true_us[TENANTS] = {100, 100, 100, 100, 100};
    shop *s = calm_shop(true_us);
    alone(s, 4, 205000);
    double slow_us = row_us(s, 4);
    s->now_us++;
    batch(s, (uint32_t[TENANTS]){1, 1, 1, 1, 0}, true_us, 5000);
    for (int i = 0; i < 5; i++)
        batch(s, (uint32_t[TENANTS]){2, 2, 2, 2, 0}, true_us, 105000);
    ck_assert_double_eq(row_us(s, 4), slow_us);
}
END_TEST

/* Whatever it is that takes longer now: what a batch may have grows with the largest that was
 * tried, until the line knows. */
START_TEST(a_shard_that_turned_slow_is_given_twice_as_much_each_time)
{
    const double true_us[TENANTS] = {100, 100, 100, 100, 100};
    for (int kind = 0; kind < 2; kind++) {
        shop *s = calm_shop(true_us);
        double slow_us[TENANTS], fixed_us = kind == 0 ? 105000 : 5000;
        for (int i = 0; i < TENANTS; i++)
            slow_us[i] = kind == 0 ? 100 : 12600;
        leat_cost *cost = &s->tenants.cost;
        for (int i = 0; i < 5; i++)
            batch(s, (uint32_t[TENANTS]){2, 2, 2, 2, 0}, slow_us, fixed_us);
        ck_assert_uint_eq(leat_cost_records_max(cost), 16);
        uint32_t tried = 8;
        for (int i = 0; leat_cost_records_max(cost) < UINT32_MAX; i++) {
            ck_assert_int_lt(i, 200);
            ck_assert_uint_eq(leat_cost_records_max(cost), 2 * tried);
            double by_time = (250000 - cost->fixed_us) / cost->usual_us;
            uint32_t most = leat_cost_records_max(cost) / TENANTS;
            most = by_time / TENANTS < most ? (uint32_t)(by_time / TENANTS) : most;
            most = most < 200 ? most : 200;
            ck_assert_double_lt(fixed_us + most * TENANTS * slow_us[0], 600000);
            batch(s, (uint32_t[TENANTS]){most, most, most, most, most}, slow_us, fixed_us);
            tried = most * TENANTS > tried ? most * TENANTS : tried;
        }
        ck_assert_uint_ge(tried, kind == 0 ? 900 : 10);
    }
}
END_TEST

START_TEST(a_slow_start_is_not_what_is_normal)
{
    const double true_us[TENANTS] = {100, 100, 100, 100, 100};
    shop *s = open_shop();
    batch(s, (uint32_t[TENANTS]){1, 0, 0, 0, 0}, true_us, 20000);
    for (int i = 0; i < 1000; i++)
        batch(s, (uint32_t[TENANTS]){1, 1, 0, 0, 0}, true_us, 5000);
    ck_assert_double_lt(s->tenants.cost.normal_us, 20000);
    for (int i = 0; i < 10; i++)
        batch(s, (uint32_t[TENANTS]){1, 1, 0, 0, 0}, true_us, 105000);
    ck_assert_double_gt(leat_cost_level_us(&s->tenants.cost), 4 * s->tenants.cost.normal_us);
}
END_TEST

START_TEST(costs_of_one_class_lie_within_a_factor_of_4)
{
    leat_prng prng = {9};
    double least[LEAT_COST_CLASSES], most[LEAT_COST_CLASSES] = {0};
    for (int i = 0; i < LEAT_COST_CLASSES; i++)
        least[i] = 1e12;
    for (int run = 0; run < 1000; run++) {
        double us = pow(2, (double)leat_prng_below(&prng, 2000) / 100);
        uint8_t class = (uint8_t)leat_prng_below(&prng, LEAT_COST_CLASSES);
        for (int i = 0; i < 50; i++) {
            class = leat_cost_class(us, class);
            ck_assert_uint_eq(leat_cost_class(us, class), class);
            least[class] = us < least[class] ? us : least[class];
            most[class] = us > most[class] ? us : most[class];
            us *= pow(2, ((double)leat_prng_below(&prng, 201) - 100) / 200);
            us = us < 2 ? 2 : us > 2e7 ? 2e7 : us;
        }
    }
    for (int i = 1; i + 1 < LEAT_COST_CLASSES; i++)
        if (most[i] > 0)
            ck_assert_double_le(most[i], 4.001 * least[i]);
}
END_TEST

/* A tenant has a hundredth of its batches, which take now more, now less than is thought. */
START_TEST(chance_does_not_drive_the_costs_of_a_crowd_apart)
{
    leat_cost cost;
    leat_cost_init(&cost);
    leat_prng prng = {7};
    double least_us = cost.usual_us, most_us = cost.usual_us;
    for (int tenant = 0; tenant < 20; tenant++) {
        double us = cost.usual_us;
        for (int i = 0; i < 20000; i++) {
            double share_us = us * (double)(1 + leat_prng_below(&prng, 5));
            leat_cost_batch batch = {.rows_us = 99 * 3 * cost.usual_us + share_us,
                                     .squares = 99 * 11 * cost.usual_us * cost.usual_us +
                                                share_us * share_us};
            double error_us = batch.rows_us * ((double)leat_prng_below(&prng, 100) - 50) / 100;
            us = leat_cost_learn_record(&cost, us, share_us, error_us, &batch);
            least_us = us < least_us ? us : least_us;
            most_us = us > most_us ? us : most_us;
        }
    }
    ck_assert_double_gt(least_us, cost.usual_us / 8);
    ck_assert_double_lt(most_us, cost.usual_us * 8);
}
END_TEST

START_TEST(a_cost_near_a_border_stays_in_its_class)
{
    uint8_t class = leat_cost_class(14, 0);
    ck_assert_uint_eq(leat_cost_class(17, class), class);
    ck_assert_uint_ne(leat_cost_class(19, class), class);
}
END_TEST

START_TEST(a_bill_charges_the_estimate_then_what_was_taken)
{
    shop *s = open_shop();
    leat_bill_begin(&s->bill, &s->tenants);
    uint32_t a = leat_tenants_take(&s->tenants, 100), b = leat_tenants_take(&s->tenants, 101);
    leat_bill_add(&s->bill, &s->tenants, a, 30);
    leat_bill_serve(&s->bill, &s->tenants, a);
    leat_bill_add(&s->bill, &s->tenants, b, 10);
    ck_assert_int_eq(s->at[a].served_us, 600);
    ck_assert_int_eq(s->at[b].served_us, 0);
    leat_bill_close(&s->bill, &s->tenants);
    ck_assert_double_eq(s->bill.estimate_us, 1800);
    ck_assert_int_eq(s->at[a].served_us, 1350);
    ck_assert_int_eq(s->at[b].served_us, 450);
    leat_bill_settle(&s->bill, &s->tenants, 8000);
    ck_assert_int_eq(s->at[a].served_us, 6000);
    ck_assert_int_eq(s->at[b].served_us, 2000);
    /* The disk's, perhaps; 51.8 ms is the longest that does not surprise. */
    leat_bill_settle(&s->bill, &s->tenants, 600000);
    ck_assert_int_eq(s->at[a].served_us, 38850);
    ck_assert_int_eq(s->at[b].served_us, 12950);
}
END_TEST

enum { MANY = 20 };

/* A batch of many tenants, of which each has one record, is done now. */
static void crowd(shop *s, leat_bill *bill, int64_t took_us)
{
    leat_bill_begin(bill, &s->tenants);
    for (uint32_t i = 0; i < MANY; i++)
        leat_bill_add(bill, &s->tenants, leat_tenants_take(&s->tenants, 100 + i), 1);
    leat_bill_close(bill, &s->tenants);
    leat_bill_learn(bill, &s->tenants, took_us, s->now_us, false);
}

START_TEST(a_crowd_is_split_up_by_a_second_surprise_that_began_after_the_first)
{
    static const struct {
        int64_t later_us; /* the second is done so much later; both take 300 ms */
        uint16_t company;
    } cases[] = {{0, 0}, {299999, 0}, {300000, MANY / 8}, {5000000, MANY / 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shop *s = open_shop();
        leat_charge charges[MANY];
        leat_bill bill = {.charges = charges, .max = MANY};
        for (int k = 0; k < 100; k++)
            crowd(s, &bill, 1500);
        s->now_us = 1000000;
        crowd(s, &bill, 300000);
        const leat_tenant *one = &s->at[leat_tenants_find(&s->tenants, 100)];
        ck_assert_uint_eq(one->company, 0);
        s->now_us += cases[i].later_us;
        crowd(s, &bill, 300000);
        ck_assert_uint_eq(one->company, cases[i].company);
    }
}
END_TEST

START_TEST(more_tenants_than_a_bill_has_room_for_are_charged_with_the_first)
{
    shop *s = open_shop();
    leat_bill_begin(&s->bill, &s->tenants);
    for (uint64_t i = 1; i <= TENANTS + 3; i++)
        leat_bill_add(&s->bill, &s->tenants, leat_tenants_take(&s->tenants, i), 1);
    ck_assert_uint_eq(s->bill.count, TENANTS);
    ck_assert_uint_eq(s->bill.records, TENANTS + 3);
    ck_assert_uint_eq(s->bill.charges[0].records, 4);
}
END_TEST

STORY_MAIN("cost", the_fixed_part_and_each_tenants_part_separate,
           a_batch_that_surprises_teaches_nothing_but_splits_up_its_tenants,
           several_surprises_in_a_row_are_the_shards,
           a_shard_that_turns_slow_has_a_longer_fixed_part_and_the_same_tenants,
           a_tenant_that_was_slow_before_the_shard_stays_so,
           a_shard_that_turned_slow_is_given_twice_as_much_each_time,
           a_slow_start_is_not_what_is_normal, costs_of_one_class_lie_within_a_factor_of_4,
           a_cost_near_a_border_stays_in_its_class, a_bill_charges_the_estimate_then_what_was_taken,
           a_crowd_is_split_up_by_a_second_surprise_that_began_after_the_first,
           chance_does_not_drive_the_costs_of_a_crowd_apart,
           more_tenants_than_a_bill_has_room_for_are_charged_with_the_first)
