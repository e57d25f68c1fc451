#include <yyjson.h>

#include "fixture.h"
#include "record/body.h"

static leat_table table_of_test;
static leat_route route;
static leat_body_parser *parser;
static leat_value key[LEAT_KEY_COLUMNS_MAX];

static void setup(void)
{
    table_of_test = fixture_table();
    route = fixture_route(&table_of_test, "/{app_id}/{device}");
    parser = leat_body_parser_new();
    ck_assert_ptr_nonnull(parser);
    key[0] = (leat_value){.presence = LEAT_PRESENT, .integer = 7};
    key[1] = (leat_value){.presence = LEAT_PRESENT, .text = LEAT_SLICE("abc")};
}

static void teardown(void)
{
    leat_body_parser_free(parser);
    leat_table_fini(&table_of_test);
}

static uint64_t bit(const char *name)
{
    int column = leat_table_column(&table_of_test, leat_slice_of(name));
    ck_assert_int_ge(column, 0);
    return (uint64_t)1 << column;
}

static const leat_value *value_of(const leat_body *body, const char *name)
{
    ck_assert(body->present & bit(name));
    return &body->values[leat_table_column(&table_of_test, leat_slice_of(name))];
}

static leat_body parse(leat_route_op op, leat_slice json)
{
    leat_body body;
    leat_body_error error = {"", ""};
    leat_body_fault fault = leat_body_parse(parser, &route, op, json, key, &body, &error);
    ck_assert_msg(fault == LEAT_BODY_OK, "%d %s: %s", (int)fault, error.field, error.message);
    return body;
}

START_TEST(a_jsonb_value_can_be_borrowed_as_it_came)
{
    static const struct {
        const char *json, *tags;
    } cases[] = {
        {"{\"tags\":{\"a\":[1,2.50]}}", "{\"a\":[1,2.50]}"},
        {" { \"tags\" :\t{ \"a\" : \"}\" } \r\n} ", "{ \"a\" : \"}\" }"},
        {"{\"tags\": [ 1, \"\xc3\xbc,\" ] , \"small\": 1}", "[ 1, \"\xc3\xbc,\" ]"},
        {"{\"small\": 1, \"tags\": \"\", \"note\": \"\\n\"}", "\"\""},
        {"{\"note\": \"\\\\\", \"tags\":-1e5}", "-1e5"},
        {"{\"tags\":true ,\"n\\u006fte\":\"x\"}", "true"},
    };
    leat_body_parser_borrow(parser);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_slice json = leat_slice_of(cases[i].json);
        leat_body body = parse(LEAT_PATCH, json);
        leat_slice tags = value_of(&body, "tags")->text;
        bool is_borrowed = tags.data >= json.data && tags.data < json.data + json.size;
        ck_assert_msg(leat_slice_is(tags, cases[i].tags), "%.*s", (int)tags.size, tags.data);
        ck_assert(is_borrowed);
    }
}
END_TEST

/* A database in SQL_ASCII refuses \u00fc, and takes the character. */
START_TEST(what_is_escaped_is_written_anew)
{
    static const struct {
        const char *json, *tags;
    } cases[] = {
        {"{\"tags\": [ 1, \"\\u00fc,\\\"\" ] , \"small\": 1}", "[1,\"\xc3\xbc,\\\"\"]"},
        {"{\"tags\": {\"\\u00fc\" : 1.50}}", "{\"\xc3\xbc\":1.50}"},
        {"{\"t\\u0061gs\": { \"a\" : 1 }}", "{\"a\":1}"},
    };
    leat_body_parser_borrow(parser);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_body body = parse(LEAT_PATCH, leat_slice_of(cases[i].json));
        leat_slice tags = value_of(&body, "tags")->text;
        ck_assert_msg(leat_slice_is(tags, cases[i].tags), "%.*s", (int)tags.size, tags.data);
    }
}
END_TEST

START_TEST(what_is_appended_or_of_type_json_is_never_borrowed)
{
    leat_body_parser_borrow(parser);
    route.ops[leat_table_column(&table_of_test, LEAT_SLICE("tags"))] = LEAT_OP_APPEND;
    leat_body body = parse(LEAT_PATCH, LEAT_SLICE("{\"tags\": [ 1 ], \"doc\": [ 2 ]}"));
    ck_assert(leat_slice_is(value_of(&body, "tags")->text, "[1]"));
    ck_assert(leat_slice_is(value_of(&body, "doc")->text, "[2]"));
}
END_TEST

