/* The outcomes of a job: unknown, fenced, failed, isolated. */
#include "story.h"

START_TEST(an_unknown_outcome_drops_all_and_claims_again)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    story_load(&s, 0, 1, 0, 1);
    story_settle(&s);
    story_read(&s, 0, 2, 2);
    story_read(&s, 0, 2, 3);
    story_told(&s, "batch 0/1:0,1\nbatch 0/2:2\n");
    story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
    story_told(&s, "pause 0\nclaim 0\n");
    ck_assert_uint_eq(s.released, 4);
    ck_assert_uint_eq(story_view(&s, 0).records, 0);
    /* The other batch is of the old claim: its result does not count. */
    story_done(&s, 0, LEAT_ENGINE_FENCED);
    story_told(&s, "");
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_stale, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_unknown, 1);
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    story_told(&s, "seek 0 from -1\nresume 0\n");
    story_end(&s);
}
END_TEST

START_TEST(unknown_again_and_again_is_claimed_with_back_off)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    for (int i = 0; i < 2; i++) {
        s.size = 0;
        story_read(&s, 0, 1, 0);
        story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
        if (i == 1) {
            story_told(&s, "batch 0/1:0\npause 0\nstalled 0/1 at 0\n");
            story_wait(&s);
            story_told(&s, "claim 0\n");
        }
        leat_engine_progress progress = story_nothing(&s);
        story_claimed(&s, 0, &progress);
    }
    story_end(&s);
}
END_TEST

START_TEST(a_database_that_went_back_is_claimed_again)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 1, 1, 0, 0);
    story_settle(&s);
    story_told(&s, "batch 0/1:0 1/1:0\n");
    story_result(&s, 0,
                 &(leat_engine_job_result){
                     .outcome = LEAT_ENGINE_WENT_BACK, .bad_record = -1, .partition = 1});
    story_told(&s, "pause 0\npause 1\nclaim 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->went_back, 1);
    story_end(&s);
}
END_TEST

START_TEST(only_the_fenced_partition_is_fenced)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 1, 1, 0, 0);
    story_settle(&s);
    story_result(
        &s, 0,
        &(leat_engine_job_result){.outcome = LEAT_ENGINE_FENCED, .bad_record = -1, .partition = 0});
    story_told(&s, "batch 0/1:0 1/1:0\npause 0\nconfirm\nbatch 1/1:0\n");
    ck_assert_int_eq(story_job(&s, 0)->batch.parts[0].seq, 2);
    story_end(&s);
}
END_TEST

START_TEST(fenced_without_a_name_means_all_of_the_batch)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 1, 1, 0, 0);
    story_settle(&s);
    story_done(&s, 0, LEAT_ENGINE_FENCED);
    story_told(&s, "batch 0/1:0 1/1:0\npause 0\nconfirm\npause 1\nconfirm\n");
    story_end(&s);
}
END_TEST

START_TEST(a_part_that_is_stale_does_not_spoil_the_others)
{
    story s;
    story_begin(&s, 2);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 1, 1, 0, 0);
    story_settle(&s);
    story_lost(&s, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0 1/1:0\ncommit 1 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_stale, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_applied, 1);
    story_end(&s);
}
END_TEST

START_TEST(contention_together_then_alone_then_later)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 0, 2, 1, 1);
    story_settle(&s);
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    story_told(&s, "batch 0/1:0 0/2:1\nbatch 0/1:0 0/2:1\n");
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    story_told(&s, "batch 0/1:0\n");
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    story_told(&s, "batch 0/2:1\n");
    ck_assert_uint_eq(story_view(&s, 0).stalled, 2); /* the second is being tried again */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(story_view(&s, 0).stalled, 1);
    story_told(&s, "");
    story_wait(&s);
    story_told(&s, "batch 0/1:0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 1\n");
    /* It is as before. */
    story_load(&s, 0, 1, 2, 2);
    story_load(&s, 0, 2, 3, 3);
    story_settle(&s);
    story_told(&s, "batch 0/1:2 0/2:3\n");
    story_end(&s);
}
END_TEST

START_TEST(an_outage_waits_and_keeps_the_order)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    story_load(&s, 0, 1, 0, 1);
    story_load(&s, 0, 2, 2, 2);
    story_settle(&s);
    story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    story_told(&s, "batch 0/1:0,1 0/2:2\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 3), LEAT_ENGINE_TAKEN);
    story_told(&s, "");
    story_wait(&s);
    story_told(&s, "batch 0/1:0,1,3 0/2:2\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_failed, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_refused_record_is_found_by_halving_and_holds_only_its_own)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 3);
    story_load(&s, 0, 2, 4, 4);
    story_settle(&s);
    story_told(&s, "batch 0/1:0,1,2,3 0/2:4\n");
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA); /* because of 2 */
    story_told(&s, "batch 0/1:0,1,2,3\n");
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, "batch 0/2:4\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0,1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 1\nbatch 0/1:2\n");
    story_done(&s, 0, LEAT_ENGINE_DRIFT);
    story_told(&s, ""); /* the tables are read meanwhile */
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_DRIFT);
    story_told(&s, "batch 0/1:2\nstalled 0/1 at 2\n");
    ck_assert_int_eq(s.said.outcome, LEAT_ENGINE_DRIFT);
    ck_assert_uint_eq(story_view(&s, 0).stalled, 1);
    /* Others go on; later records of its subpartition do not. */
    story_read(&s, 0, 2, 5);
    story_told(&s, "batch 0/2:5\n");
    s.now_us++;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "");
    ck_assert_int_eq(story_view(&s, 0).low, 1);
    /* Somebody mends it. */
    story_wait(&s);
    story_told(&s, "batch 0/1:2\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 2\nbatch 0/1:3\n");
    s.now_us++;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 5\n");
    story_end(&s);
}
END_TEST

