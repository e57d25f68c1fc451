#include "fixture.h"

static sqlite_fixture f;
static leat_sqlite sqlite;
static leat_sqlite_rows *rows;
static leat_sqlite_counts counts;
static leat_sqlite_fault fault;

static void set_up(void)
{
    sqlite_begin(&f);
    counts = (leat_sqlite_counts){0};
    rows = leat_sqlite_rows_new();
    ck_assert(rows && leat_sqlite_open(&sqlite, f.file, 100, &f.error) == 0);
}

static void tear_down(void)
{
    leat_sqlite_rows_free(rows);
    leat_sqlite_close(&sqlite);
    sqlite_end(&f);
}

static void put_record(const char *text)
{
    ck_assert_msg(sqlite_write(&f, rows, &sqlite, text, &counts, &fault) == 0, "%s: %s", text,
                  fault.error.text);
}

static void expect_fault(const char *text, leat_engine_outcome outcome, const char *sqlstate)
{
    ck_assert_msg(sqlite_write(&f, rows, &sqlite, text, &counts, &fault) == -1, "%s", text);
    ck_assert_msg(fault.outcome == outcome && strcmp(fault.sqlstate, sqlstate) == 0, "%s: %s %s %s",
                  text, leat_engine_outcome_name(fault.outcome), fault.sqlstate, fault.error.text);
}

/* ---- types ---- */

/* The stored form of a value after a PUT, as SQLite's quote() shows it. */
static const struct {
    const char *declared, *json, *stored;
} types[] = {
    {"bool", "true", "1"},
    {"BOOLEAN", "false", "0"},
    {"smallint", "-32768", "-32768"},
    {"int4", "\"2147483647\"", "2147483647"},
    {"integer", "9223372036854775807", "9223372036854775807"},
    {"real", "0.5", "0.5"},
    {"double precision", "2", "2.0"},
    {"decimal(10,2)", "2.25", "2.25"},
    {"text", "\"it's 007\"", "'it''s 007'"},
    {"varchar(3)", "\"abc\"", "'abc'"},
    {"uuid", "\"0193B8F0-0000-7000-8000-000000000001\"", "'0193b8f0-0000-7000-8000-000000000001'"},
    {"date", "\"2026-01-02\"", "'2026-01-02'"},
    {"time", "\"03:04:05.670\"", "'03:04:05.67'"},
    {"timestamp", "\"2026-01-02T03:04:05\"", "'2026-01-02T03:04:05'"},
    {"timestamptz", "\"2026-01-02T03:04:05+01:00\"", "'2026-01-02T02:04:05Z'"},
    {"blob", "\"AAEC\"", "X'000102'"},
    {"json", "{\"a\": [1, 1.50]}", "'{\"a\":[1,1.50]}'"},
    {"json text", "5", "'5'"},
    {"jsonb", "5", "5"},
    {"text", "null", "NULL"},
};

START_TEST(a_value_is_stored_as_its_declared_type_says)
{
    char create[128], record[256];
    snprintf(create, sizeof create, "CREATE TABLE t (id int PRIMARY KEY, c %s)",
             types[_i].declared);
    snprintf(record, sizeof record, "put 1 {\"c\": %s}", types[_i].json);
    sqlite_route(&f, create, NULL, LEAT_OP_SET);
    put_record(record);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT quote(c) FROM t WHERE id = 1"), types[_i].stored);
}
END_TEST

/* Keys of every type find their row again. */
static const struct {
    const char *declared, *key, *again;
} keys[] = {
    {"int", "7", "007"},
    {"text", "a%2Fb", "a%2fb"},
    {"bool", "true", "true"},
    {"uuid", "0193b8f0-0000-7000-8000-000000000001", "0193B8F0-0000-7000-8000-000000000001"},
    {"date", "2026-01-02", "2026-01-02"},
    {"blob", "AAEC", "AAEC"},
    {"timestamptz", "2026-01-02T03:04:05Z", "2026-01-02T04:04:05%2B01:00"},
};

START_TEST(one_key_is_one_row)
{
    char create[128], record[256];
    snprintf(create, sizeof create, "CREATE TABLE t (id %s PRIMARY KEY, c int NOT NULL DEFAULT 1)",
             keys[_i].declared);
    sqlite_route(&f, create, "c", LEAT_OP_ADD);
    snprintf(record, sizeof record, "patch %s {\"c\": 2}", keys[_i].key);
    put_record(record);
    snprintf(record, sizeof record, "patch %s {\"c\": 4}", keys[_i].again);
    put_record(record);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT group_concat(c) FROM t"), "7");
    snprintf(record, sizeof record, "delete %s", keys[_i].again);
    put_record(record);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM t"), "0");
}
END_TEST

