/* test_keys.c - what becomes of a refused record by its `on_refused`, and the keys that are held.
 */
#include "story.h"

static void begin(story *s, leat_engine_on_refused on_refused, uint32_t slots)
{
    story_begin(s, 1);
    s->config.patience_us = 1000000;
    s->config.compact_every_us = INT64_C(300) * 86400 * 1000000; /* never */
    s->config.dead_letters_per_minute = 100;
    s->on_refused = on_refused;
    s->key = 7;
    story_reading(s, slots);
}

/* The key 7 of 0/5 is held, beginning with offset 10. */
static void begin_held(story *s)
{
    begin(s, LEAT_ENGINE_REFUSED_HOLD, 4);
    story_read(s, 0, 5, 10);
    story_done(s, 0, LEAT_ENGINE_NOT_YET);
    story_done(s, 0, LEAT_ENGINE_APPLIED);
    s->size = 0;
}

START_TEST(a_refused_record_makes_its_key_held_at_once)
{
    story s;
    begin(&s, LEAT_ENGINE_REFUSED_HOLD, 4);
    story_read(&s, 0, 5, 10);
    story_told(&s, "commit 0 at 9\nbatch 0/5:10\n");
    s.key = 8;
    story_read(&s, 0, 5, 11);
    s.key = 7;
    story_read(&s, 0, 5, 12);
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    story_told(&s, "hold 0/5:10\n");
    ck_assert_str_eq(story_job(&s, 0)->batch.hold->message, "because");
    ck_assert_uint_eq(story_job(&s, 0)->batch.records[0].key, 7);
    ck_assert_uint_eq(story_view(&s, 0).stalled, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "held 0/5 at 10\nbatch 0/5:11,~12\n");
    ck_assert_int_eq(s.said.outcome, LEAT_ENGINE_NOT_YET);
    ck_assert_uint_eq(story_job(&s, 0)->batch.kept, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    const leat_engine_counters *count = leat_engine_count(s.engine);
    ck_assert_uint_eq(count->keys_held, 1);
    ck_assert_uint_eq(count->records_kept, 2);
    ck_assert_uint_eq(count->records_applied, 1);
    ck_assert_uint_eq(count->dead_letters, 0);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 1);
    story_end(&s);
}
END_TEST

START_TEST(bad_data_makes_its_key_held_too)
{
    story s;
    begin(&s, LEAT_ENGINE_REFUSED_HOLD, 4);
    story_read(&s, 0, 5, 10);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, "commit 0 at 9\nbatch 0/5:10\nhold 0/5:10\n");
    story_end(&s);
}
END_TEST

START_TEST(drift_is_no_reason_to_hold_a_key)
{
    story s;
    begin(&s, LEAT_ENGINE_REFUSED_HOLD, 4);
    story_read(&s, 0, 5, 10);
    for (int i = 0; i < 5; i++) {
        story_done(&s, 0, LEAT_ENGINE_DRIFT);
        s.size = 0;
        story_wait_for_job(&s);
        story_told(&s, "batch 0/5:10\n");
    }
    story_end(&s);
}
END_TEST

START_TEST(a_hold_that_fails_is_tried_as_a_write_again)
{
    story s;
    begin(&s, LEAT_ENGINE_REFUSED_HOLD, 4);
    story_read(&s, 0, 5, 10);
    story_done(&s, 0, LEAT_ENGINE_NOT_YET);
    story_told(&s, "commit 0 at 9\nbatch 0/5:10\nhold 0/5:10\n");
    story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    story_wait_for_job(&s);
    story_told(&s, "batch 0/5:10\n");
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_claim_tells_which_keys_are_held)
{
    story s;
    begin_held(&s);
    story_slots(&s, 0, 0);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 0);
    static const leat_engine_held held[] = {{.key = 8, .since_ms = 5}};
    s.held = held;
    s.held_count = 1;
    story_slots(&s, 0, 4);
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    s.size = 0;
    story_read(&s, 0, 5, 12);
    story_told(&s, "batch 0/5:12\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.size = 0;
    s.key = 8;
    story_read(&s, 0, 5, 13);
    story_told(&s, "batch 0/5:~13\n");
    story_end(&s);
}
END_TEST

