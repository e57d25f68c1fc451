#include "engine/heap.h"
#include "story.h"

enum { IDS = 40 };

START_TEST(the_lowest_comes_first_whatever_is_moved_or_taken_out)
{
    leat_heap_entry entries[IDS];
    uint32_t where[IDS];
    int64_t keys[IDS];
    bool in[IDS] = {false};
    for (int i = 0; i < IDS; i++)
        where[i] = LEAT_HEAP_NOWHERE;
    leat_heap heap;
    leat_heap_init(&heap, entries, where);
    ck_assert_ptr_null(leat_heap_first(&heap));
    leat_prng prng = {5};
    for (int step = 0; step < 20000; step++) {
        uint32_t id = (uint32_t)leat_prng_below(&prng, IDS);
        if (leat_prng_below(&prng, 3) == 0) {
            leat_heap_remove(&heap, id);
            in[id] = false;
        } else {
            keys[id] = (int64_t)leat_prng_below(&prng, 50);
            leat_heap_set(&heap, id, keys[id]);
            in[id] = true;
        }
        leat_heap_validate(&heap);
        const leat_heap_entry *first = leat_heap_first(&heap);
        for (uint32_t i = 0; i < IDS; i++) {
            ck_assert_int_eq(leat_heap_has(&heap, i), in[i]);
            ck_assert(!in[i] || (first && first->key <= keys[i]));
        }
    }
}
END_TEST

STORY_MAIN("heap", the_lowest_comes_first_whatever_is_moved_or_taken_out)
