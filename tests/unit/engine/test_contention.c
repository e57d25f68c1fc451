#include "engine/contention.h"
#include "story.h"

enum { MS = 1000 };

static const int64_t most_us = 5000 * MS;

START_TEST(the_usual_time_is_that_of_most_batches)
{
    leat_contention c = {0};
    leat_contention_sample(&c, 20 * MS);
    ck_assert_int_eq(c.usual_us, 20 * MS);
    for (int i = 0; i < 1000; i++)
        leat_contention_sample(&c, i % 3 == 0 ? 5000 * MS : 20 * MS); /* a third waits */
    ck_assert_int_lt(c.usual_us, 30 * MS);
    for (int i = 0; i < 100; i++)
        leat_contention_sample(&c, 1000 * MS);
    ck_assert_int_eq(c.usual_us, 1000 * MS);
    for (int i = 0; i < 200; i++)
        leat_contention_sample(&c, 0);
    ck_assert_int_eq(c.usual_us, 1);
}
END_TEST

START_TEST(a_shared_batch_waits_four_usual_ones)
{
    leat_contention c = {0};
    ck_assert_int_eq(leat_contention_wait_us(&c, most_us), 50 * MS);
    c.usual_us = 5 * MS;
    ck_assert_int_eq(leat_contention_wait_us(&c, most_us), 50 * MS);
    c.usual_us = 100 * MS;
    ck_assert_int_eq(leat_contention_wait_us(&c, most_us), 400 * MS);
    ck_assert_int_eq(leat_contention_wait_us(&c, 10 * MS), 10 * MS);
    c.usual_us = 9000 * MS;
    ck_assert_int_eq(leat_contention_wait_us(&c, most_us), most_us);
}
END_TEST

START_TEST(a_blocked_one_waits_longer_each_time_if_it_keeps_none_waiting)
{
    leat_contention c = {0};
    ck_assert_int_eq(leat_contention_blocked_wait_us(&c, 3, false, 8, most_us), 400 * MS);
    ck_assert_int_eq(leat_contention_blocked_wait_us(&c, 3, true, 8, most_us), 50 * MS);
    ck_assert_int_eq(leat_contention_blocked_wait_us(&c, 255, false, 8, most_us), 2000 * MS);
    ck_assert_int_eq(leat_contention_blocked_wait_us(&c, 255, false, 8, 1000 * MS), 1000 * MS);
    ck_assert_int_eq(leat_contention_blocked_wait_us(&c, 255, false, 3, most_us), 200 * MS);
}
END_TEST

START_TEST(a_statement_is_given_more_time_than_it_may_wait)
{
    leat_contention c = {0};
    ck_assert_int_eq(leat_contention_statement_us(&c, 0, 50 * MS), 1000 * MS);
    ck_assert_int_eq(leat_contention_statement_us(&c, 2, 50 * MS), 4000 * MS);
    ck_assert_int_eq(leat_contention_statement_us(&c, 255, 50 * MS), 25000 * MS);
    ck_assert_int_eq(leat_contention_statement_us(&c, 0, most_us), 2 * most_us);
    c.usual_us = 1000 * MS;
    ck_assert_int_eq(leat_contention_statement_us(&c, 0, 50 * MS), 4000 * MS);
}
END_TEST

/* How many may run at once. */
static uint32_t room(const leat_contention *c, uint32_t slots, int64_t now_us)
{
    leat_contention copy = *c;
    while (leat_contention_has_room(&copy, slots, now_us))
        leat_contention_started(&copy);
    return copy.running - c->running;
}