/* ---- operations ---- */

/* A PATCH onto a stored value (NULL: a missing row). */
static const struct {
    const char *column; /* its declaration */
    leat_column_op op;
    const char *stored, *operand, *left;
} operations[] = {
    {"int", LEAT_OP_ADD, "40", "2", "42"},
    {"int", LEAT_OP_ADD, "NULL", "2", "2"},
    {"int", LEAT_OP_ADD, "40", "null", "NULL"},
    {"int DEFAULT 5", LEAT_OP_ADD, NULL, "1", "6"},
    {"int DEFAULT (2 + 3)", LEAT_OP_ADD, NULL, "1", "6"},
    {"int DEFAULT '5'", LEAT_OP_ADD, NULL, "1", "6"},
    {"real", LEAT_OP_ADD, "0.5", "0.25", "0.75"},
    {"int", LEAT_OP_MAX, "3", "2", "3"},
    {"int", LEAT_OP_MIN, "3", "2", "2"},
    {"text", LEAT_OP_MAX, "'a'", "\"B\"", "'a'"},
    {"timestamptz", LEAT_OP_MAX, "'2026-01-02T03:04:05Z'", "\"2026-01-02T03:04:04Z\"",
     "'2026-01-02T03:04:05Z'"},
    {"timestamptz", LEAT_OP_MAX, "'2026-01-02 03:04:05'", "\"2026-01-02T03:04:06Z\"",
     "'2026-01-02T03:04:06Z'"},
    {"blob", LEAT_OP_MAX, "x'0001'", "\"AAA=\"", "X'0001'"},
    {"json", LEAT_OP_MERGE, "'{\"a\": 1, \"b\": {\"c\": 2}}'", "{\"a\": null, \"b\": {\"d\": 3}}",
     "'{\"b\":{\"c\":2,\"d\":3}}'"},
    {"json", LEAT_OP_MERGE, NULL, "{\"a\": null, \"b\": 1}", "'{\"b\":1}'"},
    {"json", LEAT_OP_APPEND, "'[1, 2]'", "{\"x\": 3}", "'[1,2,{\"x\":3}]'"},
    {"json NOT NULL DEFAULT '[]'", LEAT_OP_APPEND, NULL, "1", "'[1]'"},
    {"json", LEAT_OP_APPEND, "'7'", "8", "'[7,8]'"},
};

START_TEST(a_patch_changes_what_is_stored)
{
    char create[160], insert[160], record[256];
    snprintf(create, sizeof create, "CREATE TABLE t (id int PRIMARY KEY, c %s)",
             operations[_i].column);
    sqlite_route(&f, create, "c", operations[_i].op);
    snprintf(insert, sizeof insert, "INSERT INTO t VALUES (1, %s)", operations[_i].stored);
    if (operations[_i].stored)
        sqlite_sql(&f, insert);
    snprintf(record, sizeof record, "patch 1 {\"c\": %s}", operations[_i].operand);
    put_record(record);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT quote(c) FROM t WHERE id = 1"), operations[_i].left);
}
END_TEST

/* A PATCH of {"c": ...} onto a stored value by a `max` with a step. */
static const struct {
    const char *column;
    leat_step_spec step;
    const char *stored, *body, *left; /* `left`: c and the note */
    int changes;
} steps[] = {
    {"int", {.number = "10"}, "100", "{\"c\": 109}", "100 a", 0},
    {"int", {.number = "10"}, "100", "{\"c\": 110}", "110 a", 1},
    {"int", {.number = "10"}, "100", "{\"c\": 109, \"note\": \"a\"}", "100 a", 0},
    {"int", {.number = "10"}, "100", "{\"c\": 109, \"note\": \"b\"}", "109 b", 1},
    {"int", {.number = "10"}, "100", "{\"c\": 9, \"note\": \"b\"}", "100 b", 1},
    {"int", {.number = "10"}, "NULL", "{\"c\": 1}", "1 a", 1},
    {"int", {.number = "10"}, NULL, "{\"c\": 1}", "1 none", 1},
    {"int DEFAULT 5", {.number = "10"}, NULL, "{\"c\": 6}", "6 none", 1},
    {"int", {.number = "10"}, "100", "{\"c\": null}", "none a", 1},
    {"int", {.number = "9223372036854775807"}, "-9223372036854775808", "{\"c\": -1}", "-1 a", 1},
    {"real", {.number = "0.5"}, "1", "{\"c\": 1.25}", "1.0 a", 0},
    {"real", {.number = "0.5"}, "1", "{\"c\": 1.5}", "1.5 a", 1},
    {"timestamptz",
     {.milliseconds = 60000},
     "'2026-01-02 03:04:05'",
     "{\"c\": \"2026-01-02T03:05:04Z\"}",
     "2026-01-02 03:04:05 a",
     0},
    {"timestamptz",
     {.milliseconds = 60000},
     "'2026-01-02T03:04:05Z'",
     "{\"c\": \"2026-01-02T03:05:05Z\"}",
     "2026-01-02T03:05:05Z a",
     1},
};

