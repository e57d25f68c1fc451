/* Idempotency keys: what is one, and by what a write is known. */
#include "fixture.h"

#include "record/idempotency.h"

static void expect_key(const char *text, const char *key)
{
    leat_slice got = {NULL, 0};
    const char *fault = leat_idempotency_key_read(leat_slice_of(text), &got);
    ck_assert_msg(!fault == !!key, "%s: %s", text, fault ? fault : "taken");
    ck_assert(!key || leat_slice_is(got, key));
}

START_TEST(a_key_is_bare_or_in_quotes)
{
    char longest[LEAT_IDEMPOTENCY_KEY_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    expect_key("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    expect_key("\"8e03978e\"", "8e03978e");
    expect_key("!", "!");
    expect_key("~", "~");
    expect_key(longest, NULL);
    expect_key(longest + 1, longest + 1);
}
END_TEST

START_TEST(what_is_no_key)
{
    static const char *const faulty[] = {"",     "\"\"",  "\"",        "a b",         "\"a b\"",
                                         "\"a",  "a\"",   "a\\b",      "\"a\\\"b\"",  "\xc3\xa4",
                                         "a\tb", "a\x7f", "\"a\";q=1", "\"a\", \"b\""};
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++)
        expect_key(faulty[i], NULL);
}
END_TEST

static leat_table table = {.schema = "public", .name = "t"};
static leat_route route = {.name = "t", .table = &table, .table_hash = 7};

static leat_item write_of(const char *row, const char *key, const char *value)
{
    return (leat_item){.record = {.value = leat_slice_of(value), .idempotency = leat_slice_of(key)},
                       .route = &route,
                       .op = LEAT_PATCH,
                       .canonical_key = leat_slice_of(row)};
}

static leat_write_id id_of(int32_t source, leat_item item)
{
    leat_buf scratch = {0};
    leat_write_id id;
    ck_assert(leat_idempotency_has_key(&item));
    ck_assert(leat_idempotency_identify(source, &item, &scratch, &id));
    leat_buf_free(&scratch);
    return id;
}

static bool is_one(leat_write_id a, leat_write_id b)
{
    ck_assert_int_eq(a.a == b.a, a.b == b.b);
    return a.a == b.a;
}

START_TEST(a_key_counts_for_one_row_of_one_source)
{
    leat_write_id one = id_of(1, write_of("7", "k", "{}"));
    ck_assert(is_one(one, id_of(1, write_of("7", "\"k\"", "{\"n\":1}"))));
    ck_assert(!is_one(one, id_of(2, write_of("7", "k", "{}"))));
    ck_assert(!is_one(one, id_of(1, write_of("8", "k", "{}"))));
    ck_assert(!is_one(one, id_of(1, write_of("7", "l", "{}"))));
    ck_assert(!is_one(id_of(1, write_of("7k", "k", "{}")), id_of(1, write_of("7", "kk", "{}"))));
    leat_route other = route;
    other.table_hash = 8;
    leat_item elsewhere = write_of("7", "k", "{}");
    elsewhere.route = &other;
    ck_assert(!is_one(one, id_of(1, elsewhere)));
}
END_TEST

START_TEST(the_fingerprint_is_of_what_the_write_says)
{
    uint64_t one = id_of(1, write_of("7", "k", "{}")).fingerprint;
    ck_assert_uint_eq(one, id_of(2, write_of("9", "l", "{}")).fingerprint);
    ck_assert_uint_ne(one, id_of(1, write_of("7", "k", "{ }")).fingerprint);
    leat_item put = write_of("7", "k", "{}");
    put.op = LEAT_PUT;
    ck_assert_uint_ne(one, id_of(1, put).fingerprint);
    leat_route other = route;
    other.name[0] = 'u';
    leat_item elsewhere = write_of("7", "k", "{}");
    elsewhere.route = &other;
    ck_assert_uint_ne(one, id_of(1, elsewhere).fingerprint);
}
END_TEST

START_TEST(the_numbers_never_change)
{
    leat_write_id id = id_of(1, write_of("7", "k", "{}"));
    ck_assert_uint_eq(id.a, UINT64_C(3144740309159457625));
    ck_assert_uint_eq(id.b, UINT64_C(1997170543010016652));
    ck_assert_uint_eq(id.fingerprint, UINT64_C(14474673560367112625));
}
END_TEST

START_TEST(a_record_whose_key_is_none_counts_as_one_without)
{
    leat_item item = write_of("7", "a b", "{}");
    ck_assert(!leat_idempotency_has_key(&item));
    item = write_of("7", "", "{}");
    ck_assert(!leat_idempotency_has_key(&item));
    item = write_of("7", "k", "{}");
    item.route = NULL;
    ck_assert(!leat_idempotency_has_key(&item));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idempotency");
    TCase *tcase = tcase_create("idempotency");
    tcase_add_test(tcase, a_key_is_bare_or_in_quotes);
    tcase_add_test(tcase, what_is_no_key);
    tcase_add_test(tcase, a_key_counts_for_one_row_of_one_source);
    tcase_add_test(tcase, the_fingerprint_is_of_what_the_write_says);
    tcase_add_test(tcase, the_numbers_never_change);
    tcase_add_test(tcase, a_record_whose_key_is_none_counts_as_one_without);
    suite_add_tcase(suite, tcase);
    return fixture_run(suite);
}
