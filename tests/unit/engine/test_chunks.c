/* The chunks of a subpartition as a count and a range, and what is loaded of them. */
#include <check.h>

#include "engine/chunks.h"

enum { SLOTS = 4 };

typedef struct fixture {
    leat_chunk_slot slots[SLOTS];
    leat_chunk_pool pool;
    leat_chunks chunks;
} fixture;

static void begin(fixture *f)
{
    leat_chunk_pool_init(&f->pool, f->slots, SLOTS);
    leat_chunks_init(&f->chunks);
}

/* A claim has found two chunks: offsets 10 to 19, of which up to 12 are done, and up to 39. */
static void claim_two(fixture *f)
{
    begin(f);
    leat_engine_parked parked = {.chunks = 2,
                                 .first_offset = 10,
                                 .done = 12,
                                 .last_offset = 39,
                                 .records = 12,
                                 .bytes = 200,
                                 .oldest_ms = 7};
    leat_chunks_claimed(&f->chunks, &parked, 1000);
}

static leat_engine_chunk chunk(int64_t first, int64_t last, int64_t done, uint32_t records)
{
    return (leat_engine_chunk){
        .first_offset = first, .last_offset = last, .done = done, .records = records, .size = 100};
}

START_TEST(a_chunk_must_be_the_next_one)
{
    fixture f;
    claim_two(&f);
    ck_assert_int_eq(f.chunks.to, 12);
    ck_assert_int_eq(leat_chunks_load_above(&f.chunks, &f.pool), -1);
    leat_engine_chunk right = chunk(10, 19, 12, 4);
    const leat_engine_chunk wrong[] = {
        chunk(10, 19, 11, 4), /* less of it is done than the claim has said */
        chunk(10, 39, 12, 4), /* the last offset is that of the last chunk */
        chunk(10, 49, 12, 4), chunk(10, 19, 19, 4), chunk(10, 19, 12, 0), chunk(20, 19, 12, 1),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert(!leat_chunks_expect(&f.chunks, &f.pool, &wrong[i]));
    ck_assert(leat_chunks_expect(&f.chunks, &f.pool, &right));
    leat_chunks_loaded(&f.chunks, &f.pool, &right, 4);
    ck_assert_int_eq(leat_chunks_load_above(&f.chunks, &f.pool), 19);
    leat_engine_chunk short_of_the_end = chunk(30, 38, 29, 8);
    leat_engine_chunk last = chunk(30, 39, 29, 8);
    ck_assert(!leat_chunks_expect(&f.chunks, &f.pool, &short_of_the_end));
    ck_assert(leat_chunks_expect(&f.chunks, &f.pool, &last));
}
END_TEST

START_TEST(several_chunks_make_one_batch_and_the_last_may_be_taken_in_part)
{
    fixture f;
    claim_two(&f);
    leat_engine_chunk one = chunk(10, 19, 12, 4), two = chunk(30, 39, 29, 8);
    leat_chunks_loaded(&f.chunks, &f.pool, &one, 4);
    leat_chunks_loaded(&f.chunks, &f.pool, &two, 8);
    ck_assert(!leat_chunks_may_load(&f.chunks, &f.pool));
    ck_assert_uint_eq(leat_chunks_held(&f.chunks, &f.pool), 12);
    ck_assert_uint_eq(leat_chunks_fit(&f.chunks, &f.pool, 6), 6);
    leat_engine_chunk_step steps[LEAT_BATCH_CHUNKS_MAX];
    ck_assert_uint_eq(leat_chunks_steps(&f.chunks, &f.pool, 6, 31, steps), 2);
    ck_assert(steps[0].done == 12 && steps[0].done_after == 19 && steps[0].records_after == 0);
    ck_assert(steps[1].done == 29 && steps[1].done_after == 31 && steps[1].records_after == 6);
    ck_assert(leat_chunks_applied(&f.chunks, &f.pool, steps, 2, 6));
    ck_assert(f.chunks.count == 1 && f.chunks.to == 31 && f.chunks.records == 6);
    ck_assert(f.chunks.bytes == 100 && f.chunks.above == 19);
    ck_assert_uint_eq(leat_chunks_steps(&f.chunks, &f.pool, 6, 39, steps), 1);
    ck_assert(steps[0].done == 31 && steps[0].done_after == 39);
    ck_assert(leat_chunks_applied(&f.chunks, &f.pool, steps, 1, 6));
    ck_assert(f.chunks.count == 0 && f.chunks.bytes == 0);
    ck_assert_uint_eq(f.pool.free_count, SLOTS);
}
END_TEST

START_TEST(a_chunk_that_had_no_room_is_loaded_again_for_the_rest)
{
    fixture f;
    claim_two(&f);
    leat_engine_chunk one = chunk(10, 19, 12, 4);
    leat_chunks_loaded(&f.chunks, &f.pool, &one, 3);
    ck_assert(!leat_chunks_may_load(&f.chunks, &f.pool)); /* the rest of it comes first */
    leat_engine_chunk_step steps[LEAT_BATCH_CHUNKS_MAX];
    ck_assert_uint_eq(leat_chunks_steps(&f.chunks, &f.pool, 3, 17, steps), 1);
    ck_assert(steps[0].done_after == 17 && steps[0].records_after == 1);
    ck_assert(leat_chunks_applied(&f.chunks, &f.pool, steps, 1, 3));
    ck_assert(leat_chunks_may_load(&f.chunks, &f.pool));
    ck_assert_int_eq(leat_chunks_load_above(&f.chunks, &f.pool), -1);
    leat_engine_chunk before = one, now = chunk(10, 19, 17, 1);
    ck_assert(!leat_chunks_expect(&f.chunks, &f.pool, &before));
    ck_assert(leat_chunks_expect(&f.chunks, &f.pool, &now));
}
END_TEST

START_TEST(counts_that_do_not_end_together_are_noticed)
{
    fixture f;
    begin(&f);
    leat_engine_parked parked = {
        .chunks = 1, .first_offset = 10, .done = 9, .last_offset = 19, .records = 5, .bytes = 100};
    leat_chunks_claimed(&f.chunks, &parked, 1000);
    leat_engine_chunk one = chunk(10, 19, 9, 4);
    leat_chunks_loaded(&f.chunks, &f.pool, &one, 4);
    leat_engine_chunk_step steps[LEAT_BATCH_CHUNKS_MAX];
    leat_chunks_steps(&f.chunks, &f.pool, 4, 19, steps);
    ck_assert(!leat_chunks_applied(&f.chunks, &f.pool, steps, 1, 4));
}
END_TEST

START_TEST(what_is_parked_while_others_are_tried_gets_patience_once)
{
    fixture f;
    begin(&f);
    leat_engine_parked one = {
        .chunks = 1, .first_offset = 10, .last_offset = 19, .records = 2, .oldest_ms = 5};
    leat_engine_parked two = {
        .chunks = 1, .first_offset = 30, .last_offset = 39, .records = 2, .oldest_ms = 3};
    leat_engine_parked three = {
        .chunks = 1, .first_offset = 50, .last_offset = 59, .records = 2, .oldest_ms = 4};
    leat_chunks_parked(&f.chunks, &one, 100);
    leat_chunks_parked(&f.chunks, &two, 200);
    ck_assert_int_eq(f.chunks.oldest_ms, 3);
    ck_assert_int_eq(leat_chunks_read_us(&f.chunks, 10), 100);
    leat_chunks_parked(&f.chunks, &three, 300);
    /* All that is parked by now counts from one time, however much comes after it. */
    ck_assert_int_eq(leat_chunks_read_us(&f.chunks, 30), 300);
    leat_engine_parked four = {.chunks = 1, .first_offset = 70, .last_offset = 79, .records = 2};
    leat_chunks_parked(&f.chunks, &four, 400);
    ck_assert_int_eq(leat_chunks_read_us(&f.chunks, 50), 300);
    ck_assert_int_eq(leat_chunks_read_us(&f.chunks, 70), 400);
}
END_TEST

/* Of what was applied before its first claim, the worker has had nothing. */
START_TEST(patience_goes_on_over_a_claim_with_what_this_worker_has_had)
{
    leat_chunks chunks;
    leat_chunks_init(&chunks);
    leat_engine_parked first = {
        .chunks = 1, .first_offset = 10, .done = 19, .last_offset = 39, .records = 20};
    leat_engine_parked rest = first, all = first;
    rest.done = 29;
    all.done = 9;
    leat_chunks_claimed(&chunks, &first, 100);
    leat_chunks_claimed(&chunks, &rest, 200);
    ck_assert_int_eq(leat_chunks_read_us(&chunks, 30), 100);
    leat_chunks_claimed(&chunks, &first, 400); /* the database went back */
    ck_assert_int_eq(leat_chunks_read_us(&chunks, 20), 100);
    leat_chunks_claimed(&chunks, &all, 500);
    ck_assert_int_eq(leat_chunks_read_us(&chunks, 10), 500);
    leat_chunks_claimed(&chunks, &first, 600);
    ck_assert_int_eq(leat_chunks_read_us(&chunks, 20), 500);
}
END_TEST

START_TEST(what_a_claim_says_must_make_sense)
{
    leat_engine_parked good = {
        .chunks = 2, .first_offset = 10, .done = 12, .last_offset = 39, .records = 12};
    ck_assert(leat_chunks_make_sense(&good, 39));
    ck_assert(!leat_chunks_make_sense(&good, 38)); /* progress has not passed it */
    leat_engine_parked bad = good;
    bad.chunks = 0;
    ck_assert(!leat_chunks_make_sense(&bad, 39));
    bad = good;
    bad.records = 1;
    ck_assert(!leat_chunks_make_sense(&bad, 39));
    bad = good;
    bad.first_offset = 40;
    ck_assert(!leat_chunks_make_sense(&bad, 60));
    bad = good;
    bad.done = 39;
    ck_assert(!leat_chunks_make_sense(&bad, 39));
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("chunks");
    tcase_add_test(cases, a_chunk_must_be_the_next_one);
    tcase_add_test(cases, several_chunks_make_one_batch_and_the_last_may_be_taken_in_part);
    tcase_add_test(cases, a_chunk_that_had_no_room_is_loaded_again_for_the_rest);
    tcase_add_test(cases, counts_that_do_not_end_together_are_noticed);
    tcase_add_test(cases, what_is_parked_while_others_are_tried_gets_patience_once);
    tcase_add_test(cases, patience_goes_on_over_a_claim_with_what_this_worker_has_had);
    tcase_add_test(cases, what_a_claim_says_must_make_sense);
    Suite *suite = suite_create("chunks");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
