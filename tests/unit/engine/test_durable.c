/* A shard whose batches do not wait for the disk: what the log is told, and when it is looked at.
 */
#include "story.h"

#define NEVER_US (INT64_C(300) * 86400 * 1000000)

static const bool async[] = {true};

static void begin(story *s, uint32_t partitions, int64_t compact_every_us, uint32_t slots)
{
    story_begin(s, partitions);
    s->config.commits_async = async;
    s->config.compact_every_us = compact_every_us;
    story_reading(s, slots);
}

START_TEST(the_log_is_told_of_what_a_compaction_has_written)
{
    story s;
    begin(&s, 1, 1000, 3);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\n");
    ck_assert_int_eq(story_view(&s, 0).low, 0); /* for people it is applied */
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 1\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 1), LEAT_ENGINE_TAKEN);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\n"); /* not 1: that was sent after it */
    story_end(&s);
}
END_TEST

START_TEST(a_compaction_that_writes_nothing_proves_nothing)
{
    story s;
    begin(&s, 1, NEVER_US, 3);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 2, 1), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 3, 2), LEAT_ENGINE_TAKEN);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\nbatch 0/2:1\nbatch 0/3:2\n");
    leat_engine_doubted(s.engine, s.now_us, 0);
    story_settle(&s);
    story_told(&s, "compact 0 to 2\n");
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 1\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 3), LEAT_ENGINE_TAKEN);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    s.size = 0;
    leat_engine_doubted(s.engine, s.now_us, 0); /* the batch of 2 is still open */
    story_settle(&s);
    story_told(&s, "compact 0 to 2\n");
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "");
    story_end(&s);
}
END_TEST

START_TEST(after_a_doubt_each_partition_is_looked_at_before_anything_else)
{
    story s;
    begin(&s, 2, NEVER_US, 1);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 1, 1), LEAT_ENGINE_TAKEN);
    story_told(&s, "batch 0/1:0\n");
    leat_engine_doubted(s.engine, s.now_us, 0);
    leat_engine_doubted(s.engine, s.now_us, 0); /* one look is enough */
    story_settle(&s);
    story_told(&s, "");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 1 to 0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 0 to 1\n");
    ck_assert_uint_eq(story_job(&s, 0)->compaction.needs_count, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nbatch 0/1:1\n");
    story_end(&s);
}
END_TEST

START_TEST(a_doubt_during_a_look_makes_another_one)
{
    story s;
    begin(&s, 1, NEVER_US, 3);
    leat_engine_doubted(s.engine, s.now_us, 0);
    story_settle(&s);
    story_told(&s, "compact 0 to 0\n");
    leat_engine_doubted(s.engine, s.now_us, 0);
    story_settle(&s);
    story_told(&s, "");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 0, LEAT_ENGINE_WENT_BACK);
    story_told(&s, "pause 0\nclaim 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_look_that_fails_is_made_again)
{
    story s;
    begin(&s, 1, NEVER_US, 3);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    story_told(&s, "batch 0/1:0\n"); /* stays open: but for the doubt there is nothing to write */
    leat_engine_doubted(s.engine, s.now_us, 0);
    story_settle(&s);
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 1, LEAT_ENGINE_CONTENTION);
    story_told(&s, ""); /* after a pause */
    story_pass(&s, s.config.retry_max_us);
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 1, LEAT_ENGINE_OUTAGE);
    story_told(&s, "");
    leat_engine_doubted(s.engine, s.now_us, 0); /* what is lost now is no matter of that pause */
    story_pass(&s, s.config.retry_max_us);
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_pass(&s, s.config.retry_max_us);
    story_told(&s, "");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_end(&s);
}
END_TEST

START_TEST(a_look_leaves_what_is_to_be_written_for_later)
{
    story s;
    begin(&s, 1, 1000, 3);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 2, 1), LEAT_ENGINE_TAKEN);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    s.size = 0;
    leat_engine_doubted(s.engine, s.now_us, 0);
    story_settle(&s);
    story_told(&s, "compact 0 to 0\n"); /* the first batch is open */
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 2\n");
    story_end(&s);
}
END_TEST

