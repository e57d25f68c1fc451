/* A batch's records as row statements: grouping, order, faults, and the binary arrays byte by byte. No database. */
#include "sink_fixture.h"

static leat_table make_table(const char *name)
{
    leat_table table = {.schema = "public", .column_count = 4, .key_count = 1};
    snprintf(table.name, sizeof table.name, "%s", name);
    table.columns[0] = (leat_column){.name = "id", .type = LEAT_TYPE_INT4, .type_name = "integer", .type_modifier = -1,
                                     .not_null = true};
    table.columns[1] = (leat_column){.name = "n", .type = LEAT_TYPE_INT2, .type_name = "smallint",
                                     .type_modifier = -1, .key_position = -1};
    table.columns[2] = (leat_column){.name = "note", .type = LEAT_TYPE_TEXT, .type_name = "text", .type_modifier = -1,
                                     .key_position = -1};
    table.columns[3] = (leat_column){.name = "list", .type = LEAT_TYPE_JSONB, .type_name = "jsonb",
                                     .type_modifier = -1, .key_position = -1};
    return table;
}

static void add_route(fixture *f, const char *name, const char *path, uint32_t table)
{
    leat_error error = {""};
    leat_route_spec spec = {.name = name, .path = path};
    uint32_t at = f->routes.count++;
    int built = leat_route_build(&spec, &f->catalog.tables[table], table, &f->routes.routes[at], &error);
    ck_assert_msg(built == 0, "%s", error.text);
    f->routes.routes[at].index = at;
}

/* Routes a and b on table one, c on table two. */
static fixture *open_routes(void)
{
    fixture *f = fixture_new();
    f->catalog.tables = leat_must_calloc(2, sizeof(leat_table));
    f->catalog.table_count = 2;
    f->catalog.tables[0] = make_table("one");
    f->catalog.tables[1] = make_table("two");
    add_route(f, "a", "/a/{id}", 0);
    add_route(f, "b", "/b/{id}", 0);
    add_route(f, "c", "/c/{id}", 1);
    return f;
}

static leat_rows *build(fixture *f)
{
    leat_rows *rows = leat_rows_new();
    leat_rows_fault fault;
    ck_assert_msg(leat_rows_build(rows, &f->batch, &f->routes, &fault) == 0, "%s", fault.error.text);
    return rows;
}

/* "patch a 1110 uniform 2" for each statement: operation, route, columns by ascending index, rows. */
static void expect_statements(leat_rows *rows, const char *expected)
{
    char text[2048] = "";
    for (uint32_t i = 0; i < leat_rows_statement_count(rows); i++) {
        leat_shape shape = leat_rows_shape(rows, i);
        leat_row_statement statement;
        ck_assert_int_eq(leat_rows_statement(rows, i, shape, &statement), 0);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s %s ", used ? ", " : "", leat_route_op_name(shape.op),
                 shape.route->name);
        for (uint32_t column = 0; column < shape.route->table->column_count; column++)
            strcat(text, shape.columns & ((uint64_t)1 << column) ? "1" : "0");
        used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s %u", shape.uniform ? "" : " mixed", statement.row_count);
    }
    ck_assert_str_eq(text, expected);
}

