/* Facts as JSON: whatever is in a key, it is ASCII, valid, and of bounded size. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "apply/facts.h"

static leat_fact fact_with(const char *kind, leat_slice key)
{
    return (leat_fact){.kind = kind,
                       .text = "words",
                       .since_ms = 5,
                       .partition = 1,
                       .subpartition = -1,
                       .offset = 7,
                       .key = key};
}

START_TEST(any_text_is_ascii_and_reads_back)
{
    static const struct {
        leat_slice text;
        const char *read;
    } cases[] = {
        {LEAT_SLICE("plain"), "plain"},
        {LEAT_SLICE("a\"b\\c\n"), "a\"b\\c\n"},
        {LEAT_SLICE("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
         "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {LEAT_SLICE("\xff\xc3"), "\xef\xbf\xbd\xef\xbf\xbd"}, /* cut, and no UTF-8 */
        {{"a\0b", 3},
         "a\xef\xbf\xbd"
         "b"},
        {LEAT_SLICE("\x7f\x01"), "\x7f\x01"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_buf out = {0};
        leat_fact fact = fact_with("k", cases[i].text);
        ck_assert(leat_facts_add(&out, &fact));
        for (size_t at = 0; at < out.size; at++)
            ck_assert((unsigned char)out.data[at] >= 0x20 && (unsigned char)out.data[at] <= 0x7f);
        yyjson_doc *doc = yyjson_read(out.data, out.size, 0);
        ck_assert_ptr_nonnull(doc);
        ck_assert_str_eq(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "key")),
                         cases[i].read);
        yyjson_doc_free(doc);
        leat_buf_free(&out);
    }
}
END_TEST

START_TEST(a_time_may_be_a_bound)
{
    leat_buf out = {0};
    leat_fact fact = fact_with("k", (leat_slice){0});
    fact.is_least = true;
    ck_assert(leat_facts_add(&out, &fact));
    ck_assert_ptr_nonnull(strstr(leat_buf_cstr(&out), "\"since_ms\":5,\"at_least\":true,"));
    leat_buf_free(&out);
}
END_TEST

START_TEST(what_does_not_apply_is_left_out)
{
    leat_buf out = {0};
    leat_fact fact = fact_with("k", (leat_slice){0});
    ck_assert(leat_facts_add(&out, &fact) && leat_facts_add(&out, &fact));
    ck_assert_str_eq(
        leat_buf_cstr(&out),
        "{\"kind\":\"k\",\"since_ms\":5,\"words\":\"words\",\"partition\":1,\"offset\":7},"
        "{\"kind\":\"k\",\"since_ms\":5,\"words\":\"words\",\"partition\":1,\"offset\":7}");
    leat_buf_free(&out);
}
END_TEST

START_TEST(what_has_no_room_is_left_out_whole)
{
    char *key = malloc(1000);
    memset(key, 1, 1000); /* each is six bytes as JSON */
    leat_buf out = {0};
    uint32_t added = 0;
    leat_fact fact = fact_with("k", (leat_slice){key, 1000});
    while (added < 100 && leat_facts_add(&out, &fact))
        added++;
    ck_assert(added > 2 && added < 100 && out.size <= LEAT_FACTS_BYTES_MAX);
    ck_assert_int_eq(out.data[out.size - 1], '}');
    free(key);
    leat_buf_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("facts");
    TCase *tests = tcase_create("facts");
    tcase_add_test(tests, any_text_is_ascii_and_reads_back);
    tcase_add_test(tests, a_time_may_be_a_bound);
    tcase_add_test(tests, what_does_not_apply_is_left_out);
    tcase_add_test(tests, what_has_no_room_is_left_out_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
