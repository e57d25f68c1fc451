/* How far a partition has come: low water, what a compaction says, and that what is applied costs
 * nothing. */
#include "story.h"

START_TEST(low_stands_before_the_first_record_held_whatever_is_applied_behind_it)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 3);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_view(&s, 0).low, -1);
    ck_assert_int_eq(story_read(&s, 0, 2, 10), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 3, 11), LEAT_ENGINE_TAKEN);
    story_told(&s, "batch 0/1:0\nbatch 0/2:10\nbatch 0/3:11\n");
    story_done(&s, 1, LEAT_ENGINE_APPLIED);
    ck_assert_int_eq(story_view(&s, 0).low, -1);
    ck_assert_int_eq(story_view(&s, 0).oldest_ms, 1000);
    story_done(&s, 0, LEAT_ENGINE_APPLIED); /* between 0 and 11 everything is applied, and 1 to 9
                                               hold no record */
    story_told(&s, "commit 0 at 10\n");
    ck_assert_int_eq(story_view(&s, 0).oldest_ms, 1011);
    story_pass(&s, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 11\n");
    ck_assert_int_eq(story_view(&s, 0).oldest_ms, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_record_refused_for_room_is_not_passed)
{
    story s;
    story_begin(&s, 1);
    s.config.records_max = 1;
    story_reading(&s, 1);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert_int_eq(story_read(&s, 0, 2, 5), LEAT_ENGINE_FULL); /* 1 to 4 hold no record, 5 does */
    ck_assert_int_eq(story_view(&s, 0).position, 1);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 0\nresume 0\n");
    ck_assert_int_eq(story_view(&s, 0).low, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_compaction_needs_all_subpartitions_and_raises_no_idle_one)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    story_reading(&s, 3);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_int_eq(story_read(&s, 0, 1 + i, i), LEAT_ENGINE_TAKEN);
    story_done(&s, 1, LEAT_ENGINE_APPLIED); /* seq 2 */
    story_done(&s, 1, LEAT_ENGINE_APPLIED); /* seq 3 */
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_CONTENTION); /* stuck from here on: one applied, one stuck, one
                                                  idle since */
    story_pass(&s, 1000);
    uint32_t at = s.open_count - 1;
    const leat_engine_compaction *compaction = &story_job(&s, at)->compaction;
    ck_assert_int_eq(story_job(&s, at)->kind, LEAT_ENGINE_JOB_COMPACT);
    ck_assert_int_eq(compaction->low, -1);
    ck_assert_int_eq(compaction->newest.offset, 2);
    ck_assert_uint_eq(compaction->needs_count, 2);
    ck_assert_int_eq(compaction->needs[0], 2);
    ck_assert_int_eq(compaction->needs[1], 3);
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        ck_assert_int_eq(compaction->base_offsets[i], i == 2 ? 1 : i == 3 ? 2 : -1);
    story_end(&s);
}
END_TEST

START_TEST(what_was_only_skipped_is_written_with_a_seq_of_its_own)
{
    story s;
    story_begin(&s, 1);
    s.config.compact_every_us = 1000;
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    int64_t base[TEST_SUBPARTITIONS];
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        base[i] = i == 1 ? 6 : 4;
    TEST_PROGRESS(progress);
    leat_engine_progress_begin(&progress, (leat_engine_claim){{1}}, 1, 9, base, 4,
                               (leat_engine_newest){6, 1006, -1});
    story_claimed(&s, 0, &progress);
    ck_assert_int_eq(story_read(&s, 0, 1, 5), LEAT_ENGINE_SKIPPED);
    ck_assert_int_eq(story_read(&s, 0, 1, 6), LEAT_ENGINE_SKIPPED);
    s.size = 0;
    story_pass(&s, 1000);
    story_told(&s, "commit 0 at 6\ncompact 0 to 10\n");
    ck_assert_int_eq(story_job(&s, 0)->compaction.low, 6);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_pass(&s, 10000);
    story_told(&s, ""); /* and then there is nothing more to report */
    story_end(&s);
}
END_TEST

