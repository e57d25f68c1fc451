#include <check.h>
#include <string.h>

#include "base/buf.h"

/* The sanitizers' allocators end the process for a size that malloc would only refuse. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(it_grows_and_keeps_what_was_there)
{
    leat_buf buf = {0};
    for (int i = 0; i < 10000; i++)
        leat_buf_printf(&buf, "%04d", i);
    ck_assert_uint_eq(buf.size, 40000);
    ck_assert_int_eq(memcmp(buf.data, "00000001", 8), 0);
    ck_assert_int_eq(memcmp(buf.data + 39996, "9999", 4), 0);
    leat_buf_clear(&buf);
    ck_assert_uint_eq(buf.size, 0);
    leat_buf_free(&buf);
    ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(numbers_are_in_network_order)
{
    leat_buf buf = {0};
    leat_buf_be16(&buf, 0x0102);
    leat_buf_be32(&buf, 0x03040506);
    leat_buf_be64(&buf, UINT64_C(0x0708090a0b0c0d0e));
    leat_buf_patch_be32(&buf, 2, 0xfffffffe);
    ck_assert_uint_eq(buf.size, 14);
    ck_assert_int_eq(
        memcmp(buf.data, "\x01\x02\xff\xff\xff\xfe\x07\x08\x09\x0a\x0b\x0c\x0d\x0e", 14), 0);
    leat_buf_free(&buf);
}
END_TEST

START_TEST(numbers_are_written_in_decimal)
{
    static const uint64_t numbers[] = {0, 9, 10, 12345, UINT64_MAX};
    leat_buf buf = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        leat_buf_uint(&buf, numbers[i]);
        leat_buf_byte(&buf, ' ');
    }
    ck_assert_str_eq(leat_buf_cstr(&buf), "0 9 10 12345 18446744073709551615 ");
    leat_buf_free(&buf);
}
END_TEST

START_TEST(json_strings_are_escaped)
{
    leat_buf buf = {0};
    leat_buf_json_string(&buf, (leat_slice){"a\"\\\n\x01\x7f\xc3\xa9", 8});
    ck_assert_str_eq(leat_buf_cstr(&buf), "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\"");
    leat_buf_free(&buf);
}
END_TEST

START_TEST(an_allocation_that_fails_is_remembered)
{
    leat_buf buf = {0};
    leat_buf_text(&buf, "before");
    ck_assert_ptr_null(leat_buf_reserve(&buf, SIZE_MAX / 4));
    ck_assert(buf.failed);
    leat_buf_text(&buf, "after");
    ck_assert_ptr_null(leat_buf_cstr(&buf));
    leat_buf_clear(&buf);
    leat_buf_text(&buf, "again");
    ck_assert_str_eq(leat_buf_cstr(&buf), "again");
    leat_buf_free(&buf);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tests = tcase_create("buf");
    tcase_add_test(tests, it_grows_and_keeps_what_was_there);
    tcase_add_test(tests, numbers_are_in_network_order);
    tcase_add_test(tests, numbers_are_written_in_decimal);
    tcase_add_test(tests, json_strings_are_escaped);
    tcase_add_test(tests, an_allocation_that_fails_is_remembered);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
