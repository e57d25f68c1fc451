#include <math.h>

#include "fixture.h"
#include "record/value.h"

enum { NUMERIC_5_2 = ((5 << 16) | 2) + 4, NUMERIC_2_4 = ((2 << 16) | 4) + 4, VARCHAR_3 = 3 + 4 };
enum { NUMERIC_3_MINUS_2 = ((3 << 16) | (-2 & 0x7ff)) + 4 };

/* canonical NULL: refused; "" for types without one: just taken. */
typedef struct text_case {
    leat_type type;
    int32_t type_modifier;
    const char *text;
    const char *canonical;
} text_case;

static const text_case text_cases[] = {
    {LEAT_TYPE_BOOL, -1, "true", "true"},
    {LEAT_TYPE_BOOL, -1, "false", "false"},
    {LEAT_TYPE_BOOL, -1, "t", NULL},
    {LEAT_TYPE_BOOL, -1, "TRUE", NULL},
    {LEAT_TYPE_BOOL, -1, "", NULL},
    {LEAT_TYPE_INT2, -1, "0", "0"},
    {LEAT_TYPE_INT2, -1, "-0", "0"},
    {LEAT_TYPE_INT2, -1, "007", "7"},
    {LEAT_TYPE_INT2, -1, "-007", "-7"},
    {LEAT_TYPE_INT2, -1, "32767", "32767"},
    {LEAT_TYPE_INT2, -1, "32768", NULL},
    {LEAT_TYPE_INT2, -1, "-32768", "-32768"},
    {LEAT_TYPE_INT2, -1, "-32769", NULL},
    {LEAT_TYPE_INT2, -1, "00000000000000000000000000000000000000000000000012", "12"},
    {LEAT_TYPE_INT2, -1, "", NULL},
    {LEAT_TYPE_INT2, -1, "-", NULL},
    {LEAT_TYPE_INT2, -1, "+1", NULL},
    {LEAT_TYPE_INT2, -1, " 1", NULL},
    {LEAT_TYPE_INT2, -1, "1 ", NULL},
    {LEAT_TYPE_INT2, -1, "1.0", NULL},
    {LEAT_TYPE_INT2, -1, "1e2", NULL},
    {LEAT_TYPE_INT2, -1, "0x1", NULL},
    {LEAT_TYPE_INT4, -1, "2147483647", "2147483647"},
    {LEAT_TYPE_INT4, -1, "2147483648", NULL},
    {LEAT_TYPE_INT4, -1, "-2147483648", "-2147483648"},
    {LEAT_TYPE_INT4, -1, "-2147483649", NULL},
    {LEAT_TYPE_INT8, -1, "9223372036854775807", "9223372036854775807"},
    {LEAT_TYPE_INT8, -1, "9223372036854775808", NULL},
    {LEAT_TYPE_INT8, -1, "-9223372036854775808", "-9223372036854775808"},
    {LEAT_TYPE_INT8, -1, "-9223372036854775809", NULL},
    {LEAT_TYPE_INT8, -1, "18446744073709551616", NULL},
    {LEAT_TYPE_UUID, -1, "A0EEBC99-9c0b-4ef8-BB6D-6bb9bd380a11",
     "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {LEAT_TYPE_UUID, -1, "a0eebc999c0b4ef8bb6d6bb9bd380a11", NULL},
    {LEAT_TYPE_UUID, -1, "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1}", NULL},
    {LEAT_TYPE_UUID, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", NULL},
    {LEAT_TYPE_UUID, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", NULL},
    {LEAT_TYPE_UUID, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", NULL},
    {LEAT_TYPE_UUID, -1, "a0eebc9999c0b-4ef8-bb6d-6bb9bd380a11", NULL},
    {LEAT_TYPE_TEXT, -1, "", ""},
    {LEAT_TYPE_TEXT, -1, "a/b %c", "a/b %c"},
    {LEAT_TYPE_TEXT, -1,
     "Gr\xc3\xbc\xc3\x9f"
     "e, \xe2\x82\xac \xf0\x9f\x8c\x8a",
     "Gr\xc3\xbc\xc3\x9f"
     "e, \xe2\x82\xac \xf0\x9f\x8c\x8a"},
    {LEAT_TYPE_TEXT, -1, "cut \xe2\x82", NULL},
    {LEAT_TYPE_TEXT, -1, "overlong \xc0\xaf", NULL},
    {LEAT_TYPE_TEXT, -1, "overlong \xe0\x80\xaf", NULL},
    {LEAT_TYPE_TEXT, -1, "surrogate \xed\xa0\x80", NULL},
    {LEAT_TYPE_TEXT, -1, "too high \xf4\x90\x80\x80", NULL},
    {LEAT_TYPE_TEXT, -1, "alone \x80", NULL},
    {LEAT_TYPE_TEXT, -1, "12345678\xff", NULL},
    {LEAT_TYPE_TEXT, VARCHAR_3, "abc", "abc"},
    {LEAT_TYPE_TEXT, VARCHAR_3, "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
     "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"},
    {LEAT_TYPE_TEXT, VARCHAR_3, "abcd", NULL},
    {LEAT_TYPE_TEXT, VARCHAR_3, "abc ", NULL},
    {LEAT_TYPE_TEXT, VARCHAR_3, "abcdefghijkl", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02t03:04:05.678z", "2026-01-02T03:04:05.678Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05.100000Z", "2026-01-02T03:04:05.1Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05.000001Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05.0000001Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05.Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-01T00:30:00+05:45", "2025-12-31T18:45:00Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2025-12-31T23:30:00-01:00", "2026-01-01T00:30:00Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "1900-02-29T00:00:00Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2023-02-29T00:00:00Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-04-31T00:00:00Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "0001-01-01T00:00:00+00:01", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "0000-12-31T23:59:59-23:59", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "9999-12-31T23:59:59-00:01", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02 03:04:05Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T24:00:00Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T23:60:00Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2016-12-31T23:59:60Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-13-02T03:04:05Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-00-02T03:04:05Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-00T03:04:05Z", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05+0100", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05+24:00", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "2026-01-02T03:04:05Zx", NULL},
    {LEAT_TYPE_TIMESTAMPTZ, -1, "", NULL},
    {LEAT_TYPE_FLOAT8, -1, "1.5", ""},
    {LEAT_TYPE_FLOAT8, -1, "-1.5e-3", ""},
    {LEAT_TYPE_FLOAT8, -1, "1e308", ""},
    {LEAT_TYPE_FLOAT8, -1, "4.9e-324", ""},
    {LEAT_TYPE_FLOAT8, -1, "0e-999", ""},
    {LEAT_TYPE_FLOAT8, -1, "NaN", ""},
    {LEAT_TYPE_FLOAT8, -1, "-Infinity", ""},
    {LEAT_TYPE_FLOAT8, -1, "1e309", NULL},
    {LEAT_TYPE_FLOAT8, -1, "-1e309", NULL},
    {LEAT_TYPE_FLOAT8, -1, "1e-400", NULL},
    {LEAT_TYPE_FLOAT8, -1, "nan", NULL},
    {LEAT_TYPE_FLOAT8, -1, "inf", NULL},
    {LEAT_TYPE_FLOAT8, -1, "0x10", NULL},
    {LEAT_TYPE_FLOAT8, -1, "", NULL},
    {LEAT_TYPE_NUMERIC, -1, "12345678901234567890.123456789", ""},
    {LEAT_TYPE_NUMERIC, -1, "-0", ""},
    {LEAT_TYPE_NUMERIC, -1, "1e131071", ""},
    {LEAT_TYPE_NUMERIC, -1, "1e131072", NULL},
    {LEAT_TYPE_NUMERIC, -1, "0.0001e131075", ""},
    {LEAT_TYPE_NUMERIC, -1, "1e-16383", ""},
    {LEAT_TYPE_NUMERIC, -1, "1e-16384", NULL},
    {LEAT_TYPE_NUMERIC, -1, "0e999999999", ""},
    {LEAT_TYPE_NUMERIC, -1, "1e99999999999999999999", NULL},
    {LEAT_TYPE_NUMERIC, -1, "NaN", ""},
    {LEAT_TYPE_NUMERIC, -1, "Infinity", NULL},
    {LEAT_TYPE_NUMERIC, -1, "1.", NULL},
    {LEAT_TYPE_NUMERIC, -1, ".5", NULL},
    {LEAT_TYPE_NUMERIC, -1, "1e", NULL},
    {LEAT_TYPE_NUMERIC, -1, "1e+", NULL},
    {LEAT_TYPE_NUMERIC, -1, "+1", NULL},
    {LEAT_TYPE_NUMERIC, -1, "1_000", NULL},
    {LEAT_TYPE_NUMERIC, -1, "", NULL},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "999.99", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "999.994999", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "999.995", NULL},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "-999.995", NULL},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "1000", NULL},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "0000999", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "9.99995e2", NULL},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "99999e-2", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "1e-30", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "0e20", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_5_2, "NaN", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_2_4, "0.0099", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_2_4, "0.00994", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_2_4, "0.00995", NULL},
    {LEAT_TYPE_NUMERIC, NUMERIC_2_4, "0.01", NULL},
    {LEAT_TYPE_NUMERIC, NUMERIC_3_MINUS_2, "99949", ""},
    {LEAT_TYPE_NUMERIC, NUMERIC_3_MINUS_2, "99950", NULL},
    {LEAT_TYPE_FLOAT4, -1, "1.5", ""},
    {LEAT_TYPE_FLOAT4, -1, "3.4028235e38", ""},
    {LEAT_TYPE_FLOAT4, -1, "3.4028236e38", NULL},
    {LEAT_TYPE_FLOAT4, -1, "-1e39", NULL},
    {LEAT_TYPE_FLOAT4, -1, "1.4e-45", ""},
    {LEAT_TYPE_FLOAT4, -1, "1e-46", NULL},
    {LEAT_TYPE_FLOAT4, -1, "0e-999", ""},
    {LEAT_TYPE_FLOAT4, -1, "NaN", ""},
    {LEAT_TYPE_FLOAT4, -1, "-Infinity", ""},
    {LEAT_TYPE_FLOAT4, -1, "inf", NULL},
    {LEAT_TYPE_DATE, -1, "2026-01-02", "2026-01-02"},
    {LEAT_TYPE_DATE, -1, "0001-01-01", "0001-01-01"},
    {LEAT_TYPE_DATE, -1, "9999-12-31", "9999-12-31"},
    {LEAT_TYPE_DATE, -1, "2024-02-29", "2024-02-29"},
    {LEAT_TYPE_DATE, -1, "2023-02-29", NULL},
    {LEAT_TYPE_DATE, -1, "0000-01-01", NULL},
    {LEAT_TYPE_DATE, -1, "10000-01-01", NULL},
    {LEAT_TYPE_DATE, -1, "2026-1-2", NULL},
    {LEAT_TYPE_DATE, -1, "20260102", NULL},
    {LEAT_TYPE_DATE, -1, "2026-01-02T00:00:00", NULL},
    {LEAT_TYPE_DATE, -1, "infinity", NULL},
    {LEAT_TYPE_DATE, -1, "", NULL},
    {LEAT_TYPE_TIME, -1, "03:04:05", ""},
    {LEAT_TYPE_TIME, -1, "23:59:59.999999", ""},
    {LEAT_TYPE_TIME, -1, "23:59:59.9999999", NULL},
    {LEAT_TYPE_TIME, -1, "24:00:00", NULL},
    {LEAT_TYPE_TIME, -1, "03:04", NULL},
    {LEAT_TYPE_TIME, -1, "03:04:60", NULL},
    {LEAT_TYPE_TIME, -1, "03:04:05.", NULL},
    {LEAT_TYPE_TIME, -1, "03:04:05Z", NULL},
    {LEAT_TYPE_TIMESTAMP, -1, "2026-01-02T03:04:05.678", ""},
    {LEAT_TYPE_TIMESTAMP, -1, "9999-12-31T23:59:59.999999", ""},
    {LEAT_TYPE_TIMESTAMP, -1, "2026-01-02T03:04:05Z", NULL},
    {LEAT_TYPE_TIMESTAMP, -1, "2026-01-02T03:04:05+01:00", NULL},
    {LEAT_TYPE_TIMESTAMP, -1, "2026-01-02 03:04:05", NULL},
    {LEAT_TYPE_TIMESTAMP, -1, "2026-01-02", NULL},
    {LEAT_TYPE_BYTEA, -1, "Zm9vYg==", "Zm9vYg=="},
    {LEAT_TYPE_BYTEA, -1, "+/+/", "+/+/"},
    {LEAT_TYPE_BYTEA, -1, "", ""},
    {LEAT_TYPE_BYTEA, -1, "Zm9vYg", NULL},
    {LEAT_TYPE_BYTEA, -1, "Zh==", NULL},
    {LEAT_TYPE_BYTEA, -1, "\\x00ff", NULL},
    {LEAT_TYPE_JSONB, -1, "{}", NULL},
    {LEAT_TYPE_JSON, -1, "{}", NULL},
    {LEAT_TYPE_OTHER, -1, "{1,2}", ""},
    {LEAT_TYPE_OTHER, VARCHAR_3, "longer than three", ""},
    {LEAT_TYPE_OTHER, -1, "alone \x80", NULL},
};

