#include "story.h"

START_TEST(every_outcome_has_a_name)
{
    for (int i = 0; i < LEAT_ENGINE_OUTCOME_COUNT; i++) {
        const char *name = leat_engine_outcome_name((leat_engine_outcome)i);
        ck_assert_ptr_nonnull(name);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(name, leat_engine_outcome_name((leat_engine_outcome)j));
    }
    ck_assert_str_eq(leat_engine_outcome_name(LEAT_ENGINE_WENT_BACK), "went back");
}
END_TEST

STORY_MAIN("batch", every_outcome_has_a_name)
