/* test_key_retry.c - the owner's retries of held keys. */
#include "story.h"

#define SECOND INT64_C(1000000)

static leat_engine_record records[16];

/* The job, a load of a held key, brings these records of the subpartition. */
static uint32_t loaded(story *s, uint32_t n, uint32_t subpartition, int64_t first, int64_t last)
{
    const leat_engine_job *job = story_job(s, n);
    ck_assert(job->kind == LEAT_ENGINE_JOB_LOAD && job->load.key != 0);
    uint32_t count = 0;
    for (int64_t offset = first; offset <= last; offset++)
        records[count++] = (leat_engine_record){.partition = job->partition,
                                                .offset = offset,
                                                .accepted_ms = 1000 + offset,
                                                .epoch = -1,
                                                .subpartition = subpartition,
                                                .key = job->load.key,
                                                .on_refused = LEAT_ENGINE_REFUSED_HOLD,
                                                .bytes = 10,
                                                .payload = s};
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .loaded = records,
                                           .loaded_count = count});
    return count;
}

static void done(story *s, leat_engine_outcome outcome, bool is_held)
{
    story_result(s, 0,
                 &(leat_engine_job_result){.outcome = outcome,
                                           .bad_record = -1,
                                           .partition = 0,
                                           .catalog_read_us = INT64_MAX,
                                           .is_held = is_held,
                                           .sqlstate = "23503",
                                           .message = "because"});
}

/* The key 7 of 0/5 is held, with the record at offset 10, since now. */
static void begin(story *s, uint32_t slots)
{
    story_begin(s, 1);
    s->config.patience_us = 30 * SECOND;
    s->config.compact_every_us = INT64_C(300) * 86400 * SECOND; /* never */
    s->config.commit_every_us = s->config.compact_every_us;
    s->on_refused = LEAT_ENGINE_REFUSED_HOLD;
    s->key = 7;
    story_reading(s, slots);
    story_read(s, 0, 5, 10);
    story_done(s, 0, LEAT_ENGINE_NOT_YET);
    story_done(s, 0, LEAT_ENGINE_APPLIED);
    s->size = 0;
}

START_TEST(what_is_kept_is_tried_again_until_nothing_is_left)
{
    story s;
    begin(&s, 4);
    story_read(&s, 0, 5, 12);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    s.size = 0;
    story_wait_for_job(&s);
    story_told(&s, "load 0 key 7\n");
    ck_assert_uint_eq(loaded(&s, 0, 5, 10, 11), 2);
    story_told(&s, "retry 0/5:10,11\n");
    const leat_engine_batch *batch = &story_job(&s, 0)->batch;
    ck_assert_uint_eq(batch->retry_key, 7);
    ck_assert_uint_eq(batch->part_count, 1);
    ck_assert_uint_eq(batch->parts[0].count, 0);
    ck_assert_uint_eq(batch->parts[0].needs_count, 1); /* of the batch before it */
    done(&s, LEAT_ENGINE_APPLIED, true);
    story_wait_for_job(&s);
    story_told(&s, "load 0 key 7\n");
    ck_assert_uint_eq(loaded(&s, 0, 5, 12, 12), 1);
    story_told(&s, "retry 0/5:12\n");
    int64_t seq = story_job(&s, 0)->batch.parts[0].seq;
    done(&s, LEAT_ENGINE_APPLIED, false);
    const leat_engine_counters *count = leat_engine_count(s.engine);
    ck_assert_uint_eq(count->keys_let_go, 1);
    ck_assert_uint_eq(count->records_retried, 3);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 0);
    /* What is written now needs the retry. */
    story_read(&s, 0, 5, 13);
    story_told(&s, "batch 0/5:13\n");
    const leat_engine_batch_part *part = &story_job(&s, 0)->batch.parts[0];
    ck_assert(part->needs_count == 1 && part->needs[0] == seq);
    story_end(&s);
}
END_TEST