START_TEST(text_becomes_values_and_canonical_text)
{
    const text_case *it = &text_cases[_i];
    leat_column column = fixture_column("c", it->type, it->type_modifier);
    leat_value value = {.presence = LEAT_ABSENT};
    leat_error error = {""};
    int status = leat_value_from_text(&column, leat_slice_of(it->text), &value, &error);
    if (!it->canonical) {
        ck_assert_msg(status == -1, "taken: %s \"%s\"", leat_type_name(it->type), it->text);
        ck_assert_uint_gt(strlen(error.text), 0);
        ck_assert_uint_eq(value.presence, LEAT_ABSENT);
        return;
    }
    ck_assert_msg(status == 0, "refused: %s \"%s\": %s", leat_type_name(it->type), it->text,
                  error.text);
    ck_assert_uint_eq(value.presence, LEAT_PRESENT);
    if (!leat_type_is_key(it->type))
        return;
    char room[LEAT_CANONICAL_MAX];
    ck_assert(leat_slice_is(leat_value_canonical(it->type, &value, room), it->canonical));
}
END_TEST

START_TEST(an_offset_where_none_belongs_is_named)
{
    leat_column column = fixture_column("c", LEAT_TYPE_TIMESTAMP, -1);
    leat_value value;
    leat_error error = {""};
    ck_assert_int_eq(
        leat_value_from_text(&column, LEAT_SLICE("2026-01-02T03:04:05Z"), &value, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "must have no offset"));
    ck_assert_int_eq(leat_value_from_text(&column, LEAT_SLICE("2026-01-02"), &value, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "without an offset"));
}
END_TEST

