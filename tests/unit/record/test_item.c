#include "../../lib/test_placement.h"
#include "fixture.h"
#include "record/item.h"

static leat_table table_of_test;
static leat_routes routes;

static void setup(void)
{
    table_of_test = fixture_table();
    routes.count = 1;
    routes.routes[0] = fixture_route(&table_of_test, "/{app_id}/{device}");
}

static void teardown(void)
{
    leat_table_fini(&table_of_test);
}

static leat_item decode(leat_slice key, leat_slice value, const char *op, const char *route)
{
    leat_item item = {
        .record = {
            .key = key, .value = value, .op = leat_slice_of(op), .route = leat_slice_of(route)}};
    ck_assert_int_eq(leat_item_decode(&routes, &test_placement, &item), 0);
    return item;
}

START_TEST(a_canonical_key_stays_where_it_is)
{
    leat_slice key = LEAT_SLICE("7/abc");
    leat_item item = decode(key, LEAT_SLICE("{}"), "", "");
    ck_assert_ptr_eq(item.route, &routes.routes[0]);
    ck_assert_uint_eq(item.op, LEAT_PUT);
    ck_assert_ptr_null(item.owned);
    ck_assert_ptr_null(item.fault);
    ck_assert_ptr_eq(item.canonical_key.data, key.data);
    ck_assert_uint_eq(item.canonical_key.size, key.size);
    ck_assert_uint_eq(item.hash, leat_hash(key));
    ck_assert_int_eq(item.key[0].integer, 7);
    ck_assert_ptr_eq(item.key[1].text.data, key.data + 2);
    ck_assert_uint_eq(item.key[1].text.size, 3);
    leat_item_clear(&item);
}
END_TEST

START_TEST(a_percent_encoded_key_owns_only_its_texts)
{
    leat_slice key = LEAT_SLICE("7/a%20b");
    leat_item item = decode(key, LEAT_SLICE("{}"), "", "");
    ck_assert_ptr_eq(item.canonical_key.data, key.data);
    ck_assert_ptr_nonnull(item.owned);
    ck_assert(leat_slice_is(item.key[1].text, "a b"));
    leat_item_clear(&item);
    ck_assert_ptr_null(item.owned);
}
END_TEST

START_TEST(a_foreign_key_becomes_the_same_item)
{
    leat_item ours = decode(LEAT_SLICE("7/a%2Fb"), LEAT_SLICE("{}"), "", "");
    leat_item foreign = decode(LEAT_SLICE("007/%61%2fb"), LEAT_SLICE("{}"), "", "");
    ck_assert(leat_slice_equal(ours.canonical_key, foreign.canonical_key));
    ck_assert_uint_eq(ours.hash, foreign.hash);
    ck_assert_int_eq(foreign.key[0].integer, 7);
    ck_assert(leat_slice_is(foreign.key[1].text, "a/b"));
    leat_item_clear(&ours);
    leat_item_clear(&foreign);
}
END_TEST

static leat_slice text_in(char *place, const char *text)
{
    size_t size = strlen(text);
    memcpy(place, text, size);
    return (leat_slice){place, size};
}

START_TEST(an_item_that_owns_its_record_needs_nothing_of_the_log)
{
    static const char *const keys[] = {"7/abc", "7/", "7/a%20b", "007/%61%2fb", "no key"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        char delivered[5][20] = {{0}};
        leat_item item = {.record = {.key = text_in(delivered[0], keys[i]),
                                     .value = text_in(delivered[1], i == 1 ? "" : "{\"a\": 1}"),
                                     .op = text_in(delivered[2], "patch"),
                                     .traceparent = text_in(delivered[3], "00-1-2"),
                                     .tracestate = text_in(delivered[4], "a=b")}};
        ck_assert_int_eq(leat_item_decode(&routes, &test_placement, &item), 0);
        leat_item same =
            decode(leat_slice_of(keys[i]), leat_slice_of(i == 1 ? "" : "{\"a\": 1}"), "patch", "");
        char packed[] = "\2op\6patch";
        item.headers = (leat_slice){packed, sizeof packed - 1};
        ck_assert_int_eq(leat_item_own(&item), 0);
        memset(delivered, 'x', sizeof delivered); /* the log has it back */
        memset(packed, 'x', sizeof packed);
        ck_assert(leat_slice_is(item.headers, "\2op\6patch"));
        ck_assert(leat_slice_equal(item.record.key, same.record.key));
        ck_assert(leat_slice_equal(item.record.value, same.record.value));
        ck_assert(leat_slice_is(item.record.op, "patch"));
        ck_assert(leat_slice_is(item.record.traceparent, "00-1-2"));
        ck_assert(leat_slice_is(item.record.tracestate, "a=b"));
        ck_assert(leat_slice_equal(item.canonical_key, same.canonical_key));
        if (item.route)
            ck_assert(leat_slice_equal(item.key[1].text, same.key[1].text));
        leat_item_clear(&item);
        ck_assert_ptr_null(item.owned_record);
        leat_item_clear(&same);
    }
}
END_TEST

