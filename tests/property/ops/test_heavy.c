/*
 * The sketch of the heaviest against a naive sum of everything: random weights of many names, some
 * of them heavy, fading in between. LEAT_TEST_SEED=n repeats a run, LEAT_TEST_ROUNDS=n makes it
 * longer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/heavy.h"

enum { ROUNDS = 300, STEPS = 2000, NAMES_MAX = 500 };

typedef struct naive {
    double weights[NAMES_MAX];
    double total;
} naive;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value ? strtoull(value, NULL, 10) : otherwise;
}

/* Sums in another order differ in their last digits. */
static double near(double value)
{
    return 1e-6 + value * 1e-9;
}

static void check_bounds(const leat_heavy *heavy, const naive *truth, uint32_t names)
{
    double most = truth->total / LEAT_HEAVY_MAX;
    ck_assert_double_le(heavy->total, truth->total + near(truth->total));
    ck_assert_double_ge(heavy->total, truth->total - near(truth->total));
    for (uint32_t name = 0; name < names; name++) {
        uint32_t place = leat_heavy_find(heavy, name + 1);
        double weight = truth->weights[name];
        if (place == LEAT_HEAVY_MAX) {
            ck_assert_double_le(weight, most + near(truth->total));
            continue;
        }
        char text[16];
        snprintf(text, sizeof text, "n%u", name);
        ck_assert_str_eq(heavy->entries[place].text, text);
        ck_assert_double_ge(heavy->weights[place], weight - near(truth->total));
        ck_assert_double_le(leat_heavy_certain(heavy, place), weight + near(truth->total));
        ck_assert_double_le(heavy->entries[place].error, most + near(truth->total));
    }
}

/* In order, each with its share, and nobody who has more is left out. */
static void check_largest(const leat_heavy *heavy, double share, uint32_t max)
{
    uint32_t found[LEAT_HEAVY_MAX];
    uint32_t count = leat_heavy_largest(heavy, share, found, max), enough = 0;
    ck_assert_uint_le(count, max);
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX; i++) {
        double certain = leat_heavy_certain(heavy, i);
        enough += certain > 0 && certain >= share * heavy->total;
    }
    ck_assert_uint_eq(count, enough < max ? enough : max);
    for (uint32_t i = 0; i < count; i++) {
        double certain = leat_heavy_certain(heavy, found[i]);
        ck_assert(certain > 0 && certain >= share * heavy->total);
        if (i > 0)
            ck_assert_double_le(certain, leat_heavy_certain(heavy, found[i - 1]));
    }
    for (uint32_t i = 0; i < LEAT_HEAVY_MAX && count == max; i++) {
        bool is_found = false;
        for (uint32_t k = 0; k < count; k++)
            is_found = is_found || found[k] == i;
        if (!is_found)
            ck_assert_double_le(leat_heavy_certain(heavy, i),
                                leat_heavy_certain(heavy, found[max - 1]));
    }
}

static void add(leat_heavy *heavy, naive *truth, uint32_t name, double weight)
{
    char text[16];
    snprintf(text, sizeof text, "n%u", name);
    leat_heavy_add(heavy, name + 1, leat_slice_of(text), weight);
    truth->weights[name] += weight;
    truth->total += weight;
}

static void fade(leat_heavy *heavy, naive *truth, double factor)
{
    leat_heavy_fade(heavy, factor);
    truth->total *= factor;
    for (uint32_t name = 0; name < NAMES_MAX; name++)
        truth->weights[name] *= factor;
}