START_TEST(a_nul_in_text_is_refused)
{
    leat_column column = fixture_column("c", _i == 0 ? LEAT_TYPE_TEXT : LEAT_TYPE_OTHER, -1);
    leat_value value;
    leat_error error;
    ck_assert_int_eq(leat_value_from_text(&column, LEAT_SLICE("a\0b"), &value, &error), -1);
    ck_assert_int_eq(leat_value_from_text(&column, LEAT_SLICE("12345\0007890123"), &value, &error),
                     -1);
    ck_assert_int_eq(leat_value_from_text(&column, LEAT_SLICE("\0"), &value, &error), -1);
}
END_TEST

/* Expected bytes as PostgreSQL's own *_send functions give them, length first. */
static const struct {
    leat_type type;
    const char *text;
    leat_slice bytes;
} binary_cases[] = {
    {LEAT_TYPE_BOOL, "true", LEAT_SLICE("\0\0\0\1\1")},
    {LEAT_TYPE_INT2, "-2", LEAT_SLICE("\0\0\0\2\xff\xfe")},
    {LEAT_TYPE_INT4, "65538", LEAT_SLICE("\0\0\0\4\0\1\0\2")},
    {LEAT_TYPE_INT8, "-1", LEAT_SLICE("\0\0\0\x8\xff\xff\xff\xff\xff\xff\xff\xff")},
    {LEAT_TYPE_FLOAT8, "1.5", LEAT_SLICE("\0\0\0\x8\x3f\xf8\0\0\0\0\0\0")},
    {LEAT_TYPE_TEXT, "ab", LEAT_SLICE("\0\0\0\2ab")},
    {LEAT_TYPE_TEXT, "", LEAT_SLICE("\0\0\0\0")},
    {LEAT_TYPE_UUID, "00010203-0405-0607-0809-0a0b0c0d0e0f",
     LEAT_SLICE("\0\0\0\x10\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf")},
    {LEAT_TYPE_TIMESTAMPTZ, "2000-01-01T00:00:00.000258Z", LEAT_SLICE("\0\0\0\x8\0\0\0\0\0\0\1\2")},
    {LEAT_TYPE_TIMESTAMPTZ, "1999-12-31T23:59:59.999999Z",
     LEAT_SLICE("\0\0\0\x8\xff\xff\xff\xff\xff\xff\xff\xff")},
    {LEAT_TYPE_FLOAT4, "1.5", LEAT_SLICE("\0\0\0\x4\x3f\xc0\0\0")},
    {LEAT_TYPE_FLOAT4, "-0.0", LEAT_SLICE("\0\0\0\x4\x80\0\0\0")},
    {LEAT_TYPE_FLOAT4, "Infinity", LEAT_SLICE("\0\0\0\x4\x7f\x80\0\0")},
    /* halfway between two floats but for the last digit; a double would drop it and round to
     * even */
    {LEAT_TYPE_FLOAT4, "1.000000059604644775390625000000000000000001",
     LEAT_SLICE("\0\0\0\x4\x3f\x80\0\1")},
    {LEAT_TYPE_DATE, "2000-01-01", LEAT_SLICE("\0\0\0\4\0\0\0\0")},
    {LEAT_TYPE_DATE, "1999-12-30", LEAT_SLICE("\0\0\0\4\xff\xff\xff\xfe")},
    {LEAT_TYPE_DATE, "0001-01-01", LEAT_SLICE("\0\0\0\4\xff\xf4\xdb\xf9")},
    {LEAT_TYPE_TIME, "00:00:00.000258", LEAT_SLICE("\0\0\0\x8\0\0\0\0\0\0\1\2")},
    {LEAT_TYPE_TIMESTAMP, "1999-12-31T23:59:59.999999",
     LEAT_SLICE("\0\0\0\x8\xff\xff\xff\xff\xff\xff\xff\xff")},
    {LEAT_TYPE_BYTEA, "AP8=", LEAT_SLICE("\0\0\0\2\0\xff")},
    {LEAT_TYPE_BYTEA, "", LEAT_SLICE("\0\0\0\0")},
    {LEAT_TYPE_OTHER, "{1,NULL}", LEAT_SLICE("\0\0\0\x8{1,NULL}")},
    {LEAT_TYPE_NUMERIC, "0", LEAT_SLICE("\0\0\0\x8\0\0\0\0\0\0\0\0")},
    {LEAT_TYPE_NUMERIC, "-0.00", LEAT_SLICE("\0\0\0\x8\0\0\0\0\0\0\0\2")},
    {LEAT_TYPE_NUMERIC, "NaN", LEAT_SLICE("\0\0\0\x8\0\0\0\0\xc0\0\0\0")},
    {LEAT_TYPE_NUMERIC, "1", LEAT_SLICE("\0\0\0\xa\0\1\0\0\0\0\0\0\0\1")},
    {LEAT_TYPE_NUMERIC, "-12345.678", LEAT_SLICE("\0\0\0\xe\0\3\0\1\x40\0\0\3\0\1\x9\x29\x1a\x7c")},
    {LEAT_TYPE_NUMERIC, "0.00012", LEAT_SLICE("\0\0\0\xc\0\2\xff\xff\0\0\0\5\0\1\x7\xd0")},
    {LEAT_TYPE_NUMERIC, "12e-5", LEAT_SLICE("\0\0\0\xc\0\2\xff\xff\0\0\0\5\0\1\x7\xd0")},
    {LEAT_TYPE_NUMERIC, "1e4", LEAT_SLICE("\0\0\0\xa\0\1\0\1\0\0\0\0\0\1")},
    {LEAT_TYPE_NUMERIC, "1.50E2", LEAT_SLICE("\0\0\0\xa\0\1\0\0\0\0\0\0\0\x96")},
    {LEAT_TYPE_NUMERIC, "1e131071", LEAT_SLICE("\0\0\0\xa\0\1\x7f\xff\0\0\0\0\x3\xe8")},
};

