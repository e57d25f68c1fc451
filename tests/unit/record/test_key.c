#include "fixture.h"
#include "record/route.h"

static leat_table table_of_test;
static leat_routes routes;

/* In the order of the array; the key's order is (app_id, device) in all of them. */
static const char *const paths[] = {
    "/apps/{app_id}/devices/{device}",
    "/devices/{device}/of/{app_id}",
    "/apps/{app_id}/{device}/last",
    "/apps/special/{app_id}/{device}",
};

static void setup(void)
{
    table_of_test = fixture_table();
    routes.count = COUNT_OF(paths);
    for (uint32_t i = 0; i < routes.count; i++) {
        routes.routes[i] = fixture_route(&table_of_test, paths[i]);
        routes.routes[i].index = i;
    }
}

static void teardown(void)
{
    leat_table_fini(&table_of_test);
}

static const char *canonical_of(const leat_key *key)
{
    static char text[LEAT_KEY_BYTES_MAX + 1];
    memcpy(text, key->canonical, key->canonical_size);
    text[key->canonical_size] = '\0';
    return text;
}

/* route -1: none matches. field: the parameter that is bad. */
static const struct {
    const char *path;
    int route;
    const char *canonical;
    const char *field;
} match_cases[] = {
    {"/apps/7/devices/abc", 0, "7/abc", NULL},
    {"/apps/007/devices/abc", 0, "7/abc", NULL},
    {"/devices/abc/of/7", 1, "7/abc", NULL},
    {"/apps/7/devices/a%20b%2Fc", 0, "7/a%20b%2Fc", NULL},
    {"/apps/%37/devices/%61%2f", 0, "7/a%2F", NULL},
    {"/apps/7/devices/a+b", 0, "7/a%2Bb", NULL},
    {"/apps/7/devices/A-z0._~", 0, "7/A-z0._~", NULL},
    {"/apps/7/devices/..", 0, "7/..", NULL},
    {"/apps/7/devices/%C3%BC", 0, "7/%C3%BC", NULL},
    {"/apps/7/devices/\xc3\xbc", 0, "7/%C3%BC", NULL},
    {"/apps/7/devices/last", 0, "7/last", NULL},
    {"/apps/7/x/last", 2, "7/x", NULL},
    {"/apps/special/7/x", 3, "7/x", NULL},
    {"/apps/special/7/last", 3, "7/last", NULL},
    {"/apps/special/devices/last", 3, NULL, "app_id"},
    {"/apps/7/devices/", 0, NULL, "device"},
    {"/apps//devices/x", 0, NULL, "app_id"},
    {"/apps/x/devices/x", 0, NULL, "app_id"},
    {"/apps/2147483648/devices/x", 0, NULL, "app_id"},
    {"/apps/7/devices/123456789012345678901", 0, NULL, "device"},
    {"/apps/7/devices/a%00", 0, NULL, "device"},
    {"/apps/7/devices/%ff", 0, NULL, "device"},
    {"/apps/7/devices/%4", 0, NULL, "device"},
    {"/apps/7/devices/%", 0, NULL, "device"},
    {"/apps/7/devices/%4g", 0, NULL, "device"},
    {"/apps/7/devices/%%41", 0, NULL, "device"},
    {"", -1, NULL, NULL},
    {"/", -1, NULL, NULL},
    {"apps/7/devices/x", -1, NULL, NULL},
    {"/apps/7/devices", -1, NULL, NULL},
    {"/apps/7/devices/x/", -1, NULL, NULL},
    {"/Apps/7/devices/x", -1, NULL, NULL},
    {"/%61pps/7/devices/x", -1, NULL, NULL},
    {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26", -1, NULL, NULL},
};

START_TEST(paths_find_their_route_and_key)
{
    const leat_route *route = NULL;
    leat_key key;
    char field[LEAT_NAME_MAX + 1] = "?";
    leat_error error = {""};
    leat_match match = leat_routes_match(&routes, leat_slice_of(match_cases[_i].path), &route, &key,
                                         field, &error);
    if (match_cases[_i].route < 0) {
        ck_assert_uint_eq(match, LEAT_MATCH_NO_ROUTE);
        return;
    }
    ck_assert_ptr_eq(route, &routes.routes[match_cases[_i].route]);
    if (match_cases[_i].field) {
        ck_assert_uint_eq(match, LEAT_MATCH_BAD_KEY);
        ck_assert_str_eq(field, match_cases[_i].field);
        ck_assert_uint_gt(strlen(error.text), 0);
        return;
    }
    ck_assert_msg(match == LEAT_MATCH_OK, "%s: %s", field, error.text);
    ck_assert_str_eq(canonical_of(&key), match_cases[_i].canonical);
    ck_assert_uint_eq(key.hash, leat_hash(leat_slice_of(match_cases[_i].canonical)));
}
END_TEST

START_TEST(a_key_has_a_path_that_leads_back_to_it)
{
    const leat_route *route = NULL;
    leat_key key;
    char field[LEAT_NAME_MAX + 1];
    leat_error error = {""};
    leat_buf path = {0};
    if (!match_cases[_i].canonical)
        return;
    leat_route_path(&routes.routes[match_cases[_i].route], leat_slice_of(match_cases[_i].canonical),
                    &path);
    ck_assert_int_eq(
        leat_routes_match(&routes, (leat_slice){path.data, path.size}, &route, &key, field, &error),
        LEAT_MATCH_OK);
    ck_assert_ptr_eq(route, &routes.routes[match_cases[_i].route]);
    ck_assert_str_eq(canonical_of(&key), match_cases[_i].canonical);
    leat_buf_free(&path);
}
END_TEST

START_TEST(a_path_cut_in_memory_is_not_read_beyond_its_end)
{
    const char *path = "/apps/7/devices/a%41";
    char *exact = malloc(strlen(path) - 1); /* the address sanitizer watches its end */
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, path, strlen(path) - 1);
    const leat_route *route;
    leat_key key;
    char field[LEAT_NAME_MAX + 1];
    leat_error error;
    leat_slice cut = {exact, strlen(path) - 1};
    ck_assert_uint_eq(leat_routes_match(&routes, cut, &route, &key, field, &error),
                      LEAT_MATCH_BAD_KEY);
    free(exact);
}
END_TEST

