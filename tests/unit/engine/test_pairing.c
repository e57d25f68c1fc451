#include "engine/pairing.h"
#include "story.h"

enum { IDS = 40, HEAPS = 3 };

static uint32_t lowest(const int64_t *keys, const uint8_t *in, uint32_t heap)
{
    uint32_t found = LEAT_PAIRING_NONE;
    for (uint32_t i = 0; i < IDS; i++)
        if (in[i] == heap && (found == LEAT_PAIRING_NONE || keys[i] < keys[found]))
            found = i;
    return found;
}

START_TEST(the_lowest_of_each_heap_is_its_first_whatever_goes_in_and_out)
{
    leat_pairing_node nodes[IDS];
    int64_t keys[IDS];
    uint8_t in[IDS];
    uint32_t first[HEAPS] = {LEAT_PAIRING_NONE, LEAT_PAIRING_NONE, LEAT_PAIRING_NONE};
    memset(in, HEAPS, sizeof in);
    leat_prng prng = {5};
    for (int step = 0; step < 30000; step++) {
        uint32_t id = (uint32_t)leat_prng_below(&prng, IDS);
        if (in[id] < HEAPS) {
            first[in[id]] = leat_pairing_remove(nodes, first[in[id]], id);
            in[id] = HEAPS;
        } else {
            in[id] = (uint8_t)leat_prng_below(&prng, HEAPS);
            keys[id] = (int64_t)leat_prng_below(&prng, 50);
            first[in[id]] = leat_pairing_insert(nodes, first[in[id]], id, keys[id], 0);
        }
        for (uint32_t heap = 0; heap < HEAPS; heap++) {
            uint32_t count = 0;
            for (uint32_t i = 0; i < IDS; i++)
                count += in[i] == heap;
            ck_assert_uint_eq(leat_pairing_validate(nodes, first[heap]), count);
            if (count > 0)
                ck_assert_int_eq(keys[first[heap]], keys[lowest(keys, in, heap)]);
        }
    }
}
END_TEST

START_TEST(of_equal_keys_the_first_one_that_came_is_first)
{
    leat_pairing_node nodes[3];
    uint32_t first = leat_pairing_insert(nodes, LEAT_PAIRING_NONE, 2, 7, 0);
    first = leat_pairing_insert(nodes, first, 0, 7, 0);
    first = leat_pairing_insert(nodes, first, 1, 7, 0);
    ck_assert_uint_eq(first, 2);
}
END_TEST

STORY_MAIN("pairing", the_lowest_of_each_heap_is_its_first_whatever_goes_in_and_out,
           of_equal_keys_the_first_one_that_came_is_first)