START_TEST(a_row_is_written_for_a_step_or_more)
{
    char create[160], insert[160], record[256], changes[16];
    leat_error error = {""};
    snprintf(create, sizeof create, "CREATE TABLE t (id int PRIMARY KEY, c %s, note text)",
             steps[_i].column);
    leat_route *route = sqlite_route(&f, create, "c", LEAT_OP_MAX);
    int made = leat_step_make(&steps[_i].step, &f.table.columns[1], &route->steps[1], &error);
    ck_assert_msg(made == 0, "%s", error.text);
    sqlite_sql(&f, "CREATE TABLE changes (n int); CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT "
                   "INTO changes VALUES (1); END; CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT "
                   "INTO changes VALUES (1); END");
    snprintf(insert, sizeof insert, "INSERT INTO t VALUES (1, %s, 'a'); DELETE FROM changes",
             steps[_i].stored);
    if (steps[_i].stored)
        sqlite_sql(&f, insert);
    snprintf(record, sizeof record, "patch 1 %s", steps[_i].body);
    put_record(record);
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT ifnull(c, 'none') || ' ' || ifnull(note, 'none') FROM t"),
        steps[_i].left);
    snprintf(changes, sizeof changes, "%d", steps[_i].changes);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM changes"), changes);
}
END_TEST

START_TEST(what_does_not_fit_is_bad_data)
{
    sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, c int4, r real)", "c", LEAT_OP_ADD);
    f.routes.routes[0].ops[2] = LEAT_OP_ADD;
    sqlite_sql(&f, "INSERT INTO t VALUES (1, 2147483647, 1e308)");
    expect_fault("patch 1 {\"c\": 1}", LEAT_ENGINE_BAD_DATA, "22003");
    expect_fault("patch 1 {\"r\": 1e308}", LEAT_ENGINE_BAD_DATA, "22003");
    expect_fault("put 1 {\"r\": \"NaN\"}", LEAT_ENGINE_BAD_DATA, "22003");
    expect_fault("put 1 {\"nothing\": 1}", LEAT_ENGINE_BAD_DATA, "");
    ck_assert(fault.relies_on_table);
    expect_fault("put 1 [", LEAT_ENGINE_BAD_DATA, "");
    ck_assert(!fault.relies_on_table);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT c || ' ' || r FROM t"), "2147483647 1.0e+308");
}
END_TEST

START_TEST(a_large_document_is_merged_and_appended_to)
{
    enum { SIZE = 1 << 20 };
    sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, c json DEFAULT '[]')", "c",
                 LEAT_OP_APPEND);
    char *record = malloc(SIZE + 64);
    int head = snprintf(record, 64, "patch 1 {\"c\": \"");
    memset(record + head, 'x', SIZE);
    snprintf(record + head + SIZE, 64, "\"}");
    put_record(record);
    put_record(record);
    free(record);
    char wanted[32];
    snprintf(wanted, sizeof wanted, "2 %d", 2 * SIZE + 7);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT json_array_length(c) || ' ' || length(c) FROM t"),
                     wanted);
}
END_TEST

/* ---- rows ---- */

START_TEST(a_put_sets_the_others_to_their_defaults)
{
    sqlite_route(
        &f,
        "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 5, b text, c text DEFAULT (upper('x')))",
        NULL, LEAT_OP_SET);
    put_record("put 1 {\"a\": 1, \"b\": \"b\", \"c\": \"c\"}");
    put_record("put 1 {\"b\": \"z\"}");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT a || b || c FROM t"), "5zX");
}
END_TEST