START_TEST(values_have_the_binary_form_of_postgres)
{
    leat_column column = fixture_column("c", binary_cases[_i].type, -1);
    leat_value value;
    leat_error error;
    leat_buf out = {0};
    ck_assert_int_eq(
        leat_value_from_text(&column, leat_slice_of(binary_cases[_i].text), &value, &error), 0);
    leat_value_binary(&column, &value, &out);
    ck_assert_uint_eq(out.size, binary_cases[_i].bytes.size);
    ck_assert_mem_eq(out.data, binary_cases[_i].bytes.data, out.size);
    leat_buf_free(&out);
}
END_TEST

START_TEST(null_jsonb_and_json_have_their_binary_form)
{
    leat_column column = fixture_column("c", LEAT_TYPE_JSONB, -1);
    leat_value value = {.presence = LEAT_NULL};
    leat_buf out = {0};
    leat_value_binary(&column, &value, &out);
    value = (leat_value){.presence = LEAT_PRESENT, .text = LEAT_SLICE("{}")};
    leat_value_binary(&column, &value, &out);
    column.type = LEAT_TYPE_JSON;
    leat_value_binary(&column, &value, &out);
    ck_assert_uint_eq(out.size, 4 + 4 + 3 + 4 + 2);
    ck_assert_mem_eq(out.data, "\xff\xff\xff\xff\0\0\0\3\1{}\0\0\0\2{}", out.size);
    leat_buf_free(&out);
}
END_TEST

