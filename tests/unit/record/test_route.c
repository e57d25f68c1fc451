#include "fixture.h"
#include "record/route.h"

static leat_table table_of_test;

static void setup(void)
{
    table_of_test = fixture_table();
}

static void teardown(void)
{
    leat_table_fini(&table_of_test);
}

/* ---- Building ---- */

static const char *const op_columns[] = {"sessions", "tags"};
static const leat_column_op op_words[] = {LEAT_OP_ADD, LEAT_OP_APPEND};

START_TEST(a_route_knows_its_keys_tenant_and_operations)
{
    leat_route route = {.index = 7};
    leat_error error;
    leat_route_spec spec = {.path = "/apps/{app_id}/devices/{device}",
                            .tenant = "app_id",
                            .column_count = 2,
                            .column_names = op_columns,
                            .column_ops = op_words};
    ck_assert_int_eq(leat_route_build(&spec, &table_of_test, 3, &route, &error), 0);
    ck_assert_str_eq(route.name, "subscriptions");
    ck_assert_uint_eq(route.index, 7);
    ck_assert_uint_eq(route.table_index, 3);
    ck_assert_ptr_eq(route.table, &table_of_test);
    ck_assert_uint_eq(route.segment_count, 4);
    ck_assert_str_eq(route.segments[0].text, "apps");
    ck_assert_int_eq(route.segments[0].key_position, -1);
    ck_assert_str_eq(route.segments[3].text, "device");
    ck_assert_int_eq(route.segments[3].key_position, 1);
    ck_assert_int_eq(route.tenant_key_position, 0);
    ck_assert_uint_eq(route.ops[leat_table_column(&table_of_test, LEAT_SLICE("sessions"))],
                      LEAT_OP_ADD);
    ck_assert_uint_eq(route.ops[leat_table_column(&table_of_test, LEAT_SLICE("tags"))],
                      LEAT_OP_APPEND);
    ck_assert_uint_eq(route.ops[leat_table_column(&table_of_test, LEAT_SLICE("note"))],
                      LEAT_OP_SET);
}
END_TEST

