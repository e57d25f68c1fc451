#include "engine/retry.h"
#include "story.h"

static leat_retry_verdict failed(leat_retry *retry, leat_engine_outcome outcome, uint32_t queues,
                                 uint32_t records, int32_t culprit)
{
    return leat_retry_failed(retry, outcome,
                             &(leat_retry_attempt){.queues = queues,
                                                   .records = records,
                                                   .culprit = culprit,
                                                   .catalog_read_us = INT64_MAX,
                                                   .patience_us = 1000});
}

/* One record, alone in its batch. */
static leat_retry_verdict refused_at(leat_retry *retry, leat_engine_outcome outcome, int64_t now_us,
                                     int64_t catalog_read_us)
{
    return leat_retry_failed(retry, outcome,
                             &(leat_retry_attempt){.queues = 1,
                                                   .records = 1,
                                                   .culprit = -1,
                                                   .now_us = now_us,
                                                   .catalog_read_us = catalog_read_us,
                                                   .patience_us = 1000});
}

START_TEST(contention_goes_from_together_to_alone_to_later)
{
    leat_retry retry = {0};
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_CONTENTION, 3, 5, -1), LEAT_RETRY_AT_ONCE);
    ck_assert(!retry.alone);
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_CONTENTION, 3, 5, -1), LEAT_RETRY_AT_ONCE);
    ck_assert(retry.alone);
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_CONTENTION, 1, 5, -1), LEAT_RETRY_LATER);
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_CONTENTION, 1, 5, -1), LEAT_RETRY_HELD); /* by then
                                                                                      it is worth a
                                                                                      word
                                                                                    */
    ck_assert_uint_eq(retry.delays, 2);
    leat_retry_applied(&retry, 5, 100);
    ck_assert(!retry.held && !retry.alone && retry.delays == 0 && retry.contentions == 0);
}
END_TEST

/* At `now_us`, of a row that another session holds; the lock timeout is 1,000. */
static leat_retry_verdict locked_at(leat_retry *retry, uint32_t queues, uint32_t records,
                                    int64_t now_us)
{
    return leat_retry_failed(retry, LEAT_ENGINE_CONTENTION,
                             &(leat_retry_attempt){.queues = queues,
                                                   .records = records,
                                                   .culprit = -1,
                                                   .now_us = now_us,
                                                   .from_rows = true,
                                                   .is_lock_wait = true,
                                                   .lock_timeout_us = 1000,
                                                   .catalog_read_us = INT64_MAX});
}

START_TEST(a_locked_row_splits_the_batch_at_once)
{
    leat_retry retry = {0};
    ck_assert_int_eq(locked_at(&retry, 3, 8, 50), LEAT_RETRY_AT_ONCE);
    ck_assert(retry.alone && retry.blocked);
    ck_assert_uint_eq(retry.limit, 0);
    leat_retry_applied(&retry, 8, 100); /* it was another's row */
    ck_assert(!retry.alone && !retry.blocked);
}
END_TEST

START_TEST(what_is_before_a_locked_row_passes_and_what_is_after_it_stays_apart)
{
    leat_retry retry = {0};
    ck_assert_int_eq(locked_at(&retry, 1, 8, 50), LEAT_RETRY_AT_ONCE);
    ck_assert_uint_eq(retry.limit, 4);
    ck_assert_int_eq(locked_at(&retry, 1, 4, 60), LEAT_RETRY_AT_ONCE);
    ck_assert_uint_eq(retry.limit, 2);
    leat_retry_applied(&retry, 2, 100); /* so it is the third or fourth */
    ck_assert(retry.alone && retry.blocked);
    ck_assert_uint_eq(retry.limit, 1);
    leat_retry_applied(&retry, 1, 100);
    ck_assert(retry.blocked);
    leat_retry_applied(&retry, 1, 100);
    ck_assert(!retry.alone && !retry.blocked);
}
END_TEST