START_TEST(it_is_tried_with_back_off_until_patience_ends)
{
    story s;
    begin(&s, 4);
    uint32_t tries = 0;
    while (leat_engine_deadline(s.engine) < 200 * SECOND) {
        story_wait(&s);
        if (s.open_count == 0)
            continue;
        loaded(&s, 0, 5, 10, 10);
        done(&s, LEAT_ENGINE_NOT_YET, true);
        tries++;
        ck_assert_int_lt(s.now_us, 45 * SECOND);
    }
    ck_assert_int_ge(s.now_us, 25 * SECOND);
    ck_assert_uint_ge(tries, 8);
    ck_assert_uint_le(tries, 20);
    s.told[s.size] = 0;
    const char *left = strstr(s.told, "left 0 key 7 at 10\n"); /* once, at the end */
    ck_assert(left && !strstr(left + 1, "left") && !strstr(left, "retry"));
    ck_assert_str_eq(s.said.message, "because");
    ck_assert_int_eq(s.said.outcome, LEAT_ENGINE_NOT_YET);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 1);
    ck_assert_uint_eq(story_view(&s, 0).stalled, 0);
    story_end(&s);
}
END_TEST

/* The load, of these records, could not be read. */
static void unread(story *s, int64_t first_offset)
{
    const leat_engine_chunk kept = {.first_offset = first_offset, .last_offset = first_offset};
    ck_assert(story_job(s, 0)->kind == LEAT_ENGINE_JOB_LOAD);
    story_result(s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_NOT_UNDERSTOOD,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .catalog_read_us = INT64_MAX,
                                           .kept = &kept,
                                           .kept_count = 1,
                                           .message = "damaged"});
}

/* At once and once a minute, as of chunks; after the patience it is left to people. */
START_TEST(what_cannot_be_read_is_told_and_left_to_people)
{
    story s;
    begin(&s, 4);
    uint32_t tries = 0;
    while (leat_engine_deadline(s.engine) < 200 * SECOND) {
        story_wait(&s);
        if (s.open_count == 0)
            continue;
        s.size = 0;
        bool is_over = s.now_us >= 30 * SECOND;
        unread(&s, 10);
        story_told(&s, is_over       ? "left 0 key 7 at 10\n"
                       : tries++ > 0 ? ""
                                     : "unread 0 key 7 at 10\n");
        ck_assert_str_eq(s.said.message, "damaged");
    }
    ck_assert_uint_ge(tries, 8);
    ck_assert_int_ge(s.now_us, 30 * SECOND);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 1);
    /* Nothing else has waited. */
    s.key = 8;
    s.size = 0;
    story_read(&s, 0, 5, 20);
    story_told(&s, "batch 0/5:20\n");
    story_end(&s);
}
END_TEST

START_TEST(what_is_not_of_one_key_is_told_and_left_to_people)
{
    story s;
    begin(&s, 4);
    story_wait_for_job(&s);
    s.size = 0;
    const leat_engine_record other = {.offset = 10, .subpartition = 5, .key = 8, .bytes = 10};
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .loaded = &other,
                                           .loaded_count = 1});
    story_told(&s, "left 0 key 7 at -1\n");
    ck_assert(strstr(s.said.message, "is not its records"));
    while (leat_engine_deadline(s.engine) < 200 * SECOND)
        story_wait(&s);
    ck_assert_uint_eq(s.open_count, 0);
    story_end(&s);
}
END_TEST

START_TEST(bad_data_is_left_to_people)
{
    story s;
    begin(&s, 4);
    story_wait_for_job(&s);
    loaded(&s, 0, 5, 10, 10);
    s.size = 0;
    done(&s, LEAT_ENGINE_BAD_DATA, true);
    story_told(&s, "left 0 key 7 at 10\n");
    while (leat_engine_deadline(s.engine) < 200 * SECOND)
        story_wait(&s);
    ck_assert_uint_eq(s.open_count, 0);
    story_end(&s);
}
END_TEST

