/* Dead letters: one by one, in order, and not too many of one table. */
#include "story.h"

START_TEST(a_dead_letter_is_kept_and_the_next_goes_on)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_load(&s, 0, 1, 0, 1);
    story_settle(&s);
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_BAD_DATA,
                                           .bad_record = 0,
                                           .catalog_read_us = INT64_MAX});
    story_told(&s, "batch 0/1:0,1\nbatch 0/1:0\n");
    ck_assert_ptr_null(story_job(&s, 0)->batch.dead);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, "bury 0/1:0\n");
    ck_assert_str_eq(story_job(&s, 0)->batch.dead->sqlstate, "22003");
    ck_assert_str_eq(story_job(&s, 0)->batch.dead->message, "because");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\ndead 0/1 at 0\nbatch 0/1:1\n");
    ck_assert_int_eq(s.said.outcome, LEAT_ENGINE_BAD_DATA);
    ck_assert_str_eq(s.said.sqlstate, "22003");
    ck_assert_str_eq(s.said.message, "because");
    ck_assert_ptr_null(story_job(&s, 0)->batch.dead);
    const leat_engine_counters *count = leat_engine_count(s.engine);
    ck_assert_uint_eq(count->dead_letters, 1);
    ck_assert_uint_eq(count->records_applied, 0);
    ck_assert_uint_eq(count->batches_applied, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_dead_letter_that_cannot_be_written_is_asked_again)
{
    static const leat_engine_outcome failures[] = {LEAT_ENGINE_CONTENTION, LEAT_ENGINE_OUTAGE,
                                                   LEAT_ENGINE_BAD_DATA, LEAT_ENGINE_DRIFT,
                                                   LEAT_ENGINE_NOT_UNDERSTOOD};
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        story s;
        story_begin(&s, 1);
        story_reading(&s, 1);
        story_read(&s, 0, 1, 0);
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
        story_told(&s, "batch 0/1:0\nbury 0/1:0\n");
        story_done(&s, 0, failures[i]);
        s.size = 0;
        /* Still refused: a fresh verdict. */
        story_wait(&s);
        story_told(&s, "batch 0/1:0\n");
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
        story_told(&s, "bury 0/1:0\n");
        story_done(&s, 0, failures[i]);
        s.size = 0;
        /* No longer refused: nothing died. */
        story_wait(&s);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
        story_told(&s, "batch 0/1:0\ncommit 0 at 0\n");
        ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
        ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 1);
        story_end(&s);
    }
}
END_TEST

/* Where letters cannot be written at all, each attempt waits longer and is said once a minute. */
START_TEST(a_dead_letter_that_is_never_taken_is_said_and_does_not_spin)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    uint32_t rounds = 0, said = 0;
    for (; s.now_us < INT64_C(120) * 1000000; rounds++) {
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
        story_done(&s, 0, LEAT_ENGINE_DRIFT);
        s.told[s.size] = 0;
        said += strstr(s.told, "stalled 0/1 at 0") != NULL;
        s.size = 0;
        story_wait(&s);
    }
    ck_assert_uint_lt(rounds, 60);
    ck_assert_uint_le(said, 3);
    ck_assert_uint_ge(said, 2);
    story_end(&s);
}
END_TEST

/* Two are condemned, and one connection: the second letter waits behind the first, which meets an
 * outage. */
START_TEST(a_verdict_that_has_waited_through_trouble_is_asked_again)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 2, 1);
    story_told(&s, "batch 0/1:0\nbatch 0/2:1\n");
    story_slots(&s, 0, 1);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, ""); /* no connection is free */
    story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    story_told(&s, "batch 0/1:0\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_verdict_that_has_waited_through_a_halt_is_asked_again)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_read(&s, 0, 2, 1);
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA); /* it was under way when the shard halted */
    story_told(&s, "");
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\ncommit 0 at 0\nbatch 0/2:1\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    story_end(&s);
}
END_TEST

