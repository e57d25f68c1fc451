#include "story.h"

START_TEST(every_outcome_has_a_name)
{
    for (int i = 0; i < LEAT_OUTCOME_COUNT; i++) {
        const char *name = leat_outcome_name((leat_outcome)i);
        ck_assert_ptr_nonnull(name);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(name, leat_outcome_name((leat_outcome)j));
    }
    ck_assert_str_eq(leat_outcome_name(LEAT_WENT_BACK), "went back");
}
END_TEST

STORY_MAIN("batch", every_outcome_has_a_name)