START_TEST(a_subpartition_waits_when_its_first_record_has_been_held_for_long)
{
    story s;
    story_begin(&s, 1);
    story_reading(&s, 1);
    ck_assert(!leat_engine_waits(s.engine, 0, 1));
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    s.now_us += LEAT_ENGINE_LONG_WAIT_US;
    ck_assert_int_eq(story_read(&s, 0, 1, 1), LEAT_ENGINE_TAKEN);
    ck_assert(!leat_engine_waits(s.engine, 0, 1));
    s.now_us++;
    ck_assert_int_eq(story_read(&s, 0, 2, 2), LEAT_ENGINE_TAKEN);
    ck_assert(leat_engine_waits(s.engine, 0, 1));
    ck_assert(!leat_engine_waits(s.engine, 0, 2));
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert(!leat_engine_waits(s.engine, 0, 1));
    story_end(&s);
}
END_TEST

START_TEST(every_record_waits_behind_a_backlog)
{
    story s;
    story_begin(&s, 1);
    s.config.records_max = 8;
    story_reading(&s, 1);
    int64_t offset = 0;
    ck_assert(!leat_engine_waits(s.engine, 0, 31));
    while (story_read(&s, 0, (uint32_t)offset, offset) == LEAT_ENGINE_TAKEN)
        offset++;
    ck_assert_int_eq(offset, 8);
    ck_assert(leat_engine_waits(s.engine, 0, 31)); /* it is full */
    story_end(&s);
    story_begin(&s, 1);
    story_reading(&s, 1);
    ck_assert_int_eq(story_read(&s, 0, 1, 0), LEAT_ENGINE_TAKEN);
    ck_assert(!leat_engine_waits(s.engine, 0, 31)); /* it was never */
    story_end(&s);
}
END_TEST

/* Reads records until every later one waits, and returns how many there were then. None was paused.
 */
static uint32_t read_until_all_wait(story *s, uint32_t bytes)
{
    story_reading(s, 1);
    uint32_t count = 0;
    while (!leat_engine_waits(s->engine, 0, 31)) {
        ck_assert_int_eq(story_read_sized(s, 0, count % 31, count, bytes), LEAT_ENGINE_TAKEN);
        ck_assert_uint_lt(count, s->config.records_max);
        count++;
    }
    story_end(s);
    return count;
}

START_TEST(before_any_pause_a_backlog_is_a_few_batches_of_records_or_bytes)
{
    story s;
    story_begin(&s, 2);
    s.config.batch_records_max = 5;
    ck_assert_uint_eq(read_until_all_wait(&s, 10), 4 * 5 + 1);
    story_begin(&s, 2);
    s.config.batch_bytes_max = 20000;
    ck_assert_uint_eq(read_until_all_wait(&s, 20000), 4 + 1);
    /* Batches that are large for the room: a quarter of it. */
    story_begin(&s, 2);
    s.config.records_max = 400;
    ck_assert_uint_eq(read_until_all_wait(&s, 10), 100 + 1);
    story_begin(&s, 2);
    s.config.bytes_max = s.config.batch_bytes_max = 80000;
    ck_assert_uint_eq(read_until_all_wait(&s, 10000), 2 + 1);
}
END_TEST

/* ---- a million ---- */

enum { MILLION = 1000000, STUCK = 17 };

typedef struct crowd {
    leat_engine *engine;
    const leat_engine_job *stuck; /* the batch that waits for a row */
    uint64_t applied;
} crowd;

static bool is_stuck(const leat_engine_job *job)
{
    return job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.records[0].offset == STUCK;
}

static void crowd_settle(crowd *c, int64_t now_us)
{
    leat_engine_effect effect;
    void *payloads[64];
    while (leat_engine_next(c->engine, &effect)) {
        if (effect.kind != LEAT_ENGINE_RUN)
            continue;
        if (is_stuck(effect.job)) {
            c->stuck = effect.job;
            continue;
        }
        c->applied += effect.job->batch.record_count;
        leat_engine_job_done(c->engine, now_us, effect.job->id,
                             &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                                       .bad_record = -1,
                                                       .partition = -1});
    }
    while (leat_engine_released(c->engine, payloads, 64) > 0)
        continue;
}

