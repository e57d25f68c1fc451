/* A tenant that the path does not name: where it stands in the key, and what a body may say of it.
 */
#include "fixture.h"
#include "record/body.h"
#include "record/item.h"

#define APP       "0193b8f0-0000-7000-8000-00000000000a"
#define APP_UPPER "0193B8F0-0000-7000-8000-00000000000A"

static leat_table with_app; /* primary key (app_id, id) */
static leat_table by_id;    /* primary key (id); app_id is a column like any other */
static leat_body_parser *parser;

static leat_table players(bool app_in_key)
{
    leat_table table = fixture_empty_table("players");
    if (app_in_key)
        fixture_add_key(&table, "app_id", LEAT_TYPE_UUID, -1);
    else
        fixture_add(&table, "app_id", LEAT_TYPE_UUID, -1)->not_null = true;
    fixture_add_key(&table, "id", LEAT_TYPE_TEXT, -1);
    fixture_add(&table, "n", LEAT_TYPE_INT4, -1);
    fixture_add(&table, "tags", LEAT_TYPE_JSONB, -1);
    fixture_add(&table, "made", LEAT_TYPE_INT8, -1)->generated = true;
    return table;
}

static void setup(void)
{
    with_app = players(true);
    by_id = players(false);
    parser = leat_body_parser_new();
    ck_assert_ptr_nonnull(parser);
}

static void teardown(void)
{
    leat_body_parser_free(parser);
    leat_table_fini(&with_app);
    leat_table_fini(&by_id);
}

static leat_route route_of(const leat_table *table, const char *path, const char *tenant)
{
    leat_route route = {0};
    leat_error error = {""};
    leat_route_spec spec = {.path = path, .tenant = tenant};
    ck_assert_msg(leat_route_build(&spec, table, 0, &route, &error) == 0, "%s", error.text);
    return route;
}

/* ---- Routes ---- */

START_TEST(a_column_of_the_primary_key_comes_from_elsewhere)
{
    static const char *const tenants[] = {"body.app_id", "header.X-App", "token"};
    static const char *const names[] = {"app_id", "x-app", "token"};
    leat_route route = route_of(&with_app, "/players/{id}", tenants[_i]);
    ck_assert(!route.tenant_leads);
    ck_assert_int_eq(route.tenant_key_position, 0);
    ck_assert_str_eq(route.tenant_name, names[_i]);
    ck_assert_uint_eq(leat_route_value_count(&route), 2);
}
END_TEST

START_TEST(any_other_tenant_leads)
{
    leat_route route = route_of(&by_id, "/players/{id}", "body.app_id");
    ck_assert(route.tenant_leads);
    ck_assert_int_eq(route.tenant_key_position, 0);
    ck_assert_uint_eq(leat_route_value_count(&route), 2);
    ck_assert_str_eq(leat_route_value_column(&route, 0)->name, "id");
    ck_assert_str_eq(leat_route_value_column(&route, 1)->name, "app_id");
    static const char *const without_column[] = {"body.app", "header.app"};
    for (size_t i = 0; i < COUNT_OF(without_column); i++) {
        route = route_of(&by_id, "/players/{id}", without_column[i]);
        ck_assert(route.tenant_leads);
        ck_assert_int_eq(route.tenant_column, -1);
        ck_assert_uint_eq(leat_route_value_column(&route, 1)->type, LEAT_TYPE_TEXT);
    }
    route = route_of(&with_app, "/{app_id}/players/{id}", "header.app");
    ck_assert(route.tenant_leads);
    ck_assert_uint_eq(leat_route_value_count(&route), 3);
}
END_TEST