static const struct {
    const char *name, *path, *tenant, *column;
    leat_column_op op;
    const char *says;
} bad_specs[] = {
    {NULL, NULL, NULL, NULL, LEAT_OP_SET, "must start with '/'"},
    {NULL, "", NULL, NULL, LEAT_OP_SET, "must start with '/'"},
    {NULL, "a/{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "must start with '/'"},
    {NULL, "/a/{app_id}", NULL, NULL, LEAT_OP_SET, "{device} is missing"},
    {NULL, "/a/{app_id}/{device}/{app_id}", NULL, NULL, LEAT_OP_SET, "{app_id} is there twice"},
    {NULL, "/a/{app_id}/{device}/{note}", NULL, NULL, LEAT_OP_SET,
     "{note} is not part of the primary key"},
    {NULL, "/a/{app_id}/{device}/{nothing}", NULL, NULL, LEAT_OP_SET, "{nothing} is not a column"},
    {NULL, "/a/{}/{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "{} is not a column"},
    {NULL, "/a//{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "a segment is empty"},
    {NULL, "/a/{app_id}/{device}/", NULL, NULL, LEAT_OP_SET, "a segment is empty"},
    {NULL, "/a b/{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "percent-encoded"},
    {NULL, "/a%20b/{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "percent-encoded"},
    {NULL, "/a?/{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "percent-encoded"},
    {NULL, "/x{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "percent-encoded"},
    {NULL, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/{app_id}/{device}", NULL,
     NULL, LEAT_OP_SET, "more than 24 segments"},
    {NULL, "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/{app_id}/{device}",
     NULL, NULL, LEAT_OP_SET, "longer than 63 bytes"},
    {"", "/{app_id}/{device}", NULL, NULL, LEAT_OP_SET, "route name"},
    {NULL, "/{app_id}/{device}", "note", NULL, LEAT_OP_SET, "tenant note is not a parameter"},
    {NULL, "/app_id/{app_id}/{device}", "app", NULL, LEAT_OP_SET, "tenant app is not a parameter"},
    {NULL, "/{app_id}/{device}", NULL, "nothing", LEAT_OP_SET, "column nothing"},
    {NULL, "/{app_id}/{device}", NULL, "note", LEAT_OP_ADD, "add does not work on text"},
    {NULL, "/{app_id}/{device}", NULL, "sessions", LEAT_OP_APPEND, "append does not work on int8"},
    {NULL, "/{app_id}/{device}", NULL, "note", LEAT_OP_MAX, "needs COLLATE \"C\""},
    {NULL, "/{app_id}/{device}", NULL, "note", LEAT_OP_MIN, "needs COLLATE \"C\""},
    {NULL, "/{app_id}/{device}", NULL, "tags", LEAT_OP_MAX, "max does not work on jsonb"},
    {NULL, "/{app_id}/{device}", NULL, "active", LEAT_OP_MIN, "min does not work on bool"},
    {NULL, "/{app_id}/{device}", NULL, "doc", LEAT_OP_MERGE, "merge does not work on json"},
    {NULL, "/{app_id}/{device}", NULL, "mood", LEAT_OP_ADD, "add does not work on other"},
    {NULL, "/{app_id}/{device}", NULL, "app_id", LEAT_OP_ADD, "a key column cannot"},
    {NULL, "/{app_id}/{device}", NULL, "made", LEAT_OP_SET, "generated"},
};

START_TEST(a_bad_spec_is_refused_in_words)
{
    leat_route route = {.index = 7};
    leat_error error = {""};
    const char *columns[] = {bad_specs[_i].column};
    leat_column_op ops[] = {bad_specs[_i].op};
    leat_route_spec spec = {.name = bad_specs[_i].name,
                            .path = bad_specs[_i].path,
                            .tenant = bad_specs[_i].tenant,
                            .column_count = bad_specs[_i].column ? 1 : 0,
                            .column_names = columns,
                            .column_ops = ops};
    ck_assert_int_eq(leat_route_build(&spec, &table_of_test, 0, &route, &error), -1);
    ck_assert_msg(strstr(error.text, bad_specs[_i].says), "\"%s\" does not say \"%s\"", error.text,
                  bad_specs[_i].says);
    ck_assert_ptr_null(route.table);
}
END_TEST

static void expect_table_refused(const leat_table *table, const char *says)
{
    leat_route route = {0};
    leat_error error = {""};
    leat_route_spec spec = {.path = "/{id}"};
    ck_assert_int_eq(leat_route_build(&spec, table, 0, &route, &error), -1);
    ck_assert_msg(strstr(error.text, says), "\"%s\" does not say \"%s\"", error.text, says);
}

START_TEST(a_step_belongs_to_max)
{
    leat_route route = {.index = 7};
    leat_error error = {""};
    const char *columns[] = {"sessions"};
    leat_column_op ops[] = {LEAT_OP_MAX};
    leat_step_spec steps[] = {{.number = "10"}};
    leat_route_spec spec = {.path = "/{app_id}/{device}",
                            .column_count = 1,
                            .column_names = columns,
                            .column_ops = ops,
                            .column_steps = steps};
    ck_assert_int_eq(leat_route_build(&spec, &table_of_test, 0, &route, &error), 0);
    int column = leat_table_column(&table_of_test, LEAT_SLICE("sessions"));
    ck_assert_int_eq(route.steps[column].integer, 10);
    ops[0] = LEAT_OP_MIN;
    ck_assert_int_eq(leat_route_build(&spec, &table_of_test, 0, &route, &error), -1);
    ck_assert_ptr_nonnull(
        strstr(error.text, "column sessions: step: only the operation max has one, not min"));
    ops[0] = LEAT_OP_MAX;
    steps[0].number = "0";
    ck_assert_int_eq(leat_route_build(&spec, &table_of_test, 0, &route, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "column sessions: step: must be a whole number"));
}
END_TEST

START_TEST(a_table_without_a_usable_key_is_refused)
{
    leat_table table = fixture_empty_table("t");
    fixture_add(&table, "id", LEAT_TYPE_INT8, -1);
    expect_table_refused(&table, "no primary key");

    table = fixture_empty_table("t");
    fixture_add_key(&table, "id", LEAT_TYPE_FLOAT8, -1);
    expect_table_refused(&table, "key column id is float8");

    table = fixture_empty_table("t");
    fixture_add_key(&table, "id", LEAT_TYPE_INT8, -1);
    table.columns[0].generated = true;
    expect_table_refused(&table, "key column id is generated");
}
END_TEST

START_TEST(max_and_min_work_on_text_by_bytes)
{
    static const char *const columns[] = {"note", "born", "tags"};
    static const leat_column_op ops[] = {LEAT_OP_MAX, LEAT_OP_MIN, LEAT_OP_MERGE};
    leat_route route = {0};
    leat_error error = {""};
    leat_route_spec spec = {.path = "/{app_id}/{device}",
                            .column_count = 3,
                            .column_names = columns,
                            .column_ops = ops};
    table_of_test.columns[0].by_bytes = true;
    ck_assert_msg(leat_route_build(&spec, &table_of_test, 0, &route, &error) == 0, "%s",
                  error.text);
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        ck_assert_uint_eq(route.ops[leat_table_column(&table_of_test, leat_slice_of(columns[i]))],
                          ops[i]);
}
END_TEST

START_TEST(a_column_of_another_type_stays_outside_the_key)
{
    leat_table table = fixture_empty_table("t");
    fixture_add_key(&table, "id", LEAT_TYPE_INT8, -1);
    fixture_add(&table, "place", LEAT_TYPE_OTHER, -1);
    fixture_route(&table, "/{id}");
    table = fixture_empty_table("t");
    fixture_add_key(&table, "id", LEAT_TYPE_OTHER, -1);
    expect_table_refused(&table, "key column id");
}
END_TEST

START_TEST(a_key_must_not_be_rounded_by_its_column)
{
    leat_table table = fixture_empty_table("t");
    fixture_add_key(&table, "at", LEAT_TYPE_TIMESTAMPTZ, 0);
    expect_table_refused(&table, "full precision");
    table.columns[0].type_modifier = 6;
    fixture_route(&table, "/{at}");
}
END_TEST

START_TEST(routes_of_one_table_have_one_tenant)
{
    static leat_routes routes;
    leat_error error;
    routes.count = 2;
    routes.routes[0] = fixture_route(&table_of_test, "/a/{app_id}/{device}");
    routes.routes[1] = fixture_route(&table_of_test, "/b/{app_id}/{device}");
    strcpy(routes.routes[1].name, "other");
    ck_assert_int_eq(leat_routes_check(&routes, &error), 0);
    routes.routes[0].tenant_key_position = 0;
    routes.routes[1].tenant_key_position = 1;
    ck_assert_int_eq(leat_routes_check(&routes, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "different tenants"));
    routes.routes[1].table_index = 1;
    ck_assert_int_eq(leat_routes_check(&routes, &error), 0);
}
END_TEST

/* Else some of a row's writes would be in the log and others not. */
START_TEST(routes_of_one_table_have_one_mode)
{
    static leat_routes routes;
    leat_error error;
    routes.count = 2;
    routes.routes[0] = fixture_route(&table_of_test, "/a/{app_id}/{device}");
    routes.routes[1] = fixture_route(&table_of_test, "/b/{app_id}/{device}");
    strcpy(routes.routes[1].name, "other");
    routes.routes[0].mode = LEAT_MODE_SYNC;
    ck_assert_int_eq(leat_routes_check(&routes, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "different modes"));
    routes.routes[1].mode = LEAT_MODE_SYNC;
    ck_assert_int_eq(leat_routes_check(&routes, &error), 0);
    routes.routes[0].mode = routes.routes[1].mode = LEAT_MODE_LIVE;
    ck_assert_int_eq(leat_routes_check(&routes, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "both are live"));
    routes.routes[1].table_index = 1;
    ck_assert_int_eq(leat_routes_check(&routes, &error), 0);
}
END_TEST

START_TEST(two_routes_must_differ)
{
    static leat_routes routes;
    leat_error error;
    routes.count = 2;
    routes.routes[0] = fixture_route(&table_of_test, "/a/{app_id}/{device}");
    routes.routes[1] = fixture_route(&table_of_test, "/a/{device}/{app_id}");
    ck_assert_int_eq(leat_routes_check(&routes, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "two routes have the name"));
    strcpy(routes.routes[1].name, "other");
    ck_assert_int_eq(leat_routes_check(&routes, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "match the same paths"));
    strcpy(routes.routes[1].segments[0].text, "b");
    ck_assert_int_eq(leat_routes_check(&routes, &error), 0);
    ck_assert_ptr_eq(leat_routes_by_name(&routes, LEAT_SLICE("other")), &routes.routes[1]);
    ck_assert_ptr_null(leat_routes_by_name(&routes, LEAT_SLICE("othe")));
}
END_TEST

START_TEST(operations_of_routes_have_names)
{
    leat_route_op op;
    for (unsigned i = 0; i < LEAT_ROUTE_OP_COUNT; i++) {
        ck_assert(leat_route_op_by_name(leat_slice_of(leat_route_op_name((leat_route_op)i)), &op));
        ck_assert_uint_eq(op, i);
    }
    ck_assert(!leat_route_op_by_name(LEAT_SLICE("PUT"), &op));
    ck_assert(!leat_route_op_by_name(LEAT_SLICE(""), &op));
}
END_TEST

START_TEST(what_becomes_of_refused_records_has_a_name)
{
    static const char *const names[] = {"skip", "hold", "stop"};
    leat_on_refused found;
    for (unsigned i = 0; i < LEAT_ON_REFUSED_COUNT; i++) {
        ck_assert(leat_on_refused_by_name(names[i], &found));
        ck_assert_uint_eq(found, i);
    }
    ck_assert(!leat_on_refused_by_name("wait", &found));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/route");
    TCase *tests = tcase_create("route");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_route_knows_its_keys_tenant_and_operations);
    tcase_add_loop_test(tests, a_bad_spec_is_refused_in_words, 0, (int)COUNT_OF(bad_specs));
    tcase_add_test(tests, a_step_belongs_to_max);
    tcase_add_test(tests, a_table_without_a_usable_key_is_refused);
    tcase_add_test(tests, max_and_min_work_on_text_by_bytes);
    tcase_add_test(tests, a_column_of_another_type_stays_outside_the_key);
    tcase_add_test(tests, a_key_must_not_be_rounded_by_its_column);
    tcase_add_test(tests, routes_of_one_table_have_one_tenant);
    tcase_add_test(tests, routes_of_one_table_have_one_mode);
    tcase_add_test(tests, two_routes_must_differ);
    tcase_add_test(tests, operations_of_routes_have_names);
    tcase_add_test(tests, what_becomes_of_refused_records_has_a_name);
    return fixture_run(suite);
}
