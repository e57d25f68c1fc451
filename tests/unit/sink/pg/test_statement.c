/* The SQL of row statements: as text, and by what it does to a table in PostgreSQL (each line of
 * the table in docs: "Semantics of a write"), by the statement made for the rows and by the one
 * that fits any. */
#include "sink_fixture.h"

/* The text before the first row: events 8 DELETE, 20 INSERT and UPDATE. */
#define ENTER(events)                                                                              \
    " WHERE (SELECT leat.enter(E'\"my \"\"s\"\"\".\"t\"'::pg_catalog.regclass, " #events           \
    ", 0, 0, false))) AS s"

/* ---- as text ---- */

static leat_table small_table(void)
{
    leat_table table = {
        .schema = "my \"s\"", .name = "t", .column_count = 4, .key_count = 1, .key_columns = {1}};
    table.columns[0] = (leat_column){.name = "n",
                                     .type = LEAT_TYPE_INT4,
                                     .type_name = "integer",
                                     .type_modifier = -1,
                                     .default_expression = leat_must_strdup("5"),
                                     .key_position = -1};
    table.columns[1] = (leat_column){.name = "id",
                                     .type = LEAT_TYPE_UUID,
                                     .type_name = "uuid",
                                     .type_modifier = -1,
                                     .not_null = true,
                                     .key_position = 0};
    table.columns[2] = (leat_column){.name = "list",
                                     .type = LEAT_TYPE_JSONB,
                                     .type_name = "jsonb",
                                     .type_modifier = -1,
                                     .key_position = -1};
    table.columns[3] = (leat_column){.name = "made",
                                     .type = LEAT_TYPE_INT4,
                                     .type_name = "integer",
                                     .type_modifier = -1,
                                     .generated = true,
                                     .key_position = -1};
    return table;
}

static void expect_text(leat_shape shape, const char *expected)
{
    leat_table table = small_table();
    leat_route route = {.table = &table, .ops = {LEAT_OP_ADD, LEAT_OP_SET, LEAT_OP_MERGE}};
    shape.route = &route;
    leat_buf sql = {0};
    leat_statement_build(&shape, &sql);
    ck_assert_str_eq(leat_buf_cstr(&sql), expected);
    leat_buf_free(&sql);
    leat_table_fini(&table);
}

START_TEST(delete_is_by_key)
{
    expect_text(
        (leat_shape){.op = LEAT_DELETE, .uniform = true},
        "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[]) AS k0" ENTER(
            8) " ON t.\"id\" = s.k0 WHEN MATCHED THEN DELETE");
}
END_TEST

START_TEST(a_patch_of_nothing_only_inserts)
{
    expect_text(
        (leat_shape){.op = LEAT_PATCH, .uniform = true},
        "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[]) AS k0" ENTER(
            20) " ON t.\"id\" = s.k0 WHEN NOT MATCHED THEN INSERT (\"id\") VALUES (s.k0)");
}
END_TEST

START_TEST(a_uniform_patch_needs_no_mask)
{
    expect_text(
        (leat_shape){.op = LEAT_PATCH, .columns = 5, .operated = 5, .uniform = true},
        "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[]) AS k0,"
        " unnest($2::int4[]) AS c0, unnest($3::jsonb[]) AS c2" ENTER(
            20) " ON t.\"id\" = s.k0"
                " WHEN MATCHED AND (t.\"n\" IS DISTINCT FROM (coalesce(t.\"n\", 0) + s.c0)"
                " OR t.\"list\" IS DISTINCT FROM ((CASE jsonb_typeof(t.\"list\") WHEN 'object' THEN t.\"list\""
                " ELSE '{}'::jsonb END) || s.c2))"
                " THEN UPDATE SET \"n\" = coalesce(t.\"n\", 0) + s.c0,"
                " \"list\" = (CASE jsonb_typeof(t.\"list\") WHEN 'object' THEN t.\"list\""
                " ELSE '{}'::jsonb END) || s.c2"
                " WHEN NOT MATCHED THEN INSERT (\"id\", \"n\", \"list\") VALUES (s.k0,"
                " coalesce((5)::integer, 0) + s.c0, ('{}'::jsonb) || s.c2)");
}
END_TEST

