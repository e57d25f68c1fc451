/* test_held.c - the set of held keys, against a list. */
#include "engine/held.h"

#include "story.h"

enum { MAX = 5 };

START_TEST(it_is_the_set_that_a_list_would_be)
{
    leat_held_key places[16] = {0};
    leat_held held;
    ck_assert_uint_eq(leat_held_places(MAX), 16);
    leat_held_init(&held, places, MAX);
    bool in[40] = {false};
    uint32_t count = 0;
    leat_prng prng = {7};
    for (int step = 0; step < 20000; step++) {
        /* Most share their first places with others. */
        uint32_t at = (uint32_t)leat_prng_below(&prng, 40);
        uint64_t key = 14 + at % 4 + 16 * (uint64_t)(at / 4);
        if (in[at]) {
            leat_held_remove(&held, key);
            in[at] = false;
            count--;
        } else if (!leat_held_is_full(&held)) {
            leat_held_add(&held, key, (int64_t)at);
            leat_held_add(&held, key, -1); /* it is there */
            in[at] = true;
            count++;
        }
        ck_assert_uint_eq(held.count, count);
        for (uint32_t i = 0; i < 40; i++) {
            uint64_t other = 14 + i % 4 + 16 * (uint64_t)(i / 4);
            ck_assert_int_eq(leat_held_has(&held, other), in[i]);
            if (in[i])
                ck_assert_int_eq(leat_held_find(&held, other)->since_us, i);
        }
    }
    leat_held_clear(&held);
    ck_assert_uint_eq(held.count, 0);
    ck_assert(!leat_held_has(&held, 14) && !leat_held_has(&held, 0));
}
END_TEST

STORY_MAIN("held", it_is_the_set_that_a_list_would_be)
