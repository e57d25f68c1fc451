/* The keys of records that hold up their subpartitions. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "apply/heads.h"

static leat_heads heads;

static void note(uint32_t subpartition)
{
    char key[16];
    int size = snprintf(key, sizeof key, "k%u", subpartition);
    leat_heads_note(&heads, 1, subpartition, 7, (leat_slice){key, (size_t)size}, LEAT_SLICE("t"));
}

START_TEST(a_head_is_known_by_its_place)
{
    memset(&heads, 0, sizeof heads);
    note(5);
    const leat_known_head *head = leat_heads_find(&heads, 1, 5, 7);
    ck_assert_ptr_nonnull(head);
    ck_assert(leat_slice_is((leat_slice){head->key, head->key_size}, "k5"));
    ck_assert(leat_slice_is((leat_slice){head->tenant, head->tenant_size}, "t"));
    ck_assert_ptr_null(leat_heads_find(&heads, 1, 5, 8));
    ck_assert_ptr_null(leat_heads_find(&heads, 1, 6, 7));
    ck_assert_ptr_null(leat_heads_find(&heads, 0, 5, 7));
    leat_heads_note(&heads, 1, 5, 7, LEAT_SLICE("other"), LEAT_SLICE(""));
    head = leat_heads_find(&heads, 1, 5, 7);
    ck_assert(leat_slice_is((leat_slice){head->key, head->key_size}, "other"));
    ck_assert_uint_eq(head->tenant_size, 0);
}
END_TEST

START_TEST(the_one_that_nobody_asks_for_is_forgotten)
{
    memset(&heads, 0, sizeof heads);
    for (uint32_t i = 0; i < LEAT_HEADS_MAX; i++)
        note(i);
    ck_assert_ptr_nonnull(leat_heads_find(&heads, 1, 0, 7));
    note(LEAT_HEADS_MAX);
    ck_assert_ptr_nonnull(leat_heads_find(&heads, 1, 0, 7));
    ck_assert_ptr_null(leat_heads_find(&heads, 1, 1, 7));
    ck_assert_ptr_nonnull(leat_heads_find(&heads, 1, LEAT_HEADS_MAX, 7));
}
END_TEST

START_TEST(a_long_key_is_cut)
{
    char key[LEAT_HEAD_TEXT_MAX + 10];
    memset(key, 'x', sizeof key);
    memset(&heads, 0, sizeof heads);
    leat_heads_note(&heads, 1, 2, 3, (leat_slice){key, sizeof key}, (leat_slice){NULL, 0});
    ck_assert_uint_eq(leat_heads_find(&heads, 1, 2, 3)->key_size, LEAT_HEAD_TEXT_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heads");
    TCase *tests = tcase_create("heads");
    tcase_add_test(tests, a_head_is_known_by_its_place);
    tcase_add_test(tests, the_one_that_nobody_asks_for_is_forgotten);
    tcase_add_test(tests, a_long_key_is_cut);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