START_TEST(a_locked_row_is_reported_after_the_lock_timeout)
{
    leat_retry retry = {0};
    int64_t now_us = 50;
    for (; now_us < 1050; now_us += 50) {
        ck_assert_int_eq(locked_at(&retry, 1, 1, now_us), LEAT_RETRY_LATER);
        ck_assert_uint_le(retry.delays, 7); /* the pauses stay short */
    }
    ck_assert(!retry.held);
    ck_assert_int_eq(locked_at(&retry, 1, 1, now_us), LEAT_RETRY_HELD);
    ck_assert(retry.held);
    leat_retry_applied(&retry, 1, 100);
    ck_assert(!retry.held && !retry.blocked);
    ck_assert_int_eq(locked_at(&retry, 1, 1, now_us), LEAT_RETRY_LATER);
}
END_TEST

START_TEST(that_it_is_blocked_survives_a_claim_and_ends_with_another_answer)
{
    leat_retry retry = {0};
    locked_at(&retry, 1, 1, 50);
    leat_retry_dropped(&retry);
    ck_assert(retry.blocked && retry.alone);
    ck_assert_int_eq(locked_at(&retry, 1, 1, 1050), LEAT_RETRY_HELD); /* since 50 */
    failed(&retry, LEAT_ENGINE_DRIFT, 1, 1, 0);
    ck_assert(retry.alone && !retry.blocked);
}
END_TEST

START_TEST(a_claim_in_the_way_is_held_against_no_record)
{
    leat_retry retry = {0};
    for (int i = 0; i < 9; i++) {
        leat_retry_verdict verdict = leat_retry_failed(&retry, LEAT_ENGINE_CONTENTION,
                                                       &(leat_retry_attempt){.queues = 2,
                                                                             .records = 4,
                                                                             .culprit = -1,
                                                                             .is_lock_wait = true,
                                                                             .is_claimed = true});
        ck_assert_int_eq(verdict, i < 7 ? LEAT_RETRY_LATER : LEAT_RETRY_HELD);
        ck_assert(!retry.alone && !retry.blocked && retry.limit == 0);
    }
}
END_TEST

/* Those before it wait for their lock as they did. */
START_TEST(one_without_room_waits_and_those_before_it_go_on)
{
    leat_retry retry = {0};
    leat_retry_attempt attempt = {.queues = 1, .records = 5, .culprit = 3};
    locked_at(&retry, 1, 5, 10);
    ck_assert(retry.blocked);
    ck_assert_int_eq(leat_retry_no_room(&retry, &attempt), LEAT_RETRY_AT_ONCE);
    ck_assert(retry.blocked && retry.alone && retry.limit == 3 && !retry.refused);
    attempt.culprit = 0;
    ck_assert_int_eq(leat_retry_no_room(&retry, &attempt), LEAT_RETRY_AT_ONCE);
    ck_assert_uint_eq(retry.limit, 1);
    attempt.records = 1;
    ck_assert_int_eq(leat_retry_no_room(&retry, &attempt), LEAT_RETRY_HELD);
    ck_assert(retry.held && retry.delays > 0 && !retry.refused);
    leat_retry other = {0};
    attempt.elsewhere = true;
    ck_assert_int_eq(leat_retry_no_room(&other, &attempt), LEAT_RETRY_AT_ONCE);
    ck_assert(!other.alone && !other.held);
}
END_TEST

START_TEST(a_record_that_takes_too_long_alone_gets_more_time)
{
    leat_retry retry = {0};
    leat_retry_attempt attempt = {.queues = 1, .records = 2, .culprit = -1, .timed_out = true};
    ck_assert_int_eq(leat_retry_failed(&retry, LEAT_ENGINE_CONTENTION, &attempt),
                     LEAT_RETRY_AT_ONCE);
    ck_assert_uint_eq(retry.limit, 1);
    ck_assert_uint_eq(retry.timeouts, 0);
    attempt.records = 1;
    for (uint8_t i = 1; i < 4; i++) {
        leat_retry_failed(&retry, LEAT_ENGINE_CONTENTION, &attempt);
        ck_assert_uint_eq(retry.timeouts, i);
    }
    leat_retry_applied(&retry, 1, 100);
    ck_assert_uint_eq(retry.timeouts, 0);
}
END_TEST

/* Works through `records` of which `bad` is refused; returns how many attempts it took to have it
 * alone. */
