/* Facts as JSON: whatever is in a key, it is ASCII, valid, and of bounded size. */
#include <check.h>
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
        leat_facts facts = {0};
        const leat_buf *out = &facts.json;
        leat_fact fact = fact_with("k", cases[i].text);
        leat_facts_add(&facts, &fact);
        ck_assert_uint_eq(facts.count, 1);
        for (size_t at = 0; at < out->size; at++)
            ck_assert((unsigned char)out->data[at] >= 0x20 && (unsigned char)out->data[at] <= 0x7f);
        yyjson_doc *doc = yyjson_read(out->data, out->size, 0);
        ck_assert_ptr_nonnull(doc);
        ck_assert_str_eq(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "key")),
                         cases[i].read);
        yyjson_doc_free(doc);
        leat_facts_free(&facts);
    }
}
END_TEST

START_TEST(a_time_may_be_a_bound)
{
    leat_facts facts = {0};
    leat_fact fact = fact_with("k", (leat_slice){0});
    fact.is_least = true;
    leat_facts_add(&facts, &fact);
    ck_assert_ptr_nonnull(strstr(leat_buf_cstr(&facts.json), "\"since_ms\":5,\"at_least\":true,"));
    leat_facts_free(&facts);
}
END_TEST

START_TEST(what_does_not_apply_is_left_out)
{
    leat_facts facts = {0};
    leat_fact fact = fact_with("k", (leat_slice){0});
    leat_facts_add(&facts, &fact);
    leat_facts_add(&facts, &fact);
    leat_facts_end(&facts); /* none is left out */
    ck_assert_str_eq(
        leat_buf_cstr(&facts.json),
        "{\"kind\":\"k\",\"since_ms\":5,\"words\":\"words\",\"partition\":1,\"offset\":7},"
        "{\"kind\":\"k\",\"since_ms\":5,\"words\":\"words\",\"partition\":1,\"offset\":7}");
    leat_facts_free(&facts);
}
END_TEST

/* One with so many bytes of a key, each of which is six as JSON. */
static leat_fact large_fact(const char *kind, size_t size)
{
    static char ones[4000];
    ck_assert_uint_le(size, sizeof ones);
    memset(ones, 1, sizeof ones);
    return fact_with(kind, (leat_slice){ones, size});
}

static yyjson_doc *read_facts(const leat_facts *facts)
{
    leat_buf list = {0};
    leat_buf_byte(&list, '[');
    leat_buf_append(&list, facts->json.data, facts->json.size);
    leat_buf_byte(&list, ']');
    yyjson_doc *doc = yyjson_read(list.data, list.size, 0);
    ck_assert_msg(doc, "%s", leat_buf_cstr(&list));
    leat_buf_free(&list);
    return doc;
}

/* How many facts of the kind there are; `ret_last`, where it is wanted, gets the `count` of the
 * last one. */
static uint32_t count_kind(const leat_facts *facts, const char *kind, uint64_t *ret_last)
{
    yyjson_doc *doc = read_facts(facts);
    uint32_t found = 0;
    size_t at, count;
    yyjson_val *fact;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), at, count, fact)
    {
        bool is_it = strcmp(yyjson_get_str(yyjson_obj_get(fact, "kind")), kind) == 0;
        found += is_it;
        if (is_it && ret_last)
            *ret_last = yyjson_get_uint(yyjson_obj_get(fact, "count"));
    }
    yyjson_doc_free(doc);
    return found;
}

/* It is counted, what is smaller still finds its room, and the last fact says how many there
 * are not. */
START_TEST(what_has_no_room_is_left_out_whole)
{
    leat_facts facts = {0};
    leat_fact large = large_fact("large", 1100), small = fact_with("small", (leat_slice){0});
    uint64_t left_out = 0;
    for (int i = 0; i < 100; i++)
        leat_facts_add(&facts, &large);
    leat_facts_add(&facts, &small);
    uint32_t added = count_kind(&facts, "large", NULL);
    ck_assert(added > 2 && added < 100);
    ck_assert_uint_eq(count_kind(&facts, "small", NULL), 1);
    ck_assert_uint_eq(facts.left_out, 100 - added);
    leat_facts_end(&facts);
    ck_assert_uint_eq(count_kind(&facts, "left_out", &left_out), 1);
    ck_assert_uint_eq(left_out, 100 - added);
    ck_assert_uint_le(facts.json.size, LEAT_FACTS_BYTES_MAX);
    leat_facts_free(&facts);
}
END_TEST

/* However full it is. */
START_TEST(there_is_room_to_say_that_some_are_left_out)
{
    for (size_t size = 0; size < 400; size++) {
        leat_facts facts = {0};
        leat_fact large = large_fact("large", 3000), last = large_fact("last", size),
                  least = fact_with("k", (leat_slice){0});
        uint64_t left_out = 0;
        leat_facts_add(&facts, &large);
        leat_facts_add(&facts, &last);
        for (int i = 0; i < 500; i++)
            leat_facts_add(&facts, &least);
        ck_assert_uint_gt(facts.left_out, 0);
        facts.left_out = UINT32_MAX;
        leat_facts_end(&facts);
        ck_assert_uint_eq(count_kind(&facts, "left_out", &left_out), 1);
        ck_assert_uint_eq(left_out, UINT32_MAX);
        ck_assert_uint_le(facts.json.size, LEAT_FACTS_BYTES_MAX);
        leat_facts_free(&facts);
    }
}
END_TEST

/* Of two workers each has its part, of which its first facts come first; what the first leaves the
 * second may use. */
START_TEST(each_worker_has_a_part_of_the_room)
{
    leat_facts first = {0}, second = {0}, all = {0};
    leat_fact flood = fact_with("flood", LEAT_SLICE("x")), large = large_fact("large", 500),
              other = large_fact("other", 500);
    uint64_t left_out = 0;
    leat_facts_add(&first, &flood);
    leat_facts_add(&second, &flood);
    for (int i = 0; i < 20; i++) {
        leat_facts_add(&first, &large);
        leat_facts_add(&second, &other);
    }
    leat_facts_join(&all, &first, leat_facts_room(&all) / 2);
    ck_assert_uint_le(all.json.size, LEAT_FACTS_BYTES_MAX / 2);
    leat_facts_join(&all, &second, leat_facts_room(&all));
    leat_facts_end(&all);
    ck_assert_uint_eq(count_kind(&all, "flood", NULL), 2);
    uint32_t of_first = count_kind(&all, "large", NULL),
             of_second = count_kind(&all, "other", NULL);
    ck_assert(of_first > 2 && of_second >= of_first && of_second < 20);
    ck_assert_uint_eq(count_kind(&all, "left_out", &left_out), 1);
    ck_assert_uint_eq(left_out, 40 - of_first - of_second);
    leat_facts_free(&first);
    leat_facts_free(&second);
    leat_facts_free(&all);
}
END_TEST

/* Of one that has none. */
START_TEST(nothing_is_joined_to_nothing)
{
    leat_facts none = {0}, all = {0};
    leat_facts_join(&all, &none, leat_facts_room(&all));
    leat_facts_end(&all);
    ck_assert_uint_eq(all.json.size, 0);
    none.left_out = 3;
    leat_facts_join(&all, &none, 0);
    leat_facts_end(&all);
    ck_assert_uint_eq(count_kind(&all, "left_out", NULL), 1);
    leat_facts_free(&all);
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
    tcase_add_test(tests, there_is_room_to_say_that_some_are_left_out);
    tcase_add_test(tests, each_worker_has_a_part_of_the_room);
    tcase_add_test(tests, nothing_is_joined_to_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
