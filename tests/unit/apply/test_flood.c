/* Whose records most of what waits are, and how long whoever is refused should wait. */
#include "../record/fixture.h"

#include "apply/flood.h"
#include "record/controls.h"

static uint32_t loud(const leat_flood *flood, const char *tenant)
{
    leat_flood_tenant found[LEAT_FLOOD_LOUD_MAX];
    uint32_t count = leat_flood_loud(flood, found), named = 0;
    for (uint32_t i = 0; i < count; i++)
        named += strcmp(found[i].name, tenant) == 0;
    for (uint32_t i = 1; i < count; i++)
        ck_assert_double_ge(found[i - 1].bytes, found[i].bytes);
    ck_assert_uint_le(named, 1);
    return named;
}

START_TEST(above_a_quarter_is_loud)
{
    leat_flood flood = {0};
    leat_flood_tenant found[LEAT_FLOOD_LOUD_MAX];
    ck_assert_uint_eq(leat_flood_loud(&flood, found), 0);
    leat_flood_add(&flood, LEAT_SLICE("7"), 26);
    leat_flood_add(&flood, LEAT_SLICE("8"), 24);
    leat_flood_add(&flood, LEAT_SLICE(""), 50); /* without a tenant */
    ck_assert_uint_eq(loud(&flood, "7"), 1);
    ck_assert_uint_eq(loud(&flood, "8"), 0);
    ck_assert_uint_eq(leat_flood_loud(&flood, found), 1);
}
END_TEST

START_TEST(the_loud_one_is_found_among_very_many)
{
    leat_flood flood = {0};
    char name[16];
    for (uint32_t i = 0; i < 200000; i++) {
        snprintf(name, sizeof name, "t%u", i % 5000);
        leat_flood_add(&flood, leat_slice_of(name), 10);
        if (i % 2 == 0)
            leat_flood_add(&flood, LEAT_SLICE("loud"), 11);
    }
    leat_flood_tenant found[LEAT_FLOOD_LOUD_MAX];
    ck_assert_uint_eq(leat_flood_loud(&flood, found), 1);
    ck_assert_uint_eq(loud(&flood, "loud"), 1);
}
END_TEST

START_TEST(many_of_one_size_are_none_of_them_loud)
{
    leat_flood flood = {0};
    leat_flood_tenant found[LEAT_FLOOD_LOUD_MAX];
    char name[16];
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "t%u", i % 1000);
        leat_flood_add(&flood, leat_slice_of(name), 100);
    }
    ck_assert_uint_eq(leat_flood_loud(&flood, found), 0);
}
END_TEST

/* Two tenants whose texts differ in what no name has room for, and one that is just short enough.
 */
START_TEST(a_long_text_counts_as_any_other)
{
    leat_flood flood = {0};
    leat_flood_tenant found[LEAT_FLOOD_LOUD_MAX];
    char one[600], room[LEAT_FLOOD_NAME_SIZE];
    memset(one, 'x', sizeof one);
    leat_slice tenant = {one, sizeof one}, shorter = {one, sizeof one - 1},
               plain = {one, LEAT_FLOOD_NAME_SIZE - 1};
    for (int i = 0; i < 30; i++)
        leat_flood_add(&flood, tenant, 1);
    leat_flood_add(&flood, shorter, 20);
    leat_flood_add(&flood, plain, 40);
    ck_assert_uint_eq(leat_flood_loud(&flood, found), 2);
    ck_assert(leat_slice_is(plain, found[0].name));
    ck_assert(leat_slice_is(leat_flood_name(tenant, room), found[1].name));
    leat_flood_take(&flood, tenant, 30);
    ck_assert_uint_eq(leat_flood_loud(&flood, found), 2);
    ck_assert(leat_slice_is(leat_flood_name(shorter, room), found[1].name));
}
END_TEST

