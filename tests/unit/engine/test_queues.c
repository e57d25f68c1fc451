#include "engine/queues.h"
#include "story.h"

static leat_record_slot slots[8];
static char payloads[8];

static void push(leat_pool *pool, leat_queue *queue, uint32_t n, uint32_t bytes)
{
    uint32_t slot = leat_pool_take(pool);
    slots[slot].payload = &payloads[n];
    slots[slot].bytes = bytes;
    leat_queue_push(queue, pool, slot);
}

START_TEST(released_payloads_come_back_in_order_and_free_their_slots)
{
    leat_pool pool;
    leat_pool_init(&pool, slots, 8);
    leat_queue a, b;
    leat_queue_init(&a);
    leat_queue_init(&b);
    for (uint32_t i = 0; i < 8; i++)
        push(&pool, i % 2 ? &b : &a, i, 10 + i);
    ck_assert_uint_eq(pool.free_count, 0);
    ck_assert_uint_eq(leat_queue_release(&a, &pool, 2), 10 + 12);
    ck_assert_uint_eq(leat_queue_release(&b, &pool, 4), 11 + 13 + 15 + 17);
    ck_assert_uint_eq(a.count, 2);
    ck_assert_uint_eq(a.bytes, 14 + 16);
    void *got[8];
    ck_assert_uint_eq(leat_pool_released(&pool, got, 4), 4);
    ck_assert_uint_eq(leat_pool_released(&pool, got + 4, 4), 2);
    ck_assert_uint_eq(leat_pool_released(&pool, got, 4), 0);
    char *expected[] = {&payloads[0], &payloads[2], &payloads[1],
                        &payloads[3], &payloads[5], &payloads[7]};
    for (int i = 0; i < 6; i++)
        ck_assert_ptr_eq(got[i], expected[i]);
    ck_assert_uint_eq(pool.free_count, 6);
    push(&pool, &b, 1, 5);
    ck_assert_uint_eq(b.count, 1);
    ck_assert_uint_eq(leat_queue_release(&a, &pool, 2), 30);
    ck_assert_uint_eq(leat_queue_release(&b, &pool, 1), 5);
    ck_assert_uint_eq(leat_pool_released(&pool, got, 8), 3);
    ck_assert_uint_eq(pool.free_count, 8);
}
END_TEST

START_TEST(what_fits_is_a_prefix)
{
    leat_pool pool;
    leat_pool_init(&pool, slots, 8);
    leat_queue queue;
    leat_queue_init(&queue);
    for (uint32_t i = 0; i < 4; i++)
        push(&pool, &queue, i, 10);
    uint64_t bytes;
    ck_assert_uint_eq(leat_queue_fit(&queue, &pool, 100, 1000, true, &bytes), 4);
    ck_assert_uint_eq(bytes, 40);
    ck_assert_uint_eq(leat_queue_fit(&queue, &pool, 3, 1000, true, &bytes), 3);
    ck_assert_uint_eq(leat_queue_fit(&queue, &pool, 100, 25, true, &bytes), 2);
    ck_assert_uint_eq(bytes, 20);
    ck_assert_uint_eq(leat_queue_fit(&queue, &pool, 100, 5, true, &bytes), 1);
    ck_assert_uint_eq(leat_queue_fit(&queue, &pool, 100, 5, false, &bytes), 0);
}
END_TEST

STORY_MAIN("queues", released_payloads_come_back_in_order_and_free_their_slots,
           what_fits_is_a_prefix)
