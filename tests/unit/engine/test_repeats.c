/* Records that repeat a write which is applied: their progress moves, and they are counted by
 * themselves. */
#include "story.h"

static void repeat(story *s, uint32_t n, uint32_t index, bool is_conflict)
{
    leat_engine_repeat(s->engine, story_job(s, n)->id, index, is_conflict);
}

START_TEST(a_batch_with_repeats_is_sent_again_at_once)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 2);
    story_load(&s, 0, 1, 0, 2);
    story_settle(&s);
    story_told(&s, "batch 0/1:0,1,2\n");
    story_done(&s, 0, LEAT_ENGINE_REPEATED);
    story_told(&s, "batch 0/1:0,1,2\n");
    ck_assert_uint_eq(story_job(&s, 0)->batch.repeated, 0);
    repeat(&s, 0, 0, false);
    repeat(&s, 0, 2, true);
    ck_assert_uint_eq(story_job(&s, 0)->batch.skipped, 2);
    ck_assert_uint_eq(story_job(&s, 0)->batch.conflicts, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 2\n");
    const leat_engine_counters *count = leat_engine_count(s.engine);
    ck_assert_uint_eq(count->records_applied, 1);
    ck_assert_uint_eq(count->records_left_out, 0);
    ck_assert_uint_eq(count->records_repeated, 2);
    ck_assert_uint_eq(count->records_conflicting, 1);
    ck_assert_uint_eq(count->dead_letters, 1);
    ck_assert_uint_eq(count->batches_repeated, 1);
    ck_assert_uint_eq(count->batches_failed, 0);
    story_end(&s);
}
END_TEST

/* A conflict is its client's fault, and shows nothing about the table. */
START_TEST(conflicts_stop_no_table)
{
    story s;
    story_begin(&s, 1);
    s.config.dead_letters_per_minute = 1;
    s.config.dead_letters_percent = 0;
    story_reading(&s, 1);
    for (uint32_t i = 0; i < 10; i++) {
        story_read(&s, 0, 1, i);
        repeat(&s, 0, 0, true);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 10);
    story_end(&s);
}
END_TEST

/* What is known of it is kept by whoever was told. */
START_TEST(a_repeat_among_refused_records_is_still_one)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 1);
    story_settle(&s);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    for (int i = 0; i < 2; i++) {
        story_wait_for_job(&s);
        ck_assert_uint_eq(story_job(&s, 0)->batch.record_count, 1);
        story_done(&s, 0, LEAT_ENGINE_REPEATED);
        repeat(&s, 0, 0, false);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_repeated, 2);
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    story_end(&s);
}
END_TEST

START_TEST(an_answer_to_an_older_claim_is_not_current)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    const leat_engine_batch_part *part = &story_job(&s, 0)->batch.parts[0];
    ck_assert(leat_engine_part_is_current(s.engine, part));
    leat_engine_lost(s.engine, s.now_us, 0);
    ck_assert(!leat_engine_part_is_current(s.engine, part));
    story_done(&s, 0, LEAT_ENGINE_REPEATED);
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_repeated, 0);
    story_end(&s);
}
END_TEST

STORY_MAIN("repeats", a_batch_with_repeats_is_sent_again_at_once, conflicts_stop_no_table,
           a_repeat_among_refused_records_is_still_one, an_answer_to_an_older_claim_is_not_current)
