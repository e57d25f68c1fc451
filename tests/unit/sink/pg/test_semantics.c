/* What a write does to a row in PostgreSQL, line by line of "Semantics of a write", by the
 * statement made for the row and by the one that fits any; and that a write which changes nothing
 * writes nothing. */
#include "sink_fixture.h"

/* Every test runs twice: with the statement of its rows, and with the one that fits any row. */
static bool is_general(int round)
{
    return round == 1;
}

/* ---- one column ---- */

typedef struct semantics {
    const char *column; /* type and constraints of column v */
    leat_column_op op;
    const char *stored; /* SQL, NULL: the row is missing */
    const char *verb;
    const char *body;
    const char *expected; /* v::text; "(none)": no row */
    int written;
} semantics;

#define UUID_1 "00000000-0000-0000-0000-000000000001"
#define UUID_2 "00000000-0000-0000-0000-000000000002"

static const semantics operations[] = {
    /* add: a stored NULL is 0, a missing row starts from the default, null is NULL */
    {"int", LEAT_OP_ADD, "2", "patch", "{\"v\":3}", "5", 1},
    {"int", LEAT_OP_ADD, "2", "patch", "{\"v\":0}", "2", 0},
    {"int", LEAT_OP_ADD, "NULL", "patch", "{\"v\":3}", "3", 1},
    {"int", LEAT_OP_ADD, "2", "patch", "{\"v\":null}", "(null)", 1},
    {"int", LEAT_OP_ADD, "NULL", "patch", "{\"v\":null}", "(null)", 0},
    {"int DEFAULT 5", LEAT_OP_ADD, NULL, "patch", "{\"v\":1}", "6", 1},
    {"int", LEAT_OP_ADD, NULL, "patch", "{\"v\":1}", "1", 1},
    {"int DEFAULT 5", LEAT_OP_ADD, NULL, "patch", "{\"v\":null}", "(null)", 1},
    {"int DEFAULT 5", LEAT_OP_ADD, NULL, "patch", "{}", "5", 1},
    {"int DEFAULT 5", LEAT_OP_ADD, "2", "put", "{\"v\":1}", "1", 1},
    {"smallint", LEAT_OP_ADD, "2", "patch", "{\"v\":-3}", "-1", 1},
    {"real", LEAT_OP_ADD, "0.5", "patch", "{\"v\":0.25}", "0.75", 1},
    {"real", LEAT_OP_ADD, NULL, "patch", "{\"v\":0.1}", "0.1", 1},
    {"numeric(6,2) DEFAULT 1.5", LEAT_OP_ADD, NULL, "patch", "{\"v\":0.004}", "1.50", 1},
    /* max and min: NULL is nothing */
    {"int", LEAT_OP_MAX, "2", "patch", "{\"v\":3}", "3", 1},
    {"int", LEAT_OP_MAX, "2", "patch", "{\"v\":1}", "2", 0},
    {"int", LEAT_OP_MAX, "NULL", "patch", "{\"v\":1}", "1", 1},
    {"int", LEAT_OP_MAX, "2", "patch", "{\"v\":null}", "(null)", 1},
    {"int DEFAULT 5", LEAT_OP_MAX, NULL, "patch", "{\"v\":1}", "5", 1},
    {"int", LEAT_OP_MAX, NULL, "patch", "{\"v\":1}", "1", 1},
    {"int", LEAT_OP_MIN, "2", "patch", "{\"v\":1}", "1", 1},
    {"int", LEAT_OP_MIN, "2", "patch", "{\"v\":3}", "2", 0},
    {"int DEFAULT 5", LEAT_OP_MIN, "2", "put", "{\"v\":9}", "9", 1},
    {"numeric", LEAT_OP_MAX, "1.5", "patch", "{\"v\":1.50}", "1.5", 0},
    {"double precision", LEAT_OP_MAX, "1", "patch", "{\"v\":\"NaN\"}", "NaN", 1},
    {"date", LEAT_OP_MAX, "'2026-01-02'", "patch", "{\"v\":\"2026-02-01\"}", "2026-02-01", 1},
    {"time", LEAT_OP_MIN, "'10:00'", "patch", "{\"v\":\"09:00:00\"}", "09:00:00", 1},
    {"timestamp(0)", LEAT_OP_MAX, "'2026-01-02 03:04:05'", "patch",
     "{\"v\":\"2026-01-02T03:04:05.4\"}", "2026-01-02 03:04:05", 0},
    {"uuid", LEAT_OP_MAX, "'" UUID_1 "'", "patch", "{\"v\":\"" UUID_2 "\"}", UUID_2, 1},
    {"bytea", LEAT_OP_MIN, "'\\x0102'", "patch", "{\"v\":\"AQE=\"}", "\\x0101", 1},
    {"text COLLATE \"C\"", LEAT_OP_MAX, "'a'", "patch", "{\"v\":\"B\"}", "a", 0},
    {"text COLLATE \"C\" DEFAULT 'a'", LEAT_OP_MIN, NULL, "patch", "{\"v\":\"B\"}", "B", 1},
    {"varchar(5) COLLATE \"C\"", LEAT_OP_MAX, "'a'", "patch", "{\"v\":\"b\"}", "b", 1},
    /* append: NULL is [], one element whatever it is */
    {"jsonb", LEAT_OP_APPEND, "'[1]'", "patch", "{\"v\":[2]}", "[1, [2]]", 1},
    {"jsonb", LEAT_OP_APPEND, "NULL", "patch", "{\"v\":2}", "[2]", 1},
    {"jsonb", LEAT_OP_APPEND, "'[1]'", "patch", "{\"v\":null}", "(null)", 1},
    {"jsonb DEFAULT '[0]'", LEAT_OP_APPEND, NULL, "patch", "{\"v\":1}", "[0, 1]", 1},
    {"jsonb", LEAT_OP_APPEND, NULL, "patch", "{\"v\":1}", "[1]", 1},
    {"jsonb", LEAT_OP_APPEND, "'{\"a\": 1}'", "patch", "{\"v\":1}", "[{\"a\": 1}, 1]", 1},
    {"jsonb", LEAT_OP_APPEND, "'[1]'", "put", "{\"v\":1}", "1", 1},
    /* merge: NULL and values that are not objects are {}, RFC 7396 */
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": 1}'", "patch", "{\"v\":{\"b\":2}}", "{\"a\": 1, \"b\": 2}",
     1},
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": 1}'", "patch", "{\"v\":{\"a\":1}}", "{\"a\": 1}", 0},
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": 1}'", "patch", "{\"v\":{}}", "{\"a\": 1}", 0},
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": 1}'", "patch", "{\"v\":{\"b\":null}}", "{\"a\": 1}", 0},
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": 1, \"b\": 2}'", "patch", "{\"v\":{\"b\":null,\"c\":[null]}}",
     "{\"a\": 1, \"c\": [null]}", 1},
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": {\"x\": 1, \"y\": 2}}'", "patch",
     "{\"v\":{\"a\":{\"x\":null},\"b\":{\"z\":null}}}", "{\"a\": {\"y\": 2}, \"b\": {}}", 1},
    {"jsonb", LEAT_OP_MERGE, "NULL", "patch", "{\"v\":{\"a\":null}}", "{}", 1},
    {"jsonb", LEAT_OP_MERGE, "'[1]'", "patch", "{\"v\":{\"a\":1}}", "{\"a\": 1}", 1},
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": 1}'", "patch", "{\"v\":null}", "(null)", 1},
    {"jsonb", LEAT_OP_MERGE, "'{\"a\": 1}'", "patch", "{\"v\":[2]}", "[2]", 1},
    {"jsonb DEFAULT '{\"d\": 0}'", LEAT_OP_MERGE, NULL, "patch", "{\"v\":{\"a\":1}}",
     "{\"a\": 1, \"d\": 0}", 1},
    {"jsonb DEFAULT '{\"d\": 0}'", LEAT_OP_MERGE, NULL, "patch", "{\"v\":{\"a\":{\"b\":1}}}",
     "{\"a\": {\"b\": 1}, \"d\": 0}", 1},
    {"jsonb", LEAT_OP_MERGE, NULL, "patch", "{\"v\":{\"a\":1,\"b\":null}}", "{\"a\": 1}", 1},
    {"jsonb DEFAULT '{\"d\": 0}'", LEAT_OP_MERGE, "'{}'", "put", "{\"v\":{\"a\":null}}",
     "{\"a\": null}", 1},
    /* set, and columns that are not named */
    {"int DEFAULT 5", LEAT_OP_SET, "2", "patch", "{}", "2", 0},
    {"int DEFAULT 5", LEAT_OP_SET, "2", "put", "{}", "5", 1},
    {"int DEFAULT 5", LEAT_OP_SET, "5", "put", "{}", "5", 0},
    {"int DEFAULT 5", LEAT_OP_SET, "2", "put", "{\"v\":null}", "(null)", 1},
    {"int DEFAULT 5", LEAT_OP_SET, NULL, "put", "{}", "5", 1},
    {"int", LEAT_OP_SET, "2", "delete", NULL, "(none)", 1},
    {"int", LEAT_OP_SET, NULL, "delete", NULL, "(none)", 0},
};

