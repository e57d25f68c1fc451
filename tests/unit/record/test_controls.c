/* Sets of controls: which record comes under which, and which read counts. */
#include "../../lib/test_placement.h"
#include "fixture.h"
#include "record/controls.h"

static leat_table table_of_test;
static leat_routes routes;

static void setup(void)
{
    table_of_test = fixture_table();
    routes.count = 1;
    routes.routes[0] = fixture_route(&table_of_test, "/{app_id}/{device}");
    routes.routes[0].tenant_key_position = 0;
}

static void teardown(void)
{
    leat_table_fini(&table_of_test);
}

static leat_control control(int64_t id, const char *table, const char *what, int64_t until_us)
{
    leat_control made = {
        .id = id, .table = table, .what = what, .until_us = until_us, .reason = "why"};
    snprintf(made.until, sizeof made.until, "%lld", (long long)until_us);
    return made;
}

static leat_control_set *set_of(const leat_control *controls, uint32_t count)
{
    leat_control_set *set = leat_control_set_new();
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(leat_control_set_add(set, &controls[i]), 0);
    return set;
}

/* The id of the control that a record with this key comes under; 0: none. */
static int64_t found(const leat_control_set *set, const char *key, int64_t now_us)
{
    leat_item item = {.record = {.key = leat_slice_of(key), .value = LEAT_SLICE("{}")}};
    ck_assert_int_eq(leat_item_decode(&routes, &test_placement, &item), 0);
    const leat_control *at = leat_control_set_find(set, &item, now_us);
    int64_t id = at ? at->id : 0;
    leat_item_clear(&item);
    return id;
}

START_TEST(a_tenant_is_all_of_its_keys_and_a_key_is_one)
{
    leat_control controls[] = {control(1, NULL, "7", 100),
                               control(2, "subscriptions", "8/a%20b", 100)};
    leat_control_set *set = set_of(controls, 2);
    ck_assert_int_eq(found(set, "7/x", 50), 1);
    ck_assert_int_eq(found(set, "07/y", 50), 1); /* another spelling */
    ck_assert_int_eq(found(set, "77/x", 50), 0);
    ck_assert_int_eq(found(set, "8/a%20b", 50), 2);
    ck_assert_int_eq(found(set, "8/a", 50), 0);
    ck_assert_int_eq(found(set, "seven/x", 50), 0); /* cannot be decoded */
    leat_control_set_drop(set);
}
END_TEST

START_TEST(a_key_goes_before_its_tenant_and_needs_the_table)
{
    leat_control controls[] = {control(1, NULL, "7", 100), control(2, "subscriptions", "7/a", 100),
                               control(3, "other", "7/b", 100)};
    leat_control_set *set = set_of(controls, 3);
    ck_assert_int_eq(found(set, "7/a", 0), 2);
    ck_assert_int_eq(found(set, "7/b", 0), 1);
    leat_control_set_drop(set);
}
END_TEST

START_TEST(a_control_holds_or_skips)
{
    char text[100];
    leat_control controls[] = {control(1, NULL, "7", 100), control(2, "subscriptions", "8/a", 100)};
    controls[1].holds = true;
    leat_control_set *set = set_of(controls, 1);
    ck_assert_uint_eq(leat_control_set_holds(set), 0);
    leat_control_set_drop(set);
    set = set_of(controls, 2);
    ck_assert_uint_eq(leat_control_set_holds(set), 1);
    leat_control_describe(leat_control_set_at(set, 0), text, sizeof text);
    ck_assert_str_eq(text, "skipped by control 1 of tenant 7 until 100: why");
    leat_control_describe(leat_control_set_at(set, 1), text, sizeof text);
    ck_assert_str_eq(text, "held by control 2 of key subscriptions 8/a until 100: why");
    leat_controls *published = leat_controls_new(1);
    leat_controls_publish(published, 0, set, 1);
    uint32_t version = leat_controls_version(published, 0);
    controls[1].holds = false;
    leat_controls_publish(published, 0, set_of(controls, 2), 2);
    ck_assert_uint_ne(leat_controls_version(published, 0), version);
    leat_controls_free(published);
}
END_TEST

/* A list shows it whole, for it is what a person copies; a message keeps what follows it. */
START_TEST(a_long_key_is_cut_only_where_there_is_no_room)
{
    char key[LEAT_KEY_BYTES_MAX + 1] = "", small[120], cut[256], whole[LEAT_CONTROL_TEXT_SIZE];
    memset(key, 'k', LEAT_KEY_BYTES_MAX);
    leat_control controls[] = {control(1, "subscriptions", key, 100)};
    leat_control_set *set = set_of(controls, 1);
    const leat_control *only = leat_control_set_at(set, 0);
    leat_control_describe(only, whole, sizeof whole);
    ck_assert_ptr_nonnull(strstr(whole, key));
    ck_assert_ptr_nonnull(strstr(whole, " until 100: why"));
    leat_control_describe(only, cut, sizeof cut);
    ck_assert_uint_eq(strlen(cut), sizeof cut - 1);
    ck_assert_ptr_nonnull(strstr(cut, "kkk... until 100: why"));
    leat_control_describe(only, small, sizeof small);
    ck_assert_ptr_nonnull(strstr(small, "kkk..."));
    leat_control_set_drop(set);
}
END_TEST

