/* Backpressure: pausing, refusing, resuming. */
#include "story.h"

START_TEST(a_full_partition_pauses_and_resumes_at_half)
{
    story s;
    story_begin(&s, 1);
    s.config.records_max = 4;
    s.config.batch_records_max = 1;
    story_reading(&s, 1);
    for (int64_t offset = 0; offset < 4; offset++)
        ck_assert_int_eq(story_read(&s, 0, 1, offset), LEAT_ENGINE_TAKEN);
    story_told(&s, "batch 0/1:0\npause 0\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 4), LEAT_ENGINE_FULL);
    ck_assert(story_view(&s, 0).paused);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nbatch 0/1:1\n");
    s.now_us++;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 1\nresume 0\nbatch 0/1:2\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 4), LEAT_ENGINE_TAKEN);
    story_end(&s);
}
END_TEST

START_TEST(a_refused_record_is_asked_for_even_when_room_comes_before_pause_is_said)
{
    story s;
    story_begin(&s, 1);
    s.config.records_max = 4;
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 2);
    story_settle(&s);
    story_told(&s, "batch 0/1:0,1,2\n");
    story_load(&s, 0, 2, 3, 3);
    /* the caller stops here */
    ck_assert_int_eq(story_read_sized(&s, 0, 2, 4, 10), LEAT_ENGINE_FULL);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 2\nresume 0\nbatch 0/2:3\n");
    ck_assert_int_eq(story_read(&s, 0, 2, 4), LEAT_ENGINE_TAKEN);
    story_end(&s);
}
END_TEST

START_TEST(a_partition_that_is_partly_stuck_still_gets_records)
{
    story s;
    story_begin(&s, 1);
    s.config.records_max = 4;
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 2); /* three of four stay held */
    story_settle(&s);
    story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    for (int64_t offset = 3; offset < 20; offset++) {
        ck_assert(!story_view(&s, 0).paused);
        ck_assert_int_eq(story_read(&s, 0, 2, offset), LEAT_ENGINE_TAKEN);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    story_end(&s);
}
END_TEST

START_TEST(a_record_bigger_than_all_bounds_passes_alone)
{
    story s;
    story_begin(&s, 1);
    s.config.bytes_max = 100;
    s.config.batch_bytes_max = 50;
    story_reading(&s, 1);
    ck_assert_int_eq(story_read_sized(&s, 0, 1, 0, 10), LEAT_ENGINE_TAKEN);
    story_settle(&s);
    ck_assert_int_eq(story_read_sized(&s, 0, 1, 1, 5000), LEAT_ENGINE_FULL);
    story_settle(&s);
    story_told(&s, "batch 0/1:0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nresume 0\n");
    ck_assert_int_eq(story_read_sized(&s, 0, 1, 1, 5000), LEAT_ENGINE_TAKEN);
    story_settle(&s);
    story_told(&s, "pause 0\nbatch 0/1:1\n");
    story_end(&s);
}
END_TEST

START_TEST(a_shard_that_does_not_answer_leaves_half_to_the_others)
{
    story s;
    story_begin(&s, 2);
    s.config.shard_count = 2;
    s.shard_of[1] = 1;
    s.config.bytes_max = 1000;
    story_start(&s);
    for (uint32_t i = 0; i < 2; i++) {
        story_slots(&s, i, 1);
        story_assigned(&s, i);
        leat_engine_progress progress = story_nothing(&s);
        story_claimed(&s, 0, &progress);
    }
    int64_t offset = 0;
    while (story_read(&s, 0, 1, offset) == LEAT_ENGINE_TAKEN)
        offset++;
    ck_assert_uint_le(story_view(&s, 0).bytes, 500);
    for (offset = 0; offset < 200; offset++) {
        ck_assert_int_eq(story_read(&s, 1, 1, offset), LEAT_ENGINE_TAKEN);
        story_done(&s, 1, LEAT_ENGINE_APPLIED);
    }
    story_end(&s);
}
END_TEST

START_TEST(who_was_refused_first_resumes_first)
{
    story s;
    story_begin(&s, 3);
    s.config.records_max = 4;
    story_reading(&s, 1);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 1, 1), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 1, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 2, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 1, 1, 1), LEAT_ENGINE_FULL);
    ck_assert_int_eq(story_read(&s, 0, 1, 2), LEAT_ENGINE_FULL);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.told[s.size] = 0;
    const char *first = strstr(s.told, "resume 1");
    const char *second = strstr(s.told, "resume 0");
    ck_assert(first && second && first < second);
    story_end(&s);
}
END_TEST

START_TEST(a_deadline_of_now_says_that_there_is_more)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    leat_engine_slots(s.engine, 5, 0, 1);
    leat_engine_assigned(s.engine, 5, 0);
    ck_assert_int_eq(leat_engine_deadline(s.engine), 5);
    story_settle(&s);
    ck_assert_int_eq(leat_engine_deadline(s.engine), INT64_MAX);
    story_end(&s);
}
END_TEST

STORY_MAIN("effects", a_full_partition_pauses_and_resumes_at_half,
           a_refused_record_is_asked_for_even_when_room_comes_before_pause_is_said,
           a_partition_that_is_partly_stuck_still_gets_records,
           a_record_bigger_than_all_bounds_passes_alone,
           a_shard_that_does_not_answer_leaves_half_to_the_others,
           who_was_refused_first_resumes_first, a_deadline_of_now_says_that_there_is_more)