/* The minute's count is of letters, not of attempts at them. */
START_TEST(a_verdict_that_is_taken_back_does_not_count)
{
    story s;
    story_begin(&s, 1);
    s.config.dead_letters_per_minute = 1;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    for (int i = 0; i < 3; i++) {
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
        story_done(&s, 0, LEAT_ENGINE_OUTAGE);
        story_wait(&s);
    }
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    s.size = 0;
    story_lost(&s, 0);
    story_assigned(&s, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED); /* the old letter, stale */
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    s.size = 0;
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/1:0\nbury 0/1:0\ncommit 0 at 0\ndead 0/1 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
    story_end(&s);
}
END_TEST

/* Patience is over, and the letter meets an outage: what it lacked may have come meanwhile, and has
 * time to. */
START_TEST(patience_begins_anew_when_its_letter_meets_an_outage)
{
    story s;
    story_begin(&s, 1);
    s.config.patience_us = 1000000;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    do {
        story_wait(&s);
        story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    } while (s.open_count == 0);
    ck_assert_ptr_nonnull(story_job(&s, 0)->batch.dead);
    story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    s.size = 0;
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    story_told(&s, "batch 0/1:0\n"); /* not dead at once */
    story_end(&s);
}
END_TEST

/* Until then all that runs is refused for now. */
static void refuse_until(story *s, int64_t until_us)
{
    while (leat_engine_deadline(s->engine) <= until_us) {
        story_wait(s);
        while (s->open_count > 0)
            story_done(s, 0, LEAT_ENGINE_NOT_YET);
    }
    story_pass(s, until_us - s->now_us);
    s->size = 0;
}

/* A value goes from row to row: the second write waits for the first, which itself has waited for
 * nearly too long. */
START_TEST(what_waits_for_what_waits_has_time_when_that_comes)
{
    story s;
    story_begin(&s, 2);
    s.config.patience_us = 1000000;
    story_reading(&s, 4);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    story_pass(&s, 1);
    story_read(&s, 1, 2, 0);
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    refuse_until(&s, 900000);
    story_wait_for_job(&s);
    story_told(&s, story_job(&s, 0)->batch.records[0].partition == 0 ? "batch 0/1:0\n"
                                                                     : "batch 1/2:0\n");
    if (story_job(&s, 0)->batch.records[0].partition == 1) {
        story_done(&s, 0, LEAT_ENGINE_NOT_YET);
        story_wait_for_job(&s);
    }
    int64_t applied_us = s.now_us;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    /* at once, not when its back-off is over, nor only when somebody looks at the time */
    ck_assert_uint_eq(s.open_count, 1);
    ck_assert_int_eq(story_job(&s, 0)->batch.records[0].partition, 1);
    s.now_us += 500000;
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    refuse_until(&s, applied_us + 999000);
    ck_assert_uint_eq(s.open_count, 0); /* no letter */
    story_end(&s);
}
END_TEST

/* It was read first and its turn has not come: it may bring what the other lacks, however long that
 * takes. */
START_TEST(patience_does_not_begin_before_what_was_read_earlier)
{
    story s;
    story_begin(&s, 2);
    s.config.patience_us = 1000000;
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0); /* in flight all the time */
    story_pass(&s, 1);
    story_read(&s, 1, 2, 0);
    story_done(&s, 1, LEAT_ENGINE_NOT_YET);
    while (s.now_us < 5000000) {
        story_wait(&s);
        if (s.open_count > 1)
            story_done(&s, 1, LEAT_ENGINE_NOT_YET);
        ck_assert(s.open_count == 1);
    }
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    int64_t applied_us = s.now_us;
    s.size = 0;
    while (!(s.open_count > 0 && story_job(&s, 0)->kind == LEAT_ENGINE_JOB_BATCH &&
             story_job(&s, 0)->batch.dead)) {
        ck_assert_int_lt(s.now_us, applied_us + 60000000);
        if (s.open_count > 0)
            story_done(&s, 0,
                       story_job(&s, 0)->kind == LEAT_ENGINE_JOB_BATCH ? LEAT_ENGINE_NOT_YET
                                                                       : LEAT_ENGINE_APPLIED);
        else
            story_wait(&s);
    }
    ck_assert_int_ge(s.now_us, applied_us);
    story_end(&s);
}
END_TEST

