#include <check.h>

#include "base/utf8.h"

START_TEST(a_character_has_one_spelling)
{
    static const struct {
        leat_slice bytes;
        size_t size;
    } cases[] = {
        {LEAT_SLICE("a"), 1},
        {LEAT_SLICE("\xc3\xa9"), 2},
        {LEAT_SLICE("\xe2\x82\xac"), 3},
        {LEAT_SLICE("\xf4\x8f\xbf\xbf"), 4},
        {LEAT_SLICE("\xc1\x81"), 0},         /* overlong */
        {LEAT_SLICE("\xe0\x81\x81"), 0},     /* overlong */
        {LEAT_SLICE("\xed\xa0\x80"), 0},     /* a surrogate */
        {LEAT_SLICE("\xf4\x90\x80\x80"), 0}, /* past U+10FFFF */
        {LEAT_SLICE("\xe2\x82"), 0},         /* cut */
        {LEAT_SLICE("\x80"), 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_uint_eq(leat_utf8_size(cases[i].bytes.data, cases[i].bytes.size), cases[i].size);
}
END_TEST

START_TEST(text_has_no_nul)
{
    ck_assert(leat_utf8_is_text(LEAT_SLICE("")));
    ck_assert(leat_utf8_is_text(LEAT_SLICE("caf\xc3\xa9")));
    ck_assert(!leat_utf8_is_text(LEAT_SLICE("caf\xe9")));
    ck_assert(!leat_utf8_is_text(LEAT_SLICE("a\0b")));
}
END_TEST

START_TEST(what_is_no_text_is_replaced)
{
    leat_buf out = {0};
    leat_utf8_append(&out, LEAT_SLICE("a\0\xffz\xe2\x82\xac\xe2\x82"));
    ck_assert_str_eq(leat_buf_cstr(&out),
                     "a\xef\xbf\xbd\xef\xbf\xbdz\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd");
    leat_buf_free(&out);
}
END_TEST

START_TEST(a_mark_is_of_the_file)
{
    ck_assert_uint_eq(leat_utf8_mark_size(LEAT_SLICE("\xef\xbb\xbf")), 3);
    ck_assert_uint_eq(leat_utf8_mark_size(LEAT_SLICE("\xef\xbb\xbf,")), 3);
    ck_assert_uint_eq(leat_utf8_mark_size(LEAT_SLICE("\xef\xbb")), 0);
    ck_assert_uint_eq(leat_utf8_mark_size(LEAT_SLICE("a\xef\xbb\xbf")), 0);
    ck_assert_uint_eq(leat_utf8_mark_size(LEAT_SLICE("")), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tests = tcase_create("utf8");
    tcase_add_test(tests, a_character_has_one_spelling);
    tcase_add_test(tests, text_has_no_nul);
    tcase_add_test(tests, what_is_no_text_is_replaced);
    tcase_add_test(tests, a_mark_is_of_the_file);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
