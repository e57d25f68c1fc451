/* Which records are tried in vain, since when and why; and jobs that are not answered. */
#include "story.h"

static uint32_t troubles(story *s, leat_engine_trouble ret[4])
{
    return leat_engine_troubles(s->engine, 0, ret, 4);
}

START_TEST(a_mark_stays_from_the_first_attempt_until_it_is_applied)
{
    story s;
    leat_engine_trouble found[4];
    story_begin(&s, 1);
    s.now_us = 1000;
    story_reading(&s, 1);
    story_read(&s, 0, 5, 7);
    ck_assert_uint_eq(troubles(&s, found), 0);
    ck_assert(story_view(&s, 0).stalled_us == INT64_MAX);
    s.now_us = 9000;
    story_done(&s, 0, LEAT_ENGINE_CONTENTION); /* was begun at 1000, and is tried again at once */
    ck_assert_uint_eq(troubles(&s, found), 1);
    ck_assert(found[0].since_us == 1000 && found[0].offset == 7 && found[0].subpartition == 5 &&
              found[0].count == 1);
    ck_assert(found[0].outcome == LEAT_ENGINE_CONTENTION && found[0].payload == &s &&
              !found[0].halts && !found[0].is_guarded);
    ck_assert_str_eq(found[0].message, "because");
    story_done(&s, 0, LEAT_ENGINE_OUTAGE); /* waits */
    ck_assert_uint_eq(troubles(&s, found), 1);
    ck_assert(found[0].since_us == 1000 && found[0].outcome == LEAT_ENGINE_OUTAGE);
    ck_assert(story_view(&s, 0).stalled == 1 && story_view(&s, 0).stalled_us == 1000);
    story_wait(&s); /* is being tried */
    ck_assert_uint_eq(story_view(&s, 0).stalled, 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(troubles(&s, found), 0);
    ck_assert(story_view(&s, 0).stalled == 0 && story_view(&s, 0).stalled_us == INT64_MAX);
    story_end(&s);
}
END_TEST

START_TEST(one_cause_is_one_trouble_however_many_have_it)
{
    story s;
    leat_engine_trouble found[4];
    story_begin(&s, 2);
    s.config.table_count = 2;
    story_reading(&s, 8);
    for (uint32_t subpartition = 1; subpartition <= 3; subpartition++) {
        s.now_us = 100 * subpartition;
        story_read(&s, subpartition % 2, subpartition, subpartition);
    }
    s.table = 1;
    story_read(&s, 1, 9, 5);
    while (s.open_count > 0)
        story_done(&s, s.open_count - 1, LEAT_ENGINE_OUTAGE);
    ck_assert_uint_eq(troubles(&s, found), 2);
    bool second = found[0].table == 1;
    ck_assert(found[!second].table == (second ? 0u : 1u));
    ck_assert(found[second].count == 3 && found[second].since_us == 100 &&
              found[second].subpartition == 1);
    ck_assert(found[!second].count == 1 && found[!second].offset == 5);
    ck_assert_uint_eq(leat_engine_troubles(s.engine, 0, found, 1), 1); /* no room for more */
    /* A record that is given up is no longer in trouble. */
    story_lost(&s, 1);
    ck_assert_uint_eq(troubles(&s, found), 1);
    ck_assert(found[0].count == 1 && found[0].partition == 0);
    story_end(&s);
}
END_TEST

/* Of all that a partition holds, the one with the smallest offset, whatever was tried. */
START_TEST(a_cell_has_what_its_subpartitions_hold)
{
    /* In flight or not, until it is applied; and one that fails marks its cell. */
    story s;
    leat_engine_cell halves[TEST_SUBPARTITIONS / 2], cells[TEST_SUBPARTITIONS];
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 5, 7);
    story_read(&s, 0, 5, 8);
    story_read(&s, 0, 4, 9);
    leat_engine_occupancy(s.engine, 0, halves, TEST_SUBPARTITIONS / 2);
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS / 2; i++)
        ck_assert(halves[i].records == (i == 2 ? 3 : 0) && !halves[i].stalled);
    story_done(&s, 0, LEAT_ENGINE_OUTAGE);
    leat_engine_occupancy(s.engine, 0, cells, TEST_SUBPARTITIONS);
    ck_assert(cells[5].records == 2 && cells[5].stalled);
    ck_assert(cells[4].records == 1 && !cells[4].stalled);
    story_wait(&s);
    while (s.open_count > 0)
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    leat_engine_occupancy(s.engine, 0, cells, TEST_SUBPARTITIONS);
    ck_assert(cells[5].records == 0 && !cells[5].stalled && cells[4].records == 0);
    story_end(&s);
}
END_TEST
START_TEST(the_holder_of_the_low_water_is_told)
{
    story s;
    leat_engine_holder_view holder;
    story_begin(&s, 1);
    s.now_us = 1000;
    story_reading(&s, 1);
    ck_assert(!leat_engine_holder(s.engine, 0, &holder));
    story_read(&s, 0, 5, 7);
    s.now_us = 2000;
    story_read(&s, 0, 6, 9);
    ck_assert(leat_engine_holder(s.engine, 0, &holder));
    ck_assert(holder.offset == 7 && holder.subpartition == 5 && holder.payload == &s);
    ck_assert(holder.since_us == 1000 && holder.is_in_flight && !holder.is_behind_parked);
    ck_assert_uint_eq(holder.attempts, 0);
    ck_assert_str_eq(holder.sqlstate, "");
    s.now_us = 9000;
    story_done(&s, 0, LEAT_ENGINE_CONTENTION);
    story_done(&s, 0, LEAT_ENGINE_OUTAGE); /* waits; the job of 9 runs */
    ck_assert(leat_engine_holder(s.engine, 0, &holder));
    ck_assert(holder.offset == 7 && holder.since_us == 1000);
    ck_assert_uint_ge(holder.attempts, 1);
    ck_assert(holder.outcome == LEAT_ENGINE_OUTAGE || holder.outcome == LEAT_ENGINE_CONTENTION);
    ck_assert_str_eq(holder.message, "because");
    story_end(&s);
}
END_TEST