/* Nothing fades by itself, and what is there no longer does not count. */
START_TEST(what_is_taken_out_counts_no_longer)
{
    leat_flood flood = {0};
    leat_flood_add(&flood, LEAT_SLICE("old"), 600000);
    leat_flood_add(&flood, LEAT_SLICE(""), 1000);
    for (int i = 0; i < 1000; i++) {
        leat_flood_add(&flood, LEAT_SLICE("new"), 1000);
        leat_flood_take(&flood, LEAT_SLICE("new"), 1000);
    }
    ck_assert_uint_eq(loud(&flood, "old"), 1);
    ck_assert_uint_eq(loud(&flood, "new"), 0);
    leat_flood_add(&flood, LEAT_SLICE("new"), 1000);
    leat_flood_take(&flood, LEAT_SLICE("old"), 599999);
    ck_assert_uint_eq(loud(&flood, "old"), 0);
    ck_assert_uint_eq(loud(&flood, "new"), 1);
    leat_flood_take(&flood, LEAT_SLICE(""), 1000);
    leat_flood_take(&flood, LEAT_SLICE("new"), 1000);
    ck_assert_uint_eq(loud(&flood, "old"), 1); /* all that is left is its own */
}
END_TEST

/* Of very many that come and go, none is taken for the one that stays. */
START_TEST(those_that_come_and_go_are_not_loud)
{
    leat_flood flood = {0};
    char name[16];
    leat_flood_add(&flood, LEAT_SLICE("stays"), 50000);
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "t%u", i);
        leat_flood_add(&flood, leat_slice_of(name), 100);
        if (i < 200)
            continue;
        snprintf(name, sizeof name, "t%u", i - 200);
        leat_flood_take(&flood, leat_slice_of(name), 100);
    }
    leat_flood_tenant found[LEAT_FLOOD_LOUD_MAX];
    ck_assert_uint_eq(leat_flood_loud(&flood, found), 1);
    ck_assert_uint_eq(loud(&flood, "stays"), 1);
    ck_assert_double_eq(flood.bytes.total, 50000 + 200 * 100);
}
END_TEST

START_TEST(what_was_read_long_ago_weighs_less)
{
    leat_flood flood = {0};
    leat_flood_add(&flood, LEAT_SLICE("old"), 600000);
    ck_assert_uint_eq(loud(&flood, "old"), 1);
    for (int minute = 0; minute < 100; minute++)
        leat_flood_fade(&flood);
    ck_assert_uint_eq(loud(&flood, "old"), 1); /* nothing came since: the share is what it was */
    for (int minute = 0; minute < 20; minute++) {
        leat_flood_add(&flood, LEAT_SLICE("new"), 1000);
        leat_flood_fade(&flood);
    }
    ck_assert_uint_eq(loud(&flood, "old"), 0);
    ck_assert_uint_eq(loud(&flood, "new"), 1);
}
END_TEST

/* What several have, and what nobody is known to have. */
START_TEST(shares_are_of_all_that_is_joined)
{
    leat_flood one = {0}, other = {0}, sum = {0};
    leat_flood_add(&one, LEAT_SLICE("7"), 30);
    leat_flood_add(&one, LEAT_SLICE("8"), 10);
    leat_flood_add(&other, LEAT_SLICE("8"), 20);
    leat_flood_add(&other, LEAT_SLICE(""), 10);
    leat_flood_join(&sum, &one, 0);
    ck_assert_uint_eq(loud(&sum, "8"), 0);
    leat_flood_join(&sum, &other, 0);
    ck_assert_double_eq(sum.bytes.total, 70);
    ck_assert_uint_eq(loud(&sum, "7") + loud(&sum, "8"), 2);
    leat_flood_join(&sum, &(leat_flood){0}, 50);
    ck_assert_uint_eq(loud(&sum, "7") + loud(&sum, "8"), 0);
    ck_assert_double_eq(sum.bytes.total, 120);
}
END_TEST

START_TEST(a_wait_is_the_backlog_over_the_rate_within_bounds)
{
    ck_assert_int_eq(leat_flood_wait_s(1000, 0), 60);
    ck_assert_int_eq(leat_flood_wait_s(1000, 10), 100);
    ck_assert_int_eq(leat_flood_wait_s(1, 1000), 1);
    ck_assert_int_eq(leat_flood_wait_s(UINT64_MAX, 0.001), 600);
}
END_TEST

static uint32_t late(leat_flood *flood, uint32_t parts, const char *first)
{
    leat_flood_tenant found[LEAT_FLOOD_LATE_MAX];
    uint32_t count = leat_flood_late(flood, parts, found);
    if (count > 0)
        ck_assert_str_eq(found[0].name, first);
    for (uint32_t i = 1; i < count; i++)
        ck_assert_double_ge(found[i - 1].bytes, found[i].bytes);
    return count;
}

