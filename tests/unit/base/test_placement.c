/* The subpartition of a key: published numbers, and windows against a naive model. */
#include "base/placement.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const leat_placement by_hash = {1, 64, 0, -1};
static const leat_placement windows = {2, 256, 8, 0};
static const leat_placement second = {2, 1024, 32, 1};

static uint32_t place(const leat_placement *placement, const char *key)
{
    leat_slice bytes = leat_slice_of(key);
    return leat_placement_subpartition(placement, bytes, leat_hash(bytes));
}

static void expect_window(const leat_placement *placement, const char *tenant, const char *expected)
{
    uint16_t window[LEAT_TENANT_WINDOW_MAX];
    char text[256];
    size_t size = 0;
    leat_placement_window(placement, leat_slice_of(tenant), window);
    for (uint32_t i = 0; i < placement->tenant_window; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%u", i ? " " : "", window[i]);
    ck_assert_str_eq(text, expected);
}

/* docs/record-format.md has these: programs of others compute them too. */
START_TEST(published_numbers_never_change)
{
    ck_assert_uint_eq(place(&by_hash, "7/abc"), 47);
    expect_window(&windows, "7", "155 36 172 91 130 78 67 110");
    expect_window(&windows, "a%20b", "249 139 242 127 52 120 170 155");
    ck_assert_uint_eq(place(&windows, "7/abc"), 110);
    ck_assert_uint_eq(place(&windows, "7/abd"), 155);
    ck_assert_uint_eq(place(&windows, "a%20b/1/2"), 120);
    ck_assert_uint_eq(place(&windows, "alone"), 155);
    ck_assert_uint_eq(place(&second, "x/7/y"), 953);
    ck_assert_uint_eq(place(&second, "x"), 511); /* too few parts: its own tenant */
    ck_assert_uint_eq(place(&windows, ""), 173);
}
END_TEST

START_TEST(a_window_has_no_number_twice_and_its_keys_use_all_of_it)
{
    leat_placement placement = windows;
    for (uint32_t tenant = 0; tenant < 2000; tenant++) {
        uint16_t window[LEAT_TENANT_WINDOW_MAX];
        char name[16], key[32];
        uint32_t seen = 0;
        placement.subpartitions = 32 + tenant % (LEAT_SUBPARTITIONS_MAX - 31);
        placement.tenant_window = 1 + tenant % (placement.subpartitions / LEAT_TENANT_WINDOW_PART);
        ck_assert(leat_placement_is_valid(&placement));
        snprintf(name, sizeof name, "t%u", tenant);
        leat_placement_window(&placement, leat_slice_of(name), window);
        for (uint32_t i = 0; i < placement.tenant_window; i++) {
            ck_assert_uint_lt(window[i], placement.subpartitions);
            for (uint32_t k = 0; k < i; k++)
                ck_assert_uint_ne(window[i], window[k]);
        }
        for (uint32_t i = 0; i < 60 * placement.tenant_window; i++) {
            snprintf(key, sizeof key, "t%u/%u", tenant, i);
            uint32_t number = (uint32_t)(leat_hash(leat_slice_of(key)) % placement.tenant_window);
            ck_assert_uint_eq(place(&placement, key), window[number]);
            seen |= UINT32_C(1) << number;
        }
        ck_assert_uint_eq(seen, (uint32_t)((UINT64_C(1) << placement.tenant_window) - 1));
    }
}
END_TEST

/* The whole window first, then the key's place in it. */
static uint32_t naive(const leat_placement *placement, const char *key)
{
    char tenant[64];
    const char *from = key;
    for (int32_t i = 0; i < placement->tenant_position && from; i++)
        from = strchr(from, '/') ? strchr(from, '/') + 1 : NULL;
    from = from ? from : key;
    bool is_whole = from == key && placement->tenant_position > 0;
    snprintf(tenant, sizeof tenant, "%.*s", is_whole ? (int)strlen(from) : (int)strcspn(from, "/"),
             from);
    bool taken[LEAT_SUBPARTITIONS_MAX] = {false};
    uint32_t left = (uint32_t)(leat_hash(leat_slice_of(key)) % placement->tenant_window);
    for (uint64_t seed = 1;; seed++) {
        uint64_t at = leat_hash_seeded(leat_slice_of(tenant), seed) % placement->subpartitions;
        if (!taken[at] && left-- == 0)
            return (uint32_t)at;
        taken[at] = true;
    }
}

START_TEST(random_keys_agree_with_a_naive_model)
{
    static const char letters[] = "ab/%20Z~";
    leat_prng prng = {11};
    for (uint32_t round = 0; round < 100000; round++) {
        leat_placement placement = {.version = 2};
        placement.subpartitions = 32 +
                                  (uint32_t)leat_prng_below(&prng, LEAT_SUBPARTITIONS_MAX - 31);
        placement.tenant_window =
            1 + (uint32_t)leat_prng_below(&prng, placement.subpartitions / LEAT_TENANT_WINDOW_PART);
        placement.tenant_position = (int32_t)leat_prng_below(&prng, 3);
        char key[24] = "";
        uint64_t size = leat_prng_below(&prng, sizeof key);
        for (uint64_t i = 0; i < size; i++)
            key[i] = letters[leat_prng_below(&prng, sizeof letters - 1)];
        ck_assert_msg(place(&placement, key) == naive(&placement, key), "\"%s\"", key);
    }
}
END_TEST

START_TEST(what_no_program_can_go_by_is_not_valid)
{
    static const leat_placement bad[] = {
        {0, 64, 0, -1}, {1, 0, 0, -1},  {1, 1025, 0, -1}, {1, 64, 2, 0},
        {1, 64, 0, 0},  {2, 256, 9, 0}, {2, 256, 8, -1},  {2, 256, 0, 0},
        {2, 31, 1, 0},  {3, 256, 8, 0}, {2, 256, 8, -2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!leat_placement_is_valid(&bad[i]), "%zu", i);
    static const leat_placement good[] = {
        {1, 1, 0, -1}, {1, 64, 0, -1}, {2, 1, 0, -1}, {2, 1024, 32, 7}, {2, 256, 8, 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(leat_placement_is_valid(&good[i]), "%zu", i);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("placement");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, published_numbers_never_change);
    tcase_add_test(cases, a_window_has_no_number_twice_and_its_keys_use_all_of_it);
    tcase_add_test(cases, random_keys_agree_with_a_naive_model);
    tcase_add_test(cases, what_no_program_can_go_by_is_not_valid);
    Suite *suite = suite_create("base/placement");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