static const struct {
    bool app_in_key;
    const char *path, *tenant, *column;
    leat_column_op op;
    const char *other, *says;
} bad_specs[] = {
    {true, "/{app_id}/{id}", "body.app_id", NULL, 0, NULL, "{app_id} is in the path"},
    {true, "/players/{id}", NULL, NULL, 0, NULL, "{app_id} is missing"},
    {true, "/players/{id}", "body.n", NULL, 0, NULL, "{app_id} is missing"},
    {true, "/players/1", "header.app", NULL, 0, NULL, "more than one column"},
    {true, "/{app_id}/{id}", "token", NULL, 0, NULL, "any tenant's rows"},
    {false, "/players/{id}", "token", NULL, 0, NULL, "any tenant's rows"},
    {false, "/players/{id}", "body.", NULL, 0, NULL, "1 to 63 bytes"},
    {false, "/players/{id}", "body.tags", NULL, 0, NULL, "cannot be part of a key"},
    {false, "/players/{id}", "body.made", NULL, 0, NULL, "cannot be part of a key"},
    {false, "/players/{id}", "query.app_id", NULL, 0, NULL, "not a parameter of the path"},
    {false, "/players/{id}", "body.n", "n", LEAT_OP_ADD, NULL, "the tenant's column"},
    {false, "/players/{id}", NULL, NULL, 0, "rest", "no column rest"},
    {false, "/players/{id}", NULL, NULL, 0, "n", "only jsonb or json"},
    {false, "/players/{id}", NULL, NULL, 0, "made", "generated"},
    {false, "/players/{id}", NULL, NULL, 0, "id", "only jsonb or json"},
    {false, "/players/{id}", NULL, "tags", LEAT_OP_APPEND, "tags", "set or merge"},
};

START_TEST(a_bad_spec_is_refused_in_words)
{
    leat_route route = {0};
    leat_error error = {""};
    const char *columns[] = {bad_specs[_i].column};
    leat_column_op ops[] = {bad_specs[_i].op};
    leat_route_spec spec = {.path = bad_specs[_i].path,
                            .tenant = bad_specs[_i].tenant,
                            .other = bad_specs[_i].other,
                            .column_count = bad_specs[_i].column ? 1 : 0,
                            .column_names = columns,
                            .column_ops = ops};
    const leat_table *table = bad_specs[_i].app_in_key ? &with_app : &by_id;
    ck_assert_int_eq(leat_route_build(&spec, table, 0, &route, &error), -1);
    ck_assert_msg(strstr(error.text, bad_specs[_i].says), "\"%s\" does not say \"%s\"", error.text,
                  bad_specs[_i].says);
}
END_TEST

START_TEST(routes_of_one_table_have_one_form_of_key)
{
    static leat_routes routes;
    leat_error error;
    routes.count = 2;
    routes.routes[0] = route_of(&by_id, "/a/{id}", "body.app_id");
    routes.routes[1] = route_of(&by_id, "/b/{id}", "body.app_id");
    strcpy(routes.routes[1].name, "other");
    ck_assert_int_eq(leat_routes_check(&routes, &error), 0);
    static const char *const others[] = {"id", "body.app", "body.n"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        routes.routes[1] = route_of(&by_id, "/b/{id}", others[i]);
        strcpy(routes.routes[1].name, "other");
        ck_assert_int_eq(leat_routes_check(&routes, &error), -1);
        ck_assert_ptr_nonnull(strstr(error.text, "different tenants"));
    }
}
END_TEST

/* ---- Keys ---- */

static const char *canonical_of(const leat_key *key)
{
    static char text[LEAT_KEY_BYTES_MAX + 1];
    memcpy(text, key->canonical, key->canonical_size);
    text[key->canonical_size] = '\0';
    return text;
}