static uint32_t hunt(uint32_t records, uint32_t bad)
{
    leat_retry retry = {0};
    uint32_t attempts = 1;
    uint32_t done = 0;
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_BAD_DATA, 4, records, -1), LEAT_RETRY_AT_ONCE);
    for (;; attempts++) {
        ck_assert(retry.alone);
        uint32_t count = retry.limit > 0 && retry.limit < records - done ? retry.limit
                                                                         : records - done;
        if (done + count <= bad) {
            leat_retry_applied(&retry, count, 1000);
            done += count;
            continue;
        }
        leat_retry_verdict verdict = failed(&retry, LEAT_ENGINE_BAD_DATA, 1, count, -1);
        if (verdict == LEAT_RETRY_DEAD) {
            ck_assert_uint_eq(done, bad);
            return attempts;
        }
    }
}

START_TEST(halving_finds_it_wherever_it_is)
{
    for (uint32_t records = 1; records < 70; records++) {
        for (uint32_t bad = 0; bad < records; bad++)
            ck_assert_uint_le(hunt(records, bad), 16);
    }
}
END_TEST

START_TEST(a_named_one_goes_after_its_prefix_and_alone)
{
    leat_retry retry = {0};
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_DRIFT, 2, 10, 7), LEAT_RETRY_AT_ONCE);
    ck_assert_uint_eq(retry.limit, 7);
    leat_retry_applied(&retry, 4, 100); /* bytes cut it short */
    ck_assert_uint_eq(retry.limit, 3);
    leat_retry_applied(&retry, 3, 100);
    ck_assert_uint_eq(retry.limit, 1);
    ck_assert(retry.alone);
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_DRIFT, 1, 1, 0), LEAT_RETRY_LATER);
}
END_TEST

START_TEST(contention_alone_takes_half_each_time)
{
    leat_retry retry = {0};
    for (int i = 0; i < 2; i++)
        failed(&retry, LEAT_ENGINE_CONTENTION, 3, 100, -1);
    ck_assert_uint_eq(retry.limit, 0);
    uint32_t limits[] = {50, 25, 12, 6, 3, 1, 1};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        failed(&retry, LEAT_ENGINE_CONTENTION, 1, retry.limit > 0 ? retry.limit : 100, -1);
        ck_assert_uint_eq(retry.limit, limits[i]);
    }
    leat_retry_applied(&retry, 1, 100);
    ck_assert_uint_eq(retry.limit, 2);
}
END_TEST

START_TEST(what_the_database_refuses_is_dead_at_once)
{
    leat_retry retry = {0};
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 50, INT64_MAX), LEAT_RETRY_DEAD);
    ck_assert_int_eq(leat_retry_mark_dead(&retry, LEAT_ENGINE_BAD_DATA, false), LEAT_RETRY_AT_ONCE);
    ck_assert(retry.dead && retry.alone && retry.limit == 1);
    leat_retry_applied(&retry, 1, 100);
    ck_assert(!retry.dead && !retry.refused && !retry.alone);
}
END_TEST

START_TEST(what_leat_refuses_is_dead_once_somebody_has_looked_since)
{
    leat_retry retry = {0};
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 50, 50), LEAT_RETRY_LATER);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 60, 50), LEAT_RETRY_LATER);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 70, 50), LEAT_RETRY_LATER);
    ck_assert_uint_eq(retry.delays, 1); /* the shortest back-off */
    ck_assert(!retry.held);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 80, 51), LEAT_RETRY_DEAD);
}
END_TEST

START_TEST(that_nobody_looks_is_said_in_the_end)
{
    leat_retry retry = {0};
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 50, 10), LEAT_RETRY_LATER);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 60000049, 10), LEAT_RETRY_LATER);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 60000050, 10), LEAT_RETRY_HELD);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 60000060, 60000055), LEAT_RETRY_DEAD);
}
END_TEST

/* The record was read at `read_us`; patience is 1,000. */
static leat_retry_verdict not_yet_at(leat_retry *retry, int64_t read_us, int64_t now_us,
                                     bool preceded)
{
    return leat_retry_failed(retry, LEAT_ENGINE_NOT_YET,
                             &(leat_retry_attempt){.queues = 1,
                                                   .records = 1,
                                                   .culprit = -1,
                                                   .now_us = now_us,
                                                   .read_us = read_us,
                                                   .preceded = preceded,
                                                   .catalog_read_us = INT64_MAX,
                                                   .patience_us = 1000});
}

