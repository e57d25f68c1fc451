/* How large a shard's batches may be: that they fit into a time limit, and that they grow back. */
#include "engine/batch_size.h"
#include "story.h"

enum { MAX = 1000 };

#define SECOND INT64_C(1000000)

START_TEST(as_configured_unless_it_takes_too_long)
{
    leat_batch_size size = {0};
    leat_batch_size_applied(&size, MAX, SECOND, MAX);
    ck_assert_uint_eq(leat_batch_size_max(&size, MAX), MAX);
    leat_batch_size_applied(&size, MAX, 20 * SECOND, MAX);
    ck_assert_uint_eq(leat_batch_size_max(&size, MAX), 250); /* of which 5 s can be expected */
}
END_TEST

START_TEST(several_of_one_size_that_are_cut_short_count_once)
{
    leat_batch_size size = {0};
    for (int i = 0; i < 4; i++)
        leat_batch_size_timed_out(&size, MAX, 60 * SECOND);
    ck_assert_uint_eq(leat_batch_size_max(&size, MAX), 250);
    leat_batch_size_timed_out(&size, 250, SECOND);
    ck_assert_uint_eq(leat_batch_size_max(&size, MAX), 125);
    leat_batch_size_timed_out(&size, 1, SECOND);
    ck_assert_uint_eq(leat_batch_size_max(&size, MAX), 1);
}
END_TEST

/* A row takes `row_us`, and what takes longer than `limit_us` is cut short. How many records pass,
 * and how many attempts are in vain, in `hours`? */
static uint32_t run(leat_batch_size *size, int64_t row_us, int64_t limit_us, int64_t hours,
                    uint32_t *ret_vain)
{
    uint32_t passed = 0;
    *ret_vain = 0;
    for (int64_t now = 0; now < hours * 3600 * SECOND;) {
        uint32_t records = leat_batch_size_max(size, MAX);
        int64_t takes = records * row_us;
        if (takes < limit_us) {
            leat_batch_size_applied(size, records, takes, MAX);
            passed += records;
        } else {
            takes = limit_us;
            leat_batch_size_timed_out(size, records, takes);
            ++*ret_vain;
        }
        now += takes + 1000;
    }
    return passed;
}

START_TEST(it_settles_where_batches_pass)
{
    static const int64_t rows_us[] = {1000, 10000, 100000, 500000, 2 * 1000000};
    static const int64_t limits_us[] = {5 * 1000000, 60 * 1000000};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 2; j++) {
            leat_batch_size size = {0};
            uint32_t vain;
            uint32_t passed = run(&size, rows_us[i], limits_us[j], 1, &vain);
            uint32_t ideal = (uint32_t)(3600 * SECOND / rows_us[i]);
            ck_assert_msg(passed > ideal / 2, "%lld us a row, limit %lld: %u of %u",
                          (long long)rows_us[i], (long long)limits_us[j], passed, ideal);
            ck_assert_msg(vain < 40, "%lld us a row, limit %lld: %u in vain", (long long)rows_us[i],
                          (long long)limits_us[j], vain);
            /* The trouble is over: it recovers, and forgets. */
            run(&size, 100, limits_us[j], 1, &vain);
            ck_assert_uint_eq(leat_batch_size_max(&size, MAX), MAX);
            ck_assert_uint_eq(vain, 0);
        }
    }
}
END_TEST

STORY_MAIN("size", as_configured_unless_it_takes_too_long,
           several_of_one_size_that_are_cut_short_count_once, it_settles_where_batches_pass)