/* key NULL: refused, and `field` says for what. */
static const struct {
    bool app_in_key;
    const char *tenant, *given, *path, *key, *field;
} keys[] = {
    {true, "body.app_id", APP_UPPER, "/players/x", APP "/x", NULL},
    {true, "header.app", APP, "/players/a%2fb", APP "/a%2Fb", NULL},
    {false, "body.app_id", APP_UPPER, "/players/x", APP "/x", NULL},
    {false, "body.app", APP_UPPER, "/players/x", APP_UPPER "/x", NULL},
    {false, "body.app", "a/b %41", "/players/x", "a%2Fb%20%2541/x", NULL},
    {false, "body.n", "007", "/players/x", "7/x", NULL},
    {true, "body.app_id", "7", "/players/x", NULL, "app_id"},
    {true, "header.x-app", "7", "/players/x", NULL, "x-app"},
    {true, "body.app_id", "", "/players/x", NULL, "app_id"},
    {true, "body.app_id", APP, "/players/%4", NULL, "id"},
    {true, "body.app_id", APP, "/players/", NULL, "id"},
    {false, "body.app_id", "x", "/players/x", NULL, "app_id"},
    {false, "body.app", "", "/players/x", NULL, "app"},
    {false, "body.app", "\xff", "/players/x", NULL, "app"},
    {false, "body.app", "a", "/players/", NULL, "id"},
    {false, "body.n", "7.0", "/players/x", NULL, "n"},
};

START_TEST(the_tenant_is_part_of_the_key)
{
    static leat_routes routes = {.count = 1};
    const leat_route *route = NULL;
    static leat_key key, again;
    char field[LEAT_NAME_MAX + 1] = "";
    leat_error error = {""};
    leat_slice path = leat_slice_of(keys[_i].path), given = leat_slice_of(keys[_i].given);
    routes.routes[0] =
        route_of(keys[_i].app_in_key ? &with_app : &by_id, "/players/{id}", keys[_i].tenant);
    ck_assert_int_eq(leat_routes_match(&routes, path, &route, &key, field, &error),
                     LEAT_MATCH_NEEDS_TENANT);
    leat_match match = leat_key_from_path(route, path, given, &key, field, &error);
    if (!keys[_i].key) {
        ck_assert_int_eq(match, LEAT_MATCH_BAD_KEY);
        ck_assert_str_eq(field, keys[_i].field);
        ck_assert_uint_gt(strlen(error.text), 0);
        return;
    }
    ck_assert_msg(match == LEAT_MATCH_OK, "%s: %s", field, error.text);
    ck_assert_str_eq(canonical_of(&key), keys[_i].key);
    leat_slice canonical = leat_slice_of(keys[_i].key);
    ck_assert_int_eq(leat_key_decode(route, canonical, &again, &error), 0);
    ck_assert_str_eq(canonical_of(&again), keys[_i].key);
    ck_assert_uint_eq(again.hash, key.hash);
    const char *slash = strchr(keys[_i].key, '/');
    size_t size = (size_t)(slash - keys[_i].key);
    ck_assert(
        leat_slice_equal(leat_route_tenant(route, canonical), (leat_slice){keys[_i].key, size}));
    ck_assert(leat_slice_is(leat_route_row(route, canonical),
                            keys[_i].app_in_key ? keys[_i].key : slash + 1));
}
END_TEST

START_TEST(a_tenant_that_is_too_long_is_refused)
{
    static char text[LEAT_KEY_BYTES_MAX + 1];
    leat_route route = route_of(&by_id, "/players/{id}", "body.app");
    static leat_key key;
    char field[LEAT_NAME_MAX + 1];
    leat_error error;
    memset(text, 'a', sizeof text);
    for (size_t size = LEAT_KEY_BYTES_MAX - 2; size <= sizeof text; size++) {
        leat_match match = leat_key_from_path(&route, LEAT_SLICE("/players/x"),
                                              (leat_slice){text, size}, &key, field, &error);
        ck_assert_int_eq(match,
                         size == LEAT_KEY_BYTES_MAX - 2 ? LEAT_MATCH_OK : LEAT_MATCH_BAD_KEY);
    }
}
END_TEST

/* ---- Bodies ---- */

static leat_body_fault parse(const leat_route *route, leat_route_op op, const char *key_text,
                             const char *json, leat_body *ret, leat_body_error *error)
{
    static leat_key key;
    leat_error fault = {""};
    ck_assert_msg(leat_key_decode(route, leat_slice_of(key_text), &key, &fault) == 0, "%s",
                  fault.text);
    return leat_body_parse(parser, route, op, leat_slice_of(json), key.values, ret, error);
}

