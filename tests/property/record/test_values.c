/*
 * Properties of values, on random ones. LEAT_TEST_SEED=n repeats a run, LEAT_TEST_ROUNDS=n makes it
 * longer.
 */
#include "../../lib/setting.h"
#include "../../lib/test_placement.h"
#include "../../unit/record/fixture.h"
#include "record/decimal.h"
#include "record/item.h"

enum { ROUNDS = 5000, DIGITS_MAX = 60 };

/* Each test starts again from the seed, so that one can be repeated alone. */
static leat_prng seeded(void)
{
    return (leat_prng){setting("LEAT_TEST_SEED", (uint64_t)leat_wall_ms() / 1000)};
}

static uint64_t rounds(void)
{
    return setting("LEAT_TEST_ROUNDS", ROUNDS);
}

/* ---- Canonical text ---- */

static const leat_type key_types[] = {LEAT_TYPE_BOOL,        LEAT_TYPE_INT2, LEAT_TYPE_INT4,
                                      LEAT_TYPE_INT8,        LEAT_TYPE_TEXT, LEAT_TYPE_UUID,
                                      LEAT_TYPE_TIMESTAMPTZ, LEAT_TYPE_DATE, LEAT_TYPE_BYTEA};

/* Small numbers as often as large ones. */
static int64_t random_integer(leat_prng *prng, int bits)
{
    int64_t number = (int64_t)leat_prng_next(prng) >> (64 - bits);
    return number >> leat_prng_below(prng, (uint64_t)bits);
}

