/* The set of seqs that a batch needs. */
#include "engine/needs.h"
#include "story.h"

enum { SEQS = 300 };

static leat_needs_place places[1024];

static leat_needs empty(uint32_t seqs)
{
    leat_needs needs;
    uint32_t count = leat_needs_places(seqs);
    ck_assert_uint_ge(count, 2 * seqs);
    ck_assert_uint_le(count, sizeof places / sizeof *places);
    memset(places, 0, sizeof places);
    leat_needs_init(&needs, places, count);
    leat_needs_begin(&needs);
    return needs;
}

START_TEST(each_seq_is_taken_once_and_0_never)
{
    leat_needs needs = empty(SEQS);
    ck_assert(!leat_needs_add(&needs, 0));
    for (int64_t seq = 1; seq <= SEQS; seq++)
        ck_assert(leat_needs_add(&needs, seq * 1024)); /* all have one place */
    for (int64_t seq = 1; seq <= SEQS; seq++)
        ck_assert(!leat_needs_add(&needs, seq * 1024));
    ck_assert(!leat_needs_add(&needs, 0));
}
END_TEST

START_TEST(a_new_round_begins_empty)
{
    leat_needs needs = empty(1);
    for (int64_t round = 0; round < 5; round++) {
        ck_assert(leat_needs_add(&needs, 7));
        ck_assert(!leat_needs_add(&needs, 7));
        leat_needs_begin(&needs);
    }
    ck_assert(leat_needs_add(&needs, INT64_MAX));
}
END_TEST

STORY_MAIN("needs", each_seq_is_taken_once_and_0_never, a_new_round_begins_empty)