START_TEST(floats_keep_their_specials)
{
    leat_column column = fixture_column("c", LEAT_TYPE_FLOAT8, -1);
    leat_value value;
    leat_error error;
    ck_assert_int_eq(leat_value_from_text(&column, LEAT_SLICE("NaN"), &value, &error), 0);
    ck_assert(isnan(value.real));
    ck_assert_int_eq(leat_value_from_text(&column, LEAT_SLICE("-Infinity"), &value, &error), 0);
    ck_assert(isinf(value.real) && value.real < 0);
    ck_assert_int_eq(leat_value_from_text(&column, LEAT_SLICE("-0.0"), &value, &error), 0);
    ck_assert(value.real == 0 && signbit(value.real));
}
END_TEST

START_TEST(a_floats_literal_may_be_long_but_not_endless)
{
    leat_column column = fixture_column("c", LEAT_TYPE_FLOAT8, -1);
    char literal[2001];
    leat_value value;
    leat_error error;
    memset(literal, '0', sizeof literal);
    ck_assert_int_eq(leat_value_from_text(&column, (leat_slice){literal, 2000}, &value, &error), 0);
    ck_assert_int_eq(leat_value_from_text(&column, (leat_slice){literal, 2001}, &value, &error),
                     -1);
}
END_TEST