START_TEST(who_is_refused_as_late_stays_so_until_half_of_that_share)
{
    leat_flood flood = {0};
    leat_flood_add(&flood, LEAT_SLICE("7"), 30);
    leat_flood_add(&flood, LEAT_SLICE("8"), 20);
    leat_flood_add(&flood, LEAT_SLICE(""), 50);
    ck_assert_uint_eq(late(&flood, 4, "7"), 1);
    ck_assert_uint_eq(late(&flood, 8, "7"), 2);  /* from an eighth on */
    leat_flood_add(&flood, LEAT_SLICE(""), 100); /* 15 % and 10 % */
    ck_assert_uint_eq(late(&flood, 8, "7"), 2);
    ck_assert_uint_eq(late(&flood, 4, "7"), 1);
    leat_flood_add(&flood, LEAT_SLICE(""), 100);
    ck_assert_uint_eq(late(&flood, 4, ""), 0);
    ck_assert_uint_eq(late(&flood, 8, ""), 0); /* 10 %: it was refused no longer */
}
END_TEST

START_TEST(nobody_stays_once_it_is_over)
{
    leat_flood flood = {0};
    leat_flood_add(&flood, LEAT_SLICE("7"), 30);
    leat_flood_add(&flood, LEAT_SLICE(""), 70);
    ck_assert_uint_eq(late(&flood, 4, "7"), 1);
    leat_flood_add(&flood, LEAT_SLICE(""), 50); /* 20 % */
    ck_assert_uint_eq(late(&flood, 4, "7"), 1);
    leat_flood_not_late(&flood);
    ck_assert_uint_eq(late(&flood, 4, ""), 0);
}
END_TEST

START_TEST(the_largest_of_many_are_refused_as_late)
{
    leat_flood flood = {0};
    leat_flood_tenant found[LEAT_FLOOD_LATE_MAX];
    char name[16];
    for (uint32_t i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "t%u", i);
        leat_flood_add(&flood, leat_slice_of(name), 101 + i);
    }
    ck_assert_uint_eq(leat_flood_late(&flood, 8, found), 7);
    leat_flood_add(&flood, LEAT_SLICE("new"), 120);
    ck_assert_uint_eq(leat_flood_late(&flood, 8, found), 7); /* there are eight */
    ck_assert_str_eq(found[0].name, "new");
    ck_assert_str_eq(found[6].name, "t1");
}
END_TEST

/* Another tenant in the place of one that was refused begins as others do. */
START_TEST(a_place_is_not_refused_with_its_tenant)
{
    leat_flood flood = {0};
    char name[16];
    leat_flood_add(&flood, LEAT_SLICE("7"), 30);
    leat_flood_add(&flood, LEAT_SLICE(""), 70);
    ck_assert_uint_eq(late(&flood, 4, "7"), 1);
    uint32_t place = leat_heavy_find(&flood.bytes, leat_hash(LEAT_SLICE("7")));
    for (uint32_t i = 0; i < 2 * LEAT_HEAVY_MAX - 1; i++) {
        snprintf(name, sizeof name, "t%u", i);
        leat_flood_add(&flood, leat_slice_of(name), 31);
    }
    leat_flood_add(&flood, LEAT_SLICE("8"), 500); /* a fifth */
    ck_assert_uint_eq(leat_heavy_find(&flood.bytes, leat_hash(LEAT_SLICE("8"))), place);
    ck_assert_uint_eq(late(&flood, 4, ""), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flood");
    TCase *tests = tcase_create("flood");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, above_a_quarter_is_loud);
    tcase_add_test(tests, the_loud_one_is_found_among_very_many);
    tcase_add_test(tests, many_of_one_size_are_none_of_them_loud);
    tcase_add_test(tests, a_long_text_counts_as_any_other);
    tcase_add_test(tests, what_is_taken_out_counts_no_longer);
    tcase_add_test(tests, those_that_come_and_go_are_not_loud);
    tcase_add_test(tests, what_was_read_long_ago_weighs_less);
    tcase_add_test(tests, shares_are_of_all_that_is_joined);
    tcase_add_test(tests, who_is_refused_as_late_stays_so_until_half_of_that_share);
    tcase_add_test(tests, nobody_stays_once_it_is_over);
    tcase_add_test(tests, the_largest_of_many_are_refused_as_late);
    tcase_add_test(tests, a_place_is_not_refused_with_its_tenant);
    tcase_add_test(tests, a_wait_is_the_backlog_over_the_rate_within_bounds);
    return fixture_run(suite);
}