START_TEST(a_key_that_has_turned_has_its_partition_claimed_again)
{
    story s;
    story_begin(&s, 2);
    s.on_refused = LEAT_ENGINE_REFUSED_HOLD;
    story_reading(&s, 1);
    story_read(&s, 0, 1, 1); /* keeps the connection busy */
    story_read(&s, 0, 5, 10);
    story_read(&s, 1, 5, 10);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/5:10 1/5:10\n");
    story_result(&s, 0,
                 &(leat_engine_job_result){
                     .outcome = LEAT_ENGINE_KEY_TURNED, .bad_record = -1, .partition = 0});
    story_told(&s, "pause 0\nclaim 0\n");
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    story_told(&s, "seek 0 from -1\nresume 0\nbatch 1/5:10\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->went_back, 0);
    story_end(&s);
}
END_TEST

START_TEST(with_a_full_set_the_record_waits)
{
    story s;
    story_begin(&s, 1);
    s.config.held_keys_max = 1;
    s.config.compact_every_us = INT64_C(300) * 86400 * 1000000; /* never */
    s.config.dead_letters_per_minute = 100;
    s.on_refused = LEAT_ENGINE_REFUSED_HOLD;
    s.key = 7;
    story_reading(&s, 4);
    story_read(&s, 0, 5, 10);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.key = 8;
    story_read(&s, 0, 5, 11);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    ck_assert(strstr(s.told, "stalled 0/5 at 11"));
    for (int i = 0; i < 5; i++) {
        s.size = 0;
        story_wait_for_job(&s);
        s.told[s.size] = 0;
        ck_assert(strstr(s.told, "batch 0/5:11\n"));
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    }
    ck_assert_uint_eq(story_view(&s, 0).stalled, 1);
    /* Now and then a claim looks whether somebody has let a key go. */
    uint64_t claims = leat_engine_count(s.engine)->claims;
    while (s.now_us < 70 * INT64_C(1000000) && story_view(&s, 0).state == LEAT_ENGINE_READING) {
        story_wait_for_job(&s);
        story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
        s.size = 0;
    }
    ck_assert_int_ge(s.now_us, 60 * INT64_C(1000000));
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    ck_assert_uint_eq(leat_engine_count(s.engine)->claims, claims + 1);
    story_read(&s, 0, 5, 11);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    ck_assert_ptr_nonnull(story_job(&s, 0)->batch.hold);
    story_end(&s);
}
END_TEST

/* One subpartition has its share of the places, and no more: the others' rows are held. What waits
 * for room is told apart from what merely fails. */
START_TEST(a_subpartition_with_its_share_of_keys_waits_alone)
{
    story s;
    leat_engine_trouble troubles[4];
    static const leat_engine_held held[] = {{.key = 3, .subpartition = 5}, {.key = 4}};
    story_begin(&s, 1);
    s.config.held_keys_max = 8;
    s.config.held_keys_each_max = 2;
    s.config.patience_us = 0; /* what is held already is left to people */
    s.config.compact_every_us = INT64_C(300) * 86400 * 1000000; /* never */
    s.on_refused = LEAT_ENGINE_REFUSED_HOLD;
    s.held = held;
    s.held_count = 2;
    story_reading(&s, 4);
    s.key = 7;
    story_read(&s, 0, 5, 10);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.key = 8;
    s.size = 0;
    story_read(&s, 0, 5, 11);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, "batch 0/5:11\nstalled 0/5 at 11\n");
    ck_assert_uint_eq(leat_engine_troubles(s.engine, 0, troubles, 4), 1);
    ck_assert(troubles[0].no_room);
    ck_assert_uint_eq(troubles[0].held_keys, 2);
    ck_assert_str_eq(troubles[0].message, "because");
    s.key = 9;
    story_read(&s, 0, 6, 12);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, "batch 0/6:12\nhold 0/6:12\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 4);
    /* An error that is not about room stands beside it. */
    s.on_refused = LEAT_ENGINE_REFUSED_STOP;
    s.key = 10;
    story_read(&s, 0, 7, 13);
    story_done(&s, s.open_count - 1, LEAT_ENGINE_BAD_DATA);
    ck_assert_uint_eq(leat_engine_troubles(s.engine, 0, troubles, 4), 2);
    ck_assert(troubles[0].no_room && !troubles[1].no_room);
    story_end(&s);
}
END_TEST