START_TEST(a_control_ends_by_itself)
{
    leat_control controls[] = {control(1, NULL, "7", 100), control(2, "subscriptions", "7/a", 50)};
    leat_control_set *set = set_of(controls, 2);
    ck_assert_int_eq(found(set, "7/a", 49), 2);
    ck_assert_uint_eq(leat_control_set_active(set, 49), 2);
    ck_assert_int_eq(found(set, "7/a", 50), 1);
    ck_assert_uint_eq(leat_control_set_active(set, 50), 1);
    ck_assert_int_eq(found(set, "7/a", 100), 0);
    leat_control_set_drop(set);
}
END_TEST

START_TEST(without_a_tenant_in_the_route_no_control_of_one_applies)
{
    leat_control one = control(1, NULL, "7", 100);
    leat_control_set *set = set_of(&one, 1);
    routes.routes[0].tenant_key_position = -1;
    ck_assert_int_eq(found(set, "7/x", 0), 0);
    leat_control_set_drop(set);
}
END_TEST

START_TEST(a_full_set_takes_no_more_and_finds_each)
{
    leat_control_set *set = leat_control_set_new();
    char key[32];
    for (int64_t i = 1; i <= LEAT_CONTROLS_MAX; i++) {
        snprintf(key, sizeof key, "%lld", (long long)i);
        leat_control one = control(i, NULL, key, 100);
        ck_assert_int_eq(leat_control_set_add(set, &one), 0);
    }
    leat_control more = control(5000, NULL, "5000", 100);
    ck_assert_int_eq(leat_control_set_add(set, &more), -1);
    for (int64_t i = 1; i <= LEAT_CONTROLS_MAX; i++) {
        snprintf(key, sizeof key, "%lld/x", (long long)i);
        ck_assert_int_eq(found(set, key, 0), i);
    }
    ck_assert_int_eq(found(set, "5000/x", 0), 0);
    leat_control_set_drop(set);
}
END_TEST

START_TEST(the_later_read_counts_and_only_a_change_is_one)
{
    leat_controls *controls = leat_controls_new(2);
    leat_control one = control(1, NULL, "7", 100), two = control(2, NULL, "8", 100);
    ck_assert_uint_eq(leat_controls_version(controls, 1), 0);
    leat_controls_publish(controls, 1, set_of(&one, 1), 20);
    ck_assert_uint_eq(leat_controls_version(controls, 1), 1);
    leat_control_set *held = leat_controls_hold(controls, 1);
    leat_controls_publish(controls, 1, set_of(&two, 1), 10); /* it began earlier */
    ck_assert_uint_eq(leat_controls_version(controls, 1), 1);
    leat_controls_publish(controls, 1, set_of(&one, 1), 30); /* the same */
    ck_assert_uint_eq(leat_controls_version(controls, 1), 1);
    leat_controls_publish(controls, 1, leat_control_set_new(), 40);
    ck_assert_uint_eq(leat_controls_version(controls, 1), 2);
    ck_assert_uint_eq(leat_controls_version(controls, 0), 0);
    ck_assert_int_eq(found(held, "7/x", 0), 1); /* whoever holds it may go on */
    leat_control_set_drop(held);
    leat_controls_free(controls);
}
END_TEST

/* A worker's name for a tenant is an edge's, however long its text is, and no other one's. */
START_TEST(the_name_of_a_flood)
{
    char text[LEAT_KEY_BYTES_MAX], one[LEAT_FLOOD_NAME_SIZE], other[LEAT_FLOOD_NAME_SIZE];
    memset(text, 'x', sizeof text);
    leat_slice fits = {text, LEAT_FLOOD_NAME_SIZE - 1};
    ck_assert(leat_slice_equal(leat_flood_name(fits, one), fits));
    ck_assert(leat_slice_is(leat_flood_name(LEAT_SLICE("a%20b"), one), "a%20b"));
    for (size_t size = fits.size + 1; size < sizeof text; size++) {
        leat_slice is = leat_flood_name((leat_slice){text, size}, one),
                   longer = leat_flood_name((leat_slice){text, size + 1}, other);
        ck_assert_uint_eq(is.size, LEAT_FLOOD_NAME_SIZE - 1);
        ck_assert(memcmp(is.data, text, 100) == 0 && memchr(is.data, '#', is.size));
        ck_assert(!leat_slice_equal(is, longer));
    }
    leat_slice tenant = {text, sizeof text};
    leat_control flood = control(1, NULL, "", 100);
    leat_flood_name(tenant, one);
    flood.what = one;
    leat_control_set *set = set_of(&flood, 1);
    ck_assert_ptr_nonnull(leat_control_set_find_tenant(set, leat_flood_name(tenant, other), 50));
    leat_control_set_drop(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("controls");
    TCase *tests = tcase_create("controls");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_tenant_is_all_of_its_keys_and_a_key_is_one);
    tcase_add_test(tests, a_key_goes_before_its_tenant_and_needs_the_table);
    tcase_add_test(tests, a_control_holds_or_skips);
    tcase_add_test(tests, a_long_key_is_cut_only_where_there_is_no_room);
    tcase_add_test(tests, a_control_ends_by_itself);
    tcase_add_test(tests, without_a_tenant_in_the_route_no_control_of_one_applies);
    tcase_add_test(tests, a_full_set_takes_no_more_and_finds_each);
    tcase_add_test(tests, the_later_read_counts_and_only_a_change_is_one);
    tcase_add_test(tests, the_name_of_a_flood);
    return fixture_run(suite);
}
