#include "fixture.h"
#include "record/decimal.h"

#define NINES_37 "9999999999999999999999999999999999999"
#define ZEROS_37 "0000000000000000000000000000000000000"

enum {
    NUMERIC_5_2 = ((5 << 16) | 2) + 4,
    NUMERIC_5_0 = (5 << 16) + 4,
    NUMERIC_39_39 = ((39 << 16) | 39) + 4
};
enum { NUMERIC_3_MINUS_2 = ((3 << 16) | (-2 & 0x7ff)) + 4 };

/* As PostgreSQL's a + b; NULL: too long for us, or no literal. */
static const struct {
    const char *a, *b, *sum;
} sums[] = {
    {"1", "2", "3"},
    {"1", "-2", "-1"},
    {"1.50", "2.5", "4.00"},
    {"-0.5", "0.5", "0.0"},
    {"-0", "-0.00", "0.00"},
    {"-0.05", "0.01", "-0.04"},
    {"1e3", "1", "1001"},
    {"1.5e1", "0.25", "15.25"},
    {"1.50e1", "1", "16.0"},
    {"12e-5", "1", "1.00012"},
    {"007", "1", "8"},
    {"9" NINES_37, "0", "9" NINES_37},
    {"9" NINES_37, "1", NULL},
    {"-9" NINES_37, "-9" NINES_37, NULL},
    {"1" ZEROS_37 "0", "0", NULL},
    {"0." NINES_37 "9", "-0." NINES_37 "9", "0." ZEROS_37 "0"},
    {"-0." NINES_37 "9", "0", "-0." NINES_37 "9"},
    {"0." NINES_37 "99", "0", NULL},
    {"1e37", "0.1", NULL},
    {"1e1000000000", "1", NULL},
    {"0e1000000000", "1", "1"},
    {"NaN", "1", NULL},
    {"1", "NaN", NULL},
    {"1", "", NULL},
};

START_TEST(sums_are_exact)
{
    char text[LEAT_DECIMAL_SUM_MAX];
    size_t size = 0;
    bool is_there =
        leat_decimal_sum(leat_slice_of(sums[_i].a), leat_slice_of(sums[_i].b), text, &size);
    ck_assert_int_eq(is_there, sums[_i].sum != NULL);
    if (is_there)
        ck_assert_msg(leat_slice_is((leat_slice){text, size}, sums[_i].sum), "%.*s", (int)size,
                      text);
}
END_TEST

static const struct {
    const char *literal;
    int32_t type_modifier;
    const char *rounded;
} roundings[] = {
    {"1.005", NUMERIC_5_2, "1.01"},
    {"-1.005", NUMERIC_5_2, "-1.01"},
    {"1.00499", NUMERIC_5_2, "1.00"},
    {"-0.004", NUMERIC_5_2, "0.00"},
    {"0.005", NUMERIC_5_2, "0.01"},
    {"0.0049e0", NUMERIC_5_2, "0.00"},
    {"1", NUMERIC_5_2, "1.00"},
    {"1e2", NUMERIC_5_2, "100.00"},
    {"999.995", NUMERIC_5_2, "1000.00"},
    {"1e-30", NUMERIC_5_2, "0.00"},
    {"1e-1000000000", NUMERIC_5_2, "0.00"},
    {"0.5", NUMERIC_5_0, "1"},
    {"2.5", NUMERIC_5_0, "3"},
    {"149", NUMERIC_3_MINUS_2, "100"},
    {"150", NUMERIC_3_MINUS_2, "200"},
    {"50", NUMERIC_3_MINUS_2, "100"},
    {"-49", NUMERIC_3_MINUS_2, "0"},
    {"5", NUMERIC_3_MINUS_2, "0"},
    {"1.50", -1, "1.50"},
    {"1.5e-3", -1, "0.0015"},
    {"-12e3", -1, "-12000"},
    {"1" ZEROS_37 "0", -1, NULL},
    {"1e38", -1, NULL},
    {"1" ZEROS_37, NUMERIC_5_2, NULL},
    {"0.1", NUMERIC_39_39, NULL},
    {"NaN", NUMERIC_5_2, NULL},
};

START_TEST(rounding_is_half_away_from_zero)
{
    char text[LEAT_DECIMAL_SUM_MAX];
    size_t size = 0;
    bool is_there = leat_decimal_round(leat_slice_of(roundings[_i].literal),
                                       roundings[_i].type_modifier, text, &size);
    ck_assert_int_eq(is_there, roundings[_i].rounded != NULL);
    if (is_there)
        ck_assert_msg(leat_slice_is((leat_slice){text, size}, roundings[_i].rounded), "%.*s",
                      (int)size, text);
}
END_TEST

/* In their order; those in one row are equal. */
static const char *const ordered[][3] = {
    {"-1e100000", "-10e99999", "-0.1e100001"},
    {"-100", "-1e2", "-0100.000"},
    {"-99.9", "-999e-1", "-99.90"},
    {"-1e-100000", "-1e-100000", "-10e-100001"},
    {"0", "-0.000", "0e1000000000"},
    {"1e-100000", "0.1e-99999", "10e-100001"},
    {"99.9", "999e-1", "0099.9"},
    {"100", "1e2", "1.00e2"},
    {"100.00000000000000000000000000000000000000001",
     "10000000000000000000000000000000000000000001e-41",
     "100.000000000000000000000000000000000000000010"},
    {"1e1000000000", "10e999999999", "100e999999998"},
};

START_TEST(the_order_is_exact_at_any_length)
{
    for (size_t i = 0; i < COUNT_OF(ordered) * 3; i++) {
        for (size_t k = 0; k < COUNT_OF(ordered) * 3; k++) {
            leat_decimal a, b;
            ck_assert(leat_decimal_scan(leat_slice_of(ordered[i / 3][i % 3]), &a));
            ck_assert(leat_decimal_scan(leat_slice_of(ordered[k / 3][k % 3]), &b));
            int expected = (i / 3 > k / 3) - (i / 3 < k / 3);
            ck_assert_msg(leat_decimal_compare(&a, &b) == expected, "%s and %s",
                          ordered[i / 3][i % 3], ordered[k / 3][k % 3]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/decimal");
    TCase *tests = tcase_create("decimal");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, sums_are_exact, 0, (int)COUNT_OF(sums));
    tcase_add_loop_test(tests, rounding_is_half_away_from_zero, 0, (int)COUNT_OF(roundings));
    tcase_add_test(tests, the_order_is_exact_at_any_length);
    return fixture_run(suite);
}