START_TEST(a_patch_leaves_the_others_as_they_are_spelt)
{
    sqlite_route(&f,
                 "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 5, b timestamptz, c json, d)",
                 "a", LEAT_OP_ADD);
    sqlite_sql(&f, "INSERT INTO t VALUES (1, 1, 'yesterday', '{ \"a\" : 1 }', x'00')");
    put_record("patch 1 {\"a\": 1}");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT quote(a) || quote(b) || quote(c) || quote(d) FROM t"),
                     "2'yesterday''{ \"a\" : 1 }'X'00'");
}
END_TEST

START_TEST(what_changes_nothing_is_not_written)
{
    sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, a int, b text COLLATE NOCASE)", NULL,
                 LEAT_OP_SET);
    sqlite_sql(
        &f,
        "CREATE TABLE seen (n); CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT INTO seen VALUES (1); END");
    put_record("put 1 {\"a\": 1, \"b\": \"x\"}");
    put_record("put 1 {\"a\": 1, \"b\": \"x\"}");
    put_record("patch 1 {\"a\": 1}");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM seen"), "0");
    put_record("patch 1 {\"b\": \"X\"}");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) || (SELECT b FROM t) FROM seen"), "1X");
}
END_TEST

START_TEST(what_a_trigger_ignores_is_refused)
{
    leat_route *route =
        sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, a int, b text)", NULL, LEAT_OP_SET);
    put_record("put 1 {\"a\": 1}");
    put_record("put 2 {\"a\": 1, \"b\": \"x\"}");
    sqlite_sql(
        &f, "CREATE TRIGGER i BEFORE INSERT ON t WHEN new.id > 6 BEGIN SELECT raise(IGNORE); END;"
            "CREATE TRIGGER u BEFORE UPDATE ON t WHEN old.id = 1 BEGIN SELECT raise(IGNORE); END;"
            "CREATE TRIGGER d BEFORE DELETE ON t WHEN old.id = 1 BEGIN SELECT raise(IGNORE); END");
    expect_fault("put 7 {\"a\": 1}", LEAT_ENGINE_BAD_DATA, "LT008");
    expect_fault("put 1 {\"a\": 2}", LEAT_ENGINE_BAD_DATA, "LT008");
    expect_fault("patch 1 {\"b\": \"y\"}", LEAT_ENGINE_BAD_DATA, "LT008");
    expect_fault("delete 1 ", LEAT_ENGINE_BAD_DATA, "LT008");
    /* Neither a write without a change nor a trigger that leaves a row alone is a reason. */
    put_record("put 1 {\"a\": 1}");
    put_record("patch 1 {\"a\": 1}");
    put_record("patch 2 {\"a\": 3}");
    put_record("delete 5 ");
    put_record("delete 2 ");
    route->accept_untouched = true;
    put_record("delete 1 ");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT group_concat(id || ':' || a) FROM t"), "1:1");
}
END_TEST

START_TEST(a_patch_of_a_missing_row_can_be_dropped_and_counted)
{
    sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, a int)", NULL, LEAT_OP_SET)
        ->patch_existing = true;
    put_record("patch 1 {\"a\": 1}");
    put_record("put 2 {\"a\": 1}");
    put_record("patch 2 {\"a\": 2}");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT group_concat(id || ':' || a) FROM t"), "2:2");
    ck_assert_uint_eq(counts.dropped, 1);
}
END_TEST

START_TEST(names_are_quoted_and_generated_columns_left_alone)
{
    sqlite_route(
        &f,
        "CREATE TABLE T (id int PRIMARY KEY, \"se\"\"lect\" int, \"select\" int, twice int AS (\"select\" * 2) STORED)",
        NULL, LEAT_OP_SET);
    put_record("put 1 {\"select\": 3, \"se\\\"lect\": 4}");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT twice || \"se\"\"lect\" FROM t"), "64");
    expect_fault("put 1 {\"twice\": 3}", LEAT_ENGINE_BAD_DATA, "");
}
END_TEST

/* ---- what SQLite refuses ---- */

