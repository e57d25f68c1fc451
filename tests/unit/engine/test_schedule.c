/* What runs next. */
#include "story.h"

START_TEST(a_free_connection_takes_what_waits)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_told(&s, "batch 0/1:0\n");
    /* The connection is busy: these wait, and go together. */
    story_read(&s, 0, 1, 1);
    story_read(&s, 0, 9, 2);
    story_read(&s, 0, 9, 3);
    story_told(&s, "");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nbatch 0/1:1 0/9:2,3\n");
    story_end(&s);
}
END_TEST

START_TEST(a_subpartition_is_in_one_batch_at_a_time)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 3);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 1, 1);
    story_read(&s, 0, 2, 2);
    story_told(&s, "batch 0/1:0\nbatch 0/2:2\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nbatch 0/1:1\n");
    story_end(&s);
}
END_TEST

START_TEST(a_batch_is_sorted_by_partition_subpartition_and_offset)
{
    story s;
    story_begin(&s, 3);
    story_reading(&s, 1);
    story_load(&s, 2, 7, 0, 1);
    story_load(&s, 2, 3, 2, 3);
    story_load(&s, 0, 60, 0, 0);
    story_load(&s, 2, 7, 4, 4);
    story_load(&s, 1, 5, 0, 0);
    story_settle(&s);
    story_told(&s, "batch 0/60:0 1/5:0 2/3:2,3 2/7:0,1,4\n");
    const leat_engine_batch *batch = &story_job(&s, 0)->batch;
    ck_assert_uint_eq(batch->part_count, 3);
    ck_assert_uint_eq(batch->parts[2].count, 2);
    ck_assert_int_eq(batch->parts[2].offsets[0], 3);
    ck_assert_int_eq(batch->parts[2].offsets[1], 4);
    ck_assert_uint_eq(batch->parts[2].needs_count, 0);
    ck_assert_int_eq(batch->parts[2].seq, 1);
    story_end(&s);
}
END_TEST

START_TEST(the_deepest_go_first)
{
    story s;
    story_begin(&s, 1);
    s.config.batch_records_max = 4;
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 0, 2, 1, 4);
    story_load(&s, 0, 3, 5, 6);
    story_settle(&s);
    story_told(&s, "batch 0/2:1,2,3,4\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0 0/3:5,6\n");
    story_end(&s);
}
END_TEST

START_TEST(who_has_waited_too_long_goes_before_the_deepest)
{
    story s;
    story_begin(&s, 1);
    s.config.batch_records_max = 2;
    s.config.age_bound_us = 100;
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_settle(&s);
    story_load(&s, 0, 2, 1, 1);
    s.now_us = 60;
    story_load(&s, 0, 3, 2, 5);
    story_told(&s, "batch 0/1:0\n");
    s.now_us = 100;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nbatch 0/3:2,3\n");
    s.now_us = 101;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/2:1 0/3:4\n");
    story_end(&s);
}
END_TEST

START_TEST(bytes_bound_a_batch_but_one_record_always_goes)
{
    story s;
    story_begin(&s, 1);
    s.config.batch_bytes_max = 100;
    story_reading(&s, 1);
    ck_assert_int_eq(story_read_sized(&s, 0, 1, 0, 500), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read_sized(&s, 0, 1, 1, 60), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read_sized(&s, 0, 1, 2, 40), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read_sized(&s, 0, 1, 3, 1), LEAT_ENGINE_TAKEN);
    story_settle(&s);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\nbatch 0/1:1,2\nbatch 0/1:3\n");
    story_end(&s);
}
END_TEST

START_TEST(claims_go_before_batches)
{
    story s;
    story_begin(&s, 2);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 1, 1);
    story_assigned(&s, 1);
    story_told(&s, "claim 0\nseek 0 from -1\nbatch 0/1:0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nclaim 1\n");
    story_end(&s);
}
END_TEST