START_TEST(keys_from_the_log_become_the_same_key)
{
    static const struct {
        const char *key, *canonical;
    } cases[] = {
        {"7/abc", "7/abc"}, {"007/abc", "7/abc"}, {"-0/abc", "0/abc"}, {"7/a%2fb", "7/a%2Fb"},
        {"7/%61", "7/a"},   {"7/a b", "7/a%20b"}, {"7", NULL},         {"7/", NULL},
        {"/abc", NULL},     {"", NULL},           {"7/abc/", NULL},    {"7/a/b", NULL},
        {"x/abc", NULL},    {"7/%zz", NULL},      {"7/%80", NULL},
    };
    leat_key key;
    leat_error error;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int status = leat_key_decode(&routes.routes[0], leat_slice_of(cases[i].key), &key, &error);
        ck_assert_msg((status == 0) == (cases[i].canonical != NULL), "\"%s\": %d", cases[i].key,
                      status);
        if (status == 0)
            ck_assert_str_eq(canonical_of(&key), cases[i].canonical);
    }
    ck_assert_int_eq(leat_key_decode(&routes.routes[0], LEAT_SLICE("x/abc"), &key, &error), -1);
    ck_assert_ptr_eq(strstr(error.text, "app_id: "), error.text);
    ck_assert_int_eq(leat_key_decode(&routes.routes[0], (leat_slice){NULL, 0}, &key, &error), -1);
}
END_TEST

/* Both ways to read a key from the log: the short one takes the keys that need no copy, and has the
 * same values. */
static void expect_plain(const leat_route *route, leat_slice text)
{
    leat_value values[LEAT_KEY_VALUES_MAX];
    leat_key key;
    leat_error error;
    bool is_plain = leat_key_decode(route, text, &key, &error) == 0 &&
                    leat_slice_equal(text, (leat_slice){key.canonical, key.canonical_size}) &&
                    !memchr(text.data, '%', text.size);
    ck_assert_msg(leat_key_read_plain(route, text, values) == is_plain, "%.*s", (int)text.size,
                  text.data);
    for (uint32_t i = 0; is_plain && i < leat_route_value_count(route); i++) {
        leat_type type = leat_route_value_column(route, i)->type;
        ck_assert_uint_eq(values[i].presence, LEAT_PRESENT);
        ck_assert(leat_value_equal(type, &values[i], &key.values[i]));
        if (leat_value_is_text(type))
            ck_assert(values[i].text.data >= text.data &&
                      values[i].text.data + values[i].text.size <= text.data + text.size);
    }
}