static const semantics type_writes[] = {
    {"real", LEAT_OP_SET, "1", "patch", "{\"v\":0.1}", "0.1", 1},
    {"real", LEAT_OP_SET, "0.1", "patch", "{\"v\":0.1}", "0.1", 0},
    {"date", LEAT_OP_SET, "'2026-01-02'", "patch", "{\"v\":\"2026-01-02\"}", "2026-01-02", 0},
    {"time(2)", LEAT_OP_SET, "'10:00:00.12'", "patch", "{\"v\":\"10:00:00.123\"}", "10:00:00.12",
     0},
    {"timestamp", LEAT_OP_SET, "NULL", "patch", "{\"v\":\"2026-01-02T03:04:05.5\"}",
     "2026-01-02 03:04:05.5", 1},
    {"timestamp(1)", LEAT_OP_SET, "'2026-01-02 03:04:05.5'", "put",
     "{\"v\":\"2026-01-02T03:04:05.51\"}", "2026-01-02 03:04:05.5", 0},
    {"bytea", LEAT_OP_SET, "NULL", "patch", "{\"v\":\"AAE=\"}", "\\x0001", 1},
    {"bytea", LEAT_OP_SET, "'\\x0001'", "patch", "{\"v\":\"AAE=\"}", "\\x0001", 0},
    {"json", LEAT_OP_SET, "'{\"a\":1}'", "patch", "{\"v\":{\"a\":1}}", "{\"a\":1}", 0},
    {"json", LEAT_OP_SET, "'{\"a\":1}'", "patch", "{\"v\":{\"a\":2}}", "{\"a\":2}", 1},
    {"json DEFAULT '[]'", LEAT_OP_SET, "'{\"a\":1}'", "put", "{}", "[]", 1},
    {"json", LEAT_OP_SET, "NULL", "put", "{}", "(null)", 0},
    {"mood DEFAULT 'sad'", LEAT_OP_SET, "'ok'", "patch", "{\"v\":\"sad\"}", "sad", 1},
    {"mood DEFAULT 'sad'", LEAT_OP_SET, "'ok'", "patch", "{\"v\":\"ok\"}", "ok", 0},
    {"mood DEFAULT 'sad'", LEAT_OP_SET, "'ok'", "put", "{}", "sad", 1},
    {"mood DEFAULT 'sad'", LEAT_OP_SET, "'sad'", "put", "{}", "sad", 0},
    {"mood", LEAT_OP_SET, "'ok'", "patch", "{\"v\":null}", "(null)", 1},
    {"positive", LEAT_OP_SET, "1", "patch", "{\"v\":2}", "2", 1},
    {"positive", LEAT_OP_SET, "2", "patch", "{\"v\":\"2\"}", "2", 0},
    {"positive", LEAT_OP_SET, "3", "put", "{\"v\":4}", "4", 1}, /* no default: beside a NULL it is
                                                                   still the domain's */
    {"positive", LEAT_OP_SET, "3", "put", "{\"v\":3}", "3", 0},
    {"positive", LEAT_OP_SET, "3", "put", "{}", "(null)", 1},
    {"fallback", LEAT_OP_SET, "'a'", "put", "{}", "domain's", 1},
    {"fallback", LEAT_OP_SET, "'domain''s'", "put", "{}", "domain's", 0},
    {"fallback", LEAT_OP_SET, NULL, "patch", "{}", "domain's", 1},
    {"fallback DEFAULT NULL", LEAT_OP_SET, "'a'", "put", "{}", "(null)", 1},
    {"int[]", LEAT_OP_SET, "'{1}'", "patch", "{\"v\":[1,null]}", "{1,NULL}", 1},
    {"int[]", LEAT_OP_SET, "'{1}'", "patch", "{\"v\":[1]}", "{1}", 0},
    {"text[]", LEAT_OP_SET, "NULL", "patch", "{\"v\":[\"a b\",\"\\\"\"]}", "{\"a b\",\"\\\"\"}", 1},
    {"inet", LEAT_OP_SET, "NULL", "patch", "{\"v\":\"10.0.0.1\"}", "10.0.0.1/32", 1},
    {"interval", LEAT_OP_SET, "'1 day'", "patch", "{\"v\":\"1 day\"}", "1 day", 0},
    {"point", LEAT_OP_SET, "'(1,2)'", "patch", "{\"v\":\"(1,2)\"}", "(1,2)", 0},
    {"point", LEAT_OP_SET, "'(1,2)'", "put", "{}", "(null)", 1},
    {"char(4)", LEAT_OP_SET, "'ab'", "patch", "{\"v\":\"ab\"}", "ab", 0},
};