START_TEST(equality_is_of_values_not_of_spelling)
{
    static const struct {
        leat_type type;
        const char *a, *b;
        bool equal;
    } cases[] = {
        {LEAT_TYPE_BOOL, "true", "true", true},
        {LEAT_TYPE_BOOL, "true", "false", false},
        {LEAT_TYPE_INT8, "007", "7", true},
        {LEAT_TYPE_INT8, "7", "-7", false},
        {LEAT_TYPE_TEXT, "a", "a", true},
        {LEAT_TYPE_TEXT, "a", "A", false},
        {LEAT_TYPE_TEXT, "", "", true},
        {LEAT_TYPE_UUID, "A0EEBC99-9c0b-4ef8-BB6D-6bb9bd380a11",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", true},
        {LEAT_TYPE_UUID, "A0EEBC99-9c0b-4ef8-BB6D-6bb9bd380a11",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12", false},
        {LEAT_TYPE_TIMESTAMPTZ, "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.0Z", true},
        {LEAT_TYPE_DATE, "2026-01-01", "2026-01-01", true},
        {LEAT_TYPE_DATE, "2026-01-01", "2026-01-02", false},
        {LEAT_TYPE_BYTEA, "Zm9v", "Zm9v", true},
        {LEAT_TYPE_BYTEA, "Zm9v", "Zm9w", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_column column = fixture_column("c", cases[i].type, -1);
        leat_value a, b;
        leat_error error;
        ck_assert_int_eq(leat_value_from_text(&column, leat_slice_of(cases[i].a), &a, &error), 0);
        ck_assert_int_eq(leat_value_from_text(&column, leat_slice_of(cases[i].b), &b, &error), 0);
        ck_assert_int_eq(leat_value_equal(cases[i].type, &a, &b), cases[i].equal);
    }
}
END_TEST

/* Neighbours in PostgreSQL's order; those with an equal rank are equal. */
static const struct {
    leat_type type;
    int rank;
    const char *text;
} ranks[] = {
    {LEAT_TYPE_INT2, 0, "-32768"},
    {LEAT_TYPE_INT2, 1, "-1"},
    {LEAT_TYPE_INT2, 2, "32767"},
    {LEAT_TYPE_INT4, 0, "-2147483648"},
    {LEAT_TYPE_INT4, 1, "0"},
    {LEAT_TYPE_INT4, 1, "-0"},
    {LEAT_TYPE_INT8, 0, "-9223372036854775808"},
    {LEAT_TYPE_INT8, 1, "9223372036854775807"},
    {LEAT_TYPE_FLOAT4, 0, "-Infinity"},
    {LEAT_TYPE_FLOAT4, 1, "0.1"},
    {LEAT_TYPE_FLOAT4, 1, "0.1000000001"},
    {LEAT_TYPE_FLOAT4, 2, "Infinity"},
    {LEAT_TYPE_FLOAT4, 3, "NaN"},
    {LEAT_TYPE_FLOAT8, 0, "-Infinity"},
    {LEAT_TYPE_FLOAT8, 1, "-1e308"},
    {LEAT_TYPE_FLOAT8, 2, "-0.0"},
    {LEAT_TYPE_FLOAT8, 2, "0"},
    {LEAT_TYPE_FLOAT8, 3, "0.1"},
    {LEAT_TYPE_FLOAT8, 4, "0.1000000001"},
    {LEAT_TYPE_FLOAT8, 5, "Infinity"},
    {LEAT_TYPE_FLOAT8, 6, "NaN"},
    {LEAT_TYPE_NUMERIC, 0, "-1e100"},
    {LEAT_TYPE_NUMERIC, 1, "-0.1"},
    {LEAT_TYPE_NUMERIC, 2, "-0"},
    {LEAT_TYPE_NUMERIC, 2, "0.00"},
    {LEAT_TYPE_NUMERIC, 3, "99999999999999999999999999999999999999999.9"},
    {LEAT_TYPE_NUMERIC, 4, "100000000000000000000000000000000000000000"},
    {LEAT_TYPE_NUMERIC, 4, "1.0e41"},
    {LEAT_TYPE_NUMERIC, 5, "NaN"},
    {LEAT_TYPE_TEXT, 0, ""},
    {LEAT_TYPE_TEXT, 1, "B"},
    {LEAT_TYPE_TEXT, 2, "Ba"},
    {LEAT_TYPE_TEXT, 3, "a"},
    {LEAT_TYPE_TEXT, 4, "\xc3\xa4"},
    {LEAT_TYPE_TEXT, 5, "\xf0\x9f\x8c\x8a"},
    {LEAT_TYPE_UUID, 0, "00000000-0000-0000-0000-0000000000ff"},
    {LEAT_TYPE_UUID, 1, "01000000-0000-0000-0000-000000000000"},
    {LEAT_TYPE_UUID, 2, "FF000000-0000-0000-0000-000000000000"},
    {LEAT_TYPE_UUID, 2, "ff000000-0000-0000-0000-000000000000"},
    {LEAT_TYPE_DATE, 0, "0001-01-01"},
    {LEAT_TYPE_DATE, 1, "1999-12-31"},
    {LEAT_TYPE_DATE, 2, "2000-01-01"},
    {LEAT_TYPE_TIME, 0, "00:00:00"},
    {LEAT_TYPE_TIME, 1, "00:00:00.1"},
    {LEAT_TYPE_TIME, 1, "00:00:00.100"},
    {LEAT_TYPE_TIMESTAMP, 0, "1999-12-31T23:59:59"},
    {LEAT_TYPE_TIMESTAMP, 1, "2000-01-01T00:00:00"},
    {LEAT_TYPE_TIMESTAMPTZ, 0, "2026-01-01T01:00:00+02:00"},
    {LEAT_TYPE_TIMESTAMPTZ, 1, "2026-01-01T00:00:00Z"},
    {LEAT_TYPE_TIMESTAMPTZ, 1, "2026-01-01T01:00:00+01:00"},
    {LEAT_TYPE_BYTEA, 0, ""},
    {LEAT_TYPE_BYTEA, 1, "AA=="},
    {LEAT_TYPE_BYTEA, 2, "AAA="},
    {LEAT_TYPE_BYTEA, 3, "Zm9v"},
    {LEAT_TYPE_BYTEA, 4, "+w=="},
    {LEAT_TYPE_BYTEA, 5, "/w=="},
};

static leat_value ranked(size_t at)
{
    leat_column column = fixture_column("c", ranks[at].type, -1);
    leat_value value;
    leat_error error = {""};
    ck_assert_msg(leat_value_from_text(&column, leat_slice_of(ranks[at].text), &value, &error) == 0,
                  "%s: %s", ranks[at].text, error.text);
    return value;
}

START_TEST(the_order_is_that_of_postgres)
{
    for (size_t i = 0; i < COUNT_OF(ranks); i++) {
        for (size_t k = 0; k < COUNT_OF(ranks); k++) {
            if (ranks[i].type != ranks[k].type)
                continue;
            leat_value a = ranked(i);
            leat_value b = ranked(k);
            int order = leat_value_compare(ranks[i].type, &a, &b);
            int expected = (ranks[i].rank > ranks[k].rank) - (ranks[i].rank < ranks[k].rank);
            ck_assert_msg((order > 0) - (order < 0) == expected, "%s: %s and %s",
                          leat_type_name(ranks[i].type), ranks[i].text, ranks[k].text);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/value");
    TCase *tests = tcase_create("value");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, text_becomes_values_and_canonical_text, 0,
                        (int)COUNT_OF(text_cases));
    tcase_add_test(tests, an_offset_where_none_belongs_is_named);
    tcase_add_loop_test(tests, a_nul_in_text_is_refused, 0, 2);
    tcase_add_loop_test(tests, values_have_the_binary_form_of_postgres, 0,
                        (int)COUNT_OF(binary_cases));
    tcase_add_test(tests, null_jsonb_and_json_have_their_binary_form);
    tcase_add_test(tests, floats_keep_their_specials);
    tcase_add_test(tests, a_floats_literal_may_be_long_but_not_endless);
    tcase_add_test(tests, equality_is_of_values_not_of_spelling);
    tcase_add_test(tests, the_order_is_that_of_postgres);
    return fixture_run(suite);
}