START_TEST(a_mixed_patch_asks_the_masks)
{
    expect_text(
        (leat_shape){.op = LEAT_PATCH, .columns = 1, .operated = 1},
        "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[]) AS k0,"
        " unnest($2::int4[]) AS c0, unnest($3::int8[]) AS p, unnest($4::int8[]) AS o" ENTER(
            20) " ON t.\"id\" = s.k0"
                " WHEN MATCHED AND ((s.p & '1'::int8) <> 0 AND t.\"n\" IS DISTINCT FROM"
                " (CASE WHEN (s.o & '1'::int8) <> 0 THEN coalesce(t.\"n\", 0) + s.c0 ELSE s.c0 END))"
                " THEN UPDATE SET \"n\" = CASE WHEN (s.p & '1'::int8) <> 0 THEN"
                " CASE WHEN (s.o & '1'::int8) <> 0 THEN coalesce(t.\"n\", 0) + s.c0 ELSE s.c0 END ELSE t.\"n\" END"
                " WHEN NOT MATCHED THEN INSERT (\"id\", \"n\") VALUES (s.k0, CASE WHEN (s.p & '1'::int8) <> 0 THEN"
                " CASE WHEN (s.o & '1'::int8) <> 0 THEN coalesce((5)::integer, 0) + s.c0 ELSE s.c0 END"
                " ELSE (5)::integer END)");
}
END_TEST

START_TEST(a_mixed_patch_without_operands_has_one_mask)
{
    expect_text(
        (leat_shape){.op = LEAT_PATCH, .columns = 1},
        "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[]) AS k0,"
        " unnest($2::int4[]) AS c0, unnest($3::int8[]) AS p" ENTER(
            20) " ON t.\"id\" = s.k0"
                " WHEN MATCHED AND ((s.p & '1'::int8) <> 0 AND t.\"n\" IS DISTINCT FROM (s.c0))"
                " THEN UPDATE SET \"n\" = CASE WHEN (s.p & '1'::int8) <> 0 THEN s.c0 ELSE t.\"n\" END"
                " WHEN NOT MATCHED THEN INSERT (\"id\", \"n\") VALUES (s.k0, CASE WHEN (s.p & '1'::int8) <> 0"
                " THEN s.c0 ELSE (5)::integer END)");
}
END_TEST

START_TEST(a_put_writes_every_column_and_no_generated_one)
{
    expect_text(
        (leat_shape){.op = LEAT_PUT, .columns = 1, .uniform = true},
        "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[]) AS k0,"
        " unnest($2::int4[]) AS c0" ENTER(
            20) " ON t.\"id\" = s.k0"
                " WHEN MATCHED AND (t.\"n\" IS DISTINCT FROM (s.c0) OR t.\"list\" IS DISTINCT FROM NULL)"
                " THEN UPDATE SET \"n\" = s.c0, \"list\" = DEFAULT"
                " WHEN NOT MATCHED THEN INSERT (\"id\", \"n\") VALUES (s.k0, s.c0)");
}
END_TEST

START_TEST(an_operand_changes_the_default_of_a_put)
{
    expect_text(
        (leat_shape){.op = LEAT_PUT,
                     .columns = 5,
                     .operated = 5,
                     .merge = LEAT_MERGE_STRIP,
                     .uniform = true},
        "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[]) AS k0,"
        " unnest($2::int4[]) AS c0, unnest($3::jsonb[]) AS c2" ENTER(
            20) " ON t.\"id\" = s.k0"
                " WHEN MATCHED AND (t.\"n\" IS DISTINCT FROM (coalesce((5)::integer, 0) + s.c0)"
                " OR t.\"list\" IS DISTINCT FROM ((('{}'::jsonb) || s.c2)"
                " - ARRAY(SELECT key FROM jsonb_each(s.c2) WHERE value = 'null'::jsonb)))"
                " THEN UPDATE SET \"n\" = coalesce((5)::integer, 0) + s.c0, \"list\" = (('{}'::jsonb) || s.c2)"
                " - ARRAY(SELECT key FROM jsonb_each(s.c2) WHERE value = 'null'::jsonb)"
                " WHEN NOT MATCHED THEN INSERT (\"id\", \"n\", \"list\") VALUES (s.k0,"
                " coalesce((5)::integer, 0) + s.c0, (('{}'::jsonb) || s.c2)"
                " - ARRAY(SELECT key FROM jsonb_each(s.c2) WHERE value = 'null'::jsonb))");
}
END_TEST