/* Nor does it wait indefinitely: later waits of others do not count. */
START_TEST(what_has_waited_longest_has_no_more_patience_for_others)
{
    story s;
    story_begin(&s, 2);
    s.config.patience_us = 1000000;
    story_reading(&s, 4);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    int64_t other = 0;
    while (!(s.open_count > 0 && story_job(&s, 0)->batch.dead)) {
        ck_assert_int_lt(s.now_us, 2000000);
        if (s.open_count == 0 && leat_engine_deadline(s.engine) > s.now_us + 50000) {
            /* Another one waits for a moment, and is applied. */
            story_pass(&s, 10000);
            story_read(&s, 1, 2, other++);
            story_done(&s, 0, LEAT_ENGINE_NOT_YET);
        }
        story_wait(&s);
        if (s.open_count > 0 && story_job(&s, 0)->kind == LEAT_ENGINE_JOB_BATCH &&
            !story_job(&s, 0)->batch.dead)
            story_done(&s, 0,
                       story_job(&s, 0)->batch.records[0].partition == 0 ? LEAT_ENGINE_NOT_YET
                                                                         : LEAT_ENGINE_APPLIED);
    }
    ck_assert_int_gt(other, 2);
    story_end(&s);
}
END_TEST

START_TEST(a_claim_judges_anew_and_an_old_dead_letter_keeps_its_reason)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 2);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    const leat_engine_job *old = story_job(&s, 0);
    story_lost(&s, 0);
    story_assigned(&s, 0);
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 1, &progress);
    s.size = 0;
    story_read(&s, 0, 1, 0);
    story_told(&s, "batch 0/1:0\n");
    story_result(&s, 1,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_BAD_DATA,
                                           .catalog_read_us = INT64_MAX,
                                           .message = "other"});
    story_told(&s, "bury 0/1:0\n");
    ck_assert_str_eq(old->batch.dead->message, "because");
    ck_assert_str_eq(story_job(&s, 1)->batch.dead->message, "other");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "");
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    story_end(&s);
}
END_TEST

/* A record for each of that many subpartitions of the table; all are refused. */
static void refuse(story *s, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        story_read(s, 0, i, i);
        story_done(s, s->open_count - 1, LEAT_ENGINE_BAD_DATA);
    }
}