START_TEST(every_type_is_read)
{
    leat_body body = parse(
        LEAT_PUT, LEAT_SLICE("{\"note\": \"a\\u00fcb\", \"active\": true, \"small\": -3, "
                             "\"sessions\": 9007199254740993, \"score\": 1.5e3, \"price\": 12.345, "
                             "\"ref\": \"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\", "
                             "\"seen\": \"2000-01-01T00:00:01Z\", "
                             "\"tags\": {\"a\": [1, 2.50, 1e400, null, \"\\u00fc\"]}, "
                             "\"ratio\": 0.1, \"born\": \"2000-01-03\", "
                             "\"opens\": \"00:00:01\", \"local\": \"2000-01-01T00:00:02\", "
                             "\"raw\": \"Zm9v\", \"doc\": [ 1.50, {\"a\" : null} ], "
                             "\"mood\": \"ok\", \"list\": [1, null], \"level\": 4}"));
    ck_assert(leat_slice_is(value_of(&body, "note")->text, "a\xc3\xbc"
                                                           "b"));
    ck_assert(value_of(&body, "active")->boolean);
    ck_assert_int_eq(value_of(&body, "small")->integer, -3);
    ck_assert_int_eq(value_of(&body, "sessions")->integer, 9007199254740993);
    ck_assert_double_eq(value_of(&body, "score")->real, 1500);
    ck_assert(leat_slice_is(value_of(&body, "price")->text, "12.345"));
    ck_assert_uint_eq(value_of(&body, "ref")->uuid[0], 0xa0);
    ck_assert_int_eq(value_of(&body, "seen")->integer, 1000000);
    ck_assert(
        leat_slice_is(value_of(&body, "tags")->text, "{\"a\":[1,2.50,1e400,null,\"\xc3\xbc\"]}"));
    ck_assert_double_eq(value_of(&body, "ratio")->real, (double)0.1f);
    ck_assert_int_eq(value_of(&body, "born")->integer, 2);
    ck_assert_int_eq(value_of(&body, "opens")->integer, 1000000);
    ck_assert_int_eq(value_of(&body, "local")->integer, 2000000);
    ck_assert(leat_slice_is(value_of(&body, "raw")->text, "Zm9v"));
    ck_assert(leat_slice_is(value_of(&body, "doc")->text, "[1.50,{\"a\":null}]"));
    ck_assert(leat_slice_is(value_of(&body, "mood")->text, "ok"));
    ck_assert(leat_slice_is(value_of(&body, "list")->text, "{1,NULL}"));
    ck_assert_int_eq(value_of(&body, "level")->integer, 4);
    ck_assert(!(body.present & (bit("app_id") | bit("device") | bit("made"))));
}
END_TEST

/* A value of a type that leat does not know, and the text form it becomes. */
static const struct {
    const char *column;
    const char *json;
    const char *text;
} text_forms[] = {
    {"mood", "\"\"", ""},
    {"mood", "\"(1,\\\"a b\\\")\"", "(1,\"a b\")"},
    {"mood", "12", "12"},
    {"mood", "-1.50e3", "-1.50e3"},
    {"mood", "true", "true"},
    {"mood", "false", "false"},
    {"list", "\"{1,2}\"", "{1,2}"},
    {"list", "[]", "{}"},
    {"list", "[1,-2.50,1e3]", "{1,-2.50,1e3}"},
    {"list", "[true,false,null]", "{true,false,NULL}"},
    {"list", "[\"\",\"null\",\"NULL\",\"a b\",\"{}\"]", "{\"\",\"null\",\"NULL\",\"a b\",\"{}\"}"},
    {"list", "[\"a\\\"b\\\\c\",\"\\u00fc\"]", "{\"a\\\"b\\\\c\",\"\xc3\xbc\"}"},
    {"list", "[[1,2],[3,null]]", "{{1,2},{3,NULL}}"},
    {"list", "[[],[]]", "{}"},
    {"list", "[[[[[[1]]]]]]", "{{{{{{1}}}}}}"},
};

START_TEST(other_types_take_their_text_form)
{
    char json[256];
    int size =
        snprintf(json, sizeof json, "{\"%s\": %s}", text_forms[_i].column, text_forms[_i].json);
    leat_body body = parse(LEAT_PATCH, (leat_slice){json, (size_t)size});
    leat_slice text = value_of(&body, text_forms[_i].column)->text;
    ck_assert_msg(leat_slice_is(text, text_forms[_i].text), "%.*s", (int)text.size, text.data);
}
END_TEST

