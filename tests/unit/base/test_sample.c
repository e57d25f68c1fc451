/* One in so many, wherever it stands. */
#include <check.h>

#include "base/sample.h"

START_TEST(test_one_in_each)
{
    for (uint32_t of = 1; of < 40; of++) {
        leat_sample sample = {0};
        for (uint32_t round = 0; round < 100; round++) {
            uint32_t taken = 0;
            for (uint32_t i = 0; i < of; i++)
                taken += leat_sample_takes(&sample, of);
            ck_assert_uint_eq(taken, 1);
        }
    }
}
END_TEST

/* Tenants that come in a cycle, of whatever length: each has its part of what is looked at. */
START_TEST(test_no_cycle_hides_anybody)
{
    enum { OF = 17, LOOKS = 400 };
    for (uint32_t cycle = 1; cycle <= 3 * OF; cycle++) {
        uint32_t seen[3 * OF] = {0}, at = 0;
        leat_sample sample = {0};
        for (uint32_t i = 0; i < OF * LOOKS * cycle; i++, at = (at + 1) % cycle)
            seen[at] += leat_sample_takes(&sample, OF);
        for (uint32_t tenant = 0; tenant < cycle; tenant++)
            ck_assert_msg(seen[tenant] > LOOKS * 2 / 3 && seen[tenant] < LOOKS * 4 / 3,
                          "of a cycle of %u, number %u is looked at %u times, not about %d", cycle,
                          tenant, seen[tenant], LOOKS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample");
    TCase *tests = tcase_create("sample");
    tcase_add_test(tests, test_one_in_each);
    tcase_add_test(tests, test_no_cycle_hides_anybody);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
