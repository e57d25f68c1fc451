/* A partition's life: claim, reading, skipping, commit, fence, stop. */
#include "story.h"

START_TEST(nothing_is_claimed_without_a_connection)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_assigned(&s, 0);
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_WAITING);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_SKIPPED);
    story_told(&s, "");
    story_slots(&s, 0, 1);
    story_told(&s, "claim 0\n");
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_CLAIMING);
    story_end(&s);
}
END_TEST

START_TEST(reading_begins_behind_low_and_skips_what_is_applied)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    int64_t base[TEST_SUBPARTITIONS] = {0};
    TEST_PROGRESS(progress);
    leat_engine_progress_begin(&progress, (leat_engine_claim){{9}}, 1, 4, base, 20,
                               (leat_engine_newest){18, 1018, -1});
    int16_t subpartition = 3;
    int64_t offset = 25;
    ck_assert_int_eq(leat_engine_progress_row(&progress, 6, &subpartition, &offset, 1, 1025, -1),
                     0);
    story_claimed(&s, 0, &progress);
    story_told(&s, "claim 0\ncommit 0 at 20\nseek 0 from 21\n");
    ck_assert_int_eq(story_read(&s, 0, 3, 22), LEAT_ENGINE_SKIPPED);
    ck_assert_int_eq(story_read(&s, 0, 3, 25), LEAT_ENGINE_SKIPPED);
    story_pass(&s, 1);
    story_told(&s, "commit 0 at 25\n");
    ck_assert_int_eq(story_read(&s, 0, 3, 26), LEAT_ENGINE_TAKEN);
    story_told(&s, "batch 0/3:26\n");
    const leat_engine_batch_part *part = &story_job(&s, 0)->batch.parts[0];
    ck_assert_int_eq(part->seq, 7);
    ck_assert_uint_eq(part->needs_count, 1);
    ck_assert_int_eq(part->needs[0], 6);
    ck_assert_int_eq(part->claim.token[0], 9);
    story_end(&s);
}
END_TEST

START_TEST(a_claim_that_fails_is_tried_again_later)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    static const leat_engine_outcome outcomes[] = {LEAT_ENGINE_UNKNOWN, LEAT_ENGINE_CONTENTION,
                                                   LEAT_ENGINE_OUTAGE, LEAT_ENGINE_DRIFT};
    for (size_t i = 0; i < 4; i++) {
        story_told(&s, "claim 0\n");
        story_done(&s, 0, outcomes[i]);
        story_told(&s, "");
        int64_t wait = leat_engine_deadline(s.engine) - s.now_us;
        ck_assert_int_ge(wait, s.config.retry_min_us << i >> 1);
        ck_assert_int_le(wait, s.config.retry_min_us << i);
        story_wait(&s);
    }
    story_told(&s, "claim 0\n");
    story_end(&s);
}
END_TEST

START_TEST(another_log_stops_the_partition_and_no_other)
{
    story s;
    story_begin(&s, 2);
    story_start(&s);
    story_slots(&s, 0, 2);
    story_assigned(&s, 0);
    story_assigned(&s, 1);
    int64_t base[TEST_SUBPARTITIONS] = {0};
    TEST_PROGRESS(progress);
    leat_engine_progress_begin(&progress, (leat_engine_claim){{1}}, 1, 4, base, 22,
                               (leat_engine_newest){20, 77, -1});
    story_claimed(&s, 0, &progress);
    progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    story_told(&s, "claim 0\nclaim 1\ncommit 0 at 22\nseek 0 from 20\nseek 1 from -1\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 20), LEAT_ENGINE_REFUSED);
    leat_engine_partition_view view = story_view(&s, 0);
    ck_assert_int_eq(view.state, LEAT_ENGINE_STOPPED);
    ck_assert_ptr_nonnull(strstr(view.reason, "the log is not the one"));
    story_told(&s, "pause 0\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 21), LEAT_ENGINE_SKIPPED);
    ck_assert_int_eq(story_read(&s, 1, 1, 0), LEAT_ENGINE_TAKEN);
    story_told(&s, "batch 1/1:0\n");
    story_revoked(&s, 0);
    story_told(&s, "revoked 0\n");
    story_assigned(&s, 0);
    story_told(&s, "claim 0\n");
    ck_assert_str_eq(story_view(&s, 0).reason, "");
    story_end(&s);
}
END_TEST

START_TEST(a_log_that_was_cut_above_the_low_water_stops_at_the_newest_record)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    leat_engine_progress progress = story_nothing(&s);
    int16_t subpartitions[] = {1, 2};
    int64_t offsets[] = {4, 7};
    ck_assert_int_eq(leat_engine_progress_row(&progress, 1, subpartitions, offsets, 2, 77, -1), 0);
    story_claimed(&s, 0, &progress);
    story_told(&s, "claim 0\nseek 0 from 0\n");
    ck_assert_int_eq(story_read(&s, 0, 1, 4), LEAT_ENGINE_SKIPPED);
    ck_assert_int_eq(story_read(&s, 0, 2, 7), LEAT_ENGINE_REFUSED);
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_STOPPED);
    ck_assert_ptr_nonnull(
        strstr(story_view(&s, 0).reason,
               "cut off and rewritten: the record at offset 7 has timestamp 1007"));
    story_end(&s);
}
END_TEST