START_TEST(not_yet_is_dead_when_patience_is_over_since_it_was_read)
{
    leat_retry retry = {0};
    ck_assert_int_eq(not_yet_at(&retry, 50, 60, false), LEAT_RETRY_LATER);
    ck_assert_int_eq(not_yet_at(&retry, 50, 1049, false), LEAT_RETRY_LATER);
    ck_assert_uint_eq(retry.delays, 2);
    ck_assert_int_eq(not_yet_at(&retry, 50, 1050, false), LEAT_RETRY_DEAD);
    /* The record queued after it has used up its own, but is tried once more. */
    leat_retry_applied(&retry, 1, 100);
    ck_assert_int_eq(not_yet_at(&retry, 51, 1060, false), LEAT_RETRY_LATER);
    ck_assert_int_eq(not_yet_at(&retry, 51, 1080, false), LEAT_RETRY_DEAD);
    leat_retry_applied(&retry, 1, 100);
    ck_assert_int_eq(not_yet_at(&retry, 500, 1090, false), LEAT_RETRY_LATER);
    ck_assert_int_eq(not_yet_at(&retry, 500, 1499, false), LEAT_RETRY_LATER);
    ck_assert_int_eq(not_yet_at(&retry, 500, 1500, false), LEAT_RETRY_DEAD);
}
END_TEST

/* It dies by a try that began when nothing before it was left to be decided. */
START_TEST(what_precedes_it_is_waited_for_and_asked_after)
{
    leat_retry retry = {0};
    for (int64_t at = 2000; at < 100000; at += 1000)
        ck_assert_int_eq(not_yet_at(&retry, 50, at, true), LEAT_RETRY_LATER);
    ck_assert_uint_le(retry.delays, 4); /* a matter of moments */
    ck_assert_int_eq(not_yet_at(&retry, 50, 100000, false), LEAT_RETRY_LATER);
    ck_assert_int_eq(not_yet_at(&retry, 50, 100020, false), LEAT_RETRY_DEAD);
}
END_TEST

START_TEST(one_that_waited_longer_and_is_applied_has_it_asked_again)
{
    leat_retry retry = {0};
    not_yet_at(&retry, 50, 60, false);
    /* later than this one: its own patience does end */
    ck_assert(!leat_retry_hurry(&retry, 50, 51));
    ck_assert(leat_retry_hurry(&retry, 50, 50));
    ck_assert_uint_eq(retry.delays, 0);
    ck_assert_int_eq(not_yet_at(&retry, 50, 2000, false), LEAT_RETRY_LATER);
    ck_assert_int_eq(not_yet_at(&retry, 50, 2020, false), LEAT_RETRY_DEAD);
}
END_TEST

START_TEST(who_precedes_whom)
{
    leat_retry idle = {0}, waits = {0}, stuck = {0}, locked = {0};
    ck_assert(leat_retry_precedes(&idle, 50, 50) && leat_retry_precedes(&idle, 49, 50) &&
              !leat_retry_precedes(&idle, 51, 50));
    not_yet_at(&waits, 50, 60, false);
    ck_assert(leat_retry_precedes(&waits, 50, 51) && !leat_retry_precedes(&waits, 50, 50)); /* never
                                                                                               each
                                                                                               other
                                                                                             */
    refused_at(&stuck, LEAT_ENGINE_DRIFT, 60, INT64_MAX);
    for (int i = 0; i < 3; i++)
        failed(&locked, LEAT_ENGINE_CONTENTION, 1, 1, -1);
    ck_assert(!leat_retry_precedes(&stuck, 10, 50) && !leat_retry_precedes(&locked, 10, 50));
    leat_retry dropped = {.blocked = true, .contentions = 1, .delays = 1};
    leat_retry_dropped(&dropped); /* its row is as locked as before the claim */
    ck_assert(!leat_retry_precedes(&dropped, 10, 50));
}
END_TEST