/* The job, a look, brings these records; the caller leaves out so many of them, the first ones. */
static void looked(story *s, uint32_t n, int64_t first, int64_t last, uint32_t left_out)
{
    uint32_t count = 0;
    for (int64_t offset = first; offset <= last; offset++)
        records[count++] = (leat_engine_record){.partition = 0,
                                                .offset = offset,
                                                .accepted_ms = 1000 + offset,
                                                .epoch = -1,
                                                .subpartition = 5,
                                                .key = 7,
                                                .on_refused = LEAT_ENGINE_REFUSED_HOLD,
                                                .bytes = 10,
                                                .payload = s};
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .loaded = records,
                                           .loaded_count = count,
                                           .left_out = left_out});
}

/* Bad data: nobody tries it again. */
static void leave_to_people(story *s)
{
    begin(s, 4);
    story_wait_for_job(s);
    loaded(s, 0, 5, 10, 10);
    done(s, LEAT_ENGINE_BAD_DATA, true);
    while (leat_engine_deadline(s->engine) < 200 * SECOND)
        story_wait(s);
    ck_assert_uint_eq(s->open_count, 0);
    s->size = 0;
}

/* As a caller must do before it runs a look. */
static void leave_out_all(story *s, uint32_t count)
{
    const leat_engine_job *job = story_job(s, 0);
    ck_assert(job->batch.is_look && job->batch.record_count == count);
    for (uint32_t i = 0; i < count; i++)
        leat_engine_skip(s->engine, job->id, i);
}

static void look(story *s, bool is_wanted)
{
    leat_engine_look(s->engine, s->now_us, 0, is_wanted);
    story_settle(s);
}

START_TEST(what_is_kept_is_left_out_whatever_has_become_of_it)
{
    story s;
    leave_to_people(&s);
    look(&s, true);
    story_told(&s, "load 0 key 7\n");
    looked(&s, 0, 10, 12, 3);
    story_told(&s, "retry 0/5:10,11,12\n");
    leave_out_all(&s, 3);
    done(&s, LEAT_ENGINE_APPLIED, true);
    story_wait_for_job(&s);
    story_told(&s, "load 0 key 7\n"); /* there was more */
    looked(&s, 0, 14, 14, 1);
    leave_out_all(&s, 1);
    done(&s, LEAT_ENGINE_APPLIED, false);
    const leat_engine_counters *count = leat_engine_count(s.engine);
    ck_assert_uint_eq(count->records_left_out, 4);
    ck_assert_uint_eq(count->records_applied, 0);
    ck_assert_uint_eq(count->keys_let_go, 1);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 0);
    story_end(&s);
}
END_TEST

/* Without this a look would write what a person was to decide about. */
START_TEST(what_is_not_to_be_left_out_stays_as_it_is)
{
    story s;
    leave_to_people(&s);
    look(&s, true);
    looked(&s, 0, 10, 12, 0);
    while (leat_engine_deadline(s.engine) < 2000 * SECOND)
        story_wait(&s);
    ck_assert_uint_eq(s.open_count, 0);
    look(&s, true);
    looked(&s, 0, 10, 12, 1); /* the first one only */
    leave_out_all(&s, 1);
    done(&s, LEAT_ENGINE_APPLIED, true);
    story_wait_for_job(&s);
    looked(&s, 0, 11, 12, 0);
    while (leat_engine_deadline(s.engine) < 4000 * SECOND)
        story_wait(&s);
    ck_assert_uint_eq(s.open_count, 0);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 1);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_applied, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_look_that_fails_comes_again_and_ends_when_it_is_no_longer_wanted)
{
    story s;
    leave_to_people(&s);
    look(&s, true);
    story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    story_wait_for_job(&s);
    looked(&s, 0, 10, 10, 1);
    done(&s, LEAT_ENGINE_CONTENTION, true); /* or the caller has changed its mind */
    story_wait_for_job(&s);
    ck_assert(story_job(&s, 0)->kind == LEAT_ENGINE_JOB_LOAD);
    look(&s, false);
    looked(&s, 0, 10, 10, 0);
    while (leat_engine_deadline(s.engine) < 2000 * SECOND)
        story_wait(&s);
    ck_assert_uint_eq(s.open_count, 0);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_left_out, 0);
    story_end(&s);
}
END_TEST