START_TEST(the_lane_has_a_quarter_of_the_slots_and_opens_when_they_pass)
{
    leat_contention c = {0};
    ck_assert_uint_eq(room(&c, 1, 0), 1);
    ck_assert_uint_eq(room(&c, 7, 0), 1);
    ck_assert_uint_eq(room(&c, 8, 0), 2);
    for (uint32_t i = 0; i < 20; i++) {
        leat_contention_started(&c);
        leat_contention_ended(&c, 8, false, true, 1, 0);
        ck_assert_uint_eq(room(&c, 8, 0), i < 5 ? 3 + i : 7); /* never all of them */
    }
    leat_contention_started(&c);
    leat_contention_ended(&c, 8, true, false, 50 * MS, 0);
    ck_assert_uint_eq(room(&c, 8, 0), 2);
}
END_TEST

START_TEST(where_one_slot_is_more_than_a_quarter_the_lane_rests)
{
    static const struct {
        uint32_t slots;
        int64_t rest_us;
    } cases[] = {{1, 300 * MS}, {2, 100 * MS}, {3, 33333}, {4, 0}, {5, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leat_contention c = {0};
        leat_contention_started(&c);
        leat_contention_ended(&c, cases[i].slots, true, false, 100 * MS, 1000);
        ck_assert_uint_eq(room(&c, cases[i].slots, 1000 + cases[i].rest_us), 1);
        if (cases[i].rest_us > 0)
            ck_assert_uint_eq(room(&c, cases[i].slots, 1000 + cases[i].rest_us - 1), 0);
        /* one that ends without having waited has it rest no longer */
        leat_contention_started(&c);
        leat_contention_ended(&c, cases[i].slots, false, false, 100 * MS, 1000 + cases[i].rest_us);
        ck_assert_uint_eq(room(&c, cases[i].slots, 1000 + cases[i].rest_us), 1);
    }
}
END_TEST

/* ---- in the engine ---- */

/* `count` records, one in each of the first subpartitions, in one batch, which meets a locked
 * row. */
static void all_blocked(story *s, uint32_t slots, uint32_t count)
{
    story_begin(s, 1);
    story_reading(s, slots);
    for (uint32_t i = 0; i < count; i++)
        story_load(s, 0, i, i, i);
    story_settle(s);
    ck_assert_uint_eq(s->open_count, 1);
    ck_assert_uint_eq(story_job(s, 0)->batch.record_count, count);
    ck_assert_int_eq(story_job(s, 0)->batch.lock_timeout_ms, 50);
    ck_assert_int_eq(story_job(s, 0)->batch.statement_timeout_ms, 0);
    s->now_us += 50 * MS;
    s->size = 0;
    story_locked(s, 0);
}

START_TEST(while_the_lane_rests_queues_keep_their_order)
{
    leat_contention c = {0};
    int64_t now_us = 100000 * MS;
    leat_contention_started(&c);
    leat_contention_ended(&c, 1, true, false, 100 * MS, now_us);
    int64_t first_us = leat_contention_rest_us(&c, now_us, 0);
    int64_t second_us = leat_contention_rest_us(&c, now_us, now_us - 500 * MS);
    int64_t third_us = leat_contention_rest_us(&c, now_us, now_us);
    ck_assert_int_eq(first_us, 300 * MS);
    ck_assert(first_us < second_us && second_us < third_us);
    ck_assert_int_lt(third_us, first_us + 10 * MS);
}
END_TEST

START_TEST(a_locked_row_sends_each_subpartition_alone)
{
    story s;
    all_blocked(&s, 2, 3);
    story_told(&s, "batch 0/0:0\n");
    leat_engine_shard_view shard;
    leat_engine_shard(s.engine, 0, &shard);
    ck_assert_uint_eq(shard.split_by_locks, 1);
    ck_assert_int_eq(story_job(&s, 0)->batch.statement_timeout_ms, 1000);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nbatch 0/1:1\n");
    story_locked(&s, 0);
    story_told(&s, "batch 0/2:2\n"); /* it took no time */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_wait_for_job(&s);
    story_told(&s, "batch 0/1:1\n");
    ck_assert_int_eq(story_job(&s, 0)->batch.lock_timeout_ms, 100);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    leat_engine_shard(s.engine, 0, &shard);
    ck_assert_uint_eq(shard.split_by_locks, 1); /* those that went alone are not counted */
    story_read(&s, 0, 1, 10);
    story_read(&s, 0, 2, 11);
    story_told(&s, "commit 0 at 2\nbatch 0/1:10\nbatch 0/2:11\n");
    story_end(&s);
}
END_TEST

START_TEST(ten_locked_rows_leave_the_shard_to_the_others)
{
    story s;
    all_blocked(&s, 4, 10);
    ck_assert_uint_eq(s.open_count, 1);
    for (int i = 0; i < 100; i++) {
        story_read(&s, 0, 20, 100 + i); /* runs at once, whatever the others do */
        uint32_t n = s.open_count - 1;
        ck_assert_uint_eq(s.open_count, 2);
        ck_assert_uint_eq(story_job(&s, n)->batch.records[0].subpartition, 20);
        story_done(&s, n, LEAT_ENGINE_APPLIED);
        s.now_us += 50 * MS;
        if (s.open_count > 0)
            story_locked(&s, 0);
        if (s.open_count == 0)
            story_wait_for_job(&s);
    }
    story_end(&s);
}
END_TEST

START_TEST(with_one_slot_others_have_three_quarters_of_its_time)
{
    story s;
    all_blocked(&s, 1, 3);
    int64_t blocked_us = 0, start_us = s.now_us;
    uint32_t of_others = 0;
    for (int i = 0; i < 4000; i++) {
        if (s.open_count == 0) {
            story_read(&s, 0, 20, 100 + i);
            s.size = 0;
        }
        bool is_other = story_job(&s, 0)->batch.records[0].subpartition == 20;
        int64_t took_us = is_other ? 2 * MS : 50 * MS;
        s.now_us += took_us;
        blocked_us += is_other ? 0 : took_us;
        of_others += is_other;
        if (is_other)
            story_done(&s, 0, LEAT_ENGINE_APPLIED);
        else
            story_locked(&s, 0);
        s.size = 0;
    }
    ck_assert_int_gt(blocked_us, 0);
    ck_assert_int_le(blocked_us, (s.now_us - start_us) / 4 + 50 * MS);
    ck_assert_uint_gt(of_others, 3000);
    story_end(&s);
}
END_TEST

START_TEST(a_lock_that_is_gone_opens_the_lane)
{
    story s;
    all_blocked(&s, 8, 30); /* a lock on the table */
    ck_assert_uint_eq(s.open_count, 2);
    for (int i = 0; i < 5; i++)
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(s.open_count, 7);
    while (s.open_count > 0)
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(story_view(&s, 0).records, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_claim_that_waits_delays_its_partition_only)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 2);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 1, 1, 0, 0);
    story_settle(&s);
    story_told(&s, "batch 0/1:0 1/1:0\n");
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_CONTENTION,
                                           .bad_record = -1,
                                           .partition = 1,
                                           .is_lock_wait = true,
                                           .sqlstate = "55P03"});
    story_told(&s, "batch 0/1:0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_wait_for_job(&s);
    story_told(&s, "commit 0 at 0\nbatch 1/1:0\n");
    story_end(&s);
}
END_TEST

STORY_MAIN("contention", the_usual_time_is_that_of_most_batches,
           a_shared_batch_waits_four_usual_ones,
           a_blocked_one_waits_longer_each_time_if_it_keeps_none_waiting,
           a_statement_is_given_more_time_than_it_may_wait,
           the_lane_has_a_quarter_of_the_slots_and_opens_when_they_pass,
           where_one_slot_is_more_than_a_quarter_the_lane_rests,
           while_the_lane_rests_queues_keep_their_order, a_locked_row_sends_each_subpartition_alone,
           ten_locked_rows_leave_the_shard_to_the_others,
           with_one_slot_others_have_three_quarters_of_its_time, a_lock_that_is_gone_opens_the_lane,
           a_claim_that_waits_delays_its_partition_only)
