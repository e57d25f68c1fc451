/* Which tenants share a batch, and how many batches there are at once. */
#include "story.h"

enum { A = 11, B = 12, C = 13 };

static void load_of(story *s, uint64_t tenant, uint32_t subpartition, int64_t first, int64_t last)
{
    s->tenant = tenant;
    story_load(s, 0, subpartition, first, last);
}

/* The n-th job is applied after so long. */
static void applied_after(story *s, uint32_t n, int64_t us)
{
    s->now_us += us;
    story_done(s, n, LEAT_ENGINE_APPLIED);
    s->size = 0;
}

static uint32_t records(story *s, uint32_t n)
{
    return story_job(s, n)->batch.record_count;
}

/* Subpartitions 1, 2, ... get a record of a tenant each, and the costs settle. */
static int64_t warm_up(story *s, uint32_t tenants, int64_t us)
{
    int64_t offset = 0;
    for (int round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < tenants; i++)
            load_of(s, A + i, 1 + i, offset + i, offset + i);
        offset += tenants;
        story_settle(s);
        while (s->open_count > 0)
            applied_after(s, 0, us);
    }
    return offset;
}

START_TEST(the_one_that_was_served_least_goes_first)
{
    story s;
    story_begin(&s, 1);
    s.config.batch_records_max = 10;
    story_reading(&s, 1);
    load_of(&s, A, 1, 0, 99);
    load_of(&s, B, 2, 100, 101);
    story_settle(&s);
    ck_assert_uint_eq(records(&s, 0), 10);
    s.now_us += 1000;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.told[s.size] = 0;
    ck_assert_ptr_nonnull(strstr(s.told, "0/2:100,101"));
    story_end(&s);
}
END_TEST

START_TEST(a_record_of_another_tenant_behind_the_head_is_charged_to_that_one)
{
    story s;
    story_begin(&s, 1);
    s.config.batch_records_max = 4;
    story_reading(&s, 1);
    load_of(&s, A, 1, 0, 0);
    load_of(&s, B, 1, 1, 3);
    story_settle(&s);
    load_of(&s, A, 1, 4, 8);
    load_of(&s, A, 2, 9, 14);
    load_of(&s, B, 3, 15, 20);
    /* B has paid for three records of the first batch, A for one. */
    s.now_us = 4000;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.told[s.size] = 0;
    ck_assert_ptr_nonnull(strstr(s.told, "0/2:9,10,11,12\n"));
    story_end(&s);
}
END_TEST

START_TEST(a_batch_is_filled_up_to_a_time)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    int64_t offset = 0;
    /* 5 ms a record, however many. */
    for (int i = 0; i < 60; i++) {
        load_of(&s, 0, 1, offset, offset + i % 9);
        offset += 1 + i % 9;
        story_settle(&s);
        while (s.open_count > 0)
            applied_after(&s, 0, 5000 * (int64_t)records(&s, 0));
    }
    load_of(&s, 0, 1, offset, offset + 499);
    story_settle(&s);
    ck_assert_uint_gt(records(&s, 0), 40);
    ck_assert_uint_lt(records(&s, 0), 60);
    /* With one connection everybody waits for it. */
    story_slots(&s, 0, 1);
    applied_after(&s, 0, 250000);
    ck_assert_uint_gt(records(&s, 0), 7);
    ck_assert_uint_lt(records(&s, 0), 13);
    story_end(&s);
}
END_TEST

/* Batches of one record do not tell whether the round trip takes 175 ms or each record does; then
 * there are 1000. */
static uint32_t batches_after_small_ones(int64_t fixed_us, int64_t row_us, uint32_t *ret_largest)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    story_slots(&s, 0, 1);
    int64_t offset = 0;
    for (; offset < 100; offset++) {
        load_of(&s, 0, 1, offset, offset);
        story_settle(&s);
        applied_after(&s, 0, fixed_us + row_us);
    }
    load_of(&s, 0, 1, offset, offset + 999);
    story_settle(&s);
    uint32_t batches = 0;
    *ret_largest = 0;
    for (; s.open_count > 0; batches++) {
        uint32_t count = records(&s, 0);
        *ret_largest = count > *ret_largest ? count : *ret_largest;
        applied_after(&s, 0, fixed_us + count * row_us);
    }
    story_end(&s);
    return batches;
}