START_TEST(rows_that_must_exist_are_counted_and_not_inserted)
{
    leat_table table = small_table();
    leat_route route = {.table = &table, .patch_existing = true};
    leat_shape shape = {.route = &route, .op = LEAT_PATCH, .uniform = true};
    leat_buf sql = {0};
    ck_assert(leat_shape_counts_missing(&shape));
    leat_statement_build(&shape, &sql);
    ck_assert_str_eq(leat_buf_cstr(&sql),
                     "MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT unnest($1::uuid[])"
                     " AS k0" ENTER(20) " ON t.\"id\" = s.k0 WHEN NOT MATCHED THEN DO NOTHING");
    leat_buf_clear(&sql);
    leat_statement_build_missing(&shape, &sql);
    ck_assert_str_eq(
        leat_buf_cstr(&sql),
        "SELECT coalesce(sum(s.n), 0)::int8 FROM (SELECT unnest($1::uuid[]) AS k0, unnest($2::int4[]) AS n)"
        " AS s WHERE NOT EXISTS (SELECT FROM \"my \"\"s\"\"\".\"t\" AS t WHERE t.\"id\" = s.k0)");
    shape.op = LEAT_PUT;
    ck_assert(!leat_shape_counts_missing(&shape));
    leat_buf_free(&sql);
    leat_table_fini(&table);
}
END_TEST

START_TEST(what_rounds_asks_for_its_modifier)
{
    leat_table table = small_table();
    leat_route route = {.table = &table};
    leat_shape shape = {.route = &route, .op = LEAT_PATCH, .columns = 1, .uniform = true};
    leat_buf sql = {0};
    table.columns[0].type = LEAT_TYPE_NUMERIC;
    table.columns[0].type_modifier = 655366;
    snprintf(table.columns[0].name, sizeof table.columns[0].name, "it's \\ n");
    leat_statement_build(&shape, &sql);
    ck_assert_ptr_nonnull(strstr(
        leat_buf_cstr(&sql), " AS c0 WHERE (SELECT leat.check_modifiers(E'my \"s\"', E't',"
                             " ARRAY[E'it''s \\\\ n'], ARRAY[655366])) AND (SELECT leat.enter("));
    leat_buf_free(&sql);
    leat_table_fini(&table);
}
END_TEST

START_TEST(types_leat_cannot_send_are_compared_by_what_is_stored)
{
    leat_table table = small_table();
    leat_route route = {.table = &table};
    leat_shape shape = {.route = &route, .op = LEAT_PUT, .uniform = true};
    leat_buf sql = {0};
    table.columns[0] = (leat_column){.name = "spot",
                                     .type = LEAT_TYPE_OTHER,
                                     .type_name = "point",
                                     .cast_name = "point",
                                     .type_modifier = -1,
                                     .key_position = -1,
                                     .default_expression = table.columns[0].default_expression};
    table.columns[2].type = LEAT_TYPE_OTHER;
    leat_statement_build(&shape, &sql);
    ck_assert_ptr_nonnull(strstr(leat_buf_cstr(&sql),
                                 "WHEN MATCHED AND (t.\"list\" IS DISTINCT FROM NULL"
                                 " OR pg_catalog.record_image_ne(ROW(t.\"spot\"), ROW((5)::point)))"
                                 " THEN UPDATE SET \"spot\" = DEFAULT, \"list\" = DEFAULT"));
    leat_buf_free(&sql);
    leat_table_fini(&table);
}
END_TEST

