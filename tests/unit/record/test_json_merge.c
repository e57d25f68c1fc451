#include "fixture.h"
#include "record/json_merge.h"

static leat_arena texts;
static leat_json_merger merger;

static void set_up(void)
{
    merger = (leat_json_merger){&texts, yyjson_alc_dyn_new(), LEAT_FOLD_TEXT_MAX};
    ck_assert_ptr_nonnull(merger.memory);
}

static void tear_down(void)
{
    yyjson_alc_dyn_free(merger.memory);
    leat_arena_fini(&texts);
}

static void check_text(leat_slice found, const char *expected)
{
    ck_assert_msg(leat_slice_is(found, expected), "%.*s, not %s", (int)found.size, found.data,
                  expected);
}

/* The cases of RFC 7396, appendix A, whose patch is an object, and more. */
static const struct {
    const char *value, *patch, *result;
} applied[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    {"", "{\"a\":{\"b\":null,\"c\":1},\"d\":null}", "{\"a\":{\"c\":1}}"},
    {"7", "{}", "{}"},
    {"{\"a\":7}", "{\"a\":{}}", "{\"a\":{}}"},
    {"{\"a\":1}", "{\"b\":[null,{\"c\":null}]}", "{\"a\":1,\"b\":[null,{\"c\":null}]}"},
    /* of one name the last counts */
    {"{\"a\":1,\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", "{\"a\":{\"x\":1,\"y\":2}}"},
    {"{\"a\":{\"x\":1},\"a\":1}", "{\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}"},
    {"{\"a\":1,\"a\":2}", "{\"a\":null}", "{}"},
    {"{\"a\":1}", "{\"a\":null,\"a\":2}", "{\"a\":2}"},
    {"{\"a\":1}", "{\"a\":2,\"a\":null}", "{}"},
    {"{\"a\":0}", "{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}"},
    {"{\"\\u0061\":1}", "{\"a\":null}", "{}"},
    /* numbers are not touched */
    {"{\"a\":123456789012345678901234567890.10}", "{\"b\":1e3}",
     "{\"a\":123456789012345678901234567890.10,\"b\":1e3}"},
};

START_TEST(a_patch_is_applied_as_rfc_7396_says)
{
    leat_slice result;
    leat_slice value = leat_slice_of(applied[_i].value);
    ck_assert_int_eq(leat_json_apply(&merger, value, leat_slice_of(applied[_i].patch), &result),
                     LEAT_FOLD_DONE);
    check_text(result, applied[_i].result);
}
END_TEST

static const struct {
    const char *earlier, *later, *result; /* NULL: they do not compose */
    leat_merge merge;
} composed[] = {
    {"{}", "{}", "{}", LEAT_MERGE_CONCAT},
    {"{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}", LEAT_MERGE_CONCAT},
    {"{\"a\":1}", "{\"a\":null}", "{\"a\":null}", LEAT_MERGE_STRIP},
    {"{\"a\":null}", "{\"a\":1}", "{\"a\":1}", LEAT_MERGE_CONCAT},
    {"{\"a\":null}", "{\"b\":1}", "{\"a\":null,\"b\":1}", LEAT_MERGE_STRIP},
    {"{\"a\":{\"x\":1}}", "{\"a\":[2]}", "{\"a\":[2]}", LEAT_MERGE_CONCAT},
    {"{\"a\":{\"x\":1}}", "{\"a\":null}", "{\"a\":null}", LEAT_MERGE_STRIP},
    {"{\"b\":1}", "{\"a\":{\"x\":null}}", "{\"a\":{\"x\":null},\"b\":1}", LEAT_MERGE_DEEP},
    {"{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":null}}", "{\"a\":{\"x\":null,\"y\":2}}",
     LEAT_MERGE_DEEP},
    {"{\"a\":{\"x\":{\"p\":1}}}", "{\"a\":{\"x\":{\"q\":2}}}", "{\"a\":{\"x\":{\"p\":1,\"q\":2}}}",
     LEAT_MERGE_DEEP},
    {"{\"a\":null}", "{\"a\":{\"x\":1}}", NULL, LEAT_MERGE_CONCAT},
    {"{\"a\":1}", "{\"a\":{}}", NULL, LEAT_MERGE_CONCAT},
    {"{\"a\":{\"x\":[]}}", "{\"a\":{\"x\":{\"p\":1}}}", NULL, LEAT_MERGE_CONCAT},
    {"{\"a\":null,\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", "{\"a\":{\"x\":1,\"y\":2}}",
     LEAT_MERGE_DEEP},
    {"{\"a\":null}", "{\"a\":{\"y\":2},\"a\":3}", "{\"a\":3}", LEAT_MERGE_CONCAT},
};

