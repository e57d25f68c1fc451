/* The token of a write: any place comes back as it went in, in one spelling, and nothing else is
 * taken for a token. */
#include "fixture.h"

#include "record/write_token.h"

enum { ROUNDS = 3000 };

static leat_write_place any_place(leat_prng *prng)
{
    return (leat_write_place){
        .partition = (uint32_t)leat_prng_next(prng),
        .subpartition = (uint32_t)leat_prng_below(prng, LEAT_SUBPARTITIONS_MAX),
        .offset = (int64_t)(leat_prng_next(prng) >> (1 + leat_prng_below(prng, 63))),
        .key = leat_prng_next(prng),
    };
}

START_TEST(any_place_comes_back)
{
    leat_prng prng = {(uint64_t)leat_wall_ms()};
    for (int i = 0; i < ROUNDS; i++) {
        leat_write_place place = any_place(&prng), got;
        uint32_t source = (uint32_t)leat_prng_next(&prng), got_source;
        char text[LEAT_WRITE_TOKEN_SIZE], again[LEAT_WRITE_TOKEN_SIZE];
        leat_write_token_write(source, &place, text);
        ck_assert_int_eq(leat_write_token_read((leat_slice){text, sizeof text}, &got_source, &got),
                         0);
        ck_assert_uint_eq(got_source, source);
        ck_assert_uint_eq(got.partition, place.partition);
        ck_assert_uint_eq(got.subpartition, place.subpartition);
        ck_assert_int_eq(got.offset, place.offset);
        ck_assert_uint_eq(got.key, place.key);
        leat_write_token_write(got_source, &got, again);
        ck_assert_mem_eq(again, text, sizeof text);
    }
}
END_TEST

/* One character is another: it is refused, or it is the token of another place. */
START_TEST(each_character_counts)
{
    leat_prng prng = {(uint64_t)leat_wall_ms()};
    for (int i = 0; i < ROUNDS; i++) {
        leat_write_place place = any_place(&prng), got;
        uint32_t source;
        char text[LEAT_WRITE_TOKEN_SIZE], changed[LEAT_WRITE_TOKEN_SIZE],
            again[LEAT_WRITE_TOKEN_SIZE];
        leat_write_token_write(1, &place, text);
        memcpy(changed, text, sizeof text);
        changed[leat_prng_below(&prng, sizeof changed)] = (char)leat_prng_below(&prng, 256);
        if (leat_write_token_read((leat_slice){changed, sizeof changed}, &source, &got) != 0)
            continue;
        leat_write_token_write(source, &got, again);
        ck_assert_mem_eq(again, changed, sizeof again);
    }
}
END_TEST

START_TEST(the_form_never_changes)
{
    static const char known[] = "AQAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAAAJ";
    leat_write_place place = {.partition = 3, .subpartition = 258, .offset = 42, .key = 9};
    char text[LEAT_WRITE_TOKEN_SIZE + 1] = "";
    leat_write_token_write(7, &place, text);
    ck_assert_str_eq(text, known);
}
END_TEST

static const char *const none[] = {
    "",
    "AQAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAAA",   /* short */
    "AQAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAAAJA", /* long */
    "AgAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAAAJ",  /* version 2 */
    "AQAAAAcAAAADAQL_____AAAAKgAAAAAAAAAJ",  /* offset below 0 */
    "AQAAAAcAAAADBAAAAAAAAAAAKgAAAAAAAAAJ",  /* subpartition 1024 */
    "AQAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAAA=",  /* padded */
    "AQAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAA+J",  /* the other alphabet */
};

START_TEST(nothing_else_is_a_token)
{
    uint32_t source;
    leat_write_place place;
    ck_assert_int_eq(leat_write_token_read(leat_slice_of(none[_i]), &source, &place), -1);
}
END_TEST

START_TEST(sources_are_told_apart)
{
    leat_source source = {.log_identity = "c", .topic = "t", .topic_id = "1"}, other = source;
    uint32_t first = leat_write_token_source(&source);
    ck_assert_uint_eq(leat_write_token_source(&other), first);
    other.topic_id[0] = '2';
    ck_assert_uint_ne(leat_write_token_source(&other), first);
    other = source;
    other.topic[0] = 'u';
    ck_assert_uint_ne(leat_write_token_source(&other), first);
    other = source;
    other.log_identity[0] = 'd';
    ck_assert_uint_ne(leat_write_token_source(&other), first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("write_token");
    TCase *tests = tcase_create("write_token");
    tcase_add_test(tests, any_place_comes_back);
    tcase_add_test(tests, each_character_counts);
    tcase_add_test(tests, the_form_never_changes);
    tcase_add_loop_test(tests, nothing_else_is_a_token, 0, sizeof none / sizeof *none);
    tcase_add_test(tests, sources_are_told_apart);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