START_TEST(a_leader_epoch_that_does_not_fit_its_place_stops_the_partition)
{
    static const struct {
        int64_t offset;
        int32_t epoch;
        leat_engine_taken taken;
    } cases[] = {
        {5, 2, LEAT_ENGINE_SKIPPED}, {5, 1, LEAT_ENGINE_SKIPPED}, {5, -1, LEAT_ENGINE_SKIPPED},
        {8, 2, LEAT_ENGINE_TAKEN},   {8, 3, LEAT_ENGINE_TAKEN},   {8, -1, LEAT_ENGINE_TAKEN},
        {5, 3, LEAT_ENGINE_REFUSED}, /* written after the applied record: the log was cut off */
        {8, 1, LEAT_ENGINE_REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        story s;
        story_begin(&s, 1);
        story_start(&s);
        story_slots(&s, 0, 1);
        story_assigned(&s, 0);
        leat_engine_progress progress = story_nothing(&s);
        int16_t subpartition = 1;
        int64_t offset = 7;
        ck_assert_int_eq(leat_engine_progress_row(&progress, 1, &subpartition, &offset, 1, 1007, 2),
                         0);
        story_claimed(&s, 0, &progress);
        leat_engine_record record = {.offset = cases[i].offset,
                                     .accepted_ms = 1,
                                     .epoch = cases[i].epoch,
                                     .subpartition = 1,
                                     .bytes = 1,
                                     .payload = &record};
        ck_assert_int_eq(leat_engine_record_read(s.engine, s.now_us, &record), cases[i].taken);
        if (cases[i].taken == LEAT_ENGINE_REFUSED)
            ck_assert_ptr_nonnull(
                strstr(story_view(&s, 0).reason, "cut off and rewritten from offset"));
        leat_engine_lost(s.engine, s.now_us, 0);
        void *payload;
        leat_engine_released(s.engine, &payload, 1);
        leat_engine_free(s.engine);
    }
}
END_TEST

START_TEST(a_record_where_there_was_none_stops_the_partition)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    int64_t base[TEST_SUBPARTITIONS] = {0};
    TEST_PROGRESS(progress);
    leat_engine_progress_begin(&progress, (leat_engine_claim){{1}}, 1, 4, base, 22,
                               (leat_engine_newest){20, 1020, -1});
    story_claimed(&s, 0, &progress);
    ck_assert_int_eq(story_read(&s, 0, 1, 20), LEAT_ENGINE_SKIPPED);
    ck_assert_int_eq(story_read(&s, 0, 1, 21), LEAT_ENGINE_REFUSED);
    ck_assert_ptr_nonnull(
        strstr(story_view(&s, 0).reason,
               "from offset 21 on, or from before it: there was no record there"));
    story_end(&s);
}
END_TEST

START_TEST(offsets_without_a_record_are_passed_committed_and_kept)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    story_reading(&s, 1);
    ck_assert_int_eq(story_read(&s, 0, 1, 3), LEAT_ENGINE_TAKEN);
    leat_engine_read_to(s.engine, s.now_us, 0, 6);
    story_settle(&s);
    story_told(&s, "commit 0 at 2\nbatch 0/1:3\n");
    ck_assert_int_eq(story_view(&s, 0).low, 2);
    s.now_us++;
    ck_assert_int_eq(story_view(&s, 0).position, 6);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 5\n");
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    /* More of them, and no batch: a seq that nobody used says that this base is a newer one. */
    leat_engine_read_to(s.engine, s.now_us, 0, 9);
    story_settle(&s);
    story_told(&s, "commit 0 at 8\n");
    story_pass(&s, 1000);
    story_told(&s, "compact 0 to 2\n");
    const leat_engine_compaction *compaction = &story_job(&s, 0)->compaction;
    ck_assert_int_eq(compaction->low, 8);
    ck_assert_int_eq(compaction->newest.offset, 3);
    ck_assert_int_eq(compaction->newest.at_ms, 1003);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    /* there was none, as reported */
    ck_assert_int_eq(story_read(&s, 0, 1, 8), LEAT_ENGINE_REFUSED);
    story_end(&s);
}
END_TEST

START_TEST(a_revoke_keeps_a_low_water_without_batches)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    leat_engine_read_to(s.engine, s.now_us, 0, 4);
    story_settle(&s);
    story_told(&s, "commit 0 at 3\n");
    story_revoked(&s, 0);
    story_told(&s, "pause 0\ncompact 0 to 1\n");
    leat_engine_read_to(s.engine, s.now_us, 0, 9); /* too late to count */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "revoked 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_range_lost_from_the_log_stops_the_partition)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 2);
    leat_engine_stopped(s.engine, s.now_us, 0, "records 3 to 9 are gone");
    story_settle(&s);
    story_told(&s, "pause 0\n");
    ck_assert_uint_eq(s.released, 3);
    ck_assert_str_eq(story_view(&s, 0).reason, "records 3 to 9 are gone");
    story_end(&s);
}
END_TEST