/* The condition of the update, of a route that sets all columns but `merged`. */
static const char *condition(leat_shape shape, const leat_table *table, leat_buf *sql)
{
    leat_route route = {.table = table, .ops = {[3] = LEAT_OP_MERGE}};
    shape.route = &route;
    leat_buf_clear(sql);
    leat_statement_build(&shape, sql);
    char *from = strstr(leat_buf_cstr(sql), "WHEN MATCHED AND "), *to = strstr(from, " THEN ");
    ck_assert(from && to);
    *to = '\0';
    return from + strlen("WHEN MATCHED AND ");
}

START_TEST(cheap_comparisons_come_before_dear_ones)
{
    leat_table table = {
        .schema = "public", .name = "t", .column_count = 5, .key_count = 1, .key_columns = {1}};
    leat_buf sql = {0};
    static const struct {
        const char *name;
        leat_type type;
    } columns[] = {{"doc", LEAT_TYPE_JSONB},
                   {"id", LEAT_TYPE_UUID},
                   {"note", LEAT_TYPE_TEXT},
                   {"made", LEAT_TYPE_JSONB},
                   {"seen", LEAT_TYPE_TIMESTAMPTZ}};
    for (uint32_t i = 0; i < 5; i++) {
        table.columns[i] = (leat_column){
            .type = columns[i].type, .type_modifier = -1, .key_position = i == 1 ? 0 : -1};
        snprintf(table.columns[i].name, sizeof table.columns[i].name, "%s", columns[i].name);
    }
    leat_shape shape = {.op = LEAT_PATCH, .columns = 29, .operated = 8, .uniform = true};
    ck_assert_str_eq(
        condition(shape, &table, &sql),
        "(t.\"seen\" IS DISTINCT FROM (s.c4)"
        " OR t.\"note\" COLLATE \"C\" IS DISTINCT FROM (s.c2) COLLATE \"C\""
        " OR t.\"doc\" IS DISTINCT FROM (s.c0)"
        " OR t.\"made\" IS DISTINCT FROM ((CASE jsonb_typeof(t.\"made\") WHEN 'object'");
    /* whatever the type, "not NULL any more" is cheap */
    shape = (leat_shape){.op = LEAT_PUT, .columns = 4, .uniform = true};
    ck_assert_str_eq(condition(shape, &table, &sql),
                     "(t.\"doc\" IS DISTINCT FROM NULL OR t.\"made\" IS DISTINCT FROM NULL"
                     " OR t.\"seen\" IS DISTINCT FROM NULL"
                     " OR t.\"note\" COLLATE \"C\" IS DISTINCT FROM (s.c2) COLLATE \"C\")");
    leat_buf_free(&sql);
}
END_TEST

START_TEST(texts_are_read_before_the_first_row_is_written)
{
    leat_table table = small_table();
    leat_route route = {.table = &table, .accept_row_security = true};
    leat_shape shape = {.route = &route, .op = LEAT_PATCH, .columns = 1};
    leat_buf sql = {0};
    table.columns[0].type = LEAT_TYPE_OTHER;
    snprintf(table.columns[0].cast_name, sizeof table.columns[0].cast_name, "interval");
    leat_statement_build(&shape, &sql);
    ck_assert_ptr_nonnull(strstr(
        leat_buf_cstr(&sql),
        "WITH r AS MATERIALIZED (SELECT s.k0, (SELECT s.c0::interval WHERE (s.p & '1'::int8) <> 0) AS c0, s.p FROM ("
        "SELECT unnest($1::uuid[]) AS k0, unnest($2::text[]) AS c0, unnest($3::int8[]) AS p) AS s"
        " WHERE (SELECT leat.read_texts())) MERGE INTO \"my \"\"s\"\"\".\"t\" AS t USING (SELECT * FROM r"
        " WHERE (SELECT leat.enter(E'\"my \"\"s\"\"\".\"t\"'::pg_catalog.regclass, 20, 0, 0, true,"
        " pg_catalog.count(*)) FROM r)) AS s ON "));
    leat_buf_free(&sql);
    leat_table_fini(&table);
}
END_TEST