static leat_engine_taken crowd_offer(crowd *c, int64_t now_us, int64_t offset)
{
    /* Nothing but the stuck record is in its subpartition. */
    uint32_t subpartition = offset == STUCK ? 0 : 1 + (uint32_t)offset % (TEST_SUBPARTITIONS - 1);
    leat_engine_record record = {.offset = offset,
                                 .accepted_ms = 1 + offset,
                                 .epoch = -1,
                                 .subpartition = subpartition,
                                 .bytes = 100,
                                 .payload = c};
    return leat_engine_record_read(c->engine, now_us, &record);
}

static void crowd_claim(story *s, crowd *c, const leat_engine_progress *progress)
{
    story_start(s);
    story_slots(s, 0, 4);
    story_assigned(s, 0);
    story_claimed(s, 0, progress);
    *c = (crowd){.engine = s->engine};
}

START_TEST(a_million_applied_behind_a_stuck_one_take_no_room_and_are_skipped_after_a_restart)
{
    story s;
    crowd c;
    story_begin(&s, 1);
    s.config.records_max = 128;
    s.config.commit_every_us = 1000;
    s.config.compact_every_us = 5000000;
    leat_engine_progress progress = story_nothing(&s);
    crowd_claim(&s, &c, &progress);
    int64_t now_us = 0;
    for (int64_t offset = 0; offset < MILLION; offset++) {
        LEAT_ASSERT(crowd_offer(&c, now_us += 10, offset) == LEAT_ENGINE_TAKEN);
        crowd_settle(&c, now_us);
    }
    ck_assert_uint_eq(story_view(&s, 0).records, 1); /* nothing is kept of applied records */
    leat_engine_validate(c.engine);
    ck_assert_uint_eq(c.applied, MILLION - 1);
    ck_assert_int_eq(story_view(&s, 0).low, STUCK - 1);
    ck_assert_ptr_nonnull(c.stuck);

    /* The worker dies. What the shard has is the base of the batches that were applied; the log is
     * read from the stuck record. */
    int64_t offsets[TEST_SUBPARTITIONS];
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        offsets[i] = STUCK - 1;
    for (int64_t offset = MILLION - TEST_SUBPARTITIONS; offset < MILLION; offset++)
        offsets[1 + offset % (TEST_SUBPARTITIONS - 1)] = offset;
    leat_engine_lost(c.engine, now_us, 0);
    crowd_settle(&c, now_us);
    story_end(&s);
    s.open_count = 0;
    s.size = 0;
    leat_engine_progress_begin(&progress, (leat_engine_claim){{2}}, 2, MILLION, offsets, STUCK - 1,
                               (leat_engine_newest){MILLION - 1, MILLION, -1});
    crowd_claim(&s, &c, &progress);
    story_told(&s, "claim 0\ncommit 0 at 16\nseek 0 from 17\n");
    for (int64_t offset = STUCK; offset < MILLION; offset++) {
        LEAT_ASSERT(crowd_offer(&c, now_us, offset) ==
                    (offset == STUCK ? LEAT_ENGINE_TAKEN : LEAT_ENGINE_SKIPPED));
        crowd_settle(&c, now_us);
    }
    ck_assert_uint_eq(c.applied, 0);
    leat_engine_job_done(c.engine, now_us, c.stuck->id,
                         &(leat_engine_job_result){
                             .outcome = LEAT_ENGINE_APPLIED, .bad_record = -1, .partition = -1});
    crowd_settle(&c, now_us);
    ck_assert_int_eq(story_view(&s, 0).low, MILLION - 1);
    leat_engine_validate(c.engine);
    story_end(&s);
}
END_TEST

STORY_MAIN("low", low_stands_before_the_first_record_held_whatever_is_applied_behind_it,
           a_record_refused_for_room_is_not_passed,
           a_compaction_needs_all_subpartitions_and_raises_no_idle_one,
           what_was_only_skipped_is_written_with_a_seq_of_its_own,
           a_subpartition_waits_when_its_first_record_has_been_held_for_long,
           every_record_waits_behind_a_backlog,
           before_any_pause_a_backlog_is_a_few_batches_of_records_or_bytes,
           a_million_applied_behind_a_stuck_one_take_no_room_and_are_skipped_after_a_restart)
