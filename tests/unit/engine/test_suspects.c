/* Records that end their session: found, named, tried apart and with pauses, while others go on. */
#include "story.h"

#include "engine/retry.h"

/* The claim that is next finds that, under a token of its own. */
static void claim_again(story *s, const leat_engine_progress *found)
{
    while (s->open_count == 0 || story_job(s, s->open_count - 1)->kind != LEAT_ENGINE_JOB_CLAIM)
        story_wait(s);
    leat_engine_progress progress = *found;
    progress.claim = (leat_engine_claim){{++s->claims}};
    story_claimed(s, s->open_count - 1, &progress);
}

/* The outcome of the n-th job is unknown, and the claim that follows finds nothing of it. */
static void end_session(story *s, uint32_t n, const leat_engine_progress *found)
{
    story_done(s, n, LEAT_ENGINE_UNKNOWN);
    claim_again(s, found);
    s->size = 0;
}

START_TEST(the_third_try_is_by_subpartition_and_the_one_is_named)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = INT64_C(86400000000);
    story_reading(&s, 2);
    leat_engine_progress nothing = story_nothing(&s);
    for (int i = 0; i < 2; i++) {
        story_load(&s, 0, 1, 0, 3);
        story_load(&s, 0, 2, 4, 5);
        story_settle(&s);
        story_told(&s, "batch 0/1:0,1,2,3 0/2:4,5\n");
        end_session(&s, 0, &nothing);
    }
    story_load(&s, 0, 1, 0, 3);
    story_load(&s, 0, 2, 4, 5);
    story_load(&s, 0, 3, 6, 6);
    story_settle(&s);
    story_told(&s, "batch 0/3:6\n"); /* not suspected: at once */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.size = 0;
    story_wait_for_job(&s);
    story_pass(&s, 1000000);
    ck_assert_uint_eq(s.open_count, 1); /* one trial at a time, though a slot is free */
    bool second_first = story_job(&s, 0)->batch.records[0].subpartition == 2;
    if (!second_first) /* either may be first: the pauses are jittered */
        end_session(&s, 0, &nothing);
    else
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_end(&s);
}
END_TEST

START_TEST(a_suspect_is_halved_out_and_named_and_stays_known_over_claims)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    leat_engine_progress nothing = story_nothing(&s);
    static const char *const tries[] = {"batch 0/1:0,1,2,3\n", "batch 0/1:0,1,2,3\n",
                                        "batch 0/1:0,1\n", "batch 0/1:0\n", "batch 0/1:0\n"};
    for (size_t i = 0; i < 5; i++) {
        story_load(&s, 0, 1, 0, 3);
        story_settle(&s);
        story_wait_for_job(&s);
        story_told(&s, tries[i]);
        if (i < 4) {
            end_session(&s, 0, &nothing);
            continue;
        }
        story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
        story_told(&s, "pause 0\nstalled 0/1 at 0\n");
        ck_assert_int_eq(s.said.outcome, LEAT_ENGINE_UNKNOWN);
    }
    claim_again(&s, &nothing);
    s.size = 0;
    story_load(&s, 0, 1, 0, 3);
    story_load(&s, 0, 2, 4, 4);
    story_settle(&s);
    story_told(&s, "batch 0/2:4\n");
    ck_assert_uint_eq(story_view(&s, 0).stalled, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_wait_for_job(&s);
    story_told(&s, "batch 0/1:0\n"); /* mended: nothing is left of it */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 1);
    ck_assert_uint_eq(story_job(&s, 0)->batch.record_count, 3);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(story_view(&s, 0).records, 0);
    story_end(&s);
}
END_TEST

START_TEST(what_was_committed_is_no_suspect)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    leat_engine_progress progress = story_nothing(&s);
    for (int64_t i = 0; i < 6; i++) {
        story_read(&s, 0, 1, i);
        story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
        int16_t subpartition = 1;
        ck_assert_int_eq(
            leat_engine_progress_row(&progress, i + 1, &subpartition, &i, 1, 1000 + i, -1), 0);
        claim_again(&s, &progress);
    }
    s.told[s.size] = 0;
    ck_assert_ptr_null(strstr(s.told, "stalled"));
    story_end(&s);
}
END_TEST