START_TEST(where_a_trigger_may_drop_a_row_the_rows_are_counted)
{
    static const char target[] = "E'\"my \"\"s\"\"\".\"t\"'::pg_catalog.regclass";
    leat_table table = small_table();
    leat_route route = {.table = &table};
    leat_shape shape = {.route = &route, .op = LEAT_DELETE, .uniform = true};
    leat_buf sql = {0};
    char expected[1024];
    table.row_triggers = LEAT_ON_DELETE;
    leat_statement_build(&shape, &sql);
    snprintf(
        expected, sizeof expected,
        "WITH s AS MATERIALIZED (SELECT unnest($1::uuid[]) AS k0 WHERE (SELECT leat.enter(%s, 8, 8, 0, false))),"
        " d AS (DELETE FROM \"my \"\"s\"\"\".\"t\" AS t USING s WHERE t.\"id\" = s.k0 RETURNING 1)"
        " SELECT leat.must_touch(%s, 8, (SELECT pg_catalog.count(*) FROM s JOIN \"my \"\"s\"\"\".\"t\" AS t ON"
        " t.\"id\" = s.k0), (SELECT pg_catalog.count(*) FROM d))",
        target, target);
    ck_assert_str_eq(leat_buf_cstr(&sql), expected);
    leat_buf_clear(&sql);
    route.accept_untouched = true;
    leat_statement_build(&shape, &sql);
    ck_assert_int_eq(strncmp(leat_buf_cstr(&sql), "MERGE INTO ", 11), 0);
    leat_buf_clear(&sql);
    route.accept_untouched = false;
    shape.op = LEAT_PATCH; /* the trigger is none of its */
    leat_statement_build(&shape, &sql);
    ck_assert_int_eq(strncmp(leat_buf_cstr(&sql), "MERGE INTO ", 11), 0);
    leat_buf_free(&sql);
    leat_table_fini(&table);
}
END_TEST

/* ---- by what it does ---- */

static const char things_sql[] =
    "CREATE TABLE things (app int, id text, n int DEFAULT 5, small smallint, big bigint NOT NULL DEFAULT 0,"
    " price numeric(10,2) DEFAULT 1.5, free numeric, note text DEFAULT 'none', short varchar(5),"
    " seen timestamptz(3), tags jsonb DEFAULT '[\"a\"]', extra jsonb, flag bool, score float8, ref uuid,"
    " half int GENERATED ALWAYS AS (n / 2) STORED, PRIMARY KEY (app, id))";

/* Every test runs twice: with the statement of its rows, and with the one that fits any row. */
static bool is_general(int round)
{
    return round == 1;
}

static fixture *open_things(void)
{
    static const char *const names[] = {"n",    "small", "big",  "price",
                                        "free", "score", "tags", "extra"};
    static const leat_column_op ops[] = {LEAT_OP_ADD, LEAT_OP_ADD, LEAT_OP_ADD,    LEAT_OP_ADD,
                                         LEAT_OP_ADD, LEAT_OP_ADD, LEAT_OP_APPEND, LEAT_OP_APPEND};
    fixture *f = fixture_new();
    fixture_open_database(f);
    fixture_schema(f);
    fixture_sql(f, things_sql);
    fixture_route(f, "things", "/things/{app}/{id}", 8, names, ops);
    return f;
}

/* One write to row 1/a. */
static const char *write_one(fixture *f, bool general, const char *op, const char *body,
                             int *ret_changed)
{
    fixture_add(f, NULL, op, "1/a", body);
    return fixture_apply(f, general, ret_changed);
}

static void expect_written(fixture *f, bool general, const char *op, const char *body, int expected)
{
    int changed;
    ck_assert_str_eq(write_one(f, general, op, body, &changed), "");
    ck_assert_msg(changed == expected, "%s %s: %d rows written, not %d", op, body ? body : "",
                  changed, expected);
}

static void expect(fixture *f, const char *columns, const char *expected)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT row(%s)::text FROM things WHERE app = 1 AND id = 'a'",
             columns);
    ck_assert_str_eq(fixture_ask(f, sql), expected);
}