static fixture *open_fixture_with(const char *database)
{
    fixture *f = fixture_new();
    fixture_open_database_with(f, database);
    fixture_schema(f);
    fixture_sql(
        f,
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);"
        "CREATE DOMAIN fallback AS text DEFAULT 'domain''s'");
    return f;
}

static fixture *open_fixture(void)
{
    return open_fixture_with("");
}

static leat_route *use_table(fixture *f, const char *sql, const char *table, const char *path,
                             uint32_t op_count, const char *const *names, const leat_column_op *ops)
{
    fixture_sql(f, sql);
    if (f->routes.count > 0)
        leat_table_fini(&f->catalog.tables[0]);
    f->routes.count = 0;
    fixture_route(f, table, path, op_count, names, ops);
    return &f->routes.routes[0];
}

static void expect_case(fixture *f, bool general, const semantics *c)
{
    static const char *const names[] = {"v"};
    char sql[512];
    int written;
    fixture_sql(f, "DROP TABLE IF EXISTS one");
    snprintf(sql, sizeof sql, "CREATE TABLE one (id int PRIMARY KEY, v %s)", c->column);
    use_table(f, sql, "one", "/one/{id}", 1, names, &c->op);
    if (c->stored) {
        snprintf(sql, sizeof sql, "INSERT INTO one VALUES (1, %s)", c->stored);
        fixture_sql(f, sql);
    }
    fixture_add(f, NULL, c->verb, "1", c->body);
    const char *state = fixture_apply(f, general, &written);
    ck_assert_msg(!*state, "%s %s of %s: %s", c->verb, c->body, c->column, state);
    const char *v = fixture_ask(f, "SELECT v::text FROM one");
    ck_assert_msg(strcmp(v, c->expected) == 0, "%s %s of %s %s over %s: %s, not %s", c->verb,
                  c->body, leat_op_name(c->op), c->column, c->stored ? c->stored : "no row", v,
                  c->expected);
    ck_assert_msg(written == c->written, "%s %s of %s %s over %s: %d rows written", c->verb,
                  c->body, leat_op_name(c->op), c->column, c->stored ? c->stored : "no row",
                  written);
}