START_TEST(only_what_is_added_must_be_finite)
{
    static const char *const jsons[] = {"{\"score\":\"NaN\"}", "{\"score\":\"-Infinity\"}",
                                        "{\"ratio\":\"Infinity\"}", "{\"price\":\"NaN\"}"};
    for (size_t i = 0; i < COUNT_OF(jsons); i++) {
        leat_body body;
        leat_body_error error;
        for (unsigned op = 0; op < LEAT_OP_COUNT; op++) {
            for (uint32_t column = 0; column < table_of_test.column_count; column++)
                route.ops[column] = (leat_column_op)op;
            leat_body_fault fault = leat_body_parse(parser, &route, LEAT_PATCH,
                                                    leat_slice_of(jsons[i]), key, &body, &error);
            ck_assert_uint_eq(fault, op == LEAT_OP_ADD ? LEAT_BODY_REFUSED : LEAT_BODY_OK);
        }
    }
    for (uint32_t column = 0; column < table_of_test.column_count; column++)
        route.ops[column] = LEAT_OP_ADD;
    parse(LEAT_PUT, LEAT_SLICE("{\"sessions\":1,\"score\":\"NaN\",\"price\":\"NaN\"}"));
    parse(LEAT_PATCH, LEAT_SLICE("{\"sessions\":1,\"score\":1e308,\"price\":1,\"ratio\":null}"));
}
END_TEST

/* The parser guesses where a name is by the bodies before. */
START_TEST(members_may_come_in_any_order_and_of_any_table)
{
    leat_table small = fixture_empty_table("small");
    fixture_add(&small, "level", LEAT_TYPE_INT4, -1);
    fixture_add_key(&small, "id", LEAT_TYPE_INT4, -1);
    leat_route other = fixture_route(&small, "/{id}");
    for (int i = 0; i < 6; i++) {
        leat_body body = parse(
            LEAT_PATCH, i % 3 == 0   ? LEAT_SLICE("{\"level\":1,\"note\":\"a\",\"small\":2}")
                        : i % 3 == 1 ? LEAT_SLICE("{\"small\":2,\"level\":1,\"note\":\"a\"}")
                                     : LEAT_SLICE("{\"note\":\"a\",\"level\":1,\"small\":2}"));
        ck_assert_uint_eq(body.present, bit("level") | bit("note") | bit("small"));
        ck_assert_int_eq(value_of(&body, "level")->integer, 1);
        ck_assert(leat_slice_is(value_of(&body, "note")->text, "a"));
        leat_body_error error;
        leat_slice json = LEAT_SLICE("{\"level\":3}");
        ck_assert_uint_eq(leat_body_parse(parser, &other, LEAT_PATCH, json, key, &body, &error),
                          LEAT_BODY_OK);
        ck_assert_uint_eq(body.present, 1);
        ck_assert_int_eq(body.values[0].integer, 3);
    }
}
END_TEST

START_TEST(texts_outlive_their_json_and_later_bodies)
{
    char json[] = "{\"note\": \"first\", \"price\": \"1.50\", \"tags\": [1], \"list\": [\"a\"]}";
    leat_body first = parse(LEAT_PATCH, (leat_slice){json, sizeof json - 1});
    memset(json, 'x', sizeof json);
    for (int i = 0; i < 5000; i++)
        parse(LEAT_PATCH,
              LEAT_SLICE(
                  "{\"note\": \"later\", \"price\": 2, \"tags\": {\"a\": \"bcdefghijklmnopq\"}, "
                  "\"list\": [\"bcd\"]}"));
    ck_assert(leat_slice_is(value_of(&first, "note")->text, "first"));
    ck_assert(leat_slice_is(value_of(&first, "price")->text, "1.50"));
    ck_assert(leat_slice_is(value_of(&first, "tags")->text, "[1]"));
    ck_assert(leat_slice_is(value_of(&first, "list")->text, "{\"a\"}"));
    leat_body_parser_reset(parser);
    leat_body again = parse(LEAT_PATCH, LEAT_SLICE("{\"note\": \"again\"}"));
    ck_assert(leat_slice_is(value_of(&again, "note")->text, "again"));
}
END_TEST

