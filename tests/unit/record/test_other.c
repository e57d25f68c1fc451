/* Members that are no column, dropped or collected; and a PUT that leaves out columns. */
#include "fixture.h"
#include "record/body.h"
#include "record/fold.h"

enum { ID, N, REST, TAGS };

static leat_table table_of_test;
static leat_body_parser *parser;
static leat_fold *fold;
static leat_body body;
static leat_body_error error;

static void setup(void)
{
    table_of_test = fixture_empty_table("players");
    fixture_add_key(&table_of_test, "id", LEAT_TYPE_TEXT, -1);
    fixture_add(&table_of_test, "n", LEAT_TYPE_INT4, -1)->not_null = true;
    fixture_add(&table_of_test, "rest", LEAT_TYPE_JSONB, -1);
    fixture_add(&table_of_test, "tags", LEAT_TYPE_JSONB, -1);
    parser = leat_body_parser_new();
    fold = leat_fold_new();
    ck_assert(parser && fold);
}

static void teardown(void)
{
    leat_fold_free(fold);
    leat_body_parser_free(parser);
    leat_table_fini(&table_of_test);
}

static leat_route route_with(const char *other, bool put_merge)
{
    static const char *const names[] = {"n", "rest", "tags"};
    static const leat_column_op ops[] = {LEAT_OP_ADD, LEAT_OP_MERGE, LEAT_OP_APPEND};
    leat_route route = {0};
    leat_error fault = {""};
    leat_route_spec spec = {.path = "/players/{id}",
                            .other = other,
                            .put_merge = put_merge,
                            .column_count = 3,
                            .column_names = names,
                            .column_ops = ops};
    ck_assert_msg(leat_route_build(&spec, &table_of_test, 0, &route, &fault) == 0, "%s",
                  fault.text);
    return route;
}

static leat_body_fault parse(const leat_route *route, leat_route_op op, leat_slice json)
{
    static const leat_value key[] = {{.presence = LEAT_PRESENT, .text = {"x", 1}}};
    error = (leat_body_error){"", ""};
    return leat_body_parse(parser, route, op, json, key, &body, &error);
}

START_TEST(members_that_are_no_column_are_refused_unless_the_route_wants_them)
{
    leat_route route = route_with(NULL, false);
    ck_assert_int_eq(parse(&route, LEAT_PATCH, LEAT_SLICE("{\"n\":1,\"a\":1}")), LEAT_BODY_REFUSED);
    ck_assert_str_eq(error.field, "a");
    route = route_with("refuse", false);
    ck_assert_int_eq(parse(&route, LEAT_PATCH, LEAT_SLICE("{\"a\":1}")), LEAT_BODY_REFUSED);
    route = route_with("drop", false);
    ck_assert_int_eq(parse(&route, LEAT_PATCH, LEAT_SLICE("{\"a\":[{}],\"n\":1,\"\":null}")),
                     LEAT_BODY_OK);
    ck_assert_uint_eq(body.present, 1 << N);
}
END_TEST

/* rest NULL: not there. */
static const struct {
    const char *json, *rest;
} collected[] = {
    {"{}", NULL},
    {"{\"n\":1}", NULL},
    {"{\"n\":1,\"a\":1}", "{\"a\":1}"},
    {"{\"a\":1,\"n\":1,\"b\":null}", "{\"a\":1,\"b\":null}"},
    {"{\"a\": [ 1, {\"x\" : 1.50} ], \"\": \"\\u00e9\"}",
     "{\"a\":[1,{\"x\":1.50}],\"\":\"\xc3\xa9\"}"},
    {"{\"\\u0061\\\"b\": 12345678901234567890123}", "{\"a\\\"b\":12345678901234567890123}"},
    {"{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}"},
    {"{\"Rest\":1,\"rest \":2}", "{\"Rest\":1,\"rest \":2}"},
    {"{\"rest\":{\"a\":1}}", "{\"a\":1}"},
};