START_TEST(it_is_tried_when_its_patience_ends)
{
    leat_retry retry = {0};
    not_yet_at(&retry, 50, 900, false);
    leat_retry_attempt attempt = {.now_us = 900, .read_us = 50, .patience_us = 1000};
    ck_assert_int_eq(leat_retry_delay_us(&retry, &attempt, 100), 100);
    ck_assert_int_eq(leat_retry_delay_us(&retry, &attempt, 5000), 150);
    attempt.now_us = 1050;
    ck_assert_int_eq(leat_retry_delay_us(&retry, &attempt, 5000), 5000);
    leat_retry drifts = {0};
    refused_at(&drifts, LEAT_ENGINE_DRIFT, 60, INT64_MAX);
    attempt.now_us = 60;
    ck_assert_int_eq(leat_retry_delay_us(&drifts, &attempt, 5000), 5000);
}
END_TEST

/* The missing row could not come meanwhile. */
START_TEST(patience_begins_anew_after_another_refusal)
{
    static const leat_engine_outcome others[] = {LEAT_ENGINE_DRIFT, LEAT_ENGINE_OUTAGE,
                                                 LEAT_ENGINE_NOT_UNDERSTOOD};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        leat_retry retry = {0};
        ck_assert_int_eq(not_yet_at(&retry, 50, 60, false), LEAT_RETRY_LATER);
        refused_at(&retry, others[i], 5000, INT64_MAX);
        ck_assert_int_eq(not_yet_at(&retry, 50, 5010, false), LEAT_RETRY_LATER);
        ck_assert_int_eq(not_yet_at(&retry, 50, 5999, false), LEAT_RETRY_LATER);
        ck_assert_int_eq(not_yet_at(&retry, 50, 6000, false), LEAT_RETRY_DEAD);
        /* The same holds for records queued after it. */
        leat_retry_applied(&retry, 1, 100);
        refused_at(&retry, others[i], 7000, INT64_MAX);
        leat_retry_applied(&retry, 1, 100);
        ck_assert_int_eq(not_yet_at(&retry, 60, 7010, false), LEAT_RETRY_LATER);
        ck_assert_int_eq(not_yet_at(&retry, 60, 7999, false), LEAT_RETRY_LATER);
        ck_assert_int_eq(not_yet_at(&retry, 60, 8000, false), LEAT_RETRY_DEAD);
    }
}
END_TEST

/* A record error of a record that was read at 0; so many of its table were applied before. */
static leat_retry_verdict record_error_at(leat_retry *retry, int64_t now_us, uint64_t table_applied,
                                          bool preceded)
{
    return leat_retry_failed(retry, LEAT_ENGINE_RECORD_ERROR,
                             &(leat_retry_attempt){.queues = 1,
                                                   .records = 1,
                                                   .culprit = -1,
                                                   .now_us = now_us,
                                                   .preceded = preceded,
                                                   .table_applied = table_applied,
                                                   .catalog_read_us = INT64_MAX,
                                                   .patience_us = 1000});
}

START_TEST(a_record_error_is_the_record_s_when_others_of_its_table_pass)
{
    leat_retry retry = {0};
    ck_assert_int_eq(record_error_at(&retry, 50, 7, false), LEAT_RETRY_HELD); /* reported at once */
    for (int64_t at = 100; at < 100000; at += 1000)
        ck_assert_int_eq(record_error_at(&retry, at, 7, false), LEAT_RETRY_HELD);
    ck_assert_int_eq(record_error_at(&retry, 100000, 8, true), LEAT_RETRY_HELD);
    ck_assert_int_eq(record_error_at(&retry, 100010, 8, false), LEAT_RETRY_DEAD);
    /* Each is told apart from its table again, for its whole patience. */
    leat_retry next = {0};
    record_error_at(&next, 50, 7, false);
    ck_assert_int_eq(record_error_at(&next, 999, 8, false), LEAT_RETRY_HELD);
    ck_assert_int_eq(record_error_at(&next, 1000, 8, false), LEAT_RETRY_DEAD);
    leat_retry_mark_dead(&next, LEAT_ENGINE_RECORD_ERROR, false);
    refused_at(&next, LEAT_ENGINE_OUTAGE, 1001, INT64_MAX);
    ck_assert_int_eq(record_error_at(&next, 3000, 9, false), LEAT_RETRY_HELD);
}
END_TEST