START_TEST(too_many_stop_their_table_until_one_is_applied_after_all)
{
    story s;
    story_begin(&s, 1);
    s.config.table_count = 2;
    s.config.dead_letters_per_minute = 1;
    story_reading(&s, 1);
    refuse(&s, 0, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/0:0\nbury 0/0:0\ncommit 0 at 0\ndead 0/0 at 0\n");
    refuse(&s, 1, 2);
    story_told(&s,
               "batch 0/1:1\ntable 0 stopped\nstalled 0/1 at 1\nbatch 0/2:2\nstalled 0/2 at 2\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 1);
    /* Other tables have a count of their own; good records go on. */
    s.table = 1;
    refuse(&s, 3, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.table = 0;
    story_read(&s, 0, 4, 4);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/3:3\nbury 0/3:3\ndead 0/3 at 3\nbatch 0/4:4\n");
    /* Held indefinitely: no minute ends that. */
    story_pass(&s, 100000000);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 2);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
    s.size = 0;
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    s.told[s.size] = 0;
    ck_assert_ptr_nonnull(strstr(s.told, "bury")); /* the count has started again */
    story_end(&s);
}
END_TEST

/* Each of `count` records in a subpartition of its own; every `bad`-th is refused. How many become
 * letters? */
static uint32_t letters_of(story *s, uint32_t count, uint32_t bad)
{
    uint64_t before = leat_engine_count(s->engine)->dead_letters;
    int64_t offset = story_view(s, 0).position > 0 ? story_view(s, 0).position : 0;
    for (uint32_t i = 0; i < count; i++, offset++) {
        story_read(s, 0, i % 60, offset);
        if (i % bad == 0 && s->open_count > 0)
            story_done(s, s->open_count - 1, LEAT_ENGINE_BAD_DATA);
        if (s->open_count > 0)
            story_done(s, s->open_count - 1, LEAT_ENGINE_APPLIED);
        s->size = 0;
    }
    return (uint32_t)(leat_engine_count(s->engine)->dead_letters - before);
}

START_TEST(a_small_share_is_bad_data_however_many_that_are)
{
    story s;
    story_begin(&s, 1);
    s.config.table_count = 2;
    s.config.dead_letters_per_minute = 1;
    s.config.dead_letters_percent = 20;
    s.config.commit_every_us = s.config.compact_every_us = INT64_C(86400) * 1000000;
    story_reading(&s, 1);
    ck_assert_uint_eq(letters_of(&s, 5000, 50), 100);
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
    leat_engine_table_view view;
    leat_engine_table(s.engine, 0, 0, &view);
    ck_assert_uint_ge(view.decided, 500);
    ck_assert_uint_eq(view.refused, (view.decided + 25) / 50);
    /* Then the table takes no more: earlier good ones do not count indefinitely. */
    uint32_t given_up = letters_of(&s, 59, 1);
    ck_assert_uint_eq(given_up, 59);
    given_up += letters_of(&s, 1000, 1);
    ck_assert_uint_ge(given_up, view.decided / 10);
    ck_assert_uint_le(given_up, 500);
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 1);
    leat_engine_table(s.engine, 0, 0, &view);
    ck_assert(view.stopped && view.held > 0 && 100 * view.refused >= 19 * view.decided);
    leat_engine_table(s.engine, 0, 1, &view);
    ck_assert(!view.stopped && view.decided == 0);
    story_end(&s);
}
END_TEST

START_TEST(a_minute_later_there_are_more)
{
    story s;
    story_begin(&s, 1);
    s.config.dead_letters_per_minute = 1;
    story_reading(&s, 2);
    refuse(&s, 0, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 60000000);
    s.size = 0;
    refuse(&s, 1, 1);
    story_told(&s, "batch 0/1:1\nbury 0/1:1\n");
    story_end(&s);
}
END_TEST

START_TEST(a_table_that_holds_nothing_any_more_is_not_stopped)
{
    story s;
    story_begin(&s, 1);
    s.config.dead_letters_per_minute = 1;
    story_reading(&s, 1);
    refuse(&s, 0, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    refuse(&s, 1, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 1);
    story_lost(&s, 0);
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
    story_end(&s);
}
END_TEST

START_TEST(none_at_all_when_none_are_allowed)
{
    story s;
    story_begin(&s, 1);
    s.config.dead_letters_per_minute = 0;
    story_reading(&s, 1);
    refuse(&s, 0, 1);
    story_told(&s, "batch 0/0:0\nstalled 0/0 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
    story_wait(&s);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/0:0\ncommit 0 at 0\n");
    story_end(&s);
}
END_TEST

STORY_MAIN("guard", a_dead_letter_is_kept_and_the_next_goes_on,
           a_dead_letter_that_cannot_be_written_is_asked_again,
           a_dead_letter_that_is_never_taken_is_said_and_does_not_spin,
           a_verdict_that_has_waited_through_trouble_is_asked_again,
           a_verdict_that_has_waited_through_a_halt_is_asked_again,
           a_verdict_that_is_taken_back_does_not_count,
           patience_begins_anew_when_its_letter_meets_an_outage,
           what_waits_for_what_waits_has_time_when_that_comes,
           patience_does_not_begin_before_what_was_read_earlier,
           what_has_waited_longest_has_no_more_patience_for_others,
           a_claim_judges_anew_and_an_old_dead_letter_keeps_its_reason,
           too_many_stop_their_table_until_one_is_applied_after_all,
           a_small_share_is_bad_data_however_many_that_are, a_minute_later_there_are_more,
           a_table_that_holds_nothing_any_more_is_not_stopped, none_at_all_when_none_are_allowed)