/* The caller has no room for what follows of a held key. */
START_TEST(what_cannot_be_kept_waits)
{
    story s;
    leat_engine_trouble trouble;
    begin_held(&s);
    story_load(&s, 0, 5, 11, 11);
    s.key = 8;
    story_load(&s, 0, 5, 12, 12);
    story_settle(&s);
    story_told(&s, "batch 0/5:~11,12\n");
    const leat_engine_job_result full = {.outcome = LEAT_ENGINE_BAD_DATA,
                                         .bad_record = 0,
                                         .partition = -1,
                                         .catalog_read_us = INT64_MAX,
                                         .is_unsent = true,
                                         .no_room = true,
                                         .message = "full"};
    story_result(&s, 0, &full);
    story_told(&s, "batch 0/5:~11\n");
    story_result(&s, 0, &full);
    story_told(&s, "stalled 0/5 at 11\n");
    ck_assert_uint_eq(leat_engine_troubles(s.engine, 0, &trouble, 1), 1);
    ck_assert(trouble.no_room);
    ck_assert_str_eq(trouble.message, "full");
    uint64_t claims = leat_engine_count(s.engine)->claims;
    for (int i = 0; i < 20; i++) {
        story_wait_for_job(&s);
        if (story_job(&s, 0)->kind == LEAT_ENGINE_JOB_LOAD)
            story_done(&s, 0, LEAT_ENGINE_CONTENTION); /* the key's own retry */
        else
            story_result(&s, 0, &full);
    }
    ck_assert_uint_eq(leat_engine_count(s.engine)->claims, claims);
    story_wait_for_job(&s);
    while (story_job(&s, 0)->kind == LEAT_ENGINE_JOB_LOAD) {
        story_done(&s, 0, LEAT_ENGINE_CONTENTION);
        story_wait_for_job(&s);
    }
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(leat_engine_troubles(s.engine, 0, &trouble, 1), 0);
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    story_end(&s);
}
END_TEST

START_TEST(an_error_of_many_is_no_reason_to_look_again)
{
    story s;
    story_begin(&s, 1);
    s.config.held_keys_max = 1;
    s.config.compact_every_us = INT64_C(300) * 86400 * 1000000; /* never */
    s.on_refused = LEAT_ENGINE_REFUSED_HOLD;
    s.key = 7;
    static const leat_engine_held held[] = {{.key = 8, .since_ms = 1000000}};
    s.held = held;
    s.held_count = 1;
    story_reading(&s, 4);
    story_pass(&s, 100 * INT64_C(1000000));
    story_load(&s, 0, 5, 10, 10);
    story_load(&s, 0, 6, 11, 11);
    story_settle(&s);
    ck_assert_uint_eq(story_job(&s, 0)->batch.record_count, 2);
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_READING);
    story_end(&s);
}
END_TEST

START_TEST(more_held_keys_than_can_be_known_stop_the_partition)
{
    story s;
    story_begin(&s, 1);
    s.config.held_keys_max = 1;
    static const leat_engine_held held[] = {{.key = 8}, {.key = 9}};
    s.held = held;
    s.held_count = 2;
    story_reading(&s, 4);
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_STOPPED);
    ck_assert(strstr(story_view(&s, 0).reason, "more of its keys are held in the shard"));
    story_end(&s);
}
END_TEST

