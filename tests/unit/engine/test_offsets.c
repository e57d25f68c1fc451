#include "engine/offsets.h"
#include "story.h"

static leat_offsets_entry entries[3];

static leat_offsets begin(int64_t low)
{
    leat_offsets offsets;
    leat_offsets_init(&offsets, entries, 3);
    leat_offsets_begin(&offsets, low);
    return offsets;
}

START_TEST(low_is_the_last_record_before_the_first_gap_in_what_is_done)
{
    leat_offsets offsets = begin(4);
    uint32_t a = leat_offsets_push(&offsets, 10, 100);
    uint32_t b = leat_offsets_push(&offsets, 20, 200);
    uint32_t c = leat_offsets_push(&offsets, 21, 210);
    ck_assert(!leat_offsets_room(&offsets));
    ck_assert_int_eq(leat_offsets_oldest_ms(&offsets), 100);
    leat_offsets_complete(&offsets, b);
    ck_assert_int_eq(offsets.low, 4);
    leat_offsets_complete(&offsets, a);
    ck_assert_int_eq(offsets.low, 20);
    leat_offsets_complete(&offsets, c);
    ck_assert_int_eq(offsets.low, 21);
    ck_assert_int_eq(leat_offsets_oldest_ms(&offsets), 0);
    leat_offsets_validate(&offsets);
}
END_TEST

START_TEST(records_done_before_move_low_when_nothing_is_outstanding)
{
    leat_offsets offsets = begin(4);
    leat_offsets_push_done(&offsets, 3, 30); /* the newest record, read again: below a low water without a record, */
    leat_offsets_push_done(&offsets, 4, 40); /* or at it */
    ck_assert_int_eq(offsets.low, 4);
    leat_offsets_push_done(&offsets, 9, 90);
    ck_assert_int_eq(offsets.low, 9);
    ck_assert_int_eq(leat_offsets_last(&offsets), 9);
}
END_TEST

START_TEST(neighbours_that_are_done_share_an_entry)
{
    leat_offsets offsets = begin(-1);
    uint32_t a = leat_offsets_push(&offsets, 0, 1);
    for (int64_t offset = 1; offset < 100; offset++) {
        ck_assert(leat_offsets_room_done(&offsets));
        leat_offsets_push_done(&offsets, offset, offset);
    }
    uint32_t b = leat_offsets_push(&offsets, 100, 1);
    ck_assert(!leat_offsets_room(&offsets) && !leat_offsets_room_done(&offsets));
    leat_offsets_complete(&offsets, b);
    ck_assert(leat_offsets_room_done(&offsets));
    leat_offsets_push_done(&offsets, 101, 7);
    ck_assert_int_eq(offsets.low, -1);
    leat_offsets_complete(&offsets, a);
    ck_assert_int_eq(offsets.low, 101);
}
END_TEST

START_TEST(what_holds_no_record_is_passed_once_all_before_it_is_done)
{
    leat_offsets offsets = begin(4);
    leat_offsets_read_to(&offsets, 8);
    ck_assert_int_eq(offsets.low, 7);
    leat_offsets_read_to(&offsets, 6); /* said late: it takes nothing back */
    ck_assert_int_eq(offsets.low, 7);
    uint32_t a = leat_offsets_push(&offsets, 10, 100);
    uint32_t b = leat_offsets_push(&offsets, 11, 110);
    ck_assert_int_eq(leat_offsets_at_ms(&offsets, b), 110);
    leat_offsets_read_to(&offsets, 15);
    leat_offsets_complete(&offsets, b);
    ck_assert_int_eq(offsets.low, 7);
    leat_offsets_complete(&offsets, a);
    ck_assert_int_eq(offsets.low, 14);
    a = leat_offsets_push(&offsets, 15, 150);
    leat_offsets_read_to(&offsets, 20);
    b = leat_offsets_push(&offsets, 30, 300);
    leat_offsets_complete(&offsets, a);
    ck_assert_int_eq(offsets.low, 15); /* what a later record has behind it counts with that record */
    leat_offsets_complete(&offsets, b);
    ck_assert_int_eq(offsets.low, 30);
    leat_offsets_validate(&offsets);
}
END_TEST

STORY_MAIN("offsets", low_is_the_last_record_before_the_first_gap_in_what_is_done,
           records_done_before_move_low_when_nothing_is_outstanding, neighbours_that_are_done_share_an_entry,
           what_holds_no_record_is_passed_once_all_before_it_is_done)
