/* test_troubles.c - who counts as working, and what is said where nobody does. */
#include "../record/fixture.h"
#include "watch/troubles.h"

static char report[] = "{\"partitions\":[0],\"facts\":[]}";

typedef struct scene {
    leat_shard_address at;
    leat_lag *lag;
    leat_troubles found;
} scene;

/* One process of one shard, heard so long ago, with a partition that has so many records. */
static void set(scene *s, const char *dsn, int64_t heard_ms, int64_t records)
{
    leat_shard_work *work;
    *s = (scene){.at = {.dsn = dsn}, .lag = leat_must_calloc(1, sizeof *s->lag)};
    work = &s->lag->works[0];
    work->workers = leat_must_calloc(1, sizeof *work->workers);
    work->processes = leat_must_calloc(1, sizeof *work->processes);
    work->worker_count = work->process_count = 1;
    work->workers[0] = (leat_shard_worker){
        .host = "h", .pid = 7, .heard_ms = heard_ms, .report = leat_must_strdup(report)};
    work->processes[0] = (leat_shard_process){.name = "h 7", .sessions = 2};
    s->lag->shards[0] = (leat_lag_sum){.partitions = 1, .records = records};
    s->lag->count = 1;
    s->lag->partitions = leat_must_calloc(1, sizeof *s->lag->partitions);
    s->lag->partitions[0] = (leat_lag_partition){.is_known = true, .records = records};
}

static leat_shard_work *work_of(scene *s)
{
    return &s->lag->works[0];
}

/* `words`: what the only trouble says; NULL: there is none. */
static void expect(scene *s, bool works, const char *words)
{
    leat_troubles_find(s->at, s->lag, 0, 0, &s->found);
    ck_assert_uint_eq(s->found.process_count, 1);
    ck_assert(s->found.processes[0].works == works);
    ck_assert_uint_eq(s->found.count, words != NULL);
    if (words) {
        ck_assert_str_eq(s->found.lines[0].kind, "nobody");
        ck_assert_str_eq(s->found.lines[0].text, words);
    }
    leat_troubles_fini(&s->found);
    leat_lag_fini(s->lag);
    free(s->lag);
}

START_TEST(a_process_that_reports_in_time_works)
{
    scene s;
    set(&s, "x", LEAT_REPORT_EVERY_MS + 1000, 5);
    expect(&s, true, NULL);
    set(&s, NULL, LEAT_REPORT_LATE_MS - 1, 0);
    expect(&s, true, NULL);
    set(&s, "x", LEAT_REPORT_LATE_MS - 1, 5);
    work_of(&s)->is_pooled = true;
    expect(&s, true, NULL);
}
END_TEST

/* Its sessions may be another's, or those of a process that hangs. */
START_TEST(a_process_that_missed_a_report_does_not_work)
{
    scene s;
    set(&s, "x", LEAT_REPORT_LATE_MS, 5);
    expect(&s, false, "records wait and nobody applies them: process h 7 was heard last, 10 s ago");
    set(&s, "x", LEAT_REPORT_LATE_MS, 0);
    work_of(&s)->is_pooled = true;
    expect(
        &s, false,
        "no process works here: process h 7 was heard last, 10 s ago, and has not ended in order");
}
END_TEST

START_TEST(a_process_without_sessions_does_not_work)
{
    scene s;
    set(&s, "x", 1000, 0);
    work_of(&s)->process_count = 0;
    expect(
        &s, false,
        "no process works here: process h 7 was heard last, 1 s ago, and has not ended in order");
    set(&s, "x", 1000, 1);
    work_of(&s)->process_count = 0;
    expect(&s, false, "records wait and nobody applies them: process h 7 was heard last, 1 s ago");
}
END_TEST

START_TEST(a_process_whose_file_nobody_has_open_does_not_work)
{
    scene s;
    set(&s, NULL, 1000, 0);
    work_of(&s)->is_closed = true;
    expect(
        &s, false,
        "no process works here: process h 7 was heard last, 1 s ago, and has not ended in order");
}
END_TEST

/* The file that it would report to is locked by another program. */
START_TEST(a_process_that_cannot_report_works)
{
    scene s;
    set(&s, NULL, LEAT_REPORT_LATE_MS, 0);
    work_of(&s)->waits.count = 1;
    work_of(&s)->waits.waits[0] = (leat_shard_wait){.is_file = true, .holder_pid = 9};
    expect(&s, true, NULL);
}
END_TEST

/* One of another version may say nothing, or something else. */
START_TEST(a_process_says_how_it_commits)
{
    static const struct {
        const char *report;
        leat_status_commit commit;
    } cases[] = {
        {"{\"partitions\":[0],\"facts\":[],\"commit\":\"async\"}", LEAT_STATUS_COMMIT_ASYNC},
        {"{\"partitions\":7,\"facts\":[],\"commit\":\"sync\"}", LEAT_STATUS_COMMIT_SYNC},
        {"{\"partitions\":[0],\"facts\":[],\"commit\":\"later\"}", LEAT_STATUS_COMMIT_UNSAID},
        {"{\"partitions\":[0],\"facts\":[]}", LEAT_STATUS_COMMIT_UNSAID},
        {"[]", LEAT_STATUS_COMMIT_UNSAID}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        scene s;
        set(&s, "x", 1000, 0);
        free(work_of(&s)->workers[0].report);
        work_of(&s)->workers[0].report = leat_must_strdup(cases[i].report);
        leat_troubles_find(s.at, s.lag, 0, 0, &s.found);
        ck_assert_int_eq(s.found.processes[0].commit, cases[i].commit);
        leat_troubles_fini(&s.found);
        leat_lag_fini(s.lag);
        free(s.lag);
    }
}
END_TEST

START_TEST(nobody_is_missed_where_nobody_was_and_nothing_waits)
{
    scene s;
    set(&s, "x", 0, 0);
    free(work_of(&s)->workers[0].report);
    work_of(&s)->worker_count = work_of(&s)->process_count = 0;
    leat_troubles_find(s.at, s.lag, 0, 0, &s.found);
    ck_assert_uint_eq(s.found.count, 0);
    leat_troubles_fini(&s.found);
    s.lag->shards[0].records = 1;
    leat_troubles_find(s.at, s.lag, 0, 0, &s.found);
    ck_assert_uint_eq(s.found.count, 1);
    ck_assert_str_eq(s.found.lines[0].text, "records wait and nobody applies them");
    leat_troubles_fini(&s.found);
    leat_lag_fini(s.lag);
    free(s.lag);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("troubles");
    TCase *tests = tcase_create("troubles");
    tcase_add_test(tests, a_process_that_reports_in_time_works);
    tcase_add_test(tests, a_process_that_missed_a_report_does_not_work);
    tcase_add_test(tests, a_process_without_sessions_does_not_work);
    tcase_add_test(tests, a_process_whose_file_nobody_has_open_does_not_work);
    tcase_add_test(tests, a_process_that_cannot_report_works);
    tcase_add_test(tests, a_process_says_how_it_commits);
    tcase_add_test(tests, nobody_is_missed_where_nobody_was_and_nothing_waits);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
