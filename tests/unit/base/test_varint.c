/* Whole numbers in as few bytes as they need. */
#include <check.h>

#include "base/varint.h"

static const struct {
    uint64_t value;
    size_t size;
} cases[] = {
    {0, 1}, {0x7f, 1}, {0x80, 2}, {0x3fff, 2}, {0x4000, 3}, {INT64_MAX, 9}, {UINT64_MAX, 10},
};

START_TEST(a_number_comes_back_and_leaves_the_rest)
{
    leat_buf buf = {0};
    leat_varint_put(&buf, cases[_i].value);
    ck_assert_uint_eq(buf.size, cases[_i].size);
    leat_buf_text(&buf, "rest");
    leat_slice rest = {buf.data, buf.size};
    uint64_t value;
    ck_assert(leat_varint_take(&rest, &value));
    ck_assert_uint_eq(value, cases[_i].value);
    ck_assert(leat_slice_is(rest, "rest"));
    leat_buf_free(&buf);
}
END_TEST

START_TEST(a_number_that_is_cut_or_has_no_end_is_refused)
{
    static const leat_slice damaged[] = {
        {"", 0},
        {"\x80", 1},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        leat_slice rest = damaged[i];
        uint64_t value;
        ck_assert(!leat_varint_take(&rest, &value));
    }
}
END_TEST

START_TEST(small_numbers_below_zero_are_short)
{
    static const int64_t values[] = {0, -1, 1, -64, 63, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        ck_assert_int_eq(leat_varint_unfold(leat_varint_fold(values[i])), values[i]);
    ck_assert_uint_eq(leat_varint_fold(-1), 1);
    ck_assert_uint_eq(leat_varint_fold(1), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("varint");
    TCase *tests = tcase_create("varint");
    tcase_add_loop_test(tests, a_number_comes_back_and_leaves_the_rest, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_test(tests, a_number_that_is_cut_or_has_no_end_is_refused);
    tcase_add_test(tests, small_numbers_below_zero_are_short);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