/* A server that starts anew answers for several batches at once, of which only the first is not
 * stale. */
START_TEST(stale_ones_count_too)
{
    story s;
    story_begin(&s, 1);
    s.config.batch_records_max = 1;
    story_reading(&s, 2);
    leat_engine_progress nothing = story_nothing(&s);
    for (int i = 0; i < 2; i++) {
        story_load(&s, 0, 1, 0, 0);
        story_load(&s, 0, 2, 1, 1);
        story_settle(&s);
        while (s.open_count < 2)
            story_wait(&s);
        story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
        end_session(&s, 0, &nothing);
    }
    story_load(&s, 0, 1, 0, 0);
    story_load(&s, 0, 2, 1, 1);
    story_settle(&s);
    ck_assert_uint_eq(s.open_count, 0); /* both wait, for a trial each */
    ck_assert_uint_eq(story_view(&s, 0).stalled, 2);
    story_end(&s);
}
END_TEST

/* Subpartition 1, of offset 0, has ended so many sessions and is on trial. The partition takes a
 * second to be read again, up to offset 9. Returns how long nothing runs after that. */
static int64_t pause_after_reading(story *s, int sessions, int64_t *took_us)
{
    story_begin(s, 1);
    story_reading(s, 1);
    leat_engine_progress progress = story_nothing(s);
    for (int i = 0; i < sessions; i++) {
        story_load(s, 0, 1, 0, 0);
        story_load(s, 0, 2, 1, 9);
        story_settle(s);
        story_wait_for_job(s);
        s->size = 0;
        end_session(s, 0, &progress);
    }
    int64_t begun_us = s->now_us;
    story_load(s, 0, 1, 0, 0);
    for (int64_t offset = 1; offset < 10; offset++) {
        story_pass(s, 100000);
        ck_assert_uint_eq(s->open_count, 0);
        story_read(s, 0, 3, offset);
        story_settle(s);
        if (s->open_count > 0)
            story_done(s, 0, LEAT_ENGINE_APPLIED);
        s->size = 0;
    }
    *took_us = s->now_us - begun_us;
    begun_us = s->now_us;
    story_wait_for_job(s);
    story_told(s, "batch 0/1:0\n");
    int64_t pause_us = s->now_us - begun_us;
    story_done(s, 0, LEAT_ENGINE_APPLIED);
    story_end(s);
    return pause_us;
}

/* The low water is before a suspect, so each of its claims has more read again: that must not
 * become all that is done. */
START_TEST(what_a_trial_has_read_again_is_a_small_part_of_the_time)
{
    story s;
    int64_t took_us;
    ck_assert_int_ge(pause_after_reading(&s, 3, &took_us), 4 * took_us);
}
END_TEST

/* As when another worker's record takes the server down. */
START_TEST(what_no_trial_has_read_again_delays_none)
{
    story s;
    int64_t took_us;
    ck_assert_int_lt(pause_after_reading(&s, 2, &took_us), took_us);
}
END_TEST

/* Subpartitions 1 and 5 have ended the same sessions, and are on trial. That of 5 is parked, and
 * was found by the last claim, with so many bytes. Nothing is read again yet. Told: nothing. */
static void parked_suspect(story *s, uint32_t slots, uint64_t bytes)
{
    static const uint64_t room_to_park[] = {1000};
    story_begin(s, 1);
    s->config.parked_max_bytes = room_to_park;
    story_reading(s, slots);
    leat_engine_progress progress = story_nothing(s);
    for (int i = 0; i < 2; i++) {
        story_load(s, 0, 1, 0, 0);
        story_load(s, 0, 5, 1, 1);
        story_settle(s);
        story_wait_for_job(s);
        story_told(s, "batch 0/1:0 0/5:1\n");
        if (i == 0)
            end_session(s, 0, &progress);
        else
            story_done(s, 0, LEAT_ENGINE_UNKNOWN);
    }
    story_wait_for_job(s);
    progress.claim = (leat_engine_claim){{++s->claims}};
    progress.offsets[5] = 1;
    leat_engine_parked parked = {.subpartition = 5,
                                 .chunks = 1,
                                 .first_offset = 1,
                                 .done = 0,
                                 .last_offset = 1,
                                 .records = 1,
                                 .bytes = bytes,
                                 .oldest_ms = 1};
    story_result(s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .progress = &progress,
                                           .parked = &parked,
                                           .parked_count = 1});
    s->size = 0;
}