START_TEST(a_body_larger_than_a_chunk_is_read)
{
    enum { BYTES = 300000 };
    static char json[BYTES];
    int used = snprintf(json, sizeof json, "{\"tags\": [\"");
    memset(json + used, 'y', BYTES - (size_t)used);
    memcpy(json + BYTES - 3, "\"]}", 3);
    for (int i = 0; i < 3; i++) {
        leat_body body = parse(LEAT_PATCH, (leat_slice){json, BYTES});
        ck_assert_uint_eq(value_of(&body, "tags")->text.size, BYTES - strlen("{\"tags\": }"));
        parse(LEAT_PATCH, LEAT_SLICE("{\"note\": \"small\"}"));
        leat_body_parser_reset(parser);
    }
}
END_TEST

START_TEST(a_body_that_is_only_checked_is_refused_as_ever)
{
    leat_body body;
    leat_body_error error;
    leat_body_parser_only_check(parser);
    body = parse(LEAT_PATCH, LEAT_SLICE("{\"note\": \"first\", \"tags\": [1]}"));
    ck_assert_int_eq(value_of(&body, "tags")->presence, LEAT_PRESENT);
    ck_assert_ptr_null(value_of(&body, "tags")->text.data);
    ck_assert_int_eq(leat_body_parse(parser, &route, LEAT_PATCH,
                                     LEAT_SLICE("{\"tags\": [\"\\u0000\"]}"), key, &body, &error),
                     LEAT_BODY_REFUSED);
    ck_assert_str_eq(error.field, "tags");
}
END_TEST

