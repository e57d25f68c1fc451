/* A `max` with a step in PostgreSQL: it writes a row only for a step or more, goes along with other
 * changes, is exact where nothing is stored, and no value or step overflows. */
#include "sink_fixture.h"

/* Every test runs with the statement of its rows, with the one that fits any row, and with both
 * taken apart because a trigger may drop rows. */
static bool is_general(int round)
{
    return (round & 1) != 0;
}

static bool has_triggers(int round)
{
    return (round & 2) != 0;
}

typedef struct step_case {
    const char *type;
    leat_step_spec step;
    const char *stored; /* SQL; NULL: no row */
    const char *verb, *body;
    const char *expected; /* v::text, and the note where it is new */
    bool is_written;
} step_case;

#define NUMBER(text)  {.number = (text)}
#define SECONDS(many) {.milliseconds = (many) * 1000LL}
#define DAYS(many)    {.milliseconds = (many) * 86400000LL}

static const step_case cases[] = {
    /* below the step nothing is written, from it on the value */
    {"int", NUMBER("10"), "100", "patch", "{\"v\":109}", "100", false},
    {"int", NUMBER("10"), "100", "patch", "{\"v\":110}", "110", true},
    {"int", NUMBER("10"), "100", "patch", "{\"v\":5}", "100", false},
    {"int", NUMBER("10"), "-5", "patch", "{\"v\":4}", "-5", false},
    {"int", NUMBER("10"), "-5", "patch", "{\"v\":5}", "5", true},
    {"int", NUMBER("10"), "-50", "patch", "{\"v\":-41}", "-50", false},
    {"int", NUMBER("10"), "-50", "patch", "{\"v\":-40}", "-40", true},
    /* another column's change takes the maximum along, and only that */
    {"int", NUMBER("10"), "100", "patch", "{\"v\":109,\"note\":\"b\"}", "109 b", true},
    {"int", NUMBER("10"), "100", "patch", "{\"v\":99,\"note\":\"b\"}", "100 b", true},
    {"int", NUMBER("10"), "100", "patch", "{\"v\":109,\"note\":\"a\"}", "100", false},
    /* nothing is stored, or the value is set */
    {"int", NUMBER("10"), "NULL", "patch", "{\"v\":1}", "1", true},
    {"int", NUMBER("10"), NULL, "patch", "{\"v\":1}", "1", true},
    {"int DEFAULT 5", NUMBER("10"), NULL, "patch", "{\"v\":6}", "6", true},
    {"int DEFAULT 5", NUMBER("10"), NULL, "patch", "{\"v\":4}", "5", true},
    {"int", NUMBER("10"), "100", "put", "{\"v\":101,\"note\":\"a\"}", "101", true},
    {"int", NUMBER("10"), "100", "put", "{\"v\":99,\"note\":\"a\"}", "99", true},
    {"int", NUMBER("10"), "100", "patch", "{\"v\":null}", "(null)", true},
    {"int", NUMBER("10"), "NULL", "patch", "{\"v\":null}", "(null)", false},
    /* the ends of types */
    {"smallint", NUMBER("32767"), "-32768", "patch", "{\"v\":-2}", "-32768", false},
    {"smallint", NUMBER("32767"), "-32768", "patch", "{\"v\":-1}", "-1", true},
    {"smallint", NUMBER("32767"), "-32768", "patch", "{\"v\":32767}", "32767", true},
    {"smallint", NUMBER("32767"), "32767", "patch", "{\"v\":-32768}", "32767", false},
    {"int", NUMBER("2147483647"), "-2147483648", "patch", "{\"v\":2147483647}", "2147483647", true},
    {"int", NUMBER("2147483647"), "1", "patch", "{\"v\":2147483647}", "1", false},
    {"bigint", NUMBER("9223372036854775807"), "-9223372036854775808", "patch", "{\"v\":-2}",
     "-9223372036854775808", false},
    {"bigint", NUMBER("9223372036854775807"), "-9223372036854775808", "patch", "{\"v\":-1}", "-1",
     true},
    {"bigint", NUMBER("9223372036854775807"), "9223372036854775807", "patch",
     "{\"v\":-9223372036854775808}", "9223372036854775807", false},
    {"bigint", NUMBER("1"), "9223372036854775806", "patch", "{\"v\":9223372036854775807}",
     "9223372036854775807", true},
    /* numeric: rounded as the column does it before it is compared; NaN is the greatest */
    {"numeric", NUMBER("0.5"), "1.0", "patch", "{\"v\":1.49}", "1.0", false},
    {"numeric", NUMBER("0.5"), "1.0", "patch", "{\"v\":1.50}", "1.50", true},
    {"numeric(6,2)", NUMBER("1"), "1", "patch", "{\"v\":1.994}", "1.00", false},
    {"numeric(6,2)", NUMBER("1"), "1", "patch", "{\"v\":1.996}", "2.00", true},
    {"numeric(6,2)", NUMBER("0.001"), "9999.98", "patch", "{\"v\":9999.99}", "9999.99", true},
    {"numeric", NUMBER("1"), "1", "patch", "{\"v\":\"NaN\"}", "NaN", true},
    {"numeric", NUMBER("1"), "'NaN'", "patch", "{\"v\":7}", "NaN", false},
    {"numeric", NUMBER("1"), "'NaN'", "patch", "{\"v\":\"NaN\"}", "NaN", false},
    /* floats */
    {"real", NUMBER("0.25"), "1", "patch", "{\"v\":1.125}", "1", false},
    {"real", NUMBER("0.25"), "1", "patch", "{\"v\":1.25}", "1.25", true},
    {"double precision", NUMBER("1"), "1", "patch", "{\"v\":\"Infinity\"}", "Infinity", true},
    {"double precision", NUMBER("1"), "'-Infinity'", "patch", "{\"v\":-5}", "-5", true},
    {"double precision", NUMBER("1"), "'Infinity'", "patch", "{\"v\":\"Infinity\"}", "Infinity",
     false},
    {"double precision", NUMBER("1"), "'-Infinity'", "patch", "{\"v\":\"-Infinity\"}", "-Infinity",
     false},
    {"double precision", NUMBER("1"), "'Infinity'", "patch", "{\"v\":\"NaN\"}", "NaN", true},
    {"double precision", NUMBER("1"), "'NaN'", "patch", "{\"v\":\"NaN\"}", "NaN", false},
    {"double precision", NUMBER("1"), "'NaN'", "patch", "{\"v\":5}", "NaN", false},
    {"double precision", NUMBER("1e308"), "-1.7e308", "patch", "{\"v\":1.7e308}", "1.7e+308", true},
    /* dates and times; what is stored may be infinite or before the year 1 */
    {"date", DAYS(7), "'2026-01-02'", "patch", "{\"v\":\"2026-01-08\"}", "2026-01-02", false},
    {"date", DAYS(7), "'2026-01-02'", "patch", "{\"v\":\"2026-01-09\"}", "2026-01-09", true},
    {"date", DAYS(365250), "'4713-01-01 BC'", "patch", "{\"v\":\"0001-01-01\"}", "0001-01-01",
     true},
    {"date", DAYS(7), "'-infinity'", "patch", "{\"v\":\"0001-01-01\"}", "0001-01-01", true},
    {"date", DAYS(7), "'infinity'", "patch", "{\"v\":\"9999-12-31\"}", "infinity", false},
    {"timestamptz", SECONDS(60), "'2026-01-02 03:04:05Z'", "patch",
     "{\"v\":\"2026-01-02T03:05:04.999999Z\"}", "2026-01-02 03:04:05+00", false},
    {"timestamptz", SECONDS(60), "'2026-01-02 03:04:05Z'", "patch",
     "{\"v\":\"2026-01-02T03:05:05Z\"}", "2026-01-02 03:05:05+00", true},
    {"timestamptz", DAYS(365250), "'4713-11-24 00:00:00Z BC'", "patch",
     "{\"v\":\"0001-01-01T00:00:00Z\"}", "0001-01-01 00:00:00+00", true},
    {"timestamptz", SECONDS(60), "'-infinity'", "patch", "{\"v\":\"2026-01-02T03:05:05Z\"}",
     "2026-01-02 03:05:05+00", true},
    {"timestamptz", SECONDS(60), "'infinity'", "patch", "{\"v\":\"2026-01-02T03:05:05Z\"}",
     "infinity", false},
    {"timestamp(0)", SECONDS(1), "'2026-01-02 03:04:05'", "patch",
     "{\"v\":\"2026-01-02T03:04:05.4\"}", "2026-01-02 03:04:05", false},
    {"timestamp(0)", SECONDS(1), "'2026-01-02 03:04:05'", "patch",
     "{\"v\":\"2026-01-02T03:04:05.6\"}", "2026-01-02 03:04:06", true},
    {"time", SECONDS(60), "'00:00:10'", "patch", "{\"v\":\"00:00:20\"}", "00:00:10", false},
    {"time", SECONDS(60), "'00:00:10'", "patch", "{\"v\":\"00:01:10\"}", "00:01:10", true},
    {"time", SECONDS(60), "'24:00'", "patch", "{\"v\":\"23:59:59\"}", "24:00:00", false},
    {"time", SECONDS(86400), "'00:00'", "patch", "{\"v\":\"23:59:59\"}", "00:00:00", false},
};