START_TEST(the_bounds_hold)
{
    leat_prng prng = {setting("LEAT_TEST_SEED", 1)};
    for (uint64_t round = setting("LEAT_TEST_ROUNDS", ROUNDS); round > 0; round--) {
        leat_heavy heavy = {0};
        naive truth = {0};
        uint32_t names = 1 + (uint32_t)leat_prng_below(&prng, NAMES_MAX);
        uint32_t loud = 1 + (uint32_t)leat_prng_below(&prng, names);
        uint64_t most = 1 + leat_prng_below(&prng, 1000);
        for (int step = 0; step < STEPS; step++) {
            bool is_loud = leat_prng_below(&prng, 2);
            add(&heavy, &truth, (uint32_t)leat_prng_below(&prng, is_loud ? loud : names),
                (double)leat_prng_below(&prng, most));
            if (leat_prng_below(&prng, 300) == 0)
                fade(&heavy, &truth, (double)leat_prng_below(&prng, 9) / 8);
        }
        check_bounds(&heavy, &truth, names);
        check_largest(&heavy, (double)leat_prng_below(&prng, 4) / 50,
                      1 + (uint32_t)leat_prng_below(&prng, LEAT_HEAVY_MAX));
    }
}
END_TEST

/* Something of what was added is taken out again, whoever's it is and whether or not it is known.
 */
START_TEST(what_is_taken_out)
{
    leat_prng prng = {setting("LEAT_TEST_SEED", 1)};
    for (uint64_t round = setting("LEAT_TEST_ROUNDS", ROUNDS); round > 0; round--) {
        leat_heavy heavy = {0};
        naive truth = {0};
        uint32_t names = 1 +
                         (uint32_t)leat_prng_below(&prng, round % 2 ? NAMES_MAX : LEAT_HEAVY_MAX);
        for (int step = 0; step < STEPS; step++) {
            uint32_t name = (uint32_t)leat_prng_below(&prng, names);
            double part = (double)leat_prng_below(&prng, 1 + (uint64_t)truth.weights[name]);
            if (leat_prng_below(&prng, 2) == 0) {
                add(&heavy, &truth, name, (double)leat_prng_below(&prng, 1000));
                continue;
            }
            leat_heavy_take(&heavy, name + 1, part);
            truth.weights[name] -= part;
            truth.total -= part;
        }
        ck_assert_double_eq(heavy.total, truth.total);
        for (uint32_t name = 0; name < names; name++) {
            uint32_t place = leat_heavy_find(&heavy, name + 1);
            double certain = place < LEAT_HEAVY_MAX ? leat_heavy_certain(&heavy, place) : 0;
            ck_assert_double_le(certain, truth.weights[name]);
            ck_assert_double_ge(certain, 0);
            if (names <= LEAT_HEAVY_MAX)
                ck_assert_double_eq(certain, truth.weights[name]);
        }
    }
}
END_TEST

/* A name that fades away leaves its place; a long text is cut; weights of 0 are nobody's. */
START_TEST(the_ends)
{
    leat_heavy heavy = {0};
    uint32_t found[LEAT_HEAVY_MAX];
    char text[2 * LEAT_HEAVY_TEXT_MAX];
    memset(text, 'x', sizeof text);
    ck_assert_uint_eq(leat_heavy_largest(&heavy, 0, found, 3), 0);
    leat_heavy_add(&heavy, 1, (leat_slice){text, sizeof text}, 0);
    ck_assert_uint_eq(leat_heavy_find(&heavy, 1), LEAT_HEAVY_MAX);
    leat_heavy_add(&heavy, 1, (leat_slice){text, sizeof text}, 2);
    leat_heavy_add(&heavy, 2, (leat_slice){NULL, 0}, 3);
    ck_assert_uint_eq(strlen(heavy.entries[leat_heavy_find(&heavy, 1)].text), LEAT_HEAVY_TEXT_MAX);
    ck_assert_uint_eq(leat_heavy_largest(&heavy, 0, found, 1), 1);
    ck_assert_str_eq(heavy.entries[found[0]].text, "");
    for (int i = 0; i < 100; i++)
        leat_heavy_fade(&heavy, 0.5);
    ck_assert_uint_eq(leat_heavy_find(&heavy, 1), LEAT_HEAVY_MAX);
    ck_assert_uint_eq(leat_heavy_largest(&heavy, 0, found, LEAT_HEAVY_MAX), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heavy");
    TCase *tests = tcase_create("heavy");
    tcase_add_test(tests, the_bounds_hold);
    tcase_add_test(tests, what_is_taken_out);
    tcase_add_test(tests, the_ends);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