START_TEST(rows_of_one_operation_share_a_statement)
{
    fixture *f = open_routes();
    fixture_add(f, "a", "patch", "1", "{\"n\":1,\"note\":\"x\"}");
    fixture_add(f, "a", "put", "2", "{\"n\":1}");
    fixture_add(f, "a", "patch", "3", "{\"note\":\"x\",\"n\":null}");
    fixture_add(f, "a", "delete", "4", NULL);
    fixture_add(f, "a", "put", "5", "{\"list\":[]}");
    fixture_add(f, "c", "patch", "1", "{}");
    leat_rows *rows = build(f);
    expect_statements(rows, "patch a 0110 2, put a 0101 mixed 2, delete a 0000 1, patch c 0000 1");
    ck_assert_uint_eq(leat_rows_count(rows), 6);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(writes_to_one_key_go_in_rounds)
{
    fixture *f = open_routes();
    fixture_add(f, "a", "patch", "1", "{\"n\":1}");
    fixture_add(f, "a", "patch", "2", "{\"n\":1}");
    fixture_add(f, "b", "patch", "01", "{\"note\":\"x\"}"); /* the same key by another route, not canonical */
    fixture_add(f, "c", "patch", "1", "{\"note\":\"x\"}");  /* another table's */
    fixture_add(f, "a", "delete", "1", NULL);
    fixture_add(f, "a", "patch", "2", "{\"n\":1}");
    leat_rows *rows = build(f);
    expect_statements(rows, "patch a 0100 2, patch c 0010 1, patch b 0010 1, patch a 0100 1, delete a 0000 1");
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(a_builder_forgets_the_batch_before)
{
    static char keys[300][16];
    fixture *f = open_routes();
    leat_rows *rows = leat_rows_new();
    leat_rows_fault fault;
    for (int size = 1; size < 300; size += 37) {
        for (int i = 0; i < size; i++) {
            snprintf(keys[i], sizeof keys[i], "%d", i);
            fixture_add(f, "a", "patch", keys[i], "{\"n\":1}");
        }
        ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), 0);
        ck_assert_uint_eq(leat_rows_statement_count(rows), 1);
        ck_assert_uint_eq(leat_rows_count(rows), (uint32_t)size);
        fixture_clear(f);
    }
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(a_batch_may_be_empty)
{
    fixture *f = open_routes();
    leat_rows *rows = build(f);
    expect_statements(rows, "");
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(arrays_are_in_binary_form)
{
    static const unsigned char ids[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1,
                                        0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 8};
    static const unsigned char ns[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 21, 0, 0, 0, 2, 0, 0, 0, 1,
                                       0, 0, 0, 2, 255, 254, 255, 255, 255, 255};
    static const unsigned char lists[] = {0, 0,   0,   1,   0,   0, 0, 1, 0, 0, 14, 218, 0, 0, 0, 2, 0, 0, 0, 1,
                                          255, 255, 255, 255, 0, 0, 0, 4, 1, '[', '1', ']'};
    static const unsigned char named[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 1,
                                          0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 10};
    static const struct {
        const void *bytes;
        size_t size;
    } expected[] = {{ids, sizeof ids}, {ns, sizeof ns}, {lists, sizeof lists}, {named, sizeof named}};
    fixture *f = open_routes();
    leat_row_statement statement;
    fixture_add(f, "a", "patch", "7", "{\"n\":-2}");
    fixture_add(f, "a", "patch", "8", "{\"list\":[1],\"n\":null}");
    leat_rows *rows = build(f);
    ck_assert_int_eq(leat_rows_statement(rows, 0, leat_rows_shape(rows, 0), &statement), 0);
    ck_assert_uint_eq(statement.param_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_eq((size_t)statement.sizes[i], expected[i].size);
        ck_assert_mem_eq(statement.values[i], expected[i].bytes, expected[i].size);
    }
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(the_shape_of_any_has_every_column)
{
    fixture *f = open_routes();
    leat_row_statement statement;
    fixture_add(f, "a", "patch", "7", "{\"note\":\"x\"}");
    leat_rows *rows = build(f);
    leat_shape any = leat_shape_of_any(&f->routes.routes[0], LEAT_PATCH);
    ck_assert_uint_eq(any.columns, 14);
    ck_assert_int_eq(leat_rows_statement(rows, 0, any, &statement), 0);
    ck_assert_uint_eq(statement.param_count, 5);
    ck_assert_mem_eq(statement.values[1] + 20, "\xff\xff\xff\xff", 4);
    ck_assert_mem_eq(statement.values[2] + 20, "\0\0\0\1x", 5);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(the_first_record_without_sense_is_named)
{
    static const struct {
        const char *route, *op, *key, *body, *message;
    } bad[] = {
        {"a", "patch", "1", "{\"n\":1", NULL},
        {"a", "patch", "1", "{\"m\":1}", NULL},
        {"a", "put", "1", "{\"n\":99999}", NULL},
        {"a", "patch", "x", "{}", NULL},
        {"z", "patch", "1", "{}", "there is no route \"z\""},
        {"a", "hit", "1", "{}", "there is no operation \"hit\""},
    };
    fixture *f = open_routes();
    leat_rows *rows = leat_rows_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leat_rows_fault fault = {0};
        fixture_add(f, "a", "patch", "1", "{\"n\":1}");
        fixture_add(f, "a", "delete", "2", "{broken, and nobody looks");
        fixture_add(f, bad[i].route, bad[i].op, bad[i].key, bad[i].body);
        fixture_add(f, "a", "patch", "9", "[");
        ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), -1);
        ck_assert_int_eq(fault.outcome, LEAT_BAD_DATA);
        ck_assert_int_eq(fault.bad_record, 2);
        ck_assert_str_ne(fault.error.text, "");
        if (bad[i].message)
            ck_assert_str_eq(fault.error.text, bad[i].message);
        fixture_clear(f);
    }
    fixture_add(f, "a", "patch", "1", "{\"n\":1}");
    leat_rows_fault fault;
    ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), 0);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rows");
    TCase *tests = tcase_create("rows");
    tcase_add_test(tests, rows_of_one_operation_share_a_statement);
    tcase_add_test(tests, writes_to_one_key_go_in_rounds);
    tcase_add_test(tests, a_builder_forgets_the_batch_before);
    tcase_add_test(tests, a_batch_may_be_empty);
    tcase_add_test(tests, arrays_are_in_binary_form);
    tcase_add_test(tests, the_shape_of_any_has_every_column);
    tcase_add_test(tests, the_first_record_without_sense_is_named);
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
