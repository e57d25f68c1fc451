#include "fixture.h"
#include "record/base64.h"

/* `bytes` with data NULL: refused. */
static const struct {
    leat_slice text;
    leat_slice bytes;
} cases[] = {
    {LEAT_SLICE(""), LEAT_SLICE("")},
    {LEAT_SLICE("AA=="), LEAT_SLICE("\0")},
    {LEAT_SLICE("Zg=="), LEAT_SLICE("f")},
    {LEAT_SLICE("Zm8="), LEAT_SLICE("fo")},
    {LEAT_SLICE("Zm9v"), LEAT_SLICE("foo")},
    {LEAT_SLICE("Zm9vYg=="), LEAT_SLICE("foob")},
    {LEAT_SLICE("Zm9vYmFy"), LEAT_SLICE("foobar")},
    {LEAT_SLICE("+/+/"), LEAT_SLICE("\xfb\xff\xbf")},
    {LEAT_SLICE("////"), LEAT_SLICE("\xff\xff\xff")},
    {LEAT_SLICE("Zg"), {NULL, 0}},
    {LEAT_SLICE("Zg="), {NULL, 0}},
    {LEAT_SLICE("Zh=="), {NULL, 0}}, /* the last 4 bits are not 0 */
    {LEAT_SLICE("Zm9="), {NULL, 0}}, /* the last 2 */
    {LEAT_SLICE("Z==="), {NULL, 0}},
    {LEAT_SLICE("===="), {NULL, 0}},
    {LEAT_SLICE("Zg==Zg=="), {NULL, 0}},
    {LEAT_SLICE("Z=g="), {NULL, 0}},
    {LEAT_SLICE("Zm9v\n"), {NULL, 0}},
    {LEAT_SLICE("Zm 9"), {NULL, 0}},
    {LEAT_SLICE("-_-_"), {NULL, 0}},
    {LEAT_SLICE("Zm9\0"), {NULL, 0}},
    {LEAT_SLICE("Zm9\xff"), {NULL, 0}},
};

START_TEST(only_canonical_base64_is_decoded)
{
    leat_slice bytes = cases[_i].bytes;
    ck_assert_int_eq(leat_base64_check(cases[_i].text), bytes.data != NULL);
    if (!bytes.data)
        return;
    leat_buf out = {0};
    leat_base64_decode(cases[_i].text, &out);
    ck_assert_uint_eq(out.size, bytes.size);
    ck_assert_uint_eq(leat_base64_size(cases[_i].text), bytes.size);
    if (bytes.size > 0)
        ck_assert_mem_eq(out.data, bytes.data, bytes.size);
    leat_buf_free(&out);
}
END_TEST

/* In the order of the bytes. */
static const char *const ordered[] = {
    "",     "AA==", "AAA=", "AAAA",     "AAAAAA==", "AAE=", "AQ==", "QQ==", "QQA=",
    "QQAA", "QUI=", "Zm9v", "Zm9vYg==", "+w==",     "+/s=", "/w==", "////",
};

START_TEST(the_order_is_that_of_the_bytes)
{
    for (size_t i = 0; i < COUNT_OF(ordered); i++) {
        for (size_t k = 0; k < COUNT_OF(ordered); k++) {
            int order = leat_base64_compare(leat_slice_of(ordered[i]), leat_slice_of(ordered[k]));
            ck_assert_msg((order > 0) - (order < 0) == (i > k) - (i < k), "%s and %s", ordered[i],
                          ordered[k]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/base64");
    TCase *tests = tcase_create("base64");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, only_canonical_base64_is_decoded, 0, (int)COUNT_OF(cases));
    tcase_add_test(tests, the_order_is_that_of_the_bytes);
    return fixture_run(suite);
}
