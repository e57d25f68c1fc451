/* The content of a health page. */
#include <check.h>

#include "ops/health.h"

static void expect(const leat_health *health, const char *text)
{
    leat_buf out = {0};
    leat_health_write(health, &out);
    ck_assert(!out.failed);
    ck_assert_str_eq(leat_buf_cstr(&out), text);
    leat_buf_free(&out);
}

START_TEST(a_zeroed_one_is_ready)
{
    expect(&(leat_health){0}, "{\"status\":\"ok\"}");
}
END_TEST

START_TEST(it_is_degraded_with_a_list)
{
    leat_health health = {0};
    leat_health_add_degraded(&health, "partition %d \"x\"", 2);
    leat_health_add_degraded(&health, "%s", "");
    leat_health_add_degraded(&health, "caf\xc3\xa9 \xff\n");
    expect(&health, "{\"status\":\"degraded\",\"degraded\":[\"partition 2 \\\"x\\\"\",\"\","
                    "\"caf\xc3\xa9 \xff\\n\"]}");
    leat_health_free(&health);
}
END_TEST

START_TEST(it_is_unready_for_the_last_reason)
{
    leat_health health = {0};
    leat_health_set_unready(&health, "first");
    leat_health_set_unready(&health, "shard %s", "a");
    expect(&health, "{\"status\":\"unready\",\"reason\":\"shard a\"}");
    leat_health_add_degraded(&health, "b");
    expect(&health, "{\"status\":\"unready\",\"reason\":\"shard a\",\"degraded\":[\"b\"]}");
    leat_health_free(&health);
}
END_TEST

START_TEST(it_is_unready_without_a_reason)
{
    expect(&(leat_health){.unready = true}, "{\"status\":\"unready\",\"reason\":\"\"}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    TCase *tests = tcase_create("health");
    tcase_add_test(tests, a_zeroed_one_is_ready);
    tcase_add_test(tests, it_is_degraded_with_a_list);
    tcase_add_test(tests, it_is_unready_for_the_last_reason);
    tcase_add_test(tests, it_is_unready_without_a_reason);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