START_TEST(a_body_that_was_read_is_not_read_again)
{
    char text[] = "{\"note\": \"as read\"}    "; /* with what yyjson reads beyond its end */
    leat_slice json = LEAT_SLICE("{\"note\": \"not read\"}");
    yyjson_doc *doc = yyjson_read_opts(text, strlen("{\"note\": \"as read\"}"),
                                       YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    ck_assert_ptr_nonnull(doc);
    leat_body_parser_offer(parser, json, yyjson_doc_get_root(doc));
    leat_body body = parse(LEAT_PATCH, json);
    ck_assert(leat_slice_is(value_of(&body, "note")->text, "as read"));
    body = parse(LEAT_PATCH, json); /* once */
    ck_assert(leat_slice_is(value_of(&body, "note")->text, "not read"));
    leat_body_parser_offer(parser, json, yyjson_doc_get_root(doc));
    leat_body_parser_reset(parser); /* it may be gone by now */
    body = parse(LEAT_PATCH, json);
    ck_assert(leat_slice_is(value_of(&body, "note")->text, "not read"));
    yyjson_doc_free(doc);
}
END_TEST

static const struct {
    leat_route_op op;
    const char *json;
    const char *absent_or_null; /* a column that is named with null */
} good_bodies[] = {
    {LEAT_PATCH, "", NULL},
    {LEAT_PATCH, "{}", NULL},
    {LEAT_PATCH, " \r\n\t{ \"note\" : null } \n", "note"},
    {LEAT_PUT, "{\"sessions\":0}", NULL},
    {LEAT_PUT, "{\"sessions\":\"12\"}", NULL},
    {LEAT_PUT, "{\"sessions\":-0,\"tags\":null}", "tags"},
    {LEAT_PUT, "{\"sessions\":1,\"app_id\":7,\"device\":\"abc\"}", NULL},
    {LEAT_PUT, "{\"sessions\":1,\"app_id\":\"007\"}", NULL},
    {LEAT_PUT, "{\"level\":1,\"sessions\":1}", NULL},
    {LEAT_PATCH, "{\"n\\u006fte\":\"x\"}", NULL},
    {LEAT_PATCH, "{\"score\":\"NaN\"}", NULL},
    {LEAT_PATCH, "{\"score\":\"-Infinity\"}", NULL},
    {LEAT_PATCH, "{\"price\":\"NaN\"}", NULL},
    {LEAT_PATCH, "{\"price\":\"9.99e2\"}", NULL},
    {LEAT_PATCH, "{\"price\":0.0000000000000000000000000000000001}", NULL},
    {LEAT_PATCH, "{\"tags\":\"text\"}", NULL},
    {LEAT_PATCH, "{\"tags\":true}", NULL},
    {LEAT_PATCH, "{\"tags\":{\"a\":1,\"a\":2}}", NULL},
    {LEAT_PATCH, "{\"tags\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
     NULL},
    {LEAT_PATCH,
     "{\"tags\":[[],[],{\"a\":[]},[[]],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
     "[],[],[],[],[],[],[],[],[]]}",
     NULL},
    {LEAT_PATCH, "{\"tags\":1e131071}", NULL},
    {LEAT_PATCH, "{\"tags\":\"\\ud83c\\udf0a\"}", NULL},
    {LEAT_DELETE, "anything", NULL},
};

START_TEST(good_bodies_are_taken)
{
    leat_body body = parse(good_bodies[_i].op, leat_slice_of(good_bodies[_i].json));
    ck_assert(!(body.present & (bit("app_id") | bit("device"))));
    if (good_bodies[_i].absent_or_null)
        ck_assert_uint_eq(value_of(&body, good_bodies[_i].absent_or_null)->presence, LEAT_NULL);
}
END_TEST

typedef struct bad_body {
    leat_route_op op;
    leat_body_fault fault;
    leat_slice json;
    const char *field;
    const char *says;
} bad_body;

#define LONG_NAME "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 62 bytes */

static const bad_body bad_bodies[] = {
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE(" "), "", "empty"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{}}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"sessions\":1,}"), "", "at byte"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"sessions\":01}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"sessions\":+1}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"sessions\":1.}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"score\":NaN}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{'sessions':1}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"sessions\":1}/**/"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("[]"), "", "must be a JSON object"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("null"), "", "must be a JSON object"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("1"), "", "must be a JSON object"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"note\":\"\xff\"}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"note\":\"\xed\xa0\x80\"}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"note\":\"\\ud83c\"}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"tags\":[\"\\udf0a\"]}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"note\":\"a\nb\"}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{\"note\":\"a\0b\"}"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("{}\0"), "", "not JSON"},
    {LEAT_PUT, LEAT_BODY_SYNTAX, LEAT_SLICE("\xef\xbb\xbf{}"), "", "BOM"},
    {LEAT_PUT, LEAT_BODY_REFUSED, LEAT_SLICE(""), "sessions", "must be there"},
    {LEAT_PUT, LEAT_BODY_REFUSED, LEAT_SLICE("{\"level\":1}"), "sessions", "must be there"},
    {LEAT_PUT, LEAT_BODY_REFUSED, LEAT_SLICE("{\"sessions\":null}"), "sessions",
     "must not be null"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"level\":null}"), "level", "must not be null"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"nothing\":1}"), "nothing", "is not a column"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"\":1}"), "", "is not a column"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"Note\":1}"), "Note", "is not a column"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"note\\u0000\":1}"), "note", "is not a column"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"" LONG_NAME "\xc3\xbc\":1}"), LONG_NAME,
     "is not a column"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"made\":1}"), "made", "generated"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"note\":\"a\",\"note\":\"a\"}"), "note", "twice"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"note\":null,\"small\":1,\"note\":null}"), "note",
     "twice"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"app_id\":7,\"app_id\":7}"), "app_id", "twice"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"app_id\":8}"), "app_id",
     "differs from the path"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"device\":\"ABC\"}"), "device",
     "differs from the path"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"device\":null}"), "device", "must not be null"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"note\":1}"), "note", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"note\":[]}"), "note", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"note\":\"a\\u0000b\"}"), "note", "U+0000"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"active\":1}"), "active", "true or false"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"active\":\"true\"}"), "active", "true or false"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"small\":32768}"), "small", "-32768 to 32767"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"small\":1.0}"), "small", "integer"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"small\":1e2}"), "small", "integer"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"small\":true}"), "small", "number"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"small\":\"\"}"), "small", "integer"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"sessions\":9223372036854775808}"), "sessions",
     "integer"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"score\":\"1.5\"}"), "score", "must be a number"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"score\":1e309}"), "score", "out of range"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"score\":{}}"), "score", "must be a number"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"price\":999.995}"), "price", "numeric(5,2)"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"price\":\"abc\"}"), "price", "must be a number"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"price\":false}"), "price", "must be a number"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"ref\":\"x\"}"), "ref", "UUID"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"ref\":1}"), "ref", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"seen\":\"2026-01-02\"}"), "seen", "RFC 3339"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"seen\":0}"), "seen", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"ratio\":1e39}"), "ratio",
     "out of range for real"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"born\":\"2026-01-02T00:00:00Z\"}"), "born",
     "must be a date"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"born\":20260102}"), "born", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"opens\":\"3:04\"}"), "opens", "time of day"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"local\":\"2026-01-02T00:00:00Z\"}"), "local",
     "no offset"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"raw\":\"Zg\"}"), "raw", "base64"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"raw\":[1]}"), "raw", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"doc\":[\"\\u0000\"]}"), "doc", "U+0000"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"doc\":1e200000}"), "doc", "more digits"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"mood\":\"\\u0000\"}"), "mood", "U+0000"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"mood\":[1]}"), "mood", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"mood\":{}}"), "mood", "must be a string"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":{}}"), "list", "must be an array"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":7}"), "list", "must be an array"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":true}"), "list", "must be an array"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[{}]}"), "list",
     "must not hold an object"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[[1],[{}]]}"), "list",
     "must not hold an object"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[\"a\\u0000\"]}"), "list", "U+0000"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[[1],[1,2]]}"), "list", "one size"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[1,[2]]}"), "list", "one size"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[[2],1]}"), "list", "one size"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[[],1]}"), "list", "one size"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"list\":[[[[[[[1]]]]]]]}"), "list",
     "more than 6 dimensions"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"tags\":\"\\u0000\"}"), "tags", "U+0000"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"tags\":[1,{\"a\":\"x\\u0000\"}]}"), "tags",
     "U+0000"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"tags\":{\"\\u0000\":1}}"), "tags", "U+0000"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"tags\":1e131072}"), "tags", "more digits"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"tags\":[[1e-16384]]}"), "tags", "more digits"},
    {LEAT_PATCH, LEAT_BODY_REFUSED, LEAT_SLICE("{\"tags\":{\"a\":1e200000}}"), "tags",
     "more digits"},
    {LEAT_PATCH, LEAT_BODY_REFUSED,
     LEAT_SLICE("{\"tags\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"),
     "tags", "too deep"},
    {LEAT_PATCH, LEAT_BODY_REFUSED,
     LEAT_SLICE(
         "{\"tags\":[[],{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]}"),
     "tags", "too deep"},
};