/* It waits for a connection: what was to be looked at may not be written instead. */
START_TEST(a_look_that_is_called_off_is_no_retry)
{
    story s;
    leave_to_people(&s);
    s.key = 9;
    story_slots(&s, 0, 1);
    story_read(&s, 0, 9, 20);
    story_told(&s, "batch 0/9:20\n");
    look(&s, true);
    story_told(&s, "");
    look(&s, false);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, SECOND);
    story_told(&s, "");
    look(&s, true);
    story_told(&s, "load 0 key 7\n");
    /* and when it has been loaded */
    story_slots(&s, 0, 2);
    story_read(&s, 0, 5, 21);
    looked(&s, 0, 10, 12, 3);
    story_told(&s, "batch 0/5:21\n");
    uint32_t released = s.released;
    look(&s, false);
    ck_assert_uint_eq(s.released, released + 3);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, SECOND);
    story_told(&s, "");
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 1);
    story_end(&s);
}
END_TEST

/* A process that has just come, and a key that is held only now. */
START_TEST(a_key_that_is_held_later_is_looked_at_too)
{
    story s;
    story_begin(&s, 1);
    s.config.patience_us = 0;
    s.on_refused = LEAT_ENGINE_REFUSED_HOLD;
    s.key = 7;
    story_reading(&s, 4);
    look(&s, true);
    story_read(&s, 0, 5, 10);
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_wait_for_job(&s);
    ck_assert(story_job(&s, 0)->kind == LEAT_ENGINE_JOB_LOAD);
    looked(&s, 0, 10, 10, 1);
    leave_out_all(&s, 1);
    done(&s, LEAT_ENGINE_APPLIED, false);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 0);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_left_out, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_refused_one_is_looked_for)
{
    story s;
    begin(&s, 4);
    story_wait_for_job(&s);
    loaded(&s, 0, 5, 10, 17);
    done(&s, LEAT_ENGINE_BAD_DATA, true);
    story_wait_for_job(&s);
    ck_assert_uint_eq(story_job(&s, 0)->load.most, 4);
    loaded(&s, 0, 5, 10, 13);
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_BAD_DATA,
                                           .bad_record = 3,
                                           .partition = -1,
                                           .catalog_read_us = INT64_MAX});
    story_wait_for_job(&s);
    ck_assert_uint_eq(story_job(&s, 0)->load.most, 3);
    story_end(&s);
}
END_TEST

START_TEST(it_waits_for_its_subpartition)
{
    story s;
    begin(&s, 4);
    s.key = 8;
    story_wait_for_job(&s);
    story_read(&s, 0, 5, 20);
    story_told(&s, "load 0 key 7\nbatch 0/5:20\n");
    loaded(&s, 0, 5, 10, 10);
    story_read(&s, 0, 5, 21);
    story_told(&s, "");
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "retry 0/5:10\n");
    done(&s, LEAT_ENGINE_APPLIED, false);
    story_told(&s, "batch 0/5:21\n");
    story_end(&s);
}
END_TEST

START_TEST(the_owner_after_it_goes_on_as_long_as_there_is_patience)
{
    static const struct {
        int64_t since_ms;
        bool is_final, is_tried;
    } cases[] = {{1000, false, true}, {31000, false, false}, {1000, true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        story s;
        story_begin(&s, 1);
        s.config.patience_us = 30 * SECOND;
        leat_engine_held held = {
            .key = 9, .since_ms = cases[i].since_ms, .is_final = cases[i].is_final};
        s.held = &held;
        s.held_count = 1;
        story_reading(&s, 4);
        story_pass(&s, SECOND);
        ck_assert_int_eq(strstr(s.told, "load 0 key 9") != NULL, cases[i].is_tried);
        story_end(&s);
    }
}
END_TEST

START_TEST(one_that_ends_its_session_is_tried_twice)
{
    story s;
    begin(&s, 4);
    leat_engine_held held = {.key = 7, .since_ms = 10};
    s.held = &held;
    s.held_count = 1;
    for (int i = 0; i < 2; i++) {
        story_wait_for_job(&s);
        loaded(&s, 0, 5, 10, 10);
        done(&s, LEAT_ENGINE_UNKNOWN, true);
        story_wait_for_job(&s);
        leat_engine_progress progress = story_nothing(&s);
        story_claimed(&s, 0, &progress);
    }
    while (leat_engine_deadline(s.engine) < 200 * SECOND)
        story_wait(&s);
    ck_assert_uint_eq(s.open_count, 0);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 1);
    story_end(&s);
}
END_TEST