START_TEST(patches_compose_or_say_that_they_do_not)
{
    leat_slice result;
    leat_merge merge;
    const char *expected = composed[_i].result;
    leat_fold_outcome outcome = leat_json_compose(&merger, leat_slice_of(composed[_i].earlier),
                                                  leat_slice_of(composed[_i].later), &result,
                                                  &merge);
    ck_assert_int_eq(outcome, expected ? LEAT_FOLD_DONE : LEAT_FOLD_APART);
    if (!expected)
        return;
    check_text(result, expected);
    ck_assert_int_eq(merge, composed[_i].merge);
}
END_TEST

static const struct {
    const char *patch;
    leat_merge merge;
} classified[] = {
    {"{}", LEAT_MERGE_CONCAT},
    {"{\"a\":1,\"b\":\"null\",\"c\":[null,{}]}", LEAT_MERGE_CONCAT},
    {"{\"a\":1,\"b\":null}", LEAT_MERGE_STRIP},
    {"{\"a\":{}}", LEAT_MERGE_DEEP},
    {"{\"a\":{\"b\":1},\"c\":null}", LEAT_MERGE_DEEP},
    {"{\"c\":null,\"a\":{\"b\":1}}", LEAT_MERGE_DEEP},
};

START_TEST(a_patch_is_classified_by_its_members)
{
    leat_merge merge;
    ck_assert_int_eq(leat_json_classify(&merger, leat_slice_of(classified[_i].patch), &merge), 0);
    ck_assert_int_eq(merge, classified[_i].merge);
}
END_TEST

/* {"NAME":"xxx"} of that many bytes. */
static leat_slice long_object(char name, size_t size)
{
    char *text = leat_arena_take(&texts, size);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', size);
    memcpy(text, (char[]){'{', '"', name, '"', ':', '"'}, 6);
    memcpy(text + size - 2, "\"}", 2);
    return (leat_slice){text, size};
}

START_TEST(what_is_made_has_a_limit)
{
    leat_slice result;
    leat_merge merge;
    leat_slice half = long_object('a', LEAT_FOLD_TEXT_MAX / 2);
    leat_slice other = long_object('b', LEAT_FOLD_TEXT_MAX / 2);
    leat_slice more = long_object('b', LEAT_FOLD_TEXT_MAX / 2 + 2);
    leat_slice too_long = long_object('a', LEAT_FOLD_TEXT_MAX + 1);
    ck_assert_int_eq(leat_json_compose(&merger, half, other, &result, &merge), LEAT_FOLD_DONE);
    ck_assert_uint_eq(result.size, LEAT_FOLD_TEXT_MAX - 1); /* "}{" has become "," */
    ck_assert_int_eq(leat_json_compose(&merger, half, more, &result, &merge), LEAT_FOLD_APART);
    ck_assert_int_eq(leat_json_apply(&merger, half, more, &result), LEAT_FOLD_APART);
    ck_assert_int_eq(leat_json_apply(&merger, too_long, LEAT_SLICE("{\"a\":1}"), &result),
                     LEAT_FOLD_APART);
    ck_assert_int_eq(leat_json_classify(&merger, too_long, &merge), 0);
    ck_assert_int_eq(merge, LEAT_MERGE_CONCAT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/json_merge");
    TCase *tests = tcase_create("json_merge");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_patch_is_applied_as_rfc_7396_says, 0, (int)COUNT_OF(applied));
    tcase_add_loop_test(tests, patches_compose_or_say_that_they_do_not, 0, (int)COUNT_OF(composed));
    tcase_add_loop_test(tests, a_patch_is_classified_by_its_members, 0, (int)COUNT_OF(classified));
    tcase_add_test(tests, what_is_made_has_a_limit);
    return fixture_run(suite);
}