START_TEST(bad_bodies_are_refused_in_words)
{
    const bad_body *it = &bad_bodies[_i];
    leat_body body;
    leat_body_error error = {"?", "?"};
    leat_body_fault fault = leat_body_parse(parser, &route, it->op, it->json, key, &body, &error);
    ck_assert_msg(fault == it->fault, "%.*s: fault %d, %s: %s", (int)it->json.size, it->json.data,
                  (int)fault, error.field, error.message);
    ck_assert_str_eq(error.field, it->field);
    ck_assert_msg(strstr(error.message, it->says), "\"%s\" does not say \"%s\"", error.message,
                  it->says);
}
END_TEST

START_TEST(endless_nesting_is_refused_without_recursion)
{
    enum { LEVELS = 200000 };
    static char json[2 * LEVELS + 16];
    size_t used = (size_t)snprintf(json, sizeof json, "{\"%s\":", _i == 0 ? "tags" : "list");
    memset(json + used, '[', LEVELS);
    memset(json + used + LEVELS, ']', LEVELS);
    json[used + 2 * LEVELS] = '}';
    leat_body body;
    leat_body_error error;
    leat_slice whole = {json, used + 2 * LEVELS + 1};
    ck_assert_uint_eq(leat_body_parse(parser, &route, LEAT_PATCH, whole, key, &body, &error),
                      LEAT_BODY_REFUSED);
    ck_assert_str_eq(error.field, _i == 0 ? "tags" : "list");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/body");
    TCase *tests = tcase_create("body");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_jsonb_value_can_be_borrowed_as_it_came);
    tcase_add_test(tests, what_is_escaped_is_written_anew);
    tcase_add_test(tests, what_is_appended_or_of_type_json_is_never_borrowed);
    tcase_add_test(tests, every_type_is_read);
    tcase_add_loop_test(tests, other_types_take_their_text_form, 0, (int)COUNT_OF(text_forms));
    tcase_add_test(tests, only_what_is_added_must_be_finite);
    tcase_add_test(tests, members_may_come_in_any_order_and_of_any_table);
    tcase_add_test(tests, texts_outlive_their_json_and_later_bodies);
    tcase_add_test(tests, a_body_larger_than_a_chunk_is_read);
    tcase_add_test(tests, a_body_that_is_only_checked_is_refused_as_ever);
    tcase_add_test(tests, a_body_that_was_read_is_not_read_again);
    tcase_add_loop_test(tests, good_bodies_are_taken, 0, (int)COUNT_OF(good_bodies));
    tcase_add_loop_test(tests, bad_bodies_are_refused_in_words, 0, (int)COUNT_OF(bad_bodies));
    tcase_add_loop_test(tests, endless_nesting_is_refused_without_recursion, 0, 2);
    return fixture_run(suite);
}
