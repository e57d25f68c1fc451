/* When a shard will have caught up, from what its processes have reported. */
#include <check.h>
#include <stdio.h>

#include "watch/catch_up.h"

enum { WORKERS = 3 };

/* `reports` end with NULL. Returns the words. */
static const char *words(char *const *reports, char ret[LEAT_CATCH_UP_SIZE])
{
    leat_shard_worker workers[WORKERS] = {{{0}, 0, 0, 0, NULL}};
    leat_shard_work work = {.workers = workers};
    for (; reports[work.worker_count]; work.worker_count++)
        workers[work.worker_count].report = reports[work.worker_count];
    leat_catch_up found = leat_catch_up_of(&work);
    return leat_catch_up_words(&found, ret);
}

#define EXPECT(said, ...)                                                                          \
    do {                                                                                           \
        char found[LEAT_CATCH_UP_SIZE];                                                            \
        ck_assert_str_eq(words((char *const[]){__VA_ARGS__, NULL}, found), said);                  \
    } while (0)

static char slow[] = "{\"drain\":{\"waiting\":5000,\"drained_s\":500.0,\"arriving_s\":100.0,"
                     "\"catch_up_s\":12.5}}",
            fast[] =
                "{\"drain\":{\"waiting\":900,\"drained_s\":300,\"arriving_s\":0,\"catch_up_s\":3}}",
            over[] = "{\"drain\":{\"waiting\":9000,\"drained_s\":300,\"arriving_s\":400,"
                     "\"catch_up_s\":31536000.0}}",
            stands[] = "{\"drain\":{\"waiting\":0,\"drained_s\":0.0,\"arriving_s\":0.0,"
                       "\"catch_up_s\":31536000.0}}",
            moment[] =
                "{\"drain\":{\"waiting\":9,\"drained_s\":300,\"arriving_s\":9,\"catch_up_s\":0.0}}",
            unknown[] = "{\"drain\":{\"waiting\":9,\"drained_s\":null,\"arriving_s\":null,"
                        "\"catch_up_s\":null}}",
            idle[] = "{\"partitions\":[],\"drain\":{\"waiting\":5,\"drained_s\":7,"
                     "\"arriving_s\":null,\"catch_up_s\":null}}",
            old[] = "{\"partitions\":[0]}", broken[] = "{", other[] = "{\"drain\":7}";

START_TEST(the_last_of_the_processes_counts)
{
    EXPECT("caught up in about 12 s (500 records a second are applied, 100 come)", slow);
    EXPECT("caught up in about 12 s (800 records a second are applied, 100 come)", fast, slow);
    EXPECT("does not catch up: 400 records a second come, 300 are applied", over);
    EXPECT("a part of it does not catch up: 400 records a second come, 600 are applied", fast,
           over);
    EXPECT("does not catch up: 0 records a second come, 0 are applied", stands);
}
END_TEST

START_TEST(a_process_without_partitions_does_not_count)
{
    EXPECT("caught up in about 12 s (500 records a second are applied, 100 come)", slow, idle);
    EXPECT("caught up in about 12 s (500 records a second are applied, 100 come)", idle, slow);
    leat_shard_worker worker = {.report = idle};
    leat_shard_work work = {.worker_count = 1, .workers = &worker};
    ck_assert(!leat_catch_up_of(&work).is_known);
}
END_TEST

START_TEST(where_there_is_nothing_to_say_it_says_nothing)
{
    EXPECT("", moment);
    EXPECT("", slow, unknown);
    EXPECT("", old);
    EXPECT("", slow, old);
    EXPECT("", broken);
    EXPECT("", other);
    char found[LEAT_CATCH_UP_SIZE];
    ck_assert_str_eq(words((char *const[]){NULL}, found), "");
}
END_TEST

START_TEST(a_process_that_is_gone_does_not_count)
{
    leat_shard_worker workers[] = {{.report = slow, .heard_ms = LEAT_REPORT_LATE_MS},
                                   {.report = fast, .heard_ms = 100}};
    leat_shard_work work = {.worker_count = 2, .workers = workers};
    leat_catch_up found = leat_catch_up_of(&work);
    ck_assert(found.is_known && !found.is_never && found.waits);
    ck_assert_double_eq(found.seconds, 3);
    work.worker_count = 1;
    ck_assert(!leat_catch_up_of(&work).is_known);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catch_up");
    TCase *tests = tcase_create("catch_up");
    tcase_add_test(tests, the_last_of_the_processes_counts);
    tcase_add_test(tests, a_process_without_partitions_does_not_count);
    tcase_add_test(tests, where_there_is_nothing_to_say_it_says_nothing);
    tcase_add_test(tests, a_process_that_is_gone_does_not_count);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