START_TEST(a_shard_with_a_long_round_trip_has_large_batches_again)
{
    uint32_t largest;
    ck_assert_uint_lt(batches_after_small_ones(175000, 20, &largest), 150);
    ck_assert_uint_gt(largest, 100);
}
END_TEST

START_TEST(a_shard_with_slow_rows_still_has_small_batches)
{
    uint32_t largest;
    ck_assert_uint_gt(batches_after_small_ones(1000, 174000, &largest), 800);
    ck_assert_uint_le(largest, 16); /* now and then it is tried whether that is still so */
}
END_TEST

/* One hot row, whose writes fold. */
START_TEST(a_deep_queue_gives_more_than_a_batch_and_then_has_it_for_itself)
{
    story s;
    story_begin(&s, 1);
    s.config.batch_records_max = 10;
    s.config.deep_records_max = 40;
    story_reading(&s, 1);
    int64_t offset = 0;
    for (int i = 0; i < 60; i++) { /* until its cost is known */
        load_of(&s, 0, 1, offset, offset + i % 9);
        offset += 1 + i % 9;
        story_settle(&s);
        while (s.open_count > 0)
            applied_after(&s, 0, 1000);
    }
    load_of(&s, 0, 2, offset, offset);
    story_settle(&s);
    load_of(&s, 0, 1, offset + 1, offset + 60);
    load_of(&s, 0, 2, offset + 61, offset + 63);
    applied_after(&s, 0, 1000);
    ck_assert_uint_eq(records(&s, 0), 40);
    ck_assert_uint_eq(story_job(&s, 0)->batch.parts[0].count, 1);
    applied_after(&s, 0, 1000);
    ck_assert_uint_eq(records(&s, 0), 20);
    applied_after(&s, 0, 1000);
    ck_assert_uint_eq(records(&s, 0), 3);
    story_end(&s);
}
END_TEST

/* B's records take 50 ms: its batch is a surprise, then it is alone, then it has its own batches.
 */
static int64_t make_slow(story *s, int64_t offset)
{
    load_of(s, B, 2, offset, offset + 3);
    load_of(s, A, 1, offset + 4, offset + 5);
    story_settle(s);
    applied_after(s, 0, 200000);
    offset += 6;
    load_of(s, A, 1, offset, offset);
    load_of(s, B, 2, offset + 1, offset + 2);
    story_settle(s);
    while (s->open_count > 0) {
        uint32_t n = records(s, 0);
        bool is_b = story_job(s, 0)->batch.records[0].subpartition == 2;
        applied_after(s, 0, is_b ? 50000 * (int64_t)n : 1000);
    }
    return offset + 3;
}

START_TEST(a_tenant_with_slow_rows_has_batches_of_its_own)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    int64_t offset = make_slow(&s, warm_up(&s, 2, 1000));
    load_of(&s, A, 1, offset, offset);
    load_of(&s, B, 2, offset + 1, offset + 4);
    load_of(&s, C, 3, offset + 5, offset + 5);
    story_settle(&s);
    ck_assert_uint_eq(s.open_count, 1);
    uint32_t mixed = 0;
    uint32_t batches = 0;
    for (; s.open_count > 0; batches++) {
        const leat_engine_batch *batch = &story_job(&s, 0)->batch;
        bool has_b = false, has_other = false;
        for (uint32_t i = 0; i < batch->record_count; i++) {
            has_b = has_b || batch->records[i].subpartition == 2;
            has_other = has_other || batch->records[i].subpartition != 2;
        }
        mixed += has_b && has_other;
        applied_after(&s, 0, has_b ? 50000 * (int64_t)batch->record_count : 1000);
    }
    ck_assert_uint_eq(mixed, 0);
    ck_assert_uint_ge(batches, 3);
    story_end(&s);
}
END_TEST