START_TEST(put_replaces_and_inserts)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    expect_written(f, general, "put", "{\"n\":7,\"tags\":{\"x\":1}}", 1);
    expect(f, "n,big,price,note,tags,flag,half", "(7,0,1.50,none,\"{\"\"x\"\": 1}\",,3)");
    fixture_sql(f, "UPDATE things SET note = 'x', flag = true, big = 9, short = 's', score = 1,"
                   " ref = gen_random_uuid()");
    expect_written(f, general, "put", "{\"n\":8,\"price\":\"2.345\"}", 1);
    expect(f, "n,big,price,note,tags,flag,short,score,ref", "(8,0,2.35,none,\"[\"\"a\"\"]\",,,,)");
    expect_written(f, general, "put", "{\"n\":8,\"price\":\"2.345\"}", 0);
    expect_written(f, general, "put", "{}", 1);
    expect(f, "n,price", "(5,1.50)");
    expect_written(f, general, "put", "{}", 0);
    fixture_free(f);
}
END_TEST

START_TEST(patch_changes_what_it_names)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    fixture_sql(f,
                "INSERT INTO things (app, id, n, small, big, price, free, note, tags, extra, score)"
                " VALUES (1, 'a', 1, 2, 3, 4, 5.50, 'six', '[7]', '[8]', 9.5)");
    expect_written(f, general, "patch", "{\"note\":\"new\",\"flag\":true,\"n\":10}", 1);
    expect(f, "n,small,big,price,free,note,tags,extra,score,flag",
           "(11,2,3,4.00,5.50,new,[7],[8],9.5,t)");
    expect_written(f, general, "patch",
                   "{\"small\":-3,\"big\":\"4\",\"price\":0.25,\"free\":1.1,\"score\":0.5}", 1);
    expect(f, "small,big,price,free,score", "(-1,7,4.25,6.60,10)");
    expect_written(f, general, "patch", "{}", 0);
    expect_written(f, general, "patch", "{\"note\":\"new\"}", 0);
    expect_written(f, general, "patch", "{\"n\":0,\"small\":0}", 0);
    expect_written(f, general, "patch", "{\"note\":\"NEW\",\"short\":\"abcde\"}", 1);
    expect(f, "note,short", "(NEW,abcde)");
    expect_written(f, general, "patch", "{\"seen\":\"2026-01-02T03:04:05.678Z\"}", 1);
    expect_written(f, general, "patch", "{\"seen\":\"2026-01-02T03:04:05.6781Z\"}", 0);
    fixture_free(f);
}
END_TEST

START_TEST(patch_of_a_missing_row_starts_from_the_defaults)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    expect_written(f, general, "patch",
                   "{\"n\":1,\"small\":2,\"price\":0.5,\"tags\":\"b\",\"extra\":1}", 1);
    expect(f, "n,small,big,price,note,tags,extra,half",
           "(6,2,0,2.00,none,\"[\"\"a\"\", \"\"b\"\"]\",[1],3)");
    expect_written(f, general, "delete", NULL, 1);
    expect_written(f, general, "patch", "{\"note\":\"x\"}", 1);
    expect(f, "n,note,tags", "(5,x,\"[\"\"a\"\"]\")");
    expect_written(f, general, "delete", NULL, 1);
    expect_written(f, general, "patch", "", 1);
    expect(f, "n,note", "(5,none)");
    fixture_free(f);
}
END_TEST

START_TEST(null_is_null_for_every_operation)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    fixture_sql(f, "INSERT INTO things (app, id, small, extra) VALUES (1, 'a', 2, '[8]')");
    expect_written(f, general, "patch",
                   "{\"n\":null,\"small\":null,\"tags\":null,\"extra\":null,\"note\":null}", 1);
    expect(f, "n,small,tags,extra,note", "(,,,,)");
    expect_written(f, general, "patch", "{\"n\":null,\"tags\":null,\"note\":null}", 0);
    expect_written(f, general, "patch", "{\"n\":3,\"tags\":\"x\",\"note\":\"y\"}", 1);
    expect(f, "n,tags,note", "(3,\"[\"\"x\"\"]\",y)");
    expect_written(f, general, "put", "{\"n\":null,\"tags\":null}", 1);
    expect(f, "n,tags,note", "(,,none)");
    expect_written(f, general, "delete", NULL, 1);
    expect_written(f, general, "patch", "{\"n\":null,\"tags\":null,\"note\":null}", 1);
    expect(f, "n,tags,note,price", "(,,,1.50)");
    fixture_free(f);
}
END_TEST