START_TEST(a_refused_record_that_is_named_is_isolated_directly)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 3);
    story_load(&s, 0, 2, 4, 4);
    story_settle(&s);
    leat_engine_job_result result = {
        .outcome = LEAT_ENGINE_DRIFT, .bad_record = 2, .partition = -1};
    story_result(&s, 0, &result);
    story_told(&s, "batch 0/1:0,1,2,3 0/2:4\nbatch 0/1:0,1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 1\nbatch 0/2:4\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:2\n");
    result.bad_record = 0;
    story_result(&s, 0, &result);
    story_told(&s, "");
    story_wait_for_job(&s);
    story_result(&s, 0, &result);
    story_told(&s, "batch 0/1:2\nstalled 0/1 at 2\n");
    story_end(&s);
}
END_TEST

START_TEST(a_held_record_is_said_once_a_minute)
{
    story s;
    story_begin(&s, 1);
    s.config.retry_min_us = 1000000;
    s.config.retry_max_us = 8000000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_DRIFT);
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_DRIFT);
    story_told(&s, "batch 0/1:0\nbatch 0/1:0\nstalled 0/1 at 0\n");
    ck_assert_uint_eq(story_times_told(&s, LEAT_ENGINE_DRIFT, 130000000, "stalled"), 2);
    story_end(&s);
}
END_TEST

START_TEST(compaction_writes_what_is_applied_and_keeps_its_needs)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 2, 5);
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\nbatch 0/2:5\n");
    /* Number 1 is open: no base can be above 0. */
    story_pass(&s, 1000);
    story_told(&s, "");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 5\n");
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 2\n");
    const leat_engine_compaction *compaction = &story_job(&s, 0)->compaction;
    ck_assert_int_eq(compaction->low, 5);
    ck_assert_int_eq(compaction->newest.offset, 5);
    ck_assert_int_eq(compaction->newest.at_ms, 1005);
    ck_assert_int_eq(compaction->base_offsets[1], 5); /* never below low */
    ck_assert_int_eq(compaction->base_offsets[2], 5);
    ck_assert_uint_eq(compaction->needs_count, 2);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 100000);
    story_told(&s, ""); /* nothing new, nothing to compact */
    /* The needs stay although the base has passed them. */
    story_read(&s, 0, 2, 6);
    ck_assert_uint_eq(story_job(&s, 0)->batch.parts[0].needs_count, 1);
    ck_assert_int_eq(story_job(&s, 0)->batch.parts[0].needs[0], 2);
    ck_assert_int_eq(story_job(&s, 0)->batch.parts[0].seq, 3);
    story_end(&s);
}
END_TEST

/* A pooler may have hidden a failover: nobody else would notice. */
START_TEST(an_idle_partition_is_verified)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    s.config.verify_every_us = 50000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1000);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\ncompact 0 to 1\n");
    story_pass(&s, 49999);
    story_told(&s, "");
    story_pass(&s, 1);
    story_told(&s, "compact 0 to 1\n");
    const leat_engine_compaction *compaction = &story_job(&s, 0)->compaction;
    ck_assert_uint_eq(compaction->needs_count, 1);
    ck_assert_int_eq(compaction->needs[0], 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(leat_engine_count(s.engine)->compactions, 1);
    /* Subpartitions that move meanwhile are not kept waiting. */
    story_read(&s, 0, 1, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1000);
    story_told(&s, "batch 0/1:1\ncommit 0 at 1\ncompact 0 to 2\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 50000);
    story_done(&s, 0, LEAT_ENGINE_WENT_BACK);
    story_told(&s, "compact 0 to 2\npause 0\nclaim 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_compaction_that_fails_comes_again_and_an_unknown_one_claims)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1000);
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\ncompact 0 to 1\n");
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 1\n");
    story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
    story_told(&s, "pause 0\nclaim 0\n");
    story_end(&s);
}
END_TEST

/* The answer comes when the database wakes. Then batches have one record each, and so one queue. */
START_TEST(batches_grow_back_after_a_database_stood_still)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 0, 2, 1, 1);
    story_settle(&s);
    story_told(&s, "batch 0/1:0 0/2:1\n");
    for (uint32_t i = 0; i < 50; i++)
        story_load(&s, 0, 3 + i, 2 + 100 * (int64_t)i, 101 + 100 * (int64_t)i);
    s.now_us += 11000000;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(story_job(&s, 0)->batch.record_count, 1);
    uint32_t batches = 0;
    for (; s.open_count > 0 && story_job(&s, 0)->kind == LEAT_ENGINE_JOB_BATCH; batches++) {
        s.now_us += 1000;
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
        s.size = 0;
    }
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 5002);
    ck_assert_uint_lt(batches, 100);
    story_end(&s);
}
END_TEST

STORY_MAIN("jobs", an_unknown_outcome_drops_all_and_claims_again,
           unknown_again_and_again_is_claimed_with_back_off,
           a_database_that_went_back_is_claimed_again, only_the_fenced_partition_is_fenced,
           fenced_without_a_name_means_all_of_the_batch,
           a_part_that_is_stale_does_not_spoil_the_others,
           contention_together_then_alone_then_later, an_outage_waits_and_keeps_the_order,
           a_refused_record_is_found_by_halving_and_holds_only_its_own,
           a_refused_record_that_is_named_is_isolated_directly, a_held_record_is_said_once_a_minute,
           batches_grow_back_after_a_database_stood_still,
           compaction_writes_what_is_applied_and_keeps_its_needs, an_idle_partition_is_verified,
           a_compaction_that_fails_comes_again_and_an_unknown_one_claims)
