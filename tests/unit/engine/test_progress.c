#include "engine/batch.h"
#include "story.h"

static void begin(leat_engine_progress *progress, int64_t base_seq, int64_t low)
{
    int64_t base[TEST_SUBPARTITIONS];
    for (int i = 0; i < TEST_SUBPARTITIONS; i++)
        base[i] = i == 5 ? 50 : -1;
    leat_engine_progress_begin(progress, (leat_engine_claim){{1}}, 2, base_seq, base, low,
                               (leat_engine_newest){40, 7, 2});
}

START_TEST(no_offset_is_below_low)
{
    TEST_PROGRESS(progress);
    begin(&progress, 3, 20);
    ck_assert_int_eq(progress.offsets[0], 20);
    ck_assert_int_eq(progress.offsets[5], 50);
    ck_assert_int_eq(progress.next_seq, 4);
    ck_assert_int_eq(leat_engine_progress_read_from(&progress), 21);
    ck_assert_int_eq(leat_engine_progress_high(&progress), 50);
}
END_TEST

START_TEST(rows_count_in_any_order)
{
    int16_t subpartitions[] = {5, 6};
    int64_t newer[] = {70, 60};
    int64_t older[] = {60, 55};
    for (int i = 0; i < 2; i++) {
        TEST_PROGRESS(progress);
        begin(&progress, 3, -1);
        ck_assert_int_eq(leat_engine_progress_row(&progress, i ? 9 : 7, subpartitions,
                                                  i ? newer : older, 2, i ? 700 : 600, 3),
                         0);
        ck_assert_int_eq(leat_engine_progress_row(&progress, i ? 7 : 9, subpartitions,
                                                  i ? older : newer, 2, i ? 600 : 700, 3),
                         0);
        ck_assert_int_eq(progress.offsets[5], 70);
        ck_assert_int_eq(progress.last_seq[5], 9);
        ck_assert_int_eq(progress.last_seq[6], 9);
        ck_assert_int_eq(progress.next_seq, 10);
        ck_assert_int_eq(leat_engine_progress_high(&progress), 70);
        ck_assert_int_eq(progress.newest.offset, 70);
        ck_assert_int_eq(progress.newest.at_ms, 700);
        ck_assert_int_eq(progress.newest.epoch, 3);
    }
}
END_TEST

START_TEST(a_row_the_base_has_passed_is_no_need_but_uses_its_number)
{
    TEST_PROGRESS(progress);
    begin(&progress, 3, -1);
    int16_t subpartition = 5;
    int64_t offset = 50;
    ck_assert_int_eq(leat_engine_progress_row(&progress, 8, &subpartition, &offset, 1, 500, 3), 0);
    ck_assert_int_eq(progress.last_seq[5], 0);
    ck_assert_int_eq(progress.next_seq, 9);
}
END_TEST

START_TEST(a_row_that_makes_no_sense_changes_nothing)
{
    TEST_PROGRESS(progress);
    begin(&progress, 3, -1);
    int16_t subpartitions[] = {1, 64};
    int64_t offsets[] = {9, 9};
    ck_assert_int_eq(leat_engine_progress_row(&progress, 8, subpartitions, offsets, 2, 1, 3), -1);
    subpartitions[1] = -1;
    ck_assert_int_eq(leat_engine_progress_row(&progress, 8, subpartitions, offsets, 2, 1, 3), -1);
    ck_assert_int_eq(progress.offsets[1], -1);
    ck_assert_int_eq(progress.next_seq, 4);
    ck_assert_int_eq(progress.newest.offset, 40);
}
END_TEST

START_TEST(reading_begins_where_the_newest_record_can_be_compared)
{
    static const struct {
        int64_t low, newest, from;
    } cases[] = {
        {-1, -1, -1}, {9, -1, -1},  /* none was ever applied: a record up to 9 was not there */
        {20, 20, 20}, {25, 20, 20}, /* the low water is after it, on an offset without a record */
        {20, 30, 21},               /* it comes on the way */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_engine_progress progress = {.low = cases[i].low,
                                         .newest = {.offset = cases[i].newest}};
        ck_assert_int_eq(leat_engine_progress_read_from(&progress), cases[i].from);
    }
}
END_TEST

STORY_MAIN("progress", no_offset_is_below_low, rows_count_in_any_order,
           a_row_the_base_has_passed_is_no_need_but_uses_its_number,
           a_row_that_makes_no_sense_changes_nothing,
           reading_begins_where_the_newest_record_can_be_compared)