START_TEST(append_adds_one_element_whatever_it_is)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    fixture_sql(f, "INSERT INTO things (app, id, tags) VALUES (1, 'a', '[]')");
    expect_written(f, general, "patch", "{\"tags\":[1,2],\"extra\":[]}", 1);
    expect_written(f, general, "patch", "{\"tags\":{\"k\":null}}", 1);
    expect_written(f, general, "patch", "{\"tags\":false}", 1);
    expect(f, "tags,extra", "(\"[[1, 2], {\"\"k\"\": null}, false]\",[[]])");
    fixture_sql(f, "UPDATE things SET tags = '{\"k\": 1}', extra = 'null'");
    expect_written(f, general, "patch", "{\"tags\":1,\"extra\":[2]}", 1);
    expect(f, "tags,extra", "(\"[{\"\"k\"\": 1}, 1]\",\"[null, [2]]\")");
    fixture_free(f);
}
END_TEST

START_TEST(numbers_that_do_not_fit_are_refused)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    fixture_sql(
        f, "INSERT INTO things (app, id, n, small, price) VALUES (1, 'a', 2147483647, 32767, 50)");
    ck_assert_str_eq(write_one(f, general, "patch", "{\"n\":1}", NULL), "22003");
    ck_assert_str_eq(write_one(f, general, "patch", "{\"small\":1}", NULL), "22003");
    ck_assert_str_eq(write_one(f, general, "patch", "{\"price\":99999999}", NULL), "22003");
    expect_written(f, general, "patch", "{\"n\":-1,\"price\":-0.005}", 1);
    /* the operand was rounded, then added */
    expect(f, "n,small,price", "(2147483646,32767,49.99)");
    fixture_free(f);
}
END_TEST

START_TEST(delete_deletes)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    expect_written(f, general, "delete", NULL, 0);
    fixture_sql(f, "INSERT INTO things (app, id) VALUES (1, 'a'), (1, 'b'), (2, 'a')");
    expect_written(f, general, "delete", NULL, 1);
    ck_assert_str_eq(fixture_ask(f, "SELECT string_agg(app || id, ',' ORDER BY app) FROM things"),
                     "1b,2a");
    fixture_free(f);
}
END_TEST

START_TEST(rows_of_different_columns_share_a_statement)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    fixture_sql(
        f, "INSERT INTO things (app, id, note, n) VALUES (1, 'a', 'old', 1), (1, 'b', 'old', 1)");
    fixture_add(f, NULL, "patch", "1/a", "{\"note\":\"new\"}");
    fixture_add(f, NULL, "patch", "1/b", "{\"n\":4}");
    fixture_add(f, NULL, "patch", "1/c", "{\"flag\":true,\"n\":1}");
    fixture_add(f, NULL, "put", "1/d", "{\"note\":null}");
    fixture_add(f, NULL, "put", "1/e", "{\"n\":9}");
    ck_assert_str_eq(fixture_apply(f, general, NULL), "");
    ck_assert_str_eq(
        fixture_ask(f,
                    "SELECT string_agg(format('%s:%s:%s:%s', id, n, note, flag), ' ' ORDER BY id)"
                    " FROM things"),
        "a:1:new: b:5:old: c:6:none:t d:5:: e:9:none:");
    fixture_free(f);
}
END_TEST

START_TEST(a_valid_patch_is_not_judged_as_an_insert)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    fixture_sql(f, "ALTER TABLE things ADD COLUMN must int NOT NULL DEFAULT 1 CHECK (must > 0);"
                   "ALTER TABLE things ALTER must DROP DEFAULT;"
                   "INSERT INTO things (app, id, must) VALUES (1, 'a', 3)");
    leat_table_fini(&f->catalog.tables[0]);
    f->routes.count = 0;
    fixture_route(f, "things", "/things/{app}/{id}", 0, NULL, NULL);
    expect_written(f, general, "patch", "{\"note\":\"x\"}", 1);
    fixture_add(f, NULL, "patch", "1/b", "{\"note\":\"x\"}");
    ck_assert_str_eq(fixture_apply(f, general, NULL), "23502");
    fixture_free(f);
}
END_TEST