/* One connection, a batch of 0/1 on it, and a further record behind that. */
static void begin_pooled(story *s)
{
    begin(s, 1, NEVER_US, 1);
    leat_engine_pooled(s->engine, s->now_us, 0, true);
    ck_assert_int_eq(story_read(s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(s, 0, 1, 1), LEAT_ENGINE_TAKEN);
    story_told(s, "batch 0/1:0\n");
}

START_TEST(behind_a_pooler_a_look_takes_its_turn_and_only_reads)
{
    story s;
    begin_pooled(&s);
    story_pass(&s, s.config.look_every_us);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 0 to 0\n"); /* what is to be written has time */
    ck_assert_uint_eq(story_job(&s, 0)->compaction.needs_count, 1);
    story_pass(&s, 2 * s.config.look_every_us);
    story_told(&s, ""); /* one at a time */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "");
    story_pass(&s, s.config.look_every_us);
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 0, LEAT_ENGINE_WENT_BACK);
    story_told(&s, "pause 0\nclaim 0\n");
    story_end(&s);
}
END_TEST

START_TEST(behind_a_pooler_a_look_that_is_late_goes_first)
{
    story s;
    begin_pooled(&s);
    story_pass(&s, s.config.look_every_us);
    story_pass(&s, s.config.look_every_us);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:1\n");
    story_end(&s);
}
END_TEST

START_TEST(behind_a_pooler_it_is_looked_at_while_an_old_batch_is_open)
{
    story s;
    begin(&s, 1, 1000, 2);
    leat_engine_pooled(s.engine, s.now_us, 0, true);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 2, 1), LEAT_ENGINE_TAKEN);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\nbatch 0/2:1\n");
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 2\n"); /* the one that is due is a look, too */
    story_end(&s);
}
END_TEST

START_TEST(without_a_pooler_nothing_is_looked_at_for_nothing)
{
    story s;
    begin(&s, 1, NEVER_US, 1);
    leat_engine_pooled(s.engine, s.now_us, 0, true);
    leat_engine_pooled(s.engine, s.now_us, 0, false);
    story_pass(&s, s.config.look_every_us); /* it was planned */
    story_told(&s, "compact 0 to 0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 2 * s.config.look_every_us);
    story_told(&s, "");
    story_end(&s);

    story_begin(&s, 1); /* nor where every commit waits */
    story_reading(&s, 1);
    leat_engine_pooled(s.engine, s.now_us, 0, true);
    story_pass(&s, 2 * s.config.look_every_us);
    story_told(&s, "");
    story_end(&s);
}
END_TEST

START_TEST(where_every_commit_waits_nothing_is_held_back)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert(!story_job(&s, 0)->batch.is_durable);
    leat_engine_make_durable(s.engine, story_job(&s, 0)->id);
    ck_assert(story_job(&s, 0)->batch.is_durable);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 1), LEAT_ENGINE_TAKEN);
    ck_assert(!story_job(&s, 0)->batch.is_durable); /* the slot is another job's */
    story_end(&s);
}
END_TEST

STORY_MAIN("durable", the_log_is_told_of_what_a_compaction_has_written,
           a_compaction_that_writes_nothing_proves_nothing,
           after_a_doubt_each_partition_is_looked_at_before_anything_else,
           a_doubt_during_a_look_makes_another_one, a_look_that_fails_is_made_again,
           a_look_leaves_what_is_to_be_written_for_later,
           behind_a_pooler_a_look_takes_its_turn_and_only_reads,
           behind_a_pooler_a_look_that_is_late_goes_first,
           behind_a_pooler_it_is_looked_at_while_an_old_batch_is_open,
           without_a_pooler_nothing_is_looked_at_for_nothing,
           where_every_commit_waits_nothing_is_held_back)