START_TEST(under_stop_there_is_no_dead_letter_and_no_end_of_patience)
{
    static const leat_engine_outcome outcomes[] = {LEAT_ENGINE_NOT_YET, LEAT_ENGINE_BAD_DATA};
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        story s;
        begin(&s, LEAT_ENGINE_REFUSED_STOP, 4);
        story_read(&s, 0, 5, 10);
        s.size = 0;
        while (s.now_us < 120 * INT64_C(1000000)) {
            story_done(&s, 0, outcomes[i]);
            story_wait_for_job(&s);
            ck_assert(!story_job(&s, 0)->batch.dead && !story_job(&s, 0)->batch.hold);
        }
        ck_assert(strstr(s.told, "stalled 0/5 at 10"));
        ck_assert_uint_eq(story_view(&s, 0).stalled, 1);
        ck_assert_uint_eq(leat_engine_count(s.engine)->tables_stopped, 0);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
        ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 1);
        story_end(&s);
    }
}
END_TEST

START_TEST(a_kept_record_says_nothing_of_its_table)
{
    story s;
    begin_held(&s);
    leat_engine_table_view before, after;
    leat_engine_table(s.engine, 0, 0, &before);
    for (int64_t offset = 11; offset < 20; offset++) {
        story_read(&s, 0, 5, offset);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    leat_engine_table(s.engine, 0, 0, &after);
    ck_assert_uint_eq(after.decided, before.decided);
    ck_assert_uint_eq(after.refused, 0);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_kept, 10);
    story_end(&s);
}
END_TEST

START_TEST(a_record_that_is_left_out_is_not_kept)
{
    story s;
    begin_held(&s);
    story_read(&s, 0, 5, 12);
    leat_engine_skip(s.engine, story_job(&s, 0)->id, 0);
    ck_assert_uint_eq(story_job(&s, 0)->batch.kept, 0);
    ck_assert(!story_job(&s, 0)->batch.records[0].keep);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_left_out, 1);
    story_end(&s);
}
END_TEST

START_TEST(the_caller_can_have_a_key_held)
{
    story s;
    begin(&s, LEAT_ENGINE_REFUSED_SKIP, 1);
    story_load(&s, 0, 5, 10, 11);
    story_settle(&s);
    story_told(&s, "commit 0 at 9\nbatch 0/5:10,11\n");
    const leat_engine_job_result wish = {.outcome = LEAT_ENGINE_BAD_DATA,
                                         .bad_record = 1,
                                         .partition = -1,
                                         .catalog_read_us = INT64_MAX,
                                         .is_hold = true};
    story_result(&s, 0, &wish);
    story_told(&s, "batch 0/5:10\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "batch 0/5:11\n");
    leat_engine_job_result again = wish;
    again.bad_record = 0;
    story_result(&s, 0, &again);
    story_told(&s, "hold 0/5:11\n");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_read(&s, 0, 5, 12);
    story_told(&s, "held 0/5 at 11\nbatch 0/5:~12\n");
    story_end(&s);
}
END_TEST

START_TEST(a_record_error_is_held_once_it_is_its_own)
{
    story s;
    begin(&s, LEAT_ENGINE_REFUSED_HOLD, 4);
    story_read(&s, 0, 5, 10);
    story_done(&s, 0, LEAT_ENGINE_RECORD_ERROR);
    story_wait_for_job(&s);
    story_done(&s, 0, LEAT_ENGINE_RECORD_ERROR); /* nothing else of its table gets through */
    s.key = 8;
    story_read(&s, 0, 6, 11);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_wait_for_job(&s);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_RECORD_ERROR);
    story_told(&s, "hold 0/5:10\n");
    story_end(&s);
}
END_TEST

STORY_MAIN("keys", a_refused_record_makes_its_key_held_at_once, bad_data_makes_its_key_held_too,
           drift_is_no_reason_to_hold_a_key, a_hold_that_fails_is_tried_as_a_write_again,
           a_claim_tells_which_keys_are_held, a_key_that_has_turned_has_its_partition_claimed_again,
           with_a_full_set_the_record_waits, an_error_of_many_is_no_reason_to_look_again,
           a_subpartition_with_its_share_of_keys_waits_alone, what_cannot_be_kept_waits,
           more_held_keys_than_can_be_known_stop_the_partition,
           under_stop_there_is_no_dead_letter_and_no_end_of_patience,
           a_kept_record_says_nothing_of_its_table, a_record_that_is_left_out_is_not_kept,
           the_caller_can_have_a_key_held, a_record_error_is_held_once_it_is_its_own)