/* The partition is claimed again before its own end is known. */
START_TEST(one_that_ends_other_sessions_too_is_tried_twice)
{
    story s;
    begin(&s, 4);
    leat_engine_held held = {.key = 7, .since_ms = 10};
    s.held = &held;
    s.held_count = 1;
    for (int i = 0; i < 2; i++) {
        story_wait_for_job(&s);
        loaded(&s, 0, 5, 10, 10);
        story_read(&s, 0, 6, 20);
        story_done(&s, 1, LEAT_ENGINE_UNKNOWN);
        done(&s, LEAT_ENGINE_UNKNOWN, true);
        story_wait_for_job(&s);
        leat_engine_progress progress = story_nothing(&s);
        story_claimed(&s, 0, &progress);
    }
    while (leat_engine_deadline(s.engine) < 200 * SECOND)
        story_wait(&s);
    s.told[s.size] = 0;
    int loads = 0;
    for (const char *at = s.told; (at = strstr(at, "load 0 key 7")); at++)
        loads++;
    ck_assert_int_eq(loads, 2);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 1);
    story_end(&s);
}
END_TEST

START_TEST(patience_stands_still_while_the_shard_is_down)
{
    story s;
    begin(&s, 4);
    leat_engine_held held = {.key = 7, .since_ms = 40000}; /* as the database has it */
    s.held = &held;
    s.held_count = 1;
    leat_engine_slots(s.engine, s.now_us, 0, 0);
    s.now_us += 40 * SECOND;
    leat_engine_slots(s.engine, s.now_us, 0, 4);
    story_wait_for_job(&s);
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    for (int i = 0; i < 3; i++) { /* not only once */
        story_wait_for_job(&s);
        loaded(&s, 0, 5, 10, 10);
        done(&s, LEAT_ENGINE_NOT_YET, true);
    }
    story_end(&s);
}
END_TEST

START_TEST(one_that_has_turned_is_claimed)
{
    story s;
    begin(&s, 4);
    story_wait_for_job(&s);
    loaded(&s, 0, 5, 10, 10);
    s.size = 0;
    done(&s, LEAT_ENGINE_KEY_TURNED, true);
    story_told(&s, "pause 0\nclaim 0\n");
    leat_engine_progress progress = story_nothing(&s);
    story_claimed(&s, 0, &progress);
    ck_assert_uint_eq(story_view(&s, 0).held_keys, 0);
    story_end(&s);
}
END_TEST

START_TEST(what_makes_no_sense_is_left_to_people)
{
    for (int i = 0; i < 2; i++) {
        story s;
        begin(&s, 4);
        story_wait_for_job(&s);
        if (i == 0)
            ck_assert_uint_eq(loaded(&s, 0, 5, 10, 9), 0); /* nothing is kept */
        else
            story_result(&s, 0,
                         &(leat_engine_job_result){
                             .outcome = LEAT_ENGINE_APPLIED,
                             .bad_record = -1,
                             .loaded = &(leat_engine_record){.key = 8, .offset = 10, .payload = &s},
                             .loaded_count = 1});
        while (leat_engine_deadline(s.engine) < 200 * SECOND)
            story_wait(&s);
        ck_assert_uint_eq(s.open_count, 0);
        story_end(&s);
    }
}
END_TEST