START_TEST(compactions_wait_for_batches_until_they_are_overdue)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    s.config.commit_every_us = 1000000;
    story_reading(&s, 1);
    int64_t offset = 0;
    story_read(&s, 0, 1, offset++);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.size = 0;
    story_read(&s, 0, 1, offset++);
    story_read(&s, 0, 1, offset++);
    story_pass(&s, 1999);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:1\nbatch 0/1:2\n");
    story_read(&s, 0, 1, offset++);
    story_pass(&s, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 0 to 3\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:3\n");
    story_end(&s);
}
END_TEST

/* Else a slow shard would do nothing but verify. */
START_TEST(what_only_verifies_waits_for_batches_for_longer)
{
    story s;
    story_begin(&s, 2);
    s.config.compact_every_us = 1000;
    s.config.verify_every_us = 50000;
    s.config.commit_every_us = 1000000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1000);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.size = 0; /* partition 0 is compacted, and will be verified 50 ms from now; partition 1 a
                   little earlier: */
    story_pass(&s, 49500);
    story_told(&s, "compact 1 to 0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_read(&s, 1, 1, 0);
    story_read(&s, 1, 2, 1);
    story_pass(&s, 3000);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 1/1:0\ncommit 1 at 0\nbatch 1/2:1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 0 to 1\n");
    story_end(&s);
}
END_TEST

/* The one behind it is due, and not late. */
START_TEST(one_with_nothing_to_write_lets_no_other_go_before_batches)
{
    story s;
    story_begin(&s, 2);
    s.config.compact_every_us = 1000;
    s.config.commit_every_us = 1000000;
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0); /* stays open: the base cannot move */
    story_read(&s, 0, 2, 1);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_pass(&s, 600);
    story_read(&s, 1, 1, 0);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_read(&s, 1, 2, 1);
    story_read(&s, 1, 2, 2);
    s.size = 0;
    story_pass(&s, 1400); /* that of 0 has waited for 1000, that of 1 for 400 */
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 1/2:2\n");
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 1 to 3\n");
    story_end(&s);
}
END_TEST

START_TEST(fewer_connections_run_fewer_jobs)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 3);
    for (uint32_t i = 0; i < 3; i++)
        story_read(&s, 0, i, i);
    story_slots(&s, 0, 1);
    for (uint32_t i = 0; i < 3; i++)
        story_read(&s, 0, i, 10 + i);
    story_told(&s, "batch 0/0:0\nbatch 0/1:1\nbatch 0/2:2\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/0:10 0/1:11 0/2:12\n");
    story_end(&s);
}
END_TEST

START_TEST(jobs_are_bounded_over_all_shards_and_shards_take_turns)
{
    story s;
    story_begin(&s, 2);
    s.config.shard_count = 2;
    s.shard_of[1] = 1;
    s.config.jobs_max = 2;
    story_start(&s);
    story_slots(&s, 0, 4);
    story_slots(&s, 1, 4);
    for (uint32_t i = 0; i < 2; i++) {
        story_assigned(&s, i);
        leat_engine_progress progress = story_nothing(&s);
        story_claimed(&s, 0, &progress);
    }
    s.size = 0;
    for (uint32_t i = 0; i < 3; i++)
        story_read(&s, 0, i, i);
    for (uint32_t i = 0; i < 2; i++)
        story_read(&s, 1, i, i);
    story_told(&s, "batch 0/0:0\nbatch 0/1:1\n");
    s.now_us++;
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    s.told[s.size] = 0;
    ck_assert_ptr_nonnull(strstr(s.told, "batch 0/2:2"));
    ck_assert_ptr_nonnull(strstr(s.told, "batch 1/0:0"));
    story_end(&s);
}
END_TEST

STORY_MAIN("schedule", a_free_connection_takes_what_waits, a_subpartition_is_in_one_batch_at_a_time,
           a_batch_is_sorted_by_partition_subpartition_and_offset, the_deepest_go_first,
           who_has_waited_too_long_goes_before_the_deepest,
           bytes_bound_a_batch_but_one_record_always_goes, claims_go_before_batches,
           compactions_wait_for_batches_until_they_are_overdue,
           what_only_verifies_waits_for_batches_for_longer,
           one_with_nothing_to_write_lets_no_other_go_before_batches,
           fewer_connections_run_fewer_jobs, jobs_are_bounded_over_all_shards_and_shards_take_turns)