START_TEST(a_plain_key_is_read_where_it_is)
{
    static const struct {
        leat_type type;
        const char *texts[8];
    } cases[] = {
        {LEAT_TYPE_BOOL, {"true", "false", "True", ""}},
        {LEAT_TYPE_INT2, {"7", "-8", "0", "-0", "07", "70000", "+7", "7 "}},
        {LEAT_TYPE_INT8, {"9223372036854775807", "-9223372036854775808", "9223372036854775808"}},
        {LEAT_TYPE_TEXT, {"a", "A-z0._~", "a b", "a%20b", "a:b", "\xc3\xbc", ".."}},
        {LEAT_TYPE_UUID,
         {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11",
          "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc999c0b-4ef8-bb6d-6bb9bd380a11-"}},
        {LEAT_TYPE_DATE, {"2026-01-02", "2026-1-2", "2026-02-30"}},
        {LEAT_TYPE_TIMESTAMPTZ,
         {"2026-01-02T03:04:05Z", "2026-01-02T03%3A04%3A05Z", "2026-01-02T03:04:05+01:00"}},
        {LEAT_TYPE_BYTEA, {"Zm9v", "Zg==", "Zm9", "+/8="}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_table table = fixture_empty_table("t");
        fixture_add_key(&table, "a", cases[i].type, -1);
        fixture_add_key(&table, "b", LEAT_TYPE_INT4, -1);
        leat_route one = fixture_route(&table, "/{a}/{b}");
        for (size_t k = 0; k < COUNT_OF(cases[i].texts) && cases[i].texts[k]; k++) {
            char text[80];
            snprintf(text, sizeof text, "%s/12", cases[i].texts[k]);
            expect_plain(&one, leat_slice_of(text));
            snprintf(text, sizeof text, "%s/012", cases[i].texts[k]);
            expect_plain(&one, leat_slice_of(text));
            expect_plain(&one, leat_slice_of(cases[i].texts[k])); /* a part is missing */
        }
    }
}
END_TEST

START_TEST(typed_values_stand_in_primary_key_order)
{
    leat_key key;
    leat_error error;
    ck_assert_int_eq(leat_key_decode(&routes.routes[1], LEAT_SLICE("7/a%20b"), &key, &error), 0);
    ck_assert_int_eq(key.values[0].integer, 7);
    ck_assert(leat_slice_is(key.values[1].text, "a b"));
    ck_assert_uint_eq(key.values[1].presence, LEAT_PRESENT);
    ck_assert_ptr_eq(key.values[1].text.data, key.decoded + 2);
}
END_TEST

/* Room for the text itself, but not for three bytes where it has one. */
START_TEST(a_key_too_long_is_refused_not_cut)
{
    static char key_text[LEAT_KEY_BYTES_MAX + 2];
    leat_table table = fixture_empty_table("t");
    fixture_add_key(&table, "a", LEAT_TYPE_TEXT, -1);
    leat_route route = fixture_route(&table, "/{a}");
    leat_key key;
    leat_error error;
    memset(key_text, 'x', sizeof key_text);
    ck_assert_int_eq(
        leat_key_decode(&route, (leat_slice){key_text, LEAT_KEY_BYTES_MAX}, &key, &error), 0);
    ck_assert_uint_eq(key.canonical_size, LEAT_KEY_BYTES_MAX);
    expect_plain(&route, (leat_slice){key_text, LEAT_KEY_BYTES_MAX});
    expect_plain(&route, (leat_slice){key_text, LEAT_KEY_BYTES_MAX + 1});
    ck_assert_int_eq(
        leat_key_decode(&route, (leat_slice){key_text, LEAT_KEY_BYTES_MAX + 1}, &key, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "longer than 2048"));
    key_text[LEAT_KEY_BYTES_MAX - 1] = ' ';
    ck_assert_int_eq(
        leat_key_decode(&route, (leat_slice){key_text, LEAT_KEY_BYTES_MAX}, &key, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "longer than 2048"));
}
END_TEST

START_TEST(a_key_with_no_room_for_its_second_part_is_refused)
{
    static char key_text[LEAT_KEY_BYTES_MAX + 2];
    leat_table table = fixture_empty_table("t");
    fixture_add_key(&table, "a", LEAT_TYPE_TEXT, -1);
    fixture_add_key(&table, "b", LEAT_TYPE_INT8, -1);
    leat_route route = fixture_route(&table, "/{a}/{b}");
    leat_key key;
    leat_error error;
    for (size_t first = LEAT_KEY_BYTES_MAX - 3; first <= LEAT_KEY_BYTES_MAX; first++) {
        memset(key_text, 'x', first);
        memcpy(key_text + first, "/7", 2);
        int expected = first + 2 <= LEAT_KEY_BYTES_MAX ? 0 : -1;
        if (first + 2 <= sizeof key_text)
            ck_assert_int_eq(
                leat_key_decode(&route, (leat_slice){key_text, first + 2}, &key, &error), expected);
    }
}
END_TEST

START_TEST(every_key_type_travels)
{
    leat_table table = fixture_empty_table("t");
    fixture_add_key(&table, "a", LEAT_TYPE_BOOL, -1);
    fixture_add_key(&table, "b", LEAT_TYPE_UUID, -1);
    fixture_add_key(&table, "c", LEAT_TYPE_TIMESTAMPTZ, -1);
    fixture_add_key(&table, "d", LEAT_TYPE_INT2, -1);
    fixture_add_key(&table, "e", LEAT_TYPE_DATE, -1);
    fixture_add_key(&table, "f", LEAT_TYPE_BYTEA, -1);
    leat_route route = fixture_route(&table, "/{a}/{b}/{c}/{d}/{e}/{f}");
    leat_key key;
    leat_error error;
    leat_slice text =
        LEAT_SLICE("true/A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11/2026-01-02T03:04:05.60+01:00/-08/"
                   "2026-01-02/+%2f8=");
    ck_assert_int_eq(leat_key_decode(&route, text, &key, &error), 0);
    ck_assert_str_eq(
        canonical_of(&key),
        "true/a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11/2026-01-02T02%3A04%3A05.6Z/-8/2026-01-02/%2B%2F8%3D");
    ck_assert(leat_slice_is(key.values[5].text, "+/8="));
}
END_TEST

/* Bits of the last character that stand for nothing are 0: another spelling would be another key of
 * the same row. */
START_TEST(a_key_of_bytes_has_one_spelling)
{
    leat_table table = fixture_empty_table("t");
    fixture_add_key(&table, "a", LEAT_TYPE_BYTEA, -1);
    leat_route route = fixture_route(&table, "/{a}");
    leat_key key;
    leat_error error = {""};
    ck_assert_int_eq(leat_key_decode(&route, LEAT_SLICE("Zg=="), &key, &error), 0);
    ck_assert_int_eq(leat_key_decode(&route, LEAT_SLICE("Zh=="), &key, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "base64"));
    ck_assert_int_eq(leat_key_decode(&route, LEAT_SLICE("Zg"), &key, &error), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/key");
    TCase *tests = tcase_create("key");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, paths_find_their_route_and_key, 0, (int)COUNT_OF(match_cases));
    tcase_add_loop_test(tests, a_key_has_a_path_that_leads_back_to_it, 0,
                        (int)COUNT_OF(match_cases));
    tcase_add_test(tests, a_path_cut_in_memory_is_not_read_beyond_its_end);
    tcase_add_test(tests, keys_from_the_log_become_the_same_key);
    tcase_add_test(tests, a_plain_key_is_read_where_it_is);
    tcase_add_test(tests, typed_values_stand_in_primary_key_order);
    tcase_add_test(tests, a_key_too_long_is_refused_not_cut);
    tcase_add_test(tests, a_key_with_no_room_for_its_second_part_is_refused);
    tcase_add_test(tests, every_key_type_travels);
    tcase_add_test(tests, a_key_of_bytes_has_one_spelling);
    return fixture_run(suite);
}