START_TEST(a_parked_suspect_is_loaded_before_the_next_trial)
{
    story s;
    parked_suspect(&s, 2, 10);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 5, 1);
    s.size = 0;
    story_pass(&s, 60000000);
    story_told(&s, "load 0/5 above -1\n");
    story_loaded(&s, 0, 1, 1, 0);
    ck_assert_uint_eq(s.open_count, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(story_view(&s, 0).parked_subpartitions, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_revoke_gives_up_the_load_of_a_suspect)
{
    story s;
    parked_suspect(&s, 1, 10);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 5, 1);
    story_read(&s, 0, 3, 2);
    story_pass(&s, 60000000); /* the slot is taken: the load waits */
    story_told(&s, "batch 0/3:2\n");
    story_revoked(&s, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "pause 0\ncompact 0 to 1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "revoked 0\n");
    story_end(&s);
}
END_TEST

/* A claim finds one record parked in each of these: offset 100 in subpartition 10, ... */
static void claim_parked(story *s, const leat_engine_progress *found, uint16_t count)
{
    leat_engine_parked parked[50];
    ck_assert_uint_le(count, 50);
    leat_engine_progress progress = *found;
    progress.claim = (leat_engine_claim){{++s->claims}};
    for (uint16_t i = 0; i < count; i++) {
        progress.offsets[10 + i] = 100 + i;
        parked[i] = (leat_engine_parked){.subpartition = 10 + i,
                                         .chunks = 1,
                                         .first_offset = 100 + i,
                                         .done = 99 + i,
                                         .last_offset = 100 + i,
                                         .records = 1,
                                         .bytes = 10,
                                         .oldest_ms = 1};
    }
    story_result(s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .progress = &progress,
                                           .parked = parked,
                                           .parked_count = count});
}

static bool is_of_subpartition_1(const leat_engine_job *job)
{
    return job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.records[0].subpartition == 1;
}

START_TEST(after_a_trial_what_is_parked_has_time_for_more_than_one_try)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    leat_engine_progress progress = story_nothing(&s);
    for (int i = 0; i < 3; i++) {
        story_load(&s, 0, 1, 0, 0);
        story_load(&s, 0, 2, 1, 1);
        story_settle(&s);
        story_wait_for_job(&s);
        if (i < 2)
            end_session(&s, 0, &progress);
    }
    story_told(&s, "batch 0/1:0\n"); /* the trial */
    story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
    story_wait_for_job(&s);
    int64_t begun_us = s.now_us;
    claim_parked(&s, &progress, 50);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 2, 1);
    story_wait_for_job(&s);
    while (!is_of_subpartition_1(story_job(&s, 0))) {
        const leat_engine_job *job = story_job(&s, 0);
        int64_t offset = 90 + job->load.subpartition;
        if (job->kind == LEAT_ENGINE_JOB_LOAD)
            story_loaded(&s, 0, offset, offset, offset - 1);
        else
            story_done(&s, 0, LEAT_ENGINE_APPLIED);
        story_wait_for_job(&s);
        s.size = 0;
    }
    ck_assert_int_ge(s.now_us - begun_us, 2 * 50 * s.config.retry_min_us);
    story_end(&s);
}
END_TEST

/* Subpartition 1 is on trial and ends its session; until then the others are answered like that.
 * Returns how long after the claim the next trial is. */