START_TEST(operations_are_line_by_line_what_the_documents_say)
{
    fixture *f = open_fixture();
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        expect_case(f, is_general(_i), &operations[i]);
    fixture_free(f);
}
END_TEST

START_TEST(every_type_is_written_and_nothing_for_nothing)
{
    fixture *f = open_fixture();
    for (size_t i = 0; i < sizeof type_writes / sizeof *type_writes; i++)
        expect_case(f, is_general(_i), &type_writes[i]);
    fixture_free(f);
}
END_TEST

/* Where the server itself would refuse the escapes. */
static const semantics escapes[] = {
    {"jsonb", LEAT_OP_SET, NULL, "put", "{\"v\": { \"a\" : \"\\u00fc\" } }",
     "{\"a\": \"\xc3\xbc\"}", 1},
    {"jsonb", LEAT_OP_SET, "'[1]'", "patch", "{\"v\": [\"\\u0001\"]}", "[\"\\u0001\"]", 1},
    {"json", LEAT_OP_SET, NULL, "patch", "{\"v\": \"\\u00fc\"}", "\"\xc3\xbc\"", 1},
    {"jsonb", LEAT_OP_MERGE, "'{}'", "patch", "{\"v\":{\"\\u00fc\":1}}", "{\"\xc3\xbc\": 1}", 1},
};

