#include "fixture.h"

START_TEST(types_have_names_both_ways)
{
    for (unsigned type = 0; type < LEAT_TYPE_OTHER; type++)
        ck_assert_uint_eq(leat_type_by_name(leat_type_name((leat_type)type)), type);
    ck_assert_uint_eq(leat_type_by_name("varchar"), LEAT_TYPE_TEXT);
    ck_assert_uint_eq(leat_type_by_name("point"), LEAT_TYPE_OTHER);
    ck_assert_str_eq(leat_type_name(LEAT_TYPE_OTHER), "other");
}
END_TEST

START_TEST(exact_types_can_be_keys)
{
    static const bool expected[LEAT_TYPE_COUNT] = {
        [LEAT_TYPE_BOOL] = true,        [LEAT_TYPE_INT2] = true, [LEAT_TYPE_INT4] = true,
        [LEAT_TYPE_INT8] = true,        [LEAT_TYPE_TEXT] = true, [LEAT_TYPE_UUID] = true,
        [LEAT_TYPE_TIMESTAMPTZ] = true, [LEAT_TYPE_DATE] = true, [LEAT_TYPE_BYTEA] = true,
    };
    for (unsigned type = 0; type < LEAT_TYPE_COUNT; type++)
        ck_assert_int_eq(leat_type_is_key((leat_type)type), expected[type]);
}
END_TEST

START_TEST(operations_fit_their_types)
{
    for (unsigned type = 0; type < LEAT_TYPE_COUNT; type++) {
        leat_column column = fixture_column("c", (leat_type)type, -1);
        bool is_number = type >= LEAT_TYPE_INT2 && type <= LEAT_TYPE_NUMERIC;
        bool is_ordered = is_number || (type >= LEAT_TYPE_UUID && type <= LEAT_TYPE_BYTEA);
        ck_assert(leat_op_fits(LEAT_OP_SET, &column));
        ck_assert_int_eq(leat_op_fits(LEAT_OP_ADD, &column), is_number);
        ck_assert_int_eq(leat_op_fits(LEAT_OP_APPEND, &column), type == LEAT_TYPE_JSONB);
        ck_assert_int_eq(leat_op_fits(LEAT_OP_MERGE, &column), type == LEAT_TYPE_JSONB);
        ck_assert_int_eq(leat_op_fits(LEAT_OP_MAX, &column), is_ordered);
        ck_assert_int_eq(leat_op_fits(LEAT_OP_MIN, &column), is_ordered);
        column.by_bytes = true;
        ck_assert_int_eq(leat_op_fits(LEAT_OP_MAX, &column), is_ordered || type == LEAT_TYPE_TEXT);
        ck_assert_int_eq(leat_op_fits(LEAT_OP_ADD, &column), is_number);
    }
}
END_TEST

START_TEST(operations_have_names_both_ways)
{
    leat_column_op op;
    for (unsigned i = 0; i < LEAT_OP_COUNT; i++) {
        ck_assert(leat_op_by_name(leat_op_name((leat_column_op)i), &op));
        ck_assert_uint_eq(op, i);
    }
    ck_assert(!leat_op_by_name("multiply", &op));
}
END_TEST

START_TEST(columns_are_found_by_their_whole_name)
{
    leat_table table = fixture_table();
    char longest[LEAT_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[LEAT_NAME_MAX] = '\0';
    leat_column *column = fixture_add(&table, longest, LEAT_TYPE_TEXT, -1);
    longest[LEAT_NAME_MAX] = 'x';
    ck_assert_int_eq(leat_table_column(&table, LEAT_SLICE("note")), 0);
    ck_assert_int_eq(leat_table_column(&table, LEAT_SLICE("device")), 2);
    ck_assert_int_eq(leat_table_column(&table, (leat_slice){longest, LEAT_NAME_MAX}),
                     column - table.columns);
    ck_assert_int_eq(leat_table_column(&table, (leat_slice){longest, LEAT_NAME_MAX + 1}), -1);
    ck_assert_int_eq(leat_table_column(&table, LEAT_SLICE("devic")), -1);
    ck_assert_int_eq(leat_table_column(&table, LEAT_SLICE("devices")), -1);
    ck_assert_int_eq(leat_table_column(&table, LEAT_SLICE("device\0")), -1);
    ck_assert_int_eq(leat_table_column(&table, LEAT_SLICE("")), -1);
    leat_table_fini(&table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/table");
    TCase *tests = tcase_create("table");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, types_have_names_both_ways);
    tcase_add_test(tests, exact_types_can_be_keys);
    tcase_add_test(tests, operations_fit_their_types);
    tcase_add_test(tests, operations_have_names_both_ways);
    tcase_add_test(tests, columns_are_found_by_their_whole_name);
    return fixture_run(suite);
}
