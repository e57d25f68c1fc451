/* Which way a write goes: by the setting and the key's point, and nothing else. */
#include "fixture.h"

#include "record/mode.h"

#define LOG      LEAT_WAY_LOG
#define DATABASE LEAT_WAY_DATABASE
#define SHADOW   LEAT_WAY_SHADOW
#define CLOSED   LEAT_WAY_CLOSED

static const struct {
    leat_mode_setting setting;
    uint32_t point;
    leat_way way;
} ways[] = {
    {{0}, 0, CLOSED},
    {{.version = 1}, 0, DATABASE},
    {{.version = 1}, 9999, DATABASE},
    {{.version = 1, .shadow = 10}, 9, SHADOW},
    {{.version = 1, .shadow = 10}, 10, DATABASE},
    {{.version = 1, .async = 10000, .async_before = 10000}, 9999, LOG},
    {{.version = 1, .async = 10, .async_before = 10, .shadow = 20}, 9, LOG},
    {{.version = 1, .async = 10, .async_before = 10, .shadow = 20}, 10, SHADOW},
    {{.version = 1, .async = 10, .async_before = 10, .shadow = 20}, 20, DATABASE},
    /* into the log: those from 10 to 20 move */
    {{.version = 2, .async = 20, .async_before = 10}, 9, LOG},
    {{.version = 2, .async = 20, .async_before = 10}, 10, CLOSED},
    {{.version = 2, .async = 20, .async_before = 10}, 19, CLOSED},
    {{.version = 2, .async = 20, .async_before = 10}, 20, DATABASE},
    /* and back */
    {{.version = 3, .async = 10, .async_before = 20, .shadow = 10000}, 9, LOG},
    {{.version = 3, .async = 10, .async_before = 20, .shadow = 10000}, 19, CLOSED},
    {{.version = 3, .async = 10, .async_before = 20, .shadow = 10000}, 20, SHADOW},
};

START_TEST(each_way)
{
    ck_assert_int_eq(leat_mode_way(&ways[_i].setting, ways[_i].point), ways[_i].way);
}
END_TEST

/* A share of the points is that share of the keys, in each partition and subpartition. */
START_TEST(points_are_even)
{
    enum { KEYS = 200000, PARTITIONS = 4, SUBPARTITIONS = 256 };
    uint32_t below[PARTITIONS] = {0}, of[PARTITIONS] = {0}, in_sub[SUBPARTITIONS] = {0};
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        snprintf(key, sizeof key, "7/%d", i);
        uint64_t hash = leat_hash(leat_slice_of(key));
        uint32_t point = leat_mode_point(hash), partition = (uint32_t)(hash >> 32) % PARTITIONS;
        ck_assert_uint_lt(point, LEAT_MODE_POINTS);
        of[partition]++;
        below[partition] += point < 1000;
        in_sub[hash % SUBPARTITIONS] += point < 1000;
    }
    for (int i = 0; i < PARTITIONS; i++) {
        ck_assert_uint_gt(below[i] * 100, of[i] * 9);
        ck_assert_uint_lt(below[i] * 100, of[i] * 11);
    }
    for (int i = 0; i < SUBPARTITIONS; i++) {
        ck_assert_uint_gt(in_sub[i], 30);
        ck_assert_uint_lt(in_sub[i], 150);
    }
}
END_TEST

/* What was read holds for the length of the lease, from the beginning of the read. */
START_TEST(a_lease_ends)
{
    leat_modes *modes = leat_modes_new(2, 2);
    const leat_mode_setting settings[2] = {{.version = 4}, {0}};
    const int64_t read_us = 1000, end_us = read_us + LEAT_MODE_LEASE_MS * 1000;
    const struct {
        uint32_t shard, route;
        int64_t now_us;
        leat_way way;
        const char *why;
    } asked[] = {
        {0, 0, read_us, DATABASE, NULL},   {0, 1, read_us, CLOSED, "leat mode set"},
        {1, 0, read_us, CLOSED, "lately"}, {0, 0, end_us - 1, DATABASE, NULL},
        {0, 0, end_us, CLOSED, "lately"},
    };
    ck_assert_int_eq(leat_modes_way(modes, 0, 0, 5, read_us).way, CLOSED);
    leat_modes_publish(modes, 0, settings, read_us);
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        leat_mode_answer answer =
            leat_modes_way(modes, asked[i].shard, asked[i].route, 5, asked[i].now_us);
        ck_assert_int_eq(answer.way, asked[i].way);
        if (asked[i].why)
            ck_assert_ptr_nonnull(strstr(answer.why, asked[i].why));
        else
            ck_assert_ptr_null(answer.why);
        if (asked[i].shard == 0)
            ck_assert_int_eq(answer.until_us, end_us);
    }
    leat_modes_free(modes);
}
END_TEST

/* In any shard, also while its keys are only on their way there; not while they leave. */
START_TEST(some_routes_use_the_log)
{
    leat_modes *modes = leat_modes_new(2, 2);
    const leat_mode_setting all[2] = {{.version = 1, .async = 10000, .async_before = 10000}, {0}};
    const leat_mode_setting begins[2] = {{.version = 2, .async = 1}, {.version = 1}};
    const leat_mode_setting leaves[2] = {{.version = 3, .async_before = 1}, {.version = 1}};
    ck_assert(!leat_modes_uses_log(modes, 0));
    leat_modes_publish(modes, 1, all, 1000);
    ck_assert(leat_modes_uses_log(modes, 0));
    ck_assert(!leat_modes_uses_log(modes, 1));
    leat_modes_publish(modes, 1, leaves, 1000);
    ck_assert(!leat_modes_uses_log(modes, 0));
    leat_modes_publish(modes, 0, begins, 1000);
    ck_assert(leat_modes_uses_log(modes, 0));
    leat_modes_free(modes);
}
END_TEST

/* A change is settled only when no edge can go by what it had read before. */
START_TEST(a_lease_ends_before_a_change_is_settled)
{
    ck_assert_int_gt(LEAT_MODE_SETTLE_MS, LEAT_MODE_LEASE_MS);
    ck_assert_int_gt(LEAT_MODE_LEASE_MS, 2 * LEAT_MODE_EVERY_MS);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("mode");
    TCase *tests = tcase_create("mode");
    tcase_add_loop_test(tests, each_way, 0, COUNT_OF(ways));
    tcase_add_test(tests, points_are_even);
    tcase_add_test(tests, a_lease_ends);
    tcase_add_test(tests, some_routes_use_the_log);
    tcase_add_test(tests, a_lease_ends_before_a_change_is_settled);
    suite_add_tcase(s, tests);
    return s;
}

int main(void)
{
    return fixture_run(suite());
}