static leat_retry_verdict outage_of(leat_retry *retry, uint32_t queues, uint32_t records,
                                    bool from_rows, uint64_t shard_applied)
{
    return leat_retry_failed(retry, LEAT_ENGINE_OUTAGE,
                             &(leat_retry_attempt){.queues = queues,
                                                   .records = records,
                                                   .culprit = -1,
                                                   .from_rows = from_rows,
                                                   .shard_applied = shard_applied,
                                                   .catalog_read_us = INT64_MAX,
                                                   .patience_us = 1000});
}

START_TEST(an_outage_of_leat_s_own_statements_narrows_nothing)
{
    leat_retry retry = {0};
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(outage_of(&retry, 3, 100, false, 0), LEAT_RETRY_LATER);
    ck_assert(!retry.alone && retry.limit == 0);
}
END_TEST

START_TEST(an_outage_that_comes_again_is_narrowed_to_a_record)
{
    leat_retry retry = {0};
    ck_assert_int_eq(outage_of(&retry, 3, 100, true, 5), LEAT_RETRY_LATER);
    ck_assert(!retry.alone); /* they wake together */
    ck_assert_int_eq(outage_of(&retry, 3, 100, true, 5), LEAT_RETRY_LATER);
    ck_assert(retry.alone);
    /* Nobody gets through: with back-off. */
    ck_assert_int_eq(outage_of(&retry, 1, 100, true, 5), LEAT_RETRY_LATER);
    ck_assert_uint_eq(retry.limit, 50);
    /* Others do: at once. */
    uint32_t limits[] = {25, 12, 6, 3, 1};
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_int_eq(outage_of(&retry, 1, retry.limit, true, 6 + i), LEAT_RETRY_AT_ONCE);
        ck_assert_uint_eq(retry.limit, limits[i]);
    }
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(outage_of(&retry, 1, 1, true, 20), LEAT_RETRY_HELD); /* never dead */
    leat_retry_applied(&retry, 1, 100);
    ck_assert(!retry.alone && !retry.held);
}
END_TEST

START_TEST(a_race_is_tried_again_twice_and_then_waits)
{
    leat_retry retry = {0};
    leat_retry_attempt attempt = {.queues = 1,
                                  .records = 1,
                                  .culprit = -1,
                                  .may_be_race = true,
                                  .catalog_read_us = INT64_MAX,
                                  .patience_us = 1000};
    ck_assert_int_eq(leat_retry_failed(&retry, LEAT_ENGINE_NOT_YET, &attempt), LEAT_RETRY_AT_ONCE);
    ck_assert_int_eq(leat_retry_failed(&retry, LEAT_ENGINE_NOT_YET, &attempt), LEAT_RETRY_AT_ONCE);
    ck_assert_int_eq(leat_retry_failed(&retry, LEAT_ENGINE_NOT_YET, &attempt), LEAT_RETRY_LATER);
    ck_assert(retry.waiting);
    attempt.now_us = 1000;
    ck_assert_int_eq(leat_retry_failed(&retry, LEAT_ENGINE_NOT_YET, &attempt), LEAT_RETRY_DEAD);
}
END_TEST

START_TEST(drift_is_never_dead)
{
    leat_retry retry = {0};
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_DRIFT, 50, INT64_MAX), LEAT_RETRY_LATER);
    ck_assert(!retry.held);
    for (int64_t at = 100; at < 100000; at += 1000)
        ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_DRIFT, at, INT64_MAX), LEAT_RETRY_HELD);
    ck_assert(retry.held && !retry.dead);
}
END_TEST

START_TEST(a_dead_letter_that_fails_is_one_no_more)
{
    static const struct {
        leat_engine_outcome outcome;
        leat_retry_verdict verdict;
    } cases[] = {
        {LEAT_ENGINE_CONTENTION, LEAT_RETRY_LATER}, {LEAT_ENGINE_OUTAGE, LEAT_RETRY_LATER},
        {LEAT_ENGINE_BAD_DATA, LEAT_RETRY_HELD},    {LEAT_ENGINE_NOT_YET, LEAT_RETRY_HELD},
        {LEAT_ENGINE_DRIFT, LEAT_RETRY_HELD},       {LEAT_ENGINE_NOT_UNDERSTOOD, LEAT_RETRY_HALT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_retry retry = {0};
        ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 50, INT64_MAX), LEAT_RETRY_DEAD);
        leat_retry_mark_dead(&retry, LEAT_ENGINE_BAD_DATA, false);
        ck_assert_int_eq(refused_at(&retry, cases[i].outcome, 51, INT64_MAX), cases[i].verdict);
        ck_assert(!retry.dead && retry.alone && retry.limit == 1);
        ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 52, INT64_MAX), LEAT_RETRY_DEAD);
    }
}
END_TEST

