/* Giving a partition back. */
#include "story.h"

START_TEST(a_revoke_waits_for_batches_then_compacts_then_commits)
{
    story s;
    story_begin(&s, 1);
    s.config.commit_every_us = 1000000;
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 1, 1);
    story_read(&s, 0, 2, 2);
    story_told(&s, "batch 0/1:0\nbatch 0/2:2\n");
    story_revoked(&s, 0);
    story_told(&s, "pause 0\n");
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_REVOKING);
    ck_assert_int_eq(story_read(&s, 0, 3, 3), LEAT_ENGINE_SKIPPED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "compact 0 to 2\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "revoked 0\n");
    ck_assert_uint_eq(s.released, 3);
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_UNASSIGNED);
    ck_assert_int_eq(leat_engine_deadline(s.engine), INT64_MAX);
    story_end(&s);
}
END_TEST

START_TEST(a_revoke_commits_what_was_not_told_yet)
{
    story s;
    story_begin(&s, 1);
    s.config.commit_every_us = 1000000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_read(&s, 0, 1, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.size = 0;
    story_revoked(&s, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "pause 0\ncompact 0 to 2\ncommit 0 at 1\nrevoked 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_revoke_does_not_wait_for_ever)
{
    story s;
    story_begin(&s, 1);
    s.config.drain_us = 1000;
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_read(&s, 0, 1, 1);
    s.size = 0;
    story_revoked(&s, 0);
    story_pass(&s, 999);
    story_told(&s, "pause 0\n");
    story_pass(&s, 1);
    story_told(&s, "compact 0 to 1\n");
    story_pass(&s, 1000);
    story_told(&s, "revoked 0\n");
    /* Both come back in the end, and count for nothing. */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "");
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_stale, 2);
    story_end(&s);
}
END_TEST

START_TEST(nothing_applied_is_nothing_to_wait_for)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_revoked(&s, 0);
    story_told(&s, "revoked 0\n");
    story_revoked(&s, 0);
    story_told(&s, "revoked 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_claim_in_flight_is_waited_for_and_nothing_more)
{
    story s;
    story_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    story_revoked(&s, 0);
    story_told(&s, "claim 0\n");
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    story_told(&s, "revoked 0\n");
    story_end(&s);
}
END_TEST

START_TEST(unknown_during_a_revoke_ends_it)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_revoked(&s, 0);
    story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
    story_told(&s, "batch 0/1:0\npause 0\nrevoked 0\n");
    ck_assert_uint_eq(s.released, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_dead_shard_does_not_hold_up_a_revoke)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_revoked(&s, 0);
    story_slots(&s, 0, 0);
    story_told(&s, "batch 0/1:0\npause 0\nrevoked 0\n");
    story_end(&s);
}
END_TEST

START_TEST(lost_drops_at_once_and_says_nothing)
{
    story s;
    story_begin(&s, 1);
    s.config.commit_every_us = 1000000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_read(&s, 0, 1, 1);
    story_read(&s, 0, 1, 2);
    s.size = 0;
    story_lost(&s, 0);
    story_told(&s, "");
    ck_assert_uint_eq(s.released, 3);
    story_assigned(&s, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "claim 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->batches_stale, 1);
    story_end(&s);
}
END_TEST

START_TEST(drain_revokes_all_and_says_so)
{
    story s;
    story_begin(&s, 3);
    story_reading(&s, 2);
    story_read(&s, 1, 1, 0);
    story_lost(&s, 2);
    leat_engine_drain(s.engine, s.now_us);
    story_settle(&s);
    story_told(&s, "batch 1/1:0\nrevoked 0\npause 1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 1 at 0\ncompact 1 to 1\nrevoked 1\ndrained\n");
    story_assigned(&s, 2);
    story_pass(&s, 1000000);
    story_told(&s, "");
    story_end(&s);
}
END_TEST

/* Each that was taken is in memory, done or dropped; its life is counted where it changes. */
START_TEST(every_record_that_was_taken_is_accounted_for)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    const leat_engine_counters *count = leat_engine_count(s.engine);
    for (int64_t offset = 0; offset < 4; offset++)
        story_read(&s, 0, offset < 2 ? 1 : 2, offset);
    ck_assert_uint_eq(count->records_taken, 4);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_gt(count->records_applied, 0);
    ck_assert_int_eq(leat_engine_unaccounted(s.engine), 0);
    story_lost(&s, 0);
    ck_assert_uint_eq(count->records_applied + count->records_dropped, 4);
    ck_assert_int_eq(leat_engine_unaccounted(s.engine), 0);
    story_end(&s);
}
END_TEST

#define COUNTER(name, adds) {#name, offsetof(leat_engine_counters, name), adds}

/* What one more of each adds to what cannot be accounted for. */
static const struct {
    const char *name;
    size_t at;
    int64_t adds;
} balance[] = {
    COUNTER(records_taken, 1),       COUNTER(records_unparked, 1),  COUNTER(records_retried, 1),
    COUNTER(records_conflicting, 1), COUNTER(records_dropped, -1),  COUNTER(records_applied, -1),
    COUNTER(records_left_out, -1),   COUNTER(records_repeated, -1), COUNTER(records_kept, -1),
    COUNTER(records_parked, -1),     COUNTER(dead_letters, -1),     COUNTER(records_skipped, 0),
    COUNTER(batches_applied, 0),     COUNTER(keys_held, 0),
};

/* One that was lost or doubled on the way makes a difference of one. The engine itself never has
 * one, so the test counts wrong in its place. */
START_TEST(a_record_that_is_lost_or_doubled_is_noticed)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    for (int64_t offset = 0; offset < 4; offset++)
        story_read(&s, 0, 1, offset);
    for (size_t i = 0; i < sizeof balance / sizeof *balance; i++) {
        uint64_t *counter = (uint64_t *)((uintptr_t)leat_engine_count(s.engine) + balance[i].at);
        ++*counter;
        ck_assert_msg(leat_engine_unaccounted(s.engine) == balance[i].adds, "%s", balance[i].name);
        --*counter;
        ck_assert_int_eq(leat_engine_unaccounted(s.engine), 0);
    }
    story_end(&s);
}
END_TEST

STORY_MAIN("revoke", every_record_that_was_taken_is_accounted_for,
           a_record_that_is_lost_or_doubled_is_noticed,
           a_revoke_waits_for_batches_then_compacts_then_commits,
           a_revoke_commits_what_was_not_told_yet, a_revoke_does_not_wait_for_ever,
           nothing_applied_is_nothing_to_wait_for, a_claim_in_flight_is_waited_for_and_nothing_more,
           unknown_during_a_revoke_ends_it, a_dead_shard_does_not_hold_up_a_revoke,
           lost_drops_at_once_and_says_nothing, drain_revokes_all_and_says_so)