static bool is_in(leat_slice part, leat_slice whole)
{
    return part.data >= whole.data && part.data + part.size <= whole.data + whole.size;
}

/* They count once in the budget of memory. */
START_TEST(headers_are_copied_once)
{
    static const char packed[] = "\2op\4put\5route\6users\2op\6patch\12tracestate\0\7foreign\2x";
    leat_item item = decode(LEAT_SLICE("7/abc"), LEAT_SLICE("{}"), "patch", "");
    item.record.route = LEAT_SLICE("users");
    item.record.traceparent = LEAT_SLICE("00-1-2"); /* only here */
    item.headers = (leat_slice){packed, sizeof packed - 1};
    ck_assert_int_eq(leat_item_own(&item), 0);
    ck_assert(leat_slice_equal(item.headers, (leat_slice){packed, sizeof packed - 1}));
    ck_assert_ptr_ne(item.headers.data, packed);
    ck_assert(leat_slice_is(item.record.op, "patch") && is_in(item.record.op, item.headers));
    ck_assert(leat_slice_is(item.record.route, "users") && is_in(item.record.route, item.headers));
    ck_assert(leat_slice_is(item.record.traceparent, "00-1-2") &&
              !is_in(item.record.traceparent, item.headers));
    ck_assert_uint_eq(item.record.tracestate.size, 0);
    leat_item_clear(&item);
}
END_TEST

START_TEST(what_is_missing_stays_missing_in_a_copy)
{
    leat_item item = decode((leat_slice){NULL, 0}, LEAT_SLICE(""), "", "");
    item.record.op = (leat_slice){NULL, 0};
    ck_assert_int_eq(leat_item_own(&item), 0);
    ck_assert_ptr_null(item.record.key.data);
    ck_assert_ptr_null(item.record.op.data);
    ck_assert_ptr_nonnull(item.record.value.data);
    leat_item_clear(&item);
}
END_TEST