START_TEST(a_partition_that_is_given_back_waits_for_a_retry_that_flies)
{
    story s;
    begin(&s, 4);
    story_wait_for_job(&s);
    loaded(&s, 0, 5, 10, 10);
    s.size = 0;
    story_revoked(&s, 0);
    story_told(&s, "pause 0\n");
    done(&s, LEAT_ENGINE_APPLIED, false);
    story_told(&s, "compact 0 to 3\n");
    story_end(&s);
}
END_TEST

START_TEST(one_with_loaded_records_is_given_back_at_once)
{
    story s;
    begin(&s, 4);
    s.key = 8;
    story_wait_for_job(&s);
    story_read(&s, 0, 5, 20);
    loaded(&s, 0, 5, 10, 10);
    uint32_t released = s.released;
    story_revoked(&s, 0);
    ck_assert_uint_eq(s.released, released + 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_UNASSIGNED);
    story_end(&s);
}
END_TEST

START_TEST(with_few_slots_it_gets_a_quarter_of_the_time)
{
    story s;
    begin(&s, 1);
    story_wait_for_job(&s);
    s.now_us += SECOND;
    loaded(&s, 0, 5, 10, 10);
    ck_assert_uint_eq(s.open_count, 0);
    story_pass(&s, 3 * SECOND - 1);
    ck_assert_uint_eq(s.open_count, 0);
    s.size = 0;
    story_pass(&s, 1);
    story_told(&s, "retry 0/5:10\n");
    story_end(&s);
}
END_TEST

/* One key is held in each of two partitions: 7 and 8. */
static void begin_two(story *s)
{
    story_begin(s, 2);
    s->config.patience_us = 30 * SECOND;
    s->config.compact_every_us = INT64_C(300) * 86400 * SECOND; /* never */
    s->config.commit_every_us = s->config.compact_every_us;
    s->on_refused = LEAT_ENGINE_REFUSED_HOLD;
    story_reading(s, 1);
    for (uint32_t partition = 0; partition < 2; partition++) {
        s->key = 7 + partition;
        story_read(s, partition, 5, 10);
        story_done(s, 0, LEAT_ENGINE_NOT_YET);
        story_done(s, 0, LEAT_ENGINE_APPLIED);
    }
}

START_TEST(when_the_first_in_line_is_gone_the_next_has_its_turn)
{
    story s;
    begin_two(&s);
    story_wait_for_job(&s);
    uint32_t again = story_job(&s, 0)->partition;
    s.now_us += SECOND;
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    story_pass(&s, SECOND); /* both are in line, the other one first; there are 3 s to rest */
    ck_assert_uint_eq(s.open_count, 0);
    story_lost(&s, 1 - again);
    story_pass(&s, 2 * SECOND);
    ck_assert_uint_eq(s.open_count, 1);
    ck_assert_uint_eq(story_job(&s, 0)->partition, again);
    story_end(&s);
}
END_TEST

STORY_MAIN("key_retry", what_is_kept_is_tried_again_until_nothing_is_left,
           it_is_tried_with_back_off_until_patience_ends, bad_data_is_left_to_people,
           what_cannot_be_read_is_told_and_left_to_people,
           what_is_not_of_one_key_is_told_and_left_to_people,
           what_is_kept_is_left_out_whatever_has_become_of_it,
           what_is_not_to_be_left_out_stays_as_it_is,
           a_look_that_fails_comes_again_and_ends_when_it_is_no_longer_wanted,
           a_look_that_is_called_off_is_no_retry, a_key_that_is_held_later_is_looked_at_too,
           a_refused_one_is_looked_for, it_waits_for_its_subpartition,
           the_owner_after_it_goes_on_as_long_as_there_is_patience,
           one_that_ends_its_session_is_tried_twice,
           one_that_ends_other_sessions_too_is_tried_twice,
           patience_stands_still_while_the_shard_is_down, one_that_has_turned_is_claimed,
           what_makes_no_sense_is_left_to_people,
           a_partition_that_is_given_back_waits_for_a_retry_that_flies,
           one_with_loaded_records_is_given_back_at_once,
           with_few_slots_it_gets_a_quarter_of_the_time,
           when_the_first_in_line_is_gone_the_next_has_its_turn)