/* The look that condemned it is of before the trouble. */
START_TEST(after_a_dead_letter_that_fails_somebody_has_to_look_again)
{
    leat_retry retry = {0};
    refused_at(&retry, LEAT_ENGINE_BAD_DATA, 50, 40);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 60, 55), LEAT_RETRY_DEAD);
    leat_retry_mark_dead(&retry, LEAT_ENGINE_BAD_DATA, false);
    refused_at(&retry, LEAT_ENGINE_OUTAGE, 70, INT64_MAX);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 80, 55), LEAT_RETRY_LATER);
    ck_assert_int_eq(refused_at(&retry, LEAT_ENGINE_BAD_DATA, 90, 85), LEAT_RETRY_DEAD);
}
END_TEST

START_TEST(what_is_not_understood_is_not_hunted_down)
{
    leat_retry retry = {0};
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_NOT_UNDERSTOOD, 3, 5, -1), LEAT_RETRY_HALT);
    ck_assert_int_eq(failed(&retry, LEAT_ENGINE_NOT_UNDERSTOOD, 1, 5, 2), LEAT_RETRY_HALT);
    ck_assert(retry.alone && retry.limit == 0 && retry.suspects == 0 && !retry.refused);
}
END_TEST

START_TEST(the_limit_grows_back)
{
    leat_retry retry = {0};
    failed(&retry, LEAT_ENGINE_BAD_DATA, 1, 1, -1);
    uint32_t limits[] = {2, 4, 8, 0};
    for (size_t i = 0; i < 4; i++) {
        leat_retry_applied(&retry, 1, 16);
        ck_assert_uint_eq(retry.limit, limits[i]);
        ck_assert(!retry.alone && !retry.held);
    }
}
END_TEST

START_TEST(others_are_not_blamed_for_a_named_one)
{
    leat_retry retry = {0};
    leat_retry_attempt attempt = {.queues = 2, .records = 3, .culprit = -1, .elsewhere = true};
    ck_assert_int_eq(leat_retry_failed(&retry, LEAT_ENGINE_BAD_DATA, &attempt), LEAT_RETRY_AT_ONCE);
    ck_assert(!retry.alone && retry.limit == 0);
}
END_TEST

STORY_MAIN("retry", contention_goes_from_together_to_alone_to_later,
           a_locked_row_splits_the_batch_at_once,
           what_is_before_a_locked_row_passes_and_what_is_after_it_stays_apart,
           a_locked_row_is_reported_after_the_lock_timeout,
           that_it_is_blocked_survives_a_claim_and_ends_with_another_answer,
           a_claim_in_the_way_is_held_against_no_record,
           one_without_room_waits_and_those_before_it_go_on,
           a_record_that_takes_too_long_alone_gets_more_time, halving_finds_it_wherever_it_is,
           a_named_one_goes_after_its_prefix_and_alone, contention_alone_takes_half_each_time,
           what_the_database_refuses_is_dead_at_once,
           what_leat_refuses_is_dead_once_somebody_has_looked_since,
           that_nobody_looks_is_said_in_the_end,
           not_yet_is_dead_when_patience_is_over_since_it_was_read,
           what_precedes_it_is_waited_for_and_asked_after,
           one_that_waited_longer_and_is_applied_has_it_asked_again, who_precedes_whom,
           it_is_tried_when_its_patience_ends, patience_begins_anew_after_another_refusal,
           drift_is_never_dead, a_record_error_is_the_record_s_when_others_of_its_table_pass,
           an_outage_of_leat_s_own_statements_narrows_nothing,
           an_outage_that_comes_again_is_narrowed_to_a_record,
           a_race_is_tried_again_twice_and_then_waits, a_dead_letter_that_fails_is_one_no_more,
           after_a_dead_letter_that_fails_somebody_has_to_look_again,
           what_is_not_understood_is_not_hunted_down, the_limit_grows_back,
           others_are_not_blamed_for_a_named_one)