/* tenant NULL: refused. */
static const struct {
    const char *json, *tenant;
    leat_body_fault fault;
} named[] = {
    {"{\"app_id\": \"" APP_UPPER "\", \"n\": 1}", APP_UPPER, LEAT_BODY_OK},
    {"{\"n\": 1, \"\\u0061pp_id\": 7.50}", "7.50", LEAT_BODY_OK},
    {"{\"app_id\": true}", "true", LEAT_BODY_OK},
    {"{\"app_id\": \"\"}", "", LEAT_BODY_OK},
    {"{\"n\": 1}", NULL, LEAT_BODY_REFUSED},
    {"{}", NULL, LEAT_BODY_REFUSED},
    {"{\"app_id\": null}", NULL, LEAT_BODY_REFUSED},
    {"{\"app_id\": [1]}", NULL, LEAT_BODY_REFUSED},
    {"{\"app_id\": {}}", NULL, LEAT_BODY_REFUSED},
    {"{\"App_id\": 1}", NULL, LEAT_BODY_REFUSED},
    {"[]", NULL, LEAT_BODY_SYNTAX},
    {"{\"app_id\": 1", NULL, LEAT_BODY_SYNTAX},
    {"", NULL, LEAT_BODY_SYNTAX},
};

START_TEST(a_body_names_the_tenant)
{
    leat_route route = route_of(&by_id, "/players/{id}", "body.app_id");
    leat_slice tenant = {0};
    leat_body_error error = {"?", ""};
    ck_assert_int_eq(
        leat_body_tenant(parser, &route, leat_slice_of(named[_i].json), &tenant, &error),
        named[_i].fault);
    if (named[_i].tenant)
        ck_assert(leat_slice_is(tenant, named[_i].tenant));
    else
        ck_assert_str_eq(error.field, named[_i].fault == LEAT_BODY_REFUSED ? "app_id" : "");
}
END_TEST

START_TEST(a_body_that_was_read_for_its_tenant_is_parsed_all_the_same)
{
    leat_route route = route_of(&by_id, "/players/{id}", "body.app_id");
    static const char json[] = "{\"app_id\": \"" APP "\", \"n\": 5}";
    leat_slice tenant, text = leat_slice_of(json);
    leat_body body;
    leat_body_error error = {"", ""};
    for (int i = 0; i < 3; i++) { /* read before, read before another one, not read before */
        if (i < 2)
            ck_assert_int_eq(leat_body_tenant(parser, &route, text, &tenant, &error), 0);
        const char *what = i == 1 ? "{\"n\": 6}" : json;
        static leat_key key;
        leat_error fault;
        ck_assert_int_eq(leat_key_decode(&route, LEAT_SLICE(APP "/x"), &key, &fault), 0);
        leat_slice of = i == 1 ? leat_slice_of(what) : text;
        ck_assert_int_eq(leat_body_parse(parser, &route, LEAT_PATCH, of, key.values, &body, &error),
                         0);
        ck_assert_uint_eq(body.present, 1 | 1 << 2);
        ck_assert_int_eq(body.values[2].integer, i == 1 ? 6 : 5);
    }
}
END_TEST

START_TEST(the_column_of_a_tenant_that_leads_has_the_keys_value)
{
    leat_route route = route_of(&by_id, "/players/{id}", "body.app_id");
    static const char *const bodies[] = {"{}", "{\"n\": 1}", "{\"app_id\": \"" APP_UPPER "\"}", ""};
    leat_body body;
    leat_body_error error = {"", ""};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        leat_body_fault fault = parse(&route, LEAT_PUT, APP "/x", bodies[i], &body, &error);
        ck_assert_msg(fault == LEAT_BODY_OK, "%s: %s", error.field, error.message);
        ck_assert_uint_eq(body.present & 1, 1);
        ck_assert_uint_eq(body.values[0].uuid[15], 0x0a);
    }
    static const char *const bad[] = {"{\"app_id\": null}", "{\"app_id\": \"x\"}",
                                      "{\"app_id\": \"0193b8f0-0000-7000-8000-00000000000b\"}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        ck_assert_int_eq(parse(&route, LEAT_PUT, APP "/x", bad[i], &body, &error),
                         LEAT_BODY_REFUSED);
        ck_assert_str_eq(error.field, "app_id");
    }
}
END_TEST

