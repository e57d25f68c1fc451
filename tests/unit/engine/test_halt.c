/* A shard with an error that is not understood. */
#include "story.h"

/* Partition 0: 0/1 and 0/2 in one batch that is not understood; partition 1 is of the same
 * shard. */
static void halt(story *s)
{
    story_begin(s, 2);
    story_reading(s, 2);
    story_load(s, 0, 1, 0, 3);
    story_load(s, 0, 2, 4, 4);
    story_settle(s);
    story_done(s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    story_told(s, "batch 0/1:0,1,2,3 0/2:4\nhalted 0/1 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s->engine)->shards_halted, 1);
}

START_TEST(only_the_probe_is_tried_until_it_passes)
{
    story s;
    halt(&s);
    story_read(&s, 1, 1, 0);
    story_told(&s, "");
    story_wait(&s);
    story_told(&s, "batch 0/1:0,1,2,3\n");
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_CONTENTION); /* says nothing about it */
    story_told(&s, "batch 0/1:0,1,2,3\nbatch 0/1:0,1,2,3\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 3\nbatch 0/2:4\nbatch 1/1:0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->shards_halted, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_probe_that_is_refused_with_what_is_understood_ends_it)
{
    story s;
    halt(&s);
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, "batch 0/1:0,1,2,3\nbatch 0/2:4\nbatch 0/1:0,1\n");
    story_end(&s);
}
END_TEST

/* Or the row's lock would halt the shard for as long as it is held. */
START_TEST(a_probe_that_waits_for_a_locked_row_ends_it)
{
    story s;
    halt(&s);
    story_wait(&s);
    story_locked(&s, 0);
    story_told(&s, "batch 0/1:0,1,2,3\nbatch 0/1:0,1\nbatch 0/2:4\n");
    story_done(&s, 1, LEAT_ENGINE_NOT_UNDERSTOOD); /* it is still there */
    story_told(&s, "halted 0/2 at 4\n");
    story_end(&s);
}
END_TEST

START_TEST(it_is_said_once_a_minute)
{
    story s;
    halt(&s);
    ck_assert_uint_eq(
        story_times_told(&s, LEAT_ENGINE_NOT_UNDERSTOOD, 130000000, "halted 0/1 at 0"), 2);
    story_end(&s);
}
END_TEST

START_TEST(what_is_in_flight_ends_as_it_does)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 3);
    story_read(&s, 0, 1, 0);
    story_read(&s, 1, 1, 0);
    story_read(&s, 1, 2, 1);
    story_told(&s, "batch 0/1:0\nbatch 1/1:0\nbatch 1/2:1\n");
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "halted 0/1 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->shards_halted, 1);
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\nbatch 1/1:0\n");
    story_end(&s);
}
END_TEST

START_TEST(no_compaction_while_it_lasts)
{
    story s;
    story_begin(&s, 2);
    s.config.compact_every_us = 1000;
    s.config.retry_min_us = 1000000;
    story_reading(&s, 2);
    story_read(&s, 1, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    s.size = 0;
    story_pass(&s, 1000);
    story_told(&s, "");
    story_lost(&s, 0);
    story_told(&s, "compact 1 to 1\n");
    story_end(&s);
}
END_TEST

START_TEST(a_revoke_of_the_probe_ends_it)
{
    story s;
    halt(&s);
    story_read(&s, 1, 1, 0);
    story_revoked(&s, 0);
    story_told(&s, "revoked 0\nbatch 1/1:0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->shards_halted, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_revoke_of_another_is_not_held_up)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 2);
    story_read(&s, 1, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    s.size = 0;
    story_revoked(&s, 1);
    story_told(&s, "revoked 1\n");
    /* A claim goes on. */
    story_assigned(&s, 1);
    story_told(&s, "claim 1\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->shards_halted, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_compaction_that_is_not_understood_halts_nothing)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1000);
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    ck_assert_uint_eq(leat_engine_count(s.engine)->shards_halted, 0);
    story_end(&s);
}
END_TEST

STORY_MAIN("halt", only_the_probe_is_tried_until_it_passes,
           a_probe_that_is_refused_with_what_is_understood_ends_it,
           a_probe_that_waits_for_a_locked_row_ends_it, it_is_said_once_a_minute,
           what_is_in_flight_ends_as_it_does, no_compaction_while_it_lasts,
           a_revoke_of_the_probe_ends_it, a_revoke_of_another_is_not_held_up,
           a_compaction_that_is_not_understood_halts_nothing)