START_TEST(escapes_reach_a_database_without_characters)
{
    fixture *f = open_fixture_with(IN_SQL_ASCII);
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        expect_case(f, is_general(_i), &escapes[i]);
    fixture_free(f);
}
END_TEST

/* ---- rows that must exist ---- */

static int64_t count_missing(fixture *f, leat_rows *rows, uint32_t at)
{
    static const int formats[LEAT_STATEMENT_PARAMS_MAX] = {
        [0 ... LEAT_STATEMENT_PARAMS_MAX - 1] = 1};
    leat_shapes *shapes = leat_shapes_new();
    leat_shape shape;
    leat_row_statement statement;
    int number = leat_shapes_find(shapes, leat_rows_shape(rows, at), &shape);
    ck_assert_int_ge(number, 0);
    ck_assert_int_eq(leat_rows_missing(rows, at, &statement), 0);
    PGresult *result = PQexecParams(f->pg, leat_shapes_missing_sql(shapes, (uint32_t)number),
                                    (int)statement.param_count, NULL, statement.values,
                                    statement.sizes, formats, 0);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(f->pg));
    int64_t count = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    leat_shapes_drop(shapes);
    return count;
}

START_TEST(patches_of_missing_rows_are_dropped_and_counted)
{
    leat_rows_fault fault;
    fixture *f = open_fixture();
    leat_route *route =
        use_table(f,
                  "CREATE TABLE \"Odd \"\" one\" (id int, app text, v int, PRIMARY KEY (app, id));"
                  "INSERT INTO \"Odd \"\" one\" VALUES (1, 'a', 1), (3, 'a', 3)",
                  "\"Odd \"\" one\"", "/one/{app}/{id}", 0, NULL, NULL);
    route->patch_existing = true;
    route->fold = true;
    fixture_add(f, NULL, "patch", "a/1", "{\"v\":10}");
    fixture_add(f, NULL, "patch", "a/2", "{\"v\":20}");
    fixture_add(f, NULL, "patch", "b/1", "{\"v\":30}");
    fixture_add(f, NULL, "patch", "b/1", "{\"v\":31}");
    leat_rows *rows = leat_rows_new();
    ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), 0);
    ck_assert_uint_eq(leat_rows_statement_count(rows), 1);
    ck_assert_int_eq(count_missing(f, rows, 0), 3);
    leat_rows_free(rows);
    int written;
    ck_assert_str_eq(fixture_apply(f, is_general(_i), &written), "");
    ck_assert_int_eq(written, 1);
    ck_assert_str_eq(fixture_ask(f, "SELECT string_agg(app || id || ' ' || v, ',' ORDER BY app, id)"
                                    " FROM \"Odd \"\" one\""),
                     "a1 10,a3 3");
    fixture_add(f, NULL, "patch", "a/1", "");
    fixture_add(f, NULL, "put", "b/1", "{\"v\":5}");
    ck_assert_str_eq(fixture_apply(f, is_general(_i), &written), "");
    ck_assert_int_eq(written, 1);
    fixture_free(f);
}
END_TEST

/* ---- tables with more in them ---- */

static void expect_written(fixture *f, bool general, const char *op, const char *body, int expected)
{
    int written;
    fixture_add(f, NULL, op, "1", body);
    const char *state = fixture_apply(f, general, &written);
    ck_assert_msg(!*state, "%s %s: %s", op, body, state);
    ck_assert_msg(written == expected, "%s %s: %d rows written, not %d", op, body, written,
                  expected);
}