START_TEST(operations_come_from_the_header_or_the_value)
{
    static const struct {
        const char *op, *value;
        leat_route_op expected;
    } cases[] = {
        {"", "{}", LEAT_PUT},        {"", "", LEAT_DELETE},         {"put", "", LEAT_DELETE},
        {"patch", "", LEAT_PATCH},   {"put", "{}", LEAT_PUT},       {"patch", "{}", LEAT_PATCH},
        {"delete", "", LEAT_DELETE}, {"delete", "{}", LEAT_DELETE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_item item =
            decode(LEAT_SLICE("7/abc"), leat_slice_of(cases[i].value), cases[i].op, "");
        ck_assert_uint_eq(item.op, cases[i].expected);
        leat_item_clear(&item);
    }
}
END_TEST

static void expect_fault(leat_item item, const char *says)
{
    ck_assert_ptr_null(item.route);
    ck_assert_ptr_nonnull(item.fault);
    ck_assert_msg(strstr(item.fault, says), "\"%s\" does not say \"%s\"", item.fault, says);
    ck_assert_uint_eq(item.hash, leat_hash(item.record.key));
    ck_assert(leat_slice_equal(item.canonical_key, item.record.key));
    leat_item_clear(&item);
    ck_assert_ptr_null(item.fault);
}

START_TEST(records_that_make_no_sense_keep_their_place)
{
    expect_fault(decode(LEAT_SLICE("x/abc"), LEAT_SLICE("{}"), "", ""),
                 "key: app_id: must be an integer");
    expect_fault(decode(LEAT_SLICE("7"), LEAT_SLICE("{}"), "", ""), "2 parts");
    expect_fault(decode((leat_slice){NULL, 0}, LEAT_SLICE("{}"), "", ""), "the key is empty");
    expect_fault(decode(LEAT_SLICE("7/abc"), LEAT_SLICE("{}"), "upsert", ""),
                 "no operation \"upsert\"");
    expect_fault(decode(LEAT_SLICE("7/abc"), LEAT_SLICE("{}"), "", "other"), "no route \"other\"");
    routes.count = 2;
    routes.routes[1] = routes.routes[0];
    expect_fault(decode(LEAT_SLICE("7/abc"), LEAT_SLICE("{}"), "", ""),
                 "header \"route\" is missing");
}
END_TEST

START_TEST(the_route_header_decides_among_several)
{
    routes.count = 2;
    routes.routes[1] = routes.routes[0];
    strcpy(routes.routes[1].name, "second");
    leat_item item = decode(LEAT_SLICE("7/abc"), LEAT_SLICE("{}"), "", "second");
    ck_assert_ptr_eq(item.route, &routes.routes[1]);
    leat_item_clear(&item);
}
END_TEST

static uint64_t held_hash(const char *key, const char *op, const char *route)
{
    leat_item item = decode(leat_slice_of(key), LEAT_SLICE("{}"), op, route);
    uint64_t hash = leat_item_held_hash(&item);
    leat_item_clear(&item);
    return hash;
}

/* Shards have it stored. */
START_TEST(a_key_is_held_by_a_hash_that_never_changes)
{
    ck_assert_uint_eq(held_hash("7/abc", "", ""), UINT64_C(5724079148329828783));
    ck_assert_uint_eq(held_hash("007/%61bc", "patch", ""), held_hash("7/abc", "", ""));
    ck_assert_uint_ne(held_hash("7/abd", "", ""), held_hash("7/abc", "", ""));
    leat_table other = table_of_test;
    strcpy(other.schema, "another");
    routes.count = 3;
    routes.routes[1] = fixture_route(&other, "/other/{app_id}/{device}");
    strcpy(routes.routes[1].name, "other");
    routes.routes[2] = fixture_route(&table_of_test, "/same/{device}/{app_id}");
    strcpy(routes.routes[2].name, "same");
    const char *own = routes.routes[0].name;
    ck_assert_uint_ne(held_hash("7/abc", "", "other"), held_hash("7/abc", "", own));
    ck_assert_uint_eq(held_hash("7/abc", "", "same"), held_hash("7/abc", "", own));
}
END_TEST

START_TEST(what_has_a_fault_is_of_no_key)
{
    ck_assert_uint_eq(held_hash("x/abc", "", ""), 0);
    leat_item item = decode(LEAT_SLICE("7/abc"), LEAT_SLICE("{}"), "", "");
    item.fault = strdup("misplaced");
    ck_assert_uint_eq(leat_item_held_hash(&item), 0);
    leat_item_clear(&item);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/item");
    TCase *tests = tcase_create("item");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_canonical_key_stays_where_it_is);
    tcase_add_test(tests, a_percent_encoded_key_owns_only_its_texts);
    tcase_add_test(tests, a_foreign_key_becomes_the_same_item);
    tcase_add_test(tests, an_item_that_owns_its_record_needs_nothing_of_the_log);
    tcase_add_test(tests, headers_are_copied_once);
    tcase_add_test(tests, what_is_missing_stays_missing_in_a_copy);
    tcase_add_test(tests, operations_come_from_the_header_or_the_value);
    tcase_add_test(tests, records_that_make_no_sense_keep_their_place);
    tcase_add_test(tests, the_route_header_decides_among_several);
    tcase_add_test(tests, a_key_is_held_by_a_hash_that_never_changes);
    tcase_add_test(tests, what_has_a_fault_is_of_no_key);
    return fixture_run(suite);
}