static size_t put_character(leat_prng *prng, char *at)
{
    uint32_t c;
    do
        c = (uint32_t)leat_prng_below(prng, leat_prng_below(prng, 2) ? 0x80 : 0x110000);
    while (c == 0 || (c >= 0xd800 && c <= 0xdfff));
    if (c < 0x80) {
        at[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        at[i] = (char)(0x80 | (c & 0x3f));
    at[0] = (char)((0xf00 >> size & 0xff) | c);
    return size;
}

static leat_slice random_text(leat_prng *prng, char *room)
{
    size_t size = 0;
    for (uint64_t count = 1 + leat_prng_below(prng, 20); count > 0; count--)
        size += put_character(prng, room + size);
    return (leat_slice){room, size};
}

/* The base64 of 1 to 20 random bytes, one bit after the other. */
static leat_slice random_base64(leat_prng *prng, char *room)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t bits = 8 * (1 + leat_prng_below(prng, 20));
    size_t size = 0;
    for (uint64_t at = 0; at < bits; at += 6) {
        uint64_t digit = leat_prng_below(prng, 64);
        uint64_t unused = at + 6 > bits ? at + 6 - bits : 0;
        room[size++] = digits[digit >> unused << unused];
    }
    while (size % 4 != 0)
        room[size++] = '=';
    return (leat_slice){room, size};
}

static leat_value random_value(leat_prng *prng, leat_type type, char *room)
{
    static const int64_t first_us = -730119 * INT64_C(86400000000);
    static const uint64_t range_us = 3652059 * UINT64_C(86400000000);
    leat_value value = {.presence = LEAT_PRESENT};
    if (type == LEAT_TYPE_BOOL)
        value.boolean = leat_prng_below(prng, 2) == 1;
    else if (type == LEAT_TYPE_TEXT)
        value.text = random_text(prng, room);
    else if (type == LEAT_TYPE_BYTEA)
        value.text = random_base64(prng, room);
    else if (type == LEAT_TYPE_DATE)
        value.integer = (int64_t)leat_prng_below(prng, 3652059) - 730119;
    else if (type == LEAT_TYPE_UUID)
        memcpy(value.uuid, &(uint64_t[]){leat_prng_next(prng), leat_prng_next(prng)},
               sizeof value.uuid);
    else if (type == LEAT_TYPE_TIMESTAMPTZ)
        value.integer = first_us + (int64_t)leat_prng_below(prng, range_us);
    else
        value.integer = random_integer(prng, type == LEAT_TYPE_INT2   ? 16
                                             : type == LEAT_TYPE_INT4 ? 32
                                                                      : 64);
    return value;
}

START_TEST(canonical_text_leads_back_to_the_value)
{
    leat_prng prng = seeded();
    for (uint64_t i = 0; i < rounds(); i++) {
        char room[128];
        char arena[2][LEAT_CANONICAL_MAX];
        leat_error error = {""};
        leat_type type = key_types[leat_prng_below(&prng, COUNT_OF(key_types))];
        leat_column column = fixture_column("c", type, -1);
        leat_value value = random_value(&prng, type, room);
        leat_value again;
        leat_slice canonical = leat_value_canonical(type, &value, arena[0]);
        ck_assert_msg(leat_value_from_text(&column, canonical, &again, &error) == 0,
                      "%s \"%.*s\": %s", leat_type_name(type), (int)canonical.size, canonical.data,
                      error.text);
        ck_assert(leat_value_equal(type, &value, &again));
        ck_assert(leat_slice_equal(canonical, leat_value_canonical(type, &again, arena[1])));
    }
}
END_TEST

/* A key with parts of random types goes through its path form, and through an item, unchanged. */
START_TEST(a_canonical_key_is_its_own_canonical_form)
{
    leat_prng prng = seeded();
    for (uint64_t i = 0; i < rounds() / 4; i++) {
        static leat_routes routes = {.count = 1};
        leat_table table = fixture_empty_table("t");
        char path[64] = "";
        for (uint64_t k = 1 + leat_prng_below(&prng, 4); k > 0; k--) {
            char name[] = {(char)('a' + (int)k), '\0'};
            fixture_add_key(&table, name, key_types[leat_prng_below(&prng, COUNT_OF(key_types))],
                            -1);
            snprintf(path + strlen(path), sizeof path - strlen(path), "/{%s}", name);
        }
        routes.routes[0] = fixture_route(&table, path);
        leat_buf raw = {0};
        for (uint32_t k = 0; k < table.key_count; k++) {
            char room[128], arena[LEAT_CANONICAL_MAX];
            leat_value value = random_value(&prng, table.columns[k].type, room);
            leat_slice text = leat_value_canonical(table.columns[k].type, &value, arena);
            leat_buf_text(&raw, k == 0 ? "" : "/");
            for (size_t at = 0; at < text.size; at++)
                leat_buf_printf(&raw, "%%%02x", (unsigned char)text.data[at]);
        }
        leat_error error = {""};
        static leat_key key, again;
        ck_assert_msg(
            leat_key_decode(&routes.routes[0], (leat_slice){raw.data, raw.size}, &key, &error) == 0,
            "%s", error.text);
        leat_slice canonical = {key.canonical, key.canonical_size};
        ck_assert_int_eq(leat_key_decode(&routes.routes[0], canonical, &again, &error), 0);
        ck_assert(leat_slice_equal(canonical, (leat_slice){again.canonical, again.canonical_size}));
        ck_assert_uint_eq(key.hash, again.hash);
        leat_item item = {.record = {.key = canonical, .value = LEAT_SLICE("{}")}};
        ck_assert_int_eq(leat_item_decode(&routes, &test_placement, &item), 0);
        ck_assert_ptr_eq(item.canonical_key.data, key.canonical);
        for (uint32_t k = 0; k < table.key_count; k++)
            ck_assert(leat_value_equal(table.columns[k].type, &item.key[k], &key.values[k]));
        leat_item_clear(&item);
        leat_buf_free(&raw);
    }
}
END_TEST

/* ---- Numeric against schoolbook arithmetic ---- */

typedef struct literal {
    char text[128];
    char digits[DIGITS_MAX + 1]; /* whole and fraction together */
    int whole, fraction, exponent;
    bool negative;
} literal;

static literal random_literal(leat_prng *prng)
{
    literal made = {.whole = 1 + (int)leat_prng_below(prng, 25),
                    .fraction = (int)leat_prng_below(prng, 25),
                    .exponent = (int)leat_prng_below(prng, 61) - 30,
                    .negative = leat_prng_below(prng, 2) == 1};
    bool nines = leat_prng_below(prng, 4) == 0; /* where rounding carries */
    for (int i = 0; i < made.whole + made.fraction; i++)
        made.digits[i] = nines                      ? '9'
                         : leat_prng_below(prng, 2) ? '0'
                                                    : (char)('0' + leat_prng_below(prng, 10));
    int used = snprintf(made.text, sizeof made.text, "%s%.*s", made.negative ? "-" : "", made.whole,
                        made.digits);
    if (made.fraction > 0)
        used += snprintf(made.text + used, sizeof made.text - (size_t)used, ".%s",
                         made.digits + made.whole);
    if (made.exponent != 0 || leat_prng_below(prng, 2))
        snprintf(made.text + used, sizeof made.text - (size_t)used, "e%d", made.exponent);
    return made;
}

enum {
    PLACES = 128,
    POINT = 64
}; /* a schema_versions of decimal places: place[POINT] is the units, larger is worth less */

static void place_literal(const literal *from, char *schema_versions)
{
    memset(schema_versions, 0, PLACES);
    for (int i = 0; i < from->whole + from->fraction; i++)
        schema_versions[POINT + 1 - from->whole - from->exponent + i] =
            (char)(from->digits[i] - '0');
}

static int be16(const char *at)
{
    return (unsigned char)at[0] << 8 | (unsigned char)at[1];
}

/* The binary form, digit by digit onto the same schema_versions. */
static void place_binary(const leat_buf *binary, char *schema_versions)
{
    memset(schema_versions, 0, PLACES);
    int count = be16(binary->data + 4);
    int weight = (int16_t)be16(binary->data + 6);
    ck_assert_uint_eq(binary->size, (size_t)(12 + 2 * count));
    for (int i = 0; i < count; i++) {
        int group = be16(binary->data + 12 + 2 * i);
        ck_assert_int_lt(group, 10000);
        ck_assert(group != 0 || (i != 0 && i != count - 1)); /* PostgreSQL strips zero groups at
                                                                both ends */
        for (int k = 3; k >= 0; k--, group /= 10)
            schema_versions[POINT - 4 * (weight - i) - 3 + k] = (char)(group % 10);
    }
}

static bool is_zero(const char *schema_versions)
{
    for (int i = 0; i < PLACES; i++)
        if (schema_versions[i] != 0)
            return false;
    return true;
}

START_TEST(numeric_binary_holds_every_digit)
{
    leat_prng prng = seeded();
    leat_column column = fixture_column("c", LEAT_TYPE_NUMERIC, -1);
    leat_buf binary = {0};
    for (uint64_t i = 0; i < rounds(); i++) {
        char expected[PLACES], found[PLACES];
        literal made = random_literal(&prng);
        leat_value value;
        leat_error error = {""};
        ck_assert_msg(leat_value_from_text(&column, leat_slice_of(made.text), &value, &error) == 0,
                      "%s: %s", made.text, error.text);
        binary.size = 0;
        leat_value_binary(&column, &value, &binary);
        place_literal(&made, expected);
        place_binary(&binary, found);
        ck_assert_msg(memcmp(expected, found, PLACES) == 0, "%s", made.text);
        int scale = made.fraction - made.exponent;
        ck_assert_int_eq(be16(binary.data + 10), scale > 0 ? scale : 0);
        ck_assert_int_eq(be16(binary.data + 8), made.negative && !is_zero(expected) ? 0x4000 : 0);
    }
    leat_buf_free(&binary);
}
END_TEST

/* ---- Sums and rounding against 128-bit integers ---- */

__extension__ typedef __int128 wide;

/* Up to 30 digits and up to 10 of them after the point; the value in units of 1e-10. */
static wide random_short_literal(leat_prng *prng, char *text, int *ret_scale)
{
    wide number = 0;
    int whole = 1 + (int)leat_prng_below(prng, 20);
    int scale = (int)leat_prng_below(prng, 11);
    bool negative = leat_prng_below(prng, 2) == 1;
    char *at = text;
    if (negative)
        *at++ = '-';
    for (int i = 0; i < whole + scale; i++) {
        int digit = leat_prng_below(prng, 3) == 0 ? 9 : (int)leat_prng_below(prng, 10);
        if (i == whole)
            *at++ = '.';
        *at++ = (char)('0' + digit);
        number = number * 10 + digit;
    }
    *at = '\0';
    for (int i = scale; i < 10; i++)
        number *= 10;
    *ret_scale = scale;
    return negative ? -number : number;
}

/* The value of a plain literal in units of 1e-10, and its scale. */
static wide read_literal(const char *text, size_t size, int *ret_scale)
{
    wide number = 0;
    bool negative = text[0] == '-';
    int scale = -1;
    for (size_t i = negative ? 1 : 0; i < size; i++) {
        if (text[i] == '.') {
            scale = 0;
            continue;
        }
        number = number * 10 + (text[i] - '0');
        scale += scale >= 0;
    }
    *ret_scale = scale < 0 ? 0 : scale;
    for (int i = *ret_scale; i < 10; i++)
        number *= 10;
    return negative ? -number : number;
}

START_TEST(sums_of_literals_are_exact)
{
    leat_prng prng = seeded();
    for (uint64_t i = 0; i < rounds(); i++) {
        char a[64], b[64], text[LEAT_DECIMAL_SUM_MAX];
        int scale_a, scale_b, scale;
        size_t size;
        wide expected = random_short_literal(&prng, a, &scale_a) +
                        random_short_literal(&prng, b, &scale_b);
        ck_assert(leat_decimal_sum(leat_slice_of(a), leat_slice_of(b), text, &size));
        ck_assert_msg(read_literal(text, size, &scale) == expected, "%s + %s = %.*s", a, b,
                      (int)size, text);
        ck_assert_int_eq(scale, scale_a > scale_b ? scale_a : scale_b);
    }
}
END_TEST

START_TEST(rounded_literals_are_the_nearest)
{
    leat_prng prng = seeded();
    for (uint64_t i = 0; i < rounds(); i++) {
        char literal_text[64], text[LEAT_DECIMAL_SUM_MAX];
        int ignored, found;
        size_t size;
        wide value = random_short_literal(&prng, literal_text, &ignored);
        int scale = (int)leat_prng_below(&prng, 14) - 3;
        scale = scale > 10 ? 10 : scale;
        wide unit = 1;
        for (int k = scale; k < 10; k++)
            unit *= 10;
        wide magnitude = value < 0 ? -value : value;
        wide expected = (magnitude + unit / 2) / unit * unit;
        int32_t modifier = ((30 << 16) | (scale & 0x7ff)) + 4;
        ck_assert(leat_decimal_round(leat_slice_of(literal_text), modifier, text, &size));
        ck_assert_msg(read_literal(text, size, &found) == (value < 0 ? -expected : expected),
                      "%s to %d: %.*s", literal_text, scale, (int)size, text);
        ck_assert_int_eq(found, scale > 0 ? scale : 0);
    }
}
END_TEST

/* Rounds on the schema_versions, and looks whether anything stands left of the room that
 * numeric(p,s) leaves. */
static bool fits_on_board(const literal *made, int precision, int scale)
{
    char schema_versions[PLACES];
    place_literal(made, schema_versions);
    int last = POINT + scale;
    bool up = schema_versions[last + 1] >= 5;
    for (int i = last; up; i--) {
        up = schema_versions[i] == 9;
        schema_versions[i] = (char)(up ? 0 : schema_versions[i] + 1);
    }
    for (int i = 0; i < POINT + 1 - (precision - scale); i++)
        if (i <= last && schema_versions[i] != 0)
            return false;
    return true;
}

START_TEST(numeric_with_precision_is_refused_when_its_rounded_value_overflows)
{
    leat_prng prng = seeded();
    for (uint64_t i = 0; i < rounds(); i++) {
        literal made = random_literal(&prng);
        int precision = 1 + (int)leat_prng_below(&prng, 30);
        int scale = (int)leat_prng_below(&prng, 40) - 10;
        leat_column column =
            fixture_column("c", LEAT_TYPE_NUMERIC, ((precision << 16) | (scale & 0x7ff)) + 4);
        leat_value value;
        leat_error error = {""};
        bool taken = leat_value_from_text(&column, leat_slice_of(made.text), &value, &error) == 0;
        ck_assert_msg(taken == fits_on_board(&made, precision, scale), "%s numeric(%d,%d): %s",
                      made.text, precision, scale, taken ? "taken" : error.text);
    }
}
END_TEST

int main(void)
{
    /* Fixed before the tests fork, so that all of them see the number that is printed. */
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)seeded().state);
    setenv("LEAT_TEST_SEED", seed, 0);
    printf("# LEAT_TEST_SEED=%s\n", seed);
    fflush(stdout);
    Suite *suite = suite_create("record/values");
    TCase *tests = tcase_create("values");
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, canonical_text_leads_back_to_the_value);
    tcase_add_test(tests, a_canonical_key_is_its_own_canonical_form);
    tcase_add_test(tests, numeric_binary_holds_every_digit);
    tcase_add_test(tests, sums_of_literals_are_exact);
    tcase_add_test(tests, rounded_literals_are_the_nearest);
    tcase_add_test(tests, numeric_with_precision_is_refused_when_its_rounded_value_overflows);
    return fixture_run(suite);
}
