#include <check.h>

#include "base/base64url.h"

enum { SPELLED = 8, MISSPELLED = 12 };

static const char *const spelled[SPELLED][2] = {
    {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "_---"},
};

START_TEST(bytes_have_one_spelling)
{
    leat_buf out = {0};
    leat_base64url_encode(leat_slice_of(spelled[_i][0]), &out);
    ck_assert(leat_slice_is((leat_slice){out.data ? out.data : "", out.size}, spelled[_i][1]));
    leat_buf_clear(&out);
    ck_assert(leat_base64url_decode(leat_slice_of(spelled[_i][1]), &out));
    ck_assert(leat_slice_is((leat_slice){out.data, out.size}, spelled[_i][0]));
    leat_buf_free(&out);
}
END_TEST

static const char *const misspelled[MISSPELLED] = {"Z",    "Zg==", "Zg=",   "Zh",
                                                   "Zm9",  "Zm 8", "Zm8\n", "Zm9v ",
                                                   "+---", "/---", "Zm9vY", "\xc3\xa4gg"};

START_TEST(no_other_spelling_is_read)
{
    leat_buf out = {0};
    leat_buf_text(&out, "kept");
    ck_assert_msg(!leat_base64url_decode(leat_slice_of(misspelled[_i]), &out), "%s",
                  misspelled[_i]);
    ck_assert_str_eq(leat_buf_cstr(&out), "kept");
    leat_buf_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base64url");
    TCase *tests = tcase_create("base64url");
    tcase_add_loop_test(tests, bytes_have_one_spelling, 0, SPELLED);
    tcase_add_loop_test(tests, no_other_spelling_is_read, 0, MISSPELLED);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