START_TEST(refusals_have_the_sqlstates_of_postgres)
{
    sqlite_sql(&f, "CREATE TABLE parent (id int PRIMARY KEY)");
    sqlite_route(
        &f,
        "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, u int UNIQUE, k int CHECK (k > 0),"
        " p int REFERENCES parent (id), g text)",
        NULL, LEAT_OP_SET);
    sqlite_sql(
        &f,
        "CREATE TRIGGER g BEFORE INSERT ON t WHEN new.g = 'no' BEGIN SELECT raise(ABORT, 'not this one'); END");
    put_record("put 1 {\"u\": 1}");
    expect_fault("put 2 {\"u\": 1}", LEAT_ENGINE_NOT_YET, "23505");
    expect_fault("put 2 {\"k\": 0}", LEAT_ENGINE_BAD_DATA, "23514");
    expect_fault("put 2 {\"p\": 9}", LEAT_ENGINE_NOT_YET, "23503");
    expect_fault("put 2 {\"g\": \"no\"}", LEAT_ENGINE_BAD_DATA, "P0001");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT group_concat(id) FROM t"), "1");
    put_record("put 2 {\"u\": 2, \"k\": 1}");
}
END_TEST

START_TEST(a_table_that_was_altered_is_drift_until_it_is_known)
{
    sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, a int, b int)", NULL, LEAT_OP_SET);
    put_record("put 1 {\"a\": 1}");
    sqlite_sql(&f, "ALTER TABLE t DROP COLUMN b");
    expect_fault("put 1 {\"a\": 2}", LEAT_ENGINE_DRIFT, "42000");
    sqlite_sql(&f, "ALTER TABLE t RENAME TO other");
    expect_fault("put 1 {\"a\": 2}", LEAT_ENGINE_DRIFT, "42000");
    sqlite_sql(&f, "ALTER TABLE other RENAME TO t; ALTER TABLE t ADD COLUMN b int");
    put_record("put 1 {\"a\": 2}");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT a FROM t"), "2");
}
END_TEST

START_TEST(a_stored_value_of_another_type_is_drift_with_its_words)
{
    sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, a int)", "a", LEAT_OP_ADD);
    sqlite_sql(&f, "INSERT INTO t VALUES (1, 'many')");
    expect_fault("patch 1 {\"a\": 1}", LEAT_ENGINE_DRIFT, "42804");
    ck_assert_msg(strstr(fault.error.text, "a: the stored value many is not a "), "%s",
                  fault.error.text);
}
END_TEST

/* A failure on the data alone is not drift, although SQLite has one code for both. */
START_TEST(an_expression_that_fails_on_the_data_is_bad_data)
{
    sqlite_route(&f, "CREATE TABLE t (id int PRIMARY KEY, a text, b text AS (a -> '$.x') STORED)",
                 NULL, LEAT_OP_SET);
    expect_fault("put 1 {\"a\": \"{\"}", LEAT_ENGINE_BAD_DATA, "P0001");
    put_record("put 1 {\"a\": \"{}\"}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_rows");
    TCase *tests = tcase_create("rows");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_value_is_stored_as_its_declared_type_says, 0,
                        sizeof types / sizeof *types);
    tcase_add_loop_test(tests, one_key_is_one_row, 0, sizeof keys / sizeof *keys);
    tcase_add_loop_test(tests, a_patch_changes_what_is_stored, 0,
                        sizeof operations / sizeof *operations);
    tcase_add_loop_test(tests, a_row_is_written_for_a_step_or_more, 0,
                        sizeof steps / sizeof *steps);
    tcase_add_test(tests, what_does_not_fit_is_bad_data);
    tcase_add_test(tests, a_large_document_is_merged_and_appended_to);
    tcase_add_test(tests, a_put_sets_the_others_to_their_defaults);
    tcase_add_test(tests, a_patch_leaves_the_others_as_they_are_spelt);
    tcase_add_test(tests, what_changes_nothing_is_not_written);
    tcase_add_test(tests, what_a_trigger_ignores_is_refused);
    tcase_add_test(tests, a_patch_of_a_missing_row_can_be_dropped_and_counted);
    tcase_add_test(tests, names_are_quoted_and_generated_columns_left_alone);
    tcase_add_test(tests, refusals_have_the_sqlstates_of_postgres);
    tcase_add_test(tests, a_table_that_was_altered_is_drift_until_it_is_known);
    tcase_add_test(tests, a_stored_value_of_another_type_is_drift_with_its_words);
    tcase_add_test(tests, an_expression_that_fails_on_the_data_is_bad_data);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
