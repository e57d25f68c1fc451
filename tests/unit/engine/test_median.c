#include "engine/median.h"
#include "story.h"

START_TEST(half_of_the_last_numbers_are_below_it)
{
    leat_median median = {0};
    ck_assert_int_eq(median.median, 0);
    leat_median_add(&median, 10);
    ck_assert_int_eq(median.median, 10);
    leat_median_add(&median, 1000000);
    leat_median_add(&median, 12);
    ck_assert_int_eq(median.median, 12);
    for (int i = 0; i < LEAT_MEDIAN_OF; i++)
        leat_median_add(&median, 100 - i);
    ck_assert_int_eq(median.median, 100 - LEAT_MEDIAN_OF / 2);
    leat_median_clear(&median);
    ck_assert_int_eq(median.median, 0);
}
END_TEST

STORY_MAIN("median", half_of_the_last_numbers_are_below_it)