START_TEST(commits_come_no_more_often_than_asked)
{
    story s;
    story_begin(&s, 1);
    s.config.commit_every_us = 1000;
    story_reading(&s, 1);
    for (int64_t offset = 0; offset < 3; offset++) {
        story_read(&s, 0, 1, offset);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\nbatch 0/1:1\nbatch 0/1:2\n");
    story_pass(&s, 999);
    story_told(&s, "");
    story_pass(&s, 1);
    story_told(&s, "commit 0 at 2\n");
    story_pass(&s, 5000000);
    s.size = 0; /* a compaction */
    story_pass(&s, 1000);
    story_told(&s, "");
    story_end(&s);
}
END_TEST

START_TEST(a_commit_that_failed_comes_again)
{
    story s;
    story_begin(&s, 1);
    s.config.commit_every_us = 1000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\n");
    leat_engine_commit_failed(s.engine, s.now_us);
    story_pass(&s, 999);
    story_told(&s, "");
    story_pass(&s, 1);
    story_told(&s, "commit 0 at 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_fenced_partition_waits_for_time_and_the_word_of_the_group)
{
    story s;
    story_begin(&s, 1);
    s.config.reclaim_min_us = 1000;
    story_reading(&s, 1);
    s.now_us = 50;
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_FENCED);
    story_told(&s, "batch 0/1:0\npause 0\nconfirm\n");
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_FENCED_OFF);
    ck_assert_uint_eq(s.released, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_fenced, 1);
    /* No word: it asks again and again and does nothing else. */
    story_pass(&s, 1000);
    story_pass(&s, 1000);
    story_told(&s, "confirm\nconfirm\n");
    /* A confirmation from before the fence means nothing. */
    leat_engine_confirmed(s.engine, s.now_us, 49);
    story_settle(&s);
    story_told(&s, "");
    leat_engine_confirmed(s.engine, s.now_us, 50);
    story_settle(&s);
    story_told(&s, "claim 0\n");
    story_end(&s);
}
END_TEST

START_TEST(the_word_alone_does_not_end_the_fence_early)
{
    story s;
    story_begin(&s, 1);
    s.config.reclaim_min_us = 1000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_FENCED);
    leat_engine_confirmed(s.engine, s.now_us, s.now_us);
    story_settle(&s);
    story_told(&s, "batch 0/1:0\npause 0\nconfirm\n");
    story_pass(&s, 999);
    story_told(&s, "");
    story_wait(&s);
    ck_assert_int_ge(s.now_us, 1000);
    ck_assert_int_lt(s.now_us, 2000);
    story_told(&s, "claim 0\n");
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    story_told(&s, "seek 0 from -1\nresume 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_shard_that_comes_back_is_claimed_anew)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 1, 1);
    story_slots(&s, 0, 0);
    story_told(&s, "batch 0/1:0\npause 0\n");
    ck_assert_uint_eq(s.released, 2);
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_WAITING);
    story_slots(&s, 0, 2);
    story_told(&s, "claim 0\n");
    /* The old batch was applied, as it turns out: the claim reads that. */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "");
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_stale, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 0);
    story_end(&s);
}
END_TEST

START_TEST(lost_and_assigned_again_waits_for_its_own_old_claim)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 2);
    story_assigned(&s, 0);
    story_lost(&s, 0);
    story_assigned(&s, 0);
    story_told(&s, "claim 0\n");
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    story_told(&s, "claim 0\n");
    story_claimed(&s, 0, &progress);
    story_told(&s, "seek 0 from -1\n");
    story_end(&s);
}
END_TEST

START_TEST(events_for_a_partition_we_do_not_have_are_harmless)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_SKIPPED);
    leat_engine_confirmed(s.engine, 0, 0);
    leat_engine_stopped(s.engine, 0, 0, "no");
    story_lost(&s, 0);
    story_told(&s, "");
    ck_assert_int_eq(leat_engine_deadline(s.engine), INT64_MAX);
    story_end(&s);
}
END_TEST

STORY_MAIN("partition", nothing_is_claimed_without_a_connection,
           reading_begins_behind_low_and_skips_what_is_applied,
           a_claim_that_fails_is_tried_again_later, another_log_stops_the_partition_and_no_other,
           a_log_that_was_cut_above_the_low_water_stops_at_the_newest_record,
           a_leader_epoch_that_does_not_fit_its_place_stops_the_partition,
           a_record_where_there_was_none_stops_the_partition,
           offsets_without_a_record_are_passed_committed_and_kept,
           a_revoke_keeps_a_low_water_without_batches,
           a_range_lost_from_the_log_stops_the_partition, commits_come_no_more_often_than_asked,
           a_commit_that_failed_comes_again,
           a_fenced_partition_waits_for_time_and_the_word_of_the_group,
           the_word_alone_does_not_end_the_fence_early, a_shard_that_comes_back_is_claimed_anew,
           lost_and_assigned_again_waits_for_its_own_old_claim,
           events_for_a_partition_we_do_not_have_are_harmless)