START_TEST(a_tenant_without_a_column_only_has_to_agree)
{
    leat_route route = route_of(&by_id, "/players/{id}", "body.app");
    leat_body body;
    leat_body_error error = {"", ""};
    ck_assert_int_eq(
        parse(&route, LEAT_PATCH, "a%20b/x", "{\"app\":\"a b\",\"n\":1}", &body, &error),
        LEAT_BODY_OK);
    ck_assert_uint_eq(body.present, 1 << 2);
    static const char *const bad[] = {"{\"app\":\"a\"}", "{\"app\":null}",
                                      "{\"app\":\"a b\",\"app\":\"a b\"}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        ck_assert_int_eq(parse(&route, LEAT_PATCH, "a%20b/x", bad[i], &body, &error),
                         LEAT_BODY_REFUSED);
        ck_assert_str_eq(error.field, "app");
    }
}
END_TEST

/* ---- Records ---- */

START_TEST(a_record_brings_its_tenant_along)
{
    static leat_routes routes = {.count = 1};
    static const leat_placement placement = {2, 256, 8, 0};
    static const char *const written[] = {"a%20b/x%2Fy", "t/x", "%74/x"};
    for (size_t i = 0; i < COUNT_OF(written); i++) {
        routes.routes[0] = route_of(&by_id, "/players/{id}", "body.app");
        leat_item item = {.record = {.key = leat_slice_of(written[i]), .value = LEAT_SLICE("{}")}};
        ck_assert_int_eq(leat_item_decode(&routes, &placement, &item), 0);
        ck_assert_ptr_null(item.fault);
        ck_assert_int_eq(leat_item_own(&item), 0);
        ck_assert(leat_slice_is(item.key[0].text, i == 0 ? "x/y" : "x"));
        ck_assert(leat_slice_is(item.key[1].text, i == 0 ? "a b" : "t"));
        leat_item_clear(&item);
    }
    leat_item item = {.record = {.key = LEAT_SLICE("x"), .value = LEAT_SLICE("{}")}};
    ck_assert_int_eq(leat_item_decode(&routes, &placement, &item), 0);
    ck_assert_ptr_nonnull(strstr(item.fault, "must have 2 parts"));
    leat_item_clear(&item);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/tenant");
    TCase *tests = tcase_create("tenant");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_column_of_the_primary_key_comes_from_elsewhere, 0, 3);
    tcase_add_test(tests, any_other_tenant_leads);
    tcase_add_loop_test(tests, a_bad_spec_is_refused_in_words, 0, (int)COUNT_OF(bad_specs));
    tcase_add_test(tests, routes_of_one_table_have_one_form_of_key);
    tcase_add_loop_test(tests, the_tenant_is_part_of_the_key, 0, (int)COUNT_OF(keys));
    tcase_add_test(tests, a_tenant_that_is_too_long_is_refused);
    tcase_add_loop_test(tests, a_body_names_the_tenant, 0, (int)COUNT_OF(named));
    tcase_add_test(tests, a_body_that_was_read_for_its_tenant_is_parsed_all_the_same);
    tcase_add_test(tests, the_column_of_a_tenant_that_leads_has_the_keys_value);
    tcase_add_test(tests, a_tenant_without_a_column_only_has_to_agree);
    tcase_add_test(tests, a_record_brings_its_tenant_along);
    return fixture_run(suite);
}
