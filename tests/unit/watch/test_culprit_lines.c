/* Who is to blame, as processes have reported it: in sentences and as JSON, whatever they said. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/culprit_lines.h"

static void expect(char *report, int64_t heard_ms, const char *lines, const char *json)
{
    leat_shard_worker worker = {.pid = 7, .heard_ms = heard_ms, .report = report};
    leat_shard_work work = {.worker_count = 1, .workers = &worker};
    leat_buf found = {0}, found_json = {0};
    snprintf(worker.host, sizeof worker.host, "h");
    leat_culprit_lines(&work, &found, &found_json);
    ck_assert_str_eq(leat_buf_cstr(&found), lines);
    ck_assert_str_eq(leat_buf_cstr(&found_json), json);
    leat_buf_free(&found);
    leat_buf_free(&found_json);
}

START_TEST(test_all_kinds)
{
    static char report[] =
        "{\"partitions\":[0],\"culprits\":{\"alerts\":[{\"text\":\"it grows\"}],\"partitions\":[{"
        "\"partition\":3,\"offset\":7,\"tenant\":\"t\",\"key\":\"t/1\",\"since_s\":12.4,\"reason\":"
        "\"contention\",\"attempts\":4}],\"tenants\":[{\"tenant\":\"t\",\"records_s\":1.25,"
        "\"database_ratio\":0.9,\"oldest_s\":13.0}],\"keys\":[{\"key\":\"t/1\",\"records_s\":1,"
        "\"database_ratio\":0.5}]}}";
    char json[1024];
    snprintf(json, sizeof json, "{\"process\":\"h 7\",\"found\":%s", strstr(report, "{\"alerts\""));
    expect(report, 100,
           "it grows\n"
           "held by offset 7 of partition 3 for 12 s, key t/1, tenant t: contention (4 attempts)\n"
           "tenant t: 1.2 records a second, 90 % of the database's time, the oldest that waits for "
           "13 s\n"
           "key t/1: 1.0 records a second, 50 % of the database's time\n",
           json);
    expect(report, LEAT_REPORT_LATE_MS, "", "");
}
END_TEST

/* Whoever's records waited longest, all together, if that was long; whatever else it takes. */
START_TEST(test_the_leader_by_time_waited)
{
    static char report[] =
        "{\"culprits\":{\"tenants\":[{\"tenant\":\"t\",\"records\":600,\"records_s\":10,"
        "\"database_ratio\":0.9,\"waited_s\":120},{\"tenant\":\"u\",\"records\":5,"
        "\"records_s\":0.1,\"database_ratio\":0.01,\"waited_s\":200}],"
        "\"keys\":[{\"key\":\"k\",\"records\":100,\"records_s\":2,\"waited_s\":99}]}}";
    char json[1024];
    snprintf(json, sizeof json, "{\"process\":\"h 7\",\"found\":%s",
             strstr(report, "{\"tenants\""));
    expect(
        report, 0,
        "tenant t: 10.0 records a second, 90 % of the database's time\n"
        "tenant u: 0.1 records a second, 1 % of the database's time, the most time waited: 200 s, "
        "40.0 s a record\n"
        "key k: 2.0 records a second, 0 % of the database's time\n",
        json);
}
END_TEST

/* An older leat says nothing of it, a newer one may say other things. */
START_TEST(test_other_forms)
{
    static char old[] = "{\"partitions\":[0],\"facts\":[]}", broken[] = "{", list[] = "[1]",
                text[] = "{\"culprits\":\"none\"}",
                other[] = "{\"culprits\":{\"partitions\":7,\"tenants\":[1,{},{\"tenant\":5}]}}";
    expect(old, 0, "", "");
    expect(broken, 0, "", "");
    expect(list, 0, "", "");
    expect(text, 0, "", "");
    expect(other, 0, "",
           "{\"process\":\"h 7\",\"found\":{\"partitions\":7,\"tenants\":[1,{},{\"tenant\":5}]}}");
}
END_TEST

START_TEST(test_lines_are_bounded)
{
    leat_buf report = {0};
    leat_buf_text(&report, "{\"culprits\":{\"partitions\":[{}");
    for (int i = 0; i < 100; i++)
        leat_buf_text(&report, ",{}");
    leat_buf_text(&report, "]}}");
    leat_buf_byte(&report, '\0');
    leat_shard_worker worker = {.report = report.data};
    leat_shard_work work = {.worker_count = 1, .workers = &worker};
    leat_buf lines = {0}, json = {0};
    leat_culprit_lines(&work, &lines, &json);
    size_t count = 0;
    for (size_t i = 0; i < lines.size; i++)
        count += lines.data[i] == '\n';
    ck_assert_uint_eq(count, LEAT_CULPRIT_LINES_MAX);
    leat_buf_free(&lines);
    leat_buf_free(&json);
    leat_buf_free(&report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("culprit_lines");
    TCase *tests = tcase_create("culprit_lines");
    tcase_add_test(tests, test_all_kinds);
    tcase_add_test(tests, test_the_leader_by_time_waited);
    tcase_add_test(tests, test_other_forms);
    tcase_add_test(tests, test_lines_are_bounded);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
