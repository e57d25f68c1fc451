#include "fixture.h"
#include "record/key_state.h"

enum { WRITES_MAX = 4 };

static leat_key_follower *follower;
static leat_table table;
static leat_route route, other_route;

/* "n" adds, "m" adds onto a default, "w" onto one that is no constant, "r" and "f" are floats that
 * add, "last" is a max with a step, "s" is set. */
static void set_up(void)
{
    follower = leat_key_follower_new();
    ck_assert_ptr_nonnull(follower);
    table = fixture_empty_table("t");
    fixture_add_key(&table, "id", LEAT_TYPE_INT4, -1);
    fixture_add(&table, "n", LEAT_TYPE_INT4, -1);
    fixture_add(&table, "m", LEAT_TYPE_INT4, -1)->default_expression = leat_must_strdup("5");
    fixture_add(&table, "w", LEAT_TYPE_INT4, -1)->default_expression = leat_must_strdup("dice()");
    fixture_add(&table, "r", LEAT_TYPE_FLOAT8, -1);
    fixture_add(&table, "f", LEAT_TYPE_FLOAT4, -1);
    fixture_add(&table, "last", LEAT_TYPE_INT8, -1);
    fixture_add(&table, "s", LEAT_TYPE_TEXT, -1);
    route = fixture_route(&table, "/t/{id}");
    for (uint32_t i = 1; i <= 5; i++)
        route.ops[i] = LEAT_OP_ADD;
    route.ops[6] = LEAT_OP_MAX;
    route.steps[6] = (leat_step){.is_set = true, .integer = 10};
    other_route = route;
    other_route.ops[2] = LEAT_OP_MAX;
}

static void tear_down(void)
{
    leat_table_fini(&table);
    leat_key_follower_free(follower);
}

/* "put {...}", "patch {...}", "delete"; "other {...}" is a patch of the other route. */
static leat_followed follow(leat_key_state *state, const char *text)
{
    leat_value key = {.presence = LEAT_PRESENT, .integer = 1};
    size_t size = strcspn(text, " ");
    bool is_other = strncmp(text, "other", 5) == 0;
    leat_route_op op = LEAT_PATCH;
    ck_assert(is_other || leat_route_op_by_name((leat_slice){text, size}, &op));
    return leat_key_state_follow(follower, state, is_other ? &other_route : &route, op,
                                 leat_slice_of(text + size), &key);
}

static void put_columns(leat_buf *out, const leat_key_state *state)
{
    for (uint32_t i = 0; i < table.column_count; i++) {
        const char *name = table.columns[i].name;
        if (state->unknown >> i & 1)
            leat_buf_printf(out, " %s?", name);
        if (!(state->known >> i & 1))
            continue;
        const leat_value *value = &state->values[i];
        leat_buf_printf(out, " %s%s", name, state->operated >> i & 1 ? "~" : "=");
        if (value->presence == LEAT_NULL)
            leat_buf_text(out, "null");
        else if (table.columns[i].type == LEAT_TYPE_TEXT)
            leat_buf_slice(out, value->text);
        else if (leat_type_is_float(table.columns[i].type))
            leat_buf_printf(out, "%g", value->real);
        else
            leat_buf_printf(out, "%lld", (long long)value->integer);
    }
}

static void check(const leat_key_state *state, const char *expected)
{
    static const char *const rows[] = {"unknown", "absent", "present"};
    leat_buf found = {0};
    leat_buf_text(&found, rows[state->row]);
    put_columns(&found, state);
    ck_assert_str_eq(leat_buf_cstr(&found), expected);
    leat_buf_free(&found);
}

static const struct {
    bool is_new;
    const char *writes[WRITES_MAX];
    const char *expected;
} cases[] = {
    /* a life that is seen from its beginning */
    {true, {"patch {\"n\":1}"}, "present n=1"},
    {true, {"patch {\"n\":1}", "patch {\"n\":2,\"s\":\"a\"}"}, "present n=3 s=a"},
    {true, {"patch {\"m\":1}", "patch {\"m\":2}"}, "present m~3"},
    {true, {"patch {\"m\":1}", "put {}"}, "present"},
    {true, {"patch {\"m\":1}", "delete"}, "absent"},
    {true, {"delete", "patch {\"n\":4}"}, "present n=4"},
    {true, {"patch {\"n\":1}", "patch {\"n\":null}", "patch {\"n\":4}"}, "present n=4"},
    {true, {NULL}, "absent"},
    /* one that was there before */
    {false, {NULL}, "unknown"},
    {false, {"patch {\"n\":1}"}, "present n?"},
    {false, {"patch {\"n\":1,\"s\":\"a\"}", "patch {\"s\":\"b\"}"}, "present n? s=b"},
    {false, {"patch {\"n\":1}", "patch {\"n\":null}", "patch {\"n\":2}"}, "present n=2"},
    {false, {"patch {\"n\":1}", "put {\"n\":5}", "patch {\"n\":2}"}, "present n=7"},
    {false, {"delete"}, "absent"},
    /* what depends on the moment, or on rounding */
    {true, {"patch {\"last\":7}"}, "present last?"},
    {true, {"patch {\"last\":7}", "put {\"last\":8}"}, "present last=8"},
    {true, {"put {\"r\":1.5}", "patch {\"r\":2}"}, "present r=3.5"},
    {true, {"put {\"f\":1.5}", "patch {\"f\":2}"}, "present f?"},
    {true, {"put {\"n\":2147483647}", "patch {\"n\":1}"}, "present n?"},
    /* another route's operations */
    {true, {"patch {\"m\":1}", "other {\"s\":\"a\"}"}, "present m? s=a"},
    {true, {"put {\"m\":1}", "other {\"m\":4}"}, "present m=4"},
};

