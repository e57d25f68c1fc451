/* Records that are left out: their progress moves, and nothing is learned about their table. */
#include "story.h"

static bool every_one(void *context, void *payload)
{
    uint32_t *asked = context;
    ck_assert_ptr_nonnull(payload);
    ++*asked;
    return true;
}

static bool none(void *context, void *payload)
{
    (void)payload;
    ++*(uint32_t *)context;
    return false;
}

static void skip(story *s, uint32_t n, uint32_t index)
{
    leat_engine_skip(s->engine, story_job(s, n)->id, index);
}

START_TEST(what_is_left_out_is_passed_and_not_counted_as_applied)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 2);
    story_settle(&s);
    story_told(&s, "batch 0/1:0,1,2\n");
    skip(&s, 0, 0);
    skip(&s, 0, 2);
    ck_assert_uint_eq(story_job(&s, 0)->batch.skipped, 2);
    ck_assert(!story_job(&s, 0)->batch.records[1].skip);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 2\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_left_out, 2);
    ck_assert_uint_eq(s.released, 3);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_that_failed_leaves_nothing_out_the_next_time)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    skip(&s, 0, 0);
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    ck_assert_uint_eq(story_job(&s, 0)->batch.skipped, 0);
    ck_assert(!story_job(&s, 0)->batch.records[0].skip);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_left_out, 0);
    story_end(&s);
}
END_TEST

START_TEST(what_waits_is_tried_at_once_when_it_is_wanted)
{
    story s;
    uint32_t asked = 0;
    story_begin(&s, 2);
    story_reading(&s, 2);
    for (uint32_t partition = 0; partition < 2; partition++) {
        story_read(&s, partition, 1, 0);
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
        story_done(&s, 0, LEAT_ENGINE_DRIFT); /* its letter: it waits */
    }
    story_load(&s, 0, 2, 1, 1);
    story_settle(&s);
    s.size = 0;
    leat_engine_recheck(s.engine, s.now_us, 0, none, &asked);
    story_settle(&s);
    story_told(&s, "");
    ck_assert_uint_eq(asked, 2); /* not of what is in flight */
    leat_engine_recheck(s.engine, s.now_us, 0, every_one, &asked);
    story_settle(&s);
    story_told(&s, "batch 0/1:0\n"); /* the other waits for a connection */
    skip(&s, 1, 0);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nbatch 1/1:0\n");
    story_end(&s);
}
END_TEST

/* It was sent before, and waits for a lock meanwhile. */
START_TEST(what_is_in_flight_is_tried_at_once_when_it_fails)
{
    story s;
    uint32_t asked = 0;
    story_begin(&s, 1);
    story_reading(&s, 4);
    story_read(&s, 0, 1, 0);
    for (uint32_t i = 0; i < 3; i++) {
        story_wait_for_job(&s);
        story_locked(&s, 0);
    }
    story_wait_for_job(&s);
    s.size = 0;
    story_pass(&s, 1);
    leat_engine_recheck(s.engine, s.now_us, 0, every_one, &asked);
    story_pass(&s, 100000);
    story_told(&s, "");
    story_locked(&s, 0);
    story_pass(&s, 0);
    story_told(&s, "batch 0/1:0\n");
    story_locked(&s, 0);
    story_pass(&s, 0);
    story_told(&s, ""); /* this one was sent since: it waits */
    story_end(&s);
}
END_TEST

/* Were it counted as applied, the table would give up all that it holds. */
START_TEST(a_stopped_table_does_not_go_on_because_one_is_left_out)
{
    story s;
    uint32_t asked = 0;
    story_begin(&s, 1);
    s.config.dead_letters_per_minute = 1;
    story_reading(&s, 1);
    for (uint32_t i = 0; i < 3; i++) {
        story_read(&s, 0, i, i);
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
        if (i == 0)
            story_done(&s, 0, LEAT_ENGINE_APPLIED); /* its letter */
    }
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 1);
    leat_engine_recheck(s.engine, s.now_us, 0, every_one, &asked);
    story_settle(&s);
    ck_assert_uint_eq(asked, 2);
    skip(&s, 0, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 1);
    skip(&s, 0, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED); /* and none is left */
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 1);
    story_end(&s);
}
END_TEST

/* A record error is the record's own when others of its table get through: that others are left out
 * shows nothing of the kind. */
START_TEST(what_is_left_out_condemns_no_other)
{
    story s;
    story_begin(&s, 1);
    s.config.patience_us = 0;
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 2, 1);
    story_done(&s, 0, LEAT_ENGINE_RECORD_ERROR);
    skip(&s, 0, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    for (int i = 0; i < 10; i++) {
        story_wait_for_job(&s);
        ck_assert_ptr_null(story_job(&s, 0)->batch.dead);
        story_done(&s, 0, LEAT_ENGINE_RECORD_ERROR);
    }
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    story_end(&s);
}
END_TEST

STORY_MAIN("leave_out", what_is_left_out_is_passed_and_not_counted_as_applied,
           a_batch_that_failed_leaves_nothing_out_the_next_time,
           what_waits_is_tried_at_once_when_it_is_wanted,
           what_is_in_flight_is_tried_at_once_when_it_fails,
           a_stopped_table_does_not_go_on_because_one_is_left_out,
           what_is_left_out_condemns_no_other)