static fixture *open_fixture(void)
{
    fixture *f = fixture_new();
    fixture_open_database(f);
    fixture_schema(f);
    return f;
}

static void use_step(fixture *f, int round, const char *type, const leat_step_spec *step)
{
    static const char *const names[] = {"v"};
    static const leat_column_op ops[] = {LEAT_OP_MAX};
    char sql[256];
    leat_error error = {""};
    fixture_sql(f, "DROP TABLE IF EXISTS one");
    snprintf(sql, sizeof sql, "CREATE TABLE one (id int PRIMARY KEY, v %s, note text)", type);
    fixture_sql(f, sql);
    if (f->routes.count > 0)
        leat_table_fini(&f->catalog.tables[0]);
    f->routes.count = 0;
    fixture_route(f, "one", "/one/{id}", 1, names, ops);
    f->catalog.tables[0].row_triggers = has_triggers(round) ? LEAT_ON_ANY : 0;
    int made = leat_step_make(step, &f->catalog.tables[0].columns[1], &f->routes.routes[0].steps[1],
                              &error);
    ck_assert_msg(made == 0, "%s: %s", type, error.text);
}

static void expect_case(fixture *f, int round, const step_case *c)
{
    char sql[256], before[64];
    use_step(f, round, c->type, &c->step);
    if (c->stored) {
        snprintf(sql, sizeof sql, "INSERT INTO one VALUES (1, %s, 'a')", c->stored);
        fixture_sql(f, sql);
    }
    snprintf(before, sizeof before, "%s",
             fixture_ask(f, "SELECT ctid || ' ' || xmin || ' ' || xmax FROM one"));
    fixture_add(f, NULL, c->verb, "1", c->body);
    const char *state = fixture_apply(f, is_general(round), NULL);
    ck_assert_msg(!*state, "%s of %s over %s: %s", c->body, c->type, c->stored, state);
    bool is_same =
        strcmp(before, fixture_ask(f, "SELECT ctid || ' ' || xmin || ' ' || xmax FROM one")) == 0;
    const char *v = fixture_ask(f, "SELECT v::text || CASE WHEN note = 'b' THEN ' b' ELSE '' END "
                                   "FROM one");
    ck_assert_msg(strcmp(v, c->expected) == 0, "%s of %s over %s: %s, not %s", c->body, c->type,
                  c->stored ? c->stored : "no row", v, c->expected);
    ck_assert_msg(is_same == !c->is_written, "%s of %s over %s: %s", c->body, c->type,
                  c->stored ? c->stored : "no row",
                  is_same ? "nothing was written" : "the row was written");
}