/* The mark is the parked head's, and so are its attempts. */
START_TEST(what_is_read_behind_a_parked_head_is_not_accused)
{
    story s;
    leat_engine_holder_view holder;
    leat_engine_trouble found[4];
    const uint64_t room[] = {1000000};
    story_begin(&s, 1);
    s.config.parked_max_bytes = room;
    s.config.park_after_us = 2000000;
    s.config.retry_min_us = s.config.retry_max_us = 10000000;
    story_reading(&s, 1);
    story_read(&s, 0, 5, 7);
    while (s.open_count > 0)
        story_locked(&s, 0);
    story_pass(&s, 1900000);
    story_read(&s, 0, 9, 8); /* others get through */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    while (s.open_count == 0)
        story_pass(&s, 100000);
    story_parked(&s, 0, 60);
    ck_assert(!leat_engine_holder(s.engine, 0, &holder));
    story_read(&s, 0, 5, 9);
    ck_assert(leat_engine_holder(s.engine, 0, &holder));
    ck_assert(holder.offset == 9 && holder.is_behind_parked && !holder.is_in_flight);
    ck_assert(holder.attempts == 0 && holder.since_us == s.now_us);
    ck_assert_str_eq(holder.sqlstate, "");
    ck_assert_str_eq(holder.message, "");
    ck_assert_uint_eq(troubles(&s, found), 1);
    ck_assert(found[0].offset == 7 && found[0].attempts > 0 && found[0].parked == 1);
    story_end(&s);
}
END_TEST

/* One stands for all that have the cause: what is told is its own. */
START_TEST(a_parked_record_is_told_with_its_own_age)
{
    story s;
    leat_engine_trouble found[4];
    const uint64_t room[] = {1000000};
    story_begin(&s, 2);
    s.config.parked_max_bytes = room;
    s.config.park_after_us = 2000000;
    s.config.retry_min_us = s.config.retry_max_us = 100000000;
    story_reading(&s, 2);
    story_pass(&s, 100);
    story_read(&s, 0, 5, 7);
    story_pass(&s, 100);
    story_read(&s, 1, 5, 3);
    while (s.open_count > 0)
        story_locked(&s, 0);
    ck_assert_uint_eq(troubles(&s, found), 1);
    ck_assert(found[0].offset == 7 && found[0].accepted_ms == 1007 && found[0].parked == 0);
    story_pass(&s, 1900000);
    for (uint32_t partition = 0; partition < 2; partition++) {
        story_read(&s, partition, 9, 8); /* others get through */
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    for (int i = 0; i < 100 && found[0].parked < 2; i++) {
        if (s.open_count > 0)
            story_parked(&s, 0, 60);
        else
            story_pass(&s, 50000);
        ck_assert_uint_eq(troubles(&s, found), 1);
    }
    ck_assert_uint_eq(found[0].parked, 2);
    ck_assert(found[0].offset == 7 && found[0].accepted_ms == 1007);
    story_end(&s);
}
END_TEST

START_TEST(a_halt_is_told_by_its_probe)
{
    story s;
    leat_engine_trouble found[4];
    story_begin(&s, 1);
    story_reading(&s, 1);
    story_read(&s, 0, 1, 0);
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    ck_assert_uint_eq(troubles(&s, found), 1);
    ck_assert(found[0].halts && found[0].outcome == LEAT_ENGINE_NOT_UNDERSTOOD);
    story_end(&s);
}
END_TEST

START_TEST(the_oldest_job_in_flight_is_known_by_its_first_record)
{
    story s;
    leat_engine_flight_view flight;
    story_begin(&s, 1);
    story_reading(&s, 2);
    leat_engine_flight(s.engine, 0, &flight);
    ck_assert(flight.jobs == 0 && flight.kind == LEAT_ENGINE_JOB_NONE);
    s.now_us = 100;
    story_read(&s, 0, 1, 3);
    s.now_us = 200;
    story_read(&s, 0, 2, 4);
    leat_engine_flight(s.engine, 0, &flight);
    ck_assert(flight.jobs == 2 && flight.kind == LEAT_ENGINE_JOB_BATCH && flight.since_us == 100 &&
              flight.offset == 3);
    ck_assert_ptr_eq(flight.payload, &s);
    story_lost(&s, 0); /* the partition it carries is given back */
    leat_engine_flight(s.engine, 0, &flight);
    ck_assert(flight.jobs == 2 && flight.payload == NULL);
    story_end(&s);
}
END_TEST

STORY_MAIN("trouble", a_mark_stays_from_the_first_attempt_until_it_is_applied,
           one_cause_is_one_trouble_however_many_have_it, a_cell_has_what_its_subpartitions_hold,
           the_holder_of_the_low_water_is_told, what_is_read_behind_a_parked_head_is_not_accused,
           a_parked_record_is_told_with_its_own_age, a_halt_is_told_by_its_probe,
           the_oldest_job_in_flight_is_known_by_its_first_record)
