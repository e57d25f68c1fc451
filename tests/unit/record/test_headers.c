/* All headers of a record in one piece. */
#include "fixture.h"
#include "record/headers.h"

static leat_slice packed(const leat_buf *buf)
{
    return (leat_slice){buf->data ? buf->data : "", buf->size};
}

START_TEST(headers_come_back_in_their_order_each_with_its_value)
{
    leat_buf buf = {0};
    leat_headers_pack(&buf, LEAT_SLICE("op"), LEAT_SLICE("put"));
    leat_headers_pack(&buf, LEAT_SLICE(""), (leat_slice){NULL, 0});
    leat_headers_pack(&buf, LEAT_SLICE("op"), LEAT_SLICE(""));
    leat_slice rest = packed(&buf), name, value;
    ck_assert_int_eq(leat_headers_take(&rest, &name, &value), 1);
    ck_assert(leat_slice_is(name, "op") && leat_slice_is(value, "put"));
    ck_assert_int_eq(leat_headers_take(&rest, &name, &value), 1);
    ck_assert(leat_slice_is(name, "") && !value.data);
    ck_assert_int_eq(leat_headers_take(&rest, &name, &value), 1);
    ck_assert(leat_slice_is(name, "op") && value.data && value.size == 0);
    ck_assert_int_eq(leat_headers_take(&rest, &name, &value), 0);
    leat_buf_free(&buf);
}
END_TEST

START_TEST(damaged_headers_are_refused)
{
    static const leat_slice damaged[] = {
        {"\2o", 2}, {"\2op", 3}, {"\2op\4pu", 6}, {"\xff", 1}, {"\2op\xff", 4},
    };
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        leat_slice rest = damaged[i], name, value;
        ck_assert_int_eq(leat_headers_take(&rest, &name, &value), -1);
    }
}
END_TEST

START_TEST(of_a_records_own_names_each_has_its_field)
{
    leat_record record = {0};
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        ck_assert_ptr_eq(leat_header_find(&record, leat_slice_of(leat_header_name(header))),
                         leat_header_field(&record, header));
    ck_assert_ptr_eq(leat_header_find(&record, LEAT_SLICE("op")), &record.op);
    ck_assert_ptr_null(leat_header_find(&record, LEAT_SLICE("opp")));
    ck_assert_ptr_null(leat_header_find(&record, LEAT_SLICE("")));
}
END_TEST

START_TEST(json_of_none_is_an_empty_object)
{
    leat_buf out = {0};
    leat_headers_write_json(&out, LEAT_SLICE(""));
    ck_assert_str_eq(leat_buf_cstr(&out), "{}");
    leat_buf_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("headers");
    TCase *tests = tcase_create("headers");
    tcase_add_test(tests, headers_come_back_in_their_order_each_with_its_value);
    tcase_add_test(tests, damaged_headers_are_refused);
    tcase_add_test(tests, of_a_records_own_names_each_has_its_field);
    tcase_add_test(tests, json_of_none_is_an_empty_object);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