START_TEST(a_put_of_generated_identity_and_computed_columns)
{
    fixture *f = open_fixture();
    bool general = is_general(_i);
    use_table(
        f,
        "CREATE TABLE rich (id int PRIMARY KEY, n int DEFAULT 1 + 1, twice int GENERATED ALWAYS AS (n * 2) STORED,"
        " always int GENERATED ALWAYS AS IDENTITY, by_default int GENERATED BY DEFAULT AS IDENTITY,"
        " made timestamptz DEFAULT '2026-01-01 00:00Z'::timestamptz, word text DEFAULT lower('ABC'))",
        "rich", "/rich/{id}", 0, NULL, NULL);
    expect_written(f, general, "put", "{\"by_default\":7}", 1);
    ck_assert_str_eq(
        fixture_ask(f, "SELECT row(n, twice, always, by_default, word)::text FROM rich"),
        "(2,4,1,7,abc)");
    expect_written(f, general, "put", "{\"by_default\":7}", 0);
    expect_written(f, general, "put", "{\"n\":5,\"by_default\":7}", 1);
    ck_assert_str_eq(
        fixture_ask(f, "SELECT row(n, twice, always, by_default, word)::text FROM rich"),
        "(5,10,1,7,abc)");
    expect_written(f, general, "put", "{\"n\":5}", 1);
    ck_assert_str_ne(fixture_ask(f, "SELECT by_default FROM rich"), "7");
    fixture_free(f);
}
END_TEST

