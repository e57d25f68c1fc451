/* test_held.c - the set of held keys, and which of them is due first, against a list. */
#include "engine/held.h"

#include "story.h"

enum { MAX = 5 };

static void expect_first_due(const leat_held *held, const int64_t *due_us, const bool *in)
{
    int64_t first_us = INT64_MAX;
    for (uint32_t i = 0; i < 40; i++)
        first_us = in[i] && due_us[i] < first_us ? due_us[i] : first_us;
    const leat_held_place *first = leat_held_first_due(held);
    ck_assert_int_eq(first ? first->due_us : INT64_MAX, first_us);
    leat_held_validate(held);
}

START_TEST(it_is_the_set_that_a_list_would_be)
{
    leat_held_place places[16] = {0};
    leat_pairing_node dues[16];
    leat_held held;
    ck_assert_uint_eq(leat_held_places(MAX), 16);
    memset(dues, 0x55, sizeof dues);
    uint16_t of[3] = {0};
    leat_held_init(&held, places, dues, of, MAX, 2);
    bool in[40] = {false};
    int64_t due_us[40];
    uint32_t count = 0;
    leat_prng prng = {7};
    for (int step = 0; step < 3000; step++) {
        /* Most share their first places with others. */
        uint32_t at = (uint32_t)leat_prng_below(&prng, 40);
        uint64_t key = 14 + at % 4 + 16 * (uint64_t)(at / 4);
        if (in[at]) {
            leat_held_remove(&held, key);
            in[at] = false;
            count--;
        } else if (!leat_held_is_full(&held)) {
            leat_held_add(&held, key, (uint16_t)(key % 3), (int64_t)at);
            leat_held_add(&held, key, 0, -1); /* it is there */
            in[at] = true;
            due_us[at] = INT64_MAX;
            count++;
        }
        uint32_t other_at = (uint32_t)leat_prng_below(&prng, 40);
        if (in[other_at]) {
            due_us[other_at] = leat_prng_below(&prng, 3) ? (int64_t)leat_prng_below(&prng, 100)
                                                         : INT64_MAX;
            uint64_t other = 14 + other_at % 4 + 16 * (uint64_t)(other_at / 4);
            leat_held_set_due(&held, leat_held_find(&held, other), due_us[other_at]);
        }
        expect_first_due(&held, due_us, in);
        ck_assert_uint_eq(held.count, count);
        uint32_t counts[3] = {0};
        for (uint32_t i = 0; i < 40; i++) {
            uint64_t other = 14 + i % 4 + 16 * (uint64_t)(i / 4);
            counts[other % 3] += in[i];
            ck_assert_int_eq(leat_held_has(&held, other), in[i]);
            if (in[i])
                ck_assert_int_eq(leat_held_find(&held, other)->since_us, i);
        }
        for (uint32_t i = 0; i < 3; i++) {
            ck_assert_uint_eq(of[i], counts[i]);
            ck_assert_int_eq(leat_held_is_full_of(&held, i), counts[i] >= 2);
        }
    }
    leat_held_clear(&held);
    ck_assert_uint_eq(held.count, 0);
    ck_assert(of[0] == 0 && of[1] == 0 && of[2] == 0);
    ck_assert(!leat_held_has(&held, 14) && !leat_held_has(&held, 0));
    ck_assert_ptr_null(leat_held_first_due(&held));
}
END_TEST

START_TEST(it_keeps_what_is_known)
{
    leat_prng prng = {9};
    for (int round = 0; round < 2000; round++) {
        leat_held_place places[16] = {0};
        leat_pairing_node dues[16];
        leat_engine_held known[MAX];
        leat_held held;
        uint32_t count = 0;
        uint16_t of[3] = {0};
        leat_held_init(&held, places, dues, of, MAX, MAX);
        for (uint64_t key = 12; key < 20; key++) {
            bool is_in = leat_prng_below(&prng, 2) == 0 && !leat_held_is_full(&held);
            if (is_in)
                leat_held_set_due(
                    &held, leat_held_add(&held, key % 3 ? key : key + 16, (uint16_t)(key % 3), 1),
                    (int64_t)key);
        }
        for (uint64_t key = 12; key < 36 && count < MAX; key++)
            if (leat_prng_below(&prng, 3) == 0)
                known[count++] = (leat_engine_held){.key = key};
        bool before[36];
        for (uint64_t key = 12; key < 36; key++)
            before[key] = leat_held_has(&held, key);
        leat_held_keep_only(&held, known, count);
        uint32_t left = 0;
        for (uint64_t key = 12; key < 36; key++) {
            bool is_known = false;
            for (uint32_t i = 0; i < count; i++)
                is_known = is_known || known[i].key == key;
            ck_assert_int_eq(leat_held_has(&held, key), before[key] && is_known);
            left += before[key] && is_known;
        }
        ck_assert_uint_eq(held.count, left);
        ck_assert_uint_eq((uint32_t)of[0] + of[1] + of[2], left);
        leat_held_validate(&held);
    }
}
END_TEST

/* However often looks are wanted, a retry that is overdue comes first, and so does an older look.
 */
START_TEST(looks_go_after_what_is_overdue)
{
    leat_held_place places[16] = {0};
    leat_pairing_node dues[16];
    leat_held held;
    uint16_t of[1] = {0};
    leat_held_init(&held, places, dues, of, MAX, MAX);
    for (uint64_t key = 1; key <= 3; key++)
        leat_held_add(&held, key, 0, 0);
    leat_held_set_due(&held, leat_held_find(&held, 2), 5);
    for (int64_t now_us = 10; now_us < 15; now_us++) {
        leat_held_look(&held, now_us);
        ck_assert_uint_eq(leat_held_first_due(&held)->key, 2);
        ck_assert_int_eq(leat_held_first_due(&held)->due_us, 5);
        ck_assert_int_eq(leat_held_find(&held, 3)->look_us, 10);
    }
    leat_held_set_look(&held, leat_held_find(&held, 3), 30); /* it has failed */
    leat_held_look(&held, 20);
    ck_assert_int_eq(leat_held_find(&held, 3)->look_us, 20);
    leat_held_look(&held, INT64_MAX);
    ck_assert_int_eq(leat_held_find(&held, 3)->due_us, INT64_MAX);
    ck_assert_int_eq(leat_held_find(&held, 2)->due_us, 5);
    leat_held_validate(&held);
}
END_TEST

STORY_MAIN("held", it_is_the_set_that_a_list_would_be, it_keeps_what_is_known,
           looks_go_after_what_is_overdue)