START_TEST(a_state_knows_what_follows_from_the_writes)
{
    leat_key_state state;
    leat_key_state_init(&state, cases[_i].is_new);
    for (int i = 0; i < WRITES_MAX && cases[_i].writes[i]; i++)
        ck_assert_int_eq(follow(&state, cases[_i].writes[i]), LEAT_FOLLOWED);
    check(&state, cases[_i].expected);
    leat_key_state_fini(&state);
}
END_TEST

START_TEST(a_patch_of_a_missing_row_is_dropped_where_the_route_says_so)
{
    leat_key_state state;
    route.patch_existing = true;
    leat_key_state_init(&state, true);
    ck_assert_int_eq(follow(&state, "patch {\"n\":1}"), LEAT_FOLLOWED);
    check(&state, "absent");
    leat_key_state_init(&state, false);
    ck_assert_int_eq(follow(&state, "patch {\"s\":\"a\"}"), LEAT_FOLLOWED);
    check(&state, "unknown s=a");
    leat_key_state_fini(&state);
}
END_TEST

START_TEST(after_a_body_that_does_not_fit_nothing_is_known_until_all_is_said_again)
{
    leat_key_state state;
    leat_key_state_init(&state, true);
    ck_assert_int_eq(follow(&state, "put {\"n\":1}"), LEAT_FOLLOWED);
    ck_assert_int_eq(follow(&state, "patch {\"gone\":1}"), LEAT_FOLLOWED_UNREADABLE);
    ck_assert_int_eq(state.row, LEAT_ROW_UNKNOWN);
    ck_assert_uint_eq(state.known, 0);
    ck_assert_int_eq(follow(&state, "put {\"n\":1}"), LEAT_FOLLOWED);
    check(&state, "present n=1");
    leat_key_state_fini(&state);
}
END_TEST

START_TEST(a_copy_goes_its_own_way)
{
    leat_key_state state, copy;
    leat_key_state_init(&state, true);
    ck_assert_int_eq(follow(&state, "put {\"s\":\"long enough\",\"n\":1}"), LEAT_FOLLOWED);
    ck_assert_int_eq(leat_key_state_copy(&state, &copy), 0);
    ck_assert_int_eq(follow(&copy, "patch {\"s\":\"b\",\"n\":1}"), LEAT_FOLLOWED);
    check(&state, "present n=1 s=long enough");
    check(&copy, "present n=2 s=b");
    leat_key_state_fini(&state);
    leat_key_state_fini(&copy);
}
END_TEST

static const struct {
    const char *expression;
    bool is_constant;
} defaults[] = {
    {"5", true},
    {"-1.5e3", true},
    {"'[]'::jsonb", true},
    {"'it''s now()'::text", true},
    {"(0)::numeric(10,2)", true},
    {"'x'::character varying", true},
    {"'2026-01-02 03:04:05+00'::timestamp with time zone", true},
    {"TRUE", true},
    {"NULL::integer", true},
    {"now()", false},
    {"CURRENT_TIMESTAMP", false},
    {"nextval('s'::regclass)", false},
    {"(1 + dice())", false},
    {"('a'::text || dice())", false},
    {"'open", false},
};

START_TEST(only_constant_defaults_can_be_compared)
{
    leat_key_state state;
    free(table.columns[2].default_expression);
    table.columns[2].default_expression = leat_must_strdup(defaults[_i].expression);
    leat_key_state_init(&state, true);
    ck_assert_int_eq(follow(&state, "patch {\"m\":1,\"n\":2,\"w\":3}"), LEAT_FOLLOWED);
    check(&state, "present n=2 m~1 w~3");
    ck_assert_uint_eq(leat_key_state_comparable(&state, &table),
                      defaults[_i].is_constant ? 2 | 4 : 2);
    leat_key_state_fini(&state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/key_state");
    TCase *tests = tcase_create("key_state");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_state_knows_what_follows_from_the_writes, 0, COUNT_OF(cases));
    tcase_add_test(tests, a_patch_of_a_missing_row_is_dropped_where_the_route_says_so);
    tcase_add_test(tests, after_a_body_that_does_not_fit_nothing_is_known_until_all_is_said_again);
    tcase_add_test(tests, a_copy_goes_its_own_way);
    tcase_add_loop_test(tests, only_constant_defaults_can_be_compared, 0, COUNT_OF(defaults));
    return fixture_run(suite);
}
