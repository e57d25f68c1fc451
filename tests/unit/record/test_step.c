/* Steps of columns: which fit a type, in words where they do not; and what reaches one. */
#include <math.h>
#include <string.h>

#include <check.h>

#include "fixture.h"
#include "record/step.h"

typedef struct reading {
    leat_type type;
    leat_step_spec spec;
    int64_t integer;
    const char *says; /* NULL: it fits */
} reading;

#define NUMBER(text) {.number = (text)}
#define MS(many)     {.milliseconds = (many)}

static const reading readings[] = {
    {LEAT_TYPE_INT2, NUMBER("32767"), 32767, NULL},
    {LEAT_TYPE_INT2, NUMBER("32768"), 0, "from 1 to 32767"},
    {LEAT_TYPE_INT4, NUMBER("007"), 7, NULL},
    {LEAT_TYPE_INT4, NUMBER("0"), 0, "from 1 to 2147483647"},
    {LEAT_TYPE_INT8, NUMBER("9223372036854775807"), INT64_MAX, NULL},
    {LEAT_TYPE_INT8, NUMBER("9223372036854775808"), 0, "not a whole number that int8 holds"},
    {LEAT_TYPE_INT8, NUMBER("-1"), 0, "not a whole number"},
    {LEAT_TYPE_INT8, NUMBER("0.5"), 0, "not a whole number"},
    {LEAT_TYPE_INT8, MS(1000), 0, "must be a number, without a unit, on a column of type int8"},
    {LEAT_TYPE_FLOAT8, NUMBER("0.5"), 0, NULL},
    {LEAT_TYPE_FLOAT8, NUMBER("0.0"), 0, "greater than 0"},
    {LEAT_TYPE_FLOAT8, NUMBER("-0.5"), 0, "greater than 0"},
    {LEAT_TYPE_FLOAT8, NUMBER("1e999"), 0, "a number that float8 holds"},
    {LEAT_TYPE_FLOAT4, NUMBER("1e39"), 0, "a number that float4 holds"},
    {LEAT_TYPE_FLOAT4, NUMBER("1e-60"), 0, "a number that float4 holds"},
    {LEAT_TYPE_NUMERIC, NUMBER("0.001"), 0, NULL},
    {LEAT_TYPE_NUMERIC, NUMBER("00.00"), 0, "greater than 0"},
    {LEAT_TYPE_NUMERIC, NUMBER("NaN"), 0, "not a number"},
    {LEAT_TYPE_NUMERIC, NUMBER("1234567890123456789012345678901234567890"), 0, "38 characters"},
    {LEAT_TYPE_DATE, MS(86400000), 1, NULL},
    {LEAT_TYPE_DATE, MS(3600000), 0, "whole days"},
    {LEAT_TYPE_DATE, NUMBER("7"), 0, "must be a duration, such as 60s, on a column of type date"},
    {LEAT_TYPE_TIME, MS(86400000), INT64_C(86400000000), NULL},
    {LEAT_TYPE_TIME, MS(86400001), 0, "at most 24h"},
    {LEAT_TYPE_TIMESTAMP, MS(1), 1000, NULL},
    {LEAT_TYPE_TIMESTAMPTZ, MS(INT64_C(31557600000000)), INT64_C(31557600000000000), NULL},
    {LEAT_TYPE_TIMESTAMPTZ, MS(INT64_C(31557600000001)), 0, "1,000 years"},
    {LEAT_TYPE_TIMESTAMPTZ, MS(-1), 0, "greater than 0"},
    {LEAT_TYPE_TEXT, NUMBER("1"), 0, "does not work on text"},
    {LEAT_TYPE_UUID, NUMBER("1"), 0, "does not work on uuid"},
    {LEAT_TYPE_BYTEA, MS(1), 0, "does not work on bytea"},
};

static leat_column column_of(leat_type type)
{
    leat_column column = {.type = type, .type_modifier = -1};
    strcpy(column.type_name, leat_type_name(type));
    return column;
}

START_TEST(a_step_fits_its_type_or_is_refused_in_words)
{
    const reading *c = &readings[_i];
    leat_column column = column_of(c->type);
    leat_step step;
    leat_error error = {""};
    int made = leat_step_make(&c->spec, &column, &step, &error);
    ck_assert_msg((made == 0) == !c->says, "%s: %s", column.type_name, error.text);
    if (c->says)
        ck_assert_msg(strstr(error.text, c->says), "\"%s\" does not say \"%s\"", error.text,
                      c->says);
    else
        ck_assert(step.is_set && (step.integer == c->integer));
}
END_TEST

START_TEST(no_step_fits_every_type)
{
    for (leat_type type = 0; type < LEAT_TYPE_COUNT; type++) {
        leat_column column = column_of(type);
        leat_step_spec spec = {0};
        leat_step step;
        leat_error error;
        ck_assert_int_eq(leat_step_make(&spec, &column, &step, &error), 0);
        ck_assert(!step.is_set);
    }
}
END_TEST

START_TEST(integers_reach_a_step_without_overflow)
{
    static const struct {
        int64_t step, stored, later;
        bool reached;
    } cases[] = {
        {10, 100, 109, false},
        {10, 100, 110, true},
        {10, 100, 0, false},
        {10, -5, 4, false},
        {10, -5, 5, true},
        {INT64_MAX, INT64_MIN, -2, false},
        {INT64_MAX, INT64_MIN, -1, true},
        {INT64_MAX, INT64_MIN, INT64_MAX, true},
        {1, INT64_MAX, INT64_MIN, false},
        {1, INT64_MAX - 1, INT64_MAX, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_step step = {.is_set = true, .integer = cases[i].step};
        leat_value stored = {.presence = LEAT_PRESENT, .integer = cases[i].stored};
        leat_value later = {.presence = LEAT_PRESENT, .integer = cases[i].later};
        ck_assert(leat_step_reached(LEAT_TYPE_INT8, &step, &stored, &later) == cases[i].reached);
        ck_assert(leat_step_reached(LEAT_TYPE_TIMESTAMPTZ, &step, &stored, &later) ==
                  cases[i].reached);
    }
}
END_TEST

START_TEST(floats_reach_a_step_as_in_postgresql)
{
    static const struct {
        double step, stored, later;
        bool reached;
    } cases[] = {
        {1, 1, 1.5, false},
        {1, 1, 2, true},
        {1, -1, -0.5, false},
        {1, -2, -1, true},
        {1, 1, INFINITY, true},
        {1, INFINITY, INFINITY, false},
        {1, -INFINITY, -5, true},
        {1, 1, NAN, true},
        {1, NAN, 1, false},
        {1, NAN, NAN, false},
        {1e308, -1.7e308, 1.7e308, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_step step = {.is_set = true, .real = cases[i].step};
        leat_value stored = {.presence = LEAT_PRESENT, .real = cases[i].stored};
        leat_value later = {.presence = LEAT_PRESENT, .real = cases[i].later};
        ck_assert_msg(leat_step_reached(LEAT_TYPE_FLOAT8, &step, &stored, &later) ==
                          cases[i].reached,
                      "%g over %g by %g", cases[i].later, cases[i].stored, cases[i].step);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("step");
    tcase_add_loop_test(tests, a_step_fits_its_type_or_is_refused_in_words, 0,
                        sizeof readings / sizeof *readings);
    tcase_add_test(tests, no_step_fits_every_type);
    tcase_add_test(tests, integers_reach_a_step_without_overflow);
    tcase_add_test(tests, floats_reach_a_step_as_in_postgresql);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