START_TEST(case_matters_under_any_collation)
{
    fixture *f = open_things();
    bool general = is_general(_i);
    fixture_sql(
        f,
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "ALTER TABLE things ALTER note TYPE text COLLATE ci");
    expect_written(f, general, "put", "{\"note\":\"Bob\",\"free\":1.0}", 1);
    expect_written(f, general, "put", "{\"note\":\"bob\",\"free\":1.0}", 1);
    expect_written(f, general, "put", "{\"note\":\"bob\",\"free\":1.00}", 1);
    expect(f, "note,free", "(bob,1.00)");
    fixture_free(f);
}
END_TEST

START_TEST(sixty_four_columns_and_odd_names)
{
    fixture *f = fixture_new();
    fixture_open_database(f);
    fixture_schema(f);
    char sql[8192] = "CREATE TABLE \"Wide \"\" one\" (id int PRIMARY KEY";
    for (int i = 1; i < LEAT_COLUMNS_MAX; i++)
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", \"C %d\" int DEFAULT %d", i, i);
    strcat(sql, ")");
    fixture_sql(f, sql);
    fixture_route(f, "\"Wide \"\" one\"", "/wide/{id}", 0, NULL, NULL);
    fixture_add(f, NULL, "patch", "1", "{\"C 63\":-1}");
    fixture_add(f, NULL, "patch", "2", "{\"C 1\":-2}");
    ck_assert_str_eq(fixture_apply(f, is_general(_i), NULL), "");
    ck_assert_str_eq(fixture_ask(f, "SELECT string_agg(\"C 1\" || ' ' || \"C 63\", ',' ORDER BY id)"
                                    " FROM \"Wide \"\" one\""),
                     "1 -1,-2 63");
    fixture_free(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("statement");
    TCase *texts = tcase_create("text");
    tcase_add_test(texts, delete_is_by_key);
    tcase_add_test(texts, a_patch_of_nothing_only_inserts);
    tcase_add_test(texts, a_uniform_patch_needs_no_mask);
    tcase_add_test(texts, a_mixed_patch_asks_the_masks);
    tcase_add_test(texts, a_mixed_patch_without_operands_has_one_mask);
    tcase_add_test(texts, a_put_writes_every_column_and_no_generated_one);
    tcase_add_test(texts, an_operand_changes_the_default_of_a_put);
    tcase_add_test(texts, rows_that_must_exist_are_counted_and_not_inserted);
    tcase_add_test(texts, what_rounds_asks_for_its_modifier);
    tcase_add_test(texts, types_leat_cannot_send_are_compared_by_what_is_stored);
    tcase_add_test(texts, cheap_comparisons_come_before_dear_ones);
    tcase_add_test(texts, texts_are_read_before_the_first_row_is_written);
    tcase_add_test(texts, where_a_trigger_may_drop_a_row_the_rows_are_counted);
    suite_add_tcase(suite, texts);
    TCase *effects = tcase_create("effect");
    tcase_set_timeout(effects, 30);
    if (fixture_server()) {
        tcase_add_loop_test(effects, put_replaces_and_inserts, 0, 2);
        tcase_add_loop_test(effects, patch_changes_what_it_names, 0, 2);
        tcase_add_loop_test(effects, patch_of_a_missing_row_starts_from_the_defaults, 0, 2);
        tcase_add_loop_test(effects, null_is_null_for_every_operation, 0, 2);
        tcase_add_loop_test(effects, append_adds_one_element_whatever_it_is, 0, 2);
        tcase_add_loop_test(effects, numbers_that_do_not_fit_are_refused, 0, 2);
        tcase_add_loop_test(effects, delete_deletes, 0, 2);
        tcase_add_loop_test(effects, rows_of_different_columns_share_a_statement, 0, 2);
        tcase_add_loop_test(effects, a_valid_patch_is_not_judged_as_an_insert, 0, 2);
        tcase_add_loop_test(effects, case_matters_under_any_collation, 0, 2);
        tcase_add_loop_test(effects, sixty_four_columns_and_odd_names, 0, 2);
    }
    suite_add_tcase(suite, effects);
    return fixture_main(suite);
}