START_TEST(they_are_collected_in_one_object)
{
    leat_route route = route_with("rest", false);
    leat_body_fault fault = parse(&route, LEAT_PATCH, leat_slice_of(collected[_i].json));
    ck_assert_msg(fault == LEAT_BODY_OK, "%s: %s", error.field, error.message);
    ck_assert_int_eq(body.present >> REST & 1, collected[_i].rest != NULL);
    if (collected[_i].rest)
        ck_assert_msg(leat_slice_is(body.values[REST].text, collected[_i].rest), "%.*s",
                      (int)body.values[REST].text.size, body.values[REST].text.data);
}
END_TEST

#define DEEP_31 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"

static const struct {
    const char *json, *field, *says;
} refused[] = {
    {"{\"a\":1,\"rest\":{}}", "rest", "not both"},
    {"{\"rest\":null,\"a\":1}", "rest", "not both"},
    {"{\"a\":\"\\u0000\"}", "a", "U+0000"},
    {"{\"a\\u0000\":1}", "a", "U+0000"},
    {"{\"a\":{\"b\\u0000\":1}}", "a", "U+0000"},
    {"{\"a\":1e200000}", "a", "more digits"},
    {"{\"a\":[" DEEP_31 "]}", "a", "too deep"},
    {"{\"a\":1,\"n\":null}", "n", "must not be null"},
};

START_TEST(what_jsonb_does_not_hold_is_not_collected)
{
    leat_route route = route_with("rest", false);
    ck_assert_int_eq(parse(&route, LEAT_PATCH, LEAT_SLICE("{\"a\":" DEEP_31 "}")), LEAT_BODY_OK);
    ck_assert_int_eq(parse(&route, LEAT_PATCH, leat_slice_of(refused[_i].json)), LEAT_BODY_REFUSED);
    ck_assert_str_eq(error.field, refused[_i].field);
    ck_assert_msg(strstr(error.message, refused[_i].says), "%s", error.message);
}
END_TEST

static leat_row_write write_of(const leat_route *route, leat_route_op op, leat_slice json)
{
    static leat_value values[LEAT_COLUMNS_MAX];
    leat_row_write write = {.values = values};
    leat_body_fault fault = parse(route, op, json);
    ck_assert_msg(fault == LEAT_BODY_OK, "%s: %s", error.field, error.message);
    ck_assert_int_eq(leat_fold_start(fold, route, op, &body, &write), 0);
    return write;
}

START_TEST(a_put_that_merges_sets_what_it_names)
{
    static const char json[] = "{\"n\":3,\"tags\":[1],\"a\":1}";
    leat_route route = route_with("rest", true);
    leat_row_write write = write_of(&route, LEAT_PUT, leat_slice_of(json));
    ck_assert_uint_eq(write.op, LEAT_PATCH);
    ck_assert_uint_eq(write.present, 1 << N | 1 << REST | 1 << TAGS);
    ck_assert_uint_eq(write.operated, 1 << REST);
    ck_assert(leat_slice_is(write.values[TAGS].text, "[1]"));
    write = write_of(&route, LEAT_PUT, LEAT_SLICE("{}")); /* n may be missing: the row may be there
                                                           */
    ck_assert_uint_eq(write.op, LEAT_PATCH);
    ck_assert_uint_eq(write.present, 0);
    write = write_of(&route, LEAT_PATCH, leat_slice_of(json));
    ck_assert_uint_eq(write.operated, 1 << N | 1 << REST | 1 << TAGS);
    route = route_with("rest", false);
    write = write_of(&route, LEAT_PUT, leat_slice_of(json));
    ck_assert_uint_eq(write.op, LEAT_PUT);
    ck_assert_uint_eq(write.operated, 0);
    ck_assert_int_eq(parse(&route, LEAT_PUT, LEAT_SLICE("{}")), LEAT_BODY_REFUSED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/other");
    TCase *tests = tcase_create("other");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, members_that_are_no_column_are_refused_unless_the_route_wants_them);
    tcase_add_loop_test(tests, they_are_collected_in_one_object, 0, (int)COUNT_OF(collected));
    tcase_add_loop_test(tests, what_jsonb_does_not_hold_is_not_collected, 0,
                        (int)COUNT_OF(refused));
    tcase_add_test(tests, a_put_that_merges_sets_what_it_names);
    return fixture_run(suite);
}
