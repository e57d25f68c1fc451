/* Clients get the descriptors that the process does not keep for itself. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/diag.h"
#include "daemon/descriptors.h"

static leat_config_shard shards[2];

static leat_config a_config(void)
{
    static char address[] = "x";
    shards[0] = (leat_config_shard){.dsn = address, .connections = 8};
    shards[1] = (leat_config_shard){.sqlite = address, .connections = 8};
    return (leat_config){
        .workers = 2, .shards = shards, .shard_count = 2, .edge_connections = 4096};
}

START_TEST(test_what_is_left)
{
    ck_assert_uint_eq(leat_descriptors_for_clients(10000, 200, 4096), 4096);
    ck_assert_uint_eq(leat_descriptors_for_clients(1024, 200, 4096), 824);
    ck_assert_uint_eq(leat_descriptors_for_clients(4296, 200, 4096), 4096);
    ck_assert_uint_eq(leat_descriptors_for_clients(216, 200, 4096), 16);
    ck_assert_uint_eq(leat_descriptors_for_clients(215, 200, 4096), 0);
    ck_assert_uint_eq(leat_descriptors_for_clients(100, 200, 4096), 0);
    ck_assert_uint_eq(leat_descriptors_for_clients(UINT64_MAX, 200, 4096), 4096);
}
END_TEST

START_TEST(test_what_is_kept)
{
    leat_config config = a_config();
    uint64_t before = leat_descriptors_kept(&config);
    shards[0].connections = 108;
    ck_assert_uint_eq(leat_descriptors_kept(&config), before + 100);
    config.workers = 3;
    ck_assert_uint_gt(leat_descriptors_kept(&config), before + 100);
}
END_TEST

/* The soft limit is raised to the hard one, and what is less than both is what clients get. */
START_TEST(test_prepare)
{
    leat_config config = a_config();
    leat_error error = {0};
    leat_diag_level(LEAT_ERROR);
    uint64_t kept = leat_descriptors_kept(&config);
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = kept + 100};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(leat_descriptors_prepare(&config, true, &error), 0);
    ck_assert_int_eq(config.edge_connections, 100);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, kept + 100);
    limit.rlim_cur = limit.rlim_max = kept;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(leat_descriptors_prepare(&config, true, &error), -1);
    ck_assert(strstr(error.text, "ulimit -n"));
    ck_assert_int_eq(leat_descriptors_prepare(&config, false, &error), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("descriptors");
    TCase *tests = tcase_create("descriptors");
    tcase_add_test(tests, test_what_is_left);
    tcase_add_test(tests, test_what_is_kept);
    tcase_add_test(tests, test_prepare);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