START_TEST(a_row_is_written_for_a_step_or_more)
{
    fixture *f = open_fixture();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_case(f, _i, &cases[i]);
    fixture_free(f);
}
END_TEST

/* Numerics of 131,072 digits: neither their difference nor a step more of one can be held. */
START_TEST(numerics_at_their_end_do_not_overflow)
{
    fixture *f = open_fixture();
    leat_step_spec step = NUMBER("1");
    use_step(f, _i, "numeric", &step);
    fixture_sql(f, "INSERT INTO one VALUES (1, -9e131071, 'a')");
    fixture_add(f, NULL, "patch", "1", "{\"v\":\"9e131071\"}");
    ck_assert_str_eq(fixture_apply(f, is_general(_i), NULL), "");
    ck_assert_str_eq(fixture_ask(f, "SELECT v = 9e131071 FROM one"), "t");
    fixture_add(f, NULL, "patch", "1", "{\"v\":\"-9e131071\"}");
    ck_assert_str_eq(fixture_apply(f, is_general(_i), NULL), "");
    ck_assert_str_eq(fixture_ask(f, "SELECT v = 9e131071 FROM one"), "t");
    fixture_free(f);
}
END_TEST

/* Random writes, several a batch, so that they fold: what is stored is at most the true maximum and
 * less than a step below it, and never goes down. */
START_TEST(what_is_stored_is_less_than_a_step_behind)
{
    enum { BATCHES = 200, STEP = 10, HIGHEST = 400 };
    fixture *f = open_fixture();
    leat_step_spec step = NUMBER("10");
    leat_prng prng = {7};
    int64_t truth = INT64_MIN, before = INT64_MIN;
    int idle = 0;
    char bodies[4][64];
    use_step(f, _i, "bigint", &step);
    for (int batch = 0; batch < BATCHES; batch++) {
        for (uint64_t i = 1 + leat_prng_below(&prng, 3); i > 0; i--) {
            char *body = bodies[i];
            int64_t v = (int64_t)leat_prng_below(&prng, 1 + (uint64_t)batch * 2) - HIGHEST / 2;
            bool noted = leat_prng_below(&prng, 4) == 0;
            snprintf(body, sizeof bodies[i],
                     noted ? "{\"v\":%lld,\"note\":\"%d\"}" : "{\"v\":%lld}", (long long)v,
                     batch % 3);
            fixture_add(f, NULL, "patch", "1", body);
            truth = v > truth ? v : truth;
        }
        ck_assert_str_eq(fixture_apply(f, is_general(_i), NULL), "");
        int64_t stored = strtoll(fixture_ask(f, "SELECT v FROM one"), NULL, 10);
        ck_assert_int_le(stored, truth);
        ck_assert_int_lt(truth - stored, STEP);
        ck_assert_int_ge(stored, before);
        idle += truth > stored;
        before = stored;
    }
    ck_assert_int_gt(idle, BATCHES / 10);
    fixture_free(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("step");
    tcase_set_timeout(tests, 120);
    if (fixture_server()) {
        tcase_add_loop_test(tests, a_row_is_written_for_a_step_or_more, 0, 4);
        tcase_add_loop_test(tests, numerics_at_their_end_do_not_overflow, 0, 4);
        tcase_add_loop_test(tests, what_is_stored_is_less_than_a_step_behind, 0, 4);
    }
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