/* A batch takes 4 ms, 10 us more for each record, and 1 ms more for each of B. */
static void applied_at_cost(story *s)
{
    const leat_engine_batch *batch = &story_job(s, 0)->batch;
    int64_t us = 4000 + 10 * (int64_t)batch->record_count;
    for (uint32_t i = 0; i < batch->record_count; i++)
        us += batch->records[i].subpartition == 2 ? 1000 : 0;
    applied_after(s, 0, us);
}

static int64_t learn_costs(story *s)
{
    int64_t offset = 0;
    for (int round = 0; round < 400; round++, offset += 200) {
        load_of(s, A, 1, offset, offset + 10 * (round % 8));
        load_of(s, C, 3, offset + 100, offset + 100 + 5 * (round % 9));
        if (round % 4 == 0)
            load_of(s, B, 2, offset + 150, offset + 150 + round % 7);
        for (story_settle(s); s->open_count > 0;)
            applied_at_cost(s);
    }
    return offset;
}

START_TEST(tenants_of_other_costs_fill_up_a_short_batch_and_no_long_one)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    int64_t offset = learn_costs(&s);
    load_of(&s, A, 1, offset, offset); /* alone, so that the rest waits for one batch */
    story_settle(&s);
    load_of(&s, B, 2, offset + 1, offset + 2);
    load_of(&s, C, 3, offset + 3, offset + 3);
    applied_at_cost(&s);
    ck_assert_uint_eq(s.open_count, 1);
    ck_assert_uint_eq(records(&s, 0), 3);
    load_of(&s, A, 1, offset + 4, offset + 4);
    load_of(&s, B, 2, offset + 5, offset + 104);
    load_of(&s, C, 3, offset + 105, offset + 105);
    applied_at_cost(&s);
    ck_assert_uint_eq(s.open_count, 1);
    ck_assert_uint_lt(records(&s, 0), 50);
    story_end(&s);
}
END_TEST

START_TEST(slow_batches_leave_half_of_the_slots)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    int64_t offset = make_slow(&s, warm_up(&s, 2, 1000));
    s.size = 0;
    story_slots(&s, 0, 4);
    for (uint32_t i = 0; i < 8; i++) /* B is a tenant with many subpartitions */
        load_of(&s, B, 10 + i, offset + 5 * i, offset + 5 * i + 4);
    story_settle(&s);
    ck_assert_uint_eq(s.open_count, 2);
    load_of(&s, A, 1, offset + 100, offset + 100);
    story_settle(&s);
    ck_assert_uint_eq(s.open_count, 3);
    ck_assert_uint_eq(story_job(&s, 2)->batch.records[0].subpartition, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_shard_that_slows_down_gets_fewer_batches_at_once)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 6);
    int64_t offset = 0;
    leat_engine_shard_view view;
    for (int phase = 0; phase < 2; phase++) {
        for (int round = 0; round < 60; round++) {
            for (uint32_t i = 0; i < 6; i++) {
                load_of(&s, 0, 1 + i, offset, offset + 9);
                offset += 10;
                story_settle(&s);
            }
            s.now_us += phase == 0 ? 2000 : 30000;
            while (s.open_count > 0)
                applied_after(&s, 0, 0);
        }
        leat_engine_shard(s.engine, 0, &view);
        if (phase == 0)
            ck_assert_uint_eq(view.limit, 6);
    }
    ck_assert_uint_ge(view.limit, 2);
    ck_assert_uint_lt(view.limit, 6);
    ck_assert_double_gt(view.slowness, 3);
    story_end(&s);
}
END_TEST

STORY_MAIN("fair", the_one_that_was_served_least_goes_first,
           a_record_of_another_tenant_behind_the_head_is_charged_to_that_one,
           a_batch_is_filled_up_to_a_time, a_shard_with_a_long_round_trip_has_large_batches_again,
           a_shard_with_slow_rows_still_has_small_batches,
           a_deep_queue_gives_more_than_a_batch_and_then_has_it_for_itself,
           a_tenant_with_slow_rows_has_batches_of_its_own,
           tenants_of_other_costs_fill_up_a_short_batch_and_no_long_one,
           slow_batches_leave_half_of_the_slots, a_shard_that_slows_down_gets_fewer_batches_at_once)
