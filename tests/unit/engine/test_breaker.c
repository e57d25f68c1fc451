/* A shard that answers everything with an outage. */
#include "story.h"

enum { QUEUES = 12, SLOTS = 8 };

static void begin(story *s)
{
    story_begin(s, 1);
    s->config.retry_min_us = 100000;
    s->config.retry_max_us = 1600000;
    s->config.batch_records_max = 1;
    story_reading(s, SLOTS);
    for (uint32_t i = 0; i < QUEUES; i++)
        story_read(s, 0, i, i);
    ck_assert_uint_eq(s->open_count, SLOTS);
    s->size = 0;
}

static bool is_open(story *s)
{
    leat_engine_shard_view view;
    leat_engine_shard(s->engine, 0, &view);
    return view.is_open;
}

/* Five outages in a row open it; nothing runs then. */
static void open_it(story *s)
{
    for (int i = 0; i < 5; i++) {
        ck_assert(!is_open(s));
        story_done(s, 0, LEAT_ENGINE_OUTAGE);
    }
    ck_assert(is_open(s));
    while (s->open_count > 0)
        story_done(s, 0, LEAT_ENGINE_OUTAGE);
    s->size = 0;
}

START_TEST(after_five_outages_in_a_row_one_job_runs_at_a_time)
{
    story s;
    begin(&s);
    open_it(&s);
    int64_t before_us = s.now_us;
    for (int i = 0; i < 6; i++) {
        story_wait_for_job(&s);
        ck_assert_uint_eq(s.open_count, 1);
        ck_assert_int_ge(s.now_us - before_us, 50000);
        before_us = s.now_us;
        story_done(&s, 0, LEAT_ENGINE_OUTAGE);
        ck_assert_uint_eq(s.open_count, 0);
    }
    ck_assert(is_open(&s));
    story_end(&s);
}
END_TEST

START_TEST(any_other_answer_closes_it)
{
    static const leat_engine_outcome answers[] = {LEAT_ENGINE_APPLIED, LEAT_ENGINE_CONTENTION};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        story s;
        begin(&s);
        open_it(&s);
        story_wait_for_job(&s);
        story_done(&s, 0, answers[i]);
        ck_assert(!is_open(&s));
        for (int waits = 0; s.open_count < 2; waits++) {
            ck_assert_int_lt(waits, 100);
            story_wait(&s);
        }
        story_end(&s);
    }
}
END_TEST

START_TEST(what_was_not_sent_says_nothing)
{
    story s;
    begin(&s);
    open_it(&s);
    story_wait_for_job(&s);
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_BAD_DATA,
                                           .bad_record = 0,
                                           .partition = -1,
                                           .catalog_read_us = INT64_MAX,
                                           .is_hold = true,
                                           .is_unsent = true});
    ck_assert(is_open(&s));
    ck_assert_uint_eq(s.open_count, 1); /* the next one has the turn */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert(!is_open(&s));
    story_end(&s);
}
END_TEST

START_TEST(one_that_passes_in_between_keeps_it_closed)
{
    story s;
    begin(&s);
    for (int i = 0; i < 4; i++)
        story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    for (int i = 0; i < 4; i++)
        story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    ck_assert(!is_open(&s));
    story_end(&s);
}
END_TEST

START_TEST(without_a_connection_it_is_forgotten)
{
    story s;
    begin(&s);
    open_it(&s);
    story_slots(&s, 0, 0);
    ck_assert(!is_open(&s));
    story_slots(&s, 0, 1);
    s.told[s.size] = 0;
    ck_assert_ptr_nonnull(strstr(s.told, "claim 0"));
    story_end(&s);
}
END_TEST

START_TEST(a_partition_is_given_back_without_asking_a_database_that_is_unwell)
{
    story s;
    begin(&s);
    story_done(&s, SLOTS - 1, LEAT_ENGINE_APPLIED);
    s.size = 0;
    open_it(&s);
    story_revoked(&s, 0);
    s.told[s.size] = 0;
    ck_assert_ptr_nonnull(strstr(s.told, "revoked 0"));
    story_end(&s);
}
END_TEST

STORY_MAIN("breaker", after_five_outages_in_a_row_one_job_runs_at_a_time,
           any_other_answer_closes_it, what_was_not_sent_says_nothing,
           one_that_passes_in_between_keeps_it_closed, without_a_connection_it_is_forgotten,
           a_partition_is_given_back_without_asking_a_database_that_is_unwell)