static int64_t next_trial_us(story *s, leat_engine_outcome of_others)
{
    story_begin(s, 1);
    story_reading(s, 1);
    leat_engine_progress progress = story_nothing(s);
    for (int i = 0; i < 2; i++) {
        story_load(s, 0, 1, 0, 0);
        story_load(s, 0, 2, 1, 1);
        story_settle(s);
        story_wait_for_job(s);
        end_session(s, 0, &progress);
    }
    int64_t claimed_us = 0;
    for (int i = 0; i < 2; i++) {
        story_load(s, 0, 1, 0, 0);
        story_load(s, 0, 2, 1, 1);
        story_load(s, 0, 3, 2, 2);
        story_settle(s);
        story_wait_for_job(s);
        while (!is_of_subpartition_1(story_job(s, 0))) {
            story_done(s, 0, of_others);
            story_wait_for_job(s);
        }
        s->size = 0;
        if (i > 0)
            break;
        story_done(s, 0, LEAT_ENGINE_UNKNOWN);
        story_wait_for_job(s);
        claimed_us = s->now_us;
        claim_again(s, &progress);
    }
    story_end(s);
    return s->now_us - claimed_us;
}

START_TEST(after_a_trial_a_refused_record_has_time_for_its_last_try)
{
    story s;
    int64_t last_call_us = leat_retry_last_call_us(20000, 10000000);
    ck_assert_int_eq(last_call_us, 320000);
    ck_assert_int_ge(next_trial_us(&s, LEAT_ENGINE_NOT_YET), last_call_us);
    ck_assert_int_lt(next_trial_us(&s, LEAT_ENGINE_APPLIED), last_call_us);
}
END_TEST

START_TEST(parked_suspects_take_turns_though_each_trial_drops_what_is_loaded)
{
    story s;
    story_begin(&s, 1);
    s.config.retry_max_us = s.config.retry_min_us;
    story_reading(&s, 1);
    leat_engine_progress progress = story_nothing(&s);
    for (int i = 0; i < 2; i++) {
        story_load(&s, 0, 10, 100, 100);
        story_load(&s, 0, 11, 101, 101);
        story_settle(&s);
        story_wait_for_job(&s);
        if (i == 0)
            end_session(&s, 0, &progress);
    }
    uint32_t tried[2] = {0};
    for (int i = 0; i < 8; i++) {
        story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
        story_wait_for_job(&s);
        claim_parked(&s, &progress, 2);
        story_read(&s, 0, 10, 100);
        story_read(&s, 0, 11, 101);
        story_wait_for_job(&s);
        uint32_t which = story_job(&s, 0)->load.subpartition - 10u;
        ck_assert_uint_lt(which, 2);
        tried[which]++;
        story_loaded(&s, 0, 100 + which, 100 + which, 99 + which);
        ck_assert_int_eq(story_job(&s, 0)->kind, LEAT_ENGINE_JOB_BATCH);
        s.size = 0;
    }
    ck_assert_uint_eq(tried[0], 4);
    ck_assert_uint_eq(tried[1], 4);
    story_end(&s);
}
END_TEST

/* It goes on only when less is parked. */
START_TEST(a_partition_that_is_not_read_because_it_is_full_holds_up_no_trial)
{
    story s;
    parked_suspect(&s, 1, 10000);
    story_read(&s, 0, 1, 0); /* was on its way */
    s.size = 0;
    story_pass(&s, 30000000);
    story_told(&s, "load 0/5 above -1\n");
    story_end(&s);
}
END_TEST

STORY_MAIN("suspects", the_third_try_is_by_subpartition_and_the_one_is_named,
           a_suspect_is_halved_out_and_named_and_stays_known_over_claims,
           what_was_committed_is_no_suspect, stale_ones_count_too,
           what_a_trial_has_read_again_is_a_small_part_of_the_time,
           what_no_trial_has_read_again_delays_none,
           a_parked_suspect_is_loaded_before_the_next_trial,
           a_revoke_gives_up_the_load_of_a_suspect,
           after_a_trial_what_is_parked_has_time_for_more_than_one_try,
           after_a_trial_a_refused_record_has_time_for_its_last_try,
           parked_suspects_take_turns_though_each_trial_drops_what_is_loaded,
           a_partition_that_is_not_read_because_it_is_full_holds_up_no_trial)
