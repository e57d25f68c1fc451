#include <check.h>

#include "apply/items.h"

START_TEST(all_are_handed_out_once_and_come_back)
{
    leat_items items;
    leat_error error;
    ck_assert_int_eq(leat_items_init(&items, 3, &error), 0);
    leat_item *taken[3];
    for (int i = 0; i < 3; i++) {
        taken[i] = leat_items_take(&items);
        ck_assert_ptr_nonnull(taken[i]);
        for (int j = 0; j < i; j++)
            ck_assert_ptr_ne(taken[i], taken[j]);
    }
    ck_assert_ptr_null(leat_items_take(&items));
    leat_items_give(&items, taken[1]);
    ck_assert_ptr_eq(leat_items_take(&items), taken[1]);
    ck_assert_ptr_null(leat_items_take(&items));
    leat_items_fini(&items);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("items");
    TCase *tests = tcase_create("items");
    tcase_add_test(tests, all_are_handed_out_once_and_come_back);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