START_TEST(a_partitioned_table)
{
    fixture *f = open_fixture();
    bool general = is_general(_i);
    use_table(
        f,
        "CREATE TABLE parted (id int PRIMARY KEY, n numeric(6,2) DEFAULT 1, word text) PARTITION BY HASH (id);"
        "CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE parted_1 (word text, id int NOT NULL, n numeric(6,2));"
        "ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "parted", "/parted/{id}", 0, NULL, NULL);
    static const char *const keys[] = {"1", "2", "3", "4", "5", "6"};
    int written;
    for (size_t i = 0; i < 6; i++)
        fixture_add(f, NULL, i % 2 ? "put" : "patch", keys[i], "{\"word\":\"a\"}");
    ck_assert_str_eq(fixture_apply(f, general, &written), "");
    ck_assert_int_eq(written, 6);
    for (size_t i = 0; i < 6; i++)
        fixture_add(f, NULL, i % 2 ? "put" : "patch", keys[i], "{\"word\":\"a\",\"n\":\"1.001\"}");
    ck_assert_str_eq(fixture_apply(f, general, &written), "");
    ck_assert_int_eq(written, 0);
    fixture_add(f, NULL, "delete", "1", NULL);
    fixture_add(f, NULL, "patch", "2", "{\"n\":2}");
    ck_assert_str_eq(fixture_apply(f, general, &written), "");
    ck_assert_str_eq(
        fixture_ask(f, "SELECT string_agg(id || ' ' || n, ',' ORDER BY id) FROM parted"),
        "2 2.00,3 1.00,4 1.00,5 1.00,6 1.00");
    fixture_free(f);
}
END_TEST

START_TEST(a_table_with_triggers)
{
    fixture *f = open_fixture();
    bool general = is_general(_i);
    use_table(
        f,
        "CREATE TABLE watched (id int PRIMARY KEY, n int, seen int NOT NULL DEFAULT 0);"
        "CREATE TABLE events (what text);"
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO events VALUES (TG_OP); NEW.seen := coalesce(NEW.n, 0); RETURN NEW; END $$;"
        "CREATE TRIGGER watch BEFORE INSERT OR UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION watch()",
        "watched", "/watched/{id}", 0, NULL, NULL);
    expect_written(f, general, "patch", "{\"n\":3}", 1);
    expect_written(f, general, "patch", "{\"n\":3}", 0);
    expect_written(f, general, "patch", "{\"n\":4}", 1);
    ck_assert_str_eq(fixture_ask(f, "SELECT n || ' ' || seen FROM watched"), "4 4");
    ck_assert_str_eq(fixture_ask(f, "SELECT string_agg(what, ' ') FROM events"), "INSERT UPDATE");
    fixture_free(f);
}
END_TEST

/* As leat.advance leaves it for them, on a table that nobody has analysed. */
static void expect_planned_by_key(fixture *f, leat_route_op op)
{
    leat_shape shape = leat_shape_of_any(&f->routes.routes[0], op);
    leat_buf sql = {0};
    char ask[64] = "EXPLAIN EXECUTE p(";
    for (uint32_t i = 0; i < fixture_param_count(&shape); i++)
        strcat(ask, i == 0 ? "'{}'" : ", '{}'");
    strcat(ask, ")");
    leat_buf_text(&sql, "BEGIN; SELECT leat.plan_rows(); PREPARE p AS ");
    leat_statement_build(&shape, &sql);
    fixture_sql(f, leat_buf_cstr(&sql));
    PGresult *plan = PQexec(f->pg, ask);
    ck_assert_msg(PQntuples(plan) > 0, "%s", PQerrorMessage(f->pg));
    int by_index = 0;
    for (int i = 0; i < PQntuples(plan); i++) {
        const char *line = PQgetvalue(plan, i, 0);
        ck_assert_msg(!strstr(line, "Seq Scan") && !strstr(line, "Hash") &&
                          !strstr(line, "Merge Join") && !strstr(line, "Bitmap"),
                      "%s", line);
        by_index += strstr(line, "using planned_pkey") != NULL;
    }
    ck_assert_int_gt(by_index, 0);
    PQclear(plan);
    fixture_sql(f, "DEALLOCATE p; ROLLBACK");
    leat_buf_free(&sql);
}

START_TEST(row_statements_are_planned_by_the_primary_key)
{
    fixture *f = open_fixture();
    use_table(
        f,
        "CREATE TABLE planned (id int PRIMARY KEY, n int, iv interval) WITH (autovacuum_enabled = off);"
        "INSERT INTO planned SELECT generate_series(1, 5000)",
        "planned", "/planned/{id}", 0, NULL, NULL);
    for (int triggers = 0; triggers < 2; triggers++) {
        f->catalog.tables[0].row_triggers = triggers ? LEAT_ON_ANY : 0;
        for (leat_route_op op = 0; op < LEAT_ROUTE_OP_COUNT; op++)
            expect_planned_by_key(f, op);
    }
    fixture_free(f);
}
END_TEST

START_TEST(what_changes_nothing_leaves_the_row_version)
{
    static const char *const names[] = {"n", "hi", "doc", "list"};
    static const leat_column_op ops[] = {LEAT_OP_ADD, LEAT_OP_MAX, LEAT_OP_MERGE, LEAT_OP_APPEND};
    static const char *const bodies[] = {"{}",
                                         "{\"n\":0}",
                                         "{\"hi\":-1}",
                                         "{\"doc\":{\"a\":1}}",
                                         "{\"doc\":{\"z\":null}}",
                                         "{\"doc\":{\"o\":{\"p\":1,\"q\":null}}}",
                                         "{\"word\":\"w\",\"hi\":7}",
                                         "{\"price\":2.499}"};
    fixture *f = open_fixture();
    char before[64];
    use_table(
        f,
        "CREATE TABLE quiet (id int PRIMARY KEY, n int, hi int, doc jsonb, list jsonb, word text, price numeric(5,2));"
        "INSERT INTO quiet VALUES (1, 1, 7, '{\"a\": 1, \"o\": {\"p\": 1}}', '[1]', 'w', 2.50)",
        "quiet", "/quiet/{id}", 4, names, ops);
    snprintf(before, sizeof before, "%s",
             fixture_ask(f, "SELECT ctid || ' ' || xmin || ' ' || xmax FROM quiet"));
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        expect_written(f, is_general(_i), "patch", bodies[i], 0);
        const char *after = fixture_ask(f, "SELECT ctid || ' ' || xmin || ' ' || xmax FROM quiet");
        ck_assert_msg(strcmp(before, after) == 0, "%s: row version %s, was %s", bodies[i], after,
                      before);
    }
    expect_written(
        f, is_general(_i), "put",
        "{\"n\":1,\"hi\":7,\"doc\":{\"a\":1,\"o\":{\"p\":1}},\"list\":[1],\"word\":\"w\",\"price\":\"2.5\"}",
        0);
    ck_assert_str_eq(fixture_ask(f, "SELECT ctid || ' ' || xmin || ' ' || xmax FROM quiet"),
                     before);
    fixture_free(f);
}
END_TEST

/* ---- tables that have changed since ---- */

START_TEST(a_put_takes_the_default_of_now)
{
    fixture *f = open_fixture();
    use_table(
        f,
        "CREATE TABLE old (id int PRIMARY KEY, n int DEFAULT 1, word text); INSERT INTO old VALUES (1, 9, 'a')",
        "old", "/old/{id}", 0, NULL, NULL);
    fixture_sql(f, "ALTER TABLE old ALTER n SET DEFAULT 2");
    expect_written(f, false, "put", "{\"word\":\"b\"}", 1);
    ck_assert_str_eq(fixture_ask(f, "SELECT n FROM old"), "2");
    fixture_free(f);
}
END_TEST

/* Prepared while the column was numeric(6,2), run after it was widened: 1.004 is no longer
 * what 1.00 is. */
START_TEST(a_stale_modifier_is_refused)
{
    static const int formats[LEAT_STATEMENT_PARAMS_MAX] = {
        [0 ... LEAT_STATEMENT_PARAMS_MAX - 1] = 1};
    leat_rows_fault fault;
    leat_row_statement statement;
    fixture *f = open_fixture();
    use_table(
        f,
        "CREATE TABLE \"it's\" (id int PRIMARY KEY, \"a'b\\\" numeric(6,2)); INSERT INTO \"it's\" VALUES (1, 1)",
        "it's", "/its/{id}", 0, NULL, NULL);
    fixture_add(f, NULL, "patch", "1", "{\"a'b\\\\\":\"1.004\"}");
    leat_rows *rows = leat_rows_new();
    leat_buf sql = {0};
    ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), 0);
    leat_shape shape = leat_rows_shape(rows, 0);
    leat_statement_build(&shape, &sql);
    ck_assert_int_eq(leat_rows_statement(rows, 0, shape, &statement), 0);
    PQclear(PQprepare(f->pg, "s", leat_buf_cstr(&sql), 0, NULL));
    static const char *const expected[] = {"", "42804", ""};
    for (int i = 0; i < 3; i++) {
        PGresult *result = PQexecPrepared(f->pg, "s", (int)statement.param_count, statement.values,
                                          statement.sizes, formats, 1);
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        ck_assert_str_eq(state ? state : "", expected[i]);
        PQclear(result);
        fixture_sql(f, i == 0 ? "ALTER TABLE \"it's\" ALTER \"a'b\\\" TYPE numeric(7,3)"
                              : "ALTER TABLE \"it's\" ALTER \"a'b\\\" TYPE numeric(6,2)");
    }
    leat_rows_free(rows);
    leat_buf_free(&sql);
    fixture_free(f);
}
END_TEST

/* ---- leat.merge ---- */

/* The examples of RFC 7396, appendix A, and targets that are NULL. */
START_TEST(merge_is_rfc_7396)
{
    static const char *const cases[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {NULL, "{\"a\":{\"b\":null}}", "{\"a\":{}}"},
        {NULL, "{}", "{}"},
    };
    fixture *f = open_fixture();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PGresult *result = PQexecParams(f->pg,
                                        "SELECT leat.merge($1::jsonb, $2::jsonb) = $3::jsonb", 3,
                                        NULL, cases[i], NULL, NULL, 0);
        ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(f->pg));
        ck_assert_msg(strcmp(PQgetvalue(result, 0, 0), "t") == 0, "%s by %s is not %s", cases[i][0],
                      cases[i][1], cases[i][2]);
        PQclear(result);
    }
    fixture_free(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("semantics");
    TCase *tests = tcase_create("semantics");
    tcase_set_timeout(tests, 120);
    if (fixture_server()) {
        tcase_add_loop_test(tests, operations_are_line_by_line_what_the_documents_say, 0, 2);
        tcase_add_loop_test(tests, every_type_is_written_and_nothing_for_nothing, 0, 2);
        tcase_add_loop_test(tests, escapes_reach_a_database_without_characters, 0, 2);
        tcase_add_loop_test(tests, patches_of_missing_rows_are_dropped_and_counted, 0, 2);
        tcase_add_loop_test(tests, a_put_of_generated_identity_and_computed_columns, 0, 2);
        tcase_add_loop_test(tests, a_partitioned_table, 0, 2);
        tcase_add_loop_test(tests, a_table_with_triggers, 0, 2);
        tcase_add_loop_test(tests, what_changes_nothing_leaves_the_row_version, 0, 2);
        tcase_add_test(tests, row_statements_are_planned_by_the_primary_key);
        tcase_add_test(tests, a_put_takes_the_default_of_now);
        tcase_add_test(tests, a_stale_modifier_is_refused);
        tcase_add_test(tests, merge_is_rfc_7396);
    }
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
